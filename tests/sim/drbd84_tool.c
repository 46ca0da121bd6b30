/* SPDX-License-Identifier: Apache-2.0 */
/* The tool: drbdadm's and drbdsetup's orders on the model, as storage/drbd knows them, and what they show. */
#include <stdlib.h>
#include <string.h>

#include "common/xmem.h"
#include "tests/sim/drbd84.h"

/* ---- the tool's orders -------------------------------------------------------------------------------------------- */

static struct machine *of(struct drbdm *d)
{
	for (int i = 0; i < W.n; i++)
		if (drbd_of(&W.m[i]) == d)
			return &W.m[i];
	abort();
}

#define GIVEN_UP (37 * SEC) /* 30 s, SIGTERM, SIGKILL */

static int must(struct drbdm *d, const char *name, const char *what, int64_t max_us, struct replica **ret, struct err *err)
{
	int rc = call_begin(what, max_us, err);

	if (rc < 0)
		return rc;
	rc = call_hangs(&of(d)->drbd_hangs, "drbdsetup", GIVEN_UP, err);
	if (rc < 0)
		return rc;
	*ret = replica_find(of(d), name);
	if (!*ret || !(*ret)->conf)
		return err_set(err, ERR_NOT_FOUND, "DRBD resource '%s' is not configured here", name);
	return 0;
}

static int write_conf(struct drbdm *d, const struct drbd_conf *c, struct err *err)
{
	struct machine *m = of(d);
	int rc = call_begin("write_conf", 20 * MS, err);

	if (rc < 0)
		return rc;
	struct replica *r = replica_find(m, c->resource);
	if (r && r->conf && strcmp(r->uuid, c->instance_uuid) != 0)
		return err_set(err, ERR_FOREIGN, "resource '%s' is another instance's", c->resource);
	if (m->disk_full)
		return err_set(err, ERR_NO_SPACE, "no space left on the device");
	if (!r) {
		r = xcalloc(1, sizeof(*r));
		r->m = m;
		(void)str_copy(r->name, sizeof(r->name), c->resource);
		r->role = DRBD_ROLE_SECONDARY;
		r->disk = DRBD_DISK_DISKLESS;
		list_add_tail(&m->replicas, &r->link);
	}
	r->conf = true;
	(void)str_copy(r->uuid, sizeof(r->uuid), c->instance_uuid);
	(void)str_copy(r->peer, sizeof(r->peer), c->peers[strcmp(c->peers[0].hostname, m->name) == 0 ? 1 : 0].hostname);
	r->conf_arbitrated = c->arbitrated;
	r->n_volumes = c->n_volumes;
	r->minor = c->n_volumes ? c->volumes[0].minor : 0;
	const char *slash = strrchr(c->volumes[0].disk_path, '/'), *disk = slash ? slash + 1 : "";
	if (strcmp(r->disk_name, disk) != 0) { /* another disk: what the old one held is not on it */
		memset(r->block, 0, sizeof(r->block));
		r->md = false;
	}
	(void)str_copy(r->disk_name, sizeof(r->disk_name), disk);
	AUTO_FREE char *path = xasprintf("%s/etc/drbd.d/%s.res", machine_root(m), r->name);
	AUTO_FREE char *text = xasprintf("# gantry instance %s\n", r->uuid);
	machine_file_put(m, path, text); /* the handler reads whose it is */
	return call_end(err);
}

static int remove_conf(struct drbdm *d, const char *name, struct err *err)
{
	struct machine *m = of(d);
	int rc = call_begin("remove_conf", 20 * MS, err);
	struct replica *r = rc < 0 ? NULL : replica_find(m, name);

	if (rc < 0)
		return rc;
	if (r)
		r->conf = false;
	AUTO_FREE char *path = xasprintf("%s/etc/drbd.d/%s.res", machine_root(m), name);
	machine_file_drop(m, path);
	return call_end(err);
}

