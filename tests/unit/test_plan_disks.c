/* SPDX-License-Identifier: Apache-2.0 */
/* Planners of what is done to disks: growing, replace-disks, verify-disks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/xmem.h"
#include "core/core.h"
#include "core/own.h"
#include "core/planners.h"
#include "tests/unit/plan_rig.h"

/* ---- growing ---------------------------------------------------------------------------------------------------------------------- */

static int grow(struct world *w, const char *args)
{
	return plan(w, OP_instance_grow_disk, args);
}

#define BY_512 "{\"name\":\"vm1\",\"disk\":0,\"amount\":512}"

/* Both volumes, the record, DRBD, the guest: in that order, and forward only from the record on. */
static void a_disk_grows_from_below(void **state)
{
	struct world *w = *state;

	add_instance(&w->st, true, true);
	see_drbd(w->st.nodes[0], "Primary", "UpToDate", "UpToDate");
	see_guest(w->st.nodes[0]);
	assert_int_equal(grow(w, BY_512), 0);
	int b = step_at(w, "volume_grow", B), a = step_at(w, "volume_grow", A), record = step_at(w, "instance_disk", "");
	int resize = step_at(w, "drbd_resize", A), told = step_at(w, "guest_grow", A);
	assert_true(b >= 0 && b < a && a < record && record < resize && resize < told);
	for (int i = 0; i < w->plan.n_steps; i++)
		assert_int_equal(w->plan.steps[i].pivot == 1, i == record);
	assert_int_equal(json_int(json_array_get(json_object_get(w->plan.steps[a].args, "volumes"), 0), "size", 0), 1536);
	assert_int_equal(json_int(w->plan.steps[record].args, "size", 0), 1536);
	assert_string_equal(json_str(w->plan.steps[told].args, "path", ""), "/dev/drbd0");
	assert_int_equal(w->plan.n_reservations, 2);
	assert_int_equal(w->plan.needs_level, 2);
	assert_int_equal(grow(w, "{\"name\":\"vm1\",\"disk\":0,\"amount\":1024,\"absolute\":true}"), 0); /* what broke off goes on */
	assert_true(step_at(w, "drbd_resize", A) >= 0);
}

static void a_disk_that_cannot_grow(void **state)
{
	struct world *w = *state;
	struct sinstance *s = add_instance(&w->st, true, true);

	assert_int_equal(grow(w, BY_512), -ERR_WRONG_STATE); /* its disks are down */
	assert_non_null(strstr(err_hint_text(&w->err), "activate-disks"));
	see_drbd(w->st.nodes[0], "Primary", "UpToDate", "UpToDate");
	assert_int_equal(grow(w, "{\"name\":\"vm1\",\"disk\":1,\"amount\":512}"), -ERR_NOT_FOUND);
	assert_int_equal(grow(w, "{\"name\":\"vm1\",\"disk\":0,\"amount\":512,\"absolute\":true}"), -ERR_BAD_VALUE);
	w->st.nodes[1]->seen.pools[0].free_mib = 100;
	assert_int_equal(grow(w, BY_512), -ERR_NO_SPACE);
	assert_non_null(strstr(w->err.msg, "node2"));
	w->st.nodes[1]->seen.pools[0].free_mib = 100000;
	struct obs_tail *t = schema_list_add(schema_find(&observed_schema, "tails"), &w->st.nodes[1]->seen);
	(void)str_copy(t->instance, sizeof(t->instance), VM);
	assert_int_equal(grow(w, BY_512), -ERR_WRONG_STATE);
	assert_non_null(strstr(err_hint_text(&w->err), "disk tails"));
	schema_list_remove(schema_find(&observed_schema, "tails"), &w->st.nodes[1]->seen, 0);
	strs_remove(&s->i.own.current, &s->i.own.n_current, B);
	assert_int_equal(grow(w, BY_512), -ERR_DEGRADED);
	strs_add(&s->i.own.current, &s->i.own.n_current, B);
	w->st.nodes[1]->connected = false;
	assert_int_equal(grow(w, BY_512), -ERR_NODE_DOWN);
	s->i.template = TEMPLATE_PLAIN; /* without a mirror nobody else is asked */
	assert_int_equal(grow(w, BY_512), 0);
	assert_int_equal(step_at(w, "drbd_resize", A), -1);
}

