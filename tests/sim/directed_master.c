/* SPDX-License-Identifier: Apache-2.0 */
/* Worlds for masters that were succeeded, or are cut off, and for orders and commits that come when nobody expects them any more. */
#include <stdio.h>
#include <string.h>

#include "common/xmem.h"
#include "core/term.h"
#include "tests/sim/stage.h"

#define HA ",\"be\":{\"ha\":\"failover\"}"

/* ---- a master that does not know it yet --------------------------------------------------------------------------- */

/* It stands still for moments: the checker does not count the cluster's address with it, which is not what these worlds are about. */
static void stutter(int machine, int64_t us)
{
	for (int64_t end = eng.now + us; eng.now < end && !eng.stop; stage_run(500 * MS))
		if (W.m[machine].masterd_proc)
			W.m[machine].masterd_proc->stalled_until = eng.now + 1 * MS;
}

/*
 * Master and owner are cut off together. The majority makes another master, which counts the owner's lease and fails over: by then nobody may have
 * told the owner that it is alive.
 */
bool cut_off_with_master(void)
{
	stage_extra = 2; /* two of seven are silent: no storm */
	if (!stage_begin(5, HA))
		return false;
	int me = stage_master();
	stage_part(me, A, true);
	stutter(me, 60 * SEC);
	if (!b_runs())
		return eng.stop ? false : stage_failed("the failover");
	stage_part(me, A, false);
	return script_settle(600 * SEC);
}

static int master_was;

static bool master_is_new(void)
{
	return stage_master() != master_was;
}

/* Its masterd stands still until it is told to wake: little by little, as what waits for a stalled process is put off to the end of the stall. */
static int asleep = -1;

static void sleeps(void *arg)
{
	(void)arg;
	if (asleep < 0)
		return;
	W.m[asleep].masterd_proc->stalled_until = eng.now + 20 * MS;
	(void)after(NULL, 10 * MS, sleeps, NULL);
}

static int64_t resets_before;

static bool was_reset(void)
{
	return W.counts.guest_resets > resets_before;
}

/*
 * An order to A does not get through, and its master stands still. Its successor ends the job: a person has taken A out of service. A follows the
 * successor; then A's daemon starts anew, and reaches nobody but the old master, which wakes: it has an order in hand, and is asked for a yes.
 */
bool order_of_deposed(void)
{
	if (!stage_begin(5, ""))
		return false;
	int me = master_was = stage_master();
	resets_before = W.counts.guest_resets;
	stage_isolate(A, true);
	int64_t job = stage_job("instance.reboot", "{\"name\":\"vm1\",\"type\":\"soft\"}");
	stage_run(500 * MS);
	asleep = me;
	sleeps(NULL);
	stage_isolate(me, true);
	stage_cut(NET_REPL, A, B, false); /* the pair stays together */
	if (!stage_until(master_is_new, 20 * SEC))
		return stage_failed("the successor");
	(void)script_request("node.modify", "{\"name\":\"node2\",\"offline\":true}", 5 * SEC);
	if (!stage_ends(job, 10 * SEC) || !stage_error(job)[0])
		return stage_failed("the job ends with an error");
	stage_isolate(A, false);
	stage_isolate(me, true);
	(void)script_request("node.modify", "{\"name\":\"node2\",\"offline\":false}", 5 * SEC);
	stage_run(2 * SEC); /* A has seen the successor */
	noded_kill(&W.m[A]);
	stage_part(me, A, true);
	stage_cut(NET_FRONT, me, A, false);
	stage_cut(NET_REPL, me, A, false);
	noded_start(&W.m[A]);
	asleep = -1;
	stutter(me, 15 * SEC);
	if (eng.stop)
		return false;
	if (was_reset())
		return stage_broken("a master that was succeeded had its old order carried out");
	if (!a_is_frozen())
		return stage_failed("A waits for a yes");
	memset(W.cut, 0, sizeof(W.cut));
	net_changed();
	stutter(me, 5 * SEC); /* it hears that it was succeeded */
	return script_settle(300 * SEC);
}

/* ---- commits that are late -------------------------------------------------------------------------------------------- */

