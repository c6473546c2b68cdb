/* Who's calling? A descriptor for a connection that has only a slot, for getpeername(2). */
#include "snippet.h"

#define FIXED_FD_INSTALL 54 /* liburing 2.6 has io_uring_prep_fixed_fd_install() */

int main(void)
{
	struct sockaddr_in address = {0};
	socklen_t length = sizeof(address);
	struct io_uring ring;
	struct io_uring_sqe *sqe;
	int server, peer, fd;

	open_ring(&ring);
	need_operation(&ring, FIXED_FD_INSTALL, "Linux 6.8");
	connect_pair(&server, &peer);
	must(io_uring_register_files(&ring, &server, 1), "io_uring_register_files");
	close(server); /* slot 0 is all there is of it */

	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_rw(FIXED_FD_INSTALL, sqe, 0, NULL, 0, 0); /* slot 0 */
	sqe->flags |= IOSQE_FIXED_FILE;
	io_uring_sqe_set_data64(sqe, 1);
	fd = must(next_completion(&ring).res, "IORING_OP_FIXED_FD_INSTALL");

	must(getpeername(fd, (struct sockaddr *)&address, &length), "getpeername");
	printf("the client in slot 0 is at %s\n", inet_ntoa(address.sin_addr));
	return EXIT_SUCCESS;
}
