/* SPDX-License-Identifier: Apache-2.0 */
/* core/term.c: who may be master when. Two clocks at most: a holder's and a candidate's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/term.h"

#define LEASE 12000
#define TTL 2500 /* half a beat short of a quarter */
#define MARGIN 3000
#define BEAT 1000
#define A "aaaaaaaa-0000-4000-8000-000000000001"
#define B "bbbbbbbb-0000-4000-8000-000000000002"
#define BOOT_A "11111111-0000-4000-8000-000000000001"
#define BOOT_B "22222222-0000-4000-8000-000000000002"
#define MASTER_A A " " BOOT_A

static struct term fresh(const char *self, const char *boot)
{
	struct term t;

	term_init(&t, self, boot, LEASE, 0);
	return t;
}

/* A is master since 0 with epoch 7, its beat committed. */
static struct term mastering(void)
{
	struct term t = fresh(A, BOOT_A);

	assert_int_equal(term_tick(&t, 0), TERM_DO_LOOK);
	assert_int_equal(term_seen(&t, 0, "", 0, "", 0), TERM_DO_TAKE);
	assert_int_equal(term_taken(&t, 0, true, 7), TERM_DO_LOAD);
	assert_int_equal(term_loaded(&t, 0, true), TERM_DO_BEAT);
	assert_int_equal(term_beaten(&t, 0, TERM_BEAT_OK), 0);
	assert_true(term_valid(&t, 0));
	return t;
}

static void waits_ttl_and_margin(void **state)
{
	struct term t = fresh(B, BOOT_B);

	(void)state;
	assert_int_equal(term_seen(&t, 100, MASTER_A, 7, "1", 8), 0);
	assert_int_equal(term_seen(&t, 100 + TTL + MARGIN - 1, MASTER_A, 7, "1", 8), 0);
	/* A new beat: the count begins anew. */
	assert_int_equal(term_seen(&t, 200 + TTL + MARGIN, MASTER_A, 7, "2", 9), 0);
	assert_int_equal(term_seen(&t, 199 + 2 * (TTL + MARGIN), MASTER_A, 7, "2", 9), 0);
	assert_int_equal(term_seen(&t, 200 + 2 * (TTL + MARGIN), MASTER_A, 7, "2", 9), TERM_DO_TAKE);
}

/* The look that may take comes when it may, not up to a beat later. */
static void looks_when_it_may_take(void **state)
{
	struct term t = fresh(B, BOOT_B);
	int64_t at = 0, takes = 0;

	(void)state;
	for (at = 0; at < 20000 && !takes; at += 10) {
		if (term_tick(&t, at) != TERM_DO_LOOK)
			continue;
		takes = term_seen(&t, at, MASTER_A, 7, at < 400 ? "0" : "1", at < 400 ? 8 : 9) == TERM_DO_TAKE ? at : 0;
	}
	assert_int_equal(takes, 880 + TTL + MARGIN); /* an eighth before the beat after the first look, to the next tick of ten */
	t = fresh(B, BOOT_B);
	assert_int_equal(term_tick(&t, 0), TERM_DO_LOOK);
	assert_int_equal(term_seen(&t, 300, MASTER_A, 7, "1", 8), 0); /* the answer took its time */
	for (at = 300, takes = 0; at < 20000 && !takes; at += 10) {
		if (term_tick(&t, at) != TERM_DO_LOOK)
			continue;
		takes = term_seen(&t, at, MASTER_A, 7, "1", 8) == TERM_DO_TAKE ? at : 0;
	}
	assert_int_equal(takes, 300 + TTL + MARGIN);
}

