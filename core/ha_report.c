/* SPDX-License-Identifier: Apache-2.0 */
/* 'gnt cluster ha-report': if a node died now, which guest comes back where, in about how many seconds, and what is in the way. */
#include <stdlib.h>
#include <string.h>

#include "common/xmem.h"
#include "core/inside.h"
#include "core/lease.h"
#include "core/own.h"

#define LOSS_SEEN_MS 4000 /* DRBD notices a silent peer after 3 to 5 s */
#define START_MS 2000     /* probe, promotion, start */
#define AGENT_MS 2000

struct fall { /* guests of the node that dies, by priority */
	const struct sinstance *s;
	int64_t priority;
};

static int by_priority(const void *a, const void *b)
{
	const struct fall *x = a, *y = b;

	if (x->priority != y->priority)
		return x->priority > y->priority ? -1 : 1;
	return strcmp(x->s->i.name, y->s->i.name);
}

static bool guarded(const struct core *c, const struct instance *i, const char *node)
{
	return strcmp(i->guard_node, node) == 0 && i->guard_rev == state_ha_rev(&c->st, i);
}

/* What is in the way of everything, should this one die now; "" = nothing. */
static const char *nobody_decides(const struct core *c, const struct snode *n)
{
	int voters = 0, left = 0, nodes = 0, silent = 0;

	for (int i = 0; i < c->st.n_nodes; i++) {
		const struct snode *o = c->st.nodes[i];
		bool gone = o == n || !o->connected || live_of(o) != NODE_ONLINE;

		voters += o->n.candidate == 1;
		left += o->n.candidate == 1 && !gone;
		if (o->n.offline == 1 && !o->connected)
			continue;
		nodes++;
		silent += o == n || (gone && o->n.offline != 1);
	}
	if (2 * left <= voters)
		return "no majority of voters would be left: nobody could decide";
	if (!n->n.fence && 3 * silent > nodes)
		return "more than a third of the nodes would be silent: without a fence agent a person must say that the node is off";
	return "";
}

/* About; the arithmetic is that of doc/design/008. */
static int64_t seconds(const struct core *c, const struct snode *n)
{
	int64_t lease = c->st.cluster.lease_ms, apart = LOSS_SEEN_MS + lease_apart_ms(lease), lost = lease_lost_ms(lease);
	int64_t ms = n->n.fence ? (LOSS_SEEN_MS > lease_suspect_ms(lease) ? LOSS_SEEN_MS : lease_suspect_ms(lease)) + AGENT_MS : lost > apart ? lost : apart;

	if (strcmp(n->n.uuid, c->st.self) == 0) {
		int64_t next = lease / 4 + lease_margin_ms(lease) + 2 * lease_beat_ms(lease); /* the next master */

		ms = n->n.fence ? next + lease_beat_ms(lease) + AGENT_MS : ms + lease / 4;
	}
	return (ms + START_MS + 999) / 1000;
}

static json_t *line(const struct core *c, const struct snode *n, const struct sinstance *s, int64_t *free_mib)
{
	const struct instance *i = &s->i;
	const struct snode *to = state_node(&c->st, state_other_node(i, n->n.uuid));
	const struct obs_drbd *d = n->connected ? state_seen_drbd(n, i->uuid) : NULL;
	enum ha_policy p = state_ha_policy(&c->st, i);
	struct beparams be;
	const char *why = "", *decides = nobody_decides(c, n);

	state_fill_be(&c->st, i, &be);
	int64_t memory = be.memory, *room = NULL;
	schema_done(&beparams_schema, &be);
	for (int k = 0; to && k < c->st.n_nodes; k++)
		if (c->st.nodes[k] == to)
			room = &free_mib[k];
	if (!own_confirmed(&i->own))
		why = "it is from a backup and not confirmed yet";
	else if (i->template != TEMPLATE_DRBD)
		why = "it has no mirror";
	else if (!to || !room)
		why = "its mirror is missing";
	else if (p != HA_FAILOVER)
		why = "ha is not failover: a person decides";
	else if (i->own.arbitrated != 1)
		why = "its disks are not arbitrated";
	else if (!own_current(&i->own, to->n.uuid))
		why = "its mirror lacks acknowledged writes";
	else if (!to->connected || live_of(to) != NODE_ONLINE || to->n.offline == 1)
		why = "its mirror's node does not answer";
	else if (decides[0])
		why = decides;
	else if (*room < memory)
		why = "its mirror's node lacks memory";
	else if (!guarded(c, i, n->n.uuid) && !n->n.fence)
		why = "no watchdog guards it and its node has no fence agent: a person must say that the node is off";
	if (!why[0])
		*room -= memory;
	/* The side that runs it counts what the mirror lacks; when nobody can be asked, that is not "nothing". */
	json_t *o = json_pack("{s:s, s:s, s:s, s:b, s:I, s:o}", "node", n->n.name, "instance", i->name, "to", to ? to->n.name : "", "comes_back", !why[0],
			      "memory", (json_int_t)memory, "out_of_sync_kib", d ? json_integer(d->out_of_sync_kib) : json_null());
	if (why[0])
		(void)json_object_set_new(o, "why", json_string(why));
	else
		(void)json_object_set_new(o, "seconds", json_integer(seconds(c, n)));
	return o;
}

static void one_node(const struct core *c, const struct snode *n, json_t *lines)
{
	struct fall *list = xcalloc((size_t)c->st.n_instances + 1, sizeof(*list));
	int64_t *free_mib = xcalloc((size_t)c->st.n_nodes + 1, sizeof(*free_mib));
	int n_list = 0;

	for (int k = 0; k < c->st.n_nodes; k++)
		free_mib[k] = state_free_memory_mib(&c->st, c->st.nodes[k]);
	for (int i = 0; i < c->st.n_instances; i++) {
		const struct sinstance *s = c->st.instances[i];

		if (strcmp(own_runner(&s->i.own), n->n.uuid) == 0 && s->i.admin_state == ADMIN_UP)
			list[n_list++] = (struct fall){ s, state_ha_priority(&c->st, &s->i) };
	}
	qsort(list, (size_t)n_list, sizeof(*list), by_priority);
	for (int i = 0; i < n_list; i++)
		json_array_append_new(lines, line(c, n, list[i].s, free_mib));
	free(list);
	free(free_mib);
}

int ha_report(const struct core *c, const struct op_ha_report *a, json_t **ret, struct err *err)
{
	struct snode *only = NULL;
	int rc = a->node[0] ? state_need_node(&c->st, a->node, &only, err) : 0;

	if (rc < 0)
		return rc;
	*ret = json_array();
	for (int i = 0; i < c->st.n_nodes; i++)
		if ((!only || c->st.nodes[i] == only) && c->st.nodes[i]->n.witness != 1)
			one_node(c, c->st.nodes[i], *ret);
	return 0;
}
