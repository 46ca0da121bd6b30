/* SPDX-License-Identifier: Apache-2.0 */
/* On the real kernel, in a network namespace of its own: a pair of virtual cables, nothing else. Needs root, or user namespaces. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/err.h"
#include "io/netif.h"
#include "io/netif_frame.h"
#include "io/netif_rtnl.h"

#include <linux/if_packet.h>
#include <linux/veth.h>
#include <net/ethernet.h>

/* ---- the rig: v0 (the node's) and v1 (the switch's end) -------------------------------------------------------- */

static int make_cable(struct rtnl *r)
{
	char room[RTNL_BYTES];
	struct nlmsghdr *m = rtnl_message(room, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);

	(void)mnl_nlmsg_put_extra_header(m, sizeof(struct ifinfomsg));
	mnl_attr_put_strz(m, IFLA_IFNAME, "v0");
	struct nlattr *info = mnl_attr_nest_start(m, IFLA_LINKINFO);
	mnl_attr_put_strz(m, IFLA_INFO_KIND, "veth");
	struct nlattr *data = mnl_attr_nest_start(m, IFLA_INFO_DATA);
	struct nlattr *peer = mnl_attr_nest_start(m, VETH_INFO_PEER);
	(void)mnl_nlmsg_put_extra_header(m, sizeof(struct ifinfomsg));
	mnl_attr_put_strz(m, IFLA_IFNAME, "v1");
	mnl_attr_nest_end(m, peer);
	mnl_attr_nest_end(m, data);
	mnl_attr_nest_end(m, info);
	return rtnl_do(r, m);
}

static int change_link(struct rtnl *r, const char *dev, bool up, bool delete)
{
	char room[RTNL_BYTES];
	struct nlmsghdr *m = rtnl_message(room, delete ? RTM_DELLINK : RTM_NEWLINK, 0);
	struct ifinfomsg *head = mnl_nlmsg_put_extra_header(m, sizeof(*head));

	head->ifi_index = (int)if_nametoindex(dev);
	head->ifi_change = delete ? 0 : IFF_UP;
	head->ifi_flags = up ? IFF_UP : 0;
	return head->ifi_index ? rtnl_do(r, m) : ENODEV;
}

static int add_route(struct rtnl *r, const char *to, int prefix, const char *gateway, const char *dev)
{
	char room[RTNL_BYTES];
	uint8_t bytes[16];
	int family = strchr(to, ':') ? AF_INET6 : AF_INET;
	size_t n = family == AF_INET ? 4 : 16;
	struct nlmsghdr *m = rtnl_message(room, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL);
	struct rtmsg *head = mnl_nlmsg_put_extra_header(m, sizeof(*head));

	head->rtm_family = (unsigned char)family;
	head->rtm_dst_len = (unsigned char)prefix;
	head->rtm_table = RT_TABLE_MAIN;
	head->rtm_protocol = RTPROT_STATIC;
	head->rtm_type = RTN_UNICAST;
	head->rtm_scope = gateway ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK;
	if (prefix) {
		assert_int_equal(inet_pton(family, to, bytes), 1);
		mnl_attr_put(m, RTA_DST, n, bytes);
	}
	if (gateway) {
		assert_int_equal(inet_pton(family, gateway, bytes), 1);
		mnl_attr_put(m, RTA_GATEWAY, n, bytes);
	}
	mnl_attr_put_u32(m, RTA_OIF, if_nametoindex(dev));
	mnl_attr_put_u32(m, RTA_PRIORITY, 77);
	return rtnl_do(r, m);
}

static int on_link(const struct nlmsghdr *m, void *arg)
{
	const struct ifinfomsg *head = mnl_nlmsg_get_payload(m);
	const struct nlattr *a;
	unsigned *index = arg;

	rtnl_each(a, m, sizeof(*head))
		if ((unsigned)head->ifi_index == *index && mnl_attr_get_type(a) == IFLA_OPERSTATE &&
		    mnl_attr_get_u8(a) == 6 /* IF_OPER_UP */)
			*index = 0;
	return MNL_CB_OK;
}

static void no_reset(void *arg)
{
	(void)arg;
}

