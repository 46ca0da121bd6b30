/* SPDX-License-Identifier: Apache-2.0 */
/* Batches of writes and the outputs that wait for them (output commit; see core.h). Internal to core/. */
#ifndef CORE_OUTBOX_H
#define CORE_OUTBOX_H

#include "core/core.h"

struct outbox;

struct outbox *outbox_new(int64_t seq, core_emit *emit, void *arg);
void outbox_free(struct outbox *o);

/* One event's writes are a unit: they are committed together. Takes value (NULL = delete). */
void outbox_put(struct outbox *o, const char *key, char *value);
/* Takes this event's own writes below a key that ends in '/' back. */
void outbox_unput(struct outbox *o, const char *prefix);
int64_t outbox_unit(const struct outbox *o); /* number of the running unit, from 1 */
/* Asks for a commit although nothing changes: what is said in this event rests on being master still (H2, H10). */
void outbox_touch(struct outbox *o);
/* Takes what the action owns: reply (heap), text (heap). */
void outbox_reply(struct outbox *o, enum core_action_kind kind, uint64_t client, struct msg_reply *reply);
/* The same at once, past everything that waits: for answers that say themselves that they are stale. */
void outbox_reply_now(struct outbox *o, uint64_t client, struct msg_reply *reply);
void outbox_send(struct outbox *o, const char *node, char *text);
void outbox_store_step(struct outbox *o, int64_t job, int index, enum step_kind kind, enum step_dir dir, const struct step_member *m);
void outbox_hand_over(struct outbox *o, const char *node);
void outbox_log(struct outbox *o, char *text);
/* At the end of each event: closes the unit, starts a commit if none is under way, lets out what may go. */
void outbox_flush(struct outbox *o);
/* Batch seq is committed. */
void outbox_committed(struct outbox *o, int64_t seq);
void outbox_step_down(struct outbox *o);
int64_t outbox_last_seq(const struct outbox *o); /* rises with every batch of changes */
bool outbox_idle(const struct outbox *o); /* nothing waits */

#endif
