/* SPDX-License-Identifier: Apache-2.0 */
/* The job queue of the core under load: units of writes stay within a transaction, places, the archive, short jobs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/json.h"
#include "common/xmem.h"
#include "core/core.h"
#include "core/state.h"
#include "schema/level.h"

#define NODE1 "11111111-1111-4111-8111-111111111111"
#define NODE2 "22222222-2222-4222-8222-222222222222"
#define LEASE_MS 12000

struct rig {
	struct core *core;
	int64_t now_ms;
	struct core_put *kvs; /* the store */
	int n_kvs;
	int64_t commit_seq;   /* under way; 0 = none */
	struct core_put *commit;
	int n_commit, most_puts, n_prefix_deletes;
	json_t *reply;        /* the newest result */
	char error[40];
	int n_joined;
	char join_error[40];
	json_t *joined;
	int n_steps_sent;
	int64_t last_step_job;
	json_t *last_args;    /* of the newest order */
	char verdict[16];     /* the newest */
	int64_t gen_told;     /* to anybody, the newest */
	char orders[400];     /* all since it was emptied: "do0@1 " is step 0 on node1 */
};

static void keep(struct rig *r, const char *key, const char *value)
{
	bool prefix = key[strlen(key) - 1] == '/';
	int kept = 0;

	for (int i = 0; i < r->n_kvs; i++) {
		if (prefix ? strncmp(r->kvs[i].key, key, strlen(key)) == 0 : strcmp(r->kvs[i].key, key) == 0) {
			free(r->kvs[i].key);
			free(r->kvs[i].value);
		} else {
			r->kvs[kept++] = r->kvs[i];
		}
	}
	r->n_kvs = kept;
	if (!value)
		return;
	r->kvs = xrealloc(r->kvs, (size_t)(r->n_kvs + 1) * sizeof(*r->kvs));
	r->kvs[r->n_kvs++] = (struct core_put){ xstrdup(key), xstrdup(value) };
}

static void emit(void *arg, const struct core_action *a)
{
	struct rig *r = arg;

	switch (a->kind) {
	case CORE_COMMIT:
		assert_int_equal(r->commit_seq, 0); /* one at a time */
		r->commit_seq = a->seq;
		r->n_commit = a->n_puts;
		r->commit = xcalloc((size_t)a->n_puts + 1, sizeof(*r->commit));
		for (int i = 0; i < a->n_puts; i++)
			r->commit[i] = (struct core_put){ xstrdup(a->puts[i].key), a->puts[i].value ? xstrdup(a->puts[i].value) : NULL };
		return;
	case CORE_REPLY:
		json_decref(r->reply);
		r->reply = a->reply->result ? json_deep_copy(a->reply->result) : NULL;
		(void)str_copy(r->error, sizeof(r->error), a->reply->error);
		return;
	case CORE_JOINED:
		r->n_joined++;
		(void)str_copy(r->join_error, sizeof(r->join_error), a->reply->error);
		json_decref(r->joined);
		r->joined = a->reply->result ? json_deep_copy(a->reply->result) : NULL;
		return;
	case CORE_SEND: {
		AUTO_JSON json_t *m = json_loads(a->text, 0, NULL);

		if (strcmp(json_str(m, "type", ""), "verdict") == 0)
			(void)str_copy(r->verdict, sizeof(r->verdict), json_str(m, "verdict", ""));
		if (strcmp(json_str(m, "type", ""), "gens") == 0)
			r->gen_told = json_int(json_array_get(json_object_get(m, "gens"), 0), "gen", 0);
		if (strcmp(json_str(m, "type", ""), "step") == 0) {
			size_t at = strlen(r->orders);

			r->n_steps_sent++;
			(void)snprintf(r->orders + at, sizeof(r->orders) - at, "%s%lld@%c ", json_str(m, "dir", ""), (long long)json_int(m, "index", -1), a->node[0]);
			r->last_step_job = json_int(m, "job", 0);
			json_decref(r->last_args);
			r->last_args = json_deep_copy(json_object_get(m, "args"));
		}
		return;
	}
	default:
		return;
	}
}

/* The store does what it was asked for, until nothing is asked any more. */
static void commit_all(struct rig *r)
{
	while (r->commit_seq) {
		int64_t seq = r->commit_seq;
		struct core_put *puts = r->commit;
		int n = r->n_commit;

		if (n > r->most_puts)
			r->most_puts = n;
		for (int i = 0; i < n; i++) {
			if (!puts[i].value && puts[i].key[strlen(puts[i].key) - 1] == '/')
				r->n_prefix_deletes++;
			keep(r, puts[i].key, puts[i].value);
		}
		core_puts_free(puts, n);
		r->commit = NULL;
		r->commit_seq = 0;
		core_committed(r->core, seq, true);
	}
}

static void tick(struct rig *r, int64_t ms)
{
	r->now_ms += ms;
	core_tick(r->core, r->now_ms, 1700000000000 + r->now_ms);
	commit_all(r);
}

static void link_nodes(struct rig *r)
{
	core_node_links(r->core, NODE1, 1, "b1", PACKAGE_VERSION, 1700000000000 + r->now_ms);
	core_node_links(r->core, NODE2, 1, "b2", PACKAGE_VERSION, 1700000000000 + r->now_ms);
	commit_all(r);
}

static void fill_node(struct node *n, const char *uuid, const char *name, const char *address)
{
	schema_init(&node_schema, n);
	(void)str_copy(n->uuid, sizeof(n->uuid), uuid);
	(void)str_copy(n->name, sizeof(n->name), name);
	(void)str_copy(n->address, sizeof(n->address), address);
	(void)str_copy(n->replication_address, sizeof(n->replication_address), address);
	n->master_capable = 0; /* one voter for good: no promotion comes between */
}

static int by_key(const void *a, const void *b)
{
	return strcmp(((const struct core_put *)a)->key, ((const struct core_put *)b)->key);
}

static void start_core(struct rig *r)
{
	struct core_kv *kvs = xcalloc((size_t)r->n_kvs, sizeof(*kvs));
	struct err err = ERR_INIT;

	qsort(r->kvs, (size_t)r->n_kvs, sizeof(*r->kvs), by_key); /* as the store gives them */
	for (int i = 0; i < r->n_kvs; i++)
		kvs[i] = (struct core_kv){ r->kvs[i].key, r->kvs[i].value };
	struct core_start s = { .epoch = 7, .seq = 0, .now_ms = r->now_ms, .wall_ms = 1700000000000 + r->now_ms, .seed = 1, .self = NODE1,
				.kvs = kvs, .n_kvs = r->n_kvs, .silent_since_ms = r->now_ms };
	if (core_new(&s, emit, r, &r->core, &err) < 0)
		fail_msg("core: %s", err.msg);
	free(kvs);
	commit_all(r);
}

