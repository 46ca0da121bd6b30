/* SPDX-License-Identifier: Apache-2.0 */
/* The sweeps' model of a node: what orders do to volumes, DRBD and guests. Written apart from node/ and storage/. */
#ifndef TESTS_SWEEP_MODEL_H
#define TESTS_SWEEP_MODEL_H

#include "tests/sweep/world.h"

typedef void model_send(struct world *w, int node, bool to_node, const char *text);

void model_node_message(struct world *w, int node, const char *text, model_send *send);
void model_master_message(struct world *w, int node, const char *text);
void model_observe(struct world *w, int node, model_send *send);
void model_store_step(struct world *w, const struct core_action *a);
/* Node-side worst case: a guarded node falls only when nothing could have fed its watchdog any longer. */
void model_watchdogs(struct world *w);
void model_power_loss(struct w_node *n);
void model_free(struct w_node *n);

#endif
