/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/chaos.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/xmem.h"
#include "tests/sim/kernel.h"
#include "tests/sim/script.h"

static const char *const names[ACT_KINDS] = {
	[ACT_POWER] = "power-cut",        [ACT_NODED] = "kill-noded",         [ACT_MASTERD] = "kill-masterd",     [ACT_STALL_NODED] = "stall-noded",
	[ACT_STALL_MASTERD] = "stall-masterd", [ACT_ISOLATE] = "isolate",     [ACT_CUT_PAIR] = "cut-pair",        [ACT_CUT_ONE_WAY] = "cut-one-way",
	[ACT_CUT_REPL] = "cut-replication", [ACT_DISK] = "disk-error",        [ACT_DISK_FULL] = "disk-full",      [ACT_CLOCK] = "clock",
	[ACT_STORE] = "store-loses",      [ACT_CALLS] = "calls-fail",         [ACT_MIGRATE] = "migrate",          [ACT_FAILOVER] = "failover",
	[ACT_SHUTDOWN] = "shutdown",      [ACT_STARTUP] = "startup",          [ACT_REBUILD] = "replace-disks -s", [ACT_REPLACE] = "replace-disks -n",
	[ACT_FENCE] = "fence-and-fail-over",
	[ACT_FENCED] = "kill-fenced",     [ACT_STALL_FENCED] = "stall-fenced",    [ACT_FREEZE] = "freeze-machine",
};

const char *act_name(enum act_kind k)
{
	return names[k];
}

/* Two that tell the truth, then all the others. */
static const char *const agents[] = { "", "fence_sim", "fence_sim", "fence_fail;fence_sim", "fence_hang;fence_sim", "fence_hang", "fence_lie" };

static int64_t below(struct rng *r, int64_t n)
{
	return (int64_t)rng_below(r, (uint64_t)n);
}

void chaos_draw(uint64_t seed, struct chaos *ret)
{
	struct rng r = { seed * 2654435761u + 12345 };
	int weights[ACT_KINDS], total = 0;

	memset(ret, 0, sizeof(*ret));
	ret->conf = (struct world_conf){ .seed = seed, .n_machines = 3 + (int)below(&r, 4), .voters = 3, .lease_ms = 12000 };
	ret->conf.witness = below(&r, 3) == 0;
	if (ret->conf.n_machines >= 5 && below(&r, 2))
		ret->conf.voters = 5;
	if (below(&r, 12) == 0)
		ret->conf.voters = 1, ret->conf.witness = false; /* not arbitrated: fails over on command only */
	ret->n_instances = 1 + (int)below(&r, 2);
	for (int i = 0; i < ret->n_instances; i++)
		ret->ha[i] = ret->conf.voters > 1 && below(&r, 4) > 0;
	for (int i = 0; i < ret->conf.n_machines && ret->conf.voters > 1; i++)
		ret->agent[i] = below(&r, 2) ? 0 : 1 + (int)below(&r, (int64_t)ARRAY_SIZE(agents) - 1);
	for (int k = 0; k < ACT_KINDS; k++) { /* each world has a taste of its own */
		static const int taste[] = { 0, 1, 2, 2, 6 };

		weights[k] = taste[below(&r, 5)];
		total += weights[k];
	}
	if (total == 0)
		weights[ACT_POWER] = total = 1;
	/* A third of the worlds is long; the others crowd their faults. */
	ret->n = 3 + (int)below(&r, ACTS_MAX - 3);
	int64_t length = below(&r, 3) == 0 ? 60 * SEC + below(&r, 180) * SEC : 15 * SEC + below(&r, 60) * SEC;
	for (int i = 0; i < ret->n; i++) {
		struct act *a = &ret->acts[i];
		int64_t w = below(&r, total);
		int k = 0;

		while (w >= weights[k])
			w -= weights[k++];
		a->kind = (enum act_kind)k;
		a->at = below(&r, length);
		a->lasts = below(&r, 3) == 0 ? below(&r, 60 * SEC) : below(&r, 8 * SEC);
		a->a = (int)below(&r, ret->conf.n_machines);
		a->b = (int)below(&r, ret->conf.n_machines);
		a->instance = (int)below(&r, ret->n_instances);
		a->net = (int)below(&r, NETS + 1);
	}
}

