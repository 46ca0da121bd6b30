/* SPDX-License-Identifier: Apache-2.0 */
/* Planners that move an instance or rebuild its mirror: migrate, failover, replace-disks, and converge. */
#include <stdio.h>
#include <string.h>

#include "common/rule.h"
#include "common/xmem.h"
#include "core/evidence.h"
#include "core/own.h"
#include "core/planners.h"

static const struct obs_drbd *seen_drbd(const struct state *st, const char *node, const struct instance *i)
{
	const struct snode *n = state_node(st, node);

	return n && n->connected ? state_seen_drbd(n, i->uuid) : NULL;
}

/* A part of a command of several jobs (core/plan.c): an earlier one that failed must not make this one do something else. */
static int need_from(const struct state *st, const struct instance *i, const char *from, struct err *err)
{
	if (!from[0] || strcmp(state_node_name(st, own_runner(&i->own)), from) == 0)
		return 0;
	return err_set(err, ERR_WRONG_STATE, "instance '%s' is not on node '%s'", i->name, from),
	       err_hint(err, "an earlier job of the same command has failed: 'gnt job list --error'");
}

/* ---- migrate (doc/design/004-migration.adoc) ------------------------------------------------------ */

static int check_migratable(const struct state *st, const struct instance *i, const struct snode *from, const struct snode *to, struct err *err)
{
	struct hvparams hv;
	int rc = 0;

	state_fill_hv(st, i, &hv);
	if (hv.disk_cache != CACHE_NONE && hv.disk_cache != CACHE_DIRECTSYNC)
		rc = err_set(err, ERR_NOT_SAFE, "disk_cache=%s keeps writes of '%s' in the memory of node '%s'", disk_cache_names[hv.disk_cache],
			     i->name, from->n.name),
		(void)err_hint(err, "'gnt instance modify -H disk_cache=none %s', then shut it down and start it", i->name);
	schema_done(&hvparams_schema, &hv);
	if (rc < 0)
		return rc;
	const struct obs_guest *g = state_seen_guest(from, i->uuid);
	if (!g)
		return err_set(err, ERR_WRONG_STATE, "guest '%s' does not run on node '%s'", i->name, from->n.name),
		       err_hint(err, "'gnt instance failover %s' moves an instance that is down", i->name);
	const struct obs_drbd *d = state_seen_drbd(from, i->uuid);
	if (!d || d->in_sync != 1)
		return err_set(err, ERR_DEGRADED, "the mirror of '%s' on node '%s' is not in sync", i->name, to->n.name);
	if (state_free_memory_mib(st, to) < instance_memory(st, i))
		return err_set(err, ERR_NO_MEMORY, "node '%s' has %lld MiB of memory free, guest '%s' needs %lld MiB", to->n.name,
			       (long long)state_free_memory_mib(st, to), i->name, (long long)instance_memory(st, i));
	return 0;
}

static void add_migrate(const struct state *st, const struct instance *i, const struct snode *from, const struct snode *to, bool live,
			struct plan *p)
{
	struct step_migrate m;
	struct hvparams hv;

	state_fill_hv(st, i, &hv);
	schema_init(&step_migrate_schema, &m);
	(void)str_copy(m.uuid, sizeof(m.uuid), i->uuid);
	(void)str_copy(m.name, sizeof(m.name), i->name);
	(void)str_copy(m.target, sizeof(m.target), to->n.uuid);
	(void)str_copy(m.target_name, sizeof(m.target_name), to->n.name);
	(void)str_copy(m.target_address, sizeof(m.target_address), to->n.replication_address);
	m.bandwidth = hv.migration_bandwidth;
	m.downtime = hv.migration_downtime;
	m.auto_converge = hv.migration_auto_converge;
	m.live = live;
	plan_add(p, st, STEP_KIND_guest_migrate, from->n.uuid, &m);
	schema_done(&hvparams_schema, &hv);
}

