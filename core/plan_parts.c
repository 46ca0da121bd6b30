/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/rule.h"
#include "common/xmem.h"
#include "core/own.h"
#include "core/planners.h"

const char *part_pool(const struct state *st, const struct instance *i, const struct disk *d)
{
	if (i->template == TEMPLATE_FILE)
		return st->cluster.file_dir;
	return d->vg && d->vg[0] ? d->vg : st->cluster.vg_name;
}

static void fill_volume(const struct state *st, const struct instance *i, int index, const char *suffix, int64_t size, struct step_volume *v)
{
	const struct disk *d = &i->disks[index];

	(void)str_copy(v->backend, sizeof(v->backend), i->template == TEMPLATE_FILE ? "file" : "lvm");
	(void)str_copy(v->pool, sizeof(v->pool), part_pool(st, i, d));
	(void)snprintf(v->name, sizeof(v->name), "%s.disk%d%s", i->uuid, index, suffix);
	(void)str_copy(v->owner, sizeof(v->owner), d->uuid);
	v->size = size;
}

static void volume(const struct state *st, const struct instance *i, int index, const char *suffix, int64_t size, struct step_volumes *ret)
{
	fill_volume(st, i, index, suffix, size, schema_list_add(schema_find(&step_volumes_schema, "volumes"), ret));
}

void part_data(const struct state *st, const struct instance *i, int index, struct step_volume *ret)
{
	fill_volume(st, i, index, i->template == TEMPLATE_DRBD ? "_data" : "", i->disks[index].size, ret);
}

void part_volumes(const struct state *st, const struct instance *i, struct step_volumes *ret)
{
	schema_init(&step_volumes_schema, ret);
	(void)str_copy(ret->uuid, sizeof(ret->uuid), i->uuid);
	for (int d = 0; d < i->n_disks; d++) {
		volume(st, i, d, i->template == TEMPLATE_DRBD ? "_data" : "", i->disks[d].size, ret);
		if (i->template == TEMPLATE_DRBD)
			volume(st, i, d, "_meta", DRBD_META_MIB, ret);
	}
}

const char *part_resource_name(const struct instance *i)
{
	return i->resource && i->resource[0] ? i->resource : i->name;
}

void part_drbd_conf(const struct state *st, const struct instance *i, char *const *nodes, bool arbitrated, struct step_drbd_conf *ret)
{
	schema_init(&step_drbd_conf_schema, ret);
	(void)str_copy(ret->uuid, sizeof(ret->uuid), i->uuid);
	(void)str_copy(ret->resource, sizeof(ret->resource), part_resource_name(i));
	(void)str_copy(ret->secret, sizeof(ret->secret), i->secret ? i->secret : "");
	ret->port = i->port;
	ret->arbitrated = arbitrated;
	ret->resync_rate = st->cluster.resync_rate;
	ret->gen = i->own.gen;
	for (int d = 0; d < i->n_disks; d++) {
		struct step_drbd_volume *v = schema_list_add(schema_find(&step_drbd_conf_schema, "volumes"), ret);
		const char *pool = part_pool(st, i, &i->disks[d]);

		v->index = d;
		v->minor = i->disks[d].minor;
		(void)snprintf(v->disk, sizeof(v->disk), "/dev/%s/%s.disk%d_data", pool, i->uuid, d);
		(void)snprintf(v->meta, sizeof(v->meta), "/dev/%s/%s.disk%d_meta", pool, i->uuid, d);
	}
	for (int k = 0; k < 2; k++) {
		const struct snode *n = state_node(st, nodes[k]);
		struct step_drbd_peer *p = schema_list_add(schema_find(&step_drbd_conf_schema, "peers"), ret);

		(void)str_copy(p->uuid, sizeof(p->uuid), nodes[k]);
		(void)str_copy(p->hostname, sizeof(p->hostname), n ? n->n.name : "gone");
		(void)str_copy(p->address, sizeof(p->address), n ? n->n.replication_address : "192.0.2.1");
	}
}

void part_resource(const struct instance *i, struct step_resource *ret)
{
	schema_init(&step_resource_schema, ret);
	(void)str_copy(ret->uuid, sizeof(ret->uuid), i->uuid);
	(void)str_copy(ret->resource, sizeof(ret->resource), part_resource_name(i));
	if (strcmp(ret->resource, i->name) != 0)
		(void)str_copy(ret->name, sizeof(ret->name), i->name);
	ret->gen = i->own.gen;
	ret->arbitrated = i->own.arbitrated;
}

