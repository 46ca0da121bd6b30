/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Failover by itself, in directed worlds: the shipped core, nodes whose watchdogs fire as late as they may, and a check at every millisecond that no
 * guest runs twice. Each world is the test of one rule of doc/design/008 and 009: switched off, it fails.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/json.h"
#include "common/xmem.h"
#include "tests/sweep/scene.h"

/* ---- the plain case ---------------------------------------------------------------------------------------- */

static void power_cut(void)
{
	struct world *w = scene_guarded("power cut");
	int64_t at = w->now_ms;

	world_node_down(w, 1);
	world_run(w, 5000);
	CHECK(live(w, 1) == NODE_SUSPECT);
	world_run(w, 9000);
	CHECK(live(w, 1) == NODE_SUSPECT);
	CHECK(strcmp(owner(w, "vm1"), "node2") == 0);
	CHECK(run_until(w, vm1_on_3, 20000));
	CHECK(w->now_ms - at >= 13500 && w->now_ms - at <= 20000);
	CHECK(inst(w, "vm1")->own.evidence == EVIDENCE_LEASE);
	CHECK(inst(w, "vm1")->own.evidence_text && strstr(inst(w, "vm1")->own.evidence_text, "node2"));
	CHECK(inst(w, "vm1")->own.n_current == 1);
	world_node_up(w, 1);
	CHECK(world_settle(w, 120000));
	CHECK(live(w, 1) == NODE_ONLINE);
	CHECK(runs_at(w, "vm1") == 2);
	CHECK(inst(w, "vm1")->own.n_current == 2);
	scene_end(w);
}

static void the_master_dies_with_it(void)
{
	struct world *w = scene_guarded("the master dies in between");
	int64_t at = w->now_ms;

	world_node_down(w, 1);
	world_run(w, 4000);
	world_master_crash(w); /* its successor never heard node2, nor saw what was guarded there */
	world_run(w, 9000);
	CHECK(live(w, 1) == NODE_SUSPECT); /* counted from the predecessor's last possible grant, not from nothing */
	CHECK(live(w, 2) == NODE_ONLINE && live(w, 3) == NODE_ONLINE);
	CHECK(run_until(w, vm1_on_3, 30000));
	CHECK(w->now_ms - at <= 25000);
	CHECK(inst(w, "vm1")->own.evidence == EVIDENCE_LEASE);
	scene_end(w);
}

/* ---- control links only: nothing that replicates is moved ------------------------------------------------------ */

static void control_cut(void)
{
	struct world *w = scene_guarded("control links cut");
	int64_t jobs = filed(w);

	world_node_cut(w, 1, true);
	world_run(w, 60000);
	CHECK(filed(w) == jobs);
	CHECK(live(w, 1) == NODE_LOST);
	CHECK(runs_at(w, "vm1") == 1);
	CHECK(strcmp(owner(w, "vm1"), "node2") == 0);
	world_node_cut(w, 1, false);
	world_run(w, 5000);
	CHECK(live(w, 1) == NODE_ONLINE);
	CHECK(runs_at(w, "vm1") == 1);
	scene_end(w);
}

/* The replication link goes long after the lease: R counts from there, not from the beat. */
static void control_then_replication(void)
{
	struct world *w = scene_guarded("control cut, replication later");

	world_node_cut(w, 1, true);
	world_run(w, 40000);
	CHECK(runs_at(w, "vm1") == 1);
	int64_t at = w->now_ms;
	for (int k = 0; k < w->nodes[1].n_things; k++)
		w->nodes[1].things[k].separated = true;
	int64_t jobs = filed(w);
	CHECK(run_until(w, vm1_on_3, 40000));
	CHECK(w->now_ms - at >= 13500 && w->now_ms - at <= 17000);
	CHECK(filed(w) == jobs + 1);
	scene_end(w);
}

/* It is noded that hangs: connections stand, beats are not answered. */
static void hung(void)
{
	struct world *w = scene_guarded("noded hangs");

	w->nodes[1].mute = true;
	world_run(w, 60000);
	CHECK(live(w, 1) == NODE_LOST);
	CHECK(runs_at(w, "vm1") == 1); /* it replicates: it is left alone */
	w->nodes[1].mute = false;
	world_run(w, 3000);
	CHECK(live(w, 1) == NODE_ONLINE);
	scene_end(w);
}