static int create_md(struct drbdm *d, const struct drbd_conf *c, bool force, struct err *err)
{
	struct replica *r = NULL;
	int rc = must(d, c->resource, "create_md", 300 * MS, &r, err);

	if (rc < 0)
		return rc;
	if (r->up && replica_attached(r))
		return err_set(err, ERR_BUSY, "resource '%s' is in use", c->resource);
	if (!volume_owner(r->m, r->disk_name)[0])
		return err_set(err, ERR_COMMAND_FAILED, "no such device '%s'", r->disk_name);
	if (force || !r->md) {
		replica_made_anew(r);
		r->md = true;
		r->current = JUST_CREATED;
		r->bitmap_uuid = 0;
		memset(r->history, 0, sizeof(r->history));
		r->md_consistent = r->md_uptodate = r->md_peer_outdated = r->md_crashed = false;
		r->out_of_sync = r->hot = 0;
	}
	return call_end(err);
}

static void bring_up(struct replica *r)
{
	if (r->up)
		return;
	r->up = true;
	r->role = DRBD_ROLE_SECONDARY;
	r->disk = DRBD_DISK_DISKLESS;
	r->peer_disk = DRBD_DISK_UNKNOWN;
	r->net = WANT_NONE;
	r->two = false;
	(void)str_copy(r->kernel_peer, sizeof(r->kernel_peer), r->peer);
}

static int attach(struct drbdm *d, const char *name, struct err *err)
{
	struct replica *r = NULL;
	int rc = must(d, name, "attach", 500 * MS, &r, err);

	if (rc < 0)
		return rc;
	bring_up(r);
	if (!replica_attached(r)) /* fencing is one of the disk's options */
		r->arbitrated = r->conf_arbitrated;
	rc = replica_attach(r, err);
	return rc < 0 ? rc : call_end(err);
}

static void do_connect(struct replica *r, bool discard)
{
	if (r->net != WANT_NONE)
		return;
	(void)str_copy(r->kernel_peer, sizeof(r->kernel_peer), r->peer); /* the file's address, until it is cut */
	if (discard) { /* its changes are given up when the other side's are newer: modelled as an old, outdated generation */
		struct replica *p = replica_peer(r);

		if (p && replica_attached(r) && r->role != DRBD_ROLE_PRIMARY)
			r->current = p->bitmap_uuid ? p->bitmap_uuid : r->current;
	}
	r->net = WANT_CONNECTING;
	drbd_net_changed();
}

static int fake_connect(struct drbdm *d, const char *name, bool discard, struct err *err)
{
	struct replica *r = NULL;
	int rc = must(d, name, "connect", 300 * MS, &r, err);

	if (rc < 0)
		return rc;
	if (!r->up)
		return err_set(err, ERR_COMMAND_FAILED, "resource '%s' is not up", name);
	do_connect(r, discard);
	return call_end(err);
}

static int options(struct drbdm *d, const char *name, struct err *err)
{
	struct replica *r = NULL;
	int rc = must(d, name, "options", 700 * MS, &r, err);

	if (rc < 0)
		return rc;
	if (!replica_attached(r))
		return err_set(err, ERR_COMMAND_FAILED, "resource '%s' has no disk", name);
	r->arbitrated = r->conf_arbitrated;
	return call_end(err);
}

static int fake_disconnect(struct drbdm *d, const char *name, bool force, struct err *err)
{
	struct replica *r = NULL;
	int rc = must(d, name, force ? "disconnect --force" : "disconnect", 300 * MS, &r, err);

	if (rc < 0)
		return rc;
	if (r->up)
		replica_disconnect(r, force);
	return call_end(err);
}

static int detach(struct drbdm *d, const char *name, bool force, struct err *err)
{
	struct replica *r = NULL;
	int rc = must(d, name, "detach", 300 * MS, &r, err);

	(void)force;
	if (rc < 0)
		return rc;
	if (r->up && replica_attached(r))
		replica_lose_disk(r);
	return call_end(err);
}

