/* SPDX-License-Identifier: Apache-2.0 */
#include "core/evidence.h"

#include <stdio.h>
#include <string.h>

#include "common/rule.h"
#include "core/lease.h"
#include "core/own.h"

static void nothing(struct evidence_found *ret, const char *lacks, const char *fmt, ...) PRINTF(3, 4);
static void nothing(struct evidence_found *ret, const char *lacks, const char *fmt, ...)
{
	va_list ap;

	ret->kind = EVIDENCE_NONE;
	ret->lacks = lacks;
	va_start(ap, fmt);
	(void)vsnprintf(ret->text, sizeof(ret->text), fmt, ap);
	va_end(ap);
}

int64_t evidence_apart_ms(const struct state *st, const struct snode *target, const struct instance *i)
{
	const struct obs_drbd *d = target && target->connected && target->seen_ms ? state_seen_drbd(target, i->uuid) : NULL;

	if (!d || d->apart_since_ms == FIELD_UNSET || target->seen.boot_ms < d->apart_since_ms)
		return -1;
	return target->seen.boot_ms - d->apart_since_ms + (st->now_ms - target->seen_ms);
}

/* The newest permission to run it went to that node, which said that its watchdog guards the guest under just that permission. */
static bool guarded(const struct state *st, const struct instance *i, const char *node)
{
	return i->guard_node[0] && strcmp(i->guard_node, node) == 0 && i->guard_rev == state_ha_rev(st, i);
}

/* One that is back, and has not reported yet, is still lost in the log; its beats are answered all the same, and each is a lease. (With the rule off both this and the count that calls it lost are.) */
static bool holds_lease(const struct state *st, const struct snode *n)
{
	return RULE(LEASE_MARGIN) && n->answered_ms && st->now_ms - n->answered_ms < lease_lost_ms(st->cluster.lease_ms);
}

static void by_lease(const struct state *st, const struct instance *i, const struct snode *from, struct evidence_found *ret)
{
	const struct snode *to = state_node(st, state_other_node(i, from->n.uuid));
	int64_t need = lease_apart_ms(st->cluster.lease_ms), apart = evidence_apart_ms(st, to, i);

	if (holds_lease(st, from)) {
		nothing(ret, "silence", "node '%s' is lost, but a beat of it was answered %lld ms ago", from->n.name, (long long)(st->now_ms - from->answered_ms));
	} else if (i->own.arbitrated != 1) {
		nothing(ret, "arbitration", "node '%s' is lost, but the disks of '%s' are not arbitrated", from->n.name, i->name);
	} else if (RULE(GUARDED) && !guarded(st, i, from->n.uuid)) {
		nothing(ret, "guard", "node '%s' is lost, but no watchdog guarded guest '%s' there", from->n.name, i->name);
	} else if (RULE(APART) && apart < 0) {
		nothing(ret, "cut", "node '%s' is lost, but the mirror of '%s' on node '%s' has not said that it is cut off from it", from->n.name, i->name,
			to ? to->n.name : "?");
	} else if (RULE(APART) && apart < need) {
		nothing(ret, "time", "node '%s' is lost, its replica of '%s' has been cut off for %lld ms of %lld ms", from->n.name, i->name, (long long)apart,
			(long long)need);
	} else {
		ret->kind = EVIDENCE_LEASE;
		ret->apart_ms = need;
		(void)snprintf(ret->text, sizeof(ret->text),
			       "node '%s': lease ended, no beat answered for %lld ms; replica cut off for %lld ms; its watchdog guarded the guest", from->n.name,
			       (long long)(st->now_ms - from->granted_ms), (long long)apart);
	}
}

/*
 * It was known to be off, and answers, or has answered, in just that boot: whoever said so was wrong, or was heard too late. A link alone is no answer:
 * that of a machine without power stands for as long as TCP hopes. Where nobody knew the boot, it may be the one that answers as long as that has not
 * said that the guest is gone.
 */
static bool contradicted(const struct state *st, const struct snode *n, const struct instance *i)
{
	if (n->n.evidence_wrong == 1 || !n->connected)
		return n->n.evidence_wrong == 1;
	if (n->n.evidence_boot[0])
		return strcmp(n->n.evidence_boot, n->boot_id) == 0 && st->now_ms - n->heard_ms < lease_suspect_ms(st->cluster.lease_ms);
	return !state_guest_ended(n, i->uuid);
}

void evidence_find(const struct state *st, const struct instance *i, struct evidence_found *ret)
{
	const struct snode *from = state_node(st, own_runner(&i->own));

	memset(ret, 0, sizeof(*ret));
	if (!own_confirmed(&i->own)) { /* who its node is, is not known */
		nothing(ret, "confirmed", "instance '%s' was restored from a backup, and its nodes have not confirmed it", i->name);
	} else if (!from) {
		ret->kind = EVIDENCE_PERSON;
		(void)snprintf(ret->text, sizeof(ret->text), "its node was removed from the cluster");
	} else if (!RULE(EVIDENCE) && !from->connected) {
		ret->kind = EVIDENCE_LEASE;
	} else if (from->n.liveness == NODE_FENCED && contradicted(st, from, i)) {
		nothing(ret, "silence", from->n.evidence_boot[0] ? "node '%s' has answered in the boot in which it was known to be off" :
							  "node '%s' was known to be off, but answers", from->n.name);
	} else if (from->n.liveness == NODE_FENCED) {
		ret->kind = (enum evidence)from->n.evidence;
		(void)snprintf(ret->text, sizeof(ret->text), "node '%s': %.300s", from->n.name, from->n.evidence_text ? from->n.evidence_text : "fenced");
	} else if (from->n.liveness == NODE_LOST) {
		by_lease(st, i, from, ret);
	} else if (!from->connected) {
		nothing(ret, "lost", "node '%s' does not answer, but nothing shows that guest '%s' has ended there", from->n.name, i->name);
	} else {
		nothing(ret, "silence", "node '%s' answers", from->n.name);
	}
}

bool evidence_holds(const struct state *st, const struct instance *i, enum evidence kind)
{
	const struct snode *from = state_node(st, own_runner(&i->own));

	if (!own_confirmed(&i->own))
		return false;
	switch (kind) {
	case EVIDENCE_LEASE:
		return !RULE(EVIDENCE) || (from && from->n.liveness == NODE_LOST && !from->connected && !holds_lease(st, from) && i->own.arbitrated == 1 &&
					   (!RULE(GUARDED) || guarded(st, i, from->n.uuid)));
	case EVIDENCE_POWER:
	case EVIDENCE_PERSON: return !from || (from->n.liveness == NODE_FENCED && !contradicted(st, from, i));
	/* Booted anew; or it answered the steps that took the guest apart, as an owner outside of current (H16). */
	case EVIDENCE_REPORT: return from && ((from->n.liveness == NODE_FENCED && !contradicted(st, from, i)) || (from->connected && !own_current(&i->own, from->n.uuid)));
	case EVIDENCE_NONE:
	default: return false;
	}
}
