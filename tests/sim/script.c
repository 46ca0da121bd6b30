/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/script.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/xmem.h"

#define QUIET (10 * SEC)
#define ASK_AGAIN (15 * SEC)

static struct {
	char *text;      /* newest answer */
	bool came;
} reply;

static void answered(void *arg, const char *text)
{
	(void)arg;
	free(reply.text);
	reply.text = xstrdup(text);
	reply.came = true;
}

const char *script_answer(void)
{
	return reply.text ? reply.text : "";
}

static struct machine *somebody(void)
{
	for (int i = 0; i < W.n; i++)
		if (W.m[i].power && W.m[i].sockets[0] && !W.m[i].witness)
			return &W.m[i];
	return NULL;
}

/* These two say that nothing was begun: the same request is sent again. */
static bool ask_again(const json_t *r)
{
	const char *e = json_str(r, "error", "");

	return strcmp(e, "NO_MASTER") == 0 || strcmp(e, "NO_MAJORITY") == 0;
}

static int64_t request(struct machine *on, const char *op, const char *args_json, int64_t max_us)
{
	int64_t end = eng.now + max_us, asked = INT64_MIN / 2;
	char id[64];
	static int64_t number;

	(void)snprintf(id, sizeof(id), "op.%lld", (long long)++number);
	while (eng.now < end && !eng.stop) {
		struct machine *m = on ? on : somebody();

		if (m && eng.now - asked > ASK_AGAIN) {
			reply.came = false;
			asked = eng.now;
			trace("operator: %s %s", op, args_json);
			request_send(m, op, args_json, id, answered, NULL);
		}
		engine_run(eng.now + 50 * MS);
		if (!reply.came)
			continue;
		AUTO_JSON json_t *r = json_loads(reply.text, 0, NULL);
		if (ask_again(r)) {
			reply.came = false;
			asked = eng.now - ASK_AGAIN + 2 * SEC;
			continue;
		}
		return json_int(json_object_get(r, "result"), "job", 0);
	}
	return 0;
}

int64_t script_request(const char *op, const char *args_json, int64_t max_us)
{
	return request(NULL, op, args_json, max_us);
}

static bool script_refused(void)
{
	AUTO_JSON json_t *r = json_loads(script_answer(), 0, NULL);

	return !r || json_str(r, "error", "")[0];
}

bool script_join(struct machine *m)
{
	(void)request(NULL, "node.token", "{}", 60 * SEC);
	AUTO_JSON json_t *r = json_loads(script_answer(), 0, NULL);
	const char *token = json_str(json_object_get(r, "result"), "token", "");
	AUTO_FREE char *args = xasprintf("{\"token\":\"%s\"}", token);

	if (!token[0])
		return false;
	(void)request(m, "node.join", args, 120 * SEC);
	if (script_refused())
		return false;
	AUTO_JSON json_t *j = json_loads(script_answer(), 0, NULL);
	(void)str_copy(m->uuid, sizeof(m->uuid), json_str(json_object_get(j, "result"), "uuid", ""));
	return script_settle(120 * SEC);
}

void script_job_says(int64_t job, const char *field, const char *if_unset, const char *if_gone, char *out, size_t size)
{
	char key[64];

	(void)snprintf(key, sizeof(key), "/gantry/job/%lld", (long long)job);
	AUTO_FREE char *text = store_world_get(key);
	AUTO_JSON json_t *j = text ? json_loads(text, 0, NULL) : NULL;
	(void)str_copy(out, size, j ? json_str(j, field, if_unset) : if_gone);
}

const char *script_job_state(int64_t job)
{
	static char state[32];

	script_job_says(job, "state", "queued", "?", state, sizeof(state));
	return state;
}

bool script_settle(int64_t max_us)
{
	int64_t end = eng.now + max_us, since = eng.now;

	while (eng.now < end && !eng.stop) {
		engine_run(eng.now + 500 * MS);
		if (eng.stop)
			return false;
		if (!check_rest(false))
			since = eng.now;
		else if (eng.now - since >= QUIET)
			return true;
	}
	if (!eng.stop)
		(void)check_rest(true);
	return false;
}

bool script_do(const char *op, const char *args_json)
{
	int64_t job = script_request(op, args_json, 120 * SEC);

	if (!job)
		return false;
	return script_settle(600 * SEC) && strcmp(script_job_state(job), "success") == 0;
}
