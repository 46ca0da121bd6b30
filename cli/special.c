/* SPDX-License-Identifier: Apache-2.0 */
/* Commands that gnt carries out with other requests and programs: node add (over ssh), console, job watch. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/cli.h"
#include "common/xmem.h"

/* The child has our terminal: ssh may ask for a password. The secret goes through its standard input, not its arguments. */
static int run_ssh(const char *host, const char *remote, const char *input, struct err *err)
{
	int fds[2];

	if (pipe(fds) < 0)
		return err_errno(err, ERR_IO, "cannot make a pipe");
	pid_t pid = fork();
	if (pid < 0)
		return err_errno(err, ERR_IO, "cannot start ssh");
	if (pid == 0) {
		(void)dup2(fds[0], STDIN_FILENO);
		(void)close(fds[0]);
		(void)close(fds[1]);
		(void)execlp("ssh", "ssh", "-o", "BatchMode=no", "-l", "root", "--", host, remote, (char *)NULL);
		_exit(127);
	}
	(void)close(fds[0]);
	ssize_t written = write(fds[1], input, strlen(input));
	(void)close(fds[1]);
	int status = 0;
	while (waitpid(pid, &status, 0) < 0)
		;
	if (written < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
		(void)err_set(err, ERR_COMMAND_FAILED, "joining '%s' over ssh failed", host);
		return err_hint(err, "its own words stand above; without ssh: 'gnt node token %s' here, 'gantry-noded join TOKEN' there", host);
	}
	return 0;
}

static int node_add(struct command *c, struct cli_link *l, struct err *err)
{
	const struct op_node_add *a = c->args;
	AUTO_JSON json_t *args = json_pack("{s:s, s:b}", "name", a->name, "witness", a->witness == 1);
	AUTO_JSON json_t *token = NULL;
	int64_t stale = 0;
	int rc = call_request(l, "node.token", args, &c->opt, 30000, &token, &stale, err);

	if (rc < 0)
		return rc;
	(void)fprintf(stderr, "* a join token for '%s' is made, good once\n* joining over ssh\n", a->name);
	AUTO_FREE char *input = xasprintf("%s\n", json_str(token, "token", ""));
	AUTO_FREE char *remote = xasprintf("gantry-noded join%s%s%s -", a->witness == 1 ? " --witness" : "", a->secondary_ip[0] ? " -s " : "",
						   a->secondary_ip);
	rc = run_ssh(a->name, remote, input, err);
	if (rc == 0)
		(void)fprintf(stderr, "* node '%s' is in the cluster\n", a->name);
	return rc;
}

/* ---- console --------------------------------------------------------------------------------------------- */

/* libvirt's TLS is set up with the cluster's certificates (node/system.c): from any node to any other without ssh. */
#define CLIENT_KEY "/etc/pki/libvirt/private/clientkey.pem"

static int own_node(struct cli_link *l, const struct options *o, char out[NAME_LEN + 1], struct err *err)
{
	AUTO_JSON json_t *status = NULL;
	int64_t stale = 0;
	int rc = call_request(l, "cluster.status", NULL, o, 30000, &status, &stale, err);

	if (rc == 0)
		(void)str_copy(out, NAME_LEN + 1, json_str(status, "node", ""));
	return rc;
}

