/* SPDX-License-Identifier: Apache-2.0 */
/* What a loser wrote: how its snapshots are named, who is noted as the loser, what is ordered, and what the node does with the order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/xmem.h"
#include "core/own.h"
#include "core/plan.h"
#include "core/planners.h"
#include "node/exec.h"
#include "storage/fake/fake.h"
#include "storage/storage.h"
#include "storage/tail.h"

#define A "aaaaaaaa-0000-4000-8000-000000000001"
#define B "aaaaaaaa-0000-4000-8000-000000000002"
#define VM "bbbbbbbb-0000-4000-8000-000000000001"
#define DISK "cccccccc-0000-4000-8000-000000000001"

/* ---- names --------------------------------------------------------------------------------------------- */

static void names_round_trip(void **state)
{
	struct tail_name t = { .instance = VM, .index = 3, .gen = INT64_MAX, .kept_s = 1700000000 }, back;
	char name[VOLUME_LEN + 1];

	(void)state;
	tail_format(&t, name);
	assert_string_equal(name, VM ".disk3_tail9223372036854775807.1700000000");
	assert_true(tail_parse(name, &back));
	assert_string_equal(back.instance, VM);
	assert_int_equal(back.index, 3);
	assert_int_equal(back.gen, INT64_MAX);
	assert_int_equal(back.kept_s, 1700000000);
}

static void other_names_are_no_tails(void **state)
{
	static const char *const names[] = { "", VM, VM ".disk0_data", VM ".disk0_meta", VM ".disk0_tail", VM ".disk0_tail7", VM ".disk0_tail7.", VM ".disk8_tail7.1",
					     VM ".disk0_tail9223372036854775808.1", VM ".disk0_tail07.1", VM ".disk0_tail7.1x", VM ".disk00_tail7.1", VM ".disk-1_tail7.1",
					     "xaaaaaaa-0000-4000-8000-000000000001.disk0_tail7.1" };
	struct tail_name t;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		assert_false(tail_parse(names[i], &t));
}

/* ---- the record ------------------------------------------------------------------------------------------- */

static void record(struct ownership *o, bool arbitrated, bool b_current)
{
	schema_init(&ownership_schema, o);
	own_init(o, A, arbitrated, 1);
	if (b_current)
		strs_add(&o->current, &o->n_current, B);
}

static void fail_over(struct ownership *o, bool planned, bool force)
{
	struct err err = ERR_INIT;

	assert_int_equal(own_failover(o, B, planned, force, planned ? EVIDENCE_NONE : EVIDENCE_LEASE, NULL, 2, &err), 0);
}

static void who_is_noted(void **state)
{
	struct ownership o;

	(void)state;
	record(&o, true, true);
	fail_over(&o, true, false);
	assert_string_equal(o.tail, ""); /* in an orderly way: both hold the same */
	schema_done(&ownership_schema, &o);

	record(&o, true, true);
	fail_over(&o, false, false);
	assert_string_equal(o.tail, A);
	assert_int_equal(o.tail_gen, o.gen);
	assert_int_equal(o.tail_must, 0); /* a verdict would have stood in the way of anything acknowledged */
	assert_true(own_tail_due(&o, A));
	assert_false(own_tail_due(&o, B));
	assert_true(own_grow(&o, B, true, A, o.gen, 3));
	assert_string_equal(o.tail, ""); /* it has resynced */
	schema_done(&ownership_schema, &o);

	record(&o, true, false);
	fail_over(&o, false, true);
	assert_string_equal(o.tail, A);
	assert_int_equal(o.tail_must, 1); /* --ignore-consistency: what the mirror lacks is there only */
	struct err err = ERR_INIT;
	assert_int_equal(own_failover(&o, A, true, true, EVIDENCE_NONE, NULL, 4, &err), 0);
	assert_string_equal(o.tail, B); /* and back: what A has is the truth again */
	assert_int_equal(o.tail_must, 1);
	own_give_up_tail(&o);
	assert_string_equal(o.tail, B);
	assert_int_equal(o.tail_must, 0);
	schema_done(&ownership_schema, &o);

	record(&o, false, true);
	fail_over(&o, false, false);
	assert_int_equal(o.tail_must, 1); /* without verdicts nobody knows */
	schema_done(&ownership_schema, &o);
}

/* ---- the plan ---------------------------------------------------------------------------------------------- */

static void add_node(struct state *st, const char *uuid, const char *name)
{
	struct node n;

	schema_init(&node_schema, &n);
	(void)str_copy(n.uuid, sizeof(n.uuid), uuid);
	(void)str_copy(n.name, sizeof(n.name), name);
	struct snode *s = state_put_node(st, &n);
	schema_done(&node_schema, &n);
	s->connected = true;
	s->seen_ms = 1;
	(void)str_copy(s->seen.hypervisor, sizeof(s->seen.hypervisor), "fake");
}

