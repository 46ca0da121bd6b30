/* SPDX-License-Identifier: Apache-2.0 */
/* The watchdog's feeder: its rule with a clock that is a number, and the process with a fifo for a device. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "fenced/dog.h"
#include "fenced/wire.h"

#define X 9000
#define W 3000
#define V 2000

/* ---- the rule -------------------------------------------------------------------------------------------- */

static struct dog armed_at(int64_t now, int64_t sent)
{
	struct dog d = { .state = DOG_OFF };

	dog_lease(&d, now, sent);
	assert_int_equal(dog_arm(&d, now, X, W, V), DOG_OPEN);
	assert_int_equal(d.state, DOG_ARMED);
	return d;
}

static void test_arming_needs_a_fresh_lease(void **state)
{
	struct dog d = { .state = DOG_OFF };

	(void)state;
	assert_int_equal(dog_arm(&d, 100000, X, W, V), DOG_NOTHING);
	dog_lease(&d, 100000, 100000 - X - 1);
	assert_int_equal(dog_arm(&d, 100000, X, W, V), DOG_NOTHING);
	assert_int_equal(d.state, DOG_OFF);
	dog_lease(&d, 100000, 100000 - X);
	assert_int_equal(dog_arm(&d, 100000, X, W, V), DOG_OPEN);
}

static void test_feeds_to_x_and_not_after(void **state)
{
	struct dog d = armed_at(100000, 99000);

	(void)state;
	assert_int_equal(dog_tick(&d, 100001), DOG_NOTHING); /* just opened */
	assert_int_equal(dog_tick(&d, 100000 + W / 4), DOG_FEED);
	assert_int_equal(dog_tick(&d, 99000 + X), DOG_FEED);
	assert_int_equal(dog_tick(&d, 99000 + X + 1), DOG_NOTHING);
	assert_int_equal(d.state, DOG_STARVED);
	assert_int_equal(dog_tick(&d, 99000 + X + 1000), DOG_NOTHING);
	/* Words do not feed it. */
	assert_int_equal(dog_arm(&d, 99000 + X + 1000, X, W + 1, V), DOG_NOTHING);
	assert_int_equal(dog_tick(&d, 99000 + X + 1001), DOG_NOTHING);
	/* A lease that goes on does. */
	dog_lease(&d, 99000 + X + 1002, 99000 + X + 900);
	assert_int_equal(dog_tick(&d, 99000 + X + 1002), DOG_FEED);
	assert_int_equal(d.state, DOG_ARMED);
}

static void test_vouching_feeds_for_v(void **state)
{
	struct dog d = armed_at(100000, 100000);

	(void)state;
	dog_vouch(&d, 112000, 111000);
	assert_int_equal(dog_tick(&d, 111000 + V), DOG_FEED);
	assert_int_equal(dog_tick(&d, 111000 + V + 1), DOG_NOTHING);
	assert_int_equal(d.state, DOG_STARVED);
}

static void test_stamps_of_the_future_and_old_ones_do_not_count(void **state)
{
	struct dog d = armed_at(100000, 100000);

	(void)state;
	dog_lease(&d, 100500, 100501);
	dog_lease(&d, 100500, 50000);
	dog_vouch(&d, 100500, 900000);
	assert_int_equal(d.lease_ms, 100000);
	assert_int_equal(d.vouch_ms, 0);
}

static void test_disarm(void **state)
{
	struct dog d = armed_at(100000, 100000);

	(void)state;
	assert_int_equal(dog_disarm(&d, 100100), DOG_CLOSE);
	assert_int_equal(dog_disarm(&d, 100200), DOG_NOTHING);
	assert_int_equal(dog_tick(&d, 100300), DOG_NOTHING);
	assert_int_equal(dog_period_ms(&d), 0);
}

