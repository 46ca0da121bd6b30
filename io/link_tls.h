/* SPDX-License-Identifier: Apache-2.0 */
/* Credentials of links and the judgement on a peer's certificate. Inside io/link* only. */
#ifndef IO_LINK_TLS_H
#define IO_LINK_TLS_H

#include <stdbool.h>

#include <gnutls/gnutls.h>

#include "common/err.h"
#include "io/link.h"
#include "schema/limits.h"

struct link_tls *link_tls_ref(struct link_tls *t);
/* A session ready for the transport functions. ask = the server wants a certificate but does not insist. */
int link_tls_session(struct link_tls *t, bool server, bool ask, gnutls_session_t *ret, struct err *err) WARN_UNUSED;
/*
 * Judges the chain that the peer sent: signed by the CA (or, with a pin, by the CA of that fingerprint, which must be
 * in the chain), valid now, not revoked, for this use, and naming one node, whose uuid goes to peer.
 */
int link_tls_verify(struct link_tls *t, gnutls_session_t s, bool peer_is_client, const char *pin,
		    char peer[UUID_LEN + 1], struct err *err) WARN_UNUSED;
bool link_tls_knows_ca(const struct link_tls *t);
bool link_tls_has_certificate(const struct link_tls *t);

#endif
