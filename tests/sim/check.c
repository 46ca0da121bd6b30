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
#include "io/store.h"
#include "schema/field.h"
#include "tests/sim/kernel.h"

void violation(const char *fmt, ...)
{
	va_list ap;

	if (eng.stop)
		return; /* the first one counts. (W.why alone may be why all is not at rest yet.) */
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
void ledger_read_all(const char *uuid, const char *where, bool begins, const uint64_t *blocks)
{
	struct ledger *l = ledger_of(uuid, "");

	if (!l)
		return;
	for (int b = 0; b < BLOCKS; b++) {
		if (l->excused && begins && blocks[b] != l->acked[b])
			l->acked[b] = blocks[b];
		if (blocks[b] < l->acked[b] || (blocks[b] > l->acked[b] && blocks[b] > l->issued[b])) {
			violation("acknowledged write lost: guest '%s' %s, block %d holds %llu, acknowledged was %llu", l->name, where, b,
				  (unsigned long long)blocks[b], (unsigned long long)l->acked[b]);
			return;
		}
		l->acked[b] = blocks[b]; /* it has seen it: from now on it must stay */
	}
	if (begins) /* a guest that still runs where it was does not use up what is about the move */
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

/* A text of the store: what it says is read once for each time that it is written. Borrowed until PARSED others have come. */
#define PARSED 16
static struct {
	char *key;
	int64_t revision;
	json_t *j;
} kept[PARSED];

static const json_t *parsed(const struct store_kv *kv)
{
	static int next;

	for (int i = 0; i < PARSED; i++)
		if (kept[i].key && kept[i].revision == kv->mod_revision && strcmp(kept[i].key, kv->key) == 0)
			return kept[i].j;
	int at = next++ % PARSED;
	free(kept[at].key);
	json_decref(kept[at].j);
	kept[at].key = xstrdup(kv->key);
	kept[at].revision = kv->mod_revision;
	kept[at].j = json_loads(kv->value, 0, NULL);
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
	const struct store_kv *kv = r->arbitrated && pm ? store_world_find(key) : NULL;
	const json_t *own = json_object_get(kv ? parsed(kv) : NULL, "own");
	if (!json_bool(own, "arbitrated", false) || !among(json_object_get(own, "current"), pm->uuid))
		return;
	const struct replica *p = replica_find(pm, r->name);
	AUTO_FREE char *mark = xasprintf("%s/var/lib/gantry/stale/%s", machine_root(pm), r->uuid);
	bool knows = !p || !p->md || !p->md_consistent || machine_file(pm, mark) || r->peer_disk == DRBD_DISK_DISKLESS;
	if (!knows)
		violation("'%s' acknowledges alone on %s while the log lists %s as current (generation %lld)", r->name, r->m->name, pm->name,
			  (long long)json_int(own, "gen", 0));
}

bool log_lists(const char *instance, const char *node)
{
	AUTO_FREE char *key = xasprintf("/gantry/instance/%s", instance);
	const struct store_kv *kv = store_world_find(key);

	return kv && among(json_object_get(parsed(kv), "nodes"), node);
}

/* Whoever lets a guest run, here and now, has the log's word for it. Excused: a machine about which an agent has lied. */
void check_runner(const struct guest *g, const char *how)
{
	char key[64];

	(void)snprintf(key, sizeof(key), "/gantry/instance/%s", g->uuid);
	const struct store_kv *kv = store_world_find(key);
	const json_t *own = json_object_get(kv ? parsed(kv) : NULL, "own");
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
	const struct store_kv *kvs;
	int n = store_world_look("/gantry/instance/", &kvs);

	for (int i = 0; i < n; i++)
		check_owner(parsed(&kvs[i]));
}

/* ---- at rest: the store's texts against the machines ---------------------------------------------------------- */

static bool bad(const char *fmt, ...) PRINTF(1, 2);
static bool saying; /* why */
static bool bad(const char *fmt, ...)
{
	va_list ap;

	if (!saying)
		return false;
	va_start(ap, fmt);
	(void)vsnprintf(W.why, sizeof(W.why), fmt, ap);
	va_end(ap);
	return false;
}

/*
 * It is asked twice a second, and the store seldom changes: what was read of texts that have not been written since is kept. Whatever is written, under
 * any key, has a higher revision than all before: as many texts as before, and the newest as old as before, are the same ones.
 */
struct stamp {
	int n;
	int64_t newest;
};

static struct stamp stamp_of(const struct store_kv *kvs, int n)
{
	struct stamp s = { n, 0 };

	for (int i = 0; i < n; i++)
		s.newest = kvs[i].mod_revision > s.newest ? kvs[i].mod_revision : s.newest;
	return s;
}

struct wanted { /* an instance as the store has it; the texts are those of o */
	json_t *o;
	int64_t revision;
	const char *uuid, *name, *owner, *target;
	const char *resource; /* a renamed one keeps it */
	const json_t *nodes, *disks;
	size_t n_current;
	bool up, drbd;
};

static struct wanted *wanted;
static int n_wanted;
static struct stamp wanted_of, jobs_good;
static struct good_job { /* in order when it was written, and so for good */
	char *key;
	int64_t revision;
} *good;
static int n_good;

/* Revisions are those of one world. */
void check_world_new(void)
{
	memset(kept, 0, sizeof(kept)); /* the texts are lost with their world */
	wanted_of = jobs_good = (struct stamp){ -1, 0 };
	n_good = 0;
}

static void want(struct wanted *w, const struct store_kv *kv)
{
	json_t *o = json_incref((json_t *)(uintptr_t)parsed(kv));
	const json_t *own = json_object_get(o, "own");

	*w = (struct wanted){
		.o = o,
		.revision = kv->mod_revision,
		.uuid = json_str(o, "uuid", ""),
		.name = json_str(o, "name", ""),
		.resource = json_str(o, "resource", json_str(o, "name", "")),
		.owner = json_str(own, "owner", ""),
		.target = json_str(own, "target", ""),
		.nodes = json_object_get(o, "nodes"),
		.disks = json_object_get(o, "disks"),
		.n_current = json_array_size(json_object_get(own, "current")),
		.up = strcmp(json_str(o, "admin_state", ""), "up") == 0,
		.drbd = strcmp(json_str(o, "template", ""), "drbd") == 0,
	};
}

static void read_instances(void)
{
	const struct store_kv *kvs;
	int n = store_world_look("/gantry/instance/", &kvs);
	struct stamp now = stamp_of(kvs, n);

	if (now.n == wanted_of.n && now.newest == wanted_of.newest)
		return;
	wanted_of = now;
	for (int i = 0; i < n_wanted; i++)
		json_decref(wanted[i].o);
	wanted = xrealloc(wanted, (size_t)n * sizeof(*wanted));
	n_wanted = n;
	for (int i = 0; i < n; i++)
		want(&wanted[i], &kvs[i]);
}

static bool check_instance(const struct wanted *w)
{
	const char *uuid = w->uuid, *name = w->name;
	int running = 0, primaries = 0;

	if (w->target[0])
		return bad("'%s': a migration is recorded and nobody migrates", name);
	for (int i = 0; i < W.n; i++) {
		struct machine *m = &W.m[i];

		if (!m->power)
			continue;
		const struct guest *g = guest_find(m, uuid);
		struct replica *r = replica_find(m, w->resource);
		bool ours = r && r->conf && strcmp(r->uuid, uuid) == 0, its = among(w->nodes, m->uuid);
		if (g && g->state != HV_RUNNING)
			return bad("'%s' stands still on %s", name, m->name);
		if (g && strcmp(w->owner, m->uuid) != 0)
			return bad("'%s' runs on %s, which does not own it", name, m->name);
		running += g != NULL;
		if (ours && !its)
			return bad("%s has a replica of '%s' that is none of its own", m->name, name);
		if (w->drbd && its && !ours)
			return bad("%s lacks its replica of '%s'", m->name, name);
		primaries += ours && r->up && r->role == DRBD_ROLE_PRIMARY;
		if (ours && r->up && r->two)
			return bad("'%s' still allows two Primaries on %s", name, m->name);
		if (ours && r->frozen)
			return bad("'%s' is frozen on %s", name, m->name);
	}
	if (primaries > 1)
		return bad("'%s' is Primary twice", name);
	if (w->up != (running == 1))
		return bad("'%s' should be %s and runs %d times", name, w->up ? "up" : "down", running);
	if (w->drbd && w->up && w->n_current != json_array_size(w->nodes))
		return bad("'%s': %zu of %zu replicas are current", name, w->n_current, json_array_size(w->nodes));
	return true;
}

static bool known(const char *uuid)
{
	for (int i = 0; i < n_wanted; i++)
		if (strcmp(wanted[i].uuid, uuid) == 0)
			return true;
	return false;
}

static bool disk_known(const char *owner, const char *node)
{
	size_t k;
	const json_t *d;

	for (int i = 0; i < n_wanted; i++)
		json_array_foreach((json_t *)(uintptr_t)wanted[i].disks, k, d)
			if (strcmp(json_str(d, "uuid", ""), owner) == 0)
				return among(wanted[i].nodes, node);
	return false;
}

/* Of the instance whose uuid the volume's name begins with: whoever is to help must know which one it is about. */
static const char *name_of(const char *volume)
{
	for (int i = 0; i < n_wanted; i++)
		if (strncmp(volume, wanted[i].uuid, UUID_LEN) == 0)
			return wanted[i].name;
	return "no instance";
}

static bool check_left_over(void)
{
	for (int i = 0; i < W.n; i++) {
		struct machine *m = &W.m[i];

		list_for_each(l, &m->guests) {
			const struct guest *g = list_entry(l, struct guest, link);

			if (!known(g->uuid))
				return bad("guest '%s' on %s belongs to no instance", g->name, m->name);
		}
		list_for_each(l, &m->replicas) {
			const struct replica *r = list_entry(l, struct replica, link);

			if ((r->conf || r->up) && !known(r->uuid))
				return bad("DRBD resource '%s' on %s belongs to no instance", r->name, m->name);
		}
		list_for_each(l, &m->volumes) {
			const struct volume *v = list_entry(l, struct volume, link);

			if (!disk_known(v->owner, m->uuid))
				return bad("'%s': volume '%s' on %s belongs to no instance there", name_of(v->name), v->name, m->name);
		}
	}
	return true;
}

static bool job_in_order(const struct store_kv *kv)
{
	const char *id = kv->key + strlen("/gantry/job/");

	for (int i = 0; i < n_good; i++)
		if (good[i].revision == kv->mod_revision && strcmp(good[i].key, kv->key) == 0)
			return true;
	if (!saying && !strstr(kv->value, "\"success\"") && !strstr(kv->value, "\"error\"") && !strstr(kv->value, "\"canceled\""))
		return false; /* whatever it says, it has not ended */
	AUTO_JSON json_t *j = json_loads(kv->value, 0, NULL);
	const char *state = json_str(j, "state", "");

	if (strchr(id, '/'))
		return bad("the store holds a step's record of a job that has ended: %s", kv->key);
	if (strcmp(state, "success") != 0 && strcmp(state, "error") != 0 && strcmp(state, "canceled") != 0)
		return bad("job %s (%s) has not ended: %s, %s", id, json_str(j, "op", "?"), state[0] ? state : "queued", json_str(j, "error_msg", ""));
	good = xrealloc(good, (size_t)(n_good + 1) * sizeof(*good));
	good[n_good].key = xstrdup(kv->key);
	good[n_good++].revision = kv->mod_revision;
	return true;
}

static bool check_jobs(void)
{
	const struct store_kv *kvs;
	int n = store_world_look("/gantry/job/", &kvs);
	struct stamp now = stamp_of(kvs, n);

	if (now.n == jobs_good.n && now.newest == jobs_good.newest)
		return true;
	for (int i = 0; i < n; i++)
		if (!job_in_order(&kvs[i]))
			return false;
	jobs_good = now;
	return true;
}

bool check_rest(bool say)
{
	read_instances();
	W.why[0] = '\0';
	saying = say;
	for (int i = 0; i < n_wanted; i++)
		if (!check_instance(&wanted[i]))
			return false;
	return check_left_over() && check_jobs();
}
