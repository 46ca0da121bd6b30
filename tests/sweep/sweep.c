/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sweep: for every request of the schema that is a job, a scenario; the scenario is run once undisturbed to count its orders,
 * commits and messages, then once for each place where something can go wrong. Each run must come to rest wholly done or wholly
 * undone, with nothing leaked, never two copies running.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "schema/ops.h"
#include "tests/sweep/world.h"

#define ADD_VM1 "{\"name\":\"vm1\",\"disk\":[{\"size\":1024},{\"size\":64}],\"node\":\"node1:node2\",\"no_install\":true}"
#define RENAME_VM1 "{\"name\":\"vm1\",\"new_name\":\"web1\"}"

struct scenario {
	enum op_index op;
	const char *name;
	const char *setup[4][2]; /* requests before, undisturbed */
	const char *args;
	bool refused;            /* the request itself is expected to be refused in this state */
	int voters;              /* only with so many voters: 1 or 3; 0 = both */
};

static const struct scenario scenarios[] = {
	{ OP_debug_noop, "noop on the master", { { NULL } }, "{}", false, 0 },
	{ OP_debug_noop, "noop on a node", { { NULL } }, "{\"node\":\"node2\"}", false, 0 },
	{ OP_instance_add, "add drbd", { { NULL } }, ADD_VM1, false, 0 },
	{ OP_instance_add, "add plain", { { NULL } }, "{\"name\":\"vm1\",\"disk_template\":\"plain\",\"disk\":[{\"size\":1024}],\"no_install\":true}", false, 0 },
	{ OP_instance_add, "add stopped", { { NULL } }, "{\"name\":\"vm1\",\"disk\":[{\"size\":1024}],\"no_install\":true,\"no_start\":true}", false, 0 },
	{ OP_instance_add, "add diskless", { { NULL } }, "{\"name\":\"vm1\",\"disk_template\":\"diskless\"}", false, 0 },
	{ OP_instance_add, "add from image", { { NULL } }, "{\"name\":\"vm1\",\"disk\":[{\"size\":1024}],\"image\":\"deb\"}", false, 0 },
	{ OP_instance_shutdown, "shutdown", { { "instance.add", ADD_VM1 } }, "{\"name\":\"vm1\"}", false, 0 },
	{ OP_instance_startup, "startup", { { "instance.add", ADD_VM1 }, { "instance.shutdown", "{\"name\":\"vm1\"}" } }, "{\"name\":\"vm1\"}", false, 0 },
	{ OP_instance_reboot, "reboot hard", { { "instance.add", ADD_VM1 } }, "{\"name\":\"vm1\"}", false, 0 },
	{ OP_instance_reboot, "reboot full", { { "instance.add", ADD_VM1 } }, "{\"name\":\"vm1\",\"type\":\"full\"}", false, 0 },
	{ OP_instance_remove, "remove", { { "instance.add", ADD_VM1 } }, "{\"name\":\"vm1\"}", false, 0 },
	{ OP_instance_modify, "modify", { { "instance.add", ADD_VM1 } }, "{\"name\":\"vm1\",\"be\":{\"memory\":600}}", false, 0 },
	{ OP_instance_grow_disk, "grow", { { "instance.add", ADD_VM1 } }, "{\"name\":\"vm1\",\"disk\":0,\"amount\":512}", false, 0 },
	{ OP_instance_grow_disk, "grow a plain one that is down", { { "instance.add",
	  "{\"name\":\"vm1\",\"disk_template\":\"plain\",\"disk\":[{\"size\":1024}],\"no_install\":true,\"no_start\":true}" } },
	  "{\"name\":\"vm1\",\"disk\":0,\"amount\":2048,\"absolute\":true}", false, 0 },
	{ OP_instance_grow_disk, "grow what is down", { { "instance.add", ADD_VM1 }, { "instance.shutdown", "{\"name\":\"vm1\"}" } },
	  "{\"name\":\"vm1\",\"disk\":0,\"amount\":512}", true, 0 },
	{ OP_instance_rename, "rename", { { "instance.add", ADD_VM1 }, { "instance.shutdown", "{\"name\":\"vm1\"}" } }, RENAME_VM1, false, 0 },
	{ OP_instance_rename, "rename what runs", { { "instance.add", ADD_VM1 } }, RENAME_VM1, true, 0 },
	{ OP_instance_startup, "startup under the new name", { { "instance.add", ADD_VM1 }, { "instance.shutdown", "{\"name\":\"vm1\"}" }, { "instance.rename", RENAME_VM1 } },
	  "{\"name\":\"web1\"}", false, 0 },
	{ OP_instance_add, "add under the name that was left", { { "instance.add", ADD_VM1 }, { "instance.shutdown", "{\"name\":\"vm1\"}" }, { "instance.rename", RENAME_VM1 } },
	  ADD_VM1, false, 0 },
	{ OP_instance_migrate, "migrate", { { "instance.add", ADD_VM1 } }, "{\"name\":\"vm1\"}", false, 0 },
	{ OP_instance_migrate, "migrate cleanup", { { "instance.add", ADD_VM1 } }, "{\"name\":\"vm1\",\"cleanup\":true}", false, 0 },
	{ OP_instance_failover, "failover", { { "instance.add", ADD_VM1 } }, "{\"name\":\"vm1\"}", false, 0 },
	{ OP_instance_failover, "failover when down", { { "instance.add", ADD_VM1 }, { "instance.shutdown", "{\"name\":\"vm1\"}" } }, "{\"name\":\"vm1\"}", false, 0 },
	{ OP_instance_replace_disks, "replace -n", { { "instance.add", ADD_VM1 } }, "{\"name\":\"vm1\",\"new_secondary\":\"node3\"}", false, 0 },
	{ OP_instance_replace_disks, "replace -s", { { "instance.add", ADD_VM1 } }, "{\"name\":\"vm1\",\"on_secondary\":true}", false, 0 },
	{ OP_instance_replace_disks, "replace -s of one that is down", { { "instance.add", ADD_VM1 }, { "instance.shutdown", "{\"name\":\"vm1\"}" } },
	  "{\"name\":\"vm1\",\"on_secondary\":true}", false, 0 },
	{ OP_instance_activate_disks, "activate", { { "instance.add", ADD_VM1 } }, "{\"name\":\"vm1\"}", false, 0 },
	{ OP_instance_deactivate_disks, "deactivate", { { "instance.add", ADD_VM1 }, { "instance.shutdown", "{\"name\":\"vm1\"}" } }, "{\"name\":\"vm1\"}", false, 0 },
	{ OP_instance_converge, "converge", { { "instance.add", ADD_VM1 } }, "{\"name\":\"vm1\"}", false, 0 },
	{ OP_node_modify, "drain", { { NULL } }, "{\"name\":\"node2\",\"drained\":true}", false, 0 },
	{ OP_node_remove, "remove node", { { NULL } }, "{\"name\":\"node4\"}", false, 0 },
	{ OP_node_maintenance, "maintenance", { { "instance.add", ADD_VM1 } }, "{\"name\":\"node1\",\"on\":true}", false, 0 },
	{ OP_node_fence, "fence a live node", { { NULL } }, "{\"name\":\"node3\",\"confirmed_off\":true}", true, 0 },
	{ OP_cluster_modify, "cluster modify", { { NULL } }, "{\"resync_rate\":20}", false, 0 },
	{ OP_cluster_renew_crypto, "renew crypto", { { NULL } }, "{}", false, 0 },
	{ OP_node_promote, "promote", { { NULL } }, "{\"names\":[\"node2\",\"node3\"]}", false, 1 },
	{ OP_instance_confirm, "confirm what is confirmed", { { "instance.add", ADD_VM1 } }, "{\"name\":\"vm1\",\"node\":\"node1\"}", true, 0 },
	{ OP_disk_remove_tail, "remove a tail that is not there", { { "instance.add", ADD_VM1 } }, "{\"name\":\"vm1\",\"node\":\"node2\",\"gen\":1}", true, 0 },
	{ OP_node_cleanse, "cleanse what is clean", { { NULL } }, "{\"name\":\"node2\"}", true, 0 },
	{ OP_node_admit, "admit", { { NULL } },
	  "{\"token_id\":\"t\",\"uuid\":\"11111111-2222-4333-8444-555555555555\",\"name\":\"node9\",\"address\":\"10.0.0.9\",\"replication_address\":\"10.0.1.9\"}", true, 0 },
	{ OP_cluster_arbitrate, "arbitrate without voters", { { NULL } }, "{\"on\":true}", true, 1 },
	{ OP_cluster_arbitrate, "arbitrate on", { { "instance.add", ADD_VM1 }, { "cluster.arbitrate", "{\"on\":false}" } }, "{\"on\":true}", false, 3 },
	{ OP_cluster_arbitrate, "arbitrate off", { { "instance.add", ADD_VM1 } }, "{\"on\":false}", false, 3 },
};

