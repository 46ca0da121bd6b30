/* SPDX-License-Identifier: Apache-2.0 */
/* All times of liveness, from the one setting ha.lease (doc/design/008-liveness.adoc). Master and node use the same ones. */
#ifndef CORE_LEASE_H
#define CORE_LEASE_H

#include <stdint.h>

#define DRBD_LOSS_MS 5500 /* D: ping-int 2 s + ping-timeout 3 s (storage/drbd/conf.c) and half a second */

static inline int64_t lease_beat_ms(int64_t lease_ms) { return lease_ms / 12; }
static inline int64_t lease_margin_ms(int64_t lease_ms) { return lease_ms / 4; }
static inline int64_t lease_suspect_ms(int64_t lease_ms) { return lease_ms / 3; }
/* Nobody holds a lease any more that was granted so long ago. */
static inline int64_t lease_lost_ms(int64_t lease_ms) { return lease_ms + lease_margin_ms(lease_ms); }
static inline int64_t lease_kill_ms(int64_t lease_ms) { return lease_ms - lease_ms / 4; }
/* X, W, V. Real devices count in whole seconds: W is rounded down where it can be. */
static inline int64_t lease_feed_ms(int64_t lease_ms) { return lease_ms - lease_ms / 4; }
static inline int64_t lease_watchdog_ms(int64_t lease_ms) { return lease_ms / 4 >= 1000 ? lease_ms / 4 / 1000 * 1000 : lease_ms / 4; }
static inline int64_t lease_vouch_ms(int64_t lease_ms) { return lease_ms / 6; }
/* R: a guest whose mirror has been apart for so long is not vouched for any more, and its node's watchdog has fired. */
static inline int64_t lease_apart_ms(int64_t lease_ms)
{
	return DRBD_LOSS_MS + lease_vouch_ms(lease_ms) + 2 * (lease_ms / 4);
}

#endif
