/* SPDX-License-Identifier: Apache-2.0 */
/* What is on a replica's disk, and what becomes of it: data generations, metadata, an attach, lost power, a disk that fails. */
#include <string.h>

#include "common/xmem.h"
#include "tests/sim/drbd84.h"

/* ---- data generations ------------------------------------------------------------------------------------ */

void replica_new_current(struct replica *r)
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
void replica_write_md(struct replica *r)
{
	if (!replica_attached(r))
		return;
	r->md_consistent = r->disk != DRBD_DISK_INCONSISTENT;
	r->md_uptodate = r->disk == DRBD_DISK_UPTODATE || r->disk == DRBD_DISK_CONSISTENT;
	r->md_peer_outdated = r->peer_disk == DRBD_DISK_OUTDATED || r->peer_disk == DRBD_DISK_INCONSISTENT;
	if (r->role == DRBD_ROLE_PRIMARY)
		r->md_crashed = true; /* taken back by an orderly demotion */
}

void replica_set_disk(struct replica *r, enum drbd_dstate d)
{
	if (r->disk != d)
		trace("%s %s: disk %s", r->m->name, r->name, drbd_dstate_name(d));
	r->disk = d;
	replica_write_md(r);
}

void replica_set_peer_disk(struct replica *r, enum drbd_dstate d)
{
	r->peer_disk = d;
	replica_write_md(r);
}

/* ---- power and disks --------------------------------------------------------------------------------------------- */

void drbd_power_lost(struct machine *m)
{
	list_for_each(l, &m->replicas) {
		struct replica *r = list_entry(l, struct replica, link);

		if (r->up && r->write.active && !r->frozen && replica_attached(r) && chance(500))
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

void replica_lose_disk(struct replica *r)
{
	struct replica *p = replica_linked(r);

	replica_write_md(r);
	if (r->role == DRBD_ROLE_PRIMARY)
		r->md_crashed = true;
	replica_stop_sync(r);
	if (p && p->sync != SYNC_NONE)
		replica_stop_sync(p);
	r->disk = DRBD_DISK_DISKLESS;
	r->exposed = r->current;
	trace("%s %s: detached", r->m->name, r->name);
	if (r->role == DRBD_ROLE_PRIMARY && !(p && replica_good(p))) {
		if (r->arbitrated)
			replica_freeze(r);
		else if (!r->frozen)
			replica_finish_write(r, false);
	}
	if (!p)
		return;
	replica_set_peer_disk(p, DRBD_DISK_DISKLESS);
	if (replica_good(p) && (p->role == DRBD_ROLE_PRIMARY || r->role == DRBD_ROLE_PRIMARY)) {
		if (p->bitmap_uuid == 0)
			replica_new_current(p);
		r->exposed = p->current; /* it is told of the new generation */
		p->out_of_sync |= p->write.active ? UINT64_C(1) << p->write.block : 0;
	}
}

/* Holds it every acknowledged write, and may it be started from? */
static bool whole(const struct replica *r)
{
	const struct ledger *l = ledger_of(r->uuid, r->name);
	AUTO_FREE char *mark = xasprintf("%s/var/lib/gantry/stale/%s", machine_root(r->m), r->uuid);

	if (r->failed || !r->md || !r->md_consistent || machine_file(r->m, mark) || !l)
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

		/* What is left of one that is no replica any more is for a person to copy: no request heals by it. */
		other = other || (o && strcmp(o->uuid, r->uuid) == 0 && whole(o) && log_lists(r->uuid, W.m[i].uuid));
	}
	if (l && !other)
		l->hopeless = true;
}

#define UNHEARD (1 * SEC) /* a disk's failure, until its node's report could have stopped anybody */

/* What it held is overwritten. While the disk that was to be the source failed unheard of, that is the loss of a disk in a resync, which nothing heals (003, H7). */
void replica_made_anew(const struct replica *r)
{
	if (!whole(r))
		return;
	for (int i = 0; i < W.n; i++) {
		const struct replica *o = &W.m[i] == r->m ? NULL : replica_find(&W.m[i], r->name);

		if (o && o->failed && eng.now - o->failed_at < UNHEARD)
			note_loss(r);
	}
}

/* An I/O error: the disk goes, and the kernel calls local-io-error. */
void drbd_disk_fails(struct machine *m, const char *resource)
{
	struct replica *r = replica_find(m, resource);

	if (!r || !r->up || !replica_attached(r))
		return;
	if (whole(r))
		note_loss(r);
	r->failed = true;
	r->failed_at = eng.now;
	replica_fork_handler(r, "local-io-error");
	replica_lose_disk(r);
}

/* ---- attach ------------------------------------------------------------------------------------------------------ */

int replica_attach(struct replica *r, struct err *err)
{
	if (replica_attached(r))
		return 0;
	if (!r->md || !volume_owner(r->m, r->disk_name)[0])
		return err_set(err, ERR_COMMAND_FAILED, "no valid meta data on '%s'", r->disk_name);
	struct replica *p = replica_linked(r);
	r->failed = false;
	if (!r->md_consistent)
		r->disk = DRBD_DISK_INCONSISTENT;
	else if (!r->md_uptodate)
		r->disk = DRBD_DISK_OUTDATED;
	else
		r->disk = r->md_peer_outdated || !r->arbitrated ? DRBD_DISK_UPTODATE : DRBD_DISK_CONSISTENT;
	if (!p)
		r->peer_disk = r->md_peer_outdated ? DRBD_DISK_OUTDATED : DRBD_DISK_UNKNOWN;
	trace("%s %s: attached, %s", r->m->name, r->name, drbd_dstate_name(r->disk));
	if (p && !replica_agree(r, p)) { /* negotiated over the living connection, which both lose by it */
		r->net = p->net = WANT_CONNECTED;
		r->session = p->session = 0;
		replica_lost(r, WANT_NONE);
		replica_lost(p, WANT_NONE);
	}
	return 0;
}
