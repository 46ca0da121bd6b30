/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Filters of lists, in Ganeti's words: name =~ m/^web/ and not (status == "running" or oper_ram < 512).
 *
 *   EXPR  := EXPR or EXPR | EXPR and EXPR | not EXPR | ( EXPR ) | COND      "|", "&", "!" are the same words; "and" binds tighter
 *   COND  := FIELD                                  it is not empty, not 0, not "no"
 *          | FIELD ==|=|!=|<|<=|>|>= VALUE          VALUE: "text", 'text', a number (sizes in MiB or with m, g, t), yes, no
 *          | FIELD =~|!~ m/REGULAR EXPRESSION/[i]   POSIX extended; / may be any other mark
 *          | FIELD =*|!* "GLOB"                     ? and *
 *
 * A field that a row does not have equals nothing.
 */
#ifndef CLI_FILTER_H
#define CLI_FILTER_H

#include <stdbool.h>

#include "common/cleanup.h"
#include "common/err.h"
#include "common/json.h"
#include "schema/limits.h"

enum filter_kind { FILTER_TEXT, FILTER_NUMBER, FILTER_SIZE, FILTER_BOOL };

/* The kind of a field; -ERR_UNKNOWN_FIELD. What is another word for a field is replaced by its name. */
typedef int filter_kind_fn(void *arg, char field[NAME_LEN + 1], struct err *err);

struct filter;

int filter_parse(const char *text, filter_kind_fn *kind, void *arg, struct filter **ret, struct err *err) WARN_UNUSED;
/* Any of these words in that field, each a glob or the thing itself (numbers: itself). */
int filter_of_words(const char *field, enum filter_kind kind, char *const *words, int n, struct filter **ret, struct err *err) WARN_UNUSED;
void filter_free(struct filter *f);
DEFINE_CLEANUP(struct filter *, filter_free);
bool filter_match(const struct filter *f, const json_t *row); /* row: an object */
/* Calls back for each field that is looked at, some of them several times. */
void filter_fields(const struct filter *f, void (*each)(void *arg, const char *field), void *arg);
bool filter_looks_like(const char *word); /* what no name has stands in it */
bool filter_is_glob(const char *word);

#endif
