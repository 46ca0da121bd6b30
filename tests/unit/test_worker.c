/* SPDX-License-Identifier: Apache-2.0 */
/* Workers: lanes in order and side by side, results once and on the loop's thread, deadlines, stuck threads, the end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pthread.h>

#include <cmocka.h>

#include "common/xmem.h"
#include "io/loop.h"
#include "io/worker.h"

#define LIMIT_MS 60000

struct rig {
	struct loop *l;
	struct loop_timer *limit, *after;
	struct workers *w;
	pthread_t owner;
	pthread_mutex_t lock;
	int inside[8], most_inside[8], all_inside, most_all; /* by lane */
	char order[8][64];                                   /* of what ran in a lane */
	int done, stop_at;
};

struct job {
	struct rig *r;
	int lane, number;
	int rc;          /* what work answers */
	int pause_ms;
	struct worker_event *gate; /* waits for it */
	bool ran;
	int calls;       /* of done */
	int got;         /* its rc */
	char step[40];
};

static void too_long(void *arg)
{
	(void)arg;
	fail_msg("this hangs");
}

static void rig_up(struct rig *r, int n_threads)
{
	memset(r, 0, sizeof(*r));
	r->l = loop_new();
	r->limit = loop_timer_new(r->l, too_long, r);
	loop_timer_start(r->limit, LIMIT_MS, 0);
	r->w = workers_new(r->l, n_threads);
	r->owner = pthread_self();
	assert_int_equal(pthread_mutex_init(&r->lock, NULL), 0);
}

static void rig_down(struct rig *r)
{
	workers_free(r->w);
	loop_free(r->l);
	(void)pthread_mutex_destroy(&r->lock);
}

static int work(void *arg, struct err *err)
{
	struct job *j = arg;
	struct rig *r = j->r;

	(void)pthread_mutex_lock(&r->lock);
	if (++r->inside[j->lane] > r->most_inside[j->lane])
		r->most_inside[j->lane] = r->inside[j->lane];
	if (++r->all_inside > r->most_all)
		r->most_all = r->all_inside;
	size_t n = strlen(r->order[j->lane]);
	(void)snprintf(r->order[j->lane] + n, sizeof(r->order[0]) - n, "%d", j->number);
	j->ran = true;
	(void)pthread_mutex_unlock(&r->lock);
	if (j->pause_ms)
		worker_pause(j->pause_ms);
	if (j->gate)
		(void)worker_event_wait(j->gate, LIMIT_MS);
	(void)pthread_mutex_lock(&r->lock);
	r->inside[j->lane]--;
	r->all_inside--;
	(void)pthread_mutex_unlock(&r->lock);
	return j->rc < 0 ? err_set(err, (enum err_code)-j->rc, "it went wrong") : 0;
}

static void done(void *arg, int rc, const struct err *err)
{
	struct job *j = arg;

	assert_true(pthread_equal(pthread_self(), j->r->owner));
	j->calls++;
	j->got = rc;
	if (rc < 0)
		assert_int_equal(err->code, -rc);
	(void)str_copy(j->step, sizeof(j->step), rc < 0 ? err->step : "");
	if (++j->r->done == j->r->stop_at)
		loop_stop(j->r->l);
}

static void submit(struct rig *r, struct job *j, int lane, int number, int64_t deadline_ms)
{
	static const char *const names[] = { "a", "b", "c", "d", "e", "f", "g", "h" };
	struct worker_job w = { work, done, j, deadline_ms };

	j->r = r;
	j->lane = lane;
	j->number = number;
	workers_submit(r->w, names[lane], &w);
}

static void a_lane_is_in_order_and_lanes_are_side_by_side(void **state)
{
	struct job j[24];
	struct rig r;

	(void)state;
	memset(j, 0, sizeof(j));
	rig_up(&r, 4);
	r.stop_at = 24;
	for (int i = 0; i < 24; i++) {
		j[i].pause_ms = 3;
		submit(&r, &j[i], i % 3, i / 3, 0);
	}
	loop_run(r.l);
	for (int lane = 0; lane < 3; lane++) {
		assert_int_equal(r.most_inside[lane], 1);
		assert_string_equal(r.order[lane], "01234567");
	}
	for (int i = 0; i < 24; i++)
		assert_int_equal(j[i].calls, 1);
	rig_down(&r);
}

/* Proven by a rendezvous, not by times: each of two lanes waits for the other. */
static void two_lanes_meet(void **state)
{
	struct worker_event *first = worker_event_new();
	struct job a = { .gate = first }, b = { .rc = 0 };
	struct rig r;

	(void)state;
	rig_up(&r, 2);
	r.stop_at = 1;
	submit(&r, &a, 0, 0, 0);
	submit(&r, &b, 1, 0, 0);
	loop_run(r.l); /* b ended while a waits */
	assert_int_equal(b.calls, 1);
	assert_int_equal(a.calls, 0);
	worker_event_set(first);
	r.stop_at = 2;
	loop_run(r.l);
	assert_int_equal(a.calls, 1);
	rig_down(&r);
	worker_event_free(first);
}

