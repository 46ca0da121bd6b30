/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The simulation's program. Without arguments what make check runs: the main job undisturbed, and some random worlds.
 *   run --seeds N [--first S] [--jobs J] [--shrink]     random worlds
 *   run --seed S [--without MASK] [--trace]             one of them, again
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/xmem.h"
#include "tests/sim/chaos.h"
#include "tests/sim/directed.h"
#include "tests/sim/script.h"

#define SEEDS_IN_CHECK 40
#define UNHEALED_PERMILLE 120

/* Memory of processes that died is gone with them, as it is with real ones. */
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
	return 1;
}

static bool step(const char *op, const char *args)
{
	bool ok = script_do(op, args);

	(void)printf("%s %s %s: %s %s\n", ok ? "ok:" : "FAILED:", op, args, ok ? "" : W.why, ok ? "" : script_answer());
	return ok;
}

/* The node of the guest goes, a person says so, the guest is failed over; the node comes back. */
static int lose_a_node(void)
{
	int failed = 0;

	machine_power_cut(&W.m[4]);
	engine_run(eng.now + 30 * SEC);
	failed += script_request("node.fence", "{\"name\":\"node5\",\"confirmed_off\":true}", 60 * SEC) == 0;
	engine_run(eng.now + 10 * SEC);
	failed += script_request("instance.failover", "{\"name\":\"vm1\"}", 60 * SEC) == 0;
	engine_run(eng.now + 60 * SEC);
	machine_power_on(&W.m[4]);
	bool ok = script_settle(600 * SEC);
	(void)printf("%s node5 lost, failed over, back: %s %s\n", ok && !failed ? "ok:" : "FAILED:", ok ? "" : W.why, failed ? script_answer() : "");
	return failed + !ok;
}

/* The main job, nothing disturbed: what an operator does in a first hour. */
static int main_job(void)
{
	const struct world_conf c = { .seed = 1, .n_machines = 4, .n_spare = 1, .voters = 3, .lease_ms = 12000 };
	int failed = 0;

	world_new(&c);
	engine_run(10 * SEC);
	failed += !step("instance.add", "{\"name\":\"vm1\",\"disk\":[{\"size\":1024},{\"size\":64}],\"node\":\"node1:node2\",\"no_install\":true}");
	failed += !step("instance.migrate", "{\"name\":\"vm1\"}");
	failed += !step("instance.failover", "{\"name\":\"vm1\"}");
	failed += !step("instance.replace_disks", "{\"name\":\"vm1\",\"new_secondary\":\"node3\"}");
	bool joined = script_join(&W.m[4]);
	(void)printf("%s node.join node5: %s %s\n", joined ? "ok:" : "FAILED:", joined ? "" : W.why, joined ? "" : script_answer());
	failed += !joined;
	failed += !step("instance.replace_disks", "{\"name\":\"vm1\",\"new_secondary\":\"node5\"}");
	failed += !step("instance.migrate", "{\"name\":\"vm1\"}");
	failed += lose_a_node();
	failed += !step("instance.shutdown", "{\"name\":\"vm1\"}");
	failed += !step("instance.startup", "{\"name\":\"vm1\"}");
	failed += !step("instance.remove", "{\"name\":\"vm1\"}");
	(void)printf("main: %.0f simulated seconds, %llu events, %lld writes\n", (double)eng.now / 1e6, (unsigned long long)eng.n_events,
		     (long long)W.counts.writes);
	return failed ? 1 : 0;
}

/* ---- random worlds ------------------------------------------------------------------------------------------- */

struct result {
	enum chaos_end end;
	struct counters counts;
	int64_t us;
	char why[512];
};

/* In a child: memory of the dead processes goes with it. */
static void run_seed(uint64_t seed, uint64_t without, struct result *ret)
{
	int pipes[2];

	memset(ret, 0, sizeof(*ret));
	(void)fflush(stdout);
	if (pipe(pipes) < 0)
		abort();
	pid_t pid = fork();
	if (pid == 0) {
		struct chaos c;

		chaos_draw(seed, &c);
		ret->end = chaos_run(&c, without);
		ret->counts = W.counts;
		ret->us = eng.now;
		(void)str_copy(ret->why, sizeof(ret->why), W.why);
		_exit(write(pipes[1], ret, sizeof(*ret)) == (ssize_t)sizeof(*ret) ? 0 : 1);
	}
	(void)close(pipes[1]);
	if (read(pipes[0], ret, sizeof(*ret)) != (ssize_t)sizeof(*ret)) {
		ret->end = CHAOS_VIOLATION;
		(void)str_copy(ret->why, sizeof(ret->why), "the process died: an assertion or a sanitizer's finding");
	}
	(void)close(pipes[0]);
	(void)waitpid(pid, NULL, 0);
}

/* Leaves out one act after the other for as long as the same end is reached. */
static void shrink(uint64_t seed, const struct result *found)
{
	struct chaos c;
	struct result r;
	uint64_t without = 0;

	chaos_draw(seed, &c);
	for (int i = c.n - 1; i >= 0; i--) {
		run_seed(seed, without | UINT64_C(1) << i, &r);
		if (r.end == found->end && strncmp(r.why, found->why, 12) == 0)
			without |= UINT64_C(1) << i;
	}
	(void)printf("seed %llu: %s\n", (unsigned long long)seed, found->why);
	chaos_print(&c, without);
	(void)printf("  replay: tests/sim/run --seed %llu --without 0x%llx --trace\n", (unsigned long long)seed, (unsigned long long)without);
}

