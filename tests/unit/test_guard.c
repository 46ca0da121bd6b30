/* SPDX-License-Identifier: Apache-2.0 */
/* The rule by which a node vouches for its guarded guests, leaves them alone, or ends them, at its bounds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/lease.h"
#include "node/guard_rule.h"

#define LEASE 12000
#define SINCE 100000

static const struct guard_seen safe = { true, true, false }, frozen = { true, true, true }, apart = { true, false, false },
			       apart_and_frozen = { true, false, true }, absent = { false, false, false };

/* A guest that was seen since it was permitted, in a look now. */
static enum guard_do seen_at(const struct guard_seen *s, int64_t age_ms)
{
	struct guard_span x = { .since_ms = SINCE, .seen = true };

	return guard_judge(&x, s, SINCE + 1000, SINCE + 1100, age_ms, LEASE);
}

static void what_replicates_is_vouched_for_however_old_the_lease(void **state)
{
	(void)state;
	assert_int_equal(seen_at(&safe, 0), GUARD_VOUCH);
	assert_int_equal(seen_at(&safe, lease_kill_ms(LEASE)), GUARD_VOUCH);
	assert_int_equal(seen_at(&safe, INT64_MAX / 2), GUARD_VOUCH);
}

static void what_does_not_is_ended_from_three_quarters_of_the_lease_on(void **state)
{
	static const struct guard_seen *const unsafe[] = { &frozen, &apart, &apart_and_frozen };

	(void)state;
	assert_int_equal(lease_kill_ms(LEASE), 9000);
	for (size_t i = 0; i < sizeof(unsafe) / sizeof(unsafe[0]); i++) {
		assert_int_equal(seen_at(unsafe[i], 0), GUARD_LEAVE); /* and not vouched for, even with a fresh lease */
		assert_int_equal(seen_at(unsafe[i], 8999), GUARD_LEAVE);
		assert_int_equal(seen_at(unsafe[i], 9000), GUARD_END);
	}
}

static void the_end_is_tried_again_only_after_a_while(void **state)
{
	struct guard_span x = { .since_ms = SINCE, .seen = true };
	int64_t now = SINCE + 20000;

	(void)state;
	assert_int_equal(guard_judge(&x, &apart, now, now, LEASE, LEASE), GUARD_END);
	assert_int_equal(x.ended_ms, now);
	assert_int_equal(guard_judge(&x, &apart, now + 500, now + 500, LEASE, LEASE), GUARD_LEAVE);
	assert_int_equal(guard_judge(&x, &apart, now + GUARD_END_AGAIN_MS - 1, now + GUARD_END_AGAIN_MS - 1, LEASE, LEASE), GUARD_LEAVE);
	assert_int_equal(guard_judge(&x, &apart, now + GUARD_END_AGAIN_MS, now + GUARD_END_AGAIN_MS, LEASE, LEASE), GUARD_END);
	/* It has gone meanwhile: nothing is guarded any more. */
	assert_int_equal(guard_judge(&x, &absent, now + 11000, now + 11000, LEASE, LEASE), GUARD_DROP);
}

/* A guest that is permitted is not there yet, and a look that began before the permission cannot have seen it: neither may pass for safe or gone. */
static void a_look_from_before_the_permission_says_nothing(void **state)
{
	struct guard_span x = { .since_ms = SINCE, .seen = false };

	(void)state;
	assert_int_equal(guard_judge(&x, &absent, SINCE, SINCE + 100, 0, LEASE), GUARD_LEAVE);
	assert_int_equal(guard_judge(&x, &safe, SINCE - 1, SINCE + 100, 0, LEASE), GUARD_LEAVE);
	assert_int_equal(guard_judge(&x, &apart, SINCE, SINCE + 100, LEASE, LEASE), GUARD_LEAVE); /* nor is it ended by one */
	assert_int_equal(x.ended_ms, 0);
	x.seen = true; /* by an earlier permission; permitted again at SINCE */
	assert_int_equal(guard_judge(&x, &absent, SINCE, SINCE + 100, 0, LEASE), GUARD_LEAVE);
	assert_int_equal(guard_judge(&x, &absent, SINCE + 1, SINCE + 100, 0, LEASE), GUARD_DROP);
}

