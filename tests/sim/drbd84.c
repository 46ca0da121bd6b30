/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DRBD 8.4 as drbd84-arbitration.md saw it and the source tells it: states, freezing, the fence-peer handler, generations and
 * bitmap, activity log after a crash, two Primaries, forced and graceful disconnects. All volumes of a resource are one disk here,
 * of numbered blocks. A connection that is cut is noticed by each side at a time of its own.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/xmem.h"
#include "node/handler.h"
#include "tests/sim/kernel.h"

#define NOTICE_MIN (300 * MS)
#define NOTICE_MAX (5 * SEC)
#define BLOCK_SYNC (40 * MS)

static int64_t next_session;

static const char *dname(enum drbd_dstate d)
{
	return drbd_dstate_name(d);
}

/* ---- looking things up --------------------------------------------------------------------------------- */

struct replica *replica_find(struct machine *m, const char *name)
{
	list_for_each(l, &m->replicas) {
		struct replica *r = list_entry(l, struct replica, link);

		if (strcmp(r->name, name) == 0)
			return r;
	}
	return NULL;
}

struct replica *replica_by_minor(struct machine *m, int minor)
{
	list_for_each(l, &m->replicas) {
		struct replica *r = list_entry(l, struct replica, link);

		if (r->up && minor >= r->minor && minor < r->minor + r->n_volumes)
			return r;
	}
	return NULL;
}

struct replica *replica_peer(const struct replica *r)
{
	struct machine *o = machine_by_name(r->up ? r->kernel_peer : r->peer);
	struct replica *p = o && o->power ? replica_find(o, r->name) : NULL;

	return p && p->up && strcmp(p->kernel_peer, r->m->name) == 0 ? p : NULL;
}

static bool attached(const struct replica *r)
{
	return r->disk > DRBD_DISK_FAILED;
}

static bool good(const struct replica *r)
{
	return r->disk == DRBD_DISK_UPTODATE;
}

/* The other end of the connection that r is in; NULL = there is none any more. */
static struct replica *linked(const struct replica *r)
{
	struct replica *p = r->net == WANT_CONNECTED ? replica_peer(r) : NULL;

	return p && p->net == WANT_CONNECTED && p->session == r->session ? p : NULL;
}

static bool wire(const struct replica *a, const struct replica *b)
{
	return net_up(NET_REPL, a->m, b->m) && net_up(NET_REPL, b->m, a->m);
}

bool replica_readable(struct replica *r)
{
	struct replica *p = linked(r);

	return r->up && !r->frozen && (good(r) || (p && good(p)));
}

void replica_read(struct replica *r, uint64_t blocks[BLOCKS])
{
	const struct replica *from = good(r) ? r : linked(r);

	memcpy(blocks, from->block, sizeof(r->block));
}

/* ---- data generations ------------------------------------------------------------------------------------ */

static void new_current(struct replica *r)
{
	if (r->current == JUST_CREATED)
		return;
	if (r->bitmap_uuid == 0) {
		r->bitmap_uuid = r->current;
	} else {
		memmove(r->history + 1, r->history, sizeof(r->history) - sizeof(r->history[0]));
		r->history[0] = r->current;
	}
	r->current = 100 + W.next_uuid++;
}

/* The metadata says at all times what an attach will find. */
static void write_md(struct replica *r)
{
	if (!attached(r))
		return;
	r->md_consistent = r->disk != DRBD_DISK_INCONSISTENT;
	r->md_uptodate = r->disk == DRBD_DISK_UPTODATE || r->disk == DRBD_DISK_CONSISTENT;
	r->md_peer_outdated = r->peer_disk == DRBD_DISK_OUTDATED || r->peer_disk == DRBD_DISK_INCONSISTENT;
	if (r->role == DRBD_ROLE_PRIMARY)
		r->md_crashed = true; /* taken back by an orderly demotion */
}

static void set_disk(struct replica *r, enum drbd_dstate d)
{
	if (r->disk != d)
		trace("%s %s: disk %s", r->m->name, r->name, dname(d));
	r->disk = d;
	write_md(r);
}

static void set_peer_disk(struct replica *r, enum drbd_dstate d)
{
	r->peer_disk = d;
	write_md(r);
}

/* ---- writes ------------------------------------------------------------------------------------------------ */

