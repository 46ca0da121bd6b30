/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making a cluster, and ending one. Not a job: there is no master yet. Everything is checked before anything is touched, all that is
 * missing is listed at once, and what was done is undone in reverse when a later part fails (doc/design/006-bootstrap.adoc).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/rng.h"
#include "common/xmem.h"
#include "core/core.h"
#include "core/term.h"
#include "hypervisor/hypervisor.h"
#include "io/files.h"
#include "io/pki.h"
#include "io/spawn.h"
#include "node/first.h"
#include "node/missing.h"
#include "node/node.h"
#include "node/prepare.h"
#include "node/system.h"
#include "schema/level.h"
#include "storage/storage.h"

#define CA_DAYS 3650

/* ---- init -------------------------------------------------------------------------------------------------- */

static void random_uuid(char out[UUID_LEN + 1])
{
	struct rng rng;
	char seed[17];

	pki_random_hex(seed, 16);
	rng_seed(&rng, strtoull(seed, NULL, 16));
	rng_uuid(&rng, out);
}

struct birth { /* a cluster in the making */
	struct conf conf;
	struct cluster cluster;
	struct secret secret;
	struct node first;
	char *cert, *key;
};

static void check_cluster_address(const struct op_cluster_init *a, struct birth *b, struct missing *m)
{
	const char *dev = a->master_netdev[0] ? a->master_netdev : a->bridge;

	if (!a->ip[0] && resolve_name(a->name, b->cluster.ip) < 0)
		missing_add(m, "write it into /etc/hosts, or give --ip ADDRESS, or --ip none", "cluster name '%s' does not resolve", a->name);
	else if (a->ip[0] && strcmp(a->ip, "none") != 0)
		(void)str_copy(b->cluster.ip, sizeof(b->cluster.ip), a->ip);
	if (!b->cluster.ip[0])
		return;
	if (strcmp(b->cluster.ip, b->conf.address) == 0)
		missing_add(m, "give the cluster an address of its own: --ip ADDRESS, or --ip none", "the cluster's address '%s' is this machine's",
			    b->cluster.ip);
	AUTO_FREE char *path = xasprintf("%s/sys/class/net/%s", b->conf.root, dev);
	if (strcmp(dev, a->bridge) != 0 && access(path, F_OK) < 0) /* a bridge that is not there is told already */
		missing_add(m, "give one that 'ip link' shows: --master-netdev DEVICE", "there is no interface '%s' for the cluster's address", dev);
}

static int check_all(struct noded *n, const struct op_cluster_init *a, struct birth *b, json_t **ret_details, struct err *err)
{
	struct missing m = { NULL };

	if (n->member)
		return err_set(err, ERR_CLUSTER_EXISTS, "this machine is in cluster '%s'", n->settings.cluster);
	own_addresses(a->address, a->secondary_ip, &b->conf, &m);
	missing_addresses(&b->conf, &m);
	check_cluster_address(a, b, &m);
	missing_storage(&n->env, a->vg_name, &m);
	missing_machine(&b->conf, &n->env, a->bridge, &m);
	missing_room(&b->conf, &m);
	missing_clock(&b->conf, loop_wall_ms(n->loop) / 1000, &m);
	return missing_end(&m, ret_details, err);
}

static int make_identity(struct birth *b, struct err *err)
{
	AUTO_FREE char *csr = NULL;
	AUTO_FREE char *repl = xasprintf("%s-repl", b->conf.node_name);
	const char *dns[] = { b->conf.node_name, repl, "localhost", NULL };
	const char *addresses[] = { b->conf.address, b->conf.replication_address, NULL };
	struct pki_names names = { .cn = b->conf.node_name, .dns = dns, .addresses = addresses };

	random_uuid(b->first.uuid);
	(void)str_copy(names.uuid, sizeof(names.uuid), b->first.uuid);
	int rc = pki_make_ca(b->cluster.name, CA_DAYS, &b->cluster.ca_cert, &b->secret.ca_key, err);
	if (rc == 0)
		rc = pki_make_csr(b->conf.node_name, &csr, &b->key, err);
	if (rc == 0)
		rc = pki_sign_csr_for(b->cluster.ca_cert, b->secret.ca_key, csr, &names, b->cluster.cert_life_s, &b->cert, err);
	if (rc == 0)
		rc = pki_expires(b->cert, &b->first.cert_expires_s, err);
	return rc;
}

