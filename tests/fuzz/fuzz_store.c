/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a new master reads: the cluster's objects and the journal of jobs. Input: a key, a space, a JSON text on each line. A core
 * that takes it must be able to live with it: it ticks, commits and answers. Lines "request JSON" are then asked of it.
 */
#include <stdio.h>

#include "common/xmem.h"
#include "core/core.h"
#include "core/state.h"
#include "tests/fuzz/fuzz.h"

#define KVS_MAX 64

struct sink {
	int64_t commit; /* that waits for its answer, 0 = none */
	bool ended;
	int replies;
};

static void emit(void *arg, const struct core_action *a)
{
	struct sink *s = arg;

	if (a->kind == CORE_COMMIT) {
		for (int i = 0; i < a->n_puts; i++)
			assert(strncmp(a->puts[i].key, "/gantry/", 8) == 0);
		s->commit = a->seq;
	}
	s->ended |= a->kind == CORE_STEP_DOWN;
	s->replies += a->kind == CORE_REPLY;
}

static void settle(struct core *c, struct sink *s)
{
	for (int i = 0; i < 200 && s->commit && !s->ended; i++) {
		int64_t seq = s->commit;

		s->commit = 0;
		core_committed(c, seq, true);
	}
}

static void ask(struct core *c, struct sink *s, const char *text, bool at_once)
{
	struct msg_request r;
	struct err err = ERR_INIT;
	int before = s->replies;

	if (s->ended || schema_decode_text(&msg_request_schema, &r, text, &err) < 0)
		return;
	if (op_by_name(r.op) >= 0) { /* others noded refuses itself */
		r.admin = 1;
		core_request(c, 1, &r);
		settle(c, s);
		assert(s->ended || s->replies == before + 1 || (!at_once && s->replies == before)); /* job.wait may take its time */
	}
	schema_done(&msg_request_schema, &r);
}

static void live(struct core *c, struct sink *s)
{
	static const char *const queries[] = {
		"{\"id\":\"1\",\"op\":\"cluster.info\"}",  "{\"id\":\"2\",\"op\":\"cluster.verify\"}",
		"{\"id\":\"3\",\"op\":\"node.list\"}",     "{\"id\":\"4\",\"op\":\"instance.list\"}",
		"{\"id\":\"5\",\"op\":\"instance.info\"}", "{\"id\":\"6\",\"op\":\"job.list\"}",
	};

	settle(c, s);
	for (int i = 1; i <= 40 && !s->ended; i++) {
		core_tick(c, 1000 + i * 1000, 1700000000000 + i * 1000);
		settle(c, s);
	}
	for (size_t i = 0; i < ARRAY_SIZE(queries); i++)
		ask(c, s, queries[i], true);
}

static void tick(struct core *c, struct sink *s)
{
	for (int i = 41; i <= 60 && !s->ended; i++) {
		core_tick(c, 1000 + i * 1000, 1700000000000 + i * 1000);
		settle(c, s);
	}
}

static int by_key(const void *a, const void *b)
{
	return strcmp(((const struct core_kv *)a)->key, ((const struct core_kv *)b)->key);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *input = fuzz_string(data, size), *text = input;
	struct core_kv kvs[KVS_MAX];
	const char *requests[KVS_MAX];
	struct sink sink = { .commit = 0 };
	struct err err = ERR_INIT;
	struct core *c = NULL;
	int n = 0, n_requests = 0;

	while (*text && n < KVS_MAX && n_requests < KVS_MAX) {
		char *line = fuzz_line(&text), *space = strchr(line, ' ');

		if (!space)
			continue;
		*space = '\0';
		if (strncmp(line, "/gantry/", 8) == 0)
			kvs[n++] = (struct core_kv){ line, space + 1 };
		else if (strcmp(line, "request") == 0)
			requests[n_requests++] = space + 1;
	}
	/* The store has each key once and gives them in order. */
	qsort(kvs, (size_t)n, sizeof(kvs[0]), by_key);
	int kept = 0;
	for (int i = 0; i < n; i++)
		if (kept == 0 || strcmp(kvs[kept - 1].key, kvs[i].key) != 0)
			kvs[kept++] = kvs[i];
	struct core_start s = { .epoch = 7, .seq = 3, .now_ms = 1000, .wall_ms = 1700000000000, .seed = 1,
				.self = "11111111-1111-4111-8111-111111111111", .kvs = kvs, .n_kvs = kept };
	if (core_new(&s, emit, &sink, &c, &err) == 0) {
		live(c, &sink);
		for (int i = 0; i < n_requests; i++)
			ask(c, &sink, requests[i], false);
		tick(c, &sink);
	} else {
		assert(err.code && err.msg[0]);
	}
	core_free(c);
	free(input);
	return 0;
}
