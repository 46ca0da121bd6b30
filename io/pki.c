/* SPDX-License-Identifier: Apache-2.0 */
#include "io/pki.h"

#include <arpa/inet.h>
#include <string.h>
#include <time.h>

#include <gnutls/crypto.h>
#include <sodium.h>

#include "common/xmem.h"
#include "io/pki_x509.h"

#define DAYS_MAX 36500
#define BACKDATE_S 3600 /* clocks a little apart agree that it has begun */
#define CN_MAX 64       /* X.520's bound for a common name */
#define CSR_MAX ((size_t)16 * 1024)
#define SERIAL_BYTES 16

static char *text_of(gnutls_datum_t *d)
{
	char *s = xstrndup((const char *)d->data, d->size);

	sodium_memzero(d->data, d->size); /* it may be a key */
	gnutls_free(d->data);
	d->data = NULL;
	return s;
}

static int check_days(int days, struct err *err)
{
	if (days >= 1 && days <= DAYS_MAX)
		return 0;
	return err_set(err, ERR_BAD_VALUE, "a certificate cannot be valid for %d days (1 to %d)", days, DAYS_MAX);
}

static int check_text(const char *what, const char *s, struct err *err)
{
	size_t n = s ? strnlen(s, CN_MAX + 1) : 0;

	if (n == 0 || n > CN_MAX)
		return err_set(err, ERR_BAD_VALUE, "a certificate's %s must have 1 to %d characters", what, CN_MAX);
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)s[i] < 0x20 || s[i] == 0x7f)
			return err_set(err, ERR_BAD_VALUE, "a certificate's %s must be plain text", what);
	return 0;
}

static int check_dns(const char *s, struct err *err)
{
	size_t n = strnlen(s, 254);
	bool good = n > 0 && n < 254 && s[0] != '.' && s[0] != '-';

	for (size_t i = 0; good && i < n; i++) {
		char c = s[i];

		good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
		       c == '.' || c == '_';
	}
	return good ? 0 : err_set(err, ERR_BAD_VALUE, "'%.100s' is not a host name", s);
}

static int make_key(gnutls_x509_privkey_t *ret, struct err *err)
{
	AUTO(gnutls_x509_privkey_deinit) gnutls_x509_privkey_t key = NULL;

	int rc = gnutls_x509_privkey_init(&key);
	if (rc >= 0)
		rc = gnutls_x509_privkey_generate(key, GNUTLS_PK_ECDSA,
						  GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0);
	if (rc < 0)
		return pki_fail(err, ERR_TLS, rc, "cannot make a key");
	*ret = TAKE(key);
	return 0;
}

/* PKCS#8 in the clear: the one form that GnuTLS, Go and OpenSSL all read. */
static int export_key(gnutls_x509_privkey_t key, char **ret, struct err *err)
{
	gnutls_datum_t d = { 0 };

	int rc = gnutls_x509_privkey_export2_pkcs8(key, GNUTLS_X509_FMT_PEM, NULL, GNUTLS_PKCS_PLAIN, &d);
	if (rc < 0)
		return pki_fail(err, ERR_TLS, rc, "cannot write a key");
	*ret = text_of(&d);
	return 0;
}

static int export_crt(gnutls_x509_crt_t crt, char **ret, struct err *err)
{
	gnutls_datum_t d = { 0 };

	int rc = gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_PEM, &d);
	if (rc < 0)
		return pki_fail(err, ERR_TLS, rc, "cannot write a certificate");
	*ret = text_of(&d);
	return 0;
}

