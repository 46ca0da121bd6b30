/* SPDX-License-Identifier: Apache-2.0 */
/* Planners for the life of an instance: add, startup, shutdown, reboot, remove, modify, activate and deactivate. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/xmem.h"
#include "core/own.h"
#include "core/planners.h"

static void summary(struct plan *p, const struct state *st, const char *verb, const struct instance *i)
{
	const char *other = state_other_node(i, i->own.owner);

	(void)snprintf(p->summary, sizeof(p->summary), "%s '%.40s' on %.20s%s%.20s", verb, i->name, state_node_name(st, i->own.owner),
		       other[0] ? ", " : "", other[0] ? state_node_name(st, other) : "");
}

/* ---- add --------------------------------------------------------------------------------------- */

static int check_free(const struct state *st, const char *name, struct err *err)
{
	if (state_instance_named(st, name))
		return err_set(err, ERR_EXISTS, "instance '%s' exists", name);
	return state_node_named(st, name) ? err_set(err, ERR_EXISTS, "'%s' is the name of a node", name) : 0;
}

static bool mac_taken(const struct state *st, const struct instance *self, const char *mac)
{
	for (int i = 0; i < st->n_instances; i++)
		for (int k = 0; k < st->instances[i]->i.n_nics; k++)
			if (strcmp(st->instances[i]->i.nics[k].mac, mac) == 0)
				return true;
	for (int k = 0; k < self->n_nics; k++)
		if (strcmp(self->nics[k].mac, mac) == 0)
			return true;
	return false;
}

static void make_mac(const struct state *st, const struct instance *self, struct rng *rng, char out[MAC_LEN + 1])
{
	char mac[MAC_LEN + 1];

	do {
		(void)snprintf(mac, sizeof(mac), "%.8s:%02x:%02x:%02x", st->cluster.mac_prefix, (unsigned)rng_below(rng, 256),
			       (unsigned)rng_below(rng, 256), (unsigned)rng_below(rng, 256));
	} while (mac_taken(st, self, mac));
	(void)str_copy(out, MAC_LEN + 1, mac);
}

/* Six bytes, and a guest's: one that is a group's is no card's. */
static bool is_mac(const char *mac)
{
	for (int k = 0; k < MAC_LEN; k++) {
		bool hex = (mac[k] >= '0' && mac[k] <= '9') || (mac[k] >= 'a' && mac[k] <= 'f') || (mac[k] >= 'A' && mac[k] <= 'F');

		if (k % 3 == 2 ? mac[k] != ':' : !hex)
			return false;
	}
	return mac[MAC_LEN] == '\0' && !strchr("13579bdfBDF", mac[1]);
}

static int check_nic(const struct nic *n, int k, struct err *err)
{
	if (n->mac[0] && !is_mac(n->mac))
		return err_set(err, ERR_BAD_VALUE, "network card %d: '%s' is no hardware address of a card", k, n->mac),
		       err_hint(err, "for example aa:00:00:12:34:56, the first byte even; without mac= one is made");
	if (n->link && n->link[0] && (strlen(n->link) > 15 || strpbrk(n->link, "/ :")))
		return err_set(err, ERR_BAD_VALUE, "network card %d: '%s' is no name of a bridge", k, n->link), err_hint(err, "'ip link show type bridge' on a node lists them");
	if (n->ip && n->ip[0] && n->ip[strspn(n->ip, "0123456789abcdefABCDEF:./")])
		return err_set(err, ERR_BAD_VALUE, "network card %d: '%s' is no address", k, n->ip), err_hint(err, "it is for the record only: leave it out");
	return 0;
}

static int take_nics(const struct state *st, const struct op_instance_add *a, struct rng *rng, struct instance *i, struct err *err)
{
	const struct field *list = schema_find(&instance_schema, "nics");
	int n = a->no_nics == 1 ? 0 : a->n_net ? a->n_net : 1;

	for (int k = 0; k < a->n_net; k++) {
		int rc = check_nic(&a->net[k], k, err);

		if (rc < 0)
			return rc;
	}
	for (int k = 0; k < n; k++) {
		struct nic *nic = schema_list_add(list, i);

		if (k < a->n_net)
			schema_copy(&nic_schema, nic, &a->net[k]);
		if (nic->mac[0]) {
			char mac[MAC_LEN + 1];

			(void)str_copy(mac, sizeof(mac), nic->mac);
			nic->mac[0] = '\0';
			if (mac_taken(st, i, mac))
				return err_set(err, ERR_EXISTS, "hardware address '%s' is in use", mac);
			(void)str_copy(nic->mac, sizeof(nic->mac), mac);
		} else {
			make_mac(st, i, rng, nic->mac);
		}
	}
	return 0;
}

