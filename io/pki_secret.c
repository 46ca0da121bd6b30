/* SPDX-License-Identifier: Apache-2.0 */
/* Randomness and hashes of secrets, by libsodium. */
#include "io/pki.h"

#include <assert.h>
#include <string.h>

#include <sodium.h>

/*
 * The least that OWASP recommends for Argon2id (19 MiB, 2 passes): some 40 ms. Our secrets are random and long, so
 * guessing is hopeless anyway, and the master that checks a join token should not stall for a quarter of a second.
 */
#define HASH_PASSES 2ULL
#define HASH_BYTES ((size_t)19 * 1024 * 1024)

static void sodium_ready(void)
{
	/* Cheap when done before, and thread-safe; fails only without any source of randomness. */
	int rc = sodium_init();

	assert(rc >= 0);
	(void)rc;
}

void pki_random_hex(char *out, int n)
{
	static const char digits[] = "0123456789abcdef";

	assert(n >= 0);
	sodium_ready();
	randombytes_buf(out, (size_t)n);
	for (int i = 0; i < n; i++)
		out[i] = digits[(unsigned char)out[i] & 15];
	out[n] = '\0';
}

int pki_hash_secret(const char *secret, char out[128], struct err *err)
{
	char hash[crypto_pwhash_STRBYTES];

	_Static_assert(sizeof(hash) <= 128, "the hash fits what the header promises");
	sodium_ready();
	if (crypto_pwhash_str_alg(hash, secret, strlen(secret), HASH_PASSES, HASH_BYTES, crypto_pwhash_ALG_ARGON2ID13) != 0)
		return err_set(err, ERR_NO_MEMORY, "no memory to hash a secret: %zu MiB are needed",
			       HASH_BYTES / 1024 / 1024);
	memcpy(out, hash, sizeof(hash));
	return 0;
}

bool pki_check_secret(const char *secret, const char *hash)
{
	char padded[crypto_pwhash_STRBYTES] = { 0 };
	size_t n = strnlen(hash, sizeof(padded));

	/* libsodium reads the hash as a C string within STRBYTES. */
	if (n == 0 || n >= sizeof(padded))
		return false;
	memcpy(padded, hash, n);
	sodium_ready();
	return crypto_pwhash_str_verify(padded, secret, strlen(secret)) == 0;
}
