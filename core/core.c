/* SPDX-License-Identifier: Apache-2.0 */
#include "core/core.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/rule.h"
#include "common/xmem.h"
#include "core/inside.h"
#include "core/lease.h"
#include "core/own.h"
#include "core/planners.h"
#include "core/term.h"
#include "schema/level.h"
#include "schema/wire.h"

#define EVENTS_KEPT 512

/* ---- telling ---------------------------------------------------------------------------------- */

void core_event(struct core *c, const char *fmt, ...)
{
	char line[512];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (c->n_events == EVENTS_KEPT) {
		free(c->events[0].text);
		memmove(c->events, c->events + 1, (EVENTS_KEPT - 1) * sizeof(*c->events));
		c->n_events--;
	}
	c->events = xrealloc(c->events, EVENTS_KEPT * sizeof(*c->events));
	c->events[c->n_events].wall_ms = c->st.wall_ms;
	c->events[c->n_events++].text = xstrdup(line);
	outbox_log(c->out, xstrdup(line));
}

void core_send(struct core *c, const char *node, const char *type, const struct schema *s, const void *msg)
{
	outbox_send(c->out, node, wire_text_at(type, s, msg, c->st.cluster.schema_version));
}

void core_reply_ok(struct core *c, uint64_t client, const char *id, json_t *result)
{
	struct msg_reply *r = xcalloc(1, sizeof(*r));

	schema_init(&msg_reply_schema, r);
	(void)str_copy(r->id, sizeof(r->id), id);
	r->result = result;
	if (c->store_silent_since_ms)
		r->stale_ms = c->st.now_ms - c->store_silent_since_ms;
	/* While the store is silent nothing is let out that rests on it; answers to queries say how old they are instead. */
	if (c->store_silent_since_ms)
		outbox_reply_now(c->out, client, r);
	else
		outbox_reply(c->out, CORE_REPLY, client, r);
}

struct msg_reply *core_error_reply(const char *id, const struct err *err)
{
	struct msg_reply *r = xcalloc(1, sizeof(*r));

	schema_init(&msg_reply_schema, r);
	(void)str_copy(r->id, sizeof(r->id), id);
	(void)str_copy(r->error, sizeof(r->error), err_name(err->code));
	r->msg = xstrdup(err->msg);
	r->hint = xstrdup(err_hint_text(err));
	(void)str_copy(r->field, sizeof(r->field), err->field);
	return r;
}

void core_reply_err(struct core *c, uint64_t client, const char *id, const struct err *err)
{
	if (c->store_silent_since_ms)
		outbox_reply_now(c->out, client, core_error_reply(id, err));
	else
		outbox_reply(c->out, CORE_REPLY, client, core_error_reply(id, err));
}

static void put_object(struct core *c, const char *dir, const char *id, const struct schema *s, const void *obj)
{
	char key[96];

	(void)snprintf(key, sizeof(key), "/gantry/%s%s%s", dir, id[0] ? "/" : "", id);
	outbox_put(c->out, key, schema_encode_text_at(s, obj, c->st.cluster.schema_version));
}

void core_put_cluster(struct core *c)
{
	put_object(c, "cluster", "", &cluster_schema, &c->st.cluster);
}

void core_put_node(struct core *c, const struct snode *n)
{
	put_object(c, "node", n->n.uuid, &node_schema, &n->n);
}

void core_put_instance(struct core *c, const struct sinstance *i)
{
	put_object(c, "instance", i->i.uuid, &instance_schema, &i->i);
}

void core_put_token(struct core *c, const struct token *t)
{
	put_object(c, "token", t->id, &token_schema, t);
}

static void fill_gen(const struct state *st, const struct instance *i, const char *node, struct msg_gen *g)
{
	(void)str_copy(g->instance, sizeof(g->instance), i->uuid);
	g->gen = i->own.gen;
	g->arbitrated = i->own.arbitrated;
	g->current = own_current(&i->own, node);
	g->owner = strcmp(own_runner(&i->own), node) == 0;
	g->ha = i->own.arbitrated == 1 && state_ha_policy(st, i) == HA_FAILOVER;
	g->ha_rev = state_ha_rev(st, i);
}

