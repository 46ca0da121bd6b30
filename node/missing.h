/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a machine lacks before it can be a node: all of it, each with the command that mends it. Checks only look. What they look at lies
 * below a root and behind interfaces, so that tests can show them any machine.
 */
#ifndef NODE_MISSING_H
#define NODE_MISSING_H

#include "common/err.h"
#include "common/json.h"
#include "schema/limits.h"

struct conf;
struct exec_env;

struct missing {
	json_t *list; /* [{"what": ..., "fix": ...}]; NULL = nothing so far */
};

void missing_add(struct missing *m, const char *fix, const char *fmt, ...) PRINTF(3, 4);
/*
 * 0 when nothing is missing. Else -ERR_NOT_PREPARED, and *ret_details = {"missing": [...]} (gives). Empties m either way.
 */
int missing_end(struct missing *m, json_t **ret_details, struct err *err) WARN_UNUSED;

/* ---- the checks that init and join share; vg, bridge "" = not asked for ---- */
void missing_storage(const struct exec_env *env, const char *vg, struct missing *m);
void missing_machine(const struct conf *conf, const struct exec_env *env, const char *bridge, struct missing *m);
/* Its own addresses: known, this machine's, and with the ports of ours free. */
void missing_addresses(const struct conf *conf, struct missing *m);
/* Room for the store and the journals; a clock that cannot be right. */
void missing_room(const struct conf *conf, struct missing *m);
void missing_clock(const struct conf *conf, int64_t wall_s, struct missing *m);

/* The first address of a name that is of use to other machines. 0 or -1. */
int resolve_name(const char *name, char out[ADDR_LEN + 1]);
/* conf->address and replication_address: as given, else as set, else what the node's name resolves to; missing says when it does not. */
void own_addresses(const char *address, const char *replication, struct conf *conf, struct missing *m);

#endif
