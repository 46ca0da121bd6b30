/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Steps as a node does them. Where a live migration goes: both connections over the replication network, because the primary one may be why the guest
 * has to leave. Options, and a Primary without its disk.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/xmem.h"
#include "hypervisor/hypervisor.h"
#include "node/exec.h"
#include "storage/storage.h"

struct seen {
	struct hypervisor hv;
	bool here;
	char uri[128], data[128], name[64];
};

static int info(struct hypervisor *h, const char *uuid, struct hv_info *ret, struct err *err)
{
	struct seen *s = (struct seen *)(void *)h;

	(void)uuid;
	(void)err;
	memset(ret, 0, sizeof(*ret));
	ret->state = s->here ? HV_RUNNING : HV_NONE;
	return 0;
}

static int migrate(struct hypervisor *h, const char *uuid, const struct hv_migrate *m, struct err *err)
{
	struct seen *s = (struct seen *)(void *)h;

	(void)uuid;
	(void)err;
	(void)snprintf(s->uri, sizeof(s->uri), "%s", m->dest_uri);
	(void)snprintf(s->data, sizeof(s->data), "%s", m->migrate_uri);
	(void)snprintf(s->name, sizeof(s->name), "%s", m->dest_name);
	s->here = false;
	return 0;
}

static void check(const char *address, const char *uri, const char *data)
{
	static const struct hypervisor_ops ops = { .name = "seen", .info = info, .migrate = migrate };
	struct seen s = { .hv = { .ops = &ops }, .here = true };
	struct exec_env env = { .hv = &s.hv, .hv_scheme = "qemu+tls", .time_factor = 1 };
	struct step_migrate a;
	struct err err = ERR_INIT;
	json_t *result = NULL;

	schema_init(&step_migrate_schema, &a);
	(void)str_copy(a.uuid, sizeof(a.uuid), "d4403a5b-fe88-4589-92ba-cb95e5801544");
	(void)str_copy(a.name, sizeof(a.name), "vm1");
	(void)str_copy(a.target_name, sizeof(a.target_name), "node2");
	(void)str_copy(a.target_address, sizeof(a.target_address), address);
	struct exec_call c = { .kind = STEP_KIND_guest_migrate, .dir = STEP_DO, .args = &a };
	assert_int_equal(exec_run(&env, &c, &result, &err), 0);
	json_decref(result);
	assert_string_equal(s.uri, uri);
	assert_string_equal(s.data, data);
	assert_string_equal(s.name, "node2");
	schema_done(&step_migrate_schema, &a);
}

static void test_over_the_replication_network(void **state)
{
	(void)state;
	check("10.0.1.2", "qemu+tls://10.0.1.2/system", "tcp://10.0.1.2");
	check("fd00::2", "qemu+tls://[fd00::2]/system", "tcp://[fd00::2]");
}

/* ---- one node's DRBD ---------------------------------------------------------------------------------------------------- */

struct kernel {
	struct drbdm drbd;
	bool up, frozen;
	enum drbd_cstate conn;
	enum drbd_dstate disk; /* 0: UpToDate */
	enum drbd_dstate peer_disk;
	enum drbd_repl repl;
	enum drbd_role role, peer_role;
	int n_looks, n_options, n_attached, n_connected, n_promoted, n_forgotten, n_made;
	bool forced; /* promotions are to be by force, or not */
};

static int log_says; /* to who asks for its permission */

static int status(struct drbdm *d, const char *resource, struct drbd_status *ret, struct err *err)
{
	struct kernel *k = (struct kernel *)(void *)d;

	(void)resource;
	(void)err;
	k->n_looks++;
	memset(ret, 0, sizeof(*ret));
	ret->up = k->up;
	ret->suspended_fencing = k->frozen;
	ret->conn = k->conn;
	ret->role = k->role;
	ret->peer_role = k->peer_role;
	ret->n_volumes = 1;
	ret->volumes[0].disk = k->disk ? k->disk : DRBD_DISK_UPTODATE;
	ret->volumes[0].peer_disk = k->peer_disk;
	ret->volumes[0].repl = k->repl;
	return 0;
}

