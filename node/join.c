/* SPDX-License-Identifier: Apache-2.0 */
/* Joining a cluster by a token: an anonymous link to the master, pinned to the cluster's CA; a certificate comes back. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/xmem.h"
#include "io/files.h"
#include "io/pki.h"
#include "io/token.h"
#include "node/missing.h"
#include "node/node.h"
#include "node/system.h"
#include "schema/level.h"
#include "schema/wire.h"

#define JOIN_MS 30000
#define ADMIT_MS 540000 /* once asked: the job may have to wait for others that change the cluster */

struct joining {
	struct loop *loop;
	struct conf conf;
	struct join_token token;
	struct link_tls *tls;
	struct link *k;
	struct loop_timer *timer;
	int next;              /* address to try */
	bool asked;            /* the question is with a master that has not answered */
	bool said;             /* the master has answered: not another one is asked */
	char *csr, *key;
	struct msg_joined answer;
	bool answered;
	int rc;
	struct err err;
};

static void dial(struct joining *j);

static void on_open(void *arg, struct link *k, const char *peer)
{
	struct joining *j = arg;
	struct msg_join m;

	(void)peer;
	schema_init(&msg_join_schema, &m);
	(void)str_copy(m.token_id, sizeof(m.token_id), j->token.id);
	(void)str_copy(m.secret, sizeof(m.secret), j->token.secret);
	m.csr = j->csr;
	(void)str_copy(m.name, sizeof(m.name), j->conf.node_name);
	(void)str_copy(m.address, sizeof(m.address), j->conf.address);
	(void)str_copy(m.replication_address, sizeof(m.replication_address), j->conf.replication_address);
	(void)str_copy(m.version, sizeof(m.version), level_here.version);
	m.level_oldest = level_here.oldest;
	m.level_newest = level_here.newest;
	m.witness = j->conf.witness;
	m.wall_ms = loop_wall_ms(j->loop);
	AUTO_FREE char *text = wire_text("join", &msg_join_schema, &m);
	if (link_send(k, text, strlen(text)) < 0)
		return;
	j->asked = true;
	loop_timer_start(j->timer, ADMIT_MS, 0);
}

static int unknown(struct joining *j, const char *why)
{
	(void)err_set(&j->err, ERR_UNKNOWN_OUTCOME, "%s: this machine may have been recorded as a node, or not", why);
	return err_hint(&j->err, "if 'gnt node list' there shows '%s': 'gnt node remove %s'; then join with a new token", j->conf.node_name,
			j->conf.node_name);
}

static void on_frame(void *arg, struct link *k, const char *text, size_t len)
{
	struct joining *j = arg;
	struct wire w;

	j->asked = false;
	j->rc = wire_open(&w, text, len, &j->err);
	if (j->rc == 0) {
		schema_done(&msg_joined_schema, &j->answer);
		j->rc = wire_read_greeting(&w, &msg_joined_schema, &j->answer, &j->err);
		wire_done(&w);
	}
	if (j->rc == 0 && j->answer.error[0]) {
		j->rc = err_set(&j->err, (enum err_code)err_by_name(j->answer.error), "%s", j->answer.msg ? j->answer.msg : "refused");
		(void)err_hint(&j->err, "%s", j->answer.hint ? j->answer.hint : "");
	}
	j->answered = j->rc == 0;
	/* Another candidate may be the master; any other refusal is final. */
	j->said = j->rc != -ERR_NO_MASTER;
	link_close(k);
}

static void on_closed(void *arg, struct link *k, const struct err *err)
{
	struct joining *j = arg;

	(void)k;
	j->k = NULL;
	if (j->asked) { /* nobody else is asked: it would meet what this one has left */
		j->said = true;
		j->rc = unknown(j, "the master was lost before it answered");
	}
	if (j->said) {
		loop_stop(j->loop);
		return;
	}
	if (err && err->code && j->rc != -ERR_NO_MASTER) {
		j->rc = -err->code;
		j->err = *err;
	}
	dial(j);
}

static void dial(struct joining *j)
{
	static const struct link_cb cb = { .open = on_open, .frame = on_frame, .closed = on_closed };

	if (j->next >= 2 * j->token.n_addresses) { /* twice round */
		if (j->rc == 0)
			j->rc = err_set(&j->err, ERR_NO_MASTER, "none of the cluster's addresses answers");
		(void)err_wrap(&j->err, "joining");
		loop_stop(j->loop);
		return;
	}
	const char *address = j->token.addresses[j->next++ % j->token.n_addresses];
	j->k = link_dial(j->loop, address, j->token.port, "", j->tls, j->token.pin, &cb, j);
}

