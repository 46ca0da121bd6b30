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

/* The half of a migration that has not begun to run has nothing to write. */
static bool writer_on(struct machine *m, const struct replica *r)
{
	const struct guest *g = guest_on(m, r);

	return g && g->state == HV_RUNNING;
}

static void check_replica(const struct machine *m, const struct replica *r)
{
	if (!writes_alone(r) || !writer_on((struct machine *)(uintptr_t)m, r))
		return;
	for (int i = m->index + 1; i < W.n; i++) {
		const struct replica *o = W.m[i].power ? replica_find(&W.m[i], r->name) : NULL;

		if (o && strcmp(o->uuid, r->uuid) == 0 && writes_alone(o) && writer_on(&W.m[i], o))
			violation("two sides of '%s' acknowledge writes apart from each other: %s and %s", r->name, m->name, W.m[i].name);
	}
}

static void check_guest(const struct machine *m, const struct guest *g)
{
	if (g->state != HV_RUNNING || g->dying)
		return;
	for (int i = m->index + 1; i < W.n; i++) {
		const struct guest *o = W.m[i].power ? guest_find(&W.m[i], g->uuid) : NULL;

		if (o && o->state == HV_RUNNING && !o->dying && !m->lied_about && !W.m[i].lied_about)
			violation("guest '%s' runs on %s and on %s", g->name, m->name, W.m[i].name);
	}
}

/* The same few texts come again and again: those of the instances that are looked at in turn. Borrowed until PARSED others have come. */
#define PARSED 16
static const json_t *parsed(const char *text)
{
	static struct {
		char *text;
		json_t *j;
	} kept[PARSED];
	static int next;

	for (int i = 0; i < PARSED; i++)
		if (kept[i].text && strcmp(kept[i].text, text) == 0)
			return kept[i].j;
	int at = next++ % PARSED;
	free(kept[at].text);
	json_decref(kept[at].j);
	kept[at].text = xstrdup(text);
	kept[at].j = json_loads(text, 0, NULL);
	return kept[at].j;
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
	const json_t *own = json_object_get(text ? parsed(text) : NULL, "own");
	if (!json_bool(own, "arbitrated", false) || !among(json_object_get(own, "current"), pm->uuid))
		return;
	const struct replica *p = replica_find(pm, r->name);
	AUTO_FREE char *mark = xasprintf("%s/var/lib/gantry/stale/%s", machine_root(pm), r->uuid);
	bool knows = !p || !p->md || !p->md_consistent || machine_file(pm, mark) || r->peer_disk == DRBD_DISK_DISKLESS;
	if (!knows)
		violation("'%s' acknowledges alone on %s while the log lists %s as current (generation %lld)", r->name, r->m->name, pm->name,
			  (long long)json_int(own, "gen", 0));
}

