/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Switches each safety rule of common/rule.h off and runs random worlds: which rules does somebody miss?
 *   mutations [--seeds N] [--first S] [--rule NAME]
 * A rule is red when a world breaks an invariant, or comes to no rest, that is in order with all rules on.
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

int rule_off = -1;

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

#define WORLD_S 60 /* of wall clock: a world that hangs is cut off */

struct end {
	enum chaos_end end;
	char why[200];
};

/* seed < 0: the directed world -1 - seed. */
static struct end run_world(int64_t seed, int off)
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
		if (!freopen("/dev/null", "w", stderr))
			_exit(1);
		rule_off = off;
		if (seed < 0) {
			e.end = directed[-1 - seed].run() ? CHAOS_HEALED : CHAOS_VIOLATION;
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

int main(int argc, char **argv)
{
	int64_t n = 40, first = 1, white = 0;
	const char *only = NULL;

	for (int i = 1; i + 1 < argc; i += 2) {
		if (strcmp(argv[i], "--seeds") == 0)
			n = strtoll(argv[i + 1], NULL, 10);
		else if (strcmp(argv[i], "--first") == 0)
			first = strtoll(argv[i + 1], NULL, 10);
		else if (strcmp(argv[i], "--rule") == 0)
			only = argv[i + 1];
	}
	bool *good = xcalloc((size_t)n, sizeof(*good));
	int64_t n_good = 0;
	for (int64_t s = 0; s < n; s++) {
		good[s] = run_world(first + s, -1).end == CHAOS_HEALED;
		n_good += good[s];
	}
	(void)printf("all rules on: %lld of %lld worlds heal\n", (long long)n_good, (long long)n);
	for (int r = 0; r < (int)RULE_COUNT; r++) {
		int64_t broken = 0, stuck = 0;
		struct end shown = { CHAOS_HEALED, "" };
		int64_t shown_seed = 0;

		if (only && strcmp(only, rules[r].name) != 0)
			continue;
		for (int d = 0; d < n_directed; d++) {
			if (strcmp(directed[d].rule, rules[r].name) != 0)
				continue;
			shown = run_world(-1 - d, r);
			shown_seed = -1 - d;
			broken += shown.end == CHAOS_VIOLATION && !strstr(shown.why, "does not come about");
		}
		for (int64_t s = 0; s < n && broken < 1; s++) {
			if (!good[s])
				continue;
			struct end e = run_world(first + s, r);

			broken += e.end == CHAOS_VIOLATION;
			stuck += e.end == CHAOS_STUCK || e.end == CHAOS_NO_START;
			if ((e.end == CHAOS_VIOLATION && shown.end != CHAOS_VIOLATION) || (e.end != CHAOS_HEALED && shown.end == CHAOS_HEALED)) {
				shown = e;
				shown_seed = first + s;
			}
		}
		white += broken == 0 && stuck == 0;
		(void)printf("%-5s %-15s %2lld broken %2lld stuck  %s%s seed %lld: %s\n", broken ? "RED" : stuck ? "red" : "white", rules[r].name,
			     (long long)broken, (long long)stuck, rules[r].text, broken || stuck ? ";" : "", (long long)shown_seed, shown.why);
		(void)fflush(stdout);
	}
	free(good);
	(void)printf("%lld rules that nothing missed\n", (long long)white);
	return 0;
}
