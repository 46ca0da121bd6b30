/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One suite for every backend of the store: what holds for the memory store, on which the simulation rests, must hold for
 * etcd, on which the cluster rests. Faults are made by seeds there and by a proxy and by signals here.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "common/cleanup.h"
#include "common/xmem.h"
#include "io/etcd_conf.h"
#include "test_store_rig.h"

#define PUMPS_MAX 64

enum fault { FAULT_LOSE_REPLY, FAULT_LOSE_REQUEST, FAULT_LATE, FAULT_DOWN };

struct world {
	struct store *store;
	struct loop *loop; /* NULL = mem */
	char *dir;
	struct rig_etcd etcd;
	struct rig_proxy *proxy;
	enum fault fault;
	bool broken; /* from break_it() to heal() */
};

/* ---- worlds ---- */

static int mem_up(void **state)
{
	struct world *w = xcalloc(1, sizeof(*w));

	w->store = store_mem_new(NULL);
	*state = w;
	return 0;
}

static int etcd_up(void **state)
{
	struct world *w = xcalloc(1, sizeof(*w));

	*state = w; /* before anything can fail: the teardown ends what was started */
	w->loop = loop_new();
	w->dir = rig_dir_new();
	rig_etcd_start(&w->etcd, w->dir, "one", NULL);
	const char *const direct[] = { w->etcd.url, NULL };
	struct store *s = rig_store(w->loop, direct, NULL);
	rig_await_ready(w->loop, s);
	s->ops->free(s);
	w->proxy = rig_proxy_new(w->etcd.client_port);
	AUTO_FREE char *url = xasprintf("http://127.0.0.1:%d", rig_proxy_port(w->proxy));
	const char *const urls[] = { url, NULL };
	w->store = rig_store(w->loop, urls, NULL);
	return 0;
}

static int down(void **state)
{
	struct world *w = *state;

	if (w->store)
		w->store->ops->free(w->store);
	rig_proxy_free(w->proxy);
	rig_etcd_done(&w->etcd);
	loop_free(w->loop);
	rig_dir_free(w->dir);
	free(w);
	return 0;
}

/* A signal is on its way for a while: until it has stopped, it may still answer. */
static void stop(pid_t pid)
{
	int status = 0;

	assert_int_equal(kill(pid, SIGSTOP), 0);
	assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
	assert_true(WIFSTOPPED(status));
}

static void break_it(struct world *w, enum fault f)
{
	static const enum rig_proxy_mode modes[] = {
		[FAULT_LOSE_REPLY] = RIG_SWALLOW, [FAULT_LOSE_REQUEST] = RIG_DROP, [FAULT_LATE] = RIG_HOLD,
	};
	struct store_mem_faults faults = {
		.seed = 7,
		.lose_reply_permille = f == FAULT_LOSE_REPLY ? 1000 : 0,
		.lose_request_permille = f == FAULT_LOSE_REQUEST ? 1000 : 0,
		.late_permille = f == FAULT_LATE ? 1000 : 0,
	};

	w->fault = f;
	w->broken = true;
	if (!w->loop && f == FAULT_DOWN)
		store_mem_set_available(w->store, false);
	else if (!w->loop)
		store_mem_set_faults(w->store, &faults);
	else if (f == FAULT_DOWN)
		stop(w->etcd.pid);
	else
		rig_proxy_set(w->proxy, modes[f]);
}

static void heal(struct world *w)
{
	w->broken = false;
	if (!w->loop) {
		store_mem_set_available(w->store, true);
		store_mem_set_faults(w->store, NULL);
	} else if (w->fault == FAULT_DOWN) {
		assert_int_equal(kill(w->etcd.pid, SIGCONT), 0);
	} else {
		rig_proxy_set(w->proxy, RIG_PASS);
	}
}

/* Long enough for whatever was held back to be executed. */
static void settle(struct world *w)
{
	if (w->loop) {
		rig_run_ms(w->loop, 500);
		return;
	}
	for (int i = 0; i < PUMPS_MAX; i++)
		(void)store_mem_pump(w->store);
}

/* ---- calls ---- */

/* A store that was broken on purpose is not waited for; one that is only slow is, on a machine that is busy for long. */
static int call_ms(const struct world *w)
{
	return w->broken ? RIG_BROKEN_MS : 6 * RIG_CALL_MS;
}

