/* SPDX-License-Identifier: Apache-2.0 */
/* instance replace-disks: another node for the mirror, or one of the two replicas made anew (H19). */
#include <stdio.h>
#include <string.h>

#include "common/rule.h"
#include "common/xmem.h"
#include "core/own.h"
#include "core/planners.h"

static int pick_secondary(const struct state *st, const struct instance *i, const char *want, const char *owner, const char *old, struct snode **ret,
			  struct err *err)
{
	if (strcmp(want, "auto") != 0) {
		int rc = state_need_node(st, want, ret, err);

		return rc < 0 ? rc : state_need_usable(st, *ret, err);
	}
	struct snode *best = NULL;
	int64_t most = -1;
	for (int k = 0; k < st->n_nodes; k++) {
		struct snode *n = st->nodes[k];
		struct err why = ERR_INIT;
		const char *pool = i->n_disks ? part_pool(st, i, &i->disks[0]) : "";

		if (strcmp(n->n.uuid, owner) == 0 || strcmp(n->n.uuid, old) == 0 || n->n.drained == 1 || n->n.witness == 1 ||
		    state_need_usable(st, n, &why) < 0)
			continue;
		int64_t room = state_free_disk_mib(st, n, pool);
		if (room >= instance_disk_mib(i, pool, st) && room > most) {
			most = room;
			best = n;
		}
	}
	if (!best)
		return err_set(err, ERR_NO_NODE, "no other node has room for the mirror of '%s'", i->name);
	*ret = best;
	return 0;
}

static int check_room(const struct state *st, const struct instance *i, const struct snode *n, struct err *err)
{
	for (int d = 0; d < i->n_disks; d++) {
		const char *pool = part_pool(st, i, &i->disks[d]);
		int64_t have = state_free_disk_mib(st, n, pool), need = instance_disk_mib(i, pool, st);

		if (have < 0)
			return err_set(err, ERR_NOT_PREPARED, "node '%s' has no volume group '%s'", n->n.name, pool);
		if (have < need)
			return err_set(err, ERR_NO_SPACE, "volume group '%s' on node '%s' has %lld MiB free, the mirror needs %lld MiB", pool,
				       n->n.name, (long long)have, (long long)need);
	}
	return 0;
}

static bool minors_free(const struct state *st, const struct instance *i, const char *node)
{
	for (int k = 0; k < st->n_instances; k++) {
		const struct instance *o = &st->instances[k]->i;

		if (o == i || strcmp(o->uuid, i->uuid) == 0 || !strs_has(o->nodes, o->n_nodes, node))
			continue;
		for (int d = 0; d < o->n_disks; d++)
			for (int e = 0; e < i->n_disks; e++)
				if (o->disks[d].minor == i->disks[e].minor)
					return false;
	}
	return true;
}

/*
 * A replica from which another one is to be made must be there: however old what the other has is, it may be the only copy that can still be read.
 * What the node reports counts as well as the record: a disk that failed while there was no master is in current until its node is heard.
 */
static int need_source(const struct state *st, const struct instance *i, const struct snode *from, struct err *err)
{
	const struct obs_drbd *d = part_seen_drbd(st, from->n.uuid, i);

	if (!d || d->up != 1 || state_good_replica(d))
		return 0;
	return err_set(err, ERR_DEGRADED, "the replica of '%s' on node '%s', from which the other would be made, is %s", i->name, from->n.name,
		       d->disk[0] ? d->disk : "not there"),
	       err_hint(err, "mend that one first; if it is lost: 'gnt instance failover --ignore-consistency %s' goes on with the other", i->name);
}

/* Of an instance that is down the source comes up before the log rests on it alone: then it shows whether its disk is there. */
static void add_source_up(const struct state *st, const struct instance *i, const char *from, struct plan *p)
{
	const struct obs_drbd *d = part_seen_drbd(st, from, i);

	if (!d || d->up != 1)
		add_resource(p, st, STEP_KIND_drbd_attach, from, i, false);
}

/*
 * Behind the pivot a replica that was made anew meets its source. The node of either may have been reset since it was attached, and nothing comes up by itself there
 * (H11): to connect would be refused for ever, and of an instance that is down nobody else attaches it. So that step does, if it finds it down and not marked.
 */
