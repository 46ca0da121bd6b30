/* SPDX-License-Identifier: Apache-2.0 */
#include "common/xmem.h"

#include <assert.h>
#include <malloc.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *or_abort(void *p)
{
	if (!p)
		abort();
	return p;
}

void *xmalloc(size_t size)
{
	return or_abort(malloc(size ? size : 1));
}

void *xcalloc(size_t n, size_t size)
{
	return or_abort(calloc(n ? n : 1, size ? size : 1));
}

void *xrealloc(void *p, size_t size)
{
	return or_abort(realloc(p, size ? size : 1));
}

char *xstrdup(const char *s)
{
	return or_abort(strdup(s));
}

char *xstrndup(const char *s, size_t n)
{
	return or_abort(strndup(s, n));
}

char *xvasprintf(const char *fmt, va_list ap)
{
	char *s = NULL;

	if (vasprintf(&s, fmt, ap) < 0)
		abort();
	return or_abort(s);
}

char *xasprintf(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	char *s = xvasprintf(fmt, ap);
	va_end(ap);
	return s;
}

int str_copy(char *dst, size_t size, const char *s)
{
	size_t n = strlen(s);
	int rc = 0;

	assert(size > 0);
	if (n >= size) {
		n = size - 1;
		rc = -1;
	}
	memcpy(dst, s, n);
	dst[n] = '\0';
	return rc;
}

/*
 * Large buffers (replies, pages of the store) are mapped, and unmapped when freed: left to itself glibc raises the threshold to the largest
 * that was ever freed, and from then on they leave holes in the heap. Worker threads allocate little: arenas of their own would only be kept besides.
 */
void xmem_long_lived(void)
{
	(void)mallopt(M_MMAP_THRESHOLD, 128 * 1024);
	(void)mallopt(M_TRIM_THRESHOLD, 128 * 1024);
	(void)mallopt(M_ARENA_MAX, 1);
}
