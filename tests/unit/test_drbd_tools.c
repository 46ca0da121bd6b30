/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Our files and metadata texts against the real drbd-utils, in a directory of plain files: neither needs a
 * kernel module or root. Exit 77 (skipped) where the tools are not installed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/xmem.h"
#include "storage/drbd/conf.h"
#include "tests/unit/storage_recorder.h"

#define ADM84 "/lib/drbd/drbdadm-84"
#define ADM9  "/usr/sbin/drbdadm"
#define META  "/usr/sbin/drbdmeta"

static char dir[32];

static char *in_dir(const char *name)
{
	return xasprintf("%s/%s", dir, name);
}

/* Runs argv with both streams into a file; gives the exit status and the text. */
static int run(const char *const argv[], char **ret_text)
{
	AUTO_FREE char *log = in_dir("log");
	AUTO_BUF struct buf text = BUF_INIT;
	posix_spawn_file_actions_t actions;
	pid_t pid = 0;
	int status = 0;

	assert_int_equal(posix_spawn_file_actions_init(&actions), 0);
	assert_int_equal(posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0), 0);
	assert_int_equal(posix_spawn_file_actions_addopen(&actions, 1, log, O_WRONLY | O_CREAT | O_TRUNC, 0600), 0);
	assert_int_equal(posix_spawn_file_actions_adddup2(&actions, 1, 2), 0);
	assert_int_equal(posix_spawn(&pid, argv[0], &actions, NULL, (char *const *)argv, environ), 0);
	(void)posix_spawn_file_actions_destroy(&actions);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	FILE *f = fopen(log, "re");
	char chunk[4096];
	size_t n;
	assert_non_null(f);
	while ((n = fread(chunk, 1, sizeof(chunk), f)) > 0)
		assert_int_equal(buf_add(&text, chunk, n), 0);
	assert_int_equal(fclose(f), 0);
	*ret_text = buf_steal(&text);
	return WEXITSTATUS(status);
}

static int make_dir(void **state)
{
	(void)state;
	(void)snprintf(dir, sizeof(dir), "/tmp/gantry-tools.XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	static const char *const names[] = {"log", "web1.res", "meta.img"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		AUTO_FREE char *path = in_dir(names[i]);

		(void)unlink(path);
	}
	return rmdir(dir);
}

/* drbdadm takes a file to be about this host when its name stands in it. */
static struct drbd_conf conf_here(bool arbitrated, bool v6)
{
	struct drbd_conf c = {
	    .resource = "web1",
	    .instance_uuid = "11111111-2222-3333-4444-555555555555",
	    .volumes = {{.index = 0, .minor = 7, .disk_path = "/dev/vg/a", .meta_path = "/dev/vg/am"},
			{.index = 1, .minor = 8, .disk_path = "/dev/vg/b", .meta_path = "/dev/vg/bm"}},
	    .n_volumes = 2,
	    .peers = {{.node_id = 0}, {.hostname = "gantry-peer", .node_id = 1}},
	    .port = 11000,
	    .secret = "d41d8cd98f00b204e9800998ecf8427ed41d8cd98f00b204e9800998ecf8427",
	    .arbitrated = arbitrated,
	    .resync_rate_mib_s = arbitrated ? 50 : 0,
	    .handler = "/usr/lib/gantry/drbd-handler",
	};

	assert_int_equal(gethostname(c.peers[0].hostname, sizeof(c.peers[0].hostname) - 1), 0);
	for (int i = 0; i < 2; i++)
		(void)snprintf(c.peers[i].address, sizeof(c.peers[i].address), v6 ? "fd00::77:%d" : "127.0.0.%d",
			       i + 1);
	return c;
}

static void write_conf(const struct drbd_conf *c, enum drbdm_kernel kernel)
{
	AUTO_FREE char *path = in_dir("web1.res");
	AUTO_BUF struct buf text = BUF_INIT;
	struct err err = ERR_INIT;
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	assert_int_equal(drbdm_conf_check(c, &err), 0);
	drbdm_conf_text(c, kernel, &text);
	assert_int_equal(fwrite(text.data, 1, text.len, f), text.len);
	assert_int_equal(fclose(f), 0);
}

