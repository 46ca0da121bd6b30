/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bad client, for tests/vcluster/bad-input: junk, a byte a second, frames that a peer without certificate sends. Says how the other side
 * took it. Ends with 0 when it was refused or swallowed in time, 1 when the other side neither took it nor hung up.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <nanomsg/nn.h>
#include <nanomsg/reqrep.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "common/rng.h"
#include "common/units.h"
#include "common/xmem.h"
#include "io/files.h"
#include "io/link.h"
#include "io/loop.h"
#include "schema/limits.h"

#define PATIENCE_MS 30000
#define CHUNK (64 * 1024)
#define LORIS_MAX 2000

static int64_t now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int number(const char *text)
{
	int64_t n = 0;
	struct err err = ERR_INIT;

	if (units_parse_int(text, 0, 1000000, &n, &err) < 0) {
		(void)fprintf(stderr, "poke: %s\n", err.msg);
		exit(2);
	}
	return (int)n;
}

static int connect_tcp(const char *address, int port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || inet_pton(AF_INET, address, &a.sin_addr) != 1 || connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0) {
		(void)fprintf(stderr, "poke: cannot connect to %s:%d: %s\n", address, port, strerror(errno));
		exit(2);
	}
	return fd;
}

static int connect_unix(const char *path, int type)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

	if (fd < 0 || str_copy(a.sun_path, sizeof(a.sun_path), path) < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0) {
		(void)fprintf(stderr, "poke: cannot connect to %s: %s\n", path, strerror(errno));
		exit(2);
	}
	return fd;
}

static void fill(char *room, size_t n, struct rng *rng)
{
	for (size_t i = 0; i < n; i++)
		room[i] = (char)rng_below(rng, 256);
}

/* Until all is written, the peer hangs up, or patience ends. */
static int pour(int fd, int mib)
{
	static char room[CHUNK];
	struct rng rng;
	int64_t sent = 0, total = (int64_t)mib * 1024 * 1024, until = now_ms() + PATIENCE_MS;

	rng_seed(&rng, 77);
	while (sent < total) {
		struct pollfd p = { .fd = fd, .events = POLLIN | POLLOUT };
		char back[256];

		if (poll(&p, 1, 1000) > 0 && (p.revents & POLLIN)) {
			ssize_t n = recv(fd, back, sizeof(back), MSG_DONTWAIT);

			if (n == 0 || (n < 0 && errno != EAGAIN))
				break; /* it hung up */
		}
		if (p.revents & (POLLERR | POLLHUP))
			break;
		if (p.revents & POLLOUT) {
			fill(room, sizeof(room), &rng);
			ssize_t n = send(fd, room, sizeof(room), MSG_NOSIGNAL | MSG_DONTWAIT);

			if (n < 0 && errno != EAGAIN)
				break;
			sent += n > 0 ? n : 0;
		}
		if (now_ms() > until) {
			(void)printf("it neither takes it nor hangs up, after %lld bytes\n", (long long)sent);
			return 1;
		}
	}
	(void)printf("%s after %lld bytes\n", sent < total ? "hung up" : "swallowed", (long long)sent);
	return 0;
}

/* What a TLS client's first record begins with: the peer must wait for the rest of it, but not forever. */
static const unsigned char hello[] = { 0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03 };

