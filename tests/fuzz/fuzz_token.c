/* SPDX-License-Identifier: Apache-2.0 */
/* Join tokens, as people paste them; and addresses, as they type them. */
#include "io/netif.h"
#include "io/token.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct join_token t, again;
	struct err err = ERR_INIT;
	char *text = fuzz_string(data, size);

	if (join_token_parse(text, &t, &err) == 0) {
		assert(t.n_addresses > 0 && t.n_addresses <= JOIN_ADDRESSES_MAX && t.port > 0 && t.port < 65536);
		char *out = join_token_text(&t);
		assert(join_token_parse(out, &again, &err) == 0);
		assert(again.n_addresses == t.n_addresses && again.port == t.port && strcmp(again.secret, t.secret) == 0);
		assert(strcmp(again.id, t.id) == 0 && strcmp(again.pin, t.pin) == 0);
		free(out);
	} else {
		assert(err.code == ERR_BAD_TOKEN);
	}
	free(text);
	return 0;
}
