/* SPDX-License-Identifier: Apache-2.0 */
#include "core/agent.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/list.h"
#include "common/sm.h"
#include "common/xmem.h"

/* A record's life. What stands on the disk is never ahead of what was done, and never behind what was said. */
enum rec_state {
	REC_NEW,       /* made for an undo, or by an order just come */
	REC_PROBING,   /* looking whether "do" has nothing to do */
	REC_MARKING,   /* "started" is being written */
	REC_RUNNING,
	REC_CLOSING,   /* "ended" is being written */
	REC_ENDED,
	REC_REPROBING, /* after a crash: was it done? */
	REC_WAITING,   /* an undo that waits for its do */
};

static const struct sm_state rec_states[] = {
	[REC_NEW] = { "new", SM_BIT(REC_PROBING) | SM_BIT(REC_MARKING) | SM_BIT(REC_WAITING) | SM_BIT(REC_CLOSING) | SM_BIT(REC_ENDED), SM_INITIAL },
	[REC_PROBING] = { "probing", SM_BIT(REC_MARKING) | SM_BIT(REC_CLOSING), 0 },
	[REC_MARKING] = { "marking", SM_BIT(REC_RUNNING) | SM_BIT(REC_ENDED), 0 },
	[REC_RUNNING] = { "running", SM_BIT(REC_CLOSING), 0 },
	[REC_CLOSING] = { "closing", SM_BIT(REC_ENDED), 0 },
	[REC_ENDED] = { "ended", SM_BIT(REC_PROBING) | SM_BIT(REC_MARKING) | SM_BIT(REC_REPROBING) | SM_BIT(REC_WAITING), SM_FINAL },
	[REC_REPROBING] = { "reprobing", SM_BIT(REC_RUNNING) | SM_BIT(REC_CLOSING), 0 },
	[REC_WAITING] = { "waiting", SM_BIT(REC_MARKING) | SM_BIT(REC_CLOSING), 0 },
};
static const struct sm rec_sm = { "agent record", rec_states, (int)ARRAY_SIZE(rec_states) };

#define DISK_ROWS_REC(F, T)                                                                                              \
	F(T, INT, job, 1, INT64_MAX, FIELD_REQUIRED, NULL, "", "job")                                                    \
	F(T, INT, index, 0, STEPS_MAX, FIELD_REQUIRED, NULL, "", "step")                                                 \
	F(T, ENUM, dir, step_dir_names, FIELD_REQUIRED, NULL, "", "do or undo")                                          \
	F(T, STR, kind, 39, FIELD_REQUIRED, NULL, "", "step kind")                                                       \
	F(T, INT, attempt, 0, 1000000, 0, "0", "", "try")                                                                \
	F(T, BOOL, ended, 0, "no", "", "ended; else started, and not known to have ended")                               \
	F(T, BOOL, was_so, 0, "no", "", "the state was there before: an undo has nothing to take back")                  \
	F(T, JSON, args, 0, "", "arguments, to go on after a crash")                                                     \
	F(T, JSON, result, 0, "", "what it answered")                                                                    \
	F(T, STR, error, 39, 0, NULL, "", "error name")                                                                  \
	F(T, TEXT, msg, 1024, 0, NULL, "", "what went wrong")                                                            \
	F(T, TEXT, hint, 1024, 0, NULL, "", "what to do")
SCHEMA_DECLARE(agent_disk, DISK_ROWS_REC)
SCHEMA_DEFINE(agent_disk, DISK_ROWS_REC)

struct rec {
	struct list link;
	struct agent_disk d;
	int state;
	uint64_t token;     /* of the call under way; 0 = none */
	int64_t epoch;      /* of the newest order: answers carry it */
	bool wanted;        /* somebody waits for the answer */
	bool cancel;
	bool forget;        /* the job is over: drop it when nothing is under way */
	int rc;
};

struct agent {
	void (*emit)(void *arg, const struct agent_action *a);
	void *arg;
	struct list recs;
	int n_recs;
	uint64_t next_token;
	int64_t epoch;         /* highest seen, durable */
	int64_t epoch_pending; /* being written; orders wait for it */
	uint64_t epoch_token;
	struct msg_step *held; /* orders that wait for the epoch to be durable */
	int n_held;
	bool ready;
};

