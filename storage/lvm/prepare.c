/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/lvm/prepare.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/json.h"
#include "common/units.h"
#include "common/xmem.h"
#include "storage/exec.h"
#include "storage/lvm/lvm.h"
#include "storage/lvm/report.h"

#define LOOK_TIMEOUT_MS (30 * 1000)
#define MAKE_TIMEOUT_MS (120 * 1000)
#define MIB             ((int64_t)1024 * 1024)

/* Adds one finding to ret->found, comma-separated. */
static void PRINTF(2, 3) found(struct lvm_disk *ret, const char *fmt, ...)
{
	size_t used = strlen(ret->found);
	va_list ap;

	if (used > 0 && used + 2 < sizeof(ret->found)) {
		memcpy(ret->found + used, ", ", 3);
		used += 2;
	}
	va_start(ap, fmt);
	(void)vsnprintf(ret->found + used, sizeof(ret->found) - used, fmt, ap);
	va_end(ap);
}

static int run_json(struct runner *r, const char *const argv[], json_t **ret, struct err *err)
{
	AUTO_RESULT struct runner_result res = {.status = -1};
	int rc = runner_must(r, argv, NULL, LOOK_TIMEOUT_MS, &res, err);

	if (rc < 0)
		return rc;
	if (res.out.len == 0) { /* wipefs prints nothing at all when it finds nothing on some versions */
		*ret = json_object();
		return 0;
	}
	struct err why = ERR_INIT;
	rc = json_parse(buf_str(&res.out), res.out.len, RUNNER_OUTPUT_MAX, ret, &why);
	if (rc < 0)
		return err_set(err, ERR_COMMAND_FAILED, "cannot read what '%s' printed: %s", argv[0], why.msg);
	return 0;
}

/* A number in newer versions of lsblk, a string in older ones. */
static int64_t size_of(const json_t *dev)
{
	const json_t *v = json_object_get(dev, "size");
	struct err ignored = ERR_INIT;
	int64_t bytes = 0;

	if (json_is_integer(v))
		return (int64_t)json_integer_value(v);
	if (json_is_string(v) && units_parse_int(json_string_value(v), 0, INT64_MAX, &bytes, &ignored) == 0)
		return bytes;
	return 0;
}

static bool is_read_only(const json_t *dev)
{
	const json_t *v = json_object_get(dev, "ro");

	return json_is_true(v) || (json_is_string(v) && strcmp(json_string_value(v), "1") == 0);
}

static void look_at_mounts(const json_t *dev, struct lvm_disk *ret)
{
	const json_t *list = json_object_get(dev, "mountpoints");

	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *where = json_string_value(json_array_get(list, i));

		if (where)
			found(ret, "mounted at '%s'", where);
	}
}

static int look_with_lsblk(struct runner *r, const char *disk, struct lvm_disk *ret, struct err *err)
{
	const char *const argv[] = {
	    "lsblk", "-J", "-b", "-o", "PATH,TYPE,SIZE,RO,FSTYPE,PTTYPE,MOUNTPOINTS", disk, NULL,
	};
	AUTO_JSON json_t *doc = NULL;
	int rc = run_json(r, argv, &doc, err);

	if (rc < 0)
		return rc;
	const json_t *dev = json_array_get(json_object_get(doc, "blockdevices"), 0);
	if (!json_is_object(dev) || str_copy(ret->path, sizeof(ret->path), json_str(dev, "path", "")) < 0 ||
	    !word_is_path(ret->path, PATH_LEN))
		return err_set(err, ERR_COMMAND_FAILED, "lsblk knows nothing about '%s'", disk);
	const char *type = json_str(dev, "type", "unknown");
	if (strcmp(type, "disk") != 0 && strcmp(type, "part") != 0 && strcmp(type, "loop") != 0 &&
	    strncmp(type, "raid", 4) != 0 && strcmp(type, "mpath") != 0)
		found(ret, "a device of type '%.32s'", type);
	if (is_read_only(dev))
		found(ret, "read-only");
	const char *pttype = json_str(dev, "pttype", "");
	/* A partition shows the table it lies in: that is not on it. */
	if (pttype[0] && strcmp(type, "part") != 0)
		found(ret, "partition table %.32s", pttype);
	if (json_str(dev, "fstype", "")[0])
		found(ret, "signature of %.32s", json_str(dev, "fstype", ""));
	look_at_mounts(dev, ret);
	size_t n = json_array_size(json_object_get(dev, "children"));
	if (n > 0)
		found(ret, "%zu device%s made of it (%.64s)", n, n == 1 ? "" : "s",
		      json_str(json_array_get(json_object_get(dev, "children"), 0), "path", "?"));
	ret->size_mib = size_of(dev) / MIB;
	return 0;
}

