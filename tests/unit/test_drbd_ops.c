/* SPDX-License-Identifier: Apache-2.0 */
/* Each operation: its commands (golden), when it does nothing, and what it makes of odd answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/xmem.h"
#include "storage/drbd/drbdm.h"
#include "tests/unit/storage_recorder.h"

#define UUID_A "11111111-2222-3333-4444-555555555555"
#define STATUS "drbdsetup status --verbose --statistics web1\n"

static struct recorder rec;
static char dir[32];
static struct drbdm *d; /* made anew for each test */

static struct drbd_conf conf_of(void)
{
	return (struct drbd_conf){
	    .resource = "web1",
	    .instance_uuid = UUID_A,
	    .volumes = {{.index = 0, .minor = 7, .disk_path = "/dev/vg/a", .meta_path = "/dev/vg/am"},
			{.index = 1, .minor = 8, .disk_path = "/dev/vg/b", .meta_path = "/dev/vg/bm"}},
	    .n_volumes = 2,
	    .peers = {{.hostname = "node1", .address = "10.77.1.11", .node_id = 0},
		      {.hostname = "node2", .address = "10.77.1.12", .node_id = 1}},
	    .port = 11000,
	    .secret = "s3cret",
	    .arbitrated = true,
	    .resync_rate_mib_s = 50,
	    .handler = "/usr/lib/gantry/drbd-handler",
	};
}

