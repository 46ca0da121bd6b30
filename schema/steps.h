/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Step kinds: everything a plan can order. STEP_KINDS has a row each; the arguments are row lists like any object.
 *
 *   STEP(kind, where, undo, class, retry, args tag, summary)
 *   where  NODE: executed by the node agent (node/exec_*.c has do, undo, probe for it)
 *          MASTER: a change of the config or of ownership, executed inside core/ in the journal's own transaction
 *          STORE: an etcd membership call, made by the master's bridge
 *   undo   UNDO: has one; NONE: nothing to take back (reads, waits, or harmless); FORWARD: only after the pivot
 *   class  FAST 20 s, NORMAL 120 s, SLOW 15 min, LONG (no deadline; ends by itself, by cancel, or with the node)
 *          (multiplied in slow labs by the setting step_time_factor)
 *   retry  how often a retryable failure is tried again before it counts
 */
#ifndef SCHEMA_STEPS_H
#define SCHEMA_STEPS_H

#include "schema/objects.h"

enum step_where { STEP_NODE, STEP_MASTER, STEP_STORE };
enum step_undo { STEP_UNDO, STEP_NONE, STEP_FORWARD };
enum step_class { STEP_FAST, STEP_NORMAL, STEP_SLOW, STEP_LONG };

/* clang-format off */
#define STEP_KINDS(STEP)                                                                                                  \
	/* volumes */                                                                                                     \
	STEP(volume_create,   NODE,   UNDO,    NORMAL, 1, step_volumes,  "create volumes")                                \
	STEP(volume_remove,   NODE,   FORWARD, NORMAL, 3, step_volumes,  "remove volumes")                                \
	STEP(volume_grow,     NODE,   NONE,    NORMAL, 1, step_grow,     "make the volume larger")                        \
	STEP(tail_keep,       NODE,   NONE,    NORMAL, 1, step_tail,     "keep what the loser wrote, as a snapshot")      \
	STEP(image_write,     NODE,   NONE,    SLOW,   0, step_image,    "write the image to disk 0")                     \
	/* DRBD */                                                                                                        \
	STEP(drbd_configure,  NODE,   UNDO,    FAST,   1, step_drbd_conf, "write the DRBD resource")                      \
	STEP(drbd_make_md,    NODE,   NONE,    NORMAL, 1, step_drbd_conf, "make DRBD metadata")                           \
	STEP(drbd_attach,     NODE,   UNDO,    NORMAL, 2, step_resource, "attach the disks")                              \
	STEP(drbd_connect,    NODE,   UNDO,    NORMAL, 2, step_resource, "connect the replicas")                          \
	STEP(drbd_options,    NODE,   NONE,    NORMAL, 2, step_resource, "apply the options of the DRBD resource")        \
	STEP(drbd_wait_connected, NODE, NONE,  NORMAL, 0, step_resource, "wait until the replicas are connected")         \
	STEP(drbd_skip_sync,  NODE,   NONE,    NORMAL, 0, step_resource, "skip the first sync of empty disks")            \
	STEP(drbd_wait_sync,  NODE,   NONE,    LONG,   0, step_resource, "wait for the resync")                           \
	STEP(drbd_prove,      NODE,   NONE,    FAST,   1, step_resource, "check that the mirror holds every acknowledged write") \
	STEP(drbd_primary,    NODE,   UNDO,    NORMAL, 1, step_resource, "make the replica Primary")                      \
	STEP(drbd_secondary,  NODE,   UNDO,    NORMAL, 2, step_resource, "make the replica Secondary")                    \
	STEP(drbd_two_primaries, NODE, UNDO,   NORMAL, 2, step_resource, "allow two Primaries")                           \
	STEP(drbd_one_primary, NODE,  NONE,    NORMAL, 5, step_resource, "allow one Primary only")                        \
	STEP(drbd_cut,        NODE,   NONE,    NORMAL, 1, step_resource, "cut the connection (disconnect --force)")       \
	STEP(drbd_down,       NODE,   FORWARD, NORMAL, 3, step_resource, "take the replica down")                         \
	STEP(drbd_resize,     NODE,   NONE,    NORMAL, 5, step_resize,   "let DRBD use the larger volumes")               \
	STEP(drbd_forget,     NODE,   FORWARD, FAST,   3, step_resource, "remove the DRBD resource's file")               \
	STEP(drbd_probe_target, NODE, UNDO,    NORMAL, 0, step_resource, "ask the replica whether it may take over")      \
	/* guests */                                                                                                      \
	STEP(guest_start,     NODE,   UNDO,    NORMAL, 0, step_guest,    "start the guest")                               \
	STEP(guest_shutdown,  NODE,   NONE,    SLOW,   0, step_guest_ref, "shut the guest down")                          \
	STEP(guest_destroy,   NODE,   NONE,    NORMAL, 3, step_guest_ref, "end the guest's process")                      \
	STEP(guest_reset,     NODE,   NONE,    NORMAL, 0, step_guest_ref, "reset the guest")                              \
	STEP(guest_hold,      NODE,   UNDO,    NORMAL, 0, step_guest_ref, "check that the guest runs at the source")      \
	STEP(guest_expect,    NODE,   UNDO,    NORMAL, 0, step_guest,    "prepare the target for the guest")              \
	STEP(guest_migrate,   NODE,   UNDO,    LONG,   0, step_migrate,  "migrate the guest's memory")                    \
	STEP(guest_arrived,   NODE,   NONE,    FAST,   0, step_guest_ref, "check that the guest has arrived whole")        \
	STEP(guest_resume,    NODE,   FORWARD, NORMAL, 5, step_guest_ref, "let the guest run at the target")              \
	STEP(guest_grow,      NODE,   NONE,    NORMAL, 1, step_guest_grow, "tell the guest its disk's new size")          \
	/* ownership, config: in the journal's transaction */                                                             \
	STEP(instance_insert, MASTER, UNDO,    FAST,   0, instance,      "record the instance")                           \
	STEP(instance_delete, MASTER, FORWARD, FAST,   0, step_ref,      "forget the instance")                           \
	STEP(instance_admin,  MASTER, UNDO,    FAST,   0, step_admin,    "record the wanted state")                       \
	STEP(instance_disk,   MASTER, FORWARD, FAST,   0, step_disk,     "record the disk's new size")                    \
	STEP(instance_params, MASTER, UNDO,    FAST,   0, step_params,   "record the parameters")                         \
	STEP(instance_rename, MASTER, NONE,    FAST,   0, step_rename,   "record the new name")                           \
	STEP(own_migrate,     MASTER, UNDO,    FAST,   0, step_own,      "record the migration")                          \
	STEP(own_pivot,       MASTER, FORWARD, FAST,   0, step_own,      "hand the guest over to the target")             \
	STEP(own_settle,      MASTER, FORWARD, FAST,   0, step_own,      "record the end of the migration")               \
	STEP(own_migrate_end, MASTER, FORWARD, FAST,   0, step_own,      "record that the migration was given up")        \
	STEP(own_failover,    MASTER, FORWARD, FAST,   0, step_own,      "hand the instance to its mirror")               \
	STEP(own_shrink,      MASTER, NONE,    FAST,   0, step_own,      "take a replica out of current")                 \
	STEP(own_leave,       MASTER, UNDO,    FAST,   6, step_own,      "take a replica out of current, to take it apart") \
	STEP(own_return,      MASTER, FORWARD, FAST,   0, step_own,      "let the replica become current again")          \
	STEP(own_both,        MASTER, NONE,    FAST,   0, step_own,      "wait until both replicas are current")          \
	STEP(own_replicas,    MASTER, FORWARD, FAST,   6, step_replicas, "record the new set of replicas")                \
	STEP(own_arbitrate,   MASTER, NONE,    FAST,   0, step_own,      "turn arbitration on or off for the instance")   \
	STEP(own_tail,        MASTER, FORWARD, FAST,   0, step_own,      "record whose writes are to be kept")            \
	STEP(own_confirm,     MASTER, FORWARD, FAST,   0, step_replicas, "record which replicas hold every acknowledged write") \
	STEP(node_insert,     MASTER, UNDO,    FAST,   0, node,          "record the node")                               \
	STEP(node_change,     MASTER, UNDO,    FAST,   0, step_node,     "record the node's new state")                   \
	STEP(node_delete,     MASTER, FORWARD, FAST,   0, step_ref,      "forget the node")                               \
	STEP(cluster_change,  MASTER, NONE,    FAST,   0, cluster,       "record the cluster's settings")                 \
	STEP(token_delete,    MASTER, NONE,    FAST,   0, step_ref,      "use up the join token")                         \
	/* etcd membership */                                                                                             \
	STEP(member_add,      STORE,  UNDO,    NORMAL, 20, step_member,  "add the node to etcd as a learner")             \
	STEP(member_promote,  STORE,  UNDO,    NORMAL, 60, step_member,  "make the learner a voter")                      \
	STEP(member_remove,   STORE,  FORWARD, NORMAL, 20, step_member,  "remove the node from etcd")                     \
	/* the node itself */                                                                                             \
	STEP(etcd_start,      NODE,   UNDO,    NORMAL, 1, step_etcd,     "start the node's etcd member")                  \
	STEP(etcd_stop,       NODE,   FORWARD, NORMAL, 2, step_none,     "stop the node's etcd member and drop its data") \
	STEP(masterd_start,   NODE,   UNDO,    NORMAL, 1, step_masterd,  "start gantry-masterd")                          \
	STEP(masterd_stop,    NODE,   FORWARD, NORMAL, 2, step_none,     "stop gantry-masterd")                           \
	STEP(certs_install,   NODE,   NONE,    NORMAL, 1, step_certs,    "install certificates")                          \
	STEP(certs_renew,     NODE,   NONE,    NORMAL, 3, step_none,     "renew the certificate: ask the master to sign a new one") \
	STEP(settings_install, NODE,  NONE,    FAST,   2, step_settings, "tell the node the cluster's settings")          \
	STEP(node_leave,      NODE,   FORWARD, NORMAL, 1, step_none,     "leave the cluster")                             \
	STEP(fence_off,       NODE,   NONE,    SLOW,   0, step_fence,    "switch the node off and read its power back")  \
	STEP(watchdog_drill,  NODE,   NONE,    NORMAL, 0, step_none,     "let the watchdog reset the node")                \
	STEP(noop,            NODE,   UNDO,    FAST,   1, step_noop,     "do nothing")                                    \
	STEP(noop_master,     MASTER, UNDO,    FAST,   0, step_noop,     "do nothing on the master")
