/* A completion for another thread's ring, which ends that thread's wait. */
#include "snippet.h"

#include <pthread.h>

static struct io_uring worker_ring;
static pthread_barrier_t opened;

static void *work(void *unused)
{
	struct completion completion;

	open_ring(&worker_ring);
	pthread_barrier_wait(&opened);
	completion = next_completion(&worker_ring);
	printf("the worker's ring: result %d, user_data %llu\n", completion.res,
	       (unsigned long long)completion.user_data);
	return unused;
}

int main(void)
{
	struct io_uring ring;
	struct io_uring_sqe *sqe;
	pthread_t worker;

	open_ring(&ring);
	need_operation(&ring, IORING_OP_MSG_RING, "Linux 5.18");
	pthread_barrier_init(&opened, NULL, 2);
	pthread_create(&worker, NULL, work, NULL);
	pthread_barrier_wait(&opened);

	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_msg_ring(sqe, worker_ring.ring_fd, 7, 42, 0); /* its result, its user_data */
	io_uring_sqe_set_data64(sqe, 0);
	must(next_completion(&ring).res, "IORING_OP_MSG_RING");

	pthread_join(worker, NULL);
	return EXIT_SUCCESS;
}
