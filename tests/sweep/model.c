/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sweep/model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/xmem.h"
#include "schema/msgs.h"
#include "schema/steps.h"

static struct w_thing *thing(struct w_node *n, const char *uuid, bool make)
{
	for (int i = 0; i < n->n_things; i++)
		if (strcmp(n->things[i].uuid, uuid) == 0)
			return &n->things[i];
	if (!make || n->n_things == W_THINGS)
		return NULL;
	struct w_thing *t = &n->things[n->n_things++];
	memset(t, 0, sizeof(*t));
	(void)str_copy(t->uuid, sizeof(t->uuid), uuid);
	return t;
}

static struct w_thing *peer(struct world *w, int node, const char *uuid)
{
	for (int i = 0; i < w->n_nodes; i++) {
		struct w_thing *t = i != node && w->nodes[i].up ? thing(&w->nodes[i], uuid, false) : NULL;

		if (t && t->conf)
			return t;
	}
	return NULL;
}

static bool connected(struct world *w, int node, const struct w_thing *t)
{
	const struct w_thing *p = peer(w, node, t->uuid);

	return t->connecting && t->attached && p && p->connecting && p->attached && !t->separated && !p->separated;
}

void model_power_loss(struct w_node *n)
{
	for (int i = 0; i < n->n_things; i++) {
		struct w_thing *t = &n->things[i];

		t->attached = t->connecting = t->primary = t->two = t->guest = t->paused = t->incoming = false;
	}
}

/* For ha.lease = 12 s, in numbers of their own: X + 2W = 9 + 6 s after the last answered beat; vouching ends D + V + 2W = 5.5 + 2 + 6 s after the link. */
void model_watchdogs(struct world *w)
{
	for (int i = 0; i < w->n_nodes; i++) {
		struct w_node *n = &w->nodes[i];
		bool armed = false, starved = false;

		for (int k = 0; k < n->n_things; k++) {
			struct w_thing *t = &n->things[k];

			if (n->up && connected(w, i, t))
				t->connected_ms = w->now_ms;
			armed = armed || (t->guest && t->ha && !n->no_watchdog);
			starved = starved || (t->guest && t->ha && w->now_ms >= t->connected_ms + 13500);
		}
		if (n->up && armed && starved && w->now_ms >= n->beat_ms + 15000)
			world_node_down(w, i);
	}
}

void model_free(struct w_node *n)
{
	for (int i = 0; i < n->n_records; i++)
		free(n->records[i].result);
	free(n->records);
}

/* ---- what the orders do -------------------------------------------------------------------------------- */

static const char *migrate(struct world *w, int node, struct w_thing *t)
{
	struct w_thing *p = peer(w, node, t->uuid);

	if (!t->guest)
		return "WRONG_STATE";
	if (!p || !connected(w, node, t) || !p->primary || !p->two || !t->two)
		return "HYPERVISOR";
	t->guest = false;
	p->guest = p->paused = true;
	p->memory_mib = t->memory_mib;
	p->incoming = false;
	return "";
}

/* What the list says of the volume of disk 0, 0 = nothing. */
static int64_t volume_mib(const json_t *args)
{
	json_t *v;
	size_t i;

	json_array_foreach(json_object_get(args, "volumes"), i, v)
		if (strstr(json_str(v, "name", ""), ".disk0") && !strstr(json_str(v, "name", ""), "_meta"))
			return json_int(v, "size", 0);
	return 0;
}

