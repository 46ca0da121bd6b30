/* SPDX-License-Identifier: Apache-2.0 */
/* What init and join share. */
#ifndef NODE_BOOTSTRAP_H
#define NODE_BOOTSTRAP_H

#include "common/buf.h"
#include "schema/limits.h"

struct missing { /* everything that is missing, each with what mends it */
	struct buf text;
	int n;
};

void missing_add(struct missing *m, const char *fix, const char *fmt, ...) PRINTF(3, 4);
/* The first address of a name that is of use to other machines. 0 or -1. */
int resolve_name(const char *name, char out[ADDR_LEN + 1]);

#endif
