/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What must hold, looked at from outside: by the models' states and the texts in the store, with no code of core/ or node/. After
 * every event: no guest executes twice, no two sides write apart from each other, no acknowledged write is missing where a guest
 * runs. At rest also: as wanted, nothing left over.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/xmem.h"
#include "schema/field.h"
#include "tests/sim/kernel.h"

void violation(const char *fmt, ...)
{
	va_list ap;

	if (W.why[0])
		return;
	va_start(ap, fmt);
	(void)vsnprintf(W.why, sizeof(W.why), fmt, ap);
	va_end(ap);
	trace("VIOLATION: %s", W.why);
	eng.stop = true;
}

/* ---- ledgers ---------------------------------------------------------------------------------------- */

struct ledger *ledger_of(const char *uuid, const char *name)
{
	for (int i = 0; i < W.n_ledgers; i++)
		if (strcmp(W.ledgers[i].uuid, uuid) == 0)
			return &W.ledgers[i];
	if (W.n_ledgers == GUESTS_MAX)
		return NULL;
	struct ledger *l = &W.ledgers[W.n_ledgers++];
	memset(l, 0, sizeof(*l));
	(void)str_copy(l->uuid, sizeof(l->uuid), uuid);
	(void)str_copy(l->name, sizeof(l->name), name);
	return l;
}

/* Each block holds what was acknowledged last, or something issued since: a write nobody was told of may have landed. */
void ledger_read_all(const char *uuid, const char *where, const uint64_t *blocks)
{
	struct ledger *l = ledger_of(uuid, "");

	if (!l)
		return;
	for (int b = 0; b < BLOCKS; b++) {
		if (l->excused && blocks[b] != l->acked[b])
			l->acked[b] = blocks[b];
		if (blocks[b] < l->acked[b] || (blocks[b] > l->acked[b] && blocks[b] > l->issued[b])) {
			violation("acknowledged write lost: guest '%s' %s, block %d holds %llu, acknowledged was %llu", l->name, where, b,
				  (unsigned long long)blocks[b], (unsigned long long)l->acked[b]);
			return;
		}
		l->acked[b] = blocks[b]; /* it has seen it: from now on it must stay */
	}
	l->excused = false;
}

static bool among(const json_t *list, const char *s)
{
	size_t i;
	const json_t *e;

	json_array_foreach((json_t *)(uintptr_t)list, i, e)
		if (strcmp(json_string_value(e) ? json_string_value(e) : "", s) == 0)
			return true;
	return false;
}

/* ---- after every event --------------------------------------------------------------------------------- */

static bool writes_alone(const struct replica *r)
{
	return r->up && r->role == DRBD_ROLE_PRIMARY && !r->frozen && r->disk == DRBD_DISK_UPTODATE && r->net != WANT_CONNECTED;
}

static void check_replica(const struct machine *m, const struct replica *r)
{
	if (!writes_alone(r) || !guest_on((struct machine *)(uintptr_t)m, r))
		return;
	for (int i = m->index + 1; i < W.n; i++) {
		const struct replica *o = W.m[i].power ? replica_find(&W.m[i], r->name) : NULL;

		if (o && strcmp(o->uuid, r->uuid) == 0 && writes_alone(o) && guest_on(&W.m[i], o))
			violation("two sides of '%s' acknowledge writes apart from each other: %s and %s", r->name, m->name, W.m[i].name);
	}
}

static void check_guest(const struct machine *m, const struct guest *g)
{
	if (g->state != HV_RUNNING || g->dying)
		return;
	for (int i = m->index + 1; i < W.n; i++) {
		const struct guest *o = W.m[i].power ? guest_find(&W.m[i], g->uuid) : NULL;

		if (o && o->state == HV_RUNNING && !o->dying)
			violation("guest '%s' runs on %s and on %s", g->name, m->name, W.m[i].name);
	}
}

/*
 * A write was acknowledged that the peer has not got, while the log lists the peer. Let pass: a peer that knows itself that it lacks
 * something (Inconsistent, or marked), and the moments in which the kernel goes on without asking because the peer lost its disk (H6).
 */
void check_alone(const struct replica *r)
{
	char key[64];
	struct machine *pm = machine_by_name(r->kernel_peer);

	(void)snprintf(key, sizeof(key), "/gantry/instance/%s", r->uuid);
	AUTO_FREE char *text = r->arbitrated && pm ? store_world_get(key) : NULL;
	AUTO_JSON json_t *o = text ? json_loads(text, 0, NULL) : NULL;
	const json_t *own = json_object_get(o, "own");
	if (!json_bool(own, "arbitrated", false) || !among(json_object_get(own, "current"), pm->uuid))
		return;
	const struct replica *p = replica_find(pm, r->name);
	AUTO_FREE char *mark = xasprintf("%s/var/lib/gantry/stale/%s", machine_root(pm), r->uuid);
	bool knows = !p || !p->md || !p->md_consistent || machine_file(pm, mark) || r->peer_disk == DRBD_DISK_DISKLESS;
	if (!knows)
		violation("'%s' acknowledges alone on %s while the log lists %s as current (generation %lld)", r->name, r->m->name, pm->name,
			  (long long)json_int(own, "gen", 0));
}

void check_event(void *arg)
{
	int addresses = 0;

	(void)arg;
	for (int i = 0; i < W.n; i++) {
		struct machine *m = &W.m[i];

		/* One that stands still cannot take it away; the new holder's announcement draws it over. */
		addresses += m->has_ip && m->masterd_proc && eng.now - m->masterd_proc->stalled_until > 1 * SEC;
		if (!m->power)
			continue;
		list_for_each(l, &m->guests)
			check_guest(m, list_entry(l, struct guest, link));
		list_for_each(l, &m->replicas)
			check_replica(m, list_entry(l, struct replica, link));
	}
	if (addresses > 1)
		violation("the cluster address is on two machines");
}