/* ---- what is missing for evidence ------------------------------------------------------------------------------------ */

static void no_watchdog(void)
{
	struct world *w = scene_cluster("no watchdog");

	w->nodes[1].no_watchdog = true;
	add_instance(w, "vm1", "node2:node3", "\"ha\":\"failover\"");
	int64_t jobs = filed(w);
	world_node_down(w, 1);
	world_run(w, 90000);
	CHECK(live(w, 1) == NODE_LOST);
	CHECK(strcmp(owner(w, "vm1"), "node2") == 0);
	CHECK(filed(w) == jobs);
	/* A person's word is enough. */
	int64_t job = world_request(w, "node.fence", "{\"name\":\"node2\",\"confirmed_off\":true,\"reason\":\"I pulled it\"}");
	CHECK(job > 0);
	CHECK(run_until(w, vm1_on_3, 60000));
	CHECK(inst(w, "vm1")->own.evidence == EVIDENCE_PERSON);
	scene_end(w);
}

static bool report_of(struct world *w, const char *node, const char *why);

/* One of three waits for a person, offline, and answers; the next one dies. It is one of three that is silent, not one of two. */
static void one_waits_and_one_dies(void)
{
	struct world *w = scene_cluster("one waits, offline, and one dies");

	world_free(w);
	w = world_new(world_seed(7), 3, true);
	add_instance(w, "vm1", "node2:node1", "\"ha\":\"failover\"");
	CHECK(run_until(w, vm1_guarded, 10000));
	int64_t job = world_request(w, "node.modify", "{\"name\":\"node3\",\"offline\":true}");
	world_run(w, 1000);
	CHECK(strcmp(world_job_state(w, job), "success") == 0);
	CHECK(report_of(w, "node2", ""));
	world_node_down(w, 1);
	world_run(w, 30000);
	CHECK(strcmp(owner(w, "vm1"), "node1") == 0 && runs_at(w, "vm1") == 0);
	CHECK(inst(w, "vm1")->own.evidence == EVIDENCE_LEASE);
	scene_end(w);
}

/* The cluster is arbitrated, this instance's turn has not come: the log does not know what its owner wrote alone. A person may decide, nobody else. */
static void not_arbitrated_yet(void)
{
	struct world *w = scene_guarded("not arbitrated yet");

	((struct cluster *)(uintptr_t)&core_state(w->core)->cluster)->arbitration_held = 1; /* it does not come */
	state_instance_named(core_state(w->core), "vm1")->i.own.arbitrated = 0;
	world_node_down(w, 1);
	world_run(w, 20000);
	(void)world_request(w, "node.fence", "{\"name\":\"node2\",\"confirmed_off\":true}");
	world_run(w, 60000);
	CHECK(live(w, 1) == NODE_FENCED && strcmp(owner(w, "vm1"), "node2") == 0);
	(void)world_request(w, "instance.failover", "{\"name\":\"vm1\"}");
	CHECK(run_until(w, vm1_on_3, 30000));
	scene_end(w);
}

