/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Volumes, and guests: processes that write numbered values into the blocks of their disk, one at a time, and know which were
 * acknowledged. A process in frozen I/O does not die; a migration may leave halves behind.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/xmem.h"
#include "tests/sim/kernel.h"

#define NODE_MIB 65536
#define POOL_MIB 102400
#define POOL "xenvg"
#define WRITE_MIN (100 * MS)
#define WRITE_MAX (900 * MS)
#define LVM_GIVEN_UP (67 * SEC)

static int64_t next_copy;

/* ---- volumes ------------------------------------------------------------------------------------------ */

static struct volume *volume_find(struct machine *m, const char *name)
{
	list_for_each(l, &m->volumes) {
		struct volume *v = list_entry(l, struct volume, link);

		if (strcmp(v->name, name) == 0)
			return v;
	}
	return NULL;
}

const char *volume_owner(struct machine *m, const char *name)
{
	const struct volume *v = volume_find(m, name);

	return v ? v->owner : "";
}

static int64_t used_mib(struct machine *m)
{
	int64_t mib = 0;

	list_for_each(l, &m->volumes)
		mib += list_entry(l, struct volume, link)->size_mib;
	return mib;
}

/* What was on it is gone. */
static void wipe(struct machine *m, const char *name)
{
	list_for_each(l, &m->replicas) {
		struct replica *r = list_entry(l, struct replica, link);

		if (strcmp(r->disk_name, name) != 0)
			continue;
		r->md = false;
		memset(r->block, 0, sizeof(r->block));
	}
}

static bool in_use(struct machine *m, const char *name)
{
	list_for_each(l, &m->replicas) {
		const struct replica *r = list_entry(l, struct replica, link);

		if (strcmp(r->disk_name, name) == 0 && r->up && r->disk > DRBD_DISK_FAILED)
			return true;
	}
	return false;
}

static int volume_create(struct volumes *v, const struct volume_spec *s, struct err *err)
{
	struct machine *m = here();
	int rc = call_begin("lvcreate", 500 * MS, err);
	struct volume *there = rc < 0 ? NULL : volume_find(m, s->name);

	(void)v;
	if (rc < 0)
		return rc;
	if (there && strcmp(there->owner, s->owner) != 0)
		return err_set(err, ERR_FOREIGN, "volume '%s' belongs to another disk", s->name);
	if (!there && (used_mib(m) + s->size_mib > POOL_MIB || m->disk_full))
		return err_set(err, ERR_NO_SPACE, "volume group '%s' has %lld MiB free, volume '%s' needs %lld MiB", s->pool,
			       (long long)(POOL_MIB - used_mib(m)), s->name, (long long)s->size_mib);
	if (!there) {
		there = xcalloc(1, sizeof(*there));
		(void)str_copy(there->name, sizeof(there->name), s->name);
		(void)str_copy(there->pool, sizeof(there->pool), s->pool);
		(void)str_copy(there->owner, sizeof(there->owner), s->owner);
		there->size_mib = s->size_mib;
		list_add_tail(&m->volumes, &there->link);
		wipe(m, s->name);
	}
	return call_end(err);
}

static int volume_snapshot(struct volumes *v, const struct volume_spec *s, const char *name, int64_t size_mib, struct err *err)
{
	struct machine *m = here();
	int rc = call_begin("lvcreate", 500 * MS, err);
	struct volume *there = rc < 0 ? NULL : volume_find(m, s->name);

	(void)v;
	if (rc < 0)
		return rc;
	if (!there || strcmp(there->owner, s->owner) != 0)
		return err_set(err, ERR_NOT_FOUND, "there is no volume '%s'", s->name);
	if (volume_find(m, name))
		return call_end(err);
	if (used_mib(m) + size_mib > POOL_MIB || m->disk_full)
		return err_set(err, ERR_NO_SPACE, "volume group '%s' has no room for '%s'", s->pool, name);
	struct volume *snap = xcalloc(1, sizeof(*snap));
	*snap = *there;
	(void)str_copy(snap->name, sizeof(snap->name), name);
	snap->size_mib = size_mib;
	list_add_tail(&m->volumes, &snap->link);
	return call_end(err);
}

