/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DRBD in the fake world. Per node and resource: {"uuid", "peer", "arb", "vols", "att", "con", "role", "two", "disk", "frozen"}; the
 * connection exists when both sides want it and are attached. A resync takes no time.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/list.h"
#include "common/xmem.h"
#include "storage/fake/world.h"

struct look { /* a resource on this node and, if there is one, on its peer */
	struct world_lock l;
	json_t *me, *peer;
};

static struct fake *self(struct drbdm *d)
{
	return list_entry(d, struct fake, drbd);
}

static void set_str(json_t *o, const char *key, const char *v)
{
	json_object_set_new(o, key, json_string(v));
}

static void set_bool(json_t *o, const char *key, bool v)
{
	json_object_set_new(o, key, json_boolean(v));
}

static bool is(const json_t *o, const char *key)
{
	return o && json_bool(o, key, false);
}

static bool disk_is(const json_t *o, const char *state)
{
	return o && strcmp(json_str(o, "disk", ""), state) == 0;
}

static json_t *find(struct world_lock *l, const char *node, const char *resource)
{
	return json_object_get(world_part(world_node(l, node), "drbd"), resource);
}

static bool connected(const struct look *k)
{
	return is(k->me, "con") && is(k->me, "att") && is(k->peer, "con") && is(k->peer, "att");
}

static int take(struct drbdm *d, const char *resource, bool must, struct look *k, struct err *err)
{
	int rc = world_take(self(d), &k->l, err);

	if (rc < 0)
		return rc;
	k->me = find(&k->l, self(d)->node, resource);
	k->peer = k->me ? find(&k->l, json_str(k->me, "peer", ""), resource) : NULL;
	if (k->me || !must)
		return 0;
	IGNORE(world_give(self(d), &k->l, false, err));
	return err_set(err, ERR_NOT_FOUND, "DRBD resource '%s' is not configured here", resource);
}

static int give(struct drbdm *d, struct look *k, int rc, struct err *err)
{
	return world_end(self(d), &k->l, rc, true, err);
}

/* After any change: meeting sides agree at once on who holds what; a Primary whose peer went freezes when arbitrated. */
static void settle(struct look *k)
{
	if (!connected(k))
		return;
	if (disk_is(k->me, "UpToDate") && !disk_is(k->peer, "UpToDate"))
		set_str(k->peer, "disk", "UpToDate");
	else if (disk_is(k->peer, "UpToDate") && !disk_is(k->me, "UpToDate"))
		set_str(k->me, "disk", "UpToDate");
	set_bool(k->me, "frozen", false);
	set_bool(k->peer, "frozen", false);
}

static void part(struct look *k, bool was, bool graceful)
{
	if (!was || connected(k))
		return;
	if (graceful && k->peer && strcmp(json_str(k->peer, "role", ""), "Primary") == 0) {
		set_str(k->me, "disk", "Outdated"); /* a Secondary that leaves politely outdates itself; nobody is asked */
		return;
	}
	if (strcmp(json_str(k->me, "role", ""), "Primary") == 0 && is(k->me, "arb"))
		set_bool(k->me, "frozen", true);
	if (k->peer && strcmp(json_str(k->peer, "role", ""), "Primary") == 0 && is(k->peer, "arb"))
		set_bool(k->peer, "frozen", true);
}

static int write_conf(struct drbdm *d, const struct drbd_conf *c, struct err *err)
{
	const char *mine = self(d)->node;
	const char *peer = strcmp(c->peers[0].hostname, mine) == 0 ? c->peers[1].hostname : c->peers[0].hostname;
	struct look k;
	int rc = take(d, c->resource, false, &k, err);

	if (rc < 0)
		return rc;
	if (!k.me) {
		k.me = json_pack("{s:s, s:s, s:s, s:s}", "uuid", c->instance_uuid, "role", "Secondary", "disk", "None", "peer", peer);
		json_object_set_new(world_part(k.l.node, "drbd"), c->resource, k.me);
	} else if (strcmp(json_str(k.me, "uuid", ""), c->instance_uuid) != 0) {
		return give(d, &k, err_set(err, ERR_FOREIGN, "resource '%s' is another instance's", c->resource), err);
	}
	set_str(k.me, "peer", peer);
	set_bool(k.me, "arb", c->arbitrated);
	json_object_set_new(k.me, "vols", json_integer(c->n_volumes));
	json_object_set_new(k.me, "minor", json_integer(c->n_volumes ? c->volumes[0].minor : 0));
	return give(d, &k, 0, err);
}

static int remove_conf(struct drbdm *d, const char *resource, struct err *err)
{
	struct look k;
	int rc = take(d, resource, false, &k, err);

	if (rc == 0) {
		(void)json_object_del(world_part(k.l.node, "drbd"), resource);
		rc = give(d, &k, 0, err);
	}
	return rc;
}

