/* SPDX-License-Identifier: Apache-2.0 */
/* The master's links on the loopback interface: real TLS, real core, a node that is a test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/xmem.h"
#include "core/state.h"
#include "io/pki.h"
#include "master/bridge.h"
#include "tests/unit/loop_wait.h"

#define UUID_A "aaaaaaaa-2222-4333-8444-555555555555"
#define LEASE_MS 2000
#define UUID_C "cccccccc-2222-4333-8444-555555555555"
#define UUID_D "dddddddd-2222-4333-8444-555555555555"
#define UUID_B "bbbbbbbb-7777-4888-9999-aaaaaaaaaaaa"
#define HELLO "{\"type\":\"hello\",\"node\":\"" UUID_B "\",\"boot_id\":\"b1\",\"version\":\"" PACKAGE_VERSION "\"%s}"
#define REQUEST "{\"type\":\"request\",\"id\":\"r1\",\"op\":\"cluster.getmaster\",\"args\":{}}"

struct rig {
	struct loop *loop;
	struct master m;
	struct link_tls *tls; /* node B's */
	struct link *link;
	int opened, closed, frames;
	bool welcomed;
	int unheard;          /* frames before the welcome, which a node does not take */
	char *text;           /* the last frame */
	int n_requests;       /* that reached the core, seen by its replies */
	int64_t seq;          /* a batch to be committed; 0 = none */
	/* The node's other link, and orders that came over either. */
	struct link *second;
	int second_closed, second_frames, orders, second_orders;
	bool with_orders;     /* what the core sends to nodes is sent; else greetings and replies alone */
	int64_t beat_at_ms;   /* beats go over the second one alone, and the master ticks; 0 = no */
};

/* ---- a master without a store: what its core commits is committed at once ------------------------------ */

static void emit(void *arg, const struct core_action *a)
{
	struct rig *r = arg;

	if (a->kind == CORE_COMMIT)
		r->seq = a->seq;
	else if (a->kind == CORE_REPLY)
		r->n_requests++;
	if (a->kind == CORE_REPLY || (a->kind == CORE_SEND && r->with_orders))
		master_emit(&r->m, a);
}

static void may_speak(struct rig *r, bool yes)
{
	r->m.term.state = TERM_MASTERING;
	r->m.term.valid_until_ms = yes ? INT64_MAX : 0;
}

static void start_core(struct rig *r, bool with_b)
{
	struct cluster cl;
	struct secret s;
	struct node a, b;
	struct core_put *puts = NULL;
	struct core_kv kvs[8];
	struct err err = ERR_INIT;
	int n = 0;

	schema_init(&cluster_schema, &cl);
	schema_init(&secret_schema, &s);
	schema_init(&node_schema, &a);
	(void)str_copy(cl.name, sizeof(cl.name), "c");
	(void)str_copy(cl.uuid, sizeof(cl.uuid), "33333333-3333-4333-8333-333333333333");
	cl.lease_ms = LEASE_MS;
	cl.ca_cert = xstrdup("ca");
	s.ca_key = xstrdup("key");
	(void)str_copy(a.uuid, sizeof(a.uuid), UUID_A);
	(void)str_copy(a.name, sizeof(a.name), "a");
	(void)str_copy(a.address, sizeof(a.address), "192.0.2.1");
	(void)str_copy(a.replication_address, sizeof(a.replication_address), a.address);
	a.candidate = 1;
	if (core_genesis(&cl, &s, &a, &puts, &n, &err) < 0)
		fail_msg("%s", err.msg);
	for (int i = 0; i < n; i++)
		kvs[i] = (struct core_kv){ puts[i].key, puts[i].value };
	schema_copy(&node_schema, &b, &a);
	(void)str_copy(b.uuid, sizeof(b.uuid), UUID_B);
	(void)str_copy(b.name, sizeof(b.name), "b");
	(void)str_copy(b.address, sizeof(b.address), "192.0.2.2");
	AUTO_FREE char *text = schema_encode_text(&node_schema, &b);
	if (with_b)
		kvs[n] = (struct core_kv){ "/gantry/node/" UUID_B, text };
	struct core_start start = { .epoch = 7, .now_ms = loop_now_ms(r->loop), .wall_ms = loop_wall_ms(r->loop), .seed = 1, .self = UUID_A,
				    .kvs = kvs, .n_kvs = n + with_b };
	core_free(r->m.core);
	r->m.core = NULL;
	may_speak(r, true);
	if (core_new(&start, emit, r, &r->m.core, &err) < 0)
		fail_msg("%s", err.msg);
	core_puts_free(puts, n);
	schema_done(&node_schema, &a);
	schema_done(&node_schema, &b);
	schema_done(&cluster_schema, &cl);
	schema_done(&secret_schema, &s);
}

