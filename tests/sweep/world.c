/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sweep/world.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "common/xmem.h"
#include "core/term.h"
#include "schema/level.h"
#include "schema/msgs.h"
#include "schema/steps.h"
#include "tests/sweep/model.h"

#define DELAY_MS 5
#define TICK_MS 250
#define OBSERVE_MS 1000

/* ---- store ---------------------------------------------------------------------------------------- */

static void kv_put(struct world *w, const char *key, const char *value)
{
	for (int i = 0; i < w->n_kvs; i++)
		if (strcmp(w->kvs[i].key, key) == 0) {
			free(w->kvs[i].value);
			w->kvs[i].value = xstrdup(value);
			return;
		}
	w->kvs = xrealloc(w->kvs, (size_t)(w->n_kvs + 1) * sizeof(*w->kvs));
	w->kvs[w->n_kvs++] = (struct core_put){ xstrdup(key), xstrdup(value) };
}

static void kv_delete(struct world *w, const char *key)
{
	bool prefix = key[strlen(key) - 1] == '/';
	int kept = 0;

	for (int i = 0; i < w->n_kvs; i++) {
		bool gone = prefix ? strncmp(w->kvs[i].key, key, strlen(key)) == 0 : strcmp(w->kvs[i].key, key) == 0;

		if (gone) {
			free(w->kvs[i].key);
			free(w->kvs[i].value);
		} else {
			w->kvs[kept++] = w->kvs[i];
		}
	}
	w->n_kvs = kept;
}

static int by_key(const void *a, const void *b)
{
	return strcmp(((const struct core_put *)a)->key, ((const struct core_put *)b)->key);
}

/* ---- messages ----------------------------------------------------------------------------------------- */

static void send_msg(struct world *w, int node, bool to_node, const char *text)
{
	int n = w->n_sent++;
	int copies = n == w->lose_msg ? 0 : n == w->dup_msg ? 2 : 1;

	for (int i = 0; i < copies; i++) {
		w->msgs = xrealloc(w->msgs, (size_t)(w->n_msgs + 1) * sizeof(*w->msgs));
		w->msgs[w->n_msgs++] = (struct w_msg){ w->now_ms + DELAY_MS + (int64_t)rng_below(&w->rng, 5) + 400 * i, node, to_node, xstrdup(text) };
	}
	if (copies == 0) /* TCP loses nothing silently: one of the two links breaks, and comes back */
		w->nodes[node].relink = true;
}

static int node_index(const struct world *w, const char *uuid)
{
	for (int i = 0; i < w->n_nodes; i++)
		if (strcmp(w->nodes[i].uuid, uuid) == 0)
			return i;
	return -1;
}

/* ---- the master ------------------------------------------------------------------------------------------ */

static void emit(void *arg, const struct core_action *a)
{
	struct world *w = arg;
	int at;

	switch (a->kind) {
	case CORE_COMMIT: {
		int n = w->commits++;

		if (n == w->lose_commit)
			return; /* the master is ended by world_run() */
		assert(a->seq == w->seq + 1);
		for (int i = 0; i < a->n_puts; i++) {
			if (a->puts[i].value)
				kv_put(w, a->puts[i].key, a->puts[i].value);
			else
				kv_delete(w, a->puts[i].key);
		}
		w->seq = a->seq;
		return;
	}
	case CORE_REPLY:
		free(w->last_reply);
		w->last_reply = schema_encode_text(&msg_reply_schema, a->reply);
		w->last_client = a->client;
		return;
	case CORE_SEND:
		at = node_index(w, a->node);
		if (at >= 0 && w->nodes[at].up && w->nodes[at].epoch == w->epoch)
			send_msg(w, at, true, a->text);
		return;
	case CORE_STORE_STEP:
		model_store_step(w, a);
		return;
	case CORE_LOG:
		if (getenv("SWEEP_TRACE"))
			(void)fprintf(stderr, "[%6lld] %s\n", (long long)w->now_ms, a->text);
		return;
	default:
		return;
	}
}

static void master_start(struct world *w)
{
	struct err err = ERR_INIT;
	struct core_kv *kvs = xcalloc((size_t)w->n_kvs + 1, sizeof(*kvs));

	qsort(w->kvs, (size_t)w->n_kvs, sizeof(*w->kvs), by_key);
	for (int i = 0; i < w->n_kvs; i++)
		kvs[i] = (struct core_kv){ w->kvs[i].key, w->kvs[i].value };
	struct core_start s = { .epoch = ++w->epoch, .seq = w->seq, .now_ms = w->now_ms, .wall_ms = 1700000000000 + w->now_ms,
				.seed = rng_next(&w->rng), .self = w->nodes[0].uuid, .kvs = kvs, .n_kvs = w->n_kvs, .silent_since_ms = w->now_ms };
	int rc = core_new(&s, emit, w, &w->core, &err);
	free(kvs);
	if (rc < 0) {
		(void)fprintf(stderr, "core_new: %s\n", err.msg);
		abort();
	}
}

