/* SPDX-License-Identifier: Apache-2.0 */
/* instance failover: planned, of a node that is lost, of an owner that stands frozen, of a replica as it is (doc/design/003-ownership.adoc, 009-failover.adoc). */
#include <stdio.h>
#include <string.h>

#include "common/rule.h"
#include "common/xmem.h"
#include "core/evidence.h"
#include "core/own.h"
#include "core/planners.h"

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
	const struct obs_drbd *d = from ? part_seen_drbd(st, from->n.uuid, i) : NULL, *t = part_seen_drbd(st, to->n.uuid, i);

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
	if (as_is && d && d->suspended == 1)
		add_resource(p, st, STEP_KIND_drbd_down, from->n.uuid, i, true)->may_fail = 1; /* its process may need its I/O ended first */
	if (i->admin_state == ADMIN_UP || runs_on(from, i))
		add_guest_ref(p, st, STEP_KIND_guest_shutdown, from->n.uuid, i, shutdown_timeout(st, i, a->shutdown_timeout), true);
	if (up || as_is)
		add_resource(p, st, STEP_KIND_drbd_secondary, from->n.uuid, i, false);
	/* ... nor is it asked about, but for what is up of several disks: on those it may have gone on alone. */
	bool prove = i->own.arbitrated != 1 && !(served && (i->n_disks == 1 || !up)) && a->ignore_consistency != 1;
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
static int failover_lost(const struct state *st, const struct op_instance_failover *a, const struct instance *i, const struct snode *from,
			 const struct snode *to, bool as_is, struct plan *p, struct err *err)
{
	struct evidence_found e;

	evidence_find(st, i, &e);
	if (RULE(EVIDENCE) && e.kind == EVIDENCE_NONE)
		return err_set(err, ERR_NO_EVIDENCE, "%s", e.text),
		       err_hint(err, "make sure that it is off, then 'gnt node fence --confirmed-off %s'", from ? from->n.name : "NODE");
	if (!own_current(&i->own, to->n.uuid) && !as_is)
		return err_set(err, ERR_STALE_REPLICA, "the mirror of '%s' on node '%s' lacks acknowledged writes", i->name, to->n.name),
		       err_hint(err, "bring node '%s' back; or --ignore-consistency, which loses them", from ? from->n.name : "gone");
	/* Without arbitration the log does not know what it wrote alone; but its replica is there again, and does. */
	if (i->own.arbitrated != 1 && from && from->connected && own_current(&i->own, from->n.uuid) && a->ignore_consistency != 1)
		return err_set(err, ERR_STALE_REPLICA, "node '%s' is back, and its replica of '%s' may have acknowledged writes that the mirror lacks", from->n.name,
			       i->name),
		       err_hint(err, "'gnt node modify -O no %s' lets it take part again; --ignore-consistency loses what the mirror lacks", from->n.name);
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
	rc = part_need_from(st, i, a->from, err);
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
		rc = planned ? failover_planned(st, a, i, from, to, as_is, ret, err) : failover_lost(st, a, i, from, to, as_is, ret, err);
	}
	if (rc < 0)
		return rc;
	add_taken_over(st, i, to->n.uuid, planned, as_is, ret);
	(void)snprintf(ret->summary, sizeof(ret->summary), "fail '%.40s' over from %.20s to %.20s", i->name, from ? from->n.name : "a lost node", to->n.name);
	return 0;
}
