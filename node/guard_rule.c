/* SPDX-License-Identifier: Apache-2.0 */
#include "node/guard_rule.h"

#include "common/rule.h"
#include "core/lease.h"

/* Seen before and not there any more, or permitted and never come. */
static bool gone(const struct guard_span *x, const struct guard_seen *s, int64_t now_ms)
{
	return !s->there && (x->seen || now_ms - x->since_ms > GUARD_UNSEEN_MS);
}

enum guard_do guard_judge(struct guard_span *x, const struct guard_seen *s, int64_t began_ms, int64_t now_ms, int64_t age_ms, int64_t lease_ms)
{
	if (began_ms > x->since_ms && gone(x, s, now_ms))
		return GUARD_DROP;
	x->seen = x->seen || s->there;
	if (began_ms <= x->since_ms)
		return GUARD_LEAVE;
	if (!RULE(VOUCH) || !s->there || (s->connected && !s->frozen))
		return GUARD_VOUCH;
	if (age_ms < lease_kill_ms(lease_ms) || (x->ended_ms && now_ms - x->ended_ms < GUARD_END_AGAIN_MS))
		return GUARD_LEAVE;
	x->ended_ms = now_ms;
	return GUARD_END;
}

void guard_saw(struct guard_span *x, bool frozen, int64_t now_ms)
{
	if (!frozen)
		x->frozen_ms = 0;
	else if (!x->frozen_ms)
		x->frozen_ms = now_ms;
}

bool guard_helpless(const struct guard_span *x, int64_t asked_ms, int64_t now_ms, int64_t lease_ms)
{
	bool frozen = x->seen && x->frozen_ms && now_ms - x->frozen_ms >= lease_ms;

	return RULE(LET_GO) && (frozen || !RULE(LET_GO_FROZEN)) && asked_ms && now_ms - asked_ms >= lease_ms;
}
