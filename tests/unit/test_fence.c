/* SPDX-License-Identifier: Apache-2.0 */
/* Power fencing: what a node's setting means, and what counts as off, with a machine and agents that fail in every way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/xmem.h"
#include "core/fence.h"
#include "node/exec.h"
#include "storage/runner.h"

/* ---- the setting ---------------------------------------------------------------------------------------- */

static void test_parse(void **state)
{
	struct step_fence f;
	struct err err = ERR_INIT;

	(void)state;
	schema_init(&step_fence_schema, &f);
	assert_int_equal(fence_parse("agent=fence_ipmilan,ip=10.0.0.9,password=a,,b;;c;agent=fence_pdu,port=3", &f, &err), 0);
	assert_int_equal(f.n_agents, 2);
	assert_string_equal(f.agents[0].agent, "fence_ipmilan");
	assert_string_equal(f.agents[0].options, "ip=10.0.0.9\npassword=a,b;c\n");
	assert_string_equal(f.agents[1].agent, "fence_pdu");
	assert_string_equal(f.agents[1].options, "port=3\n");
	schema_done(&step_fence_schema, &f);
}

static void test_refused(void **state)
{
	static const char *const texts[] = { "", "ip=1", "agent=rm", "agent=fence_x/../y", "agent=fence_x,action=on", "agent=fence_x,a b=c", "agent=fence_x,k=a\nb",
					     "agent=fence_x,agent=fence_y", "agent=fence_a;agent=fence_b;agent=fence_c;agent=fence_d;agent=fence_e",
					     "agent=fence_x;", "agent=fence_x,," };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct step_fence f;
		struct err err = ERR_INIT;

		schema_init(&step_fence_schema, &f);
		if (strcmp(texts[i], "agent=fence_x;") == 0)
			assert_int_equal(fence_parse(texts[i], &f, &err), 0); /* nothing behind the last one */
		else
			assert_true(fence_parse(texts[i], &f, &err) < 0);
		schema_done(&step_fence_schema, &f);
	}
}

/* ---- a machine with a power switch, and agents --------------------------------------------------------------- */

struct machine {
	struct runner runner;
	bool on;
	bool stuck;         /* "off" says that it worked, but it did not */
	bool hangs[2];      /* agent fence_a, fence_b */
	bool no_status[2];
	bool off_complains; /* it worked, the agent says that it did not */
	bool cancels;       /* the job is canceled during the first call */
	bool canceled;
	bool check;         /* only asked */
	int waited_ms;
	char log[4096];
};

static int run(struct runner *r, const char *const argv[], const char *input, int timeout_ms, struct runner_result *ret, struct err *err)
{
	struct machine *m = (struct machine *)(void *)r;
	int a = strcmp(argv[0], "fence_b") == 0;
	size_t at = strlen(m->log);

	(void)timeout_ms;
	assert_null(argv[1]); /* secrets are never in an argv */
	assert_non_null(strstr(input, "password=x\n"));
	(void)snprintf(m->log + at, sizeof(m->log) - at, "%s %.*s ", argv[0], (int)strcspn(input, "\n") - 7, input + 7);
	memset(ret, 0, sizeof(*ret));
	m->canceled = m->cancels;
	if (m->hangs[a])
		return err_set(err, ERR_TIMEOUT, "killed");
	if (strncmp(input, "action=status\n", 14) == 0) {
		ret->status = m->no_status[a] ? 1 : m->on ? 0 : 2;
	} else if (strncmp(input, "action=off\n", 11) == 0) {
		m->on = m->on && m->stuck;
		ret->status = m->off_complains;
	} else if (strncmp(input, "action=on\n", 10) == 0) {
		m->on = true;
	} else {
		fail();
	}
	return 0;
}

static int wait_ms(struct exec_env *env, const struct exec_call *call, int ms, struct err *err)
{
	(void)call;
	(void)err;
	((struct machine *)env->arg)->waited_ms += ms;
	return 0;
}