static void add(struct counters *sum, const struct counters *c)
{
	int64_t *to = (int64_t *)(void *)sum;
	const int64_t *from = (const int64_t *)(const void *)c;

	for (size_t i = 0; i < sizeof(*sum) / sizeof(int64_t); i++)
		to[i] += from[i];
}

static int seeds(uint64_t first, uint64_t n, int job, int jobs, bool shrinks)
{
	struct counters sum;
	int64_t us = 0, ends[4] = { 0, 0, 0, 0 };
	struct result r;

	memset(&sum, 0, sizeof(sum));
	for (uint64_t s = first + (uint64_t)job; s < first + n; s += (uint64_t)jobs) {
		run_seed(s, 0, &r);
		ends[r.end]++;
		us += r.us;
		add(&sum, &r.counts);
		if (r.end == CHAOS_HEALED)
			continue;
		if (shrinks)
			shrink(s, &r);
		else
			(void)printf("seed %llu: %s: %s\n", (unsigned long long)s, r.end == CHAOS_STUCK ? "not healed" : r.end == CHAOS_NO_START ? "not begun" : "VIOLATION", r.why);
	}
	(void)printf("worlds %lld, simulated hours %.1f; violations %lld, not healed %lld, not begun %lld\n",
		     (long long)(ends[0] + ends[1] + ends[2] + ends[3]), (double)us / 3.6e9, (long long)ends[CHAOS_VIOLATION], (long long)ends[CHAOS_STUCK],
		     (long long)ends[CHAOS_NO_START]);
	(void)printf("faults: %lld power cuts, %lld daemons killed, %lld stalls, %lld cuts (%lld one-way), %lld disk faults, %lld clock jumps, "
		     "%lld store faults, %lld failed calls\n",
		     (long long)sum.power_cuts, (long long)sum.daemon_kills, (long long)sum.stalls, (long long)sum.cuts, (long long)sum.oneway_cuts,
		     (long long)sum.disk_failures, (long long)sum.clock_jumps, (long long)sum.store_faults, (long long)sum.call_failures);
	(void)printf("%lld requests, %lld failovers after a fence, %lld migrations, %lld guest starts, %lld writes, %lld split brains seen by DRBD\n", (long long)sum.jobs,
		     (long long)sum.failovers, (long long)sum.migrations, (long long)sum.guest_starts, (long long)sum.writes, (long long)sum.split_brains);
	/* What is known not to heal yet stands in doc/design/007: it may not grow unseen. */
	bool too_many = 1000 * ends[CHAOS_STUCK] > UNHEALED_PERMILLE * (ends[0] + ends[1] + ends[2] + ends[3]) + 2000;
	return ends[CHAOS_VIOLATION] || ends[CHAOS_NO_START] || too_many ? 1 : 0;
}

/* With all rules on nothing breaks; tests/sim/mutations shows that each notices its rule. */
static int directed_worlds(void)
{
	int bad = 0;

	for (int i = 0; i < n_directed; i++) {
		(void)fflush(stdout);
		pid_t pid = fork();
		if (pid == 0) {
			bool ok = directed[i].run();

			(void)printf("%s directed %s: %s %s\n", ok ? "ok:" : "FAILED:", directed[i].rule, directed[i].what, ok ? "" : W.why);
			(void)fflush(stdout);
			_exit(ok ? 0 : 1);
		}
		int status = 0;
		bad |= waitpid(pid, &status, 0) < 0 || status != 0;
	}
	return bad;
}

static int replay(uint64_t seed, uint64_t without)
{
	struct chaos c;

	chaos_draw(seed, &c);
	chaos_print(&c, without);
	enum chaos_end e = chaos_run(&c, without);
	(void)printf("seed %llu: %s %s\n", (unsigned long long)seed, e == CHAOS_HEALED ? "healed" : e == CHAOS_STUCK ? "not healed:" : "VIOLATION:", W.why);
	return e == CHAOS_HEALED ? 0 : 1;
}

int main(int argc, char **argv)
{
	uint64_t first = 1, n = 0, seed = 0, without = 0;
	int jobs = 1, bad = 0;
	bool shrinks = false, one = false;

	for (int i = 1; i < argc; i++) {
		const char *value = i + 1 < argc ? argv[i + 1] : "0";

		if (strcmp(argv[i], "--trace") == 0)
			tracing = true;
		else if (strcmp(argv[i], "--shrink") == 0)
			shrinks = true;
		else if (strcmp(argv[i], "--seeds") == 0)
			n = strtoull(value, NULL, 0), i++;
		else if (strcmp(argv[i], "--first") == 0)
			first = strtoull(value, NULL, 0), i++;
		else if (strcmp(argv[i], "--jobs") == 0)
			jobs = (int)strtol(value, NULL, 0), i++;
		else if (strcmp(argv[i], "--seed") == 0)
			seed = strtoull(value, NULL, 0), i++, one = true;
		else if (strcmp(argv[i], "--without") == 0)
			without = strtoull(value, NULL, 0), i++;
	}
	if (one)
		return replay(seed, without);
	if (!n) {
		bad = directed_worlds();
		bad |= main_job();
		return bad | seeds(1, SEEDS_IN_CHECK, 0, 1, false);
	}
	for (int j = 1; j < jobs; j++)
		if (fork() == 0)
			_exit(seeds(first, n, j, jobs, shrinks) + (fflush(stdout) != 0));
	bad = seeds(first, n, 0, jobs, shrinks);
	for (int j = 1; j < jobs; j++) {
		int status = 0;

		bad |= wait(&status) < 0 || status != 0;
	}
	return bad;
}