static int take_disks(const struct op_instance_add *a, struct rng *rng, struct instance *i, struct err *err)
{
	const struct field *list = schema_find(&instance_schema, "disks");

	if (i->template == TEMPLATE_DISKLESS) {
		if (a->n_disk)
			return err_set(err, ERR_BAD_VALUE, "a diskless instance has no disks"), err_hint(err, "leave --disk out, or pick another -t");
		return 0;
	}
	if (!a->n_disk)
		return err_set(err, ERR_BAD_REQUEST, "no disk given for '%s'", a->name), err_hint(err, "for example --disk 0:size=10g");
	for (int d = 0; d < a->n_disk; d++) {
		struct disk *disk = schema_list_add(list, i);

		if (a->disk[d].size == FIELD_UNSET)
			return err_set(err, ERR_BAD_REQUEST, "disk %d has no size", d), err_hint(err, "for example --disk %d:size=10g", d);
		schema_copy(&disk_schema, disk, &a->disk[d]);
		rng_uuid(rng, disk->uuid);
		disk->minor = FIELD_UNSET;
	}
	return 0;
}

/* A renamed instance keeps its resource, so the name may be taken by one though no instance has it. */
static bool resource_taken(const struct state *st, const char *name)
{
	for (int i = 0; i < st->n_instances; i++)
		if (st->instances[i]->i.template == TEMPLATE_DRBD && strcmp(part_resource_name(&st->instances[i]->i), name) == 0)
			return true;
	return false;
}

static int take_drbd(const struct state *st, struct rng *rng, struct instance *i, struct err *err)
{
	char secret[SECRET_LEN + 1];
	int port = state_free_port(st);

	if (port < 0)
		return err_set(err, ERR_NO_MINOR, "no DRBD port is free between %d and %d", DRBD_PORT_FIRST, DRBD_PORT_LAST);
	i->port = port;
	rng_hex(rng, secret, 40);
	i->secret = xstrdup(secret);
	if (resource_taken(st, i->name))
		i->resource = xstrdup(i->uuid);
	for (int d = 0; d < i->n_disks; d++) {
		int minor = state_free_minor(st, i->nodes, i->n_nodes, i);

		if (minor < 0)
			return err_set(err, ERR_NO_MINOR, "no DRBD minor is free on both nodes");
		i->disks[d].minor = minor;
	}
	return 0;
}

static int build_instance(const struct state *st, const struct op_instance_add *a, struct rng *rng, struct instance *i, struct err *err)
{
	char nodes[2][UUID_LEN + 1];
	int n_nodes = 0;

	schema_init(&instance_schema, i);
	rng_uuid(rng, i->uuid);
	(void)str_copy(i->name, sizeof(i->name), a->name);
	i->template = a->disk_template;
	i->created_ms = st->wall_ms;
	schema_copy(&beparams_schema, &i->be, &a->be);
	schema_copy(&hvparams_schema, &i->hv, &a->hv);
	i->image = a->image[0] ? xstrdup(a->image) : NULL;
	int rc = take_disks(a, rng, i, err);
	if (rc == 0)
		rc = take_nics(st, a, rng, i, err);
	if (rc == 0)
		rc = place_instance(st, i, a->node, nodes, &n_nodes, err);
	for (int k = 0; rc == 0 && k < n_nodes; k++)
		strs_add(&i->nodes, &i->n_nodes, nodes[k]);
	if (rc == 0 && i->template == TEMPLATE_DRBD)
		rc = take_drbd(st, rng, i, err);
	if (rc == 0)
		own_init(&i->own, nodes[0], st->cluster.arbitration == 1 && i->template == TEMPLATE_DRBD, st->wall_ms);
	return rc;
}

