/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small records by key that must survive a power cut, written often: a log in files whose blocks the disk has given long ago, so that one
 * write and one fdatasync make any number of records durable, and a full disk takes nothing from it. Calls block: on a worker, or at start.
 * See doc/design/014-node-journal.adoc.
 */
#ifndef IO_JOURNAL_H
#define IO_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "common/cleanup.h"
#include "common/err.h"

struct journal;

struct journal_entry {
	const char *key;  /* no blanks, no line ends */
	const char *text; /* one line; NULL = the record goes */
	bool begins;      /* must leave the room that what has begun needs to end */
	int rc;           /* set: 0, or -ERR_NO_SPACE: this one was refused */
};

/* What a test puts in place of the system's calls; NULL = those. */
struct journal_io {
	ssize_t (*write_at)(int fd, const void *data, size_t n, off_t at);
	int (*sync)(int fd);
};

/*
 * Opens dir/journal.0 and .1, makes them when absent (dir must exist). each() is called for every record that is in it. -ERR_IO and
 * others when what is there cannot be read. No room to make them is no error yet: every write tries again.
 */
int journal_open(const char *dir, size_t bytes, const struct journal_io *io, void (*each)(void *arg, const char *key, const char *text),
		 void *arg, struct journal **ret, struct err *err) WARN_UNUSED;
void journal_free(struct journal *j);
DEFINE_CLEANUP(struct journal *, journal_free);

/*
 * Writes all entries, in order. Those with rc = 0 are durable afterwards if 0 is returned; when not, none can be counted on. When one was
 * refused err says why, and 0 is returned nevertheless. Records that go are not made durable: one may come back after a power cut.
 */
int journal_write(struct journal *j, struct journal_entry *entries, size_t n, struct err *err) WARN_UNUSED;

#endif