static void fill_objects(struct noded *n, const struct op_cluster_init *a, struct birth *b)
{
	struct cluster *c = &b->cluster;
	struct hv_node_info info = { .memory_total_mib = 0 };
	struct err err = ERR_INIT;

	random_uuid(c->uuid);
	(void)str_copy(c->name, sizeof(c->name), a->name);
	(void)str_copy(c->vg_name, sizeof(c->vg_name), a->vg_name);
	(void)str_copy(c->bridge, sizeof(c->bridge), a->bridge);
	(void)str_copy(c->mac_prefix, sizeof(c->mac_prefix), a->mac_prefix);
	(void)str_copy(c->master_netdev, sizeof(c->master_netdev), a->master_netdev[0] ? a->master_netdev : a->bridge);
	c->lease_ms = a->lease * 1000;
	c->cert_life_s = a->cert_life;
	c->created_ms = loop_wall_ms(n->loop);
	schema_merge(&beparams_schema, &c->be, &a->be);
	schema_merge(&hvparams_schema, &c->hv, &a->hv);
	/* The baseline of one host is that host; later joins narrow it (core). */
	if (n->env.hv->ops->node_info(n->env.hv, &info, &err) == 0 && info.host_cpu_xml) {
		const char *xml[] = { info.host_cpu_xml };

		if (n->env.hv->ops->baseline(n->env.hv, xml, 1, &c->cpu_xml, &err) < 0)
			c->cpu_xml = NULL; /* guests then run with the host's model */
	}
	free(info.host_cpu_xml);
	(void)str_copy(b->first.name, sizeof(b->first.name), b->conf.node_name);
	(void)str_copy(b->first.address, sizeof(b->first.address), b->conf.address);
	(void)str_copy(b->first.replication_address, sizeof(b->first.replication_address), b->conf.replication_address);
	b->first.candidate = 1;
	b->first.joined_ms = c->created_ms;
}

static void fill_settings(const struct birth *b, struct step_settings *s)
{
	schema_init(&step_settings_schema, s);
	(void)str_copy(s->cluster, sizeof(s->cluster), b->cluster.name);
	s->lease_ms = b->cluster.lease_ms;
	(void)str_copy(s->ip, sizeof(s->ip), b->cluster.ip);
	(void)str_copy(s->vg_name, sizeof(s->vg_name), b->cluster.vg_name);
	struct settings_node *me = schema_list_add(schema_find(&step_settings_schema, "nodes"), s);
	(void)str_copy(me->uuid, sizeof(me->uuid), b->first.uuid);
	(void)str_copy(me->name, sizeof(me->name), b->first.name);
	(void)str_copy(me->address, sizeof(me->address), b->first.address);
	(void)str_copy(me->replication_address, sizeof(me->replication_address), b->first.replication_address);
	me->candidate = 1;
}

static int start_store(struct birth *b, struct err *err)
{
	struct step_etcd e;

	schema_init(&step_etcd_schema, &e);
	(void)str_copy(e.name, sizeof(e.name), b->first.name);
	(void)str_copy(e.address, sizeof(e.address), b->first.address);
	e.lease_ms = b->cluster.lease_ms;
	e.initial_cluster = xasprintf(strchr(b->first.address, ':') ? "%s=https://[%s]:%d" : "%s=https://%s:%d", b->first.name, b->first.address,
				      (int)b->conf.etcd_peer_port);
	int rc = system_etcd_start(&b->conf, &e, true, err);
	schema_done(&step_etcd_schema, &e);
	return rc;
}

/* The parts in order; a failure takes back everything that was begun. */
static int bear(struct birth *b, struct err *err)
{
	struct step_settings s;
	struct core_put *puts = NULL;
	struct err ignored = ERR_INIT;
	int n_puts = 0;

	fill_settings(b, &s);
	int rc = core_genesis(&b->cluster, &b->secret, &b->first, &puts, &n_puts, err);
	if (rc == 0)
		rc = system_certs(&b->conf, b->cluster.ca_cert, b->cert, b->key, err);
	if (rc == 0)
		rc = start_store(b, err);
	if (rc == 0)
		rc = first_write(&b->conf, b->cluster.uuid, puts, n_puts, err);
	if (rc == 0)
		rc = system_settings(&b->conf, &s, err);
	(void)str_copy(b->conf.node_uuid, sizeof(b->conf.node_uuid), b->first.uuid);
	b->conf.lease_ms = b->cluster.lease_ms;
	if (rc == 0)
		rc = conf_save(&b->conf, err);
	if (rc == 0)
		rc = system_masterd_start(&b->conf, err);
	if (rc < 0) {
		IGNORE(system_etcd_stop(&b->conf, &ignored));
		IGNORE(system_forget(&b->conf, &ignored));
	}
	core_puts_free(puts, n_puts);
	schema_done(&step_settings_schema, &s);
	return rc;
}

