/*
 * Requests that days 4 to 6 have taught, and that every server after them prepares the same way.
 * Each takes an SQE as ring_get_sqe() does, so none can fail; what becomes of the request is a
 * completion with `user_data`.
 */
#ifndef COMMON_REQUESTS_H
#define COMMON_REQUESTS_H

#include <liburing.h>

/*
 * Asks for the request whose user_data is `target` to end. That one still has a completion of its
 * own. See io_uring_prep_cancel64(3).
 */
void requests_prepare_cancel(struct io_uring *ring, __u64 target, __u64 user_data);

/* The client in `slot` gets its EOF: nothing more will be sent. See io_uring_prep_shutdown(3). */
void requests_prepare_shutdown(struct io_uring *ring, unsigned slot, __u64 user_data);

/*
 * Closes `slot`, with a shutdown before it where ring_get_sqe_for_close() prepares one. Call it
 * when nothing is in flight for the slot, and use nothing of its connection afterwards: the kernel
 * may give the slot to a client whose accept is reaped before this completion.
 */
void requests_prepare_close(struct io_uring *ring, unsigned slot, __u64 user_data);

#endif
