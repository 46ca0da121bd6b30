// SPDX-License-Identifier: Apache-2.0
/*
 * The tiny test guest's only process. About once a second it writes the next number of a sequence to its disk
 * and, only after the disk has acknowledged it, says so on its console:
 *
 *   LAB-GUEST up boot=UUID t=1.23
 *   LAB-GUEST disk last=189 head=189 gaps=0 bad=0       what it found on the disk when it started
 *   LAB-GUEST count=190 w=ok ms=4 t=2.34                acknowledged (w=FAIL: an error; w=none: there is no disk)
 *
 * Number N is in sector N % 2000 + 1, the newest also in sector 0, each with a checksum. The sequence goes on
 * where the disk left off, so whoever reads the consoles of all runs and the disk can tell that no acknowledged
 * write was lost, and by `boot` which run wrote it. A failed write is tried again under the same number.
 *
 * The power button turns it off. On the console it understands: off, reboot, crash; it repeats anything else.
 * Kernel command line: lab.ms=1000 (pause between writes), lab.ip=10.77.0.50/24 (address of eth0), lab.report=10.77.0.1:7777.
 *
 * A console ends with its node's power, so what was acknowledged also goes out at once, a datagram a write, to lab.report:
 *
 *   boot=UUID found=189 gaps=0 bad=0 count=190 w=ok t=2.34
 *
 * Each one says all that matters, so that a lost one does no harm: which run it is, what this run found on the disk (found=none: it has
 * not looked yet), and the newest number that the disk has acknowledged, or failed.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/input.h>
#include <net/if.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { SECTOR = 512, RING = 2000, INPUTS_MAX = 8 };

struct guest {
	int disk_fd; /* -1: no disk */
	uint64_t ring; /* sectors in use after sector 0 */
	uint64_t count; /* newest acknowledged number */
	int report_fd; /* -1: nobody is told */
	char found[80]; /* for the reports: what this run found on the disk */
	int pause_ms;
	char boot[40];
	struct pollfd fds[1 + INPUTS_MAX]; /* console, then input devices */
	nfds_t n_fds;
	char line[256]; /* what was typed so far */
	size_t line_len;
};

static unsigned char sector_buf[SECTOR] __attribute__((aligned(4096)));
static unsigned char scan_buf[64 * SECTOR] __attribute__((aligned(4096)));

static int64_t now_ms(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void say(const char *fmt, ...)
{
	char text[400] = "LAB-GUEST ";
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text + 10, sizeof text - 11, fmt, ap);
	va_end(ap);
	size_t len = strlen(text);
	text[len++] = '\n';
	/* One write a line: a console that a migration cuts must not show half a line twice. */
	if (write(1, text, len) < 0) {
		/* nobody to tell */
	}
}

static uint32_t checksum(const char *text, size_t len)
{
	uint32_t crc = ~0U;
	for (size_t i = 0; i < len; i++) {
		crc ^= (unsigned char)text[i];
		for (int bit = 0; bit < 8; bit++)
			crc = (crc >> 1) ^ (0xedb88320U & (0U - (crc & 1)));
	}
	return ~crc;
}

static void read_small_file(const char *path, char *ret, size_t size)
{
	ret[0] = '\0';
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	ssize_t got = read(fd, ret, size - 1);
	ret[got > 0 ? got : 0] = '\0';
	ret[strcspn(ret, "\n")] = '\0';
	close(fd);
}

/* ---- start --------------------------------------------------------------------------------- */

