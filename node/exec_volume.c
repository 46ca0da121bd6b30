/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/xmem.h"
#include "node/exec_inside.h"
#include "storage/runner.h"
#include "storage/storage.h"

#define QEMU_IMG_MS 900000
#define QEMU_IMG_INFO_MS 60000

static int backend(struct exec_env *env, const struct step_volume *v, struct volumes **ret, struct err *err)
{
	*ret = strcmp(v->backend, "file") == 0 ? env->file : env->lvm;
	if (!*ret)
		return err_set(err, ERR_NOT_PREPARED, "this node has no %s storage", strcmp(v->backend, "file") == 0 ? "file" : "LVM");
	return 0;
}

static void spec(const struct step_volume *v, struct volume_spec *s)
{
	memset(s, 0, sizeof(*s));
	(void)str_copy(s->pool, sizeof(s->pool), v->pool);
	(void)str_copy(s->name, sizeof(s->name), v->name);
	(void)str_copy(s->owner, sizeof(s->owner), v->owner);
	s->size_mib = v->size;
}

/* Those up to the first that fails, each by its backend. */
static int make_each(struct exec_env *env, const struct step_volume *list, int n, bool grow, struct err *err)
{
	int rc = 0;

	for (int i = 0; i < n && rc == 0; i++) {
		struct volume_spec s;
		struct volumes *v;

		spec(&list[i], &s);
		rc = backend(env, &list[i], &v, err);
		if (rc == 0)
			rc = (grow ? v->ops->grow : v->ops->create)(v, &s, err);
	}
	return rc;
}

int do_volume_create(struct exec_env *env, const struct exec_call *c, json_t **ret, struct err *err)
{
	const struct step_volumes *a = c->args;

	(void)ret;
	return make_each(env, a->volumes, a->n_volumes, false, err);
}

int do_volume_grow(struct exec_env *env, const struct exec_call *c, json_t **ret, struct err *err)
{
	const struct step_grow *a = c->args;

	(void)ret;
	return make_each(env, a->volumes, a->n_volumes, true, err);
}

/* Of those that are to be made, which exist, whoever's and in whatever state: "pool/name". */
static int note_before(struct exec_env *env, const struct step_volumes *a, json_t **ret, struct err *err)
{
	AUTO_JSON json_t *there = json_array();

	for (int i = 0; i < a->n_volumes; i++) {
		AUTO_FREE struct volume_info *list = NULL;
		struct volumes *v;
		int n = 0, rc = backend(env, &a->volumes[i], &v, err);

		if (rc == 0)
			rc = v->ops->list(v, &list, &n, err);
		if (rc < 0)
			return rc;
		for (int k = 0; k < n; k++)
			for (int d = i; d < a->n_volumes && strcmp(a->volumes[d].backend, a->volumes[i].backend) == 0; d++)
				if (strcmp(list[k].name, a->volumes[d].name) == 0 && strcmp(list[k].pool, a->volumes[d].pool) == 0)
					json_array_append_new(there, json_sprintf("%s/%s", list[k].pool, list[k].name));
		while (i + 1 < a->n_volumes && strcmp(a->volumes[i + 1].backend, a->volumes[i].backend) == 0)
			i++; /* one list tells of them all */
	}
	*ret = json_array_size(there) ? json_incref(there) : NULL;
	return 0;
}

static bool was_there(const json_t *before, const struct step_volume *v)
{
	char name[PATH_LEN + VOLUME_LEN + 2];
	json_t *one;
	size_t k;

	(void)snprintf(name, sizeof(name), "%s/%s", v->pool, v->name);
	json_array_foreach(before, k, one)
		if (strcmp(json_string_value(one) ? json_string_value(one) : "", name) == 0)
			return true;
	return false;
}

/* Goes on past a volume that cannot be removed: the first error counts. before: not these. */
static int remove_all(struct exec_env *env, const struct step_volumes *a, bool undo, const json_t *before, struct err *err)
{
	int rc = 0;

	for (int i = a->n_volumes - 1; i >= 0; i--) {
		struct err why = ERR_INIT;
		struct volume_spec s;
		struct volumes *v;

		if (was_there(before, &a->volumes[i]))
			continue;
		spec(&a->volumes[i], &s);
		int one = backend(env, &a->volumes[i], &v, &why);
		if (one == 0)
			one = v->ops->remove(v, &s, &why);
		else if (undo)
			one = 0; /* without the storage nothing was made on it */
		if (one == -ERR_FOREIGN && undo)
			one = 0; /* its "do" was refused for the same reason: it is not ours to take away */
		if (one < 0 && rc == 0) {
			rc = one;
			if (err)
				*err = why;
		}
	}
	return rc;
}

