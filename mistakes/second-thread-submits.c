/*
 * "File exists" from io_uring_submit(): with IORING_SETUP_SINGLE_ISSUER a ring belongs to the
 * thread that opened it, and another one has submitted.
 *
 * Each thread opens its own ring.
 */
#include <pthread.h>

#include "mistakes/mistake.h"

static struct io_uring ring;

static void *submit_one(void *argument)
{
	int *result = (int *)argument;
	struct io_uring_sqe *sqe;

	if (fixed)
		open_ring(&ring, 4, IORING_SETUP_SINGLE_ISSUER);
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_nop(sqe);
	io_uring_sqe_set_data64(sqe, 1);
	*result = io_uring_submit(&ring);
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t thread;
	int result = 0;

	begin(argc, argv);
	if (!fixed)
		open_ring(&ring, 4, IORING_SETUP_SINGLE_ISSUER);
	must(-pthread_create(&thread, NULL, submit_one, &result), "pthread_create");
	pthread_join(thread, NULL);
	printf("opened by the %s thread, submitted by the second: %s\n", fixed ? "second" : "first",
	       result < 0 ? strerror(-result) : "one request taken");

	if (fixed)
		return shown(result == 1, "the thread has a ring of its own");
	return shown(result == -EEXIST, "nothing is submitted");
}