/* Returns the name of an error, "" = done. */
static const char *perform(struct world *w, int node, enum step_kind kind, bool undo, const json_t *args)
{
	struct w_node *n = &w->nodes[node];
	const char *uuid = json_str(args, "uuid", "");
	struct w_thing *t = thing(n, uuid, uuid[0] != '\0'), *p = peer(w, node, uuid);

	if (kind == STEP_KIND_etcd_start || kind == STEP_KIND_etcd_stop)
		return n->etcd = (kind == STEP_KIND_etcd_start) != undo, "";
	if (kind == STEP_KIND_masterd_start || kind == STEP_KIND_masterd_stop)
		return n->masterd = (kind == STEP_KIND_masterd_start) != undo, "";
	if (kind == STEP_KIND_watchdog_drill)
		return w->drills++, "";
	if (kind == STEP_KIND_fence_off && json_bool(args, "check", false))
		return w->no_power ? "COMMAND_FAILED" : "";
	if (kind == STEP_KIND_fence_off) {
		for (int i = 0; i < w->n_nodes && !w->no_power; i++)
			if (strcmp(w->nodes[i].uuid, uuid) == 0) {
				if (w->nodes[i].up)
					world_node_down(w, i);
				w->shots++;
			}
		return w->no_power ? "COMMAND_FAILED" : "";
	}
	if (!t)
		return "";
	switch (kind) {
	case STEP_KIND_volume_create:
		t->volumes = !undo;
		t->md = t->md && !undo;
		t->disk_mib = undo ? 0 : volume_mib(args) > t->disk_mib ? volume_mib(args) : t->disk_mib;
		t->device_mib = t->disk_mib;
		(void)str_copy(t->tag, sizeof(t->tag), json_str(json_array_get(json_object_get(args, "volumes"), 0), "owner", ""));
		return "";
	case STEP_KIND_volume_grow:
		if (!t->volumes)
			return "NOT_FOUND";
		t->disk_mib = volume_mib(args) > t->disk_mib ? volume_mib(args) : t->disk_mib;
		return "";
	case STEP_KIND_drbd_resize:
		if (!connected(w, node, t) || !t->primary)
			return "WRONG_STATE";
		t->device_mib = p->device_mib = t->disk_mib < p->disk_mib ? t->disk_mib : p->disk_mib;
		return "";
	case STEP_KIND_guest_grow:
		return t->guest && t->conf && t->device_mib < json_int(args, "size", 0) ? "HYPERVISOR" : "";
	case STEP_KIND_tail_keep:
		if (n->no_room)
			return json_bool(args, "must", false) ? "NO_SPACE" : "";
		if (!t->kept_gen || t->kept_gen != json_int(args, "gen", 0))
			t->kept_ms = w->now_ms;
		t->kept_gen = json_int(args, "gen", 0);
		return "";
	case STEP_KIND_volume_remove:
		if (strstr(json_str(json_array_get(json_object_get(args, "volumes"), 0), "name", ""), "_tail")) {
			t->kept_gen = 0;
			return "";
		}
		if (t->attached)
			return "BUSY";
		t->volumes = t->md = false;
		t->disk_mib = t->device_mib = 0;
		return "";
	case STEP_KIND_drbd_configure: t->conf = !undo || json_object_get(args, "previous"); return "";
	case STEP_KIND_drbd_forget: t->conf = false; return "";
	case STEP_KIND_drbd_make_md:
		t->md = true;
		t->stale = true;
		return "";
	case STEP_KIND_drbd_attach:
		if (!undo && (!t->volumes || !t->md || !t->conf))
			return "COMMAND_FAILED";
		t->attached = !undo;
		t->primary = t->primary && !undo;
		return "";
	case STEP_KIND_drbd_connect:
		if (!undo && !t->attached)
			return "WRONG_STATE";
		if (!undo && json_array_size(json_object_get(json_object_get(args, "tail"), "disks")) &&
		    t->kept_gen != json_int(json_object_get(args, "tail"), "gen", 0))
			return "NOT_SAFE";
		t->connecting = !undo;
		if (undo || !connected(w, node, t) || (!t->diverged && !p->diverged))
			return "";
		if (!t->diverged || !json_bool(args, "discard", false)) { /* split brain: DRBD drops the connection, on both sides */
			t->connecting = p->connecting = false;
			t->split = p->split = true;
			return "";
		}
		t->overwritten += t->kept_gen == 0;
		t->diverged = t->split = p->split = false;
		return "";
	case STEP_KIND_drbd_wait_connected: return connected(w, node, t) ? "" : "TIMEOUT";
	case STEP_KIND_drbd_skip_sync:
		t->stale = false;
		if (p)
			p->stale = false;
		return connected(w, node, t) ? "" : "WRONG_STATE";
	case STEP_KIND_drbd_wait_sync:
		if (!connected(w, node, t))
			return "NODE_DOWN";
		t->stale = p->stale = false;
		return "";
	case STEP_KIND_drbd_prove: return connected(w, node, t) && !t->stale && !p->stale ? "" : "STALE_REPLICA";
	case STEP_KIND_drbd_primary:
		if (undo) {
			t->primary = false;
			return "";
		}
		if (!t->attached || (connected(w, node, t) && p->primary && !(t->two && p->two))) /* a peer that is not connected is not asked */
			return "WRONG_STATE";
		t->primary = true;
		return "";
	case STEP_KIND_drbd_secondary:
		if (!undo && t->guest)
			return "BUSY";
		t->primary = undo;
		return "";
	case STEP_KIND_drbd_two_primaries: t->two = !undo; return "";
	case STEP_KIND_drbd_one_primary: t->two = false; return "";
	case STEP_KIND_drbd_cut: t->connecting = false; return "";
	case STEP_KIND_drbd_down:
		t->frozen = false; /* taken apart: its guest's I/O has ended */
		if (t->guest)
			return "BUSY";
		t->attached = t->connecting = t->primary = t->two = false;
		return "";
	case STEP_KIND_drbd_probe_target:
		if (!undo && json_int(args, "apart_ms", 0) > 0 && (!t->apart_since_ms || w->now_ms - t->apart_since_ms < json_int(args, "apart_ms", 0)))
			return "NO_EVIDENCE";
		return undo || (t->attached && !t->stale) ? "" : "STALE_REPLICA";
	case STEP_KIND_guest_start:
		if (undo)
			return t->guest = t->paused = false, "";
		if (t->conf && !t->primary)
			return "COMMAND_FAILED";
		t->memory_mib = json_int(json_object_get(args, "be"), "memory", 0);
		t->guest = true;
		t->paused = false;
		return "";
	case STEP_KIND_guest_shutdown:
	case STEP_KIND_guest_destroy: t->guest = t->paused = t->incoming = false; return "";
	case STEP_KIND_guest_hold:
		if (undo)
			t->paused = false;
		return undo || t->guest ? "" : "WRONG_STATE";
	case STEP_KIND_guest_expect:
		if (undo)
			t->guest = t->paused = t->incoming = false;
		return !undo && t->guest ? "CONFLICT" : "";
	case STEP_KIND_guest_migrate: return undo ? "" : migrate(w, node, t);
	case STEP_KIND_guest_arrived: return t->guest && t->paused ? "" : "HYPERVISOR";
	case STEP_KIND_guest_resume:
		t->paused = false;
		return t->guest ? "" : "HYPERVISOR";
	default: return "";
	}
}

