/*
 * The server accepts no one any more, and a client waits for its EOF: close(2) was called with the
 * number of a slot. It closed the descriptor of that number, the listener.
 */
#include "mistakes/mistake.h"

int main(int argc, char **argv)
{
	struct io_uring ring;
	struct io_uring_sqe *sqe;
	struct sockaddr_in address;
	char byte;
	int listener, peer, heard;
	unsigned slot;
	bool listens;

	begin(argc, argv);
	open_ring(&ring, 4, 0);
	must(io_uring_register_files_sparse(&ring, 16), "io_uring_register_files_sparse");
	listener = open_listener();
	address = address_of(listener);
	peer = connect_peer(listener);

	slot = (unsigned)listener; /* sooner or later two numbers are the same */
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_accept_direct(sqe, listener, NULL, NULL, 0, slot);
	io_uring_sqe_set_data64(sqe, 1);
	submit(&ring);
	must(reap(&ring).res, "accept");
	printf("the listener is descriptor %d, the client is in slot %u\n", listener, slot);

	if (fixed) {
		sqe = io_uring_get_sqe(&ring);
		io_uring_prep_close_direct(sqe, slot);
		io_uring_sqe_set_data64(sqe, 2);
		submit(&ring);
		must(reap(&ring).res, "close");
	} else {
		close((int)slot);
	}

	heard = peer_hears(peer, &byte, 1);
	listens = try_connect(socket(AF_INET, SOCK_STREAM, 0), address);
	printf("the client hears %s, the next client is %s\n",
	       heard == 0 ? "end-of-file" : "nothing", listens ? "welcome" : "refused");
	if (fixed)
		return shown(heard == 0 && listens, "io_uring_prep_close_direct closes the slot");
	return shown(heard == -1 && !listens, "the listener is closed, the client is not");
}
