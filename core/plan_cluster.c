/* SPDX-License-Identifier: Apache-2.0 */
/* Planners for the cluster as a whole: settings, arbitration, certificates. */
#include <stdio.h>
#include <string.h>

#include "common/xmem.h"
#include "core/own.h"
#include "core/planners.h"

static const char *ha_up(const struct state *st)
{
	for (int i = 0; i < st->n_instances; i++)
		if (st->instances[i]->i.admin_state == ADMIN_UP && state_ha_policy(st, &st->instances[i]->i) == HA_FAILOVER)
			return st->instances[i]->i.name;
	return NULL;
}

/* What no node has, of those that tell what they have, is a slip: every guest would be refused for it later. */
static int is_somewhere(const struct state *st, const struct op_cluster_modify *a, struct err *err)
{
	bool bridges = false, pools = false, bridge = !a->bridge[0], vg = !a->vg_name[0];

	for (int i = 0; i < st->n_nodes; i++) {
		const struct observed *o = &st->nodes[i]->seen;

		bridges = bridges || o->n_bridges;
		pools = pools || o->n_pools;
		bridge = bridge || strs_has(o->bridges, o->n_bridges, a->bridge);
		for (int k = 0; k < o->n_pools; k++)
			vg = vg || strcmp(o->pools[k].name, a->vg_name) == 0;
	}
	if (bridges && !bridge)
		return err_set(err, ERR_NOT_FOUND, "no node has a bridge '%s'", a->bridge), err_hint(err, "'gnt node prepare --bridge %s=INTERFACE' on each", a->bridge);
	if (pools && !vg)
		return err_set(err, ERR_NOT_FOUND, "no node has a volume group '%s'", a->vg_name),
		       err_hint(err, "'gnt node prepare --disk DISK --vg-name %s' on each", a->vg_name);
	return 0;
}

static int cluster_is_so(const struct state *st, const struct op_cluster_modify *a, struct plan *p, struct err *err)
{
	struct op_cluster_modify none;

	schema_init(&op_cluster_modify_schema, &none);
	int rc = plan_nothing(p, st, &op_cluster_modify_schema, a, &none, "the cluster",
			      "'gnt cluster info' shows how it is; 'gnt cluster modify --help' what can be changed", err);
	schema_done(&op_cluster_modify_schema, &none);
	return rc;
}

int plan_cluster_modify(const struct state *st, const void *args, struct rng *rng, struct plan *ret, struct err *err)
{
	const struct op_cluster_modify *a = args;
	struct op_cluster_arbitrate arb;
	struct cluster c;
	int rc = 0;
	bool same = false;

	if (a->arbitration >= 0 && (a->arbitration != st->cluster.arbitration || (a->arbitration == 0) != (st->cluster.arbitration_held == 1))) {
		struct op_cluster_modify alone;

		schema_init(&op_cluster_modify_schema, &alone);
		alone.arbitration = a->arbitration;
		bool more = !schema_equal(&op_cluster_modify_schema, &alone, a);
		schema_done(&op_cluster_modify_schema, &alone);
		if (more) /* it is a plan of its own */
			return err_set(err, ERR_BAD_REQUEST, "--arbitration goes alone"), err_hint(err, "change the other settings with a second command");
		schema_init(&op_cluster_arbitrate_schema, &arb);
		arb.on = a->arbitration;
		return plan_cluster_arbitrate(st, &arb, rng, ret, err);
	}
	schema_copy(&cluster_schema, &c, &st->cluster);
	schema_merge(&beparams_schema, &c.be, &a->be);
	schema_merge(&hvparams_schema, &c.hv, &a->hv);
	rc = schema_reset(&cluster_schema, &c, a->reset, a->n_reset, err);
	if (rc == 0)
		rc = is_somewhere(st, a, err);
	if (a->bridge[0])
		(void)str_copy(c.bridge, sizeof(c.bridge), a->bridge);
	if (a->vg_name[0])
		(void)str_copy(c.vg_name, sizeof(c.vg_name), a->vg_name);
	if (a->lease != FIELD_UNSET)
		c.lease_ms = a->lease * 1000;
	if (c.lease_ms != st->cluster.lease_ms)
		ret->result = json_pack("{s:[s]}", "notes", "gantry's daemons count with the new lease from now on; etcd's time-outs follow when it starts anew: "
					"on one voter after another, when 'gnt cluster verify' finds nothing: systemctl restart gantry-etcd");
	if (a->cert_life != FIELD_UNSET)
		c.cert_life_s = a->cert_life;
	if (a->candidate_pool_size != FIELD_UNSET)
		c.candidate_pool_size = a->candidate_pool_size;
	if (a->resync_rate != FIELD_UNSET)
		c.resync_rate = a->resync_rate;
	if (a->front_lost >= 0)
		c.front_lost = a->front_lost;
	if (a->auto_rejoin >= 0)
		c.auto_rejoin = a->auto_rejoin;
	if (a->tail_keep != FIELD_UNSET)
		c.tail_keep_s = a->tail_keep;
	const char *ha = c.lease_ms < st->cluster.lease_ms ? ha_up(st) : NULL;
	if (rc == -ERR_UNKNOWN_KEY)
		(void)err_hint(err, "it is be.KEY or hv.KEY, as in 'gnt cluster info'");
	else if (rc < 0)
		; /* it says itself what to do */
	else if (ha)
		rc = err_set(err, ERR_NOT_SAFE, "guest '%s' is up with ha=failover: its node could still count with the longer lease", ha),
		(void)err_hint(err, "shut such guests down, or set -B ha=none, before ha.lease is lowered");
	else if (schema_equal(&cluster_schema, &c, &st->cluster))
		same = true;
	else
		plan_add(ret, st, STEP_KIND_cluster_change, NULL, &c)->pivot = 1;
	schema_done(&cluster_schema, &c);
	(void)snprintf(ret->summary, sizeof(ret->summary), "change the cluster's settings");
	return same ? cluster_is_so(st, a, ret, err) : rc;
}

