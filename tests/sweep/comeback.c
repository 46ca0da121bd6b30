/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is set right by itself afterwards, in directed worlds: a node that was lost comes back and what it wrote alone is kept (doc/design/011), a
 * split brain made by hand is resolved or held, and the reconciler mends what died or was taken apart.
 */
#include <stdio.h>
#include <string.h>

#include "common/xmem.h"
#include "tests/sweep/scene.h"

/* ---- the node comes back (doc/design/011-comeback.adoc) --------------------------------------------------------- */

static bool vm1_whole(struct world *w) { return inst(w, "vm1")->own.n_current == 2; }
static bool vm1_kept(struct world *w) { return vm1_at(w, 1)->kept_gen != 0; }

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
	struct world *w = scene_guarded(name);

	world_node_down(w, 1);
	CHECK(run_until(w, vm1_on_3, 40000));
	CHECK(strcmp(inst(w, "vm1")->own.tail, w->nodes[1].uuid) == 0);
	CHECK(inst(w, "vm1")->own.tail_must != 1); /* verdicts decide: nothing acknowledged is in it */
	vm1_at(w, 1)->diverged = true;
	w->nodes[1].no_room = no_room;
	return w;
}

static void tail_is_kept(void)
{
	struct world *w = lost_with_a_tail("a loser's tail is kept, then overwritten", false);
	int64_t gen = inst(w, "vm1")->own.tail_gen;

	world_node_up(w, 1);
	CHECK(run_until(w, vm1_whole, 60000));
	CHECK(vm1_at(w, 1)->kept_gen == gen && gen > 0);
	CHECK(vm1_at(w, 1)->overwritten == 0);
	CHECK(inst(w, "vm1")->own.tail[0] == '\0');
	CHECK(runs_at(w, "vm1") == 2);
	(void)world_request(w, "disk.list_tails", "{}");
	CHECK(strstr(w->last_reply, "\"kept\"") && strstr(w->last_reply, "node2"));
	/* When its time is over it goes: a day, here less. */
	CHECK(core_state(w->core)->cluster.tail_keep_s == 86400);
	CHECK(request_ends(w, "cluster.modify", "{\"tail_keep\":600}", "success"));
	world_run(w, 500 * 1000);
	CHECK(vm1_at(w, 1)->kept_gen == gen);
	world_run(w, 200 * 1000);
	CHECK(vm1_at(w, 1)->kept_gen == 0);
	CHECK(vm1_whole(w));
	scene_end(w);
}

static void no_room_for_nothing(void)
{
	struct world *w = lost_with_a_tail("no room, and nothing acknowledged in it", true);

	world_node_up(w, 1);
	CHECK(run_until(w, vm1_whole, 60000)); /* the mirror is worth more */
	CHECK(vm1_at(w, 1)->kept_gen == 0);
	CHECK(event_says(w, "nothing was kept"));
	scene_end(w);
}

/* node2 lost its mirror, asks, and gets a yes. */
static void goes_on_alone(struct world *w)
{
	struct msg_ask m;
	schema_init(&msg_ask_schema, &m);
	(void)str_copy(m.instance, sizeof(m.instance), inst(w, "vm1")->uuid);
	m.gen = inst(w, "vm1")->own.gen;
	m.uptodate = 1;
	core_ask(w->core, w->nodes[1].uuid, &m);
	world_run(w, 1000);
	CHECK(inst(w, "vm1")->own.n_current == 1);
}

/* The mirror is behind; its node dies, and a person takes the stale one: what the owner had acknowledged is in its tail. */
static struct world *forced(const char *name, bool no_room)
{
	struct world *w = scene_cluster(name);

