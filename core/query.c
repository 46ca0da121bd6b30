/* SPDX-License-Identifier: Apache-2.0 */
/* Answers from memory. */
#include <string.h>

#include "common/xmem.h"

#include "core/inside.h"
#include "core/own.h"
#include "core/restored.h"

static json_t *names(const struct core *c, char *const *uuids, int n)
{
	json_t *a = json_array();

	for (int i = 0; i < n; i++)
		json_array_append_new(a, json_string(state_node_name(&c->st, uuids[i])));
	return a;
}

static void set(json_t *o, const char *key, json_t *v)
{
	(void)json_object_set_new(o, key, v);
}

/* What a person calls the state of a guest: wanted and seen together (Ganeti's words). */
static const char *status(const struct core *c, const struct sinstance *s)
{
	const struct snode *n = state_node(&c->st, own_runner(&s->i.own));
	const struct obs_guest *g = n && n->connected ? state_seen_guest(n, s->i.uuid) : NULL;

	if (n && n->n.offline == 1)
		return "ERROR_nodeoffline";
	if (!n || !n->connected)
		return "ERROR_nodedown";
	if (!n->seen_ms)
		return "unknown";
	for (int i = 0; i < c->st.n_nodes; i++) {
		const struct snode *o = c->st.nodes[i];

		if (o != n && o->connected && state_seen_guest(o, s->i.uuid) && !s->i.own.target[0])
			return "ERROR_wrongnode";
	}
	if (g && s->i.admin_state == ADMIN_UP)
		return strcmp(g->state, "paused") == 0 && !s->i.own.target[0] ? "paused" : "running";
	if (g)
		return "ERROR_up";
	return s->i.admin_state == ADMIN_UP ? (s->busy_job ? "starting" : "ERROR_down") : "ADMIN_down";
}

static json_t *replica(const struct core *c, const struct sinstance *s, const char *node)
{
	const struct snode *n = state_node(&c->st, node);
	const struct obs_drbd *d = n && n->connected ? state_seen_drbd(n, s->i.uuid) : NULL;
	json_t *o = json_pack("{s:s, s:b}", "node", state_node_name(&c->st, node), "current", own_current(&s->i.own, node));

	if (d) {
		set(o, "role", json_string(d->role));
		set(o, "connection", json_string(d->conn));
		set(o, "disk", json_string(d->disk));
		set(o, "out_of_sync_kib", json_integer(d->out_of_sync_kib));
		set(o, "done_permille", json_integer(d->done_permille));
		set(o, "frozen", json_boolean(d->suspended == 1));
		set(o, "stale_mark", json_boolean(d->marked == 1));
	}
	return o;
}

/* What would happen if its node died, and what is in the way. */
static json_t *ha(const struct core *c, const struct sinstance *s)
{
	const struct instance *i = &s->i;
	enum ha_policy p = state_ha_policy(&c->st, i);
	bool guarded = i->guard_node[0] && i->guard_rev == state_ha_rev(&c->st, i) && strcmp(i->guard_node, own_runner(&i->own)) == 0;
	json_t *o = json_pack("{s:s, s:I, s:b}", "policy", ha_policy_names[p], "priority", (json_int_t)state_ha_priority(&c->st, i), "guarded", guarded);

	if (s->ha_why)
		set(o, "waits", json_string(s->ha_why));
	int64_t next = s->next_try_ms > s->next_start_ms ? s->next_try_ms : s->next_start_ms;

	if (s->tries + s->crashes)
		set(o, "restarts", json_integer(s->tries + s->crashes));
	if (next > c->st.now_ms)
		set(o, "next_try_in_ms", json_integer(next - c->st.now_ms));
	return o;
}

