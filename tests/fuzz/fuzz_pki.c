/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates and requests of others. A request is only ever read for its key: the names are ours. */
#include <stdio.h>

#include "io/pki.h"
#include "io/pki_x509.h"
#include "tests/fuzz/fuzz.h"

#define NODE "11111111-2222-4333-8444-555555555555"

static char *ca, *ca_key;

static void make_ca(void)
{
	struct err err = ERR_INIT;

	if (!ca && pki_make_ca("fuzz", 10, &ca, &ca_key, &err) < 0) {
		(void)fprintf(stderr, "%s\n", err.msg);
		abort();
	}
}

static void fuzz_csr(const char *text)
{
	static const char *const none[] = { NULL };
	struct pki_names names = { .uuid = NODE, .cn = "node1", .dns = none, .addresses = none };
	struct err err = ERR_INIT;
	char *cert = NULL, uuid[UUID_LEN + 1];
	gnutls_x509_crt_t crt = NULL;

	if (pki_sign_csr(ca, ca_key, text, &names, 10, &cert, &err) < 0)
		return;
	assert(pki_load_crt(cert, &crt, &err) == 0);
	assert(pki_crt_node(crt, uuid, &err) == 0 && strcmp(uuid, NODE) == 0);
	gnutls_x509_crt_deinit(crt);
	free(cert);
}

static void fuzz_cert(const char *text)
{
	struct err err = ERR_INIT;
	char print[65], serial[41], uuid[UUID_LEN + 1];
	int64_t until = 0;
	gnutls_x509_crt_t crt = NULL;

	if (pki_fingerprint(text, print, &err) == 0)
		assert(strlen(print) == 64 && strspn(print, "0123456789abcdef") == 64);
	if (pki_serial(text, serial, &err) == 0)
		assert(strlen(serial) > 0 && strlen(serial) <= 40);
	(void)!pki_expires(text, &until, &err);
	if (pki_load_crt(text, &crt, &err) < 0)
		return;
	if (pki_crt_node(crt, uuid, &err) == 0)
		assert(pki_is_uuid(uuid, strlen(uuid)));
	gnutls_x509_crt_deinit(crt);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_string(data, size);

	make_ca();
	fuzz_csr(text);
	fuzz_cert(text);
	free(text);
	return 0;
}
