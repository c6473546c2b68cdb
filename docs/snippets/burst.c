/* How many buffers does one pass take when the bytes for many are already there? */
#include "snippet.h"

#include <sys/ioctl.h>

#define BUFFERS	     512
#define BUFFER_BYTES 64

int main(void)
{
	static char bytes[BUFFERS * BUFFER_BYTES];
	struct io_uring_params params = {
		.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
			 IORING_SETUP_CQSIZE,
		.cq_entries = 4 * BUFFERS,
	};
	struct io_uring ring;
	struct io_uring_sqe *sqe;
	int server, peer, there = 0;

	need(io_uring_queue_init_params(16, &ring, &params) == 0, "Linux 6.1");
	open_buffer_ring(&ring, 2 * BUFFERS, BUFFER_BYTES, 0); /* more than needed */
	connect_pair(&server, &peer);
	must((int)send(peer, bytes, sizeof(bytes), MSG_NOSIGNAL), "send");
	while (there < (int)sizeof(bytes))
		must(ioctl(server, FIONREAD, &there), "FIONREAD");

	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_recv_multishot(sqe, server, NULL, 0, 0);
	sqe->flags |= IOSQE_BUFFER_SELECT;
	io_uring_sqe_set_data64(sqe, 1);
	must(io_uring_submit_and_wait(&ring, 1), "io_uring_submit_and_wait");
	printf("%u of %d buffers in one pass\n", io_uring_cq_ready(&ring), BUFFERS);
	return EXIT_SUCCESS;
}