/* The master's yes is on its way to the store when it dies; it gets there when its successor has read the store, and has not written yet. */
bool late_commit_of_deposed(void)
{
	if (!stage_begin(5, ""))
		return false;
	int me = master_was = stage_master();
	store_hold_commit();
	stage_replication(false);
	if (!stage_until(store_commit_held, 60 * SEC))
		return stage_failed("the yes is under way");
	frames_hold(A, "ask");
	W.m[me].masterd_enabled = false;
	masterd_kill(&W.m[me]);
	AUTO_FREE char *seq = store_world_get(TERM_SEQ);
	if (!stage_until(master_is_new, 60 * SEC))
		return stage_failed("the successor");
	stage_run(60 * MS); /* it has read the store */
	AUTO_FREE char *seq_now = store_world_get(TERM_SEQ);
	if (strcmp(seq, seq_now) != 0)
		return stage_failed("the successor has not written yet");
	(void)store_let_go();
	frames_pass();
	stage_run(30 * SEC);
	if (eng.stop)
		return false;
	if (!a_is_alone())
		return stage_broken("the successor can write nothing: the guest stands still for ever");
	stage_replication(true);
	return script_settle(300 * SEC);
}

/* "Both are current" is on its way for so long that the master makes that commit again; the first one gets there when the log says something else. */
bool late_commit_of_own(void)
{
	if (!stage_begin(5, ""))
		return false;
	stage_replication(false);
	if (!stage_until(a_is_alone, 60 * SEC))
		return stage_failed("the first yes");
	stage_replication(true);
	if (!stage_until(in_sync, 60 * SEC) || both_current())
		return stage_failed("together again, and not known yet");
	store_hold_commit();
	if (!stage_until(store_commit_held, 60 * SEC))
		return stage_failed("a commit is under way");
	if (!stage_until(both_current, 60 * SEC))
		return stage_failed("it was made again");
	stage_run(2 * SEC);
	stage_replication(false);
	if (!stage_until(a_is_alone, 60 * SEC))
		return stage_failed("the second yes");
	stage_run(1 * SEC);
	(void)store_let_go();
	stage_run(10 * SEC);
	if (eng.stop)
		return false;
	stage_replication(true);
	return script_settle(300 * SEC);
}

/* ---- orders that are late ------------------------------------------------------------------------------------------------ */

/* An order hangs; as one of the node's links goes it is given again over the other, and carried out. The first one arrives when the job is over. */
bool order_after_the_job(void)
{
	if (!stage_begin(5, ""))
		return false;
	resets_before = W.counts.guest_resets;
	frames_hold(A, "step");
	int64_t job = stage_job("instance.reboot", "{\"name\":\"vm1\",\"type\":\"soft\"}");
	stage_run(1 * SEC);
	frames_pass();
	stage_cut(NET_REPL, stage_master(), A, true);
	if (!stage_ends(job, 60 * SEC) || stage_error(job)[0] || !was_reset())
		return stage_failed("it is given again, and carried out");
	stage_run(2 * SEC); /* and forgotten */
	if (!frames_release())
		return stage_failed("nothing was held");
	stage_run(10 * SEC);
	if (W.counts.guest_resets != resets_before + 1)
		return stage_broken("an order was carried out when its job was over");
	stage_cut(NET_REPL, stage_master(), A, false);
	return script_settle(300 * SEC);
}

/* A's daemon dies while A is cut off: nobody tells the master, whose next order goes into the dead link. A new daemon dials. */
bool dead_link(void)
{
	if (!stage_begin(5, ""))
		return false;
	resets_before = W.counts.guest_resets;
	stage_isolate(A, true);
	noded_kill(&W.m[A]);
	int64_t job = stage_job("instance.reboot", "{\"name\":\"vm1\",\"type\":\"soft\"}");
	stage_run(2 * SEC);
	if (!job || stage_error(job)[0])
		return stage_failed("the order is given");
	noded_start(&W.m[A]);
	stage_isolate(A, false);
	if (!stage_ends(job, 120 * SEC))
		return eng.stop ? false : stage_broken("the order went into a dead link, and is never given again");
	if (!was_reset())
		return stage_failed(stage_error(job));
	return script_settle(300 * SEC);
}
