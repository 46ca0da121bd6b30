/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What messages and records look like has a number, the level: the whole cluster writes at one (cluster.schema_version), and raises it when
 * every node can read the next. A row that came later says so with FIELD_SINCE(level), and its default means what was before it. See
 * doc/design/015-upgrade.adoc.
 */
#ifndef SCHEMA_LEVEL_H
#define SCHEMA_LEVEL_H

#include <stdint.h>

#include "common/err.h"

struct level {
	int64_t oldest, newest; /* that this version reads and writes */
	const char *version;    /* of the package, for people */
};

extern const struct level level_here;

/* -ERR_VERSION with what to do unless whose ("node 'n1'"), of this version, can read and write at level. */
int level_check(const char *whose, const char *version, int64_t oldest, int64_t newest, int64_t level, struct err *err) WARN_UNUSED;

#endif