	add_instance(w, "vm1", "node2:node3", "");
	CHECK(run_until(w, vm1_whole, 10000));
	world_node_down(w, 2);
	world_run(w, 1000);
	vm1_at(w, 1)->frozen = false;
	goes_on_alone(w);
	world_node_down(w, 1);
	world_node_up(w, 2);
	world_run(w, 20000);
	CHECK(request_ends(w, "node.fence", "{\"name\":\"node2\",\"confirmed_off\":true}", "success"));
	CHECK(request_ends(w, "instance.failover", "{\"name\":\"vm1\"}", "error"));
	CHECK(request_ends(w, "instance.failover", "{\"name\":\"vm1\",\"ignore_consistency\":true}", "success"));
	CHECK(runs_at(w, "vm1") == 2);
	CHECK(strcmp(inst(w, "vm1")->own.tail, w->nodes[1].uuid) == 0 && inst(w, "vm1")->own.tail_must == 1);
	vm1_at(w, 1)->diverged = true;
	w->nodes[1].no_room = no_room;
	world_node_up(w, 1);
	return w;
}

static void acknowledged_tail_waits_for_room(void)
{
	struct world *w = forced("acknowledged writes of a loser wait for room", true);

	world_run(w, 400 * 1000);
	CHECK(vm1_at(w, 1)->diverged && !vm1_whole(w)); /* not overwritten, however often it is tried */
	CHECK(runs_at(w, "vm1") == 2);
	CHECK(event_says(w, "stays without its mirror"));
	(void)world_request(w, "disk.list_tails", "{}");
	CHECK(strstr(w->last_reply, "no-room") != NULL);
	w->nodes[1].no_room = false;
	CHECK(run_until(w, vm1_kept, 400 * 1000));
	CHECK(run_until(w, vm1_whole, 60000));
	CHECK(vm1_at(w, 1)->overwritten == 0);
	scene_end(w);
}

static void acknowledged_tail_is_given_up(void)
{
	struct world *w = forced("a person gives a loser's writes up", true);
	char args[128];

	world_run(w, 60000);
	CHECK(vm1_at(w, 1)->diverged);
	(void)snprintf(args, sizeof(args), "{\"name\":\"vm1\",\"node\":\"node2\",\"gen\":%lld}", (long long)inst(w, "vm1")->own.tail_gen);
	CHECK(request_ends(w, "disk.remove_tail", args, "success"));
	CHECK(inst(w, "vm1")->own.tail_must != 1);
	CHECK(run_until(w, vm1_whole, 800 * 1000));
	CHECK(vm1_at(w, 1)->kept_gen == 0 && vm1_at(w, 1)->overwritten == 1);
	scene_end(w);
}

static void split_is_resolved_from_the_log(void)
{
	struct world *w = scene_cluster("split brain by hand: the log knows the loser");

	add_instance(w, "vm1", "node2:node3", "");
	CHECK(run_until(w, vm1_whole, 10000));
	vm1_at(w, 2)->separated = true;
	goes_on_alone(w);
	/* Somebody writes to the mirror by hand; then the link is back. */
	vm1_at(w, 2)->diverged = true;
	vm1_at(w, 2)->separated = false;
	vm1_at(w, 1)->connecting = vm1_at(w, 2)->connecting = false;
	vm1_at(w, 1)->split = vm1_at(w, 2)->split = true;
	CHECK(run_until(w, vm1_whole, 120 * 1000));
	CHECK(vm1_at(w, 2)->kept_gen != 0 && vm1_at(w, 2)->overwritten == 0);
	CHECK(runs_at(w, "vm1") == 1);
	CHECK(event_says(w, "by the log node 'node3' lost"));
	scene_end(w);
}

static void may_promote(struct world *w, int node)
{
	struct msg_authorise m;

	schema_init(&msg_authorise_schema, &m);
	(void)str_copy(m.id, sizeof(m.id), "q1");
	(void)str_copy(m.instance, sizeof(m.instance), inst(w, "vm1")->uuid);
	m.what = AUTH_PROMOTE;
	core_authorise(w->core, w->nodes[node].uuid, &m);
}

