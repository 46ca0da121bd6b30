/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "common/xmem.h"
#include "tests/unit/storage_recorder.h"

static int recorder_run(struct runner *base, const char *const argv[], const char *input, int timeout_ms,
			struct runner_result *ret, struct err *err)
{
	struct recorder *r = (struct recorder *)(void *)base;
	size_t start = r->log.len;

	(void)input;
	assert_true(timeout_ms > 0);
	for (int i = 0; argv[i]; i++)
		buf_printf(&r->log, "%s%s", i ? " " : "", argv[i]);
	memset(ret, 0, sizeof(*ret));
	const char *line = r->log.data + start;
	for (int i = 0; i < r->n_rules; i++) {
		struct recorder_rule *rule = &r->rules[i];

		if (rule->times == 0 || !strstr(line, rule->match))
			continue;
		if (rule->times > 0)
			rule->times--;
		ret->status = rule->status;
		buf_puts(&ret->out, rule->out ? rule->out : "");
		buf_puts(&ret->err, rule->err ? rule->err : "");
		buf_putc(&r->log, '\n');
		return rule->rc ? err_set(err, (enum err_code) - rule->rc, "canned failure") : 0;
	}
	buf_putc(&r->log, '\n');
	return 0;
}

void recorder_init(struct recorder *r)
{
	memset(r, 0, sizeof(*r));
	r->base.run = recorder_run;
}

void recorder_done(struct recorder *r)
{
	buf_done(&r->log);
}

void recorder_reset(struct recorder *r)
{
	r->n_rules = 0;
	buf_reset(&r->log);
}

static struct recorder_rule *add_rule(struct recorder *r, const char *match, int times)
{
	assert_true(r->n_rules < RECORDER_RULES_MAX);
	struct recorder_rule *rule = &r->rules[r->n_rules++];

	*rule = (struct recorder_rule){.match = match, .times = times};
	return rule;
}

void recorder_answer(struct recorder *r, const char *match, int times, int status, const char *out, const char *err)
{
	struct recorder_rule *rule = add_rule(r, match, times);

	rule->status = status;
	rule->out = out;
	rule->err = err;
}

void recorder_fail(struct recorder *r, const char *match, int times, int rc)
{
	struct recorder_rule *rule = add_rule(r, match, times);

	rule->rc = rc;
	rule->status = -1;
}

static char *golden_path(const char *file)
{
	const char *top = getenv("top_srcdir");

	return xasprintf("%s/tests/golden/%s", top ? top : ".", file);
}

char *golden_read(const char *file)
{
	AUTO_FREE char *path = golden_path(file);
	AUTO_BUF struct buf text = BUF_INIT;
	FILE *f = fopen(path, "re");
	char chunk[4096];
	size_t n;

	if (!f)
		fail_msg("cannot open '%s'", path);
	while ((n = fread(chunk, 1, sizeof(chunk), f)) > 0)
		assert_int_equal(buf_add(&text, chunk, n), 0);
	assert_int_equal(fclose(f), 0);
	return buf_steal(&text);
}

void golden_check(const char *file, const char *text)
{
	if (getenv("GANTRY_GOLDEN_WRITE")) {
		AUTO_FREE char *path = golden_path(file);
		FILE *f = fopen(path, "we");

		assert_non_null(f);
		assert_int_equal(fwrite(text, 1, strlen(text), f), strlen(text));
		assert_int_equal(fclose(f), 0);
		return;
	}
	AUTO_FREE char *wanted = golden_read(file);

	if (strcmp(wanted, text) != 0)
		fail_msg("'%s' differs; wanted:\n%s\ngot:\n%s", file, wanted, text);
}
