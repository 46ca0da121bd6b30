/* SPDX-License-Identifier: Apache-2.0 */
#include "core/own.h"

#include <stdlib.h>
#include <string.h>

#include "common/rule.h"
#include "common/xmem.h"

static bool same(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}

bool own_current(const struct ownership *o, const char *node)
{
	return strs_has(o->current, o->n_current, node);
}

const char *own_runner(const struct ownership *o)
{
	return o->run == RUN_TARGET ? o->target : o->owner;
}

/* Every change of current goes through here: no change without a new generation (H1). */
static void changed(struct ownership *o, int64_t wall_ms)
{
	o->gen++;
	o->since_ms = wall_ms;
	o->alone_gen = 0;
}

static void set_current(struct ownership *o, const char *node)
{
	char *keep = xstrdup(node); /* node may point into the list */

	strs_clear(&o->current, &o->n_current);
	strs_add(&o->current, &o->n_current, keep);
	free(keep);
}

void own_note_tail(struct ownership *o, const char *node, bool must)
{
	(void)str_copy(o->tail, sizeof(o->tail), node);
	o->tail_gen = node[0] ? o->gen : 0;
	o->tail_must = must && node[0];
}

void own_give_up_tail(struct ownership *o)
{
	o->tail_must = 0;
}

bool own_tail_due(const struct ownership *o, const char *node)
{
	return node[0] && same(o->tail, node) && !own_current(o, node);
}

static void end_migration(struct ownership *o)
{
	if (o->run == RUN_TARGET)
		(void)str_copy(o->owner, sizeof(o->owner), o->target);
	o->target[0] = '\0';
	o->run = RUN_OWNER;
}

/* A record from a backup decides nothing: what it says may have changed since (doc/design/006-bootstrap.adoc). */
bool own_confirmed(const struct ownership *o)
{
	return o->unconfirmed != 1;
}

static int need_confirmed(const struct ownership *o, struct err *err)
{
	if (own_confirmed(o))
		return 0;
	(void)err_set(err, ERR_NOT_SAFE, "it was restored from a backup, and its nodes have not shown yet which replica is current");
	return err_hint(err, "bring its nodes up; or, if one is lost for good: 'gnt instance confirm -n NODE'");
}

int own_check_confirmed(const struct ownership *o, struct err *err)
{
	return need_confirmed(o, err);
}

void own_from_backup(struct ownership *o, int64_t incarnation, int64_t wall_ms)
{
	end_migration(o);
	o->unconfirmed = 1;
	o->gen = incarnation * GENS_PER_INCARNATION + o->gen % GENS_PER_INCARNATION; /* above whatever the nodes have heard */
	o->evidence = EVIDENCE_NONE;
	free(o->evidence_text);
	o->evidence_text = NULL;
	o->since_ms = wall_ms;
}

int own_confirm(struct ownership *o, char *const *current, int n_current, int64_t wall_ms, struct err *err)
{
	if (own_confirmed(o))
		return 0; /* by its nodes, meanwhile */
	if (n_current < 1)
		return err_set(err, ERR_NOT_SAFE, "no replica would be current");
	(void)str_copy(o->owner, sizeof(o->owner), current[0]);
	set_current(o, current[0]);
	for (int i = 1; i < n_current; i++)
		strs_add(&o->current, &o->n_current, current[i]);
	o->unconfirmed = 0;
	o->as_is = 0;
	changed(o, wall_ms);
	return 0;
}

void own_init(struct ownership *o, const char *owner, bool arbitrated, int64_t wall_ms)
{
	schema_done(&ownership_schema, o);
	(void)str_copy(o->owner, sizeof(o->owner), owner);
	o->arbitrated = arbitrated;
	set_current(o, owner);
	changed(o, wall_ms);
}

static bool fit_to_go_on(const struct ownership *o, const char *node, const struct msg_ask *m)
{
	return (!RULE(ASK_CURRENT) || own_current(o, node)) && (!RULE(ASK_DISK) || m->uptodate == 1) && o->arbitrated == 1;
}