/* ---- the agent's rules, written a second time ------------------------------------------------------------- */

static struct w_record *record(struct w_node *n, int64_t job, int index, int dir, bool make)
{
	for (int i = 0; i < n->n_records; i++)
		if (n->records[i].job == job && n->records[i].index == index && n->records[i].dir == dir)
			return &n->records[i];
	if (!make)
		return NULL;
	n->records = xrealloc(n->records, (size_t)(n->n_records + 1) * sizeof(*n->records));
	struct w_record *r = &n->records[n->n_records++];
	*r = (struct w_record){ .job = job, .index = index, .dir = dir };
	return r;
}

static void answer(struct world *w, int node, const struct msg_step *m, const char *error, struct w_record *r, model_send *send)
{
	struct msg_step_result a;

	schema_init(&msg_step_result_schema, &a);
	a.epoch = m->epoch;
	a.job = m->job;
	a.index = m->index;
	a.dir = m->dir;
	(void)str_copy(a.error, sizeof(a.error), error);
	if (error[0])
		a.msg = xstrdup("injected or modelled failure");
	AUTO_JSON json_t *j = schema_encode(&msg_step_result_schema, &a);
	json_object_set_new(j, "type", json_string("step_result"));
	schema_done(&msg_step_result_schema, &a);
	AUTO_FREE char *text = json_text(j);
	if (r) {
		free(r->result);
		r->result = xstrdup(text);
		r->ended = true;
		r->attempt = (int)m->attempt;
	}
	send(w, node, false, text);
}

