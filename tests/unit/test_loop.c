/* SPDX-License-Identifier: Apache-2.0 */
/* The loop: timers, posts from threads, descriptors, signals, and children that die in good order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/buf.h"
#include "common/xmem.h"
#include "io/loop.h"

#define LIMIT_MS 60000 /* only a hanging test gets there */

struct rig {
	struct loop *l;
	struct loop_timer *limit;
	char said[400];
	int n, stop_at;
	struct loop_timer *t;
	struct loop_child *child;
	struct buf lines;
	size_t longest;
	int status, exits;
	bool free_at_line;
};

static void too_long(void *arg)
{
	(void)arg;
	fail_msg("this hangs");
}

static void rig_up(struct rig *r)
{
	memset(r, 0, sizeof(*r));
	r->l = loop_new();
	r->limit = loop_timer_new(r->l, too_long, r);
	loop_timer_start(r->limit, LIMIT_MS, 0);
}

static void rig_down(struct rig *r)
{
	loop_free(r->l); /* with everything that is left */
	buf_done(&r->lines);
}

static void say(struct rig *r, const char *what)
{
	size_t n = strlen(r->said);

	(void)snprintf(r->said + n, sizeof(r->said) - n, "%s ", what);
	if (++r->n == r->stop_at)
		loop_stop(r->l);
}

static void say_a(void *arg) { say(arg, "a"); }
static void say_b(void *arg) { say(arg, "b"); }
static void say_c(void *arg) { say(arg, "c"); }

/* ---- timers ----------------------------------------------------------------------------------------------------- */

static void timers_come_in_their_order(void **state)
{
	struct rig r;

	(void)state;
	rig_up(&r);
	struct loop_timer *a = loop_timer_new(r.l, say_a, &r), *b = loop_timer_new(r.l, say_b, &r), *c = loop_timer_new(r.l, say_c, &r);
	int64_t before = loop_now_ms(r.l);
	loop_timer_start(c, 60, 0);
	loop_timer_start(a, 20, 0);
	loop_timer_start(b, 40, 0);
	r.stop_at = 3;
	loop_run(r.l);
	assert_string_equal(r.said, "a b c ");
	assert_true(loop_now_ms(r.l) - before >= 60); /* never early */
	rig_down(&r);
}

static void stop_itself(void *arg)
{
	struct rig *r = arg;

	say(r, "x");
	if (r->n == 3) {
		loop_timer_stop(r->t);
		loop_timer_start(r->limit, 50, 0); /* time for a fourth that must not come */
	}
}

static void end_quietly(void *arg) { loop_stop(((struct rig *)arg)->l); }

static void a_timer_repeats_until_it_is_stopped(void **state)
{
	struct rig r;

	(void)state;
	rig_up(&r);
	loop_timer_free(r.limit);
	r.limit = loop_timer_new(r.l, end_quietly, &r);
	r.t = loop_timer_new(r.l, stop_itself, &r);
	loop_timer_start(r.t, 0, 5);
	loop_run(r.l);
	assert_string_equal(r.said, "x x x ");
	rig_down(&r);
}

static void a_timer_started_again_counts_anew(void **state)
{
	struct rig r;

	(void)state;
	rig_up(&r);
	struct loop_timer *a = loop_timer_new(r.l, say_a, &r), *b = loop_timer_new(r.l, say_b, &r);
	loop_timer_start(a, 10, 0);
	loop_timer_start(a, 80, 0);
	loop_timer_start(b, 40, 0);
	r.stop_at = 2;
	loop_run(r.l);
	assert_string_equal(r.said, "b a ");
	rig_down(&r);
}

static void free_itself(void *arg)
{
	struct rig *r = arg;

	loop_timer_free(r->t);
	r->t = NULL;
	loop_stop(r->l);
}

static void a_timer_may_free_itself(void **state)
{
	struct rig r;

	(void)state;
	rig_up(&r);
	r.t = loop_timer_new(r.l, free_itself, &r);
	loop_timer_start(r.t, 0, 1);
	loop_run(r.l);
	assert_null(r.t);
	rig_down(&r);
}

/* ---- posts ------------------------------------------------------------------------------------------------------ */

#define POSTS 2000

struct poster;
struct one_post {
	struct poster *p;
	int thread, number;
};
struct poster {
	struct rig *r;
	int last[3]; /* of each thread: in its order */
	struct one_post post[3][POSTS];
};

