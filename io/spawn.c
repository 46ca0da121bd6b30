/* SPDX-License-Identifier: Apache-2.0 */
#include "io/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "common/xmem.h"

#define GRACE_MS 2000 /* between SIGTERM and SIGKILL */

static const char *const child_env[] = { "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", "LANG=C", "HOME=/root", NULL };

static int64_t now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_BOOTTIME, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void log_argv(const char *const argv[])
{
	AUTO_BUF struct buf b = BUF_INIT;

	for (int i = 0; argv[i]; i++)
		buf_printf(&b, "%s%s", i ? " " : "", argv[i]);
	log_info("run: %s", buf_str(&b));
}

struct child {
	pid_t pid;
	int in, out, err; /* our ends; -1 = closed */
};

static void close_fd(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

static int start(const char *const argv[], bool with_input, struct child *c, struct err *err)
{
	int in[2] = { -1, -1 }, out[2] = { -1, -1 }, er[2] = { -1, -1 };
	posix_spawn_file_actions_t fa;
	posix_spawnattr_t attr;
	sigset_t all, none;

	if ((with_input && pipe2(in, O_CLOEXEC) < 0) || pipe2(out, O_CLOEXEC) < 0 || pipe2(er, O_CLOEXEC) < 0) {
		int rc = err_errno(err, ERR_COMMAND_FAILED, "cannot make a pipe for '%s'", argv[0]);

		for (int i = 0; i < 2; i++) {
			close_fd(&in[i]);
			close_fd(&out[i]);
			close_fd(&er[i]);
		}
		return rc;
	}
	(void)posix_spawn_file_actions_init(&fa);
	if (with_input)
		(void)posix_spawn_file_actions_adddup2(&fa, in[0], 0);
	else
		(void)posix_spawn_file_actions_addopen(&fa, 0, "/dev/null", O_RDONLY, 0);
	(void)posix_spawn_file_actions_adddup2(&fa, out[1], 1);
	(void)posix_spawn_file_actions_adddup2(&fa, er[1], 2);
	(void)posix_spawnattr_init(&attr);
	(void)sigfillset(&all);
	(void)sigdelset(&all, SIGKILL);
	(void)sigemptyset(&none);
	(void)posix_spawnattr_setsigdefault(&attr, &all); /* SIGPIPE above all: we ignore it, children must not */
	(void)posix_spawnattr_setsigmask(&attr, &none);
	(void)posix_spawnattr_setpgroup(&attr, 0);
	(void)posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
	int rc = posix_spawnp(&c->pid, argv[0], &fa, &attr, (char *const *)(uintptr_t)argv, (char *const *)(uintptr_t)child_env);
	(void)posix_spawn_file_actions_destroy(&fa);
	(void)posix_spawnattr_destroy(&attr);
	close_fd(&in[0]);
	close_fd(&out[1]);
	close_fd(&er[1]);
	c->in = in[1];
	c->out = out[0];
	c->err = er[0];
	if (rc == 0)
		return 0;
	close_fd(&c->in);
	close_fd(&c->out);
	close_fd(&c->err);
	errno = rc;
	return err_errno(err, ERR_COMMAND_FAILED, "cannot start '%s'", argv[0]);
}

/* What is over the cap is read and dropped, so that the child can end. */
static void take(int *fd, struct buf *b)
{
	char chunk[16384];
	ssize_t n = read(*fd, chunk, sizeof(chunk));

	if (n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN)) {
		close_fd(fd);
		return;
	}
	if (n > 0 && b->len < RUNNER_OUTPUT_MAX) {
		size_t room = RUNNER_OUTPUT_MAX - b->len;

		if (buf_add(b, chunk, (size_t)n < room ? (size_t)n : room) < 0)
			return;
	}
}

static void give(struct child *c, const char **input)
{
	size_t left = strlen(*input);
	ssize_t n = left ? write(c->in, *input, left) : 0;

	if (n > 0)
		*input += n;
	if (!**input || (n < 0 && errno != EINTR && errno != EAGAIN))
		close_fd(&c->in);
}

static bool converse(struct child *c, const char *input, int64_t deadline, struct runner_result *ret)
{
	const char *rest = input ? input : "";

	if (c->in >= 0)
		(void)fcntl(c->in, F_SETFL, O_NONBLOCK);
	while (c->out >= 0 || c->err >= 0) {
		struct pollfd p[3] = { { c->out, POLLIN, 0 }, { c->err, POLLIN, 0 }, { c->in, POLLOUT, 0 } };
		int64_t left = deadline - now_ms();

		if (left <= 0)
			return false;
		int n = poll(p, 3, left > 1000 ? 1000 : (int)left);
		if (n < 0 && errno != EINTR)
			return false;
		if (n <= 0)
			continue;
		if (p[0].revents)
			take(&c->out, &ret->out);
		if (p[1].revents)
			take(&c->err, &ret->err);
		if (c->in >= 0 && p[2].revents)
			give(c, &rest);
	}
	return true;
}

static int status_of(int wstatus)
{
	return WIFEXITED(wstatus) ? WEXITSTATUS(wstatus) : 128 + WTERMSIG(wstatus);
}

/* Waits with a deadline: a child may close its output and go on. */
static bool reap(pid_t pid, int64_t deadline, int *ret_status)
{
	for (;;) {
		int wstatus = 0;
		pid_t done = waitpid(pid, &wstatus, WNOHANG);

		if (done == pid) {
			*ret_status = status_of(wstatus);
			return true;
		}
		if (done < 0 && errno != EINTR)
			return false;
		if (now_ms() >= deadline)
			return false;
		(void)poll(NULL, 0, 2);
	}
}

static int run(struct runner *r, const char *const argv[], const char *input, int timeout_ms, struct runner_result *ret, struct err *err)
{
	struct child c = { .in = -1, .out = -1, .err = -1 };
	int64_t deadline = now_ms() + timeout_ms;

	(void)r;
	memset(ret, 0, sizeof(*ret));
	ret->status = -1;
	ret->out.max_bytes = ret->err.max_bytes = RUNNER_OUTPUT_MAX + 1;
	log_argv(argv);
	int rc = start(argv, input != NULL, &c, err);
	if (rc < 0)
		return rc;
	bool ended = converse(&c, input, deadline, ret) && reap(c.pid, deadline, &ret->status);
	if (!ended) {
		(void)kill(-c.pid, SIGTERM);
		if (!reap(c.pid, now_ms() + GRACE_MS, &ret->status)) {
			(void)kill(-c.pid, SIGKILL);
			(void)reap(c.pid, now_ms() + GRACE_MS, &ret->status); /* in D state it stays: init reaps it one day */
		}
	}
	close_fd(&c.in);
	close_fd(&c.out);
	close_fd(&c.err);
	return ended ? 0 : err_set(err, ERR_TIMEOUT, "'%s' did not end within %d ms", argv[0], timeout_ms);
}

struct runner *spawn_runner(void)
{
	static struct runner runner = { .run = run };

	return &runner;
}
