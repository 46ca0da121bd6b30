/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sweep: for every request of the schema that is a job, a scenario; it is run once undisturbed to count its calls, commits and
 * messages, then once for each place where something can go wrong, on the shipped daemons. Each run must come to rest wholly done or
 * wholly undone, with nothing leaked, never two copies running, no acknowledged write lost. The world is made once a scenario;
 * each run is a fork of it.
 *
 *   sweep [--every N] [--jobs J] [--only NAME] [--kind K --at P [--trace]]
 *
 * Without --every one place in SAMPLE is tried, which ones depends on scenario and kind; "--every 1" tries all.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/xmem.h"
#include "schema/ops.h"
#include "tests/sim/script.h"

#define SAMPLE 8
#define FRAMES_MAX 60 /* of one request: the rest are beats and reports, which repeat */
#define ADD_VM1 "{\"name\":\"vm1\",\"disk\":[{\"size\":1024},{\"size\":64}],\"node\":\"node1:node2\",\"no_install\":true}"
#define NAME_VM1 "{\"name\":\"vm1\"}"
#define AS_IT_IS_VM1 "{\"name\":\"vm1\",\"ignore_consistency\":true}"
#define LOSES_DISK "(its disk fails)" /* in a set-up: on this machine, 1.. */
#define RENAME_VM1 "{\"name\":\"vm1\",\"new_name\":\"web1\"}"

int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
	return 1;
}

struct scenario {
	enum op_index op;
	const char *name;
	const char *setup[4][2]; /* requests before, undisturbed */
	const char *args;
	bool refused;            /* the request itself is expected to be refused in this state */
	int voters;              /* only with so many voters: 1 or 3; 0 = both */
	int dark;                /* machine without power: 1.. */
};

