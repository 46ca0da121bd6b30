/* SPDX-License-Identifier: Apache-2.0 */
#include "common/replace.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/xmem.h"

static int write_all(int fd, const char *text, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, text, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		text += n;
		len -= (size_t)n;
	}
	return 0;
}

int replace_file(const char *dir, const char *name, const char *text, size_t len, mode_t mode)
{
	AUTO_FREE char *path = xasprintf("%s/%s", dir, name);
	/* mkstemp's name: two writers never share a temporary file; its dot keeps it out of globs like "*.res". */
	AUTO_FREE char *temp = xasprintf("%s/.%s.XXXXXX", dir, name);
	AUTO_FD int fd = mkostemp(temp, O_CLOEXEC);

	if (fd < 0)
		return errno;
	if (write_all(fd, text, len) == 0 && fchmod(fd, mode) == 0 && fsync(fd) == 0 && rename(temp, path) == 0)
		return 0;
	int why = errno;
	(void)unlink(temp);
	return why;
}
