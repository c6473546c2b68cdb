/*
 * It waits for ever, because the request was prepared but never submitted.
 *
 * io_uring_get_sqe() and a prep function write into memory. The kernel looks there only when
 * io_uring_submit() or io_uring_submit_and_wait() tells it to; io_uring_wait_cqe() only waits.
 */
#include "mistakes/mistake.h"

int main(int argc, char **argv)
{
	struct io_uring ring;
	struct io_uring_sqe *sqe;
	struct completion completion;
	char bytes[16];
	int server, peer;
	bool came;

	begin(argc, argv);
	open_ring(&ring, 4, 0);
	connect_pair(&server, &peer);
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_recv(sqe, server, bytes, sizeof(bytes), 0);
	io_uring_sqe_set_data64(sqe, 1);
	if (fixed)
		submit(&ring);

	peer_sends(peer, "hello");
	came = reaped(&ring, &completion);
	printf("the client has sent; %s, SQEs not submitted: %u\n",
	       came ? "a completion came" : "no completion came", io_uring_sq_ready(&ring));

	if (fixed)
		return shown(came && completion.res == 5, "the receive has completed: 5 bytes");
	return shown(!came && io_uring_sq_ready(&ring) == 1,
		     "io_uring_wait_cqe() would wait for ever");
}
