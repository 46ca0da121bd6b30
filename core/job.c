/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jobs: journal and the saga that walks a plan (queue and locks: job_queue.c). The rules are in doc/design/002-core.adoc:
 * journal, then send; before the pivot a failure undoes in reverse order, after it only forward.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/xmem.h"
#include "core/fence.h"
#include "core/inside.h"
#include "core/saga.h"

static const struct sm_state job_states[] = {
	[JOB_QUEUED] = { "queued", SM_BIT(JOB_WAITING) | SM_BIT(JOB_RUNNING) | SM_BIT(JOB_ERROR) | SM_BIT(JOB_CANCELED), SM_INITIAL },
	[JOB_WAITING] = { "waiting", SM_BIT(JOB_RUNNING) | SM_BIT(JOB_ERROR) | SM_BIT(JOB_CANCELED), 0 },
	[JOB_RUNNING] = { "running", SM_BIT(JOB_SUCCESS) | SM_BIT(JOB_UNDOING) | SM_BIT(JOB_ERROR) | SM_BIT(JOB_STUCK), 0 },
	[JOB_UNDOING] = { "undoing", SM_BIT(JOB_ERROR) | SM_BIT(JOB_CANCELED) | SM_BIT(JOB_STUCK), 0 },
	[JOB_SUCCESS] = { "success", 0, SM_FINAL },
	[JOB_ERROR] = { "error", 0, SM_FINAL },
	[JOB_CANCELED] = { "canceled", 0, SM_FINAL },
	[JOB_STUCK] = { "stuck", SM_BIT(JOB_RUNNING) | SM_BIT(JOB_UNDOING) | SM_BIT(JOB_ERROR), 0 },
};
const struct sm job_sm = { "job", job_states, (int)ARRAY_SIZE(job_states) };

void job_free(struct cjob *j)
{
	schema_done(&job_schema, &j->j);
	for (int i = 0; i < STEP_LOG_MAX && i < j->n_news; i++)
		free(j->news[i]);
	free(j->news);
	free(j->progress);
	free(j->result);
	list_for_each_safe(l, &j->waiters) {
		list_del(l);
		free(list_entry(l, struct waiter, link));
	}
	free(j);
}

bool job_ended(const struct cjob *j)
{
	return (job_states[j->j.state].flags & SM_FINAL) != 0;
}

/* ---- journal ---------------------------------------------------------------------------------- */

void job_put(struct core *c, const struct cjob *j)
{
	char key[64];

	(void)snprintf(key, sizeof(key), "/gantry/job/%lld", (long long)j->j.id);
	outbox_put(c->out, key, schema_encode_text_at(&job_schema, &j->j, c->st.cluster.schema_version));
}

void job_note_time(struct cjob *j, int step, enum record_event ev, int64_t wall_ms)
{
	struct plan_step *s = &j->j.steps[step];

	if (ev == RECORD_STARTED)
		s->started_ms = wall_ms;
	else if ((ev == RECORD_DONE || ev == RECORD_FAILED) && s->started_ms != FIELD_UNSET)
		s->ended_ms = wall_ms;
}

static void put_record(struct core *c, struct cjob *j, int step, enum record_event ev, json_t *result, const struct err *err)
{
	struct job_record r;
	char key[80];

	schema_init(&job_record_schema, &r);
	r.step = step;
	r.event = (int)ev;
	r.at_ms = c->st.wall_ms;
	job_note_time(j, step, ev, r.at_ms);
	r.result = result ? json_incref(result) : NULL;
	if (err && err->code) {
		(void)str_copy(r.error, sizeof(r.error), err_name(err->code));
		r.error_msg = xstrdup(err->msg);
		r.error_hint = xstrdup(err->hint);
	}
	if (j->n_records == 0)
		j->first_unit = outbox_unit(c->out);
	(void)snprintf(key, sizeof(key), "/gantry/job/%lld/%06d", (long long)j->j.id, j->n_records++);
	outbox_put(c->out, key, schema_encode_text_at(&job_record_schema, &r, c->st.cluster.schema_version));
	schema_done(&job_record_schema, &r);
}

