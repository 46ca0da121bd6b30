/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Local requests: the real client against the real server, which runs on a loop in a thread of its own. What strangers write to
 * the socket, by hand, must not disturb anybody.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <errno.h>
#include <pthread.h>
#include <pwd.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/xmem.h"
#include "io/loop.h"
#include "io/nano.h"
#include "schema/limits.h"

#define CALL_MS 20000

struct rig {
	char dir[64], path[96];
	struct loop *loop;
	struct nano_server *server;
	pthread_t thread;
	/* owned by the loop's thread while it runs */
	int n_requests;
	size_t longest;
	struct nano_from held; /* "hold" is answered when "release" comes, and after that one */
};

static void answer(struct rig *r, const struct nano_from *to, const char *text)
{
	nano_server_reply(r->server, to, text, strlen(text));
}

static void on_request(void *arg, const struct nano_from *from, const char *text, size_t len)
{
	struct rig *r = arg;

	r->n_requests++;
	r->longest = len > r->longest ? len : r->longest;
	if (strncmp(text, "ticket ", 7) == 0) {
		struct nano_who who;
		char out[160];

		nano_server_redeem(r->server, text + 7, &who);
		(void)snprintf(out, sizeof(out), "%lld %s %s", (long long)who.uid, who.user, who.pid == getpid() ? "me" : "another");
		answer(r, from, out);
	} else if (strcmp(text, "hold") == 0) {
		r->held = *from;
	} else if (strcmp(text, "release") == 0) {
		answer(r, from, "released");
		answer(r, &r->held, "late");
	} else if (strcmp(text, "silence") != 0) {
		answer(r, from, text);
	}
}

static void *serve(void *arg)
{
	struct rig *r = arg;

	loop_run(r->loop);
	return NULL;
}

static void end(void *arg)
{
	loop_stop(((struct rig *)arg)->loop);
}