static void send_gens(struct core *c, const char *node, const struct sinstance *only)
{
	const struct field *list = schema_find(&msg_gens_schema, "gens");
	struct msg_gens m;

	schema_init(&msg_gens_schema, &m);
	m.epoch = c->st.epoch;
	for (int i = 0; i < c->st.n_instances; i++) {
		const struct sinstance *s = c->st.instances[i];

		if ((!only || s == only) && own_confirmed(&s->i.own) && strs_has(s->i.nodes, s->i.n_nodes, node))
			fill_gen(&c->st, &s->i, node, schema_list_add(list, &m));
	}
	if (m.n_gens)
		core_send(c, node, "gens", &msg_gens_schema, &m);
	schema_done(&msg_gens_schema, &m);
}

void core_send_gens(struct core *c, const struct sinstance *i)
{
	for (int k = 0; k < i->i.n_nodes; k++)
		send_gens(c, i->i.nodes[k], i);
}

void core_send_node_gens(struct core *c, const char *node)
{
	send_gens(c, node, NULL);
}

void core_fill_settings(const struct core *c, struct step_settings *ret)
{
	const struct field *list = schema_find(&step_settings_schema, "nodes");

	schema_init(&step_settings_schema, ret);
	(void)str_copy(ret->cluster, sizeof(ret->cluster), c->st.cluster.name);
	ret->version = c->st.epoch * 1000000 + c->settings_version;
	ret->lease_ms = c->st.cluster.lease_ms;
	ret->level = c->st.cluster.schema_version;
	(void)str_copy(ret->ip, sizeof(ret->ip), c->st.cluster.ip);
	(void)str_copy(ret->master_netdev, sizeof(ret->master_netdev), c->st.cluster.master_netdev);
	(void)str_copy(ret->vg_name, sizeof(ret->vg_name), c->st.cluster.vg_name);
	for (int i = 0; i < c->st.n_nodes; i++) {
		const struct node *n = &c->st.nodes[i]->n;
		struct settings_node *s = schema_list_add(list, ret);

		(void)str_copy(s->uuid, sizeof(s->uuid), n->uuid);
		(void)str_copy(s->name, sizeof(s->name), n->name);
		(void)str_copy(s->address, sizeof(s->address), n->address);
		(void)str_copy(s->replication_address, sizeof(s->replication_address), n->replication_address);
		s->candidate = n->candidate;
		s->witness = n->witness;
	}
}

void core_send_settings(struct core *c, const char *node)
{
	struct step_settings s;

	c->settings_version++;
	core_fill_settings(c, &s);
	for (int i = 0; i < c->st.n_nodes; i++)
		if (!node || strcmp(c->st.nodes[i]->n.uuid, node) == 0)
			core_send(c, c->st.nodes[i]->n.uuid, "settings", &step_settings_schema, &s);
	schema_done(&step_settings_schema, &s);
}

/* ---- life ------------------------------------------------------------------------------------- */

static bool below(const char *key, const char *dir)
{
	return strncmp(key, dir, strlen(dir)) == 0;
}

/* An object stands under its own uuid, and no two have one name: what our own transactions see to. */
static int check_place(const char *key, const char *uuid, const char *name, bool taken, struct err *err)
{
	if (strcmp(strrchr(key, '/') + 1, uuid) != 0)
		return err_set(err, ERR_INTERNAL, "the object there calls itself %s", uuid);
	return taken ? err_set(err, ERR_INTERNAL, "another object is called '%s' too", name) : 0;
}

/* Its level first: of a newer one nothing may be read, and then written back without what was not understood. */
static int load_cluster(struct core *c, const char *text, struct err *err)
{
	AUTO_JSON json_t *j = NULL;
	int rc = json_parse(text, strlen(text), FRAME_MAX, &j, err);

	if (rc < 0)
		return rc;
	rc = level_check("this node", level_here.version, level_here.oldest, level_here.newest, json_int(j, "schema_version", 1), err);
	return rc < 0 ? rc : schema_decode(&cluster_schema, &c->st.cluster, j, err);
}

