/* SPDX-License-Identifier: Apache-2.0 */
/* A real node, on a fake world, and its two links to a master that is a test: which of them an answer takes, and which of them is dead. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/xmem.h"
#include "io/files.h"
#include "io/pki.h"
#include "io/spawn.h"
#include "node/node.h"
#include "schema/wire.h"
#include "storage/runner.h"
#include "tests/unit/loop_wait.h"

#define MASTER "aaaaaaaa-2222-4333-8444-555555555555"
#define NODE "bbbbbbbb-7777-4888-9999-aaaaaaaaaaaa"
#define SUCCESSOR "cccccccc-2222-4333-8444-555555555555"
#define VM "eeeeeeee-2222-4333-8444-555555555555"
#define LEASE_MS 2000
#define LEASE_LONG_MS 6000 /* where the order of two of its parts is looked at */
#define LEASE_SLOW_MS 60000 /* where nothing is to happen by itself */
#define WAIT_MS 20000
#define REMOVE "rm", "-rf", "--one-file-system", "--"

enum { PRIMARY, REPLICATION, SIDES, STANDBY = SIDES, ENDS }; /* the third: another candidate's, over the primary network */

struct side { /* the master's end of one network */
	struct rig *rig;
	struct link_server *server;
	struct link *link;
	bool deaf; /* beats come and are not answered: what is said by this end does not arrive, or what the node says */
	bool standby; /* it is not master, and knows of none */
	int hellos, beats, results, observes, requests, closed;
	int unkept, kept; /* of its reports those that say that it cannot keep the settings, and, after them, those that do not */
};

struct rig {
	char root[64];
	struct loop *loop;
	struct link_tls *tls;
	struct side sides[ENDS];
	struct noded *node;
	int64_t lease_ms;
	bool with_standby;
	int asks;          /* for a verdict, over either */
	int64_t asked_ms;  /* when the last one came */
	int64_t wait_ms;   /* it is answered with "not now", and this; < 0 = it is not */
	int64_t told_ms;   /* when it was */
	int64_t noted_ms;  /* what the node had noted of its question then */
	int heeded;        /* and has noted something else since */
};

/* ---- the master ---------------------------------------------------------------------------------------------- */

static void say(struct side *s, json_t *m)
{
	AUTO_JSON json_t *owned = m;
	AUTO_FREE char *text = json_text(owned);

	assert_non_null(s->link);
	assert_int_equal(link_send(s->link, text, strlen(text)), 0);
}

static void say_welcome(struct side *s, int epoch, const char *master)
{
	say(s, json_pack("{s:s, s:i, s:s, s:s, s:I}", "type", "welcome", "epoch", epoch, "master", master, "cluster", "c", "lease_ms", (json_int_t)s->rig->lease_ms));
}

static void say_not_master(struct side *s, const char *master)
{
	say(s, json_pack("{s:s, s:s}", "type", "not_master", "master", master));
}

static void on_open(void *arg, struct link *k, const char *peer)
{
	struct side *s = arg;

	assert_string_equal(peer, NODE);
	s->link = k;
}

static void on_ask(struct side *s, const json_t *ask)
{
	struct rig *r = s->rig;

	assert_string_equal(json_str(ask, "instance", ""), VM);
	r->asked_ms = loop_now_ms(r->loop);
	r->asks++;
	if (r->wait_ms < 0)
		return;
	r->told_ms = r->asked_ms;
	r->noted_ms = r->node->gens[0].asked_ms;
	say(s, json_pack("{s:s, s:s, s:s, s:I, s:s, s:I, s:i, s:I}", "type", "verdict", "instance", VM, "boot_id", json_str(ask, "boot_id", ""), "number",
			 (json_int_t)json_int(ask, "number", -1), "verdict", "not-now", "gen", (json_int_t)json_int(ask, "gen", 0), "epoch", 1, "wait_ms",
			 (json_int_t)r->wait_ms));
}

