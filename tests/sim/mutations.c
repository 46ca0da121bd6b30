/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Switches each safety rule of common/rule.h off and runs random and directed worlds: which rules does somebody miss?
 *   mutations [--seeds N] [--first S] [--rule NAME[+NAME...]] [--jobs J] [--all 1] [--trace 1]
 *   mutations --world NAME[+NAME...] [--rule NAME[+NAME...]] [--first S] [--trace 1]     one directed world, with these rules off
 * RED: a world breaks an invariant. red: several do not come to rest that do with all rules on. A rule is tried alone, or, where others stand in for
 * it (`depth`), together with them. Fails when one stays white; "--all 1" tries those of `depth` alone too.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/rule.h"
#include "common/xmem.h"
#include "tests/sim/chaos.h"
#include "tests/sim/directed.h"

uint64_t rules_off;

int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
	return 1;
}

static const struct {
	const char *name, *text;
} rules[] = {
#define R(name, text) { #name, text },
	RULES(R)
#undef R
};

/*
 * Rules that stand in for each other: alone nobody misses the one that is named, with the others off a directed world does. That world is also run with
 * each one of them on, and must be in order then: so no smaller set would do.
 */
static const struct {
	const char *rule, *set;
} depth[] = {
	{ "CUT_FIRST", "CUT_FIRST+SAID_SYNC" },
	{ "ASK_DISK", "ASK_DISK+TEAR_DISKLESS" },
	{ "ASK_CURRENT", "MARK+ASK_CURRENT" },
	{ "END_PRIMARY", "END_PRIMARY+HARD_CUT" },
	{ "NODE_EPOCH", "NODE_EPOCH+SPEAK+JOURNAL" },
};

/* Each is missed alone, and together also in a world in which one of them alone is not. */
static const char *const also[] = { "ASK_NUMBER+SAID_SYNC" };

#define WORLD_S 60 /* of processor time: a world that hangs is cut off, one that the machine leaves no time is not */
#define SEEDS 400
#define LEAST_SEEDS 2
#define STUCK_ENOUGH 4 /* worlds that do not come to rest, before it is called red: one or two are chance, the run is another one */

struct end {
	enum chaos_end end;
	char why[200];
};

/* seed < 0: a directed world, of the seeds that each of them has. */
static struct end run_world(int64_t seed, uint64_t off)
{
	struct end e = { CHAOS_VIOLATION, "the process died" };
	int pipes[2];

	(void)fflush(stdout);
	if (pipe(pipes) < 0)
		abort();
	pid_t pid = fork();
	if (pid == 0) {
		struct chaos c;

		const struct rlimit hangs = { WORLD_S, WORLD_S + 1 };

		if (setrlimit(RLIMIT_CPU, &hangs) < 0)
			_exit(1);
		if (!tracing && !freopen("/dev/null", "w", stderr))
			_exit(1);
		rules_off = off;
		if (seed < 0) {
			e.end = directed_run((int)((-1 - seed) / DIRECTED_SEEDS), (uint64_t)((-1 - seed) % DIRECTED_SEEDS + 1)) ? CHAOS_HEALED : CHAOS_VIOLATION;
		} else {
			chaos_draw((uint64_t)seed, &c);
			e.end = chaos_run(&c, 0);
		}
		(void)snprintf(e.why, sizeof(e.why), "%.180s", W.why);
		_exit(write(pipes[1], &e, sizeof(e)) == (ssize_t)sizeof(e) ? 0 : 1);
	}
	(void)close(pipes[1]);
	if (read(pipes[0], &e, sizeof(e)) != (ssize_t)sizeof(e)) {
		e.end = CHAOS_VIOLATION;
		(void)str_copy(e.why, sizeof(e.why), "the process died: an assertion, or it hung");
	}
	(void)close(pipes[0]);
	(void)waitpid(pid, NULL, 0);
	return e;
}

/* A world counts only when it is in order with all rules on. */
static bool in_order(int64_t seed)
{
	return run_world(seed, 0).end == CHAOS_HEALED;
}

static int number_of(const char *name, size_t len)
{
	for (int r = 0; r < (int)RULE_COUNT; r++)
		if (strlen(rules[r].name) == len && strncmp(rules[r].name, name, len) == 0)
			return r;
	(void)fprintf(stderr, "mutations: there is no rule '%s'\n", name);
	exit(2);
}

/* "A" or "A+B+C" */
static uint64_t bits_of(const char *names)
{
	uint64_t bits = 0;

	for (const char *p = names; *p;) {
		size_t len = strcspn(p, "+");

		bits |= UINT64_C(1) << number_of(p, len);
		p += len + (p[len] == '+');
	}
	return bits;
}

/* The first of its seeds that notices; a world whose schedule does not come about has noticed nothing. */
static struct end try_directed(const char *names, int d, uint64_t off, int64_t *ret_seed)
{
	struct end e = { CHAOS_HEALED, "" };

	for (int i = 0; i < DIRECTED_SEEDS; i++) {
		int64_t seed = -1 - (int64_t)d * DIRECTED_SEEDS - i;

		e = run_world(seed, off);
		if (e.end == CHAOS_VIOLATION && !strstr(e.why, "does not come about")) {
			*ret_seed = seed;
			return e;
		}
		(void)printf("      %s: its directed world notices nothing with seed %d: %s\n", names, i + 1, e.why);
	}
	return (struct end){ CHAOS_HEALED, "" };
}

