/* SPDX-License-Identifier: Apache-2.0 */
#include "io/worker.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/list.h"
#include "common/log.h"
#include "common/xmem.h"
#include "io/loop_inside.h"

enum job_state { JOB_QUEUED, JOB_RUNNING, JOB_FINISHED, JOB_WRITTEN_OFF };

struct job {
	struct list in_lane;  /* QUEUED: in its lane. FINISHED: in workers.finished */
	struct list in_timed; /* has a deadline and is QUEUED or RUNNING */
	struct lane *lane;
	struct thread *thread; /* RUNNING */
	struct worker_job what;
	enum job_state state;
	int64_t deadline_ms;   /* on the loop's clock, 0 = none */
	int rc;
	struct err err;
};

struct lane {
	struct list link;  /* workers.lanes */
	struct list ready; /* workers.ready: has jobs and none of them runs */
	char *name;
	struct list jobs;  /* QUEUED */
	bool busy;         /* one runs; also one that was written off: nobody else may touch the object yet */
};

struct thread {
	struct list link; /* workers.threads; a written-off thread is in no list */
	struct workers *pool;
	pthread_t id;
};

/* Lives as long as somebody refers to it: the owner until workers_free(), each written-off thread until it comes back. */
struct workers {
	struct loop *loop;
	pthread_mutex_t lock; /* guards all below */
	pthread_cond_t work;  /* a lane became ready, or closing */
	pthread_cond_t ended; /* a job ended */
	struct list lanes, ready, threads, timed, finished;
	int n_threads_max, n_threads, n_idle;
	int n_running;        /* RUNNING jobs */
	int n_stuck;
	bool closing, posted;
	struct loop_timer *timer; /* for the earliest deadline; the loop's thread only */
};

/* ---- lanes --------------------------------------------------------------------------------------------------- */

static struct lane *lane_get(struct workers *w, const char *name)
{
	list_for_each(l, &w->lanes) {
		struct lane *lane = list_entry(l, struct lane, link);

		if (strcmp(lane->name, name) == 0)
			return lane;
	}
	struct lane *lane = xcalloc(1, sizeof(*lane));
	lane->name = xstrdup(name);
	list_init(&lane->ready);
	list_init(&lane->jobs);
	list_add_tail(&w->lanes, &lane->link);
	return lane;
}

/* After any change of a lane: it waits for a thread, or it goes. */
static void lane_update(struct workers *w, struct lane *lane)
{
	if (lane->busy)
		return;
	if (!list_empty(&lane->jobs)) {
		if (list_empty(&lane->ready)) {
			list_add_tail(&w->ready, &lane->ready);
			(void)pthread_cond_signal(&w->work);
		}
		return;
	}
	list_del(&lane->ready);
	list_del(&lane->link);
	free(lane->name);
	free(lane);
}

/* ---- the thread ---------------------------------------------------------------------------------------------- */

static void pool_destroy(struct workers *w)
{
	(void)pthread_mutex_destroy(&w->lock);
	(void)pthread_cond_destroy(&w->work);
	(void)pthread_cond_destroy(&w->ended);
	free(w);
}

static void deliver(void *arg);
static void start_threads(struct workers *w);

static void finish(struct workers *w, struct job *j, int rc, const struct err *err)
{
	j->state = JOB_FINISHED;
	j->rc = rc;
	j->err = *err;
	j->thread = NULL;
	list_del(&j->in_timed);
	list_add_tail(&w->finished, &j->in_lane);
	w->n_running--;
	j->lane->busy = false;
	lane_update(w, j->lane);
	j->lane = NULL;
	if (!w->posted && !w->closing) {
		w->posted = true;
		loop_post(w->loop, deliver, w);
	}
	(void)pthread_cond_broadcast(&w->ended);
}

/* A job comes back that was given up: its lane is free again. */
static void come_back(struct workers *w, struct job *j)
{
	w->n_stuck--;
	log_notice("a job of lane '%s' came back after its deadline, its result is dropped", j->lane->name);
	j->lane->busy = false;
	lane_update(w, j->lane);
	free(j);
	if (!w->closing)
		start_threads(w);
}