static void split_is_held(void)
{
	struct world *w = scene_cluster("split brain by hand: both are current");

	add_instance(w, "vm1", "node2:node3", "");
	CHECK(run_until(w, vm1_whole, 10000));
	CHECK(request_ends(w, "instance.shutdown", "{\"name\":\"vm1\"}", "success"));
	world_run(w, 5000);
	vm1_at(w, 2)->diverged = true; /* both brought up by hand, and written to */
	vm1_at(w, 2)->split = vm1_at(w, 1)->split = true;
	world_run(w, 60000);
	CHECK(inst(w, "vm1")->own.n_current == 2);
	CHECK(vm1_at(w, 2)->diverged && vm1_at(w, 2)->kept_gen == 0);
	CHECK(event_says(w, "both count as current"));
	CHECK(request_ends(w, "instance.startup", "{\"name\":\"vm1\"}", "error"));
	/* One that was planned before it was known, on a side that has not noticed. */
	vm1_at(w, 1)->split = false;
	world_run(w, 5000);
	may_promote(w, 1);
	CHECK(event_says(w, "asked to promote: refused"));
	world_run(w, 60000);
	CHECK(runs_at(w, "vm1") == -1 && inst(w, "vm1")->own.n_current == 2);
	CHECK(request_ends(w, "instance.confirm", "{\"name\":\"vm1\",\"node\":\"node2\"}", "success"));
	CHECK(inst(w, "vm1")->own.n_current == 1 && inst(w, "vm1")->own.tail_must == 1);
	CHECK(request_ends(w, "instance.startup", "{\"name\":\"vm1\"}", "success"));
	CHECK(run_until(w, vm1_whole, 120 * 1000));
	CHECK(vm1_at(w, 2)->kept_gen != 0 && vm1_at(w, 2)->overwritten == 0);
	CHECK(runs_at(w, "vm1") == 1);
	scene_end(w);
}

/* The one that the person names is not the owner: the instance moves there. */
static void split_goes_to_the_mirror(void)
{
	struct world *w = scene_cluster("split brain by hand: the mirror has the truth");

	add_instance(w, "vm1", "node2:node3", "");
	CHECK(run_until(w, vm1_whole, 10000));
	CHECK(request_ends(w, "instance.confirm", "{\"name\":\"vm1\",\"node\":\"node3\"}", "error"));
	CHECK(request_ends(w, "instance.shutdown", "{\"name\":\"vm1\"}", "success"));
	world_run(w, 5000);
	vm1_at(w, 1)->diverged = vm1_at(w, 1)->split = true;
	world_run(w, 5000);
	CHECK(request_ends(w, "instance.confirm", "{\"name\":\"vm1\",\"node\":\"node3\"}", "success"));
	CHECK(strcmp(owner(w, "vm1"), "node3") == 0 && inst(w, "vm1")->own.n_current == 1);
	CHECK(strcmp(inst(w, "vm1")->own.tail, w->nodes[1].uuid) == 0);
	CHECK(request_ends(w, "instance.startup", "{\"name\":\"vm1\"}", "success"));
	CHECK(run_until(w, vm1_whole, 120 * 1000));
	CHECK(runs_at(w, "vm1") == 2 && vm1_at(w, 1)->kept_gen != 0);
	scene_end(w);
}

static void waits_for_a_person(void)
{
	struct world *w = scene_guarded("auto-rejoin off: the node waits for a person");

	CHECK(request_ends(w, "node.modify", "{\"name\":\"node2\",\"auto_rejoin\":false}", "success"));
	world_node_down(w, 1);
	CHECK(run_until(w, vm1_on_3, 40000));
	CHECK(request_ends(w, "node.fence", "{\"name\":\"node2\",\"confirmed_off\":true}", "success"));
	world_node_up(w, 1);
	world_run(w, 120 * 1000);
	CHECK(live(w, 1) == NODE_FENCED);
	CHECK(!vm1_at(w, 1)->attached && !vm1_at(w, 1)->connecting && !vm1_whole(w));
	CHECK(event_says(w, "waits, offline"));
	world_master_crash(w);
	world_run(w, 60000);
	CHECK(live(w, 1) == NODE_FENCED && !vm1_at(w, 1)->connecting);
	CHECK(request_ends(w, "node.modify", "{\"name\":\"node2\",\"offline\":false}", "success"));
	CHECK(live(w, 1) == NODE_ONLINE);
	CHECK(run_until(w, vm1_whole, 400 * 1000));
	CHECK(runs_at(w, "vm1") == 2);
	scene_end(w);
}

