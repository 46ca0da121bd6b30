/* SPDX-License-Identifier: Apache-2.0 */
/* Worlds in which DRBD's commands, or LVM's, do not return on A: who is reset for it, and who is left alone (008). */
#include <string.h>

#include "node/node.h"
#include "tests/sim/stage.h"

#define HA ",\"be\":{\"ha\":\"failover\"}"
#define RESET_WITHIN (40 * SEC) /* a lease until it lets go, X + 2W until it is reset, and what it took to notice */

static int boots_before;

static bool a_was_reset(void)
{
	return W.m[A].boots > boots_before;
}

static bool a_is_silent(void)
{
	return W.m[A].noded && W.m[A].noded->silent;
}

static bool a_runs_anew(void)
{
	return a_was_reset() && a_runs();
}

static bool begin(void)
{
	if (!stage_begin(5, HA) || !stage_until(both_current, 60 * SEC))
		return stage_failed("both current");
	boots_before = W.m[A].boots;
	return true;
}

/* A's tools hang, and nobody minds: its guest replicates. */
static bool hangs_for(int64_t us)
{
	W.m[A].drbd_hangs = true;
	stage_run(us);
	if (eng.stop)
		return false;
	return (!a_was_reset() && a_runs()) || stage_broken("a node whose guests replicate was reset, as its tools hang");
}

static bool cut_and_frozen(void)
{
	stage_replication(false);
	return stage_until(a_is_frozen, 60 * SEC) || stage_failed("the freeze");
}

static bool runs_again(void)
{
	return b_runs() || a_runs_anew();
}

/* The mirror has everything, and the log lists it: it takes over when A is lost. A machine that boots within its lease is not, and its guest waits for the mirror. */
static bool taken_over(void)
{
	if (!stage_until(runs_again, 150 * SEC))
		return eng.stop ? false : stage_broken("a guest is frozen where DRBD's commands hang, and waits for a person");
	stage_replication(true);
	return script_settle(600 * SEC);
}

bool frozen_where_drbd_hangs(void)
{
	return begin() && hangs_for(60 * SEC) && cut_and_frozen() && taken_over();
}

/* Nobody has told this daemon that the guest is frozen: its first look does not end, and DRBD's handler asked its predecessor. */
bool noded_anew_in_the_hang(void)
{
	if (!begin() || !hangs_for(30 * SEC) || !cut_and_frozen())
		return false;
	noded_kill(&W.m[A]);
	stage_run(1 * SEC);
	noded_start(&W.m[A]);
	stage_run(2 * SEC);
	return !a_was_reset() ? taken_over() : stage_failed("it is there again before its watchdog bites");
}

/* The log lists A alone, and its kernel has not heard the yes: nobody else may go on, so A must be there again, as it will not be by itself. */
bool hung_with_the_yes(void)
{
	if (!begin() || !cut_and_frozen())
		return false;
	W.m[A].drbd_hangs = true;
	if (!stage_until(a_is_current_alone, 20 * SEC) || !a_is_frozen())
		return stage_failed("a yes that is not heard");
	if (!stage_until(a_runs_anew, 120 * SEC))
		return eng.stop ? false : stage_broken("a guest is frozen where DRBD's commands hang, and waits for a person");
	stage_replication(true);
	return script_settle(600 * SEC);
}

bool hung_beside_a_dead_mirror(void)
{
	if (!begin() || !hangs_for(30 * SEC))
		return false;
	machine_power_cut(&W.m[B]);
	if (!stage_until(a_is_frozen, 60 * SEC))
		return stage_failed("the freeze");
	if (!stage_until(a_runs_anew, 180 * SEC))
		return eng.stop ? false : stage_broken("a guest is frozen where DRBD's commands hang, and waits for a person");
	machine_power_on(&W.m[B]);
	return script_settle(600 * SEC);
}

/* It has fallen silent already. The master counts it lost, or has not yet; either way its watchdog is fed again, and its guest goes on. */
bool back_before_the_bite(void)
{
	if (!begin() || !hangs_for(30 * SEC) || !cut_and_frozen())
		return false;
	if (!stage_until(a_is_silent, RESET_WITHIN))
		return stage_failed("it lets go");
	stage_run(5 * SEC);
	W.m[A].drbd_hangs = false;
	if (!stage_until(a_is_alone, 20 * SEC) || a_was_reset())
		return eng.stop ? false : stage_broken("a node whose DRBD answers again in time was reset all the same, or does not go on");
	stage_replication(true);
	return script_settle(600 * SEC);
}

bool hung_and_replicates(void)
{
	if (!begin() || !hangs_for(120 * SEC))
		return false;
	W.m[A].drbd_hangs = false;
	return script_settle(300 * SEC);
}

/* Its questions are lost, so it stays frozen; a look does not end for a minute, as LVM does not answer. Heard again, it goes on where it is. */
bool lvm_hangs_beside(void)
{
	if (!begin())
		return false;
	W.m[A].lvm_hangs = true;
	stage_run(40 * SEC); /* a look has come to LVM */
	frames_hold(A, "ask");
	if (!cut_and_frozen())
		return false;
	stage_run(35 * SEC); /* DRBD's handler waits for longer than that */
	if (eng.stop)
		return false;
	if (a_was_reset())
		return stage_broken("a node was reset, as LVM hangs");
	frames_pass();
	if (!stage_until(a_is_alone, 20 * SEC))
		return stage_failed("the yes");
	W.m[A].lvm_hangs = false;
	stage_replication(true);
	return script_settle(600 * SEC);
}