void job_set_busy(struct core *c, const struct cjob *j, int64_t job)
{
	for (int i = 0; i < j->j.n_locks; i++)
		if (strncmp(j->j.locks[i], "instance:", 9) == 0) {
			struct sinstance *s = state_instance_named(&c->st, j->j.locks[i] + 9);

			if (s && (job || s->busy_job == j->j.id))
				s->busy_job = job;
		}
}

/* The nodes may drop what they remember of the job: no order of it will ever come again. */
static void forget_on_nodes(struct core *c, const struct cjob *j)
{
	struct msg_forget m = { .job = j->j.id };

	for (int i = 0; i < j->j.n_steps; i++) {
		bool told = !j->j.steps[i].node[0];

		for (int k = 0; k < i && !told; k++)
			told = strcmp(j->j.steps[k].node, j->j.steps[i].node) == 0;
		if (!told)
			core_send(c, j->j.steps[i].node, "forget", &msg_forget_schema, &m);
	}
}

/* A job's record is kept for long: a fence agent's password was for the job, not for its record. */
static void drop_secrets(struct cjob *j)
{
	int op = op_by_name(j->j.op);

	for (int i = 0; op >= 0 && j->j.args && i < op_infos[op].args->n_fields; i++)
		if (op_infos[op].args->fields[i].flags & FIELD_SECRET)
			(void)json_object_del(j->j.args, op_infos[op].args->fields[i].name);
}

void job_end(struct core *c, struct cjob *j, int state)
{
	char key[72];

	drop_secrets(j);
	sm_move(&job_sm, &j->j.state, state);
	j->j.ended_ms = c->st.wall_ms;
	state_release(&c->st, j->j.id);
	job_set_busy(c, j, 0);
	/* What was ordered is kept for 'gnt job info'; the arguments (they may hold secrets) are not. */
	for (int i = 0; i < j->j.n_steps; i++) {
		json_decref(j->j.steps[i].args);
		j->j.steps[i].args = NULL;
		j->j.steps[i].state = j->step[i];
	}
	(void)snprintf(key, sizeof(key), "/gantry/job/%lld/", (long long)j->j.id);
	if (j->n_records && j->first_unit == outbox_unit(c->out))
		outbox_unput(c->out, key); /* begun and ended in one unit: none of its records is in the store */
	else if (j->n_records)
		outbox_put(c->out, key, NULL);
	job_put(c, j);
	job_slim(j);
	forget_on_nodes(c, j);
	if (state == JOB_SUCCESS)
		job_news(c, j, "done");
	else
		job_news(c, j, "%s: %s", state == JOB_CANCELED ? "canceled" : "failed", j->j.error_msg ? j->j.error_msg : "");
	core_event(c, "job %lld (%s, %s) by %s ended: %s%s%s", (long long)j->j.id, j->j.op, j->j.summary, j->j.user, job_state_names[state],
		   state == JOB_SUCCESS ? "" : ": ", state == JOB_SUCCESS || !j->j.error_msg ? "" : j->j.error_msg);
}

void job_set_error(struct cjob *j, const struct err *err)
{
	if (j->j.error[0])
		return; /* the first one is the cause */
	(void)str_copy(j->j.error, sizeof(j->j.error), err_name(err->code));
	free(j->j.error_msg);
	free(j->j.error_hint);
	j->j.error_msg = xstrdup(err->msg);
	j->j.error_hint = xstrdup(err_hint_text(err));
}

/* ---- the saga --------------------------------------------------------------------------------- */

bool job_past_pivot(const struct cjob *j)
{
	for (int i = 0; i < j->j.n_steps; i++)
		if (j->j.steps[i].pivot == 1 && j->step[i] == STEP_DONE)
			return true;
	return false;
}

