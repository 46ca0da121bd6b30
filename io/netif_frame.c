/* SPDX-License-Identifier: Apache-2.0 */
#include "io/netif_frame.h"

#include <string.h>

static uint8_t *put(uint8_t *p, const void *data, size_t n)
{
	memcpy(p, data, n);
	return p + n;
}

static uint8_t *put16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
	return p + 2;
}

void netif_frame_arp(const uint8_t mac[6], const uint8_t ip[4], int reply, uint8_t out[NETIF_ARP_BYTES])
{
	static const uint8_t all[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	uint8_t *p = put(out, all, 6);

	p = put(p, mac, 6);
	p = put16(p, 0x0806);
	p = put16(p, 1);      /* Ethernet */
	p = put16(p, 0x0800); /* IPv4 */
	p = put16(p, 0x0604); /* lengths of both */
	p = put16(p, reply ? 2 : 1);
	p = put(p, mac, 6);
	p = put(p, ip, 4);
	p = put(p, all, 6);
	(void)put(p, ip, 4);
}

/* The Internet checksum of 16-bit words; n is even here. */
static uint32_t sum16(uint32_t sum, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i += 2)
		sum += (uint32_t)p[i] << 8 | p[i + 1];
	return sum;
}

void netif_frame_na(const uint8_t mac[6], const uint8_t ip[16], uint8_t out[NETIF_NA_BYTES])
{
	static const uint8_t all_nodes[16] = { 0xff, 0x02, [15] = 1 }, all_mac[6] = { 0x33, 0x33, [5] = 1 };
	enum { ICMP_BYTES = 32 }; /* header, flags, target, option */
	uint8_t *p = put(out, all_mac, 6);

	p = put(p, mac, 6);
	p = put16(p, 0x86dd);
	p = put(p, "\x60\0\0\0", 4);
	p = put16(p, ICMP_BYTES);
	p = put(p, "\x3a\xff", 2); /* ICMPv6, hop limit 255 (others are thrown away) */
	p = put(p, ip, 16);
	p = put(p, all_nodes, 16);
	uint8_t *icmp = p;
	p = put(p, "\x88\0\0\0\x20\0\0\0", 8); /* advertisement; override, neither router nor solicited */
	p = put(p, ip, 16);
	p = put(p, "\x02\x01", 2); /* the target's link-layer address, 8 bytes in all */
	(void)put(p, mac, 6);
	uint32_t sum = sum16(0, ip, 16);
	sum = sum16(sum, all_nodes, 16);
	sum = sum16(sum + ICMP_BYTES + 0x3a, icmp, ICMP_BYTES);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	(void)put16(icmp + 2, ~sum & 0xffff);
}
