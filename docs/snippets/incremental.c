/* A buffer that several receives share, and buffers that each hold one. */
#include "snippet.h"

#define BUFFER_RING_INCREMENTAL 2	  /* IOU_PBUF_RING_INC, which liburing 2.8 has */
#define MORE_OF_BUFFER		(1U << 4) /* IORING_CQE_F_BUF_MORE: the kernel goes on with this buffer */
#define MIN_TIMEOUT		(1U << 15) /* IORING_FEAT_MIN_TIMEOUT: a feature of the same kernel */

/* Three short messages, each received into a buffer of a ring with these flags. */
static void receive(const char *kind, unsigned short flags)
{
	struct io_uring ring;
	struct io_uring_sqe *sqe;
	int server, peer;

	open_ring(&ring);
	need(ring.features & MIN_TIMEOUT, "Linux 6.12");
	open_buffer_ring(&ring, 4, 4096, flags);
	connect_pair(&server, &peer);

	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_recv_multishot(sqe, server, NULL, 0, 0);
	sqe->flags |= IOSQE_BUFFER_SELECT; /* of group 0 */
	io_uring_sqe_set_data64(sqe, 1);
	for (int i = 0; i < 3; i++) {
		struct completion completion;

		peer_sends(peer, "abc");
		completion = next_completion(&ring);
		printf("%s: %d bytes in buffer %u; the kernel goes on with it: %s\n", kind,
		       completion.res, completion.flags >> IORING_CQE_BUFFER_SHIFT,
		       completion.flags & MORE_OF_BUFFER ? "yes" : "no");
	}
	io_uring_queue_exit(&ring);
}

int main(void)
{
	receive("ordinary", 0);
	receive("incremental", BUFFER_RING_INCREMENTAL);
	return EXIT_SUCCESS;
}