static int set_up(void **state)
{
	struct rig *r = xcalloc(1, sizeof(*r));
	struct cluster cl;
	struct secret s;
	struct node n1, n2;
	struct core_put *puts = NULL;
	struct err err = ERR_INIT;
	int n = 0;

	schema_init(&cluster_schema, &cl);
	schema_init(&secret_schema, &s);
	(void)str_copy(cl.name, sizeof(cl.name), "c");
	(void)str_copy(cl.uuid, sizeof(cl.uuid), "33333333-3333-4333-8333-333333333333");
	cl.lease_ms = LEASE_MS;
	cl.ca_cert = xstrdup("ca");
	s.ca_key = xstrdup("key");
	fill_node(&n1, NODE1, "node1", "10.0.0.1");
	fill_node(&n2, NODE2, "node2", "10.0.0.2");
	n1.candidate = 1;
	if (core_genesis(&cl, &s, &n1, &puts, &n, &err) < 0)
		fail_msg("genesis: %s", err.msg);
	for (int i = 0; i < n; i++)
		keep(r, puts[i].key, puts[i].value);
	core_puts_free(puts, n);
	AUTO_FREE char *text = schema_encode_text(&node_schema, &n2);
	keep(r, "/gantry/node/" NODE2, text);
	schema_done(&cluster_schema, &cl);
	schema_done(&secret_schema, &s);
	schema_done(&node_schema, &n1);
	schema_done(&node_schema, &n2);
	r->now_ms = 1000;
	start_core(r);
	link_nodes(r);
	*state = r;
	return 0;
}

static int tear_down(void **state)
{
	struct rig *r = *state;

	core_free(r->core);
	core_puts_free(r->commit, r->n_commit * (r->commit != NULL));
	for (int i = 0; i < r->n_kvs; i++) {
		free(r->kvs[i].key);
		free(r->kvs[i].value);
	}
	free(r->kvs);
	json_decref(r->joined);
	json_decref(r->last_args);
	json_decref(r->reply);
	free(r);
	return 0;
}

static void master_changes(struct rig *r, int64_t later_ms)
{
	core_free(r->core);
	r->now_ms += later_ms;
	start_core(r);
	link_nodes(r);
}

/* Files it; *_uncommitted leaves the answer to whoever lets the store go on. */
static void ask_uncommitted(struct rig *r, const char *id, const char *op, json_t *args)
{
	struct msg_request m;

	schema_init(&msg_request_schema, &m);
	(void)str_copy(m.id, sizeof(m.id), id);
	(void)str_copy(m.op, sizeof(m.op), op);
	(void)str_copy(m.user, sizeof(m.user), "me");
	m.admin = 1;
	m.args = args;
	core_request(r->core, 1, &m);
	schema_done(&msg_request_schema, &m);
}

static int64_t ask(struct rig *r, const char *id, const char *op, json_t *args)
{
	ask_uncommitted(r, id, op, args);
	commit_all(r);
	assert_string_equal(r->error, "");
	return json_int(r->reply, "job", 0);
}

static void file_many(struct rig *r, int n, const char *node)
{
	for (int i = 0; i < n; i++) {
		char id[32];

		(void)snprintf(id, sizeof(id), "many.%d", i);
		(void)ask(r, id, "debug.noop", node ? json_pack("{s:s}", "node", node) : json_object());
	}
}

static int count(const struct rig *r, const char *prefix)
{
	int n = 0;

	for (int i = 0; i < r->n_kvs; i++)
		n += strncmp(r->kvs[i].key, prefix, strlen(prefix)) == 0;
	return n;
}

static void answer(struct rig *r, const char *node, int64_t job, int index, enum step_dir dir, const char *error)
{
	struct msg_step_result m;

	schema_init(&msg_step_result_schema, &m);
	m.epoch = 7;
	m.job = job;
	m.index = index;
	m.dir = (int)dir;
	(void)str_copy(m.error, sizeof(m.error), error);
	core_step_result(r->core, node, &m);
	schema_done(&msg_step_result_schema, &m);
	commit_all(r);
}

static void result_from(struct rig *r, const char *node, int64_t job)
{
	answer(r, node, job, 0, STEP_DO, "");
}

static void result_of(struct rig *r, int64_t job)
{
	result_from(r, NODE2, job);
}

/* ---- tests --------------------------------------------------------------------------------------------- */

static void a_short_job_is_told_whole(void **state)
{
	struct rig *r = *state;

	ask_uncommitted(r, "a", "debug.noop", json_object());
	assert_null(r->reply); /* of what is not durable nobody is told */
	commit_all(r);
	const json_t *last = json_object_get(r->reply, "last");
	assert_true(json_bool(last, "ended", false));
	assert_string_equal(json_str(last, "state", ""), "success");
	assert_int_equal(json_int(last, "id", 0), json_int(r->reply, "job", -1));
	/* It began and ended in one unit: no journal was ever in the store, so none is deleted. */
	assert_int_equal(r->n_prefix_deletes, 0);
	assert_int_equal(count(r, "/gantry/job/"), 1);
	/* The same request again is the same job. */
	int64_t id = json_int(r->reply, "job", 0);
	assert_int_equal(ask(r, "a", "debug.noop", json_object()), id);
	assert_true(ask(r, "b", "debug.noop", json_object()) > id);
}

static void a_longer_job_leaves_no_journal(void **state)
{
	struct rig *r = *state;
	int64_t id = ask(r, "a", "debug.noop", json_pack("{s:s}", "node", "node2"));

	assert_null(json_object_get(r->reply, "last"));
	assert_int_equal(r->last_step_job, id);
	assert_int_equal(count(r, "/gantry/job/"), 2); /* the job, and that its step was started */
	result_of(r, id);
	assert_int_equal(r->n_prefix_deletes, 1);
	assert_int_equal(count(r, "/gantry/job/"), 1);
}

