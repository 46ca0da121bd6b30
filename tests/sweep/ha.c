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
#include "schema/ops.h"
#include "tests/sweep/world.h"

static int failed, checks;
static const char *scene;

static bool check_(bool ok, const char *what, int line)
{
	checks++;
	if (!ok) {
		failed++;
		(void)printf("%s: line %d: not so: %s\n", scene, line, what);
	}
	return ok;
}
#define CHECK(x) check_((x), #x, __LINE__)

static const struct instance *inst(struct world *w, const char *name)
{
	struct sinstance *s = state_instance_named(core_state(w->core), name);

	return s ? &s->i : NULL;
}

static const char *owner(struct world *w, const char *name)
{
	const struct instance *i = inst(w, name);

	return i ? state_node_name(core_state(w->core), i->own.owner) : "?";
}

static enum liveness live(struct world *w, int node)
{
	const struct snode *n = state_node(core_state(w->core), w->nodes[node].uuid);

	return n->n.liveness == NODE_ONLINE && n->suspect ? NODE_SUSPECT : (enum liveness)n->n.liveness;
}

static int runs_at(struct world *w, const char *name)
{
	int at = -1;

	return world_guest_runs(w, inst(w, name)->uuid, &at) ? at : -1;
}

static void add(struct world *w, const char *name, const char *nodes, const char *be)
{
	char args[512];

	(void)snprintf(args, sizeof(args), "{\"name\":\"%s\",\"disk\":[{\"size\":1024}],\"node\":\"%s\",\"no_install\":true,\"be\":{%s}}", name, nodes, be);
	int64_t job = world_request(w, "instance.add", args);
	CHECK(world_settle(w, 120000));
	CHECK(strcmp(world_job_state(w, job), "success") == 0);
}

static struct world *cluster(const char *name)
{
	scene = name;
	return world_new(world_seed(7), 4, true); /* node1 is the master's */
}

static bool run_until(struct world *w, bool (*so)(struct world *w), int64_t max_ms)
{
	for (int64_t end = w->now_ms + max_ms; w->now_ms < end && !w->failed; world_run(w, 10))
		if (so(w))
			return true;
	return so(w);
}

/* Jobs filed so far: what must not happen is not even tried. */
static int64_t filed(const struct world *w)
{
	for (int i = 0; i < w->n_kvs; i++)
		if (strcmp(w->kvs[i].key, "/gantry/lastjob") == 0)
			return strtoll(w->kvs[i].value, NULL, 10);
	return 0;
}

static bool job_open(struct world *w) { return core_jobs_open(w->core) > 0; }
static bool vm1_on_3(struct world *w) { return runs_at(w, "vm1") == 2; }
static bool vm1_guarded(struct world *w)
{
	const struct instance *i = inst(w, "vm1");

	return strcmp(i->guard_node, i->own.owner) == 0 && i->guard_rev == 1 + i->ha_rev + core_state(w->core)->cluster.ha_rev;
}

static void end(struct world *w)
{
	CHECK(!w->failed); /* never twice, at any moment */
	world_free(w);
}

static struct world *guarded(const char *name)
{
	struct world *w = cluster(name);

	add(w, "vm1", "node2:node3", "\"ha\":\"failover\"");
	CHECK(run_until(w, vm1_guarded, 10000));
	return w;
}

/* ---- the plain case ---------------------------------------------------------------------------------------- */

static void power_cut(void)
{
	struct world *w = guarded("power cut");
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
	end(w);
}

static void the_master_dies_with_it(void)
{
	struct world *w = guarded("the master dies in between");
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
	end(w);
}

/* ---- control links only: nothing that replicates is moved ------------------------------------------------------ */

static void control_cut(void)
{
	struct world *w = guarded("control links cut");
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
	end(w);
}

/* The replication link goes long after the lease: R counts from there, not from the beat. */
static void control_then_replication(void)
{
	struct world *w = guarded("control cut, replication later");

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
	end(w);
}

