/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A line is "CRC GENERATION BATCH KEY[ TEXT]\n", the crc over all behind it. A file begins with the line of key "journal", written last
 * when the file is filled anew: where it is, the file is whole. The file with the higher generation counts; lines of another generation
 * are what the file held before. A line that is not whole was never acknowledged (or the disk has lost it); those behind it still count.
 * A line of an earlier batch than the line before it is left over from a write that failed.
 */
#include "io/journal.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/log.h"
#include "common/xmem.h"

#define HEAD_KEY "journal"
#define HEAD_FORMAT "1"
#define HEAD_BYTES 64 /* the head's line, filled up with blanks */
#define FILE_BYTES_MAX ((size_t)64 * 1024 * 1024)
#define CHUNK ((size_t)64 * 1024)

struct file {
	char *path;
	int fd;       /* -1 = not yet made */
	size_t bytes; /* that the disk has given */
};

struct journal {
	struct journal_io io;
	char *dir;
	struct file files[2];
	int active;          /* -1 = none can be used yet */
	size_t want_bytes;
	size_t end;          /* of what is written in the active file */
	uint64_t generation, batch;
	uint64_t next_generation; /* of no line in either file, whatever a fill that did not end has left there */
};

struct line {
	uint64_t generation, batch;
	char *key, *text; /* inside the file's bytes; text NULL = the record goes */
};

struct image { /* a file's bytes and its lines that count, the newest of each key */
	char *data;
	size_t n_data;
	struct line *lines;
	size_t n;
	size_t end;      /* of the last line that counts */
	uint64_t batch;  /* the last one */
	uint64_t highest; /* generation */
	bool damaged;    /* a line is lost that had been acknowledged */
};

/* ---- lines --------------------------------------------------------------------------------------------------- */

static uint32_t crc32_of(const char *data, size_t n)
{
	uint32_t crc = 0xffffffffu;

	for (size_t i = 0; i < n; i++) {
		crc ^= (unsigned char)data[i];
		for (int k = 0; k < 8; k++)
			crc = crc & 1 ? crc >> 1 ^ 0xedb88320u : crc >> 1;
	}
	return ~crc;
}

static void add_line(struct buf *b, uint64_t generation, uint64_t batch, const char *key, const char *text)
{
	size_t at = b->len;

	buf_printf(b, "%08x %llu %llu %s%s", 0u, (unsigned long long)generation, (unsigned long long)batch, key, text ? " " : "");
	if (text)
		buf_puts(b, text);
	char crc[9];
	(void)snprintf(crc, sizeof(crc), "%08x", crc32_of(b->data + at + 9, b->len - at - 9));
	memcpy(b->data + at, crc, 8);
	buf_putc(b, '\n');
}

static bool take_number(char **at, uint64_t *ret)
{
	char *end = NULL;

	if (**at < '0' || **at > '9')
		return false;
	errno = 0;
	*ret = strtoull(*at, &end, 10);
	if (errno || *end != ' ')
		return false;
	*at = end + 1;
	return true;
}

/* text: NUL in place of the line's end. */
static bool parse_line(char *text, size_t n, struct line *ret)
{
	char crc[9], *at = text + 9;

	if (n < 10 || text[8] != ' ' || strlen(text) != n)
		return false;
	(void)snprintf(crc, sizeof(crc), "%08x", crc32_of(at, n - 9));
	if (memcmp(crc, text, 8) != 0 || !take_number(&at, &ret->generation) || !take_number(&at, &ret->batch))
		return false;
	ret->key = at;
	ret->text = strchr(at, ' ');
	if (ret->text)
		*ret->text++ = '\0';
	return ret->key[0] != '\0';
}

/* ---- reading --------------------------------------------------------------------------------------------------- */

static void image_done(struct image *im)
{
	free(im->data);
	free(im->lines);
	memset(im, 0, sizeof(*im));
}

static int read_file(const struct file *f, struct image *im, struct err *err)
{
	struct stat st;

	if (fstat(f->fd, &st) < 0)
		return err_errno(err, ERR_IO, "cannot look at '%s'", f->path);
	if ((size_t)st.st_size > FILE_BYTES_MAX)
		return err_set(err, ERR_TOO_BIG, "'%s' is larger than %zu bytes", f->path, FILE_BYTES_MAX);
	im->data = xcalloc((size_t)st.st_size + 1, 1);
	while (im->n_data < (size_t)st.st_size) {
		ssize_t n = pread(f->fd, im->data + im->n_data, (size_t)st.st_size - im->n_data, (off_t)im->n_data);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(err, ERR_IO, "cannot read '%s'", f->path);
		if (n == 0)
			break;
		im->n_data += (size_t)n;
	}
	return 0;
}

