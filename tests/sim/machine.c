/* SPDX-License-Identifier: Apache-2.0 */
/* Machines and their daemons: power, boots, deaths; networks; the cluster as its first transaction leaves it. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/xmem.h"
#include "core/core.h"
#include "core/state.h"
#include "io/conf.h"
#include "master/bridge.h"
#include "node/node.h"
#include "schema/level.h"
#include "tests/sim/kernel.h"

#define BOOT_MIN (2 * SEC)
#define BOOT_MAX (8 * SEC)

struct world W;

/* ---- who is who ------------------------------------------------------------------------------------------ */

const char *machine_name(const struct machine *m)
{
	return m->name;
}

const char *machine_root(const struct machine *m)
{
	static char roots[MACHINES_MAX][16];

	(void)snprintf(roots[m->index], sizeof(roots[0]), "/m%d", m->index);
	return roots[m->index];
}

struct machine *machine_by_name(const char *name)
{
	for (int i = 0; i < W.n; i++)
		if (strcmp(W.m[i].name, name) == 0)
			return &W.m[i];
	return NULL;
}

struct machine *machine_by_uuid(const char *uuid)
{
	for (int i = 0; i < W.n; i++)
		if (strcmp(W.m[i].uuid, uuid) == 0)
			return &W.m[i];
	return NULL;
}

struct machine *machine_by_address(const char *address, enum net *ret_net)
{
	for (int i = 0; i < W.n; i++)
		for (int n = 0; n < NETS; n++)
			if (strcmp(W.m[i].address[n], address) == 0) {
				*ret_net = (enum net)n;
				return &W.m[i];
			}
	return NULL;
}

struct machine *here(void)
{
	assert(eng.proc && eng.proc->m);
	return eng.proc->m;
}

int64_t machine_clock(const struct machine *m)
{
	int64_t elapsed = eng.now - m->clock_since;

	return m->clock_base + elapsed + elapsed / 1000000 * m->drift_ppm;
}

bool net_up(enum net n, const struct machine *from, const struct machine *to)
{
	return from->power && to->power && !W.cut[n][from->index][to->index] && from->frozen_until <= eng.now && to->frozen_until <= eng.now;
}

int64_t net_latency(void)
{
	return pick(200, 3000);
}

void net_changed(void)
{
	drbd_net_changed();
}

/* ---- calls of backends take time and may fail ---------------------------------------------------------------- */

static void crash_now(void *arg)
{
	struct machine *m = arg;

	trace("%s dies at a call", m->name);
	machine_power_cut(m);
	machine_reboot_later(m, 100 * MS);
}

static void crash_and_wait(void)
{
	(void)after(NULL, 0, crash_now, here());
	(void)fiber_wait(0); /* never comes back */
}

static int injected(const char *what, struct err *err)
{
	W.counts.call_failures++;
	return err_set(err, ERR_COMMAND_FAILED, "'%s' failed (injected)", what);
}

static const char *call_name;

int call_begin(const char *what, int64_t max_us, struct err *err)
{
	int64_t n = W.n_calls++;

	trace("call %lld: %s", (long long)n, what);
	fiber_sleep(pick(1 * MS, max_us));
	if (W.slow_named && W.slow_on == here() && strcmp(what, W.slow_named) == 0) {
		W.slow_named = NULL;
		trace("... which takes %lld ms", (long long)(W.slow_us / MS));
		fiber_sleep(W.slow_us);
	}
	call_name = what;
	if (n == W.crash_call)
		crash_and_wait();
	if (W.fail_named && strcmp(what, W.fail_named) == 0) {
		W.fail_named = NULL;
		return injected(what, err);
	}
	if (n == W.fail_call || (W.faults.call_fails && chance(W.faults.call_fails)))
		return injected(what, err);
	return 0;
}

int call_hangs(const bool *hangs, const char *tool, int64_t given_up_us, struct err *err)
{
	for (int64_t until = eng.now + given_up_us; *hangs; fiber_sleep(100 * MS))
		if (eng.now >= until)
			return err_set(err, ERR_TIMEOUT, "'%s' did not end", tool);
	return 0;
}

