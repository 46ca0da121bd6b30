/* SPDX-License-Identifier: Apache-2.0 */
/* A job's steps in the core: beside each other, passed over, told again; what their orders carry and their records do not. */
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

/* A node that is away is passed over at last; a step that rests on what it should have done is left out, another instance's is not (H20). */
static void what_rests_on_a_step_passed_over_is_left_out(void **state)
{
	struct rig *r = *state;
	char text[1400];

	(void)snprintf(text, sizeof(text),
		       "{\"id\":900,\"op\":\"cluster.arbitrate\",\"args\":{\"on\":true},\"state\":\"running\",\"steps\":["
		       "{\"kind\":\"noop_master\",\"args\":{},\"pivot\":true},"
		       "{\"kind\":\"drbd_options\",\"node\":\"" NODE2 "\",\"args\":{\"uuid\":\"%s\",\"resource\":\"vm1\"}},"
		       "{\"kind\":\"own_arbitrate\",\"args\":{\"uuid\":\"" VM "\",\"on\":true},\"after_all\":true}]}", VM);
	core_free(r->core);
	keep_instance(r, 0, false, false);
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

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, rig_set_up, rig_tear_down)
	const struct CMUnitTest tests[] = {
		T(what_rests_on_a_step_passed_over_is_left_out),
		T(a_step_beside_is_begun_with_the_one_before),
		T(both_orders_go_out_at_once),
		T(what_was_begun_beside_is_undone_first),
		T(what_an_undo_passed_over_is_undone_first),
		T(what_was_not_heard_is_said_again),
		T(a_fence_password_is_in_the_nodes_record_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