static void plan_storage(const struct state *st, const struct instance *i, bool image, struct plan *p)
{
	const char *a = i->nodes[0];

	for (int k = 0; k < i->n_nodes && i->template != TEMPLATE_DISKLESS; k++)
		add_volumes(p, st, STEP_KIND_volume_create, i->nodes[k], i);
	if (i->template != TEMPLATE_DRBD)
		return;
	for (int k = 0; k < 2; k++)
		add_conf(p, st, i->nodes[k], i, i->nodes, i->own.arbitrated == 1, NULL);
	for (int k = 0; k < 2; k++)
		add_md(p, st, i->nodes[k], i, i->nodes);
	for (int k = 0; k < 2; k++)
		add_resource(p, st, STEP_KIND_drbd_attach, i->nodes[k], i, false);
	for (int k = 0; k < 2; k++)
		add_resource(p, st, STEP_KIND_drbd_connect, i->nodes[k], i, false);
	add_resource(p, st, STEP_KIND_drbd_wait_connected, a, i, false);
	/* Both volumes are new and empty of anything anybody relies on: what either holds is as good as the other's. An image is
	 * written afterwards, through DRBD, to both. */
	add_resource(p, st, STEP_KIND_drbd_skip_sync, a, i, false);
	(void)image;
}

static void plan_image(const struct state *st, const struct op_instance_add *a, const struct instance *i, struct plan *p)
{
	struct step_image s;

	schema_init(&step_image_schema, &s);
	(void)str_copy(s.uuid, sizeof(s.uuid), i->uuid);
	(void)snprintf(s.image, sizeof(s.image), "%.180s/%s", st->cluster.image_dir, a->image);
	const char *pool = part_pool(st, i, &i->disks[0]);
	if (i->template == TEMPLATE_DRBD)
		(void)snprintf(s.device, sizeof(s.device), "/dev/drbd%lld", (long long)i->disks[0].minor);
	else if (i->template == TEMPLATE_FILE)
		(void)snprintf(s.device, sizeof(s.device), "%.150s/%s.disk0", pool, i->uuid);
	else
		(void)snprintf(s.device, sizeof(s.device), "/dev/%s/%s.disk0", pool, i->uuid);
	s.size = i->disks[0].size;
	plan_add(p, st, STEP_KIND_image_write, i->nodes[0], &s);
}

static void reserve(const struct state *st, const struct instance *i, bool start, struct plan *p)
{
	for (int k = 0; k < i->n_nodes; k++) {
		if (k == 0 && start)
			plan_reserve(p, i->nodes[k], "", instance_memory(st, i), 0);
		for (int d = 0; d < i->n_disks && i->template != TEMPLATE_FILE; d++)
			plan_reserve(p, i->nodes[k], part_pool(st, i, &i->disks[d]), 0,
				     i->disks[d].size + (i->template == TEMPLATE_DRBD ? DRBD_META_MIB : 0));
	}
}

int plan_instance_add(const struct state *st, const void *args, struct rng *rng, struct plan *ret, struct err *err)
{
	const struct op_instance_add *a = args;
	struct instance i;
	bool start = a->no_start != 1;
	int rc = check_name("an instance", a->name, err);

	if (rc == 0)
		rc = check_free(st, a->name, err);
	if (rc < 0)
		return rc;
	if (!a->image[0] && a->no_install != 1 && a->disk_template != TEMPLATE_DISKLESS)
		return err_set(err, ERR_BAD_REQUEST, "nothing to install on '%s'", a->name),
		       err_hint(err, "--image NAME from the node's image directory '%s', or --no-install for empty disks", st->cluster.image_dir);
	if (a->image[0] && strchr(a->image, '/'))
		return err_set(err, ERR_BAD_VALUE, "image '%s' is a path", a->image),
		       err_hint(err, "give the name of a file in '%s'", st->cluster.image_dir);
	rc = build_instance(st, a, rng, &i, err);
	if (rc == 0) {
		plan_add(ret, st, STEP_KIND_instance_insert, NULL, &i);
		plan_storage(st, &i, a->image[0], ret);
		if (i.template == TEMPLATE_DRBD && (start || a->image[0]))
			add_resource(ret, st, STEP_KIND_drbd_primary, i.nodes[0], &i, false);
		if (a->image[0] && i.n_disks)
			plan_image(st, a, &i, ret);
		if (start)
			add_guest(ret, st, STEP_KIND_guest_start, i.nodes[0], &i);
		add_admin(ret, st, &i, start ? ADMIN_UP : ADMIN_DOWN)->pivot = 1;
		if (!start && i.template == TEMPLATE_DRBD) {
			/* Nobody reports of disks that are down: the mirror becomes current before, by both sides' word (H1). */
			add_own(ret, st, STEP_KIND_own_both, &i, "", false)->may_fail = 1;
			add_disks_down(ret, st, &i);
		}
		reserve(st, &i, start, ret);
		summary(ret, st, "create instance", &i);
		ret->result = json_pack("{s:s, s:s}", "name", i.name, "uuid", i.uuid);
	}
	schema_done(&instance_schema, &i);
	return rc;
}

