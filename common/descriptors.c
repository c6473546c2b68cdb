#include "common/descriptors.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "common/output.h"

static rlim_t descriptors_of(unsigned connections, unsigned each, unsigned others)
{
	return (rlim_t)connections * each + others;
}

static unsigned connections_within(rlim_t limit, unsigned each, unsigned others)
{
	return limit > others ? (unsigned)((limit - others) / each) : 0;
}

static void raise_limit(struct rlimit *limit, rlim_t wanted)
{
	if (limit->rlim_cur >= wanted)
		return;
	limit->rlim_cur = wanted;
	if (setrlimit(RLIMIT_NOFILE, limit) < 0)
		output_error(EXIT_FAILURE, errno, "setrlimit");
}

unsigned descriptors_allow_for(unsigned connections, unsigned each, unsigned others)
{
	rlim_t wanted = descriptors_of(connections, each, others);
	unsigned allowed = connections;
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		output_error(EXIT_FAILURE, errno, "getrlimit");
	if (limit.rlim_max < wanted) {
		allowed = connections_within(limit.rlim_max, each, others);
		if (allowed == 0)
			output_error(
				EXIT_FAILURE, 0,
				"%lu open files are too few for a single connection (raise the "
				"hard limit: ulimit -Hn)",
				(unsigned long)limit.rlim_max);
		output_line(
			"connections: %u instead of %u (the hard limit on open files: ulimit -Hn)",
			allowed, connections);
	}
	raise_limit(&limit, descriptors_of(allowed, each, others));
	return allowed;
}

unsigned descriptors_allow(unsigned connections)
{
	return descriptors_allow_for(connections, 1, 0);
}
