/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A disk grows: the volumes on both nodes, then the record, then DRBD, then the guest. The record comes before DRBD, as a mirror that is made anew
 * is made by it: one smaller than DRBD's device would not be let in. Volumes larger than their record harm nobody (doc/design/003-ownership.adoc).
 */
#include <stdio.h>
#include <string.h>

#include "common/xmem.h"
#include "core/own.h"
#include "core/planners.h"

static int new_size(const struct op_grow_disk *a, const struct instance *i, int64_t *ret, struct err *err)
{
	if (i->n_disks == 0)
		return err_set(err, ERR_WRONG_STATE, "instance '%s' has no disks", i->name);
	if (a->disk >= i->n_disks)
		return err_set(err, ERR_NOT_FOUND, "instance '%s' has no disk %lld", i->name, (long long)a->disk),
		       err_hint(err, "its disks are numbered from 0; the last is %d", i->n_disks - 1);
	int64_t have = i->disks[a->disk].size;
	*ret = a->absolute == 1 ? a->amount : have + a->amount;
	if (*ret < have)
		return err_set(err, ERR_BAD_VALUE, "disk %lld of '%s' has %lld MiB: a disk is not made smaller", (long long)a->disk, i->name, (long long)have),
		       err_hint(err, "leave --absolute out to give what it grows by");
	if (*ret > INT64_C(1) << 36)
		return err_set(err, ERR_BAD_VALUE, "disk %lld of '%s' would have %lld MiB: that is too large", (long long)a->disk, i->name, (long long)*ret);
	return 0;
}

/* A volume cannot grow while a snapshot of it is kept. */
static int no_tail(const struct instance *i, const struct snode *n, struct err *err)
{
	for (int k = 0; k < n->seen.n_tails; k++)
		if (strcmp(n->seen.tails[k].instance, i->uuid) == 0)
			return err_set(err, ERR_WRONG_STATE, "node '%s' keeps what it wrote of '%s' when it lost: a volume with a snapshot cannot grow", n->n.name,
				       i->name),
			       err_hint(err, "look at it with 'gnt disk tails', then 'gnt disk tails --remove %s'", i->name);
	return 0;
}

static int has_room(const struct state *st, const struct instance *i, const struct snode *n, int64_t disk, int64_t more, struct err *err)
{
	const char *pool = part_pool(st, i, &i->disks[disk]);
	int64_t have = i->template == TEMPLATE_FILE ? more : state_free_disk_mib(st, n, pool); /* a directory's room is looked at there */

	if (have < more)
		return err_set(err, ERR_NO_SPACE, "volume group '%s' on node '%s' has %lld MiB free, the disk needs %lld MiB more", pool, n->n.name,
			       (long long)(have < 0 ? 0 : have), (long long)more),
		       err_hint(err, "free space there, or move the replica: 'gnt instance replace-disks'");
	return 0;
}

/* DRBD takes a new size only from both sides at once, told to it where it is Primary. */
static int drbd_ready(const struct instance *i, const struct snode *owner, const struct snode *mirror, struct err *err)
{
	const struct obs_drbd *d = state_seen_drbd(owner, i->uuid);

	if (!d || d->up != 1 || strcmp(d->role, "Primary") != 0)
		return err_set(err, ERR_WRONG_STATE, "the disks of '%s' are not active on node '%s'", i->name, owner->n.name),
		       err_hint(err, "'gnt instance activate-disks %s' first", i->name);
	if (d->in_sync != 1 || (i->own.arbitrated == 1 && i->own.n_current != 2))
		return err_set(err, ERR_DEGRADED, "the mirror of '%s' on node '%s' is not in sync", i->name, mirror->n.name),
		       err_hint(err, "wait for the resync: 'gnt instance info %s'", i->name);
	return 0;
}

static void add_grow(struct plan *p, const struct state *st, const struct instance *i, const char *node, int64_t disk, int64_t size)
{
	struct step_grow g;

	schema_init(&step_grow_schema, &g);
	(void)str_copy(g.uuid, sizeof(g.uuid), i->uuid);
	struct step_volume *v = schema_list_add(schema_find(&step_grow_schema, "volumes"), &g);
	part_data(st, i, (int)disk, v);
	v->size = size;
	plan_add(p, st, STEP_KIND_volume_grow, node, &g);
	schema_done(&step_grow_schema, &g);
}

