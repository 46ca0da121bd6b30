/* SPDX-License-Identifier: Apache-2.0 */
/* Worlds with a schedule of their own, for rules that random seeds miss: from the arbitration model's "directed" list. */
#ifndef TESTS_SIM_DIRECTED_H
#define TESTS_SIM_DIRECTED_H

#include <stdbool.h>
#include <stdint.h>

#define DIRECTED_SEEDS 5 /* each world with so many: what it shows may not hang on the delays of one */

struct directed {
	const char *rule; /* of common/rule.h: with it off this world breaks an invariant */
	const char *what;
	bool (*run)(void); /* false: W.why says what is broken, or that the schedule did not come about */
};
extern const struct directed directed[];
extern const int n_directed;
bool directed_run(int i, uint64_t with_seed);

#endif
