/* Waits for 8 completions, but only for 50 ms if there's at least one by then. */
#include "snippet.h"

int main(void)
{
#ifndef IORING_FEAT_MIN_TIMEOUT
	need(false, "liburing 2.8");
#else
	struct __kernel_timespec most = {.tv_sec = 10};
	struct io_uring ring;
	struct io_uring_cqe *cqe;

	open_ring(&ring);
	need(ring.features & IORING_FEAT_MIN_TIMEOUT, "Linux 6.12");
	for (int i = 0; i < 2; i++)
		io_uring_prep_nop(io_uring_get_sqe(&ring));

	must(io_uring_submit_and_wait_min_timeout(&ring, &cqe, 8, &most, 50 * 1000, NULL),
	     "io_uring_submit_and_wait_min_timeout");
	printf("waited for 8 completions, got %u\n", io_uring_cq_ready(&ring));
	return EXIT_SUCCESS;
#endif
}