const char *job_step_node(const struct core *c, const struct plan_step *s)
{
	return s->node[0] ? state_node_name(&c->st, s->node) : "master";
}

/* What is secret is in no job's record: a fence order gets the agents of its node as they are when it is given. */
static json_t *order_args(const struct core *c, const struct plan_step *s)
{
	struct step_fence f;
	struct err err = ERR_INIT;

	if (!s->args || step_kind_by_name(s->kind) != STEP_KIND_fence_off || schema_decode(&step_fence_schema, &f, s->args, &err) < 0)
		return s->args ? json_incref(s->args) : NULL;
	const struct snode *n = state_node(&c->st, f.uuid);
	if (n && n->n.fence && f.n_agents == 0)
		IGNORE(fence_parse(n->n.fence, &f, &err)); /* it was taken only as one that can be read; none: the node says so */
	json_t *args = schema_encode(&step_fence_schema, &f);
	schema_done(&step_fence_schema, &f);
	return args;
}

static void send_step(struct core *c, const struct cjob *j, int index, enum step_dir dir, bool cancel)
{
	const struct plan_step *s = &j->j.steps[index];
	struct msg_step m;

	schema_init(&msg_step_schema, &m);
	m.epoch = c->st.epoch;
	m.job = j->j.id;
	m.index = index;
	m.dir = (int)dir;
	(void)str_copy(m.kind, sizeof(m.kind), s->kind);
	m.attempt = index == j->cur ? j->attempt : 0;
	m.cancel = cancel;
	m.args = order_args(c, s);
	core_send(c, s->node, "step", &msg_step_schema, &m);
	schema_done(&msg_step_schema, &m);
}

static enum step_kind kind_of(const struct cjob *j, int i)
{
	int k = step_kind_by_name(j->j.steps[i].kind);

	assert(k >= 0);
	return (enum step_kind)k;
}

static void order_store(struct core *c, struct cjob *j, enum step_dir dir)
{
	struct step_member m;
	struct err err = ERR_INIT;

	if (schema_decode(&step_member_schema, &m, j->j.steps[j->cur].args, &err) < 0) {
		job_result(c, j, j->cur, dir, -err.code, NULL, &err);
		return;
	}
	outbox_store_step(c->out, j->j.id, j->cur, kind_of(j, j->cur), dir, &m);
	schema_done(&step_member_schema, &m);
}

/* Gives the order of the step in hand; its intent is journalled in the same unit. True when it ended at once. */
static bool order_step(struct core *c, struct cjob *j, enum step_dir dir, int *ret_rc, struct err *ret_err)
{
	const struct step_info *info = &step_infos[kind_of(j, j->cur)];

	j->step_since_ms = c->st.now_ms;
	j->waiting = true;
	j->retry_at_ms = 0;
	j->cancel_sent = false;
	j->permille = 0;
	free(j->progress);
	j->progress = NULL;
	switch (info->where) {
	case STEP_MASTER:
		j->waiting = false;
		*ret_rc = apply_step(c, kind_of(j, j->cur), dir, j->j.steps[j->cur].args, ret_err);
		return true;
	case STEP_STORE:
		order_store(c, j, dir);
		return false;
	case STEP_NODE:
	default:
		send_step(c, j, j->cur, dir, false);
		return false;
	}
}

static void begin_undo(struct core *c, struct cjob *j)
{
	while (j->cur + 1 < j->j.n_steps && j->step[j->cur + 1] == STEP_STARTED) /* begun beside it */
		j->cur++;
	sm_move(&job_sm, &j->j.state, JOB_UNDOING);
	job_put(c, j);
	j->attempt = 0;
	j->waiting = false;
	j->retry_at_ms = 0;
	job_news(c, j, "undoing: %s", j->j.error_msg ? j->j.error_msg : "");
}

