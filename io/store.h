/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store: ordered keys with revisions and compare-and-write transactions. Backends: etcd (libcurl on its JSON gateway,
 * mutual TLS) and mem (tests: seeded losses). Asynchronous on a loop; every callback comes exactly once and never from
 * inside the call. A write whose answer was lost has the outcome UNKNOWN: neither yes nor no; the caller reads back.
 */
#ifndef IO_STORE_H
#define IO_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "schema/limits.h"

struct store;

enum store_outcome {
	STORE_OK,      /* committed; for reads: linearizable answer (for looks: see there) */
	STORE_REFUSED, /* a comparison failed: nothing was written */
	STORE_UNKNOWN, /* no answer: a write may or may not have happened, or may yet happen */
	STORE_FAILED,  /* for certain not executed (no member reachable, request refused); err says why */
};

enum store_cmp_kind {
	STORE_CMP_ABSENT,  /* the key does not exist */
	STORE_CMP_MOD_REV, /* the key's last change has this revision */
	STORE_CMP_CREATE_REV,
	STORE_CMP_VALUE,   /* the key's value is this text */
};

struct store_cmp {
	enum store_cmp_kind kind;
	const char *key;
	int64_t revision;  /* MOD_REV, CREATE_REV */
	const char *value; /* VALUE */
};

enum store_op_kind { STORE_PUT, STORE_DELETE, STORE_DELETE_PREFIX };
struct store_op {
	enum store_op_kind kind;
	const char *key;
	const char *value; /* PUT: NUL-terminated text */
};

struct store_kv {
	char *key, *value;
	int64_t mod_revision, create_revision;
};

struct store_result {
	enum store_outcome outcome;
	int64_t revision; /* the store's revision after it (OK) or at the answer (REFUSED) */
	const struct store_kv *kvs; /* reads: the keys found, in key order. Borrowed for the callback */
	int n_kvs;
	const struct err *err; /* UNKNOWN, FAILED */
};
typedef void store_cb(void *arg, const struct store_result *res);

struct store_ops {
	const char *name;
	/* All comparisons hold => all operations at once, else none. At most STORE_OPS_MAX ops + as many compares. Arguments are copied. */
	void (*txn)(struct store *s, const struct store_cmp *cmps, int n_cmps, const struct store_op *ops, int n_ops,
		    int timeout_ms, store_cb *cb, void *arg);
	/* Every key that begins with prefix (or is it, with exact), linearizable, at one revision (paged inside). */
	void (*read)(struct store *s, const char *key, bool exact, int timeout_ms, store_cb *cb, void *arg);
	/*
	 * The same as one member has it, the first endpoint if it answers: what was committed by some moment before the answer, not always by now
	 * (etcd: a serializable read). No leader is waited for. For whoever compares before it writes, and counts time from when it saw something.
	 */
	void (*look)(struct store *s, const char *key, bool exact, int timeout_ms, store_cb *cb, void *arg);
	void (*free)(struct store *s);
};
struct store {
	const struct store_ops *ops;
};

struct loop;

/* etcd: endpoints "https://10.0.0.1:7601", tried in turn from the last good one (looks: from the first); each try 0.5-1 s. Paths of PEM files. */
struct store_etcd_conf {
	const char *const *endpoints; /* NULL-terminated */
	const char *ca_file, *cert_file, *key_file; /* NULL = plain http (tests) */
};
int store_etcd_new(struct loop *l, const struct store_etcd_conf *conf, struct store **ret, struct err *err) WARN_UNUSED;
void store_etcd_set_endpoints(struct store *s, const char *const *endpoints);

/* Members, for voters 1 -> 3 -> 5 (etcd only; asynchronous likewise). */
struct store_member {
	char id[24]; /* decimal uint64 */
	char name[NAME_LEN + 1];
	char peer_url[128];
	bool learner, started;
};
typedef void store_members_cb(void *arg, int rc, const struct err *err, const struct store_member *m, int n);
void store_etcd_members(struct store *s, store_members_cb *cb, void *arg);
void store_etcd_member_add(struct store *s, const char *peer_url, bool learner, store_members_cb *cb, void *arg);
void store_etcd_member_promote(struct store *s, const char *id, store_members_cb *cb, void *arg);
void store_etcd_member_remove(struct store *s, const char *id, store_members_cb *cb, void *arg);

/* mem: for tests. Answers come from store_mem_pump(), so that a simulated clock decides when. */
struct store_mem_faults {
	uint64_t seed;
	int lose_reply_permille;   /* executed, answered UNKNOWN */
	int lose_request_permille; /* not executed, answered UNKNOWN */
	int late_permille;         /* answered UNKNOWN now, executed at a later pump */
};
struct store *store_mem_new(const struct store_mem_faults *f);
int store_mem_pump(struct store *s); /* delivers what is due; returns how many */
/* From outside, at once, without faults; a pump for writes that are late. Borrowed until the next call; returns how many. */
int store_mem_look(struct store *s, const char *key, bool exact, const struct store_kv **ret);
/* A second handle on the same data: another master. */
struct store *store_mem_share(struct store *s, const struct store_mem_faults *f);
void store_mem_set_faults(struct store *s, const struct store_mem_faults *f);
void store_mem_set_available(struct store *s, bool available); /* false: FAILED for every call (no majority) */

#endif
