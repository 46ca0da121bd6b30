/* SPDX-License-Identifier: Apache-2.0 */
#include "io/spawn.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "common/xmem.h"

#define TERM_MS 2000 /* after the deadline: from SIGTERM to SIGKILL; LVM needs it to leave no device suspended */
#define KILL_MS 5000 /* from SIGKILL until the child is left alone: it hangs in the kernel */
#define DRAIN_BYTES_MAX ((size_t)1024 * 1024)
#define LOST_MAX 64

/* Children that even SIGKILL did not end in time; reaped when they do. */
struct spawn {
	struct runner runner; /* first */
	pthread_mutex_t lock;
	pid_t lost[LOST_MAX];
	int n_lost;
};

struct child {
	pid_t pid;
	int pidfd;
	int out, err; /* our ends, -1 = at the end */
	bool ended;
};

static int64_t now_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_BOOTTIME, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* ---- children left behind ------------------------------------------------------------------------------------ */

static void lost_add(struct spawn *s, pid_t pid)
{
	(void)pthread_mutex_lock(&s->lock);
	if (s->n_lost < LOST_MAX)
		s->lost[s->n_lost++] = pid;
	(void)pthread_mutex_unlock(&s->lock);
}

static void lost_reap(struct spawn *s)
{
	int kept = 0;

	(void)pthread_mutex_lock(&s->lock);
	for (int i = 0; i < s->n_lost; i++)
		if (waitpid(s->lost[i], NULL, WNOHANG) == 0)
			s->lost[kept++] = s->lost[i];
	s->n_lost = kept;
	(void)pthread_mutex_unlock(&s->lock);
}

/* ---- start --------------------------------------------------------------------------------------------------- */

static int start_error(struct err *err, const char *name, int number, const char *what)
{
	errno = number;
	return err_errno(err, ERR_COMMAND_FAILED, "cannot start '%s': %s", name, what);
}

/* posix_spawnp() would look in the daemon's own PATH. */
static char *find_program(const char *name)
{
	static const char *const dirs[] = { "/usr/sbin", "/usr/bin", "/sbin", "/bin" };

	if (strchr(name, '/'))
		return xstrdup(name);
	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		AUTO_FREE char *path = xasprintf("%s/%s", dirs[i], name);

		if (access(path, X_OK) == 0)
			return TAKE(path);
	}
	return NULL;
}

/* A memory file: unlike a pipe it needs no feeding, raises no SIGPIPE, and /dev/stdin can be opened again. */
static int make_input(const char *input)
{
	AUTO_FD int fd = input ? memfd_create("input", MFD_CLOEXEC) : open("/dev/null", O_RDONLY | O_CLOEXEC);
	size_t len = input ? strlen(input) : 0;

	for (size_t done = 0; fd >= 0 && done < len;) {
		ssize_t n = write(fd, input + done, len - done);

		if (n < 0 && errno != EINTR)
			return -1;
		done += n > 0 ? (size_t)n : 0;
	}
	if (fd >= 0 && input && lseek(fd, 0, SEEK_SET) < 0)
		return -1;
	return TAKE_FD(fd);
}

/* A descriptor that is no stdin, stdout or stderr, whatever of these was closed: dup2 in the child must not hit it. */
static int above_stdio(int fd)
{
	if (fd < 0 || fd > 2)
		return fd;
	int up = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	(void)close(fd);
	return up;
}

static int make_output(int *ret_read, int *ret_write)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -1;
	*ret_read = above_stdio(ends[0]);
	*ret_write = above_stdio(ends[1]);
	if (*ret_read < 0 || *ret_write < 0)
		return -1;
	return fcntl(*ret_read, F_SETFL, O_NONBLOCK); /* ours only: the writer has a file description of its own */
}

static int spawn_it(const char *path, const char *const argv[], int in, int out, int errfd, pid_t *ret_pid)
{
	static const char *const env[] = { "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", NULL };
	posix_spawn_file_actions_t fa;
	posix_spawnattr_t attr;
	sigset_t none, all;

	(void)sigemptyset(&none);
	(void)sigfillset(&all); /* ignored signals (SIGPIPE) outlive exec; each child begins with the defaults */
	(void)sigdelset(&all, SIGKILL);
	(void)sigdelset(&all, SIGSTOP);
	(void)posix_spawn_file_actions_init(&fa);
	(void)posix_spawnattr_init(&attr);
	int rc = posix_spawn_file_actions_adddup2(&fa, in, 0);
	rc = rc ? rc : posix_spawn_file_actions_adddup2(&fa, out, 1);
	rc = rc ? rc : posix_spawn_file_actions_adddup2(&fa, errfd, 2);
	rc = rc ? rc : posix_spawn_file_actions_addclosefrom_np(&fa, 3); /* libraries' descriptors without CLOEXEC */
	rc = rc ? rc : posix_spawnattr_setsigmask(&attr, &none);
	rc = rc ? rc : posix_spawnattr_setsigdefault(&attr, &all);
	rc = rc ? rc : posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	rc = rc ? rc : posix_spawn(ret_pid, path, &fa, &attr, (char *const *)(uintptr_t)argv, (char *const *)(uintptr_t)env);
	(void)posix_spawn_file_actions_destroy(&fa);
	(void)posix_spawnattr_destroy(&attr);
	return rc;
}

