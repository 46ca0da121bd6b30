/* SPDX-License-Identifier: Apache-2.0 */
/* Replicas lose each other and find each other: who notices when, which way they resync, or that they stay apart. */
#include <stdlib.h>
#include <string.h>

#include "common/xmem.h"
#include "tests/sim/drbd84.h"

#define NOTICE_MIN (300 * MS)
#define NOTICE_MAX (5 * SEC)
#define BLOCK_SYNC (40 * MS)

static int64_t next_session;

/* ---- losing each other ------------------------------------------------------------------------------------------- */

void replica_stop_sync(struct replica *r)
{
	event_cancel(r->syncing);
	r->syncing = NULL;
	r->sync = SYNC_NONE;
}

/* This side finds its connection dead (or ends it): its state from then on. */
void replica_lost(struct replica *r, enum net_want then)
{
	if (r->net != WANT_CONNECTED) {
		r->net = then;
		return;
	}
	trace("%s %s: connection lost", r->m->name, r->name);
	event_cancel(r->noticing);
	r->noticing = NULL;
	replica_stop_sync(r);
	r->net = then;
	r->session = 0;
	if (r->peer_disk != DRBD_DISK_INCONSISTENT && r->peer_disk != DRBD_DISK_OUTDATED)
		replica_set_peer_disk(r, DRBD_DISK_UNKNOWN);
	if (r->role != DRBD_ROLE_PRIMARY)
		return;
	if (!replica_good(r)) { /* nothing to go on with: never fenced for */
		if (r->arbitrated)
			replica_freeze(r);
		else if (!r->frozen)
			replica_finish_write(r, false);
		return;
	}
	if (r->arbitrated && r->peer_disk == DRBD_DISK_UNKNOWN) {
		replica_freeze(r);
		return;
	}
	if (r->bitmap_uuid == 0)
		replica_new_current(r);
	replica_write_alone(r);
}

static void notice(void *arg)
{
	struct replica *r = arg;

	r->noticing = NULL;
	replica_lost(r, WANT_CONNECTING);
	drbd_net_changed();
}

static void notice_within(struct replica *r, int64_t lo, int64_t hi)
{
	if (r->net == WANT_CONNECTED && !r->noticing)
		r->noticing = after(r->m->kernel, pick(lo, hi), notice, r);
}