static void wait_for(struct world *w, struct rig_answer *a)
{
	if (w->loop) {
		rig_wait(w->loop, a);
		return;
	}
	for (int i = 0; i < PUMPS_MAX && a->n_calls == 0; i++)
		(void)store_mem_pump(w->store);
	assert_int_equal(a->n_calls, 1);
}

static struct rig_answer txn(struct world *w, const struct store_cmp *cmps, int n_cmps, const struct store_op *ops, int n_ops)
{
	struct rig_answer a = { .loop = w->loop };

	w->store->ops->txn(w->store, cmps, n_cmps, ops, n_ops, call_ms(w), rig_on_answer, &a);
	assert_int_equal(a.n_calls, 0); /* never from inside the call */
	wait_for(w, &a);
	return a;
}

static enum store_outcome guarded(struct world *w, const struct store_cmp *c, const char *key, const char *value)
{
	struct store_op op = { STORE_PUT, key, value };
	struct rig_answer a = txn(w, c, c ? 1 : 0, &op, 1);
	enum store_outcome o = a.outcome;

	rig_answer_done(&a);
	return o;
}

static int64_t put(struct world *w, const char *key, const char *value)
{
	struct store_op op = { STORE_PUT, key, value };
	struct rig_answer a = txn(w, NULL, 0, &op, 1);

	/* A busy machine makes a write late, and a late write is unknown: it is written again, since nobody else writes here. */
	for (int i = 0; i < 5 && a.outcome == STORE_UNKNOWN; i++) {
		rig_answer_done(&a);
		a = txn(w, NULL, 0, &op, 1);
	}
	assert_int_equal(a.outcome, STORE_OK);
	assert_true(a.revision > 0);
	return a.revision;
}

static struct rig_answer get(struct world *w, const char *key, bool exact)
{
	struct rig_answer a = { .loop = w->loop };

	w->store->ops->read(w->store, key, exact, call_ms(w), rig_on_answer, &a);
	assert_int_equal(a.n_calls, 0);
	wait_for(w, &a);
	return a;
}

static struct rig_answer must_get(struct world *w, const char *key, bool exact)
{
	struct rig_answer a = get(w, key, exact);

	if (a.outcome != STORE_OK)
		fail_msg("cannot read '%s': %s", key, a.err.msg);
	return a;
}

/* value NULL = the key must not exist. */
static void expect(struct world *w, const char *key, const char *value)
{
	struct rig_answer a = must_get(w, key, true);

	assert_int_equal(a.n_kvs, value ? 1 : 0);
	if (value)
		assert_string_equal(a.kvs[0].value, value);
	rig_answer_done(&a);
}

/* What was under way when its caller gave it up: on a busy machine it may land later still. */
static void expect_lands(struct world *w, const char *key, const char *value)
{
	bool there = false;

	for (int i = 0; i < 100 && w->loop && !there; i++) {
		struct rig_answer a = must_get(w, key, true);

		there = a.n_kvs == 1 && strcmp(a.kvs[0].value, value) == 0;
		rig_answer_done(&a);
		if (!there)
			rig_run_ms(w->loop, 200);
	}
	expect(w, key, value);
}

static int count(struct world *w, const char *prefix)
{
	struct rig_answer a = must_get(w, prefix, false);
	int n = a.n_kvs;

	rig_answer_done(&a);
	return n;
}

/* ---- comparisons ---- */

