/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/lvm/lvm.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "common/units.h"
#include "common/xmem.h"
#include "storage/exec.h"
#include "storage/lvm/report.h"

#define READ_TIMEOUT_MS   (60 * 1000)
#define CHANGE_TIMEOUT_MS (120 * 1000)
#define CONFIG_MAX        ((size_t)16 * 1024)
#define MIB               ((int64_t)1024 * 1024)

struct lvm {
	struct volumes base;
	struct runner *runner;
	struct buf config;
};

static struct lvm *lvm_of(struct volumes *v)
{
	return (struct lvm *)(void *)v;
}

/* ---- the host's filter ------------------------------------------------------------------------ */

/* global_filter=["a|x|","r|y|"] or global_filter="a|x|" -> what stands between the brackets. */
static int host_filter(const char *line, struct buf *ret, struct err *err)
{
	const char *value = strchr(line, '=');
	size_t n = value ? strlen(++value) : 0;

	while (n > 0 && strchr(" \t\n", value[n - 1]))
		n--;
	while (n > 0 && strchr(" \t", *value)) {
		value++;
		n--;
	}
	if (n >= 2 && value[0] == '[' && value[n - 1] == ']') {
		value++;
		n -= 2;
	}
	while (n > 0 && strchr(" \t", *value)) {
		value++;
		n--;
	}
	if (n > 0 && value[0] != '"') {
		(void)err_set(err, ERR_COMMAND_FAILED, "cannot read devices/global_filter of the host's lvm.conf");
		return err_hint(err, "look at 'lvmconfig devices/global_filter'");
	}
	if (n > CONFIG_MAX || memchr(value ? value : "", '\n', n))
		return err_set(err, ERR_COMMAND_FAILED, "devices/global_filter of the host's lvm.conf is too long");
	return n > 0 ? buf_add(ret, value, n) : 0;
}

int lvm_config_text(struct runner *r, struct buf *ret, struct err *err)
{
	static const char *const argv[] = {"lvmconfig", "devices/global_filter", NULL};
	AUTO_RESULT struct runner_result res = {.status = -1};
	AUTO_BUF struct buf host = BUF_INIT;

	int rc = r->run(r, argv, NULL, READ_TIMEOUT_MS, &res, err);
	if (rc < 0)
		return rc;
	/* A node that is not set is a failure to lvmconfig; everything else is one to us as well. */
	if (res.status != 0 && !exec_said(&res, "not found"))
		return exec_failed(argv, &res, ERR_COMMAND_FAILED, err);
	if (res.status == 0) {
		rc = host_filter(buf_str(&res.out), &host, err);
		if (rc < 0)
			return rc;
	}
	buf_printf(ret, "devices{global_filter=[\"r|^/dev/drbd|\"%s%s]}", host.len ? "," : "", buf_str(&host));
	return 0;
}

/* ---- reading ---------------------------------------------------------------------------------- */

static int check_spec(const struct volume_spec *s, struct err *err)
{
	if (!word_is_plain(s->pool, NAME_LEN))
		return err_set(err, ERR_BAD_VALUE, "'%s' is not a volume group's name", s->pool);
	if (!word_is_plain(s->name, VOLUME_LEN))
		return err_set(err, ERR_BAD_VALUE, "'%s' is not a logical volume's name", s->name);
	if (!word_is_uuid(s->owner))
		return err_set(err, ERR_BAD_VALUE, "volume '%s' has no owner: '%s' is not a uuid", s->name, s->owner);
	return 0;
}

static int read_lvs(struct lvm *l, const char *select, struct volume_info **ret, int *ret_n, struct err *err)
{
	const char *const argv[] = {
	    "lvs",        "--config", buf_str(&l->config), "--reportformat",     "json", "--units", "b",
	    "--nosuffix", "-o",       LVM_LV_FIELDS,       select ? "-S" : NULL, select, NULL};
	AUTO_RESULT struct runner_result res = {.status = -1};

	int rc = runner_must(l->runner, argv, NULL, READ_TIMEOUT_MS, &res, err);
	if (rc < 0)
		return rc;
	return lvm_report_lvs(buf_str(&res.out), res.out.len, ret, ret_n, err);
}

/* A selection instead of a name: a volume that does not exist is an empty list, not one more error text to know. */
static int find_lv(struct lvm *l, const struct volume_spec *s, struct volume_info *ret, bool *ret_found,
		   struct err *err)
{
	AUTO_FREE struct volume_info *list = NULL;
	char select[NAME_LEN + VOLUME_LEN + 64];
	int n = 0;

