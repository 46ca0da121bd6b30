/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Steps as a node does them. Where a live migration goes: both connections over the replication network, because the primary one may be why the guest
 * has to leave. What is adjusted.
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
	int n_looks, n_adjusted, n_promoted, n_forgotten, n_made;
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

static int adjust(struct drbdm *d, const char *resource, struct err *err)
{
	struct kernel *k = (struct kernel *)(void *)d;

	(void)resource;
	(void)err;
	k->up = true; /* as drbdadm does */
	k->n_adjusted++;
	return 0;
}

static int primary(struct drbdm *d, const char *resource, bool force, struct err *err)
{
	(void)resource;
	(void)err;
	assert_false(force);
	((struct kernel *)(void *)d)->n_promoted++;
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

static int disconnect(struct drbdm *d, const char *resource, bool force, struct err *err)
{
	(void)d;
	(void)resource;
	(void)force;
	return err_set(err, ERR_NOT_FOUND, "it is not configured here");
}

static bool not_marked(struct exec_system *s, const char *uuid)
{
	(void)s;
	(void)uuid;
	return false;
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
	static const struct drbdm_ops ops = { .name = "seen", .status = status, .adjust = adjust, .primary = primary, .down = down, .remove_conf = remove_conf,
					      .create_md = create_md, .disconnect = disconnect };
	struct exec_system sys = { .pinned = pinned, .stale_marked = not_marked, .pin = unpinned, .stale_mark = not_set };
	struct exec_env env = { .drbd = &k->drbd, .system = &sys, .authorise = ask, .handler_path = "/usr/lib/handler", .time_factor = 1 };
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

static int run_step(struct kernel *k, enum step_kind kind, enum step_dir dir, bool only_up, struct err *err)
{
	struct step_resource a;

	schema_init(&step_resource_schema, &a);
	(void)str_copy(a.resource, sizeof(a.resource), "vm1");
	a.only_up = only_up;
	int rc = run_with(k, kind, dir, &a, err);
	schema_done(&step_resource_schema, &a);
	return rc;
}

/* ---- adjusting ---------------------------------------------------------------------------------------------------------- */

/* Switching arbitration adjusts what is up when the step is done, whatever the planner saw; what is down stays down (H20). */
static void test_adjusts_what_is_up(void **state)
{
	static const struct {
		bool up, only_up;
		int adjusted;
	} rows[] = { { true, true, 1 }, { false, true, 0 }, { false, false, 1 } }; /* elsewhere adjusting brings it up */

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct kernel k = { .up = rows[i].up };
		struct err err = ERR_INIT;

		assert_int_equal(run_step(&k, STEP_KIND_drbd_adjust, STEP_DO, rows[i].only_up, &err), 0);
		assert_int_equal(k.n_adjusted, rows[i].adjusted);
	}
}

/* ---- the mirror's proof ----------------------------------------------------------------------------------------------------- */

static int proven(struct kernel *k, struct err *err)
{
	return run_step(k, STEP_KIND_drbd_prove, STEP_DO, false, err);
}

/* Only a pair that is connected and in sync this very moment; everything else is a refusal that says what helps. */
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
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_over_the_replication_network), cmocka_unit_test(test_adjusts_what_is_up),
					    cmocka_unit_test(test_a_file_is_not_taken_from_what_is_up),
					    cmocka_unit_test(test_whom_the_other_side_lives_on_stays_up),
					  cmocka_unit_test(test_a_mirror_is_proven_by_drbd_alone),
					  cmocka_unit_test(test_a_secondary_is_undone_as_far_as_the_log_permits), cmocka_unit_test(test_forgets_what_is_still_up),
					  cmocka_unit_test(test_words_name_the_instance), cmocka_unit_test(test_metadata_is_made_anew_of_what_is_not_used),
					  cmocka_unit_test(test_what_is_down_is_not_pinned),
					  cmocka_unit_test(test_what_is_down_needs_no_disconnecting) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