static void add_record(struct plan *p, const struct state *st, const struct instance *i, int64_t disk, int64_t size)
{
	struct step_disk d;

	schema_init(&step_disk_schema, &d);
	(void)str_copy(d.uuid, sizeof(d.uuid), i->uuid);
	d.disk = disk;
	d.size = size;
	plan_add(p, st, STEP_KIND_instance_disk, NULL, &d)->pivot = 1;
}

static void add_told(struct plan *p, const struct state *st, const struct instance *i, const char *node, int64_t disk, int64_t size)
{
	struct step_guest g;
	struct step_guest_grow t;

	part_guest(st, i, &g);
	schema_init(&step_guest_grow_schema, &t);
	(void)str_copy(t.uuid, sizeof(t.uuid), i->uuid);
	(void)str_copy(t.path, sizeof(t.path), g.disks[disk].path);
	t.size = size;
	plan_add(p, st, STEP_KIND_guest_grow, node, &t);
	schema_done(&step_guest_schema, &g);
}

int plan_grow_disk(const struct state *st, const void *args, struct rng *rng, struct plan *ret, struct err *err)
{
	const struct op_grow_disk *a = args;
	struct sinstance *s;
	struct snode *on[2] = { NULL, NULL }; /* the mirror first: should it lack the room after all, the owner is not touched */
	int64_t size = 0;
	int n = 0, rc = state_need_instance(st, a->name, &s, err);

	(void)rng;
	if (rc == 0)
		rc = new_size(a, &s->i, &size, err);
	if (rc < 0)
		return rc;
	const struct instance *i = &s->i;
	struct snode *owner = NULL, *mirror = NULL;
	if (i->own.target[0])
		return err_set(err, ERR_WRONG_STATE, "a migration of '%s' has not ended", i->name), err_hint(err, "'gnt instance migrate --cleanup %s'", i->name);
	rc = need_owner(st, i, &owner, err);
	if (rc == 0 && i->template == TEMPLATE_DRBD) {
		mirror = state_node(st, state_other_node(i, owner->n.uuid));
		rc = mirror ? state_need_usable(st, mirror, err) : err_set(err, ERR_DEGRADED, "instance '%s' has no mirror", i->name);
		if (rc == 0)
			rc = drbd_ready(i, owner, mirror, err);
	}
	if (rc < 0)
		return rc;
	if (mirror)
		on[n++] = mirror;
	on[n++] = owner;
	int64_t more = size - i->disks[a->disk].size;
	for (int k = 0; k < n && rc == 0; k++) {
		rc = no_tail(i, on[k], err);
		if (rc == 0)
			rc = has_room(st, i, on[k], a->disk, more, err);
	}
	if (rc < 0)
		return rc;
	for (int k = 0; k < n; k++) {
		add_grow(ret, st, i, on[k]->n.uuid, a->disk, size);
		if (i->template != TEMPLATE_FILE && more)
			plan_reserve(ret, on[k]->n.uuid, part_pool(st, i, &i->disks[a->disk]), 0, more);
	}
	add_record(ret, st, i, a->disk, size);
	if (i->template == TEMPLATE_DRBD) {
		struct step_resize r;

		schema_init(&step_resize_schema, &r);
		(void)str_copy(r.uuid, sizeof(r.uuid), i->uuid);
		(void)str_copy(r.resource, sizeof(r.resource), part_resource_name(i));
		plan_add(ret, st, STEP_KIND_drbd_resize, owner->n.uuid, &r);
	}
	if (runs_on(owner, i))
		add_told(ret, st, i, owner->n.uuid, a->disk, size);
	(void)snprintf(ret->summary, sizeof(ret->summary), "grow disk %lld of '%.60s' to %lld MiB", (long long)a->disk, i->name, (long long)size);
	return 0;
}