static void load_modules(void)
{
	char order[1024];
	int fd = open("/mod/order", O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? 0 : read(fd, order, sizeof order - 1);
	order[got > 0 ? got : 0] = '\0';
	if (fd >= 0)
		close(fd);
	char *rest = order;
	for (char *name; (name = strsep(&rest, "\n"));) {
		char path[128];
		if (name[0] == '\0')
			continue;
		snprintf(path, sizeof path, "/mod/%s", name);
		int mod_fd = open(path, O_RDONLY | O_CLOEXEC);
		if (mod_fd < 0 || syscall(SYS_finit_module, mod_fd, "", 0) != 0)
			say("module %s: %s", name, strerror(errno));
		if (mod_fd >= 0)
			close(mod_fd);
	}
}

/* Value of a `name=` word of the kernel command line into ret; false when it is not there. */
static bool boot_option(const char *name, char *ret, size_t size)
{
	char line[2048];
	read_small_file("/proc/cmdline", line, sizeof line);
	size_t len = strlen(name);
	char *rest = line;
	for (char *w; (w = strsep(&rest, " "));) {
		if (strncmp(w, name, len) == 0 && w[len] == '=') {
			snprintf(ret, size, "%s", w + len + 1);
			return true;
		}
	}
	return false;
}

/* A whole number of 1..max; anything else is `otherwise`. */
static int number_or(const char *text, int max, int otherwise)
{
	char *end = NULL;
	long value = strtol(text, &end, 10);
	return end == text || *end != '\0' || value < 1 || value > max ? otherwise : (int)value;
}

static void set_address(char *address)
{
	char *slash = strchr(address, '/');
	int bits = slash ? number_or(slash + 1, 32, 0) : 24;
	if (slash)
		*slash = '\0';
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq ifr = {.ifr_name = "eth0"};
	struct sockaddr_in sin = {.sin_family = AF_INET};
	if (fd < 0 || bits == 0 || inet_pton(AF_INET, address, &sin.sin_addr) != 1) {
		say("lab.ip: not an address");
		return;
	}
	memcpy(&ifr.ifr_addr, &sin, sizeof sin);
	bool ok = ioctl(fd, SIOCSIFADDR, &ifr) == 0;
	sin.sin_addr.s_addr = htonl(~0U << (32 - bits));
	memcpy(&ifr.ifr_netmask, &sin, sizeof sin);
	ok = ok && ioctl(fd, SIOCSIFNETMASK, &ifr) == 0;
	ok = ok && ioctl(fd, SIOCGIFFLAGS, &ifr) == 0;
	ifr.ifr_flags = (short)(ifr.ifr_flags | IFF_UP);
	ok = ok && ioctl(fd, SIOCSIFFLAGS, &ifr) == 0;
	say("eth0 %s/%d %s", address, bits, ok ? "up" : strerror(errno));
	close(fd);
}

/* Connected, so that one send() is one report; it never waits for anybody. */
static void set_report(struct guest *g, char *to)
{
	char *colon = strchr(to, ':');
	struct sockaddr_in sin = {.sin_family = AF_INET};
	if (colon) {
		*colon = '\0';
		sin.sin_port = htons((uint16_t)number_or(colon + 1, 65535, 0));
	}
	g->report_fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (g->report_fd < 0 || sin.sin_port == 0 || inet_pton(AF_INET, to, &sin.sin_addr) != 1 ||
	    connect(g->report_fd, (struct sockaddr *)&sin, sizeof sin) != 0)
		say("lab.report: %s", colon ? strerror(errno) : "not address:port");
}

static void report(const struct guest *g, uint64_t count, const char *outcome, int64_t t)
{
	char text[300];
	if (g->report_fd < 0)
		return;
	int len = snprintf(text, sizeof text, "boot=%s %s count=%" PRIu64 " w=%s t=%" PRId64 ".%02d\n", g->boot, g->found, count, outcome, t / 1000,
			   (int)(t % 1000 / 10));
	if (send(g->report_fd, text, (size_t)len, MSG_DONTWAIT) < 0) {
		/* a cable is pulled somewhere: the next one tells */
	}
}

static void open_inputs(struct guest *g)
{
	g->fds[g->n_fds++] = (struct pollfd){.fd = 0, .events = POLLIN};
	for (int i = 0; i < INPUTS_MAX; i++) {
		char path[40];
		snprintf(path, sizeof path, "/dev/input/event%d", i);
		int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
		if (fd >= 0)
			g->fds[g->n_fds++] = (struct pollfd){.fd = fd, .events = POLLIN};
	}
}

/* ---- the disk ------------------------------------------------------------------------------ */

static void sector_fill(const struct guest *g, uint64_t count)
{
	memset(sector_buf, 0, sizeof sector_buf);
	int len = snprintf((char *)sector_buf, SECTOR, "count=%" PRIu64 " boot=%s", count, g->boot);
	uint32_t crc = checksum((char *)sector_buf, (size_t)len);
	snprintf((char *)sector_buf + len, SECTOR - (size_t)len, " crc=%08" PRIx32 "\n", crc);
}

enum sector_state { SECTOR_EMPTY, SECTOR_GOOD, SECTOR_BAD };

static enum sector_state sector_parse(const unsigned char *raw, uint64_t *ret_count)
{
	char text[SECTOR + 1];
	memcpy(text, raw, SECTOR);
	text[SECTOR] = '\0';
	if (text[0] == '\0')
		return SECTOR_EMPTY;
	char *crc = strstr(text, " crc=");
	if (!crc || strncmp(text, "count=", 6) != 0)
		return SECTOR_BAD;
	if (strtoul(crc + 5, NULL, 16) != checksum(text, (size_t)(crc - text)))
		return SECTOR_BAD;
	*ret_count = strtoull(text + 6, NULL, 10);
	return SECTOR_GOOD;
}

/* Reads all sectors that we use and says what is there; the sequence goes on after the largest number found. */
static void disk_scan(struct guest *g)
{
	static uint64_t found[RING + 1];
	uint64_t last = 0, gaps = 0, bad = 0;
	for (uint64_t s = 0; s <= g->ring; s += 64) {
		ssize_t got = pread(g->disk_fd, scan_buf, sizeof scan_buf, (off_t)(s * SECTOR));
		if (got < 0)
			say("disk read of sector %" PRIu64 ": %s", s, strerror(errno));
		for (uint64_t i = 0; i < 64 && s + i <= g->ring; i++) {
			if ((ssize_t)((i + 1) * SECTOR) > got ||
			    sector_parse(scan_buf + i * SECTOR, &found[s + i]) == SECTOR_BAD)
				bad++;
			if (found[s + i] > last)
				last = found[s + i];
		}
	}
	uint64_t first = last > g->ring ? last - g->ring + 1 : 1;
	for (uint64_t n = first; n <= last; n++)
		gaps += found[n % g->ring + 1] != n;
	g->count = last;
	say("disk last=%" PRIu64 " head=%" PRIu64 " gaps=%" PRIu64 " bad=%" PRIu64, last, found[0], gaps, bad);
	snprintf(g->found, sizeof g->found, "found=%" PRIu64 " gaps=%" PRIu64 " bad=%" PRIu64, last, gaps, bad);
}

static void disk_open(struct guest *g)
{
	g->disk_fd = open("/dev/vda", O_RDWR | O_DIRECT | O_DSYNC | O_CLOEXEC);
	if (g->disk_fd < 0) {
		say("disk none");
		return;
	}
	off_t size = lseek(g->disk_fd, 0, SEEK_END);
	g->ring = size / SECTOR > RING ? RING : (uint64_t)(size / SECTOR - 1);
	disk_scan(g);
}

/* The next number onto the disk, ring first, then sector 0; O_DIRECT and O_DSYNC, so a return is an acknowledgement. */
static bool disk_write(struct guest *g)
{
	uint64_t n = g->count + 1;
	sector_fill(g, n);
	off_t at = (off_t)((n % g->ring + 1) * SECTOR);
	if (pwrite(g->disk_fd, sector_buf, SECTOR, at) != SECTOR)
		return false;
	return pwrite(g->disk_fd, sector_buf, SECTOR, 0) == SECTOR;
}

static void tick(struct guest *g)
{
	int64_t start = now_ms();
	const char *outcome = "none";
	bool ok = true;
	if (g->disk_fd >= 0) {
		ok = disk_write(g);
		outcome = ok ? "ok" : "FAIL";
	}
	int64_t end = now_ms();
	say("count=%" PRIu64 " w=%s ms=%" PRId64 " t=%" PRId64 ".%02d", g->count + 1, outcome, end - start, end / 1000,
	    (int)(end % 1000 / 10));
	report(g, g->count + 1, outcome, end);
	if (ok)
		g->count++;
}

/* ---- what it is told ------------------------------------------------------------------------ */

static void turn_off(unsigned int how)
{
	sync();
	reboot((int)how);
}

static void obey(const char *word)
{
	if (strcmp(word, "off") == 0)
		turn_off(RB_POWER_OFF);
	else if (strcmp(word, "reboot") == 0)
		turn_off(RB_AUTOBOOT);
	else if (strcmp(word, "crash") == 0)
		_exit(1); /* the end of process 1 is a kernel panic */
	say("heard '%s'", word);
}

static void read_console(struct guest *g)
{
	char chunk[64];
	ssize_t got = read(0, chunk, sizeof chunk);
	if (got <= 0)
		g->fds[0].fd = -1; /* nothing can be typed here */
	for (ssize_t i = 0; i < got; i++) {
		if (chunk[i] == '\n' || chunk[i] == '\r') {
			g->line[g->line_len] = '\0';
			g->line_len = 0;
			if (g->line[0] != '\0')
				obey(g->line);
		} else if (g->line_len < sizeof g->line - 1) {
			g->line[g->line_len++] = chunk[i];
		}
	}
}

static void read_input(struct pollfd *pfd)
{
	struct input_event ev;
	ssize_t got;
	while ((got = read(pfd->fd, &ev, sizeof ev)) == (ssize_t)sizeof ev) {
		if (ev.type == EV_KEY && ev.code == KEY_POWER && ev.value == 1) {
			say("power button: off");
			turn_off(RB_POWER_OFF);
		}
	}
	if (got == 0 || (got < 0 && errno != EAGAIN))
		pfd->fd = -1;
}

/* Waits out the pause, obeying meanwhile. */
static void listen_until(struct guest *g, int64_t end_ms)
{
	for (int64_t left; (left = end_ms - now_ms()) > 0;) {
		if (poll(g->fds, g->n_fds, (int)left) <= 0)
			continue;
		if (g->fds[0].revents)
			read_console(g);
		for (nfds_t i = 1; i < g->n_fds; i++)
			if (g->fds[i].revents)
				read_input(&g->fds[i]);
	}
}

int main(void)
{
	static struct guest g = {.disk_fd = -1, .report_fd = -1, .found = "found=none gaps=0 bad=0", .pause_ms = 1000};
	char value[64];
	mount("dev", "/dev", "devtmpfs", 0, "");
	mount("proc", "/proc", "proc", 0, "");
	mount("sys", "/sys", "sysfs", 0, "");
	for (int fd = open("/dev/console", O_RDWR); fd >= 0 && fd < 2;)
		fd = dup(fd); /* has an effect only if the kernel gave us no console */
	load_modules();
	read_small_file("/proc/sys/kernel/random/boot_id", g.boot, sizeof g.boot);
	int64_t t = now_ms();
	say("up boot=%s t=%" PRId64 ".%02d", g.boot, t / 1000, (int)(t % 1000 / 10));
	if (boot_option("lab.ms", value, sizeof value))
		g.pause_ms = number_or(value, 3600000, g.pause_ms);
	if (boot_option("lab.ip", value, sizeof value))
		set_address(value);
	if (boot_option("lab.report", value, sizeof value))
		set_report(&g, value);
	open_inputs(&g);
	disk_open(&g);
	for (;;) {
		int64_t next = now_ms() + g.pause_ms;
		tick(&g);
		listen_until(&g, next);
	}
}
