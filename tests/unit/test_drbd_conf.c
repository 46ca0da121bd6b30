/* SPDX-License-Identifier: Apache-2.0 */
/* The resource's file: its text, reading it back, and what is kept in the directory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/xmem.h"
#include "storage/drbd/drbdm.h"
#include "storage/drbd/impl.h"
#include "tests/unit/storage_recorder.h"

#define UUID_A "11111111-2222-3333-4444-555555555555"
#define UUID_B "99999999-2222-3333-4444-555555555555"

static struct recorder rec;
static char dir[32];

static struct drbd_conf conf_of(bool arbitrated)
{
	return (struct drbd_conf){
	    .resource = "web1.example.org",
	    .instance_uuid = UUID_A,
	    .volumes = {{.index = 0, .minor = 7, .disk_path = "/dev/xenvg/a.data", .meta_path = "/dev/xenvg/a.meta"},
			{.index = 1, .minor = 12, .disk_path = "/dev/xenvg/b.data", .meta_path = "/dev/xenvg/b.meta"}},
	    .n_volumes = 2,
	    .peers = {{.hostname = "node1", .address = "10.77.1.11", .node_id = 0},
		      {.hostname = "node2", .address = "10.77.1.12", .node_id = 1}},
	    .port = 11000,
	    .secret = "d41d8cd98f00b204e9800998ecf8427ed41d8cd9",
	    .arbitrated = arbitrated,
	    .resync_rate_mib_s = arbitrated ? 50 : 0,
	    .handler = "/usr/lib/gantry/drbd-handler",
	};
}

static struct drbd_conf conf_v6(void)
{
	struct drbd_conf c = conf_of(true);

	(void)str_copy(c.peers[0].address, sizeof(c.peers[0].address), "fd00::1");
	(void)str_copy(c.peers[1].address, sizeof(c.peers[1].address), "fd00::2");
	return c;
}

static void check_text(const struct drbd_conf *c, enum drbdm_kernel kernel, const char *golden)
{
	AUTO_BUF struct buf text = BUF_INIT;
	struct err err = ERR_INIT;

	assert_int_equal(drbdm_conf_check(c, &err), 0);
	drbdm_conf_text(c, kernel, &text);
	golden_check(golden, buf_str(&text));
}

static void test_texts(void **state)
{
	struct drbd_conf yes = conf_of(true), no = conf_of(false), v6 = conf_v6();

	(void)state;
	check_text(&yes, DRBDM_KERNEL_84, "drbd/conf-84-arbitrated.res");
	check_text(&no, DRBDM_KERNEL_84, "drbd/conf-84-plain.res");
	check_text(&v6, DRBDM_KERNEL_84, "drbd/conf-84-v6.res");
	check_text(&yes, DRBDM_KERNEL_9, "drbd/conf-9-arbitrated.res");
	check_text(&no, DRBDM_KERNEL_9, "drbd/conf-9-plain.res");
	check_text(&v6, DRBDM_KERNEL_9, "drbd/conf-9-v6.res");
}

static void check_equal(const struct drbd_conf *a, const struct drbd_conf *b)
{
	assert_string_equal(a->resource, b->resource);
	assert_string_equal(a->instance_uuid, b->instance_uuid);
	assert_int_equal(a->n_volumes, b->n_volumes);
	for (int i = 0; i < a->n_volumes; i++) {
		assert_int_equal(a->volumes[i].index, b->volumes[i].index);
		assert_int_equal(a->volumes[i].minor, b->volumes[i].minor);
		assert_string_equal(a->volumes[i].disk_path, b->volumes[i].disk_path);
		assert_string_equal(a->volumes[i].meta_path, b->volumes[i].meta_path);
	}
	for (int i = 0; i < 2; i++) {
		assert_string_equal(a->peers[i].hostname, b->peers[i].hostname);
		assert_string_equal(a->peers[i].address, b->peers[i].address);
		assert_int_equal(a->peers[i].node_id, b->peers[i].node_id);
	}
	assert_int_equal(a->port, b->port);
	assert_string_equal(a->secret, b->secret);
	assert_int_equal(a->arbitrated, b->arbitrated);
	assert_int_equal(a->resync_rate_mib_s, b->resync_rate_mib_s);
	if (a->arbitrated)
		assert_string_equal(a->handler, b->handler);
}

static void test_round_trip(void **state)
{
	const struct drbd_conf confs[] = {conf_of(true), conf_of(false), conf_v6()};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(confs); i++)
		for (int kernel = DRBDM_KERNEL_84; kernel <= DRBDM_KERNEL_9; kernel++) {
			AUTO_BUF struct buf text = BUF_INIT;
			struct drbd_conf back;
			struct err err = ERR_INIT;

			drbdm_conf_text(&confs[i], (enum drbdm_kernel)kernel, &text);
			if (drbdm_conf_parse(buf_str(&text), text.len, &back, &err) < 0)
				fail_msg("%s", err.msg);
			check_equal(&confs[i], &back);
		}
}

/* Everything goes into the text as it is: what could break out of it must not get there. */
static void test_bad_confs(void **state)
{
	struct err err = ERR_INIT;
	struct drbd_conf good = conf_of(true);

	(void)state;
	assert_int_equal(drbdm_conf_check(&good, &err), 0);
#define BAD(change)                                                                                                    \
	do {                                                                                                           \
		struct drbd_conf c = conf_of(true);                                                                    \
		change;                                                                                                \
		assert_int_equal(drbdm_conf_check(&c, &err), -ERR_BAD_VALUE);                                          \
	} while (0)
#define SET(field, text) ((void)snprintf(c.field, sizeof(c.field), "%s", text))
	BAD(SET(resource, ""));
	BAD(SET(resource, "all"));
	BAD(SET(resource, "a b"));
	BAD(SET(resource, "-c"));
	BAD(SET(resource, "../x"));
	BAD(SET(instance_uuid, "11111111-2222"));
	BAD(SET(volumes[0].disk_path, "/dev/x; }"));
	BAD(SET(volumes[0].disk_path, "relative"));
	BAD(SET(volumes[1].meta_path, "/dev/x\"y"));
	BAD(SET(volumes[0].meta_path, "/dev/xenvg/a.data"));
	BAD(c.volumes[1].minor = 7);
	BAD(c.volumes[1].index = 0);
	BAD(c.volumes[0].minor = -1);
	BAD(c.n_volumes = 0);
	BAD(c.n_volumes = DISKS_MAX + 1);
	BAD(SET(peers[0].hostname, "node1 {"));
	BAD(SET(peers[0].hostname, "node2"));
	BAD(SET(peers[0].address, "10.77.1.300"));
	BAD(SET(peers[0].address, "10.77.1.12"));
	BAD(SET(peers[0].address, "fd00::1"));
	BAD(c.peers[0].node_id = 1);
	BAD(c.port = 0);
	BAD(c.port = 65536);
	BAD(SET(secret, ""));
	BAD(SET(secret, "with\"quote"));
	BAD(SET(secret,
		"0123456789012345678901234567890123456789012345678901234567890123")); /* 64: the kernel takes 63 */
	BAD(c.resync_rate_mib_s = -1);
	BAD(SET(handler, "/bin/sh -c x"));
	struct drbd_conf c = conf_of(true);
	SET(secret, "hush!");
	assert_int_equal(drbdm_conf_check(&c, &err), -ERR_BAD_VALUE);
	assert_null(strstr(err.msg, "hush"));
}

