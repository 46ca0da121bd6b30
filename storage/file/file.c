/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/file/file.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "common/units.h"
#include "common/xmem.h"
#include "storage/durable.h"
#include "storage/exec.h"

#define MIB          ((int64_t)1024 * 1024)
#define OWNER_SUFFIX ".owner"
#define IMAGE_MODE   0600

DEFINE_CLEANUP(DIR *, closedir);

struct file_store {
	struct volumes base;
	char dirs[FILE_POOLS_MAX][NAME_LEN + 1];
	int n_dirs;
	bool preallocate;
};

static struct file_store *store_of(struct volumes *v)
{
	return (struct file_store *)(void *)v;
}

static bool is_owner_file(const char *name)
{
	size_t n = strlen(name), s = strlen(OWNER_SUFFIX);

	return n > s && strcmp(name + n - s, OWNER_SUFFIX) == 0;
}

static int check_spec(const struct file_store *f, const struct volume_spec *s, struct err *err)
{
	bool known = false;

	for (int i = 0; i < f->n_dirs; i++)
		known = known || strcmp(f->dirs[i], s->pool) == 0;
	if (!known) {
		(void)err_set(err, ERR_NOT_FOUND, "directory '%s' is not one for images on this node", s->pool);
		return err_hint(err, "list it in the node's settings");
	}
	if (!word_is_plain(s->name, VOLUME_LEN) || is_owner_file(s->name))
		return err_set(err, ERR_BAD_VALUE, "'%s' is not a name for an image file", s->name);
	if (!word_is_uuid(s->owner))
		return err_set(err, ERR_BAD_VALUE, "volume '%s' has no owner: '%s' is not a uuid", s->name, s->owner);
	return 0;
}

static void path_of(const struct volume_spec *s, char *out, size_t size)
{
	(void)snprintf(out, size, "%s/%s", s->pool, s->name);
}

static void owner_name(const char *name, char *out, size_t size)
{
	(void)snprintf(out, size, "%s" OWNER_SUFFIX, name);
}

/* "" when there is no such file, or nothing in it that could be an owner. */
static int read_owner(const char *pool, const char *name, char *ret_owner, struct err *err)
{
	AUTO_BUF struct buf text = BUF_INIT;
	char side[VOLUME_LEN + sizeof(OWNER_SUFFIX)];
	bool present = false;

	owner_name(name, side, sizeof(side));
	int rc = durable_read(pool, side, 256, &text, &present, err);
	if (rc < 0)
		return rc;
	ret_owner[0] = '\0';
	if (text.len == UUID_LEN + 1 && text.data[UUID_LEN] == '\n') {
		text.data[UUID_LEN] = '\0';
		if (word_is_uuid(text.data))
			(void)str_copy(ret_owner, UUID_LEN + 1, text.data);
	}
	return 0;
}

static int find_file(const struct volume_spec *s, struct volume_info *ret, bool *ret_found, struct err *err)
{
	struct volume_info info = {.active = true};
	char path[PATH_LEN + 1];
	struct stat st;

	path_of(s, path, sizeof(path));
	if (lstat(path, &st) < 0) {
		if (errno != ENOENT)
			return err_errno(err, ERR_IO, "cannot look at '%s'", path);
		*ret_found = false;
		return 0;
	}
	(void)str_copy(info.pool, sizeof(info.pool), s->pool);
	(void)str_copy(info.name, sizeof(info.name), s->name);
	if (S_ISREG(st.st_mode)) { /* a link or a directory of that name is not ours, whatever lies beside it */
		int rc = read_owner(s->pool, s->name, info.owner, err);

		if (rc < 0)
			return rc;
		info.size_mib = (int64_t)st.st_size / MIB;
	}
	*ret = info;
	*ret_found = true;
	return 0;
}

static int foreign(const struct volume_info *have, const struct volume_spec *s, struct err *err)
{
	if (have->owner[0])
		return err_set(err, ERR_FOREIGN, "image '%s/%s' belongs to disk '%s', not to '%s'", s->pool, s->name,
			       have->owner, s->owner);
	return err_set(err, ERR_FOREIGN, "file '%s/%s' exists and has no owner's file of Gantry", s->pool, s->name);
}

/* Also for sparse files: a guest that hits a full file system later is worse than a refusal now. */
static int check_room(const struct volume_spec *s, int64_t more_mib, struct err *err)
{
	char have[32], want[32];
	struct statvfs vfs;

	if (statvfs(s->pool, &vfs) < 0)
		return err_errno(err, ERR_IO, "cannot look at directory '%s'", s->pool);
	int64_t free_mib = (int64_t)((uint64_t)vfs.f_bavail * vfs.f_frsize / (uint64_t)MIB);
	if (free_mib >= more_mib)
		return 0;
	units_format_mib(free_mib, have, sizeof(have));
	units_format_mib(more_mib, want, sizeof(want));
	return err_set(err, ERR_NO_SPACE, "directory '%s' has %s free, image '%s' needs %s%s", s->pool, have, s->name,
		       want, more_mib < s->size_mib ? " more" : "");
}