static void no_more_at_once_than_there_are_threads(void **state)
{
	struct job j[8];
	struct rig r;

	(void)state;
	memset(j, 0, sizeof(j));
	rig_up(&r, 2);
	r.stop_at = 8;
	for (int i = 0; i < 8; i++) {
		j[i].pause_ms = 5;
		submit(&r, &j[i], i, 0, 0);
	}
	loop_run(r.l);
	assert_true(r.most_all <= 2);
	rig_down(&r);
}

static void an_error_comes_back(void **state)
{
	struct job j = { .rc = -ERR_NO_SPACE };
	struct rig r;

	(void)state;
	rig_up(&r, 1);
	r.stop_at = 1;
	submit(&r, &j, 0, 0, 0);
	loop_run(r.l);
	assert_int_equal(j.got, -ERR_NO_SPACE);
	assert_string_equal(j.step, "");
	rig_down(&r);
}

static void past_its_deadline_a_job_is_written_off_once(void **state)
{
	struct worker_event *gate = worker_event_new();
	struct job stuck = { .gate = gate }, behind = { .rc = 0 }, other = { .rc = 0 }, late = { .rc = 0 };
	struct rig r;

	(void)state;
	rig_up(&r, 1);
	/* On a busy machine it may not have begun by then: with more time it will. */
	for (int ms = 50; ms < LIMIT_MS / 4 && strcmp(stuck.step, WORKER_STEP_DEADLINE) != 0; ms *= 2) {
		r.done = stuck.calls = 0;
		r.stop_at = 1;
		submit(&r, &stuck, 0, 0, ms);
		loop_run(r.l);
		assert_int_equal(stuck.got, -ERR_TIMEOUT);
	}
	assert_string_equal(stuck.step, WORKER_STEP_DEADLINE);
	r.stop_at = 2;
	submit(&r, &behind, 0, 1, 50); /* nobody else may touch the object meanwhile */
	loop_run(r.l);
	assert_int_equal(behind.got, -ERR_TIMEOUT);
	assert_string_equal(behind.step, WORKER_STEP_QUEUE);
	assert_false(behind.ran);
	assert_int_equal(workers_stuck(r.w), 1);
	/* Its thread is replaced: another lane goes on. */
	r.stop_at = 3;
	submit(&r, &other, 1, 0, 0);
	loop_run(r.l);
	assert_int_equal(other.got, 0);
	/* It comes back: late, dropped, and its lane is free again. */
	worker_event_set(gate);
	r.stop_at = 4;
	submit(&r, &late, 0, 2, 0);
	loop_run(r.l);
	assert_int_equal(late.got, 0);
	assert_int_equal(stuck.calls, 1);
	assert_int_equal(workers_stuck(r.w), 0);
	assert_string_equal(r.order[0], "02");
	rig_down(&r);
	worker_event_free(gate);
}

static void what_is_in_time_has_no_deadline_to_fear(void **state)
{
	struct job j[4];
	struct rig r;

	(void)state;
	memset(j, 0, sizeof(j));
	rig_up(&r, 2);
	r.stop_at = 4;
	for (int i = 0; i < 4; i++)
		submit(&r, &j[i], i % 2, i, LIMIT_MS);
	loop_run(r.l);
	for (int i = 0; i < 4; i++)
		assert_int_equal(j[i].got, 0);
	assert_int_equal(workers_stuck(r.w), 0);
	rig_down(&r);
}

static void what_never_began_is_canceled_at_the_end(void **state)
{
	struct worker_event *gate = worker_event_new();
	struct job running = { .gate = gate }, queued = { .rc = 0 };
	struct rig r;

	(void)state;
	rig_up(&r, 1);
	submit(&r, &running, 0, 0, 0);
	submit(&r, &queued, 0, 1, 0);
	worker_event_set(gate);
	workers_free(r.w); /* waits for what runs */
	assert_int_equal(running.calls <= 1, 1);
	assert_int_equal(queued.calls, 1);
	assert_true(queued.got == -ERR_CANCELED || queued.got == 0); /* it may have begun in between */
	assert_int_equal(queued.got == 0, queued.ran);
	loop_free(r.l);
	(void)pthread_mutex_destroy(&r.lock);
	worker_event_free(gate);
}

static void an_event_is_waited_for_no_longer_than_said(void **state)
{
	struct worker_event *e = worker_event_new();

	(void)state;
	assert_false(worker_event_wait(e, 10));
	worker_event_set(e);
	assert_true(worker_event_wait(e, LIMIT_MS));
	worker_event_free(e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_lane_is_in_order_and_lanes_are_side_by_side),
		cmocka_unit_test(two_lanes_meet),
		cmocka_unit_test(no_more_at_once_than_there_are_threads),
		cmocka_unit_test(an_error_comes_back),
		cmocka_unit_test(past_its_deadline_a_job_is_written_off_once),
		cmocka_unit_test(what_is_in_time_has_no_deadline_to_fear),
		cmocka_unit_test(what_never_began_is_canceled_at_the_end),
		cmocka_unit_test(an_event_is_waited_for_no_longer_than_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
