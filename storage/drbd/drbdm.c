/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/drbd/drbdm.h"

#include <assert.h>
#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "common/xmem.h"
#include "storage/drbd/impl.h"
#include "storage/drbd/status_text.h"
#include "storage/durable.h"
#include "storage/exec.h"

#define CONF_MODE   0600 /* the shared secret is in it */
#define CONF_SUFFIX ".res"

DEFINE_CLEANUP(DIR *, closedir);

/* ---- which kernel ----------------------------------------------------------------------------- */

/* 0x08040b -> 0x0804; 0 = no module; -1 = the line is not there. */
static int version_code(const char *text)
{
	static const char key[] = "DRBD_KERNEL_VERSION_CODE=0x";
	const char *p = strstr(text, key);
	unsigned code = 0;

	if (!p)
		return -1;
	for (p += sizeof(key) - 1; *p && *p != '\n'; p++) {
		const char *digits = "0123456789abcdef", *at = strchr(digits, *p | 0x20);

		if (!at || code > 0xfffffff)
			return -1;
		code = code * 16 + (unsigned)(at - digits);
	}
	return (int)(code >> 8);
}

static int ask_version(struct runner *r, int *ret, struct err *err)
{
	static const char *const argv[] = {"drbdadm", "--version", NULL};
	AUTO_RESULT struct runner_result res = {.status = -1};

	int rc = runner_must(r, argv, NULL, DRBDM_SHORT_MS, &res, err);
	if (rc < 0)
		return rc;
	*ret = version_code(buf_str(&res.out));
	if (*ret < 0)
		return err_set(err, ERR_COMMAND_FAILED,
			       "'drbdadm --version' does not say which kernel module it found");
	return 0;
}

int drbdm_detect(struct runner *r, enum drbdm_kernel *ret, struct err *err)
{
	static const char *const modprobe[] = {"modprobe", "drbd", NULL};
	AUTO_RESULT struct runner_result res = {.status = -1};
	struct err why = ERR_INIT;
	int version = 0;

	int rc = ask_version(r, &version, err);
	if (rc < 0)
		return rc;
	if (version == 0) {
		rc = runner_must(r, modprobe, NULL, DRBDM_SHORT_MS, &res, &why);
		if (rc < 0) {
			(void)err_set(err, ERR_NOT_PREPARED, "no drbd kernel module: %s", why.msg);
			return err_hint(err, "install a kernel with the drbd module, or drbd-dkms");
		}
		rc = ask_version(r, &version, err);
		if (rc < 0)
			return rc;
	}
	if (version == 0x0804)
		*ret = DRBDM_KERNEL_84;
	else if (version >= 0x0900)
		*ret = DRBDM_KERNEL_9;
	else
		return err_set(err, ERR_NOT_PREPARED, "the drbd kernel module is of version %d.%d, 8.4 or 9 is needed",
			       version >> 8, version & 0xff);
	return 0;
}

int drbdm_check_helper(struct runner *r, struct err *err)
{
	static const char *const argv[] = {"cat", "/sys/module/drbd/parameters/usermode_helper", NULL};
	AUTO_RESULT struct runner_result res = {.status = -1};
	char helper[PATH_LEN + 1];

	int rc = r->run(r, argv, NULL, DRBDM_SHORT_MS, &res, err);
	if (rc < 0 || res.status != 0)
		return rc;
	exec_last_line(&res.out, helper, sizeof(helper));
	if (strcmp(helper, "/sbin/drbdadm") == 0 || strcmp(helper, "/usr/sbin/drbdadm") == 0)
		return 0;
	(void)err_set(err, ERR_NOT_PREPARED, "the drbd module calls '%s' instead of /sbin/drbdadm: handlers never run",
		      helper);
	return err_hint(err, "remove usermode_helper from /etc/modprobe.d, and set it now: printf %%s /sbin/drbdadm > "
			     "/sys/module/drbd/parameters/usermode_helper");
}

/* ---- files ------------------------------------------------------------------------------------ */

int drbdm_check_name(const char *resource, struct err *err)
{
	if (!word_is_plain(resource, NAME_LEN) || strcmp(resource, "all") == 0)
		return err_set(err, ERR_BAD_VALUE, "'%s' is not a name for a DRBD resource", resource);
	return 0;
}

static void file_name(const char *resource, char *out, size_t size)
{
	(void)snprintf(out, size, "%s" CONF_SUFFIX, resource);
}