struct agent *agent_new(void (*emit)(void *arg, const struct agent_action *a), void *arg)
{
	struct agent *a = xcalloc(1, sizeof(*a));

	a->emit = emit;
	a->arg = arg;
	list_init(&a->recs);
	return a;
}

static void rec_free(struct agent *a, struct rec *r)
{
	list_del(&r->link);
	schema_done(&agent_disk_schema, &r->d);
	free(r);
	a->n_recs--;
}

void agent_free(struct agent *a)
{
	if (!a)
		return;
	list_for_each_safe(l, &a->recs)
		rec_free(a, list_entry(l, struct rec, link));
	for (int i = 0; i < a->n_held; i++)
		schema_done(&msg_step_schema, &a->held[i]);
	free(a->held);
	free(a);
}

static struct rec *rec_find(struct agent *a, int64_t job, int64_t index, int dir)
{
	list_for_each(l, &a->recs) {
		struct rec *r = list_entry(l, struct rec, link);

		if (r->d.job == job && r->d.index == index && r->d.dir == dir)
			return r;
	}
	return NULL;
}

static struct rec *rec_add(struct agent *a, int64_t job, int64_t index, int dir, const char *kind)
{
	struct rec *r = xcalloc(1, sizeof(*r));

	schema_init(&agent_disk_schema, &r->d);
	r->d.job = job;
	r->d.index = index;
	r->d.dir = dir;
	(void)str_copy(r->d.kind, sizeof(r->d.kind), kind);
	list_add_tail(&a->recs, &r->link);
	a->n_recs++;
	return r;
}

static struct rec *by_token(struct agent *a, uint64_t token)
{
	list_for_each(l, &a->recs) {
		struct rec *r = list_entry(l, struct rec, link);

		if (token && r->token == token)
			return r;
	}
	return NULL;
}

/* ---- actions ---------------------------------------------------------------------------------------- */

static void key_of(const struct rec *r, char out[64])
{
	(void)snprintf(out, 64, "%lld.%lld.%s", (long long)r->d.job, (long long)r->d.index, step_dir_names[r->d.dir]);
}

static void persist(struct agent *a, struct rec *r)
{
	struct agent_action act = { .kind = AGENT_PERSIST };

	r->token = act.token = ++a->next_token;
	key_of(r, act.record_key);
	AUTO_FREE char *text = schema_encode_text(&agent_disk_schema, &r->d);
	act.record_text = text;
	a->emit(a->arg, &act);
}

static void unpersist(struct agent *a, const struct rec *r)
{
	struct agent_action act = { .kind = AGENT_PERSIST, .token = ++a->next_token };

	key_of(r, act.record_key);
	a->emit(a->arg, &act);
}

static void call(struct agent *a, struct rec *r, enum agent_action_kind kind)
{
	struct agent_action act = { .kind = kind, .dir = (enum step_dir)r->d.dir, .args = r->d.args };

	act.step = (enum step_kind)step_kind_by_name(r->d.kind);
	act.result.job = r->d.job;
	act.result.index = r->d.index;
	r->token = act.token = ++a->next_token;
	a->emit(a->arg, &act);
}

static void reply(struct agent *a, const struct rec *r)
{
	struct agent_action act = { .kind = AGENT_REPLY };
	struct msg_step_result *m = &act.result;

	schema_init(&msg_step_result_schema, m);
	m->epoch = r->epoch ? r->epoch : a->epoch;
	m->job = r->d.job;
	m->index = r->d.index;
	m->dir = r->d.dir;
	m->result = r->d.result; /* borrowed */
	(void)str_copy(m->error, sizeof(m->error), r->d.error);
	m->msg = r->d.msg;
	m->hint = r->d.hint;
	a->emit(a->arg, &act);
}