static int options(struct drbdm *d, const char *resource, struct err *err)
{
	struct kernel *k = (struct kernel *)(void *)d;

	(void)resource;
	(void)err;
	k->n_options++;
	return 0;
}

static int attach(struct drbdm *d, const char *resource, struct err *err)
{
	struct kernel *k = (struct kernel *)(void *)d;

	(void)resource;
	(void)err;
	k->n_attached++;
	k->up = true;
	return 0;
}

static int primary(struct drbdm *d, const char *resource, bool force, struct err *err)
{
	struct kernel *k = (struct kernel *)(void *)d;

	(void)resource;
	(void)err;
	assert_int_equal(force, k->forced);
	k->n_promoted++;
	if (force) { /* no handler is called for it: frozen until somebody asks */
		k->role = DRBD_ROLE_PRIMARY;
		k->disk = DRBD_DISK_UPTODATE;
		k->frozen = true;
	}
	return 0;
}

static int n_waits; /* 0 = it thaws; else that many times it does not */

static int wait_thaws(struct exec_env *env, const struct exec_call *c, int ms, struct err *err)
{
	(void)c;
	(void)ms;
	(void)err;
	if (n_waits-- <= 0)
		((struct kernel *)(void *)env->drbd)->frozen = false;
	return 0;
}

static int down(struct drbdm *d, const char *resource, struct err *err)
{
	(void)resource;
	(void)err;
	((struct kernel *)(void *)d)->up = false;
	return 0;
}

static int remove_conf(struct drbdm *d, const char *resource, struct err *err)
{
	(void)resource;
	(void)err;
	assert_false(((struct kernel *)(void *)d)->up); /* nobody could take it down any more */
	((struct kernel *)(void *)d)->n_forgotten++;
	return 0;
}

static int create_md(struct drbdm *d, const struct drbd_conf *c, bool force, struct err *err)
{
	(void)c;
	(void)err;
	assert_true(force);
	assert_false(((struct kernel *)(void *)d)->up); /* drbdmeta would refuse */
	((struct kernel *)(void *)d)->n_made++;
	return 0;
}

static int connect(struct drbdm *d, const char *resource, bool discard, struct err *err)
{
	(void)resource;
	(void)err;
	assert_false(discard);
	((struct kernel *)(void *)d)->n_connected++;
	return 0;
}

static int disconnect(struct drbdm *d, const char *resource, bool force, struct err *err)
{
	(void)d;
	(void)resource;
	(void)force;
	return err_set(err, ERR_NOT_FOUND, "it is not configured here");
}

static bool marked;

static bool is_marked(struct exec_system *s, const char *uuid)
{
	(void)s;
	(void)uuid;
	return marked;
}

static int not_set(struct exec_system *s, const char *uuid, bool on, struct err *err)
{
	(void)s;
	(void)uuid;
	(void)err;
	assert_false(on);
	return 0;
}

static int n_unpinned;
static bool is_pinned;

static bool pinned(struct exec_system *s, const char *uuid)
{
	(void)s;
	(void)uuid;
	return is_pinned;
}

static int unpinned(struct exec_system *s, const char *uuid, bool on, struct err *err)
{
	n_unpinned++;
	is_pinned = false;
	return not_set(s, uuid, on, err);
}

static int unmarked(struct exec_system *s, const char *uuid, bool on, struct err *err)
{
	marked = false;
	return not_set(s, uuid, on, err);
}

static int ask(struct exec_env *env, const char *uuid, enum authority act, struct err *err)
{
	(void)env;
	(void)uuid;
	assert_int_equal(act, AUTH_PROMOTE);
	return log_says ? err_set(err, (enum err_code)log_says, "not permitted") : 0;
}

