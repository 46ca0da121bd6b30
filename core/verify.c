/* SPDX-License-Identifier: Apache-2.0 */
/* 'gnt cluster verify': what is wanted against what the nodes reported, one sentence and one hint for each difference. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/xmem.h"
#include "core/inside.h"
#include "core/own.h"
#include "core/planners.h"
#include "core/restored.h"

struct owned_disk;
struct report {
	json_t *findings;
	int errors, warnings;
	struct owned_disk *disks;
	int n_disks;
};

static void finding(struct report *r, bool error, const char *what, const char *name, const char *hint, const char *fmt, ...) PRINTF(6, 7);
static void finding(struct report *r, bool error, const char *what, const char *name, const char *hint, const char *fmt, ...)
{
	char text[400];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	*(error ? &r->errors : &r->warnings) += 1;
	json_array_append_new(r->findings, json_pack("{s:s, s:s, s:s, s:s, s:s}", "level", error ? "error" : "warning", "kind", what, "name",
						     name, "text", text, "hint", hint));
}

#define CERT_SOON_S (30 * 86400)
#define CLOCK_APART_MS 2000

static void verify_node(const struct core *c, const struct snode *n, struct report *r)
{
	const struct snode *self = state_node(&c->st, c->st.self);

	if (n->n.offline == 1)
		return;
	if (n->refused) {
		finding(r, true, "node", n->n.name, "upgrade Gantry on that node, a level at a time",
			"node '%s' runs gantry %s for levels %lld to %lld, the cluster is at level %lld: it is kept out", n->n.name, n->version,
			(long long)n->level_oldest, (long long)n->level_newest, (long long)c->st.cluster.schema_version);
		return;
	}
	if (!n->connected) {
		finding(r, true, "node", n->n.name, "start it, or gantry-noded on it", "node '%s' does not answer", n->n.name);
		for (int i = 0; i < n->seen.n_problems; i++) /* it may have said why it would fall silent (008) */
			finding(r, false, "node", n->n.name, "see its journal", "node '%s' said before: %s", n->n.name, n->seen.problems[i]);
		return;
	}
	if (n->links != 3 && strcmp(n->n.address, n->n.replication_address) != 0)
		finding(r, false, "node", n->n.name, "look at its cables and addresses", "node '%s' is reached over the %s network only", n->n.name,
			n->links & 1 ? "primary" : "replication");
	if (self && n->version[0] && self->version[0] && strcmp(n->version, self->version) != 0)
		finding(r, false, "node", n->n.name, "go on with the upgrade: the cluster stays at its level until all nodes know the next",
			"node '%s' runs gantry %s, the master %s; the cluster is at level %lld", n->n.name, n->version, self->version,
			(long long)c->st.cluster.schema_version);
	if (n->clock_skew_ms > CLOCK_APART_MS || n->clock_skew_ms < -CLOCK_APART_MS)
		finding(r, false, "node", n->n.name, "let all nodes follow the same time server", "the clock of node '%s' is %lld ms off the master's",
			n->n.name, (long long)n->clock_skew_ms);
	/* What it uses, once it has said so. It renews itself in its last third: only who stays away, or cannot, gets here. */
	int64_t expires_s = n->seen_ms ? n->seen.cert_expires_s : n->n.cert_expires_s, due_s = n->seen_ms ? n->seen.cert_due_s : 0;
	int64_t late_s = due_s ? due_s + (expires_s - due_s) / 2 : expires_s - CERT_SOON_S;
	if (expires_s && c->st.wall_ms / 1000 > late_s)
		finding(r, false, "node", n->n.name, "'gnt cluster renew-crypto'", "the certificate of node '%s' ends soon", n->n.name);
	if (n->n.witness == 1 || !n->seen_ms)
		return;
	if (!n->seen.hypervisor[0])
		finding(r, true, "node", n->n.name, "'systemctl start libvirtd' on it", "libvirt on node '%s' does not answer", n->n.name);
	if (c->st.cluster.vg_name[0] && state_free_disk_mib(&c->st, n, c->st.cluster.vg_name) < 0)
		finding(r, true, "node", n->n.name, "'gnt node prepare --disk DISK' on it", "node '%s' has no volume group '%s'", n->n.name,
			c->st.cluster.vg_name);
	if (c->st.cluster.bridge[0] && n->seen.n_bridges && !strs_has(n->seen.bridges, n->seen.n_bridges, c->st.cluster.bridge))
		finding(r, true, "node", n->n.name, "'gnt node prepare --bridge BRIDGE=INTERFACE' on it", "node '%s' has no bridge '%s'", n->n.name,
			c->st.cluster.bridge);
	for (int i = 0; i < n->seen.n_problems; i++)
		finding(r, false, "node", n->n.name, "see its journal", "node '%s': %s", n->n.name, n->seen.problems[i]);
}

