/* SPDX-License-Identifier: Apache-2.0 */
/* What changes the kernel's state. Each operation knows from the status whether it is done already. */
#include <stdio.h>
#include <string.h>

#include "storage/drbd/impl.h"
#include "storage/exec.h"

#define TRIES_MAX      3 /* each unknown outcome has cost the tool's own time-out */
#define VOLUME_REF_LEN (NAME_LEN + 16) /* "resource/index" */

/* Is the state what the operation is for? index is a volume's, for operations on one. */
typedef bool reached_fn(const struct drbd_status *s, int index);

struct command {
	const char *resource;
	const char *const *argv;
	int timeout_ms;
	reached_fn *reached; /* NULL = the state does not show it */
	int index;
	bool verify; /* look at the state after a success as well */
};

/*
 * Runs a command until it is done, refused, or the state shows that it was done. A state that cannot be read
 * after a refusal leaves the refusal; after an unknown outcome it stays unknown.
 */
static int drive(struct drbdm_real *d, const struct command *c, struct err *err)
{
	for (int i = 0; i < TRIES_MAX; i++) {
		enum drbdm_outcome outcome = DRBDM_UNKNOWN;
		struct drbd_status s;
		struct err ignored = ERR_INIT;

		int rc = drbdm_run(d, c->argv, c->timeout_ms, &outcome, err);
		if (rc < 0)
			return rc;
		if (outcome == DRBDM_DONE && !c->verify)
			return 0;
		if (c->reached && drbdm_op_status(&d->base, c->resource, &s, &ignored) == 0 && c->reached(&s, c->index))
			return 0;
		if (outcome == DRBDM_REFUSED)
			return err_wrap(err, "resource '%s'", c->resource);
		if (outcome == DRBDM_DONE)
			(void)err_set(err, ERR_UNKNOWN_OUTCOME, "'%s %s' ended well, but the state does not show it",
				      c->argv[0], c->argv[1]);
	}
	return err_wrap(err, "resource '%s'", c->resource);
}

/* ---- what states mean ------------------------------------------------------------------------- */

static bool is_up(const struct drbd_status *s, int index)
{
	(void)index;
	return s->up;
}

static bool is_down(const struct drbd_status *s, int index)
{
	(void)index;
	return !s->up;
}

static bool is_cut(const struct drbd_status *s, int index)
{
	(void)index;
	return s->conn == DRBD_CONN_NONE || s->conn == DRBD_CONN_STANDALONE;
}

static bool is_connecting(const struct drbd_status *s, int index)
{
	return !is_cut(s, index) && s->conn != DRBD_CONN_DISCONNECTING;
}

static const struct drbd_volume_status *volume_of(const struct drbd_status *s, int index)
{
	for (int i = 0; i < s->n_volumes; i++)
		if (s->volumes[i].index == index)
			return &s->volumes[i];
	return NULL;
}

static bool has_volume(const struct drbd_status *s, int index)
{
	return volume_of(s, index) != NULL;
}

static bool is_attached(const struct drbd_status *s, int index)
{
	const struct drbd_volume_status *v = volume_of(s, index);

	return v && v->disk >= DRBD_DISK_NEGOTIATING && v->disk != DRBD_DISK_UNKNOWN;
}

static bool is_detached(const struct drbd_status *s, int index)
{
	(void)index;
	for (int i = 0; i < s->n_volumes; i++)
		if (s->volumes[i].disk != DRBD_DISK_DISKLESS && s->volumes[i].disk != DRBD_DISK_NONE)
			return false;
	return true;
}

/* 8.4 shows the highest role of the volumes: not Primary means that none is. */
static bool is_secondary(const struct drbd_status *s, int index)
{
	(void)index;
	return s->role != DRBD_ROLE_PRIMARY;
}

static bool is_running(const struct drbd_status *s, int index)
{
	(void)index;
	return !drbd_status_frozen(s);
}