/* ---- the node ------------------------------------------------------------------------------------------ */

static void on_open(void *arg, struct link *k, const char *peer)
{
	struct rig *r = arg;

	(void)k;
	(void)peer;
	r->opened++;
}

static void on_frame(void *arg, struct link *k, const char *text, size_t len)
{
	struct rig *r = arg;
	bool order = memmem(text, len, "\"type\":\"step\"", strlen("\"type\":\"step\"")) != NULL;

	if (k == r->second) {
		r->second_frames++;
		r->second_orders += order;
		return;
	}
	free(r->text);
	r->text = xstrndup(text, len);
	r->welcomed = r->welcomed || strstr(r->text, "\"type\":\"welcome\"");
	r->unheard += !r->welcomed && !strstr(r->text, "\"type\":\"not_master\"");
	r->frames++;
	r->orders += order;
}

static void on_closed(void *arg, struct link *k, const struct err *err)
{
	struct rig *r = arg;

	(void)err;
	if (k == r->second) {
		r->second_closed++;
		r->second = NULL;
		return;
	}
	r->closed++;
	r->link = NULL;
}

static void look(void *arg)
{
	struct rig *r = arg;

	while (r->seq) {
		int64_t seq = r->seq;

		r->seq = 0;
		core_committed(r->m.core, seq, true);
	}
	if (r->beat_at_ms && loop_now_ms(r->loop) >= r->beat_at_ms && r->second) {
		static const char beat[] = "{\"type\":\"beat\",\"seq\":1,\"boot_id\":\"b1\"}";

		r->beat_at_ms = loop_now_ms(r->loop) + LEASE_MS / 12;
		(void)link_send(r->second, beat, strlen(beat));
		master_nodes_tick(&r->m);
	}
}

static void must(struct rig *r, const int *value, int target)
{
	if (!loop_wait_for(r->loop, value, target, 10000, look, r))
		fail_msg("waited for %d, have %d", target, *value);
}

static void say(struct rig *r, const char *text)
{
	assert_non_null(r->link);
	assert_int_equal(link_send(r->link, text, strlen(text)), 0);
}

static void say_hello(struct rig *r, const char *more)
{
	AUTO_FREE char *text = xasprintf(HELLO, more);

	say(r, text);
}

static struct link *dial_one(struct rig *r)
{
	static const struct link_cb cb = { on_open, on_frame, on_closed };

	return link_dial(r->loop, "127.0.0.1", link_server_port(r->m.servers[0]), "", r->tls, "", &cb, r);
}

static void dial(struct rig *r)
{
	int before = r->opened;

	r->closed = r->frames = 0;
	r->link = dial_one(r);
	must(r, &r->opened, before + 1);
}

static void dial_second(struct rig *r, const char *side)
{
	AUTO_FREE char *more = xasprintf(",\"side\":\"%s\"", side), *text = xasprintf(HELLO, more);
	int before = r->opened;

	r->second = dial_one(r);
	must(r, &r->opened, before + 1);
	assert_int_equal(link_send(r->second, text, strlen(text)), 0);
	must(r, &r->second_frames, 1);
}

static struct link_tls *tls_of(const char *ca, const char *ca_key, const char *uuid)
{
	struct pki_names names = { .cn = "node" };
	AUTO_FREE char *csr = NULL, *key = NULL, *cert = NULL;
	struct link_tls *tls = NULL;
	struct err err = ERR_INIT;

	(void)str_copy(names.uuid, sizeof(names.uuid), uuid);
	if (pki_make_csr("x", &csr, &key, &err) < 0 || pki_sign_csr(ca, ca_key, csr, &names, 30, &cert, &err) < 0 ||
	    link_tls_new(ca, cert, key, NULL, &tls, &err) < 0)
		fail_msg("%s", err.msg);
	return tls;
}

