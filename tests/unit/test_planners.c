/* SPDX-License-Identifier: Apache-2.0 */
/* Planners (tests/unit/plan_rig.h): cases that a reading found. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/xmem.h"
#include "core/core.h"
#include "core/evidence.h"
#include "tests/unit/plan_rig.h"

/* ---- whatever is asked ------------------------------------------------------------------------------------------------------- */

/* Every request of something that is there by name: refused by name, and nothing is planned or said of what does not exist. */
static void what_does_not_exist_is_refused(void **state)
{
	struct world *w = *state;
	int asked = 0;

	add_instance(&w->st, true, true);
	for (int op = 0; op < OP_COUNT; op++) {
		const struct field *name = schema_find(op_infos[op].args, "name");

		if (op_infos[op].kind != OP_JOB || !plan_for((enum op_index)op) || !name || name->type != FIELD_STR || op == OP_instance_add || op == OP_node_admit)
			continue;
		void *a = xcalloc(1, op_infos[op].args->size);
		struct rng rng;

		rng_seed(&rng, 1);
		plan_done(&w->plan);
		plan_init(&w->plan);
		err_clear(&w->err);
		schema_init(op_infos[op].args, a);
		(void)str_copy((char *)a + name->offset, NAME_LEN, "nosuch");
		assert_int_equal(plan_for((enum op_index)op)(&w->st, a, &rng, &w->plan, &w->err), -ERR_NOT_FOUND);
		assert_non_null(strstr(w->err.msg, "nosuch"));
		assert_int_equal(w->plan.n_steps, 0);
		assert_string_equal(w->plan.summary, "");
		schema_done(op_infos[op].args, a);
		free(a);
		asked++;
	}
	assert_true(asked >= 15);
}

/* ---- a disk died ------------------------------------------------------------------------------------------------------------ */

/* The primary lost its disk and is out of current: the mirror has everything, no loss is to be accepted. */
static void failover_to_the_only_good_replica(void **state)
{
	struct world *w = *state;

	add_instance(&w->st, false, true);
	see_drbd(state_node(&w->st, A), "Primary", "Diskless", "UpToDate");
	see_drbd(state_node(&w->st, B), "Secondary", "UpToDate", "Diskless");
	see_guest(state_node(&w->st, A));
	assert_int_equal(plan(w, OP_instance_failover, "{\"name\":\"vm1\"}"), 0);
	int end = step_at(w, "guest_shutdown", A), move = step_at(w, "own_failover", ""), start = step_at(w, "guest_start", B);
	assert_true(end >= 0 && move > end && start > move);
	assert_int_equal(w->plan.steps[move].pivot, 1);
	assert_int_equal(json_bool(w->plan.steps[move].args, "force", false), 0);
}

/* ... but as long as the log lists both, out of sync means that the mirror may lack something. */
static void failover_to_a_replica_that_resyncs(void **state)
{
	struct world *w = *state;

	add_instance(&w->st, true, true);
	see_drbd(state_node(&w->st, A), "Primary", "UpToDate", "Inconsistent");
	see_guest(state_node(&w->st, A));
	assert_int_equal(plan(w, OP_instance_failover, "{\"name\":\"vm1\"}"), -ERR_STALE_REPLICA);
}

static void failover_to_a_replica_that_is_not_current(void **state)
{
	struct world *w = *state;

	add_instance(&w->st, true, false);
	see_drbd(state_node(&w->st, A), "Primary", "UpToDate", "Inconsistent");
	see_guest(state_node(&w->st, A));
	assert_int_equal(plan(w, OP_instance_failover, "{\"name\":\"vm1\"}"), -ERR_STALE_REPLICA);
	assert_int_equal(plan(w, OP_instance_failover, "{\"name\":\"vm1\",\"ignore_consistency\":true}"), 0);
}

/* A process that waits for frozen I/O does not end: that is given up first. */
static void a_frozen_guest_is_taken_apart_before_it_is_ended(void **state)
{
	struct world *w = *state;

	add_instance(&w->st, true, false);
	see_drbd(state_node(&w->st, A), "Primary", "Diskless", "Inconsistent");
	state_node(&w->st, A)->seen.drbd[0].suspended = 1;
	see_guest(state_node(&w->st, A));
	assert_int_equal(plan(w, OP_instance_failover, "{\"name\":\"vm1\",\"ignore_consistency\":true}"), 0);
	int apart = step_at(w, "drbd_down", A), end = step_at(w, "guest_shutdown", A), move = step_at(w, "own_failover", "");
	assert_true(apart >= 0 && apart < end && end < move);
	assert_int_equal(w->plan.steps[apart].may_fail, 1);
	assert_int_equal(json_bool(w->plan.steps[apart].args, "force", false), 1);
}

/* It is back in a new boot and waits for a person: its guest has ended. Without arbitration only its replica knows what it wrote alone. */
static void who_is_back_may_have_written_alone(void **state)
{
	struct world *w = *state;
	struct sinstance *s = add_instance(&w->st, true, true);
	struct snode *a = state_node(&w->st, A);

	a->n.liveness = NODE_FENCED;
	a->n.evidence = EVIDENCE_REPORT;
	a->n.offline = 1;
	(void)str_copy(a->n.evidence_boot, sizeof(a->n.evidence_boot), "boot");
	(void)str_copy(a->boot_id, sizeof(a->boot_id), "next");
	for (int arbitrated = 0; arbitrated < 2; arbitrated++) {
		s->i.own.arbitrated = arbitrated;
		a->connected = true;
		assert_int_equal(plan(w, OP_instance_failover, "{\"name\":\"vm1\"}"), arbitrated ? 0 : -ERR_STALE_REPLICA);
		assert_int_equal(plan(w, OP_instance_failover, "{\"name\":\"vm1\",\"ignore_consistency\":true}"), 0);
		a->connected = false; /* nobody can ask it */
		assert_int_equal(plan(w, OP_instance_failover, "{\"name\":\"vm1\"}"), 0);
	}
}

/* Known to be off, and it answers in just that boot: a person's word that came late is no evidence of what runs there now (009). */
static void who_answers_is_not_off(void **state)
{
	struct world *w = *state;
	struct sinstance *s = add_instance(&w->st, true, true);
	struct snode *a = state_node(&w->st, A);

	a->n.liveness = NODE_FENCED;
	a->n.evidence = EVIDENCE_PERSON;
	(void)str_copy(a->n.evidence_boot, sizeof(a->n.evidence_boot), "boot");
	(void)str_copy(a->boot_id, sizeof(a->boot_id), "boot");
	assert_int_equal(plan(w, OP_instance_failover, "{\"name\":\"vm1\"}"), -ERR_NO_EVIDENCE);
	assert_false(evidence_holds(&w->st, &s->i, EVIDENCE_PERSON) || evidence_holds(&w->st, &s->i, EVIDENCE_POWER));
	a->connected = false;
	a->n.evidence_wrong = 1; /* not at this moment, but it has */
	assert_int_equal(plan(w, OP_instance_failover, "{\"name\":\"vm1\"}"), -ERR_NO_EVIDENCE);
	a->n.evidence_wrong = 0;
	assert_int_equal(plan(w, OP_instance_failover, "{\"name\":\"vm1\"}"), 0);
	assert_true(evidence_holds(&w->st, &s->i, EVIDENCE_PERSON));
	a->connected = true;
	(void)str_copy(a->boot_id, sizeof(a->boot_id), "next"); /* another boot: nothing of that one runs any more */
	assert_int_equal(plan(w, OP_instance_failover, "{\"name\":\"vm1\"}"), 0);
	a->n.evidence_boot[0] = '\0'; /* nobody knew which: it is this one, until its node has said that it is without the guest */
	assert_int_equal(plan(w, OP_instance_failover, "{\"name\":\"vm1\"}"), 0);
	see_guest(a);
	assert_int_equal(plan(w, OP_instance_failover, "{\"name\":\"vm1\"}"), -ERR_NO_EVIDENCE);
	a->seen_ms = 0;
	assert_int_equal(plan(w, OP_instance_failover, "{\"name\":\"vm1\"}"), -ERR_NO_EVIDENCE);
	a->connected = false;
	assert_int_equal(plan(w, OP_instance_failover, "{\"name\":\"vm1\"}"), 0);
}

