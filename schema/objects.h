/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The objects that the store holds, one key each, as JSON by their rows:
 *   /gantry/cluster   struct cluster      /gantry/node/<uuid>      struct node
 *   /gantry/secret    struct secret       /gantry/instance/<uuid>  struct instance (with its ownership record)
 *   /gantry/job/<id>  struct job          /gantry/job/<id>/<n>     struct job_record
 *   /gantry/token/<id> struct token       /gantry/master, /gantry/beat, /gantry/seq: see core/term.h
 */
#ifndef SCHEMA_OBJECTS_H
#define SCHEMA_OBJECTS_H

#include "schema/enums.h"
#include "schema/field.h"

/* ---- parameters ----------------------------------------------------------------------------- */

#define BEPARAMS_ROWS(F, T)                                                                                              \
	F(T, SIZE, memory, 4, 16 * 1024 * 1024, 0, NULL, "", "memory of the guest, MiB or with unit")                     \
	F(T, INT, vcpus, 1, 512, 0, NULL, "", "virtual processors")                                                      \
	F(T, ENUM, ha, ha_policy_names, 0, NULL, "", "what to do when the guest or its node dies")                        \
	F(T, INT, ha_priority, 0, 100, 0, NULL, "", "order of failover, higher first")                                   \
	F(T, BOOL, auto_balance, 0, NULL, "", "count it in the N+1 reserve")
SCHEMA_DECLARE(beparams, BEPARAMS_ROWS)

#define HVPARAMS_ROWS(F, T)                                                                                              \
	F(T, TEXT, kernel_path, PATH_LEN, 0, NULL, "", "kernel on the node to boot directly; empty = from disk")          \
	F(T, TEXT, initrd_path, PATH_LEN, 0, NULL, "", "initial ram disk on the node")                                   \
	F(T, TEXT, kernel_args, TEXT_MAX, 0, NULL, "", "kernel command line")                                            \
	F(T, TEXT, boot_order, 64, 0, NULL, "", "comma list of disk, cdrom, network (double the comma: disk,,network)")   \
	F(T, TEXT, cdrom_image_path, PATH_LEN, 0, NULL, "", "ISO image on the node")                                     \
	F(T, TEXT, vnc_bind_address, ADDR_LEN, 0, NULL, "", "address of the VNC console; empty = none")                   \
	F(T, TEXT, cpu_type, 64, 0, NULL, "", "baseline (all nodes' common model), host-passthrough, or a model name")    \
	F(T, TEXT, machine, 64, 0, NULL, "", "machine type; empty = the hypervisor's default")                           \
	F(T, ENUM, domain_type, domain_type_names, 0, NULL, "", "kvm, or qemu for emulation")                            \
	F(T, ENUM, disk_cache, disk_cache_names, 0, NULL, "", "host caching; replicated disks need none to migrate")      \
	F(T, ENUM, disk_type, disk_bus_names, 0, NULL, "", "how the guest sees its disks")                               \
	F(T, ENUM, nic_type, nic_model_names, 0, NULL, "", "how the guest sees its network cards")                       \
	F(T, BOOL, acpi, 0, NULL, "", "give the guest ACPI (needed for a clean shutdown)")                               \
	F(T, BOOL, serial_console, 0, NULL, "", "a serial console for 'gnt instance console'")                           \
	F(T, INT, migration_bandwidth, 0, 1000000, 0, NULL, "", "MiB/s of a live migration, 0 = unlimited")              \
	F(T, INT, migration_downtime, 0, 100000, 0, NULL, "", "ms a guest may stand still at the end of a migration")    \
	F(T, BOOL, migration_auto_converge, 0, NULL, "", "slow a guest down that dirties memory faster than it is sent") \
	F(T, INT, shutdown_timeout, 1, 3600, 0, NULL, "", "seconds a guest gets to shut down")
SCHEMA_DECLARE(hvparams, HVPARAMS_ROWS)

