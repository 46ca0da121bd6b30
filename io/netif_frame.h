/* SPDX-License-Identifier: Apache-2.0 */
/* The packets by which a node says "this address is mine now". Pure: whole Ethernet frames into a buffer. */
#ifndef IO_NETIF_FRAME_H
#define IO_NETIF_FRAME_H

#include <stddef.h>
#include <stdint.h>

#define NETIF_ARP_BYTES 42
#define NETIF_NA_BYTES 86

/* Broadcast ARP, sender = target = ip; as a reply or a request: some neighbours heed only the one, some the other. */
void netif_frame_arp(const uint8_t mac[6], const uint8_t ip[4], int reply, uint8_t out[NETIF_ARP_BYTES]);
/* Neighbour advertisement to all nodes, override, with the link-layer address. */
void netif_frame_na(const uint8_t mac[6], const uint8_t ip[16], uint8_t out[NETIF_NA_BYTES]);

#endif
