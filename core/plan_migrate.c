/* SPDX-License-Identifier: Apache-2.0 */
/* instance migrate (doc/design/004-migration.adoc). */
#include <stdio.h>
#include <string.h>

#include "common/xmem.h"
#include "core/planners.h"

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
	if ((!d || d->in_sync != 1) && !state_lives_on_mirror(st, i))
		return err_set(err, ERR_DEGRADED, "the mirror of '%s' on node '%s' is not in sync", i->name, to->n.name),
		       err_hint(err, "wait for the resync: 'gnt instance info %s'", i->name);
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
	rc = part_need_from(st, i, a->from, err);
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
