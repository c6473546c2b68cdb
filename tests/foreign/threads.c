/*
 * For the tests of ringtrace: two threads, each with a ring of its own, at work at the same time.
 * Each prints how many of its NOPs have come back with the right user_data.
 *
 * Run: build/tests/foreign/threads
 */
#include <error.h>
#include <liburing.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define ROUNDS 500U
#define BATCH  4U

static void round_trip(struct io_uring *ring, unsigned long long first, unsigned *right)
{
	struct io_uring_cqe *cqes[BATCH];
	unsigned i, count;

	for (i = 0; i < BATCH; i++) {
		struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

		io_uring_prep_nop(sqe);
		io_uring_sqe_set_data64(sqe, first + i);
	}
	if (io_uring_submit_and_wait(ring, BATCH) != BATCH)
		error(EXIT_FAILURE, 0, "io_uring_submit_and_wait");
	count = io_uring_peek_batch_cqe(ring, cqes, BATCH);
	for (i = 0; i < count; i++)
		*right += cqes[i]->user_data == first + i && cqes[i]->res == 0;
	io_uring_cq_advance(ring, count);
}

static void *work(void *argument)
{
	unsigned *right = argument;
	struct io_uring ring;
	int result = io_uring_queue_init(8, &ring, 0);
	unsigned i;

	if (result < 0)
		error(EXIT_FAILURE, -result, "io_uring_queue_init");
	io_uring_register_ring_fd(&ring);
	for (i = 0; i < ROUNDS; i++)
		round_trip(&ring, (unsigned long long)i * BATCH, right);
	io_uring_queue_exit(&ring);
	return NULL;
}

int main(void)
{
	unsigned right[2] = {0};
	pthread_t threads[2];
	int i;

	for (i = 0; i < 2; i++)
		if (pthread_create(&threads[i], NULL, work, &right[i]))
			error(EXIT_FAILURE, 0, "pthread_create");
	for (i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	printf("%u and %u of %u\n", right[0], right[1], ROUNDS * BATCH);
	return EXIT_SUCCESS;
}
