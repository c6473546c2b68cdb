/*
 * Completions vanish: each was marked as seen, and then the whole batch once more.
 *
 * io_uring_cqe_seen() moves the head of the completion queue by one, io_uring_cq_advance() by the
 * number you pass. Use one of the two, never both.
 */
#include "mistakes/mistake.h"

#define REQUESTS 8
#define BATCH	 4

int main(int argc, char **argv)
{
	struct io_uring ring;
	struct io_uring_sqe *sqe;
	struct io_uring_cqe *batch[BATCH];
	unsigned count, handled = 0;

	begin(argc, argv);
	open_ring(&ring, REQUESTS, 0);
	for (unsigned number = 1; number <= REQUESTS; number++) {
		sqe = io_uring_get_sqe(&ring);
		io_uring_prep_nop(sqe);
		io_uring_sqe_set_data64(sqe, number);
	}
	submit(&ring);

	while ((count = io_uring_peek_batch_cqe(&ring, batch, BATCH)) > 0) {
		for (unsigned i = 0; i < count; i++) {
			printf("a completion: request %d\n", (int)batch[i]->user_data);
			handled++;
			if (!fixed)
				io_uring_cqe_seen(&ring, batch[i]);
		}
		io_uring_cq_advance(&ring, count);
	}
	if (fixed)
		return shown(handled == REQUESTS, "all %d", REQUESTS);
	return shown(handled == BATCH, "%d of %d completions; the others are gone", BATCH,
		     REQUESTS);
}
