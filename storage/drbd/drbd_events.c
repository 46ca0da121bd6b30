/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/drbd/drbd_events.h"

#include <assert.h>
#include <string.h>

#include "common/buf.h"
#include "common/xmem.h"
#include "storage/drbd/words.h"

#define LINE_MAX_BYTES 4096
#define RESOURCES_MAX  4096

struct entry {
	struct drbd_status now;
	struct drbd_status told; /* as last reported; told.up = false = never, or reported as gone */
	char peer[16];           /* node id of the peer that counts; "" = none. Others (DRBD 9, not ours) are ignored */
	unsigned generation;     /* of the child that last said it exists */
};

struct drbd_events {
	drbd_events_fn *fn;
	void *arg;
	struct buf line; /* the piece behind the last newline */
	struct entry *entries;
	int n, cap;
	unsigned generation;
	bool synced, lost, skipping; /* skipping: the rest of a line that is too long */
};

struct drbd_events *drbd_events_new(drbd_events_fn *fn, void *arg)
{
	struct drbd_events *ev = xcalloc(1, sizeof(*ev));

	ev->fn = fn;
	ev->arg = arg;
	ev->generation = 1;
	return ev;
}

void drbd_events_free(struct drbd_events *ev)
{
	if (!ev)
		return;
	buf_done(&ev->line);
	free(ev->entries);
	free(ev);
}

/* ---- the table -------------------------------------------------------------------------------- */

static struct entry *find(const struct drbd_events *ev, const char *name)
{
	for (int i = 0; i < ev->n; i++)
		if (strcmp(ev->entries[i].now.resource, name) == 0)
			return &ev->entries[i];
	return NULL;
}

/* Padding is zero (entries are calloced or assigned whole from such), but compare what means something. */
static bool volumes_equal(const struct drbd_volume_status *a, const struct drbd_volume_status *b)
{
	return a->index == b->index && a->minor == b->minor && a->disk == b->disk && a->peer_disk == b->peer_disk &&
	       a->repl == b->repl && a->out_of_sync_kib == b->out_of_sync_kib && a->done_permille == b->done_permille;
}

static bool statuses_equal(const struct drbd_status *a, const struct drbd_status *b)
{
	if (a->up != b->up || a->role != b->role || a->peer_role != b->peer_role || a->conn != b->conn ||
	    a->suspended_fencing != b->suspended_fencing || a->suspended_no_data != b->suspended_no_data ||
	    a->suspended_other != b->suspended_other || a->n_volumes != b->n_volumes)
		return false;
	for (int i = 0; i < a->n_volumes; i++)
		if (!volumes_equal(&a->volumes[i], &b->volumes[i]))
			return false;
	return true;
}

static void tell(struct drbd_events *ev, struct entry *e)
{
	if (!ev->synced || (e->told.up ? statuses_equal(&e->told, &e->now) : !e->now.up))
		return;
	struct drbd_status before = e->told;

	e->told = e->now;
	if (ev->fn)
		ev->fn(ev->arg, before.up ? &before : NULL, &e->now);
}

static void forget(struct drbd_events *ev, struct entry *e)
{
	char name[NAME_LEN + 1];

	memcpy(name, e->now.resource, sizeof(name));
	memset(&e->now, 0, sizeof(e->now));
	memcpy(e->now.resource, name, sizeof(name));
	tell(ev, e);
	/* Before "exists -" of a new child the report is still owed: the entry stays until drop_stale(). */
	if (!ev->synced && e->told.up)
		return;
	*e = ev->entries[--ev->n];
}

static struct entry *add(struct drbd_events *ev, const char *name)
{
	if (ev->n == RESOURCES_MAX) {
		ev->lost = true;
		return NULL;
	}
	if (ev->n == ev->cap) {
		ev->cap = ev->cap ? ev->cap * 2 : 16;
		ev->entries = xrealloc(ev->entries, (size_t)ev->cap * sizeof(*ev->entries));
	}
	struct entry *e = &ev->entries[ev->n++];

	memset(e, 0, sizeof(*e));
	drbdm_status_init(&e->now);
	(void)str_copy(e->now.resource, sizeof(e->now.resource), name);
	e->generation = ev->generation;
	return e;
}

/* ---- lines ------------------------------------------------------------------------------------ */

