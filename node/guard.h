/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The node's side of doc/design/008-liveness.adoc: which guests the watchdog guards, gantry-fenced, the lease that the node counts itself, vouching
 * for what is safe, ending what is not.
 */
#ifndef NODE_GUARD_H
#define NODE_GUARD_H

#include <stdbool.h>
#include <stdint.h>

#include "common/cleanup.h"

struct guard;
struct noded;
struct observed;
struct err;

/* All on the loop's thread unless it says otherwise. */
int guard_new(struct noded *n, struct err *err) WARN_UNUSED; /* reads the records of a noded before this one */
void guard_free(struct noded *n);
void guard_tick(struct noded *n);                       /* dials fenced, tells it the lease, looks while no beat is answered */
/* This node can do nothing for a guest that it guards: it says nothing, beats above all, until that has changed. */
bool guard_lets_go(const struct noded *n);
void guard_gens(struct noded *n);                       /* the master has told of policies */
void guard_looked(struct noded *n, int64_t began_ms, bool whole); /* a look that began then; whole = guests and disks both answered */
void guard_report(struct noded *n, struct observed *o); /* fills in what is guarded, and the watchdog */
/* A permission to run it has come: the watchdog is armed first. Then, on the worker: waits until it is. Does its best: an unguarded guest
 * is reported as such. */
void guard_permitted(struct noded *n, const char *instance, int64_t ha_rev);
void guard_wait(struct noded *n, const char *instance, int64_t ha_rev);

/* On a worker: a fire drill of the watchdog (008). Returns when it runs unfed; what came of it is found by the next boot, or told as a problem. */
int guard_drill(struct noded *n, struct err *err) __attribute__((warn_unused_result));

/* For how long the replica has not been connected: a look found it so, or not so, now. */
void guard_apart(struct noded *n, const char *instance, bool connected);
void guard_met(struct noded *n, const char *instance); /* it was connected a moment ago, or may have been: counting starts anew */
int64_t guard_apart_ms(struct noded *n, const char *instance); /* any thread; 0 = it is connected, or nobody knows */

#endif
