/* SPDX-License-Identifier: Apache-2.0 */
/* The node's own affairs as plain functions: used by steps and by the bootstrap. All block. */
#ifndef NODE_SYSTEM_H
#define NODE_SYSTEM_H

#include "io/conf.h"
#include "schema/steps.h"

int system_etcd_start(const struct conf *conf, const struct step_etcd *a, bool fresh_cluster, struct err *err) WARN_UNUSED;
/* From the data that is there, as the only member, whoever else was one. */
int system_etcd_start_alone(const struct conf *conf, const struct step_etcd *a, struct err *err) WARN_UNUSED;
int system_etcd_stop(const struct conf *conf, struct err *err) WARN_UNUSED; /* and drops its data */
int system_masterd_start(const struct conf *conf, struct err *err) WARN_UNUSED;
/* Writes key, certificate and CA where Gantry, etcd, libvirt and QEMU look for them. */
int system_certs(const struct conf *conf, const char *ca, const char *cert, const char *key, struct err *err) WARN_UNUSED;
int system_settings(const struct conf *conf, const struct step_settings *a, struct err *err) WARN_UNUSED;
int system_forget(const struct conf *conf, struct err *err) WARN_UNUSED; /* identity gone: a machine in no cluster */

#endif