static int set_up(void **state)
{
	struct rig *r = xcalloc(1, sizeof(*r));
	AUTO_FREE char *ca = NULL, *ca_key = NULL;
	struct err err = ERR_INIT;

	r->loop = loop_new();
	r->m.loop = r->loop;
	list_init(&r->m.peers);
	list_init(&r->m.tokens);
	(void)str_copy(r->m.self, sizeof(r->m.self), UUID_A);
	(void)str_copy(r->m.conf.address, sizeof(r->m.conf.address), "127.0.0.1");
	if (pki_make_ca("lab", 3650, &ca, &ca_key, &err) < 0)
		fail_msg("%s", err.msg);
	r->m.id.tls = tls_of(ca, ca_key, UUID_A);
	r->tls = tls_of(ca, ca_key, UUID_B);
	if (master_listen(&r->m, &err) < 0)
		fail_msg("%s", err.msg);
	start_core(r, true);
	*state = r;
	return 0;
}

static int tear_down(void **state)
{
	struct rig *r = *state;

	r->m.stopping = true;
	if (r->link) {
		link_close(r->link);
		must(r, &r->closed, 1);
	}
	if (r->second) {
		link_close(r->second);
		must(r, &r->second_closed, 1);
	}
	link_server_free(r->m.servers[0]);
	master_forget_links(&r->m);
	core_free(r->m.core);
	link_tls_unref(r->m.id.tls);
	link_tls_unref(r->tls);
	loop_free(r->loop);
	free(r->text);
	free(r);
	return 0;
}

/* ---- who may say what ----------------------------------------------------------------------------------- */

static void a_node_that_said_hello_is_answered(void **state)
{
	struct rig *r = *state;

	dial(r);
	say_hello(r, "");
	must(r, &r->frames, 1);
	assert_non_null(strstr(r->text, "\"welcome\""));
	say(r, REQUEST);
	must(r, &r->n_requests, 1);
	assert_int_equal(r->closed, 0);
}

static void nothing_is_taken_before_the_hello(void **state)
{
	static const char *const said[] = {
		REQUEST,
		"{\"type\":\"beat\",\"seq\":1,\"boot_id\":\"b1\"}",
		"{\"type\":\"observe\",\"seq\":1,\"observed\":{}}",
		"{\"type\":\"sign\",\"id\":\"s1\",\"csr\":\"x\"}",
	};
	struct rig *r = *state;

	for (size_t i = 0; i < ARRAY_SIZE(said); i++) {
		dial(r);
		say(r, said[i]);
		must(r, &r->closed, 1);
		assert_int_equal(r->frames, 0);
	}
	assert_int_equal(r->n_requests, 0);
	assert_int_equal(state_node(core_state(r->m.core), UUID_B)->seen_ms, 0);
}

/* Its certificate is as good as ever, and so is its link: the cluster does not have it any more. */
static void a_removed_node_is_not_heard(void **state)
{
	struct rig *r = *state;

	dial(r);
	say_hello(r, "");
	must(r, &r->frames, 1);
	start_core(r, false);
	say(r, REQUEST);
	must(r, &r->closed, 1);
	assert_int_equal(r->n_requests, 0);
	dial(r);
	say_hello(r, "");
	must(r, &r->closed, 1);
	assert_int_equal(r->frames, 0);
}

static void a_removed_node_that_greeted_a_standby_is_not_welcomed(void **state)
{
	struct rig *r = *state;

	core_free(r->m.core);
	r->m.core = NULL;
	dial(r);
	say_hello(r, "");
	must(r, &r->frames, 1);
	assert_non_null(strstr(r->text, "\"not_master\""));
	start_core(r, false);
	master_nodes_reset(&r->m);
	must(r, &r->closed, 1);
	assert_int_equal(r->frames, 1);
}

/* A standby that has seen a beat within ttl knows who is master. */
static void sees_master(struct rig *r, const char *uuid, int64_t beat_ago_ms)
{
	struct term *t = &r->m.term;

	core_free(r->m.core);
	r->m.core = NULL;
	t->state = TERM_STANDBY;
	t->lease_ms = LEASE_MS;
	t->master_rev++;
	(void)str_copy(t->self, sizeof(t->self), UUID_A);
	(void)str_copy(t->master, sizeof(t->master), uuid);
	t->beat_seen_ms = loop_now_ms(r->loop) - beat_ago_ms;
}