static int console(struct command *c, struct cli_link *l, struct err *err)
{
	const struct op_instance_console *a = c->args;
	AUTO_JSON json_t *args = json_pack("{s:s}", "name", a->name);
	AUTO_JSON json_t *where = NULL;
	char here[NAME_LEN + 1] = "";
	int64_t stale = 0;
	int rc = call_request(l, "instance.console_info", args, &c->opt, 30000, &where, &stale, err);

	if (rc == 0)
		rc = own_node(l, &c->opt, here, err);
	if (rc < 0)
		return rc;
	const char *node = json_str(where, "node", ""), *domain = json_str(where, "domain", "");
	if (strncmp(json_str(where, "hypervisor", ""), "fake", 4) == 0)
		return err_set(err, ERR_NOT_SUPPORTED, "guest '%s' runs in the fake hypervisor of node '%s': it has no console", domain, node),
		       err_hint(err, "guests of a virtual cluster are names only; consoles need hypervisor = \"libvirt\" in gantry.conf");
	bool local = strcmp(here, node) == 0, tls = !local && access(CLIENT_KEY, R_OK) == 0;
	AUTO_FREE char *uri = tls ? xasprintf("qemu+tls://%s/system", node) : xstrdup("qemu:///system");
	AUTO_FREE char *to = xasprintf("root@%s", node);
	const char *ssh[] = { "ssh", "-t", to, "virsh", "-c", uri, "console", domain, NULL }, *const *virsh = ssh + 3;
	const char *const *argv = local || tls ? virsh : ssh;

	if (a->show_cmd == 1) {
		for (int i = 0; argv[i]; i++)
			(void)printf("%s%s", i ? " " : "", argv[i]);
		(void)puts("");
		return 0;
	}
	(void)fprintf(stderr, "console of '%s' on node '%s'; leave with Ctrl-]\n", domain, node);
	(void)fflush(NULL);
	(void)execvp(argv[0], (char *const *)(uintptr_t)argv);
	return err_errno(err, ERR_COMMAND_FAILED, "cannot start %s", argv[0]), err_hint(err, "install it: apt-get install libvirt-clients");
}

/* ---- backup -------------------------------------------------------------------------------------------- */

#define BACKUP_TRIES 20

/* All pages of one state; the configuration may change while they are read: then from the beginning. */
static int read_pages(struct cli_link *l, const struct command *c, bool secrets, json_t **ret, struct err *err)
{
	for (int tries = 0; tries < BACKUP_TRIES; tries++) {
		AUTO_JSON json_t *whole = NULL;
		int64_t from = 0, change = 0, stale = 0;

		do {
			AUTO_JSON json_t *args = json_pack("{s:b, s:I}", "secrets", secrets, "from", (json_int_t)from);
			AUTO_JSON json_t *page = NULL;
			int rc = call_request(l, "cluster.export", args, &c->opt, 60000, &page, &stale, err);

			if (rc < 0)
				return rc;
			if (whole && json_int(page, "change", 0) != change)
				break;
			change = json_int(page, "change", 0);
			from = json_int(page, "next", 0);
			if (!whole)
				whole = json_incref(page);
			else
				(void)json_array_extend(json_object_get(whole, "instances"), json_object_get(page, "instances"));
			if (from == 0) {
				(void)json_object_del(whole, "change");
				(void)json_object_del(whole, "next");
				*ret = TAKE(whole);
				return 0;
			}
		} while (from > 0);
	}
	return err_set(err, ERR_BUSY, "the configuration changes faster than it can be read"), err_hint(err, "repeat the command when fewer jobs run");
}

/* Whole or not at all, readable by its owner only. */
static int write_private(const char *path, const char *text, struct err *err)
{
	AUTO_FREE char *temp = xasprintf("%s.XXXXXX", path);
	int fd = mkstemp(temp); /* mode 0600 */
	FILE *f = fd < 0 ? NULL : fdopen(fd, "w");

	if (!f)
		return err_errno(err, ERR_IO, "cannot write beside '%s'", path), err_hint(err, "name a file in a directory that is there, and that you may write to");
	bool ok = fputs(text, f) >= 0 && fputc('\n', f) != EOF && fflush(f) == 0 && fsync(fd) == 0;
	ok = fclose(f) == 0 && ok;
	if (ok && rename(temp, path) == 0)
		return 0;
	int rc = err_errno(err, ERR_IO, "cannot write '%s'", path);
	(void)err_hint(err, "name another file, or make room there");
	(void)unlink(temp);
	return rc;
}

