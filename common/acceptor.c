#include "common/acceptor.h"

#include <errno.h>
#include <sys/socket.h>

#include "common/output.h"
#include "common/ring.h"

#define MOST_SINGLES 8	 /* in flight */
#define PAUSE_MS     100 /* after a failed accept: what it lacked may be there by then */

/* What a completion is of: added to the acceptor's user_data. */
enum { ACCEPT, PAUSE, CANCEL };

static void prepare_multishot(struct acceptor *acceptor)
{
	struct io_uring_sqe *sqe = ring_get_sqe(acceptor->ring);

	io_uring_prep_multishot_accept_direct(sqe, acceptor->listen_fd, NULL, NULL, 0);
	io_uring_sqe_set_data64(sqe, acceptor->user_data + ACCEPT);
	acceptor->in_flight++;
	acceptor->multishot = true;
}

static void prepare_single(struct acceptor *acceptor)
{
	struct io_uring_sqe *sqe = ring_get_sqe(acceptor->ring);

	io_uring_prep_accept(sqe, acceptor->listen_fd, NULL, NULL, 0);
	/*
	 * The kernel chooses the slot. io_uring_prep_accept_direct(3) would ask for that, too, but
	 * liburing 2.3's adds 1 to IORING_FILE_INDEX_ALLOC, which makes an ordinary accept of it.
	 */
	sqe->file_index = IORING_FILE_INDEX_ALLOC;
	io_uring_sqe_set_data64(sqe, acceptor->user_data + ACCEPT);
	acceptor->in_flight++;
}

static void prepare_cancel(struct acceptor *acceptor)
{
	struct io_uring_sqe *sqe = ring_get_sqe(acceptor->ring);

	io_uring_prep_cancel64(sqe, acceptor->user_data + ACCEPT, 0);
	io_uring_sqe_set_data64(sqe, acceptor->user_data + CANCEL);
	acceptor->cancelled = true;
}

static void prepare_pause(struct acceptor *acceptor)
{
	static const struct __kernel_timespec pause = {.tv_nsec = PAUSE_MS * 1000000LL};
	struct io_uring_sqe *sqe = ring_get_sqe(acceptor->ring);

	io_uring_prep_timeout(sqe, (struct __kernel_timespec *)&pause, 0, 0);
	io_uring_sqe_set_data64(sqe, acceptor->user_data + PAUSE);
	acceptor->pausing = true;
}

static unsigned slots_free(const struct acceptor *acceptor)
{
	return acceptor->slots - acceptor->slots_in_use;
}

/* The header says why this is enough. */
static bool has_room_for_a_pass(const struct acceptor *acceptor)
{
	return slots_free(acceptor) > acceptor->ring->cq.ring_entries;
}

/* The three rules of the header. */
static void prepare_what_is_needed(struct acceptor *acceptor)
{
	if (acceptor->pausing || acceptor->stopped)
		return;
	if (has_room_for_a_pass(acceptor)) {
		if (acceptor->in_flight == 0)
			prepare_multishot(acceptor);
	} else if (acceptor->multishot) {
		if (!acceptor->cancelled)
			prepare_cancel(acceptor);
	} else {
		while (acceptor->in_flight < MOST_SINGLES &&
		       acceptor->in_flight < slots_free(acceptor))
			prepare_single(acceptor);
	}
}

static void on_error(struct acceptor *acceptor, int error_number)
{
	bool expected = error_number == ECANCELED && acceptor->cancelled;

	if (expected || acceptor->stopped || acceptor->pausing)
		return;
	output_error(0, error_number, "accept");
	prepare_pause(acceptor);
}

static int on_accept(struct acceptor *acceptor, const struct io_uring_cqe *cqe)
{
	if (cqe->res < 0)
		on_error(acceptor, -cqe->res);
	else
		acceptor->slots_in_use++;
	if (!(cqe->flags & IORING_CQE_F_MORE)) {
		acceptor->in_flight--;
		acceptor->multishot = acceptor->cancelled = false;
	}
	return cqe->res < 0 ? -1 : cqe->res;
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

int acceptor_on_completion(struct acceptor *acceptor, const struct io_uring_cqe *cqe)
{
	int slot = -1;

	switch (cqe->user_data - acceptor->user_data) {
	case ACCEPT: slot = on_accept(acceptor, cqe); break;
	case PAUSE: /* over, or it could not begin */ acceptor->pausing = false; break;
	case CANCEL: /* asks once more if the kernel could not even look for the accept */
		if (ring_try_again(cqe->res))
			acceptor->cancelled = false;
		break;
	}
	prepare_what_is_needed(acceptor);
	return slot;
}

void acceptor_on_close(struct acceptor *acceptor)
{
	acceptor->slots_in_use--;
	prepare_what_is_needed(acceptor);
}

/*
 * close(2) would not do, because the accepts in flight hold the socket. A shutdown ends them, and
 * the last one's completion comes without IORING_CQE_F_MORE.
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
