/* SPDX-License-Identifier: Apache-2.0 */
/* What follows when a step fails (core/saga), and that nothing is said before what it rests on is committed (core/outbox). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/xmem.h"
#include "core/outbox.h"
#include "core/saga.h"
#include "io/store_check.h"

/* ---- saga ------------------------------------------------------------------------------------------------------- */

static void a_failed_step_before_the_pivot(void **state)
{
	static const struct {
		enum step_kind kind;
		bool may_fail, canceled;
		int attempt;
		enum err_code code;
		enum saga_verdict want;
	} row[] = {
		{ STEP_KIND_volume_create, false, false, 0, ERR_NO_SPACE, SAGA_UNDO },  /* trying again would not help */
		{ STEP_KIND_volume_create, false, false, 0, ERR_TIMEOUT, SAGA_RETRY },
		{ STEP_KIND_volume_create, false, false, 1, ERR_TIMEOUT, SAGA_UNDO },   /* its row says one */
		{ STEP_KIND_drbd_attach, false, false, 1, ERR_NODE_DOWN, SAGA_RETRY },  /* its row says two */
		{ STEP_KIND_drbd_attach, false, false, 2, ERR_NODE_DOWN, SAGA_UNDO },
		{ STEP_KIND_volume_create, false, true, 0, ERR_TIMEOUT, SAGA_UNDO },    /* canceled: at once */
		{ STEP_KIND_volume_create, true, true, 0, ERR_NO_SPACE, SAGA_UNDO },
		{ STEP_KIND_volume_create, true, false, 0, ERR_NO_SPACE, SAGA_SKIP },
		{ STEP_KIND_volume_create, true, false, 0, ERR_TIMEOUT, SAGA_RETRY },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(row); i++) {
		struct err err = { .code = row[i].code };

		if (saga_failed(row[i].kind, false, row[i].may_fail, row[i].canceled, row[i].attempt, &err) != row[i].want)
			fail_msg("row %zu", i);
	}
}

static void behind_the_pivot_nothing_is_undone(void **state)
{
	(void)state;
	for (int kind = 0; kind < STEP_KIND_COUNT; kind++)
		for (int attempt = 0; attempt < 12; attempt++)
			for (int may_fail = 0; may_fail < 2; may_fail++)
				for (int canceled = 0; canceled < 2; canceled++) {
					struct err err = { .code = ERR_NO_SPACE };
					enum saga_verdict v = saga_failed((enum step_kind)kind, true, may_fail, canceled, attempt, &err);

					/* The reconciler connects the mirror: nobody waits for it. */
					bool optional = may_fail && (kind == STEP_KIND_drbd_attach || kind == STEP_KIND_drbd_connect ||
								     kind == STEP_KIND_drbd_wait_connected || kind == STEP_KIND_tail_keep);

					assert_int_not_equal(v, SAGA_UNDO);
					if (optional)
						assert_int_equal(v, SAGA_SKIP);
					else if (attempt < SAGA_FORWARD_TRIES)
						assert_int_equal(v, SAGA_RETRY);
					else if (may_fail)
						assert_int_equal(v, SAGA_SKIP);
					else
						assert_int_equal(v, saga_volatile((enum step_kind)kind) ? SAGA_GIVE_UP : SAGA_PARK);
				}
	struct err err = { .code = ERR_NODE_DOWN };
	assert_int_equal(saga_failed(STEP_KIND_volume_remove, true, false, false, SAGA_RETRIES_SPENT, &err), SAGA_PARK);
	assert_int_equal(saga_failed(STEP_KIND_guest_start, true, false, false, SAGA_RETRIES_SPENT, &err), SAGA_GIVE_UP);
}

/* What outlives a boot may not be passed over: an orphan would stay. */
static void durable_things_are_not_volatile(void **state)
{
	static const enum step_kind durable[] = { STEP_KIND_volume_create, STEP_KIND_volume_remove, STEP_KIND_image_write, STEP_KIND_drbd_configure,
						  STEP_KIND_drbd_make_md };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(durable); i++)
		assert_false(saga_volatile(durable[i]));
	assert_true(saga_volatile(STEP_KIND_guest_start));
	assert_true(saga_volatile(STEP_KIND_drbd_primary));
}

static void a_silent_node_is_waited_for(void **state)
{
	enum { LEASE = 12000 };

	(void)state;
	assert_false(saga_silent_too_long(STEP_KIND_volume_create, false, false, LEASE - 1, LEASE));
	assert_true(saga_silent_too_long(STEP_KIND_volume_create, false, false, LEASE, LEASE));
	/* Only forward: durable things for ever, volatile ones two leases. */
	assert_false(saga_silent_too_long(STEP_KIND_volume_create, true, false, 1000 * LEASE, LEASE));
	assert_false(saga_silent_too_long(STEP_KIND_guest_start, true, false, 2 * LEASE - 1, LEASE));
	assert_true(saga_silent_too_long(STEP_KIND_guest_start, true, false, 2 * LEASE, LEASE));
	/* A node that was told to leave has left: it will never answer. */
	assert_false(saga_silent_too_long(STEP_KIND_node_leave, true, false, 2 * LEASE - 1, LEASE));
	assert_true(saga_silent_too_long(STEP_KIND_node_leave, true, false, 2 * LEASE, LEASE));
	/* A node that is known to be off is not waited for. */
	assert_true(saga_silent_too_long(STEP_KIND_volume_create, true, true, 0, LEASE));
}

