/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/xmem.h"
#include "tests/unit/plan_rig.h"

static struct snode *add_node(struct state *st, const char *uuid, const char *name, int number)
{
	struct node n;

	schema_init(&node_schema, &n);
	(void)str_copy(n.uuid, sizeof(n.uuid), uuid);
	(void)str_copy(n.name, sizeof(n.name), name);
	(void)snprintf(n.address, sizeof(n.address), "192.0.2.%d", number);
	(void)snprintf(n.replication_address, sizeof(n.replication_address), "192.0.2.%d", number);
	n.candidate = 1;
	struct snode *s = state_put_node(st, &n);
	schema_done(&node_schema, &n);
	schema_init(&observed_schema, &s->seen);
	s->connected = true;
	s->links = 1;
	s->seen_ms = 1;
	s->seen.memory_total_mib = s->seen.memory_free_mib = 65536;
	(void)str_copy(s->seen.hypervisor, sizeof(s->seen.hypervisor), "QEMU");
	struct obs_pool *p = schema_list_add(schema_find(&observed_schema, "pools"), &s->seen);
	(void)str_copy(p->name, sizeof(p->name), "xenvg");
	p->size_mib = p->free_mib = 100000;
	return s;
}

struct sinstance *add_instance(struct state *st, bool a_current, bool b_current)
{
	struct instance i;

	schema_init(&instance_schema, &i);
	(void)str_copy(i.uuid, sizeof(i.uuid), VM);
	(void)str_copy(i.name, sizeof(i.name), "vm1");
	i.template = TEMPLATE_DRBD;
	i.admin_state = ADMIN_UP;
	strs_add(&i.nodes, &i.n_nodes, A);
	strs_add(&i.nodes, &i.n_nodes, B);
	(void)str_copy(i.own.owner, sizeof(i.own.owner), A);
	if (a_current)
		strs_add(&i.own.current, &i.own.n_current, A);
	if (b_current)
		strs_add(&i.own.current, &i.own.n_current, B);
	i.own.gen = 7;
	i.own.arbitrated = 1;
	i.port = 11000;
	struct disk *d = schema_list_add(schema_find(&instance_schema, "disks"), &i);
	d->size = 1024;
	d->minor = 0;
	struct sinstance *s = state_put_instance(st, &i);
	schema_done(&instance_schema, &i);
	return s;
}

void see_drbd(struct snode *n, const char *role, const char *disk, const char *peer_disk)
{
	struct obs_drbd *d = schema_list_add(schema_find(&observed_schema, "drbd"), &n->seen);

	(void)str_copy(d->resource, sizeof(d->resource), "vm1");
	(void)str_copy(d->uuid, sizeof(d->uuid), VM);
	(void)str_copy(d->role, sizeof(d->role), role);
	(void)str_copy(d->conn, sizeof(d->conn), "Connected");
	(void)str_copy(d->disk, sizeof(d->disk), disk);
	(void)str_copy(d->peer_disk, sizeof(d->peer_disk), peer_disk);
	d->up = 1;
	d->gen = 7;
	d->in_sync = strcmp(disk, "UpToDate") == 0 && strcmp(peer_disk, "UpToDate") == 0;
}

void see_guest(struct snode *n)
{
	struct obs_guest *g = schema_list_add(schema_find(&observed_schema, "guests"), &n->seen);

	(void)str_copy(g->uuid, sizeof(g->uuid), VM);
	(void)str_copy(g->name, sizeof(g->name), "vm1");
	(void)str_copy(g->state, sizeof(g->state), "running");
}

int world_set_up(void **state)
{
	struct world *w = xcalloc(1, sizeof(*w));

	state_init(&w->st);
	(void)str_copy(w->st.cluster.vg_name, sizeof(w->st.cluster.vg_name), "xenvg");
	w->st.cluster.arbitration = 1;
	w->st.cluster.lease_ms = 12000;
	(void)str_copy(w->st.self, sizeof(w->st.self), C);
	add_node(&w->st, A, "node1", 1);
	add_node(&w->st, B, "node2", 2);
	add_node(&w->st, C, "node3", 3);
	plan_init(&w->plan);
	*state = w;
	return 0;
}

int world_tear_down(void **state)
{
	struct world *w = *state;

	plan_done(&w->plan);
	state_done(&w->st);
	free(w);
	return 0;
}

int plan(struct world *w, enum op_index op, const char *args)
{
	void *a = xcalloc(1, op_infos[op].args->size);
	struct rng rng;

	rng_seed(&rng, 1);
	plan_done(&w->plan);
	err_clear(&w->err);
	assert_int_equal(schema_decode_text(op_infos[op].args, a, args, &w->err), 0);
	int rc = plan_for(op)(&w->st, a, &rng, &w->plan, &w->err);
	schema_done(op_infos[op].args, a);
	free(a);
	return rc;
}

int step_at(const struct world *w, const char *kind, const char *node)
{
	for (int i = 0; i < w->plan.n_steps; i++)
		if (strcmp(w->plan.steps[i].kind, kind) == 0 && strcmp(w->plan.steps[i].node, node) == 0)
			return i;
	return -1;
}