static void a_standby_sends_a_node_to_a_master_that_beats_only(void **state)
{
	struct rig *r = *state;

	sees_master(r, UUID_C, 0);
	r->m.term.lease_ms = 60000; /* the beat is not to grow old while a loaded machine makes a connection */
	dial(r);
	say_hello(r, "");
	must(r, &r->frames, 1);
	assert_non_null(strstr(r->text, UUID_C));
	sees_master(r, UUID_C, term_ttl_ms(&r->m.term)); /* it cannot be master any more: to dial it is in vain, if its machine is dead for long */
	say_hello(r, "");
	must(r, &r->frames, 2);
	assert_non_null(strstr(r->text, "\"not_master\""));
	assert_null(strstr(r->text, UUID_C));
}

static void who_waits_at_a_standby_is_told_of_the_successor(void **state)
{
	struct rig *r = *state;

	sees_master(r, UUID_C, LEASE_MS);
	dial(r);
	say_hello(r, "");
	must(r, &r->frames, 1);
	master_nodes_redirect(&r->m);
	sees_master(r, UUID_D, 0);
	master_nodes_redirect(&r->m);
	must(r, &r->frames, 2);
	assert_non_null(strstr(r->text, UUID_D));
	master_nodes_redirect(&r->m); /* each look: it is said once */
	say_hello(r, "");
	must(r, &r->frames, 3); /* the answer to this hello comes next */
	sees_master(r, UUID_D, LEASE_MS);
	say_hello(r, "");
	must(r, &r->frames, 4);
	assert_null(strstr(r->text, UUID_D));
}

/* ---- two links ------------------------------------------------------------------------------------------------ */

static void order_something(struct rig *r)
{
	struct msg_request m;

	schema_init(&msg_request_schema, &m);
	(void)str_copy(m.id, sizeof(m.id), "n1");
	(void)str_copy(m.op, sizeof(m.op), "debug.noop");
	(void)str_copy(m.user, sizeof(m.user), "me");
	m.admin = 1;
	m.args = json_pack("{s:s}", "node", "b");
	r->with_orders = true;
	core_tick(r->m.core, loop_now_ms(r->loop), loop_wall_ms(r->loop));
	core_request(r->m.core, 99, &m);
	schema_done(&msg_request_schema, &m);
}

/* A cable was pulled: nobody is told, TCP hopes for a long while. Beats come over the other one. */
static void a_link_that_falls_behind_the_other_is_closed_and_its_orders_are_given_again(void **state)
{
	struct rig *r = *state;

	dial(r);
	say_hello(r, ",\"side\":\"primary\"");
	must(r, &r->frames, 1);
	dial_second(r, "replication");
	assert_int_equal(state_node(core_state(r->m.core), UUID_B)->links, 3);
	order_something(r);
	must(r, &r->orders, 1);
	assert_int_equal(r->second_orders, 0);
	r->beat_at_ms = 1;
	must(r, &r->closed, 1);
	must(r, &r->second_orders, 1);
	assert_int_equal(r->second_closed, 0);
	assert_int_equal(state_node(core_state(r->m.core), UUID_B)->links, 2);
}

/* For a moment no beat was committed: less than a pause, of which the nodes would be told. */
static void what_the_master_might_not_say_is_said_when_it_may(void **state)
{
	struct rig *r = *state;

	dial_second(r, "primary");
	r->beat_at_ms = 1;
	may_speak(r, false);
	order_something(r);
	must(r, &r->n_requests, 1); /* filed, and its order would be under way */
	assert_int_equal(r->second_orders, 0);
	may_speak(r, true);
	must(r, &r->second_orders, 1);
}

/* A standby hears both and has no core to tell: when it is master the older one must not be taken for alive. */
static void of_two_links_over_one_network_the_newer_is_kept(void **state)
{
	struct rig *r = *state;

	core_free(r->m.core);
	r->m.core = NULL;
	dial(r);
	say_hello(r, ",\"side\":\"primary\"");
	must(r, &r->frames, 1);
	dial_second(r, "primary");
	start_core(r, true);
	master_nodes_reset(&r->m);
	must(r, &r->second_frames, 2); /* not_master, then welcome */
	must(r, &r->closed, 1);
	order_something(r);
	must(r, &r->second_orders, 1);
	assert_int_equal(r->second_closed, 0);
}

