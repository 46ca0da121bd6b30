/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bench's measuring device: times commands, requests, jobs, and the bare things beside which they are put. Each subcommand
 * prints one JSON object; times are in milliseconds of CLOCK_MONOTONIC. tests/bench/run says what is measured with it and why.
 *
 *   gauge spawn [--with PID,...] N CMD... whole processes, start to end; the CPU time a run takes in them ("cpu"), and in daemons ("cpu_with"): what
 *                                       the machine does besides changes neither much
 *   gauge pair N CMD_A... -- CMD_B...   two of them in turn, A B A B: what the machine does meanwhile happens to both
 *   gauge call SOCKET N OP ARGS         requests one after another, a connection each, as gnt does
 *   gauge jobs SOCKET CLIENTS N OP ARGS N jobs by CLIENTS processes, each followed to its end; %d in ARGS = the job's number
 *   gauge nanomsg N                     a bare REQ/REP round trip on ipc:// with its connection
 *   gauge etcd ROOT N [SIZE]            a bare transaction on the etcd of the node below ROOT
 *   gauge fsync DIR N                   4 KiB and fdatasync
 */
#include <errno.h>
#include <fcntl.h>
#include <nanomsg/nn.h>
#include <nanomsg/reqrep.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/json.h"
#include "common/rng.h"
#include "common/xmem.h"
#include "io/conf.h"
#include "io/files.h"
#include "io/loop.h"
#include "io/nano.h"
#include "io/store.h"
#include "schema/msgs.h"

#define SAMPLES_MAX 200000
#define CLIENTS_MAX 256
#define ANSWER_MS 60000
#define WARM_UP 3

extern char **environ;

static double now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void die(const char *what, const char *why)
{
	(void)fprintf(stderr, "gauge: %s: %s\n", what, why);
	exit(1);
}

static void die_err(const char *what, const struct err *err)
{
	die(what, err->msg);
}

static int number(const char *text, int max)
{
	char *end;
	long n = strtol(text, &end, 10);

	if (*end || n < 1 || n > max)
		die(text, "is no number that can be meant here");
	return (int)n;
}

/* ---- statistics --------------------------------------------------------------------------------- */

