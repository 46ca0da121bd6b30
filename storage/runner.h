/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How storage and node code runs a command: an argv, never a shell string. io/spawn implements it; tests
 * replace it with a recorder that returns canned output. Calls block, so they are made on worker threads.
 */
#ifndef STORAGE_RUNNER_H
#define STORAGE_RUNNER_H

#include "common/buf.h"
#include "common/err.h"

struct runner_result {
	int status;     /* exit status; 128 + signal when killed; -1 = could not be started */
	struct buf out; /* standard output, capped at RUNNER_OUTPUT_MAX */
	struct buf err; /* standard error, capped likewise */
};

#define RUNNER_OUTPUT_MAX ((size_t)4 * 1024 * 1024)

struct runner {
	/*
	 * Runs argv (NULL-terminated; argv[0] is looked up in a fixed PATH), feeds input (may be NULL), waits at
	 * most timeout_ms, then kills the child's process group. 0 when the child ended by itself (whatever its
	 * status), -ERR_TIMEOUT, or -ERR_COMMAND_FAILED when it could not be started. ret is always valid
	 * after the call and is freed by runner_result_done().
	 */
	int (*run)(struct runner *r, const char *const argv[], const char *input, int timeout_ms,
		   struct runner_result *ret, struct err *err);
};

void runner_result_done(struct runner_result *res);
static inline void runner_result_done_cleanup(struct runner_result *res)
{
	runner_result_done(res);
}
#define AUTO_RESULT __attribute__((cleanup(runner_result_done_cleanup)))

/* Runs and demands exit status 0; else -ERR_COMMAND_FAILED with the command and the last line of its stderr. */
int runner_must(struct runner *r, const char *const argv[], const char *input, int timeout_ms,
		struct runner_result *ret, struct err *err) WARN_UNUSED;

#endif
