/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POST requests to etcd members on a loop (libcurl's multi interface behind it, HTTP/1.1, connections kept alive). Its one
 * promise beyond HTTP: a request's body leaves this process at most once, and the end says whether it can have left.
 */
#ifndef IO_ETCD_HTTP_H
#define IO_ETCD_HTTP_H

#include <stddef.h>

#include "common/err.h"

struct loop;
struct etcd_http;
struct etcd_http_req;

enum etcd_http_end {
	ETCD_HTTP_ANSWER,   /* a whole answer */
	ETCD_HTTP_NOT_SENT, /* the server cannot have received the whole request */
	ETCD_HTTP_SENT,     /* it may have; no (whole) answer came */
};

struct etcd_http_result {
	enum etcd_http_end end;
	int status;           /* ANSWER */
	const char *body;     /* ANSWER; borrowed for the callback */
	size_t len;
	bool too_big;         /* SENT: the answer was over the limit */
	const struct err *err; /* NOT_SENT, SENT */
};
/* Exactly once, never from inside etcd_http_post(); not after etcd_http_cancel() or etcd_http_free(). */
typedef void etcd_http_cb(void *arg, const struct etcd_http_result *res);

/* PEM files, read again for each new connection; ca_file NULL = plain http only. */
int etcd_http_new(struct loop *l, const char *ca_file, const char *cert_file, const char *key_file, struct etcd_http **ret,
		  struct err *err) WARN_UNUSED;
/* Borrows body until the callback. */
struct etcd_http_req *etcd_http_post(struct etcd_http *h, const char *url, const char *body, size_t len,
				     size_t reply_bytes_max, int timeout_ms, etcd_http_cb *cb, void *arg);
void etcd_http_cancel(struct etcd_http_req *r);
/* Also from inside a callback. */
void etcd_http_free(struct etcd_http *h);
DEFINE_CLEANUP(struct etcd_http *, etcd_http_free);

#endif
