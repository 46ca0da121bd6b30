/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making a bridge of an interface that the node itself lives on. The kernel ignores the addresses of a bridge's port,
 * so they and their routes are copied as the messages that describe them, taken off the port and put on the bridge.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/xmem.h"
#include "io/netif.h"
#include "io/netif_inside.h"
#include "io/netif_rtnl.h"

#define SAVED_MAX 512

struct saved {
	unsigned index; /* whose */
	struct nlmsghdr *addrs[SAVED_MAX], *routes[SAVED_MAX];
	int n_addrs, n_routes;
	bool multipath, overflow;
};

/* ---- what the port has ----------------------------------------------------------------------------------------- */

static void forget(struct nlmsghdr **m, int *n)
{
	while (*n > 0)
		free(m[--*n]);
}

static void forget_addrs(void *arg)
{
	struct saved *s = arg;

	forget(s->addrs, &s->n_addrs);
}

static void forget_routes(void *arg)
{
	struct saved *s = arg;

	forget(s->routes, &s->n_routes);
}

static void saved_free(struct saved *s)
{
	forget_addrs(s);
	forget_routes(s);
	free(s);
}
DEFINE_CLEANUP(struct saved *, saved_free);

static void keep(struct saved *s, struct nlmsghdr **where, int *n, const struct nlmsghdr *m)
{
	if (*n == SAVED_MAX) {
		s->overflow = true;
		return;
	}
	where[*n] = xcalloc(1, m->nlmsg_len);
	memcpy(where[(*n)++], m, m->nlmsg_len);
}

/* All but the link-local addresses of IPv6: each interface makes its own. */
static int on_addr(const struct nlmsghdr *m, void *arg)
{
	struct saved *s = arg;
	const struct ifaddrmsg *head = mnl_nlmsg_get_payload(m);

	if (head->ifa_index != s->index || (head->ifa_family == AF_INET6 && head->ifa_scope == RT_SCOPE_LINK))
		return MNL_CB_OK;
	keep(s, s->addrs, &s->n_addrs, m);
	return MNL_CB_OK;
}

static bool through(const struct nlmsghdr *m, unsigned index, bool *ret_multipath)
{
	const struct nlattr *a;
	bool ret = false;

	rtnl_each(a, m, sizeof(struct rtmsg)) {
		if (mnl_attr_get_type(a) == RTA_OIF && mnl_attr_get_u32(a) == index)
			ret = true;
		if (mnl_attr_get_type(a) != RTA_MULTIPATH)
			continue;
		const struct rtnexthop *h = mnl_attr_get_payload(a);
		size_t left = mnl_attr_get_payload_len(a);
		while (left >= sizeof(*h) && h->rtnh_len >= sizeof(*h) && h->rtnh_len <= left) {
			size_t step = RTNH_ALIGN((size_t)h->rtnh_len);

			if ((unsigned)h->rtnh_ifindex == index)
				*ret_multipath = true;
			left -= step < left ? step : left;
			h = (const struct rtnexthop *)(const void *)((const char *)h + step);
		}
	}
	return ret;
}

/* Routes that somebody set: the kernel makes those of the addresses itself. */
static int on_route(const struct nlmsghdr *m, void *arg)
{
	struct saved *s = arg;
	const struct rtmsg *head = mnl_nlmsg_get_payload(m);

	if (head->rtm_type != RTN_UNICAST || head->rtm_protocol == RTPROT_KERNEL || (head->rtm_flags & RTM_F_CLONED))
		return MNL_CB_OK;
	if (through(m, s->index, &s->multipath))
		keep(s, s->routes, &s->n_routes, m);
	return MNL_CB_OK;
}

