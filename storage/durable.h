/* SPDX-License-Identifier: Apache-2.0 */
/* Small files that are whole or absent after a crash. */
#ifndef STORAGE_DURABLE_H
#define STORAGE_DURABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "common/buf.h"
#include "common/err.h"

/* Replaces dir/name by text: hidden temporary file, fsync, rename, fsync of the directory. */
int durable_write(const char *dir, const char *name, const char *text, size_t len, mode_t mode,
		  struct err *err) WARN_UNUSED;

/* Removes dir/name and makes that durable. Absent is success. */
int durable_remove(const char *dir, const char *name, struct err *err) WARN_UNUSED;

/* The whole of dir/name, at most max_bytes, appended to ret. *ret_present = false (and 0) when there is none. */
int durable_read(const char *dir, const char *name, size_t max_bytes, struct buf *ret, bool *ret_present,
		 struct err *err) WARN_UNUSED;

/* fsync of a directory: after it, names made or removed in it are durable. */
int durable_sync_dir(const char *dir, struct err *err) WARN_UNUSED;

#endif