static void verify_replicas(const struct core *c, const struct sinstance *s, struct report *r)
{
	const struct instance *i = &s->i;

	if (i->n_nodes < 2)
		finding(r, true, "instance", i->name, "'gnt instance replace-disks -n NODE'", "instance '%s' has no mirror", i->name);
	for (int k = 0; k < i->n_nodes; k++) {
		const struct snode *n = state_node(&c->st, i->nodes[k]);
		const struct obs_drbd *d = n && n->connected ? state_seen_drbd(n, i->uuid) : NULL;

		if (!n)
			finding(r, true, "instance", i->name, "'gnt instance replace-disks -n NODE'", "a replica of '%s' is on a node that is gone", i->name);
		else if (i->admin_state == ADMIN_UP && n->connected && n->seen_ms && (!d || d->up != 1))
			finding(r, true, "instance", i->name, "'gnt instance activate-disks'", "the replica of '%s' on node '%s' is down", i->name, n->n.name);
		else if (d && d->up == 1 && d->in_sync != 1 && i->admin_state == ADMIN_UP)
			finding(r, false, "instance", i->name, "wait for the resync, or look at the replication network",
				"the replica of '%s' on node '%s' is %s, %s", i->name, n->n.name, d->conn, d->disk);
		bool lives_there = d && i->admin_state == ADMIN_UP && strcmp(n->n.uuid, own_runner(&i->own)) == 0;
		const char *thaw = d && strcmp(d->disk, "Diskless") == 0 ? "mend the link to its mirror, or 'gnt instance failover'" :
									   "bring back a majority of voters, or the mirror";
		const char *rebuild = lives_there ? "'gnt instance migrate', then 'gnt instance replace-disks -s'" : "'gnt instance replace-disks -s'";

		if (d && d->suspended == 1)
			finding(r, true, "instance", i->name, thaw, "instance '%s' is frozen on node '%s'", i->name, n->n.name);
		if (d && d->marked == 1)
			finding(r, true, "instance", i->name, rebuild, "the replica of '%s' on node '%s' lost its disk", i->name, n->n.name);
	}
	struct err split = ERR_INIT;
	if (tails_split(&c->st, i) && tails_split_why(&c->st, i, &split) < 0)
		finding(r, true, "instance", i->name, split.hint, "%s", split.msg);
	if (own_tail_due(&i->own, i->own.tail) && s->tail_told_gen == i->own.tail_gen)
		finding(r, true, "instance", i->name, "free room in its volume group; or 'gnt disk tails --remove' gives them up",
			"instance '%s' stays without its mirror: what node '%s' wrote alone cannot be kept", i->name, state_node_name(&c->st, i->own.tail));
	if (!own_current(&i->own, own_runner(&i->own)))
		finding(r, true, "instance", i->name, "look at 'gnt instance info'", "node '%s' may run '%s' but its replica is not current",
			state_node_name(&c->st, own_runner(&i->own)), i->name);
	if (c->st.cluster.arbitration == 1 && i->own.arbitrated != 1)
		finding(r, false, "instance", i->name, "'gnt cluster modify --arbitration yes'", "disks of '%s' are not arbitrated yet", i->name);
}

/* Would it come back, and could anybody prove that it may? */
static void verify_ha(const struct core *c, const struct sinstance *s, const struct snode *n, struct report *r)
{
	const struct instance *i = &s->i;

	if (i->template != TEMPLATE_DRBD)
		finding(r, false, "instance", i->name, "'gnt instance modify -B ha=restart'", "instance '%s' has ha=failover but no mirror", i->name);
	else if (i->own.arbitrated != 1)
		finding(r, false, "instance", i->name, "three voters are needed: add a node, or a witness",
			"instance '%s' has ha=failover but its disks are not arbitrated: it is not failed over by itself", i->name);
	else if (n && n->connected && i->guard_rev != state_ha_rev(&c->st, i) && !n->n.fence)
		finding(r, false, "instance", i->name, "start gantry-fenced there, or 'gnt node modify --fence agent=...'",
			"instance '%s' has ha=failover, but no watchdog guards it on node '%s', which has no fence agent", i->name, n->n.name);
	if (s->ha_why)
		finding(r, true, "instance", i->name, "see the reason", "instance '%s' waits for its failover: %s", i->name, s->ha_why);
}

