/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one place that says whether it is known that an instance's guest has ended on its node (doc/design/009-failover.adoc). Pure: state in, a finding
 * out; planners, the transaction itself and queries ask it. Internal to core/.
 */
#ifndef CORE_EVIDENCE_H
#define CORE_EVIDENCE_H

#include "core/state.h"

struct evidence_found {
	enum evidence kind;   /* EVIDENCE_NONE: text says what is missing */
	const char *lacks;    /* NONE: one word for it */
	char text[400];
	int64_t apart_ms;     /* LEASE: the target must say itself that it has been apart for so long */
};

void evidence_find(const struct state *st, const struct instance *i, struct evidence_found *ret);
/* In the failover's transaction: does what it rests on still hold? (The target's answer is past: it is pinned.) */
bool evidence_holds(const struct state *st, const struct instance *i, enum evidence kind);
/* How long the surviving replica has been apart from its peer, by its own report; -1 = it is not, or has not told. */
int64_t evidence_apart_ms(const struct state *st, const struct snode *target, const struct instance *i);

#endif
