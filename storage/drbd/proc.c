/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /proc/drbd of the 8.4 module: shown without the lock that every command waits for, and read without a process. So it tells which devices stand still
 * also when drbdsetup hangs (doc/design/008-liveness.adoc). DRBD 9 has no devices in its page.
 */
#include <stdlib.h>
#include <string.h>

#include "common/xmem.h"
#include "storage/drbd/impl.h"
#include "storage/durable.h"

#define PAGE_MAX ((size_t)4 * 1024 * 1024)

/* " 0: cs:WFConnection ro:Primary/Unknown ds:UpToDate/DUnknown C s-----": the flags are the last word, of which the first letter is 's' or 'r'. */
static bool line_suspended(const char *line, size_t len)
{
	while (len > 0 && line[len - 1] == ' ')
		len--;
	const char *space = memrchr(line, ' ', len);

	return space && memmem(line, len, " ds:", 4) && space[1] == 's';
}

bool drbdm_proc_suspended(const char *text, int minor)
{
	for (const char *line = text; *line;) {
		size_t len = strcspn(line, "\n");
		char *end = NULL;
		long number = strtol(line, &end, 10);

		if (end != line && end < line + len && *end == ':' && number == minor)
			return line_suspended(line, len);
		line += len + (line[len] == '\n');
	}
	return false;
}

static bool any_suspended(const char *text, const struct drbd_conf *c)
{
	for (int i = 0; i < c->n_volumes; i++)
		if (drbdm_proc_suspended(text, c->volumes[i].minor))
			return true;
	return false;
}

int drbdm_op_suspended(struct drbdm *d, struct drbd_suspended **ret, int *ret_n, struct err *err)
{
	struct drbdm_real *r = drbdm_real_of(d);
	AUTO_BUF struct buf page = BUF_INIT;
	AUTO_FREE struct drbd_conf *confs = NULL;
	bool present = false;
	int n_confs = 0, n = 0;

	if (r->kernel != DRBDM_KERNEL_84)
		return err_set(err, ERR_NOT_SUPPORTED, "this DRBD has no devices in /proc/drbd");
	int rc = durable_read(r->proc_dir, "drbd", PAGE_MAX, &page, &present, err);
	if (rc == 0 && !present)
		return err_set(err, ERR_NOT_SUPPORTED, "there is no '%s/drbd'", r->proc_dir);
	if (rc == 0)
		rc = drbdm_op_list_conf(d, &confs, &n_confs, err);
	if (rc < 0)
		return rc;
	struct drbd_suspended *list = xcalloc((size_t)n_confs + 1, sizeof(*list));
	for (int i = 0; i < n_confs; i++)
		if (any_suspended(buf_str(&page), &confs[i]))
			(void)str_copy(list[n++].instance_uuid, sizeof(list->instance_uuid), confs[i].instance_uuid);
	*ret = list;
	*ret_n = n;
	return 0;
}
