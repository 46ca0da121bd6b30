/* SPDX-License-Identifier: Apache-2.0 */
#include "io/files.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/replace.h"
#include "common/xmem.h"
#include "schema/field.h"

static enum err_code code_of_errno(void)
{
	switch (errno) {
	case ENOENT:
		return ERR_NOT_FOUND;
	case EACCES:
	case EPERM:
	case EROFS:
		return ERR_PERMISSION;
	case ENOSPC:
	case EDQUOT:
		return ERR_NO_SPACE;
	default:
		return ERR_IO;
	}
}

/* ---- reading ------------------------------------------------------------------------------------------------- */

static int read_all(int fd, const char *path, struct buf *b, struct err *err)
{
	char chunk[8192];

	for (;;) {
		ssize_t n = read(fd, chunk, sizeof(chunk));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(err, code_of_errno(), "cannot read '%s'", path);
		if (n == 0)
			return 0;
		if (memchr(chunk, '\0', (size_t)n))
			return err_set(err, ERR_BAD_VALUE, "'%s' is not a text: it has a NUL byte", path);
		if (b->len + (size_t)n > b->max_bytes || buf_add(b, chunk, (size_t)n) < 0)
			return err_set(err, ERR_TOO_BIG, "'%s' is larger than %zu bytes", path, b->max_bytes);
	}
}

int file_read_text(const char *path, size_t max_bytes, char **ret_text, struct err *err)
{
	AUTO_BUF struct buf b = { .max_bytes = max_bytes };
	AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

	assert(max_bytes > 0);
	if (fd < 0)
		return err_errno(err, code_of_errno(), "cannot open '%s'", path);
	int rc = read_all(fd, path, &b, err);
	if (rc < 0)
		return rc;
	*ret_text = buf_steal(&b);
	return 0;
}

/* ---- writing ------------------------------------------------------------------------------------------------- */

/* "/a/b" -> "/a", "/b" -> "/", "b" -> "." */
static char *dir_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		return xstrdup(".");
	return xstrndup(path, slash == path ? 1 : (size_t)(slash - path));
}

static int sync_dir_of(const char *path, struct err *err)
{
	AUTO_FREE char *dir = dir_of(path);
	AUTO_FD int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || fsync(fd) < 0)
		return err_errno(err, code_of_errno(), "cannot make '%s' durable in its directory", path);
	return 0;
}

int file_write_durable(const char *path, const char *text, unsigned mode, struct err *err)
{
	AUTO_FREE char *dir = dir_of(path);
	const char *slash = strrchr(path, '/');

	errno = replace_file(dir, slash ? slash + 1 : path, text, strlen(text), (mode_t)mode);
	if (errno)
		return err_errno(err, code_of_errno(), "cannot write '%s'", path);
	return sync_dir_of(path, err);
}

int file_rename(const char *from, const char *to, struct err *err)
{
	if (rename(from, to) < 0)
		return err_errno(err, code_of_errno(), "cannot rename '%s' to '%s'", from, to);
	return sync_dir_of(to, err);
}

int file_remove(const char *path, struct err *err)
{
	if (unlink(path) < 0 && errno != ENOENT)
		return err_errno(err, code_of_errno(), "cannot remove '%s'", path);
	return sync_dir_of(path, err);
}

/* ---- directories --------------------------------------------------------------------------------------------- */

static int make_one(const char *path, unsigned mode, struct err *err)
{
	struct stat st;

	if (mkdir(path, 0700) == 0) {
		if (chmod(path, (mode_t)mode) < 0) /* past the umask */
			return err_errno(err, code_of_errno(), "cannot set the mode of '%s'", path);
		return sync_dir_of(path, err);
	}
	if (errno != EEXIST)
		return err_errno(err, code_of_errno(), "cannot make directory '%s'", path);
	if (stat(path, &st) < 0)
		return err_errno(err, code_of_errno(), "cannot look at '%s'", path);
	if (!S_ISDIR(st.st_mode))
		return err_set(err, ERR_WRONG_STATE, "'%s' is not a directory", path);
	return 0;
}

int dir_make(const char *path, unsigned mode, struct err *err)
{
	AUTO_FREE char *p = xstrdup(path);
	size_t len = strlen(p);

	while (len > 1 && p[len - 1] == '/')
		p[--len] = '\0';
	for (size_t i = 1; i < len; i++) {
		if (p[i] != '/' || p[i - 1] == '/')
			continue;
		p[i] = '\0';
		int rc = make_one(p, 0755, err);
		p[i] = '/';
		if (rc < 0)
			return rc;
	}
	return make_one(p, mode, err);
}

/* ---- looking ------------------------------------------------------------------------------------------------- */

bool file_exists(const char *path)
{
	return access(path, F_OK) == 0;
}

bool file_is_program(const char *path)
{
	return access(path, X_OK) == 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int dir_names(const char *path, char ***ret, int *ret_n, struct err *err)
{
	DIR *d = opendir(path);
	char **names = NULL;
	int n = 0;

	if (!d)
		return err_errno(err, code_of_errno(), "cannot read directory '%s'", path);
	for (struct dirent *e; (e = readdir(d));)
		if (e->d_name[0] != '.')
			strs_add(&names, &n, e->d_name);
	(void)closedir(d);
	if (n)
		qsort(names, (size_t)n, sizeof(*names), by_name);
	*ret = names;
	*ret_n = n;
	return 0;
}

int boot_id_read(char out[UUID_LEN + 1], struct err *err)
{
	AUTO_FREE char *text = NULL;
	int rc = file_read_text("/proc/sys/kernel/random/boot_id", 64, &text, err);

	if (rc < 0)
		return rc;
	text[strcspn(text, "\n")] = '\0';
	(void)str_copy(out, UUID_LEN + 1, text);
	return 0;
}
