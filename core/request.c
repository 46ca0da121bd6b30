/* SPDX-License-Identifier: Apache-2.0 */
/* Requests of clients: queries answered from memory, changes refused or made at once, jobs filed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/xmem.h"
#include "core/inside.h"
#include "core/planners.h"

/* ---- requests ----------------------------------------------------------------------------------- */

static int dry_run(struct core *c, enum op_index op, const void *args, json_t **ret, struct err *err)
{
	AUTO_PLAN struct plan p = { 0 };
	struct rng rng = c->rng; /* a plan that is only shown uses up no numbers */
	char **locks = NULL;
	int n_locks = 0;

	plan_init(&p);
	int rc = plan_locks(&c->st, op, args, &locks, &n_locks, err);
	if (rc == 0)
		rc = plan_run(&c->st, op, args, &rng, &p, err);
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
	int rc = a->name[0] ? check_name("a node", a->name, err) : 0;
	if (rc < 0)
		return rc;
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
	core_put_token(c, t);
	*ret = json_pack("{s:s, s:I}", "token_id", t->id, "expires_ms", (json_int_t)t->expires_ms);
	return 0;
}

/* The heir must be able to be master: what it cannot know itself is checked here. */
static int hand_over(struct core *c, const struct op_node_name *a, json_t **ret, struct err *err)
{
	struct snode *n;
	int rc = state_need_node(&c->st, a->name, &n, err);

	if (rc < 0)
		return rc;
	if (strcmp(n->n.uuid, c->st.self) == 0)
		return err_set(err, ERR_WRONG_STATE, "node '%s' is the master already", n->n.name);
	if (n->n.witness == 1)
		return err_set(err, ERR_WRONG_STATE, "node '%s' is a witness: it votes, but cannot be master", n->n.name),
		       err_hint(err, "repeat the command on a master candidate: 'gnt node list' shows them as C");
	if (n->n.candidate != 1 || n->n.offline == 1 || n->n.drained == 1)
		return err_set(err, ERR_WRONG_STATE, "node '%s' is %s", n->n.name,
			       n->n.candidate != 1 ? "no master candidate" : n->n.offline == 1 ? "marked offline" : "drained"),
		       err_hint(err, n->n.candidate != 1 ? "repeat the command on a master candidate: 'gnt node list' shows them as C" :
							   "'gnt node modify %s no %s' first", n->n.offline == 1 ? "-O" : "-D", n->n.name);
	if (!n->connected)
		return err_set(err, ERR_NODE_DOWN, "node '%s' does not answer the master", n->n.name);
	outbox_touch(c->out); /* handed over only by one that is master still */
	outbox_hand_over(c->out, n->n.uuid);
	*ret = json_pack("{s:s}", "to", n->n.name);
	return 0;
}

static int quick(struct core *c, enum op_index op, const void *args, const json_t *raw, json_t **ret, struct err *err)
{
	const struct op_job_id *a = args;
	struct cjob *j;

	switch (op) {
	case OP_cluster_hand_over:
		return hand_over(c, args, ret, err);
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
		job_archive(c, j);
		*ret = json_object();
		return 0;
	default:
		return err_set(err, ERR_NOT_SUPPORTED, "'%s' is not a request to the master", op_infos[op].name);
	}
}

