/* SPDX-License-Identifier: Apache-2.0 */
#include "hypervisor/hypervisor.h"

const char *hv_state_name(enum hv_state s)
{
	switch (s) {
	case HV_NONE: return "gone";
	case HV_RUNNING: return "running";
	case HV_PAUSED: return "paused";
	case HV_INCOMING: return "incoming";
	case HV_SHUTDOWN: return "shutdown";
	case HV_CRASHED:
	default: return "crashed";
	}
}
