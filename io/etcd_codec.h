/* SPDX-License-Identifier: Apache-2.0 */
/*
 * etcd's JSON gateway as texts: pure encode, decode, and the judgement of its errors. Keys and values travel in base64,
 * int64 as decimal strings, and fields that are zero, false or empty are left out.
 */
#ifndef IO_ETCD_CODEC_H
#define IO_ETCD_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

struct buf;
struct store_cmp;
struct store_op;
struct store_kv;
struct store_member;

#define ETCD_REPLY_MAX ((size_t)32 * 1024 * 1024) /* bytes of one answer */
#define ETCD_MEMBERS_MAX 32

void etcd_base64(struct buf *out, const char *data, size_t len);
/* Strict: padding needed, nothing else in between. Gives *ret, which has a NUL behind *ret_len bytes. -ERR_STORE. */
int etcd_unbase64(const char *text, size_t len, char **ret, size_t *ret_len, struct err *err) WARN_UNUSED;

/* ---- requests: appended to out ---- */

void etcd_encode_txn(struct buf *out, const struct store_cmp *cmps, int n_cmps, const struct store_op *ops, int n_ops);

struct etcd_range {
	const char *key;   /* a key or a prefix; the empty prefix is everything */
	bool exact;
	const char *after; /* the last key of the page before, NULL = first page */
	int64_t limit;
	int64_t revision;  /* 0 = now */
	bool serializable; /* as the member that is asked has it */
};
void etcd_encode_range(struct buf *out, const struct etcd_range *r);

void etcd_encode_member_add(struct buf *out, const char *peer_url, bool learner);
void etcd_encode_member_id(struct buf *out, const char *id); /* promote, remove */

/* ---- answers: -ERR_STORE when they are not what etcd says ---- */

struct etcd_txn_reply {
	bool committed;
	int64_t revision;
};
int etcd_decode_txn(const char *text, size_t len, struct etcd_txn_reply *ret, struct err *err) WARN_UNUSED;

struct etcd_page {
	struct store_kv *kvs; /* owned, as are the texts */
	int n_kvs;
	int64_t revision;
	bool more;
};
int etcd_decode_range(const char *text, size_t len, struct etcd_page *ret, struct err *err) WARN_UNUSED;
void etcd_kvs_free(struct store_kv *kvs, int n_kvs);

/* Gives *ret (free()). */
int etcd_decode_members(const char *text, size_t len, struct store_member **ret, int *ret_n, struct err *err) WARN_UNUSED;

/* ---- errors ---- */

enum etcd_verdict {
	ETCD_DONE,     /* status 200: decode it */
	ETCD_REFUSED,  /* certainly not executed, and no other member will do it either */
	ETCD_NOT_HERE, /* certainly not executed by this member; another one may */
	ETCD_RESTART,  /* reads: the revision of the pages is gone, begin again */
	ETCD_MAYBE,    /* a write may have been executed or may yet be */
};
/* err says what etcd said, as a read would report it (a write makes MAYBE an ERR_UNKNOWN_OUTCOME). */
enum etcd_verdict etcd_judge(int http_status, const char *text, size_t len, struct err *err);
/* The same for calls that change the membership, which etcd refuses for reasons of their own. */
enum etcd_verdict etcd_judge_member(int http_status, const char *text, size_t len, struct err *err);

#endif
