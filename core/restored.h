/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Instances restored from a backup (doc/design/006-bootstrap.adoc): their ownership records say nothing until their nodes have shown
 * where the guest runs and which replicas are current. Internal to core/.
 */
#ifndef CORE_RESTORED_H
#define CORE_RESTORED_H

#include "core/inside.h"

/* What the nodes' reports say of an unconfirmed instance: the current replicas, the owner first; 0 = not yet, and why in words. */
int restored_judge(const struct state *st, const struct instance *i, const char *ret_current[REPLICAS_MAX], char ret_why[160]);
/* Its replicas are down, and their nodes there: only when they meet can it be told who is current. */
bool restored_wants_disks(const struct state *st, const struct instance *i);
/* Confirms what can be confirmed; has former voters cleansed. */
void restored_tick(struct core *c);

#endif
