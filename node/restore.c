/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 'gnt cluster restore': a store lost for good (a majority of voters with their disks) is begun anew on this node from a backup. Guests and
 * disks are not touched, not even looked at here: what the backup says of them counts only when their nodes have confirmed it
 * (core/restored.c; doc/design/006-bootstrap.adoc). Everything is checked before anything is touched.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"
#include "common/xmem.h"
#include "core/core.h"
#include "io/conf_rows.h"
#include "io/files.h"
#include "io/pki.h"
#include "io/spawn.h"
#include "node/first.h"
#include "node/missing.h"
#include "node/node.h"
#include "node/system.h"

#define RECOVER_PROBE_MS 2000

struct rebirth {
	struct conf conf;
	struct backup b;
	struct node *me;    /* in b */
	char *cert, *key;   /* of a machine that has lost its own */
	bool member;        /* it has its identity still */
	char *aside;        /* where the dead member's data went */
	const char *said;   /* 'recover': of the other voters; NULL = from a backup */
};

/* Does anybody listen there? Blocks. */
static bool port_answers(const char *address, int port, int ms)
{
	struct sockaddr_storage to = { .ss_family = AF_INET };
	struct sockaddr_in *v4 = (struct sockaddr_in *)(void *)&to;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)(void *)&to;
	socklen_t len = sizeof(*v4);
	bool yes = false;

	if (strchr(address, ':')) {
		to.ss_family = AF_INET6;
		v6->sin6_port = htons((uint16_t)port);
		len = sizeof(*v6);
		if (inet_pton(AF_INET6, address, &v6->sin6_addr) != 1)
			return false;
	} else {
		v4->sin_port = htons((uint16_t)port);
		if (inet_pton(AF_INET, address, &v4->sin_addr) != 1)
			return false;
	}
	int fd = socket(to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	if (connect(fd, (struct sockaddr *)(void *)&to, len) == 0) {
		yes = true;
	} else if (errno == EINPROGRESS) {
		struct pollfd p = { .fd = fd, .events = POLLOUT };
		int why = 0;
		socklen_t size = sizeof(why);

		yes = poll(&p, 1, ms) == 1 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &why, &size) == 0 && why == 0;
	}
	(void)close(fd);
	return yes;
}

static int read_backup(const char *path, struct backup *b, struct err *err)
{
	AUTO_FREE char *text = NULL;
	AUTO_JSON json_t *j = NULL;
	int rc = file_read_text(path, BACKUP_MAX, &text, err);

	if (rc == 0)
		rc = json_parse(text, strlen(text), BACKUP_MAX, &j, err);
	if (rc < 0)
		return err_wrap(err, "backup '%s'", path);
	if (strcmp(json_str(j, "format", ""), BACKUP_FORMAT) != 0)
		return err_set(err, ERR_BAD_VALUE, "'%s' is no backup of a cluster: its format is not " BACKUP_FORMAT, path),
		       err_hint(err, "give a file that 'gnt cluster backup --secrets FILE' of this version wrote");
	rc = schema_decode(&backup_schema, b, j, err);
	return rc < 0 ? err_wrap(err, "backup '%s'", path) : 0;
}

static void names_of_candidates(const struct backup *b, struct buf *out)
{
	for (int i = 0; i < b->n_nodes; i++)
		if (b->nodes[i].candidate == 1 && b->nodes[i].witness != 1)
			buf_printf(out, "%s%s", out->len ? ", " : "", b->nodes[i].name);
}

