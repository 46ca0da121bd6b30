/* SPDX-License-Identifier: Apache-2.0 */
#include "io/netif_rtnl.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define REPLY_BYTES ((size_t)32 * 1024) /* what the kernel wants for a dump */
#define DUMP_TRIES 5

int rtnl_open(struct rtnl *r, struct err *err)
{
	r->seq = (unsigned)time(NULL);
	r->nl = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	if (!r->nl)
		return err_errno(err, ERR_IO, "cannot open a routing socket");
	if (mnl_socket_bind(r->nl, 0, MNL_SOCKET_AUTOPID) < 0) {
		int rc = err_errno(err, ERR_IO, "cannot bind a routing socket");

		rtnl_close(r);
		return rc;
	}
	return 0;
}

void rtnl_close(struct rtnl *r)
{
	if (r->nl)
		(void)mnl_socket_close(r->nl);
	r->nl = NULL;
}

struct nlmsghdr *rtnl_message(char *room, int type, int flags)
{
	memset(room, 0, RTNL_BYTES);
	struct nlmsghdr *m = mnl_nlmsg_put_header(room);
	m->nlmsg_type = (uint16_t)type;
	m->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
	return m;
}

/* Reads answers to the message of r->seq until the kernel says that was all. */
static int listen_to(struct rtnl *r, mnl_cb_t fn, void *arg)
{
	char room[REPLY_BYTES];

	for (;;) {
		ssize_t n = mnl_socket_recvfrom(r->nl, room, sizeof(room));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? errno : EIO;
		int rc = mnl_cb_run(room, (size_t)n, r->seq, mnl_socket_get_portid(r->nl), fn, arg);
		if (rc < 0)
			return errno;
		if (rc == MNL_CB_STOP)
			return 0;
	}
}

int rtnl_do(struct rtnl *r, struct nlmsghdr *m)
{
	m->nlmsg_flags |= NLM_F_ACK;
	m->nlmsg_seq = ++r->seq;
	if (mnl_socket_sendto(r->nl, m, m->nlmsg_len) < 0)
		return errno;
	return listen_to(r, NULL, NULL);
}

static int dump_once(struct rtnl *r, int type, int family, mnl_cb_t fn, void *arg)
{
	char room[RTNL_BYTES];
	struct nlmsghdr *m = rtnl_message(room, type, NLM_F_DUMP);
	/* Large enough for what each kind of dump has behind the head; the family is the first byte of all. */
	struct rtmsg *head = mnl_nlmsg_put_extra_header(m, type == RTM_GETLINK ? sizeof(struct ifinfomsg) :
							   type == RTM_GETADDR ? sizeof(struct ifaddrmsg) :
										 sizeof(struct rtmsg));

	head->rtm_family = (unsigned char)family;
	m->nlmsg_seq = ++r->seq;
	if (mnl_socket_sendto(r->nl, m, m->nlmsg_len) < 0)
		return errno;
	return listen_to(r, fn, arg);
}

int rtnl_dump(struct rtnl *r, int type, int family, mnl_cb_t fn, void (*reset)(void *arg), void *arg)
{
	struct err err = ERR_INIT;
	int rc = EINTR;

	for (int i = 0; i < DUMP_TRIES && rc == EINTR; i++) {
		rc = dump_once(r, type, family, fn, arg);
		if (rc != EINTR)
			break;
		/* It changed under the dump: the rest of the answers would come in between, so on a fresh socket. */
		reset(arg);
		rtnl_close(r);
		if (rtnl_open(r, &err) < 0)
			return EIO;
	}
	return rc;
}