/*
 * Nobody is promoted for an instance that is down. Its new owner was asked whether it may take over, and has stayed apart since: down it is that without a
 * pin. One that a person takes as it is says so of itself from now on. Where the pin has stayed, the next start goes on without a connection.
 */
static void failover_of_what_is_down(void **state)
{
	struct world *w = *state;
	struct sinstance *s = add_instance(&w->st, true, true);
	struct snode *a = state_node(&w->st, A);

	s->i.admin_state = ADMIN_DOWN;
	assert_int_equal(plan(w, OP_instance_failover, "{\"name\":\"vm1\"}"), 0);
	assert_int_equal(step_at(w, "drbd_down", B), -1); /* planned: nobody was pinned */
	assert_int_equal(plan(w, OP_instance_failover, "{\"name\":\"vm1\",\"ignore_consistency\":true}"), 0);
	int force = step_at(w, "drbd_primary", B), back = step_at(w, "drbd_secondary", B), down = step_at(w, "drbd_down", B);
	assert_true(step_at(w, "drbd_attach", B) >= 0 && force > step_at(w, "drbd_attach", B) && back > force && down > back);
	assert_true(json_bool(w->plan.steps[force].args, "force", false));
	a->connected = false;
	a->n.liveness = NODE_FENCED;
	a->n.evidence = EVIDENCE_POWER;
	assert_int_equal(plan(w, OP_instance_failover, "{\"name\":\"vm1\"}"), 0);
	assert_true(step_at(w, "drbd_probe_target", B) >= 0);
	assert_int_equal(step_at(w, "drbd_primary", B), -1);
	assert_true(step_at(w, "drbd_down", B) > step_at(w, "drbd_cut", B));
	a->connected = true;
	a->n.liveness = NODE_ONLINE;
	(void)str_copy(s->i.own.owner, sizeof(s->i.own.owner), B);
	strs_remove(&s->i.own.current, &s->i.own.n_current, A);
	(void)str_copy(s->i.own.tail, sizeof(s->i.own.tail), A);
	assert_int_equal(plan(w, OP_instance_startup, "{\"name\":\"vm1\"}"), 0);
	assert_int_equal(w->plan.steps[step_at(w, "drbd_connect", B)].may_fail, 1);
	assert_true(step_at(w, "drbd_primary", B) > step_at(w, "drbd_connect", B)); /* which takes the mark of a split away */
	s->i.own.tail[0] = '\0'; /* it is no loser: they meet first */
	assert_int_equal(plan(w, OP_instance_startup, "{\"name\":\"vm1\"}"), 0);
	assert_int_equal(w->plan.steps[step_at(w, "drbd_connect", B)].may_fail, 0);
}

/* ---- --ignore-consistency: a person takes the target as it is ------------------------------------------------------------------ */

static bool forced(const struct world *w, const char *kind, const char *node)
{
	int at = step_at(w, kind, node);

	assert_true(at >= 0);
	return json_bool(w->plan.steps[at].args, "force", false);
}

/* Nothing of it rests on what is not shown: the owner's side is still before the pivot, the target is there, and is apart before it is promoted. */
static void taken_as_it_is(struct world *w, const char *first, const char *of)
{
	int still = step_at(w, first, of), attach = step_at(w, "drbd_attach", B), probe = step_at(w, "drbd_probe_target", B), move = step_at(w, "own_failover", ""),
	    cut = step_at(w, "drbd_cut", B), primary = step_at(w, "drbd_primary", B);

	assert_true(still >= 0 && probe > attach && move > probe && move > still && cut > move && primary > cut);
	assert_int_equal(w->plan.steps[move].pivot, 1);
	assert_true(forced(w, "own_failover", "") && forced(w, "drbd_attach", B) && forced(w, "drbd_probe_target", B) && forced(w, "drbd_primary", B));
}

#define TAKE_IT "{\"name\":\"vm1\",\"ignore_consistency\":true}"

static void taken_from_a_node_that_answers(void **state)
{
	struct world *w = *state;
	struct sinstance *s = add_instance(&w->st, true, false);

	/* It runs there: the guest is ended first. */
	see_drbd(state_node(&w->st, A), "Primary", "UpToDate", "Inconsistent");
	see_drbd(state_node(&w->st, B), "Secondary", "Inconsistent", "UpToDate");
	see_guest(state_node(&w->st, A));
	assert_int_equal(plan(w, OP_instance_failover, TAKE_IT), 0);
	taken_as_it_is(w, "guest_shutdown", A);
	assert_true(step_at(w, "drbd_down", A) > step_at(w, "drbd_cut", B) && step_at(w, "drbd_down", A) < step_at(w, "drbd_primary", B));
	assert_true(step_at(w, "guest_start", B) > step_at(w, "drbd_primary", B));
	/* It is down, and what is seen of its disks may be old: no role is left to chance. */
	s->i.admin_state = ADMIN_DOWN;
	state_node(&w->st, A)->seen.drbd[0].up = state_node(&w->st, B)->seen.drbd[0].up = 0;
	assert_int_equal(plan(w, OP_instance_failover, TAKE_IT), 0);
	taken_as_it_is(w, "drbd_secondary", A);
	assert_int_equal(step_at(w, "guest_start", B), -1);
	assert_true(step_at(w, "drbd_secondary", B) > step_at(w, "drbd_primary", B) && step_at(w, "drbd_down", B) > step_at(w, "drbd_secondary", B));
	assert_false(forced(w, "drbd_down", B));
}

static void taken_from_a_node_that_is_off(void **state)
{
	struct world *w = *state;
	struct sinstance *s = add_instance(&w->st, true, false);
	struct snode *a = state_node(&w->st, A);

	s->i.admin_state = ADMIN_DOWN;
	a->connected = false;
	assert_int_equal(plan(w, OP_instance_failover, TAKE_IT), -ERR_NO_EVIDENCE);
	assert_non_null(strstr(err_hint_text(&w->err), "gnt node fence --confirmed-off node1"));
	a->n.liveness = NODE_FENCED;
	a->n.evidence = EVIDENCE_PERSON;
	assert_int_equal(plan(w, OP_instance_failover, "{\"name\":\"vm1\"}"), -ERR_STALE_REPLICA);
	assert_int_equal(plan(w, OP_instance_failover, TAKE_IT), 0);
	taken_as_it_is(w, "drbd_probe_target", B);
	assert_true(step_at(w, "drbd_down", B) > step_at(w, "drbd_primary", B));
	assert_int_equal(step_at(w, "drbd_secondary", A), -1);
}

