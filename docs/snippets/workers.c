/* A request that can't wait without a thread gets one, from the ring's workers. */
#include "snippet.h"

#include <dirent.h>
#include <fcntl.h>

#define REQUESTS 4

static int count_threads(void)
{
	DIR *threads = opendir("/proc/self/task");
	int count = -2; /* "." and ".." */

	if (!threads)
		error(EXIT_FAILURE, errno, "/proc/self/task");
	while (readdir(threads))
		count++;
	closedir(threads);
	return count;
}

int main(void)
{
	static char bytes[REQUESTS];
	struct io_uring ring;
	struct io_uring_sqe *sqe;
	int pipe_fds[2], server, peer;

	open_ring(&ring);
	connect_pair(&server, &peer);
	must(pipe2(pipe_fds, O_CLOEXEC), "pipe2");

	for (int i = 0; i < REQUESTS; i++) {
		sqe = io_uring_get_sqe(&ring);
		io_uring_prep_recv(sqe, server, &bytes[i], 1, 0);
		io_uring_sqe_set_data64(sqe, 1);
	}
	must(io_uring_submit(&ring), "io_uring_submit");
	printf("%d receives that wait: %d thread\n", REQUESTS, count_threads());

	for (int i = 0; i < REQUESTS; i++) {
		sqe = io_uring_get_sqe(&ring);
		io_uring_prep_splice(sqe, pipe_fds[0], -1, server, -1, 1, 0);
		io_uring_sqe_set_data64(sqe, 2);
	}
	must(io_uring_submit(&ring), "io_uring_submit");
	for (int tries = 0; count_threads() < 1 + REQUESTS && tries < 1000; tries++)
		usleep(1000);
	printf("and %d splices that wait: %d threads\n", REQUESTS, count_threads());
	return EXIT_SUCCESS;
}