json_t *query_instance(const struct core *c, const struct sinstance *s)
{
	const struct instance *i = &s->i;
	struct beparams be;
	struct hvparams hv;
	json_t *o = schema_encode_public(&instance_schema, i);
	json_t *own = json_pack("{s:s, s:o, s:I, s:b, s:I, s:s}", "owner", state_node_name(&c->st, i->own.owner), "current",
				names(c, i->own.current, i->own.n_current), "gen", (json_int_t)i->own.gen, "arbitrated",
				i->own.arbitrated == 1, "since_ms", (json_int_t)i->own.since_ms, "evidence", evidence_names[i->own.evidence]);

	if (!own_confirmed(&i->own)) {
		const char *current[REPLICAS_MAX];
		char why[160];

		(void)restored_judge(&c->st, i, current, why);
		set(own, "unconfirmed", json_string(why[0] ? why : "restored from a backup"));
	}
	if (i->own.target[0])
		set(own, "migrating_to", json_string(state_node_name(&c->st, i->own.target)));
	if (i->own.tail[0]) { /* who lost, and whether acknowledged writes may be in what it has */
		set(own, "tail", json_string(state_node_name(&c->st, i->own.tail)));
		set(own, "tail_must", json_boolean(i->own.tail_must == 1));
	}
	if (i->own.evidence_text)
		set(own, "evidence_text", json_string(i->own.evidence_text));
	set(o, "own", own);
	set(o, "nodes", names(c, i->nodes, i->n_nodes));
	set(o, "status", json_string(status(c, s)));
	if (i->template == TEMPLATE_DRBD) {
		json_t *r = json_array();

		for (int k = 0; k < i->n_nodes; k++)
			json_array_append_new(r, replica(c, s, i->nodes[k]));
		set(o, "replicas", r);
	}
	state_fill_be(&c->st, i, &be);
	state_fill_hv(&c->st, i, &hv);
	set(o, "be_filled", schema_encode(&beparams_schema, &be));
	set(o, "hv_filled", schema_encode(&hvparams_schema, &hv));
	schema_done(&beparams_schema, &be);
	schema_done(&hvparams_schema, &hv);
	if (s->busy_job)
		set(o, "job", json_integer(s->busy_job));
	set(o, "ha", ha(c, s));
	return o;
}

static void add_text(json_t *row, const char *text)
{
	(void)json_array_append_new(row, json_string_nocheck(text));
}

static void add_number(json_t *row, int64_t n)
{
	(void)json_array_append_new(row, json_integer((json_int_t)n));
}

/* In the order of instance_columns. */
static const char *const instance_columns[] = { "name", "disk_template", "pnode", "snode", "status", "oper_ram", "disk", "current" };

static json_t *instance_line(const struct core *c, const struct sinstance *s)
{
	const struct instance *i = &s->i;
	const struct snode *n = state_node(&c->st, own_runner(&i->own));
	const struct obs_guest *g = n && n->connected ? state_seen_guest(n, i->uuid) : NULL;
	const char *other = state_other_node(i, own_runner(&i->own));
	int64_t size = 0;

	for (int d = 0; d < i->n_disks; d++)
		size += i->disks[d].size;
	json_t *row = json_array();
	add_text(row, i->name);
	add_text(row, template_names[i->template]);
	add_text(row, n ? n->n.name : "?");
	add_text(row, other[0] ? state_node_name(&c->st, other) : "");
	add_text(row, status(c, s));
	add_number(row, g ? g->memory_mib : 0);
	add_number(row, size);
	add_number(row, i->own.n_current);
	return row;
}

/* A row with its columns' names; takes it. */
static json_t *as_object(json_t *row)
{
	json_t *o = json_object();

	for (size_t k = 0; k < ARRAY_SIZE(instance_columns); k++)
		(void)json_object_set(o, instance_columns[k], json_array_get(row, k));
	json_decref(row);
	return o;
}

/* Fields that are sent on request only: thousands of lines have a limit. */
static void instance_more(const struct core *c, const struct instance *i, json_t *o)
{
	struct beparams be;

	state_fill_be(&c->st, i, &be);
	set(o, "memory", json_integer(be.memory));
	set(o, "vcpus", json_integer(be.vcpus));
	set(o, "ha", json_string(be.ha >= 0 ? ha_policy_names[be.ha] : ""));
	schema_done(&beparams_schema, &be);
	set(o, "uuid", json_string(i->uuid));
	set(o, "admin_state", json_string(admin_state_names[i->admin_state]));
	set(o, "disk_count", json_integer(i->n_disks));
	set(o, "nic_count", json_integer(i->n_nics));
	set(o, "mac", json_string(i->n_nics ? i->nics[0].mac : ""));
	set(o, "gen", json_integer(i->own.gen));
	set(o, "created_ms", json_integer(i->created_ms));
}

