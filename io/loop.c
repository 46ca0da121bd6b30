/* SPDX-License-Identifier: Apache-2.0 */
#include "io/loop.h"

#include <assert.h>
#include <stdlib.h>
#include <time.h>

#include "common/xmem.h"
#include "io/loop_inside.h"

/* A handle of libuv belongs to libuv until its close callback, so each thing is freed there. */
struct loop_timer {
	struct loop_thing thing;
	uv_timer_t uv;
	void (*fn)(void *arg);
	void *arg;
};

struct loop_poll {
	struct loop_thing thing;
	uv_poll_t uv;
	void (*fn)(void *arg, int events, bool failed);
	void *arg;
};

struct loop_signal {
	struct loop_thing thing;
	uv_signal_t uv;
	void (*fn)(void *arg);
	void *arg;
};

struct post {
	struct list link;
	void (*fn)(void *arg);
	void *arg;
};

void loop_thing_add(struct loop *l, struct loop_thing *t, enum loop_kind kind)
{
	t->kind = kind;
	list_add_tail(&l->things, &t->link);
}

/* ---- posts --------------------------------------------------------------------------------------------------- */

static struct post *take_post(struct loop *l)
{
	struct post *p = NULL;

	(void)pthread_mutex_lock(&l->lock);
	if (!list_empty(&l->posts)) {
		p = list_entry(l->posts.next, struct post, link);
		list_del(&p->link);
		l->n_posts--;
	}
	(void)pthread_mutex_unlock(&l->lock);
	return p;
}

/* One by one, so that a post can still be taken back by one that runs before it; only as many as there were at first,
 * so that posts which post do not starve the rest of the loop. */
static void run_posts(uv_async_t *wake)
{
	struct loop *l = wake->data;

	(void)pthread_mutex_lock(&l->lock);
	int n = l->n_posts;
	(void)pthread_mutex_unlock(&l->lock);
	while (n-- > 0) {
		AUTO_FREE struct post *p = take_post(l);

		if (!p)
			return;
		p->fn(p->arg);
	}
}

void loop_post(struct loop *l, void (*fn)(void *arg), void *arg)
{
	struct post *p = xcalloc(1, sizeof(*p));

	p->fn = fn;
	p->arg = arg;
	(void)pthread_mutex_lock(&l->lock);
	list_add_tail(&l->posts, &p->link);
	l->n_posts++;
	(void)pthread_mutex_unlock(&l->lock);
	int rc = uv_async_send(&l->wake);
	assert(rc == 0);
	(void)rc;
}

void loop_unpost(struct loop *l, void (*fn)(void *arg), const void *arg)
{
	(void)pthread_mutex_lock(&l->lock);
	list_for_each_safe(p, &l->posts) {
		struct post *post = list_entry(p, struct post, link);

		if (post->fn != fn || post->arg != arg)
			continue;
		list_del(&post->link);
		l->n_posts--;
		free(post);
	}
	(void)pthread_mutex_unlock(&l->lock);
}

/* ---- the loop ------------------------------------------------------------------------------------------------ */

struct loop *loop_new(void)
{
	struct loop *l = xcalloc(1, sizeof(*l));

	list_init(&l->posts);
	list_init(&l->things);
	list_init(&l->dying);
	if (pthread_mutex_init(&l->lock, NULL) != 0 || uv_loop_init(&l->uv) != 0 ||
	    uv_async_init(&l->uv, &l->wake, run_posts) != 0)
		abort(); /* no descriptors at the very start: nothing can be done about it */
	l->wake.data = l;
	return l;
}

void loop_run(struct loop *l)
{
	(void)uv_run(&l->uv, UV_RUN_DEFAULT); /* the wake handle keeps it from ending by itself */
}

void loop_stop(struct loop *l)
{
	uv_stop(&l->uv);
}

static void free_thing(struct loop_thing *t)
{
	switch (t->kind) {
	case LOOP_TIMER:
		loop_timer_free((struct loop_timer *)t);
		break;
	case LOOP_POLL:
		loop_poll_free((struct loop_poll *)t);
		break;
	case LOOP_SIGNAL:
		loop_signal_free((struct loop_signal *)t);
		break;
	case LOOP_CHILD:
		loop_child_free((struct loop_child *)t);
		break;
	}
}

void loop_free(struct loop *l)
{
	if (!l)
		return;
	while (!list_empty(&l->things))
		free_thing(list_entry(l->things.next, struct loop_thing, link));
	list_for_each(t, &l->dying)
		loop_child_hurry(list_entry(t, struct loop_thing, link));
	uv_close((uv_handle_t *)&l->wake, NULL);
	while (uv_run(&l->uv, UV_RUN_DEFAULT) != 0) { /* until all is closed and the killed children are reaped; */
	}                                             /* a loop_stop() that nobody waited for ends one round only */
	int rc = uv_loop_close(&l->uv);
	assert(rc == 0); /* else another io/ module left a handle of its own open */
	(void)rc;
	struct post *late;
	while ((late = take_post(l))) /* what they would have touched may be gone */
		free(late);
	(void)pthread_mutex_destroy(&l->lock);
	free(l);
}

