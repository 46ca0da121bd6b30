/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 'gnt cluster master-failover', run on the node that shall be master. A living master is asked to hand over to this node; a dead one is
 * waited for as always (ttl and margin of the candidates' own clocks), and whoever succeeded it is asked. Nothing is decided here: the
 * store decides who is master (doc/design/005-mastership.adoc), this only asks and looks.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/xmem.h"
#include "node/node.h"

struct takeover {
	struct nano_server *server;
	struct nano_from from;
	char id[64];         /* the client's request */
	char asked_id[64];   /* ours to the master */
	char user[NAME_LEN + 1];
	char *reason;
	int64_t asked_epoch; /* of the master that was asked last */
	int64_t deadline_ms;
};

static void finish(struct noded *n, json_t *result, const struct err *err)
{
	struct takeover *t = n->takeover;

	n->takeover = NULL;
	local_answer(t->server, &t->from, t->id, result, err);
	free(t->reason);
	free(t);
}

static const struct settings_node *myself(const struct noded *n)
{
	for (int i = 0; i < n->settings.n_nodes; i++)
		if (strcmp(n->settings.nodes[i].uuid, n->conf.node_uuid) == 0)
			return &n->settings.nodes[i];
	return NULL;
}

static int check(const struct noded *n, struct err *err)
{
	const struct settings_node *me = myself(n);
	AUTO_BUF struct buf names = BUF_INIT;

	if (!n->member)
		return err_set(err, ERR_NO_CLUSTER, "this machine is in no cluster");
	if (n->takeover)
		return err_set(err, ERR_BUSY, "a master-failover is under way here"), err_hint(err, "wait for it");
	if (uplink_ready(n) && strcmp(n->master, n->conf.node_uuid) == 0)
		return err_set(err, ERR_WRONG_STATE, "node '%s' is the master already", n->conf.node_name),
		       err_hint(err, "run it on the node that shall be the master");
	if (me && me->candidate == 1 && me->witness != 1)
		return 0;
	for (int i = 0; i < n->settings.n_nodes; i++)
		if (n->settings.nodes[i].candidate == 1 && n->settings.nodes[i].witness != 1)
			buf_printf(&names, "%s%s", names.len ? ", " : "", n->settings.nodes[i].name);
	(void)err_set(err, ERR_WRONG_STATE, "node '%s' is %s", n->conf.node_name,
		      me && me->witness == 1 ? "a witness: it votes, but cannot be master" : "no master candidate");
	return err_hint(err, "run it on one of: %s", buf_str(&names));
}

void takeover_start(struct noded *n, struct nano_server *s, const struct nano_from *from, const struct msg_request *r)
{
	struct err err = ERR_INIT;

	if (check(n, &err) < 0) {
		local_answer(s, from, r->id, NULL, &err);
		return;
	}
	struct takeover *t = xcalloc(1, sizeof(*t));
	t->server = s;
	t->from = *from;
	(void)str_copy(t->id, sizeof(t->id), r->id);
	(void)str_copy(t->user, sizeof(t->user), r->user);
	t->reason = r->reason ? xstrdup(r->reason) : NULL;
	/* A dead master costs half a lease, its successor's hand-over a beat or two; the rest is for a loaded machine. */
	t->deadline_ms = loop_now_ms(n->loop) + 3 * n->conf.lease_ms + 10000;
	n->takeover = t;
	takeover_tick(n);
}

static void ask(struct noded *n, struct takeover *t)
{
	struct msg_request m;

	t->asked_epoch = n->epoch;
	(void)snprintf(t->asked_id, sizeof(t->asked_id), "%.40s.%lld", t->id, (long long)n->epoch);
	schema_init(&msg_request_schema, &m);
	(void)str_copy(m.id, sizeof(m.id), t->asked_id);
	(void)str_copy(m.op, sizeof(m.op), op_infos[OP_cluster_hand_over].name);
	m.args = json_pack("{s:s}", "name", n->conf.node_name);
	m.admin = 1;
	(void)str_copy(m.user, sizeof(m.user), t->user);
	(void)str_copy(m.node, sizeof(m.node), n->conf.node_uuid);
	m.reason = t->reason ? xstrdup(t->reason) : NULL;
	uplink_send(n, "request", &msg_request_schema, &m);
	schema_done(&msg_request_schema, &m);
}

void takeover_reply(struct noded *n, const struct msg_reply *r)
{
	struct takeover *t = n->takeover;
	struct err err = ERR_INIT;

	if (!t || strcmp(r->id, t->asked_id) != 0 || !r->error[0])
		return; /* a yes is seen when this node is the master */
	(void)err_set(&err, (enum err_code)err_by_name(r->error), "%s", r->msg ? r->msg : "refused");
	(void)err_hint(&err, "%s", r->hint ? r->hint : "");
	if (err_retryable(err.code)) { /* it lost its mastership meanwhile, or does not see this node yet: its successor, or again */
		t->asked_epoch = 0;
		t->asked_id[0] = '\0';
		return;
	}
	finish(n, NULL, &err);
}

void takeover_again(struct noded *n)
{
	if (n->takeover)
		n->takeover->asked_epoch = 0;
}

void takeover_tick(struct noded *n)
{
	struct takeover *t = n->takeover;

	if (!t)
		return;
	if (uplink_ready(n) && strcmp(n->master, n->conf.node_uuid) == 0) {
		finish(n, json_pack("{s:s, s:I}", "master", n->conf.node_name, "epoch", (json_int_t)n->epoch), NULL);
		return;
	}
	if (uplink_ready(n) && n->epoch != t->asked_epoch)
		ask(n, t);
	if (loop_now_ms(n->loop) < t->deadline_ms)
		return;
	struct err err = ERR_INIT;
	if (uplink_no_majority(n)) {
		(void)err_set(&err, ERR_NO_MAJORITY, "no majority of voters answers: nobody can be master");
		(void)err_hint(&err, "start the other master candidates; if they are lost for good: 'gnt cluster restore'");
	} else {
		(void)err_set(&err, ERR_TIMEOUT, "node '%s' has not become the master in time", n->conf.node_name);
		(void)err_hint(&err, "see 'journalctl -u gantry-masterd' here, and 'gnt cluster getmaster'");
	}
	finish(n, NULL, &err);
}

void takeover_free(struct noded *n)
{
	if (!n->takeover)
		return;
	free(n->takeover->reason);
	free(n->takeover);
	n->takeover = NULL;
}