static int backup(struct command *c, struct cli_link *l, struct err *err)
{
	const struct op_cluster_backup *a = c->args;
	AUTO_JSON json_t *all = NULL;

	if (a->secrets == 1 && !a->file[0] && isatty(STDOUT_FILENO))
		return err_set(err, ERR_REFUSED, "the cluster's keys are not shown on a terminal"),
		       err_hint(err, "name a file: 'gnt cluster backup --secrets FILE'");
	int rc = read_pages(l, c, a->secrets == 1, &all, err);
	if (rc < 0)
		return rc;
	AUTO_FREE char *text = json_dumps(all, JSON_INDENT(1) | JSON_SORT_KEYS);
	if (!a->file[0]) {
		(void)puts(text);
		return 0;
	}
	rc = write_private(a->file, text, err);
	if (rc == 0 && !c->opt.quiet)
		(void)fprintf(stderr, "%zu nodes and %zu instances are written to '%s'%s\n", json_array_size(json_object_get(all, "nodes")),
			      json_array_size(json_object_get(all, "instances")), a->file,
			      a->secrets == 1 ? ": with the cluster's keys, keep it safe" : "; without secrets: it cannot be restored");
	return rc;
}

/* ---- disk tails ---------------------------------------------------------------------------------------- */

/* A link of its own: who asks is told once a link, to the first request, and every job shall know who filed it. */
static int remove_tail(struct command *c, const json_t *row, struct err *err)
{
	AUTO(call_close) struct cli_link *l = NULL;
	AUTO_JSON json_t *args = json_pack("{s:s, s:s, s:I}", "name", json_str(row, "instance", ""), "node", json_str(row, "node", ""), "gen",
					   (json_int_t)json_int(row, "gen", 0));
	AUTO_JSON json_t *job = NULL, *last = NULL;
	int64_t stale = 0;
	int rc = call_open(c, &l, err);

	if (rc == 0)
		rc = call_request(l, "disk.remove_tail", args, &c->opt, 30000, &job, &stale, err);
	return rc < 0 ? rc : follow_job(l, json_int(job, "job", 0), &c->opt, &last, err);
}

static int tails(struct command *c, struct cli_link *l, struct err *err)
{
	const struct op_disk_tails *a = c->args;
	AUTO_JSON json_t *args = json_object(), *all = NULL, *rows = json_array(), *names = json_array();
	size_t i;
	json_t *row;
	int64_t stale = 0;

	for (int k = 0; k < a->n_names; k++)
		json_array_append_new(names, json_string(a->names[k]));
	json_object_set(args, "names", names);
	int rc = call_request(l, "disk.list_tails", args, &c->opt, 30000, &all, &stale, err);
	if (rc == 0 && a->node[0]) { /* one that is misspelt has nothing, of course */
		AUTO_JSON json_t *node = json_pack("{s:[s]}", "names", a->node), *is = NULL;

		rc = call_request(l, "node.list", node, &c->opt, 30000, &is, &stale, err);
	}
	if (rc < 0)
		return rc;
	json_array_foreach(all, i, row)
		if (!a->node[0] || strcmp(json_str(row, "node", ""), a->node) == 0)
			json_array_append(rows, row);
	if (a->remove != 1) {
		render_result(c, rows);
		return 0;
	}
	const char *done = ""; /* the disks of one instance on one node go together */
	int64_t done_gen = -1;
	json_array_foreach(rows, i, row) {
		const char *instance = json_str(row, "instance", "");

		if (json_int(row, "gen", 0) == done_gen && strcmp(done, instance) == 0)
			continue;
		done = instance;
		done_gen = json_int(row, "gen", 0);
		rc = remove_tail(c, row, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int watch(struct command *c, struct cli_link *l, struct err *err)
{
	AUTO_JSON json_t *last = NULL;
	int rc = follow_job(l, ((const struct op_job_id *)c->args)->id, &c->opt, &last, err);

	if (rc == 0 && c->opt.json)
		render_result(c, last);
	return rc;
}

int special_run(struct command *c, struct cli_link *l, struct err *err)
{
	switch (c->op) {
	case OP_node_add: return node_add(c, l, err);
	case OP_instance_console: return console(c, l, err);
	case OP_cluster_backup: return backup(c, l, err);
	case OP_job_watch: return watch(c, l, err);
	case OP_disk_tails: return tails(c, l, err);
	default: return err_set(err, ERR_NOT_SUPPORTED, "'gnt %s %s' is not here yet", op_infos[c->op].group, op_infos[c->op].verb);
	}
}