static void verify_instance(const struct core *c, const struct sinstance *s, struct report *r)
{
	const struct instance *i = &s->i;
	const struct snode *n = state_node(&c->st, own_runner(&i->own));
	int running = 0;

	for (int k = 0; k < c->st.n_nodes; k++) {
		const struct snode *o = c->st.nodes[k];

		if (!o->connected || !state_seen_guest(o, i->uuid))
			continue;
		running++;
		if (o != n && !s->busy_job)
			finding(r, true, "instance", i->name, "'gnt instance migrate --cleanup'", "guest '%s' is on node '%s', it belongs on '%s'",
				i->name, o->n.name, n ? n->n.name : "?");
	}
	if (s->busy_job)
		return;
	if (!own_confirmed(&i->own)) {
		const char *current[REPLICAS_MAX];
		char why[160];

		if (restored_judge(&c->st, i, current, why) == 0)
			finding(r, true, "instance", i->name, "bring its nodes up; if one is lost for good: 'gnt instance confirm -n NODE'",
				"instance '%s' is from a backup and not confirmed: %s", i->name, why);
		return;
	}
	if (i->own.target[0])
		finding(r, true, "instance", i->name, "'gnt instance migrate --cleanup'", "a migration of '%s' has not been ended", i->name);
	if (n && n->connected && n->seen_ms) {
		if (i->admin_state == ADMIN_UP && !running)
			finding(r, true, "instance", i->name, "'gnt instance startup'", "guest '%s' should run on node '%s' but does not", i->name, n->n.name);
		if (i->admin_state == ADMIN_DOWN && running)
			finding(r, true, "instance", i->name, "'gnt instance shutdown'", "guest '%s' runs but should be down", i->name);
	}
	if (i->template == TEMPLATE_DRBD)
		verify_replicas(c, s, r);
	if (state_ha_policy(&c->st, i) == HA_FAILOVER && i->admin_state == ADMIN_UP)
		verify_ha(c, s, n, r);
}

struct owned_disk {
	const char *uuid;
	const struct instance *of;
};

static int disk_order(const void *a, const void *b)
{
	return strcmp(((const struct owned_disk *)a)->uuid, ((const struct owned_disk *)b)->uuid);
}

/* All disks, sorted by uuid: thousands of volumes are looked up in it. */
static void collect_disks(const struct core *c, struct report *r)
{
	int n = 0;

	for (int i = 0; i < c->st.n_instances; i++)
		n += c->st.instances[i]->i.n_disks;
	r->disks = xcalloc((size_t)n + 1, sizeof(*r->disks));
	for (int i = 0; i < c->st.n_instances; i++)
		for (int d = 0; d < c->st.instances[i]->i.n_disks; d++)
			r->disks[r->n_disks++] = (struct owned_disk){ c->st.instances[i]->i.disks[d].uuid, &c->st.instances[i]->i };
	qsort(r->disks, (size_t)n, sizeof(*r->disks), disk_order);
}

static bool known_disk(const struct report *r, const char *uuid, const char *node)
{
	const struct owned_disk key = { uuid, NULL };
	const struct owned_disk *d = r->n_disks ? bsearch(&key, r->disks, (size_t)r->n_disks, sizeof(key), disk_order) : NULL;

	return d && strs_has(d->of->nodes, d->of->n_nodes, node);
}

static void verify_orphans(const struct core *c, const struct snode *n, struct report *r)
{
	if (!n->connected || core_jobs_open(c))
		return; /* a running job's volumes are no orphans */
	char hint[300];

	for (int i = 0; i < n->seen.n_volumes; i++) {
		if (known_disk(r, n->seen.volumes[i], n->n.uuid))
			continue;
		(void)snprintf(hint, sizeof(hint), "when nothing on it is needed, there: 'lvremove @gantry-%s'; of a file: remove it and its .owner",
			       n->seen.volumes[i]);
		finding(r, false, "node", n->n.name, hint, "a volume of disk %s on node '%s' belongs to no instance", n->seen.volumes[i], n->n.name);
	}
	for (int i = 0; i < n->seen.n_guests; i++)
		if (n->seen.guests[i].ours == 1 && !state_instance(&c->st, n->seen.guests[i].uuid))
			finding(r, true, "node", n->n.name, "'virsh destroy' it there when it is not needed", "guest '%s' on node '%s' belongs to no instance",
				n->seen.guests[i].name, n->n.name);
	for (int i = 0; i < n->seen.n_drbd; i++) {
		const char *name = n->seen.drbd[i].resource;

		if (!n->seen.drbd[i].uuid[0] || state_instance(&c->st, n->seen.drbd[i].uuid))
			continue;
		(void)snprintf(hint, sizeof(hint), "there: 'drbdadm down %s && rm /etc/drbd.d/%s.res'", name, name);
		finding(r, false, "node", n->n.name, hint, "DRBD resource '%s' on node '%s' belongs to no instance", name, n->n.name);
	}
}

