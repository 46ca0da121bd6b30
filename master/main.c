/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>

#include "common/log.h"
#include "common/xmem.h"
#include "io/notify.h"
#include "master/bridge.h"

struct program {
	struct loop *loop;
	struct master *master;
};

static void stopped(void *arg)
{
	loop_stop(((struct program *)arg)->loop);
}

#define ALIVE_EVERY_MS 20000 /* WatchdogSec in the unit is six times that */

static void still_alive(void *arg)
{
	(void)arg;
	notify_manager("WATCHDOG=1");
	(void)malloc_trim(0); /* what was freed little by little: a take-over reads everything as text first, a thousand jobs leave holes */
}

static void on_term(void *arg)
{
	struct program *p = arg;

	notify_manager("STOPPING=1");
	master_resign(p->master, stopped, p);
}

/* One masterd a node: the lock is also what lets a restarted one know that its predecessor is dead (core/term.c). */
static int take_lock(const struct conf *conf, struct err *err)
{
	AUTO_FREE char *path = conf_state_path(conf, "masterd.lock");
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0)
		return err_errno(err, ERR_IO, "cannot open '%s'", path);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return err_errno(err, ERR_CONFLICT, "another gantry-masterd runs: '%s' is locked", path);
	return 0; /* kept until the process ends */
}

static int run(const char *root, struct err *err)
{
	struct program p = { NULL, NULL };
	struct conf conf;
	int rc = conf_load(root, &conf, err);

	if (rc < 0)
		return rc;
	if (!conf.node_uuid[0]) {
		conf_done(&conf);
		return err_set(err, ERR_NO_CLUSTER, "this machine is in no cluster");
	}
	p.loop = loop_new();
	rc = take_lock(&conf, err);
	if (rc == 0)
		rc = master_new(p.loop, &conf, &p.master, err);
	if (rc == 0) {
		struct loop_signal *t = loop_signal_new(p.loop, SIGTERM, on_term, &p), *i = loop_signal_new(p.loop, SIGINT, on_term, &p);

		struct loop_timer *alive = loop_timer_new(p.loop, still_alive, NULL);

		loop_timer_start(alive, ALIVE_EVERY_MS, ALIVE_EVERY_MS);
		notify_manager("READY=1");
		log_notice("gantry-masterd " PACKAGE_VERSION " runs as node %s", conf.node_name);
		loop_run(p.loop);
		loop_timer_free(alive);
		loop_signal_free(t);
		loop_signal_free(i);
		master_free(p.master);
	}
	loop_free(p.loop);
	conf_done(&conf);
	return rc;
}

int main(int argc, char **argv)
{
	const char *root = "";
	struct err err = ERR_INIT;

	(void)signal(SIGPIPE, SIG_IGN);
	xmem_long_lived();
	log_init("gantry-masterd", LOG_LEVEL_INFO);
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--root") == 0 && i + 1 < argc) {
			root = argv[++i];
		} else if (strcmp(argv[i], "--version") == 0) {
			(void)puts("gantry-masterd " PACKAGE_VERSION);
			return 0;
		} else {
			(void)fprintf(stderr, "usage: gantry-masterd [--root DIR] [--version]\n");
			return 2;
		}
	}
	if (run(root, &err) < 0) {
		log_err_record(LOG_LEVEL_ERR, "gantry-masterd", &err);
		return err_exit_status(err.code);
	}
	return 0;
}