static struct instance *cluster(struct state *st, bool must)
{
	struct instance i;

	state_init(st);
	add_node(st, A, "node1");
	add_node(st, B, "node2");
	(void)str_copy(st->cluster.vg_name, sizeof(st->cluster.vg_name), "xenvg");
	schema_init(&instance_schema, &i);
	(void)str_copy(i.uuid, sizeof(i.uuid), VM);
	(void)str_copy(i.name, sizeof(i.name), "vm1");
	i.template = TEMPLATE_DRBD;
	i.admin_state = ADMIN_UP;
	i.port = 11000;
	strs_add(&i.nodes, &i.n_nodes, A);
	strs_add(&i.nodes, &i.n_nodes, B);
	own_init(&i.own, A, true, 1);
	own_note_tail(&i.own, B, must);
	struct disk *d = schema_list_add(schema_find(&instance_schema, "disks"), &i);
	(void)str_copy(d->uuid, sizeof(d->uuid), DISK);
	d->size = 1024;
	d->minor = 0;
	struct sinstance *s = state_put_instance(st, &i);
	schema_done(&instance_schema, &i);
	return &s->i;
}

static int at(const struct plan *p, const char *kind, const char *node)
{
	for (int i = 0; i < p->n_steps; i++)
		if (strcmp(p->steps[i].kind, kind) == 0 && strcmp(p->steps[i].node, node) == 0)
			return i;
	return -1;
}

static void ordered(bool must)
{
	struct err err = ERR_INIT;
	struct state st;
	struct plan p;
	struct instance *i = cluster(&st, must);

	plan_init(&p);
	assert_int_equal(add_disks_up(&p, &st, i, true, false, &err), 0);
	int keep = at(&p, "tail_keep", B), connect = at(&p, "drbd_connect", B), promote = at(&p, "drbd_primary", A);
	/* The side with the truth is promoted alone first: by its new UUID nobody takes the loser for the source (H11). */
	assert_true(promote >= 0 && promote < keep);
	assert_true(keep >= 0 && keep < connect);
	assert_int_equal(at(&p, "tail_keep", A), -1);
	assert_true(json_bool(p.steps[connect].args, "discard", false));
	assert_false(json_bool(p.steps[at(&p, "drbd_connect", A)].args, "discard", false));
	assert_int_equal(json_bool(p.steps[keep].args, "must", false), must);
	assert_int_equal(json_array_size(json_object_get(json_object_get(p.steps[connect].args, "tail"), "disks")), must ? 1 : 0);
	assert_true(p.steps[keep].may_fail && p.steps[connect].may_fail); /* the guest does not wait for it */
	plan_done(&p);
	/* In sync again: an ordinary mirror. */
	plan_init(&p);
	assert_true(own_grow(&i->own, A, true, B, i->own.gen, 2));
	assert_int_equal(add_disks_up(&p, &st, i, true, false, &err), 0);
	assert_int_equal(at(&p, "tail_keep", B), -1);
	assert_false(json_bool(p.steps[at(&p, "drbd_connect", B)].args, "discard", false));
	plan_done(&p);
	state_done(&st);
}

static int confirm(const struct state *st, const char *node, struct plan *p, struct err *err)
{
	struct op_instance_confirm a;
	struct rng rng;

	rng_seed(&rng, 1);
	plan_init(p);
	err_clear(err);
	schema_init(&op_instance_confirm_schema, &a);
	(void)str_copy(a.name, sizeof(a.name), "vm1");
	(void)str_copy(a.node, sizeof(a.node), node);
	return plan_run(st, OP_instance_confirm, &a, &rng, p, err);
}

static void reports_split_of(struct snode *n)
{
	struct obs_drbd *d = schema_list_add(schema_find(&observed_schema, "drbd"), &n->seen);

	(void)str_copy(d->uuid, sizeof(d->uuid), VM);
	(void)str_copy(d->resource, sizeof(d->resource), "vm1");
	d->split = 1;
}

