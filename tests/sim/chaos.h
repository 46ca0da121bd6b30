/* SPDX-License-Identifier: Apache-2.0 */
/* Random worlds: a schedule of faults and requests drawn from a seed, then healing. */
#ifndef TESTS_SIM_CHAOS_H
#define TESTS_SIM_CHAOS_H

#include "tests/sim/world.h"

#define ACTS_MAX 40

enum act_kind {
	ACT_POWER, ACT_NODED, ACT_MASTERD, ACT_STALL_NODED, ACT_STALL_MASTERD, ACT_ISOLATE, ACT_CUT_PAIR, ACT_CUT_ONE_WAY, ACT_CUT_REPL,
	ACT_DISK, ACT_DISK_FULL, ACT_CLOCK, ACT_STORE, ACT_CALLS, ACT_MIGRATE, ACT_FAILOVER, ACT_SHUTDOWN, ACT_STARTUP, ACT_REBUILD, ACT_REPLACE,
	ACT_FENCE, ACT_FENCED, ACT_STALL_FENCED, ACT_FREEZE, ACT_KINDS
};

struct act {
	enum act_kind kind;
	int64_t at, lasts; /* from the schedule's begin */
	int a, b, instance;
	int net;           /* NET_FRONT, NET_REPL, NETS = both */
};

struct chaos {
	struct world_conf conf;
	int n_instances;
	bool ha[2];        /* is failed over by itself */
	int agent[MACHINES_MAX]; /* 0 = none; see agents[] */
	struct act acts[ACTS_MAX];
	int n;
};

enum chaos_end { CHAOS_HEALED, CHAOS_VIOLATION, CHAOS_STUCK, CHAOS_NO_START, CHAOS_GONE, CHAOS_ENDS }; /* GONE: every disk with the data has failed, nothing can heal that */

const char *act_name(enum act_kind k);
void chaos_draw(uint64_t seed, struct chaos *ret);
/* Without the acts whose bit is set. What was not so stands in W.why, what happened in W.counts. */
enum chaos_end chaos_run(const struct chaos *c, uint64_t without);
void chaos_print(const struct chaos *c, uint64_t without);

#endif
