/* SPDX-License-Identifier: Apache-2.0 */
#include "fenced/device.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/watchdog.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static bool read_nowayout(const char *path)
{
	char c = '0';
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return false;
	if (read(fd, &c, 1) != 1)
		c = '0';
	(void)close(fd);
	return c == '1';
}

/* /dev/watchdog is a second name of watchdog0, with a number that sysfs does not resolve. */
static bool is_nowayout(const struct device *d)
{
	char path[80];
	struct stat st;

	if (fstat(d->fd, &st) < 0)
		return false;
	(void)snprintf(path, sizeof(path), "/sys/dev/char/%u:%u/nowayout", major(st.st_rdev), minor(st.st_rdev));
	return read_nowayout(path) || (strcmp(d->path, "/dev/watchdog") == 0 && read_nowayout("/sys/class/watchdog/watchdog0/nowayout"));
}

int device_set(struct device *d, int64_t w_ms)
{
	int s = (int)(w_ms / 1000), have = 0;

	if (d->fake) {
		d->w_ms = w_ms;
		return 0;
	}
	if (s < 1)
		return EDOM; /* devices count in seconds: ha.lease is too short for them */
	if (ioctl(d->fd, WDIOC_SETTIMEOUT, &s) < 0)
		return errno;
	if (ioctl(d->fd, WDIOC_GETTIMEOUT, &have) < 0)
		return errno;
	if (have < 1 || have > w_ms / 1000)
		return ERANGE; /* it takes longer than we may promise */
	d->w_ms = 1000 * (int64_t)have;
	return 0;
}

int device_open(struct device *d, int64_t w_ms)
{
	if (d->fd < 0) {
		/* A fake's reader may not be there; the kernel's devices do not mind the flag. */
		d->fd = open(d->path, O_WRONLY | O_CLOEXEC | O_NONBLOCK);
		if (d->fd < 0)
			return errno;
	}
	d->nowayout = !d->fake && is_nowayout(d);
	int rc = device_set(d, w_ms);
	if (rc == 0)
		rc = device_feed(d);
	if (rc != 0)
		device_close(d);
	return rc;
}

int device_feed(struct device *d)
{
	return write(d->fd, "\0", 1) == 1 ? 0 : errno;
}

void device_close(struct device *d)
{
	if (d->fd < 0 || d->nowayout)
		return;
	(void)!write(d->fd, "V", 1); /* the magic: the close that follows is meant */
	(void)close(d->fd);
	d->fd = -1;
	d->w_ms = 0;
}
