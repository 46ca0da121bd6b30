/* SPDX-License-Identifier: Apache-2.0 */
#include "io/store_check.h"

#include <assert.h>
#include <string.h>

#include "io/store.h"

bool store_has_prefix(const char *key, const char *prefix)
{
	return strncmp(key, prefix, strlen(prefix)) == 0;
}

static int check_key(const char *key, struct err *err)
{
	assert(key);
	if (!key[0])
		return err_set(err, ERR_BAD_REQUEST, "a store key is empty");
	return 0;
}

static int check_value(const char *key, const char *value, size_t *bytes, struct err *err)
{
	assert(value);
	size_t n = strlen(value);

	if (n > STORE_VALUE_MAX)
		return err_set(err, ERR_TOO_BIG, "the value of '%s' has %zu bytes, the store takes %d", key, n, STORE_VALUE_MAX);
	*bytes += n;
	return 0;
}

static int check_size(size_t bytes, struct err *err)
{
	if (bytes > STORE_TXN_BYTES_MAX)
		return err_set(err, ERR_TOO_BIG, "a store transaction has %zu bytes, the store takes %d", bytes,
			       STORE_TXN_BYTES_MAX);
	return 0;
}

static bool clash(const struct store_op *put, const struct store_op *other)
{
	if (other->kind == STORE_DELETE_PREFIX)
		return store_has_prefix(put->key, other->key);
	return strcmp(put->key, other->key) == 0;
}

static int check_clashes(const struct store_op *ops, int n_ops, struct err *err)
{
	for (int i = 0; i < n_ops; i++) {
		if (ops[i].kind != STORE_PUT)
			continue;
		for (int k = 0; k < n_ops; k++)
			if (k != i && clash(&ops[i], &ops[k]))
				return err_set(err, ERR_BAD_REQUEST, "a store transaction changes '%s' twice", ops[i].key);
	}
	return 0;
}

static int check_cmps(const struct store_cmp *cmps, int n_cmps, size_t *bytes, struct err *err)
{
	for (int i = 0; i < n_cmps; i++) {
		int rc = check_key(cmps[i].key, err);

		if (rc == 0 && cmps[i].kind == STORE_CMP_VALUE)
			rc = check_value(cmps[i].key, cmps[i].value, bytes, err);
		if (rc < 0)
			return rc;
		*bytes += strlen(cmps[i].key);
	}
	return 0;
}

static int check_ops(const struct store_op *ops, int n_ops, size_t *bytes, struct err *err)
{
	for (int i = 0; i < n_ops; i++) {
		int rc = check_key(ops[i].key, err);

		if (rc == 0 && ops[i].kind == STORE_PUT)
			rc = check_value(ops[i].key, ops[i].value, bytes, err);
		if (rc < 0)
			return rc;
		*bytes += strlen(ops[i].key);
	}
	return 0;
}

int store_check_txn(const struct store_cmp *cmps, int n_cmps, const struct store_op *ops, int n_ops, struct err *err)
{
	size_t bytes = 0;

	assert(n_cmps >= 0 && n_ops >= 0);
	if (n_cmps > STORE_OPS_MAX || n_ops > STORE_OPS_MAX)
		return err_set(err, ERR_TOO_BIG, "a store transaction has %d comparisons and %d operations, the limit is %d each",
			       n_cmps, n_ops, STORE_OPS_MAX);
	int rc = check_cmps(cmps, n_cmps, &bytes, err);
	if (rc == 0)
		rc = check_ops(ops, n_ops, &bytes, err);
	if (rc == 0)
		rc = check_size(bytes, err);
	if (rc == 0)
		rc = check_clashes(ops, n_ops, err);
	return rc;
}

int store_check_read(const char *key, bool exact, struct err *err)
{
	assert(key);
	return exact ? check_key(key, err) : 0;
}
