/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/durable.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/replace.h"
#include "common/xmem.h"

int durable_sync_dir(const char *dir, struct err *err)
{
	AUTO_FD int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return err_errno(err, ERR_IO, "cannot open directory '%s'", dir);
	if (fsync(fd) < 0)
		return err_errno(err, ERR_IO, "cannot sync directory '%s'", dir);
	return 0;
}

int durable_write(const char *dir, const char *name, const char *text, size_t len, mode_t mode, struct err *err)
{
	errno = replace_file(dir, name, text, len, mode);
	if (errno)
		return err_errno(err, errno == ENOSPC ? ERR_NO_SPACE : ERR_IO, "cannot write '%s/%s'", dir, name);
	return durable_sync_dir(dir, err);
}

int durable_remove(const char *dir, const char *name, struct err *err)
{
	AUTO_FREE char *path = xasprintf("%s/%s", dir, name);

	if (unlink(path) < 0 && errno != ENOENT)
		return err_errno(err, ERR_IO, "cannot remove '%s'", path);
	/* Synced when absent as well: an earlier run may have died between its unlink and its sync. */
	if (access(dir, F_OK) < 0 && errno == ENOENT)
		return 0;
	return durable_sync_dir(dir, err);
}

int durable_read(const char *dir, const char *name, size_t max_bytes, struct buf *ret, bool *ret_present,
		 struct err *err)
{
	AUTO_FREE char *path = xasprintf("%s/%s", dir, name);
	AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	size_t total = 0;

	if (fd < 0 && errno == ENOENT) {
		*ret_present = false;
		return 0;
	}
	if (fd < 0)
		return err_errno(err, ERR_IO, "cannot open '%s'", path);
	for (;;) {
		char chunk[4096];
		ssize_t n = read(fd, chunk, sizeof(chunk));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(err, ERR_IO, "cannot read '%s'", path);
		if (n == 0)
			break;
		total += (size_t)n;
		if (total > max_bytes || buf_add(ret, chunk, (size_t)n) < 0)
			return err_set(err, ERR_TOO_BIG, "'%s' is over %zu bytes", path, max_bytes);
	}
	*ret_present = true;
	return 0;
}