int undo_volume_create(struct exec_env *env, const struct exec_call *c, struct err *err)
{
	return remove_all(env, c->args, true, c->before, err);
}

int do_volume_remove(struct exec_env *env, const struct exec_call *c, json_t **ret, struct err *err)
{
	(void)ret;
	return remove_all(env, c->args, false, NULL, err);
}

int probe_volume_create(struct exec_env *env, const struct exec_call *c, bool *ret, struct err *err)
{
	const struct step_volumes *a = c->args;

	*ret = a->n_volumes > 0;
	for (int i = 0; i < a->n_volumes && *ret; i++) {
		struct volume_spec s;
		struct volumes *v;

		spec(&a->volumes[i], &s);
		int rc = backend(env, &a->volumes[i], &v, err);
		if (rc == 0)
			rc = v->ops->probe(v, &s, ret, err);
		if (rc < 0)
			return rc;
	}
	/* A replica has two volumes a disk: of what was left by another job one may be there and the other not. */
	return *ret || !c->ret_before ? 0 : note_before(env, a, c->ret_before, err);
}

/* None of that name, whoever's and however large. */
int probe_volume_remove(struct exec_env *env, const struct exec_call *c, bool *ret, struct err *err)
{
	const struct step_volumes *a = c->args;

	*ret = true;
	for (int i = 0; i < a->n_volumes && *ret; i++) {
		AUTO_FREE struct volume_info *list = NULL;
		struct volumes *v;
		int n = 0, rc = backend(env, &a->volumes[i], &v, err);

		if (rc == 0)
			rc = v->ops->list(v, &list, &n, err);
		if (rc < 0)
			return rc;
		for (int k = 0; k < n && *ret; k++)
			*ret = strcmp(list[k].name, a->volumes[i].name) != 0 || strcmp(list[k].pool, a->volumes[i].pool) != 0;
	}
	return 0;
}

/* ---- images ------------------------------------------------------------------------------------------- */

static int image_size(struct exec_env *env, const char *image, int64_t *ret_mib, struct err *err)
{
	const char *const argv[] = { "qemu-img", "info", "--output", "json", "--", image, NULL };
	AUTO_RESULT struct runner_result res = { 0 };
	AUTO_JSON json_t *j = NULL;
	int rc = runner_must(env->runner, argv, NULL, QEMU_IMG_INFO_MS, &res, err);

	if (rc == 0)
		rc = json_parse(buf_str(&res.out), res.out.len, RUNNER_OUTPUT_MAX, &j, err);
	if (rc < 0 && access(image, F_OK) < 0 && errno == ENOENT)
		return err_set(err, ERR_NOT_FOUND, "there is no image '%s' on this node", image),
		       err_hint(err, "copy it there; -n NODE takes a node that has it; --no-install does without");
	if (rc < 0)
		return err_wrap(err, "image '%s'", image);
	int64_t bytes = json_int(j, "virtual-size", -1);
	if (bytes < 0)
		return err_set(err, ERR_COMMAND_FAILED, "image '%s': 'qemu-img info' tells no size", image);
	*ret_mib = bytes / 1048576 + (bytes % 1048576 != 0);
	return 0;
}

int do_image_write(struct exec_env *env, const struct exec_call *c, json_t **ret, struct err *err)
{
	const struct step_image *a = c->args;
	/* -n: onto the disk as it is; the target's size is the disk's, the rest stays zero. */
	const char *const argv[] = { "qemu-img", "convert", "-n", "-W", "-O", "raw", "--", a->image, a->device, NULL };
	AUTO_RESULT struct runner_result res = { 0 };
	int64_t mib = 0;
	int rc;

	(void)ret;
	memset(&res, 0, sizeof(res));
	rc = image_size(env, a->image, &mib, err);
	if (rc < 0)
		return rc;
	if (a->size != FIELD_UNSET && mib > a->size)
		return err_set(err, ERR_NO_SPACE, "image '%s' has %lld MiB, the disk %lld MiB", a->image, (long long)mib, (long long)a->size),
		       err_hint(err, "give a larger disk: --disk 0:size=%lldm", (long long)mib);
	rc = runner_must(env->runner, argv, NULL, (int)(QEMU_IMG_MS * env->time_factor), &res, err);
	return rc < 0 ? err_wrap(err, "image '%s'", a->image) : 0;
}
