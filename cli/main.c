/* SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "common/xmem.h"

#define LOCAL_MS 600000 /* cluster init installs and waits */

/* The daemon reads the file: it has another working directory. */
static int absolute_file(struct command *c, struct err *err)
{
	const struct op_cluster_restore *a = c->args;

	if (c->op != OP_cluster_restore)
		return 0;
	AUTO_FREE char *path = realpath(a->file, NULL);
	if (!path)
		return err_errno(err, ERR_NOT_FOUND, "cannot read '%s'", a->file), err_hint(err, "give a file that 'gnt cluster backup --secrets FILE' wrote");
	json_object_set_new(c->given, "file", json_string(path));
	return 0;
}

static const char *at_risk(enum op_index op)
{
	switch (op) {
	case OP_cluster_restore:
		return "The cluster's voters must be lost for good: their machines off, or their etcd stopped and never started again.\n"
		       "What was changed after the backup is lost: instances added since are left running but unknown, instances removed since\n"
		       "come back without disks, instances stopped since may be started. No guest and no disk is touched before its nodes have shown\n"
		       "where it runs and which replica is current; what they cannot show waits for 'gnt instance confirm'.\n";
	case OP_cluster_recover:
		return "The other voters must be off for good, or switched off now and kept off until this is done: on your word they are recorded as off.\n"
		       "This node's copy may lack what they decided last without it: instances added since are left running but unknown, those removed\n"
		       "come back without disks. So no instance is started or moved before its nodes have shown where it runs and which replica is current;\n"
		       "one whose owner is lost waits for 'gnt instance confirm -n NODE', and what only the lost replica had is lost then. Open jobs are gone.\n";
	case OP_instance_confirm:
		return "If the other replica holds newer writes they are lost at the next resync.\n";
	case OP_disk_tails:
		return "What these nodes wrote alone is gone then; of those that wait to be kept, acknowledged writes may be lost.\n";
	default:
		return "";
	}
}

static int confirm(const struct command *c, struct err *err)
{
	const struct op_info *o = &op_infos[c->op];
	char answer[16];

	if (o->danger != OP_ASK || c->opt.yes || c->opt.dry_run)
		return 0;
	if (c->op == OP_cluster_destroy && ((const struct op_cluster_destroy *)c->args)->yes_do_it == 1)
		return 0; /* Ganeti's word for destroy: nobody types it by mistake */
	if (c->op == OP_disk_tails && ((const struct op_disk_tails *)c->args)->remove != 1)
		return 0; /* it only shows */
	if (!isatty(STDIN_FILENO))
		return err_set(err, ERR_REFUSED, "'gnt %s %s' asks first, and there is nobody to ask", o->group, argv_dashed(o->verb, (char[NAME_LEN + 1]){ 0 }));
	(void)fprintf(stderr, "%s%s. Are you sure? (y/N) ", at_risk(c->op), o->summary);
	if (!fgets(answer, sizeof(answer), stdin) || (answer[0] != 'y' && answer[0] != 'Y'))
		return err_set(err, ERR_REFUSED, "not confirmed");
	return 0;
}

static int follow_all(struct command *c, struct cli_link *l, const json_t *jobs, struct err *err)
{
	size_t i;
	json_t *id;
	int worst = 0;

	if (json_array_size(jobs) == 0 && !c->opt.quiet && !c->opt.json)
		(void)fprintf(stderr, "nothing is to be done\n");
	json_array_foreach(jobs, i, id) {
		AUTO_JSON json_t *last = NULL;
		struct err one = ERR_INIT;

		if (c->opt.print_jobid)
			render_job_number(&c->opt, json_integer_value(id));
		else
			(void)fprintf(stderr, "job %lld\n", (long long)json_integer_value(id));
		int rc = follow_job(l, json_integer_value(id), &c->opt, &last, &one);
		if (rc < 0 && worst == 0) {
			worst = rc;
			*err = one;
		}
		if (follow_interrupted()) { /* the others go on too */
			*err = one;
			(void)err_hint(err, "all %zu jobs go on: 'gnt job list'; 'gnt job watch N' comes back to one", json_array_size(jobs));
			return rc;
		}
	}
	return worst;
}

static int finish(struct command *c, struct cli_link *l, json_t *result, struct err *err)
{
	const json_t *jobs = json_object_get(result, "jobs");
	int64_t job = json_int(result, "job", 0);

	if (c->opt.dry_run && (op_infos[c->op].kind == OP_JOB)) {
		if (c->opt.json)
			render_result(c, result);
		else
			render_plan(result);
		return 0;
	}
	if (jobs && !c->opt.submit)
		return follow_all(c, l, jobs, err);
	if (c->opt.submit)
		(void)json_object_del(result, "last");
	if (!job || op_infos[c->op].kind != OP_JOB || c->opt.submit) {
		if (job && !c->opt.json)
			(void)printf("%lld\n", (long long)job);
		else
			render_result(c, result);
		return 0;
	}
	if (c->opt.print_jobid)
		render_job_number(&c->opt, job);
	AUTO_JSON json_t *last = json_incref(json_object_get(result, "last")); /* it had ended when the answer was given */
	int rc = last ? follow_ended(last, &c->opt, err) : follow_job(l, job, &c->opt, &last, err);
	if (rc == 0 && c->opt.json)
		render_result(c, last);
	return rc;
}