/* With the lock held. false = this thread was written off and must go. */
static bool run_one(struct workers *w, struct thread *t)
{
	struct lane *lane = list_entry(w->ready.next, struct lane, ready);
	struct job *j = list_entry(lane->jobs.next, struct job, in_lane);
	struct err err = ERR_INIT;

	list_del(&lane->ready);
	list_del(&j->in_lane);
	lane->busy = true;
	j->state = JOB_RUNNING;
	j->thread = t;
	w->n_running++;
	(void)pthread_mutex_unlock(&w->lock);
	int rc = j->what.work(j->what.arg, &err);
	(void)pthread_mutex_lock(&w->lock);
	if (j->state == JOB_WRITTEN_OFF) {
		come_back(w, j);
		return false;
	}
	finish(w, j, rc, &err);
	return true;
}

static void *thread_main(void *arg)
{
	struct thread *t = arg;
	struct workers *w = t->pool;
	bool mine = true;

	(void)pthread_mutex_lock(&w->lock);
	while (mine) {
		if (w->closing) { /* what is queued is canceled, not begun */
			break;
		} else if (!list_empty(&w->ready)) {
			mine = run_one(w, t);
		} else {
			w->n_idle++;
			(void)pthread_cond_wait(&w->work, &w->lock);
			w->n_idle--;
		}
	}
	bool last = !mine && w->closing && w->n_stuck == 0 && w->timer == NULL;
	(void)pthread_mutex_unlock(&w->lock);
	if (!mine)
		free(t); /* detached, in no list */
	if (last)
		pool_destroy(w);
	return NULL;
}

/* As many threads as there is work for, up to the limit. With the lock held. */
static void start_threads(struct workers *w)
{
	int n_ready = 0;
	sigset_t all, before;

	list_for_each(l, &w->ready)
		n_ready++;
	while (w->n_threads < w->n_threads_max && n_ready > w->n_idle) {
		struct thread *t = xcalloc(1, sizeof(*t));

		t->pool = w;
		(void)sigfillset(&all); /* signals are the loop's */
		(void)pthread_sigmask(SIG_SETMASK, &all, &before);
		int rc = pthread_create(&t->id, NULL, thread_main, t);
		(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
		if (rc != 0) {
			free(t);
			if (w->n_threads > 0)
				return; /* fewer will do */
			abort();        /* without one the daemon would hang for ever */
		}
		list_add_tail(&w->threads, &t->link);
		w->n_threads++;
		n_ready--;
	}
}

/* ---- the loop's side: results, deadlines --------------------------------------------------------------------- */

static void set_timer(struct workers *w)
{
	int64_t first = 0;

	list_for_each(l, &w->timed) {
		const struct job *j = list_entry(l, struct job, in_timed);

		if (!first || j->deadline_ms < first)
			first = j->deadline_ms;
	}
	if (!first)
		loop_timer_stop(w->timer);
	else
		loop_timer_start(w->timer, first - loop_now_ms(w->loop), 0);
}

static void deliver(void *arg)
{
	struct workers *w = arg;
	struct list done;

	list_init(&done);
	(void)pthread_mutex_lock(&w->lock);
	w->posted = false;
	while (!list_empty(&w->finished)) {
		struct list *l = w->finished.next;

		list_del(l);
		list_add_tail(&done, l);
	}
	(void)pthread_mutex_unlock(&w->lock);
	while (!list_empty(&done)) {
		struct job *j = list_entry(done.next, struct job, in_lane);

		list_del(&j->in_lane);
		j->what.done(j->what.arg, j->rc, &j->err);
		free(j);
	}
}

/* The thread of a job that is given up leaves the pool; another may take its place. With the lock held. */
static void write_off(struct workers *w, struct job *j)
{
	struct thread *t = j->thread;

	j->state = JOB_WRITTEN_OFF;
	(void)pthread_detach(t->id);
	list_del(&t->link);
	w->n_threads--;
	w->n_running--;
	w->n_stuck++;
}

/* Takes one job that is past its deadline out. With the lock held; NULL = none. */
static struct job *take_late(struct workers *w, int64_t now_ms, bool *ret_started)
{
	list_for_each(l, &w->timed) {
		struct job *j = list_entry(l, struct job, in_timed);

		if (j->deadline_ms > now_ms)
			continue;
		list_del(&j->in_timed);
		*ret_started = j->state == JOB_RUNNING;
		if (*ret_started) {
			write_off(w, j);
			return j;
		}
		list_del(&j->in_lane);
		if (list_empty(&j->lane->jobs))
			lane_update(w, j->lane); /* no more to do: it goes unless busy */
		return j;
	}
	return NULL;
}

static void on_deadline(void *arg)
{
	struct workers *w = arg;
	int64_t now_ms = loop_now_ms(w->loop);
	bool started = false;
	struct job *j;

	(void)pthread_mutex_lock(&w->lock);
	while ((j = take_late(w, now_ms, &started))) {
		struct worker_job what = j->what;
		struct err err = ERR_INIT;

		if (started) {
			(void)err_set(&err, ERR_TIMEOUT, "work in lane '%s' is not done after %lld ms, giving it up", j->lane->name,
				      (long long)what.deadline_ms);
			start_threads(w);
		} else {
			(void)err_set(&err, ERR_TIMEOUT, "work could not begin in %lld ms: its lane or all workers are busy",
				      (long long)what.deadline_ms);
			free(j);
		}
		(void)str_copy(err.step, sizeof(err.step), started ? WORKER_STEP_DEADLINE : WORKER_STEP_QUEUE);
		(void)pthread_mutex_unlock(&w->lock);
		what.done(what.arg, -ERR_TIMEOUT, &err); /* may submit */
		(void)pthread_mutex_lock(&w->lock);
	}
	if (!w->closing)
		set_timer(w);
	(void)pthread_mutex_unlock(&w->lock);
}

/* ---- the public face ----------------------------------------------------------------------------------------- */

struct workers *workers_new(struct loop *l, int n_threads)
{
	struct workers *w = xcalloc(1, sizeof(*w));
	pthread_condattr_t attr;

	assert(n_threads > 0);
	w->loop = l;
	w->n_threads_max = n_threads;
	list_init(&w->lanes);
	list_init(&w->ready);
	list_init(&w->threads);
	list_init(&w->timed);
	list_init(&w->finished);
	if (pthread_mutex_init(&w->lock, NULL) != 0 || pthread_condattr_init(&attr) != 0 ||
	    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) != 0 || pthread_cond_init(&w->work, &attr) != 0 ||
	    pthread_cond_init(&w->ended, &attr) != 0)
		abort();
	(void)pthread_condattr_destroy(&attr);
	w->timer = loop_timer_new(l, on_deadline, w);
	return w;
}

