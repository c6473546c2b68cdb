/* A last message and then the shutdown, in one submit; and what breaks a chain. */
#include "snippet.h"

static void prepare_chain(struct io_uring *ring, int fd)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	io_uring_prep_send(sqe, fd, "goodbye", 7, MSG_NOSIGNAL | MSG_WAITALL);
	sqe->flags |= IOSQE_IO_LINK; /* the next one starts when this has succeeded */
	io_uring_sqe_set_data64(sqe, 1);
	sqe = io_uring_get_sqe(ring);
	io_uring_prep_shutdown(sqe, fd, SHUT_WR);
	io_uring_sqe_set_data64(sqe, 2);
}

static void show_chain(struct io_uring *ring, const char *when)
{
	for (int i = 0; i < 2; i++) {
		struct completion completion = next_completion(ring);

		printf("%s, %s: %s\n", when, completion.user_data == 1 ? "send" : "shutdown",
		       name_of(completion.res));
	}
}

int main(void)
{
	struct io_uring ring;
	int server, peer;

	open_ring(&ring);
	need_operation(&ring, IORING_OP_SHUTDOWN, "Linux 5.11");
	connect_pair(&server, &peer);

	prepare_chain(&ring, server);
	show_chain(&ring, "first");
	prepare_chain(&ring, server);
	show_chain(&ring, "again");
	return EXIT_SUCCESS;
}
