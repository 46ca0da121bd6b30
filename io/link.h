/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Node links: TCP, TLS 1.3 with certificates on both sides (cluster CA), then frames: 4 bytes length (big endian), that
 * many bytes of JSON (at most FRAME_MAX). The peer's identity is the node uuid in its certificate's URI SAN
 * "gantry:node:<uuid>". Handshake time-out 5 s, connection cap, idle connections are the caller's to notice.
 */
#ifndef IO_LINK_H
#define IO_LINK_H

#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "io/loop.h"
#include "schema/limits.h"

struct link;        /* one connection */
struct link_server;
struct link_tls;    /* credentials */

struct link_cb {
	/* After the handshake. peer = node uuid, "" for an anonymous joiner (server with allow_anonymous only). */
	void (*open)(void *arg, struct link *k, const char *peer);
	void (*frame)(void *arg, struct link *k, const char *text, size_t len);
	/* Exactly once, last; also when it never opened. The link is freed after it returns. err says why. */
	void (*closed)(void *arg, struct link *k, const struct err *err);
};

/* PEM texts. Reference counted: links keep what they use, so renewing is making a new one. */
int link_tls_new(const char *ca_pem, const char *cert_pem, const char *key_pem, const char *crl_pem,
		 struct link_tls **ret, struct err *err) WARN_UNUSED;
void link_tls_unref(struct link_tls *t);

/* Listens on address ("" = all) and port. With allow_anonymous a client without certificate is let in as peer "". */
int link_server_new(struct loop *l, const char *address, int port, struct link_tls *tls, bool allow_anonymous,
		    const struct link_cb *cb, void *arg, struct link_server **ret, struct err *err) WARN_UNUSED;
void link_server_set_tls(struct link_server *s, struct link_tls *tls);
void link_server_free(struct link_server *s); /* closes its links too */

/*
 * Dials address:port, from local_address when not "". With tls made without a certificate of its own it joins anonymously;
 * pin = sha256 (64 hex) of the CA certificate to accept instead of a known CA ("" = use the CA).
 */
struct link *link_dial(struct loop *l, const char *address, int port, const char *local_address, struct link_tls *tls,
		       const char *pin, const struct link_cb *cb, void *arg);
/* Queues a frame. -ERR_TOO_BIG when over FRAME_MAX or when more than 16 MiB wait unsent (then the link is closed). */
int link_send(struct link *k, const char *text, size_t len);
void link_close(struct link *k); /* closed() follows, asynchronously */
const char *link_peer(const struct link *k);
const char *link_remote_address(const struct link *k);
void *link_data(const struct link *k);
void link_set_data(struct link *k, void *data);

#endif