static void each_kind_of_comparison_decides(void **state)
{
	struct world *w = *state;
	int64_t created = put(w, "/cmp/a", "1"), changed = put(w, "/cmp/a", "2");
	const struct {
		struct store_cmp cmp;
		bool holds;
	} row[] = {
		{ { .kind = STORE_CMP_ABSENT, .key = "/cmp/none" }, true },
		{ { .kind = STORE_CMP_ABSENT, .key = "/cmp/a" }, false },
		{ { .kind = STORE_CMP_MOD_REV, .key = "/cmp/a", .revision = changed }, true },
		{ { .kind = STORE_CMP_MOD_REV, .key = "/cmp/a", .revision = created }, false },
		{ { .kind = STORE_CMP_CREATE_REV, .key = "/cmp/a", .revision = created }, true },
		{ { .kind = STORE_CMP_CREATE_REV, .key = "/cmp/a", .revision = changed }, false },
		{ { .kind = STORE_CMP_VALUE, .key = "/cmp/a", .value = "2" }, true },
		{ { .kind = STORE_CMP_VALUE, .key = "/cmp/a", .value = "1" }, false },
		{ { .kind = STORE_CMP_VALUE, .key = "/cmp/a", .value = "" }, false },
		/* an absent key has no value, not even the empty one; its revisions are 0 */
		{ { .kind = STORE_CMP_VALUE, .key = "/cmp/none", .value = "" }, false },
		{ { .kind = STORE_CMP_MOD_REV, .key = "/cmp/none", .revision = 0 }, true },
		{ { .kind = STORE_CMP_CREATE_REV, .key = "/cmp/none", .revision = 0 }, true },
		{ { .kind = STORE_CMP_MOD_REV, .key = "/cmp/none", .revision = changed }, false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(row); i++)
		if (guarded(w, &row[i].cmp, "/cmp/result", "x") != (row[i].holds ? STORE_OK : STORE_REFUSED))
			fail_msg("row %zu decides the wrong way", i);
}

static void a_refused_transaction_writes_nothing(void **state)
{
	struct world *w = *state;
	int64_t before = put(w, "/refused/a", "old");
	struct store_cmp cmps[] = {
		{ .kind = STORE_CMP_VALUE, .key = "/refused/a", .value = "old" },
		{ .kind = STORE_CMP_ABSENT, .key = "/refused/a" }, /* one that fails is enough, also the last */
	};
	struct store_op ops[] = {
		{ STORE_PUT, "/refused/b", "new" },
		{ STORE_DELETE, "/refused/a", NULL },
	};
	struct rig_answer a = txn(w, cmps, 2, ops, 2);

	assert_int_equal(a.outcome, STORE_REFUSED);
	assert_int_equal(a.revision, before); /* the revision at the answer */
	assert_int_equal(a.err.code, 0);
	expect(w, "/refused/a", "old");
	expect(w, "/refused/b", NULL);
}

static void operations_happen_at_one_revision(void **state)
{
	struct world *w = *state;
	int64_t before = put(w, "/atomic/old", "x");
	struct store_op ops[] = {
		{ STORE_PUT, "/atomic/1", "one" },
		{ STORE_PUT, "/atomic/2", "two" },
		{ STORE_DELETE, "/atomic/old", NULL },
	};
	struct rig_answer a = txn(w, NULL, 0, ops, 3);

	assert_int_equal(a.outcome, STORE_OK);
	assert_int_equal(a.revision, before + 1);
	int64_t revision = a.revision;
	a = must_get(w, "/atomic/", false);
	assert_int_equal(a.n_kvs, 2);
	assert_int_equal(a.revision, revision);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(a.kvs[i].mod_revision, revision);
		assert_int_equal(a.kvs[i].create_revision, revision);
	}
	rig_answer_done(&a);
}

static void revisions_tell_creation_from_change(void **state)
{
	struct world *w = *state;
	int64_t first = put(w, "/rev/a", "1"), second = put(w, "/rev/a", "1");
	struct store_op del = { STORE_DELETE, "/rev/a", NULL };

	assert_int_equal(second, first + 1); /* the same value is a change too */
	struct rig_answer a = must_get(w, "/rev/a", true);
	assert_int_equal(a.kvs[0].create_revision, first);
	assert_int_equal(a.kvs[0].mod_revision, second);
	rig_answer_done(&a);
	a = txn(w, NULL, 0, &del, 1);
	assert_int_equal(a.revision, second + 1);
	a = txn(w, NULL, 0, &del, 1);
	assert_int_equal(a.outcome, STORE_OK);
	assert_int_equal(a.revision, second + 1); /* there was nothing to delete */
	int64_t again = put(w, "/rev/a", "1");
	assert_int_equal(again, second + 2);
	a = must_get(w, "/rev/a", true);
	assert_int_equal(a.kvs[0].create_revision, again);
	rig_answer_done(&a);
}

static void comparing_alone_changes_nothing(void **state)
{
	struct world *w = *state;
	int64_t revision = put(w, "/only/a", "1");
	struct store_cmp cmp = { .kind = STORE_CMP_VALUE, .key = "/only/a", .value = "1" };
	struct rig_answer a = txn(w, &cmp, 1, NULL, 0);

	assert_int_equal(a.outcome, STORE_OK);
	assert_int_equal(a.revision, revision);
}

