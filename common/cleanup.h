/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ownership by scope.
 *
 * AUTO(fn) on a pointer variable calls fn(ptr) when the variable leaves its scope; fn accepts NULL.
 * TAKE(p) hands the pointer over: the variable becomes NULL and its scope no longer frees it.
 * A destructor that AUTO() names needs DEFINE_CLEANUP(type, fn) beside its declaration.
 */
#ifndef COMMON_CLEANUP_H
#define COMMON_CLEANUP_H

#include <stdlib.h>
#include <unistd.h>

#define AUTO(fn) __attribute__((cleanup(fn##_cleanup)))

#define DEFINE_CLEANUP(type, fn)                      \
	static inline void fn##_cleanup(type *const p) \
	{                                              \
		if (*p)                                \
			fn(*p);                        \
	}                                              \
	struct swallow_semicolon

#define TAKE(p)                          \
	__extension__({                  \
		__typeof__(p) take_ = (p); \
		(p) = NULL;              \
		take_;                   \
	})

static inline void free_cleanup(void *p)
{
	free(*(void **)p);
}
#define AUTO_FREE __attribute__((cleanup(free_cleanup)))

static inline void fd_cleanup(const int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
}
#define AUTO_FD __attribute__((cleanup(fd_cleanup)))

/* Hands a descriptor over: the variable becomes -1. */
#define TAKE_FD(fd)              \
	__extension__({          \
		int take_ = (fd); \
		(fd) = -1;       \
		take_;           \
	})

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define WARN_UNUSED __attribute__((warn_unused_result))
/* A result that is ignored on purpose: say why beside it. (gcc does not take a cast to void for an answer.) */
#define IGNORE(x)           \
	do {                \
		if (x) {    \
		}           \
	} while (0)
#define PRINTF(f, a) __attribute__((format(printf, f, a)))

#endif
