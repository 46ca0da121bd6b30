/* SPDX-License-Identifier: Apache-2.0 */
/* DRBD resources: who is Primary, and waiting for replicas. Promotion is pulled from the master (H10). */
#include <stdio.h>
#include <string.h>

#include "common/rule.h"
#include "common/xmem.h"
#include "node/exec_inside.h"
#include "storage/storage.h"

struct look {
	struct exec_env *env;
	const struct exec_call *call;
	const char *resource, *whose;
	struct drbd_status s;
	int idle;     /* looks in a row at which nothing came nearer to the end */
	int permille; /* last told */
};

static int read_status(struct look *l, struct err *err)
{
	return l->env->drbd->ops->status(l->env->drbd, l->resource, &l->s, err);
}

static struct look look_at(struct exec_env *env, const struct exec_call *c)
{
	const struct step_resource *a = c->args;

	return (struct look){ .env = env, .call = c, .resource = a->resource, .whose = exec_whose(a), .permille = -1 };
}

static bool have_met(const struct drbd_status *s)
{
	return s->conn == DRBD_CONN_CONNECTED && (!RULE(SHAKES) || !drbd_status_shakes_hands(s));
}

/* It holds also for what is down: else nobody could decide about it, as whoever brings it up fails and takes it down again. */
bool exec_is_split(struct exec_env *env, const char *instance_uuid, const struct drbd_status *s)
{
	struct exec_system *sys = env->system;
	struct err ignored = ERR_INIT;

	if (!instance_uuid[0] || !sys->split_marked || !sys->split_marked(sys, instance_uuid))
		return false;
	if (!s->up || !have_met(s))
		return true;
	IGNORE(sys->split(sys, instance_uuid, false, &ignored)); /* tried again by who asks next */
	return false;
}

/* ---- waiting ------------------------------------------------------------------------------------------ */

static int is_connected(void *arg, struct err *err)
{
	struct look *l = arg;
	int rc = read_status(l, err);

	if (rc < 0)
		return rc;
	if (!l->s.up || l->s.conn == DRBD_CONN_STANDALONE) /* from there it does not come by itself */
		return err_set(err, ERR_DEGRADED, "the replicas of '%s' do not connect (%s)", l->whose,
			       drbd_cstate_name(l->s.conn)),
		       err_hint(err, "the kernel log of both nodes says why: another secret, or data that has parted");
	return have_met(&l->s);
}

int do_drbd_wait_connected(struct exec_env *env, const struct exec_call *c, json_t **ret, struct err *err)
{
	struct look l = look_at(env, c);
	int rc = exec_until(env, c, 60000, is_connected, &l, err);

	(void)ret;
	if (rc == -ERR_TIMEOUT)
		return err_set(err, ERR_DEGRADED, "the replicas of '%s' do not connect (%s)", l.whose, drbd_cstate_name(l.s.conn)),
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
		return err_set(err, ERR_WRONG_STATE, "the replicas of '%s' are not connected", l.whose);
	for (int i = 0; i < l.s.n_volumes; i++)
		if (l.s.volumes[i].disk != DRBD_DISK_INCONSISTENT || l.s.volumes[i].peer_disk != DRBD_DISK_INCONSISTENT ||
		    l.s.volumes[i].repl != DRBD_REPL_ESTABLISHED)
			return err_set(err, ERR_NOT_SAFE, "a replica of '%s' has been in use", l.whose),
			       err_hint(err, "let it resync; or make the metadata of both sides anew");
	return env->drbd->ops->new_current_uuid(env->drbd, l.resource, true, err);
}

#define IDLE_LOOKS 150 /* of 200 ms: half a minute without a mirror to resync with ends the wait */

static void tell(struct look *l)
{
	int64_t left_kib = 0;
	int permille = 1000;
	char text[64];

	for (int i = 0; i < l->s.n_volumes; i++) {
		left_kib += l->s.volumes[i].out_of_sync_kib;
		permille = l->s.volumes[i].done_permille < permille ? l->s.volumes[i].done_permille : permille;
	}
	if (!l->call->progress || permille == l->permille)
		return;
	l->permille = permille;
	(void)snprintf(text, sizeof(text), "resync: %lld MiB left", (long long)(left_kib / 1024));
	l->call->progress(l->call->progress_arg, permille, text);
}