/* Whom nodes are sent to: another one that may be master still, as far as its beats were seen. */
static void who_beats(void **state)
{
	struct term t = fresh(B, BOOT_B);

	(void)state;
	assert_false(term_beats(&t, 100));
	assert_int_equal(term_seen(&t, 100, MASTER_A, 7, "1 12000", 8), 0);
	assert_true(term_beats(&t, 100 + TTL - 1));
	assert_false(term_beats(&t, 100 + TTL));
	assert_int_equal(term_seen(&t, 3000, MASTER_A, 7, "2 12000", 9), 0);
	assert_true(term_beats(&t, 3000));
	assert_int_equal(term_seen(&t, 3100, MASTER_A, 7, TERM_RESIGNED, 10), TERM_DO_TAKE);
	assert_false(term_beats(&t, 3100));
	t = fresh(A, "33333333-0000-4000-8000-000000000003"); /* it was itself, in an earlier boot */
	assert_int_equal(term_seen(&t, 100, MASTER_A, 7, "1 12000", 8), 0);
	assert_false(term_beats(&t, 100));
}

/* Whatever the phase of the holder's beats: the last of them is seen an eighth of a beat after it, and two looks a beat are enough. */
static void looks_keep_close_to_the_beats(void **state)
{
	(void)state;
	for (int64_t phase = 0; phase < BEAT; phase += 90) {
		struct term t = fresh(B, BOOT_B);
		int64_t died = 20000, takes = 0;
		int looks = 0;

		for (int64_t at = 0; at < 40000 && !takes; at += 10) {
			int64_t last = at < died ? at : died;
			int64_t beats = (last + BEAT - phase) / BEAT; /* so many have been committed */
			char text[TERM_BEAT_LEN];

			if (term_tick(&t, at) != TERM_DO_LOOK)
				continue;
			looks += at < died;
			(void)snprintf(text, sizeof(text), "%lld %d", (long long)beats, LEASE);
			takes = term_seen(&t, at, MASTER_A, 7, text, 8 + beats) == TERM_DO_TAKE ? at : 0;
		}
		int64_t last_beat = died - (died - phase) % BEAT;
		assert_in_range(takes, last_beat + TTL + MARGIN, last_beat + TTL + MARGIN + BEAT / 8 + 10);
		assert_in_range(looks, 25, 45);
	}
}

static void resigned_to_anybody(void **state)
{
	struct term t = fresh(B, BOOT_B);

	(void)state;
	assert_int_equal(term_seen(&t, 0, MASTER_A, 7, TERM_RESIGNED, 8), TERM_DO_TAKE);
}

static void resigned_to_me(void **state)
{
	struct term t = fresh(B, BOOT_B);

	(void)state;
	assert_int_equal(term_seen(&t, 0, MASTER_A, 7, TERM_RESIGNED " " B, 8), TERM_DO_TAKE);
}

/* The heir has not come: everybody else waits as for a dead master. */
static void resigned_to_another(void **state)
{
	struct term t = fresh(B, BOOT_B);

	(void)state;
	assert_int_equal(term_seen(&t, 0, MASTER_A, 7, TERM_RESIGNED " cccccccc-0000-4000-8000-000000000003", 8), 0);
	assert_int_equal(term_seen(&t, TTL + MARGIN - 1, MASTER_A, 7, TERM_RESIGNED " cccccccc-0000-4000-8000-000000000003", 8), 0);
	assert_int_equal(term_seen(&t, TTL + MARGIN, MASTER_A, 7, TERM_RESIGNED " cccccccc-0000-4000-8000-000000000003", 8), TERM_DO_TAKE);
}

static void a_word_that_only_begins_so(void **state)
{
	struct term t = fresh(B, BOOT_B);

	(void)state;
	assert_int_equal(term_seen(&t, 0, MASTER_A, 7, TERM_RESIGNED "x", 8), 0);
}

