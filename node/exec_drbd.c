/* SPDX-License-Identifier: Apache-2.0 */
/* DRBD resources: configuration, attach, connect, and taking apart. Rules: doc/design/003 H6..H13. */
#include <string.h>

#include "common/rule.h"
#include "common/xmem.h"
#include "hypervisor/hypervisor.h"
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

int do_drbd_configure(struct exec_env *env, const struct exec_call *c, json_t **ret, struct err *err)
{
	struct drbd_conf conf;
	int rc = fill(env, c->args, &conf, err);

	(void)ret;
	return rc < 0 ? rc : env->drbd->ops->write_conf(env->drbd, &conf, err);
}

/* The step that takes it down may have been passed over while this node was away: up, it would keep the job from its end for ever. A Primary stays. */
static int not_up_any_more(struct exec_env *env, const char *resource, struct err *err)
{
	struct drbd_status s;
	int rc = env->drbd->ops->status(env->drbd, resource, &s, err);

	if (rc < 0 || !s.up)
		return rc;
	if (s.role != DRBD_ROLE_PRIMARY && !drbd_status_frozen(&s))
		return env->drbd->ops->down(env->drbd, resource, err);
	return err_set(err, ERR_BUSY, "DRBD resource '%s' is still up on this node", resource);
}

int undo_drbd_configure(struct exec_env *env, const struct exec_call *c, struct err *err)
{
	const struct step_drbd_conf *a = c->args;
	struct step_drbd_conf before;
	struct drbd_conf conf;
	int rc;

	if (!a->previous) { /* its attach may have come through after its undo was passed over: nobody could take it down without the file */
		rc = not_up_any_more(env, a->resource, err);
		return rc < 0 ? rc : env->drbd->ops->remove_conf(env->drbd, a->resource, err);
	}
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
		rc = not_up_any_more(env, a->resource, err);
	if (rc == 0)
		rc = env->drbd->ops->create_md(env->drbd, &conf, a->force == 1, err);
	/*
	 * New metadata is a new replica: what the old one lacked is no matter any more, a full sync follows. Nor will it take over: one that should have,
	 * and was never promoted as its disk failed, would stay apart for ever.
	 */
	if (rc == 0)
		rc = env->system->pin(env->system, a->uuid, false, err);
	if (rc == 0 && env->system->split)
		rc = env->system->split(env->system, a->uuid, false, err);
	return rc < 0 ? rc : env->system->stale_mark(env->system, a->uuid, false, err);
}

/* ---- attach, connect -------------------------------------------------------------------------------------- */

bool exec_drbd_attached(const struct drbd_status *s)
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

	*ret = rc == 0 && exec_drbd_attached(&s);
	return rc;
}

const char *exec_whose(const struct step_resource *a)
{
	return a->name[0] ? a->name : a->resource;
}

static int lost_its_disk(const struct step_resource *a, struct err *err)
{
	return err_set(err, ERR_STALE_REPLICA, "the replica of '%s' on this node lost its disk", exec_whose(a)),
	       err_hint(err, "'gnt instance replace-disks -s %s' makes it anew", exec_whose(a));
}

int do_drbd_attach(struct exec_env *env, const struct exec_call *c, json_t **ret, struct err *err)
{
	const struct step_resource *a = c->args;
	struct drbd_status s;
	int rc = env->drbd->ops->status(env->drbd, a->resource, &s, err);

	(void)ret;
	if (rc < 0)
		return rc;
	/*
	 * A replica that lost its disk stays off until it is made anew (H6, H16). That of a Primary may have failed before anybody could mark it: it does
	 * not get one while it runs.
	 */
	if (RULE(MARK) && a->force != 1 &&
	    (env->system->stale_marked(env->system, a->uuid) || (s.role == DRBD_ROLE_PRIMARY && !exec_drbd_attached(&s))))
		return lost_its_disk(a, err);
	rc = env->system->torn(env->system, a->uuid, false, err); /* from here on an I/O error counts */
	return rc < 0 || exec_drbd_attached(&s) ? rc : env->drbd->ops->attach(env->drbd, a->resource, err);
}

/* Never the graceful way: it lets a Primary on the other side go on unasked (H8). */
int undo_drbd_connect(struct exec_env *env, const struct exec_call *c, struct err *err)
{
	const struct step_resource *a = c->args;
	struct drbd_status s;
	int rc = env->drbd->ops->status(env->drbd, a->resource, &s, err);

	/* What is not there, its file perhaps neither, has no connection: the tool would refuse, and the undo would be tried for ever. */
	return rc < 0 || !s.up ? rc : env->drbd->ops->disconnect(env->drbd, a->resource, true, err);
}

