/* SPDX-License-Identifier: Apache-2.0 */
/* A node's identity on its disk: replaced as a pair, whenever the writer dies; due before it ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/xmem.h"
#include "io/conf.h"
#include "io/files.h"
#include "io/identity.h"
#include "io/pki.h"

#define UUID "0d9c3f52-6f0b-4f0e-9b3a-2f5f3c1d4e6a"

static struct conf conf;
static char root[64];
static char *ca, *ca_key;

static int set_up(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	(void)snprintf(root, sizeof(root), "/tmp/gantry-identity.XXXXXX");
	if (!mkdtemp(root) || conf_load(root, &conf, &err) < 0)
		return -1;
	AUTO_FREE char *dir = conf_path(&conf, ".");
	if (dir_make(dir, 0755, &err) < 0)
		return -1;
	return pki_make_ca("test", 10, &ca, &ca_key, &err);
}

static int tear_down(void **state)
{
	static const char *const files[] = { "ca.pem", "node.pem", "node.key", "node.pem.new", "node.key.new" };
	struct err err = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		AUTO_FREE char *path = conf_path(&conf, files[i]);

		(void)unlink(path);
	}
	AUTO_FREE char *dir = conf_path(&conf, ""), *etc = xasprintf("%s/etc", root);
	(void)rmdir(dir);
	(void)rmdir(etc);
	(void)rmdir(root);
	conf_done(&conf);
	free(ca);
	free(ca_key);
	(void)err;
	return 0;
}

static void make(int64_t life_s, char **ret_cert, char **ret_key)
{
	struct pki_names names = { .cn = "node1" };
	AUTO_FREE char *csr = NULL;
	struct err err = ERR_INIT;

	(void)str_copy(names.uuid, sizeof(names.uuid), UUID);
	assert_int_equal(pki_make_csr("node1", &csr, ret_key, &err), 0);
	assert_int_equal(pki_sign_csr_for(ca, ca_key, csr, &names, life_s, ret_cert, &err), 0);
}

static void put(const char *file, const char *text)
{
	AUTO_FREE char *path = conf_path(&conf, file);
	struct err err = ERR_INIT;

	assert_int_equal(file_write_durable(path, text, 0600, &err), 0);
}

static void test_due_in_its_last_third(void **state)
{
	AUTO_FREE char *cert = NULL, *key = NULL;
	struct identity id = { .tls = NULL };
	struct err err = ERR_INIT;
	int64_t before = time(NULL);

	(void)state;
	make(900, &cert, &key);
	assert_int_equal(identity_write(&conf, ca, cert, key, &err), 0);
	assert_true(identity_changed(&conf, &id));
	assert_int_equal(identity_load(&conf, &id, &err), 0);
	assert_non_null(id.tls);
	assert_in_range(id.expires_s, before + 900, before + 960);
	assert_int_equal(id.expires_s - id.due_s, 300);
	assert_false(identity_changed(&conf, &id));
	identity_done(&id);
}

/* A life for which the CA's own end is too early: cut, and due before that. */
static void test_never_longer_than_the_ca(void **state)
{
	AUTO_FREE char *cert = NULL, *key = NULL;
	int64_t begins = 0, expires = 0, ca_ends = 0;
	struct err err = ERR_INIT;

	(void)state;
	make(INT64_C(86400) * 1000, &cert, &key);
	assert_int_equal(pki_validity(cert, &begins, &expires, &err), 0);
	assert_int_equal(pki_expires(ca, &ca_ends, &err), 0);
	assert_int_equal(expires, ca_ends);
}

static void test_the_writer_dies_at_each_point(void **state)
{
	AUTO_FREE char *cert1 = NULL, *key1 = NULL, *cert2 = NULL, *key2 = NULL;
	struct identity id = { .tls = NULL };
	struct err err = ERR_INIT;

	(void)state;
	make(900, &cert1, &key1);
	make(1800, &cert2, &key2);
	for (int point = 0; point < 4; point++) {
		AUTO_FREE char *pem_new = conf_path(&conf, "node.pem.new"), *key_new = conf_path(&conf, "node.key.new");

		assert_int_equal(identity_write(&conf, ca, cert1, key1, &err), 0);
		if (point >= 1)
			put("node.pem.new", cert2);
		if (point == 2)
			put("node.key.new", key2);
		if (point == 3)
			put("node.key", key2);
		assert_int_equal(identity_load(&conf, &id, &err), 0);
		/* The old pair up to the first rename, the new one from there. */
		assert_true(point == 3 ? id.expires_s - time(NULL) > 1000 : id.expires_s - time(NULL) <= 1000);
		if (point == 3) { /* and for all others that read the files */
			AUTO_FREE char *path = conf_path(&conf, "node.pem"), *text = NULL;

			assert_int_equal(file_read_text(path, 65536, &text, &err), 0);
			assert_string_equal(text, cert2);
		}
		(void)unlink(pem_new);
		(void)unlink(key_new);
	}
	identity_done(&id);
}

static void test_what_does_not_fit_is_refused_and_the_old_one_stays(void **state)
{
	AUTO_FREE char *cert1 = NULL, *key1 = NULL, *cert2 = NULL, *key2 = NULL;
	struct identity id = { .tls = NULL };
	struct err err = ERR_INIT;

	(void)state;
	make(900, &cert1, &key1);
	make(900, &cert2, &key2);
	assert_int_equal(identity_write(&conf, ca, cert1, key1, &err), 0);
	assert_int_equal(identity_load(&conf, &id, &err), 0);
	struct link_tls *was = id.tls;
	put("node.pem", cert2); /* with the other's key beside it */
	assert_true(identity_changed(&conf, &id));
	assert_int_equal(identity_load(&conf, &id, &err), -ERR_TLS);
	assert_ptr_equal(id.tls, was);
	assert_false(identity_changed(&conf, &id)); /* told once, not every two seconds */
	put("node.pem", cert1);
	assert_true(identity_changed(&conf, &id));
	assert_int_equal(identity_load(&conf, &id, &err), 0);
	identity_done(&id);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_due_in_its_last_third, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_never_longer_than_the_ca, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_the_writer_dies_at_each_point, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_what_does_not_fit_is_refused_and_the_old_one_stays, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