/* The other nodes look for a master at the addresses of the candidates that they know: it must be one of those. */
static int find_me(struct noded *n, struct rebirth *r, struct err *err)
{
	AUTO_BUF struct buf names = BUF_INIT;
	struct missing m = { NULL };
	AUTO_JSON json_t *details = NULL;

	names_of_candidates(&r->b, &names);
	for (int i = 0; i < r->b.n_nodes; i++)
		if (r->member ? strcmp(r->b.nodes[i].uuid, n->conf.node_uuid) == 0 : strcmp(r->b.nodes[i].name, n->conf.node_name) == 0)
			r->me = &r->b.nodes[i];
	if (!r->me || r->me->candidate != 1 || r->me->witness == 1)
		return err_set(err, ERR_WRONG_STATE, "node '%s' was no master candidate of cluster '%s': the other nodes would not look for it here",
			       n->conf.node_name, r->b.cluster.name),
		       err_hint(err, "restore on one of: %s; or on a machine with the name and address of one", buf_str(&names));
	if (r->member)
		return 0;
	own_addresses("", "", &r->conf, &m);
	int rc = missing_end(&m, &details, err);
	if (rc < 0)
		return rc;
	if (strcmp(r->conf.address, r->me->address) != 0)
		return err_set(err, ERR_WRONG_STATE, "node '%s' had the address %s, this machine has %s: the other nodes would not find it", r->me->name,
			       r->me->address, r->conf.address),
		       err_hint(err, "give this machine that address first");
	(void)str_copy(r->conf.replication_address, sizeof(r->conf.replication_address), r->me->replication_address);
	return 0;
}

/* Two masters of one cluster would be the end of it: as long as the old one may be alive nothing is begun. */
static int check_dead(struct noded *n, const struct rebirth *r, struct err *err)
{
	char *urls[VOTERS_MAX + 1] = { NULL };
	bool alive = false;
	int k = 0;

	if (uplink_ready(n))
		return err_set(err, ERR_CLUSTER_EXISTS, "cluster '%s' has a master", r->b.cluster.name),
		       err_hint(err, "restore is for a cluster whose voters are lost for good; look with 'gnt cluster info'");
	for (int i = 0; i < r->b.n_nodes && k < VOTERS_MAX; i++)
		if (r->b.nodes[i].candidate == 1)
			urls[k++] = xasprintf(strchr(r->b.nodes[i].address, ':') ? "https://[%s]:%d" : "https://%s:%d", r->b.nodes[i].address,
					      (int)r->conf.etcd_client_port);
	int rc = first_majority_answers(&r->conf, (const char *const *)urls, &alive, err);
	for (int i = 0; i < k; i++)
		free(urls[i]);
	if (rc == 0 && alive)
		rc = err_set(err, ERR_CLUSTER_EXISTS, "a majority of the voters of cluster '%s' answers: nothing is lost", r->b.cluster.name),
		(void)err_hint(err, "start gantry-masterd on a candidate; restore is for voters that are lost for good");
	return rc;
}

static int new_identity(struct rebirth *r, struct err *err)
{
	AUTO_FREE char *csr = NULL;
	AUTO_FREE char *repl = xasprintf("%s-repl", r->me->name);
	const char *dns[] = { r->me->name, repl, "localhost", NULL };
	const char *addresses[] = { r->me->address, r->me->replication_address, NULL };
	struct pki_names names = { .cn = r->me->name, .dns = dns, .addresses = addresses };

	(void)str_copy(names.uuid, sizeof(names.uuid), r->me->uuid);
	int rc = pki_make_csr(r->me->name, &csr, &r->key, err);
	if (rc == 0)
		rc = pki_sign_csr_for(r->b.cluster.ca_cert, r->b.ca_key, csr, &names, r->b.cluster.cert_life_s, &r->cert, err);
	if (rc == 0)
		rc = pki_expires(r->cert, &r->me->cert_expires_s, err);
	return rc < 0 ? rc : system_certs(&r->conf, r->b.cluster.ca_cert, r->cert, r->key, err);
}

/* The dead member's data is kept: a person may want to look at it. */
static int put_aside(struct noded *n, struct rebirth *r, struct err *err)
{
	AUTO_FREE char *data = conf_state_path(&r->conf, "etcd");
	int rc = n->env.system->masterd_stop(n->env.system, err);

	if (rc == 0)
		rc = service_stop(&r->conf, spawn_runner(), "gantry-etcd", err);
	if (rc < 0 || access(data, F_OK) < 0)
		return rc;
	r->aside = xasprintf("%s.lost-%lld", data, (long long)(loop_wall_ms(n->loop) / 1000));
	return rename(data, r->aside) < 0 ? err_errno(err, ERR_IO, "cannot put '%s' aside", data) : 0;
}