int plan_instance_migrate(const struct state *st, const void *args, struct rng *rng, struct plan *ret, struct err *err)
{
	const struct op_instance_migrate *a = args;
	struct op_instance_name again;
	struct sinstance *s;
	struct snode *from = NULL;
	int rc = state_need_instance(st, a->name, &s, err);

	if (rc < 0)
		return rc;
	if (a->cleanup == 1) {
		schema_init(&op_instance_name_schema, &again);
		(void)str_copy(again.name, sizeof(again.name), a->name);
		return plan_instance_converge(st, &again, rng, ret, err);
	}
	const struct instance *i = &s->i;
	if (i->template != TEMPLATE_DRBD)
		return err_set(err, ERR_WRONG_STATE, "instance '%s' has disk template '%s': only drbd can be migrated", i->name,
			       template_names[i->template]),
		       err_hint(err, "it stays on its node; guests with '-t drbd' have a mirror to go to");
	rc = need_from(st, i, a->from, err);
	if (rc == 0)
		rc = need_owner(st, i, &from, err);
	struct snode *to = rc == 0 ? state_node(st, state_other_node(i, from->n.uuid)) : NULL;
	if (rc == 0 && !to)
		rc = err_set(err, ERR_DEGRADED, "instance '%s' has no mirror", i->name), (void)err_hint(err, "'gnt instance replace-disks -n NODE %s'", i->name);
	if (rc == 0)
		rc = state_need_usable(st, to, err);
	if (rc == 0)
		rc = check_migratable(st, i, from, to, err);
	if (rc < 0)
		return rc;
	const char *S = from->n.uuid, *T = to->n.uuid;
	add_guest_ref(ret, st, STEP_KIND_guest_hold, S, i, 0, false);
	add_own(ret, st, STEP_KIND_own_migrate, i, T, true);
	add_resource(ret, st, STEP_KIND_drbd_two_primaries, S, i, false);
	add_resource(ret, st, STEP_KIND_drbd_two_primaries, T, i, false)->beside = 1;
	add_resource(ret, st, STEP_KIND_drbd_primary, T, i, false);
	add_guest(ret, st, STEP_KIND_guest_expect, T, i)->beside = 1;
	add_migrate(st, i, from, to, a->non_live != 1, ret);
	add_guest_ref(ret, st, STEP_KIND_guest_arrived, T, i, 0, false);
	if (i->own.arbitrated != 1)
		add_resource(ret, st, STEP_KIND_drbd_prove, S, i, false);
	add_own(ret, st, STEP_KIND_own_pivot, i, T, true)->pivot = 1;
	add_guest_ref(ret, st, STEP_KIND_guest_resume, T, i, 0, false);
	add_guest_ref(ret, st, STEP_KIND_guest_destroy, S, i, 0, true)->beside = 1;
	add_resource(ret, st, STEP_KIND_drbd_secondary, S, i, false);
	add_resource(ret, st, STEP_KIND_drbd_one_primary, S, i, false);
	add_resource(ret, st, STEP_KIND_drbd_one_primary, T, i, false)->beside = 1;
	add_own(ret, st, STEP_KIND_own_settle, i, T, false);
	plan_reserve(ret, T, "", instance_memory(st, i), 0);
	(void)snprintf(ret->summary, sizeof(ret->summary), "migrate '%.40s' from %.20s to %.20s", i->name, from->n.name, to->n.name);
	return 0;
}

/* ---- failover --------------------------------------------------------------------------------------- */

/* e: what it rests on; NULL = planned. */
static void add_failover(const struct state *st, const struct instance *i, const char *to, bool force, const struct evidence_found *e, struct plan *p)
{
	struct step_own o;

	schema_init(&step_own_schema, &o);
	(void)str_copy(o.uuid, sizeof(o.uuid), i->uuid);
	(void)str_copy(o.node, sizeof(o.node), to);
	o.force = force;
	if (e) {
		o.evidence = (int)e->kind;
		o.evidence_text = xstrdup(e->text);
		o.gen = i->own.target[0] ? FIELD_UNSET : i->own.gen; /* the record that was looked at, unless an abandoned migration is ended first */
	}
	plan_add(p, st, STEP_KIND_own_failover, NULL, &o)->pivot = 1;
	schema_done(&step_own_schema, &o);
}

/*
 * Without arbitration the log does not know that a Primary wrote alone: the old owner's side must show, once it writes no more, that the mirror has it
 * all. Disks that are down, after a boot or because the instance is, meet for that.
 */
static int prove_mirror(const struct state *st, const struct instance *i, const char *from, bool up, struct plan *p, struct err *err)
{
	if (!up) {
		int rc = add_disks_up(p, st, i, false, false, err);

		if (rc < 0)
			return rc;
		add_resource(p, st, STEP_KIND_drbd_wait_sync, from, i, false)->may_fail = 1; /* the next step says what that means */
	}
	add_resource(p, st, STEP_KIND_drbd_prove, from, i, false);
	return 0;
}

