/* SPDX-License-Identifier: Apache-2.0 */
#include "io/link_tls.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "common/xmem.h"
#include "io/pki_x509.h"

#define CHAIN_MAX 8 /* certificates of a CA bundle, or of the chain that a peer sends */

struct link_tls {
	int refs;
	gnutls_certificate_credentials_t cred;
	gnutls_priority_t priority;
	gnutls_x509_trust_list_t trust; /* NULL = no CA known: good for dialling with a pin only */
	bool has_certificate;
};

struct chain {
	gnutls_x509_crt_t crt[CHAIN_MAX];
	unsigned n;
};

static void chain_done(struct chain *c)
{
	for (unsigned i = 0; i < c->n; i++)
		gnutls_x509_crt_deinit(c->crt[i]);
	c->n = 0;
}
#define AUTO_CHAIN __attribute__((cleanup(chain_done)))

static int chain_of_pem(const char *pem, const char *what, struct chain *c, struct err *err)
{
	gnutls_datum_t text;
	unsigned n = CHAIN_MAX;

	int rc = pki_datum(pem, what, &text, err);
	if (rc < 0)
		return rc;
	rc = gnutls_x509_crt_list_import(c->crt, &n, &text, GNUTLS_X509_FMT_PEM,
					 GNUTLS_X509_CRT_LIST_IMPORT_FAIL_IF_EXCEED);
	if (rc < 0) {
		(void)pki_fail(err, ERR_TLS, rc, "cannot read");
		return err_wrap(err, "%s", what);
	}
	c->n = (unsigned)rc;
	return 0;
}

static bool given(const char *pem)
{
	return pem && *pem;
}

static int load_trust(struct link_tls *t, const char *ca_pem, const char *crl_pem, struct err *err)
{
	gnutls_datum_t ca, crl;

	int rc = pki_datum(ca_pem, "CA certificate", &ca, err);
	if (rc < 0)
		return rc;
	rc = gnutls_x509_trust_list_init(&t->trust, 0);
	if (rc >= 0)
		rc = gnutls_x509_trust_list_add_trust_mem(t->trust, &ca, NULL, GNUTLS_X509_FMT_PEM, 0, 0);
	if (rc < 0)
		return pki_fail(err, ERR_TLS, rc, "cannot read the CA certificate");
	if (rc == 0)
		return err_set(err, ERR_TLS, "no certificate is in the CA's text");
	if (!given(crl_pem))
		return 0;
	rc = pki_datum(crl_pem, "revocation list", &crl, err);
	if (rc < 0)
		return rc;
	rc = gnutls_x509_trust_list_add_trust_mem(t->trust, NULL, &crl, GNUTLS_X509_FMT_PEM,
						  GNUTLS_TL_VERIFY_CRL | GNUTLS_TL_FAIL_ON_INVALID_CRL, 0);
	if (rc < 0)
		return pki_fail(err, ERR_TLS, rc, "cannot use the revocation list");
	if (rc == 0)
		return err_set(err, ERR_TLS, "the revocation list is not signed by the CA");
	return 0;
}

/*
 * Puts the CA that signed our certificate behind it, unless it is there: a joiner knows the CA by its fingerprint
 * only and must be shown it.
 */
static int add_issuer(struct chain *own, const char *ca_pem, struct err *err)
{
	AUTO_CHAIN struct chain ca = { .n = 0 };

	int rc = chain_of_pem(ca_pem, "CA certificate", &ca, err);
	if (rc < 0)
		return rc;
	gnutls_x509_crt_t last = own->crt[own->n - 1];
	for (unsigned i = 0; i < ca.n; i++) {
		unsigned status = 0;

		if (gnutls_x509_crt_verify(last, &ca.crt[i], 1, GNUTLS_VERIFY_DISABLE_TIME_CHECKS, &status) < 0 || status)
			continue;
		if (gnutls_x509_crt_equals(last, ca.crt[i]) || own->n == CHAIN_MAX)
			return 0;
		own->crt[own->n++] = ca.crt[i];
		ca.crt[i] = ca.crt[--ca.n]; /* it is the chain's now */
		return 0;
	}
	return err_set(err, ERR_TLS, "the node's own certificate was not signed by the CA");
}