int undo_drbd_attach(struct exec_env *env, const struct exec_call *c, struct err *err)
{
	const struct step_resource *a = c->args;
	struct drbd_status s;
	int rc = env->drbd->ops->status(env->drbd, a->resource, &s, err);

	if (rc < 0 || !s.up)
		return rc;
	/* It was Primary without its disk before, else it were Secondary again by now: what runs on it stays up. */
	if (s.role == DRBD_ROLE_PRIMARY)
		return 0;
	rc = undo_drbd_connect(env, c, err);
	return rc < 0 ? rc : env->drbd->ops->down(env->drbd, a->resource, err);
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

	*ret = rc == 0 && (a->discard == 1 ? s.conn == DRBD_CONN_CONNECTED : connecting(&s));
	return rc;
}

static int may_connect(struct exec_env *env, const struct step_resource *a, const struct drbd_status *s, struct err *err)
{
	bool diskless = !exec_drbd_attached(s), primary = s->role == DRBD_ROLE_PRIMARY;

	/* A side without its disk that is not Primary never connects: a frozen Primary would thaw with no verdict (H11). */
	if (RULE(ATTACH_FIRST) && diskless && !primary)
		return err_set(err, ERR_WRONG_STATE, "the disks of '%s' are not attached on this node", exec_whose(a));
	if (env->system->pinned(env->system, a->uuid))
		return err_set(err, ERR_WRONG_STATE, "'%s' is about to take over on this node and stays apart until then", exec_whose(a));
	/* A Primary that has lost its disk lives on its peer's: it may look for it again. */
	if (RULE(MARK) && a->force != 1 && !diskless && env->system->stale_marked(env->system, a->uuid))
		return lost_its_disk(a, err);
	return 0;
}

int do_drbd_connect(struct exec_env *env, const struct exec_call *c, json_t **ret, struct err *err)
{
	const struct step_resource *a = c->args;
	struct drbd_status s;
	int rc = env->drbd->ops->status(env->drbd, a->resource, &s, err);

	if (rc == 0 && a->attach == 1 && !s.up) { /* all that was attached here was lost by a boot; of what is up the disk was, and stays off */
		rc = do_drbd_attach(env, c, ret, err);
		if (rc == 0)
			rc = env->drbd->ops->status(env->drbd, a->resource, &s, err);
	}
	/* One that is looking for its peer already does not carry the flag. */
	if (rc < 0 || s.conn == DRBD_CONN_CONNECTED || (connecting(&s) && a->discard != 1))
		return rc;
	rc = may_connect(env, a, &s, err);
	if (rc == 0 && a->discard == 1 && s.role == DRBD_ROLE_PRIMARY)
		rc = err_set(err, ERR_NOT_SAFE, "'%s' is Primary on this node: its data is not discarded", exec_whose(a));
	if (rc == 0)
		rc = exec_tail_kept(env, &a->tail, err);
	if (rc == 0 && env->system->split) /* if it still is, the handler says so again */
		rc = env->system->split(env->system, a->uuid, false, err);
	return rc < 0 ? rc : env->drbd->ops->connect(env->drbd, a->resource, a->discard == 1, err);
}

/* What is down stays down: it comes up by its file. Nothing is attached here (doc/design/003 "The options of what is up"). */
int do_drbd_options(struct exec_env *env, const struct exec_call *c, json_t **ret, struct err *err)
{
	const struct step_resource *a = c->args;
	struct drbd_status s;
	int rc = env->drbd->ops->status(env->drbd, a->resource, &s, err);

	(void)ret;
	if (rc < 0 || !s.up)
		return rc;
	if (env->system->pinned(env->system, a->uuid))
		return err_set(err, ERR_WRONG_STATE, "'%s' is about to take over on this node and stays apart until then", exec_whose(a));
	if (!exec_drbd_attached(&s))
		return lost_its_disk(a, err);
	return env->drbd->ops->options(env->drbd, a->resource, err);
}

/* The new room is not synchronised: nobody has written to it, so what either side holds is as good, as with new disks (doc/design/003). */
int do_drbd_resize(struct exec_env *env, const struct exec_call *c, json_t **ret, struct err *err)
{
	(void)ret;
	return env->drbd->ops->resize(env->drbd, ((const struct step_resize *)c->args)->resource, err);
}

/* ---- apart ------------------------------------------------------------------------------------------------------ */

