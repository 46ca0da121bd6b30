/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration file of one resource: made from struct drbd_conf, and read back. Pure. */
#ifndef STORAGE_DRBD_CONF_H
#define STORAGE_DRBD_CONF_H

#include <stddef.h>

#include "common/buf.h"
#include "storage/storage.h"

enum drbdm_kernel { DRBDM_KERNEL_84, DRBDM_KERNEL_9 };

#define DRBDM_CONF_HEADER "# gantry instance "
#define DRBDM_CONF_MAX    ((size_t)64 * 1024)
/* The kernel's field has 64 bytes with its closing zero. */
#define DRBDM_SECRET_MAX 63

/*
 * Refuses (-ERR_BAD_VALUE) whatever the file's syntax, drbdadm or the kernel would not take: names, addresses
 * and paths go into the text as they are, so they are checked here and nowhere else.
 */
int drbdm_conf_check(const struct drbd_conf *c, struct err *err) WARN_UNUSED;

/* Appends the file's text for a conf that passed drbdm_conf_check(). Byte for byte the same for the same input. */
const char *drbdm_on_no_data(const struct drbd_conf *c); /* the option's value */
void drbdm_conf_text(const struct drbd_conf *c, enum drbdm_kernel kernel, struct buf *out);

/* The uuid in the header line into out[UUID_LEN + 1]; "" = not a file of ours. */
void drbdm_conf_owner(const char *text, size_t len, char *out);

/*
 * Reads a file of ours back, either syntax. Refuses (-ERR_FOREIGN) what has no header of ours, and
 * (-ERR_WRONG_STATE) what has one but was changed so that no valid conf comes out.
 */
int drbdm_conf_parse(const char *text, size_t len, struct drbd_conf *ret, struct err *err) WARN_UNUSED;

#endif
