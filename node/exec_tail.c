/* SPDX-License-Identifier: Apache-2.0 */
/* What a loser wrote is kept before it is overwritten: a snapshot of each data volume (doc/design/011-comeback.adoc). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/xmem.h"
#include "node/exec_inside.h"
#include "storage/storage.h"
#include "storage/tail.h"

static bool is_of(const struct volume_info *have, const struct step_volume *v, const char *instance, int index, int64_t gen)
{
	struct tail_name t;

	return strcmp(have->pool, v->pool) == 0 && strcmp(have->owner, v->owner) == 0 && tail_parse(have->name, &t) && strcmp(t.instance, instance) == 0 &&
	       t.index == index && t.gen == gen;
}

/* Volumes are named "<instance>.disk<N>_data". */
static const char *instance_of(const struct step_volume *v, char out[UUID_LEN + 1])
{
	(void)snprintf(out, UUID_LEN + 1, "%.*s", UUID_LEN, v->name);
	return out;
}

static const struct volume_info *find(const struct volume_info *list, int n, const struct step_volume *v, int index, int64_t gen)
{
	char instance[UUID_LEN + 1];

	for (int i = 0; i < n; i++)
		if (is_of(&list[i], v, instance_of(v, instance), index, gen))
			return &list[i];
	return NULL;
}

static bool present(const struct volume_info *list, int n, const struct step_volume *v)
{
	for (int i = 0; i < n; i++)
		if (strcmp(list[i].pool, v->pool) == 0 && strcmp(list[i].name, v->name) == 0)
			return true;
	return false;
}

static int need_lvm(struct exec_env *env, struct err *err)
{
	if (env->lvm && env->lvm->ops->snapshot)
		return 0;
	return err_set(err, ERR_NOT_PREPARED, "this node has no LVM storage: nothing can be kept");
}

static int keep(struct exec_env *env, const struct step_tail *a, const struct volume_info *list, int n, int64_t wall_s, int *ret_kept, struct err *err)
{
	int rc = 0;

	for (int i = 0; i < a->n_volumes && rc == 0; i++) {
		const struct step_volume *v = &a->volumes[i];
		struct tail_name t = { .index = i, .gen = a->gen, .kept_s = wall_s };
		struct volume_spec s;
		char name[VOLUME_LEN + 1];

		/* Kept by an earlier try: the resync may have begun since, and a newer one would lack what it overwrote. No volume: nothing to keep. */
		if (find(list, n, v, i, a->gen) || !present(list, n, v))
			continue;
		memset(&s, 0, sizeof(s));
		(void)str_copy(s.pool, sizeof(s.pool), v->pool);
		(void)str_copy(s.name, sizeof(s.name), v->name);
		(void)str_copy(s.owner, sizeof(s.owner), v->owner);
		s.size_mib = v->size;
		(void)instance_of(v, t.instance);
		tail_format(&t, name);
		rc = env->lvm->ops->snapshot(env->lvm, &s, name, TAIL_MIB(v->size), err);
		*ret_kept += rc == 0;
	}
	return rc;
}

int do_tail_keep(struct exec_env *env, const struct exec_call *c, json_t **ret, struct err *err)
{
	const struct step_tail *a = c->args;
	AUTO_FREE struct volume_info *list = NULL;
	int n = 0, kept = 0, rc = need_lvm(env, err);

	if (rc == 0)
		rc = env->lvm->ops->list(env->lvm, &list, &n, err);
	int64_t wall_s = env->system->wall_ms ? env->system->wall_ms(env->system) / 1000 : (int64_t)time(NULL);
	if (rc == 0)
		rc = keep(env, a, list, n, wall_s, &kept, err);
	*ret = json_pack("{s:i, s:s}", "kept", kept, "why_not", rc < 0 ? err->msg : "");
	if (rc == -ERR_NO_SPACE && a->must != 1) { /* nothing acknowledged is in it: the mirror is worth more */
		err_clear(err);
		return 0;
	}
	return rc;
}

int exec_tail_kept(struct exec_env *env, const struct step_tail_ref *t, struct err *err)
{
	AUTO_FREE struct volume_info *list = NULL;
	int n = 0, rc = t->n_disks ? need_lvm(env, err) : 0;

	if (rc < 0 || t->n_disks == 0)
		return rc;
	rc = env->lvm->ops->list(env->lvm, &list, &n, err);
	for (int i = 0; i < t->n_disks && rc == 0; i++)
		if (present(list, n, &t->disks[i]) && !find(list, n, &t->disks[i], i, t->gen))
			rc = err_set(err, ERR_NOT_SAFE, "this node may hold acknowledged writes of its own, and they have not been kept yet"),
			(void)err_hint(err, "free room in volume group '%s'; or 'gnt disk tails --remove' gives them up", t->disks[i].pool);
	return rc;
}
