/* SPDX-License-Identifier: Apache-2.0 */
/* "key:value" fields of drbdsetup's text, the same in `status` and in `events2`, put into struct drbd_status. Pure. */
#ifndef STORAGE_DRBD_WORDS_H
#define STORAGE_DRBD_WORDS_H

#include <stdbool.h>
#include <stddef.h>

#include "storage/storage.h"

struct word {
	const char *key; /* not terminated; "" for a word without colon, which is then all value */
	size_t key_len;
	const char *value;
	size_t value_len;
};

/* Next blank-separated word of [*p, end). False at the end. Moves *p. */
bool word_next(const char **p, const char *end, struct word *ret);
bool word_key_is(const struct word *w, const char *key);
bool word_value_is(const struct word *w, const char *value);
/* Decimal and nothing else; false when it is not, or over max. */
bool word_number(const struct word *w, int64_t max, int64_t *ret);

/* A resource the kernel knows, about which nothing is known yet: no connection object means StandAlone. */
void drbdm_status_init(struct drbd_status *s);
/* Volume of that index: found, or put in at its place by index. NULL when there are DISKS_MAX already. */
struct drbd_volume_status *drbdm_status_volume(struct drbd_status *s, int index);
void drbdm_status_drop_volume(struct drbd_status *s, int index);
/* The peer is gone or was never there. */
void drbdm_status_no_peer(struct drbd_status *s);

/* Unknown keys and values are ignored: newer tools print more. */
void drbdm_set_resource(struct drbd_status *s, const struct word *w);
void drbdm_set_device(struct drbd_volume_status *v, const struct word *w);
void drbdm_set_connection(struct drbd_status *s, const struct word *w);
void drbdm_set_peer_device(struct drbd_volume_status *v, const struct word *w);

#endif