static int run(struct command *c, struct err *err)
{
	AUTO(call_close) struct cli_link *l = NULL;
	AUTO_JSON json_t *result = NULL;
	int64_t stale = 0;
	int rc = absolute_file(c, err);

	if (rc == 0)
		rc = confirm(c, err);
	if (rc == 0 && c->many)
		return many_run(c, err);
	if (rc == 0)
		rc = call_open(c, &l, err);
	if (rc < 0)
		return rc;
	if (op_infos[c->op].kind == OP_CLIENT)
		return special_run(c, l, err);
	if (c->op == OP_job_wait) { /* the request answers with every news; who says 'wait' waits for the end */
		AUTO_JSON json_t *last = NULL;

		c->opt.quiet = true;
		rc = follow_job(l, ((const struct op_job_wait *)c->args)->id, &c->opt, &last, err);
		if (rc == 0 && c->opt.json)
			render_result(c, last);
		return rc;
	}
	rc = call_request(l, op_infos[c->op].name, c->given, &c->opt, op_infos[c->op].kind == OP_LOCAL ? LOCAL_MS : ANSWER_MS, &result, &stale, err);
	if (rc < 0) {
		json_decref(c->details);
		c->details = TAKE(result);
		return rc;
	}
	if (stale)
		(void)fprintf(stderr, "warning: no majority of voters answers; this is %lld s old\n", (long long)(stale / 1000));
	rc = finish(c, l, result, err);
	if (rc == 0 && c->op == OP_cluster_verify && json_int(result, "errors", 0) > 0)
		exit(1);
	return rc;
}

/* Several jobs: one that does not exist does not keep the others. */
static int run_each(struct command *c, struct err *err)
{
	int failed = 0;

	for (int i = 0; i < c->n_words && !follow_interrupted(); i++) {
		struct err one = ERR_INIT;
		int rc = argv_choose(c, i, &one);

		if (i > 0 && c->op == OP_job_info && !c->opt.json)
			(void)puts("");
		if (rc == 0)
			rc = run(c, &one);
		if (rc == 0)
			continue;
		if (failed++ == 0)
			*err = one;
		if (c->n_words > 1 && !c->opt.json)
			(void)fprintf(stderr, "job %s: error: %s\n", c->words[i], one.msg);
	}
	if (failed > 1) {
		(void)err_set(err, err->code, "%d of %d jobs: not done", failed, c->n_words);
		(void)err_hint(err, "why stands above, for each");
	}
	return failed ? -err->code : 0;
}

/* gnt-instance is gnt instance. */
static void split_name(int *argc, char ***argv, char **storage)
{
	const char *base = strrchr((*argv)[0], '/');

	base = base ? base + 1 : (*argv)[0];
	if (strncmp(base, "gnt-", 4) != 0)
		return;
	storage[0] = (*argv)[0];
	storage[1] = (char *)(uintptr_t)(base + 4);
	for (int i = 1; i < *argc; i++)
		storage[i + 1] = (*argv)[i];
	storage[*argc + 1] = NULL;
	*argv = storage;
	(*argc)++;
}

int main(int argc, char **argv)
{
	AUTO_FREE char **storage = xcalloc((size_t)argc + 2, sizeof(char *));
	struct command c = { .args = NULL };
	struct err err = ERR_INIT;

	(void)signal(SIGPIPE, SIG_IGN);
	split_name(&argc, &argv, storage);
	if (argc > 1 && strcmp(argv[1], "--version") == 0) {
		(void)puts("gnt (Gantry) " PACKAGE_VERSION);
	} else if (argc > 1 && strncmp(argv[1], "--dump-schema=", 14) == 0) {
		return dump_schema(argv[1] + 14, argc - 2, argv + 2);
	} else if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0) {
		help_all();
		return argc < 2 ? 2 : 0;
	} else if (!help_is_group(argv[1])) {
		(void)help_no_group(argv[1], &err);
		return render_error(&err, NULL, false);
	} else if (argc < 3 || strcmp(argv[2], "--help") == 0) {
		help_group(argv[1]);
		return argc < 3 ? 2 : 0;
	} else {
		int status = 0;

		if (argv_parse(argc - 1, argv + 1, &c, &err) < 0)
			return render_error(&err, NULL, false);
		if (c.opt.help)
			help_op(c.op);
		else if ((c.n_words > 1 && argv_several(c.op) ? run_each(&c, &err) : run(&c, &err)) < 0) {
			help_fill_hint(op_infos[c.op].name, &err);
			status = render_error(&err, c.details, c.opt.json);
		}
		command_done(&c);
		return status;
	}
	return 0;
}