/* The mirror is whole: there is nothing to ignore, and no replica is given up for it. */
static void nothing_to_ignore(void **state)
{
	struct world *w = *state;

	add_instance(&w->st, true, true);
	see_drbd(state_node(&w->st, A), "Primary", "UpToDate", "UpToDate");
	see_drbd(state_node(&w->st, B), "Secondary", "UpToDate", "UpToDate");
	see_guest(state_node(&w->st, A));
	assert_int_equal(plan(w, OP_instance_failover, TAKE_IT), 0);
	assert_false(forced(w, "own_failover", "") || forced(w, "drbd_primary", B));
	assert_int_equal(step_at(w, "drbd_down", A), -1);
	state_node(&w->st, B)->seen.drbd[0].marked = 1; /* but it has lost its disk, by its own word */
	assert_int_equal(plan(w, OP_instance_failover, TAKE_IT), 0);
	taken_as_it_is(w, "drbd_secondary", A);
}

/* The promotion did not come about in the failover's job: whoever brings its disks up makes up for it, and nobody else is forced. */
static void made_up_for_later(void **state)
{
	struct world *w = *state;
	struct sinstance *s = add_instance(&w->st, true, false);

	assert_int_equal(plan(w, OP_instance_startup, "{\"name\":\"vm1\"}"), 0);
	assert_false(forced(w, "drbd_primary", A) || forced(w, "drbd_attach", A));
	s->i.own.as_is = 1;
	assert_int_equal(plan(w, OP_instance_startup, "{\"name\":\"vm1\"}"), 0);
	assert_true(forced(w, "drbd_primary", A) && forced(w, "drbd_attach", A));
	assert_true(step_at(w, "drbd_connect", A) > step_at(w, "drbd_primary", A)); /* its marks go by the promotion: until then it refuses to meet anybody */
	assert_int_equal(step_at(w, "drbd_connect", B), -1);
}

/* ---- an owner that has lost its disk ------------------------------------------------------------------------------------------- */

/* What cannot be attached, connected or promoted there is not tried for minutes, while a failover waits for the job's end. */
static void nothing_is_tried_on_a_lost_disk(void **state)
{
	struct world *w = *state;

	add_instance(&w->st, true, true);
	see_drbd(state_node(&w->st, A), "Secondary", "Diskless", "");
	see_drbd(state_node(&w->st, B), "Secondary", "UpToDate", "");
	assert_int_equal(plan(w, OP_instance_converge, "{\"name\":\"vm1\"}"), 0);
	assert_true(step_at(w, "guest_start", A) >= 0);
	state_node(&w->st, A)->seen.drbd[0].marked = 1;
	assert_int_equal(plan(w, OP_instance_converge, "{\"name\":\"vm1\"}"), 0);
	assert_int_equal(step_at(w, "guest_start", A), -1);
	assert_int_equal(step_at(w, "drbd_attach", A), -1);
	assert_int_equal(step_at(w, "drbd_primary", A), -1);
	see_guest(state_node(&w->st, A)); /* it runs, on the mirror's disk: that is looked after as ever */
	assert_int_equal(plan(w, OP_instance_converge, "{\"name\":\"vm1\"}"), 0);
	assert_true(step_at(w, "drbd_primary", A) >= 0);
}

/* ---- without arbitration: the log does not know who wrote alone ------------------------------------------------------------- */

/* It asks the old owner's side after its last write, and just before the record changes. */
static void proves(struct world *w, const char *last_write, const char *last_node, const char *hand_over)
{
	int write = step_at(w, last_write, last_node), prove = step_at(w, "drbd_prove", A), move = step_at(w, hand_over, "");

	assert_true(write >= 0 && prove > write && move == prove + 1);
	assert_int_equal(w->plan.steps[move].pivot, 1);
	assert_int_equal(w->plan.steps[prove].may_fail, 0);
}

static void a_planned_failover_is_proven(void **state)
{
	struct world *w = *state;
	struct sinstance *s = add_instance(&w->st, true, true);

	see_drbd(state_node(&w->st, A), "Primary", "UpToDate", "UpToDate");
	see_guest(state_node(&w->st, A));
	assert_int_equal(plan(w, OP_instance_failover, "{\"name\":\"vm1\"}"), 0);
	assert_int_equal(step_at(w, "drbd_prove", A), -1); /* arbitrated: it would have asked */
	s->i.own.arbitrated = 0;
	assert_int_equal(plan(w, OP_instance_failover, "{\"name\":\"vm1\"}"), 0);
	proves(w, "drbd_secondary", A, "own_failover");
	assert_int_equal(step_at(w, "drbd_wait_sync", A), -1); /* seen in sync: nobody waits with the guest down */
	assert_int_equal(plan(w, OP_instance_failover, "{\"name\":\"vm1\",\"ignore_consistency\":true}"), 0);
	assert_int_equal(step_at(w, "drbd_prove", A), -1);
}

/* After a boot of the owner, or because the instance is down: nothing is seen of the disks, so they meet first. */
static void disks_that_are_down_meet_first(void **state)
{
	struct world *w = *state;
	struct sinstance *s = add_instance(&w->st, true, true);

	s->i.own.arbitrated = 0;
	for (int up = 0; up < 2; up++) {
		s->i.admin_state = up ? ADMIN_UP : ADMIN_DOWN;
		assert_int_equal(plan(w, OP_instance_failover, "{\"name\":\"vm1\"}"), 0);
		proves(w, "drbd_wait_sync", A, "own_failover");
		int met = step_at(w, "drbd_wait_sync", A);
		assert_true(step_at(w, "drbd_attach", A) >= 0 && step_at(w, "drbd_attach", A) < met);
		assert_true(step_at(w, "drbd_connect", A) >= 0 && step_at(w, "drbd_connect", A) < met);
		assert_true(step_at(w, "drbd_connect", B) >= 0 && step_at(w, "drbd_connect", B) < met);
		/* One that is down is down again in the end. */
		assert_int_equal(step_at(w, "drbd_down", A) > step_at(w, "own_failover", ""), !up);
		assert_int_equal(step_at(w, "drbd_down", B) > step_at(w, "own_failover", ""), !up);
	}
}

/* The owner's disk is gone and out of current: its guest lived on the mirror's, and the pair is never in sync. */
static void a_mirror_that_served_needs_no_proof(void **state)
{
	struct world *w = *state;

	add_instance(&w->st, false, true)->i.own.arbitrated = 0;
	see_drbd(state_node(&w->st, A), "Primary", "Diskless", "UpToDate");
	see_guest(state_node(&w->st, A));
	assert_int_equal(plan(w, OP_instance_failover, "{\"name\":\"vm1\"}"), 0);
	assert_int_equal(step_at(w, "drbd_prove", A), -1);
	(void)schema_list_add(schema_find(&instance_schema, "disks"), &w->st.instances[0]->i); /* with a second disk it may have gone on alone, on that one */
	assert_int_equal(plan(w, OP_instance_failover, "{\"name\":\"vm1\"}"), 0);
	proves(w, "drbd_secondary", A, "own_failover");
}

