/*
 * The server has closed the connection, but the client never hears of it, because a receive was in
 * flight.
 *
 * close(2) gives up the number. The request has its own hold on the socket, so the connection lasts
 * until the request has completed. shutdown(2) with SHUT_RDWR reaches both the client and the
 * request; SHUT_WR reaches only the client, SHUT_RD only the request.
 */
#include "mistakes/mistake.h"

int main(int argc, char **argv)
{
	struct io_uring ring;
	struct io_uring_sqe *sqe;
	struct completion completion;
	char bytes[16];
	int server, peer, heard;
	bool completed;

	begin(argc, argv);
	open_ring(&ring, 4, 0);
	connect_pair(&server, &peer);
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_recv(sqe, server, bytes, sizeof(bytes), 0);
	io_uring_sqe_set_data64(sqe, 1);
	submit(&ring);

	if (fixed) {
		shutdown(server, SHUT_RDWR);
		(void)reap(&ring); /* the receive: it has completed with 0 */
	}
	close(server);
	heard = peer_hears(peer, bytes, sizeof(bytes));
	printf("the server has closed; the client hears %s\n",
	       heard == 0 ? "end-of-file" : "nothing");
	if (fixed)
		return shown(heard == 0, "first shutdown(2), then the completion, then close(2)");

	/* It is still a connection: what the peer sends now is received. */
	peer_sends(peer, "anybody there?");
	completed = reaped(&ring, &completion);
	return shown(heard == -1 && completed && completion.res == 14,
		     "closed, and 14 bytes were received afterwards");
}
