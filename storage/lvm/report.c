/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/lvm/report.h"

#include <string.h>

#include "common/json.h"
#include "common/units.h"
#include "common/xmem.h"
#include "storage/exec.h"
#include "storage/runner.h"

#define MIB ((int64_t)1024 * 1024)

/* {"report":[{"lv":[row, ...]}], ...} -> the array of rows, borrowed from *ret_doc. */
static int parse_rows(const char *text, size_t len, const char *kind, json_t **ret_doc, const json_t **ret_rows,
		      struct err *err)
{
	AUTO_JSON json_t *doc = NULL;
	struct err why = ERR_INIT;

	if (json_parse(text, len, RUNNER_OUTPUT_MAX, &doc, &why) < 0)
		return err_set(err, ERR_COMMAND_FAILED, "cannot read the report of the lvm tools: %s", why.msg);
	const json_t *rows = json_object_get(json_array_get(json_object_get(doc, "report"), 0), kind);
	if (!json_is_array(rows))
		return err_set(err, ERR_COMMAND_FAILED, "the report of the lvm tools has no list '%s'", kind);
	*ret_doc = TAKE(doc);
	*ret_rows = rows;
	return 0;
}

/* Numbers are strings in these reports. */
static int field_bytes(const json_t *row, const char *field, int64_t *ret, struct err *err)
{
	const char *text = json_str(row, field, "");
	int rc = units_parse_int(text, 0, INT64_MAX, ret, err);

	if (rc < 0)
		return err_set(err, ERR_COMMAND_FAILED, "the lvm tools report '%.64s' as %s, not a number of bytes",
			       text, field);
	return 0;
}

static bool tags_have(const char *tags, const char *wanted)
{
	size_t n = strlen(wanted);

	for (const char *p = tags; *p;) {
		size_t len = strcspn(p, ",");

		if (len == n && memcmp(p, wanted, n) == 0)
			return true;
		p += len + (p[len] == ',');
	}
	return false;
}

/* Two owners are as good as none: nobody may remove such a volume. */
static void owner_of_tags(const char *tags, char *out)
{
	const size_t prefix = strlen(LVM_TAG_PREFIX);
	int found = 0;

	out[0] = '\0';
	for (const char *p = tags; *p;) {
		size_t len = strcspn(p, ",");

		if (len == prefix + UUID_LEN && memcmp(p, LVM_TAG_PREFIX, prefix) == 0) {
			char uuid[UUID_LEN + 1];

			memcpy(uuid, p + prefix, UUID_LEN);
			uuid[UUID_LEN] = '\0';
			if (word_is_uuid(uuid)) {
				found++;
				memcpy(out, uuid, sizeof(uuid));
			}
		}
		p += len + (p[len] == ',');
	}
	if (found != 1)
		out[0] = '\0';
}

static int read_lv(const json_t *row, struct volume_info *ret, bool *ret_fits, struct err *err)
{
	int64_t bytes = 0;
	int rc = field_bytes(row, "lv_size", &bytes, err);

	if (rc < 0)
		return rc;
	const char *name = json_str(row, "lv_name", "");
	*ret_fits = name[0] && str_copy(ret->name, sizeof(ret->name), name) == 0 &&
		    str_copy(ret->pool, sizeof(ret->pool), json_str(row, "vg_name", "")) == 0;
	owner_of_tags(json_str(row, "lv_tags", ""), ret->owner);
	ret->size_mib = bytes / MIB;
	ret->active = strcmp(json_str(row, "lv_active", ""), "active") == 0;
	return 0;
}

int lvm_report_lvs(const char *text, size_t len, struct volume_info **ret, int *ret_n, struct err *err)
{
	AUTO_JSON json_t *doc = NULL;
	const json_t *rows = NULL;
	int rc = parse_rows(text, len, "lv", &doc, &rows, err);

	if (rc < 0)
		return rc;
	AUTO_FREE struct volume_info *list = xcalloc(json_array_size(rows) + 1, sizeof(*list));
	int n = 0;
	for (size_t i = 0; i < json_array_size(rows); i++) {
		bool fits = false;

		rc = read_lv(json_array_get(rows, i), &list[n], &fits, err);
		if (rc < 0)
			return rc;
		if (fits)
			n++;
	}
	*ret = TAKE(list);
	*ret_n = n;
	return 0;
}

static int read_vg(const json_t *row, struct lvm_vg *ret, bool *ret_fits, struct err *err)
{
	int64_t bytes = 0;
	int rc = field_bytes(row, "vg_size", &bytes, err);

	if (rc == 0)
		rc = field_bytes(row, "vg_free", &ret->free_bytes, err);
	if (rc == 0)
		rc = field_bytes(row, "vg_extent_size", &ret->extent_bytes, err);
	if (rc < 0)
		return rc;
	if (ret->extent_bytes == 0)
		return err_set(err, ERR_COMMAND_FAILED, "the lvm tools report an extent size of 0 bytes");
	const char *name = json_str(row, "vg_name", "");
	*ret_fits = name[0] && str_copy(ret->pool.name, sizeof(ret->pool.name), name) == 0;
	ret->pool.size_mib = bytes / MIB;
	ret->pool.free_mib = ret->free_bytes / MIB;
	ret->prepared = tags_have(json_str(row, "vg_tags", ""), "gantry");
	return 0;
}

int lvm_report_vgs(const char *text, size_t len, struct lvm_vg **ret, int *ret_n, struct err *err)
{
	AUTO_JSON json_t *doc = NULL;
	const json_t *rows = NULL;
	int rc = parse_rows(text, len, "vg", &doc, &rows, err);

	if (rc < 0)
		return rc;
	AUTO_FREE struct lvm_vg *list = xcalloc(json_array_size(rows) + 1, sizeof(*list));
	int n = 0;
	for (size_t i = 0; i < json_array_size(rows); i++) {
		bool fits = false;

		rc = read_vg(json_array_get(rows, i), &list[n], &fits, err);
		if (rc < 0)
			return rc;
		if (fits)
			n++;
	}
	*ret = TAKE(list);
	*ret_n = n;
	return 0;
}
