/* SPDX-License-Identifier: Apache-2.0 */
/* gantry.conf: every setting from its row, all or nothing, and the line in each error. */
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
#include "io/conf_rows.h"
#include "io/token.h"

#define UUID "11111111-2222-4333-8444-555555555555"
#define MEMBER "node_uuid = \"" UUID "\";\nnode_name = \"n1\";\naddress = \"10.0.0.1\";\n"

static void parse(const char *text, struct conf *c)
{
	struct err err = ERR_INIT;

	if (conf_parse("", "f", text, c, &err) < 0)
		fail_msg("%s", err.msg);
}

static void nothing_said_is_the_defaults(void **state)
{
	struct conf c;

	(void)state;
	parse("", &c);
	assert_string_equal(c.node_uuid, "");
	assert_int_equal(c.link_port, PORT_LINK);
	assert_int_equal(c.etcd_client_port, PORT_ETCD_CLIENT);
	assert_string_equal(c.hypervisor, "libvirt");
	assert_null(c.etcd_endpoints);
	assert_int_equal(conf_log_level(&c), LOG_LEVEL_INFO);
	conf_done(&c);
}

static void each_kind_of_setting_is_read(void **state)
{
	struct conf c;

	(void)state;
	parse(MEMBER "listen_all = true;\nlease_ms = 0x2EE0; /* 12000 */\netcd_endpoints = [ \"https://10.0.0.1:7601\", \"http://[::1]:1\" ];\n"
		     "log_level = \"debug\"; # why not\nslow = 3L;\nrun_dir = \"/run/x \\\"y\\\"\";\n",
	      &c);
	assert_string_equal(c.node_name, "n1");
	assert_string_equal(c.replication_address, "10.0.0.1"); /* the same when none is named */
	assert_int_equal(c.listen_all, 1);
	assert_int_equal(c.lease_ms, 12000);
	assert_int_equal(c.n_etcd_endpoints, 2);
	assert_string_equal(c.etcd_endpoints[1], "http://[::1]:1");
	assert_null(c.etcd_endpoints[2]);
	assert_int_equal(conf_log_level(&c), LOG_LEVEL_DEBUG);
	assert_int_equal(c.slow, 3);
	assert_string_equal(c.run_dir, "/run/x \"y\"");
	conf_done(&c);
}