	(void)snprintf(select, sizeof(select), "vg_name=\"%s\" && lv_name=\"%s\"", s->pool, s->name);
	int rc = read_lvs(l, select, &list, &n, err);
	if (rc < 0)
		return rc;
	*ret_found = false;
	for (int i = 0; i < n; i++)
		if (strcmp(list[i].pool, s->pool) == 0 && strcmp(list[i].name, s->name) == 0) {
			*ret = list[i];
			*ret_found = true;
		}
	return 0;
}

static int read_vgs(struct lvm *l, struct lvm_vg **ret, int *ret_n, struct err *err)
{
	const char *const argv[] = {"vgs",
				    "--config",
				    buf_str(&l->config),
				    "--reportformat",
				    "json",
				    "--units",
				    "b",
				    "--nosuffix",
				    "-o",
				    LVM_VG_FIELDS,
				    NULL};
	AUTO_RESULT struct runner_result res = {.status = -1};

	int rc = runner_must(l->runner, argv, NULL, READ_TIMEOUT_MS, &res, err);
	if (rc < 0)
		return rc;
	return lvm_report_vgs(buf_str(&res.out), res.out.len, ret, ret_n, err);
}

static int find_vg(struct lvm *l, const char *name, struct lvm_vg *ret, struct err *err)
{
	AUTO_FREE struct lvm_vg *list = NULL;
	int n = 0;
	int rc = read_vgs(l, &list, &n, err);

	if (rc < 0)
		return rc;
	for (int i = 0; i < n; i++)
		if (strcmp(list[i].pool.name, name) == 0) {
			*ret = list[i];
			return 0;
		}
	(void)err_set(err, ERR_NOT_FOUND, "volume group '%s' does not exist on this node", name);
	return err_hint(err, "make one with 'gnt node prepare', or look at 'vgs'");
}

/* ---- room ------------------------------------------------------------------------------------- */

static int no_space(const struct lvm_vg *vg, const struct volume_spec *s, int64_t more_bytes, struct err *err)
{
	char have[32], want[32];

	units_format_mib(vg->free_bytes / MIB, have, sizeof(have));
	units_format_mib((more_bytes + MIB - 1) / MIB, want, sizeof(want));
	return err_set(err, ERR_NO_SPACE, "volume group '%s' has %s free, volume '%s' needs %s%s", s->pool, have,
		       s->name, want, more_bytes < s->size_mib * MIB ? " more" : "");
}

/* LVM allocates whole extents. */
static int check_room(struct lvm *l, const struct volume_spec *s, int64_t have_mib, struct err *err)
{
	struct lvm_vg vg = { .extent_bytes = 1 };
	int rc = find_vg(l, s->pool, &vg, err);

	if (rc < 0)
		return rc;
	int64_t more = (s->size_mib - have_mib) * MIB;
	int64_t extents = (more + vg.extent_bytes - 1) / vg.extent_bytes;
	if (extents > vg.free_bytes / vg.extent_bytes)
		return no_space(&vg, s, more, err);
	return 0;
}

/* The command ended badly: say why in our words. */
static int change_failed(struct lvm *l, const struct volume_spec *s, int64_t have_mib, const char *const argv[],
			 const struct runner_result *res, struct err *err)
{
	if (exec_said(res, "insufficient free space") || exec_said(res, "insufficient suitable")) {
		struct err ignored = ERR_INIT;
		struct lvm_vg vg = { .extent_bytes = 1 };

		if (find_vg(l, s->pool, &vg, &ignored) == 0)
			return no_space(&vg, s, (s->size_mib - have_mib) * MIB, err);
		return exec_failed(argv, res, ERR_NO_SPACE, err);
	}
	if (exec_said(res, " in use") || exec_said(res, "is used by another device")) {
		(void)err_set(err, ERR_BUSY, "volume '%s/%s' is in use", s->pool, s->name);
		return err_hint(err, "see who holds it with 'lsblk /dev/%s/%s' and 'drbdadm status'", s->pool, s->name);
	}
	return exec_failed(argv, res, ERR_COMMAND_FAILED, err);
}

/* ---- the operations --------------------------------------------------------------------------- */

static int foreign(const struct volume_info *have, const struct volume_spec *s, struct err *err)
{
	if (have->owner[0])
		return err_set(err, ERR_FOREIGN, "volume '%s/%s' belongs to disk '%s', not to '%s'", s->pool, s->name,
			       have->owner, s->owner);
	return err_set(err, ERR_FOREIGN, "volume '%s/%s' exists and does not carry Gantry's tag", s->pool, s->name);
}

/* Looked for; one that is there must be its owner's. */
static int find_own(struct lvm *l, const struct volume_spec *s, struct volume_info *ret, bool *ret_found, struct err *err)
{
	int rc = check_spec(s, err);

	if (rc == 0)
		rc = find_lv(l, s, ret, ret_found, err);
	return rc == 0 && *ret_found && strcmp(ret->owner, s->owner) != 0 ? foreign(ret, s, err) : rc;
}

