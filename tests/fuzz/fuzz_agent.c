/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A node's own records after a crash, and the orders that then come. Each line: a record's name, a space, its text; or "step", a
 * space, an order. What the agent wants done is done at once; it must never be left with a step that nobody ends.
 */
#include <stdio.h>

#include "common/xmem.h"
#include "core/agent.h"
#include "tests/fuzz/fuzz.h"

#define TODO_MAX 4096

struct todo {
	enum agent_action_kind kind;
	uint64_t token;
};

struct rig {
	struct todo todo[TODO_MAX];
	int n, at;
	int replies;
};

static void emit(void *arg, const struct agent_action *a)
{
	struct rig *r = arg;

	if (a->kind == AGENT_REPLY) {
		r->replies++;
		assert(a->result.job > 0);
		return;
	}
	if (a->kind == AGENT_PERSIST)
		assert(a->record_key[0] && !strchr(a->record_key, '/'));
	if (a->kind == AGENT_PROBE || a->kind == AGENT_EXEC)
		assert((int)a->step >= 0 && a->step < STEP_KIND_COUNT);
	if (a->kind == AGENT_CANCEL)
		return;
	assert(r->n < TODO_MAX);
	r->todo[r->n++] = (struct todo){ a->kind, a->token };
}

static void settle(struct agent *a, struct rig *r)
{
	for (; r->at < r->n; r->at++) {
		struct todo t = r->todo[r->at];

		if (t.kind == AGENT_PERSIST)
			agent_persisted(a, t.token, true);
		else if (t.kind == AGENT_PROBE)
			agent_probed(a, t.token, 0, t.token % 2 == 0, NULL, NULL);
		else
			agent_executed(a, t.token, 0, NULL, NULL);
	}
	r->n = r->at = 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct rig r;
	char *input = fuzz_string(data, size), *text = input;
	struct agent *a = agent_new(emit, &r);
	bool ready = false;
	int lines = 0;

	memset(&r, 0, sizeof(r));
	while (*text && lines++ < 200) {
		char *line = fuzz_line(&text), *space = strchr(line, ' ');
		struct err err = ERR_INIT;
		struct msg_step m;

		if (!space)
			continue;
		*space = '\0';
		if (strcmp(line, "step") != 0) {
			if (!ready && agent_load(a, line, space + 1, &err) < 0)
				assert(err.code && err.msg[0]);
			continue;
		}
		if (!ready)
			agent_ready(a);
		ready = true;
		if (schema_decode_text(&msg_step_schema, &m, space + 1, &err) < 0)
			continue;
		agent_step(a, &m);
		schema_done(&msg_step_schema, &m);
		settle(a, &r);
		assert(agent_running(a) == 0);
	}
	agent_free(a);
	free(input);
	return 0;
}
