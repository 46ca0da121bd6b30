/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernel and its tools say when they say no, and what that means to us. */
#include <stdio.h>
#include <string.h>

#include "common/units.h"
#include "storage/drbd/impl.h"
#include "storage/exec.h"

struct refusal_row {
	int number; /* of "State change failed: (-N)" (negative) or "Failure: (N)" */
	enum err_code code;
	const char *hint; /* "" = the code's own */
};

static const struct refusal_row rows[] = {
    {-1, ERR_WRONG_STATE, "the other side is Primary: demote it first, or allow two primaries for a migration"},
    {-2, ERR_STALE_REPLICA, ""},
    {-7, ERR_WRONG_STATE, "no verdict allows it: the master has to say that the other side is out"},
    {-8, ERR_BUSY, "wait for the resync"},
    {-10, ERR_WRONG_STATE, "the other node refused: see its kernel log"},
    {-12, ERR_BUSY, "something holds the device open: stop the guest, see 'fuser -v' and 'lsblk' on the device"},
    {-18, ERR_BUSY, "the connection is changing: try again"},
    {-19, ERR_BUSY, "another state change went on at the same time: try again"},
    {104, ERR_IO, "the disk cannot be opened: is the volume active?"},
    {105, ERR_IO, "the metadata disk cannot be opened: is the volume active?"},
    {111, ERR_WRONG_STATE, "the disk is too small"},
    {112, ERR_WRONG_STATE, "the metadata disk is too small"},
    {114, ERR_BUSY, "another user has claimed the disk"},
    {115, ERR_BUSY, "another user has claimed the metadata disk"},
    {119, ERR_WRONG_STATE, "there is no valid metadata: create it"},
    {122, ERR_NO_MEMORY, "the kernel is out of memory"},
    {127, ERR_NOT_FOUND, "the kernel does not know this minor"},
    {130, ERR_BUSY, "wait for the resync, then resize"},
    {131, ERR_WRONG_STATE, "one side must be Primary to resize"},
    {140, ERR_NO_MEMORY, "the kernel is out of memory for the bitmap"},
    {150, ERR_STALE_REPLICA, ""},
    {158, ERR_NOT_FOUND, "the kernel does not know this resource"},
    {165, ERR_WRONG_STATE, "the metadata is unclean: run 'drbdadm apply-al'"},
};

/* The last line in which the kernel's answer stands, else the tool's last own line; not drbdadm's closing remark. */
static void kernel_line(const struct buf *text, char *out, size_t size)
{
	const char *s = buf_str(text), *best = NULL;
	bool best_is_kernel = false;

	for (const char *p = s; *p;) {
		size_t len = strcspn(p, "\n");
		AUTO_BUF struct buf line = BUF_INIT;

		if (buf_add(&line, p, len) == 0) {
			bool kernel =
			    strstr(buf_str(&line), "State change failed: (") || strstr(buf_str(&line), "Failure: (");
			bool remark = strncmp(p, "Command '", 9) == 0 || strspn(p, " \t") == len;

			if (kernel || (!best_is_kernel && !remark)) {
				best = p;
				best_is_kernel = kernel;
			}
		}
		p += len + (p[len] == '\n');
	}
	if (!best) {
		exec_last_line(text, out, size);
		return;
	}
	AUTO_BUF struct buf found = BUF_INIT;
	if (buf_add(&found, best, strcspn(best, "\n")) == 0)
		exec_last_line(&found, out, size);
}

/* The number in "...: (-7) ..." or "Failure: (158) ..."; 0 = none. */
static int number_of(const char *line)
{
	const char *p = strstr(line, "State change failed: (");
	struct err ignored = ERR_INIT;
	char digits[8] = "";
	int64_t n = 0;

	p = p ? strchr(p, '(') : strstr(line, "Failure: (");
	if (!p)
		return 0;
	p = strchr(p, '(') + 1;
	size_t len = strcspn(p, ")");
	if (len == 0 || len >= sizeof(digits))
		return 0;
	memcpy(digits, p, len);
	return units_parse_int(digits, -1000, 1000, &n, &ignored) < 0 ? 0 : (int)n;
}

int drbdm_refusal(const char *const argv[], const struct runner_result *res, struct err *err)
{
	char line[256] = "";

	kernel_line(&res->err, line, sizeof(line));
	if (!line[0])
		return exec_failed(argv, res, ERR_COMMAND_FAILED, err);
	int n = number_of(line);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (rows[i].number != n || n == 0)
			continue;
		(void)err_set(err, rows[i].code, "%s", line);
		if (rows[i].hint[0])
			(void)err_hint(err, "%s", rows[i].hint);
		return -(int)rows[i].code;
	}
	return err_set(err, n < 0 ? ERR_WRONG_STATE : ERR_COMMAND_FAILED, "%s", line);
}

int drbdm_run(struct drbdm_real *d, const char *const argv[], int timeout_ms, enum drbdm_outcome *ret, struct err *err)
{
	AUTO_RESULT struct runner_result res = {.status = -1};
	int rc = d->runner->run(d->runner, argv, NULL, timeout_ms, &res, err);

	if (rc == -ERR_TIMEOUT) {
		(void)err_set(err, ERR_UNKNOWN_OUTCOME, "command '%s %s' did not end within %d s", argv[0], argv[1],
			      timeout_ms / 1000);
		*ret = DRBDM_UNKNOWN;
		return 0;
	}
	if (rc < 0)
		return rc;
	if (res.status == 0) {
		*ret = DRBDM_DONE;
	} else if (res.status == 20 || res.status >= 128) {
		(void)exec_failed(argv, &res, ERR_UNKNOWN_OUTCOME, err);
		*ret = DRBDM_UNKNOWN;
	} else {
		(void)drbdm_refusal(argv, &res, err);
		*ret = DRBDM_REFUSED;
	}
	return 0;
}
