/* SPDX-License-Identifier: Apache-2.0 */
/* Planners for nodes: admit, promote, modify, remove, fence, maintenance. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/xmem.h"
#include "core/fence.h"
#include "core/lease.h"
#include "core/own.h"
#include "core/planners.h"

#define CLOCK_SKEW_MAX_MS 5000

static void add_node_change(struct plan *p, const struct state *st, const struct node *before, const struct node *after)
{
	struct step_node a;

	schema_init(&step_node_schema, &a);
	schema_done(&node_schema, &a.before);
	schema_done(&node_schema, &a.after);
	schema_copy(&node_schema, &a.before, before);
	schema_copy(&node_schema, &a.after, after);
	/* Its agents' passwords have no business in a job's record: named in neither, they stay as they are (core/apply.c). */
	if (st->cluster.schema_version >= 2 && a.before.fence && a.after.fence && strcmp(a.before.fence, a.after.fence) == 0) {
		free(a.before.fence);
		free(a.after.fence);
		a.before.fence = a.after.fence = NULL;
	}
	plan_add(p, st, STEP_KIND_node_change, NULL, &a);
	schema_done(&step_node_schema, &a);
}

/* The same as what the whole plan is for; after is done with. */
static void change_node(struct plan *p, const struct state *st, const struct snode *n, struct node *after)
{
	add_node_change(p, st, &n->n, after);
	p->steps[p->n_steps - 1].pivot = 1;
	schema_done(&node_schema, after);
}

/* ---- admit ---------------------------------------------------------------------------------------- */

int plan_node_admit(const struct state *st, const void *args, struct rng *rng, struct plan *ret, struct err *err)
{
	const struct op_node_admit *a = args;
	struct step_ref t;
	struct node n;

	(void)rng;
	const struct snode *there = state_node_named(st, a->name);
	if (there && strcmp(there->n.uuid, a->uuid) != 0)
		return err_set(err, ERR_EXISTS, "node '%s' is in the cluster already", a->name),
		       err_hint(err, "if it was set up anew: 'gnt node remove %s' first", a->name);
	if (state_instance_named(st, a->name))
		return err_set(err, ERR_EXISTS, "'%s' is the name of an instance", a->name);
	for (int i = 0; i < st->n_nodes; i++)
		if (strcmp(st->nodes[i]->n.uuid, a->uuid) != 0 && (strcmp(st->nodes[i]->n.address, a->address) == 0 ||
		    strcmp(st->nodes[i]->n.replication_address, a->replication_address) == 0))
			return err_set(err, ERR_EXISTS, "address '%s' or '%s' belongs to node '%s'", a->address, a->replication_address,
				       st->nodes[i]->n.name);
	int64_t skew = a->clock_skew_ms;
	if (skew > CLOCK_SKEW_MAX_MS || skew < -CLOCK_SKEW_MAX_MS)
		return err_set(err, ERR_WRONG_STATE, "the clock of '%s' is %lld ms off the master's", a->name, (long long)skew),
		       err_hint(err, "let both follow the same time server, then join again");
	schema_init(&step_ref_schema, &t);
	(void)str_copy(t.uuid, sizeof(t.uuid), a->token_id);
	plan_add(ret, st, STEP_KIND_token_delete, NULL, &t);
	schema_init(&node_schema, &n);
	(void)str_copy(n.uuid, sizeof(n.uuid), a->uuid);
	(void)str_copy(n.name, sizeof(n.name), a->name);
	(void)str_copy(n.address, sizeof(n.address), a->address);
	(void)str_copy(n.replication_address, sizeof(n.replication_address), a->replication_address);
	n.witness = a->witness;
	n.joined_ms = st->wall_ms;
	n.cert_expires_s = a->cert_expires_s;
	plan_add(ret, st, STEP_KIND_node_insert, NULL, &n)->pivot = 1;
	schema_done(&node_schema, &n);
	(void)snprintf(ret->summary, sizeof(ret->summary), "add node '%s'", a->name);
	return 0;
}

/* ---- voters ----------------------------------------------------------------------------------------- */

