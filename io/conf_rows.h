/* SPDX-License-Identifier: Apache-2.0 */
/* One row a setting: parser, checks, defaults, writing and documentation come from it. */
#ifndef IO_CONF_ROWS_H
#define IO_CONF_ROWS_H

#include "io/conf.h"

enum conf_type { CONF_TEXT, CONF_INT, CONF_BOOL, CONF_TEXTS };

struct conf_row {
	const char *name;
	enum conf_type type;
	size_t offset;
	size_t size;           /* TEXT: of the member; TEXTS: longest item + 1 */
	size_t count_offset;   /* TEXTS: of the number */
	const char *def;       /* as text; "" for none, "true"/"false" for BOOL */
	int64_t min, max;      /* INT: range; TEXTS: max = items */
	const char *choices;   /* TEXT: "a|b", NULL = any */
	/* TEXT, each of TEXTS: NULL when good, else what is wrong, to stand behind "is ". */
	const char *(*check)(const char *value);
	const char *help;
};

extern const struct conf_row conf_rows[];
extern const int n_conf_rows;

const struct conf_row *conf_row_by_name(const char *name);
const char *conf_row_nearest(const char *name); /* NULL = nothing is near */
bool conf_choice_ok(const char *choices, const char *value);

static inline void *conf_member(const struct conf *c, size_t offset)
{
	return (char *)(uintptr_t)c + offset;
}

void conf_texts_add(char ***list, int *n, const char *s); /* keeps a NULL behind the last */
void conf_texts_clear(char ***list, int *n);
void conf_set_defaults(struct conf *c);
/* What no single row can say. NULL, or the name of the setting that is wrong; err is filled. */
const char *conf_check_whole(const struct conf *c, struct err *err);
/* Refuses what libconfig would take wrongly: numbers past 32 bits, @include, deep nesting. */
int conf_scan(const char *name, const char *text, struct err *err) WARN_UNUSED;

#endif