int bootstrap_init(struct noded *n, const void *args, json_t **ret, struct err *err)
{
	const struct op_cluster_init *a = args;
	struct birth b = { .cert = NULL };

	conf_copy(&b.conf, &n->conf);
	schema_init(&cluster_schema, &b.cluster);
	b.cluster.schema_version = level_here.newest; /* nobody is here who knows less */
	schema_init(&secret_schema, &b.secret);
	schema_init(&node_schema, &b.first);
	int rc = check_all(n, a, &b, ret, err);
	bool only_checks = a->dry_run == 1;
	if (rc == 0 && !only_checks) {
		fill_objects(n, a, &b);
		rc = make_identity(&b, err);
	}
	if (rc == 0 && !only_checks)
		rc = bear(&b, err);
	if (rc == 0)
		*ret = json_pack("{s:s, s:s, s:s, s:s}", only_checks ? "would_make" : "cluster", a->name, "node", b.conf.node_name, "address", b.conf.address,
				 "cluster_ip", b.cluster.ip);
	free(b.cert);
	free(b.key);
	schema_done(&cluster_schema, &b.cluster);
	schema_done(&secret_schema, &b.secret);
	schema_done(&node_schema, &b.first);
	conf_done(&b.conf);
	return rc;
}

/* ---- the end --------------------------------------------------------------------------------------------------- */

static int forget_cluster(struct noded *n, struct err *err)
{
	int rc = n->env.system->masterd_stop(n->env.system, err);

	if (rc == 0)
		rc = system_etcd_stop(&n->conf, err);
	return rc < 0 ? rc : system_forget(&n->conf, err);
}

int bootstrap_destroy(struct noded *n, const void *args, json_t **ret, struct err *err)
{
	const struct op_cluster_destroy *a = args;

	if (!n->member)
		return err_set(err, ERR_NO_CLUSTER, "this machine is in no cluster");
	if (a->yes_do_it != 1)
		return err_set(err, ERR_REFUSED, "this ends cluster '%s' for good", n->settings.cluster), err_hint(err, "--yes-do-it if you mean it");
	if (n->settings.n_nodes > 1)
		return err_set(err, ERR_WRONG_STATE, "the cluster has %d nodes", n->settings.n_nodes), err_hint(err, "remove the others first: 'gnt node remove'");
	for (int i = 0; i < n->seen.n_guests; i++)
		if (n->seen.guests[i].ours == 1)
			return err_set(err, ERR_WRONG_STATE, "guest '%s' runs", n->seen.guests[i].name), err_hint(err, "'gnt instance remove' all of them first");
	if (n->seen.n_volumes)
		return err_set(err, ERR_WRONG_STATE, "%d disks are left", n->seen.n_volumes), err_hint(err, "'gnt instance remove' all of them first");
	int rc = forget_cluster(n, err);
	if (rc == 0)
		*ret = json_pack("{s:s}", "destroyed", n->settings.cluster);
	return rc;
}

/* Only where no master knows the node any more: in the cluster it is 'node remove' that decides. */
int bootstrap_leave(struct noded *n, const void *args, json_t **ret, struct err *err)
{
	(void)args;
	if (!n->member)
		return err_set(err, ERR_NO_CLUSTER, "this machine is in no cluster");
	for (int i = 0; i < UPLINK_STALE; i++)
		if (n->up[i].welcome)
			return err_set(err, ERR_WRONG_STATE, "this machine is a node of cluster '%s'", n->settings.cluster),
			       err_hint(err, "'gnt node remove %s' on another node", n->conf.node_name);
	for (int i = 0; i < n->seen.n_guests; i++)
		if (n->seen.guests[i].ours == 1)
			return err_set(err, ERR_WRONG_STATE, "guest '%s' runs here", n->seen.guests[i].name),
			       err_hint(err, "end it when it is not needed: 'virsh destroy %s'", n->seen.guests[i].name);
	int rc = forget_cluster(n, err);
	if (rc == 0)
		*ret = json_pack("{s:s, s:i}", "left", n->settings.cluster, "volumes_kept", n->seen.n_volumes);
	return rc;
}

/* ---- before all of it ------------------------------------------------------------------------------------------- */

int prepare_machine(struct noded *n, const void *args, json_t **ret, struct err *err)
{
	const struct op_node_prepare *a = args;

	if (strcmp(n->conf.hypervisor, "libvirt") != 0)
		return err_set(err, ERR_WRONG_STATE, "this node runs on a fake world: there is nothing to prepare"),
		       err_hint(err, "a real machine has hypervisor = \"libvirt\" in gantry.conf");
	return prepare_run(spawn_runner(), netif_real(), n->conf.root, a, ret, err);
}
