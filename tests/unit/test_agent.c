/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's protocol against a bridge that keeps its records in memory and can die between any two calls. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/xmem.h"
#include "core/agent.h"

#define FILES 32
#define ACTIONS 64

struct act {
	enum agent_action_kind kind;
	uint64_t token;
	char key[64], text[2048];
	bool delete;
	enum step_dir dir;
	char error[40];
	bool hush;       /* its arguments have the password */
	char before[80]; /* an undo: what it is told that was there */
};

struct rig {
	struct agent *a;
	struct act todo[ACTIONS];
	int n;
	char keys[FILES][64], texts[FILES][2048]; /* the disk */
	int n_files;
	bool so;         /* what a probe finds */
	json_t *before;  /* ... and what of it is there already; borrowed */
	char left[80];   /* what the last undo was told to leave */
	int rc;          /* what an execution gives */
	int done, undone, replies, told_all; /* told_all: executed with the password */
	char last_error[40];
};

static void emit(void *arg, const struct agent_action *a)
{
	struct rig *r = arg;
	struct act *t = &r->todo[r->n++];

	assert_true(r->n < ACTIONS);
	memset(t, 0, sizeof(*t));
	t->kind = a->kind;
	t->token = a->token;
	t->dir = a->dir;
	AUTO_FREE char *args = a->args ? json_text(a->args) : NULL;
	t->hush = args && strstr(args, "hush");
	(void)str_copy(t->key, sizeof(t->key), a->record_key);
	AUTO_FREE char *before = a->kind == AGENT_EXEC && a->before ? json_text(a->before) : NULL;
	(void)str_copy(t->before, sizeof(t->before), before ? before : "");
	t->delete = a->kind == AGENT_PERSIST && !a->record_text;
	if (a->record_text)
		(void)str_copy(t->text, sizeof(t->text), a->record_text);
	if (a->kind == AGENT_REPLY)
		(void)str_copy(t->error, sizeof(t->error), a->result.error);
}

static void disk(struct rig *r, const struct act *t)
{
	for (int i = 0; i < r->n_files; i++)
		if (strcmp(r->keys[i], t->key) == 0) {
			if (t->delete) {
				memcpy(r->keys[i], r->keys[r->n_files - 1], sizeof(r->keys[i]));
				memcpy(r->texts[i], r->texts[--r->n_files], sizeof(r->texts[i]));
			} else {
				(void)str_copy(r->texts[i], sizeof(r->texts[i]), t->text);
			}
			return;
		}
	if (t->delete)
		return;
	(void)str_copy(r->keys[r->n_files], sizeof(r->keys[0]), t->key);
	(void)str_copy(r->texts[r->n_files++], sizeof(r->texts[0]), t->text);
}

/* Carries out at most `calls` actions; the rest is lost when the rig then dies. */
static void run(struct rig *r, int calls)
{
	while (r->n && calls-- > 0) {
		struct act t = r->todo[0];
		struct err err = ERR_INIT;

		memmove(r->todo, r->todo + 1, (size_t)--r->n * sizeof(t));
		switch (t.kind) {
		case AGENT_PERSIST:
			disk(r, &t);
			agent_persisted(r->a, t.token, true);
			break;
		case AGENT_PROBE: agent_probed(r->a, t.token, 0, r->so, r->before, NULL); break;
		case AGENT_EXEC:
			r->told_all += t.hush;
			*(t.dir == STEP_DO ? &r->done : &r->undone) += 1;
			(void)str_copy(r->left, sizeof(r->left), t.dir == STEP_DO ? "" : t.before);
			if (r->rc < 0)
				(void)err_set(&err, (enum err_code)-r->rc, "as asked");
			agent_executed(r->a, t.token, r->rc, NULL, &err);
			break;
		case AGENT_REPLY:
			r->replies++;
			(void)str_copy(r->last_error, sizeof(r->last_error), t.error);
			break;
		case AGENT_CANCEL:
		default: break;
		}
	}
}

static void boot(struct rig *r)
{
	struct err err = ERR_INIT;

	agent_free(r->a);
	r->n = 0;
	r->a = agent_new(emit, r);
	for (int i = 0; i < r->n_files; i++)
		assert_int_equal(agent_load(r->a, r->keys[i], r->texts[i], &err), 0);
	agent_ready(r->a);
}