/* ---- instance ------------------------------------------------------------------------------- */

/* There may be thousands: what most of them do not say is TEXT (a pointer), not STR (room for the longest). */
#define DISK_ROWS(F, T)                                                                                                  \
	F(T, STR, uuid, UUID_LEN, FIELD_HIDDEN, NULL, "", "identity; tag of its volumes")                                \
	F(T, SIZE, size, 4, INT64_C(1) << 36, 0, NULL, "", "size, MiB or with unit")                                     \
	F(T, TEXT, name, NAME_LEN, 0, NULL, "", "a name of your own")                                                    \
	F(T, TEXT, vg, NAME_LEN, 0, NULL, "", "volume group; empty = the cluster's")                                     \
	F(T, INT, minor, 0, DRBD_MINORS_MAX - 1, FIELD_HIDDEN, NULL, "", "DRBD minor, the same on both nodes")
SCHEMA_DECLARE(disk, DISK_ROWS)

#define NIC_ROWS(F, T)                                                                                                   \
	F(T, STR, mac, MAC_LEN, 0, NULL, "", "hardware address; empty = made from the cluster's prefix")                  \
	F(T, TEXT, link, NAME_LEN, 0, NULL, "", "bridge; empty = the cluster's")                                         \
	F(T, TEXT, ip, ADDR_LEN, 0, NULL, "", "address, for the record")                                                 \
	F(T, TEXT, name, NAME_LEN, 0, NULL, "", "a name of your own")
SCHEMA_DECLARE(nic, NIC_ROWS)

/*
 * Who may run the guest and whose replicas hold every acknowledged write. Only core/own.c changes it, always with gen + 1
 * when current changes (doc/design/003 H1, H2). One record for all disks (H21).
 */
#define OWNERSHIP_ROWS(F, T)                                                                                             \
	F(T, STR, owner, UUID_LEN, 0, NULL, "", "node that may run it")                                                  \
	F(T, STR, target, UUID_LEN, 0, NULL, "", "node it is migrating to; empty = none")                                \
	F(T, ENUM, run, run_side_names, 0, "owner", "", "which side of a migration may execute")                         \
	F(T, STRS, current, REPLICAS_MAX, 0, "", "nodes whose replica holds every acknowledged write")                   \
	F(T, STR, leaving, UUID_LEN, 0, NULL, "", "node whose replica a plan is taking apart: it does not become current again before that is over") \
	F(T, INT, gen, 0, INT64_MAX, 0, "0", "", "raised by every change of current")                                    \
	F(T, BOOL, arbitrated, 0, "no", "", "verdicts decide (three voters or more); else current is only observed")     \
	F(T, BOOL, unconfirmed, 0, "no", "", "restored from a backup: nothing is decided until its nodes were seen")      \
	F(T, INT, since_ms, 0, INT64_MAX, 0, "0", "", "wall clock of the last change")                                   \
	F(T, ENUM, evidence, evidence_names, 0, "none", "", "what the last failover rested on")                          \
	F(T, TEXT, evidence_text, TEXT_MAX, 0, NULL, "", "the same in words")                                            \
	F(T, STR, tail, UUID_LEN, 0, NULL, "", "node that may have written alone and lost: what it has is kept before it is overwritten") \
	F(T, INT, tail_gen, 0, INT64_MAX, 0, "0", "", "generation at which it lost")                                     \
	F(T, BOOL, tail_must, 0, "no", "", "acknowledged writes may be in it: not overwritten before it is kept")         \
	F(T, INT, alone_gen, 0, INT64_MAX, 0, "0", "", "generation at which a yes took the other one out of current, if nothing but a yes has changed it since; 0 = something has") \
	F(T, BOOL, as_is, 0, "no", "", "a person took the owner's replica as it is (--ignore-consistency): it may be forced until it is current with others or has gone on alone")
SCHEMA_DECLARE(ownership, OWNERSHIP_ROWS)