/* ---- start, stop --------------------------------------------------------------------------------- */

static int check_memory(const struct state *st, const struct snode *n, const struct instance *i, struct err *err)
{
	int64_t need = instance_memory(st, i), have = state_free_memory_mib(st, n);

	if (i->admin_state == ADMIN_UP && strcmp(i->own.owner, n->n.uuid) == 0)
		have += need; /* it is counted as wanted there already */
	if (have < need)
		return err_set(err, ERR_NO_MEMORY, "node '%s' has %lld MiB of memory free, guest '%s' needs %lld MiB", n->n.name,
			       (long long)have, i->name, (long long)need);
	return 0;
}

int plan_instance_startup(const struct state *st, const void *args, struct rng *rng, struct plan *ret, struct err *err)
{
	const struct op_instance_startup *a = args;
	struct sinstance *s;
	struct snode *n = NULL;
	int rc = need_instance(st, a->name, &s, &n, err);

	(void)rng;
	if (rc < 0)
		return rc;
	summary(ret, st, "start", &s->i);
	if (runs_on(n, &s->i) && s->i.admin_state == ADMIN_UP) {
		add_admin(ret, st, &s->i, ADMIN_UP)->pivot = 1; /* it runs: success, as in Ganeti */
		return 0;
	}
	if (!runs_on(n, &s->i))
		rc = check_memory(st, n, &s->i, err);
	if (rc == 0)
		rc = add_disks_up(ret, st, &s->i, true, a->force == 1, err);
	if (rc < 0)
		return rc;
	add_guest(ret, st, STEP_KIND_guest_start, n->n.uuid, &s->i);
	add_admin(ret, st, &s->i, ADMIN_UP)->pivot = 1;
	plan_reserve(ret, n->n.uuid, "", instance_memory(st, &s->i), 0);
	return 0;
}

int plan_instance_shutdown(const struct state *st, const void *args, struct rng *rng, struct plan *ret, struct err *err)
{
	const struct op_instance_shutdown *a = args;
	struct sinstance *s;
	struct snode *n = NULL;
	int rc = need_instance(st, a->name, &s, &n, err);

	(void)rng;
	if (rc < 0)
		return rc;
	/* What is wanted changes first: were the guest ended first, the reconciler of a next master would start it again. */
	add_admin(ret, st, &s->i, ADMIN_DOWN);
	if (a->force == 1)
		add_guest_ref(ret, st, STEP_KIND_guest_destroy, n->n.uuid, &s->i, 0, true)->pivot = 1;
	else
		add_guest_ref(ret, st, STEP_KIND_guest_shutdown, n->n.uuid, &s->i, shutdown_timeout(st, &s->i, a->timeout), true)->pivot = 1;
	add_disks_down(ret, st, &s->i);
	summary(ret, st, "shut down", &s->i);
	return 0;
}

int plan_instance_reboot(const struct state *st, const void *args, struct rng *rng, struct plan *ret, struct err *err)
{
	const struct op_instance_reboot *a = args;
	struct sinstance *s;
	struct snode *n = NULL;
	int rc = need_instance(st, a->name, &s, &n, err);

	(void)rng;
	if (rc < 0)
		return rc;
	if (!runs_on(n, &s->i))
		return err_set(err, ERR_WRONG_STATE, "guest '%s' does not run", a->name), err_hint(err, "'gnt instance startup %s'", a->name);
	summary(ret, st, "reboot", &s->i);
	if (a->type == REBOOT_SOFT) {
		add_guest_ref(ret, st, STEP_KIND_guest_reset, n->n.uuid, &s->i, 0, false)->pivot = 1;
		return 0;
	}
	add_guest_ref(ret, st, STEP_KIND_guest_shutdown, n->n.uuid, &s->i, shutdown_timeout(st, &s->i, a->shutdown_timeout), true)->pivot = 1;
	if (a->type == REBOOT_FULL) {
		add_disks_down(ret, st, &s->i);
		rc = add_disks_up(ret, st, &s->i, true, true, err);
		if (rc < 0)
			return rc;
	}
	add_guest(ret, st, STEP_KIND_guest_start, n->n.uuid, &s->i);
	return 0;
}