static int64_t clock_ms(clockid_t id)
{
	struct timespec ts;
	int rc = clock_gettime(id, &ts);

	assert(rc == 0);
	(void)rc;
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int64_t loop_now_ms(struct loop *l)
{
	(void)l;
	return clock_ms(CLOCK_BOOTTIME);
}

int64_t loop_wall_ms(struct loop *l)
{
	(void)l;
	return clock_ms(CLOCK_REALTIME);
}

void *loop_uv(struct loop *l)
{
	return &l->uv;
}

/* ---- timers -------------------------------------------------------------------------------------------------- */

static void on_timer(uv_timer_t *uv)
{
	struct loop_timer *t = uv->data;

	t->fn(t->arg);
}

struct loop_timer *loop_timer_new(struct loop *l, void (*fn)(void *arg), void *arg)
{
	struct loop_timer *t = xcalloc(1, sizeof(*t));
	int rc = uv_timer_init(&l->uv, &t->uv);

	assert(rc == 0);
	(void)rc;
	t->uv.data = t;
	t->fn = fn;
	t->arg = arg;
	loop_thing_add(l, &t->thing, LOOP_TIMER);
	return t;
}

void loop_timer_start(struct loop_timer *t, int64_t after_ms, int64_t repeat_ms)
{
	assert(repeat_ms >= 0);
	uv_update_time(t->uv.loop); /* libuv counts from its cached time, which a long callback makes old */
	int rc = uv_timer_start(&t->uv, on_timer, (uint64_t)(after_ms > 0 ? after_ms : 0), (uint64_t)repeat_ms);
	assert(rc == 0);
	(void)rc;
}

void loop_timer_stop(struct loop_timer *t)
{
	(void)uv_timer_stop(&t->uv);
}

static void timer_closed(uv_handle_t *h)
{
	free(h->data);
}

void loop_timer_free(struct loop_timer *t)
{
	if (!t)
		return;
	list_del(&t->thing.link);
	uv_close((uv_handle_t *)&t->uv, timer_closed);
}

/* ---- descriptors --------------------------------------------------------------------------------------------- */

static void on_poll(uv_poll_t *uv, int status, int uv_events)
{
	struct loop_poll *p = uv->data;
	int events = 0;

	if (uv_events & UV_READABLE)
		events |= LOOP_READABLE;
	if (uv_events & UV_WRITABLE)
		events |= LOOP_WRITABLE;
	p->fn(p->arg, events, status < 0);
}

struct loop_poll *loop_poll_new(struct loop *l, int fd, void (*fn)(void *arg, int events, bool failed), void *arg)
{
	struct loop_poll *p = xcalloc(1, sizeof(*p));
	int rc = uv_poll_init(&l->uv, &p->uv, fd);

	assert(rc == 0); /* a closed or unpollable descriptor, or one that is watched already */
	(void)rc;
	p->uv.data = p;
	p->fn = fn;
	p->arg = arg;
	loop_thing_add(l, &p->thing, LOOP_POLL);
	return p;
}

void loop_poll_set(struct loop_poll *p, int events)
{
	int uv_events = 0;

	if (events & LOOP_READABLE)
		uv_events |= UV_READABLE;
	if (events & LOOP_WRITABLE)
		uv_events |= UV_WRITABLE;
	int rc = uv_events ? uv_poll_start(&p->uv, uv_events, on_poll) : uv_poll_stop(&p->uv);
	assert(rc == 0);
	(void)rc;
}

static void poll_closed(uv_handle_t *h)
{
	free(h->data);
}

void loop_poll_free(struct loop_poll *p)
{
	if (!p)
		return;
	list_del(&p->thing.link);
	uv_close((uv_handle_t *)&p->uv, poll_closed);
}

/* ---- signals ------------------------------------------------------------------------------------------------- */

static void on_signal(uv_signal_t *uv, int signo)
{
	struct loop_signal *s = uv->data;

	(void)signo;
	s->fn(s->arg);
}

struct loop_signal *loop_signal_new(struct loop *l, int signo, void (*fn)(void *arg), void *arg)
{
	struct loop_signal *s = xcalloc(1, sizeof(*s));
	int rc = uv_signal_init(&l->uv, &s->uv);

	assert(rc == 0);
	s->uv.data = s;
	s->fn = fn;
	s->arg = arg;
	rc = uv_signal_start(&s->uv, on_signal, signo);
	assert(rc == 0);
	(void)rc;
	loop_thing_add(l, &s->thing, LOOP_SIGNAL);
	return s;
}

static void signal_closed(uv_handle_t *h)
{
	free(h->data);
}

void loop_signal_free(struct loop_signal *s)
{
	if (!s)
		return;
	list_del(&s->thing.link);
	uv_close((uv_handle_t *)&s->uv, signal_closed);
}
