/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Failover by itself (doc/design/009-failover.adoc): guests with ha=failover of a lost or fenced node are started on their mirrors by ordinary jobs, by
 * priority and within capacity. Whatever is in the way is an event, told once, and tried again.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/xmem.h"
#include "core/evidence.h"
#include "core/inside.h"
#include "core/own.h"

#define AGAIN_FIRST_MS 500
#define AGAIN_MAX_MS 30000
#define FENCE_AGAIN_MS 15000

struct candidate {
	struct sinstance *s;
	int64_t priority;
};

static bool lost(const struct core *c, const struct instance *i)
{
	const struct snode *n = state_node(&c->st, own_runner(&i->own));

	return n && (n->n.liveness == NODE_LOST || n->n.liveness == NODE_FENCED);
}

static int by_priority(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;

	if (x->priority != y->priority)
		return x->priority > y->priority ? -1 : 1;
	return strcmp(x->s->i.name, y->s->i.name);
}

/* The reason is told when it changes, not whenever it is looked at. key is a literal. */
static void waits(struct core *c, struct sinstance *s, const char *key, const char *text)
{
	int64_t wait = AGAIN_FIRST_MS;

	for (int i = 0; i < s->ha_tries && wait < AGAIN_MAX_MS; i++)
		wait *= 2;
	s->ha_next_ms = c->st.now_ms + (wait < AGAIN_MAX_MS ? wait : AGAIN_MAX_MS);
	free(s->ha_why);
	s->ha_why = xstrdup(text);
	if (s->ha_key && strcmp(s->ha_key, key) == 0)
		return;
	s->ha_key = key;
	core_event(c, "instance '%s' is not failed over yet: %s", s->i.name, text);
	outbox_flush(c->out);
}

static int trial(struct core *c, const struct instance *i, char *ret_summary, size_t size, struct err *err)
{
	struct op_instance_failover a;
	struct rng rng = c->rng;
	AUTO_PLAN struct plan p = { 0 };

	plan_init(&p);
	schema_init(&op_instance_failover_schema, &a);
	(void)str_copy(a.name, sizeof(a.name), i->name);
	int rc = plan_for(OP_instance_failover)(&c->st, &a, &rng, &p, err);
	(void)str_copy(ret_summary, size, p.summary);
	return rc;
}

static void fail_over(struct core *c, struct sinstance *s)
{
	struct evidence_found e;
	struct err err = ERR_INIT;
	char summary[128], why[640];

	evidence_find(&c->st, &s->i, &e);
	if (e.kind == EVIDENCE_NONE) {
		s->ha_tries = 0; /* evidence is waited for, not tried */
		waits(c, s, e.lacks, e.text);
		return;
	}
	if (e.kind == EVIDENCE_LEASE && live_storm(c)) {
		s->ha_tries = 0;
		waits(c, s, "storm", "more than a third of the nodes are silent at once: only power evidence or a person's word counts");
		return;
	}
	if (trial(c, &s->i, summary, sizeof(summary), &err) < 0) {
		waits(c, s, err_name(err.code), err.msg);
		s->ha_tries++;
		return;
	}
	(void)snprintf(why, sizeof(why), "ha=failover, evidence %s: %s", evidence_names[e.kind], e.text);
	core_event(c, "instance '%s': %s; it goes where its mirror is; %s", s->i.name, summary, why);
	s->ha_key = NULL;
	free(s->ha_why);
	s->ha_why = NULL;
	s->ha_next_ms = c->st.now_ms + AGAIN_MAX_MS / 10; /* should the job fail */
	s->ha_tries++;
	reconcile_file(c, OP_instance_failover, json_pack("{s:s}", "name", s->i.name), why);
}

/*
 * H16, last sentence: an owner outside of current that for a whole lease stands frozen, or could not be started, although its peer answers. One that has
 * lost its disk and does not run cannot be started there by anybody before it was made anew: nothing is waited for but that reports and jobs do not cross
 * each other (as with check_instance()).
 */