static int setup(void **state)
{
	struct drbd_conf c = conf_of();
	struct err err = ERR_INIT;

	(void)state;
	(void)snprintf(dir, sizeof(dir), "/tmp/gantry-ops.XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	recorder_reset(&rec);
	d = drbdm_new_for(&rec.base, dir, DRBDM_KERNEL_84);
	return d->ops->write_conf(d, &c, &err);
}

static int teardown(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	if (d->ops->remove_conf(d, "web1", &err) < 0)
		return -1;
	drbdm_free(d);
	return rmdir(dir);
}

/* The text of `drbdsetup status` for two volumes in the same state. */
static const char *status_text(const char *role, const char *suspended, const char *conn, const char *disk,
			       const char *peer_disk, const char *repl)
{
	static char text[16][1024]; /* borrowed by the recorder's rules: each lives for a test */
	static int next;
	char *out = text[next++ % 16];

	(void)snprintf(out, 1024,
		       "web1 role:%s suspended:%s\n"
		       "  volume:0 minor:7 disk:%s\n"
		       "  volume:1 minor:8 disk:%s\n"
		       "  peer connection:%s role:Unknown congested:no\n"
		       "    volume:0 replication:%s peer-disk:%s resync-suspended:no\n"
		       "    volume:1 replication:%s peer-disk:%s resync-suspended:no\n\n",
		       role, suspended, disk, disk, conn, repl, peer_disk, repl, peer_disk);
	return out;
}

static const char *connected(const char *role)
{
	return status_text(role, "no", "Connected", "UpToDate", "UpToDate", "Established");
}

static const char *cut(const char *role)
{
	return status_text(role, "no", "StandAlone", "UpToDate", "DUnknown", "Off");
}

static const char *fresh(void)
{
	return status_text("Secondary", "no", "Connected", "Inconsistent", "Inconsistent", "Established");
}

#define NO_RESOURCE "web1: No such resource\n"

static void status_is(const char *text)
{
	recorder_answer(&rec, "drbdsetup status", -1, 0, text, "");
}

static void not_up(void)
{
	recorder_answer(&rec, "drbdsetup status", -1, 10, "", NO_RESOURCE);
}

/* ---- golden: the commands of each operation --------------------------------------------------- */

static struct buf golden;

static void take(const char *title, int rc)
{
	assert_int_equal(rc, 0);
	buf_printf(&golden, "== %s\n%s", title, buf_str(&rec.log));
	recorder_reset(&rec);
}

static void commands_of_the_connection(struct err *err)
{
	status_is(cut("Secondary"));
	take("connect", d->ops->connect(d, "web1", false, err));
	status_is(cut("Secondary"));
	take("connect, discarding", d->ops->connect(d, "web1", true, err));
	status_is(connected("Secondary"));
	take("connect when connected", d->ops->connect(d, "web1", true, err));
	recorder_answer(&rec, "drbdsetup status", 2, 0,
			status_text("Secondary", "no", "Connecting", "UpToDate", "DUnknown", "Off"), "");
	status_is(cut("Secondary"));
	take("connect, discarding, while it is tried already", d->ops->connect(d, "web1", true, err));
	recorder_answer(&rec, "drbdsetup status", 1, 0, connected("Secondary"), "");
	status_is(cut("Secondary"));
	take("disconnect", d->ops->disconnect(d, "web1", false, err));
	recorder_answer(&rec, "drbdsetup status", 1, 0, connected("Secondary"), "");
	status_is(cut("Secondary"));
	take("disconnect, forced", d->ops->disconnect(d, "web1", true, err));
	status_is(cut("Secondary"));
	take("disconnect when cut", d->ops->disconnect(d, "web1", true, err));
	status_is(connected("Primary"));
	take("two primaries", d->ops->two_primaries(d, "web1", true, err));
	status_is(connected("Primary"));
	take("one primary", d->ops->two_primaries(d, "web1", false, err));
	recorder_answer(&rec, "net-options", 1, 10, "", "web1: Failure: (162) Invalid configuration request\n");
	status_is(cut("Primary"));
	take("one primary when cut", d->ops->two_primaries(d, "web1", false, err));
}

static void commands_of_the_disks(struct err *err)
{
	struct drbd_conf c = conf_of();

	not_up();
	recorder_answer(&rec, "dump-md web1/0", -1, 0, "version \"v08\";\n", "");
	recorder_answer(&rec, "dump-md web1/1", -1, 255, "", "No valid meta data found\n");
	take("create-md where there is none", d->ops->create_md(d, &c, false, err));
	not_up();
	take("create-md, forced", d->ops->create_md(d, &c, true, err));
	not_up();
	take("attach from nothing", d->ops->attach(d, "web1", err));
	status_is("web1 role:Secondary suspended:no\n  volume:0 minor:7 disk:UpToDate\n");
	take("attach the rest", d->ops->attach(d, "web1", err));
	status_is(status_text("Secondary", "no", "Connected", "Diskless", "UpToDate", "Established"));
	take("attach again", d->ops->attach(d, "web1", err));
	status_is(connected("Secondary"));
	take("attach when attached", d->ops->attach(d, "web1", err));
	status_is(cut("Primary"));
	take("detach", d->ops->detach(d, "web1", false, err));
	status_is(cut("Primary"));
	take("detach, forced", d->ops->detach(d, "web1", true, err));
	status_is(status_text("Secondary", "no", "StandAlone", "Diskless", "DUnknown", "Off"));
	take("detach when diskless", d->ops->detach(d, "web1", true, err));
	status_is(fresh());
	take("new-current-uuid, no first sync", d->ops->new_current_uuid(d, "web1", true, err));
	status_is(connected("Secondary"));
	take("new-current-uuid, no first sync, again", d->ops->new_current_uuid(d, "web1", true, err));
	status_is(cut("Secondary"));
	take("new-current-uuid", d->ops->new_current_uuid(d, "web1", false, err));
	take("resize", d->ops->resize(d, "web1", err));
}

static void commands_of_the_rest(struct err *err)
{
	status_is(connected("Secondary"));
	take("options", d->ops->options(d, "web1", err));
	status_is(connected("Secondary"));
	take("down", d->ops->down(d, "web1", err));
	not_up();
	take("down when down", d->ops->down(d, "web1", err));
	take("primary", d->ops->primary(d, "web1", false, err));
	take("primary, forced", d->ops->primary(d, "web1", true, err));
	status_is(connected("Primary"));
	take("secondary", d->ops->secondary(d, "web1", err));
	status_is(connected("Secondary"));
	take("secondary when secondary", d->ops->secondary(d, "web1", err));
	status_is(status_text("Primary", "fencing", "Connecting", "UpToDate", "DUnknown", "Off"));
	take("resume-io", d->ops->resume_io(d, "web1", err));
	status_is(connected("Primary"));
	take("resume-io when running", d->ops->resume_io(d, "web1", err));
}

static void test_commands(void **state)
{
	static const char *const files[] = {"drbd/ops-84.commands", "drbd/ops-9.commands"};
	struct err err = ERR_INIT;

	(void)state;
	for (int kernel = DRBDM_KERNEL_84; kernel <= DRBDM_KERNEL_9; kernel++) {
		drbdm_free(d);
		d = drbdm_new_for(&rec.base, dir, (enum drbdm_kernel)kernel);
		commands_of_the_disks(&err);
		commands_of_the_connection(&err);
		commands_of_the_rest(&err);
		golden_check(files[kernel], buf_str(&golden));
		buf_reset(&golden);
	}
	buf_done(&golden);
}

/* ---- status ----------------------------------------------------------------------------------- */

static void test_status(void **state)
{
	AUTO_FREE struct drbd_status *all = NULL;
	struct drbd_status s;
	struct err err = ERR_INIT;
	int n = -1;

	(void)state;
	not_up();
	assert_int_equal(d->ops->status(d, "web1", &s, &err), 0);
	assert_false(s.up);
	assert_string_equal(s.resource, "web1");
	assert_int_equal(s.conn, DRBD_CONN_NONE);
	recorder_reset(&rec);
	recorder_answer(&rec, "drbdsetup status", -1, 20, "", "Could not connect to 'drbd' generic netlink family\n");
	assert_int_equal(d->ops->status(d, "web1", &s, &err), 0);
	assert_false(s.up);
	assert_int_equal(d->ops->status_all(d, &all, &n, &err), 0);
	assert_int_equal(n, 0);
	/* What is not clearly "down" is a failure, never "down". */
	recorder_reset(&rec);
	recorder_answer(&rec, "drbdsetup status", 1, 10, "", "web1: Failure: (126) unknown\n");
	recorder_answer(&rec, "drbdsetup status", 1, 20, "", "error receiving reply\n");
	recorder_answer(&rec, "drbdsetup status", 1, 137, "", "");
	recorder_fail(&rec, "drbdsetup status", 1, -ERR_TIMEOUT);
	for (int i = 0; i < 3; i++)
		assert_int_equal(d->ops->status(d, "web1", &s, &err), -ERR_COMMAND_FAILED);
	assert_int_equal(d->ops->status(d, "web1", &s, &err), -ERR_TIMEOUT);
	assert_int_equal(d->ops->status(d, "all", &s, &err), -ERR_BAD_VALUE);
	recorder_reset(&rec);
	status_is(connected("Primary"));
	assert_int_equal(d->ops->status(d, "web1", &s, &err), 0);
	assert_true(drbd_status_in_sync(&s));
	assert_int_equal(s.n_volumes, 2);
}

/* ---- refusals and unknown outcomes ------------------------------------------------------------ */

#define SLOW "Command 'drbdsetup-84 x 7' did not terminate within 5 seconds\n"
#define REFUSED(number, text)                                                                                          \
	"7: State change failed: (" number ") " text "\n"                                                              \
	"Command '/lib/drbd/drbdsetup-84 primary 7' terminated with exit code 11\n"

static void test_refused_promotions(void **state)
{
	static const struct {
		int status;
		const char *text;
		int rc;
	} rows[] = {
	    {17, REFUSED("-2", "Need access to UpToDate data"), -ERR_STALE_REPLICA},
	    {11, REFUSED("-7", "Refusing to be Primary while peer is not outdated"), -ERR_WRONG_STATE},
	    {11, REFUSED("-1", "Multiple primaries not allowed by config"), -ERR_WRONG_STATE},
	    {11, REFUSED("-10", "State change was refused by peer node"), -ERR_WRONG_STATE},
	    {11, REFUSED("-99", "Something new"), -ERR_WRONG_STATE},
	    {10, "7: Failure: (158) Unknown resource\n", -ERR_NOT_FOUND},
	    {10, "r0.res:3: Parse error\n", -ERR_COMMAND_FAILED},
	    {1, "", -ERR_COMMAND_FAILED},
	};
	struct err err = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		recorder_reset(&rec);
		recorder_answer(&rec, "primary", -1, rows[i].status, "", rows[i].text);
		status_is(cut("Secondary"));
		assert_int_equal(d->ops->primary(d, "web1", false, &err), rows[i].rc);
		assert_string_equal(buf_str(&rec.log),
				    "drbdadm primary web1\n" STATUS); /* one try: a verdict costs time */
		assert_non_null(strstr(err.msg, "resource 'web1': "));
	}
	recorder_reset(&rec);
	recorder_answer(&rec, "primary", -1, 17, "", REFUSED("-2", "Need access to UpToDate data"));
	status_is(cut("Secondary"));
	assert_int_equal(d->ops->primary(d, "web1", false, &err), -ERR_STALE_REPLICA);
	assert_string_equal(err.msg, "resource 'web1': 7: State change failed: (-2) Need access to UpToDate data");
}

