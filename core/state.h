/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the master knows: the configuration as committed (or about to be: see core/outbox.h), what the nodes reported last,
 * and what running jobs have reserved. Planners and queries read it; only core/ changes it.
 */
#ifndef CORE_STATE_H
#define CORE_STATE_H

#include <stdint.h>

#include "schema/objects.h"

struct reservation { /* what a planned instance will use; held by its job until it ends */
	int64_t job;
	char node[UUID_LEN + 1];
	char vg[NAME_LEN + 1];
	int64_t memory_mib, disk_mib;
};

struct snode { /* a node: object, and what is seen of it */
	struct node n;
	struct observed seen;   /* last report, its guests and resources sorted by uuid (state_set_seen); seen_ms = 0: none yet */
	int64_t seen_ms;        /* boot-time clock of the master */
	bool connected;         /* at least one link */
	int links;              /* bit 0 primary, bit 1 replication */
	int64_t heard_ms;       /* when it last opened a link, sent a beat or reported; 0 = never */
	int64_t silent_since_ms; /* when the last link went; 0 = connected */
	char boot_id[UUID_LEN + 1];
	char version[32];
	int64_t level_oldest, level_newest; /* from its hello to this master; 0 = it has not said any */
	bool refused;           /* its levels do not fit: it is kept out */
	int64_t clock_skew_ms;
	int64_t answered_ms;     /* the newest beat that we answered; 0 = none */
	int64_t granted_ms;      /* last possible grant of a lease: a beat answered by us, or what a predecessor may have answered */
	bool suspect;            /* liveness between online and lost: known to this master only */
	int64_t front_gone_ms;   /* reached over the replication network only, since then */
	int64_t fence_next_ms;   /* its fence agents are not asked before */
	char **strays;           /* guests that an alarm has told of */
	int n_strays;
	bool usable;             /* at the last look: takes part, answers, and has told what it has */
};

struct sinstance {
	struct instance i;
	int64_t grow_wait_ms;   /* reconciler's back-off */
	char *stray_on;         /* node where something was left, found first then; NULL = nothing */
	int64_t stray_ms;
	/* put off twice as long each time: what could not be put right; and a guest that was, and has crashed, whatever else is well again meanwhile */
	int tries, crashes;
	int64_t next_try_ms, next_start_ms;
	bool ran;               /* started, or seen running, since it was counted as crashed */
	int64_t busy_job;       /* job that holds its lock, 0 = none */
	int permille;           /* progress of the running job's step, for lists */
	/* a yes that is held (H17): for which question, since when */
	int64_t held_number, held_ms;
	char *held_boot;
	char *answer_told;      /* the newest question and what it was told, in words: one that is asked again each second is told once. NULL = none yet */
	/* who asked to leave current because of a lost disk, at that generation, and could not be let go: not in the store, core/word.c says why */
	char **asked_out;
	int n_asked_out;
	int64_t asked_out_gen;
	int64_t frozen_outside_ms; /* its owner has been frozen outside of current since then (H16); 0 = it is not */
	int64_t tail_told_gen;  /* that this tail waits for room was told */
	bool split_told;        /* that both were written to was told */
	int moves;              /* migrations by themselves that did not help, and when the next may be */
	int64_t move_next_ms;
	/* failover by itself */
	int64_t ha_next_ms;
	int ha_tries;
	const char *ha_key;     /* kind of what is in the way, a word of the program's: told when it changes; NULL = nothing is */
	char *ha_why;           /* the same in words; NULL = nothing is */
};

struct state {
	struct cluster cluster;
	struct secret secret;
	struct snode **nodes;         /* sorted by name */
	int n_nodes;
	struct sinstance **instances; /* sorted by name */
	struct sinstance **by_uuid;   /* the same, sorted by uuid */
	int n_instances;
	struct token *tokens;
	int n_tokens;
	struct reservation *reservations;
	int n_reservations;
	char self[UUID_LEN + 1];      /* the master's node */
	int64_t epoch;
	int64_t now_ms;               /* CLOCK_BOOTTIME, from the newest event */
	int64_t wall_ms;              /* for display and records */
	int64_t planning_job;         /* the job that is planned right now, 0 = none: a request is only tried */
};

void state_init(struct state *st);
void state_done(struct state *st);

