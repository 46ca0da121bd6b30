/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The links to the master: two of them, over the primary and over the replication network, so that no single cable isolates the node.
 * A master that has lost its majority is put aside, not hung up on: it still answers queries, and says how old they are, while the two
 * go on looking for one that may decide. Links move between places, so callbacks find theirs by the link.
 */
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/xmem.h"
#include "node/guard.h"
#include "node/node.h"
#include "schema/hear.h"
#include "schema/level.h"

#define DIAL_AGAIN_MS 200

static int64_t beat_ms(const struct noded *n)
{
	return n->conf.lease_ms / 12;
}

/* How long a candidate that is not master is listened to before the next one is asked. A little of it is each node's own: they all lost their master at one moment. */
static int64_t listen_ms(const struct noded *n)
{
	int64_t own = 0;

	for (const char *p = n->conf.node_uuid; *p; p++)
		own = (own * 31 + *p) % 1024;
	return beat_ms(n) + own * beat_ms(n) / 4 / 1024;
}

static int64_t unanswered_ms(const struct noded *n, int64_t now)
{
	/* What an earlier master left unanswered says nothing of this one. (The lease itself counts from answered beats only.) */
	int64_t since = n->beat_acked_sent_ms > n->welcome_ms ? n->beat_acked_sent_ms : n->welcome_ms;

	return n->beat_seq < 4 ? 0 : now - since;
}

bool uplink_ready(const struct noded *n)
{
	return n->up[0].welcome || n->up[1].welcome;
}

static void send_by(struct noded *n, int side, const char *text)
{
	struct uplink *first = &n->up[side == 2 ? 1 : 0], *second = &n->up[side == 2 ? 0 : 1];
	struct uplink *u = first->welcome ? first : second;

	if (u->welcome)
		(void)link_send(u->k, text, strlen(text));
}

void uplink_send_text(struct noded *n, const char *text)
{
	send_by(n, 1, text);
}

bool uplink_ask_stale(struct noded *n, const char *text)
{
	struct uplink *u = &n->up[UPLINK_STALE];

	return u->k && link_send(u->k, text, strlen(text)) == 0;
}

bool uplink_no_majority(const struct noded *n)
{
	return n->no_majority_ms && loop_now_ms(n->loop) - n->no_majority_ms < n->conf.lease_ms;
}

static struct uplink *place_of(struct noded *n, const struct link *k)
{
	for (int i = 0; i <= UPLINK_LOOK; i++)
		if (n->up[i].k == k)
			return &n->up[i];
	return NULL; /* given up: what it still says is of no interest */
}

void uplink_send_by(struct noded *n, int side, const char *type, const struct schema *s, const void *msg)
{
	AUTO_FREE char *text = wire_text_at(type, s, msg, n->settings.level);

	send_by(n, side, text);
}

void uplink_send(struct noded *n, const char *type, const struct schema *s, const void *msg)
{
	uplink_send_by(n, 1, type, s, msg);
}

/* ---- what the master says -------------------------------------------------------------------------- */

static int candidate_at(const struct noded *n, const char *uuid)
{
	for (int i = 0; uuid[0] && i < n->settings.n_nodes; i++)
		if (n->settings.nodes[i].candidate == 1 && strcmp(n->settings.nodes[i].uuid, uuid) == 0)
			return i;
	return -1;
}

/* The link, if there is one, gives way to another, at the next tick. */
static void elsewhere(struct uplink *u)
{
	u->at_once = true;
	u->dial_at_ms = 0;
	if (u->k)
		link_close(u->k);
}

/* A link changes its place; what was there is given up. */
static struct uplink *move_to(struct uplink *home, struct uplink *u)
{
	if (home->k)
		link_forget(home->k);
	home->k = u->k;
	home->open = true;
	home->at_once = false;
	home->opened_ms = u->opened_ms;
	home->told_ms = u->told_ms;
	(void)str_copy(home->to, sizeof(home->to), u->to);
	u->k = NULL;
	u->open = false;
	return home;
}

/* The master is given up, over both links: it permits nothing any more. The first one's place is about to be taken, the second is dialled anew. */
static void leave(struct noded *n)
{
	for (int i = 0; i < UPLINK_LOOK; i++) {
		n->up[i].welcome = false;
		if (i > 0)
			elsewhere(&n->up[i]);
	}
	authorise_abort(n);
}