#define INSTANCE_ROWS(F, T)                                                                                              \
	F(T, STR, uuid, UUID_LEN, FIELD_REQUIRED, NULL, "", "identity")                                                  \
	F(T, STR, name, NAME_LEN, FIELD_REQUIRED, NULL, "", "name")                                                      \
	F(T, ENUM, template, template_names, FIELD_REQUIRED, NULL, "", "disk template")                                  \
	F(T, ENUM, admin_state, admin_state_names, 0, "down", "", "what is wanted: up or down")                          \
	F(T, STRS, nodes, REPLICAS_MAX, 0, "", "nodes that hold its disks")                                              \
	F(T, OBJ, own, ownership, 0, "", "ownership record")                                                             \
	F(T, OBJ, be, beparams, 0, "", "backend parameters of its own")                                                  \
	F(T, OBJ, hv, hvparams, 0, "", "hypervisor parameters of its own")                                               \
	F(T, LIST, disks, disk, DISKS_MAX, 0, "", "disks")                                                               \
	F(T, LIST, nics, nic, NICS_MAX, 0, "", "network cards")                                                          \
	F(T, INT, port, 0, 65535, 0, NULL, "", "DRBD port")                                                              \
	F(T, STR, home, UUID_LEN, 0, NULL, "", "node that maintenance moved it off: it goes back there")                 \
	F(T, INT, ha_rev, 0, INT64_MAX, 0, "0", "", "raised by each permission to run and each change of its ha policy (008)") \
	F(T, STR, guard_node, UUID_LEN, 0, NULL, "", "node whose watchdog guards the guest")                             \
	F(T, INT, guard_rev, 0, INT64_MAX, 0, "0", "", "... under this ha_rev")                                          \
	F(T, TEXT, secret, SECRET_LEN, FIELD_SECRET, NULL, "", "DRBD shared secret")                                     \
	F(T, TEXT, resource, NAME_LEN, FIELD_SINCE(2), NULL, "", "DRBD resource, if it is not called as the instance: a renamed one keeps it") \
	F(T, TEXT, image, NAME_LEN, 0, NULL, "", "image it was made from")                                               \
	F(T, INT, created_ms, 0, INT64_MAX, 0, "0", "", "wall clock")
SCHEMA_DECLARE(instance, INSTANCE_ROWS)

/* ---- node and cluster ----------------------------------------------------------------------- */

