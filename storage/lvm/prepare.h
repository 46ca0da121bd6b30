/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Disks for 'gnt node prepare': only an EMPTY disk is ever made into a volume group. Empty means: a whole,
 * writable block device without partition table, file system, any other signature, mount point, holder
 * or child. What was found instead is said in the error.
 */
#ifndef STORAGE_LVM_PREPARE_H
#define STORAGE_LVM_PREPARE_H

#include <stdint.h>

#include "common/err.h"
#include "schema/limits.h"
#include "storage/runner.h"

#define LVM_PREPARE_DISKS_MAX 16
#define LVM_PREPARE_MIN_MIB   1024

struct lvm_disk {
	char path[PATH_LEN + 1]; /* as lsblk names it, e.g. /dev/vdb */
	int64_t size_mib;
	char found[256];       /* "" = empty; else what is on it: "partition table gpt, 2 partitions" */
	char vg[NAME_LEN + 1]; /* it is a physical volume of this group; "" = none */
};

/* Looks only. Fails for what is not a block device; a disk that is not empty is no failure here. */
int lvm_disk_inspect(struct runner *r, const char *disk, struct lvm_disk *ret, struct err *err) WARN_UNUSED;

/* lvm_disk_inspect(), then -ERR_NOT_EMPTY with what was found, or -ERR_BAD_VALUE when it is under LVM_PREPARE_MIN_MIB.
 */
int lvm_disk_must_be_empty(struct runner *r, const char *disk, struct lvm_disk *ret, struct err *err) WARN_UNUSED;

/*
 * Makes volume group vg (tag "gantry") of the disks, or adds them to it when it exists and carries the tag.
 * All disks are looked at before the first is touched. Idempotent: a disk that is in vg already is left alone.
 */
int lvm_prepare(struct runner *r, const char *vg, const char *const disks[], int n_disks, struct err *err) WARN_UNUSED;

#endif