static uint64_t head_generation(const struct file *f)
{
	char text[HEAD_BYTES + 1] = "";
	struct line l;

	if (f->fd < 0 || pread(f->fd, text, HEAD_BYTES, 0) != HEAD_BYTES || text[HEAD_BYTES - 1] != '\n')
		return 0;
	text[HEAD_BYTES - 1] = '\0';
	if (!parse_line(text, HEAD_BYTES - 1, &l) || strcmp(l.key, HEAD_KEY) != 0)
		return 0;
	return l.generation;
}

static int by_key(const void *a, const void *b)
{
	const struct line *x = a, *y = b;
	int c = strcmp(x->key, y->key);

	return c ? c : (x->key > y->key) - (x->key < y->key); /* the later one last */
}

/* Lines that count, sorted by key: the newest of each, and none of those that went. */
static void keep_newest(struct image *im)
{
	size_t kept = 0;

	if (im->n)
		qsort(im->lines, im->n, sizeof(*im->lines), by_key);
	for (size_t i = 0; i < im->n; i++) {
		bool newest = i + 1 == im->n || strcmp(im->lines[i].key, im->lines[i + 1].key) != 0;

		if (newest && im->lines[i].text)
			im->lines[kept++] = im->lines[i];
	}
	im->n = kept;
}

/* generation 0: lines of every one, to know which there are. */
static int read_image(const struct file *f, uint64_t generation, struct image *im, struct err *err)
{
	size_t room = 0;
	bool hole = false;
	int rc = read_file(f, im, err);

	if (rc < 0)
		return rc;
	im->end = HEAD_BYTES;
	for (char *at = im->data + HEAD_BYTES, *stop = im->data + im->n_data; at < stop;) {
		char *nl = memchr(at, '\n', (size_t)(stop - at));
		struct line l;

		if (!nl)
			break;
		*nl = '\0';
		if (!parse_line(at, (size_t)(nl - at), &l) || (generation && (l.generation != generation || l.batch < im->batch))) {
			hole = true;
		} else {
			im->highest = l.generation > im->highest ? l.generation : im->highest;
			/* A torn batch has holes; one whose successor was written had been acknowledged whole. */
			im->damaged = im->damaged || (hole && l.batch > im->batch + 1);
			hole = false;
			im->batch = l.batch;
			im->end = (size_t)(nl + 1 - im->data);
			if (im->n == room) {
				room = room ? room * 2 : 64;
				im->lines = xrealloc(im->lines, room * sizeof(*im->lines));
			}
			im->lines[im->n++] = l;
		}
		at = nl + 1;
	}
	keep_newest(im);
	return 0;
}

/* ---- writing --------------------------------------------------------------------------------------------------- */

static int io_error(const struct file *f, struct err *err)
{
	return err_errno(err, errno == ENOSPC || errno == EDQUOT ? ERR_NO_SPACE : ERR_IO, "cannot write '%s'", f->path);
}

static int write_all_at(const struct journal *j, const struct file *f, const char *data, size_t n, size_t at, struct err *err)
{
	while (n > 0) {
		ssize_t done = j->io.write_at(f->fd, data, n, (off_t)at);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return io_error(f, err);
		data += done;
		at += (size_t)done;
		n -= (size_t)done;
	}
	return 0;
}

static int sync_file(const struct journal *j, const struct file *f, struct err *err)
{
	return j->io.sync(f->fd) < 0 ? io_error(f, err) : 0;
}

/*
 * Blocks are written, not only reserved: what is written into them later changes nothing but data, so that fdatasync waits for no
 * journal of the file system's own.
 */
static int grow(struct journal *j, struct file *f, size_t bytes, struct err *err)
{
	AUTO_FREE char *zeros = xcalloc(CHUNK, 1);
	int rc = 0;

	for (size_t at = f->bytes; rc == 0 && at < bytes; at += CHUNK)
		rc = write_all_at(j, f, zeros, bytes - at < CHUNK ? bytes - at : CHUNK, at, err);
	if (rc == 0)
		rc = sync_file(j, f, err);
	if (rc < 0) {
		/* Half of it is no use, and takes what others need. If it stays it does no harm. */
		if (ftruncate(f->fd, (off_t)f->bytes) < 0)
			log_debug("'%s' keeps its half of the room", f->path);
		return rc;
	}
	f->bytes = bytes;
	return 0;
}