static void hands_over(void **state)
{
	struct term t = mastering();
	char text[sizeof(TERM_RESIGNED) + UUID_LEN + 1];

	(void)state;
	assert_int_equal(term_resign(&t, 500, B), TERM_DO_RESIGN);
	assert_false(term_valid(&t, 500)); /* silent before the store knows */
	term_resign_text(&t, text);
	assert_string_equal(text, TERM_RESIGNED " " B);
	assert_int_equal(term_tick(&t, 600), 0); /* no beat any more */
	term_resigned(&t, 700);
	/* It sees its own node, its own boot, its own resignation: not its again while the heir has its chance. */
	assert_int_equal(term_tick(&t, 700), TERM_DO_LOOK);
	assert_int_equal(term_seen(&t, 700, MASTER_A, 7, text, 9), 0);
	assert_int_equal(term_seen(&t, 500 + TTL + MARGIN, MASTER_A, 7, text, 9), 0);
	assert_int_equal(term_seen(&t, 500 + TTL + MARGIN + 2 * BEAT, MASTER_A, 7, text, 9), TERM_DO_TAKE);
}

/* A beat that is under way would overwrite the resignation: it is waited for. */
static void hands_over_after_its_beat(void **state)
{
	struct term t = mastering();

	(void)state;
	assert_int_equal(term_tick(&t, BEAT), TERM_DO_BEAT);
	assert_int_equal(term_resign(&t, BEAT + 1, B), 0);
	assert_false(term_valid(&t, BEAT + 1));
	assert_int_equal(term_beaten(&t, BEAT + 50, TERM_BEAT_UNKNOWN), TERM_DO_RESIGN);
}

static void only_a_master_resigns(void **state)
{
	struct term t = fresh(B, BOOT_B);

	(void)state;
	assert_int_equal(term_resign(&t, 0, A), 0);
	assert_int_equal(t.state, TERM_STANDBY);
	assert_int_equal(term_tick(&t, 0), TERM_DO_LOOK);
}

static void own_boot_takes_at_once(void **state)
{
	struct term t = fresh(A, BOOT_A), other = fresh(A, BOOT_B);

	(void)state;
	assert_int_equal(term_seen(&t, 0, MASTER_A, 7, "1", 8), TERM_DO_TAKE);
	assert_int_equal(term_seen(&other, 0, MASTER_A, 7, "1", 8), 0); /* another boot: its lock says nothing */
}

static void silent_after_ttl(void **state)
{
	struct term t = mastering();

	(void)state;
	assert_int_equal(term_tick(&t, BEAT), TERM_DO_BEAT);
	assert_int_equal(term_beaten(&t, BEAT + TTL, TERM_BEAT_UNKNOWN), 0);
	assert_false(term_valid(&t, TTL));
	assert_int_equal(term_tick(&t, BEAT + TTL) & TERM_DO_PAUSE, TERM_DO_PAUSE);
	assert_int_equal(term_beaten(&t, BEAT + TTL + 10, TERM_BEAT_OK), TERM_DO_GO);
	assert_true(term_valid(&t, BEAT + TTL + 10));
}

static void a_refused_beat_ends_it(void **state)
{
	struct term t = mastering();

	(void)state;
	assert_int_equal(term_tick(&t, BEAT), TERM_DO_BEAT);
	assert_int_equal(term_beaten(&t, BEAT, TERM_BEAT_REFUSED), TERM_DO_STOP);
	assert_false(term_valid(&t, BEAT));
}

/* The lease in the beat counts, not the one this machine was started with. */
static void the_beat_says_the_lease(void **state)
{
	struct term t = fresh(B, BOOT_B);

	(void)state;
	assert_int_equal(term_seen(&t, 0, MASTER_A, 7, "1 60000", 8), 0);
	assert_int_equal(term_seen(&t, TTL + MARGIN, MASTER_A, 7, "1 60000", 8), 0);
	assert_int_equal(term_seen(&t, 27499, MASTER_A, 7, "1 60000", 8), 0);
	assert_int_equal(term_seen(&t, 27500, MASTER_A, 7, "1 60000", 8), TERM_DO_TAKE);
	char text[TERM_BEAT_LEN];
	term_beat_text(&t, text);
	assert_string_equal(text, "27500 60000"); /* and goes on with the one who takes over */
	struct term junk = fresh(B, BOOT_B);
	assert_int_equal(term_seen(&junk, 0, MASTER_A, 7, "1 1", 8), 0);
	assert_int_equal(junk.lease_ms, LEASE);
}