static void sixty_four_run_and_the_next_gets_the_first_place(void **state)
{
	struct rig *r = *state;

	file_many(r, JOBS_RUNNING_MAX + 2, "node2");
	assert_int_equal(r->n_steps_sent, JOBS_RUNNING_MAX);
	int64_t newest = r->last_step_job;
	result_of(r, newest - 10);
	assert_int_equal(r->n_steps_sent, JOBS_RUNNING_MAX + 1);
	assert_int_equal(r->last_step_job, newest + 1);
	assert_int_equal(core_jobs_open(r->core), JOBS_RUNNING_MAX + 1);
}

/* All of them end in one tick: that must not be one transaction. */
static void a_dead_node_ends_all_its_jobs(void **state)
{
	struct rig *r = *state;

	file_many(r, JOBS_RUNNING_MAX, "node2");
	assert_int_equal(r->n_steps_sent, JOBS_RUNNING_MAX);
	core_node_links(r->core, NODE2, 0, "b2", PACKAGE_VERSION, 0);
	commit_all(r);
	for (int i = 0; i < 40; i++)
		tick(r, LEASE_MS / 12);
	assert_int_equal(core_jobs_open(r->core), 0);
	assert_int_equal(count(r, "/gantry/job/"), JOBS_RUNNING_MAX);
	assert_true(r->most_puts <= STORE_OPS_MAX - 4);
}

/* Many wait for one lock, and all are over as soon as they get it. */
static void many_that_waited_end_at_once(void **state)
{
	struct rig *r = *state;

	file_many(r, JOBS_RUNNING_MAX, "node2");
	for (int i = 0; i < 200; i++) {
		char id[32];

		(void)snprintf(id, sizeof(id), "short.%d", i);
		(void)ask(r, id, "debug.noop", json_object());
	}
	assert_int_equal(core_jobs_open(r->core), JOBS_RUNNING_MAX + 200);
	result_of(r, r->last_step_job);
	assert_int_equal(core_jobs_open(r->core), JOBS_RUNNING_MAX - 1);
	assert_true(r->most_puts <= STORE_OPS_MAX - 4);
}

static void old_jobs_leave_memory_and_store(void **state)
{
	struct rig *r = *state;

	file_many(r, JOBS_KEPT_MAX + 150, NULL);
	for (int i = 0; i < 10; i++)
		tick(r, 250);
	assert_int_equal(count(r, "/gantry/job/"), JOBS_KEPT_MAX);
	/* The oldest are gone, the newest is there. */
	int64_t newest = ask(r, "q", "debug.noop", json_object());
	ask_uncommitted(r, "i", "job.info", json_pack("{s:i}", "id", 1));
	commit_all(r);
	assert_string_equal(r->error, "NOT_FOUND");
	ask_uncommitted(r, "j", "job.info", json_pack("{s:I}", "id", (json_int_t)newest));
	commit_all(r);
	assert_string_equal(r->error, "");
}

#define NODE3 "44444444-4444-4444-8444-444444444444"

static void token(struct rig *r)
{
	ask_uncommitted(r, "t", "node.token", json_pack("{s:s, s:{s:s, s:s}}", "name", "node3", "secret_part", "token_id", "0123456789ab", "token_hash", "h"));
	commit_all(r);
	assert_string_equal(r->error, "");
}

static void join(struct rig *r, uint64_t client, const char *uuid, const char *name, const char *address)
{
	struct op_node_admit a;

	schema_init(&op_node_admit_schema, &a);
	(void)str_copy(a.uuid, sizeof(a.uuid), uuid);
	(void)str_copy(a.name, sizeof(a.name), name);
	(void)str_copy(a.address, sizeof(a.address), address);
	(void)str_copy(a.replication_address, sizeof(a.replication_address), address);
	(void)str_copy(a.version, sizeof(a.version), PACKAGE_VERSION);
	(void)str_copy(a.token_id, sizeof(a.token_id), "0123456789ab");
	a.clock_skew_ms = 20;
	core_join(r->core, client, &a);
	commit_all(r);
	schema_done(&op_node_admit_schema, &a);
}

/* The clocks are compared when the node asks, not when its job gets its turn; and it is told that it is a node when it is one. */
static void a_node_that_waits_for_its_turn_is_not_off(void **state)
{
	struct rig *r = *state;

	token(r);
	file_many(r, JOBS_RUNNING_MAX, "node2");
	join(r, 1, NODE3, "node3", "10.0.0.3");
	for (int i = 0; i < 10; i++)
		tick(r, 1000);
	assert_int_equal(count(r, "/gantry/node/"), 2);
	assert_int_equal(r->n_joined, 0);
	result_of(r, r->last_step_job);
	assert_int_equal(count(r, "/gantry/node/"), 3);
	assert_int_equal(r->n_joined, 1);
	assert_string_equal(r->join_error, "");
	assert_int_equal(json_array_size(json_object_get(json_object_get(r->joined, "settings"), "nodes")), 3); /* itself, too */
}

/* Two machines with one token, both good when they asked: the second's job fails, and it is told so. */
static void a_join_whose_job_fails_is_no_success(void **state)
{
	struct rig *r = *state;

	token(r);
	file_many(r, JOBS_RUNNING_MAX, "node2");
	join(r, 1, NODE3, "node3", "10.0.0.3");
	join(r, 2, "55555555-5555-4555-8555-555555555555", "node4", "10.0.0.4");
	assert_int_equal(r->n_joined, 0);
	result_of(r, r->last_step_job);
	tick(r, 1000);
	assert_int_equal(r->n_joined, 2);
	assert_string_equal(r->join_error, "BAD_TOKEN");
	assert_int_equal(count(r, "/gantry/node/"), 3);
}

static void who_hangs_up_before_its_turn_is_no_node(void **state)
{
	struct rig *r = *state;

	token(r);
	file_many(r, JOBS_RUNNING_MAX, "node2");
	join(r, 1, NODE3, "node3", "10.0.0.3");
	core_client_gone(r->core, 1);
	commit_all(r);
	result_of(r, r->last_step_job);
	tick(r, 1000);
	assert_int_equal(count(r, "/gantry/node/"), 2);
	assert_int_equal(count(r, "/gantry/token/"), 1); /* still good */
	assert_int_equal(r->n_joined, 0);
	join(r, 2, "55555555-5555-4555-8555-555555555555", "node3", "10.0.0.3");
	tick(r, 1000);
	assert_int_equal(r->n_joined, 1);
	assert_string_equal(r->join_error, "");
}

#define VM "66666666-6666-4666-8666-666666666666"