/* ---- deletes and reads ---- */

static void a_prefix_is_deleted_and_its_neighbours_stay(void **state)
{
	static const char *const keys[] = { "/del/a", "/del/a/", "/del/a/1", "/del/a/2/x", "/del/a0", "/del/b", "/del/\xff",
					    "/del/\xff\xff" };
	struct world *w = *state;
	struct store_op ops[] = { { STORE_DELETE_PREFIX, "/del/a/", NULL }, { STORE_DELETE, "/del/b", NULL } };

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		(void)put(w, keys[i], "x");
	struct rig_answer a = txn(w, NULL, 0, ops, 2);
	assert_int_equal(a.outcome, STORE_OK);
	a = must_get(w, "/del/", false);
	assert_int_equal(a.n_kvs, 4);
	assert_string_equal(a.kvs[0].key, "/del/a");
	assert_string_equal(a.kvs[1].key, "/del/a0");
	assert_string_equal(a.kvs[2].key, "/del/\xff");
	assert_string_equal(a.kvs[3].key, "/del/\xff\xff");
	rig_answer_done(&a);
	assert_int_equal(count(w, "/del/\xff"), 2); /* the prefix whose last byte cannot be raised */
}

static void reads_are_exact_or_by_prefix(void **state)
{
	struct world *w = *state;

	(void)put(w, "/read/a", "1");
	(void)put(w, "/read/a/b", "2");
	(void)put(w, "/read/ab", "3");
	struct rig_answer a = must_get(w, "/read/a", true);
	assert_int_equal(a.n_kvs, 1);
	rig_answer_done(&a);
	a = must_get(w, "/read/a", false);
	assert_int_equal(a.n_kvs, 3); /* with the key itself */
	assert_string_equal(a.kvs[1].key, "/read/a/b");
	rig_answer_done(&a);
	a = must_get(w, "/read/none", true);
	assert_int_equal(a.n_kvs, 0);
	assert_true(a.revision > 0);
	rig_answer_done(&a);
	assert_true(count(w, "") >= 3); /* everything */
}

static void a_look_shows_what_was_committed(void **state)
{
	struct world *w = *state;
	struct rig_answer a = { .loop = w->loop };
	int64_t revision = put(w, "/look/a", "1");

	(void)put(w, "/look/b", "2");
	w->store->ops->look(w->store, "/look/", false, call_ms(w), rig_on_answer, &a);
	assert_int_equal(a.n_calls, 0);
	wait_for(w, &a);
	assert_int_equal(a.outcome, STORE_OK);
	assert_int_equal(a.n_kvs, 2);
	assert_string_equal(a.kvs[0].value, "1");
	assert_int_equal(a.kvs[0].mod_revision, revision);
	rig_answer_done(&a);
}

static void many_pages_are_one_revision(void **state)
{
	enum { N = 1250, AT_ONCE = 50, N_WRITES = 12 };
	struct world *w = *state;
	char key[AT_ONCE][32];
	struct store_op ops[AT_ONCE], ends[2] = { { STORE_PUT, "/page/0", NULL }, { STORE_PUT, "/page/z", NULL } };
	struct rig_answer writes[N_WRITES], a = { .loop = w->loop };

	for (int done = 0; done < N; done += AT_ONCE) {
		for (int i = 0; i < AT_ONCE; i++) {
			(void)snprintf(key[i], sizeof(key[i]), "/page/k%05d", done + i);
			ops[i] = (struct store_op){ STORE_PUT, key[i], key[i] };
		}
		assert_int_equal(txn(w, NULL, 0, ops, AT_ONCE).outcome, STORE_OK);
	}
	ends[0].value = ends[1].value = "before";
	assert_int_equal(txn(w, NULL, 0, ends, 2).outcome, STORE_OK);
	/* The first and the last key change together while the pages are read. */
	w->store->ops->read(w->store, "/page/", false, call_ms(w), rig_on_answer, &a);
	for (int i = 0; i < N_WRITES; i++) {
		writes[i] = (struct rig_answer){ .loop = w->loop };
		(void)snprintf(key[0], sizeof(key[0]), "write%d", i);
		ends[0].value = ends[1].value = key[0];
		w->store->ops->txn(w->store, NULL, 0, ends, 2, call_ms(w), rig_on_answer, &writes[i]);
	}
	wait_for(w, &a);
	for (int i = 0; i < N_WRITES; i++)
		wait_for(w, &writes[i]);
	assert_int_equal(a.outcome, STORE_OK);
	assert_int_equal(a.n_kvs, N + 2);
	assert_string_equal(a.kvs[0].value, a.kvs[N + 1].value);
	for (int i = 1; i < a.n_kvs; i++) {
		assert_true(strcmp(a.kvs[i - 1].key, a.kvs[i].key) < 0);
		assert_true(a.kvs[i].mod_revision <= a.revision);
	}
	rig_answer_done(&a);
}

