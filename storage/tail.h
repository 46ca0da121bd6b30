/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Snapshots of a loser's volumes carry what they are in their names: "<instance>.disk<N>_tail<generation>.<seconds>", the seconds by the node's
 * wall clock when it was made. Pure.
 */
#ifndef STORAGE_TAIL_H
#define STORAGE_TAIL_H

#include <stdbool.h>
#include <stdint.h>

#include "schema/limits.h"

struct tail_name {
	char instance[UUID_LEN + 1];
	int index;
	int64_t gen, kept_s;
};

void tail_format(const struct tail_name *t, char out[VOLUME_LEN + 1]);
bool tail_parse(const char *name, struct tail_name *ret); /* false: it is none; *ret is untouched */

#endif