static int need_own(struct lvm *l, const struct volume_spec *s, struct volume_info *ret, struct err *err)
{
	bool found = false;
	int rc = find_own(l, s, ret, &found, err);

	return rc == 0 && !found ? err_set(err, ERR_NOT_FOUND, "volume '%s/%s' does not exist", s->pool, s->name) : rc;
}

static int activate(struct lvm *l, const struct volume_spec *s, struct err *err)
{
	char lv[NAME_LEN + VOLUME_LEN + 2];
	AUTO_RESULT struct runner_result res = {.status = -1};

	(void)snprintf(lv, sizeof(lv), "%s/%s", s->pool, s->name);
	const char *const argv[] = {"lvchange", "--config", buf_str(&l->config), "-a", "y", lv, NULL};
	return runner_must(l->runner, argv, NULL, CHANGE_TIMEOUT_MS, &res, err);
}

/* It is there: is it what was asked for? */
static int accept_existing(struct lvm *l, const struct volume_info *have, const struct volume_spec *s, struct err *err)
{
	if (strcmp(have->owner, s->owner) != 0)
		return foreign(have, s, err);
	if (have->size_mib < s->size_mib) {
		(void)err_set(err, ERR_WRONG_STATE, "volume '%s/%s' exists with %lld MiB, %lld MiB were asked for",
			      s->pool, s->name, (long long)have->size_mib, (long long)s->size_mib);
		return err_hint(err, "grow it instead");
	}
	return have->active ? 0 : activate(l, s, err);
}

/* Runs a change. After a failure callers look at the report again: it may have been done before the time ran out. */
static int change(struct lvm *l, const struct volume_spec *s, int64_t have_mib, const char *const argv[],
		  struct err *err)
{
	AUTO_RESULT struct runner_result res = {.status = -1};
	int rc = l->runner->run(l->runner, argv, NULL, CHANGE_TIMEOUT_MS, &res, err);

	if (rc < 0)
		return rc;
	return res.status == 0 ? 0 : change_failed(l, s, have_mib, argv, &res, err);
}

static int op_create(struct volumes *v, const struct volume_spec *s, struct err *err)
{
	struct lvm *l = lvm_of(v);
	struct volume_info have;
	bool found = false;
	char size[32], tag[UUID_LEN + 16];

	int rc = check_spec(s, err);
	if (rc < 0)
		return rc;
	if (s->size_mib <= 0)
		return err_set(err, ERR_BAD_VALUE, "volume '%s' has size %lld MiB", s->name, (long long)s->size_mib);
	rc = find_lv(l, s, &have, &found, err);
	if (rc < 0)
		return rc;
	if (found)
		return accept_existing(l, &have, s, err);
	rc = check_room(l, s, 0, err);
	if (rc < 0)
		return rc;
	(void)snprintf(size, sizeof(size), "%lldm", (long long)s->size_mib);
	(void)snprintf(tag, sizeof(tag), LVM_TAG_PREFIX "%s", s->owner);
	/* -W is --wipesignatures: lvcreate takes it once only. */
	const char *const argv[] = {"lvcreate", "--config", buf_str(&l->config),
				    "-y",       "-W",       "y",
				    "-Z",       "y",        "--addtag",
				    tag,        "-L",       size,
				    "-n",       s->name,    s->pool,
				    NULL};
	rc = change(l, s, 0, argv, err);
	if (rc == 0)
		return 0;
	struct err ignored = ERR_INIT;
	if (find_lv(l, s, &have, &found, &ignored) == 0 && found && strcmp(have.owner, s->owner) == 0)
		return accept_existing(l, &have, s, err);
	return rc;
}

static int op_remove(struct volumes *v, const struct volume_spec *s, struct err *err)
{
	struct lvm *l = lvm_of(v);
	struct volume_info have;
	bool found = false;
	char lv[NAME_LEN + VOLUME_LEN + 2];

	int rc = find_own(l, s, &have, &found, err);
	if (rc < 0 || !found)
		return rc;
	(void)snprintf(lv, sizeof(lv), "%s/%s", s->pool, s->name);
	const char *const argv[] = {"lvremove", "--config", buf_str(&l->config), "-y", lv, NULL};
	rc = change(l, s, 0, argv, err);
	if (rc == 0)
		return 0;
	struct err ignored = ERR_INIT;
	if (find_lv(l, s, &have, &found, &ignored) == 0 && !found)
		return 0;
	return rc;
}