/*
 * Another one says that it is master. The higher epoch is right, and is remembered: the lower one commands and permits nothing here any more. The link
 * that was looked with is the first of the two; the other is dialled.
 */
static int looked(struct noded *n, struct uplink **u, const struct msg_welcome *w, struct err *err)
{
	if (w->epoch <= n->epoch) {
		link_close((*u)->k);
		return 0;
	}
	int rc = agent_epoch(n->agent, w->epoch, err);
	if (rc < 0)
		return rc;
	log_warning("node '%s' is master with epoch %lld, the one that we followed has %lld: it is left", w->master, (long long)w->epoch,
		    (long long)n->epoch);
	leave(n);
	*u = move_to(&n->up[0], *u);
	return 0;
}

static int on_welcome(void *who, void *by, const void *msg, struct err *err)
{
	struct noded *n = who;
	struct uplink *u = by;
	const struct msg_welcome *w = msg;

	if (u == &n->up[UPLINK_LOOK]) {
		int rc = looked(n, &u, w, err);

		if (rc < 0 || u == &n->up[UPLINK_LOOK])
			return rc;
	}
	bool was = uplink_ready(n);
	int rc = agent_epoch(n->agent, w->epoch, err);

	if (rc < 0)
		return rc; /* a master that has been succeeded */
	bool other = w->epoch != n->epoch;
	n->epoch = w->epoch;
	(void)str_copy(n->master, sizeof(n->master), w->master);
	if (w->lease_ms != n->conf.lease_ms)
		n->conf.lease_ms = w->lease_ms;
	if (u == &n->up[UPLINK_STALE]) /* it has its majority again: back to its place */
		u = move_to(&n->up[u->side - 1], u);
	u->welcome = true;
	u->heard_ms = loop_now_ms(n->loop);
	for (int i = 0; i < UPLINK_STALE; i++) /* it listens to somebody else, or waits for one who does not answer */
		if (&n->up[i] != u && !n->up[i].welcome && strcmp(n->up[i].to, u->to) != 0)
			elsewhere(&n->up[i]);
	err_clear(&n->refused);
	n->no_majority_ms = 0;
	n->beat_next_ms = 0;
	if (!was || other) {
		n->welcome_ms = loop_now_ms(n->loop);
		log_notice("node '%s' is master, epoch %lld", w->master, (long long)w->epoch);
		n->looks_left = n->settings.n_nodes; /* each candidate soon, then now and then */
		n->up[UPLINK_LOOK].dial_at_ms = 0;
		observe_send(n);
		local_resend(n);
		takeover_again(n);
	}
	return 0;
}

/*
 * A candidate that is not master yet may be in a moment, and is the first to know whom it was succeeded by, so it is listened to for a while: as a master it
 * welcomes whoever greeted it, as a standby it tells when another one takes over. Asking each of them again and again would find that out later, and cost more.
 * False: there is somebody better to ask.
 */
static bool listen_to(struct noded *n, struct uplink *u, const struct msg_not_master *m)
{
	int at = candidate_at(n, m->master);

	u->told_ms = loop_now_ms(n->loop);
	if (at < 0 || strcmp(m->master, u->to) == 0)
		return m->stale != 1;
	u->next = at;
	return false;
}

static int on_not_master(void *who, void *by, const void *msg, struct err *err)
{
	struct noded *n = who;
	struct uplink *u = by;
	const struct msg_not_master *m = msg;
	struct uplink *aside = &n->up[UPLINK_STALE];

	(void)err;
	if (u == &n->up[UPLINK_LOOK]) {
		if (!n->unanswered)
			link_close(u->k);
		else if (strcmp(m->master, n->master) != 0 && !listen_to(n, u, m))
			elsewhere(u);
		return 0;
	}
	if (m->problem[0])
		n->no_majority_ms = loop_now_ms(n->loop);
	if (u == aside) {
		if (m->stale != 1)
			link_close(u->k);
		return 0;
	}
	bool was = u->welcome;
	u->welcome = false;
	if (was && !uplink_ready(n))
		authorise_abort(n); /* it permits nothing any more */
	bool listen = listen_to(n, u, m);
	if (m->stale == 1 && !aside->k) {
		aside->side = u->side;
		(void)move_to(aside, u);
		u->dial_at_ms = loop_now_ms(n->loop) + beat_ms(n);
		log_notice("the master has no majority: %s", m->problem);
		return 0;
	}
	if (m->stale == 1)
		link_close(u->k);
	else if (!listen)
		elsewhere(u);
	return 0;
}

