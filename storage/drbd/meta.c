/* SPDX-License-Identifier: Apache-2.0 */
/* What changes metadata: here a wrong "yes" makes old data look current, so the state is asked before each write. */
#include <stdio.h>
#include <string.h>

#include "storage/drbd/impl.h"
#include "storage/exec.h"

#define TRIES_MAX      3
#define VOLUME_REF_LEN (NAME_LEN + 16)

static const struct drbd_volume_status *volume_of(const struct drbd_status *s, int index)
{
	for (int i = 0; i < s->n_volumes; i++)
		if (s->volumes[i].index == index)
			return &s->volumes[i];
	return NULL;
}

/* ---- create ----------------------------------------------------------------------------------- */

/* Unclean metadata (a crash) is metadata. Anything else than a clear yes or no is a failure: never overwrite on a
 * doubt. */
static int has_metadata(struct drbdm_real *d, const char *ref, bool *ret, struct err *err)
{
	const char *const argv[] = {"drbdadm", "dump-md", ref, NULL};
	AUTO_RESULT struct runner_result res = {.status = -1};

	int rc = d->runner->run(d->runner, argv, NULL, DRBDM_LONG_MS, &res, err);
	if (rc < 0)
		return rc;
	if (res.status == 0 || exec_said(&res, "apply-al first"))
		*ret = true;
	else if (exec_said(&res, "No valid meta data found"))
		*ret = false;
	else
		return exec_failed(argv, &res, ERR_COMMAND_FAILED, err);
	return 0;
}

static int create_one(struct drbdm_real *d, const char *resource, int index, bool force, struct err *err)
{
	char ref[VOLUME_REF_LEN];
	/* --force is only drbdmeta's "do not ask"; whether to overwrite was decided before. */
	const char *const argv[] = {"drbdadm", "create-md", "--force", ref, NULL};

	(void)snprintf(ref, sizeof(ref), "%s/%d", resource, index);
	for (int i = 0; i < TRIES_MAX; i++) {
		enum drbdm_outcome outcome = DRBDM_UNKNOWN;
		bool present = false;

		int rc = force ? 0 : has_metadata(d, ref, &present, err);
		if (rc < 0 || present)
			return rc;
		rc = drbdm_run(d, argv, DRBDM_LONG_MS, &outcome, err);
		if (rc < 0 || outcome == DRBDM_DONE)
			return rc;
		if (outcome == DRBDM_REFUSED)
			break;
	}
	return err_wrap(err, "resource '%s'", resource);
}

int drbdm_op_create_md(struct drbdm *d, const struct drbd_conf *c, bool force, struct err *err)
{
	struct drbd_status s;

	int rc = drbdm_conf_check(c, err);
	if (rc == 0)
		rc = drbdm_op_status(d, c->resource, &s, err);
	for (int i = 0; i < c->n_volumes && rc == 0; i++) {
		const struct drbd_volume_status *v = volume_of(&s, c->volumes[i].index);
		bool attached = v && v->disk != DRBD_DISK_NONE && v->disk != DRBD_DISK_DISKLESS;

		if (attached && force)
			return err_set(err, ERR_WRONG_STATE, "resource '%s': volume %d is in use, its metadata stays",
				       c->resource, v->index);
		if (!attached)
			rc = create_one(drbdm_real_of(d), c->resource, c->volumes[i].index, force, err);
	}
	return rc;
}

/* ---- a new data generation -------------------------------------------------------------------- */

/*
 * With clear_bitmap the peer's data is declared equal without a look at it. On a StandAlone side the kernel
 * would do that at any time, and the next connection would show a peer "UpToDate" that holds nothing. So: only
 * connected, and only while both sides were never written.
 */
static int may_skip_sync(const struct drbd_status *s, const struct drbd_volume_status *v, struct err *err)
{
	if (s->conn != DRBD_CONN_CONNECTED)
		return err_set(err, ERR_NOT_SAFE,
			       "resource '%s' is %s: the first sync may be left out only while it is Connected",
			       s->resource, drbd_cstate_name(s->conn));
	if (v->disk != DRBD_DISK_INCONSISTENT || v->peer_disk != DRBD_DISK_INCONSISTENT ||
	    v->repl != DRBD_REPL_ESTABLISHED)
		return err_set(err, ERR_NOT_SAFE,
			       "resource '%s': volume %d is %s here and %s on the peer (%s), not new on both sides",
			       s->resource, v->index, drbd_dstate_name(v->disk), drbd_dstate_name(v->peer_disk),
			       drbd_repl_name(v->repl));
	return 0;
}

static bool is_equal(const struct drbd_status *s, const struct drbd_volume_status *v)
{
	return s->conn == DRBD_CONN_CONNECTED && v->repl == DRBD_REPL_ESTABLISHED && v->disk == DRBD_DISK_UPTODATE &&
	       v->peer_disk == DRBD_DISK_UPTODATE;
}

/* *ret_done: the volume was found equal on both sides already. */
static int check_volume(struct drbdm *d, const char *resource, int index, bool clear_bitmap, bool *ret_done,
			struct err *err)
{
	struct drbd_status s;
	int rc = drbdm_op_status(d, resource, &s, err);

	if (rc < 0)
		return rc;
	const struct drbd_volume_status *v = volume_of(&s, index);
	if (!v)
		return err_set(err, ERR_WRONG_STATE, "resource '%s' has no volume %d in the kernel", resource, index);
	*ret_done = clear_bitmap && is_equal(&s, v);
	return clear_bitmap && !*ret_done ? may_skip_sync(&s, v, err) : 0;
}

static int new_uuid_one(struct drbdm *d, const char *resource, int index, bool clear_bitmap, struct err *err)
{
	char ref[VOLUME_REF_LEN];
	const char *const argv[] = {"drbdadm", "new-current-uuid", clear_bitmap ? "--clear-bitmap" : ref,
				    clear_bitmap ? ref : NULL, NULL};

	(void)snprintf(ref, sizeof(ref), "%s/%d", resource, index);
	for (int i = 0; i < TRIES_MAX; i++) {
		enum drbdm_outcome outcome = DRBDM_UNKNOWN;
		bool done = false;

		/* Asked anew before every try: what was safe five seconds ago need not be. */
		int rc = check_volume(d, resource, index, clear_bitmap, &done, err);
		if (rc < 0 || done)
			return rc;
		rc = drbdm_run(drbdm_real_of(d), argv, DRBDM_SHORT_MS, &outcome, err);
		if (rc < 0 || outcome == DRBDM_DONE)
			return rc;
		if (outcome == DRBDM_REFUSED)
			break;
	}
	return err_wrap(err, "resource '%s'", resource);
}

int drbdm_op_new_current_uuid(struct drbdm *d, const char *resource, bool clear_bitmap, struct err *err)
{
	struct drbd_status s;

	int rc = drbdm_op_status(d, resource, &s, err);
	if (rc < 0)
		return rc;
	if (!s.up || s.n_volumes == 0)
		return err_set(err, ERR_WRONG_STATE, "resource '%s' is not up", resource);
	for (int i = 0; i < s.n_volumes && rc == 0; i++)
		rc = new_uuid_one(d, resource, s.volumes[i].index, clear_bitmap, err);
	return rc;
}
