/* SPDX-License-Identifier: Apache-2.0 */
/* A conversation with the kernel's routing socket. Inside io/netif* only. */
#ifndef IO_NETIF_RTNL_H
#define IO_NETIF_RTNL_H

#include <net/if.h> /* before the kernel's headers, which then leave out what it has */
#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>

#include "common/err.h"

#define RTNL_BYTES 4096 /* of one message that we make */

struct rtnl {
	struct mnl_socket *nl;
	unsigned seq;
};

int rtnl_open(struct rtnl *r, struct err *err) WARN_UNUSED;
void rtnl_close(struct rtnl *r);
#define AUTO_RTNL __attribute__((cleanup(rtnl_close)))

/* As libmnl's mnl_attr_for_each() and its nested twin, which do not compile without warnings about narrowing. */
#define rtnl_each(a, m, head_bytes)                                                                        \
	for ((a) = mnl_nlmsg_get_payload_offset((m), (head_bytes));                                        \
	     mnl_attr_ok((a), (int)((const char *)mnl_nlmsg_get_payload_tail(m) - (const char *)(a)));     \
	     (a) = mnl_attr_next(a))
#define rtnl_each_nested(a, nest)                                                                          \
	for ((a) = mnl_attr_get_payload(nest);                                                             \
	     mnl_attr_ok((a), (int)((const char *)(nest) + (nest)->nla_len - (const char *)(a)));          \
	     (a) = mnl_attr_next(a))

/* The head of a message in room[RTNL_BYTES]; the caller adds what follows. */
struct nlmsghdr *rtnl_message(char *room, int type, int flags);
/* Sends it and waits for the verdict: 0 or a positive errno. */
int rtnl_do(struct rtnl *r, struct nlmsghdr *m);
/* Calls fn for each message of a dump; type RTM_GETx. Again from the start (reset) when it changed meanwhile. 0 or errno. */
int rtnl_dump(struct rtnl *r, int type, int family, mnl_cb_t fn, void (*reset)(void *arg), void *arg);

#endif
