/* SPDX-License-Identifier: Apache-2.0 */
/* A machine's kernel as the model has it: DRBD 8.4 replicas, the guests that write through them, volumes below. */
#ifndef TESTS_SIM_KERNEL_H
#define TESTS_SIM_KERNEL_H

#include "hypervisor/hypervisor.h"
#include "storage/storage.h"
#include "tests/sim/world.h"

#define JUST_CREATED UINT64_C(4)

/* StandAlone; WFConnection; WFReportParams, which tools call Connected though neither knows yet what the other has; Connected */
enum net_want { WANT_NONE, WANT_CONNECTING, WANT_SHAKING, WANT_CONNECTED };
enum sync_role { SYNC_NONE, SYNC_SOURCE, SYNC_TARGET };

struct pending { /* the one write under way */
	bool active, local, remote;
	int block;
	uint64_t value;
	int64_t number; /* so that late answers of another write are told apart */
};

struct replica {
	struct list link;
	struct machine *m;
	/* the resource's file */
	bool conf;
	char name[NAME_LEN + 1], uuid[UUID_LEN + 1], peer[NAME_LEN + 1];
	bool conf_arbitrated;
	int n_volumes, minor;
	char disk_name[VOLUME_LEN + 1]; /* its first data volume: without it there is nothing to attach */
	/* on the disk */
	uint64_t block[BLOCKS];
	bool md, md_consistent, md_uptodate, md_peer_outdated, md_crashed;
	uint64_t current, bitmap_uuid, history[4];
	uint64_t out_of_sync; /* bit per block: what the peer lacks */
	uint64_t hot;         /* activity log */
	/* the kernel */
	bool up, arbitrated, two;
	bool failed;          /* its disk has, and its handler may not have run yet */
	int64_t failed_at;
	uint64_t exposed;     /* without a disk: the generation that its guest has seen */
	char kernel_peer[NAME_LEN + 1];
	enum drbd_role role;
	enum drbd_dstate disk, peer_disk;
	enum net_want net;
	int64_t session;      /* of the connection; the peer's is the same while both live in it */
	int64_t connects;     /* how often it was connected: binds a handler's answer */
	bool frozen, handler_runs;
	bool no_data;         /* ... for want of good data, here and at the peer: nobody is asked */
	enum sync_role sync;
	struct pending write;
	struct event *noticing, *syncing;
	int64_t last_resume;
};

struct guest { /* a process of the hypervisor */
	struct list link;
	struct machine *m;
	char uuid[UUID_LEN + 1], name[NAME_LEN + 1];
	enum hv_state state;
	int64_t memory_mib;
	int vcpus;
	char disk[PATH_LEN + 1]; /* "/dev/drbdN", a volume, or "" */
	int minor;               /* N; -1 = no DRBD */
	bool migrating, cancel, dying;
	bool halted;          /* stopped for the end of its migration: it ran */
	struct proc *mover;   /* whose call migrates it; NULL = nobody's yet */
	bool waits;           /* a write of it is under way */
	int64_t copy;         /* number of this process */
	struct event *next;
};

struct replica *replica_find(struct machine *m, const char *name);
struct replica *replica_by_minor(struct machine *m, int minor);
struct replica *replica_peer(const struct replica *r); /* what the other machine has of it; NULL = nothing, or no power */
bool replica_readable(struct replica *r);  /* by what is local or connected */
void replica_read(struct replica *r, uint64_t blocks[BLOCKS]);
/* The guest writes: true when it is taken. Its end comes by guest_write_done(). */
bool replica_write(struct replica *r, int block, uint64_t value);
struct guest *guest_find(struct machine *m, const char *uuid);
struct guest *guest_on(struct machine *m, const struct replica *r); /* who has it open */
void guest_write_done(struct machine *m, const struct replica *r, int block, uint64_t value, bool ok);
bool log_lists(const char *instance, const char *node); /* check.c: as one of its nodes */
void check_alone(const struct replica *r); /* check.c: after a write that only one side has */
void check_runner(const struct guest *g, const char *how); /* check.c: it begins to run, or goes on */
const char *volume_owner(struct machine *m, const char *name);

#endif
