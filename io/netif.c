/* SPDX-License-Identifier: Apache-2.0 */
#include "io/netif.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if_packet.h>
#include <linux/rtnetlink.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/icmp6.h>
#include <netinet/if_ether.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static int parse(const char *address, int *ret_family, unsigned char bytes[16], struct err *err)
{
	*ret_family = strchr(address, ':') ? AF_INET6 : AF_INET;
	if (inet_pton(*ret_family, address, bytes) != 1)
		return err_set(err, ERR_BAD_VALUE, "'%s' is not an address", address);
	return 0;
}

static int exchange(struct nlmsghdr *nlh, const char *what, const char *address, const char *dev, int ignore, struct err *err)
{
	char room[8192];
	struct mnl_socket *nl = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	int rc = 0;

	if (!nl)
		return err_errno(err, ERR_IO, "no netlink socket");
	if (mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0 || mnl_socket_sendto(nl, nlh, nlh->nlmsg_len) < 0) {
		rc = err_errno(err, ERR_IO, "cannot talk to the kernel's network");
	} else {
		ssize_t n = mnl_socket_recvfrom(nl, room, sizeof(room));

		if (n < 0 || (mnl_cb_run(room, (size_t)n, nlh->nlmsg_seq, mnl_socket_get_portid(nl), NULL, NULL) < 0 && errno != ignore))
			rc = err_errno(err, ERR_IO, "cannot %s address '%s' on '%s'", what, address, dev);
	}
	(void)mnl_socket_close(nl);
	return rc;
}

static int change(const char *dev, const char *address, int prefix, bool add, struct err *err)
{
	char room[1024];
	unsigned char bytes[16];
	unsigned index = if_nametoindex(dev);
	int family = 0, rc = parse(address, &family, bytes, err);

	if (rc < 0)
		return rc;
	if (!index)
		return err_set(err, ERR_NOT_FOUND, "there is no interface '%s'", dev);
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(room);
	nlh->nlmsg_type = add ? RTM_NEWADDR : RTM_DELADDR;
	nlh->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | NLM_F_ACK | (add ? NLM_F_CREATE | NLM_F_EXCL : 0));
	nlh->nlmsg_seq = 1;
	struct ifaddrmsg *ifa = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifa));
	ifa->ifa_family = (unsigned char)family;
	ifa->ifa_prefixlen = (unsigned char)prefix;
	ifa->ifa_index = index;
	/* Duplicate address detection would keep an IPv6 address out of use for seconds: the log has decided whose it is. */
	ifa->ifa_flags = family == AF_INET6 ? IFA_F_NODAD : 0;
	mnl_attr_put(nlh, IFA_LOCAL, family == AF_INET6 ? 16 : 4, bytes);
	mnl_attr_put(nlh, IFA_ADDRESS, family == AF_INET6 ? 16 : 4, bytes);
	return exchange(nlh, add ? "set" : "remove", address, dev, add ? EEXIST : EADDRNOTAVAIL, err);
}

static int addr_add(const char *dev, const char *address, int prefix, struct err *err)
{
	return change(dev, address, prefix, true, err);
}

static int addr_del(const char *dev, const char *address, int prefix, struct err *err)
{
	return change(dev, address, prefix, false, err);
}

static int own_mac(const char *dev, unsigned char mac[6], struct err *err)
{
	struct ifreq r;
	AUTO_FD int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	memset(&r, 0, sizeof(r));
	memcpy(r.ifr_name, dev, strnlen(dev, IFNAMSIZ - 1));
	if (fd < 0 || ioctl(fd, SIOCGIFHWADDR, &r) < 0)
		return err_errno(err, ERR_IO, "no hardware address of '%s'", dev);
	memcpy(mac, r.ifr_hwaddr.sa_data, 6);
	return 0;
}

static int announce4(const char *dev, const unsigned char ip[4], int n, struct err *err)
{
	struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ARP), .sll_halen = 6 };
	struct ether_arp arp = { .ea_hdr = { htons(ARPHRD_ETHER), htons(ETH_P_IP), 6, 4, htons(ARPOP_REQUEST) } };
	AUTO_FD int fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, htons(ETH_P_ARP));
	int rc = own_mac(dev, arp.arp_sha, err);

	if (rc < 0)
		return rc;
	to.sll_ifindex = (int)if_nametoindex(dev);
	memset(to.sll_addr, 0xff, 6);
	memcpy(arp.arp_spa, ip, 4);
	memcpy(arp.arp_tpa, ip, 4);
	for (int i = 0; i < n; i++)
		if (fd < 0 || sendto(fd, &arp, sizeof(arp), 0, (const struct sockaddr *)&to, sizeof(to)) < 0)
			return err_errno(err, ERR_IO, "cannot send ARP on '%s'", dev);
	return 0;
}

static int announce6(const char *dev, const unsigned char ip[16], int n, struct err *err)
{
	struct {
		struct nd_neighbor_advert na;
		struct nd_opt_hdr opt;
		unsigned char mac[6];
	} p;
	struct sockaddr_in6 to = { .sin6_family = AF_INET6 };
	AUTO_FD int fd = socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMPV6);
	int hops = 255;

	memset(&p, 0, sizeof(p));
	p.na.nd_na_type = ND_NEIGHBOR_ADVERT;
	p.na.nd_na_flags_reserved = ND_NA_FLAG_OVERRIDE;
	memcpy(&p.na.nd_na_target, ip, 16);
	p.opt.nd_opt_type = ND_OPT_TARGET_LINKADDR;
	p.opt.nd_opt_len = 1;
	int rc = own_mac(dev, p.mac, err);
	if (rc < 0)
		return rc;
	(void)inet_pton(AF_INET6, "ff02::1", &to.sin6_addr);
	to.sin6_scope_id = if_nametoindex(dev);
	if (fd < 0 || setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, &hops, sizeof(hops)) < 0)
		return err_errno(err, ERR_IO, "no ICMPv6 socket");
	for (int i = 0; i < n; i++)
		if (sendto(fd, &p, sizeof(p), 0, (const struct sockaddr *)&to, sizeof(to)) < 0)
			return err_errno(err, ERR_IO, "cannot send a neighbour advertisement on '%s'", dev);
	return 0;
}

static int announce(const char *dev, const char *address, int n, struct err *err)
{
	unsigned char bytes[16];
	int family = 0, rc = parse(address, &family, bytes, err);

	if (rc < 0)
		return rc;
	return family == AF_INET ? announce4(dev, bytes, n, err) : announce6(dev, bytes, n, err);
}

const struct netif_ops *netif_real(void)
{
	static const struct netif_ops ops = { addr_add, addr_del, announce };

	return &ops;
}