/* The kernel works at a new cable only a moment after both ends are up (up to a second); till then what is sent is lost. */
static bool works(const char *dev)
{
	struct rtnl r;
	struct err err = ERR_INIT;
	unsigned index = 1;

	assert_int_equal(rtnl_open(&r, &err), 0);
	for (int i = 0; i < 300 && index != 0; i++) {
		index = if_nametoindex(dev);
		(void)rtnl_dump(&r, RTM_GETLINK, AF_UNSPEC, on_link, no_reset, &index);
		if (index != 0)
			(void)poll(NULL, 0, 10);
	}
	rtnl_close(&r);
	return index == 0;
}

static int set_up(void **state)
{
	struct rtnl r;
	struct err err = ERR_INIT;

	(void)state;
	if (rtnl_open(&r, &err) < 0 || make_cable(&r) != 0 || change_link(&r, "v0", true, false) != 0 ||
	    change_link(&r, "v1", true, false) != 0 || change_link(&r, "lo", true, false) != 0)
		return -1;
	rtnl_close(&r);
	return works("v0") && works("v1") ? 0 : -1;
}

static int tear_down(void **state)
{
	static const char *const devs[] = { "v0", "br0", "br1" };
	struct rtnl r;
	struct err err = ERR_INIT;

	(void)state;
	if (rtnl_open(&r, &err) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(devs); i++)
		(void)change_link(&r, devs[i], false, true);
	rtnl_close(&r);
	return 0;
}

static void look(struct netif_list *l)
{
	struct err err = ERR_INIT;

	if (netif_real()->list(l, &err) < 0)
		fail_msg("%s", err.msg);
}

/* Where an address is, with its prefix: "v0/24", "" = nowhere. */
static const char *where(const char *address)
{
	static char text[40];
	struct netif_list l;

	look(&l);
	const struct netif_addr *a = netif_list_address(&l, address);
	(void)snprintf(text, sizeof(text), "%s", "");
	if (a)
		(void)snprintf(text, sizeof(text), "%s/%d", a->dev, a->prefix);
	netif_list_done(&l);
	return text;
}

static void add(const char *dev, const char *address, int prefix)
{
	struct err err = ERR_INIT;

	if (netif_real()->addr_add(dev, address, prefix, &err) < 0)
		fail_msg("%s", err.msg);
}

/* ---- addresses ------------------------------------------------------------------------------------------------- */

static void interfaces_are_listed(void **state)
{
	struct netif_list l;

	(void)state;
	look(&l);
	const struct netif_dev *lo = netif_list_dev(&l, "lo"), *v0 = netif_list_dev(&l, "v0");
	assert_non_null(lo);
	assert_non_null(v0);
	assert_null(netif_list_dev(&l, "v9"));
	assert_true(lo->up && !lo->ether && !lo->bridge);
	assert_true(v0->up && v0->carrier && v0->ether && !v0->bridge);
	assert_int_equal(v0->mtu_bytes, 1500);
	assert_int_equal(strlen(v0->mac), MAC_LEN);
	assert_string_equal(v0->master, "");
	assert_int_equal(v0->index, if_nametoindex("v0"));
	assert_non_null(netif_list_address(&l, "127.0.0.1"));
	assert_string_equal(netif_list_address(&l, "127.0.0.1")->dev, "lo");
	assert_non_null(netif_list_address(&l, "0:0:0:0:0:0:0:1")); /* however it is written */
	assert_null(netif_list_address(&l, "10.9.0.1"));
	assert_null(netif_list_address(&l, "junk"));
	netif_list_done(&l);
	assert_int_equal(l.n_devs + l.n_addrs, 0);
}

static void an_address_is_set_and_removed_as_often_as_asked(void **state)
{
	static const struct {
		const char *address;
		int prefix;
		const char *at;
	} row[] = { { "10.9.0.7", 32, "v0/32" }, { "fd09::7", 128, "v0/128" }, { "10.9.1.7", 24, "v0/24" }, { "fd0a::7", 64, "v0/64" } };
	const struct netif_ops *net = netif_real();
	struct err err = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(row); i++) {
		assert_int_equal(net->addr_del("v0", row[i].address, row[i].prefix, &err), 0);
		add("v0", row[i].address, row[i].prefix);
		add("v0", row[i].address, row[i].prefix);
		assert_string_equal(where(row[i].address), row[i].at);
		assert_int_equal(net->addr_del("v0", row[i].address, row[i].prefix, &err), 0);
		assert_int_equal(net->addr_del("v0", row[i].address, row[i].prefix, &err), 0);
		assert_string_equal(where(row[i].address), "");
	}
	assert_int_equal(net->addr_del("v9", "10.9.0.7", 32, &err), 0); /* went with its interface */
}