static void node_more(const struct core *c, const struct snode *n, json_t *o)
{
	set(o, "uuid", json_string(n->n.uuid));
	set(o, "mnode", json_integer(n->seen.memory_total_mib - n->seen.memory_free_mib));
	set(o, "ctotal", json_integer(n->seen.cpus));
	set(o, "pip", json_string(n->n.address));
	set(o, "sip", json_string(n->n.replication_address));
	set(o, "drained", json_boolean(n->n.drained == 1));
	set(o, "offline", json_boolean(n->n.offline == 1));
	set(o, "master_candidate", json_boolean(n->n.candidate == 1));
	set(o, "master_capable", json_boolean(n->n.master_capable == 1));
	set(o, "witness", json_boolean(n->n.witness == 1));
	set(o, "version", json_string(n->version));
	set(o, "hypervisor", json_string(n->seen.hypervisor));
	(void)c;
}

/* Of a full line only what was asked for; a field that does not exist is the request's mistake. */
static int only_fields(const struct op_list *a, json_t **line, struct err *err)
{
	json_t *o = json_object();

	for (int i = 0; i < a->n_fields; i++) {
		json_t *v = json_object_get(*line, a->fields[i]);

		if (!v) {
			json_decref(o);
			return err_set(err, ERR_UNKNOWN_FIELD, "unknown field '%s'", a->fields[i]);
		}
		(void)json_object_set(o, a->fields[i], v);
	}
	json_decref(*line);
	*line = o;
	return 0;
}

static int drop_on_error(int rc, json_t **ret)
{
	if (rc < 0) {
		json_decref(*ret);
		*ret = NULL;
	}
	return rc;
}

static bool wanted(const struct op_list *a, const char *name)
{
	return a->n_names == 0 || strs_has(a->names, a->n_names, name);
}

static int check_names(struct core *c, const struct op_list *a, bool instances, struct err *err)
{
	for (int i = 0; i < a->n_names; i++) {
		struct sinstance *s;
		struct snode *n;
		int rc = instances ? state_need_instance(&c->st, a->names[i], &s, err) : state_need_node(&c->st, a->names[i], &n, err);

		if (rc < 0)
			return rc;
	}
	return 0;
}

static int instance_list(struct core *c, const struct op_list *a, json_t **ret, struct err *err)
{
	int rc = check_names(c, a, true, err);

	if (rc < 0)
		return rc;
	json_t *columns = json_array(), *rows = json_array();

	for (size_t k = 0; k < ARRAY_SIZE(instance_columns); k++)
		add_text(columns, instance_columns[k]);
	for (int i = 0; i < c->st.n_instances && rc == 0; i++) {
		if (!wanted(a, c->st.instances[i]->i.name))
			continue;
		json_t *line = instance_line(c, c->st.instances[i]);

		if (a->n_fields) {
			line = as_object(line);
			instance_more(c, &c->st.instances[i]->i, line);
			rc = only_fields(a, &line, err);
		}
		json_array_append_new(rows, line);
	}
	if (a->n_fields) {
		json_decref(columns);
		*ret = rows;
	} else { /* Thousands of lines: the columns are named once, which halves the text and the work on both ends. */
		*ret = json_pack("{s:o, s:o}", "columns", columns, "rows", rows);
	}
	return drop_on_error(rc, ret);
}

/* A reply has a limit: thousands are listed, but not shown whole. */
#define INFO_AT_ONCE 100

static int instance_info(struct core *c, const struct op_instance_info *a, json_t **ret, struct err *err)
{
	int n = a->n_names ? a->n_names : c->st.n_instances;

	if (n > INFO_AT_ONCE)
		return err_set(err, ERR_TOO_BIG, "%d instances are too many to show at once: the limit is %d", n, INFO_AT_ONCE),
		       err_hint(err, "name them, or use 'gnt instance list'");
	json_t *list = json_array();
	for (int i = 0; i < n; i++) {
		struct sinstance *s = NULL;

		if (a->n_names) {
			int rc = state_need_instance(&c->st, a->names[i], &s, err);

			if (rc < 0) {
				json_decref(list);
				return rc;
			}
		} else {
			s = c->st.instances[i];
		}
		json_array_append_new(list, query_instance(c, s));
	}
	*ret = list;
	return 0;
}

static const char *node_role(const struct core *c, const struct snode *n)
{
	if (strcmp(n->n.uuid, c->st.self) == 0)
		return "M";
	if (n->n.offline == 1)
		return "O";
	if (n->n.drained == 1)
		return "D";
	if (n->n.witness == 1)
		return "W";
	return n->n.candidate == 1 ? "C" : "R";
}

