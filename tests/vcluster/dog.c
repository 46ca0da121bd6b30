/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A watchdog for the virtual cluster: dog FIFO MS COMMAND...  Reads what gantry-fenced --fake writes. From the first byte on it waits at most MS for
 * the next one; 'V' stops it until the next byte. When it fires it becomes COMMAND, which takes the node down.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	int running = 0;

	if (argc < 4)
		return 2;
	int fd = open(argv[1], O_RDWR | O_CLOEXEC), ms = (int)strtol(argv[2], NULL, 10);
	if (fd < 0 || ms <= 0)
		return 1;
	for (;;) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		int n = poll(&p, 1, running ? ms : -1);
		char c;

		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0) {
			(void)fprintf(stderr, "watchdog '%s' fires\n", argv[1]);
			(void)execvp(argv[3], argv + 3);
			return 127;
		}
		if (n < 0 || read(fd, &c, 1) != 1)
			return 1;
		running = c != 'V';
	}
}