/* clang-format on */

enum step_kind {
#define STEP(kind, ...) STEP_KIND_##kind,
	STEP_KINDS(STEP)
#undef STEP
	STEP_KIND_COUNT
};

struct step_info {
	const char *name;
	enum step_where where;
	enum step_undo undo;
	enum step_class class;
	int retries;
	const struct schema *args;
	const char *summary;
};
extern const struct step_info step_infos[STEP_KIND_COUNT];
/* -1 = no such kind. */
int step_kind_by_name(const char *name);

/* ---- arguments ------------------------------------------------------------------------------- */

#define STEP_NONE_ROWS(F, T) F(T, STR, note, 63, 0, NULL, "", "for the log")
SCHEMA_DECLARE(step_none, STEP_NONE_ROWS)

#define STEP_REF_ROWS(F, T) F(T, STR, uuid, UUID_LEN, FIELD_REQUIRED, NULL, "", "object")
SCHEMA_DECLARE(step_ref, STEP_REF_ROWS)

#define STEP_VOLUME_ROWS(F, T)                                                                                           \
	F(T, STR, backend, 7, 0, "lvm", "", "lvm or file")                                                               \
	F(T, STR, pool, PATH_LEN, FIELD_REQUIRED, NULL, "", "volume group or directory")                                 \
	F(T, STR, name, VOLUME_LEN, FIELD_REQUIRED, NULL, "", "volume")                                                  \
	F(T, STR, owner, UUID_LEN, FIELD_REQUIRED, NULL, "", "disk it belongs to: the volume's tag")                     \
	F(T, SIZE, size, 1, INT64_C(1) << 36, FIELD_REQUIRED, NULL, "", "size")
