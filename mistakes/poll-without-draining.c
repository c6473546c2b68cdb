/*
 * Bytes are in the socket, but the server sleeps: a multishot poll is an edge, which reports what
 * arrives, not what's still there. The program read only a part at its completion.
 *
 * Read until EAGAIN; or receive with the ring, which needs no poll.
 */
#include "mistakes/mistake.h"

int main(int argc, char **argv)
{
	struct io_uring ring;
	struct io_uring_sqe *sqe;
	struct completion completion;
	char bytes[4];
	ssize_t count;
	int server, peer, received = 0, events = 0;

	begin(argc, argv);
	open_ring(&ring, 4, 0);
	connect_pair(&server, &peer);
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_poll_multishot(sqe, server, POLLIN);
	io_uring_sqe_set_data64(sqe, 1);
	submit(&ring);

	peer_sends(peer, "ten bytes.");
	while (reaped(&ring, &completion)) {
		events++;
		do {
			count = recv(server, bytes, sizeof(bytes), MSG_DONTWAIT);
			received += count > 0 ? (int)count : 0;
		} while (fixed && count > 0);
	}
	printf("sent: 10 bytes, read: %d, events: %d\n", received, events);
	if (fixed)
		return shown(received == 10, "read until there was no more");
	return shown(received == sizeof(bytes) && events == 1, "no event for what is still there");
}