static int load_object(struct core *c, const struct core_kv *kv, struct err *err)
{
	int rc = 0;

	if (strcmp(kv->key, "/gantry/cluster") == 0)
		return load_cluster(c, kv->value, err);
	if (strcmp(kv->key, "/gantry/secret") == 0)
		return schema_decode_text(&secret_schema, &c->st.secret, kv->value, err);
	if (strcmp(kv->key, "/gantry/lastjob") == 0) {
		c->last_job = strtoll(kv->value, NULL, 10);
	} else if (below(kv->key, "/gantry/node/")) {
		struct node n;

		rc = schema_decode_text(&node_schema, &n, kv->value, err);
		if (rc == 0) {
			rc = check_place(kv->key, n.uuid, n.name, state_node_named(&c->st, n.name), err);
			if (rc == 0)
				state_put_node(&c->st, &n);
			schema_done(&node_schema, &n);
		}
	} else if (below(kv->key, "/gantry/instance/")) {
		struct instance i;

		rc = schema_decode_text(&instance_schema, &i, kv->value, err);
		if (rc == 0) {
			rc = check_place(kv->key, i.uuid, i.name, state_instance_named(&c->st, i.name), err);
			if (rc == 0)
				state_put_instance(&c->st, &i);
			schema_done(&instance_schema, &i);
		}
	} else if (below(kv->key, "/gantry/token/")) {
		c->st.tokens = xrealloc(c->st.tokens, (size_t)(c->st.n_tokens + 1) * sizeof(struct token));
		rc = schema_decode_text(&token_schema, &c->st.tokens[c->st.n_tokens], kv->value, err);
		c->st.n_tokens += rc == 0;
	}
	return rc;
}

static int load_all(struct core *c, const struct core_start *s, struct err *err)
{
	int first_job = -1, n_job = 0;

	for (int i = 0; i < s->n_kvs; i++) {
		if (below(s->kvs[i].key, "/gantry/job/")) {
			if (first_job < 0)
				first_job = i;
			n_job++;
			continue;
		}
		int rc = load_object(c, &s->kvs[i], err);
		if (rc < 0)
			return err_wrap(err, "%s", s->kvs[i].key);
	}
	return n_job ? job_load(c, s->kvs + first_job, n_job, err) : 0;
}

int core_new(const struct core_start *s, core_emit *emit, void *arg, struct core **ret, struct err *err)
{
	AUTO(core_free) struct core *c = xcalloc(1, sizeof(*c));

	state_init(&c->st);
	c->out = outbox_new(s->seq, emit, arg);
	rng_seed(&c->rng, s->seed);
	c->st.epoch = s->epoch;
	c->st.now_ms = s->now_ms;
	c->st.wall_ms = s->wall_ms;
	c->started_ms = s->now_ms;
	(void)str_copy(c->st.self, sizeof(c->st.self), s->self);
	int rc = load_all(c, s, err);
	if (rc < 0)
		return rc;
	for (int i = 0; i < c->st.n_nodes; i++)
		c->st.nodes[i]->silent_since_ms = c->st.nodes[i]->granted_ms = s->silent_since_ms;
	core_event(c, "node '%s' is the master, epoch %lld", state_node_name(&c->st, s->self), (long long)s->epoch);
	job_resume(c);
	outbox_flush(c->out);
	*ret = TAKE(c);
	return 0;
}

void core_free(struct core *c)
{
	if (!c)
		return;
	job_list_free(c);
	for (int i = 0; i < c->n_events; i++)
		free(c->events[i].text);
	free(c->events);
	outbox_free(c->out);
	state_done(&c->st);
	free(c);
}

static void done(struct core *c)
{
	outbox_flush(c->out);
}

void core_committed(struct core *c, int64_t seq, bool ok)
{
	if (c->ended)
		return;
	if (!ok) {
		c->ended = true;
		outbox_step_down(c->out);
		return;
	}
	outbox_committed(c->out, seq);
	done(c);
}

