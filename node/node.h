/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gantry-noded: the bridge between the master (or a local client) and this machine. It decides nothing. One thread owns all
 * of this; blocking work runs on workers.
 */
#ifndef NODE_NODE_H
#define NODE_NODE_H

#include "common/list.h"
#include "core/agent.h"
#include "io/conf.h"
#include "io/identity.h"
#include "io/link.h"
#include "io/loop.h"
#include "io/nano.h"
#include "io/worker.h"
#include "node/exec.h"
#include "schema/ops.h"

struct noded;

/* One of the two ways to the master: over the primary or over the replication network. */
#define UPLINK_STALE 2 /* third place: a link to a master without majority, which answers queries and refuses the rest */
/* Fourth: a candidate looks now and then whether another one says to be master: of two the higher epoch is (a recovered cluster's former voters). Any node, when the master does not answer. */
#define UPLINK_LOOK 3
struct uplink {
	int side;             /* 1 primary, 2 replication */
	struct link *k;       /* NULL = not dialled */
	bool open;            /* handshake done, hello sent */
	int64_t opened_ms;
	char to[UUID_LEN + 1]; /* whom it was dialled to */
	int64_t told_ms;      /* when that one said that it is not master; 0 = not yet */
	bool at_once;         /* it ends to give way to another */
	bool welcome;         /* it is the master */
	int64_t heard_ms;     /* when its last frame came */
	int next;             /* candidate to dial next */
	int64_t dial_at_ms;
	const char *body;     /* second line of the frame in hand; NULL = none */
	size_t body_len;
};

struct gen_entry { /* what the master last said of an instance with a replica here */
	char instance[UUID_LEN + 1];
	int64_t gen;
	bool arbitrated, current, owner;
	bool ha;              /* ha=failover: its guest is guarded (008) */
	int64_t ha_rev;
	/* connection losses, counted here (H3) */
	int64_t losses;
	bool connected;
	/* a question under way */
	bool frozen;
	bool ending;          /* told no, and being taken apart: nothing more to ask */
	bool going_on;        /* a yes is being carried out: nothing is said of being in sync */
	int64_t parted_ms;    /* when a step that takes the replica from its mirror ended last: what was seen before says nothing of being in sync */
	int64_t said_gen;     /* newest generation at which this node has said "in sync" */
	int64_t lost_gen;     /* known when the replica was first seen marked: no yes is used from then on (H7); 0 = it is not marked */
	int64_t asked_ms;
	int handlers;         /* DRBD handlers that wait for the same answer */
};

struct local_call { /* a client's request on its way */
	struct list link;
	struct nano_server *server;
	struct nano_from from;
	char id[64];
	char *text;           /* as it goes to the master; sent again when another master takes over */
	int64_t deadline_ms;
	bool sent;            /* to a master: it may have been done */
	bool changes;         /* something, if it is done */
};

struct handler_call { /* DRBD's fence-peer handler waits for a verdict */
	struct list link;
	struct nano_server *server;
	struct nano_from from;
	char id[64];
	char instance[UUID_LEN + 1];
	int64_t number;
};

struct noded {
	struct loop *loop;
	struct conf conf;
	char boot[UUID_LEN + 1];
	bool member;            /* in a cluster */
	struct identity id;
	int64_t identity_next_ms;
	struct uplink up[4];
	int looks_left;          /* UPLINK_LOOK: before it takes its time */
	bool silent;             /* this node is as good as lost, and says nothing (008) */
	bool unanswered;         /* the master does not answer: UPLINK_LOOK listens to a candidate */
	struct err refused;      /* the master does not let us in, and why; code 0 = it does, or was not reached */
	int64_t no_majority_ms;  /* when a candidate last said that no majority answers; 0 = never */
	char master[UUID_LEN + 1];
	int64_t epoch;
	int64_t beat_seq, beat_next_ms;
	int64_t welcome_ms;         /* when this master welcomed us first */
	int64_t beat_acked_sent_ms; /* send time of the newest answered beat: the lease counts from here */
	int64_t beat_sent_ms[16];   /* by seq % 16 */
	struct agent *agent;
	struct workers *workers;
	struct exec_env env;
	char *unkept;           /* why the settings are not on the disk; NULL = they are */
	int64_t keep_at_ms;     /* ... and when that is tried again */
	struct step_settings settings; /* the cluster's, as the master last said */
	struct list steps;      /* running: steps.c */
	struct list asked;      /* orders that are not answered yet, and by which network they came: steps.c */
	struct leaves {         /* told to leave: when this order has been answered */
		bool with_answer;
		int64_t job, index;
	} leaves;
	struct journal *journal; /* the agent's records; used by one batch at a time, on a worker */
	struct list records;    /* of the agent, not yet with the worker: steps.c */
	bool persisting;        /* a batch of them is */
	struct list waits;      /* authorise calls on workers: authorise.c */
	struct gen_entry *gens;
	int n_gens;
	struct list handlers;
	/* observation */
	struct observed seen;
	int64_t seen_began_ms; /* when the look at it began */
	bool observing, observe_again, drbd_ok; /* drbd_ok: DRBD answered in the last look */
	bool drbd_mute; /* ... nor in the last one that asked it: what is known of it is old */
	int64_t drbd_asked_ms; /* DRBD was asked then, and nothing has been answered since; 0 = it owes no answer. Looks write it, on workers */
	int64_t observe_next_ms;
	char **unmarked; /* replicas that lost their disk and could not be marked yet */
	int n_unmarked;
	struct observed *last_report; /* NULL = none; its clocks are 0 */
	int64_t observe_seq;
	bool look_drbd, look_volumes; /* the next look includes them */
	int looks;
	struct loop_child *drbd_events; /* watch.c */
	bool drbd_watched;
	int64_t watch_at_ms;
	struct guard *guard;
	/* local clients */
	struct nano_server *admin, *read;
	struct list calls;
	struct takeover *takeover; /* a master-failover under way: takeover.c */
	struct loop_timer *timer;
	bool stopping;
};

