/* SPDX-License-Identifier: Apache-2.0 */
/* Worlds for the rules of leases, evidence, and of steps: what is said late, twice, or never written. */
#include <stdio.h>
#include <string.h>

#include "common/xmem.h"
#include "tests/sim/stage.h"

#define HA ",\"be\":{\"ha\":\"failover\"}"

/* ---- evidence ------------------------------------------------------------------------------------------------ */

/* Nothing but a lease ends here: no watchdog was armed when the guest was started, and nobody kills it. */
bool nobody_guarded(void)
{
	if (!stage_begin(5, HA) || !script_do("instance.shutdown", "{\"name\":\"vm1\"}"))
		return stage_failed("the guest is down");
	fenced_kill(&W.m[A], false);
	if (!script_do("instance.startup", "{\"name\":\"vm1\"}"))
		return stage_failed("it starts without a watchdog");
	noded_kill(&W.m[A]);
	stage_isolate(A, true);
	stage_run(120 * SEC);
	if (eng.stop)
		return false;
	stage_isolate(A, false);
	fenced_start(&W.m[A]);
	noded_start(&W.m[A]);
	return script_settle(600 * SEC);
}

/* The owner's node is silent for everybody but its mirror: the pair replicates, its watchdog is fed for that reason, and the guest lives. */
bool connected_and_silent(void)
{
	if (!stage_begin(5, HA))
		return false;
	for (int net = 0; net < NETS; net++)
		for (int i = 0; i < W.n; i++)
			if (i != A && (i != B || net == NET_FRONT))
				stage_cut(net, A, i, true);
	stage_run(120 * SEC);
	if (eng.stop)
		return false;
	if (!W.m[A].power || !stage_guest(A))
		return stage_failed("the guest lives, vouched for");
	stage_isolate(A, false);
	return script_settle(600 * SEC);
}

/* The agent says that it has switched the machine off, and has done nothing; asked for its state it says so. */
bool off_without_effect(void)
{
	if (!stage_begin(5, "") || !script_do("node.modify", "{\"name\":\"node2\",\"fence\":\"agent=fence_dud,plug=node2\"}"))
		return stage_failed("the agent");
	noded_kill(&W.m[A]);
	stage_run(20 * SEC);
	int64_t job = stage_job("node.fence", "{\"name\":\"node2\"}");
	if (!stage_ends(job, 600 * SEC))
		return stage_failed("the order to fence ends");
	job = stage_job("instance.failover", "{\"name\":\"vm1\"}");
	(void)stage_ends(job, 200 * SEC);
	if (eng.stop)
		return false;
	noded_start(&W.m[A]);
	return script_settle(600 * SEC);
}

/*
 * The replicas are apart for as long as evidence by lease needs, and A's question hangs, so the log lists both; A's beats are answered all the while.
 * Then A's daemon dies: from here on its lease counts, and its watchdog ends the guest within it.
 */
static bool apart_and_leased(void)
{
	frames_hold(A, "ask");
	stage_replication(false);
	if (!stage_until(a_is_frozen, 60 * SEC))
		return stage_failed("the freeze");
	stage_run(20 * SEC);
	if (!both_current() || !a_runs())
		return stage_failed("frozen, in current, and guarded");
	noded_kill(&W.m[A]);
	return true;
}

static bool comes_back(void)
{
	stage_run(60 * SEC);
	if (eng.stop)
		return false;
	frames_pass();
	stage_replication(true);
	noded_start(&W.m[A]);
	return script_settle(600 * SEC);
}

bool lease_not_over(void)
{
	return stage_begin(5, HA) && apart_and_leased() && comes_back();
}

/* The master dies in the same moment: its successor has never heard A. */
bool silent_for_the_new(void)
{
	if (!stage_begin(5, HA) || !apart_and_leased())
		return false;
	int me = stage_master();
	W.m[me].masterd_enabled = false;
	masterd_kill(&W.m[me]);
	return comes_back();
}

/*
 * The disk of A's node is full when its guest is permitted: what it guards is not written. There is room again, and it is cut off from everybody; its daemon
 * starts anew meanwhile, and finds nothing that it guards.
 */
