/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Backends that run nothing: a little world of volumes, DRBD resources and guests, kept as one JSON text in a directory that several
 * node daemons on one machine share under a lock. For tests/vcluster, development and benches. The rules of the real parts that
 * the project rests on hold here too: one Primary unless two are allowed, no promotion of a stale side, a graceful disconnect
 * outdates a Secondary, a cut freezes an arbitrated Primary.
 */
#ifndef STORAGE_FAKE_FAKE_H
#define STORAGE_FAKE_FAKE_H

#include "storage/storage.h"

struct hypervisor;

struct fake; /* one node's view */
int fake_open(const char *dir, const char *node_name, struct fake **ret, struct err *err) WARN_UNUSED;
void fake_close(struct fake *f);
/* Owned by the fake. */
struct volumes *fake_volumes(struct fake *f);
struct drbdm *fake_drbd(struct fake *f);
struct hypervisor *fake_hypervisor(struct fake *f);

#endif