enum disturbance { NONE, FAIL, CRASH_COMMIT, LOSE_COMMIT, CRASH_NODE, LOSE, DUPLICATE, KINDS };
static const char *const disturbance_names[] = { "undisturbed", "failed order", "master dies after commit", "master dies before commit",
						 "node dies", "message lost", "message doubled" };

struct counts {
	int orders, commits, sent;
};

static void disturb(struct world *w, enum disturbance d, int at, const struct counts *base)
{
	switch (d) {
	case FAIL: w->fail_at = w->orders + at; break;
	case CRASH_COMMIT: w->crash_commit = w->commits + at; break;
	case LOSE_COMMIT: w->lose_commit = w->commits + at; break;
	case CRASH_NODE: w->crash_node_at = 2 * w->orders + at; break;
	case LOSE: w->lose_msg = w->n_sent + at; break;
	case DUPLICATE: w->dup_msg = w->n_sent + at; break;
	case NONE:
	case KINDS:
	default: break;
	}
	(void)base;
}

/* One run; false prints what went wrong. */
static bool run(const struct scenario *s, bool arbitrated, enum disturbance d, int at, struct counts *ret)
{
	struct world *w = world_new(world_seed(42), 4, arbitrated);
	bool ok = true;

	w->resyncs = true;
	for (int i = 0; i < 4 && s->setup[i][0] && ok; i++) {
		int64_t job = world_request(w, s->setup[i][0], s->setup[i][1]);

		ok = world_settle(w, 120000) && strcmp(world_job_state(w, job), "success") == 0;
		if (!ok)
			(void)printf("%s: set-up '%s' ended %s: %s %s\n", s->name, s->setup[i][0], world_job_state(w, job), w->why, w->last_reply);
	}
	struct counts before = { w->orders, w->commits, w->n_sent };
	disturb(w, d, at, ret);
	int64_t job = ok ? world_request(w, op_infos[s->op].name, s->args) : 0;
	if (ok) {
		bool rest = world_settle(w, 600000);
		const char *state = job ? world_job_state(w, job) : "refused";

		if (!rest) {
			(void)printf("%s%s, %s at %d: does not come to rest: %s, job %s\n", s->name, arbitrated ? " (arbitrated)" : "", disturbance_names[d], at,
				     w->why[0] ? w->why : "job open", state);
			ok = false;
		} else if (d == NONE && (s->refused ? strcmp(state, "success") == 0 : strcmp(state, "success") != 0)) {
			(void)printf("%s: undisturbed it ended %s: %s\n", s->name, state, w->last_reply);
			ok = false;
		}
	}
	if (d == NONE)
		*ret = (struct counts){ w->orders - before.orders, w->commits - before.commits, w->n_sent - before.sent };
	world_free(w);
	return ok;
}

