/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Volumes as raw image files. A pool is a directory that the node's configuration lists; a volume is the file
 * NAME in it, its owner stands in NAME.owner beside it. The owner's file is written first and removed last, so
 * an image without one is never ours. Both are durable when a call returns.
 */
#ifndef STORAGE_FILE_FILE_H
#define STORAGE_FILE_FILE_H

#include "storage/storage.h"

#define FILE_POOLS_MAX 16

struct file_options {
	bool preallocate; /* fallocate the whole file; else it is sparse and room is checked, not taken */
};

/* Pools: absolute directories (at most NAME_LEN long) that exist. Copies them. Safe to call from several threads. */
int file_new(const char *const dirs[], int n_dirs, const struct file_options *options, struct volumes **ret,
	     struct err *err) WARN_UNUSED;
void file_free(struct volumes *v);
DEFINE_CLEANUP(struct volumes *, file_free);

#endif
