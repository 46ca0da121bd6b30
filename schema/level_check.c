/* SPDX-License-Identifier: Apache-2.0 */
#include "schema/level.h"

int level_check(const char *whose, const char *version, int64_t oldest, int64_t newest, int64_t level, struct err *err)
{
	if (level >= oldest && level <= newest)
		return 0;
	(void)err_set(err, ERR_VERSION, "gantry %s of %s is for levels %lld to %lld, the cluster is at level %lld", version, whose, (long long)oldest,
		      (long long)newest, (long long)level);
	if (newest < level)
		return err_hint(err, "install the version of the other nodes there: a cluster does not go back to an older level");
	return err_hint(err, "install a version in between there, one that is for level %lld, until the whole cluster has got further", (long long)level);
}