static void on_frame(void *arg, struct link *k, const char *text, size_t len)
{
	struct side *s = arg;
	AUTO_JSON json_t *m = json_loadb(text, len, 0, NULL);
	const char *type = json_str(m, "type", "");

	if (k != s->link)
		return;
	if (strcmp(type, "hello") == 0) {
		s->hellos++;
		if (s->standby)
			say_not_master(s, "");
		else
			say_welcome(s, s == &s->rig->sides[STANDBY] ? 2 : 1, s == &s->rig->sides[STANDBY] ? SUCCESSOR : MASTER);
	} else if (strcmp(type, "beat") == 0) {
		s->beats++;
		if (!s->deaf)
			say(s, json_pack("{s:s, s:I, s:I}", "type", "beat_ack", "seq", (json_int_t)json_int(m, "seq", 0), "epoch", (json_int_t)s->rig->node->epoch));
	} else if (strcmp(type, "step_result") == 0) {
		s->results++;
	} else if (strcmp(type, "observe") == 0) {
		s->observes++;
		s->unkept += strstr(text, "cannot be kept") != NULL;
		s->kept += s->unkept && !strstr(text, "cannot be kept");
	} else if (strcmp(type, "request") == 0) {
		s->requests++;
	} else if (strcmp(type, "ask") == 0) {
		on_ask(s, m);
	}
}

static void on_closed(void *arg, struct link *k, const struct err *err)
{
	struct side *s = arg;

	(void)err;
	if (k != s->link)
		return;
	s->link = NULL;
	s->closed++;
}

static void order(struct side *s, int job)
{
	say(s, json_pack("{s:s, s:i, s:i, s:i, s:s, s:s, s:{}}", "type", "step", "epoch", 1, "job", job, "index", 0, "dir", "do", "kind", "noop", "args"));
}

/* ---- the rig --------------------------------------------------------------------------------------------------- */

static void must(struct rig *r, const int *value, int target)
{
	if (!loop_wait_for(r->loop, value, target, WAIT_MS, NULL, NULL))
		fail_msg("waited for %d, have %d", target, *value);
}

static void must_ok(int rc, const struct err *err)
{
	if (rc < 0)
		fail_msg("%s", err->msg);
}

static void issue(const char *ca, const char *ca_key, const char *uuid, char **cert, char **key)
{
	struct pki_names names = { .cn = "node" };
	AUTO_FREE char *csr = NULL;
	struct err err = ERR_INIT;

	(void)str_copy(names.uuid, sizeof(names.uuid), uuid);
	must_ok(pki_make_csr("x", &csr, key, &err), &err);
	must_ok(pki_sign_csr(ca, ca_key, csr, &names, 30, cert, &err), &err);
}

static void listen_on(struct rig *r, int i, const char *address, int port)
{
	static const struct link_cb cb = { on_open, on_frame, on_closed };
	struct err err = ERR_INIT;

	r->sides[i].rig = r;
	must_ok(link_server_new(r->loop, address, port, r->tls, false, &cb, &r->sides[i], &r->sides[i].server, &err), &err);
}

static void write_settings(const struct rig *r, const struct conf *c)
{
	static const char *const uuids[] = { MASTER, NODE, SUCCESSOR }, *const names[] = { "a", "b", "c" };
	const char *const addresses[] = { "127.0.0.1", c->address, "127.0.0.5" }, *const others[] = { "127.0.0.2", c->replication_address, "127.0.0.6" };
	struct step_settings s;
	struct err err = ERR_INIT;

	schema_init(&step_settings_schema, &s);
	(void)str_copy(s.cluster, sizeof(s.cluster), "c");
	s.lease_ms = r->lease_ms;
	for (int i = 0; i < 2 + r->with_standby; i++) {
		struct settings_node *n = schema_list_add(schema_find(&step_settings_schema, "nodes"), &s);

		(void)str_copy(n->uuid, sizeof(n->uuid), uuids[i]);
		(void)str_copy(n->name, sizeof(n->name), names[i]);
		(void)str_copy(n->address, sizeof(n->address), addresses[i]);
		(void)str_copy(n->replication_address, sizeof(n->replication_address), others[i]);
		n->candidate = i != 1;
	}
	AUTO_FREE char *text = schema_encode_text(&step_settings_schema, &s), *path = conf_state_path(c, "settings.json"), *dir = conf_state_path(c, "");
	must_ok(dir_make(dir, 0700, &err), &err);
	must_ok(file_write_durable(path, text, 0600, &err), &err);
	schema_done(&step_settings_schema, &s);
}