static void peer_url(const struct node *n, char *out, size_t size)
{
	(void)snprintf(out, size, strchr(n->address, ':') ? "https://[%s]:%d" : "https://%s:%d", n->address, PORT_ETCD_PEER);
}

static void member(const struct node *n, struct step_member *m)
{
	schema_init(&step_member_schema, m);
	(void)str_copy(m->node, sizeof(m->node), n->uuid);
	(void)str_copy(m->name, sizeof(m->name), n->name);
	peer_url(n, m->peer_url, sizeof(m->peer_url));
}

/* Members that etcd will have once the names before this one have joined: every starting member must be told all. */
static char *initial_cluster(const struct state *st, const struct snode *const *with, int n_with)
{
	struct buf b = BUF_INIT;
	char url[128];

	for (int i = 0; i < st->n_nodes; i++)
		if (st->nodes[i]->n.candidate == 1) {
			peer_url(&st->nodes[i]->n, url, sizeof(url));
			buf_printf(&b, "%s%s=%s", b.len ? "," : "", st->nodes[i]->n.name, url);
		}
	for (int i = 0; i < n_with; i++) {
		peer_url(&with[i]->n, url, sizeof(url));
		buf_printf(&b, "%s%s=%s", b.len ? "," : "", with[i]->n.name, url);
	}
	return buf_steal(&b);
}

static void add_masterd(const struct state *st, const struct snode *const *with, int n_with, const struct snode *n, struct plan *p)
{
	struct step_masterd m;

	schema_init(&step_masterd_schema, &m);
	m.lease_ms = st->cluster.lease_ms;
	for (int i = 0; i < st->n_nodes + n_with; i++) {
		const struct node *v = i < st->n_nodes ? &st->nodes[i]->n : &with[i - st->n_nodes]->n;
		char url[128];

		if (i < st->n_nodes && v->candidate != 1)
			continue;
		(void)snprintf(url, sizeof(url), strchr(v->address, ':') ? "https://[%s]:%d" : "https://%s:%d", v->address, PORT_ETCD_CLIENT);
		strs_add(&m.endpoints, &m.n_endpoints, url);
	}
	plan_add(p, st, STEP_KIND_masterd_start, n->n.uuid, &m);
	schema_done(&step_masterd_schema, &m);
}

static void add_promotion(const struct state *st, const struct snode *const *with, int k, struct plan *p)
{
	const struct snode *n = with[k];
	struct step_member m;
	struct step_etcd e;

	member(&n->n, &m);
	plan_add(p, st, STEP_KIND_member_add, NULL, &m);
	schema_init(&step_etcd_schema, &e);
	(void)str_copy(e.name, sizeof(e.name), n->n.name);
	(void)str_copy(e.address, sizeof(e.address), n->n.address);
	e.lease_ms = st->cluster.lease_ms;
	e.initial_cluster = initial_cluster(st, with, k + 1);
	plan_add(p, st, STEP_KIND_etcd_start, n->n.uuid, &e);
	schema_done(&step_etcd_schema, &e);
	plan_add(p, st, STEP_KIND_member_promote, NULL, &m);
}

int plan_node_promote(const struct state *st, const void *args, struct rng *rng, struct plan *ret, struct err *err)
{
	const struct op_node_promote *a = args;
	const struct snode *with[VOTERS_MAX];
	int n = 0;

	(void)rng;
	for (int i = 0; i < a->n_names && n < VOTERS_MAX; i++) {
		struct snode *s;
		int rc = state_need_node(st, a->names[i], &s, err);

		if (rc < 0)
			return rc;
		if (s->n.candidate == 1)
			continue;
		if (!s->connected)
			return err_set(err, ERR_NODE_DOWN, "node '%s' does not answer", s->n.name);
		with[n++] = s;
	}
	if (n == 0)
		return err_set(err, ERR_WRONG_STATE, "nobody is left to promote");
	for (int k = 0; k < n; k++)
		add_promotion(st, with, k, ret);
	for (int k = 0; k < n; k++)
		if (with[k]->n.witness != 1)
			add_masterd(st, with, n, with[k], ret);
	for (int k = 0; k < n; k++) {
		struct node after;

		schema_copy(&node_schema, &after, &with[k]->n);
		after.candidate = 1;
		add_node_change(ret, st, &with[k]->n, &after);
		schema_done(&node_schema, &after);
	}
	ret->steps[ret->n_steps - 1].pivot = 1;
	(void)snprintf(ret->summary, sizeof(ret->summary), "make '%s'%s voters", with[0]->n.name, n > 1 ? " and more" : "");
	return 0;
}

