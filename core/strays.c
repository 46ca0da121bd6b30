/* SPDX-License-Identifier: Apache-2.0 */
/* Guests with our tag where they do not belong: of no instance, or on another node than the one that may run it. Each is an alarm, told when it is first seen. */
#include <string.h>

#include "common/xmem.h"
#include "core/inside.h"
#include "core/own.h"

/* NULL: it belongs there. */
static const char *why(const struct core *c, const struct snode *n, const struct obs_guest *g)
{
	const struct sinstance *s = state_instance(&c->st, g->uuid);

	if (g->ours != 1)
		return NULL;
	if (!s)
		return "of no instance of this cluster";
	/* A record that nobody has confirmed says nothing; both ends of a migration, and what a job is at, are where they should be for now. */
	if (!own_confirmed(&s->i.own) || s->busy_job || strcmp(own_runner(&s->i.own), n->n.uuid) == 0 || strcmp(s->i.own.owner, n->n.uuid) == 0 ||
	    strcmp(s->i.own.target, n->n.uuid) == 0)
		return NULL;
	return "which belongs on another node";
}

void strays_observed(struct core *c, struct snode *n)
{
	char **now = NULL;
	int n_now = 0;

	for (int i = 0; i < n->seen.n_guests; i++) {
		const struct obs_guest *g = &n->seen.guests[i];
		const char *text = why(c, n, g);

		if (!text)
			continue;
		if (!strs_has(n->strays, n->n_strays, g->uuid))
			core_event(c, "ALARM: node '%s' runs guest '%s' (%s), %s", n->n.name, g->name, g->uuid, text);
		strs_add(&now, &n_now, g->uuid);
	}
	strs_clear(&n->strays, &n->n_strays);
	n->strays = now;
	n->n_strays = n_now;
}
