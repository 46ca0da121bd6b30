/* SPDX-License-Identifier: Apache-2.0 */
/* Which backends this node runs on: real parts, or the fake world that tests/vcluster shares between processes. */
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/xmem.h"
#include "hypervisor/hypervisor.h"
#include "hypervisor/libvirt/libvirt.h"
#include "hypervisor/none.h"
#include "io/files.h"
#include "io/spawn.h"
#include "node/node.h"
#include "storage/drbd/drbdm.h"
#include "storage/fake/fake.h"
#include "storage/file/file.h"
#include "storage/lvm/lvm.h"

#define FILE_DIR "/srv/gantry"

static int fake_backends(const struct conf *conf, struct exec_env *env, struct err *err)
{
	struct fake *f = NULL;
	int rc = dir_make(conf->fake_world, 0700, err);

	if (rc == 0)
		rc = fake_open(conf->fake_world, conf->node_name, &f, err);
	if (rc < 0)
		return rc;
	env->lvm = fake_volumes(f);
	env->drbd = fake_drbd(f);
	env->hv = fake_hypervisor(f);
	env->backend = f;
	return 0;
}

void backends_boot(const struct conf *conf, char boot[UUID_LEN + 1])
{
	struct err ignored = ERR_INIT;
	AUTO_FREE char *text = NULL;

	if (strcmp(conf->storage, "fake") != 0 && strcmp(conf->hypervisor, "fake") != 0)
		return;
	AUTO_FREE char *path = xasprintf("%s/boot.%s", conf->fake_world, conf->node_name);
	if (file_read_text(path, 64, &text, &ignored) < 0)
		return; /* still in its first one */
	text[strcspn(text, "\n")] = '\0';
	if (strlen(text) == UUID_LEN)
		memcpy(boot, text, UUID_LEN + 1);
}

int backends_new(const struct conf *conf, struct exec_env *env, struct err *err)
{
	static const char *const dirs[] = { FILE_DIR };
	struct err why = ERR_INIT;

	env->runner = spawn_runner();
	if (conf->witness) {
		env->hv = none_new();
		return 0;
	}
	if (strcmp(conf->hypervisor, "fake") == 0)
		return fake_backends(conf, env, err);
	/* A machine that is not prepared yet starts without; 'gnt node prepare' and init say what is missing. */
	if (lvm_new(env->runner, &env->lvm, &why) < 0)
		log_err_record(LOG_LEVEL_WARNING, "LVM", &why);
	if (drbdm_new(env->runner, DRBDM_CONF_DIR, &env->drbd, &why) < 0)
		log_err_record(LOG_LEVEL_WARNING, "DRBD", &why);
	/* QEMU opens its image as a user of its own, whom libvirt gives the file: it must get there, and need not see what else is. */
	if (dir_make(FILE_DIR, 0711, &why) < 0 || file_new(dirs, 1, NULL, &env->file, &why) < 0)
		log_err_record(LOG_LEVEL_WARNING, "file disks", &why);
	return libvirt_new("qemu:///system", &env->hv, err);
}

void backends_free(struct exec_env *env)
{
	if (env->backend) {
		fake_close(env->backend);
	} else {
		lvm_free(env->lvm);
		drbdm_free(env->drbd);
		file_free(env->file);
		if (env->hv && env->hv != none_new())
			libvirt_free(env->hv);
	}
	env->backend = NULL;
	env->lvm = env->file = NULL;
	env->drbd = NULL;
	env->hv = NULL;
}
