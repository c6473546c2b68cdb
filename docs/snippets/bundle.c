/* One receive that fills as many buffers as there are bytes for. */
#include "snippet.h"

#ifndef IORING_RECVSEND_BUNDLE
#define IORING_RECVSEND_BUNDLE	    (1U << 4) /* liburing 2.7 has it */
#define IORING_FEAT_RECVSEND_BUNDLE (1U << 14)
#endif

int main(void)
{
	struct io_uring ring;
	struct io_uring_sqe *sqe;
	struct completion completion;
	int server, peer;

	open_ring(&ring);
	need(ring.features & IORING_FEAT_RECVSEND_BUNDLE, "Linux 6.10");
	open_buffer_ring(&ring, 8, 2, 0);
	connect_pair(&server, &peer);
	peer_sends(peer, "0123456789");

	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_recv(sqe, server, NULL, 0, 0);
	sqe->ioprio |= IORING_RECVSEND_BUNDLE;
	sqe->flags |= IOSQE_BUFFER_SELECT; /* of group 0 */
	io_uring_sqe_set_data64(sqe, 1);

	completion = next_completion(&ring);
	printf("10 bytes, buffers of 2: result %d, the first buffer is %u\n", completion.res,
	       completion.flags >> IORING_CQE_BUFFER_SHIFT);
	return EXIT_SUCCESS;
}