static void order(struct rig *r, int64_t epoch, enum step_dir dir, int attempt)
{
	struct msg_step m;

	schema_init(&msg_step_schema, &m);
	m.epoch = epoch;
	m.job = 7;
	m.index = 3;
	m.dir = (int)dir;
	m.attempt = attempt;
	(void)str_copy(m.kind, sizeof(m.kind), "noop");
	agent_step(r->a, &m);
	schema_done(&msg_step_schema, &m);
}

static void end(struct rig *r)
{
	agent_free(r->a);
}

static void a_step_is_done_once_and_answered_again(void **state)
{
	struct rig r = { .a = NULL };

	(void)state;
	boot(&r);
	order(&r, 5, STEP_DO, 0);
	order(&r, 5, STEP_DO, 0);
	run(&r, 100);
	order(&r, 5, STEP_DO, 0);
	run(&r, 100);
	assert_int_equal(r.done, 1);
	assert_int_equal(r.replies, 2);
	assert_string_equal(r.last_error, "");
	end(&r);
}

static void lower_epochs_are_refused_also_after_a_crash(void **state)
{
	struct rig r = { .a = NULL };

	(void)state;
	boot(&r);
	order(&r, 5, STEP_DO, 0);
	run(&r, 1); /* the epoch is on the disk, nothing else */
	boot(&r);
	order(&r, 4, STEP_DO, 0);
	run(&r, 100);
	assert_int_equal(r.done, 0);
	assert_string_equal(r.last_error, "STALE_EPOCH");
	end(&r);
}

/* Wherever the order of a deposed master has come to: what has not begun does not begin, and leaves no record; its successor may order it. */
static void what_a_deposed_master_ordered_does_not_begin(void **state)
{
	(void)state;
	for (int calls = 1; calls <= 3; calls++) { /* it is probed; "started" is to be written; (it is executed: too late) */
		struct rig r = { .a = NULL };
		struct err err = ERR_INIT;

		boot(&r);
		order(&r, 5, STEP_DO, 0);
		run(&r, calls); /* the epoch first */
		assert_int_equal(agent_epoch(r.a, 6, &err), 0);
		run(&r, 100);
		assert_int_equal(r.done, calls == 3);
		assert_string_equal(r.last_error, calls == 3 ? "" : "STALE_EPOCH");
		assert_int_equal(r.n_files, calls == 3 ? 2 : 1);
		order(&r, 6, STEP_DO, 1);
		run(&r, 100);
		assert_int_equal(r.done, 1);
		assert_string_equal(r.last_error, "");
		end(&r);
	}
}

static void a_late_do_finds_the_tombstone(void **state)
{
	struct rig r = { .a = NULL };

	(void)state;
	boot(&r);
	order(&r, 5, STEP_UNDO_DIR, 0);
	run(&r, 100);
	assert_int_equal(r.undone, 0); /* it never began: there is nothing to take back */
	boot(&r);
	order(&r, 5, STEP_DO, 0);
	run(&r, 100);
	assert_int_equal(r.done, 0);
	assert_string_equal(r.last_error, "TOMBSTONE");
	end(&r);
}

static void what_was_so_before_is_not_taken_back(void **state)
{
	struct rig r = { .a = NULL, .so = true };

	(void)state;
	boot(&r);
	order(&r, 5, STEP_DO, 0);
	run(&r, 100);
	order(&r, 5, STEP_UNDO_DIR, 0);
	run(&r, 100);
	assert_int_equal(r.done + r.undone, 0);
	assert_string_equal(r.last_error, "");
	end(&r);
}

static void a_failed_step_is_tried_again_only_when_asked(void **state)
{
	struct rig r = { .a = NULL, .rc = -ERR_TIMEOUT };

	(void)state;
	boot(&r);
	order(&r, 5, STEP_DO, 0);
	run(&r, 100);
	order(&r, 5, STEP_DO, 0); /* the answer was lost: told again */
	run(&r, 100);
	assert_int_equal(r.done, 1);
	assert_string_equal(r.last_error, "TIMEOUT");
	r.rc = 0;
	order(&r, 5, STEP_DO, 1);
	run(&r, 100);
	assert_int_equal(r.done, 2);
	assert_string_equal(r.last_error, "");
	end(&r);
}

