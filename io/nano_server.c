/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <errno.h>
#include <nanomsg/nn.h>
#include <nanomsg/reqrep.h>
#include <pwd.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/xmem.h"
#include "io/loop.h"
#include "io/nano.h"
#include "schema/limits.h"

#define TICKETS_MAX 256
#define TICKET_MS 60000
#define DRAIN_AT_ONCE 64

struct ticket {
	char text[65];
	int64_t uid, pid, until_ms;
	char user[64];
};

struct nano_server {
	struct loop *loop;
	int sock, endpoint, ticket_fd;
	struct loop_poll *poll, *ticket_poll;
	nano_on_request *fn;
	void *arg;
	struct ticket tickets[TICKETS_MAX];
	int next_ticket;
	char ticket_path[108];
};

/* ---- tickets: who it was ---------------------------------------------------------------------------- */

static void random_hex(char out[65])
{
	unsigned char raw[32];

	randombytes_buf(raw, sizeof(raw));
	(void)sodium_bin2hex(out, 65, raw, sizeof(raw));
}

static void name_of(uid_t uid, char *out, size_t size)
{
	struct passwd pw, *found = NULL;
	char room[1024];

	if (getpwuid_r(uid, &pw, room, sizeof(room), &found) == 0 && found)
		(void)str_copy(out, size, pw.pw_name);
	else
		(void)snprintf(out, size, "uid%u", (unsigned)uid);
}

static void on_ticket(void *arg, int events, bool failed)
{
	struct nano_server *s = arg;
	struct ucred cred;
	socklen_t n = sizeof(cred);
	AUTO_FD int fd = accept4(s->ticket_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)events;
	(void)failed;
	if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &n) < 0)
		return;
	struct ticket *t = &s->tickets[s->next_ticket++ % TICKETS_MAX]; /* the oldest gives way */
	random_hex(t->text);
	t->uid = cred.uid;
	t->pid = cred.pid;
	t->until_ms = loop_now_ms(s->loop) + TICKET_MS;
	name_of(cred.uid, t->user, sizeof(t->user));
	if (send(fd, t->text, 64, MSG_NOSIGNAL | MSG_DONTWAIT) != 64)
		t->text[0] = '\0';
}

void nano_server_redeem(struct nano_server *s, const char *ticket, struct nano_who *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->uid = ret->pid = -1;
	if (strlen(ticket) != 64)
		return;
	for (int i = 0; i < TICKETS_MAX; i++) {
		struct ticket *t = &s->tickets[i];

		if (!t->text[0] || sodium_memcmp(t->text, ticket, 64) != 0)
			continue;
		if (loop_now_ms(s->loop) <= t->until_ms) {
			ret->uid = t->uid;
			ret->pid = t->pid;
			(void)str_copy(ret->user, sizeof(ret->user), t->user);
		}
		t->text[0] = '\0';
		return;
	}
}

static int listen_tickets(struct nano_server *s, const char *path, unsigned mode, struct err *err)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	if ((size_t)snprintf(a.sun_path, sizeof(a.sun_path), "%s.ticket", path) >= sizeof(a.sun_path))
		return err_set(err, ERR_TOO_BIG, "socket path '%s' is too long", path);
	(void)str_copy(s->ticket_path, sizeof(s->ticket_path), a.sun_path);
	(void)unlink(a.sun_path);
	s->ticket_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s->ticket_fd < 0 || bind(s->ticket_fd, (const struct sockaddr *)&a, sizeof(a)) < 0 || chmod(a.sun_path, mode) < 0 ||
	    listen(s->ticket_fd, 64) < 0)
		return err_errno(err, ERR_IO, "cannot listen at '%s'", a.sun_path);
	s->ticket_poll = loop_poll_new(s->loop, s->ticket_fd, on_ticket, s);
	loop_poll_set(s->ticket_poll, LOOP_READABLE);
	return 0;
}

/* ---- requests -------------------------------------------------------------------------------------------- */

