/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the model of DRBD 8.4: drbd84.c writes, freezing, who is asked; drbd84_link.c connections; drbd84_disk.c what is on the disk; drbd84_tool.c
 * orders and status. From outside it is kernel.h and world.h.
 */
#ifndef TESTS_SIM_DRBD84_H
#define TESTS_SIM_DRBD84_H

#include "tests/sim/kernel.h"

static inline bool replica_attached(const struct replica *r)
{
	return r->disk > DRBD_DISK_FAILED;
}

static inline bool replica_good(const struct replica *r)
{
	return r->disk == DRBD_DISK_UPTODATE;
}

/* ---- drbd84.c ---- */
/* The other end of the connection that r is in; NULL = there is none any more. */
struct replica *replica_linked(const struct replica *r);
bool replica_wired(const struct replica *a, const struct replica *b); /* packets pass, both ways */
void replica_finish_write(struct replica *r, bool ok);
void replica_write_alone(struct replica *r); /* what was under way when the peer went */
void replica_send_write(struct replica *r);
void replica_freeze(struct replica *r);
void replica_go_on_alone(struct replica *r); /* "yes" */
/* The shipped handler, in the calling fiber, or in a process of its own. */
int replica_call_handler(const char *resource, const char *event);
void replica_fork_handler(struct replica *r, const char *event);

/* ---- drbd84_link.c ---- */
void replica_stop_sync(struct replica *r);
void replica_lost(struct replica *r, enum net_want then); /* this side finds its connection dead, or ends it */
void replica_disconnect(struct replica *r, bool force);
bool replica_agree(struct replica *a, struct replica *b); /* which way, or not at all; false = they part again */
void replica_thaw(struct replica *r, struct replica *p);

/* ---- drbd84_disk.c ---- */
void replica_new_current(struct replica *r);
void replica_write_md(struct replica *r); /* the metadata says at all times what an attach will find */
void replica_set_disk(struct replica *r, enum drbd_dstate d);
void replica_set_peer_disk(struct replica *r, enum drbd_dstate d);
void replica_lose_disk(struct replica *r);
int replica_attach(struct replica *r, struct err *err);
void replica_made_anew(const struct replica *r);

#endif
