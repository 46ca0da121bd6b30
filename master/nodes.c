/* SPDX-License-Identifier: Apache-2.0 */
/* Links of nodes: hello, beats, reports, results, requests passed on. */
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/rule.h"
#include "common/xmem.h"
#include "core/lease.h"
#include "core/state.h"
#include "master/bridge.h"
#include "schema/hear.h"

struct peer *master_peer(struct master *m, uint64_t serial)
{
	list_for_each(l, &m->peers) {
		struct peer *p = list_entry(l, struct peer, link);

		if (p->serial == serial)
			return p;
	}
	return NULL;
}

void master_send_msg(struct peer *p, const char *type, const struct schema *s, const void *msg)
{
	AUTO_FREE char *text = wire_text_at(type, s, msg, p->level ? p->level : 1); /* to somebody not known yet: as it always was */

	(void)link_send(p->k, text, strlen(text)); /* a full link closes itself; the node dials again */
}

static void reply_err(struct master *m, struct peer *p, const char *id, const struct err *err);

#define TRIM_REPLY_BYTES ((size_t)128 * 1024)
#define LISTEN_AGAIN_MS 2000

void master_send_reply(struct master *m, struct peer *p, const struct msg_reply *r)
{
	AUTO_FREE char *body = schema_encode_text(&msg_reply_schema, r);
	AUTO_FREE char *frame = NULL;
	size_t len = strlen(body);

	if (len > REPLY_MAX) {
		struct err err = ERR_INIT;

		(void)err_set(&err, ERR_TOO_BIG, "the answer of %zu bytes is larger than a message may be", len);
		(void)err_hint(&err, "name what you want to see");
		reply_err(m, p, r->id, &err);
		return;
	}
	/* The head is for the node: only what it needs to find the client. */
	struct msg_reply_head h;
	schema_init(&msg_reply_head_schema, &h);
	(void)str_copy(h.id, sizeof(h.id), r->id);
	AUTO_JSON json_t *j = schema_encode(&msg_reply_head_schema, &h);
	json_object_set_new(j, "type", json_string("reply"));
	AUTO_FREE char *head = json_text(j);
	size_t n = strlen(head);
	frame = xcalloc(n + 1 + len + 1, 1);
	memcpy(frame, head, n);
	frame[n] = '\n';
	memcpy(frame + n + 1, body, len);
	(void)link_send(p->k, frame, n + 1 + len);
	if (len > TRIM_REPLY_BYTES)
		m->trim = true; /* a long list was built as a tree first: what it took is given back by the next tick */
}

void master_send_node(struct master *m, const char *node, const char *text)
{
	struct peer *best = NULL;

	list_for_each(l, &m->peers) {
		struct peer *p = list_entry(l, struct peer, link);

		if (strcmp(p->node, node) == 0 && p->side && (!best || p->side < best->side))
			best = p;
	}
	if (best)
		(void)link_send(best->k, text, strlen(text));
}

static int links_of(const struct master *m, const char *node)
{
	int links = 0;

	list_for_each(l, &m->peers) {
		const struct peer *p = list_entry(l, struct peer, link);

		if (strcmp(p->node, node) == 0)
			links |= p->side;
	}
	return links;
}

static void tell_core(struct master *m, struct peer *p)
{
	if (m->core)
		core_node_links(m->core, p->node, links_of(m, p->node), p->boot_id, p->version, loop_wall_ms(m->loop) + p->clock_skew_ms);
}

/* Whom a standby takes for the master: who still sends beats. It is no use to send a node to one that has fallen silent. */
static const char *seen_master(const struct master *m)
{
	return m->core || !term_beats(&m->term, loop_now_ms(m->loop)) ? "" : m->term.master;
}

static void not_master(struct master *m, struct peer *p)
{
	struct msg_not_master n;

	schema_init(&msg_not_master_schema, &n);
	(void)str_copy(n.master, sizeof(n.master), seen_master(m));
	int64_t unread = m->unread_since_ms ? loop_now_ms(m->loop) - m->unread_since_ms : 0;
	if (m->paused || unread > term_ttl_ms(&m->term))
		(void)str_copy(n.problem, sizeof(n.problem), "no majority of voters answers");
	n.stale = m->core && m->paused;
	master_send_msg(p, "not_master", &msg_not_master_schema, &n);
}

