/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blocking work off the loop's thread, in lanes: jobs of one lane (an instance's uuid, "vg", ...) run in order and one
 * at a time; lanes run side by side up to the pool's size. A job past its deadline is reported as -ERR_TIMEOUT
 * once and written off: its thread is replaced, its late result is dropped and counted. Its lane waits for it all the same
 * (nobody else may touch the object while it may come back), until the deadlines of the jobs behind it.
 */
#ifndef IO_WORKER_H
#define IO_WORKER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "io/loop.h"

struct workers;

/*
 * err->step of a -ERR_TIMEOUT that comes from the pool, not from work() itself: DEADLINE = it had begun and was written off,
 * QUEUE = it never began (then nobody else has arg: the caller may free it).
 */
#define WORKER_STEP_DEADLINE "deadline"
#define WORKER_STEP_QUEUE "queue"

struct worker_job {
	/* On a worker thread. Returns 0 or -ERR_x and fills err. Touches nothing but arg. */
	int (*work)(void *arg, struct err *err);
	/* On the loop's thread, exactly once. After a DEADLINE time-out arg must stay alive: it belongs to the stuck thread. */
	void (*done)(void *arg, int rc, const struct err *err);
	void *arg;
	int64_t deadline_ms; /* from now, 0 = none */
};

struct workers *workers_new(struct loop *l, int n_threads);
void workers_free(struct workers *w); /* waits for running jobs; queued ones get done(-ERR_CANCELED) */
DEFINE_CLEANUP(struct workers *, workers_free);
void workers_submit(struct workers *w, const char *lane, const struct worker_job *job);
int workers_stuck(const struct workers *w); /* jobs written off and not come back */

/* ---- for work() itself: the only ways in which it may wait. A simulation has its own. ---- */

void worker_pause(int ms);
/* One party waits, another one ends its waiting, from any thread. */
struct worker_event;
struct worker_event *worker_event_new(void);
void worker_event_free(struct worker_event *e); /* when neither can use it any more */
void worker_event_set(struct worker_event *e);
bool worker_event_wait(struct worker_event *e, int64_t ms); /* false = it was not set in time */

#endif