/* ---- replace-disks -p -------------------------------------------------------------------------------------------------------------- */

static const char *job_op(const json_t *jobs, size_t i)
{
	return json_str(json_array_get(jobs, i), "op", "");
}

static const char *job_arg(const json_t *jobs, size_t i, const char *key)
{
	return json_str(json_object_get(json_array_get(jobs, i), "args"), key, "");
}

static int fan_with(struct world *w, bool restart, json_t **ret)
{
	struct op_replace_disks a;

	schema_init(&op_replace_disks_schema, &a);
	(void)str_copy(a.name, sizeof(a.name), "vm1");
	a.on_primary = 1;
	a.restart = restart;
	json_decref(*ret);
	*ret = NULL;
	err_clear(&w->err);
	return plan_fan_out(&w->st, OP_instance_replace_disks, &a, ret, &w->err);
}

static int fan(struct world *w, json_t **ret)
{
	return fan_with(w, false, ret);
}

/* There, rebuild what it left, back: each only when the one before has done its part. */
static void the_primarys_replica_is_rebuilt_in_three_jobs(void **state)
{
	struct world *w = *state;
	struct sinstance *s = add_instance(&w->st, true, true);
	AUTO_JSON json_t *jobs = NULL;

	assert_int_equal(fan(w, &jobs), 0);
	assert_int_equal(json_array_size(jobs), 3);
	assert_string_equal(job_op(jobs, 0), "instance.migrate");
	assert_string_equal(job_op(jobs, 1), "instance.replace_disks");
	assert_string_equal(job_op(jobs, 2), "instance.migrate");
	assert_string_equal(job_arg(jobs, 0, "from"), "node1");
	assert_string_equal(job_arg(jobs, 1, "from"), "node1");
	assert_string_equal(job_arg(jobs, 2, "from"), "node2");
	s->i.admin_state = ADMIN_DOWN;
	assert_int_equal(fan(w, &jobs), 0);
	assert_string_equal(job_op(jobs, 0), "instance.failover");
	assert_string_equal(job_op(jobs, 2), "instance.failover");
	s->i.admin_state = ADMIN_UP;
	strs_remove(&s->i.own.current, &s->i.own.n_current, B); /* the primary's is the only good one */
	assert_int_equal(fan(w, &jobs), -ERR_DEGRADED);
	strs_add(&s->i.own.current, &s->i.own.n_current, B);
	strs_remove(&s->i.own.current, &s->i.own.n_current, A); /* its disk died: does the guest live on the mirror's? */
	assert_int_equal(fan(w, &jobs), -ERR_DEGRADED);
	assert_non_null(strstr(err_hint_text(&w->err), "--restart"));
	assert_int_equal(fan_with(w, true, &jobs), 0); /* a person lets it be restarted: the same way, but there by failover */
	assert_int_equal(json_array_size(jobs), 3);
	assert_string_equal(job_op(jobs, 0), "instance.failover");
	assert_string_equal(job_arg(jobs, 0, "from"), "node1");
	assert_null(json_object_get(json_object_get(json_array_get(jobs, 0), "args"), "ignore_consistency"));
	assert_string_equal(job_op(jobs, 1), "instance.replace_disks");
	assert_string_equal(job_op(jobs, 2), "instance.migrate");
	see_drbd(state_node(&w->st, A), "Primary", "Diskless", "UpToDate"); /* it does */
	assert_int_equal(fan(w, &jobs), 0);
	assert_string_equal(job_op(jobs, 0), "instance.migrate");
	assert_int_equal(fan_with(w, true, &jobs), 0); /* a word is a word */
	assert_string_equal(job_op(jobs, 0), "instance.failover");
}

