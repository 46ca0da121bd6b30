/* SPDX-License-Identifier: Apache-2.0 */
/* Shared inside storage/drbd only. */
#ifndef STORAGE_DRBD_IMPL_H
#define STORAGE_DRBD_IMPL_H

#include "storage/drbd/drbdm.h"

/* drbdadm gives the kernel 5 s for most commands and 121 s for the long ones: ours are longer, so that it speaks first.
 */
#define DRBDM_SHORT_MS (30 * 1000)
#define DRBDM_LONG_MS  (150 * 1000)

struct drbdm_real {
	struct drbdm base;
	struct runner *runner;
	enum drbdm_kernel kernel;
	char conf_dir[PATH_LEN + 1];
	const char *proc_dir; /* tests have another one */
};

static inline struct drbdm_real *drbdm_real_of(struct drbdm *d)
{
	return (struct drbdm_real *)(void *)d;
}

/* What a command came to. */
enum drbdm_outcome {
	DRBDM_DONE,
	DRBDM_REFUSED, /* the kernel or the tool said no */
	DRBDM_UNKNOWN, /* nobody knows: read the state */
};

/*
 * Runs argv. Gives the outcome; for REFUSED err holds our code for the kernel's words (drbdm_refusal below), for
 * UNKNOWN it holds ERR_UNKNOWN_OUTCOME. A command that cannot be started is a negative -ERR_x.
 */
int drbdm_run(struct drbdm_real *d, const char *const argv[], int timeout_ms, enum drbdm_outcome *ret,
	      struct err *err) WARN_UNUSED;

/* Fills err from a refused command: "resource 'r': State change failed: (-2) Need access to UpToDate data". Returns
 * -code. */
int drbdm_refusal(const char *const argv[], const struct runner_result *res, struct err *err);

/* ---- the operations, grouped by file ---- */
/* drbdm.c: files and status */
int drbdm_op_write_conf(struct drbdm *d, const struct drbd_conf *c, struct err *err);
int drbdm_op_remove_conf(struct drbdm *d, const char *resource, struct err *err);
int drbdm_op_list_conf(struct drbdm *d, struct drbd_conf **ret, int *ret_n, struct err *err);
int drbdm_op_status(struct drbdm *d, const char *resource, struct drbd_status *ret, struct err *err);
int drbdm_op_status_all(struct drbdm *d, struct drbd_status **ret, int *ret_n, struct err *err);
/* The file of one resource. -ERR_NOT_FOUND without one. */
int drbdm_read_conf(struct drbdm_real *d, const char *resource, struct drbd_conf *ret, struct err *err) WARN_UNUSED;
/* -ERR_BAD_VALUE for what is no resource's name. */
int drbdm_check_name(const char *resource, struct err *err) WARN_UNUSED;

/* proc.c: without tools */
int drbdm_op_suspended(struct drbdm *d, struct drbd_suspended **ret, int *ret_n, struct err *err);
/* Does the page of an 8.4 module say that this device's I/O is suspended? Pure. */
bool drbdm_proc_suspended(const char *text, int minor);

/* ops.c: what changes the kernel */
int drbdm_op_options(struct drbdm *d, const char *resource, struct err *err);
int drbdm_op_attach(struct drbdm *d, const char *resource, struct err *err);
int drbdm_op_connect(struct drbdm *d, const char *resource, bool discard_my_data, struct err *err);
int drbdm_op_disconnect(struct drbdm *d, const char *resource, bool force, struct err *err);
int drbdm_op_detach(struct drbdm *d, const char *resource, bool force, struct err *err);
int drbdm_op_down(struct drbdm *d, const char *resource, struct err *err);
int drbdm_op_primary(struct drbdm *d, const char *resource, bool force, struct err *err);
int drbdm_op_secondary(struct drbdm *d, const char *resource, struct err *err);
int drbdm_op_two_primaries(struct drbdm *d, const char *resource, bool allow, struct err *err);
int drbdm_op_resume_io(struct drbdm *d, const char *resource, struct err *err);
int drbdm_op_resize(struct drbdm *d, const char *resource, struct err *err);

/* meta.c: what changes metadata */
int drbdm_op_create_md(struct drbdm *d, const struct drbd_conf *c, bool force, struct err *err);
int drbdm_op_new_current_uuid(struct drbdm *d, const char *resource, bool clear_bitmap, struct err *err);

#endif
