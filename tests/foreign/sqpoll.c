/*
 * For the tests of ringtrace: an SQPOLL ring whose thread does not fall asleep, and completions
 * that are only looked for in memory. After its set-up the program makes no system call for it.
 *
 * Run: build/tests/foreign/sqpoll
 */
#include <error.h>
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>

#define ROUNDS	100
#define IDLE_MS 60000

static void one_nop(struct io_uring *ring, unsigned number)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	io_uring_prep_nop(sqe);
	io_uring_sqe_set_data64(sqe, number);
	io_uring_submit(ring);
	while (!io_uring_cq_ready(ring))
		;
	io_uring_cq_advance(ring, 1);
}

int main(void)
{
	struct io_uring_params params = {
		.flags = IORING_SETUP_SQPOLL,
		.sq_thread_idle = IDLE_MS,
	};
	struct io_uring ring;
	int result = io_uring_queue_init_params(8, &ring, &params);
	unsigned i;

	if (result < 0)
		error(EXIT_FAILURE, -result, "io_uring_queue_init_params");
	for (i = 0; i < ROUNDS; i++)
		one_nop(&ring, i);
	io_uring_queue_exit(&ring);
	printf("%u\n", i);
	return EXIT_SUCCESS;
}