/* lsblk asks udev's database, which may be behind; wipefs reads the disk. */
static int look_with_wipefs(struct runner *r, struct lvm_disk *ret, struct err *err)
{
	const char *const argv[] = {"wipefs", "-n", "-J", ret->path, NULL};
	AUTO_JSON json_t *doc = NULL;
	int rc = run_json(r, argv, &doc, err);

	if (rc < 0)
		return rc;
	const json_t *list = json_object_get(doc, "signatures");
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *sig = json_array_get(list, i);

		found(ret, "signature of %.32s at offset %.32s", json_str(sig, "type", "?"),
		      json_str(sig, "offset", "?"));
	}
	return 0;
}

static int look_with_pvs(struct runner *r, const char *config, struct lvm_disk *ret, struct err *err)
{
	char select[PATH_LEN + 32];

	(void)snprintf(select, sizeof(select), "pv_name=\"%s\"", ret->path);
	const char *const argv[] = {"pvs", "--config",        config, "--reportformat", "json",
				    "-o",  "pv_name,vg_name", "-S",   select,           NULL};
	AUTO_JSON json_t *doc = NULL;
	int rc = run_json(r, argv, &doc, err);

	if (rc < 0)
		return rc;
	const json_t *rows = json_object_get(json_array_get(json_object_get(doc, "report"), 0), "pv");
	const char *vg = json_str(json_array_get(rows, 0), "vg_name", "");
	if (str_copy(ret->vg, sizeof(ret->vg), vg) < 0)
		ret->vg[0] = '\0'; /* a name longer than ours can be: not our group */
	if (json_array_size(rows) > 0 && vg[0])
		found(ret, "a physical volume of volume group '%.64s'", vg);
	return 0;
}

static int inspect(struct runner *r, const char *config, const char *disk, struct lvm_disk *ret, struct err *err)
{
	struct lvm_disk d = {.size_mib = 0};

	if (!word_is_path(disk, PATH_LEN) || strncmp(disk, "/dev/", 5) != 0)
		return err_set(err, ERR_BAD_VALUE, "'%s' is not the path of a disk: it begins with /dev/", disk);
	int rc = look_with_lsblk(r, disk, &d, err);
	if (rc == 0)
		rc = look_with_wipefs(r, &d, err);
	if (rc == 0)
		rc = look_with_pvs(r, config, &d, err);
	if (rc < 0)
		return rc;
	*ret = d;
	return 0;
}

int lvm_disk_inspect(struct runner *r, const char *disk, struct lvm_disk *ret, struct err *err)
{
	AUTO_BUF struct buf config = BUF_INIT;
	int rc = lvm_config_text(r, &config, err);

	if (rc < 0)
		return rc;
	return inspect(r, buf_str(&config), disk, ret, err);
}

static int refuse_unless_empty(const struct lvm_disk *d, struct err *err)
{
	if (d->found[0]) {
		(void)err_set(err, ERR_NOT_EMPTY, "disk '%s' (%lld MiB) is not empty: %s", d->path,
			      (long long)d->size_mib, d->found);
		return err_hint(err, "if nothing on it is needed, wipe it yourself: 'wipefs -a %s'", d->path);
	}
	if (d->size_mib < LVM_PREPARE_MIN_MIB)
		return err_set(err, ERR_BAD_VALUE, "disk '%s' has %lld MiB, at least %d MiB are needed", d->path,
			       (long long)d->size_mib, LVM_PREPARE_MIN_MIB);
	return 0;
}