static void on_step(struct world *w, int node, const struct msg_step *m, model_send *send)
{
	struct w_node *n = &w->nodes[node];
	struct w_record *undo = record(n, m->job, (int)m->index, STEP_UNDO_DIR, false);
	struct w_record *r = record(n, m->job, (int)m->index, m->dir, true);

	if (w->agent_hangs && strcmp(m->kind, "fence_off") == 0) {
		if (m->cancel == 1)
			answer(w, node, m, "CANCELED", r, send);
		return;
	}
	if (m->cancel == 1)
		return;
	if (m->dir == STEP_DO && undo) {
		answer(w, node, m, "TOMBSTONE", NULL, send);
		return;
	}
	if (r->ended && r->attempt >= m->attempt) {
		send(w, node, false, r->result);
		return;
	}
	int order = w->orders++;
	if (w->crash_node_at >= 0 && order == w->crash_node_at / 2 && w->crash_node_at % 2 == 0) {
		w->crash_node_at = -1;
		world_node_down(w, node);
		world_node_up(w, node);
		return;
	}
	const char *error = order == w->fail_at ? "COMMAND_FAILED" : "";
	int kind = step_kind_by_name(m->kind);
	if (!error[0])
		error = perform(w, node, (enum step_kind)kind, m->dir == STEP_UNDO_DIR, m->args);
	if (getenv("SWEEP_TRACE"))
		(void)fprintf(stderr, "[%6lld] %s: %s %s: %s\n", (long long)w->now_ms, n->name, m->dir == STEP_DO ? "do" : "undo", m->kind, error[0] ? error : "ok");
	if (w->crash_node_at >= 0 && order == w->crash_node_at / 2) {
		w->crash_node_at = -1;
		world_node_down(w, node);
		world_node_up(w, node);
		return;
	}
	answer(w, node, m, error, r, send);
}

void model_node_message(struct world *w, int node, const char *text, model_send *send)
{
	AUTO_JSON json_t *j = json_loads(text, 0, NULL);
	AUTO_FREE char *type = xstrdup(json_str(j, "type", ""));
	struct err err = ERR_INIT;

	(void)json_object_del(j, "type");
	if (strcmp(type, "step") == 0) {
		struct msg_step m;

		if (schema_decode(&msg_step_schema, &m, j, &err) < 0)
			abort();
		if (m.epoch >= w->epoch || w->nodes[node].epoch < 0)
			on_step(w, node, &m, send);
		schema_done(&msg_step_schema, &m);
	} else if (strcmp(type, "gens") == 0) {
		struct msg_gens m;

		if (schema_decode(&msg_gens_schema, &m, j, &err) < 0)
			abort();
		for (int i = 0; i < m.n_gens; i++) {
			struct w_thing *t = thing(&w->nodes[node], m.gens[i].instance, true);

			if (t && m.gens[i].gen > t->gen)
				t->gen = m.gens[i].gen;
			if (t) {
				t->ha = m.gens[i].ha == 1;
				t->ha_rev = m.gens[i].ha_rev;
			}
		}
		schema_done(&msg_gens_schema, &m);
	} else if (strcmp(type, "verdict") == 0) {
		w->told_to_wait_ms = json_int(j, "wait_ms", 0); /* to questions that are made by hand, and not whole */
	}
}

void model_master_message(struct world *w, int node, const char *text)
{
	AUTO_JSON json_t *j = json_loads(text, 0, NULL);
	AUTO_FREE char *type = xstrdup(json_str(j, "type", ""));
	struct err err = ERR_INIT;

	(void)json_object_del(j, "type");
	core_tick(w->core, w->now_ms, 1700000000000 + w->now_ms);
	if (strcmp(type, "step_result") == 0) {
		struct msg_step_result m;

		if (schema_decode(&msg_step_result_schema, &m, j, &err) < 0)
			abort();
		core_step_result(w->core, w->nodes[node].uuid, &m);
		schema_done(&msg_step_result_schema, &m);
	} else if (strcmp(type, "observe") == 0) {
		struct msg_observe m;

		if (schema_decode(&msg_observe_schema, &m, j, &err) < 0)
			abort();
		core_node_observed(w->core, w->nodes[node].uuid, &m.observed);
		schema_done(&msg_observe_schema, &m);
	}
}

