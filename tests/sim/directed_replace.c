/* SPDX-License-Identifier: Apache-2.0 */
/* Worlds in which something fails while a mirror is being replaced: the primary's disk, or the node of an instance that is down. */
#include <stdio.h>
#include <string.h>

#include "common/xmem.h"
#include "schema/field.h"
#include "tests/sim/stage.h"

static int64_t replace_by_c(void)
{
	char args[100];

	(void)snprintf(args, sizeof(args), "{\"name\":\"vm1\",\"new_secondary\":\"%s\"}", W.m[C].name);
	return stage_job("instance.replace_disks", args);
}

static bool c_is_prepared(void)
{
	const struct replica *r = replica_find(&W.m[C], "vm1");

	return r && r->conf;
}

static bool c_resyncs(void)
{
	const struct replica *r = replica_find(&W.m[C], "vm1");

	return r && r->sync == SYNC_TARGET;
}

static bool b_serves(void)
{
	const struct replica *r = stage_on(B);

	return r && r->up && r->disk == DRBD_DISK_UPTODATE;
}

static bool log_has_b(void)
{
	AUTO_FREE char *key = xasprintf("/gantry/instance/%s", stage_on(B)->uuid);
	AUTO_FREE char *text = store_world_get(key);
	AUTO_JSON json_t *o = text ? json_loads(text, 0, NULL) : NULL;
	size_t i;
	json_t *n;

	json_array_foreach(json_object_get(o, "nodes"), i, n)
		if (strcmp(json_string_value(n), W.m[B].uuid) == 0)
			return true;
	return false;
}

static bool b_has_volumes(void)
{
	list_for_each(l, &W.m[B].volumes)
		if (strstr(list_entry(l, struct volume, link)->name, "_data"))
			return true;
	return false;
}

/*
 * H7: the mirror is in sync again, and its agent is dead, so the log lists the primary alone. It is planned to give that mirror up for another one; then
 * the primary's disk fails, and it cannot be let out of current. From now on its guest lives on the mirror's disk.
 */
bool source_lost_when_replaced(void)
{
	if (!stage_begin(5, ""))
		return false;
	noded_kill(&W.m[B]); /* its kernel replicates on */
	stage_replication(false);
	if (!stage_until(a_is_alone, 60 * SEC))
		return stage_failed("the verdict");
	stage_replication(true);
	if (!stage_until(in_sync, 60 * SEC))
		return stage_failed("the resync");
	stage_run(3 * SEC);
	if (both_current())
		return stage_failed("the mirror's word is not heard");
	int64_t job = replace_by_c();
	if (!stage_until(c_is_prepared, 60 * SEC))
		return stage_failed("the new mirror is made ready");
	drbd_disk_fails(&W.m[A], "vm1");
	if (!stage_ends(job, 900 * SEC))
		return eng.stop ? false : stage_broken("the job does not end");
	if (!b_serves() || !log_has_b())
		return stage_broken("the mirror that alone has the data was given up");
	noded_start(&W.m[B]);
	stage_run(20 * SEC); /* the log lists the mirror, and lets the primary go */
	job = stage_job("instance.failover", "{\"name\":\"vm1\"}");
	if (!stage_ends(job, 300 * SEC) || stage_error(job)[0])
		return stage_broken(stage_error(job)[0] ? stage_error(job) : "the failover to the mirror does not end");
	return script_do("instance.replace_disks", "{\"name\":\"vm1\",\"on_secondary\":true}");
}

static bool b_has_left(void)
{
	return !both_current();
}

/* H7: the mirror has left current, to be made anew, and is not taken apart yet; then the primary's disk fails, and its guest lives on the mirror's. */
bool source_lost_when_rebuilt(void)
{
	if (!stage_begin(5, "") || !stage_until(both_current, 60 * SEC))
		return stage_failed("both current");
	frames_hold(B, "step");
	int64_t job = stage_job("instance.replace_disks", "{\"name\":\"vm1\",\"on_secondary\":true}");
	if (!stage_until(b_has_left, 60 * SEC))
		return stage_failed("the mirror leaves current");
	drbd_disk_fails(&W.m[A], "vm1");
	stage_run(2 * SEC);
	frames_pass();
	if (!frames_release())
		return stage_failed("nothing was held");
	if (!stage_ends(job, 900 * SEC))
		return eng.stop ? false : stage_broken("the job does not end");
	if (!b_serves())
		return stage_broken("the mirror that alone has the data was made anew");
	stage_run(20 * SEC);
	job = stage_job("instance.failover", "{\"name\":\"vm1\"}");
	if (!stage_ends(job, 300 * SEC) || stage_error(job)[0])
		return stage_broken(stage_error(job)[0] ? stage_error(job) : "the failover to the mirror does not end");
	return script_do("instance.replace_disks", "{\"name\":\"vm1\",\"on_secondary\":true}");
}