/* ---- limits and texts ---- */

static void a_hundred_operations_are_the_limit(void **state)
{
	enum { N = STORE_OPS_MAX + 1 };
	struct world *w = *state;
	char key[N][32];
	struct store_op ops[N];
	struct store_cmp cmps[N];

	for (int i = 0; i < N; i++) {
		(void)snprintf(key[i], sizeof(key[i]), "/limit/%d", i);
		ops[i] = (struct store_op){ STORE_PUT, key[i], "x" };
		cmps[i] = (struct store_cmp){ .kind = STORE_CMP_ABSENT, .key = key[i] };
	}
	struct rig_answer a = txn(w, cmps, 1, ops, N);
	assert_int_equal(a.outcome, STORE_FAILED);
	assert_int_equal(a.err.code, ERR_TOO_BIG);
	assert_int_equal(count(w, "/limit/"), 0);
	assert_int_equal(txn(w, cmps, N, ops, 1).outcome, STORE_FAILED);
	assert_int_equal(txn(w, cmps, STORE_OPS_MAX, ops, STORE_OPS_MAX).outcome, STORE_OK);
	assert_int_equal(count(w, "/limit/"), STORE_OPS_MAX);
}

static void big_values_come_back_whole(void **state)
{
	enum { N = 10 };
	struct world *w = *state;
	AUTO_FREE char *big = xcalloc(STORE_VALUE_MAX + 2, 1);
	struct store_op ops[2] = { { STORE_PUT, "/big/a", big }, { STORE_PUT, "/big/b", big } };
	char key[32];

	for (size_t i = 0; i < STORE_VALUE_MAX; i++)
		big[i] = (char)('a' + i % 26);
	for (int i = 0; i < N; i++) {
		(void)snprintf(key, sizeof(key), "/big/%d", i);
		(void)put(w, key, big);
	}
	struct rig_answer a = must_get(w, "/big/", false);
	assert_int_equal(a.n_kvs, N);
	for (int i = 0; i < N; i++)
		assert_true(strcmp(a.kvs[i].value, big) == 0);
	rig_answer_done(&a);
	a = txn(w, NULL, 0, ops, 2); /* each is allowed, both together are not */
	assert_int_equal(a.outcome, STORE_FAILED);
	assert_int_equal(a.err.code, ERR_TOO_BIG);
	big[STORE_VALUE_MAX] = 'x';
	a = txn(w, NULL, 0, ops, 1);
	assert_int_equal(a.outcome, STORE_FAILED);
	assert_int_equal(a.err.code, ERR_TOO_BIG);
	expect(w, "/big/a", NULL);
}

static void every_text_comes_back(void **state)
{
	static const char *const texts[] = { "", " ", "\"quoted\" \\ {json}", "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x90\xa7",
					     "line\nline\ttab\r", "\x01\x7f", "no utf-8: \xff\xfe\x80", "a", "ab", "abc", "abcd" };
	struct world *w = *state;

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		AUTO_FREE char *key = xasprintf("/text/%s", texts[i]);
		struct store_cmp same = { .kind = STORE_CMP_VALUE, .key = key, .value = texts[i] };

		(void)put(w, key, texts[i]);
		expect(w, key, texts[i]);
		assert_int_equal(guarded(w, &same, key, texts[i]), STORE_OK);
	}
	assert_int_equal(count(w, "/text/"), (int)ARRAY_SIZE(texts));
}