static int set_size(const struct file_store *f, int fd, const char *path, int64_t size_mib, struct err *err)
{
	int e = 0;

	if (f->preallocate)
		e = posix_fallocate(fd, 0, size_mib * MIB);
	else if (ftruncate(fd, size_mib * MIB) < 0)
		e = errno;
	if (e == 0 && fsync(fd) < 0)
		e = errno;
	errno = e;
	return e == 0 ? 0
		      : err_errno(err, e == ENOSPC ? ERR_NO_SPACE : ERR_IO, "cannot make '%s' %lld MiB large", path,
				  (long long)size_mib);
}

/* Sized under another name, then linked: a file of the right name always has its whole size, and is never replaced. */
static int make_file(const struct file_store *f, const struct volume_spec *s, struct err *err)
{
	AUTO_FREE char *temp = xasprintf("%s/.%s.XXXXXX", s->pool, s->name);
	char path[PATH_LEN + 1];
	AUTO_FD int fd = mkostemp(temp, O_CLOEXEC);

	path_of(s, path, sizeof(path));
	if (fd < 0)
		return err_errno(err, ERR_IO, "cannot create a file in '%s'", s->pool);
	int rc = set_size(f, fd, temp, s->size_mib, err);
	if (rc == 0 && fchmod(fd, IMAGE_MODE) < 0)
		rc = err_errno(err, ERR_IO, "cannot set the mode of '%s'", temp);
	if (rc == 0 && link(temp, path) < 0)
		rc = err_errno(err, errno == EEXIST ? ERR_FOREIGN : ERR_IO, "cannot create '%s'", path);
	(void)unlink(temp);
	return rc < 0 ? rc : durable_sync_dir(s->pool, err);
}

static int op_create(struct volumes *v, const struct volume_spec *s, struct err *err)
{
	struct file_store *f = store_of(v);
	char side[VOLUME_LEN + sizeof(OWNER_SUFFIX)], text[UUID_LEN + 2];
	struct volume_info have;
	bool found = false;

	int rc = check_spec(f, s, err);
	if (rc < 0)
		return rc;
	if (s->size_mib <= 0 || s->size_mib > INT64_MAX / MIB)
		return err_set(err, ERR_BAD_VALUE, "image '%s' has size %lld MiB", s->name, (long long)s->size_mib);
	rc = find_file(s, &have, &found, err);
	if (rc < 0)
		return rc;
	if (found && strcmp(have.owner, s->owner) != 0)
		return foreign(&have, s, err);
	if (found && have.size_mib < s->size_mib) {
		(void)err_set(err, ERR_WRONG_STATE, "image '%s/%s' exists with %lld MiB, %lld MiB were asked for",
			      s->pool, s->name, (long long)have.size_mib, (long long)s->size_mib);
		return err_hint(err, "grow it instead");
	}
	if (found)
		return durable_sync_dir(s->pool, err); /* the run that made it may have died before its own sync */
	rc = check_room(s, s->size_mib, err);
	if (rc < 0)
		return rc;
	owner_name(s->name, side, sizeof(side));
	int n = snprintf(text, sizeof(text), "%s\n", s->owner);
	rc = durable_write(s->pool, side, text, (size_t)n, IMAGE_MODE, err);
	if (rc < 0)
		return rc;
	return make_file(f, s, err);
}

static int op_remove(struct volumes *v, const struct volume_spec *s, struct err *err)
{
	char side[VOLUME_LEN + sizeof(OWNER_SUFFIX)], owner[UUID_LEN + 1];
	struct volume_info have;
	bool found = false;

	int rc = check_spec(store_of(v), s, err);
	if (rc == 0)
		rc = find_file(s, &have, &found, err);
	if (rc < 0)
		return rc;
	if (found && strcmp(have.owner, s->owner) != 0)
		return foreign(&have, s, err);
	rc = durable_remove(s->pool, s->name, err);
	if (rc == 0)
		rc = read_owner(s->pool, s->name, owner, err);
	if (rc < 0)
		return rc;
	owner_name(s->name, side, sizeof(side));
	/* An owner's file alone is left over from a create or remove that died; another disk's is not ours to remove.
	 */
	return strcmp(owner, s->owner) == 0 ? durable_remove(s->pool, side, err) : 0;
}

static int op_grow(struct volumes *v, const struct volume_spec *s, struct err *err)
{
	struct file_store *f = store_of(v);
	char path[PATH_LEN + 1];
	struct volume_info have;
	bool found = false;

	int rc = check_spec(f, s, err);
	if (rc == 0)
		rc = find_file(s, &have, &found, err);
	if (rc < 0)
		return rc;
	if (!found)
		return err_set(err, ERR_NOT_FOUND, "image '%s/%s' does not exist", s->pool, s->name);
	if (strcmp(have.owner, s->owner) != 0)
		return foreign(&have, s, err);
	if (have.size_mib >= s->size_mib)
		return 0;
	rc = check_room(s, s->size_mib - have.size_mib, err);
	if (rc < 0)
		return rc;
	path_of(s, path, sizeof(path));
	AUTO_FD int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return err_errno(err, ERR_IO, "cannot open '%s'", path);
	return set_size(f, fd, path, s->size_mib, err);
}