static int load_own(struct link_tls *t, const char *ca_pem, const char *cert_pem, const char *key_pem, struct err *err)
{
	AUTO(gnutls_x509_privkey_deinit) gnutls_x509_privkey_t key = NULL;
	AUTO_CHAIN struct chain own = { .n = 0 };

	int rc = chain_of_pem(cert_pem, "node's own certificate", &own, err);
	if (rc == 0)
		rc = add_issuer(&own, ca_pem, err);
	if (rc == 0)
		rc = pki_load_key(key_pem, &key, err);
	if (rc < 0)
		return rc;
	rc = gnutls_certificate_set_x509_key(t->cred, own.crt, (int)own.n, key);
	if (rc < 0)
		return pki_fail(err, ERR_TLS, rc, "cannot use the node's own certificate and key");
	t->has_certificate = true;
	return 0;
}

int link_tls_new(const char *ca_pem, const char *cert_pem, const char *key_pem, const char *crl_pem,
		 struct link_tls **ret, struct err *err)
{
	struct link_tls *t = xcalloc(1, sizeof(*t));

	t->refs = 1;
	int rc = gnutls_certificate_allocate_credentials(&t->cred);
	if (rc >= 0)
		rc = gnutls_priority_init(&t->priority, "NORMAL:-VERS-ALL:+VERS-TLS1.3", NULL);
	if (rc < 0)
		rc = pki_fail(err, ERR_TLS, rc, "cannot set up TLS");
	if (rc == 0 && given(ca_pem))
		rc = load_trust(t, ca_pem, crl_pem, err);
	if (rc == 0 && (given(cert_pem) || given(key_pem))) {
		if (given(ca_pem) && given(cert_pem) && given(key_pem))
			rc = load_own(t, ca_pem, cert_pem, key_pem, err);
		else
			rc = err_set(err, ERR_TLS, "a certificate needs its key and its CA");
	}
	if (rc < 0) {
		link_tls_unref(t);
		return rc;
	}
	*ret = t;
	return 0;
}

struct link_tls *link_tls_ref(struct link_tls *t)
{
	assert(t->refs > 0);
	t->refs++;
	return t;
}

void link_tls_unref(struct link_tls *t)
{
	if (!t)
		return;
	assert(t->refs > 0);
	if (--t->refs > 0)
		return;
	if (t->cred)
		gnutls_certificate_free_credentials(t->cred);
	if (t->priority)
		gnutls_priority_deinit(t->priority);
	if (t->trust)
		gnutls_x509_trust_list_deinit(t->trust, 1);
	free(t);
}

bool link_tls_knows_ca(const struct link_tls *t)
{
	return t->trust != NULL;
}

bool link_tls_has_certificate(const struct link_tls *t)
{
	return t->has_certificate;
}

int link_tls_session(struct link_tls *t, bool server, bool ask, gnutls_session_t *ret, struct err *err)
{
	unsigned flags = GNUTLS_NONBLOCK | GNUTLS_NO_TICKETS | GNUTLS_NO_AUTO_SEND_TICKET;
	gnutls_session_t s = NULL;

	int rc = gnutls_init(&s, flags | (server ? GNUTLS_SERVER : GNUTLS_CLIENT));
	if (rc < 0)
		return pki_fail(err, ERR_TLS, rc, "cannot set up TLS");
	rc = gnutls_priority_set(s, t->priority);
	if (rc >= 0)
		rc = gnutls_credentials_set(s, GNUTLS_CRD_CERTIFICATE, t->cred);
	if (rc < 0) {
		gnutls_deinit(s);
		return pki_fail(err, ERR_TLS, rc, "cannot set up TLS");
	}
	if (server)
		gnutls_certificate_server_set_request(s, ask ? GNUTLS_CERT_REQUEST : GNUTLS_CERT_REQUIRE);
	gnutls_handshake_set_timeout(s, 0); /* the link's own timer has the deadline */
	*ret = s;
	return 0;
}

/* ---- the peer's certificate ------------------------------------------------------------------------------------ */

static int chain_of_session(gnutls_session_t s, struct chain *c, struct err *err)
{
	unsigned n = 0;
	const gnutls_datum_t *der = gnutls_certificate_get_peers(s, &n);

	if (!der || n == 0)
		return err_set(err, ERR_TLS, "the peer showed no certificate");
	if (n > CHAIN_MAX)
		return err_set(err, ERR_TLS, "the peer showed a chain of %u certificates, at most %d are allowed", n,
			       CHAIN_MAX);
	for (unsigned i = 0; i < n; i++) {
		gnutls_x509_crt_t crt = NULL;

		int rc = gnutls_x509_crt_init(&crt);
		if (rc < 0)
			return pki_fail(err, ERR_TLS, rc, "cannot read the peer's certificate");
		c->crt[c->n++] = crt;
		rc = gnutls_x509_crt_import(crt, &der[i], GNUTLS_X509_FMT_DER);
		if (rc < 0)
			return pki_fail(err, ERR_TLS, rc, "cannot read the peer's certificate");
	}
	return 0;
}