/* A node that is away is passed over at last; a step that rests on what it should have done is left out, another instance's is not (H20). */
static void what_rests_on_a_step_passed_over_is_left_out(void **state)
{
	struct rig *r = *state;
	struct instance i;
	char text[1400];

	schema_init(&instance_schema, &i);
	(void)str_copy(i.uuid, sizeof(i.uuid), VM);
	(void)str_copy(i.name, sizeof(i.name), "vm1");
	i.template = TEMPLATE_DRBD;
	strs_add(&i.nodes, &i.n_nodes, NODE1);
	strs_add(&i.nodes, &i.n_nodes, NODE2);
	(void)str_copy(i.own.owner, sizeof(i.own.owner), NODE1);
	strs_add(&i.own.current, &i.own.n_current, NODE1);
	AUTO_FREE char *instance = schema_encode_text(&instance_schema, &i);
	schema_done(&instance_schema, &i);
	(void)snprintf(text, sizeof(text),
		       "{\"id\":900,\"op\":\"cluster.arbitrate\",\"args\":{\"on\":true},\"state\":\"running\",\"steps\":["
		       "{\"kind\":\"noop_master\",\"args\":{},\"pivot\":true},"
		       "{\"kind\":\"drbd_adjust\",\"node\":\"" NODE2 "\",\"args\":{\"uuid\":\"%s\",\"resource\":\"vm1\",\"only_up\":true}},"
		       "{\"kind\":\"own_arbitrate\",\"args\":{\"uuid\":\"" VM "\",\"on\":true},\"after_all\":true}]}", VM);
	core_free(r->core);
	keep(r, "/gantry/instance/" VM, instance);
	keep(r, "/gantry/job/900", text);
	start_core(r);
	core_node_links(r->core, NODE1, 1, "b1", PACKAGE_VERSION, 1700000000000 + r->now_ms);
	commit_all(r);
	for (int k = 0; k < 600 && core_jobs_open(r->core); k++)
		tick(r, 500);
	assert_int_equal(core_jobs_open(r->core), 0);
	ask_uncommitted(r, "q", "job.info", json_pack("{s:i}", "id", 900));
	assert_string_equal(json_str(r->reply, "state", ""), "error");
	assert_int_equal(state_instance(core_state(r->core), VM)->i.own.arbitrated, 0);
	/* The same with the step done. */
	core_free(r->core);
	keep(r, "/gantry/job/900", text);
	keep(r, "/gantry/job/900/000000", "{\"step\":0,\"event\":\"done\"}");
	keep(r, "/gantry/job/900/000001", "{\"step\":1,\"event\":\"done\"}");
	start_core(r);
	assert_int_equal(state_instance(core_state(r->core), VM)->i.own.arbitrated, 1);
}

static void word_of_node1(struct rig *r, int64_t gen, const char *disk, bool marked)
{
	struct observed o;

	schema_init(&observed_schema, &o);
	(void)str_copy(o.hypervisor, sizeof(o.hypervisor), "9.0.0");
	struct obs_drbd *d = schema_list_add(schema_find(&observed_schema, "drbd"), &o);
	(void)str_copy(d->uuid, sizeof(d->uuid), VM);
	(void)str_copy(d->resource, sizeof(d->resource), "vm1");
	(void)str_copy(d->role, sizeof(d->role), "Primary");
	(void)str_copy(d->conn, sizeof(d->conn), "Connected");
	(void)str_copy(d->disk, sizeof(d->disk), disk);
	d->up = 1;
	d->marked = marked;
	d->gen = gen;
	core_node_observed(r->core, NODE1, &o);
	commit_all(r);
	schema_done(&observed_schema, &o);
}

static void node1_asks_out(struct rig *r)
{
	struct msg_ask a;

	schema_init(&msg_ask_schema, &a);
	(void)str_copy(a.instance, sizeof(a.instance), VM);
	(void)str_copy(a.boot_id, sizeof(a.boot_id), "b1");
	a.gen = 5;
	a.shrink = 1;
	core_ask(r->core, NODE1, &a); /* NODE2 has said nothing: it is not let go */
	commit_all(r);
	assert_int_equal(state_instance(core_state(r->core), VM)->i.own.n_current, 2);
}

static void put_arbitrated(struct rig *r)
{
	struct instance i;

	schema_init(&instance_schema, &i);
	(void)str_copy(i.uuid, sizeof(i.uuid), VM);
	(void)str_copy(i.name, sizeof(i.name), "vm1");
	i.template = TEMPLATE_DRBD;
	i.own.gen = 5;
	i.own.arbitrated = 1;
	(void)str_copy(i.own.owner, sizeof(i.own.owner), NODE1);
	strs_add(&i.nodes, &i.n_nodes, NODE1);
	strs_add(&i.nodes, &i.n_nodes, NODE2);
	strs_add(&i.own.current, &i.own.n_current, NODE1);
	strs_add(&i.own.current, &i.own.n_current, NODE2);
	AUTO_FREE char *text = schema_encode_text(&instance_schema, &i);
	keep(r, "/gantry/instance/" VM, text);
	schema_done(&instance_schema, &i);
	master_changes(r, 0);
}