/* Both in current: a person says which. The owner outside of it: what is said names the one that is, and only that one is taken. */
static void a_split_is_told_as_it_is(void **state)
{
	struct err err = ERR_INIT;
	struct state st;
	struct plan p;
	struct instance *i = cluster(&st, false);

	(void)state;
	own_note_tail(&i->own, "", false);
	reports_split_of(state_node(&st, A));
	reports_split_of(state_node(&st, B));
	assert_false(tails_split(&st, i)); /* the owner alone is current: the log knows who lost */
	strs_add(&i->own.current, &i->own.n_current, B);
	assert_true(tails_split(&st, i));
	assert_int_equal(tails_split_why(&st, i, &err), -ERR_NOT_SAFE);
	assert_non_null(strstr(err.msg, "both count as current"));
	assert_non_null(strstr(err.hint, "confirm -n NODE vm1"));
	strs_remove(&i->own.current, &i->own.n_current, A);
	assert_true(tails_split(&st, i));
	assert_int_equal(tails_split_why(&st, i, &err), -ERR_NOT_SAFE);
	assert_null(strstr(err.msg, "both count as current"));
	assert_non_null(strstr(err.msg, "on node 'node2' has every acknowledged write, and the instance belongs on node 'node1'"));
	assert_non_null(strstr(err.hint, "confirm -n node2 vm1"));
	assert_int_equal(confirm(&st, "node1", &p, &err), -ERR_NOT_SAFE); /* before: a job that failed at its transaction */
	assert_non_null(strstr(err.msg, "on node 'node1' is not current"));
	plan_done(&p);
	assert_int_equal(confirm(&st, "node2", &p, &err), 0);
	assert_int_equal(at(&p, "own_failover", ""), 0);
	struct obs_guest *g = schema_list_add(schema_find(&observed_schema, "guests"), &state_node(&st, A)->seen);
	(void)str_copy(g->uuid, sizeof(g->uuid), VM);
	plan_done(&p);
	assert_int_equal(confirm(&st, "node2", &p, &err), -ERR_NOT_SAFE);
	assert_null(strstr(err.hint, "truth")); /* it has not */
	plan_done(&p);
	state_done(&st);
}

static void what_is_ordered(void **state)
{
	(void)state;
	ordered(true);
	ordered(false);
}

/* The loser becomes the owner, by force: nothing of it is discarded. */
static void onto_the_loser(void **state)
{
	struct op_instance_failover a;
	struct err err = ERR_INIT;
	struct rng rng;
	struct state st;
	struct plan p;

	(void)state;
	(void)cluster(&st, true);
	rng_seed(&rng, 1);
	plan_init(&p);
	schema_init(&op_instance_failover_schema, &a);
	(void)str_copy(a.name, sizeof(a.name), "vm1");
	a.ignore_consistency = 1;
	state_node(&st, B)->seen.memory_free_mib = state_node(&st, B)->seen.memory_total_mib = 65536;
	assert_int_equal(plan_for(OP_instance_failover)(&st, &a, &rng, &p, &err), 0);
	for (int i = 0; i < p.n_steps; i++)
		assert_false(json_bool(p.steps[i].args, "discard", false));
	plan_done(&p);
	state_done(&st);
}

/* ---- the node ---------------------------------------------------------------------------------------------------- */

static bool marks[2]; /* split, stale */
static int set_split(struct exec_system *s, const char *u, bool set, struct err *err) { (void)s, (void)u, (void)err; marks[0] = set; return 0; }
static bool is_split(struct exec_system *s, const char *u) { (void)s, (void)u; return marks[0]; }
static bool never(struct exec_system *s, const char *u) { (void)s, (void)u; return false; }
static int nothing(struct exec_system *s, const char *u, bool set, struct err *err) { (void)s, (void)u, (void)set, (void)err; return 0; }
static int64_t wall(struct exec_system *s) { (void)s; return 1700000000000; }
static int granted(struct exec_env *e, const char *u, enum authority what, struct err *err) { (void)e, (void)u, (void)what, (void)err; return 0; }

struct rig {
	char dir[64];
	struct fake *fake;
	struct exec_system system;
	struct exec_env env;
	struct err err;
};

static int set_up(void **state)
{
	struct rig *r = xcalloc(1, sizeof(*r));
	struct volume_spec v = { .pool = "xenvg", .name = VM ".disk0_data", .owner = DISK, .size_mib = 1024 };

	(void)snprintf(r->dir, sizeof(r->dir), "/tmp/gantry-tails.XXXXXX");
	assert_non_null(mkdtemp(r->dir));
	assert_int_equal(fake_open(r->dir, "node2", &r->fake, &r->err), 0);
	r->system = (struct exec_system){ .split = set_split, .split_marked = is_split, .stale_marked = never, .pinned = never, .pin = nothing, .torn = nothing,
					  .stale_mark = nothing, .wall_ms = wall };
	r->env = (struct exec_env){ .lvm = fake_volumes(r->fake), .drbd = fake_drbd(r->fake), .system = &r->system, .authorise = granted, .handler_path = "/bin/true",
				    .time_factor = 1.0 };
	assert_int_equal(r->env.lvm->ops->create(r->env.lvm, &v, &r->err), 0);
	marks[0] = false;
	*state = r;
	return 0;
}