/* Nobody waits for a node that is marked offline; its guests with ha=failover still come back. */
static void marked_offline(void)
{
	static const int64_t after_ms[] = { 5000, 0 }; /* it is silent; or before it died, its guests on it */

	for (size_t k = 0; k < ARRAY_SIZE(after_ms); k++) {
		struct world *w = scene_guarded("marked offline");

		if (after_ms[k])
			world_node_down(w, 1);
		world_run(w, after_ms[k]);
		int64_t job = world_request(w, "node.modify", "{\"name\":\"node2\",\"offline\":true}");
		world_run(w, 1000);
		CHECK(strcmp(world_job_state(w, job), "success") == 0);
		world_node_down(w, 1);
		CHECK(run_until(w, vm1_on_3, 30000));
		CHECK(live(w, 1) == NODE_LOST);
		CHECK(inst(w, "vm1")->own.evidence == EVIDENCE_LEASE);
		/* It is back, and takes part when a person says so. */
		world_node_up(w, 1);
		world_run(w, 60000);
		CHECK(live(w, 1) == NODE_FENCED && inst(w, "vm1")->own.n_current == 1);
		job = world_request(w, "node.modify", "{\"name\":\"node2\",\"offline\":false}");
		CHECK(world_settle(w, 400000));
		CHECK(live(w, 1) == NODE_ONLINE && runs_at(w, "vm1") == 2 && inst(w, "vm1")->own.n_current == 2);
		scene_end(w);
	}
	struct world *w = scene_guarded("marked offline, cut off and back");
	(void)world_request(w, "node.modify", "{\"name\":\"node2\",\"offline\":true}");
	world_node_cut(w, 1, true);
	world_run(w, 60000);
	CHECK(live(w, 1) == NODE_LOST && runs_at(w, "vm1") == 1);
	world_node_cut(w, 1, false);
	world_run(w, 10000);
	CHECK(live(w, 1) == NODE_ONLINE && runs_at(w, "vm1") == 1);
	scene_end(w);
	/* Nothing of it waits: it is not counted. */
	w = scene_guarded("marked offline, without guests");
	(void)world_request(w, "node.modify", "{\"name\":\"node4\",\"offline\":true}");
	world_node_down(w, 3);
	world_run(w, 60000);
	CHECK(live(w, 3) == NODE_ONLINE);
	scene_end(w);
}

/* A guard under an older permission says nothing about the copy that was permitted since. */
static void old_guard(void)
{
	struct world *w = scene_guarded("a permission after the guard");
	struct msg_authorise m;

	schema_init(&msg_authorise_schema, &m);
	(void)str_copy(m.id, sizeof(m.id), "q1");
	(void)str_copy(m.instance, sizeof(m.instance), inst(w, "vm1")->uuid);
	m.what = AUTH_START;
	w->nodes[1].no_watchdog = true;
	core_authorise(w->core, w->nodes[1].uuid, &m);
	world_run(w, 3000); /* late reports under the old number do not count */
	CHECK(!vm1_guarded(w));
	world_node_down(w, 1);
	world_run(w, 90000);
	CHECK(strcmp(owner(w, "vm1"), "node2") == 0);
	scene_end(w);
}

static void policy_changed_and_back(void)
{
	struct world *w = scene_guarded("policy changed and back");

	w->nodes[1].no_watchdog = true;
	(void)world_request(w, "instance.modify", "{\"name\":\"vm1\",\"be\":{\"ha\":\"none\"}}");
	CHECK(world_settle(w, 60000));
	(void)world_request(w, "instance.modify", "{\"name\":\"vm1\",\"be\":{\"ha\":\"failover\"}}");
	CHECK(world_settle(w, 60000));
	CHECK(!vm1_guarded(w));
	world_node_down(w, 1);
	world_run(w, 60000);
	CHECK(strcmp(owner(w, "vm1"), "node2") == 0);
	scene_end(w);
}

static void not_asked_for(void)
{
	struct world *w = scene_cluster("ha=none");

	add_instance(w, "vm1", "node2:node3", "\"memory\":128");
	world_node_down(w, 1);
	world_run(w, 90000);
	CHECK(strcmp(owner(w, "vm1"), "node2") == 0);
	CHECK(core_jobs_open(w->core) == 0);
	CHECK(world_request(w, "node.fence", "{\"name\":\"node2\",\"confirmed_off\":true}") > 0);
	world_run(w, 60000);
	CHECK(strcmp(owner(w, "vm1"), "node2") == 0);
	world_node_up(w, 1);
	CHECK(world_settle(w, 120000));
	CHECK(runs_at(w, "vm1") == 1);
	scene_end(w);
}

/* It is back before the transaction: nothing is taken from it. */
static void back_in_time(void)
{
	struct world *w = scene_guarded("back in time");

	world_node_cut(w, 1, true);
	world_run(w, 13500);
	world_node_cut(w, 1, false);
	world_run(w, 30000);
	CHECK(live(w, 1) == NODE_ONLINE);
	CHECK(runs_at(w, "vm1") == 1);
	scene_end(w);
}