/* The same without anybody's word: lost, failed over by the lease, back. */
static void waits_though_only_lost(void)
{
	struct world *w = scene_guarded("auto-rejoin off: lost, not fenced");

	CHECK(request_ends(w, "cluster.modify", "{\"auto_rejoin\":false}", "success"));
	world_node_down(w, 1);
	CHECK(run_until(w, vm1_on_3, 40000));
	CHECK(live(w, 1) == NODE_LOST);
	world_node_up(w, 1);
	world_run(w, 120 * 1000);
	CHECK(live(w, 1) == NODE_FENCED && !vm1_at(w, 1)->attached && !vm1_at(w, 1)->connecting);
	CHECK(event_says(w, "waits, offline"));
	CHECK(request_ends(w, "node.modify", "{\"name\":\"node2\",\"offline\":false}", "success"));
	CHECK(live(w, 1) == NODE_ONLINE);
	CHECK(run_until(w, vm1_whole, 400 * 1000));
	scene_end(w);
}

/* It is connected, and has not looked at itself yet: the owner's replica is alone, so the reconciler is at work meanwhile. */
static void waits_before_it_has_reported(void)
{
	struct world *w = scene_guarded("auto-rejoin off: back, and has not reported yet");

	CHECK(request_ends(w, "cluster.modify", "{\"auto_rejoin\":false}", "success"));
	world_node_down(w, 1);
	CHECK(run_until(w, vm1_on_3, 40000));
	w->nodes[1].no_report = true;
	world_node_up(w, 1);
	world_run(w, 120 * 1000);
	CHECK(!vm1_at(w, 1)->attached && !vm1_at(w, 1)->connecting);
	w->nodes[1].no_report = false;
	world_run(w, 60 * 1000);
	CHECK(live(w, 1) == NODE_FENCED && !vm1_at(w, 1)->attached && !vm1_at(w, 1)->connecting);
	CHECK(event_says(w, "waits, offline"));
	scene_end(w);
}

/* Its guests run on: it is no comeback. */
static void cut_off_is_not_held(void)
{
	struct world *w = scene_guarded("auto-rejoin off: only cut off");

	CHECK(request_ends(w, "cluster.modify", "{\"auto_rejoin\":false}", "success"));
	world_node_cut(w, 1, true);
	world_run(w, 30000);
	CHECK(live(w, 1) == NODE_LOST && runs_at(w, "vm1") == 1);
	world_node_cut(w, 1, false);
	world_run(w, 10000);
	CHECK(live(w, 1) == NODE_ONLINE && runs_at(w, "vm1") == 1);
	scene_end(w);
}

/* ---- the reconciler ------------------------------------------------------------------------------------------- */

static bool vm1_connected(struct world *w) { return vm1_at(w, 2)->attached && vm1_at(w, 2)->connecting && vm1_whole(w); }

static int starts(struct world *w, int64_t ms) /* how often vm1, which dies at once, is started in that time */
{
	int n = 0;

	for (int64_t end = w->now_ms + ms; w->now_ms < end; world_run(w, 10))
		if (vm1_at(w, 1)->guest && !job_open(w)) {
			vm1_at(w, 1)->guest = false;
			n++;
		}
	return n;
}

static void crashed_guest_backs_off(void)
{
	struct world *w = scene_cluster("a guest that dies again and again");

	add_instance(w, "vm1", "node2:node3", "\"ha\":\"restart\"");
	CHECK(run_until(w, vm1_whole, 10000));
	int first = starts(w, 60 * 1000), later = starts(w, 600 * 1000);
	CHECK(first >= 2 && first <= 5); /* soon, then less and less often: 5 s, 10 s, 20 s ... 5 min */
	CHECK(later >= 1 && later <= 6);
	vm1_at(w, 1)->guest = false;
	CHECK(run_until(w, vm1_on_2, 320 * 1000));
	scene_end(w);
}