static void malformed_transactions_are_refused(void **state)
{
	struct world *w = *state;
	const struct store_op row[][2] = {
		{ { STORE_PUT, "/bad/a", "1" }, { STORE_PUT, "/bad/a", "2" } },
		{ { STORE_PUT, "/bad/a", "1" }, { STORE_DELETE, "/bad/a", NULL } },
		{ { STORE_DELETE_PREFIX, "/bad/", NULL }, { STORE_PUT, "/bad/a", "1" } },
		{ { STORE_PUT, "/bad/b", "1" }, { STORE_PUT, "", "1" } },
		{ { STORE_PUT, "/bad/b", "1" }, { STORE_DELETE_PREFIX, "", NULL } },
	};
	struct store_cmp keyless = { .kind = STORE_CMP_ABSENT, .key = "" };

	for (size_t i = 0; i < ARRAY_SIZE(row); i++) {
		struct rig_answer a = txn(w, NULL, 0, row[i], 2);

		assert_int_equal(a.outcome, STORE_FAILED);
		assert_int_equal(a.err.code, ERR_BAD_REQUEST);
	}
	assert_int_equal(txn(w, &keyless, 1, NULL, 0).outcome, STORE_FAILED);
	struct rig_answer a = get(w, "", true);
	assert_int_equal(a.outcome, STORE_FAILED);
	assert_int_equal(count(w, "/bad/"), 0);
}

/* ---- two at once ---- */

static void of_two_guarded_writes_one_commits(void **state)
{
	struct world *w = *state;
	int64_t revision = put(w, "/race/a", "0");
	struct store_cmp cmp = { .kind = STORE_CMP_MOD_REV, .key = "/race/a", .revision = revision };
	struct rig_answer a[8];
	int committed = 0, refused = 0;

	for (int i = 0; i < 8; i++) {
		struct store_op op = { STORE_PUT, "/race/a", i % 2 ? "odd" : "even" };

		a[i] = (struct rig_answer){ .loop = w->loop };
		w->store->ops->txn(w->store, &cmp, 1, &op, 1, call_ms(w), rig_on_answer, &a[i]);
	}
	for (int i = 0; i < 8; i++) {
		wait_for(w, &a[i]);
		committed += a[i].outcome == STORE_OK;
		refused += a[i].outcome == STORE_REFUSED;
	}
	assert_int_equal(committed, 1);
	assert_int_equal(refused, 7);
	settle(w);
	for (int i = 0; i < 8; i++)
		assert_int_equal(a[i].n_calls, 1); /* exactly once, also later */
}

/* ---- faults ---- */

static void a_lost_reply_is_unknown_and_the_read_back_finds_it(void **state)
{
	struct world *w = *state;
	struct store_cmp absent = { .kind = STORE_CMP_ABSENT, .key = "/lost/reply" };

	break_it(w, FAULT_LOSE_REPLY);
	assert_int_equal(guarded(w, &absent, "/lost/reply", "written"), STORE_UNKNOWN);
	heal(w);
	expect_lands(w, "/lost/reply", "written");
	assert_int_equal(guarded(w, &absent, "/lost/reply", "twice"), STORE_REFUSED);
}

static void a_lost_request_is_unknown_and_the_read_back_finds_nothing(void **state)
{
	struct world *w = *state;

	break_it(w, FAULT_LOSE_REQUEST);
	assert_int_equal(guarded(w, NULL, "/lost/request", "x"), STORE_UNKNOWN);
	heal(w);
	settle(w);
	expect(w, "/lost/request", NULL);
}

static void an_unknown_outcome_says_so(void **state)
{
	struct world *w = *state;
	struct store_op op = { STORE_PUT, "/lost/error", "x" };

	break_it(w, FAULT_LOSE_REPLY);
	struct rig_answer a = txn(w, NULL, 0, &op, 1);
	heal(w);
	assert_int_equal(a.outcome, STORE_UNKNOWN);
	assert_int_equal(a.err.code, ERR_UNKNOWN_OUTCOME);
	assert_true(a.err.msg[0] != '\0');
}

/*
 * The master's chain: each write compares /seq with the number that it follows and writes the next. One that comes late,
 * after another master has gone on, is refused by the store itself.
 */