static const struct scenario scenarios[] = {
	{ OP_debug_noop, "noop on the master", { { NULL } }, "{}", false, 0, 0 },
	{ OP_debug_noop, "noop on a node", { { NULL } }, "{\"node\":\"node2\",\"delay_ms\":300}", false, 0, 0 },
	{ OP_instance_add, "add drbd", { { NULL } }, ADD_VM1, false, 0, 0 },
	{ OP_instance_add, "add plain", { { NULL } }, "{\"name\":\"vm1\",\"disk_template\":\"plain\",\"disk\":[{\"size\":1024}],\"no_install\":true}", false, 0, 0 },
	{ OP_instance_add, "add stopped", { { NULL } }, "{\"name\":\"vm1\",\"disk\":[{\"size\":1024}],\"no_install\":true,\"no_start\":true}", false, 0, 0 },
	{ OP_instance_add, "add diskless", { { NULL } }, "{\"name\":\"vm1\",\"disk_template\":\"diskless\"}", false, 0, 0 },
	{ OP_instance_add, "add from image", { { NULL } }, "{\"name\":\"vm1\",\"disk\":[{\"size\":1024}],\"image\":\"deb\"}", false, 0, 0 },
	{ OP_instance_shutdown, "shutdown", { { "instance.add", ADD_VM1 } }, NAME_VM1, false, 0, 0 },
	{ OP_instance_startup, "startup", { { "instance.add", ADD_VM1 }, { "instance.shutdown", NAME_VM1 } }, NAME_VM1, false, 0, 0 },
	{ OP_instance_reboot, "reboot hard", { { "instance.add", ADD_VM1 } }, NAME_VM1, false, 0, 0 },
	{ OP_instance_reboot, "reboot full", { { "instance.add", ADD_VM1 } }, "{\"name\":\"vm1\",\"type\":\"full\"}", false, 0, 0 },
	{ OP_instance_remove, "remove", { { "instance.add", ADD_VM1 } }, NAME_VM1, false, 0, 0 },
	{ OP_instance_modify, "modify", { { "instance.add", ADD_VM1 } }, "{\"name\":\"vm1\",\"be\":{\"memory\":600}}", false, 0, 0 },
	{ OP_instance_rename, "rename", { { "instance.add", ADD_VM1 }, { "instance.shutdown", NAME_VM1 } }, RENAME_VM1, false, 0, 0 },
	{ OP_instance_startup, "startup under the new name", { { "instance.add", ADD_VM1 }, { "instance.shutdown", NAME_VM1 }, { "instance.rename", RENAME_VM1 } },
	  "{\"name\":\"web1\"}", false, 0, 0 },
	{ OP_instance_add, "add under the name that was left", { { "instance.add", ADD_VM1 }, { "instance.shutdown", NAME_VM1 }, { "instance.rename", RENAME_VM1 } },
	  ADD_VM1, false, 0, 0 },
	{ OP_instance_migrate, "migrate", { { "instance.add", ADD_VM1 } }, NAME_VM1, false, 0, 0 },
	{ OP_instance_migrate, "migrate off a dead disk", { { "instance.add", ADD_VM1 }, { LOSES_DISK, "1" } }, NAME_VM1, false, 0, 0 },
	{ OP_instance_migrate, "migrate cleanup", { { "instance.add", ADD_VM1 } }, "{\"name\":\"vm1\",\"cleanup\":true}", false, 0, 0 },
	{ OP_instance_failover, "failover", { { "instance.add", ADD_VM1 } }, NAME_VM1, false, 0, 0 },
	{ OP_instance_failover, "failover when down", { { "instance.add", ADD_VM1 }, { "instance.shutdown", NAME_VM1 } }, NAME_VM1, false, 0, 0 },
	{ OP_instance_replace_disks, "replace -n", { { "instance.add", ADD_VM1 } }, "{\"name\":\"vm1\",\"new_secondary\":\"node3\"}", false, 0, 0 },
	{ OP_instance_replace_disks, "replace -s", { { "instance.add", ADD_VM1 } }, "{\"name\":\"vm1\",\"on_secondary\":true}", false, 0, 0 },
	{ OP_instance_replace_disks, "replace -n, its old node away", { { "instance.add", ADD_VM1 } }, "{\"name\":\"vm1\",\"new_secondary\":\"node3\"}", false, 3, 2 },
	{ OP_instance_replace_disks, "replace -n of one that is down", { { "instance.add", ADD_VM1 }, { "instance.shutdown", NAME_VM1 } },
	  "{\"name\":\"vm1\",\"new_secondary\":\"node3\"}", false, 0, 0 },
	{ OP_instance_grow_disk, "grow", { { "instance.add", ADD_VM1 } }, "{\"name\":\"vm1\",\"disk\":1,\"amount\":64}", false, 0, 0 },
	{ OP_instance_activate_disks, "activate", { { "instance.add", ADD_VM1 } }, NAME_VM1, false, 0, 0 },
	{ OP_instance_deactivate_disks, "deactivate", { { "instance.add", ADD_VM1 }, { "instance.shutdown", NAME_VM1 } }, NAME_VM1, false, 0, 0 },
	{ OP_instance_converge, "converge", { { "instance.add", ADD_VM1 } }, NAME_VM1, false, 0, 0 },
	{ OP_node_modify, "drain", { { NULL } }, "{\"name\":\"node2\",\"drained\":true}", false, 0, 0 },
	{ OP_node_remove, "remove node", { { NULL } }, "{\"name\":\"node4\"}", false, 0, 0 },
	{ OP_node_fence, "fence a live node", { { NULL } }, "{\"name\":\"node3\",\"confirmed_off\":true}", true, 0, 0 },
	{ OP_node_fence, "fence a dead node", { { "instance.add", ADD_VM1 } }, "{\"name\":\"node2\",\"confirmed_off\":true}", false, 0, 2 },
	{ OP_cluster_modify, "cluster modify", { { NULL } }, "{\"resync_rate\":20}", false, 0, 0 },
	{ OP_node_maintenance, "maintenance", { { "instance.add", ADD_VM1 } }, "{\"name\":\"node1\",\"on\":true}", false, 0, 0 },
	{ OP_cluster_renew_crypto, "renew crypto", { { NULL } }, "{\"force\":true}", false, 0, 0 },
	{ OP_node_promote, "promote", { { NULL } }, "{\"names\":[\"node2\",\"node3\"]}", false, 1, 0 },
	{ OP_node_admit, "admit", { { NULL } },
	  "{\"token_id\":\"t\",\"uuid\":\"11111111-2222-4333-8444-555555555555\",\"name\":\"node9\",\"address\":\"10.0.0.9\",\"replication_address\":\"10.0.1.9\"}", true, 0, 0 },
	{ OP_cluster_arbitrate, "arbitrate without voters", { { NULL } }, "{\"on\":true}", true, 1, 0 },
	{ OP_cluster_arbitrate, "arbitrate off", { { "instance.add", ADD_VM1 } }, "{\"on\":false}", false, 3, 0 },
	{ OP_instance_failover, "failover as it is, when down", { { "instance.add", ADD_VM1 }, { "instance.shutdown", NAME_VM1 } }, AS_IT_IS_VM1, false, 0, 0 },
};

