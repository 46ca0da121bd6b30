/* SPDX-License-Identifier: Apache-2.0 */
/* What a link carries and how it ends, also when the peer misbehaves. It looks inside links (io/link_inside.h) to do that. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/xmem.h"
#include "io/link_inside.h"
#include "io/loop.h"
#include "tests/unit/link_rig.h"

/*
 * How much memory is in use. Sanitizers keep freed memory back for a while (ASan: 256 MB of quarantine), so the process'
 * size says nothing in their builds; their own count of what is allocated does, and is held to the same bounds.
 */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifdef SANITIZED
#include <sanitizer/allocator_interface.h>
#endif

/* ---- frames ---------------------------------------------------------------------------------------------------- */

static void big_frames_pass_whole(void **state)
{
	struct rig r;

	rig_up(&r, state, false);
	r.s.echo = true;
	struct link *k = dial(&r);
	must(&r, &r.c.opened, 1);
	AUTO_FREE char *big = xcalloc(1, (size_t)FRAME_MAX + 2);
	for (size_t i = 0; i < FRAME_MAX + 1; i++)
		big[i] = (char)('a' + (i * 31 + i / 977) % 26);
	static const size_t sizes[] = { 1, 16379, 16380, 16381, 16384, 32764, 32765, 1000000, FRAME_MAX };
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		assert_int_equal(link_send(k, big, sizes[i]), 0);
		must(&r, &r.c.frames, (int)i + 1);
		assert_int_equal(strlen(r.c.text), sizes[i]);
		assert_memory_equal(r.c.text, big, sizes[i]);
	}
	assert_int_equal(link_send(k, big, (size_t)FRAME_MAX + 1), -ERR_TOO_BIG);
	assert_int_equal(link_send(k, "still", 5), 0);
	must(&r, &r.c.frames, (int)ARRAY_SIZE(sizes) + 1);
	rig_down(&r);
}

static void many_small_frames_keep_their_order(void **state)
{
	const int n = 30000;
	struct rig r;

	rig_up(&r, state, false);
	r.s.numbered = r.s.echo = r.c.numbered = true;
	struct link *k = dial(&r);
	must(&r, &r.c.opened, 1);
	for (int i = 0; i < n; i++) {
		char text[16];

		assert_int_equal(link_send(k, text, (size_t)snprintf(text, sizeof(text), "%d", i)), 0);
	}
	must(&r, &r.c.frames, n);
	assert_int_equal(r.s.out_of_order + r.c.out_of_order, 0);
	rig_down(&r);
}

/* Frames that link_send() would not make, in good TLS records. */
static void bad_frames_end_the_link(void **state)
{
	static const struct {
		const char *head;
		int code;
	} row[] = { { "\xff\xff\xff\xff", ERR_TOO_BIG }, { "\x00\x40\x00\x01", ERR_TOO_BIG }, { "\0\0\0\0", ERR_BAD_REQUEST } };
	struct rig r;

	rig_up(&r, state, false);
	for (size_t i = 0; i < ARRAY_SIZE(row); i++) {
		struct link *k = dial(&r);

		must(&r, &r.c.opened, (int)i + 1);
		assert_int_equal(gnutls_record_send(k->session, row[i].head, 4), 4);
		assert_int_equal(link_send(k, "x", 1), 0);
		must(&r, &r.s.closed, (int)i + 1);
		assert_int_equal(r.s.why.code, row[i].code);
		must(&r, &r.c.closed, (int)i + 1);
		assert_int_equal(r.c.why.code, ERR_NODE_DOWN);
	}
	assert_int_equal(r.s.frames, 0);
	rig_down(&r);
}