/* ---- main.c, bridge.c ---- */
int node_new(struct loop *l, const struct conf *conf, struct noded **ret, struct err *err) WARN_UNUSED;
void node_free(struct noded *n);
int node_become_member(struct noded *n, struct err *err) WARN_UNUSED; /* after init or join: load identity, dial */
void node_left(struct noded *n);

/* ---- uplink.c ---- */
void uplink_tick(struct noded *n);
bool uplink_ready(const struct noded *n);
void uplink_send(struct noded *n, const char *type, const struct schema *s, const void *msg);
void uplink_send_text(struct noded *n, const char *text);
/* Over the network of that side (1 primary, 2 replication) when its link is up, else over the other. */
void uplink_send_by(struct noded *n, int side, const char *type, const struct schema *s, const void *msg);
/* There is no master, but one that was: sends a request there. False: nobody of that kind. */
bool uplink_ask_stale(struct noded *n, const char *text);
bool uplink_no_majority(const struct noded *n); /* a candidate said so a moment ago */
void uplink_close_all(struct noded *n);
void uplink_free(struct noded *n); /* nothing of them is heard any more */

/* ---- steps.c: orders ---- */
int steps_new(struct noded *n, struct err *err) WARN_UNUSED;
void steps_free(struct noded *n);
void steps_order(struct noded *n, const struct msg_step *m, int side); /* side: of the network that it came by */
void steps_forget(struct noded *n, int64_t job);
bool steps_parting(const struct noded *n, const char *instance); /* one that takes its replica from the mirror is under way */

/* ---- authorise.c: pulled permissions, on worker threads; verdicts for DRBD ---- */
int authorise_call(struct exec_env *env, const char *instance, enum authority what, struct err *err);
void authorise_answer(struct noded *n, const struct msg_authority *a);
void authorise_signed(struct noded *n, const struct msg_signed *s);
int authorise_sign(struct noded *n, const char *csr, char **ret_cert, char **ret_ca, struct err *err) WARN_UNUSED; /* worker thread */
void authorise_abort(struct noded *n); /* the link is gone: nobody is permitted anything */

/* ---- arbitrate.c ---- */
void arbitrate_gens(struct noded *n, const struct msg_gens *m);
struct gen_entry *arbitrate_entry(struct noded *n, const char *instance);
void arbitrate_observed(struct noded *n); /* looks at what was seen: losses, frozen resources */
void arbitrate_verdict(struct noded *n, const struct msg_verdict *v);
void arbitrate_handler(struct noded *n, struct nano_server *s, const struct nano_from *from, const struct msg_request *r);
void arbitrate_tick(struct noded *n);
void arbitrate_end(struct noded *n, const char *instance); /* ends its guest here and takes its disks apart (H13) */

/* ---- observe.c ---- */
void report_forget(struct noded *n);
void observe_now(struct noded *n); /* guests and DRBD; volumes when a step has touched them, and now and then */
void observe_tick(struct noded *n);
void observe_problem(struct noded *n, const char *text); /* until the next look: told now */
void observe_send(struct noded *n); /* the master is new: tell it all */

/* ---- watch.c ---- */
void watch_tick(struct noded *n);
void watch_free(struct noded *n);

/* ---- local.c ---- */
int local_new(struct noded *n, struct err *err) WARN_UNUSED;
void local_free(struct noded *n);
void local_groups(struct noded *n); /* opens the sockets to the groups of the two roles, when these exist */
/* The master's reply to the request id, passed on as it is. */
void local_reply(struct noded *n, const char *id, const char *text, size_t len);
void local_resend(struct noded *n);
void local_tick(struct noded *n);
void local_answer(struct nano_server *s, const struct nano_from *to, const char *id, json_t *result /* takes */, const struct err *err);

/* ---- takeover.c: 'gnt cluster master-failover' on this node ---- */
void takeover_start(struct noded *n, struct nano_server *s, const struct nano_from *from, const struct msg_request *r);
void takeover_reply(struct noded *n, const struct msg_reply *r);
void takeover_again(struct noded *n); /* a new link: what was asked on the old one may be lost */
void takeover_tick(struct noded *n);
void takeover_free(struct noded *n);

/* ---- requests done here, on a worker: bootstrap.c join.c prepare.c ---- */
typedef int local_fn(struct noded *n, const void *args, json_t **ret, struct err *err);
local_fn bootstrap_init, bootstrap_destroy, bootstrap_leave, bootstrap_restore, bootstrap_recover, join_cluster, prepare_machine;

/* ---- system.c, service.c ---- */
struct exec_system *system_new(const struct conf *conf, struct noded *n);
void system_free(struct exec_system *s);
int service_start(const struct conf *conf, struct runner *r, const char *name, const char *const argv[], struct err *err) WARN_UNUSED;
int service_stop(const struct conf *conf, struct runner *r, const char *name, struct err *err) WARN_UNUSED;
bool service_running(const struct conf *conf, struct runner *r, const char *name);
/* Backends by the local settings: real, or the fake world of tests/vcluster. */
void backends_boot(const struct conf *conf, char boot[UUID_LEN + 1]); /* in the fake world a node boots anew when it says so */
int backends_new(const struct conf *conf, struct exec_env *env, struct err *err) WARN_UNUSED;
void backends_free(struct exec_env *env);

#endif