/* ---- at rest: the store's texts against the machines ---------------------------------------------------------- */

static bool bad(const char *fmt, ...) PRINTF(1, 2);
static bool bad(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(W.why, sizeof(W.why), fmt, ap);
	va_end(ap);
	return false;
}

static bool check_instance(const json_t *o)
{
	const char *uuid = json_str(o, "uuid", ""), *name = json_str(o, "name", ""), *tmpl = json_str(o, "template", "");
	const json_t *own = json_object_get(o, "own"), *nodes = json_object_get(o, "nodes");
	const char *owner = json_str(own, "owner", "");
	bool up = strcmp(json_str(o, "admin_state", ""), "up") == 0, drbd = strcmp(tmpl, "drbd") == 0;
	int running = 0, primaries = 0;

	if (json_str(own, "target", "")[0])
		return bad("'%s': a migration is recorded and nobody migrates", name);
	for (int i = 0; i < W.n; i++) {
		struct machine *m = &W.m[i];
		const struct guest *g = m->power ? guest_find(m, uuid) : NULL;
		struct replica *r = replica_find(m, name);
		bool ours = r && r->conf && strcmp(r->uuid, uuid) == 0;

		if (!m->power)
			continue;
		if (g && g->state != HV_RUNNING)
			return bad("'%s' stands still on %s", name, m->name);
		if (g && strcmp(owner, m->uuid) != 0)
			return bad("'%s' runs on %s, which does not own it", name, m->name);
		running += g != NULL;
		if (ours && !among(nodes, m->uuid))
			return bad("%s has a replica of '%s' that is none of its own", m->name, name);
		if (drbd && among(nodes, m->uuid) && !ours)
			return bad("%s lacks its replica of '%s'", m->name, name);
		primaries += ours && r->up && r->role == DRBD_ROLE_PRIMARY;
		if (ours && r->up && r->two)
			return bad("'%s' still allows two Primaries on %s", name, m->name);
		if (ours && r->frozen)
			return bad("'%s' is frozen on %s", name, m->name);
	}
	if (primaries > 1)
		return bad("'%s' is Primary twice", name);
	if (up != (running == 1))
		return bad("'%s' should be %s and runs %d times", name, up ? "up" : "down", running);
	if (drbd && up && json_array_size(json_object_get(own, "current")) != json_array_size(nodes))
		return bad("'%s': %zu of %zu replicas are current", name, json_array_size(json_object_get(own, "current")), json_array_size(nodes));
	return true;
}

static bool known(const json_t *instances, const char *uuid)
{
	size_t i;
	const json_t *o;

	json_array_foreach((json_t *)(uintptr_t)instances, i, o)
		if (strcmp(json_str(o, "uuid", ""), uuid) == 0)
			return true;
	return false;
}

static bool disk_known(const json_t *instances, const char *owner, const char *node)
{
	size_t i, k;
	const json_t *o, *d;

	json_array_foreach((json_t *)(uintptr_t)instances, i, o)
		json_array_foreach(json_object_get(o, "disks"), k, d)
			if (strcmp(json_str(d, "uuid", ""), owner) == 0)
				return among(json_object_get(o, "nodes"), node);
	return false;
}

static bool check_left_over(const json_t *instances)
{
	for (int i = 0; i < W.n; i++) {
		struct machine *m = &W.m[i];

		list_for_each(l, &m->guests) {
			const struct guest *g = list_entry(l, struct guest, link);

			if (!known(instances, g->uuid))
				return bad("guest '%s' on %s belongs to no instance", g->name, m->name);
		}
		list_for_each(l, &m->replicas) {
			const struct replica *r = list_entry(l, struct replica, link);

			if ((r->conf || r->up) && !known(instances, r->uuid))
				return bad("DRBD resource '%s' on %s belongs to no instance", r->name, m->name);
		}
		list_for_each(l, &m->volumes) {
			const struct volume *v = list_entry(l, struct volume, link);

			if (!disk_known(instances, v->owner, m->uuid))
				return bad("volume '%s' on %s belongs to no instance there", v->name, m->name);
		}
	}
	return true;
}

static bool check_jobs(void)
{
	char **keys, **values;
	int n = store_world_dump("/gantry/job/", &keys, &values), nv = n;
	bool ok = true;

	for (int i = 0; i < n && ok; i++) {
		AUTO_JSON json_t *j = json_loads(values[i], 0, NULL);
		const char *state = json_str(j, "state", "");

		if (strchr(keys[i] + strlen("/gantry/job/"), '/'))
			ok = bad("the store holds a step's record of a job that has ended: %s", keys[i]);
		else if (strcmp(state, "success") != 0 && strcmp(state, "error") != 0 && strcmp(state, "canceled") != 0)
			ok = bad("job %s (%s) has not ended: %s, %s", keys[i] + strlen("/gantry/job/"), json_str(j, "op", "?"), state[0] ? state : "queued",
				 json_str(j, "error_msg", ""));
	}
	strs_clear(&keys, &n);
	strs_clear(&values, &nv);
	return ok;
}

bool check_rest(void)
{
	char **keys, **values;
	int n = store_world_dump("/gantry/instance/", &keys, &values), nv = n;
	AUTO_JSON json_t *instances = json_array();
	bool ok = true;

	W.why[0] = '\0';
	for (int i = 0; i < n; i++) {
		json_t *o = json_loads(values[i], 0, NULL);

		json_array_append_new(instances, o);
		ok = ok && check_instance(o);
	}
	strs_clear(&keys, &n);
	strs_clear(&values, &nv);
	return ok && check_left_over(instances) && check_jobs();
}
