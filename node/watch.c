/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `drbdsetup events2`, for as long as we live: a line means that something about DRBD has changed. What it is, the look that
 * follows tells; so nothing is lost when lines are, and while nobody watches every look includes DRBD.
 */
#include <string.h>

#include "common/log.h"
#include "node/node.h"

#define AGAIN_MS 5000 /* it ends when the module is not loaded, or with a kernel's error */

static void on_line(void *arg, const char *line, size_t len)
{
	struct noded *n = arg;

	(void)line;
	(void)len;
	n->drbd_watched = true;
	observe_now(n);
}

static void on_exit_of(void *arg, int status)
{
	struct noded *n = arg;

	log_debug("drbdsetup events2 ended with status %d", status);
	loop_child_free(n->drbd_events);
	n->drbd_events = NULL;
	n->drbd_watched = false;
	n->watch_at_ms = loop_now_ms(n->loop) + AGAIN_MS;
}

void watch_tick(struct noded *n)
{
	const char *const argv[] = { "drbdsetup", "events2", NULL };
	struct err err = ERR_INIT;

	if (!n->member || n->stopping || n->drbd_events || loop_now_ms(n->loop) < n->watch_at_ms)
		return;
	if (strcmp(n->conf.storage, "lvm+drbd") != 0)
		return; /* the fake world tells nobody */
	n->watch_at_ms = loop_now_ms(n->loop) + AGAIN_MS;
	n->drbd_events = loop_child_new(n->loop, argv, on_line, on_exit_of, n, &err);
	if (!n->drbd_events)
		log_err_record(LOG_LEVEL_WARNING, "watching DRBD", &err);
}

void watch_free(struct noded *n)
{
	if (n->drbd_events)
		loop_child_free(n->drbd_events);
	n->drbd_events = NULL;
}