#define NODE_ROWS(F, T)                                                                                                  \
	F(T, STR, uuid, UUID_LEN, FIELD_REQUIRED, NULL, "", "identity; SAN of its certificate")                          \
	F(T, STR, name, NAME_LEN, FIELD_REQUIRED, NULL, "", "name; equals uname -n")                                     \
	F(T, STR, address, ADDR_LEN, FIELD_REQUIRED, NULL, "", "primary address")                                        \
	F(T, STR, replication_address, ADDR_LEN, FIELD_REQUIRED, NULL, "", "address for DRBD and migration")             \
	F(T, BOOL, master_capable, 0, "yes", "", "may become a master candidate")                                        \
	F(T, BOOL, candidate, 0, "no", "", "is a master candidate: runs gantry-masterd and etcd")                        \
	F(T, STR, member_id, 23, 0, NULL, "", "etcd member")                                                             \
	F(T, BOOL, witness, 0, "no", "", "votes, runs no guests")                                                        \
	F(T, BOOL, former_voter, 0, "no", "", "restored from a backup: etcd and masterd there are the dead cluster's")    \
	F(T, BOOL, drained, 0, "no", "", "gets no new instances")                                                        \
	F(T, BOOL, maintenance, 0, "no", "", "its guests are moved away, and come back when it ends")                    \
	F(T, BOOL, offline, 0, "no", "", "not talked to")                                                                \
	F(T, ENUM, liveness, liveness_names, 0, "online", "", "what the log says about it")                              \
	F(T, ENUM, evidence, evidence_names, 0, "none", "", "what the last fencing rested on")                           \
	F(T, TEXT, evidence_text, TEXT_MAX, 0, NULL, "", "the same in words")                                            \
	F(T, STR, evidence_boot, UUID_LEN, 0, NULL, "", "boot id that the evidence is about; empty = nobody knows")       \
	F(T, BOOL, evidence_wrong, 0, "no", "", "it has answered in that boot: the evidence counts for nothing")          \
	F(T, TEXT, fence, TEXT_MAX, FIELD_SECRET, NULL, "", "fence agents: agent=fence_NAME,key=value,...;agent=...")    \
	F(T, BOOL, auto_rejoin, 0, NULL, "", "back in a new boot it takes part again by itself; unset = as the cluster says") \
	F(T, INT, power_proven_ms, 0, INT64_MAX, 0, "0", "", "wall clock: an agent last read its power back as off")     \
	F(T, INT, power_checked_ms, 0, INT64_MAX, 0, "0", "", "wall clock: all its agents last answered, and read it as on") \
	F(T, INT, watchdog_proven_ms, 0, INT64_MAX, 0, "0", "", "wall clock: a drill whose watchdog reset the machine")   \
	F(T, INT, joined_ms, 0, INT64_MAX, 0, "0", "", "wall clock")                                                     \
	F(T, INT, cert_expires_s, 0, INT64_MAX, 0, "0", "", "wall clock of its certificate's end")
SCHEMA_DECLARE(node, NODE_ROWS)

#define CLUSTER_ROWS(F, T)                                                                                               \
	F(T, STR, uuid, UUID_LEN, FIELD_REQUIRED, NULL, "", "identity")                                                  \
	F(T, STR, name, NAME_LEN, FIELD_REQUIRED, NULL, "", "name")                                                      \
	F(T, STR, ip, ADDR_LEN, 0, NULL, "", "cluster address, follows the master")                                      \
	F(T, STR, master_netdev, NAME_LEN, 0, NULL, "", "interface that carries it")                                     \
	F(T, STR, vg_name, NAME_LEN, 0, NULL, "", "volume group for disks")                                              \
	F(T, STR, file_dir, PATH_LEN, 0, "/srv/gantry", "", "directory for file disks")                                  \
	F(T, STR, image_dir, PATH_LEN, 0, "/var/lib/gantry-images", "", "directory with images, on each node")           \
	F(T, STR, bridge, NAME_LEN, 0, "br0", "", "bridge that network cards join")                                      \
	F(T, STR, mac_prefix, 8, 0, "aa:00:00", "", "first three bytes of made hardware addresses")                      \
	F(T, INT, lease_ms, 2000, 600000, 0, "12000", "", "ha.lease: all times of liveness derive from it")              \
	F(T, INT, candidate_pool_size, 1, VOTERS_MAX, 0, "5", "", "master candidates at most: 1, 3 or 5 are used")       \
	F(T, BOOL, arbitration, 0, "no", "", "verdicts decide; on from the third voter")                                 \
	F(T, BOOL, arbitration_held, 0, "no", "", "a person turned it off: it stays off")                                \
	F(T, INT, resync_rate, 0, 100000, 0, "0", "", "MiB/s of a DRBD resync, 0 = DRBD decides")                        \
	F(T, OBJ, be, beparams, 0, "", "defaults for instances")                                                         \
	F(T, OBJ, hv, hvparams, 0, "", "defaults for instances")                                                         \
	F(T, INT, ha_rev, 0, INT64_MAX, 0, "0", "", "raised by each change of the default ha policy")                    \
	F(T, ENUM, front_lost, front_lost_names, 0, "evacuate", "", "guests with ha=failover on a node without its primary network: evacuate, leave") \
	F(T, BOOL, auto_rejoin, 0, "yes", "", "a node that was lost or fenced takes part again by itself when it is back in a new boot") \
	F(T, INT, tail_keep_s, 60, 31536000, 0, "86400", "", "seconds for which a loser's tail is kept")                 \
	F(T, TEXT, cpu_xml, 16384, 0, NULL, "", "CPU model that all nodes can run (libvirt XML)")                        \
	F(T, TEXT, ca_cert, 16384, 0, NULL, "", "certificate of the cluster's CA")                                       \
	F(T, INT, cert_life_s, 60, 3153600000, 0, "63072000", "", "seconds that a node's certificate is good")           \
	F(T, INT, created_ms, 0, INT64_MAX, 0, "0", "", "wall clock")                                                    \
	F(T, INT, schema_version, 1, LEVEL_MAX, 0, "1", "", "level of these objects and of messages")                                  \
	F(T, INT, incarnation, 0, INCARNATIONS_MAX, 0, "0", "", "how often it was restored: epochs, generations, job numbers begin above the former ones")