/* It boots anew and is connected while the failover's job is on its way: the transaction looks again. */
static void back_before_the_transaction(void)
{
	struct world *w = scene_guarded("back before the transaction");

	world_node_down(w, 1);
	CHECK(run_until(w, job_open, 30000));
	world_node_up(w, 1);
	core_node_links(w->core, w->nodes[1].uuid, 3, "00000000-0000-4000-8000-000000000099", "test", 0);
	core_node_beat(w->core, w->nodes[1].uuid);
	CHECK(world_settle(w, 120000));
	CHECK(strcmp(owner(w, "vm1"), "node2") == 0);
	CHECK(runs_at(w, "vm1") == 1);
	scene_end(w);
}

/* A permission that was given while the job was on its way: what the evidence was about is not the newest copy any more. */
static void permitted_before_the_transaction(void)
{
	struct world *w = scene_guarded("permitted before the transaction");
	struct msg_authorise m;

	schema_init(&msg_authorise_schema, &m);
	(void)str_copy(m.id, sizeof(m.id), "q1");
	(void)str_copy(m.instance, sizeof(m.instance), inst(w, "vm1")->uuid);
	m.what = AUTH_START;
	world_node_down(w, 1);
	CHECK(run_until(w, job_open, 30000));
	core_authorise(w->core, w->nodes[1].uuid, &m);
	world_run(w, 60000);
	CHECK(strcmp(owner(w, "vm1"), "node2") == 0);
	scene_end(w);
}

static void storm(void)
{
	struct world *w = scene_guarded("storm");

	world_node_down(w, 1);
	world_node_down(w, 3);
	world_run(w, 60000);
	CHECK(live(w, 1) == NODE_LOST && live(w, 3) == NODE_LOST);
	CHECK(strcmp(owner(w, "vm1"), "node2") == 0);
	world_node_up(w, 3); /* one in four is no storm */
	CHECK(run_until(w, vm1_on_3, 60000));
	scene_end(w);
}

/* After a pause without majority nobody is lost because of the pause. */
static void no_majority(void)
{
	struct world *w = scene_guarded("pause without majority");

	for (int i = 1; i < 4; i++)
		world_node_cut(w, i, true);
	core_store_silent(w->core, w->now_ms);
	world_run(w, 60000);
	core_store_silent(w->core, 0);
	world_run(w, 2000);
	for (int i = 1; i < 4; i++) {
		CHECK(live(w, i) != NODE_LOST);
		world_node_cut(w, i, false);
	}
	world_run(w, 5000);
	for (int i = 1; i < 4; i++)
		CHECK(live(w, i) == NODE_ONLINE);
	CHECK(runs_at(w, "vm1") == 1);
	scene_end(w);
}

/* ---- order and room -------------------------------------------------------------------------------------------------- */

static void by_priority_and_room(void)
{
	struct world *w = scene_cluster("priority and room");

	/* The model's nodes have 8192 MiB free: beside vm0 only one of the others fits on node3. */
	add_instance(w, "vm0", "node3:node4", "\"memory\":3000");
	add_instance(w, "vm1", "node2:node3", "\"ha\":\"failover\",\"ha_priority\":10,\"memory\":3000");
	add_instance(w, "vm2", "node2:node3", "\"ha\":\"failover\",\"ha_priority\":90,\"memory\":3000");
	world_run(w, 3000);
	world_node_down(w, 1);
	world_run(w, 40000);
	CHECK(strcmp(owner(w, "vm2"), "node3") == 0);
	CHECK(strcmp(owner(w, "vm1"), "node2") == 0);
	const struct sinstance *s = state_instance_named(core_state(w->core), "vm1");
	CHECK(s->ha_why && strstr(s->ha_why, "memory"));
	(void)world_request(w, "instance.shutdown", "{\"name\":\"vm2\"}"); /* room: tried again by itself */
	CHECK(run_until(w, vm1_on_3, 120000));
	scene_end(w);
}

/* ---- arbitration: H12, H16, H17 -------------------------------------------------------------------------------------------- */

static bool vm1_connects(struct world *w)
{
	return vm1_at(w, 1)->attached && vm1_at(w, 1)->connecting && vm1_at(w, 2)->attached && vm1_at(w, 2)->connecting;
}