/* Else the only copy that can still be read, old as it may be, would be taken apart for one that will never come. */
static void nothing_is_rebuilt_from_a_lost_disk(void **state)
{
	struct world *w = *state;

	add_instance(&w->st, true, true);
	see_drbd(state_node(&w->st, A), "Primary", "Diskless", "UpToDate");
	see_drbd(state_node(&w->st, B), "Secondary", "UpToDate", "Diskless");
	assert_int_equal(plan(w, OP_instance_replace_disks, "{\"name\":\"vm1\",\"on_secondary\":true}"), -ERR_DEGRADED);
	assert_non_null(strstr(err_hint_text(&w->err), "--ignore-consistency"));
	assert_int_equal(w->plan.n_steps, 0);
	/* Nor is it given up for a mirror on another node: in current the lost one is until its node is heard. */
	assert_int_equal(plan(w, OP_instance_replace_disks, "{\"name\":\"vm1\",\"new_secondary\":\"node3\"}"), -ERR_DEGRADED);
	assert_int_equal(w->plan.n_steps, 0);
	see_drbd(state_node(&w->st, A), "Primary", "UpToDate", "UpToDate");
	assert_int_equal(plan(w, OP_instance_replace_disks, "{\"name\":\"vm1\",\"new_secondary\":\"node3\"}"), 0);
}

static void a_part_whose_forerunner_failed_does_nothing(void **state)
{
	struct world *w = *state;

	add_instance(&w->st, true, true);
	see_drbd(state_node(&w->st, A), "Primary", "UpToDate", "UpToDate");
	see_drbd(state_node(&w->st, B), "Secondary", "UpToDate", "UpToDate");
	see_guest(state_node(&w->st, A));
	assert_int_equal(plan(w, OP_instance_migrate, "{\"name\":\"vm1\",\"from\":\"node1\"}"), 0);
	assert_int_equal(plan(w, OP_instance_migrate, "{\"name\":\"vm1\",\"from\":\"node2\"}"), -ERR_WRONG_STATE);
	assert_int_equal(plan(w, OP_instance_failover, "{\"name\":\"vm1\",\"from\":\"node2\"}"), -ERR_WRONG_STATE);
	assert_int_equal(plan(w, OP_instance_replace_disks, "{\"name\":\"vm1\",\"from\":\"node1\",\"on_secondary\":true}"), -ERR_WRONG_STATE);
	assert_int_equal(plan(w, OP_instance_replace_disks, "{\"name\":\"vm1\",\"from\":\"node2\",\"on_secondary\":true}"), 0);
	assert_string_equal(w->plan.steps[w->plan.n_steps - 1].kind, "own_both"); /* who comes back to it finds it current */
}

/* ---- what a replacement left undone ------------------------------------------------------------------------------------------------- */

/* vm1 is down, A's replica alone is current, B's was made anew and is not up; the volumes of the one before are on C. */
static struct sinstance *left_undone(struct world *w)
{
	struct sinstance *s = add_instance(&w->st, true, false);

	s->i.admin_state = ADMIN_DOWN;
	(void)str_copy(s->i.disks[0].uuid, sizeof(s->i.disks[0].uuid), "dddddddd-0000-4000-8000-000000000001");
	strs_add(&w->st.nodes[2]->seen.volumes, &w->st.nodes[2]->seen.n_volumes, s->i.disks[0].uuid);
	return s;
}

static bool finishes(struct world *w)
{
	bool does = converge_unfinished(&w->st, &w->st.instances[0]->i);

	assert_int_equal(plan(w, OP_instance_converge, "{\"name\":\"vm1\"}"), 0);
	assert_int_equal(step_at(w, "drbd_attach", B) >= 0, does);
	return does;
}

