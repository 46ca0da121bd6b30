/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Worlds for the rules of disk arbitration that other rules stand in for, or that need a message, a tool or a mark to come late: each of them brings
 * about just the moment in which nobody stands in, or switches off who does.
 */
#include <stdio.h>
#include <string.h>

#include "tests/sim/stage.h"

#define HA ",\"be\":{\"ha\":\"failover\"}"

/* ---- a yes that comes late (H3) ------------------------------------------------------------------------------ */

/* A is frozen, its handler found no noded to ask; noded comes and asks by itself. What it hears is its own to carry out. */
static bool frozen_without_handler(void)
{
	noded_kill(&W.m[A]);
	stage_replication(false);
	if (!stage_until(a_is_frozen, 60 * SEC))
		return stage_failed("the freeze");
	stage_run(1 * SEC);
	noded_start(&W.m[A]);
	return true;
}

/* The yes for the first loss is under way while the handler of the second waits. */
bool late_yes_to_handler(void)
{
	if (!stage_begin(5, ""))
		return false;
	frames_hold(A, "verdict");
	if (!frozen_without_handler())
		return false;
	if (!stage_until(a_is_current_alone, 60 * SEC))
		return stage_failed("the first yes");
	stage_replication(true);
	if (!stage_until(in_sync, 60 * SEC) || !stage_until(both_current, 60 * SEC))
		return stage_failed("together again");
	frames_hold(A, "ask"); /* its second question does not get through */
	stage_replication(false);
	if (!stage_until(a_is_frozen, 60 * SEC))
		return stage_failed("second loss");
	stage_run(3 * SEC); /* its handler waits */
	if (!frames_release())
		return stage_failed("nothing was held");
	stage_run(10 * SEC); /* frozen it must stay: the log lists both */
	if (eng.stop)
		return false;
	frames_pass();
	stage_replication(true);
	return script_settle(300 * SEC);
}

/* The tool that cuts the connection for a yes hangs; meanwhile the link is back, and both are in sync. */
bool outrun_by_cut(void)
{
	if (!stage_begin(5, ""))
		return false;
	stage_slow(A, "disconnect --force", 20 * SEC);
	if (!frozen_without_handler())
		return false;
	if (!stage_until(tool_is_slow, 60 * SEC))
		return stage_failed("the yes is carried out");
	int64_t since = eng.now;
	stage_replication(true);
	if (!stage_until(in_sync, 15 * SEC))
		return stage_failed("together again in time");
	frames_hold(A, "ask"); /* nobody asks on; the old yes is what there is */
	engine_run(since + 40 * SEC); /* the tool has cut, and resumed */
	frames_pass();
	return !eng.stop && script_settle(300 * SEC);
}

/* The tool that resumes hangs; meanwhile the link comes, and goes again. */
bool outrun_by_resume(void)
{
	if (!stage_begin(5, ""))
		return false;
	stage_slow(A, "resume_io", 30 * SEC);
	if (!frozen_without_handler())
		return false;
	if (!stage_until(tool_is_slow, 60 * SEC))
		return stage_failed("the yes is carried out");
	int64_t since = eng.now;
	frames_hold(A, "ask");
	frames_hold_too(A, "step"); /* no job connects it meanwhile */
	stage_replication(true);
	stage_run(12 * SEC); /* who has not cut is connected, and both say so */
	stage_replication(false);
	engine_run(since + 29 * SEC);
	if (!a_is_frozen() && !eng.stop)
		return stage_failed("it is frozen when the tool goes on");
	engine_run(since + 40 * SEC);
	if (eng.stop)
		return false;
	frames_pass();
	(void)frames_release();
	stage_replication(true);
	return script_settle(300 * SEC);
}

/* ---- questions that come late, or from somebody who may not ask (H4) ------------------------------------------------ */

/* A has come back from a power cut and is marked: the guest must come up where the good replica is, and the other one be made anew. */
static bool comes_up_again(void)
{
	machine_power_cut(&W.m[A]);
	frames_pass();
	stage_run(2 * SEC);
	machine_power_on(&W.m[A]);
	stage_run(1 * SEC);
	if (!stage_until(somebody_runs, 400 * SEC))
		return eng.stop ? false : stage_broken("the good replica is not in current: nobody may be started");
	return script_do("instance.replace_disks", "{\"name\":\"vm1\",\"on_secondary\":true}");
}