/* It is noded that hangs: connections stand, beats are not answered. */
static void hung(void)
{
	struct world *w = guarded("noded hangs");

	w->nodes[1].mute = true;
	world_run(w, 60000);
	CHECK(live(w, 1) == NODE_LOST);
	CHECK(runs_at(w, "vm1") == 1); /* it replicates: it is left alone */
	w->nodes[1].mute = false;
	world_run(w, 3000);
	CHECK(live(w, 1) == NODE_ONLINE);
	end(w);
}

/* ---- what is missing for evidence ------------------------------------------------------------------------------------ */

static void no_watchdog(void)
{
	struct world *w = cluster("no watchdog");

	w->nodes[1].no_watchdog = true;
	add(w, "vm1", "node2:node3", "\"ha\":\"failover\"");
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
	end(w);
}

/* A guard under an older permission says nothing about the copy that was permitted since. */
static void old_guard(void)
{
	struct world *w = guarded("a permission after the guard");
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
	end(w);
}

static void policy_changed_and_back(void)
{
	struct world *w = guarded("policy changed and back");

	w->nodes[1].no_watchdog = true;
	(void)world_request(w, "instance.modify", "{\"name\":\"vm1\",\"be\":{\"ha\":\"none\"}}");
	CHECK(world_settle(w, 60000));
	(void)world_request(w, "instance.modify", "{\"name\":\"vm1\",\"be\":{\"ha\":\"failover\"}}");
	CHECK(world_settle(w, 60000));
	CHECK(!vm1_guarded(w));
	world_node_down(w, 1);
	world_run(w, 60000);
	CHECK(strcmp(owner(w, "vm1"), "node2") == 0);
	end(w);
}

static void not_asked_for(void)
{
	struct world *w = cluster("ha=none");

	add(w, "vm1", "node2:node3", "\"memory\":128");
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
	end(w);
}

/* It is back before the transaction: nothing is taken from it. */
static void back_in_time(void)
{
	struct world *w = guarded("back in time");

	world_node_cut(w, 1, true);
	world_run(w, 13500);
	world_node_cut(w, 1, false);
	world_run(w, 30000);
	CHECK(live(w, 1) == NODE_ONLINE);
	CHECK(runs_at(w, "vm1") == 1);
	end(w);
}

/* It boots anew and is connected while the failover's job is on its way: the transaction looks again. */
static void back_before_the_transaction(void)
{
	struct world *w = guarded("back before the transaction");

	world_node_down(w, 1);
	CHECK(run_until(w, job_open, 30000));
	world_node_up(w, 1);
	core_node_links(w->core, w->nodes[1].uuid, 3, "00000000-0000-4000-8000-000000000099", "test", 0);
	core_node_beat(w->core, w->nodes[1].uuid);
	CHECK(world_settle(w, 120000));
	CHECK(strcmp(owner(w, "vm1"), "node2") == 0);
	CHECK(runs_at(w, "vm1") == 1);
	end(w);
}

/* A permission that was given while the job was on its way: what the evidence was about is not the newest copy any more. */
static void permitted_before_the_transaction(void)
{
	struct world *w = guarded("permitted before the transaction");
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
	end(w);
}

static void storm(void)
{
	struct world *w = guarded("storm");

	world_node_down(w, 1);
	world_node_down(w, 3);
	world_run(w, 60000);
	CHECK(live(w, 1) == NODE_LOST && live(w, 3) == NODE_LOST);
	CHECK(strcmp(owner(w, "vm1"), "node2") == 0);
	world_node_up(w, 3); /* one in four is no storm */
	CHECK(run_until(w, vm1_on_3, 60000));
	end(w);
}

/* After a pause without majority nobody is lost because of the pause. */
static void no_majority(void)
{
	struct world *w = guarded("pause without majority");

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
	end(w);
}

/* ---- order and room -------------------------------------------------------------------------------------------------- */

static void by_priority_and_room(void)
{
	struct world *w = cluster("priority and room");

	/* The model's nodes have 8192 MiB free: beside vm0 only one of the others fits on node3. */
	add(w, "vm0", "node3:node4", "\"memory\":3000");
	add(w, "vm1", "node2:node3", "\"ha\":\"failover\",\"ha_priority\":10,\"memory\":3000");
	add(w, "vm2", "node2:node3", "\"ha\":\"failover\",\"ha_priority\":90,\"memory\":3000");
	world_run(w, 3000);
	world_node_down(w, 1);
	world_run(w, 40000);
	CHECK(strcmp(owner(w, "vm2"), "node3") == 0);
	CHECK(strcmp(owner(w, "vm1"), "node2") == 0);
	const struct sinstance *s = state_instance_named(core_state(w->core), "vm1");
	CHECK(s->ha_why && strstr(s->ha_why, "memory"));
	(void)world_request(w, "instance.shutdown", "{\"name\":\"vm2\"}"); /* room: tried again by itself */
	CHECK(run_until(w, vm1_on_3, 120000));
	end(w);
}

