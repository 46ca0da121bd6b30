/* SPDX-License-Identifier: Apache-2.0 */
/* A link from within: link.c moves bytes and ends links, link_server.c makes them. Inside io/link* only. */
#ifndef IO_LINK_INSIDE_H
#define IO_LINK_INSIDE_H

#include <gnutls/gnutls.h>
#include <uv.h>

#include "common/buf.h"
#include "common/list.h"
#include "io/link.h"
#include "io/link_frame.h"
#include "io/link_tls.h"

#define LINK_HANDSHAKE_MS 5000 /* from accept or dial to the end of the handshake */
#define LINK_LINGER_MS 1000    /* for what is queued when we close, and for the peer's end */

enum link_state {
	LINK_CONNECT, /* dialled, no answer yet */
	LINK_SHAKE,   /* TLS handshake */
	LINK_OPEN,
	LINK_ENDING,  /* closed() is due */
	LINK_LINGER,  /* closed() was called; the last bytes go out */
	LINK_SHUT,    /* handles are closing; memory goes with the last one */
};

struct link {
	int state; /* enum link_state; link.c's table rules */
	struct list link; /* of the server's */
	struct link_server *server; /* NULL = dialled, or shut */
	struct link_cb cb;
	void *arg, *data;
	struct link_tls *tls;
	gnutls_session_t session;
	bool is_server, ask_only; /* ask_only: a certificate is not insisted on */
	bool judged;              /* the peer's certificate was, and found good */
	char pin[65];
	char peer[UUID_LEN + 1];
	char remote[ADDR_LEN + 1];

	uv_tcp_t tcp;
	uv_timer_t timer; /* handshake deadline, then closed(), then lingering */
	uv_connect_t connect;
	uv_write_t write;
	uv_shutdown_t shutdown;
	int n_handles;

	const char *in; /* bytes just read; GnuTLS takes all of them before the read callback ends */
	size_t n_in;
	bool eof;
	struct buf out, flying; /* ciphertext: next, and in libuv's hands */
	bool writing, linger, fin_sent;
	struct link_frames frames;
	struct err why;
};

struct link *link_new(uv_loop_t *uv, struct link_tls *tls, const struct link_cb *cb, void *arg);
/* The TCP connection stands: sets it up and begins the handshake. */
void link_begin(struct link *k);
void link_arm_deadline(struct link *k);
/* Ends it, closed(err) follows. linger: what is queued goes out first. */
void link_end(struct link *k, const struct err *err, bool linger);
/* Ends it here and now: closed() comes from inside unless it came before. */
void link_end_now(struct link *k, const struct err *err);
void link_remember_remote(struct link *k, const struct sockaddr *sa);
/* Told by link.c when a link of the server's is shut. */
void link_server_lost(struct link_server *s, struct link *k);

#endif
