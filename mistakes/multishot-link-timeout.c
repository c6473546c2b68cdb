/*
 * A client that speaks all the time is cut off. A timeout linked to a receive limits that one
 * request, and a multishot receive is one request for the whole connection. A limit on silence is a
 * timeout that begins again with each completion.
 */
#include "mistakes/mistake.h"

#define LIMIT_MS   150
#define MESSAGES   8
#define MESSAGE_MS 50
#define BUFFERS	   8

/* What the user_data of a request says. */
enum { RECEIVE = 1, LIMIT };

static struct __kernel_timespec limit = {.tv_nsec = LIMIT_MS * 1000000L};
static char memory[BUFFERS][16];

static void prepare_receive(struct io_uring *ring, int server)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	io_uring_prep_recv_multishot(sqe, server, NULL, 0, 0);
	sqe->flags |= IOSQE_BUFFER_SELECT | (fixed ? 0 : IOSQE_IO_LINK);
	io_uring_sqe_set_data64(sqe, RECEIVE);
}

static void prepare_limit(struct io_uring *ring)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	if (fixed)
		io_uring_prep_timeout(sqe, &limit, 0, 0);
	else
		io_uring_prep_link_timeout(sqe, &limit, 0);
	io_uring_sqe_set_data64(sqe, LIMIT);
}

/* The limit, from now on. */
static void move_limit(struct io_uring *ring)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	io_uring_prep_timeout_update(sqe, &limit, LIMIT, 0);
	sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
	io_uring_sqe_set_data64(sqe, 0);
	submit(ring);
}

static void speak(int peer)
{
	const struct timespec pause = {.tv_nsec = MESSAGE_MS * 1000000L};

	for (int i = 0; i < MESSAGES; i++) {
		nanosleep(&pause, NULL);
		peer_sends(peer, "hello");
	}
}

int main(int argc, char **argv)
{
	struct io_uring_buf_ring *buffers;
	struct io_uring ring;
	struct completion completion;
	int server, peer, heard = 0;
	bool cut_off = false;

	begin(argc, argv);
	open_ring(&ring, 8, 0);
	buffers = open_buffer_ring(&ring, BUFFERS);
	for (unsigned short i = 0; i < BUFFERS; i++)
		io_uring_buf_ring_add(buffers, memory[i], sizeof(memory[i]), i, BUFFERS - 1, i);
	io_uring_buf_ring_advance(buffers, BUFFERS);
	connect_pair(&server, &peer);
	if (fork() == 0) {
		speak(peer);
		_exit(EXIT_SUCCESS);
	}

	prepare_receive(&ring, server);
	prepare_limit(&ring);
	submit(&ring);
	while (heard < MESSAGES && !cut_off && reaped(&ring, &completion)) {
		if (completion.user_data == LIMIT || completion.res == -ECANCELED) {
			cut_off = true;
		} else if (completion.user_data == RECEIVE && completion.res > 0) {
			heard++;
			if (fixed)
				move_limit(&ring);
		}
	}

	printf("a message every %d ms, a limit of %d ms: heard %s of them\n", MESSAGE_MS, LIMIT_MS,
	       heard == MESSAGES ? "all"
	       : heard > 0	 ? "some"
				 : "none");
	if (fixed)
		return shown(heard == MESSAGES, "each message began the limit again");
	return shown(cut_off && heard < MESSAGES, "the limit was for the whole request");
}