static int not_the_master(const struct state *st, const struct snode *n, struct err *err)
{
	if (strcmp(n->n.uuid, st->self) != 0)
		return 0;
	(void)err_set(err, ERR_WRONG_STATE, "node '%s' is the master", n->n.name);
	return err_hint(err, "'gnt cluster master-failover' on another candidate first");
}

static int add_demotion(const struct state *st, const struct snode *n, struct plan *p, struct err *err)
{
	struct step_member m;
	struct step_none none;

	int rc = not_the_master(st, n, err);
	if (rc < 0)
		return rc;
	if (part_voters(st) <= 3 && st->cluster.arbitration == 1)
		return err_set(err, ERR_NOT_SAFE, "with fewer than three voters disks cannot be arbitrated"),
		       err_hint(err, "add another candidate first, or 'gnt cluster modify --arbitration no'");
	schema_init(&step_none_schema, &none);
	member(&n->n, &m);
	plan_add(p, st, STEP_KIND_member_remove, NULL, &m)->pivot = 1;
	if (n->connected) {
		if (n->n.witness != 1)
			plan_add(p, st, STEP_KIND_masterd_stop, n->n.uuid, &none)->may_fail = 1;
		plan_add(p, st, STEP_KIND_etcd_stop, n->n.uuid, &none)->may_fail = 1;
	}
	return 0;
}

/* ---- modify, remove, fence --------------------------------------------------------------------------- */

static const char *has_disk_on(const struct state *st, const char *uuid)
{
	for (int i = 0; i < st->n_instances; i++)
		if (strs_has(st->instances[i]->i.nodes, st->instances[i]->i.n_nodes, uuid))
			return st->instances[i]->i.name;
	return NULL;
}

static int node_is_so(const struct state *st, const struct snode *n, const struct op_node_modify *a, struct plan *p, struct err *err)
{
	struct op_node_modify none;
	AUTO_FREE char *what = xasprintf("node '%s'", n->n.name);
	AUTO_FREE char *hint = xasprintf("'gnt node info %s' shows how it is; 'gnt node modify --help' what can be changed", n->n.name);

	schema_init(&op_node_modify_schema, &none);
	(void)str_copy(none.name, sizeof(none.name), a->name);
	int rc = plan_nothing(p, st, &op_node_modify_schema, a, &none, what, hint, err);
	schema_done(&op_node_modify_schema, &none);
	return rc;
}

