/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Liveness of nodes: online, suspect, lost, fenced (doc/design/008-liveness.adoc). A beat that was answered is a lease; the master counts from when it
 * answered. Suspect is known to this master only; lost and fenced are in the log.
 */
#include <string.h>

#include "common/rule.h"
#include "common/xmem.h"
#include "core/inside.h"
#include "core/lease.h"
#include "core/own.h"

static const struct sm_state live_states[] = {
	[NODE_ONLINE] = { "online", SM_BIT(NODE_SUSPECT) | SM_BIT(NODE_LOST) | SM_BIT(NODE_FENCED), SM_INITIAL },
	[NODE_SUSPECT] = { "suspect", SM_BIT(NODE_ONLINE) | SM_BIT(NODE_LOST) | SM_BIT(NODE_FENCED), 0 },
	[NODE_LOST] = { "lost", SM_BIT(NODE_ONLINE) | SM_BIT(NODE_FENCED), 0 },
	[NODE_FENCED] = { "fenced", SM_BIT(NODE_ONLINE), 0 },
};
static const struct sm live_sm = { "node", live_states, (int)ARRAY_SIZE(live_states) };

enum liveness live_of(const struct snode *n)
{
	return n->n.liveness == NODE_ONLINE && n->suspect ? NODE_SUSPECT : (enum liveness)n->n.liveness;
}

static void move_to(struct core *c, struct snode *n, enum liveness to)
{
	int now = (int)live_of(n);

	sm_move(&live_sm, &now, (int)to);
	n->suspect = to == NODE_SUSPECT;
	enum liveness kept = to == NODE_SUSPECT ? NODE_ONLINE : to;
	if (n->n.liveness == (int)kept)
		return;
	n->n.liveness = (int)kept;
	n->n.evidence_wrong = 0;
	if (kept == NODE_LOST) /* which boot that is about; unknown to a master that never heard it */
		(void)str_copy(n->n.evidence_boot, sizeof(n->n.evidence_boot), n->boot_id);
	if (kept == NODE_ONLINE)
		n->n.evidence = EVIDENCE_NONE; /* the text stays: it is told what it was */
	core_put_node(c, n);
}

void live_beat(struct core *c, struct snode *n)
{
	n->granted_ms = n->answered_ms = c->st.now_ms;
	if (n->n.liveness == NODE_FENCED) {
		/* reconcile_observed() takes it back in a new boot; in the same one the evidence was wrong, and that is for a person. */
		if (n->n.evidence_boot[0] && strcmp(n->n.evidence_boot, n->boot_id) == 0 && n->n.evidence_wrong != 1) {
			n->n.evidence_wrong = 1; /* in the log: the master after us may never hear it */
			core_put_node(c, n);
			core_event(c, "ALARM: node '%s' answers in the boot in which it was known to be off (%s)", n->n.name,
				   n->n.evidence_text ? n->n.evidence_text : "");
		}
		return;
	}
	if (live_of(n) == NODE_ONLINE || (live_of(n) == NODE_LOST && !rejoin_by_itself(&c->st, n)))
		return; /* rejoin_observed() decides when it has reported */
	core_event(c, "node '%s' is online again, it was %s", n->n.name, sm_name(&live_sm, (int)live_of(n)));
	move_to(c, n, NODE_ONLINE);
}

/*
 * Offline: nobody waits for it, and whether it lives is of no interest. But what runs there was promised to come back (ha=failover), and offline is not
 * the word that it has ended: for those guests it is counted as any other.
 */
static bool of_interest(const struct core *c, const struct snode *n)
{
	if (n->n.offline != 1)
		return true;
	for (int i = 0; i < c->st.n_instances; i++) {
		const struct instance *in = &c->st.instances[i]->i;

		if (own_confirmed(&in->own) && in->admin_state == ADMIN_UP && in->own.arbitrated == 1 && strcmp(own_runner(&in->own), n->n.uuid) == 0 &&
		    state_ha_policy(&c->st, in) == HA_FAILOVER)
			return true;
	}
	return false;
}

static void check(struct core *c, struct snode *n)
{
	int64_t lease = c->st.cluster.lease_ms;
	/* What is done counts from the end of a pause without majority: nobody could have heard us, and nobody is to blame. */
	int64_t since = n->granted_ms > c->resumed_ms ? n->granted_ms : c->resumed_ms, quiet = c->st.now_ms - since;
	enum liveness is = live_of(n);

	if (is == NODE_LOST || is == NODE_FENCED || !of_interest(c, n))
		return;
	if (quiet >= (RULE(LEASE_MARGIN) ? lease_lost_ms(lease) : lease / 6)) {
		core_event(c, "node '%s' is lost: no beat answered for %lld ms%s", n->n.name, (long long)quiet,
			   n->connected ? ", though its connection stands" : "");
		move_to(c, n, NODE_LOST);
		outbox_flush(c->out); /* a unit of its own */
		job_schedule(c);      /* who waits for it takes no place any more */
	} else if (quiet >= lease_suspect_ms(lease) && c->st.now_ms - c->started_ms >= lease_suspect_ms(lease) && is == NODE_ONLINE) {
		core_event(c, "node '%s' is suspect: no beat answered for %lld ms, %s", n->n.name, (long long)quiet,
			   n->links ? "though its connection stands" : "both of its links are gone");
		move_to(c, n, NODE_SUSPECT);
	}
}

void live_tick(struct core *c)
{
	if (c->store_silent_since_ms)
		return;
	for (int i = 0; i < c->st.n_nodes; i++) {
		check(c, c->st.nodes[i]);
		outbox_flush(c->out);
	}
}

void live_resumed(struct core *c)
{
	c->resumed_ms = c->st.now_ms;
}

bool live_storm(const struct core *c)
{
	int silent = 0, all = 0;

	for (int i = 0; i < c->st.n_nodes; i++) {
		const struct snode *n = c->st.nodes[i];

		if (n->n.offline == 1 && !n->connected)
			continue; /* whether it should answer is not known; of one that does, it is */
		all++;
		silent += (live_of(n) == NODE_SUSPECT || live_of(n) == NODE_LOST) && !(n->n.offline == 1 && n->connected);
	}
	return 3 * silent > all;
}
