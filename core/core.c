/* SPDX-License-Identifier: Apache-2.0 */
#include "core/core.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/xmem.h"
#include "core/inside.h"
#include "core/own.h"
#include "core/term.h"

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
	json_t *j = schema_encode(s, msg);

	json_object_set_new(j, "type", json_string(type));
	outbox_send(c->out, node, json_text(j));
	json_decref(j);
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

static struct msg_reply *error_reply(const char *id, const struct err *err)
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
		outbox_reply_now(c->out, client, error_reply(id, err));
	else
		outbox_reply(c->out, CORE_REPLY, client, error_reply(id, err));
}

static void put_object(struct core *c, const char *dir, const char *id, const struct schema *s, const void *obj)
{
	char key[96];

	(void)snprintf(key, sizeof(key), "/gantry/%s%s%s", dir, id[0] ? "/" : "", id);
	outbox_put(c->out, key, schema_encode_text(s, obj));
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

static void fill_gen(const struct instance *i, const char *node, struct msg_gen *g)
{
	(void)str_copy(g->instance, sizeof(g->instance), i->uuid);
	g->gen = i->own.gen;
	g->arbitrated = i->own.arbitrated;
	g->current = own_current(&i->own, node);
	g->owner = strcmp(own_runner(&i->own), node) == 0;
}

static void send_gens(struct core *c, const char *node, const struct sinstance *only)
{
	const struct field *list = schema_find(&msg_gens_schema, "gens");
	struct msg_gens m;

	schema_init(&msg_gens_schema, &m);
	m.epoch = c->st.epoch;
	for (int i = 0; i < c->st.n_instances; i++) {
		const struct sinstance *s = c->st.instances[i];

		if ((!only || s == only) && strs_has(s->i.nodes, s->i.n_nodes, node))
			fill_gen(&s->i, node, schema_list_add(list, &m));
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

static int load_object(struct core *c, const struct core_kv *kv, struct err *err)
{
	int rc = 0;

	if (strcmp(kv->key, "/gantry/cluster") == 0)
		return schema_decode_text(&cluster_schema, &c->st.cluster, kv->value, err);
	if (strcmp(kv->key, "/gantry/secret") == 0)
		return schema_decode_text(&secret_schema, &c->st.secret, kv->value, err);
	if (strcmp(kv->key, "/gantry/lastjob") == 0) {
		c->last_job = strtoll(kv->value, NULL, 10);
	} else if (below(kv->key, "/gantry/node/")) {
		struct node n;

		rc = schema_decode_text(&node_schema, &n, kv->value, err);
		if (rc == 0) {
			state_put_node(&c->st, &n);
			schema_done(&node_schema, &n);
		}
	} else if (below(kv->key, "/gantry/instance/")) {
		struct instance i;

		rc = schema_decode_text(&instance_schema, &i, kv->value, err);
		if (rc == 0) {
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
	(void)str_copy(c->st.self, sizeof(c->st.self), s->self);
	int rc = load_all(c, s, err);
	if (rc < 0)
		return rc;
	for (int i = 0; i < c->st.n_nodes; i++)
		c->st.nodes[i]->silent_since_ms = s->silent_since_ms;
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
	for (int i = 0; i < c->n_jobs; i++)
		job_free(c->jobs[i]);
	free(c->jobs);
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

void core_tick(struct core *c, int64_t now_ms, int64_t wall_ms)
{
	if (c->ended)
		return;
	c->st.now_ms = now_ms;
	c->st.wall_ms = wall_ms;
	job_tick(c);
	drop_old_tokens(c);
	outbox_flush(c->out);
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

/* ---- requests ----------------------------------------------------------------------------------- */

static int dry_run(struct core *c, enum op_index op, const void *args, json_t **ret, struct err *err)
{
	AUTO_PLAN struct plan p;
	struct rng rng = c->rng; /* a plan that is only shown uses up no numbers */
	char **locks = NULL;
	int n_locks = 0;

	plan_init(&p);
	int rc = plan_locks(&c->st, op, args, &locks, &n_locks, err);
	if (rc == 0)
		rc = plan_for(op)(&c->st, args, &rng, &p, err);
	if (rc == 0)
		*ret = plan_json(c, &p, locks, n_locks);
	strs_clear(&locks, &n_locks);
	return rc;
}

static int make_token(struct core *c, const struct op_node_token *a, const json_t *extra, json_t **ret, struct err *err)
{
	struct state *st = &c->st;

	if (!extra)
		return err_set(err, ERR_INTERNAL, "token without a hash");
	if (st->n_tokens >= 100)
		return err_set(err, ERR_TOO_BIG, "100 join tokens are open"), err_hint(err, "let some expire");
	st->tokens = xrealloc(st->tokens, (size_t)(st->n_tokens + 1) * sizeof(struct token));
	struct token *t = &st->tokens[st->n_tokens++];

	schema_init(&token_schema, t);
	(void)str_copy(t->id, sizeof(t->id), json_str(extra, "token_id", ""));
	(void)str_copy(t->hash, sizeof(t->hash), json_str(extra, "token_hash", ""));
	(void)str_copy(t->node, sizeof(t->node), a->name);
	t->witness = a->witness;
	t->expires_ms = st->wall_ms + a->valid * 1000;
	put_object(c, "token", t->id, &token_schema, t);
	*ret = json_pack("{s:s, s:I}", "token_id", t->id, "expires_ms", (json_int_t)t->expires_ms);
	return 0;
}

static int quick(struct core *c, enum op_index op, const void *args, const json_t *raw, json_t **ret, struct err *err)
{
	const struct op_job_id *a = args;
	struct cjob *j;

	switch (op) {
	case OP_node_token:
		return make_token(c, args, json_object_get(raw, "secret_part"), ret, err);
	case OP_job_cancel: {
		int rc = job_cancel(c, a->id, err);

		if (rc == 0)
			*ret = json_pack("{s:I}", "job", (json_int_t)a->id);
		return rc;
	}
	case OP_job_archive:
		j = job_find(c, a->id);
		if (!j)
			return err_set(err, ERR_NOT_FOUND, "job %lld does not exist", (long long)a->id);
		if (!job_ended(j))
			return err_set(err, ERR_WRONG_STATE, "job %lld has not ended", (long long)a->id);
		for (int i = 0; i < c->n_jobs; i++)
			if (c->jobs[i] == j) {
				char key[64];

				(void)snprintf(key, sizeof(key), "/gantry/job/%lld", (long long)a->id);
				outbox_put(c->out, key, NULL);
				job_free(j);
				memmove(c->jobs + i, c->jobs + i + 1, (size_t)(c->n_jobs - i - 1) * sizeof(struct cjob *));
				c->n_jobs--;
				break;
			}
		*ret = json_object();
		return 0;
	default:
		return err_set(err, ERR_NOT_SUPPORTED, "'%s' is not a request to the master", op_infos[op].name);
	}
}

/* One request becomes several jobs; each is planned for itself when its turn comes. */
static int fan_out(struct core *c, enum op_index op, const void *args, const struct msg_request *m, json_t **ret, struct err *err)
{
	AUTO_JSON json_t *list = NULL;
	int rc = plan_fan_out(&c->st, op, args, &list, err);
	json_t *jobs;
	size_t i;
	json_t *item;

	if (rc < 0)
		return rc;
	if (m->dry_run == 1) {
		*ret = json_pack("{s:O}", "would_submit", list);
		return 0;
	}
	jobs = json_array();
	json_array_foreach(list, i, item) {
		struct msg_request sub;
		struct err why = ERR_INIT;
		int64_t id = 0;

		schema_copy(&msg_request_schema, &sub, m);
		(void)snprintf(sub.id, sizeof(sub.id), "%.56s.%zu", m->id, i);
		int one = job_submit(c, (enum op_index)op_by_name(json_str(item, "op", "")), json_object_get(item, "args"), &sub, &id, &why);
		schema_done(&msg_request_schema, &sub);
		outbox_flush(c->out); /* each job is a unit of its own */
		if (one == 0)
			json_array_append_new(jobs, json_integer(id));
		else
			core_event(c, "%s: %s", op_infos[op].name, why.msg);
	}
	*ret = json_pack("{s:o}", "jobs", jobs);
	return 0;
}

static int change(struct core *c, enum op_index op, const void *args, const struct msg_request *m, json_t **ret, struct err *err)
{
	int64_t id = 0;

	if (c->store_silent_since_ms)
		return err_set(err, ERR_NO_MAJORITY, "the store has not answered for %lld s: no majority of voters",
			       (long long)(c->st.now_ms - c->store_silent_since_ms) / 1000);
	if (op_infos[op].kind == OP_QUICK)
		return quick(c, op, args, m->args, ret, err);
	int rc = fan_out(c, op, args, m, ret, err);
	if (rc != -ERR_NOT_SUPPORTED)
		return rc;
	err_clear(err);
	if (m->dry_run == 1)
		return dry_run(c, op, args, ret, err);
	/* What can be refused now is refused now, before there is a job. */
	json_t *trial = NULL;
	if (!job_pending(c, op, NULL)) {
		rc = dry_run(c, op, args, &trial, err);
		json_decref(trial);
		if (rc < 0 && err_class(err->code) == ERR_CLASS_USER)
			return rc;
		err_clear(err);
	}
	rc = job_submit(c, op, m->args, m, &id, err);
	if (rc == 0)
		*ret = json_pack("{s:I}", "job", (json_int_t)id);
	return rc;
}

static int run_request(struct core *c, uint64_t client, enum op_index op, const void *args, const struct msg_request *m, json_t **ret,
		       struct err *err)
{
	if (op_infos[op].acl == OP_ADMIN && m->admin != 1)
		return err_set(err, ERR_PERMISSION, "'%s' needs the admin socket", op_infos[op].name);
	if (op == OP_job_wait) {
		const struct op_job_wait *w = args;
		struct cjob *j = job_find(c, w->id);

		if (!j)
			return err_set(err, ERR_NOT_FOUND, "job %lld does not exist", (long long)w->id);
		job_wait(c, j, client, m->id, w->seen, w->wait_ms);
		return 1; /* answered by itself */
	}
	if (op_infos[op].kind == OP_QUERY)
		return query_run(c, op, args, ret, err);
	return change(c, op, args, m, ret, err);
}

/* What the bridge adds to a token request (its hash) is no argument of the request. */
static int decode_args(enum op_index op, void *args, const json_t *raw, struct err *err)
{
	AUTO_JSON json_t *copy = raw ? json_copy((json_t *)(uintptr_t)raw) : json_object();

	if (op == OP_node_token)
		(void)json_object_del(copy, "secret_part");
	return schema_decode(op_infos[op].args, args, copy, err);
}

void core_request(struct core *c, uint64_t client, const struct msg_request *m)
{
	struct err err = ERR_INIT;
	int op = op_by_name(m->op);
	json_t *result = NULL;
	int rc;

	if (op < 0) {
		(void)err_set(&err, ERR_BAD_REQUEST, "request '%s' does not exist", m->op);
		core_reply_err(c, client, m->id, &err);
		done(c);
		return;
	}
	void *args = xcalloc(1, op_infos[op].args->size);
	rc = decode_args((enum op_index)op, args, m->args, &err);
	if (rc == 0) {
		rc = run_request(c, client, (enum op_index)op, args, m, &result, &err);
		schema_done(op_infos[op].args, args);
	}
	free(args);
	if (rc < 0)
		core_reply_err(c, client, m->id, &err);
	else if (rc == 0)
		core_reply_ok(c, client, m->id, result);
	done(c);
}

void core_client_gone(struct core *c, uint64_t client)
{
	job_client_gone(c, client);
}

void core_join(struct core *c, uint64_t client, const struct op_node_admit *a)
{
	struct err err = ERR_INIT;
	struct msg_request m;
	int64_t id = 0;

	schema_init(&msg_request_schema, &m);
	(void)str_copy(m.user, sizeof(m.user), a->name);
	(void)snprintf(m.id, sizeof(m.id), "join.%.40s", a->uuid);
	AUTO_JSON json_t *args = schema_encode(&op_node_admit_schema, a);
	json_t *trial = NULL;
	int rc = dry_run(c, OP_node_admit, a, &trial, &err);
	json_decref(trial);
	if (rc == 0)
		rc = job_submit(c, OP_node_admit, args, &m, &id, &err);
	struct msg_reply *r;
	if (rc < 0) {
		r = error_reply(m.id, &err);
	} else {
		r = xcalloc(1, sizeof(*r));
		schema_init(&msg_reply_schema, r);
		struct step_settings s;

		core_fill_settings(c, &s);
		r->result = json_pack("{s:I, s:o}", "job", (json_int_t)id, "settings", schema_encode(&step_settings_schema, &s));
		schema_done(&step_settings_schema, &s);
	}
	outbox_reply(c->out, CORE_JOINED, client, r);
	schema_done(&msg_request_schema, &m);
	done(c);
}

/* ---- nodes --------------------------------------------------------------------------------------- */

void core_node_links(struct core *c, const char *node, int links, const char *boot_id, const char *version, int64_t wall_ms)
{
	struct snode *n = state_node(&c->st, node);

	if (!n)
		return;
	bool was = n->connected, other = links != n->links;
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
	if (!was) {
		core_event(c, "node '%s' is connected", n->n.name);
		core_send_settings(c, node);
		core_send_node_gens(c, node);
	}
	if (!was || other) /* whatever was under way on the link that went may be lost */
		job_node_back(c, node);
	done(c);
}

void core_node_beat(struct core *c, const char *node)
{
	struct snode *n = state_node(&c->st, node);

	if (n)
		n->beat_ms = c->st.now_ms;
}

void core_node_observed(struct core *c, const char *node, const struct observed *o)
{
	struct snode *n = state_node(&c->st, node);

	if (!n)
		return;
	struct observed copy;
	schema_copy(&observed_schema, &copy, o);
	schema_done(&observed_schema, &n->seen);
	n->seen = copy;
	n->seen_ms = c->st.now_ms ? c->st.now_ms : 1;
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

		if (d && d->gen == s->i.own.gen && d->marked != 1 && strcmp(d->disk, "UpToDate") == 0)
			return true;
	}
	return false;
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
		v.verdict = VERDICT_NOT_NOW;
		if (own_ask_shrink(&s->i.own, node, m, other_uptodate(c, s, node), c->st.wall_ms)) {
			v.verdict = VERDICT_YES;
			core_put_instance(c, s);
		}
	} else {
		v.verdict = (int)own_ask(&s->i.own, node, m, c->st.wall_ms);
		if (v.verdict == VERDICT_YES)
			core_put_instance(c, s);
	}
	v.gen = s->i.own.gen;
	core_event(c, "instance '%s': node '%s' asked %s (loss %lld, generation %lld): %s, generation %lld", s->i.name, n->n.name,
		   m->shrink == 1 ? "out of current" : "to go on alone", (long long)m->number, (long long)m->gen,
		   verdict_names[v.verdict], (long long)v.gen);
	outbox_touch(c->out); /* "no" and "stale" too rest on being master still */
	core_send(c, node, "verdict", &msg_verdict_schema, &v);
	if (v.verdict == VERDICT_YES)
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
	a.granted = rc == 0;
	a.reason = rc < 0 ? xstrdup(err.msg) : NULL;
	a.gen = s ? s->i.own.gen : 0;
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