/* Who did what: a job carries it in its record; a request that is no job leaves an event. */
static void record(struct core *c, enum op_index op, const void *args, const struct msg_request *m)
{
	AUTO_JSON json_t *said = schema_encode_public(op_infos[op].args, args);
	const char *name = json_str(said, "name", "");
	int64_t id = json_int(said, "id", 0);
	char what[96] = "";

	if (name[0])
		(void)snprintf(what, sizeof(what), " '%s'", name);
	else if (id)
		(void)snprintf(what, sizeof(what), " %lld", (long long)id);
	core_event(c, "%s%s by %s%s%s", op_infos[op].name, what, m->user[0] ? m->user : "gantry", m->reason ? ": " : "", m->reason ? m->reason : "");
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

/* A job that has ended already (it had steps of the master only) is told whole: nobody need ask for it again. */
static json_t *filed(const struct core *c, int64_t id)
{
	const struct cjob *j = job_find(c, id);
	json_t *o = json_pack("{s:I}", "job", (json_int_t)id);

	if (job_ended(j))
		json_object_set_new(o, "last", job_news_json(c, j, 0));
	return o;
}

static int change(struct core *c, enum op_index op, const void *args, const struct msg_request *m, json_t **ret, struct err *err)
{
	int64_t id = 0;

	if (c->store_silent_since_ms)
		return err_set(err, ERR_NO_MAJORITY, "the store has not answered for %lld s: no majority of voters",
			       (long long)(c->st.now_ms - c->store_silent_since_ms) / 1000);
	if (op_infos[op].kind == OP_QUICK) {
		if (m->dry_run == 1)
			return err_set(err, ERR_NOT_SUPPORTED, "'%s' has no plan: it is one transaction", op_infos[op].name),
			       err_hint(err, "leave out --dry-run");
		int done = quick(c, op, args, m->args, ret, err);

		if (done == 0)
			record(c, op, args, m);
		return done;
	}
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
		*ret = filed(c, id);
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

/* What came with a level that the cluster has not reached can be neither recorded nor ordered. */
static int check_needs(const struct core *c, enum op_index op, const void *args, struct err *err)
{
	const struct field *f = NULL;
	int64_t needs = schema_needs(op_infos[op].args, args, &f);

	if (needs <= c->st.cluster.schema_version)
		return 0;
	(void)err_set(err, ERR_VERSION, "'%s' needs level %lld, the cluster is at %lld", f->name, (long long)needs, (long long)c->st.cluster.schema_version);
	return err_hint(err, "upgrade Gantry on all nodes; 'gnt cluster verify' names those that are behind");
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
		outbox_flush(c->out);
		return;
	}
	void *args = xcalloc(1, op_infos[op].args->size);
	rc = decode_args((enum op_index)op, args, m->args, &err);
	if (rc == 0) {
		rc = check_needs(c, (enum op_index)op, args, &err);
		if (rc == 0)
			rc = run_request(c, client, (enum op_index)op, args, m, &result, &err);
		schema_done(op_infos[op].args, args);
	}
	free(args);
	if (rc < 0)
		core_reply_err(c, client, m->id, &err);
	else if (rc == 0)
		core_reply_ok(c, client, m->id, result);
	outbox_flush(c->out);
}

void core_client_gone(struct core *c, uint64_t client)
{
	job_client_gone(c, client);
}

/* The machine learns the end of its job, not its beginning: another may have used its token or its name before its turn came. */
void core_joined(struct core *c, uint64_t client, const struct job *j)
{
	struct err err = ERR_INIT;
	struct step_settings s;
	struct msg_reply *r;

	if (j->state != JOB_SUCCESS) {
		(void)err_set(&err, (enum err_code)err_by_name(j->error), "%s", j->error_msg ? j->error_msg : "the job that admits it was given up");
		if (j->error_hint)
			(void)err_hint(&err, "%s", j->error_hint);
		outbox_reply(c->out, CORE_JOINED, client, core_error_reply(j->request_id, &err));
		return;
	}
	r = xcalloc(1, sizeof(*r));
	schema_init(&msg_reply_schema, r);
	core_fill_settings(c, &s);
	r->result = json_pack("{s:I, s:o}", "job", (json_int_t)j->id, "settings", schema_encode(&step_settings_schema, &s));
	schema_done(&step_settings_schema, &s);
	outbox_reply(c->out, CORE_JOINED, client, r);
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
	struct cjob *j = rc == 0 ? job_find(c, id) : NULL;
	if (j)
		job_wait_join(c, j, client);
	else
		outbox_reply(c->out, CORE_JOINED, client, core_error_reply(m.id, &err));
	schema_done(&msg_request_schema, &m);
	outbox_flush(c->out);
}
