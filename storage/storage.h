/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Storage as the node agent sees it: volumes (LVM or file) and DRBD resources on top of them. Every call
 * blocks (worker threads only), is idempotent where its comment says so, and never decides anything.
 * Backends: storage/lvm, storage/file, storage/drbd on a struct runner; storage/fake for tests and vcluster.
 */
#ifndef STORAGE_STORAGE_H
#define STORAGE_STORAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "schema/limits.h"

/* ---- volumes ------------------------------------------------------------------------------- */

struct volume_spec {
	char pool[NAME_LEN + 1];    /* volume group name, or directory for files */
	char name[VOLUME_LEN + 1];  /* logical volume or file name */
	char owner[UUID_LEN + 1];   /* uuid of the disk it belongs to: the LV's tag "gantry-<uuid>" */
	int64_t size_mib;
};

struct volume_info {
	char pool[NAME_LEN + 1];
	char name[VOLUME_LEN + 1];
	char owner[UUID_LEN + 1]; /* "" = not ours */
	int64_t size_mib;
	bool active;
};

struct pool_info {
	char name[NAME_LEN + 1];
	int64_t size_mib, free_mib;
};

struct volumes; /* backend instance */
struct volumes_ops {
	const char *name; /* "lvm", "file", "fake" */
	/* Idempotent: a volume of that name, owner and at least that size is success. Same name, other owner:
	 * -ERR_FOREIGN. No room: -ERR_NO_SPACE with both figures. New volumes are wiped of old signatures. */
	int (*create)(struct volumes *v, const struct volume_spec *s, struct err *err);
	/* Idempotent: absent is success. Refuses what does not carry the owner's tag (-ERR_FOREIGN). */
	int (*remove)(struct volumes *v, const struct volume_spec *s, struct err *err);
	int (*grow)(struct volumes *v, const struct volume_spec *s, struct err *err); /* to s->size_mib */
	/* A read-only snapshot of s, named `name`, beside it, with room (size_mib) for s to change that much; it goes by remove, or with s.
	 * -ERR_NO_SPACE as create. NULL: the backend has none. */
	int (*snapshot)(struct volumes *v, const struct volume_spec *s, const char *name, int64_t size_mib, struct err *err);
	/* Is it there, ours, and large enough? *ret_present. */
	int (*probe)(struct volumes *v, const struct volume_spec *s, bool *ret_present, struct err *err);
	/* Path of the block device or file into out[PATH_LEN + 1]. Pure. */
	void (*path)(struct volumes *v, const struct volume_spec *s, char *out);
	/* All volumes / all pools. Gives an array (free()). */
	int (*list)(struct volumes *v, struct volume_info **ret, int *ret_n, struct err *err);
	int (*pools)(struct volumes *v, struct pool_info **ret, int *ret_n, struct err *err);
};
struct volumes {
	const struct volumes_ops *ops;
};

/* ---- DRBD ---------------------------------------------------------------------------------- */

/* One resource per instance; its volumes are the instance's disks, so that all disks share one connection. */
struct drbd_volume_conf {
	int index; /* volume number = disk index */
	int minor; /* the same on both nodes */
	char disk_path[PATH_LEN + 1];
	char meta_path[PATH_LEN + 1]; /* external metadata */
};

struct drbd_peer_conf {
	char hostname[NAME_LEN + 1]; /* uname -n of the node */
	char address[ADDR_LEN + 1];  /* replication address, v4 or v6 */
	int node_id;                 /* 0 or 1; used by DRBD 9 */
};

struct drbd_conf {
	char resource[NAME_LEN + 1];      /* instance name */
	char instance_uuid[UUID_LEN + 1]; /* stands in the file's header: "is it ours?" */
	struct drbd_volume_conf volumes[DISKS_MAX];
	int n_volumes;
	struct drbd_peer_conf peers[2];
	int port;
	char secret[SECRET_LEN + 1]; /* HMAC sha256 shared secret */
	bool arbitrated;             /* fencing resource-and-stonith with our handlers, else dont-care */
	int64_t resync_rate_mib_s;   /* 0 = DRBD's default */
	char handler[PATH_LEN + 1];  /* program for fence-peer etc.: "<handler> fence-peer" */
};

enum drbd_role { DRBD_ROLE_UNKNOWN, DRBD_ROLE_PRIMARY, DRBD_ROLE_SECONDARY };
enum drbd_cstate { /* connection */
	DRBD_CONN_NONE,       /* resource not up */
	DRBD_CONN_STANDALONE, DRBD_CONN_DISCONNECTING, DRBD_CONN_UNCONNECTED, DRBD_CONN_TIMEOUT,
	DRBD_CONN_BROKEN_PIPE, DRBD_CONN_NETWORK_FAILURE, DRBD_CONN_PROTOCOL_ERROR, DRBD_CONN_TEARDOWN,
	DRBD_CONN_CONNECTING, /* 8.4: WFConnection */
	DRBD_CONN_CONNECTED,  /* and every replication state */
};
enum drbd_dstate { /* disk */
	DRBD_DISK_NONE, DRBD_DISK_DISKLESS, DRBD_DISK_ATTACHING, DRBD_DISK_DETACHING, DRBD_DISK_FAILED,
	DRBD_DISK_NEGOTIATING, DRBD_DISK_INCONSISTENT, DRBD_DISK_OUTDATED, DRBD_DISK_UNKNOWN,
	DRBD_DISK_CONSISTENT, DRBD_DISK_UPTODATE,
};
enum drbd_repl { /* replication */
	DRBD_REPL_OFF, DRBD_REPL_ESTABLISHED, DRBD_REPL_SYNC_SOURCE, DRBD_REPL_SYNC_TARGET,
	DRBD_REPL_PAUSED_SYNC, DRBD_REPL_OTHER, /* bitmap exchange, verify, ... */
};

