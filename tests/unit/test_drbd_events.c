/* SPDX-License-Identifier: Apache-2.0 */
/* The two readers of drbdsetup's text: `status`, and the stream of `events2`. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "storage/drbd/drbd_events.h"
#include "storage/drbd/status_text.h"
#include "tests/unit/storage_recorder.h"

/* One line that shows every field. */
static void describe(struct buf *out, const struct drbd_status *s)
{
	buf_printf(out, "%s %s %s/%s %s%s%s", s->resource, s->up ? "up" : "gone", drbd_role_name(s->role),
		   drbd_role_name(s->peer_role), drbd_cstate_name(s->conn), s->suspended_fencing ? " FENCING" : s->suspended_no_data ? " NO-DATA" : "",
		   s->suspended_other ? " SUSPENDED" : "");
	for (int i = 0; i < s->n_volumes; i++) {
		const struct drbd_volume_status *v = &s->volumes[i];

		buf_printf(out, " [%d:%d %s/%s %s oos=%lld done=%d]", v->index, v->minor, drbd_dstate_name(v->disk),
			   drbd_dstate_name(v->peer_disk), drbd_repl_name(v->repl), (long long)v->out_of_sync_kib,
			   v->done_permille);
	}
	if (drbd_status_in_sync(s))
		buf_puts(out, " in-sync");
	else if (drbd_status_uptodate(s))
		buf_puts(out, " uptodate");
	buf_putc(out, '\n');
}

static void on_change(void *arg, const struct drbd_status *before, const struct drbd_status *now)
{
	struct buf *trace = arg;

	buf_puts(trace, before ? "  " : "+ ");
	describe(trace, now);
}

static void check_status(const char *input, const char *golden)
{
	AUTO_FREE char *text = golden_read(input);
	AUTO_FREE struct drbd_status *list = NULL;
	AUTO_BUF struct buf shown = BUF_INIT;
	struct err err = ERR_INIT;
	int n = -1;

	assert_int_equal(drbdm_parse_status(text, strlen(text), &list, &n, &err), 0);
	for (int i = 0; i < n; i++)
		describe(&shown, &list[i]);
	golden_check(golden, buf_str(&shown));
}

static void test_status_84(void **state)
{
	(void)state;
	check_status("drbd/status-84.txt", "drbd/status-84.read");
}

static void test_status_9(void **state)
{
	(void)state;
	check_status("drbd/status-9.txt", "drbd/status-9.read");
	check_status("drbd/status-9-empty.txt", "drbd/status-9-empty.read");
}

static void test_status_odd_input(void **state)
{
	static const char text[] =
	    "  volume:0 minor:1 disk:UpToDate\n"
	    "a-name-that-is-longer-than-any-resource-of-ours-could-ever-be-in-here role:Primary\n"
	    "  volume:0 minor:2 disk:UpToDate\n"
	    "ok role:Primary\n"
	    "  volume:999999999999 minor:2 disk:UpToDate\n"
	    "  volume:3 minor:x disk:Surprise";
	AUTO_FREE struct drbd_status *list = NULL;
	struct drbd_status *none = NULL;
	struct err err = ERR_INIT;
	int n = 0;

	(void)state;
	assert_int_equal(drbdm_parse_status(text, strlen(text), &list, &n, &err), 0);
	assert_int_equal(n, 1);
	assert_string_equal(list[0].resource, "ok");
	assert_int_equal(list[0].n_volumes, 1);
	assert_int_equal(list[0].volumes[0].index, 3);
	assert_int_equal(list[0].volumes[0].minor, -1);
	assert_int_equal(list[0].volumes[0].disk, DRBD_DISK_UNKNOWN); /* never better than it may be */
	assert_int_equal(list[0].conn, DRBD_CONN_STANDALONE);
	assert_int_equal(drbdm_parse_status("x\0y", 3, &none, &n, &err), -ERR_COMMAND_FAILED);
}

static void trace_events(const char *input, const char *golden, size_t piece)
{
	AUTO_FREE char *text = golden_read(input);
	AUTO_BUF struct buf trace = BUF_INIT;
	AUTO(drbd_events_free) struct drbd_events *ev = drbd_events_new(on_change, &trace);
	size_t len = strlen(text);

	for (size_t at = 0; at < len; at += piece)
		drbd_events_feed(ev, text + at, len - at < piece ? len - at : piece);
	assert_true(drbd_events_synced(ev));
	assert_false(drbd_events_lost(ev));
	golden_check(golden, buf_str(&trace));
}

