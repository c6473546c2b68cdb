/* sendfile(2) through the ring: a file's pages go to a socket by way of a pipe. */
#include "snippet.h"

#include <fcntl.h>

#define BYTES 1024

int main(void)
{
	struct io_uring ring;
	struct io_uring_sqe *sqe;
	int file = must(open("/proc/self/exe", O_RDONLY | O_CLOEXEC), "open");
	int pipe_fds[2], server, peer;
	char bytes[BYTES];

	open_ring(&ring);
	connect_pair(&server, &peer);
	must(pipe2(pipe_fds, O_CLOEXEC), "pipe2");

	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_splice(sqe, file, 0, pipe_fds[1], -1, BYTES, 0);
	sqe->flags |= IOSQE_IO_LINK;
	io_uring_sqe_set_data64(sqe, 1);
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_splice(sqe, pipe_fds[0], -1, server, -1, BYTES, 0);
	io_uring_sqe_set_data64(sqe, 2);

	for (int i = 0; i < 2; i++)
		must(next_completion(&ring).res, "IORING_OP_SPLICE");
	printf("the client got %zd bytes of the file\n", recv(peer, bytes, BYTES, MSG_WAITALL));
	return EXIT_SUCCESS;
}
