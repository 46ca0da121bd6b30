/* SPDX-License-Identifier: Apache-2.0 */
/* The rig's TCP proxy: one thread, blocking sockets, poll(). */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/xmem.h"
#include "test_store_rig.h"

#define PAIRS_MAX 32
#define TICK_MS 10 /* how soon a new mode is seen */

struct pair {
	int client, server; /* -1 = closed */
	struct buf held;    /* of the client's, while HOLD */
	bool late;          /* it was held once: etcd drops a request whose connection closes, so this one stays open */
};

struct rig_proxy {
	int listener, port, upstream_port;
	atomic_int mode, accepted;
	atomic_bool stop;
	pthread_t thread;
	struct pair pairs[PAIRS_MAX];
};

static struct sockaddr_in loopback(int port)
{
	return (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons((uint16_t)port),
				     .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

static void pair_close(struct pair *p)
{
	close_fd(&p->client);
	close_fd(&p->server);
	buf_done(&p->held);
	p->late = false;
}

static bool send_all(int fd, const char *data, size_t len)
{
	while (len > 0) {
		ssize_t n = send(fd, data, len, MSG_NOSIGNAL);

		if (n <= 0)
			return false;
		data += n;
		len -= (size_t)n;
	}
	return true;
}

static void accept_one(struct rig_proxy *x)
{
	struct sockaddr_in a = loopback(x->upstream_port);
	int client = accept(x->listener, NULL, NULL);
	struct pair *free_pair = NULL;

	for (int i = 0; i < PAIRS_MAX && !free_pair; i++)
		if (x->pairs[i].client < 0 && x->pairs[i].server < 0)
			free_pair = &x->pairs[i];
	if (client < 0)
		return;
	int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (!free_pair || server < 0 || connect(server, (struct sockaddr *)&a, sizeof(a)) != 0) {
		close_fd(&client);
		close_fd(&server);
		return;
	}
	free_pair->client = client;
	free_pair->server = server;
	(void)atomic_fetch_add(&x->accepted, 1);
}

static void from_client(struct rig_proxy *x, struct pair *p)
{
	char data[65536];
	ssize_t n = recv(p->client, data, sizeof(data), 0);
	int mode = atomic_load(&x->mode);

	if (n <= 0) {
		close_fd(&p->client);
		if (!p->late)
			pair_close(p);
		return;
	}
	if (mode == RIG_DROP)
		return;
	if (mode == RIG_HOLD || p->held.len > 0) {
		p->late = true;
		if (buf_add(&p->held, data, (size_t)n) < 0)
			abort();
	} else if (!send_all(p->server, data, (size_t)n)) {
		pair_close(p);
	}
}

static void from_server(struct rig_proxy *x, struct pair *p)
{
	char data[65536];
	ssize_t n = recv(p->server, data, sizeof(data), 0);
	int mode = atomic_load(&x->mode);

	if (n <= 0 || mode == RIG_CUT || p->client < 0)
		pair_close(p);
	else if (mode != RIG_SWALLOW && !send_all(p->client, data, (size_t)n))
		pair_close(p);
}

/* What was held goes out when the mode is PASS again; a pair without a client stays open until the answer has come. */
static void release(struct rig_proxy *x, struct pair *p)
{
	if (p->held.len == 0 || atomic_load(&x->mode) != RIG_PASS || p->server < 0)
		return;
	bool sent = send_all(p->server, p->held.data, p->held.len);

	buf_done(&p->held);
	if (!sent)
		pair_close(p);
}

static int fill(struct rig_proxy *x, struct pollfd *fds)
{
	fds[0] = (struct pollfd){ .fd = x->listener, .events = POLLIN };
	for (int i = 0; i < PAIRS_MAX; i++) {
		fds[1 + 2 * i] = (struct pollfd){ .fd = x->pairs[i].client, .events = POLLIN };
		fds[2 + 2 * i] = (struct pollfd){ .fd = x->pairs[i].server, .events = POLLIN };
	}
	return 1 + 2 * PAIRS_MAX;
}

static void *run(void *arg)
{
	struct rig_proxy *x = arg;
	struct pollfd fds[1 + 2 * PAIRS_MAX];

	while (!atomic_load(&x->stop)) {
		int n = fill(x, fds);

		if (poll(fds, (nfds_t)n, TICK_MS) < 0 && errno != EINTR)
			abort();
		for (int i = 0; i < PAIRS_MAX; i++) {
			struct pair *p = &x->pairs[i];

			release(x, p);
			if (p->client >= 0 && p->client == fds[1 + 2 * i].fd && fds[1 + 2 * i].revents)
				from_client(x, p);
			if (p->server >= 0 && p->server == fds[2 + 2 * i].fd && fds[2 + 2 * i].revents)
				from_server(x, p);
		}
		if (fds[0].revents)
			accept_one(x);
	}
	return NULL;
}

struct rig_proxy *rig_proxy_new(int upstream_port)
{
	struct rig_proxy *x = xcalloc(1, sizeof(*x));
	struct sockaddr_in a = loopback(0);
	socklen_t len = sizeof(a);

	x->upstream_port = upstream_port;
	x->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	for (int i = 0; i < PAIRS_MAX; i++)
		x->pairs[i].client = x->pairs[i].server = -1;
	if (x->listener < 0 || bind(x->listener, (struct sockaddr *)&a, sizeof(a)) != 0 || listen(x->listener, 16) != 0 ||
	    getsockname(x->listener, (struct sockaddr *)&a, &len) != 0)
		abort();
	x->port = ntohs(a.sin_port);
	if (pthread_create(&x->thread, NULL, run, x) != 0)
		abort();
	return x;
}

int rig_proxy_port(const struct rig_proxy *p)
{
	return p->port;
}

void rig_proxy_set(struct rig_proxy *p, enum rig_proxy_mode mode)
{
	atomic_store(&p->mode, (int)mode);
}

int rig_proxy_accepted(const struct rig_proxy *p)
{
	return atomic_load(&p->accepted);
}

void rig_proxy_free(struct rig_proxy *p)
{
	if (!p)
		return;
	atomic_store(&p->stop, true);
	(void)pthread_join(p->thread, NULL);
	for (int i = 0; i < PAIRS_MAX; i++)
		pair_close(&p->pairs[i]);
	close_fd(&p->listener);
	free(p);
}