static int op_probe(struct volumes *v, const struct volume_spec *s, bool *ret_present, struct err *err)
{
	struct volume_info have;
	bool found = false;

	int rc = check_spec(store_of(v), s, err);
	if (rc == 0)
		rc = find_file(s, &have, &found, err);
	if (rc < 0)
		return rc;
	*ret_present = found && strcmp(have.owner, s->owner) == 0 && have.size_mib >= s->size_mib;
	return 0;
}

static void op_path(struct volumes *v, const struct volume_spec *s, char *out)
{
	(void)v;
	path_of(s, out, PATH_LEN + 1);
}

static int list_dir(const char *pool, struct volume_info **list, int *n, struct err *err)
{
	AUTO(closedir) DIR *dir = opendir(pool);

	if (!dir)
		return err_errno(err, ERR_IO, "cannot open directory '%s'", pool);
	for (const struct dirent *e; (e = readdir(dir));) {
		struct volume_spec s = {.size_mib = 0};
		struct volume_info info;
		bool found = false;

		if (!word_is_plain(e->d_name, VOLUME_LEN) || is_owner_file(e->d_name))
			continue;
		(void)str_copy(s.pool, sizeof(s.pool), pool);
		(void)str_copy(s.name, sizeof(s.name), e->d_name);
		int rc = find_file(&s, &info, &found, err);
		if (rc < 0)
			return rc;
		if (!found)
			continue;
		*list = xrealloc(*list, ((size_t)*n + 1) * sizeof(**list));
		(*list)[(*n)++] = info;
	}
	return 0;
}

static int op_list(struct volumes *v, struct volume_info **ret, int *ret_n, struct err *err)
{
	struct file_store *f = store_of(v);
	AUTO_FREE struct volume_info *list = xcalloc(1, sizeof(*list));
	int n = 0;

	for (int i = 0; i < f->n_dirs; i++) {
		int rc = list_dir(f->dirs[i], &list, &n, err);

		if (rc < 0)
			return rc;
	}
	*ret = TAKE(list);
	*ret_n = n;
	return 0;
}

static int op_pools(struct volumes *v, struct pool_info **ret, int *ret_n, struct err *err)
{
	struct file_store *f = store_of(v);
	AUTO_FREE struct pool_info *list = xcalloc((size_t)f->n_dirs + 1, sizeof(*list));

	for (int i = 0; i < f->n_dirs; i++) {
		struct statvfs vfs;

		if (statvfs(f->dirs[i], &vfs) < 0)
			return err_errno(err, ERR_IO, "cannot look at directory '%s'", f->dirs[i]);
		(void)str_copy(list[i].name, sizeof(list[i].name), f->dirs[i]);
		list[i].size_mib = (int64_t)((uint64_t)vfs.f_blocks * vfs.f_frsize / (uint64_t)MIB);
		list[i].free_mib = (int64_t)((uint64_t)vfs.f_bavail * vfs.f_frsize / (uint64_t)MIB);
	}
	*ret = TAKE(list);
	*ret_n = f->n_dirs;
	return 0;
}

int file_new(const char *const dirs[], int n_dirs, const struct file_options *options, struct volumes **ret,
	     struct err *err)
{
	static const struct volumes_ops ops = {
	    .name = "file",
	    .create = op_create,
	    .remove = op_remove,
	    .grow = op_grow,
	    .probe = op_probe,
	    .path = op_path,
	    .list = op_list,
	    .pools = op_pools,
	};

	if (n_dirs < 1 || n_dirs > FILE_POOLS_MAX)
		return err_set(err, ERR_BAD_VALUE, "%d directories for images given, allowed are 1 to %d", n_dirs,
			       FILE_POOLS_MAX);
	AUTO(file_free) struct volumes *made = NULL;
	struct file_store *f = xcalloc(1, sizeof(*f));
	made = &f->base;
	f->base.ops = &ops;
	f->preallocate = options && options->preallocate;
	for (int i = 0; i < n_dirs; i++) {
		struct stat st;

		if (!word_is_path(dirs[i], NAME_LEN))
			return err_set(err, ERR_BAD_VALUE, "'%s' is not an absolute path of at most %d characters",
				       dirs[i], NAME_LEN);
		if (stat(dirs[i], &st) < 0)
			return err_errno(err, ERR_NOT_FOUND, "cannot use '%s' for images", dirs[i]);
		if (!S_ISDIR(st.st_mode))
			return err_set(err, ERR_BAD_VALUE, "'%s' is not a directory", dirs[i]);
		(void)str_copy(f->dirs[f->n_dirs++], NAME_LEN + 1, dirs[i]);
	}
	*ret = TAKE(made);
	return 0;
}

void file_free(struct volumes *v)
{
	free(v);
}
