/*
 * Four requests are submitted but only two complete: io_uring_submit() stops at an SQE that the
 * kernel refuses, and everything behind it stays in the queue.
 *
 * The refused one here is a receive with a flag that no kernel knows.
 */
#include <fcntl.h>

#include "mistakes/mistake.h"

#define UNKNOWN_FLAG (1U << 15)

static void prepare(struct io_uring *ring, int server, int null, int number)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	if (number == 2)
		io_uring_prep_recv(sqe, server, NULL, 0, 0);
	else
		io_uring_prep_write(sqe, null, "x", 1, 0);
	sqe->ioprio = number == 2 ? UNKNOWN_FLAG : 0;
	io_uring_sqe_set_data64(sqe, (__u64)number);
}

int main(int argc, char **argv)
{
	struct io_uring ring;
	struct completion completion;
	int server, peer, null, submitted, completed = 0;

	begin(argc, argv);
	open_ring(&ring, 4, fixed ? IORING_SETUP_SUBMIT_ALL : 0);
	connect_pair(&server, &peer);
	null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	for (int number = 1; number <= 4; number++)
		prepare(&ring, server, null, number);

	submitted = io_uring_submit(&ring);
	printf("io_uring_submit: %d of 4, still in the queue: %u\n", submitted,
	       io_uring_sq_ready(&ring));
	for (; completed < submitted && reaped(&ring, &completion); completed++)
		printf("request %d: %s\n", (int)completion.user_data,
		       completion.res < 0 ? strerror(-completion.res) : "Success");

	if (fixed)
		return shown(completed == 4, "IORING_SETUP_SUBMIT_ALL: all four have completed");
	return shown(submitted == 2 && completed == 2, "requests 3 and 4 were not submitted");
}