static int down(struct drbdm *d, const char *name, struct err *err)
{
	struct machine *m = of(d);
	int rc = call_begin("down", 500 * MS, err);

	if (rc == 0)
		rc = call_hangs(&m->drbd_hangs, "drbdsetup", GIVEN_UP, err);
	struct replica *r = rc < 0 ? NULL : replica_find(m, name);

	if (rc < 0)
		return rc;
	if (!r || !r->up)
		return call_end(err);
	if (r->role == DRBD_ROLE_PRIMARY && guest_on(m, r))
		return err_set(err, ERR_BUSY, "resource '%s' is held open", name);
	if (r->role == DRBD_ROLE_PRIMARY) /* down demotes first when it can */
		return err_set(err, ERR_BUSY, "resource '%s' is Primary", name);
	replica_disconnect(r, false);
	if (replica_attached(r))
		replica_write_md(r);
	r->disk = DRBD_DISK_DISKLESS;
	r->up = false;
	r->two = false;
	r->net = WANT_NONE;
	r->kernel_peer[0] = '\0';
	return call_end(err);
}

static int primary_allowed(struct replica *r, bool force, struct err *err)
{
	struct replica *p = replica_linked(r);

	if (p && p->role == DRBD_ROLE_PRIMARY && !(r->two && p->two))
		return err_set(err, ERR_WRONG_STATE, "resource '%s': multiple primaries not allowed by config", r->name);
	if (p && (replica_good(r) || replica_good(p)))
		return 0;
	if (r->disk == DRBD_DISK_UPTODATE || r->disk == DRBD_DISK_CONSISTENT)
		return 0;
	if (force && replica_attached(r))
		return 0;
	return err_set(err, ERR_STALE_REPLICA, "resource '%s': need access to UpToDate data", r->name);
}

static int primary(struct drbdm *d, const char *name, bool force, struct err *err)
{
	struct replica *r = NULL;
	int rc = must(d, name, "primary", 500 * MS, &r, err);

	if (rc < 0 || r->role == DRBD_ROLE_PRIMARY)
		return rc;
	rc = r->up ? primary_allowed(r, force, err) : err_set(err, ERR_WRONG_STATE, "resource '%s' is not up", name);
	if (rc < 0)
		return rc;
	if (!replica_linked(r) && r->arbitrated && r->peer_disk == DRBD_DISK_UNKNOWN && !(force && !replica_good(r))) {
		int64_t connects = r->connects;

		if (r->net == WANT_SHAKING) /* "Expected cstate < C_WF_REPORT_PARAMS": nobody is asked */
			return err_set(err, ERR_WRONG_STATE, "resource '%s': refusing to be Primary while peer is not outdated", name);
		int verdict = replica_call_handler(name, "fence-peer");
		trace("%s: promotion's handler ends with %d", name, verdict);
		if ((verdict != 7 && verdict != 5 && verdict != 4) || connects != r->connects || !r->up || r->net == WANT_SHAKING)
			return err_set(err, ERR_WRONG_STATE, "resource '%s': refusing to be Primary while peer is not outdated", name);
		replica_set_peer_disk(r, DRBD_DISK_OUTDATED);
		rc = primary_allowed(r, force, err);
		if (rc < 0)
			return rc;
	}
	if (force && replica_attached(r) && !replica_good(r))
		replica_new_current(r);
	r->role = DRBD_ROLE_PRIMARY;
	if (replica_attached(r) && (r->disk == DRBD_DISK_CONSISTENT || force) && !replica_linked(r))
		r->disk = DRBD_DISK_UPTODATE;
	replica_write_md(r);
	if (!replica_linked(r) && replica_good(r) && r->bitmap_uuid == 0)
		replica_new_current(r);
	trace("%s %s: Primary", r->m->name, r->name);
	return call_end(err);
}

static int secondary(struct drbdm *d, const char *name, struct err *err)
{
	struct replica *r = NULL;
	int rc = must(d, name, "secondary", 300 * MS, &r, err);

	if (rc < 0 || !r->up || r->role == DRBD_ROLE_SECONDARY)
		return rc;
	if (guest_on(r->m, r))
		return err_set(err, ERR_BUSY, "resource '%s' is held open", name);
	if (r->frozen)
		return err_set(err, ERR_BUSY, "resource '%s' waits for its suspended I/O", name);
	if (r->write.active) /* drbd_set_role() waits until nothing is under way to the peer */
		return err_set(err, ERR_BUSY, "resource '%s' has a write under way", name);
	r->role = DRBD_ROLE_SECONDARY;
	if (replica_attached(r)) { /* without its disk it cannot write there that the Primary left in order */
		r->md_crashed = false;
		r->hot = 0;
	}
	trace("%s %s: Secondary", r->m->name, r->name);
	return call_end(err);
}