SCHEMA_DECLARE(step_volume, STEP_VOLUME_ROWS)
#define STEP_VOLUMES_ROWS(F, T)                                                                                          \
	F(T, STR, uuid, UUID_LEN, FIELD_REQUIRED, NULL, "", "instance")                                                  \
	F(T, LIST, volumes, step_volume, 2 * DISKS_MAX, 0, "", "volumes")
SCHEMA_DECLARE(step_volumes, STEP_VOLUMES_ROWS)

/* To be larger than its record is harmless, so nothing takes it back: what failed is repeated, and goes on from there. */
#define STEP_GROW_ROWS(F, T)                                                                                             \
	F(T, STR, uuid, UUID_LEN, FIELD_REQUIRED, NULL, "", "instance")                                                  \
	F(T, LIST, volumes, step_volume, DISKS_MAX, FIELD_SINCE(2), "", "volumes, with their new size")
SCHEMA_DECLARE(step_grow, STEP_GROW_ROWS)
#define STEP_RESIZE_ROWS(F, T)                                                                                           \
	F(T, STR, uuid, UUID_LEN, FIELD_REQUIRED, NULL, "", "instance")                                                  \
	F(T, STR, resource, NAME_LEN, FIELD_REQUIRED | FIELD_SINCE(2), NULL, "", "resource")
