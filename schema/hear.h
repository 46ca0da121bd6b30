/* SPDX-License-Identifier: Apache-2.0 */
/* What comes over a link: found by its type in the receiver's table, read, given to its handler. The same for gantry-masterd and gantry-noded. */
#ifndef SCHEMA_HEAR_H
#define SCHEMA_HEAR_H

#include "schema/wire.h"

struct hear_row {
	const char *type;
	const struct schema *schema;
	int tag;      /* the receiver's own: who may say it, and when */
	bool loosely; /* what is said before the level is known: unknown fields are passed over */
	int (*fn)(void *who, void *by, const void *msg, struct err *err); /* who hears, by which link it came; msg is borrowed */
};

/* May it be said on this link now? 1; 0: it is passed over; < 0: it ends the link. */
typedef int hear_may(void *who, void *by, const struct hear_row *row, struct err *err);

/* < 0: what was said must end the link. */
int hear(const struct hear_row *rows, size_t n_rows, hear_may *may, void *who, void *by, const char *text, size_t len, struct err *err) WARN_UNUSED;

#endif