int plan_node_modify(const struct state *st, const void *args, struct rng *rng, struct plan *ret, struct err *err)
{
	const struct op_node_modify *a = args;
	struct node after;
	struct snode *n;
	int rc = state_need_node(st, a->name, &n, err);

	(void)rng;
	if (rc < 0)
		return rc;
	schema_copy(&node_schema, &after, &n->n);
	if (a->drained >= 0)
		after.drained = a->drained;
	if (a->master_capable >= 0)
		after.master_capable = a->master_capable;
	if (a->auto_rejoin >= 0)
		after.auto_rejoin = a->auto_rejoin;
	if (a->offline >= 0) {
		after.offline = a->offline;
		if (a->offline == 0 && rejoin_held(n)) { /* a person lets it back */
			after.liveness = NODE_ONLINE;
			after.evidence = EVIDENCE_NONE;
			after.evidence_wrong = 0;
		}
		if (a->offline == 1 && strcmp(n->n.uuid, st->self) == 0)
			rc = err_set(err, ERR_WRONG_STATE, "node '%s' is the master", n->n.name),
			(void)err_hint(err, "'gnt cluster master-failover' on another candidate first");
	}
	/* It stands in the node's certificate, in its own file and in every DRBD resource's: they are made for it when it joins. */
	if (rc == 0 && a->secondary_ip[0] && strcmp(a->secondary_ip, n->n.replication_address) != 0)
		rc = err_set(err, ERR_NOT_SUPPORTED, "the replication address of node '%s' was given when it joined, and stays %s", n->n.name,
			     n->n.replication_address),
		(void)err_hint(err, "'gnt node evacuate %s', 'gnt node remove %s', then join it again with -s %s", n->n.name, n->n.name, a->secondary_ip);
	if (rc == 0 && a->fence && a->master_candidate >= 0) /* a job of several steps would carry the passwords along */
		rc = err_set(err, ERR_BAD_REQUEST, "--fence and --master-candidate do not go together"), (void)err_hint(err, "give one after the other");
	if (rc == 0 && a->fence) {
		struct step_fence f;

		schema_init(&step_fence_schema, &f);
		free(after.fence);
		after.fence = strcmp(a->fence, "none") == 0 ? NULL : xstrdup(a->fence);
		if (after.fence)
			rc = fence_parse(after.fence, &f, err);
		schema_done(&step_fence_schema, &f);
		after.power_proven_ms = after.power_checked_ms = 0; /* of the ones before */
	}
	if (rc == 0 && a->master_candidate == 0 && n->n.candidate == 1) {
		rc = add_demotion(st, n, ret, err);
		after.candidate = 0;
		after.master_capable = 0; /* else it would be promoted again at once */
	} else if (rc == 0 && a->master_candidate == 1 && n->n.candidate != 1) {
		after.master_capable = 1; /* promotion follows by itself, two at a time, when the number of voters stays odd */
	}
	(void)snprintf(ret->summary, sizeof(ret->summary), "modify node '%s'", n->n.name);
	if (rc == 0 && schema_equal(&node_schema, &after, &n->n)) {
		rc = node_is_so(st, n, a, ret, err);
	} else if (rc == 0) {
		add_node_change(ret, st, &n->n, &after);
		if (ret->n_steps == 1)
			ret->steps[0].pivot = 1;
	}
	schema_done(&node_schema, &after);
	return rc;
}

int plan_node_remove(const struct state *st, const void *args, struct rng *rng, struct plan *ret, struct err *err)
{
	const struct op_node_name *a = args;
	struct step_none none;
	struct step_ref ref;
	struct snode *n;
	int rc = state_need_node(st, a->name, &n, err);

	(void)rng;
	if (rc < 0)
		return rc;
	const char *user = has_disk_on(st, n->n.uuid);
	if (user)
		return err_set(err, ERR_WRONG_STATE, "instance '%s' has a disk on node '%s'", user, n->n.name),
		       err_hint(err, "'gnt node evacuate %s' moves them all", n->n.name);
	if (strcmp(n->n.uuid, st->self) == 0)
		return err_set(err, ERR_WRONG_STATE, "node '%s' is the master", n->n.name),
		       err_hint(err, "'gnt cluster master-failover' on another candidate first; the last node leaves with 'gnt cluster destroy'");
	if (n->n.candidate == 1) {
		rc = add_demotion(st, n, ret, err);
		if (rc < 0)
			return rc;
	}
	schema_init(&step_none_schema, &none);
	if (n->connected) {
		plan_add(ret, st, STEP_KIND_node_leave, n->n.uuid, &none)->may_fail = 1;
	} else { /* it does not learn of it: when it is back it still takes itself for a member */
		plan_left(ret, n, "gnt node leave");
	}
	schema_init(&step_ref_schema, &ref);
	(void)str_copy(ref.uuid, sizeof(ref.uuid), n->n.uuid);
	struct plan_step *s = plan_add(ret, st, STEP_KIND_node_delete, NULL, &ref);
	if (ret->n_steps == 1)
		s->pivot = 1;
	else
		ret->steps[0].pivot = 1;
	(void)snprintf(ret->summary, sizeof(ret->summary), "remove node '%s'", n->n.name);
	return 0;
}