/* The handler said yes and marked the peer, but the first try was refused: once more, and only once. */
static void test_promotion_again_after_the_peer_was_marked(void **state)
{
	const char *refused = REFUSED("-7", "Refusing to be Primary while peer is not outdated");
	struct err err = ERR_INIT;

	(void)state;
	recorder_answer(&rec, "primary", 1, 11, "", refused);
	status_is(status_text("Secondary", "no", "Connecting", "UpToDate", "Outdated", "Off"));
	assert_int_equal(d->ops->primary(d, "web1", false, &err), 0);
	assert_string_equal(buf_str(&rec.log), "drbdadm primary web1\n" STATUS "drbdadm primary web1\n");
	recorder_reset(&rec);
	recorder_answer(&rec, "primary", -1, 11, "", refused);
	status_is(status_text("Secondary", "no", "Connecting", "UpToDate", "Outdated", "Off"));
	assert_int_equal(d->ops->primary(d, "web1", false, &err), -ERR_WRONG_STATE);
	assert_string_equal(buf_str(&rec.log), "drbdadm primary web1\n" STATUS "drbdadm primary web1\n");
}

/* 8.4 shows the highest role of the volumes, so Primary in the status is no proof that all are. */
static void test_promotion_does_not_trust_the_role(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	recorder_answer(&rec, "primary", 1, 20, "", SLOW);
	status_is(connected("Primary"));
	assert_int_equal(d->ops->primary(d, "web1", false, &err), 0);
	assert_string_equal(buf_str(&rec.log), "drbdadm primary web1\ndrbdadm primary web1\n");
	recorder_reset(&rec);
	recorder_answer(&rec, "primary", -1, 20, "", SLOW);
	assert_int_equal(d->ops->primary(d, "web1", false, &err), -ERR_UNKNOWN_OUTCOME);
}

