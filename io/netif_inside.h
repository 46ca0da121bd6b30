/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of netif share. Inside io/netif* only. */
#ifndef IO_NETIF_INSIDE_H
#define IO_NETIF_INSIDE_H

#include <stdint.h>

#include "common/err.h"

int netif_parse(const char *address, int *ret_family, uint8_t bytes[16], struct err *err) WARN_UNUSED;
/* err from an errno of the kernel: "what: reason". */
int netif_fail(struct err *err, int saved_errno, const char *what);
int netif_bridge_make(const char *bridge, const char *port, struct err *err) WARN_UNUSED;

#endif
