/* SPDX-License-Identifier: Apache-2.0 */
/* Long-lived children. Apart from loop.c because most of it is about dying in good order. */
#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/xmem.h"
#include "io/loop_inside.h"

#define LINE_BYTES_MAX ((size_t)64 * 1024) /* longer lines are cut */
#define READ_BYTES ((size_t)16 * 1024)
#define DRAIN_BYTES_MAX ((size_t)4 * 1024 * 1024) /* of what lies in the pipe when the child has ended */
#define TERM_MS 5000                             /* from SIGTERM to SIGKILL */
#define TERM_CLOSING_MS 500                      /* the same, when the whole loop goes */

struct loop_child {
	struct loop_thing thing;
	struct loop *loop;
	uv_process_t process;
	uv_pipe_t out;
	uv_timer_t killer;
	void (*on_line)(void *arg, const char *line, size_t len);
	void (*on_exit)(void *arg, int status);
	void *arg;
	struct buf line;
	bool skipping; /* the rest of an overlong line */
	bool running, freed;
	bool closing;  /* handles are being closed; memory goes with the last one */
	int n_open;
	char chunk[READ_BYTES];
};

static void handle_closed(uv_handle_t *h)
{
	struct loop_child *c = h->data;

	if (--c->n_open > 0)
		return;
	buf_done(&c->line);
	free(c);
}

static void close_all(struct loop_child *c)
{
	if (c->closing)
		return;
	c->closing = true;
	list_del(&c->thing.link);
	uv_close((uv_handle_t *)&c->process, handle_closed);
	uv_close((uv_handle_t *)&c->out, handle_closed);
	uv_close((uv_handle_t *)&c->killer, handle_closed);
}

/* ---- output -------------------------------------------------------------------------------------------------- */

static void emit_line(struct loop_child *c)
{
	c->skipping = false;
	if (!c->freed)
		c->on_line(c->arg, buf_str(&c->line), c->line.len);
	buf_reset(&c->line);
}

static void take_output(struct loop_child *c, const char *data, size_t len)
{
	while (len > 0 && !c->freed) { /* on_line may free the child */
		const char *end = memchr(data, '\n', len);
		size_t n = end ? (size_t)(end - data) : len;
		size_t room = LINE_BYTES_MAX - c->line.len;

		if (!c->skipping && buf_add(&c->line, data, n < room ? n : room) < 0)
			c->skipping = true;
		if (n > room)
			c->skipping = true;
		if (end)
			emit_line(c);
		n += end ? 1 : 0;
		data += n;
		len -= n;
	}
}

static void give_chunk(uv_handle_t *h, size_t suggested, uv_buf_t *buf)
{
	struct loop_child *c = h->data;

	(void)suggested;
	*buf = uv_buf_init(c->chunk, sizeof(c->chunk));
}

static void on_output(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
	struct loop_child *c = s->data;

	if (n < 0)
		(void)uv_read_stop(s); /* closed; the exit is what counts */
	else
		take_output(c, buf->base, (size_t)n);
}

/* All that the child wrote lies in the pipe now. Not read to its end: a grandchild may hold it open. */
static void drain(struct loop_child *c)
{
	uv_os_fd_t fd = -1;
	size_t total = 0;

	(void)uv_read_stop((uv_stream_t *)&c->out);
	if (uv_fileno((uv_handle_t *)&c->out, &fd) < 0)
		return;
	while (total < DRAIN_BYTES_MAX && !c->freed) {
		ssize_t n = read(fd, c->chunk, sizeof(c->chunk));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		total += (size_t)n;
		take_output(c, c->chunk, (size_t)n);
	}
	if (c->line.len > 0)
		emit_line(c);
}

/* ---- end ----------------------------------------------------------------------------------------------------- */

static void on_ended(uv_process_t *p, int64_t exit_status, int term_signal)
{
	struct loop_child *c = p->data;

	c->running = false;
	(void)uv_timer_stop(&c->killer);
	if (!c->freed)
		drain(c);
	if (c->freed) {
		close_all(c);
		return;
	}
	c->on_exit(c->arg, term_signal ? 128 + term_signal : (int)exit_status);
}

static void kill_group(struct loop_child *c, int signo)
{
	int pid = uv_process_get_pid(&c->process);

	assert(pid > 1); /* kill(-1) and kill(0) hit everyone */
	(void)kill(-pid, signo);
}

static void on_killer(uv_timer_t *t)
{
	struct loop_child *c = t->data;

	if (c->running)
		kill_group(c, SIGKILL);
}

static void arm_killer(struct loop_child *c, uint64_t after_ms)
{
	uv_update_time(&c->loop->uv);
	(void)uv_timer_start(&c->killer, on_killer, after_ms, 0);
}

void loop_child_hurry(struct loop_thing *t)
{
	arm_killer((struct loop_child *)t, TERM_CLOSING_MS);
}

void loop_child_free(struct loop_child *c)
{
	if (!c)
		return;
	assert(!c->freed);
	c->freed = true;
	list_del(&c->thing.link);
	if (!c->running) {
		close_all(c);
		return;
	}
	kill_group(c, SIGTERM);
	/* The process handle stays until the child has ended, or nobody would reap it. */
	(void)uv_read_stop((uv_stream_t *)&c->out);
	list_add_tail(&c->loop->dying, &c->thing.link);
	arm_killer(c, TERM_MS);
}

/* ---- start --------------------------------------------------------------------------------------------------- */

static struct loop_child *make(struct loop *l)
{
	struct loop_child *c = xcalloc(1, sizeof(*c));

	c->loop = l;
	list_init(&c->thing.link);
	c->line.max_bytes = LINE_BYTES_MAX + 1;
	(void)uv_pipe_init(&l->uv, &c->out, 0);
	(void)uv_timer_init(&l->uv, &c->killer);
	c->out.data = c->killer.data = c->process.data = c;
	c->n_open = 3;
	return c;
}

struct loop_child *loop_child_new(struct loop *l, const char *const argv[],
				  void (*on_line)(void *arg, const char *line, size_t len),
				  void (*on_exit)(void *arg, int status), void *arg, struct err *err)
{
	static const char *const env[] = { "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", NULL };
	struct loop_child *c = make(l);
	uv_stdio_container_t io[3] = {
		{ .flags = UV_IGNORE },
		{ .flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE, .data.stream = (uv_stream_t *)&c->out },
		{ .flags = UV_INHERIT_FD, .data.fd = 2 },
	};
	uv_process_options_t o = {
		.exit_cb = on_ended,
		.file = argv[0],
		.args = (char **)(uintptr_t)argv,
		.env = (char **)(uintptr_t)env,
		.flags = UV_PROCESS_DETACHED, /* own session, so that the whole group can be killed */
		.stdio_count = 3,
		.stdio = io,
	};

	c->on_line = on_line;
	c->on_exit = on_exit;
	c->arg = arg;
	int rc = uv_spawn(&l->uv, &c->process, &o);
	if (rc < 0) {
		(void)err_set(err, ERR_COMMAND_FAILED, "cannot start '%s': %s", argv[0], uv_strerror(rc));
		c->freed = true;
		close_all(c);
		return NULL;
	}
	c->running = true;
	(void)uv_read_start((uv_stream_t *)&c->out, give_chunk, on_output);
	loop_thing_add(l, &c->thing, LOOP_CHILD);
	return c;
}
