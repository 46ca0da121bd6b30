/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What Gantry asks of the network: which interfaces there are, an address that follows the master and telling the
 * neighbours of it, a bridge for guests. rtnetlink and packet sockets, no command. Calls take milliseconds and may block
 * so long. netif_real() acts in the network namespace of the calling thread and needs CAP_NET_ADMIN and CAP_NET_RAW.
 */
#ifndef IO_NETIF_H
#define IO_NETIF_H

#include <stdbool.h>

#include "common/err.h"
#include "schema/limits.h"

#define NETIF_NAME_LEN 15

struct netif_dev {
	char name[NETIF_NAME_LEN + 1];
	char master[NETIF_NAME_LEN + 1]; /* bridge or bond that it is a port of, "" = none */
	char mac[MAC_LEN + 1];           /* "" = none */
	unsigned index;
	int mtu_bytes;
	bool up;      /* administratively */
	bool carrier; /* and something is at the other end */
	bool bridge;
	bool ether;   /* speaks Ethernet: may be a bridge's port, knows ARP */
};

struct netif_addr {
	char dev[NETIF_NAME_LEN + 1];
	char address[ADDR_LEN + 1];
	int prefix;
};

struct netif_list {
	struct netif_dev *devs;
	int n_devs;
	struct netif_addr *addrs;
	int n_addrs;
};

struct netif_ops {
	/* Idempotent. prefix: 32 / 128 for an address of the cluster's. -ERR_EXISTS: dev has it with another prefix. */
	int (*addr_add)(const char *dev, const char *address, int prefix, struct err *err);
	int (*addr_del)(const char *dev, const char *address, int prefix, struct err *err);
	/* Gratuitous ARP (RFC 5227 3) or an unsolicited neighbour advertisement (RFC 4861 7.2.6), n times in a row. To
	 * space them call it again by a timer. No Ethernet (loopback, tunnels): nobody to tell, success. */
	int (*announce)(const char *dev, const char *address, int n, struct err *err);
	/* All interfaces and addresses at this moment. netif_list_done() frees what it gives. */
	int (*list)(struct netif_list *ret, struct err *err);
	/*
	 * A bridge that is up, with this port ("" = none); idempotent. The port's addresses and routes move to the bridge,
	 * so that the node stays reachable (a gap of milliseconds); on failure all is put back. Lasts until the next boot.
	 * -ERR_EXISTS: the name is taken by what is no bridge. -ERR_WRONG_STATE: the port belongs to another one.
	 */
	int (*bridge_make)(const char *bridge, const char *port, struct err *err);
};

const struct netif_ops *netif_real(void);

void netif_list_done(struct netif_list *l);
/* NULL = no such interface. */
const struct netif_dev *netif_list_dev(const struct netif_list *l, const char *name);
/* Which interface carries this address (however it is written)? NULL = none. */
const struct netif_addr *netif_list_address(const struct netif_list *l, const char *address);

#endif