static void a_peer_that_does_not_read_is_cut_off(void **state)
{
	struct rig r;
	size_t sent = 0;
	int rc = 0;

	rig_up(&r, state, false);
	struct link *k = dial(&r);
	must(&r, &r.s.opened, 1);
	must(&r, &r.c.opened, 1);
	(void)uv_read_stop((uv_stream_t *)&k->tcp);
	AUTO_FREE char *text = xcalloc(1, 1024 * 1024);
	memset(text, 'y', 1024 * 1024);
	for (int i = 0; i < 100 && rc == 0; i++) {
		struct link *s = r.s.link;

		rc = link_send(s, text, 1024 * 1024);
		sent += rc == 0 ? 1024 * 1024 : 0;
		if (rc == 0)
			run_ms(&r, 1);
	}
	assert_int_equal(rc, -ERR_TOO_BIG);
	assert_true(sent >= 15 * 1024 * 1024);
	assert_true(sent < 40 * 1024 * 1024); /* the kernel's buffers have some too */
	assert_int_equal(r.s.closed, 0);
	must(&r, &r.s.closed, 1);
	assert_int_equal(r.s.why.code, ERR_TOO_BIG);
	rig_down(&r);
}

static void what_was_queued_before_the_close_arrives(void **state)
{
	struct rig r;

	rig_up(&r, state, false);
	struct link *k = dial(&r);
	must(&r, &r.c.opened, 1);
	AUTO_FREE char *text = xcalloc(1, FRAME_MAX);
	memset(text, 'z', FRAME_MAX);
	assert_int_equal(link_send(k, text, FRAME_MAX), 0);
	assert_int_equal(link_send(k, text, FRAME_MAX), 0);
	assert_int_equal(link_send(k, "last", 4), 0);
	link_close(k);
	link_close(k); /* twice is once */
	assert_int_equal(link_send(k, "late", 4), -ERR_NODE_DOWN);
	must(&r, &r.s.closed, 1);
	assert_int_equal(r.s.frames, 3);
	assert_string_equal(r.s.text, "last");
	must(&r, &r.c.closed, 1);
	rig_down(&r);
	assert_int_equal(r.c.closed, 1);
}

/* Its owner may go at once: closed() would find it freed. Also when the close was due already. */
static void a_forgotten_link_tells_nobody(void **state)
{
	struct rig r;

	for (int due = 0; due < 2; due++) {
		rig_up(&r, state, false);
		struct link *k = dial(&r);
		must(&r, &r.c.opened, 1);
		if (due)
			link_close(k);
		link_forget(k);
		r.c.link = NULL;
		must(&r, &r.s.closed, 1); /* the peer is told */
		rig_down(&r);
		assert_int_equal(r.c.closed, 0);
	}
}

/* ---- peers that misbehave -------------------------------------------------------------------------------------- */

/* A process of its own that opens a link and is then killed. */
static void a_killed_peer_is_noticed_at_once(void **state)
{
	struct rig r;

	rig_up(&r, state, false);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct loop *l = loop_new();
		struct end e = { .opened = 0 };

		(void)link_dial(l, "127.0.0.1", r.port, "", r.tls_b, "", &rig_callbacks, &e);
		loop_run(l);
		_exit(0);
	}
	must(&r, &r.s.opened, 1);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	must(&r, &r.s.closed, 1);
	assert_int_equal(r.s.why.code, ERR_NODE_DOWN);
	rig_down(&r);
}

static int raw_connect(int port)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	return fd;
}

/* Sends as the server takes it; ends when all is sent or the server has closed. */
static void pour(struct rig *r, int fd, const char *data, size_t len)
{
	size_t done = 0;

	for (int i = 0; i < 2000 && done < len; i++) {
		ssize_t n = send(fd, data + done, len - done, MSG_NOSIGNAL);

		if (n > 0)
			done += (size_t)n;
		else if (errno != EAGAIN)
			return;
		run_ms(r, 1);
	}
}

static long memory_kib(void)
{
#ifdef SANITIZED
	return (long)(__sanitizer_get_current_allocated_bytes() / 1024);
#else
	long pages = 0, total = 0;
	FILE *f = fopen("/proc/self/statm", "re");

	if (f && fscanf(f, "%ld %ld", &total, &pages) != 2)
		pages = 0;
	if (f)
		(void)fclose(f);
	return pages * 4;
#endif
}