static int tear_down(void **state)
{
	struct rig *r = *state;
	AUTO_FREE char *cmd = xasprintf("rm -rf %s", r->dir);

	fake_close(r->fake);
	assert_int_equal(system(cmd), 0);
	free(r);
	return 0;
}

static int order(struct rig *r, enum step_kind kind, const char *args)
{
	void *a = xcalloc(1, step_infos[kind].args->size);
	struct exec_call c = { .kind = kind, .dir = STEP_DO, .args = a };
	json_t *result = NULL;

	err_clear(&r->err);
	assert_int_equal(schema_decode_text(step_infos[kind].args, a, args, &r->err), 0);
	int rc = exec_run(&r->env, &c, &result, &r->err);
	json_decref(result);
	schema_done(step_infos[kind].args, a);
	free(a);
	return rc;
}

static int count(struct rig *r, int64_t gen)
{
	struct volume_info *list = NULL;
	struct tail_name t;
	int n = 0, found = 0;

	assert_int_equal(r->env.lvm->ops->list(r->env.lvm, &list, &n, &r->err), 0);
	for (int i = 0; i < n; i++)
		found += tail_parse(list[i].name, &t) && t.gen == gen && strcmp(list[i].owner, DISK) == 0;
	free(list);
	return found;
}

#define VOLUME "{\"pool\":\"xenvg\",\"name\":\"" VM ".disk0_data\",\"owner\":\"" DISK "\",\"size\":1024}"
#define KEEP(gen, must) "{\"uuid\":\"" VM "\",\"gen\":" gen ",\"must\":" must ",\"volumes\":[" VOLUME "]}"
#define RESOURCE(more) "{\"uuid\":\"" VM "\",\"resource\":\"vm1\"" more "}"
#define CONF                                                                                                                                            \
	"{\"uuid\":\"" VM "\",\"resource\":\"vm1\",\"port\":11000,\"secret\":\"s\",\"volumes\":[{\"index\":0,\"minor\":0,\"disk\":\"/d\",\"meta\":\"/m\"}]," \
	"\"peers\":[{\"uuid\":\"" A "\",\"hostname\":\"node1\",\"address\":\"192.0.2.1\"},{\"uuid\":\"" B "\",\"hostname\":\"node2\",\"address\":\"192.0.2.2\"}]}"

static void fill_the_group(struct rig *r, int64_t leave_mib)
{
	struct pool_info *p = NULL;
	int n = 0;

	assert_int_equal(r->env.lvm->ops->pools(r->env.lvm, &p, &n, &r->err), 0);
	struct volume_spec v = { .pool = "xenvg", .name = "filler", .owner = A, .size_mib = p->free_mib - leave_mib };
	assert_int_equal(r->env.lvm->ops->create(r->env.lvm, &v, &r->err), 0);
	free(p);
}

static void kept_once(void **state)
{
	struct rig *r = *state;

	assert_int_equal(order(r, STEP_KIND_tail_keep, KEEP("7", "true")), 0);
	assert_int_equal(count(r, 7), 1);
	assert_int_equal(order(r, STEP_KIND_tail_keep, KEEP("7", "true")), 0); /* again: the first one stays, a resync may have begun */
	assert_int_equal(count(r, 7), 1);
	assert_int_equal(order(r, STEP_KIND_tail_keep, KEEP("9", "true")), 0); /* lost again later: another one */
	assert_int_equal(count(r, 9), 1);
	struct volume_spec v = { .pool = "xenvg", .name = VM ".disk0_data", .owner = DISK };
	assert_int_equal(r->env.lvm->ops->remove(r->env.lvm, &v, &r->err), 0);
	assert_int_equal(count(r, 7) + count(r, 9), 0); /* they go with their disk */
	assert_int_equal(order(r, STEP_KIND_tail_keep, KEEP("11", "true")), 0); /* no volume, nothing to keep */
}

static void no_room(void **state)
{
	struct rig *r = *state;

	fill_the_group(r, 1000);
	assert_int_equal(order(r, STEP_KIND_tail_keep, KEEP("7", "true")), -ERR_NO_SPACE);
	assert_int_equal(order(r, STEP_KIND_tail_keep, KEEP("7", "false")), 0);
	assert_int_equal(count(r, 7), 0);
}

