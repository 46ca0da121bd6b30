/* SPDX-License-Identifier: Apache-2.0 */
/* Guests in the fake world: {"name", "state", "mem"} by uuid. A migration takes a moment a megabyte, and tells how far it is. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/list.h"
#include "common/xmem.h"
#include "storage/fake/world.h"

#define NODE_MIB 65536
#define MIGRATE_STEPS 10
#define MIGRATE_STEP_MS 50

static struct fake *self(struct hypervisor *h)
{
	return list_entry(h, struct fake, hv);
}

/* A file NODE.libvirtd-down in the world's directory: the hypervisor there does not answer; its guests go on. */
static int take(struct hypervisor *h, struct world_lock *ret, struct err *err)
{
	AUTO_FREE char *down = xasprintf("%s/%s.libvirtd-down", self(h)->dir, self(h)->node);

	if (access(down, F_OK) == 0)
		return err_set(err, ERR_LIBVIRT_DOWN, "the hypervisor does not answer");
	return world_take(self(h), ret, err);
}

static json_t *guests(struct world_lock *l)
{
	return world_part(l->node, "guests");
}

static int start(struct hypervisor *h, const struct hv_guest *g, bool paused, struct err *err)
{
	struct world_lock l;
	const char *key;
	json_t *o;
	int rc = take(h, &l, err);

	if (rc < 0)
		return rc;
	bool there = json_object_get(guests(&l), g->uuid) != NULL;
	json_object_foreach(guests(&l), key, o)
		if (!there && strcmp(json_str(o, "name", ""), g->name) == 0)
			rc = err_set(err, ERR_FOREIGN, "another guest is called '%s'", g->name);
	if (rc == 0 && !there)
		json_object_set_new(guests(&l), g->uuid, json_pack("{s:s, s:s, s:I, s:i}", "name", g->name, "state", paused ? "paused" : "running",
								   "mem", (json_int_t)g->memory_mib, "cpus", g->vcpus));
	return world_end(self(h), &l, rc, !there, err);
}

static int destroy(struct hypervisor *h, const char *uuid, struct err *err)
{
	struct world_lock l;
	int rc = take(h, &l, err);

	if (rc < 0)
		return rc;
	bool changed = json_object_del(guests(&l), uuid) == 0;
	return world_give(self(h), &l, changed, err);
}

static int fake_shutdown(struct hypervisor *h, const char *uuid, int timeout_ms, struct err *err)
{
	(void)timeout_ms; /* these guests always listen */
	return destroy(h, uuid, err);
}

static int reset(struct hypervisor *h, const char *uuid, struct err *err)
{
	struct world_lock l;
	int rc = take(h, &l, err);

	if (rc < 0)
		return rc;
	if (!json_object_get(guests(&l), uuid))
		rc = err_set(err, ERR_WRONG_STATE, "the guest does not run");
	return world_end(self(h), &l, rc, false, err);
}

/* Sets KEY of the guest, or of the object `of` in it; takes value. */
static int set(struct hypervisor *h, const char *uuid, const char *of, const char *key, json_t *value, struct err *err)
{
	AUTO_JSON json_t *v = value;
	struct world_lock l;
	int rc = take(h, &l, err);

	if (rc < 0)
		return rc;
	json_t *g = json_object_get(guests(&l), uuid);
	if (g)
		json_object_set(of ? world_part(g, of) : g, key, v);
	else
		rc = err_set(err, ERR_WRONG_STATE, "the guest is not here");
	return world_end(self(h), &l, rc, true, err);
}

static int fake_suspend(struct hypervisor *h, const char *uuid, struct err *err)
{
	return set(h, uuid, NULL, "state", json_string("paused"), err);
}

static int fake_resume(struct hypervisor *h, const char *uuid, struct err *err)
{
	return set(h, uuid, NULL, "state", json_string("running"), err);
}

static int disk_grown(struct hypervisor *h, const char *uuid, const char *path, int64_t size_mib, struct err *err)
{
	return set(h, uuid, "grown", path, json_integer(size_mib), err);
}

static bool canceled(struct hypervisor *h, const char *uuid)
{
	struct world_lock l;
	struct err err = ERR_INIT;

	if (world_take(self(h), &l, &err) < 0)
		return false;
	bool c = json_bool(json_object_get(guests(&l), uuid), "cancel", false);
	IGNORE(world_give(self(h), &l, false, &err));
	return c;
}

