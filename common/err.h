/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Errors of the world (never of our own code: that is assert).
 *
 * A fallible function returns 0 or -ERR_x and fills the struct err it was given as its last
 * parameter. Nobody but the top handler logs it. Codes, classes, exit statuses and default hints
 * are rows of schema/errors.def.
 */
#ifndef COMMON_ERR_H
#define COMMON_ERR_H

#include <stdbool.h>

#include "common/cleanup.h"

enum err_class {
	ERR_CLASS_USER,     /* the request is wrong: refuse before planning */
	ERR_CLASS_STATE,    /* the world is not in the needed state: undo */
	ERR_CLASS_RESOURCE, /* something is full: undo */
	ERR_CLASS_REMOTE,   /* another process or node: retry where the row says so */
	ERR_CLASS_INTERNAL, /* ours: stop the job */
};

enum err_code {
	ERR_OK = 0,
#define ERROR(number, name, class, retryable, exit_status, hint) ERR_##name = number,
#include "schema/errors.def"
#undef ERROR
};

struct err {
	int code;       /* ERR_x, 0 = no error */
	char msg[512];  /* what and why, lower case, no full stop */
	char hint[512]; /* what to do next; "" = the row's default */
	char field[64]; /* "disks[1].size" when a field of a request is meant */
	char node[72];  /* node name, "" = none */
	char step[40];  /* step kind, "" = none */
};

#define ERR_INIT { .code = 0 }

/* Fills err (msg from fmt) and returns -code, so that "return err_set(...)" reads well. err may be NULL. */
int err_set(struct err *err, enum err_code code, const char *fmt, ...) PRINTF(3, 4);
#ifdef __clang_analyzer__ /* It does not look into err.c, and would think that an error may be 0. */
#define err_set(err, code, ...) (err_set(err, code, __VA_ARGS__), -(int)(code))
#endif
/* After err_set: a hint better than the row's. Returns -err->code. */
int err_hint(struct err *err, const char *fmt, ...) PRINTF(2, 3);
/* Puts "context: " in front of err->msg; returns -err->code. */
int err_wrap(struct err *err, const char *fmt, ...) PRINTF(2, 3);
/* Error with errno's text: "cannot open '/x': no such file or directory". Reads errno at once. */
int err_errno(struct err *err, enum err_code code, const char *fmt, ...) PRINTF(3, 4);
void err_clear(struct err *err);

/* Row look-ups. Unknown codes give "UNKNOWN", INTERNAL, not retryable, 1. */
const char *err_name(int code);
int err_by_name(const char *name); /* ERR_x, ERR_INTERNAL for a name that no row has */
enum err_class err_class(int code);
bool err_retryable(int code);
int err_exit_status(int code);
/* err->hint or the row's default hint; never NULL. */
const char *err_hint_text(const struct err *err);

#endif