/* A volume's snapshots ("<instance>.disk<N>_tail...") go with it. */
static void drop_snapshots(struct machine *m, const char *origin)
{
	size_t n = strcspn(origin, "_");

	list_for_each_safe(l, &m->volumes) {
		struct volume *x = list_entry(l, struct volume, link);

		if (strstr(origin, "_data") && strncmp(x->name, origin, n) == 0 && strncmp(x->name + n, "_tail", 5) == 0) {
			list_del(&x->link);
			free(x);
		}
	}
}

static int volume_remove(struct volumes *v, const struct volume_spec *s, struct err *err)
{
	struct machine *m = here();
	int rc = call_begin("lvremove", 500 * MS, err);
	struct volume *there = rc < 0 ? NULL : volume_find(m, s->name);

	(void)v;
	if (rc < 0)
		return rc;
	if (there && strcmp(there->owner, s->owner) != 0)
		return err_set(err, ERR_FOREIGN, "volume '%s' belongs to another disk", s->name);
	if (there && in_use(m, s->name))
		return err_set(err, ERR_BUSY, "volume '%s' is in use", s->name);
	if (there) {
		wipe(m, s->name);
		list_del(&there->link);
		free(there);
		drop_snapshots(m, s->name);
	}
	return call_end(err);
}

static int volume_grow(struct volumes *v, const struct volume_spec *s, struct err *err)
{
	int rc = call_begin("volume grow", 300 * MS, err);
	struct volume *there = rc < 0 ? NULL : volume_find(here(), s->name);

	(void)v;
	if (rc < 0)
		return rc;
	if (!there)
		return err_set(err, ERR_NOT_FOUND, "there is no volume '%s'", s->name);
	if (there->size_mib < s->size_mib)
		there->size_mib = s->size_mib;
	return call_end(err);
}

static int volume_probe(struct volumes *v, const struct volume_spec *s, bool *ret, struct err *err)
{
	const struct volume *there = volume_find(here(), s->name);

	(void)v;
	(void)err;
	*ret = there && strcmp(there->owner, s->owner) == 0 && there->size_mib >= s->size_mib;
	return 0;
}

static void volume_path(struct volumes *v, const struct volume_spec *s, char *out)
{
	(void)v;
	(void)snprintf(out, PATH_LEN + 1, "/dev/%s/%s", s->pool, s->name);
}

static int volume_list(struct volumes *v, struct volume_info **ret, int *ret_n, struct err *err)
{
	struct machine *m = here();
	int n = 0;

	(void)v;
	(void)err;
	list_for_each(l, &m->volumes)
		n++;
	*ret = xcalloc((size_t)n + 1, sizeof(**ret));
	n = 0;
	list_for_each(l, &m->volumes) {
		const struct volume *x = list_entry(l, struct volume, link);
		struct volume_info *i = &(*ret)[n++];

		(void)str_copy(i->pool, sizeof(i->pool), x->pool);
		(void)str_copy(i->name, sizeof(i->name), x->name);
		(void)str_copy(i->owner, sizeof(i->owner), x->owner);
		i->size_mib = x->size_mib;
		i->active = true;
	}
	*ret_n = n;
	return 0;
}

static int volume_pools(struct volumes *v, struct pool_info **ret, int *ret_n, struct err *err)
{
	int rc = call_hangs(&here()->lvm_hangs, "vgs", LVM_GIVEN_UP, err);

	(void)v;
	if (rc < 0)
		return rc;
	struct pool_info *p = xcalloc(1, sizeof(*p));
	(void)str_copy(p->name, sizeof(p->name), POOL);
	p->size_mib = POOL_MIB;
	p->free_mib = POOL_MIB - used_mib(here());
	*ret = p;
	*ret_n = 1;
	return 0;
}

struct volumes *volumes_of(struct machine *m)
{
	static const struct volumes_ops ops = { .name = "sim", .create = volume_create, .remove = volume_remove, .snapshot = volume_snapshot, .grow = volume_grow,
						.probe = volume_probe, .path = volume_path, .list = volume_list, .pools = volume_pools };
	static struct volumes v = { &ops };

	(void)m;
	return &v;
}

/* ---- guests: looking ------------------------------------------------------------------------------------ */

struct guest *guest_find(struct machine *m, const char *uuid)
{
	list_for_each(l, &m->guests) {
		struct guest *g = list_entry(l, struct guest, link);

		if (strcmp(g->uuid, uuid) == 0)
			return g;
	}
	return NULL;
}