static void test_unknown_outcomes(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	/* done, but the tool did not wait for it */
	recorder_answer(&rec, "drbdsetup status", 1, 0, connected("Primary"), "");
	status_is(connected("Secondary"));
	recorder_answer(&rec, "drbdadm secondary", 1, 20, "", SLOW);
	assert_int_equal(d->ops->secondary(d, "web1", &err), 0);
	assert_string_equal(buf_str(&rec.log), STATUS "drbdadm secondary web1\n" STATUS);
	/* not done: again */
	recorder_reset(&rec);
	recorder_fail(&rec, "drbdadm secondary", 1, -ERR_TIMEOUT);
	status_is(connected("Primary"));
	assert_int_equal(d->ops->secondary(d, "web1", &err), 0);
	assert_string_equal(buf_str(&rec.log), STATUS "drbdadm secondary web1\n" STATUS "drbdadm secondary web1\n");
	/* never: said so */
	recorder_reset(&rec);
	recorder_answer(&rec, "drbdadm secondary", -1, 20, "", SLOW);
	status_is(connected("Primary"));
	assert_int_equal(d->ops->secondary(d, "web1", &err), -ERR_UNKNOWN_OUTCOME);
	assert_non_null(strstr(err.msg, "did not terminate within 5 seconds"));
	/* a state that cannot be read proves nothing */
	recorder_reset(&rec);
	recorder_answer(&rec, "drbdsetup status", 1, 0, connected("Primary"), "");
	recorder_answer(&rec, "drbdsetup status", -1, 20, "", "odd\n");
	recorder_answer(&rec, "drbdadm secondary", -1, 20, "", SLOW);
	assert_int_equal(d->ops->secondary(d, "web1", &err), -ERR_UNKNOWN_OUTCOME);
}