static void add_down_again(const struct state *st, const struct instance *i, struct plan *p)
{
	for (int k = 0; k < i->n_nodes; k++)
		add_resource(p, st, STEP_KIND_drbd_down, i->nodes[k], i, false)->may_fail = 1;
}

static void add_probe(struct plan *p, const struct state *st, const char *node, const struct instance *i, bool force, int64_t apart_ms)
{
	struct step_resource r;

	part_resource(i, &r);
	r.force = force;
	r.apart_ms = apart_ms;
	plan_add(p, st, STEP_KIND_drbd_probe_target, node, &r);
}

/*
 * The target is up and good by its node's word, and lacks nothing by the log's or its mirror's: --ignore-consistency has nothing to ignore. Of one that is
 * down nobody knows what its disk will say of itself; taken as it is, all that is lost by that is a mirror that has to meet it again.
 */
static bool target_is_whole(const struct state *st, const struct instance *i, const struct snode *from, const struct snode *to)
{
	const struct obs_drbd *d = from ? seen_drbd(st, from->n.uuid, i) : NULL, *t = seen_drbd(st, to->n.uuid, i);

	if (!own_current(&i->own, to->n.uuid) || !t || t->up != 1 || t->marked == 1 || t->split == 1 || !state_good_replica(t))
		return false;
	if ((d && d->in_sync == 1) || !own_current(&i->own, own_runner(&i->own)))
		return true;
	return i->own.arbitrated == 1 && !(d && d->up == 1);
}

/* The target proves itself before the pivot (H7), and stays apart from then on. as_is: a person takes it as it is, but there must be data to take. */
static void add_target(const struct state *st, const struct instance *i, const char *to, bool as_is, int64_t apart_ms, struct plan *p)
{
	add_resource(p, st, STEP_KIND_drbd_attach, to, i, as_is);
	add_probe(p, st, to, i, as_is, apart_ms);
}

/* The owner answers: its guest is ended in an orderly way, nothing is lost, and until the pivot all of it can be taken back. */
static int failover_planned(const struct state *st, const struct op_instance_failover *a, const struct instance *i, const struct snode *from,
			    const struct snode *to, bool as_is, struct plan *p, struct err *err)
{
	const struct obs_drbd *d = state_seen_drbd(from, i->uuid);
	bool synced = d && d->in_sync == 1, up = d && d->up == 1;
	/* The owner's own disk is gone and out of current: it has served its guest from the mirror's, which lacks nothing (H6). */
	bool served = own_current(&i->own, to->n.uuid) && !own_current(&i->own, from->n.uuid);

	if (up && !synced && !served && a->ignore_consistency != 1)
		return err_set(err, ERR_STALE_REPLICA, "the mirror of '%s' on node '%s' lacks acknowledged writes", i->name, to->n.name),
		       err_hint(err, "wait for the resync; --ignore-consistency loses what it lacks");
	if (!own_current(&i->own, to->n.uuid) && a->ignore_consistency != 1)
		return err_set(err, ERR_STALE_REPLICA, "the mirror of '%s' on node '%s' is not current", i->name, to->n.name),
		       err_hint(err, "'gnt instance info %s' shows both; --ignore-consistency loses what it lacks", i->name);
	if (i->admin_state == ADMIN_UP || runs_on(from, i))
		add_guest_ref(p, st, STEP_KIND_guest_shutdown, from->n.uuid, i, shutdown_timeout(st, i, a->shutdown_timeout), true);
	if (up || as_is)
		add_resource(p, st, STEP_KIND_drbd_secondary, from->n.uuid, i, false);
	bool prove = i->own.arbitrated != 1 && !served && a->ignore_consistency != 1;
	int rc = prove ? prove_mirror(st, i, from->n.uuid, up, p, err) : 0;
	if (rc < 0)
		return rc;
	if (as_is)
		add_target(st, i, to->n.uuid, true, FIELD_UNSET, p);
	else if (!up && !prove && i->admin_state == ADMIN_UP) /* disks that are down: the target's comes up before the log rests on it (H7) */
		add_resource(p, st, STEP_KIND_drbd_attach, to->n.uuid, i, false);
	add_failover(st, i, to->n.uuid, as_is, NULL, p);
	if (as_is) { /* apart before it is promoted: they meet again when it has a UUID of its own (H11), the loser's data kept */
		add_resource(p, st, STEP_KIND_drbd_cut, to->n.uuid, i, true);
		add_resource(p, st, STEP_KIND_drbd_down, from->n.uuid, i, true)->may_fail = 1;
	}
	if (prove && !up && i->admin_state != ADMIN_UP) /* down as they were */
		add_down_again(st, i, p);
	return 0;
}