struct snode *state_node(const struct state *st, const char *uuid);          /* NULL = none */
struct snode *state_node_named(const struct state *st, const char *name);
struct sinstance *state_instance(const struct state *st, const char *uuid);
struct sinstance *state_instance_named(const struct state *st, const char *name);
/* Takes a copy; inserts or replaces by uuid. */
struct snode *state_put_node(struct state *st, const struct node *n);
struct sinstance *state_put_instance(struct state *st, const struct instance *i);
/* Nobody has that name yet. */
void state_rename_instance(struct state *st, struct sinstance *s, const char *name);
void state_delete_node(struct state *st, const char *uuid);
void state_delete_instance(struct state *st, const char *uuid);
const char *state_node_name(const struct state *st, const char *uuid); /* "?" when unknown */

/* Look-ups that name what is missing: "instance 'web1' does not exist" with the nearest name in the hint. */
int state_need_instance(const struct state *st, const char *name, struct sinstance **ret, struct err *err) WARN_UNUSED;
int state_need_node(const struct state *st, const char *name, struct snode **ret, struct err *err) WARN_UNUSED;
/* Connected, not offline, hypervisor answering; else what is wrong with it. */
int state_need_usable(const struct state *st, const struct snode *n, struct err *err) WARN_UNUSED;

/* The instance's parameters filled from the cluster's and the built-in defaults. Copies: caller does schema_done(). */
void state_fill_be(const struct state *st, const struct instance *i, struct beparams *ret);
void state_fill_hv(const struct state *st, const struct instance *i, struct hvparams *ret);

enum ha_policy state_ha_policy(const struct state *st, const struct instance *i);
int64_t state_ha_priority(const struct state *st, const struct instance *i);
int64_t state_ha_rev(const struct state *st, const struct instance *i); /* with the cluster's share */

/* What a node reported of an instance; NULL = nothing. */
void state_set_seen(struct snode *n, const struct observed *o); /* takes a copy */
/*
 * By its node's word: the replica of the node that should run it has lost its disk (H6), and the guest does not run there. It cannot be started there
 * until that replica has been made anew, unless a person took it as it is.
 */
bool state_owner_lost_disk(const struct state *st, const struct instance *i);
/*
 * By the log and by its node's word: the own disk of the node that should run it is gone and out of current, and it is connected to the other's, which is
 * whole: all that the guest acknowledges is there (H6), and is nowhere else.
 */
bool state_lives_on_mirror(const struct state *st, const struct instance *i);
const struct obs_guest *state_seen_guest(const struct snode *n, const char *instance_uuid);
/* By its node's word it is not there. One whose libvirt does not answer has seen no guest, and says nothing of any. */
bool state_guest_ended(const struct snode *n, const char *instance_uuid);
/*
 * What a step that was passed over has left of the instance on a node that is none of its own any more, idle. sorted_volumes: what the node's volumes
 * are tagged with; NULL = looked up in its report. A stray is to be tidied away: every replica is current.
 */
bool state_left_on(const struct instance *i, const struct snode *n, char *const *sorted_volumes, int n_volumes);
bool state_stray(const struct instance *i, const struct snode *n, char *const *sorted_volumes, int n_volumes);
const struct obs_drbd *state_seen_drbd(const struct snode *n, const char *instance_uuid);
/* Its disk is there and holds all that it has seen: UpToDate, or Consistent while it has met nobody after a boot (H4). */
bool state_good_replica(const struct obs_drbd *d);
/* Free after what is reserved and what instances that should run here but do not yet will use. */
int64_t state_free_memory_mib(const struct state *st, const struct snode *n);
int64_t state_free_disk_mib(const struct state *st, const struct snode *n, const char *vg);
void state_reserve(struct state *st, int64_t job, const char *node, const char *vg, int64_t memory_mib, int64_t disk_mib);
void state_release(struct state *st, int64_t job);

/* The lowest minor free on all of the nodes, a free port cluster-wide; -1 = none left. Those of running adds count as used
 * because their instance is inserted by the plan's first step. */
int state_free_minor(const struct state *st, char *const *nodes, int n_nodes, const struct instance *with);
int state_free_port(const struct state *st);
/* The mirror of an instance: the other one of its nodes; "" = none. */
const char *state_other_node(const struct instance *i, const char *uuid);

#endif