static void start_node(struct rig *r, const char *ca, const char *ca_key)
{
	AUTO_FREE char *cert = NULL, *key = NULL;
	struct conf c;
	struct err err = ERR_INIT;

	must_ok(conf_load(r->root, &c, &err), &err);
	(void)str_copy(c.node_uuid, sizeof(c.node_uuid), NODE);
	(void)str_copy(c.node_name, sizeof(c.node_name), "b");
	(void)str_copy(c.address, sizeof(c.address), "127.0.0.3");
	(void)str_copy(c.replication_address, sizeof(c.replication_address), "127.0.0.4");
	(void)str_copy(c.hypervisor, sizeof(c.hypervisor), "fake");
	(void)str_copy(c.storage, sizeof(c.storage), "fake");
	(void)str_copy(c.service_manager, sizeof(c.service_manager), "spawn");
	(void)snprintf(c.fake_world, sizeof(c.fake_world), "%s/world", r->root);
	c.lease_ms = r->lease_ms;
	c.link_port = link_server_port(r->sides[PRIMARY].server);
	AUTO_FREE char *dir = conf_path(&c, "");
	must_ok(dir_make(dir, 0755, &err), &err);
	must_ok(conf_save(&c, &err), &err);
	issue(ca, ca_key, NODE, &cert, &key);
	must_ok(identity_write(&c, ca, cert, key, &err), &err);
	write_settings(r, &c);
	must_ok(node_new(r->loop, &c, &r->node, &err), &err);
	conf_done(&c);
}

static int set_up_with(void **state, bool standby, int64_t lease_ms)
{
	struct rig *r = xcalloc(1, sizeof(*r));
	AUTO_FREE char *ca = NULL, *ca_key = NULL, *cert = NULL, *key = NULL;
	struct err err = ERR_INIT;

	(void)str_copy(r->root, sizeof(r->root), "/tmp/gantry-uplink.XXXXXX");
	assert_non_null(mkdtemp(r->root));
	r->with_standby = standby;
	r->lease_ms = lease_ms;
	r->loop = loop_new();
	must_ok(pki_make_ca("lab", 3650, &ca, &ca_key, &err), &err);
	issue(ca, ca_key, MASTER, &cert, &key);
	must_ok(link_tls_new(ca, cert, key, NULL, &r->tls, &err), &err);
	listen_on(r, PRIMARY, "127.0.0.1", 0);
	listen_on(r, REPLICATION, "127.0.0.2", link_server_port(r->sides[PRIMARY].server));
	r->sides[STANDBY].standby = true;
	if (standby)
		listen_on(r, STANDBY, "127.0.0.5", link_server_port(r->sides[PRIMARY].server));
	start_node(r, ca, ca_key);
	for (int i = 0; i < SIDES; i++)
		must(r, &r->sides[i].beats, 1);
	*state = r;
	return 0;
}

static int set_up(void **state)
{
	return set_up_with(state, false, LEASE_MS);
}

static int set_up_standby(void **state)
{
	return set_up_with(state, true, LEASE_LONG_MS);
}

static int set_up_slow(void **state)
{
	return set_up_with(state, true, LEASE_SLOW_MS);
}

static int tear_down(void **state)
{
	struct rig *r = *state;
	const char *const argv[] = { REMOVE, r->root, NULL };
	AUTO_RESULT struct runner_result res = { 0 };
	struct err err = ERR_INIT;

	node_free(r->node);
	for (int i = 0; i < ENDS; i++)
		if (r->sides[i].server)
			link_server_free(r->sides[i].server);
	loop_free(r->loop);
	link_tls_unref(r->tls);
	IGNORE(runner_must(spawn_runner(), argv, NULL, 10000, &res, &err));
	free(r);
	return 0;
}