/* A plan leaves NODE1 alone in current: not on an old word, nor on none, nor when its disk was lost meanwhile, however it came out (H7). */
static void who_is_left_in_current_has_said_that_it_is_good(void **state)
{
	struct rig *r = *state;
	static const struct {
		int64_t gen; /* of its word; -1 = it says nothing, -2 = it is not there */
		const char *disk;
		bool marked, asks, left;
	} cases[] = {
		{ 5, "UpToDate", false, false, true },  { 4, "UpToDate", false, false, false }, { -1, "", false, false, false },
		{ -2, "", false, false, false },        { 5, "Diskless", false, false, false }, { 5, "Failed", false, false, false },
		{ 5, "UpToDate", true, false, false },  { 5, "UpToDate", false, true, false },  { 5, "Consistent", false, false, false },
	};

	for (size_t k = 0; k < ARRAY_SIZE(cases); k++)
		for (int whole = 0; whole < 2; whole++) { /* NODE2 leaves; or a new set of replicas without it */
			struct instance i;
			char text[1000];

			schema_init(&instance_schema, &i);
			(void)str_copy(i.uuid, sizeof(i.uuid), VM);
			(void)str_copy(i.name, sizeof(i.name), "vm1");
			i.template = TEMPLATE_DRBD;
			i.own.gen = 5;
			i.own.arbitrated = 1;
			(void)str_copy(i.own.owner, sizeof(i.own.owner), NODE1);
			strs_add(&i.nodes, &i.n_nodes, NODE1);
			strs_add(&i.nodes, &i.n_nodes, NODE2);
			strs_add(&i.own.current, &i.own.n_current, NODE1);
			strs_add(&i.own.current, &i.own.n_current, NODE2);
			AUTO_FREE char *instance = schema_encode_text(&instance_schema, &i);
			schema_done(&instance_schema, &i);
			(void)snprintf(text, sizeof(text), "{\"id\":900,\"op\":\"instance.replace_disks\",\"args\":{\"name\":\"vm1\"},\"state\":\"running\",\"steps\":["
				       "{\"kind\":\"%s\",\"args\":{\"uuid\":\"" VM "\",%s},\"pivot\":true}]}",
				       whole ? "own_replicas" : "own_leave",
				       whole ? "\"nodes\":[\"" NODE1 "\"],\"current\":[\"" NODE1 "\"]" : "\"node\":\"" NODE2 "\"");
			core_free(r->core);
			keep(r, "/gantry/instance/" VM, instance);
			keep(r, "/gantry/job/900", text);
			start_core(r);
			if (cases[k].gen != -2)
				core_node_links(r->core, NODE1, 1, "b1", PACKAGE_VERSION, 1700000000000 + r->now_ms);
			commit_all(r);
			if (cases[k].gen >= 0)
				word_of_node1(r, cases[k].gen, cases[k].disk, cases[k].marked);
			if (cases[k].asks)
				node1_asks_out(r);
			for (int t = 0; t < 200 && core_jobs_open(r->core); t++)
				tick(r, 500);
			assert_int_equal(core_jobs_open(r->core), 0);
			assert_int_equal(state_instance(core_state(r->core), VM)->i.own.n_current, cases[k].left ? 1 : 2);
		}
}

static void word_of_the_mirror(struct rig *r)
{
	struct observed o;

	schema_init(&observed_schema, &o);
	(void)str_copy(o.hypervisor, sizeof(o.hypervisor), "9.0.0");
	struct obs_drbd *d = schema_list_add(schema_find(&observed_schema, "drbd"), &o);
	(void)str_copy(d->uuid, sizeof(d->uuid), VM);
	(void)str_copy(d->resource, sizeof(d->resource), "vm1");
	(void)str_copy(d->role, sizeof(d->role), "Secondary");
	(void)str_copy(d->disk, sizeof(d->disk), "UpToDate");
	d->up = 1;
	d->gen = 5;
	core_node_observed(r->core, NODE2, &o);
	commit_all(r);
	schema_done(&observed_schema, &o);
}

/*
 * NODE1 is frozen and one of its disks fails: its wish to leave current is granted. Of two disks the other one is still good: that yes may not let go of
 * the frozen Primary, which would acknowledge on that one alone, outside of current.
 */
static void who_leaves_current_is_not_told_to_go_on(void **state)
{
	struct rig *r = *state;
	struct msg_ask a;

	put_arbitrated(r);
	word_of_the_mirror(r);
	schema_init(&msg_ask_schema, &a);
	(void)str_copy(a.instance, sizeof(a.instance), VM);
	(void)str_copy(a.boot_id, sizeof(a.boot_id), "b1");
	a.gen = 5;
	a.shrink = 1;
	core_ask(r->core, NODE1, &a);
	commit_all(r);
	assert_int_equal(state_instance(core_state(r->core), VM)->i.own.n_current, 1);
	assert_string_equal(r->verdict, "not-now");
	assert_int_equal(r->gen_told, 6); /* it knows that it is out */
}

static void a_new_master_goes_on_with_all(void **state)
{
	struct rig *r = *state;

	file_many(r, JOBS_RUNNING_MAX + 40, "node2");
	core_free(r->core);
	r->n_steps_sent = 0;
	r->most_puts = 0;
	start_core(r);
	link_nodes(r);
	assert_int_equal(core_jobs_open(r->core), JOBS_RUNNING_MAX + 40);
	assert_true(r->n_steps_sent >= JOBS_RUNNING_MAX);
	assert_true(r->most_puts <= STORE_OPS_MAX - 4);
	int64_t before = r->last_step_job;
	assert_int_equal(ask(r, "many.3", "debug.noop", json_pack("{s:s}", "node", "node2")), 4); /* repeated across masters */
	result_of(r, 4);
	assert_true(r->last_step_job > before);
	assert_int_equal(core_jobs_open(r->core), JOBS_RUNNING_MAX + 39);
}

/* ---- steps beside each other (doc/design/002) ---------------------------------------------------------------- */

/* A job of three steps as its master left it in the store, the second beside the first; the next master goes on with it. */
static void three_steps(struct rig *r)
{
	static const char *const at[] = { NODE1, NODE2, NODE1 };
	struct job j;

	schema_init(&job_schema, &j);
	j.id = 1;
	(void)str_copy(j.op, sizeof(j.op), "debug.noop");
	(void)str_copy(j.user, sizeof(j.user), "me");
	j.args = json_object();
	j.state = JOB_RUNNING;
	for (int i = 0; i < 3; i++) {
		struct plan_step *s = schema_list_add(schema_find(&job_schema, "steps"), &j);

		(void)str_copy(s->kind, sizeof(s->kind), "noop");
		(void)str_copy(s->node, sizeof(s->node), at[i]);
		s->args = json_object();
		s->beside = i == 1;
	}
	AUTO_FREE char *text = schema_encode_text_at(&job_schema, &j, level_here.newest);
	schema_done(&job_schema, &j);
	keep(r, "/gantry/job/1", text);
	master_changes(r, 0);
}

static void said(struct rig *r, const char *want)
{
	assert_string_equal(r->orders, want);
	r->orders[0] = '\0';
}

static void a_step_beside_is_begun_with_the_one_before(void **state)
{
	struct rig *r = *state;

	three_steps(r);
	r->orders[0] = '\0';
	master_changes(r, 0); /* both are in the journal: the order of the first is given again, the other's when its turn has come */
	assert_int_equal(count(r, "/gantry/job/1/"), 2);
	said(r, "do0@1 do0@1 ");
	answer(r, NODE2, 1, 1, STEP_DO, ""); /* it was quicker: nothing follows yet */
	said(r, "");
	answer(r, NODE1, 1, 0, STEP_DO, "");
	said(r, "do1@2 "); /* answered from its record */
	answer(r, NODE2, 1, 1, STEP_DO, "");
	said(r, "do2@1 "); /* not beside: only now */
	answer(r, NODE1, 1, 2, STEP_DO, "");
	assert_int_equal(core_jobs_open(r->core), 0);
}

