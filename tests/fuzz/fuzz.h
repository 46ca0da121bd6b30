/* SPDX-License-Identifier: Apache-2.0 */
/* What the harnesses share. Each fuzz_NAME.c has libFuzzer's entry; replay.c runs it over its corpus in make check. */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The input as a C string in memory of exactly its length: reading behind the end is noticed. free() it. */
static inline char *fuzz_string(const uint8_t *data, size_t size)
{
	char *s = malloc(size + 1);

	if (!s)
		abort();
	if (size)
		memcpy(s, data, size);
	s[size] = '\0';
	return s;
}

/* The same without the closing NUL, for parsers that are handed a length. Never NULL. */
static inline char *fuzz_bytes(const uint8_t *data, size_t size)
{
	char *s = calloc(size ? size : 1, 1);

	if (!s)
		abort();
	if (size)
		memcpy(s, data, size);
	return s;
}

/* Splits off the first line of *text (in place): gives it, moves *text behind it. */
static inline char *fuzz_line(char **text)
{
	char *line = *text, *end = strchr(line, '\n');

	if (end) {
		*end = '\0';
		*text = end + 1;
	} else {
		*text = line + strlen(line);
	}
	return line;
}

#endif