static int places(enum disturbance d, const struct counts *c)
{
	switch (d) {
	case FAIL: return c->orders;
	case CRASH_COMMIT:
	case LOSE_COMMIT: return c->commits;
	case CRASH_NODE: return 2 * c->orders;
	case LOSE:
	case DUPLICATE: return c->sent < 40 ? c->sent : 40; /* the rest are reports, which repeat */
	case NONE:
	case KINDS:
	default: return 1;
	}
}

static int uncovered(void)
{
	int missing = 0;

	for (int op = 0; op < OP_COUNT; op++) {
		bool found = op_infos[op].kind != OP_JOB || strncmp(op_infos[op].name, "node.migrate", 12) == 0 ||
			     strcmp(op_infos[op].name, "node.failover") == 0 || strcmp(op_infos[op].name, "node.evacuate") == 0 ||
			     strcmp(op_infos[op].name, "cluster.verify_disks") == 0; /* fan-outs: other jobs */

		for (size_t i = 0; i < ARRAY_SIZE(scenarios) && !found; i++)
			found = (int)scenarios[i].op == op;
		if (!found) {
			(void)printf("request '%s' is in no scenario\n", op_infos[op].name);
			missing++;
		}
	}
	return missing;
}

int main(int argc, char **argv)
{
	const char *only = argc > 1 ? argv[1] : NULL;
	int runs = 0, failed = uncovered();

	for (size_t i = 0; i < ARRAY_SIZE(scenarios); i++)
		for (int arbitrated = 0; arbitrated < 2; arbitrated++) {
			struct counts c = { 0, 0, 0 };

			if ((only && strcmp(only, scenarios[i].name) != 0) || (scenarios[i].voters && scenarios[i].voters != (arbitrated ? 3 : 1)))
				continue;
			for (int d = NONE; d < KINDS; d++) {
				if (argc > 3 && d != atoi(argv[2]))
					continue;
				for (int at = argc > 3 ? atoi(argv[3]) : 0; at < (argc > 3 ? atoi(argv[3]) + 1 : places((enum disturbance)d, &c)); at++) {
					runs++;
					failed += !run(&scenarios[i], arbitrated == 1, (enum disturbance)d, at, &c);
				}
			}
		}
	(void)printf("sweep: %d runs, %d failed\n", runs, failed);
	return failed ? 1 : 0;
}
