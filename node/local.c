/* SPDX-License-Identifier: Apache-2.0 */
/* Local clients: gnt, and DRBD's handlers. What this node can answer is answered here, the rest goes to the master. */
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/xmem.h"
#include "io/files.h"
#include "node/node.h"
#include "schema/level.h"

#define CALL_DEADLINE_MS 90000 /* a client waits no longer: see cli/ */
#define STALE_DEADLINE_MS 5000 /* a master without majority answers at once or not at all */

/* ---- answers ---------------------------------------------------------------------------------------- */

static void send_reply(struct nano_server *s, const struct nano_from *to, const struct msg_reply *r)
{
	AUTO_FREE char *text = schema_encode_text(&msg_reply_schema, r);

	if (strlen(text) > REPLY_MAX) {
		struct err err = ERR_INIT;

		(void)err_set(&err, ERR_TOO_BIG, "the answer of %zu bytes is larger than a message may be", strlen(text));
		(void)err_hint(&err, "name what you want to see");
		local_answer(s, to, r->id, NULL, &err);
		return;
	}
	nano_server_reply(s, to, text, strlen(text));
}

void local_answer(struct nano_server *s, const struct nano_from *to, const char *id, json_t *result, const struct err *err)
{
	struct msg_reply r;

	schema_init(&msg_reply_schema, &r);
	(void)str_copy(r.id, sizeof(r.id), id);
	r.result = result;
	if (err && err->code) {
		(void)str_copy(r.error, sizeof(r.error), err_name(err->code));
		r.msg = xstrdup(err->msg);
		r.hint = xstrdup(err_hint_text(err));
		(void)str_copy(r.field, sizeof(r.field), err->field);
	}
	send_reply(s, to, &r);
	schema_done(&msg_reply_schema, &r);
}

static void call_free(struct local_call *c)
{
	list_del(&c->link);
	free(c->text);
	free(c);
}

void local_reply(struct noded *n, const char *id, const char *text, size_t len)
{
	list_for_each_safe(l, &n->calls) {
		struct local_call *c = list_entry(l, struct local_call, link);

		if (strcmp(c->id, id) != 0)
			continue;
		nano_server_reply(c->server, &c->from, text, len);
		call_free(c);
		return;
	}
	/* To a request that this node itself made? */
	AUTO_JSON json_t *j = NULL;
	struct msg_reply r;
	struct err err = ERR_INIT;

	if (json_parse(text, len, REPLY_MAX, &j, &err) < 0 || schema_decode(&msg_reply_schema, &r, j, &err) < 0)
		return; /* nobody waits for it: the client has gone */
	takeover_reply(n, &r);
	schema_done(&msg_reply_schema, &r);
}

void local_resend(struct noded *n)
{
	/* The same request ids: the master answers a repeated change from its record. */
	list_for_each(l, &n->calls) {
		struct local_call *c = list_entry(l, struct local_call, link);

		c->sent = true;
		uplink_send_text(n, c->text);
	}
}

static void no_master(struct noded *n, struct err *err)
{
	if (!n->member)
		(void)err_set(err, ERR_NO_CLUSTER, "this machine is in no cluster");
	else if (n->refused.code)
		*err = n->refused;
	else if (uplink_no_majority(n))
		(void)err_set(err, ERR_NO_MAJORITY, "no majority of the voters answers: nothing can be decided");
	else
		(void)err_set(err, ERR_NO_MASTER, "no master answers on this node");
	if (n->member && err->code == ERR_NO_MASTER)
		(void)err_hint(err, "look whether a majority of the master candidates is up; this node's own view: 'gnt cluster status'");
}

void local_tick(struct noded *n)
{
	int64_t now = loop_now_ms(n->loop);

	list_for_each_safe(l, &n->calls) {
		struct local_call *c = list_entry(l, struct local_call, link);
		struct err err = ERR_INIT;

		if (now < c->deadline_ms)
			continue;
		if (c->sent && c->changes) { /* perhaps the answer was lost, not the request */
			(void)err_set(&err, ERR_UNKNOWN_OUTCOME, "the master has not answered: it may have begun this, or not");
			(void)err_hint(&err, "look with 'gnt job list' before you repeat it");
		} else {
			no_master(n, &err);
		}
		local_answer(c->server, &c->from, c->id, NULL, &err);
		call_free(c);
	}
}

/* ---- requests done here ----------------------------------------------------------------------------------- */

static const struct {
	enum op_index op;
	local_fn *fn;
	bool joins; /* the node is a member afterwards */
	bool leaves;
} here[] = {
	{ OP_cluster_init, bootstrap_init, true, false },      { OP_cluster_restore, bootstrap_restore, true, false },
	{ OP_cluster_recover, bootstrap_recover, true, false },
	{ OP_cluster_destroy, bootstrap_destroy, false, true }, { OP_node_prepare, prepare_machine, false, false },
	{ OP_node_join, join_cluster, true, false },           { OP_node_leave, bootstrap_leave, false, true },
};

