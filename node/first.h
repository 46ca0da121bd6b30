/* SPDX-License-Identifier: Apache-2.0 */
/* The first transactions of a store: a new cluster, or one restored from a backup. Block; loops of their own (worker threads). */
#ifndef NODE_FIRST_H
#define NODE_FIRST_H

#include "core/core.h"
#include "io/conf.h"

/*
 * Writes all puts to this node's own etcd member, waiting for it to come up; /gantry/genesis := uuid goes with the last transaction, and a
 * master loads nothing before it is there. Refused when the store holds another cluster.
 */
int first_write(const struct conf *conf, const char *uuid, const struct core_put *puts, int n_puts, struct err *err) WARN_UNUSED;
/* Everything below /gantry/ of this node's own member, waiting for it to come up; fn is called once. */
typedef int first_read_fn(void *arg, const struct core_kv *kvs, int n_kvs, struct err *err);
int first_read(const struct conf *conf, first_read_fn *fn, void *arg, struct err *err) WARN_UNUSED;
/* Does a majority behind any of these client URLs (NULL-terminated) answer a read? */
int first_majority_answers(const struct conf *conf, const char *const *urls, bool *ret, struct err *err) WARN_UNUSED;

#endif
