/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/xmem.h"
#include "tests/unit/core_rig.h"

void keep(struct rig *r, const char *key, const char *value)
{
	bool prefix = key[strlen(key) - 1] == '/';
	int kept = 0;

	for (int i = 0; i < r->n_kvs; i++) {
		if (prefix ? strncmp(r->kvs[i].key, key, strlen(key)) == 0 : strcmp(r->kvs[i].key, key) == 0) {
			free(r->kvs[i].key);
			free(r->kvs[i].value);
		} else {
			r->kvs[kept++] = r->kvs[i];
		}
	}
	r->n_kvs = kept;
	if (!value)
		return;
	r->kvs = xrealloc(r->kvs, (size_t)(r->n_kvs + 1) * sizeof(*r->kvs));
	r->kvs[r->n_kvs++] = (struct core_put){ xstrdup(key), xstrdup(value) };
}

void rig_emit(void *arg, const struct core_action *a)
{
	struct rig *r = arg;

	switch (a->kind) {
	case CORE_COMMIT:
		assert_int_equal(r->commit_seq, 0); /* one at a time */
		r->commit_seq = a->seq;
		r->n_commit = a->n_puts;
		r->commit = xcalloc((size_t)a->n_puts + 1, sizeof(*r->commit));
		for (int i = 0; i < a->n_puts; i++)
			r->commit[i] = (struct core_put){ xstrdup(a->puts[i].key), a->puts[i].value ? xstrdup(a->puts[i].value) : NULL };
		return;
	case CORE_REPLY:
		json_decref(r->reply);
		r->reply = a->reply->result ? json_deep_copy(a->reply->result) : NULL;
		(void)str_copy(r->error, sizeof(r->error), a->reply->error);
		return;
	case CORE_JOINED:
		r->n_joined++;
		(void)str_copy(r->join_error, sizeof(r->join_error), a->reply->error);
		json_decref(r->joined);
		r->joined = a->reply->result ? json_deep_copy(a->reply->result) : NULL;
		return;
	case CORE_SEND: {
		AUTO_JSON json_t *m = json_loads(a->text, 0, NULL);

		if (strcmp(json_str(m, "type", ""), "verdict") == 0)
			(void)str_copy(r->verdict, sizeof(r->verdict), json_str(m, "verdict", ""));
		if (strcmp(json_str(m, "type", ""), "gens") == 0)
			r->gen_told = json_int(json_array_get(json_object_get(m, "gens"), 0), "gen", 0);
		if (strcmp(json_str(m, "type", ""), "step") == 0) {
			size_t at = strlen(r->orders);

			r->n_steps_sent++;
			(void)snprintf(r->orders + at, sizeof(r->orders) - at, "%s%lld@%c ", json_str(m, "dir", ""), (long long)json_int(m, "index", -1), a->node[0]);
			r->last_step_job = json_int(m, "job", 0);
			json_decref(r->last_args);
			r->last_args = json_deep_copy(json_object_get(m, "args"));
		}
		return;
	}
	default:
		return;
	}
}

void commit_all(struct rig *r)
{
	while (r->commit_seq) {
		int64_t seq = r->commit_seq;
		struct core_put *puts = r->commit;
		int n = r->n_commit;

		if (n > r->most_puts)
			r->most_puts = n;
		for (int i = 0; i < n; i++) {
			if (!puts[i].value && puts[i].key[strlen(puts[i].key) - 1] == '/')
				r->n_prefix_deletes++;
			keep(r, puts[i].key, puts[i].value);
		}
		core_puts_free(puts, n);
		r->commit = NULL;
		r->commit_seq = 0;
		core_committed(r->core, seq, true);
	}
}

void tick(struct rig *r, int64_t ms)
{
	r->now_ms += ms;
	core_tick(r->core, r->now_ms, 1700000000000 + r->now_ms);
	commit_all(r);
}

void link_nodes(struct rig *r)
{
	core_node_links(r->core, NODE1, 1, "b1", PACKAGE_VERSION, 1700000000000 + r->now_ms);
	core_node_links(r->core, NODE2, 1, "b2", PACKAGE_VERSION, 1700000000000 + r->now_ms);
	commit_all(r);
}

static void fill_node(struct node *n, const char *uuid, const char *name, const char *address)
{
	schema_init(&node_schema, n);
	(void)str_copy(n->uuid, sizeof(n->uuid), uuid);
	(void)str_copy(n->name, sizeof(n->name), name);
	(void)str_copy(n->address, sizeof(n->address), address);
	(void)str_copy(n->replication_address, sizeof(n->replication_address), address);
	n->master_capable = 0; /* one voter for good: no promotion comes between */
}

static int by_key(const void *a, const void *b)
{
	return strcmp(((const struct core_put *)a)->key, ((const struct core_put *)b)->key);
}

void start_core(struct rig *r)
{
	struct core_kv *kvs = xcalloc((size_t)r->n_kvs, sizeof(*kvs));
	struct err err = ERR_INIT;

	qsort(r->kvs, (size_t)r->n_kvs, sizeof(*r->kvs), by_key); /* as the store gives them */
	for (int i = 0; i < r->n_kvs; i++)
		kvs[i] = (struct core_kv){ r->kvs[i].key, r->kvs[i].value };
	struct core_start s = { .epoch = 7, .seq = 0, .now_ms = r->now_ms, .wall_ms = 1700000000000 + r->now_ms, .seed = 1, .self = NODE1,
				.kvs = kvs, .n_kvs = r->n_kvs, .silent_since_ms = r->now_ms };
	if (core_new(&s, rig_emit, r, &r->core, &err) < 0)
		fail_msg("core: %s", err.msg);
	free(kvs);
	commit_all(r);
}

