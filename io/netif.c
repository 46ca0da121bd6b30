/* SPDX-License-Identifier: Apache-2.0 */
#include "io/netif.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/xmem.h"
#include "io/netif_frame.h"
#include "io/netif_inside.h"
#include "io/netif_rtnl.h"

int netif_parse(const char *address, int *ret_family, uint8_t bytes[16], struct err *err)
{
	*ret_family = strchr(address, ':') ? AF_INET6 : AF_INET;
	if (inet_pton(*ret_family, address, bytes) != 1)
		return err_set(err, ERR_BAD_VALUE, "'%.60s' is not an IP address", address);
	return 0;
}

int netif_fail(struct err *err, int saved_errno, const char *what)
{
	errno = saved_errno;
	if (saved_errno == EPERM || saved_errno == EACCES)
		return err_errno(err, ERR_PERMISSION, "%s", what);
	return err_errno(err, ERR_IO, "%s", what);
}

/* ---- the list -------------------------------------------------------------------------------------------------- */

/* Masters come as indexes, perhaps of interfaces not seen yet. */
struct gather {
	struct netif_list *list;
	unsigned *masters; /* of each device, 0 = none */
};

static void forget_devs(void *arg)
{
	struct gather *g = arg;

	free(g->list->devs);
	free(g->masters);
	g->list->devs = NULL;
	g->masters = NULL;
	g->list->n_devs = 0;
}

static void forget_addrs(void *arg)
{
	struct gather *g = arg;

	free(g->list->addrs);
	g->list->addrs = NULL;
	g->list->n_addrs = 0;
}

static void take_name(char out[NETIF_NAME_LEN + 1], const struct nlattr *a)
{
	size_t n = strnlen(mnl_attr_get_str(a), mnl_attr_get_payload_len(a));

	if (n > NETIF_NAME_LEN)
		n = NETIF_NAME_LEN;
	memcpy(out, mnl_attr_get_str(a), n);
	out[n] = '\0';
}

static bool is_kind(const struct nlattr *info, const char *kind)
{
	const struct nlattr *a;

	rtnl_each_nested(a, info)
		if (mnl_attr_get_type(a) == IFLA_INFO_KIND) {
			size_t n = strnlen(mnl_attr_get_str(a), mnl_attr_get_payload_len(a));

			return n == strlen(kind) && memcmp(mnl_attr_get_str(a), kind, n) == 0;
		}
	return false;
}

/* 0 when it is no number of that size. */
static uint32_t number_of(const struct nlattr *a)
{
	return mnl_attr_get_payload_len(a) == sizeof(uint32_t) ? mnl_attr_get_u32(a) : 0;
}