/* The owner crashed and returns: the mirror has left current before they meet, and comes back. */
static void h12_before_connecting(void)
{
	struct world *w = scene_cluster("H12 before connecting");

	add_instance(w, "vm1", "node2:node3", "\"memory\":128");
	CHECK(inst(w, "vm1")->own.n_current == 2);
	world_node_down(w, 1);
	world_run(w, 2000);
	world_node_up(w, 1);
	for (int64_t end_ms = w->now_ms + 60000; w->now_ms < end_ms && !vm1_connects(w);)
		world_run(w, 1);
	CHECK(vm1_connects(w));
	CHECK(inst(w, "vm1")->own.n_current == 1);
	CHECK(world_settle(w, 120000));
	CHECK(inst(w, "vm1")->own.n_current == 2);
	CHECK(runs_at(w, "vm1") == 1);
	/* An orderly stop leaves nothing to copy: nobody leaves current. */
	(void)world_request(w, "instance.shutdown", "{\"name\":\"vm1\"}");
	CHECK(world_settle(w, 120000));
	int64_t gen = inst(w, "vm1")->own.gen;
	(void)world_request(w, "instance.startup", "{\"name\":\"vm1\"}");
	CHECK(world_settle(w, 120000));
	CHECK(inst(w, "vm1")->own.gen == gen);
	/* Nor does a guest that ended while its disks stayed up. */
	vm1_at(w, 1)->guest = false;
	CHECK(world_settle(w, 120000));
	CHECK(runs_at(w, "vm1") == 1);
	CHECK(inst(w, "vm1")->own.gen == gen);
	scene_end(w);
}

static void h12_while_it_runs(void)
{
	struct world *w = scene_cluster("H12 while it runs");

	add_instance(w, "vm1", "node2:node3", "\"memory\":128");
	vm1_at(w, 2)->stale = true; /* a resync towards it has begun by itself */
	world_run(w, 3000);
	CHECK(inst(w, "vm1")->own.n_current == 1);
	CHECK(strcmp(inst(w, "vm1")->own.current[0], w->nodes[1].uuid) == 0);
	vm1_at(w, 2)->stale = false;
	world_run(w, 3000);
	CHECK(inst(w, "vm1")->own.n_current == 2);
	scene_end(w);
}

static void h16(void)
{
	struct world *w = scene_guarded("H16 frozen outside of current");
	struct sinstance *s = state_instance_named(core_state(w->core), "vm1");

	/* A record as a late report could leave it: the owner is not in current. Then the link breaks, and nobody may tell it to go on. */
	vm1_at(w, 1)->separated = true;
	vm1_at(w, 1)->frozen = true;
	strs_remove(&s->i.own.current, &s->i.own.n_current, w->nodes[1].uuid);
	s->i.own.gen++;
	CHECK(run_until(w, vm1_on_3, 60000));
	CHECK(s->i.own.evidence == EVIDENCE_REPORT);
	CHECK(!vm1_at(w, 1)->guest);
	scene_end(w);
}

static enum verdict ask(struct world *w, int node, int64_t number)
{
	struct msg_ask m;
	int64_t gen = inst(w, "vm1")->own.gen;

	schema_init(&msg_ask_schema, &m);
	(void)str_copy(m.instance, sizeof(m.instance), inst(w, "vm1")->uuid);
	(void)str_copy(m.boot_id, sizeof(m.boot_id), "00000000-0000-4000-8000-000000000001");
	m.number = number;
	m.gen = gen;
	m.uptodate = 1;
	core_ask(w->core, w->nodes[node].uuid, &m);
	return inst(w, "vm1")->own.gen > gen ? VERDICT_YES : VERDICT_NOT_NOW;
}

static void h17(void)
{
	struct world *w = scene_guarded("H17 a yes is held");

	vm1_at(w, 1)->separated = true;
	CHECK(ask(w, 1, 1) == VERDICT_NOT_NOW);
	world_run(w, 100);
	CHECK(w->told_to_wait_ms == 2000); /* two beats */
	world_run(w, 900);
	CHECK(ask(w, 1, 1) == VERDICT_NOT_NOW);
	world_run(w, 100);
	CHECK(w->told_to_wait_ms > 0 && w->told_to_wait_ms <= 1200); /* by the core's clock, which is its last tick's */
	world_run(w, w->told_to_wait_ms);
	CHECK(ask(w, 1, 1) == VERDICT_YES); /* it still asks, and the peer still answers us: it was the link */
	CHECK(inst(w, "vm1")->own.n_current == 1);
	scene_end(w);
	w = scene_guarded("H17 the last breath");
	CHECK(ask(w, 1, 1) == VERDICT_NOT_NOW);
	world_node_down(w, 1); /* ... and the complete mirror may still take over */
	CHECK(run_until(w, vm1_on_3, 30000));
	scene_end(w);
	w = scene_guarded("H17 the peer is silent");
	world_node_down(w, 2);
	CHECK(ask(w, 1, 1) == VERDICT_YES);
	scene_end(w);
	w = scene_cluster("H17 nobody fails over by itself");
	add_instance(w, "vm1", "node2:node3", "\"memory\":128");
	vm1_at(w, 1)->separated = true;
	CHECK(ask(w, 1, 1) == VERDICT_YES);
	scene_end(w);
}