SCHEMA_DECLARE(cluster, CLUSTER_ROWS)

#define SECRET_ROWS(F, T) F(T, TEXT, ca_key, 16384, FIELD_REQUIRED | FIELD_SECRET, NULL, "", "key of the cluster's CA (PEM)")
SCHEMA_DECLARE(secret, SECRET_ROWS)

#define TOKEN_ROWS(F, T)                                                                                                 \
	F(T, STR, id, 16, FIELD_REQUIRED, NULL, "", "public part")                                                       \
	F(T, STR, hash, 127, FIELD_REQUIRED | FIELD_SECRET, NULL, "", "argon2id of the secret part")                     \
	F(T, STR, node, NAME_LEN, 0, NULL, "", "name it is for; empty = any")                                            \
	F(T, BOOL, witness, 0, "no", "", "for a witness")                                                                \
	F(T, INT, expires_ms, 0, INT64_MAX, FIELD_REQUIRED, NULL, "", "wall clock")
SCHEMA_DECLARE(token, TOKEN_ROWS)

/* What 'gnt cluster backup' writes and 'gnt cluster restore' reads. Without secrets it can be read, but not restored. */
#define BACKUP_FORMAT "gantry-backup-2"
#define BACKUP_ROWS(F, T)                                                                                                \
	F(T, STR, format, 23, FIELD_REQUIRED, NULL, "", "must be gantry-backup-2")                                       \
	F(T, INT, wall_ms, 0, INT64_MAX, FIELD_REQUIRED, NULL, "", "when it was made")                                   \
	F(T, STR, master, NAME_LEN, 0, NULL, "", "who made it")                                                          \
	F(T, INT, epoch, 0, INT64_MAX, FIELD_REQUIRED, NULL, "", "the master's")                                         \
	F(T, OBJ, cluster, cluster, FIELD_REQUIRED, "", "settings")                                                      \
	F(T, LIST, nodes, node, NODES_MAX, 0, "", "nodes")                                                  \
	F(T, LIST, instances, instance, INSTANCES_MAX, 0, "", "instances")                                               \
	F(T, TEXT, ca_key, 16384, FIELD_SECRET, NULL, "", "key of the cluster's CA (PEM), with --secrets only")
SCHEMA_DECLARE(backup, BACKUP_ROWS)

/* ---- jobs ------------------------------------------------------------------------------------ */

enum step_state { STEP_PENDING, STEP_STARTED, STEP_DONE, STEP_FAILED, STEP_SKIPPED, STEP_UNDOING, STEP_UNDONE };
extern const char *const step_state_names[];

