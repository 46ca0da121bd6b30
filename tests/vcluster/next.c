/* SPDX-License-Identifier: Apache-2.0 */
/* In place of schema/level.c: the next minor version, for tests/vcluster/upgrade. */
#include "schema/level.h"

const struct level level_here = { .oldest = 1, .newest = 3, .version = "99.1.0" };
