/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens, joins and certificates: what the core cannot do because it needs secrets and random bytes. */
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/rng.h"
#include "common/xmem.h"
#include "core/state.h"
#include "io/pki.h"
#include "io/token.h"
#include "master/bridge.h"
#include "schema/level.h"

/* ---- tokens ------------------------------------------------------------------------------------ */

int master_prepare_token(struct master *m, struct msg_request *r, struct err *err)
{
	char hash[128];

	if (strcmp(r->op, "node.token") != 0 || r->admin != 1)
		return 0;
	struct pending_token *t = xcalloc(1, sizeof(*t));
	(void)str_copy(t->id, sizeof(t->id), r->id);
	pki_random_hex(t->token_id, 12);
	pki_random_hex(t->secret, 40);
	int rc = pki_hash_secret(t->secret, hash, err);
	if (rc < 0) {
		free(t);
		return rc;
	}
	if (!r->args)
		r->args = json_object();
	AUTO_JSON json_t *old = r->args;
	r->args = json_deep_copy(old); /* not the message's own */
	json_object_set_new(r->args, "secret_part", json_pack("{s:s, s:s}", "token_id", t->token_id, "token_hash", hash));
	list_add_tail(&m->tokens, &t->link);
	return 0;
}

static void fill_token(struct master *m, const struct pending_token *t, struct msg_reply *r)
{
	const struct state *st = core_state(m->core);
	struct join_token j = { .port = (int)m->conf.link_port };
	struct err err = ERR_INIT;

	(void)str_copy(j.id, sizeof(j.id), t->token_id);
	(void)str_copy(j.secret, sizeof(j.secret), t->secret);
	for (int i = 0; i < st->n_nodes && j.n_addresses < JOIN_ADDRESSES_MAX; i++)
		if (st->nodes[i]->n.candidate == 1 || strcmp(st->nodes[i]->n.uuid, m->self) == 0)
			(void)str_copy(j.addresses[j.n_addresses++], ADDR_LEN + 1, st->nodes[i]->n.address);
	if (pki_fingerprint(st->cluster.ca_cert, j.pin, &err) < 0) {
		(void)str_copy(r->error, sizeof(r->error), err_name(err.code));
		r->msg = xstrdup(err.msg);
		return;
	}
	AUTO_FREE char *text = join_token_text(&j);
	AUTO_JSON json_t *old = r->result;
	r->result = json_object_size(old) ? json_copy(old) : json_object();
	json_object_set_new(r->result, "token", json_string(text));
}

void master_finish_token(struct master *m, struct msg_reply *r)
{
	list_for_each_safe(l, &m->tokens) {
		struct pending_token *t = list_entry(l, struct pending_token, link);

		if (strcmp(t->id, r->id) != 0)
			continue;
		if (!r->error[0] && m->core)
			fill_token(m, t, r);
		list_del(l);
		explicit_bzero(t, sizeof(*t));
		free(t);
		return;
	}
}

/* ---- joins --------------------------------------------------------------------------------------- */

static void answer(struct peer *p, const struct err *err, const struct msg_reply *r, const char *cert, const char *ca)
{
	struct msg_joined j;

	schema_init(&msg_joined_schema, &j);
	if (err && err->code) {
		(void)str_copy(j.error, sizeof(j.error), err_name(err->code));
		j.msg = xstrdup(err->msg);
		j.hint = xstrdup(err_hint_text(err));
	} else {
		(void)str_copy(j.uuid, sizeof(j.uuid), p->join_uuid);
		j.cert = xstrdup(cert);
		j.ca = xstrdup(ca);
		j.job = json_int(r->result, "job", 0);
		j.settings = json_incref(json_object_get(r->result, "settings"));
	}
	master_send_msg(p, "joined", &msg_joined_schema, &j);
	schema_done(&msg_joined_schema, &j);
}

static int sign(struct master *m, const char *csr, const char *uuid, const char *name, const char *address, const char *replication,
		char **ret_cert, struct err *err)
{
	const struct state *st = core_state(m->core);
	AUTO_FREE char *repl_name = xasprintf("%s-repl", name);
	const char *dns[] = { name, repl_name, "localhost", NULL };
	const char *addresses[] = { address, strcmp(address, replication) ? replication : NULL, NULL };
	struct pki_names names = { .cn = name, .dns = dns, .addresses = addresses };

	(void)str_copy(names.uuid, sizeof(names.uuid), uuid);
	return pki_sign_csr_for(st->cluster.ca_cert, st->secret.ca_key, csr, &names, st->cluster.cert_life_s, ret_cert, err);
}