/* ---- tests ------------------------------------------------------------------------------------------------------- */

/* The master gives an order again over the link that lives; to the node the other one may still look alive. */
static void an_answer_takes_the_link_that_brought_its_order(void **state)
{
	struct rig *r = *state;
	struct side *primary = &r->sides[PRIMARY], *replication = &r->sides[REPLICATION];

	order(replication, 1);
	must(r, &replication->results, 1);
	assert_int_equal(primary->results, 0);
	order(primary, 2);
	must(r, &primary->results, 1);
	order(replication, 2); /* from the record */
	must(r, &replication->results, 2);
	assert_int_equal(primary->results, 1);
}

static void an_order_in_hand_is_answered_where_it_was_given_last(void **state)
{
	struct rig *r = *state;
	struct side *primary = &r->sides[PRIMARY], *replication = &r->sides[REPLICATION];

	say(primary, json_pack("{s:s, s:i, s:i, s:i, s:s, s:s, s:{s:i}}", "type", "step", "epoch", 1, "job", 1, "index", 0, "dir", "do", "kind", "noop", "args",
			       "delay_ms", 1000));
	order(replication, 1);
	must(r, &replication->results, 1);
	assert_int_equal(primary->results, 0);
}

static void a_link_that_falls_behind_the_other_is_cut_and_all_is_said_again(void **state)
{
	struct rig *r = *state;
	struct side *primary = &r->sides[PRIMARY], *replication = &r->sides[REPLICATION];

	must(r, &primary->observes, 1);
	assert_int_equal(replication->observes, 0);
	primary->deaf = true;
	must(r, &primary->closed, 1);
	assert_int_equal(replication->closed, 0);
	must(r, &replication->observes, 1);
	primary->deaf = false;
	must(r, &primary->hellos, 2); /* it is dialled anew */
	order(primary, 3);
	must(r, &primary->results, 1);
}

static void when_both_are_silent_both_are_cut(void **state)
{
	struct rig *r = *state;

	for (int i = 0; i < SIDES; i++)
		r->sides[i].deaf = true;
	for (int i = 0; i < SIDES; i++)
		must(r, &r->sides[i].closed, 1);
	for (int i = 0; i < SIDES; i++)
		must(r, &r->sides[i].hellos, 2);
}

/* It may be master in a moment, and says so on the link that is there; both were said before the node could dial anew. */
static void who_is_not_master_is_listened_to(void **state)
{
	struct rig *r = *state;

	for (int i = 0; i < SIDES; i++) {
		say_not_master(&r->sides[i], "");
		say_welcome(&r->sides[i], 2, MASTER);
	}
	for (int i = 0; i < SIDES; i++)
		must(r, &r->sides[i].beats, r->sides[i].beats + 2);
	assert_int_equal(r->node->epoch, 2);
	for (int i = 0; i < SIDES; i++) {
		assert_int_equal(r->sides[i].hellos, 1);
		assert_int_equal(r->sides[i].closed, 0);
	}
}

/* But not for ever: it may stand still. */
static void it_is_listened_to_for_a_beat(void **state)
{
	struct rig *r = *state;

	for (int i = 0; i < SIDES; i++) {
		r->sides[i].standby = true;
		say_not_master(&r->sides[i], "");
	}
	for (int i = 0; i < SIDES; i++)
		must(r, &r->sides[i].hellos, 3);
	r->sides[PRIMARY].standby = false;
	must(r, &r->sides[PRIMARY].beats, r->sides[PRIMARY].beats + 2);
}

