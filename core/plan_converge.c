/* SPDX-License-Identifier: Apache-2.0 */
/* instance converge, the reconciler's job: what is wanted against what was seen. */
#include <stdio.h>
#include <string.h>

#include "common/rule.h"
#include "core/own.h"
#include "core/planners.h"

static bool left_somewhere(const struct state *st, const struct instance *i)
{
	for (int k = 0; k < st->n_nodes; k++)
		if (state_left_on(i, st->nodes[k], NULL, 0))
			return true;
	return false;
}

/*
 * Both down and nothing left over: somebody took the disks down, and they stay. Nor is a replica met here that lost its disk, that a plan takes apart,
 * or whose writes must be kept first: such a one meets a side that was promoted, so it waits for the guest's start (H6, H8, H11).
 */
bool converge_unfinished(const struct state *st, const struct instance *i)
{
	const struct ownership *o = &i->own;
	bool up = false, missing = false;

	if (!RULE(FINISH) || i->template != TEMPLATE_DRBD || i->admin_state == ADMIN_UP || !own_confirmed(o) || o->target[0] || o->leaving[0] || o->as_is == 1)
		return false;
	if (o->n_current == i->n_nodes || !own_current(o, o->owner) || own_tail_due(o, state_other_node(i, o->owner)))
		return false;
	for (int k = 0; k < i->n_nodes; k++) {
		const struct snode *n = state_node(st, i->nodes[k]);
		struct err ignored = ERR_INIT;

		if (!n || !n->seen_ms || n->n.liveness != NODE_ONLINE || state_need_usable(st, n, &ignored) < 0 || state_seen_guest(n, i->uuid))
			return false;
		const struct obs_drbd *d = state_seen_drbd(n, i->uuid);
		bool is = d && d->up == 1;

		if (d && d->marked == 1)
			return false;
		up = up || is;
		missing = missing || !is || strcmp(d->conn, "StandAlone") == 0;
	}
	return missing && (up || left_somewhere(st, i));
}

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
	const struct obs_drbd *od = both ? part_seen_drbd(st, other, i) : NULL;

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
	bool unfinished = converge_unfinished(st, i);
	if ((i->admin_state == ADMIN_UP && i->template == TEMPLATE_DRBD) || unfinished) {
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
	} else if (unfinished) { /* they meet as Secondaries; the resync runs by itself and holds nobody's lock */
		rc = add_disks_up(ret, st, i, false, false, err);
		if (rc < 0)
			return rc;
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