static json_t *node_line(const struct core *c, const struct snode *n)
{
	int64_t dtotal = 0, dfree = 0;
	int p = 0, s = 0;

	for (int i = 0; i < n->seen.n_pools; i++)
		if (strcmp(n->seen.pools[i].name, c->st.cluster.vg_name) == 0) {
			dtotal = n->seen.pools[i].size_mib;
			dfree = n->seen.pools[i].free_mib;
		}
	for (int i = 0; i < c->st.n_instances; i++) {
		const struct instance *in = &c->st.instances[i]->i;

		if (!strs_has(in->nodes, in->n_nodes, n->n.uuid))
			continue;
		if (strcmp(own_runner(&in->own), n->n.uuid) == 0)
			p++;
		else
			s++;
	}
	return json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:i, s:i}", "name", n->n.name, "role", node_role(c, n), "status",
			 live_of(n) != NODE_ONLINE ? liveness_names[live_of(n)] : n->connected ? "online" : "silent", "dtotal", (json_int_t)dtotal, "dfree",
			 (json_int_t)dfree, "mtotal", (json_int_t)n->seen.memory_total_mib, "mfree", (json_int_t)n->seen.memory_free_mib,
			 "pinst_cnt", p, "sinst_cnt", s);
}

static int node_list(struct core *c, const struct op_list *a, json_t **ret, struct err *err)
{
	int rc = check_names(c, a, false, err);

	if (rc < 0)
		return rc;
	*ret = json_array();
	for (int i = 0; i < c->st.n_nodes && rc == 0; i++) {
		if (!wanted(a, c->st.nodes[i]->n.name))
			continue;
		json_t *line = node_line(c, c->st.nodes[i]);

		if (a->n_fields) {
			node_more(c, c->st.nodes[i], line);
			rc = only_fields(a, &line, err);
		}
		json_array_append_new(*ret, line);
	}
	return drop_on_error(rc, ret);
}

static json_t *node_whole(const struct core *c, const struct snode *n)
{
	json_t *primary = json_array(), *secondary = json_array(), *problems = json_array();

	for (int i = 0; i < c->st.n_instances; i++) {
		const struct instance *in = &c->st.instances[i]->i;

		if (!strs_has(in->nodes, in->n_nodes, n->n.uuid))
			continue;
		json_array_append_new(strcmp(own_runner(&in->own), n->n.uuid) == 0 ? primary : secondary, json_string(in->name));
	}
	for (int i = 0; i < n->seen.n_problems; i++)
		json_array_append_new(problems, json_string(n->seen.problems[i]));
	json_t *o = schema_encode_public(&node_schema, &n->n);
	json_object_update_new(o, node_line(c, n));
	set(o, "primary_instances", primary);
	set(o, "secondary_instances", secondary);
	set(o, "problems", problems);
	set(o, "hypervisor", json_string(n->seen.hypervisor));
	set(o, "cpus", json_integer(n->seen.cpus));
	set(o, "proven", json_string(n->n.power_proven_ms && n->n.watchdog_proven_ms ? "watchdog and power fence" : n->n.power_proven_ms ? "power fence only" :
				     n->n.watchdog_proven_ms ? "watchdog only" : "never"));
	set(o, "watchdog", json_string(n->seen.watchdog[0] ? n->seen.watchdog : "none"));
	if (n->seen.watchdog_problem)
		set(o, "watchdog_problem", json_string(n->seen.watchdog_problem));
	if (live_of(n) != NODE_ONLINE)
		set(o, "no_beat_for_ms", json_integer(c->st.now_ms - n->granted_ms));
	set(o, "boot_id", json_string(n->boot_id));
	set(o, "version", json_string(n->version));
	set(o, "links", json_pack("{s:b, s:b}", "primary", (n->links & 1) != 0, "replication", (n->links & 2) != 0));
	if (!n->connected && n->silent_since_ms)
		set(o, "silent_ms", json_integer(c->st.now_ms - n->silent_since_ms));
	return o;
}

/* One that is named is the answer; several, and all, are a list. */
static int node_info(struct core *c, const struct op_node_info *a, json_t **ret, struct err *err)
{
	json_t *list = json_array();

	for (int i = 0; i < (a->n_names ? a->n_names : c->st.n_nodes); i++) {
		struct snode *n = a->n_names ? NULL : c->st.nodes[i];
		int rc = n ? 0 : state_need_node(&c->st, a->names[i], &n, err);

		if (rc < 0) {
			json_decref(list);
			return rc;
		}
		(void)json_array_append_new(list, node_whole(c, n));
	}
	if (a->n_names == 1) {
		*ret = json_incref(json_array_get(list, 0));
		json_decref(list);
	} else {
		*ret = list;
	}
	return 0;
}