void chaos_print(const struct chaos *c, uint64_t without)
{
	(void)printf("  %d machines%s, %d voters, %d instances%s%s\n", c->conf.n_machines, c->conf.witness ? " (one a witness)" : "", c->conf.voters, c->n_instances,
		     c->ha[0] ? ", vm1 ha" : "", c->ha[1] ? ", vm2 ha" : "");
	for (int i = 0; i < c->conf.n_machines; i++)
		if (c->agent[i])
			(void)printf("  node%d: %s\n", i + 1, agents[c->agent[i]]);
	for (int i = 0; i < c->n; i++) {
		const struct act *a = &c->acts[i];

		if (!(without >> i & 1))
			(void)printf("  %2d: %8.3f %-20s node%d node%d vm%d net%d for %.3f s\n", i, (double)a->at / 1e6, names[a->kind], a->a + 1, a->b + 1,
				     a->instance + 1, a->net, (double)a->lasts / 1e6);
	}
}

/* ---- acts ------------------------------------------------------------------------------------------------ */

static bool healing;
static const struct chaos *chaos;

static void cut(int net, int from, int to, bool on)
{
	for (int n = 0; n < NETS; n++)
		if (net == n || net == NETS)
			W.cut[n][from][to] = on && from != to;
}

static void cut_end(void *arg)
{
	const struct act *a = arg;

	for (int i = 0; i < W.n; i++) {
		if (a->kind != ACT_ISOLATE && i != a->b)
			continue;
		cut(a->kind == ACT_CUT_REPL ? NET_REPL : a->net, a->a, i, false);
		if (a->kind != ACT_CUT_ONE_WAY)
			cut(a->kind == ACT_CUT_REPL ? NET_REPL : a->net, i, a->a, false);
	}
	net_changed();
}

static void cut_begin(const struct act *a)
{
	for (int i = 0; i < W.n; i++) {
		if (a->kind != ACT_ISOLATE && i != a->b)
			continue;
		cut(a->kind == ACT_CUT_REPL ? NET_REPL : a->net, a->a, i, true);
		if (a->kind != ACT_CUT_ONE_WAY)
			cut(a->kind == ACT_CUT_REPL ? NET_REPL : a->net, i, a->a, true);
	}
	W.counts.cuts++;
	W.counts.oneway_cuts += a->kind == ACT_CUT_ONE_WAY;
	net_changed();
	(void)after(NULL, a->lasts, cut_end, (void *)(uintptr_t)a);
}

static void power_back(void *arg)
{
	machine_power_on(&W.m[((const struct act *)arg)->a]);
}

static void noded_back(void *arg)
{
	noded_start(&W.m[((const struct act *)arg)->a]);
}

static void masterd_back(void *arg)
{
	struct machine *m = &W.m[((const struct act *)arg)->a];

	if (m->masterd_enabled)
		masterd_start(m);
}

static void fenced_back(void *arg)
{
	fenced_start(&W.m[((const struct act *)arg)->a]);
}

static void full_end(void *arg)
{
	W.m[((const struct act *)arg)->a].disk_full = false;
}

static void faults_end(void *arg)
{
	(void)arg;
	memset(&W.faults, 0, sizeof(W.faults));
}

static void stall(struct proc *p, int64_t us)
{
	if (!p)
		return;
	if (p->stalled_until < eng.now + us)
		p->stalled_until = eng.now + us;
	W.counts.stalls++;
}

static void ignore(void *arg, const char *reply)
{
	(void)arg;
	trace("operator is told: %s", reply);
}

static void request(const struct act *a, const char *op, const char *args)
{
	char id[64];
	static int64_t number;

	(void)snprintf(id, sizeof(id), "chaos.%lld", (long long)++number);
	for (int i = 0; i < W.n; i++) {
		struct machine *m = &W.m[(a->b + i) % W.n];

		if (!m->power || !m->sockets[0] || m->witness)
			continue;
		trace("operator: %s %s", op, args);
		W.counts.jobs++;
		request_send(m, op, args, id, ignore, NULL);
		return;
	}
}

static void request_vm(const struct act *a, const char *op, const char *more)
{
	AUTO_FREE char *args = xasprintf("{\"name\":\"vm%d\"%s}", a->instance + 1, more);

	request(a, op, args);
}

/* An honest person: looks that the machine is dark, says so, fails over. */
static void fence_then(void *arg)
{
	const struct act *a = arg;

	W.counts.failovers++;
	request_vm(a, "instance.failover", "");
}

static void fence(const struct act *a)
{
	AUTO_FREE char *args = xasprintf("{\"name\":\"node%d\",\"confirmed_off\":true}", a->a + 1);

	if (W.m[a->a].power)
		return;
	request(a, "node.fence", args);
	(void)after(NULL, 3 * SEC, fence_then, (void *)(uintptr_t)a);
}