struct look {
	struct exec_env *env;
	const struct step_resource *a;
	struct drbd_status s;
	struct err why;
};

static int is_apart(void *arg, struct err *err)
{
	struct look *l = arg;
	int rc = l->env->drbd->ops->status(l->env->drbd, l->a->resource, &l->s, err);

	if (rc < 0)
		return rc;
	return !l->s.up || l->s.conn == DRBD_CONN_STANDALONE || l->s.conn == DRBD_CONN_NONE;
}

int probe_drbd_cut(struct exec_env *env, const struct exec_call *c, bool *ret, struct err *err)
{
	struct look l = { .env = env, .a = c->args };
	int rc = is_apart(&l, err);

	*ret = rc > 0;
	return rc < 0 ? rc : 0;
}

/* The plain cut: never the graceful disconnect, which makes a Secondary outdate itself and lets the Primary go on unasked (H9). */
int do_drbd_cut(struct exec_env *env, const struct exec_call *c, json_t **ret, struct err *err)
{
	struct look l = { .env = env, .a = c->args };
	int rc = is_apart(&l, err);

	(void)ret;
	if (rc != 0)
		return rc < 0 ? rc : 0;
	rc = env->drbd->ops->disconnect(env->drbd, l.a->resource, RULE(HARD_CUT), err);
	if (rc == 0)
		rc = exec_until(env, c, 20000, is_apart, &l, err);
	if (rc == -ERR_TIMEOUT)
		return err_set(err, ERR_TIMEOUT, "DRBD still shows a connection of '%s' after the cut (%s)", exec_whose(l.a),
			       drbd_cstate_name(l.s.conn));
	return rc;
}

int probe_drbd_down(struct exec_env *env, const struct exec_call *c, bool *ret, struct err *err)
{
	const struct step_resource *a = c->args;
	struct drbd_status s;
	int rc = env->drbd->ops->status(env->drbd, a->resource, &s, err);

	/* With the pin still set it is not done: nobody else would take that away. */
	*ret = rc == 0 && !s.up && !env->system->pinned(env->system, a->uuid);
	return rc;
}

static int is_down(void *arg, struct err *err)
{
	struct look *l = arg;
	int rc;

	(void)err;
	/* "Held open" until the process has gone: tried again. */
	err_clear(&l->why);
	rc = l->env->drbd->ops->status(l->env->drbd, l->a->resource, &l->s, &l->why);
	if (rc == 0 && !l->s.up) /* by a verdict that was carried out beside this step */
		return 1;
	if (rc == 0)
		rc = l->env->drbd->ops->secondary(l->env->drbd, l->a->resource, &l->why);
	/* Its guest may have moved to the peer while this waited: that one must ask before it goes on alone, so no polite good-bye (H8, H9). */
	if (rc == 0)
		rc = l->env->drbd->ops->disconnect(l->env->drbd, l->a->resource, RULE(HARD_CUT), &l->why);
	if (rc == 0)
		rc = l->env->drbd->ops->down(l->env->drbd, l->a->resource, &l->why);
	return rc == 0;
}

#define LET_GO_MS 15000

static int has_let_go(void *arg, struct err *err)
{
	struct look *l = arg;
	int rc = l->env->drbd->ops->status(l->env->drbd, l->a->resource, &l->s, err);

	for (int i = 0; rc == 0 && i < l->s.n_volumes; i++)
		if (l->s.volumes[i].disk > DRBD_DISK_DISKLESS)
			return 0;
	return rc < 0 ? rc : 1;
}

/*
 * H13's order, for a Primary that may not go on: were the disk detached or the I/O resumed while a connection can still come, the frozen
 * writes could reach the new owner. Each order may have been given before.
 */