/* ---- power ------------------------------------------------------------------------------------------------------------- */

static void with_agent(struct world *w)
{
	int64_t job = world_request(w, "node.modify", "{\"name\":\"node2\",\"fence\":\"agent=fence_fake,port=2\"}");

	CHECK(world_settle(w, 30000));
	CHECK(strcmp(world_job_state(w, job), "success") == 0);
	int told = 0; /* its options are secret: the node's object has them, no job's record */
	for (int i = 0; i < w->n_kvs; i++) {
		bool has = strstr(w->kvs[i].value, "fence_fake") != NULL;

		told += has;
		CHECK(!has || strncmp(w->kvs[i].key, "/gantry/node/", 13) == 0);
	}
	CHECK(told == 1);
}

static void power(void)
{
	struct world *w = scene_guarded("power: silent and cut off");

	with_agent(w);
	int64_t at = w->now_ms;
	world_node_cut(w, 1, true);
	vm1_at(w, 1)->separated = true;
	CHECK(run_until(w, vm1_on_3, 30000));
	CHECK(w->now_ms - at <= 8000);
	CHECK(w->shots == 1);
	CHECK(live(w, 1) == NODE_FENCED);
	CHECK(inst(w, "vm1")->own.evidence == EVIDENCE_POWER);
	world_node_cut(w, 1, false);
	world_node_up(w, 1);
	CHECK(world_settle(w, 120000));
	CHECK(live(w, 1) == NODE_ONLINE);
	scene_end(w);
	w = scene_guarded("power: what replicates is not shot");
	with_agent(w);
	world_node_cut(w, 1, true);
	world_run(w, 60000);
	CHECK(w->shots == 0);
	CHECK(runs_at(w, "vm1") == 1);
	scene_end(w);
	w = scene_guarded("power: the agent fails");
	with_agent(w);
	w->no_power = true;
	world_node_down(w, 1);
	CHECK(run_until(w, vm1_on_3, 40000));
	CHECK(live(w, 1) == NODE_LOST);
	CHECK(inst(w, "vm1")->own.evidence == EVIDENCE_LEASE);
	scene_end(w);
	w = scene_guarded("power: it answers again while an agent hangs");
	with_agent(w);
	w->agent_hangs = true;
	world_node_cut(w, 1, true);
	vm1_at(w, 1)->separated = true;
	CHECK(run_until(w, job_open, 30000));
	CHECK(live(w, 1) == NODE_SUSPECT);
	world_node_cut(w, 1, false);
	vm1_at(w, 1)->separated = false;
	CHECK(world_settle(w, 60000));
	CHECK(w->shots == 0);
	CHECK(live(w, 1) == NODE_ONLINE);
	CHECK(runs_at(w, "vm1") == 1);
	scene_end(w);
}

/* ---- fire drills --------------------------------------------------------------------------------------------------------- */

static bool verify_says(struct world *w, const char *text)
{
	(void)world_request(w, "cluster.verify", "{}");
	return strstr(w->last_reply, text) != NULL;
}

/* Files the job, and its end. */
static bool drill(struct world *w, const char *args)
{
	int64_t job = world_request(w, "node.fence", args);

	if (!job)
		return false;
	CHECK(world_settle(w, 60000));
	return strcmp(world_job_state(w, job), "success") == 0;
}