static void act(void *arg)
{
	const struct act *a = arg;
	struct machine *m = &W.m[a->a];

	if (healing)
		return;
	trace("-- %s node%d", names[a->kind], a->a + 1);
	switch (a->kind) {
	case ACT_POWER:
		W.counts.power_cuts++;
		machine_power_cut(m);
		(void)after(NULL, 100 * MS + a->lasts, power_back, arg);
		return;
	case ACT_NODED:
		W.counts.daemon_kills++;
		noded_kill(m);
		(void)after(NULL, 200 * MS + a->lasts / 4, noded_back, arg);
		return;
	case ACT_MASTERD:
		W.counts.daemon_kills++;
		masterd_kill(m);
		(void)after(NULL, 200 * MS + a->lasts / 4, masterd_back, arg);
		return;
	case ACT_STALL_NODED: stall(m->noded_proc, a->lasts); return;
	case ACT_STALL_MASTERD: stall(m->masterd_proc, a->lasts); return;
	case ACT_ISOLATE:
	case ACT_CUT_PAIR:
	case ACT_CUT_ONE_WAY:
	case ACT_CUT_REPL: cut_begin(a); return;
	case ACT_DISK: {
		AUTO_FREE char *name = xasprintf("vm%d", a->instance + 1);

		W.counts.disk_failures++;
		drbd_disk_fails(m, name);
		return;
	}
	case ACT_DISK_FULL:
		W.counts.disk_failures++;
		m->disk_full = true;
		(void)after(NULL, a->lasts, full_end, arg);
		return;
	case ACT_CLOCK:
		W.counts.clock_jumps++;
		m->clock_base = machine_clock(m);
		m->clock_since = eng.now;
		m->drift_ppm = (int)pick(-200, 200);
		m->wall_offset_ms = pick(-3600000, 3600000);
		return;
	case ACT_STORE:
		W.counts.store_faults++;
		W.faults.store_lose_reply = W.faults.store_lose_request = 300;
		W.faults.store_late = 200;
		(void)after(NULL, a->lasts, faults_end, arg);
		return;
	case ACT_CALLS:
		W.faults.call_fails = 150;
		(void)after(NULL, a->lasts, faults_end, arg);
		return;
	case ACT_MIGRATE: request_vm(a, "instance.migrate", ""); return;
	case ACT_FAILOVER: request_vm(a, "instance.failover", ""); return;
	case ACT_SHUTDOWN: request_vm(a, "instance.shutdown", ""); return;
	case ACT_STARTUP: request_vm(a, "instance.startup", ""); return;
	case ACT_REBUILD: request_vm(a, "instance.replace_disks", ",\"on_secondary\":true"); return;
	case ACT_REPLACE: request_vm(a, "instance.replace_disks", ",\"new_secondary\":\"auto\""); return;
	case ACT_FENCE: fence(a); return;
	case ACT_FENCED:
		W.counts.fenced_kills++;
		fenced_kill(m, false);
		(void)after(NULL, 20 * MS + a->lasts / 4, fenced_back, arg);
		return;
	case ACT_STALL_FENCED: stall(m->fenced_proc, a->lasts); return;
	case ACT_FREEZE: machine_freeze(m, a->lasts); return;
	case ACT_KINDS:
	default: return;
	}
}

/* ---- a world ------------------------------------------------------------------------------------------------ */

static void heal(void)
{
	healing = true;
	memset(W.cut, 0, sizeof(W.cut));
	memset(&W.faults, 0, sizeof(W.faults));
	for (int i = 0; i < W.n; i++) {
		struct machine *m = &W.m[i];

		m->disk_full = false;
		if (m->lied_about) /* the alarm told a person, who switches it off and on */
			machine_power_cut(m);
		if (!m->power) {
			machine_power_on(m);
			continue;
		}
		fenced_start(m);
		noded_start(m);
		if (m->masterd_enabled)
			masterd_start(m);
	}
	net_changed();
	trace("-- healing");
}

/* What the manual tells a person to do when a replica lost its disk: it is made anew; the guest is moved to the other one first where it must. */
#define LAST_RESORT ",\"ignore_consistency\":true" /* and what is lost by it is a person's decision */
static void excuse(int instance)
{
	AUTO_FREE char *name = xasprintf("vm%d", instance + 1);

	W.counts.last_resorts++;
	for (int i = 0; i < W.n_ledgers; i++)
		if (strcmp(W.ledgers[i].name, name) == 0)
			W.ledgers[i].excused = true;
}

