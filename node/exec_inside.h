/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the step table share. */
#ifndef NODE_EXEC_INSIDE_H
#define NODE_EXEC_INSIDE_H

#include "node/exec.h"

typedef int exec_do_fn(struct exec_env *env, const struct exec_call *c, json_t **ret, struct err *err);
typedef int exec_undo_fn(struct exec_env *env, const struct exec_call *c, struct err *err);
typedef int exec_probe_fn(struct exec_env *env, const struct exec_call *c, bool *ret, struct err *err);

struct exec_row {
	exec_do_fn *run;
	exec_undo_fn *undo;   /* NULL: nothing to take back */
	exec_probe_fn *probe; /* NULL: no state to look at */
};

/* exec_volume.c */
exec_do_fn do_volume_create, do_volume_remove, do_image_write;
exec_undo_fn undo_volume_create;
exec_probe_fn probe_volume_create, probe_volume_remove;
/* exec_tail.c */
exec_do_fn do_tail_keep;
struct step_tail_ref;
/* Every snapshot of it is there: what is connected now may be overwritten. */
int exec_tail_kept(struct exec_env *env, const struct step_tail_ref *t, struct err *err) WARN_UNUSED;
/* exec_drbd.c */
exec_do_fn do_drbd_configure, do_drbd_make_md, do_drbd_attach, do_drbd_connect, do_drbd_options, do_drbd_down, do_drbd_forget, do_drbd_cut;
exec_undo_fn undo_drbd_configure, undo_drbd_attach, undo_drbd_connect;
exec_probe_fn probe_drbd_attach, probe_drbd_connect, probe_drbd_cut, probe_drbd_down;
/* exec_role.c */
exec_do_fn do_drbd_wait_connected, do_drbd_skip_sync, do_drbd_wait_sync, do_drbd_prove, do_drbd_primary, do_drbd_secondary, do_drbd_two_primaries,
	do_drbd_one_primary, do_drbd_probe_target;
exec_undo_fn undo_drbd_primary, undo_drbd_secondary, undo_drbd_two_primaries, undo_drbd_probe_target;
exec_probe_fn probe_drbd_primary, probe_drbd_secondary;
/* exec_guest.c */
exec_do_fn do_guest_start, do_guest_shutdown, do_guest_destroy, do_guest_reset, do_guest_hold, do_guest_expect, do_guest_migrate, do_guest_arrived,
	do_guest_resume;
exec_undo_fn undo_guest_start, undo_guest_hold, undo_guest_expect, undo_guest_migrate;
exec_probe_fn probe_guest_start, probe_guest_gone;
/* exec_node.c */
exec_do_fn do_etcd_start, do_etcd_stop, do_masterd_start, do_masterd_stop, do_certs_install, do_certs_renew, do_settings_install, do_node_leave, do_noop, do_watchdog_drill;
exec_undo_fn undo_etcd_start, undo_masterd_start, undo_noop;
exec_probe_fn probe_etcd_start;
/* exec_fence.c */
exec_do_fn do_fence_off;
exec_do_fn do_volume_grow, do_drbd_resize, do_guest_grow;

struct drbd_status;
struct step_resource;
const char *exec_whose(const struct step_resource *a); /* the instance, for people: its resource may be called otherwise */
/* Ends what runs on it, in H13's order, and takes it down: for a Primary that may not go on. */
int exec_tear_down(struct exec_env *env, const struct exec_call *c, struct err *err) WARN_UNUSED;
bool exec_drbd_attached(const struct drbd_status *s); /* every disk is there, whatever is on it */
/* Waits, canceled or for at most ms, until cond() says 1 (0 = not yet, < 0 = error). -ERR_TIMEOUT, with no text: the caller knows better. */
int exec_until(struct exec_env *env, const struct exec_call *c, int ms, int (*cond)(void *arg, struct err *err), void *arg, struct err *err) WARN_UNUSED;

#endif
