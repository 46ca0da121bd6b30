/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Planners: pure functions from (state, request) to a list of steps. The same state and the same request give the same
 * plan. They check everything that can be known before anything is touched, and say which node lacks how much.
 */
#ifndef CORE_PLAN_H
#define CORE_PLAN_H

#include "common/rng.h"
#include "core/state.h"
#include "schema/ops.h"
#include "schema/steps.h"

struct plan {
	struct plan_step *steps; /* with args encoded; at most STEPS_MAX */
	int n_steps;
	struct reservation *reservations; /* job = 0: filled in when the job takes them */
	int n_reservations;
	char summary[128];       /* "create instance 'web1' on node1, node2" */
	int64_t needs_level;     /* to say all of it (schema/level.h); 0 = any */
	json_t *result;          /* what the job answers on success (may stay NULL) */
};

void plan_init(struct plan *p);
void plan_done(struct plan *p);
static inline void plan_done_cleanup(struct plan *p)
{
	plan_done(p);
}
#define AUTO_PLAN __attribute__((cleanup(plan_done_cleanup)))

/* Appends a step of that kind with a copy of its typed args; text = fmt (NULL: the kind's summary + node name). Returns it for flags
 * (pivot, may_fail) until the next append. */
struct plan_step *plan_add(struct plan *p, const struct state *st, enum step_kind kind, const char *node_uuid, const void *args);
void plan_reserve(struct plan *p, const char *node, const char *vg, int64_t memory_mib, int64_t disk_mib);

/* A row per JOB request. rng: for uuids, secrets and hardware addresses of new objects. */
typedef int plan_fn(const struct state *st, const void *args, struct rng *rng, struct plan *ret, struct err *err);
plan_fn *plan_for(enum op_index op); /* NULL = not a planned request */
/* Checks what holds for every request, then plans. */
int plan_run(const struct state *st, enum op_index op, const void *args, struct rng *rng, struct plan *ret, struct err *err) WARN_UNUSED;

/* Names of what the request locks alone ("instance:web1", "node:<uuid>", "cluster"), from its lock rule. Gives texts into ret_locks[0..n). */
int plan_locks(const struct state *st, enum op_index op, const void *args, char ***ret_locks, int *ret_n, struct err *err) WARN_UNUSED;

/* Fan-outs: requests that are answered by several jobs (node.migrate, node.failover, node.evacuate, cluster.verify_disks). Gives an array of
 * {"op": name, "args": {...}} objects; -ERR_NOT_SUPPORTED for other requests. */
int plan_fan_out(const struct state *st, enum op_index op, const void *args, json_t **ret, struct err *err) WARN_UNUSED;

/* Where a new instance goes: primary (and secondary for drbd) by free memory and disk, drained and offline excluded; which
 * node lacks how much when nothing fits. want = "" | "p" | "p:s". */
int place_instance(const struct state *st, const struct instance *i, const char *want, char ret_nodes[2][UUID_LEN + 1],
		   int *ret_n, struct err *err) WARN_UNUSED;

#endif
