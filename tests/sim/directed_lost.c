/* SPDX-License-Identifier: Apache-2.0 */
/* Worlds in which a replica is lost, and what is left is taken over: by itself, or by a person as it is. */
#include <string.h>

#include "tests/sim/stage.h"

#define HA ",\"be\":{\"ha\":\"failover\"}"

/* --ignore-consistency: what the other replica acknowledged alone may be lost, by a person's decision. */
static bool take_as_it_is(void)
{
	for (int i = 0; i < W.n_ledgers; i++)
		W.ledgers[i].excused = true;
	int64_t job = stage_job("instance.failover", "{\"name\":\"vm1\",\"ignore_consistency\":true}");

	if (!stage_ends(job, 600 * SEC) || stage_error(job)[0])
		return eng.stop ? false : stage_broken(job && stage_error(job)[0] ? stage_error(job) : "the failover by a person's word does not end");
	return true;
}

static bool b_resyncs(void)
{
	return stage_on(B)->sync == SYNC_TARGET;
}

static bool b_is_half(void)
{
	return stage_on(B)->net != WANT_CONNECTED && stage_on(B)->disk == DRBD_DISK_INCONSISTENT;
}

/* The log lists A alone: it has gone on, and its mirror is away, half way through a resync: it calls itself Inconsistent. */
static bool a_alone_by_log(const char *more)
{
	if (!stage_begin(5, more) || !stage_until(both_current, 60 * SEC))
		return stage_failed("both current");
	stage_replication(false);
	if (!stage_until(a_is_alone, 60 * SEC) || !stage_until(a_is_current_alone, 10 * SEC))
		return stage_failed("the verdict");
	stage_run(5 * SEC); /* acknowledged, and nowhere else */
	stage_replication(true);
	if (!stage_until(b_resyncs, 60 * SEC))
		return stage_failed("the resync");
	stage_replication(false);
	if (!stage_until(b_is_half, 60 * SEC))
		return stage_failed("half of a resync");
	stage_run(5 * SEC);
	return true;
}

static bool confirmed_off(void)
{
	int64_t job = stage_job("node.fence", "{\"name\":\"node2\",\"confirmed_off\":true}");

	return (stage_ends(job, 60 * SEC) && !stage_error(job)[0]) || stage_failed("a person's word");
}

static bool starts_on_b(void)
{
	int64_t job = stage_job("instance.startup", "{\"name\":\"vm1\"}");

	if (!stage_ends(job, 300 * SEC) || stage_error(job)[0] || !b_runs())
		return eng.stop ? false : stage_broken(job && stage_error(job)[0] ? stage_error(job) : "what was taken as it is does not start");
	return true;
}

/* The instance is down, its node is gone, and its mirror lacks what that one wrote alone. */
bool taken_of_one_off(void)
{
	if (!a_alone_by_log("") || !stage_ends(stage_job("instance.shutdown", "{\"name\":\"vm1\"}"), 300 * SEC))
		return stage_failed("it is down");
	machine_power_cut(&W.m[A]);
	stage_replication(true);
	stage_run(20 * SEC);
	int64_t job = stage_job("instance.failover", "{\"name\":\"vm1\",\"ignore_consistency\":true}");
	if (!stage_ends(job, 60 * SEC) || !stage_error(job)[0])
		return stage_broken("nobody has said that its node is off");
	if (!confirmed_off() || !take_as_it_is() || !starts_on_b())
		return false;
	stage_run(10 * SEC);
	machine_power_on(&W.m[A]); /* the loser: what it has is kept, then overwritten */
	return script_settle(900 * SEC);
}

/* Its node answers, but its disk has failed: the instance is down, and comes up on the mirror. */
bool taken_of_one_that_answers(void)
{
	if (!a_alone_by_log(""))
		return false;
	drbd_disk_fails(&W.m[A], "vm1");
	stage_run(2 * SEC);
	if (!stage_ends(stage_job("instance.shutdown", "{\"name\":\"vm1\"}"), 300 * SEC))
		return stage_failed("it is down");
	stage_replication(true);
	int64_t job = stage_job("instance.failover", "{\"name\":\"vm1\"}");
	if (!stage_ends(job, 60 * SEC) || !stage_error(job)[0])
		return stage_broken("nobody has said that the loss is accepted");
	if (!take_as_it_is())
		return false;
	/* A mirror can be made of it although nobody has started it yet. */
	job = stage_job("instance.replace_disks", "{\"name\":\"vm1\",\"on_secondary\":true}");
	if (!stage_ends(job, 600 * SEC) || stage_error(job)[0])
		return eng.stop ? false : stage_broken(job && stage_error(job)[0] ? stage_error(job) : "no mirror can be made of what was taken as it is");
	return starts_on_b() && script_settle(300 * SEC);
}