static bool has_ha(const struct core *c, const struct snode *n)
{
	for (int i = 0; i < c->st.n_instances; i++) {
		const struct instance *in = &c->st.instances[i]->i;

		if (strcmp(own_runner(&in->own), n->n.uuid) == 0 && in->admin_state == ADMIN_UP && state_ha_policy(&c->st, in) == HA_FAILOVER)
			return true;
	}
	return false;
}

/* What was never tried does not work: a node with guests that rest on its watchdog or its power fence has proven one of them. */
static void verify_proof(const struct core *c, const struct snode *n, struct report *r)
{
	if (n->n.offline == 1 || !has_ha(c, n))
		return;
	if (n->n.fence && !n->n.power_proven_ms)
		finding(r, false, "node", n->n.name, "'gnt node fence --test --yes-power-cycle' while no guest is on it",
			"the fence agent of node '%s' has never been proven", n->n.name);
	if (!n->n.power_proven_ms && !n->n.watchdog_proven_ms)
		finding(r, false, "node", n->n.name, "'gnt node fence --test --watchdog --yes-power-cycle' while no guest is on it",
			"node '%s' runs guests with ha=failover, and neither its watchdog nor a fence agent was ever proven", n->n.name);
}

/* N+1: does every node's load of ha=failover guests fit on the mirrors' nodes? */
static void verify_reserve(const struct core *c, struct report *r)
{
	for (int i = 0; i < c->st.n_nodes; i++) {
		struct op_ha_report a;
		struct err err = ERR_INIT;
		AUTO_JSON json_t *lines = NULL;
		size_t k;
		json_t *l;

		schema_init(&op_ha_report_schema, &a);
		(void)str_copy(a.node, sizeof(a.node), c->st.nodes[i]->n.name);
		if (ha_report(c, &a, &lines, &err) < 0)
			continue;
		json_array_foreach(lines, k, l)
			if (strstr(json_str(l, "why", ""), "lacks memory"))
				finding(r, false, "instance", json_str(l, "instance", ""), "'gnt cluster ha-report'; free memory there, or move a mirror",
					"if node '%s' died, guest '%s' would not fit on node '%s'", c->st.nodes[i]->n.name, json_str(l, "instance", ""),
					json_str(l, "to", ""));
	}
}

json_t *verify_run(const struct core *c)
{
	struct report r = { .findings = json_array() };
	int voters = 0;

	collect_disks(c, &r);
	for (int i = 0; i < c->st.n_nodes; i++) {
		verify_node(c, c->st.nodes[i], &r);
		verify_orphans(c, c->st.nodes[i], &r);
		verify_proof(c, c->st.nodes[i], &r);
		voters += c->st.nodes[i]->n.candidate == 1;
	}
	for (int i = 0; i < c->st.n_instances; i++)
		verify_instance(c, c->st.instances[i], &r);
	verify_reserve(c, &r);
	if (voters < 3)
		finding(&r, false, "cluster", c->st.cluster.name, "add nodes, or a witness: 'gnt node add --witness'",
			"%d of 3 voters: disks are not arbitrated, a lost master stops the cluster", voters);
	else if (c->st.cluster.arbitration != 1)
		finding(&r, false, "cluster", c->st.cluster.name, "'gnt cluster modify --arbitration yes'", "disk arbitration is off");
	if (c->store_silent_since_ms)
		finding(&r, true, "cluster", c->st.cluster.name, "start the other master candidates", "no majority of voters answers");
	free(r.disks);
	return json_pack("{s:o, s:i, s:i, s:i, s:i}", "findings", r.findings, "errors", r.errors, "warnings", r.warnings, "nodes",
			 c->st.n_nodes, "instances", c->st.n_instances);
}