static int op_snapshot(struct volumes *v, const struct volume_spec *s, const char *name, int64_t size_mib, struct err *err)
{
	struct lvm *l = lvm_of(v);
	struct volume_spec snap = *s;
	struct volume_info have;
	bool found = false;
	char lv[NAME_LEN + VOLUME_LEN + 2], size[32], tag[UUID_LEN + 16];

	snap.size_mib = size_mib;
	if (str_copy(snap.name, sizeof(snap.name), name) < 0)
		return err_set(err, ERR_BAD_VALUE, "'%s' is too long for a volume", name);
	int rc = need_own(l, s, &have, err);
	if (rc == 0)
		rc = find_own(l, &snap, &have, &found, err);
	if (rc < 0 || found)
		return rc;
	rc = check_room(l, &snap, 0, err);
	if (rc < 0)
		return rc;
	(void)snprintf(lv, sizeof(lv), "%s/%s", s->pool, s->name);
	(void)snprintf(size, sizeof(size), "%lldm", (long long)size_mib);
	(void)snprintf(tag, sizeof(tag), LVM_TAG_PREFIX "%s", s->owner);
	const char *const argv[] = {"lvcreate", "--config", buf_str(&l->config), "-y", "-s", "-p", "r", "--addtag", tag, "-L", size, "-n", name, lv, NULL};
	rc = change(l, &snap, 0, argv, err);
	if (rc == 0)
		return 0;
	struct err ignored = ERR_INIT;
	if (find_lv(l, &snap, &have, &found, &ignored) == 0 && found && strcmp(have.owner, s->owner) == 0)
		return 0;
	return rc;
}

static int op_grow(struct volumes *v, const struct volume_spec *s, struct err *err)
{
	struct lvm *l = lvm_of(v);
	struct volume_info have;
	bool found = false;
	char lv[NAME_LEN + VOLUME_LEN + 2], size[32];

	int rc = need_own(l, s, &have, err);
	if (rc < 0 || have.size_mib >= s->size_mib)
		return rc;
	int64_t had_mib = have.size_mib;
	rc = check_room(l, s, had_mib, err);
	if (rc < 0)
		return rc;
	(void)snprintf(lv, sizeof(lv), "%s/%s", s->pool, s->name);
	(void)snprintf(size, sizeof(size), "%lldm", (long long)s->size_mib);
	const char *const argv[] = {"lvextend", "--config", buf_str(&l->config), "-y", "-L", size, lv, NULL};
	rc = change(l, s, had_mib, argv, err);
	if (rc == 0)
		return 0;
	struct err ignored = ERR_INIT;
	if (find_lv(l, s, &have, &found, &ignored) == 0 && found && have.size_mib >= s->size_mib)
		return 0;
	return rc;
}

static int op_probe(struct volumes *v, const struct volume_spec *s, bool *ret_present, struct err *err)
{
	struct volume_info have;
	bool found = false;

	int rc = check_spec(s, err);
	if (rc == 0)
		rc = find_lv(lvm_of(v), s, &have, &found, err);
	if (rc < 0)
		return rc;
	*ret_present = found && strcmp(have.owner, s->owner) == 0 && have.size_mib >= s->size_mib && have.active;
	return 0;
}

static void op_path(struct volumes *v, const struct volume_spec *s, char *out)
{
	(void)v;
	(void)snprintf(out, PATH_LEN + 1, "/dev/%s/%s", s->pool, s->name);
}

static int op_list(struct volumes *v, struct volume_info **ret, int *ret_n, struct err *err)
{
	return read_lvs(lvm_of(v), NULL, ret, ret_n, err);
}

static int op_pools(struct volumes *v, struct pool_info **ret, int *ret_n, struct err *err)
{
	AUTO_FREE struct lvm_vg *list = NULL;
	int n = 0;
	int rc = read_vgs(lvm_of(v), &list, &n, err);

	if (rc < 0)
		return rc;
	struct pool_info *pools = xcalloc((size_t)n + 1, sizeof(*pools));
	for (int i = 0; i < n; i++)
		pools[i] = list[i].pool;
	*ret = pools;
	*ret_n = n;
	return 0;
}

int lvm_new(struct runner *r, struct volumes **ret, struct err *err)
{
	static const struct volumes_ops ops = {
	    .name = "lvm",
	    .create = op_create,
	    .remove = op_remove,
	    .snapshot = op_snapshot,
	    .grow = op_grow,
	    .probe = op_probe,
	    .path = op_path,
	    .list = op_list,
	    .pools = op_pools,
	};
	AUTO_BUF struct buf config = BUF_INIT;

	assert(r);
	int rc = lvm_config_text(r, &config, err);
	if (rc < 0)
		return rc;
	struct lvm *l = xcalloc(1, sizeof(*l));
	l->base.ops = &ops;
	l->runner = r;
	l->config = config;
	config = (struct buf)BUF_INIT;
	*ret = &l->base;
	return 0;
}

void lvm_free(struct volumes *v)
{
	if (!v)
		return;
	struct lvm *l = lvm_of(v);

	buf_done(&l->config);
	free(l);
}
