/* SPDX-License-Identifier: Apache-2.0 */
#include "io/pki_x509.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include <sodium.h>

int pki_fail(struct err *err, enum err_code code, int tls_rc, const char *what)
{
	char why[160];

	/* GnuTLS writes sentences; ours are parts of a line. */
	(void)snprintf(why, sizeof(why), "%s", gnutls_strerror(tls_rc));
	size_t n = strlen(why);
	if (n > 0 && why[n - 1] == '.')
		why[n - 1] = '\0';
	if (n > 1 && islower((unsigned char)why[1]))
		why[0] = (char)tolower((unsigned char)why[0]);
	return err_set(err, code, "%s: %s", what, why);
}

int pki_datum(const char *pem, const char *what, gnutls_datum_t *ret, struct err *err)
{
	size_t n = pem ? strnlen(pem, PKI_PEM_MAX + 1) : 0;

	if (n == 0)
		return err_set(err, ERR_TLS, "the %s is empty", what);
	if (n > PKI_PEM_MAX)
		return err_set(err, ERR_TLS, "the %s has more than %zu KiB", what, PKI_PEM_MAX / 1024);
	ret->data = (unsigned char *)(uintptr_t)pem; /* GnuTLS only reads it */
	ret->size = (unsigned)n;
	return 0;
}

int pki_load_crt(const char *pem, gnutls_x509_crt_t *ret, struct err *err)
{
	AUTO(gnutls_x509_crt_deinit) gnutls_x509_crt_t crt = NULL;
	gnutls_datum_t text;

	int rc = pki_datum(pem, "certificate", &text, err);
	if (rc < 0)
		return rc;
	rc = gnutls_x509_crt_init(&crt);
	if (rc >= 0)
		rc = gnutls_x509_crt_import(crt, &text, GNUTLS_X509_FMT_PEM);
	if (rc < 0)
		return pki_fail(err, ERR_TLS, rc, "cannot read a certificate");
	*ret = TAKE(crt);
	return 0;
}

int pki_load_key(const char *pem, gnutls_x509_privkey_t *ret, struct err *err)
{
	AUTO(gnutls_x509_privkey_deinit) gnutls_x509_privkey_t key = NULL;
	gnutls_datum_t text;

	int rc = pki_datum(pem, "private key", &text, err);
	if (rc < 0)
		return rc;
	rc = gnutls_x509_privkey_init(&key);
	if (rc >= 0)
		rc = gnutls_x509_privkey_import2(key, &text, GNUTLS_X509_FMT_PEM, NULL, GNUTLS_PKCS_PLAIN);
	if (rc < 0)
		return pki_fail(err, ERR_TLS, rc, "cannot read a private key");
	*ret = TAKE(key);
	return 0;
}

int pki_crt_fingerprint(gnutls_x509_crt_t crt, char out[65], struct err *err)
{
	unsigned char sum[32];
	size_t n = sizeof(sum);

	int rc = gnutls_x509_crt_get_fingerprint(crt, GNUTLS_DIG_SHA256, sum, &n);
	if (rc < 0 || n != sizeof(sum))
		return pki_fail(err, ERR_TLS, rc, "cannot take a certificate's fingerprint");
	(void)sodium_bin2hex(out, 65, sum, sizeof(sum));
	return 0;
}

bool pki_is_uuid(const char *text, size_t len)
{
	if (len != UUID_LEN)
		return false;
	for (size_t i = 0; i < len; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;
		bool digit = (text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f');

		if (dash ? text[i] != '-' : !digit)
			return false;
	}
	return true;
}

int pki_crt_node(gnutls_x509_crt_t crt, char out[UUID_LEN + 1], struct err *err)
{
	static const char prefix[] = PKI_NODE_URI;
	char found[UUID_LEN + 1] = "";
	int rc;

	for (unsigned i = 0;; i++) {
		char san[512];
		size_t n = sizeof(san);

		rc = gnutls_x509_crt_get_subject_alt_name(crt, i, san, &n, NULL);
		if (rc == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
			break;
		if (rc == GNUTLS_E_SHORT_MEMORY_BUFFER || rc == GNUTLS_SAN_OTHERNAME)
			continue; /* not one of ours */
		if (rc < 0)
			return pki_fail(err, ERR_TLS, rc, "cannot read a certificate's names");
		if (rc != GNUTLS_SAN_URI || n < sizeof(prefix) - 1 || memcmp(san, prefix, sizeof(prefix) - 1) != 0)
			continue;
		if (found[0] || !pki_is_uuid(san + sizeof(prefix) - 1, n - (sizeof(prefix) - 1)))
			return err_set(err, ERR_TLS, "the certificate does not name exactly one node");
		memcpy(found, san + sizeof(prefix) - 1, UUID_LEN);
		found[UUID_LEN] = '\0';
	}
	if (!found[0])
		return err_set(err, ERR_TLS, "the certificate names no node");
	memcpy(out, found, sizeof(found));
	return 0;
}