static int ascending(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* The smallest sample that at least p of all do not exceed. */
static double quantile(const double *sorted, int n, double p)
{
	int k = (int)(p * n + 0.999999) - 1;

	return sorted[k < 0 ? 0 : k >= n ? n - 1 : k];
}

static json_t *stats(double *ms, int n)
{
	double sum = 0;

	qsort(ms, (size_t)n, sizeof(*ms), ascending);
	for (int i = 0; i < n; i++)
		sum += ms[i];
	return json_pack("{s:i, s:f, s:f, s:f, s:f, s:f}", "n", n, "min", ms[0], "p50", quantile(ms, n, 0.5), "p99", quantile(ms, n, 0.99),
			 "max", ms[n - 1], "mean", sum / n);
}

static void print(json_t *j)
{
	AUTO_FREE char *text = json_dumps(j, JSON_COMPACT | JSON_REAL_PRECISION(6));

	(void)puts(text);
	json_decref(j);
}

/* ---- commands ----------------------------------------------------------------------------------- */

static double run_once(char **argv)
{
	posix_spawn_file_actions_t fa;
	int status = 0;
	pid_t pid;

	(void)posix_spawn_file_actions_init(&fa);
	(void)posix_spawn_file_actions_addopen(&fa, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	(void)posix_spawn_file_actions_addopen(&fa, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
	(void)posix_spawn_file_actions_addopen(&fa, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
	double start = now_ms();
	if (posix_spawnp(&pid, argv[0], &fa, NULL, argv, environ) != 0)
		die(argv[0], "cannot be started");
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			die(argv[0], strerror(errno));
	double ms = now_ms() - start;
	(void)posix_spawn_file_actions_destroy(&fa);
	if (status != 0)
		die(argv[0], "failed: what fails is not measured");
	return ms;
}

static double cpu_ms(void)
{
	struct rusage u;

	(void)getrusage(RUSAGE_CHILDREN, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e3 + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e3;
}

/* Of all threads of a process, in ms. */
static double cpu_of(const char *pid)
{
	AUTO_FREE char *dir = xasprintf("/proc/%s/task", pid);
	struct err err = ERR_INIT;
	char **tasks = NULL;
	double ms = 0;
	int n = 0;

	if (dir_names(dir, &tasks, &n, &err) < 0)
		die_err(dir, &err);
	for (int i = 0; i < n; i++) {
		AUTO_FREE char *path = xasprintf("%s/%s/schedstat", dir, tasks[i]);
		FILE *f = fopen(path, "re");
		double ns = 0;

		if (f && fscanf(f, "%lf", &ns) == 1) /* a thread may have ended meanwhile */
			ms += ns / 1e6;
		if (f)
			(void)fclose(f);
	}
	strs_clear(&tasks, &n);
	return ms;
}

static double cpu_of_all(const char *pids)
{
	AUTO_FREE char *copy = xstrdup(pids);
	double ms = 0;

	for (char *save = NULL, *p = strtok_r(copy, ",", &save); p; p = strtok_r(NULL, ",", &save))
		ms += cpu_of(p);
	return ms;
}

static void do_spawn(const char *with, int n, char **argv)
{
	double *ms = xcalloc((size_t)n, sizeof(*ms));

	for (int i = 0; i < WARM_UP; i++)
		(void)run_once(argv);
	double cpu = cpu_ms(), cpu_with = cpu_of_all(with);
	for (int i = 0; i < n; i++)
		ms[i] = run_once(argv);
	cpu = (cpu_ms() - cpu) / n;
	cpu_with = (cpu_of_all(with) - cpu_with) / n;
	json_t *j = stats(ms, n);
	json_object_set_new(j, "cpu", json_real(cpu));
	if (with[0])
		json_object_set_new(j, "cpu_with", json_real(cpu_with));
	print(j);
	free(ms);
}

static void do_pair(int n, char **a)
{
	double *x = xcalloc((size_t)n, sizeof(*x)), *y = xcalloc((size_t)n, sizeof(*y)), *r = xcalloc((size_t)n, sizeof(*r));
	char **b = a;

	while (*b && strcmp(*b, "--") != 0)
		b++;
	if (!*b || !b[1] || b == a)
		die("pair", "needs two commands with -- between them");
	*b++ = NULL;
	for (int i = 0; i < WARM_UP; i++) {
		(void)run_once(a);
		(void)run_once(b);
	}
	for (int i = 0; i < n; i++) {
		x[i] = run_once(a);
		y[i] = run_once(b);
		r[i] = x[i] / y[i];
	}
	qsort(r, (size_t)n, sizeof(*r), ascending);
	print(json_pack("{s:o, s:o, s:f}", "a", stats(x, n), "b", stats(y, n), "ratio", quantile(r, n, 0.5)));
	free(x);
	free(y);
	free(r);
}

/* ---- requests ----------------------------------------------------------------------------------- */

struct requester {
	struct nano_client *c;
	struct rng rng;
};

static void requester_open(struct requester *r, const char *path)
{
	struct err err = ERR_INIT;

	rng_seed(&r->rng, (uint64_t)(now_ms() * 1e6) ^ (uint64_t)getpid() << 32);
	if (nano_client_open(path, &r->c, &err) < 0)
		die_err(path, &err);
}

/* Gives the result. What is refused is not measured. */
static json_t *request(struct requester *r, const char *op, json_t *args /* takes */)
{
	struct msg_request m;
	struct msg_reply a;
	struct err err = ERR_INIT;
	AUTO_FREE char *reply = NULL;

	schema_init(&msg_request_schema, &m);
	rng_uuid(&r->rng, m.id);
	(void)str_copy(m.op, sizeof(m.op), op);
	m.args = args;
	AUTO_FREE char *text = schema_encode_text(&msg_request_schema, &m);
	schema_done(&msg_request_schema, &m);
	if (nano_client_call(r->c, text, ANSWER_MS, &reply, &err) < 0 || schema_decode_text(&msg_reply_schema, &a, reply, &err) < 0)
		die_err(op, &err);
	if (a.error[0])
		die(op, a.msg ? a.msg : a.error);
	json_t *result = TAKE(a.result);
	schema_done(&msg_reply_schema, &a);
	return result;
}

static json_t *arguments(const char *pattern, int number_of_job)
{
	AUTO_FREE char *text = NULL;
	const char *at = strstr(pattern, "%d");
	json_t *j = NULL;
	struct err err = ERR_INIT;

	text = at ? xasprintf("%.*s%d%s", (int)(at - pattern), pattern, number_of_job, at + 2) : xstrdup(pattern);
	if (json_parse(text, strlen(text), strlen(text), &j, &err) < 0)
		die_err(text, &err);
	return j;
}

static void do_call(const char *path, int n, const char *op, const char *args)
{
	double *ms = xcalloc((size_t)n, sizeof(*ms));

	for (int i = -WARM_UP; i < n; i++) {
		struct requester r;
		double start = now_ms();

		requester_open(&r, path);
		json_decref(request(&r, op, arguments(args, i)));
		nano_client_close(r.c);
		if (i >= 0)
			ms[i] = now_ms() - start;
	}
	print(stats(ms, n));
	free(ms);
}

/* ---- jobs ---------------------------------------------------------------------------------------- */

struct shared {
	int ready, go, next;
	double ms[SAMPLES_MAX];
};

static void one_job(struct requester *r, const char *op, const char *args, int number_of_job)
{
	AUTO_JSON json_t *filed = request(r, op, arguments(args, number_of_job));
	int64_t id = json_int(filed, "job", 0), seen = 0;
	json_t *last = json_object_get(filed, "last");

	for (;;) {
		AUTO_JSON json_t *n = last ? json_incref(last) : request(r, "job.wait", json_pack("{s:I, s:I, s:i}", "id", (json_int_t)id, "seen", (json_int_t)seen, "wait_ms", 15000));

		seen = json_int(n, "seen", seen);
		if (!json_bool(n, "ended", false))
			continue;
		if (strcmp(json_str(n, "state", ""), "success") != 0)
			die(op, json_str(n, "error_msg", "the job failed"));
		return;
	}
}

static void job_client(struct shared *s, const char *path, int n, const char *op, const char *args)
{
	struct requester r;

	requester_open(&r, path);
	(void)__atomic_add_fetch(&s->ready, 1, __ATOMIC_ACQ_REL);
	while (!__atomic_load_n(&s->go, __ATOMIC_ACQUIRE))
		(void)nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	for (int i; (i = __atomic_fetch_add(&s->next, 1, __ATOMIC_ACQ_REL)) < n;) {
		double start = now_ms();

		one_job(&r, op, args, i);
		s->ms[i] = now_ms() - start;
	}
	nano_client_close(r.c);
}

static void do_jobs(const char *path, int clients, int n, const char *op, const char *args)
{
	struct shared *s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status = 0, bad = 0;

	if (s == MAP_FAILED)
		die("mmap", strerror(errno));
	for (int i = 0; i < clients; i++) {
		pid_t pid = fork();

		if (pid < 0)
			die("fork", strerror(errno));
		if (pid == 0) {
			job_client(s, path, n, op, args);
			_exit(0);
		}
	}
	while (__atomic_load_n(&s->ready, __ATOMIC_ACQUIRE) < clients) {
		if (waitpid(-1, &status, WNOHANG) > 0)
			die("jobs", "a client ended before it began");
		(void)nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	}
	double start = now_ms();
	__atomic_store_n(&s->go, 1, __ATOMIC_RELEASE);
	for (int i = 0; i < clients; i++) {
		if (wait(&status) < 0 || status != 0)
			bad++;
	}
	double took = now_ms() - start;
	if (bad)
		die("jobs", "a client failed");
	json_t *j = stats(s->ms, n);
	json_object_set_new(j, "per_second", json_real(n / took * 1e3));
	json_object_set_new(j, "clients", json_integer(clients));
	print(j);
	(void)munmap(s, sizeof(*s));
}

/* ---- bare things ----------------------------------------------------------------------------------- */

static pid_t echo_server(const char *url)
{
	pid_t pid = fork();

	if (pid < 0)
		die("fork", strerror(errno));
	if (pid > 0)
		return pid;
	int s = nn_socket(AF_SP, NN_REP);
	if (s < 0 || nn_bind(s, url) < 0)
		_exit(1);
	for (;;) {
		void *body = NULL;
		int n = nn_recv(s, &body, NN_MSG, 0);

		if (n < 0 || nn_send(s, body, (size_t)n, 0) < 0) /* a reply that nobody waits for is dropped by nanomsg itself */
			_exit(1);
		(void)nn_freemsg(body);
	}
}

static void do_nanomsg(int n)
{
	AUTO_FREE char *url = xasprintf("ipc:///tmp/gantry-gauge.%d", (int)getpid());
	double *ms = xcalloc((size_t)n, sizeof(*ms));
	char text[200];
	pid_t server = echo_server(url);
	int limit = 5000;

	memset(text, 'x', sizeof(text));
	while (access(url + strlen("ipc://"), F_OK) < 0)
		(void)nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	for (int i = -WARM_UP; i < n; i++) {
		double start = now_ms();
		int s = nn_socket(AF_SP, NN_REQ);

		(void)nn_setsockopt(s, NN_SOL_SOCKET, NN_RCVTIMEO, &limit, sizeof(limit));
		if (nn_connect(s, url) < 0 || nn_send(s, text, sizeof(text), 0) < 0 || nn_recv(s, text, sizeof(text), 0) < 0)
			die("nanomsg", nn_strerror(nn_errno()));
		(void)nn_close(s);
		if (i >= 0)
			ms[i] = now_ms() - start;
	}
	(void)kill(server, SIGKILL);
	(void)waitpid(server, NULL, 0);
	(void)unlink(url + strlen("ipc://"));
	print(stats(ms, n));
	free(ms);
}

struct etcd_run {
	struct loop *loop;
	struct store *store;
	int i, n;
	double start, *ms;
	char *value;
	bool cleaning;
};

#define BENCH_KEY "/bench/gauge"

static void etcd_next(void *arg);

static void etcd_done(void *arg, const struct store_result *r)
{
	struct etcd_run *e = arg;

	if (r->outcome != STORE_OK)
		die("etcd", r->err ? r->err->msg : "the transaction was refused");
	if (e->cleaning) {
		loop_stop(e->loop);
		return;
	}
	if (e->i >= 0)
		e->ms[e->i] = now_ms() - e->start;
	e->i++;
	etcd_next(e);
}

/* What a master's commit is, less what it says: a comparison and a write. */
static void etcd_next(void *arg)
{
	struct etcd_run *e = arg;
	const struct store_cmp cmp = { .kind = STORE_CMP_ABSENT, .key = BENCH_KEY "/never" };
	const struct store_op put = { STORE_PUT, BENCH_KEY, e->value }, del = { STORE_DELETE, BENCH_KEY, NULL };

	e->cleaning = e->i == e->n;
	e->start = now_ms();
	e->store->ops->txn(e->store, &cmp, 1, e->cleaning ? &del : &put, 1, 5000, etcd_done, e);
}

static void do_etcd(const char *root, int n, int size)
{
	struct etcd_run e = { .n = n, .i = -WARM_UP };
	struct conf conf;
	struct err err = ERR_INIT;

	if (conf_load(root, &conf, &err) < 0)
		die_err(root, &err);
	AUTO_FREE char *ca = conf_path(&conf, "ca.pem"), *cert = conf_path(&conf, "node.pem"), *key = conf_path(&conf, "node.key");
	AUTO_FREE char *url = xasprintf("https://%s:%d", conf.address, (int)conf.etcd_client_port);
	const char *endpoints[] = { url, NULL };
	const struct store_etcd_conf sc = { endpoints, ca, cert, key };

	e.loop = loop_new();
	if (store_etcd_new(e.loop, &sc, &e.store, &err) < 0)
		die_err("etcd", &err);
	e.ms = xcalloc((size_t)n, sizeof(*e.ms));
	e.value = xcalloc((size_t)size + 1, 1);
	memset(e.value, 'x', (size_t)size);
	loop_post(e.loop, etcd_next, &e);
	loop_run(e.loop);
	e.store->ops->free(e.store);
	loop_free(e.loop);
	conf_done(&conf);
	print(stats(e.ms, n));
	free(e.ms);
	free(e.value);
}

static void do_fsync(const char *dir, int n)
{
	AUTO_FREE char *path = xasprintf("%s/gauge.%d", dir, (int)getpid());
	double *ms = xcalloc((size_t)n, sizeof(*ms));
	char block[4096];
	AUTO_FD int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0)
		die(path, strerror(errno));
	(void)unlink(path);
	memset(block, 'x', sizeof(block));
	for (int i = -WARM_UP; i < n; i++) {
		double start = now_ms();

		if (write(fd, block, sizeof(block)) != (ssize_t)sizeof(block) || fdatasync(fd) < 0)
			die(path, strerror(errno));
		if (i >= 0)
			ms[i] = now_ms() - start;
	}
	print(stats(ms, n));
	free(ms);
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	if (strcmp(what, "spawn") == 0 && argc > 5 && strcmp(argv[2], "--with") == 0)
		do_spawn(argv[3], number(argv[4], SAMPLES_MAX), argv + 5);
	else if (strcmp(what, "spawn") == 0 && argc > 3)
		do_spawn("", number(argv[2], SAMPLES_MAX), argv + 3);
	else if (strcmp(what, "pair") == 0 && argc > 5)
		do_pair(number(argv[2], SAMPLES_MAX), argv + 3);
	else if (strcmp(what, "call") == 0 && argc == 6)
		do_call(argv[2], number(argv[3], SAMPLES_MAX), argv[4], argv[5]);
	else if (strcmp(what, "jobs") == 0 && argc == 7)
		do_jobs(argv[2], number(argv[3], CLIENTS_MAX), number(argv[4], SAMPLES_MAX), argv[5], argv[6]);
	else if (strcmp(what, "nanomsg") == 0 && argc == 3)
		do_nanomsg(number(argv[2], SAMPLES_MAX));
	else if (strcmp(what, "etcd") == 0 && argc >= 4)
		do_etcd(argv[2], number(argv[3], SAMPLES_MAX), argc > 4 ? number(argv[4], STORE_VALUE_MAX) : 200);
	else if (strcmp(what, "fsync") == 0 && argc == 4)
		do_fsync(argv[2], number(argv[3], SAMPLES_MAX));
	else
		die(what, "unknown, or with other arguments: the head of gauge.c lists them");
	return 0;
}