static void retry_later(struct core *c, struct cjob *j)
{
	j->waiting = false;
	j->retry_at_ms = c->st.now_ms + saga_backoff_ms(j->attempt);
	j->attempt++;
}

/* "this node has no ..." is read by people who are elsewhere. */
static void set_error_of(struct core *c, struct cjob *j, const struct plan_step *s, const struct err *err)
{
	struct err whose = *err;
	const char *node = job_step_node(c, s);

	if (s->node[0] && err->code != ERR_CANCELED && !strstr(err->msg, node))
		(void)err_wrap(&whose, "node '%s'", node);
	job_set_error(j, &whose);
}

static void do_failed(struct core *c, struct cjob *j, const struct err *err)
{
	struct plan_step *s = &j->j.steps[j->cur];
	enum saga_verdict v = saga_failed(kind_of(j, j->cur), job_past_pivot(j), s->may_fail == 1, j->j.cancel == 1, j->attempt, err);

	switch (v) {
	case SAGA_RETRY:
		retry_later(c, j);
		return;
	case SAGA_PARK:
		if (j->j.state == JOB_RUNNING) {
			sm_move(&job_sm, &j->j.state, JOB_STUCK);
			job_put(c, j);
			core_event(c, "job %lld is stuck at '%s' on %s: %s", (long long)j->j.id, s->text, job_step_node(c, s), err->msg);
		}
		retry_later(c, j);
		return;
	case SAGA_GIVE_UP:
		set_error_of(c, j, s, err); /* the job will end as failed, but what follows must still be done: cleaning up above all */
		__attribute__((fallthrough));
	case SAGA_SKIP:
		j->step[j->cur] = STEP_SKIPPED;
		put_record(c, j, j->cur, RECORD_FAILED, NULL, err);
		job_news(c, j, "%s on %s: passed over: %s", s->text, job_step_node(c, s), err->msg);
		j->cur++;
		j->attempt = 0;
		j->waiting = false;
		job_advance(c, j);
		return;
	case SAGA_UNDO:
	default:
		j->step[j->cur] = STEP_FAILED;
		set_error_of(c, j, s, err);
		put_record(c, j, j->cur, RECORD_FAILED, NULL, err);
		job_news(c, j, "%s on %s: %s", s->text, job_step_node(c, s), err->msg);
		begin_undo(c, j);
		job_advance(c, j);
		return;
	}
}

static void undo_failed(struct core *c, struct cjob *j, const struct err *err)
{
	struct plan_step *s = &j->j.steps[j->cur];

	if (j->attempt >= SAGA_UNDO_TRIES && j->j.state == JOB_UNDOING) {
		sm_move(&job_sm, &j->j.state, JOB_STUCK);
		put_record(c, j, j->cur, RECORD_UNDO_FAILED, NULL, err);
		job_put(c, j);
		core_event(c, "job %lld is stuck undoing '%s' on %s: %s", (long long)j->j.id, s->text, job_step_node(c, s), err->msg);
		job_news(c, j, "stuck undoing '%s' on %s: %s; tried again every minute", s->text, job_step_node(c, s), err->msg);
	}
	retry_later(c, j);
}

static void do_done(struct core *c, struct cjob *j, json_t *result)
{
	j->step[j->cur] = STEP_DONE;
	put_record(c, j, j->cur, RECORD_DONE, result, NULL);
	if (kind_of(j, j->cur) == STEP_KIND_guest_start)
		reconcile_started(c, json_str(j->j.steps[j->cur].args, "uuid", ""));
	j->cur++;
	j->attempt = 0;
	j->waiting = false;
	if (j->j.state == JOB_STUCK)
		sm_move(&job_sm, &j->j.state, JOB_RUNNING);
}

static void undo_next(struct cjob *j)
{
	j->cur--;
	j->attempt = 0;
	j->waiting = false;
	if (j->j.state == JOB_STUCK)
		sm_move(&job_sm, &j->j.state, JOB_UNDOING);
}