struct drbd_volume_status {
	int index, minor;
	enum drbd_dstate disk, peer_disk;
	enum drbd_repl repl;
	int64_t out_of_sync_kib;
	int done_permille; /* of a resync; 1000 = none running */
};

struct drbd_status {
	char resource[NAME_LEN + 1];
	bool up; /* the kernel knows it */
	enum drbd_role role, peer_role;
	enum drbd_cstate conn;
	bool suspended_fencing; /* frozen, waits for a verdict */
	bool suspended_no_data; /* frozen, a Primary without good data here or at its peer: it waits for either */
	bool suspended_other;   /* user, quorum */
	struct drbd_volume_status volumes[DISKS_MAX];
	int n_volumes;
};

struct drbd_suspended {
	char instance_uuid[UUID_LEN + 1];
};

struct drbdm; /* backend instance */
struct drbdm_ops {
	const char *name; /* "drbd84", "drbd9", "fake" */
	/* Writes the resource's file durably (temp, fsync, rename). Idempotent. Refuses to replace a file that is not ours. */
	int (*write_conf)(struct drbdm *d, const struct drbd_conf *c, struct err *err);
	int (*remove_conf)(struct drbdm *d, const char *resource, struct err *err); /* idempotent */
	/* Makes metadata on every volume. With force=false volumes that already have ours are left alone. */
	int (*create_md)(struct drbdm *d, const struct drbd_conf *c, bool force, struct err *err);
	/*
	 * Kernel := file in what arbitration changes (fencing, on-io-error) and in the resync's rate, of a resource that is up with its disks. Never
	 * `drbdadm adjust`: that attaches and connects whatever is not, a disk that failed an instant ago too (doc/design/003). Idempotent.
	 */
	int (*options)(struct drbdm *d, const char *resource, struct err *err);
	int (*attach)(struct drbdm *d, const char *resource, struct err *err);  /* disks only, no network. Idempotent */
	int (*connect)(struct drbdm *d, const char *resource, bool discard_my_data, struct err *err); /* idempotent */
	/* force: plain cut (`disconnect --force`); else graceful: a Secondary outdates itself (see drbd84-arbitration.md) */
	int (*disconnect)(struct drbdm *d, const char *resource, bool force, struct err *err);
	/* Idempotent. force: does not wait for I/O under way (a dead or frozen disk). */
	int (*detach)(struct drbdm *d, const char *resource, bool force, struct err *err);
	int (*down)(struct drbdm *d, const char *resource, struct err *err); /* idempotent */
	/*
	 * Idempotent. -ERR_STALE_REPLICA: the kernel knows that its data is old; -ERR_WRONG_STATE: the peer is Primary, or no verdict allows it.
	 * force: on data that is not UpToDate, only for a person's --ignore-consistency and for the first start of new disks.
	 */
	int (*primary)(struct drbdm *d, const char *resource, bool force, struct err *err);
	int (*secondary)(struct drbdm *d, const char *resource, struct err *err); /* idempotent; -ERR_BUSY while something holds the device open */
	/* In the running kernel only: the file goes on saying no, so a new connection begins with one. Idempotent. */
	int (*two_primaries)(struct drbdm *d, const char *resource, bool allow, struct err *err);
	int (*resume_io)(struct drbdm *d, const char *resource, struct err *err); /* idempotent; frozen writes fail or go on as the disks then are */
	int (*new_current_uuid)(struct drbdm *d, const char *resource, bool clear_bitmap, struct err *err); /* every volume */
	/* On the Primary, in sync: to what both volumes have become. What is new is taken for the same on both sides, without a resync. */
	int (*resize)(struct drbdm *d, const char *resource, struct err *err);
	/* Never fails for an unknown resource: ret->up = false. */
	int (*status)(struct drbdm *d, const char *resource, struct drbd_status *ret, struct err *err);
	/* Every resource the kernel knows. Gives an array (free()). */
	int (*status_all)(struct drbdm *d, struct drbd_status **ret, int *ret_n, struct err *err);
	/*
	 * Of resources with a file of ours those whose I/O is suspended, by the kernel's own page: asked without DRBD's tools, which may hang. Gives an
	 * array (free()). -ERR_NOT_SUPPORTED: this kernel has no such page. NULL: nor has this backend.
	 */
	int (*suspended)(struct drbdm *d, struct drbd_suspended **ret, int *ret_n, struct err *err);
	/* Resources with a file of ours (name + instance uuid in instance_uuid): which the kernel may not know. */
	int (*list_conf)(struct drbdm *d, struct drbd_conf **ret, int *ret_n, struct err *err);
};
struct drbdm {
	const struct drbdm_ops *ops;
};

const char *drbd_role_name(enum drbd_role r);
const char *drbd_cstate_name(enum drbd_cstate c);
const char *drbd_dstate_name(enum drbd_dstate s);
const char *drbd_repl_name(enum drbd_repl r);
/* All own disks UpToDate / all peer disks UpToDate and Established. */
bool drbd_status_uptodate(const struct drbd_status *s);
/* Connected as tools call it, but the two have not told each other yet what they have: it may end in a split brain (8.4: WFReportParams). */
bool drbd_status_shakes_hands(const struct drbd_status *s);
bool drbd_status_frozen(const struct drbd_status *s); /* its I/O waits, for whatever reason */
bool drbd_status_in_sync(const struct drbd_status *s); /* connected, both sides UpToDate on every volume */
/* The peer has all that was acknowledged here: it is connected and UpToDate, and each volume here is in sync with it, or has no disk to write to alone. */
bool drbd_status_peer_has_all(const struct drbd_status *s);

#endif
