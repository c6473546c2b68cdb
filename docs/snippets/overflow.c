/* More completions than the queue has room for: who brings the others? */
#include "snippet.h"

int main(void)
{
	struct io_uring_params params = {.flags = IORING_SETUP_CQSIZE, .cq_entries = 2};
	struct io_uring ring;
	struct io_uring_cqe *cqe;
	unsigned there;
	int peeked = 0;

	must(io_uring_queue_init_params(2, &ring, &params), "io_uring_queue_init_params");
	for (int i = 0; i < 5; i++) {
		io_uring_prep_nop(io_uring_get_sqe(&ring));
		must(io_uring_submit(&ring), "io_uring_submit");
	}
	there = io_uring_cq_ready(&ring);
	while (io_uring_peek_cqe(&ring, &cqe) == 0) {
		io_uring_cqe_seen(&ring, cqe);
		peeked++;
	}
	printf("of 5 completions %u are in the queue, and io_uring_peek_cqe brings %d\n", there,
	       peeked);
	return EXIT_SUCCESS;
}