void core_store_silent(struct core *c, int64_t since_ms)
{
	if (c->store_silent_since_ms && !since_ms)
		live_resumed(c);
	c->store_silent_since_ms = since_ms;
}

static void drop_old_tokens(struct core *c)
{
	struct state *st = &c->st;

	for (int i = 0; i < st->n_tokens; i++)
		if (st->tokens[i].expires_ms < st->wall_ms) {
			char key[64];

			(void)snprintf(key, sizeof(key), "/gantry/token/%s", st->tokens[i].id);
			outbox_put(c->out, key, NULL);
			schema_done(&token_schema, &st->tokens[i]);
			st->tokens[i--] = st->tokens[--st->n_tokens];
			return; /* one an event: a batch has a limit */
		}
}

/* Once every node is there and reads the next level, all write at it. Nobody can go back then: not before all are there. */
static void raise_level(struct core *c)
{
	int64_t all = level_here.newest;

	for (int i = 0; i < c->st.n_nodes; i++) {
		const struct snode *n = c->st.nodes[i];

		if (!n->connected || !n->level_newest)
			return;
		all = n->level_newest < all ? n->level_newest : all;
	}
	if (all <= c->st.cluster.schema_version)
		return;
	core_event(c, "all nodes know level %lld: messages and records are written at it from now on", (long long)all);
	c->st.cluster.schema_version = all;
	core_put_cluster(c);
	core_send_settings(c, NULL);
}

void core_tick(struct core *c, int64_t now_ms, int64_t wall_ms)
{
	if (c->ended)
		return;
	c->st.now_ms = now_ms;
	c->st.wall_ms = wall_ms;
	live_tick(c);
	job_tick(c);
	drop_old_tokens(c);
	outbox_flush(c->out);
	if (!c->store_silent_since_ms)
		raise_level(c);
	reconcile_tick(c);
	done(c);
}

const struct token *core_token(const struct core *c, const char *id)
{
	for (int i = 0; i < c->st.n_tokens; i++)
		if (strcmp(c->st.tokens[i].id, id) == 0 && c->st.tokens[i].expires_ms >= c->st.wall_ms)
			return &c->st.tokens[i];
	return NULL;
}

const struct state *core_state(const struct core *c)
{
	return &c->st;
}

/* ---- nodes --------------------------------------------------------------------------------------- */

int core_node_speaks(struct core *c, const char *node, const char *version, int64_t oldest, int64_t newest, struct err *err)
{
	struct snode *n = state_node(&c->st, node);

	if (!n)
		return 0;
	AUTO_FREE char *whose = xasprintf("node '%s'", n->n.name);
	int rc = level_check(whose, version, oldest, newest, c->st.cluster.schema_version, err);
	if (rc < 0 && !n->refused)
		core_event(c, "node '%s' is kept out: %s", n->n.name, err->msg);
	n->refused = rc < 0;
	n->level_oldest = oldest;
	n->level_newest = newest;
	(void)str_copy(n->version, sizeof(n->version), version);
	done(c);
	return rc;
}

static void tell_all(struct core *c, const struct snode *n)
{
	core_send_settings(c, n->n.uuid);
	core_send_node_gens(c, n->n.uuid);
	job_node_back(c, n->n.uuid);
}

void core_node_links(struct core *c, const char *node, int links, const char *boot_id, const char *version, int64_t wall_ms)
{
	struct snode *n = state_node(&c->st, node);

	if (!n)
		return;
	bool was = n->connected, other = links != n->links;
	if (links & ~n->links)
		n->heard_ms = c->st.now_ms;
	n->links = links;
	n->connected = links != 0;
	if (!n->connected) {
		if (was) {
			n->silent_since_ms = c->st.now_ms;
			core_event(c, "node '%s' is silent", n->n.name);
		}
		done(c);
		return;
	}
	n->silent_since_ms = 0;
	(void)str_copy(n->version, sizeof(n->version), version);
	n->clock_skew_ms = wall_ms - c->st.wall_ms;
	if (strcmp(n->boot_id, boot_id) != 0) {
		/* What was seen before its boot says nothing any more. */
		(void)str_copy(n->boot_id, sizeof(n->boot_id), boot_id);
		schema_done(&observed_schema, &n->seen);
		n->seen_ms = 0;
	}
	if (!was)
		core_event(c, "node '%s' is connected", n->n.name);
	if (!was || other) /* whatever was under way on the link that went may be lost */
		tell_all(c, n);
	done(c);
}