enum kind { NONE, FAIL, FAIL_AFTER, CRASH_COMMIT_AFTER, CRASH_COMMIT_BEFORE, CRASH_NODE, CRASH_NODE_AFTER, LOSE, DUPLICATE, KINDS };
static const char *const kind_names[] = { "undisturbed", "call fails, not done", "call fails, done", "master dies after commit", "master dies before commit",
					  "node dies before call", "node dies after call", "connection breaks at message", "message doubled" };

struct counts {
	int64_t calls, commits, frames;
};

static int every = SAMPLE;

static void disturb(enum kind k, int at)
{
	switch (k) {
	case FAIL: W.fail_call = W.n_calls + at; break;
	case FAIL_AFTER: W.fail_call_after = W.n_calls + at; break;
	case CRASH_COMMIT_AFTER: W.crash_commit_after = W.n_commits + at; break;
	case CRASH_COMMIT_BEFORE: W.crash_commit_before = W.n_commits + at; break;
	case CRASH_NODE: W.crash_call = W.n_calls + at; break;
	case CRASH_NODE_AFTER: W.crash_call_after = W.n_calls + at; break;
	case LOSE: W.lose_frame = W.n_frames + at; break;
	case DUPLICATE: W.dup_frame = W.n_frames + at; break;
	case NONE:
	case KINDS:
	default: break;
	}
}

static bool loses_disk(const struct scenario *s)
{
	bool loses = false;

	for (size_t i = 0; i < ARRAY_SIZE(s->setup) && s->setup[i][0]; i++)
		loses = loses || strcmp(s->setup[i][0], LOSES_DISK) == 0;
	return loses;
}

static bool job_over(int64_t job)
{
	const char *state = script_job_state(job);

	return strcmp(state, "success") == 0 || strcmp(state, "error") == 0 || strcmp(state, "canceled") == 0;
}

static bool ends_well(int64_t job)
{
	int64_t end = eng.now + 900 * SEC;

	while (!eng.stop && !job_over(job) && eng.now < end)
		engine_run(eng.now + 50 * MS);
	return strcmp(script_job_state(job), "success") == 0;
}

static bool asks(const char *op, const char *args)
{
	return ends_well(script_request(op, args, 60 * SEC));
}

/*
 * A replica that has lost its disk is not whole again by itself: what the manual tells a person to do, when the request has ended, well or not, and who was
 * interrupted has had the time to come back.
 */