/* Dies after each possible number of calls; then the master orders again, and then the undo. */
static void it_may_die_anywhere(void **state)
{
	(void)state;
	for (int calls = 0; calls < 8; calls++) {
		struct rig r = { .a = NULL };

		boot(&r);
		order(&r, 5, STEP_DO, 0);
		run(&r, calls);
		boot(&r);
		run(&r, 100);
		order(&r, 5, STEP_DO, 0);
		run(&r, 100);
		assert_true(r.done >= 1 && r.done <= 2); /* repeated at most once: steps are idempotent */
		assert_string_equal(r.last_error, "");
		order(&r, 5, STEP_UNDO_DIR, 0);
		run(&r, 100);
		assert_int_equal(r.undone, 1);
		int before = r.done;
		order(&r, 5, STEP_DO, 2);
		run(&r, 100);
		assert_int_equal(r.done, before);
		agent_forget_job(r.a, 7);
		run(&r, 100);
		assert_int_equal(r.n_files, 1); /* the epoch */
		end(&r);
	}
}

/* The order has a password; the disk does not, and the order that comes again after a crash has it again. */
static void secrets_stay_off_the_disk(void **state)
{
	static const struct {
		const char *kind, *args;
	} steps[] = {
		{ "fence_off", "{\"uuid\":\"u\",\"name\":\"node2\",\"agents\":[{\"agent\":\"fence_x\",\"options\":\"password=hush\"}]}" },
		{ "drbd_configure", "{\"uuid\":\"u\",\"resource\":\"vm1\",\"port\":11000,\"secret\":\"hush\",\"previous\":{\"secret\":\"hush\"}}" },
	};

	(void)state;
	for (size_t k = 0; k < ARRAY_SIZE(steps); k++)
		for (int die = 0; die < 6; die++) {
			struct rig r = { .a = NULL };
			struct msg_step m;

			boot(&r);
			schema_init(&msg_step_schema, &m);
			m.epoch = 5;
			m.job = 7;
			m.index = 3;
			m.dir = STEP_DO;
			(void)str_copy(m.kind, sizeof(m.kind), steps[k].kind);
			m.args = json_loads(steps[k].args, 0, NULL);
			agent_step(r.a, &m);
			run(&r, die);
			boot(&r); /* it was killed */
			agent_step(r.a, &m);
			run(&r, 1000);
			schema_done(&msg_step_schema, &m);
			assert_true(r.done >= 1);
			assert_int_equal(r.told_all, r.done);
			bool seen = false;
			for (int i = 0; i < r.n_files; i++) {
				assert_null(strstr(r.texts[i], "hush"));
				seen = seen || strstr(r.texts[i], steps[k].kind);
			}
			assert_true(seen);
			end(&r);
		}
}

/*
 * Of two volumes one is left over from another job. Wherever the daemon is killed, and however often the order comes again, the undo is told of that one,
 * and of nothing that this step may have made itself.
 */
static void an_undo_knows_what_was_there(void **state)
{
	AUTO_JSON json_t *first = json_loads("[\"vg/data\"]", 0, NULL), *later = json_loads("[\"vg/data\",\"vg/meta\"]", 0, NULL);

	(void)state;
	for (int die = 4; die < 12; die++) /* "started" is on the disk by the fourth call */
		for (int fails = 0; fails < 2; fails++) {
			struct rig r = { .before = first, .rc = fails ? -ERR_NO_SPACE : 0 };

			boot(&r);
			order(&r, 5, STEP_DO, 0);
			run(&r, die);
			boot(&r);
			r.before = later;
			order(&r, 5, STEP_DO, 0);
			run(&r, 100);
			order(&r, 5, STEP_DO, 1); /* tried again, if it has failed */
			run(&r, 100);
			boot(&r);
			r.rc = 0;
			order(&r, 5, STEP_UNDO_DIR, 0);
			run(&r, 100);
			assert_true(r.done >= 1);
			assert_int_equal(r.undone, 1);
			assert_string_equal(r.left, "[\"vg/data\"]");
			end(&r);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_step_is_done_once_and_answered_again), cmocka_unit_test(lower_epochs_are_refused_also_after_a_crash),
		cmocka_unit_test(what_a_deposed_master_ordered_does_not_begin),
		cmocka_unit_test(a_late_do_finds_the_tombstone),          cmocka_unit_test(what_was_so_before_is_not_taken_back),
		cmocka_unit_test(a_failed_step_is_tried_again_only_when_asked), cmocka_unit_test(it_may_die_anywhere),
		cmocka_unit_test(secrets_stay_off_the_disk), cmocka_unit_test(an_undo_knows_what_was_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
