/* SPDX-License-Identifier: Apache-2.0 */
/* The shared text: taken under the lock, changed, written back. */
#ifndef STORAGE_FAKE_WORLD_H
#define STORAGE_FAKE_WORLD_H

#include "common/json.h"
#include "storage/fake/fake.h"
#include "hypervisor/hypervisor.h"

struct fake {
	struct volumes volumes;
	struct drbdm drbd;
	struct hypervisor hv;
	char dir[PATH_LEN + 1];
	char node[NAME_LEN + 1];
};

struct world_lock {
	int fd;
	json_t *world; /* {"nodes": {NAME: {"volumes": {}, "drbd": {}, "guests": {}}}} */
	json_t *node;  /* this node's part, borrowed */
};

/* Everything between take and give is one moment of the world. Each call of a backend is one. */
int world_take(struct fake *f, struct world_lock *ret, struct err *err) WARN_UNUSED;
int world_give(struct fake *f, struct world_lock *l, bool changed, struct err *err) WARN_UNUSED;
/* Gives it back after rc: an error is passed on, and nothing was changed then. */
int world_end(struct fake *f, struct world_lock *l, int rc, bool changed, struct err *err) WARN_UNUSED;
json_t *world_node(struct world_lock *l, const char *node); /* made when absent; borrowed */
json_t *world_part(json_t *node, const char *part);         /* likewise */

extern const struct volumes_ops fake_volumes_ops;
extern const struct drbdm_ops fake_drbd_ops;
extern const struct hypervisor_ops fake_hv_ops;

#endif
