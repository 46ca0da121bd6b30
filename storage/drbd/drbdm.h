/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DRBD through drbdadm and drbdsetup, for the 8.4 and the 9 kernel module. One file CONF_DIR/<resource>.res
 * per resource. drbdadm itself starts the tools of the running kernel's line, so the file must be of that line:
 * which one it is, is asked once.
 *
 * An exit status of 20, or a killed tool, says nothing about what the kernel did: the state is read, and the
 * command repeated if it is not what was ordered. What stays unknown is -ERR_UNKNOWN_OUTCOME.
 */
#ifndef STORAGE_DRBD_DRBDM_H
#define STORAGE_DRBD_DRBDM_H

#include "storage/drbd/conf.h"
#include "storage/runner.h"
#include "storage/storage.h"

#define DRBDM_CONF_DIR "/etc/drbd.d"

/* What `drbdadm --version` says of the kernel's module; loads the module when there is none. -ERR_NOT_PREPARED without
 * one. */
int drbdm_detect(struct runner *r, enum drbdm_kernel *ret, struct err *err) WARN_UNUSED;

/* Borrows r, which must outlive it. Safe to call from several threads. */
int drbdm_new(struct runner *r, const char *conf_dir, struct drbdm **ret, struct err *err) WARN_UNUSED; /* detects */
struct drbdm *drbdm_new_for(struct runner *r, const char *conf_dir, enum drbdm_kernel kernel);
void drbdm_free(struct drbdm *d);
DEFINE_CLEANUP(struct drbdm *, drbdm_free);

/*
 * Does the kernel call handlers? The module's usermode_helper must be /sbin/drbdadm; sites that ran Ganeti have
 * /bin/true there, with which every loss of a connection freezes without a question. -ERR_NOT_PREPARED with what
 * it is. Nothing to say (0) while the module is not loaded.
 */
int drbdm_check_helper(struct runner *r, struct err *err) WARN_UNUSED;

#endif