static void waiting_grows_to_a_minute(void **state)
{
	(void)state;
	assert_int_equal(saga_backoff_ms(0), 250);
	assert_int_equal(saga_backoff_ms(1), 500);
	for (int i = 0; i < 100; i++) {
		assert_true(saga_backoff_ms(i + 1) >= saga_backoff_ms(i));
		assert_true(saga_backoff_ms(i) <= 60000);
	}
	assert_int_equal(saga_backoff_ms(1000000), 60000);
}

/* ---- outbox ------------------------------------------------------------------------------------------------------ */

struct seen {
	char said[2000]; /* what was emitted, in words */
};

static void emit(void *arg, const struct core_action *a)
{
	struct seen *s = arg;
	size_t n = strlen(s->said);
	char *p = s->said + n;
	size_t room = sizeof(s->said) - n;

	switch (a->kind) {
	case CORE_COMMIT:
		(void)snprintf(p, room, "commit%lld(", (long long)a->seq);
		for (int i = 0; i < a->n_puts && a->n_puts < 10; i++)
			(void)snprintf(p + strlen(p), room - strlen(p), "%s%s=%s", i ? "," : "", a->puts[i].key, a->puts[i].value ? a->puts[i].value : "-");
		if (a->n_puts >= 10)
			(void)snprintf(p + strlen(p), room - strlen(p), "%d puts", a->n_puts);
		(void)snprintf(p + strlen(p), room - strlen(p), ") ");
		return;
	case CORE_REPLY: (void)snprintf(p, room, "reply%d(%s) ", (int)a->client, a->reply->id); return;
	case CORE_SEND: (void)snprintf(p, room, "send(%s,%s) ", a->node, a->text); return;
	case CORE_LOG: (void)snprintf(p, room, "log(%s) ", a->text); return;
	case CORE_STEP_DOWN: (void)snprintf(p, room, "down "); return;
	default: (void)snprintf(p, room, "other%d ", (int)a->kind);
	}
}

static void assert_said(struct seen *s, const char *want)
{
	assert_string_equal(s->said, want);
	s->said[0] = '\0';
}

static struct msg_reply *reply(const char *id)
{
	struct msg_reply *r = xcalloc(1, sizeof(*r));

	schema_init(&msg_reply_schema, r);
	(void)str_copy(r->id, sizeof(r->id), id);
	return r;
}

static void nothing_is_said_before_it_is_durable(void **state)
{
	struct seen s = { "" };
	struct outbox *o = outbox_new(4, emit, &s);

	(void)state;
	outbox_reply(o, CORE_REPLY, 1, reply("early")); /* said before the write, in the same event */
	outbox_put(o, "a", xstrdup("1"));
	outbox_send(o, "n1", xstrdup("go"));
	assert_said(&s, "");
	outbox_flush(o);
	assert_said(&s, "commit5(a=1) ");
	assert_false(outbox_idle(o));
	outbox_committed(o, 5);
	assert_said(&s, "reply1(early) send(n1,go) ");
	assert_true(outbox_idle(o));
	outbox_free(o);
}

static void what_rests_on_nothing_waits_its_turn(void **state)
{
	struct seen s = { "" };
	struct outbox *o = outbox_new(0, emit, &s);

	(void)state;
	outbox_send(o, "n1", xstrdup("free"));
	outbox_flush(o);
	assert_said(&s, "send(n1,free) "); /* nothing waits: at once */
	outbox_put(o, "a", xstrdup("1"));
	outbox_send(o, "n1", xstrdup("one"));
	outbox_flush(o);
	outbox_send(o, "n1", xstrdup("two")); /* must not overtake "one" */
	outbox_flush(o);
	assert_said(&s, "commit1(a=1) ");
	outbox_committed(o, 1);
	assert_said(&s, "send(n1,one) send(n1,two) ");
	outbox_free(o);
}

static void one_commit_is_under_way_and_the_rest_gathers(void **state)
{
	struct seen s = { "" };
	struct outbox *o = outbox_new(0, emit, &s);

	(void)state;
	outbox_put(o, "a", xstrdup("1"));
	outbox_flush(o);
	outbox_put(o, "b", xstrdup("1"));
	outbox_send(o, "n", xstrdup("b1"));
	outbox_flush(o);
	outbox_put(o, "b", xstrdup("2"));
	outbox_put(o, "c", NULL);
	outbox_send(o, "n", xstrdup("b2"));
	outbox_flush(o);
	assert_said(&s, "commit1(a=1) ");
	outbox_committed(o, 1);
	assert_said(&s, "commit2(b=2,c=-) "); /* gathered; each key once, the later value */
	outbox_committed(o, 2);
	assert_said(&s, "send(n,b1) send(n,b2) ");
	outbox_free(o);
}

