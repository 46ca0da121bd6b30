/* SPDX-License-Identifier: Apache-2.0 */
/* Frames of a node link: the same frames come out however the bytes are cut; the first byte says into what pieces. */
#include "io/link_frame.h"
#include "tests/fuzz/fuzz.h"

#define LIMIT 4096

struct seen {
	struct buf all;  /* each frame and a separator */
	int n, stop_at;
};

static bool on_frame(void *arg, const char *text, size_t len)
{
	struct seen *s = arg;

	assert(len > 0 && len <= LIMIT && text[len] == '\0');
	if (buf_add(&s->all, text, len) < 0 || buf_add(&s->all, "|", 1) < 0)
		abort();
	return ++s->n != s->stop_at;
}

static int feed(const char *data, size_t size, size_t piece, struct seen *s)
{
	struct link_frames f;
	struct err err = ERR_INIT;
	int rc = 0;

	link_frames_init(&f, LIMIT);
	for (size_t i = 0; i < size && rc == 0 && (s->stop_at == 0 || s->n < s->stop_at); i += piece)
		rc = link_frames_feed(&f, data + i, size - i < piece ? size - i : piece, on_frame, s, &err);
	assert(rc == 0 || rc == -ERR_TOO_BIG || rc == -ERR_BAD_REQUEST);
	assert(f.body.cap <= (size_t)128 * 1024);
	link_frames_done(&f);
	return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	char *bytes = fuzz_bytes(data + 2, size - 2);
	struct seen whole = { .stop_at = data[1] }, pieces = { .stop_at = data[1] };
	int a = feed(bytes, size - 2, size, &whole), b = feed(bytes, size - 2, data[0] + (size_t)1, &pieces);

	assert(a == b && whole.n == pieces.n && strcmp(buf_str(&whole.all), buf_str(&pieces.all)) == 0);
	buf_done(&whole.all);
	buf_done(&pieces.all);
	free(bytes);
	return 0;
}