SCHEMA_DECLARE(step_resize, STEP_RESIZE_ROWS)
#define STEP_GUEST_GROW_ROWS(F, T)                                                                                       \
	F(T, STR, uuid, UUID_LEN, FIELD_REQUIRED, NULL, "", "instance")                                                  \
	F(T, STR, path, PATH_LEN, FIELD_REQUIRED | FIELD_SINCE(2), NULL, "", "device or file")                           \
	F(T, SIZE, size, 1, INT64_C(1) << 36, FIELD_REQUIRED, NULL, "", "its size now")
SCHEMA_DECLARE(step_guest_grow, STEP_GUEST_GROW_ROWS)
#define STEP_DISK_ROWS(F, T)                                                                                             \
	F(T, STR, uuid, UUID_LEN, FIELD_REQUIRED, NULL, "", "instance")                                                  \
	F(T, INT, disk, 0, DISKS_MAX - 1, FIELD_REQUIRED | FIELD_SINCE(2), NULL, "", "number of the disk")               \
	F(T, SIZE, size, 1, INT64_C(1) << 36, FIELD_REQUIRED, NULL, "", "its new size")
SCHEMA_DECLARE(step_disk, STEP_DISK_ROWS)

/* must: acknowledged writes may be in it. Without, a lack of room only means that nothing is kept. */
#define STEP_TAIL_ROWS(F, T)                                                                                             \
	F(T, STR, uuid, UUID_LEN, FIELD_REQUIRED, NULL, "", "instance")                                                  \
	F(T, INT, gen, 0, INT64_MAX, FIELD_REQUIRED, NULL, "", "generation at which this node lost")                     \
	F(T, BOOL, must, 0, "no", "", "fails when it cannot be kept")                                                    \
	F(T, LIST, volumes, step_volume, DISKS_MAX, 0, "", "data volumes, by disk number")
SCHEMA_DECLARE(step_tail, STEP_TAIL_ROWS)

#define STEP_IMAGE_ROWS(F, T)                                                                                            \
	F(T, STR, uuid, UUID_LEN, FIELD_REQUIRED, NULL, "", "instance")                                                  \
	F(T, STR, image, PATH_LEN, FIELD_REQUIRED, NULL, "", "file in the node's image directory (full path)")           \
	F(T, STR, device, PATH_LEN, FIELD_REQUIRED, NULL, "", "disk to write")                                           \
	F(T, SIZE, size, 1, INT64_C(1) << 36, 0, NULL, "", "size of the disk: a larger image is refused")
SCHEMA_DECLARE(step_image, STEP_IMAGE_ROWS)