static void rig_up(struct rig *r)
{
	struct err err = ERR_INIT;

	memset(r, 0, sizeof(*r));
	(void)snprintf(r->dir, sizeof(r->dir), "/tmp/gantry-nano.XXXXXX");
	assert_non_null(mkdtemp(r->dir));
	(void)snprintf(r->path, sizeof(r->path), "%s/sock", r->dir);
	r->loop = loop_new();
	if (nano_server_new(r->loop, r->path, 0660, on_request, r, &r->server, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(pthread_create(&r->thread, NULL, serve, r), 0);
}

static void rig_down(struct rig *r)
{
	loop_post(r->loop, end, r);
	assert_int_equal(pthread_join(r->thread, NULL), 0);
	nano_server_free(r->server);
	loop_free(r->loop);
	(void)unlink(r->path);
	assert_int_equal(rmdir(r->dir), 0); /* nothing is left behind */
}

static struct nano_client *dial(const struct rig *r)
{
	struct nano_client *c = NULL;
	struct err err = ERR_INIT;

	if (nano_client_open(r->path, &c, &err) < 0)
		fail_msg("%s", err.msg);
	return c;
}

static void assert_echo(struct nano_client *c, const char *text)
{
	char *out = NULL;
	struct err err = ERR_INIT;

	if (nano_client_call(c, text, CALL_MS, &out, &err) < 0)
		fail_msg("%s", err.msg);
	assert_string_equal(out, text);
	free(out);
}

static void requests_are_answered(void **state)
{
	struct rig r;

	(void)state;
	rig_up(&r);
	AUTO(nano_client_close) struct nano_client *a = dial(&r), *b = dial(&r);
	for (int i = 0; i < 50; i++) {
		assert_echo(a, "one");
		assert_echo(b, "two");
	}
	nano_client_close(TAKE(a));
	nano_client_close(TAKE(b));
	rig_down(&r);
	assert_int_equal(r.n_requests, 100); /* none is executed twice */
}

static void an_answer_to_another_request_is_not_taken(void **state)
{
	struct rig r;
	char *out = NULL;
	struct err err = ERR_INIT;

	(void)state;
	rig_up(&r);
	AUTO(nano_client_close) struct nano_client *c = dial(&r);
	assert_int_equal(nano_client_call(c, "hold", 300, &out, &err), -ERR_TIMEOUT);
	assert_int_equal(nano_client_call(c, "release", CALL_MS, &out, &err), 0);
	assert_string_equal(out, "released");
	free(out);
	assert_echo(c, "next"); /* the late answer to "hold" lies in between */
	nano_client_close(TAKE(c));
	rig_down(&r);
}

static void silence_is_a_time_out(void **state)
{
	struct rig r;
	char *out = NULL;
	struct err err = ERR_INIT;

	(void)state;
	rig_up(&r);
	AUTO(nano_client_close) struct nano_client *c = dial(&r);
	assert_int_equal(nano_client_call(c, "silence", 200, &out, &err), -ERR_TIMEOUT);
	assert_null(out);
	nano_client_close(TAKE(c));
	rig_down(&r);
	assert_int_equal(r.n_requests, 1); /* and it is not sent again by itself */
}

static void the_largest_message_passes_and_no_larger_one(void **state)
{
	struct rig r;
	char *out = NULL;
	struct err err = ERR_INIT;
	AUTO_FREE char *text = xcalloc(1, MESSAGE_MAX + 2);

	(void)state;
	rig_up(&r);
	AUTO(nano_client_close) struct nano_client *c = dial(&r);
	memset(text, 'x', MESSAGE_MAX);
	assert_echo(c, text);
	text[MESSAGE_MAX] = 'x';
	assert_int_equal(nano_client_call(c, text, CALL_MS, &out, &err), -ERR_TOO_BIG);
	assert_echo(c, "still there");
	nano_client_close(TAKE(c));
	rig_down(&r);
	assert_int_equal(r.longest, MESSAGE_MAX);
}

/* ---- strangers ------------------------------------------------------------------------------------------------- */

static int by_hand(const struct rig *r, const char *suffix, int type)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	(void)snprintf(a.sun_path, sizeof(a.sun_path), "%.90s%s", r->path, suffix);
	assert_int_equal(connect(fd, (const struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

/* SP's greeting of a REQ, then messages on ipc: a byte 1, eight bytes of length, the message. */
static void junk_disturbs_nobody(void **state)
{
	static const struct {
		const char *bytes;
		size_t n;
	} junk[] = {
		{ "GET / HTTP/1.1\r\n\r\n", 18 },
		{ "\0SP\0\0\x30\0\0", 8 },                                                              /* greets and says nothing */
		{ "\0SP\0\0\x30\0\0\x01\0\0\0\0\0\0\0\0", 17 },                                         /* an empty message */
		{ "\0SP\0\0\x30\0\0\x01\0\0\0\0\0\0\0\x04\0\0\0\x01", 21 },                             /* an id without its mark */
		{ "\0SP\0\0\x30\0\0\x01\0\0\0\0\0\0\0\x04\x80\0\0\x01", 21 },                           /* an id and no body */
		{ "\0SP\0\0\x30\0\0\x01\x7f\xff\xff\xff\xff\xff\xff\xff", 17 },                         /* a length past all bounds */
		{ "\0SP\0\0\x30\0\0\x01\0\0\0\0\0\0\0\x18\0\0\0\1\0\0\0\2\0\0\0\3\0\0\0\4\0\0\0\5\0\0\0\6", 41 }, /* hops without end */
	};
	struct rig r;

	(void)state;
	rig_up(&r);
	AUTO(nano_client_close) struct nano_client *c = dial(&r);
	assert_echo(c, "before");
	for (size_t i = 0; i < ARRAY_SIZE(junk); i++) {
		int fd = by_hand(&r, "", SOCK_STREAM);

		assert_int_equal(send(fd, junk[i].bytes, junk[i].n, MSG_NOSIGNAL), (ssize_t)junk[i].n);
		assert_echo(c, "meanwhile");
		(void)close(fd);
		assert_echo(c, "afterwards");
	}
	nano_client_close(TAKE(c));
	rig_down(&r);
}

/* ---- who it was, who may ------------------------------------------------------------------------------------------ */

static void a_ticket_says_who_once(void **state)
{
	struct rig r;
	char *out = NULL, want[128];
	struct err err = ERR_INIT;
	const struct passwd *pw = getpwuid(getuid());

	(void)state;
	rig_up(&r);
	AUTO(nano_client_close) struct nano_client *c = dial(&r);
	assert_int_equal(strlen(nano_client_ticket(c)), 64);
	AUTO_FREE char *text = xasprintf("ticket %s", nano_client_ticket(c));
	assert_int_equal(nano_client_call(c, text, CALL_MS, &out, &err), 0);
	if (pw)
		(void)snprintf(want, sizeof(want), "%u %s me", (unsigned)getuid(), pw->pw_name);
	else
		(void)snprintf(want, sizeof(want), "%u uid%u me", (unsigned)getuid(), (unsigned)getuid());
	assert_string_equal(out, want);
	free(out);
	static const char *const worthless[] = { "ticket ", "ticket 0123", NULL };
	for (int i = 0; i < 3; i++) {
		assert_int_equal(nano_client_call(c, i < 2 ? worthless[i] : text, CALL_MS, &out, &err), 0);
		assert_string_equal(out, "-1  another"); /* the good one is used up */
		free(out);
	}
	AUTO_FREE char *zeros = xasprintf("ticket %064d", 0);
	assert_int_equal(nano_client_call(c, zeros, CALL_MS, &out, &err), 0);
	assert_string_equal(out, "-1  another");
	free(out);
	nano_client_close(TAKE(c));
	rig_down(&r);
}

static void tickets_that_nobody_fetches_do_no_harm(void **state)
{
	struct rig r;

	(void)state;
	rig_up(&r);
	for (int i = 0; i < 600; i++) /* more than are kept */
		(void)close(by_hand(&r, ".ticket", SOCK_SEQPACKET));
	AUTO(nano_client_close) struct nano_client *c = dial(&r);
	assert_echo(c, "x");
	assert_int_equal(strlen(nano_client_ticket(c)), 64);
	nano_client_close(TAKE(c));
	rig_down(&r);
}

static void the_socket_has_the_mode_that_was_asked_for(void **state)
{
	struct stat st;
	struct rig r;

	(void)state;
	rig_up(&r);
	assert_int_equal(stat(r.path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0660);
	AUTO_FREE char *ticket = xasprintf("%s.ticket", r.path);
	assert_int_equal(stat(ticket, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0660);
	rig_down(&r);
}

static void no_daemon_is_said_so(void **state)
{
	struct nano_client *c = NULL;
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(nano_client_open("/tmp/gantry-nano-nowhere/sock", &c, &err), -ERR_NO_DAEMON);
	assert_null(c);
	assert_non_null(strstr(err.msg, "/tmp/gantry-nano-nowhere/sock"));
}

static void a_path_too_long_is_an_error(void **state)
{
	struct loop *l = loop_new();
	struct nano_server *s = NULL;
	struct err err = ERR_INIT;
	char path[200];

	(void)state;
	memset(path, 'x', sizeof(path));
	memcpy(path, "/tmp/", 5);
	path[sizeof(path) - 1] = '\0';
	assert_true(nano_server_new(l, path, 0600, on_request, NULL, &s, &err) < 0);
	assert_null(s);
	assert_true(err.msg[0] != '\0');
	loop_free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_are_answered),
		cmocka_unit_test(an_answer_to_another_request_is_not_taken),
		cmocka_unit_test(silence_is_a_time_out),
		cmocka_unit_test(the_largest_message_passes_and_no_larger_one),
		cmocka_unit_test(junk_disturbs_nobody),
		cmocka_unit_test(a_ticket_says_who_once),
		cmocka_unit_test(tickets_that_nobody_fetches_do_no_harm),
		cmocka_unit_test(the_socket_has_the_mode_that_was_asked_for),
		cmocka_unit_test(no_daemon_is_said_so),
		cmocka_unit_test(a_path_too_long_is_an_error),
	};

	(void)signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