static void undo_done(struct core *c, struct cjob *j)
{
	j->step[j->cur] = STEP_UNDONE;
	put_record(c, j, j->cur, RECORD_UNDONE, NULL, NULL);
	undo_next(j);
}

static bool is_undoing(const struct cjob *j)
{
	if (j->j.state == JOB_UNDOING)
		return true;
	return j->j.state == JOB_STUCK && !job_past_pivot(j) && j->step[j->cur] == STEP_UNDOING;
}

static bool needs_undo(const struct cjob *j, int i)
{
	return step_infos[kind_of(j, i)].undo == STEP_UNDO && j->step[i] != STEP_PENDING && j->step[i] != STEP_UNDONE;
}

/*
 * Behind the one in hand and not undone: passed over while its node was silent. Once the node answers it comes first: what that step brought may hold what
 * is to be undone next, a guest its disk. It is a step of this job whose undo is due anyway, so it takes nothing more away than that would have.
 */
static void undo_what_was_passed_over(const struct core *c, struct cjob *j)
{
	for (int i = j->j.n_steps - 1; i > j->cur; i--) {
		const struct snode *n = j->step[i] == STEP_UNDOING ? state_node(&c->st, j->j.steps[i].node) : NULL;

		if (!n || !n->connected)
			continue;
		j->cur = i;
		return;
	}
}

static bool advance_undo(struct core *c, struct cjob *j)
{
	undo_what_was_passed_over(c, j);
	while (j->cur >= 0 && !needs_undo(j, j->cur))
		j->cur--;
	if (j->cur < 0) {
		j->cur = 0;
		job_end(c, j, j->j.cancel == 1 ? JOB_CANCELED : JOB_ERROR);
		return false;
	}
	struct err err = ERR_INIT;
	int rc = 0;

	if (j->step[j->cur] != STEP_UNDOING) {
		j->step[j->cur] = STEP_UNDOING;
		put_record(c, j, j->cur, RECORD_UNDO_STARTED, NULL, NULL);
		job_news(c, j, "undo: %s on %s", j->j.steps[j->cur].text, job_step_node(c, &j->j.steps[j->cur]));
	}
	if (!order_step(c, j, STEP_UNDO_DIR, &rc, &err))
		return false;
	if (rc < 0) {
		undo_failed(c, j, &err);
		return false;
	}
	undo_done(c, j);
	return true;
}

/* What an after_all step rests on was not done. */
static bool rests_on_nothing(const struct cjob *j, int at)
{
	const char *uuid = json_str(j->j.steps[at].args, "uuid", "");

	for (int i = 0; i < at && j->j.steps[at].after_all == 1; i++)
		if (j->step[i] == STEP_SKIPPED && strcmp(json_str(j->j.steps[i].args, "uuid", ""), uuid) == 0)
			return true;
	return false;
}

static void leave_out(struct core *c, struct cjob *j)
{
	struct err err = ERR_INIT;

	(void)err_set(&err, ERR_WRONG_STATE, "%s: left out, as a step that it rests on was passed over", j->j.steps[j->cur].text);
	if (j->j.steps[j->cur].may_fail != 1)
		job_set_error(j, &err);
	j->step[j->cur] = STEP_SKIPPED;
	put_record(c, j, j->cur, RECORD_FAILED, NULL, &err);
	job_news(c, j, "%s: left out, as what it rests on was passed over", j->j.steps[j->cur].text);
	j->cur++;
}

static void begin_step(struct core *c, struct cjob *j, int i)
{
	const struct plan_step *s = &j->j.steps[i];

	j->step[i] = STEP_STARTED;
	put_record(c, j, i, RECORD_STARTED, NULL, NULL);
	job_news(c, j, "%s%s%s", s->text, s->node[0] ? " on " : "", s->node[0] ? job_step_node(c, s) : "");
}