static void reply_error(struct agent *a, const struct msg_step *s, enum err_code code, const char *msg)
{
	struct agent_action act = { .kind = AGENT_REPLY };
	struct msg_step_result *m = &act.result;
	AUTO_FREE char *text = xstrdup(msg);

	schema_init(&msg_step_result_schema, m);
	m->epoch = s->epoch;
	m->job = s->job;
	m->index = s->index;
	m->dir = s->dir;
	(void)str_copy(m->error, sizeof(m->error), err_name((int)code));
	m->msg = text;
	a->emit(a->arg, &act);
}

/* ---- endings ------------------------------------------------------------------------------------------- */

static void set_outcome(struct rec *r, int rc, json_t *result, const struct err *err)
{
	json_decref(r->d.result);
	free(r->d.msg);
	free(r->d.hint);
	r->d.result = result ? json_incref(result) : NULL;
	r->d.msg = r->d.hint = NULL;
	r->d.error[0] = '\0';
	if (rc < 0) {
		(void)str_copy(r->d.error, sizeof(r->d.error), err_name(-rc));
		r->d.msg = xstrdup(err && err->code ? err->msg : "failed");
		r->d.hint = xstrdup(err && err->code ? err_hint_text(err) : "");
	}
}

static void close_rec(struct agent *a, struct rec *r)
{
	sm_move(&rec_sm, &r->state, REC_CLOSING);
	r->d.ended = 1;
	persist(a, r);
}

static void start_undo(struct agent *a, struct rec *undo);

static void ended(struct agent *a, struct rec *r)
{
	sm_move(&rec_sm, &r->state, REC_ENDED);
	if (r->wanted)
		reply(a, r);
	r->wanted = false;
	if (r->d.dir == STEP_DO) {
		struct rec *undo = rec_find(a, r->d.job, r->d.index, STEP_UNDO_DIR);

		if (undo && undo->state == REC_WAITING)
			start_undo(a, undo);
	}
	if (r->forget) {
		unpersist(a, r);
		rec_free(a, r);
	}
}

/* ---- orders ---------------------------------------------------------------------------------------------- */

static void mark_started(struct agent *a, struct rec *r)
{
	sm_move(&rec_sm, &r->state, REC_MARKING);
	r->d.ended = 0;
	persist(a, r);
}

/* The do has ended, or never began: is there anything to take back? */
static void start_undo(struct agent *a, struct rec *undo)
{
	const struct rec *done = rec_find(a, undo->d.job, undo->d.index, STEP_DO);

	if (!done || done->d.was_so == 1) {
		close_rec(a, undo); /* the record alone is the tombstone */
		return;
	}
	mark_started(a, undo);
}

static void take_args(struct rec *r, const struct msg_step *m)
{
	json_decref(r->d.args);
	r->d.args = m->args ? json_deep_copy(m->args) : json_object();
}

static void order_do(struct agent *a, const struct msg_step *m)
{
	struct rec *r = rec_find(a, m->job, m->index, STEP_DO);

	if (rec_find(a, m->job, m->index, STEP_UNDO_DIR)) {
		reply_error(a, m, ERR_TOMBSTONE, "the step was undone before this order came");
		return;
	}
	if (!r)
		r = rec_add(a, m->job, m->index, STEP_DO, m->kind);
	r->epoch = m->epoch;
	if (r->state == REC_ENDED && (!r->d.error[0] || m->attempt <= r->d.attempt)) {
		reply(a, r);
		return;
	}
	r->wanted = true;
	if (r->state != REC_NEW && r->state != REC_ENDED)
		return; /* it is in hand: its end is answered */
	r->d.attempt = m->attempt;
	r->cancel = false;
	take_args(r, m);
	if (r->state == REC_ENDED) { /* tried again: what an earlier try left is ours, so no look whether it was so before */
		mark_started(a, r);
		return;
	}
	sm_move(&rec_sm, &r->state, REC_PROBING);
	call(a, r, AGENT_PROBE);
}

static void cancel_do(struct agent *a, struct rec *r)
{
	if (r->cancel || r->state != REC_RUNNING)
		return;
	r->cancel = true;
	struct agent_action act = { .kind = AGENT_CANCEL, .token = r->token };
	a->emit(a->arg, &act);
}

