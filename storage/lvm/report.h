/* SPDX-License-Identifier: Apache-2.0 */
/* Reads what `lvs` and `vgs` print with `--reportformat json --units b --nosuffix`. Pure. */
#ifndef STORAGE_LVM_REPORT_H
#define STORAGE_LVM_REPORT_H

#include <stddef.h>

#include "common/err.h"
#include "storage/storage.h"

#define LVM_TAG_PREFIX "gantry-"
#define LVM_LV_FIELDS  "vg_name,lv_name,lv_size,lv_tags,lv_active"
#define LVM_VG_FIELDS  "vg_name,vg_size,vg_free,vg_extent_size,vg_tags"

struct lvm_vg {
	struct pool_info pool;
	int64_t extent_bytes;
	int64_t free_bytes;
	bool prepared; /* carries the tag "gantry": made by 'gnt node prepare' */
};

/*
 * Gives an array (free()). Volumes and groups whose names are longer than ours may be are left out: they
 * cannot be ours. A volume with no, or with two, tags of ours has owner "".
 */
int lvm_report_lvs(const char *text, size_t len, struct volume_info **ret, int *ret_n, struct err *err) WARN_UNUSED;
int lvm_report_vgs(const char *text, size_t len, struct lvm_vg **ret, int *ret_n, struct err *err) WARN_UNUSED;

#endif