/* With any one of them on, its directed world is in order. */
static bool is_least(const char *names, int d)
{
	uint64_t all = bits_of(names);
	bool least = true;

	for (int r = 0; r < (int)RULE_COUNT; r++) {
		uint64_t one = UINT64_C(1) << r;

		if (!(all & one))
			continue;
		for (int i = 0; i < LEAST_SEEDS; i++) {
			struct end e = run_world(-1 - (int64_t)d * DIRECTED_SEEDS - i, all & ~one);

			if (e.end == CHAOS_HEALED)
				continue;
			(void)printf("      %s: with %s on its world is not in order: %s\n", names, rules[r].name, e.why);
			least = false;
		}
	}
	return least;
}

/* In a process of its own. True: somebody misses them. */
static bool try_rules(const char *names, int64_t first, int64_t n)
{
	int64_t stuck = 0, shown = 0, s = 0;
	struct end e = { CHAOS_HEALED, "" }, bad = { CHAOS_HEALED, "" };
	uint64_t off = bits_of(names);
	bool set = strchr(names, '+'), least = true;

	for (int d = 0; d < n_directed && bad.end != CHAOS_VIOLATION; d++)
		if (strcmp(names, directed[d].rule) == 0) {
			bad = try_directed(names, d, off, &shown);
			least = !set || is_least(names, d);
		}
	for (; s < n && !set && bad.end != CHAOS_VIOLATION && stuck < STUCK_ENOUGH; s++) {
		e = run_world(first + s, off);
		if (e.end == CHAOS_HEALED || e.end == CHAOS_GONE || !in_order(first + s))
			continue;
		stuck += e.end != CHAOS_VIOLATION;
		bad = e;
		shown = first + s;
	}
	bool found = bad.end == CHAOS_VIOLATION || stuck >= STUCK_ENOUGH;
	(void)printf("%-5s %s after %lld worlds%s", bad.end == CHAOS_VIOLATION ? "RED" : found ? "red" : "white", names, (long long)s, found ? "" : "\n");
	if (found)
		(void)printf("; seed %lld: %s\n", (long long)shown, bad.why);
	(void)fflush(stdout);
	return found && least;
}

static int one_world(const char *world, const char *off, int64_t seed)
{
	int bad = 0;

	for (int d = 0; d < n_directed; d++) {
		if (strcmp(directed[d].rule, world) != 0)
			continue;
		struct end e = run_world(-seed - (int64_t)d * DIRECTED_SEEDS, off ? bits_of(off) : 0);

		bad += e.end != CHAOS_HEALED;
		(void)printf("%s, seed %lld, without %s: %s\n", world, (long long)seed, off ? off : "nothing", e.end == CHAOS_HEALED ? "in order" : e.why);
	}
	return bad;
}

/* What stands in for it; NULL = nothing. */
static const char *set_of(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(depth); i++)
		if (strcmp(depth[i].rule, name) == 0)
			return depth[i].set;
	return NULL;
}

/* The n-th try; NULL = there are no more. */
static const char *try_of(int n, bool alone)
{
	if (n < (int)RULE_COUNT)
		return !alone && set_of(rules[n].name) ? set_of(rules[n].name) : rules[n].name;
	return n < (int)(RULE_COUNT + ARRAY_SIZE(also)) ? also[n - (int)RULE_COUNT] : NULL;
}

int main(int argc, char **argv)
{
	int64_t n = SEEDS, first = 1;
	int jobs = 1, running = 0, bad = 0, tried = 0;
	bool all = false;
	const char *only = NULL, *world = NULL;

	for (int i = 1; i + 1 < argc; i += 2) {
		if (strcmp(argv[i], "--seeds") == 0)
			n = strtoll(argv[i + 1], NULL, 10);
		else if (strcmp(argv[i], "--first") == 0)
			first = strtoll(argv[i + 1], NULL, 10);
		else if (strcmp(argv[i], "--rule") == 0)
			only = argv[i + 1];
		else if (strcmp(argv[i], "--world") == 0)
			world = argv[i + 1];
		else if (strcmp(argv[i], "--jobs") == 0)
			jobs = (int)strtol(argv[i + 1], NULL, 10);
		else if (strcmp(argv[i], "--all") == 0)
			all = strcmp(argv[i + 1], "0") != 0;
		else if (strcmp(argv[i], "--trace") == 0)
			tracing = strcmp(argv[i + 1], "0") != 0;
	}
	if (world)
		return one_world(world, only, first);
	if (only)
		return try_rules(only, first, n) ? 0 : 1;
	for (int r = 0; try_of(r, all) || running; r++) {
		const char *names = try_of(r, all);

		tried += names != NULL;
		(void)fflush(stdout);
		if (names && fork() == 0)
			_exit(try_rules(names, first, n) || (all && set_of(names)) ? 0 : 1);
		running += names != NULL;
		while (running >= jobs || (!names && running)) {
			int status = 0;

			if (wait(&status) < 0)
				return 1;
			running--;
			bad += status != 0;
		}
	}
	(void)printf("mutations: %d rules, %d of them missed alone, %d where others are off that stand in for them; %d tries, %d of them failed\n", (int)RULE_COUNT,
		     (int)(RULE_COUNT - ARRAY_SIZE(depth)), (int)ARRAY_SIZE(depth), tried, bad);
	return bad ? 1 : 0;
}
