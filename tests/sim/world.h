/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The simulated cluster: machines with a kernel (DRBD, guests, volumes), files and the shipped daemons, two networks, a store.
 * doc/design/007-simulation.adoc says what is real here and what is a model.
 */
#ifndef TESTS_SIM_WORLD_H
#define TESTS_SIM_WORLD_H

#include "common/json.h"
#include "schema/limits.h"
#include "tests/sim/engine.h"

#define MACHINES_MAX 8
#define BLOCKS 32      /* of a guest's disk */
#define GUESTS_MAX 8   /* instances that a world keeps account of */

enum net { NET_FRONT, NET_REPL, NETS };

struct noded;
struct master;
struct store;
struct store_kv;
struct drbdm;
struct volumes;
struct hypervisor;
struct nano_server;
struct replica;
struct guest;

struct file {
	struct list link;
	char *path, *text;
};

struct volume {
	struct list link;
	char name[VOLUME_LEN + 1], pool[NAME_LEN + 1], owner[UUID_LEN + 1];
	int64_t size_mib;
};

struct machine {
	int index;
	char name[16], uuid[UUID_LEN + 1]; /* uuid: as the sim's genesis wrote it; a joiner's comes from the master */
	char address[2][ADDR_LEN + 1];
	bool witness;
	bool power;
	bool booted; /* what starts at boot has been started */
	int boots;
	char boot_id[UUID_LEN + 1];
	struct proc *kernel, *noded_proc, *masterd_proc, *fenced_proc;
	struct fenced *fenced;             /* its memory */
	struct watchdog *watchdog;         /* the hardware: outlives fenced */
	struct noded *noded;
	struct master *masterd;
	struct list files;
	bool disk_full;                    /* writes of files fail */
	bool drbd_hangs;                   /* its tools do not return, and handlers' answers are not heard, until it boots or this ends */
	bool lvm_hangs;                    /* nor do LVM's */
	bool etcd_enabled, masterd_enabled; /* systemd's memory */
	bool etcd_up, etcd_member, etcd_learner;
	/* clocks: the machine's own = offset + elapsed * (1e6 + drift_ppm) / 1e6 */
	int64_t clock_base, clock_since;
	int drift_ppm;
	int64_t wall_offset_ms;
	/* local parts */
	struct list volumes, replicas, guests;
	struct nano_server *sockets[2];    /* admin, read */
	bool has_ip;
	bool lied_about;                   /* a fence agent said that it is off, and it is on: its guests may run twice, until it boots */
	int64_t frozen_until;              /* the whole machine stands still, but for its watchdog */
	struct hv_state_room *hv;
};

struct ledger { /* what a guest knows to be on its disk; by instance */
	char uuid[UUID_LEN + 1], name[NAME_LEN + 1];
	uint64_t acked[BLOCKS];            /* newest acknowledged value of the block */
	uint64_t issued[BLOCKS];           /* newest value that was ever issued for it */
	bool hopeless;                     /* the last disk that held it all has failed */
	bool excused;                      /* a person took the loss: --ignore-consistency */
	int64_t n_acked;
	char runner[UUID_LEN + 1];         /* as the store said last */
};

struct faults { /* what the world injects by itself, per mille of the occasions; 0 = never */
	int store_lose_reply, store_lose_request, store_late;
	int call_fails;                    /* a call of a backend fails, before or after its effect */
};

struct counters {
	int64_t power_cuts, daemon_kills, stalls, cuts, oneway_cuts, disk_failures, clock_jumps, store_faults, call_failures, master_kills, fenced_kills, watchdog_resets, fenced_off, freezes, by_lease, by_power, by_report, by_person, last_resorts;
	int64_t split_brains, failovers, verdicts_yes, takeovers, guest_resets, migrations, jobs, writes, guest_starts;
};

struct world {
	struct machine m[MACHINES_MAX];
	int n;
	bool cut[NETS][MACHINES_MAX][MACHINES_MAX]; /* from, to */
	struct store *store;
	struct ledger ledgers[GUESTS_MAX];
	int n_ledgers;
	uint64_t next_value;               /* of a guest's write */
	uint64_t next_uuid;                /* of DRBD data */
	struct faults faults;
	struct counters counts;
	int64_t lease_ms;
	/* counting, for sweeps: the n-th call etc. from now on; -1 = none */
	int64_t n_calls, n_commits, n_frames;
	int64_t fail_call, fail_call_after, crash_call, crash_call_after, crash_commit_before, crash_commit_after, lose_frame, dup_frame;
	const char *fail_named;            /* the next call of that name fails; NULL = none */
	const char *slow_named;            /* the next call of that name on that machine takes so long before it has any effect; NULL = none, or begun */
	const struct machine *slow_on;
	int64_t slow_us;
	int64_t shake_us;                  /* how long two replicas shake hands; 0 = drawn */
	char why[512];                     /* first violation; "" = none */
	uint64_t random_hex;               /* state of pki_random_hex's twin */
};
extern struct world W;