/* Only the commands that would be run, without their directories: the tools also complain about the missing module. */
static int keep_commands(const char *text, struct buf *out)
{
	int n = 0;

	for (const char *p = text; *p;) {
		size_t len = strcspn(p, "\n");
		const char *name = p;

		for (const char *q = p; q < p + len && *q != ' '; q++)
			if (*q == '/')
				name = q + 1;
		if (strncmp(name, "drbdsetup", 9) == 0 || strncmp(name, "drbdmeta", 8) == 0) {
			assert_int_equal(buf_add(out, name, len - (size_t)(name - p)), 0);
			buf_putc(out, '\n');
			n++;
		}
		p += len + (p[len] == '\n');
	}
	return n;
}

static void dry_run(const char *tool, const char *path, const char *const words[7], struct buf *ret)
{
	const char *argv[12] = {tool, "-c", path, "-d"};
	AUTO_FREE char *text = NULL;

	buf_puts(ret, "==");
	for (int n = 0; n < 7 && words[n]; n++) {
		argv[4 + n] = words[n];
		buf_printf(ret, " %s", words[n]);
	}
	buf_putc(ret, '\n');
	int status = run(argv, &text);
	if (status != 0)
		fail_msg("%s %s: status %d: %s", tool, words[0], status, text);
	assert_true(keep_commands(text, ret) > 0);
}

/* What the tools would do with the file: options land where they belong, in the units meant. */
static void test_dry_runs(void **state)
{
	static const struct {
		const char *tool, *golden;
		enum drbdm_kernel kernel;
		bool arbitrated, v6;
	} rows[] = {
	    {ADM84, "drbd/tools-84-arbitrated.commands", DRBDM_KERNEL_84, true, false},
	    {ADM84, "drbd/tools-84-plain-v6.commands", DRBDM_KERNEL_84, false, true},
	    {ADM9, "drbd/tools-9-arbitrated.commands", DRBDM_KERNEL_9, true, false},
	    {ADM9, "drbd/tools-9-plain-v6.commands", DRBDM_KERNEL_9, false, true},
	};
	/* The operations of storage/drbd, as they call the tool. */
	static const char *const commands[][7] = {
	    {"new-resource", "web1"},
	    {"new-minor", "web1/1"},
	    {"attach", "web1/1"},
	    {"connect", "web1"},
	    {"connect", "--discard-my-data", "web1"},
	    {"disconnect", "web1"},
	    {"disconnect", "--force", "web1"},
	    {"detach", "--force", "web1"},
	    {"primary", "web1"},
	    {"secondary", "web1"},
	    {"net-options", "--allow-two-primaries=yes", "web1"},
	    {"resume-io", "web1"},
	    {"new-current-uuid", "--clear-bitmap", "web1/1"},
	    {"new-current-uuid", "web1/0"},
	    {"dump-md", "web1/1"},
	    {"create-md", "--force", "web1/1"},
	    {"--", "--assume-clean", "resize", "web1"},
	    {"down", "web1"},
	};
	/* Of what is up: 8.4's tool is told, 9's reads the file. */
	static const char *const options[][4][7] = {
	    [DRBDM_KERNEL_84] = {{"resource-options", "--on-no-data-accessible=suspend-io", "web1"},
				 {"resource-options", "--on-no-data-accessible=io-error", "web1"},
				 {"disk-options", "--fencing=resource-and-stonith", "--on-io-error=call-local-io-error", "--c-plan-ahead=0",
				  "--resync-rate=50M", "web1"},
				 {"disk-options", "--fencing=dont-care", "--on-io-error=detach", "web1"}},
	    [DRBDM_KERNEL_9] = {{"resource-options", "web1"}, {"net-options", "web1"}, {"disk-options", "web1"}},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct drbd_conf c = conf_here(rows[i].arbitrated, rows[i].v6);
		AUTO_FREE char *path = in_dir("web1.res");
		AUTO_BUF struct buf all = BUF_INIT;

		write_conf(&c, rows[i].kernel);
		for (size_t k = 0; k < ARRAY_SIZE(commands); k++)
			dry_run(rows[i].tool, path, commands[k], &all);
		for (size_t k = 0; k < ARRAY_SIZE(options[0]) && options[rows[i].kernel][k][0]; k++)
			dry_run(rows[i].tool, path, options[rows[i].kernel][k], &all);
		golden_check(rows[i].golden, buf_str(&all));
	}
}

