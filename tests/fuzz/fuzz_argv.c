/* SPDX-License-Identifier: Apache-2.0 */
/* The command line: words, one a line. What is understood can be sent, and is understood by the other side. */
#include "cli/cli.h"
#include "common/xmem.h"
#include "tests/fuzz/fuzz.h"

#define WORDS_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *input = fuzz_string(data, size), *text = input, *words[WORDS_MAX + 1];
	struct command c;
	struct err err = ERR_INIT;
	int n = 0;

	while (*text && n < WORDS_MAX)
		words[n++] = fuzz_line(&text);
	words[n] = NULL;
	if (n >= 2 && argv_parse(n, words, &c, &err) == 0) {
		const struct schema *s = op_infos[c.op].args;
		char *sent = json_text(c.given);
		void *there = xcalloc(1, s->size);
		int rc = schema_decode_text(s, there, sent, &err);

		/* Only what is missing may be wrong: --help needs nothing else, and of several instances each gets its own name. */
		assert(rc == 0 || c.opt.help || c.many || err.code != ERR_BAD_REQUEST);
		assert(rc < 0 || schema_equal(s, c.args, there));
		schema_done(s, there);
		free(there);
		free(sent);
		command_done(&c);
	} else if (n >= 2) {
		assert(err.code && err.msg[0]);
	}
	free(input);
	return 0;
}