static int look(struct rtnl *r, const char *port, struct saved *s, struct err *err)
{
	int e = rtnl_dump(r, RTM_GETADDR, AF_UNSPEC, on_addr, forget_addrs, s);

	if (e == 0)
		e = rtnl_dump(r, RTM_GETROUTE, AF_UNSPEC, on_route, forget_routes, s);
	if (e != 0)
		return netif_fail(err, e, "cannot list addresses and routes");
	if (s->multipath || s->overflow) {
		(void)err_set(err, ERR_NOT_SUPPORTED, "interface '%s' has %s", port,
			      s->multipath ? "routes over several interfaces" : "too many addresses or routes");
		return err_hint(err, "configure the bridge by hand, then name it with 'gnt node prepare --bridge'");
	}
	return 0;
}

/* ---- moving it ------------------------------------------------------------------------------------------------- */

static bool addr_attr_moves(unsigned type)
{
	return type == IFA_ADDRESS || type == IFA_LOCAL || type == IFA_BROADCAST || type == IFA_CACHEINFO ||
	       type == IFA_RT_PRIORITY;
}

static bool route_attr_moves(unsigned type)
{
	return type == RTA_DST || type == RTA_GATEWAY || type == RTA_PRIORITY || type == RTA_PREFSRC ||
	       type == RTA_METRICS || type == RTA_TABLE || type == RTA_VIA || type == RTA_PREF;
}

static int put_addr(struct rtnl *r, const struct nlmsghdr *was, unsigned index, bool add)
{
	char room[RTNL_BYTES];
	const struct ifaddrmsg *head = mnl_nlmsg_get_payload(was);
	struct nlmsghdr *m = rtnl_message(room, add ? RTM_NEWADDR : RTM_DELADDR, add ? NLM_F_CREATE | NLM_F_REPLACE : 0);
	struct ifaddrmsg *to = mnl_nlmsg_put_extra_header(m, sizeof(*to));
	const struct nlattr *a;
	uint32_t flags = 0;

	*to = *head;
	to->ifa_index = index;
	rtnl_each(a, was, sizeof(*head)) {
		if (mnl_attr_get_type(a) == IFA_FLAGS)
			flags = mnl_attr_get_u32(a) & (IFA_F_NOPREFIXROUTE | IFA_F_MANAGETEMPADDR | IFA_F_HOMEADDRESS);
		else if (addr_attr_moves(mnl_attr_get_type(a)) && m->nlmsg_len + a->nla_len + 64u < RTNL_BYTES)
			mnl_attr_put(m, mnl_attr_get_type(a), mnl_attr_get_payload_len(a), mnl_attr_get_payload(a));
	}
	to->ifa_flags = 0;
	mnl_attr_put_u32(m, IFA_FLAGS, flags | (head->ifa_family == AF_INET6 ? IFA_F_NODAD : 0)); /* it was checked before */
	return rtnl_do(r, m);
}

static int put_route(struct rtnl *r, const struct nlmsghdr *was, unsigned index, bool add)
{
	char room[RTNL_BYTES];
	const struct rtmsg *head = mnl_nlmsg_get_payload(was);
	struct nlmsghdr *m = rtnl_message(room, add ? RTM_NEWROUTE : RTM_DELROUTE, add ? NLM_F_CREATE | NLM_F_REPLACE : 0);
	struct rtmsg *to = mnl_nlmsg_put_extra_header(m, sizeof(*to));
	const struct nlattr *a;

	*to = *head;
	to->rtm_flags &= RTNH_F_ONLINK;
	rtnl_each(a, was, sizeof(*head))
		if (route_attr_moves(mnl_attr_get_type(a)) && m->nlmsg_len + a->nla_len + 64u < RTNL_BYTES)
			mnl_attr_put(m, mnl_attr_get_type(a), mnl_attr_get_payload_len(a), mnl_attr_get_payload(a));
	mnl_attr_put_u32(m, RTA_OIF, index);
	return rtnl_do(r, m);
}

static bool has_gateway(const struct nlmsghdr *m)
{
	const struct nlattr *a;

	rtnl_each(a, m, sizeof(struct rtmsg))
		if (mnl_attr_get_type(a) == RTA_GATEWAY || mnl_attr_get_type(a) == RTA_VIA)
			return true;
	return false;
}

