/* SPDX-License-Identifier: Apache-2.0 */
/* The daemons' local settings. What was read can be written, and reads back as the same. */
#include "io/conf.h"
#include "tests/fuzz/fuzz.h"

/* libconfig 1.5 loses the memory of a text that stands in a wrong place. That is once at a daemon's start; the rest is looked at. */
const char *__lsan_default_suppressions(void); /* NOLINT: LeakSanitizer's own name */
const char *__lsan_default_suppressions(void)
{
	return "leak:libconfig";
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct conf c, again;
	struct err err = ERR_INIT;
	char *text = fuzz_string(data, size);

	if (conf_parse("", "fuzz", text, &c, &err) == 0) {
		char *out = conf_text(&c);
		int rc = conf_parse("", "again", out, &again, &err);

		assert(rc == 0);
		char *second = conf_text(&again);
		assert(strcmp(out, second) == 0);
		assert(c.n_etcd_endpoints == again.n_etcd_endpoints && strcmp(c.replication_address, again.replication_address) == 0);
		free(out);
		free(second);
		conf_done(&again);
		conf_done(&c);
	} else {
		assert(err.code && err.msg[0]);
	}
	free(text);
	return 0;
}