/* ---- arbitration: H12, H16, H17 -------------------------------------------------------------------------------------------- */

static struct w_thing *vm1_at(struct world *w, int node)
{
	for (int k = 0; k < w->nodes[node].n_things; k++)
		if (strcmp(w->nodes[node].things[k].uuid, inst(w, "vm1")->uuid) == 0)
			return &w->nodes[node].things[k];
	abort();
}

static bool vm1_connects(struct world *w)
{
	return vm1_at(w, 1)->attached && vm1_at(w, 1)->connecting && vm1_at(w, 2)->attached && vm1_at(w, 2)->connecting;
}

/* The owner crashed and returns: the mirror has left current before they meet, and comes back. */
static void h12_before_connecting(void)
{
	struct world *w = cluster("H12 before connecting");

	add(w, "vm1", "node2:node3", "\"memory\":128");
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
	end(w);
}

static void h12_while_it_runs(void)
{
	struct world *w = cluster("H12 while it runs");

	add(w, "vm1", "node2:node3", "\"memory\":128");
	vm1_at(w, 2)->stale = true; /* a resync towards it has begun by itself */
	world_run(w, 3000);
	CHECK(inst(w, "vm1")->own.n_current == 1);
	CHECK(strcmp(inst(w, "vm1")->own.current[0], w->nodes[1].uuid) == 0);
	vm1_at(w, 2)->stale = false;
	world_run(w, 3000);
	CHECK(inst(w, "vm1")->own.n_current == 2);
	end(w);
}

static void h16(void)
{
	struct world *w = guarded("H16 frozen outside of current");
	struct sinstance *s = state_instance_named(core_state(w->core), "vm1");

	/* A record as a late report could leave it: the owner is not in current. Then the link breaks, and nobody may tell it to go on. */
	vm1_at(w, 1)->separated = true;
	vm1_at(w, 1)->frozen = true;
	strs_remove(&s->i.own.current, &s->i.own.n_current, w->nodes[1].uuid);
	s->i.own.gen++;
	CHECK(run_until(w, vm1_on_3, 60000));
	CHECK(s->i.own.evidence == EVIDENCE_REPORT);
	CHECK(!vm1_at(w, 1)->guest);
	end(w);
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
	struct world *w = guarded("H17 a yes is held");

	vm1_at(w, 1)->separated = true;
	CHECK(ask(w, 1, 1) == VERDICT_NOT_NOW);
	world_run(w, 1000);
	CHECK(ask(w, 1, 1) == VERDICT_NOT_NOW);
	world_run(w, 1200); /* two beats after the first, by the core's clock, which is its last tick's */
	CHECK(ask(w, 1, 1) == VERDICT_YES); /* it still asks, and the peer still answers us: it was the link */
	CHECK(inst(w, "vm1")->own.n_current == 1);
	end(w);
	w = guarded("H17 the last breath");
	CHECK(ask(w, 1, 1) == VERDICT_NOT_NOW);
	world_node_down(w, 1); /* ... and the complete mirror may still take over */
	CHECK(run_until(w, vm1_on_3, 30000));
	end(w);
	w = guarded("H17 the peer is silent");
	world_node_down(w, 2);
	CHECK(ask(w, 1, 1) == VERDICT_YES);
	end(w);
	w = cluster("H17 nobody fails over by itself");
	add(w, "vm1", "node2:node3", "\"memory\":128");
	vm1_at(w, 1)->separated = true;
	CHECK(ask(w, 1, 1) == VERDICT_YES);
	end(w);
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
	struct world *w = guarded("power: silent and cut off");

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
	end(w);
	w = guarded("power: what replicates is not shot");
	with_agent(w);
	world_node_cut(w, 1, true);
	world_run(w, 60000);
	CHECK(w->shots == 0);
	CHECK(runs_at(w, "vm1") == 1);
	end(w);
	w = guarded("power: the agent fails");
	with_agent(w);
	w->no_power = true;
	world_node_down(w, 1);
	CHECK(run_until(w, vm1_on_3, 40000));
	CHECK(live(w, 1) == NODE_LOST);
	CHECK(inst(w, "vm1")->own.evidence == EVIDENCE_LEASE);
	end(w);
	w = guarded("power: it answers again while an agent hangs");
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
	end(w);
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
	struct world *w = guarded("drills: never proven");
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
	end(w);

	w = guarded("drills: what is asked, what is done");
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
	end(w);

	w = cluster("drills: an empty node");
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
	end(w);
}

