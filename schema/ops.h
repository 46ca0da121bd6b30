/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests: everything a client can ask. OPS has a row each; arguments are row lists like any object.
 *
 *   OP(id, group, verb, kind, lock, acl, danger, args tag, summary)
 *   id      on the wire and in the log; never reused
 *   kind    QUERY answered at once from memory; JOB planned, queued, journalled; QUICK one transaction, no job;
 *           LOCAL done by the local gantry-noded (no master needed); CLIENT done by gnt itself with other requests
 *   lock    what a job holds alone: NONE, INSTANCE (the one it names), NODE, CLUSTER
 *   acl     READ or ADMIN: from which socket it is taken
 *   danger  SAFE, or ASK: gnt asks first unless --yes
 */
#ifndef SCHEMA_OPS_H
#define SCHEMA_OPS_H

#include "schema/objects.h"

enum op_kind { OP_QUERY, OP_JOB, OP_QUICK, OP_LOCAL, OP_CLIENT };
enum op_lock { OP_LOCK_NONE, OP_LOCK_INSTANCE, OP_LOCK_NODE, OP_LOCK_CLUSTER };
enum op_acl { OP_READ, OP_ADMIN };
enum op_danger { OP_SAFE, OP_ASK };

/* clang-format off */
#define OPS(OP)                                                                                                           \
	OP(1,  cluster, init,             LOCAL, NONE,     ADMIN, SAFE, op_cluster_init,     "make a new cluster with this machine as its first node") \
	OP(2,  cluster, info,             QUERY, NONE,     READ,  SAFE, op_none,             "show the cluster's settings, master and voters") \
	OP(3,  cluster, verify,           QUERY, NONE,     READ,  SAFE, op_none,             "compare what is wanted with what is so, on every node") \
	OP(4,  cluster, getmaster,        QUERY, NONE,     READ,  SAFE, op_none,             "print the master's name") \
	OP(5,  cluster, master_failover,  LOCAL, NONE,     ADMIN, ASK,  op_none,             "make this node the master") \
	OP(6,  cluster, modify,           JOB,   CLUSTER,  ADMIN, SAFE, op_cluster_modify,   "change the cluster's settings") \
	OP(7,  cluster, renew_crypto,     JOB,   CLUSTER,  ADMIN, ASK,  op_renew_crypto,     "give every node a new certificate") \
	OP(8,  cluster, backup,           CLIENT, NONE,    ADMIN, SAFE, op_cluster_backup,   "write the whole configuration to a file, or print it") \
	OP(9,  cluster, restore,          LOCAL, NONE,     ADMIN, ASK,  op_cluster_restore,  "make a new cluster from a backup's configuration") \
	OP(10, cluster, destroy,          LOCAL, NONE,     ADMIN, ASK,  op_cluster_destroy,  "end the cluster on its last node") \
	OP(11, cluster, status,           LOCAL, NONE,     READ,  SAFE, op_none,             "what this node's own daemon knows, without the master") \
	OP(12, cluster, hand_over,        QUICK, NONE,     ADMIN, SAFE, op_node_name,        "give the mastership to another candidate (internal)") \
	OP(13, cluster, ha_report,        QUERY, NONE,     READ,  SAFE, op_ha_report,        "what would happen to which guest if a node died now") \
	OP(14, cluster, export,           QUERY, NONE,     ADMIN, SAFE, op_cluster_export,   "a page of the configuration, for backups (internal)") \
	OP(15, cluster, recover,          LOCAL, NONE,     ADMIN, ASK,  op_cluster_recover,  "go on alone from this node's copy, when the other voters are lost for good") \
	OP(16, cluster, verify_disks,     JOB,   NONE,     ADMIN, SAFE, op_none,             "bring up what is down of running guests' disks, and connect their mirrors") \
	OP(20, node, prepare,             LOCAL, NONE,     ADMIN, SAFE, op_node_prepare,     "make this machine ready to be a node (shows the plan; --yes does it)") \
	OP(21, node, token,               QUICK, NONE,     ADMIN, SAFE, op_node_token,       "print a one-time token with which a machine joins") \
	OP(22, node, add,                 CLIENT, NONE,    ADMIN, SAFE, op_node_add,         "add a machine: token, and join over ssh") \
	OP(23, node, join,                LOCAL, NONE,     ADMIN, SAFE, op_node_join,        "join the cluster that the token is from (on the new machine)") \
	OP(24, node, list,                QUERY, NONE,     READ,  SAFE, op_list,             "list the nodes") \
	OP(25, node, info,                QUERY, NONE,     READ,  SAFE, op_node_info,        "show nodes") \
	OP(26, node, modify,              JOB,   NODE,     ADMIN, SAFE, op_node_modify,      "change a node: drained, offline, master candidate, fence agents") \
	OP(27, node, migrate,             JOB,   NONE,     ADMIN, ASK,  op_node_name,        "migrate every guest that runs on the node to its mirror") \
	OP(28, node, failover,            JOB,   NONE,     ADMIN, ASK,  op_node_failover,    "fail over every instance of the node to its mirror") \
	OP(29, node, evacuate,            JOB,   NONE,     ADMIN, ASK,  op_node_evacuate,    "move the node's mirrors (and primaries) to other nodes") \
	OP(30, node, remove,              JOB,   CLUSTER,  ADMIN, ASK,  op_node_name,        "take a node out of the cluster") \
	OP(31, node, fence,               JOB,   NODE,     ADMIN, ASK,  op_node_fence,       "switch a node off by its fence agents, or record that it is off: evidence for failovers") \
	OP(32, node, admit,               JOB,   CLUSTER,  ADMIN, SAFE, op_node_admit,       "record a node that redeemed a token (internal)") \
	OP(33, node, promote,             JOB,   CLUSTER,  ADMIN, SAFE, op_node_promote,     "make master candidates voters, two at a time (internal)") \
	OP(35, node, maintenance,         JOB,   NODE,     ADMIN, SAFE, op_node_maintenance, "on: move every guest off a node by live migration; off: bring them back") \
	OP(34, cluster, arbitrate,        JOB,   CLUSTER,  ADMIN, SAFE, op_cluster_arbitrate, "turn disk arbitration on or off everywhere (internal)") \
	OP(36, node, cleanse,             JOB,   NODE,     ADMIN, SAFE, op_node_name,        "stop what is left of a dead cluster's voter (internal)") \
	OP(37, node, leave,               LOCAL, NONE,     ADMIN, ASK,  op_none,             "on a machine whose cluster removed it while it was away: forget that cluster") \
	OP(40, instance, add,             JOB,   INSTANCE, ADMIN, SAFE, op_instance_add,     "create an instance") \
	OP(41, instance, list,            QUERY, NONE,     READ,  SAFE, op_list,             "list the instances") \
	OP(42, instance, info,            QUERY, NONE,     READ,  SAFE, op_instance_info,    "show instances") \
	OP(43, instance, startup,         JOB,   INSTANCE, ADMIN, SAFE, op_instance_startup, "start a guest") \
	OP(44, instance, shutdown,        JOB,   INSTANCE, ADMIN, SAFE, op_instance_shutdown, "shut a guest down") \
	OP(45, instance, reboot,          JOB,   INSTANCE, ADMIN, SAFE, op_instance_reboot,  "reboot a guest") \
	OP(46, instance, console,         CLIENT, NONE,    ADMIN, SAFE, op_instance_console, "open the guest's console") \
	OP(47, instance, remove,          JOB,   INSTANCE, ADMIN, ASK,  op_instance_remove,  "remove an instance and its disks") \
	OP(48, instance, modify,          JOB,   INSTANCE, ADMIN, SAFE, op_instance_modify,  "change an instance's parameters") \
	OP(49, instance, migrate,         JOB,   INSTANCE, ADMIN, SAFE, op_instance_migrate, "move a running guest to its mirror without stopping it") \
	OP(50, instance, failover,        JOB,   INSTANCE, ADMIN, ASK,  op_instance_failover, "stop a guest and start it on its mirror") \
	OP(51, instance, replace_disks,   JOB,   INSTANCE, ADMIN, SAFE, op_replace_disks,    "rebuild a mirror, on the same or on another node") \
	OP(52, instance, activate_disks,  JOB,   INSTANCE, ADMIN, SAFE, op_instance_name,    "bring an instance's disks up") \
	OP(53, instance, deactivate_disks, JOB,  INSTANCE, ADMIN, SAFE, op_instance_name,    "take an instance's disks down") \
	OP(54, instance, console_info,    QUERY, NONE,     ADMIN, SAFE, op_instance_name,    "where a guest's console is (internal)") \
	OP(55, instance, converge,        JOB,   INSTANCE, ADMIN, SAFE, op_instance_name,    "bring an instance to what is wanted of it (internal: the reconciler)") \
	OP(56, instance, confirm,         JOB,   INSTANCE, ADMIN, ASK,  op_instance_confirm, "after a restore: say which node has the truth of an instance") \
	OP(57, instance, grow_disk,       JOB,   INSTANCE, ADMIN, SAFE, op_grow_disk,        "make a disk larger, while the guest runs") \
	OP(58, instance, rename,          JOB,   INSTANCE, ADMIN, SAFE, op_instance_rename,  "give an instance that is down another name") \
	OP(70, disk, tails,               CLIENT, NONE,    READ,  ASK,  op_disk_tails,       "list what was kept of replicas that lost (--remove: remove it)") \
	OP(71, disk, list_tails,          QUERY, NONE,     READ,  SAFE, op_list,             "what was kept, or waits to be kept (internal)") \
	OP(72, disk, remove_tail,         JOB,   INSTANCE, ADMIN, SAFE, op_disk_remove_tail, "remove what was kept, or give up what waits to be kept (internal)") \
	OP(60, job, list,                 QUERY, NONE,     READ,  SAFE, op_job_list,         "list the jobs") \
	OP(61, job, info,                 QUERY, NONE,     READ,  SAFE, op_job_id,           "show a job, its plan and its steps") \
	OP(62, job, watch,                CLIENT, NONE,    READ,  SAFE, op_job_id,           "follow a job's progress until it ends") \
	OP(63, job, wait,                 QUERY, NONE,     READ,  SAFE, op_job_wait,         "wait until a job has ended") \
	OP(64, job, cancel,               QUICK, NONE,     ADMIN, SAFE, op_job_id,           "cancel a job: it is undone where it can be") \
	OP(65, job, archive,              QUICK, NONE,     ADMIN, SAFE, op_job_id,           "remove an ended job from the list") \
	OP(80, debug, noop,               JOB,   NONE,     ADMIN, SAFE, op_debug_noop,       "run a job that does nothing") \
	OP(81, event, list,               QUERY, NONE,     READ,  SAFE, op_list,             "list what happened: verdicts, failovers, node losses")
