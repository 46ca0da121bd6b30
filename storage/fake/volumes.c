/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/list.h"
#include "common/xmem.h"
#include "storage/fake/world.h"

#define POOL "xenvg"
#define POOL_MIB 102400

static struct fake *self(struct volumes *v)
{
	return list_entry(v, struct fake, volumes);
}

static int64_t used(json_t *vols)
{
	int64_t mib = 0;
	const char *key;
	json_t *v;

	json_object_foreach(vols, key, v)
		mib += json_int(v, "size", 0);
	return mib;
}

static int create(struct volumes *v, const struct volume_spec *s, struct err *err)
{
	struct world_lock l;
	int rc = world_take(self(v), &l, err);

	if (rc < 0)
		return rc;
	json_t *vols = world_part(l.node, "volumes"), *there = json_object_get(vols, s->name);
	bool change = false;
	if (there && strcmp(json_str(there, "owner", ""), s->owner) != 0)
		rc = err_set(err, ERR_FOREIGN, "volume '%s' belongs to another disk", s->name);
	else if (!there && used(vols) + s->size_mib > POOL_MIB)
		rc = err_set(err, ERR_NO_SPACE, "volume group '%s' has %lld MiB free, volume '%s' needs %lld MiB", s->pool,
			     (long long)(POOL_MIB - used(vols)), s->name, (long long)s->size_mib);
	else if (!there)
		change = json_object_set_new(vols, s->name, json_pack("{s:s, s:I, s:s}", "owner", s->owner, "size", (json_int_t)s->size_mib,
								      "pool", s->pool)) == 0;
	return world_end(self(v), &l, rc, change, err);
}

static int volume_remove(struct volumes *v, const struct volume_spec *s, struct err *err)
{
	struct world_lock l;
	int rc = world_take(self(v), &l, err);

	if (rc < 0)
		return rc;
	json_t *vols = world_part(l.node, "volumes"), *there = json_object_get(vols, s->name);
	bool change = false;
	if (there && strcmp(json_str(there, "owner", ""), s->owner) != 0)
		rc = err_set(err, ERR_FOREIGN, "volume '%s' belongs to another disk", s->name);
	else if (there) {
		const char *key;
		void *next;
		json_t *o;

		change = json_object_del(vols, s->name) == 0;
		json_object_foreach_safe(vols, next, key, o)
			if (strcmp(json_str(o, "origin", ""), s->name) == 0) /* its snapshots go with it */
				(void)json_object_del(vols, key);
	}
	return world_end(self(v), &l, rc, change, err);
}

static int snapshot(struct volumes *v, const struct volume_spec *s, const char *name, int64_t size_mib, struct err *err)
{
	struct world_lock l;
	int rc = world_take(self(v), &l, err);

	if (rc < 0)
		return rc;
	json_t *vols = world_part(l.node, "volumes"), *there = json_object_get(vols, s->name);
	bool change = false;
	if (!there || strcmp(json_str(there, "owner", ""), s->owner) != 0)
		rc = err_set(err, ERR_NOT_FOUND, "there is no volume '%s'", s->name);
	else if (!json_object_get(vols, name) && used(vols) + size_mib > POOL_MIB)
		rc = err_set(err, ERR_NO_SPACE, "volume group '%s' has %lld MiB free, volume '%s' needs %lld MiB", s->pool,
			     (long long)(POOL_MIB - used(vols)), name, (long long)size_mib);
	else if (!json_object_get(vols, name))
		change = json_object_set_new(vols, name, json_pack("{s:s, s:I, s:s, s:s}", "owner", s->owner, "size", (json_int_t)size_mib, "pool", s->pool,
								   "origin", s->name)) == 0;
	return world_end(self(v), &l, rc, change, err);
}

static int grow(struct volumes *v, const struct volume_spec *s, struct err *err)
{
	struct world_lock l;
	int rc = world_take(self(v), &l, err);

	if (rc < 0)
		return rc;
	json_t *there = json_object_get(world_part(l.node, "volumes"), s->name);
	if (there)
		json_object_set_new(there, "size", json_integer(s->size_mib));
	else
		rc = err_set(err, ERR_NOT_FOUND, "there is no volume '%s'", s->name);
	return world_end(self(v), &l, rc, true, err);
}

static int probe(struct volumes *v, const struct volume_spec *s, bool *ret, struct err *err)
{
	struct world_lock l;
	int rc = world_take(self(v), &l, err);

	if (rc < 0)
		return rc;
	json_t *there = json_object_get(world_part(l.node, "volumes"), s->name);
	*ret = there && strcmp(json_str(there, "owner", ""), s->owner) == 0 && json_int(there, "size", 0) >= s->size_mib;
	return world_give(self(v), &l, false, err);
}

static void path(struct volumes *v, const struct volume_spec *s, char *out)
{
	(void)v;
	(void)snprintf(out, PATH_LEN + 1, "/dev/%s/%s", s->pool, s->name);
}

static int list(struct volumes *v, struct volume_info **ret, int *ret_n, struct err *err)
{
	struct world_lock l;
	const char *key;
	json_t *e;
	int n = 0, rc = world_take(self(v), &l, err);

	if (rc < 0)
		return rc;
	json_t *vols = world_part(l.node, "volumes");
	struct volume_info *a = xcalloc(json_object_size(vols) + 1, sizeof(*a));
	json_object_foreach(vols, key, e) {
		(void)str_copy(a[n].name, sizeof(a[n].name), key);
		(void)str_copy(a[n].pool, sizeof(a[n].pool), json_str(e, "pool", POOL));
		(void)str_copy(a[n].owner, sizeof(a[n].owner), json_str(e, "owner", ""));
		a[n].size_mib = json_int(e, "size", 0);
		a[n++].active = true;
	}
	*ret = a;
	*ret_n = n;
	return world_give(self(v), &l, false, err);
}

static int pools(struct volumes *v, struct pool_info **ret, int *ret_n, struct err *err)
{
	struct world_lock l;
	int rc = world_take(self(v), &l, err);

	if (rc < 0)
		return rc;
	struct pool_info *p = xcalloc(1, sizeof(*p));
	(void)str_copy(p->name, sizeof(p->name), POOL);
	p->size_mib = POOL_MIB;
	p->free_mib = POOL_MIB - used(world_part(l.node, "volumes"));
	*ret = p;
	*ret_n = 1;
	return world_give(self(v), &l, false, err);
}

const struct volumes_ops fake_volumes_ops = { .name = "fake", .create = create, .remove = volume_remove, .snapshot = snapshot, .grow = grow, .probe = probe,
					      .path = path, .list = list, .pools = pools };