/* What was put off for minutes is tried when one of its nodes is back, whichever: that may be what was missing. */
static void who_is_back_is_waited_for_no_longer(void)
{
	struct world *w = scene_cluster("a node is back, and the pause is over");

	add_instance(w, "vm1", "node2:node3", "\"ha\":\"restart\"");
	CHECK(run_until(w, vm1_whole, 10000));
	(void)starts(w, 660 * 1000);
	CHECK(run_until(w, vm1_on_2, 320 * 1000)); /* the pause is five minutes from now on */
	vm1_at(w, 1)->guest = false;
	CHECK(!run_until(w, vm1_on_2, 100 * 1000));
	world_node_cut(w, 3, true); /* not its own */
	world_run(w, 3000);
	world_node_cut(w, 3, false);
	CHECK(!run_until(w, vm1_on_2, 60 * 1000));
	world_node_cut(w, 2, true);
	world_run(w, 3000);
	world_node_cut(w, 2, false);
	CHECK(run_until(w, vm1_on_2, 20 * 1000));
	scene_end(w);
}

static void broken_replication_is_mended(void)
{
	struct world *w = scene_cluster("a replica that stands alone");

	add_instance(w, "vm1", "node2:node3", "");
	CHECK(run_until(w, vm1_whole, 10000));
	vm1_at(w, 2)->connecting = false; /* disconnected by hand */
	world_run(w, 1000);
	CHECK(run_until(w, vm1_connected, 30000));
	vm1_at(w, 2)->attached = vm1_at(w, 2)->connecting = false; /* taken down by hand */
	world_run(w, 1000);
	CHECK(run_until(w, vm1_connected, 300 * 1000));
	CHECK(runs_at(w, "vm1") == 1);
	scene_end(w);
}

static bool left_over(const struct world *w, int node)
{
	const struct w_node *n = &w->nodes[node];

	for (int i = 0; i < n->n_things; i++)
		if (n->things[i].volumes || n->things[i].conf)
			return true;
	return false;
}

static bool all_tidy(struct world *w)
{
	return !left_over(w, 0) && !left_over(w, 3);
}

/* Two nodes with something of it, neither of them its own any more: each must not put the other off. */
static void left_overs_on_two_nodes_are_tidied(void)
{
	static const int nodes[] = { 0, 3 };
	struct world *w = scene_cluster("left-overs on two nodes");

	add_instance(w, "vm1", "node2:node3", "");
	CHECK(run_until(w, vm1_whole, 10000));
	for (int k = 0; k < 2; k++) {
		struct w_node *n = &w->nodes[nodes[k]];
		struct w_thing *t = &n->things[n->n_things++];

		memset(t, 0, sizeof(*t));
		(void)str_copy(t->uuid, sizeof(t->uuid), inst(w, "vm1")->uuid);
		(void)str_copy(t->tag, sizeof(t->tag), inst(w, "vm1")->disks[0].uuid);
		t->volumes = true;
	}
	CHECK(run_until(w, all_tidy, 300 * 1000));
	CHECK(run_until(w, vm1_whole, 10000));
	scene_end(w);
}

static void strays_are_alarms(void)
{
	struct world *w = scene_cluster("guests where they do not belong");
	struct w_thing *t = &w->nodes[3].things[w->nodes[3].n_things++];

	add_instance(w, "vm1", "node2:node3", "");
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
	who_is_back_is_waited_for_no_longer();
	broken_replication_is_mended();
	left_overs_on_two_nodes_are_tidied();
	strays_are_alarms();
	waits_though_only_lost();
	waits_before_it_has_reported();
	cut_off_is_not_held();
	tail_is_kept();
	no_room_for_nothing();
	acknowledged_tail_waits_for_room();
	acknowledged_tail_is_given_up();
	split_is_resolved_from_the_log();
	split_is_held();
	split_goes_to_the_mirror();
	waits_for_a_person();
	return scene_result("comeback");
}