/* ---- guests that are moved live -------------------------------------------------------------------------------------------- */

static bool vm1_on_2(struct world *w) { return runs_at(w, "vm1") == 1; }

static void maintenance(void)
{
	struct world *w = cluster("maintenance");

	add(w, "vm1", "node2:node3", "\"memory\":128");
	add(w, "vm2", "node3:node2", "\"memory\":128");
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
	end(w);
}

static void front(void)
{
	struct world *w = guarded("primary network lost");

	add(w, "vm2", "node2:node3", "\"memory\":128");
	world_front(w, 1, true);
	CHECK(run_until(w, vm1_on_3, 60000));
	world_run(w, 60000);
	CHECK(runs_at(w, "vm2") == 1); /* it did not ask for it */
	end(w);
	w = guarded("primary network lost by half of the nodes");
	world_front(w, 1, true);
	world_front(w, 3, true);
	world_run(w, 60000);
	CHECK(runs_at(w, "vm1") == 1);
	end(w);
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
	struct world *w = cluster("ha-report");

	add(w, "vm0", "node3:node4", "\"memory\":3000");
	add(w, "vm1", "node2:node3", "\"ha\":\"failover\",\"ha_priority\":10,\"memory\":3000");
	add(w, "vm2", "node2:node3", "\"ha\":\"failover\",\"ha_priority\":90,\"memory\":3000");
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
	end(w);
	/* With one voter gone already the next one takes the majority along: nothing would come back, and the report does not promise it. */
	w = guarded("ha-report: the last majority");
	CHECK(report_of(w, "node2", ""));
	world_node_down(w, 2);
	world_run(w, 8000);
	CHECK(!report_of(w, "node2", ""));
	world_node_up(w, 2);
	CHECK(world_settle(w, 120000));
	add(w, "vm2", "node2:node4", "\"ha\":\"failover\",\"memory\":128");
	world_node_down(w, 2);
	world_run(w, 8000);
	CHECK(report_of(w, "node2", "majority"));
	end(w);
}

static void lease_is_not_lowered(void)
{
	struct world *w = guarded("ha.lease is not lowered under them");

	int64_t job = world_request(w, "cluster.modify", "{\"lease\":6}");
	CHECK(world_settle(w, 30000));
	CHECK(!job || strcmp(world_job_state(w, job), "error") == 0);
	CHECK(core_state(w->core)->cluster.lease_ms == 12000);
	end(w);
}

/* ---- the node comes back (doc/design/011-comeback.adoc) --------------------------------------------------------- */

static struct w_thing *thing_at(struct world *w, int node)
{
	for (int i = 0; i < w->nodes[node].n_things; i++)
		if (strcmp(w->nodes[node].things[i].uuid, inst(w, "vm1")->uuid) == 0)
			return &w->nodes[node].things[i];
	abort();
}

static bool vm1_whole(struct world *w) { return inst(w, "vm1")->own.n_current == 2; }
static bool vm1_kept(struct world *w) { return thing_at(w, 1)->kept_gen != 0; }
static bool event_says(struct world *w, const char *words)
{
	(void)world_request(w, "event.list", "{}");
	return strstr(w->last_reply, words) != NULL;
}

