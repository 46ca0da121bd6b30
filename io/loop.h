/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The event loop (libuv behind it; nothing outside io/ includes uv.h). One thread owns the loop and all
 * state; loop_post() is the only call that another thread may make.
 */
#ifndef IO_LOOP_H
#define IO_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

struct loop;
struct loop_timer;
struct loop_poll;
struct loop_child;
struct loop_signal;

struct loop *loop_new(void);
void loop_free(struct loop *l); /* closes everything that is left */
DEFINE_CLEANUP(struct loop *, loop_free);
void loop_run(struct loop *l);  /* until loop_stop() */
void loop_stop(struct loop *l);
/* CLOCK_BOOTTIME in ms: the only clock that decisions use. */
int64_t loop_now_ms(struct loop *l);
/* Wall clock in ms since the epoch: for display and certificates only. */
int64_t loop_wall_ms(struct loop *l);

/* Runs fn(arg) on the loop's thread soon. Any thread. */
void loop_post(struct loop *l, void (*fn)(void *arg), void *arg);

/* One-shot when repeat_ms = 0; starting it anew replaces what was due. The timer is freed by loop_timer_free() only. */
struct loop_timer *loop_timer_new(struct loop *l, void (*fn)(void *arg), void *arg);
void loop_timer_start(struct loop_timer *t, int64_t after_ms, int64_t repeat_ms);
void loop_timer_stop(struct loop_timer *t);
void loop_timer_free(struct loop_timer *t);

#define LOOP_READABLE 1
#define LOOP_WRITABLE 2
struct loop_poll *loop_poll_new(struct loop *l, int fd, void (*fn)(void *arg, int events, bool failed), void *arg);
void loop_poll_set(struct loop_poll *p, int events); /* 0 = stop watching */
void loop_poll_free(struct loop_poll *p);            /* does not close fd */

/* A long-lived child whose output is read line by line (drbdsetup events2). argv never goes through a shell. */
struct loop_child *loop_child_new(struct loop *l, const char *const argv[],
				  void (*on_line)(void *arg, const char *line, size_t len),
				  void (*on_exit)(void *arg, int status), void *arg, struct err *err);
void loop_child_free(struct loop_child *c); /* kills it (SIGTERM, its process group) when it still runs; on_exit is not called */

struct loop_signal *loop_signal_new(struct loop *l, int signo, void (*fn)(void *arg), void *arg);
void loop_signal_free(struct loop_signal *s);

/* The libuv loop for io/ modules; declared as void to keep uv.h inside io/. */
void *loop_uv(struct loop *l);

#endif