static void test_damaged_files(void **state)
{
	static const struct {
		const char *text;
		int rc;
	} rows[] = {
	    {"", -ERR_FOREIGN},
	    {"resource r0 {\n}\n", -ERR_FOREIGN},
	    {"# gantry instance x\n", -ERR_FOREIGN},
	    {"# gantry instance " UUID_A, -ERR_FOREIGN},
	    {"# gantry instance " UUID_A "\n", -ERR_WRONG_STATE},
	    {"# gantry instance " UUID_A "\nresource r0 {\n\tvolume x {\n", -ERR_WRONG_STATE},
	    {"# gantry instance " UUID_A "\nresource \"r0 {\n", -ERR_WRONG_STATE},
	    {"# gantry instance " UUID_A "\nresource r0 {\n\ton a {\n\t\taddress ipv6 [::1:11;\n", -ERR_WRONG_STATE},
	};
	struct err err = ERR_INIT;
	struct drbd_conf c;
	char owner[UUID_LEN + 1];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_int_equal(drbdm_conf_parse(rows[i].text, strlen(rows[i].text), &c, &err), rows[i].rc);
	drbdm_conf_owner("# gantry instance " UUID_A "\nx", 60, owner);
	assert_string_equal(owner, UUID_A);
}

/* ---- the directory ---------------------------------------------------------------------------- */

