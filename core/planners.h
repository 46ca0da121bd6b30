/* SPDX-License-Identifier: Apache-2.0 */
/* The planners, one per JOB request (core/plan_*.c), and what they share. Internal to core/. */
#ifndef CORE_PLANNERS_H
#define CORE_PLANNERS_H

#include "core/plan.h"

plan_fn plan_cluster_modify, plan_cluster_arbitrate, plan_renew_crypto, plan_node_modify, plan_node_remove, plan_node_fence, plan_node_maintenance,
	plan_node_admit, plan_node_promote, plan_instance_add, plan_instance_startup, plan_instance_shutdown, plan_instance_reboot,
	plan_instance_remove, plan_instance_modify, plan_instance_migrate, plan_instance_failover, plan_replace_disks,
	plan_activate_disks, plan_deactivate_disks, plan_instance_converge, plan_instance_confirm, plan_instance_rename, plan_grow_disk, plan_node_cleanse, plan_disk_remove_tail, plan_debug_noop;

#define ARBITRATE_AT_ONCE 9 /* six steps each: a plan has at most STEPS_MAX; the rest follow in further jobs */
int plan_arbitrate_whom(const struct state *st, bool on, const struct sinstance *ret[ARBITRATE_AT_ONCE]);

/*
 * An instance that is down and has one replica only that is current, as a job that made the other one anew lost sight of a node before the two had met:
 * they are not both up although one is, or what a mirror had that was replaced is still there (plan_converge.c).
 */
bool converge_unfinished(const struct state *st, const struct instance *i);

/* ---- shared (core/plan_parts.c) ---- */

/* Volume group or directory of a disk. */
const char *part_pool(const struct state *st, const struct instance *i, const struct disk *d);
/* All volumes of an instance on a node: data, and metadata for drbd. part_data(): one data volume, appended to a list of step_volume. */
void part_data(const struct state *st, const struct instance *i, int index, struct step_volume *ret);
void part_volumes(const struct state *st, const struct instance *i, struct step_volumes *ret);
/* What its DRBD resource is called: as the instance was when it was made (doc/design/016-rename.adoc). */
const char *part_resource_name(const struct instance *i);
/* The DRBD resource as both nodes have it; nodes[2] = whom it joins. */
void part_drbd_conf(const struct state *st, const struct instance *i, char *const *nodes, bool arbitrated, struct step_drbd_conf *ret);
void part_resource(const struct instance *i, struct step_resource *ret);
void part_guest(const struct state *st, const struct instance *i, struct step_guest *ret);
void part_guest_ref(const struct instance *i, struct step_guest_ref *ret);
/* What a node that answers has told of its replica; NULL = nothing, or it does not answer. */
const struct obs_drbd *part_seen_drbd(const struct state *st, const char *node, const struct instance *i);
int part_voters(const struct state *st); /* nodes that are, by the record */
/* A part of a command of several jobs (core/plan.c): an earlier one that failed must not make this one do something else. */
int part_need_from(const struct state *st, const struct instance *i, const char *from, struct err *err) WARN_UNUSED;
/* What a plan cannot take off a node that does not answer goes into the job's result, each with the command that removes it there. */
void plan_left(struct plan *p, const struct snode *n, const char *fmt, ...) PRINTF(3, 4);
void plan_left_instance(struct plan *p, const struct state *st, const struct snode *n, const struct instance *i);
/*
 * All is as it was asked for. That is a success: a job that says so, as who repeats a command after a lost answer expects. But whoever gave no option at
 * all has forgotten one: asked = the request, none = the same with its defaults and the name. hint: what can be given.
 */
int plan_nothing(struct plan *p, const struct state *st, const struct schema *s, const void *asked, const void *none, const char *what, const char *hint,
		 struct err *err) WARN_UNUSED;
/* Typed appends for the commonest steps. */
struct plan_step *add_resource(struct plan *p, const struct state *st, enum step_kind kind, const char *node, const struct instance *i, bool force);
/* core/tails.c: of a node that lost (own_tail_due) what it wrote is kept first, and it connects discarding it, by the log's word. */
struct plan_step *add_tail_keep(struct plan *p, const struct state *st, const char *node, const struct instance *i);
/* Both replicas were written to while apart, and the log knows no loser. */
bool tails_split(const struct state *st, const struct instance *i);
/* Says so, and what a person can do: for an error, an alarm, a finding. Gives -ERR_NOT_SAFE. */
int tails_split_why(const struct state *st, const struct instance *i, struct err *err);
int plan_split_confirm(const struct state *st, const struct instance *i, const struct snode *n, struct plan *p, struct err *err) WARN_UNUSED;
struct plan_step *add_connect(struct plan *p, const struct state *st, const char *node, const struct instance *i, bool force);
struct plan_step *add_volumes(struct plan *p, const struct state *st, enum step_kind kind, const char *node, const struct instance *i);
struct plan_step *add_conf(struct plan *p, const struct state *st, const char *node, const struct instance *i, char *const *nodes, bool arbitrated,
			   const struct step_drbd_conf *previous);
struct plan_step *add_md(struct plan *p, const struct state *st, const char *node, const struct instance *i, char *const *nodes);
struct plan_step *add_guest(struct plan *p, const struct state *st, enum step_kind kind, const char *node, const struct instance *i);
struct plan_step *add_guest_ref(struct plan *p, const struct state *st, enum step_kind kind, const char *node, const struct instance *i, int64_t timeout_s, bool force);
struct plan_step *add_own(struct plan *p, const struct state *st, enum step_kind kind, const struct instance *i, const char *node, bool check_gen);
struct plan_step *add_admin(struct plan *p, const struct state *st, const struct instance *i, enum admin_state to);
/* Disks up on every usable node of the instance and Primary on its owner. Skips what was seen to be so already. */
int add_disks_up(struct plan *p, const struct state *st, const struct instance *i, bool primary, bool force, struct err *err) WARN_UNUSED;
/* Secondary, then down, on every connected node. */
void add_disks_down(struct plan *p, const struct state *st, const struct instance *i);
int64_t shutdown_timeout(const struct state *st, const struct instance *i, int64_t asked);
int64_t instance_memory(const struct state *st, const struct instance *i);
int64_t instance_disk_mib(const struct instance *i, const char *pool, const struct state *st);
/* What it shall be called looks like a name; of = "an instance". */
int check_name(const char *of, const char *name, struct err *err) WARN_UNUSED;
/* Owner known, node usable. */
int need_owner(const struct state *st, const struct instance *i, struct snode **ret, struct err *err) WARN_UNUSED;
/* The instance of that name, and the node that runs it, which must be usable. */
int need_instance(const struct state *st, const char *name, struct sinstance **ret, struct snode **ret_owner, struct err *err) WARN_UNUSED;
/* -n, -p and -s: none of them, or too many. */
int plan_which_replica(const struct op_replace_disks *a, struct err *err) WARN_UNUSED;
/* Back after a loss, and waiting, offline, for a person. */
bool rejoin_held(const struct snode *n);
bool runs_on(const struct snode *n, const struct instance *i); /* seen there, in any state */

#endif