static bool resyncs(const struct drbd_status *s)
{
	for (int i = 0; i < s->n_volumes; i++)
		if (s->conn == DRBD_CONN_CONNECTED && s->volumes[i].repl != DRBD_REPL_ESTABLISHED && s->volumes[i].repl != DRBD_REPL_OFF)
			return true;
	return false;
}

static int is_in_sync(void *arg, struct err *err)
{
	struct look *l = arg;
	int rc = read_status(l, err);

	if (rc < 0)
		return rc;
	if (drbd_status_in_sync(&l->s))
		return 1;
	l->idle = resyncs(&l->s) ? 0 : l->idle + 1;
	if (!l->s.up || l->s.conn == DRBD_CONN_STANDALONE || (l->idle > IDLE_LOOKS && l->s.conn != DRBD_CONN_CONNECTED))
		return err_set(err, ERR_NODE_DOWN, "the mirror of '%s' has gone during the resync (%s)", l->whose,
			       drbd_cstate_name(l->s.conn));
	if (l->idle > IDLE_LOOKS)
		return err_set(err, ERR_DEGRADED, "no resync of '%s' runs, though its replicas are not in sync", l->whose);
	tell(l);
	return 0;
}

int do_drbd_wait_sync(struct exec_env *env, const struct exec_call *c, json_t **ret, struct err *err)
{
	struct look l = look_at(env, c);
	int rc;

	(void)ret;
	do { /* as long as it takes: a resync that gets on has no deadline */
		rc = exec_until(env, c, 3600 * 1000, is_in_sync, &l, err);
	} while (rc == -ERR_TIMEOUT);
	return rc;
}

/*
 * Without arbitration a Primary goes on alone unasked, and the log does not know. Its side writes no more by now: what DRBD says here of both replicas
 * stays true until the record names another owner. Nothing is waited for: a guest stands still meanwhile.
 */
int do_drbd_prove(struct exec_env *env, const struct exec_call *c, json_t **ret, struct err *err)
{
	struct look l = look_at(env, c);
	int rc = read_status(&l, err);

	(void)ret;
	if (rc < 0 || drbd_status_peer_has_all(&l.s) || !RULE(PROVE))
		return rc;
	return err_set(err, ERR_STALE_REPLICA, "the mirror of '%s' may lack acknowledged writes: the replicas are not connected and in sync (%s)", l.whose,
		       l.s.up ? drbd_cstate_name(l.s.conn) : "down"),
	       err_hint(err, "look at the replication network, and try again; 'gnt instance failover --ignore-consistency %s' loses what it lacks", l.whose);
}

/* ---- roles ------------------------------------------------------------------------------------------------ */

int probe_drbd_primary(struct exec_env *env, const struct exec_call *c, bool *ret, struct err *err)
{
	struct look l = look_at(env, c);
	int rc = read_status(&l, err);

	const struct step_resource *a = c->args;
	/* With the pin still set it is not done: nobody else would take that away. Nor while one that was promoted by force is frozen. */
	*ret = rc == 0 && l.s.up && l.s.role == DRBD_ROLE_PRIMARY && !env->system->pinned(env->system, a->uuid) && (a->force != 1 || !l.s.suspended_fencing);
	return rc;
}