static void finish_write(struct replica *r, bool ok)
{
	struct pending w = r->write;

	if (!w.active)
		return;
	r->write.active = false;
	if (ok && !w.remote)
		check_alone(r);
	guest_write_done(r->m, r, w.block, w.value, ok);
}

/* What was under way when the peer went: done here alone, and the peer lacks it. */
static void write_alone(struct replica *r)
{
	if (!r->write.active)
		return;
	if (!good(r)) {
		finish_write(r, false);
		return;
	}
	r->block[r->write.block] = r->write.value;
	r->out_of_sync |= UINT64_C(1) << r->write.block;
	finish_write(r, true);
}

struct packet {
	struct replica *from;
	int64_t session, number;
};

static void acked(void *arg)
{
	struct packet *p = arg;
	struct replica *r = p->from;

	if (r->write.active && r->write.number == p->number && r->net == WANT_CONNECTED && r->session == p->session && !r->frozen)
		finish_write(r, true);
	free(p);
}

/* Arrived at the peer: on its disk if it has one, and answered. */
static void arrived(void *arg)
{
	struct packet *p = arg;
	struct replica *r = p->from, *to = linked(r);

	if (!to || r->session != p->session || !r->write.active || r->write.number != p->number || !net_up(NET_REPL, r->m, to->m)) {
		free(p);
		return; /* the connection will be found dead */
	}
	if (attached(to)) {
		to->block[r->write.block] = r->write.value;
		r->write.remote = true;
	}
	if (!net_up(NET_REPL, to->m, r->m)) {
		free(p);
		return;
	}
	(void)after(r->m->kernel, net_latency(), acked, p);
}

static void send_write(struct replica *r)
{
	struct packet *p = xcalloc(1, sizeof(*p));

	*p = (struct packet){ r, r->session, r->write.number };
	(void)after(NULL, net_latency(), arrived, p);
}

bool replica_write(struct replica *r, int block, uint64_t value)
{
	static int64_t number;
	struct replica *p = linked(r);

	if (!r->up || r->role != DRBD_ROLE_PRIMARY || r->write.active)
		return false;
	if (!r->frozen && !good(r) && !(p && good(p)))
		return false; /* an error for the guest */
	r->write = (struct pending){ .active = true, .block = block, .value = value, .number = ++number };
	if (r->frozen)
		return true; /* waits */
	if (attached(r)) {
		r->hot |= UINT64_C(1) << block;
		r->block[block] = value;
		r->write.local = true;
	}
	if (r->net == WANT_CONNECTED) {
		if (p)
			send_write(r);
		return true; /* without an other end it waits until the loss is noticed */
	}
	write_alone(r);
	return true;
}

/* ---- freezing, and who is asked ------------------------------------------------------------------------------ */

struct handler {
	struct replica *r;
	int64_t connects;
	char event[32];
};

/* "yes": the peer counts as outdated, a new generation begins, what waited goes on. */
static void go_on_alone(struct replica *r)
{
	set_peer_disk(r, DRBD_DISK_OUTDATED);
	if (r->bitmap_uuid == 0 || r->role == DRBD_ROLE_PRIMARY)
		new_current(r);
	r->frozen = false;
	write_alone(r);
}

static int call_handler(const char *resource, const char *event)
{
	/* Read before anything can wait: nobody else sees it. */
	(void)setenv("DRBD_RESOURCE", resource, 1);
	return handler_drbd(machine_root(here()), event);
}

static void handler_process(void *arg)
{
	struct handler *h = arg;
	struct replica *r = h->r;
	int rc = call_handler(r->name, h->event);

	trace("%s: handler %s ends with %d", r->name, h->event, rc);
	if (strcmp(h->event, "fence-peer") == 0) {
		r->handler_runs = false;
		/* 5 counts as yes on an UpToDate Primary: seen on the real module. */
		if ((rc == 7 || rc == 5 || rc == 4) && r->connects == h->connects && r->up && r->frozen && r->net != WANT_CONNECTED && good(r))
			go_on_alone(r);
	}
	free(h);
}

static void fork_handler(struct replica *r, const char *event)
{
	struct handler *h = xcalloc(1, sizeof(*h));

	h->r = r;
	h->connects = r->connects;
	(void)str_copy(h->event, sizeof(h->event), event);
	(void)fiber_start(r->m->kernel, handler_process, h);
}

