/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gantry-fenced: owns the watchdog, feeds it by the rule of fenced/dog.h, and does nothing else. Small, locked in memory, libc only, so
 * that noded may hang, crash and be upgraded beside it.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "fenced/device.h"
#include "fenced/dog.h"
#include "fenced/wire.h"

#define IDLE_FEED_MS 500 /* of a device that cannot be stopped */

struct fenced {
	struct dog dog;
	struct device dev;
	int listen_fd, fd; /* fd: noded, -1 = not there */
	int64_t device_errno;
};

static volatile sig_atomic_t stop;

static void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void say(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)fputs("gantry-fenced: ", stderr);
	(void)vfprintf(stderr, fmt, ap);
	(void)fputc('\n', stderr);
	va_end(ap);
}

static int64_t now_ms(void)
{
	struct timespec t;

	if (clock_gettime(CLOCK_BOOTTIME, &t) < 0)
		abort();
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* ---- the device -------------------------------------------------------------------------------------- */

static void act(struct fenced *f, enum dog_action a)
{
	int rc = 0;

	switch (a) {
	case DOG_OPEN:
		rc = device_open(&f->dev, f->dog.w_ms);
		f->device_errno = rc;
		if (rc) {
			say("'%s' cannot be used: %s", f->dev.path, strerror(rc));
			dog_failed(&f->dog);
		} else {
			say("armed, %lld ms", (long long)f->dev.w_ms);
		}
		return;
	case DOG_SET:
		rc = device_set(&f->dev, f->dog.w_ms);
		if (rc == 0)
			rc = device_feed(&f->dev);
		f->device_errno = rc;
		if (rc) { /* the old time-out still runs; reported as not armed, so nothing rests on it */
			say("'%s' does not take a time-out of %lld ms: %s", f->dev.path, (long long)f->dog.w_ms, strerror(rc));
			device_close(&f->dev);
			dog_failed(&f->dog);
		}
		return;
	case DOG_FEED:
		rc = device_feed(&f->dev);
		if (rc)
			say("feeding: %s", strerror(rc));
		return;
	case DOG_CLOSE:
		say("disarmed");
		device_close(&f->dev);
		return;
	case DOG_NOTHING:
	default: return;
	}
}

/* ---- noded ------------------------------------------------------------------------------------------------- */

static void drop(struct fenced *f)
{
	if (f->fd >= 0)
		(void)close(f->fd);
	f->fd = -1;
}

static void tell(struct fenced *f)
{
	struct fenced_msg m = { .version = FENCED_VERSION, .kind = FENCED_STATE, .a = f->dog.state,
				.b = f->dog.state == DOG_OFF ? 0 : f->dev.w_ms, .c = f->dog.lease_ms, .d = f->device_errno };

	if (f->fd >= 0 && send(f->fd, &m, sizeof(m), MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t)sizeof(m))
		drop(f); /* it does not read: it will dial again */
}

static void hear(struct fenced *f, const struct fenced_msg *m)
{
	int64_t now = now_ms();

	switch (m->kind) {
	case FENCED_ARM:
		act(f, dog_arm(&f->dog, now, m->a, m->b, m->c));
		tell(f);
		return;
	case FENCED_DISARM:
		act(f, dog_disarm(&f->dog, now));
		tell(f);
		return;
	case FENCED_DRILL:
		act(f, dog_drill(&f->dog, m->a));
		tell(f);
		return;
	case FENCED_LEASE: dog_lease(&f->dog, now, m->a); return;
	case FENCED_VOUCH: dog_vouch(&f->dog, now, m->a); return;
	case FENCED_ASK: tell(f); return;
	default: say("message of unknown kind %u", m->kind); return;
	}
}

static void read_noded(struct fenced *f)
{
	struct fenced_msg m;
	ssize_t n = recv(f->fd, &m, sizeof(m), MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n == (ssize_t)sizeof(m) && m.version == FENCED_VERSION) {
		hear(f, &m);
		return;
	}
	if (n > 0)
		say("noded speaks another version");
	drop(f);
}

/* The newest connection counts: an older one belongs to a noded that is dead or hangs. What it still had to say is not heard. */
static void accept_noded(struct fenced *f)
{
	struct ucred who;
	socklen_t len = sizeof(who);
	int fd = accept4(f->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) < 0 || (who.uid != 0 && who.uid != geteuid())) {
		say("refused a connection of another user");
		(void)close(fd);
		return;
	}
	drop(f);
	f->fd = fd;
	tell(f);
}