/* clang-format on */

enum op_index {
#define OP(id, group, verb, ...) OP_##group##_##verb,
	OPS(OP)
#undef OP
	OP_COUNT
};

struct op_info {
	int id;
	const char *group, *verb; /* verb with '_' for '-' */
	const char *name;         /* "instance.add" */
	enum op_kind kind;
	enum op_lock lock;
	enum op_acl acl;
	enum op_danger danger;
	const struct schema *args;
	const char *summary;
};
extern const struct op_info op_infos[OP_COUNT];
int op_by_name(const char *name);                           /* "instance.add"; -1 = none */
int op_by_words(const char *group, const char *verb);       /* '-' and '_' are the same; -1 = none */

/* ---- arguments ------------------------------------------------------------------------------- */

#define OP_NONE_ROWS(F, T) F(T, STR, note, 63, FIELD_HIDDEN, NULL, "", "unused")
SCHEMA_DECLARE(op_none, OP_NONE_ROWS)

#define OP_LIST_ROWS(F, T)                                                                                               \
	F(T, STRS, names, 1000, FIELD_REST, "@", "only these")                                                           \
	F(T, STRS, fields, 64, FIELD_HIDDEN, "", "only these fields of each; none = the usual ones")
SCHEMA_DECLARE(op_list, OP_LIST_ROWS)