static void welcome(struct master *m, struct peer *p)
{
	const struct state *st = core_state(m->core);
	struct msg_welcome w;

	p->level = st->cluster.schema_version;
	schema_init(&msg_welcome_schema, &w);
	w.epoch = st->epoch;
	(void)str_copy(w.master, sizeof(w.master), m->self);
	(void)str_copy(w.cluster, sizeof(w.cluster), st->cluster.name);
	w.lease_ms = st->cluster.lease_ms;
	master_send_msg(p, "welcome", &msg_welcome_schema, &w);
}

/* The node hangs up, and tells those who ask it. */
static void refuse(struct peer *p, const struct err *err)
{
	struct msg_refused r;

	schema_init(&msg_refused_schema, &r);
	(void)str_copy(r.error, sizeof(r.error), err_name(err->code));
	r.msg = xstrdup(err->msg);
	r.hint = xstrdup(err_hint_text(err));
	master_send_msg(p, "refused", &msg_refused_schema, &r);
	schema_done(&msg_refused_schema, &r);
	p->side = 0;
}

/* True: it may be welcomed. */
static bool fits(struct master *m, struct peer *p)
{
	struct err err = ERR_INIT;

	if (core_node_speaks(m->core, p->node, p->version, p->level_oldest, p->level_newest, &err) == 0)
		return true;
	log_debug("%s", err.msg); /* the core has told it when it began */
	refuse(p, &err);
	return false;
}

/* ---- messages --------------------------------------------------------------------------------------- */

/*
 * The node dials anew when its end of a link is dead, or after a boot: then the older link of that network is dead too, whatever TCP still
 * hopes here. What was sent on it may be lost, so the core must see the change and give its orders again.
 */
static void supersede(struct master *m, struct peer *p)
{
	int side = p->side;

	list_for_each(l, &m->peers) {
		struct peer *old = list_entry(l, struct peer, link);

		if (!RULE(SUPERSEDE) || old == p || old->side != side || strcmp(old->node, p->node) != 0)
			continue;
		old->side = 0;
		p->side = 0;
		tell_core(m, p);
		p->side = side;
		link_close(old->k);
	}
}

static int on_hello(void *who, void *by, const void *msg, struct err *err)
{
	struct master *m = who;
	struct peer *p = by;
	const struct msg_hello *h = msg;

	if (strcmp(h->node, p->node) != 0)
		return err_set(err, ERR_TLS, "hello from '%s' on a link of '%s'", h->node, p->node);
	(void)str_copy(p->boot_id, sizeof(p->boot_id), h->boot_id);
	(void)str_copy(p->version, sizeof(p->version), h->version);
	p->level_oldest = h->level_oldest;
	p->level_newest = h->level_newest;
	p->side = strcmp(h->side, "replication") == 0 ? 2 : 1;
	p->clock_skew_ms = h->wall_ms ? h->wall_ms - loop_wall_ms(m->loop) : 0;
	if (!m->core || m->paused || (RULE(NODE_EPOCH) && h->epoch > core_state(m->core)->epoch)) { /* or it has seen a later master: we are not it */
		not_master(m, p);
		return 0;
	}
	if (!state_node(core_state(m->core), p->node)) {
		p->side = 0;
		return err_set(err, ERR_NOT_FOUND, "node '%s' is not in the cluster", p->node);
	}
	supersede(m, p);
	if (!fits(m, p))
		return 0;
	welcome(m, p);
	tell_core(m, p);
	return 0;
}

static int on_beat(void *who, void *by, const void *msg, struct err *err)
{
	struct master *m = who;
	struct peer *p = by;
	const struct msg_beat *b = msg;
	struct msg_beat_ack a = { .seq = b->seq };

	(void)err;
	if (!master_speaks(m)) { /* an answered beat is a lease: only a valid master grants one */
		not_master(m, p);
		return 0;
	}
	a.epoch = core_state(m->core)->epoch;
	master_send_msg(p, "beat_ack", &msg_beat_ack_schema, &a);
	core_node_beat(m->core, p->node);
	if (b->wall_ms) { /* it may have been set since the hello */
		p->clock_skew_ms = b->wall_ms - loop_wall_ms(m->loop);
		core_node_clock(m->core, p->node, p->clock_skew_ms);
	}
	return 0;
}