/* The handshake is no connection yet: it may end in a split brain, and a promotion waits for what comes of it. */
static void test_the_handshake_is_not_connected(void **state)
{
	const struct {
		const char *text;
		bool shakes;
	} row[] = {
		{ status_text("Secondary", "no", "Connected", "UpToDate", "Outdated", "Off"), true },
		{ connected("Secondary"), false },
		{ cut("Secondary"), false },
		{ status_text("Secondary", "no", "Connecting", "UpToDate", "DUnknown", "Off"), false },
	};
	struct drbd_status s;
	struct err err = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(row); i++) {
		recorder_reset(&rec);
		status_is(row[i].text);
		assert_int_equal(d->ops->status(d, "web1", &s, &err), 0);
		assert_int_equal(drbd_status_shakes_hands(&s), row[i].shakes);
	}
}

static void test_held_open(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	recorder_answer(&rec, "drbdadm", -1, 11, "", REFUSED("-12", "Device is held open by someone"));
	status_is(connected("Primary"));
	assert_int_equal(d->ops->secondary(d, "web1", &err), -ERR_BUSY);
	assert_true(err_retryable(err.code));
	assert_int_equal(d->ops->down(d, "web1", &err), -ERR_BUSY);
}

/* "It is cut" is relied upon by a promotion: success alone is not enough. */
static void test_disconnect_is_verified(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	status_is(connected("Secondary"));
	assert_int_equal(d->ops->disconnect(d, "web1", true, &err), -ERR_UNKNOWN_OUTCOME);
	recorder_reset(&rec);
	recorder_answer(&rec, "drbdsetup status", 2, 0,
			status_text("Secondary", "no", "Disconnecting", "UpToDate", "DUnknown", "Off"), "");
	status_is(cut("Secondary"));
	assert_int_equal(d->ops->disconnect(d, "web1", true, &err), 0);
	/* refused, but cut: good */
	recorder_reset(&rec);
	recorder_answer(&rec, "drbdsetup status", 1, 0, connected("Secondary"), "");
	recorder_answer(&rec, "disconnect", -1, 10, "", "web1: Failure: (162) Invalid configuration request\n");
	status_is(cut("Secondary"));
	assert_int_equal(d->ops->disconnect(d, "web1", true, &err), 0);
}

static void test_two_primaries_unknown(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	status_is(connected("Primary"));
	recorder_answer(&rec, "net-options", 1, 20, "", SLOW);
	recorder_answer(&rec, "drbdsetup show", 1, 0, "resource web1 {\n net {\n  allow-two-primaries\tyes;\n }\n}\n",
			"");
	assert_int_equal(d->ops->two_primaries(d, "web1", true, &err), 0);
	assert_string_equal(buf_str(&rec.log),
			    "drbdadm net-options --allow-two-primaries=yes web1\ndrbdsetup show web1\n");
	recorder_reset(&rec);
	status_is(connected("Primary"));
	recorder_answer(&rec, "net-options", 2, 20, "", SLOW);
	recorder_answer(&rec, "drbdsetup show", 1, 0, "net {\n  allow-two-primaries yes;\n}\n", "");
	recorder_answer(&rec, "drbdsetup show", 1, 0, "net {\n  protocol C;\n}\n", "");
	assert_int_equal(d->ops->two_primaries(d, "web1", false, &err), 0);
	/* a show that fails proves nothing, in neither direction */
	for (int allow = 0; allow < 2; allow++) {
		recorder_reset(&rec);
		status_is(connected("Primary"));
		recorder_answer(&rec, "net-options", -1, 20, "", SLOW);
		recorder_answer(&rec, "drbdsetup show", -1, 20, "", "odd\n");
		assert_int_equal(d->ops->two_primaries(d, "web1", allow, &err), -ERR_UNKNOWN_OUTCOME);
	}
	recorder_reset(&rec);
	status_is(connected("Primary"));
	recorder_answer(&rec, "net-options", -1, 11, "", REFUSED("-1", "Multiple primaries not allowed by config"));
	assert_int_equal(d->ops->two_primaries(d, "web1", false, &err), -ERR_WRONG_STATE);
}

