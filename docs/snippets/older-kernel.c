/* What Linux 5.15 has: a table that isn't sparse, single accepts, buffers provided by a request. */
#include "snippet.h"

#define SLOTS 4
#define GROUP 1

int main(void)
{
	static char buffers[4][64];
	struct sockaddr_in address;
	struct io_uring ring;
	struct io_uring_sqe *sqe;
	struct completion completion;
	int listen_fd = bound_socket(SOCK_STREAM, &address);
	int peer = must(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
	int empty[SLOTS] = {-1, -1, -1, -1};

	open_ring(&ring);
	must(listen(listen_fd, 1), "listen");
	must(connect(peer, (struct sockaddr *)&address, sizeof(address)), "connect");
	peer_sends(peer, "hello");
	must(io_uring_register_files(&ring, empty, SLOTS), "io_uring_register_files");

	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_accept_direct(sqe, listen_fd, NULL, NULL, 0, 2); /* a slot of our choice */
	io_uring_sqe_set_data64(sqe, 1);
	must(next_completion(&ring).res, "accept into slot 2");

	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_provide_buffers(sqe, buffers, 64, 4, GROUP, 0); /* there are no rings */
	io_uring_sqe_set_data64(sqe, 2);
	must(next_completion(&ring).res, "provide buffers");

	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_recv(sqe, 2, NULL, 64, 0);
	sqe->flags |= IOSQE_FIXED_FILE | IOSQE_BUFFER_SELECT;
	sqe->buf_group = GROUP;
	io_uring_sqe_set_data64(sqe, 3);
	completion = next_completion(&ring);
	printf("slot 2: %d bytes, in buffer %u\n", completion.res,
	       completion.flags >> IORING_CQE_BUFFER_SHIFT);
	return EXIT_SUCCESS;
}