/* One step of a plan; args by the step kind's rows (schema/steps.h). Its state is the journal's to say while the job runs, and stands here afterwards. */
#define PLAN_STEP_ROWS(F, T)                                                                                             \
	F(T, STR, kind, 39, FIELD_REQUIRED, NULL, "", "step kind")                                                       \
	F(T, STR, node, UUID_LEN, 0, NULL, "", "where; empty = the master itself")                                       \
	F(T, JSON, args, 0, "", "its arguments")                                                                         \
	F(T, BOOL, pivot, 0, "no", "", "from here on only forward")                                                      \
	F(T, BOOL, may_fail, 0, "no", "", "failure is noted, not followed (a lost node's half)")                         \
	F(T, BOOL, after_all, 0, "no", "", "left out when an earlier step of its instance was passed over")              \
	F(T, BOOL, beside, FIELD_SINCE(2), "no", "", "begun together with the step before it")                           \
	F(T, STR, text, 120, 0, NULL, "", "what a person reads")                                                         \
	F(T, ENUM, state, step_state_names, FIELD_SINCE(2), NULL, "", "what became of it, once the job has ended")       \
	F(T, INT, started_ms, 0, INT64_MAX, FIELD_SINCE(2), NULL, "", "wall clock")                                      \
	F(T, INT, ended_ms, 0, INT64_MAX, FIELD_SINCE(2), NULL, "", "wall clock")
SCHEMA_DECLARE(plan_step, PLAN_STEP_ROWS)

enum job_state { JOB_QUEUED, JOB_WAITING, JOB_RUNNING, JOB_UNDOING, JOB_SUCCESS, JOB_ERROR, JOB_CANCELED, JOB_STUCK };
extern const char *const job_state_names[];

#define JOB_ROWS(F, T)                                                                                                   \
	F(T, INT, id, 1, INT64_MAX, FIELD_REQUIRED, NULL, "", "number")                                                  \
	F(T, STR, op, 63, FIELD_REQUIRED, NULL, "", "request: group.verb")                                               \
	F(T, JSON, args, 0, "", "its arguments")                                                                         \
	F(T, STR, request_id, 63, 0, NULL, "", "client's id, so that a repeated request is answered, not repeated")      \
	F(T, ENUM, state, job_state_names, 0, "queued", "", "state")                                                     \
	F(T, STR, user, NAME_LEN, 0, NULL, "", "who asked")                                                              \
	F(T, TEXT, reason, TEXT_MAX, 0, NULL, "", "why, in the person's words")                                          \
	F(T, STR, summary, 127, 0, NULL, "", "one line for lists")                                                       \
	F(T, LIST, steps, plan_step, STEPS_MAX, 0, "", "the plan")                                                       \
	F(T, STRS, locks, 64, 0, "", "what it holds alone")                                                              \
	F(T, INT, created_ms, 0, INT64_MAX, 0, NULL, "", "wall clock")                                                   \
	F(T, INT, started_ms, 0, INT64_MAX, 0, NULL, "", "wall clock")                                                   \
	F(T, INT, ended_ms, 0, INT64_MAX, 0, NULL, "", "wall clock")                                                     \
	F(T, JSON, result, 0, "", "what the request answers")                                                            \
	F(T, STR, error, 39, 0, NULL, "", "error name")                                                                  \
	F(T, TEXT, error_msg, 1024, 0, NULL, "", "what went wrong")                                                      \
	F(T, TEXT, error_hint, 1024, 0, NULL, "", "what to do")                                                          \
	F(T, BOOL, cancel, 0, "no", "", "cancel was asked for")
SCHEMA_DECLARE(job, JOB_ROWS)

enum record_event { RECORD_STARTED, RECORD_DONE, RECORD_FAILED, RECORD_UNDO_STARTED, RECORD_UNDONE, RECORD_UNDO_FAILED };
extern const char *const record_event_names[];