/*
 * A's first question hangs; a later one was answered, and all is well again. Then A's disk fails, and its wish to leave current hangs too: the old
 * question, in which the disk was good, must not make A the only one in current.
 */
bool late_question(void)
{
	if (!stage_begin(5, HA))
		return false;
	frames_hold(A, "ask");
	stage_replication(false);
	if (!stage_until(a_is_frozen, 60 * SEC))
		return stage_failed("the freeze");
	stage_run(500 * MS);
	frames_pass();
	if (!stage_until(a_is_alone, 60 * SEC))
		return stage_failed("the later question's yes");
	stage_replication(true);
	if (!stage_until(in_sync, 60 * SEC) || !stage_until(both_current, 60 * SEC))
		return stage_failed("together again");
	frames_hold(A, "ask");
	drbd_disk_fails(&W.m[A], "vm1");
	stage_run(2 * SEC);
	if (!both_current())
		return stage_failed("its wish to leave hangs");
	if (!frames_release())
		return stage_failed("nothing was held");
	(void)stage_until(a_is_current_alone, 200 * MS);
	return comes_up_again();
}

/* A's disk fails while it is frozen, and the mirror has not said yet that its own is good: A's wish to leave current must wait for that. */
bool asks_without_disk(void)
{
	if (!stage_begin(5, HA))
		return false;
	stage_replication(false);
	if (!stage_until(a_is_alone, 60 * SEC))
		return stage_failed("the first yes");
	stage_replication(true);
	if (!stage_until(both_current, 60 * SEC))
		return stage_failed("together again");
	frames_hold(B, "observe"); /* it says nothing at this generation */
	frames_hold_too(A, "ask");
	stage_replication(false);
	if (!stage_until(a_is_frozen, 60 * SEC))
		return stage_failed("the freeze");
	drbd_disk_fails(&W.m[A], "vm1");
	stage_run(3 * SEC);
	if (!both_current()) /* frozen, or taken apart already */
		return stage_failed("without a disk, and in current");
	frames_hold(B, "observe"); /* what A asks from now on is heard; what it asked before never */
	(void)stage_until(a_is_current_alone, 10 * SEC);
	stage_replication(true);
	return comes_up_again();
}

static bool a_is_attached(void)
{
	return stage_on(A)->up && stage_on(A)->disk > DRBD_DISK_FAILED;
}

/*
 * A's guest lives on the mirror's disk, as A's has failed; A's wish to leave current hangs when both lose their power. A is back first, and may be
 * promoted by the log: the wish gets through just before DRBD's handler asks.
 */
bool asks_from_outside(void)
{
	if (!stage_begin(5, HA))
		return false;
	frames_hold(A, "ask");
	drbd_disk_fails(&W.m[A], "vm1");
	stage_run(10 * SEC);
	if (!both_current())
		return stage_failed("its wish to leave hangs");
	machine_power_cut(&W.m[A]);
	machine_power_cut(&W.m[B]);
	stage_run(40 * SEC); /* nobody waits for the mirror any more */
	machine_power_on(&W.m[A]);
	if (stage_until(a_is_attached, 60 * SEC)) /* by no means, marked as it is */
		stage_run(4 * SEC);
	frames_pass();
	if (!frames_release())
		return stage_failed("nothing was held");
	stage_run(60 * SEC);
	if (eng.stop)
		return false;
	machine_power_on(&W.m[B]);
	if (!stage_until(somebody_runs, 400 * SEC))
		return eng.stop ? false : stage_broken("the guest does not come up");
	return true;
}

/* ---- a no that comes late (H8) ------------------------------------------------------------------------------------------ */

/*
 * The target of a migration is being promoted when the replicas lose each other: it asks, and by then the source has its yes. The no is under way
 * until the target is in sync again, and current.
 */