static void order_undo(struct agent *a, const struct msg_step *m)
{
	struct rec *u = rec_find(a, m->job, m->index, STEP_UNDO_DIR), *d = rec_find(a, m->job, m->index, STEP_DO);

	if (!u)
		u = rec_add(a, m->job, m->index, STEP_UNDO_DIR, m->kind);
	u->epoch = m->epoch;
	if (u->state == REC_ENDED && (!u->d.error[0] || m->attempt <= u->d.attempt)) {
		reply(a, u);
		return;
	}
	u->wanted = true;
	if (u->state != REC_NEW && u->state != REC_ENDED)
		return;
	u->d.attempt = m->attempt;
	take_args(u, m);
	if (d && d->state != REC_ENDED) {
		sm_move(&rec_sm, &u->state, REC_WAITING);
		cancel_do(a, d);
		return;
	}
	start_undo(a, u);
}

static void obey(struct agent *a, const struct msg_step *m)
{
	struct rec *r;

	if (step_kind_by_name(m->kind) < 0) {
		reply_error(a, m, ERR_NOT_SUPPORTED, "this node does not know that kind of step");
		return;
	}
	if (m->cancel == 1) {
		r = rec_find(a, m->job, m->index, STEP_DO);
		if (r)
			cancel_do(a, r);
		return;
	}
	if (a->n_recs >= AGENT_RECORDS_MAX) {
		reply_error(a, m, ERR_QUEUE_FULL, "this node remembers too many steps of unfinished jobs");
		return;
	}
	if (m->dir == STEP_DO)
		order_do(a, m);
	else
		order_undo(a, m);
}

static void keep_epoch(struct agent *a, int64_t epoch)
{
	struct agent_action act = { .kind = AGENT_PERSIST, .record_key = "epoch" };
	char text[32];

	(void)snprintf(text, sizeof(text), "%lld", (long long)epoch);
	a->epoch_pending = epoch;
	a->epoch_token = act.token = ++a->next_token;
	act.record_text = text;
	a->emit(a->arg, &act);
}

void agent_step(struct agent *a, const struct msg_step *m)
{
	assert(a->ready);
	if (m->epoch < agent_highest_epoch(a)) {
		reply_error(a, m, ERR_STALE_EPOCH, "another master has taken over");
		return;
	}
	if (m->epoch > agent_highest_epoch(a))
		keep_epoch(a, m->epoch);
	if (a->epoch_token) { /* nothing is done for an epoch that is not on the disk */
		a->held = xrealloc(a->held, (size_t)(a->n_held + 1) * sizeof(*a->held));
		schema_copy(&msg_step_schema, &a->held[a->n_held++], m);
		return;
	}
	obey(a, m);
}

int agent_epoch(struct agent *a, int64_t epoch, struct err *err)
{
	if (epoch < agent_highest_epoch(a))
		return err_set(err, ERR_STALE_EPOCH, "a master of epoch %lld says hello, epoch %lld was seen", (long long)epoch,
			       (long long)agent_highest_epoch(a));
	if (epoch > agent_highest_epoch(a))
		keep_epoch(a, epoch);
	return 0;
}

int64_t agent_highest_epoch(const struct agent *a)
{
	return a->epoch_pending > a->epoch ? a->epoch_pending : a->epoch;
}

/* ---- answers of the bridge --------------------------------------------------------------------------------- */

static void epoch_kept(struct agent *a)
{
	struct msg_step *held = a->held;
	int n = a->n_held;

	a->epoch = a->epoch_pending;
	a->epoch_token = 0;
	a->held = NULL;
	a->n_held = 0;
	for (int i = 0; i < n; i++) {
		agent_step(a, &held[i]);
		schema_done(&msg_step_schema, &held[i]);
	}
	free(held);
}