static void a_late_write_is_refused_by_its_sequence(void **state)
{
	struct world *w = *state;
	struct store_cmp follows = { .kind = STORE_CMP_VALUE, .key = "/late/seq", .value = "1" };
	struct store_op late[] = { { STORE_PUT, "/late/seq", "2" }, { STORE_PUT, "/late/owner", "old master" } };
	struct store_op next[] = { { STORE_PUT, "/late/seq", "2" }, { STORE_PUT, "/late/owner", "new master" } };

	(void)put(w, "/late/seq", "1");
	break_it(w, FAULT_LATE);
	assert_int_equal(txn(w, &follows, 1, late, 2).outcome, STORE_UNKNOWN);
	if (w->loop) { /* the other master has a way of its own to the store */
		const char *const urls[] = { w->etcd.url, NULL };
		struct world other = { .loop = w->loop, .store = rig_store(w->loop, urls, NULL) };

		assert_int_equal(txn(&other, &follows, 1, next, 2).outcome, STORE_OK);
		other.store->ops->free(other.store);
	} else {
		struct world other = { .store = store_mem_share(w->store, NULL) };
		struct rig_answer a = { .loop = NULL };

		/* The seed makes the late one wait for more than this pump. */
		other.store->ops->txn(other.store, &follows, 1, next, 2, 0, rig_on_answer, &a);
		wait_for(&other, &a);
		other.store->ops->free(other.store);
	}
	heal(w);
	settle(w);
	struct rig_answer a = must_get(w, "/late/owner", true);
	assert_int_equal(a.n_kvs, 1);
	assert_string_equal(a.kvs[0].value, "new master");
	rig_answer_done(&a);
	expect(w, "/late/seq", "2");
}

/* Without its guard the same late write does land: the test above can fail. */
static void a_late_write_without_a_guard_lands(void **state)
{
	struct world *w = *state;

	break_it(w, FAULT_LATE);
	assert_int_equal(guarded(w, NULL, "/late/bare", "old master"), STORE_UNKNOWN);
	heal(w);
	settle(w);
	expect_lands(w, "/late/bare", "old master");
}

static void an_unavailable_store_commits_nothing_it_calls_failed(void **state)
{
	struct world *w = *state;
	struct store_op op = { STORE_PUT, "/down/a", "x" };

	break_it(w, FAULT_DOWN);
	struct rig_answer write = txn(w, NULL, 0, &op, 1);
	struct rig_answer read = get(w, "/down/", false);
	heal(w);
	assert_true(write.outcome == STORE_FAILED || write.outcome == STORE_UNKNOWN);
	assert_true(write.err.code != 0);
	assert_int_equal(read.outcome, STORE_FAILED); /* a read has no unknown outcome */
	assert_true(err_retryable(read.err.code));
	settle(w);
	if (write.outcome == STORE_FAILED)
		expect(w, "/down/a", NULL);
	(void)put(w, "/down/a", "works again");
}

#define SUITE                                                                     \
	cmocka_unit_test(each_kind_of_comparison_decides),                        \
	cmocka_unit_test(a_refused_transaction_writes_nothing),                   \
	cmocka_unit_test(operations_happen_at_one_revision),                      \
	cmocka_unit_test(revisions_tell_creation_from_change),                    \
	cmocka_unit_test(comparing_alone_changes_nothing),                        \
	cmocka_unit_test(a_prefix_is_deleted_and_its_neighbours_stay),            \
	cmocka_unit_test(reads_are_exact_or_by_prefix),                           \
	cmocka_unit_test(a_look_shows_what_was_committed),                        \
	cmocka_unit_test(many_pages_are_one_revision),                            \
	cmocka_unit_test(a_hundred_operations_are_the_limit),                     \
	cmocka_unit_test(big_values_come_back_whole),                             \
	cmocka_unit_test(every_text_comes_back),                                  \
	cmocka_unit_test(malformed_transactions_are_refused),                     \
	cmocka_unit_test(of_two_guarded_writes_one_commits),                      \
	cmocka_unit_test(a_lost_reply_is_unknown_and_the_read_back_finds_it),     \
	cmocka_unit_test(a_lost_request_is_unknown_and_the_read_back_finds_nothing), \
	cmocka_unit_test(an_unknown_outcome_says_so),                             \
	cmocka_unit_test(a_late_write_is_refused_by_its_sequence),                \
	cmocka_unit_test(a_late_write_without_a_guard_lands),                     \
	cmocka_unit_test(an_unavailable_store_commits_nothing_it_calls_failed)

