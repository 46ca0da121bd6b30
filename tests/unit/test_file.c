/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/xmem.h"
#include "storage/durable.h"
#include "storage/file/file.h"

#define DISK_A "11111111-2222-3333-4444-555555555555"
#define DISK_B "99999999-2222-3333-4444-555555555555"

static char dir[32]; /* made anew for each test */

static int make_dir(void **state)
{
	(void)state;
	(void)snprintf(dir, sizeof(dir), "/tmp/gantry-file.XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	static const char *const names[] = {"web1",        "web1.owner", "web2",       "web2.owner", "stray",
					    "stray.owner", "link",       "link.owner", "conf"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		AUTO_FREE char *path = xasprintf("%s/%s", dir, names[i]);

		(void)unlink(path);
	}
	return rmdir(dir); /* fails when anything else, e.g. a temporary file, was left behind */
}

static struct volumes *open_store(bool preallocate)
{
	const char *const dirs[] = {dir};
	const struct file_options options = {.preallocate = preallocate};
	struct volumes *v = NULL;
	struct err err = ERR_INIT;

	assert_int_equal(file_new(dirs, 1, &options, &v, &err), 0);
	return v;
}

static struct volume_spec spec(const char *name, const char *owner, int64_t size_mib)
{
	struct volume_spec s = {.size_mib = size_mib};

	(void)str_copy(s.pool, sizeof(s.pool), dir);
	(void)str_copy(s.name, sizeof(s.name), name);
	(void)str_copy(s.owner, sizeof(s.owner), owner);
	return s;
}

static struct stat stat_of(const char *name)
{
	AUTO_FREE char *path = xasprintf("%s/%s", dir, name);
	struct stat st;

	assert_int_equal(lstat(path, &st), 0);
	return st;
}

static bool exists(const char *name)
{
	AUTO_FREE char *path = xasprintf("%s/%s", dir, name);

	return access(path, F_OK) == 0;
}

static void put(const char *name, const char *text)
{
	struct err err = ERR_INIT;

	assert_int_equal(durable_write(dir, name, text, strlen(text), 0600, &err), 0);
}

static void test_create(void **state)
{
	AUTO(file_free) struct volumes *v = open_store(false);
	struct volume_spec s = spec("web1", DISK_A, 8);
	char path[PATH_LEN + 1], wanted[PATH_LEN + 1];
	struct err err = ERR_INIT;
	bool present = true;

	(void)state;
	assert_int_equal(v->ops->probe(v, &s, &present, &err), 0);
	assert_false(present);
	assert_int_equal(v->ops->create(v, &s, &err), 0);
	assert_int_equal(stat_of("web1").st_size, 8 << 20);
	assert_int_equal(stat_of("web1").st_mode & 07777, 0600);
	assert_true(stat_of("web1").st_blocks < 100); /* sparse */
	assert_int_equal(v->ops->create(v, &s, &err), 0);
	assert_int_equal(v->ops->probe(v, &s, &present, &err), 0);
	assert_true(present);
	v->ops->path(v, &s, path);
	(void)snprintf(wanted, sizeof(wanted), "%s/web1", dir);
	assert_string_equal(path, wanted);
	s.size_mib = 9;
	assert_int_equal(v->ops->probe(v, &s, &present, &err), 0);
	assert_false(present);
	assert_int_equal(v->ops->create(v, &s, &err), -ERR_WRONG_STATE);
	struct volume_spec other = spec("web1", DISK_B, 8);
	assert_int_equal(v->ops->create(v, &other, &err), -ERR_FOREIGN);
	assert_int_equal(v->ops->remove(v, &other, &err), -ERR_FOREIGN);
	assert_int_equal(v->ops->grow(v, &other, &err), -ERR_FOREIGN);
	assert_int_equal(v->ops->probe(v, &other, &present, &err), 0);
	assert_false(present);
}

static void test_preallocate(void **state)
{
	AUTO(file_free) struct volumes *v = open_store(true);
	struct volume_spec s = spec("web1", DISK_A, 4);
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(v->ops->create(v, &s, &err), 0);
	assert_true(stat_of("web1").st_blocks * 512 >= 4 << 20);
	s.size_mib = 6;
	assert_int_equal(v->ops->grow(v, &s, &err), 0);
	assert_true(stat_of("web1").st_blocks * 512 >= 6 << 20);
}

