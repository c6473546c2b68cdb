/*
 * Every accept fails with "Invalid argument", because it asks for SOCK_CLOEXEC on a connection that
 * goes into a slot. A slot belongs to the ring and isn't in a program's table, so there's nothing
 * to close on exec.
 */
#include "mistakes/mistake.h"

int main(int argc, char **argv)
{
	struct io_uring ring;
	struct io_uring_sqe *sqe;
	int listener, result;

	begin(argc, argv);
	open_ring(&ring, 4, 0);
	must(io_uring_register_files_sparse(&ring, 4), "io_uring_register_files_sparse");
	listener = open_listener();
	connect_peer(listener);

	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_accept_direct(sqe, listener, NULL, NULL, fixed ? 0 : SOCK_CLOEXEC, 0);
	io_uring_sqe_set_data64(sqe, 1);
	submit(&ring);
	result = reap(&ring).res;
	printf("accept into slot 0: %s\n", strerror(-result));

	if (fixed)
		return shown(result == 0, "without SOCK_CLOEXEC it is accepted");
	return shown(result == -EINVAL, "no client is accepted");
}