static int start_store(const struct rebirth *r, struct err *err)
{
	struct step_etcd e;
	char random[17];

	schema_init(&step_etcd_schema, &e);
	(void)str_copy(e.name, sizeof(e.name), r->me->name);
	(void)str_copy(e.address, sizeof(e.address), r->me->address);
	e.lease_ms = r->b.cluster.lease_ms;
	e.initial_cluster = xasprintf(strchr(e.address, ':') ? "%s=https://[%s]:%d" : "%s=https://%s:%d", e.name, e.address, (int)r->conf.etcd_peer_port);
	/* A cluster id of its own: members of the dead one that come up again are not heard, and do not hear it. */
	pki_random_hex(random, 16);
	(void)snprintf(e.token, sizeof(e.token), "gantry-%lld-%s", (long long)r->b.cluster.incarnation, random);
	int rc = system_etcd_start(&r->conf, &e, true, err);
	schema_done(&step_etcd_schema, &e);
	return rc;
}

static void fill_settings(const struct rebirth *r, struct step_settings *s)
{
	const struct field *list = schema_find(&step_settings_schema, "nodes");

	schema_init(&step_settings_schema, s);
	(void)str_copy(s->cluster, sizeof(s->cluster), r->b.cluster.name);
	s->lease_ms = r->b.cluster.lease_ms;
	(void)str_copy(s->ip, sizeof(s->ip), r->b.cluster.ip);
	(void)str_copy(s->master_netdev, sizeof(s->master_netdev), r->b.cluster.master_netdev);
	(void)str_copy(s->vg_name, sizeof(s->vg_name), r->b.cluster.vg_name);
	for (int i = 0; i < r->b.n_nodes; i++) {
		const struct node *o = &r->b.nodes[i];
		struct settings_node *x = schema_list_add(list, s);

		(void)str_copy(x->uuid, sizeof(x->uuid), o->uuid);
		(void)str_copy(x->name, sizeof(x->name), o->name);
		(void)str_copy(x->address, sizeof(x->address), o->address);
		(void)str_copy(x->replication_address, sizeof(x->replication_address), o->replication_address);
		x->candidate = o->candidate;
		x->witness = o->witness;
	}
}

static int begin(struct noded *n, struct rebirth *r, struct err *err)
{
	struct step_settings s;
	struct core_put *puts = NULL;
	struct err ignored = ERR_INIT;
	int n_puts = 0;
	int rc = core_restore(&r->b, r->me->uuid, r->said, agent_highest_epoch(n->agent), loop_wall_ms(n->loop), &puts, &n_puts, err);

	if (rc < 0)
		return rc;
	fill_settings(r, &s);
	rc = r->said ? 0 : put_aside(n, r, err); /* the last one's own copy has been read: that was done before */
	if (rc == 0)
		rc = start_store(r, err);
	if (rc == 0)
		rc = first_write(&r->conf, r->b.cluster.uuid, puts, n_puts, err);
	if (rc < 0) /* nothing of it is left; the dead member's data stays where it was put */
		IGNORE(system_etcd_stop(&r->conf, &ignored));
	if (rc == 0)
		rc = system_settings(&r->conf, &s, err);
	(void)str_copy(r->conf.node_uuid, sizeof(r->conf.node_uuid), r->me->uuid);
	(void)str_copy(r->conf.address, sizeof(r->conf.address), r->me->address);
	r->conf.lease_ms = r->b.cluster.lease_ms;
	conf_texts_clear(&r->conf.etcd_endpoints, &r->conf.n_etcd_endpoints); /* its own member */
	if (rc == 0)
		rc = conf_save(&r->conf, err);
	if (rc == 0)
		rc = system_masterd_start(&r->conf, err);
	core_puts_free(puts, n_puts);
	schema_done(&step_settings_schema, &s);
	return rc;
}