/*
 * Steps that do not rest on the one in hand are ordered with it, so that a node works while another does. It is only an order that comes early: when the
 * step's turn has come it is given again, unchanged, and the node answers from its record. Nothing else of the saga knows of it but the undo.
 */
static void begin_beside(struct core *c, struct cjob *j)
{
	for (int i = j->cur + 1; i < j->j.n_steps && j->j.steps[i].beside == 1 && j->step[i] == STEP_PENDING; i++) {
		assert(step_infos[kind_of(j, i)].where == STEP_NODE);
		begin_step(c, j, i);
		send_step(c, j, i, STEP_DO, false);
	}
}

static bool advance_do(struct core *c, struct cjob *j)
{
	if (j->j.cancel == 1 && !job_past_pivot(j) && j->step[j->cur] != STEP_STARTED) {
		struct err err = ERR_INIT;

		(void)err_set(&err, ERR_CANCELED, "canceled on request");
		job_set_error(j, &err);
		begin_undo(c, j);
		return true;
	}
	if (j->cur == j->j.n_steps) {
		job_end(c, j, j->j.error[0] ? JOB_ERROR : JOB_SUCCESS);
		return false;
	}
	struct err err = ERR_INIT;
	int rc = 0;

	if (j->step[j->cur] != STEP_STARTED && rests_on_nothing(j, j->cur)) {
		leave_out(c, j);
		return true;
	}
	if (j->step[j->cur] != STEP_STARTED)
		begin_step(c, j, j->cur);
	if (!order_step(c, j, STEP_DO, &rc, &err)) {
		begin_beside(c, j);
		return false;
	}
	if (rc < 0) {
		do_failed(c, j, &err);
		return false;
	}
	do_done(c, j, NULL);
	return true;
}

void job_advance(struct core *c, struct cjob *j)
{
	while (!job_ended(j) && !j->waiting && !j->retry_at_ms)
		if (!(is_undoing(j) ? advance_undo(c, j) : advance_do(c, j)))
			break;
}

void job_result(struct core *c, struct cjob *j, int index, enum step_dir dir, int rc, json_t *result, const struct err *err)
{
	enum step_dir expected = is_undoing(j) ? STEP_UNDO_DIR : STEP_DO;

	if (job_ended(j) || !j->waiting || index != j->cur || dir != expected)
		return; /* late or repeated */
	if (expected == STEP_DO) {
		if (rc < 0)
			do_failed(c, j, err);
		else
			do_done(c, j, result);
	} else {
		if (rc < 0)
			undo_failed(c, j, err);
		else
			undo_done(c, j);
	}
	if (!job_ended(j))
		job_advance(c, j);
	if (job_ended(j))
		job_schedule(c);
}

void job_progress(struct core *c, struct cjob *j, int index, int permille, const char *text)
{
	if (job_ended(j) || index != j->cur || !j->waiting)
		return;
	j->permille = permille;
	free(j->progress);
	j->progress = text[0] ? xstrdup(text) : NULL;
	list_for_each_safe(l, &j->waiters) { /* progress is told at once, but is no news line */
		struct waiter *w = list_entry(l, struct waiter, link);

		core_reply_ok(c, w->client, w->id, job_news_json(c, j, w->seen));
		list_del(l);
		free(w);
	}
}

/* ---- nodes that come and go --------------------------------------------------------------------- */

void job_node_back(struct core *c, const char *node)
{
	for (int i = 0; i < c->n_open; i++) {
		struct cjob *j = c->open[i];

		if (job_ended(j) || !j->waiting || j->cur >= j->j.n_steps || strcmp(j->j.steps[j->cur].node, node) != 0)
			continue;
		send_step(c, j, j->cur, is_undoing(j) ? STEP_UNDO_DIR : STEP_DO, false);
	}
}