/* The next thing that the manual says for this instance; false = it has said all. */
static bool help(int instance, size_t *round)
{
	static const char *const said[][2] = {
		{ "instance.replace_disks", ",\"on_secondary\":true" },
		{ "instance.migrate", "" },
		{ "instance.replace_disks", ",\"on_secondary\":true" },
		{ "instance.failover", "" },
		{ "instance.replace_disks", ",\"on_secondary\":true" },
		{ "instance.failover", LAST_RESORT },
		{ "instance.replace_disks", ",\"on_secondary\":true" },
	};
	if (*round == ARRAY_SIZE(said))
		return false;
	AUTO_FREE char *args = xasprintf("{\"name\":\"vm%d\"%s}", instance + 1, said[*round][1]);

	if (strcmp(said[*round][1], LAST_RESORT) == 0)
		excuse(instance);
	(void)script_request(said[(*round)++][0], args, 30 * SEC);
	return true;
}

/* What is not in order is said of one instance at a time, or of none: that one is helped, or each. */
static bool settle_with_help(void)
{
	size_t round[2] = { 0, 0 };

	for (bool helped = true; helped;) {
		if (script_settle(300 * SEC) || eng.stop)
			return !eng.stop;
		helped = false;
		bool named = false;
		for (int i = 0; i < chaos->n_instances && !eng.stop; i++) {
			AUTO_FREE char *name = xasprintf("'vm%d'", i + 1);

			named = named || strstr(W.why, name);
		}
		for (int i = 0; i < chaos->n_instances && !eng.stop; i++) {
			AUTO_FREE char *name = xasprintf("'vm%d'", i + 1);

			if (!named || strstr(W.why, name))
				helped = help(i, &round[i]) || helped;
		}
	}
	return false;
}

static bool give_agents(int machine, const char *which)
{
	AUTO_FREE char *list = xstrdup(which);
	struct buf b = BUF_INIT;
	char *at = NULL;

	for (char *name = strtok_r(list, ";", &at); name; name = strtok_r(NULL, ";", &at))
		buf_printf(&b, "%sagent=%s,plug=node%d", b.len ? ";" : "", name, machine + 1);
	AUTO_FREE char *fence = buf_steal(&b);
	AUTO_FREE char *args = xasprintf("{\"name\":\"node%d\",\"fence\":\"%s\"}", machine + 1, fence);
	return script_request("node.modify", args, 60 * SEC) != 0;
}

enum chaos_end chaos_run(const struct chaos *c, uint64_t without)
{
	static struct act copies[ACTS_MAX];

	world_new(&c->conf);
	healing = false;
	chaos = c;
	engine_run(10 * SEC);
	for (int i = 0; i < c->n_instances; i++) {
		AUTO_FREE char *args = xasprintf("{\"name\":\"vm%d\",\"disk\":[{\"size\":1024}],\"no_install\":true%s}", i + 1, c->ha[i] ? ",\"be\":{\"ha\":\"failover\"}" : "");

		if (!script_request("instance.add", args, 60 * SEC))
			return eng.stop ? CHAOS_VIOLATION : CHAOS_NO_START;
	}
	for (int i = 0; i < c->conf.n_machines; i++)
		if (c->agent[i] && !give_agents(i, agents[c->agent[i]]))
			return CHAOS_NO_START;
	if (!script_settle(120 * SEC))
		return eng.stop ? CHAOS_VIOLATION : CHAOS_NO_START;
	int64_t begin = eng.now, end = begin;
	for (int i = 0; i < c->n; i++) {
		if (without >> i & 1)
			continue;
		copies[i] = c->acts[i];
		(void)at(NULL, begin + c->acts[i].at, act, &copies[i]);
		if (begin + c->acts[i].at + c->acts[i].lasts > end)
			end = begin + c->acts[i].at + c->acts[i].lasts;
	}
	engine_run(end + 5 * SEC);
	if (eng.stop)
		return CHAOS_VIOLATION;
	heal();
	bool ok = settle_with_help();
	if (eng.stop)
		return CHAOS_VIOLATION;
	for (int i = 0; i < W.n_ledgers && !ok; i++) {
		AUTO_FREE char *name = xasprintf("'%s'", W.ledgers[i].name);

		if (W.ledgers[i].hopeless && strstr(W.why, name))
			return CHAOS_GONE;
	}
	return ok ? CHAOS_HEALED : CHAOS_STUCK;
}