struct local_job {
	struct noded *node;
	struct nano_server *server;
	struct nano_from from;
	char id[64];
	int row;
	void *args;
	json_t *result;
};

static int local_work(void *arg, struct err *err)
{
	struct local_job *j = arg;

	return here[j->row].fn(j->node, j->args, &j->result, err);
}

static bool makes_member(const struct local_job *j)
{
	bool only_checks = here[j->row].op == OP_cluster_init && ((const struct op_cluster_init *)j->args)->dry_run == 1;

	return here[j->row].joins && !only_checks;
}

static void local_done(void *arg, int rc, const struct err *err)
{
	struct local_job *j = arg;
	struct noded *n = j->node;
	struct err why = *err;

	if (rc == 0 && makes_member(j) && !n->stopping)
		rc = node_become_member(n, &why);
	if (rc == 0 && here[j->row].leaves && !n->stopping)
		node_left(n);
	if (rc == 0 && here[j->row].op == OP_node_prepare && !n->stopping)
		local_groups(n); /* it may have made them */
	if (!n->stopping)
		local_answer(j->server, &j->from, j->id, TAKE(j->result), rc < 0 ? &why : NULL); /* a refusal may carry details */
	json_decref(j->result);
	schema_done(op_infos[here[j->row].op].args, j->args);
	free(j->args);
	free(j);
}

static json_t *status(const struct noded *n)
{
	json_t *guests = json_array();

	for (int i = 0; i < n->seen.n_guests; i++)
		json_array_append_new(guests, json_string(n->seen.guests[i].name));
	return json_pack("{s:s, s:b, s:s, s:s, s:b, s:b, s:I, s:o, s:s}", "node", n->conf.node_name, "member", n->member, "cluster",
			 n->settings.cluster, "master", n->master, "link_primary", n->up[0].welcome, "link_replication", n->up[1].welcome,
			 "epoch", (json_int_t)n->epoch, "guests", guests, "version", level_here.version);
}

static void run_here(struct noded *n, struct nano_server *s, const struct nano_from *from, const struct msg_request *r, int row)
{
	struct err err = ERR_INIT;
	AUTO_JSON json_t *none = json_object();
	struct local_job *j = xcalloc(1, sizeof(*j));

	j->node = n;
	j->server = s;
	j->from = *from;
	j->row = row;
	(void)str_copy(j->id, sizeof(j->id), r->id);
	j->args = xcalloc(1, op_infos[here[row].op].args->size);
	if (schema_decode(op_infos[here[row].op].args, j->args, r->args ? r->args : none, &err) < 0) {
		local_answer(s, from, r->id, NULL, &err);
		free(j->args);
		free(j);
		return;
	}
	struct worker_job job = { .work = local_work, .done = local_done, .arg = j };
	workers_submit(n->workers, "bootstrap", &job); /* one lane: never two at once */
}

static void route_local(struct noded *n, struct nano_server *s, const struct nano_from *from, const struct msg_request *r, int op)
{
	struct err err = ERR_INIT;

	if (op == OP_cluster_status) {
		local_answer(s, from, r->id, status(n), NULL);
		return;
	}
	if (op == OP_cluster_master_failover) {
		takeover_start(n, s, from, r);
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(here); i++)
		if ((int)here[i].op == op) {
			run_here(n, s, from, r, (int)i);
			return;
		}
	(void)err_set(&err, ERR_NOT_SUPPORTED, "'%s' cannot be done here", op_infos[op].name);
	local_answer(s, from, r->id, NULL, &err);
}

static void forward(struct noded *n, struct nano_server *s, const struct nano_from *from, const struct msg_request *r, int op)
{
	int64_t now = loop_now_ms(n->loop);
	struct err err = ERR_INIT;

	AUTO_JSON json_t *j = schema_encode(&msg_request_schema, r);
	json_object_set_new(j, "type", json_string("request"));
	AUTO_FREE char *text = json_text(j);
	bool ready = uplink_ready(n), stale = !ready && n->member && uplink_ask_stale(n, text);
	if (!n->member || (!ready && !stale && uplink_no_majority(n))) {
		no_master(n, &err);
		local_answer(s, from, r->id, NULL, &err);
		return;
	}
	struct local_call *c = xcalloc(1, sizeof(*c));
	c->server = s;
	c->from = *from;
	(void)str_copy(c->id, sizeof(c->id), r->id);
	/* Between two masters it waits for the next. */
	c->deadline_ms = now + (ready ? CALL_DEADLINE_MS : stale ? STALE_DEADLINE_MS : 2 * n->conf.lease_ms);
	c->text = TAKE(text);
	c->changes = op_infos[op].kind != OP_QUERY;
	c->sent = ready;
	list_add_tail(&n->calls, &c->link);
	if (ready)
		uplink_send_text(n, c->text);
}