static void drills(void)
{
	struct world *w = scene_guarded("drills: never proven");
	const struct snode *n = state_node(core_state(w->core), w->nodes[1].uuid);

	CHECK(verify_says(w, "node 'node2' runs guests with ha=failover, and neither its watchdog nor a fence agent was ever proven"));
	CHECK(!verify_says(w, "node 'node3' runs guests with ha=failover, and neither")); /* a mirror rests on nothing */
	/* Its own report of a drill that it has come back from. */
	w->nodes[1].watchdog_proven_ms = 1699999990000;
	world_run(w, 3000);
	CHECK(n->n.watchdog_proven_ms == 1699999990000);
	CHECK(!verify_says(w, "was ever proven"));
	w->nodes[1].watchdog_proven_ms = 0; /* a node that has forgotten it does not take it back */
	world_master_crash(w);
	world_run(w, 3000);
	n = state_node(core_state(w->core), w->nodes[1].uuid);
	CHECK(n->n.watchdog_proven_ms == 1699999990000);
	scene_end(w);

	w = scene_guarded("drills: what is asked, what is done");
	with_agent(w);
	n = state_node(core_state(w->core), w->nodes[1].uuid);
	CHECK(verify_says(w, "the fence agent of node 'node2' has never been proven"));
	CHECK(drill(w, "{\"name\":\"node2\",\"test\":true}")); /* guests are there: nothing happens to them */
	CHECK(w->shots == 0 && runs_at(w, "vm1") == 1);
	CHECK(n->n.power_checked_ms && !n->n.power_proven_ms);
	CHECK(verify_says(w, "the fence agent of node 'node2' has never been proven")); /* asking proves nothing */
	CHECK(!drill(w, "{\"name\":\"node2\",\"test\":true,\"yes_power_cycle\":true}"));
	CHECK(!drill(w, "{\"name\":\"node2\",\"test\":true,\"watchdog\":true,\"yes_power_cycle\":true}"));
	CHECK(!drill(w, "{\"name\":\"node2\",\"watchdog\":true}"));
	CHECK(w->shots == 0 && w->drills == 0 && runs_at(w, "vm1") == 1);
	w->no_power = true;
	CHECK(!drill(w, "{\"name\":\"node2\",\"test\":true}"));
	scene_end(w);

	w = scene_cluster("drills: an empty node");
	with_agent(w);
	n = state_node(core_state(w->core), w->nodes[1].uuid);
	CHECK(!drill(w, "{\"name\":\"node2\",\"test\":true,\"watchdog\":true}")); /* not without saying so */
	CHECK(w->drills == 0);
	CHECK(drill(w, "{\"name\":\"node2\",\"test\":true,\"watchdog\":true,\"yes_power_cycle\":true}"));
	CHECK(w->drills == 1 && !n->n.watchdog_proven_ms);
	CHECK(drill(w, "{\"name\":\"node2\",\"test\":true,\"yes_power_cycle\":true}"));
	CHECK(w->shots == 1 && n->n.power_proven_ms);
	CHECK(!drill(w, "{\"name\":\"node1\",\"test\":true,\"watchdog\":true,\"yes_power_cycle\":true}")); /* the master's */
	CHECK(w->drills == 1);
	scene_end(w);
}

/* ---- guests that are moved live -------------------------------------------------------------------------------------------- */

static void maintenance(void)
{
	struct world *w = scene_cluster("maintenance");

	add_instance(w, "vm1", "node2:node3", "\"memory\":128");
	add_instance(w, "vm2", "node3:node2", "\"memory\":128");
	CHECK(world_request(w, "node.maintenance", "{\"name\":\"node2\",\"on\":true}") > 0);
	CHECK(run_until(w, vm1_on_3, 60000));
	CHECK(world_settle(w, 60000));
	world_run(w, 60000);
	CHECK(runs_at(w, "vm1") == 2 && runs_at(w, "vm2") == 2); /* and stays there */
	world_master_crash(w);
	CHECK(world_request(w, "node.maintenance", "{\"name\":\"node2\",\"on\":false}") > 0);
	CHECK(run_until(w, vm1_on_2, 60000));
	CHECK(world_settle(w, 60000));
	world_run(w, 60000);
	CHECK(runs_at(w, "vm1") == 1 && runs_at(w, "vm2") == 2); /* only what had been moved */
	CHECK(!inst(w, "vm1")->home[0]);
	scene_end(w);
}

