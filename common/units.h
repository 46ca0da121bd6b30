/* SPDX-License-Identifier: Apache-2.0 */
/* Sizes as people write them. Binary units only: m/M/MiB, g/G/GiB, t/T/TiB; a bare number is MiB (as in Ganeti). */
#ifndef COMMON_UNITS_H
#define COMMON_UNITS_H

#include <stdint.h>

#include "common/err.h"

/* "10G", "1.5t", "512" -> MiB. Refuses junk, negative and overflow with -ERR_BAD_VALUE. */
int units_parse_mib(const char *text, int64_t *ret_mib, struct err *err) WARN_UNUSED;
/* Whole number in [min, max], decimal; nothing behind it. */
int units_parse_int(const char *text, int64_t min, int64_t max, int64_t *ret, struct err *err) WARN_UNUSED;
/* "90", "90s", "15m", "2h", "1d" -> seconds. */
int units_parse_seconds(const char *text, int64_t *ret_s, struct err *err) WARN_UNUSED;
/* 10240 -> "10.0 GiB", 512 -> "512 MiB". Writes into out[size]. */
void units_format_mib(int64_t mib, char *out, int size);

#endif