#define JOB_RECORD_ROWS(F, T)                                                                                            \
	F(T, INT, step, 0, STEPS_MAX, FIELD_REQUIRED, NULL, "", "index of the step")                                     \
	F(T, ENUM, event, record_event_names, FIELD_REQUIRED, NULL, "", "what happened to it")                           \
	F(T, INT, at_ms, 0, INT64_MAX, 0, NULL, "", "wall clock")                                                        \
	F(T, JSON, result, 0, "", "what the step answered")                                                              \
	F(T, STR, error, 39, 0, NULL, "", "error name")                                                                  \
	F(T, TEXT, error_msg, 1024, 0, NULL, "", "what went wrong")                                                      \
	F(T, TEXT, error_hint, 1024, 0, NULL, "", "what to do")
SCHEMA_DECLARE(job_record, JOB_RECORD_ROWS)

/* ---- observed state (messages from nodes, never stored) --------------------------------------- */

#define OBS_GUEST_ROWS(F, T)                                                                                             \
	F(T, STR, uuid, UUID_LEN, FIELD_REQUIRED, NULL, "", "instance")                                                  \
	F(T, STR, name, NAME_LEN, 0, NULL, "", "name on the node")                                                       \
	F(T, STR, state, 15, FIELD_REQUIRED, NULL, "", "running, paused, incoming, shutdown, crashed")                   \
	F(T, BOOL, ours, 0, "yes", "", "carries our tag")                                                                \
	F(T, INT, memory_mib, 0, INT64_MAX, 0, "0", "", "memory")                                                        \
	F(T, INT, guarded, 0, INT64_MAX, 0, NULL, "", "the watchdog guards it under this ha_rev")
SCHEMA_DECLARE(obs_guest, OBS_GUEST_ROWS)

#define OBS_DRBD_ROWS(F, T)                                                                                              \
	F(T, STR, resource, NAME_LEN, FIELD_REQUIRED, NULL, "", "resource")                                              \
	F(T, STR, uuid, UUID_LEN, 0, NULL, "", "instance, from the resource's file")                                     \
	F(T, BOOL, up, 0, "no", "", "the kernel knows it")                                                               \
	F(T, STR, role, 15, 0, NULL, "", "Primary, Secondary, Unknown")                                                  \
	F(T, STR, peer_role, 15, 0, NULL, "", "the peer's")                                                              \
	F(T, STR, conn, 23, 0, NULL, "", "connection state, DRBD's word")                                                \
	F(T, STR, disk, 15, 0, NULL, "", "worst own disk state of all volumes")                                          \
	F(T, STR, peer_disk, 15, 0, NULL, "", "worst of the peer's")                                                     \
	F(T, BOOL, in_sync, 0, "no", "", "connected, both UpToDate on every volume")                                     \
	F(T, BOOL, suspended, 0, "no", "", "frozen, waits for a verdict")                                                \
	F(T, BOOL, marked, 0, "no", "", "durable mark says: lost its disk, stale (H6)")                                  \
	F(T, BOOL, split, 0, "no", "", "DRBD refused to connect: both sides wrote while apart")                          \
	F(T, INT, gen, 0, INT64_MAX, 0, "0", "", "generation the node knew before it looked (H1)")                       \
	F(T, INT, apart_since_ms, 0, INT64_MAX, 0, NULL, "", "not connected since then, by the node's own clock (boot_ms)") \
	F(T, INT, out_of_sync_kib, 0, INT64_MAX, 0, "0", "", "bytes to resync, KiB")                                     \
	F(T, INT, done_permille, 0, 1000, 0, "1000", "", "progress of a resync")
SCHEMA_DECLARE(obs_drbd, OBS_DRBD_ROWS)

#define OBS_POOL_ROWS(F, T)                                                                                              \
	F(T, STR, name, NAME_LEN, FIELD_REQUIRED, NULL, "", "volume group or directory")                                 \
	F(T, INT, size_mib, 0, INT64_MAX, 0, "0", "", "size")                                                            \
	F(T, INT, free_mib, 0, INT64_MAX, 0, "0", "", "free")
SCHEMA_DECLARE(obs_pool, OBS_POOL_ROWS)

