/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <nanomsg/nn.h>
#include <nanomsg/reqrep.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "common/xmem.h"
#include "io/nano.h"
#include "schema/limits.h"

/* A raw REQ request carries a header of its own: the request id with the top bit set, big endian. */
struct nano_client {
	int sock;
	uint32_t next;
	char ticket[65];
};

static int64_t now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* nn_connect never fails for a dead or forbidden endpoint: the path is looked at first. */
static int check_path(const char *path, struct err *err)
{
	if (access(path, W_OK) == 0)
		return 0;
	if (errno == EACCES || errno == EPERM)
		return err_errno(err, ERR_PERMISSION, "you may not use '%s'", path);
	return err_errno(err, ERR_NO_DAEMON, "gantry-noded does not run here: '%s'", path);
}

static void take_ticket(const char *path, char out[65])
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	struct timeval limit = { .tv_sec = 2 };
	AUTO_FD int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	out[0] = '\0';
	if (fd < 0 || (size_t)snprintf(a.sun_path, sizeof(a.sun_path), "%s.ticket", path) >= sizeof(a.sun_path))
		return;
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	if (connect(fd, (const struct sockaddr *)&a, sizeof(a)) < 0)
		return;
	ssize_t n = recv(fd, out, 64, 0);
	out[n == 64 ? 64 : 0] = '\0'; /* without one the request is still answered, only its author is unknown */
}

int nano_client_open(const char *path, struct nano_client **ret, struct err *err)
{
	AUTO_FREE char *url = xasprintf("ipc://%s", path);
	int rc = check_path(path, err);
	int max = REPLY_MAX + 1024;

	if (rc < 0)
		return rc;
	struct nano_client *c = xcalloc(1, sizeof(*c));
	c->sock = nn_socket(AF_SP_RAW, NN_REQ);
	if (c->sock < 0 || nn_setsockopt(c->sock, NN_SOL_SOCKET, NN_RCVMAXSIZE, &max, sizeof(max)) < 0 || nn_connect(c->sock, url) < 0) {
		rc = err_set(err, ERR_NO_DAEMON, "cannot connect to '%s': %s", path, nn_strerror(nn_errno()));
		nano_client_close(c);
		return rc;
	}
	c->next = (uint32_t)now_ms();
	take_ticket(path, c->ticket);
	*ret = c;
	return 0;
}

const char *nano_client_ticket(const struct nano_client *c)
{
	return c->ticket;
}

static void put_id(unsigned char h[4], uint32_t id)
{
	id |= UINT32_C(0x80000000);
	h[0] = (unsigned char)(id >> 24);
	h[1] = (unsigned char)(id >> 16);
	h[2] = (unsigned char)(id >> 8);
	h[3] = (unsigned char)id;
}

static int send_request(struct nano_client *c, uint32_t id, const char *text, struct err *err)
{
	char control[64];
	unsigned char head[4];
	struct nn_iovec iov = { (void *)(uintptr_t)text, strlen(text) };
	struct nn_msghdr hdr = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control };
	struct nn_cmsghdr *cm = (struct nn_cmsghdr *)(void *)control;
	size_t n = sizeof(head);
	int limit = 5000;

	put_id(head, id);
	memset(control, 0, sizeof(control));
	cm->cmsg_level = PROTO_SP;
	cm->cmsg_type = SP_HDR;
	cm->cmsg_len = NN_CMSG_LEN(sizeof(size_t) + n);
	memcpy(NN_CMSG_DATA(cm), &n, sizeof(n));
	memcpy(NN_CMSG_DATA(cm) + sizeof(n), head, n);
	hdr.msg_controllen = NN_CMSG_SPACE(sizeof(size_t) + n);
	(void)nn_setsockopt(c->sock, NN_SOL_SOCKET, NN_SNDTIMEO, &limit, sizeof(limit));
	if (nn_sendmsg(c->sock, &hdr, 0) < 0)
		return err_set(err, ERR_NO_DAEMON, "the daemon takes no request: %s", nn_strerror(nn_errno()));
	return 0;
}

/* One message; true when it answers the id. */
static int receive(struct nano_client *c, uint32_t id, int timeout_ms, char **ret_text, struct err *err)
{
	void *body = NULL, *control = NULL;
	struct nn_iovec iov = { &body, NN_MSG };
	struct nn_msghdr hdr = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = NN_MSG };
	unsigned char head[4];
	int64_t end = now_ms() + timeout_ms;

	for (;;) {
		int left = (int)(end - now_ms());

		if (left <= 0)
			return err_set(err, ERR_TIMEOUT, "no answer within %d s", timeout_ms / 1000);
		(void)nn_setsockopt(c->sock, NN_SOL_SOCKET, NN_RCVTIMEO, &left, sizeof(left));
		int n = nn_recvmsg(c->sock, &hdr, 0);
		if (n < 0 && nn_errno() == EINTR)
			return err_set(err, ERR_CANCELED, "interrupted");
		if (n < 0)
			continue;
		struct nn_cmsghdr *cm = NN_CMSG_FIRSTHDR(&hdr);
		put_id(head, id);
		bool mine = cm && cm->cmsg_type == SP_HDR && cm->cmsg_len >= NN_CMSG_LEN(sizeof(size_t) + 4) &&
			    memcmp(NN_CMSG_DATA(cm) + sizeof(size_t), head, 4) == 0;
		if (mine)
			*ret_text = xstrndup(body, (size_t)n);
		(void)nn_freemsg(body);
		(void)nn_freemsg(control);
		if (mine)
			return 0;
	}
}

int nano_client_call(struct nano_client *c, const char *text, int timeout_ms, char **ret_text, struct err *err)
{
	uint32_t id = ++c->next;

	if (strlen(text) > MESSAGE_MAX)
		return err_set(err, ERR_TOO_BIG, "the request is larger than %d bytes", MESSAGE_MAX);
	int rc = send_request(c, id, text, err);
	return rc < 0 ? rc : receive(c, id, timeout_ms, ret_text, err);
}

void nano_client_close(struct nano_client *c)
{
	if (!c)
		return;
	if (c->sock >= 0)
		(void)nn_close(c->sock);
	free(c);
}