/* What every certificate of ours has: version, a random serial, validity, the id of its key. */
static int set_basics(gnutls_x509_crt_t crt, time_t until, int64_t now_s)
{
	unsigned char serial[SERIAL_BYTES], id[32];
	size_t id_len = sizeof(id);

	int rc = gnutls_rnd(GNUTLS_RND_NONCE, serial, sizeof(serial));
	serial[0] = (unsigned char)((serial[0] & 0x3f) | 0x40); /* positive and of full length */
	if (rc >= 0)
		rc = gnutls_x509_crt_set_version(crt, 3);
	if (rc >= 0)
		rc = gnutls_x509_crt_set_serial(crt, serial, sizeof(serial));
	if (rc >= 0)
		rc = gnutls_x509_crt_set_activation_time(crt, (time_t)now_s - BACKDATE_S);
	if (rc >= 0)
		rc = gnutls_x509_crt_set_expiration_time(crt, until);
	if (rc >= 0)
		rc = gnutls_x509_crt_get_key_id(crt, GNUTLS_KEYID_USE_SHA1, id, &id_len);
	if (rc >= 0)
		rc = gnutls_x509_crt_set_subject_key_id(crt, id, id_len);
	return rc;
}

static int set_dn(gnutls_x509_crt_t crt, const char *oid, const char *text)
{
	return gnutls_x509_crt_set_dn_by_oid(crt, oid, 0, text, (unsigned)strlen(text));
}

static time_t end_of(int64_t now_s, int days)
{
	return (time_t)(now_s - BACKDATE_S + (int64_t)days * 86400);
}

int pki_make_ca(const char *cluster_name, int days, char **ret_cert, char **ret_key, struct err *err)
{
	AUTO(gnutls_x509_privkey_deinit) gnutls_x509_privkey_t key = NULL;
	AUTO(gnutls_x509_crt_deinit) gnutls_x509_crt_t crt = NULL;
	AUTO_FREE char *cert_text = NULL;
	int64_t now_s = time(NULL);

	int rc = check_days(days, err);
	if (rc == 0)
		rc = check_text("cluster name", cluster_name, err);
	if (rc == 0)
		rc = make_key(&key, err);
	if (rc < 0)
		return rc;
	rc = gnutls_x509_crt_init(&crt);
	if (rc >= 0)
		rc = gnutls_x509_crt_set_key(crt, key);
	if (rc >= 0)
		rc = set_basics(crt, end_of(now_s, days), now_s);
	if (rc >= 0)
		rc = set_dn(crt, GNUTLS_OID_X520_ORGANIZATION_NAME, cluster_name);
	if (rc >= 0)
		rc = set_dn(crt, GNUTLS_OID_X520_COMMON_NAME, "Gantry cluster CA");
	if (rc >= 0)
		rc = gnutls_x509_crt_set_basic_constraints(crt, 1, 0); /* signs nodes, no further CAs */
	if (rc >= 0)
		rc = gnutls_x509_crt_set_key_usage(crt, GNUTLS_KEY_KEY_CERT_SIGN | GNUTLS_KEY_CRL_SIGN);
	if (rc >= 0)
		rc = gnutls_x509_crt_sign2(crt, crt, key, GNUTLS_DIG_SHA256, 0);
	if (rc < 0)
		return pki_fail(err, ERR_TLS, rc, "cannot make the cluster's CA");
	rc = export_crt(crt, &cert_text, err);
	if (rc == 0)
		rc = export_key(key, ret_key, err);
	if (rc == 0)
		*ret_cert = TAKE(cert_text);
	return rc;
}

int pki_make_csr(const char *cn, char **ret_csr, char **ret_key, struct err *err)
{
	AUTO(gnutls_x509_privkey_deinit) gnutls_x509_privkey_t key = NULL;
	AUTO(gnutls_x509_crq_deinit) gnutls_x509_crq_t crq = NULL;
	AUTO_FREE char *key_text = NULL;
	gnutls_datum_t d = { 0 };

	int rc = check_text("common name", cn, err);
	if (rc == 0)
		rc = make_key(&key, err);
	if (rc == 0)
		rc = export_key(key, &key_text, err);
	if (rc < 0)
		return rc;
	rc = gnutls_x509_crq_init(&crq);
	if (rc >= 0)
		rc = gnutls_x509_crq_set_version(crq, 1);
	if (rc >= 0)
		rc = gnutls_x509_crq_set_key(crq, key);
	if (rc >= 0)
		rc = gnutls_x509_crq_set_dn_by_oid(crq, GNUTLS_OID_X520_COMMON_NAME, 0, cn, (unsigned)strlen(cn));
	if (rc >= 0)
		rc = gnutls_x509_crq_sign2(crq, key, GNUTLS_DIG_SHA256, 0);
	if (rc >= 0)
		rc = gnutls_x509_crq_export2(crq, GNUTLS_X509_FMT_PEM, &d);
	if (rc < 0)
		return pki_fail(err, ERR_TLS, rc, "cannot make a certificate request");
	*ret_csr = text_of(&d);
	*ret_key = TAKE(key_text);
	return 0;
}