static void junk_is_thrown_out(void **state)
{
	const size_t size = 10 * 1024 * 1024;
	AUTO_FREE char *junk = xcalloc(1, size);
	struct rig r;
	uint64_t x = 88172645463325252ULL;

	for (size_t i = 0; i < size; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		junk[i] = (char)x;
	}
	rig_up(&r, state, false);
	(void)dial(&r); /* lives through it */
	must(&r, &r.s.opened, 1);
	long before = memory_kib();
	/* The first bytes decide how far it gets: noise, a whole record, a handshake record that never ends, HTTP. */
	static const char *const starts[] = { "", "\x16\x03\x01\x40\x00\x01\x00\x3f\xfc\x03\x03", "\x16\x03\x01\x3f\xff\x01\xff\xff\xff",
					      "GET / HTTP/1.1\r\n\r\n", "\x15\x03\x03\x00\x02\x01\x00", "\x17\x03\x03\x40\x00" };
	static const size_t lens[] = { 0, 11, 9, 18, 7, 5 };
	for (size_t i = 0; i < ARRAY_SIZE(starts); i++) {
		int fd = raw_connect(r.port);

		memcpy(junk, starts[i], lens[i]);
		pour(&r, fd, junk, size);
		must(&r, &r.s.closed, (int)i + 1);
		assert_true(r.s.why.code == ERR_TLS || r.s.why.code == ERR_NODE_DOWN);
		(void)close(fd);
	}
	run_ms(&r, 1200); /* lingering */
	long grown = memory_kib() - before;
	assert_true(grown < 32 * 1024);
	assert_int_equal(r.s.opened, 1);
	assert_int_equal(link_send(r.c.link, "alive", 5), 0);
	must(&r, &r.s.frames, 1);
	rig_down(&r);
}

static void junk_in_an_open_link_ends_it(void **state)
{
	struct rig r;
	char junk[3000];

	memset(junk, 0x17, sizeof(junk));
	rig_up(&r, state, false);
	struct link *k = dial(&r);
	must(&r, &r.s.opened, 1);
	must(&r, &r.c.opened, 1);
	uv_buf_t b = uv_buf_init(junk, sizeof(junk));
	assert_int_equal(uv_try_write((uv_stream_t *)&k->tcp, &b, 1), sizeof(junk));
	must(&r, &r.s.closed, 1);
	assert_int_equal(r.s.why.code, ERR_TLS);
	must(&r, &r.c.closed, 1);
	rig_down(&r);
}

struct drip {
	int fd;
	int n;
};

static void drip(void *arg)
{
	struct drip *d = arg;
	/* The head of a ClientHello's record: good as far as it goes. */
	static const char hello[] = { 0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, (char)0xfc, 0x03, 0x03 };

	(void)send(d->fd, d->n < (int)sizeof(hello) ? hello + d->n : "x", 1, MSG_NOSIGNAL);
	d->n++;
}

static void who_dawdles_is_closed_after_five_seconds(void **state)
{
	struct rig r;

	rig_up(&r, state, false);
	int silent = raw_connect(r.port);
	struct drip d = { .fd = raw_connect(r.port) };
	struct loop_timer *t = loop_timer_new(r.loop, drip, &d);
	loop_timer_start(t, 0, 100);
	r.s.echo = true;
	run_ms(&r, 500);
	/* Meanwhile others are served. */
	int64_t from = loop_now_ms(r.loop);
	(void)dial(&r);
	must(&r, &r.c.opened, 1);
	assert_int_equal(link_send(r.c.link, "x", 1), 0);
	must(&r, &r.c.frames, 1);
	assert_true(loop_now_ms(r.loop) - from < 1000);
	assert_int_equal(r.s.closed, 0);
	must(&r, &r.s.closed, 2);
	assert_in_range(loop_now_ms(r.loop) - from, 3500, 6500);
	assert_int_equal(r.s.why.code, ERR_TIMEOUT);
	assert_non_null(strstr(r.s.why.msg, "5 s"));
	loop_timer_free(t);
	(void)close(silent);
	(void)close(d.fd);
	rig_down(&r);
}

