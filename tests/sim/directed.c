/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/directed.h"

#include <stdio.h>
#include <string.h>

#include "schema/field.h"
#include "tests/sim/kernel.h"
#include "tests/sim/script.h"

#define A 0
#define B 1

static bool failed(const char *what)
{
	if (!W.why[0])
		(void)snprintf(W.why, sizeof(W.why), "the schedule does not come about: %s", what);
	return false;
}

/* vm1 on node1, mirrored on node2; the master is on neither, and does not move. */
static bool begin(void)
{
	const struct world_conf c = { .seed = 42, .n_machines = 4, .voters = 3, .lease_ms = 12000 };

	world_new(&c);
	for (int i = 0; i < 2; i++) /* no masterd there: who is heard late is not the master itself */
		W.m[i].masterd_enabled = false;
	engine_run(10 * SEC);
	return script_do("instance.add", "{\"name\":\"vm1\",\"disk\":[{\"size\":1024}],\"node\":\"node1:node2\",\"no_install\":true}") || failed("add");
}

static void replication(bool on)
{
	W.cut[NET_REPL][A][B] = W.cut[NET_REPL][B][A] = !on;
	net_changed();
}

static struct replica *on(int machine)
{
	return replica_find(&W.m[machine], "vm1");
}

static bool until(bool (*holds)(void), int64_t us)
{
	for (int64_t end = eng.now + us; eng.now < end && !eng.stop && !holds();)
		engine_run(eng.now + 20 * MS);
	return !eng.stop && holds();
}

static bool a_is_alone(void)
{
	return on(A)->net != WANT_CONNECTED && !on(A)->frozen && on(A)->role == DRBD_ROLE_PRIMARY;
}

static bool a_is_frozen(void)
{
	return on(A)->frozen;
}

static bool in_sync(void)
{
	return on(A)->net == WANT_CONNECTED && on(A)->disk == DRBD_DISK_UPTODATE && on(A)->peer_disk == DRBD_DISK_UPTODATE && !on(A)->frozen;
}

static bool both_current(void)
{
	char **keys, **values;
	int n = store_world_dump("/gantry/instance/", &keys, &values), nv = n;
	AUTO_JSON json_t *o = n ? json_loads(values[0], 0, NULL) : NULL;
	bool both = json_array_size(json_object_get(json_object_get(o, "own"), "current")) == 2;

	strs_clear(&keys, &n);
	strs_clear(&values, &nv);
	return both;
}

/* H1: the report "in sync" is under way while the replicas lose each other again; it must not count any more. */
static bool late_report(void)
{
	if (!begin())
		return false;
	replication(false);
	if (!until(a_is_alone, 60 * SEC))
		return failed("first verdict");
	frames_hold(MACHINES_MAX, "observe"); /* anybody's: the mirror's word comes late too */
	replication(true);
	if (!until(in_sync, 60 * SEC))
		return failed("resync");
	engine_run(eng.now + 5 * SEC); /* both sides have reported; A's word is under way */
	replication(false);
	frames_pass();
	if (!until(a_is_alone, 60 * SEC))
		return failed("second verdict");
	if (!frames_release())
		return failed("nothing was held");
	engine_run(eng.now + 20 * SEC); /* writes go on alone: the log must not list B */
	return !eng.stop;
}

/* H3: a yes for the first loss arrives during the second. */
static bool late_yes(void)
{
	if (!begin())
		return false;
	frames_hold(A, "verdict");
	replication(false);
	if (!until(a_is_frozen, 60 * SEC))
		return failed("first loss");
	engine_run(eng.now + 3 * SEC); /* it has asked, the yes is under way */
	replication(true);
	if (!until(in_sync, 60 * SEC) || !until(both_current, 60 * SEC))
		return failed("together again");
	frames_hold(A, "ask"); /* its second question does not get through */
	replication(false);
	if (!until(a_is_frozen, 60 * SEC))
		return failed("second loss");
	if (!frames_release())
		return failed("nothing was held");
	engine_run(eng.now + 20 * SEC); /* frozen it must stay: the log lists both */
	return !eng.stop;
}

const struct directed directed[] = {
	{ "GROW_GEN", "a report of before the loss puts the peer back into current", late_report },
	{ "ASK_NUMBER", "a yes for an earlier loss thaws a later one", late_yes },
};
const int n_directed = (int)ARRAY_SIZE(directed);
