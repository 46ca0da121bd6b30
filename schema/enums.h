/* SPDX-License-Identifier: Apache-2.0 */
/* Every enumerated value of objects, requests and steps: C constant and word, side by side. */
#ifndef SCHEMA_ENUMS_H
#define SCHEMA_ENUMS_H

enum template { TEMPLATE_DRBD, TEMPLATE_PLAIN, TEMPLATE_FILE, TEMPLATE_DISKLESS };
extern const char *const template_names[]; /* drbd, plain, file, diskless */

/* What is wanted of a guest. */
enum admin_state { ADMIN_DOWN, ADMIN_UP };
extern const char *const admin_state_names[]; /* down, up */

/* suspect: silent, its lease may hold; lost: no lease can hold any more; fenced: known to be off. Doc: design/008-liveness.adoc. */
enum liveness { NODE_ONLINE, NODE_SUSPECT, NODE_LOST, NODE_FENCED };
extern const char *const liveness_names[]; /* online, suspect, lost, fenced */

/* (a) lease, (b) power, (c) reported gone by the node itself, (d) a person said so. DESIGN.md 2. */
enum evidence { EVIDENCE_NONE, EVIDENCE_LEASE, EVIDENCE_POWER, EVIDENCE_REPORT, EVIDENCE_PERSON };
extern const char *const evidence_names[]; /* none, lease, power, report, person */

/* Who may execute a guest that migrates: the owner before the pivot, the target behind it. */
enum run_side { RUN_OWNER, RUN_TARGET };
extern const char *const run_side_names[]; /* owner, target */

/* What the cluster does by itself for a guest whose node is lost (failover), or that has ended on its node (restart, failover). */
enum ha_policy { HA_NONE, HA_RESTART, HA_FAILOVER };
extern const char *const ha_policy_names[]; /* none, restart, failover */

/* What becomes of the guests of a node that is reached over the replication network only. */
enum front_lost { FRONT_EVACUATE, FRONT_LEAVE };
extern const char *const front_lost_names[]; /* evacuate, leave */

/* Only none and directsync leave nothing in the host's memory: a migration wants one of them. */
enum disk_cache { CACHE_NONE, CACHE_DIRECTSYNC, CACHE_WRITETHROUGH, CACHE_WRITEBACK };
extern const char *const disk_cache_names[]; /* none, directsync, writethrough, writeback */

enum disk_bus { BUS_VIRTIO, BUS_SCSI, BUS_IDE };
extern const char *const disk_bus_names[]; /* virtio, scsi, ide */

enum nic_model { NIC_VIRTIO, NIC_E1000, NIC_RTL8139 };
extern const char *const nic_model_names[]; /* virtio, e1000, rtl8139 */

enum domain_type { DOMAIN_KVM, DOMAIN_QEMU };
extern const char *const domain_type_names[]; /* kvm, qemu */

/* By the guest itself; by the reset button; with a new process. */
enum reboot_type { REBOOT_SOFT, REBOOT_HARD, REBOOT_FULL };
extern const char *const reboot_type_names[]; /* soft, hard, full */

enum yes_no { NO, YES };
extern const char *const yes_no_names[]; /* no, yes */

#endif
