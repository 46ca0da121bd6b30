/* SPDX-License-Identifier: Apache-2.0 */
/* Allocation for small objects of our own: aborts on failure, so that state is never half applied. */
#ifndef COMMON_XMEM_H
#define COMMON_XMEM_H

#include <stdarg.h>
#include <stddef.h>

void *xmalloc(size_t size); /* as it comes: for what is filled at once */
void *xcalloc(size_t n, size_t size) __attribute__((returns_nonnull, malloc));
void *xrealloc(void *p, size_t size) __attribute__((returns_nonnull));
char *xstrdup(const char *s) __attribute__((returns_nonnull, malloc));
char *xstrndup(const char *s, size_t n) __attribute__((returns_nonnull, malloc));
char *xvasprintf(const char *fmt, va_list ap) __attribute__((returns_nonnull, format(printf, 1, 0)));
char *xasprintf(const char *fmt, ...) __attribute__((returns_nonnull, format(printf, 1, 2)));
/* Once, at the start of a process that lives for months: what is freed goes back to the system. */
void xmem_long_lived(void);
/* Copies s into dst[size], always terminated. Returns 0, or -1 when it did not fit (then cut). */
int str_copy(char *dst, size_t size, const char *s);

#endif