static void test_grow_and_remove(void **state)
{
	AUTO(file_free) struct volumes *v = open_store(false);
	struct volume_spec s = spec("web1", DISK_A, 4);
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(v->ops->grow(v, &s, &err), -ERR_NOT_FOUND);
	assert_int_equal(v->ops->create(v, &s, &err), 0);
	s.size_mib = 16;
	assert_int_equal(v->ops->grow(v, &s, &err), 0);
	assert_int_equal(stat_of("web1").st_size, 16 << 20);
	s.size_mib = 2; /* never shrinks */
	assert_int_equal(v->ops->grow(v, &s, &err), 0);
	assert_int_equal(stat_of("web1").st_size, 16 << 20);
	assert_int_equal(v->ops->remove(v, &s, &err), 0);
	assert_false(exists("web1"));
	assert_false(exists("web1.owner"));
	assert_int_equal(v->ops->remove(v, &s, &err), 0);
}

static void test_no_space(void **state)
{
	AUTO(file_free) struct volumes *v = open_store(false);
	struct volume_spec s = spec("web1", DISK_A, (int64_t)1 << 32); /* 4 PiB */
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(v->ops->create(v, &s, &err), -ERR_NO_SPACE);
	assert_non_null(strstr(err.msg, " free, image 'web1' needs "));
	assert_false(exists("web1"));
	s.size_mib = 1;
	assert_int_equal(v->ops->create(v, &s, &err), 0);
	s.size_mib = (int64_t)1 << 32;
	assert_int_equal(v->ops->grow(v, &s, &err), -ERR_NO_SPACE);
	s.size_mib = INT64_MAX;
	assert_int_equal(v->ops->create(v, &s, &err), -ERR_BAD_VALUE);
}

static void test_strangers_files(void **state)
{
	AUTO(file_free) struct volumes *v = open_store(false);
	struct volume_spec s = spec("stray", DISK_A, 1), l = spec("link", DISK_A, 1);
	AUTO_FREE char *link_path = xasprintf("%s/link", dir);
	AUTO_FREE struct volume_info *list = NULL;
	struct err err = ERR_INIT;
	int n = 0;

	(void)state;
	put("stray", "somebody's");
	assert_int_equal(symlink("/etc/passwd", link_path), 0);
	assert_int_equal(v->ops->create(v, &s, &err), -ERR_FOREIGN);
	assert_int_equal(v->ops->remove(v, &s, &err), -ERR_FOREIGN);
	assert_int_equal(v->ops->create(v, &l, &err), -ERR_FOREIGN);
	assert_true(exists("stray"));
	put("link.owner", DISK_A "\n"); /* a link is no image of ours whatever lies beside it */
	assert_int_equal(v->ops->create(v, &l, &err), -ERR_FOREIGN);
	assert_int_equal(v->ops->remove(v, &l, &err), -ERR_FOREIGN);
	put("stray.owner", "no uuid\n");
	assert_int_equal(v->ops->remove(v, &s, &err), -ERR_FOREIGN);
	assert_int_equal(v->ops->list(v, &list, &n, &err), 0);
	assert_int_equal(n, 2);
	assert_string_equal(list[0].owner, "");
	assert_string_equal(list[1].owner, "");
}

/* What a crash between two steps leaves behind. */
static void test_leftovers(void **state)
{
	AUTO(file_free) struct volumes *v = open_store(false);
	struct volume_spec a = spec("web1", DISK_A, 1), b = spec("web1", DISK_B, 1);
	struct err err = ERR_INIT;

	(void)state;
	put("web1.owner", DISK_A "\n"); /* create died before the image was linked, or remove behind its unlink */
	assert_int_equal(v->ops->remove(v, &b, &err), 0);
	assert_true(exists("web1.owner")); /* not b's to remove */
	assert_int_equal(v->ops->remove(v, &a, &err), 0);
	assert_false(exists("web1.owner"));
	put("web1.owner", DISK_A "\n");
	assert_int_equal(v->ops->create(v, &b, &err), 0); /* no image, no owner */
	assert_int_equal(v->ops->create(v, &a, &err), -ERR_FOREIGN);
}

