/* SPDX-License-Identifier: Apache-2.0 */
/* The journal on a disk that may lose, between two syncs, whatever it likes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/rng.h"
#include "common/xmem.h"
#include "io/journal.h"

#define FILE_BYTES ((size_t)16 * 1024)
#define SECTOR ((size_t)512)
#define KEYS 64

struct world {
	char dir[64];
	struct journal *j;
	char keys[KEYS][32], texts[KEYS][256]; /* what each() told */
	int n;
};

/*
 * The disk. What is written stands in the file; durable[] is what a power cut cannot take any more. A test that is cut restores it, with
 * some of the sectors written since.
 */
static struct {
	char *durable[2];
	size_t n_durable[2];
	int syncs;
	size_t bytes_max; /* of a file; 0 = the disk is large enough */
	int cut_at;       /* the write or sync with which the power goes, 0 = none */
	int calls;
	int fail_syncs, fail_writes; /* a write that fails may have written all the same */
} disk;

static int file_of(int fd)
{
	char link[64], path[256];

	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	ssize_t n = readlink(link, path, sizeof(path) - 1);
	assert_true(n > 0);
	return path[n - 1] - '0';
}

static bool powered(void)
{
	return !disk.cut_at || ++disk.calls < disk.cut_at;
}

static ssize_t disk_write(int fd, const void *data, size_t n, off_t at)
{
	if (!powered()) {
		errno = EIO;
		return -1;
	}
	if (disk.bytes_max && (size_t)at + n > disk.bytes_max) {
		struct stat st;

		assert_int_equal(fstat(fd, &st), 0);
		if ((size_t)at + n > (size_t)st.st_size) { /* new blocks */
			errno = ENOSPC;
			return -1;
		}
	}
	ssize_t done = pwrite(fd, data, n, at);
	if (disk.fail_writes > 0) {
		disk.fail_writes--;
		errno = EIO;
		return -1;
	}
	return done;
}

static int disk_sync(int fd)
{
	int i = file_of(fd);
	struct stat st;

	if (disk.fail_syncs > 0) {
		disk.fail_syncs--;
		errno = EIO;
		return -1;
	}
	if (!powered()) {
		errno = EIO;
		return -1;
	}
	disk.syncs++;
	assert_int_equal(fstat(fd, &st), 0);
	free(disk.durable[i]);
	disk.durable[i] = xcalloc((size_t)st.st_size + 1, 1);
	disk.n_durable[i] = (size_t)st.st_size;
	assert_int_equal(pread(fd, disk.durable[i], (size_t)st.st_size, 0), st.st_size);
	return 0;
}

static const struct journal_io io = { disk_write, disk_sync };

static void each(void *arg, const char *key, const char *text)
{
	struct world *w = arg;

	assert_true(w->n < KEYS);
	(void)str_copy(w->keys[w->n], sizeof(w->keys[0]), key);
	(void)str_copy(w->texts[w->n++], sizeof(w->texts[0]), text);
}

static void open_it(struct world *w)
{
	struct err err = ERR_INIT;

	journal_free(w->j);
	w->j = NULL;
	w->n = 0;
	if (journal_open(w->dir, FILE_BYTES, &io, each, w, &w->j, &err) < 0)
		fail_msg("%s", err.msg);
}

static const char *text_of(const struct world *w, const char *key)
{
	for (int i = 0; i < w->n; i++)
		if (strcmp(w->keys[i], key) == 0)
			return w->texts[i];
	return NULL;
}

static int put(struct world *w, const char *key, const char *text, bool begins)
{
	struct journal_entry e = { .key = key, .text = text, .begins = begins };
	struct err err = ERR_INIT;
	int rc = journal_write(w->j, &e, 1, &err);

	return rc < 0 ? rc : e.rc;
}

/* The power goes: of each sector written since its file's last sync either state may stand. */
static void cut_power(struct world *w, uint64_t seed)
{
	struct rng rng;

	rng_seed(&rng, seed);
	journal_free(w->j);
	w->j = NULL;
	for (int i = 0; i < 2; i++) {
		AUTO_FREE char *path = xasprintf("%s/journal.%d", w->dir, i);
		AUTO_FD int fd = open(path, O_RDWR | O_CLOEXEC);
		struct stat st;

		if (fd < 0)
			continue;
		assert_int_equal(fstat(fd, &st), 0);
		for (size_t at = 0; at < disk.n_durable[i]; at += SECTOR) {
			size_t n = disk.n_durable[i] - at < SECTOR ? disk.n_durable[i] - at : SECTOR;

			if (rng_below(&rng, 2))
				assert_int_equal(pwrite(fd, disk.durable[i] + at, n, (off_t)at), n);
		}
		if ((size_t)st.st_size > disk.n_durable[i] && rng_below(&rng, 2))
			assert_int_equal(ftruncate(fd, (off_t)disk.n_durable[i]), 0);
	}
	disk.cut_at = disk.calls = 0;
}