/* The master resigned and names who is it now: that one is asked at once. */
static void whoever_is_named_is_dialled(void **state)
{
	struct rig *r = *state;
	struct side *successor = &r->sides[STANDBY];

	successor->standby = false;
	for (int i = 0; i < SIDES; i++)
		say_not_master(&r->sides[i], SUCCESSOR);
	for (int i = 0; i < SIDES; i++)
		must(r, &r->sides[i].closed, 1);
	must(r, &successor->beats, 1);
	assert_string_equal(r->node->master, SUCCESSOR);
	for (int i = 0; i < SIDES; i++)
		assert_int_equal(r->sides[i].hellos, 1);
}

/* Its machine may have lost its power: no connection tells, only the beats that are not answered. Its successor is heard while they still hope. */
static void when_the_master_is_silent_a_candidate_is_listened_to(void **state)
{
	struct rig *r = *state;
	struct side *successor = &r->sides[STANDBY];

	must(r, &r->sides[PRIMARY].beats, 5);
	for (int i = 0; i < SIDES; i++)
		r->sides[i].deaf = true;
	must(r, &successor->hellos, 1);
	for (int i = 0; i < SIDES; i++)
		assert_int_equal(r->sides[i].closed, 0);
	assert_true(uplink_ready(r->node)); /* the lease is as long as ever */
	successor->standby = false;
	say_welcome(successor, 2, SUCCESSOR);
	must(r, &successor->beats, 2);
	assert_int_equal(r->node->epoch, 2);
	assert_int_equal(successor->hellos, 1); /* that very link is kept */
	for (int i = 0; i < SIDES; i++)
		must(r, &r->sides[i].closed, 1);
	for (int i = 0; i < SIDES; i++)
		assert_int_equal(r->sides[i].hellos, 1);
}

/* A full disk: the settings that the master tells it are used, and it says that it cannot keep them; the master is not lost for that. */
static void settings_that_cannot_be_kept_are_no_reason_to_hang_up(void **state)
{
	struct rig *r = *state;
	struct side *primary = &r->sides[PRIMARY], *replication = &r->sides[REPLICATION];
	AUTO_FREE char *path = conf_state_path(&r->node->conf, "settings.json");
	struct step_settings s;

	schema_copy(&step_settings_schema, &s, &r->node->settings);
	int64_t version = ++s.version;
	AUTO_FREE char *text = wire_text_at("settings", &step_settings_schema, &s, s.level);
	schema_done(&step_settings_schema, &s);
	must(r, &primary->observes, 1);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkdir(path, 0700), 0); /* nothing can be put in its place */
	assert_int_equal(link_send(primary->link, text, strlen(text)), 0);
	must(r, &primary->unkept, 1);
	for (int i = 0; i < SIDES; i++)
		must(r, &r->sides[i].beats, r->sides[i].beats + 2);
	assert_true(r->node->settings.version == version);
	assert_int_equal(rmdir(path), 0);
	must(r, &primary->kept, 1);
	assert_true(file_exists(path));
	for (int i = 0; i < SIDES; i++) {
		assert_int_equal(r->sides[i].hellos, 1);
		assert_int_equal(r->sides[i].closed, 0);
	}
	assert_int_equal(replication->unkept, 0);
}

static void see_listens(void *arg)
{
	struct rig *r = arg;

	r->heeded = r->node->up[UPLINK_LOOK].told_ms != 0;
}

/* Half a lease is over when there is about to be a successor: whoever is listened to by then is not left for it. */
static void who_is_listened_to_is_kept_when_the_master_is_given_up(void **state)
{
	struct rig *r = *state;
	struct side *successor = &r->sides[STANDBY];
	struct noded *n = r->node;

	for (int i = 0; i < SIDES; i++)
		r->sides[i].deaf = r->sides[i].standby = true;
	n->beat_seq += 8; /* as if so many had been answered, and the time had passed */
	n->welcome_ms = n->beat_acked_sent_ms = loop_now_ms(r->loop) - r->lease_ms / 4 - 1;
	assert_true(loop_wait_for(r->loop, &r->heeded, 1, WAIT_MS, see_listens, r));
	assert_true(uplink_ready(n));
	n->welcome_ms = n->beat_acked_sent_ms = loop_now_ms(r->loop) - r->lease_ms / 2 - 1;
	for (int i = 0; i < SIDES; i++)
		must(r, &r->sides[i].closed, 1);
	assert_false(uplink_ready(n));
	say_welcome(successor, 2, SUCCESSOR);
	must(r, &successor->beats, 1);
	assert_int_equal(n->epoch, 2);
	assert_int_equal(successor->hellos, 1); /* the same link */
	assert_int_equal(r->sides[PRIMARY].hellos, 1);
}

