/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Telling systemd how a daemon fares: sd_notify(3)'s protocol, one datagram to the socket that $NOTIFY_SOCKET names. By ourselves, because
 * libsystemd brings six libraries into a daemon that runs for months, for these few lines.
 */
#ifndef IO_NOTIFY_H
#define IO_NOTIFY_H

/* "READY=1", "WATCHDOG=1", "STOPPING=1". Nobody listens when the daemon was started by hand: then, and when it fails, nothing happens. */
void notify_manager(const char *state);

#endif