static void both_orders_go_out_at_once(void **state)
{
	struct rig *r = *state;

	three_steps(r);
	said(r, "do0@1 do1@2 do0@1 "); /* and the one in hand once more, when its node is linked */
}

static void what_was_begun_beside_is_undone_first(void **state)
{
	struct rig *r = *state;

	three_steps(r);
	r->orders[0] = '\0';
	answer(r, NODE1, 1, 0, STEP_DO, "NOT_SAFE");
	said(r, "undo1@2 "); /* it may have been done by now */
	master_changes(r, 0);
	said(r, "undo1@2 undo1@2 ");
	answer(r, NODE2, 1, 1, STEP_UNDO_DIR, "");
	said(r, "undo0@1 ");
	answer(r, NODE1, 1, 0, STEP_UNDO_DIR, "");
	assert_int_equal(core_jobs_open(r->core), 0);
}

/* NODE2 stood still when its part was to be undone; what is undone next on NODE1 waits, and meanwhile NODE2 is back. Also for the next master. */
static void what_an_undo_passed_over_is_undone_first(void **state)
{
	struct rig *r = *state;

	for (int other_master = 0; other_master < 2; other_master++) {
		three_steps(r);
		answer(r, NODE1, 1, 0, STEP_DO, "");
		answer(r, NODE2, 1, 1, STEP_DO, "");
		answer(r, NODE1, 1, 2, STEP_DO, "NOT_SAFE");
		answer(r, NODE1, 1, 2, STEP_UNDO_DIR, "");
		core_node_links(r->core, NODE2, 0, "b2", PACKAGE_VERSION, 0);
		commit_all(r);
		r->orders[0] = '\0';
		for (int t = 0; t < 60 && !r->orders[0]; t++)
			tick(r, LEASE_MS / 12);
		said(r, "undo0@1 ");
		if (other_master) {
			master_changes(r, 0);
			said(r, "undo1@2 undo1@2 "); /* once more as its node is linked */
		} else {
			link_nodes(r);
			r->orders[0] = '\0';
			answer(r, NODE1, 1, 0, STEP_UNDO_DIR, "BUSY");
			tick(r, LEASE_MS / 12);
			said(r, "undo1@2 ");
		}
		answer(r, NODE2, 1, 1, STEP_UNDO_DIR, "");
		said(r, "undo0@1 ");
		answer(r, NODE1, 1, 0, STEP_UNDO_DIR, "");
		assert_int_equal(core_jobs_open(r->core), 0);
	}
}

/* ---- secrets ------------------------------------------------------------------------------------------- */

static int stored_with(const struct rig *r, const char *word)
{
	int n = 0;

	for (int i = 0; i < r->n_kvs; i++)
		n += strstr(r->kvs[i].value, word) != NULL;
	return n;
}

/* The node's own record is where its agents' passwords are; an order brings them along, the job's record does not keep them. */
static void a_fence_password_is_in_the_nodes_record_only(void **state)
{
	struct rig *r = *state;
	struct err err = ERR_INIT;

	assert_int_equal(core_node_speaks(r->core, NODE1, "x", 1, 2, &err), 0);
	assert_int_equal(core_node_speaks(r->core, NODE2, "x", 1, 2, &err), 0);
	tick(r, 1000);
	(void)ask(r, "a", "node.modify", json_pack("{s:s, s:s}", "name", "node2", "fence", "agent=fence_x,ip=10.0.0.9,password=hush"));
	assert_int_equal(stored_with(r, "hush"), 1);
	int64_t job = ask(r, "b", "node.fence", json_pack("{s:s, s:b}", "name", "node2", "test", 1));
	assert_int_equal(r->last_step_job, job);
	AUTO_FREE char *order = json_text(r->last_args);
	assert_non_null(strstr(order, "hush"));
	assert_non_null(strstr(order, "fence_x"));
	assert_int_equal(count(r, "/gantry/job/"), 3); /* two jobs, and that the step was started */
	assert_int_equal(stored_with(r, "hush"), 1);
	json_decref(r->last_args);
	r->last_args = NULL;
	master_changes(r, 0); /* the next one orders it again, as complete */
	tick(r, 1000);
	assert_non_null(r->last_args);
	AUTO_FREE char *again = json_text(r->last_args);
	assert_non_null(strstr(again, "hush"));
	result_from(r, NODE1, job);
	assert_int_equal(core_jobs_open(r->core), 0);
	assert_int_equal(stored_with(r, "hush"), 1); /* the agents are the node's still, though the job changed its record */
	assert_true(state_node(core_state(r->core), NODE2)->n.power_checked_ms > 0);
}

/* ---- guests that do not belong ------------------------------------------------------------------------------ */

#define NOBODYS "55555555-5555-4555-8555-555555555555"

static void put_instance(struct rig *r)
{
	struct instance i;

	schema_init(&instance_schema, &i);
	(void)str_copy(i.uuid, sizeof(i.uuid), VM);
	(void)str_copy(i.name, sizeof(i.name), "vm1");
	i.template = TEMPLATE_DRBD;
	i.admin_state = ADMIN_DOWN;
	strs_add(&i.nodes, &i.n_nodes, NODE1);
	strs_add(&i.nodes, &i.n_nodes, NODE2);
	(void)str_copy(i.own.owner, sizeof(i.own.owner), NODE1);
	strs_add(&i.own.current, &i.own.n_current, NODE1);
	AUTO_FREE char *text = schema_encode_text(&instance_schema, &i);
	keep(r, "/gantry/instance/" VM, text);
	schema_done(&instance_schema, &i);
	master_changes(r, 0);
}

/* The node reports that it runs this guest, or none ("" = none). */
static void see(struct rig *r, const char *node, const char *uuid, bool ours)
{
	struct observed o;

	schema_init(&observed_schema, &o);
	(void)str_copy(o.hypervisor, sizeof(o.hypervisor), "QEMU");
	if (uuid[0]) {
		struct obs_guest *g = schema_list_add(schema_find(&observed_schema, "guests"), &o);

		(void)str_copy(g->uuid, sizeof(g->uuid), uuid);
		(void)str_copy(g->name, sizeof(g->name), "vm1");
		(void)str_copy(g->state, sizeof(g->state), "running");
		g->ours = ours;
	}
	core_node_observed(r->core, node, &o);
	schema_done(&observed_schema, &o);
	commit_all(r);
}

