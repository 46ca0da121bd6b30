/* SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/xmem.h"
#include "io/notify.h"
#include "node/handler.h"
#include "node/node.h"

#define ALIVE_EVERY_MS 20000 /* WatchdogSec in the unit is six times that */

static void still_alive(void *arg)
{
	(void)arg;
	notify_manager("WATCHDOG=1");
}

static void on_term(void *arg)
{
	notify_manager("STOPPING=1");
	loop_stop(arg);
}

static int run(const char *root, struct err *err)
{
	struct noded *n = NULL;
	struct conf conf;
	int rc = conf_load(root, &conf, err);

	if (rc < 0)
		return rc;
	struct loop *l = loop_new();
	rc = node_new(l, &conf, &n, err);
	if (rc == 0) {
		struct loop_signal *t = loop_signal_new(l, SIGTERM, on_term, l), *i = loop_signal_new(l, SIGINT, on_term, l);

		struct loop_timer *alive = loop_timer_new(l, still_alive, NULL);

		loop_timer_start(alive, ALIVE_EVERY_MS, ALIVE_EVERY_MS);
		notify_manager("READY=1");
		log_notice("gantry-noded " PACKAGE_VERSION " runs");
		loop_run(l);
		loop_timer_free(alive);
		loop_signal_free(t);
		loop_signal_free(i);
		node_free(n);
	}
	loop_free(l);
	conf_done(&conf);
	return rc;
}

static int usage(void)
{
	(void)fprintf(stderr, "usage: gantry-noded [--root DIR] [--version]\n"
			      "       gantry-noded join [--witness] [-s REPLICATION_ADDRESS] TOKEN|-   join the cluster that the token is from (- = read it)\n"
			      "       gantry-noded --dump-settings=man|adoc                the table of gantry.conf\n"
			      "       gantry-noded fence-peer | ...                        called by DRBD\n");
	return 2;
}

/* The table of gantry.conf, for the manual. */
static int dump_settings(const char *format)
{
	AUTO_BUF struct buf b = BUF_INIT;

	if (strcmp(format, "man") == 0)
		conf_dump_scd(&b);
	else if (strcmp(format, "adoc") == 0)
		conf_dump_adoc(&b);
	else
		return 2;
	(void)fputs(buf_str(&b), stdout);
	return 0;
}

int main(int argc, char **argv)
{
	const char *root = "";
	struct err err = ERR_INIT;
	int at = 1;

	(void)signal(SIGPIPE, SIG_IGN);
	xmem_long_lived();
	log_init("gantry-noded", LOG_LEVEL_INFO);
	if (at + 1 < argc && strcmp(argv[at], "--root") == 0) {
		root = argv[at + 1];
		at += 2;
	}
	if (at < argc && strcmp(argv[at], "--version") == 0) {
		(void)puts("gantry-noded " PACKAGE_VERSION);
		return 0;
	}
	if (at < argc && strncmp(argv[at], "--dump-settings=", 16) == 0)
		return dump_settings(argv[at] + 16);
	if (at < argc && strcmp(argv[at], "join") == 0)
		return handler_join(root, argc - at, argv + at);
	if (at < argc && argv[at][0] != '-')
		return handler_drbd(root, argv[at]);
	if (at < argc)
		return usage();
	if (run(root, &err) < 0) {
		log_err_record(LOG_LEVEL_ERR, "gantry-noded", &err);
		return err_exit_status(err.code);
	}
	return 0;
}
