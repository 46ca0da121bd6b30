/* SPDX-License-Identifier: Apache-2.0 */
/* Frames out of a stream of bytes, whatever the pieces. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/xmem.h"
#include "io/link_frame.h"
#include "schema/limits.h"

struct heard {
	int n, stop_at;
	size_t bytes;
	char last[40];
};

static bool hear(void *arg, const char *text, size_t len)
{
	struct heard *h = arg;

	h->n++;
	h->bytes += len;
	(void)str_copy(h->last, sizeof(h->last), text);
	return h->n != h->stop_at;
}

static void frames_come_out_whole_whatever_the_pieces(void **state)
{
	static const char stream[] = "\0\0\0\1a\0\0\0\3bcd\0\0\0\012efghijklmn";
	const size_t len = sizeof(stream) - 1;

	(void)state;
	for (size_t piece = 1; piece <= len; piece++) {
		struct link_frames f;
		struct heard h = { .n = 0 };
		struct err err = ERR_INIT;

		link_frames_init(&f, 10);
		for (size_t at = 0; at < len; at += piece)
			assert_int_equal(link_frames_feed(&f, stream + at, at + piece < len ? piece : len - at, hear, &h,
							  &err), 0);
		assert_int_equal(h.n, 3);
		assert_int_equal(h.bytes, 14);
		assert_string_equal(h.last, "efghijklmn");
		link_frames_done(&f);
	}
}

static void the_splitter_stops_when_told_and_refuses_what_is_too_long(void **state)
{
	static const char two[] = "\0\0\0\1a\0\0\0\1b", eleven[] = "\0\0\0\013", none[] = "\0\0\0\0";
	struct link_frames f;
	struct heard h = { .stop_at = 1 };
	struct err err = ERR_INIT;
	unsigned char head[LINK_FRAME_HEAD];

	(void)state;
	link_frames_init(&f, 10);
	assert_int_equal(link_frames_feed(&f, two, sizeof(two) - 1, hear, &h, &err), 0);
	assert_int_equal(h.n, 1);
	assert_int_equal(link_frames_feed(&f, eleven, 4, hear, &h, &err), -ERR_TOO_BIG);
	link_frames_done(&f);
	link_frames_init(&f, 10);
	assert_int_equal(link_frames_feed(&f, none, 4, hear, &h, &err), -ERR_BAD_REQUEST);
	/* Nothing is allocated for a mere promise. */
	link_frames_done(&f);
	link_frames_init(&f, FRAME_MAX);
	link_frame_head(FRAME_MAX, head);
	assert_int_equal(link_frames_feed(&f, head, 4, hear, &h, &err), 0);
	assert_int_equal(f.body.cap, 0);
	assert_int_equal(link_frames_feed(&f, "x", 1, hear, &h, &err), 0);
	assert_true(f.body.cap < 1000);
	link_frames_done(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_come_out_whole_whatever_the_pieces),
		cmocka_unit_test(the_splitter_stops_when_told_and_refuses_what_is_too_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