bool late_no(void)
{
	if (!stage_begin(5, ""))
		return false;
	stage_slow(B, "primary", 12 * SEC);
	(void)stage_job("instance.migrate", "{\"name\":\"vm1\"}");
	if (!stage_until(tool_is_slow, 60 * SEC))
		return stage_failed("the target is promoted");
	int64_t since = eng.now;
	frames_hold(B, "verdict");
	stage_replication(false);
	if (!stage_until(a_is_alone, 11 * SEC))
		return stage_failed("the source's yes");
	engine_run(since + 15 * SEC); /* the target has asked */
	stage_replication(true);
	if (!stage_until(in_sync, 15 * SEC) || !stage_until(both_current, 15 * SEC))
		return stage_failed("together again");
	frames_pass();
	if (!frames_release())
		return stage_failed("nothing was held");
	stage_run(20 * SEC);
	return !eng.stop && script_settle(300 * SEC);
}

/* ---- who is in current (H6, H19) ------------------------------------------------------------------------------------------ */

/*
 * The mirror's disk fails, and its node's own is full: the replica is not marked, only noded knows. Noded asks it out of current; then the mirror's power
 * is cut, and with it that knowledge is gone.
 */
bool mark_not_written(void)
{
	if (!stage_begin(5, ""))
		return false;
	W.m[B].disk_full = true;
	drbd_disk_fails(&W.m[B], "vm1");
	stage_run(10 * SEC); /* the owner writes on */
	machine_power_cut(&W.m[B]);
	W.m[B].disk_full = false;
	machine_power_cut(&W.m[A]);
	stage_run(1 * SEC);
	machine_power_on(&W.m[B]);
	stage_run(30 * SEC);
	if (!stage_word_and_failover(100 * SEC, NULL))
		return false;
	machine_power_on(&W.m[A]);
	return script_settle(600 * SEC);
}

/*
 * The owner has lost its disk and its power, and is back; its wish to leave current hangs. The job that brings its disks up would take the mirror out,
 * as that of an owner that crashed (H12); it is the only good one (H7).
 */
bool wish_hangs(void)
{
	if (!stage_begin(5, HA))
		return false;
	frames_hold(A, "ask");
	drbd_disk_fails(&W.m[A], "vm1");
	stage_run(2 * SEC);
	machine_power_cut(&W.m[A]);
	stage_run(2 * SEC);
	machine_power_on(&W.m[A]);
	for (int i = 0; i < 300 && !eng.stop && !a_is_current_alone(); i++)
		stage_run(500 * MS);
	if (a_is_current_alone())
		return stage_broken("the only good replica was taken out of current");
	frames_pass();
	if (!stage_until(somebody_runs, 400 * SEC))
		return eng.stop ? false : stage_broken("the guest does not come up");
	return script_do("instance.replace_disks", "{\"name\":\"vm1\",\"on_secondary\":true}");
}

/* The log's word for a replica that holds nothing. */
static bool lists_an_empty_one(void)
{
	AUTO_JSON json_t *own = stage_own();
	size_t i;
	const json_t *v;

	json_array_foreach(json_object_get(own, "current"), i, v) {
		const struct machine *m = machine_by_uuid(json_string_value(v));
		const struct replica *r = m ? replica_find(&W.m[m->index], "vm1") : NULL;

		if (!r || !r->md || r->current == JUST_CREATED)
			return true;
	}
	return false;
}

/* The mirror is replaced while its node's agent is dead, and its kernel is not: the owner's still knows, and is in sync with, the old one. */
bool replaced_mirror(void)
{
	if (!stage_begin(5, "") || !stage_until(both_current, 60 * SEC))
		return stage_failed("both current");
	noded_kill(&W.m[B]);
	stage_run(30 * SEC); /* nobody waits for it */
	int64_t job = stage_job("instance.replace_disks", "{\"name\":\"vm1\",\"new_secondary\":\"node4\"}");
	if (!job)
		return stage_failed("its job");
	/* The moment is short: the owner's question, when the old one is cut off, or its next report, would put it right again. */
	if (stage_until(lists_an_empty_one, 30 * SEC))
		return stage_broken("the log lists a replica as current that holds nothing");
	if (!stage_ends(job, 300 * SEC) || stage_error(job)[0])
		return stage_failed(stage_error(job)[0] ? stage_error(job) : "its job does not end");
	noded_start(&W.m[B]); /* what is left there is tidied */
	return script_settle(300 * SEC);
}