static int make_dir(void **state)
{
	(void)state;
	(void)snprintf(dir, sizeof(dir), "/tmp/gantry-drbd.XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	static const char *const names[] = {"web1.example.org.res", "foreign.res", "broken.res", "notes.txt", "drbd"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		AUTO_FREE char *path = xasprintf("%s/%s", dir, names[i]);

		(void)unlink(path);
	}
	return rmdir(dir);
}

static void put(const char *name, const char *text)
{
	AUTO_FREE char *path = xasprintf("%s/%s", dir, name);
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, strlen(text), f), strlen(text));
	assert_int_equal(fclose(f), 0);
}

static struct stat stat_of(const char *name)
{
	AUTO_FREE char *path = xasprintf("%s/%s", dir, name);
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st;
}

static void test_write_conf(void **state)
{
	AUTO(drbdm_free) struct drbdm *d = drbdm_new_for(&rec.base, dir, DRBDM_KERNEL_84);
	struct drbd_conf c = conf_of(true);
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(d->ops->write_conf(d, &c, &err), 0);
	struct stat first = stat_of("web1.example.org.res");
	assert_int_equal(first.st_mode & 07777, 0600); /* the secret is in it */
	assert_int_equal(d->ops->write_conf(d, &c, &err), 0);
	assert_true(stat_of("web1.example.org.res").st_ino == first.st_ino); /* the same: left alone */
	c.port = 11001;
	assert_int_equal(d->ops->write_conf(d, &c, &err), 0);
	/* another instance of that name */
	(void)str_copy(c.instance_uuid, sizeof(c.instance_uuid), UUID_B);
	assert_int_equal(d->ops->write_conf(d, &c, &err), -ERR_FOREIGN);
	assert_non_null(strstr(err.msg, "belongs to instance '" UUID_A "'"));
	assert_int_equal(d->ops->remove_conf(d, c.resource, &err), 0);
	assert_int_equal(d->ops->remove_conf(d, c.resource, &err), 0);
	/* a person's file */
	put("web1.example.org.res", "resource web1.example.org { }\n");
	assert_int_equal(d->ops->write_conf(d, &c, &err), -ERR_FOREIGN);
	assert_int_equal(d->ops->remove_conf(d, c.resource, &err), -ERR_FOREIGN);
	assert_int_equal(d->ops->remove_conf(d, "../etc/passwd", &err), -ERR_BAD_VALUE);
	assert_true(stat_of("web1.example.org.res").st_size > 0);
}

static void test_list_conf(void **state)
{
	AUTO(drbdm_free) struct drbdm *d = drbdm_new_for(&rec.base, dir, DRBDM_KERNEL_9);
	AUTO_FREE struct drbd_conf *list = NULL;
	struct drbd_conf c = conf_of(true);
	struct err err = ERR_INIT;
	int n = -1;

	(void)state;
	assert_int_equal(d->ops->write_conf(d, &c, &err), 0);
	put("foreign.res", "resource foreign {\n}\n");
	put("broken.res", "# gantry instance " UUID_B "\nresource {{{\n");
	put("notes.txt", "# gantry instance " UUID_B "\n");
	assert_int_equal(d->ops->list_conf(d, &list, &n, &err), 0);
	assert_int_equal(n, 2);
	int whole = strcmp(list[0].resource, "broken") == 0 ? 1 : 0;
	check_equal(&c, &list[whole]);
	assert_string_equal(list[1 - whole].resource, "broken"); /* not lost from sight */
	assert_string_equal(list[1 - whole].instance_uuid, UUID_B);
	assert_int_equal(list[1 - whole].n_volumes, 0);
}