static int on_observe(void *who, void *by, const void *msg, struct err *err)
{
	struct master *m = who;
	struct peer *p = by;

	(void)err;
	if (m->core && !m->paused)
		core_node_observed(m->core, p->node, &((const struct msg_observe *)msg)->observed);
	return 0;
}

static int on_step_result(void *who, void *by, const void *msg, struct err *err)
{
	struct master *m = who;
	struct peer *p = by;

	(void)err;
	if (m->core && !m->paused)
		core_step_result(m->core, p->node, msg);
	else
		m->unheard = m->core != NULL;
	return 0;
}

static int on_step_progress(void *who, void *by, const void *msg, struct err *err)
{
	struct master *m = who;
	struct peer *p = by;

	(void)err;
	if (m->core && !m->paused)
		core_step_progress(m->core, p->node, msg);
	return 0;
}

static int on_ask(void *who, void *by, const void *msg, struct err *err)
{
	struct master *m = who;
	struct peer *p = by;

	(void)err;
	if (master_speaks(m))
		core_ask(m->core, p->node, msg);
	return 0;
}

static int on_authorise(void *who, void *by, const void *msg, struct err *err)
{
	struct master *m = who;
	struct peer *p = by;

	(void)err;
	if (master_speaks(m))
		core_authorise(m->core, p->node, msg);
	return 0;
}

static int on_sign(void *who, void *by, const void *msg, struct err *err)
{
	struct master *m = who;
	struct peer *p = by;

	(void)err;
	if (master_speaks(m))
		master_sign(m, p, msg);
	return 0;
}

static void reply_err(struct master *m, struct peer *p, const char *id, const struct err *err)
{
	struct msg_reply r;

	schema_init(&msg_reply_schema, &r);
	(void)str_copy(r.id, sizeof(r.id), id);
	(void)str_copy(r.error, sizeof(r.error), err_name(err->code));
	r.msg = xstrdup(err->msg);
	r.hint = xstrdup(err_hint_text(err));
	master_send_reply(m, p, &r);
	schema_done(&msg_reply_schema, &r);
}

static int on_request(void *who, void *by, const void *msg, struct err *err)
{
	struct master *m = who;
	struct peer *p = by;
	struct msg_request r;
	struct err why = ERR_INIT;

	(void)err;
	if (!m->core) {
		(void)err_set(&why, ERR_NO_MASTER, "this is not the master");
		reply_err(m, p, ((const struct msg_request *)msg)->id, &why);
		return 0;
	}
	schema_copy(&msg_request_schema, &r, msg);
	if (master_prepare_token(m, &r, &why) < 0)
		reply_err(m, p, r.id, &why);
	else
		core_request(m->core, p->serial, &r);
	schema_done(&msg_request_schema, &r);
	return 0;
}

static int on_join(void *who, void *by, const void *msg, struct err *err)
{
	struct master *m = who;
	struct peer *p = by;

	if (p->join)
		return err_set(err, ERR_BAD_REQUEST, "a second join on one link");
	master_join(m, p, msg);
	return 0;
}

/*
 * Who may send what: a joiner without certificate only "join"; a node first of all its hello, and the rest only as long as the cluster
 * has it. A certificate outlives its node's removal, so it is not enough.
 */
enum from { FROM_ANONYMOUS, FROM_CERTIFIED, FROM_MEMBER };

static const struct hear_row handlers[] = {
	{ "hello", &msg_hello_schema, FROM_CERTIFIED, true, on_hello },
	{ "beat", &msg_beat_schema, FROM_MEMBER, false, on_beat },
	{ "observe", &msg_observe_schema, FROM_MEMBER, false, on_observe },
	{ "step_result", &msg_step_result_schema, FROM_MEMBER, false, on_step_result },
	{ "step_progress", &msg_step_progress_schema, FROM_MEMBER, false, on_step_progress },
	{ "ask", &msg_ask_schema, FROM_MEMBER, false, on_ask },
	{ "authorise", &msg_authorise_schema, FROM_MEMBER, false, on_authorise },
	{ "sign", &msg_sign_schema, FROM_MEMBER, false, on_sign },
	{ "request", &msg_request_schema, FROM_MEMBER, false, on_request },
	{ "join", &msg_join_schema, FROM_ANONYMOUS, true, on_join },
};