/* Leaving out the first sync is safe only for what was never written, on both sides, and connected. */
static void test_skipping_the_first_sync(void **state)
{
	const char *const unsafe[] = {
	    cut("Secondary"),
	    status_text("Secondary", "no", "StandAlone", "Inconsistent", "Inconsistent", "Off"),
	    status_text("Secondary", "no", "StandAlone", "Inconsistent", "Inconsistent", "Established"),
	    status_text("Secondary", "no", "Connecting", "Inconsistent", "DUnknown", "Off"),
	    status_text("Secondary", "no", "Connected", "Inconsistent", "DUnknown", "Established"),
	    status_text("Secondary", "no", "Connected", "Inconsistent", "UpToDate", "Established"),
	    status_text("Secondary", "no", "Connected", "UpToDate", "Inconsistent", "SyncSource"),
	    status_text("Secondary", "no", "Connected", "Inconsistent", "UpToDate", "SyncTarget"),
	    status_text("Secondary", "no", "Connected", "UpToDate", "Outdated", "Established"),
	    status_text("Secondary", "no", "Connected", "Diskless", "Inconsistent", "Established"),
	};
	struct err err = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(unsafe); i++) {
		recorder_reset(&rec);
		status_is(unsafe[i]);
		assert_int_equal(d->ops->new_current_uuid(d, "web1", true, &err), -ERR_NOT_SAFE);
		assert_null(strstr(buf_str(&rec.log), "new-current-uuid"));
	}
	recorder_reset(&rec);
	not_up();
	assert_int_equal(d->ops->new_current_uuid(d, "web1", true, &err), -ERR_WRONG_STATE);
	/* unknown, and the link broke meanwhile: not again */
	recorder_reset(&rec);
	recorder_answer(&rec, "drbdsetup status", 2, 0, fresh(), "");
	status_is(status_text("Secondary", "no", "StandAlone", "Inconsistent", "DUnknown", "Off"));
	recorder_answer(&rec, "new-current-uuid", -1, 20, "", SLOW);
	assert_int_equal(d->ops->new_current_uuid(d, "web1", true, &err), -ERR_NOT_SAFE);
	/* unknown, but done */
	recorder_reset(&rec);
	recorder_answer(&rec, "drbdsetup status", 2, 0, fresh(), "");
	status_is(connected("Secondary"));
	recorder_answer(&rec, "new-current-uuid", -1, 20, "", SLOW);
	assert_int_equal(d->ops->new_current_uuid(d, "web1", true, &err), 0);
}

static void test_metadata_is_not_overwritten_on_a_doubt(void **state)
{
	struct drbd_conf c = conf_of();
	struct err err = ERR_INIT;

	(void)state;
	not_up();
	recorder_answer(&rec, "dump-md", -1, 20, "", "open(/dev/vg/am) failed: Device or resource busy\n");
	assert_int_equal(d->ops->create_md(d, &c, false, &err), -ERR_COMMAND_FAILED);
	assert_null(strstr(buf_str(&rec.log), "create-md"));
	recorder_reset(&rec);
	not_up();
	recorder_answer(&rec, "dump-md", -1, 255, "", "Found meta data is \"unclean\", please apply-al first\n");
	assert_int_equal(d->ops->create_md(d, &c, false, &err), 0);
	assert_null(strstr(buf_str(&rec.log), "create-md"));
	recorder_reset(&rec);
	status_is(connected("Secondary"));
	assert_int_equal(d->ops->create_md(d, &c, false, &err), 0);
	assert_int_equal(d->ops->create_md(d, &c, true, &err), -ERR_WRONG_STATE);
	assert_null(strstr(buf_str(&rec.log), "create-md"));
	recorder_reset(&rec);
	not_up();
	recorder_answer(&rec, "create-md", -1, 10, "", "Device size would be too small\n");
	assert_int_equal(d->ops->create_md(d, &c, true, &err), -ERR_COMMAND_FAILED);
}