/* The CA's certificate and its key, which must belong together: a wrong key would sign what nobody accepts. */
static int load_ca(const char *ca_cert, const char *ca_key, gnutls_x509_crt_t *ret_crt, gnutls_x509_privkey_t *ret_key,
		   struct err *err)
{
	AUTO(gnutls_x509_privkey_deinit) gnutls_x509_privkey_t key = NULL;
	AUTO(gnutls_x509_crt_deinit) gnutls_x509_crt_t crt = NULL;
	unsigned char id_crt[32], id_key[32];
	size_t n_crt = sizeof(id_crt), n_key = sizeof(id_key);

	int rc = pki_load_crt(ca_cert, &crt, err);
	if (rc == 0)
		rc = pki_load_key(ca_key, &key, err);
	if (rc < 0)
		return err_wrap(err, "the cluster's CA");
	if (gnutls_x509_crt_get_ca_status(crt, NULL) <= 0)
		return err_set(err, ERR_TLS, "the cluster's CA certificate is not one of a CA");
	rc = gnutls_x509_crt_get_key_id(crt, GNUTLS_KEYID_USE_SHA256, id_crt, &n_crt);
	if (rc >= 0)
		rc = gnutls_x509_privkey_get_key_id(key, GNUTLS_KEYID_USE_SHA256, id_key, &n_key);
	if (rc < 0)
		return pki_fail(err, ERR_TLS, rc, "cannot compare the CA's key with its certificate");
	if (n_crt != n_key || memcmp(id_crt, id_key, n_crt) != 0)
		return err_set(err, ERR_TLS, "the CA's key does not belong to its certificate");
	*ret_crt = TAKE(crt);
	*ret_key = TAKE(key);
	return 0;
}

/* The request's public key, once its owner has shown to have the private one. Nothing else of it is used. */
static int key_of_csr(const char *csr, gnutls_pubkey_t *ret, struct err *err)
{
	AUTO(gnutls_x509_crq_deinit) gnutls_x509_crq_t crq = NULL;
	AUTO(gnutls_pubkey_deinit) gnutls_pubkey_t pub = NULL;
	gnutls_datum_t text = { 0 };
	unsigned bits = 0;

	size_t n = csr ? strnlen(csr, CSR_MAX + 1) : 0;
	if (n > CSR_MAX)
		return err_set(err, ERR_TOO_BIG, "the certificate request has more than %zu KiB", CSR_MAX / 1024);
	int rc = pki_datum(csr, "certificate request", &text, err);
	if (rc < 0)
		return rc;
	rc = gnutls_x509_crq_init(&crq);
	if (rc >= 0)
		rc = gnutls_x509_crq_import(crq, &text, GNUTLS_X509_FMT_PEM);
	if (rc >= 0)
		rc = gnutls_x509_crq_verify(crq, 0);
	if (rc < 0)
		return pki_fail(err, ERR_BAD_REQUEST, rc, "bad certificate request");
	if (gnutls_x509_crq_get_pk_algorithm(crq, &bits) != GNUTLS_PK_ECDSA || bits < 256)
		return err_set(err, ERR_BAD_REQUEST, "bad certificate request: its key is not ECDSA of 256 bits or more");
	rc = gnutls_pubkey_init(&pub);
	if (rc >= 0)
		rc = gnutls_pubkey_import_x509_crq(pub, crq, 0);
	if (rc < 0)
		return pki_fail(err, ERR_BAD_REQUEST, rc, "bad certificate request");
	*ret = TAKE(pub);
	return 0;
}

