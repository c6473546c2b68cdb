#include "common/processors.h"

#include <sched.h>

unsigned processors_allowed(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set) < 0)
		return 1; /* there are more than fit into the set: choose a number yourself */
	return (unsigned)CPU_COUNT(&set);
}