bool own_would_say_yes(const struct ownership *o, const char *node, const struct msg_ask *m)
{
	return own_confirmed(o) && same(own_runner(o), node) && m->gen == o->gen && fit_to_go_on(o, node, m);
}

enum verdict own_ask(struct ownership *o, const char *node, const struct msg_ask *m, int64_t wall_ms)
{
	if (!own_confirmed(o))
		return VERDICT_NOT_NOW;
	if (RULE(ASK_RUNNER) && !same(own_runner(o), node)) {
		/* "no" makes the asker kill its guest: only when the log shows another owner for good, not the other half of a
		 * migration that may still be undone (H14, H15). */
		bool in_migration = o->target[0] && (same(o->target, node) || same(o->owner, node));

		return in_migration ? VERDICT_NOT_NOW : VERDICT_NO;
	}
	if (RULE(ASK_GEN) && m->gen != o->gen)
		return VERDICT_STALE;
	if (!fit_to_go_on(o, node, m))
		return VERDICT_NOT_NOW;
	if (!RULE(BUMP) && o->n_current == 1 && own_current(o, node) && !o->target[0])
		return VERDICT_YES;
	bool first = o->n_current > 1;
	int64_t alone = o->alone_gen;

	set_current(o, node);
	end_migration(o);
	o->as_is = 0; /* by its own word its disk is UpToDate: nothing is to be forced any more */
	changed(o, wall_ms);
	o->alone_gen = first ? o->gen : alone;
	return VERDICT_YES;
}

bool own_ask_shrink(struct ownership *o, const char *node, const struct msg_ask *m, bool other_uptodate, int64_t wall_ms)
{
	if (!own_confirmed(o) || !RULE(SHRINK) || m->gen != o->gen || !own_current(o, node) || o->n_current < 2 || !other_uptodate)
		return false;
	strs_remove(&o->current, &o->n_current, node);
	changed(o, wall_ms);
	return true;
}

bool own_ask_hand(struct ownership *o, const char *node, const char *peer, const struct msg_ask *m, bool peer_good, int64_t wall_ms)
{
	if (!own_confirmed(o) || !RULE(HAND) || o->arbitrated != 1 || o->target[0] || m->gen != o->gen || o->n_current != 1 || !own_current(o, node))
		return false;
	/* What it knew when it saw its disk gone is older than the first yes, so it had heard of none, and uses none since: nothing was acknowledged alone by it. */
	if (!m->lost_gen || !o->alone_gen || m->lost_gen >= o->alone_gen || !peer_good)
		return false;
	/* A plan takes the peer apart; or it was written to on its own. */
	if (!peer[0] || same(o->leaving, peer) || same(o->tail, peer))
		return false;
	set_current(o, peer);
	changed(o, wall_ms);
	return true;
}

bool own_grow(struct ownership *o, const char *reporter, bool reporter_primary, const char *peer, int64_t gen, int64_t wall_ms)
{
	if (!own_confirmed(o) || (RULE(GROW_GEN) && gen != o->gen) || own_current(o, peer) || !own_current(o, reporter) || !peer[0])
		return false;
	/* A plan took it out and is about to cut it off: until then both sides say truly that they are in sync (H8). */
	if (RULE(LEAVING) && same(o->leaving, peer))
		return false;
	/* Only the side that runs reports; a Secondary's word counts when nobody is Primary, which the caller has checked. */
	if (reporter_primary && !same(own_runner(o), reporter))
		return false;
	strs_add(&o->current, &o->n_current, peer);
	o->as_is = 0;
	if (same(o->tail, peer))
		own_note_tail(o, "", false); /* it holds what all hold */
	changed(o, wall_ms);
	return true;
}

bool own_shown_good(struct ownership *o, const char *reporter, int64_t gen)
{
	if (o->as_is != 1 || gen != o->gen || !same(o->owner, reporter))
		return false;
	o->as_is = 0;
	return true;
}

bool own_observe_loss(struct ownership *o, const char *reporter, int64_t gen, int64_t wall_ms)
{
	if (!own_confirmed(o) || o->arbitrated || gen != o->gen || o->n_current < 2 || !own_current(o, reporter) || !same(own_runner(o), reporter))
		return false;
	set_current(o, reporter);
	changed(o, wall_ms);
	return true;
}