void core_tell_again(struct core *c)
{
	for (int i = 0; i < c->st.n_nodes; i++) {
		if (!c->st.nodes[i]->connected)
			continue;
		tell_all(c, c->st.nodes[i]);
		outbox_flush(c->out);
	}
}

void core_node_beat(struct core *c, const char *node)
{
	struct snode *n = state_node(&c->st, node);

	if (!n)
		return;
	n->heard_ms = c->st.now_ms;
	live_beat(c, n);
	done(c);
}

void core_node_clock(struct core *c, const char *node, int64_t skew_ms)
{
	struct snode *n = state_node(&c->st, node);

	if (n)
		n->clock_skew_ms = skew_ms; /* shown, and nothing rests on it */
}

/* The watchdog of its node guards the guest, under the newest permission: kept in the log, for the master after us (008). */
static void note_guards(struct core *c, const struct snode *n)
{
	for (int i = 0; i < n->seen.n_guests; i++) {
		const struct obs_guest *g = &n->seen.guests[i];
		struct sinstance *s = g->guarded > 0 ? state_instance(&c->st, g->uuid) : NULL;

		if (!s || !own_confirmed(&s->i.own) || g->guarded != state_ha_rev(&c->st, &s->i) || strcmp(own_runner(&s->i.own), n->n.uuid) != 0 ||
		    (strcmp(s->i.guard_node, n->n.uuid) == 0 && s->i.guard_rev == g->guarded))
			continue;
		(void)str_copy(s->i.guard_node, sizeof(s->i.guard_node), n->n.uuid);
		s->i.guard_rev = g->guarded;
		core_put_instance(c, s);
		outbox_flush(c->out);
	}
}

void core_node_observed(struct core *c, const char *node, const struct observed *o)
{
	struct snode *n = state_node(&c->st, node);

	if (!n)
		return;
	state_set_seen(n, o);
	n->heard_ms = c->st.now_ms;
	n->seen_ms = c->st.now_ms ? c->st.now_ms : 1;
	note_guards(c, n);
	reconcile_observed(c, n);
	done(c);
}

void core_step_result(struct core *c, const char *node, const struct msg_step_result *m)
{
	struct cjob *j = job_find(c, m->job);
	struct err err = ERR_INIT;

	if (!j || m->epoch > c->st.epoch || m->index >= j->j.n_steps || strcmp(j->j.steps[m->index].node, node) != 0)
		return;
	if (m->error[0]) {
		(void)err_set(&err, (enum err_code)err_by_name(m->error), "%s", m->msg ? m->msg : "");
		if (m->hint)
			(void)err_hint(&err, "%s", m->hint);
		(void)str_copy(err.node, sizeof(err.node), state_node_name(&c->st, node));
	}
	job_result(c, j, (int)m->index, (enum step_dir)m->dir, -err.code, m->result, &err);
	done(c);
}

void core_step_progress(struct core *c, const char *node, const struct msg_step_progress *m)
{
	struct cjob *j = job_find(c, m->job);

	if (j && m->index < j->j.n_steps && strcmp(j->j.steps[m->index].node, node) == 0)
		job_progress(c, j, (int)m->index, (int)m->permille, m->text);
	done(c);
}

void core_store_step_done(struct core *c, int64_t job, int index, enum step_dir dir, int rc, const struct err *err)
{
	struct cjob *j = job_find(c, job);

	if (j)
		job_result(c, j, index, dir, rc, NULL, err);
	done(c);
}

/* ---- arbitration ----------------------------------------------------------------------------------- */