static bool made_whole(int64_t job)
{
	static const char rebuild[] = "{\"name\":\"vm1\",\"on_secondary\":true}";

	if (!ends_well(job))
		engine_run(eng.now + 60 * SEC);
	return (asks("instance.replace_disks", rebuild) ||
		((asks("instance.migrate", NAME_VM1) || asks("instance.failover", NAME_VM1)) && asks("instance.replace_disks", rebuild))) &&
	       script_settle(600 * SEC);
}

/* In a child: the run from the prepared world on. */
static bool run_on(const struct scenario *s, enum kind k, int at, struct counts *ret)
{
	const struct counts before = { W.n_calls, W.n_commits, W.n_frames };

	disturb(k, at);
	int64_t job = script_request(op_infos[s->op].name, s->args, 300 * SEC);
	while (job && !eng.stop && k == NONE && strcmp(script_job_state(job), "success") != 0 && strcmp(script_job_state(job), "error") != 0)
		engine_run(eng.now + 50 * MS);
	*ret = (struct counts){ W.n_calls - before.calls, W.n_commits - before.commits, W.n_frames - before.frames };
	if (s->dark)
		machine_power_on(&W.m[s->dark - 1]);
	bool rest = loses_disk(s) && job ? made_whole(job) : script_settle(1200 * SEC);
	const char *state = job ? script_job_state(job) : "refused";

	if (!rest) {
		(void)printf("%s (%s), %s at %d: %s; job %s\n", s->name, W.m[2].etcd_member ? "3 voters" : "1 voter", kind_names[k], at, W.why, state);
		return false;
	}
	if (k == NONE && (strcmp(state, "success") == 0) == s->refused) {
		(void)printf("%s: undisturbed it ended %s: %s\n", s->name, state, script_answer());
		return false;
	}
	return true;
}

static bool prepare(const struct scenario *s, int voters)
{
	const struct world_conf c = { .seed = 42, .n_machines = 4, .voters = voters, .lease_ms = 12000 };

	world_new(&c);
	engine_run(10 * SEC);
	for (int i = 0; i < 4 && s->setup[i][0]; i++)
		if (strcmp(s->setup[i][0], LOSES_DISK) == 0) {
			drbd_disk_fails(&W.m[strtol(s->setup[i][1], NULL, 10) - 1], "vm1");
			engine_run(eng.now + 10 * SEC);
		} else if (!script_do(s->setup[i][0], s->setup[i][1])) {
			(void)printf("%s: set-up '%s' failed: %s %s\n", s->name, s->setup[i][0], W.why, script_answer());
			return false;
		}
	if (s->dark) {
		machine_power_cut(&W.m[s->dark - 1]);
		engine_run(eng.now + 30 * SEC);
	}
	return true;
}

static int places(enum kind k, const struct counts *c)
{
	int64_t n = 0;

	switch (k) {
	case FAIL:
	case FAIL_AFTER:
	case CRASH_NODE:
	case CRASH_NODE_AFTER: n = c->calls; break;
	case CRASH_COMMIT_AFTER:
	case CRASH_COMMIT_BEFORE: n = c->commits; break;
	case LOSE:
	case DUPLICATE: n = c->frames < FRAMES_MAX ? c->frames : FRAMES_MAX; break;
	case NONE:
	case KINDS:
	default: break;
	}
	return (int)n;
}

/* ---- children ------------------------------------------------------------------------------------------ */

static int running, failed, runs;

static void reap(int at_most)
{
	while (running > at_most) {
		int status = 0;

		if (wait(&status) < 0)
			return;
		running--;
		failed += !WIFEXITED(status) || WEXITSTATUS(status) != 0;
		if (!WIFEXITED(status))
			(void)printf("a run died by signal %d\n", WTERMSIG(status));
	}
}

static bool chosen(size_t scenario, enum kind k, int at)
{
	return ((size_t)at + scenario * 3 + (size_t)k) % (size_t)every == 0;
}

