#include "common/acceptor.h"

#include <errno.h>
#include <sys/socket.h>

#include "common/output.h"
#include "common/ring.h"

#define ROOM_FOR_ALL (2 * SOMAXCONN) /* more than the completion queue holds */
#define MOST_ACCEPTS 8		     /* in flight, of those that accept one peer */
#define PAUSE_MS     100	     /* after an accept that failed for want of resources */

static void prepare_multishot_accept(struct acceptor *acceptor)
{
	struct io_uring_sqe *sqe = ring_get_sqe(acceptor->ring);

	io_uring_prep_multishot_accept_direct(sqe, acceptor->listen_fd, NULL, NULL, 0);
	io_uring_sqe_set_data64(sqe, acceptor->user_data);
	acceptor->in_flight++;
	acceptor->multishot = true;
}

static void prepare_cancel(struct acceptor *acceptor)
{
	struct io_uring_sqe *sqe = ring_get_sqe(acceptor->ring);

	io_uring_prep_cancel64(sqe, acceptor->user_data, 0);
	io_uring_sqe_set_data64(sqe, 0);
	acceptor->cancelled = true;
}

static void prepare_accept(struct acceptor *acceptor)
{
	struct io_uring_sqe *sqe = ring_get_sqe(acceptor->ring);

	io_uring_prep_accept(sqe, acceptor->listen_fd, NULL, NULL, 0);
	/*
	 * The kernel chooses the slot. io_uring_prep_accept_direct(3) would say so, too, but that
	 * of liburing 2.3 adds 1 to IORING_FILE_INDEX_ALLOC, which makes an ordinary accept of it.
	 */
	sqe->file_index = IORING_FILE_INDEX_ALLOC;
	io_uring_sqe_set_data64(sqe, acceptor->user_data);
	acceptor->in_flight++;
}

static void prepare_pause(struct acceptor *acceptor)
{
	static struct __kernel_timespec pause = {.tv_nsec = PAUSE_MS * 1000000LL};
	struct io_uring_sqe *sqe = ring_get_sqe(acceptor->ring);

	io_uring_prep_timeout(sqe, &pause, 0, 0);
	io_uring_sqe_set_data64(sqe, acceptor->user_data);
	acceptor->pausing = true;
}

static void prepare_what_is_needed(struct acceptor *acceptor)
{
	unsigned slots_free = acceptor->slots - acceptor->slots_in_use;

	if (acceptor->pausing || acceptor->stopped)
		return;
	if (slots_free > ROOM_FOR_ALL) {
		if (acceptor->in_flight == 0)
			prepare_multishot_accept(acceptor);
	} else if (acceptor->multishot) {
		if (!acceptor->cancelled)
			prepare_cancel(acceptor);
	} else {
		while (acceptor->in_flight < MOST_ACCEPTS && acceptor->in_flight < slots_free)
			prepare_accept(acceptor);
	}
}

static void on_error(struct acceptor *acceptor, int error_number)
{
	if (error_number == ECANCELED || acceptor->stopped || acceptor->pausing)
		return;
	output_error(0, error_number, "accept");
	prepare_pause(acceptor);
}

void acceptor_start(struct acceptor *acceptor, struct io_uring *ring, int listen_fd, unsigned slots,
		    __u64 user_data)
{
	*acceptor = (struct acceptor){
		.ring = ring,
		.listen_fd = listen_fd,
		.slots = slots,
		.user_data = user_data,
	};
	prepare_what_is_needed(acceptor);
}

/* -ETIME is the result of the pause and of no accept. */
int acceptor_on_completion(struct acceptor *acceptor, const struct io_uring_cqe *cqe)
{
	if (cqe->res == -ETIME) {
		acceptor->pausing = false;
	} else if (!(cqe->flags & IORING_CQE_F_MORE)) {
		acceptor->in_flight--;
		acceptor->multishot = acceptor->cancelled = false;
	}
	if (cqe->res >= 0)
		acceptor->slots_in_use++;
	else if (cqe->res != -ETIME)
		on_error(acceptor, -cqe->res);
	prepare_what_is_needed(acceptor);
	return cqe->res >= 0 ? cqe->res : -1;
}

void acceptor_on_close(struct acceptor *acceptor)
{
	acceptor->slots_in_use--;
	prepare_what_is_needed(acceptor);
}

/* A close(2) alone would not do: the accepts in flight hold the socket, and a shutdown ends them.
 */
void acceptor_stop(struct acceptor *acceptor)
{
	acceptor->stopped = true;
	shutdown(acceptor->listen_fd, SHUT_RDWR);
}

bool acceptor_is_busy(const struct acceptor *acceptor)
{
	return acceptor->slots_in_use > 0 || acceptor->in_flight > 0;
}