static int create_md(struct drbdm *d, const struct drbd_conf *c, bool force, struct err *err)
{
	struct look k;
	int rc = take(d, c->resource, true, &k, err);

	if (rc < 0)
		return rc;
	if (force || disk_is(k.me, "None"))
		set_str(k.me, "disk", "Inconsistent");
	return give(d, &k, 0, err);
}

static int attach(struct drbdm *d, const char *resource, struct err *err)
{
	struct look k;
	int rc = take(d, resource, true, &k, err);

	if (rc < 0)
		return rc;
	if (disk_is(k.me, "None"))
		return give(d, &k, err_set(err, ERR_COMMAND_FAILED, "no metadata on '%s'", resource), err);
	set_bool(k.me, "att", true);
	settle(&k);
	return give(d, &k, 0, err);
}

static int fake_connect(struct drbdm *d, const char *resource, bool discard, struct err *err)
{
	struct look k;
	int rc = take(d, resource, true, &k, err);

	if (rc < 0)
		return rc;
	if (discard)
		set_str(k.me, "disk", "Inconsistent");
	set_bool(k.me, "con", true);
	settle(&k);
	return give(d, &k, 0, err);
}

/* "arb" is the file's and the kernel's in one. */
static int options(struct drbdm *d, const char *resource, struct err *err)
{
	struct look k;
	int rc = take(d, resource, true, &k, err);

	if (rc < 0)
		return rc;
	return give(d, &k, is(k.me, "att") ? 0 : err_set(err, ERR_COMMAND_FAILED, "resource '%s' has no disk", resource), err);
}

static int fake_disconnect(struct drbdm *d, const char *resource, bool force, struct err *err)
{
	struct look k;
	int rc = take(d, resource, true, &k, err);

	if (rc < 0)
		return rc;
	bool was = connected(&k);
	set_bool(k.me, "con", false);
	part(&k, was, !force);
	return give(d, &k, 0, err);
}

static int detach(struct drbdm *d, const char *resource, bool force, struct err *err)
{
	struct look k;
	int rc = take(d, resource, true, &k, err);

	(void)force;
	if (rc < 0)
		return rc;
	set_bool(k.me, "att", false);
	return give(d, &k, 0, err);
}

static int down(struct drbdm *d, const char *resource, struct err *err)
{
	struct look k;
	int rc = take(d, resource, false, &k, err);

	if (rc < 0)
		return rc;
	if (!k.me)
		return give(d, &k, 0, err);
	if (strcmp(json_str(k.me, "role", ""), "Primary") == 0)
		return give(d, &k, err_set(err, ERR_BUSY, "resource '%s' is Primary", resource), err);
	bool was = connected(&k);
	set_bool(k.me, "con", false);
	set_bool(k.me, "att", false);
	set_bool(k.me, "two", false);
	part(&k, was, true);
	return give(d, &k, 0, err);
}

static int primary(struct drbdm *d, const char *resource, bool force, struct err *err)
{
	struct look k;
	int rc = take(d, resource, true, &k, err);

	if (rc < 0)
		return rc;
	if (!is(k.me, "att"))
		rc = err_set(err, ERR_WRONG_STATE, "resource '%s' has no disk", resource);
	else if (connected(&k) && strcmp(json_str(k.peer, "role", ""), "Primary") == 0 && !(is(k.me, "two") && is(k.peer, "two")))
		rc = err_set(err, ERR_WRONG_STATE, "resource '%s' is Primary on the other node", resource);
	else if (!force && (disk_is(k.me, "Inconsistent") || disk_is(k.me, "Outdated")))
		rc = err_set(err, ERR_STALE_REPLICA, "the disk of '%s' is %s", resource, json_str(k.me, "disk", ""));
	if (rc == 0) {
		set_str(k.me, "role", "Primary");
		if (force)
			set_str(k.me, "disk", "UpToDate");
	}
	return give(d, &k, rc, err);
}

static int secondary(struct drbdm *d, const char *resource, struct err *err)
{
	const char *key;
	json_t *g;
	struct look k;
	int rc = take(d, resource, true, &k, err);

	if (rc < 0)
		return rc;
	json_object_foreach(world_part(k.l.node, "guests"), key, g)
		if (strcmp(key, json_str(k.me, "uuid", "")) == 0) /* its name may have changed since the resource got it */
			rc = err_set(err, ERR_BUSY, "resource '%s' is held open by its guest", resource);
	if (rc == 0)
		set_str(k.me, "role", "Secondary");
	return give(d, &k, rc, err);
}

static int two_primaries(struct drbdm *d, const char *resource, bool allow, struct err *err)
{
	struct look k;
	int rc = take(d, resource, true, &k, err);

	if (rc < 0)
		return rc;
	if (!allow && connected(&k) && strcmp(json_str(k.me, "role", ""), "Primary") == 0 && strcmp(json_str(k.peer, "role", ""), "Primary") == 0)
		rc = err_set(err, ERR_WRONG_STATE, "both sides of '%s' are Primary", resource);
	else
		set_bool(k.me, "two", allow);
	return give(d, &k, rc, err);
}