/* Whoever lets a guest run, here and now, has the log's word for it. Excused: a machine about which an agent has lied. */
void check_runner(const struct guest *g, const char *how)
{
	char key[64];

	(void)snprintf(key, sizeof(key), "/gantry/instance/%s", g->uuid);
	AUTO_FREE char *text = store_world_get(key);
	const json_t *own = json_object_get(text ? parsed(text) : NULL, "own");
	const char *runner = json_str(own, strcmp(json_str(own, "run", ""), "target") == 0 ? "target" : "owner", "");
	if (own && strcmp(runner, g->m->uuid) != 0 && !g->m->lied_about)
		violation("guest '%s' %s on %s, and the log names another node", g->name, how, g->m->name);
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

/*
 * The record was given to another node: by then the guest must have ended where it was, in truth, whatever the evidence was called.
 * Excused: a fence agent lied about that machine.
 */
static void check_owner(const json_t *o)
{
	const json_t *own = json_object_get(o, "own");
	struct ledger *l = ledger_of(json_str(o, "uuid", ""), json_str(o, "name", ""));
	const char *runner = strcmp(json_str(own, "run", ""), "target") == 0 ? json_str(own, "target", "") : json_str(own, "owner", "");

	if (!l || strcmp(l->runner, runner) == 0)
		return;
	struct machine *was = l->runner[0] ? machine_by_uuid(l->runner) : NULL;
	const struct guest *g = was && was->power ? guest_find(was, l->uuid) : NULL;
	if (g && g->state == HV_RUNNING && !g->dying && !was->lied_about)
		violation("guest '%s' was given away while it runs on %s (evidence: %s %s)", l->name, was->name, json_str(own, "evidence", ""),
			  json_str(own, "evidence_text", ""));
	if (l->runner[0] && strcmp(json_str(own, "evidence", "none"), "none") != 0) {
		const char *e = json_str(own, "evidence", "");

		W.counts.by_lease += strcmp(e, "lease") == 0;
		W.counts.by_power += strcmp(e, "power") == 0;
		W.counts.by_report += strcmp(e, "report") == 0;
		W.counts.by_person += strcmp(e, "person") == 0;
	}
	(void)str_copy(l->runner, sizeof(l->runner), runner);
}

void check_owners(void)
{
	char **keys, **values;
	int n = store_world_dump("/gantry/instance/", &keys, &values), nv = n;

	for (int i = 0; i < n; i++) {
		check_owner(parsed(values[i]));
	}
	strs_clear(&keys, &n);
	strs_clear(&values, &nv);
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
		struct replica *r = replica_find(m, json_str(o, "resource", name)); /* a renamed one keeps it */
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

static uint64_t hash_of(char *const *texts, int n)
{
	uint64_t h = UINT64_C(14695981039346656037); /* FNV-1a */

	for (int i = 0; i < n; i++)
		for (const char *c = texts[i];; c++) {
			h = (h ^ (unsigned char)*c) * UINT64_C(1099511628211);
			if (!*c)
				break;
		}
	return h;
}

static bool check_jobs(void)
{
	char **keys, **values;
	int n = store_world_dump("/gantry/job/", &keys, &values), nv = n;
	static uint64_t good; /* of texts that were in order */
	uint64_t h = hash_of(keys, n) ^ (hash_of(values, n) << 1);
	bool ok = true;

	for (int i = 0; i < n && ok && h != good; i++) {
		AUTO_JSON json_t *j = json_loads(values[i], 0, NULL);
		const char *state = json_str(j, "state", "");

		if (strchr(keys[i] + strlen("/gantry/job/"), '/'))
			ok = bad("the store holds a step's record of a job that has ended: %s", keys[i]);
		else if (strcmp(state, "success") != 0 && strcmp(state, "error") != 0 && strcmp(state, "canceled") != 0)
			ok = bad("job %s (%s) has not ended: %s, %s", keys[i] + strlen("/gantry/job/"), json_str(j, "op", "?"), state[0] ? state : "queued",
				 json_str(j, "error_msg", ""));
	}
	if (ok)
		good = h;
	strs_clear(&keys, &n);
	strs_clear(&values, &nv);
	return ok;
}

/* It is asked twice a second, and the store seldom changes: texts that were there before are not parsed again. */
static const json_t *all_instances(void)
{
	static json_t *instances;
	static uint64_t hash;
	char **keys, **values;
	int n = store_world_dump("/gantry/instance/", &keys, &values), nv = n;
	uint64_t h = hash_of(values, n);

	if (!instances || h != hash) {
		json_decref(instances);
		instances = json_array();
		for (int i = 0; i < n; i++)
			json_array_append_new(instances, json_loads(values[i], 0, NULL));
		hash = h;
	}
	strs_clear(&keys, &n);
	strs_clear(&values, &nv);
	return instances;
}

bool check_rest(void)
{
	const json_t *instances = all_instances();

	W.why[0] = '\0';
	for (size_t i = 0; i < json_array_size(instances); i++)
		if (!check_instance(json_array_get(instances, i)))
			return false;
	return check_left_over(instances) && check_jobs();
}
