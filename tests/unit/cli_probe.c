/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gnt without a daemon, for tests/unit/cli_golden: the real command line, requests and rendering, with answers from standard input.
 *   cli_probe request GROUP VERB ...   prints the request that would be sent, or the error
 *   cli_probe choose GROUP VERB ...    prints the instances that are meant, of a list on standard input
 *   cli_probe render GROUP VERB ...    prints the answer (JSON on standard input) as gnt would
 *   cli_probe error GROUP VERB ...     prints a refusal (a reply on standard input) as gnt would
 *   cli_probe follow N [OPTIONS]       follows job N; standard input is an array of answers to job.wait
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "common/xmem.h"
#include "schema/msgs.h"

static json_t *answers;
static size_t next_answer;

int call_request(struct cli_link *l, const char *op, json_t *args, const struct options *o, int timeout_ms, json_t **ret_result,
		 int64_t *ret_stale_ms, struct err *err)
{
	(void)l;
	(void)o;
	(void)timeout_ms;
	*ret_stale_ms = 0;
	if (strcmp(op, "job.wait") != 0 || json_int(args, "id", 0) <= 0)
		return err_set(err, ERR_INTERNAL, "the probe answers job.wait only");
	json_t *a = json_array_get(answers, next_answer++);
	if (!a)
		return err_set(err, ERR_INTERNAL, "no answer is left");
	if (json_object_get(a, "fail")) /* the daemon refuses, or a master is lost */
		return err_set(err, (enum err_code)err_by_name(json_str(a, "fail", "")), "%s", json_str(a, "msg", ""));
	*ret_result = json_incref(a);
	return 0;
}

static json_t *input(void)
{
	json_error_t where;
	json_t *j = json_loadf(stdin, JSON_DECODE_ANY, &where);

	if (!j) {
		(void)fprintf(stderr, "standard input: %s\n", where.text);
		exit(99);
	}
	return j;
}

static void print(const json_t *j)
{
	AUTO_FREE char *text = json_dumps(j, JSON_SORT_KEYS | JSON_ENCODE_ANY);

	(void)puts(text);
}

static void request(const struct command *c)
{
	AUTO_JSON json_t *j = json_pack("{s:s, s:O}", "op", op_infos[c->op].name, "args", c->given);

	if (c->opt.dry_run)
		json_object_set_new(j, "dry_run", json_true());
	if (c->opt.submit)
		json_object_set_new(j, "submit", json_true());
	if (c->opt.reason)
		json_object_set_new(j, "reason", json_string(c->opt.reason));
	if (c->many)
		json_object_set_new(j, "many", json_true());
	print(j);
}

static void choose(const struct command *c)
{
	AUTO_JSON json_t *rows = input();
	char **names = NULL;
	int n = 0;

	many_choose(c, rows, &names, &n);
	for (int i = 0; i < n; i++)
		(void)puts(names[i]);
	strs_clear(&names, &n);
}

static int refusal(const struct command *c, struct err *err)
{
	AUTO_JSON json_t *r = input();

	(void)err_set(err, (enum err_code)err_by_name(json_str(r, "error", "")), "%s", json_str(r, "msg", ""));
	(void)err_hint(err, "%s", json_str(r, "hint", ""));
	return render_error(err, json_object_get(r, "result"), c->opt.json);
}

static int follow(int argc, char **argv)
{
	struct options o = { .quiet = argc > 1 && strcmp(argv[1], "--quiet") == 0 };
	AUTO_JSON json_t *last = NULL;
	struct err err = ERR_INIT;

	answers = input();
	int rc = follow_job(NULL, strtoll(argv[0], NULL, 10), &o, &last, &err);
	json_decref(answers);
	return rc < 0 ? render_error(&err, NULL, false) : 0;
}

int main(int argc, char **argv)
{
	struct command c = { .args = NULL };
	struct err err = ERR_INIT;
	int status = 0;

	if (argc > 2 && strcmp(argv[1], "follow") == 0)
		return follow(argc - 2, argv + 2);
	if (argc < 4)
		return 99;
	if (argv_parse(argc - 2, argv + 2, &c, &err) < 0)
		return render_error(&err, NULL, false);
	if (strcmp(argv[1], "request") == 0) {
		request(&c);
	} else if (strcmp(argv[1], "choose") == 0) {
		choose(&c);
	} else if (strcmp(argv[1], "error") == 0) {
		status = refusal(&c, &err);
	} else {
		AUTO_JSON json_t *r = input();

		if (c.opt.dry_run && !c.opt.json)
			render_plan(r);
		else
			render_result(&c, r);
	}
	command_done(&c);
	return status;
}
