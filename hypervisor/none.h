/* SPDX-License-Identifier: Apache-2.0 */
/* The hypervisor of a witness: it has none. What a machine without guests can answer is answered, the rest is refused. */
#ifndef HYPERVISOR_NONE_H
#define HYPERVISOR_NONE_H

struct hypervisor;

struct hypervisor *none_new(void); /* static storage: never freed */

#endif
