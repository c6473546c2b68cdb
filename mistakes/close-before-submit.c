/*
 * One client gets what was meant for another. The send was prepared with a descriptor that was
 * closed, then given to someone else, before the SQE was submitted.
 *
 * An SQE names a number, and the kernel looks up whose it is only when it takes the SQE.
 */
#include "mistakes/mistake.h"

int main(int argc, char **argv)
{
	struct io_uring ring;
	struct io_uring_sqe *sqe;
	char bytes[16];
	int listener, first, second, server, heard_first, heard_second;

	begin(argc, argv);
	open_ring(&ring, 4, 0);
	listener = open_listener();
	first = connect_peer(listener);
	server = accept(listener, NULL, NULL);
	second = connect_peer(listener);

	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_send(sqe, server, "secret", 6, MSG_NOSIGNAL);
	io_uring_sqe_set_data64(sqe, 1);
	if (fixed) {
		submit(&ring);
		(void)reap(&ring);
	}
	close(server);
	printf("descriptor %d is closed, and given to the next client: %d\n", server,
	       accept(listener, NULL, NULL));
	if (!fixed) {
		submit(&ring);
		(void)reap(&ring);
	}

	heard_first = peer_hears(first, bytes, sizeof(bytes));
	heard_second = peer_hears(second, bytes, sizeof(bytes));
	printf("bytes for the first client: %d, for the second: %d\n", heard_first,
	       heard_second > 0 ? heard_second : 0);
	if (fixed)
		return shown(heard_first == 6 && heard_second == -1, "closed after the completion");
	return shown(heard_first == 0 && heard_second == 6,
		     "the second client has read the secret");
}
