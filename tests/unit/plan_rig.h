/* SPDX-License-Identifier: Apache-2.0 */
/* Planners are pure: a state made by hand, a request, and the plan or the refusal that follows. */
#ifndef TESTS_UNIT_PLAN_RIG_H
#define TESTS_UNIT_PLAN_RIG_H

#include "core/plan.h"

#define A "aaaaaaaa-0000-4000-8000-000000000001"
#define B "aaaaaaaa-0000-4000-8000-000000000002"
#define C "aaaaaaaa-0000-4000-8000-000000000003"
#define VM "bbbbbbbb-0000-4000-8000-000000000001"

struct world {
	struct state st; /* three nodes, A to C, that answer */
	struct plan plan;
	struct err err;
};

int world_set_up(void **state);
int world_tear_down(void **state);
/* vm1 on A, mirror on B; current as asked. */
struct sinstance *add_instance(struct state *st, bool a_current, bool b_current);
/* The node reports: its replica, the guest. */
void see_drbd(struct snode *n, const char *role, const char *disk, const char *peer_disk);
void see_guest(struct snode *n);
int plan(struct world *w, enum op_index op, const char *args);
int step_at(const struct world *w, const char *kind, const char *node); /* its number in the plan; -1 = none such */

#endif
