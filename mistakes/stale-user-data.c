/*
 * A completion names a request that ended long ago: the program didn't set the user_data of the new
 * one.
 *
 * io_uring_get_sqe() hands out the ring's SQEs one after the other, as they were left, and the prep
 * functions don't touch user_data.
 */
#include "mistakes/mistake.h"

#define FIRST  1001
#define SECOND 1002
#define THIRD  1003

static struct io_uring ring;

/* A request; returns the user_data of its completion. */
static int complete(bool sets, unsigned number)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

	io_uring_prep_nop(sqe);
	if (sets)
		io_uring_sqe_set_data64(sqe, number);
	submit(&ring);
	return (int)reap(&ring).user_data;
}

int main(int argc, char **argv)
{
	int last;

	begin(argc, argv);
	open_ring(&ring, 1, 0); /* one entry, so that it is the same SQE each time */

	printf("the first request has completed: user_data %d\n", complete(true, FIRST));
	printf("the second request has completed: user_data %d\n", complete(true, SECOND));
	last = complete(fixed, THIRD);
	printf("the third request has completed: user_data %d\n", last);

	if (fixed)
		return shown(last == THIRD, "each completion names its own request");
	return shown(last == SECOND, "the third completion names the second request");
}
