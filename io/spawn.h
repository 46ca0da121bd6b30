/* SPDX-License-Identifier: Apache-2.0 */
/* The real struct runner: posix_spawn with a fixed PATH, C locale, own process group, capped output, a deadline. Thread-safe. */
#ifndef IO_SPAWN_H
#define IO_SPAWN_H

#include "storage/runner.h"

/* A runner whose children are logged at info with the context text in front. Static storage: never freed. */
struct runner *spawn_runner(void);

#endif