/* ret_done: it is only probed. */
static int call_with(struct kernel *k, enum step_kind kind, enum step_dir dir, void *args, bool *ret_done, struct err *err)
{
	static const struct drbdm_ops ops = { .name = "seen", .status = status, .options = options, .attach = attach, .primary = primary, .down = down, .remove_conf = remove_conf,
					      .create_md = create_md, .connect = connect, .disconnect = disconnect };
	struct exec_system sys = { .pinned = pinned, .stale_marked = is_marked, .pin = unpinned, .stale_mark = unmarked, .torn = not_set };
	struct exec_env env = { .drbd = &k->drbd, .system = &sys, .authorise = ask, .wait = wait_thaws, .handler_path = "/usr/lib/handler", .time_factor = 1 };
	struct exec_call c = { .kind = kind, .dir = dir, .args = args };
	json_t *result = NULL;

	k->drbd.ops = &ops;
	k->n_looks = 0;
	err_clear(err);
	int rc = ret_done ? exec_probe(&env, &c, ret_done, err) : exec_run(&env, &c, &result, err);
	json_decref(result);
	return rc;
}

static int run_with(struct kernel *k, enum step_kind kind, enum step_dir dir, void *args, struct err *err)
{
	return call_with(k, kind, dir, args, NULL, err);
}

static int run_step(struct kernel *k, enum step_kind kind, enum step_dir dir, bool force, struct err *err)
{
	struct step_resource a;

	schema_init(&step_resource_schema, &a);
	(void)str_copy(a.resource, sizeof(a.resource), "vm1");
	a.force = force;
	int rc = run_with(k, kind, dir, &a, err);
	schema_done(&step_resource_schema, &a);
	return rc;
}

/* ---- options, and attaching ----------------------------------------------------------------------------------------------- */