bool guard_not_written(void)
{
	if (!stage_begin(5, HA) || !script_do("instance.shutdown", "{\"name\":\"vm1\"}"))
		return stage_failed("the guest is down");
	W.m[A].disk_full = true;
	int64_t job = stage_job("instance.startup", "{\"name\":\"vm1\"}");
	if (!stage_ends(job, 60 * SEC) || !a_runs())
		return stage_failed("it starts");
	stage_run(4 * SEC);
	stage_isolate(A, true);
	stage_run(4 * SEC);
	noded_kill(&W.m[A]);
	stage_run(1 * SEC);
	noded_start(&W.m[A]);
	stage_run(120 * SEC);
	if (eng.stop)
		return false;
	W.m[A].disk_full = false;
	stage_isolate(A, false);
	return script_settle(600 * SEC);
}

/* ---- steps ------------------------------------------------------------------------------------------------------ */

/* The disks are up by an operator's order; a start fails behind steps that found them so, and is undone. */
bool was_so_before(void)
{
	if (!stage_begin(5, "") || !script_do("instance.shutdown", "{\"name\":\"vm1\"}") || !script_do("instance.activate_disks", "{\"name\":\"vm1\"}"))
		return stage_failed("the disks are up");
	if (!stage_on(A)->up || !stage_on(B)->up)
		return stage_failed("the disks are up");
	W.fail_named = "guest start";
	int64_t job = stage_job("instance.startup", "{\"name\":\"vm1\"}");
	if (!stage_ends(job, 300 * SEC) || !stage_error(job)[0])
		return stage_failed("the start fails");
	if (!stage_on(A)->up || !stage_on(B)->up || stage_on(A)->net != WANT_CONNECTED)
		return stage_broken("the undo took away what was there before");
	return script_settle(300 * SEC);
}

static int64_t resets_before;

static bool was_reset(void)
{
	return W.counts.guest_resets > resets_before;
}

/* The order has been carried out, its answer is lost with the connection, and the master gives it again. */
bool told_twice(void)
{
	if (!stage_begin(5, ""))
		return false;
	resets_before = W.counts.guest_resets;
	frames_hold(A, "step_result");
	int64_t job = stage_job("instance.reboot", "{\"name\":\"vm1\",\"type\":\"soft\"}");
	if (!stage_until(was_reset, 60 * SEC))
		return stage_failed("it is reset");
	stage_run(2 * SEC);
	stage_isolate(A, true);
	stage_run(9 * SEC); /* the node gives its link up; the master waits for it */
	frames_pass();
	stage_isolate(A, false);
	if (!stage_ends(job, 300 * SEC))
		return eng.stop ? false : stage_broken("the reboot does not end");
	if (W.counts.guest_resets != resets_before + 1)
		return stage_broken("the guest was reset twice for one order");
	return script_settle(300 * SEC);
}

/* ---- pins --------------------------------------------------------------------------------------------------------- */

/*
 * B is asked whether it may take over, which pins it, and is cut off before it has answered. The failover is given up, B's part of the undo passed over.
 * A comes back, its guest's owner as before: B is its mirror again.
 */
bool pinned_for_nothing(void)
{
	if (!stage_begin(5, ""))
		return false;
	machine_power_cut(&W.m[A]);
	stage_run(20 * SEC);
	if (!script_request("node.fence", "{\"name\":\"node2\",\"confirmed_off\":true}", 60 * SEC))
		return stage_failed("a person says that A is off");
	stage_run(2 * SEC);
	stage_slow(B, "disconnect --force", 5 * SEC);
	int64_t job = stage_job("instance.failover", "{\"name\":\"vm1\"}");
	if (!stage_until(tool_is_slow, 60 * SEC))
		return stage_failed("B is asked");
	stage_isolate(B, true);
	machine_power_on(&W.m[A]);
	if (!stage_ends(job, 200 * SEC) || strcmp(script_job_state(job), "error") != 0 || !stage_until(a_runs, 60 * SEC))
		return stage_failed("the failover is given up, and A starts its guest");
	stage_isolate(B, false);
	return script_settle(600 * SEC);
}