/* Takes all off an interface. What is not there is what we want. */
static void take_off(struct rtnl *r, const struct saved *s, unsigned index)
{
	for (int i = 0; i < s->n_routes; i++)
		(void)put_route(r, s->routes[i], index, false);
	for (int i = 0; i < s->n_addrs; i++)
		(void)put_addr(r, s->addrs[i], index, false);
}

/* Addresses, then the routes to what is on the wire, then those through gateways there. 0 or errno of the first failure. */
static int put_on(struct rtnl *r, const struct saved *s, unsigned index)
{
	int e = 0;

	for (int i = 0; i < s->n_addrs; i++) {
		int x = put_addr(r, s->addrs[i], index, true);

		e = e ? e : x;
	}
	for (int pass = 0; pass < 2; pass++)
		for (int i = 0; i < s->n_routes; i++) {
			int x = has_gateway(s->routes[i]) == (pass == 1) ? put_route(r, s->routes[i], index, true) : 0;

			e = e ? e : x;
		}
	return e;
}

/* ---- the bridge ------------------------------------------------------------------------------------------------ */

static int create(struct rtnl *r, const char *bridge, const char *mac_text)
{
	char room[RTNL_BYTES];
	uint8_t mac[6];
	struct nlmsghdr *m = rtnl_message(room, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
	struct ifinfomsg *head = mnl_nlmsg_put_extra_header(m, sizeof(*head));

	head->ifi_family = AF_UNSPEC;
	mnl_attr_put_strz(m, IFLA_IFNAME, bridge);
	/* The port's hardware address, for good: neighbours and DHCP go on as before, and no guest's tap changes it. */
	if (sscanf(mac_text, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &mac[0], &mac[1], &mac[2], &mac[3], &mac[4], &mac[5]) == 6)
		mnl_attr_put(m, IFLA_ADDRESS, sizeof(mac), mac);
	struct nlattr *info = mnl_attr_nest_start(m, IFLA_LINKINFO);
	mnl_attr_put_strz(m, IFLA_INFO_KIND, "bridge");
	struct nlattr *data = mnl_attr_nest_start(m, IFLA_INFO_DATA);
	mnl_attr_put_u32(m, IFLA_BR_STP_STATE, 0);
	mnl_attr_put_u32(m, IFLA_BR_FORWARD_DELAY, 0); /* else a guest's first seconds, or ours, are silent */
	mnl_attr_nest_end(m, data);
	mnl_attr_nest_end(m, info);
	return rtnl_do(r, m);
}

static int set_up(struct rtnl *r, unsigned index)
{
	char room[RTNL_BYTES];
	struct nlmsghdr *m = rtnl_message(room, RTM_NEWLINK, 0);
	struct ifinfomsg *head = mnl_nlmsg_put_extra_header(m, sizeof(*head));

	head->ifi_index = (int)index;
	head->ifi_flags = head->ifi_change = IFF_UP;
	return rtnl_do(r, m);
}

static int set_master(struct rtnl *r, unsigned index, unsigned master)
{
	char room[RTNL_BYTES];
	struct nlmsghdr *m = rtnl_message(room, RTM_NEWLINK, 0);
	struct ifinfomsg *head = mnl_nlmsg_put_extra_header(m, sizeof(*head));

	head->ifi_index = (int)index;
	mnl_attr_put_u32(m, IFLA_MASTER, master);
	return rtnl_do(r, m);
}

static void destroy(struct rtnl *r, unsigned index)
{
	char room[RTNL_BYTES];
	struct nlmsghdr *m = rtnl_message(room, RTM_DELLINK, 0);
	struct ifinfomsg *head = mnl_nlmsg_put_extra_header(m, sizeof(*head));

	head->ifi_index = (int)index;
	(void)rtnl_do(r, m); /* part of an undo: the first error is the one to tell */
}

static bool good_name(const char *name)
{
	size_t n = strnlen(name, NETIF_NAME_LEN + 1);

	return n >= 1 && n <= NETIF_NAME_LEN && strcmp(name, ".") != 0 && strcmp(name, "..") != 0 &&
	       strcspn(name, "/: \t\n%") == n;
}

/* *ret_index = 0: still to be made. *ret_port: NULL when none is asked for, or it is in already. */
static int check(const struct netif_list *l, const char *bridge, const char *port, unsigned *ret_index,
		 const struct netif_dev **ret_port, struct err *err)
{
	const struct netif_dev *b = netif_list_dev(l, bridge), *p = *port ? netif_list_dev(l, port) : NULL;

	if (!good_name(bridge))
		return err_set(err, ERR_BAD_VALUE, "'%.60s' cannot be the name of a bridge", bridge);
	if (b && !b->bridge) {
		(void)err_set(err, ERR_EXISTS, "interface '%s' exists and is not a bridge", bridge);
		return err_hint(err, "choose another name for the bridge");
	}
	if (*port && !p)
		return err_set(err, ERR_NOT_FOUND, "there is no network interface '%.40s'", port);
	if (p && (!p->ether || p->bridge))
		return err_set(err, ERR_BAD_VALUE, "interface '%s' cannot be a port of a bridge", port);
	if (p && p->master[0] && strcmp(p->master, bridge) != 0)
		return err_set(err, ERR_WRONG_STATE, "interface '%s' is a port of '%s' already", port, p->master);
	*ret_index = b ? b->index : 0;
	*ret_port = p && !p->master[0] ? p : NULL;
	return 0;
}

/* Makes port one of the bridge's, with all that it carries; puts everything back when that fails. */
static int enslave(struct rtnl *r, const struct netif_dev *p, unsigned bridge, struct err *err)
{
	AUTO(saved_free) struct saved *s = xcalloc(1, sizeof(*s));
	char what[100];

	s->index = p->index;
	int rc = look(r, p->name, s, err);
	if (rc < 0)
		return rc;
	take_off(r, s, p->index);
	int e = set_master(r, p->index, bridge);
	if (e == 0)
		e = set_up(r, p->index);
	if (e == 0)
		e = put_on(r, s, bridge);
	if (e == 0)
		return 0;
	take_off(r, s, bridge);
	(void)set_master(r, p->index, 0);
	if (put_on(r, s, p->index) != 0)
		(void)snprintf(what, sizeof(what), "cannot make '%s' a port, nor put back its addresses", p->name);
	else
		(void)snprintf(what, sizeof(what), "cannot make '%s' a port of the bridge", p->name);
	return netif_fail(err, e, what);
}

static int make(struct rtnl *r, const char *bridge, unsigned index, const struct netif_dev *p, struct err *err)
{
	bool made = index == 0;
	char what[80];
	int e = 0, rc = 0;

	(void)snprintf(what, sizeof(what), "cannot make bridge '%s'", bridge);
	if (made) {
		e = create(r, bridge, p ? p->mac : "");
		index = e == 0 ? if_nametoindex(bridge) : 0;
	}
	if (e == 0 && index == 0)
		e = ENODEV;
	if (e != 0)
		return netif_fail(err, e, what);
	e = set_up(r, index);
	if (e != 0)
		rc = netif_fail(err, e, what);
	if (rc == 0 && p)
		rc = enslave(r, p, index, err);
	if (rc < 0 && made)
		destroy(r, index);
	return rc;
}

int netif_bridge_make(const char *bridge, const char *port, struct err *err)
{
	AUTO_RTNL struct rtnl r = { .nl = NULL };
	const struct netif_dev *p = NULL;
	struct netif_list l = { .n_devs = 0 };
	unsigned index = 0;

	int rc = netif_real()->list(&l, err);
	if (rc < 0)
		return rc;
	rc = check(&l, bridge, port, &index, &p, err);
	if (rc == 0)
		rc = rtnl_open(&r, err);
	if (rc == 0)
		rc = make(&r, bridge, index, p, err);
	netif_list_done(&l);
	return rc;
}