static int thaw_with_errors(struct look *l, const struct exec_call *c, struct err *err)
{
	struct drbdm *d = l->env->drbd;
	int rc = RULE(TEAR_ORDER) ? d->ops->disconnect(d, l->a->resource, true, err) : d->ops->resume_io(d, l->a->resource, err);

	/*
	 * The forced detach fails the frozen writes, and DRBD calls that an I/O error. The connection is cut: nothing is acknowledged any more
	 * that relies on this replica unless the log has taken it out of current, so the detach makes it no staler than the log says.
	 */
	if (rc == 0 && exec_drbd_attached(&l->s))
		rc = l->env->system->torn(l->env->system, l->a->uuid, true, err);
	if (rc == 0 && exec_drbd_attached(&l->s))
		rc = d->ops->detach(d, l->a->resource, true, err);
	/*
	 * "Failed" is not "Diskless" yet: the thaw would still find the disk and write a new UUID to it, a history of its own that nothing was
	 * written under, and the replica would come back as a split brain. A disk that does not let go must not keep the guest alive for it.
	 */
	if (rc == 0)
		rc = exec_until(l->env, c, LET_GO_MS, has_let_go, l, err);
	if (rc == -ERR_TIMEOUT) {
		err_clear(err);
		rc = 0;
	}
	if (rc == 0)
		rc = d->ops->resume_io(d, l->a->resource, err);
	if (rc < 0)
		return rc;
	/* Its guest has lost its disk for good; a signal that waited in the frozen I/O comes through now. */
	struct err ignored = ERR_INIT;
	IGNORE(l->env->hv->ops->destroy(l->env->hv, l->a->uuid, &ignored)); /* who holds it still is told below */
	return 0;
}

int exec_tear_down(struct exec_env *env, const struct exec_call *c, struct err *err)
{
	struct look l = { .env = env, .a = c->args };
	int rc = env->drbd->ops->status(env->drbd, l.a->resource, &l.s, err);

	if (rc < 0 || !l.s.up)
		return rc;
	if (drbd_status_frozen(&l.s))
		rc = thaw_with_errors(&l, c, err);
	else if (l.s.role != DRBD_ROLE_PRIMARY)
		return env->drbd->ops->down(env->drbd, l.a->resource, err);
	if (rc == 0)
		rc = exec_until(env, c, 30000, is_down, &l, err);
	if (rc == -ERR_TIMEOUT)
		return err_set(err, ERR_BUSY, "DRBD resource '%s' does not go down: %s", l.a->resource, l.why.msg),
		       err_hint(err, "look who has it open: 'lsof /dev/drbdN'");
	return rc;
}

/* The Primary on the other side has lost its disk, and all that it acknowledges since is here and nowhere else. */
static bool other_lives_here(const struct drbd_status *s)
{
	bool here = false;

	for (int i = 0; i < s->n_volumes; i++)
		here = here || (s->volumes[i].disk == DRBD_DISK_UPTODATE && s->volumes[i].peer_disk >= DRBD_DISK_DISKLESS && s->volumes[i].peer_disk <= DRBD_DISK_FAILED);
	return here && s->conn == DRBD_CONN_CONNECTED && s->role == DRBD_ROLE_SECONDARY && s->peer_role == DRBD_ROLE_PRIMARY;
}

static int take_down(struct exec_env *env, const struct exec_call *c, struct err *err)
{
	const struct step_resource *a = c->args;
	struct drbd_status s;
	int rc = env->drbd->ops->status(env->drbd, a->resource, &s, err);

	if (rc < 0 || !s.up)
		return rc;
	if (RULE(LIVES_HERE) && other_lives_here(&s))
		return err_set(err, ERR_STALE_REPLICA, "the guest of '%s' runs on the other node, which has lost its disk, and lives on the one here", a->resource),
		       err_hint(err, "'gnt instance failover' brings it here");
	if (a->force == 1)
		return exec_tear_down(env, c, err);
	if (drbd_status_frozen(&s)) /* the tool would wait with it */
		return err_set(err, ERR_BUSY, "DRBD resource '%s' is frozen and waits for a verdict", a->resource),
		       err_hint(err, "it is given when a majority of voters answers; or start the mirror's node");
	return env->drbd->ops->down(env->drbd, a->resource, err);
}

int do_drbd_down(struct exec_env *env, const struct exec_call *c, json_t **ret, struct err *err)
{
	int rc = take_down(env, c, err);

	(void)ret;
	/* What is down is apart, and comes up by an order only: one that should have taken over, and was not promoted, need not be kept apart any longer. */
	return rc < 0 ? rc : env->system->pin(env->system, ((const struct step_resource *)c->args)->uuid, false, err);
}

int do_drbd_forget(struct exec_env *env, const struct exec_call *c, json_t **ret, struct err *err)
{
	const struct step_resource *a = c->args;
	int rc = not_up_any_more(env, a->resource, err); /* without its file nobody could take it down any more */

	(void)ret;
	if (rc == 0)
		rc = env->drbd->ops->remove_conf(env->drbd, a->resource, err);
	if (rc == 0)
		rc = env->system->stale_mark(env->system, a->uuid, false, err);
	return rc < 0 ? rc : env->system->pin(env->system, a->uuid, false, err);
}