/* At once: no duplicate detection that keeps it "tentative" (then bind() fails). */
static void an_ipv6_address_can_be_used_at_once(void **state)
{
	struct sockaddr_in6 at = { .sin6_family = AF_INET6 };

	(void)state;
	add("v0", "fd09::7", 128);
	assert_int_equal(inet_pton(AF_INET6, "fd09::7", &at.sin6_addr), 1);
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (const struct sockaddr *)&at, sizeof(at)), 0);
	(void)close(fd);
}

/* The source that the kernel would take to reach an address. */
static void source_for(const char *to, char out[ADDR_LEN + 1])
{
	struct sockaddr_in6 a = { .sin6_family = AF_INET6, .sin6_port = htons(9) }, me;
	socklen_t n = sizeof(me);
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_int_equal(inet_pton(AF_INET6, to, &a.sin6_addr), 1);
	assert_int_equal(connect(fd, (const struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&me, &n), 0);
	assert_non_null(inet_ntop(AF_INET6, &me.sin6_addr, out, ADDR_LEN + 1));
	(void)close(fd);
}

/* As anybody would set one, with the life that is usual. */
static void plain_v6(struct rtnl *r, const char *address, int prefix, bool present)
{
	char room[RTNL_BYTES];
	uint8_t bytes[16];
	struct nlmsghdr *m = rtnl_message(room, present ? RTM_NEWADDR : RTM_DELADDR, present ? NLM_F_CREATE | NLM_F_EXCL : 0);
	struct ifaddrmsg *head = mnl_nlmsg_put_extra_header(m, sizeof(*head));

	head->ifa_family = AF_INET6;
	head->ifa_prefixlen = (unsigned char)prefix;
	head->ifa_index = if_nametoindex("v0");
	assert_int_equal(inet_pton(AF_INET6, address, bytes), 1);
	mnl_attr_put(m, IFA_ADDRESS, 16, bytes);
	mnl_attr_put_u32(m, IFA_FLAGS, IFA_F_NODAD);
	assert_int_equal(rtnl_do(r, m), 0);
}

static void the_cluster_address_is_nobodys_source(void **state)
{
	char text[ADDR_LEN + 1];
	struct rtnl r;
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(rtnl_open(&r, &err), 0);
	plain_v6(&r, "fd09::1", 64, true);
	/* Of two equal ones the kernel takes that with more bits in common with the target: 8 rather than 1 for 9. */
	plain_v6(&r, "fd09::8", 128, true);
	source_for("fd09::9", text);
	assert_string_equal(text, "fd09::8");
	plain_v6(&r, "fd09::8", 128, false);
	add("v0", "fd09::8", 128);
	source_for("fd09::9", text);
	assert_string_equal(text, "fd09::1");
	rtnl_close(&r);
}

static void impossible_addresses_are_refused(void **state)
{
	const struct netif_ops *net = netif_real();
	static const struct {
		const char *dev, *address;
		int prefix, code;
	} row[] = {
		{ "v0", "10.9.0.300", 32, ERR_BAD_VALUE }, { "v0", "10.9.0.3", 33, ERR_BAD_VALUE },
		{ "v0", "10.9.0.3", 0, ERR_BAD_VALUE },    { "v0", "fd09::1", 129, ERR_BAD_VALUE },
		{ "v0", "", 32, ERR_BAD_VALUE },           { "v9", "10.9.0.3", 32, ERR_NOT_FOUND },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(row); i++) {
		struct err err = ERR_INIT;

		assert_int_equal(net->addr_add(row[i].dev, row[i].address, row[i].prefix, &err), -row[i].code);
		assert_true(err.msg[0] != '\0');
	}
}

static void an_address_with_another_prefix_is_not_ours(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	add("v0", "fd09::7", 64);
	assert_int_equal(netif_real()->addr_add("v0", "fd09::7", 128, &err), -ERR_EXISTS);
	assert_non_null(strstr(err.msg, "with prefix /64 instead of /128"));
	assert_string_equal(where("fd09::7"), "v0/64");
}

/* ---- announcements --------------------------------------------------------------------------------------------- */

static int listen_on(const char *dev)
{
	struct sockaddr_ll at = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL) };
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL));

	at.sll_ifindex = (int)if_nametoindex(dev);
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (const struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

/* Counts frames that are exactly this, for as long as some come. */
static int count_frames(int fd, const uint8_t *want, size_t len)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	uint8_t got[2048];
	int n = 0;

	while (poll(&p, 1, 100) == 1) {
		ssize_t size = recv(fd, got, sizeof(got), 0);

		n += size == (ssize_t)len && memcmp(got, want, len) == 0;
	}
	return n;
}