/* A standby hears both: as master it welcomes both before its core, which is told of one, says what the node takes over a welcomed one only. */
static void a_standby_that_takes_over_says_nothing_before_its_welcome(void **state)
{
	struct rig *r = *state;

	core_free(r->m.core);
	r->m.core = NULL;
	dial_second(r, "replication");
	dial(r);
	say_hello(r, ",\"side\":\"primary\"");
	must(r, &r->frames, 1);
	r->with_orders = true;
	start_core(r, true);
	master_nodes_reset(&r->m);
	must(r, &r->frames, 3); /* not_master, then welcome and the settings, in whichever order */
	assert_true(r->welcomed);
	assert_int_equal(r->unheard, 0);
}

/* ---- what its hello says ---------------------------------------------------------------------------------- */

static void a_nodes_clock_is_compared_with_ours(void **state)
{
	struct rig *r = *state;
	AUTO_FREE char *ahead = xasprintf(",\"wall_ms\":%lld", (long long)loop_wall_ms(r->loop) + 60000);

	dial(r);
	say_hello(r, ahead);
	must(r, &r->frames, 1);
	int64_t skew = state_node(core_state(r->m.core), UUID_B)->clock_skew_ms;
	assert_in_range(skew, 50000, 61000);
	AUTO_FREE char *set = xasprintf("{\"type\":\"beat\",\"seq\":1,\"boot_id\":\"b1\",\"wall_ms\":%lld}", (long long)loop_wall_ms(r->loop) + 1000);
	say(r, set); /* somebody has set it since */
	must(r, &r->frames, 2);
	skew = state_node(core_state(r->m.core), UUID_B)->clock_skew_ms;
	assert_in_range(skew + 60000, 50000, 61000);
	say(r, "{\"type\":\"beat\",\"seq\":2,\"boot_id\":\"b1\"}"); /* a version that does not say */
	must(r, &r->frames, 3);
	assert_int_equal(state_node(core_state(r->m.core), UUID_B)->clock_skew_ms, skew);
}

/* ---- versions ------------------------------------------------------------------------------------------------ */

static void a_hello_of_a_later_version_is_understood(void **state)
{
	struct rig *r = *state;

	dial(r);
	say_hello(r, ",\"level_oldest\":1,\"level_newest\":9,\"something_new\":{\"a\":1}");
	must(r, &r->frames, 1);
	assert_non_null(strstr(r->text, "\"welcome\""));
	assert_int_equal(state_node(core_state(r->m.core), UUID_B)->level_newest, 9);
}

static void a_node_that_does_not_speak_the_clusters_level_is_told_why(void **state)
{
	struct rig *r = *state;

	dial(r);
	say_hello(r, ",\"level_oldest\":2,\"level_newest\":3");
	must(r, &r->frames, 1);
	assert_non_null(strstr(r->text, "\"refused\""));
	assert_non_null(strstr(r->text, "\"VERSION\""));
	assert_non_null(strstr(r->text, "levels 2 to 3, the cluster is at level 1"));
	assert_false(state_node(core_state(r->m.core), UUID_B)->connected);
	assert_true(state_node(core_state(r->m.core), UUID_B)->refused);
	say(r, REQUEST); /* and is not heard */
	must(r, &r->closed, 1);
	assert_int_equal(r->n_requests, 0);
	dial(r);
	say_hello(r, ",\"level_oldest\":1,\"level_newest\":3");
	must(r, &r->frames, 1);
	assert_non_null(strstr(r->text, "\"welcome\""));
	assert_false(state_node(core_state(r->m.core), UUID_B)->refused);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_node_that_said_hello_is_answered, set_up, tear_down),
		cmocka_unit_test_setup_teardown(nothing_is_taken_before_the_hello, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_removed_node_is_not_heard, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_removed_node_that_greeted_a_standby_is_not_welcomed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_standby_sends_a_node_to_a_master_that_beats_only, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_standby_that_takes_over_says_nothing_before_its_welcome, set_up, tear_down),
		cmocka_unit_test_setup_teardown(who_waits_at_a_standby_is_told_of_the_successor, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_link_that_falls_behind_the_other_is_closed_and_its_orders_are_given_again, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_the_master_might_not_say_is_said_when_it_may, set_up, tear_down),
		cmocka_unit_test_setup_teardown(of_two_links_over_one_network_the_newer_is_kept, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_hello_of_a_later_version_is_understood, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_node_that_does_not_speak_the_clusters_level_is_told_why, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_nodes_clock_is_compared_with_ours, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