static void serve(struct noded *n, struct nano_server *s, bool admin, const struct nano_from *from, const char *text, size_t len)
{
	AUTO_JSON json_t *j = NULL;
	struct msg_request r;
	struct nano_who who;
	struct err err = ERR_INIT;

	if (json_parse(text, len, MESSAGE_MAX, &j, &err) < 0 || schema_decode(&msg_request_schema, &r, j, &err) < 0) {
		local_answer(s, from, json_str(j, "id", "?"), NULL, &err);
		return;
	}
	nano_server_redeem(s, r.ticket, &who);
	r.ticket[0] = '\0';
	r.admin = admin;
	if (who.uid >= 0)
		(void)snprintf(r.user, sizeof(r.user), "%s@%s", who.user, n->conf.node_name);
	else
		(void)snprintf(r.user, sizeof(r.user), "?@%s", n->conf.node_name);
	(void)str_copy(r.node, sizeof(r.node), n->conf.node_uuid);
	int op = op_by_name(r.op);
	if (strcmp(r.op, "drbd.handler") == 0 && admin) {
		arbitrate_handler(n, s, from, &r);
	} else if (op < 0) {
		(void)err_set(&err, ERR_BAD_REQUEST, "request '%s' does not exist", r.op);
		local_answer(s, from, r.id, NULL, &err);
	} else if (op_infos[op].acl == OP_ADMIN && !admin) {
		(void)err_set(&err, ERR_PERMISSION, "'gnt %s %s' changes things: this is the socket for readers", op_infos[op].group, op_infos[op].verb);
		local_answer(s, from, r.id, NULL, &err);
	} else if (op_infos[op].kind == OP_LOCAL) {
		route_local(n, s, from, &r, op);
	} else {
		forward(n, s, from, &r, op);
	}
	schema_done(&msg_request_schema, &r);
}

static void on_admin(void *arg, const struct nano_from *from, const char *text, size_t len)
{
	struct noded *n = arg;

	serve(n, n->admin, true, from, text, len);
}

static void on_read(void *arg, const struct nano_from *from, const char *text, size_t len)
{
	struct noded *n = arg;

	serve(n, n->read, false, from, text, len);
}

/* ---- sockets: who may connect is decided by the directory --------------------------------------------------- */

/* Opens a role's directory and sockets to its group. Without the group, or when we are not root, they stay their owner's alone. */
static void give_to_group(const struct noded *n, const char *role, const char *group)
{
	AUTO_FREE char *dir = conf_run_path(&n->conf, role);
	AUTO_FREE char *sock = xasprintf("%s/sock", dir), *ticket = xasprintf("%s/sock.ticket", dir);
	const char *const paths[] = { sock, ticket, dir }; /* the directory last: until then nobody gets in */
	struct group gr, *found = NULL;
	char room[4096];

	if (geteuid() != 0)
		return;
	if (getgrnam_r(group, &gr, room, sizeof(room), &found) != 0 || !found) {
		log_notice("there is no group '%s': only root may use %s", group, sock);
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
		if (chown(paths[i], (uid_t)-1, gr.gr_gid) < 0)
			log_warning("cannot give '%s' to group '%s'", paths[i], group);
}

void local_groups(struct noded *n)
{
	give_to_group(n, "admin", n->conf.admin_group);
	give_to_group(n, "read", n->conf.read_group);
}

static int listen_in(struct noded *n, const char *role, unsigned dir_mode, nano_on_request *fn, struct nano_server **ret, struct err *err)
{
	AUTO_FREE char *dir = conf_run_path(&n->conf, role);
	AUTO_FREE char *path = xasprintf("%s/sock", dir);
	int rc = dir_make(dir, dir_mode, err);

	return rc < 0 ? rc : nano_server_new(n->loop, path, 0660, fn, n, ret, err);
}

int local_new(struct noded *n, struct err *err)
{
	list_init(&n->calls);
	list_init(&n->handlers);
	int rc = listen_in(n, "admin", 0750, on_admin, &n->admin, err);

	if (rc == 0)
		rc = listen_in(n, "read", 0750, on_read, &n->read, err);
	if (rc == 0)
		local_groups(n);
	return rc;
}

void local_free(struct noded *n)
{
	list_for_each_safe(l, &n->calls)
		call_free(list_entry(l, struct local_call, link));
	list_for_each_safe(l, &n->handlers) {
		list_del(l);
		free(list_entry(l, struct handler_call, link));
	}
	if (n->admin)
		nano_server_free(n->admin);
	if (n->read)
		nano_server_free(n->read);
}
