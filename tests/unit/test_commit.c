/* SPDX-License-Identifier: Apache-2.0 */
/* The master's commits (master/term.c) on a store that answers quickly and takes nothing: how often it is asked, and that it is asked on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/xmem.h"
#include "core/state.h"
#include "master/bridge.h"
#include "tests/unit/loop_wait.h"

#define SELF "aaaaaaaa-2222-4333-8444-555555555555"
#define EPOCH 7
#define LEASE_MS 12000

struct rig {
	struct store store; /* first: the fake is found by it */
	struct loop *loop;
	struct master m;
	enum store_outcome says; /* to a transaction */
	int refusals;            /* so many, then it takes them */
	char seq[48];            /* /gantry/seq, as it is read */
	int n_txns, n_taken, pending;
};

struct answer {
	struct rig *r;
	store_cb *cb;
	void *arg;
	struct store_result res;
	struct store_kv kv;
	char value[48];
};

static void deliver(void *arg)
{
	struct answer *a = arg;

	a->r->pending--;
	a->cb(a->arg, &a->res);
	free(a);
}

static struct answer *answer_with(struct rig *r, enum store_outcome outcome, store_cb *cb, void *arg)
{
	static const struct err full = { .code = ERR_NO_SPACE, .msg = "etcd refused: etcdserver: mvcc: database space exceeded" };
	struct answer *a = xcalloc(1, sizeof(*a));

	*a = (struct answer){ .r = r, .cb = cb, .arg = arg, .res = { .outcome = outcome, .err = outcome == STORE_OK ? NULL : &full } };
	r->pending++;
	loop_post(r->loop, deliver, a);
	return a;
}

static void fake_txn(struct store *s, const struct store_cmp *cmps, int n_cmps, const struct store_op *ops, int n_ops, int timeout_ms, store_cb *cb, void *arg)
{
	struct rig *r = (struct rig *)(void *)s;
	bool takes = r->refusals == 0;

	(void)timeout_ms;
	assert_true(n_ops > 1);
	assert_int_equal(n_cmps, 2);
	assert_string_equal(cmps[1].key, TERM_SEQ);
	assert_string_equal(ops[0].key, TERM_SEQ);
	r->n_txns++;
	if (takes)
		(void)str_copy(r->seq, sizeof(r->seq), ops[0].value);
	else if (r->refusals > 0)
		r->refusals--;
	r->n_taken += takes;
	(void)answer_with(r, takes ? STORE_OK : r->says, cb, arg);
}

static void fake_read(struct store *s, const char *key, bool exact, int timeout_ms, store_cb *cb, void *arg)
{
	struct rig *r = (struct rig *)(void *)s;
	struct answer *a = answer_with(r, STORE_OK, cb, arg);

	(void)timeout_ms;
	assert_true(exact);
	bool seq = strcmp(key, TERM_SEQ) == 0;
	(void)str_copy(a->value, sizeof(a->value), seq ? r->seq : SELF " boot");
	a->kv = (struct store_kv){ (char *)(uintptr_t)(seq ? TERM_SEQ : TERM_MASTER), a->value, EPOCH, EPOCH };
	a->res.kvs = &a->kv;
	a->res.n_kvs = 1;
}

static void emit(void *arg, const struct core_action *a)
{
	struct rig *r = arg;

	if (a->kind == CORE_COMMIT)
		master_commit(&r->m, a);
}

static void start_core(struct rig *r)
{
	struct cluster cl;
	struct secret s;
	struct node n;
	struct core_put *puts = NULL;
	struct core_kv kvs[8];
	struct err err = ERR_INIT;
	int n_puts = 0;

	schema_init(&cluster_schema, &cl);
	schema_init(&secret_schema, &s);
	schema_init(&node_schema, &n);
	(void)str_copy(cl.name, sizeof(cl.name), "c");
	(void)str_copy(cl.uuid, sizeof(cl.uuid), "33333333-3333-4333-8333-333333333333");
	cl.lease_ms = LEASE_MS;
	cl.ca_cert = xstrdup("ca");
	s.ca_key = xstrdup("key");
	(void)str_copy(n.uuid, sizeof(n.uuid), SELF);
	(void)str_copy(n.name, sizeof(n.name), "a");
	(void)str_copy(n.address, sizeof(n.address), "192.0.2.1");
	(void)str_copy(n.replication_address, sizeof(n.replication_address), n.address);
	n.candidate = 1;
	if (core_genesis(&cl, &s, &n, &puts, &n_puts, &err) < 0)
		fail_msg("%s", err.msg);
	for (int i = 0; i < n_puts; i++)
		kvs[i] = (struct core_kv){ puts[i].key, puts[i].value };
	struct core_start start = { .epoch = EPOCH, .now_ms = loop_now_ms(r->loop), .wall_ms = loop_wall_ms(r->loop), .seed = 1, .self = SELF,
				    .kvs = kvs, .n_kvs = n_puts };
	if (core_new(&start, emit, r, &r->m.core, &err) < 0)
		fail_msg("%s", err.msg);
	core_puts_free(puts, n_puts);
	schema_done(&node_schema, &n);
	schema_done(&cluster_schema, &cl);
	schema_done(&secret_schema, &s);
}

