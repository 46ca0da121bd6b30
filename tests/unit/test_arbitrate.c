/* SPDX-License-Identifier: Apache-2.0 */
/* Disk arbitration on the node's side alone: what it asks, and what it does with an answer. Everything around it is a fake that notes what it was given. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/json.h"
#include "common/xmem.h"
#include "node/guard.h"
#include "node/node.h"

#define VM "66666666-6666-4666-8666-666666666666"
#define BOOT "77777777-7777-4777-8777-777777777777"

static struct msg_ask asked; /* the newest */
static int n_asked, n_carried;
static const char *peers_disk = ""; /* at the next look */
static char answered[20];    /* what DRBD's handler was told; "" = it waits */

int64_t agent_highest_epoch(const struct agent *a)
{
	(void)a;
	return 1;
}

void uplink_send(struct noded *n, const char *type, const struct schema *s, const void *msg)
{
	(void)n;
	(void)s;
	assert_string_equal(type, "ask");
	asked = *(const struct msg_ask *)msg;
	n_asked++;
}

void local_answer(struct nano_server *s, const struct nano_from *to, const char *id, json_t *result, const struct err *err)
{
	(void)s;
	(void)to;
	(void)id;
	assert_null(err);
	(void)str_copy(answered, sizeof(answered), json_str(result, "verdict", ""));
	json_decref(result);
}

void workers_submit(struct workers *w, const char *lane, const struct worker_job *job)
{
	(void)w;
	(void)lane;
	n_carried++; /* DRBD is told: here nobody does it */
	free(job->arg);
}

int exec_run(struct exec_env *env, const struct exec_call *c, json_t **ret, struct err *err)
{
	(void)env;
	(void)c;
	(void)ret;
	(void)err;
	fail();
	return 0;
}

void observe_now(struct noded *n)
{
	(void)n; /* looks come when the test says so */
}

void guard_gens(struct noded *n)
{
	(void)n;
}

void guard_apart(struct noded *n, const char *instance, bool connected)
{
	(void)n;
	(void)instance;
	(void)connected;
}

int64_t loop_now_ms(struct loop *l)
{
	(void)l;
	return 1000;
}

/* ---- a node with one instance ---------------------------------------------------------------------------- */

static struct noded node;

static int set_up(void **state)
{
	(void)state;
	memset(&node, 0, sizeof(node));
	memset(&asked, 0, sizeof(asked));
	n_asked = n_carried = 0;
	peers_disk = "";
	answered[0] = '\0';
	(void)str_copy(node.boot, sizeof(node.boot), BOOT);
	list_init(&node.handlers);
	node.drbd_ok = true;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	list_for_each_safe(l, &node.handlers)
		free(list_entry(l, struct handler_call, link));
	schema_done(&observed_schema, &node.seen);
	free(node.gens);
	return 0;
}

static void told(int64_t gen, bool current)
{
	struct msg_gen g;
	struct msg_gens m;

	schema_init(&msg_gen_schema, &g);
	(void)str_copy(g.instance, sizeof(g.instance), VM);
	g.gen = gen;
	g.arbitrated = 1;
	g.current = current;
	g.owner = 1;
	schema_init(&msg_gens_schema, &m);
	m.epoch = 1;
	m.gens = &g;
	m.n_gens = 1;
	arbitrate_gens(&node, &m);
}

static void looked(const char *conn, const char *disk, bool suspended, bool marked)
{
	schema_done(&observed_schema, &node.seen);
	schema_init(&observed_schema, &node.seen);
	struct obs_drbd *d = schema_list_add(schema_find(&observed_schema, "drbd"), &node.seen);

	(void)str_copy(d->uuid, sizeof(d->uuid), VM);
	(void)str_copy(d->resource, sizeof(d->resource), "vm1");
	(void)str_copy(d->role, sizeof(d->role), "Primary");
	(void)str_copy(d->conn, sizeof(d->conn), conn);
	(void)str_copy(d->disk, sizeof(d->disk), disk);
	(void)str_copy(d->peer_disk, sizeof(d->peer_disk), peers_disk);
	d->up = 1;
	d->suspended = suspended;
	d->marked = marked;
	arbitrate_observed(&node);
}

static void handler_asks(void)
{
	const struct nano_from from = { 0 };
	struct msg_request r;

	schema_init(&msg_request_schema, &r);
	(void)str_copy(r.id, sizeof(r.id), "1");
	r.args = json_pack("{s:s, s:s}", "event", "fence-peer", "resource", "vm1");
	arbitrate_handler(&node, NULL, &from, &r);
	schema_done(&msg_request_schema, &r);
}

static void hears(enum verdict what, int64_t gen)
{
	struct msg_verdict v;

	schema_init(&msg_verdict_schema, &v);
	(void)str_copy(v.instance, sizeof(v.instance), VM);
	(void)str_copy(v.boot_id, sizeof(v.boot_id), BOOT);
	v.number = node.gens[0].losses;
	v.verdict = (int)what;
	v.gen = gen;
	v.epoch = 1;
	arbitrate_verdict(&node, &v);
}

/* The replicas have lost each other at generation 5, and the handler waits. */
static void frozen(void)
{
	told(5, true);
	looked("Connected", "UpToDate", false, false);
	looked("WFConnection", "UpToDate", true, false);
	handler_asks();
	assert_int_equal(asked.gen, 5);
	assert_int_equal(asked.uptodate, 1);
	assert_int_equal(asked.shrink, 0);
}

