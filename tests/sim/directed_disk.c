/* SPDX-License-Identifier: Apache-2.0 */
/* Worlds for the rules of disk arbitration: the model's (arbitration-protocol.md), and what the simulation found. */
#include <stdio.h>
#include <string.h>

#include "tests/sim/stage.h"

/* H1: the report "in sync" is under way while the replicas lose each other again; it must not count any more. */
bool late_report(void)
{
	if (!stage_begin(5, ""))
		return false;
	stage_replication(false);
	if (!stage_until(a_is_alone, 60 * SEC))
		return stage_failed("first verdict");
	frames_hold(MACHINES_MAX, "observe"); /* anybody's: the mirror's word comes late too */
	stage_replication(true);
	if (!stage_until(in_sync, 60 * SEC))
		return stage_failed("resync");
	stage_run(5 * SEC); /* both sides have reported; A's word is under way */
	stage_replication(false);
	if (!stage_until(a_is_frozen, 60 * SEC)) /* until then it would say once more that it is in sync */
		return stage_failed("second loss");
	frames_pass();
	if (!stage_until(a_is_alone, 60 * SEC))
		return stage_failed("second verdict");
	stage_run(2 * SEC); /* its other questions are answered by then: none of them puts it right again */
	if (!frames_release())
		return stage_failed("nothing was held");
	stage_run(20 * SEC); /* writes go on alone: the log must not list B */
	return !eng.stop;
}

/* H3: a yes for the first loss arrives during the second. */
bool late_yes(void)
{
	if (!stage_begin(5, ""))
		return false;
	frames_hold(A, "verdict");
	stage_replication(false);
	if (!stage_until(a_is_frozen, 60 * SEC))
		return stage_failed("first loss");
	stage_run(3 * SEC); /* it has asked, the yes is under way */
	stage_replication(true);
	if (!stage_until(in_sync, 60 * SEC) || !stage_until(both_current, 60 * SEC))
		return stage_failed("together again");
	frames_hold(A, "ask"); /* its second question does not get through */
	stage_replication(false);
	if (!stage_until(a_is_frozen, 60 * SEC))
		return stage_failed("second loss");
	stage_run(3 * SEC); /* the agent has seen it too */
	if (!frames_release())
		return stage_failed("nothing was held");
	stage_run(20 * SEC); /* frozen it must stay: the log lists both */
	return !eng.stop;
}

/* H5: no majority and no answer is not a yes, whatever the handler's exit is called. */
bool cut_off_from_all(void)
{
	if (!stage_begin(5, ""))
		return false;
	stage_isolate(A, true);
	if (!stage_until(a_is_frozen, 60 * SEC))
		return stage_failed("the freeze");
	stage_run(90 * SEC); /* the handler ends with its time-out */
	if (eng.stop)
		return false;
	stage_isolate(A, false);
	return script_settle(300 * SEC);
}

/* Both ends of a migration have lost each other, and the target is still Primary. */
static bool target_has_lost(void)
{
	return stage_on(A)->net != WANT_CONNECTED && stage_on(B)->net != WANT_CONNECTED && stage_on(B)->role == DRBD_ROLE_PRIMARY;
}

/* H15: in a migration both ends lose each other; the target asks first, but the guest is still at the source. */
bool target_asks_first(void)
{
	if (!stage_begin(5, ""))
		return false;
	(void)stage_job("instance.migrate", "{\"name\":\"vm1\"}");
	if (!stage_until(both_primary, 60 * SEC))
		return stage_failed("two Primaries");
	frames_hold(A, "ask");
	frames_hold_too(B, "step"); /* its job does not demote the target meanwhile */
	stage_replication(false);
	if (!stage_until(target_has_lost, 60 * SEC))
		return stage_failed("the target is Primary when it loses the source");
	stage_run(10 * SEC); /* the target has asked, and asked again */
	frames_pass();
	if (!frames_release())
		return stage_failed("nothing was held");
	if (!stage_until(a_is_alone, 30 * SEC))
		return stage_broken("the guest stands still where it is, and nobody else has it");
	stage_replication(true);
	return script_settle(300 * SEC);
}

static bool arrived(void)
{
	const struct guest *g = stage_guest(B);

	return g && g->state != HV_INCOMING && !stage_guest(A);
}

/* H15: the guest has arrived, the target's word of it is under way; then the replicas lose each other, and the source gets its yes. */
bool lost_on_arrival(void)
{
	if (!stage_begin(5, ""))
		return false;
	int64_t job = stage_job("instance.migrate", "{\"name\":\"vm1\"}");
	if (!stage_until(arrived, 60 * SEC))
		return stage_failed("the guest arrives");
	frames_hold(B, "step_result");
	stage_replication(false);
	if (!stage_until(a_is_alone, 60 * SEC))
		return stage_failed("the source's yes");
	frames_pass();
	if (!frames_release())
		return stage_failed("nothing was held");
	if (!stage_ends(job, 600 * SEC) && !eng.stop)
		return stage_broken("the migration does not end");
	stage_replication(true);
	return script_settle(600 * SEC);
}

