/* SPDX-License-Identifier: Apache-2.0 */
/* Power fencing: what a node's object says of its fence agents. Internal to core/. */
#ifndef CORE_FENCE_H
#define CORE_FENCE_H

#include "core/state.h"
#include "schema/steps.h"

/* "agent=fence_x,key=value,...;agent=..." (a comma or semicolon in a value is doubled) into ret->agents. ret was initialised. */
int fence_parse(const char *text, struct step_fence *ret, struct err *err) WARN_UNUSED;

#endif