static int sync_dir(const struct journal *j, struct err *err)
{
	AUTO_FD int fd = open(j->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || fsync(fd) < 0)
		return err_errno(err, ERR_IO, "cannot make the names in '%s' durable", j->dir);
	return 0;
}

/* The file exists, durably by name, and has its blocks. */
static int prepare(struct journal *j, struct file *f, size_t bytes, struct err *err)
{
	if (f->fd < 0) {
		f->fd = open(f->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		if (f->fd < 0)
			return io_error(f, err);
		int rc = sync_dir(j, err);
		if (rc < 0)
			return rc;
	}
	return f->bytes < bytes ? grow(j, f, bytes, err) : 0;
}

static int write_head(struct journal *j, const struct file *f, uint64_t generation, struct err *err)
{
	AUTO_BUF struct buf bare = BUF_INIT, head = BUF_INIT;

	add_line(&bare, generation, 0, HEAD_KEY, HEAD_FORMAT);
	assert(bare.len <= HEAD_BYTES);
	AUTO_FREE char *text = xasprintf("%s%*s", HEAD_FORMAT, (int)(HEAD_BYTES - bare.len), "");
	add_line(&head, generation, 0, HEAD_KEY, text);
	assert(head.len == HEAD_BYTES);
	int rc = write_all_at(j, f, head.data, head.len, 0, err);
	return rc < 0 ? rc : sync_file(j, f, err);
}

/* Fills the other file with what counts and goes over to it. Whatever happens before its head is written, the active one holds. */
static int turn_over(struct journal *j, struct err *err)
{
	struct file *to = &j->files[j->active < 0 ? 0 : !j->active];
	struct image im = { .data = NULL };
	AUTO_BUF struct buf b = BUF_INIT;
	size_t bytes = j->active < 0 ? j->want_bytes : j->files[j->active].bytes;
	int rc = prepare(j, to, bytes < j->want_bytes ? j->want_bytes : bytes, err);

	if (rc == 0 && j->active >= 0)
		rc = read_image(&j->files[j->active], j->generation, &im, err);
	uint64_t generation = j->next_generation++;
	for (size_t i = 0; rc == 0 && i < im.n; i++)
		add_line(&b, generation, 0, im.lines[i].key, im.lines[i].text);
	image_done(&im);
	if (rc == 0 && HEAD_BYTES + b.len > to->bytes)
		rc = err_set(err, ERR_NO_SPACE, "'%s' is full of records that are needed", to->path);
	if (rc == 0 && b.len)
		rc = write_all_at(j, to, b.data, b.len, HEAD_BYTES, err);
	if (rc == 0 && b.len)
		rc = sync_file(j, to, err);
	if (rc == 0)
		rc = write_head(j, to, generation, err);
	if (rc < 0)
		return rc;
	j->active = to == &j->files[1];
	j->generation = generation;
	j->batch = 0;
	j->end = HEAD_BYTES + b.len;
	return 0;
}

/* What has begun may use all, what begins leaves a quarter. */
static bool fits(const struct journal *j, size_t n, bool begins)
{
	const struct file *f = &j->files[j->active];

	return j->end + n <= (begins ? f->bytes - f->bytes / 4 : f->bytes);
}

static int make_room(struct journal *j, size_t n, bool begins, struct err *err)
{
	int rc = turn_over(j, err);

	if (rc < 0 && j->active < 0)
		return rc;
	if (rc == 0 && fits(j, n, begins))
		return 0;
	err_clear(err);
	size_t bytes = j->files[j->active].bytes * 2 + n * 4;
	if (bytes > FILE_BYTES_MAX)
		return err_set(err, ERR_NO_SPACE, "'%s' would be larger than %zu bytes", j->files[j->active].path, FILE_BYTES_MAX);
	return grow(j, &j->files[j->active], bytes, err);
}

static int flush(struct journal *j, struct buf *b, struct err *err)
{
	if (!b->len)
		return 0;
	int rc = write_all_at(j, &j->files[j->active], b->data, b->len, j->end, err);
	if (rc == 0)
		j->end += b->len;
	buf_reset(b);
	return rc;
}

int journal_write(struct journal *j, struct journal_entry *entries, size_t n, struct err *err)
{
	AUTO_BUF struct buf b = BUF_INIT;
	bool durable = false;
	int rc = 0;

	j->batch++;
	for (size_t i = 0; i < n && rc == 0; i++) {
		struct journal_entry *e = &entries[i];
		size_t len = strlen(e->key) + (e->text ? strlen(e->text) : 0) + 64; /* crc, numbers, blanks: at most */

		assert(e->key[0] && !strpbrk(e->key, " \n") && (!e->text || !strchr(e->text, '\n')));
		e->rc = 0;
		if (j->active < 0 || !fits(j, b.len + len, e->begins)) {
			if (j->active >= 0)
				rc = flush(j, &b, err);
			if (rc == 0)
				e->rc = make_room(j, len, e->begins, err);
			if (j->batch == 0) /* another file: its batches count anew */
				j->batch = 1;
			if (e->rc < 0)
				continue;
		}
		if (rc == 0)
			add_line(&b, j->generation, j->batch, e->key, e->text);
		durable = durable || e->text;
	}
	if (rc == 0)
		rc = flush(j, &b, err);
	if (rc == 0 && durable)
		rc = sync_file(j, &j->files[j->active], err);
	return rc;
}

/* ---- start, end ---------------------------------------------------------------------------------------------- */

static int open_file(struct file *f, struct err *err)
{
	struct stat st;

	f->fd = open(f->path, O_RDWR | O_CLOEXEC);
	if (f->fd < 0)
		return errno == ENOENT ? 0 : err_errno(err, ERR_IO, "cannot open '%s'", f->path);
	if (fstat(f->fd, &st) < 0)
		return err_errno(err, ERR_IO, "cannot look at '%s'", f->path);
	f->bytes = (size_t)st.st_size;
	return 0;
}

static int look_for_generations(struct journal *j, struct err *err)
{
	j->next_generation = j->generation + 1;
	for (int i = 0; i < 2; i++) {
		struct image im = { .data = NULL };

		if (j->files[i].fd < 0 || i == j->active)
			continue;
		int rc = read_image(&j->files[i], 0, &im, err);
		if (im.highest >= j->next_generation)
			j->next_generation = im.highest + 1;
		image_done(&im);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int load(struct journal *j, void (*each)(void *arg, const char *key, const char *text), void *arg, struct err *err)
{
	struct image im = { .data = NULL };
	int rc = sync_file(j, &j->files[j->active], err); /* a daemon that was killed may have left what only memory holds: nobody relies on that */

	if (rc == 0)
		rc = read_image(&j->files[j->active], j->generation, &im, err);
	if (rc == 0 && im.damaged)
		log_warning("'%s' is damaged: records that were written are not in it any more", j->files[j->active].path);
	for (size_t i = 0; rc == 0 && i < im.n; i++)
		each(arg, im.lines[i].key, im.lines[i].text);
	j->end = im.end;
	j->batch = im.batch;
	image_done(&im);
	return rc;
}

int journal_open(const char *dir, size_t bytes, const struct journal_io *io, void (*each)(void *arg, const char *key, const char *text),
		 void *arg, struct journal **ret, struct err *err)
{
	AUTO(journal_free) struct journal *j = xcalloc(1, sizeof(*j));
	struct err soft = ERR_INIT;
	int rc = 0;

	j->io = io ? *io : (struct journal_io){ pwrite, fdatasync };
	j->dir = xstrdup(dir);
	j->want_bytes = bytes;
	j->active = -1;
	for (int i = 0; i < 2; i++) {
		j->files[i].path = xasprintf("%s/journal.%d", dir, i);
		j->files[i].fd = -1;
	}
	for (int i = 0; i < 2 && rc == 0; i++) {
		rc = open_file(&j->files[i], err);
		uint64_t generation = rc == 0 ? head_generation(&j->files[i]) : 0;
		if (generation > j->generation) {
			j->generation = generation;
			j->active = i;
		}
	}
	if (rc == 0 && j->active >= 0)
		rc = load(j, each, arg, err);
	if (rc == 0)
		rc = look_for_generations(j, err);
	if (rc < 0)
		return rc;
	if (j->active < 0)
		rc = turn_over(j, &soft);
	if (rc == 0)
		rc = prepare(j, &j->files[!j->active], j->files[j->active].bytes, &soft);
	if (rc < 0)
		log_err_record(LOG_LEVEL_WARNING, "room for the journal", &soft);
	*ret = TAKE(j);
	return 0;
}

void journal_free(struct journal *j)
{
	if (!j)
		return;
	for (int i = 0; i < 2; i++) {
		if (j->files[i].fd >= 0)
			(void)close(j->files[i].fd);
		free(j->files[i].path);
	}
	free(j->dir);
	free(j);
}
