/* SPDX-License-Identifier: Apache-2.0 */
/* Reads what `drbdsetup status --verbose --statistics` prints (8.4 has no JSON). Pure. */
#ifndef STORAGE_DRBD_STATUS_TEXT_H
#define STORAGE_DRBD_STATUS_TEXT_H

#include <stddef.h>

#include "common/err.h"
#include "storage/storage.h"

/*
 * Gives an array (free()). Resources with names that cannot be ours (too long) are left out; of a resource with
 * several peers (DRBD 9, not ours) the first counts, of more than DISKS_MAX volumes the first ones.
 */
int drbdm_parse_status(const char *text, size_t len, struct drbd_status **ret, int *ret_n, struct err *err) WARN_UNUSED;

#endif
