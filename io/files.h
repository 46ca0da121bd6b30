/* SPDX-License-Identifier: Apache-2.0 */
/* Small text files that are whole or absent after a crash. Calls block (fsync): on worker threads, or at start and stop. */
#ifndef IO_FILES_H
#define IO_FILES_H

#include <stdbool.h>
#include <stddef.h>

#include "common/err.h"
#include "schema/limits.h"

/*
 * Reads all of path (also of /proc and /sys). Gives *ret_text, NUL-terminated; a NUL byte inside is -ERR_BAD_VALUE. -ERR_NOT_FOUND,
 * -ERR_PERMISSION, -ERR_TOO_BIG over max_bytes, -ERR_IO.
 */
int file_read_text(const char *path, size_t max_bytes, char **ret_text, struct err *err) WARN_UNUSED;
/* Replaces path by text: temporary file beside it, fsync, rename, fsync of the directory. mode whatever the umask. */
int file_write_durable(const char *path, const char *text, unsigned mode, struct err *err) WARN_UNUSED;
/* Makes path and what is missing above it (that with 0755). An existing directory keeps its mode: somebody chose it. */
int dir_make(const char *path, unsigned mode, struct err *err) WARN_UNUSED;
/* Renames within one directory, durably; replaces. */
int file_rename(const char *from, const char *to, struct err *err) WARN_UNUSED;
/* Removes a file, durably. Absent is success. */
int file_remove(const char *path, struct err *err) WARN_UNUSED;
bool file_exists(const char *path);
bool file_is_program(const char *path); /* it is there, and we may execute it */
/* Names in a directory but those that begin with a dot (a write that did not end leaves such); sorted. strs_clear() frees them. */
int dir_names(const char *path, char ***ret, int *ret_n, struct err *err) WARN_UNUSED;
/* The kernel's uuid of this boot: two that differ have a reboot between them. */
int boot_id_read(char out[UUID_LEN + 1], struct err *err) WARN_UNUSED;

#endif