static int add_san(gnutls_x509_crt_t crt, gnutls_x509_subject_alt_name_t type, const void *data, size_t len,
		   struct err *err)
{
	int rc = gnutls_x509_crt_set_subject_alt_name(crt, type, data, (unsigned)len, GNUTLS_FSAN_APPEND);

	return rc < 0 ? pki_fail(err, ERR_TLS, rc, "cannot put a name into a certificate") : 0;
}

static int add_address(gnutls_x509_crt_t crt, const char *address, struct err *err)
{
	unsigned char raw[16];

	if (inet_pton(AF_INET, address, raw) == 1)
		return add_san(crt, GNUTLS_SAN_IPADDRESS, raw, 4, err);
	if (inet_pton(AF_INET6, address, raw) == 1)
		return add_san(crt, GNUTLS_SAN_IPADDRESS, raw, 16, err);
	return err_set(err, ERR_BAD_VALUE, "'%.100s' is not an IP address", address);
}

static int add_names(gnutls_x509_crt_t crt, const struct pki_names *names, struct err *err)
{
	int rc = 0;

	if (names->uuid[0]) {
		AUTO_FREE char *uri = xasprintf(PKI_NODE_URI "%.*s", UUID_LEN, names->uuid);

		if (!pki_is_uuid(names->uuid, strnlen(names->uuid, sizeof(names->uuid))))
			return err_set(err, ERR_BAD_VALUE, "'%.*s' is not a uuid", UUID_LEN, names->uuid);
		rc = add_san(crt, GNUTLS_SAN_URI, uri, strlen(uri), err);
	}
	for (const char *const *d = names->dns; rc == 0 && d && *d; d++) {
		rc = check_dns(*d, err);
		if (rc == 0)
			rc = add_san(crt, GNUTLS_SAN_DNSNAME, *d, strlen(*d), err);
	}
	for (const char *const *a = names->addresses; rc == 0 && a && *a; a++)
		if (strcmp(*a, "127.0.0.1") != 0 && strcmp(*a, "::1") != 0)
			rc = add_address(crt, *a, err);
	if (rc == 0)
		rc = add_address(crt, "127.0.0.1", err);
	if (rc == 0)
		rc = add_address(crt, "::1", err);
	return rc;
}

/*
 * What the certificate is good for. libvirt and QEMU of Debian 12 refuse a critical key usage without key
 * encipherment, although no ECDSA key is used so; Go and GnuTLS do not mind it.
 */
static int set_purpose(gnutls_x509_crt_t crt)
{
	int rc = gnutls_x509_crt_set_basic_constraints(crt, 0, -1);

	if (rc >= 0)
		rc = gnutls_x509_crt_set_key_usage(crt, GNUTLS_KEY_DIGITAL_SIGNATURE | GNUTLS_KEY_KEY_ENCIPHERMENT);
	if (rc >= 0)
		rc = gnutls_x509_crt_set_key_purpose_oid(crt, GNUTLS_KP_TLS_WWW_SERVER, 0);
	if (rc >= 0)
		rc = gnutls_x509_crt_set_key_purpose_oid(crt, GNUTLS_KP_TLS_WWW_CLIENT, 0);
	return rc;
}

static int set_issuer_id(gnutls_x509_crt_t crt, gnutls_x509_crt_t ca)
{
	unsigned char id[64];
	size_t n = sizeof(id);

	int rc = gnutls_x509_crt_get_subject_key_id(ca, id, &n, NULL);
	return rc < 0 ? rc : gnutls_x509_crt_set_authority_key_id(crt, id, n);
}