void part_guest(const struct state *st, const struct instance *i, struct step_guest *ret)
{
	schema_init(&step_guest_schema, ret);
	(void)str_copy(ret->uuid, sizeof(ret->uuid), i->uuid);
	(void)str_copy(ret->name, sizeof(ret->name), i->name);
	schema_done(&beparams_schema, &ret->be);
	schema_done(&hvparams_schema, &ret->hv);
	state_fill_be(st, i, &ret->be);
	state_fill_hv(st, i, &ret->hv);
	if (st->cluster.cpu_xml)
		ret->cpu_xml = xstrdup(st->cluster.cpu_xml);
	for (int d = 0; d < i->n_disks; d++) {
		struct step_guest_disk *g = schema_list_add(schema_find(&step_guest_schema, "disks"), ret);
		const char *pool = part_pool(st, i, &i->disks[d]);

		g->block = i->template != TEMPLATE_FILE;
		if (i->template == TEMPLATE_DRBD)
			(void)snprintf(g->path, sizeof(g->path), "/dev/drbd%lld", (long long)i->disks[d].minor);
		else if (i->template == TEMPLATE_FILE)
			(void)snprintf(g->path, sizeof(g->path), "%.150s/%s.disk%d", pool, i->uuid, d);
		else
			(void)snprintf(g->path, sizeof(g->path), "/dev/%s/%s.disk%d", pool, i->uuid, d);
	}
	for (int k = 0; k < i->n_nics; k++) {
		struct nic *nic = schema_list_add(schema_find(&step_guest_schema, "nics"), ret);

		schema_copy(&nic_schema, nic, &i->nics[k]);
		if (!nic->link || !nic->link[0]) {
			free(nic->link);
			nic->link = xstrdup(st->cluster.bridge);
		}
	}
	ret->arbitrated = i->own.arbitrated;
	ret->gen = i->own.gen;
}

void part_guest_ref(const struct instance *i, struct step_guest_ref *ret)
{
	schema_init(&step_guest_ref_schema, ret);
	(void)str_copy(ret->uuid, sizeof(ret->uuid), i->uuid);
	(void)str_copy(ret->name, sizeof(ret->name), i->name);
	ret->arbitrated = i->own.arbitrated;
	ret->gen = i->own.gen;
}

struct plan_step *add_resource(struct plan *p, const struct state *st, enum step_kind kind, const char *node, const struct instance *i, bool force)
{
	struct step_resource a;

	part_resource(i, &a);
	a.force = force;
	return plan_add(p, st, kind, node, &a);
}

struct plan_step *add_volumes(struct plan *p, const struct state *st, enum step_kind kind, const char *node, const struct instance *i)
{
	struct step_volumes a;

	part_volumes(st, i, &a);
	struct plan_step *s = plan_add(p, st, kind, node, &a);
	schema_done(&step_volumes_schema, &a);
	return s;
}

struct plan_step *add_conf(struct plan *p, const struct state *st, const char *node, const struct instance *i, char *const *nodes, bool arbitrated,
			   const struct step_drbd_conf *previous)
{
	struct step_drbd_conf a;

	part_drbd_conf(st, i, nodes, arbitrated, &a);
	if (previous)
		a.previous = schema_encode(&step_drbd_conf_schema, previous);
	struct plan_step *s = plan_add(p, st, STEP_KIND_drbd_configure, node, &a);
	schema_done(&step_drbd_conf_schema, &a);
	return s;
}

/* New metadata over whatever is there: for volumes that were just made, or are made anew. */
struct plan_step *add_md(struct plan *p, const struct state *st, const char *node, const struct instance *i, char *const *nodes)
{
	struct step_drbd_conf a;

	part_drbd_conf(st, i, nodes, false, &a);
	a.force = 1;
	struct plan_step *s = plan_add(p, st, STEP_KIND_drbd_make_md, node, &a);
	schema_done(&step_drbd_conf_schema, &a);
	return s;
}