enum action { ACTION_SET, ACTION_DESTROY, ACTION_NONE };

struct event {
	enum action action;
	char object[16];
	char name[NAME_LEN + 1];
	char peer[16]; /* its node id */
	int volume;    /* -1 = none */
	const char *fields, *end;
};

/* value of w into out[size]; false when it is empty or does not fit */
static bool copy_value(const struct word *w, char *out, size_t size)
{
	if (w->value_len == 0 || w->value_len >= size)
		return false;
	memcpy(out, w->value, w->value_len);
	out[w->value_len] = '\0';
	return true;
}

/* The words that say which object is meant; states are read in a second pass. */
static bool read_key(struct event *e)
{
	const char *p = e->fields;
	struct word w;
	int64_t n = 0;

	e->volume = -1;
	e->name[0] = e->peer[0] = '\0';
	while (word_next(&p, e->end, &w)) {
		if (word_key_is(&w, "name") && !copy_value(&w, e->name, sizeof(e->name)))
			return false; /* a name too long to be ours */
		/* Not conn-name: 8.4 prints that only while it knows the peer's address; the id it fakes as 0, always.
		 */
		if (word_key_is(&w, "peer-node-id") && !copy_value(&w, e->peer, sizeof(e->peer)))
			return false;
		if (word_key_is(&w, "volume") && word_number(&w, INT32_MAX, &n))
			e->volume = (int)n;
	}
	return e->name[0] != '\0';
}

static void on_resource(struct drbd_events *ev, const struct event *e)
{
	struct entry *entry = find(ev, e->name);
	const char *p = e->fields;
	struct word w;

	if (e->action == ACTION_DESTROY) {
		if (entry)
			forget(ev, entry);
		return;
	}
	if (entry && (entry->generation != ev->generation || !entry->now.up)) {
		char name[NAME_LEN + 1];

		memcpy(name, entry->now.resource, sizeof(name));
		drbdm_status_init(&entry->now);
		memcpy(entry->now.resource, name, sizeof(name));
		entry->peer[0] = '\0';
		entry->generation = ev->generation;
	}
	if (!entry)
		entry = add(ev, e->name);
	if (!entry)
		return;
	while (word_next(&p, e->end, &w))
		drbdm_set_resource(&entry->now, &w);
	tell(ev, entry);
}

static void on_device(struct drbd_events *ev, struct entry *entry, const struct event *e)
{
	const char *p = e->fields;
	struct word w;

	if (e->action == ACTION_DESTROY) {
		drbdm_status_drop_volume(&entry->now, e->volume);
	} else {
		struct drbd_volume_status *v = drbdm_status_volume(&entry->now, e->volume);

		while (v && word_next(&p, e->end, &w))
			drbdm_set_device(v, &w);
	}
	tell(ev, entry);
}

static void on_connection(struct drbd_events *ev, struct entry *entry, const struct event *e)
{
	const char *p = e->fields;
	struct word w;

	if (e->action == ACTION_DESTROY) {
		entry->peer[0] = '\0';
		drbdm_status_no_peer(&entry->now);
	} else {
		if (!entry->peer[0])
			(void)str_copy(entry->peer, sizeof(entry->peer), e->peer);
		while (word_next(&p, e->end, &w))
			drbdm_set_connection(&entry->now, &w);
	}
	tell(ev, entry);
}

static void on_peer_device(struct drbd_events *ev, struct entry *entry, const struct event *e)
{
	const char *p = e->fields;
	struct word w;

	if (e->action == ACTION_DESTROY)
		return; /* the device or the connection goes as well, and says so */
	struct drbd_volume_status *v = drbdm_status_volume(&entry->now, e->volume);

	while (v && word_next(&p, e->end, &w))
		drbdm_set_peer_device(v, &w);
	tell(ev, entry);
}

static void on_rename(struct drbd_events *ev, const struct event *e)
{
	struct entry *entry = find(ev, e->name);

	/* Nobody renames ours. What the new name's state is, a new child says. */
	if (entry)
		forget(ev, entry);
	ev->lost = true;
}

/* "exists -": the child has said all there is. */
static void on_initial_done(struct drbd_events *ev)
{
	ev->synced = true;
	for (int i = ev->n - 1; i >= 0; i--) {
		struct entry *e = &ev->entries[i];

		if (e->generation != ev->generation || !e->now.up)
			forget(ev, e);
		else
			tell(ev, e);
	}
}