#define OP_CLUSTER_INIT_ROWS(F, T)                                                                                       \
	F(T, STR, name, NAME_LEN, FIELD_REQUIRED, NULL, "@", "name of the cluster; should resolve to its address")       \
	F(T, STR, ip, ADDR_LEN, 0, NULL, "", "cluster address, if the name does not resolve; none = no cluster address")  \
	F(T, STR, master_netdev, NAME_LEN, 0, NULL, "", "interface for the cluster address (default: that of the node's address)") \
	F(T, STR, vg_name, NAME_LEN, 0, "xenvg", "", "volume group for disks; empty = no LVM")                           \
	F(T, STR, secondary_ip, ADDR_LEN, 0, NULL, "-s", "this node's address for DRBD and migration (default: primary)") \
	F(T, STR, address, ADDR_LEN, 0, NULL, "", "this node's primary address (default: what its name resolves to)")     \
	F(T, STR, bridge, NAME_LEN, 0, "br0", "", "bridge that network cards join")                                      \
	F(T, STR, mac_prefix, 8, 0, "aa:00:00", "-m", "first three bytes of made hardware addresses")                    \
	F(T, INT, lease, 2, 600, 0, "12", "", "ha.lease in seconds: all times of liveness derive from it")               \
	F(T, INT, cert_life, 60, 3153600000, 0, "63072000", "", "seconds that a node's certificate is good (renewed by itself)") \
	F(T, OBJ, be, beparams, 0, "-B", "defaults for instances: memory=,vcpus=,...")                                   \
	F(T, OBJ, hv, hvparams, 0, "-H", "defaults for instances: kernel_path=,...")                                     \
	F(T, BOOL, dry_run, 0, NULL, "", "only check what it would need, and say all that is missing; change nothing")
SCHEMA_DECLARE(op_cluster_init, OP_CLUSTER_INIT_ROWS)

