/*
 * EBADF, and the slot stays in use: the close of a slot had IOSQE_FIXED_FILE set.
 *
 * io_uring_prep_close_direct() already means a slot. The flag is for operations on an open file in
 * one, so a close refuses it.
 */
#include "mistakes/mistake.h"

int main(int argc, char **argv)
{
	struct io_uring ring;
	struct io_uring_sqe *sqe;
	char byte;
	int server, peer, result, heard;

	begin(argc, argv);
	open_ring(&ring, 4, 0);
	connect_pair(&server, &peer);
	must(io_uring_register_files(&ring, &server, 1), "io_uring_register_files");
	close(server); /* the slot holds it */

	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_close_direct(sqe, 0);
	if (!fixed)
		sqe->flags |= IOSQE_FIXED_FILE;
	io_uring_sqe_set_data64(sqe, 1);
	submit(&ring);
	result = reap(&ring).res;
	heard = peer_hears(peer, &byte, 1);
	printf("close of slot 0: %s; the client hears %s\n", strerror(-result),
	       heard == 0 ? "end-of-file" : "nothing");

	if (fixed)
		return shown(result == 0 && heard == 0, "without the flag the slot is closed");
	return shown(result == -EBADF && heard == -1, "nothing was closed");
}