static struct replica *disk_of(const struct guest *g)
{
	return g->minor >= 0 ? replica_by_minor(g->m, g->minor) : NULL;
}

struct guest *guest_on(struct machine *m, const struct replica *r)
{
	list_for_each(l, &m->guests) {
		struct guest *g = list_entry(l, struct guest, link);

		if (disk_of(g) == r)
			return g;
	}
	return NULL;
}

static bool executes(const struct guest *g)
{
	return g->state == HV_RUNNING && !g->dying;
}

/* ---- guests: writing -------------------------------------------------------------------------------------- */

static void guest_gone(struct guest *g)
{
	event_cancel(g->next);
	if (g->mover)
		proc_unref(g->mover);
	list_del(&g->link);
	free(g);
}

static void write_next(void *arg);

static void write_later(struct guest *g)
{
	event_cancel(g->next);
	g->next = after(g->m->kernel, pick(WRITE_MIN, WRITE_MAX), write_next, g);
}

static void check_disk(struct guest *g, const char *what, bool begins)
{
	struct replica *r = disk_of(g);
	uint64_t blocks[BLOCKS];

	if (!r || !replica_readable(r))
		return;
	replica_read(r, blocks);
	ledger_read_all(g->uuid, what, begins, blocks);
}

static void write_next(void *arg)
{
	struct guest *g = arg;
	struct replica *r = disk_of(g);

	g->next = NULL;
	if (!executes(g))
		return;
	if (g->waits || !r) {
		write_later(g);
		return;
	}
	struct ledger *l = ledger_of(g->uuid, g->name);
	int block = (int)pick(0, BLOCKS - 1);
	uint64_t value = W.next_value++;
	if (!l) {
		write_later(g);
		return;
	}
	g->waits = true;
	l->issued[block] = value;
	if (!replica_write(r, block, value)) {
		g->waits = false; /* an I/O error: it tries again, as a guest's file system would not; harder on the disks */
		write_later(g);
	}
}

void guest_write_done(struct machine *m, const struct replica *r, int block, uint64_t value, bool ok)
{
	struct guest *g = guest_on(m, r);

	if (!g || !g->waits)
		return;
	struct ledger *l = ledger_of(g->uuid, g->name);
	g->waits = false;
	if (g->dying) { /* nobody is told of it any more */
		trace("guest %s ends", g->name);
		guest_gone(g);
		return;
	}
	if (ok && l) {
		l->acked[block] = value;
		l->n_acked++;
		W.counts.writes++;
	}
	if (executes(g)) {
		check_disk(g, "writes on", false);
		write_later(g);
	}
}

static void runs_from_now(struct guest *g, const char *how)
{
	g->state = HV_RUNNING;
	W.counts.guest_starts++;
	trace("guest %s runs (%s)", g->name, how);
	check_runner(g, how);
	check_disk(g, how, true);
	write_later(g);
}

/* ---- the hypervisor's calls --------------------------------------------------------------------------------- */

static int open_disk(struct machine *m, const char *path, struct err *err)
{
	int minor = -1;

	if (sscanf(path, "/dev/drbd%d", &minor) != 1)
		return 0;
	const struct replica *r = replica_by_minor(m, minor);
	if (!r || r->role != DRBD_ROLE_PRIMARY)
		return err_set(err, ERR_HYPERVISOR, "cannot open '%s': read-only file system", path);
	return 0;
}

static struct guest *guest_make(struct machine *m, const char *uuid, const char *name, int64_t memory_mib, int vcpus, const char *disk)
{
	struct guest *g = xcalloc(1, sizeof(*g));

	g->m = m;
	(void)str_copy(g->uuid, sizeof(g->uuid), uuid);
	(void)str_copy(g->name, sizeof(g->name), name);
	(void)str_copy(g->disk, sizeof(g->disk), disk);
	if (sscanf(disk, "/dev/drbd%d", &g->minor) != 1)
		g->minor = -1;
	g->memory_mib = memory_mib;
	g->vcpus = vcpus;
	g->copy = ++next_copy;
	list_add_tail(&m->guests, &g->link);
	return g;
}

