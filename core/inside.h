/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of core/ share and nobody else sees. */
#ifndef CORE_INSIDE_H
#define CORE_INSIDE_H

#include "common/list.h"
#include "common/rng.h"
#include "common/sm.h"
#include "core/core.h"
#include "core/outbox.h"
#include "core/plan.h"
#include "core/state.h"

struct waiter { /* a client that waits for news of a job */
	struct list link;
	uint64_t client;
	char id[64];
	int64_t seen;
	int64_t deadline_ms;
	bool joins; /* it is the machine that joins by this job: told its end, once */
};

struct cjob {
	struct job j;
	unsigned char step[STEPS_MAX]; /* enum step_state */
	int cur;                 /* step in hand */
	int attempt;             /* tries of it that failed */
	bool waiting;            /* for its result */
	bool cancel_sent;
	int64_t retry_at_ms;     /* 0 = not waiting to retry */
	int64_t step_since_ms;   /* when it was started, in this master's time */
	int n_records;
	int64_t first_unit;      /* outbox_unit() of its first record; 0 = it was loaded from the store */
	char **news;             /* ring of at most STEP_LOG_MAX: line k at news[k % STEP_LOG_MAX] */
	int64_t n_news;
	int permille;
	char *progress;          /* NULL = none is told */
	char *result;            /* of one that has ended, as text: a tree takes ten times as much */
	struct list waiters;
	bool trial;              /* sits in the queue without a plan yet */
};

struct core {
	struct state st;
	struct outbox *out;
	struct rng rng;
	struct cjob **jobs; /* by id, ascending; ended ones too */
	uint64_t *job_keys; /* of their request ids, at the same index */
	int n_jobs;
	struct cjob **open; /* those that have not ended, by id; an ended one may stand there until job_list_tidy() */
	int n_open;
	int64_t last_job;
	int64_t store_silent_since_ms; /* 0 = it answers */
	int64_t settings_version;
	struct event_line { int64_t wall_ms; char *text; } *events;
	int n_events;
	int64_t next_reconcile_ms;
	unsigned next_stray; /* whose turn it is to be looked through for left-overs */
	int64_t next_certificates_ms, certificates_wait_ms;
	int64_t started_ms; /* this master's time began */
	int64_t resumed_ms; /* the last pause without majority ended then */
	bool ended;
};

/* ---- core.c ---- */
void core_put_cluster(struct core *c);
void core_put_node(struct core *c, const struct snode *n);
void core_put_instance(struct core *c, const struct sinstance *i);
void core_put_token(struct core *c, const struct token *t);
void core_event(struct core *c, const char *fmt, ...) PRINTF(2, 3); /* remembered, and logged */
void core_send(struct core *c, const char *node, const char *type, const struct schema *s, const void *msg);
void core_reply_ok(struct core *c, uint64_t client, const char *id, json_t *result /* takes */);
struct msg_reply *core_error_reply(const char *id, const struct err *err); /* gives */
void core_reply_err(struct core *c, uint64_t client, const char *id, const struct err *err);
/* Tells every node of the instance its generation. */
void core_send_gens(struct core *c, const struct sinstance *i);
void core_send_node_gens(struct core *c, const char *node);
/* Tells a node (NULL = all) the cluster's settings. */
void core_send_settings(struct core *c, const char *node);
/* To the machine that joins by the job, which has ended. */
void core_joined(struct core *c, uint64_t client, const struct job *j);
void core_fill_settings(const struct core *c, struct step_settings *ret);

/* ---- word.c ---- */
/* What its node said last of the replica, if it was said at this generation and it is unmarked; NULL = nothing that counts. */
const struct obs_drbd *word_of(const struct core *c, const struct sinstance *s, const char *node);
/* It asked out of current at this generation, and was not let go. */
void word_asked_out(struct sinstance *s, const char *node);
bool word_has_asked_out(const struct sinstance *s, const char *node);
/*
 * A plan is about to make it the only one in current: it has said to this master, at this generation, that it is good, and nothing else since (H7).
 * -ERR_BUSY: it has not said anything yet.
 */
int word_need_good(const struct core *c, const struct sinstance *s, const char *node, struct err *err) WARN_UNUSED;

/* ---- job_list.c: which jobs there are ---- */
struct cjob *job_append(struct core *c);          /* an empty one, to be filled; the newest */
void job_opened(struct core *c, struct cjob *j);  /* the newest one is filled and has not ended */
void job_drop_newest(struct core *c);             /* it was not filled after all */
void job_list_loaded(struct core *c);             /* after job_load(): sorts */
/* An ended one that is in the store: what was asked for stays there and leaves memory, the result becomes text; a thousand are kept. */
void job_slim(struct cjob *j);
void job_list_free(struct core *c);
void job_list_tidy(struct core *c);               /* ended jobs beyond the newest JOBS_KEPT_MAX leave memory and store, some each time */
void job_archive(struct core *c, struct cjob *j); /* this one now; it has ended */
struct cjob *job_find(const struct core *c, int64_t id);
struct cjob *job_of_request(const struct core *c, const char *request_id); /* the newest that this request filed */
/* Is one already there that asks the same (the reconciler must not pile them up)? */
bool job_pending(const struct core *c, enum op_index op, const char *arg_name);

