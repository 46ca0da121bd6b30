/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a look means for one guarded guest (doc/design/008-liveness.adoc, "What is safe is left alone"), pure: time comes with the call, CLOCK_BOOTTIME,
 * ms. Tested in tests/unit/test_guard.c.
 */
#ifndef NODE_GUARD_RULE_H
#define NODE_GUARD_RULE_H

#include <stdbool.h>
#include <stdint.h>

enum guard_do {
	GUARD_DROP,  /* it is gone: no guard any more */
	GUARD_VOUCH, /* safe: dead, or connected and not frozen, so that no other node can start it */
	GUARD_LEAVE, /* not safe, and nothing is to be done yet, or again */
	GUARD_END,   /* not safe, and no beat was answered for kill (3/4 of the lease): end it here and now */
};

/* What a look found of a guest. */
struct guard_seen {
	bool there;             /* it is on this node, in any state */
	bool connected, frozen; /* its disks; one without a mirror is never connected */
};

/* What is known of a guard; zeroed, but for since_ms, when it is made. */
struct guard_span {
	int64_t since_ms; /* when it was permitted: looks that began earlier say nothing about it */
	bool seen;        /* it was there */
	int64_t ended_ms; /* we set out to end it then; 0 = not yet */
	int64_t frozen_ms; /* frozen by all that was seen of it since then; 0 = it was not, the last time */
};

#define GUARD_UNSEEN_MS 300000   /* a permitted guest that never came */
#define GUARD_END_AGAIN_MS 10000 /* the ending is tried again after so long */

/*
 * A look that began at began_ms and saw guests and disks both is judged at now_ms; age_ms = since the newest answered beat was sent. Changes x. Only
 * when every guarded guest gives VOUCH or DROP may the look be vouched for.
 */
enum guard_do guard_judge(struct guard_span *x, const struct guard_seen *s, int64_t began_ms, int64_t now_ms, int64_t age_ms, int64_t lease_ms);

/* Whoever looks at its disks, a look or the kernel's page, tells what it saw. */
void guard_saw(struct guard_span *x, bool frozen, int64_t now_ms);

/*
 * May the node do nothing for this guest any more: neither let it go on, nor move it, nor end it? asked_ms: since when DRBD owes an answer, to whatever it
 * was asked; 0 = it does not. ("A node that can do nothing for its guest".)
 */
bool guard_helpless(const struct guard_span *x, int64_t asked_ms, int64_t now_ms, int64_t lease_ms);

#endif
