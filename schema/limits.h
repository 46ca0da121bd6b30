/* SPDX-License-Identifier: Apache-2.0 */
/* Every limit of the project. Lengths are without the closing NUL. */
#ifndef SCHEMA_LIMITS_H
#define SCHEMA_LIMITS_H

#define UUID_LEN 36
#define NAME_LEN 63       /* cluster, node, instance, group, volume group, bridge */
#define VOLUME_LEN 95     /* "<uuid>.disk<N>_data" and kin */
#define ADDR_LEN 45       /* INET6_ADDRSTRLEN - 1 */
#define PATH_LEN 255
#define SECRET_LEN 64
#define MAC_LEN 17
#define TEXT_MAX 4096     /* free text: kernel arguments, reasons */

#define LEASE_MS_MIN 600   /* below it every scheduler looks like a dead node */
#define LEASE_MS_MAX 600000

#define NODES_MAX 256
#define INSTANCES_MAX 10000
#define DISKS_MAX 8
#define NICS_MAX 8
/* A restored cluster counts on from 2^36 (epochs), 2^32 (generations), 10^9 (job numbers) for each time that it was restored. */
#define INCARNATIONS_MAX 99
#define EPOCHS_PER_INCARNATION (INT64_C(1) << 36)
#define GENS_PER_INCARNATION (INT64_C(1) << 32)
#define JOBS_PER_INCARNATION INT64_C(1000000000)
#define BACKUP_MAX (64 * 1024 * 1024)
#define REPLICAS_MAX 2    /* DRBD 8.4: two */
#define VOTERS_MAX 5
#define FENCE_AGENTS_MAX 4 /* of one node */
#define LEVEL_MAX 1000000 /* of messages and records: schema/level.h */
#define STEPS_MAX 64      /* of one plan */
#define STEP_LOG_MAX 32   /* progress lines kept per job */
#define JOBS_QUEUED_MAX 5000
#define JOBS_RUNNING_MAX 64
#define JOBS_KEPT_MAX 1000 /* ended jobs held in memory; older ones stay in the store until archived */

#define DRBD_MINORS_MAX 1024
#define DRBD_PORT_FIRST 11000
#define DRBD_PORT_LAST 14999
#define DRBD_META_MIB 128

/* Room for a snapshot that can take a whole volume of that size: its table of chunks included (16 bytes for each 4 KiB). */
#define TAIL_MIB(size) ((size) + (size) / 128 + 8)

#define MESSAGE_MAX (512 * 1024)   /* one request on nanomsg */
#define FRAME_MAX (4 * 1024 * 1024) /* one frame on a node link */
#define REPLY_MAX (FRAME_MAX - 4096) /* one reply, on nanomsg and, with its head, in a frame: all instances fit into a list */
#define STORE_OPS_MAX 100          /* operations in one transaction (etcd refuses 129) */
#define STORE_VALUE_MAX (1024 * 1024)

/* Ports: one table, documented in doc/handbook/ports. */
#define PORT_LINK 7600        /* node links: gantry-masterd, TLS 1.3 */
#define PORT_ETCD_CLIENT 7601 /* etcd clients, mutual TLS */
#define PORT_ETCD_PEER 7602   /* etcd peers, mutual TLS */
#define PORT_LIBVIRT_TLS 16514
#define PORT_MIGRATE_FIRST 49152
#define PORT_MIGRATE_LAST 49215

#endif
