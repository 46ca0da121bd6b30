/* SPDX-License-Identifier: Apache-2.0 */
#include "io/worker.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "common/list.h"
#include "common/xmem.h"

#define LANE_MAX 80

struct task {
	struct list link;
	struct workers *w;
	struct worker_job job;
	char lane[LANE_MAX];
	bool running;
	bool told;          /* done() has been called: on time-out before the work ended */
	int64_t due_ms;     /* 0 = none */
	int rc;
	struct err err;
};

struct workers {
	struct loop *loop;
	pthread_mutex_t lock;
	pthread_cond_t work;
	struct list queue;   /* waiting, in order */
	struct list running;
	int n_threads, n_idle;
	int n_wanted;        /* threads that should be at work, besides the stuck ones */
	int n_stuck;
	bool closing;
	struct loop_timer *timer;
	int alive;           /* threads */
	pthread_cond_t gone;
};

static bool lane_busy(const struct workers *w, const char *lane)
{
	list_for_each(l, &w->running) {
		const struct task *t = list_entry(l, struct task, link);

		if (!t->told && strcmp(t->lane, lane) == 0)
			return true;
	}
	return false;
}

/* The first task whose lane is free; an earlier one of the same lane that waits comes first by the order of the queue. */
static struct task *next_task(struct workers *w)
{
	list_for_each(l, &w->queue) {
		struct task *t = list_entry(l, struct task, link);
		bool first = true;

		list_for_each(k, &w->queue) {
			if (k == l)
				break;
			first = first && strcmp(list_entry(k, struct task, link)->lane, t->lane) != 0;
		}
		if (first && !lane_busy(w, t->lane))
			return t;
	}
	return NULL;
}

static void task_free(struct task *t)
{
	free(t);
}

static void deliver(void *arg)
{
	struct task *t = arg;
	struct workers *w = t->w;

	(void)pthread_mutex_lock(&w->lock);
	list_del(&t->link);
	bool told = t->told;
	if (told)
		w->n_stuck--;
	(void)pthread_cond_broadcast(&w->work); /* its lane is free */
	(void)pthread_mutex_unlock(&w->lock);
	if (!told)
		t->job.done(t->job.arg, t->rc, &t->err);
	task_free(t);
}

static void *thread_main(void *arg)
{
	struct workers *w = arg;

	(void)pthread_mutex_lock(&w->lock);
	for (;;) {
		struct task *t;

		while (!(t = next_task(w)) && !(w->closing && list_empty(&w->queue)) && w->n_threads <= w->n_wanted + w->n_stuck) {
			w->n_idle++;
			(void)pthread_cond_wait(&w->work, &w->lock);
			w->n_idle--;
		}
		if (!t)
			break;
		list_del(&t->link);
		list_add_tail(&w->running, &t->link);
		t->running = true;
		if (t->job.deadline_ms)
			t->due_ms = loop_now_ms(w->loop) + t->job.deadline_ms;
		(void)pthread_mutex_unlock(&w->lock);
		t->rc = t->job.work(t->job.arg, &t->err);
		loop_post(w->loop, deliver, t);
		(void)pthread_mutex_lock(&w->lock);
	}
	w->n_threads--;
	w->alive--;
	(void)pthread_cond_broadcast(&w->gone);
	(void)pthread_mutex_unlock(&w->lock);
	return NULL;
}

