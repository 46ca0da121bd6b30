/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/json.h"
#include "common/rng.h"
#include "common/sm.h"
#include "common/units.h"

static void sizes_are_read_with_units(void **state)
{
	static const struct {
		const char *text;
		int64_t mib; /* -1 = refused */
	} row[] = {
		{ "512", 512 }, { "512m", 512 },  { "10G", 10240 },  { "1.5g", 1536 }, { "2TiB", 2097152 },
		{ "512MB", 512 }, { "2gb", 2048 }, { "1TB", 1048576 }, /* powers of two, as in Ganeti */
		{ "", -1 },     { "g", -1 },      { "-5", -1 },      { "10x", -1 },    { "10 g", -1 },
		{ "99999999999999999999g", -1 },  { "1e3", -1 },
	};
	struct err err = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(row); i++) {
		int64_t mib = -1;
		int rc = units_parse_mib(row[i].text, &mib, &err);

		assert_int_equal(rc, row[i].mib < 0 ? -ERR_BAD_VALUE : 0);
		assert_int_equal(mib, row[i].mib);
	}
}

static void errors_wrap_outwards_and_keep_the_code(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(err_set(&err, ERR_NO_SPACE, "volume group '%s' is full", "vg"), -ERR_NO_SPACE);
	assert_int_equal(err_wrap(&err, "disk %d", 0), -ERR_NO_SPACE);
	assert_string_equal(err.msg, "disk 0: volume group 'vg' is full");
	assert_string_equal(err_hint_text(&err), "free space, or pick another node with -n");
	assert_int_equal(err_by_name("NO_SPACE"), ERR_NO_SPACE);
	char big[2000];
	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	(void)err_wrap(&err, "%s", big);
	assert_true(strlen(err.msg) < sizeof(err.msg));
}

static void json_is_bounded(void **state)
{
	struct err err = ERR_INIT;
	char deep[100];
	json_t *j = NULL;

	(void)state;
	memset(deep, '[', sizeof(deep));
	assert_int_equal(json_parse(deep, sizeof(deep), 1000, &j, &err), -ERR_BAD_REQUEST);
	assert_int_equal(json_parse("{}", 2, 1, &j, &err), -ERR_TOO_BIG);
	assert_int_equal(json_parse("{\"a\":1,\"a\":2}", 13, 100, &j, &err), -ERR_BAD_REQUEST);
	assert_int_equal(json_parse("{\"a\":\"[[[\"}", 11, 100, &j, &err), 0);
	json_decref(j);
}

static void buf_keeps_its_limit(void **state)
{
	struct buf b = { .max_bytes = 10 };

	(void)state;
	assert_int_equal(buf_add(&b, "0123456789", 10), 0);
	assert_int_equal(buf_add(&b, "x", 1), -ERR_TOO_BIG);
	buf_consume(&b, 4);
	assert_string_equal(buf_str(&b), "456789");
	buf_done(&b);
}

static void sm_knows_its_table(void **state)
{
	static const struct sm_state states[] = {
		[0] = { "off", SM_BIT(1), SM_INITIAL },
		[1] = { "on", 0, SM_FINAL },
	};
	static const struct sm sm = { "switch", states, 2 };
	int s = 0;

	(void)state;
	assert_false(sm_allowed(&sm, 1, 0));
	sm_move(&sm, &s, 1);
	assert_int_equal(s, sm_by_name(&sm, "on"));
}

static void uuids_repeat_with_the_seed(void **state)
{
	struct rng a, b;
	char ua[37], ub[37];

	(void)state;
	rng_seed(&a, 7);
	rng_seed(&b, 7);
	rng_uuid(&a, ua);
	rng_uuid(&b, ub);
	assert_string_equal(ua, ub);
	assert_int_equal(strlen(ua), 36);
	assert_int_equal(ua[14], '4');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes_are_read_with_units),   cmocka_unit_test(errors_wrap_outwards_and_keep_the_code),
		cmocka_unit_test(json_is_bounded),             cmocka_unit_test(buf_keeps_its_limit),
		cmocka_unit_test(sm_knows_its_table),          cmocka_unit_test(uuids_repeat_with_the_seed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
