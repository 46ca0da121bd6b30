/* SPDX-License-Identifier: Apache-2.0 */
/* The moves of the ownership record: what each allows, and every reason for which it refuses. A refusal changes nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/xmem.h"
#include "core/own.h"

#define A "aaaaaaaa-0000-4000-8000-000000000001"
#define B "bbbbbbbb-0000-4000-8000-000000000002"
#define C "cccccccc-0000-4000-8000-000000000003"
#define NOW 5000

struct rec {
	struct ownership o, before;
	struct err err;
};

/* owner A; current is each letter of text; generation 7. */
static void rec_up(struct rec *r, const char *current, bool arbitrated)
{
	memset(r, 0, sizeof(*r));
	schema_init(&ownership_schema, &r->o);
	own_init(&r->o, A, arbitrated, 1000);
	strs_clear(&r->o.current, &r->o.n_current);
	for (const char *c = current; *c; c++)
		strs_add(&r->o.current, &r->o.n_current, *c == 'A' ? A : *c == 'B' ? B : C);
	r->o.gen = 7;
	schema_copy(&ownership_schema, &r->before, &r->o);
}

static void rec_down(struct rec *r)
{
	schema_done(&ownership_schema, &r->o);
	schema_done(&ownership_schema, &r->before);
}

static void remember(struct rec *r)
{
	schema_done(&ownership_schema, &r->before);
	schema_copy(&ownership_schema, &r->before, &r->o);
}

static void assert_untouched(const struct rec *r)
{
	assert_true(schema_equal(&ownership_schema, &r->before, &r->o));
}

static void assert_current(const struct rec *r, const char *letters)
{
	assert_int_equal(r->o.n_current, (int)strlen(letters));
	for (const char *c = letters; *c; c++)
		assert_true(own_current(&r->o, *c == 'A' ? A : *c == 'B' ? B : C));
}

/* H1: a change of current has a new generation, always. */
static void assert_raised(const struct rec *r)
{
	assert_int_equal(r->o.gen, r->before.gen + 1);
	assert_int_equal(r->o.since_ms, NOW);
}

static struct msg_ask question(int64_t gen, bool uptodate)
{
	struct msg_ask m;

	schema_init(&msg_ask_schema, &m);
	m.gen = gen;
	m.uptodate = uptodate;
	return m;
}

static void migrating(struct rec *r, bool pivoted)
{
	assert_int_equal(own_migrate(&r->o, B, false, &r->err), 0);
	if (pivoted)
		assert_int_equal(own_pivot(&r->o, B, 2000, &r->err), 0);
	remember(r);
}

/* ---- may I go on alone? ------------------------------------------------------------------------------------------ */

static void a_new_record_is_the_owners_alone(void **state)
{
	struct rec r;

	(void)state;
	rec_up(&r, "AB", true);
	own_init(&r.o, B, false, NOW);
	assert_string_equal(r.o.owner, B);
	assert_string_equal(own_runner(&r.o), B);
	assert_current(&r, "B");
	assert_int_equal(r.o.gen, 1);
	assert_int_equal(r.o.arbitrated, 0);
	assert_string_equal(r.o.target, "");
	rec_down(&r);
}

static void yes_needs_every_condition(void **state)
{
	static const struct {
		const char *current, *asker;
		bool arbitrated, uptodate;
		int64_t gen;
		enum verdict want;
	} row[] = {
		{ "AB", A, true, true, 7, VERDICT_YES },      { "A", A, true, true, 7, VERDICT_YES },
		{ "AB", B, true, true, 7, VERDICT_NO },       /* another one runs it */
		{ "AB", C, true, true, 7, VERDICT_NO },       { "AB", A, true, true, 6, VERDICT_STALE },
		{ "AB", A, true, true, 8, VERDICT_STALE },    { "B", A, true, true, 7, VERDICT_NOT_NOW }, /* not in current */
		{ "AB", A, true, false, 7, VERDICT_NOT_NOW }, { "AB", A, false, true, 7, VERDICT_NOT_NOW },
		{ "AB", B, true, true, 6, VERDICT_NO },       /* whose it is counts before what the asker knows */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(row); i++) {
		struct rec r;

		rec_up(&r, row[i].current, row[i].arbitrated);
		struct msg_ask m = question(row[i].gen, row[i].uptodate);
		assert_int_equal(own_ask(&r.o, row[i].asker, &m, NOW), row[i].want);
		if (row[i].want == VERDICT_YES) {
			assert_current(&r, "A");
			assert_raised(&r);
		} else {
			assert_untouched(&r);
		}
		rec_down(&r);
	}
}

