/* SPDX-License-Identifier: Apache-2.0 */
#include "common/sm.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool sm_allowed(const struct sm *sm, int from, int to)
{
	assert(from >= 0 && from < sm->n_states && to >= 0 && to < sm->n_states);
	return (sm->states[from].next & SM_BIT(to)) != 0;
}

void sm_move(const struct sm *sm, int *state, int to)
{
	if (!sm_allowed(sm, *state, to)) {
		(void)fprintf(stderr, "%s: move %s -> %s is not in the table\n", sm->name, sm_name(sm, *state),
			      sm_name(sm, to));
		abort();
	}
	*state = to;
}

const char *sm_name(const struct sm *sm, int state)
{
	assert(state >= 0 && state < sm->n_states);
	return sm->states[state].name;
}

int sm_by_name(const struct sm *sm, const char *name)
{
	for (int i = 0; i < sm->n_states; i++)
		if (strcmp(sm->states[i].name, name) == 0)
			return i;
	return -1;
}
