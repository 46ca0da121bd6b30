/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/fake/world.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "common/xmem.h"

#define WORLD_MAX ((size_t)64 * 1024 * 1024)

int fake_open(const char *dir, const char *node_name, struct fake **ret, struct err *err)
{
	struct fake *f = xcalloc(1, sizeof(*f));
	struct world_lock l;

	(void)str_copy(f->dir, sizeof(f->dir), dir);
	(void)str_copy(f->node, sizeof(f->node), node_name);
	f->volumes.ops = &fake_volumes_ops;
	f->drbd.ops = &fake_drbd_ops;
	f->hv.ops = &fake_hv_ops;
	int rc = world_take(f, &l, err);
	if (rc == 0)
		rc = world_give(f, &l, false, err);
	if (rc < 0) {
		free(f);
		return rc;
	}
	*ret = f;
	return 0;
}

void fake_close(struct fake *f)
{
	free(f);
}

struct volumes *fake_volumes(struct fake *f)
{
	return &f->volumes;
}

struct drbdm *fake_drbd(struct fake *f)
{
	return &f->drbd;
}

struct hypervisor *fake_hypervisor(struct fake *f)
{
	return &f->hv;
}

json_t *world_part(json_t *node, const char *part)
{
	json_t *p = json_object_get(node, part);

	if (!p) {
		p = json_object();
		json_object_set_new(node, part, p);
	}
	return p;
}

json_t *world_node(struct world_lock *l, const char *node)
{
	return world_part(world_part(l->world, "nodes"), node);
}

static json_t *read_world(const char *path)
{
	json_t *w = json_load_file(path, 0, NULL);

	return w ? w : json_object();
}

int world_take(struct fake *f, struct world_lock *ret, struct err *err)
{
	AUTO_FREE char *lock = xasprintf("%s/world.lock", f->dir), *path = xasprintf("%s/world.json", f->dir);

	ret->fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (ret->fd < 0 || flock(ret->fd, LOCK_EX) < 0) {
		int rc = err_errno(err, ERR_IO, "cannot lock the fake world '%s'", f->dir);

		if (ret->fd >= 0)
			(void)close(ret->fd);
		return rc;
	}
	ret->world = read_world(path);
	ret->node = world_node(ret, f->node);
	return 0;
}

int world_give(struct fake *f, struct world_lock *l, bool changed, struct err *err)
{
	AUTO_FREE char *temp = xasprintf("%s/world.new", f->dir), *path = xasprintf("%s/world.json", f->dir);
	int rc = 0;

	if (changed && (json_dump_file(l->world, temp, JSON_COMPACT | JSON_SORT_KEYS) < 0 || rename(temp, path) < 0))
		rc = err_errno(err, ERR_IO, "cannot write the fake world '%s'", f->dir);
	json_decref(l->world);
	(void)close(l->fd);
	return rc;
}

int world_end(struct fake *f, struct world_lock *l, int rc, bool changed, struct err *err)
{
	int given = world_give(f, l, rc == 0 && changed, err);

	return rc < 0 ? rc : given;
}
