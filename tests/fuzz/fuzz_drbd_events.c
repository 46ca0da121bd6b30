/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The four readers of DRBD's text; the first byte chooses: 'e' events2 (fed whole, in pieces, and again after
 * a restart), 's' status, 'c' a resource's file, 'p' the kernel's page.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "storage/drbd/conf.h"
#include "storage/drbd/drbd_events.h"
#include "storage/drbd/impl.h"
#include "storage/drbd/status_text.h"
#include "tests/fuzz/fuzz.h"

static void check(const struct drbd_status *s)
{
	assert(strlen(s->resource) <= NAME_LEN);
	assert(s->n_volumes >= 0 && s->n_volumes <= DISKS_MAX);
	assert(!drbd_status_in_sync(s) || drbd_status_uptodate(s));
	(void)drbd_role_name(s->role);
	(void)drbd_role_name(s->peer_role);
	(void)drbd_cstate_name(s->conn);
	for (int i = 0; i < s->n_volumes; i++) {
		const struct drbd_volume_status *v = &s->volumes[i];

		assert(v->index >= 0 && (i == 0 || v->index > s->volumes[i - 1].index));
		assert(v->done_permille >= 0 && v->done_permille <= 1000 && v->out_of_sync_kib >= 0);
		(void)drbd_dstate_name(v->disk);
		(void)drbd_dstate_name(v->peer_disk);
		(void)drbd_repl_name(v->repl);
	}
}

/* A picture kept only from callbacks must be the table. */
struct mirror {
	int n;
};

static void on_change(void *arg, const struct drbd_status *before, const struct drbd_status *now)
{
	struct mirror *m = arg;

	check(now);
	assert(!before || (before->up && strcmp(before->resource, now->resource) == 0));
	assert(before || now->up);
	m->n += !before;
	m->n -= !now->up;
}

static void fuzz_events(const char *text, size_t len)
{
	struct mirror m = {0};
	AUTO(drbd_events_free) struct drbd_events *ev = drbd_events_new(on_change, &m);
	struct drbd_status *list = NULL;
	int n = 0;

	drbd_events_feed(ev, text, len);
	drbd_events_restart(ev);
	for (size_t i = 0; i < len; i += 3)
		drbd_events_feed(ev, text + i, len - i < 3 ? len - i : 3);
	drbd_events_feed(ev, "\nexists -\n", 10);
	drbd_events_all(ev, &list, &n);
	assert(n == m.n);
	for (int i = 0; i < n; i++) {
		check(&list[i]);
		assert(drbd_events_find(ev, list[i].resource));
	}
	free(list);
}

static void fuzz_status(const char *text, size_t len)
{
	struct drbd_status *list = NULL;
	struct err err = ERR_INIT;
	int n = 0;

	if (drbdm_parse_status(text, len, &list, &n, &err) < 0)
		return;
	for (int i = 0; i < n; i++)
		check(&list[i]);
	free(list);
}

/* What was read can be written, and reads back as the same text. */
static void fuzz_conf(const char *text, size_t len)
{
	struct err err = ERR_INIT;
	struct drbd_conf c, again;

	if (drbdm_conf_parse(text, len, &c, &err) < 0)
		return;
	for (int kernel = DRBDM_KERNEL_84; kernel <= DRBDM_KERNEL_9; kernel++) {
		AUTO_BUF struct buf first = BUF_INIT, second = BUF_INIT;

		if (kernel == DRBDM_KERNEL_84) { /* that file has no node ids: they come back as 0 and 1 */
			c.peers[0].node_id = 0;
			c.peers[1].node_id = 1;
		}
		drbdm_conf_text(&c, (enum drbdm_kernel)kernel, &first);
		int rc = drbdm_conf_parse(buf_str(&first), first.len, &again, &err);
		assert(rc == 0);
		drbdm_conf_text(&again, (enum drbdm_kernel)kernel, &second);
		assert(strcmp(buf_str(&first), buf_str(&second)) == 0);
	}
}

/* No device is suspended that the page does not name. */
static void fuzz_page(const char *text)
{
	for (int minor = 0; minor < 16; minor++)
		if (drbdm_proc_suspended(text, minor))
			assert(strchr(text, ':') && strstr(text, " ds:"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	/* a copy, so that reading behind the end is noticed; only the page is read as a string */
	char *text = malloc(data[0] == 'p' ? size : size - 1 ? size - 1 : 1);
	if (!text)
		return 0;
	memcpy(text, data + 1, size - 1);
	if (data[0] == 'p')
		text[size - 1] = '\0';
	if (data[0] == 'e')
		fuzz_events(text, size - 1);
	else if (data[0] == 's')
		fuzz_status(text, size - 1);
	else if (data[0] == 'c')
		fuzz_conf(text, size - 1);
	else if (data[0] == 'p')
		fuzz_page(text);
	free(text);
	return 0;
}