static int set_up(void **state)
{
	struct world *w = xcalloc(1, sizeof(*w));

	memset(&disk, 0, sizeof(disk));
	(void)snprintf(w->dir, sizeof(w->dir), "%s/gantry-journal.XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	assert_non_null(mkdtemp(w->dir));
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;

	journal_free(w->j);
	for (int i = 0; i < 2; i++) {
		AUTO_FREE char *path = xasprintf("%s/journal.%d", w->dir, i);

		(void)unlink(path);
		free(disk.durable[i]);
		disk.durable[i] = NULL;
	}
	(void)rmdir(w->dir);
	free(w);
	return 0;
}

/* ---- what it keeps ------------------------------------------------------------------------------------------ */

static void the_newest_of_each_key_comes_back(void **state)
{
	struct world *w = *state;

	open_it(w);
	assert_int_equal(w->n, 0);
	assert_int_equal(put(w, "epoch", "7", false), 0);
	assert_int_equal(put(w, "1.0.do", "{\"a b\": \"c\"}", true), 0);
	assert_int_equal(put(w, "1.0.do", "{\"ended\": true}", false), 0);
	assert_int_equal(put(w, "2.0.do", "x", true), 0);
	assert_int_equal(put(w, "2.0.do", NULL, false), 0);
	assert_int_equal(put(w, "3.0.do", "", true), 0);
	open_it(w);
	assert_int_equal(w->n, 3);
	assert_string_equal(text_of(w, "epoch"), "7");
	assert_string_equal(text_of(w, "1.0.do"), "{\"ended\": true}");
	assert_string_equal(text_of(w, "3.0.do"), "");
}

static void many_records_cost_one_sync_and_those_that_go_none(void **state)
{
	struct world *w = *state;
	struct journal_entry e[40] = { { .key = NULL } };
	char keys[40][16];
	struct err err = ERR_INIT;

	open_it(w);
	for (int i = 0; i < 40; i++) {
		(void)snprintf(keys[i], sizeof(keys[i]), "%d.0.do", i);
		e[i] = (struct journal_entry){ .key = keys[i], .text = "started", .begins = true };
	}
	int before = disk.syncs;
	assert_int_equal(journal_write(w->j, e, 40, &err), 0);
	assert_int_equal(disk.syncs, before + 1);
	for (int i = 0; i < 40; i++)
		e[i].text = NULL;
	assert_int_equal(journal_write(w->j, e, 40, &err), 0);
	assert_int_equal(disk.syncs, before + 1);
	open_it(w);
	assert_int_equal(w->n, 0);
}

static void a_file_is_filled_again_and_again_and_does_not_grow(void **state)
{
	struct world *w = *state;
	char text[100];
	struct stat st;

	open_it(w);
	assert_int_equal(put(w, "old", "stays", true), 0);
	for (int i = 0; i < 5000; i++) {
		(void)snprintf(text, sizeof(text), "%060d", i);
		assert_int_equal(put(w, i % 2 ? "odd" : "even", text, i % 3 == 0), 0);
	}
	for (int i = 0; i < 2; i++) {
		AUTO_FREE char *path = xasprintf("%s/journal.%d", w->dir, i);

		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_size, FILE_BYTES);
	}
	open_it(w);
	assert_int_equal(w->n, 3);
	assert_string_equal(text_of(w, "old"), "stays");
	assert_int_equal(strtol(text_of(w, "odd"), NULL, 10), 4999);
	assert_int_equal(strtol(text_of(w, "even"), NULL, 10), 4998);
}

/* ---- power -------------------------------------------------------------------------------------------------- */

#define CUT_KEYS 12

/*
 * Random records in random batches until the power goes in the middle of some write or sync. What was acknowledged must be there as it
 * was; what was under way may be there or not, but nothing older than the acknowledged.
 */
static void cut_once(uint64_t seed)
{
	struct world *w;
	int64_t acked[CUT_KEYS], tried[CUT_KEYS];
	bool gone[CUT_KEYS]; /* its going was acknowledged: it may come back all the same */
	void *state = NULL;
	struct rng rng;
	int64_t number = 0;

	rng_seed(&rng, seed);
	(void)set_up(&state);
	w = state;
	for (int i = 0; i < CUT_KEYS; i++) {
		acked[i] = tried[i] = -1;
		gone[i] = false;
	}
	for (int life = 0; life < 6; life++) {
		open_it(w);
		for (int k = 0; k < CUT_KEYS; k++) {
			char key[16];

			(void)snprintf(key, sizeof(key), "k%d", k);
			const char *text = text_of(w, key);
			int64_t is = text ? strtoll(text, NULL, 10) : -1;
			if (!gone[k] && is < acked[k])
				fail_msg("seed %llu: %s is %lld, %lld was acknowledged", (unsigned long long)seed, key, (long long)is, (long long)acked[k]);
			if (is > tried[k])
				fail_msg("seed %llu: %s is %lld, which was not written", (unsigned long long)seed, key, (long long)is);
			acked[k] = is; /* what it said at a start it must stand by, unless it is written anew */
		}
		if (life == 5)
			break;
		disk.cut_at = 1 + (int)rng_below(&rng, 120);
		disk.calls = 0;
		for (bool alive = true; alive;) {
			struct journal_entry e[6] = { { .key = NULL } };
			char keys[6][16], texts[6][120];
			int which[6], n = 1 + (int)rng_below(&rng, 6);
			struct err err = ERR_INIT;

			for (int i = 0; i < n; i++) {
				which[i] = (int)rng_below(&rng, CUT_KEYS);
				(void)snprintf(keys[i], sizeof(keys[i]), "k%d", which[i]);
				(void)snprintf(texts[i], sizeof(texts[i]), "%0*lld", 20 + (int)rng_below(&rng, 90), (long long)++number);
				bool goes = rng_below(&rng, 5) == 0;
				e[i] = (struct journal_entry){ .key = keys[i], .text = goes ? NULL : texts[i] };
				tried[which[i]] = goes ? tried[which[i]] : number;
			}
			bool written = journal_write(w->j, e, (size_t)n, &err) == 0;
			alive = written;
			for (int i = 0; i < n; i++) {
				if (written && e[i].rc == 0) {
					gone[which[i]] = !e[i].text;
					acked[which[i]] = e[i].text ? strtoll(texts[i], NULL, 10) : -1;
				} else { /* under way: it may have gone */
					gone[which[i]] = gone[which[i]] || !e[i].text;
					alive = false;
				}
			}
		}
		cut_power(w, seed * 31 + (uint64_t)life);
	}
	(void)tear_down(&state);
}