int lvm_disk_must_be_empty(struct runner *r, const char *disk, struct lvm_disk *ret, struct err *err)
{
	int rc = lvm_disk_inspect(r, disk, ret, err);

	return rc < 0 ? rc : refuse_unless_empty(ret, err);
}

/* Is there a group of that name, and may we extend it? */
static int look_at_group(struct runner *r, const char *config, const char *vg, bool *ret_exists, struct err *err)
{
	const char *const argv[] = {"vgs", "--config",   config, "--reportformat", "json", "--units",
				    "b",   "--nosuffix", "-o",   LVM_VG_FIELDS,    NULL};
	AUTO_RESULT struct runner_result res = {.status = -1};
	AUTO_FREE struct lvm_vg *list = NULL;
	int n = 0;

	int rc = runner_must(r, argv, NULL, LOOK_TIMEOUT_MS, &res, err);
	if (rc == 0)
		rc = lvm_report_vgs(buf_str(&res.out), res.out.len, &list, &n, err);
	if (rc < 0)
		return rc;
	*ret_exists = false;
	for (int i = 0; i < n; i++) {
		if (strcmp(list[i].pool.name, vg) != 0)
			continue;
		if (!list[i].prepared) {
			(void)err_set(err, ERR_FOREIGN, "volume group '%s' exists and was not made by Gantry", vg);
			return err_hint(err, "use it as it is, or tag it yourself: 'vgchange --addtag gantry %s'", vg);
		}
		*ret_exists = true;
	}
	return 0;
}

/*
 * vgcreate and vgextend make the physical volume themselves: a crash leaves nothing half made behind that would
 * count as "not empty" the next time. No --yes: if something appeared on the disk since it was looked at, the
 * tool asks whether to wipe it, gets no answer from an empty input, and refuses.
 */
static int add_disk(struct runner *r, const char *config, const char *vg, const char *disk, bool extend,
		    struct err *err)
{
	const char *const vgcreate[] = {"vgcreate", "--config", config, "--addtag", "gantry", vg, disk, NULL};
	const char *const vgextend[] = {"vgextend", "--config", config, vg, disk, NULL};
	AUTO_RESULT struct runner_result res = {.status = -1};

	return runner_must(r, extend ? vgextend : vgcreate, NULL, MAKE_TIMEOUT_MS, &res, err);
}

/* Two paths of one disk must not count as two disks. */
static bool seen_before(const struct lvm_disk *list, int n)
{
	for (int i = 0; i < n; i++)
		if (strcmp(list[i].path, list[n].path) == 0)
			return true;
	return false;
}

int lvm_prepare(struct runner *r, const char *vg, const char *const disks[], int n_disks, struct err *err)
{
	AUTO_BUF struct buf config = BUF_INIT;
	bool exists = false;

	if (!word_is_plain(vg, NAME_LEN))
		return err_set(err, ERR_BAD_VALUE, "'%s' is not a volume group's name", vg);
	if (n_disks < 1 || n_disks > LVM_PREPARE_DISKS_MAX)
		return err_set(err, ERR_BAD_VALUE, "%d disks given, allowed are 1 to %d", n_disks,
			       LVM_PREPARE_DISKS_MAX);
	AUTO_FREE struct lvm_disk *looked = xcalloc((size_t)n_disks, sizeof(*looked));
	int rc = lvm_config_text(r, &config, err);
	if (rc == 0)
		rc = look_at_group(r, buf_str(&config), vg, &exists, err);
	for (int i = 0; i < n_disks && rc == 0; i++) {
		rc = inspect(r, buf_str(&config), disks[i], &looked[i], err);
		if (rc == 0 && strcmp(looked[i].vg, vg) != 0)
			rc = refuse_unless_empty(&looked[i], err);
	}
	for (int i = 0; i < n_disks && rc == 0; i++) {
		if (strcmp(looked[i].vg, vg) == 0 || seen_before(looked, i))
			continue;
		rc = add_disk(r, buf_str(&config), vg, looked[i].path, exists, err);
		exists = true;
	}
	return rc;
}