static int check_token(struct master *m, const struct msg_join *j, bool *ret_witness, struct err *err)
{
	const struct token *t = core_token(m->core, j->token_id);

	if (!t || !pki_check_secret(j->secret, t->hash))
		return err_set(err, ERR_BAD_TOKEN, "the join token is wrong, used or expired");
	if (t->node[0] && strcmp(t->node, j->name) != 0)
		return err_set(err, ERR_BAD_TOKEN, "the join token is for node '%s', this is '%s'", t->node, j->name);
	if (t->witness == 1 && j->witness != 1)
		return err_set(err, ERR_BAD_TOKEN, "the join token is for a witness, '%s' joins as a node with guests", j->name),
		       err_hint(err, "repeat it there with 'gantry-noded join --witness', or print another token");
	if (t->witness != 1 && j->witness == 1)
		return err_set(err, ERR_BAD_TOKEN, "the join token is for a node with guests, '%s' joins as a witness", j->name),
		       err_hint(err, "print one with 'gnt node token --witness'");
	*ret_witness = t->witness == 1;
	return 0;
}

static int admit(struct master *m, struct peer *p, const struct msg_join *j, struct err *err)
{
	struct op_node_admit a;
	bool witness = false;
	int rc = check_token(m, j, &witness, err);

	if (rc < 0)
		return rc;
	rc = level_check(j->name, j->version, j->level_oldest, j->level_newest, core_state(m->core)->cluster.schema_version, err);
	if (rc < 0)
		return rc;
	struct rng rng;
	char seed[17];
	pki_random_hex(seed, 16);
	rng_seed(&rng, strtoull(seed, NULL, 16));
	rng_uuid(&rng, p->join_uuid);
	rc = sign(m, j->csr, p->join_uuid, j->name, j->address, j->replication_address, &p->join_cert, err);
	if (rc < 0)
		return rc;
	schema_init(&op_node_admit_schema, &a);
	(void)str_copy(a.token_id, sizeof(a.token_id), j->token_id);
	(void)str_copy(a.uuid, sizeof(a.uuid), p->join_uuid);
	(void)str_copy(a.name, sizeof(a.name), j->name);
	(void)str_copy(a.address, sizeof(a.address), j->address);
	(void)str_copy(a.replication_address, sizeof(a.replication_address), j->replication_address);
	(void)str_copy(a.version, sizeof(a.version), j->version);
	a.witness = witness;
	a.clock_skew_ms = j->wall_ms - loop_wall_ms(m->loop); /* now: the job may have to wait for its turn */
	rc = pki_expires(p->join_cert, &a.cert_expires_s, err);
	if (rc < 0)
		return rc;
	core_join(m->core, p->serial, &a);
	return 0;
}

void master_join(struct master *m, struct peer *p, const struct msg_join *j)
{
	struct err err = ERR_INIT;

	p->join = xcalloc(1, sizeof(*p->join));
	schema_copy(&msg_join_schema, p->join, j);
	if (!master_speaks(m)) {
		(void)err_set(&err, ERR_NO_MASTER, "this node is not the master");
		answer(p, &err, NULL, NULL, NULL);
		return;
	}
	if (admit(m, p, j, &err) < 0) {
		log_err_record(LOG_LEVEL_WARNING, "join refused", &err);
		answer(p, &err, NULL, NULL, NULL);
	}
}

void master_joined(struct master *m, uint64_t client, const struct msg_reply *r)
{
	struct peer *p = master_peer(m, client);
	struct err err = ERR_INIT;

	if (!p)
		return;
	if (r->error[0]) {
		(void)err_set(&err, (enum err_code)err_by_name(r->error), "%s", r->msg ? r->msg : "");
		if (r->hint)
			(void)err_hint(&err, "%s", r->hint);
	}
	answer(p, &err, r, p->join_cert, core_state(m->core)->cluster.ca_cert);
}

/* ---- renewal ---------------------------------------------------------------------------------------- */

void master_sign(struct master *m, struct peer *p, const struct msg_sign *s)
{
	const struct snode *n = state_node(core_state(m->core), p->node);
	struct msg_signed a;
	struct err err = ERR_INIT;
	int rc;

	schema_init(&msg_signed_schema, &a);
	(void)str_copy(a.id, sizeof(a.id), s->id);
	if (!n)
		rc = err_set(&err, ERR_NOT_FOUND, "the node is not in the cluster");
	else
		rc = sign(m, s->csr, n->n.uuid, n->n.name, n->n.address, n->n.replication_address, &a.cert, &err);
	if (rc < 0)
		a.msg = xstrdup(err.msg);
	else
		a.ca = xstrdup(core_state(m->core)->cluster.ca_cert);
	master_send_msg(p, "signed", &msg_signed_schema, &a);
	schema_done(&msg_signed_schema, &a);
}