/* Its own disk has died: what it lives on is the target's, which has it all. As long as the log or its node says less, it stays where it is. */
static void a_migration_off_a_dead_disk(void **state)
{
	struct world *w = *state;
	struct sinstance *s = add_instance(&w->st, false, true);
	struct snode *a = state_node(&w->st, A);

	see_drbd(a, "Primary", "Diskless", "UpToDate");
	see_guest(a);
	struct obs_drbd *d = &a->seen.drbd[0];
	assert_int_equal(plan(w, OP_instance_migrate, "{\"name\":\"vm1\"}"), 0);
	assert_int_equal(step_at(w, "drbd_prove", A), -1);
	s->i.own.arbitrated = 0;
	assert_int_equal(plan(w, OP_instance_migrate, "{\"name\":\"vm1\"}"), 0);
	proves(w, "guest_arrived", B, "own_pivot");
	s->i.own.arbitrated = 1;
	strs_add(&s->i.own.current, &s->i.own.n_current, A); /* its question out of current is under way */
	assert_int_equal(plan(w, OP_instance_migrate, "{\"name\":\"vm1\"}"), -ERR_DEGRADED);
	strs_remove(&s->i.own.current, &s->i.own.n_current, A);
	(void)str_copy(d->disk, sizeof(d->disk), "Inconsistent"); /* somebody has attached it: cut off it would write there alone */
	assert_int_equal(plan(w, OP_instance_migrate, "{\"name\":\"vm1\"}"), -ERR_DEGRADED);
	(void)str_copy(d->disk, sizeof(d->disk), "Diskless");
	(void)str_copy(d->conn, sizeof(d->conn), "Connecting");
	assert_int_equal(plan(w, OP_instance_migrate, "{\"name\":\"vm1\"}"), -ERR_DEGRADED);
}

static void a_migration_is_proven(void **state)
{
	struct world *w = *state;
	struct sinstance *s = add_instance(&w->st, true, true);

	see_drbd(state_node(&w->st, A), "Primary", "UpToDate", "UpToDate");
	see_guest(state_node(&w->st, A));
	assert_int_equal(plan(w, OP_instance_migrate, "{\"name\":\"vm1\"}"), 0);
	assert_int_equal(step_at(w, "drbd_prove", A), -1);
	s->i.own.arbitrated = 0;
	assert_int_equal(plan(w, OP_instance_migrate, "{\"name\":\"vm1\"}"), 0);
	proves(w, "guest_arrived", B, "own_pivot");
}

/* ---- evacuation ----------------------------------------------------------------------------------------------------------------- */

static void evacuation_moves_only_its_own_mirror(void **state)
{
	struct world *w = *state;
	struct op_node_evacuate a;
	json_t *jobs = NULL;

	struct sinstance *s = add_instance(&w->st, true, true);
	see_drbd(state_node(&w->st, A), "Primary", "UpToDate", "UpToDate");
	see_guest(state_node(&w->st, A));
	schema_init(&op_node_evacuate_schema, &a);
	(void)str_copy(a.name, sizeof(a.name), "node1");
	assert_int_equal(plan_fan_out(&w->st, OP_node_evacuate, &a, &jobs, &w->err), 0);
	assert_int_equal(json_array_size(jobs), 2);
	assert_string_equal(json_str(json_array_get(jobs, 0), "op", ""), "instance.migrate");
	assert_string_equal(json_str(json_array_get(jobs, 1), "op", ""), "instance.replace_disks");
	char *args = json_dumps(json_object_get(json_array_get(jobs, 1), "args"), 0);
	/* The migration failed: node1 is the primary still, its mirror on node2 stays. */
	assert_int_equal(plan(w, OP_instance_replace_disks, args), -ERR_WRONG_STATE);
	/* It went well: the mirror is on node1 now and goes to node3. */
	(void)str_copy(s->i.own.owner, sizeof(s->i.own.owner), B);
	assert_int_equal(plan(w, OP_instance_replace_disks, args), 0);
	assert_true(step_at(w, "volume_create", C) >= 0);
	assert_true(step_at(w, "drbd_down", A) >= 0);
	assert_int_equal(step_at(w, "volume_create", A), -1);
	free(args);
	json_decref(jobs);
}

/* ---- arbitration ------------------------------------------------------------------------------------------------------------------- */

static void cluster_after(const struct world *w, struct cluster *ret)
{
	struct err err = ERR_INIT;
	int at = step_at(w, "cluster_change", "");

	assert_true(at >= 0);
	assert_int_equal(schema_decode(&cluster_schema, ret, w->plan.steps[at].args, &err), 0);
}

static void arbitration_that_is_turned_off_is_held(void **state)
{
	struct world *w = *state;
	struct cluster c;

	(void)str_copy(w->st.cluster.uuid, sizeof(w->st.cluster.uuid), C);
	(void)str_copy(w->st.cluster.name, sizeof(w->st.cluster.name), "c");
	assert_int_equal(plan(w, OP_cluster_modify, "{\"arbitration\":false}"), 0);
	cluster_after(w, &c);
	assert_int_equal(c.arbitration, 0);
	assert_int_equal(c.arbitration_held, 1);
	schema_done(&cluster_schema, &c);
	w->st.cluster.arbitration = 0;
	w->st.cluster.arbitration_held = 1;
	assert_int_equal(plan(w, OP_cluster_modify, "{\"arbitration\":true}"), 0);
	cluster_after(w, &c);
	assert_int_equal(c.arbitration, 1);
	assert_int_equal(c.arbitration_held, 0);
	schema_done(&cluster_schema, &c);
}

static void arbitration_does_not_swallow_other_settings(void **state)
{
	struct world *w = *state;

	assert_int_equal(plan(w, OP_cluster_modify, "{\"arbitration\":false,\"lease\":20}"), -ERR_BAD_REQUEST);
	assert_int_equal(w->plan.n_steps, 0);
}

/* ---- the reconciler, through the whole core: what it files by itself -------------------------------------------------------------------- */

struct seen {
	struct core *core;
	int64_t committed; /* the batch to acknowledge */
	int arbitrations;  /* jobs of that kind that have ended well */
};

static void on_action(void *arg, const struct core_action *a)
{
	struct seen *s = arg;

	if (a->kind != CORE_COMMIT)
		return;
	s->committed = a->seq;
	for (int i = 0; i < a->n_puts; i++)
		if (a->puts[i].value && strncmp(a->puts[i].key, "/gantry/job/", 12) == 0 && !strchr(a->puts[i].key + 12, '/') &&
		    strstr(a->puts[i].value, "cluster.arbitrate") && strstr(a->puts[i].value, "\"success\""))
			s->arbitrations++;
}