static void what_is_wrong_names_its_line(void **state)
{
	static const struct {
		const char *text;
		int code;
		const char *begins;
	} row[] = {
		{ "\nnodename = \"x\";\n", ERR_UNKNOWN_KEY, "f:2: unknown setting 'nodename'" },
		{ "node_name = 1;\n", ERR_BAD_VALUE, "f:1: node_name is not a text" },
		{ "lease_ms = \"x\";\n", ERR_BAD_VALUE, "f:1: lease_ms is not a whole number" },
		{ "lease_ms = 1.5;\n", ERR_BAD_VALUE, "f:1: lease_ms is not a whole number" },
		{ "# c\n\nlease_ms = 5;\n", ERR_BAD_VALUE, "f:3: lease_ms 5 is not between" },
		{ "lease_ms = 4294979296;\n", ERR_BAD_VALUE, "f:1: number '4294979296' is too large" }, /* 12000 after the wrap */
		{ "lease_ms = 0x100002EE0;\n", ERR_BAD_VALUE, "f:1: number '0x100002EE0' is too large" },
		{ "listen_all = \"yes\";\n", ERR_BAD_VALUE, "f:1: listen_all is not true or false" },
		{ "hypervisor = \"xen\";\n", ERR_BAD_VALUE, "f:1: hypervisor 'xen' is not one of" },
		{ "etcd_endpoints = \"https://x:1\";\n", ERR_BAD_VALUE, "f:1: etcd_endpoints is not a list" },
		{ "etcd_endpoints = [ 1 ];\n", ERR_BAD_VALUE, "f:1: etcd_endpoints is not a list of texts" },
		{ "etcd_endpoints = [ \"ftp://x\" ];\n", ERR_BAD_VALUE, "f:1: etcd_endpoints 'ftp://x' is not an URL" },
		{ "address = \"10.0.0.256\";\n", ERR_BAD_VALUE, "f:1: address '10.0.0.256' is not an IPv4" },
		{ "node_uuid = \"11111111-2222-4333-8444-55555555555X\";\n", ERR_BAD_VALUE, "f:1: node_uuid" },
		{ "run_dir = \"relative\";\n", ERR_BAD_VALUE, "f:1: run_dir 'relative' is not an absolute path" },
		{ "run_dir = \"/a/../b\";\n", ERR_BAD_VALUE, "f:1: run_dir '/a/../b' is a path with '..'" },
		{ "node_name = \"a\nb\";\n", ERR_BAD_VALUE, "f:" },
		{ "@include \"/etc/passwd\"\n", ERR_BAD_VALUE, "f:1: '@include' is not allowed" },
		{ "node_name = \"x\n;\n", ERR_BAD_VALUE, "f:1: the text in quotes does not end" },
		{ "node_name = ;\n", ERR_BAD_VALUE, "f:1: " },
		{ "a = (((((((((1)))))))));\n", ERR_BAD_VALUE, "f:1: nested deeper" },
		{ "node_uuid = \"" UUID "\";\n", ERR_BAD_VALUE, "f:1: node_uuid is given, but no node_name" },
		{ "hypervisor = \"fake\";\n", ERR_BAD_VALUE, "f:1: hypervisor is 'fake', but no fake_world" },
		{ "link_port = 7601;\n", ERR_BAD_VALUE, "f:1: link_port 7601 is an etcd port" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(row); i++) {
		struct conf c;
		struct err err = ERR_INIT;
		int rc = conf_parse("", "f", row[i].text, &c, &err);

		if (rc != -row[i].code || strncmp(err.msg, row[i].begins, strlen(row[i].begins)) != 0)
			fail_msg("%s: %d '%s'", row[i].text, rc, err.msg);
		assert_true(err_hint_text(&err)[0] != '\0');
	}
	struct conf c;
	struct err err = ERR_INIT;
	assert_true(conf_parse("", "f", "nodename = \"x\";", &c, &err) < 0);
	assert_string_equal(err.hint, "did you mean 'node_name'?");
}

static void the_file_is_written_whole_and_read_back(void **state)
{
	char root[] = "/tmp/gantry-conf.XXXXXX";
	struct err err = ERR_INIT;
	struct conf c, again;
	struct stat st;

	(void)state;
	assert_non_null(mkdtemp(root));
	assert_int_equal(conf_load(root, &c, &err), 0); /* no file: the defaults */
	(void)str_copy(c.node_uuid, sizeof(c.node_uuid), UUID);
	(void)str_copy(c.node_name, sizeof(c.node_name), "n1");
	(void)str_copy(c.address, sizeof(c.address), "fd00::1");
	conf_texts_add(&c.etcd_endpoints, &c.n_etcd_endpoints, "https://[fd00::1]:7601");
	assert_int_equal(conf_save(&c, &err), 0);
	assert_int_equal(conf_load(root, &again, &err), 0);
	assert_string_equal(again.root, root);
	assert_string_equal(again.node_uuid, UUID);
	assert_string_equal(again.replication_address, "fd00::1");
	assert_string_equal(again.etcd_endpoints[0], "https://[fd00::1]:7601");
	AUTO_FREE char *text = conf_text(&c), *second = conf_text(&again), *path = conf_path(&c, "gantry.conf");
	assert_string_equal(text, second);
	assert_int_equal(stat(path, &st), 0);
	/* What no daemon could read is not written, and what was there stays. */
	again.lease_ms = 5;
	assert_int_equal(conf_save(&again, &err), -ERR_BAD_VALUE);
	conf_done(&again);
	assert_int_equal(conf_load(root, &again, &err), 0);
	assert_int_equal(again.lease_ms, c.lease_ms);
	conf_done(&again);
	conf_copy(&again, &c);
	conf_done(&c);
	assert_string_equal(again.etcd_endpoints[0], "https://[fd00::1]:7601"); /* its own */
	conf_done(&again);
	assert_int_equal(unlink(path), 0);
	AUTO_FREE char *etc = xasprintf("%s/etc", root), *dir = xasprintf("%s/etc/gantry", root);
	assert_int_equal(rmdir(dir) | rmdir(etc) | rmdir(root), 0);
}

/* Each row's default passes its own checks, and the help that people read is there. */
static void every_row_is_whole(void **state)
{
	(void)state;
	for (int i = 0; i < n_conf_rows; i++) {
		const struct conf_row *r = &conf_rows[i];

		assert_true(r->help && r->help[0] && r->def);
		assert_ptr_equal(conf_row_by_name(r->name), r);
		if (r->type == CONF_TEXT && r->choices)
			assert_true(conf_choice_ok(r->choices, r->def));
		if (r->type == CONF_TEXT && r->check)
			assert_null(r->check(r->def));
	}
	struct buf b = BUF_INIT;
	conf_dump_scd(&b);
	conf_dump_adoc(&b);
	for (int i = 0; i < n_conf_rows; i++)
		assert_non_null(strstr(buf_str(&b), conf_rows[i].help));
	buf_done(&b);
}

/* ---- join tokens ------------------------------------------------------------------------------------------------- */

#define PIN "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void a_token_is_one_word(void **state)
{
	struct join_token t = { .n_addresses = 2, .port = 7600, .id = "0123", .secret = "s3cret", .pin = PIN }, again;
	struct err err = ERR_INIT;

	(void)state;
	(void)str_copy(t.addresses[0], sizeof(t.addresses[0]), "10.0.0.1");
	(void)str_copy(t.addresses[1], sizeof(t.addresses[1]), "fd00::1");
	AUTO_FREE char *text = join_token_text(&t);
	assert_string_equal(text, "gantry1:0123:s3cret:" PIN ":7600:10.0.0.1,fd00::1");
	assert_int_equal(join_token_parse(text, &again, &err), 0);
	assert_int_equal(again.n_addresses, 2);
	assert_string_equal(again.addresses[1], "fd00::1");
	assert_string_equal(again.pin, PIN);
	assert_int_equal(again.port, 7600);
}

static void what_is_no_token_is_refused(void **state)
{
	static const char *const bad[] = {
		"", "gantry1:", "gantry2:i:s:" PIN ":7600:a", "gantry1:i:s:" PIN ":7600:", "gantry1:i:s:" PIN ":0:a", "gantry1:i:s:" PIN ":65536:a",
		"gantry1:i:s:" PIN ":7600x:a", "gantry1::s:" PIN ":7600:a", "gantry1:i::" PIN ":7600:a", "gantry1:i:s:0123:7600:a",
		"gantry1:12345678901234567:s:" PIN ":7600:a", "gantry1:i:s:" PIN ":7600:a,,b", "gantry1:i:s:" PIN ":7600:a,b,c,d,e,f",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct join_token t;
		struct err err = ERR_INIT;

		if (join_token_parse(bad[i], &t, &err) != -ERR_BAD_TOKEN)
			fail_msg("'%s' was taken", bad[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_said_is_the_defaults), cmocka_unit_test(each_kind_of_setting_is_read),
		cmocka_unit_test(what_is_wrong_names_its_line), cmocka_unit_test(the_file_is_written_whole_and_read_back),
		cmocka_unit_test(every_row_is_whole),           cmocka_unit_test(a_token_is_one_word),
		cmocka_unit_test(what_is_no_token_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
