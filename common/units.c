/* SPDX-License-Identifier: Apache-2.0 */
#include "common/units.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define MIB_MAX (INT64_C(1) << 40) /* an exbibyte: far over any disk, far under overflow */

int units_parse_mib(const char *text, int64_t *ret_mib, struct err *err)
{
	static const struct {
		const char *name;
		int64_t mib;
	} unit[] = {
		{ "", 1 },           { "m", 1 },            { "mb", 1 },           { "mib", 1 },           { "g", 1024 }, { "gb", 1024 },
		{ "gib", 1024 },     { "t", 1024 * 1024 }, { "tb", 1024 * 1024 }, { "tib", 1024 * 1024 }, /* powers of two, as in Ganeti */
	};
	const char *p = text;
	int64_t whole = 0, frac = 0, scale = 1;

	if (!isdigit((unsigned char)*p))
		return err_set(err, ERR_BAD_VALUE, "'%s' is not a size: expected a number with m, g or t behind it", text);
	for (; isdigit((unsigned char)*p); p++) {
		whole = whole * 10 + (*p - '0');
		if (whole > MIB_MAX)
			return err_set(err, ERR_BAD_VALUE, "size '%s' is too large", text);
	}
	if (*p == '.')
		for (p++; isdigit((unsigned char)*p); p++)
			if (scale < 1000000) {
				frac = frac * 10 + (*p - '0');
				scale *= 10;
			}
	for (size_t i = 0; i < ARRAY_SIZE(unit); i++) {
		if (strcasecmp(p, unit[i].name) != 0)
			continue;
		int64_t mib = whole * unit[i].mib;
		if (whole > MIB_MAX / unit[i].mib)
			return err_set(err, ERR_BAD_VALUE, "size '%s' is too large", text);
		*ret_mib = mib + frac * unit[i].mib / scale;
		return 0;
	}
	return err_set(err, ERR_BAD_VALUE, "size '%s' has unknown unit '%s': use m, g or t", text, p);
}

int units_parse_int(const char *text, int64_t min, int64_t max, int64_t *ret, struct err *err)
{
	char *end = NULL;

	errno = 0;
	long long v = strtoll(text, &end, 10);
	if (end == text || *end || isspace((unsigned char)*text))
		return err_set(err, ERR_BAD_VALUE, "'%s' is not a whole number", text);
	if (errno || v < min || v > max)
		return err_set(err, ERR_BAD_VALUE, "'%s' is out of range: allowed is %lld to %lld", text, (long long)min,
			       (long long)max);
	*ret = v;
	return 0;
}

int units_parse_seconds(const char *text, int64_t *ret_s, struct err *err)
{
	char digits[24];
	size_t n = strlen(text);
	int64_t factor = 1, v = 0;

	if (n == 0 || n >= sizeof(digits))
		return err_set(err, ERR_BAD_VALUE, "'%s' is not a time: expected a number with s, m, h or d behind it", text);
	memcpy(digits, text, n + 1);
	switch (digits[n - 1]) {
	case 's': factor = 1; digits[n - 1] = '\0'; break;
	case 'm': factor = 60; digits[n - 1] = '\0'; break;
	case 'h': factor = 3600; digits[n - 1] = '\0'; break;
	case 'd': factor = 86400; digits[n - 1] = '\0'; break;
	default: break;
	}
	int rc = units_parse_int(digits, 0, INT64_C(36500) * 86400 / factor, &v, err);
	if (rc < 0)
		return rc;
	*ret_s = v * factor;
	return 0;
}

void units_format_mib(int64_t mib, char *out, int size)
{
	if (mib >= 1024 * 1024)
		(void)snprintf(out, (size_t)size, "%.1f TiB", (double)mib / (1024 * 1024));
	else if (mib >= 1024)
		(void)snprintf(out, (size_t)size, "%.1f GiB", (double)mib / 1024);
	else
		(void)snprintf(out, (size_t)size, "%lld MiB", (long long)mib);
}
