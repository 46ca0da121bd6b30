/* SPDX-License-Identifier: Apache-2.0 */
/* What Gantry asks of the network: an address that follows the master, and telling the neighbours of it. rtnetlink and packets. */
#ifndef IO_NETIF_H
#define IO_NETIF_H

#include "common/err.h"

struct netif_ops {
	/* Idempotent. prefix: 32 / 128 for an address of the cluster's. */
	int (*addr_add)(const char *dev, const char *address, int prefix, struct err *err);
	int (*addr_del)(const char *dev, const char *address, int prefix, struct err *err);
	/* Gratuitous ARP (RFC 5227 3) or an unsolicited neighbour advertisement (RFC 4861 7.2.6), n times. */
	int (*announce)(const char *dev, const char *address, int n, struct err *err);
};

const struct netif_ops *netif_real(void);

#endif
