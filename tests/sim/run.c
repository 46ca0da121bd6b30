/* SPDX-License-Identifier: Apache-2.0 */
/* The simulation's program: tests/sim/run [--trace] main | ... */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/script.h"

/* Memory of processes that died is gone with them, as it is with real ones. */
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
	return 1;
}

static bool step(const char *op, const char *args)
{
	bool ok = script_do(op, args);

	(void)printf("%s %s %s: %s %s\n", ok ? "ok:" : "FAILED:", op, args, ok ? "" : W.why, ok ? "" : script_answer());
	return ok;
}

/* The node of the guest goes, a person says so, the guest is failed over; the node comes back. */
static int lose_a_node(void)
{
	int failed = 0;

	machine_power_cut(&W.m[4]);
	engine_run(eng.now + 30 * SEC);
	failed += script_request("node.fence", "{\"name\":\"node5\",\"confirmed_off\":true}", 60 * SEC) == 0;
	engine_run(eng.now + 10 * SEC);
	failed += script_request("instance.failover", "{\"name\":\"vm1\"}", 60 * SEC) == 0;
	engine_run(eng.now + 60 * SEC);
	machine_power_on(&W.m[4]);
	bool ok = script_settle(600 * SEC);
	(void)printf("%s node5 lost, failed over, back: %s %s\n", ok && !failed ? "ok:" : "FAILED:", ok ? "" : W.why, failed ? script_answer() : "");
	return failed + !ok;
}

/* The main job, nothing disturbed: what an operator does in a first hour. */
static int main_job(void)
{
	const struct world_conf c = { .seed = 1, .n_machines = 4, .n_spare = 1, .voters = 3, .lease_ms = 12000 };
	int failed = 0;

	world_new(&c);
	engine_run(10 * SEC);
	failed += !step("instance.add", "{\"name\":\"vm1\",\"disk\":[{\"size\":1024},{\"size\":64}],\"node\":\"node1:node2\",\"no_install\":true}");
	failed += !step("instance.migrate", "{\"name\":\"vm1\"}");
	failed += !step("instance.failover", "{\"name\":\"vm1\"}");
	failed += !step("instance.replace_disks", "{\"name\":\"vm1\",\"new_secondary\":\"node3\"}");
	bool joined = script_join(&W.m[4]);
	(void)printf("%s node.join node5: %s %s\n", joined ? "ok:" : "FAILED:", joined ? "" : W.why, joined ? "" : script_answer());
	failed += !joined;
	failed += !step("instance.replace_disks", "{\"name\":\"vm1\",\"new_secondary\":\"node5\"}");
	failed += !step("instance.migrate", "{\"name\":\"vm1\"}");
	failed += lose_a_node();
	failed += !step("instance.shutdown", "{\"name\":\"vm1\"}");
	failed += !step("instance.startup", "{\"name\":\"vm1\"}");
	failed += !step("instance.remove", "{\"name\":\"vm1\"}");
	(void)printf("main: %.0f simulated seconds, %llu events, %lld writes\n", (double)eng.now / 1e6, (unsigned long long)eng.n_events,
		     (long long)W.counts.writes);
	return failed ? 1 : 0;
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], "--trace") == 0)
			tracing = true;
	return main_job();
}