static bool peer_is_outdated(const struct drbd_status *s)
{
	for (int i = 0; i < s->n_volumes; i++)
		if (s->volumes[i].peer_disk != DRBD_DISK_OUTDATED)
			return false;
	return s->n_volumes > 0;
}

/* ---- up and down ------------------------------------------------------------------------------ */

/* `drbdadm VERB resource/index` */
static int on_volume(struct drbdm_real *d, const char *resource, const char *verb, int index, reached_fn *reached,
		     struct err *err)
{
	char ref[VOLUME_REF_LEN];
	const char *const argv[] = {"drbdadm", verb, ref, NULL};
	const struct command c = {
	    .resource = resource,
	    .argv = argv,
	    .timeout_ms = DRBDM_LONG_MS,
	    .reached = reached,
	    .index = index,
	};

	(void)snprintf(ref, sizeof(ref), "%s/%d", resource, index);
	return drive(d, &c, err);
}

static int on_resource(struct drbdm_real *d, const char *resource, const char *verb, reached_fn *reached,
		       struct err *err)
{
	const char *const argv[] = {"drbdadm", verb, resource, NULL};
	const struct command c = {
	    .resource = resource,
	    .argv = argv,
	    .timeout_ms = DRBDM_LONG_MS,
	    .reached = reached,
	};

	return drive(d, &c, err);
}