static void a_touch_is_a_commit_without_a_change(void **state)
{
	struct seen s = { "" };
	struct outbox *o = outbox_new(0, emit, &s);

	(void)state;
	outbox_touch(o); /* a verdict rests on being the master still */
	outbox_send(o, "n", xstrdup("yes"));
	outbox_flush(o);
	assert_said(&s, "commit1() ");
	outbox_committed(o, 1);
	assert_said(&s, "send(n,yes) ");
	outbox_free(o);
}

static void stale_answers_pass_by(void **state)
{
	struct seen s = { "" };
	struct outbox *o = outbox_new(0, emit, &s);

	(void)state;
	outbox_put(o, "a", xstrdup("1"));
	outbox_flush(o);
	outbox_reply_now(o, 2, reply("stale"));
	assert_said(&s, "commit1(a=1) reply2(stale) ");
	outbox_free(o);
}

struct sizes {
	size_t most;
	int n;
};

static void weigh(void *arg, const struct core_action *a)
{
	struct sizes *s = arg;
	size_t bytes = 0;

	for (int i = 0; a->kind == CORE_COMMIT && i < a->n_puts; i++)
		bytes += strlen(a->puts[i].key) + strlen(a->puts[i].value);
	s->most = bytes > s->most ? bytes : s->most;
	s->n += a->kind == CORE_COMMIT ? a->n_puts : 0;
}

/* Plans of guests with many disks, begun by the dozen when a node or the power has gone: the store refuses what is too large, and would for ever. */
static void a_batch_is_taken_by_the_store(void **state)
{
	struct sizes s = { 0, 0 };
	struct outbox *o = outbox_new(0, weigh, &s);
	char key[32];

	(void)state;
	outbox_put(o, "first", xstrdup("1"));
	outbox_flush(o);
	for (int i = 0; i < 60; i++) {
		char *plan = xcalloc(1, 40 * 1024 + 1);

		memset(plan, 'x', 40 * 1024);
		(void)snprintf(key, sizeof(key), "/gantry/job/%d", i);
		outbox_put(o, key, plan);
		outbox_flush(o);
	}
	for (int64_t seq = 1; seq <= outbox_last_seq(o); seq++)
		outbox_committed(o, seq);
	assert_true(s.most <= STORE_TXN_BYTES_MAX);
	assert_true(s.most > STORE_TXN_BYTES_MAX / 2); /* and as few as may be */
	assert_int_equal(s.n, 61);
	outbox_free(o);
}

/* A transaction has room for STORE_OPS_MAX; events are not torn apart, so batches are cut between them. */
static void a_batch_has_a_limit(void **state)
{
	struct seen s = { "" };
	struct outbox *o = outbox_new(0, emit, &s);
	char key[32];

	(void)state;
	outbox_put(o, "first", xstrdup("1"));
	outbox_flush(o);
	for (int event = 0; event < 3; event++) {
		for (int i = 0; i < 40; i++) {
			(void)snprintf(key, sizeof(key), "%d.%d", event, i);
			outbox_put(o, key, xstrdup("x"));
		}
		outbox_flush(o);
	}
	assert_said(&s, "commit1(first=1) ");
	outbox_committed(o, 1);
	assert_said(&s, "commit2(80 puts) ");
	outbox_committed(o, 2);
	assert_said(&s, "commit3(40 puts) ");
	outbox_committed(o, 3);
	assert_true(outbox_idle(o));
	outbox_free(o);
}

static void who_is_down_says_nothing_any_more(void **state)
{
	struct seen s = { "" };
	struct outbox *o = outbox_new(0, emit, &s);

	(void)state;
	outbox_put(o, "a", xstrdup("1"));
	outbox_send(o, "n", xstrdup("never"));
	outbox_flush(o);
	outbox_step_down(o);
	assert_said(&s, "commit1(a=1) down ");
	outbox_put(o, "b", xstrdup("1"));
	outbox_send(o, "n", xstrdup("never"));
	outbox_flush(o);
	assert_said(&s, "");
	outbox_free(o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_failed_step_before_the_pivot),
		cmocka_unit_test(behind_the_pivot_nothing_is_undone),
		cmocka_unit_test(durable_things_are_not_volatile),
		cmocka_unit_test(a_silent_node_is_waited_for),
		cmocka_unit_test(waiting_grows_to_a_minute),
		cmocka_unit_test(nothing_is_said_before_it_is_durable),
		cmocka_unit_test(what_rests_on_nothing_waits_its_turn),
		cmocka_unit_test(one_commit_is_under_way_and_the_rest_gathers),
		cmocka_unit_test(a_touch_is_a_commit_without_a_change),
		cmocka_unit_test(stale_answers_pass_by),
		cmocka_unit_test(a_batch_has_a_limit), cmocka_unit_test(a_batch_is_taken_by_the_store),
		cmocka_unit_test(who_is_down_says_nothing_any_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
