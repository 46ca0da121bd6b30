/* SPDX-License-Identifier: Apache-2.0 */
/* A struct runner that runs nothing: it writes down each command and gives canned answers. */
#ifndef TESTS_UNIT_STORAGE_RECORDER_H
#define TESTS_UNIT_STORAGE_RECORDER_H

#include "common/buf.h"
#include "storage/runner.h"

#define RECORDER_RULES_MAX 64

struct recorder_rule {
	const char *match; /* a piece of the command line */
	int rc;            /* what run() returns: 0, or -ERR_TIMEOUT and kin */
	int status;
	const char *out, *err;
	int times; /* how often it still answers; 0 = used up, -1 = always */
};

struct recorder {
	struct runner base;
	struct buf log; /* one command line a line */
	struct recorder_rule rules[RECORDER_RULES_MAX];
	int n_rules;
};

void recorder_init(struct recorder *r);
void recorder_done(struct recorder *r);
/* Answers are looked up in order of their making; a command that no rule matches ends with status 0 and says nothing.
 */
void recorder_answer(struct recorder *r, const char *match, int times, int status, const char *out, const char *err);
void recorder_fail(struct recorder *r, const char *match, int times, int rc);
/* Forgets rules and log. */
void recorder_reset(struct recorder *r);

/* Text against a file of tests/golden (GANTRY_GOLDEN_WRITE=1 writes it instead). Fails the test with both texts. */
void golden_check(const char *file, const char *text);
/* The whole of a file of tests/golden. */
char *golden_read(const char *file);

#endif
