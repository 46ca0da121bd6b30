/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The clock of the simulation, and what runs on it: events in order of time, processes that die and stall, fibers for work that
 * blocks. One thread; all randomness from one seed. Nothing here knows of clusters.
 */
#ifndef TESTS_SIM_ENGINE_H
#define TESTS_SIM_ENGINE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/list.h"
#include "common/log.h"
#include "common/rng.h"

#define MS INT64_C(1000)
#define SEC (1000 * MS)

struct fiber;
struct machine;
struct event;
struct due;

/* A process of the simulated world: its events and fibers end with it. */
struct proc {
	struct machine *m;
	char name[32];
	bool dead;
	int64_t stalled_until; /* nothing of it runs before */
	struct list fibers;
	int refs;              /* events and the owner */
};

struct engine {
	int64_t now;           /* microseconds */
	uint64_t seq;
	struct due *heap;
	int n_heap, cap_heap;
	int n_canceled;        /* of those in the heap, about */
	struct rng rng;
	struct proc *proc;     /* whose event or fiber runs now; NULL = the world's */
	struct fiber *fiber;
	uint64_t n_events;
	void (*after)(void *arg); /* called after every event: the checkers */
	void *after_arg;
	bool stop;
};
extern struct engine eng;

void engine_init(uint64_t seed);
void engine_free(void);
/* Runs events until the time is reached (or eng.stop). */
void engine_run(int64_t until);

typedef void event_fn(void *arg);
/* p = NULL: of the world. The handle is good until it has run or was canceled. */
struct event *at(struct proc *p, int64_t when, event_fn *fn, void *arg);
struct event *after(struct proc *p, int64_t us, event_fn *fn, void *arg);
void event_cancel(struct event *e); /* NULL is fine */

struct proc *proc_new(struct machine *m, const char *name);
/* As kill -9: no code of it runs any more; what it had allocated is lost with it. From the world's events only. */
void proc_kill(struct proc *p);
void proc_unref(struct proc *p);

/* ---- fibers ---- */

struct fiber *fiber_start(struct proc *p, event_fn *fn, void *arg);
/* In a fiber: waits. */
void fiber_sleep(int64_t us);
/* In a fiber: waits until fiber_wake(), at most us (0 = for ever). False = time is up. */
bool fiber_wait(int64_t us);
void fiber_wake(struct fiber *f); /* a fiber that has ended, or died, is no error */

/* ---- chance ---- */
int64_t pick(int64_t lo, int64_t hi); /* both included */
bool chance(int permille);

/* ---- trace ---- */
extern bool tracing;
extern enum log_level trace_level; /* of the daemons' own log: twin_os.c */
void trace(const char *fmt, ...) PRINTF(1, 2);

/* The end of a child that has run a world: nothing is torn down; in a build for coverage what it has run is counted, which gcov does at exit() only. */
__attribute__((noreturn)) void child_exit(int status);

#endif
