/* SPDX-License-Identifier: Apache-2.0 */
/*
 * State machines as tables: a row per state with the states it may move to. Only sm_move() changes a
 * state; an illegal move is our bug and aborts. Tables can be dumped as Graphviz for the manual.
 */
#ifndef COMMON_SM_H
#define COMMON_SM_H

#include <stdbool.h>
#include <stdint.h>

#define SM_INITIAL 1u
#define SM_FINAL 2u

struct sm_state {
	const char *name;
	uint32_t next;  /* mask of allowed next states: SM_BIT(x) | ... */
	unsigned flags; /* SM_INITIAL, SM_FINAL */
};

struct sm {
	const char *name;
	const struct sm_state *states;
	int n_states;
};

#define SM_BIT(s) (UINT32_C(1) << (s))

/* States are indexes into the table; asserted. */
bool sm_allowed(const struct sm *sm, int from, int to);
/* *state := to. Aborts with a message on stderr when the table does not allow it. */
void sm_move(const struct sm *sm, int *state, int to);
const char *sm_name(const struct sm *sm, int state);
int sm_by_name(const struct sm *sm, const char *name); /* -1 = no such state */

#endif
