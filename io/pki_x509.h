/* SPDX-License-Identifier: Apache-2.0 */
/* What pki.c and link_tls.c share on top of GnuTLS. Not for other folders: they need no GnuTLS header. */
#ifndef IO_PKI_X509_H
#define IO_PKI_X509_H

#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

#include "common/err.h"
#include "schema/limits.h"

DEFINE_CLEANUP(gnutls_x509_crt_t, gnutls_x509_crt_deinit);
DEFINE_CLEANUP(gnutls_x509_crl_t, gnutls_x509_crl_deinit);
DEFINE_CLEANUP(gnutls_x509_crq_t, gnutls_x509_crq_deinit);
DEFINE_CLEANUP(gnutls_x509_privkey_t, gnutls_x509_privkey_deinit);
DEFINE_CLEANUP(gnutls_pubkey_t, gnutls_pubkey_deinit);

#define PKI_PEM_MAX ((size_t)64 * 1024) /* of one text: certificates with their chain, revocation lists */
#define PKI_NODE_URI "gantry:node:"     /* and the uuid behind it */

/* Fills err from a GnuTLS result: "what: reason". */
int pki_fail(struct err *err, enum err_code code, int tls_rc, const char *what);
/* A view of a PEM text; -ERR_TLS when it is empty or too long. */
int pki_datum(const char *pem, const char *what, gnutls_datum_t *ret, struct err *err) WARN_UNUSED;
/* The first certificate of a PEM text / a plain private key. Give new objects. */
int pki_load_crt(const char *pem, gnutls_x509_crt_t *ret, struct err *err) WARN_UNUSED;
int pki_load_key(const char *pem, gnutls_x509_privkey_t *ret, struct err *err) WARN_UNUSED;
int pki_crt_fingerprint(gnutls_x509_crt_t crt, char out[65], struct err *err) WARN_UNUSED;
/*
 * The node uuid that a certificate names. -ERR_TLS unless there is exactly one URI of ours in it and that holds a
 * uuid in small letters: two identities in one certificate are none.
 */
int pki_crt_node(gnutls_x509_crt_t crt, char out[UUID_LEN + 1], struct err *err) WARN_UNUSED;
bool pki_is_uuid(const char *text, size_t len);

#endif
