/* SPDX-License-Identifier: Apache-2.0 */
/* JSON at the one door: what is let in is bounded, and is the same value again after it was written. */
#include "common/json.h"
#include "tests/fuzz/fuzz.h"

#define LIMIT 4096

/* A count of its own, on the value instead of the text. */
static int depth_of(const json_t *j, int so_far)
{
	int most = so_far;
	const char *key;
	json_t *e;
	size_t i;

	assert(so_far <= JSON_DEPTH_MAX);
	json_array_foreach((json_t *)(uintptr_t)j, i, e) {
		int d = depth_of(e, so_far + (json_is_array(e) || json_is_object(e)));

		most = d > most ? d : most;
	}
	json_object_foreach((json_t *)(uintptr_t)j, key, e) {
		int d = depth_of(e, so_far + (json_is_array(e) || json_is_object(e)));

		most = d > most ? d : most;
	}
	return most;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err err = ERR_INIT;
	json_t *j = NULL, *again = NULL;
	char *text = fuzz_bytes(data, size);
	int rc = json_parse(text, size, LIMIT, &j, &err);

	free(text);
	if (rc < 0) {
		assert(!j && err.code == -rc && err.msg[0]);
		assert(rc != -ERR_TOO_BIG || size > LIMIT);
		return 0;
	}
	assert(size <= LIMIT && (json_is_object(j) || json_is_array(j)));
	assert(depth_of(j, 1) <= JSON_DEPTH_MAX);
	char *out = json_text(j);
	rc = json_parse(out, strlen(out), (size_t)64 * 1024, &again, &err);
	assert(rc == 0 && json_equal(j, again));
	(void)json_str(j, "id", "?");
	(void)json_int(j, "id", 0);
	(void)json_bool(j, "id", false);
	free(out);
	json_decref(again);
	json_decref(j);
	return 0;
}
