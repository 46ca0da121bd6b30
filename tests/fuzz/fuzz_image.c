/* SPDX-License-Identifier: Apache-2.0 */
/* What 'qemu-img info' says of a disk image that somebody put on the node. */
#include "common/buf.h"
#include "common/json.h"
#include "node/exec.h"
#include "storage/runner.h"
#include "tests/fuzz/fuzz.h"

struct teller {
	struct runner base;
	const char *text;
	size_t len;
	int converts;
};

static int tell(struct runner *base, const char *const argv[], const char *input, int timeout_ms, struct runner_result *ret, struct err *err)
{
	struct teller *t = (struct teller *)(void *)base;

	(void)input;
	(void)timeout_ms;
	(void)err;
	memset(ret, 0, sizeof(*ret));
	if (strcmp(argv[1], "info") == 0 && buf_add(&ret->out, t->text, t->len) < 0)
		abort();
	t->converts += strcmp(argv[1], "convert") == 0;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *bytes = fuzz_bytes(data, size);
	struct teller t = { .base = { .run = tell }, .text = bytes, .len = size };
	struct exec_env env = { .runner = &t.base, .time_factor = 1.0 };
	struct step_image a;
	struct exec_call call = { .kind = STEP_KIND_image_write, .dir = STEP_DO, .args = &a };
	struct err err = ERR_INIT;
	json_t *result = NULL;

	schema_init(&step_image_schema, &a);
	memcpy(a.image, "/x.qcow2", 9);
	memcpy(a.device, "/dev/x", 7);
	a.size = 1024;
	int rc = exec_run(&env, &call, &result, &err);
	assert((rc == 0) == (t.converts == 1)); /* nothing is written when the image's size is not known */
	json_decref(result);
	schema_done(&step_image_schema, &a);
	free(bytes);
	return 0;
}