#define STEP_DRBD_VOLUME_ROWS(F, T)                                                                                      \
	F(T, INT, index, 0, DISKS_MAX - 1, FIELD_REQUIRED, NULL, "", "volume number")                                    \
	F(T, INT, minor, 0, DRBD_MINORS_MAX - 1, FIELD_REQUIRED, NULL, "", "minor")                                      \
	F(T, STR, disk, PATH_LEN, FIELD_REQUIRED, NULL, "", "data device")                                               \
	F(T, STR, meta, PATH_LEN, FIELD_REQUIRED, NULL, "", "metadata device")
SCHEMA_DECLARE(step_drbd_volume, STEP_DRBD_VOLUME_ROWS)
#define STEP_DRBD_PEER_ROWS(F, T)                                                                                        \
	F(T, STR, uuid, UUID_LEN, FIELD_REQUIRED, NULL, "", "node")                                                      \
	F(T, STR, hostname, NAME_LEN, FIELD_REQUIRED, NULL, "", "uname -n")                                              \
	F(T, STR, address, ADDR_LEN, FIELD_REQUIRED, NULL, "", "replication address")
SCHEMA_DECLARE(step_drbd_peer, STEP_DRBD_PEER_ROWS)
/* previous: the same arguments of the file that it replaces (undo writes that back); absent: undo removes the file. */
#define STEP_DRBD_CONF_ROWS(F, T)                                                                                        \
	F(T, STR, uuid, UUID_LEN, FIELD_REQUIRED, NULL, "", "instance")                                                  \
	F(T, STR, resource, NAME_LEN, FIELD_REQUIRED, NULL, "", "resource: the instance's name, or what it was called first")                              \
	F(T, INT, port, 1, 65535, FIELD_REQUIRED, NULL, "", "port")                                                      \
	F(T, STR, secret, SECRET_LEN, FIELD_REQUIRED | FIELD_SECRET, NULL, "", "shared secret")                          \
	F(T, BOOL, arbitrated, 0, "no", "", "fencing resource-and-stonith")                                              \
	F(T, INT, resync_rate, 0, 100000, 0, "0", "", "MiB/s")                                                           \
	F(T, INT, gen, 0, INT64_MAX, 0, "0", "", "generation of the ownership record")                                   \
	F(T, BOOL, force, 0, "no", "", "drbd_make_md: also over metadata that is there")                                 \
	F(T, LIST, volumes, step_drbd_volume, DISKS_MAX, 0, "", "volumes")                                               \
	F(T, LIST, peers, step_drbd_peer, 2, 0, "", "the two nodes")                                                     \
	F(T, JSON, previous, FIELD_SECRET, "", "what it replaces, its secret with it")
SCHEMA_DECLARE(step_drbd_conf, STEP_DRBD_CONF_ROWS)

/* disks = 0: nothing must. */
#define STEP_TAIL_REF_ROWS(F, T)                                                                                         \
	F(T, INT, gen, 0, INT64_MAX, 0, "0", "", "generation at which this node lost")                                   \
	F(T, LIST, disks, step_volume, DISKS_MAX, 0, "", "data volumes whose snapshots must be there")
SCHEMA_DECLARE(step_tail_ref, STEP_TAIL_REF_ROWS)

/* force: skip what would refuse (--ignore-consistency, a dead peer), each step's handler says what it means there. */
#define STEP_RESOURCE_ROWS(F, T)                                                                                         \
	F(T, STR, uuid, UUID_LEN, FIELD_REQUIRED, NULL, "", "instance")                                                  \
	F(T, STR, resource, NAME_LEN, FIELD_REQUIRED, NULL, "", "resource")                                              \
	F(T, INT, gen, 0, INT64_MAX, 0, "0", "", "generation of the ownership record when it was planned")               \
	F(T, BOOL, force, 0, "no", "", "even if")                                                                        \
	F(T, BOOL, discard, 0, "no", "", "connect with --discard-my-data")                                               \
	F(T, OBJ, tail, step_tail_ref, 0, "", "drbd_connect: what must have been kept before")                           \
	F(T, BOOL, attach, 0, "no", "", "drbd_connect: what a boot took down is attached first")                         \
	F(T, BOOL, arbitrated, 0, "no", "", "promotion is pulled: ask the master first")                                 \
	F(T, INT, apart_ms, 0, INT64_MAX, 0, NULL, "", "drbd_probe_target: it must have been cut off for so long")       \
	F(T, STR, name, NAME_LEN, FIELD_SINCE(2), NULL, "", "the instance's name, if the resource is not called so")
