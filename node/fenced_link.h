/* SPDX-License-Identifier: Apache-2.0 */
/* The connection to gantry-fenced: fixed messages of fenced/wire.h over a SEQPACKET socket. On the loop's thread. */
#ifndef NODE_FENCED_LINK_H
#define NODE_FENCED_LINK_H

#include <stdbool.h>

struct fenced_link;
struct fenced_msg;
struct loop;

struct fenced_link_cb {
	void (*heard)(void *arg, const struct fenced_msg *m);
	void (*gone)(void *arg); /* fenced has ended or hangs: the link is to be closed */
};

/* NULL = nobody listens there. */
struct fenced_link *fenced_link_dial(struct loop *l, const char *path, const struct fenced_link_cb *cb, void *arg);
/* False: it does not take it; the link is to be closed. */
bool fenced_link_say(struct fenced_link *k, const struct fenced_msg *m);
void fenced_link_close(struct fenced_link *k); /* NULL is fine */

#endif