/* Another member of current that was seen attached, UpToDate and unmarked at this generation (H7). */
static bool other_uptodate(const struct core *c, const struct sinstance *s, const char *node)
{
	for (int i = 0; i < s->i.own.n_current; i++) {
		const struct snode *n = state_node(&c->st, s->i.own.current[i]);
		const struct obs_drbd *d = n && strcmp(n->n.uuid, node) != 0 ? state_seen_drbd(n, s->i.uuid) : NULL;

		if (d && d->gen == s->i.own.gen && d->marked != 1 && strcmp(d->disk, "UpToDate") == 0 && !word_has_asked_out(s, n->n.uuid))
			return true;
	}
	return false;
}

/* The same of one outside of current, of which it may be that it lacks nothing all the same. */
static bool peer_good(const struct core *c, const struct sinstance *s, const char *peer)
{
	const struct obs_drbd *d = word_of(c, s, peer);

	return d && d->up == 1 && d->split != 1 && state_good_replica(d) && !word_has_asked_out(s, peer);
}

/*
 * H17: a node whose network dies, replication first, asks with its last breath; a yes would make the guest's mirror worthless a second before it is
 * needed. So the yes waits about two heartbeats, for a question that is repeated (its asker still lives), unless the peer is the silent one. Only
 * where a failover by itself could follow. Gives how long it still waits; 0 = not, or no more.
 */
static int64_t held_ms(struct core *c, struct sinstance *s, const struct snode *n, const struct msg_ask *m)
{
	const struct snode *peer = state_node(&c->st, state_other_node(&s->i, n->n.uuid));

	if (state_ha_policy(&c->st, &s->i) != HA_FAILOVER || !own_would_say_yes(&s->i.own, n->n.uuid, m))
		return 0;
	if (!peer || !peer->connected || live_of(peer) != NODE_ONLINE || !own_current(&s->i.own, peer->n.uuid))
		return 0; /* nobody else could take it over anyway */
	if (s->held_number != m->number || !s->held_boot || strcmp(s->held_boot, m->boot_id) != 0) {
		s->held_number = m->number;
		free(s->held_boot);
		s->held_boot = xstrdup(m->boot_id);
		s->held_ms = c->st.now_ms;
	}
	int64_t left = s->held_ms + 2 * lease_beat_ms(c->st.cluster.lease_ms) - c->st.now_ms;
	return left > 0 ? left : 0;
}

static void tell_answer(struct core *c, struct sinstance *s, const struct snode *n, const struct msg_ask *m, const struct msg_verdict *v)
{
	char *text = xasprintf("instance '%s': node '%s' asked %s (loss %lld, generation %lld): %s, generation %lld", s->i.name, n->n.name,
			       m->shrink == 1 ? "out of current" : "to go on alone", (long long)m->number, (long long)m->gen, verdict_names[v->verdict],
			       (long long)v->gen);

	if (!s->answer_told || strcmp(s->answer_told, text) != 0)
		core_event(c, "%s", text);
	free(s->answer_told);
	s->answer_told = text;
}

void core_ask(struct core *c, const char *node, const struct msg_ask *m)
{
	struct sinstance *s = state_instance(&c->st, m->instance);
	struct snode *n = state_node(&c->st, node);
	struct msg_verdict v;

	if (!s || !n || !strs_has(s->i.nodes, s->i.n_nodes, node))
		return;
	schema_init(&msg_verdict_schema, &v);
	(void)str_copy(v.instance, sizeof(v.instance), m->instance);
	(void)str_copy(v.boot_id, sizeof(v.boot_id), m->boot_id);
	v.number = m->number;
	v.epoch = c->st.epoch;
	if (m->shrink == 1) {
		const char *peer = state_other_node(&s->i, node);

		v.verdict = VERDICT_NOT_NOW;
		if (own_ask_shrink(&s->i.own, node, m, other_uptodate(c, s, node), c->st.wall_ms) ||
		    own_ask_hand(&s->i.own, node, peer, m, peer_good(c, s, peer), c->st.wall_ms)) {
			v.verdict = VERDICT_YES;
			core_put_instance(c, s);
		} else if (m->gen == s->i.own.gen) {
			word_asked_out(s, node); /* no plan may rest on it meanwhile */
		}
	} else {
		v.wait_ms = held_ms(c, s, n, m);
		v.verdict = v.wait_ms > 0 ? (int)VERDICT_NOT_NOW : (int)own_ask(&s->i.own, node, m, c->st.wall_ms);
		if (v.verdict == VERDICT_YES)
			core_put_instance(c, s);
	}
	v.gen = s->i.own.gen;
	tell_answer(c, s, n, m, &v);
	outbox_touch(c->out); /* "no" and "stale" too rest on being master still */
	bool yes = v.verdict == VERDICT_YES;
	if (m->shrink == 1) /* it has left, which the generations tell it: a handler that waits there, or a frozen Primary, would take this yes for its own (H3) */
		v.verdict = VERDICT_NOT_NOW;
	core_send(c, node, "verdict", &msg_verdict_schema, &v);
	if (yes)
		core_send_gens(c, s);
	schema_done(&msg_verdict_schema, &v);
	done(c);
}