SCHEMA_DECLARE(step_resource, STEP_RESOURCE_ROWS)

#define STEP_GUEST_DISK_ROWS(F, T)                                                                                       \
	F(T, STR, path, PATH_LEN, FIELD_REQUIRED, NULL, "", "device or file")                                            \
	F(T, BOOL, block, 0, "yes", "", "block device")
SCHEMA_DECLARE(step_guest_disk, STEP_GUEST_DISK_ROWS)
#define STEP_GUEST_ROWS(F, T)                                                                                            \
	F(T, STR, uuid, UUID_LEN, FIELD_REQUIRED, NULL, "", "instance")                                                  \
	F(T, STR, name, NAME_LEN, FIELD_REQUIRED, NULL, "", "name")                                                      \
	F(T, OBJ, be, beparams, 0, "", "filled parameters")                                                              \
	F(T, OBJ, hv, hvparams, 0, "", "filled parameters")                                                              \
	F(T, TEXT, cpu_xml, 16384, 0, NULL, "", "CPU model")                                                             \
	F(T, LIST, disks, step_guest_disk, DISKS_MAX, 0, "", "disks")                                                    \
	F(T, LIST, nics, nic, NICS_MAX, 0, "", "network cards")                                                          \
	F(T, BOOL, arbitrated, 0, "no", "", "start is pulled: ask the master first")                                     \
	F(T, INT, gen, 0, INT64_MAX, 0, "0", "", "generation when it was planned")
SCHEMA_DECLARE(step_guest, STEP_GUEST_ROWS)

#define STEP_GUEST_REF_ROWS(F, T)                                                                                        \
	F(T, STR, uuid, UUID_LEN, FIELD_REQUIRED, NULL, "", "instance")                                                  \
	F(T, STR, name, NAME_LEN, 0, NULL, "", "name")                                                                   \
	F(T, INT, timeout_s, 0, 3600, 0, "120", "", "for a shutdown")                                                    \
	F(T, BOOL, force, 0, "no", "", "end the process when the guest does not shut down in time")                      \
	F(T, BOOL, arbitrated, 0, "no", "", "resume is pulled: ask the master first")                                    \
	F(T, INT, gen, 0, INT64_MAX, 0, "0", "", "generation when it was planned")
SCHEMA_DECLARE(step_guest_ref, STEP_GUEST_REF_ROWS)

#define STEP_MIGRATE_ROWS(F, T)                                                                                          \
	F(T, STR, uuid, UUID_LEN, FIELD_REQUIRED, NULL, "", "instance")                                                  \
	F(T, STR, name, NAME_LEN, 0, NULL, "", "name")                                                                   \
	F(T, STR, target, UUID_LEN, FIELD_REQUIRED, NULL, "", "node it goes to")                                         \
	F(T, STR, target_name, NAME_LEN, FIELD_REQUIRED, NULL, "", "its name")                    \
	F(T, STR, target_address, ADDR_LEN, FIELD_REQUIRED, NULL, "", "its replication address")                         \
	F(T, INT, bandwidth, 0, 1000000, 0, "0", "", "MiB/s")                                                            \
	F(T, INT, downtime, 0, 100000, 0, "0", "", "ms")                                                                 \
	F(T, BOOL, auto_converge, 0, "yes", "", "slow a busy guest down")                                                \
	F(T, BOOL, live, 0, "yes", "", "else the guest is suspended first")
SCHEMA_DECLARE(step_migrate, STEP_MIGRATE_ROWS)

#define STEP_ADMIN_ROWS(F, T)                                                                                            \
	F(T, STR, uuid, UUID_LEN, FIELD_REQUIRED, NULL, "", "instance")                                                  \
	F(T, ENUM, state, admin_state_names, FIELD_REQUIRED, NULL, "", "wanted")                                         \
	F(T, ENUM, previous, admin_state_names, FIELD_REQUIRED, NULL, "", "for undo")
SCHEMA_DECLARE(step_admin, STEP_ADMIN_ROWS)