int rig_set_up(void **state)
{
	struct rig *r = xcalloc(1, sizeof(*r));
	struct cluster cl;
	struct secret s;
	struct node n1, n2;
	struct core_put *puts = NULL;
	struct err err = ERR_INIT;
	int n = 0;

	schema_init(&cluster_schema, &cl);
	schema_init(&secret_schema, &s);
	(void)str_copy(cl.name, sizeof(cl.name), "c");
	(void)str_copy(cl.uuid, sizeof(cl.uuid), "33333333-3333-4333-8333-333333333333");
	cl.lease_ms = LEASE_MS;
	cl.ca_cert = xstrdup("ca");
	s.ca_key = xstrdup("key");
	fill_node(&n1, NODE1, "node1", "10.0.0.1");
	fill_node(&n2, NODE2, "node2", "10.0.0.2");
	n1.candidate = 1;
	if (core_genesis(&cl, &s, &n1, &puts, &n, &err) < 0)
		fail_msg("genesis: %s", err.msg);
	for (int i = 0; i < n; i++)
		keep(r, puts[i].key, puts[i].value);
	core_puts_free(puts, n);
	AUTO_FREE char *text = schema_encode_text(&node_schema, &n2);
	keep(r, "/gantry/node/" NODE2, text);
	schema_done(&cluster_schema, &cl);
	schema_done(&secret_schema, &s);
	schema_done(&node_schema, &n1);
	schema_done(&node_schema, &n2);
	r->now_ms = 1000;
	start_core(r);
	link_nodes(r);
	*state = r;
	return 0;
}

int rig_tear_down(void **state)
{
	struct rig *r = *state;

	core_free(r->core);
	core_puts_free(r->commit, r->n_commit * (r->commit != NULL));
	for (int i = 0; i < r->n_kvs; i++) {
		free(r->kvs[i].key);
		free(r->kvs[i].value);
	}
	free(r->kvs);
	json_decref(r->joined);
	json_decref(r->last_args);
	json_decref(r->reply);
	free(r);
	return 0;
}

void master_changes(struct rig *r, int64_t later_ms)
{
	core_free(r->core);
	r->now_ms += later_ms;
	start_core(r);
	link_nodes(r);
}

void ask_uncommitted(struct rig *r, const char *id, const char *op, json_t *args)
{
	struct msg_request m;

	schema_init(&msg_request_schema, &m);
	(void)str_copy(m.id, sizeof(m.id), id);
	(void)str_copy(m.op, sizeof(m.op), op);
	(void)str_copy(m.user, sizeof(m.user), "me");
	m.admin = 1;
	m.args = args;
	core_request(r->core, 1, &m);
	schema_done(&msg_request_schema, &m);
}

int64_t ask(struct rig *r, const char *id, const char *op, json_t *args)
{
	ask_uncommitted(r, id, op, args);
	commit_all(r);
	assert_string_equal(r->error, "");
	return json_int(r->reply, "job", 0);
}

void file_many(struct rig *r, int n, const char *node)
{
	for (int i = 0; i < n; i++) {
		char id[32];

		(void)snprintf(id, sizeof(id), "many.%d", i);
		(void)ask(r, id, "debug.noop", node ? json_pack("{s:s}", "node", node) : json_object());
	}
}

int count(const struct rig *r, const char *prefix)
{
	int n = 0;

	for (int i = 0; i < r->n_kvs; i++)
		n += strncmp(r->kvs[i].key, prefix, strlen(prefix)) == 0;
	return n;
}

void answer(struct rig *r, const char *node, int64_t job, int index, enum step_dir dir, const char *error)
{
	struct msg_step_result m;

	schema_init(&msg_step_result_schema, &m);
	m.epoch = 7;
	m.job = job;
	m.index = index;
	m.dir = (int)dir;
	(void)str_copy(m.error, sizeof(m.error), error);
	core_step_result(r->core, node, &m);
	schema_done(&msg_step_result_schema, &m);
	commit_all(r);
}

void result_from(struct rig *r, const char *node, int64_t job)
{
	answer(r, node, job, 0, STEP_DO, "");
}

void result_of(struct rig *r, int64_t job)
{
	result_from(r, NODE2, job);
}

void keep_instance(struct rig *r, int64_t gen, bool arbitrated, bool both_current)
{
	struct instance i;

	schema_init(&instance_schema, &i);
	(void)str_copy(i.uuid, sizeof(i.uuid), VM);
	(void)str_copy(i.name, sizeof(i.name), "vm1");
	i.template = TEMPLATE_DRBD;
	i.admin_state = ADMIN_DOWN;
	i.own.gen = gen;
	i.own.arbitrated = arbitrated;
	(void)str_copy(i.own.owner, sizeof(i.own.owner), NODE1);
	strs_add(&i.nodes, &i.n_nodes, NODE1);
	strs_add(&i.nodes, &i.n_nodes, NODE2);
	strs_add(&i.own.current, &i.own.n_current, NODE1);
	if (both_current)
		strs_add(&i.own.current, &i.own.n_current, NODE2);
	AUTO_FREE char *text = schema_encode_text(&instance_schema, &i);
	keep(r, "/gantry/instance/" VM, text);
	schema_done(&instance_schema, &i);
}