/* However the pipe cuts the bytes, the trace is the same. */
static void test_events_84(void **state)
{
	static const size_t pieces[] = {1, 7, 100, 65536};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(pieces); i++)
		trace_events("drbd/events-84.txt", "drbd/events-84.trace", pieces[i]);
}

static void test_events_9(void **state)
{
	(void)state;
	trace_events("drbd/events-9.txt", "drbd/events-9.trace", 65536);
	trace_events("drbd/events-9.txt", "drbd/events-9.trace", 13);
}

static void feed(struct drbd_events *ev, const char *text)
{
	drbd_events_feed(ev, text, strlen(text));
}

#define TWO_RESOURCES                                                                                                  \
	"exists resource name:a role:Secondary suspended:no\nexists device name:a volume:0 minor:1 disk:UpToDate\n"    \
	"exists resource name:b role:Secondary suspended:no\n"

static void test_nothing_is_told_before_the_list_is_whole(void **state)
{
	AUTO_BUF struct buf trace = BUF_INIT;
	AUTO(drbd_events_free) struct drbd_events *ev = drbd_events_new(on_change, &trace);

	(void)state;
	feed(ev, TWO_RESOURCES);
	assert_int_equal(trace.len, 0);
	assert_null(drbd_events_find(ev, "a"));
	feed(ev, "exists -\n");
	assert_non_null(drbd_events_find(ev, "a"));
	assert_int_equal(drbd_events_find(ev, "a")->volumes[0].disk, DRBD_DISK_UPTODATE);
	assert_null(drbd_events_find(ev, "c"));
	buf_reset(&trace);
	/* no change, no report */
	feed(ev, "change resource name:a role:Secondary\nchange path name:a established:no\n");
	assert_int_equal(trace.len, 0);
}

/* A new child after an old one died: gone, changed and new are told, what stayed is not. */
static void test_restart(void **state)
{
	AUTO_BUF struct buf trace = BUF_INIT;
	AUTO(drbd_events_free) struct drbd_events *ev = drbd_events_new(on_change, &trace);
	AUTO_FREE struct drbd_status *all = NULL;
	int n = 0;

	(void)state;
	feed(ev, TWO_RESOURCES "exists resource name:c role:Primary suspended:no\nexists -\nchange resource na");
	buf_reset(&trace);
	drbd_events_restart(ev);
	assert_false(drbd_events_synced(ev));
	feed(ev,
	     "exists resource name:a role:Primary suspended:fencing\n"
	     "exists resource name:c role:Primary suspended:no\nexists resource name:d role:Secondary suspended:no\n");
	/* The old picture stands until the new one is whole. */
	assert_int_equal(drbd_events_find(ev, "a")->role, DRBD_ROLE_SECONDARY);
	assert_non_null(drbd_events_find(ev, "b"));
	assert_null(drbd_events_find(ev, "d"));
	assert_int_equal(trace.len, 0);
	feed(ev, "exists -\n");
	assert_null(drbd_events_find(ev, "b"));
	drbd_events_all(ev, &all, &n);
	assert_int_equal(n, 3);
	assert_non_null(
	    strstr(buf_str(&trace), "  a up Primary/Unknown StandAlone FENCING\n")); /* its volume is gone, too */
	assert_non_null(strstr(buf_str(&trace), "  b gone "));
	assert_non_null(strstr(buf_str(&trace), "+ d up Secondary"));
	assert_null(strstr(buf_str(&trace), " c "));
}

static void test_destroyed_while_a_new_child_lists(void **state)
{
	AUTO_BUF struct buf trace = BUF_INIT;
	AUTO(drbd_events_free) struct drbd_events *ev = drbd_events_new(on_change, &trace);

	(void)state;
	feed(ev, TWO_RESOURCES "exists -\n");
	buf_reset(&trace);
	drbd_events_restart(ev);
	feed(ev, TWO_RESOURCES "destroy resource name:b\nexists -\n");
	assert_null(drbd_events_find(ev, "b"));
	assert_string_equal(buf_str(&trace), "  b gone Unknown/Unknown None\n");
	/* and one that was destroyed and made again in between is simply there */
	buf_reset(&trace);
	drbd_events_restart(ev);
	feed(ev, "exists resource name:a role:Secondary\ndestroy resource name:a\ncreate resource name:a role:Primary\n"
		 "exists -\n");
	assert_string_equal(buf_str(&trace), "  a up Primary/Unknown StandAlone\n");
}