static void test_lists(void **state)
{
	AUTO(file_free) struct volumes *v = open_store(false);
	struct volume_spec a = spec("web1", DISK_A, 3), b = spec("web2", DISK_B, 5);
	AUTO_FREE struct volume_info *list = NULL;
	AUTO_FREE struct pool_info *pools = NULL;
	struct err err = ERR_INIT;
	int n = 0;

	(void)state;
	assert_int_equal(v->ops->create(v, &a, &err), 0);
	assert_int_equal(v->ops->create(v, &b, &err), 0);
	assert_int_equal(v->ops->list(v, &list, &n, &err), 0);
	assert_int_equal(n, 2);
	int first = strcmp(list[0].name, "web1") == 0 ? 0 : 1;
	assert_string_equal(list[first].owner, DISK_A);
	assert_int_equal(list[first].size_mib, 3);
	assert_string_equal(list[first].pool, dir);
	assert_string_equal(list[1 - first].owner, DISK_B);
	assert_true(list[1 - first].active);
	assert_int_equal(v->ops->pools(v, &pools, &n, &err), 0);
	assert_int_equal(n, 1);
	assert_string_equal(pools[0].name, dir);
	assert_true(pools[0].size_mib >= pools[0].free_mib && pools[0].size_mib > 0);
}

static void test_bad_specs(void **state)
{
	AUTO(file_free) struct volumes *v = open_store(false);
	static const char *const names[] = {"", ".hidden", "../x", "a/b", "web1.owner", "a b"};
	struct err err = ERR_INIT;
	struct volumes *none = NULL;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct volume_spec s = spec(names[i], DISK_A, 1);

		assert_int_equal(v->ops->create(v, &s, &err), -ERR_BAD_VALUE);
	}
	struct volume_spec s = spec("web1", "", 1);
	assert_int_equal(v->ops->create(v, &s, &err), -ERR_BAD_VALUE);
	s = spec("web1", DISK_A, 1);
	(void)str_copy(s.pool, sizeof(s.pool), "/etc");
	assert_int_equal(v->ops->create(v, &s, &err), -ERR_NOT_FOUND);
	const char *const gone[] = {"/nonexistent/gantry"}, *const relative[] = {"images"};
	assert_int_equal(file_new(gone, 1, NULL, &none, &err), -ERR_NOT_FOUND);
	assert_int_equal(file_new(relative, 1, NULL, &none, &err), -ERR_BAD_VALUE);
	assert_int_equal(file_new(gone, 0, NULL, &none, &err), -ERR_BAD_VALUE);
	assert_null(none);
}

static void test_durable(void **state)
{
	AUTO_BUF struct buf text = BUF_INIT;
	struct err err = ERR_INIT;
	bool present = true;

	(void)state;
	assert_int_equal(durable_read(dir, "conf", 10, &text, &present, &err), 0);
	assert_false(present);
	put("conf", "first");
	put("conf", "0123456789");
	assert_int_equal(durable_read(dir, "conf", 10, &text, &present, &err), 0);
	assert_true(present);
	assert_string_equal(buf_str(&text), "0123456789");
	buf_reset(&text);
	assert_int_equal(durable_read(dir, "conf", 9, &text, &present, &err), -ERR_TOO_BIG);
	assert_int_equal(durable_remove(dir, "conf", &err), 0);
	assert_int_equal(durable_remove(dir, "conf", &err), 0);
	assert_int_equal(durable_remove("/nonexistent/gantry", "conf", &err), 0);
	assert_int_equal(durable_write("/nonexistent/gantry", "conf", "", 0, 0600, &err), -ERR_IO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_create, make_dir, remove_dir),
	    cmocka_unit_test_setup_teardown(test_preallocate, make_dir, remove_dir),
	    cmocka_unit_test_setup_teardown(test_grow_and_remove, make_dir, remove_dir),
	    cmocka_unit_test_setup_teardown(test_no_space, make_dir, remove_dir),
	    cmocka_unit_test_setup_teardown(test_strangers_files, make_dir, remove_dir),
	    cmocka_unit_test_setup_teardown(test_leftovers, make_dir, remove_dir),
	    cmocka_unit_test_setup_teardown(test_lists, make_dir, remove_dir),
	    cmocka_unit_test_setup_teardown(test_bad_specs, make_dir, remove_dir),
	    cmocka_unit_test_setup_teardown(test_durable, make_dir, remove_dir),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
