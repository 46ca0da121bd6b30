/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/table.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/xmem.h"

struct column {
	const char *title;
	bool right;
	size_t width;
};

struct cell {
	size_t at, width; /* in text; on the screen */
};

struct table {
	struct column *columns;
	size_t n_columns;
	bool headings;
	struct buf text;    /* all cells, each closed by a NUL */
	struct cell *cells; /* row by row */
	size_t n, room;
};

struct table *table_new(size_t n_columns, bool headings)
{
	struct table *t = xcalloc(1, sizeof(*t));

	assert(n_columns > 0);
	t->columns = xcalloc(n_columns, sizeof(*t->columns));
	t->n_columns = n_columns;
	t->headings = headings;
	return t;
}

void table_free(struct table *t)
{
	if (!t)
		return;
	buf_done(&t->text);
	free(t->cells);
	free(t->columns);
	free(t);
}

void table_column(struct table *t, size_t k, const char *title, bool right)
{
	t->columns[k] = (struct column){ .title = title, .right = right, .width = t->headings ? strlen(title) : 0 };
}

static void add(struct buf *b, const char *text, size_t n)
{
	int rc = buf_add(b, text, n);

	assert(rc == 0);
}

/* The text is UTF-8 (it was JSON): a character is a place. Control characters, also those of two bytes (U+0080 to U+009F), are not sent. */
void table_cell(struct table *t, const char *text)
{
	struct column *c = &t->columns[t->n % t->n_columns];
	size_t width = 0;

	if (t->n == t->room) {
		t->room = t->room ? t->room * 2 : 64;
		t->cells = xrealloc(t->cells, t->room * sizeof(*t->cells));
	}
	struct cell *e = &t->cells[t->n++];
	e->at = t->text.len;
	const char *run = text; /* of characters that go as they are */
	for (const char *s = text; *s; s++) {
		unsigned char b = (unsigned char)*s, next = (unsigned char)s[1];
		bool two = b == 0xc2 && next >= 0x80 && next < 0xa0;

		if (b >= 0x20 && b != 0x7f && !two) {
			width += (b & 0xc0) != 0x80;
			continue;
		}
		add(&t->text, run, (size_t)(s - run));
		buf_printf(&t->text, "\\x%02x", two ? next : b);
		width += 4;
		s += two;
		run = s + 1;
	}
	add(&t->text, run, strlen(run) + 1); /* with its NUL */
	e->width = width;
	if (width > c->width)
		c->width = width;
}

static void pad(struct buf *b, size_t n)
{
	static const char blanks[] = "                                ";

	for (; n > sizeof(blanks) - 1; n -= sizeof(blanks) - 1)
		buf_puts(b, blanks);
	buf_puts(b, blanks + (sizeof(blanks) - 1 - n));
}

static void put(const struct table *t, struct buf *b, size_t k, const char *text, size_t width)
{
	const struct column *c = &t->columns[k];
	bool last = k + 1 == t->n_columns;

	if (c->right)
		pad(b, c->width - width);
	buf_puts(b, text);
	if (!c->right && !last)
		pad(b, c->width - width);
	buf_putc(b, last ? '\n' : ' ');
}

void table_print(const struct table *t, FILE *out)
{
	AUTO_BUF struct buf b = { .max_bytes = 4 * BUF_DEFAULT_MAX };

	assert(t->n % t->n_columns == 0);
	for (size_t k = 0; t->headings && t->n && k < t->n_columns; k++)
		put(t, &b, k, t->columns[k].title, strlen(t->columns[k].title));
	for (size_t i = 0; i < t->n; i++) {
		put(t, &b, i % t->n_columns, t->text.data + t->cells[i].at, t->cells[i].width);
		if (b.len > 60000) {
			(void)fwrite(b.data, 1, b.len, out);
			buf_reset(&b);
		}
	}
	if (b.len)
		(void)fwrite(b.data, 1, b.len, out);
}
