/* SPDX-License-Identifier: Apache-2.0 */
#include "core/state.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/rule.h"
#include "common/xmem.h"
#include "core/own.h"

void state_init(struct state *st)
{
	memset(st, 0, sizeof(*st));
	schema_init(&cluster_schema, &st->cluster);
	schema_init(&secret_schema, &st->secret);
}

static void snode_free(struct snode *n)
{
	schema_done(&node_schema, &n->n);
	schema_done(&observed_schema, &n->seen);
	strs_clear(&n->strays, &n->n_strays);
	free(n);
}

static void sinstance_free(struct sinstance *i)
{
	schema_done(&instance_schema, &i->i);
	free(i->ha_why);
	free(i->answer_told);
	free(i->stray_on);
	free(i->held_boot);
	strs_clear(&i->asked_out, &i->n_asked_out);
	free(i);
}

void state_done(struct state *st)
{
	for (int i = 0; i < st->n_nodes; i++)
		snode_free(st->nodes[i]);
	for (int i = 0; i < st->n_instances; i++)
		sinstance_free(st->instances[i]);
	for (int i = 0; i < st->n_tokens; i++)
		schema_done(&token_schema, &st->tokens[i]);
	free(st->nodes);
	free(st->instances);
	free(st->by_uuid);
	free(st->tokens);
	free(st->reservations);
	schema_done(&cluster_schema, &st->cluster);
	schema_done(&secret_schema, &st->secret);
}

struct snode *state_node(const struct state *st, const char *uuid)
{
	for (int i = 0; i < st->n_nodes; i++)
		if (strcmp(st->nodes[i]->n.uuid, uuid) == 0)
			return st->nodes[i];
	return NULL;
}

/*
 * Nodes and instances are sorted by name, so that every listing and every choice is repeatable; instances by uuid, too. The place of
 * key in such a list of pointers, or where it would be put.
 */
