/*
 * nops COUNT: so many NOPs through a ring, 64 with each system call: a run that is long, for
 * ringtrace.
 */
#include <error.h>
#include <liburing.h>
#include <stdlib.h>

#define BATCH 64

static void run_batch(struct io_uring *ring, unsigned count)
{
	struct io_uring_cqe *cqe;
	unsigned i;
	int result;

	for (i = 0; i < count; i++) {
		struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

		io_uring_prep_nop(sqe);
		io_uring_sqe_set_data64(sqe, i);
	}
	result = io_uring_submit_and_wait(ring, count);
	if (result < 0)
		error(EXIT_FAILURE, -result, "io_uring_submit_and_wait");
	for (i = 0; i < count && io_uring_peek_cqe(ring, &cqe) == 0; i++)
		io_uring_cqe_seen(ring, cqe);
}

int main(int argc, char **argv)
{
	unsigned count = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 0;
	struct io_uring ring;
	int result = io_uring_queue_init(BATCH, &ring, 0);

	if (result < 0)
		error(EXIT_FAILURE, -result, "io_uring_queue_init");
	for (; count > 0; count -= count < BATCH ? count : BATCH)
		run_batch(&ring, count < BATCH ? count : BATCH);
	io_uring_queue_exit(&ring);
	return EXIT_SUCCESS;
}