static void not_connected_before_it_is_kept(void **state)
{
	struct rig *r = *state;
	static const char *const connect = RESOURCE(",\"discard\":true,\"tail\":{\"gen\":7,\"disks\":[" VOLUME "]}");
	struct drbd_status s;

	assert_int_equal(order(r, STEP_KIND_drbd_configure, CONF), 0);
	assert_int_equal(order(r, STEP_KIND_drbd_make_md, CONF), 0);
	assert_int_equal(order(r, STEP_KIND_drbd_attach, RESOURCE("")), 0);
	assert_int_equal(order(r, STEP_KIND_drbd_connect, connect), -ERR_NOT_SAFE);
	assert_int_equal(order(r, STEP_KIND_tail_keep, KEEP("6", "true")), 0); /* an older one is not it */
	assert_int_equal(order(r, STEP_KIND_drbd_connect, connect), -ERR_NOT_SAFE);
	assert_int_equal(r->env.drbd->ops->status(r->env.drbd, "vm1", &s, &r->err), 0);
	assert_int_equal(s.conn, DRBD_CONN_STANDALONE);
	assert_int_equal(order(r, STEP_KIND_tail_keep, KEEP("7", "true")), 0);
	marks[0] = true;
	assert_int_equal(order(r, STEP_KIND_drbd_connect, connect), 0);
	assert_false(marks[0]); /* if it still is, DRBD says so again */
	/* One that is Primary never discards, whatever the order says. */
	assert_int_equal(order(r, STEP_KIND_drbd_primary, RESOURCE(",\"force\":true")), 0);
	assert_int_equal(order(r, STEP_KIND_drbd_connect, connect), -ERR_NOT_SAFE);
}

static void not_promoted_while_split(void **state)
{
	struct rig *r = *state;

	assert_int_equal(order(r, STEP_KIND_drbd_configure, CONF), 0);
	assert_int_equal(order(r, STEP_KIND_drbd_make_md, CONF), 0);
	assert_int_equal(order(r, STEP_KIND_drbd_attach, RESOURCE("")), 0);
	assert_int_equal(r->env.drbd->ops->new_current_uuid(r->env.drbd, "vm1", true, &r->err), 0);
	marks[0] = true;
	assert_int_equal(order(r, STEP_KIND_drbd_primary, RESOURCE("")), -ERR_NOT_SAFE);
	assert_int_equal(order(r, STEP_KIND_drbd_connect, RESOURCE("")), 0);
	assert_int_equal(order(r, STEP_KIND_drbd_primary, RESOURCE("")), 0);
}

/* Until the two have met a mark holds, also for what is down; then it goes. Of what is not marked nothing is said, however it stands. */
static void split_until_they_meet(void **state)
{
	struct rig *r = *state;
	static const struct {
		struct drbd_status s;
		bool split;
	} row[] = {
		{ { .up = false }, true },
		{ { .up = true, .conn = DRBD_CONN_STANDALONE }, true },
		{ { .up = true, .conn = DRBD_CONN_CONNECTING }, true },
		/* "Connected", and the handshake that finds the split is not over (c9bed32) */
		{ { .up = true, .conn = DRBD_CONN_CONNECTED, .n_volumes = 2, .volumes = { { .repl = DRBD_REPL_ESTABLISHED }, { .repl = DRBD_REPL_OFF } } }, true },
		{ { .up = true, .conn = DRBD_CONN_CONNECTED, .n_volumes = 1, .volumes = { { .repl = DRBD_REPL_ESTABLISHED } } }, false },
		{ { .up = true, .conn = DRBD_CONN_CONNECTED, .n_volumes = 1, .volumes = { { .repl = DRBD_REPL_SYNC_TARGET } } }, false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(row); i++) {
		marks[0] = true;
		assert_int_equal(exec_is_split(&r->env, VM, &row[i].s), row[i].split);
		assert_int_equal(marks[0], row[i].split);
		assert_false(exec_is_split(&r->env, "", &row[i].s)); /* a resource of nobody's */
		marks[0] = false;
		assert_false(exec_is_split(&r->env, VM, &row[i].s));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_round_trip),
		cmocka_unit_test(other_names_are_no_tails),
		cmocka_unit_test(who_is_noted),
		cmocka_unit_test(what_is_ordered),
		cmocka_unit_test(onto_the_loser),
		cmocka_unit_test_setup_teardown(kept_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(no_room, set_up, tear_down),
		cmocka_unit_test_setup_teardown(not_connected_before_it_is_kept, set_up, tear_down),
		cmocka_unit_test(a_split_is_told_as_it_is),
		cmocka_unit_test_setup_teardown(not_promoted_while_split, set_up, tear_down),
		cmocka_unit_test_setup_teardown(split_until_they_meet, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
