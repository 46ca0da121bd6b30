/* SPDX-License-Identifier: Apache-2.0 */
/* Alone in its file: tests/vcluster/next.c stands in its place in a daemon that is a version ahead. */
#include "schema/level.h"

const struct level level_here = { .oldest = 1, .newest = 2, .version = PACKAGE_VERSION };
