/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What gantry-noded and gantry-fenced say to each other: fixed messages over a SEQPACKET socket on one machine. Times are CLOCK_BOOTTIME,
 * ms. The newest connection is the one that counts; noded's death changes nothing but that no stamps come.
 */
#ifndef FENCED_WIRE_H
#define FENCED_WIRE_H

#include <stdint.h>

#define FENCED_VERSION 1u

enum fenced_kind {
	FENCED_ARM = 1, /* a = X, b = W, c = V: run the watchdog; needs a fresh stamp, so that arming alone never resets */
	FENCED_DISARM,  /* no guest is guarded any more: stop it in an orderly way */
	FENCED_LEASE,   /* a = when the newest answered beat was sent */
	FENCED_VOUCH,   /* a = when the look began that found every guarded guest dead or connected */
	FENCED_ASK,
	FENCED_STATE,   /* the answer to ARM, DISARM, ASK and DRILL: a = enum dog_state, b = W as the device has it, c = newest lease stamp, d = errno of the device */
	FENCED_DRILL,   /* a = W: run the watchdog and do not feed it; only where it is off */
};

struct fenced_msg {
	uint32_t version, kind;
	int64_t a, b, c, d;
};

#endif