static int fence(struct machine *m, bool drill, struct err *err)
{
	struct exec_env env = { .runner = &m->runner, .time_factor = 1, .wait = wait_ms, .arg = m };
	struct step_fence f;
	json_t *result = NULL;

	m->runner.run = run;
	schema_init(&step_fence_schema, &f);
	(void)str_copy(f.uuid, sizeof(f.uuid), "u");
	(void)str_copy(f.name, sizeof(f.name), "node2");
	f.drill = drill;
	f.check = m->check;
	assert_int_equal(fence_parse("agent=fence_a,password=x;agent=fence_b,password=x", &f, err), 0);
	struct exec_call c = { .kind = STEP_KIND_fence_off, .dir = STEP_DO, .args = &f, .canceled = &m->canceled };
	int rc = exec_run(&env, &c, &result, err);
	json_decref(result);
	schema_done(&step_fence_schema, &f);
	return rc;
}

static void test_off_is_read_back(void **state)
{
	struct machine m = { .on = true };
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(fence(&m, false, &err), 0);
	assert_false(m.on);
	assert_string_equal(m.log, "fence_a status fence_a off fence_a status ");
}

static void test_already_off_counts(void **state)
{
	struct machine m = { .on = false };
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(fence(&m, false, &err), 0);
	assert_string_equal(m.log, "fence_a status fence_a status ");
}

static void test_a_lie_is_no_evidence(void **state)
{
	struct machine m = { .on = true, .stuck = true };
	struct err err = ERR_INIT;

	(void)state;
	assert_true(fence(&m, false, &err) < 0);
	assert_non_null(strstr(err.msg, "node2"));
	assert_non_null(strstr(m.log, "fence_b off")); /* both were tried */
	assert_true(m.waited_ms >= 2 * 5000 && m.waited_ms <= 2 * 20000); /* a power supply needs its time, guests wait for the next agent */
}

static void test_the_next_agent(void **state)
{
	struct machine m = { .on = true, .hangs = { true, false } };
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(fence(&m, false, &err), 0);
	assert_false(m.on);
	assert_string_equal(m.log, "fence_a status fence_b status fence_b off fence_b status "); /* one that hangs costs one call */
	m = (struct machine){ .on = true, .no_status = { true, false } };
	assert_int_equal(fence(&m, false, &err), 0);
	/* Off in truth, but nobody can say so: no evidence. */
	m = (struct machine){ .on = true, .no_status = { true, true } };
	assert_true(fence(&m, false, &err) < 0);
	assert_false(m.on);
}

static void test_check_only_asks(void **state)
{
	struct machine m = { .on = true, .check = true };
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(fence(&m, false, &err), 0);
	assert_string_equal(m.log, "fence_a status fence_b status "); /* each of them */
	m = (struct machine){ .on = true, .check = true, .hangs = { false, true } };
	assert_true(fence(&m, false, &err) < 0);
	assert_true(m.on);
	/* A running node whose socket reads off: it is another machine's. */
	m = (struct machine){ .on = false, .check = true };
	assert_true(fence(&m, false, &err) < 0);
	assert_non_null(strstr(err.msg, "reads the power as off"));
	assert_null(strstr(m.log, " off "));
}

/* While an agent hung, the node came back and the job was canceled: nobody switches it off any more. */
static void test_canceled_before_off(void **state)
{
	struct machine m = { .on = true, .cancels = true };
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(fence(&m, false, &err), -ERR_CANCELED);
	assert_true(m.on);
	assert_null(strstr(m.log, " off "));
}

static void test_complaint_after_success(void **state)
{
	struct machine m = { .on = true, .off_complains = true };
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(fence(&m, false, &err), 0);
}

static void test_drill(void **state)
{
	struct machine m = { .on = true };
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(fence(&m, true, &err), 0);
	assert_true(m.on);
	assert_non_null(strstr(m.log, "fence_b off fence_b status fence_b on fence_b status "));
	m = (struct machine){ .on = true, .hangs = { false, true } };
	assert_true(fence(&m, true, &err) < 0); /* the second one would not have helped */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),          cmocka_unit_test(test_refused),         cmocka_unit_test(test_off_is_read_back),
		cmocka_unit_test(test_already_off_counts), cmocka_unit_test(test_a_lie_is_no_evidence), cmocka_unit_test(test_the_next_agent),
		cmocka_unit_test(test_complaint_after_success), cmocka_unit_test(test_drill), cmocka_unit_test(test_check_only_asks), cmocka_unit_test(test_canceled_before_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