static void off_by(struct node *after, const struct snode *n, enum evidence ev, const char *how)
{
	after->liveness = NODE_FENCED;
	after->evidence = (int)ev;
	free(after->evidence_text);
	after->evidence_text = ev == EVIDENCE_POWER ? xasprintf("its power was read back as off by a fence agent (%.200s)", how) :
			       xasprintf("a person confirmed that it is off%s%.300s", how[0] ? ": " : "", how);
	if (n->boot_id[0] || n->n.liveness != NODE_LOST) /* a master that never heard it rests on the boot in which it was lost */
		(void)str_copy(after->evidence_boot, sizeof(after->evidence_boot), n->boot_id);
	after->evidence_wrong = 0; /* a new word */
}

static const char *guest_on(const struct state *st, const struct snode *n)
{
	for (int i = 0; i < st->n_instances; i++) {
		const struct instance *in = &st->instances[i]->i;

		/* From a backup and not confirmed: it may be on any of its nodes. */
		if (own_confirmed(&in->own) ? strcmp(own_runner(&in->own), n->n.uuid) == 0 && in->admin_state == ADMIN_UP :
					      strs_has(in->nodes, in->n_nodes, n->n.uuid))
			return in->name;
	}
	return NULL;
}

enum power { POWER_OFF, POWER_DRILL, POWER_CHECK };

static int no_guest_on(const struct state *st, const struct snode *n, struct err *err)
{
	const char *guest = guest_on(st, n);

	if (!guest)
		return 0;
	(void)err_set(err, ERR_WRONG_STATE, "guest '%s' belongs on node '%s': a drill would end it", guest, n->n.name);
	return err_hint(err, "'gnt node maintenance %s on' first", n->n.name);
}

/* By its fence agents, run on the master's node: off, and read back. A drill switches it on again, a check only asks. */
static int fence_by_power(const struct state *st, const struct snode *n, enum power what, struct plan *p, struct err *err)
{
	struct step_fence f;
	struct node after;
	char names[200] = "";

	if (!n->n.fence)
		return err_set(err, ERR_BAD_REQUEST, "node '%s' has no fence agent", n->n.name),
		       err_hint(err, "'gnt node modify --fence agent=... %s', or make sure yourself that it is off and say --confirmed-off", n->n.name);
	int rc = what == POWER_CHECK ? 0 : not_the_master(st, n, err);
	if (rc == 0 && what == POWER_DRILL)
		rc = no_guest_on(st, n, err);
	if (rc == 0 && what == POWER_CHECK && !n->connected)
		rc = err_set(err, ERR_NODE_DOWN, "node '%s' does not answer: whether its power should read as on, nobody knows", n->n.name);
	if (rc < 0)
		return rc;
	schema_init(&step_fence_schema, &f);
	(void)str_copy(f.uuid, sizeof(f.uuid), n->n.uuid);
	(void)str_copy(f.name, sizeof(f.name), n->n.name);
	f.drill = what == POWER_DRILL;
	f.check = what == POWER_CHECK;
	rc = fence_parse(n->n.fence, &f, err);
	for (int i = 0; i < f.n_agents && rc == 0; i++) {
		size_t at = strlen(names);

		(void)snprintf(names + at, sizeof(names) - at, "%s%s", i ? ", " : "", f.agents[i].agent);
	}
	/* The agents' passwords go with the order only (core/job.c): the job's record names the node. */
	while (f.n_agents && st->cluster.schema_version >= 2) /* a master that knows less would order it with none */
		schema_list_remove(schema_find(&step_fence_schema, "agents"), &f, f.n_agents - 1);
	if (rc == 0)
		plan_add(p, st, STEP_KIND_fence_off, st->self, &f);
	schema_done(&step_fence_schema, &f);
	if (rc < 0)
		return rc;
	schema_copy(&node_schema, &after, &n->n);
	after.power_checked_ms = st->wall_ms;
	if (what != POWER_CHECK)
		after.power_proven_ms = st->wall_ms;
	if (what == POWER_OFF)
		off_by(&after, n, EVIDENCE_POWER, names);
	change_node(p, st, n, &after);
	(void)snprintf(p->summary, sizeof(p->summary), what == POWER_OFF ? "switch node '%.60s' off" : what == POWER_DRILL ? "fire drill: node '%.60s' off and on" :
						       "ask the fence agents of node '%.60s'", n->n.name);
	return 0;
}