static int may_promote(struct exec_env *env, const struct step_resource *a, const struct drbd_status *s, struct err *err)
{
	if (!s->up)
		return err_set(err, ERR_WRONG_STATE, "the replica of '%s' on this node is down", exec_whose(a));
	if (a->force == 1)
		return 0;
	if (RULE(MARK) && env->system->stale_marked(env->system, a->uuid))
		return err_set(err, ERR_STALE_REPLICA, "the replica of '%s' on this node lost its disk", exec_whose(a));
	/* Nobody has decided yet which side has the truth: to promote this one would be a decision. */
	if (RULE(SPLIT) && env->system->split_marked && env->system->split_marked(env->system, a->uuid))
		return err_set(err, ERR_NOT_SAFE, "both replicas of '%s' were written to while apart", exec_whose(a)),
		       err_hint(err, "'gnt instance confirm -n NODE %s' says which one has the truth", exec_whose(a));
	for (int i = 0; i < s->n_volumes; i++)
		if (s->volumes[i].disk == DRBD_DISK_OUTDATED || s->volumes[i].disk == DRBD_DISK_INCONSISTENT)
			return err_set(err, ERR_STALE_REPLICA, "the replica of '%s' on this node is %s", exec_whose(a),
				       drbd_dstate_name(s->volumes[i].disk));
	return 0;
}

/* --force is for data that is known to be behind: on any other it would only pass by the handler that asks for the verdict (H8, H10). */
static bool needs_force(const struct step_resource *a, const struct drbd_status *s)
{
	bool behind = false;

	for (int i = 0; i < s->n_volumes; i++)
		behind = behind || (s->volumes[i].disk != DRBD_DISK_UPTODATE && s->volumes[i].disk != DRBD_DISK_CONSISTENT);
	return a->force == 1 && behind;
}

/*
 * A person took this replica as it is, and the log has just said that it is the one that counts: what the marks say against it, that it lacks writes, or
 * that another one has some of its own, is decided. They go before the promotion, which asks for a verdict that a marked disk would not get.
 */
static int taken_as_is(struct exec_env *env, const struct step_resource *a, struct err *err)
{
	int rc = env->system->stale_mark(env->system, a->uuid, false, err);

	return rc == 0 && env->system->split ? env->system->split(env->system, a->uuid, false, err) : rc;
}

static int promote(struct exec_env *env, const struct step_resource *a, const struct drbd_status *s, struct err *err)
{
	int rc = may_promote(env, a, s, err);

	/* Asked in every cluster: an order may be older than the master thinks, arbitrated or not. */
	if (rc == 0)
		rc = env->authorise(env, a->uuid, AUTH_PROMOTE, err);
	if (rc == 0 && a->force == 1)
		rc = taken_as_is(env, a, err);
	if (rc == 0 && s->role != DRBD_ROLE_PRIMARY)
		rc = env->drbd->ops->primary(env->drbd, a->resource, needs_force(a, s), err);
	return rc < 0 ? rc : env->system->pin(env->system, a->uuid, false, err);
}

#define THAW_MS 30000

static int has_thawed(void *arg, struct err *err)
{
	struct look *l = arg;
	int rc = read_status(l, err);

	return rc < 0 ? rc : !l->s.suspended_fencing;
}

int do_drbd_primary(struct exec_env *env, const struct exec_call *c, json_t **ret, struct err *err)
{
	struct look l = look_at(env, c);
	int rc = read_status(&l, err);

	(void)ret;
	if (rc == 0)
		rc = promote(env, c->args, &l.s, err);
	if (rc < 0 || ((const struct step_resource *)c->args)->force != 1)
		return rc;
	/* DRBD calls no handler for a promotion by force, and freezes it: the agent asks. Whatever follows would wait with it, or take it apart. */
	rc = exec_until(env, c, THAW_MS, has_thawed, &l, err);
	if (rc == -ERR_TIMEOUT)
		return err_set(err, ERR_BUSY, "the replica of '%s' on this node is frozen and waits for a verdict", l.whose),
		       err_hint(err, "it is given when a majority of voters answers");
	return rc;
}

