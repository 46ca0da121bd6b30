/* SPDX-License-Identifier: Apache-2.0 */
/* DRBD resources: who is Primary, and waiting for replicas. Promotion is pulled from the master (H10). */
#include <stdio.h>
#include <string.h>

#include "common/xmem.h"
#include "node/exec_inside.h"
#include "storage/storage.h"

struct look {
	struct exec_env *env;
	const struct exec_call *call;
	const char *resource;
	struct drbd_status s;
	int alone; /* looks without a connection */
};

static int read_status(struct look *l, struct err *err)
{
	return l->env->drbd->ops->status(l->env->drbd, l->resource, &l->s, err);
}

static struct look look_at(struct exec_env *env, const struct exec_call *c)
{
	return (struct look){ .env = env, .call = c, .resource = ((const struct step_resource *)c->args)->resource };
}

/* ---- waiting ------------------------------------------------------------------------------------------ */

static int is_connected(void *arg, struct err *err)
{
	struct look *l = arg;
	int rc = read_status(l, err);

	return rc < 0 ? rc : l->s.up && l->s.conn == DRBD_CONN_CONNECTED;
}

int do_drbd_wait_connected(struct exec_env *env, const struct exec_call *c, json_t **ret, struct err *err)
{
	struct look l = look_at(env, c);
	int rc = exec_until(env, c, 60000, is_connected, &l, err);

	(void)ret;
	if (rc == -ERR_TIMEOUT)
		return err_set(err, ERR_DEGRADED, "the replicas of '%s' do not connect (%s)", l.resource, drbd_cstate_name(l.s.conn)),
		       err_hint(err, "look at the replication network between the nodes");
	return rc;
}

/* Only a pair that is connected and has never been in sync: on any other it would hide what one side lacks (H18). */
int do_drbd_skip_sync(struct exec_env *env, const struct exec_call *c, json_t **ret, struct err *err)
{
	struct look l = look_at(env, c);
	int rc = read_status(&l, err);

	(void)ret;
	if (rc < 0)
		return rc;
	if (drbd_status_in_sync(&l.s))
		return 0;
	if (l.s.conn != DRBD_CONN_CONNECTED)
		return err_set(err, ERR_WRONG_STATE, "the replicas of '%s' are not connected", l.resource);
	for (int i = 0; i < l.s.n_volumes; i++)
		if (l.s.volumes[i].disk != DRBD_DISK_INCONSISTENT || l.s.volumes[i].peer_disk != DRBD_DISK_INCONSISTENT)
			return err_set(err, ERR_NOT_SAFE, "a replica of '%s' has been in use", l.resource);
	return env->drbd->ops->new_current_uuid(env->drbd, l.resource, true, err);
}

#define ALONE_LOOKS 150 /* of 200 ms: half a minute without the mirror ends the wait */

static int is_in_sync(void *arg, struct err *err)
{
	struct look *l = arg;
	int64_t left_kib = 0;
	int permille = 1000;
	char text[64];
	int rc = read_status(l, err);

	if (rc < 0)
		return rc;
	l->alone = l->s.conn == DRBD_CONN_CONNECTED ? 0 : l->alone + 1;
	if (l->alone > ALONE_LOOKS)
		return err_set(err, ERR_NODE_DOWN, "the mirror of '%s' has gone during the resync", l->resource);
	for (int i = 0; i < l->s.n_volumes; i++) {
		left_kib += l->s.volumes[i].out_of_sync_kib;
		permille = l->s.volumes[i].done_permille < permille ? l->s.volumes[i].done_permille : permille;
	}
	(void)snprintf(text, sizeof(text), "resync: %lld MiB left", (long long)(left_kib / 1024));
	if (l->call->progress)
		l->call->progress(l->call->progress_arg, permille, text);
	return drbd_status_in_sync(&l->s);
}

int do_drbd_wait_sync(struct exec_env *env, const struct exec_call *c, json_t **ret, struct err *err)
{
	struct look l = look_at(env, c);

	(void)ret;
	return exec_until(env, c, 7 * 86400 * 1000, is_in_sync, &l, err);
}

/* ---- roles ------------------------------------------------------------------------------------------------ */

int probe_drbd_primary(struct exec_env *env, const struct exec_call *c, bool *ret, struct err *err)
{
	struct look l = look_at(env, c);
	int rc = read_status(&l, err);

	*ret = rc == 0 && l.s.up && l.s.role == DRBD_ROLE_PRIMARY;
	return rc;
}

