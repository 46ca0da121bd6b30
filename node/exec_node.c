/* SPDX-License-Identifier: Apache-2.0 */
/* The node's own affairs, and doing nothing. */
#include "node/exec_inside.h"

int do_etcd_start(struct exec_env *env, const struct exec_call *c, json_t **ret, struct err *err)
{
	(void)ret;
	return env->system->etcd_start(env->system, c->args, err);
}

int undo_etcd_start(struct exec_env *env, const struct exec_call *c, struct err *err)
{
	(void)c;
	return env->system->etcd_stop(env->system, err);
}

/* What ran before is not ours to stop when the plan is undone: stopping etcd drops its data. */
int probe_etcd_start(struct exec_env *env, const struct exec_call *c, bool *ret, struct err *err)
{
	(void)c;
	return env->system->etcd_running(env->system, ret, err);
}

int do_etcd_stop(struct exec_env *env, const struct exec_call *c, json_t **ret, struct err *err)
{
	(void)c;
	(void)ret;
	return env->system->etcd_stop(env->system, err);
}

int do_masterd_start(struct exec_env *env, const struct exec_call *c, json_t **ret, struct err *err)
{
	(void)ret;
	return env->system->masterd_start(env->system, c->args, err);
}

int undo_masterd_start(struct exec_env *env, const struct exec_call *c, struct err *err)
{
	(void)c;
	return env->system->masterd_stop(env->system, err);
}

int do_masterd_stop(struct exec_env *env, const struct exec_call *c, json_t **ret, struct err *err)
{
	(void)c;
	(void)ret;
	return env->system->masterd_stop(env->system, err);
}

int do_certs_install(struct exec_env *env, const struct exec_call *c, json_t **ret, struct err *err)
{
	(void)ret;
	return env->system->certs_install(env->system, c->args, err);
}

int do_certs_renew(struct exec_env *env, const struct exec_call *c, json_t **ret, struct err *err)
{
	(void)c;
	(void)ret;
	return env->system->certs_renew(env->system, err);
}

int do_settings_install(struct exec_env *env, const struct exec_call *c, json_t **ret, struct err *err)
{
	(void)ret;
	return env->system->settings_install(env->system, c->args, err);
}

int do_node_leave(struct exec_env *env, const struct exec_call *c, json_t **ret, struct err *err)
{
	(void)c;
	(void)ret;
	return env->system->leave(env->system, err);
}

int do_watchdog_drill(struct exec_env *env, const struct exec_call *c, json_t **ret, struct err *err)
{
	(void)c;
	(void)ret;
	return env->system->watchdog_drill(env->system, err);
}

int do_noop(struct exec_env *env, const struct exec_call *c, json_t **ret, struct err *err)
{
	const struct step_noop *a = c->args;
	int rc = env->wait(env, c, (int)a->delay_ms, err);

	(void)ret;
	if (rc == 0 && a->fail == 1)
		return err_set(err, ERR_WRONG_STATE, "failed as asked");
	return rc;
}

int undo_noop(struct exec_env *env, const struct exec_call *c, struct err *err)
{
	(void)env;
	(void)c;
	(void)err;
	return 0;
}
