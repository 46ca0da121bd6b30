/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fixed table of typed steps that a node executes: for each step kind of schema/steps.h with where = NODE a do, an undo
 * where it has one, and a probe. Nothing here decides anything; every call blocks and runs on a worker thread (or inline
 * in a simulation). Backends come in as interfaces, so the same handlers run on real parts and on fakes.
 */
#ifndef NODE_EXEC_H
#define NODE_EXEC_H

#include <stdbool.h>

#include "common/err.h"
#include "common/json.h"
#include "schema/msgs.h"
#include "schema/steps.h"

struct volumes;
struct drbdm;
struct hypervisor;
struct drbd_status;
struct runner;
struct exec_call;

/* What the node itself must do for a step (certificates, services, settings): node/system.c, or a fake. */
struct exec_system {
	int (*etcd_start)(struct exec_system *s, const struct step_etcd *a, struct err *err);   /* idempotent */
	int (*etcd_stop)(struct exec_system *s, struct err *err);                               /* and drops its data; idempotent */
	int (*etcd_running)(struct exec_system *s, bool *ret, struct err *err);
	int (*masterd_start)(struct exec_system *s, const struct step_masterd *a, struct err *err);
	int (*masterd_stop)(struct exec_system *s, struct err *err);
	int (*masterd_running)(struct exec_system *s, bool *ret, struct err *err);
	int (*certs_install)(struct exec_system *s, const struct step_certs *a, struct err *err);
	int (*certs_renew)(struct exec_system *s, struct err *err); /* asks the master to sign; blocks */
	int (*settings_install)(struct exec_system *s, const struct step_settings *a, struct err *err);
	int (*leave)(struct exec_system *s, struct err *err);
	/* Durable marks "this replica lost its disk" (H6); generations known per instance. */
	int (*stale_mark)(struct exec_system *s, const char *instance_uuid, bool set, struct err *err);
	bool (*stale_marked)(struct exec_system *s, const char *instance_uuid);
	/* Durable mark "DRBD refused to connect: both sides wrote": set by its handler, gone before the next try. NULL = never. */
	int (*split)(struct exec_system *s, const char *instance_uuid, bool set, struct err *err);
	bool (*split_marked)(struct exec_system *s, const char *instance_uuid);
	int64_t (*wall_ms)(struct exec_system *s); /* NULL = the machine's */
	/* H13: from its own detach on until the next attach, an I/O error here is no news about the replica. Read by DRBD's handler. */
	int (*torn)(struct exec_system *s, const char *instance_uuid, bool set, struct err *err);
	bool (*is_torn)(struct exec_system *s, const char *instance_uuid);
	/* H7: from a probe_target answer until promotion this node does not connect that resource. */
	int (*pin)(struct exec_system *s, const char *instance_uuid, bool set, struct err *err);
	bool (*pinned)(struct exec_system *s, const char *instance_uuid);
	/* For how long this replica has not been connected, without a gap that nobody saw; 0 = it is, or nobody knows. NULL = nobody knows. */
	int64_t (*apart_ms)(struct exec_system *s, const char *instance_uuid);
	/* The watchdog is started and left alone: returns once that is so. The machine should not live long. */
	int (*watchdog_drill)(struct exec_system *s, struct err *err);
};

struct exec_env {
	struct volumes *lvm;  /* NULL = none on this node */
	struct volumes *file;
	struct drbdm *drbd;
	struct hypervisor *hv;
	struct runner *runner;
	struct exec_system *system;
	const char *node_uuid;
	const char *handler_path;   /* DRBD's helper: gantry's own program */
	const char *console_dir;    /* serial consoles are copied here */
	const char *hv_scheme;      /* migration URI is "<scheme>://<replication address>/system", e.g. "qemu+tls" */
	bool migrate_tls;
	double time_factor;         /* 1.0; larger in slow labs */
	/* Pulled permission (H10): asks the master and waits, at most a few seconds. 0, -ERR_NOT_OWNER (refused, err says why) or
	 * -ERR_NO_MASTER / -ERR_TIMEOUT (no answer: not permitted now). */
	int (*authorise)(struct exec_env *env, const char *instance_uuid, enum authority what, struct err *err);
	/* Waits ms or until the call is canceled (-ERR_CANCELED): the only way a handler may wait. A simulation moves its clock. */
	int (*wait)(struct exec_env *env, const struct exec_call *call, int ms, struct err *err);
	void *arg; /* for the two callbacks */
	void *backend; /* the fake world, when it is one */
};

/* One running step. */
struct exec_call {
	enum step_kind kind;
	enum step_dir dir;
	const void *args;      /* the kind's struct */
	const bool *canceled;  /* set by another thread; handlers that wait look at it */
	void (*progress)(void *arg, int permille, const char *text);
	void *progress_arg;
	json_t **ret_before;   /* a probe that finds its step to do: what is there already of what the step makes (gives); NULL = nobody asks */
	const json_t *before;  /* an undo: that list. NULL = nothing was there */
};

/* 0 and *ret_result (may stay NULL; gives), or -ERR_x. */
int exec_run(struct exec_env *env, const struct exec_call *call, json_t **ret_result, struct err *err) WARN_UNUSED;
/* Is the state that "do" wants there already? Kinds without a state to look at answer false. */
int exec_probe(struct exec_env *env, const struct exec_call *call, bool *ret_done, struct err *err) WARN_UNUSED;
/* Another thread wants a running step to stop, beyond setting *canceled: ends what the handler is blocked in (a migration). */
int exec_cancel(struct exec_env *env, enum step_kind kind, const void *args, struct err *err) WARN_UNUSED;
/* Deadline of the kind's class in ms (0 = none), times env->time_factor. */
int64_t exec_deadline_ms(const struct exec_env *env, enum step_kind kind);
/* DRBD called it a split brain (split_marked), and the two have not met since. Once they have, by whatever hand, the mark has had its day and goes. */
bool exec_is_split(struct exec_env *env, const char *instance_uuid, const struct drbd_status *s);
/* Lane for the worker pool: steps of one instance run in order; text valid as long as args. */
const char *exec_lane(const struct exec_call *call);

#endif