static int cluster_info(struct core *c, json_t **ret)
{
	json_t *o = schema_encode_public(&cluster_schema, &c->st.cluster), *voters = json_array();

	for (int i = 0; i < c->st.n_nodes; i++)
		if (c->st.nodes[i]->n.candidate == 1)
			json_array_append_new(voters, json_string(c->st.nodes[i]->n.name));
	set(o, "master", json_string(state_node_name(&c->st, c->st.self)));
	set(o, "epoch", json_integer(c->st.epoch));
	set(o, "voters", voters);
	set(o, "nodes", json_integer(c->st.n_nodes));
	set(o, "instances", json_integer(c->st.n_instances));
	set(o, "jobs_open", json_integer(core_jobs_open(c)));
	json_object_del(o, "ca_cert");
	json_object_del(o, "cpu_xml");
	*ret = o;
	return 0;
}

static json_t *job_line(const struct cjob *j)
{
	json_t *o = json_pack("{s:I, s:s, s:s, s:s, s:s, s:I}", "id", (json_int_t)j->j.id, "op", j->j.op, "state", job_state_names[j->j.state],
			      "summary", j->j.summary, "user", j->j.user, "created_ms", (json_int_t)j->j.created_ms);

	if (j->j.started_ms != FIELD_UNSET)
		set(o, "started_ms", json_integer(j->j.started_ms));
	if (j->j.ended_ms != FIELD_UNSET)
		set(o, "ended_ms", json_integer(j->j.ended_ms));
	if (j->j.reason)
		set(o, "reason", json_string(j->j.reason));
	if (j->j.error[0])
		set(o, "error", json_string(j->j.error_msg ? j->j.error_msg : j->j.error));
	return o;
}

static int job_list(struct core *c, const struct op_job_list *a, json_t **ret)
{
	int64_t left = a->limit;

	*ret = json_array();
	for (int i = c->n_jobs - 1; i >= 0 && left > 0; i--) {
		const struct cjob *j = c->jobs[i];

		if ((a->running == 1 && job_ended(j)) || (a->error == 1 && j->j.state != JOB_ERROR) ||
		    (a->pending == 1 && j->j.state != JOB_QUEUED && j->j.state != JOB_WAITING) || (a->finished == 1 && !job_ended(j)))
			continue;
		json_array_insert_new(*ret, 0, job_line(j));
		left--;
	}
	return 0;
}

/* How long it took, or has taken so far; its undo is not counted. */
static json_t *job_step(const struct core *c, const struct cjob *j, int i)
{
	const struct plan_step *s = &j->j.steps[i];
	json_t *o = json_pack("{s:i, s:s, s:s, s:s, s:s}", "n", i, "kind", s->kind, "node", s->node[0] ? state_node_name(&c->st, s->node) : "master", "text",
			      s->text, "state", step_state_names[j->step[i]]);
	bool ended = s->ended_ms != FIELD_UNSET;

	if (s->started_ms == FIELD_UNSET)
		return o;
	int64_t took = (ended ? s->ended_ms : c->st.wall_ms) - s->started_ms;
	set(o, "started_ms", json_integer(s->started_ms));
	if (ended)
		set(o, "ended_ms", json_integer(s->ended_ms));
	if (ended || j->step[i] == STEP_STARTED)
		set(o, "took_ms", json_integer(took > 0 ? took : 0)); /* a wall clock may have been set back meanwhile */
	return o;
}

static int job_info(struct core *c, const struct op_job_id *a, json_t **ret, struct err *err)
{
	struct cjob *j = job_find(c, a->id);

	if (!j)
		return err_set(err, ERR_NOT_FOUND, "job %lld does not exist", (long long)a->id);
	json_t *o = job_news_json(c, j, 0), *steps = json_array();
	for (int i = 0; i < j->j.n_steps; i++)
		json_array_append_new(steps, job_step(c, j, i));
	set(o, "plan", steps);
	set(o, "user", json_string(j->j.user));
	if (j->j.reason)
		set(o, "reason", json_string(j->j.reason));
	set(o, "created_ms", json_integer(j->j.created_ms));
	if (j->j.started_ms != FIELD_UNSET)
		set(o, "started_ms", json_integer(j->j.started_ms));
	if (j->j.ended_ms != FIELD_UNSET)
		set(o, "ended_ms", json_integer(j->j.ended_ms));
	*ret = o;
	return 0;
}