static int may_promote(struct exec_env *env, const struct step_resource *a, const struct drbd_status *s, struct err *err)
{
	if (a->force == 1)
		return 0;
	if (env->system->stale_marked(env->system, a->uuid))
		return err_set(err, ERR_STALE_REPLICA, "the replica of '%s' on this node lost its disk", a->resource);
	for (int i = 0; i < s->n_volumes; i++)
		if (s->volumes[i].disk == DRBD_DISK_OUTDATED || s->volumes[i].disk == DRBD_DISK_INCONSISTENT)
			return err_set(err, ERR_STALE_REPLICA, "the replica of '%s' on this node is %s", a->resource,
				       drbd_dstate_name(s->volumes[i].disk));
	return 0;
}

int do_drbd_primary(struct exec_env *env, const struct exec_call *c, json_t **ret, struct err *err)
{
	const struct step_resource *a = c->args;
	struct look l = look_at(env, c);
	int rc = read_status(&l, err);

	(void)ret;
	if (rc == 0)
		rc = may_promote(env, a, &l.s, err);
	/* Asked in every cluster: an order may be older than the master thinks, arbitrated or not. */
	if (rc == 0)
		rc = env->authorise(env, a->uuid, AUTH_PROMOTE, err);
	if (rc == 0 && l.s.role != DRBD_ROLE_PRIMARY)
		rc = env->drbd->ops->primary(env->drbd, a->resource, a->force == 1, err);
	return rc < 0 ? rc : env->system->pin(env->system, a->uuid, false, err);
}

int undo_drbd_primary(struct exec_env *env, const struct exec_call *c, struct err *err)
{
	struct look l = look_at(env, c);
	int rc = read_status(&l, err);

	return rc < 0 || !l.s.up || l.s.role != DRBD_ROLE_PRIMARY ? rc : env->drbd->ops->secondary(env->drbd, l.resource, err);
}

int probe_drbd_secondary(struct exec_env *env, const struct exec_call *c, bool *ret, struct err *err)
{
	struct look l = look_at(env, c);
	int rc = read_status(&l, err);

	*ret = rc == 0 && (!l.s.up || l.s.role == DRBD_ROLE_SECONDARY);
	return rc;
}

int do_drbd_secondary(struct exec_env *env, const struct exec_call *c, json_t **ret, struct err *err)
{
	(void)ret;
	return undo_drbd_primary(env, c, err);
}

int undo_drbd_secondary(struct exec_env *env, const struct exec_call *c, struct err *err)
{
	json_t *none = NULL;

	return do_drbd_primary(env, c, &none, err);
}

int do_drbd_two_primaries(struct exec_env *env, const struct exec_call *c, json_t **ret, struct err *err)
{
	const struct step_resource *a = c->args;
	int rc = env->authorise(env, a->uuid, AUTH_TWO_PRIMARIES, err);

	(void)ret;
	return rc < 0 ? rc : env->drbd->ops->two_primaries(env->drbd, a->resource, true, err);
}

static int one_primary(struct exec_env *env, const struct exec_call *c, struct err *err)
{
	struct look l = look_at(env, c);
	int rc = read_status(&l, err);

	return rc < 0 || !l.s.up ? rc : env->drbd->ops->two_primaries(env->drbd, l.resource, false, err);
}

int undo_drbd_two_primaries(struct exec_env *env, const struct exec_call *c, struct err *err)
{
	return one_primary(env, c, err);
}

int do_drbd_one_primary(struct exec_env *env, const struct exec_call *c, json_t **ret, struct err *err)
{
	(void)ret;
	return one_primary(env, c, err);
}

/* ---- may this replica take over? (H7) --------------------------------------------------------------------------- */

int do_drbd_probe_target(struct exec_env *env, const struct exec_call *c, json_t **ret, struct err *err)
{
	const struct step_resource *a = c->args;
	struct look l = look_at(env, c);
	int rc = env->system->pin(env->system, a->uuid, true, err); /* from the answer on it does not connect until promoted */

	if (rc == 0)
		rc = read_status(&l, err);
	if (rc == 0 && !l.s.up)
		rc = err_set(err, ERR_WRONG_STATE, "the replica of '%s' is down", a->resource);
	if (rc == 0)
		rc = may_promote(env, a, &l.s, err);
	for (int i = 0; rc == 0 && i < l.s.n_volumes && a->force != 1; i++)
		if (l.s.volumes[i].disk != DRBD_DISK_UPTODATE && l.s.volumes[i].disk != DRBD_DISK_CONSISTENT)
			rc = err_set(err, ERR_STALE_REPLICA, "the replica of '%s' on this node is %s", a->resource,
				     drbd_dstate_name(l.s.volumes[i].disk));
	if (rc == 0)
		*ret = json_pack("{s:b}", "fit", 1);
	else
		(void)env->system->pin(env->system, a->uuid, false, NULL);
	return rc;
}
