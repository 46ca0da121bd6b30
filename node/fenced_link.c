/* SPDX-License-Identifier: Apache-2.0 */
#include "node/fenced_link.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/xmem.h"
#include "fenced/wire.h"
#include "io/loop.h"

struct fenced_link {
	int fd;
	struct loop_poll *poll;
	const struct fenced_link_cb *cb;
	void *arg;
	bool closed, reading;
};

static void link_free(struct fenced_link *k)
{
	loop_poll_free(k->poll);
	(void)close(k->fd);
	free(k);
}

static void readable(void *arg, int events, bool failed)
{
	struct fenced_link *k = arg;
	struct fenced_msg m;

	(void)events;
	k->reading = true; /* what it hears may close it */
	while (!k->closed) {
		ssize_t n = failed ? 0 : recv(k->fd, &m, sizeof(m), MSG_DONTWAIT);

		if (n == (ssize_t)sizeof(m)) {
			k->cb->heard(k->arg, &m);
			continue;
		}
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			break;
		k->cb->gone(k->arg);
		break;
	}
	k->reading = false;
	if (k->closed)
		link_free(k);
}

struct fenced_link *fenced_link_dial(struct loop *l, const char *path, const struct fenced_link_cb *cb, void *arg)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	if (str_copy(a.sun_path, sizeof(a.sun_path), path) < 0)
		return NULL;
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return NULL;
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0) {
		(void)close(fd);
		return NULL;
	}
	struct fenced_link *k = xcalloc(1, sizeof(*k));
	k->fd = fd;
	k->cb = cb;
	k->arg = arg;
	k->poll = loop_poll_new(l, fd, readable, k);
	loop_poll_set(k->poll, LOOP_READABLE);
	return k;
}

bool fenced_link_say(struct fenced_link *k, const struct fenced_msg *m)
{
	return send(k->fd, m, sizeof(*m), MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)sizeof(*m);
}

void fenced_link_close(struct fenced_link *k)
{
	if (!k)
		return;
	k->closed = true;
	if (!k->reading)
		link_free(k);
}