static int status_error(unsigned status, struct err *err)
{
	if (status & GNUTLS_CERT_REVOKED) {
		(void)err_set(err, ERR_TLS, "the peer's certificate was revoked");
		return err_hint(err, "if the node shall be in the cluster again, join it anew");
	}
	if (status & (GNUTLS_CERT_REVOCATION_DATA_SUPERSEDED | GNUTLS_CERT_REVOCATION_DATA_ISSUED_IN_FUTURE)) {
		(void)err_set(err, ERR_TLS, "the revocation list is not valid now");
		return err_hint(err, "look at this node's clock, and whether the CA has expired: 'gnt cluster verify'");
	}
	if (status & GNUTLS_CERT_EXPIRED) {
		(void)err_set(err, ERR_TLS, "the peer's certificate has expired");
		return err_hint(err, "renew it with 'gnt cluster renew-crypto'; if it should be valid, look at the clocks");
	}
	if (status & GNUTLS_CERT_NOT_ACTIVATED) {
		(void)err_set(err, ERR_TLS, "the peer's certificate is not valid yet");
		return err_hint(err, "look at the clocks of both nodes");
	}
	if (status & GNUTLS_CERT_PURPOSE_MISMATCH)
		return err_set(err, ERR_TLS, "the peer's certificate is not for this use");
	return err_set(err, ERR_TLS, "the peer's certificate was not signed by this cluster's CA");
}

static int verify_with(gnutls_x509_trust_list_t trust, struct chain *c, bool peer_is_client, struct err *err)
{
	static const char for_client[] = GNUTLS_KP_TLS_WWW_CLIENT, for_server[] = GNUTLS_KP_TLS_WWW_SERVER;
	gnutls_typed_vdata_st use = { .type = GNUTLS_DT_KEY_PURPOSE_OID,
				      .data = (unsigned char *)(uintptr_t)(peer_is_client ? for_client : for_server) };
	unsigned status = 0;

	int rc = gnutls_x509_trust_list_verify_crt2(trust, c->crt, c->n, &use, 1, 0, &status, NULL);
	if (rc < 0)
		return pki_fail(err, ERR_TLS, rc, "cannot verify the peer's certificate");
	return status ? status_error(status, err) : 0;
}

/* The CA is whoever has the pin's fingerprint in the chain; then all is verified as if that CA had been known. */
static int verify_pinned(struct chain *c, const char *pin, bool peer_is_client, struct err *err)
{
	gnutls_x509_trust_list_t trust = NULL;
	gnutls_x509_crt_t ca = NULL;

	for (unsigned i = 0; i < c->n && !ca; i++) {
		char print[65];

		int rc = pki_crt_fingerprint(c->crt[i], print, err);
		if (rc < 0)
			return rc;
		if (strcasecmp(print, pin) == 0 && gnutls_x509_crt_get_ca_status(c->crt[i], NULL) > 0)
			ca = c->crt[i];
	}
	if (!ca) {
		(void)err_set(err, ERR_TLS, "the server does not belong to the CA whose fingerprint was given");
		return err_hint(err, "use the token of the cluster that answers at this address, or the right address");
	}
	int rc = gnutls_x509_trust_list_init(&trust, 0);
	if (rc >= 0)
		rc = gnutls_x509_trust_list_add_cas(trust, &ca, 1, 0);
	if (rc < 0)
		rc = pki_fail(err, ERR_TLS, rc, "cannot verify the server's certificate");
	else
		rc = verify_with(trust, c, peer_is_client, err);
	if (trust)
		gnutls_x509_trust_list_deinit(trust, 0); /* the certificate stays the chain's */
	return rc;
}

int link_tls_verify(struct link_tls *t, gnutls_session_t s, bool peer_is_client, const char *pin,
		    char peer[UUID_LEN + 1], struct err *err)
{
	AUTO_CHAIN struct chain c = { .n = 0 };

	int rc = chain_of_session(s, &c, err);
	if (rc < 0)
		return rc;
	if (*pin)
		rc = verify_pinned(&c, pin, peer_is_client, err);
	else if (t->trust)
		rc = verify_with(t->trust, &c, peer_is_client, err);
	else
		rc = err_set(err, ERR_TLS, "neither a CA nor its fingerprint is known");
	return rc < 0 ? rc : pki_crt_node(c.crt[0], peer, err);
}