static int two_primaries(struct drbdm *d, const char *name, bool allow, struct err *err)
{
	struct replica *r = NULL;
	int rc = must(d, name, "two_primaries", 300 * MS, &r, err);

	if (rc < 0)
		return rc;
	struct replica *p = replica_linked(r);
	if (!allow && p && r->role == DRBD_ROLE_PRIMARY && p->role == DRBD_ROLE_PRIMARY)
		return err_set(err, ERR_WRONG_STATE, "both sides of '%s' are Primary", name);
	r->two = allow;
	return call_end(err);
}

static int resume_io(struct drbdm *d, const char *name, struct err *err)
{
	struct replica *r = NULL;
	int rc = must(d, name, "resume_io", 300 * MS, &r, err);

	if (rc < 0)
		return rc;
	if (r->frozen) {
		r->last_resume = eng.now;
		if (replica_linked(r)) {
			replica_thaw(r, replica_linked(r));
		} else if (replica_good(r)) {
			replica_go_on_alone(r);
		} else {
			r->frozen = false;
			replica_finish_write(r, false);
		}
	}
	return call_end(err);
}

static int new_current_uuid(struct drbdm *d, const char *name, bool clear_bitmap, struct err *err)
{
	struct replica *r = NULL;
	int rc = must(d, name, "new_current_uuid", 300 * MS, &r, err);

	if (rc < 0)
		return rc;
	struct replica *p = replica_linked(r);
	if (!replica_attached(r))
		return err_set(err, ERR_COMMAND_FAILED, "resource '%s' has no disk", name);
	if (clear_bitmap && p && r->current == JUST_CREATED) {
		r->current = p->current = 100 + W.next_uuid++;
		r->bitmap_uuid = p->bitmap_uuid = r->out_of_sync = p->out_of_sync = 0;
		memcpy(p->block, r->block, sizeof(p->block)); /* new volumes: what either holds is as good */
		replica_set_disk(r, DRBD_DISK_UPTODATE);
		replica_set_disk(p, DRBD_DISK_UPTODATE);
		replica_set_peer_disk(r, DRBD_DISK_UPTODATE);
		replica_set_peer_disk(p, DRBD_DISK_UPTODATE);
	} else if (r->net == WANT_NONE) {
		replica_new_current(r);
		if (clear_bitmap)
			r->bitmap_uuid = r->out_of_sync = 0; /* H18: the record of what the peer lacks is wiped */
	} else {
		return err_set(err, ERR_COMMAND_FAILED, "resource '%s': device is in use or connected", name);
	}
	return call_end(err);
}

static int resize(struct drbdm *d, const char *name, struct err *err)
{
	struct replica *r = NULL;
	int rc = must(d, name, "resize", 300 * MS, &r, err);

	return rc < 0 ? rc : call_end(err);
}

/* ---- status ---------------------------------------------------------------------------------------------------- */

static void fill(const struct replica *r, struct drbd_status *s)
{
	memset(s, 0, sizeof(*s));
	(void)str_copy(s->resource, sizeof(s->resource), r->name);
	s->up = r->up;
	if (!r->up)
		return;
	const struct replica *p = replica_linked(r);
	s->role = r->role;
	s->peer_role = r->net == WANT_CONNECTED && p ? p->role : DRBD_ROLE_UNKNOWN;
	s->conn = r->net >= WANT_SHAKING ? DRBD_CONN_CONNECTED : r->net == WANT_CONNECTING ? DRBD_CONN_CONNECTING : DRBD_CONN_STANDALONE;
	s->suspended_fencing = r->frozen && !r->no_data;
	s->suspended_no_data = r->frozen && r->no_data;
	s->n_volumes = r->n_volumes;
	for (int i = 0; i < s->n_volumes && i < DISKS_MAX; i++) {
		struct drbd_volume_status *v = &s->volumes[i];

		v->index = i;
		v->minor = r->minor + i;
		v->disk = r->disk;
		v->peer_disk = r->peer_disk;
		v->repl = r->net != WANT_CONNECTED ? DRBD_REPL_OFF : r->sync == SYNC_SOURCE ? DRBD_REPL_SYNC_SOURCE :
			  r->sync == SYNC_TARGET ? DRBD_REPL_SYNC_TARGET : DRBD_REPL_ESTABLISHED;
		v->out_of_sync_kib = 4 * __builtin_popcountll(r->out_of_sync);
		v->done_permille = r->sync == SYNC_NONE ? 1000 : 500;
	}
}

