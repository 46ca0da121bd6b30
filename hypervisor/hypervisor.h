/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hypervisor as the node agent sees it. Calls block (worker threads only). Guests are transient: nothing
 * is ever defined or started by the hypervisor itself. Backends: hypervisor/libvirt (KVM) and hypervisor/fake.
 */
#ifndef HYPERVISOR_HYPERVISOR_H
#define HYPERVISOR_HYPERVISOR_H

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "schema/limits.h"

struct hv_disk {
	char path[PATH_LEN + 1]; /* block device or file */
	bool block;              /* block device, else file */
	char format[8];          /* "raw" or "qcow2" */
	char cache[16];          /* "none", "writeback", ... */
	char bus[8];             /* "virtio", "scsi", "ide" */
	bool readonly;
};

struct hv_nic {
	char mac[MAC_LEN + 1];
	char bridge[NAME_LEN + 1];
	char model[16]; /* "virtio", "e1000" */
};

/* Everything that the domain XML is made of. Strings borrowed; NULL or "" = not set. */
struct hv_guest {
	char name[NAME_LEN + 1];
	char uuid[UUID_LEN + 1];
	int64_t memory_mib;
	int vcpus;
	const char *domain_type;  /* "kvm", "qemu" (emulated) */
	const char *machine;      /* "" = hypervisor's default "pc" */
	const char *cpu_xml;      /* <cpu> element from the cluster's baseline; "" = cpu_type */
	const char *cpu_type;     /* "host-passthrough", "host-model" or a model name; "" = host-model */
	const char *kernel_path, *initrd_path, *kernel_args;
	const char *boot_order;   /* "disk", "cdrom", "network", comma list */
	const char *cdrom_image_path;
	const char *vnc_bind_address; /* "" = no VNC */
	const char *console_path; /* file to which the serial console is copied; "" = none. The console itself is a pty */
	bool acpi;
	bool serial_console;
	struct hv_disk disks[DISKS_MAX];
	int n_disks;
	struct hv_nic nics[NICS_MAX];
	int n_nics;
};

enum hv_state { HV_NONE, HV_RUNNING, HV_PAUSED, HV_INCOMING /* paused, migration comes in */, HV_SHUTDOWN /* going down */, HV_CRASHED };

struct hv_info {
	char name[NAME_LEN + 1];
	char uuid[UUID_LEN + 1];
	enum hv_state state;
	bool ours; /* carries our tag in the domain's metadata */
	int64_t memory_mib;
	int vcpus;
	bool migrating; /* a migration job runs on it */
};

struct hv_node_info {
	int64_t memory_total_mib, memory_free_mib;
	int cpus;
	char version[64]; /* "libvirt 9.0.0 QEMU 7.2.0" */
	char *host_cpu_xml; /* for the baseline; gives (free()); NULL when unknown */
	bool kvm;
};

struct hv_migrate {
	const char *dest_uri;    /* "qemu+tls://10.0.1.12/system", on the replication network as well */
	const char *dest_name;   /* the node's name, for whoever knows nodes by name (the fake) */
	const char *migrate_uri; /* "tcp://10.0.1.12" on the replication network */
	bool tls;
	bool live;
	bool paused_on_arrival;  /* VIR_MIGRATE_PAUSED: the guest stands still until hv resume */
	int64_t bandwidth_mib_s; /* 0 = unlimited */
	int64_t downtime_ms;     /* 0 = default */
	bool auto_converge;
	/* Called about once a second on the calling thread or another; must be quick. */
	void (*progress)(void *arg, int permille, const char *text);
	void *arg;
};

struct hypervisor;
struct hypervisor_ops {
	const char *name; /* "libvirt", "fake" */
	/* Starts a transient guest. Idempotent: the same uuid running already is success. paused = do not run its CPUs. */
	int (*start)(struct hypervisor *h, const struct hv_guest *g, bool paused, struct err *err);
	/* Asks the guest to power off and waits up to timeout_ms; 0 when it is gone, -ERR_TIMEOUT when it is not. */
	int (*shutdown)(struct hypervisor *h, const char *uuid, int timeout_ms, struct err *err);
	int (*destroy)(struct hypervisor *h, const char *uuid, struct err *err); /* idempotent; waits for the process to go */
	/* Of a guest that is here; absent: -ERR_WRONG_STATE. suspend and resume are idempotent. */
	int (*reset)(struct hypervisor *h, const char *uuid, struct err *err);
	int (*suspend)(struct hypervisor *h, const char *uuid, struct err *err);
	int (*resume)(struct hypervisor *h, const char *uuid, struct err *err);
	/* The disk at that path has become size_mib large: tells the guest. Idempotent; absent guest: -ERR_WRONG_STATE. */
	int (*disk_grown)(struct hypervisor *h, const char *uuid, const char *path, int64_t size_mib, struct err *err);
	/* Live migration, blocks until it ended. -ERR_CANCELED after migrate_cancel(). On any error the caller must look
	 * at both sides: the result says nothing about where the guest is. */
	int (*migrate)(struct hypervisor *h, const char *uuid, const struct hv_migrate *m, struct err *err);
	int (*migrate_cancel)(struct hypervisor *h, const char *uuid, struct err *err); /* from another thread; idempotent */
	int (*info)(struct hypervisor *h, const char *uuid, struct hv_info *ret, struct err *err); /* absent: HV_NONE */
	int (*list)(struct hypervisor *h, struct hv_info **ret, int *ret_n, struct err *err);
	int (*node_info)(struct hypervisor *h, struct hv_node_info *ret, struct err *err);
	/* CPU model that all hosts can run, from their host_cpu_xml; gives *ret_xml. */
	int (*baseline)(struct hypervisor *h, const char *const *host_cpu_xml, int n, char **ret_xml, struct err *err);
};
struct hypervisor {
	const struct hypervisor_ops *ops;
};

const char *hv_state_name(enum hv_state s);

#endif