static bool request_ends(struct world *w, const char *op, const char *args, const char *state)
{
	int64_t job = world_request(w, op, args);

	for (int64_t end = w->now_ms + 60000; job && w->now_ms < end; world_run(w, 10))
		if (strcmp(world_job_state(w, job), "running") != 0 && strcmp(world_job_state(w, job), "queued") != 0 &&
		    strcmp(world_job_state(w, job), "waiting") != 0)
			break;
	return strcmp(job ? world_job_state(w, job) : "refused", state) == 0;
}

/* Failed over by evidence; the loser had written something alone. */
static struct world *lost_with_a_tail(const char *name, bool no_room)
{
	struct world *w = guarded(name);

	world_node_down(w, 1);
	CHECK(run_until(w, vm1_on_3, 40000));
	CHECK(strcmp(inst(w, "vm1")->own.tail, w->nodes[1].uuid) == 0);
	CHECK(inst(w, "vm1")->own.tail_must != 1); /* verdicts decide: nothing acknowledged is in it */
	thing_at(w, 1)->diverged = true;
	w->nodes[1].no_room = no_room;
	return w;
}

static void tail_is_kept(void)
{
	struct world *w = lost_with_a_tail("a loser's tail is kept, then overwritten", false);
	int64_t gen = inst(w, "vm1")->own.tail_gen;

	world_node_up(w, 1);
	CHECK(run_until(w, vm1_whole, 60000));
	CHECK(thing_at(w, 1)->kept_gen == gen && gen > 0);
	CHECK(thing_at(w, 1)->overwritten == 0);
	CHECK(inst(w, "vm1")->own.tail[0] == '\0');
	CHECK(runs_at(w, "vm1") == 2);
	(void)world_request(w, "disk.list_tails", "{}");
	CHECK(strstr(w->last_reply, "\"kept\"") && strstr(w->last_reply, "node2"));
	/* When its time is over it goes: a day, here less. */
	CHECK(core_state(w->core)->cluster.tail_keep_s == 86400);
	CHECK(request_ends(w, "cluster.modify", "{\"tail_keep\":600}", "success"));
	world_run(w, 500 * 1000);
	CHECK(thing_at(w, 1)->kept_gen == gen);
	world_run(w, 200 * 1000);
	CHECK(thing_at(w, 1)->kept_gen == 0);
	CHECK(vm1_whole(w));
	end(w);
}

static void no_room_for_nothing(void)
{
	struct world *w = lost_with_a_tail("no room, and nothing acknowledged in it", true);

	world_node_up(w, 1);
	CHECK(run_until(w, vm1_whole, 60000)); /* the mirror is worth more */
	CHECK(thing_at(w, 1)->kept_gen == 0);
	CHECK(event_says(w, "nothing was kept"));
	end(w);
}

/* The mirror is behind; its node dies, and a person takes the stale one: what the owner had acknowledged is in its tail. */
static struct world *forced(const char *name, bool no_room)
{
	struct world *w = cluster(name);

	add(w, "vm1", "node2:node3", "");
	CHECK(run_until(w, vm1_whole, 10000));
	world_node_down(w, 2);
	world_run(w, 1000);
	thing_at(w, 1)->frozen = false;
	struct msg_ask m;
	schema_init(&msg_ask_schema, &m);
	(void)str_copy(m.instance, sizeof(m.instance), inst(w, "vm1")->uuid);
	m.gen = inst(w, "vm1")->own.gen;
	m.uptodate = 1;
	core_ask(w->core, w->nodes[1].uuid, &m);
	world_run(w, 1000);
	CHECK(inst(w, "vm1")->own.n_current == 1);
	world_node_down(w, 1);
	world_node_up(w, 2);
	world_run(w, 20000);
	CHECK(request_ends(w, "node.fence", "{\"name\":\"node2\",\"confirmed_off\":true}", "success"));
	CHECK(request_ends(w, "instance.failover", "{\"name\":\"vm1\"}", "error"));
	CHECK(request_ends(w, "instance.failover", "{\"name\":\"vm1\",\"ignore_consistency\":true}", "success"));
	CHECK(runs_at(w, "vm1") == 2);
	CHECK(strcmp(inst(w, "vm1")->own.tail, w->nodes[1].uuid) == 0 && inst(w, "vm1")->own.tail_must == 1);
	thing_at(w, 1)->diverged = true;
	w->nodes[1].no_room = no_room;
	world_node_up(w, 1);
	return w;
}

