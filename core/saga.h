/* SPDX-License-Identifier: Apache-2.0 */
/* What follows when a step fails or its node is silent: the rules of the saga, as pure decisions. Internal to core/. */
#ifndef CORE_SAGA_H
#define CORE_SAGA_H

#include "common/err.h"
#include "schema/steps.h"

enum saga_verdict {
	SAGA_RETRY,   /* the same order again, a little later */
	SAGA_UNDO,    /* before the pivot: undo everything, this step included (it may have been done) */
	SAGA_SKIP,    /* note it and go on */
	SAGA_PARK,    /* after the pivot, on durable things: keep trying, tell the operator */
	SAGA_GIVE_UP, /* after the pivot, on things that the reconciler looks after anyway: go on, but the job has failed */
};

#define SAGA_FORWARD_TRIES 8
#define SAGA_UNDO_TRIES 8
#define SAGA_RETRIES_SPENT 1000000

enum saga_verdict saga_failed(enum step_kind kind, bool past_pivot, bool may_fail, bool canceled, int attempt, const struct err *err);
/* State that dies with the node's boot, or that the reconciler puts right when the node is back. */
bool saga_volatile(enum step_kind kind);
/*
 * The node of a step has been silent for that long: time to go on without it? Before the pivot that is a failure; when undoing
 * or past the pivot only volatile things are passed over, unless the node is known to be off (gone).
 */
bool saga_silent_too_long(enum step_kind kind, bool only_forward, bool gone, int64_t silent_ms, int64_t lease_ms);
int64_t saga_backoff_ms(int attempt);

#endif
