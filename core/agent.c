/* SPDX-License-Identifier: Apache-2.0 */
#include "core/agent.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/list.h"
#include "common/sm.h"
#include "common/rule.h"
#include "common/units.h"
#include "common/xmem.h"

/* A record's life. What stands on the disk is never ahead of what was done, and never behind what was said. */
enum rec_state {
	REC_NEW,       /* made for an undo, or by an order just come */
	REC_PROBING,   /* looking whether "do" has nothing to do */
	REC_MARKING,   /* "started" is being written */
	REC_RUNNING,
	REC_CLOSING,   /* "ended" is being written */
	REC_ENDED,
	REC_RESTING,   /* started before a crash; nobody has asked for it since */
	REC_REPROBING, /* asked for again: was it done? */
	REC_WAITING,   /* an undo that waits for its do */
};

static const struct sm_state rec_states[] = {
	[REC_NEW] = { "new", SM_BIT(REC_PROBING) | SM_BIT(REC_MARKING) | SM_BIT(REC_WAITING) | SM_BIT(REC_CLOSING) | SM_BIT(REC_ENDED) | SM_BIT(REC_RESTING), SM_INITIAL },
	[REC_PROBING] = { "probing", SM_BIT(REC_MARKING) | SM_BIT(REC_CLOSING), 0 },
	[REC_MARKING] = { "marking", SM_BIT(REC_RUNNING) | SM_BIT(REC_CLOSING) | SM_BIT(REC_ENDED), 0 },
	[REC_RUNNING] = { "running", SM_BIT(REC_CLOSING), 0 },
	[REC_CLOSING] = { "closing", SM_BIT(REC_ENDED), 0 },
	[REC_ENDED] = { "ended", SM_BIT(REC_PROBING) | SM_BIT(REC_MARKING) | SM_BIT(REC_CLOSING) | SM_BIT(REC_WAITING), SM_FINAL },
	[REC_RESTING] = { "resting", SM_BIT(REC_REPROBING) | SM_BIT(REC_MARKING), 0 },
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
	F(T, BOOL, was_so, 0, "no", "", "nothing was done here: an undo has nothing to take back")                       \
	F(T, JSON, args, 0, "", "arguments without secrets, for a person who looks")                                                     \
	F(T, JSON, result, 0, "", "what it answered")                                                                    \
	F(T, STR, error, 39, 0, NULL, "", "error name")                                                                  \
	F(T, TEXT, msg, 1024, 0, NULL, "", "what went wrong")                                                            \
	F(T, TEXT, hint, 1024, 0, NULL, "", "what to do")                                                                \
	F(T, JSON, before, 0, "", "what was there before it began, of what it makes: its undo leaves that alone")
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
	bool begun;         /* "started" is on the disk: it was executed, or nobody can tell */
	bool forget;        /* the job is over: drop it when nothing is under way */
};

/* Jobs that are over, so that a late order of one is not taken for a new one. Late orders come by connections, which end with the process. */
#define FORGOTTEN_MAX 1024


struct agent {
	void (*emit)(void *arg, const struct agent_action *a);
	void *arg;
	struct list recs;
	int n_recs;
	uint64_t next_token;
	int64_t epoch;         /* durable: nothing is done for a higher one */
	int64_t epoch_seen;    /* highest seen: nothing is done for a lower one */
	int64_t epoch_writing; /* by the call of epoch_token */
	uint64_t epoch_token;  /* 0 = none */
	struct msg_step *held; /* orders that wait for the epoch to be durable */
	int n_held;
	int64_t level;
	int64_t forgotten[FORGOTTEN_MAX];
	int n_forgotten; /* ever */
	bool ready;
};

struct agent *agent_new(void (*emit)(void *arg, const struct agent_action *a), void *arg)
{
	struct agent *a = xcalloc(1, sizeof(*a));