static int arbitrations_in_a_minute(bool held)
{
	struct core_kv kvs[8];
	char *texts[8], key[4][96];
	struct cluster c;
	struct seen s = { NULL, 0, 0 };
	struct err err = ERR_INIT;
	const char *uuids[] = { A, B, C };

	schema_init(&cluster_schema, &c);
	(void)str_copy(c.uuid, sizeof(c.uuid), C);
	(void)str_copy(c.name, sizeof(c.name), "c");
	c.arbitration_held = held;
	texts[0] = schema_encode_text(&cluster_schema, &c);
	schema_done(&cluster_schema, &c);
	kvs[0] = (struct core_kv){ "/gantry/cluster", texts[0] };
	for (int i = 0; i < 3; i++) {
		struct node n;

		schema_init(&node_schema, &n);
		(void)str_copy(n.uuid, sizeof(n.uuid), uuids[i]);
		(void)snprintf(n.name, sizeof(n.name), "node%d", i + 1);
		(void)snprintf(n.address, sizeof(n.address), "192.0.2.%d", i + 1);
		(void)snprintf(n.replication_address, sizeof(n.replication_address), "192.0.2.%d", i + 1);
		n.candidate = 1;
		texts[i + 1] = schema_encode_text(&node_schema, &n);
		schema_done(&node_schema, &n);
		(void)snprintf(key[i], sizeof(key[i]), "/gantry/node/%s", uuids[i]);
		kvs[i + 1] = (struct core_kv){ key[i], texts[i + 1] };
	}
	struct core_start start = { .epoch = 5, .now_ms = 1000, .wall_ms = 1000000, .seed = 1, .self = A, .kvs = kvs, .n_kvs = 4 };
	assert_int_equal(core_new(&start, on_action, &s, &s.core, &err), 0);
	for (int t = 0; t < 60; t++) {
		core_tick(s.core, 1000 + 1000 * t, 1000000 + 1000 * t);
		while (s.committed) {
			int64_t seq = s.committed;

			s.committed = 0;
			core_committed(s.core, seq, true);
		}
	}
	core_free(s.core);
	for (int i = 0; i < 4; i++)
		free(texts[i]);
	return s.arbitrations;
}

static void reconciler_turns_arbitration_on_unless_held(void **state)
{
	(void)state;
	assert_int_equal(arbitrations_in_a_minute(false), 1);
	assert_int_equal(arbitrations_in_a_minute(true), 0);
}

/* ---- parameters ------------------------------------------------------------------------------------------------------------------ */

/* Ganeti's KEY=default: the instance has none of its own any more, and the cluster's counts. */
static void a_parameter_goes_back_to_its_default(void **state)
{
	struct world *w = *state;
	struct sinstance *s = add_instance(&w->st, true, true);

	w->st.cluster.be.memory = 2048;
	s->i.be.memory = 512;
	s->i.be.vcpus = 3;
	s->i.hv.cpu_type = xstrdup("host-passthrough");
	assert_int_equal(plan(w, OP_instance_modify, "{\"name\":\"vm1\",\"reset\":[\"be.memory\",\"hv.cpu_type\"]}"), 0);
	struct step_params p;
	assert_int_equal(schema_decode(&step_params_schema, &p, w->plan.steps[0].args, &w->err), 0);
	assert_int_equal(p.be.memory, FIELD_UNSET);
	assert_int_equal(p.be.vcpus, 3);
	assert_null(p.hv.cpu_type);
	assert_int_equal(p.old_be.memory, 512);
	assert_string_equal(p.old_hv.cpu_type, "host-passthrough");
	schema_done(&step_params_schema, &p);
	assert_int_equal(plan(w, OP_instance_modify, "{\"name\":\"vm1\",\"reset\":[\"hv.machine\"]}"), 0); /* it has none */
	assert_string_equal(w->plan.steps[0].kind, "noop_master");
	static const char *const wrong[] = { "be.memroy", "memory", "be", "be.", ".memory", "uuid.x", "hv.memory" };
	for (size_t k = 0; k < ARRAY_SIZE(wrong); k++) {
		AUTO_FREE char *args = xasprintf("{\"name\":\"vm1\",\"reset\":[\"%s\"]}", wrong[k]);

		assert_int_equal(plan(w, OP_instance_modify, args), -ERR_UNKNOWN_KEY);
	}
}

static void a_cluster_default_goes_back_to_the_built_in_one(void **state)
{
	struct world *w = *state;
	struct cluster c;

	w->st.cluster.be.memory = 2048;
	(void)str_copy(w->st.cluster.uuid, sizeof(w->st.cluster.uuid), C);
	(void)str_copy(w->st.cluster.name, sizeof(w->st.cluster.name), "c1");
	assert_int_equal(plan(w, OP_cluster_modify, "{\"reset\":[\"be.memory\"],\"hv\":{\"acpi\":false}}"), 0);
	assert_int_equal(schema_decode(&cluster_schema, &c, w->plan.steps[0].args, &w->err), 0);
	assert_int_equal(c.be.memory, FIELD_UNSET);
	assert_int_equal(c.hv.acpi, 0);
	schema_done(&cluster_schema, &c);
	assert_int_equal(plan(w, OP_cluster_modify, "{\"reset\":[\"be.nothing\"]}"), -ERR_UNKNOWN_KEY);
}

/* ---- arbitration (H20) ------------------------------------------------------------------------------------------------------------ */

/* Nothing was seen of its disks; it may be started before the job's turn comes: both sides take the options, the owner last, then the record. */
static void arbitration_passes_over_no_replica(void **state)
{
	struct world *w = *state;
	struct sinstance *s = add_instance(&w->st, true, true);

	s->i.own.arbitrated = 0;
	(void)str_copy(s->i.own.owner, sizeof(s->i.own.owner), B);
	assert_int_equal(plan(w, OP_cluster_arbitrate, "{\"on\":true}"), 0);
	int a = step_at(w, "drbd_options", A), b = step_at(w, "drbd_options", B), own = step_at(w, "own_arbitrate", "");
	assert_true(step_at(w, "drbd_configure", A) >= 0 && step_at(w, "drbd_configure", B) >= 0);
	assert_true(step_at(w, "drbd_configure", B) < a && a < b && b < own);
	assert_int_equal(w->plan.steps[b].after_all, 1);
	assert_int_equal(w->plan.steps[own].after_all, 1);
}

