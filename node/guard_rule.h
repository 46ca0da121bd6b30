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
};

#define GUARD_UNSEEN_MS 300000   /* a permitted guest that never came */
#define GUARD_END_AGAIN_MS 10000 /* the ending is tried again after so long */

/*
 * A look that began at began_ms and saw guests and disks both is judged at now_ms; age_ms = since the newest answered beat was sent. Changes x. Only
 * when every guarded guest gives VOUCH or DROP may the look be vouched for.
 */
enum guard_do guard_judge(struct guard_span *x, const struct guard_seen *s, int64_t began_ms, int64_t now_ms, int64_t age_ms, int64_t lease_ms);

#endif
