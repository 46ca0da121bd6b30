/* SPDX-License-Identifier: Apache-2.0 */
#include "core/saga.h"

bool saga_volatile(enum step_kind kind)
{
	switch (kind) {
	case STEP_KIND_drbd_attach:
	case STEP_KIND_drbd_connect:
	case STEP_KIND_drbd_options:
	case STEP_KIND_drbd_wait_connected:
	case STEP_KIND_drbd_wait_sync:
	case STEP_KIND_drbd_prove:
	case STEP_KIND_drbd_primary:
	case STEP_KIND_drbd_secondary:
	case STEP_KIND_drbd_two_primaries:
	case STEP_KIND_drbd_one_primary:
	case STEP_KIND_drbd_cut:
	case STEP_KIND_drbd_down:
	case STEP_KIND_drbd_probe_target:
	case STEP_KIND_drbd_resize:
	case STEP_KIND_guest_start:
	case STEP_KIND_guest_shutdown:
	case STEP_KIND_guest_destroy:
	case STEP_KIND_guest_reset:
	case STEP_KIND_guest_hold:
	case STEP_KIND_guest_expect:
	case STEP_KIND_guest_migrate:
	case STEP_KIND_guest_arrived:
	case STEP_KIND_guest_resume:
	case STEP_KIND_guest_grow:
	case STEP_KIND_settings_install:
	case STEP_KIND_own_both:
	case STEP_KIND_noop:
		return true;
	default:
		return false;
	}
}

/* Connecting a mirror is what the reconciler does anyway: a guest does not wait for it through all the tries. */
static bool optional(enum step_kind kind)
{
	return kind == STEP_KIND_drbd_attach || kind == STEP_KIND_drbd_connect || kind == STEP_KIND_drbd_wait_connected || kind == STEP_KIND_tail_keep;
}

enum saga_verdict saga_failed(enum step_kind kind, bool past_pivot, bool may_fail, bool canceled, int attempt, const struct err *err)
{
	const struct step_info *info = &step_infos[kind];

	if (past_pivot) {
		if (may_fail && optional(kind) && !err_retryable(err->code))
			return SAGA_SKIP;
		if (attempt < SAGA_FORWARD_TRIES && attempt != SAGA_RETRIES_SPENT)
			return SAGA_RETRY;
		if (may_fail)
			return SAGA_SKIP;
		return saga_volatile(kind) ? SAGA_GIVE_UP : SAGA_PARK;
	}
	if (canceled)
		return SAGA_UNDO;
	if (err_retryable(err->code) && attempt < info->retries)
		return SAGA_RETRY;
	return may_fail ? SAGA_SKIP : SAGA_UNDO;
}

bool saga_silent_too_long(enum step_kind kind, bool only_forward, bool gone, int64_t silent_ms, int64_t lease_ms)
{
	if (gone)
		return true;
	if (!only_forward)
		return silent_ms >= lease_ms;
	/* Told to leave, a node may be gone before its answer is; and what follows, to forget it, does not rest on that. */
	return (saga_volatile(kind) || kind == STEP_KIND_node_leave) && silent_ms >= 2 * lease_ms;
}

int64_t saga_backoff_ms(int attempt)
{
	int64_t ms = 250;

	for (int i = 0; i < attempt && ms < 60000; i++)
		ms *= 2;
	return ms < 60000 ? ms : 60000;
}