static void acknowledged_tail_waits_for_room(void)
{
	struct world *w = forced("acknowledged writes of a loser wait for room", true);

	world_run(w, 400 * 1000);
	CHECK(thing_at(w, 1)->diverged && !vm1_whole(w)); /* not overwritten, however often it is tried */
	CHECK(runs_at(w, "vm1") == 2);
	CHECK(event_says(w, "stays without its mirror"));
	(void)world_request(w, "disk.list_tails", "{}");
	CHECK(strstr(w->last_reply, "no-room") != NULL);
	w->nodes[1].no_room = false;
	CHECK(run_until(w, vm1_kept, 400 * 1000));
	CHECK(run_until(w, vm1_whole, 60000));
	CHECK(thing_at(w, 1)->overwritten == 0);
	end(w);
}

static void acknowledged_tail_is_given_up(void)
{
	struct world *w = forced("a person gives a loser's writes up", true);
	char args[128];

	world_run(w, 60000);
	CHECK(thing_at(w, 1)->diverged);
	(void)snprintf(args, sizeof(args), "{\"name\":\"vm1\",\"node\":\"node2\",\"gen\":%lld}", (long long)inst(w, "vm1")->own.tail_gen);
	CHECK(request_ends(w, "disk.remove_tail", args, "success"));
	CHECK(inst(w, "vm1")->own.tail_must != 1);
	CHECK(run_until(w, vm1_whole, 800 * 1000));
	CHECK(thing_at(w, 1)->kept_gen == 0 && thing_at(w, 1)->overwritten == 1);
	end(w);
}

static void split_is_resolved_from_the_log(void)
{
	struct world *w = cluster("split brain by hand: the log knows the loser");

	add(w, "vm1", "node2:node3", "");
	CHECK(run_until(w, vm1_whole, 10000));
	thing_at(w, 2)->separated = true;
	struct msg_ask m;
	schema_init(&msg_ask_schema, &m);
	(void)str_copy(m.instance, sizeof(m.instance), inst(w, "vm1")->uuid);
	m.gen = inst(w, "vm1")->own.gen;
	m.uptodate = 1;
	core_ask(w->core, w->nodes[1].uuid, &m);
	world_run(w, 1000);
	CHECK(inst(w, "vm1")->own.n_current == 1);
	/* Somebody writes to the mirror by hand; then the link is back. */
	thing_at(w, 2)->diverged = true;
	thing_at(w, 2)->separated = false;
	thing_at(w, 1)->connecting = thing_at(w, 2)->connecting = false;
	thing_at(w, 1)->split = thing_at(w, 2)->split = true;
	CHECK(run_until(w, vm1_whole, 120 * 1000));
	CHECK(thing_at(w, 2)->kept_gen != 0 && thing_at(w, 2)->overwritten == 0);
	CHECK(runs_at(w, "vm1") == 1);
	CHECK(event_says(w, "by the log node 'node3' lost"));
	end(w);
}

static void split_is_held(void)
{
	struct world *w = cluster("split brain by hand: both are current");

	add(w, "vm1", "node2:node3", "");
	CHECK(run_until(w, vm1_whole, 10000));
	CHECK(request_ends(w, "instance.shutdown", "{\"name\":\"vm1\"}", "success"));
	world_run(w, 5000);
	thing_at(w, 2)->diverged = true; /* both brought up by hand, and written to */
	thing_at(w, 2)->split = thing_at(w, 1)->split = true;
	world_run(w, 60000);
	CHECK(inst(w, "vm1")->own.n_current == 2);
	CHECK(thing_at(w, 2)->diverged && thing_at(w, 2)->kept_gen == 0);
	CHECK(event_says(w, "both count as current"));
	CHECK(request_ends(w, "instance.startup", "{\"name\":\"vm1\"}", "error"));
	world_run(w, 60000);
	CHECK(runs_at(w, "vm1") == -1 && inst(w, "vm1")->own.n_current == 2);
	CHECK(request_ends(w, "instance.confirm", "{\"name\":\"vm1\",\"node\":\"node2\"}", "success"));
	CHECK(inst(w, "vm1")->own.n_current == 1 && inst(w, "vm1")->own.tail_must == 1);
	CHECK(request_ends(w, "instance.startup", "{\"name\":\"vm1\"}", "success"));
	CHECK(run_until(w, vm1_whole, 120 * 1000));
	CHECK(thing_at(w, 2)->kept_gen != 0 && thing_at(w, 2)->overwritten == 0);
	CHECK(runs_at(w, "vm1") == 1);
	end(w);
}