bool own_observe_resync(struct ownership *o, const char *reporter, const char *peer, int64_t gen, int64_t wall_ms)
{
	if (!own_confirmed(o) || !o->arbitrated || gen != o->gen || !same(own_runner(o), reporter) || !own_current(o, reporter) || !own_current(o, peer))
		return false;
	strs_remove(&o->current, &o->n_current, peer);
	changed(o, wall_ms);
	return true;
}

bool own_observe_diskless(struct ownership *o, const char *reporter, const char *peer, int64_t gen, int64_t wall_ms)
{
	if (!own_confirmed(o) || o->arbitrated || gen != o->gen || !same(own_runner(o), reporter) || !own_current(o, reporter) || !own_current(o, peer))
		return false;
	strs_remove(&o->current, &o->n_current, reporter);
	changed(o, wall_ms);
	return true;
}

int own_migrate(struct ownership *o, const char *target, bool lives_on_mirror, struct err *err)
{
	if (need_confirmed(o, err) < 0)
		return -err->code;
	if (o->target[0])
		return err_set(err, ERR_CONFLICT, "a migration is under way already"),
		       err_hint(err, "wait for its job, or 'gnt instance migrate --cleanup'");
	if (same(o->owner, target))
		return err_set(err, ERR_WRONG_STATE, "the guest is there already");
	if (!own_current(o, target) || (!own_current(o, o->owner) && !lives_on_mirror))
		return err_set(err, ERR_DEGRADED, "the mirror does not hold every acknowledged write yet"),
		       err_hint(err, "wait until 'gnt instance info' shows both nodes as current");
	(void)str_copy(o->target, sizeof(o->target), target);
	o->run = RUN_OWNER;
	return 0;
}

void own_migrate_undo(struct ownership *o)
{
	if (o->run == RUN_OWNER)
		o->target[0] = '\0';
}

int own_pivot(struct ownership *o, const char *target, int64_t wall_ms, struct err *err)
{
	if (same(o->target, target) && o->run == RUN_TARGET)
		return 0;
	if (RULE(PIVOT_CURRENT) && !same(o->target, target))
		return err_set(err, ERR_CONFLICT, "the migration was ended by a verdict: the replicas lost each other");
	if (RULE(PIVOT_CURRENT) && !own_current(o, target))
		return err_set(err, ERR_DEGRADED, "the replicas lost each other during the migration");
	o->run = RUN_TARGET;
	changed(o, wall_ms);
	return 0;
}

int own_settle(struct ownership *o, const char *target, int64_t wall_ms, struct err *err)
{
	if (!o->target[0] && same(o->owner, target))
		return 0; /* a verdict for the target has settled it already */
	if (!same(o->target, target) || o->run != RUN_TARGET)
		return err_set(err, ERR_CONFLICT, "the ownership record has changed since");
	end_migration(o);
	changed(o, wall_ms);
	return 0;
}

int own_failover(struct ownership *o, const char *to, bool planned, bool force, enum evidence ev, const char *text,
		 int64_t wall_ms, struct err *err)
{
	if (need_confirmed(o, err) < 0)
		return -err->code;
	if (o->target[0])
		return err_set(err, ERR_CONFLICT, "a migration is under way"),
		       err_hint(err, "'gnt instance migrate --cleanup' ends it");
	if (RULE(EVIDENCE) && !planned && ev == EVIDENCE_NONE)
		return err_set(err, ERR_NO_EVIDENCE, "nothing shows that the guest has ended on its node");
	if (!own_current(o, to) && !force)
		return err_set(err, ERR_STALE_REPLICA, "the mirror lacks acknowledged writes");
	char was[UUID_LEN + 1];
	/* Nothing acknowledged is in the loser's tail when verdicts decide and the mirror was in current (H2), unless a person says that it lacks something. */
	bool loses = !planned || force || !own_current(o, to), must = !o->arbitrated || force || !own_current(o, to);

	(void)str_copy(was, sizeof(was), o->owner);
	(void)str_copy(o->owner, sizeof(o->owner), to);
	if (loses)
		set_current(o, to);
	o->as_is = force && RULE(AS_IS);
	if (same(o->leaving, to)) /* a person takes it as it is */
		o->leaving[0] = '\0';
	if (same(o->tail, to))
		own_note_tail(o, "", false); /* what it has is the truth now */
	o->evidence = (int)ev;
	free(o->evidence_text);
	o->evidence_text = text ? xstrdup(text) : NULL;
	changed(o, wall_ms);
	if (loses && !same(was, to))
		own_note_tail(o, was, must);
	return 0;
}