static void posted(void *arg)
{
	const struct one_post *post = arg;

	assert_int_equal(post->number, post->p->last[post->thread] + 1);
	post->p->last[post->thread] = post->number;
	if (++post->p->r->n == 3 * POSTS)
		loop_stop(post->p->r->l);
}

struct thread_arg {
	struct poster *p;
	int thread;
};

static void *post_all(void *arg)
{
	struct thread_arg *a = arg;

	for (int i = 0; i < POSTS; i++)
		loop_post(a->p->r->l, posted, &a->p->post[a->thread][i]);
	return NULL;
}

static void posts_of_threads_all_come_in_order(void **state)
{
	struct poster *p = xcalloc(1, sizeof(*p));
	struct thread_arg args[3];
	pthread_t t[3];
	struct rig r;

	(void)state;
	rig_up(&r);
	p->r = &r;
	for (int k = 0; k < 3; k++)
		for (int i = 0; i < POSTS; i++) {
			p->post[k][i].p = p;
			p->post[k][i].thread = k;
			p->post[k][i].number = i + 1;
		}
	for (int k = 0; k < 3; k++) {
		args[k] = (struct thread_arg){ p, k };
		assert_int_equal(pthread_create(&t[k], NULL, post_all, &args[k]), 0);
	}
	loop_run(r.l);
	for (int k = 0; k < 3; k++) {
		assert_int_equal(pthread_join(t[k], NULL), 0);
		assert_int_equal(p->last[k], POSTS);
	}
	rig_down(&r);
	free(p);
}

/* ---- descriptors, signals ------------------------------------------------------------------------------------------ */

struct pipe_rig {
	struct rig r;
	int fds[2];
	struct loop_poll *p;
};

static void on_pipe(void *arg, int events, bool failed)
{
	struct pipe_rig *p = arg;
	char c;

	assert_false(failed);
	assert_int_equal(events & LOOP_READABLE, LOOP_READABLE);
	assert_int_equal(read(p->fds[0], &c, 1), 1);
	loop_poll_set(p->p, 0); /* no more, though there is more to read */
	say(&p->r, c == 'x' ? "x" : "?");
	loop_timer_start(p->r.t, 30, 0);
}

static void a_descriptor_is_watched_while_wanted(void **state)
{
	struct pipe_rig p;

	(void)state;
	rig_up(&p.r);
	assert_int_equal(pipe(p.fds), 0);
	assert_int_equal(write(p.fds[1], "xyz", 3), 3);
	p.p = loop_poll_new(p.r.l, p.fds[0], on_pipe, &p);
	p.r.t = loop_timer_new(p.r.l, end_quietly, &p.r);
	loop_poll_set(p.p, LOOP_READABLE);
	loop_run(p.r.l);
	assert_string_equal(p.r.said, "x ");
	loop_poll_free(p.p);
	assert_int_equal(write(p.fds[1], "x", 1), 1); /* it is not closed */
	rig_down(&p.r);
	(void)close(p.fds[0]);
	(void)close(p.fds[1]);
}

static void a_signal_is_an_event(void **state)
{
	struct rig r;

	(void)state;
	rig_up(&r);
	struct loop_signal *s = loop_signal_new(r.l, SIGUSR1, say_a, &r);
	r.stop_at = 1;
	assert_int_equal(raise(SIGUSR1), 0);
	loop_run(r.l);
	assert_string_equal(r.said, "a ");
	loop_signal_free(s);
	rig_down(&r);
}

/* ---- children ------------------------------------------------------------------------------------------------------ */

static void on_line(void *arg, const char *line, size_t len)
{
	struct rig *r = arg;

	assert_int_equal(strlen(line), len);
	r->longest = len > r->longest ? len : r->longest;
	if (r->lines.len < 4000)
		buf_printf(&r->lines, "%.60s|", line);
	r->n++;
	if (r->free_at_line) {
		r->free_at_line = false;
		loop_child_free(r->child);
		r->child = NULL;
		loop_stop(r->l);
	}
}

static void on_exit_of(void *arg, int status)
{
	struct rig *r = arg;

	r->exits++;
	r->status = status;
	loop_stop(r->l);
}