	a->emit = emit;
	a->arg = arg;
	list_init(&a->recs);
	a->level = 1;
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
	/* Passwords were for the order: whoever gives it again, after a crash too, gives them with it (doc/design/014-node-journal.adoc). */
	struct agent_disk d = r->d;
	AUTO_JSON json_t *args = d.args ? schema_json_public(step_infos[step_kind_by_name(d.kind)].args, d.args) : NULL;
	d.args = args;
	AUTO_FREE char *text = schema_encode_text_at(&agent_disk_schema, &d, a->level);
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
	struct agent_action act = { .kind = kind, .dir = (enum step_dir)r->d.dir, .args = r->d.args, .before = r->d.before };

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

static void mark_started(struct agent *a, struct rec *r)
{
	sm_move(&rec_sm, &r->state, REC_MARKING);
	r->d.ended = 0;
	r->d.was_so = 0;
	persist(a, r);
}

static void note_before(struct rec *r, const json_t *before)
{
	json_decref(r->d.before);
	r->d.before = before ? json_deep_copy(before) : NULL;
}

/* The do has ended, or never began: is there anything to take back? */
static void start_undo(struct agent *a, struct rec *undo)
{
	const struct rec *done = rec_find(a, undo->d.job, undo->d.index, STEP_DO);

	if (done)
		note_before(undo, done->d.before);
	if (undo->begun || (done && done->d.was_so != 1)) {
		mark_started(a, undo);
		return;
	}
	set_outcome(undo, 0, NULL, NULL);
	close_rec(a, undo); /* the record alone is the tombstone */
}

static void start_waiting_undo(struct agent *a, int64_t job, int64_t index)
{
	struct rec *undo = rec_find(a, job, index, STEP_UNDO_DIR);

	if (undo && undo->state == REC_WAITING)
		start_undo(a, undo);
}

static void ended(struct agent *a, struct rec *r)
{
	sm_move(&rec_sm, &r->state, REC_ENDED);
	if (r->wanted)
		reply(a, r);
	r->wanted = false;
	if (r->d.dir == STEP_DO)
		start_waiting_undo(a, r->d.job, r->d.index);
	if (r->forget) {
		unpersist(a, r);
		rec_free(a, r);
	}
}

/* A do that failed before it began leaves no record: it may be ordered anew, and an undo has nothing to take back. */
static void never_began(struct agent *a, struct rec *r, int rc, const struct err *err)
{
	int64_t job = r->d.job, index = r->d.index;

	set_outcome(r, rc, NULL, err);
	if (r->wanted)
		reply(a, r);
	rec_free(a, r);
	start_waiting_undo(a, job, index);
}

/*
 * Ordered by a master that has been succeeded, and not begun when its successor was heard of: it does not begin any more. The successor orders it anew
 * if it still wants it; what the node reports to it meanwhile (both are in sync) must not be undone by a dead one's order a moment later.
 */
static bool came_too_late(struct agent *a, struct rec *r)
{
	struct err err = ERR_INIT;

	if (!RULE(NODE_EPOCH) || r->d.dir != STEP_DO || r->begun || !r->epoch || r->epoch >= a->epoch_seen)
		return false;
	int rc = err_set(&err, ERR_STALE_EPOCH, "another master has taken over");
	unpersist(a, r);
	never_began(a, r, rc, &err);
	return true;
}

static void close_canceled(struct agent *a, struct rec *r)
{
	struct err err = ERR_INIT;

	set_outcome(r, err_set(&err, ERR_CANCELED, "canceled"), NULL, &err);
	close_rec(a, r);
}

/* ---- orders ---------------------------------------------------------------------------------------------- */

static void take_args(struct rec *r, const struct msg_step *m)
{
	json_decref(r->d.args);
	r->d.args = m->args ? json_deep_copy(m->args) : json_object();
}

static bool at_rest(const struct rec *r)
{
	return r->state == REC_ENDED || r->state == REC_RESTING;
}

static void drop(struct agent *a, struct rec *r)
{
	unpersist(a, r);
	rec_free(a, r);
}

/* Lowest job of which nothing is in hand; 0 = none below the limit. */
static int64_t oldest_idle_job(const struct agent *a, int64_t below)
{
	int64_t oldest = 0;

	list_for_each(l, &a->recs) {
		int64_t job = list_entry(l, struct rec, link)->d.job;
		bool idle = job < below && (!oldest || job < oldest);

		for (struct list *k = a->recs.next; idle && k != &a->recs; k = k->next) {
			const struct rec *r = list_entry(k, struct rec, link);

			idle = r->d.job != job || at_rest(r);
		}
		if (idle)
			oldest = job;
	}
	return oldest;
}

/* The word that a job is over may have been lost with a connection: then its records go when there is no room for others. */
static bool make_room(struct agent *a, int64_t job)
{
	while (a->n_recs >= AGENT_RECORDS_MAX) {
		int64_t old = oldest_idle_job(a, job);

		if (!old)
			return false;
		list_for_each_safe(l, &a->recs) {
			struct rec *r = list_entry(l, struct rec, link);

			if (r->d.job == old)
				drop(a, r);
		}
	}
	return true;
}

/* The record that an order is about; NULL = it was answered with an error. */
static struct rec *rec_for(struct agent *a, const struct msg_step *m)
{
	struct rec *r = rec_find(a, m->job, m->index, m->dir);

