/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What lvs, vgs, lsblk, wipefs and pvs print. The first byte chooses: 'l' lvs, 'v' vgs, else the looks of
 * 'gnt node prepare', which get the same text from every tool.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "storage/lvm/prepare.h"
#include "storage/lvm/report.h"
#include "tests/fuzz/fuzz.h"

struct echo {
	struct runner base;
	const char *text;
	size_t len;
};

/* lvmconfig says "not set"; everything else echoes the input. */
static int echo_run(struct runner *base, const char *const argv[], const char *input, int timeout_ms,
		    struct runner_result *ret, struct err *err)
{
	const struct echo *e = (const struct echo *)(void *)base;

	(void)input;
	(void)timeout_ms;
	(void)err;
	memset(ret, 0, sizeof(*ret));
	ret->status = strcmp(argv[0], "lvmconfig") == 0 ? 5 : 0;
	if (ret->status)
		buf_puts(&ret->err, "not found");
	else if (buf_add(&ret->out, e->text, e->len) < 0)
		abort();
	return 0;
}

static void fuzz_lvs(const char *text, size_t len)
{
	struct volume_info *list = NULL;
	struct err err = ERR_INIT;
	int n = 0;

	if (lvm_report_lvs(text, len, &list, &n, &err) < 0)
		return;
	for (int i = 0; i < n; i++) {
		assert(list[i].size_mib >= 0 && list[i].name[0]);
		assert(list[i].owner[0] == '\0' || strlen(list[i].owner) == UUID_LEN);
	}
	free(list);
}

static void fuzz_vgs(const char *text, size_t len)
{
	struct lvm_vg *list = NULL;
	struct err err = ERR_INIT;
	int n = 0;

	if (lvm_report_vgs(text, len, &list, &n, &err) < 0)
		return;
	for (int i = 0; i < n; i++)
		assert(list[i].extent_bytes > 0 && list[i].free_bytes >= 0 && list[i].pool.name[0]);
	free(list);
}

static void fuzz_prepare(const char *text, size_t len)
{
	struct echo e = {.base = {.run = echo_run}, .text = text, .len = len};
	struct err err = ERR_INIT;
	struct lvm_disk d;

	if (lvm_disk_inspect(&e.base, "/dev/vdb", &d, &err) == 0)
		assert(d.path[0] == '/' && strlen(d.found) < sizeof(d.found));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	char *text = malloc(size);
	if (!text)
		return 0;
	memcpy(text, data + 1, size - 1);
	if (data[0] == 'l')
		fuzz_lvs(text, size - 1);
	else if (data[0] == 'v')
		fuzz_vgs(text, size - 1);
	else
		fuzz_prepare(text, size - 1);
	free(text);
	return 0;
}
