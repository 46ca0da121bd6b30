/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gantry-masterd: the bridge around core/: links to nodes, store, mastership, certificates, cluster address. It decides
 * nothing; it turns what happens into events and actions into calls.
 */
#ifndef MASTER_BRIDGE_H
#define MASTER_BRIDGE_H

#include "common/list.h"
#include "core/core.h"
#include "core/term.h"
#include "io/conf.h"
#include "io/identity.h"
#include "io/link.h"
#include "io/loop.h"
#include "io/store.h"

struct peer { /* one link of a node, or of somebody who joins */
	struct list link;
	struct link *k;
	uint64_t serial;      /* client token of requests that came over it */
	char node[UUID_LEN + 1]; /* "" = anonymous */
	char boot_id[UUID_LEN + 1];
	char version[32];
	int64_t level_oldest, level_newest; /* from its hello */
	int64_t level;        /* that it was welcomed at; 0 = not yet */
	int64_t clock_skew_ms; /* its clock less ours, at its hello or newest beat */
	int64_t heard_ms;     /* when its last frame came */
	int side;             /* bit 0 primary, bit 1 replication; 0 = no hello yet */
	struct msg_join *join; /* a join under way: what was asked */
	char *join_cert;
	char join_uuid[UUID_LEN + 1];
};

struct pending_token { /* a token request: the secret part goes into the reply */
	struct list link;
	char id[64];
	char token_id[17];
	char secret[41];
};

struct master {
	struct loop *loop;
	struct conf conf;
	struct store *store;
	struct link_server *servers[2]; /* on the primary and on the replication network; the second may be missing for a while */
	int64_t listen_next_ms;
	struct identity id;
	int64_t identity_next_ms;
	struct list peers;
	uint64_t next_serial;
	struct term term;
	struct core *core;   /* NULL while standby */
	bool paused;         /* master, but no commit for ttl: silent */
	char told[UUID_LEN + 1]; /* standby: the master that waiting nodes were told of; "" = none */
	int64_t unread_since_ms; /* standby: the term cannot be read since then; 0 = it can */
	bool unheard;        /* something was not said to a node, or not taken from one, because the term was not valid: all is said again when it is */
	bool trim;           /* much memory was freed: give it back */
	struct loop_timer *timer;
	struct loop_timer *look; /* one-shot: a candidate's next look (term.next_ms) */
	char self[UUID_LEN + 1];
	char boot[UUID_LEN + 1];
	struct list tokens;
	bool have_ip;
	char ip[ADDR_LEN + 1], ip_dev[NAME_LEN + 1]; /* what was set: the core may be gone when it is removed */
	/* the commit under way */
	struct core_put *puts;
	int n_puts;
	int64_t commit_seq;
	int commit_tries;        /* of it */
	int64_t commit_tried_ms; /* when the last one began */
	struct loop_timer *again; /* one-shot: the next one */
	char seq_before[48]; /* value of /gantry/seq that the next commit compares with */
	char heir[UUID_LEN + 1]; /* a hand-over that is about to begin */
	bool stopping;
};

/* ---- bridge.c ---- */
int master_new(struct loop *l, const struct conf *conf, struct master **ret, struct err *err) WARN_UNUSED;
void master_free(struct master *m);
/* Gives the mastership up (a clean stop); done is called when the store has it or after a second. */
void master_resign(struct master *m, void (*done)(void *arg), void *arg);
void master_emit(void *arg, const struct core_action *a); /* the core's actions */
bool master_speaks(const struct master *m);               /* master, and valid at this moment */

/* ---- term.c: mastership and commits on the store ---- */
void master_term_do(struct master *m, int todo);
void master_term_due(void *arg);
void master_commit(struct master *m, const struct core_action *a);
void master_commit_due(void *arg);
void master_drop_core(struct master *m);
void master_hand_over(struct master *m, const char *heir); /* "" = anybody; may be called from inside a call of the core */

/* ---- nodes.c: links ---- */
int master_listen(struct master *m, struct err *err) WARN_UNUSED;
void master_listen_replication(struct master *m, int64_t now);
void master_send_node(struct master *m, const char *node, const char *text);
struct peer *master_peer(struct master *m, uint64_t serial);
void master_send_reply(struct master *m, struct peer *p, const struct msg_reply *r);
void master_send_msg(struct peer *p, const char *type, const struct schema *s, const void *msg);
void master_nodes_tick(struct master *m); /* closes the links of who is silent for as long as makes a node lost */
void master_nodes_reset(struct master *m); /* a new core: tell it who is connected; or none: tell everybody that we are not master */
void master_nodes_redirect(struct master *m); /* a standby has looked: nodes that wait here are told of a master */
void master_forget_links(struct master *m);

/* ---- admit.c: tokens, joins, certificates ---- */
int master_prepare_token(struct master *m, struct msg_request *r, struct err *err) WARN_UNUSED;
void master_finish_token(struct master *m, struct msg_reply *r);
void master_join(struct master *m, struct peer *p, const struct msg_join *j);
void master_joined(struct master *m, uint64_t client, const struct msg_reply *r);
void master_sign(struct master *m, struct peer *p, const struct msg_sign *s);

/* ---- members.c: etcd membership ---- */
void master_store_step(struct master *m, const struct core_action *a);
void master_follow_voters(struct master *m); /* store endpoints := voters */

/* ---- address.c: the cluster address ---- */
void master_address_up(struct master *m);
void master_address_down(struct master *m);

#endif
