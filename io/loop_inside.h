/* SPDX-License-Identifier: Apache-2.0 */
/* What loop.c and loop_child.c share. */
#ifndef IO_LOOP_INSIDE_H
#define IO_LOOP_INSIDE_H

#include <pthread.h>
#include <uv.h>

#include "common/list.h"
#include "io/loop.h"

struct loop {
	uv_loop_t uv;
	uv_async_t wake;        /* loop_post() rings it */
	pthread_mutex_t lock;   /* guards posts */
	struct list posts;
	int n_posts;
	struct list things;     /* every timer, poll, signal and child that was not freed */
	struct list dying;      /* children freed by their owners that have not ended yet */
};

enum loop_kind { LOOP_TIMER, LOOP_POLL, LOOP_SIGNAL, LOOP_CHILD };

/* First member of each thing; loop_free() finds what its owners left behind. */
struct loop_thing {
	struct list link;
	enum loop_kind kind;
};

void loop_thing_add(struct loop *l, struct loop_thing *t, enum loop_kind kind);
/* Takes back posts that have not run; for owners that go away. */
void loop_unpost(struct loop *l, void (*fn)(void *arg), const void *arg);
void loop_child_hurry(struct loop_thing *t); /* a dying child: kill it soon */

#endif
