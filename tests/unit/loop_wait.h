/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting, in a test, for what happens on a loop of its own. */
#ifndef TESTS_UNIT_LOOP_WAIT_H
#define TESTS_UNIT_LOOP_WAIT_H

#include <stdbool.h>
#include <stdint.h>

#include "io/loop.h"

struct loop_wait {
	struct loop *loop;
	const int *value;
	int target;
	int64_t until_ms;
	void (*each)(void *arg); /* every few milliseconds; may be NULL */
	void *arg;
};

static void loop_wait_look(void *arg)
{
	struct loop_wait *w = arg;

	if (w->each)
		w->each(w->arg);
	if (*w->value >= w->target || loop_now_ms(w->loop) > w->until_ms)
		loop_stop(w->loop);
}

/* Runs the loop until *value has reached target; false when that took too long. */
static bool loop_wait_for(struct loop *l, const int *value, int target, int64_t at_most_ms, void (*each)(void *arg), void *arg)
{
	struct loop_wait w = { l, value, target, loop_now_ms(l) + at_most_ms, each, arg };
	struct loop_timer *t = loop_timer_new(l, loop_wait_look, &w);

	loop_timer_start(t, 0, 1);
	loop_run(l);
	loop_timer_free(t);
	return *value >= target;
}

#endif