/* Commands of DRBD 9 whose work may be done already: then the kernel refuses, and that is all right. */
static int try_verbs(struct drbdm_real *d, const char *resource, const char *const verbs[], int n, struct err *err)
{
	for (int i = 0; i < n; i++) {
		const char *const argv[] = {"drbdadm", verbs[i], resource, NULL};
		enum drbdm_outcome outcome = DRBDM_UNKNOWN;

		int rc = drbdm_run(d, argv, DRBDM_SHORT_MS, &outcome, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* DRBD 9 keeps peers apart from connections. */
static int add_peer(struct drbdm_real *d, const char *resource, struct err *err)
{
	static const char *const verbs[] = {"new-peer", "new-path"};

	return try_verbs(d, resource, verbs, (int)ARRAY_SIZE(verbs), err);
}

/* In DRBD 9 the resync rate belongs to a volume of a peer; in 8.4 attach sets it. */
static int set_rate(struct drbdm_real *d, const char *resource, struct err *err)
{
	static const char *const verbs[] = {"peer-device-options"};

	return try_verbs(d, resource, verbs, (int)ARRAY_SIZE(verbs), err);
}

static int attach_volume(struct drbdm_real *d, const struct drbd_conf *c, const struct drbd_volume_conf *v,
			 const struct drbd_status *s, struct err *err)
{
	const struct drbd_volume_status *have = volume_of(s, v->index);

	if (have && have->minor >= 0 && have->minor != v->minor)
		return err_set(err, ERR_WRONG_STATE, "resource '%s': volume %d runs as minor %d, its file says %d",
			       c->resource, v->index, have->minor, v->minor);
	int rc = have ? 0 : on_volume(d, c->resource, "new-minor", v->index, has_volume, err);
	if (rc == 0 && !is_attached(s, v->index))
		rc = on_volume(d, c->resource, "attach", v->index, is_attached, err);
	return rc;
}

int drbdm_op_attach(struct drbdm *d, const char *resource, struct err *err)
{
	struct drbdm_real *r = drbdm_real_of(d);
	struct drbd_conf conf;
	struct drbd_status s = { .up = false };

	int rc = drbdm_check_name(resource, err);
	if (rc == 0)
		rc = drbdm_read_conf(r, resource, &conf, err);
	if (rc == 0)
		rc = drbdm_op_status(d, resource, &s, err);
	if (rc < 0)
		return rc;
	if (!s.up) {
		rc = on_resource(r, resource, "new-resource", is_up, err);
		if (rc == 0 && r->kernel == DRBDM_KERNEL_9)
			rc = add_peer(r, resource, err);
	}
	for (int i = 0; i < conf.n_volumes && rc == 0; i++)
		rc = attach_volume(r, &conf, &conf.volumes[i], &s, err);
	if (rc == 0 && !s.up && r->kernel == DRBDM_KERNEL_9 && conf.resync_rate_mib_s > 0)
		rc = set_rate(r, resource, err);
	return rc;
}

int drbdm_op_detach(struct drbdm *d, const char *resource, bool force, struct err *err)
{
	const char *const argv[] = {"drbdadm", "detach", force ? "--force" : resource, force ? resource : NULL, NULL};
	const struct command c = {
	    .resource = resource,
	    .argv = argv,
	    .timeout_ms = DRBDM_LONG_MS,
	    .reached = is_detached,
	};
	struct drbd_status s;

	int rc = drbdm_op_status(d, resource, &s, err);
	if (rc < 0 || is_detached(&s, 0))
		return rc;
	return drive(drbdm_real_of(d), &c, err);
}

int drbdm_op_down(struct drbdm *d, const char *resource, struct err *err)
{
	struct drbdm_real *r = drbdm_real_of(d);
	struct err ignored = ERR_INIT;
	struct drbd_conf conf;
	struct drbd_status s;

	int rc = drbdm_op_status(d, resource, &s, err);
	if (rc < 0 || !s.up)
		return rc;
	/* drbdadm also tidies its own register of minors, but it needs the file; drbdsetup needs nothing. */
	bool has_file = drbdm_read_conf(r, resource, &conf, &ignored) == 0;
	const char *const argv[] = {has_file ? "drbdadm" : "drbdsetup", "down", resource, NULL};
	const struct command c = {
	    .resource = resource,
	    .argv = argv,
	    .timeout_ms = DRBDM_LONG_MS,
	    .reached = is_down,
	};
	return drive(r, &c, err);
}

/* ---- options of what is up -------------------------------------------------------------------- */

static int set_options(struct drbdm_real *d, const char *resource, const char *const argv[], struct err *err)
{
	const struct command c = {.resource = resource, .argv = argv, .timeout_ms = DRBDM_LONG_MS};

	return drive(d, &c, err);
}

/* drbdadm-84 takes no options from the file but when it attaches or connects: they are said. */
static int options_84(struct drbdm_real *d, const struct drbd_conf *c, struct err *err)
{
	char rate[48], no_data[48];
	const char *argv[8] = {"drbdadm", "disk-options"};
	const char *const resource[] = {"drbdadm", "resource-options", no_data, c->resource, NULL};
	int n = 2;

	(void)snprintf(no_data, sizeof(no_data), "--on-no-data-accessible=%s", drbdm_on_no_data(c));
	int rc = set_options(d, c->resource, resource, err);
	if (rc < 0)
		return rc;

	argv[n++] = c->arbitrated ? "--fencing=resource-and-stonith" : "--fencing=dont-care";
	argv[n++] = c->arbitrated ? "--on-io-error=call-local-io-error" : "--on-io-error=detach";
	if (c->resync_rate_mib_s > 0) {
		(void)snprintf(rate, sizeof(rate), "--resync-rate=%lldM", (long long)c->resync_rate_mib_s);
		argv[n++] = "--c-plan-ahead=0";
		argv[n++] = rate;
	}
	argv[n] = c->resource;
	return set_options(d, c->resource, argv, err);
}

/* The tool of 9 reads the file. Fencing belongs to the connection there: one that begins later brings it along. */
static int options_9(struct drbdm_real *d, const struct drbd_conf *c, struct err *err)
{
	const char *const net[] = {"drbdadm", "net-options", c->resource, NULL};
	const char *const disk[] = {"drbdadm", "disk-options", c->resource, NULL};
	const char *const resource[] = {"drbdadm", "resource-options", c->resource, NULL};
	struct drbd_status s;
	int rc = drbdm_op_status(&d->base, c->resource, &s, err);

	if (rc == 0)
		rc = set_options(d, c->resource, resource, err);
	if (rc == 0 && !is_cut(&s, 0))
		rc = set_options(d, c->resource, net, err);
	if (rc == 0)
		rc = set_options(d, c->resource, disk, err);
	if (rc == 0 && c->resync_rate_mib_s > 0)
		rc = set_rate(d, c->resource, err);
	return rc;
}

int drbdm_op_options(struct drbdm *d, const char *resource, struct err *err)
{
	struct drbdm_real *r = drbdm_real_of(d);
	struct drbd_conf conf;

	int rc = drbdm_check_name(resource, err);
	if (rc == 0)
		rc = drbdm_read_conf(r, resource, &conf, err);
	if (rc < 0)
		return rc;
	return r->kernel == DRBDM_KERNEL_9 ? options_9(r, &conf, err) : options_84(r, &conf, err);
}

/* ---- the connection --------------------------------------------------------------------------- */

int drbdm_op_disconnect(struct drbdm *d, const char *resource, bool force, struct err *err)
{
	const char *const argv[] = {"drbdadm", "disconnect", force ? "--force" : resource, force ? resource : NULL,
				    NULL};
	const struct command c = {
	    .resource = resource,
	    .argv = argv,
	    .timeout_ms = DRBDM_LONG_MS,
	    .reached = is_cut,
	    .verify = true, /* a promotion relies on it: no connection may be left */
	};
	struct drbd_status s;

	int rc = drbdm_op_status(d, resource, &s, err);
	if (rc < 0 || is_cut(&s, 0))
		return rc;
	return drive(drbdm_real_of(d), &c, err);
}

static int connect_once(struct drbdm_real *d, const char *resource, bool discard_my_data, struct err *err)
{
	const char *const argv[] = {"drbdadm", "connect", discard_my_data ? "--discard-my-data" : resource,
				    discard_my_data ? resource : NULL, NULL};
	const struct command c = {
	    .resource = resource,
	    .argv = argv,
	    .timeout_ms = DRBDM_SHORT_MS,
	    .reached = is_connecting,
	};

	return drive(d, &c, err);
}

int drbdm_op_connect(struct drbdm *d, const char *resource, bool discard_my_data, struct err *err)
{
	struct drbdm_real *r = drbdm_real_of(d);
	struct drbd_status s;

	int rc = drbdm_op_status(d, resource, &s, err);
	if (rc < 0)
		return rc;
	if (!s.up) {
		(void)err_set(err, ERR_WRONG_STATE, "resource '%s' is not up, it cannot connect", resource);
		return err_hint(err, "attach its disks first");
	}
	if (s.conn == DRBD_CONN_CONNECTED || (is_connecting(&s, 0) && !discard_my_data))
		return 0;
	/* A connection that is being tried already does not carry the flag: it has to be started anew. */
	if (!is_cut(&s, 0))
		rc = drbdm_op_disconnect(d, resource, true, err);
	if (rc < 0)
		return rc;
	rc = connect_once(r, resource, discard_my_data, err);
	if (rc == 0 || rc == -ERR_UNKNOWN_OUTCOME || r->kernel != DRBDM_KERNEL_9)
		return rc;
	rc = add_peer(r, resource, err); /* the kernel may not know the peer yet */
	return rc < 0 ? rc : connect_once(r, resource, discard_my_data, err);
}

/* Unlike roles, options are not in the status: `drbdsetup show` has them when they are not the default. */
static int shows_two_primaries(struct drbdm_real *d, const char *resource, bool *ret, struct err *err)
{
	const char *const argv[] = {"drbdsetup", "show", resource, NULL};
	AUTO_RESULT struct runner_result res = {.status = -1};
	static const char option[] = "allow-two-primaries";

	int rc = runner_must(d->runner, argv, NULL, DRBDM_SHORT_MS, &res, err);
	if (rc < 0)
		return rc;
	const char *p = strstr(buf_str(&res.out), option);
	if (p) {
		p += strlen(option);
		p += strspn(p, " \t");
	}
	/* A flag without a value means yes. */
	*ret = p && (strncmp(p, "yes", 3) == 0 || *p == ';');
	return 0;
}

int drbdm_op_two_primaries(struct drbdm *d, const char *resource, bool allow, struct err *err)
{
	struct drbdm_real *r = drbdm_real_of(d);
	const char *const argv[] = {"drbdadm", "net-options",
				    allow ? "--allow-two-primaries=yes" : "--allow-two-primaries=no", resource, NULL};
	struct err ignored = ERR_INIT;
	struct drbd_status s;

	int rc = drbdm_check_name(resource, err);
	if (rc < 0)
		return rc;
	for (int i = 0; i < TRIES_MAX; i++) {
		enum drbdm_outcome outcome = DRBDM_UNKNOWN;
		bool shown = false;

		rc = drbdm_run(r, argv, DRBDM_SHORT_MS, &outcome, err);
		if (rc < 0 || outcome == DRBDM_DONE)
			return rc;
		if (outcome == DRBDM_REFUSED)
			break;
		if (shows_two_primaries(r, resource, &shown, &ignored) == 0 && shown == allow)
			return 0;
	}
	/* Without a connection there is no option to change, and a new one begins with the file's "no". */
	if (!allow && drbdm_op_status(d, resource, &s, &ignored) == 0 && is_cut(&s, 0)) {
		if (err)
			err_clear(err);
		return 0;
	}
	return err_wrap(err, "resource '%s'", resource);
}

/* ---- roles ------------------------------------------------------------------------------------ */

/*
 * The state is no shortcut here: 8.4 promotes volume by volume and shows the highest role, so only the tool's
 * success says that all are Primary (repeating it does no harm). A first try may be refused although the
 * handler got its yes, when the connection had not timed out yet: then the peer is shown as Outdated by now.
 */
int drbdm_op_primary(struct drbdm *d, const char *resource, bool force, struct err *err)
{
	struct drbdm_real *r = drbdm_real_of(d);
	const char *const argv[] = {"drbdadm", "primary", force ? "--force" : resource, force ? resource : NULL, NULL};
	bool refused_before = false;

	int rc = drbdm_check_name(resource, err);
	if (rc < 0)
		return rc;
	for (int i = 0; i < TRIES_MAX; i++) {
		enum drbdm_outcome outcome = DRBDM_UNKNOWN;
		struct err ignored = ERR_INIT;
		struct drbd_status s;

		rc = drbdm_run(r, argv, DRBDM_LONG_MS, &outcome, err);
		if (rc < 0 || outcome == DRBDM_DONE)
			return rc;
		if (outcome == DRBDM_UNKNOWN)
			continue;
		if (refused_before || drbdm_op_status(d, resource, &s, &ignored) < 0 || !peer_is_outdated(&s))
			break;
		refused_before = true;
	}
	return err_wrap(err, "resource '%s'", resource);
}

int drbdm_op_secondary(struct drbdm *d, const char *resource, struct err *err)
{
	struct drbd_status s;
	int rc = drbdm_op_status(d, resource, &s, err);

	if (rc < 0 || is_secondary(&s, 0))
		return rc;
	return on_resource(drbdm_real_of(d), resource, "secondary", is_secondary, err);
}

int drbdm_op_resume_io(struct drbdm *d, const char *resource, struct err *err)
{
	struct drbd_status s;
	int rc = drbdm_op_status(d, resource, &s, err);

	if (rc < 0 || is_running(&s, 0))
		return rc;
	return on_resource(drbdm_real_of(d), resource, "resume-io", is_running, err);
}

int drbdm_op_resize(struct drbdm *d, const char *resource, struct err *err)
{
	const char *const argv[] = {"drbdadm", "--", "--assume-clean", "resize", resource, NULL};
	const struct command c = {.resource = resource, .argv = argv, .timeout_ms = DRBDM_LONG_MS};
	int rc = drbdm_check_name(resource, err);

	return rc < 0 ? rc : drive(drbdm_real_of(d), &c, err);
}