static int sign_until(const char *ca_cert, const char *ca_key, const char *csr, const struct pki_names *names, int64_t now_s, time_t until,
		      char **ret_cert, struct err *err)
{
	AUTO(gnutls_x509_privkey_deinit) gnutls_x509_privkey_t key = NULL;
	AUTO(gnutls_x509_crt_deinit) gnutls_x509_crt_t ca = NULL;
	AUTO(gnutls_x509_crt_deinit) gnutls_x509_crt_t crt = NULL;
	AUTO(gnutls_pubkey_deinit) gnutls_pubkey_t pub = NULL;

	int rc = check_text("common name", names->cn, err);
	if (rc == 0)
		rc = load_ca(ca_cert, ca_key, &ca, &key, err);
	if (rc == 0)
		rc = key_of_csr(csr, &pub, err);
	if (rc < 0)
		return rc;
	/* None outlives its CA: chains are checked at every link of theirs. */
	time_t ca_until = gnutls_x509_crt_get_expiration_time(ca);
	if (ca_until <= (time_t)now_s)
		return err_set(err, ERR_TLS, "the cluster's CA certificate has expired");
	rc = gnutls_x509_crt_init(&crt);
	if (rc >= 0)
		rc = gnutls_x509_crt_set_pubkey(crt, pub);
	if (rc >= 0)
		rc = set_basics(crt, until < ca_until ? until : ca_until, now_s);
	/* A node has no common name: who it is stands in the SANs, and etcd would log a warning about it with every request. */
	if (rc >= 0)
		rc = set_dn(crt, GNUTLS_OID_X520_ORGANIZATIONAL_UNIT_NAME, names->cn);
	if (rc >= 0)
		rc = set_purpose(crt);
	if (rc >= 0)
		rc = set_issuer_id(crt, ca);
	if (rc < 0)
		return pki_fail(err, ERR_TLS, rc, "cannot make a certificate");
	rc = add_names(crt, names, err);
	if (rc < 0)
		return rc;
	rc = gnutls_x509_crt_sign2(crt, ca, key, GNUTLS_DIG_SHA256, 0);
	if (rc < 0)
		return pki_fail(err, ERR_TLS, rc, "cannot sign a certificate");
	return export_crt(crt, ret_cert, err);
}

int pki_sign_csr(const char *ca_cert, const char *ca_key, const char *csr, const struct pki_names *names, int days,
		 char **ret_cert, struct err *err)
{
	int64_t now_s = time(NULL);
	int rc = check_days(days, err);

	return rc < 0 ? rc : sign_until(ca_cert, ca_key, csr, names, now_s, end_of(now_s, days), ret_cert, err);
}

int pki_sign_csr_for(const char *ca_cert, const char *ca_key, const char *csr, const struct pki_names *names, int64_t life_s,
		     char **ret_cert, struct err *err)
{
	int64_t now_s = time(NULL);

	if (life_s < 1 || life_s > (int64_t)DAYS_MAX * 86400)
		return err_set(err, ERR_BAD_VALUE, "a certificate cannot be valid for %lld seconds", (long long)life_s);
	return sign_until(ca_cert, ca_key, csr, names, now_s, (time_t)(now_s + life_s), ret_cert, err);
}

int pki_fingerprint(const char *cert_pem, char out[65], struct err *err)
{
	AUTO(gnutls_x509_crt_deinit) gnutls_x509_crt_t crt = NULL;

	int rc = pki_load_crt(cert_pem, &crt, err);
	return rc < 0 ? rc : pki_crt_fingerprint(crt, out, err);
}

int pki_expires(const char *cert_pem, int64_t *ret_wall_s, struct err *err)
{
	AUTO(gnutls_x509_crt_deinit) gnutls_x509_crt_t crt = NULL;

	int rc = pki_load_crt(cert_pem, &crt, err);
	if (rc < 0)
		return rc;
	time_t t = gnutls_x509_crt_get_expiration_time(crt);
	if (t == (time_t)-1)
		return err_set(err, ERR_TLS, "the certificate does not say when it expires");
	*ret_wall_s = t;
	return 0;
}

int pki_validity(const char *cert_pem, int64_t *ret_begins_s, int64_t *ret_expires_s, struct err *err)
{
	AUTO(gnutls_x509_crt_deinit) gnutls_x509_crt_t crt = NULL;

	int rc = pki_load_crt(cert_pem, &crt, err);
	if (rc < 0)
		return rc;
	time_t from = gnutls_x509_crt_get_activation_time(crt), until = gnutls_x509_crt_get_expiration_time(crt);
	if (from == (time_t)-1 || until == (time_t)-1)
		return err_set(err, ERR_TLS, "the certificate does not say when it is valid");
	*ret_begins_s = from + BACKDATE_S < until ? from + BACKDATE_S : from;
	*ret_expires_s = until;
	return 0;
}