/* A server that accepts (the kernel does) and never answers. */
static void dialling_has_a_deadline(void **state)
{
	struct rig r;
	struct sockaddr_in at = { .sin_family = AF_INET };
	socklen_t n = sizeof(at);

	rig_up(&r, state, false);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &n), 0);
	(void)link_dial(r.loop, "127.0.0.1", ntohs(at.sin_port), "", r.tls_b, "", &rig_callbacks, &r.c);
	int64_t from = loop_now_ms(r.loop);
	must(&r, &r.c.closed, 1);
	assert_in_range(loop_now_ms(r.loop) - from, 4900, 6500);
	assert_int_equal(r.c.why.code, ERR_TIMEOUT);
	(void)close(fd);
	rig_down(&r);
}

static void a_node_gets_in_though_strangers_hold_all_places(void **state)
{
	enum { STRANGERS = LINK_CONNECTIONS_MAX + 20 };
	struct rlimit files = { 4096, 4096 }, before;
	struct rig r;
	int *fd = xcalloc(STRANGERS, sizeof(*fd));

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	if (files.rlim_max < before.rlim_max)
		files.rlim_max = before.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
	rig_up(&r, state, false);
	(void)dial(&r);
	must(&r, &r.s.opened, 1);
	struct link *first = r.s.link;
	for (int i = 0; i < STRANGERS; i++) {
		fd[i] = raw_connect(r.port);
		if (i % 64 == 0)
			run_ms(&r, 2);
	}
	run_ms(&r, 50);
	assert_true(r.s.closed >= 20); /* the oldest went */
	assert_ptr_equal(r.s.link, first); /* the node did not */
	(void)dial(&r);
	must(&r, &r.s.opened, 2);
	assert_non_null(r.s.link);
	for (int i = 0; i < STRANGERS; i++)
		(void)close(fd[i]);
	must(&r, &r.s.closed, STRANGERS);
	free(fd);
	rig_down(&r);
}

/* ---- addresses and ends ---------------------------------------------------------------------------------------- */

static void a_link_goes_out_from_the_local_address(void **state)
{
	struct rig r;

	rig_up(&r, state, false);
	(void)link_dial(r.loop, "127.0.0.1", r.port, "127.0.0.9", r.tls_b, "", &rig_callbacks, &r.c);
	must(&r, &r.s.opened, 1);
	assert_string_equal(r.s.remote, "127.0.0.9");
	assert_string_equal(r.c.remote, "127.0.0.1");
	rig_down(&r);
}

static void dialling_nowhere_ends_in_closed(void **state)
{
	static const struct {
		const char *address, *local;
		int port, code;
	} row[] = {
		{ "127.0.0.1", "", 1, ERR_NODE_DOWN },          { "localhost", "", 1, ERR_BAD_VALUE },
		{ "", "", 1, ERR_BAD_VALUE },                   { "127.0.0.1", "", 70000, ERR_BAD_VALUE },
		{ "127.0.0.1", "192.0.2.1", 1, ERR_NODE_DOWN }, { "127.0.0.1", "x", 1, ERR_BAD_VALUE },
	};
	struct rig r;

	rig_up(&r, state, false);
	for (size_t i = 0; i < ARRAY_SIZE(row); i++) {
		assert_non_null(link_dial(r.loop, row[i].address, row[i].port, row[i].local, r.tls_b, "", &rig_callbacks, &r.c));
		assert_int_equal(r.c.closed, i); /* not from within */
		must(&r, &r.c.closed, (int)i + 1);
		assert_int_equal(r.c.why.code, row[i].code);
	}
	struct link *k = dial(&r);
	link_close(k); /* before it is connected */
	must(&r, &r.c.closed, (int)ARRAY_SIZE(row) + 1);
	assert_int_equal(r.c.why.code, ERR_CANCELED);
	assert_int_equal(r.c.opened, 0);
	rig_down(&r);
}