/* The mirror has lost its disk, and is marked; its disk works again when its Primary's node is gone for good. */
bool taken_though_marked(void)
{
	if (!stage_begin(5, "") || !stage_until(both_current, 60 * SEC))
		return stage_failed("both current");
	drbd_disk_fails(&W.m[B], "vm1");
	if (!stage_until(a_is_current_alone, 60 * SEC))
		return stage_failed("the mirror leaves current");
	stage_run(5 * SEC);
	if (!stage_ends(stage_job("instance.shutdown", "{\"name\":\"vm1\"}"), 300 * SEC))
		return stage_failed("it is down");
	machine_power_cut(&W.m[A]);
	stage_run(20 * SEC);
	if (!confirmed_off() || !take_as_it_is() || !starts_on_b())
		return false;
	machine_power_on(&W.m[A]);
	return script_settle(900 * SEC);
}

static bool a_is_down(void)
{
	return !stage_on(A)->up && !stage_guest(A);
}

/* The log lists the mirror, so no more is needed than to ask; then the one that lost its disk is made anew. */
static bool mirror_takes_over(void)
{
	int64_t job = stage_job("instance.failover", "{\"name\":\"vm1\"}");
	if (!stage_ends(job, 300 * SEC) || stage_error(job)[0] || !b_runs())
		return eng.stop ? false : stage_broken(job && stage_error(job)[0] ? stage_error(job) : "the failover to the mirror does not end");
	return script_do("instance.replace_disks", "{\"name\":\"vm1\",\"on_secondary\":true}");
}

/*
 * H13: A is cut off from everybody and frozen; then its disk fails. No verdict can let it go on any more, and none is needed to end it: guest and
 * replica are gone before anybody answers, and the failover follows when a person asks for it.
 */
bool frozen_then_lost(void)
{
	if (!stage_begin(5, "") || !stage_until(both_current, 60 * SEC))
		return stage_failed("both current");
	stage_isolate(A, true);
	if (!stage_until(a_is_frozen, 60 * SEC))
		return stage_failed("the freeze");
	stage_run(3 * SEC);
	drbd_disk_fails(&W.m[A], "vm1");
	if (!stage_until(a_is_down, 60 * SEC))
		return eng.stop ? false : stage_broken("a frozen Primary without its disk is not taken apart");
	stage_isolate(A, false);
	stage_run(30 * SEC); /* a question that it asked with a good disk may get through now: what comes of it is handed back */
	return mirror_takes_over();
}

/*
 * H7: A asks with a good disk, which fails before the question is heard. The yes takes the mirror, which lacks nothing, out of current, and A can use it no
 * more: by its own word the log lists the mirror again.
 */
bool yes_for_a_lost_disk(void)
{
	if (!stage_begin(5, "") || !stage_until(both_current, 60 * SEC))
		return stage_failed("both current");
	frames_hold(A, "ask");
	stage_replication(false);
	if (!stage_until(a_is_frozen, 60 * SEC))
		return stage_failed("the freeze");
	stage_run(3 * SEC);
	drbd_disk_fails(&W.m[A], "vm1");
	if (!stage_until(a_is_down, 60 * SEC))
		return stage_failed("it is taken apart");
	stage_run(2 * SEC);
	frames_pass();
	if (!frames_release() || !stage_until(a_is_current_alone, 1 * SEC))
		return stage_failed("the late yes");
	stage_run(20 * SEC);
	stage_replication(true);
	return mirror_takes_over();
}

/*
 * ... but not one that was used: what A has acknowledged by it the mirror lacks, which is good by its own word all the same. The daemon that has heard that
 * yes does not live any more; the next one knows the record only.
 */
bool yes_used_before_the_loss(void)
{
	if (!stage_begin(5, "") || !stage_until(both_current, 60 * SEC))
		return stage_failed("both current");
	stage_replication(false);
	if (!stage_until(a_is_alone, 60 * SEC) || !stage_until(a_is_current_alone, 10 * SEC))
		return stage_failed("the verdict");
	stage_run(5 * SEC); /* acknowledged, and nowhere else */
	noded_kill(&W.m[A]);
	drbd_disk_fails(&W.m[A], "vm1");
	stage_run(1 * SEC);
	noded_start(&W.m[A]);
	stage_run(20 * SEC); /* it asks out of current at each look */
	if (eng.stop)
		return false;
	if (!a_is_current_alone())
		return stage_broken("current was handed to a mirror that lacks acknowledged writes");
	if (!stage_ends(stage_job("instance.shutdown", "{\"name\":\"vm1\"}"), 300 * SEC))
		return stage_failed("it is down");
	stage_replication(true);
	int64_t job = stage_job("instance.failover", "{\"name\":\"vm1\"}");
	if (!stage_ends(job, 60 * SEC) || !stage_error(job)[0])
		return stage_broken("nobody has said that the loss is accepted");
	if (!take_as_it_is() || !starts_on_b())
		return false;
	return script_do("instance.replace_disks", "{\"name\":\"vm1\",\"on_secondary\":true}");
}