/* While it goes through them no instance may move: it locks whom it takes, and takes whom it locked. */
static void arbitration_locks_whom_it_changes(void **state)
{
	struct world *w = *state;
	struct sinstance *s = add_instance(&w->st, true, true);
	struct op_cluster_arbitrate on;
	struct op_cluster_modify modify;
	char **locks = NULL;
	int n = 0;

	s->i.own.arbitrated = 0;
	schema_init(&op_cluster_arbitrate_schema, &on);
	on.on = 1;
	assert_int_equal(plan_locks(&w->st, OP_cluster_arbitrate, &on, &locks, &n, &w->err), 0);
	assert_true(strs_has(locks, n, "cluster") && strs_has(locks, n, "instance:vm1"));
	strs_clear(&locks, &n);
	schema_init(&op_cluster_modify_schema, &modify);
	modify.arbitration = 1;
	assert_int_equal(plan_locks(&w->st, OP_cluster_modify, &modify, &locks, &n, &w->err), 0);
	assert_true(strs_has(locks, n, "instance:vm1"));
	strs_clear(&locks, &n);
	schema_done(&op_cluster_modify_schema, &modify);
	s->busy_job = 5; /* another job has it: it is not waited for, its turn comes later */
	assert_int_equal(plan_locks(&w->st, OP_cluster_arbitrate, &on, &locks, &n, &w->err), 0);
	assert_false(strs_has(locks, n, "instance:vm1"));
	strs_clear(&locks, &n);
	w->st.planning_job = 6;
	assert_int_equal(plan(w, OP_cluster_arbitrate, "{\"on\":true}"), 0);
	assert_int_equal(step_at(w, "own_arbitrate", ""), -1);
	w->st.planning_job = 5;
	assert_int_equal(plan(w, OP_cluster_arbitrate, "{\"on\":true}"), 0);
	assert_true(step_at(w, "own_arbitrate", "") >= 0);
	w->st.planning_job = 0;
}

/* ---- fencing --------------------------------------------------------------------------------------------------------------------- */

/* A job's record lies in the store, and is copied into backups of it: the agents' passwords stay in the node's own. */
static void a_fence_jobs_record_has_no_password(void **state)
{
	struct world *w = *state;

	w->st.cluster.schema_version = 2;
	w->st.nodes[1]->n.fence = xstrdup("agent=fence_ipmilan,ip=10.0.0.9,password=hush");
	assert_int_equal(plan(w, OP_node_fence, "{\"name\":\"node2\",\"test\":true}"), 0);
	int at = step_at(w, "fence_off", C);
	assert_true(at >= 0);
	AUTO_FREE char *text = json_text(w->plan.steps[at].args);
	assert_null(strstr(text, "hush"));
	assert_non_null(strstr(text, B));
	for (int i = 0; i < w->plan.n_steps; i++) {
		AUTO_FREE char *other = json_text(w->plan.steps[i].args);

		assert_null(strstr(other, "hush"));
	}
	assert_int_equal(plan(w, OP_node_modify, "{\"name\":\"node2\",\"fence\":\"none\",\"master_candidate\":false}"), -ERR_BAD_REQUEST);
	w->st.cluster.schema_version = 1; /* an older master that takes over finds the agents in the order only */
	assert_int_equal(plan(w, OP_node_fence, "{\"name\":\"node2\",\"test\":true}"), 0);
	AUTO_FREE char *old = json_text(w->plan.steps[step_at(w, "fence_off", C)].args);
	assert_non_null(strstr(old, "hush"));
}

/* ---- another name ------------------------------------------------------------------------------------------------------------------ */

static int rename_to(struct world *w, const char *name)
{
	AUTO_FREE char *args = xasprintf("{\"name\":\"vm1\",\"new_name\":\"%s\"}", name);

	return plan(w, OP_instance_rename, args);
}

/* One transaction, of an instance of which nothing runs anywhere (doc/design/016-rename.adoc). */
static void only_what_is_down_is_renamed(void **state)
{
	struct world *w = *state;
	struct sinstance *s = add_instance(&w->st, true, true);

	assert_int_equal(rename_to(w, "web1"), -ERR_WRONG_STATE);
	s->i.admin_state = ADMIN_DOWN;
	for (int k = 0; k < 3; k++) { /* also where it does not belong */
		see_guest(w->st.nodes[k]);
		assert_int_equal(rename_to(w, "web1"), -ERR_WRONG_STATE);
		assert_non_null(strstr(w->err.msg, w->st.nodes[k]->n.name));
		schema_list_remove(schema_find(&observed_schema, "guests"), &w->st.nodes[k]->seen, 0);
	}
	w->st.nodes[0]->connected = false;
	assert_int_equal(rename_to(w, "web1"), -ERR_NODE_DOWN);
	w->st.nodes[0]->connected = true;
	w->st.nodes[0]->seen_ms = 0; /* back, and has not reported */
	assert_int_equal(rename_to(w, "web1"), -ERR_NODE_DOWN);
	w->st.nodes[0]->seen_ms = 1;
	w->st.nodes[1]->connected = false; /* the mirror is asked nothing */
	assert_int_equal(rename_to(w, "web1"), 0);
	assert_int_equal(w->plan.n_steps, 1);
	assert_string_equal(w->plan.steps[0].kind, "instance_rename");
	assert_string_equal(w->plan.steps[0].node, "");
	assert_int_equal(w->plan.steps[0].pivot, 1);
	assert_int_equal(w->plan.needs_level, 2);
	assert_int_equal(rename_to(w, "vm1"), -ERR_EXISTS);
	assert_int_equal(rename_to(w, "node3"), -ERR_EXISTS);
	static const char *const none[] = { "", "-x", ".", "a/b", "a b", "../../etc" };
	for (size_t k = 0; k < ARRAY_SIZE(none); k++)
		assert_int_equal(rename_to(w, none[k]), -ERR_BAD_VALUE);
}

static void a_rename_locks_both_names(void **state)
{
	struct world *w = *state;
	struct op_instance_rename a;
	char **locks = NULL;
	int n = 0;

	schema_init(&op_instance_rename_schema, &a);
	(void)str_copy(a.name, sizeof(a.name), "vm1");
	(void)str_copy(a.new_name, sizeof(a.new_name), "web1");
	assert_int_equal(plan_locks(&w->st, OP_instance_rename, &a, &locks, &n, &w->err), 0);
	assert_int_equal(n, 2);
	assert_true(strs_has(locks, n, "instance:vm1") && strs_has(locks, n, "instance:web1"));
	strs_clear(&locks, &n);
}

/* Orders name the resource as it is, and the instance for people; another instance of the old name gets a resource of its own. */
static void a_renamed_instance_keeps_its_resource(void **state)
{
	struct world *w = *state;
	struct sinstance *s = add_instance(&w->st, true, true);

	assert_int_equal(plan(w, OP_instance_activate_disks, "{\"name\":\"vm1\"}"), 0);
	assert_string_equal(json_str(w->plan.steps[0].args, "resource", ""), "vm1");
	assert_null(json_object_get(w->plan.steps[0].args, "name"));
	s->i.resource = xstrdup("vm1");
	state_rename_instance(&w->st, s, "web1");
	assert_null(state_instance_named(&w->st, "vm1"));
	assert_int_equal(plan(w, OP_instance_activate_disks, "{\"name\":\"web1\"}"), 0);
	for (int k = 0; k < w->plan.n_steps; k++) {
		assert_string_equal(json_str(w->plan.steps[k].args, "resource", ""), "vm1");
		assert_string_equal(json_str(w->plan.steps[k].args, "name", ""), "web1");
	}
	assert_int_equal(w->plan.needs_level, 2);
	assert_int_equal(plan(w, OP_instance_add, "{\"name\":\"vm1\",\"disk\":[{\"size\":64}],\"node\":\"node1:node2\",\"no_install\":true}"), 0);
	const char *uuid = json_str(w->plan.steps[0].args, "uuid", "?");
	int conf = step_at(w, "drbd_configure", A);
	assert_string_equal(json_str(w->plan.steps[0].args, "resource", ""), uuid);
	assert_string_equal(json_str(w->plan.steps[conf].args, "resource", ""), uuid);
	assert_int_equal(plan(w, OP_instance_add, "{\"name\":\"vm1\",\"disk_template\":\"diskless\"}"), 0);
	assert_null(json_object_get(w->plan.steps[0].args, "resource"));
}

