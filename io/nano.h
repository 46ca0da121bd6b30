/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Local requests on nanomsg: ipc:// only, AF_SP_RAW, own request ids. The cooked REQ socket is never used: it executes
 * requests again when it reconnects (reference/dependencies.md 1.3). Messages are JSON texts: requests of at most
 * MESSAGE_MAX bytes, replies of at most REPLY_MAX.
 * Who may connect is decided by the socket's directory; who it was comes from a ticket (SO_PEERCRED) taken at PATH.ticket.
 */
#ifndef IO_NANO_H
#define IO_NANO_H

#include <stdint.h>

#include "common/err.h"

/* ---- client, blocking; this part needs neither libuv, libcurl nor GnuTLS (library io/libnanoclient.a) ---- */

struct nano_client;
/* Checks first that path exists and may be written (nn_connect never fails), takes a ticket, connects. -ERR_NO_DAEMON, -ERR_PERMISSION. */
int nano_client_open(const char *path, struct nano_client **ret, struct err *err) WARN_UNUSED;
/* One request, one reply: sends text, waits up to timeout_ms for the reply with this request's id. Gives *ret_text. -ERR_TIMEOUT. */
int nano_client_call(struct nano_client *c, const char *text, int timeout_ms, char **ret_text, struct err *err) WARN_UNUSED;
const char *nano_client_ticket(const struct nano_client *c); /* 64 hex digits, "" = none */
void nano_client_close(struct nano_client *c);
DEFINE_CLEANUP(struct nano_client *, nano_client_close);

/* ---- server, on a loop ---- */

struct loop;
struct nano_server;
struct nano_from { /* whom to answer; copy it */
	unsigned char hops[64];
	int n;
};
/* What the ticket said; uid = -1 when there was no valid one. */
struct nano_who {
	int64_t uid, pid;
	char user[64];
};
typedef void nano_on_request(void *arg, const struct nano_from *from, const char *text, size_t len);

/* Binds path (directory must exist, mode is the access rule) and path.ticket. mode: of the socket file. */
int nano_server_new(struct loop *l, const char *path, unsigned mode, nano_on_request *fn, void *arg,
		    struct nano_server **ret, struct err *err) WARN_UNUSED;
/* Single use: a ticket is good once, for 60 s. */
void nano_server_redeem(struct nano_server *s, const char *ticket, struct nano_who *ret);
/* Sends a reply; a client that has gone is no error. Asserts len <= REPLY_MAX. */
void nano_server_reply(struct nano_server *s, const struct nano_from *to, const char *text, size_t len);
void nano_server_free(struct nano_server *s);

#endif