static int set_up(void **state)
{
	static const struct store_ops ops = { .name = "fake", .txn = fake_txn, .read = fake_read };
	struct rig *r = xcalloc(1, sizeof(*r));

	r->loop = loop_new();
	r->store.ops = &ops;
	r->m.store = &r->store;
	r->m.loop = r->loop;
	r->m.conf.lease_ms = LEASE_MS;
	(void)str_copy(r->seq, sizeof(r->seq), "7 0");
	(void)str_copy(r->m.seq_before, sizeof(r->m.seq_before), r->seq);
	term_init(&r->m.term, SELF, "boot", LEASE_MS, loop_now_ms(r->loop));
	r->m.term.epoch = EPOCH;
	r->m.term.state = TERM_MASTERING;
	r->m.again = loop_timer_new(r->loop, master_commit_due, &r->m);
	start_core(r);
	*state = r;
	return 0;
}

/* Whatever is under way comes to its end. */
static void all_done(struct rig *r)
{
	int idle = 0;

	r->refusals = 0;
	for (int i = 0; i < 1000 && (r->pending || r->m.puts); i++)
		(void)loop_wait_for(r->loop, &idle, 1, 10, NULL, NULL);
	assert_int_equal(r->pending, 0);
	assert_null(r->m.puts);
}

static int tear_down(void **state)
{
	struct rig *r = *state;

	all_done(r);
	loop_timer_free(r->m.again);
	core_free(r->m.core);
	core_puts_free(r->m.puts, r->m.n_puts);
	loop_free(r->loop);
	free(r);
	return 0;
}

static void file_a_job(struct rig *r, size_t number)
{
	struct msg_request m;

	schema_init(&msg_request_schema, &m);
	(void)snprintf(m.id, sizeof(m.id), "r%zu", number);
	(void)str_copy(m.op, sizeof(m.op), "debug.noop");
	(void)str_copy(m.user, sizeof(m.user), "me");
	m.admin = 1;
	m.args = json_object();
	core_request(r->m.core, 1, &m);
	schema_done(&msg_request_schema, &m);
}

/* However it says so: space used up (nobody knows whether it is in), an order it does not take, another's hand in /gantry/seq. */
static void who_takes_nothing_is_not_asked_without_a_pause(void **state)
{
	static const enum store_outcome says[] = { STORE_UNKNOWN, STORE_FAILED, STORE_REFUSED };

	for (size_t k = 0; k < ARRAY_SIZE(says); k++) {
		struct rig *r = *state;
		int never = 0, before;

		if (says[k] == STORE_REFUSED)
			(void)str_copy(r->seq, sizeof(r->seq), "7 4711");
		r->says = says[k];
		r->refusals = -1;
		r->n_txns = 0;
		file_a_job(r, k);
		(void)loop_wait_for(r->loop, &never, 1, 600, NULL, NULL);
		assert_in_range(r->n_txns, 2, 8); /* at 0, 0, 50, 150, 350 ms, the next at 750: a slow machine may be late */
		r->refusals = 0;
		before = r->n_taken;
		assert_true(loop_wait_for(r->loop, &r->n_taken, before + 1, 30000, NULL, NULL));
		all_done(r);
	}
}

/* One answer that was lost: the second try does not wait for a timer. */
static void a_lost_answer_costs_no_pause(void **state)
{
	struct rig *r = *state;

	r->says = STORE_UNKNOWN;
	r->refusals = 1;
	loop_timer_free(r->m.again);
	r->m.again = NULL; /* who starts it dies */
	file_a_job(r, 0);
	assert_true(loop_wait_for(r->loop, &r->n_taken, 1, 30000, NULL, NULL));
	assert_true(r->n_txns >= 2);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(who_takes_nothing_is_not_asked_without_a_pause),
		T(a_lost_answer_costs_no_pause),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