static int alarms(struct rig *r, const char *words)
{
	json_t *e;
	size_t i;
	int n = 0;

	(void)ask(r, "q", "event.list", json_object());
	json_array_foreach(r->reply, i, e)
		n += strncmp(json_str(e, "text", ""), "ALARM: ", 7) == 0 && strstr(json_str(e, "text", ""), words);
	return n;
}

/* Told when it is first seen, not at each report; told again when it was gone. */
static void a_guest_on_the_wrong_node_is_an_alarm(void **state)
{
	struct rig *r = *state;

	put_instance(r);
	see(r, NODE1, "", false);
	see(r, NODE2, VM, true);
	assert_int_equal(alarms(r, "node 'node2' runs guest 'vm1' (" VM "), which belongs on another node"), 1);
	(void)ask(r, "l", "instance.list", json_pack("{s:[s]}", "fields", "status"));
	assert_string_equal(json_str(json_array_get(r->reply, 0), "status", ""), "ERROR_wrongnode");
	see(r, NODE2, VM, true);
	assert_int_equal(alarms(r, ""), 1);
	see(r, NODE2, "", false);
	see(r, NODE2, VM, true);
	assert_int_equal(alarms(r, ""), 2);
	see(r, NODE1, VM, true); /* there it belongs, whether it should run or not */
	see(r, NODE2, NOBODYS, false); /* a guest that is not Gantry's is its owner's business */
	assert_int_equal(alarms(r, ""), 2);
}

static void see_down(struct rig *r, const char *node, bool marked)
{
	struct observed o;

	schema_init(&observed_schema, &o);
	(void)str_copy(o.hypervisor, sizeof(o.hypervisor), "QEMU");
	struct obs_drbd *d = schema_list_add(schema_find(&observed_schema, "drbd"), &o);
	(void)str_copy(d->uuid, sizeof(d->uuid), VM);
	(void)str_copy(d->resource, sizeof(d->resource), "vm1");
	d->marked = marked;
	core_node_observed(r->core, node, &o);
	schema_done(&observed_schema, &o);
	commit_all(r);
}

/* Wanted up, and its replicas are down: a job brings them up. Of one that lost its disk it could not, and would hold the lock that a person's job needs. */
static void no_job_waits_for_a_lost_disk(void **state)
{
	struct rig *r = *state;

	put_instance(r);
	for (int lost = 1; lost >= 0; lost--) {
		((struct sinstance *)(uintptr_t)state_instance(core_state(r->core), VM))->i.admin_state = ADMIN_UP;
		for (int t = 0; t < 20; t++) {
			see_down(r, NODE1, lost);
			see_down(r, NODE2, false);
			tick(r, LEASE_MS / 6);
		}
		assert_int_equal(count(r, "/gantry/job/") > 0, !lost);
	}
}

static void a_guest_of_no_instance_is_an_alarm(void **state)
{
	struct rig *r = *state;

	see(r, NODE1, NOBODYS, true);
	see(r, NODE1, NOBODYS, true);
	assert_int_equal(alarms(r, "node 'node1' runs guest 'vm1' (" NOBODYS "), of no instance of this cluster"), 1);
	assert_int_equal(alarms(r, ""), 1);
}

/* Both ends of a migration have it for a while; a record that nobody has confirmed says nothing. */
static void where_a_guest_may_be_it_is_no_alarm(void **state)
{
	struct rig *r = *state;

	put_instance(r);
	struct sinstance *s = state_instance(core_state(r->core), VM);
	(void)str_copy(s->i.own.target, sizeof(s->i.own.target), NODE2);
	see(r, NODE2, VM, true);
	assert_int_equal(alarms(r, ""), 0);
	s->i.own.target[0] = '\0';
	s->i.own.unconfirmed = 1;
	see(r, NODE2, VM, true);
	assert_int_equal(alarms(r, ""), 0);
	s->i.own.unconfirmed = 0;
	s->busy_job = 9; /* a job is at it: it knows */
	see(r, NODE2, VM, true);
	assert_int_equal(alarms(r, ""), 0);
	s->busy_job = 0;
	see(r, NODE2, VM, true);
	assert_int_equal(alarms(r, ""), 1);
}

/* ---- levels (schema/level.h): this binary knows one; tests/vcluster/upgrade has daemons that know the next ------------ */

static void a_newer_clusters_state_is_not_touched(void **state)
{
	struct rig *r = *state;
	struct core *core = NULL;
	struct err err = ERR_INIT;
	char *cluster = NULL;

	for (int i = 0; i < r->n_kvs; i++)
		if (strcmp(r->kvs[i].key, "/gantry/cluster") == 0)
			cluster = r->kvs[i].value;
	assert_non_null(cluster);
	AUTO_JSON json_t *j = json_loads(cluster, 0, NULL);
	json_object_set_new(j, "schema_version", json_integer(level_here.newest + 1));
	json_object_set_new(j, "something_new", json_true());
	AUTO_FREE char *newer = json_dumps(j, JSON_COMPACT);
	struct core_kv kv = { "/gantry/cluster", newer };
	struct core_start s = { .epoch = 8, .now_ms = 1, .wall_ms = 1, .seed = 1, .self = NODE1, .kvs = &kv, .n_kvs = 1 };
	assert_int_equal(core_new(&s, emit, r, &core, &err), -ERR_VERSION);
	assert_non_null(strstr(err.msg, "the cluster is at level"));
	assert_non_null(strstr(err_hint_text(&err), "does not go back"));
}

/* What a node was told or has answered while the master might not speak was not heard, and its link says nothing of that. */
static void what_was_not_heard_is_said_again(void **state)
{
	struct rig *r = *state;

	(void)ask(r, "r1", "debug.noop", json_pack("{s:s}", "node", "node2"));
	assert_int_equal(r->n_steps_sent, 1);
	tick(r, 1000);
	link_nodes(r);
	assert_int_equal(r->n_steps_sent, 1);
	core_tell_again(r->core);
	assert_int_equal(r->n_steps_sent, 2);
	result_of(r, r->last_step_job);
	core_tell_again(r->core);
	assert_int_equal(r->n_steps_sent, 2);
}

