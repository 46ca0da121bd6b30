/* SPDX-License-Identifier: Apache-2.0 */
/* DRBD resources: configuration, attach, connect, and taking apart. Rules: arbitration-protocol.md H6..H13. */
#include <string.h>

#include "common/xmem.h"
#include "node/exec_inside.h"
#include "storage/storage.h"

static int fill(struct exec_env *env, const struct step_drbd_conf *a, struct drbd_conf *c, struct err *err)
{
	memset(c, 0, sizeof(*c));
	if (a->n_peers != 2)
		return err_set(err, ERR_INTERNAL, "a DRBD resource needs two nodes, the order names %d", a->n_peers);
	(void)str_copy(c->resource, sizeof(c->resource), a->resource);
	(void)str_copy(c->instance_uuid, sizeof(c->instance_uuid), a->uuid);
	(void)str_copy(c->secret, sizeof(c->secret), a->secret);
	(void)str_copy(c->handler, sizeof(c->handler), env->handler_path);
	c->port = (int)a->port;
	c->arbitrated = a->arbitrated == 1;
	c->resync_rate_mib_s = a->resync_rate;
	c->n_volumes = a->n_volumes;
	for (int i = 0; i < a->n_volumes; i++) {
		c->volumes[i].index = (int)a->volumes[i].index;
		c->volumes[i].minor = (int)a->volumes[i].minor;
		(void)str_copy(c->volumes[i].disk_path, sizeof(c->volumes[i].disk_path), a->volumes[i].disk);
		(void)str_copy(c->volumes[i].meta_path, sizeof(c->volumes[i].meta_path), a->volumes[i].meta);
	}
	for (int i = 0; i < 2; i++) {
		(void)str_copy(c->peers[i].hostname, sizeof(c->peers[i].hostname), a->peers[i].hostname);
		(void)str_copy(c->peers[i].address, sizeof(c->peers[i].address), a->peers[i].address);
		c->peers[i].node_id = i;
	}
	return 0;
}

static int need_drbd(struct exec_env *env, struct err *err)
{
	return env->drbd ? 0 : err_set(err, ERR_NOT_PREPARED, "this node has no DRBD");
}

int do_drbd_configure(struct exec_env *env, const struct exec_call *c, json_t **ret, struct err *err)
{
	struct drbd_conf conf;
	int rc = need_drbd(env, err);

	(void)ret;
	if (rc == 0)
		rc = fill(env, c->args, &conf, err);
	return rc < 0 ? rc : env->drbd->ops->write_conf(env->drbd, &conf, err);
}

int undo_drbd_configure(struct exec_env *env, const struct exec_call *c, struct err *err)
{
	const struct step_drbd_conf *a = c->args;
	struct step_drbd_conf before;
	struct drbd_conf conf;
	int rc;

	if (!a->previous)
		return env->drbd->ops->remove_conf(env->drbd, a->resource, err);
	rc = schema_decode(&step_drbd_conf_schema, &before, a->previous, err);
	if (rc < 0)
		return rc;
	rc = fill(env, &before, &conf, err);
	schema_done(&step_drbd_conf_schema, &before);
	return rc < 0 ? rc : env->drbd->ops->write_conf(env->drbd, &conf, err);
}

int do_drbd_make_md(struct exec_env *env, const struct exec_call *c, json_t **ret, struct err *err)
{
	const struct step_drbd_conf *a = c->args;
	struct drbd_conf conf;
	int rc = fill(env, a, &conf, err);

	(void)ret;
	if (rc == 0)
		rc = env->drbd->ops->create_md(env->drbd, &conf, a->force == 1, err);
	/* New metadata is a new replica: what the old one lacked is no matter any more, a full sync follows. */
	return rc < 0 ? rc : env->system->stale_mark(env->system, a->uuid, false, err);
}

/* ---- attach, connect -------------------------------------------------------------------------------------- */

static bool attached(const struct drbd_status *s)
{
	if (!s->up || s->n_volumes == 0)
		return false;
	for (int i = 0; i < s->n_volumes; i++)
		if (s->volumes[i].disk <= DRBD_DISK_FAILED)
			return false;
	return true;
}

int probe_drbd_attach(struct exec_env *env, const struct exec_call *c, bool *ret, struct err *err)
{
	const struct step_resource *a = c->args;
	struct drbd_status s;
	int rc = env->drbd->ops->status(env->drbd, a->resource, &s, err);

	*ret = rc == 0 && attached(&s);
	return rc;
}

int do_drbd_attach(struct exec_env *env, const struct exec_call *c, json_t **ret, struct err *err)
{
	const struct step_resource *a = c->args;

	(void)ret;
	/* A replica that lost its disk stays off until it is made anew (H6, H16). */
	if (a->force != 1 && env->system->stale_marked(env->system, a->uuid))
		return err_set(err, ERR_STALE_REPLICA, "the replica of '%s' on this node lost its disk", a->resource),
		       err_hint(err, "'gnt instance replace-disks -s %s' makes it anew", a->resource);
	return env->drbd->ops->attach(env->drbd, a->resource, err);
}

int undo_drbd_attach(struct exec_env *env, const struct exec_call *c, struct err *err)
{
	return env->drbd->ops->down(env->drbd, ((const struct step_resource *)c->args)->resource, err);
}

static bool connecting(const struct drbd_status *s)
{
	return s->up && (s->conn == DRBD_CONN_CONNECTED || s->conn == DRBD_CONN_CONNECTING);
}