static int on_refused(void *who, void *by, const void *msg, struct err *err)
{
	struct noded *n = who;
	struct uplink *u = by;
	const struct msg_refused *r = msg;
	struct err why = { .code = err_by_name(r->error) };

	(void)err;
	(void)str_copy(why.msg, sizeof(why.msg), r->msg ? r->msg : "refused");
	(void)str_copy(why.hint, sizeof(why.hint), r->hint ? r->hint : "");
	if (strcmp(why.msg, n->refused.msg) != 0)
		log_err_record(LOG_LEVEL_ERR, "the master does not let this node in", &why);
	n->refused = why;
	link_close(u->k);
	return 0;
}

static int on_beat_ack(void *who, void *by, const void *msg, struct err *err)
{
	struct noded *n = who;
	const struct msg_beat_ack *a = msg;

	(void)by;
	if (a->epoch != n->epoch)
		return err_set(err, ERR_STALE_EPOCH, "beat answered by epoch %lld, the master's is %lld", (long long)a->epoch, (long long)n->epoch);
	if (a->seq <= n->beat_seq && n->beat_seq - a->seq < 16) {
		int64_t sent = n->beat_sent_ms[a->seq % 16];

		if (sent > n->beat_acked_sent_ms)
			n->beat_acked_sent_ms = sent; /* the lease counts from when it was sent */
	}
	return 0;
}

static int on_step(void *who, void *by, const void *msg, struct err *err)
{
	struct noded *n = who;
	struct uplink *u = by;

	(void)err;
	steps_order(n, msg, u->side);
	return 0;
}

static int on_gens(void *who, void *by, const void *msg, struct err *err)
{
	struct noded *n = who;

	(void)by;
	(void)err;
	arbitrate_gens(n, msg);
	return 0;
}

static int on_verdict(void *who, void *by, const void *msg, struct err *err)
{
	struct noded *n = who;

	(void)by;
	(void)err;
	arbitrate_verdict(n, msg);
	return 0;
}

static int on_authority(void *who, void *by, const void *msg, struct err *err)
{
	struct noded *n = who;

	(void)by;
	(void)err;
	authorise_answer(n, msg);
	return 0;
}

static int on_signed(void *who, void *by, const void *msg, struct err *err)
{
	struct noded *n = who;

	(void)by;
	(void)err;
	authorise_signed(n, msg);
	return 0;
}

static int on_reply(void *who, void *by, const void *msg, struct err *err)
{
	struct noded *n = who;
	struct uplink *u = by;

	if (!u->body || u->body_len > REPLY_MAX)
		return err_set(err, ERR_BAD_REQUEST, "a reply of %zu bytes", u->body_len);
	local_reply(n, ((const struct msg_reply_head *)msg)->id, u->body, u->body_len);
	return 0;
}

static int on_forget(void *who, void *by, const void *msg, struct err *err)
{
	struct noded *n = who;

	(void)by;
	(void)err;
	steps_forget(n, ((const struct msg_forget *)msg)->job);
	return 0;
}

/*
 * They are used from here on. That they cannot be kept, on a full disk say, is a problem of this node's next start, and no reason to lose the master for it:
 * hung up on, it would send them again at once, and again.
 */
static void keep(struct noded *n, const struct step_settings *s)
{
	struct err err = ERR_INIT;
	int rc = n->env.system->settings_install(n->env.system, s, &err);

	if (rc < 0 && !n->unkept) {
		log_err_record(LOG_LEVEL_ERR, "the cluster's settings", &err);
		n->unkept = xasprintf("the cluster's settings cannot be kept: %s", err.msg);
		observe_problem(n, n->unkept);
	} else if (rc == 0 && n->unkept) {
		log_notice("the cluster's settings are kept");
		free(n->unkept);
		n->unkept = NULL;
		observe_now(n);
	}
	n->keep_at_ms = loop_now_ms(n->loop) + n->conf.lease_ms;
}