static void check_outside(struct core *c, struct sinstance *s)
{
	const struct instance *i = &s->i;
	const char *runner = own_runner(&i->own), *other = state_other_node(i, runner);
	const struct snode *n = state_node(&c->st, runner), *p = state_node(&c->st, other);
	const struct obs_drbd *d = n && n->connected ? state_seen_drbd(n, i->uuid) : NULL;
	bool frozen = d && d->suspended == 1 && strcmp(d->conn, "Connected") != 0, ended = d && state_guest_ended(n, i->uuid);
	bool lost = state_owner_lost_disk(&c->st, i), outside = (frozen || ended) && !own_current(&i->own, runner) && own_current(&i->own, other);
	bool is = own_confirmed(&i->own) && i->template == TEMPLATE_DRBD && i->admin_state == ADMIN_UP && i->own.arbitrated == 1 && (outside || lost);
	int64_t wait = lost ? c->st.cluster.lease_ms / 6 : c->st.cluster.lease_ms;

	if (!is) {
		s->frozen_outside_ms = 0;
		return;
	}
	if (!s->frozen_outside_ms) {
		s->frozen_outside_ms = c->st.now_ms ? c->st.now_ms : 1;
		core_event(c, "ALARM: instance '%s' belongs on node '%s', whose replica %s, and %s%s", i->name, n->n.name,
			   lost ? "has lost its disk" : "is not current", frozen ? "is frozen there" : "does not run",
			   own_current(&i->own, other) ? "" : "; the other one is not current: 'gnt instance failover --ignore-consistency' takes it as it is");
		outbox_flush(c->out);
	}
	if (s->busy_job || c->st.now_ms < s->ha_next_ms || state_ha_policy(&c->st, i) != HA_FAILOVER || !own_current(&i->own, other) || !p || !p->connected ||
	    c->st.now_ms - s->frozen_outside_ms < wait)
		return;
	s->ha_next_ms = c->st.now_ms + AGAIN_MAX_MS;
	reconcile_file(c, OP_instance_failover, json_pack("{s:s}", "name", i->name),
		       lost   ? "its replica on its node has lost its disk, and it does not run" :
		       frozen ? "its owner is frozen outside of current, and its link stays away" :
				"its owner is outside of current, and it does not run");
}

/* It answers again before its agents got to it: whoever filed the job, a person's wish excepted, has no reason any more. */
static void call_off(struct core *c, const struct snode *n)
{
	for (int i = c->n_open - 1; i >= 0; i--) {
		const struct cjob *j = c->open[i];
		struct err err = ERR_INIT;

		if (job_ended(j) || j->j.cancel == 1 || strcmp(j->j.op, op_infos[OP_node_fence].name) != 0 || strcmp(j->j.user, RECONCILER) != 0 ||
		    strcmp(json_str(j->j.args, "name", ""), n->n.name) != 0)
			continue;
		core_event(c, "node '%s' answers again: it is not switched off", n->n.name);
		IGNORE(job_cancel(c, j->j.id, &err)); /* past its pivot it is off already */
		outbox_flush(c->out);
		return;
	}
}

/* A silent node is switched off when a guest of it waits on a mirror that is cut off: what still replicates is safe where it is. */
static void shoot(struct core *c, struct snode *n)
{
	bool needed = false;

	if (live_of(n) == NODE_ONLINE && n->connected)
		call_off(c, n);
	if ((live_of(n) != NODE_SUSPECT && live_of(n) != NODE_LOST) || !n->n.fence || c->st.now_ms < n->fence_next_ms ||
	    c->st.cluster.arbitration != 1 || strcmp(n->n.uuid, c->st.self) == 0)
		return;
	for (int i = 0; i < c->st.n_instances && !needed; i++) {
		const struct instance *in = &c->st.instances[i]->i;

		needed = own_confirmed(&in->own) && strcmp(own_runner(&in->own), n->n.uuid) == 0 && in->admin_state == ADMIN_UP && in->own.arbitrated == 1 &&
			 state_ha_policy(&c->st, in) == HA_FAILOVER &&
			 evidence_apart_ms(&c->st, state_node(&c->st, state_other_node(in, n->n.uuid)), in) >= 0;
	}
	if (!needed || job_pending(c, OP_node_fence, n->n.name))
		return;
	n->fence_next_ms = c->st.now_ms + FENCE_AGAIN_MS;
	core_event(c, "node '%s' is switched off: it is %s and guests wait", n->n.name, liveness_names[live_of(n)]);
	reconcile_file(c, OP_node_fence, json_pack("{s:s}", "name", n->n.name), "silent, and guests with ha=failover wait for it");
}

void failover_tick(struct core *c)
{
	struct candidate *list = NULL;
	int n = 0;

	for (int i = 0; i < c->st.n_nodes; i++)
		shoot(c, c->st.nodes[i]);

	for (int i = 0; i < c->st.n_instances; i++) {
		struct sinstance *s = c->st.instances[i];

		check_outside(c, s);
		if (!own_confirmed(&s->i.own) || s->i.template != TEMPLATE_DRBD || s->i.admin_state != ADMIN_UP || !lost(c, &s->i) || c->st.cluster.arbitration != 1 || s->i.own.arbitrated != 1 ||
		    state_ha_policy(&c->st, &s->i) != HA_FAILOVER) {
			s->ha_tries = 0;
			s->ha_key = NULL;
			free(s->ha_why);
			s->ha_why = NULL;
			continue;
		}
		if (s->busy_job || c->st.now_ms < s->ha_next_ms)
			continue;
		list = xrealloc(list, (size_t)(n + 1) * sizeof(*list));
		list[n++] = (struct candidate){ s, state_ha_priority(&c->st, &s->i) };
	}
	if (n)
		qsort(list, (size_t)n, sizeof(*list), by_priority);
	for (int i = 0; i < n; i++)
		fail_over(c, list[i].s);
	free(list);
}