void replica_disconnect(struct replica *r, bool force)
{
	struct replica *p = replica_linked(r);

	if (!p) {
		replica_lost(r, WANT_NONE);
		r->net = WANT_NONE;
		return;
	}
	bool polite = !force && r->role != DRBD_ROLE_PRIMARY && replica_wired(r, p);
	if (polite) { /* it outdates itself; the other side goes on unasked */
		if (replica_good(r) && p->role == DRBD_ROLE_PRIMARY) {
			replica_set_disk(r, DRBD_DISK_OUTDATED);
			replica_set_peer_disk(p, DRBD_DISK_OUTDATED);
		}
		r->session = 0;
		replica_lost(r, WANT_NONE);
		replica_lost(p, WANT_CONNECTING);
		return;
	}
	r->session = 0;
	replica_lost(r, WANT_NONE);
	if (replica_wired(r, p))
		notice_within(p, 1 * MS, 50 * MS);
	else
		notice_within(p, NOTICE_MIN, NOTICE_MAX);
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

void replica_thaw(struct replica *r, struct replica *p)
{
	bool was = r->frozen;

	r->frozen = false;
	if (!r->write.active)
		return;
	if (was && replica_attached(r) && replica_good(r)) {
		r->block[r->write.block] = r->write.value;
		r->hot |= UINT64_C(1) << r->write.block;
	}
	if (p && !replica_good(r) && !replica_good(p))
		replica_finish_write(r, false); /* sent again to a peer without a disk, which says that it has not written it (P_NEG_ACK) */
	else if (p)
		replica_send_write(r); /* sent again */
}

static void sync_done(void *arg)
{
	struct replica *s = arg, *t = replica_linked(s);

	s->syncing = NULL;
	if (!t || s->sync != SYNC_SOURCE || t->sync != SYNC_TARGET)
		return;
	if (!replica_wired(s, t)) { /* goes on when the cable is back, or ends with the connection */
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
	replica_set_disk(t, DRBD_DISK_UPTODATE);
	replica_set_peer_disk(s, DRBD_DISK_UPTODATE);
	replica_set_peer_disk(t, DRBD_DISK_UPTODATE);
	trace("%s: resync from %s done", s->name, s->m->name);
}

static void start_sync(struct replica *s, struct replica *t, uint64_t bits)
{
	if (s->disk != DRBD_DISK_UPTODATE)
		replica_set_disk(s, DRBD_DISK_UPTODATE);
	s->out_of_sync |= bits;
	replica_set_disk(t, DRBD_DISK_INCONSISTENT);
	replica_set_peer_disk(s, DRBD_DISK_INCONSISTENT);
	replica_set_peer_disk(t, DRBD_DISK_UPTODATE);
	s->sync = SYNC_SOURCE;
	t->sync = SYNC_TARGET;
	if (s->bitmap_uuid == 0 && s->current != t->current)
		s->bitmap_uuid = t->current;
	s->syncing = after(s->m->kernel, 100 * MS + BLOCK_SYNC * __builtin_popcountll(bits), sync_done, s);
	trace("%s: resync of %d blocks from %s", s->name, __builtin_popcountll(bits), s->m->name);
}

/*
 * Each side finds out by itself, from what the other has sent, and calls the handler; or it only sees the connection go, as the other was quicker. On the
 * real module one has learnt of it seconds after the other.
 */
static void tell_split(struct replica *a, struct replica *b)
{
	bool first = chance(500), both = chance(700);
	struct replica *quick = first ? a : b, *late = first ? b : a;

	replica_fork_handler(quick, "split-brain");
	if (both)
		replica_fork_handler(late, "split-brain");
}

/* Which way, or not at all; false = they part again. */
bool replica_agree(struct replica *a, struct replica *b)
{
	bool pa = a->role == DRBD_ROLE_PRIMARY, pb = b->role == DRBD_ROLE_PRIMARY;
	uint64_t bits = 0;

	if (pa && pb && !(a->two && b->two)) {
		stand_alone(a, b, "two Primaries");
		return false;
	}
	if (!replica_attached(a) || !replica_attached(b)) {
		struct replica *with = replica_attached(a) ? a : b, *without = replica_attached(a) ? b : a;

		if (!replica_attached(with))
			return true;
		if (without->role == DRBD_ROLE_PRIMARY && with->disk == DRBD_DISK_INCONSISTENT) {
			stand_alone(a, b, "no data to go on with");
			return false;
		}
		if (without->role == DRBD_ROLE_PRIMARY && without->exposed != with->current) { /* it remembers what it was exposed to */
			stand_alone(a, b, "the Primary knows newer data");
			return false;
		}
		replica_set_peer_disk(with, DRBD_DISK_DISKLESS);
		if (with->disk == DRBD_DISK_CONSISTENT || with->disk == DRBD_DISK_OUTDATED)
			replica_set_disk(with, DRBD_DISK_UPTODATE);
		without->peer_disk = with->disk;
		if (pa || pb) {
			if (with->bitmap_uuid == 0)
				replica_new_current(with);
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
			replica_set_disk(r, DRBD_DISK_UPTODATE);
			replica_set_peer_disk(r, DRBD_DISK_UPTODATE);
		}
		return true;
	}
	if (d == SPLIT) {
		stand_alone(a, b, "split brain");
		W.counts.split_brains++;
		tell_split(a, b);
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

struct shake {
	struct replica *a, *b;
	int64_t session;
};

static bool still_shakes(const struct replica *r, const struct shake *s)
{
	return r->up && r->m->power && r->net == WANT_SHAKING && r->session == s->session;
}

/* One has gone meanwhile, or the cable: whoever waits still looks for it anew. */
static void shake_broken(struct shake *s)
{
	if (still_shakes(s->a, s))
		s->a->net = WANT_CONNECTING;
	if (still_shakes(s->b, s))
		s->b->net = WANT_CONNECTING;
	drbd_net_changed();
}

static void shaken(void *arg)
{
	struct shake *s = arg;
	struct replica *a = s->a, *b = s->b;
	bool both = still_shakes(a, s) && still_shakes(b, s) && replica_peer(a) == b && replica_wired(a, b);

	if (!both)
		shake_broken(s);
	free(s);
	if (!both)
		return;
	if (!replica_agree(a, b)) {
		a->session = b->session = 0;
		return;
	}
	a->net = b->net = WANT_CONNECTED;
	a->connects++;
	b->connects++;
	trace("%s: connected %s/%s", a->name, drbd_dstate_name(a->disk), drbd_dstate_name(b->disk));
	replica_thaw(a, b);
	replica_thaw(b, a);
}

/* What each has is told and compared; until then neither is connected in anything but name. */
static void shake_hands(struct replica *a, struct replica *b)
{
	struct shake *s = xcalloc(1, sizeof(*s));
	int64_t us = W.shake_us ? W.shake_us : chance(60) ? pick(100 * MS, 3 * SEC) : pick(1 * MS, 40 * MS);

	a->session = b->session = ++next_session;
	a->net = b->net = WANT_SHAKING;
	*s = (struct shake){ a, b, a->session };
	(void)after(NULL, us, shaken, s);
}

static void try_connect(void *arg)
{
	struct replica *r = arg, *p;

	if (!r->up || r->net != WANT_CONNECTING)
		return;
	p = replica_peer(r);
	if (p && p->net == WANT_CONNECTING && replica_wired(r, p))
		shake_hands(r, p);
	else if (p && p->net == WANT_CONNECTED && replica_wired(r, p))
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
				struct replica *p = replica_linked(r);

				if (!p || !replica_wired(r, p))
					notice_within(r, NOTICE_MIN, NOTICE_MAX);
			} else if (r->net == WANT_CONNECTING) {
				(void)after(r->m->kernel, pick(100 * MS, 1500 * MS), try_connect, r);
			}
		}
}
