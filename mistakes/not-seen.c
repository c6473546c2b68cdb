/*
 * The same completion again and again, because the program never tells the ring that it has seen
 * it.
 */
#include "mistakes/mistake.h"

int main(int argc, char **argv)
{
	struct io_uring ring;
	struct io_uring_sqe *sqe;
	struct __kernel_timespec second = {.tv_sec = 1};
	struct io_uring_cqe *cqe;
	int firsts = 0, looks = 0;

	begin(argc, argv);
	open_ring(&ring, 4, 0);
	for (unsigned number = 1; number <= 3; number++) {
		sqe = io_uring_get_sqe(&ring);
		io_uring_prep_nop(sqe);
		io_uring_sqe_set_data64(sqe, number);
	}
	submit(&ring);

	while (looks < 3 && io_uring_wait_cqe_timeout(&ring, &cqe, &second) == 0) {
		printf("a completion: request %d\n", (int)cqe->user_data);
		looks++;
		firsts += cqe->user_data == 1;
		if (fixed)
			io_uring_cqe_seen(&ring, cqe);
	}
	if (fixed)
		return shown(firsts == 1, "each request once");
	return shown(firsts == 3, "request 1 each time; 2 and 3 are never reached");
}
