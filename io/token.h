/* SPDX-License-Identifier: Apache-2.0 */
/* The join token as a person passes it on: one word that carries where to go, whom to believe, and a secret good once. */
#ifndef IO_TOKEN_H
#define IO_TOKEN_H

#include "common/err.h"
#include "schema/limits.h"

#define JOIN_ADDRESSES_MAX 5
#define JOIN_TOKEN_MAX 512

struct join_token {
	char addresses[JOIN_ADDRESSES_MAX][ADDR_LEN + 1];
	int n_addresses;
	int port;
	char id[17];
	char secret[41];
	char pin[65]; /* sha256 of the CA's certificate */
};

char *join_token_text(const struct join_token *t); /* gives */
int join_token_parse(const char *text, struct join_token *ret, struct err *err) WARN_UNUSED;

#endif
