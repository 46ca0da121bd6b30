/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's answers about interfaces and addresses. The readers are static: the file itself is part of this program. */
#include "io/netif.c" /* NOLINT */
#include "tests/fuzz/fuzz.h"

/*
 * The walk from message to message is libmnl's own in the program (and the kernel's framing is trusted: libmnl 1.0.4 takes a
 * length over 2 GiB for a negative one); here it is ours, so that what is inside of a message may be anything.
 */
static void each_message(const char *bytes, size_t size, struct gather *g)
{
	while (size >= sizeof(struct nlmsghdr)) {
		struct nlmsghdr head;

		memcpy(&head, bytes, sizeof(head));
		if (head.nlmsg_len < sizeof(head) || head.nlmsg_len > size)
			return;
		char *m = fuzz_bytes((const uint8_t *)bytes, head.nlmsg_len); /* alone: reading behind it is noticed */
		if (head.nlmsg_type == RTM_NEWLINK)
			(void)on_dev((const struct nlmsghdr *)(void *)m, g);
		else if (head.nlmsg_type == RTM_NEWADDR)
			(void)on_addr((const struct nlmsghdr *)(void *)m, g);
		free(m);
		size_t step = MNL_ALIGN((size_t)head.nlmsg_len);
		if (step > size)
			return;
		bytes += step;
		size -= step;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct netif_list l = { .devs = NULL };
	struct gather g = { .list = &l };

	each_message((const char *)data, size, &g);
	resolve_masters(&g);
	for (int i = 0; i < l.n_devs; i++) {
		assert(strlen(l.devs[i].name) <= NETIF_NAME_LEN && strlen(l.devs[i].mac) <= MAC_LEN);
		(void)netif_list_dev(&l, l.devs[i].name);
	}
	for (int i = 0; i < l.n_addrs; i++) {
		uint8_t ip[16];
		struct err err = ERR_INIT;
		int family;

		assert(netif_parse(l.addrs[i].address, &family, ip, &err) == 0);
	}
	free(g.masters);
	netif_list_done(&l);
	return 0;
}
