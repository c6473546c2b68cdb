/* Do rings count as an ordinary user's locked memory? */
#include "snippet.h"

#include <sys/resource.h>

#define RINGS  8
#define NOBODY 65534

int main(void)
{
	const struct rlimit limit = {65536, 65536};
	struct io_uring rings[RINGS];
	int opened = 0;

	if (geteuid() == 0 && (setgid(NOBODY) < 0 || setuid(NOBODY) < 0))
		error(EXIT_FAILURE, errno, "setuid");
	must(setrlimit(RLIMIT_MEMLOCK, &limit), "RLIMIT_MEMLOCK");
	while (opened < RINGS && io_uring_queue_init(256, &rings[opened], 0) == 0)
		opened++;
	printf("rings of 256 entries with 64 KiB of locked memory: %s\n",
	       opened == RINGS ? "as many as wanted" : "very few");
	return EXIT_SUCCESS;
}
