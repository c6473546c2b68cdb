/*
 * 100% CPU and no progress: the buffer ring is empty, so the multishot receive ends with ENOBUFS,
 * and the program re-arms it at once.
 *
 * Nothing changes before a buffer is given back, so that's the moment to re-arm.
 */
#include "mistakes/mistake.h"

#define SPIN_MS 300

static struct io_uring ring;
static struct io_uring_buf_ring *buffers;
static char bytes[64];
static int failures;

static void arm(int server)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

	io_uring_prep_recv_multishot(sqe, server, NULL, 0, 0);
	sqe->flags |= IOSQE_BUFFER_SELECT;
	sqe->buf_group = 0;
	io_uring_sqe_set_data64(sqe, 1);
	submit(&ring);
}

static void give_back_the_buffer(void)
{
	io_uring_buf_ring_add(buffers, bytes, sizeof(bytes), 0, io_uring_buf_ring_mask(1), 0);
	io_uring_buf_ring_advance(buffers, 1);
}

/* Wrong: again and again, until a third of a second is over. */
static void arm_at_once(int server)
{
	const long end_ms = now_ms() + SPIN_MS;

	while (now_ms() < end_ms) {
		arm(server);
		failures += reap(&ring).res == -ENOBUFS;
	}
}

int main(int argc, char **argv)
{
	int server, peer;

	begin(argc, argv);
	open_ring(&ring, 4, 0);
	connect_pair(&server, &peer);
	buffers = open_buffer_ring(&ring, 1);
	peer_sends(peer, "hello");
	arm(server);
	failures += reap(&ring).res == -ENOBUFS;

	if (!fixed) {
		arm_at_once(server);
		printf("ENOBUFS: %d times in %d ms, bytes received: 0\n", failures, SPIN_MS);
		return shown(failures > 100, "100%% CPU without a byte of progress");
	}
	give_back_the_buffer();
	arm(server);
	printf("ENOBUFS: %d time, then a buffer came back\n", failures);
	return shown(reap(&ring).res == 5, "armed again when a buffer was there: 5 bytes");
}