static int may_say(void *who, void *by, const struct hear_row *row, struct err *err)
{
	const struct master *m = who;
	const struct peer *p = by;

	if ((row->tag == FROM_ANONYMOUS) != (p->node[0] == '\0'))
		return err_set(err, ERR_PERMISSION, "message '%s' is not allowed on this link", row->type);
	if (row->tag != FROM_MEMBER)
		return 1;
	if (!p->side)
		return err_set(err, ERR_PERMISSION, "message '%s' of '%s' before its hello", row->type, p->node);
	if (m->core && !state_node(core_state(m->core), p->node)) /* a standby does not know, and answers nobody */
		return err_set(err, ERR_PERMISSION, "message '%s' of '%s', which is not in the cluster", row->type, p->node),
		       err_hint(err, "if it was removed: stop gantry-noded there; if it is to come back: 'gnt node add'");
	return 1;
}

/* ---- life of a link ------------------------------------------------------------------------------------ */

static void link_open(void *arg, struct link *k, const char *peer)
{
	struct master *m = arg;
	struct peer *p = xcalloc(1, sizeof(*p));

	p->k = k;
	p->serial = ++m->next_serial;
	(void)str_copy(p->node, sizeof(p->node), peer);
	list_add_tail(&m->peers, &p->link);
	link_set_data(k, p);
}

static void link_frame(void *arg, struct link *k, const char *text, size_t len)
{
	struct master *m = arg;
	struct peer *p = link_data(k);
	struct err err = ERR_INIT;

	if (!p || m->stopping)
		return;
	p->heard_ms = loop_now_ms(m->loop);
	if (m->core)
		core_tick(m->core, loop_now_ms(m->loop), loop_wall_ms(m->loop));
	if (hear(handlers, ARRAY_SIZE(handlers), may_say, m, p, text, len, &err) < 0) {
		log_err_record(LOG_LEVEL_WARNING, link_remote_address(k), &err);
		link_close(k);
	}
}

static void peer_free(struct peer *p)
{
	list_del(&p->link);
	if (p->join) {
		schema_done(&msg_join_schema, p->join);
		free(p->join);
	}
	free(p->join_cert);
	free(p);
}

static void link_closed(void *arg, struct link *k, const struct err *err)
{
	struct master *m = arg;
	struct peer *p = link_data(k);

	if (!p)
		return;
	if (err && err->code)
		log_debug("link of %s: %s", p->node[0] ? p->node : "a joiner", err->msg);
	link_set_data(k, NULL);
	int was = p->side;
	p->side = 0;
	if (!m->stopping && m->core) {
		core_client_gone(m->core, p->serial);
		if (was)
			tell_core(m, p);
	}
	peer_free(p);
}

static int listen_on(struct master *m, const char *address, struct link_server **ret, struct err *err)
{
	static const struct link_cb cb = { .open = link_open, .frame = link_frame, .closed = link_closed };

	return link_server_new(m->loop, address, (int)m->conf.link_port, m->id.tls, true, &cb, m, ret, err);
}

/* Its own two addresses: nodes dial over the primary and over the replication network, so that no single cable isolates one. */
int master_listen(struct master *m, struct err *err)
{
	return listen_on(m, m->conf.listen_all ? "" : m->conf.address, &m->servers[0], err);
}

/* A replication network that comes up later than the daemon is no reason not to serve the primary one. */
void master_listen_replication(struct master *m, int64_t now)
{
	if (m->servers[1] || m->conf.listen_all || now < m->listen_next_ms || strcmp(m->conf.address, m->conf.replication_address) == 0)
		return;
	struct err err = ERR_INIT;
	bool first = m->listen_next_ms == 0;

	m->listen_next_ms = now + LISTEN_AGAIN_MS;
	if (listen_on(m, m->conf.replication_address, &m->servers[1], &err) < 0 && first)
		log_err_record(LOG_LEVEL_WARNING, "the replication network is not listened on yet, tried again", &err);
	else if (m->servers[1] && !first)
		log_notice("listening on the replication network");
}