static int drip(int *fds, int n, int seconds)
{
	static struct pollfd p[LORIS_MAX];
	int64_t until = now_ms() + (int64_t)seconds * 1000, next = now_ms();
	int open = n, step = 0;

	for (int i = 0; i < n; i++)
		p[i] = (struct pollfd){ .fd = fds[i], .events = POLLIN };
	while (open > 0 && now_ms() < until) {
		char back[256];

		for (int i = 0; i < n && now_ms() >= next; i++)
			if (p[i].fd >= 0)
				(void)send(p[i].fd, &hello[step % (int)sizeof(hello)], 1, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (now_ms() >= next) {
			step++;
			next += 1000;
		}
		(void)poll(p, (nfds_t)n, 100);
		for (int i = 0; i < n; i++) {
			if (p[i].fd < 0 || !p[i].revents)
				continue;
			ssize_t got = recv(p[i].fd, back, sizeof(back), MSG_DONTWAIT);
			if (got == 0 || (got < 0 && errno != EAGAIN)) {
				(void)close(p[i].fd);
				p[i].fd = -1;
				open--;
			}
		}
	}
	(void)printf("%d of %d connections are still open\n", open, n);
	return 0;
}

static int loris(int argc, char **argv)
{
	static int fds[LORIS_MAX];
	bool path = strchr(argv[0], '/') != NULL;
	int n = number(argv[path ? 1 : 2]), seconds = number(argv[path ? 2 : 3]);

	(void)argc;
	if (n > LORIS_MAX)
		n = LORIS_MAX;
	for (int i = 0; i < n; i++)
		fds[i] = path ? connect_unix(argv[0], SOCK_STREAM) : connect_tcp(argv[0], number(argv[1]));
	return drip(fds, n, seconds);
}

/* Messages that nanomsg delivers and nobody should act on; every one that is small enough is answered with an error. */
static int nano(const char *path, int mib)
{
	static const char *const texts[] = { "", "{", "null", "[]", "{\"id\":1}", "{\"id\":\"x\",\"op\":\"no.such\"}", "{\"id\":\"x\",\"op\":\"cluster.info\",\"more\":1}",
					     "\xff\xfe", "{\"id\":\"x\",\"id\":\"y\",\"op\":\"cluster.info\"}" };
	AUTO_FREE char *url = xasprintf("ipc://%s", path);
	AUTO_FREE char *room = xcalloc(1, MESSAGE_MAX);
	struct rng rng;
	int s = nn_socket(AF_SP, NN_REQ), wait = 10000, answered = 0;
	char back[4096];

	rng_seed(&rng, 78);
	if (s < 0 || nn_setsockopt(s, NN_SOL_SOCKET, NN_RCVTIMEO, &wait, sizeof(wait)) < 0 ||
	    nn_setsockopt(s, NN_SOL_SOCKET, NN_SNDTIMEO, &wait, sizeof(wait)) < 0 || nn_connect(s, url) < 0)
		return 2;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		answered += nn_send(s, texts[i], strlen(texts[i]), 0) >= 0 && nn_recv(s, back, sizeof(back), 0) > 0;
	for (int i = 0; i < mib * 2; i++) { /* 512 KiB each */
		fill(room, MESSAGE_MAX, &rng);
		if (i % 2)
			memset(room, '[', MESSAGE_MAX);
		answered += nn_send(s, room, MESSAGE_MAX, 0) >= 0 && nn_recv(s, back, sizeof(back), 0) > 0;
	}
	int n = (int)ARRAY_SIZE(texts) + mib * 2;
	(void)printf("%d of %d messages were answered\n", answered, n);
	(void)nn_close(s);
	return answered == n ? 0 : 1;
}

/* Standard input as one request, whatever it is; prints the answer. */
static int ask(const char *path)
{
	static char room[CHUNK];
	AUTO_FREE char *url = xasprintf("ipc://%s", path);
	int s = nn_socket(AF_SP, NN_REQ), wait = PATIENCE_MS;
	void *back = NULL;

	size_t n = fread(room, 1, sizeof(room), stdin);
	if (s < 0 || nn_setsockopt(s, NN_SOL_SOCKET, NN_RCVTIMEO, &wait, sizeof(wait)) < 0 || nn_connect(s, url) < 0 || nn_send(s, room, n, 0) < 0)
		return 2;
	int got = nn_recv(s, &back, NN_MSG, 0);
	if (got >= 0) {
		(void)printf("%.*s\n", got, (char *)back);
		(void)nn_freemsg(back);
	}
	(void)nn_close(s);
	return got >= 0 ? 0 : 1;
}

/* ---- frames over TLS --------------------------------------------------------------------------------------- */

struct talk {
	struct loop *loop;
	char *text;
	size_t len;
	int times, answers;
	int rc;
};

static void on_open(void *arg, struct link *k, const char *peer)
{
	struct talk *t = arg;

	(void)peer;
	for (int i = 0; i < t->times; i++)
		(void)link_send(k, t->text, t->len);
}

static void on_frame(void *arg, struct link *k, const char *text, size_t len)
{
	struct talk *t = arg;

	(void)printf("%.*s\n", (int)len, text);
	t->answers++;
	link_close(k);
}

static void on_closed(void *arg, struct link *k, const struct err *err)
{
	struct talk *t = arg;

	(void)k;
	if (!t->answers)
		(void)printf("hung up: %s\n", err ? err->msg : "");
	loop_stop(t->loop);
}

static void too_late(void *arg)
{
	struct talk *t = arg;

	(void)printf("it neither answers nor hangs up\n");
	t->rc = 1;
	loop_stop(t->loop);
}

static char *file_text(const char *path)
{
	struct err err = ERR_INIT;
	char *text = NULL;

	if (file_read_text(path, 65536, &text, &err) < 0) {
		(void)fprintf(stderr, "poke: %s\n", err.msg);
		exit(2);
	}
	return text;
}

/* frame ADDRESS PORT PIN [CA CERT KEY]: standard input as one frame; with PIN "big" ten frames of a megabyte each. */
static int frame(int argc, char **argv)
{
	static const struct link_cb cb = { .open = on_open, .frame = on_frame, .closed = on_closed };
	static char room[CHUNK];
	struct talk t = { .loop = loop_new(), .times = 1 };
	struct link_tls *tls = NULL;
	struct err err = ERR_INIT;
	AUTO_FREE char *ca = argc > 5 ? file_text(argv[3]) : NULL, *cert = argc > 5 ? file_text(argv[4]) : NULL, *key = argc > 5 ? file_text(argv[5]) : NULL;

	t.len = fread(room, 1, sizeof(room), stdin);
	if (t.len) {
		t.text = xcalloc(1, t.len);
		memcpy(t.text, room, t.len);
	} else {
		t.len = 1024 * 1024;
		t.times = 10;
		t.text = xcalloc(1, t.len);
		memset(t.text, '[', t.len);
	}
	if (link_tls_new(ca, cert, key, NULL, &tls, &err) < 0) {
		(void)fprintf(stderr, "poke: %s\n", err.msg);
		exit(2);
	}
	struct loop_timer *timer = loop_timer_new(t.loop, too_late, &t);
	loop_timer_start(timer, PATIENCE_MS, 0);
	(void)link_dial(t.loop, argv[0], number(argv[1]), "", tls, strcmp(argv[2], "-") == 0 ? "" : argv[2], &cb, &t);
	loop_run(t.loop);
	loop_timer_free(timer);
	link_tls_unref(tls);
	loop_free(t.loop);
	free(t.text);
	return t.rc;
}

int main(int argc, char **argv)
{
	(void)signal(SIGPIPE, SIG_IGN);
	if (argc == 5 && strcmp(argv[1], "tcp") == 0)
		return pour(connect_tcp(argv[2], number(argv[3])), number(argv[4]));
	if (argc == 4 && strcmp(argv[1], "unix") == 0)
		return pour(connect_unix(argv[2], SOCK_STREAM), number(argv[3]));
	if (argc == 4 && strcmp(argv[1], "nano") == 0)
		return nano(argv[2], number(argv[3]));
	if (argc == 3 && strcmp(argv[1], "ask") == 0)
		return ask(argv[2]);
	if (argc >= 5 && strcmp(argv[1], "loris") == 0)
		return loris(argc - 2, argv + 2);
	if (argc >= 5 && strcmp(argv[1], "frame") == 0)
		return frame(argc - 2, argv + 2);
	(void)fprintf(stderr, "usage: poke tcp ADDRESS PORT MIB | unix PATH MIB | nano PATH MIB | loris ADDRESS PORT|PATH N SECONDS\n"
			      "       poke ask PATH <JSON | frame ADDRESS PORT PIN|- [CA CERT KEY] <JSON\n");
	return 2;
}