/* Switching arbitration reaches what is up when the step is done, whatever the planner saw; what is down stays down, what has no disk gets none (H20). */
static void test_options_of_what_is_up(void **state)
{
	static const struct {
		bool up;
		enum drbd_dstate disk;
		int rc, options;
	} rows[] = { { true, DRBD_DISK_UPTODATE, 0, 1 }, { false, DRBD_DISK_NONE, 0, 0 }, { true, DRBD_DISK_DISKLESS, -ERR_STALE_REPLICA, 0 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct kernel k = { .up = rows[i].up, .disk = rows[i].disk };
		struct err err = ERR_INIT;

		assert_int_equal(run_step(&k, STEP_KIND_drbd_options, STEP_DO, false, &err), rows[i].rc);
		assert_int_equal(k.n_options, rows[i].options);
		assert_int_equal(k.n_attached, 0);
		err_clear(&err);
	}
}

/* The disk of a running Primary has failed and nobody has marked it yet: attached, it would be taken for good, without what was written since. */
static void test_primary_gets_no_disk(void **state)
{
	static const struct {
		enum drbd_role role;
		enum drbd_dstate disk;
		bool force;
		int rc, attached;
	} rows[] = {
		{ DRBD_ROLE_PRIMARY, DRBD_DISK_DISKLESS, false, -ERR_STALE_REPLICA, 0 },
		{ DRBD_ROLE_PRIMARY, DRBD_DISK_FAILED, false, -ERR_STALE_REPLICA, 0 },
		{ DRBD_ROLE_PRIMARY, DRBD_DISK_DISKLESS, true, 0, 1 }, /* it is made anew */
		{ DRBD_ROLE_PRIMARY, DRBD_DISK_UPTODATE, false, 0, 0 },
		{ DRBD_ROLE_SECONDARY, DRBD_DISK_DISKLESS, false, 0, 1 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct kernel k = { .up = true, .role = rows[i].role, .disk = rows[i].disk };
		struct err err = ERR_INIT;

		assert_int_equal(run_step(&k, STEP_KIND_drbd_attach, STEP_DO, rows[i].force, &err), rows[i].rc);
		assert_int_equal(k.n_attached, rows[i].attached);
		err_clear(&err);
	}
}

/* Behind a pivot the two of a new pair meet: what a boot took down is attached first, in the same step, so that a boot between two steps is none. */
static void test_meets_after_a_boot(void **state)
{
	static const struct {
		bool up, attach, marked;
		enum drbd_dstate disk;
		int rc, attached, connected;
	} rows[] = {
		{ false, true, false, DRBD_DISK_UPTODATE, 0, 1, 1 },
		{ false, true, true, DRBD_DISK_UPTODATE, -ERR_STALE_REPLICA, 0, 0 },
		{ false, false, false, DRBD_DISK_UPTODATE, -ERR_WRONG_STATE, 0, 0 },
		{ true, true, false, DRBD_DISK_INCONSISTENT, 0, 0, 1 },
		{ true, true, false, DRBD_DISK_DISKLESS, -ERR_WRONG_STATE, 0, 0 }, /* no boot took it: it failed */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct kernel k = { .up = rows[i].up, .role = DRBD_ROLE_SECONDARY, .conn = DRBD_CONN_STANDALONE, .disk = rows[i].disk };
		struct step_resource a;
		struct err err = ERR_INIT;

		schema_init(&step_resource_schema, &a);
		(void)str_copy(a.resource, sizeof(a.resource), "vm1");
		a.attach = rows[i].attach;
		marked = rows[i].marked;
		assert_int_equal(run_with(&k, STEP_KIND_drbd_connect, STEP_DO, &a, &err), rows[i].rc);
		assert_int_equal(k.n_attached, rows[i].attached);
		assert_int_equal(k.n_connected, rows[i].connected);
		schema_done(&step_resource_schema, &a);
		err_clear(&err);
	}
	marked = false;
}

/* ---- the mirror's proof ----------------------------------------------------------------------------------------------------- */

static int proven(struct kernel *k, struct err *err)
{
	return run_step(k, STEP_KIND_drbd_prove, STEP_DO, false, err);
}

/* Only a pair that is connected this very moment, and whose mirror has all of it; everything else is a refusal that says what helps. */
static void test_a_mirror_is_proven_by_drbd_alone(void **state)
{
	const struct kernel good = { .up = true, .conn = DRBD_CONN_CONNECTED, .peer_disk = DRBD_DISK_UPTODATE, .repl = DRBD_REPL_ESTABLISHED };
	struct kernel k = good;
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(proven(&k, &err), 0);
	k.conn = DRBD_CONN_CONNECTING;
	assert_int_equal(proven(&k, &err), -ERR_STALE_REPLICA);
	assert_non_null(strstr(err.hint, "--ignore-consistency"));
	k = good;
	k.peer_disk = DRBD_DISK_INCONSISTENT;
	k.repl = DRBD_REPL_SYNC_SOURCE;
	assert_int_equal(proven(&k, &err), -ERR_STALE_REPLICA);
	k = good;
	k.disk = DRBD_DISK_DISKLESS; /* all that is written goes to the mirror's */
	assert_int_equal(proven(&k, &err), 0);
	k.conn = DRBD_CONN_CONNECTING;
	assert_int_equal(proven(&k, &err), -ERR_STALE_REPLICA);
	k = (struct kernel){ .up = false };
	assert_int_equal(proven(&k, &err), -ERR_STALE_REPLICA);
}

/* ---- who a message is about ------------------------------------------------------------------------------------------------------ */

/* A renamed instance's resource has another name, which says nothing to a person (doc/design/016-rename.adoc). */
static void test_words_name_the_instance(void **state)
{
	struct kernel k = { .up = false };
	struct step_resource a;
	struct err err = ERR_INIT;

	(void)state;
	schema_init(&step_resource_schema, &a);
	(void)str_copy(a.resource, sizeof(a.resource), "vm1");
	(void)str_copy(a.name, sizeof(a.name), "web1");
	assert_int_equal(run_with(&k, STEP_KIND_drbd_prove, STEP_DO, &a, &err), -ERR_STALE_REPLICA);
	assert_non_null(strstr(err.msg, "'web1'"));
	assert_non_null(strstr(err.hint, " web1'"));
	schema_done(&step_resource_schema, &a);
}

/* ---- undoing a Secondary ------------------------------------------------------------------------------------------------------- */

static int undo_secondary(struct kernel *k)
{
	struct err err = ERR_INIT;

	return run_step(k, STEP_KIND_drbd_secondary, STEP_UNDO_DIR, false, &err);
}

/* What is refused for good is not insisted on; what may come is. */
static void test_a_secondary_is_undone_as_far_as_the_log_permits(void **state)
{
	const struct kernel good = { .up = true, .conn = DRBD_CONN_CONNECTED, .peer_disk = DRBD_DISK_UPTODATE, .repl = DRBD_REPL_ESTABLISHED };
	struct kernel k = good;

	(void)state;
	log_says = 0;
	assert_int_equal(undo_secondary(&k), 0);
	assert_int_equal(k.n_promoted, 1);
	assert_int_equal(k.n_looks, 1); /* what is decided on is what was seen */
	log_says = ERR_NOT_OWNER;
	assert_int_equal(undo_secondary(&k), 0);
	log_says = ERR_NODE_DOWN; /* no answer: asked again */
	assert_int_equal(undo_secondary(&k), -ERR_NODE_DOWN);
	log_says = 0;
	k.disk = DRBD_DISK_OUTDATED;
	assert_int_equal(undo_secondary(&k), 0);
	k = (struct kernel){ .up = false }; /* its node was off meanwhile */
	assert_int_equal(undo_secondary(&k), 0);
	assert_int_equal(k.n_promoted, 0);
}

/* ---- a replica that a person took as it is ---------------------------------------------------------------------------------- */

static int promote(struct kernel *k, bool force, struct err *err)
{
	struct step_resource a;

	schema_init(&step_resource_schema, &a);
	(void)str_copy(a.resource, sizeof(a.resource), "vm1");
	a.force = force;
	int rc = run_with(k, STEP_KIND_drbd_primary, STEP_DO, &a, err);
	schema_done(&step_resource_schema, &a);
	return rc;
}

/* What is marked or behind is promoted by a person's word only, and only while the log says the same; then the mark has had its day. */
static void test_a_replica_is_taken_as_it_is(void **state)
{
	const struct kernel behind = { .up = true, .conn = DRBD_CONN_STANDALONE, .disk = DRBD_DISK_INCONSISTENT, .role = DRBD_ROLE_SECONDARY };
	struct kernel k = behind;
	struct err err = ERR_INIT;

	(void)state;
	log_says = n_waits = 0;
	marked = is_pinned = true;
	assert_int_equal(promote(&k, false, &err), -ERR_STALE_REPLICA);
	log_says = ERR_NOT_OWNER; /* an old order */
	assert_int_equal(promote(&k, true, &err), -ERR_NOT_OWNER);
	assert_true(marked && is_pinned && !k.n_promoted);
	log_says = 0;
	k.forced = true;
	assert_int_equal(promote(&k, true, &err), 0);
	assert_int_equal(k.n_promoted, 1);
	assert_true(!marked && !is_pinned && !k.frozen); /* it waits until it has its verdict: what follows would take it apart */
	k = behind;
	k.forced = true;
	n_waits = 1000;
	assert_int_equal(promote(&k, true, &err), -ERR_BUSY);
	/* One that is only marked asks by DRBD's handler, as any. */
	k = behind;
	k.disk = DRBD_DISK_CONSISTENT;
	marked = true;
	assert_int_equal(promote(&k, false, &err), -ERR_STALE_REPLICA);
	assert_int_equal(promote(&k, true, &err), 0);
	assert_true(!marked && k.n_promoted == 1);
}

/* ---- volumes ------------------------------------------------------------------------------------------------------------------ */

struct shelf {
	struct volumes base;
	char names[8][VOLUME_LEN + 1];
	int n, room;
};

static int shelf_at(const struct shelf *s, const char *name)
{
	for (int i = 0; i < s->n; i++)
		if (strcmp(s->names[i], name) == 0)
			return i;
	return -1;
}

static int shelf_create(struct volumes *v, const struct volume_spec *spec, struct err *err)
{
	struct shelf *s = (struct shelf *)(void *)v;

	if (shelf_at(s, spec->name) >= 0)
		return 0;
	if (s->n >= s->room)
		return err_set(err, ERR_NO_SPACE, "it is full");
	(void)str_copy(s->names[s->n++], sizeof(s->names[0]), spec->name);
	return 0;
}

static int shelf_remove(struct volumes *v, const struct volume_spec *spec, struct err *err)
{
	struct shelf *s = (struct shelf *)(void *)v;
	int at = shelf_at(s, spec->name);

	(void)err;
	if (at >= 0)
		memcpy(s->names[at], s->names[--s->n], sizeof(s->names[0]));
	return 0;
}

static int shelf_probe(struct volumes *v, const struct volume_spec *spec, bool *ret, struct err *err)
{
	(void)err;
	*ret = shelf_at((struct shelf *)(void *)v, spec->name) >= 0;
	return 0;
}

static int shelf_list(struct volumes *v, struct volume_info **ret, int *ret_n, struct err *err)
{
	struct shelf *s = (struct shelf *)(void *)v;

	(void)err;
	*ret = xcalloc((size_t)s->n + 1, sizeof(**ret));
	for (int i = 0; i < s->n; i++) {
		(void)str_copy((*ret)[i].pool, sizeof((*ret)[i].pool), "vg");
		(void)str_copy((*ret)[i].name, sizeof((*ret)[i].name), s->names[i]);
	}
	*ret_n = s->n;
	return 0;
}

/* A replica has a data and a metadata volume. Of what an earlier job left one may be there: what is undone is what was made here, no more. */
static void test_an_undo_leaves_volumes_that_were_there(void **state)
{
	static const struct volumes_ops ops = { .name = "shelf", .create = shelf_create, .remove = shelf_remove, .probe = shelf_probe, .list = shelf_list };
	static const char *const names[] = { "vm1.disk0_data", "vm1.disk0_meta", "vm1.disk1_data", "vm1.disk1_meta" };

	(void)state;
	for (int there = 0; there < 16; there++) /* each may have been there, or not */
		for (int room = 1; room <= 4; room++) { /* and the last ones may not be made */
			struct shelf s = { .base = { &ops }, .room = room };
			struct exec_env env = { .lvm = &s.base, .time_factor = 1 };
			struct err err = ERR_INIT;
			struct step_volumes a;
			json_t *result = NULL;
			AUTO_JSON json_t *before = NULL;
			bool done = false;

			schema_init(&step_volumes_schema, &a);
			for (int i = 0; i < 4; i++) {
				struct step_volume *v = schema_list_add(schema_find(&step_volumes_schema, "volumes"), &a);

				(void)str_copy(v->pool, sizeof(v->pool), "vg");
				(void)str_copy(v->name, sizeof(v->name), names[i]);
				if (there & 1 << i)
					(void)str_copy(s.names[s.n++], sizeof(s.names[0]), names[i]);
			}
			int n = s.n;
			struct exec_call probe = { .kind = STEP_KIND_volume_create, .dir = STEP_DO, .args = &a, .ret_before = &before };
			struct exec_call make = { .kind = STEP_KIND_volume_create, .dir = STEP_DO, .args = &a };
			assert_int_equal(exec_probe(&env, &probe, &done, &err), 0);
			assert_int_equal(done, n == 4); /* then the agent undoes nothing */
			if (!done) {
				struct exec_call undo = { .kind = STEP_KIND_volume_create, .dir = STEP_UNDO_DIR, .args = &a, .before = before };

				assert_int_equal(exec_run(&env, &make, &result, &err), room < 4 ? -ERR_NO_SPACE : 0);
				err_clear(&err);
				assert_int_equal(exec_run(&env, &undo, &result, &err), 0);
			}
			assert_int_equal(s.n, n);
			for (int i = 0; i < 4; i++)
				assert_int_equal(shelf_at(&s, names[i]) >= 0, (there & 1 << i) != 0);
			schema_done(&step_volumes_schema, &a);
		}
}

/* ---- what is left behind ------------------------------------------------------------------------------------------------------- */

/* The step that takes it down may have been passed over while its node was away. */
static void test_forgets_what_is_still_up(void **state)
{
	struct kernel k = { .up = true, .role = DRBD_ROLE_SECONDARY };
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(run_step(&k, STEP_KIND_drbd_forget, STEP_DO, false, &err), 0);
	assert_int_equal(k.n_forgotten, 1);
	k = (struct kernel){ .up = true, .role = DRBD_ROLE_PRIMARY };
	assert_int_equal(run_step(&k, STEP_KIND_drbd_forget, STEP_DO, false, &err), -ERR_BUSY);
	assert_true(k.up && !k.n_forgotten);
}

/* The same before new metadata is written; one that is in use, or waits for a verdict, keeps what it has. */
static void test_metadata_is_made_anew_of_what_is_not_used(void **state)
{
	struct step_drbd_conf a;
	struct err err = ERR_INIT;

	(void)state;
	schema_init(&step_drbd_conf_schema, &a);
	(void)str_copy(a.resource, sizeof(a.resource), "vm1");
	a.force = 1;
	for (int i = 0; i < 2; i++)
		(void)schema_list_add(schema_find(&step_drbd_conf_schema, "peers"), &a);
	struct kernel k = { .up = true, .role = DRBD_ROLE_SECONDARY };
	assert_int_equal(run_with(&k, STEP_KIND_drbd_make_md, STEP_DO, &a, &err), 0);
	assert_true(!k.up && k.n_made == 1);
	assert_int_equal(run_with(&k, STEP_KIND_drbd_make_md, STEP_DO, &a, &err), 0); /* it is down already */
	assert_int_equal(k.n_made, 2);
	n_unpinned = 0; /* whoever should have taken over here, and could not, is no more */
	assert_int_equal(run_with(&k, STEP_KIND_drbd_make_md, STEP_DO, &a, &err), 0);
	assert_int_equal(n_unpinned, 1);
	k = (struct kernel){ .up = true, .role = DRBD_ROLE_PRIMARY };
	assert_int_equal(run_with(&k, STEP_KIND_drbd_make_md, STEP_DO, &a, &err), -ERR_BUSY);
	assert_true(k.up && !k.n_made);
	k = (struct kernel){ .up = true, .role = DRBD_ROLE_SECONDARY, .frozen = true };
	assert_int_equal(run_with(&k, STEP_KIND_drbd_make_md, STEP_DO, &a, &err), -ERR_BUSY);
	assert_true(k.up && !k.n_made);
	schema_done(&step_drbd_conf_schema, &a);
}

/* Its node stood still in the attach for so long that the undo of that was passed over: what came through late is taken down with its file. */
static void test_a_file_is_not_taken_from_what_is_up(void **state)
{
	struct kernel k = { .up = true, .role = DRBD_ROLE_SECONDARY };
	struct step_drbd_conf a;
	struct err err = ERR_INIT;

	(void)state;
	schema_init(&step_drbd_conf_schema, &a);
	(void)str_copy(a.resource, sizeof(a.resource), "vm1");
	assert_int_equal(run_with(&k, STEP_KIND_drbd_configure, STEP_UNDO_DIR, &a, &err), 0);
	assert_int_equal(k.n_forgotten, 1);
	k = (struct kernel){ .up = true, .role = DRBD_ROLE_PRIMARY };
	assert_int_equal(run_with(&k, STEP_KIND_drbd_configure, STEP_UNDO_DIR, &a, &err), -ERR_BUSY);
	assert_int_equal(k.n_forgotten, 0);
	schema_done(&step_drbd_conf_schema, &a);
}

/* The Primary on the other side has no disk of its own any more: what it acknowledges is here and nowhere else (H7). */
static void test_whom_the_other_side_lives_on_stays_up(void **state)
{
	const struct kernel lived_on = { .up = true, .role = DRBD_ROLE_SECONDARY, .peer_role = DRBD_ROLE_PRIMARY, .conn = DRBD_CONN_CONNECTED,
					 .peer_disk = DRBD_DISK_DISKLESS };
	struct kernel k = lived_on;
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(run_step(&k, STEP_KIND_drbd_down, STEP_DO, false, &err), -ERR_STALE_REPLICA);
	assert_true(k.up);
	k.peer_disk = DRBD_DISK_FAILED;
	assert_int_equal(run_step(&k, STEP_KIND_drbd_down, STEP_DO, false, &err), -ERR_STALE_REPLICA);
	k.peer_disk = DRBD_DISK_UPTODATE;
	assert_int_equal(run_step(&k, STEP_KIND_drbd_down, STEP_DO, false, &err), 0);
	k = lived_on;
	k.conn = DRBD_CONN_CONNECTING; /* nobody does any more */
	assert_int_equal(run_step(&k, STEP_KIND_drbd_down, STEP_DO, false, &err), 0);
	k = lived_on;
	k.disk = DRBD_DISK_INCONSISTENT; /* nobody can */
	assert_int_equal(run_step(&k, STEP_KIND_drbd_down, STEP_DO, false, &err), 0);
	k = lived_on;
	k.peer_role = DRBD_ROLE_SECONDARY;
	assert_int_equal(run_step(&k, STEP_KIND_drbd_down, STEP_DO, false, &err), 0);
}

/* One that was to take over, and is not promoted as its instance is down, need not stay apart for ever: what is down is apart. */
static void test_what_is_down_is_not_pinned(void **state)
{
	struct step_resource a;
	struct err err = ERR_INIT;

	(void)state;
	schema_init(&step_resource_schema, &a);
	(void)str_copy(a.resource, sizeof(a.resource), "vm1");
	for (int up = 0; up < 2; up++) { /* down already counts as done only when that is, too */
		struct kernel k = { .up = up, .role = DRBD_ROLE_SECONDARY };
		bool done = true;

		is_pinned = true;
		assert_int_equal(call_with(&k, STEP_KIND_drbd_down, STEP_DO, &a, &done, &err), 0);
		assert_false(done);
		assert_int_equal(run_with(&k, STEP_KIND_drbd_down, STEP_DO, &a, &err), 0);
		assert_true(!k.up && !is_pinned);
		assert_int_equal(call_with(&k, STEP_KIND_drbd_down, STEP_DO, &a, &done, &err), 0);
		assert_true(done);
	}
	struct kernel frozen = { .up = true, .role = DRBD_ROLE_PRIMARY, .frozen = true };
	is_pinned = true;
	assert_int_equal(run_with(&frozen, STEP_KIND_drbd_down, STEP_DO, &a, &err), -ERR_BUSY);
	assert_true(is_pinned);
	is_pinned = false;
	schema_done(&step_resource_schema, &a);
}

static void test_what_is_down_needs_no_disconnecting(void **state)
{
	struct kernel k = { .up = false };
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(run_step(&k, STEP_KIND_drbd_connect, STEP_UNDO_DIR, false, &err), 0);
	k.up = true;
	assert_int_equal(run_step(&k, STEP_KIND_drbd_connect, STEP_UNDO_DIR, false, &err), -ERR_NOT_FOUND);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_over_the_replication_network), cmocka_unit_test(test_options_of_what_is_up), cmocka_unit_test(test_primary_gets_no_disk),
					    cmocka_unit_test(test_meets_after_a_boot),
					    cmocka_unit_test(test_a_replica_is_taken_as_it_is),
					    cmocka_unit_test(test_an_undo_leaves_volumes_that_were_there),
					    cmocka_unit_test(test_a_file_is_not_taken_from_what_is_up),
					    cmocka_unit_test(test_whom_the_other_side_lives_on_stays_up),
					  cmocka_unit_test(test_a_mirror_is_proven_by_drbd_alone),
					  cmocka_unit_test(test_a_secondary_is_undone_as_far_as_the_log_permits), cmocka_unit_test(test_forgets_what_is_still_up),
					  cmocka_unit_test(test_words_name_the_instance), cmocka_unit_test(test_metadata_is_made_anew_of_what_is_not_used),
					  cmocka_unit_test(test_what_is_down_is_not_pinned),
					  cmocka_unit_test(test_what_is_down_needs_no_disconnecting) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