static int start(struct child *c, const char *const argv[], const char *input, struct err *err)
{
	AUTO_FREE char *path = find_program(argv[0]);
	AUTO_FD int out = -1, errfd = -1;

	if (!path)
		return start_error(err, argv[0], ENOENT, "not in /usr/sbin, /usr/bin, /sbin, /bin");
	AUTO_FD int in = above_stdio(make_input(input));
	if (in < 0)
		return start_error(err, argv[0], errno, "no input");
	if (make_output(&c->out, &out) < 0 || make_output(&c->err, &errfd) < 0)
		return start_error(err, argv[0], errno, "no pipe");
	int rc = spawn_it(path, argv, in, out, errfd, &c->pid);
	if (rc != 0)
		return start_error(err, argv[0], rc, path);
	c->pidfd = pidfd_open(c->pid, 0);
	if (c->pidfd < 0) {
		rc = start_error(err, argv[0], errno, "no pidfd");
		(void)kill(-c->pid, SIGKILL);
		(void)waitpid(c->pid, NULL, 0);
	}
	return c->pidfd < 0 ? rc : 0;
}

/* ---- reading and waiting ------------------------------------------------------------------------------------- */

static void keep(struct buf *b, const char *data, size_t n)
{
	size_t room = b->max_bytes - b->len;

	if (buf_add(b, data, n < room ? n : room) < 0)
		b->max_bytes = b->len; /* no memory: keep what there is */
}

/* Reads what lies in the pipe, at most max bytes; the rest beyond the cap is dropped, so that the child never blocks. */
static void read_some(int *fd, struct buf *b, size_t max)
{
	char chunk[16384];

	while (*fd >= 0 && max > 0) {
		ssize_t n = read(*fd, chunk, sizeof(chunk));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			(void)close(*fd);
			*fd = -1;
			return;
		}
		keep(b, chunk, (size_t)n);
		max -= (size_t)n < max ? (size_t)n : max;
	}
}

/* Until the child has ended or the time has come; true = ended. */
static bool watch(struct child *c, struct runner_result *res, int64_t until_ms)
{
	while (!c->ended) {
		struct pollfd p[3] = { { .fd = c->pidfd, .events = POLLIN }, { .fd = c->out, .events = POLLIN }, { .fd = c->err, .events = POLLIN } };
		int64_t left = until_ms - now_ms();

		if (left <= 0)
			return false;
		int n = poll(p, 3, left > 60000 ? 60000 : (int)left);
		assert(n >= 0 || errno == EINTR || errno == ENOMEM);
		if (n <= 0)
			continue;
		if (p[1].revents)
			read_some(&c->out, &res->out, 65536);
		if (p[2].revents)
			read_some(&c->err, &res->err, 65536);
		if (p[0].revents)
			c->ended = true; /* a zombie still: its number cannot be somebody else's */
	}
	return true;
}

static int status_of(const siginfo_t *si)
{
	return si->si_code == CLD_EXITED ? si->si_status : 128 + si->si_status;
}

/* What the child itself wrote is in the pipes now. A child of its own may hold them open: no waiting for the end. */
static void reap(struct child *c, struct runner_result *res)
{
	siginfo_t si;

	memset(&si, 0, sizeof(si));
	read_some(&c->out, &res->out, DRAIN_BYTES_MAX);
	read_some(&c->err, &res->err, DRAIN_BYTES_MAX);
	while (waitid(P_PID, (id_t)c->pid, &si, WEXITED) < 0 && errno == EINTR) {
	}
	res->status = status_of(&si);
}

/* The child is past its deadline. Its group goes with it, politely first. */
static void put_down(struct spawn *s, struct child *c, struct runner_result *res)
{
	assert(c->pid > 1);
	(void)kill(-c->pid, SIGTERM);
	(void)kill(-c->pid, SIGCONT);
	bool ended = watch(c, res, now_ms() + TERM_MS);
	(void)kill(-c->pid, SIGKILL); /* also those of the group that outlive the leader; it is not reaped yet */
	if (ended || watch(c, res, now_ms() + KILL_MS))
		reap(c, res);
	else
		lost_add(s, c->pid);
}

/* ---- the runner ---------------------------------------------------------------------------------------------- */

static char *words(const char *const argv[])
{
	AUTO_BUF struct buf b = BUF_INIT;

	for (int i = 0; argv[i] && b.len < 1500; i++)
		buf_printf(&b, "%s%.512s", i ? " " : "", argv[i]);
	return buf_steal(&b);
}

static void close_ends(struct child *c)
{
	int *fds[] = { &c->out, &c->err, &c->pidfd };

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		if (*fds[i] >= 0)
			(void)close(*fds[i]);
}

static int run(struct runner *r, const char *const argv[], const char *input, int timeout_ms, struct runner_result *ret,
	       struct err *err)
{
	struct spawn *s = (struct spawn *)(void *)r;
	struct child c = { .pidfd = -1, .out = -1, .err = -1 };
	AUTO_FREE char *text = words(argv);
	int64_t began_ms = now_ms();

	assert(timeout_ms > 0);
	memset(ret, 0, sizeof(*ret));
	ret->status = -1;
	ret->out.max_bytes = ret->err.max_bytes = RUNNER_OUTPUT_MAX;
	lost_reap(s);
	log_info("run: %s", text);
	int rc = start(&c, argv, input, err);
	if (rc == 0 && watch(&c, ret, began_ms + timeout_ms)) {
		reap(&c, ret);
	} else if (rc == 0) {
		put_down(s, &c, ret);
		ret->status = ret->status < 128 ? 128 + SIGKILL : ret->status;
		rc = err_set(err, ERR_TIMEOUT, "'%s' did not end in %d ms and was killed", argv[0], timeout_ms);
	}
	close_ends(&c);
	if (ret->status != 0)
		log_info("ended: %s status=%d ms=%lld", text, ret->status, (long long)(now_ms() - began_ms));
	return rc;
}

struct runner *spawn_runner(void)
{
	static struct spawn the_one = { .runner = { .run = run }, .lock = PTHREAD_MUTEX_INITIALIZER };

	return &the_one.runner;
}
