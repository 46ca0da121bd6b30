/* SPDX-License-Identifier: Apache-2.0 */
/* What systemd hears: the datagram as it is, at a path and at an abstract name; and nothing where nobody listens. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "io/notify.h"

static int listen_at(const char *name)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	size_t len = strlen(name);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_true(fd >= 0 && len < sizeof(a.sun_path));
	memcpy(a.sun_path, name, len);
	if (name[0] == '@')
		a.sun_path[0] = '\0';
	assert_int_equal(bind(fd, (const struct sockaddr *)&a, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + (name[0] == '/'))), 0);
	assert_int_equal(setenv("NOTIFY_SOCKET", name, 1), 0);
	return fd;
}

static void hears(int fd, const char *text)
{
	char got[64] = "";
	ssize_t n = recv(fd, got, sizeof(got) - 1, 0); /* a datagram is there when sendto() has returned */

	assert_int_equal(n, (ssize_t)strlen(text));
	assert_string_equal(got, text);
	assert_true(recv(fd, got, sizeof(got), 0) < 0); /* and only one */
}

static void at_a_path(void **state)
{
	char dir[] = "/tmp/gantry-notify.XXXXXX", path[64];

	(void)state;
	assert_non_null(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/notify", dir);
	int fd = listen_at(path);
	notify_manager("READY=1");
	hears(fd, "READY=1");
	notify_manager("WATCHDOG=1");
	hears(fd, "WATCHDOG=1");
	(void)close(fd);
	notify_manager("STOPPING=1"); /* the manager has gone: nothing happens */
	(void)unlink(path);
	(void)rmdir(dir);
}

static void at_an_abstract_name(void **state)
{
	char name[64];

	(void)state;
	(void)snprintf(name, sizeof(name), "@gantry-notify-%d", (int)getpid());
	int fd = listen_at(name);
	notify_manager("READY=1");
	hears(fd, "READY=1");
	(void)close(fd);
}

static void nobody_or_nonsense(void **state)
{
	char much[200];

	(void)state;
	(void)unsetenv("NOTIFY_SOCKET");
	notify_manager("READY=1");
	memset(much, 'x', sizeof(much));
	much[0] = '/';
	much[sizeof(much) - 1] = '\0';
	const char *const bad[] = { "", "/", "@", "relative", "vsock:2:1234", much };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(setenv("NOTIFY_SOCKET", bad[i], 1), 0);
		notify_manager("READY=1");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(at_a_path),
		cmocka_unit_test(at_an_abstract_name),
		cmocka_unit_test(nobody_or_nonsense),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