static int migrate(struct hypervisor *h, const char *uuid, const struct hv_migrate *m, struct err *err)
{
	struct world_lock l;

	for (int i = 0; i < MIGRATE_STEPS; i++) {
		struct timespec t = { .tv_nsec = MIGRATE_STEP_MS * 1000000L };

		if (canceled(h, uuid))
			return err_set(err, ERR_CANCELED, "the migration was canceled");
		if (m->progress)
			m->progress(m->arg, i * 1000 / MIGRATE_STEPS, "memory");
		(void)nanosleep(&t, NULL); /* what the memory of a real guest takes */
	}
	int rc = take(h, &l, err);
	if (rc < 0)
		return rc;
	json_t *g = json_object_get(guests(&l), uuid);
	if (!g) {
		rc = err_set(err, ERR_HYPERVISOR, "the guest does not run here");
	} else {
		json_t *there = json_deep_copy(g);

		json_object_set_new(there, "state", json_string(m->paused_on_arrival ? "paused" : "running"));
		json_object_set_new(world_part(world_node(&l, m->dest_name), "guests"), uuid, there);
		(void)json_object_del(guests(&l), uuid);
	}
	return world_end(self(h), &l, rc, true, err);
}

static int migrate_cancel(struct hypervisor *h, const char *uuid, struct err *err)
{
	struct world_lock l;
	int rc = take(h, &l, err);

	if (rc < 0)
		return rc;
	json_t *g = json_object_get(guests(&l), uuid);
	if (g)
		json_object_set_new(g, "cancel", json_true());
	return world_give(self(h), &l, g != NULL, err);
}

static void fill(const char *uuid, const json_t *g, struct hv_info *i)
{
	const char *s = json_str(g, "state", "");

	memset(i, 0, sizeof(*i));
	(void)str_copy(i->uuid, sizeof(i->uuid), uuid);
	if (!g)
		return;
	(void)str_copy(i->name, sizeof(i->name), json_str(g, "name", ""));
	i->state = strcmp(s, "paused") == 0 ? HV_PAUSED : HV_RUNNING;
	i->ours = true;
	i->memory_mib = json_int(g, "mem", 0);
	i->vcpus = (int)json_int(g, "cpus", 1);
}

static int info(struct hypervisor *h, const char *uuid, struct hv_info *ret, struct err *err)
{
	struct world_lock l;
	int rc = take(h, &l, err);

	if (rc < 0)
		return rc;
	fill(uuid, json_object_get(guests(&l), uuid), ret);
	return world_give(self(h), &l, false, err);
}

static int list(struct hypervisor *h, struct hv_info **ret, int *ret_n, struct err *err)
{
	struct world_lock l;
	const char *key;
	json_t *g;
	int n = 0, rc = take(h, &l, err);

	if (rc < 0)
		return rc;
	struct hv_info *a = xcalloc(json_object_size(guests(&l)) + 1, sizeof(*a));
	json_object_foreach(guests(&l), key, g)
		fill(key, g, &a[n++]);
	*ret = a;
	*ret_n = n;
	return world_give(self(h), &l, false, err);
}

static int node_info(struct hypervisor *h, struct hv_node_info *ret, struct err *err)
{
	struct world_lock l;
	const char *key;
	json_t *g;
	int64_t used = 0;
	int rc = take(h, &l, err);

	if (rc < 0)
		return rc;
	json_object_foreach(guests(&l), key, g)
		used += json_int(g, "mem", 0);
	memset(ret, 0, sizeof(*ret));
	ret->memory_total_mib = NODE_MIB;
	ret->memory_free_mib = NODE_MIB - used;
	ret->cpus = 16;
	(void)str_copy(ret->version, sizeof(ret->version), "fake 1");
	return world_give(self(h), &l, false, err);
}

static int baseline(struct hypervisor *h, const char *const *host_cpu_xml, int n, char **ret_xml, struct err *err)
{
	(void)h;
	(void)err;
	*ret_xml = xstrdup(n ? host_cpu_xml[0] : "");
	return 0;
}

const struct hypervisor_ops fake_hv_ops = {
	.name = "fake",
	.start = start,
	.shutdown = fake_shutdown,
	.destroy = destroy,
	.reset = reset,
	.suspend = fake_suspend,
	.resume = fake_resume,
	.disk_grown = disk_grown,
	.migrate = migrate,
	.migrate_cancel = migrate_cancel,
	.info = info,
	.list = list,
	.node_info = node_info,
	.baseline = baseline,
};