void world_master_crash(struct world *w)
{
	core_free(w->core);
	w->core = NULL;
	for (int i = 0; i < w->n_msgs; i++) /* what the old master had sent may still arrive; answers to it are lost */
		if (!w->msgs[i].to_node)
			w->msgs[i].at_ms = -1;
	master_start(w);
}

/* ---- time --------------------------------------------------------------------------------------------------- */

static void node_links(struct world *w, int i, int links)
{
	struct w_node *n = &w->nodes[i];
	char boot[UUID_LEN + 1];

	(void)snprintf(boot, sizeof(boot), "00000000-0000-4000-8000-%06d%06d", i, n->boots);
	core_node_links(w->core, n->uuid, links, boot, "test", 1700000000000 + w->now_ms);
}

static void node_connects(struct world *w, int i)
{
	w->nodes[i].epoch = w->epoch;
	node_links(w, i, w->nodes[i].front_cut ? 2 : 3);
}

static void node_relinks(struct world *w, int i)
{
	w->nodes[i].relink = false;
	w->nodes[i].epoch = w->epoch;
	node_links(w, i, 2);
	node_links(w, i, 3);
}

static void deliver(struct world *w)
{
	for (int i = 0; i < w->n_msgs; i++) {
		struct w_msg m = w->msgs[i];

		if (m.at_ms > w->now_ms)
			continue;
		w->msgs[i] = w->msgs[--w->n_msgs];
		i--;
		if (m.at_ms >= 0 && w->nodes[m.node].up) {
			if (w->nodes[m.node].cut)
				;
			else if (m.to_node)
				model_node_message(w, m.node, m.text, send_msg);
			else if (w->nodes[m.node].epoch == w->epoch)
				model_master_message(w, m.node, m.text);
		}
		free(m.text);
	}
}

static void commit_tell(struct world *w)
{
	/* The store answers one by one; the master may be dead by then. */
	int n = w->commits - 1;

	if (n >= 0 && (n == w->crash_commit || n == w->lose_commit)) {
		w->crash_commit = w->lose_commit = -1;
		world_master_crash(w);
		return;
	}
	core_committed(w->core, w->seq, true);
}

void world_run(struct world *w, int64_t ms)
{
	int64_t end = w->now_ms + ms;

	while (w->now_ms < end) {
		w->now_ms += 1;
		deliver(w);
		if (w->now_ms % TICK_MS == 0) {
			for (int i = 0; i < w->n_nodes; i++) {
				if (w->nodes[i].cut)
					continue;
				if (w->nodes[i].up && w->nodes[i].relink)
					node_relinks(w, i);
				else if (w->nodes[i].up && w->nodes[i].epoch != w->epoch)
					node_connects(w, i);
				if (w->nodes[i].up && w->nodes[i].epoch == w->epoch && !w->nodes[i].mute && w->now_ms % 1000 == 0) {
					w->nodes[i].beat_ms = w->now_ms;
					core_node_beat(w->core, w->nodes[i].uuid);
				}
				if (w->nodes[i].up && w->now_ms % OBSERVE_MS == 0)
					model_observe(w, i, send_msg);
			}
			core_tick(w->core, w->now_ms, 1700000000000 + w->now_ms);
		}
		model_watchdogs(w);
		while (w->commits > w->told) {
			w->told = w->commits;
			commit_tell(w);
		}
		while (w->n_store_steps) {
			struct w_store_step x = w->store_steps[--w->n_store_steps];

			if (x.epoch == w->epoch)
				core_store_step_done(w->core, x.job, x.index, x.dir, 0, NULL);
		}
		if (!world_check(w, false))
			return;
	}
}

bool world_settle(struct world *w, int64_t max_ms)
{
	int64_t end = w->now_ms + max_ms, quiet = 0;

	while (w->now_ms < end && !w->failed) {
		world_run(w, 100);
		quiet = core_jobs_open(w->core) == 0 ? quiet + 100 : 0;
		if (quiet >= 8000 && world_check(w, true))
			return true;
		w->why[0] = '\0';
	}
	(void)world_check(w, true);
	return false;
}

/* ---- requests --------------------------------------------------------------------------------------------------- */

int64_t world_request(struct world *w, const char *op, const char *args_json)
{
	struct msg_request m;
	struct err err = ERR_INIT;
	AUTO_JSON json_t *r = NULL;

	schema_init(&msg_request_schema, &m);
	rng_uuid(&w->rng, m.id);
	(void)str_copy(m.op, sizeof(m.op), op);
	(void)str_copy(m.user, sizeof(m.user), "sweep");
	m.admin = 1;
	int rc = json_parse(args_json, strlen(args_json), 65536, &m.args, &err);
	assert(rc == 0);
	free(w->last_reply);
	w->last_reply = NULL;
	for (int tries = 0; tries < 5 && !w->last_reply; tries++) { /* a new master is asked again, with the same id */
		core_request(w->core, 77, &m);
		for (int k = 0; k < 50 && !w->last_reply; k++)
			world_run(w, 10);
	}
	schema_done(&msg_request_schema, &m);
	assert(w->last_reply);
	rc = json_parse(w->last_reply, strlen(w->last_reply), MESSAGE_MAX, &r, &err);
	assert(rc == 0);
	return json_int(json_object_get(r, "result"), "job", 0);
}

