/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The master's core: events in, actions out. No I/O, no clock, no randomness but from the seed in core_start().
 *
 * Output commit: every event may change the state in memory and appends its changes to a batch; whatever it wants to tell
 * anybody (a reply, an order, a verdict) waits in the outbox until the batch that it rests on is committed in the store.
 * Nobody therefore ever learns of something that is not durable. A batch that cannot be committed ends the core: its
 * successor starts from the store. See doc/design/002-core.adoc.
 */
#ifndef CORE_CORE_H
#define CORE_CORE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "schema/msgs.h"
#include "schema/ops.h"
#include "schema/steps.h"

struct core;
struct state;

enum core_action_kind {
	CORE_COMMIT,     /* write ops in one transaction, guarded by the epoch and by the value that the batch before left in /gantry/seq; then core_committed() */
	CORE_REPLY,      /* to client */
	CORE_SEND,       /* text to node; dropped when it is not connected */
	CORE_STORE_STEP, /* an etcd membership call; then core_store_step_done() */
	CORE_JOINED,     /* the join with this client token is admitted or refused: reply holds the answer */
	CORE_LOG,        /* something an operator should see in the journal */
	CORE_STEP_DOWN,  /* the core has ended (batch refused): drop it */
	CORE_HAND_OVER,  /* drop the core and resign in favour of node */
};

struct core_put {
	char *key;
	char *value; /* NULL = delete; key ending in '/' = delete everything below */
};

struct core_action {
	enum core_action_kind kind;
	int64_t seq;                 /* COMMIT: number of the batch */
	const struct core_put *puts; /* COMMIT */
	int n_puts;
	uint64_t client;             /* REPLY, JOINED */
	struct msg_reply *reply;     /* REPLY, JOINED */
	char node[UUID_LEN + 1];     /* SEND, HAND_OVER */
	const char *text;            /* SEND: a message; LOG: a line */
	int64_t job;                 /* STORE_STEP */
	int index;                   /* STORE_STEP */
	enum step_kind step;         /* STORE_STEP */
	enum step_dir dir;           /* STORE_STEP */
	const struct step_member *member; /* STORE_STEP */
};

/* Called for each action, in order, from inside the calls below; must not call back into the core. Everything in it is borrowed. */
typedef void core_emit(void *arg, const struct core_action *a);

struct core_kv {
	const char *key, *value;
};

struct core_start {
	int64_t epoch;     /* revision of our take-over */
	int64_t seq;       /* number of the newest batch in the store */
	int64_t now_ms, wall_ms;
	uint64_t seed;
	const char *self;  /* uuid of the master's own node */
	const struct core_kv *kvs; /* everything under /gantry/ at the take-over */
	int n_kvs;
	int64_t silent_since_ms; /* our clock at the predecessor's last possible grant: silent nodes count from there */
};

/* -ERR_INTERNAL with the key when an object of the store cannot be read: such a core must not run. */
int core_new(const struct core_start *s, core_emit *emit, void *arg, struct core **ret, struct err *err) WARN_UNUSED;
void core_free(struct core *c);
DEFINE_CLEANUP(struct core *, core_free);

/* The time for everything until the next call. Also runs what is due (retries, reconciler, silent nodes): call it at least once a second. */
void core_tick(struct core *c, int64_t now_ms, int64_t wall_ms);

void core_committed(struct core *c, int64_t seq, bool ok); /* ok = false: another master has taken over */
/* The store does not answer since then (0 = it does): changes are refused, queries are answered with their age. */
void core_store_silent(struct core *c, int64_t since_ms);

/* A request of `client` (the bridge's own number), answered by CORE_REPLY once, maybe much later (job.wait). m is borrowed. */
void core_request(struct core *c, uint64_t client, const struct msg_request *m);
void core_client_gone(struct core *c, uint64_t client);

/* What it said in its hello, before its links are told. Refused: -ERR_VERSION, and it must be kept out. */
int core_node_speaks(struct core *c, const char *node, const char *version, int64_t oldest, int64_t newest, struct err *err) WARN_UNUSED;
/* links: bit 0 primary network, bit 1 replication network; 0 = gone. version, boot_id from the hello. */
void core_node_links(struct core *c, const char *node, int links, const char *boot_id, const char *version, int64_t wall_ms);
/* What was sent to nodes, or by them, may not have been heard: the bridge may say nothing for a moment without its term. Settings, generations, orders. */
void core_tell_again(struct core *c);
/* What nodes say; node = uuid, from the link's certificate. Messages are borrowed; the core checks whom they come from, and drops what is old. */
void core_node_beat(struct core *c, const char *node);
void core_node_clock(struct core *c, const char *node, int64_t skew_ms); /* its clock less ours */
void core_node_observed(struct core *c, const char *node, const struct observed *o);
void core_step_result(struct core *c, const char *node, const struct msg_step_result *m);
void core_step_progress(struct core *c, const char *node, const struct msg_step_progress *m);
void core_ask(struct core *c, const char *node, const struct msg_ask *m);
void core_authorise(struct core *c, const char *node, const struct msg_authorise *m);
void core_store_step_done(struct core *c, int64_t job, int index, enum step_dir dir, int rc, const struct err *err);

/* A joining node whose token the bridge has checked and whose certificate it has made: files the node.admit job. */
void core_join(struct core *c, uint64_t client, const struct op_node_admit *a);
/* The token record, NULL = none or expired. */
const struct token *core_token(const struct core *c, const char *id);
const struct state *core_state(const struct core *c);
/* Jobs that have not ended. */
int core_jobs_open(const struct core *c);

/* The configuration of a new cluster, as the puts of its first transaction (used by cluster init and restore). Gives puts. */
int core_genesis(const struct cluster *cl, const struct secret *s, const struct node *first, struct core_put **ret, int *ret_n,
		 struct err *err) WARN_UNUSED;
/* The same from a backup: node `first` is the only voter, every ownership record waits for its nodes, epochs, generations and job numbers
 * begin above whatever the cluster before has used. seen_epoch: the highest that is known of besides the backup's. said: the backup is the last voter's own
 * copy, and this is what a person said of the others; NULL = it is a backup. Changes b. */
int core_restore(struct backup *b, const char *first, const char *said, int64_t seen_epoch, int64_t wall_ms, struct core_put **ret, int *ret_n,
		 struct err *err) WARN_UNUSED;
#define CORE_INCARNATION_KEY "/gantry/incarnation" /* what a master's epoch begins above: this times EPOCHS_PER_INCARNATION */
void core_puts_free(struct core_put *p, int n);

#endif
