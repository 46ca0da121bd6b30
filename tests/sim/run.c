/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The simulation's program. Without arguments what make check runs: the main job undisturbed, and some random worlds.
 *   run --seeds N [--first S] [--jobs J] [--shrink]     random worlds
 *   run --seed S [--without MASK] [--trace]             one of them, again
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/log.h"
#include "common/xmem.h"
#include "tests/sim/chaos.h"
#include "tests/sim/directed.h"
#include "tests/sim/script.h"

#define SEEDS_IN_CHECK 200
#define UNHEALED_MAX 0 /* all heal; a world for which that is not so yet is named in doc/design/007 */

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
		child_exit(write(pipes[1], ret, sizeof(*ret)) == (ssize_t)sizeof(*ret) ? 0 : 1);
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

static const char *const end_names[CHAOS_ENDS] = {
	[CHAOS_HEALED] = "healed", [CHAOS_VIOLATION] = "VIOLATION", [CHAOS_STUCK] = "not healed", [CHAOS_NO_START] = "not begun", [CHAOS_GONE] = "all disks failed",
};

struct total { /* of one job */
	struct counters sum;
	int64_t us, ends[CHAOS_ENDS];
};

/* Every jobs-th seed, in a process of its own: what it found stands in shared memory when it ends. */
static void run_seeds(uint64_t first, uint64_t n, int job, int jobs, bool shrinks, struct total *t)
{
	struct result r;

	for (uint64_t s = first + (uint64_t)job; s < first + n; s += (uint64_t)jobs) {
		run_seed(s, 0, &r);
		t->ends[r.end]++;
		t->us += r.us;
		add(&t->sum, &r.counts);
		if (r.end == CHAOS_HEALED || r.end == CHAOS_GONE)
			continue;
		if (shrinks || r.end == CHAOS_VIOLATION)
			shrink(s, &r);
		else
			(void)printf("seed %llu: %s: %s\n", (unsigned long long)s, end_names[r.end], r.why);
	}
	(void)fflush(stdout);
}

static double cpu_s(void)
{
	struct rusage self, children;

	(void)getrusage(RUSAGE_SELF, &self);
	(void)getrusage(RUSAGE_CHILDREN, &children);
	return (double)(self.ru_utime.tv_sec + self.ru_stime.tv_sec + children.ru_utime.tv_sec + children.ru_stime.tv_sec) +
	       (double)(self.ru_utime.tv_usec + self.ru_stime.tv_usec + children.ru_utime.tv_usec + children.ru_stime.tv_usec) / 1e6;
}

static int report(const struct total *t, double cpu)
{
	const struct counters *c = &t->sum;
	int64_t worlds = 0;

	for (int e = 0; e < CHAOS_ENDS; e++)
		worlds += t->ends[e];
	(void)printf("worlds %lld, simulated hours %.1f (%.0f a minute of processor time); violations %lld, not healed %lld, not begun %lld, all disks failed %lld\n",
		     (long long)worlds, (double)t->us / 3.6e9, (double)t->us / 3.6e9 / (cpu / 60), (long long)t->ends[CHAOS_VIOLATION],
		     (long long)t->ends[CHAOS_STUCK], (long long)t->ends[CHAOS_NO_START], (long long)t->ends[CHAOS_GONE]);
	(void)printf("faults: %lld power cuts, %lld daemons killed, %lld stalls, %lld cuts (%lld one-way), %lld disk faults, %lld clock jumps, %lld store faults, "
		     "%lld failed calls, %lld fenced killed, %lld machines frozen\n",
		     (long long)c->power_cuts, (long long)c->daemon_kills, (long long)c->stalls, (long long)c->cuts, (long long)c->oneway_cuts,
		     (long long)c->disk_failures, (long long)c->clock_jumps, (long long)c->store_faults, (long long)c->call_failures, (long long)c->fenced_kills,
		     (long long)c->freezes);
	(void)printf("failovers: %lld by lease, %lld by power, %lld by report, %lld by a person's word; %lld watchdog resets, %lld switched off by agents\n",
		     (long long)c->by_lease, (long long)c->by_power, (long long)c->by_report, (long long)c->by_person, (long long)c->watchdog_resets,
		     (long long)c->fenced_off);
	(void)printf("%lld requests, %lld guest starts, %lld writes acknowledged, %lld split brains seen by DRBD, %lld times --ignore-consistency\n", (long long)c->jobs, (long long)c->guest_starts,
		     (long long)c->writes, (long long)c->split_brains, (long long)c->last_resorts);
	bool too_many = t->ends[CHAOS_STUCK] > UNHEALED_MAX;
	if (too_many)
		(void)printf("FAILED: %lld worlds do not heal\n", (long long)t->ends[CHAOS_STUCK]);
	return t->ends[CHAOS_VIOLATION] || t->ends[CHAOS_NO_START] || too_many ? 1 : 0;
}

static int seeds(uint64_t first, uint64_t n, int jobs, bool shrinks)
{
	struct total *t = mmap(NULL, (size_t)jobs * sizeof(*t), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	double began = cpu_s();
	bool died = false;

	if (t == MAP_FAILED)
		abort();
	(void)fflush(stdout);
	for (int j = 1; j < jobs; j++)
		if (fork() == 0) {
			run_seeds(first, n, j, jobs, shrinks, &t[j]);
			child_exit(0);
		}
	run_seeds(first, n, 0, jobs, shrinks, &t[0]);
	for (int j = 1; j < jobs; j++) {
		int status = 0;

		died |= wait(&status) < 0 || status != 0;
		add(&t[0].sum, &t[j].sum);
		t[0].us += t[j].us;
		for (int e = 0; e < CHAOS_ENDS; e++)
			t[0].ends[e] += t[j].ends[e];
	}
	return report(&t[0], cpu_s() - began) | died;
}

/* With all rules on nothing breaks; tests/sim/mutations shows that each notices its rule. */
static int directed_world(int i)
{
	for (uint64_t seed = 1; seed <= DIRECTED_SEEDS; seed++) {
		(void)fflush(stdout);
		pid_t pid = fork();
		if (pid == 0) {
			bool ok = directed_run(i, seed);

			if (!ok)
				(void)printf("FAILED: directed %s, seed %llu: %s: %s\n", directed[i].rule, (unsigned long long)seed, directed[i].what, W.why);
			(void)fflush(stdout);
			child_exit(ok ? 0 : 1);
		}
		int status = 0;
		if (waitpid(pid, &status, 0) < 0 || status != 0)
			return 1;
	}
	(void)printf("ok: directed %s: %s\n", directed[i].rule, directed[i].what);
	return 0;
}

static int directed_worlds(void)
{
	int bad = 0;

	for (int i = 0; i < n_directed; i++)
		bad |= directed_world(i);
	return bad;
}

static int replay(uint64_t seed, uint64_t without)
{
	struct chaos c;

	chaos_draw(seed, &c);
	chaos_print(&c, without);
	enum chaos_end e = chaos_run(&c, without);
	(void)printf("seed %llu: %s %s\n", (unsigned long long)seed, end_names[e], W.why);
	return e == CHAOS_HEALED || e == CHAOS_GONE ? 0 : 1;
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
		else if (strcmp(argv[i], "--debug") == 0)
			tracing = true, trace_level = LOG_LEVEL_DEBUG;
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
		return bad | seeds(1, SEEDS_IN_CHECK, 1, false);
	}
	return seeds(first, n, jobs < 1 ? 1 : jobs, shrinks);
}