static int run_child(struct rig *r, const char *script)
{
	const char *const argv[] = { "/bin/sh", "-c", script, NULL };
	struct err err = ERR_INIT;

	r->child = loop_child_new(r->l, argv, on_line, on_exit_of, r, &err);
	if (!r->child)
		fail_msg("%s", err.msg);
	loop_run(r->l);
	return r->status;
}

static void a_childs_lines_and_its_end(void **state)
{
	struct rig r;

	(void)state;
	rig_up(&r);
	assert_int_equal(run_child(&r, "echo one; printf 'two\\n\\nlast without end'; exit 7"), 7);
	assert_string_equal(buf_str(&r.lines), "one|two||last without end|");
	assert_int_equal(r.exits, 1);
	loop_child_free(r.child);
	r.said[0] = '\0';
	buf_reset(&r.lines);
	assert_int_equal(run_child(&r, "kill -9 $$"), 128 + 9);
	loop_child_free(r.child);
	rig_down(&r);
}

static void all_that_a_child_wrote_comes_before_its_end(void **state)
{
	struct rig r;

	(void)state;
	rig_up(&r);
	assert_int_equal(run_child(&r, "i=0; while [ $i -lt 3000 ]; do echo $i; i=$((i+1)); done"), 0);
	assert_int_equal(r.n, 3000);
	loop_child_free(r.child);
	rig_down(&r);
}

static void a_line_without_end_is_cut(void **state)
{
	struct rig r;

	(void)state;
	rig_up(&r);
	assert_int_equal(run_child(&r, "head -c 200000 /dev/zero | tr '\\0' x; echo; echo short"), 0);
	assert_int_equal(r.longest, 64 * 1024);
	assert_int_equal(r.n, 2);
	assert_non_null(strstr(buf_str(&r.lines), "|short|"));
	loop_child_free(r.child);
	rig_down(&r);
}

static void who_does_not_exist_is_an_error(void **state)
{
	const char *const argv[] = { "/nowhere/at/all", NULL };
	struct err err = ERR_INIT;
	struct rig r;

	(void)state;
	rig_up(&r);
	assert_null(loop_child_new(r.l, argv, on_line, on_exit_of, &r, &err));
	assert_non_null(strstr(err.msg, "/nowhere/at/all"));
	rig_down(&r);
}

/* The whole group goes, also what ignores SIGTERM; on_exit is not called for a child that was given up. */
static void a_child_given_up_dies_with_its_children(void **state)
{
	struct rig r;
	int pid = 0, grandchild = 0;

	(void)state;
	rig_up(&r);
	r.free_at_line = true;
	(void)run_child(&r, "trap '' TERM; sleep 1000 & echo $$ $!; while :; do sleep 1000; done");
	assert_int_equal(sscanf(buf_str(&r.lines), "%d %d", &pid, &grandchild), 2);
	assert_int_equal(r.exits, 0);
	assert_int_equal(kill(pid, 0), 0);
	rig_down(&r); /* the loop's end does not wait for ever */
	assert_int_equal(kill(pid, 0), -1);
	for (int i = 0; i < 200 && kill(grandchild, 0) == 0; i++) /* is reaped by init, which may take a moment */
		(void)poll(NULL, 0, 10);
	char path[64];
	(void)snprintf(path, sizeof(path), "/proc/%d/stat", grandchild);
	FILE *f = fopen(path, "re");
	char kind = 'Z';
	if (f) { /* in a container without a real init a dead one may stay */
		if (fscanf(f, "%*d %*s %c", &kind) != 1)
			kind = '?';
		(void)fclose(f);
	}
	assert_int_equal(kind, 'Z');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(timers_come_in_their_order),   cmocka_unit_test(a_timer_repeats_until_it_is_stopped),
		cmocka_unit_test(a_timer_started_again_counts_anew), cmocka_unit_test(a_timer_may_free_itself),
		cmocka_unit_test(posts_of_threads_all_come_in_order), cmocka_unit_test(a_descriptor_is_watched_while_wanted),
		cmocka_unit_test(a_signal_is_an_event),         cmocka_unit_test(a_childs_lines_and_its_end),
		cmocka_unit_test(all_that_a_child_wrote_comes_before_its_end), cmocka_unit_test(a_line_without_end_is_cut),
		cmocka_unit_test(who_does_not_exist_is_an_error), cmocka_unit_test(a_child_given_up_dies_with_its_children),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
