/* SPDX-License-Identifier: Apache-2.0 */
/* Sizes, numbers and times as people write them. */
#include "common/units.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err err = ERR_INIT;
	int64_t v = -7;
	char *text = fuzz_string(data, size), out[32];

	if (units_parse_mib(text, &v, &err) == 0) {
		assert(v >= 0 && v <= INT64_C(1) << 41);
		units_format_mib(v, out, sizeof(out));
		assert(strlen(out) < sizeof(out) - 1);
		/* What we print is a size that people may type again, but for the space. */
		char *space = strchr(out, ' ');
		int64_t again = 0;
		assert(space);
		memmove(space, space + 1, strlen(space));
		assert(units_parse_mib(out, &again, &err) == 0);
		assert(again <= v + v / 8 + 1 && again >= v - v / 8 - 1);
	} else {
		assert(v == -7 && err.code == ERR_BAD_VALUE);
	}
	v = -7;
	if (units_parse_int(text, -100, 1000, &v, &err) == 0)
		assert(v >= -100 && v <= 1000);
	else
		assert(v == -7);
	v = -7;
	if (units_parse_seconds(text, &v, &err) == 0)
		assert(v >= 0 && v <= INT64_C(36500) * 86400);
	else
		assert(v == -7);
	free(text);
	return 0;
}