static int status(struct drbdm *d, const char *name, struct drbd_status *ret, struct err *err)
{
	int rc = call_hangs(&of(d)->drbd_hangs, "drbdsetup", GIVEN_UP, err);
	struct replica *r = replica_find(of(d), name);

	memset(ret, 0, sizeof(*ret));
	if (rc == 0 && r)
		fill(r, ret);
	return rc;
}

static int count_replicas(const struct machine *m)
{
	int n = 0;

	list_for_each(l, &m->replicas)
		n++;
	return n;
}

static int status_all(struct drbdm *d, struct drbd_status **ret, int *ret_n, struct err *err)
{
	struct machine *m = of(d);
	int n = 0, rc = call_hangs(&m->drbd_hangs, "drbdsetup", GIVEN_UP, err);

	if (rc < 0)
		return rc;
	*ret = xcalloc((size_t)count_replicas(m) + 1, sizeof(**ret));
	list_for_each(l, &m->replicas) {
		const struct replica *r = list_entry(l, struct replica, link);

		if (r->up)
			fill(r, &(*ret)[n++]);
	}
	*ret_n = n;
	return 0;
}

static int list_conf(struct drbdm *d, struct drbd_conf **ret, int *ret_n, struct err *err)
{
	struct machine *m = of(d);
	int n = 0, room = count_replicas(m);

	(void)err;
	*ret = room ? xcalloc((size_t)room, sizeof(**ret)) : NULL; /* large ones, and asked for at each look */
	list_for_each(l, &m->replicas) {
		const struct replica *r = list_entry(l, struct replica, link);

		if (!r->conf)
			continue;
		struct drbd_conf *c = &(*ret)[n++];
		(void)str_copy(c->resource, sizeof(c->resource), r->name);
		(void)str_copy(c->instance_uuid, sizeof(c->instance_uuid), r->uuid);
		c->n_volumes = r->n_volumes;
		c->arbitrated = r->conf_arbitrated;
	}
	*ret_n = n;
	return 0;
}

/* The kernel's page: no tool, nothing to wait for. */
static int suspended(struct drbdm *d, struct drbd_suspended **ret, int *ret_n, struct err *err)
{
	struct machine *m = of(d);
	int n = 0;

	(void)err;
	*ret = xcalloc((size_t)count_replicas(m) + 1, sizeof(**ret));
	list_for_each(l, &m->replicas) {
		const struct replica *r = list_entry(l, struct replica, link);

		if (r->conf && r->up && r->frozen)
			(void)str_copy((*ret)[n++].instance_uuid, UUID_LEN + 1, r->uuid);
	}
	*ret_n = n;
	return 0;
}

static const struct drbdm_ops ops = {
	.name = "sim",
	.write_conf = write_conf,
	.remove_conf = remove_conf,
	.create_md = create_md,
	.options = options,
	.attach = attach,
	.connect = fake_connect,
	.disconnect = fake_disconnect,
	.detach = detach,
	.down = down,
	.primary = primary,
	.secondary = secondary,
	.two_primaries = two_primaries,
	.resume_io = resume_io,
	.new_current_uuid = new_current_uuid,
	.resize = resize,
	.status = status,
	.status_all = status_all,
	.list_conf = list_conf,
	.suspended = suspended,
};

struct drbdm *drbd_of(struct machine *m)
{
	static struct drbdm all[MACHINES_MAX];

	all[m->index].ops = &ops;
	return &all[m->index];
}