/* The tool reads the file as meant, handlers included. */
static void test_dump(void **state)
{
	static const char *const wanted[] = {
	    "resource-and-stonith", "call-local-io-error", "suspend-io", "\"/usr/lib/gantry/drbd-handler fence-peer\"",
	    "\"/usr/lib/gantry/drbd-handler local-io-error\"", "\"/usr/lib/gantry/drbd-handler after-resync-target\""};
	struct drbd_conf c = conf_here(true, false);
	AUTO_FREE char *path = in_dir("web1.res");
	const char *const argv84[] = {ADM84, "-c", path, "dump", "web1", NULL};
	const char *const argv9[] = {ADM9, "-c", path, "dump", "web1", NULL};

	(void)state;
	for (int kernel = DRBDM_KERNEL_84; kernel <= DRBDM_KERNEL_9; kernel++) {
		AUTO_FREE char *text = NULL;

		write_conf(&c, (enum drbdm_kernel)kernel);
		assert_int_equal(run(kernel == DRBDM_KERNEL_84 ? argv84 : argv9, &text), 0);
		for (size_t i = 0; i < ARRAY_SIZE(wanted); i++)
			if (!strstr(text, wanted[i]))
				fail_msg("'%s' is not in:\n%s", wanted[i], text);
	}
	/* And each line's tool refuses the other's file: the version has to be asked. */
	AUTO_FREE char *refused = NULL;
	write_conf(&c, DRBDM_KERNEL_9);
	assert_int_not_equal(run(argv84, &refused), 0);
}

/* The words by which "no metadata" and "metadata" are told apart are the tool's own. */
static void test_metadata_words(void **state)
{
	static const char *const formats[] = {"v08", "v09"};
	/* drbdmeta takes a lock, /var/lock/drbd-147-MINOR, which it leaves behind: a minor of this process' own, lest two runs, or two users, meet. */
	int of_ours = 1000 + (int)getpid() % 1000000;
	AUTO_FREE char *minor = xasprintf("%d", of_ours), *lock = xasprintf("/var/lock/drbd-147-%d", of_ours);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
		AUTO_FREE char *image = in_dir("meta.img"), *none = NULL, *made = NULL, *there = NULL;
		const char *const dump[] = {META,  "--force",       minor,     formats[i],
					    image, "flex-external", "dump-md", NULL};
		const char *const create[] = {META,        "--force",      minor, formats[i], image, "flex-external",
					      "create-md", i ? "1" : NULL, NULL};
		int fd = open(image, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

		assert_true(fd >= 0);
		assert_int_equal(ftruncate(fd, 8 << 20), 0);
		assert_int_equal(close(fd), 0);
		assert_int_not_equal(run(dump, &none), 0);
		assert_non_null(strstr(none, "No valid meta data found"));
		(void)run(create, &made); /* says 20 on a plain file although it wrote: see what is there */
		assert_int_equal(run(dump, &there), 0);
		assert_non_null(strstr(there, formats[i]));
	}
	(void)unlink(lock);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_dry_runs, make_dir, remove_dir),
	    cmocka_unit_test_setup_teardown(test_dump, make_dir, remove_dir),
	    cmocka_unit_test_setup_teardown(test_metadata_words, make_dir, remove_dir),
	};

	if (access(ADM84, X_OK) < 0 || access(ADM9, X_OK) < 0 || access(META, X_OK) < 0)
		return 77;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
