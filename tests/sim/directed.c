/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/directed.h"

#include <stdio.h>
#include <string.h>

#include "common/xmem.h"
#include "schema/field.h"
#include "tests/sim/kernel.h"
#include "tests/sim/script.h"

static int A, B; /* machines: vm1's, and its mirror's */
static uint64_t seed; /* of the world that runs: delays are drawn, what happens in which order is not */

static bool failed(const char *what)
{
	if (!W.why[0])
		(void)snprintf(W.why, sizeof(W.why), "the schedule does not come about: %s", what);
	return false;
}

static bool broken(const char *what)
{
	if (!W.why[0])
		(void)snprintf(W.why, sizeof(W.why), "%s", what);
	return false;
}

/* vm1 on A, mirrored on B; the master is on neither, and does not move. */
static bool begin_with(int voters)
{
	const struct world_conf c = { .seed = seed, .n_machines = 4, .voters = voters, .lease_ms = 12000 };

	world_new(&c);
	A = voters == 1;
	B = A + 1;
	/* No masterd there: who is heard late is not the master itself. */
	W.m[A].masterd_enabled = W.m[B].masterd_enabled = false;
	engine_run(10 * SEC);
	AUTO_FREE char *args = xasprintf("{\"name\":\"vm1\",\"disk\":[{\"size\":1024}],\"node\":\"%s:%s\",\"no_install\":true}", W.m[A].name, W.m[B].name);
	return script_do("instance.add", args) || failed("add");
}

static bool begin(void)
{
	return begin_with(3);
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
	engine_run(eng.now + 3 * SEC); /* the agent has seen it too */
	if (!frames_release())
		return failed("nothing was held");
	engine_run(eng.now + 20 * SEC); /* frozen it must stay: the log lists both */
	return !eng.stop;
}

/* H5: no majority and no answer is not a yes, whatever the handler's exit is called. */
static bool cut_off_from_all(void)
{
	if (!begin())
		return false;
	for (int i = 0; i < W.n; i++)
		for (int n = 0; n < NETS; n++)
			W.cut[n][A][i] = W.cut[n][i][A] = i != A;
	net_changed();
	if (!until(a_is_frozen, 60 * SEC))
		return failed("the freeze");
	engine_run(eng.now + 90 * SEC); /* the handler ends with its time-out */
	if (eng.stop)
		return false;
	memset(W.cut, 0, sizeof(W.cut));
	net_changed();
	return script_settle(300 * SEC);
}

static bool both_primary(void)
{
	return on(A)->role == DRBD_ROLE_PRIMARY && on(B)->role == DRBD_ROLE_PRIMARY;
}

/* Both ends of a migration have lost each other, and the target is still Primary. */
static bool target_has_lost(void)
{
	return on(A)->net != WANT_CONNECTED && on(B)->net != WANT_CONNECTED && on(B)->role == DRBD_ROLE_PRIMARY;
}

static void nothing(void *arg, const char *reply)
{
	(void)arg;
	(void)reply;
}

/* H15: in a migration both ends lose each other; the target asks first, but the guest is still at the source. */
static bool target_asks_first(void)
{
	if (!begin())
		return false;
	request_send(&W.m[2], "instance.migrate", "{\"name\":\"vm1\"}", "directed.1", nothing, NULL);
	if (!until(both_primary, 60 * SEC))
		return failed("two Primaries");
	frames_hold(A, "ask");
	frames_hold_too(B, "step"); /* its job does not demote the target meanwhile */
	replication(false);
	if (!until(target_has_lost, 60 * SEC))
		return failed("the target is Primary when it loses the source");
	engine_run(eng.now + 10 * SEC); /* the target has asked, and asked again */
	frames_pass();
	if (!frames_release())
		return failed("nothing was held");
	if (!until(a_is_alone, 30 * SEC))
		return broken("the guest stands still where it is, and nobody else has it");
	replication(true);
	return script_settle(300 * SEC);
}

static const char *job_error(int64_t job)
{
	static char text[200];
	char key[64];

	(void)snprintf(key, sizeof(key), "/gantry/job/%lld", (long long)job);
	AUTO_FREE char *record = store_world_get(key);
	AUTO_JSON json_t *j = record ? json_loads(record, 0, NULL) : NULL;
	(void)str_copy(text, sizeof(text), j ? json_str(j, "error_msg", "") : "");
	return text;
}

/*
 * Without arbitration: the owner wrote alone while no master heard it, and then its power was cut. It is back, its disks do not meet their mirror's, and
 * a failover is asked for: the log lists both.
 */
static bool wrote_alone_unheard(void)
{
	if (!begin_with(1))
		return false;
	noded_kill(&W.m[A]);
	replication(false);
	if (!until(a_is_alone, 60 * SEC))
		return failed("the owner goes on alone");
	engine_run(eng.now + 10 * SEC);
	if (!both_current())
		return failed("nobody heard it");
	machine_power_cut(&W.m[A]);
	engine_run(eng.now + 5 * SEC);
	machine_power_on(&W.m[A]);
	int64_t job = 0;
	for (int i = 0; i < 200 && !eng.stop && (!job || job_error(job)[0]); i++) { /* refused while it is not back yet */
		job = script_request("instance.failover", "{\"name\":\"vm1\"}", 60 * SEC);
		engine_run(eng.now + 200 * MS);
	}
	for (int i = 0; i < 100 && !eng.stop && !job_error(job)[0]; i++)
		engine_run(eng.now + 1 * SEC);
	if (eng.stop)
		return false;
	if (!strstr(job_error(job), "may lack acknowledged writes"))
		return failed(job_error(job)[0] ? job_error(job) : "the failover does not end");
	replication(true);
	return script_settle(900 * SEC);
}

bool directed_run(int i, uint64_t with_seed)
{
	seed = with_seed;
	return directed[i].run();
}

const struct directed directed[] = {
	{ "EXIT_ONE", "cut off from everybody, the handler's time-out is no yes", cut_off_from_all },
	{ "ASK_RUNNER", "the target of a migration asks first and gets no yes", target_asks_first },
	{ "GROW_GEN", "a report of before the loss puts the peer back into current", late_report },
	{ "BUMP", "a yes to the sole member of current leaves an older report good", late_report },
	{ "PROVE", "without arbitration the mirror of one who wrote alone unheard is no target", wrote_alone_unheard },
	{ "ASK_NUMBER", "a yes for an earlier loss thaws a later one", late_yes },
};
const int n_directed = (int)ARRAY_SIZE(directed);
