/* SPDX-License-Identifier: Apache-2.0 */
/* A node's journal as a disk may give it back. Whatever stands there, what is written next is found by the next start. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "io/journal.h"
#include "tests/fuzz/fuzz.h"

#define NEW_KEY "fuzz.new"

static bool found;

static void each(void *arg, const char *key, const char *text)
{
	(void)arg;
	assert(key[0] && !strpbrk(key, " \n") && !strchr(text, '\n'));
	found = found || (strcmp(key, NEW_KEY) == 0 && strcmp(text, "{}") == 0);
}

static ssize_t written(int fd, const void *data, size_t n, off_t at)
{
	return pwrite(fd, data, n, at);
}

static int synced(int fd)
{
	return fd < 0 ? -1 : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct journal_io io = { written, synced };
	char dir[] = "/dev/shm/gantry-fuzz.XXXXXX", first[64], second[64];
	struct journal_entry e = { .key = NEW_KEY, .text = "{}" };
	struct journal *j = NULL;
	struct err err = ERR_INIT;

	if (!mkdtemp(dir))
		abort();
	(void)snprintf(first, sizeof(first), "%s/journal.0", dir);
	(void)snprintf(second, sizeof(second), "%s/journal.1", dir);
	int fd = open(first, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	(void)close(fd);
	if (journal_open(dir, 1024, &io, each, NULL, &j, &err) == 0) {
		int rc = journal_write(j, &e, 1, &err);

		assert(rc == 0 && e.rc == 0);
		journal_free(j);
		found = false;
		rc = journal_open(dir, 1024, &io, each, NULL, &j, &err);
		assert(rc == 0 && found);
		journal_free(j);
	}
	(void)unlink(first);
	(void)unlink(second);
	(void)rmdir(dir);
	return 0;
}