/* H14, H15: one side of a migration may run; the other waits and is never told to kill its half. */
static void a_migration_has_one_side_that_gets_a_yes(void **state)
{
	(void)state;
	for (int pivoted = 0; pivoted < 2; pivoted++) {
		struct rec r;
		const char *runs = pivoted ? B : A, *waits = pivoted ? A : B;

		rec_up(&r, "AB", true);
		migrating(&r, pivoted);
		struct msg_ask m = question(r.o.gen, true);
		assert_int_equal(own_ask(&r.o, waits, &m, NOW), VERDICT_NOT_NOW);
		assert_untouched(&r);
		assert_int_equal(own_ask(&r.o, C, &m, NOW), VERDICT_NO);
		assert_untouched(&r);
		assert_int_equal(own_ask(&r.o, runs, &m, NOW), VERDICT_YES);
		assert_string_equal(r.o.owner, runs);
		assert_string_equal(r.o.target, ""); /* the yes ends the migration */
		assert_int_equal(r.o.run, RUN_OWNER);
		assert_current(&r, pivoted ? "B" : "A");
		assert_raised(&r);
		/* Now the other one has lost for good. */
		m = question(r.o.gen, true);
		assert_int_equal(own_ask(&r.o, waits, &m, NOW), VERDICT_NO);
		rec_down(&r);
	}
}

