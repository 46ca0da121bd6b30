/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `drbdsetup events2`, for as long as we live: a line means that something about DRBD has changed. What it is, the look that
 * follows tells; so nothing is lost when lines are, and while nobody watches every look includes DRBD.
 */
#include <string.h>

#include "common/log.h"
#include "node/guard.h"
#include "node/node.h"

#define AGAIN_MS 5000 /* it ends when the module is not loaded, or with a kernel's error */

/* A connection may come and go between two looks: how long a replica has been apart (008) counts anew from here. */
static void note_meeting(struct noded *n, const char *line, size_t len)
{
	static const char name[] = "name:", connected[] = "connection:Connected";
	const char *at = memmem(line, len, name, sizeof(name) - 1);

	if (!at || !memmem(line, len, connected, sizeof(connected) - 1))
		return;
	at += sizeof(name) - 1;
	size_t n_name = 0, left = (size_t)(line + len - at);
	while (n_name < left && at[n_name] != ' ')
		n_name++;
	for (int i = 0; i < n->seen.n_drbd; i++)
		if (strlen(n->seen.drbd[i].resource) == n_name && memcmp(n->seen.drbd[i].resource, at, n_name) == 0)
			guard_met(n, n->seen.drbd[i].uuid);
}

/* What came and went while nobody watched is not known. */
static void note_gap(struct noded *n)
{
	for (int i = 0; i < n->seen.n_drbd; i++)
		guard_met(n, n->seen.drbd[i].uuid);
}

static void on_line(void *arg, const char *line, size_t len)
{
	struct noded *n = arg;

	n->drbd_watched = true;
	note_meeting(n, line, len);
	observe_now(n);
}

static void on_exit_of(void *arg, int status)
{
	struct noded *n = arg;

	log_debug("drbdsetup events2 ended with status %d", status);
	loop_child_free(n->drbd_events);
	n->drbd_events = NULL;
	n->drbd_watched = false;
	note_gap(n);
	n->watch_at_ms = loop_now_ms(n->loop) + AGAIN_MS;
}

void watch_tick(struct noded *n)
{
	const char *const argv[] = { "drbdsetup", "events2", NULL };

	if (!n->member || n->stopping || n->drbd_events || loop_now_ms(n->loop) < n->watch_at_ms)
		return;
	if (strcmp(n->conf.storage, "lvm+drbd") != 0)
		return; /* the fake world tells nobody */
	struct err err = ERR_INIT;
	n->watch_at_ms = loop_now_ms(n->loop) + AGAIN_MS;
	n->drbd_events = loop_child_new(n->loop, argv, on_line, on_exit_of, n, &err);
	note_gap(n);
	if (!n->drbd_events)
		log_err_record(LOG_LEVEL_WARNING, "watching DRBD", &err);
}

void watch_free(struct noded *n)
{
	if (n->drbd_events)
		loop_child_free(n->drbd_events);
	n->drbd_events = NULL;
}