static void the_level_stays_as_it_is_where_nobody_knows_a_higher_one(void **state)
{
	struct rig *r = *state;
	struct err err = ERR_INIT;

	assert_int_equal(core_node_speaks(r->core, NODE1, "x", 1, level_here.newest, &err), 0);
	assert_int_equal(core_node_speaks(r->core, NODE2, "x", 1, level_here.newest + 7, &err), 0);
	tick(r, 1000);
	assert_int_equal(core_state(r->core)->cluster.schema_version, level_here.newest);
}

/* ---- when, and for how long --------------------------------------------------------------------------------- */

static const json_t *step_told(struct rig *r, int64_t job)
{
	(void)ask(r, "i", "job.info", json_pack("{s:I}", "id", (json_int_t)job));
	return json_array_get(json_object_get(r->reply, "plan"), 0);
}

/* A step's times, and what became of it, outlive the master; they stay when the journal goes. */
static void a_steps_times_are_told(void **state)
{
	struct rig *r = *state;
	struct err err = ERR_INIT;

	assert_int_equal(core_node_speaks(r->core, NODE1, "x", 1, 2, &err), 0);
	assert_int_equal(core_node_speaks(r->core, NODE2, "x", 1, 2, &err), 0);
	tick(r, 1000);
	int64_t job = ask(r, "a", "debug.noop", json_pack("{s:s}", "node", "node2")), began = 1700000000000 + r->now_ms;
	tick(r, 3000);
	const json_t *s = step_told(r, job);
	assert_string_equal(json_str(s, "state", ""), "started");
	assert_int_equal(json_int(s, "started_ms", 0), began);
	assert_int_equal(json_int(s, "took_ms", 0), 3000); /* so far */
	assert_null(json_object_get(s, "ended_ms"));
	master_changes(r, 2000);
	tick(r, 0);
	assert_int_equal(json_int(step_told(r, job), "took_ms", 0), 5000);
	result_of(r, job);
	for (int masters = 0; masters < 2; masters++) {
		s = step_told(r, job);
		assert_string_equal(json_str(s, "state", ""), "done");
		assert_int_equal(json_int(s, "started_ms", 0), began);
		assert_int_equal(json_int(s, "ended_ms", 0), began + 5000);
		assert_int_equal(json_int(s, "took_ms", 0), 5000);
		master_changes(r, 60000);
	}
}

/* ---- another name ------------------------------------------------------------------------------------------- */

static const char *first_name(struct rig *r)
{
	(void)ask(r, "q", "instance.list", json_object());
	return json_string_value(json_array_get(json_array_get(json_object_get(r->reply, "rows"), 0), 0));
}

static json_t *stored_instance(const struct rig *r)
{
	for (int i = 0; i < r->n_kvs; i++)
		if (strcmp(r->kvs[i].key, "/gantry/instance/" VM) == 0)
			return json_loads(r->kvs[i].value, 0, NULL);
	return NULL;
}

static void rename_is(struct rig *r, const char *id, const char *from, const char *to, const char *resource)
{
	int64_t job = ask(r, id, "instance.rename", json_pack("{s:s, s:s}", "name", from, "new_name", to));

	assert_string_equal(json_str(json_object_get(r->reply, "last"), "state", ""), "success");
	AUTO_JSON json_t *stored = stored_instance(r);
	assert_string_equal(json_str(stored, "name", ""), to);
	assert_string_equal(json_str(stored, "resource", "none"), resource);
	assert_string_equal(first_name(r), to);
	const struct sinstance *s = state_instance_named(core_state(r->core), to);
	assert_non_null(s);
	assert_null(state_instance_named(core_state(r->core), from));
	assert_int_equal(s->busy_job, 0); /* the job let go of it, by its new name */
	assert_true(job > 0);
}

/* The record has the new name and the old resource; called so again it needs no other one. A next master finds it as it is. */
static void a_renamed_instance_is_found_by_its_new_name(void **state)
{
	struct rig *r = *state;
	struct err err = ERR_INIT;

	assert_int_equal(core_node_speaks(r->core, NODE1, "x", 1, 2, &err), 0);
	assert_int_equal(core_node_speaks(r->core, NODE2, "x", 1, 2, &err), 0);
	tick(r, 1000);
	put_instance(r);
	see(r, NODE1, "", false);
	rename_is(r, "a", "vm1", "web1", "vm1");
	rename_is(r, "b", "web1", "aweb", "vm1");
	master_changes(r, 0);
	see(r, NODE1, "", false);
	rename_is(r, "c", "aweb", "vm1", "none");
	ask_uncommitted(r, "d", "instance.rename", json_pack("{s:s, s:s}", "name", "aweb", "new_name", "x"));
	commit_all(r);
	assert_string_equal(r->error, "NOT_FOUND");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_was_not_heard_is_said_again, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_newer_clusters_state_is_not_touched, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_level_stays_as_it_is_where_nobody_knows_a_higher_one, set_up, tear_down),
		cmocka_unit_test_setup_teardown(both_orders_go_out_at_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_step_beside_is_begun_with_the_one_before, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_was_begun_beside_is_undone_first, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_an_undo_passed_over_is_undone_first, set_up, tear_down),
		cmocka_unit_test_setup_teardown(no_job_waits_for_a_lost_disk, set_up, tear_down),
		cmocka_unit_test_setup_teardown(who_leaves_current_is_not_told_to_go_on, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_fence_password_is_in_the_nodes_record_only, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_steps_times_are_told, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_renamed_instance_is_found_by_its_new_name, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_guest_on_the_wrong_node_is_an_alarm, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_guest_of_no_instance_is_an_alarm, set_up, tear_down),
		cmocka_unit_test_setup_teardown(where_a_guest_may_be_it_is_no_alarm, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_short_job_is_told_whole, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_longer_job_leaves_no_journal, set_up, tear_down),
		cmocka_unit_test_setup_teardown(sixty_four_run_and_the_next_gets_the_first_place, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_dead_node_ends_all_its_jobs, set_up, tear_down),
		cmocka_unit_test_setup_teardown(many_that_waited_end_at_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(old_jobs_leave_memory_and_store, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_node_that_waits_for_its_turn_is_not_off, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_join_whose_job_fails_is_no_success, set_up, tear_down),
		cmocka_unit_test_setup_teardown(who_hangs_up_before_its_turn_is_no_node, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_rests_on_a_step_passed_over_is_left_out, set_up, tear_down),
		cmocka_unit_test_setup_teardown(who_is_left_in_current_has_said_that_it_is_good, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_new_master_goes_on_with_all, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
