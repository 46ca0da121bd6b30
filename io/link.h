/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Node links: TCP, TLS 1.3 with certificates on both sides (cluster CA), then frames: 4 bytes length (big endian), that
 * many bytes of JSON (at most FRAME_MAX). The peer's identity is the node uuid in its certificate's URI SAN
 * "gantry:node:<uuid>". Handshake time-out 5 s, connection cap, idle connections are the caller's to notice.
 * All calls on the loop's thread. Close what is open before loop_free(): it waits for handles that nobody closed.
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

#define LINK_CONNECTIONS_MAX 1024             /* of one server; past it who is oldest of the strangers goes */
#define LINK_WAITING_MAX (16 * 1024 * 1024)   /* bytes unsent on one link */
#define LINK_ANONYMOUS_FRAME_MAX (64 * 1024)  /* what a joiner without certificate may send at once */

struct link_cb {
	/*
	 * After the handshake. peer = node uuid, "" for an anonymous joiner (server with allow_anonymous only). In TLS 1.3
	 * a client is done before the server has judged its certificate: a refusal comes as closed() after open(); the
	 * server's first frame is what proves that one is in.
	 */
	void (*open)(void *arg, struct link *k, const char *peer);
	void (*frame)(void *arg, struct link *k, const char *text, size_t len);
	/*
	 * Exactly once, last; also when it never opened. The link is freed after it returns. err says why: ERR_CANCELED = this
	 * side closed it, ERR_NODE_DOWN = the peer did or vanished, ERR_TLS, ERR_TIMEOUT, ERR_TOO_BIG, ERR_BAD_REQUEST.
	 */
	void (*closed)(void *arg, struct link *k, const struct err *err);
};

/*
 * PEM texts; ca_pem may hold several CAs (while one is replaced). "" or NULL = none: certificate and key go together and
 * need a CA; without CA it is good for link_dial() with a pin. The CA is sent along with the certificate, for pins.
 * Reference counted: links keep what they use, so renewing is making a new one.
 */
int link_tls_new(const char *ca_pem, const char *cert_pem, const char *key_pem, const char *crl_pem,
		 struct link_tls **ret, struct err *err) WARN_UNUSED;
void link_tls_unref(struct link_tls *t);

/* Listens on address ("" = all) and port. With allow_anonymous a client without certificate is let in as peer "". */
int link_server_new(struct loop *l, const char *address, int port, struct link_tls *tls, bool allow_anonymous,
		    const struct link_cb *cb, void *arg, struct link_server **ret, struct err *err) WARN_UNUSED;
void link_server_set_tls(struct link_server *s, struct link_tls *tls);
int link_server_port(const struct link_server *s); /* what it listens on; asked for port 0, the kernel's choice */
/* Closes its links too, at once and without flushing: their closed() come before it returns, no callback after. */
void link_server_free(struct link_server *s);

/*
 * Dials address:port, from local_address when not "". With tls made without a certificate of its own it joins anonymously;
 * pin = sha256 (64 hex) of the CA certificate to accept instead of a known CA ("" = use the CA): it must be in the chain
 * that the server shows, and sign it. Addresses are numbers, never names. Never NULL: what fails comes as closed().
 */
struct link *link_dial(struct loop *l, const char *address, int port, const char *local_address, struct link_tls *tls,
		       const char *pin, const struct link_cb *cb, void *arg);
/*
 * Queues a frame. -ERR_TOO_BIG when over FRAME_MAX (nothing happens) or when more than LINK_WAITING_MAX would wait unsent
 * (then the link is closed); -ERR_NODE_DOWN when the link is not open (yet, or any more).
 */
int link_send(struct link *k, const char *text, size_t len);
/* What is queued is still sent (for up to a second); no frame() comes any more, closed() follows, asynchronously. */
void link_close(struct link *k);
/* link_close() for an owner that goes too: closed() neither comes any more, also when it was due. */
void link_forget(struct link *k);
const char *link_peer(const struct link *k);
const char *link_remote_address(const struct link *k);
void *link_data(const struct link *k);
void link_set_data(struct link *k, void *data);

#endif