static int on_settings(void *who, void *by, const void *msg, struct err *err)
{
	(void)by;
	(void)err;
	keep(who, msg);
	return 0;
}

enum when { WHEN_WELCOME, WHEN_GREETED, WHEN_REPLY };

static const struct hear_row handlers[] = {
	{ "refused", &msg_refused_schema, WHEN_GREETED, true, on_refused },
	{ "welcome", &msg_welcome_schema, WHEN_GREETED, true, on_welcome },
	{ "not_master", &msg_not_master_schema, WHEN_GREETED, true, on_not_master },
	{ "beat_ack", &msg_beat_ack_schema, WHEN_WELCOME, false, on_beat_ack },
	{ "step", &msg_step_schema, WHEN_WELCOME, false, on_step },
	{ "gens", &msg_gens_schema, WHEN_WELCOME, false, on_gens },
	{ "verdict", &msg_verdict_schema, WHEN_WELCOME, false, on_verdict },
	{ "authority", &msg_authority_schema, WHEN_WELCOME, false, on_authority },
	{ "signed", &msg_signed_schema, WHEN_WELCOME, false, on_signed },
	{ "reply", &msg_reply_head_schema, WHEN_REPLY, false, on_reply },
	{ "forget", &msg_forget_schema, WHEN_WELCOME, false, on_forget },
	{ "settings", &step_settings_schema, WHEN_WELCOME, true, on_settings }, /* a version that is to be kept out must be able to read it as well */
};

/* From a master that has not said so nothing but that is heard; from one without majority, its replies. */
static int may_say(void *who, void *by, const struct hear_row *row, struct err *err)
{
	struct noded *n = who;
	const struct uplink *u = by;

	(void)err;
	return u->welcome || row->tag == WHEN_GREETED || (u == &n->up[UPLINK_STALE] && row->tag == WHEN_REPLY);
}

static int dispatch(struct noded *n, struct uplink *u, const char *text, size_t len, struct err *err)
{
	const char *line = memchr(text, '\n', len);
	size_t head = line ? (size_t)(line - text) : len;

	u->body = line ? line + 1 : NULL;
	u->body_len = line ? len - head - 1 : 0;
	return hear(handlers, ARRAY_SIZE(handlers), may_say, n, u, text, head, err);
}

/* ---- life of a link ---------------------------------------------------------------------------------- */

static const char *network(const struct uplink *u)
{
	return u->side == 1 ? "primary" : "replication";
}

static void up_open(void *arg, struct link *k, const char *peer)
{
	struct noded *n = arg;
	struct uplink *u = place_of(n, k);
	struct msg_hello h;

	(void)peer;
	if (!u)
		return;
	u->open = true;
	u->opened_ms = loop_now_ms(n->loop);
	schema_init(&msg_hello_schema, &h);
	(void)str_copy(h.node, sizeof(h.node), n->conf.node_uuid);
	(void)str_copy(h.boot_id, sizeof(h.boot_id), n->boot);
	(void)str_copy(h.version, sizeof(h.version), level_here.version);
	h.level_oldest = level_here.oldest;
	h.level_newest = level_here.newest;
	h.epoch = agent_highest_epoch(n->agent);
	h.wall_ms = loop_wall_ms(n->loop);
	(void)str_copy(h.side, sizeof(h.side), u->side == 1 ? "primary" : "replication");
	AUTO_FREE char *text = wire_text_at("hello", &msg_hello_schema, &h, n->settings.level);
	(void)link_send(k, text, strlen(text));
}

static void up_frame(void *arg, struct link *k, const char *text, size_t len)
{
	struct noded *n = arg;
	struct uplink *u = place_of(n, k);
	struct err err = ERR_INIT;

	if (!u || n->stopping)
		return;
	u->heard_ms = loop_now_ms(n->loop);
	if (dispatch(n, u, text, len, &err) < 0) {
		log_err_record(LOG_LEVEL_WARNING, "message of the master", &err);
		link_close(k);
	}
}