#define STEP_RENAME_ROWS(F, T)                                                                                           \
	F(T, STR, uuid, UUID_LEN, FIELD_REQUIRED, NULL, "", "instance")                                                  \
	F(T, STR, name, NAME_LEN, FIELD_REQUIRED | FIELD_SINCE(2), NULL, "", "its new name")
SCHEMA_DECLARE(step_rename, STEP_RENAME_ROWS)

#define STEP_PARAMS_ROWS(F, T)                                                                                           \
	F(T, STR, uuid, UUID_LEN, FIELD_REQUIRED, NULL, "", "instance")                                                  \
	F(T, OBJ, be, beparams, 0, "", "new, whole")                                                                     \
	F(T, OBJ, hv, hvparams, 0, "", "new, whole")                                                                     \
	F(T, OBJ, old_be, beparams, 0, "", "for undo")                                                                   \
	F(T, OBJ, old_hv, hvparams, 0, "", "for undo")
SCHEMA_DECLARE(step_params, STEP_PARAMS_ROWS)

#define STEP_OWN_ROWS(F, T)                                                                                              \
	F(T, STR, uuid, UUID_LEN, FIELD_REQUIRED, NULL, "", "instance")                                                  \
	F(T, STR, node, UUID_LEN, 0, NULL, "", "node it is about: target, replica, new owner")                           \
	F(T, INT, gen, 0, INT64_MAX, 0, NULL, "", "must be the record's generation; unset = any")                        \
	F(T, BOOL, force, 0, "no", "", "--ignore-consistency")                                                           \
	F(T, BOOL, on, 0, "yes", "", "for own_arbitrate")                                                                \
	F(T, ENUM, evidence, evidence_names, 0, "none", "", "what a failover rests on")                                  \
	F(T, TEXT, evidence_text, TEXT_MAX, 0, NULL, "", "the same in words")
SCHEMA_DECLARE(step_own, STEP_OWN_ROWS)

#define STEP_REPLICAS_ROWS(F, T)                                                                                         \
	F(T, STR, uuid, UUID_LEN, FIELD_REQUIRED, NULL, "", "instance")                                                  \
	F(T, STRS, nodes, REPLICAS_MAX, 0, "", "nodes that hold its disks from now on")                                  \
	F(T, STRS, current, REPLICAS_MAX, 0, "", "of them, the current ones")
SCHEMA_DECLARE(step_replicas, STEP_REPLICAS_ROWS)

/* before/after: the node object whole. */
#define STEP_NODE_ROWS(F, T)                                                                                             \
	F(T, OBJ, before, node, 0, "", "for undo")                                                                       \
	F(T, OBJ, after, node, 0, "", "new")
SCHEMA_DECLARE(step_node, STEP_NODE_ROWS)

/* Run by the master's node. options: key=value lines for the agent's standard input. drill: off, read back, on again, read back. */
#define STEP_FENCE_AGENT_ROWS(F, T)                                                                                      \
	F(T, STR, agent, NAME_LEN, FIELD_REQUIRED, NULL, "", "program of fence-agents: fence_ipmilan, ...")              \
	F(T, TEXT, options, TEXT_MAX, FIELD_SECRET, NULL, "", "its options")
SCHEMA_DECLARE(step_fence_agent, STEP_FENCE_AGENT_ROWS)
#define STEP_FENCE_ROWS(F, T)                                                                                            \
	F(T, STR, uuid, UUID_LEN, FIELD_REQUIRED, NULL, "", "the node that is switched off")                             \
	F(T, STR, name, NAME_LEN, FIELD_REQUIRED, NULL, "", "its name")                                                  \
	F(T, BOOL, drill, 0, "no", "", "and on again")                                                                   \
	F(T, BOOL, check, 0, "no", "", "only ask: each has to read it as on")                                            \
	F(T, LIST, agents, step_fence_agent, FENCE_AGENTS_MAX, 0, "", "in order, until one has read it back as off")
SCHEMA_DECLARE(step_fence, STEP_FENCE_ROWS)