/* ---- the kernel's own page: who stands still ---------------------------------------------------- */

/* Of one that stands alone the protocol's letter is left out. */
#define PAGE                                                                                                           \
	"version: 8.4.11 (api:1/proto:86-101)\nsrcversion: 96ED19D4C144624490A9AB1\n"                                   \
	" 0: cs:Connected ro:Primary/Secondary ds:UpToDate/UpToDate C r-----\n"                                        \
	"    ns:0 nr:0 dw:0 dr:0 al:0 bm:0 lo:0 pe:0 ua:0 ap:0 ep:1 wo:f oos:0\n"                                       \
	" 7: cs:WFConnection ro:Primary/Unknown ds:UpToDate/DUnknown C r----s\n"                                       \
	"    ns:0 nr:0 dw:0 dr:0 al:0 bm:0 lo:0 pe:0 ua:0 ap:0 ep:1 wo:f oos:0\n\n"                                     \
	" 9: cs:Unconfigured\n"                                                                                        \
	"12: cs:StandAlone ro:Primary/Unknown ds:UpToDate/DUnknown   s-----\n"                                         \
	"    ns:0 nr:0 dw:0 dr:0 al:0 bm:0 lo:1 pe:0 ua:0 ap:1 ep:1 wo:f oos:0\n"                                       \
	"123: cs:WFConnection ro:Primary/Unknown ds:Diskless/DUnknown C s-----"

static void test_proc_suspended(void **state)
{
	(void)state;
	assert_false(drbdm_proc_suspended(PAGE, 0));
	assert_false(drbdm_proc_suspended(PAGE, 7)); /* its activity log is, not its I/O */
	assert_false(drbdm_proc_suspended(PAGE, 9));
	assert_true(drbdm_proc_suspended(PAGE, 12));
	assert_true(drbdm_proc_suspended(PAGE, 123));
	assert_false(drbdm_proc_suspended(PAGE, 1));
	assert_false(drbdm_proc_suspended(PAGE, 8)); /* no minor, a version */
	assert_false(drbdm_proc_suspended("", 0));
	assert_false(drbdm_proc_suspended(" 0: cs:Connected ds:", 0));
	assert_false(drbdm_proc_suspended("0:", 0));
}

static void test_suspended(void **state)
{
	AUTO(drbdm_free) struct drbdm *d = drbdm_new_for(&rec.base, dir, DRBDM_KERNEL_84);
	AUTO_FREE struct drbd_suspended *list = NULL, *none = NULL;
	struct drbd_conf c = conf_of(true);
	struct err err = ERR_INIT;
	int n = -1;

	(void)state;
	recorder_reset(&rec);
	drbdm_real_of(d)->proc_dir = dir;
	assert_int_equal(d->ops->write_conf(d, &c, &err), 0);
	assert_int_equal(d->ops->suspended(d, &list, &n, &err), -ERR_NOT_SUPPORTED); /* no module */
	put("drbd", PAGE);
	assert_int_equal(d->ops->suspended(d, &list, &n, &err), 0);
	assert_int_equal(n, 1); /* one of its two disks is enough */
	assert_string_equal(list[0].instance_uuid, UUID_A);
	put("drbd", " 7: cs:Connected ro:Primary/Secondary ds:UpToDate/UpToDate C r-----\n");
	assert_int_equal(d->ops->suspended(d, &none, &n, &err), 0);
	assert_int_equal(n, 0);
	assert_int_equal(rec.log.len, 0); /* no tool is asked */
}

static void test_suspended_9(void **state)
{
	AUTO(drbdm_free) struct drbdm *d = drbdm_new_for(&rec.base, dir, DRBDM_KERNEL_9);
	struct drbd_suspended *list = NULL;
	struct err err = ERR_INIT;
	int n = 0;

	(void)state;
	drbdm_real_of(d)->proc_dir = dir;
	put("drbd", PAGE);
	assert_int_equal(d->ops->suspended(d, &list, &n, &err), -ERR_NOT_SUPPORTED);
}

/* ---- the kernel's version --------------------------------------------------------------------- */

