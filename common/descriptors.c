#include "common/descriptors.h"

#include <errno.h>
#include <error.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "common/output.h"

unsigned descriptors_allow(unsigned wanted)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		error(EXIT_FAILURE, errno, "getrlimit");
	if (limit.rlim_max < wanted) {
		output_line(
			"connections: %u instead of %u (the hard limit on open files: ulimit -Hn)",
			(unsigned)limit.rlim_max, wanted);
		wanted = (unsigned)limit.rlim_max;
	}
	if (limit.rlim_cur < wanted) {
		limit.rlim_cur = wanted;
		if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
			error(EXIT_FAILURE, errno, "setrlimit");
	}
	return wanted;
}
