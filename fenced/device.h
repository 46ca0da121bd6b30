/* SPDX-License-Identifier: Apache-2.0 */
/* A watchdog device: the kernel's, or (fake) a file or fifo that only records what it is told. */
#ifndef FENCED_DEVICE_H
#define FENCED_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

struct device {
	const char *path;
	bool fake;
	bool nowayout;   /* it cannot be stopped any more: fed for ever instead of closed */
	int fd;          /* -1 = closed */
	int64_t w_ms;    /* as it has it */
};

/* 0, or the errno. The time-out is never longer than asked. Opening starts the device. */
int device_open(struct device *d, int64_t w_ms);
int device_set(struct device *d, int64_t w_ms);
int device_feed(struct device *d);
void device_close(struct device *d); /* orderly: 'V' */

#endif