/*
 * Without arbitration: the owner wrote alone while no master heard it, and then its power was cut. It is back, its disks do not meet their mirror's, and
 * a failover is asked for: the log lists both.
 */
bool wrote_alone_unheard(void)
{
	if (!stage_begin(1, ""))
		return false;
	noded_kill(&W.m[A]);
	stage_replication(false);
	if (!stage_until(a_is_alone, 60 * SEC))
		return stage_failed("the owner goes on alone");
	stage_run(10 * SEC);
	if (!both_current())
		return stage_failed("nobody heard it");
	machine_power_cut(&W.m[A]);
	stage_run(5 * SEC);
	machine_power_on(&W.m[A]);
	int64_t job = 0;
	for (int i = 0; i < 200 && !eng.stop && (!job || stage_error(job)[0]); i++) { /* refused while it is not back yet */
		job = stage_job("instance.failover", "{\"name\":\"vm1\"}");
		stage_run(200 * MS);
	}
	(void)stage_ends(job, 100 * SEC);
	if (eng.stop)
		return false;
	if (!strstr(stage_error(job), "may lack acknowledged writes"))
		return stage_failed(stage_error(job)[0] ? stage_error(job) : "the failover does not end");
	stage_replication(true);
	return script_settle(900 * SEC);
}

/* H9: the owner is said to be off and is not: its agent of the cluster is dead, its guest and its connection are not. */
bool cut_while_connected(void)
{
	if (!stage_begin(5, "") || !script_do("node.modify", "{\"name\":\"node2\",\"fence\":\"agent=fence_lie,plug=node2\"}"))
		return stage_failed("the agent");
	noded_kill(&W.m[A]);
	stage_run(20 * SEC);
	int64_t job = stage_job("node.fence", "{\"name\":\"node2\"}");
	if (!stage_ends(job, 300 * SEC) || stage_error(job)[0])
		return stage_failed("it is believed to be off");
	(void)stage_job("instance.failover", "{\"name\":\"vm1\"}");
	if (!stage_until(b_runs, 60 * SEC))
		return eng.stop ? false : stage_failed("the failover");
	stage_run(20 * SEC); /* the old side must stand still by now */
	if (eng.stop)
		return false;
	machine_power_cut(&W.m[A]);
	stage_run(1 * SEC);
	machine_power_on(&W.m[A]);
	return script_settle(600 * SEC);
}

/*
 * H6: the mirror lost its disk, and its wish to leave current is under way; its Primary writes on unfrozen. Both lose their power; the mirror is back
 * first, its disk works again, and a person asks for it.
 */
bool marked_and_alone(void)
{
	if (!stage_begin(5, ""))
		return false;
	frames_hold(B, "ask");
	drbd_disk_fails(&W.m[B], "vm1");
	stage_run(10 * SEC);
	if (!both_current())
		return stage_failed("the log lists both");
	machine_power_cut(&W.m[A]);
	machine_power_cut(&W.m[B]);
	stage_run(1 * SEC);
	machine_power_on(&W.m[B]);
	stage_run(30 * SEC);
	int64_t job;
	if (!stage_word_and_failover(100 * SEC, &job))
		return false;
	if (!stage_error(job)[0])
		return stage_broken("a replica that lost its disk was failed over to");
	frames_pass();
	machine_power_on(&W.m[A]);
	if (!stage_until(a_runs, 300 * SEC))
		return eng.stop ? false : stage_broken("the good replica does not come back");
	return script_do("instance.replace_disks", "{\"name\":\"vm1\",\"on_secondary\":true}");
}

/* The mirror's volume is away, as a disk whose controller is slow to come up; or there again. */
static void volume_away(bool away)
{
	static struct volume *data;

	if (!away) {
		list_add_tail(&W.m[B].volumes, &data->link);
		return;
	}
	list_for_each_safe(l, &W.m[B].volumes)
		if (strstr(list_entry(l, struct volume, link)->name, "_data"))
			data = list_entry(l, struct volume, link);
	list_del(&data->link);
}

/*
 * H11: a frozen Primary, whose question is under way, meets its mirror, which came back without its disk: it would go on, unasked. Then it dies, and the
 * mirror has its disk again.
 */
bool no_disk_to_connect_with(void)
{
	if (!stage_begin(5, ""))
		return false;
	frames_hold(A, "ask");
	volume_away(true);
	machine_power_cut(&W.m[B]);
	if (!stage_until(a_is_frozen, 60 * SEC))
		return stage_failed("the freeze");
	machine_power_on(&W.m[B]);
	stage_run(60 * SEC);
	if (!both_current())
		return stage_failed("the log lists both");
	machine_power_cut(&W.m[A]);
	volume_away(false);
	stage_run(30 * SEC);
	if (!stage_word_and_failover(200 * SEC, NULL))
		return false;
	frames_pass();
	machine_power_on(&W.m[A]);
	return script_settle(600 * SEC);
}