#define OP_CLUSTER_MODIFY_ROWS(F, T)                                                                                     \
	F(T, OBJ, be, beparams, 0, "-B", "defaults for instances; KEY=default: gantry's own again")                      \
	F(T, OBJ, hv, hvparams, 0, "-H", "defaults for instances; KEY=default: gantry's own again")                      \
	F(T, STRS, reset, 64, FIELD_HIDDEN, "", "parameters to take back: be.KEY, hv.KEY")                               \
	F(T, STR, bridge, NAME_LEN, 0, NULL, "", "bridge that new network cards join")                                   \
	F(T, STR, vg_name, NAME_LEN, 0, NULL, "", "volume group for new disks")                                          \
	F(T, INT, lease, 2, 600, 0, NULL, "", "ha.lease in seconds")                                                     \
	F(T, INT, cert_life, 60, 3153600000, 0, NULL, "", "seconds that a node's next certificate is good")              \
	F(T, INT, candidate_pool_size, 1, VOTERS_MAX, 0, NULL, "-C", "master candidates at most")                        \
	F(T, INT, resync_rate, 0, 100000, 0, NULL, "", "MiB/s of a resync, 0 = DRBD decides")                            \
	F(T, BOOL, arbitration, 0, NULL, "", "verdicts decide (needs three voters)")                                     \
	F(T, BOOL, auto_rejoin, 0, NULL, "", "nodes that were lost take part again by themselves; no: they wait, offline, for 'gnt node modify -O no'") \
	F(T, INT, tail_keep, 60, 31536000, 0, NULL, "", "seconds for which a loser's tail is kept")                      \
	F(T, ENUM, front_lost, front_lost_names, 0, NULL, "", "guests with ha=failover on a node without its primary network")
SCHEMA_DECLARE(op_cluster_modify, OP_CLUSTER_MODIFY_ROWS)

#define OP_RENEW_CRYPTO_ROWS(F, T) F(T, BOOL, force, 0, "no", "-f", "also certificates that are still good for long")
SCHEMA_DECLARE(op_renew_crypto, OP_RENEW_CRYPTO_ROWS)

#define OP_CLUSTER_BACKUP_ROWS(F, T)                                                                                     \
	F(T, STR, file, PATH_LEN, 0, NULL, "@", "file to write, for root's eyes only (default: print it)")               \
	F(T, BOOL, secrets, 0, "no", "", "with the CA's key and the disks' secrets: needed to restore, to be kept safe")
SCHEMA_DECLARE(op_cluster_backup, OP_CLUSTER_BACKUP_ROWS)
#define OP_CLUSTER_EXPORT_ROWS(F, T)                                                                                     \
	F(T, BOOL, secrets, 0, "no", "", "with secrets")                                                                 \
	F(T, INT, from, 0, INSTANCES_MAX, 0, "0", "", "instance to begin with")
SCHEMA_DECLARE(op_cluster_export, OP_CLUSTER_EXPORT_ROWS)

#define OP_CLUSTER_RESTORE_ROWS(F, T) F(T, STR, file, PATH_LEN, FIELD_REQUIRED, NULL, "@", "file that 'gnt cluster backup --secrets FILE' wrote")
SCHEMA_DECLARE(op_cluster_restore, OP_CLUSTER_RESTORE_ROWS)

#define OP_CLUSTER_RECOVER_ROWS(F, T) F(T, TEXT, reason, TEXT_MAX, 0, NULL, "", "how you know that the others are off")
SCHEMA_DECLARE(op_cluster_recover, OP_CLUSTER_RECOVER_ROWS)

#define OP_CLUSTER_DESTROY_ROWS(F, T) F(T, BOOL, yes_do_it, 0, "no", "", "really")
SCHEMA_DECLARE(op_cluster_destroy, OP_CLUSTER_DESTROY_ROWS)

#define OP_NODE_NAME_ROWS(F, T) F(T, STR, name, NAME_LEN, FIELD_REQUIRED, NULL, "@", "node")
SCHEMA_DECLARE(op_node_name, OP_NODE_NAME_ROWS)

#define OP_NODE_PREPARE_ROWS(F, T)                                                                                       \
	F(T, STR, disk, PATH_LEN, 0, NULL, "", "empty disk for the volume group")                                        \
	F(T, STR, vg_name, NAME_LEN, 0, "xenvg", "", "volume group to make on it")                                       \
	F(T, STR, bridge, 2 * NAME_LEN, 0, NULL, "", "bridge=interface: bridge to make over an interface")               \
	F(T, BOOL, witness, 0, "no", "", "the machine will only vote: no disk, bridge, DRBD or libvirt is needed")         \
	F(T, BOOL, yes, 0, "no", "-y", "do it (without, only shows what would be done)")
SCHEMA_DECLARE(op_node_prepare, OP_NODE_PREPARE_ROWS)

#define OP_NODE_TOKEN_ROWS(F, T)                                                                                         \
	F(T, STR, name, NAME_LEN, 0, NULL, "@", "node that may use it (default: any)")                                   \
	F(T, BOOL, witness, 0, "no", "", "for a witness: votes, runs no guests")                                         \
	F(T, INT, valid, 60, 86400, 0, "3600", "", "seconds until it expires")
SCHEMA_DECLARE(op_node_token, OP_NODE_TOKEN_ROWS)

