/*
 * For the tests of ringtrace: more completions than the CQ holds, and completions that are consumed
 * with inline functions alone, more of them than the CQ holds before the next call for their ring.
 *
 * Run: build/tests/foreign/overflow
 */
#include <error.h>
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>

#define MESSAGES 16 /* the CQ has 4 entries */

static void submit_one(struct io_uring *ring)
{
	if (io_uring_submit(ring) != 1)
		error(EXIT_FAILURE, 0, "io_uring_submit");
}

static unsigned consume(struct io_uring *ring)
{
	struct io_uring_cqe *cqe;
	unsigned head, count = 0;

	io_uring_for_each_cqe (ring, head, cqe)
		count++;
	io_uring_cq_advance(ring, count);
	return count;
}

/* Completions for `receiver` without a call for it: the other ring posts them there. */
static unsigned post_messages(struct io_uring *sender, struct io_uring *receiver)
{
	unsigned i, count = 0;

	for (i = 0; i < MESSAGES; i++) {
		io_uring_prep_msg_ring(io_uring_get_sqe(sender), receiver->ring_fd, 1, i, 0);
		submit_one(sender);
		consume(sender);
		count += consume(receiver);
	}
	return count;
}

static unsigned overflow(struct io_uring *ring)
{
	unsigned i, count;

	for (i = 0; i < MESSAGES; i++) {
		io_uring_prep_nop(io_uring_get_sqe(ring));
		submit_one(ring);
	}
	for (count = 0; count < MESSAGES; count += consume(ring))
		io_uring_get_events(ring);
	return count;
}

int main(void)
{
	struct io_uring rings[2];
	int i, result;

	for (i = 0; i < 2; i++) {
		result = io_uring_queue_init(2, &rings[i], 0);
		if (result < 0)
			error(EXIT_FAILURE, -result, "io_uring_queue_init");
	}
	printf("%u messages\n", post_messages(&rings[0], &rings[1]));
	printf("%u of %d that overflow\n", overflow(&rings[1]), MESSAGES);
	io_uring_queue_exit(&rings[0]);
	/* The other one is left open: the end of the process closes it. */
	return EXIT_SUCCESS;
}