/* ---- life ------------------------------------------------------------------------------------------------------ */

static int listen_at(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -1;
	if (strlen(path) >= sizeof(a.sun_path)) {
		errno = ENAMETOOLONG;
		(void)close(fd);
		return -1;
	}
	memcpy(a.sun_path, path, strlen(path) + 1);
	(void)unlink(path);
	mode_t old = umask(0177);
	int rc = bind(fd, (struct sockaddr *)&a, sizeof(a));
	(void)umask(old);
	if (rc < 0 || listen(fd, 4) < 0) {
		(void)close(fd);
		return -1;
	}
	return fd;
}

/* Nothing that another process does may keep it from the processor or push it out of memory. */
static bool harden(void)
{
	struct sched_param p = { .sched_priority = 1 };

	if (mlockall(MCL_CURRENT | MCL_FUTURE) < 0) {
		say("cannot be locked in memory: %s", strerror(errno));
		return false;
	}
	if (sched_setscheduler(0, SCHED_RR | SCHED_RESET_ON_FORK, &p) < 0)
		say("no real-time priority: %s", strerror(errno));
	return true;
}

static void on_term(int signo)
{
	(void)signo;
	stop = 1;
}

static void serve(struct fenced *f)
{
	while (!stop) {
		struct pollfd fds[2] = { { .fd = f->listen_fd, .events = POLLIN }, { .fd = f->fd, .events = POLLIN } };
		int64_t period = dog_period_ms(&f->dog);
		bool idle = f->dog.state == DOG_OFF && f->dev.fd >= 0;

		if (poll(fds, 2, period ? (int)period : idle ? IDLE_FEED_MS : -1) < 0 && errno != EINTR)
			abort();
		if (f->fd >= 0 && fds[1].revents)
			read_noded(f);
		if (fds[0].revents)
			accept_noded(f);
		enum dog_state was = f->dog.state;
		/* The clock is read here and the device written at once: a stall in between is what the second W is for. */
		act(f, dog_tick(&f->dog, now_ms()));
		if (f->dog.state == DOG_OFF && f->dev.fd >= 0)
			(void)device_feed(&f->dev);
		if (was != f->dog.state) {
			say("%s", dog_state_name(f->dog.state));
			tell(f);
		}
	}
}

static int usage(void)
{
	(void)fprintf(stderr, "usage: gantry-fenced [--socket PATH] [--device PATH] [--fake] [--version]\n"
			      "  --fake  the device is a file or fifo that only records; memory need not be locked\n");
	return 2;
}

int main(int argc, char **argv)
{
	const char *path = "/run/gantry/fenced.sock";
	struct fenced f = { .dev = { .path = "/dev/watchdog", .fd = -1 }, .listen_fd = -1, .fd = -1 };
	struct sigaction sa = { .sa_handler = on_term };

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--socket") == 0 && i + 1 < argc) {
			path = argv[++i];
		} else if (strcmp(argv[i], "--device") == 0 && i + 1 < argc) {
			f.dev.path = argv[++i];
		} else if (strcmp(argv[i], "--fake") == 0) {
			f.dev.fake = true;
		} else if (strcmp(argv[i], "--version") == 0) {
			(void)puts("gantry-fenced " PACKAGE_VERSION);
			return 0;
		} else {
			return usage();
		}
	}
	(void)signal(SIGPIPE, SIG_IGN);
	(void)sigaction(SIGTERM, &sa, NULL);
	(void)sigaction(SIGINT, &sa, NULL);
	if (!harden() && !f.dev.fake)
		return 1;
	f.listen_fd = listen_at(path);
	if (f.listen_fd < 0) {
		say("cannot listen at '%s': %s", path, strerror(errno));
		return 1;
	}
	serve(&f);
	/* Stopped while armed: the device is left running. Its successor opens it again in time, or the machine resets: nobody may believe
	 * in a guard that is gone. */
	say("ends, %s", dog_state_name(f.dog.state));
	return 0;
}
