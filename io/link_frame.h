/* SPDX-License-Identifier: Apache-2.0 */
/* Frames in a byte stream: 4 bytes length, big endian, then so many bytes. Pure: no I/O, whatever the pieces look like. */
#ifndef IO_LINK_FRAME_H
#define IO_LINK_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/err.h"

#define LINK_FRAME_HEAD 4

struct link_frames {
	unsigned char head[LINK_FRAME_HEAD];
	size_t n_head;      /* bytes of it that have come */
	size_t want;        /* length of the frame whose head is complete */
	size_t max_bytes;   /* longer frames are an error; may be changed between calls */
	struct buf body;    /* grows with what has come, never with what was announced */
};

/* One whole frame, NUL-terminated behind len, borrowed for the call. false = no more, please. */
typedef bool link_frame_fn(void *arg, const char *text, size_t len);

void link_frames_init(struct link_frames *f, size_t max_bytes);
/*
 * Takes the next bytes of the stream. -ERR_TOO_BIG (longer than max_bytes) and -ERR_BAD_REQUEST (empty) are final: the
 * stream cannot be followed any more. After fn gave false the rest of data is dropped and 0 returned.
 */
int link_frames_feed(struct link_frames *f, const void *data, size_t len, link_frame_fn *fn, void *arg,
		     struct err *err) WARN_UNUSED;
void link_frames_done(struct link_frames *f);
void link_frame_head(size_t len, unsigned char out[LINK_FRAME_HEAD]);

#endif