static void front(void)
{
	struct world *w = scene_guarded("primary network lost");

	add_instance(w, "vm2", "node2:node3", "\"memory\":128");
	world_front(w, 1, true);
	CHECK(run_until(w, vm1_on_3, 60000));
	world_run(w, 60000);
	CHECK(runs_at(w, "vm2") == 1); /* it did not ask for it */
	scene_end(w);
	w = scene_guarded("primary network lost by half of the nodes");
	world_front(w, 1, true);
	world_front(w, 3, true);
	world_run(w, 60000);
	CHECK(runs_at(w, "vm1") == 1);
	scene_end(w);
}

/* Is there a guest of the node that comes back (why is empty), or does not for a reason with that word? */
static bool report_of(struct world *w, const char *node, const char *why)
{
	AUTO_FREE char *args = xasprintf("{\"node\":\"%s\"}", node);
	json_t *l;
	size_t k;

	(void)world_request(w, "cluster.ha_report", args);
	AUTO_JSON json_t *r = json_loads(w->last_reply, 0, NULL);
	json_array_foreach(json_object_get(r, "result"), k, l)
		if (why[0] ? strstr(json_str(l, "why", ""), why) != NULL : json_bool(l, "comes_back", false))
			return true;
	return false;
}

static void report(void)
{
	struct world *w = scene_cluster("ha-report");

	add_instance(w, "vm0", "node3:node4", "\"memory\":3000");
	add_instance(w, "vm1", "node2:node3", "\"ha\":\"failover\",\"ha_priority\":10,\"memory\":3000");
	add_instance(w, "vm2", "node2:node3", "\"ha\":\"failover\",\"ha_priority\":90,\"memory\":3000");
	world_run(w, 3000);
	(void)world_request(w, "cluster.ha_report", "{\"node\":\"node2\"}");
	AUTO_JSON json_t *r = json_loads(w->last_reply, 0, NULL);
	const json_t *lines = json_object_get(r, "result");
	CHECK(json_array_size(lines) == 2);
	CHECK(strcmp(json_str(json_array_get(lines, 0), "instance", ""), "vm2") == 0);
	CHECK(json_bool(json_array_get(lines, 0), "comes_back", false));
	CHECK(json_int(json_array_get(lines, 0), "seconds", 0) >= 15 && json_int(json_array_get(lines, 0), "seconds", 0) <= 20);
	CHECK(!json_bool(json_array_get(lines, 1), "comes_back", true));
	CHECK(strstr(json_str(json_array_get(lines, 1), "why", ""), "memory"));
	scene_end(w);
	/* With one voter gone already the next one takes the majority along: nothing would come back, and the report does not promise it. */
	w = scene_guarded("ha-report: the last majority");
	CHECK(report_of(w, "node2", ""));
	world_node_down(w, 2);
	world_run(w, 8000);
	CHECK(!report_of(w, "node2", ""));
	world_node_up(w, 2);
	CHECK(world_settle(w, 120000));
	add_instance(w, "vm2", "node2:node4", "\"ha\":\"failover\",\"memory\":128");
	world_node_down(w, 2);
	world_run(w, 8000);
	CHECK(report_of(w, "node2", "majority"));
	scene_end(w);
}

static void lease_is_not_lowered(void)
{
	struct world *w = scene_guarded("ha.lease is not lowered under them");

	int64_t job = world_request(w, "cluster.modify", "{\"lease\":6}");
	CHECK(world_settle(w, 30000));
	CHECK(!job || strcmp(world_job_state(w, job), "error") == 0);
	CHECK(core_state(w->core)->cluster.lease_ms == 12000);
	scene_end(w);
}

int main(void)
{
	power_cut();
	the_master_dies_with_it();
	control_cut();
	control_then_replication();
	hung();
	no_watchdog();
	marked_offline();
	one_waits_and_one_dies();
	not_arbitrated_yet();
	old_guard();
	policy_changed_and_back();
	not_asked_for();
	back_in_time();
	back_before_the_transaction();
	permitted_before_the_transaction();
	storm();
	no_majority();
	by_priority_and_room();
	h12_before_connecting();
	h12_while_it_runs();
	h16();
	h17();
	power();
	maintenance();
	drills();
	front();
	report();
	lease_is_not_lowered();
	return scene_result("ha");
}