struct plan_step *add_guest(struct plan *p, const struct state *st, enum step_kind kind, const char *node, const struct instance *i)
{
	struct step_guest a;

	part_guest(st, i, &a);
	struct plan_step *s = plan_add(p, st, kind, node, &a);
	schema_done(&step_guest_schema, &a);
	return s;
}

struct plan_step *add_guest_ref(struct plan *p, const struct state *st, enum step_kind kind, const char *node, const struct instance *i, int64_t timeout_s, bool force)
{
	struct step_guest_ref a;

	part_guest_ref(i, &a);
	a.timeout_s = timeout_s;
	a.force = force;
	return plan_add(p, st, kind, node, &a);
}

struct plan_step *add_own(struct plan *p, const struct state *st, enum step_kind kind, const struct instance *i, const char *node, bool check_gen)
{
	struct step_own a;

	schema_init(&step_own_schema, &a);
	(void)str_copy(a.uuid, sizeof(a.uuid), i->uuid);
	(void)str_copy(a.node, sizeof(a.node), node);
	if (check_gen)
		a.gen = i->own.gen;
	return plan_add(p, st, kind, NULL, &a);
}

void plan_left(struct plan *p, const struct snode *n, const char *fmt, ...)
{
	json_t *left, *of = NULL, *entry;
	size_t k;
	va_list ap;

	if (!p->result)
		p->result = json_object();
	left = json_object_get(p->result, "left");
	if (!left) {
		left = json_array();
		json_object_set_new(p->result, "left", left);
	}
	json_array_foreach(left, k, entry)
		if (strcmp(json_str(entry, "node", ""), n->n.name) == 0)
			of = entry;
	if (!of) {
		of = json_pack("{s:s, s:[]}", "node", n->n.name, "commands");
		json_array_append_new(left, of);
	}
	va_start(ap, fmt);
	AUTO_FREE char *command = xvasprintf(fmt, ap);
	va_end(ap);
	json_array_append_new(json_object_get(of, "commands"), json_string(command));
}

int plan_nothing(struct plan *p, const struct state *st, const struct schema *s, const void *asked, const void *none, const char *what, const char *hint,
		 struct err *err)
{
	struct step_noop noop;

	if (schema_equal(s, asked, none))
		return err_set(err, ERR_BAD_REQUEST, "nothing to change on %s", what), err_hint(err, "%s", hint);
	schema_init(&step_noop_schema, &noop);
	struct plan_step *step = plan_add(p, st, STEP_KIND_noop_master, NULL, &noop);
	step->pivot = 1;
	(void)snprintf(step->text, sizeof(step->text), "%.80s is so already: nothing is changed", what);
	(void)str_copy(p->summary, sizeof(p->summary), step->text);
	return 0;
}

const struct obs_drbd *part_seen_drbd(const struct state *st, const char *node, const struct instance *i)
{
	const struct snode *n = state_node(st, node);

	return n && n->connected ? state_seen_drbd(n, i->uuid) : NULL;
}

int part_need_from(const struct state *st, const struct instance *i, const char *from, struct err *err)
{
	if (!from[0] || strcmp(state_node_name(st, own_runner(&i->own)), from) == 0)
		return 0;
	return err_set(err, ERR_WRONG_STATE, "instance '%s' is not on node '%s'", i->name, from),
	       err_hint(err, "an earlier job of the same command has failed: 'gnt job list --error'");
}

void plan_left_instance(struct plan *p, const struct state *st, const struct snode *n, const struct instance *i)
{
	struct step_volumes v;

	if (strcmp(own_runner(&i->own), n->n.uuid) == 0)
		plan_left(p, n, "virsh destroy %s", i->name);
	if (i->template == TEMPLATE_DRBD)
		plan_left(p, n, "drbdadm down %s && rm /etc/drbd.d/%s.res", part_resource_name(i), part_resource_name(i));
	part_volumes(st, i, &v);
	for (int k = 0; k < v.n_volumes; k++)
		if (strcmp(v.volumes[k].backend, "file") == 0)
			plan_left(p, n, "rm %s/%s %s/%s.owner", v.volumes[k].pool, v.volumes[k].name, v.volumes[k].pool, v.volumes[k].name);
		else
			plan_left(p, n, "lvremove -y %s/%s", v.volumes[k].pool, v.volumes[k].name);
	schema_done(&step_volumes_schema, &v);
}