int bootstrap_restore(struct noded *n, const void *args, json_t **ret, struct err *err)
{
	const struct op_cluster_restore *a = args;
	struct rebirth r = { .me = NULL, .member = n->member };

	int rc = read_backup(a->file, &r.b, err);
	if (rc < 0)
		return rc;
	conf_copy(&r.conf, &n->conf);
	if (!r.b.ca_key)
		rc = err_set(err, ERR_BAD_VALUE, "backup '%s' has no secrets: the nodes would not trust the new cluster", a->file),
		(void)err_hint(err, "only a backup made with 'gnt cluster backup --secrets FILE' can be restored");
	if (rc == 0)
		rc = find_me(n, &r, err);
	if (rc == 0 && !r.member)
		rc = new_identity(&r, err);
	if (rc == 0)
		rc = check_dead(n, &r, err);
	if (rc == 0)
		rc = begin(n, &r, err);
	if (rc == 0)
		*ret = json_pack("{s:s, s:s, s:i, s:i, s:s}", "cluster", r.b.cluster.name, "master", r.me->name, "nodes", r.b.n_nodes, "instances",
				 r.b.n_instances, "lost_store", r.aside ? r.aside : "");
	else if (!r.member) {
		struct err ignored = ERR_INIT;

		IGNORE(system_forget(&r.conf, &ignored));
	}
	free(r.cert);
	free(r.key);
	free(r.aside);
	schema_done(&backup_schema, &r.b);
	conf_done(&r.conf);
	return rc;
}

/* ---- the last voter goes on alone ------------------------------------------------------------------------- */

static int take_object(struct backup *b, const struct core_kv *kv, struct err *err)
{
	static const char node[] = "/gantry/node/", instance[] = "/gantry/instance/";
	struct secret secret;
	int rc = 0;

	if (strcmp(kv->key, "/gantry/cluster") == 0) {
		schema_done(&cluster_schema, &b->cluster);
		rc = schema_decode_text(&cluster_schema, &b->cluster, kv->value, err);
	} else if (strcmp(kv->key, "/gantry/secret") == 0) {
		rc = schema_decode_text(&secret_schema, &secret, kv->value, err);
		if (rc == 0) {
			b->ca_key = TAKE(secret.ca_key);
			schema_done(&secret_schema, &secret);
		}
	} else if (strncmp(kv->key, node, strlen(node)) == 0) {
		if (b->n_nodes == NODES_MAX)
			return err_set(err, ERR_TOO_BIG, "more than %d nodes", NODES_MAX);
		rc = schema_decode_text(&node_schema, schema_list_add(schema_find(&backup_schema, "nodes"), b), kv->value, err);
	} else if (strncmp(kv->key, instance, strlen(instance)) == 0) {
		if (b->n_instances == INSTANCES_MAX)
			return err_set(err, ERR_TOO_BIG, "more than %d instances", INSTANCES_MAX);
		rc = schema_decode_text(&instance_schema, schema_list_add(schema_find(&backup_schema, "instances"), b), kv->value, err);
	}
	return rc < 0 ? err_wrap(err, "%s", kv->key) : 0;
}

static int take_all(void *arg, const struct core_kv *kvs, int n_kvs, struct err *err)
{
	struct rebirth *r = arg;
	int rc = 0;

	for (int i = 0; i < n_kvs && rc == 0; i++)
		rc = take_object(&r->b, &kvs[i], err);
	if (rc == 0 && (!r->b.cluster.uuid[0] || !r->b.ca_key))
		rc = err_set(err, ERR_STORE, "this node's copy of the configuration is not whole");
	for (int i = 0; i < r->b.n_nodes && rc == 0; i++)
		if (strcmp(r->b.nodes[i].uuid, r->conf.node_uuid) == 0)
			r->me = &r->b.nodes[i];
	return rc;
}

/* One that answers is not lost, whether or not it has a majority. */
static int check_alone(struct noded *n, const struct rebirth *r, struct err *err)
{
	for (int i = 0; i < n->settings.n_nodes; i++) {
		const struct settings_node *o = &n->settings.nodes[i];

		if (o->candidate != 1 || strcmp(o->uuid, n->conf.node_uuid) == 0)
			continue;
		if (port_answers(o->address, (int)r->conf.etcd_client_port, RECOVER_PROBE_MS))
			return err_set(err, ERR_CLUSTER_EXISTS, "the voter on node '%s' answers: it is not lost", o->name),
			       err_hint(err, "bring back a majority of the voters; or switch that machine off first");
	}
	return 0;
}

