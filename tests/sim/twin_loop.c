/* SPDX-License-Identifier: Apache-2.0 */
/* Twins of io/loop.h and io/worker.h: timers on the simulated clock, lanes of fibers. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/xmem.h"
#include "io/loop.h"
#include "io/worker.h"
#include "tests/sim/world.h"

struct loop {
	struct proc *p;
	struct fiber *runner; /* a worker that runs a loop of its own (join) */
	bool stopped;
};

struct loop_timer {
	struct loop *loop;
	void (*fn)(void *arg);
	void *arg;
	int64_t repeat_ms;
	struct event *next;
};

struct loop *loop_new(void)
{
	struct loop *l = xcalloc(1, sizeof(*l));

	assert(eng.proc);
	l->p = eng.proc;
	return l;
}

void loop_free(struct loop *l)
{
	free(l);
}

void loop_run(struct loop *l)
{
	assert(eng.fiber);
	l->runner = eng.fiber;
	while (!l->stopped)
		(void)fiber_wait(0);
	l->stopped = false;
}

void loop_stop(struct loop *l)
{
	l->stopped = true;
	if (l->runner)
		fiber_wake(l->runner);
}

int64_t loop_now_ms(struct loop *l)
{
	return machine_clock(l->p->m) / MS;
}

int64_t loop_wall_ms(struct loop *l)
{
	return INT64_C(1700000000000) + eng.now / MS + l->p->m->wall_offset_ms;
}

/* What is posted is always last on its process's list of this moment: order is kept. */
void loop_post(struct loop *l, void (*fn)(void *arg), void *arg)
{
	(void)after(l->p, 0, fn, arg);
}

struct loop_timer *loop_timer_new(struct loop *l, void (*fn)(void *arg), void *arg)
{
	struct loop_timer *t = xcalloc(1, sizeof(*t));

	t->loop = l;
	t->fn = fn;
	t->arg = arg;
	return t;
}

static void timer_due(void *arg)
{
	struct loop_timer *t = arg;

	t->next = NULL;
	if (t->repeat_ms)
		t->next = after(t->loop->p, t->repeat_ms * MS, timer_due, t);
	t->fn(t->arg);
}

void loop_timer_start(struct loop_timer *t, int64_t after_ms, int64_t repeat_ms)
{
	loop_timer_stop(t);
	t->repeat_ms = repeat_ms;
	t->next = after(t->loop->p, after_ms * MS, timer_due, t);
}

void loop_timer_stop(struct loop_timer *t)
{
	event_cancel(t->next);
	t->next = NULL;
}

void loop_timer_free(struct loop_timer *t)
{
	if (!t)
		return;
	loop_timer_stop(t);
	free(t);
}

/* ---- workers ------------------------------------------------------------------------------------------ */

struct job {
	struct list link; /* of its lane */
	struct lane *lane;
	struct worker_job what;
	int64_t deadline; /* 0 = none */
	int rc;
	struct err err;
	struct event *late;
	bool running, written_off;
};

struct lane {
	struct list link;
	char *name;
	struct list jobs;
	struct job *busy;
	struct workers *pool;
};

struct workers {
	struct loop *loop;
	struct list lanes;
	int n_stuck;
};

struct workers *workers_new(struct loop *l, int n_threads)
{
	struct workers *w = xcalloc(1, sizeof(*w));

	(void)n_threads; /* never too few here: what shares a lane is what is told apart */
	w->loop = l;
	list_init(&w->lanes);
	return w;
}

void workers_free(struct workers *w)
{
	(void)w; /* processes of the simulation only die */
	abort();
}

static void lane_next(struct lane *lane);

static void deliver(void *arg)
{
	struct job *j = arg;

	event_cancel(j->late);
	j->what.done(j->what.arg, j->rc, &j->err);
	free(j);
}

static void run_job(void *arg)
{
	struct lane *lane = arg;
	struct job *j = lane->busy;
	int rc = j->what.work(j->what.arg, &j->err);

	lane->busy = NULL;
	if (j->written_off) {
		lane->pool->n_stuck--;
		free(j);
	} else {
		j->rc = rc;
		loop_post(lane->pool->loop, deliver, j);
	}
	lane_next(lane);
}

