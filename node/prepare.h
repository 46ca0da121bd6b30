/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 'gnt node prepare': what a fresh machine needs before it can be a node. Everything is looked at before anything is changed; a second
 * run finds nothing to do. Commands go through a runner, the network through struct netif_ops, files lie below a root: tests bring theirs.
 */
#ifndef NODE_PREPARE_H
#define NODE_PREPARE_H

#include "common/json.h"
#include "io/netif.h"
#include "node/missing.h"
#include "schema/ops.h"

struct runner;

struct prepare {
	struct runner *runner;
	const struct netif_ops *netif;
	const char *root; /* "" on a real machine; before /etc, /sys, /usr, /run */
	const struct op_node_prepare *a;
	bool yes;         /* this pass changes things */
	int todo;         /* things that were, or would be, done */
	json_t *lines;    /* what was found and done, one sentence each */
	struct missing missing; /* what only a person can mend */
};

/* Gives *ret {"machine": [lines], "next": what to do then}, or on -ERR_NOT_PREPARED {"missing": [...]}. */
int prepare_run(struct runner *r, const struct netif_ops *netif, const char *root, const struct op_node_prepare *a, json_t **ret,
		struct err *err) WARN_UNUSED;

/* ---- what the files of it share ---- */
/* One line of the plan: needed = it is (or was) to be done, else it is so already. */
void prepare_say(struct prepare *p, bool needed, const char *fmt, ...) PRINTF(3, 4);
char *prepare_path(const struct prepare *p, const char *path); /* below the root; gives */
/* The file has exactly this text, or is made to. */
int prepare_file(struct prepare *p, const char *path, const char *text, const char *what, struct err *err) WARN_UNUSED;
int prepare_command(struct prepare *p, const char *const argv[], struct err *err) WARN_UNUSED;
/* Exit status 0? A command that cannot be started says no. */
bool prepare_asks(struct prepare *p, const char *const argv[]);
bool prepare_has(const struct prepare *p, const char *path);
/* prepare_net.c: --bridge */
int prepare_bridge(struct prepare *p, struct err *err) WARN_UNUSED;
/* The ifupdown file's text with the interface's stanzas moved to a bridge over it (gives); NULL: it has none. */
char *prepare_ifupdown(const char *text, const char *bridge, const char *port, const char *mac);
/* A .network file's text without what says whom it is for, for the bridge over the interface that it was for; gives. */
char *prepare_networkd(const char *text, const char *bridge);

#endif