/* ---- remove, modify ------------------------------------------------------------------------------- */

static int check_replicas_answer(const struct state *st, const struct instance *i, bool ignore, struct err *err)
{
	for (int k = 0; k < i->n_nodes && !ignore; k++) {
		const struct snode *n = state_node(st, i->nodes[k]);

		if (n && (!n->connected || n->n.offline == 1))
			return err_set(err, ERR_NODE_DOWN, "node '%s' with a replica of '%s' does not answer", n->n.name, i->name),
			       err_hint(err, "start it; or --ignore-failures: what is there stays, and you are told how to remove it");
	}
	return 0;
}

int plan_instance_remove(const struct state *st, const void *args, struct rng *rng, struct plan *ret, struct err *err)
{
	const struct op_instance_remove *a = args;
	bool ignore = a->ignore_failures == 1;
	struct sinstance *s;
	int rc = state_need_instance(st, a->name, &s, err);

	(void)rng;
	if (rc == 0)
		rc = check_replicas_answer(st, &s->i, ignore, err);
	if (rc < 0)
		return rc;
	/* From the first step on there is no way back that a person would want: forward only. */
	add_admin(ret, st, &s->i, ADMIN_DOWN)->pivot = 1;
	for (int k = 0; k < s->i.n_nodes; k++) {
		const struct snode *n = state_node(st, s->i.nodes[k]);
		const char *uuid = s->i.nodes[k];

		if (!n || n->n.offline == 1 || (!n->connected && ignore))
			continue;
		if (runs_on(n, &s->i) || strcmp(own_runner(&s->i.own), uuid) == 0)
			add_guest_ref(ret, st, STEP_KIND_guest_shutdown, uuid, &s->i, shutdown_timeout(st, &s->i, a->shutdown_timeout), true);
	}
	/* The Primary first: a mirror does not go down while the other side lives on its disk. */
	bool second = s->i.n_nodes == 2 && strcmp(own_runner(&s->i.own), s->i.nodes[1]) == 0;
	for (int k = 0; k < s->i.n_nodes; k++) {
		const char *uuid = s->i.nodes[second ? 1 - k : k];
		const struct snode *n = state_node(st, uuid);

		if (n && (n->n.offline == 1 || !n->connected))
			plan_left_instance(ret, st, n, &s->i);
		if (!n || n->n.offline == 1 || (!n->connected && ignore) || s->i.template == TEMPLATE_DISKLESS)
			continue;
		if (s->i.template == TEMPLATE_DRBD) {
			add_resource(ret, st, STEP_KIND_drbd_down, uuid, &s->i, true)->may_fail = ignore;
			add_resource(ret, st, STEP_KIND_drbd_forget, uuid, &s->i, true)->may_fail = ignore;
		}
		add_volumes(ret, st, STEP_KIND_volume_remove, uuid, &s->i)->may_fail = ignore;
	}
	struct step_ref ref;
	schema_init(&step_ref_schema, &ref);
	(void)str_copy(ref.uuid, sizeof(ref.uuid), s->i.uuid);
	plan_add(ret, st, STEP_KIND_instance_delete, NULL, &ref);
	summary(ret, st, "remove", &s->i);
	return 0;
}

static int instance_is_so(const struct state *st, const struct op_instance_modify *a, struct plan *p, struct err *err)
{
	struct op_instance_modify none;
	AUTO_FREE char *what = xasprintf("instance '%s'", a->name);

	schema_init(&op_instance_modify_schema, &none);
	(void)str_copy(none.name, sizeof(none.name), a->name);
	int rc = plan_nothing(p, st, &op_instance_modify_schema, a, &none, what, "give -B or -H with new values", err);
	schema_done(&op_instance_modify_schema, &none);
	return rc;
}