/* A's guest lives on its mirror's disk when both lose their power. Back, A is marked: what cannot be started there is not tried for minutes. */
bool failed_over_at_once(void)
{
	if (!stage_begin(5, HA) || !stage_until(both_current, 60 * SEC))
		return stage_failed("both current");
	drbd_disk_fails(&W.m[A], "vm1");
	stage_run(10 * SEC);
	machine_power_cut(&W.m[A]);
	machine_power_cut(&W.m[B]);
	stage_run(30 * SEC);
	machine_power_on(&W.m[A]);
	machine_power_on(&W.m[B]);
	if (!stage_until(b_runs, 60 * SEC))
		return eng.stop ? false : stage_broken("the mirror that has everything waits for an owner that has lost its disk");
	return script_do("instance.replace_disks", "{\"name\":\"vm1\",\"on_secondary\":true}");
}

static bool log_lists_b_alone(void)
{
	return !both_current() && !a_is_current_alone();
}

static bool lives_on_b(const char *more, int voters)
{
	if (!stage_begin(voters, more) || !stage_until(both_current, 60 * SEC))
		return stage_failed("both current");
	drbd_disk_fails(&W.m[A], "vm1");
	if (!stage_until(log_lists_b_alone, 60 * SEC))
		return stage_failed("the owner leaves current");
	stage_run(5 * SEC); /* acknowledged, on B only */
	return a_runs() || stage_failed("the guest lives on its mirror's disk");
}

/* H16: what it lives on is out of reach. It stands still, and goes on when they meet within a lease; after one it is taken apart, and its mirror takes over. */
bool no_data_any_more(void)
{
	if (!lives_on_b(HA, 5))
		return false;
	stage_replication(false);
	if (!stage_until(a_is_frozen, 60 * SEC))
		return stage_failed("the owner stands still");
	stage_run(3 * SEC);
	stage_replication(true);
	stage_run(30 * SEC);
	if (eng.stop || !a_runs() || a_is_frozen())
		return eng.stop ? false : stage_broken("the guest does not go on when its mirror is back");
	stage_replication(false);
	if (!stage_until(b_runs, 90 * SEC))
		return eng.stop ? false : stage_broken("a guest with ha=failover stands still, and its mirror does not take over");
	stage_replication(true);
	stage_run(10 * SEC);
	return script_do("instance.replace_disks", "{\"name\":\"vm1\",\"on_secondary\":true}") && script_settle(300 * SEC);
}

static bool migrates_off(void)
{
	int64_t job = stage_job("instance.migrate", "{\"name\":\"vm1\"}");

	if (!stage_ends(job, 300 * SEC) || stage_error(job)[0] || !b_runs())
		return eng.stop ? false : stage_broken(job && stage_error(job)[0] ? stage_error(job) : "the migration off a dead disk does not end");
	return script_do("instance.replace_disks", "{\"name\":\"vm1\",\"on_secondary\":true}") && script_settle(300 * SEC);
}

/* Its own disk is gone, and it migrates to the one it lives on; the replica left behind is made anew. */
bool migrated_off_a_dead_disk(void)
{
	return lives_on_b("", 5) && migrates_off();
}

bool migrated_off_without_arbitration(void)
{
	return lives_on_b("", 1) && migrates_off();
}

/* The replicas lose each other on the way: neither goes on alone, it is undone, and done again when they have met. */
bool lost_on_the_way_off(void)
{
	if (!lives_on_b("", 5))
		return false;
	int64_t job = stage_job("instance.migrate", "{\"name\":\"vm1\"}");
	if (!stage_until(both_primary, 60 * SEC))
		return stage_failed("two Primaries");
	stage_replication(false);
	stage_run(20 * SEC);
	if (eng.stop)
		return false;
	stage_replication(true);
	if (!stage_ends(job, 900 * SEC))
		return eng.stop ? false : stage_broken("the migration does not end");
	stage_run(60 * SEC);
	return somebody_runs() ? b_runs() || migrates_off() : stage_broken("the guest stands still though its replicas have met");
}
