/* SPDX-License-Identifier: Apache-2.0 */
#include "node/exec.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/xmem.h"
#include "hypervisor/hypervisor.h"
#include "node/exec_inside.h"

/* Every step kind that runs on a node has its row here; exec_run() asserts it. */
static const struct exec_row table[STEP_KIND_COUNT] = {
	[STEP_KIND_volume_create] = { do_volume_create, undo_volume_create, probe_volume_create },
	[STEP_KIND_volume_grow] = { do_volume_grow, NULL, NULL },
	[STEP_KIND_drbd_resize] = { do_drbd_resize, NULL, NULL },
	[STEP_KIND_guest_grow] = { do_guest_grow, NULL, NULL },
	[STEP_KIND_tail_keep] = { do_tail_keep, NULL, NULL },
	[STEP_KIND_volume_remove] = { do_volume_remove, NULL, probe_volume_remove },
	[STEP_KIND_image_write] = { do_image_write, NULL, NULL },
	[STEP_KIND_drbd_configure] = { do_drbd_configure, undo_drbd_configure, NULL },
	[STEP_KIND_drbd_make_md] = { do_drbd_make_md, NULL, NULL },
	[STEP_KIND_drbd_attach] = { do_drbd_attach, undo_drbd_attach, probe_drbd_attach },
	[STEP_KIND_drbd_connect] = { do_drbd_connect, undo_drbd_connect, probe_drbd_connect },
	[STEP_KIND_drbd_options] = { do_drbd_options, NULL, NULL },
	[STEP_KIND_drbd_wait_connected] = { do_drbd_wait_connected, NULL, NULL },
	[STEP_KIND_drbd_skip_sync] = { do_drbd_skip_sync, NULL, NULL },
	[STEP_KIND_drbd_wait_sync] = { do_drbd_wait_sync, NULL, NULL },
	[STEP_KIND_drbd_prove] = { do_drbd_prove, NULL, NULL },
	[STEP_KIND_drbd_primary] = { do_drbd_primary, undo_drbd_primary, probe_drbd_primary },
	[STEP_KIND_drbd_secondary] = { do_drbd_secondary, undo_drbd_secondary, probe_drbd_secondary },
	[STEP_KIND_drbd_two_primaries] = { do_drbd_two_primaries, undo_drbd_two_primaries, NULL },
	[STEP_KIND_drbd_one_primary] = { do_drbd_one_primary, NULL, NULL },
	[STEP_KIND_drbd_cut] = { do_drbd_cut, NULL, probe_drbd_cut },
	[STEP_KIND_drbd_down] = { do_drbd_down, NULL, probe_drbd_down },
	[STEP_KIND_drbd_forget] = { do_drbd_forget, NULL, NULL },
	[STEP_KIND_drbd_probe_target] = { do_drbd_probe_target, undo_drbd_probe_target, NULL },
	[STEP_KIND_guest_start] = { do_guest_start, undo_guest_start, probe_guest_start },
	[STEP_KIND_guest_shutdown] = { do_guest_shutdown, NULL, probe_guest_gone },
	[STEP_KIND_guest_destroy] = { do_guest_destroy, NULL, probe_guest_gone },
	[STEP_KIND_guest_reset] = { do_guest_reset, NULL, NULL },
	[STEP_KIND_guest_hold] = { do_guest_hold, undo_guest_hold, NULL },
	[STEP_KIND_guest_expect] = { do_guest_expect, undo_guest_expect, NULL },
	[STEP_KIND_guest_migrate] = { do_guest_migrate, undo_guest_migrate, NULL },
	[STEP_KIND_guest_arrived] = { do_guest_arrived, NULL, NULL },
	[STEP_KIND_guest_resume] = { do_guest_resume, NULL, NULL },
	[STEP_KIND_etcd_start] = { do_etcd_start, undo_etcd_start, probe_etcd_start },
	[STEP_KIND_etcd_stop] = { do_etcd_stop, NULL, NULL },
	[STEP_KIND_masterd_start] = { do_masterd_start, undo_masterd_start, NULL },
	[STEP_KIND_masterd_stop] = { do_masterd_stop, NULL, NULL },
	[STEP_KIND_certs_install] = { do_certs_install, NULL, NULL },
	[STEP_KIND_certs_renew] = { do_certs_renew, NULL, NULL },
	[STEP_KIND_settings_install] = { do_settings_install, NULL, NULL },
	[STEP_KIND_node_leave] = { do_node_leave, NULL, NULL },
	[STEP_KIND_fence_off] = { do_fence_off, NULL, NULL },
	[STEP_KIND_watchdog_drill] = { do_watchdog_drill, NULL, NULL },
	[STEP_KIND_noop] = { do_noop, undo_noop, NULL },
};

