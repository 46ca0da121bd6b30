/* SPDX-License-Identifier: Apache-2.0 */
/* The cluster address follows the master: up when it may speak, down before another one may. */
#include <string.h>

#include "common/log.h"
#include "common/xmem.h"
#include "core/state.h"
#include "io/netif.h"
#include "master/bridge.h"

#define ANNOUNCEMENTS 3

void master_address_up(struct master *m)
{
	const struct cluster *c = &core_state(m->core)->cluster;
	const struct netif_ops *net = netif_real();
	struct err err = ERR_INIT;

	if (!c->ip[0] || !c->master_netdev[0] || m->have_ip)
		return;
	if (net->addr_add(c->master_netdev, c->ip, strchr(c->ip, ':') ? 128 : 32, &err) < 0) {
		log_err_record(LOG_LEVEL_ERR, "cluster address", &err);
		return;
	}
	m->have_ip = true;
	(void)str_copy(m->ip, sizeof(m->ip), c->ip);
	(void)str_copy(m->ip_dev, sizeof(m->ip_dev), c->master_netdev);
	if (net->announce(c->master_netdev, c->ip, ANNOUNCEMENTS, &err) < 0)
		log_err_record(LOG_LEVEL_WARNING, "announcing the cluster address", &err);
}

void master_address_down(struct master *m)
{
	struct err err = ERR_INIT;

	if (!m->have_ip)
		return;
	if (netif_real()->addr_del(m->ip_dev, m->ip, strchr(m->ip, ':') ? 128 : 32, &err) < 0)
		log_err_record(LOG_LEVEL_WARNING, "cluster address", &err);
	m->have_ip = false;
}