int drbdm_op_write_conf(struct drbdm *d, const struct drbd_conf *c, struct err *err)
{
	struct drbdm_real *r = drbdm_real_of(d);
	AUTO_BUF struct buf wanted = BUF_INIT, have = BUF_INIT;
	char file[NAME_LEN + sizeof(CONF_SUFFIX)], owner[UUID_LEN + 1] = "";
	bool present = false;

	int rc = drbdm_conf_check(c, err);
	if (rc < 0)
		return rc;
	drbdm_conf_text(c, r->kernel, &wanted);
	file_name(c->resource, file, sizeof(file));
	rc = durable_read(r->conf_dir, file, DRBDM_CONF_MAX, &have, &present, err);
	if (rc < 0)
		return rc;
	drbdm_conf_owner(buf_str(&have), have.len, owner);
	if (present && strcmp(owner, c->instance_uuid) != 0)
		return err_set(err, ERR_FOREIGN, "'%s/%s' exists and %s%s%s", r->conf_dir, file,
			       owner[0] ? "belongs to instance '" : "was not written by Gantry", owner,
			       owner[0] ? "'" : "");
	if (present && have.len == wanted.len && memcmp(have.data, wanted.data, have.len) == 0)
		return durable_sync_dir(r->conf_dir, err); /* the run that wrote it may have died before its own sync */
	return durable_write(r->conf_dir, file, buf_str(&wanted), wanted.len, CONF_MODE, err);
}

int drbdm_op_remove_conf(struct drbdm *d, const char *resource, struct err *err)
{
	struct drbdm_real *r = drbdm_real_of(d);
	AUTO_BUF struct buf have = BUF_INIT;
	char file[NAME_LEN + sizeof(CONF_SUFFIX)], owner[UUID_LEN + 1] = "";
	bool present = false;

	int rc = drbdm_check_name(resource, err);
	if (rc < 0)
		return rc;
	file_name(resource, file, sizeof(file));
	rc = durable_read(r->conf_dir, file, DRBDM_CONF_MAX, &have, &present, err);
	if (rc < 0)
		return rc;
	drbdm_conf_owner(buf_str(&have), have.len, owner);
	if (present && !owner[0])
		return err_set(err, ERR_FOREIGN, "'%s/%s' was not written by Gantry", r->conf_dir, file);
	return durable_remove(r->conf_dir, file, err);
}

int drbdm_read_conf(struct drbdm_real *d, const char *resource, struct drbd_conf *ret, struct err *err)
{
	AUTO_BUF struct buf text = BUF_INIT;
	char file[NAME_LEN + sizeof(CONF_SUFFIX)];
	bool present = false;

	file_name(resource, file, sizeof(file));
	int rc = durable_read(d->conf_dir, file, DRBDM_CONF_MAX, &text, &present, err);
	if (rc < 0)
		return rc;
	if (!present)
		return err_set(err, ERR_NOT_FOUND, "resource '%s' has no file '%s/%s'", resource, d->conf_dir, file);
	rc = drbdm_conf_parse(buf_str(&text), text.len, ret, err);
	if (rc < 0)
		return err_wrap(err, "file '%s/%s'", d->conf_dir, file);
	if (strcmp(ret->resource, resource) != 0)
		return err_set(err, ERR_WRONG_STATE, "file '%s/%s' is about resource '%s'", d->conf_dir, file,
			       ret->resource);
	return 0;
}

/* A file with our header that cannot be read is listed by its name and owner alone: it must not vanish from sight. */
static int list_one(struct drbdm_real *r, const char *file, struct drbd_conf *ret, bool *ret_ours, struct err *err)
{
	AUTO_BUF struct buf text = BUF_INIT;
	struct drbd_conf conf = {.n_volumes = 0};
	struct err why = ERR_INIT;
	bool present = false;

	*ret_ours = false;
	int rc = durable_read(r->conf_dir, file, DRBDM_CONF_MAX, &text, &present, &why);
	if (rc == -ERR_TOO_BIG)
		return 0; /* ours are never that large */
	if (rc < 0) {
		*err = why;
		return rc;
	}
	drbdm_conf_owner(buf_str(&text), text.len, conf.instance_uuid);
	if (!present || !conf.instance_uuid[0])
		return 0;
	size_t len = strlen(file) - strlen(CONF_SUFFIX);
	if (len > NAME_LEN)
		return 0;
	if (drbdm_conf_parse(buf_str(&text), text.len, &conf, &why) < 0)
		memcpy(conf.resource, file, len);
	*ret = conf;
	*ret_ours = true;
	return 0;
}

int drbdm_op_list_conf(struct drbdm *d, struct drbd_conf **ret, int *ret_n, struct err *err)
{
	struct drbdm_real *r = drbdm_real_of(d);
	AUTO(closedir) DIR *dir = opendir(r->conf_dir);
	AUTO_FREE struct drbd_conf *list = xcalloc(1, sizeof(*list));
	int n = 0;

	if (!dir)
		return err_errno(err, ERR_IO, "cannot open directory '%s'", r->conf_dir);
	for (const struct dirent *e; (e = readdir(dir));) {
		size_t len = strlen(e->d_name), suffix = strlen(CONF_SUFFIX);
		bool ours = false;

		if (e->d_name[0] == '.' || len <= suffix || strcmp(e->d_name + len - suffix, CONF_SUFFIX) != 0)
			continue;
		int rc = list_one(r, e->d_name, &list[n], &ours, err);
		if (rc < 0)
			return rc;
		if (!ours)
			continue;
		n++;
		list = xrealloc(list, ((size_t)n + 1) * sizeof(*list));
	}
	*ret = TAKE(list);
	*ret_n = n;
	return 0;
}

