/*
 * A flag that's set before the prep function is gone, because prep fills in the whole SQE.
 *
 * Here it's IOSQE_FIXED_FILE, so the receive on slot 0 becomes one on descriptor 0. From liburing
 * 2.6 on nothing is lost, because io_uring_get_sqe() clears the flags and prep leaves them alone.
 */
#include "mistakes/mistake.h"

int main(int argc, char **argv)
{
	struct io_uring ring;
	struct io_uring_sqe *sqe;
	struct completion completion;
	char bytes[16];
	int server, peer;

	begin(argc, argv);
	open_ring(&ring, 4, 0);
	connect_pair(&server, &peer);
	must(io_uring_register_files(&ring, &server, 1), "io_uring_register_files");
	close(STDIN_FILENO); /* descriptor 0: nothing to receive from */
	peer_sends(peer, "hello");

	sqe = io_uring_get_sqe(&ring);
	if (!fixed)
		sqe->flags |= IOSQE_FIXED_FILE;
	io_uring_prep_recv(sqe, 0, bytes, sizeof(bytes), 0);
	if (fixed)
		sqe->flags |= IOSQE_FIXED_FILE;
	io_uring_sqe_set_data64(sqe, 1);
	submit(&ring);
	completion = reap(&ring);
	printf("a receive on slot 0: %s\n",
	       completion.res < 0 ? strerror(-completion.res) : "bytes came");

	if (fixed)
		return shown(completion.res == 5, "5 bytes, from slot 0");
	return shown(completion.res == -EBADF,
		     "the flag was lost: descriptor 0 was meant, not slot 0");
}
