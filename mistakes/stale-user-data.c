/*
 * A completion names a request that was over long ago: nobody has set the user_data of the new one.
 *
 * io_uring_get_sqe() hands out the SQEs of the ring in turn, as they were left, and the prep
 * functions do not touch user_data.
 */
#include "mistakes/mistake.h"

#define FIRST  1001
#define SECOND 1002

int main(int argc, char **argv)
{
	struct io_uring ring;
	struct io_uring_sqe *sqe;
	struct completion completion;

	begin(argc, argv);
	open_ring(&ring, 1, 0); /* one entry, so that it is the same SQE each time */

	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_nop(sqe);
	io_uring_sqe_set_data64(sqe, FIRST);
	submit(&ring);
	printf("the first request has completed: user_data %d\n", (int)reap(&ring).user_data);

	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_nop(sqe);
	if (cured)
		io_uring_sqe_set_data64(sqe, SECOND);
	submit(&ring);
	completion = reap(&ring);
	printf("the second request has completed: user_data %d\n", (int)completion.user_data);

	if (cured)
		return shown(completion.user_data == SECOND,
			     "each completion names its own request");
	return shown(completion.user_data == FIRST,
		     "the second completion names the first request");
}