/* On: both sides take the options first, then the record says so, and begins with the owner alone (H20). Off: the record first. */
static int arbitrate_instance(const struct state *st, const struct instance *i, bool on, struct plan *p, struct err *err)
{
	struct step_drbd_conf before;
	struct step_own o;

	for (int k = 0; k < i->n_nodes; k++) {
		const struct snode *n = state_node(st, i->nodes[k]);

		if (!n || !n->connected)
			return err_set(err, ERR_NODE_DOWN, "node '%s' with a replica of '%s' does not answer", n ? n->n.name : "?", i->name);
	}
	schema_init(&step_own_schema, &o);
	(void)str_copy(o.uuid, sizeof(o.uuid), i->uuid);
	o.on = on;
	if (!on)
		plan_add(p, st, STEP_KIND_own_arbitrate, NULL, &o);
	part_drbd_conf(st, i, i->nodes, i->own.arbitrated == 1, &before);
	for (int k = 0; k < 2; k++)
		add_conf(p, st, i->nodes[k], i, i->nodes, on, &before);
	/* The owner last: with them it freezes when it loses its mirror, and gets no verdict before the record says so. Whether it is up is for the
	 * node to see when it does it: an instance that is started meanwhile must not be passed over. */
	const char *owner = own_runner(&i->own);
	const char *order[2] = { state_other_node(i, owner), owner };
	for (int k = 0; k < 2; k++) {
		struct step_resource r;

		part_resource(i, &r);
		plan_add(p, st, STEP_KIND_drbd_options, order[k], &r)->after_all = on && k == 1;
		schema_done(&step_resource_schema, &r);
	}
	schema_done(&step_drbd_conf_schema, &before);
	if (on) /* a replica that could not take them would not freeze: the record does not say so, and it is tried again */
		plan_add(p, st, STEP_KIND_own_arbitrate, NULL, &o)->after_all = 1;
	return 0;
}

/*
 * Whose turn it is: at first, to lock them, those that no job holds; when it is planned those whose lock this job holds. Without their locks a
 * migration or a rebuild could begin between two of these steps.
 */
int plan_arbitrate_whom(const struct state *st, bool on, const struct sinstance *ret[ARBITRATE_AT_ONCE])
{
	int n = 0;

	for (int i = 0; i < st->n_instances && n < ARBITRATE_AT_ONCE; i++) {
		const struct sinstance *s = st->instances[i];

		if (s->i.template == TEMPLATE_DRBD && (s->i.own.arbitrated == 1) != on && s->busy_job == st->planning_job && own_confirmed(&s->i.own) &&
		    !s->i.own.tail[0]) /* a loser's part is to come back first */
			ret[n++] = s;
	}
	return n;
}

int plan_cluster_arbitrate(const struct state *st, const void *args, struct rng *rng, struct plan *ret, struct err *err)
{
	const struct op_cluster_arbitrate *a = args;
	struct cluster c;
	const struct sinstance *whom[ARBITRATE_AT_ONCE];
	int n = plan_arbitrate_whom(st, a->on == 1, whom), rc = 0;

	(void)rng;
	if (a->on == 1 && part_voters(st) < 3)
		return err_set(err, ERR_NOT_SAFE, "disk arbitration needs three voters, there are %d", part_voters(st)),
		       err_hint(err, "add nodes, or a witness: 'gnt node add --witness'");
	schema_copy(&cluster_schema, &c, &st->cluster);
	c.arbitration = a->on;
	c.arbitration_held = a->on != 1; /* only a person turns it off; without this the reconciler would turn it on again at once */
	plan_add(ret, st, STEP_KIND_cluster_change, NULL, &c)->pivot = 1;
	schema_done(&cluster_schema, &c);
	for (int i = 0; i < n && rc == 0; i++)
		rc = arbitrate_instance(st, &whom[i]->i, a->on == 1, ret, err);
	(void)snprintf(ret->summary, sizeof(ret->summary), "turn disk arbitration %s", a->on == 1 ? "on" : "off");
	return rc;
}

/* With force: every node, and all must be there. Without: those whose certificate is in its last third; who is away is asked when it is back. */
int plan_renew_crypto(const struct state *st, const void *args, struct rng *rng, struct plan *ret, struct err *err)
{
	const struct op_renew_crypto *a = args;

	(void)rng;
	for (int i = 0; i < st->n_nodes; i++) {
		const struct snode *n = st->nodes[i];
		struct step_none none;

		if (a->force == 1 && !n->connected)
			return err_set(err, ERR_NODE_DOWN, "node '%s' does not answer", n->n.name);
		if (a->force != 1 && (!n->connected || st->wall_ms / 1000 < n->seen.cert_due_s))
			continue;
		schema_init(&step_none_schema, &none);
		struct plan_step *s = plan_add(ret, st, STEP_KIND_certs_renew, n->n.uuid, &none);
		s->may_fail = a->force != 1; /* one that cannot must not keep the others from it; the reconciler asks again */
	}
	if (ret->n_steps == 0)
		return err_set(err, ERR_BAD_REQUEST, "every certificate is good for long"), err_hint(err, "--force renews them nevertheless");
	ret->steps[0].pivot = 1;
	(void)snprintf(ret->summary, sizeof(ret->summary), "renew the certificates of %d nodes", ret->n_steps);
	return 0;
}