static void too_late(void *arg)
{
	struct joining *j = arg;

	j->said = true;
	j->rc = j->asked ? unknown(j, "the master has not answered in time") : err_set(&j->err, ERR_TIMEOUT, "the cluster does not answer the join in time");
	j->asked = false;
	if (j->k)
		link_close(j->k);
	else
		loop_stop(j->loop);
}

static int ask(struct joining *j, struct err *err)
{
	int rc = link_tls_new(NULL, NULL, NULL, NULL, &j->tls, err);

	if (rc < 0)
		return rc;
	j->loop = loop_new();
	j->timer = loop_timer_new(j->loop, too_late, j);
	loop_timer_start(j->timer, JOIN_MS, 0);
	dial(j);
	loop_run(j->loop);
	loop_timer_free(j->timer);
	loop_free(j->loop);
	link_tls_unref(j->tls);
	if (j->rc < 0)
		*err = j->err;
	return j->rc;
}

static int keep(struct joining *j, struct err *err)
{
	struct step_settings s;
	struct err ignored = ERR_INIT;
	int rc = schema_decode(&step_settings_schema, &s, j->answer.settings, err);

	if (rc < 0)
		return rc;
	rc = system_certs(&j->conf, j->answer.ca, j->answer.cert, j->key, err);
	if (rc == 0)
		rc = system_settings(&j->conf, &s, err);
	(void)str_copy(j->conf.node_uuid, sizeof(j->conf.node_uuid), j->answer.uuid);
	j->conf.lease_ms = s.lease_ms;
	if (rc == 0)
		rc = conf_save(&j->conf, err);
	if (rc < 0)
		IGNORE(system_forget(&j->conf, &ignored));
	schema_done(&step_settings_schema, &s);
	return rc;
}

static int prepare(struct noded *n, const struct op_node_join *a, struct joining *j, json_t **ret_details, struct err *err)
{
	struct missing m = { NULL };
	int rc = join_token_parse(a->token, &j->token, err);

	if (rc < 0)
		return rc;
	if (n->member)
		return err_set(err, ERR_CLUSTER_EXISTS, "this machine is in cluster '%s'", n->settings.cluster),
		       err_hint(err, "'gnt node remove %s' there first, if it is to change; if that was done while this machine was away: 'gnt node leave'", n->conf.node_name);
	j->conf.witness = a->witness == 1;
	own_addresses(a->address, a->secondary_ip, &j->conf, &m);
	missing_addresses(&j->conf, &m);
	missing_machine(&j->conf, &n->env, "", &m);
	missing_room(&j->conf, &m);
	missing_clock(&j->conf, loop_wall_ms(n->loop) / 1000, &m);
	rc = missing_end(&m, ret_details, err);
	return rc < 0 ? rc : pki_make_csr(j->conf.node_name, &j->csr, &j->key, err);
}

/* What the cluster uses and this machine has not: it is a node, but gets no guests until it has it. */
static json_t *lacking(struct noded *n, const struct joining *j)
{
	struct missing m = { NULL };
	struct step_settings s;
	struct err ignored = ERR_INIT;

	if (j->conf.witness || schema_decode(&step_settings_schema, &s, j->answer.settings, &ignored) < 0)
		return json_array();
	missing_storage(&n->env, s.vg_name, &m);
	schema_done(&step_settings_schema, &s);
	return m.list ? m.list : json_array();
}

int join_cluster(struct noded *n, const void *args, json_t **ret, struct err *err)
{
	struct joining j = { .rc = 0 };

	conf_copy(&j.conf, &n->conf);
	schema_init(&msg_joined_schema, &j.answer);
	int rc = prepare(n, args, &j, ret, err);
	if (rc == 0)
		rc = ask(&j, err);
	if (rc == 0)
		rc = keep(&j, err);
	if (rc == 0)
		*ret = json_pack("{s:s, s:s, s:I, s:o}", "node", j.conf.node_name, "uuid", j.answer.uuid, "job", (json_int_t)j.answer.job, "missing",
				 lacking(n, &j));
	free(j.csr);
	free(j.key);
	schema_done(&msg_joined_schema, &j.answer);
	conf_done(&j.conf);
	return rc;
}