static void a_replica_leaves_only_when_another_is_left(void **state)
{
	static const struct {
		const char *current, *asker;
		int64_t gen;
		bool other_uptodate, want;
	} row[] = {
		{ "AB", A, 7, true, true }, { "AB", B, 7, true, true },  { "AB", A, 6, true, false },
		{ "A", A, 7, true, false }, { "AB", A, 7, false, false }, { "AB", C, 7, true, false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(row); i++) {
		struct rec r;

		rec_up(&r, row[i].current, true);
		struct msg_ask m = question(row[i].gen, false);
		assert_int_equal(own_ask_shrink(&r.o, row[i].asker, &m, row[i].other_uptodate, NOW), row[i].want);
		if (row[i].want) {
			assert_false(own_current(&r.o, row[i].asker));
			assert_int_equal(r.o.n_current, 1);
			assert_raised(&r);
		} else {
			assert_untouched(&r);
		}
		rec_down(&r);
	}
}

static void current_grows_on_the_runners_word_at_this_generation(void **state)
{
	static const struct {
		const char *current, *reporter;
		bool primary;
		const char *peer;
		int64_t gen;
		bool want;
	} row[] = {
		{ "A", A, true, B, 7, true },   { "A", A, false, B, 7, true },  { "A", A, true, B, 6, false },
		{ "A", A, true, B, 8, false },  { "AB", A, true, B, 7, false }, { "B", A, true, C, 7, false }, /* is not current itself */
		{ "AB", B, true, C, 7, false }, /* Primary, but not the one that runs */
		{ "A", A, true, "", 7, false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(row); i++) {
		struct rec r;

		rec_up(&r, row[i].current, true);
		assert_int_equal(own_grow(&r.o, row[i].reporter, row[i].primary, row[i].peer, row[i].gen, NOW), row[i].want);
		if (row[i].want) {
			assert_current(&r, "AB");
			assert_raised(&r);
		} else {
			assert_untouched(&r);
		}
		rec_down(&r);
	}
}

static void without_arbitration_a_loss_is_observed(void **state)
{
	static const struct {
		const char *current, *reporter;
		bool arbitrated;
		int64_t gen;
		bool want;
	} row[] = {
		{ "AB", A, false, 7, true },  { "AB", A, true, 7, false }, { "AB", A, false, 6, false },
		{ "A", A, false, 7, false },  { "AB", B, false, 7, false }, { "BC", A, false, 7, false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(row); i++) {
		struct rec r;

		rec_up(&r, row[i].current, row[i].arbitrated);
		assert_int_equal(own_observe_loss(&r.o, row[i].reporter, row[i].gen, NOW), row[i].want);
		if (row[i].want) {
			assert_current(&r, "A");
			assert_raised(&r);
		} else {
			assert_untouched(&r);
		}
		rec_down(&r);
	}
}

/* ---- migration ----------------------------------------------------------------------------------------------------- */

static void a_migration_needs_the_data_on_both_sides(void **state)
{
	static const struct {
		const char *current, *target;
		bool lives_on_mirror;
		int want;
	} row[] = {
		{ "AB", B, false, 0 },
		{ "AB", A, false, -ERR_WRONG_STATE },
		{ "A", B, false, -ERR_DEGRADED },
		{ "A", B, true, -ERR_DEGRADED },
		{ "B", B, false, -ERR_DEGRADED },
		{ "B", B, true, 0 }, /* the owner's own disk is gone: what it acknowledged is on the target's */
		{ "B", C, true, -ERR_DEGRADED },
		{ "AB", C, false, -ERR_DEGRADED },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(row); i++) {
		struct rec r;

		rec_up(&r, row[i].current, true);
		assert_int_equal(own_migrate(&r.o, row[i].target, row[i].lives_on_mirror, &r.err), row[i].want);
		if (row[i].want < 0) {
			assert_untouched(&r);
			assert_true(r.err.msg[0] != '\0');
			rec_down(&r);
			continue;
		}
		assert_string_equal(own_runner(&r.o), A); /* until the pivot */
		assert_int_equal(r.o.gen, 7);
		remember(&r);
		assert_int_equal(own_migrate(&r.o, B, false, &r.err), -ERR_CONFLICT); /* a second one */
		assert_untouched(&r);
		own_migrate_undo(&r.o);
		assert_string_equal(r.o.target, "");
		rec_down(&r);
	}
}

/* H4, H15: an owner that lives on its mirror's disk gets no yes, before or behind the pivot; its target gets one behind it. */
static void an_owner_without_disk_migrates(void **state)
{
	struct rec r;

	(void)state;
	rec_up(&r, "B", true);
	assert_int_equal(own_migrate(&r.o, B, true, &r.err), 0);
	struct msg_ask m = question(r.o.gen, true);
	assert_int_equal(own_ask(&r.o, A, &m, NOW), VERDICT_NOT_NOW);
	assert_int_equal(own_ask(&r.o, B, &m, NOW), VERDICT_NOT_NOW);
	assert_int_equal(own_pivot(&r.o, B, NOW, &r.err), 0);
	m.gen = r.o.gen;
	assert_int_equal(own_ask(&r.o, A, &m, NOW), VERDICT_NOT_NOW);
	assert_int_equal(own_ask(&r.o, B, &m, NOW), VERDICT_YES);
	assert_string_equal(r.o.owner, B);
	rec_down(&r);
	rec_up(&r, "B", true);
	assert_int_equal(own_migrate(&r.o, B, true, &r.err), 0);
	assert_int_equal(own_pivot(&r.o, B, NOW, &r.err), 0);
	assert_int_equal(own_settle(&r.o, B, NOW, &r.err), 0);
	assert_string_equal(r.o.owner, B);
	assert_int_equal(r.o.n_current, 1);
	rec_down(&r);
}

static void the_pivot_moves_the_side_that_runs(void **state)
{
	struct rec r;

	(void)state;
	rec_up(&r, "AB", true);
	assert_int_equal(own_pivot(&r.o, B, NOW, &r.err), -ERR_CONFLICT); /* no migration */
	assert_untouched(&r);
	migrating(&r, false);
	assert_int_equal(own_pivot(&r.o, C, NOW, &r.err), -ERR_CONFLICT); /* another one's */
	assert_untouched(&r);
	assert_int_equal(own_settle(&r.o, B, NOW, &r.err), -ERR_CONFLICT); /* not before the pivot */
	assert_untouched(&r);
	assert_int_equal(own_pivot(&r.o, B, NOW, &r.err), 0);
	assert_string_equal(own_runner(&r.o), B);
	assert_string_equal(r.o.owner, A);
	assert_raised(&r);
	remember(&r);
	assert_int_equal(own_pivot(&r.o, B, NOW, &r.err), 0); /* the order came twice */
	assert_untouched(&r);
	own_migrate_undo(&r.o); /* too late */
	assert_untouched(&r);
	assert_int_equal(own_settle(&r.o, C, NOW, &r.err), -ERR_CONFLICT);
	assert_untouched(&r);
	assert_int_equal(own_settle(&r.o, B, NOW, &r.err), 0);
	assert_string_equal(r.o.owner, B);
	assert_string_equal(r.o.target, "");
	assert_int_equal(r.o.run, RUN_OWNER);
	assert_raised(&r);
	remember(&r);
	assert_int_equal(own_settle(&r.o, B, NOW, &r.err), 0); /* again */
	assert_untouched(&r);
	assert_int_equal(own_settle(&r.o, A, NOW, &r.err), -ERR_CONFLICT);
	assert_untouched(&r);
	rec_down(&r);
}

static void the_pivot_is_refused_when_the_replicas_lost_each_other(void **state)
{
	struct rec r;

	(void)state;
	rec_up(&r, "AB", true);
	migrating(&r, false);
	strs_remove(&r.o.current, &r.o.n_current, B);
	remember(&r);
	assert_int_equal(own_pivot(&r.o, B, NOW, &r.err), -ERR_DEGRADED);
	assert_untouched(&r);
	rec_down(&r);
}

/* ---- failover, replicas -------------------------------------------------------------------------------------------- */

static void a_failover_needs_evidence_and_a_current_replica(void **state)
{
	static const struct {
		const char *current;
		bool planned, force;
		enum evidence ev;
		int want;
		const char *after;
	} row[] = {
		{ "AB", false, false, EVIDENCE_LEASE, 0, "B" },
		{ "AB", true, false, EVIDENCE_NONE, 0, "AB" },
		{ "AB", false, false, EVIDENCE_NONE, -ERR_NO_EVIDENCE, NULL },
		{ "AB", false, true, EVIDENCE_NONE, -ERR_NO_EVIDENCE, NULL }, /* force is about data, not about two guests */
		{ "A", false, false, EVIDENCE_LEASE, -ERR_STALE_REPLICA, NULL },
		{ "A", true, false, EVIDENCE_NONE, -ERR_STALE_REPLICA, NULL },
		{ "A", false, true, EVIDENCE_LEASE, 0, "B" },
		{ "A", true, true, EVIDENCE_NONE, 0, "B" },
		{ "AB", true, true, EVIDENCE_NONE, 0, "B" }, /* a person says that it lacks something: the other one may have it */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(row); i++) {
		struct rec r;

		rec_up(&r, row[i].current, true);
		assert_int_equal(own_failover(&r.o, B, row[i].planned, row[i].force, row[i].ev, "why", NOW, &r.err), row[i].want);
		if (row[i].want == 0) {
			assert_string_equal(r.o.owner, B);
			assert_current(&r, row[i].after);
			assert_raised(&r);
			assert_int_equal(r.o.evidence, row[i].ev);
			assert_string_equal(r.o.evidence_text, "why");
			assert_int_equal(r.o.as_is, row[i].force);
			assert_string_equal(r.o.tail, r.o.n_current == 1 ? A : "");
			assert_int_equal(r.o.tail_must, row[i].force); /* A had all: what is overwritten there is kept before */
		} else {
			assert_untouched(&r);
		}
		rec_down(&r);
	}
}

/* H7: a yes that came when the disk was gone is handed back; one that may have been used never is. */
static void a_yes_that_was_not_used_is_handed_back(void **state)
{
	static const struct {
		int64_t lost_gen, gen;
		bool good, hands;
	} row[] = {
		{ 7, 9, true, true },  { 0, 9, true, false }, /* nobody knows */
		{ 8, 9, true, false }, { 9, 9, true, false }, /* it had heard of the first yes */
		{ 7, 8, true, false }, { 7, 9, false, false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(row); i++)
		for (int between = 0; between < 5; between++) {
			struct rec r;
			struct msg_ask m = question(7, true);

			rec_up(&r, "AB", true);
			assert_int_equal(own_ask(&r.o, A, &m, NOW), VERDICT_YES); /* 8: the mirror leaves */
			m.gen = 8;
			assert_int_equal(own_ask(&r.o, A, &m, NOW), VERDICT_YES); /* 9: and again */
			if (between == 1) { /* it came back, and left another way: the log knows of no yes by which it lacks nothing */
				assert_true(own_grow(&r.o, A, true, B, 9, NOW));
				assert_int_equal(own_shrink(&r.o, B, NOW, &r.err), 0);
				r.o.gen = 9;
			} else if (between == 2) { /* a plan takes it apart */
				(void)str_copy(r.o.leaving, sizeof(r.o.leaving), B);
			} else if (between == 4) { /* it was written to on its own: a split, and the log says who lost */
				own_note_tail(&r.o, B, true);
			}
			remember(&r);
			m = question(row[i].gen, false);
			m.shrink = 1;
			m.lost_gen = row[i].lost_gen;
			bool hands = own_ask_hand(&r.o, between == 3 ? B : A, between == 3 ? A : B, &m, row[i].good, NOW);
			assert_int_equal(hands, row[i].hands && between == 0);
			if (hands) {
				assert_current(&r, "B");
				assert_raised(&r);
				assert_string_equal(r.o.owner, A);
				assert_false(own_ask_hand(&r.o, B, A, &m, true, NOW)); /* once */
			} else {
				assert_untouched(&r);
			}
			rec_down(&r);
		}
}

/* What may be forced is one state of one replica: as soon as that has shown itself good, or the log decides anew, nothing is. */
static void taken_as_it_is_once(void **state)
{
	struct rec r;
	struct msg_ask m = question(8, true);

	(void)state;
	for (int how = 0; how < 4; how++) {
		rec_up(&r, "A", true);
		assert_int_equal(own_failover(&r.o, B, false, true, EVIDENCE_PERSON, "why", NOW, &r.err), 0);
		assert_int_equal(r.o.as_is, 1);
		assert_false(own_shown_good(&r.o, A, 8)); /* the old owner's word, or one of before */
		assert_false(own_shown_good(&r.o, B, 7));
		assert_int_equal(r.o.as_is, 1);
		if (how == 0)
			assert_true(own_shown_good(&r.o, B, 8) && !own_shown_good(&r.o, B, 8));
		else if (how == 1)
			assert_int_equal(own_ask(&r.o, B, &m, NOW), VERDICT_YES);
		else if (how == 2)
			assert_true(own_grow(&r.o, B, true, A, 8, NOW));
		else
			assert_int_equal(own_failover(&r.o, B, true, false, EVIDENCE_NONE, NULL, NOW, &r.err), 0);
		assert_int_equal(r.o.as_is, 0);
		rec_down(&r);
	}
}

/* The two transactions that exclude each other: whichever is first, the other is refused. */
static void failover_and_going_on_alone_exclude_each_other(void **state)
{
	struct rec r;
	struct msg_ask m = question(7, true);

	(void)state;
	rec_up(&r, "AB", true);
	assert_int_equal(own_ask(&r.o, A, &m, NOW), VERDICT_YES);
	remember(&r);
	assert_int_equal(own_failover(&r.o, B, false, false, EVIDENCE_LEASE, NULL, NOW, &r.err), -ERR_STALE_REPLICA);
	assert_untouched(&r);
	rec_down(&r);
	rec_up(&r, "AB", true);
	assert_int_equal(own_failover(&r.o, B, false, false, EVIDENCE_LEASE, NULL, NOW, &r.err), 0);
	remember(&r);
	assert_int_equal(own_ask(&r.o, A, &m, NOW), VERDICT_NO);
	assert_untouched(&r);
	rec_down(&r);
}

static void nothing_else_is_done_during_a_migration(void **state)
{
	struct rec r;
	char *set[] = { xstrdup(A) };

	(void)state;
	rec_up(&r, "AB", true);
	migrating(&r, false);
	assert_int_equal(own_failover(&r.o, B, true, true, EVIDENCE_LEASE, NULL, NOW, &r.err), -ERR_CONFLICT);
	assert_untouched(&r);
	assert_int_equal(own_replicas(&r.o, set, 1, NOW, &r.err), -ERR_CONFLICT);
	assert_untouched(&r);
	rec_down(&r);
	free(set[0]);
}

static void the_last_replica_stays(void **state)
{
	struct rec r;

	(void)state;
	rec_up(&r, "A", true);
	assert_int_equal(own_shrink(&r.o, A, NOW, &r.err), -ERR_NOT_SAFE);
	assert_untouched(&r);
	assert_int_equal(own_leave(&r.o, A, NOW, &r.err), -ERR_NOT_SAFE);
	assert_int_equal(own_shrink(&r.o, B, NOW, &r.err), 0); /* is not in it: nothing to do */
	assert_untouched(&r);
	/* It is not in it, but might be back any moment: what is about to be taken apart stays out until it was made anew (H8). */
	assert_int_equal(own_leave(&r.o, B, NOW, &r.err), 0);
	assert_string_equal(r.o.leaving, B);
	assert_false(own_grow(&r.o, A, true, B, r.o.gen, NOW));
	own_return(&r.o, B, NOW);
	assert_true(own_grow(&r.o, A, true, B, r.o.gen, NOW));
	assert_current(&r, "AB");
	rec_down(&r);
	rec_up(&r, "AB", true);
	assert_int_equal(own_shrink(&r.o, A, NOW, &r.err), -ERR_NOT_SAFE); /* the guest runs on it */
	assert_untouched(&r);
	assert_int_equal(own_leave(&r.o, A, NOW, &r.err), -ERR_NOT_SAFE);
	assert_untouched(&r);
	assert_int_equal(own_shrink(&r.o, B, NOW, &r.err), 0);
	assert_current(&r, "A");
	assert_raised(&r);
	/* It left only until it has met its owner again (H12): it comes back by both sides' word, with no further step. */
	assert_true(own_grow(&r.o, A, true, B, r.o.gen, NOW));
	assert_current(&r, "AB");
	rec_down(&r);
	rec_up(&r, "AB", true);
	assert_int_equal(own_leave(&r.o, B, NOW, &r.err), 0);
	assert_current(&r, "A");
	assert_raised(&r);
	assert_false(own_grow(&r.o, A, true, B, r.o.gen, NOW));
	rec_down(&r);
	rec_up(&r, "AB", true);
	migrating(&r, true); /* after the pivot the target's is the one that stays */
	assert_int_equal(own_shrink(&r.o, B, NOW, &r.err), -ERR_NOT_SAFE);
	assert_untouched(&r);
	rec_down(&r);
}

static void a_new_set_of_replicas_holds_only_current_ones(void **state)
{
	struct rec r;
	char a[] = A, b[] = B, c[] = C;
	char *old[] = { a, b }, *one[] = { b }, *stale[] = { a, c };

	(void)state;
	rec_up(&r, "AB", true);
	assert_int_equal(own_replicas(&r.o, old, 0, NOW, &r.err), -ERR_NOT_SAFE);
	assert_untouched(&r);
	assert_int_equal(own_replicas(&r.o, stale, 2, NOW, &r.err), -ERR_STALE_REPLICA);
	assert_untouched(&r);
	assert_int_equal(own_replicas(&r.o, one, 1, NOW, &r.err), 0);
	assert_current(&r, "B");
	assert_raised(&r);
	rec_down(&r);
}

static void arbitration_turned_on_is_a_new_generation(void **state)
{
	struct rec r;

	(void)state;
	rec_up(&r, "AB", false);
	assert_int_equal(own_arbitrate(&r.o, true, NOW, &r.err), 0);
	assert_int_equal(r.o.arbitrated, 1);
	assert_raised(&r);
	remember(&r);
	assert_int_equal(own_arbitrate(&r.o, true, NOW, &r.err), 0); /* repeated by a new master */
	assert_untouched(&r);
	assert_int_equal(own_arbitrate(&r.o, false, NOW, &r.err), 0);
	assert_int_equal(r.o.arbitrated, 0);
	assert_raised(&r);
	rec_down(&r);
}

/* H20: what was observed without arbitration is no evidence. The Primary may have gone on alone, and its word of it be on its way. */
static void arbitration_begins_with_the_owner_alone(void **state)
{
	struct rec r;

	(void)state;
	rec_up(&r, "AB", false);
	assert_int_equal(own_arbitrate(&r.o, true, NOW, &r.err), 0);
	assert_current(&r, "A");
	assert_false(own_grow(&r.o, A, true, B, 7, NOW)); /* what it saw before */
	assert_true(own_grow(&r.o, A, true, B, 8, NOW));
	assert_current(&r, "AB");
	rec_down(&r);
	rec_up(&r, "B", false); /* the owner's disk is gone, it has asked out (H6) */
	assert_int_equal(own_arbitrate(&r.o, true, NOW, &r.err), 0);
	assert_current(&r, "B");
	rec_down(&r);
	rec_up(&r, "AB", false);
	assert_int_equal(own_migrate(&r.o, B, false, &r.err), 0);
	remember(&r);
	assert_int_equal(own_arbitrate(&r.o, true, NOW, &r.err), -ERR_CONFLICT);
	assert_untouched(&r);
	rec_down(&r);
}

/* ---- pulled permission (H10) --------------------------------------------------------------------------------------- */

static void permissions_are_the_runners(void **state)
{
	static const struct {
		const char *current;
		int migration; /* 0 none, 1 before the pivot, 2 behind it */
		bool arbitrated;
		const char *node;
		enum authority what;
		int want;
	} row[] = {
		{ "AB", 0, true, A, AUTH_START, 0 },
		{ "AB", 0, true, B, AUTH_START, -ERR_NOT_OWNER },
		{ "AB", 0, true, A, AUTH_PROMOTE, 0 },
		{ "AB", 0, true, B, AUTH_PROMOTE, -ERR_NOT_OWNER },
		{ "B", 0, true, A, AUTH_START, -ERR_STALE_REPLICA },
		{ "B", 0, false, A, AUTH_START, 0 }, /* only observed: the planners look at it */
		{ "AB", 0, true, A, AUTH_TWO_PRIMARIES, -ERR_NOT_OWNER },
		{ "AB", 1, true, A, AUTH_TWO_PRIMARIES, 0 },
		{ "AB", 1, true, B, AUTH_TWO_PRIMARIES, 0 },
		{ "AB", 1, true, C, AUTH_TWO_PRIMARIES, -ERR_NOT_OWNER },
		{ "AB", 1, true, B, AUTH_PROMOTE, 0 },
		{ "AB", 1, true, B, AUTH_RESUME, -ERR_NOT_OWNER }, /* stands still until the pivot */
		{ "AB", 1, true, B, AUTH_START, -ERR_NOT_OWNER },
		{ "AB", 1, true, A, AUTH_RESUME, 0 },
		{ "AB", 2, true, B, AUTH_RESUME, 0 },
		{ "AB", 2, true, A, AUTH_RESUME, -ERR_NOT_OWNER },
		{ "AB", 2, true, A, AUTH_START, -ERR_NOT_OWNER },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(row); i++) {
		struct rec r;

		rec_up(&r, row[i].current, row[i].arbitrated);
		if (row[i].migration)
			migrating(&r, row[i].migration == 2);
		int rc = own_authorise(&r.o, row[i].node, row[i].what, &r.err);
		if (rc != row[i].want)
			fail_msg("row %zu: %d, not %d", i, rc, row[i].want);
		assert_untouched(&r);
		rec_down(&r);
	}
	struct rec r;
	rec_up(&r, "AB", true);
	migrating(&r, false);
	strs_remove(&r.o.current, &r.o.n_current, B);
	assert_int_equal(own_authorise(&r.o, B, AUTH_PROMOTE, &r.err), -ERR_NOT_OWNER); /* a target that lags behind is not promoted */
	rec_down(&r);
}

/* What a node says may be true; but nothing is decided by a record that may be older than it. */
static void a_record_from_a_backup_decides_nothing(void **state)
{
	struct rec r;
	struct msg_ask m;
	char *both[] = { (char *)(uintptr_t)B, (char *)(uintptr_t)A };

	(void)state;
	rec_up(&r, "AB", true);
	own_from_backup(&r.o, 1, NOW);
	assert_false(own_confirmed(&r.o));
	assert_true(r.o.gen == GENS_PER_INCARNATION + 7);
	remember(&r);
	schema_init(&msg_ask_schema, &m);
	m.gen = r.o.gen;
	m.uptodate = 1;
	assert_false(own_would_say_yes(&r.o, A, &m));
	assert_int_equal(own_ask(&r.o, A, &m, NOW), VERDICT_NOT_NOW);
	assert_int_equal(own_ask(&r.o, B, &m, NOW), VERDICT_NOT_NOW); /* a "no" would end its guest */
	assert_false(own_ask_shrink(&r.o, A, &m, true, NOW));
	assert_false(own_observe_resync(&r.o, A, B, r.o.gen, NOW));
	assert_int_equal(own_migrate(&r.o, B, false, &r.err), -ERR_NOT_SAFE);
	err_clear(&r.err);
	assert_int_equal(own_failover(&r.o, B, false, true, EVIDENCE_PERSON, "off", NOW, &r.err), -ERR_NOT_SAFE);
	err_clear(&r.err);
	assert_int_equal(own_shrink(&r.o, B, NOW, &r.err), -ERR_NOT_SAFE);
	err_clear(&r.err);
	assert_int_equal(own_replicas(&r.o, both, 2, NOW, &r.err), -ERR_NOT_SAFE);
	err_clear(&r.err);
	assert_int_equal(own_authorise(&r.o, A, AUTH_START, &r.err), -ERR_NOT_SAFE);
	err_clear(&r.err);
	strs_remove(&r.o.current, &r.o.n_current, B);
	remember(&r);
	assert_false(own_grow(&r.o, A, true, B, r.o.gen, NOW));
	r.o.arbitrated = 0;
	strs_add(&r.o.current, &r.o.n_current, B);
	remember(&r);
	assert_false(own_observe_loss(&r.o, A, r.o.gen, NOW));
	assert_untouched(&r);
	r.o.arbitrated = 1;
	assert_int_equal(own_confirm(&r.o, both, 2, NOW, &r.err), 0);
	assert_true(own_confirmed(&r.o));
	assert_string_equal(r.o.owner, B);
	assert_current(&r, "AB");
	m.gen = r.o.gen;
	assert_int_equal(own_ask(&r.o, B, &m, NOW), VERDICT_YES);
	schema_done(&msg_ask_schema, &m);
	rec_down(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_new_record_is_the_owners_alone),
		cmocka_unit_test(yes_needs_every_condition),
		cmocka_unit_test(a_migration_has_one_side_that_gets_a_yes),
		cmocka_unit_test(a_replica_leaves_only_when_another_is_left),
		cmocka_unit_test(current_grows_on_the_runners_word_at_this_generation),
		cmocka_unit_test(without_arbitration_a_loss_is_observed),
		cmocka_unit_test(a_migration_needs_the_data_on_both_sides),
		cmocka_unit_test(an_owner_without_disk_migrates),
		cmocka_unit_test(the_pivot_moves_the_side_that_runs),
		cmocka_unit_test(the_pivot_is_refused_when_the_replicas_lost_each_other),
		cmocka_unit_test(a_failover_needs_evidence_and_a_current_replica),
		cmocka_unit_test(taken_as_it_is_once),
		cmocka_unit_test(a_yes_that_was_not_used_is_handed_back),
		cmocka_unit_test(failover_and_going_on_alone_exclude_each_other),
		cmocka_unit_test(nothing_else_is_done_during_a_migration),
		cmocka_unit_test(the_last_replica_stays),
		cmocka_unit_test(a_new_set_of_replicas_holds_only_current_ones),
		cmocka_unit_test(arbitration_turned_on_is_a_new_generation),
		cmocka_unit_test(arbitration_begins_with_the_owner_alone),
		cmocka_unit_test(permissions_are_the_runners),
		cmocka_unit_test(a_record_from_a_backup_decides_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