/* ---- status ----------------------------------------------------------------------------------- */

/* Without the module nothing is up: that is an answer, not a failure. */
static bool no_module(const struct runner_result *res)
{
	return res->status == 20 && (exec_said(res, "modprobe") || exec_said(res, "generic netlink family") ||
				     exec_said(res, "/proc/drbd: No such file"));
}

static int run_status(struct drbdm_real *d, const char *resource, struct drbd_status **ret, int *ret_n, struct err *err)
{
	const char *const argv[] = {"drbdsetup", "status", "--verbose", "--statistics", resource, NULL};
	AUTO_RESULT struct runner_result res = {.status = -1};

	int rc = d->runner->run(d->runner, argv, NULL, DRBDM_SHORT_MS, &res, err);
	if (rc < 0)
		return rc;
	/* Nothing less precise than this text: "down" must never be read out of some other failure. */
	if ((res.status == 10 && exec_said(&res, "No such resource")) || no_module(&res)) {
		*ret = xcalloc(1, sizeof(**ret));
		*ret_n = 0;
		return 0;
	}
	if (res.status != 0)
		return exec_failed(argv, &res, ERR_COMMAND_FAILED, err);
	return drbdm_parse_status(buf_str(&res.out), res.out.len, ret, ret_n, err);
}

int drbdm_op_status(struct drbdm *d, const char *resource, struct drbd_status *ret, struct err *err)
{
	AUTO_FREE struct drbd_status *list = NULL;
	struct drbd_status down = {.up = false};
	int n = 0;

	int rc = drbdm_check_name(resource, err);
	if (rc == 0)
		rc = run_status(drbdm_real_of(d), resource, &list, &n, err);
	if (rc < 0)
		return rc;
	(void)str_copy(down.resource, sizeof(down.resource), resource);
	*ret = down;
	for (int i = 0; i < n; i++)
		if (strcmp(list[i].resource, resource) == 0)
			*ret = list[i];
	return 0;
}

int drbdm_op_status_all(struct drbdm *d, struct drbd_status **ret, int *ret_n, struct err *err)
{
	return run_status(drbdm_real_of(d), "all", ret, ret_n, err);
}

/* ---- construction ----------------------------------------------------------------------------- */

#define OPS_OF(text)                                                                                                   \
	{                                                                                                              \
		.name = (text), .write_conf = drbdm_op_write_conf, .remove_conf = drbdm_op_remove_conf,                \
		.create_md = drbdm_op_create_md, .options = drbdm_op_options, .attach = drbdm_op_attach,                 \
		.connect = drbdm_op_connect, .disconnect = drbdm_op_disconnect, .detach = drbdm_op_detach,             \
		.down = drbdm_op_down, .primary = drbdm_op_primary, .secondary = drbdm_op_secondary,                   \
		.two_primaries = drbdm_op_two_primaries, .resume_io = drbdm_op_resume_io,                              \
		.new_current_uuid = drbdm_op_new_current_uuid, .resize = drbdm_op_resize, .status = drbdm_op_status,   \
		.status_all = drbdm_op_status_all, .list_conf = drbdm_op_list_conf,                                    \
		.suspended = drbdm_op_suspended,                                                                       \
	}

struct drbdm *drbdm_new_for(struct runner *r, const char *conf_dir, enum drbdm_kernel kernel)
{
	static const struct drbdm_ops ops84 = OPS_OF("drbd84"), ops9 = OPS_OF("drbd9");
	struct drbdm_real *d = xcalloc(1, sizeof(*d));

	assert(r);
	d->base.ops = kernel == DRBDM_KERNEL_84 ? &ops84 : &ops9;
	d->runner = r;
	d->kernel = kernel;
	d->proc_dir = "/proc";
	int rc = str_copy(d->conf_dir, sizeof(d->conf_dir), conf_dir);
	assert(rc == 0); /* a constant of ours, or checked with the settings */
	return &d->base;
}

int drbdm_new(struct runner *r, const char *conf_dir, struct drbdm **ret, struct err *err)
{
	enum drbdm_kernel kernel = DRBDM_KERNEL_84;
	int rc = drbdm_detect(r, &kernel, err);

	if (rc < 0)
		return rc;
	*ret = drbdm_new_for(r, conf_dir, kernel);
	return 0;
}

void drbdm_free(struct drbdm *d)
{
	free(d);
}
