/* SPDX-License-Identifier: Apache-2.0 */
/* What the backends share around struct runner: reading a command's complaint, and words that are safe in an argv. */
#ifndef STORAGE_EXEC_H
#define STORAGE_EXEC_H

#include <stdbool.h>
#include <stddef.h>

#include "common/buf.h"
#include "common/err.h"
#include "storage/runner.h"

/* Last line of text that is not blank, without surrounding blanks, into out[size]; "" when there is none. */
void exec_last_line(const struct buf *text, char *out, size_t size);

/* "command 'lvs --x' ended with status 5: last line of its stderr (or stdout)". Returns -code. */
int exec_failed(const char *const argv[], const struct runner_result *res, enum err_code code, struct err *err);

/* Did the command print this text (any case) on either stream? */
bool exec_said(const struct runner_result *res, const char *text);

/* Letters, digits and . _ + - only; first not '-' or '.'; 1..max characters: safe in an argv, a path, a config file. */
bool word_is_plain(const char *s, size_t max);
/* 36 characters: hexadecimal digits and the four dashes in their places. */
bool word_is_uuid(const char *s);
/* Absolute, of printable ASCII without blanks, quotes, backslash, braces or semicolon, no ".." part; 2..max characters.
 */
bool word_is_path(const char *s, size_t max);

#endif