/* The owner is off, by evidence: the mirror proves itself first (H7), the log decides, the cut follows (H9). */
static int failover_lost(const struct state *st, const struct instance *i, const struct snode *from, const struct snode *to, bool as_is, struct plan *p,
			 struct err *err)
{
	struct evidence_found e;

	evidence_find(st, i, &e);
	if (RULE(EVIDENCE) && e.kind == EVIDENCE_NONE)
		return err_set(err, ERR_NO_EVIDENCE, "%s", e.text),
		       err_hint(err, "make sure that it is off, then 'gnt node fence --confirmed-off %s'", from ? from->n.name : "NODE");
	if (!own_current(&i->own, to->n.uuid) && !as_is)
		return err_set(err, ERR_STALE_REPLICA, "the mirror of '%s' on node '%s' lacks acknowledged writes", i->name, to->n.name),
		       err_hint(err, "bring node '%s' back; or --ignore-consistency, which loses them", from ? from->n.name : "gone");
	add_target(st, i, to->n.uuid, as_is, e.kind == EVIDENCE_LEASE ? e.apart_ms : FIELD_UNSET, p);
	if (i->own.target[0]) /* a migration that no job looks after any more */
		add_own(p, st, i->own.run == RUN_TARGET ? STEP_KIND_own_settle : STEP_KIND_own_migrate_end, i, i->own.target, false);
	add_failover(st, i, to->n.uuid, as_is, &e, p);
	add_resource(p, st, STEP_KIND_drbd_cut, to->n.uuid, i, true);
	return 0;
}

/*
 * H16: the owner runs outside current, is frozen, and its link stays away: no verdict can ever let it go on, and the peer in current holds all that was
 * acknowledged. The owner takes itself apart first (H13) and says so: that is the evidence.
 */
static int failover_frozen(const struct state *st, const struct instance *i, const struct snode *from, const struct snode *to, struct plan *p)
{
	struct evidence_found e = { .kind = EVIDENCE_REPORT };

	(void)snprintf(e.text, sizeof(e.text), "node '%s' was frozen outside of current, took the guest apart and reported it gone", from->n.name);
	add_resource(p, st, STEP_KIND_drbd_down, from->n.uuid, i, true)->may_fail = 1; /* its process may need its I/O ended first */
	add_guest_ref(p, st, STEP_KIND_guest_destroy, from->n.uuid, i, 0, true);
	add_resource(p, st, STEP_KIND_drbd_down, from->n.uuid, i, true);
	add_target(st, i, to->n.uuid, false, FIELD_UNSET, p);
	add_failover(st, i, to->n.uuid, false, &e, p);
	add_resource(p, st, STEP_KIND_drbd_cut, to->n.uuid, i, true);
	return 0;
}

/*
 * Behind the pivot. Nobody promotes a replica of an instance that is down. One that was asked whether it may take over was kept apart for that, and a startup
 * would be refused for ever: it goes down, which ends that. One that a person takes as it is is promoted once all the same: that makes it UpToDate, with a
 * UUID of its own (H11), so that it can be started and a mirror made of it; else it would still call itself outdated, or half of a resync, when it comes up.
 */
static void add_taken_over(const struct state *st, const struct instance *i, const char *to, bool planned, bool as_is, struct plan *p)
{
	if (i->admin_state == ADMIN_UP && planned && !as_is) { /* disks of an instance that was down are down: up first */
		add_resource(p, st, STEP_KIND_drbd_attach, to, i, false);
		add_resource(p, st, STEP_KIND_drbd_connect, to, i, false)->may_fail = 1;
	}
	if (i->admin_state == ADMIN_UP) {
		add_resource(p, st, STEP_KIND_drbd_primary, to, i, as_is);
		add_guest(p, st, STEP_KIND_guest_start, to, i);
		plan_reserve(p, to, "", instance_memory(st, i), 0);
		return;
	}
	if (RULE(AS_IS) && as_is) {
		add_resource(p, st, STEP_KIND_drbd_primary, to, i, true);
		add_resource(p, st, STEP_KIND_drbd_secondary, to, i, false);
	}
	if (!planned || as_is)
		add_resource(p, st, STEP_KIND_drbd_down, to, i, false);
}