	if (r && strcmp(r->d.kind, m->kind) != 0) {
		reply_error(a, m, ERR_INTERNAL, "a step of another kind was ordered under the same number");
		return NULL;
	}
	if (!r && !make_room(a, m->job)) {
		reply_error(a, m, ERR_QUEUE_FULL, "this node remembers too many steps of unfinished jobs");
		return NULL;
	}
	if (!r)
		r = rec_add(a, m->job, m->index, m->dir, m->kind);
	r->epoch = m->epoch;
	return r;
}

/* True: it goes on with the record, which nothing is done about at the moment. */
static bool take_order(struct agent *a, struct rec *r, const struct msg_step *m)
{
	if (RULE(REPEAT) && r->state == REC_ENDED && (!r->d.error[0] || m->attempt <= r->d.attempt)) {
		reply(a, r);
		return false;
	}
	r->wanted = true;
	if (r->state != REC_NEW && !at_rest(r))
		return false; /* it is in hand: its end is answered */
	r->d.attempt = m->attempt;
	r->cancel = false;
	take_args(r, m);
	return true;
}

static void order_do(struct agent *a, const struct msg_step *m)
{
	struct rec *r;

	if (RULE(TOMBSTONE) && rec_find(a, m->job, m->index, STEP_UNDO_DIR)) {
		reply_error(a, m, ERR_TOMBSTONE, "the step was undone before this order came");
		return;
	}
	r = rec_for(a, m);
	if (!r || !take_order(a, r, m))
		return;
	if (r->state == REC_ENDED && r->begun) { /* tried again: what an earlier try left is ours, so no look whether it was so before */
		mark_started(a, r);
		return;
	}
	r->d.was_so = 0;
	sm_move(&rec_sm, &r->state, r->state == REC_RESTING ? REC_REPROBING : REC_PROBING);
	call(a, r, AGENT_PROBE);
}

static void cancel_do(struct agent *a, struct rec *r)
{
	if (r->cancel || at_rest(r))
		return;
	r->cancel = true; /* not begun yet: then it does not begin */
	if (r->state != REC_RUNNING)
		return;
	struct agent_action act = { .kind = AGENT_CANCEL, .token = r->token };
	a->emit(a->arg, &act);
}

static void order_undo(struct agent *a, const struct msg_step *m)
{
	struct rec *u = rec_for(a, m), *d = rec_find(a, m->job, m->index, STEP_DO);

	if (!u || !take_order(a, u, m))
		return;
	if (d && !at_rest(d)) {
		sm_move(&rec_sm, &u->state, REC_WAITING);
		cancel_do(a, d);
		return;
	}
	start_undo(a, u);
}

static bool is_forgotten(const struct agent *a, int64_t job)
{
	for (int i = 0; i < FORGOTTEN_MAX && i < a->n_forgotten; i++)
		if (a->forgotten[i] == job)
			return true;
	return false;
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
	if (RULE(TOMBSTONE) && is_forgotten(a, m->job)) {
		reply_error(a, m, ERR_TOMBSTONE, "the job was over before this order came");
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

	if (epoch > a->epoch_seen)
		a->epoch_seen = epoch;
	if (epoch <= a->epoch || (a->epoch_token && epoch <= a->epoch_writing))
		return;
	(void)snprintf(text, sizeof(text), "%lld", (long long)epoch);
	a->epoch_writing = epoch;
	a->epoch_token = act.token = ++a->next_token;
	act.record_text = text;
	a->emit(a->arg, &act);
}

void agent_step(struct agent *a, const struct msg_step *m)
{
	assert(a->ready);
	if (RULE(NODE_EPOCH) && m->epoch < a->epoch_seen) {
		reply_error(a, m, ERR_STALE_EPOCH, "another master has taken over");
		return;
	}
	keep_epoch(a, m->epoch);
	if (m->epoch <= a->epoch) {
		obey(a, m);
	} else if (a->n_held >= AGENT_RECORDS_MAX) {
		reply_error(a, m, ERR_QUEUE_FULL, "too many orders wait for this node's disk");
	} else { /* nothing is done for an epoch that is not on the disk */
		a->held = xrealloc(a->held, (size_t)(a->n_held + 1) * sizeof(*a->held));
		schema_copy(&msg_step_schema, &a->held[a->n_held++], m);
	}
}

int agent_epoch(struct agent *a, int64_t epoch, struct err *err)
{
	if (RULE(NODE_EPOCH) && epoch < a->epoch_seen)
		return err_set(err, ERR_STALE_EPOCH, "a master of epoch %lld says hello, epoch %lld was seen", (long long)epoch,
			       (long long)a->epoch_seen);
	keep_epoch(a, epoch);
	return 0;
}

int64_t agent_highest_epoch(const struct agent *a)
{
	return a->epoch_seen;
}

/* ---- answers of the bridge --------------------------------------------------------------------------------- */

/* The held orders are looked at again, in order; refused when their epoch could not be kept. */
static void epoch_written(struct agent *a, bool ok)
{
	struct msg_step *held = a->held;
	int n = a->n_held;

	a->epoch_token = 0;
	a->held = NULL;
	a->n_held = 0;
	if (ok)
		a->epoch = a->epoch_writing;
	for (int i = 0; i < n; i++) {
		if (ok)
			agent_step(a, &held[i]);
		else if (held[i].cancel != 1)
			reply_error(a, &held[i], ERR_IO, "the node cannot write its records (disk full?)");
		schema_done(&msg_step_schema, &held[i]);
	}
	free(held);
}

static int cannot_write(struct err *err)
{
	return err_set(err, ERR_IO, "the node cannot write its records (disk full?)");
}

static void marked(struct agent *a, struct rec *r, bool ok)
{
	struct err err = ERR_INIT;

	if (!ok && r->d.dir == STEP_DO && !r->begun) {
		int rc = cannot_write(&err);

		never_began(a, r, rc, &err);
	} else if (!ok) {
		int rc = cannot_write(&err);

		set_outcome(r, rc, NULL, &err);
		ended(a, r);
	} else if (r->cancel) {
		r->begun = true;
		close_canceled(a, r);
	} else if (!came_too_late(a, r)) {
		r->begun = true;
		sm_move(&rec_sm, &r->state, REC_RUNNING);
		call(a, r, AGENT_EXEC);
	}
}

static void closed(struct agent *a, struct rec *r, bool ok)
{
	struct err err = ERR_INIT;

	/*
	 * Even if the record of the end is lost the answer holds: "started" is on the disk, and after a crash the step is probed. But a
	 * tombstone that is not on the disk is none.
	 */
	if (!ok && r->d.dir == STEP_UNDO_DIR && !r->begun) {
		int rc = cannot_write(&err);

		set_outcome(r, rc, NULL, &err);
	}
	ended(a, r);
}

void agent_persisted(struct agent *a, uint64_t token, bool ok)
{
	struct rec *r;

	if (a->epoch_token && token == a->epoch_token) {
		epoch_written(a, ok);
		return;
	}
	r = by_token(a, token);
	if (!r)
		return;
	r->token = 0;
	if (r->state == REC_MARKING)
		marked(a, r, ok);
	else if (r->state == REC_CLOSING)
		closed(a, r, ok);
}

void agent_probed(struct agent *a, uint64_t token, int rc, bool done, const json_t *before, const struct err *err)
{
	struct rec *r = by_token(a, token);

	if (!r || (r->state != REC_PROBING && r->state != REC_REPROBING))
		return;
	r->token = 0;
	bool first = r->state == REC_PROBING;
	if (rc < 0 && first) {
		never_began(a, r, rc, err);
	} else if (rc < 0) {
		set_outcome(r, rc, NULL, err);
		close_rec(a, r);
	} else if (done && RULE(PROBE)) {
		r->d.was_so = first;
		set_outcome(r, 0, NULL, NULL);
		close_rec(a, r);
	} else if (r->cancel) {
		r->d.was_so = first; /* nothing was done */
		close_canceled(a, r);
	} else if (first) {
		note_before(r, before); /* with "started" on the disk: what a later look finds may be ours */
		if (!came_too_late(a, r))
			mark_started(a, r);
	} else {
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
	char key[64];

	if (strcmp(record_key, "epoch") == 0) {
		int64_t epoch = 0;
		int rc = units_parse_int(record_text, 0, INT64_MAX, &epoch, err);

		if (rc < 0)
			return err_wrap(err, "the kept epoch");
		a->epoch = a->epoch_seen = epoch;
		return 0;
	}
	int rc = schema_decode_text(&agent_disk_schema, &d, record_text, err);
	if (rc < 0)
		return rc;
	if (step_kind_by_name(d.kind) < 0) { /* written by a newer version */
		(void)err_set(err, ERR_BAD_VALUE, "the record '%.60s' is of a step '%.39s' that this version does not know", record_key, d.kind);
		schema_done(&agent_disk_schema, &d);
		return -ERR_BAD_VALUE;
	}
	struct rec *r = rec_find(a, d.job, d.index, d.dir) ? NULL : rec_add(a, d.job, d.index, d.dir, d.kind);
	if (r)
		key_of(r, key);
	if (!r || strcmp(key, record_key) != 0) {
		if (r)
			rec_free(a, r);
		schema_done(&agent_disk_schema, &d);
		return err_set(err, ERR_BAD_VALUE, "the record '%.60s' is of another step", record_key);
	}
	schema_done(&agent_disk_schema, &r->d);
	r->d = d;
	/* A tombstone that was no more than that began nothing either; to take it for begun costs one undo too many, which is harmless. */
	r->begun = d.was_so != 1;
	sm_move(&rec_sm, &r->state, d.ended == 1 ? REC_ENDED : REC_RESTING);
	return 0;
}

void agent_set_level(struct agent *a, int64_t level)
{
	a->level = level;
}

void agent_ready(struct agent *a)
{
	a->ready = true;
}

void agent_forget_job(struct agent *a, int64_t job)
{
	int kept = 0;

	if (!is_forgotten(a, job))
		a->forgotten[a->n_forgotten++ % FORGOTTEN_MAX] = job;
	for (int i = 0; i < a->n_held; i++) {
		if (a->held[i].job == job)
			schema_done(&msg_step_schema, &a->held[i]);
		else
			a->held[kept++] = a->held[i];
	}
	a->n_held = kept;
	list_for_each_safe(l, &a->recs) {
		struct rec *r = list_entry(l, struct rec, link);

		if (r->d.job == job && at_rest(r))
			drop(a, r);
		else if (r->d.job == job)
			r->forget = true;
	}
}

int agent_running(const struct agent *a)
{
	int n = 0;

	list_for_each(l, &a->recs)
		n += !at_rest(list_entry(l, struct rec, link));
	return n;
}