int call_end(struct err *err)
{
	int64_t n = W.n_calls - 1;
	const char *what = call_name;

	fiber_sleep(pick(1 * MS, 20 * MS));
	if (n == W.crash_call_after)
		crash_and_wait();
	if (n == W.fail_call_after || (W.faults.call_fails && chance(W.faults.call_fails)))
		return injected(what, err);
	return 0;
}

/* ---- daemons -------------------------------------------------------------------------------------------------- */

void noded_start(struct machine *m)
{
	struct conf conf;
	struct err err = ERR_INIT;

	if (!m->power || !m->booted || m->noded_proc)
		return;
	m->noded_proc = eng.proc = proc_new(m, "noded");
	int rc = conf_load(machine_root(m), &conf, &err);
	if (rc == 0)
		rc = node_new(loop_new(), &conf, &m->noded, &err);
	if (rc < 0) {
		(void)fprintf(stderr, "sim: %s: noded does not start: %s\n", m->name, err.msg);
		abort();
	}
	conf_done(&conf);
	eng.proc = NULL;
}

static void proc_end(struct proc **p, bool power)
{
	if (!*p)
		return;
	proc_kill(*p);
	links_of_proc_died(*p, power);
	proc_unref(*p);
	*p = NULL;
}

void noded_kill(struct machine *m)
{
	local_sockets_gone(m);
	proc_end(&m->noded_proc, false);
	m->noded = NULL;
}

void masterd_start(struct machine *m)
{
	struct conf conf;
	struct err err = ERR_INIT;

	if (!m->power || !m->booted || m->masterd_proc)
		return;
	m->masterd_proc = eng.proc = proc_new(m, "masterd");
	int rc = conf_load(machine_root(m), &conf, &err);
	if (rc == 0)
		rc = master_new(loop_new(), &conf, &m->masterd, &err);
	if (rc < 0) {
		(void)fprintf(stderr, "sim: %s: masterd does not start: %s\n", m->name, err.msg);
		abort();
	}
	conf_done(&conf);
	eng.proc = NULL;
}

void masterd_kill(struct machine *m)
{
	proc_end(&m->masterd_proc, false);
	m->masterd = NULL;
	m->has_ip = false;
}

/* ---- power ------------------------------------------------------------------------------------------------------ */

void machine_power_cut(struct machine *m)
{
	if (!m->power)
		return;
	trace("%s: power is cut", m->name);
	m->power = false;
	m->lied_about = m->drbd_hangs = m->lvm_hangs = false;
	m->frozen_until = 0;
	local_sockets_gone(m);
	proc_end(&m->noded_proc, true);
	proc_end(&m->masterd_proc, true);
	m->noded = NULL;
	m->masterd = NULL;
	fenced_kill(m, true);
	m->has_ip = false;
	m->etcd_up = false;
	guests_power_lost(m);
	drbd_power_lost(m);
	proc_end(&m->kernel, true);
	net_changed();
}

static void booted(void *arg)
{
	struct machine *m = arg;

	if (!m->power || m->booted)
		return;
	m->booted = true;
	m->etcd_up = m->etcd_enabled;
	fenced_start(m);
	noded_start(m);
	if (m->masterd_enabled)
		masterd_start(m);
}

static void power_on_now(struct machine *m)
{
	struct rng r = { (uint64_t)m->index * 1000 + (uint64_t)m->boots++ };

	m->power = true;
	m->booted = false;
	m->kernel = proc_new(m, "kernel");
	rng_uuid(&r, m->boot_id);
	m->clock_base = pick(1 * SEC, 100 * SEC);
	m->clock_since = eng.now;
	trace("%s: power is on", m->name);
	net_changed();
}

void machine_power_on(struct machine *m)
{
	if (m->power)
		return;
	power_on_now(m);
	(void)after(NULL, pick(BOOT_MIN, BOOT_MAX), booted, m);
}

static void stall(struct proc *p, int64_t until)
{
	if (p && p->stalled_until < until)
		p->stalled_until = until;
}