static void up_closed(void *arg, struct link *k, const struct err *err)
{
	struct noded *n = arg;
	struct uplink *u = place_of(n, k);

	if (!u)
		return;
	bool was = u->welcome;
	if (was)
		log_notice("link to the master over the %s network is gone: %s", network(u), err ? err->msg : "closed");
	u->k = NULL;
	u->open = u->welcome = false;
	if (u != &n->up[UPLINK_LOOK])
		u->dial_at_ms = loop_now_ms(n->loop) + (u->at_once ? 0 : DIAL_AGAIN_MS);
	u->at_once = false;
	if (n->stopping)
		return;
	if (!uplink_ready(n)) {
		authorise_abort(n);
	} else if (was) { /* what was said over it, and what was answered, may be lost. (Orders the master gives again.) */
		observe_send(n);
		local_resend(n);
		takeover_again(n);
	}
}

static void end_all(struct noded *n, void (*end)(struct link *k))
{
	for (int i = 0; i <= UPLINK_LOOK; i++)
		if (n->up[i].k)
			end(n->up[i].k);
}

void uplink_close_all(struct noded *n)
{
	end_all(n, link_close);
}

void uplink_free(struct noded *n)
{
	end_all(n, link_forget);
}

static const struct settings_node *by_uuid(const struct noded *n, const char *uuid)
{
	for (int i = 0; i < n->settings.n_nodes; i++)
		if (strcmp(n->settings.nodes[i].uuid, uuid) == 0)
			return &n->settings.nodes[i];
	return NULL;
}

/* The master that the other link found is dialled first; else the candidates in turn, where the other one listens to last: two hear more than one. */
static const struct settings_node *whom(struct noded *n, struct uplink *u)
{
	struct uplink *other = &n->up[u->side == 1 ? 1 : 0];
	int best = -1;

	if (other->welcome)
		return by_uuid(n, n->master);
	for (int i = 0; i < n->settings.n_nodes; i++) {
		int at = (u->next + i) % n->settings.n_nodes;

		if (n->settings.nodes[at].candidate != 1)
			continue;
		bool taken = other->k && other->open && strcmp(other->to, n->settings.nodes[at].uuid) == 0;
		if (best < 0 || !taken)
			best = at;
		if (!taken)
			break;
	}
	if (best < 0)
		return NULL;
	u->next = best + 1;
	return &n->settings.nodes[best];
}

static const struct link_cb up_cb = { .open = up_open, .frame = up_frame, .closed = up_closed };

static void dial(struct noded *n, struct uplink *u, int64_t now)
{
	const struct settings_node *to = whom(n, u);

	u->dial_at_ms = now + beat_ms(n);
	u->at_once = false;
	if (!to)
		return;
	bool repl = u->side == 2;
	if (repl && strcmp(n->conf.address, n->conf.replication_address) == 0)
		return; /* one network only */
	u->told_ms = 0;
	(void)str_copy(u->to, sizeof(u->to), to->uuid);
	u->k = link_dial(n->loop, repl ? to->replication_address : to->address, (int)n->conf.link_port,
			 repl ? n->conf.replication_address : n->conf.address, n->id.tls, "", &up_cb, n);
}

/*
 * Only candidates do: a handful, and a lower epoch can live among them only. But when the master's answers stay out for as long as it may be master without a
 * beat of its own, every node does, and listens: its machine may have lost its power, which no closed connection tells. A dial that is not answered gives way
 * to the next.
 */
static void look_around(struct noded *n, int64_t now)
{
	struct uplink *u = &n->up[UPLINK_LOOK];
	const struct settings_node *me = by_uuid(n, n->conf.node_uuid);
	bool was = n->unanswered;

	n->unanswered = uplink_ready(n) && unanswered_ms(n, now) > n->conf.lease_ms / 4;
	if (n->unanswered && !was)
		u->dial_at_ms = now;
	if (!uplink_ready(n) || (!n->unanswered && (!me || me->candidate != 1))) {
		if (u->k)
			link_close(u->k);
		return;
	}
	if (now < u->dial_at_ms)
		return;
	if (u->k) {
		elsewhere(u);
		return;
	}
	u->dial_at_ms = now + (n->unanswered ? listen_ms(n) : n->looks_left > 0 ? beat_ms(n) : n->conf.lease_ms);
	n->looks_left -= n->looks_left > 0;
	u->side = 1;
	for (int i = 0; i < n->settings.n_nodes; i++) {
		const struct settings_node *to = &n->settings.nodes[u->next++ % n->settings.n_nodes];

		if (to->candidate != 1 || (to == me && !n->unanswered) || strcmp(to->uuid, n->master) == 0)
			continue;
		u->told_ms = 0;
		(void)str_copy(u->to, sizeof(u->to), to->uuid);
		u->k = link_dial(n->loop, to->address, (int)n->conf.link_port, n->conf.address, n->id.tls, "", &up_cb, n);
		return;
	}
}