/* ---- slips of the pen ------------------------------------------------------------------------------------------------------------- */

static void what_no_node_has_is_no_default(void **state)
{
	struct world *w = *state;

	assert_int_equal(plan(w, OP_cluster_modify, "{\"vg_name\":\"a/b\"}"), -ERR_NOT_FOUND);
	assert_non_null(strstr(err_hint_text(&w->err), "node prepare"));
	assert_int_equal(plan(w, OP_cluster_modify, "{\"bridge\":\"br1\"}"), 0); /* nobody has told of any bridge */
	strs_add(&w->st.nodes[0]->seen.bridges, &w->st.nodes[0]->seen.n_bridges, "br0");
	assert_int_equal(plan(w, OP_cluster_modify, "{\"bridge\":\"br1\"}"), -ERR_NOT_FOUND);
	strs_add(&w->st.nodes[1]->seen.bridges, &w->st.nodes[1]->seen.n_bridges, "br1");
	assert_int_equal(plan(w, OP_cluster_modify, "{\"bridge\":\"br1\"}"), 0);
	assert_int_equal(plan(w, OP_cluster_modify, "{\"reset\":[\"be.nosuch\"]}"), -ERR_UNKNOWN_KEY);
	assert_non_null(strstr(err_hint_text(&w->err), "be.KEY"));
}

static void a_network_card_is_looked_at(void **state)
{
	static const struct {
		const char *net;
		int rc;
	} rows[] = {
		{ "\"mac\":\"aa:00:00:12:34:56\"", 0 },           { "\"mac\":\"AA:00:00:12:34:56\"", 0 },  { "\"mac\":\"zz\"", -ERR_BAD_VALUE },
		{ "\"mac\":\"aa:00:00:12:34\"", -ERR_BAD_VALUE }, { "\"mac\":\"01:00:5e:00:00:01\"", -ERR_BAD_VALUE }, { "\"link\":\"br0.7\"", 0 },
		{ "\"link\":\"no/such\"", -ERR_BAD_VALUE },       { "\"link\":\"a-name-that-is-too-long\"", -ERR_BAD_VALUE },
		{ "\"ip\":\"fd00::1\"", 0 },                      { "\"ip\":\"10.0.0.1\"", 0 },            { "\"ip\":\"dhcp, please\"", -ERR_BAD_VALUE },
	};
	struct world *w = *state;

	for (size_t k = 0; k < ARRAY_SIZE(rows); k++) {
		AUTO_FREE char *args = xasprintf("{\"name\":\"web1\",\"disk_template\":\"diskless\",\"net\":[{%s}]}", rows[k].net);

		assert_int_equal(plan(w, OP_instance_add, args), rows[k].rc);
		assert_true(rows[k].rc == 0 || strncmp(w->err.msg, "network card 0: ", 16) == 0);
	}
}

static void evacuation_checks_where_to(void **state)
{
	struct world *w = *state;
	struct op_node_evacuate a;
	json_t *jobs = NULL;

	schema_init(&op_node_evacuate_schema, &a);
	(void)str_copy(a.name, sizeof(a.name), "node1");
	(void)str_copy(a.new_secondary, sizeof(a.new_secondary), "nosuch");
	assert_int_equal(plan_fan_out(&w->st, OP_node_evacuate, &a, &jobs, &w->err), -ERR_NOT_FOUND);
	a.new_secondary[0] = '\0';
	a.primary_only = a.secondary_only = 1;
	assert_int_equal(plan_fan_out(&w->st, OP_node_evacuate, &a, &jobs, &w->err), -ERR_BAD_REQUEST);
	assert_null(jobs);
}

/* Repeated, as after a lost answer, it succeeds and does nothing; without any option it is a mistake. */
static void what_is_so_already_is_a_success(void **state)
{
	static const struct {
		enum op_index op;
		const char *none, *same, *other;
	} rows[] = {
		{ OP_node_modify, "{\"name\":\"node2\"}", "{\"name\":\"node2\",\"offline\":false}", "{\"name\":\"node2\",\"offline\":true}" },
		{ OP_instance_modify, "{\"name\":\"vm1\"}", "{\"name\":\"vm1\",\"be\":{\"memory\":512}}", "{\"name\":\"vm1\",\"be\":{\"memory\":600}}" },
		{ OP_cluster_modify, "{}", "{\"lease\":12}", "{\"lease\":20}" },
	};
	struct world *w = *state;

	add_instance(&w->st, true, true)->i.be.memory = 512;
	for (size_t k = 0; k < ARRAY_SIZE(rows); k++) {
		assert_int_equal(plan(w, rows[k].op, rows[k].none), -ERR_BAD_REQUEST);
		assert_non_null(strstr(w->err.msg, "nothing to change"));
		assert_int_equal(w->plan.n_steps, 0);
		assert_int_equal(plan(w, rows[k].op, rows[k].same), 0);
		assert_int_equal(w->plan.n_steps, 1);
		assert_string_equal(w->plan.steps[0].kind, "noop_master");
		assert_non_null(strstr(w->plan.summary, "is so already: nothing is changed"));
		assert_int_equal(plan(w, rows[k].op, rows[k].other), 0);
		assert_string_not_equal(w->plan.steps[0].kind, "noop_master");
	}
}

/* Why a node that was asked for does not fit has its own code, whatever the words of the reason are. */
static void a_node_that_was_asked_for_and_does_not_fit(void **state)
{
	static const struct {
		int witness, drained, offline;
		int64_t memory, disk;
		bool silent;
		const char *pool, *add;
		int rc;
	} rows[] = {
		{ 0, 0, 0, 65536, 100000, false, "xenvg", "", 0 },
		{ 1, 0, 0, 65536, 100000, false, "xenvg", "", -ERR_WRONG_STATE },
		{ 0, 1, 0, 65536, 100000, false, "xenvg", "", -ERR_WRONG_STATE },
		{ 0, 0, 1, 65536, 100000, false, "xenvg", "", -ERR_NODE_DOWN },
		{ 0, 0, 0, 65536, 100000, true, "xenvg", "", -ERR_NODE_DOWN },
		{ 0, 0, 0, 100, 100000, false, "xenvg", "", -ERR_NO_MEMORY },
		{ 0, 0, 0, 65536, 100, false, "xenvg", "", -ERR_NO_SPACE },
		{ 0, 0, 0, 65536, 100, false, "memory", ",\"vg\":\"memory\"", -ERR_NO_SPACE },
		{ 0, 0, 0, 65536, 100000, false, "free", "", -ERR_NOT_PREPARED },
	};
	struct world *w = *state;
	struct snode *n = state_node(&w->st, B);

	for (size_t k = 0; k < ARRAY_SIZE(rows); k++) {
		AUTO_FREE char *args = xasprintf("{\"name\":\"web1\",\"disk_template\":\"plain\",\"disk\":[{\"size\":4096%s}],\"node\":\"node2\",\"no_install\":true}",
						 rows[k].add);

		n->n.witness = rows[k].witness;
		n->n.drained = rows[k].drained;
		n->n.offline = rows[k].offline;
		n->seen.memory_free_mib = rows[k].memory;
		n->seen.pools[0].free_mib = rows[k].disk;
		n->seen_ms = !rows[k].silent;
		(void)str_copy(n->seen.pools[0].name, sizeof(n->seen.pools[0].name), rows[k].pool);
		assert_int_equal(plan(w, OP_instance_add, args), rows[k].rc);
		assert_true(rows[k].rc == 0 || strstr(w->err.msg, "'node2'"));
	}
}