int own_shrink(struct ownership *o, const char *node, int64_t wall_ms, struct err *err)
{
	if (need_confirmed(o, err) < 0)
		return -err->code;
	if (!own_current(o, node))
		return 0;
	if (o->n_current < 2 || same(own_runner(o), node))
		return err_set(err, ERR_NOT_SAFE, "this is the only replica that holds every acknowledged write");
	strs_remove(&o->current, &o->n_current, node);
	changed(o, wall_ms);
	return 0;
}

int own_leave(struct ownership *o, const char *node, int64_t wall_ms, struct err *err)
{
	if (need_confirmed(o, err) < 0)
		return -err->code;
	if (same(own_runner(o), node) || (own_current(o, node) && o->n_current < 2))
		return err_set(err, ERR_NOT_SAFE, "this is the only replica that holds every acknowledged write");
	if (!RULE(PLAN_SHRINK))
		return 0;
	strs_remove(&o->current, &o->n_current, node);
	(void)str_copy(o->leaving, sizeof(o->leaving), node);
	changed(o, wall_ms);
	return 0;
}

void own_return(struct ownership *o, const char *node, int64_t wall_ms)
{
	if (!same(o->leaving, node))
		return;
	o->leaving[0] = '\0';
	changed(o, wall_ms); /* reports from before do not count */
}

int own_replicas(struct ownership *o, char *const *current, int n_current, int64_t wall_ms, struct err *err)
{
	if (need_confirmed(o, err) < 0)
		return -err->code;
	if (o->target[0])
		return err_set(err, ERR_CONFLICT, "a migration is under way");
	if (n_current < 1)
		return err_set(err, ERR_NOT_SAFE, "no replica would be left that holds every acknowledged write");
	for (int i = 0; i < n_current; i++)
		if (!own_current(o, current[i]))
			return err_set(err, ERR_STALE_REPLICA, "a replica of the new set is not current any more");
	char **copy = NULL;
	int n = 0;

	for (int i = 0; i < n_current; i++)
		strs_add(&copy, &n, current[i]);
	strs_clear(&o->current, &o->n_current);
	o->current = copy;
	o->n_current = n;
	o->leaving[0] = '\0';
	changed(o, wall_ms);
	return 0;
}

int own_arbitrate(struct ownership *o, bool on, int64_t wall_ms, struct err *err)
{
	if ((o->arbitrated == 1) == on)
		return 0;
	if (on && o->target[0])
		return err_set(err, ERR_CONFLICT, "a migration is under way"), err_hint(err, "it is tried again when that has ended");
	o->arbitrated = on;
	/* So far current was only observed: a word of the mirror's loss may still be on its way, and nobody froze for it. */
	if (on && own_current(o, o->owner))
		set_current(o, o->owner);
	changed(o, wall_ms);
	return 0;
}

int own_authorise(const struct ownership *o, const char *node, enum authority what, struct err *err)
{
	if (need_confirmed(o, err) < 0)
		return -err->code;
	bool half = o->target[0] && same(o->target, node); /* the target of a migration */

	if (what == AUTH_TWO_PRIMARIES) {
		if (o->target[0] && (half || same(o->owner, node)))
			return 0;
		return err_set(err, ERR_NOT_OWNER, "no migration of this instance is recorded");
	}
	if (what == AUTH_PROMOTE && half && own_current(o, node))
		return 0;
	if (!same(own_runner(o), node))
		return err_set(err, ERR_NOT_OWNER, "another node may run this instance");
	if (o->arbitrated && !own_current(o, node))
		return err_set(err, ERR_STALE_REPLICA, "this node's replica is not current");
	return 0;
}
