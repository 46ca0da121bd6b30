/* SPDX-License-Identifier: Apache-2.0 */
/* gnt: words to a typed request, its answer to a table, a job to progress. Everything about a request comes from its schema row. */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include "cli/filter.h"
#include "common/err.h"
#include "common/json.h"
#include "schema/ops.h"

#define ANSWER_MS 95000 /* for a request to the master */

struct options { /* those that every command takes */
	bool json, submit, dry_run, print_jobid, yes, help, quiet, no_headers;
	bool filter; /* lists: the word is a filter */
	bool all, node, primary, secondary, force_multiple; /* commands for several instances: the words are nodes */
	const char *reason;
	const char *socket; /* --socket: another daemon's directory */
	const char *output;    /* -o: columns */
	const char *separator; /* lists for machines: between columns */
	const char *units;     /* of sizes in lists: h, m, g, t */
};

struct command {
	enum op_index op;
	void *args;       /* the request's struct */
	json_t *given;    /* what was said, as JSON: only that is sent */
	struct options opt;
	json_t *details;  /* of a refusal: {"missing": [{"what", "fix"}]} */
	char **words;     /* of a list, or of a command for several instances or jobs: what was said beside the options */
	int n_words;
	bool many;        /* several instances: words and options say which */
	struct filter *filter; /* of a list; NULL = all rows */
};

/* ---- argv.c ---- */
int argv_parse(int argc, char **argv, struct command *ret, struct err *err) WARN_UNUSED;
void command_done(struct command *c);
bool argv_several(enum op_index op); /* commands about a job: they take several, and are done for each */
int argv_choose(struct command *c, int i, struct err *err) WARN_UNUSED; /* of several, the request is about this one now */
/* One alias table for old habits: "start" is "startup", "show" is "info". */
const char *argv_alias(const char *group, const char *verb);
bool argv_common_applies(size_t i, enum op_index op);
const char *argv_common_option(size_t i); /* what every command takes; NULL = no more */
bool argv_positional(const struct field *f);
bool argv_hidden(const struct field *f);
const char *argv_dashed(const char *name, char out[NAME_LEN + 1]); /* as it is typed: "on_secondary" is "on-secondary" */

/* ---- habit.c: what hands that know Ganeti type, and is not here ---- */
struct habit {
	const char *group, *verb, *option; /* NULL = any; without option: a command, or a whole group of them */
	const char *hint;
};
const char *habit_option(const char *group, const char *verb, const char *word); /* what to do instead; NULL = nothing is known of it */
const char *habit_command(const char *group, const char *verb); /* verb NULL: the group */
const struct habit *habit_nth(size_t i); /* NULL = no more */

/* ---- help.c ---- */
void help_all(void);
void help_group(const char *group);
void help_op(enum op_index op);
int help_is_group(const char *word);
/* A hint that holds for every command ("look at it with 'gnt GROUP info'"), for this one ("node.modify"). */
void help_fill_hint(const char *op_name, struct err *err);
int help_no_group(const char *word, struct err *err); /* an error that names the nearest */
void help_dump_bash(void);  /* completion */
void help_dashed(const char *name); /* printed as it is typed */
const char *help_placeholder(const struct field *f); /* what stands for an option's value in help and manual: "SIZE" */

/* ---- dump.c ---- */
/* --dump-schema=FORMAT [WHAT...]: what manual, handbook, completion and tests are made of. 0, or 2 = no such thing. */
int dump_schema(const char *format, int argc, char **argv);
bool help_is_internal(enum op_index op); /* not for people: left out of help and manual */

/* ---- call.c ---- */
struct cli_link;
int call_open(const struct command *c, struct cli_link **ret, struct err *err) WARN_UNUSED;
void call_close(struct cli_link *l);
DEFINE_CLEANUP(struct cli_link *, call_close);
/* Gives *ret_result (may be NULL json; after a refusal its details: {"missing": [...]}). *ret_stale_ms: age of the answer, 0 = fresh. */
int call_request(struct cli_link *l, const char *op, json_t *args, const struct options *o, int timeout_ms, json_t **ret_result,
		 int64_t *ret_stale_ms, struct err *err) WARN_UNUSED;

/* ---- follow.c ---- */
/* Follows a job to its end; prints its news. 0 or the job's error; follow_interrupted(): a person went away, the job did not. */
bool follow_interrupted(void);
int follow_ended(const json_t *last, const struct options *o, struct err *err) WARN_UNUSED; /* of one that ended with its own filing */
int follow_job(struct cli_link *l, int64_t id, const struct options *o, json_t **ret_last, struct err *err) WARN_UNUSED;

/* ---- list.c ---- */
bool list_is(enum op_index op); /* answered by a table */
bool list_filters(enum op_index op); /* ... of which rows can be chosen */
int list_check(struct command *c, struct err *err) WARN_UNUSED; /* -o, --units, names and filters; the master is told which fields are wanted */
json_t *list_kept(const struct command *c, const json_t *result); /* gives the rows, objects, that the filter keeps */
void list_render(const struct command *c, const json_t *result);
const char *list_field(enum op_index op, size_t i); /* NULL = no more */

/* ---- render.c ---- */
void render_value(const json_t *v, char how, char *out, size_t size); /* 's', 'n', 't': a time */
int render_error(const struct err *err, const json_t *details, bool json); /* the exit status */
void render_result(const struct command *c, const json_t *result);
void render_job_number(const struct options *o, int64_t job); /* --print-jobid */
void render_plan(const json_t *plan);
/* What a machine lacks, each with what mends it; to standard error. */
void render_missing(const json_t *details);

/* ---- choose.c, many.c: one command for several instances, as in Ganeti: names, --all, --node, --primary, --secondary ---- */
bool many_is(enum op_index op);
int many_take(struct command *c, struct err *err) WARN_UNUSED; /* what the words mean; sets c->many */
/* Of a list of {"name", "pnode", "snode"} those that are meant, into names. */
void many_choose(const struct command *c, const json_t *rows, char ***names, int *n);
int many_run(struct command *c, struct err *err) WARN_UNUSED;

/* ---- special.c: commands that gnt does with other requests ---- */
int special_run(struct command *c, struct cli_link *l, struct err *err) WARN_UNUSED;

#endif
