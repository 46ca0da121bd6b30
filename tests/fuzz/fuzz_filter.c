/* SPDX-License-Identifier: Apache-2.0 */
/* A list's filter. What it keeps, its opposite does not, and the other way round, whatever stands in the row. */
#include <stdio.h>

#include "cli/filter.h"
#include "common/xmem.h"
#include "tests/fuzz/fuzz.h"

static int kind(void *arg, char field[NAME_LEN + 1], struct err *err)
{
	(void)arg;
	switch (field[0]) {
	case 't': return FILTER_TEXT;
	case 'n': return FILTER_NUMBER;
	case 's': return FILTER_SIZE;
	case 'b': return FILTER_BOOL;
	default: return err_set(err, ERR_UNKNOWN_FIELD, "unknown field '%s'", field);
	}
}

static void seen(void *arg, const char *field)
{
	(void)arg;
	assert(strchr("tnsb", field[0]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const rows[] = {
		"{}", "{\"t\":\"\",\"n\":0,\"s\":0,\"b\":false}", "{\"t\":\"web1\",\"n\":7,\"s\":1024,\"b\":true}", "{\"t\":7,\"n\":\"x\",\"s\":null,\"b\":[]}",
	};
	char *text = fuzz_string(data, size);
	AUTO(filter_free) struct filter *f = NULL, *not = NULL;
	struct err err = ERR_INIT;

	if (filter_parse(text, kind, NULL, &f, &err) == 0) {
		AUTO_FREE char *opposite = xasprintf("not (%s)", text);
		int rc = filter_parse(opposite, kind, NULL, &not, &err);

		assert(rc == 0 || err.code == ERR_TOO_BIG);
		filter_fields(f, seen, NULL);
		for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
			AUTO_JSON json_t *row = json_loads(rows[i], 0, NULL);

			assert(rc < 0 || filter_match(f, row) != filter_match(not, row));
		}
	} else {
		assert(err.code && err.msg[0]);
	}
	free(text);
	return 0;
}