void workers_submit(struct workers *w, const char *lane_name, const struct worker_job *what)
{
	struct job *j = xcalloc(1, sizeof(*j));

	assert(what->work && what->done);
	j->what = *what;
	list_init(&j->in_timed);
	(void)pthread_mutex_lock(&w->lock);
	j->lane = lane_get(w, lane_name);
	list_add_tail(&j->lane->jobs, &j->in_lane);
	if (what->deadline_ms > 0) {
		j->deadline_ms = loop_now_ms(w->loop) + what->deadline_ms;
		list_add_tail(&w->timed, &j->in_timed);
		if (!w->closing)
			set_timer(w);
	}
	if (!w->closing) { /* else workers_free() is at it and cancels this one, too */
		lane_update(w, j->lane);
		start_threads(w);
	}
	(void)pthread_mutex_unlock(&w->lock);
}

int workers_stuck(const struct workers *w)
{
	struct workers *x = (struct workers *)(uintptr_t)w; /* the lock is no part of what "const" promises */

	(void)pthread_mutex_lock(&x->lock);
	int n = x->n_stuck;
	(void)pthread_mutex_unlock(&x->lock);
	return n;
}

/* ---- the end ------------------------------------------------------------------------------------------------- */

/* With the lock held; NULL = none is queued. */
static struct job *take_queued(struct workers *w)
{
	list_for_each(l, &w->lanes) {
		struct lane *lane = list_entry(l, struct lane, link);

		if (list_empty(&lane->jobs))
			continue;
		struct job *j = list_entry(lane->jobs.next, struct job, in_lane);
		list_del(&j->in_lane);
		list_del(&j->in_timed);
		if (list_empty(&lane->jobs)) {
			list_del(&lane->ready);
			lane_update(w, lane);
		}
		return j;
	}
	return NULL;
}

