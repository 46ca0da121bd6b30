/* SPDX-License-Identifier: Apache-2.0 */
/* What every backend of the store refuses before it does anything, so that all of them refuse the same. Inside io/. */
#ifndef IO_STORE_CHECK_H
#define IO_STORE_CHECK_H

#include <stdbool.h>

#include "common/err.h"

struct store_cmp;
struct store_op;

/* etcd refuses requests of 1.5 MiB (and the gateway its frames of 2 MiB); the rest of that is room for framing. */
#define STORE_TXN_BYTES_MAX (1400 * 1024)

/*
 * Counts, sizes and keys of a transaction. -ERR_TOO_BIG, -ERR_BAD_REQUEST (an empty key; a key that is put twice, or put
 * and deleted, in one transaction: etcd has no order within a transaction and refuses it).
 */
int store_check_txn(const struct store_cmp *cmps, int n_cmps, const struct store_op *ops, int n_ops, struct err *err)
	WARN_UNUSED;
/* An exact read needs a key; a read of the empty prefix is a read of everything. */
int store_check_read(const char *key, bool exact, struct err *err) WARN_UNUSED;
bool store_has_prefix(const char *key, const char *prefix);

#endif
