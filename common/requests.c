#include "common/requests.h"

#include <sys/socket.h>

#include "common/ring.h"

void requests_prepare_cancel(struct io_uring *ring, __u64 target, __u64 user_data)
{
	struct io_uring_sqe *sqe = ring_get_sqe(ring);

	io_uring_prep_cancel64(sqe, target, 0);
	io_uring_sqe_set_data64(sqe, user_data);
}

void requests_prepare_shutdown(struct io_uring *ring, unsigned slot, __u64 user_data)
{
	struct io_uring_sqe *sqe = ring_get_sqe(ring);

	io_uring_prep_shutdown(sqe, (int)slot, SHUT_WR);
	sqe->flags |= IOSQE_FIXED_FILE;
	io_uring_sqe_set_data64(sqe, user_data);
}

void requests_prepare_close(struct io_uring *ring, unsigned slot, __u64 user_data)
{
	struct io_uring_sqe *sqe = ring_get_sqe_for_close(ring, slot);

	io_uring_prep_close_direct(sqe, slot);
	io_uring_sqe_set_data64(sqe, user_data);
}