int probe_drbd_connect(struct exec_env *env, const struct exec_call *c, bool *ret, struct err *err)
{
	const struct step_resource *a = c->args;
	struct drbd_status s;
	int rc = env->drbd->ops->status(env->drbd, a->resource, &s, err);

	*ret = rc == 0 && connecting(&s);
	return rc;
}

int do_drbd_connect(struct exec_env *env, const struct exec_call *c, json_t **ret, struct err *err)
{
	const struct step_resource *a = c->args;
	struct drbd_status s;
	int rc = env->drbd->ops->status(env->drbd, a->resource, &s, err);

	(void)ret;
	if (rc < 0 || connecting(&s))
		return rc;
	/* A side without its disk that is not Primary never connects: a frozen Primary would thaw with no verdict (H11). */
	if (!attached(&s) && s.role != DRBD_ROLE_PRIMARY)
		return err_set(err, ERR_WRONG_STATE, "the disks of '%s' are not attached on this node", a->resource);
	if (env->system->pinned(env->system, a->uuid))
		return err_set(err, ERR_WRONG_STATE, "'%s' is about to take over on this node and stays apart until then", a->resource);
	return env->drbd->ops->connect(env->drbd, a->resource, a->discard == 1, err);
}

int undo_drbd_connect(struct exec_env *env, const struct exec_call *c, struct err *err)
{
	return env->drbd->ops->disconnect(env->drbd, ((const struct step_resource *)c->args)->resource, false, err);
}

int do_drbd_adjust(struct exec_env *env, const struct exec_call *c, json_t **ret, struct err *err)
{
	(void)ret;
	return env->drbd->ops->adjust(env->drbd, ((const struct step_resource *)c->args)->resource, err);
}

/* ---- apart ------------------------------------------------------------------------------------------------------ */

struct look {
	struct exec_env *env;
	const char *resource;
	struct drbd_status s;
};

static int is_apart(void *arg, struct err *err)
{
	struct look *l = arg;
	int rc = l->env->drbd->ops->status(l->env->drbd, l->resource, &l->s, err);

	if (rc < 0)
		return rc;
	return !l->s.up || l->s.conn == DRBD_CONN_STANDALONE || l->s.conn == DRBD_CONN_NONE;
}

/* The plain cut: never the graceful disconnect, which makes a Secondary outdate itself and lets the Primary go on unasked (H9). */
int do_drbd_cut(struct exec_env *env, const struct exec_call *c, json_t **ret, struct err *err)
{
	struct look l = { .env = env, .resource = ((const struct step_resource *)c->args)->resource };
	int rc = is_apart(&l, err);

	(void)ret;
	if (rc != 0)
		return rc < 0 ? rc : 0;
	rc = env->drbd->ops->disconnect(env->drbd, l.resource, true, err);
	if (rc == 0)
		rc = exec_until(env, c, 20000, is_apart, &l, err);
	if (rc == -ERR_TIMEOUT)
		return err_set(err, ERR_TIMEOUT, "DRBD still shows a connection of '%s' after the cut", l.resource);
	return rc;
}

static int is_down(void *arg, struct err *err)
{
	struct look *l = arg;
	struct err ignored = ERR_INIT;
	int rc;

	(void)err;
	/* "held open" until the process has gone: tried again. */
	rc = l->env->drbd->ops->secondary(l->env->drbd, l->resource, &ignored);
	if (rc == 0)
		rc = l->env->drbd->ops->down(l->env->drbd, l->resource, &ignored);
	return rc == 0;
}

int exec_tear_down(struct exec_env *env, const struct exec_call *c, const char *resource, struct err *err)
{
	struct look l = { .env = env, .resource = resource };
	struct err ignored = ERR_INIT;
	int rc = env->drbd->ops->status(env->drbd, resource, &l.s, err);

	if (rc < 0 || !l.s.up)
		return rc;
	if (l.s.suspended_fencing || l.s.suspended_other) {
		/* Each may have been done before; what counts is the order (H13). */
		(void)env->drbd->ops->disconnect(env->drbd, resource, true, &ignored);
		(void)env->drbd->ops->detach(env->drbd, resource, true, &ignored);
		rc = env->drbd->ops->resume_io(env->drbd, resource, err);
		if (rc < 0)
			return rc;
	} else if (l.s.role == DRBD_ROLE_SECONDARY) {
		return env->drbd->ops->down(env->drbd, resource, err);
	}
	rc = exec_until(env, c, 30000, is_down, &l, err);
	if (rc == -ERR_TIMEOUT)
		return err_set(err, ERR_BUSY, "DRBD resource '%s' is held open", resource), err_hint(err, "look who has it open: 'lsof /dev/drbdN'");
	return rc;
}

int do_drbd_down(struct exec_env *env, const struct exec_call *c, json_t **ret, struct err *err)
{
	const struct step_resource *a = c->args;

	(void)ret;
	if (a->force == 1)
		return exec_tear_down(env, c, a->resource, err);
	return env->drbd->ops->down(env->drbd, a->resource, err);
}

int do_drbd_forget(struct exec_env *env, const struct exec_call *c, json_t **ret, struct err *err)
{
	const struct step_resource *a = c->args;
	int rc = env->drbd->ops->remove_conf(env->drbd, a->resource, err);

	(void)ret;
	if (rc == 0)
		rc = env->system->stale_mark(env->system, a->uuid, false, err);
	return rc < 0 ? rc : env->system->pin(env->system, a->uuid, false, err);
}
