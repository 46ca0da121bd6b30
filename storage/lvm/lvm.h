/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Volumes as logical volumes. What is ours carries the tag "gantry-<uuid of the disk>".
 *
 * Every command gets `--config devices{global_filter=[reject /dev/drbd*, then the host's own list]}`: a guest
 * that made volume groups of its own is seen by the host through its DRBD device, and reading a *frozen* DRBD
 * device hangs the reader for good, so `lvs` must never open one. Logical volumes themselves are not scanned
 * by LVM 2.03 (devices/scan_lvs = 0).
 */
#ifndef STORAGE_LVM_LVM_H
#define STORAGE_LVM_LVM_H

#include "common/buf.h"
#include "storage/runner.h"
#include "storage/storage.h"

/* Reads the host's filter once (runs lvmconfig). Borrows r, which must outlive it. Safe to call from several threads.
 */
int lvm_new(struct runner *r, struct volumes **ret, struct err *err) WARN_UNUSED;
void lvm_free(struct volumes *v);
DEFINE_CLEANUP(struct volumes *, lvm_free);

/* The text for --config: "devices{global_filter=[...]}" with the host's list kept behind ours. */
int lvm_config_text(struct runner *r, struct buf *ret, struct err *err) WARN_UNUSED;

#endif