static void add_thread(struct workers *w)
{
	pthread_t t;
	pthread_attr_t attr;

	(void)pthread_attr_init(&attr);
	(void)pthread_attr_setstacksize(&attr, 512 * 1024);
	(void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	w->n_threads++;
	w->alive++;
	if (pthread_create(&t, &attr, thread_main, w) != 0)
		abort();
	(void)pthread_attr_destroy(&attr);
}

/* On the loop's thread: what is past its deadline is reported and written off; another thread takes its place. */
static void check_deadlines(void *arg)
{
	struct workers *w = arg;
	struct task *late[16];
	int n = 0;

	(void)pthread_mutex_lock(&w->lock);
	int64_t now = loop_now_ms(w->loop);
	list_for_each(l, &w->running) {
		struct task *t = list_entry(l, struct task, link);

		if (!t->told && t->due_ms && now >= t->due_ms && n < 16) {
			t->told = true;
			w->n_stuck++;
			late[n++] = t;
			add_thread(w);
		}
	}
	(void)pthread_cond_broadcast(&w->work);
	(void)pthread_mutex_unlock(&w->lock);
	for (int i = 0; i < n; i++) {
		struct err err = ERR_INIT;

		(void)err_set(&err, ERR_TIMEOUT, "not done within %lld ms", (long long)late[i]->job.deadline_ms);
		(void)str_copy(err.step, sizeof(err.step), "deadline");
		late[i]->job.done(late[i]->job.arg, -ERR_TIMEOUT, &err);
	}
}

struct workers *workers_new(struct loop *l, int n_threads)
{
	struct workers *w = xcalloc(1, sizeof(*w));

	w->loop = l;
	w->n_wanted = n_threads;
	(void)pthread_mutex_init(&w->lock, NULL);
	(void)pthread_cond_init(&w->work, NULL);
	(void)pthread_cond_init(&w->gone, NULL);
	list_init(&w->queue);
	list_init(&w->running);
	w->timer = loop_timer_new(l, check_deadlines, w);
	loop_timer_start(w->timer, 250, 250);
	return w;
}

void workers_submit(struct workers *w, const char *lane, const struct worker_job *job)
{
	struct task *t = xcalloc(1, sizeof(*t));

	assert(strlen(lane) < LANE_MAX);
	t->w = w;
	t->job = *job;
	(void)str_copy(t->lane, sizeof(t->lane), lane);
	(void)pthread_mutex_lock(&w->lock);
	assert(!w->closing);
	list_add_tail(&w->queue, &t->link);
	if (w->n_idle == 0 && w->n_threads - w->n_stuck < w->n_wanted)
		add_thread(w);
	(void)pthread_cond_broadcast(&w->work);
	(void)pthread_mutex_unlock(&w->lock);
}

int workers_stuck(const struct workers *w)
{
	return w->n_stuck;
}

void workers_free(struct workers *w)
{
	if (!w)
		return;
	struct err err = ERR_INIT;

	loop_timer_free(w->timer);
	(void)err_set(&err, ERR_CANCELED, "the daemon stops");
	(void)pthread_mutex_lock(&w->lock);
	w->closing = true;
	while (!list_empty(&w->queue)) {
		struct task *t = list_entry(w->queue.next, struct task, link);

		list_del(&t->link);
		(void)pthread_mutex_unlock(&w->lock);
		t->job.done(t->job.arg, -ERR_CANCELED, &err);
		task_free(t);
		(void)pthread_mutex_lock(&w->lock);
	}
	(void)pthread_cond_broadcast(&w->work);
	while (w->alive > w->n_stuck)
		(void)pthread_cond_wait(&w->gone, &w->lock);
	bool all_gone = w->alive == 0;
	/* What ended while we closed: its delivery may still be posted, but the loop does not run any more. */
	while (all_gone && !list_empty(&w->running)) {
		struct task *t = list_entry(w->running.next, struct task, link);

		list_del(&t->link);
		(void)pthread_mutex_unlock(&w->lock);
		if (!t->told)
			t->job.done(t->job.arg, t->rc, &t->err);
		task_free(t);
		(void)pthread_mutex_lock(&w->lock);
	}
	(void)pthread_mutex_unlock(&w->lock);
	if (!all_gone)
		return; /* a stuck thread still uses it: leaked on purpose, the process ends */
	(void)pthread_mutex_destroy(&w->lock);
	(void)pthread_cond_destroy(&w->work);
	(void)pthread_cond_destroy(&w->gone);
	free(w);
}