static void freeze(struct replica *r)
{
	if (r->frozen)
		return;
	r->frozen = true;
	trace("%s %s: frozen", r->m->name, r->name);
	if (!r->handler_runs && attached(r)) {
		r->handler_runs = true;
		fork_handler(r, "fence-peer");
	}
}

/* ---- losing each other ------------------------------------------------------------------------------------------- */

static void stop_sync(struct replica *r)
{
	event_cancel(r->syncing);
	r->syncing = NULL;
	r->sync = SYNC_NONE;
}

/* This side finds its connection dead (or ends it): its state from then on. */
static void lost(struct replica *r, enum net_want then)
{
	if (r->net != WANT_CONNECTED) {
		r->net = then;
		return;
	}
	trace("%s %s: connection lost", r->m->name, r->name);
	event_cancel(r->noticing);
	r->noticing = NULL;
	stop_sync(r);
	r->net = then;
	r->session = 0;
	if (r->peer_disk != DRBD_DISK_INCONSISTENT && r->peer_disk != DRBD_DISK_OUTDATED)
		set_peer_disk(r, DRBD_DISK_UNKNOWN);
	if (r->role != DRBD_ROLE_PRIMARY)
		return;
	if (!good(r)) { /* nothing to go on with: never fenced for */
		if (!r->frozen)
			finish_write(r, false);
		return;
	}
	if (r->arbitrated && r->peer_disk == DRBD_DISK_UNKNOWN) {
		freeze(r);
		return;
	}
	if (r->bitmap_uuid == 0)
		new_current(r);
	write_alone(r);
}

static void notice(void *arg)
{
	struct replica *r = arg;

	r->noticing = NULL;
	lost(r, WANT_CONNECTING);
	drbd_net_changed();
}

static void notice_within(struct replica *r, int64_t lo, int64_t hi)
{
	if (r->net == WANT_CONNECTED && !r->noticing)
		r->noticing = after(r->m->kernel, pick(lo, hi), notice, r);
}

/* ---- finding each other ------------------------------------------------------------------------------------------ */

static bool in_history(const struct replica *r, uint64_t uuid)
{
	for (size_t i = 0; i < ARRAY_SIZE(r->history); i++)
		if (uuid && r->history[i] == uuid)
			return true;
	return false;
}

enum direction { NO_SYNC, A_IS_SOURCE, B_IS_SOURCE, SPLIT };

static enum direction compare(const struct replica *a, const struct replica *b, uint64_t *bits, bool tie)
{
	const uint64_t all = BLOCKS == 64 ? ~UINT64_C(0) : (UINT64_C(1) << BLOCKS) - 1;

	*bits = a->out_of_sync | b->out_of_sync;
	if (a->current == JUST_CREATED || b->current == JUST_CREATED) {
		*bits = all;
		return a->current == b->current ? NO_SYNC : a->current == JUST_CREATED ? B_IS_SOURCE : A_IS_SOURCE;
	}
	if (a->current == b->current) {
		*bits |= (a->md_crashed ? a->hot : 0) | (b->md_crashed ? b->hot : 0);
		if (a->md_crashed != b->md_crashed && a->role != DRBD_ROLE_PRIMARY && b->role != DRBD_ROLE_PRIMARY)
			return a->md_crashed ? A_IS_SOURCE : B_IS_SOURCE;
		if (a->role == DRBD_ROLE_PRIMARY || b->role == DRBD_ROLE_PRIMARY) {
			/* The flag is set while one is Primary: a live Primary is ahead of whoever crashed. */
			bool crash_a = a->md_crashed && a->role != DRBD_ROLE_PRIMARY, crash_b = b->md_crashed && b->role != DRBD_ROLE_PRIMARY;

			return crash_a ? A_IS_SOURCE : crash_b ? B_IS_SOURCE : NO_SYNC;
		}
		if (a->md_crashed && b->md_crashed)
			return tie ? A_IS_SOURCE : B_IS_SOURCE;
		return NO_SYNC;
	}
	*bits |= (a->md_crashed ? a->hot : 0) | (b->md_crashed ? b->hot : 0);
	if (a->bitmap_uuid == b->current)
		return A_IS_SOURCE;
	if (b->bitmap_uuid == a->current)
		return B_IS_SOURCE;
	*bits = all;
	if (in_history(a, b->current))
		return A_IS_SOURCE;
	if (in_history(b, a->current))
		return B_IS_SOURCE;
	return SPLIT;
}