/* The one that the person names is not the owner: the instance moves there. */
static void split_goes_to_the_mirror(void)
{
	struct world *w = cluster("split brain by hand: the mirror has the truth");

	add(w, "vm1", "node2:node3", "");
	CHECK(run_until(w, vm1_whole, 10000));
	CHECK(request_ends(w, "instance.confirm", "{\"name\":\"vm1\",\"node\":\"node3\"}", "error"));
	CHECK(request_ends(w, "instance.shutdown", "{\"name\":\"vm1\"}", "success"));
	world_run(w, 5000);
	thing_at(w, 1)->diverged = thing_at(w, 1)->split = true;
	world_run(w, 5000);
	CHECK(request_ends(w, "instance.confirm", "{\"name\":\"vm1\",\"node\":\"node3\"}", "success"));
	CHECK(strcmp(owner(w, "vm1"), "node3") == 0 && inst(w, "vm1")->own.n_current == 1);
	CHECK(strcmp(inst(w, "vm1")->own.tail, w->nodes[1].uuid) == 0);
	CHECK(request_ends(w, "instance.startup", "{\"name\":\"vm1\"}", "success"));
	CHECK(run_until(w, vm1_whole, 120 * 1000));
	CHECK(runs_at(w, "vm1") == 2 && thing_at(w, 1)->kept_gen != 0);
	end(w);
}

static void waits_for_a_person(void)
{
	struct world *w = guarded("auto-rejoin off: the node waits for a person");

	CHECK(request_ends(w, "node.modify", "{\"name\":\"node2\",\"auto_rejoin\":false}", "success"));
	world_node_down(w, 1);
	CHECK(run_until(w, vm1_on_3, 40000));
	CHECK(request_ends(w, "node.fence", "{\"name\":\"node2\",\"confirmed_off\":true}", "success"));
	world_node_up(w, 1);
	world_run(w, 120 * 1000);
	CHECK(live(w, 1) == NODE_FENCED);
	CHECK(!thing_at(w, 1)->attached && !thing_at(w, 1)->connecting && !vm1_whole(w));
	CHECK(event_says(w, "waits, offline"));
	world_master_crash(w);
	world_run(w, 60000);
	CHECK(live(w, 1) == NODE_FENCED && !thing_at(w, 1)->connecting);
	CHECK(request_ends(w, "node.modify", "{\"name\":\"node2\",\"offline\":false}", "success"));
	CHECK(live(w, 1) == NODE_ONLINE);
	CHECK(run_until(w, vm1_whole, 400 * 1000));
	CHECK(runs_at(w, "vm1") == 2);
	end(w);
}

/* The same without anybody's word: lost, failed over by the lease, back. */
static void waits_though_only_lost(void)
{
	struct world *w = guarded("auto-rejoin off: lost, not fenced");

	CHECK(request_ends(w, "cluster.modify", "{\"auto_rejoin\":false}", "success"));
	world_node_down(w, 1);
	CHECK(run_until(w, vm1_on_3, 40000));
	CHECK(live(w, 1) == NODE_LOST);
	world_node_up(w, 1);
	world_run(w, 120 * 1000);
	CHECK(live(w, 1) == NODE_FENCED && !thing_at(w, 1)->attached && !thing_at(w, 1)->connecting);
	CHECK(event_says(w, "waits, offline"));
	CHECK(request_ends(w, "node.modify", "{\"name\":\"node2\",\"offline\":false}", "success"));
	CHECK(live(w, 1) == NODE_ONLINE);
	CHECK(run_until(w, vm1_whole, 400 * 1000));
	end(w);
}