/* ---- job_queue.c ---- */
/* Files a job: checks, plans on trial, queues, journals. *ret_id. */
int job_submit(struct core *c, enum op_index op, const json_t *args, const struct msg_request *from, int64_t *ret_id, struct err *err) WARN_UNUSED;
void job_schedule(struct core *c);          /* grants locks, starts what may run */

/* ---- job.c: the saga ---- */
extern const struct sm job_sm;
bool job_ended(const struct cjob *j);
void job_result(struct core *c, struct cjob *j, int index, enum step_dir dir, int rc, json_t *result, const struct err *err);
void job_progress(struct core *c, struct cjob *j, int index, int permille, const char *text);
void job_node_back(struct core *c, const char *node); /* it is connected: orders that it may have missed are sent again */
void job_tick(struct core *c);
int job_cancel(struct core *c, int64_t id, struct err *err) WARN_UNUSED;
void job_wait(struct core *c, struct cjob *j, uint64_t client, const char *id, int64_t seen, int64_t wait_ms);
void job_wait_join(struct core *c, struct cjob *j, uint64_t client);
void job_client_gone(struct core *c, uint64_t client);
int job_load(struct core *c, const struct core_kv *kvs, int n, struct err *err) WARN_UNUSED;
void job_resume(struct core *c); /* after loading */
void job_free(struct cjob *j);
/* Shared by the files of the job machine. */
void job_put(struct core *c, const struct cjob *j);             /* its record */
void job_set_error(struct cjob *j, const struct err *err);      /* the first one is kept: it is the cause */
void job_end(struct core *c, struct cjob *j, int state);
void job_answer_waiters(struct core *c, struct cjob *j);
void job_news(struct core *c, struct cjob *j, const char *fmt, ...) PRINTF(3, 4);
void job_note_time(struct cjob *j, int step, enum record_event ev, int64_t wall_ms); /* when a step began and ended; its undo is not timed */
bool job_past_pivot(const struct cjob *j);
void job_set_busy(struct core *c, const struct cjob *j, int64_t job);
void job_advance(struct core *c, struct cjob *j); /* walks on until it waits or ends */
const char *job_step_node(const struct core *c, const struct plan_step *s);
json_t *job_news_json(const struct core *c, const struct cjob *j, int64_t seen);
json_t *plan_json(const struct core *c, const struct plan *p, char *const *locks, int n_locks);

/* ---- apply.c: MASTER steps ---- */
int apply_step(struct core *c, enum step_kind kind, enum step_dir dir, const json_t *args, struct err *err) WARN_UNUSED;

/* ---- query.c ---- */
int query_run(struct core *c, enum op_index op, const void *args, json_t **ret, struct err *err) WARN_UNUSED;
json_t *query_instance(const struct core *c, const struct sinstance *s);

/* ---- verify.c ---- */
json_t *verify_run(const struct core *c);

/* ---- reconcile.c: wanted against seen ---- */
void reconcile_observed(struct core *c, struct snode *n); /* a node has reported */
void reconcile_tick(struct core *c);
void reconcile_started(struct core *c, const char *uuid); /* a guest, by a job */
#define RECONCILER "reconciler" /* the user of jobs that nobody asked for */
void reconcile_file(struct core *c, enum op_index op, json_t *args /* takes */, const char *reason); /* an ordinary job */

/* ---- live.c: liveness of nodes ---- */
enum liveness live_of(const struct snode *n); /* as the log has it, and suspect */
void live_beat(struct core *c, struct snode *n);
void live_tick(struct core *c);
void live_resumed(struct core *c); /* a pause without majority has ended */
bool live_storm(const struct core *c); /* more than a third of the nodes silent at once */

/* ---- moves.c: maintenance, a lost primary network ---- */
void moves_tick(struct core *c);

/* ---- ha_report.c ---- */
int ha_report(const struct core *c, const struct op_ha_report *a, json_t **ret, struct err *err) WARN_UNUSED;

/* ---- tails.c: what a loser wrote; rejoin.c: a node is back in a new boot ---- */
void tails_observed(struct core *c, struct snode *n);
void tails_resynced(struct core *c, struct sinstance *s, const char *loser); /* before the record says so */
void tails_tick(struct core *c);
int tails_list(const struct core *c, const struct op_list *a, json_t **ret, struct err *err) WARN_UNUSED;
struct obs_tail;
const struct obs_tail *tails_kept(const struct snode *n, const char *instance_uuid, int64_t gen, int index); /* NULL = none */
bool rejoin_by_itself(const struct state *st, const struct snode *n);
void rejoin_observed(struct core *c, struct snode *n);
void strays_observed(struct core *c, struct snode *n); /* strays.c: guests where they do not belong */

/* ---- failover.c ---- */
void failover_tick(struct core *c);

#endif