#define OP_NODE_ADD_ROWS(F, T)                                                                                           \
	F(T, STR, name, NAME_LEN, FIELD_REQUIRED, NULL, "@", "machine, reachable by ssh as root")                        \
	F(T, STR, secondary_ip, ADDR_LEN, 0, NULL, "-s", "its address for DRBD and migration (default: primary)")        \
	F(T, BOOL, witness, 0, "no", "", "votes, runs no guests")
SCHEMA_DECLARE(op_node_add, OP_NODE_ADD_ROWS)

#define OP_NODE_JOIN_ROWS(F, T)                                                                                          \
	F(T, STR, token, 512, FIELD_REQUIRED | FIELD_SECRET, NULL, "@", "what 'gnt node token' printed")                 \
	F(T, STR, secondary_ip, ADDR_LEN, 0, NULL, "-s", "this machine's address for DRBD and migration")                \
	F(T, STR, address, ADDR_LEN, 0, NULL, "", "this machine's primary address (default: what its name resolves to)") \
	F(T, BOOL, witness, 0, "no", "", "votes, runs no guests: the token must be for a witness, too")
SCHEMA_DECLARE(op_node_join, OP_NODE_JOIN_ROWS)

/* What a joining node says of itself; sent over its link, not by people. */
#define OP_NODE_ADMIT_ROWS(F, T)                                                                                         \
	F(T, STR, token_id, 16, FIELD_REQUIRED | FIELD_HIDDEN, NULL, "", "token")                                        \
	F(T, STR, uuid, UUID_LEN, FIELD_REQUIRED | FIELD_HIDDEN, NULL, "", "identity it was given")                      \
	F(T, STR, name, NAME_LEN, FIELD_REQUIRED, NULL, "@", "uname -n")                                                 \
	F(T, STR, address, ADDR_LEN, FIELD_REQUIRED, NULL, "", "primary address")                                        \
	F(T, STR, replication_address, ADDR_LEN, FIELD_REQUIRED, NULL, "", "replication address")                        \
	F(T, BOOL, witness, 0, "no", "", "votes only")                                                                   \
	F(T, STR, version, 31, 0, NULL, "", "gantry's version there")                                                    \
	F(T, INT, clock_skew_ms, INT64_MIN + 2, INT64_MAX, 0, "0", "", "its clock less the master's, when it asked")    \
	F(T, INT, cert_expires_s, 0, INT64_MAX, 0, "0", "", "end of its certificate")
SCHEMA_DECLARE(op_node_admit, OP_NODE_ADMIT_ROWS)

#define OP_NODE_PROMOTE_ROWS(F, T) F(T, STRS, names, VOTERS_MAX, 0, "@", "nodes")
SCHEMA_DECLARE(op_node_promote, OP_NODE_PROMOTE_ROWS)
#define OP_CLUSTER_ARBITRATE_ROWS(F, T) F(T, BOOL, on, FIELD_REQUIRED, NULL, "", "on or off")
SCHEMA_DECLARE(op_cluster_arbitrate, OP_CLUSTER_ARBITRATE_ROWS)

#define OP_NODE_MODIFY_ROWS(F, T)                                                                                        \
	F(T, STR, name, NAME_LEN, FIELD_REQUIRED, NULL, "@", "node")                                                     \
	F(T, BOOL, drained, 0, NULL, "-D", "gets no new instances")                                                      \
	F(T, BOOL, offline, 0, NULL, "-O", "is not talked to")                                                           \
	F(T, BOOL, master_candidate, 0, NULL, "-C", "runs gantry-masterd and etcd")                                      \
	F(T, BOOL, master_capable, 0, NULL, "", "may become a master candidate")                                         \
	F(T, BOOL, auto_rejoin, 0, NULL, "", "after a loss it takes part again by itself; no: it waits, offline, for '-O no'") \
	F(T, STR, secondary_ip, ADDR_LEN, 0, NULL, "-s", "refused: the replication address is given when a node joins")      \
	F(T, TEXT, fence, TEXT_MAX, FIELD_SECRET, NULL, "", "power fencing: 'agent=fence_ipmilan,ip=...,username=...,password=...'; several with ';' between, in order; none")
SCHEMA_DECLARE(op_node_modify, OP_NODE_MODIFY_ROWS)

#define OP_NODE_INFO_ROWS(F, T) F(T, STRS, names, NODES_MAX, FIELD_REST, "@", "nodes (default: all)")
SCHEMA_DECLARE(op_node_info, OP_NODE_INFO_ROWS)

#define OP_NODE_FAILOVER_ROWS(F, T)                                                                                      \
	F(T, STR, name, NAME_LEN, FIELD_REQUIRED, NULL, "@", "node")                                                     \
	F(T, BOOL, ignore_consistency, 0, "no", "", "also onto stale mirrors: acknowledged writes are lost")
SCHEMA_DECLARE(op_node_failover, OP_NODE_FAILOVER_ROWS)