void core_authorise(struct core *c, const char *node, const struct msg_authorise *m)
{
	struct sinstance *s = state_instance(&c->st, m->instance);
	struct msg_authority a;
	struct err err = ERR_INIT;
	int rc;

	schema_init(&msg_authority_schema, &a);
	(void)str_copy(a.id, sizeof(a.id), m->id);
	a.epoch = c->st.epoch;
	if (!s)
		rc = err_set(&err, ERR_NOT_FOUND, "the instance does not exist");
	else
		rc = own_authorise(&s->i.own, node, (enum authority)m->what, &err);
	/* The other side's report may be newer than the plan, and a split may be noticed by one of them only (011). */
	if (rc == 0 && RULE(SPLIT) && m->what == AUTH_PROMOTE && tails_split(&c->st, &s->i))
		rc = tails_split_why(&c->st, &s->i, &err);
	a.granted = rc == 0;
	/* Whoever may run a guest with ha=failover is told so at that moment, under a number of its own: no older guard counts for it. */
	if (rc == 0 && (m->what == AUTH_START || m->what == AUTH_RESUME) && state_ha_policy(&c->st, &s->i) == HA_FAILOVER) {
		s->i.ha_rev++;
		a.ha = s->i.own.arbitrated == 1;
		a.ha_rev = state_ha_rev(&c->st, &s->i);
		core_put_instance(c, s);
	}
	a.reason = rc < 0 ? xstrdup(err.msg) : NULL;
	a.gen = s ? s->i.own.gen : 0;
	if (s)
		core_event(c, "instance '%s': node '%s' asked to %s: %s%s, generation %lld", s->i.name, state_node_name(&c->st, node),
			   authority_names[m->what], a.granted ? "granted" : "refused: ", a.granted ? "" : err.msg, (long long)a.gen);
	outbox_touch(c->out); /* answered only from a transaction made in this round trip (H10) */
	core_send(c, node, "authority", &msg_authority_schema, &a);
	schema_done(&msg_authority_schema, &a);
	done(c);
}

/* ---- genesis ---------------------------------------------------------------------------------------- */

int core_genesis(const struct cluster *cl, const struct secret *s, const struct node *first, struct core_put **ret, int *ret_n, struct err *err)
{
	int rc = schema_check(&cluster_schema, cl, err);

	if (rc == 0)
		rc = schema_check(&node_schema, first, err);
	if (rc < 0)
		return rc;
	struct core_put *p = xcalloc(4, sizeof(*p));
	p[0] = (struct core_put){ xstrdup("/gantry/cluster"), schema_encode_text(&cluster_schema, cl) };
	p[1] = (struct core_put){ xstrdup("/gantry/secret"), schema_encode_text(&secret_schema, s) };
	p[2] = (struct core_put){ xasprintf("/gantry/node/%s", first->uuid), schema_encode_text(&node_schema, first) };
	p[3] = (struct core_put){ xstrdup(TERM_SEQ), xstrdup("0 0") };
	*ret = p;
	*ret_n = 4;
	return 0;
}
