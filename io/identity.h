/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A node's identity on its disk: etc/gantry/ca.pem, node.pem, node.key. Replaced as a pair, so that a crash at any moment leaves one that
 * can be used; read again by every daemon when it changes, so that nobody is told.
 */
#ifndef IO_IDENTITY_H
#define IO_IDENTITY_H

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"

struct conf;
struct link_tls;

struct identity {
	struct link_tls *tls;   /* for links; NULL = none loaded. Those that are open keep the one that they were made with */
	int64_t expires_s;      /* wall clock: end of the certificate */
	int64_t due_s;          /* when to ask for the next: two thirds of its life are over */
	int64_t mtime_ns;       /* of the file that was loaded, or that could not be */
	uint64_t inode;
};

/* Writes all three, durably. On any failure, and after a crash at any moment, identity_load() finds the old ones or the new ones. */
int identity_write(const struct conf *c, const char *ca, const char *cert, const char *key, struct err *err) WARN_UNUSED;
/* Loads; what was loaded before is replaced on success and kept on failure. */
int identity_load(const struct conf *c, struct identity *id, struct err *err) WARN_UNUSED;
/* Is there another certificate than the one that identity_load() last saw? */
bool identity_changed(const struct conf *c, const struct identity *id);
void identity_done(struct identity *id);

#endif