static void stand_alone(struct replica *a, struct replica *b, const char *why)
{
	trace("%s: %s: StandAlone", a->name, why);
	a->net = b->net = WANT_NONE;
}

static void thaw(struct replica *r, struct replica *p)
{
	bool was = r->frozen;

	r->frozen = false;
	if (!r->write.active)
		return;
	if (was && attached(r) && good(r)) {
		r->block[r->write.block] = r->write.value;
		r->hot |= UINT64_C(1) << r->write.block;
	}
	if (p)
		send_write(r); /* sent again */
}

static void sync_done(void *arg)
{
	struct replica *s = arg, *t = linked(s);

	s->syncing = NULL;
	if (!t || s->sync != SYNC_SOURCE || t->sync != SYNC_TARGET)
		return;
	if (!wire(s, t)) { /* goes on when the cable is back, or ends with the connection */
		s->syncing = after(s->m->kernel, 500 * MS, sync_done, s);
		return;
	}
	memcpy(t->block, s->block, sizeof(t->block));
	t->current = s->current;
	memcpy(t->history, s->history, sizeof(t->history));
	s->bitmap_uuid = t->bitmap_uuid = 0;
	s->out_of_sync = t->out_of_sync = 0;
	if (t->role != DRBD_ROLE_PRIMARY)
		t->md_crashed = false;
	if (s->role != DRBD_ROLE_PRIMARY)
		s->md_crashed = false;
	s->sync = t->sync = SYNC_NONE;
	set_disk(t, DRBD_DISK_UPTODATE);
	set_peer_disk(s, DRBD_DISK_UPTODATE);
	set_peer_disk(t, DRBD_DISK_UPTODATE);
	trace("%s: resync from %s done", s->name, s->m->name);
}

static void start_sync(struct replica *s, struct replica *t, uint64_t bits)
{
	if (s->disk != DRBD_DISK_UPTODATE)
		set_disk(s, DRBD_DISK_UPTODATE);
	s->out_of_sync |= bits;
	set_disk(t, DRBD_DISK_INCONSISTENT);
	set_peer_disk(s, DRBD_DISK_INCONSISTENT);
	set_peer_disk(t, DRBD_DISK_UPTODATE);
	s->sync = SYNC_SOURCE;
	t->sync = SYNC_TARGET;
	if (s->bitmap_uuid == 0 && s->current != t->current)
		s->bitmap_uuid = t->current;
	s->syncing = after(s->m->kernel, 100 * MS + BLOCK_SYNC * __builtin_popcountll(bits), sync_done, s);
	trace("%s: resync of %d blocks from %s", s->name, __builtin_popcountll(bits), s->m->name);
}