#define SAYS(code)                                                                                                     \
	"DRBDADM_BUILDTAG=x\nDRBDADM_API_VERSION=1\nDRBD_KERNEL_VERSION_CODE=" code "\nDRBDADM_VERSION=9.22.0\n"

static void test_detect(void **state)
{
	struct err err = ERR_INIT;
	struct drbdm *d = NULL;
	enum drbdm_kernel kernel;

	(void)state;
	recorder_reset(&rec);
	recorder_answer(&rec, "drbdadm --version", -1, 0, SAYS("0x08040b"), "");
	assert_int_equal(drbdm_new(&rec.base, "/etc/drbd.d", &d, &err), 0);
	assert_string_equal(d->ops->name, "drbd84");
	drbdm_free(d);
	recorder_reset(&rec);
	recorder_answer(&rec, "drbdadm --version", -1, 0, SAYS("0x090206"), "");
	assert_int_equal(drbdm_new(&rec.base, "/etc/drbd.d", &d, &err), 0);
	assert_string_equal(d->ops->name, "drbd9");
	drbdm_free(d);
	/* not loaded yet */
	recorder_reset(&rec);
	recorder_answer(&rec, "drbdadm --version", 1, 0, SAYS("0x000000"), "");
	recorder_answer(&rec, "drbdadm --version", 1, 0, SAYS("0x08040B"), "");
	assert_int_equal(drbdm_detect(&rec.base, &kernel, &err), 0);
	assert_int_equal(kernel, DRBDM_KERNEL_84);
	assert_string_equal(buf_str(&rec.log), "drbdadm --version\nmodprobe drbd\ndrbdadm --version\n");
	/* none at all */
	recorder_reset(&rec);
	recorder_answer(&rec, "drbdadm --version", -1, 0, SAYS("0x000000"), "");
	recorder_answer(&rec, "modprobe", -1, 1, "", "modprobe: FATAL: Module drbd not found.\n");
	assert_int_equal(drbdm_detect(&rec.base, &kernel, &err), -ERR_NOT_PREPARED);
	recorder_reset(&rec);
	recorder_answer(&rec, "drbdadm --version", -1, 0, SAYS("0x08030b"), "");
	assert_int_equal(drbdm_detect(&rec.base, &kernel, &err), -ERR_NOT_PREPARED);
	assert_string_equal(err.msg, "the drbd kernel module is of version 8.3, 8.4 or 9 is needed");
	recorder_reset(&rec);
	recorder_answer(&rec, "drbdadm --version", -1, 0, "something else\n", "");
	assert_int_equal(drbdm_detect(&rec.base, &kernel, &err), -ERR_COMMAND_FAILED);
}

static void test_helper(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	recorder_reset(&rec);
	recorder_answer(&rec, "usermode_helper", 1, 0, "/sbin/drbdadm\n", "");
	recorder_answer(&rec, "usermode_helper", 1, 1, "", "cat: No such file or directory\n");
	recorder_answer(&rec, "usermode_helper", 1, 0, "/bin/true\n", "");
	assert_int_equal(drbdm_check_helper(&rec.base, &err), 0);
	assert_int_equal(drbdm_check_helper(&rec.base, &err), 0); /* no module: nothing to say */
	assert_int_equal(drbdm_check_helper(&rec.base, &err), -ERR_NOT_PREPARED);
	assert_non_null(strstr(err.msg, "'/bin/true'"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_texts),
	    cmocka_unit_test(test_round_trip),
	    cmocka_unit_test(test_bad_confs),
	    cmocka_unit_test(test_damaged_files),
	    cmocka_unit_test_setup_teardown(test_write_conf, make_dir, remove_dir),
	    cmocka_unit_test_setup_teardown(test_list_conf, make_dir, remove_dir),
	    cmocka_unit_test(test_proc_suspended),
	    cmocka_unit_test_setup_teardown(test_suspended, make_dir, remove_dir),
	    cmocka_unit_test_setup_teardown(test_suspended_9, make_dir, remove_dir),
	    cmocka_unit_test(test_detect),
	    cmocka_unit_test(test_helper),
	};

	recorder_init(&rec);
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	recorder_done(&rec);
	return failed;
}