static int hv_start(struct hypervisor *h, const struct hv_guest *g, bool paused, struct err *err)
{
	struct machine *m = here();
	int rc = call_begin("guest start", 1500 * MS, err);

	(void)h;
	if (rc < 0)
		return rc;
	if (!guest_find(m, g->uuid)) {
		const char *disk = g->n_disks ? g->disks[0].path : "";

		rc = open_disk(m, disk, err);
		if (rc < 0)
			return rc;
		struct guest *n = guest_make(m, g->uuid, g->name, g->memory_mib, g->vcpus, disk);
		(void)ledger_of(g->uuid, g->name);
		if (paused)
			n->state = HV_PAUSED;
		else
			runs_from_now(n, "starts");
	}
	return call_end(err);
}

/*
 * The signal ends it at once, unless a write of it is under way: that one is the kernel's, and goes on; its process stays, executes nothing any more and
 * holds the device open until the write has ended. (QEMU writes with io=native or by threads: either way exit() waits for the kernel.)
 */
static bool end_guest(struct machine *m, const char *uuid)
{
	struct guest *g = guest_find(m, uuid);

	if (!g)
		return true;
	if (g->waits) {
		trace("guest %s is ended, and waits for its write", g->name);
		g->dying = true;
		return false;
	}
	trace("guest %s ends", g->name);
	guest_gone(g);
	return true;
}

static int hv_destroy(struct hypervisor *h, const char *uuid, struct err *err)
{
	struct machine *m = here();
	int rc = call_begin("guest destroy", 500 * MS, err);

	(void)h;
	if (rc < 0)
		return rc;
	for (int i = 0; !end_guest(m, uuid); i++) {
		if (i == 50)
			return err_set(err, ERR_TIMEOUT, "the guest's process does not die: it waits for its disk");
		fiber_sleep(200 * MS);
	}
	return call_end(err);
}

static int hv_shutdown(struct hypervisor *h, const char *uuid, int timeout_ms, struct err *err)
{
	struct machine *m = here();
	int rc = call_begin("guest shutdown", 3 * SEC, err);

	(void)h;
	if (rc < 0)
		return rc;
	struct guest *g = guest_find(m, uuid);
	if (!g)
		return 0;
	if (g->state != HV_RUNNING || g->waits) {
		fiber_sleep(timeout_ms * MS);
		g = guest_find(m, uuid);
		if (g && (g->state != HV_RUNNING || g->waits))
			return err_set(err, ERR_TIMEOUT, "the guest has not shut down");
	}
	(void)end_guest(m, uuid);
	return call_end(err);
}

static int hv_reset(struct hypervisor *h, const char *uuid, struct err *err)
{
	int rc = call_begin("guest reset", 300 * MS, err);

	(void)h;
	if (rc < 0)
		return rc;
	if (!guest_find(here(), uuid))
		return err_set(err, ERR_WRONG_STATE, "the guest does not run");
	W.counts.guest_resets++;
	return call_end(err);
}

static int hv_disk_grown(struct hypervisor *h, const char *uuid, const char *path, int64_t size_mib, struct err *err)
{
	int rc = call_begin("guest disk grown", 300 * MS, err);

	(void)h;
	(void)path;
	(void)size_mib;
	if (rc < 0)
		return rc;
	if (!guest_find(here(), uuid))
		return err_set(err, ERR_WRONG_STATE, "the guest is not here");
	return call_end(err);
}

static int hv_suspend(struct hypervisor *h, const char *uuid, struct err *err)
{
	int rc = call_begin("guest suspend", 200 * MS, err);
	struct guest *g = rc < 0 ? NULL : guest_find(here(), uuid);

	(void)h;
	if (rc < 0)
		return rc;
	if (!g)
		return err_set(err, ERR_WRONG_STATE, "the guest is not here");
	if (g->state == HV_RUNNING)
		g->state = HV_PAUSED;
	return call_end(err);
}

static int hv_resume(struct hypervisor *h, const char *uuid, struct err *err)
{
	int rc = call_begin("guest resume", 200 * MS, err);
	struct guest *g = rc < 0 ? NULL : guest_find(here(), uuid);

	(void)h;
	if (rc < 0)
		return rc;
	if (!g || g->dying)
		return err_set(err, ERR_WRONG_STATE, "the guest is not here");
	if (g->state == HV_INCOMING)
		return err_set(err, ERR_HYPERVISOR, "the guest has not arrived yet");
	if (g->state == HV_PAUSED)
		runs_from_now(g, "resumes");
	return call_end(err);
}

