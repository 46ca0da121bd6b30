/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Power fencing by the programs of fence-agents: options on standard input, one key=value a line. An agent that says "off" is not believed before it has
 * read the power back; one that hangs, fails or reads "on" is no evidence, and the next one is asked.
 */
#include <stdlib.h>
#include <string.h>

#include "common/rule.h"
#include "common/xmem.h"
#include "node/exec_inside.h"
#include "storage/exec.h"
#include "storage/runner.h"

#define AGENT_MS 20000     /* one call of an agent */
#define READS 20           /* until the power reads as asked: about 20 s with an agent that takes half a second; what is told is not this machine */
#define READ_EVERY_MS 500

/* Exit statuses of "status", as fence-agents define them. */
#define POWER_ON 0
#define POWER_OFF 2

static int call(struct exec_env *env, const struct step_fence_agent *a, const char *action, int *ret_status, struct err *err)
{
	const char *const argv[] = { a->agent, NULL };
	AUTO_FREE char *input = xasprintf("action=%s\n%s", action, a->options ? a->options : "");
	AUTO_RESULT struct runner_result res = { .status = -1 };
	int rc = env->runner->run(env->runner, argv, input, (int)(AGENT_MS * env->time_factor), &res, err);

	if (rc < 0)
		return rc;
	*ret_status = res.status;
	if (res.status == POWER_ON || (res.status == POWER_OFF && strcmp(action, "status") == 0))
		return 0;
	return exec_failed(argv, &res, ERR_COMMAND_FAILED, err); /* its options, and so its secrets, were on standard input only */
}

static int read_back(struct exec_env *env, const struct exec_call *c, const struct step_fence_agent *a, int want, struct err *err)
{
	int status = -1;

	for (int left = READS;; left--) {
		int rc = call(env, a, "status", &status, err);

		if (!RULE(POWER_READ_BACK) || (rc == 0 && status == want))
			return 0;
		if (left <= 0)
			return rc < 0 ? rc : err_set(err, ERR_TIMEOUT, "'%s' still reads the power as %s", a->agent, status == POWER_ON ? "on" : "off");
		err_clear(err);
		rc = env->wait(env, c, READ_EVERY_MS, err);
		if (rc < 0)
			return rc;
	}
}

static bool is_canceled(const struct exec_call *c)
{
	return c->canceled && __atomic_load_n(c->canceled, __ATOMIC_ACQUIRE);
}

static int one(struct exec_env *env, const struct exec_call *c, const struct step_fence_agent *a, bool drill, struct err *err)
{
	int status = -1;

	/* Already off counts, whatever "off" would say then. One that hangs on a question would hang on each: guests wait, so the next one is asked. */
	int rc = call(env, a, "status", &status, err);
	if (rc == -ERR_TIMEOUT)
		return rc;
	if (rc < 0 || status != POWER_OFF) {
		err_clear(err);
		if (is_canceled(c)) /* the node is back: it is too late to switch it off */
			return err_set(err, ERR_CANCELED, "canceled");
		/* An agent may complain although the machine went: what counts is what is read back. */
		rc = call(env, a, "off", &status, err);
		err_clear(err);
	}
	rc = read_back(env, c, a, POWER_OFF, err);
	if (rc < 0 || !drill)
		return rc;
	rc = call(env, a, "on", &status, err);
	return rc < 0 ? rc : read_back(env, c, a, POWER_ON, err);
}

/* Not even a drill: it answers, takes its options, and reads what is true of a node that runs. */
static int ask_only(struct exec_env *env, const struct step_fence_agent *a, struct err *err)
{
	int status = -1, rc = call(env, a, "status", &status, err);

	if (rc == 0 && status != POWER_ON)
		return err_set(err, ERR_WRONG_STATE, "'%s' reads the power as off", a->agent), err_hint(err, "it may be another machine's plug: look at its options");
	return rc;
}

int do_fence_off(struct exec_env *env, const struct exec_call *c, json_t **ret, struct err *err)
{
	const struct step_fence *a = c->args;
	int rc = err_set(err, ERR_BAD_REQUEST, "no fence agent is named");

	for (int i = 0; i < a->n_agents; i++) {
		if (is_canceled(c))
			return err_set(err, ERR_CANCELED, "canceled");
		err_clear(err);
		rc = a->check == 1 ? ask_only(env, &a->agents[i], err) : one(env, c, &a->agents[i], a->drill == 1, err);
		if (rc == 0 && !*ret)
			*ret = json_pack("{s:s}", "agent", a->agents[i].agent);
		if ((rc == 0) != (a->drill == 1 || a->check == 1)) /* one is enough to switch it off; a drill wants to know of each */
			break;
	}
	return rc < 0 ? err_wrap(err, a->check == 1 ? "the fence agents of node '%s'" : "switching node '%s' off", a->name) : 0;
}
