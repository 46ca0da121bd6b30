/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Switches each safety rule of common/rule.h off and runs random and directed worlds: which rules does somebody miss?
 *   mutations [--seeds N] [--first S] [--rule NAME[+NAME...]] [--jobs J] [--all 1] [--trace 1]
 * RED: a world breaks an invariant. red: several do not come to rest that do with all rules on. Fails when a rule stays white that is not in
 * `not_shown`.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

/* Together they are missed. */
static const char *const sets[] = { "ASK_NUMBER+SAID_SYNC" };

/*
 * Not shown yet: neither random worlds nor a directed one miss them, because another rule, or the kernel, stands in for each, or because their
 * window is narrow. "--all 1" tries them too.
 */
static const char *const not_shown[] = {
	"ASK_NUMBER", "GROW_BOTH", "ASK_GEN",     "SAID_SYNC", "CUT_FIRST", "ASK_DISK", "ASK_CURRENT",  "SHRINK",       "PULL",      "END_PRIMARY",
	"NODE_EPOCH", "SEQ_GUARD", "EPOCH_GUARD", "JOURNAL",   "TOMBSTONE", "SPEAK",    "LEASE_MARGIN", "SILENT_SINCE", "SUPERSEDE",
};

#define WORLD_S 60 /* of wall clock: a world that hangs is cut off */
#define SEEDS 400
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

		(void)alarm(WORLD_S);
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

static bool has(const char *names, const char *name)
{
	return bits_of(names) & bits_of(name);
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

/* In a process of its own. True: somebody misses them. */
static bool try_rules(const char *names, int64_t first, int64_t n)
{
	int64_t stuck = 0, shown = 0, s = 0;
	struct end e = { CHAOS_HEALED, "" }, bad = { CHAOS_HEALED, "" };
	uint64_t off = bits_of(names);

	for (int d = 0; d < n_directed && bad.end != CHAOS_VIOLATION; d++)
		if (has(names, directed[d].rule))
			bad = try_directed(names, d, off, &shown);
	for (; s < n && bad.end != CHAOS_VIOLATION && stuck < STUCK_ENOUGH; s++) {
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
	return found;
}

static bool shown(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(not_shown); i++)
		if (strcmp(not_shown[i], name) == 0)
			return false;
	return true;
}

int main(int argc, char **argv)
{
	int64_t n = SEEDS, first = 1;
	int jobs = 1, running = 0, bad = 0, tried = 0;
	bool all = false;
	const char *only = NULL;

	for (int i = 1; i + 1 < argc; i += 2) {
		if (strcmp(argv[i], "--seeds") == 0)
			n = strtoll(argv[i + 1], NULL, 10);
		else if (strcmp(argv[i], "--first") == 0)
			first = strtoll(argv[i + 1], NULL, 10);
		else if (strcmp(argv[i], "--rule") == 0)
			only = argv[i + 1];
		else if (strcmp(argv[i], "--jobs") == 0)
			jobs = (int)strtol(argv[i + 1], NULL, 10);
		else if (strcmp(argv[i], "--all") == 0)
			all = strcmp(argv[i + 1], "0") != 0;
		else if (strcmp(argv[i], "--trace") == 0)
			tracing = strcmp(argv[i + 1], "0") != 0;
	}
	if (only)
		return try_rules(only, first, n) ? 0 : 1;
	const int n_tries = (int)(RULE_COUNT + ARRAY_SIZE(sets));
	for (int r = 0; r < n_tries || running; r++) {
		const char *names = r < (int)RULE_COUNT ? rules[r].name : r < n_tries ? sets[r - (int)RULE_COUNT] : NULL;
		bool begin = names && (all || shown(names));

		tried += begin;
		(void)fflush(stdout);
		if (begin && fork() == 0)
			_exit(try_rules(names, first, n) || !shown(names) ? 0 : 1);
		running += begin;
		while (running >= jobs || (!names && running)) {
			int status = 0;

			if (wait(&status) < 0)
				return 1;
			running--;
			bad += status != 0;
		}
	}
	(void)printf("mutations: %d tries of %d rules; %d are missed by nobody, and should be\n", tried, (int)RULE_COUNT, bad);
	return bad ? 1 : 0;
}