/* ---- machines: machine.c ---- */
struct world_conf {
	uint64_t seed;
	int n_machines;  /* in the cluster */
	int n_spare;     /* booted, not members: for joins */
	bool witness;    /* the last one votes only */
	int voters;      /* 1, 3, 5 */
	int64_t lease_ms;
};
void world_new(const struct world_conf *c);
void world_free(void);
const char *machine_name(const struct machine *m);
const char *machine_root(const struct machine *m); /* in front of its paths */
struct machine *machine_by_address(const char *address, enum net *ret_net);
struct machine *machine_by_name(const char *name);
struct machine *machine_by_uuid(const char *uuid);
struct machine *here(void); /* whose code runs */
int64_t machine_clock(const struct machine *m); /* microseconds of its own CLOCK_BOOTTIME */
void machine_power_cut(struct machine *m);
void machine_power_on(struct machine *m);
void machine_freeze(struct machine *m, int64_t us);
void machine_reboot_later(struct machine *m, int64_t us); /* cut, now (from the world), and on again */
void noded_kill(struct machine *m);
void noded_start(struct machine *m);
void masterd_kill(struct machine *m);
void masterd_start(struct machine *m);
bool net_up(enum net n, const struct machine *from, const struct machine *to);
int64_t net_latency(void);
void net_changed(void); /* after W.cut changed */

/* ---- twins ---- */
void local_sockets_gone(struct machine *m);          /* twin_local.c: noded has died */
void links_world_new(void);
/* Directed worlds: frames of that type from or to that machine are kept, until released. */
void frames_hold(int machine, const char *type);
void frames_hold_too(int machine, const char *type); /* in addition */
void frames_pass(void);   /* no more are kept */
int frames_release(void); /* what was kept arrives now, but for what the present hold keeps; how many */
void links_of_proc_died(struct proc *p, bool power); /* twin_link.c */
char *machine_file(struct machine *m, const char *path); /* borrowed; NULL = absent */
void machine_file_put(struct machine *m, const char *path, const char *text);
void machine_file_drop(struct machine *m, const char *path_or_prefix);
void store_world_new(uint64_t seed);                 /* twin_store.c */
void store_world_put(const char *key, const char *value);
char *store_world_get(const char *key);              /* gives; NULL = absent */
int store_world_dump(const char *prefix, char ***ret_keys, char ***ret_values);
/* Borrowed until something is written. */
int store_world_look(const char *prefix, const struct store_kv **ret);
const struct store_kv *store_world_find(const char *key); /* NULL = absent */
bool store_has_majority(const struct machine *from);
void store_member_set(struct machine *m, bool member, bool learner);
/* Directed worlds: the next commit that changes an instance is late: its master is told that the outcome is unknown, and it reaches the store when let go. */
void store_hold_commit(void);
bool store_commit_held(void);
bool store_let_go(void);                             /* true: the store has taken it */

void wire_world_new(void);                           /* twin_wire.c */
void wire_hold(const char *text, size_t len);
void wire_let_go(const char *text, size_t len);
/* gantry-fenced and the machine's watchdog: twin_fenced.c */
void fenced_start(struct machine *m);
void fenced_kill(struct machine *m, bool power);

/* A request of an operator on that machine; the answer comes to done (text of a msg_reply, borrowed), or never. */
typedef void request_done(void *arg, const char *reply);
void request_send(struct machine *m, const char *op, const char *args_json, const char *id, request_done *done, void *arg);

/* ---- kernel: drbd84*.c guests.c ---- */
struct drbdm *drbd_of(struct machine *m);
struct volumes *volumes_of(struct machine *m);
struct hypervisor *hypervisor_of(struct machine *m);
void drbd_power_lost(struct machine *m);
void drbd_net_changed(void);
void drbd_disk_fails(struct machine *m, const char *resource);
void guests_power_lost(struct machine *m);
/* Before and after the effect of a backend's call: takes time, counts, fails as asked. 0 or -ERR_x. */
struct err;
int call_begin(const char *what, int64_t max_us, struct err *err);
int call_end(struct err *err);
/* A tool that hangs as long as *hangs is true, and is given up after a while. */
int call_hangs(const bool *hangs, const char *tool, int64_t given_up_us, struct err *err);

/* ---- checkers: check.c ---- */
void violation(const char *fmt, ...) PRINTF(1, 2);
void check_event(void *arg);  /* after every event */
void check_owners(void);      /* after a commit: whose guests they are */
void check_world_new(void);
bool check_rest(bool say);    /* what must hold once all is quiet; W.why is filled when it is to be said */
struct ledger *ledger_of(const char *uuid, const char *name);
/* A guest reads its disk: it begins to run here, or goes on. */
void ledger_read_all(const char *uuid, const char *where, bool begins, const uint64_t *blocks);

#endif