const char *world_job_state(struct world *w, int64_t job)
{
	static char state[32];
	char key[64];

	(void)snprintf(key, sizeof(key), "/gantry/job/%lld", (long long)job);
	(void)str_copy(state, sizeof(state), "?");
	for (int i = 0; i < w->n_kvs; i++)
		if (strcmp(w->kvs[i].key, key) == 0) {
			AUTO_JSON json_t *j = json_loads(w->kvs[i].value, 0, NULL);

			(void)str_copy(state, sizeof(state), json_str(j, "state", "?"));
		}
	return state;
}

/* ---- nodes ---------------------------------------------------------------------------------------------------------- */

void world_node_down(struct world *w, int node)
{
	w->nodes[node].up = false;
	w->nodes[node].epoch = -1;
	model_power_loss(&w->nodes[node]);
	core_node_links(w->core, w->nodes[node].uuid, 0, "", "", 0);
	core_client_gone(w->core, 77);
}

void world_front(struct world *w, int node, bool cut)
{
	w->nodes[node].front_cut = cut;
	node_links(w, node, cut ? 2 : 3);
}

void world_node_cut(struct world *w, int node, bool cut)
{
	w->nodes[node].cut = cut;
	w->nodes[node].epoch = -1;
	if (cut)
		core_node_links(w->core, w->nodes[node].uuid, 0, "", "", 0);
}

void world_node_up(struct world *w, int node)
{
	w->nodes[node].up = true;
	w->nodes[node].boots++;
}

uint64_t world_seed(uint64_t usual)
{
	const char *text = getenv("SWEEP_SEED");

	return text && text[0] ? strtoull(text, NULL, 10) : usual;
}

struct world *world_new(uint64_t seed, int n_nodes, bool arbitrated)
{
	struct world *w = xcalloc(1, sizeof(*w));
	struct cluster cl;
	struct secret sec;
	struct core_put *puts;
	int n_puts;
	struct err err = ERR_INIT;

	rng_seed(&w->rng, seed);
	w->n_nodes = n_nodes;
	w->fail_at = w->crash_commit = w->lose_commit = w->crash_node_at = w->lose_msg = w->dup_msg = -1;
	schema_init(&cluster_schema, &cl);
	cl.schema_version = level_here.newest; /* nobody is here who knows less */
	rng_uuid(&w->rng, cl.uuid);
	(void)str_copy(cl.name, sizeof(cl.name), "test");
	(void)str_copy(cl.vg_name, sizeof(cl.vg_name), "vg");
	cl.arbitration = arbitrated;
	cl.candidate_pool_size = 1; /* membership has sweeps of its own */
	schema_init(&secret_schema, &sec);
	sec.ca_key = xstrdup("key");
	for (int i = 0; i < n_nodes; i++) {
		struct w_node *n = &w->nodes[i];
		struct node o;
		char key[64];

		rng_uuid(&w->rng, n->uuid);
		(void)snprintf(n->name, sizeof(n->name), "node%d", i + 1);
		n->up = true;
		n->epoch = -1;
		schema_init(&node_schema, &o);
		(void)str_copy(o.uuid, sizeof(o.uuid), n->uuid);
		(void)str_copy(o.name, sizeof(o.name), n->name);
		(void)snprintf(o.address, sizeof(o.address), "10.0.0.%d", i + 1);
		(void)snprintf(o.replication_address, sizeof(o.replication_address), "10.0.1.%d", i + 1);
		o.candidate = arbitrated ? i < 3 : i == 0;
		if (i == 0) {
			int rc = core_genesis(&cl, &sec, &o, &puts, &n_puts, &err);

			assert(rc == 0);
			for (int k = 0; k < n_puts; k++)
				kv_put(w, puts[k].key, puts[k].value);
			core_puts_free(puts, n_puts);
		} else {
			AUTO_FREE char *text = schema_encode_text(&node_schema, &o);

			(void)snprintf(key, sizeof(key), "/gantry/node/%s", n->uuid);
			kv_put(w, key, text);
		}
		schema_done(&node_schema, &o);
	}
	schema_done(&cluster_schema, &cl);
	schema_done(&secret_schema, &sec);
	master_start(w);
	world_run(w, 3000);
	return w;
}

void world_free(struct world *w)
{
	core_free(w->core);
	core_puts_free(w->kvs, w->n_kvs);
	for (int i = 0; i < w->n_msgs; i++)
		free(w->msgs[i].text);
	free(w->msgs);
	for (int i = 0; i < w->n_nodes; i++)
		model_free(&w->nodes[i]);
	free(w->last_reply);
	free(w->store_steps);
	free(w);
}