int pki_serial(const char *cert_pem, char out[41], struct err *err)
{
	AUTO(gnutls_x509_crt_deinit) gnutls_x509_crt_t crt = NULL;
	unsigned char serial[20];
	size_t n = sizeof(serial);

	int rc = pki_load_crt(cert_pem, &crt, err);
	if (rc < 0)
		return rc;
	rc = gnutls_x509_crt_get_serial(crt, serial, &n);
	if (rc < 0)
		return pki_fail(err, ERR_TLS, rc, "cannot read a certificate's serial number");
	(void)sodium_bin2hex(out, 41, serial, n);
	return 0;
}

static int add_revoked(gnutls_x509_crl_t crl, const char *serial_hex, time_t when, struct err *err)
{
	unsigned char serial[20];
	const char *end = NULL;
	size_t n = 0;

	if (sodium_hex2bin(serial, sizeof(serial), serial_hex, strlen(serial_hex), NULL, &n, &end) != 0 || *end || n == 0)
		return err_set(err, ERR_BAD_VALUE, "'%.60s' is not a serial number in hexadecimal", serial_hex);
	int rc = gnutls_x509_crl_set_crt_serial(crl, serial, n, when);
	return rc < 0 ? pki_fail(err, ERR_TLS, rc, "cannot revoke a certificate") : 0;
}

/* The fields of a list besides its entries. Its number only has to grow: the time does. */
static int finish_crl(gnutls_x509_crl_t crl, gnutls_x509_crt_t ca, gnutls_x509_privkey_t key, int64_t now_s)
{
	unsigned char number[8], id[64];
	size_t n = sizeof(id);

	for (size_t i = 0; i < sizeof(number); i++)
		number[i] = (unsigned char)((uint64_t)now_s >> (8 * (7 - i)));
	int rc = gnutls_x509_crl_set_version(crl, 2);
	if (rc >= 0)
		rc = gnutls_x509_crl_set_this_update(crl, (time_t)now_s - BACKDATE_S);
	if (rc >= 0)
		rc = gnutls_x509_crl_set_next_update(crl, gnutls_x509_crt_get_expiration_time(ca));
	if (rc >= 0)
		rc = gnutls_x509_crl_set_number(crl, number, sizeof(number));
	if (rc >= 0)
		rc = gnutls_x509_crt_get_subject_key_id(ca, id, &n, NULL);
	if (rc >= 0)
		rc = gnutls_x509_crl_set_authority_key_id(crl, id, n);
	if (rc >= 0)
		rc = gnutls_x509_crl_sign2(crl, ca, key, GNUTLS_DIG_SHA256, 0);
	return rc;
}

int pki_make_crl(const char *ca_cert, const char *ca_key, const char *const *serials, char **ret_crl, struct err *err)
{
	AUTO(gnutls_x509_privkey_deinit) gnutls_x509_privkey_t key = NULL;
	AUTO(gnutls_x509_crt_deinit) gnutls_x509_crt_t ca = NULL;
	AUTO(gnutls_x509_crl_deinit) gnutls_x509_crl_t crl = NULL;
	gnutls_datum_t d = { 0 };
	int64_t now_s = time(NULL);

	int rc = load_ca(ca_cert, ca_key, &ca, &key, err);
	if (rc < 0)
		return rc;
	rc = gnutls_x509_crl_init(&crl);
	if (rc < 0)
		return pki_fail(err, ERR_TLS, rc, "cannot make a revocation list");
	rc = 0;
	for (const char *const *s = serials; rc == 0 && s && *s; s++)
		rc = add_revoked(crl, *s, (time_t)now_s - BACKDATE_S, err);
	if (rc < 0)
		return rc;
	rc = finish_crl(crl, ca, key, now_s);
	if (rc >= 0)
		rc = gnutls_x509_crl_export2(crl, GNUTLS_X509_FMT_PEM, &d);
	if (rc < 0)
		return pki_fail(err, ERR_TLS, rc, "cannot make a revocation list");
	*ret_crl = text_of(&d);
	return 0;
}