static bool one_request(struct nano_server *s)
{
	void *body = NULL, *control = NULL;
	struct nn_iovec iov = { &body, NN_MSG };
	struct nn_msghdr hdr = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = NN_MSG };
	struct nano_from from;
	int n = nn_recvmsg(s->sock, &hdr, NN_DONTWAIT);

	if (n < 0)
		return false;
	struct nn_cmsghdr *cm = NN_CMSG_FIRSTHDR(&hdr);
	size_t hops = 0;
	if (cm && cm->cmsg_type == SP_HDR && cm->cmsg_len > NN_CMSG_LEN(sizeof(size_t)))
		memcpy(&hops, NN_CMSG_DATA(cm), sizeof(hops));
	/* A deep stack of hops is nobody of ours: there is no device between. */
	if (hops > 0 && hops <= sizeof(from.hops) && cm->cmsg_len >= NN_CMSG_LEN(sizeof(size_t) + hops) && n <= MESSAGE_MAX) {
		memset(&from, 0, sizeof(from));
		memcpy(from.hops, NN_CMSG_DATA(cm) + sizeof(size_t), hops);
		from.n = (int)hops;
		AUTO_FREE char *text = xstrndup(body, (size_t)n);
		s->fn(s->arg, &from, text, strlen(text));
	}
	(void)nn_freemsg(body);
	(void)nn_freemsg(control);
	return true;
}

static void on_readable(void *arg, int events, bool failed)
{
	struct nano_server *s = arg;

	(void)events;
	(void)failed;
	for (int i = 0; i < DRAIN_AT_ONCE && one_request(s); i++)
		;
}

void nano_server_reply(struct nano_server *s, const struct nano_from *to, const char *text, size_t len)
{
	char control[128];
	struct nn_iovec iov = { (void *)(uintptr_t)text, len };
	struct nn_msghdr hdr = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control };
	struct nn_cmsghdr *cm = (struct nn_cmsghdr *)(void *)control;
	size_t n = (size_t)to->n;

	assert(len <= REPLY_MAX); /* the client would drop the connection */
	memset(control, 0, sizeof(control));
	cm->cmsg_level = PROTO_SP;
	cm->cmsg_type = SP_HDR;
	cm->cmsg_len = NN_CMSG_LEN(sizeof(size_t) + n);
	memcpy(NN_CMSG_DATA(cm), &n, sizeof(n));
	memcpy(NN_CMSG_DATA(cm) + sizeof(n), to->hops, n);
	hdr.msg_controllen = NN_CMSG_SPACE(sizeof(size_t) + n);
	(void)nn_sendmsg(s->sock, &hdr, NN_DONTWAIT); /* who has gone is not answered */
}

static int bind_socket(struct nano_server *s, const char *path, unsigned mode, struct err *err)
{
	AUTO_FREE char *url = xasprintf("ipc://%s", path);
	int max = MESSAGE_MAX + 1024, fd = -1;
	size_t n = sizeof(fd);
	mode_t old;

	s->sock = nn_socket(AF_SP_RAW, NN_REP);
	if (s->sock < 0 || nn_setsockopt(s->sock, NN_SOL_SOCKET, NN_RCVMAXSIZE, &max, sizeof(max)) < 0)
		return err_set(err, ERR_IO, "no socket: %s", nn_strerror(nn_errno()));
	old = umask((mode_t)(~mode & 0777u)); /* the only say nanomsg gives us */
	s->endpoint = nn_bind(s->sock, url);
	(void)umask(old);
	if (s->endpoint < 0)
		return err_set(err, ERR_IO, "cannot listen at '%s': %s", path, nn_strerror(nn_errno()));
	if (nn_getsockopt(s->sock, NN_SOL_SOCKET, NN_RCVFD, &fd, &n) < 0)
		return err_set(err, ERR_IO, "no descriptor of '%s': %s", path, nn_strerror(nn_errno()));
	s->poll = loop_poll_new(s->loop, fd, on_readable, s);
	loop_poll_set(s->poll, LOOP_READABLE); /* level-triggered: what is left wakes us again */
	return 0;
}

int nano_server_new(struct loop *l, const char *path, unsigned mode, nano_on_request *fn, void *arg, struct nano_server **ret, struct err *err)
{
	struct nano_server *s = xcalloc(1, sizeof(*s));

	s->loop = l;
	s->fn = fn;
	s->arg = arg;
	s->sock = s->ticket_fd = -1;
	if (sodium_init() < 0)
		abort();
	int rc = bind_socket(s, path, mode, err);
	if (rc == 0)
		rc = listen_tickets(s, path, mode, err);
	if (rc < 0) {
		nano_server_free(s);
		return rc;
	}
	*ret = s;
	return 0;
}

void nano_server_free(struct nano_server *s)
{
	if (!s)
		return;
	if (s->poll)
		loop_poll_free(s->poll);
	if (s->ticket_poll)
		loop_poll_free(s->ticket_poll);
	if (s->ticket_fd >= 0) {
		(void)close(s->ticket_fd);
		(void)unlink(s->ticket_path);
	}
	if (s->sock >= 0)
		(void)nn_close(s->sock);
	free(s);
}