#define STEP_MEMBER_ROWS(F, T)                                                                                           \
	F(T, STR, node, UUID_LEN, FIELD_REQUIRED, NULL, "", "node")                                                      \
	F(T, STR, name, NAME_LEN, FIELD_REQUIRED, NULL, "", "member name = node name")                                   \
	F(T, STR, peer_url, 127, FIELD_REQUIRED, NULL, "", "peer URL: members are found by it")
SCHEMA_DECLARE(step_member, STEP_MEMBER_ROWS)

/* The initial-cluster text is asked of the store when the step is sent: the bridge fills it in. */
#define STEP_ETCD_ROWS(F, T)                                                                                             \
	F(T, STR, name, NAME_LEN, FIELD_REQUIRED, NULL, "", "member name")                                               \
	F(T, STR, address, ADDR_LEN, FIELD_REQUIRED, NULL, "", "address to listen on")                                   \
	F(T, TEXT, initial_cluster, 4096, 0, NULL, "", "name=url,name=url of all members, this one included")            \
	F(T, STR, token, 63, 0, NULL, "", "keeps members of different clusters apart; empty = gantry")                    \
	F(T, INT, lease_ms, 1000, 600000, 0, "12000", "", "time-outs derive from it")
SCHEMA_DECLARE(step_etcd, STEP_ETCD_ROWS)

#define STEP_MASTERD_ROWS(F, T)                                                                                          \
	F(T, STRS, endpoints, VOTERS_MAX, 0, "", "etcd client URLs")                                                     \
	F(T, INT, lease_ms, 1000, 600000, 0, "12000", "", "ha.lease")
SCHEMA_DECLARE(step_masterd, STEP_MASTERD_ROWS)

#define STEP_CERTS_ROWS(F, T)                                                                                            \
	F(T, TEXT, ca, 16384, 0, NULL, "", "CA certificate")                                                             \
	F(T, TEXT, cert, 16384, 0, NULL, "", "node certificate; its key never leaves the node")
SCHEMA_DECLARE(step_certs, STEP_CERTS_ROWS)

/* What every node keeps locally so that it finds the master and its peers. */
#define SETTINGS_NODE_ROWS(F, T)                                                                                         \
	F(T, STR, uuid, UUID_LEN, FIELD_REQUIRED, NULL, "", "node")                                                      \
	F(T, STR, name, NAME_LEN, FIELD_REQUIRED, NULL, "", "name")                                                      \
	F(T, STR, address, ADDR_LEN, FIELD_REQUIRED, NULL, "", "primary address")                                        \
	F(T, STR, replication_address, ADDR_LEN, FIELD_REQUIRED, NULL, "", "replication address")                        \
	F(T, BOOL, candidate, 0, "no", "", "runs gantry-masterd and etcd")                                               \
	F(T, BOOL, witness, 0, "no", "", "votes, runs no gantry-masterd")
SCHEMA_DECLARE(settings_node, SETTINGS_NODE_ROWS)
#define STEP_SETTINGS_ROWS(F, T)                                                                                         \
	F(T, STR, cluster, NAME_LEN, 0, NULL, "", "cluster name")                                                        \
	F(T, INT, version, 0, INT64_MAX, 0, "0", "", "rises with each change; older ones are dropped")                   \
	F(T, INT, lease_ms, 1000, 600000, 0, "12000", "", "ha.lease")                                                    \
	F(T, STR, ip, ADDR_LEN, 0, NULL, "", "cluster address")                                                          \
	F(T, STR, master_netdev, NAME_LEN, 0, NULL, "", "interface that carries it")                                     \
	F(T, STR, vg_name, NAME_LEN, 0, NULL, "", "volume group")                                                        \
	F(T, INT, level, 1, LEVEL_MAX, 0, "1", "", "at which messages and records are written")                          \
	F(T, LIST, nodes, settings_node, NODES_MAX, 0, "", "all nodes")
SCHEMA_DECLARE(step_settings, STEP_SETTINGS_ROWS)

#define STEP_NOOP_ROWS(F, T)                                                                                             \
	F(T, INT, delay_ms, 0, 600000, 0, "0", "", "time to take")                                                       \
	F(T, BOOL, fail, 0, "no", "", "fail at the end")
SCHEMA_DECLARE(step_noop, STEP_NOOP_ROWS)

#endif
