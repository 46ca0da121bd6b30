/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one place that changes an ownership record. Each function is a move of the arbitration protocol
 * (doc/design/003-ownership.adoc, rules H1..H21): it checks the record it is given, and changes it or says why not. The
 * caller puts the changed instance into the same transaction as whatever the move is for.
 */
#ifndef CORE_OWN_H
#define CORE_OWN_H

#include "schema/msgs.h"

/* A fresh record: current is {owner} alone; the mirror joins by own_grow (H18). */
void own_init(struct ownership *o, const char *owner, bool arbitrated, int64_t wall_ms);

/*
 * "May I go on alone?" (H2-H4, H15): yes only when the asker knows the record's generation, is the side that may run,
 * is in current, and its disk is UpToDate. A yes always changes the record: current := {asker}, gen + 1, and it ends a migration.
 */
bool own_would_say_yes(const struct ownership *o, const char *node, const struct msg_ask *m);
enum verdict own_ask(struct ownership *o, const char *node, const struct msg_ask *m, int64_t wall_ms);

/*
 * "My disk is gone, take me out of current" (H6, H7, H16): only when another member of current is left that was seen
 * UpToDate at this generation. True when the record changed.
 */
bool own_ask_shrink(struct ownership *o, const char *node, const struct msg_ask *m, bool other_uptodate, int64_t wall_ms);

/*
 * The same of the sole member, whose yes came too late for it (H7): it was without its disk before it heard of that yes, and uses none since, so the peer,
 * which was in current until then, lacks nothing. peer_good: it says so of itself, at this generation. True when the record changed: current is the peer.
 */
bool own_ask_hand(struct ownership *o, const char *node, const char *peer, const struct msg_ask *m, bool peer_good, int64_t wall_ms);

/* Both sides in sync, by the word of `reporter`, which knew generation `gen` before it looked (H1). True when the record changed. */
bool own_grow(struct ownership *o, const char *reporter, bool reporter_primary, const char *peer, int64_t gen, int64_t wall_ms);
/* The owner runs on a disk that is UpToDate: whoever took it as it was has got what he wanted, nothing of it is forced again. True when changed. */
bool own_shown_good(struct ownership *o, const char *reporter, int64_t gen);
/* Not arbitrated: current is only observed, the mirror is out when it was seen not in sync while the guest ran. True when changed. */
bool own_observe_loss(struct ownership *o, const char *reporter, int64_t gen, int64_t wall_ms);

/* Arbitrated: the Primary sees its peer Inconsistent, by a resync or a lost disk: it does not hold what is acknowledged (H12). True when changed. */
bool own_observe_resync(struct ownership *o, const char *reporter, const char *peer, int64_t gen, int64_t wall_ms);
/* Not arbitrated: the Primary lost its disk and lives on its mirror's, which is what counts from now on. */
bool own_observe_diskless(struct ownership *o, const char *reporter, const char *peer, int64_t gen, int64_t wall_ms);

/* The target must be current, and the owner, but for one that lives_on_mirror (state_lives_on_mirror()): what it acknowledges is the target's alone. */
int own_migrate(struct ownership *o, const char *target, bool lives_on_mirror, struct err *err) WARN_UNUSED;
void own_migrate_undo(struct ownership *o);
/*
 * The target runs from now on (H15): needs the migration's record as own_migrate left it and the target in current. The caller
 * has compared the generation with the plan's: current is what it was then.
 */
int own_pivot(struct ownership *o, const char *target, int64_t wall_ms, struct err *err) WARN_UNUSED;
/* The migration is over: owner := target. */
int own_settle(struct ownership *o, const char *target, int64_t wall_ms, struct err *err) WARN_UNUSED;
/*
 * owner := to. planned: the old owner is down in an orderly way and both replicas stay current. Else current := {to}, which needs
 * `to` in current. force (--ignore-consistency): a person takes `to` as it is and accepts that it lacks what the other one has: current := {to} in any
 * case, the old owner's tail must be kept, and the replica may be promoted by force (as_is) until it has shown itself UpToDate.
 */
int own_failover(struct ownership *o, const char *to, bool planned, bool force, enum evidence ev, const char *text,
		 int64_t wall_ms, struct err *err) WARN_UNUSED;
/*
 * `node` may have written what no current replica has: that is kept before it is overwritten (doc/design/011-comeback.adoc). must: acknowledged
 * writes may be among it. "" = nobody. Noted by own_failover for the owner that lost, by the report of a split, by a person's word.
 */
void own_note_tail(struct ownership *o, const char *node, bool must);
void own_give_up_tail(struct ownership *o); /* a person's word: kept if there is room, overwritten else */
bool own_tail_due(const struct ownership *o, const char *node);
/* A replica leaves current before its owner, that crashed, meets it again (H12); it comes back by own_grow. Never the last one, never the owner's. */
int own_shrink(struct ownership *o, const char *node, int64_t wall_ms, struct err *err) WARN_UNUSED;
/* A plan takes a replica out before it takes it apart (H8); own_grow refuses it until own_return. */
int own_leave(struct ownership *o, const char *node, int64_t wall_ms, struct err *err) WARN_UNUSED;
/* It has been taken apart and made anew: it may become current again, by own_grow. */
void own_return(struct ownership *o, const char *node, int64_t wall_ms);
/* A new set of replicas (H19). */
int own_replicas(struct ownership *o, char *const *current, int n_current, int64_t wall_ms, struct err *err) WARN_UNUSED;
/* Arbitration on or off (H20). On: current is the owner alone until its fresh word says that the mirror is in sync (own_grow). */
int own_arbitrate(struct ownership *o, bool on, int64_t wall_ms, struct err *err) WARN_UNUSED;

/* ---- after a restore: the record says nothing until its nodes, or a person, have said which replicas are current ---- */
void own_from_backup(struct ownership *o, int64_t incarnation, int64_t wall_ms);
/* False: it came from a backup and nothing may be decided by it; every reader that decides asks this first. */
bool own_confirmed(const struct ownership *o);
int own_check_confirmed(const struct ownership *o, struct err *err) WARN_UNUSED;
/* owner := current[0]. */
int own_confirm(struct ownership *o, char *const *current, int n_current, int64_t wall_ms, struct err *err) WARN_UNUSED;

/* Pulled permission (H10). 0, or -ERR_NOT_OWNER / -ERR_STALE_REPLICA with the reason. */
int own_authorise(const struct ownership *o, const char *node, enum authority what, struct err *err) WARN_UNUSED;
/* The node that may execute the guest now. */
const char *own_runner(const struct ownership *o);
bool own_current(const struct ownership *o, const char *node);

#endif