static void add_meet(struct plan *p, const struct state *st, const char *node, const struct instance *i)
{
	struct step_resource a;

	part_resource(i, &a);
	a.attach = 1;
	plan_add(p, st, STEP_KIND_drbd_connect, node, &a);
}

/*
 * Another node becomes the mirror (H19): the new one is made ready beside the old. The old one leaves current, is taken down, which it refuses while the
 * primary lives on its disk, and then one transaction changes the set; until that all can be taken back. The old one's volumes go when the new one is
 * current, not before: until then they are all there is besides the primary's disk. Passed over, they are for the reconciler.
 */
static int replace_node(const struct state *st, const struct instance *i, const struct snode *owner, const char *old, const struct snode *n,
			struct plan *p, struct err *err)
{
	struct step_drbd_conf before;
	struct step_replicas r;
	char *nodes[2] = { (char *)(uintptr_t)owner->n.uuid, (char *)(uintptr_t)n->n.uuid };
	char *was[2] = { (char *)(uintptr_t)owner->n.uuid, (char *)(uintptr_t)old };
	const struct snode *o = state_node(st, old);
	bool old_there = o && o->connected && o->n.offline != 1;
	int rc = check_room(st, i, n, err);

	if (rc == 0)
		rc = need_source(st, i, owner, err);
	if (rc < 0)
		return rc;
	if (!own_current(&i->own, owner->n.uuid))
		return err_set(err, ERR_STALE_REPLICA, "the replica on the primary node '%s' is not current", owner->n.name);
	if (!minors_free(st, i, n->n.uuid))
		return err_set(err, ERR_NO_MINOR, "a DRBD minor of '%s' is taken on node '%s'", i->name, n->n.name),
		       err_hint(err, "pick another node with -n");
	add_volumes(p, st, STEP_KIND_volume_create, n->n.uuid, i);
	add_conf(p, st, n->n.uuid, i, nodes, i->own.arbitrated == 1, NULL);
	add_md(p, st, n->n.uuid, i, nodes);
	add_resource(p, st, STEP_KIND_drbd_attach, n->n.uuid, i, true);
	add_source_up(st, i, owner->n.uuid, p);
	if (old_there && old[0]) {
		add_own(p, st, STEP_KIND_own_leave, i, old, true);
		add_resource(p, st, STEP_KIND_drbd_down, old, i, true);
	}
	schema_init(&step_replicas_schema, &r);
	(void)str_copy(r.uuid, sizeof(r.uuid), i->uuid);
	for (int k = 0; k < 2; k++)
		strs_add(&r.nodes, &r.n_nodes, nodes[k]);
	strs_add(&r.current, &r.n_current, nodes[0]);
	plan_add(p, st, STEP_KIND_own_replicas, NULL, &r)->pivot = 1;
	schema_done(&step_replicas_schema, &r);
	if (old_there && old[0])
		add_resource(p, st, STEP_KIND_drbd_forget, old, i, true)->may_fail = 1;
	add_resource(p, st, STEP_KIND_drbd_cut, owner->n.uuid, i, true); /* by its old file still: that one knows the old mirror's address */
	part_drbd_conf(st, i, was, i->own.arbitrated == 1, &before);
	add_conf(p, st, owner->n.uuid, i, nodes, i->own.arbitrated == 1, &before);
	schema_done(&step_drbd_conf_schema, &before);
	add_meet(p, st, owner->n.uuid, i);
	add_meet(p, st, n->n.uuid, i);
	add_resource(p, st, STEP_KIND_drbd_wait_sync, owner->n.uuid, i, false);
	if (RULE(KEEP_OLD))
		add_own(p, st, STEP_KIND_own_both, i, "", false);
	if (old_there && old[0]) {
		struct plan_step *s = add_volumes(p, st, STEP_KIND_volume_remove, old, i);

		s->may_fail = 1;
		s->after_all = RULE(KEEP_OLD);
	}
	for (int d = 0; d < i->n_disks; d++)
		plan_reserve(p, n->n.uuid, part_pool(st, i, &i->disks[d]), 0, i->disks[d].size + DRBD_META_MIB);
	(void)snprintf(p->summary, sizeof(p->summary), "move the mirror of '%.40s' to %.20s", i->name, n->n.name);
	return 0;
}

/*
 * A step that writes a resource's file is passed over when its node is known to be off: whoever brings the replicas together again writes both files
 * first. Idempotent, and behind the pivot.
 */