/* A drill: opened once and never fed, however fresh the stamps are; refused where something is guarded. */
static void test_drill_is_never_fed(void **state)
{
	struct dog d = { .state = DOG_OFF };

	(void)state;
	dog_lease(&d, 100000, 100000);
	assert_int_equal(dog_drill(&d, 0), DOG_NOTHING);
	assert_int_equal(dog_drill(&d, W), DOG_OPEN);
	assert_int_equal(dog_drill(&d, W), DOG_NOTHING);
	for (int64_t now = 100000; now < 100000 + 3 * W; now += 50) {
		dog_lease(&d, now, now);
		dog_vouch(&d, now, now);
		assert_int_equal(dog_arm(&d, now, X, W, V), DOG_NOTHING);
		assert_int_equal(dog_tick(&d, now), DOG_NOTHING);
		assert_int_equal(d.state, DOG_DRILL);
	}
	assert_int_equal(dog_disarm(&d, 200000), DOG_CLOSE);
	assert_int_equal(d.state, DOG_OFF);
	d = armed_at(100000, 100000);
	assert_int_equal(dog_drill(&d, W), DOG_NOTHING);
	assert_int_equal(d.state, DOG_ARMED);
}

static void test_other_times(void **state)
{
	struct dog d = armed_at(100000, 100000);

	(void)state;
	assert_int_equal(dog_arm(&d, 100100, X, W, V), DOG_NOTHING); /* the same once more */
	assert_int_equal(dog_arm(&d, 100100, 2 * X, 2 * W, 2 * V), DOG_SET);
	assert_int_equal(dog_tick(&d, 100000 + 2 * X), DOG_FEED);
}

/*
 * X + 2W: whatever noded does (stamps late, never, or a liar's) and however fenced is stalled between reading the clock and writing, the device
 * fires by s + X + 2W (or vouch + V + 2W). The device's own clock is independent: it fires W after it was last written to.
 */
static uint64_t lcg;
static int64_t pick(int64_t n)
{
	lcg = lcg * 6364136223846793005u + 1442695040888963407u;
	return (int64_t)((lcg >> 33) % (uint64_t)n);
}

static void test_reset_by_x_plus_2w_whatever_stalls(void **state)
{
	(void)state;
	for (int seed = 0; seed < 3000; seed++) {
		int64_t now = 100000, written = now, sent = now, looked = 0, stop = now + pick(20000);
		bool fired = false;

		lcg = (uint64_t)seed;
		struct dog d = armed_at(now, now);
		while (now < stop + X + 2 * W + V + 20000 && !fired) {
			int64_t step = 1 + pick(seed % 3 ? 400 : 2500);

			now += step;
			if (now - written >= W) {
				fired = true;
				now = written + W;
				break;
			}
			if (now < stop && pick(2)) {
				int64_t at = now - pick(800);

				dog_lease(&d, now, at);
				sent = at > sent ? at : sent;
			} else if (now < stop && pick(3) == 0) {
				int64_t at = now - pick(1500);

				dog_vouch(&d, now, at);
				looked = at > looked ? at : looked;
			}
			if (pick(5) == 0)
				(void)dog_arm(&d, now, X, W, V);
			if (dog_tick(&d, now) == DOG_FEED) {
				int64_t stall = pick(seed % 2 ? 50 : W + 2000); /* between the clock and the write */

				if (now + stall - written >= W)
					now = written + W, fired = true;
				else
					written = now += stall;
			}
		}
		assert_true(fired);
		int64_t limit = sent + X + 2 * W, by_vouch = looked ? looked + V + 2 * W : 0;
		assert_true(now <= (limit > by_vouch ? limit : by_vouch));
	}
}

/* ---- the process ---------------------------------------------------------------------------------------------- */

#define PX 2400 /* the same rule, fast, and slow enough for a loaded machine */
#define PW 400
#define PV 500

struct proc {
	char dir[64], socket[96], fifo[96];
	pid_t pid;
	int fifo_fd, fd;
};

static int64_t clock_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_BOOTTIME, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int dial(const struct proc *p)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	(void)snprintf(a.sun_path, sizeof(a.sun_path), "%s", p->socket);
	int64_t end = clock_ms() + 20000;
	while (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0) {
		assert_true(clock_ms() < end);
		(void)poll(NULL, 0, 10);
	}
	return fd;
}

static void start(struct proc *p)
{
	char program[512];

	(void)snprintf(program, sizeof(program), "%s/gantry-fenced", getenv("top_builddir") ? getenv("top_builddir") : ".");
	p->pid = fork();
	assert_true(p->pid >= 0);
	if (p->pid == 0) {
		(void)execl(program, program, "--fake", "--device", p->fifo, "--socket", p->socket, (char *)NULL);
		_exit(127);
	}
	p->fd = dial(p);
}