static void cancel_queued(struct workers *w)
{
	struct job *j;

	(void)pthread_mutex_lock(&w->lock);
	while ((j = take_queued(w))) {
		struct err err = ERR_INIT;

		(void)pthread_mutex_unlock(&w->lock);
		(void)err_set(&err, ERR_CANCELED, "the daemon ends");
		j->what.done(j->what.arg, -ERR_CANCELED, &err);
		free(j);
		(void)pthread_mutex_lock(&w->lock);
	}
	(void)pthread_mutex_unlock(&w->lock);
}

/* Until no job runs, or the first deadline comes. */
static void wait_running(struct workers *w)
{
	struct timespec until;

	(void)pthread_mutex_lock(&w->lock);
	if (w->n_running > 0 && list_empty(&w->finished)) {
		/* A short wait and another look: deadlines are on the loop's clock, the condition's clock is another. */
		(void)clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_nsec += 50 * 1000 * 1000;
		if (until.tv_nsec >= 1000000000) {
			until.tv_sec++;
			until.tv_nsec -= 1000000000;
		}
		(void)pthread_cond_timedwait(&w->ended, &w->lock, &until);
	}
	(void)pthread_mutex_unlock(&w->lock);
}

static bool at_rest(struct workers *w)
{
	(void)pthread_mutex_lock(&w->lock);
	bool rest = w->n_running == 0 && list_empty(&w->finished);
	list_for_each(l, &w->lanes)
		if (!list_empty(&list_entry(l, struct lane, link)->jobs))
			rest = false;
	(void)pthread_mutex_unlock(&w->lock);
	return rest;
}

static void join_threads(struct workers *w)
{
	(void)pthread_mutex_lock(&w->lock);
	(void)pthread_cond_broadcast(&w->work);
	while (!list_empty(&w->threads)) {
		struct thread *t = list_entry(w->threads.next, struct thread, link);

		list_del(&t->link);
		(void)pthread_mutex_unlock(&w->lock);
		(void)pthread_join(t->id, NULL);
		free(t);
		(void)pthread_mutex_lock(&w->lock);
	}
	(void)pthread_mutex_unlock(&w->lock);
}

void workers_free(struct workers *w)
{
	if (!w)
		return;
	(void)pthread_mutex_lock(&w->lock);
	w->closing = true;
	(void)pthread_mutex_unlock(&w->lock);
	do { /* callbacks may submit once more */
		cancel_queued(w);
		wait_running(w);
		on_deadline(w);
		deliver(w);
	} while (!at_rest(w));
	join_threads(w);
	loop_unpost(w->loop, deliver, w);
	loop_timer_free(w->timer);
	(void)pthread_mutex_lock(&w->lock);
	w->timer = NULL; /* from here a written-off thread that comes back last frees the rest */
	bool last = w->n_stuck == 0;
	(void)pthread_mutex_unlock(&w->lock);
	if (last)
		pool_destroy(w);
}

/* ---- waiting -------------------------------------------------------------------------------------------------- */

struct worker_event {
	pthread_mutex_t lock;
	pthread_cond_t cond;
	bool set;
};

void worker_pause(int ms)
{
	struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L };

	(void)nanosleep(&t, NULL);
}

struct worker_event *worker_event_new(void)
{
	struct worker_event *e = xcalloc(1, sizeof(*e));
	pthread_condattr_t attr;

	(void)pthread_mutex_init(&e->lock, NULL);
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&e->cond, &attr);
	(void)pthread_condattr_destroy(&attr);
	return e;
}

void worker_event_free(struct worker_event *e)
{
	(void)pthread_mutex_destroy(&e->lock);
	(void)pthread_cond_destroy(&e->cond);
	free(e);
}

void worker_event_set(struct worker_event *e)
{
	(void)pthread_mutex_lock(&e->lock);
	e->set = true;
	(void)pthread_cond_signal(&e->cond);
	(void)pthread_mutex_unlock(&e->lock);
}

bool worker_event_wait(struct worker_event *e, int64_t ms)
{
	struct timespec end;
	int rc = 0;

	(void)clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += (time_t)(ms / 1000);
	end.tv_nsec += ms % 1000 * 1000000L;
	if (end.tv_nsec >= 1000000000L) {
		end.tv_sec++;
		end.tv_nsec -= 1000000000L;
	}
	(void)pthread_mutex_lock(&e->lock);
	while (!e->set && rc == 0)
		rc = pthread_cond_timedwait(&e->cond, &e->lock, &end);
	bool set = e->set;
	(void)pthread_mutex_unlock(&e->lock);
	return set;
}
