/* SPDX-License-Identifier: Apache-2.0 */
/* A growing byte buffer with a hard limit. Always NUL-terminated behind len, so data is a C string too. */
#ifndef COMMON_BUF_H
#define COMMON_BUF_H

#include <stddef.h>

#include "common/cleanup.h"

struct buf {
	char *data;       /* NULL until first use; owned */
	size_t len;       /* bytes used, without the closing NUL */
	size_t cap;       /* bytes allocated */
	size_t max_bytes; /* 0 = BUF_DEFAULT_MAX */
};

#define BUF_DEFAULT_MAX ((size_t)64 * 1024 * 1024)
#define BUF_INIT { .data = NULL }

/* Makes room for n more bytes. 0, or -ERR_TOO_BIG past the limit (buffer unchanged). */
int buf_reserve(struct buf *b, size_t n) WARN_UNUSED;
int buf_add(struct buf *b, const void *data, size_t n) WARN_UNUSED; /* likewise */
/* Formatted and plain text; abort when over the limit (for text of our own making only). */
void buf_printf(struct buf *b, const char *fmt, ...) PRINTF(2, 3);
void buf_puts(struct buf *b, const char *s);
void buf_putc(struct buf *b, char c);
/* Drops the first n bytes. */
void buf_consume(struct buf *b, size_t n);
void buf_reset(struct buf *b); /* len = 0, memory kept */
void buf_done(struct buf *b);  /* frees the memory */
const char *buf_str(const struct buf *b); /* never NULL */
char *buf_steal(struct buf *b);           /* gives the string (never NULL); buffer is empty again */

static inline void buf_done_cleanup(struct buf *b)
{
	buf_done(b);
}
#define AUTO_BUF __attribute__((cleanup(buf_done_cleanup)))

#endif
