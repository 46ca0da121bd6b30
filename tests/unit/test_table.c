/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/table.h"
#include "common/xmem.h"

static char *printed(const struct table *t)
{
	char *text = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&text, &n);

	assert_non_null(f);
	table_print(t, f);
	(void)fclose(f);
	return text;
}

static struct table *two_columns(bool headings)
{
	struct table *t = table_new(2, headings);

	table_column(t, 0, "Name", false);
	table_column(t, 1, "MiB", true);
	return t;
}

static void columns_are_as_wide_as_what_stands_in_them(void **state)
{
	AUTO(table_free) struct table *t = two_columns(true);
	(void)state;

	table_cell(t, "a");
	table_cell(t, "12345");
	table_cell(t, "longer");
	table_cell(t, "");
	AUTO_FREE char *text = printed(t);
	assert_string_equal(text, "Name     MiB\n"
				  "a      12345\n"
				  "longer      \n");
}

static void without_headings_their_width_does_not_count(void **state)
{
	AUTO(table_free) struct table *t = two_columns(false);
	(void)state;

	table_cell(t, "a");
	table_cell(t, "1");
	AUTO_FREE char *text = printed(t);
	assert_string_equal(text, "a 1\n");
}

static void no_row_prints_nothing(void **state)
{
	AUTO(table_free) struct table *t = two_columns(true);
	(void)state;

	AUTO_FREE char *text = printed(t);
	assert_string_equal(text, "");
}

/* A name is what somebody typed: a terminal must not obey it. */
static void control_characters_are_written_out(void **state)
{
	AUTO(table_free) struct table *t = two_columns(false);
	(void)state;

	table_cell(t, "a\033[2Jb\n\302\233c");
	table_cell(t, "1");
	AUTO_FREE char *text = printed(t);
	assert_string_equal(text, "a\\x1b[2Jb\\x0a\\x9bc 1\n");
}

static void a_character_is_a_place_whatever_its_bytes(void **state)
{
	AUTO(table_free) struct table *t = two_columns(false);
	(void)state;

	table_cell(t, "\303\244\342\202\254");
	table_cell(t, "1");
	table_cell(t, "abc");
	table_cell(t, "2");
	AUTO_FREE char *text = printed(t);
	assert_string_equal(text, "\303\244\342\202\254  1\nabc 2\n");
}

static void thousands_of_rows_come_out_whole(void **state)
{
	AUTO(table_free) struct table *t = two_columns(false);
	size_t lines = 0;
	(void)state;

	for (int i = 0; i < 5000; i++) {
		AUTO_FREE char *name = xasprintf("name%0*d", i % 90 + 1, i);

		table_cell(t, name);
		table_cell(t, "1");
	}
	AUTO_FREE char *text = printed(t);
	for (const char *s = text; *s; s++)
		lines += *s == '\n';
	assert_int_equal(lines, 5000);
	assert_int_equal(strlen(text), 5000 * (4 + 90 + 1 + 1 + 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(columns_are_as_wide_as_what_stands_in_them), cmocka_unit_test(without_headings_their_width_does_not_count),
		cmocka_unit_test(no_row_prints_nothing),                      cmocka_unit_test(control_characters_are_written_out),
		cmocka_unit_test(a_character_is_a_place_whatever_its_bytes),  cmocka_unit_test(thousands_of_rows_come_out_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