/* Known from its report: refused before there is a job, and nobody chooses that node. */
static void file_disks_need_a_node_that_has_them(void **state)
{
	struct world *w = *state;

	assert_int_equal(plan(w, OP_instance_add, "{\"name\":\"web1\",\"disk_template\":\"file\",\"disk\":[{\"size\":64}],\"node\":\"node2\",\"no_install\":true}"),
			 -ERR_NOT_PREPARED);
	assert_string_equal(w->err.msg, "node 'node2' has no file storage");
	if (plan(w, OP_instance_add, "{\"name\":\"web1\",\"disk_template\":\"file\",\"disk\":[{\"size\":64}],\"no_install\":true}") != -ERR_NO_NODE) fail_msg("%s", w->err.msg);
	state_node(&w->st, B)->seen.file_storage = 1;
	assert_int_equal(plan(w, OP_instance_add, "{\"name\":\"web1\",\"disk_template\":\"file\",\"disk\":[{\"size\":64}],\"no_install\":true}"), 0);
	assert_true(step_at(w, "volume_create", B) >= 0);
}

/* ---- addresses ----------------------------------------------------------------------------------------------------------------- */

/* The record alone would be a lie: certificate, the node's own file and its links would keep the old one. */
static void a_replication_address_is_given_at_the_join(void **state)
{
	struct world *w = *state;

	assert_int_equal(plan(w, OP_node_modify, "{\"name\":\"node2\",\"secondary_ip\":\"198.51.100.2\"}"), -ERR_NOT_SUPPORTED);
	assert_non_null(strstr(err_hint_text(&w->err), "join it again with -s 198.51.100.2"));
	assert_int_equal(w->plan.n_steps, 0);
	assert_int_equal(plan(w, OP_node_modify, "{\"name\":\"node2\",\"secondary_ip\":\"192.0.2.2\",\"drained\":true}"), 0); /* as it is */
}

/* ---- removal beside a node that does not answer --------------------------------------------------------------------------------------- */

static const char *left(const struct world *w, int node, int command)
{
	return json_string_value(json_array_get(json_object_get(json_array_get(json_object_get(w->plan.result, "left"), (size_t)node), "commands"),
						(size_t)command));
}

static void removal_tells_what_stays_on_a_silent_node(void **state)
{
	struct world *w = *state;

	add_instance(&w->st, true, true);
	state_node(&w->st, B)->connected = false;
	assert_int_equal(plan(w, OP_instance_remove, "{\"name\":\"vm1\"}"), -ERR_NODE_DOWN);
	assert_int_equal(plan(w, OP_instance_remove, "{\"name\":\"vm1\",\"ignore_failures\":true}"), 0);
	assert_string_equal(left(w, 0, 0), "drbdadm down vm1 && rm /etc/drbd.d/vm1.res");
	assert_non_null(strstr(left(w, 0, 1), "lvremove -y xenvg/" VM ".disk0_data"));
	assert_non_null(strstr(left(w, 0, 2), "_meta"));
	assert_null(left(w, 0, 3)); /* no guest there */
	assert_null(left(w, 1, 0)); /* the other node is told */
	state_node(&w->st, B)->connected = true;
	state_node(&w->st, A)->n.offline = 1; /* where the guest is */
	assert_int_equal(plan(w, OP_instance_remove, "{\"name\":\"vm1\",\"ignore_failures\":true}"), 0);
	assert_string_equal(left(w, 0, 0), "virsh destroy vm1");
	state_node(&w->st, A)->n.offline = 0;
	assert_int_equal(plan(w, OP_instance_remove, "{\"name\":\"vm1\",\"ignore_failures\":true}"), 0);
	assert_null(w->plan.result); /* all of it is removed */
}

static void a_node_removed_in_its_absence_is_told_later_by_a_person(void **state)
{
	struct world *w = *state;

	state_node(&w->st, B)->n.candidate = 0;
	state_node(&w->st, B)->connected = false;
	assert_int_equal(plan(w, OP_node_remove, "{\"name\":\"node2\"}"), 0);
	assert_string_equal(left(w, 0, 0), "gnt node leave");
	state_node(&w->st, B)->connected = true;
	assert_int_equal(plan(w, OP_node_remove, "{\"name\":\"node2\"}"), 0);
	assert_null(w->plan.result);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, world_set_up, world_tear_down)
	const struct CMUnitTest tests[] = {
		T(what_is_so_already_is_a_success), T(a_node_that_was_asked_for_and_does_not_fit),
		T(file_disks_need_a_node_that_has_them),
		T(what_does_not_exist_is_refused),
		T(failover_to_the_only_good_replica),
		T(failover_to_a_replica_that_resyncs),
		T(failover_to_a_replica_that_is_not_current),
		T(failover_of_what_is_down),
		T(who_answers_is_not_off), T(who_is_back_may_have_written_alone),
		T(taken_from_a_node_that_answers),
		T(taken_from_a_node_that_is_off),
		T(nothing_to_ignore),
		T(made_up_for_later),
		T(nothing_is_tried_on_a_lost_disk),
		T(a_planned_failover_is_proven),
		T(disks_that_are_down_meet_first),
		T(a_mirror_that_served_needs_no_proof),
		T(a_frozen_guest_is_taken_apart_before_it_is_ended),
		T(a_migration_off_a_dead_disk),
		T(a_migration_is_proven),
		T(evacuation_moves_only_its_own_mirror),
		T(arbitration_that_is_turned_off_is_held),
		T(arbitration_does_not_swallow_other_settings),
		T(reconciler_turns_arbitration_on_unless_held),
		T(a_parameter_goes_back_to_its_default),
		T(a_cluster_default_goes_back_to_the_built_in_one),
		T(arbitration_passes_over_no_replica),
		T(arbitration_locks_whom_it_changes),
		T(a_fence_jobs_record_has_no_password),
		T(only_what_is_down_is_renamed),
		T(a_rename_locks_both_names),
		T(a_renamed_instance_keeps_its_resource),
		T(what_no_node_has_is_no_default),
		T(a_network_card_is_looked_at),
		T(evacuation_checks_where_to),
		T(a_replication_address_is_given_at_the_join),
		T(removal_tells_what_stays_on_a_silent_node),
		T(a_node_removed_in_its_absence_is_told_later_by_a_person),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