static void mac_of(const char *dev, uint8_t mac[6])
{
	struct netif_list l;

	look(&l);
	const struct netif_dev *d = netif_list_dev(&l, dev);
	assert_non_null(d);
	assert_int_equal(sscanf(d->mac, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &mac[0], &mac[1], &mac[2], &mac[3], &mac[4], &mac[5]), 6);
	netif_list_done(&l);
}

static void the_other_end_hears_the_announcements(void **state)
{
	static const uint8_t ip4[4] = { 10, 9, 0, 7 }, ip6[16] = { 0xfd, 0x09, [15] = 7 };
	uint8_t mac[6], frame[NETIF_NA_BYTES];
	struct err err = ERR_INIT;
	int fd = listen_on("v1");

	(void)state;
	mac_of("v0", mac);
	assert_int_equal(netif_real()->announce("v0", "10.9.0.7", 3, &err), 0);
	netif_frame_arp(mac, ip4, 0, frame);
	assert_int_equal(count_frames(fd, frame, NETIF_ARP_BYTES), 3);
	assert_int_equal(netif_real()->announce("v0", "10.9.0.7", 2, &err), 0);
	netif_frame_arp(mac, ip4, 1, frame);
	assert_int_equal(count_frames(fd, frame, NETIF_ARP_BYTES), 2);
	assert_int_equal(netif_real()->announce("v0", "fd09::7", 2, &err), 0);
	netif_frame_na(mac, ip6, frame);
	assert_int_equal(count_frames(fd, frame, NETIF_NA_BYTES), 2);
	assert_int_equal(netif_real()->announce("lo", "10.9.0.7", 2, &err), 0);
	assert_int_equal(netif_real()->announce("v9", "10.9.0.7", 2, &err), -ERR_NOT_FOUND);
	assert_int_equal(netif_real()->announce("v0", "x", 2, &err), -ERR_BAD_VALUE);
	(void)close(fd);
}

/* The kernel itself as the neighbour: it changes its table by what we sent. */
static bool neighbour_is(const char *address, const char *mac)
{
	char line[300];
	bool ret = false;
	FILE *f = fopen("/proc/net/arp", "re");

	while (f && fgets(line, sizeof(line), f))
		ret |= strncmp(line, address, strlen(address)) == 0 && strstr(line, mac);
	if (f)
		(void)fclose(f);
	return ret;
}

static void set_proc(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd >= 0) {
		(void)!write(fd, value, strlen(value));
		(void)close(fd);
	}
}

static void a_linux_neighbour_believes_the_announcement(void **state)
{
	struct netif_list l;
	struct err err = ERR_INIT;
	char mac[MAC_LEN + 1];

	(void)state;
	set_proc("/proc/sys/net/ipv4/conf/v1/arp_accept", "1"); /* entries of who was not asked for, too */
	look(&l);
	(void)snprintf(mac, sizeof(mac), "%s", netif_list_dev(&l, "v0")->mac);
	netif_list_done(&l);
	add("v1", "10.9.0.1", 24);
	assert_int_equal(netif_real()->announce("v0", "10.9.0.7", 1, &err), 0);
	for (int i = 0; i < 50 && !neighbour_is("10.9.0.7", mac); i++)
		(void)poll(NULL, 0, 10);
	assert_true(neighbour_is("10.9.0.7", mac));
}

static void an_advertisement_has_a_right_checksum(void **state)
{
	static const uint8_t mac[6] = { 2, 0, 0, 0, 0, 0x55 }, ip[16] = { 0xfd, 0x09, [14] = 0xff, [15] = 0xfe };
	uint8_t f[NETIF_NA_BYTES];
	uint32_t sum = 0;

	(void)state;
	netif_frame_na(mac, ip, f);
	/* Sum of the pseudo header and the message with its checksum: all ones. */
	for (int i = 22; i < NETIF_NA_BYTES; i += 2)
		sum += (uint32_t)f[i] << 8 | f[i + 1];
	sum += 32 + 58;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	assert_int_equal(sum, 0xffff);
	assert_int_equal(f[21], 255);
	assert_int_equal(f[54], 136);
	assert_memory_equal(f + 80, mac, 6);
}