/* ---- migration ------------------------------------------------------------------------------------------------ */

static struct machine *target_of(const char *uri)
{
	char address[ADDR_LEN + 1];
	const char *p = strstr(uri, "://");
	enum net net = NET_FRONT;

	p = p ? p + 3 : uri;
	(void)snprintf(address, sizeof(address), "%.*s", (int)strcspn(p, "/"), p);
	struct machine *m = machine_by_address(address, &net);
	return net == NET_REPL ? m : NULL; /* it is asked where replication goes: see reached() */
}

static bool reached(const struct machine *a, const struct machine *b)
{
	return b->power && net_up(NET_REPL, a, b) && net_up(NET_REPL, b, a);
}

static void move_begins(struct guest *g)
{
	if (g->mover)
		proc_unref(g->mover);
	g->mover = eng.proc;
	g->mover->refs++;
	g->migrating = true;
	g->cancel = g->halted = false;
}

/* It stays here, and goes on if it had been stopped for the end. */
static void move_ends(struct guest *g, const char *how)
{
	bool ran = g->halted;

	g->migrating = g->cancel = g->halted = false;
	if (ran && !g->dying)
		runs_from_now(g, how);
}

static int give_up(struct machine *to, int64_t copy, const char *uuid, const char *why, enum err_code code, struct err *err)
{
	struct guest *half = to->power ? guest_find(to, uuid) : NULL;

	if (half && half->copy == copy && half->state == HV_INCOMING)
		guest_gone(half); /* QEMU there ends when the stream breaks */
	return err_set(err, code, "the migration failed: %s", why);
}

static int hv_migrate(struct hypervisor *h, const char *uuid, const struct hv_migrate *mg, struct err *err)
{
	struct machine *m = here(), *to = target_of(mg->dest_uri);
	int rc = call_begin("migrate", 300 * MS, err), steps = (int)pick(3, 12);
	struct guest *g = rc < 0 ? NULL : guest_find(m, uuid);

	(void)h;
	if (rc < 0)
		return rc;
	if (!g || g->dying || (g->state != HV_RUNNING && g->state != HV_PAUSED))
		return err_set(err, ERR_HYPERVISOR, "the guest does not run here");
	if (!to || !reached(m, to))
		return err_set(err, ERR_HYPERVISOR, "the target is not reached");
	if (guest_find(to, uuid))
		return err_set(err, ERR_HYPERVISOR, "the guest is on the target already");
	rc = open_disk(to, g->disk, err);
	if (rc < 0)
		return rc;
	struct guest *half = guest_make(to, uuid, g->name, g->memory_mib, g->vcpus, g->disk);
	int64_t copy = half->copy, mine = g->copy;
	half->state = HV_INCOMING;
	move_begins(g);
	for (int i = 0; i < steps; i++) {
		fiber_sleep(pick(50 * MS, 400 * MS));
		if (mg->progress)
			mg->progress(mg->arg, i * 1000 / steps, "memory");
		g = guest_find(m, uuid);
		half = to->power ? guest_find(to, uuid) : NULL;
		if (!g || g->copy != mine)
			return give_up(to, copy, uuid, "the guest has ended", ERR_HYPERVISOR, err);
		bool broken = !reached(m, to) || !half || half->copy != copy;
		if (g->cancel || broken) {
			bool canceled = g->cancel;

			move_ends(g, "");
			return give_up(to, copy, uuid, broken ? "the connection broke" : "canceled", canceled && !broken ? ERR_CANCELED : ERR_HYPERVISOR, err);
		}
	}
	/* The source stands still and its last write ends: then the target has it all. */
	g->halted = g->state == HV_RUNNING;
	g->state = HV_PAUSED;
	for (int i = 0; g && g->copy == mine && g->waits && i < 100; i++) {
		fiber_sleep(100 * MS);
		g = guest_find(m, uuid);
	}
	half = to->power ? guest_find(to, uuid) : NULL;
	if (!g || g->copy != mine)
		return give_up(to, copy, uuid, "the guest has ended", ERR_HYPERVISOR, err);
	if (g->waits || !half || half->copy != copy || g->cancel) {
		move_ends(g, "goes on after a failed migration");
		return give_up(to, copy, uuid, "its last writes do not end", ERR_HYPERVISOR, err);
	}
	bool arrived = reached(m, to);
	half->state = HV_PAUSED;
	if (!mg->paused_on_arrival)
		runs_from_now(half, "arrives");
	fiber_sleep(pick(1 * MS, 20 * MS));
	g = guest_find(m, uuid);
	if (!g || g->copy != mine)
		return 0;
	if (arrived && !reached(m, to)) { /* the last answer is lost: both halves stay, the source goes on */
		move_ends(g, "goes on, the answer of the target is lost");
		return err_set(err, ERR_HYPERVISOR, "the target's answer was lost");
	}
	trace("guest %s has moved to %s", g->name, to->name);
	W.counts.migrations++;
	guest_gone(g);
	return call_end(err);
}