static struct fenced_msg answer(struct proc *p)
{
	struct fenced_msg m;

	assert_int_equal(recv(p->fd, &m, sizeof(m), 0), sizeof(m));
	assert_int_equal(m.kind, FENCED_STATE);
	return m;
}

static void tell(struct proc *p, uint32_t kind, int64_t a, int64_t b, int64_t c)
{
	struct fenced_msg m = { .version = FENCED_VERSION, .kind = kind, .a = a, .b = b, .c = c };

	assert_int_equal(send(p->fd, &m, sizeof(m), MSG_NOSIGNAL), sizeof(m));
}

/* Bytes that came within ms; the last one in *last. */
static int bytes(struct proc *p, int ms, char *last)
{
	int n = 0;

	for (int64_t end = clock_ms() + ms; clock_ms() < end;) {
		struct pollfd f = { .fd = p->fifo_fd, .events = POLLIN };
		char c;

		if (poll(&f, 1, 20) == 1 && read(p->fifo_fd, &c, 1) == 1) {
			n++;
			*last = c;
		}
	}
	return n;
}

static void drain(struct proc *p)
{
	char room[4096];

	while (read(p->fifo_fd, room, sizeof(room)) > 0)
		;
}

static int set_up(void **state)
{
	struct proc *p = calloc(1, sizeof(*p));

	(void)snprintf(p->dir, sizeof(p->dir), "/tmp/gantry-fenced.XXXXXX");
	if (!mkdtemp(p->dir))
		return -1;
	(void)snprintf(p->socket, sizeof(p->socket), "%s/sock", p->dir);
	(void)snprintf(p->fifo, sizeof(p->fifo), "%s/dog", p->dir);
	if (mkfifo(p->fifo, 0600) < 0)
		return -1;
	p->fifo_fd = open(p->fifo, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	start(p);
	struct fenced_msg m = answer(p); /* greets with its state */
	*state = p;
	return m.a == DOG_OFF ? 0 : -1;
}

static int tear_down(void **state)
{
	struct proc *p = *state;

	(void)kill(p->pid, SIGKILL);
	(void)waitpid(p->pid, NULL, 0);
	(void)close(p->fd);
	(void)close(p->fifo_fd);
	(void)unlink(p->fifo);
	(void)unlink(p->socket);
	(void)rmdir(p->dir);
	free(p);
	return 0;
}

static void arm(struct proc *p)
{
	tell(p, FENCED_LEASE, clock_ms(), 0, 0);
	tell(p, FENCED_ARM, PX, PW, PV);
	struct fenced_msg m = answer(p);

	assert_int_equal(m.a, DOG_ARMED);
	assert_int_equal(m.b, PW);
}

static void test_process_feeds_while_the_lease_is_renewed(void **state)
{
	struct proc *p = *state;
	char last = 'x';
	int fed = 0;

	tell(p, FENCED_ARM, PX, PW, PV);
	assert_int_equal(answer(p).a, DOG_OFF); /* no stamp yet */
	arm(p);
	for (int i = 0; i < 30; i++) { /* well past X */
		tell(p, FENCED_LEASE, clock_ms(), 0, 0);
		fed += bytes(p, 100, &last);
	}
	assert_true(fed >= 5);
	assert_int_equal(last, '\0');
	/* noded hangs: the feeding ends by itself, and is not closed in an orderly way. */
	int64_t sent = clock_ms();
	while (clock_ms() < sent + PX + 2 * PW)
		(void)bytes(p, 50, &last);
	drain(p);
	assert_int_equal(bytes(p, 2 * PW, &last), 0);
	assert_int_equal(last, '\0');
	tell(p, FENCED_ASK, 0, 0, 0);
	struct fenced_msg m = answer(p);
	while (m.a == DOG_ARMED)
		m = answer(p);
	assert_int_equal(m.a, DOG_STARVED);
}

static void test_process_outlives_noded(void **state)
{
	struct proc *p = *state;
	char last = 'x';

	arm(p);
	tell(p, FENCED_LEASE, clock_ms(), 0, 0);
	tell(p, FENCED_ASK, 0, 0, 0); /* answered after the stamp was heard */
	int64_t stamp = answer(p).c;
	(void)close(p->fd); /* killed */
	p->fd = dial(p);    /* and started again: it learns when the lease was last renewed */
	struct fenced_msg m = answer(p);
	assert_int_equal(m.a, DOG_ARMED);
	assert_int_equal(m.c, stamp);
	tell(p, FENCED_LEASE, clock_ms(), 0, 0);
	drain(p);
	assert_true(bytes(p, 500, &last) >= 1);
	tell(p, FENCED_DISARM, 0, 0, 0);
	assert_int_equal(answer(p).a, DOG_OFF);
	drain(p);
	assert_int_equal(bytes(p, 2 * PW, &last), 0);
}

static void test_process_closes_with_magic_only_when_disarmed(void **state)
{
	struct proc *p = *state;
	char last = 'x';

	arm(p);
	tell(p, FENCED_DISARM, 0, 0, 0);
	assert_int_equal(answer(p).a, DOG_OFF);
	assert_true(bytes(p, 200, &last) >= 2);
	assert_int_equal(last, 'V');
	arm(p);
	(void)kill(p->pid, SIGTERM);
	assert_int_equal(waitpid(p->pid, NULL, 0), p->pid);
	last = 'x';
	(void)bytes(p, 100, &last);
	assert_int_equal(last, '\0'); /* stopped while armed: the device runs on */
	(void)close(p->fd);
	start(p);
	assert_int_equal(answer(p).a, DOG_OFF);
	arm(p);
}

static void test_process_drill(void **state)
{
	struct proc *p = *state;
	char last = 'x';

	tell(p, FENCED_LEASE, clock_ms(), 0, 0);
	tell(p, FENCED_DRILL, PW, 0, 0);
	struct fenced_msg m = answer(p);
	assert_int_equal(m.a, DOG_DRILL);
	assert_int_equal(m.b, PW);
	assert_true(bytes(p, 100, &last) >= 1); /* it runs */
	assert_int_equal(last, '\0');
	tell(p, FENCED_LEASE, clock_ms(), 0, 0);
	assert_int_equal(bytes(p, 2 * PW, &last), 0); /* and has fired */
	tell(p, FENCED_DISARM, 0, 0, 0);
	assert_int_equal(answer(p).a, DOG_OFF);
	assert_int_equal(bytes(p, 100, &last), 1);
	assert_int_equal(last, 'V');
	arm(p);
	tell(p, FENCED_DRILL, PW, 0, 0);
	assert_int_equal(answer(p).a, DOG_ARMED); /* not while it guards */
}

static void test_process_stopped_feeds_nothing(void **state)
{
	struct proc *p = *state;
	char last = 'x';
	int ws = 0;

	arm(p);
	tell(p, FENCED_LEASE, clock_ms(), 0, 0);
	(void)kill(p->pid, SIGSTOP);
	assert_int_equal(waitpid(p->pid, &ws, WUNTRACED), p->pid);
	assert_true(WIFSTOPPED(ws));
	drain(p);
	assert_int_equal(bytes(p, 2 * PW, &last), 0); /* longer than W: the device has fired */
	/* Woken after its lease it does not feed again. */
	int64_t end = clock_ms() + PX;
	while (clock_ms() < end)
		(void)poll(NULL, 0, 20);
	(void)kill(p->pid, SIGCONT);
	assert_int_equal(bytes(p, 2 * PW, &last), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_arming_needs_a_fresh_lease),
		cmocka_unit_test(test_feeds_to_x_and_not_after),
		cmocka_unit_test(test_vouching_feeds_for_v),
		cmocka_unit_test(test_stamps_of_the_future_and_old_ones_do_not_count),
		cmocka_unit_test(test_disarm),
		cmocka_unit_test(test_drill_is_never_fed),
		cmocka_unit_test(test_other_times),
		cmocka_unit_test(test_reset_by_x_plus_2w_whatever_stalls),
		cmocka_unit_test_setup_teardown(test_process_feeds_while_the_lease_is_renewed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_process_outlives_noded, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_process_closes_with_magic_only_when_disarmed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_process_drill, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_process_stopped_feeds_nothing, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