/* ---- bridges --------------------------------------------------------------------------------------------------- */

/* "default via" and kin, as the kernel shows them; v4 only (v6 below). */
static int count_lines(const char *path, const char *a, const char *b)
{
	char line[400];
	int n = 0;
	FILE *f = fopen(path, "re");

	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		n += strstr(line, a) && strstr(line, b);
	(void)fclose(f);
	return n;
}

static void make_bridge(const char *bridge, const char *port)
{
	struct err err = ERR_INIT;

	if (netif_real()->bridge_make(bridge, port, &err) < 0)
		fail_msg("%s", err.msg);
}

static void a_bridge_without_port_is_made_once(void **state)
{
	struct netif_list l;

	(void)state;
	make_bridge("br0", "");
	make_bridge("br0", "");
	look(&l);
	assert_true(netif_list_dev(&l, "br0")->bridge && netif_list_dev(&l, "br0")->up);
	netif_list_done(&l);
}

static void what_the_port_had_moves_to_the_bridge(void **state)
{
	static const uint8_t ip[4] = { 10, 9, 0, 2 };
	uint8_t mac[6], frame[NETIF_ARP_BYTES];
	struct netif_list l;
	struct rtnl r;
	struct err err = ERR_INIT;

	(void)state;
	add("v0", "10.9.0.2", 24);
	add("v0", "10.9.5.2", 32);
	add("v0", "fd09::2", 64);
	assert_int_equal(rtnl_open(&r, &err), 0);
	assert_int_equal(add_route(&r, "0.0.0.0", 0, "10.9.0.1", "v0"), 0);
	assert_int_not_equal(add_route(&r, "10.77.0.0", 16, "10.9.6.1", "v0"), 0); /* its gateway is not on the wire yet */
	assert_int_equal(add_route(&r, "10.9.6.0", 24, NULL, "v0"), 0);
	assert_int_equal(add_route(&r, "10.77.0.0", 16, "10.9.6.1", "v0"), 0);
	assert_int_equal(add_route(&r, "::", 0, "fd09::1", "v0"), 0);
	rtnl_close(&r);
	mac_of("v0", mac);
	make_bridge("br0", "v0");
	make_bridge("br0", "v0"); /* again: nothing to do */
	look(&l);
	assert_string_equal(netif_list_dev(&l, "v0")->master, "br0");
	assert_string_equal(netif_list_dev(&l, "br0")->mac, netif_list_dev(&l, "v0")->mac);
	netif_list_done(&l);
	assert_string_equal(where("10.9.0.2"), "br0/24");
	assert_string_equal(where("10.9.5.2"), "br0/32");
	assert_string_equal(where("fd09::2"), "br0/64");
	/* Destination and gateway in /proc/net/route are hexadecimal, lowest byte first. */
	assert_int_equal(count_lines("/proc/net/route", "br0\t00000000\t0100090A", "\t77\t"), 1);
	assert_int_equal(count_lines("/proc/net/route", "br0\t0006090A\t00000000", "\t77\t"), 1);
	assert_int_equal(count_lines("/proc/net/route", "br0\t00004D0A\t0106090A", "\t77\t"), 1);
	assert_int_equal(count_lines("/proc/net/route", "v0\t", ""), 0);
	assert_int_equal(count_lines("/proc/net/ipv6_route", "00000000000000000000000000000000 00 ", "fd090000000000000000000000000001"), 1);
	assert_int_equal(count_lines("/proc/net/ipv6_route", "fd090000000000000000000000000001", "br0"), 1);
	/* And the wire is connected: what the bridge says comes out at the cable's other end. */
	int fd = listen_on("v1");
	assert_true(works("br0"));
	assert_int_equal(netif_real()->announce("br0", "10.9.0.2", 1, &err), 0);
	netif_frame_arp(mac, ip, 0, frame);
	assert_int_equal(count_frames(fd, frame, sizeof(frame)), 1);
	(void)close(fd);
}

