/* A receive that waits at most 100 ms. */
#include "snippet.h"

int main(void)
{
	struct __kernel_timespec limit = {.tv_nsec = 100 * 1000000LL};
	struct io_uring ring;
	struct io_uring_sqe *sqe;
	int server, peer, received = 0, limited = 0;
	char bytes[16];

	open_ring(&ring);
	connect_pair(&server, &peer);

	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_recv(sqe, server, bytes, sizeof(bytes), 0);
	sqe->flags |= IOSQE_IO_LINK; /* the next SQE is this one's time limit */
	io_uring_sqe_set_data64(sqe, 1);
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_link_timeout(sqe, &limit, 0);
	io_uring_sqe_set_data64(sqe, 2);

	for (int i = 0; i < 2; i++) { /* they come in either order */
		struct completion completion = next_completion(&ring);

		if (completion.user_data == 1)
			received = completion.res;
		else
			limited = completion.res;
	}
	printf("receive: %s, limit: %s\n", name_of(received), name_of(limited));
	return EXIT_SUCCESS;
}
