/*
 * It crashes in a prep function, but only under load: the submission queue is full, so
 * io_uring_get_sqe() has returned NULL.
 */
#include <sys/wait.h>

#include "mistakes/mistake.h"

#define ENTRIES	 4
#define REQUESTS 5

/* Prepares more requests than the queue has entries; returns how many have completed. */
static int run(void)
{
	struct io_uring ring;
	struct io_uring_sqe *sqe;
	int completed = 0;

	open_ring(&ring, ENTRIES, 0);
	for (int i = 1; i <= REQUESTS; i++) {
		sqe = io_uring_get_sqe(&ring);
		printf("request %d of %d: %s\n", i, REQUESTS, sqe ? "an SQE" : "NULL");
		while (fixed && !sqe) { /* submitting makes room */
			submit(&ring);
			sqe = io_uring_get_sqe(&ring);
		}
		io_uring_prep_nop(sqe);
		io_uring_sqe_set_data64(sqe, (__u64)i);
	}
	submit(&ring);
	while (completed < REQUESTS && reap(&ring).res == 0)
		completed++;
	return completed;
}

int main(int argc, char **argv)
{
	int status;

	begin(argc, argv);
	if (fork() == 0) { /* what crashes is a child */
		alarm(WATCHDOG_SECONDS);
		_exit(run());
	}
	wait(&status);
	if (fixed)
		return shown(WIFEXITED(status) && WEXITSTATUS(status) == REQUESTS,
			     "all %d requests have completed", REQUESTS);
	/* A sanitizer reports the crash and exits instead. */
	return shown(WIFSIGNALED(status) || WEXITSTATUS(status) == 1,
		     "request %d has killed the program", REQUESTS);
}
