/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A cluster in one process for the sweeps: the shipped core, a store that may lose answers, nodes that carry out step orders on a
 * model of volumes, DRBD and guests. The clock is a number. The model shares no code with what it checks.
 */
#ifndef TESTS_SWEEP_WORLD_H
#define TESTS_SWEEP_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#include "common/rng.h"
#include "core/core.h"
#include "core/state.h"

#define W_NODES 4
#define W_THINGS 64

/* What a node has of one instance. */
struct w_thing {
	char uuid[UUID_LEN + 1];
	bool volumes, conf, md, attached, connecting, primary, two, guest, paused, incoming;
	char tag[UUID_LEN + 1]; /* of a volume that the node reports; "" = it is not said */
	int64_t disk_mib, device_mib; /* of disk 0: its volume, and what DRBD makes of it */
	bool stale;     /* lacks writes */
	int64_t gen;
	int64_t apart_since_ms; /* 0 = connected */
	int64_t connected_ms;   /* last moment at which it was */
	bool frozen;
	bool diverged, split;   /* wrote alone: it does not connect without discarding that; DRBD has said so */
	int64_t kept_gen, kept_ms; /* a snapshot of what it wrote alone; 0 = none */
	int overwritten;        /* how often it connected discarding its data without one */
	bool ha, separated;     /* separated: its replication link is cut, on this side's word enough for both */
	int64_t ha_rev, memory_mib;
};

struct w_record { /* the node's memory of an order */
	int64_t job;
	int index, dir;
	bool ended, tombstone;
	int attempt;
	char *result;   /* encoded msg_step_result */
};

struct w_node {
	char uuid[UUID_LEN + 1], name[NAME_LEN + 1];
	bool up, relink, mute, cut, front_cut; /* mute: its beats are not answered; cut: no link to the master, all else goes on */
	bool no_watchdog, no_room;
	bool no_report;             /* it has not come to look at itself yet */
	int64_t watchdog_proven_ms; /* as it says itself */
	int64_t beat_ms; /* when its last beat was answered */
	int boots;
	struct w_thing things[W_THINGS];
	int n_things;
	struct w_record *records;
	int n_records;
	int64_t epoch;
	bool etcd, masterd;
};

struct w_store_step { /* an etcd membership call under way */
	int64_t epoch, job;
	int index;
	enum step_dir dir;
};

struct w_msg { /* under way, in both directions */
	int64_t at_ms;
	int node;
	bool to_node;
	char *text;
};

struct world {
	struct rng rng;
	int64_t now_ms;
	struct core_put *kvs; /* the store */
	int n_kvs;
	int64_t seq, epoch;
	struct core *core;
	struct w_node nodes[W_NODES];
	int n_nodes;
	struct w_msg *msgs;
	int n_msgs;
	struct w_store_step *store_steps;
	int n_store_steps;
	/* what a sweep injects */
	int fail_at;          /* n-th order executed fails; -1 = none */
	int orders;           /* executed so far */
	int crash_commit;     /* the master dies after the n-th commit has reached the store, before it is told; -1 = none */
	int lose_commit;      /* the master dies before the n-th commit reaches the store; -1 = none */
	int commits, told;    /* begun; answered */
	int crash_node_at;    /* the node dies before (even) or after (odd) its n/2-th order; -1 = none */
	int lose_msg;         /* n-th message is lost (the link breaks); -1 = none */
	int dup_msg;          /* n-th message comes twice; -1 = none */
	int n_sent;
	/* answers to the sweep's own requests */
	char *last_reply;
	int64_t told_to_wait_ms; /* by the last verdict that reached a node */
	uint64_t last_client;
	bool no_power;        /* fence agents fail */
	bool resyncs;         /* replicas that are connected get in sync by themselves, as DRBD does; else only while a job waits for it */
	int drills;           /* watchdogs that were told not to be fed */
	bool agent_hangs;     /* they do not answer before they are canceled */
	int shots;            /* how often one switched a node off */
	bool failed;
	char why[256];
};

/* SWEEP_SEED of the environment, which the nightly sweeps set; else usual. */
uint64_t world_seed(uint64_t usual);
struct world *world_new(uint64_t seed, int n_nodes, bool arbitrated);
void world_free(struct world *w);
/* Files a request; returns the job number, 0 when it was refused (w->last_reply says why) or is no job. */
int64_t world_request(struct world *w, const char *op, const char *args_json);
/* Runs until no job is open and nothing is under way, or for at most max_ms of its own clock. False = it did not come to rest. */
bool world_settle(struct world *w, int64_t max_ms);
void world_run(struct world *w, int64_t ms);
/* Ends the master and starts its successor from the store. */
void world_master_crash(struct world *w);
void world_node_down(struct world *w, int node);
void world_front(struct world *w, int node, bool cut); /* its primary network */
void world_node_cut(struct world *w, int node, bool cut); /* its control links only */
void world_node_up(struct world *w, int node);
const char *world_job_state(struct world *w, int64_t job);
/* All that must always hold, and, when at rest, what must hold then. Fills w->why. */
bool world_check(struct world *w, bool at_rest);
bool world_guest_runs(const struct world *w, const char *uuid, int *ret_node);

#endif