/* Its proof is what the next boot finds; the node reports it, the reconciler keeps it. */
static int drill_watchdog(const struct state *st, const struct op_node_fence *a, const struct snode *n, struct plan *p, struct err *err)
{
	struct step_none none;

	if (a->yes_power_cycle != 1)
		return err_set(err, ERR_BAD_REQUEST, "the watchdog of node '%s' is tried by letting it reset the machine", n->n.name),
		       err_hint(err, "if that may happen now: --test --watchdog --yes-power-cycle");
	int rc = state_need_usable(st, n, err);
	if (rc == 0)
		rc = not_the_master(st, n, err);
	if (rc == 0)
		rc = no_guest_on(st, n, err);
	if (rc == 0 && (!n->seen.watchdog[0] || strcmp(n->seen.watchdog, "off") != 0))
		rc = err_set(err, ERR_WRONG_STATE, "the watchdog of node '%s' is '%s'", n->n.name, n->seen.watchdog[0] ? n->seen.watchdog : "not there"),
		err_hint(err, n->seen.watchdog[0] ? "no guest may be guarded there" : "start gantry-fenced on it");
	if (rc < 0)
		return rc;
	schema_init(&step_none_schema, &none);
	plan_add(p, st, STEP_KIND_watchdog_drill, n->n.uuid, &none)->pivot = 1;
	(void)snprintf(p->summary, sizeof(p->summary), "fire drill: the watchdog of node '%.60s' resets it", n->n.name);
	return 0;
}

int plan_node_fence(const struct state *st, const void *args, struct rng *rng, struct plan *ret, struct err *err)
{
	const struct op_node_fence *a = args;
	struct node after;
	struct snode *n;
	int rc = state_need_node(st, a->name, &n, err);

	(void)rng;
	if (rc < 0)
		return rc;
	if (a->test != 1 && (a->watchdog == 1 || a->yes_power_cycle == 1))
		return err_set(err, ERR_BAD_REQUEST, "--watchdog and --yes-power-cycle belong to a fire drill"), err_hint(err, "add --test");
	if (a->watchdog == 1)
		return drill_watchdog(st, a, n, ret, err);
	if (a->confirmed_off != 1)
		return fence_by_power(st, n, a->test != 1 ? POWER_OFF : a->yes_power_cycle == 1 ? POWER_DRILL : POWER_CHECK, ret, err);
	/* Its link may stand for long although its power has gone; but one that was heard just now answers, and the word came late. */
	if (n->connected && (n->n.liveness != NODE_LOST || st->now_ms - n->heard_ms < lease_suspect_ms(st->cluster.lease_ms)))
		return err_set(err, ERR_WRONG_STATE, "node '%s' answers: it is not off", n->n.name),
		       err_hint(err, "switch it off, or move its guests with 'gnt node migrate %s'", n->n.name);
	schema_copy(&node_schema, &after, &n->n);
	off_by(&after, n, EVIDENCE_PERSON, a->reason ? a->reason : "");
	change_node(ret, st, n, &after);
	(void)snprintf(ret->summary, sizeof(ret->summary), "record that node '%s' is off", n->n.name);
	return 0;
}

/* The record only: core/moves.c moves the guests, one ordinary migration each, and brings them back. */
int plan_node_maintenance(const struct state *st, const void *args, struct rng *rng, struct plan *ret, struct err *err)
{
	const struct op_node_maintenance *a = args;
	struct node after;
	struct snode *n;
	int rc = state_need_node(st, a->name, &n, err);

	(void)rng;
	if (rc < 0)
		return rc;
	if (n->n.maintenance == a->on)
		return err_set(err, ERR_WRONG_STATE, "maintenance of node '%s' is %s already", n->n.name, a->on == 1 ? "on" : "off");
	if (a->on == 1 && !n->connected)
		return err_set(err, ERR_NODE_DOWN, "node '%s' does not answer: nothing can be moved off it", n->n.name);
	schema_copy(&node_schema, &after, &n->n);
	after.maintenance = a->on;
	change_node(ret, st, n, &after);
	(void)snprintf(ret->summary, sizeof(ret->summary), "maintenance of node '%.60s': %s", n->n.name, a->on == 1 ? "on" : "off");
	return 0;
}
