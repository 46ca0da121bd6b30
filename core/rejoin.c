/* SPDX-License-Identifier: Apache-2.0 */
/* A node that was lost or fenced is back (doc/design/011-comeback.adoc): it takes part again by itself, or waits for a person. */
#include <stdlib.h>
#include <string.h>

#include "common/xmem.h"
#include "core/inside.h"
#include "core/planners.h"

/* What is known of it was about one boot; in another one nothing of that runs any more. "": nobody knows which. */
static bool same_boot(const struct snode *n)
{
	return n->n.evidence_boot[0] && strcmp(n->n.evidence_boot, n->boot_id) == 0;
}

bool rejoin_held(const struct snode *n)
{
	return n->n.offline == 1 && n->connected && (n->n.liveness == NODE_LOST || (n->n.liveness == NODE_FENCED && !same_boot(n)));
}

bool rejoin_by_itself(const struct state *st, const struct snode *n)
{
	if (n->n.offline == 1) /* a person lets it back */
		return false;
	return n->n.auto_rejoin >= 0 ? n->n.auto_rejoin == 1 : st->cluster.auto_rejoin == 1;
}

static bool has_guests(const struct snode *n)
{
	for (int i = 0; i < n->seen.n_guests; i++)
		if (n->seen.guests[i].ours == 1)
			return true;
	return false;
}

static void online(struct core *c, struct snode *n, const char *how)
{
	n->n.liveness = NODE_ONLINE;
	n->n.evidence_wrong = 0;
	core_put_node(c, n);
	core_event(c, "node '%s' is back%s", n->n.name, how);
}

static void hold(struct core *c, struct snode *n)
{
	n->n.offline = 1;
	n->n.evidence_wrong = 0; /* the boot that it was about has ended */
	if (n->n.liveness == NODE_LOST && n->n.evidence_boot[0]) { /* and by that its guests have ended: evidence for those that still wait */
		n->n.liveness = NODE_FENCED;
		n->n.evidence = EVIDENCE_REPORT;
		free(n->n.evidence_text);
		n->n.evidence_text = xstrdup("it has booted anew");
	}
	core_put_node(c, n);
	core_send_settings(c, NULL);
	core_event(c, "node '%s' is back in a new boot and waits, offline: 'gnt node modify -O no %s' lets it take part again", n->n.name, n->n.name);
}

void rejoin_observed(struct core *c, struct snode *n)
{
	if ((n->n.liveness != NODE_FENCED && n->n.liveness != NODE_LOST) || !n->boot_id[0])
		return;
	if (n->n.offline == 1 && (n->n.liveness == NODE_FENCED || !n->n.evidence_boot[0]))
		return; /* it waits already, or nothing can be said of it */
	bool fenced = n->n.liveness == NODE_FENCED;
	if (fenced && same_boot(n))
		return; /* the evidence was wrong, that is for a person */
	if (rejoin_by_itself(&c->st, n)) {
		if (fenced) /* one that was lost comes back by its beat */
			online(c, n, " in a new boot");
		return;
	}
	if (!n->n.evidence_boot[0] && n->n.witness != 1 && !n->seen.hypervisor[0])
		return; /* its guests tell, and its libvirt does not answer: it has not said that it has none */
	/* Only cut off, its guests ran on: to shut it out would end nothing and help nobody. Known to be off, but in which boot nobody knew: by its guests in this one. */
	if (fenced ? !n->n.evidence_boot[0] && has_guests(n) : same_boot(n) || has_guests(n))
		online(c, n, ", it was only cut off");
	else
		hold(c, n);
}
