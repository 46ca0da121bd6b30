/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "common/xmem.h"
#include "node/exec_inside.h"
#include "storage/runner.h"
#include "storage/storage.h"

#define QEMU_IMG_MS 900000

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

int do_volume_create(struct exec_env *env, const struct exec_call *c, json_t **ret, struct err *err)
{
	const struct step_volumes *a = c->args;
	int rc = 0;

	(void)ret;
	for (int i = 0; i < a->n_volumes && rc == 0; i++) {
		struct volume_spec s;
		struct volumes *v;

		spec(&a->volumes[i], &s);
		rc = backend(env, &a->volumes[i], &v, err);
		if (rc == 0)
			rc = v->ops->create(v, &s, err);
	}
	return rc;
}

static int remove_all(struct exec_env *env, const struct step_volumes *a, struct err *err)
{
	int rc = 0;

	for (int i = a->n_volumes - 1; i >= 0 && rc == 0; i--) {
		struct volume_spec s;
		struct volumes *v;

		spec(&a->volumes[i], &s);
		rc = backend(env, &a->volumes[i], &v, err);
		if (rc == 0)
			rc = v->ops->remove(v, &s, err);
	}
	return rc;
}

int undo_volume_create(struct exec_env *env, const struct exec_call *c, struct err *err)
{
	return remove_all(env, c->args, err);
}

int do_volume_remove(struct exec_env *env, const struct exec_call *c, json_t **ret, struct err *err)
{
	(void)ret;
	return remove_all(env, c->args, err);
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
	return 0;
}

/* ---- images ------------------------------------------------------------------------------------------- */

static int image_size(struct exec_env *env, const char *image, int64_t *ret_mib, struct err *err)
{
	const char *const argv[] = { "qemu-img", "info", "--output", "json", "--", image, NULL };
	AUTO_RESULT struct runner_result res;
	AUTO_JSON json_t *j = NULL;
	int rc = runner_must(env->runner, argv, NULL, 60000, &res, err);

	if (rc == 0)
		rc = json_parse(buf_str(&res.out), res.out.len, RUNNER_OUTPUT_MAX, &j, err);
	if (rc < 0)
		return err_wrap(err, "image '%s'", image);
	*ret_mib = (json_int(j, "virtual-size", 0) + 1048575) / 1048576;
	return 0;
}

int do_image_write(struct exec_env *env, const struct exec_call *c, json_t **ret, struct err *err)
{
	const struct step_image *a = c->args;
	/* -n: onto the disk as it is; the target's size is the disk's, the rest stays zero. */
	const char *const argv[] = { "qemu-img", "convert", "-n", "-W", "-O", "raw", "--", a->image, a->device, NULL };
	AUTO_RESULT struct runner_result res;
	int64_t mib = 0;
	int rc = image_size(env, a->image, &mib, err);

	(void)ret;
	memset(&res, 0, sizeof(res));
	if (rc < 0)
		return rc;
	if (a->size != FIELD_UNSET && mib > a->size)
		return err_set(err, ERR_NO_SPACE, "image '%s' has %lld MiB, the disk %lld MiB", a->image, (long long)mib, (long long)a->size),
		       err_hint(err, "give a larger disk: --disk 0:size=%lldm", (long long)mib);
	return runner_must(env->runner, argv, NULL, QEMU_IMG_MS, &res, err);
}
