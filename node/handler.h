/* SPDX-License-Identifier: Apache-2.0 */
/* The program in its two other roles: DRBD's helper, and the joining side of 'gnt node add'. Both talk to the running daemon. */
#ifndef NODE_HANDLER_H
#define NODE_HANDLER_H

/*
 * Called by the kernel through drbdadm with DRBD_RESOURCE in the environment. fence-peer exits 7 for yes and 1 for anything else; 3..6 are
 * never used: 5 would mean "go on" (drbd84-arbitration.md, H5). Other events are only told.
 */
int handler_drbd(const char *root, const char *event);
/* argv[0] = "join". Exit status. */
int handler_join(const char *root, int argc, char **argv);

#endif