/* A child that makes the world and forks a run for each place. */
static void sweep_one(size_t i, int voters, int only_kind, int only_at)
{
	const struct scenario *s = &scenarios[i];
	struct counts c;
	int pipes[2];

	if (!prepare(s, voters))
		child_exit(1);
	(void)fflush(stdout);
	if (only_kind >= 0)
		child_exit(run_on(s, (enum kind)only_kind, only_at, &c) ? 0 : 1);
	if (pipe(pipes) < 0)
		child_exit(1);
	pid_t pid = fork();
	if (pid == 0) {
		bool ok = run_on(s, NONE, 0, &c);

		(void)fflush(stdout);
		child_exit(write(pipes[1], &c, sizeof(c)) == (ssize_t)sizeof(c) && ok ? 0 : 1);
	}
	running = runs = 1;
	reap(0);
	if (failed || read(pipes[0], &c, sizeof(c)) != (ssize_t)sizeof(c))
		child_exit(1);
	for (int k = FAIL; k < KINDS; k++)
		for (int at = 0; at < places((enum kind)k, &c); at++) {
			if (!chosen(i, (enum kind)k, at))
				continue;
			runs++;
			running++;
			if (fork() == 0) {
				bool ok = run_on(s, (enum kind)k, at, &c);

				(void)fflush(stdout);
				child_exit(ok ? 0 : 1);
			}
			reap(0);
		}
	(void)fprintf(stderr, "%s%s: %lld calls, %lld commits, %lld messages: %d runs, %d failed\n", s->name, voters == 3 ? " (3 voters)" : " (1 voter)",
		      (long long)c.calls, (long long)c.commits, (long long)c.frames, runs, failed);
	child_exit(failed ? 1 : 0);
}

static int uncovered(void)
{
	int missing = 0;

	for (int op = 0; op < OP_COUNT; op++) {
		bool found = op_infos[op].kind != OP_JOB || strcmp(op_infos[op].name, "node.migrate") == 0 ||
			     strcmp(op_infos[op].name, "node.failover") == 0 || strcmp(op_infos[op].name, "node.evacuate") == 0 ||
			     op == OP_cluster_verify_disks || /* fan-outs: other jobs */
			     op == OP_node_cleanse || op == OP_instance_confirm || op == OP_disk_remove_tail; /* tests/sweep/restore.c, tests/sweep/comeback.c */

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
	const char *only = NULL;
	int kind = -1, place = 0, jobs = 1, bad = uncovered(), begun = 0;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--trace") == 0)
			tracing = true;
		else if (strcmp(argv[i], "--every") == 0 && i + 1 < argc)
			every = (int)strtol(argv[++i], NULL, 10);
		else if (strcmp(argv[i], "--jobs") == 0 && i + 1 < argc)
			jobs = (int)strtol(argv[++i], NULL, 10);
		else if (strcmp(argv[i], "--only") == 0 && i + 1 < argc)
			only = argv[++i];
		else if (strcmp(argv[i], "--kind") == 0 && i + 1 < argc)
			kind = (int)strtol(argv[++i], NULL, 10);
		else if (strcmp(argv[i], "--at") == 0 && i + 1 < argc)
			place = (int)strtol(argv[++i], NULL, 10);
	}
	if (every < 1)
		every = 1;
	for (size_t i = 0; i < ARRAY_SIZE(scenarios); i++)
		for (int voters = 1; voters <= 3; voters += 2) {
			if ((only && strcmp(only, scenarios[i].name) != 0) || (scenarios[i].voters && scenarios[i].voters != voters))
				continue;
			(void)fflush(stdout);
			running++;
			begun++;
			if (fork() == 0) {
				running = failed = 0;
				sweep_one(i, voters, kind, place);
			}
			reap(jobs - 1);
		}
	reap(0);
	if (!begun) {
		(void)fprintf(stderr, "no scenario is called '%s'\n", only);
		return 2;
	}
	(void)printf("sweep: one place in %d, %d scenarios failed\n", every, failed + bad);
	return failed + bad ? 1 : 0;
}