/* A snapshot of a loser's volume, as its name tells it (storage/tail.h). */
#define OBS_TAIL_ROWS(F, T)                                                                                              \
	F(T, STR, instance, UUID_LEN, FIELD_REQUIRED, NULL, "", "instance")                                              \
	F(T, STR, disk, UUID_LEN, FIELD_REQUIRED, NULL, "", "disk")                                                      \
	F(T, INT, index, 0, DISKS_MAX - 1, 0, "0", "", "its number")                                                     \
	F(T, INT, gen, 0, INT64_MAX, 0, "0", "", "generation at which the node lost")                                    \
	F(T, INT, kept_s, 0, INT64_MAX, 0, "0", "", "the node's wall clock when it was kept")                            \
	F(T, STR, pool, NAME_LEN, FIELD_REQUIRED, NULL, "", "volume group")                                              \
	F(T, STR, volume, VOLUME_LEN, FIELD_REQUIRED, NULL, "", "snapshot")                                              \
	F(T, SIZE, size, 0, INT64_C(1) << 36, 0, "0", "", "of the disk")
SCHEMA_DECLARE(obs_tail, OBS_TAIL_ROWS)

#define OBSERVED_ROWS(F, T)                                                                                              \
	F(T, STR, boot_id, UUID_LEN, 0, NULL, "", "of the node")                                                         \
	F(T, STR, version, 31, 0, NULL, "", "gantry's")                                                                  \
	F(T, INT, cert_expires_s, 0, INT64_MAX, 0, "0", "", "wall clock: end of the certificate it uses")                \
	F(T, INT, cert_due_s, 0, INT64_MAX, 0, "0", "", "wall clock: when that is to be renewed")                        \
	F(T, INT, wall_ms, 0, INT64_MAX, 0, "0", "", "the node's wall clock when it looked")                             \
	F(T, INT, boot_ms, 0, INT64_MAX, 0, "0", "", "the node's boot-time clock when it told")                          \
	F(T, STR, watchdog, 15, 0, NULL, "", "off, armed, starved, drill; empty = gantry-fenced does not answer")               \
	F(T, INT, watchdog_ms, 0, INT64_MAX, 0, NULL, "", "its time-out while it is armed")                              \
	F(T, TEXT, watchdog_problem, 255, 0, NULL, "", "why it cannot be armed")                                         \
	F(T, INT, watchdog_proven_ms, 0, INT64_MAX, 0, "0", "", "wall clock: a drill, and the next boot found it undone by nobody") \
	F(T, INT, memory_total_mib, 0, INT64_MAX, 0, "0", "", "of the host")                                             \
	F(T, INT, memory_free_mib, 0, INT64_MAX, 0, "0", "", "of the host")                                              \
	F(T, INT, cpus, 0, 65536, 0, "0", "", "of the host")                                                             \
	F(T, STR, hypervisor, 63, 0, NULL, "", "version text; empty = it does not answer")                               \
	F(T, TEXT, host_cpu_xml, 16384, 0, NULL, "", "for the cluster's CPU baseline")                                   \
	F(T, LIST, guests, obs_guest, INSTANCES_MAX, 0, "", "domains")                                                   \
	F(T, LIST, drbd, obs_drbd, DRBD_MINORS_MAX, 0, "", "resources")                                                  \
	F(T, LIST, pools, obs_pool, 64, 0, "", "volume groups")                                                          \
	F(T, BOOL, file_storage, 0, "no", "", "file disks can be made there")                                            \
	F(T, STRS, bridges, 64, 0, "", "bridges")                                                                        \
	F(T, STRS, volumes, 4096, 0, "", "uuids that volumes on the node are tagged with")                               \
	F(T, LIST, tails, obs_tail, 1024, 0, "", "what was kept of replicas that lost")                                  \
	F(T, STRS, problems, 64, 0, "", "what the node itself finds wrong, one sentence each")
SCHEMA_DECLARE(observed, OBSERVED_ROWS)

#endif