static void dispatch(struct drbd_events *ev, struct event *e)
{
	if (!read_key(e))
		return;
	if (strcmp(e->object, "resource") == 0) {
		on_resource(ev, e);
		return;
	}
	struct entry *entry = find(ev, e->name);
	if (!entry || entry->generation != ev->generation || !entry->now.up)
		return;
	bool other_peer = entry->peer[0] && e->peer[0] && strcmp(entry->peer, e->peer) != 0;
	if (strcmp(e->object, "device") == 0 && e->volume >= 0)
		on_device(ev, entry, e);
	else if (strcmp(e->object, "connection") == 0 && e->peer[0] && !other_peer)
		on_connection(ev, entry, e);
	else if (strcmp(e->object, "peer-device") == 0 && e->volume >= 0 && !other_peer)
		on_peer_device(ev, entry, e);
}

static void take_line(struct drbd_events *ev, const char *line, size_t len)
{
	const char *p = line;
	struct event e = {.end = line + len};
	struct word action, object;

	if (!word_next(&p, e.end, &action))
		return;
	/* --timestamps puts "2024-01-31T12:00:00.000000+00:00" in front. */
	if (line[0] >= '0' && line[0] <= '9' && !word_next(&p, e.end, &action))
		return;
	if (!word_next(&p, e.end, &object))
		return;
	if (word_value_is(&action, "-") && word_value_is(&object, "skipped")) {
		ev->lost = true;
		return;
	}
	bool exists = word_value_is(&action, "exists");
	if (exists && word_value_is(&object, "-")) {
		on_initial_done(ev);
		return;
	}
	e.fields = p;
	if (object.key_len || !copy_value(&object, e.object, sizeof(e.object)))
		return;
	e.action = ACTION_NONE;
	if (exists || word_value_is(&action, "create") || word_value_is(&action, "change"))
		e.action = ACTION_SET;
	else if (word_value_is(&action, "destroy"))
		e.action = ACTION_DESTROY;
	if (e.action != ACTION_NONE)
		dispatch(ev, &e);
	else if (word_value_is(&action, "rename") && read_key(&e))
		on_rename(ev, &e);
}

void drbd_events_feed(struct drbd_events *ev, const char *data, size_t n)
{
	while (n > 0) {
		const char *eol = memchr(data, '\n', n);
		size_t piece = eol ? (size_t)(eol - data) : n;

		if (!ev->skipping && ev->line.len + piece > LINE_MAX_BYTES) {
			ev->skipping = true;
			ev->lost = true;
		}
		if (!ev->skipping) {
			int rc = buf_add(&ev->line, data, piece);

			assert(rc == 0); /* bounded by LINE_MAX_BYTES */
		}
		if (!eol)
			return;
		if (!ev->skipping && ev->line.len > 0)
			take_line(ev, ev->line.data, ev->line.len);
		ev->skipping = false;
		buf_reset(&ev->line);
		data += piece + 1;
		n -= piece + 1;
	}
}

void drbd_events_restart(struct drbd_events *ev)
{
	ev->generation++;
	ev->synced = ev->lost = ev->skipping = false;
	buf_reset(&ev->line);
}

bool drbd_events_synced(const struct drbd_events *ev)
{
	return ev->synced;
}

bool drbd_events_lost(const struct drbd_events *ev)
{
	return ev->lost;
}

/* What was read of a new child's list is not shown before the list is whole. */
static const struct drbd_status *shown(const struct drbd_events *ev, const struct entry *e)
{
	const struct drbd_status *s = ev->synced ? &e->now : &e->told;

	return s->up ? s : NULL;
}

const struct drbd_status *drbd_events_find(const struct drbd_events *ev, const char *resource)
{
	const struct entry *e = find(ev, resource);

	return e ? shown(ev, e) : NULL;
}

void drbd_events_all(const struct drbd_events *ev, struct drbd_status **ret, int *ret_n)
{
	struct drbd_status *list = xcalloc((size_t)ev->n + 1, sizeof(*list));
	int n = 0;

	for (int i = 0; i < ev->n; i++) {
		const struct drbd_status *s = shown(ev, &ev->entries[i]);

		if (s)
			list[n++] = *s;
	}
	*ret = list;
	*ret_n = n;
}