#define OP_NODE_EVACUATE_ROWS(F, T)                                                                                      \
	F(T, STR, name, NAME_LEN, FIELD_REQUIRED, NULL, "@", "node")                                                     \
	F(T, STR, new_secondary, NAME_LEN, 0, NULL, "-n", "node for the mirrors (default: placed by the master)")        \
	F(T, BOOL, primary_only, 0, "no", "-p", "only move guests off it")                                               \
	F(T, BOOL, secondary_only, 0, "no", "-s", "only move mirrors off it")
SCHEMA_DECLARE(op_node_evacuate, OP_NODE_EVACUATE_ROWS)

#define OP_NODE_FENCE_ROWS(F, T)                                                                                         \
	F(T, STR, name, NAME_LEN, FIELD_REQUIRED, NULL, "@", "node")                                                     \
	F(T, BOOL, confirmed_off, 0, "no", "", "I have made sure that this machine is off")                              \
	F(T, BOOL, test, 0, "no", "", "fire drill: all its fence agents must answer and read the power as on")            \
	F(T, BOOL, yes_power_cycle, 0, "no", "", "... and switch it off, read that back, and on again (no guest may be there)") \
	F(T, BOOL, watchdog, 0, "no", "", "the drill is its watchdog's: it is not fed, and has to reset the node")        \
	F(T, TEXT, reason, TEXT_MAX, 0, NULL, "", "how you know")
SCHEMA_DECLARE(op_node_fence, OP_NODE_FENCE_ROWS)

#define OP_NODE_MAINTENANCE_ROWS(F, T)                                                                                   \
	F(T, STR, name, NAME_LEN, FIELD_REQUIRED, NULL, "@", "node")                                                     \
	F(T, BOOL, on, FIELD_REQUIRED, NULL, "@", "on or off")
SCHEMA_DECLARE(op_node_maintenance, OP_NODE_MAINTENANCE_ROWS)
#define OP_HA_REPORT_ROWS(F, T) F(T, STR, node, NAME_LEN, 0, NULL, "", "only for this node")
SCHEMA_DECLARE(op_ha_report, OP_HA_REPORT_ROWS)

#define OP_INSTANCE_ADD_ROWS(F, T)                                                                                       \
	F(T, STR, name, NAME_LEN, FIELD_REQUIRED, NULL, "@", "name")                                                     \
	F(T, ENUM, disk_template, template_names, 0, "drbd", "-t", "drbd, plain, file or diskless")                      \
	F(T, STR, node, 2 * NAME_LEN + 1, 0, NULL, "-n", "primary, or primary:secondary (default: placed by the master)") \
	F(T, LIST, disk, disk, DISKS_MAX, 0, "", "disk N: size=,vg=,name=")                                              \
	F(T, LIST, net, nic, NICS_MAX, 0, "", "network card N: mac=,link=,ip=,name=")                                    \
	F(T, BOOL, no_nics, 0, "no", "", "no network card (default: one)")                                               \
	F(T, OBJ, be, beparams, 0, "-B", "memory=,vcpus=,ha=,...")                                                       \
	F(T, OBJ, hv, hvparams, 0, "-H", "kernel_path=,boot_order=,...")                                                 \
	F(T, STR, image, NAME_LEN, 0, NULL, "", "image from the node's image directory for disk 0")                      \
	F(T, BOOL, no_install, 0, "no", "", "leave the disks empty")                                                     \
	F(T, BOOL, no_start, 0, "no", "", "do not start it")                                                             \
	F(T, BOOL, no_wait_for_sync, 0, "no", "", "as in Ganeti; there is no first sync to wait for")
SCHEMA_DECLARE(op_instance_add, OP_INSTANCE_ADD_ROWS)

#define OP_INSTANCE_NAME_ROWS(F, T) F(T, STR, name, NAME_LEN, FIELD_REQUIRED, NULL, "@", "instance")
SCHEMA_DECLARE(op_instance_name, OP_INSTANCE_NAME_ROWS)

#define OP_INSTANCE_CONFIRM_ROWS(F, T)                                                                                   \
	F(T, STR, name, NAME_LEN, FIELD_REQUIRED, NULL, "@", "instance")                                                 \
	F(T, STR, node, NAME_LEN, FIELD_REQUIRED, NULL, "-n", "node whose replica holds every acknowledged write")
SCHEMA_DECLARE(op_instance_confirm, OP_INSTANCE_CONFIRM_ROWS)

#define OP_INSTANCE_INFO_ROWS(F, T) F(T, STRS, names, 1000, FIELD_REST, "@", "instances (default: all)")
SCHEMA_DECLARE(op_instance_info, OP_INSTANCE_INFO_ROWS)

#define OP_INSTANCE_STARTUP_ROWS(F, T)                                                                                   \
	F(T, STR, name, NAME_LEN, FIELD_REQUIRED, NULL, "@", "instance")                                                 \
	F(T, BOOL, force, 0, "no", "-f", "start although the mirror cannot be reached")