/* Its data as the only member, on a copy: whatever happens, what it had is kept as it was. */
static int read_own(struct rebirth *r, struct err *err)
{
	AUTO_FREE char *data = conf_state_path(&r->conf, "etcd");
	const char *const copy[] = { "cp", "-a", "--", r->aside, data, NULL };
	AUTO_RESULT struct runner_result res = { 0 };
	struct err ignored = ERR_INIT;
	struct step_etcd e;

	schema_init(&step_etcd_schema, &e);
	(void)str_copy(e.name, sizeof(e.name), r->conf.node_name);
	(void)str_copy(e.address, sizeof(e.address), r->conf.address);
	e.lease_ms = r->conf.lease_ms;
	e.initial_cluster = xasprintf(strchr(e.address, ':') ? "%s=https://[%s]:%d" : "%s=https://%s:%d", e.name, e.address, (int)r->conf.etcd_peer_port);
	int rc = runner_must(spawn_runner(), copy, NULL, 60000, &res, err);
	if (rc == 0)
		rc = system_etcd_start_alone(&r->conf, &e, err);
	if (rc == 0)
		rc = first_read(&r->conf, take_all, r, err);
	IGNORE(system_etcd_stop(&r->conf, &ignored)); /* and the copy goes */
	schema_done(&step_etcd_schema, &e);
	return rc;
}

/* Nothing has been decided yet: as it was. */
static void put_back(struct rebirth *r, const char *yaml)
{
	AUTO_FREE char *data = conf_state_path(&r->conf, "etcd"), *file = conf_path(&r->conf, "etcd.yaml");
	const char *const argv[] = { "etcd", "--config-file", file, NULL };
	struct err err = ERR_INIT;

	if (r->aside && (rename(r->aside, data) < 0 || file_write_durable(file, yaml, 0600, &err) < 0 ||
			 service_start(&r->conf, spawn_runner(), "gantry-etcd", argv, &err) < 0 || system_masterd_start(&r->conf, &err) < 0))
		log_err_record(LOG_LEVEL_ERR, "starting the store again as it was", &err);
}

int bootstrap_recover(struct noded *n, const void *args, json_t **ret, struct err *err)
{
	const struct op_cluster_recover *a = args;
	struct rebirth r = { .me = NULL, .member = true, .said = a->reason ? a->reason : "" };
	AUTO_FREE char *yaml = NULL;

	if (!n->member)
		return err_set(err, ERR_NO_CLUSTER, "this machine is in no cluster");
	schema_init(&backup_schema, &r.b);
	conf_copy(&r.conf, &n->conf);
	AUTO_FREE char *data = conf_state_path(&r.conf, "etcd"), *file = conf_path(&r.conf, "etcd.yaml");
	int rc = uplink_ready(n) ? err_set(err, ERR_CLUSTER_EXISTS, "the cluster has a master") : 0;
	if (rc == 0 && (access(data, F_OK) < 0 || n->conf.witness))
		rc = err_set(err, ERR_WRONG_STATE, "node '%s' is no master candidate: it has no copy of the configuration", n->conf.node_name),
		(void)err_hint(err, "recover on a candidate; or 'gnt cluster restore' from a backup");
	if (rc == 0)
		rc = check_alone(n, &r, err);
	if (rc == 0)
		rc = file_read_text(file, 65536, &yaml, err);
	if (rc == 0)
		rc = put_aside(n, &r, err);
	if (rc == 0)
		rc = read_own(&r, err);
	if (rc == 0 && !r.me)
		rc = err_set(err, ERR_STORE, "this node is not in its own copy of the configuration");
	if (rc < 0)
		put_back(&r, yaml ? yaml : "");
	else
		rc = begin(n, &r, err);
	if (rc == 0)
		*ret = json_pack("{s:s, s:s, s:i, s:i, s:s}", "cluster", r.b.cluster.name, "master", r.me->name, "nodes", r.b.n_nodes, "instances",
				 r.b.n_instances, "lost_store", r.aside ? r.aside : "");
	free(r.aside);
	schema_done(&backup_schema, &r.b);
	conf_done(&r.conf);
	return rc;
}