/* A step waits for a node that is silent: how long it may, and what then, is saga_silent()'s to say. */
static void check_silent(struct core *c, struct cjob *j)
{
	const struct plan_step *s = &j->j.steps[j->cur];

	if (!j->waiting || !s->node[0])
		return;
	const struct snode *n = state_node(&c->st, s->node);
	if (n && n->connected)
		return;
	int64_t since = n && n->silent_since_ms > j->step_since_ms ? n->silent_since_ms : j->step_since_ms;
	bool gone = !n || n->n.offline == 1 || n->n.liveness == NODE_FENCED;
	if (!saga_silent_too_long(kind_of(j, j->cur), is_undoing(j) || job_past_pivot(j), gone, c->st.now_ms - since, c->st.cluster.lease_ms))
		return;
	struct err err = ERR_INIT;
	(void)err_set(&err, ERR_NODE_DOWN, "node '%s' does not answer", n ? n->n.name : s->node);
	if (is_undoing(j)) {
		job_news(c, j, "undo of '%s' passed over: %s", s->text, err.msg);
		put_record(c, j, j->cur, RECORD_UNDO_FAILED, NULL, &err); /* not undone: see undo_what_was_passed_over() */
		undo_next(j);
		job_advance(c, j);
	} else if (job_past_pivot(j)) {
		j->step[j->cur] = STEP_SKIPPED;
		put_record(c, j, j->cur, RECORD_FAILED, NULL, &err);
		job_news(c, j, "%s passed over: %s", s->text, err.msg);
		j->cur++;
		j->attempt = 0;
		j->waiting = false;
		job_advance(c, j);
	} else {
		j->attempt = SAGA_RETRIES_SPENT;
		do_failed(c, j, &err);
	}
}

void job_tick(struct core *c)
{
	bool ended = false;

	job_list_tidy(c);
	outbox_flush(c->out);
	for (int i = 0; i < c->n_open; i++) {
		struct cjob *j = c->open[i];

		job_answer_waiters(c, j);
		if (job_ended(j) || j->trial || j->j.state < JOB_RUNNING)
			continue;
		if (j->retry_at_ms && c->st.now_ms >= j->retry_at_ms) {
			j->retry_at_ms = 0;
			job_advance(c, j);
		} else {
			check_silent(c, j);
		}
		ended |= job_ended(j);
		outbox_flush(c->out); /* each job is a unit of its own: a dead node ends dozens in one tick */
	}
	if (ended)
		job_schedule(c);
}

/* ---- cancel ------------------------------------------------------------------------------------ */

int job_cancel(struct core *c, int64_t id, struct err *err)
{
	struct cjob *j = job_find(c, id);

	if (!j)
		return err_set(err, ERR_NOT_FOUND, "job %lld does not exist", (long long)id);
	if (job_ended(j))
		return err_set(err, ERR_WRONG_STATE, "job %lld has ended: %s", (long long)id, job_state_names[j->j.state]);
	if (job_past_pivot(j))
		return err_set(err, ERR_WRONG_STATE, "job %lld is past the point where it can be undone", (long long)id),
		       err_hint(err, "let it end: 'gnt job watch %lld'", (long long)id);
	if (j->j.cancel == 1)
		return 0;
	j->j.cancel = 1;
	if (j->j.state == JOB_QUEUED || j->j.state == JOB_WAITING) {
		struct err why = ERR_INIT;

		(void)err_set(&why, ERR_CANCELED, "canceled before it started");
		job_set_error(j, &why);
		job_end(c, j, JOB_CANCELED);
		job_schedule(c);
		return 0;
	}
	job_put(c, j);
	if (j->j.state == JOB_RUNNING && j->waiting && j->j.steps[j->cur].node[0] && !j->cancel_sent) {
		j->cancel_sent = true;
		send_step(c, j, j->cur, STEP_DO, true);
	} else if (j->j.state == JOB_RUNNING && j->retry_at_ms) {
		struct err why = ERR_INIT;

		(void)err_set(&why, ERR_CANCELED, "canceled on request");
		j->retry_at_ms = 0;
		do_failed(c, j, &why);
	}
	return 0;
}