static bool model_guards(const struct w_node *n)
{
	for (int i = 0; i < n->n_things; i++)
		if (n->things[i].guest && n->things[i].ha)
			return true;
	return false;
}

void model_observe(struct world *w, int node, model_send *send)
{
	struct w_node *n = &w->nodes[node];
	struct msg_observe m;

	if (n->no_report)
		return;
	schema_init(&msg_observe_schema, &m);
	m.observed.memory_total_mib = 16384;
	m.observed.memory_free_mib = 8192;
	(void)str_copy(m.observed.hypervisor, sizeof(m.observed.hypervisor), "model");
	struct obs_pool *pool = schema_list_add(schema_find(&observed_schema, "pools"), &m.observed);
	(void)str_copy(pool->name, sizeof(pool->name), "vg");
	pool->size_mib = 100000;
	pool->free_mib = 50000;
	m.observed.boot_ms = w->now_ms;
	if (!n->no_watchdog)
		(void)str_copy(m.observed.watchdog, sizeof(m.observed.watchdog), model_guards(n) ? "armed" : "off");
	m.observed.watchdog_proven_ms = n->watchdog_proven_ms;
	m.observed.wall_ms = 1700000000000 + w->now_ms;
	if (n->no_room)
		pool->free_mib = 100;
	for (int i = 0; i < n->n_things; i++) {
		struct w_thing *t = &n->things[i];
		struct w_thing *p = peer(w, node, t->uuid);

		if (w->resyncs && connected(w, node, t) && t->primary && !t->stale)
			p->stale = false;
		if (t->guest) {
			m.observed.memory_free_mib -= t->memory_mib;
			struct obs_guest *g = schema_list_add(schema_find(&observed_schema, "guests"), &m.observed);

			(void)str_copy(g->uuid, sizeof(g->uuid), t->uuid);
			(void)str_copy(g->state, sizeof(g->state), t->paused ? "paused" : "running");
			if (t->ha && !n->no_watchdog)
				g->guarded = t->ha_rev;
		}
		if (t->volumes && t->tag[0])
			strs_add(&m.observed.volumes, &m.observed.n_volumes, t->tag);
		if (!t->conf)
			continue;
		struct obs_drbd *d = schema_list_add(schema_find(&observed_schema, "drbd"), &m.observed);
		bool up = t->attached || t->connecting, conn = connected(w, node, t);

		(void)str_copy(d->resource, sizeof(d->resource), "r");
		(void)str_copy(d->uuid, sizeof(d->uuid), t->uuid);
		d->up = up;
		(void)str_copy(d->role, sizeof(d->role), t->primary ? "Primary" : "Secondary");
		(void)str_copy(d->peer_role, sizeof(d->peer_role), !conn ? "Unknown" : p->primary ? "Primary" : "Secondary");
		(void)str_copy(d->conn, sizeof(d->conn), conn ? "Connected" : t->connecting ? "WFConnection" : "StandAlone");
		(void)str_copy(d->disk, sizeof(d->disk), t->stale ? "Inconsistent" : "UpToDate");
		t->apart_since_ms = conn ? 0 : t->apart_since_ms ? t->apart_since_ms : w->now_ms;
		if (!conn)
			d->apart_since_ms = t->apart_since_ms;
		(void)str_copy(d->peer_disk, sizeof(d->peer_disk), !conn ? "DUnknown" : p->stale ? "Inconsistent" : "UpToDate");
		d->split = t->split;
		if (t->kept_gen) {
			struct obs_tail *k = schema_list_add(schema_find(&observed_schema, "tails"), &m.observed);

			(void)str_copy(k->instance, sizeof(k->instance), t->uuid);
			(void)str_copy(k->disk, sizeof(k->disk), t->uuid);
			(void)str_copy(k->pool, sizeof(k->pool), "vg");
			(void)snprintf(k->volume, sizeof(k->volume), "%s.disk0_tail%lld.1", t->uuid, (long long)t->kept_gen);
			k->gen = t->kept_gen;
			k->kept_s = (1700000000000 + t->kept_ms) / 1000;
			k->size = 1024;
		}
		d->suspended = t->frozen && !conn;
		d->in_sync = conn && !t->stale && !p->stale;
		d->gen = t->gen;
	}
	AUTO_JSON json_t *j = schema_encode(&msg_observe_schema, &m);
	json_object_set_new(j, "type", json_string("observe"));
	AUTO_FREE char *text = json_text(j);
	schema_done(&msg_observe_schema, &m);
	send(w, node, false, text);
}