static void bridges_that_cannot_be_are_refused(void **state)
{
	static const struct {
		const char *bridge, *port;
		int code;
	} row[] = {
		{ "v1", "v0", ERR_EXISTS },       { "br0", "v9", ERR_NOT_FOUND }, { "br0", "lo", ERR_BAD_VALUE },
		{ "", "v0", ERR_BAD_VALUE },      { "a/b", "v0", ERR_BAD_VALUE }, { "sixteen-letters-", "v0", ERR_BAD_VALUE },
		{ "br0", "br1", ERR_BAD_VALUE },
	};
	struct err err = ERR_INIT;
	struct netif_list l;

	(void)state;
	make_bridge("br1", "");
	for (size_t i = 0; i < ARRAY_SIZE(row); i++) {
		assert_int_equal(netif_real()->bridge_make(row[i].bridge, row[i].port, &err), -row[i].code);
		assert_true(err.msg[0] != '\0');
	}
	make_bridge("br1", "v0");
	assert_int_equal(netif_real()->bridge_make("br0", "v0", &err), -ERR_WRONG_STATE);
	look(&l);
	assert_null(netif_list_dev(&l, "br0")); /* and nothing of it is left */
	netif_list_done(&l);
}

/* The kernel refuses late, when the port is in already: all must be as before. */
static void a_failed_bridge_puts_everything_back(void **state)
{
	struct netif_list l;
	struct rtnl r;
	struct err err = ERR_INIT;

	(void)state;
	add("v0", "10.9.0.2", 24);
	add("v0", "fd09::2", 64);
	assert_int_equal(rtnl_open(&r, &err), 0);
	assert_int_equal(add_route(&r, "0.0.0.0", 0, "10.9.0.1", "v0"), 0);
	/* IPv6 is off for new interfaces: the bridge cannot take the address. */
	set_proc("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
	int rc = netif_real()->bridge_make("br0", "v0", &err);
	set_proc("/proc/sys/net/ipv6/conf/default/disable_ipv6", "0");
	rtnl_close(&r);
	assert_true(rc < 0);
	assert_non_null(strstr(err.msg, "cannot make 'v0' a port of the bridge"));
	look(&l);
	assert_null(netif_list_dev(&l, "br0"));
	assert_string_equal(netif_list_dev(&l, "v0")->master, "");
	netif_list_done(&l);
	assert_string_equal(where("10.9.0.2"), "v0/24");
	assert_string_equal(where("fd09::2"), "v0/64");
	assert_int_equal(count_lines("/proc/net/route", "v0\t00000000\t0100090A", "\t77\t"), 1);
}

static bool write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		(void)close(fd);
	return ok;
}

/* Who is not root becomes root of a user namespace, which owns the network one. */
static bool own_network(void)
{
	char users[40], groups[40];

	(void)snprintf(users, sizeof(users), "0 %u 1", (unsigned)geteuid());
	(void)snprintf(groups, sizeof(groups), "0 %u 1", (unsigned)getegid());
	if (unshare(CLONE_NEWNET) == 0)
		return true;
	return unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0 && write_file("/proc/self/setgroups", "deny") &&
	       write_file("/proc/self/uid_map", users) && write_file("/proc/self/gid_map", groups);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(interfaces_are_listed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(an_address_is_set_and_removed_as_often_as_asked, set_up, tear_down),
		cmocka_unit_test_setup_teardown(an_ipv6_address_can_be_used_at_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_cluster_address_is_nobodys_source, set_up, tear_down),
		cmocka_unit_test_setup_teardown(impossible_addresses_are_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(an_address_with_another_prefix_is_not_ours, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_other_end_hears_the_announcements, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_linux_neighbour_believes_the_announcement, set_up, tear_down),
		cmocka_unit_test(an_advertisement_has_a_right_checksum),
		cmocka_unit_test_setup_teardown(a_bridge_without_port_is_made_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_the_port_had_moves_to_the_bridge, set_up, tear_down),
		cmocka_unit_test_setup_teardown(bridges_that_cannot_be_are_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_failed_bridge_puts_everything_back, set_up, tear_down),
	};
	struct rtnl r;
	struct err err = ERR_INIT;

	if (!own_network() || rtnl_open(&r, &err) < 0) {
		(void)fprintf(stderr, "no network namespace of its own (neither as root nor in a user namespace): not run\n");
		return 77;
	}
	if (make_cable(&r) != 0 || change_link(&r, "v0", false, true) != 0) {
		(void)fprintf(stderr, "this kernel has no veth: not run\n");
		return 77;
	}
	rtnl_close(&r);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