static int slot(const void *list, int n, const char *(*key_of)(const void *object), const char *key, bool *ret_found)
{
	const void *const *objects = list;
	int lo = 0, hi = n;

	while (lo < hi) {
		int mid = lo + (hi - lo) / 2;
		int c = strcmp(key_of(objects[mid]), key);

		if (c == 0) {
			*ret_found = true;
			return mid;
		}
		if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	*ret_found = false;
	return lo;
}

static const char *node_name(const void *object)
{
	return ((const struct snode *)object)->n.name;
}

static const char *instance_name(const void *object)
{
	return ((const struct sinstance *)object)->i.name;
}

static const char *instance_uuid(const void *object)
{
	return ((const struct sinstance *)object)->i.uuid;
}

static int node_slot(const struct state *st, const char *name, bool *ret_found)
{
	return slot(st->nodes, st->n_nodes, node_name, name, ret_found);
}

static int instance_slot(const struct state *st, const char *name, bool *ret_found)
{
	return slot(st->instances, st->n_instances, instance_name, name, ret_found);
}

static int uuid_slot(const struct state *st, const char *uuid, bool *ret_found)
{
	return slot(st->by_uuid, st->n_instances, instance_uuid, uuid, ret_found);
}

struct snode *state_node_named(const struct state *st, const char *name)
{
	bool found;
	int at = node_slot(st, name, &found);

	return found ? st->nodes[at] : NULL;
}

struct sinstance *state_instance_named(const struct state *st, const char *name)
{
	bool found;
	int at = instance_slot(st, name, &found);

	return found ? st->instances[at] : NULL;
}

struct sinstance *state_instance(const struct state *st, const char *uuid)
{
	bool found;
	int at = uuid_slot(st, uuid, &found);

	return found ? st->by_uuid[at] : NULL;
}

static void insert_ptr(void ***list, int n, int at, void *p)
{
	*list = xrealloc(*list, (size_t)(n + 1) * sizeof(**list));
	memmove(*list + at + 1, *list + at, (size_t)(n - at) * sizeof(**list));
	(*list)[at] = p;
}

static void remove_ptr(void **list, int n, int at)
{
	memmove(list + at, list + at + 1, (size_t)(n - at - 1) * sizeof(*list));
}

struct snode *state_put_node(struct state *st, const struct node *n)
{
	struct snode *s = state_node(st, n->uuid);

	if (s) {
		struct node copy;

		schema_copy(&node_schema, &copy, n); /* n may lie inside s */
		schema_done(&node_schema, &s->n);
		s->n = copy;
		return s;
	}
	bool found;
	int at = node_slot(st, n->name, &found);

	assert(!found);
	s = xcalloc(1, sizeof(*s));
	schema_copy(&node_schema, &s->n, n);
	schema_init(&observed_schema, &s->seen);
	s->silent_since_ms = st->now_ms;
	s->granted_ms = st->now_ms;
	insert_ptr((void ***)(void *)&st->nodes, st->n_nodes++, at, s);
	return s;
}

struct sinstance *state_put_instance(struct state *st, const struct instance *i)
{
	struct sinstance *s = state_instance(st, i->uuid);

	if (s) {
		struct instance copy;

		schema_copy(&instance_schema, &copy, i);
		schema_done(&instance_schema, &s->i);
		s->i = copy;
		return s;
	}
	bool found;
	int at = instance_slot(st, i->name, &found);

	assert(!found);
	s = xcalloc(1, sizeof(*s));
	schema_copy(&instance_schema, &s->i, i);
	bool known;
	int k = uuid_slot(st, i->uuid, &known);
	insert_ptr((void ***)(void *)&st->instances, st->n_instances, at, s);
	insert_ptr((void ***)(void *)&st->by_uuid, st->n_instances, k, s);
	st->n_instances++;
	return s;
}

void state_rename_instance(struct state *st, struct sinstance *s, const char *name)
{
	bool found;
	int at = instance_slot(st, s->i.name, &found);

	assert(found && st->instances[at] == s);
	remove_ptr((void **)(void *)st->instances, st->n_instances, at);
	st->n_instances--;
	(void)str_copy(s->i.name, sizeof(s->i.name), name);
	at = instance_slot(st, name, &found);
	assert(!found);
	insert_ptr((void ***)(void *)&st->instances, st->n_instances++, at, s);
}

void state_delete_node(struct state *st, const char *uuid)
{
	for (int i = 0; i < st->n_nodes; i++)
		if (strcmp(st->nodes[i]->n.uuid, uuid) == 0) {
			snode_free(st->nodes[i]);
			remove_ptr((void **)(void *)st->nodes, st->n_nodes--, i);
			return;
		}
}

void state_delete_instance(struct state *st, const char *uuid)
{
	bool found, named;
	int k = uuid_slot(st, uuid, &found);

	if (!found)
		return;
	struct sinstance *s = st->by_uuid[k];
	int at = instance_slot(st, s->i.name, &named);
	assert(named && st->instances[at] == s); /* it changes by state_rename_instance() only */
	remove_ptr((void **)(void *)st->by_uuid, st->n_instances, k);
	remove_ptr((void **)(void *)st->instances, st->n_instances, at);
	st->n_instances--;
	sinstance_free(s);
}

const char *state_node_name(const struct state *st, const char *uuid)
{
	const struct snode *n = state_node(st, uuid);

	return n ? n->n.name : "?";
}

static bool near_name(const char *a, const char *b)
{
	size_t n = strlen(a), m = strlen(b), same = 0;

	while (same < n && same < m && a[same] == b[same])
		same++;
	return same >= 2 || (n == m && n > 0 && strcmp(a + 1, b + 1) == 0);
}

int state_need_instance(const struct state *st, const char *name, struct sinstance **ret, struct err *err)
{
	struct sinstance *s = state_instance_named(st, name);

	if (s) {
		*ret = s;
		return 0;
	}
	int rc = err_set(err, ERR_NOT_FOUND, "instance '%s' does not exist", name);

	for (int i = 0; i < st->n_instances; i++)
		if (near_name(name, st->instances[i]->i.name)) {
			(void)err_hint(err, "did you mean '%s'? 'gnt instance list' shows all", st->instances[i]->i.name);
			return rc;
		}
	(void)err_hint(err, "'gnt instance list' shows those that exist");
	return rc;
}

int state_need_node(const struct state *st, const char *name, struct snode **ret, struct err *err)
{
	struct snode *s = state_node_named(st, name);

	if (s) {
		*ret = s;
		return 0;
	}
	int rc = err_set(err, ERR_NOT_FOUND, "node '%s' does not exist", name);

	for (int i = 0; i < st->n_nodes; i++)
		if (near_name(name, st->nodes[i]->n.name)) {
			(void)err_hint(err, "did you mean '%s'? 'gnt node list' shows all", st->nodes[i]->n.name);
			return rc;
		}
	(void)err_hint(err, "'gnt node list' shows those that exist");
	return rc;
}

int state_need_usable(const struct state *st, const struct snode *n, struct err *err)
{
	(void)st;
	if (n->n.offline)
		return err_set(err, ERR_NODE_DOWN, "node '%s' is marked offline", n->n.name),
		       err_hint(err, "if it is back: 'gnt node modify -O no %s'", n->n.name);
	if (!n->connected)
		return err_set(err, ERR_NODE_DOWN, "node '%s' does not answer", n->n.name),
		       err_hint(err, "start it, or gantry-noded on it: 'systemctl start gantry-noded'");
	if (n->seen_ms && !n->seen.hypervisor[0])
		return err_set(err, ERR_LIBVIRT_DOWN, "libvirt on node '%s' does not answer", n->n.name);
	return 0;
}

/* ---- parameters ------------------------------------------------------------------------------ */

static const char *const builtin_be[][2] = {
	{ "memory", "512" }, { "vcpus", "1" }, { "ha", "none" }, { "ha_priority", "50" }, { "auto_balance", "yes" },
};

static const char *const builtin_hv[][2] = {
	{ "cpu_type", "baseline" },      { "domain_type", "kvm" },
	{ "disk_cache", "none" },        { "disk_type", "virtio" },
	{ "nic_type", "virtio" },        { "acpi", "yes" },
	{ "serial_console", "yes" },     { "migration_bandwidth", "0" },
	{ "migration_downtime", "300" }, { "migration_auto_converge", "yes" },
	{ "shutdown_timeout", "120" },   { "boot_order", "disk" },
};

static void set_builtin(const struct schema *s, void *obj, const char *const (*rows)[2], size_t n)
{
	schema_init(s, obj);
	for (size_t i = 0; i < n; i++) {
		struct err err = ERR_INIT;
		int rc = field_set_text(schema_find(s, rows[i][0]), obj, rows[i][1], &err);

		assert(rc == 0);
	}
}

void state_fill_be(const struct state *st, const struct instance *i, struct beparams *ret)
{
	set_builtin(&beparams_schema, ret, builtin_be, ARRAY_SIZE(builtin_be));
	schema_merge(&beparams_schema, ret, &st->cluster.be);
	schema_merge(&beparams_schema, ret, &i->be);
}

void state_fill_hv(const struct state *st, const struct instance *i, struct hvparams *ret)
{
	set_builtin(&hvparams_schema, ret, builtin_hv, ARRAY_SIZE(builtin_hv));
	schema_merge(&hvparams_schema, ret, &st->cluster.hv);
	schema_merge(&hvparams_schema, ret, &i->hv);
}

enum ha_policy state_ha_policy(const struct state *st, const struct instance *i)
{
	int v = i->be.ha >= 0 ? i->be.ha : st->cluster.be.ha;

	return v >= 0 ? (enum ha_policy)v : HA_NONE;
}

int64_t state_ha_priority(const struct state *st, const struct instance *i)
{
	struct beparams be;

	state_fill_be(st, i, &be);
	int64_t p = be.ha_priority;
	schema_done(&beparams_schema, &be);
	return p;
}

int64_t state_ha_rev(const struct state *st, const struct instance *i)
{
	return 1 + i->ha_rev + st->cluster.ha_rev; /* 0 is "not guarded" */
}

/* ---- what was seen ---------------------------------------------------------------------------- */

static int guest_order(const void *a, const void *b)
{
	return strcmp(((const struct obs_guest *)a)->uuid, ((const struct obs_guest *)b)->uuid);
}

static int drbd_order(const void *a, const void *b)
{
	return strcmp(((const struct obs_drbd *)a)->uuid, ((const struct obs_drbd *)b)->uuid);
}

void state_set_seen(struct snode *n, const struct observed *o)
{
	struct observed copy;

	schema_copy(&observed_schema, &copy, o);
	schema_done(&observed_schema, &n->seen);
	n->seen = copy;
	/* Looked at for every instance and every node in one go: a list of thousands must not compare each with each. */
	if (copy.n_guests)
		qsort(n->seen.guests, (size_t)copy.n_guests, sizeof(*n->seen.guests), guest_order);
	if (copy.n_drbd)
		qsort(n->seen.drbd, (size_t)copy.n_drbd, sizeof(*n->seen.drbd), drbd_order);
}

const struct obs_guest *state_seen_guest(const struct snode *n, const char *instance_uuid)
{
	struct obs_guest key;

	if (str_copy(key.uuid, sizeof(key.uuid), instance_uuid) < 0 || !n->seen.n_guests)
		return NULL;
	return bsearch(&key, n->seen.guests, (size_t)n->seen.n_guests, sizeof(key), guest_order);
}

const struct obs_drbd *state_seen_drbd(const struct snode *n, const char *instance_uuid)
{
	struct obs_drbd key;

	if (str_copy(key.uuid, sizeof(key.uuid), instance_uuid) < 0 || !n->seen.n_drbd)
		return NULL;
	return bsearch(&key, n->seen.drbd, (size_t)n->seen.n_drbd, sizeof(key), drbd_order);
}

bool state_good_replica(const struct obs_drbd *d)
{
	return strcmp(d->disk, "UpToDate") == 0 || (strcmp(d->disk, "Consistent") == 0 && strcmp(d->role, "Secondary") == 0);
}

bool state_guest_ended(const struct snode *n, const char *instance_uuid)
{
	return n->seen_ms && n->seen.hypervisor[0] && !state_seen_guest(n, instance_uuid);
}

bool state_owner_lost_disk(const struct state *st, const struct instance *i)
{
	const struct snode *n = state_node(st, own_runner(&i->own));
	const struct obs_drbd *d = n && n->connected && n->seen_ms ? state_seen_drbd(n, i->uuid) : NULL;

	return RULE(MARK) && RULE(HOPELESS) && i->template == TEMPLATE_DRBD && d && d->marked == 1 && i->own.as_is != 1 && state_guest_ended(n, i->uuid);
}

bool state_lives_on_mirror(const struct state *st, const struct instance *i)
{
	const char *runner = own_runner(&i->own);
	const struct snode *n = state_node(st, runner);
	const struct obs_drbd *d = n && n->connected && n->seen_ms ? state_seen_drbd(n, i->uuid) : NULL;

	return RULE(LIVES_ON) && d && !own_current(&i->own, runner) && own_current(&i->own, state_other_node(i, runner)) && strcmp(d->disk, "Diskless") == 0 &&
	       strcmp(d->conn, "Connected") == 0 && strcmp(d->peer_disk, "UpToDate") == 0 && d->suspended != 1;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

bool state_left_on(const struct instance *i, const struct snode *n, char *const *sorted_volumes, int n_volumes)
{
	if (i->template != TEMPLATE_DRBD || strs_has(i->nodes, i->n_nodes, n->n.uuid) || i->own.target[0])
		return false;
	if (n->n.offline == 1 || n->n.liveness == NODE_FENCED || !n->connected || !n->seen_ms || !n->seen.hypervisor[0] || state_seen_guest(n, i->uuid))
		return false;
	const struct obs_drbd *d = state_seen_drbd(n, i->uuid);
	if (d)
		return strcmp(d->role, "Primary") != 0;
	for (int k = 0; k < i->n_disks; k++) {
		const char *uuid = i->disks[k].uuid;

		if (sorted_volumes ? n_volumes && bsearch(&uuid, sorted_volumes, (size_t)n_volumes, sizeof(*sorted_volumes), by_text) != NULL :
				     strs_has(n->seen.volumes, n->seen.n_volumes, uuid))
			return true;
	}
	return false;
}

bool state_stray(const struct instance *i, const struct snode *n, char *const *sorted_volumes, int n_volumes)
{
	return i->own.n_current == i->n_nodes && state_left_on(i, n, sorted_volumes, n_volumes);
}

static int64_t memory_of(const struct state *st, const struct instance *i)
{
	struct beparams be;

	state_fill_be(st, i, &be);
	int64_t mib = be.memory;
	schema_done(&beparams_schema, &be);
	return mib;
}

int64_t state_free_memory_mib(const struct state *st, const struct snode *n)
{
	int64_t free_mib = n->seen.memory_free_mib;

	for (int i = 0; i < st->n_reservations; i++)
		if (strcmp(st->reservations[i].node, n->n.uuid) == 0)
			free_mib -= st->reservations[i].memory_mib;
	for (int i = 0; i < st->n_instances; i++) {
		const struct instance *in = &st->instances[i]->i;

		/* Wanted up, not seen running yet, and not in a job's hands (those are reserved). */
		if (in->admin_state == ADMIN_UP && !st->instances[i]->busy_job && strcmp(in->own.owner, n->n.uuid) == 0 &&
		    !state_seen_guest(n, in->uuid))
			free_mib -= memory_of(st, in);
	}
	return free_mib;
}

int64_t state_free_disk_mib(const struct state *st, const struct snode *n, const char *vg)
{
	int64_t free_mib = -1;

	for (int i = 0; i < n->seen.n_pools; i++)
		if (strcmp(n->seen.pools[i].name, vg) == 0)
			free_mib = n->seen.pools[i].free_mib;
	if (free_mib < 0)
		return -1;
	for (int i = 0; i < st->n_reservations; i++)
		if (strcmp(st->reservations[i].node, n->n.uuid) == 0 && strcmp(st->reservations[i].vg, vg) == 0)
			free_mib -= st->reservations[i].disk_mib;
	return free_mib > 0 ? free_mib : 0;
}

void state_reserve(struct state *st, int64_t job, const char *node, const char *vg, int64_t memory_mib, int64_t disk_mib)
{
	st->reservations = xrealloc(st->reservations, (size_t)(st->n_reservations + 1) * sizeof(*st->reservations));
	struct reservation *r = &st->reservations[st->n_reservations++];

	memset(r, 0, sizeof(*r));
	r->job = job;
	(void)str_copy(r->node, sizeof(r->node), node);
	(void)str_copy(r->vg, sizeof(r->vg), vg);
	r->memory_mib = memory_mib;
	r->disk_mib = disk_mib;
}

void state_release(struct state *st, int64_t job)
{
	int kept = 0;

	for (int i = 0; i < st->n_reservations; i++)
		if (st->reservations[i].job != job)
			st->reservations[kept++] = st->reservations[i];
	st->n_reservations = kept;
}

/* ---- minors and ports -------------------------------------------------------------------------- */

static bool shares_node(const struct instance *i, char *const *nodes, int n_nodes)
{
	for (int k = 0; k < n_nodes; k++)
		if (strs_has(i->nodes, i->n_nodes, nodes[k]))
			return true;
	return false;
}

static void mark_minors(const struct instance *i, bool used[DRBD_MINORS_MAX])
{
	for (int d = 0; d < i->n_disks; d++)
		if (i->disks[d].minor >= 0 && i->disks[d].minor < DRBD_MINORS_MAX)
			used[i->disks[d].minor] = true;
}

int state_free_minor(const struct state *st, char *const *nodes, int n_nodes, const struct instance *with)
{
	bool used[DRBD_MINORS_MAX] = { false };

	for (int i = 0; i < st->n_instances; i++)
		if (shares_node(&st->instances[i]->i, nodes, n_nodes))
			mark_minors(&st->instances[i]->i, used);
	if (with)
		mark_minors(with, used);
	for (int m = 0; m < DRBD_MINORS_MAX; m++)
		if (!used[m])
			return m;
	return -1;
}

int state_free_port(const struct state *st)
{
	bool used[DRBD_PORT_LAST - DRBD_PORT_FIRST + 1] = { false };

	for (int i = 0; i < st->n_instances; i++) {
		int64_t port = st->instances[i]->i.port;

		if (port >= DRBD_PORT_FIRST && port <= DRBD_PORT_LAST)
			used[port - DRBD_PORT_FIRST] = true;
	}
	for (int port = DRBD_PORT_FIRST; port <= DRBD_PORT_LAST; port++)
		if (!used[port - DRBD_PORT_FIRST])
			return port;
	return -1;
}

const char *state_other_node(const struct instance *i, const char *uuid)
{
	for (int k = 0; k < i->n_nodes; k++)
		if (strcmp(i->nodes[k], uuid) != 0)
			return i->nodes[k];
	return "";
}