/* Its guests run on: it is no comeback. */
static void cut_off_is_not_held(void)
{
	struct world *w = guarded("auto-rejoin off: only cut off");

	CHECK(request_ends(w, "cluster.modify", "{\"auto_rejoin\":false}", "success"));
	world_node_cut(w, 1, true);
	world_run(w, 30000);
	CHECK(live(w, 1) == NODE_LOST && runs_at(w, "vm1") == 1);
	world_node_cut(w, 1, false);
	world_run(w, 10000);
	CHECK(live(w, 1) == NODE_ONLINE && runs_at(w, "vm1") == 1);
	end(w);
}

/* ---- the reconciler ------------------------------------------------------------------------------------------- */

static bool runs_on_2(struct world *w) { return runs_at(w, "vm1") == 1; }
static bool vm1_connected(struct world *w) { return thing_at(w, 2)->attached && thing_at(w, 2)->connecting && vm1_whole(w); }

static int starts(struct world *w, int64_t ms) /* how often vm1, which dies at once, is started in that time */
{
	int n = 0;

	for (int64_t end = w->now_ms + ms; w->now_ms < end; world_run(w, 10))
		if (thing_at(w, 1)->guest && !job_open(w)) {
			thing_at(w, 1)->guest = false;
			n++;
		}
	return n;
}

static void crashed_guest_backs_off(void)
{
	struct world *w = cluster("a guest that dies again and again");

	add(w, "vm1", "node2:node3", "\"ha\":\"restart\"");
	CHECK(run_until(w, vm1_whole, 10000));
	int first = starts(w, 60 * 1000), later = starts(w, 600 * 1000);
	CHECK(first >= 2 && first <= 5); /* soon, then less and less often: 5 s, 10 s, 20 s ... 5 min */
	CHECK(later >= 1 && later <= 6);
	thing_at(w, 1)->guest = false;
	CHECK(run_until(w, runs_on_2, 320 * 1000));
	end(w);
}

static void broken_replication_is_mended(void)
{
	struct world *w = cluster("a replica that stands alone");

	add(w, "vm1", "node2:node3", "");
	CHECK(run_until(w, vm1_whole, 10000));
	thing_at(w, 2)->connecting = false; /* disconnected by hand */
	world_run(w, 1000);
	CHECK(run_until(w, vm1_connected, 30000));
	thing_at(w, 2)->attached = thing_at(w, 2)->connecting = false; /* taken down by hand */
	world_run(w, 1000);
	CHECK(run_until(w, vm1_connected, 300 * 1000));
	CHECK(runs_at(w, "vm1") == 1);
	end(w);
}

static void strays_are_alarms(void)
{
	struct world *w = cluster("guests where they do not belong");
	struct w_thing *t = &w->nodes[3].things[w->nodes[3].n_things++];

	add(w, "vm1", "node2:node3", "");
	CHECK(run_until(w, vm1_whole, 10000));
	memset(t, 0, sizeof(*t));
	(void)str_copy(t->uuid, sizeof(t->uuid), "99999999-0000-4000-8000-000000000009");
	t->guest = true;
	world_run(w, 20000);
	CHECK(event_says(w, "ALARM: node 'node4' runs guest '' (99999999-0000-4000-8000-000000000009), of no instance"));
	CHECK(t->guest); /* it is named, not ended: nobody knows what it is */
	(void)world_request(w, "event.list", "{}");
	const char *at = strstr(w->last_reply, "of no instance");
	CHECK(at && !strstr(at + 1, "of no instance")); /* told once */
	t->guest = false;
	world_run(w, 5000);
	CHECK(world_settle(w, 60000));
	world_free(w);
}

int main(void)
{
	crashed_guest_backs_off();
	broken_replication_is_mended();
	strays_are_alarms();
	waits_though_only_lost();
	cut_off_is_not_held();
	tail_is_kept();
	no_room_for_nothing();
	acknowledged_tail_waits_for_room();
	acknowledged_tail_is_given_up();
	split_is_resolved_from_the_log();
	split_is_held();
	split_goes_to_the_mirror();
	waits_for_a_person();
	power_cut();
	the_master_dies_with_it();
	control_cut();
	control_then_replication();
	hung();
	no_watchdog();
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
	(void)printf("ha: %d checks, %d failed\n", checks, failed);
	return failed ? 1 : 0;
}