static int console_info(struct core *c, const struct op_instance_name *a, json_t **ret, struct err *err)
{
	struct sinstance *s;
	int rc = state_need_instance(&c->st, a->name, &s, err);

	if (rc < 0)
		return rc;
	const struct snode *n = state_node(&c->st, own_runner(&s->i.own));
	if (!n || !n->connected || !state_seen_guest(n, s->i.uuid))
		return err_set(err, ERR_WRONG_STATE, "guest '%s' does not run", a->name), err_hint(err, "'gnt instance startup %s'", a->name);
	struct hvparams hv;
	state_fill_hv(&c->st, &s->i, &hv);
	bool serial = hv.serial_console == 1;
	schema_done(&hvparams_schema, &hv);
	if (!serial)
		return err_set(err, ERR_WRONG_STATE, "guest '%s' has no serial console", a->name),
		       err_hint(err, "'gnt instance modify -H serial_console=yes %s', then reboot it; or use its VNC console", a->name);
	*ret = json_pack("{s:s, s:s, s:s, s:s, s:s}", "node", n->n.name, "node_uuid", n->n.uuid, "address", n->n.address, "domain", s->i.name,
			 "hypervisor", n->seen.hypervisor);
	return 0;
}

#define PAGE_BYTES (200 * 1024) /* of instances: a reply has a limit */

/* change: pages with the same number belong together. */
static int export(struct core *c, const struct op_cluster_export *a, json_t **ret)
{
	json_t *(*encode)(const struct schema *s, const void *obj) = a->secrets == 1 ? schema_encode : schema_encode_public;
	json_t *instances = json_array(), *o = json_pack("{s:I, s:o}", "change", (json_int_t)outbox_last_seq(c->out), "instances", instances);
	size_t bytes = 0;
	int i = (int)a->from;

	for (; i < c->st.n_instances && bytes < PAGE_BYTES; i++) {
		json_t *one = encode(&instance_schema, &c->st.instances[i]->i);
		AUTO_FREE char *text = json_text(one);

		bytes += strlen(text);
		json_array_append_new(instances, one);
	}
	if (i < c->st.n_instances)
		set(o, "next", json_integer(i));
	*ret = o;
	if (a->from > 0)
		return 0;
	json_t *nodes = json_array();
	for (int k = 0; k < c->st.n_nodes; k++)
		json_array_append_new(nodes, encode(&node_schema, &c->st.nodes[k]->n));
	set(o, "format", json_string(BACKUP_FORMAT));
	set(o, "wall_ms", json_integer(c->st.wall_ms));
	set(o, "master", json_string(state_node_name(&c->st, c->st.self)));
	set(o, "epoch", json_integer(c->st.epoch));
	set(o, "cluster", encode(&cluster_schema, &c->st.cluster));
	set(o, "nodes", nodes);
	if (a->secrets == 1)
		set(o, "ca_key", json_string(c->st.secret.ca_key));
	return 0;
}

static int event_list(struct core *c, json_t **ret)
{
	*ret = json_array();
	for (int i = 0; i < c->n_events; i++)
		json_array_append_new(*ret, json_pack("{s:I, s:s}", "wall_ms", (json_int_t)c->events[i].wall_ms, "text", c->events[i].text));
	return 0;
}

int query_run(struct core *c, enum op_index op, const void *args, json_t **ret, struct err *err)
{
	switch (op) {
	case OP_cluster_info: return cluster_info(c, ret);
	case OP_cluster_ha_report: return ha_report(c, args, ret, err);
	case OP_cluster_verify: *ret = verify_run(c); return 0;
	case OP_cluster_getmaster: *ret = json_pack("{s:s}", "master", state_node_name(&c->st, c->st.self)); return 0;
	case OP_cluster_export: return export(c, args, ret);
	case OP_node_list: return node_list(c, args, ret, err);
	case OP_node_info: return node_info(c, args, ret, err);
	case OP_instance_list: return instance_list(c, args, ret, err);
	case OP_instance_info: return instance_info(c, args, ret, err);
	case OP_instance_console_info: return console_info(c, args, ret, err);
	case OP_job_list: return job_list(c, args, ret);
	case OP_job_info: return job_info(c, args, ret, err);
	case OP_event_list: return event_list(c, ret);
	case OP_disk_list_tails: return tails_list(c, args, ret, err);
	default: return err_set(err, ERR_NOT_SUPPORTED, "'%s' is no query to the master", op_infos[op].name);
	}
}