/* Which way, or not at all; false = they part again. */
static bool agree(struct replica *a, struct replica *b)
{
	bool pa = a->role == DRBD_ROLE_PRIMARY, pb = b->role == DRBD_ROLE_PRIMARY;
	uint64_t bits = 0;

	if (pa && pb && !(a->two && b->two)) {
		stand_alone(a, b, "two Primaries");
		return false;
	}
	if (!attached(a) || !attached(b)) {
		struct replica *with = attached(a) ? a : b, *without = attached(a) ? b : a;

		if (!attached(with))
			return true;
		if (without->role == DRBD_ROLE_PRIMARY && with->disk == DRBD_DISK_INCONSISTENT) {
			stand_alone(a, b, "no data to go on with");
			return false;
		}
		if (without->role == DRBD_ROLE_PRIMARY && without->exposed != with->current) { /* it remembers what it was exposed to */
			stand_alone(a, b, "the Primary knows newer data");
			return false;
		}
		set_peer_disk(with, DRBD_DISK_DISKLESS);
		if (with->disk == DRBD_DISK_CONSISTENT || with->disk == DRBD_DISK_OUTDATED)
			set_disk(with, DRBD_DISK_UPTODATE);
		without->peer_disk = with->disk;
		if (pa || pb) {
			if (with->bitmap_uuid == 0)
				new_current(with);
			without->exposed = with->current;
		}
		return true;
	}
	enum direction d = compare(a, b, &bits, chance(500));
	if (a->disk == DRBD_DISK_INCONSISTENT && b->disk == DRBD_DISK_INCONSISTENT) {
		if (d != NO_SYNC || a->current != JUST_CREATED) {
			stand_alone(a, b, "no good data on either side");
			return false;
		}
		a->peer_disk = b->peer_disk = DRBD_DISK_INCONSISTENT;
		return true;
	}
	if (d == NO_SYNC && (a->disk == DRBD_DISK_INCONSISTENT || b->disk == DRBD_DISK_INCONSISTENT))
		d = a->disk == DRBD_DISK_INCONSISTENT ? B_IS_SOURCE : A_IS_SOURCE;
	if (d == NO_SYNC) {
		for (int i = 0; i < 2; i++) {
			struct replica *r = i ? b : a;

			r->out_of_sync = 0;
			r->bitmap_uuid = 0;
			set_disk(r, DRBD_DISK_UPTODATE);
			set_peer_disk(r, DRBD_DISK_UPTODATE);
		}
		return true;
	}
	if (d == SPLIT) {
		stand_alone(a, b, "split brain");
		W.counts.split_brains++;
		return false;
	}
	struct replica *s = d == A_IS_SOURCE ? a : b, *t = d == A_IS_SOURCE ? b : a;
	if (s->disk == DRBD_DISK_INCONSISTENT) {
		stand_alone(a, b, "the newer side is inconsistent");
		return false;
	}
	if (t->role == DRBD_ROLE_PRIMARY) {
		stand_alone(a, b, "I shall become SyncTarget, but I am primary");
		return false;
	}
	start_sync(s, t, bits);
	return true;
}

static void handshake(struct replica *a, struct replica *b)
{
	a->session = b->session = ++next_session;
	if (!agree(a, b)) {
		a->session = b->session = 0;
		return;
	}
	a->net = b->net = WANT_CONNECTED;
	a->connects++;
	b->connects++;
	trace("%s: connected %s/%s", a->name, dname(a->disk), dname(b->disk));
	thaw(a, b);
	thaw(b, a);
}

static void try_connect(void *arg)
{
	struct replica *r = arg, *p;

	if (!r->up || r->net != WANT_CONNECTING)
		return;
	p = replica_peer(r);
	if (p && p->net == WANT_CONNECTING && wire(r, p))
		handshake(r, p);
	else if (p && p->net == WANT_CONNECTED && wire(r, p))
		notice_within(p, 1 * MS, 400 * MS); /* a second connection comes: its old one is found dead */
}

/* After any change of cables: what is cut will be noticed, what may meet will try. */
void drbd_net_changed(void)
{
	for (int i = 0; i < W.n; i++)
		list_for_each(l, &W.m[i].replicas) {
			struct replica *r = list_entry(l, struct replica, link);

			if (!r->up || !r->m->power)
				continue;
			if (r->net == WANT_CONNECTED) {
				struct replica *p = linked(r);

				if (!p || !wire(r, p))
					notice_within(r, NOTICE_MIN, NOTICE_MAX);
			} else if (r->net == WANT_CONNECTING) {
				(void)after(r->m->kernel, pick(100 * MS, 1500 * MS), try_connect, r);
			}
		}
}

/* ---- power and disks --------------------------------------------------------------------------------------------- */

void drbd_power_lost(struct machine *m)
{
	list_for_each(l, &m->replicas) {
		struct replica *r = list_entry(l, struct replica, link);

		if (r->up && r->write.active && !r->frozen && attached(r) && chance(500))
			r->block[r->write.block] = r->write.value; /* landed, or not: nobody was told */
		r->up = r->frozen = r->handler_runs = r->two = false;
		r->role = DRBD_ROLE_SECONDARY;
		r->disk = DRBD_DISK_DISKLESS;
		r->net = WANT_NONE;
		r->session = 0;
		r->sync = SYNC_NONE;
		r->write.active = false;
		r->noticing = r->syncing = NULL; /* they went with the kernel */
	}
}