/* ---- a verdict that is put off (H17) --------------------------------------------------------------------------- */

/* vm1 is Primary here, alone and frozen, and this node may go on alone if it is allowed to. */
static void freeze_vm1(struct rig *r)
{
	AUTO_FREE char *path = xasprintf("%s/world/world.json", r->root);
	struct err err = ERR_INIT;

	must_ok(file_write_durable(path, "{\"nodes\":{\"b\":{\"drbd\":{\"vm1\":{\"uuid\":\"" VM "\",\"peer\":\"a\",\"arb\":true,\"vols\":1,\"minor\":0,"
				   "\"att\":true,\"con\":false,\"role\":\"Primary\",\"two\":false,\"disk\":\"UpToDate\",\"frozen\":true}}}}}", 0600, &err), &err);
	say(&r->sides[PRIMARY], json_pack("{s:s, s:i, s:[{s:s, s:i, s:b, s:b, s:b}]}", "type", "gens", "epoch", 1, "gens", "instance", VM, "gen", 5, "arbitrated", 1,
					  "current", 1, "owner", 1));
}

static void see_heeded(void *arg)
{
	struct rig *r = arg;

	r->heeded = r->node->gens[0].asked_ms != r->noted_ms;
}

/* "Not now" says when: later than a question is repeated by itself, the node waits; sooner, it does not wait that long. */
static void it_asks_again_when_it_was_told_to(void **state)
{
	struct rig *r = *state;

	r->wait_ms = 2500;
	freeze_vm1(r);
	must(r, &r->asks, 1);
	int64_t told = r->told_ms;
	r->wait_ms = 100;
	must(r, &r->asks, 2);
	assert_true(r->asked_ms - told >= 2500);
	told = r->told_ms;
	r->wait_ms = -1;
	assert_true(loop_wait_for(r->loop, &r->heeded, 1, WAIT_MS, see_heeded, r));
	/* As if it had been asked so long ago that it is due in a tenth of a second: by itself it is after a whole one. */
	assert_in_range(r->node->gens[0].asked_ms + 1000 - 100, told, loop_now_ms(r->loop));
	must(r, &r->asks, 3);
	assert_true(r->asked_ms - told >= 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(an_answer_takes_the_link_that_brought_its_order, set_up, tear_down),
		cmocka_unit_test_setup_teardown(an_order_in_hand_is_answered_where_it_was_given_last, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_link_that_falls_behind_the_other_is_cut_and_all_is_said_again, set_up, tear_down),
		cmocka_unit_test_setup_teardown(when_both_are_silent_both_are_cut, set_up, tear_down),
		cmocka_unit_test_setup_teardown(who_is_not_master_is_listened_to, set_up, tear_down),
		cmocka_unit_test_setup_teardown(it_is_listened_to_for_a_beat, set_up, tear_down),
		cmocka_unit_test_setup_teardown(settings_that_cannot_be_kept_are_no_reason_to_hang_up, set_up, tear_down),
		cmocka_unit_test_setup_teardown(it_asks_again_when_it_was_told_to, set_up, tear_down),
		cmocka_unit_test_setup_teardown(whoever_is_named_is_dialled, set_up_standby, tear_down),
		cmocka_unit_test_setup_teardown(when_the_master_is_silent_a_candidate_is_listened_to, set_up_standby, tear_down),
		cmocka_unit_test_setup_teardown(who_is_listened_to_is_kept_when_the_master_is_given_up, set_up_slow, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
