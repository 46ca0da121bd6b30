/* SPDX-License-Identifier: Apache-2.0 */
/* What hands that know Ganeti type: each row of cli/habit.c is reached, and says something that is not here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cli/cli.h"
#include "common/xmem.h"

/* An option that a command has by now, or that an earlier row answers for, is a row too much. */
static void every_row_is_what_a_person_is_told(void **state)
{
	const struct habit *h;
	size_t n = 0;

	(void)state;
	for (; (h = habit_nth(n)) != NULL; n++) {
		AUTO_FREE char *group = xstrdup(h->group ? h->group : "instance"), *verb = xstrdup(h->verb ? h->verb : "startup");
		AUTO_FREE char *option = h->option ? xstrdup(h->option) : NULL;
		struct command c = { .args = NULL };
		struct err err = ERR_INIT;

		if (help_is_group(group)) {
			char *argv[] = { group, verb, option, NULL };

			assert_int_equal(argv_parse(option ? 3 : 2, argv, &c, &err), -ERR_BAD_REQUEST);
		} else {
			assert_null(h->verb);
			assert_int_equal(help_no_group(group, &err), -ERR_BAD_REQUEST);
		}
		assert_string_equal(err_hint_text(&err), h->hint);
	}
	assert_true(n > 60);
}

/* Also glued to its value, and only as that word. */
static void values_and_longer_words(void **state)
{
	(void)state;
	assert_non_null(habit_option("instance", "add", "-odebian"));
	assert_non_null(habit_option("instance", "add", "--os-type=debian"));
	assert_null(habit_option("instance", "add", "--os-typ"));
	assert_null(habit_option("instance", "add", "--os-types"));
	assert_null(habit_option("instance", "list", "-o"));
	assert_null(habit_command("instance", NULL));
	assert_null(habit_command("instance", "ad"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_row_is_what_a_person_is_told),
		cmocka_unit_test(values_and_longer_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