static void take_mac(char out[MAC_LEN + 1], const struct nlattr *a)
{
	const uint8_t *m = mnl_attr_get_payload(a);

	if (mnl_attr_get_payload_len(a) == 6)
		(void)snprintf(out, MAC_LEN + 1, "%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5]);
}

static int on_dev(const struct nlmsghdr *m, void *arg)
{
	struct gather *g = arg;
	const struct ifinfomsg *head = mnl_nlmsg_get_payload(m);
	const struct nlattr *a;
	struct netif_dev d = { .mac = "" };
	unsigned master = 0;

	if (mnl_nlmsg_get_payload_len(m) < sizeof(*head))
		return MNL_CB_OK;
	d.index = (unsigned)head->ifi_index;
	d.up = (head->ifi_flags & IFF_UP) != 0;
	d.carrier = d.up && (head->ifi_flags & IFF_RUNNING);
	d.ether = head->ifi_type == ARPHRD_ETHER;
	rtnl_each(a, m, sizeof(*head)) {
		switch (mnl_attr_get_type(a)) {
		case IFLA_IFNAME: take_name(d.name, a); break;
		case IFLA_MTU: d.mtu_bytes = (int)number_of(a); break;
		case IFLA_MASTER: master = number_of(a); break;
		case IFLA_ADDRESS: take_mac(d.mac, a); break;
		case IFLA_LINKINFO: d.bridge = is_kind(a, "bridge"); break;
		default: break;
		}
	}
	size_t n = (size_t)g->list->n_devs++;
	g->list->devs = xrealloc(g->list->devs, (n + 1) * sizeof(d));
	g->masters = xrealloc(g->masters, (n + 1) * sizeof(*g->masters));
	g->list->devs[n] = d;
	g->masters[n] = master;
	return MNL_CB_OK;
}

static const struct netif_dev *by_index(const struct netif_list *l, unsigned index)
{
	for (int i = 0; i < l->n_devs; i++)
		if (l->devs[i].index == index)
			return &l->devs[i];
	return NULL;
}

static void resolve_masters(struct gather *g)
{
	for (int i = 0; i < g->list->n_devs; i++) {
		const struct netif_dev *m = g->masters[i] ? by_index(g->list, g->masters[i]) : NULL;

		if (m)
			memcpy(g->list->devs[i].master, m->name, sizeof(m->name));
	}
}

static int on_addr(const struct nlmsghdr *m, void *arg)
{
	struct gather *g = arg;
	const struct ifaddrmsg *head = mnl_nlmsg_get_payload(m);
	struct netif_addr x = { .address = "" };
	const void *local = NULL, *address = NULL;
	const struct nlattr *a;

	if (mnl_nlmsg_get_payload_len(m) < sizeof(*head))
		return MNL_CB_OK;
	const struct netif_dev *dev = by_index(g->list, head->ifa_index);
	size_t want = head->ifa_family == AF_INET ? 4 : 16;
	x.prefix = head->ifa_prefixlen;
	if ((head->ifa_family != AF_INET && head->ifa_family != AF_INET6) || !dev)
		return MNL_CB_OK; /* an interface that came after we looked */
	rtnl_each(a, m, sizeof(*head)) {
		if (mnl_attr_get_payload_len(a) != want)
			continue;
		if (mnl_attr_get_type(a) == IFA_LOCAL)
			local = mnl_attr_get_payload(a);
		if (mnl_attr_get_type(a) == IFA_ADDRESS)
			address = mnl_attr_get_payload(a);
	}
	/* On point-to-point interfaces the address is the other side's, and the local one ours. */
	const void *ours = local ? local : address;
	if (!ours || !inet_ntop(head->ifa_family, ours, x.address, sizeof(x.address)))
		return MNL_CB_OK;
	memcpy(x.dev, dev->name, sizeof(x.dev));
	size_t n = (size_t)g->list->n_addrs++;
	g->list->addrs = xrealloc(g->list->addrs, (n + 1) * sizeof(x));
	g->list->addrs[n] = x;
	return MNL_CB_OK;
}

static int list(struct netif_list *ret, struct err *err)
{
	AUTO_RTNL struct rtnl r = { .nl = NULL };
	struct netif_list l = { .devs = NULL };
	struct gather g = { .list = &l };

	int rc = rtnl_open(&r, err);
	if (rc < 0)
		return rc;
	int e = rtnl_dump(&r, RTM_GETLINK, AF_UNSPEC, on_dev, forget_devs, &g);
	if (e == 0) {
		resolve_masters(&g);
		e = rtnl_dump(&r, RTM_GETADDR, AF_UNSPEC, on_addr, forget_addrs, &g);
	}
	free(g.masters);
	if (e != 0) {
		netif_list_done(&l);
		return netif_fail(err, e, "cannot list the network interfaces");
	}
	*ret = l;
	return 0;
}

void netif_list_done(struct netif_list *l)
{
	free(l->devs);
	free(l->addrs);
	memset(l, 0, sizeof(*l));
}

const struct netif_dev *netif_list_dev(const struct netif_list *l, const char *name)
{
	for (int i = 0; i < l->n_devs; i++)
		if (strcmp(l->devs[i].name, name) == 0)
			return &l->devs[i];
	return NULL;
}

const struct netif_addr *netif_list_address(const struct netif_list *l, const char *address)
{
	uint8_t want[16], have[16];
	int family = 0, f = 0;

	if (netif_parse(address, &family, want, NULL) < 0)
		return NULL;
	for (int i = 0; i < l->n_addrs; i++)
		if (netif_parse(l->addrs[i].address, &f, have, NULL) == 0 && f == family &&
		    memcmp(want, have, f == AF_INET ? 4 : 16) == 0)
			return &l->addrs[i];
	return NULL;
}

/* ---- addresses ------------------------------------------------------------------------------------------------- */

/*
 * An IPv6 address of the cluster's: duplicate detection would keep it out of use for seconds (the log has decided whose
 * it is), and with a preferred life of 0 nobody here takes it for the source of his connections.
 */
static void put_cluster_v6(struct nlmsghdr *m)
{
	struct ifa_cacheinfo life = { .ifa_prefered = 0, .ifa_valid = UINT32_MAX };

	mnl_attr_put_u32(m, IFA_FLAGS, IFA_F_NODAD);
	mnl_attr_put(m, IFA_CACHEINFO, sizeof(life), &life);
}

static int change(const char *dev, const char *address, int prefix, bool add, int *ret_errno, struct err *err)
{
	AUTO_RTNL struct rtnl r = { .nl = NULL };
	char room[RTNL_BYTES];
	uint8_t bytes[16];
	int family = 0;

	int rc = netif_parse(address, &family, bytes, err);
	if (rc < 0)
		return rc;
	int width = family == AF_INET ? 32 : 128;
	if (prefix < 1 || prefix > width)
		return err_set(err, ERR_BAD_VALUE, "/%d is no prefix for '%s' (1 to %d)", prefix, address, width);
	unsigned index = if_nametoindex(dev);
	if (index == 0) {
		(void)err_set(err, ERR_NOT_FOUND, "there is no network interface '%.40s'", dev);
		return err_hint(err, "list them with 'ip link', then name the right one");
	}
	rc = rtnl_open(&r, err);
	if (rc < 0)
		return rc;
	struct nlmsghdr *m = rtnl_message(room, add ? RTM_NEWADDR : RTM_DELADDR, add ? NLM_F_CREATE | NLM_F_EXCL : 0);
	struct ifaddrmsg *head = mnl_nlmsg_put_extra_header(m, sizeof(*head));
	head->ifa_family = (unsigned char)family;
	head->ifa_prefixlen = (unsigned char)prefix;
	head->ifa_index = index;
	mnl_attr_put(m, IFA_LOCAL, (size_t)width / 8, bytes);
	mnl_attr_put(m, IFA_ADDRESS, (size_t)width / 8, bytes);
	if (add && family == AF_INET6)
		put_cluster_v6(m);
	*ret_errno = rtnl_do(&r, m);
	return 0;
}

/* The kernel says "exists" of IPv6 addresses whatever their prefix; deleting ours later would not find it. */
static int check_prefix(const char *dev, const char *address, int prefix, struct err *err)
{
	struct netif_list l = { .n_devs = 0 };

	int rc = list(&l, err);
	if (rc < 0)
		return rc;
	for (int i = 0; rc == 0 && i < l.n_addrs; i++) {
		const struct netif_list one = { .addrs = &l.addrs[i], .n_addrs = 1 };

		if (strcmp(l.addrs[i].dev, dev) != 0 || !netif_list_address(&one, address) || l.addrs[i].prefix == prefix)
			continue;
		rc = err_set(err, ERR_EXISTS, "interface '%s' has address '%s' already, with prefix /%d instead of /%d", dev,
			     address, l.addrs[i].prefix, prefix);
		(void)err_hint(err, "take it out of the node's own network configuration: the master brings it");
	}
	netif_list_done(&l);
	return rc;
}

static int addr_add(const char *dev, const char *address, int prefix, struct err *err)
{
	int e = 0, rc = change(dev, address, prefix, true, &e, err);
	char what[120];

	if (rc < 0 || e == 0)
		return rc;
	if (e == EEXIST)
		return check_prefix(dev, address, prefix, err);
	(void)snprintf(what, sizeof(what), "cannot set address '%s/%d' on '%s'", address, prefix, dev);
	return netif_fail(err, e, what);
}

static int addr_del(const char *dev, const char *address, int prefix, struct err *err)
{
	int e = 0, rc = change(dev, address, prefix, false, &e, err);
	char what[120];

	if (rc < 0)
		return rc == -ERR_NOT_FOUND ? 0 : rc; /* with the interface its addresses went */
	if (e == 0 || e == EADDRNOTAVAIL)
		return 0;
	(void)snprintf(what, sizeof(what), "cannot remove address '%s/%d' from '%s'", address, prefix, dev);
	return netif_fail(err, e, what);
}

/* ---- telling the neighbours ------------------------------------------------------------------------------------ */

static int send_frame(int fd, unsigned index, const uint8_t *frame, size_t len, const char *dev, struct err *err)
{
	struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_ifindex = (int)index, .sll_halen = 6 };
	char what[80];

	memcpy(to.sll_addr, frame, 6);
	if (sendto(fd, frame, len, 0, (const struct sockaddr *)&to, sizeof(to)) == (ssize_t)len)
		return 0;
	(void)snprintf(what, sizeof(what), "cannot send on '%s'", dev);
	return netif_fail(err, errno, what);
}