SCHEMA_DECLARE(op_instance_startup, OP_INSTANCE_STARTUP_ROWS)

#define OP_INSTANCE_SHUTDOWN_ROWS(F, T)                                                                                  \
	F(T, STR, name, NAME_LEN, FIELD_REQUIRED, NULL, "@", "instance")                                                 \
	F(T, INT, timeout, 0, 3600, 0, NULL, "", "seconds the guest gets (default: its shutdown_timeout; 0 = none)")     \
	F(T, BOOL, force, 0, "no", "", "do not ask the guest, end it")
SCHEMA_DECLARE(op_instance_shutdown, OP_INSTANCE_SHUTDOWN_ROWS)

#define OP_INSTANCE_REBOOT_ROWS(F, T)                                                                                    \
	F(T, STR, name, NAME_LEN, FIELD_REQUIRED, NULL, "@", "instance")                                                 \
	F(T, ENUM, type, reboot_type_names, 0, "hard", "-t", "soft (reset), hard (new process), full (disks down and up)") \
	F(T, INT, shutdown_timeout, 0, 3600, 0, NULL, "", "seconds the guest gets")
SCHEMA_DECLARE(op_instance_reboot, OP_INSTANCE_REBOOT_ROWS)

#define OP_INSTANCE_CONSOLE_ROWS(F, T)                                                                                   \
	F(T, STR, name, NAME_LEN, FIELD_REQUIRED, NULL, "@", "instance")                                                 \
	F(T, BOOL, show_cmd, 0, "no", "", "print the command instead of running it")
SCHEMA_DECLARE(op_instance_console, OP_INSTANCE_CONSOLE_ROWS)

#define OP_INSTANCE_REMOVE_ROWS(F, T)                                                                                    \
	F(T, STR, name, NAME_LEN, FIELD_REQUIRED, NULL, "@", "instance")                                                 \
	F(T, INT, shutdown_timeout, 0, 3600, 0, NULL, "", "seconds the guest gets")                                      \
	F(T, BOOL, ignore_failures, 0, "no", "", "also when a node with a replica does not answer")
SCHEMA_DECLARE(op_instance_remove, OP_INSTANCE_REMOVE_ROWS)

#define OP_INSTANCE_MODIFY_ROWS(F, T)                                                                                    \
	F(T, STR, name, NAME_LEN, FIELD_REQUIRED, NULL, "@", "instance")                                                 \
	F(T, OBJ, be, beparams, 0, "-B", "memory=,vcpus=,...: used from the next start; KEY=default: the cluster's again") \
	F(T, OBJ, hv, hvparams, 0, "-H", "kernel_path=,...: used from the next start; KEY=default: the cluster's again") \
	F(T, STRS, reset, 64, FIELD_HIDDEN, "", "parameters to take back: be.KEY, hv.KEY")
SCHEMA_DECLARE(op_instance_modify, OP_INSTANCE_MODIFY_ROWS)

#define OP_INSTANCE_RENAME_ROWS(F, T)                                                                                    \
	F(T, STR, name, NAME_LEN, FIELD_REQUIRED, NULL, "@", "instance")                                                 \
	F(T, STR, new_name, NAME_LEN, FIELD_REQUIRED | FIELD_SINCE(2), NULL, "@", "its name from now on")
SCHEMA_DECLARE(op_instance_rename, OP_INSTANCE_RENAME_ROWS)

#define OP_INSTANCE_MIGRATE_ROWS(F, T)                                                                                   \
	F(T, STR, name, NAME_LEN, FIELD_REQUIRED, NULL, "@", "instance")                                                 \
	F(T, BOOL, cleanup, 0, "no", "", "look at both nodes and tidy up after a migration")                             \
	F(T, STR, from, NAME_LEN, FIELD_HIDDEN, NULL, "", "only if it runs on this node")                                \
	F(T, BOOL, non_live, 0, "no", "", "let the guest stand still while its memory is sent")
SCHEMA_DECLARE(op_instance_migrate, OP_INSTANCE_MIGRATE_ROWS)

#define OP_INSTANCE_FAILOVER_ROWS(F, T)                                                                                  \
	F(T, STR, name, NAME_LEN, FIELD_REQUIRED, NULL, "@", "instance")                                                 \
	F(T, STR, from, NAME_LEN, FIELD_HIDDEN, NULL, "", "only if it belongs on this node")                             \
	F(T, BOOL, ignore_consistency, 0, "no", "", "also onto a stale mirror: acknowledged writes are lost")            \
	F(T, INT, shutdown_timeout, 0, 3600, 0, NULL, "", "seconds the guest gets")
SCHEMA_DECLARE(op_instance_failover, OP_INSTANCE_FAILOVER_ROWS)