static int hv_migrate_cancel(struct hypervisor *h, const char *uuid, struct err *err)
{
	int rc = call_begin("migrate cancel", 100 * MS, err);
	struct guest *g = rc < 0 ? NULL : guest_find(here(), uuid);

	(void)h;
	if (rc < 0)
		return rc;
	if (g && g->migrating && g->mover->dead) /* libvirtd's part of it goes on without its client; nothing here would hear of the wish */
		move_ends(g, "goes on after a canceled migration");
	else if (g && g->migrating)
		g->cancel = true;
	return call_end(err);
}

static void fill(const struct guest *g, struct hv_info *i)
{
	memset(i, 0, sizeof(*i));
	if (!g)
		return;
	(void)str_copy(i->uuid, sizeof(i->uuid), g->uuid);
	(void)str_copy(i->name, sizeof(i->name), g->name);
	i->state = g->dying ? HV_SHUTDOWN : g->state;
	i->ours = true;
	i->memory_mib = g->memory_mib;
	i->vcpus = g->vcpus;
	i->migrating = g->migrating;
}

static int hv_info(struct hypervisor *h, const char *uuid, struct hv_info *ret, struct err *err)
{
	(void)h;
	(void)err;
	fill(guest_find(here(), uuid), ret);
	return 0;
}

static int hv_list(struct hypervisor *h, struct hv_info **ret, int *ret_n, struct err *err)
{
	struct machine *m = here();
	int n = 0;

	(void)h;
	(void)err;
	list_for_each(l, &m->guests)
		n++;
	*ret = xcalloc((size_t)n + 1, sizeof(**ret));
	n = 0;
	list_for_each(l, &m->guests)
		fill(list_entry(l, struct guest, link), &(*ret)[n++]);
	*ret_n = n;
	return 0;
}

static int hv_node_info(struct hypervisor *h, struct hv_node_info *ret, struct err *err)
{
	int64_t used = 0;

	(void)h;
	(void)err;
	memset(ret, 0, sizeof(*ret));
	list_for_each(l, &here()->guests)
		used += list_entry(l, struct guest, link)->memory_mib;
	ret->memory_total_mib = NODE_MIB;
	ret->memory_free_mib = NODE_MIB - used;
	ret->cpus = 16;
	ret->kvm = true;
	(void)str_copy(ret->version, sizeof(ret->version), "sim 1");
	return 0;
}

static int hv_baseline(struct hypervisor *h, const char *const *host_cpu_xml, int n, char **ret_xml, struct err *err)
{
	(void)h;
	(void)err;
	*ret_xml = xstrdup(n ? host_cpu_xml[0] : "");
	return 0;
}

struct hypervisor *hypervisor_of(struct machine *m)
{
	static const struct hypervisor_ops ops = { .name = "sim", .start = hv_start, .shutdown = hv_shutdown, .destroy = hv_destroy, .reset = hv_reset,
						   .disk_grown = hv_disk_grown, .suspend = hv_suspend, .resume = hv_resume, .migrate = hv_migrate, .migrate_cancel = hv_migrate_cancel,
						   .info = hv_info, .list = hv_list, .node_info = hv_node_info, .baseline = hv_baseline };
	static struct hypervisor h = { &ops };

	(void)m;
	return &h;
}

void guests_power_lost(struct machine *m)
{
	while (!list_empty(&m->guests)) {
		struct guest *g = list_entry(m->guests.next, struct guest, link);

		g->next = NULL; /* went with the kernel */
		list_del(&g->link);
		free(g);
	}
}
