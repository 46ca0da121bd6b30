/* SPDX-License-Identifier: Apache-2.0 */
/* A file that is the old one or the new one, whole, after a crash at any moment. Of storage/durable.h and io/files.h, which make their own errors of errno. */
#ifndef COMMON_REPLACE_H
#define COMMON_REPLACE_H

#include <stddef.h>
#include <sys/types.h>

/* Hidden temporary file in the same directory, fsync, rename. The directory is the caller's to sync. 0, or an errno, with nothing changed. */
int replace_file(const char *dir, const char *name, const char *text, size_t len, mode_t mode) __attribute__((warn_unused_result));

#endif