#define OP_REPLACE_DISKS_ROWS(F, T)                                                                                      \
	F(T, STR, name, NAME_LEN, FIELD_REQUIRED, NULL, "@", "instance")                                                 \
	F(T, STR, new_secondary, NAME_LEN, 0, NULL, "-n", "node that becomes the mirror (auto: placed by the master)")   \
	F(T, STR, from, NAME_LEN, FIELD_HIDDEN, NULL, "", "only if the mirror is on this node")                          \
	F(T, BOOL, on_primary, 0, "no", "-p", "rebuild the replica on the primary node: its guest goes to the mirror and comes back")                                 \
	F(T, BOOL, on_secondary, 0, "no", "-s", "rebuild the replica on the secondary node")                              \
	F(T, BOOL, restart, 0, "no", "", "with -p: a guest whose own disk is dead may be restarted on the mirror")
SCHEMA_DECLARE(op_replace_disks, OP_REPLACE_DISKS_ROWS)

#define OP_GROW_DISK_ROWS(F, T)                                                                                          \
	F(T, STR, name, NAME_LEN, FIELD_REQUIRED, NULL, "@", "instance")                                                 \
	F(T, INT, disk, 0, DISKS_MAX - 1, FIELD_REQUIRED, NULL, "@", "number of the disk")                               \
	F(T, SIZE, amount, 1, INT64_C(1) << 36, FIELD_REQUIRED | FIELD_SINCE(2), NULL, "@", "by how much it grows")      \
	F(T, BOOL, absolute, 0, "no", "", "the amount is its new size")                                                  \
	F(T, BOOL, no_wait_for_sync, 0, "no", "", "as in Ganeti; there is nothing to wait for")
SCHEMA_DECLARE(op_grow_disk, OP_GROW_DISK_ROWS)

#define OP_DISK_TAILS_ROWS(F, T)                                                                                         \
	F(T, STRS, names, 1000, FIELD_REST, "@", "only of these instances")                                              \
	F(T, BOOL, remove, 0, "no", "", "remove them before their time; give up those that wait to be kept")            \
	F(T, STR, node, NAME_LEN, 0, NULL, "-n", "only on this node")
SCHEMA_DECLARE(op_disk_tails, OP_DISK_TAILS_ROWS)
#define OP_DISK_REMOVE_TAIL_ROWS(F, T)                                                                                   \
	F(T, STR, name, NAME_LEN, FIELD_REQUIRED, NULL, "@", "instance")                                                 \
	F(T, STR, node, NAME_LEN, FIELD_REQUIRED, NULL, "-n", "node that has it")                                        \
	F(T, INT, gen, 0, INT64_MAX, FIELD_REQUIRED, NULL, "", "generation at which it lost")
SCHEMA_DECLARE(op_disk_remove_tail, OP_DISK_REMOVE_TAIL_ROWS)

#define OP_JOB_LIST_ROWS(F, T)                                                                                           \
	F(T, BOOL, running, 0, "no", "", "only jobs that have not ended")                                                \
	F(T, BOOL, error, 0, "no", "", "only jobs that failed")                                                          \
	F(T, BOOL, pending, FIELD_SINCE(2), NULL, "", "only jobs that have not begun")                                   \
	F(T, BOOL, finished, FIELD_SINCE(2), NULL, "", "only jobs that have ended")                                      \
	F(T, INT, limit, 1, 10000, 0, "100", "", "the newest so many")
SCHEMA_DECLARE(op_job_list, OP_JOB_LIST_ROWS)

#define OP_JOB_ID_ROWS(F, T) F(T, INT, id, 1, INT64_MAX, FIELD_REQUIRED, NULL, "@", "job number")
SCHEMA_DECLARE(op_job_id, OP_JOB_ID_ROWS)

/* Answers when the job has news past 'seen' (a count of its log lines), or has ended, or after wait_ms. */
#define OP_JOB_WAIT_ROWS(F, T)                                                                                           \
	F(T, INT, id, 1, INT64_MAX, FIELD_REQUIRED, NULL, "@", "job number")                                             \
	F(T, INT, seen, 0, INT64_MAX, FIELD_HIDDEN, "0", "", "news already known")                                       \
	F(T, INT, wait_ms, 0, 60000, FIELD_HIDDEN, "20000", "", "answer after this time whatever happened")
SCHEMA_DECLARE(op_job_wait, OP_JOB_WAIT_ROWS)

#define OP_DEBUG_NOOP_ROWS(F, T)                                                                                         \
	F(T, STR, node, NAME_LEN, 0, NULL, "", "node to do nothing on (default: the master alone)")                      \
	F(T, INT, delay_ms, 0, 600000, 0, "0", "", "time to take")                                                       \
	F(T, BOOL, fail, 0, "no", "", "fail after that")
SCHEMA_DECLARE(op_debug_noop, OP_DEBUG_NOOP_ROWS)

#endif
