/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stream of `drbdsetup events2 --statistics all` (8.4 and 9; 8.4 demands the "all") as a table of struct
 * drbd_status. Pure: bytes go in with drbd_events_feed(), callbacks come out of that call.
 *
 * The child first prints everything that exists, then "exists -", then changes. Until then nothing is reported,
 * so a resource is never shown half read. With --now it ends there. DRBD 9's events2 ends when its standard
 * input ends: give it a pipe that stays open (8.4 does not look at it).
 *
 * Progress of a resync is not in 8.4's stream (out-of-sync comes only with a change of state): read it with
 * drbdm_ops.status while a volume is syncing.
 */
#ifndef STORAGE_DRBD_DRBD_EVENTS_H
#define STORAGE_DRBD_DRBD_EVENTS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/cleanup.h"
#include "storage/storage.h"

struct drbd_events;

/*
 * A resource differs from what was last reported. before is NULL for one never reported; now->up = false for
 * one that is gone. Both are borrowed for the call. The callback must not call back into this module, but for reads.
 */
typedef void drbd_events_fn(void *arg, const struct drbd_status *before, const struct drbd_status *now);

struct drbd_events *drbd_events_new(drbd_events_fn *fn, void *arg); /* fn may be NULL */
void drbd_events_free(struct drbd_events *ev);
DEFINE_CLEANUP(struct drbd_events *, drbd_events_free);

/* Bytes as they come from the child's pipe, cut anywhere. Lines over 4096 bytes are dropped (and count as lost). */
void drbd_events_feed(struct drbd_events *ev, const char *data, size_t n);

/*
 * The child was started anew. The table stays as it was until the new child's "exists -"; what is not in its
 * list by then is reported as gone, what differs as changed.
 */
void drbd_events_restart(struct drbd_events *ev);

bool drbd_events_synced(const struct drbd_events *ev); /* "exists -" was seen since the start */
bool drbd_events_lost(const struct drbd_events *ev);   /* the kernel or we dropped events: start the child anew */

/* Reads; NULL when unknown. The pointer is good until the next feed or restart. */
const struct drbd_status *drbd_events_find(const struct drbd_events *ev, const char *resource);
/* A copy of all. Gives an array (free()). */
void drbd_events_all(const struct drbd_events *ev, struct drbd_status **ret, int *ret_n);

#endif