static void thawed(void *arg)
{
	(void)arg;
	net_changed();
}

/* As an SMI, a hypervisor below, or swapping: nothing runs, no packet is answered; clocks go on. */
void machine_freeze(struct machine *m, int64_t us)
{
	int64_t until = eng.now + us;

	if (!m->power)
		return;
	W.counts.freezes++;
	m->frozen_until = until;
	stall(m->kernel, until);
	stall(m->noded_proc, until);
	stall(m->masterd_proc, until);
	stall(m->fenced_proc, until);
	net_changed();
	(void)at(NULL, until, thawed, NULL);
}

static void on_again(void *arg)
{
	machine_power_on(arg);
}

void machine_reboot_later(struct machine *m, int64_t us)
{
	machine_power_cut(m);
	(void)after(NULL, us, on_again, m);
}

/* ---- the cluster as it is founded ------------------------------------------------------------------------------------ */

static void write_local(struct machine *m, bool member, const struct step_settings *s, int64_t lease_ms)
{
	struct conf c;
	struct err err = ERR_INIT;
	char path[64];

	int rc = conf_parse(machine_root(m), "sim", "", &c, &err);
	assert(rc == 0);
	if (member)
		(void)str_copy(c.node_uuid, sizeof(c.node_uuid), m->uuid);
	(void)str_copy(c.node_name, sizeof(c.node_name), m->name);
	(void)str_copy(c.address, sizeof(c.address), m->address[NET_FRONT]);
	(void)str_copy(c.replication_address, sizeof(c.replication_address), m->address[NET_REPL]);
	(void)str_copy(c.hypervisor, sizeof(c.hypervisor), "fake");
	(void)str_copy(c.storage, sizeof(c.storage), "fake");
	(void)str_copy(c.fake_world, sizeof(c.fake_world), "/world");
	c.listen_all = true;
	c.lease_ms = lease_ms;
	AUTO_FREE char *text = conf_text(&c);
	(void)snprintf(path, sizeof(path), "%s/etc/gantry/gantry.conf", machine_root(m));
	machine_file_put(m, path, text);
	if (member) {
		AUTO_FREE char *settings = schema_encode_text(&step_settings_schema, s);
		AUTO_FREE char *settings_path = conf_state_path(&c, "settings.json");
		AUTO_FREE char *ca = conf_path(&c, "ca.pem"), *cert = conf_path(&c, "node.pem"), *key = conf_path(&c, "node.key");
		AUTO_FREE char *cert_text = xasprintf("CERT %s", m->uuid);

		machine_file_put(m, settings_path, settings);
		machine_file_put(m, ca, "CA");
		machine_file_put(m, cert, cert_text);
		machine_file_put(m, key, "KEY");
	}
	conf_done(&c);
}

static void fill_node(const struct machine *m, bool candidate, struct node *o)
{
	schema_init(&node_schema, o);
	(void)str_copy(o->uuid, sizeof(o->uuid), m->uuid);
	(void)str_copy(o->name, sizeof(o->name), m->name);
	(void)str_copy(o->address, sizeof(o->address), m->address[NET_FRONT]);
	(void)str_copy(o->replication_address, sizeof(o->replication_address), m->address[NET_REPL]);
	o->candidate = candidate;
	o->witness = m->witness;
	o->master_capable = !m->witness;
}