static int announce_on(const struct netif_dev *d, const uint8_t mac[6], int family, const uint8_t *ip, int n,
		       struct err *err)
{
	AUTO_FD int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	uint8_t arp[2][NETIF_ARP_BYTES], na[NETIF_NA_BYTES];
	int rc = 0;

	if (fd < 0)
		return netif_fail(err, errno, "cannot open a packet socket");
	for (int i = 0; rc == 0 && i < n; i++) {
		if (family == AF_INET6) {
			netif_frame_na(mac, ip, na);
			rc = send_frame(fd, d->index, na, sizeof(na), d->name, err);
			continue;
		}
		for (int reply = 0; rc == 0 && reply < 2; reply++) {
			netif_frame_arp(mac, ip, reply, arp[reply]);
			rc = send_frame(fd, d->index, arp[reply], sizeof(arp[reply]), d->name, err);
		}
	}
	return rc;
}

static int announce(const char *dev, const char *address, int n, struct err *err)
{
	struct netif_list l = { .n_devs = 0 };
	uint8_t ip[16], mac[6];
	int family = 0;

	int rc = netif_parse(address, &family, ip, err);
	if (rc == 0)
		rc = list(&l, err);
	if (rc < 0)
		return rc;
	const struct netif_dev *d = netif_list_dev(&l, dev);
	if (!d)
		rc = err_set(err, ERR_NOT_FOUND, "there is no network interface '%.40s'", dev);
	else if (d->ether && sscanf(d->mac, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &mac[0], &mac[1], &mac[2], &mac[3], &mac[4],
				    &mac[5]) == 6)
		rc = announce_on(d, mac, family, ip, n, err);
	netif_list_done(&l);
	return rc;
}

const struct netif_ops *netif_real(void)
{
	static const struct netif_ops ops = {
		.addr_add = addr_add, .addr_del = addr_del, .announce = announce, .list = list,
		.bridge_make = netif_bridge_make,
	};

	return &ops;
}
