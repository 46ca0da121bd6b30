/* SPDX-License-Identifier: Apache-2.0 */
/* Following a job: its news line by line, a bar where a step tells how far it is. Ctrl-C leaves the job running. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "common/xmem.h"

#define WAIT_MS 15000
#define TRIES 20 /* while masters change */

static volatile sig_atomic_t interrupted;

static void on_interrupt(int sig)
{
	(void)sig;
	interrupted = 1;
}

bool follow_interrupted(void)
{
	return interrupted;
}

static void bar(const json_t *n, bool tty)
{
	int permille = (int)json_int(n, "permille", 0);
	const char *text = json_str(n, "progress", "");
	char filled[31];

	if (!tty || (!permille && !text[0]))
		return;
	for (int i = 0; i < 30; i++)
		filled[i] = i * 1000 < permille * 30 ? '#' : '-';
	filled[30] = '\0';
	(void)fprintf(stderr, "\r  [%s] %3d%% %-60.60s", filled, permille / 10, text);
	(void)fflush(stderr);
}

static void wipe(bool tty)
{
	if (tty)
		(void)fprintf(stderr, "\r%100s\r", "");
}

/* Its last line, which the command's own error says again. */
static bool is_its_error(const json_t *n, const char *line)
{
	static const char failed[] = "failed: ";

	return json_bool(n, "ended", false) && strncmp(line, failed, strlen(failed)) == 0 && strcmp(line + strlen(failed), json_str(n, "error_msg", "")) == 0;
}

static void show(const json_t *n, const struct options *o, bool tty)
{
	const json_t *lines = json_object_get(n, "news");
	size_t i;
	json_t *line;

	if (o->quiet || o->json)
		return;
	if (json_array_size(lines))
		wipe(tty);
	json_array_foreach(lines, i, line)
		if (!is_its_error(n, json_string_value(line)))
			(void)fprintf(stderr, "* %s\n", json_string_value(line));
	if (!json_bool(n, "ended", false))
		bar(n, tty);
}

/* The job is done, but a node that did not answer still has what it had. */
static void show_left(const json_t *n, const struct options *o)
{
	size_t i, k;
	json_t *left, *command;

	if (o->json || strcmp(json_str(n, "state", ""), "success") != 0)
		return;
	json_array_foreach(json_object_get(json_object_get(n, "result"), "notes"), i, left)
		(void)fprintf(stderr, "note: %s\n", json_string_value(left));
	json_array_foreach(json_object_get(json_object_get(n, "result"), "left"), i, left) {
		(void)fprintf(stderr, "warning: node '%s' did not answer and keeps what it has; when it is back, on it:\n", json_str(left, "node", ""));
		json_array_foreach(json_object_get(left, "commands"), k, command)
			(void)fprintf(stderr, "  %s\n", json_string_value(command));
	}
}

static int job_error(const json_t *n, struct err *err)
{
	const char *error = json_str(n, "error", "");

	if (!error[0] || strcmp(json_str(n, "state", ""), "success") == 0)
		return 0;
	int rc = err_set(err, (enum err_code)err_by_name(error), "%s", json_str(n, "error_msg", error));
	(void)err_hint(err, "%s", json_str(n, "error_hint", ""));
	help_fill_hint(json_str(n, "op", ""), err);
	return rc;
}

int follow_ended(const json_t *last, const struct options *o, struct err *err)
{
	show(last, o, isatty(STDERR_FILENO));
	show_left(last, o);
	return job_error(last, err);
}

int follow_job(struct cli_link *l, int64_t id, const struct options *o, json_t **ret_last, struct err *err)
{
	struct options plain = { .json = o->json };
	bool tty = isatty(STDERR_FILENO);
	int64_t seen = 0, stale = 0;
	int tries = 0;
	struct sigaction act = { .sa_handler = on_interrupt };

	(void)sigaction(SIGINT, &act, NULL);
	for (;;) {
		AUTO_JSON json_t *args = json_pack("{s:I, s:I, s:i}", "id", (json_int_t)id, "seen", (json_int_t)seen, "wait_ms", WAIT_MS);
		AUTO_JSON json_t *n = NULL;
		int rc = call_request(l, "job.wait", args, &plain, WAIT_MS + 15000, &n, &stale, err);

		if (interrupted) {
			wipe(tty);
			(void)err_set(err, ERR_CANCELED, "not waiting any longer; job %lld goes on", (long long)id);
			return err_hint(err, "'gnt job watch %lld' comes back to it, 'gnt job cancel %lld' undoes it", (long long)id, (long long)id);
		}
		if (rc < 0 && err_retryable(err->code) && tries++ < TRIES)
			continue; /* another master takes over: the job goes on there */
		if (rc < 0)
			return rc;
		tries = 0;
		seen = json_int(n, "seen", seen);
		show(n, o, tty);
		if (json_bool(n, "ended", false)) {
			wipe(tty);
			show_left(n, o);
			rc = job_error(n, err);
			*ret_last = TAKE(n);
			return rc;
		}
	}
}