static bool frozen_outside(const struct instance *i, const struct snode *from, const struct snode *to)
{
	const struct obs_drbd *d = from ? state_seen_drbd(from, i->uuid) : NULL;

	return d && i->own.arbitrated == 1 && !i->own.target[0] && d->suspended == 1 && strcmp(d->conn, "Connected") != 0 &&
	       !own_current(&i->own, from->n.uuid) && own_current(&i->own, to->n.uuid);
}

int plan_instance_failover(const struct state *st, const void *args, struct rng *rng, struct plan *ret, struct err *err)
{
	const struct op_instance_failover *a = args;
	struct sinstance *s;
	int rc = state_need_instance(st, a->name, &s, err);

	(void)rng;
	if (rc < 0)
		return rc;
	const struct instance *i = &s->i;
	if (i->template != TEMPLATE_DRBD)
		return err_set(err, ERR_WRONG_STATE, "instance '%s' has disk template '%s': it has no mirror to fail over to", i->name,
			       template_names[i->template]),
		       err_hint(err, "it stays on its node; guests with '-t drbd' have a mirror to go to");
	rc = need_from(st, i, a->from, err);
	if (rc < 0)
		return rc;
	struct snode *from = state_node(st, own_runner(&i->own)), *to = state_node(st, state_other_node(i, own_runner(&i->own)));
	if (!to)
		return err_set(err, ERR_DEGRADED, "instance '%s' has no mirror", i->name);
	rc = state_need_usable(st, to, err);
	if (rc == 0 && i->admin_state == ADMIN_UP && state_free_memory_mib(st, to) < instance_memory(st, i))
		rc = err_set(err, ERR_NO_MEMORY, "node '%s' has %lld MiB of memory free, guest '%s' needs %lld MiB", to->n.name,
			     (long long)state_free_memory_mib(st, to), i->name, (long long)instance_memory(st, i));
	if (rc < 0)
		return rc;
	bool planned = from && from->connected && from->n.liveness == NODE_ONLINE && from->n.offline != 1;
	bool as_is = false;
	if (planned && frozen_outside(i, from, to)) {
		planned = false;
		rc = failover_frozen(st, i, from, to, ret);
	} else {
		as_is = a->ignore_consistency == 1 && !target_is_whole(st, i, from, to);
		rc = planned ? failover_planned(st, a, i, from, to, as_is, ret, err) : failover_lost(st, i, from, to, as_is, ret, err);
	}
	if (rc < 0)
		return rc;
	add_taken_over(st, i, to->n.uuid, planned, as_is, ret);
	(void)snprintf(ret->summary, sizeof(ret->summary), "fail '%.40s' over from %.20s to %.20s", i->name, from ? from->n.name : "a lost node", to->n.name);
	return 0;
}

/* ---- replace-disks ----------------------------------------------------------------------------------- */

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
			return err_set(err, ERR_NO_SPACE, "node '%s' has no volume group '%s'", n->n.name, pool);
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
	const struct obs_drbd *d = seen_drbd(st, from->n.uuid, i);

	if (!d || d->up != 1 || state_good_replica(d))
		return 0;
	return err_set(err, ERR_DEGRADED, "the replica of '%s' on node '%s', from which the other would be made, is %s", i->name, from->n.name,
		       d->disk[0] ? d->disk : "not there"),
	       err_hint(err, "mend that one first; if it is lost: 'gnt instance failover --ignore-consistency %s' goes on with the other", i->name);
}