static void a_replacement_of_one_that_is_down_is_finished(void **state)
{
	struct world *w = *state;
	struct sinstance *s = left_undone(w);

	assert_true(finishes(w)); /* both are down, and the old mirror's volumes tell */
	/* Both files are written first, as either may be of before; they meet as Secondaries, nobody waits for the resync, and nobody starts. */
	assert_true(step_at(w, "drbd_configure", A) >= 0 && step_at(w, "drbd_configure", B) >= 0);
	assert_true(step_at(w, "drbd_attach", B) > step_at(w, "drbd_configure", B) && step_at(w, "drbd_connect", A) > step_at(w, "drbd_attach", B));
	assert_int_equal(step_at(w, "drbd_primary", A), -1);
	assert_int_equal(step_at(w, "drbd_wait_sync", A), -1);
	assert_int_equal(step_at(w, "guest_start", A), -1);
	assert_int_equal(step_at(w, "volume_remove", C), -1); /* they may be the only copy until the new one is current */
	assert_int_equal(w->plan.steps[0].pivot, 1);
	strs_clear(&w->st.nodes[2]->seen.volumes, &w->st.nodes[2]->seen.n_volumes);
	assert_false(finishes(w)); /* both are down: so they are meant to be */
	see_drbd(state_node(&w->st, A), "Secondary", "UpToDate", "");
	assert_true(finishes(w)); /* one only is up */
	see_drbd(state_node(&w->st, B), "Secondary", "Inconsistent", "UpToDate");
	assert_false(finishes(w)); /* they have met */
	(void)str_copy(w->st.nodes[1]->seen.drbd[0].conn, sizeof(w->st.nodes[1]->seen.drbd[0].conn), "StandAlone");
	assert_true(finishes(w));
	s->i.own.leaving[0] = 'x'; /* a plan takes a replica apart */
	assert_false(finishes(w));
	s->i.own.leaving[0] = '\0';
	own_note_tail(&s->i.own, B, true); /* what it wrote is to be kept first */
	assert_false(finishes(w));
	own_note_tail(&s->i.own, "", false);
	w->st.nodes[1]->seen.drbd[0].marked = 1; /* it lost its disk: a person must have it made anew */
	assert_false(finishes(w));
	w->st.nodes[1]->seen.drbd[0].marked = 0;
	w->st.nodes[1]->n.liveness = NODE_FENCED; /* it waits for a person */
	assert_false(finishes(w));
	w->st.nodes[1]->n.liveness = NODE_ONLINE;
	see_guest(w->st.nodes[0]); /* somebody's doing, for verify to say */
	assert_false(converge_unfinished(&w->st, &s->i));
	schema_list_remove(schema_find(&observed_schema, "guests"), &w->st.nodes[0]->seen, 0);
	assert_true(finishes(w));
	strs_add(&s->i.own.current, &s->i.own.n_current, B);
	assert_false(finishes(w));
	strs_clear(&s->i.own.current, &s->i.own.n_current);
	strs_add(&s->i.own.current, &s->i.own.n_current, B); /* not the owner's: a person must choose */
	assert_false(finishes(w));
}

/* ---- verify-disks ------------------------------------------------------------------------------------------------------------------ */

static int broken(struct world *w)
{
	AUTO_JSON json_t *jobs = NULL;
	struct op_none none;

	schema_init(&op_none_schema, &none);
	assert_int_equal(plan_fan_out(&w->st, OP_cluster_verify_disks, &none, &jobs, &w->err), 0);
	for (size_t i = 0; i < json_array_size(jobs); i++)
		assert_string_equal(job_op(jobs, i), "instance.converge");
	return (int)json_array_size(jobs);
}

static void disks_that_are_apart_are_brought_together(void **state)
{
	struct world *w = *state;
	struct sinstance *s = add_instance(&w->st, true, true);

	assert_int_equal(broken(w), 1); /* down on its node */
	see_drbd(w->st.nodes[0], "Primary", "UpToDate", "UpToDate");
	assert_int_equal(broken(w), 0);
	struct obs_drbd *d = &w->st.nodes[0]->seen.drbd[0];
	(void)str_copy(d->conn, sizeof(d->conn), "WFConnection");
	assert_int_equal(broken(w), 1);
	s->busy_job = 4; /* a job is at it */
	assert_int_equal(broken(w), 0);
	s->busy_job = 0;
	w->st.nodes[1]->connected = false; /* nobody could */
	assert_int_equal(broken(w), 0);
	w->st.nodes[1]->connected = true;
	s->i.admin_state = ADMIN_DOWN; /* they are meant to be down */
	assert_int_equal(broken(w), 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, world_set_up, world_tear_down)
	const struct CMUnitTest tests[] = {
		T(a_disk_grows_from_below),
		T(a_disk_that_cannot_grow),
		T(the_primarys_replica_is_rebuilt_in_three_jobs),
		T(nothing_is_rebuilt_from_a_lost_disk),
		T(a_part_whose_forerunner_failed_does_nothing),
		T(a_replacement_of_one_that_is_down_is_finished),
		T(disks_that_are_apart_are_brought_together),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