/* H16: its own disk is gone, and it stands still. While it is current nobody comes by waiting; out of current it waits for its mirror's, if that is any good. */
static void who_has_no_data_waits_for_whom_it_may(void **state)
{
	static const struct {
		bool current;
		const char *conn, *peer;
		bool ends;
	} row[] = {
		{ false, "WFConnection", "DUnknown", false }, { true, "WFConnection", "DUnknown", true },	{ false, "Connected", "Inconsistent", false },
		{ true, "Connected", "Inconsistent", true },  { true, "Connected", "UpToDate", false }, /* a state in passing: it thaws */
	};

	for (size_t i = 0; i < ARRAY_SIZE(row); i++) {
		(void)tear_down(state);
		(void)set_up(state);
		told(5, row[i].current);
		looked("Connected", "Diskless", false, true);
		peers_disk = row[i].peer;
		looked(row[i].conn, "Diskless", true, true);
		assert_int_equal(n_carried, row[i].ends);
	}
}

static void a_good_replica_uses_its_yes(void **state)
{
	(void)state;
	frozen();
	hears(VERDICT_YES, 6);
	assert_string_equal(answered, "yes");
}

/*
 * H7: it has seen that a disk of it has failed, and what it knew then; the generation of the yes gets through before the yes. Of two disks the other one is
 * good: from the moment at which the master may be told that no yes was used, none is.
 */
static void who_has_said_that_no_yes_was_used_uses_none(void **state)
{
	(void)state;
	frozen();
	looked("WFConnection", "UpToDate", true, true); /* marked between DRBD's answer and the look at the mark */
	assert_int_equal(asked.shrink, 1);
	assert_int_equal(asked.gen, 5);
	assert_int_equal(asked.lost_gen, 5);
	told(6, true);
	looked("WFConnection", "UpToDate", true, true);
	assert_int_equal(asked.shrink, 1);
	assert_int_equal(asked.gen, 6);
	assert_int_equal(asked.lost_gen, 5); /* by this it is handed back */
	hears(VERDICT_YES, 6);
	assert_string_equal(answered, "");
	assert_int_equal(n_carried, 0);
	arbitrate_tick(&node);
	assert_int_equal(asked.uptodate, 0); /* it asks on as one that may not */
}

/* The yes was heard before the disk failed: what was done by it nobody knows, and a generation is told by which nothing is handed back. */
static void who_has_used_a_yes_says_so(void **state)
{
	(void)state;
	frozen();
	hears(VERDICT_YES, 6);
	looked("WFConnection", "UpToDate", false, false);
	looked("WFConnection", "Diskless", false, true);
	assert_int_equal(asked.shrink, 1);
	assert_int_equal(asked.gen, 6);
	assert_int_equal(asked.lost_gen, 6);
}

/* A daemon that was started anew knows nothing of what the one before heard: it knows what the record says now. */
static void who_was_started_anew_knows_the_record_only(void **state)
{
	(void)state;
	told(6, true);
	looked("WFConnection", "Diskless", false, true);
	assert_int_equal(asked.shrink, 1);
	assert_int_equal(asked.lost_gen, 6);
}

/* Made anew, it is a replica as any: an old loss says nothing of a new one, and a yes is used. */
static void a_replica_that_was_made_anew_begins_anew(void **state)
{
	(void)state;
	told(5, true);
	looked("Connected", "Diskless", false, true);
	assert_int_equal(asked.lost_gen, 5);
	told(9, true);
	looked("Connected", "UpToDate", false, false);
	looked("WFConnection", "UpToDate", true, false);
	handler_asks();
	assert_int_equal(asked.shrink, 0);
	assert_int_equal(asked.lost_gen, 0);
	hears(VERDICT_YES, 10);
	assert_string_equal(answered, "yes");
	looked("WFConnection", "Diskless", false, true);
	assert_int_equal(asked.lost_gen, 10);
}

/* H4: what was seen last is old, and the disk may be lost: nobody gets a yes by it, and a handler that calls now is not kept waiting. */
static void who_gets_no_answer_from_drbd_asks_for_nothing(void **state)
{
	(void)state;
	frozen();
	node.drbd_ok = false;
	node.drbd_mute = true;
	arbitrate_observed(&node); /* the rows of the look before */
	assert_int_equal(node.gens[0].frozen, 0);
	node.gens[0].asked_ms = 0;
	arbitrate_tick(&node); /* for the handler that waits */
	assert_int_equal(asked.uptodate, 0);
	int before = n_asked;
	answered[0] = '\0';
	handler_asks();
	assert_string_equal(answered, "not-now");
	assert_int_equal(n_asked, before);
	/* It answers again, and all is as it was. */
	node.drbd_ok = true;
	node.drbd_mute = false;
	looked("WFConnection", "UpToDate", true, false);
	assert_int_equal(asked.uptodate, 1);
	assert_int_equal(n_asked, before + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(who_has_no_data_waits_for_whom_it_may, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_good_replica_uses_its_yes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(who_has_said_that_no_yes_was_used_uses_none, set_up, tear_down),
		cmocka_unit_test_setup_teardown(who_has_used_a_yes_says_so, set_up, tear_down),
		cmocka_unit_test_setup_teardown(who_was_started_anew_knows_the_record_only, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_replica_that_was_made_anew_begins_anew, set_up, tear_down),
		cmocka_unit_test_setup_teardown(who_gets_no_answer_from_drbd_asks_for_nothing, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