static void beat(struct noded *n, int64_t now)
{
	struct msg_beat b;

	schema_init(&msg_beat_schema, &b);
	b.seq = ++n->beat_seq;
	(void)str_copy(b.boot_id, sizeof(b.boot_id), n->boot);
	b.wall_ms = loop_wall_ms(n->loop);
	n->beat_sent_ms[b.seq % 16] = now;
	n->beat_next_ms = now + beat_ms(n);
	AUTO_FREE char *text = wire_text_at("beat", &msg_beat_schema, &b, n->settings.level);
	for (int i = 0; i < 2; i++) /* both ways: one cable may be cut at any time */
		if (n->up[i].welcome)
			(void)link_send(n->up[i].k, text, strlen(text));
}

/*
 * Each beat goes over both links and is answered over both: a link that falls a quarter of the lease behind the other is cut, whatever TCP still hopes.
 * The two are compared with each other, not with the clock: who stood still finds both behind. The master does the same (master_nodes_tick).
 */
static void check_behind(struct noded *n)
{
	for (int i = 0; i < 2; i++) {
		struct uplink *u = &n->up[i];
		const struct uplink *other = &n->up[1 - i];

		if (!u->welcome || !other->welcome || other->heard_ms - u->heard_ms <= n->conf.lease_ms / 4)
			continue;
		log_warning("the master is heard over the %s network, and not over the %s network for %lld ms", network(other), network(u),
			    (long long)(other->heard_ms - u->heard_ms));
		link_close(u->k);
	}
}

/*
 * Nothing was answered over either for half a lease: both are as good as cut. That is about when there is another master, so the candidate that is
 * listened to is not left: its link takes the place of the first.
 */
static void check_silent(struct noded *n, int64_t now)
{
	struct uplink *look = &n->up[UPLINK_LOOK];

	if (!uplink_ready(n) || unanswered_ms(n, now) <= n->conf.lease_ms / 2)
		return;
	log_warning("the master has not answered for %lld ms", (long long)unanswered_ms(n, now));
	if (!look->k || !look->open || !look->told_ms) {
		uplink_close_all(n);
		return;
	}
	leave(n);
	(void)move_to(&n->up[0], look);
}

/*
 * It took the connection and says neither that it is master nor that it is not: it stands still. Another is asked. So it is when a candidate that is not master
 * has been listened to for a while: that one, too, may stand still.
 */
static void check_mute(struct noded *n, int64_t now)
{
	for (int i = 0; i < 2; i++) {
		struct uplink *u = &n->up[i];

		if (!u->k || !u->open || u->welcome)
			continue;
		if (u->told_ms && now - u->told_ms >= listen_ms(n))
			elsewhere(u);
		else if (!u->told_ms && now - u->opened_ms > n->conf.lease_ms / 2)
			link_close(u->k);
	}
}

/* This node is as good as lost (008): it must be lost to the master as well. */
static bool keeps_silent(struct noded *n)
{
	n->silent = guard_lets_go(n);
	if (n->silent)
		uplink_close_all(n);
	return n->silent;
}

void uplink_tick(struct noded *n)
{
	int64_t now = loop_now_ms(n->loop);

	if (!n->member || n->stopping || keeps_silent(n))
		return;
	if (n->unkept && now >= n->keep_at_ms)
		keep(n, &n->settings);
	for (int i = 0; i < 2; i++)
		if (!n->up[i].k && now >= n->up[i].dial_at_ms)
			dial(n, &n->up[i], now);
	if (uplink_ready(n) && now >= n->beat_next_ms)
		beat(n, now);
	look_around(n, now);
	check_behind(n);
	check_silent(n, now);
	check_mute(n, now);
}