static void name_step(struct err *err, enum step_kind kind)
{
	if (err && err->code && !err->step[0])
		(void)str_copy(err->step, sizeof(err->step), step_infos[kind].name);
}

static bool lacks_drbd(const struct exec_env *env, enum step_kind kind)
{
	return !env->drbd && strncmp(step_infos[kind].name, "drbd_", 5) == 0;
}

int exec_run(struct exec_env *env, const struct exec_call *call, json_t **ret_result, struct err *err)
{
	const struct exec_row *row = &table[call->kind];
	int rc = 0;

	assert(row->run);
	if (call->dir == STEP_DO && lacks_drbd(env, call->kind))
		rc = err_set(err, ERR_NOT_PREPARED, "this node has no DRBD");
	else if (call->dir == STEP_DO)
		rc = row->run(env, call, ret_result, err);
	else if (row->undo && !lacks_drbd(env, call->kind)) /* where there is no DRBD nothing was done with it */
		rc = row->undo(env, call, err);
	name_step(err, call->kind);
	return rc;
}

int exec_probe(struct exec_env *env, const struct exec_call *call, bool *ret_done, struct err *err)
{
	const struct exec_row *row = &table[call->kind];
	bool done = false;
	int rc = 0;

	if (row->probe && !lacks_drbd(env, call->kind))
		rc = row->probe(env, call, &done, err);
	name_step(err, call->kind);
	*ret_done = rc == 0 && done;
	return rc;
}

int exec_cancel(struct exec_env *env, enum step_kind kind, const void *args, struct err *err)
{
	if (kind != STEP_KIND_guest_migrate)
		return 0; /* every other handler looks at its flag */
	return env->hv->ops->migrate_cancel(env->hv, ((const struct step_migrate *)args)->uuid, err);
}

int64_t exec_deadline_ms(const struct exec_env *env, enum step_kind kind)
{
	static const int64_t by_class[] = { [STEP_FAST] = 20000, [STEP_NORMAL] = 120000, [STEP_SLOW] = 900000, [STEP_LONG] = 0 };

	return (int64_t)((double)by_class[step_infos[kind].class] * env->time_factor);
}

/* Every argument struct of an instance's step begins with its uuid; the node's own steps share a lane. */
const char *exec_lane(const struct exec_call *call)
{
	const struct schema *s = step_infos[call->kind].args;

	if (s->n_fields && strcmp(s->fields[0].name, "uuid") == 0 && s->fields[0].type == FIELD_STR)
		return (const char *)call->args + s->fields[0].offset;
	return "node";
}

int exec_until(struct exec_env *env, const struct exec_call *c, int ms, int (*cond)(void *arg, struct err *err), void *arg, struct err *err)
{
	const int step_ms = 200;

	for (int64_t left = (int64_t)(ms * env->time_factor);; left -= step_ms) {
		int rc = cond(arg, err);

		if (rc != 0)
			return rc < 0 ? rc : 0;
		if (left <= 0)
			return -ERR_TIMEOUT;
		rc = env->wait(env, c, step_ms, err);
		if (rc < 0)
			return rc;
	}
}
