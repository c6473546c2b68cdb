/*
 * Day 5's buffers: those that all connections share, which the kernel takes from a buffer ring, and
 * those that each connection owns, for when the ring is empty. And a connection's queue: the
 * buffers it holds, in the order in which they were received.
 */
#ifndef COMMON_BUFFERS_H
#define COMMON_BUFFERS_H

#include <liburing.h>

/*
 * Buffers 0 to shared - 1 are shared: each is in the ring, or one connection holds it. Buffer
 * shared + slot belongs to the connection in that slot and is never in the ring.
 */
struct buffers {
	unsigned shared, shared_bytes; /* how many, and the size of each */
	unsigned slots, own_bytes;
	unsigned in_ring; /* how many the kernel can take */
	unsigned short group;

	struct io_uring_buf_ring *ring;
	char *shared_memory, *own_memory;
	struct buffer {
		unsigned length; /* of what it holds; 0: no connection holds it */
		unsigned next;	 /* in the queue of the connection that holds it */
	} * by_number;
};

struct buffer_queue {
	unsigned first, last; /* only if count > 0 */
	unsigned count;	      /* how many buffers it has */
	unsigned sent;	      /* bytes of the first that have been sent */
};

/*
 * Takes the memory, from memory_map(): `shared` buffers, a power of two up to 32,768, of
 * `shared_bytes`, and for each of `slots` one of `own_bytes`, or none if that's 0. Untouched memory
 * costs nothing. Doesn't return on failure.
 */
void buffers_map(struct buffers *buffers, unsigned shared, unsigned shared_bytes, unsigned slots,
		 unsigned own_bytes);

/*
 * Registers the buffer ring with `ring` as `group`, as in io_uring_register_buf_ring(3) (Linux
 * 5.19), and puts every shared buffer into it. Doesn't return on failure: prints the reason and
 * exits with status 1.
 */
void buffers_register(struct buffers *buffers, struct io_uring *ring, unsigned short group);

/* Where the buffer `number` is. */
char *buffers_memory(const struct buffers *buffers, unsigned number);

/* Puts a shared buffer that no queue has back into the ring. */
void buffers_put_into_ring(struct buffers *buffers, unsigned number);

/*
 * The number of the buffer that the completion of a receive for `slot` is about: the one that the
 * kernel took from the ring, if it has IORING_CQE_F_BUFFER, which then counts as taken, and else
 * the slot's own. Call it once for each completion.
 */
unsigned buffers_received_into(struct buffers *buffers, unsigned slot,
			       const struct io_uring_cqe *cqe);

/* Appends a buffer that holds `length` bytes, more than 0. */
void buffer_queue_append(struct buffer_queue *queue, struct buffers *buffers, unsigned number,
			 unsigned length);

/* The bytes of the first buffer that are still to send, of a queue that isn't empty. */
const char *buffer_queue_data(const struct buffer_queue *queue, const struct buffers *buffers,
			      unsigned *length);

/*
 * `bytes` more of the first buffer have been sent, at most as many as it has. If that is all of
 * it, it leaves the queue and, if it's shared, goes back into the ring.
 */
void buffer_queue_sent(struct buffer_queue *queue, struct buffers *buffers, unsigned bytes);

/* Empties the queue without sending: the shared buffers go back into the ring. */
void buffer_queue_drop(struct buffer_queue *queue, struct buffers *buffers);

#endif
