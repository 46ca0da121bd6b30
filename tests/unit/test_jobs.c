/* SPDX-License-Identifier: Apache-2.0 */
/* The job queue of the core under load: units of writes stay within a transaction, places, the archive, short jobs, joins, levels, times. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/xmem.h"
#include "schema/level.h"
#include "tests/unit/core_rig.h"

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

/* A node is evacuated, or hundreds of guests are created: a guest whose node dies does not wait for that. */
static void a_failover_has_a_place(void **state)
{
	struct rig *r = *state;

	core_free(r->core);
	keep_instance(r, 5, true, true);
	start_core(r);
	link_nodes(r);
	file_many(r, JOBS_RUNNING_MAX + 2, "node2");
	assert_int_equal(r->n_steps_sent, JOBS_RUNNING_MAX);
	(void)ask(r, "failover", "instance.failover", json_pack("{s:s}", "name", "vm1"));
	assert_string_equal(state_instance(core_state(r->core), VM)->i.own.owner, NODE2);
	assert_int_equal(core_jobs_open(r->core), JOBS_RUNNING_MAX + 2);
}

/* What they have to tidy there waits for the node: all else goes on, and the word that it is not to be waited for ends them. */
static void who_waits_for_a_silent_node_takes_no_place(void **state)
{
	struct rig *r = *state;

	core_free(r->core);
	for (int i = 0; i < JOBS_RUNNING_MAX; i++) {
		char key[40], text[600];

		(void)snprintf(key, sizeof(key), "/gantry/job/%d", 100 + i);
		(void)snprintf(text, sizeof(text), "{\"id\":%d,\"op\":\"debug.noop\",\"args\":{},\"state\":\"running\",\"steps\":["
			       "{\"kind\":\"noop_master\",\"args\":{},\"pivot\":true},"
			       "{\"kind\":\"volume_remove\",\"node\":\"" NODE2 "\",\"args\":{\"uuid\":\"" VM "\"}}]}", 100 + i);
		keep(r, key, text);
	}
	keep(r, "/gantry/lastjob", "200");
	start_core(r);
	link_nodes(r);
	assert_int_equal(core_jobs_open(r->core), JOBS_RUNNING_MAX);
	(void)ask(r, "early", "debug.noop", json_object());
	assert_int_equal(core_jobs_open(r->core), JOBS_RUNNING_MAX + 1);
	core_node_links(r->core, NODE2, 0, "b2", PACKAGE_VERSION, 0);
	commit_all(r);
	for (int i = 0; i < 40; i++) {
		assert_int_equal(core_jobs_open(r->core), JOBS_RUNNING_MAX + (state_node(core_state(r->core), NODE2)->n.liveness != NODE_LOST));
		core_node_beat(r->core, NODE1);
		tick(r, LEASE_MS / 12);
	}
	assert_int_equal(core_jobs_open(r->core), JOBS_RUNNING_MAX); /* it had waited for a place only */
	(void)ask(r, "offline", "node.modify", json_pack("{s:s, s:b}", "name", "node2", "offline", 1));
	for (int i = 0; i < 10; i++)
		tick(r, 1000);
	assert_int_equal(core_jobs_open(r->core), 0);
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
	assert_int_equal(core_new(&s, rig_emit, r, &core, &err), -ERR_VERSION);
	assert_non_null(strstr(err.msg, "the cluster is at level"));
	assert_non_null(strstr(err_hint_text(&err), "does not go back"));
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

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, rig_set_up, rig_tear_down)
	const struct CMUnitTest tests[] = {
		T(a_short_job_is_told_whole),
		T(a_longer_job_leaves_no_journal),
		T(sixty_four_run_and_the_next_gets_the_first_place),
		T(a_failover_has_a_place), T(who_waits_for_a_silent_node_takes_no_place),
		T(a_dead_node_ends_all_its_jobs),
		T(many_that_waited_end_at_once),
		T(old_jobs_leave_memory_and_store),
		T(a_new_master_goes_on_with_all),
		T(a_node_that_waits_for_its_turn_is_not_off),
		T(a_join_whose_job_fails_is_no_success),
		T(who_hangs_up_before_its_turn_is_no_node),
		T(a_newer_clusters_state_is_not_touched),
		T(the_level_stays_as_it_is_where_nobody_knows_a_higher_one),
		T(a_steps_times_are_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
