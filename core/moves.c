/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guests that are moved by themselves, live, by ordinary migrations: off a node under maintenance and back to it afterwards, and off a node that has lost
 * its primary network (it is still managed over the other one). Level-triggered; nothing is started elsewhere, so nothing here needs evidence.
 */
#include <string.h>

#include "common/xmem.h"
#include "core/inside.h"
#include "core/own.h"

#define AT_ONCE 2 /* migrations from or to one node */
#define AGAIN_FIRST_MS 10000
#define AGAIN_MAX_MS 600000

static bool front_gone(const struct snode *n)
{
	return n->connected && n->links == 2 && strcmp(n->n.address, n->n.replication_address) != 0;
}

/* When it is gone for many at once, it is not theirs that is broken. */
static bool front_trouble(const struct core *c)
{
	int gone = 0;

	for (int i = 0; i < c->st.n_nodes; i++)
		gone += front_gone(c->st.nodes[i]);
	return 3 * gone > c->st.n_nodes;
}

static bool front_lost(const struct core *c, const struct snode *n)
{
	return front_gone(n) && n->front_gone_ms && c->st.now_ms - n->front_gone_ms >= c->st.cluster.lease_ms && !front_trouble(c);
}

static int moving(const struct core *c, const char *node)
{
	int n = 0;

	for (int i = 0; i < c->st.n_instances; i++) {
		const struct sinstance *s = c->st.instances[i];

		n += s->busy_job && s->i.own.target[0] && (strcmp(s->i.own.owner, node) == 0 || strcmp(s->i.own.target, node) == 0);
	}
	return n;
}

static bool ready(const struct core *c, const struct snode *n)
{
	struct err err = ERR_INIT;

	return n && n->seen_ms && live_of(n) == NODE_ONLINE && state_need_usable(&c->st, n, &err) == 0;
}

/* Who should be its node now, and why; NULL = it may stay. */
static const struct snode *goal(const struct core *c, const struct sinstance *s, const struct snode *at, const char **ret_why)
{
	const struct snode *other = state_node(&c->st, state_other_node(&s->i, at->n.uuid)), *home = s->i.home[0] ? state_node(&c->st, s->i.home) : NULL;

	if (!other || other->n.maintenance == 1 || front_lost(c, other))
		return NULL;
	if (at->n.maintenance == 1) {
		*ret_why = "maintenance";
		return other;
	}
	if (c->st.cluster.front_lost == FRONT_EVACUATE && front_lost(c, at) && state_ha_policy(&c->st, &s->i) == HA_FAILOVER) {
		*ret_why = "its node has lost the primary network";
		return other;
	}
	if (home == other && (home->links & 1)) {
		*ret_why = "maintenance of its node is over";
		return other;
	}
	return NULL;
}

static void consider(struct core *c, struct sinstance *s)
{
	const struct snode *at = state_node(&c->st, own_runner(&s->i.own));
	const char *why = NULL;

	if (!own_confirmed(&s->i.own) || !at || s->busy_job || s->i.template != TEMPLATE_DRBD || s->i.own.target[0])
		return;
	if (s->i.home[0] && ((strcmp(s->i.home, at->n.uuid) == 0 && at->n.maintenance != 1) || !strs_has(s->i.nodes, s->i.n_nodes, s->i.home))) {
		s->i.home[0] = '\0'; /* it is back, or has no home there any more */
		core_put_instance(c, s);
		outbox_flush(c->out);
	}
	const struct snode *to = goal(c, s, at, &why);
	if (!to) {
		s->moves = 0;
		return;
	}
	if (s->i.admin_state != ADMIN_UP || !ready(c, at) || !ready(c, to) || !own_current(&s->i.own, to->n.uuid) ||
	    (!own_current(&s->i.own, at->n.uuid) && !state_lives_on_mirror(&c->st, &s->i)) ||
	    !state_seen_guest(at, s->i.uuid) || c->st.now_ms < s->move_next_ms || moving(c, at->n.uuid) >= AT_ONCE || moving(c, to->n.uuid) >= AT_ONCE)
		return;
	int64_t wait = AGAIN_FIRST_MS;
	for (int i = 0; i < s->moves && wait < AGAIN_MAX_MS; i++)
		wait *= 2;
	s->moves++;
	s->move_next_ms = c->st.now_ms + wait;
	if (at->n.maintenance == 1 && strcmp(s->i.home, at->n.uuid) != 0) {
		(void)str_copy(s->i.home, sizeof(s->i.home), at->n.uuid);
		core_put_instance(c, s);
		outbox_flush(c->out);
	}
	core_event(c, "instance '%s' is moved from node '%s' to '%s': %s", s->i.name, at->n.name, to->n.name, why);
	reconcile_file(c, OP_instance_migrate, json_pack("{s:s}", "name", s->i.name), why);
}

void moves_tick(struct core *c)
{
	for (int i = 0; i < c->st.n_nodes; i++) {
		struct snode *n = c->st.nodes[i];

		if (!front_gone(n))
			n->front_gone_ms = 0;
		else if (!n->front_gone_ms) {
			n->front_gone_ms = c->st.now_ms ? c->st.now_ms : 1;
			core_event(c, "node '%s' is reached over the replication network only", n->n.name);
			outbox_flush(c->out);
		}
	}
	for (int i = 0; i < c->st.n_instances; i++)
		consider(c, c->st.instances[i]);
}