static void test_lost_events(void **state)
{
	AUTO(drbd_events_free) struct drbd_events *ev = drbd_events_new(NULL, NULL);

	(void)state;
	feed(ev, TWO_RESOURCES "exists -\n- skipped 3\n");
	assert_true(drbd_events_lost(ev));
	drbd_events_restart(ev);
	assert_false(drbd_events_lost(ev));
	feed(ev, TWO_RESOURCES "exists -\n");
	for (int i = 0; i < 5000; i++)
		feed(ev, "x");
	assert_true(drbd_events_lost(ev));
	feed(ev, " change resource name:a role:Primary\nchange resource name:b role:Primary\n");
	assert_int_equal(drbd_events_find(ev, "a")->role, DRBD_ROLE_SECONDARY); /* that was the long line's end */
	assert_int_equal(drbd_events_find(ev, "b")->role, DRBD_ROLE_PRIMARY);
	drbd_events_restart(ev);
	feed(ev, TWO_RESOURCES "exists -\nrename resource name:a new_name:z\n");
	assert_true(drbd_events_lost(ev));
	assert_null(drbd_events_find(ev, "a"));
}

static void test_names_and_predicates(void **state)
{
	struct drbd_status s = {.up = true, .conn = DRBD_CONN_CONNECTED, .n_volumes = 2};

	(void)state;
	assert_string_equal(drbd_role_name(DRBD_ROLE_PRIMARY), "Primary");
	assert_string_equal(drbd_cstate_name(DRBD_CONN_CONNECTING), "Connecting");
	assert_string_equal(drbd_dstate_name(DRBD_DISK_UNKNOWN), "DUnknown");
	assert_string_equal(drbd_repl_name(DRBD_REPL_OTHER), "Other");
	for (int i = 0; i < 2; i++)
		s.volumes[i] = (struct drbd_volume_status){
		    .disk = DRBD_DISK_UPTODATE, .peer_disk = DRBD_DISK_UPTODATE, .repl = DRBD_REPL_ESTABLISHED};
	assert_true(drbd_status_uptodate(&s));
	assert_true(drbd_status_in_sync(&s));
	s.volumes[1].repl = DRBD_REPL_SYNC_SOURCE;
	assert_false(drbd_status_in_sync(&s));
	s.volumes[1].repl = DRBD_REPL_ESTABLISHED;
	s.volumes[1].peer_disk = DRBD_DISK_INCONSISTENT;
	assert_false(drbd_status_in_sync(&s));
	s.volumes[1].peer_disk = DRBD_DISK_UPTODATE;
	s.conn = DRBD_CONN_CONNECTING;
	assert_false(drbd_status_in_sync(&s));
	assert_true(drbd_status_uptodate(&s));
	s.volumes[0].disk = DRBD_DISK_CONSISTENT;
	assert_false(drbd_status_uptodate(&s));
	s.volumes[0].disk = DRBD_DISK_UPTODATE;
	s.conn = DRBD_CONN_CONNECTED;
	s.suspended_fencing = true;
	assert_false(drbd_status_in_sync(&s));
	assert_false(drbd_status_peer_has_all(&s));
	s.suspended_fencing = false;
	assert_true(drbd_status_peer_has_all(&s));
	s.volumes[1].disk = DRBD_DISK_DISKLESS; /* it lives on the peer's; the other volume is in sync with it */
	assert_true(drbd_status_peer_has_all(&s));
	assert_false(drbd_status_in_sync(&s));
	s.volumes[0].disk = DRBD_DISK_INCONSISTENT;
	assert_false(drbd_status_peer_has_all(&s));
	s.volumes[0].disk = DRBD_DISK_UPTODATE;
	s.conn = DRBD_CONN_CONNECTING; /* that volume may go on alone */
	assert_false(drbd_status_peer_has_all(&s));
	s.n_volumes = 0;
	s.conn = DRBD_CONN_CONNECTED;
	assert_false(drbd_status_peer_has_all(&s));
	assert_false(drbd_status_uptodate(&s)); /* nothing is not "all" */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_names_and_predicates),
	    cmocka_unit_test(test_status_84),
	    cmocka_unit_test(test_status_9),
	    cmocka_unit_test(test_status_odd_input),
	    cmocka_unit_test(test_events_84),
	    cmocka_unit_test(test_events_9),
	    cmocka_unit_test(test_nothing_is_told_before_the_list_is_whole),
	    cmocka_unit_test(test_restart),
	    cmocka_unit_test(test_destroyed_while_a_new_child_lists),
	    cmocka_unit_test(test_lost_events),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
