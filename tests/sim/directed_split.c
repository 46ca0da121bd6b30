/* SPDX-License-Identifier: Apache-2.0 */
/* Worlds in which somebody has written, by hand, to both replicas of an instance that is down: which one has the truth is nobody's guess (011). */
#include <stdio.h>

#include "tests/sim/drbd84.h"
#include "tests/sim/stage.h"

static bool split(void)
{
	return W.counts.split_brains > 0;
}

/* Down, and then each of them was Primary for somebody, apart from the other. */
static bool written_by_hand(int voters)
{
	if (!stage_begin(voters, "") || !stage_until(both_current, 60 * SEC) || !script_do("instance.shutdown", "{\"name\":\"vm1\"}"))
		return stage_failed("the instance is down");
	replica_new_current(stage_on(A));
	replica_new_current(stage_on(B));
	return true;
}

/* The startup fails, and nobody runs until a person has said who has the truth. */
static bool waits_for_a_person(void)
{
	char args[100];
	int64_t job = stage_job("instance.startup", "{\"name\":\"vm1\"}");

	if (!stage_until(split, 60 * SEC))
		return stage_failed("the two meet");
	if (!stage_ends(job, 900 * SEC))
		return eng.stop ? false : stage_broken("the job does not end");
	stage_run(30 * SEC);
	if (eng.stop)
		return false;
	if (!stage_error(job)[0] || somebody_runs() || !both_current())
		return stage_broken("one side of a split was taken for the true one, and nobody has decided");
	(void)snprintf(args, sizeof(args), "{\"name\":\"vm1\",\"node\":\"%s\"}", W.m[B].name);
	job = stage_job("instance.confirm", args);
	if (!stage_ends(job, 60 * SEC) || stage_error(job)[0])
		return stage_broken(stage_error(job)[0] ? stage_error(job) : "the confirmation does not end");
	return script_do("instance.startup", "{\"name\":\"vm1\"}") && b_runs();
}

bool split_by_hand(void)
{
	return written_by_hand(5) && waits_for_a_person();
}

/* Without arbitration the kernel promotes whoever is UpToDate, while the two still shake hands: what comes of that is known seconds later. */
bool split_found_late(void)
{
	if (!written_by_hand(1))
		return false;
	W.shake_us = 3 * SEC;
	return waits_for_a_person();
}