int plan_instance_modify(const struct state *st, const void *args, struct rng *rng, struct plan *ret, struct err *err)
{
	const struct op_instance_modify *a = args;
	struct step_params p;
	struct sinstance *s;
	bool same = false;
	int rc = state_need_instance(st, a->name, &s, err);

	(void)rng;
	if (rc < 0)
		return rc;
	schema_init(&step_params_schema, &p);
	(void)str_copy(p.uuid, sizeof(p.uuid), s->i.uuid);
	schema_merge(&beparams_schema, &p.old_be, &s->i.be);
	schema_merge(&hvparams_schema, &p.old_hv, &s->i.hv);
	schema_merge(&beparams_schema, &p.be, &s->i.be);
	schema_merge(&hvparams_schema, &p.hv, &s->i.hv);
	schema_merge(&beparams_schema, &p.be, &a->be);
	schema_merge(&hvparams_schema, &p.hv, &a->hv);
	rc = schema_reset(&step_params_schema, &p, a->reset, a->n_reset, err);
	if (rc < 0)
		(void)err_hint(err, "it is be.KEY or hv.KEY, as in 'gnt instance info'");
	else if (schema_equal(&beparams_schema, &p.be, &p.old_be) && schema_equal(&hvparams_schema, &p.hv, &p.old_hv))
		same = true;
	else
		plan_add(ret, st, STEP_KIND_instance_params, NULL, &p)->pivot = 1;
	schema_done(&step_params_schema, &p);
	summary(ret, st, "modify", &s->i);
	return same ? instance_is_so(st, a, ret, err) : rc;
}

/* ---- rename -------------------------------------------------------------------------------------- */

/* Nothing of it may run under the old name, on no node that tells, and the node that could run it tells. */
static int check_nowhere_up(const struct state *st, const struct instance *i, struct err *err)
{
	struct snode *owner = NULL;

	for (int k = 0; k < st->n_nodes; k++)
		if (runs_on(st->nodes[k], i))
			return err_set(err, ERR_WRONG_STATE, "guest '%s' runs on node '%s'", i->name, st->nodes[k]->n.name),
			       err_hint(err, "'gnt instance shutdown %s' first", i->name);
	if (i->admin_state == ADMIN_UP)
		return err_set(err, ERR_WRONG_STATE, "guest '%s' is wanted up", i->name), err_hint(err, "'gnt instance shutdown %s' first", i->name);
	int rc = need_owner(st, i, &owner, err);
	if (rc == 0 && !owner->seen_ms)
		rc = err_set(err, ERR_NODE_DOWN, "node '%s' has not told yet what runs there", owner->n.name), (void)err_hint(err, "repeat the command in a moment");
	return rc;
}

int plan_instance_rename(const struct state *st, const void *args, struct rng *rng, struct plan *ret, struct err *err)
{
	const struct op_instance_rename *a = args;
	struct step_rename r;
	struct sinstance *s;
	int rc = state_need_instance(st, a->name, &s, err);

	(void)rng;
	if (rc == 0)
		rc = check_name("an instance", a->new_name, err);
	if (rc == 0)
		rc = check_free(st, a->new_name, err);
	if (rc == 0)
		rc = check_nowhere_up(st, &s->i, err);
	if (rc < 0)
		return rc;
	schema_init(&step_rename_schema, &r);
	(void)str_copy(r.uuid, sizeof(r.uuid), s->i.uuid);
	(void)str_copy(r.name, sizeof(r.name), a->new_name);
	plan_add(ret, st, STEP_KIND_instance_rename, NULL, &r)->pivot = 1;
	(void)snprintf(ret->summary, sizeof(ret->summary), "rename '%.50s' to '%.50s'", s->i.name, a->new_name);
	return 0;
}

/* ---- disks ------------------------------------------------------------------------------------------ */

int plan_activate_disks(const struct state *st, const void *args, struct rng *rng, struct plan *ret, struct err *err)
{
	const struct op_instance_name *a = args;
	struct sinstance *s;
	struct snode *n = NULL;
	int rc = need_instance(st, a->name, &s, &n, err);

	(void)rng;
	if (rc == 0)
		rc = add_disks_up(ret, st, &s->i, true, false, err);
	if (rc < 0)
		return rc;
	if (ret->n_steps)
		ret->steps[ret->n_steps - 1].pivot = 1;
	summary(ret, st, "activate disks of", &s->i);
	return 0;
}

int plan_deactivate_disks(const struct state *st, const void *args, struct rng *rng, struct plan *ret, struct err *err)
{
	const struct op_instance_name *a = args;
	struct sinstance *s;
	struct snode *n = NULL;
	int rc = need_instance(st, a->name, &s, &n, err);

	(void)rng;
	if (rc < 0)
		return rc;
	if (runs_on(n, &s->i) || s->i.admin_state == ADMIN_UP)
		return err_set(err, ERR_WRONG_STATE, "guest '%s' is up", a->name), err_hint(err, "'gnt instance shutdown %s' first", a->name);
	add_disks_down(ret, st, &s->i);
	summary(ret, st, "deactivate disks of", &s->i);
	return 0;
}