static void genesis(const struct world_conf *conf)
{
	struct cluster cl;
	struct secret sec;
	struct node first;
	struct core_put *puts;
	struct err err = ERR_INIT;
	int n_puts = 0;

	schema_init(&cluster_schema, &cl);
	cl.schema_version = level_here.newest; /* nobody is here who knows less */
	rng_uuid(&eng.rng, cl.uuid);
	(void)str_copy(cl.name, sizeof(cl.name), "sim");
	(void)str_copy(cl.vg_name, sizeof(cl.vg_name), "xenvg");
	(void)str_copy(cl.ip, sizeof(cl.ip), "10.0.0.100");
	(void)str_copy(cl.master_netdev, sizeof(cl.master_netdev), "eth0");
	cl.lease_ms = conf->lease_ms;
	cl.arbitration = conf->voters >= 3;
	cl.candidate_pool_size = conf->voters;
	cl.ca_cert = xstrdup("CA");
	schema_init(&secret_schema, &sec);
	sec.ca_key = xstrdup("KEY");
	fill_node(&W.m[0], true, &first);
	int rc = core_genesis(&cl, &sec, &first, &puts, &n_puts, &err);
	assert(rc == 0);
	for (int i = 0; i < n_puts; i++)
		store_world_put(puts[i].key, puts[i].value);
	core_puts_free(puts, n_puts);
	for (int i = 1; i < conf->n_machines; i++) {
		struct node o;
		char key[64];

		fill_node(&W.m[i], W.m[i].etcd_member, &o);
		AUTO_FREE char *text = schema_encode_text(&node_schema, &o);
		(void)snprintf(key, sizeof(key), "/gantry/node/%s", o.uuid);
		store_world_put(key, text);
		schema_done(&node_schema, &o);
	}
	store_world_put("/gantry/genesis", "sim"); /* last: now it is complete */
	schema_done(&cluster_schema, &cl);
	schema_done(&secret_schema, &sec);
	schema_done(&node_schema, &first);
}

static void name_machine(int i, const struct world_conf *c)
{
	struct machine *m = &W.m[i];
	bool voter = c->witness ? (i < c->voters - 1 || i == c->n_machines - 1) : i < c->voters;

	m->index = i;
	(void)snprintf(m->name, sizeof(m->name), "node%d", i + 1);
	rng_uuid(&eng.rng, m->uuid);
	(void)snprintf(m->address[NET_FRONT], ADDR_LEN + 1, "10.0.0.%d", i + 1);
	(void)snprintf(m->address[NET_REPL], ADDR_LEN + 1, "10.0.1.%d", i + 1);
	list_init(&m->files);
	list_init(&m->volumes);
	list_init(&m->replicas);
	list_init(&m->guests);
	m->witness = c->witness && i == c->n_machines - 1;
	voter = voter && i < c->n_machines;
	m->etcd_member = m->etcd_enabled = voter;
	m->masterd_enabled = voter && !m->witness;
}

void world_new(const struct world_conf *c)
{
	struct step_settings s;

	engine_init(c->seed);
	memset(&W, 0, sizeof(W));
	links_world_new();
	wire_world_new();
	check_world_new();
	W.n = c->n_machines + c->n_spare;
	W.lease_ms = c->lease_ms;
	W.next_value = W.next_uuid = 1;
	W.random_hex = c->seed + 77;
	W.fail_call = W.fail_call_after = W.crash_call = W.crash_call_after = -1;
	W.crash_commit_before = W.crash_commit_after = W.lose_frame = W.dup_frame = -1;
	store_world_new(c->seed + 1);
	schema_init(&step_settings_schema, &s);
	(void)str_copy(s.cluster, sizeof(s.cluster), "sim");
	(void)str_copy(s.vg_name, sizeof(s.vg_name), "xenvg");
	s.lease_ms = c->lease_ms;
	for (int i = 0; i < W.n; i++) {
		name_machine(i, c);
		if (i >= c->n_machines)
			continue;
		struct settings_node *n = schema_list_add(schema_find(&step_settings_schema, "nodes"), &s);

		(void)str_copy(n->uuid, sizeof(n->uuid), W.m[i].uuid);
		(void)str_copy(n->name, sizeof(n->name), W.m[i].name);
		(void)str_copy(n->address, sizeof(n->address), W.m[i].address[NET_FRONT]);
		(void)str_copy(n->replication_address, sizeof(n->replication_address), W.m[i].address[NET_REPL]);
		n->candidate = W.m[i].masterd_enabled;
	}
	genesis(c);
	for (int i = 0; i < W.n; i++) {
		write_local(&W.m[i], i < c->n_machines, &s, c->lease_ms);
		power_on_now(&W.m[i]);
		(void)after(NULL, pick(0, 500 * MS), booted, &W.m[i]);
	}
	schema_done(&step_settings_schema, &s);
	eng.after = check_event;
}