static void what_was_acknowledged_survives_a_power_cut(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 300; seed++)
		cut_once(seed);
}

static void what_a_failed_write_left_does_not_hide_a_later_record(void **state)
{
	struct world *w = *state;
	struct journal_entry e[2] = { { .key = "a", .text = "long, so that it lies behind what comes next" }, { .key = "b", .text = "failed" } };
	struct err err = ERR_INIT;

	open_it(w);
	disk.fail_syncs = 1;
	assert_int_equal(journal_write(w->j, e, 2, &err), -ERR_IO);
	assert_int_equal(put(w, "b", "later", false), 0);
	disk.fail_writes = 1;
	assert_int_equal(journal_write(w->j, e, 2, &err), -ERR_IO);
	assert_int_equal(put(w, "b", "last", false), 0);
	open_it(w);
	assert_string_equal(text_of(w, "b"), "last");
}

/* ---- a full disk -------------------------------------------------------------------------------------------- */

static void a_full_disk_refuses_what_begins_and_keeps_what_ends(void **state)
{
	struct world *w = *state;
	char key[32], text[200];
	int n = 0;

	open_it(w);
	disk.bytes_max = FILE_BYTES;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	for (;; n++) {
		(void)snprintf(key, sizeof(key), "%d.0.do", n);
		int rc = put(w, key, text, true);
		if (rc < 0) {
			assert_int_equal(rc, -ERR_NO_SPACE);
			break;
		}
		assert_true(n < 1000);
	}
	assert_true(n > 20);
	for (int i = 0; i < n; i++) { /* each began: each ends, as long as it was before */
		(void)snprintf(key, sizeof(key), "%d.0.do", i);
		assert_int_equal(put(w, key, text, false), 0);
	}
	assert_int_equal(put(w, "0.0.do", NULL, false), 0);
	for (int i = 1; i < n; i++) {
		(void)snprintf(key, sizeof(key), "%d.0.do", i);
		assert_int_equal(put(w, key, NULL, false), 0);
	}
	assert_int_equal(put(w, "new", text, true), 0);
	open_it(w);
	assert_int_equal(w->n, 1);
}

static void it_grows_when_the_disk_has_room(void **state)
{
	struct world *w = *state;
	char key[32], text[200];

	open_it(w);
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	for (int i = 0; i < 300; i++) {
		(void)snprintf(key, sizeof(key), "%d.0.do", i);
		assert_int_equal(put(w, key, text, true), 0);
		if (i >= 40) {
			(void)snprintf(key, sizeof(key), "%d.0.do", i - 40);
			assert_int_equal(put(w, key, NULL, false), 0);
		}
	}
	open_it(w);
	assert_int_equal(w->n, 40);
}

static void a_disk_that_was_full_at_the_start_is_tried_again(void **state)
{
	struct world *w = *state;

	disk.bytes_max = 100;
	open_it(w);
	assert_int_equal(put(w, "a", "1", true), -ERR_NO_SPACE);
	disk.bytes_max = 0;
	assert_int_equal(put(w, "a", "2", true), 0);
	open_it(w);
	assert_string_equal(text_of(w, "a"), "2");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_newest_of_each_key_comes_back, set_up, tear_down),
		cmocka_unit_test_setup_teardown(many_records_cost_one_sync_and_those_that_go_none, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_file_is_filled_again_and_again_and_does_not_grow, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_was_acknowledged_survives_a_power_cut, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_a_failed_write_left_does_not_hide_a_later_record, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_full_disk_refuses_what_begins_and_keeps_what_ends, set_up, tear_down),
		cmocka_unit_test_setup_teardown(it_grows_when_the_disk_has_room, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_disk_that_was_full_at_the_start_is_tried_again, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
