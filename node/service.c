/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starting and stopping daemons: by systemd on a real node, which also starts one again that has died; as detached children with a pid file in
 * tests/vcluster. There nobody does on purpose: what the tests kill has to stay dead until they say otherwise (a restore is refused while a
 * master lives, a lone voter is recovered, a dead master's successor is waited for), and a supervisor of our own beside systemd's would be one more
 * to be proven. Half of tests/vcluster start theirs again by hand.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/units.h"
#include "common/xmem.h"
#include "io/files.h"
#include "node/node.h"
#include "storage/runner.h"

#define SERVICE_MS 90000
#define STOP_POLLS 200

extern char **environ;

static bool by_systemd(const struct conf *conf)
{
	return strcmp(conf->service_manager, "systemd") == 0;
}

static int systemctl(struct runner *r, const char *verb, const char *unit, struct err *err)
{
	/* What is switched on for the next boot is read at the next boot; to read all units anew now takes seconds on a busy node. */
	const char *const argv[] = { "systemctl", "--no-reload", verb, "--", unit, NULL };
	AUTO_RESULT struct runner_result res = { 0 };

	return runner_must(r, argv, NULL, SERVICE_MS, &res, err);
}

static char *pid_path(const struct conf *conf, const char *name)
{
	AUTO_FREE char *file = xasprintf("%s.pid", name);

	return conf_state_path(conf, file);
}

static pid_t read_pid(const struct conf *conf, const char *name)
{
	AUTO_FREE char *path = pid_path(conf, name);
	AUTO_FREE char *text = NULL;
	struct err err = ERR_INIT;
	int64_t pid = 0;

	if (file_read_text(path, 32, &text, &err) < 0)
		return 0;
	text[strcspn(text, "\n")] = '\0';
	if (units_parse_int(text, 2, INT32_MAX, &pid, &err) < 0)
		return 0;
	(void)waitpid((pid_t)pid, NULL, WNOHANG); /* a child of ours that has died is not running */
	if (kill((pid_t)pid, 0) < 0)
		return 0;
	return (pid_t)pid;
}

static int spawn_detached(const struct conf *conf, const char *name, const char *const argv[], struct err *err)
{
	AUTO_FREE char *file = xasprintf("%s.log", name);
	AUTO_FREE char *log = conf_state_path(conf, file), *pidfile = pid_path(conf, name);
	posix_spawn_file_actions_t fa;
	posix_spawnattr_t attr;
	sigset_t none;
	pid_t pid = 0;

	(void)posix_spawn_file_actions_init(&fa);
	(void)posix_spawn_file_actions_addopen(&fa, 0, "/dev/null", O_RDONLY, 0);
	(void)posix_spawn_file_actions_addopen(&fa, 1, log, O_WRONLY | O_CREAT | O_APPEND, 0600);
	(void)posix_spawn_file_actions_adddup2(&fa, 1, 2);
	(void)posix_spawnattr_init(&attr);
	(void)sigemptyset(&none); /* on a worker all are blocked, and a daemon that inherits that never hears SIGTERM */
	(void)posix_spawnattr_setsigmask(&attr, &none);
	(void)posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK);
	int rc = posix_spawnp(&pid, argv[0], &fa, &attr, (char *const *)(uintptr_t)argv, environ);
	(void)posix_spawn_file_actions_destroy(&fa);
	(void)posix_spawnattr_destroy(&attr);
	if (rc != 0) {
		errno = rc;
		return err_errno(err, ERR_COMMAND_FAILED, "cannot start '%s'", argv[0]);
	}
	AUTO_FREE char *text = xasprintf("%d\n", (int)pid);
	return file_write_durable(pidfile, text, 0600, err);
}

int service_start(const struct conf *conf, struct runner *r, const char *name, const char *const argv[], struct err *err)
{
	AUTO_FREE char *unit = xasprintf("%s.service", name);

	if (!by_systemd(conf))
		return read_pid(conf, name) ? 0 : spawn_detached(conf, name, argv, err);
	int rc = systemctl(r, "enable", unit, err);
	return rc < 0 ? rc : systemctl(r, "start", unit, err);
}

static int kill_and_wait(const struct conf *conf, const char *name, struct err *err)
{
	AUTO_FREE char *path = pid_path(conf, name);
	pid_t pid = read_pid(conf, name);

	if (pid)
		(void)kill(pid, SIGTERM);
	for (int i = 0; pid && i < STOP_POLLS && kill(pid, 0) == 0; i++) {
		struct timespec tick = { .tv_nsec = 50 * 1000 * 1000 };

		(void)waitpid(pid, NULL, WNOHANG);
		(void)nanosleep(&tick, NULL); /* no notice comes of a process that is not our child any more */
		if (i == STOP_POLLS / 2)
			(void)kill(pid, SIGKILL);
	}
	return file_remove(path, err);
}

int service_stop(const struct conf *conf, struct runner *r, const char *name, struct err *err)
{
	AUTO_FREE char *unit = xasprintf("%s.service", name);

	if (!by_systemd(conf))
		return kill_and_wait(conf, name, err);
	int rc = systemctl(r, "disable", unit, err);
	return rc < 0 ? rc : systemctl(r, "stop", unit, err);
}

bool service_running(const struct conf *conf, struct runner *r, const char *name)
{
	AUTO_FREE char *unit = xasprintf("%s.service", name);
	const char *const argv[] = { "systemctl", "is-active", "--quiet", "--", unit, NULL };
	AUTO_RESULT struct runner_result res = { .status = -1 };
	struct err err = ERR_INIT;

	if (!by_systemd(conf))
		return read_pid(conf, name) != 0;
	return r->run(r, argv, NULL, SERVICE_MS, &res, &err) == 0 && res.status == 0;
}