static void a_guest_that_never_came_is_guarded_for_five_minutes(void **state)
{
	struct guard_span x = { .since_ms = SINCE, .seen = false };
	int64_t last = SINCE + GUARD_UNSEEN_MS;

	(void)state;
	assert_int_equal(guard_judge(&x, &absent, SINCE + 1, SINCE + 1, 0, LEASE), GUARD_VOUCH); /* nothing runs: the node may be fed */
	assert_int_equal(guard_judge(&x, &absent, last, last, 0, LEASE), GUARD_VOUCH);
	assert_int_equal(guard_judge(&x, &absent, last + 1, last + 1, 0, LEASE), GUARD_DROP);
	assert_int_equal(guard_judge(&x, &safe, last + 1, last + 1, 0, LEASE), GUARD_VOUCH); /* it came late */
	assert_true(x.seen);
	assert_int_equal(guard_judge(&x, &absent, last + 2, last + 2, 0, LEASE), GUARD_DROP);
}

/* ---- a node that can do nothing for its guest ------------------------------------------------------------------- */

#define ASKED SINCE

static bool helpless(int64_t frozen_ms, int64_t asked_ms, int64_t now_ms)
{
	struct guard_span x = { .since_ms = SINCE, .seen = true };

	if (frozen_ms)
		guard_saw(&x, true, frozen_ms);
	return guard_helpless(&x, asked_ms, now_ms, LEASE);
}

static void it_lets_go_when_both_have_lasted_for_a_lease(void **state)
{
	(void)state;
	assert_false(helpless(ASKED, ASKED, ASKED + LEASE - 1));
	assert_true(helpless(ASKED, ASKED, ASKED + LEASE));
	/* The later one of the two counts. */
	assert_false(helpless(ASKED + 500, ASKED, ASKED + LEASE + 499));
	assert_true(helpless(ASKED + 500, ASKED, ASKED + LEASE + 500));
	assert_false(helpless(ASKED - 500, ASKED, ASKED + LEASE - 1));
}

static void one_of_them_alone_is_no_reason(void **state)
{
	(void)state;
	assert_false(helpless(0, ASKED, ASKED + 100 * LEASE)); /* its guests replicate */
	assert_false(helpless(ASKED, 0, ASKED + 100 * LEASE)); /* DRBD answers: whatever comes of it, it can be done */
}

static void a_thaw_that_was_seen_counts_anew(void **state)
{
	struct guard_span x = { .since_ms = SINCE, .seen = true };

	(void)state;
	guard_saw(&x, true, ASKED);
	guard_saw(&x, true, ASKED + 5000); /* still: since the first time */
	assert_true(guard_helpless(&x, ASKED, ASKED + LEASE, LEASE));
	guard_saw(&x, false, ASKED + LEASE);
	assert_false(guard_helpless(&x, ASKED, ASKED + LEASE, LEASE));
	guard_saw(&x, true, ASKED + LEASE + 1);
	assert_false(guard_helpless(&x, ASKED, ASKED + 2 * LEASE, LEASE));
	assert_true(guard_helpless(&x, ASKED, ASKED + 2 * LEASE + 1, LEASE));
}

/* The target of a migration: what stands still there is no guest yet. */
static void a_guest_that_was_never_here_is_no_reason(void **state)
{
	struct guard_span x = { .since_ms = SINCE };

	(void)state;
	guard_saw(&x, true, ASKED);
	assert_false(guard_helpless(&x, ASKED, ASKED + 100 * LEASE, LEASE));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_replicates_is_vouched_for_however_old_the_lease),
		cmocka_unit_test(what_does_not_is_ended_from_three_quarters_of_the_lease_on),
		cmocka_unit_test(the_end_is_tried_again_only_after_a_while),
		cmocka_unit_test(a_look_from_before_the_permission_says_nothing),
		cmocka_unit_test(a_guest_that_never_came_is_guarded_for_five_minutes),
		cmocka_unit_test(it_lets_go_when_both_have_lasted_for_a_lease),
		cmocka_unit_test(one_of_them_alone_is_no_reason),
		cmocka_unit_test(a_thaw_that_was_seen_counts_anew),
		cmocka_unit_test(a_guest_that_was_never_here_is_no_reason),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