/* H19: the primary's disk fails before the new mirror has it all. What the old one had is then the newest that can be read, by a person. */
bool source_lost_in_resync(void)
{
	if (!stage_begin(5, ""))
		return false;
	int64_t job = replace_by_c();
	if (!stage_until(c_resyncs, 60 * SEC))
		return stage_failed("the resync of the new mirror");
	drbd_disk_fails(&W.m[A], "vm1");
	if (!stage_ends(job, 900 * SEC))
		return eng.stop ? false : stage_broken("the job does not end");
	stage_run(60 * SEC); /* nor does the reconciler tidy them */
	return b_has_volumes() || stage_broken("the old mirror's volumes were removed before the new one was current");
}

static bool whole_again(void)
{
	return both_current() && !b_has_volumes();
}

static bool c_serves(void)
{
	const struct replica *r = replica_find(&W.m[C], "vm1");

	return r && r->up && r->disk == DRBD_DISK_UPTODATE;
}

/* Of an instance that is down the new mirror's node dies in the resync, and stays away until the job has given up. */
static bool replaced_in_part(void)
{
	if (!stage_begin(5, "") || !stage_until(both_current, 60 * SEC))
		return stage_failed("both current");
	if (!script_do("instance.shutdown", "{\"name\":\"vm1\"}"))
		return stage_failed("the shutdown");
	int64_t job = replace_by_c();
	if (!stage_until(c_resyncs, 60 * SEC))
		return stage_failed("the resync of the new mirror");
	machine_power_cut(&W.m[C]);
	if (!stage_ends(job, 900 * SEC))
		return eng.stop ? false : stage_broken("the job does not end");
	if (!stage_error(job)[0] || !b_has_volumes())
		return stage_failed("the job has done it all without the new mirror's node");
	return true;
}

/* It is back: nobody starts the guest, and yet the new mirror gets all of it, and the old one's volumes go. */
bool finished_when_down(void)
{
	if (!replaced_in_part())
		return false;
	machine_power_on(&W.m[C]);
	if (!stage_until(whole_again, 300 * SEC))
		return eng.stop ? false : stage_broken("the mirror of an instance that is down stays unfinished");
	return c_serves() || stage_broken("the new mirror is current, and its disk is not");
}

/* The primary's node was reset as well, so that no replica is up: what is left of the old mirror tells. */
bool finished_after_reset_of_both(void)
{
	if (!replaced_in_part())
		return false;
	machine_power_cut(&W.m[A]);
	stage_run(60 * SEC);
	machine_power_on(&W.m[A]);
	stage_run(60 * SEC);
	machine_power_on(&W.m[C]);
	if (!stage_until(whole_again, 300 * SEC))
		return eng.stop ? false : stage_broken("the mirror of an instance that is down stays unfinished");
	return c_serves() || stage_broken("the new mirror is current, and its disk is not");
}

static bool both_down(void)
{
	const struct replica *a = stage_on(A), *c = replica_find(&W.m[C], "vm1");

	return a && c && !a->up && !c->up;
}

/* A person has taken the disks down: they stay so, whatever is unfinished, for nobody fights with a person. */
bool down_by_a_person(void)
{
	if (!replaced_in_part())
		return false;
	int64_t job = stage_job("instance.deactivate_disks", "{\"name\":\"vm1\"}");
	if (!stage_ends(job, 60 * SEC) || stage_error(job)[0])
		return stage_failed("deactivate-disks");
	machine_power_on(&W.m[C]);
	for (int64_t end = eng.now + 300 * SEC; eng.now < end && !eng.stop; stage_run(1 * SEC))
		if (!both_down())
			return stage_broken("disks that a person took down were brought up");
	job = stage_job("instance.activate_disks", "{\"name\":\"vm1\"}");
	if (!stage_ends(job, 60 * SEC) || stage_error(job)[0])
		return stage_failed("activate-disks");
	return stage_until(whole_again, 300 * SEC) || (!eng.stop && stage_broken("the mirror of an instance that is down stays unfinished"));
}