static void lane_next(struct lane *lane)
{
	if (lane->busy || list_empty(&lane->jobs))
		return;
	struct job *j = list_entry(lane->jobs.next, struct job, link);
	list_del(&j->link);
	lane->busy = j;
	j->running = true;
	(void)fiber_start(lane->pool->loop->p, run_job, lane);
}

static void too_late(void *arg)
{
	struct job *j = arg;
	struct err err = ERR_INIT;

	j->late = NULL;
	(void)err_set(&err, ERR_TIMEOUT, "it takes too long");
	(void)str_copy(err.step, sizeof(err.step), j->running ? WORKER_STEP_DEADLINE : WORKER_STEP_QUEUE);
	if (j->running) {
		if (j->lane->busy != j)
			return; /* it has ended, its result is on the way */
		j->written_off = true;
		j->lane->pool->n_stuck++;
		j->what.done(j->what.arg, -ERR_TIMEOUT, &err);
		return;
	}
	list_del(&j->link);
	j->what.done(j->what.arg, -ERR_TIMEOUT, &err);
	free(j);
}

void workers_submit(struct workers *w, const char *lane_name, const struct worker_job *what)
{
	struct job *j = xcalloc(1, sizeof(*j));
	struct lane *lane = NULL;

	list_for_each(l, &w->lanes)
		if (strcmp(list_entry(l, struct lane, link)->name, lane_name) == 0)
			lane = list_entry(l, struct lane, link);
	if (!lane) {
		lane = xcalloc(1, sizeof(*lane));
		lane->name = xstrdup(lane_name);
		lane->pool = w;
		list_init(&lane->jobs);
		list_add_tail(&w->lanes, &lane->link);
	}
	j->what = *what;
	j->lane = lane;
	list_add_tail(&lane->jobs, &j->link);
	if (what->deadline_ms)
		j->late = after(w->loop->p, what->deadline_ms * MS, too_late, j);
	lane_next(lane);
}

int workers_stuck(const struct workers *w)
{
	return w->n_stuck;
}

/* ---- waiting ------------------------------------------------------------------------------------------- */

struct worker_event {
	struct fiber *waiter;
	bool set;
};

void worker_pause(int ms)
{
	fiber_sleep(ms * MS);
}

struct worker_event *worker_event_new(void)
{
	return xcalloc(1, sizeof(struct worker_event));
}

void worker_event_free(struct worker_event *e)
{
	free(e);
}

void worker_event_set(struct worker_event *e)
{
	e->set = true;
	if (e->waiter)
		fiber_wake(e->waiter);
}

bool worker_event_wait(struct worker_event *e, int64_t ms)
{
	e->waiter = eng.fiber;
	if (!e->set)
		(void)fiber_wait(ms * MS);
	e->waiter = NULL;
	return e->set;
}

/* ---- never reached in a simulation ------------------------------------------------------------------------ */

struct loop_signal *loop_signal_new(struct loop *l, int signo, void (*fn)(void *arg), void *arg)
{
	(void)l;
	(void)signo;
	(void)fn;
	(void)arg;
	abort();
}

void loop_signal_free(struct loop_signal *s)
{
	(void)s;
	abort();
}

struct loop_child *loop_child_new(struct loop *l, const char *const argv[], void (*on_line)(void *arg, const char *line, size_t len),
				  void (*on_exit)(void *arg, int status), void *arg, struct err *err)
{
	(void)l;
	(void)argv;
	(void)on_line;
	(void)on_exit;
	(void)arg;
	err_set(err, ERR_NOT_SUPPORTED, "no children in a simulation");
	return NULL;
}

void loop_child_free(struct loop_child *c)
{
	(void)c;
}

/* ---- descriptors: gantry-fenced's alone, and no machine of the simulation has it ----------------------------------- */

struct loop_poll *loop_poll_new(struct loop *l, int fd, void (*fn)(void *arg, int events, bool failed), void *arg)
{
	(void)l;
	(void)fd;
	(void)fn;
	(void)arg;
	abort();
}

void loop_poll_set(struct loop_poll *p, int events)
{
	(void)p;
	(void)events;
}

void loop_poll_free(struct loop_poll *p)
{
	(void)p;
}