/* Of an instance that is down the source comes up before the log rests on it alone: then it shows whether its disk is there. */
static void add_source_up(const struct state *st, const struct instance *i, const char *from, struct plan *p)
{
	const struct obs_drbd *d = seen_drbd(st, from, i);

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

/* ---- converge: what is wanted against what was seen ----------------------------------------------------- */

/* A migration that no job looks after any more: undone while the source may run, else carried through. */
static void settle_migration(const struct state *st, const struct instance *i, struct plan *p)
{
	const char *gone = i->own.run == RUN_TARGET ? i->own.owner : i->own.target;
	const struct snode *n = state_node(st, gone);

	if (n && n->connected)
		add_guest_ref(p, st, STEP_KIND_guest_destroy, gone, i, 0, true);
}

int plan_instance_converge(const struct state *st, const void *args, struct rng *rng, struct plan *ret, struct err *err)
{
	const struct op_instance_name *a = args;
	struct sinstance *s;
	struct snode *owner = NULL;
	int rc = state_need_instance(st, a->name, &s, err);

	(void)rng;
	if (rc == 0)
		rc = need_owner(st, &s->i, &owner, err);
	if (rc < 0)
		return rc;
	const struct instance *i = &s->i;
	const char *me = owner->n.uuid, *other = state_other_node(i, me);
	const struct snode *on = other[0] ? state_node(st, other) : NULL;
	bool both = on && on->connected && on->n.offline != 1;
	const struct obs_drbd *od = both ? seen_drbd(st, other, i) : NULL;

	(void)snprintf(ret->summary, sizeof(ret->summary), "bring '%.60s' to what is wanted", i->name);
	if (!own_confirmed(&i->own)) {
		/* Restored from a backup: the replicas meet as Secondaries and DRBD finds out who is ahead. Nothing is promoted, started, ended. */
		rc = add_disks_up(ret, st, i, false, false, err);
		if (rc == 0 && ret->n_steps)
			ret->steps[0].pivot = 1;
		return rc < 0 ? rc : ret->n_steps ? 0 : err_set(err, ERR_WRONG_STATE, "nothing can be found out about '%s'", i->name);
	}
	if (i->own.target[0])
		settle_migration(st, i, ret);
	else if (both && runs_on(on, i))
		add_guest_ref(ret, st, STEP_KIND_guest_destroy, other, i, 0, true);
	if (i->template == TEMPLATE_DRBD && od && strcmp(od->role, "Primary") == 0)
		add_resource(ret, st, STEP_KIND_drbd_secondary, other, i, false);
	if (i->template == TEMPLATE_DRBD && (i->own.target[0] || (od && strcmp(od->role, "Primary") == 0))) {
		add_resource(ret, st, STEP_KIND_drbd_one_primary, me, i, false);
		if (both)
			add_resource(ret, st, STEP_KIND_drbd_one_primary, other, i, false)->may_fail = 1;
	}
	if (i->own.target[0])
		add_own(ret, st, i->own.run == RUN_TARGET ? STEP_KIND_own_settle : STEP_KIND_own_migrate_end, i, i->own.target, false);
	bool hopeless = state_owner_lost_disk(st, i); /* what is tidied is tidied; nobody is kept waiting by what cannot be started */
	if (i->admin_state == ADMIN_UP && i->template == TEMPLATE_DRBD) {
		/* Undone they stay as they are: to take away the file of a resource that is up would leave nobody who could do anything with it. */
		struct step_drbd_conf stays;

		part_drbd_conf(st, i, i->nodes, i->own.arbitrated == 1, &stays);
		add_conf(ret, st, me, i, i->nodes, i->own.arbitrated == 1, &stays)->may_fail = 1;
		if (both)
			add_conf(ret, st, other, i, i->nodes, i->own.arbitrated == 1, &stays)->may_fail = 1;
		schema_done(&step_drbd_conf_schema, &stays);
	}
	if (i->admin_state == ADMIN_UP && !hopeless) {
		rc = add_disks_up(ret, st, i, true, false, err);
		if (rc < 0)
			return rc;
		const struct obs_guest *g = state_seen_guest(owner, i->uuid);

		if (!g) {
			add_guest(ret, st, STEP_KIND_guest_start, me, i);
			plan_reserve(ret, me, "", instance_memory(st, i), 0);
		} else if (strcmp(g->state, "paused") == 0) {
			add_guest_ref(ret, st, STEP_KIND_guest_resume, me, i, 0, false);
		}
	} else if (i->admin_state != ADMIN_UP && runs_on(owner, i)) {
		add_guest_ref(ret, st, STEP_KIND_guest_shutdown, me, i, shutdown_timeout(st, i, FIELD_UNSET), true);
		add_disks_down(ret, st, i);
	}
	for (int k = 0; k < st->n_nodes; k++) {
		const struct snode *n = st->nodes[k];

		if (!state_stray(i, n, NULL, 0))
			continue;
		add_resource(ret, st, STEP_KIND_drbd_down, n->n.uuid, i, true)->may_fail = 1;
		add_resource(ret, st, STEP_KIND_drbd_forget, n->n.uuid, i, true)->may_fail = 1;
		add_volumes(ret, st, STEP_KIND_volume_remove, n->n.uuid, i)->may_fail = 1;
	}
	if (ret->n_steps == 0) { /* nothing to do is a success too */
		struct step_noop none;

		schema_init(&step_noop_schema, &none);
		plan_add(ret, st, STEP_KIND_noop_master, NULL, &none);
	}
	ret->steps[0].pivot = 1; /* all of it is idempotent and wanted: forward only */
	return 0;
}