int undo_drbd_primary(struct exec_env *env, const struct exec_call *c, struct err *err)
{
	struct look l = look_at(env, c);
	int rc = read_status(&l, err);

	if (rc < 0 || !l.s.up || l.s.role != DRBD_ROLE_PRIMARY)
		return rc;
	/* Frozen it cannot be demoted, and no verdict will come for a side that shall not run: what waits in it is given up. */
	if (drbd_status_frozen(&l.s))
		return exec_tear_down(env, c, err);
	return env->drbd->ops->secondary(env->drbd, l.resource, err);
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
	struct look l = look_at(env, c);
	int rc = read_status(&l, err);

	if (rc < 0 || !l.s.up) /* it has gone down since, with its node perhaps: there is nothing to give back, the reconciler brings it up */
		return rc;
	rc = promote(env, c->args, &l.s, err);
	/*
	 * What the log or DRBD no longer permits is not given back: its disk failed meanwhile, say, and the mirror alone is current. A Secondary takes
	 * nothing from anybody, and the reconciler promotes whom the log names; to insist would keep the job, and its locks, for ever.
	 */
	if (rc == -ERR_STALE_REPLICA || rc == -ERR_NOT_OWNER) {
		if (err)
			err_clear(err);
		return 0;
	}
	return rc;
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

static int fit(struct exec_env *env, const struct step_resource *a, struct look *l, struct err *err)
{
	int rc = read_status(l, err);

	/* A marked replica is not even attached: it has nothing to say. */
	if (rc == 0 && RULE(MARK) && a->force != 1 && env->system->stale_marked(env->system, a->uuid))
		rc = err_set(err, ERR_STALE_REPLICA, "the replica of '%s' on this node lost its disk", exec_whose(a));
	if (rc == 0 && !exec_drbd_attached(&l->s)) {
		rc = env->drbd->ops->attach(env->drbd, a->resource, err);
		if (rc == 0)
			rc = read_status(l, err);
	}
	/* Were it still looking for its peer, the kernel would not keep to the answer. */
	if (rc == 0 && (l->s.conn == DRBD_CONN_CONNECTING || drbd_status_shakes_hands(&l->s))) {
		rc = env->drbd->ops->disconnect(env->drbd, a->resource, true, err);
		if (rc == 0)
			rc = read_status(l, err);
	}
	if (rc == 0)
		rc = may_promote(env, a, &l->s, err);
	for (int i = 0; rc == 0 && i < l->s.n_volumes && a->force != 1; i++)
		if (l->s.volumes[i].disk != DRBD_DISK_UPTODATE && l->s.volumes[i].disk != DRBD_DISK_CONSISTENT)
			rc = err_set(err, ERR_STALE_REPLICA, "the replica of '%s' on this node is %s", exec_whose(a),
				     drbd_dstate_name(l->s.volumes[i].disk));
	return rc;
}

/* Evidence by lease (008): the peer may have taken this connection for alive so much longer than we. Pinned as it is, it stays apart. */
static int apart_long_enough(struct exec_env *env, const struct step_resource *a, const struct look *l, struct err *err)
{
	if (!RULE(APART) || a->apart_ms == FIELD_UNSET || a->apart_ms <= 0)
		return 0;
	int64_t ms = env->system->apart_ms && l->s.conn != DRBD_CONN_CONNECTED ? env->system->apart_ms(env->system, a->uuid) : 0;
	if (ms < a->apart_ms)
		return err_set(err, ERR_NO_EVIDENCE, "the replicas of '%s' have been apart for %lld ms only, %lld ms are needed", exec_whose(a), (long long)ms,
			       (long long)a->apart_ms);
	return 0;
}

int do_drbd_probe_target(struct exec_env *env, const struct exec_call *c, json_t **ret, struct err *err)
{
	const struct step_resource *a = c->args;
	struct look l = look_at(env, c);
	struct err ignored = ERR_INIT;
	int rc = env->system->pin(env->system, a->uuid, true, err); /* from the answer on it does not connect until promoted */

	if (rc == 0)
		rc = fit(env, a, &l, err);
	if (rc == 0)
		rc = apart_long_enough(env, a, &l, err);
	if (rc < 0) {
		IGNORE(env->system->pin(env->system, a->uuid, false, &ignored)); /* the undo takes it away too */
		return rc;
	}
	*ret = json_pack("{s:b, s:b, s:b}", "fit", 1, "uptodate", drbd_status_uptodate(&l.s), "marked",
			 env->system->stale_marked(env->system, a->uuid));
	return 0;
}

int undo_drbd_probe_target(struct exec_env *env, const struct exec_call *c, struct err *err)
{
	return env->system->pin(env->system, ((const struct step_resource *)c->args)->uuid, false, err);
}