static void lose_disk(struct replica *r)
{
	struct replica *p = linked(r);

	write_md(r);
	if (r->role == DRBD_ROLE_PRIMARY)
		r->md_crashed = true;
	stop_sync(r);
	if (p && p->sync != SYNC_NONE)
		stop_sync(p);
	r->disk = DRBD_DISK_DISKLESS;
	r->exposed = r->current;
	trace("%s %s: detached", r->m->name, r->name);
	if (!p) {
		if (r->role == DRBD_ROLE_PRIMARY && !r->frozen)
			finish_write(r, false);
		return;
	}
	set_peer_disk(p, DRBD_DISK_DISKLESS);
	if (good(p) && (p->role == DRBD_ROLE_PRIMARY || r->role == DRBD_ROLE_PRIMARY)) {
		if (p->bitmap_uuid == 0)
			new_current(p);
		r->exposed = p->current; /* it is told of the new generation */
		p->out_of_sync |= p->write.active ? UINT64_C(1) << p->write.block : 0;
	}
}

/* Holds it every acknowledged write, and may it be started from? */
static bool whole(const struct replica *r)
{
	const struct ledger *l = ledger_of(r->uuid, r->name);
	AUTO_FREE char *mark = xasprintf("%s/var/lib/gantry/stale/%s", machine_root(r->m), r->uuid);

	if (!r->md || !r->md_consistent || machine_file(r->m, mark) || !l)
		return false;
	for (int b = 0; b < BLOCKS; b++)
		if (r->block[b] < l->acked[b])
			return false;
	return true;
}

static void note_loss(const struct replica *r)
{
	struct ledger *l = ledger_of(r->uuid, r->name);
	bool other = false;

	for (int i = 0; i < W.n; i++) {
		const struct replica *o = &W.m[i] == r->m ? NULL : replica_find(&W.m[i], r->name);

		other = other || (o && strcmp(o->uuid, r->uuid) == 0 && whole(o));
	}
	if (l && !other)
		l->hopeless = true;
}

/* An I/O error: the disk goes, and the kernel calls local-io-error. */
void drbd_disk_fails(struct machine *m, const char *resource)
{
	struct replica *r = replica_find(m, resource);

	if (!r || !r->up || !attached(r))
		return;
	if (whole(r))
		note_loss(r);
	fork_handler(r, "local-io-error");
	lose_disk(r);
}

/* ---- the tool's orders -------------------------------------------------------------------------------------------- */

static struct machine *of(struct drbdm *d)
{
	for (int i = 0; i < W.n; i++)
		if (drbd_of(&W.m[i]) == d)
			return &W.m[i];
	abort();
}

