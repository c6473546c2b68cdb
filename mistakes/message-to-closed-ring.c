/*
 * A message to a ring that its thread has closed: the descriptor's number may belong to something
 * else by then. The message fails, or it arrives in a ring that nobody meant.
 *
 * A ring stays open until nobody will send to it any more: its thread waits to be told.
 */
#include "mistakes/mistake.h"

enum { STOP = 7, SENT };

static int send_stop(struct io_uring *from, int ring_fd)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(from);

	io_uring_prep_msg_ring(sqe, ring_fd, 0, STOP, 0);
	io_uring_sqe_set_data64(sqe, SENT);
	submit(from);
	return reap(from).res;
}

static bool has_stop(struct io_uring *ring)
{
	struct completion completion;

	return reaped(ring, &completion) && completion.user_data == STOP;
}

int main(int argc, char **argv)
{
	struct io_uring sender, meant, other;
	int ring_fd, result;

	begin(argc, argv);
	open_ring(&sender, 4, 0);
	open_ring(&meant, 4, 0);
	ring_fd = meant.ring_fd;
	if (!fixed) {
		io_uring_queue_exit(&meant); /* it's done, and didn't wait */
		result = send_stop(&sender, ring_fd);
		printf("to the closed ring: %s\n", strerror(-result));
		open_ring(&other, 4, 0); /* another thread's, which gets the same number */
		result = send_stop(&sender, ring_fd);
		printf("once more, now that there is another ring: %s\n", strerror(-result));
		return shown(has_stop(&other), "the other ring gets the STOP");
	}
	result = send_stop(&sender, ring_fd);
	printf("to the ring: %s\n", strerror(-result));
	result = !has_stop(&meant);
	io_uring_queue_exit(&meant);
	return shown(result == 0, "it arrives, and then the ring is closed");
}
