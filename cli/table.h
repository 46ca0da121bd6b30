/* SPDX-License-Identifier: Apache-2.0 */
/* Text in columns, as wide as what stands in them; for lists of thousands. */
#ifndef CLI_TABLE_H
#define CLI_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "common/cleanup.h"

struct table;

struct table *table_new(size_t n_columns, bool headings);
void table_free(struct table *t);
DEFINE_CLEANUP(struct table *, table_free);
void table_column(struct table *t, size_t k, const char *title, bool right); /* title: borrowed */
void table_cell(struct table *t, const char *text); /* row by row. What a terminal would obey is written out */
void table_print(const struct table *t, FILE *out); /* nothing when it has no row */

#endif