static int must(struct drbdm *d, const char *name, const char *what, int64_t max_us, struct replica **ret, struct err *err)
{
	int rc = call_begin(what, max_us, err);

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
	if (r->up && attached(r))
		return err_set(err, ERR_BUSY, "resource '%s' is in use", c->resource);
	if (!volume_owner(r->m, r->disk_name)[0])
		return err_set(err, ERR_COMMAND_FAILED, "no such device '%s'", r->disk_name);
	if (force || !r->md) {
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
}

static void read_conf(struct replica *r)
{
	r->arbitrated = r->conf_arbitrated;
	if (strcmp(r->kernel_peer, r->peer) != 0) {
		if (r->net == WANT_CONNECTED)
			lost(r, WANT_NONE);
		r->net = WANT_NONE;
		(void)str_copy(r->kernel_peer, sizeof(r->kernel_peer), r->peer);
	}
}

static int do_attach(struct replica *r, struct err *err)
{
	if (attached(r))
		return 0;
	if (!r->md || !volume_owner(r->m, r->disk_name)[0])
		return err_set(err, ERR_COMMAND_FAILED, "no valid meta data on '%s'", r->disk_name);
	struct replica *p = linked(r);
	if (!r->md_consistent)
		r->disk = DRBD_DISK_INCONSISTENT;
	else if (!r->md_uptodate)
		r->disk = DRBD_DISK_OUTDATED;
	else
		r->disk = r->md_peer_outdated || !r->arbitrated ? DRBD_DISK_UPTODATE : DRBD_DISK_CONSISTENT;
	if (!p)
		r->peer_disk = r->md_peer_outdated ? DRBD_DISK_OUTDATED : DRBD_DISK_UNKNOWN;
	trace("%s %s: attached, %s", r->m->name, r->name, dname(r->disk));
	if (p && !agree(r, p)) { /* negotiated over the living connection */
		r->session = p->session = 0;
		lost(r, WANT_NONE);
		lost(p, WANT_NONE);
	}
	return 0;
}

static int attach(struct drbdm *d, const char *name, struct err *err)
{
	struct replica *r = NULL;
	int rc = must(d, name, "attach", 500 * MS, &r, err);

	if (rc < 0)
		return rc;
	bring_up(r);
	read_conf(r);
	rc = do_attach(r, err);
	return rc < 0 ? rc : call_end(err);
}

static void do_connect(struct replica *r, bool discard)
{
	if (r->net != WANT_NONE)
		return;
	if (discard) { /* its changes are given up when the other side's are newer: modelled as an old, outdated generation */
		struct replica *p = replica_peer(r);

		if (p && attached(r) && r->role != DRBD_ROLE_PRIMARY)
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
	read_conf(r);
	do_connect(r, discard);
	return call_end(err);
}

static int adjust(struct drbdm *d, const char *name, struct err *err)
{
	struct replica *r = NULL;
	int rc = must(d, name, "adjust", 700 * MS, &r, err);

	if (rc < 0)
		return rc;
	bring_up(r);
	read_conf(r);
	rc = do_attach(r, err);
	if (rc < 0)
		return rc;
	do_connect(r, false);
	return call_end(err);
}

static void fake_disconnect_now(struct replica *r, bool force)
{
	struct replica *p = linked(r);

	if (!p) {
		lost(r, WANT_NONE);
		r->net = WANT_NONE;
		return;
	}
	bool polite = !force && r->role != DRBD_ROLE_PRIMARY && wire(r, p);
	if (polite) { /* it outdates itself; the other side goes on unasked */
		if (good(r) && p->role == DRBD_ROLE_PRIMARY) {
			set_disk(r, DRBD_DISK_OUTDATED);
			set_peer_disk(p, DRBD_DISK_OUTDATED);
		}
		r->session = 0;
		lost(r, WANT_NONE);
		lost(p, WANT_CONNECTING);
		return;
	}
	r->session = 0;
	lost(r, WANT_NONE);
	if (wire(r, p))
		notice_within(p, 1 * MS, 50 * MS);
	else
		notice_within(p, NOTICE_MIN, NOTICE_MAX);
}

static int fake_disconnect(struct drbdm *d, const char *name, bool force, struct err *err)
{
	struct replica *r = NULL;
	int rc = must(d, name, force ? "disconnect --force" : "disconnect", 300 * MS, &r, err);

	if (rc < 0)
		return rc;
	if (r->up)
		fake_disconnect_now(r, force);
	return call_end(err);
}

static int detach(struct drbdm *d, const char *name, bool force, struct err *err)
{
	struct replica *r = NULL;
	int rc = must(d, name, "detach", 300 * MS, &r, err);

	(void)force;
	if (rc < 0)
		return rc;
	if (r->up && attached(r))
		lose_disk(r);
	return call_end(err);
}

static int down(struct drbdm *d, const char *name, struct err *err)
{
	struct machine *m = of(d);
	int rc = call_begin("down", 500 * MS, err);
	struct replica *r = rc < 0 ? NULL : replica_find(m, name);

	if (rc < 0)
		return rc;
	if (!r || !r->up)
		return call_end(err);
	if (r->role == DRBD_ROLE_PRIMARY && guest_on(m, r))
		return err_set(err, ERR_BUSY, "resource '%s' is held open", name);
	if (r->role == DRBD_ROLE_PRIMARY) /* down demotes first when it can */
		return err_set(err, ERR_BUSY, "resource '%s' is Primary", name);
	fake_disconnect_now(r, false);
	if (attached(r))
		write_md(r);
	r->disk = DRBD_DISK_DISKLESS;
	r->up = false;
	r->two = false;
	r->net = WANT_NONE;
	r->kernel_peer[0] = '\0';
	return call_end(err);
}

static int primary_allowed(struct replica *r, bool force, struct err *err)
{
	struct replica *p = linked(r);

	if (p && p->role == DRBD_ROLE_PRIMARY && !(r->two && p->two))
		return err_set(err, ERR_WRONG_STATE, "resource '%s': multiple primaries not allowed by config", r->name);
	if (p && (good(r) || good(p)))
		return 0;
	if (r->disk == DRBD_DISK_UPTODATE || r->disk == DRBD_DISK_CONSISTENT)
		return 0;
	if (force && attached(r))
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
	if (!linked(r) && r->arbitrated && r->peer_disk == DRBD_DISK_UNKNOWN && !(force && !good(r))) {
		int64_t connects = r->connects;

		int verdict = call_handler(name, "fence-peer");
		trace("%s: promotion's handler ends with %d", name, verdict);
		if ((verdict != 7 && verdict != 5 && verdict != 4) || connects != r->connects || !r->up)
			return err_set(err, ERR_WRONG_STATE, "resource '%s': refusing to be Primary while peer is not outdated", name);
		set_peer_disk(r, DRBD_DISK_OUTDATED);
		rc = primary_allowed(r, force, err);
		if (rc < 0)
			return rc;
	}
	if (force && attached(r) && !good(r))
		new_current(r);
	r->role = DRBD_ROLE_PRIMARY;
	if (attached(r) && (r->disk == DRBD_DISK_CONSISTENT || force) && !linked(r))
		r->disk = DRBD_DISK_UPTODATE;
	write_md(r);
	if (!linked(r) && good(r) && r->bitmap_uuid == 0)
		new_current(r);
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
	r->role = DRBD_ROLE_SECONDARY;
	if (attached(r)) { /* without its disk it cannot write there that the Primary left in order */
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
	struct replica *p = linked(r);
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
		if (linked(r)) {
			thaw(r, linked(r));
		} else if (good(r)) {
			go_on_alone(r);
		} else {
			r->frozen = false;
			finish_write(r, false);
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
	struct replica *p = linked(r);
	if (!attached(r))
		return err_set(err, ERR_COMMAND_FAILED, "resource '%s' has no disk", name);
	if (clear_bitmap && p && r->current == JUST_CREATED) {
		r->current = p->current = 100 + W.next_uuid++;
		r->bitmap_uuid = p->bitmap_uuid = r->out_of_sync = p->out_of_sync = 0;
		memcpy(p->block, r->block, sizeof(p->block)); /* new volumes: what either holds is as good */
		set_disk(r, DRBD_DISK_UPTODATE);
		set_disk(p, DRBD_DISK_UPTODATE);
		set_peer_disk(r, DRBD_DISK_UPTODATE);
		set_peer_disk(p, DRBD_DISK_UPTODATE);
	} else if (r->net == WANT_NONE) {
		new_current(r);
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
	const struct replica *p = linked(r);
	s->role = r->role;
	s->peer_role = r->net == WANT_CONNECTED && p ? p->role : DRBD_ROLE_UNKNOWN;
	s->conn = r->net == WANT_CONNECTED ? DRBD_CONN_CONNECTED : r->net == WANT_CONNECTING ? DRBD_CONN_CONNECTING : DRBD_CONN_STANDALONE;
	s->suspended_fencing = r->frozen;
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
	struct replica *r = replica_find(of(d), name);

	(void)err;
	memset(ret, 0, sizeof(*ret));
	if (r)
		fill(r, ret);
	return 0;
}

static int status_all(struct drbdm *d, struct drbd_status **ret, int *ret_n, struct err *err)
{
	struct machine *m = of(d);
	int n = 0;

	(void)err;
	list_for_each(l, &m->replicas)
		n++;
	*ret = xcalloc((size_t)n + 1, sizeof(**ret));
	n = 0;
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
	int n = 0;

	(void)err;
	list_for_each(l, &m->replicas)
		n++;
	*ret = n ? xcalloc((size_t)n, sizeof(**ret)) : NULL; /* large ones, and asked for at each look */
	n = 0;
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

static const struct drbdm_ops ops = {
	.name = "sim",
	.write_conf = write_conf,
	.remove_conf = remove_conf,
	.create_md = create_md,
	.adjust = adjust,
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

struct drbdm *drbd_of(struct machine *m)
{
	static struct drbdm all[MACHINES_MAX];

	all[m->index].ops = &ops;
	return &all[m->index];
}