struct plan_step *add_admin(struct plan *p, const struct state *st, const struct instance *i, enum admin_state to)
{
	struct step_admin a;

	schema_init(&step_admin_schema, &a);
	(void)str_copy(a.uuid, sizeof(a.uuid), i->uuid);
	a.state = (int)to;
	a.previous = i->admin_state;
	return plan_add(p, st, STEP_KIND_instance_admin, NULL, &a);
}

bool runs_on(const struct snode *n, const struct instance *i)
{
	return n && n->connected && state_seen_guest(n, i->uuid);
}

/* One that was lost and is connected again has not told yet whether it is in a new boot, in which it may have to wait for a person (011). */
static bool usable(const struct state *st, const char *uuid)
{
	const struct snode *n = state_node(st, uuid);
	struct err err = ERR_INIT;

	return n && n->n.liveness == NODE_ONLINE && state_need_usable(st, n, &err) == 0;
}

/* Wanted up, and its replica is down although nobody took it down. */
static bool crashed(const struct state *st, const struct instance *i, const char *owner)
{
	const struct snode *n = state_node(st, owner);
	const struct obs_drbd *d = n && n->seen_ms ? state_seen_drbd(n, i->uuid) : NULL;

	return i->own.arbitrated == 1 && i->admin_state == ADMIN_UP && d && d->up != 1;
}

static bool is_primary(const struct state *st, const struct instance *i, const char *node)
{
	const struct snode *n = state_node(st, node);
	const struct obs_drbd *d = n && n->connected ? state_seen_drbd(n, i->uuid) : NULL;

	return d && strcmp(d->role, "Primary") == 0;
}

/*
 * The mirror is up, and does not look for the owner. It may be pinned: it was asked whether it takes over, the failover was given up, and the undo of that
 * never reached it. Whoever plans here has the instance's lock and a record that names another owner, so no failover is under way: it comes up anew, which
 * ends the pin (H7). The cut before is for the case that it has met its owner since it was seen: no polite good-bye (H8).
 */
static void add_from_apart(struct plan *p, const struct state *st, const struct instance *i, const char *mirror)
{
	const struct obs_drbd *d = part_seen_drbd(st, mirror, i);

	if (!RULE(PIN_ENDS) || !d || d->up != 1 || strcmp(d->role, "Secondary") != 0 || strcmp(d->conn, "StandAlone") != 0)
		return;
	add_resource(p, st, STEP_KIND_drbd_cut, mirror, i, false)->may_fail = 1;
	add_resource(p, st, STEP_KIND_drbd_down, mirror, i, false)->may_fail = 1;
}

/* A replica that is not in current connects only to one that is; that is what "connect" means here: every usable side attaches
 * first, so that no side without a disk ever connects (H11). */
int add_disks_up(struct plan *p, const struct state *st, const struct instance *i, bool primary, bool force, struct err *err)
{
	if (i->template != TEMPLATE_DRBD)
		return 0;
	const char *owner = own_runner(&i->own), *other = state_other_node(i, owner);
	bool both = other[0] && usable(st, other);

	if (!both && !force && primary && !(i->own.arbitrated == 1 && own_current(&i->own, owner)))
		return err_set(err, ERR_DEGRADED, "the mirror of instance '%s' on node '%s' cannot be reached", i->name,
			       state_node_name(st, other)),
		       err_hint(err, "start that node; or --force to run without a mirror");
	bool as_is = i->own.as_is == 1; /* its failover could not promote it any more: that is made up for */
	add_resource(p, st, STEP_KIND_drbd_attach, owner, i, as_is);
	/* The owner crashed: what its activity log names is copied again, and while that runs the mirror is Inconsistent. A link that breaks then
	 * would freeze nobody, so the mirror leaves current before they meet, and comes back when it has it all (H12). */
	if (both && crashed(st, i, owner) && own_current(&i->own, owner) && own_current(&i->own, other))
		add_own(p, st, STEP_KIND_own_shrink, i, other, false)->may_fail = 1; /* refused only when the owner itself has left current since */
	bool loser = both && own_tail_due(&i->own, other), pair = both && !loser && !as_is;
	if (pair || loser)
		add_from_apart(p, st, i, other);
	if (pair)
		add_resource(p, st, STEP_KIND_drbd_attach, other, i, false)->may_fail = 1;
	if (!as_is) /* else it meets nobody before it is promoted: its marks, which say that it is not to be met, go by that (H11) */
		/* Refused where a failover has left it to stay apart until it is promoted: it is promoted then, and the reconciler connects it. */
		add_resource(p, st, STEP_KIND_drbd_connect, owner, i, false)->may_fail = primary && loser;
	if (pair) {
		add_connect(p, st, other, i, false)->may_fail = 1;
		if (primary) /* promotion before the replicas have met is how data diverges (Ganeti #846) */
			add_resource(p, st, STEP_KIND_drbd_wait_connected, owner, i, false)->may_fail = force || i->own.arbitrated == 1 || is_primary(st, i, owner);
	}
	if (primary)
		add_resource(p, st, STEP_KIND_drbd_primary, owner, i, as_is);
	if (primary && as_is)
		add_resource(p, st, STEP_KIND_drbd_connect, owner, i, false);
	if (loser) { /* it meets a side that was promoted alone and has a UUID of its own by that (H11), and refuses while its tail is not kept */
		add_tail_keep(p, st, other, i)->may_fail = 1;
		add_resource(p, st, STEP_KIND_drbd_attach, other, i, false)->may_fail = 1;
		add_connect(p, st, other, i, false)->may_fail = 1;
	}
	return 0;
}