void agent_persisted(struct agent *a, uint64_t token, bool ok)
{
	struct rec *r;

	if (token == a->epoch_token) {
		if (ok) {
			epoch_kept(a);
			return;
		}
		/* It cannot be kept: its orders are dropped, the master gives them again. */
		for (int i = 0; i < a->n_held; i++)
			schema_done(&msg_step_schema, &a->held[i]);
		free(a->held);
		a->held = NULL;
		a->n_held = 0;
		a->epoch_token = 0;
		a->epoch_pending = a->epoch;
		return;
	}
	r = by_token(a, token);
	if (!r)
		return;
	r->token = 0;
	if (r->state == REC_MARKING && ok) {
		sm_move(&rec_sm, &r->state, REC_RUNNING);
		call(a, r, AGENT_EXEC);
	} else if (r->state == REC_MARKING) { /* nothing was done: answered as failed, with no record of a start */
		struct err err = ERR_INIT;

		set_outcome(r, err_set(&err, ERR_IO, "the node cannot write its records (disk full?)"), NULL, &err);
		ended(a, r);
	} else if (r->state == REC_CLOSING) {
		/* Even if the record of the end is lost the answer holds: after a crash the step is probed. */
		ended(a, r);
	}
}

void agent_probed(struct agent *a, uint64_t token, int rc, bool done, const struct err *err)
{
	struct rec *r = by_token(a, token);

	(void)err;
	if (!r)
		return;
	r->token = 0;
	bool so = rc == 0 && done; /* a look that failed says nothing: then it is done, it is idempotent */
	if (r->state == REC_PROBING) {
		if (so) {
			r->d.was_so = 1;
			set_outcome(r, 0, NULL, NULL);
			close_rec(a, r);
			return;
		}
		mark_started(a, r);
	} else if (r->state == REC_REPROBING) {
		if (so) {
			set_outcome(r, 0, NULL, NULL);
			close_rec(a, r);
			return;
		}
		sm_move(&rec_sm, &r->state, REC_RUNNING);
		call(a, r, AGENT_EXEC);
	}
}

void agent_executed(struct agent *a, uint64_t token, int rc, json_t *result, const struct err *err)
{
	struct rec *r = by_token(a, token);

	if (!r || r->state != REC_RUNNING)
		return;
	r->token = 0;
	set_outcome(r, rc, result, err);
	close_rec(a, r);
}

/* ---- start, end ----------------------------------------------------------------------------------------------- */

int agent_load(struct agent *a, const char *record_key, const char *record_text, struct err *err)
{
	struct agent_disk d;

	if (strcmp(record_key, "epoch") == 0) {
		char *end = NULL;
		long long v = strtoll(record_text, &end, 10);

		if (end == record_text || v < 0)
			return err_set(err, ERR_INTERNAL, "the kept epoch '%.30s' is not a number", record_text);
		a->epoch = a->epoch_pending = v;
		return 0;
	}
	int rc = schema_decode_text(&agent_disk_schema, &d, record_text, err);
	if (rc < 0)
		return rc;
	struct rec *r = rec_add(a, d.job, d.index, d.dir, d.kind);
	schema_done(&agent_disk_schema, &r->d);
	r->d = d;
	r->state = REC_ENDED;
	return 0;
}

void agent_ready(struct agent *a)
{
	a->ready = true;
	list_for_each(l, &a->recs) {
		struct rec *r = list_entry(l, struct rec, link);

		if (r->d.ended == 1)
			continue;
		/* Started, and then we died: look, and do it (again) when it is not so. */
		if (step_kind_by_name(r->d.kind) < 0) {
			r->d.ended = 1;
			continue;
		}
		sm_move(&rec_sm, &r->state, REC_REPROBING);
		if (r->d.dir == STEP_DO) {
			call(a, r, AGENT_PROBE);
		} else {
			sm_move(&rec_sm, &r->state, REC_RUNNING); /* an undo has no probe: it is idempotent */
			call(a, r, AGENT_EXEC);
		}
	}
}

void agent_forget_job(struct agent *a, int64_t job)
{
	list_for_each_safe(l, &a->recs) {
		struct rec *r = list_entry(l, struct rec, link);

		if (r->d.job != job)
			continue;
		if (r->state == REC_ENDED) {
			unpersist(a, r);
			rec_free(a, r);
		} else {
			r->forget = true;
		}
	}
}

int agent_running(const struct agent *a)
{
	int n = 0;

	list_for_each(l, &a->recs)
		n += list_entry(l, struct rec, link)->state != REC_ENDED;
	return n;
}
