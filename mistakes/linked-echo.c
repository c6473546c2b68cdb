/*
 * "hi" goes in and 64 bytes come out, most of them the previous client's: a receive is linked to a
 * send, whose length was fixed before anyone knew how much would come.
 *
 * A short receive doesn't break a link. How much it received you know when it has completed, so
 * prepare the send then.
 */
#include "mistakes/mistake.h"

static struct io_uring ring;
static char buffer[64] = "the password of the previous client";

static void echo_linked(int server)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

	io_uring_prep_recv(sqe, server, buffer, sizeof(buffer), 0);
	sqe->flags |= IOSQE_IO_LINK;
	io_uring_sqe_set_data64(sqe, 1);
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_send(sqe, server, buffer, sizeof(buffer), MSG_NOSIGNAL);
	io_uring_sqe_set_data64(sqe, 2);
	submit(&ring);
	(void)reap(&ring);
	(void)reap(&ring);
}

static void echo_in_two_steps(int server)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
	int received;

	io_uring_prep_recv(sqe, server, buffer, sizeof(buffer), 0);
	io_uring_sqe_set_data64(sqe, 1);
	submit(&ring);
	received = reap(&ring).res;

	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_send(sqe, server, buffer, (size_t)received, MSG_NOSIGNAL);
	io_uring_sqe_set_data64(sqe, 2);
	submit(&ring);
	(void)reap(&ring);
}

int main(int argc, char **argv)
{
	int server, peer, heard;
	char answer[sizeof(buffer)];

	begin(argc, argv);
	open_ring(&ring, 4, 0);
	connect_pair(&server, &peer);
	peer_sends(peer, "hi");
	if (fixed)
		echo_in_two_steps(server);
	else
		echo_linked(server);

	heard = peer_hears(peer, answer, sizeof(answer));
	printf("the client sent \"hi\" and gets %d bytes: \"%.*s\"\n", heard, heard, answer);
	if (fixed)
		return shown(heard == 2 && memcmp(answer, "hi", 2) == 0, "what came, no more");
	return shown(heard == sizeof(answer), "the client reads what was left in the buffer");
}