void add_disks_down(struct plan *p, const struct state *st, const struct instance *i)
{
	if (i->template != TEMPLATE_DRBD)
		return;
	const char *owner = own_runner(&i->own), *other = state_other_node(i, owner);

	add_resource(p, st, STEP_KIND_drbd_secondary, owner, i, false);
	add_resource(p, st, STEP_KIND_drbd_down, owner, i, false);
	if (other[0] && usable(st, other))
		add_resource(p, st, STEP_KIND_drbd_down, other, i, false)->may_fail = 1;
}

int64_t shutdown_timeout(const struct state *st, const struct instance *i, int64_t asked)
{
	struct hvparams hv;

	if (asked != FIELD_UNSET)
		return asked;
	state_fill_hv(st, i, &hv);
	int64_t s = hv.shutdown_timeout;
	schema_done(&hvparams_schema, &hv);
	return s;
}

int64_t instance_memory(const struct state *st, const struct instance *i)
{
	struct beparams be;

	state_fill_be(st, i, &be);
	int64_t mib = be.memory;
	schema_done(&beparams_schema, &be);
	return mib;
}

int64_t instance_disk_mib(const struct instance *i, const char *pool, const struct state *st)
{
	int64_t mib = 0;

	for (int d = 0; d < i->n_disks; d++)
		if (strcmp(part_pool(st, i, &i->disks[d]), pool) == 0)
			mib += i->disks[d].size + (i->template == TEMPLATE_DRBD ? DRBD_META_MIB : 0);
	return mib;
}

int need_owner(const struct state *st, const struct instance *i, struct snode **ret, struct err *err)
{
	struct snode *n = state_node(st, own_runner(&i->own));

	if (!n)
		return err_set(err, ERR_NOT_FOUND, "the node of instance '%s' is gone", i->name);
	*ret = n;
	return state_need_usable(st, n, err);
}

int need_instance(const struct state *st, const char *name, struct sinstance **ret, struct snode **ret_owner, struct err *err)
{
	int rc = state_need_instance(st, name, ret, err);

	return rc < 0 ? rc : need_owner(st, &(*ret)->i, ret_owner, err);
}

int check_name(const char *of, const char *name, struct err *err)
{
	size_t n = strlen(name);
	bool ok = n > 0;

	for (size_t k = 0; k < n && ok; k++) {
		char c = name[k];

		ok = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || ((c == '-' || c == '.') && k > 0);
	}
	if (ok)
		return 0;
	(void)err_set(err, ERR_BAD_VALUE, "'%s' is no name for %s", name, of);
	return err_hint(err, "use letters, digits, '-' and '.', beginning with a letter or digit");
}

int part_voters(const struct state *st)
{
	int n = 0;

	for (int i = 0; i < st->n_nodes; i++)
		n += st->nodes[i]->n.candidate == 1;
	return n;
}