/* A holder counts with the longer lease only when a beat that says so has landed. */
static void a_longer_lease_begins_with_its_beat(void **state)
{
	struct term t = mastering();

	(void)state;
	term_set_lease(&t, 2 * LEASE);
	assert_false(term_valid(&t, TTL));
	assert_int_equal(term_tick(&t, BEAT), TERM_DO_BEAT);
	assert_false(term_valid(&t, TTL));
	assert_int_equal(term_beaten(&t, BEAT + 10, TERM_BEAT_OK), 0);
	assert_true(term_valid(&t, BEAT + 2 * TTL - 1));
	assert_false(term_valid(&t, BEAT + 2 * TTL));
}

/* A beat with the shorter one may have been seen though its answer was lost: who saw it waits ttl + margin of the shorter one only. */
static void a_shorter_lease_begins_when_its_beat_is_sent(void **state)
{
	struct term t = mastering();

	(void)state;
	term_set_lease(&t, LEASE / 6);
	assert_int_equal(term_tick(&t, BEAT), TERM_DO_BEAT);
	assert_int_equal(term_beaten(&t, BEAT + 10, TERM_BEAT_UNKNOWN), 0);
	assert_true(term_valid(&t, BEAT + TTL / 6));
	assert_false(term_valid(&t, BEAT + TTL / 6 + 1)); /* 2000 / 4 - 2000 / 24 */
}

/* The member at hand may be behind; asked again and again it would have the same transaction refused again and again. */
static void a_refused_take_over_asks_the_majority(void **state)
{
	struct term t = fresh(B, BOOT_B);
	int64_t due = TTL + MARGIN;

	(void)state;
	assert_int_equal(term_seen(&t, 0, MASTER_A, 7, "1", 8), 0);
	assert_int_equal(term_tick(&t, due), TERM_DO_LOOK);
	assert_int_equal(term_seen(&t, due, MASTER_A, 7, "1", 8), TERM_DO_TAKE);
	assert_int_equal(term_taken(&t, due + 5, false, 0), 0);
	assert_int_equal(term_tick(&t, due + 5), TERM_DO_READ);
	assert_int_equal(term_read_failed(&t, due + 500), 0);
	assert_int_equal(term_tick(&t, due + 500), 0); /* a beat apart */
	assert_int_equal(term_tick(&t, due + 5 + BEAT), TERM_DO_READ);
	assert_int_equal(term_seen(&t, due + 10 + BEAT, MASTER_A, 7, "2", 9), 0);
	assert_int_equal(term_tick(&t, due + 10 + 2 * BEAT), TERM_DO_LOOK);
}

static void only_a_holder_is_told_the_lease(void **state)
{
	struct term t = fresh(B, BOOT_B);

	(void)state;
	term_set_lease(&t, 2000);
	assert_int_equal(t.lease_ms, LEASE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(waits_ttl_and_margin),  cmocka_unit_test(resigned_to_anybody),
		cmocka_unit_test(looks_when_it_may_take),
		cmocka_unit_test(looks_keep_close_to_the_beats),  cmocka_unit_test(who_beats),
		cmocka_unit_test(resigned_to_me),        cmocka_unit_test(resigned_to_another),
		cmocka_unit_test(a_word_that_only_begins_so), cmocka_unit_test(hands_over),
		cmocka_unit_test(hands_over_after_its_beat),  cmocka_unit_test(only_a_master_resigns),
		cmocka_unit_test(own_boot_takes_at_once), cmocka_unit_test(silent_after_ttl),
		cmocka_unit_test(a_refused_beat_ends_it),
		cmocka_unit_test(the_beat_says_the_lease),  cmocka_unit_test(a_longer_lease_begins_with_its_beat),
		cmocka_unit_test(a_shorter_lease_begins_when_its_beat_is_sent), cmocka_unit_test(a_refused_take_over_asks_the_majority),
		cmocka_unit_test(only_a_holder_is_told_the_lease),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