static void a_port_in_use_is_an_error_with_a_hint(void **state)
{
	struct rig r;
	struct link_server *second = NULL;
	struct err err = ERR_INIT;

	rig_up(&r, state, false);
	assert_int_equal(link_server_new(r.loop, "", r.port, r.tls_a, false, &rig_callbacks, &r.s, &second, &err), -ERR_IO);
	assert_non_null(strstr(err.msg, "cannot listen"));
	assert_int_equal(link_server_new(r.loop, "192.0.2.1", 0, r.tls_a, false, &rig_callbacks, &r.s, &second, &err), -ERR_IO);
	assert_int_equal(link_server_new(r.loop, "n1", 0, r.tls_a, false, &rig_callbacks, &r.s, &second, &err), -ERR_BAD_VALUE);
	assert_null(second);
	rig_down(&r);
}

static void freeing_the_server_closes_its_links(void **state)
{
	struct rig r;

	rig_up(&r, state, false);
	(void)dial(&r);
	int fd = raw_connect(r.port);
	must(&r, &r.s.opened, 1);
	run_ms(&r, 10);
	link_server_free(r.server);
	r.server = NULL;
	assert_int_equal(r.s.closed, 2); /* before it returned */
	assert_int_equal(r.s.why.code, ERR_CANCELED);
	must(&r, &r.c.closed, 1);
	assert_int_equal(r.s.closed, 2);
	(void)close(fd);
	rig_down(&r);
}

static void the_server_may_be_freed_from_within_a_frame(void **state)
{
	struct rig r;

	rig_up(&r, state, false);
	struct link *k = dial(&r);
	must(&r, &r.s.opened, 1);
	must(&r, &r.c.opened, 1);
	r.s.free_at_frame = r.server;
	r.server = NULL;
	for (int i = 0; i < 100; i++)
		assert_int_equal(link_send(k, "x", 1), 0);
	must(&r, &r.s.closed, 1);
	assert_int_equal(r.s.frames, 1);
	must(&r, &r.c.closed, 1);
	rig_down(&r);
}

static void nothing_leaks_over_many_links(void **state)
{
	struct rig r;
	long before = 0;

	rig_up(&r, state, false);
	for (int i = 0; i < 300; i++) {
		struct link *k = dial(&r);

		must(&r, &r.c.opened, i + 1);
		link_close(k);
		must(&r, &r.c.closed, i + 1);
		if (i == 100)
			before = memory_kib();
	}
	must(&r, &r.s.closed, 300);
	assert_true(memory_kib() - before < 4096);
	rig_down(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(big_frames_pass_whole),
		cmocka_unit_test(many_small_frames_keep_their_order),
		cmocka_unit_test(bad_frames_end_the_link),
		cmocka_unit_test(a_peer_that_does_not_read_is_cut_off),
		cmocka_unit_test(what_was_queued_before_the_close_arrives),
		cmocka_unit_test(a_forgotten_link_tells_nobody),
		cmocka_unit_test(a_killed_peer_is_noticed_at_once),
		cmocka_unit_test(junk_is_thrown_out),
		cmocka_unit_test(junk_in_an_open_link_ends_it),
		cmocka_unit_test(who_dawdles_is_closed_after_five_seconds),
		cmocka_unit_test(dialling_has_a_deadline),
		cmocka_unit_test(a_node_gets_in_though_strangers_hold_all_places),
		cmocka_unit_test(a_link_goes_out_from_the_local_address),
		cmocka_unit_test(dialling_nowhere_ends_in_closed),
		cmocka_unit_test(a_port_in_use_is_an_error_with_a_hint),
		cmocka_unit_test(freeing_the_server_closes_its_links),
		cmocka_unit_test(the_server_may_be_freed_from_within_a_frame),
		cmocka_unit_test(nothing_leaks_over_many_links),
	};

	(void)signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, rig_set_up, rig_tear_down);
}