/* Its other link brings beats, and this one has fallen a quarter of the lease behind: it is cut. Compared with each other, as the node does. */
static bool is_behind(const struct master *m, const struct peer *p, int64_t limit)
{
	list_for_each(l, &m->peers) {
		const struct peer *other = list_entry(l, struct peer, link);

		if (other->side && other->side != p->side && strcmp(other->node, p->node) == 0 && other->heard_ms - p->heard_ms > limit)
			return true;
	}
	return false;
}

/*
 * A daemon that hangs keeps its connections, and so does a machine that was reset, for a while: TCP answers, or nobody does. A node that sends nothing for as long as
 * makes it lost is not connected; failover by lease needs that said (evidence_holds). Woken, it dials anew.
 */
void master_nodes_tick(struct master *m)
{
	int64_t now = loop_now_ms(m->loop);

	if (!m->core || m->paused)
		return;
	if (m->unheard && master_speaks(m)) {
		m->unheard = false;
		core_tell_again(m->core);
	}
	int64_t lease = core_state(m->core)->cluster.lease_ms;
	list_for_each_safe(l, &m->peers) {
		struct peer *p = list_entry(l, struct peer, link);

		if (!p->side || (now - p->heard_ms < lease_lost_ms(lease) && !is_behind(m, p, lease / 4)))
			continue;
		log_notice("node '%s' has said nothing for %lld ms over its %s link: it is closed", state_node_name(core_state(m->core), p->node),
			   (long long)(now - p->heard_ms), p->side == 1 ? "primary" : "replication");
		link_close(p->k);
	}
}

/* Of two links of a node over one network the node has made the second because the first is dead. A standby could not tell its core. */
static void keep_newest(struct master *m)
{
	list_for_each(l, &m->peers) {
		struct peer *p = list_entry(l, struct peer, link);

		for (struct list *k = l->next; p->side && k != &m->peers; k = k->next) {
			const struct peer *later = list_entry(k, struct peer, link);

			if (later->side != p->side || strcmp(later->node, p->node) != 0)
				continue;
			p->side = 0;
			link_close(p->k);
		}
	}
}

/* Nodes listen to a standby while they have no master: it tells them of one as soon as it sees it. */
void master_nodes_redirect(struct master *m)
{
	const char *now = seen_master(m);

	if (strcmp(m->told, now) == 0)
		return;
	(void)str_copy(m->told, sizeof(m->told), now);
	if (!now[0])
		return;
	list_for_each(l, &m->peers) {
		struct peer *p = list_entry(l, struct peer, link);

		if (p->side)
			not_master(m, p);
	}
}

void master_nodes_reset(struct master *m)
{
	int64_t now = loop_now_ms(m->loop);

	if (m->core && !m->paused)
		keep_newest(m);
	list_for_each_safe(l, &m->peers) {
		struct peer *p = list_entry(l, struct peer, link);

		if (p->join && !m->core) { /* its job, if it was recorded, is the next master's: the machine is told that nobody knows */
			link_close(p->k);
			continue;
		}
		p->heard_ms = now; /* while this master was silent nobody is to blame */
		if (!p->side)
			continue;
		if (!m->core || m->paused) {
			not_master(m, p);
			continue;
		}
		if (!state_node(core_state(m->core), p->node)) { /* it said hello to a standby, which cannot tell */
			p->side = 0;
			link_close(p->k);
			continue;
		}
		if (fits(m, p))
			welcome(m, p);
	}
	/* Only now: a node hears nothing on a link that was not welcomed yet, and which of its two the core's words go by is not said. */
	list_for_each(l, &m->peers) {
		struct peer *p = list_entry(l, struct peer, link);

		if (m->core && !m->paused && p->side)
			tell_core(m, p);
	}
}

void master_forget_links(struct master *m)
{
	list_for_each_safe(l, &m->peers) {
		struct peer *p = list_entry(l, struct peer, link);

		link_set_data(p->k, NULL);
		peer_free(p);
	}
}
