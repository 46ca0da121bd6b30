/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/stage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/xmem.h"
#include "core/term.h"
#include "schema/field.h"

uint64_t stage_seed;
int stage_extra;

bool stage_failed(const char *what)
{
	if (!W.why[0])
		(void)snprintf(W.why, sizeof(W.why), "the schedule does not come about: %.400s", what);
	return false;
}

bool stage_broken(const char *what)
{
	if (!W.why[0])
		(void)snprintf(W.why, sizeof(W.why), "%.400s", what);
	return false;
}

bool stage_begin(int voters, const char *more)
{
	const struct world_conf c = { .seed = stage_seed, .n_machines = STAGE_MACHINES + stage_extra, .voters = voters, .lease_ms = 12000 };

	world_new(&c);
	/* No masterd there: who is heard late, or has lost its power, is not the master itself. */
	W.m[A].masterd_enabled = W.m[B].masterd_enabled = false;
	engine_run(10 * SEC);
	AUTO_FREE char *args = xasprintf("{\"name\":\"vm1\",\"disk\":[{\"size\":1024}],\"node\":\"%s:%s\",\"no_install\":true%s}", W.m[A].name, W.m[B].name, more);
	return script_do("instance.add", args) || stage_failed("instance.add");
}

/* ---- cables ------------------------------------------------------------------------------------------------- */

void stage_cut(int net, int a, int b, bool on)
{
	W.cut[net][a][b] = W.cut[net][b][a] = on;
	net_changed();
}

void stage_replication(bool on)
{
	stage_cut(NET_REPL, A, B, !on);
}

void stage_isolate(int machine, bool on)
{
	for (int i = 0; i < W.n; i++)
		for (int n = 0; n < NETS; n++)
			W.cut[n][machine][i] = W.cut[n][i][machine] = on && i != machine;
	net_changed();
}

void stage_part(int a, int b, bool on)
{
	for (int i = 0; i < W.n; i++)
		for (int k = 0; k < W.n; k++)
			if ((i == a || i == b) != (k == a || k == b))
				for (int n = 0; n < NETS; n++)
					W.cut[n][i][k] = on;
	net_changed();
}

/* ---- waiting -------------------------------------------------------------------------------------------------- */

struct replica *stage_on(int machine)
{
	return replica_find(&W.m[machine], "vm1");
}

struct guest *stage_guest(int machine)
{
	return guest_find(&W.m[machine], stage_on(machine)->uuid);
}

void stage_run(int64_t us)
{
	engine_run(eng.now + us);
}

bool stage_until(bool (*holds)(void), int64_t us)
{
	for (int64_t end = eng.now + us; eng.now < end && !eng.stop && !holds();)
		engine_run(eng.now + 1 * MS);
	return !eng.stop && holds();
}

int64_t stage_job(const char *op, const char *args)
{
	return script_request(op, args, 60 * SEC);
}

const char *stage_error(int64_t job)
{
	static char text[200];

	script_job_says(job, "error_msg", "", "", text, sizeof(text));
	return text;
}

bool stage_ends(int64_t job, int64_t us)
{
	for (int64_t end = eng.now + us; job && eng.now < end && !eng.stop; stage_run(200 * MS)) {
		const char *state = script_job_state(job);

		if (strcmp(state, "success") == 0 || strcmp(state, "error") == 0 || strcmp(state, "canceled") == 0)
			return true;
	}
	return false;
}

bool stage_word_and_failover(int64_t us, int64_t *ret_job)
{
	int64_t job = stage_job("node.fence", "{\"name\":\"node2\",\"confirmed_off\":true}"); /* A */

	if (!stage_ends(job, 60 * SEC) || stage_error(job)[0])
		return stage_failed("a person's word");
	job = stage_job("instance.failover", "{\"name\":\"vm1\"}");
	(void)stage_ends(job, us);
	if (ret_job)
		*ret_job = job;
	return !eng.stop;
}

/* ---- what is waited for ------------------------------------------------------------------------------------------- */

bool a_is_alone(void)
{
	return stage_on(A)->net != WANT_CONNECTED && !stage_on(A)->frozen && stage_on(A)->role == DRBD_ROLE_PRIMARY;
}

bool a_is_frozen(void)
{
	return stage_on(A)->frozen;
}

bool in_sync(void)
{
	const struct replica *a = stage_on(A);

	return a->net == WANT_CONNECTED && a->disk == DRBD_DISK_UPTODATE && a->peer_disk == DRBD_DISK_UPTODATE && !a->frozen;
}

int stage_master(void)
{
	AUTO_FREE char *text = store_world_get(TERM_MASTER);
	char uuid[UUID_LEN + 1] = "";

	(void)sscanf(text ? text : "", "%36s", uuid);
	const struct machine *m = machine_by_uuid(uuid);
	return m ? m->index : M;
}

json_t *stage_own(void)
{
	char **keys, **values;
	int n = store_world_dump("/gantry/instance/", &keys, &values), nv = n;
	AUTO_JSON json_t *o = n ? json_loads(values[0], 0, NULL) : NULL;
	json_t *own = json_incref(json_object_get(o, "own"));

	strs_clear(&keys, &n);
	strs_clear(&values, &nv);
	return own;
}

bool both_current(void)
{
	AUTO_JSON json_t *own = stage_own();

	return json_array_size(json_object_get(own, "current")) == 2;
}

bool a_is_current_alone(void)
{
	AUTO_JSON json_t *own = stage_own();
	const json_t *current = json_object_get(own, "current");

	return json_array_size(current) == 1 && strcmp(json_string_value(json_array_get(current, 0)), W.m[A].uuid) == 0;
}

bool both_primary(void)
{
	return stage_on(A)->role == DRBD_ROLE_PRIMARY && stage_on(B)->role == DRBD_ROLE_PRIMARY;
}

static bool runs_on(int machine)
{
	const struct guest *g = W.m[machine].power ? stage_guest(machine) : NULL;

	return g && g->state == HV_RUNNING;
}

bool a_runs(void)
{
	return runs_on(A);
}

bool b_runs(void)
{
	return runs_on(B);
}

bool somebody_runs(void)
{
	return runs_on(A) || runs_on(B);
}

bool tool_is_slow(void)
{
	return !W.slow_named;
}

void stage_slow(int machine, const char *call, int64_t us)
{
	W.slow_on = &W.m[machine];
	W.slow_us = us;
	W.slow_named = call;
}