static void add_confs(struct plan *p, const struct state *st, const struct instance *i, const char *a, const char *b)
{
	add_conf(p, st, a, i, i->nodes, i->own.arbitrated == 1, NULL)->may_fail = 1;
	add_conf(p, st, b, i, i->nodes, i->own.arbitrated == 1, NULL)->may_fail = 1;
}

/* The same node's replica is made anew: out of current and down first (H8), then a full sync. */
static int rebuild(const struct state *st, const struct instance *i, const char *node, const char *from, struct plan *p, struct err *err)
{
	const struct snode *n = state_node(st, node), *src = state_node(st, from);
	int rc = n ? state_need_usable(st, n, err) : err_set(err, ERR_DEGRADED, "instance '%s' has no mirror", i->name);

	if (rc == 0)
		rc = src ? state_need_usable(st, src, err) : err_set(err, ERR_DEGRADED, "instance '%s' has no mirror", i->name);
	if (rc == 0)
		rc = need_source(st, i, src, err);
	if (rc < 0)
		return rc;
	if (own_tail_due(&i->own, node))
		add_tail_keep(p, st, node, i);
	add_source_up(st, i, from, p);
	add_own(p, st, STEP_KIND_own_leave, i, node, true);
	add_resource(p, st, STEP_KIND_drbd_down, node, i, true); /* refused by a replica whose disk the other side lives on */
	add_own(p, st, STEP_KIND_own_leave, i, node, false)->pivot = 1; /* the source is still good: only now is anything overwritten */
	add_confs(p, st, i, node, from);
	add_volumes(p, st, STEP_KIND_volume_create, node, i);
	add_md(p, st, node, i, i->nodes);
	add_own(p, st, STEP_KIND_own_return, i, node, false);
	add_resource(p, st, STEP_KIND_drbd_attach, node, i, true);
	add_meet(p, st, from, i);
	add_meet(p, st, node, i);
	add_resource(p, st, STEP_KIND_drbd_wait_sync, from, i, false);
	add_own(p, st, STEP_KIND_own_both, i, "", false);
	(void)snprintf(p->summary, sizeof(p->summary), "rebuild the replica of '%.40s' on %.20s", i->name, n->n.name);
	return 0;
}

int plan_replace_disks(const struct state *st, const void *args, struct rng *rng, struct plan *ret, struct err *err)
{
	const struct op_replace_disks *a = args;
	struct sinstance *s;
	struct snode *owner = NULL, *n = NULL;
	int rc = state_need_instance(st, a->name, &s, err);

	(void)rng;
	if (rc < 0)
		return rc;
	const struct instance *i = &s->i;
	if (i->template != TEMPLATE_DRBD)
		return err_set(err, ERR_WRONG_STATE, "instance '%s' has no mirror: its disk template is '%s'", i->name, template_names[i->template]);
	if ((a->new_secondary[0] != 0) + (a->on_primary == 1) + (a->on_secondary == 1) != 1)
		return plan_which_replica(a, err);
	if (a->restart == 1)
		return err_set(err, ERR_BAD_REQUEST, "--restart belongs to -p"), err_hint(err, "the guest of a mirror that is rebuilt runs on");
	rc = need_owner(st, i, &owner, err);
	if (rc < 0)
		return rc;
	const char *old = state_other_node(i, owner->n.uuid);
	if (a->from[0] && strcmp(state_node_name(st, old), a->from) != 0)
		return err_set(err, ERR_WRONG_STATE, "the mirror of '%s' is not on node '%s'", i->name, a->from),
		       err_hint(err, "its guest could not be moved away first: see that job, then repeat the evacuation");
	if (a->on_secondary == 1)
		return rebuild(st, i, old, owner->n.uuid, ret, err);
	rc = pick_secondary(st, i, a->new_secondary, owner->n.uuid, old, &n, err);
	if (rc < 0)
		return rc;
	if (strs_has(i->nodes, i->n_nodes, n->n.uuid))
		return err_set(err, ERR_BAD_VALUE, "node '%s' holds a replica of '%s' already", n->n.name, i->name),
		       err_hint(err, "rebuild the one that is there with %s", n == owner ? "-p" : "-s");
	return replace_node(st, i, owner, old, n, ret, err);
}