void model_store_step(struct world *w, const struct core_action *a)
{
	/* Answered from world_run(): an action must not call back into the core. */
	w->store_steps = xrealloc(w->store_steps, (size_t)(w->n_store_steps + 1) * sizeof(*w->store_steps));
	w->store_steps[w->n_store_steps++] = (struct w_store_step){ w->epoch, a->job, a->index, a->dir };
}

/* ---- what must hold ------------------------------------------------------------------------------------------ */

bool world_guest_runs(const struct world *w, const char *uuid, int *ret_node)
{
	for (int i = 0; i < w->n_nodes; i++)
		for (int k = 0; k < w->nodes[i].n_things; k++)
			if (strcmp(w->nodes[i].things[k].uuid, uuid) == 0 && w->nodes[i].things[k].guest && !w->nodes[i].things[k].paused) {
				*ret_node = i;
				return true;
			}
	return false;
}

static bool bad(struct world *w, const char *what, const char *uuid)
{
	(void)snprintf(w->why, sizeof(w->why), "%s (%s)", what, uuid);
	return false;
}

static bool check_thing(struct world *w, const char *uuid, bool at_rest)
{
	int running = 0, primaries = 0, with_volumes = 0, two = 0;
	const struct instance *in = NULL;
	const struct sinstance *s = state_instance(core_state(w->core), uuid);

	in = s ? &s->i : NULL;
	for (int i = 0; i < w->n_nodes; i++) {
		const struct w_thing *t = thing(&w->nodes[i], uuid, false);

		if (!t)
			continue;
		running += t->guest && !t->paused;
		primaries += t->primary;
		two += t->two;
		with_volumes += t->volumes;
		if (at_rest && !in && (t->volumes || t->conf || t->attached || t->guest))
			return bad(w, "leaked", uuid);
		if (at_rest && in && t->volumes && in->n_disks && t->disk_mib < in->disks[0].size)
			return bad(w, "a volume is smaller than its record", uuid);
		if (at_rest && in && t->guest && t->paused)
			return bad(w, "paused for good", uuid);
		if (at_rest && in && (t->volumes || t->conf) && !strs_has(in->nodes, in->n_nodes, w->nodes[i].uuid))
			return bad(w, "replica on a node that is none of its own", uuid);
		if (at_rest && in && t->guest && strcmp(in->own.owner, w->nodes[i].uuid) != 0)
			return bad(w, "runs where it is not owned", uuid);
	}
	if (running > 1)
		return bad(w, "runs twice", uuid);
	if (!at_rest)
		return true;
	if (primaries > 1)
		return bad(w, "primary twice", uuid);
	if (two)
		return bad(w, "two primaries still allowed", uuid);
	if (in && in->template != TEMPLATE_DISKLESS && with_volumes != in->n_nodes)
		return bad(w, "volumes missing", uuid);
	if (in && in->own.target[0])
		return bad(w, "migration not ended", uuid);
	if (in && (in->admin_state == ADMIN_UP) != (running == 1))
		return bad(w, "not as wanted", uuid);
	return true;
}

bool world_check(struct world *w, bool at_rest)
{
	for (int i = 0; i < w->n_nodes; i++)
		for (int k = 0; k < w->nodes[i].n_things; k++)
			if (!check_thing(w, w->nodes[i].things[k].uuid, at_rest)) {
				w->failed = w->failed || !at_rest;
				return false;
			}
	if (at_rest && core_state(w->core)->n_reservations)
		return bad(w, "reservation left", "");
	return true;
}
