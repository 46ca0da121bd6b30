/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The node agent's protocol, pure: which orders are executed, answered from the record, or refused. No I/O, no clock.
 *
 *   - an order with an epoch below the highest seen is refused; a higher one is kept durably before anything is done
 *   - (job, index, dir) names a step; one that ended is answered from its record, one that runs is joined
 *   - before "do" the state is probed: already so => done, and a later undo has nothing to take back; a look that fails
 *     fails the step, with nothing begun
 *   - the record "started" is durable before the step is executed, the record "ended" before it is answered
 *   - after a crash a started step rests until its order comes again (a node that has booted does nothing by itself): then it is
 *     probed, and done again when it is not so; or its undo comes
 *   - an undo leaves a tombstone that refuses a late do; an undo of a step never started only leaves that
 *   - an undo waits for its running do (which is told to stop); a do that is told so before it began does not begin
 *   - records of a job are dropped when the master says that the job is over, at the latest after AGENT_RECORDS_MAX, the oldest
 *     job's first; orders of a job that is over are refused for as long as a connection could still bring them
 */
#ifndef CORE_AGENT_H
#define CORE_AGENT_H

#include "common/err.h"
#include "common/json.h"
#include "schema/msgs.h"
#include "schema/steps.h"

#define AGENT_RECORDS_MAX 4096

struct agent;

enum agent_action_kind {
	AGENT_PERSIST,  /* write record_key := record_text durably (text NULL = delete); then agent_persisted(token) */
	AGENT_PROBE,    /* exec_probe(); then agent_probed(token) */
	AGENT_EXEC,     /* exec_run(); then agent_executed(token) */
	AGENT_CANCEL,   /* tell the running exec of token to stop */
	AGENT_REPLY,    /* send result to the master */
};

struct agent_action {
	enum agent_action_kind kind;
	uint64_t token;
	char record_key[64];     /* file-name safe: "epoch", "12.3.do" */
	const char *record_text; /* borrowed until the next call into the agent */
	enum step_kind step;     /* PROBE, EXEC */
	enum step_dir dir;
	const json_t *args;      /* PROBE, EXEC: borrowed likewise */
	const json_t *before;    /* EXEC of an undo: what the probe of its do said was there already; NULL = nothing. Borrowed likewise */
	struct msg_step_result result; /* REPLY; borrowed: copy what is needed */
};

/* Gives. emit is called for each action, in order, from inside the calls below. It must not call back into the agent. */
struct agent *agent_new(void (*emit)(void *arg, const struct agent_action *a), void *arg);
void agent_free(struct agent *a);
DEFINE_CLEANUP(struct agent *, agent_free);

/* At start: each durable record once, then agent_ready(). Junk is refused (the caller logs and keeps the file). */
int agent_load(struct agent *a, const char *record_key, const char *record_text, struct err *err) WARN_UNUSED;
void agent_ready(struct agent *a);

void agent_step(struct agent *a, const struct msg_step *m); /* an order has come; m is copied */
/* What the actions asked for, each once for its token. ok = false: the record is not on the disk, and its order fails with nothing begun. rc: 0 or -ERR_x, then
 * err says why. */
void agent_persisted(struct agent *a, uint64_t token, bool ok);
/* before: borrowed, may be NULL: of what the step makes, what is there already. Kept with "started", and handed to the undo, which leaves it. */
void agent_probed(struct agent *a, uint64_t token, int rc, bool done, const json_t *before, const struct err *err);
void agent_executed(struct agent *a, uint64_t token, int rc, json_t *result /* borrowed, may be NULL */, const struct err *err);
/* The master of this epoch says hello: keeps the epoch; -ERR_STALE_EPOCH for a lower one. */
int agent_epoch(struct agent *a, int64_t epoch, struct err *err) WARN_UNUSED;
int64_t agent_highest_epoch(const struct agent *a);
/* The job is over: its records may go. */
void agent_forget_job(struct agent *a, int64_t job);
/* Records are written at this level from now on (schema/level.h); at the oldest until it is said. */
void agent_set_level(struct agent *a, int64_t level);
int agent_running(const struct agent *a); /* steps in hand */

#endif