static void test_attach_failures(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(d->ops->attach(d, "web2", &err), -ERR_NOT_FOUND);
	assert_string_equal(buf_str(&rec.log), "");
	status_is("web1 role:Secondary suspended:no\n  volume:0 minor:9 disk:Diskless\n");
	assert_int_equal(d->ops->attach(d, "web1", &err), -ERR_WRONG_STATE);
	assert_string_equal(err.msg, "resource 'web1': volume 0 runs as minor 9, its file says 7");
	recorder_reset(&rec);
	recorder_answer(&rec, "drbdadm attach", -1, 10, "", "7: Failure: (119) No valid meta-data signature found.\n");
	status_is(status_text("Secondary", "no", "StandAlone", "Diskless", "DUnknown", "Off"));
	assert_int_equal(d->ops->attach(d, "web1", &err), -ERR_WRONG_STATE);
	/* refused because somebody was faster */
	recorder_reset(&rec);
	recorder_answer(&rec, "drbdsetup status", 1, 10, "", NO_RESOURCE);
	recorder_answer(&rec, "drbdadm", -1, 10, "",
			"7: Failure: (161) Minor or volume exists already (delete it first)\n");
	status_is(connected("Secondary"));
	assert_int_equal(d->ops->attach(d, "web1", &err), 0);
}

static void test_connect_failures(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	not_up();
	assert_int_equal(d->ops->connect(d, "web1", false, &err), -ERR_WRONG_STATE);
	/* DRBD 9 that does not know its peer yet */
	drbdm_free(d);
	d = drbdm_new_for(&rec.base, dir, DRBDM_KERNEL_9);
	recorder_reset(&rec);
	status_is("web1 node-id:0 role:Secondary suspended:no\n  volume:0 minor:7 disk:UpToDate\n");
	recorder_answer(&rec, "drbdadm connect", 1, 10, "", "web1: Failure: (158) Unknown resource\n");
	recorder_answer(&rec, "new-path", 1, 10, "", "web1: Failure: (168) Peer or path exists\n");
	assert_int_equal(d->ops->connect(d, "web1", false, &err), 0);
	assert_string_equal(buf_str(&rec.log),
			    STATUS "drbdadm connect web1\n" STATUS
				   "drbdadm new-peer web1\ndrbdadm new-path web1\ndrbdadm connect web1\n");
}

/* The file may be gone while the kernel still runs the resource. */
static void test_down_without_a_file(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(d->ops->remove_conf(d, "web1", &err), 0);
	status_is(connected("Secondary"));
	assert_int_equal(d->ops->down(d, "web1", &err), 0);
	assert_string_equal(buf_str(&rec.log), STATUS "drbdsetup down web1\n");
}

static void test_names_reach_no_command(void **state)
{
	static const char *const names[] = {"", "all", "--help", "a b", "web1/0", "minor-7;"};
	struct err err = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		assert_int_equal(d->ops->options(d, names[i], &err), -ERR_BAD_VALUE);
		assert_int_equal(d->ops->primary(d, names[i], true, &err), -ERR_BAD_VALUE);
		assert_int_equal(d->ops->down(d, names[i], &err), -ERR_BAD_VALUE);
		assert_int_equal(d->ops->resize(d, names[i], &err), -ERR_BAD_VALUE);
		assert_int_equal(d->ops->attach(d, names[i], &err), -ERR_BAD_VALUE);
		assert_int_equal(d->ops->disconnect(d, names[i], true, &err), -ERR_BAD_VALUE);
		assert_int_equal(d->ops->new_current_uuid(d, names[i], false, &err), -ERR_BAD_VALUE);
	}
	assert_string_equal(buf_str(&rec.log), "");
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(test_commands),
	    TEST(test_status),
	    TEST(test_refused_promotions),
	    TEST(test_promotion_again_after_the_peer_was_marked),
	    TEST(test_promotion_does_not_trust_the_role),
	    TEST(test_unknown_outcomes),
	    TEST(test_the_handshake_is_not_connected),
	    TEST(test_held_open),
	    TEST(test_disconnect_is_verified),
	    TEST(test_two_primaries_unknown),
	    TEST(test_skipping_the_first_sync),
	    TEST(test_metadata_is_not_overwritten_on_a_doubt),
	    TEST(test_attach_failures),
	    TEST(test_connect_failures),
	    TEST(test_down_without_a_file),
	    TEST(test_names_reach_no_command),
	};

	recorder_init(&rec);
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	recorder_done(&rec);
	return failed;
}
