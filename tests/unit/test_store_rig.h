/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the store's tests need around them: a real etcd on loopback in a directory of its own, certificates, a TCP proxy
 * that loses things on command, and calls that wait. Everything that goes wrong here fails the test at once.
 */
#ifndef TEST_STORE_RIG_H
#define TEST_STORE_RIG_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "io/loop.h"
#include "io/store.h"

#define RIG_CALL_MS 20000 /* time-out of ordinary calls: the machine may be busy. Below four seconds a try has only one (io/store_etcd.c), which made writes late and so unknown */
#define RIG_BROKEN_MS 5000 /* of calls to a store that was broken on purpose: each is waited for to its end */

char *rig_dir_new(void);            /* gives */
void rig_dir_free(char *dir);       /* takes; removes what is in it */
int rig_free_port(void);

/* ---- etcd ---- */

struct rig_tls {
	char *ca, *cert, *key; /* paths */
};
void rig_tls_make(const char *dir, struct rig_tls *ret); /* a CA and one certificate for 127.0.0.1 */
void rig_tls_done(struct rig_tls *t);

struct rig_etcd {
	pid_t pid; /* 0 = does not run */
	char *name, *dir, *conf_file, *url, *peer_url;
	int client_port, peer_port;
};
/* Starts one on free ports with the file that etcd_conf_text() writes. tls NULL = http. The first member of a cluster. */
void rig_etcd_start(struct rig_etcd *e, const char *dir, const char *name, const struct rig_tls *tls);
/* Chooses ports and URLs for a member that is to join; start it with rig_etcd_join() after it was added. */
void rig_etcd_plan(struct rig_etcd *e, const char *dir, const char *name, const struct rig_tls *tls);
void rig_etcd_join(struct rig_etcd *e, const struct rig_etcd *first, const struct rig_tls *tls);
void rig_etcd_run(struct rig_etcd *e);  /* again, after a stop: same file, same ports */
void rig_etcd_kill(struct rig_etcd *e); /* SIGKILL, also while it is stopped; waits */
void rig_etcd_done(struct rig_etcd *e);

/* ---- proxy ---- */

enum rig_proxy_mode {
	RIG_PASS,
	RIG_SWALLOW, /* requests go through, answers do not */
	RIG_CUT,     /* requests go through, the answer's arrival closes the connection */
	RIG_HOLD,    /* requests wait; they go through when the mode is PASS again, even if the client has gone */
	RIG_DROP,    /* requests are read and forgotten */
};
struct rig_proxy;
struct rig_proxy *rig_proxy_new(int upstream_port);
int rig_proxy_port(const struct rig_proxy *p);
void rig_proxy_set(struct rig_proxy *p, enum rig_proxy_mode mode);
int rig_proxy_accepted(const struct rig_proxy *p); /* connections so far */
void rig_proxy_free(struct rig_proxy *p);

/* ---- calls that wait ---- */

struct rig_answer {
	int n_calls; /* of the callback */
	bool inside; /* it came from inside the call */
	enum store_outcome outcome;
	int64_t revision;
	struct store_kv *kvs; /* owned copy */
	int n_kvs;
	struct err err;
	int64_t took_ms;
	/* member calls */
	int rc;
	struct store_member members[8];
	int n_members;
	struct loop *loop; /* is stopped by the answer; NULL = mem */
};
void rig_answer_done(struct rig_answer *a);
store_cb rig_on_answer;
store_members_cb rig_on_members;
/* Runs the loop until a came; fails after 30 s. */
void rig_wait(struct loop *l, struct rig_answer *a);
void rig_run_ms(struct loop *l, int64_t ms);

struct store *rig_store(struct loop *l, const char *const *urls, const struct rig_tls *tls);
/* Reads until it answers: a fresh etcd needs a second or two. */
void rig_await_ready(struct loop *l, struct store *s);

#endif