static int resume_io(struct drbdm *d, const char *resource, struct err *err)
{
	struct look k;
	int rc = take(d, resource, true, &k, err);

	if (rc < 0)
		return rc;
	set_bool(k.me, "frozen", false);
	return give(d, &k, 0, err);
}

static int new_current_uuid(struct drbdm *d, const char *resource, bool clear_bitmap, struct err *err)
{
	struct look k;
	int rc = take(d, resource, true, &k, err);

	(void)clear_bitmap;
	if (rc < 0)
		return rc;
	set_str(k.me, "disk", "UpToDate");
	settle(&k);
	return give(d, &k, 0, err);
}

static int resize(struct drbdm *d, const char *resource, struct err *err)
{
	struct look k;
	int rc = take(d, resource, true, &k, err);

	return rc < 0 ? rc : give(d, &k, 0, err);
}

static enum drbd_dstate dstate(const json_t *o)
{
	if (!is(o, "att"))
		return DRBD_DISK_DISKLESS;
	return disk_is(o, "UpToDate") ? DRBD_DISK_UPTODATE : disk_is(o, "Outdated") ? DRBD_DISK_OUTDATED : DRBD_DISK_INCONSISTENT;
}

static enum drbd_role role(const json_t *o)
{
	return strcmp(json_str(o, "role", ""), "Primary") == 0 ? DRBD_ROLE_PRIMARY : DRBD_ROLE_SECONDARY;
}

static void fill(const struct look *k, const char *resource, struct drbd_status *s)
{
	memset(s, 0, sizeof(*s));
	(void)str_copy(s->resource, sizeof(s->resource), resource);
	s->up = k->me && (is(k->me, "att") || is(k->me, "con"));
	if (!s->up)
		return;
	bool conn = connected(k);
	s->role = role(k->me);
	s->peer_role = conn ? role(k->peer) : DRBD_ROLE_UNKNOWN;
	s->conn = conn ? DRBD_CONN_CONNECTED : is(k->me, "con") ? DRBD_CONN_CONNECTING : DRBD_CONN_STANDALONE;
	s->suspended_fencing = is(k->me, "frozen");
	s->n_volumes = (int)json_int(k->me, "vols", 0);
	for (int i = 0; i < s->n_volumes && i < DISKS_MAX; i++) {
		s->volumes[i].index = i;
		s->volumes[i].minor = (int)json_int(k->me, "minor", 0) + i;
		s->volumes[i].disk = dstate(k->me);
		s->volumes[i].peer_disk = conn ? dstate(k->peer) : DRBD_DISK_UNKNOWN;
		s->volumes[i].repl = conn ? DRBD_REPL_ESTABLISHED : DRBD_REPL_OFF;
		s->volumes[i].done_permille = 1000;
	}
}

static int status(struct drbdm *d, const char *resource, struct drbd_status *ret, struct err *err)
{
	struct look k;
	int rc = take(d, resource, false, &k, err);

	if (rc < 0)
		return rc;
	fill(&k, resource, ret);
	return world_give(self(d), &k.l, false, err);
}

static int status_all(struct drbdm *d, struct drbd_status **ret, int *ret_n, struct err *err)
{
	struct look k;
	const char *key;
	json_t *o;
	int n = 0, rc = world_take(self(d), &k.l, err);

	if (rc < 0)
		return rc;
	json_t *all = world_part(k.l.node, "drbd");
	struct drbd_status *a = xcalloc(json_object_size(all) + 1, sizeof(*a));
	json_object_foreach(all, key, o) {
		k.me = o;
		k.peer = find(&k.l, json_str(o, "peer", ""), key);
		fill(&k, key, &a[n]);
		n += a[n].up;
	}
	*ret = a;
	*ret_n = n;
	return world_give(self(d), &k.l, false, err);
}

static int list_conf(struct drbdm *d, struct drbd_conf **ret, int *ret_n, struct err *err)
{
	struct world_lock l;
	const char *key;
	json_t *o;
	int n = 0, rc = world_take(self(d), &l, err);

	if (rc < 0)
		return rc;
	json_t *all = world_part(l.node, "drbd");
	struct drbd_conf *a = xcalloc(json_object_size(all) + 1, sizeof(*a));
	json_object_foreach(all, key, o) {
		(void)str_copy(a[n].resource, sizeof(a[n].resource), key);
		(void)str_copy(a[n].instance_uuid, sizeof(a[n].instance_uuid), json_str(o, "uuid", ""));
		a[n].n_volumes = (int)json_int(o, "vols", 0);
		a[n++].arbitrated = is(o, "arb");
	}
	*ret = a;
	*ret_n = n;
	return world_give(self(d), &l, false, err);
}

const struct drbdm_ops fake_drbd_ops = {
	.name = "fake",
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
};