/* ---- a member without a majority ------------------------------------------------------------------------- */

static struct rig_answer ask(struct loop *l, struct store *s, bool look, int timeout_ms)
{
	struct rig_answer a = { .loop = l };

	(look ? s->ops->look : s->ops->read)(s, "/kept", true, timeout_ms, rig_on_answer, &a);
	rig_wait(l, &a);
	return a;
}

static void keep(struct loop *l, struct store *s, const char *value)
{
	const struct store_op op = { STORE_PUT, "/kept", value };
	enum store_outcome outcome = STORE_UNKNOWN;

	for (int i = 0; i < 20 && outcome != STORE_OK; i++) { /* the second member may still be on its way */
		struct rig_answer a = { .loop = l };

		s->ops->txn(s, NULL, 0, &op, 1, RIG_CALL_MS, rig_on_answer, &a);
		rig_wait(l, &a);
		outcome = a.outcome;
		rig_answer_done(&a);
	}
	assert_int_equal(outcome, STORE_OK);
}

/* One of two voters is gone: what was committed can still be looked at, and no longer read. */
static void without_a_majority_there_are_looks(void **state)
{
	struct loop *l = loop_new();
	char *dir = rig_dir_new();
	struct rig_etcd first, second;

	(void)state;
	rig_etcd_start(&first, dir, "one", NULL);
	const char *const urls[] = { first.url, NULL };
	struct store *s = rig_store(l, urls, NULL);
	rig_await_ready(l, s);
	rig_etcd_plan(&second, dir, "two", NULL);
	struct rig_answer added = { .loop = l };
	store_etcd_member_add(s, second.peer_url, false, rig_on_members, &added);
	rig_wait(l, &added);
	assert_int_equal(added.rc, 0);
	rig_etcd_join(&second, &first, NULL);
	keep(l, s, "v");
	rig_etcd_kill(&second);
	struct rig_answer read = ask(l, s, false, 2000), look = ask(l, s, true, RIG_CALL_MS);
	assert_int_equal(read.outcome, STORE_FAILED);
	assert_int_equal(look.outcome, STORE_OK);
	assert_int_equal(look.n_kvs, 1);
	assert_string_equal(look.kvs[0].value, "v");
	rig_answer_done(&read);
	rig_answer_done(&look);
	s->ops->free(s);
	loop_free(l);
	rig_etcd_done(&second);
	rig_etcd_done(&first);
	rig_dir_free(dir);
}

/* ---- a member's file ------------------------------------------------------------------------------------ */

/* Another lease changes two lines and nothing else: it is what a member with that lease would have been given. */
static void another_lease_is_two_lines(void **state)
{
	struct etcd_member_conf c = { .name = "n1", .data_dir = "/d", .address = "127.0.0.1", .client_port = 1, .peer_port = 2, .initial_cluster = "n1=x",
				      .lease_ms = 12000 };
	AUTO_FREE char *was = etcd_conf_text(&c);

	(void)state;
	c.lease_ms = 60000;
	AUTO_FREE char *want = etcd_conf_text(&c);
	AUTO_FREE char *now = etcd_conf_retimed(was, 60000);
	assert_string_equal(now, want);
	assert_string_not_equal(now, was);
	assert_null(etcd_conf_retimed(was, 12000));
	assert_null(etcd_conf_retimed("name: x\n", 12000));
	assert_null(etcd_conf_retimed("name: x\nheartbeat-interval: 1", 12000)); /* cut off: left alone */
}

int main(void)
{
	const struct CMUnitTest mem[] = { SUITE };
	const struct CMUnitTest etcd[] = { SUITE };
	const struct CMUnitTest members[] = { cmocka_unit_test(without_a_majority_there_are_looks) };
	const struct CMUnitTest file[] = { cmocka_unit_test(another_lease_is_two_lines) };

	(void)signal(SIGPIPE, SIG_IGN);
	int failed = cmocka_run_group_tests_name("mem", mem, mem_up, down) + cmocka_run_group_tests_name("file", file, NULL, NULL);
	failed += cmocka_run_group_tests_name("members", members, NULL, NULL);
	return failed + cmocka_run_group_tests_name("etcd", etcd, etcd_up, down) != 0;
}
