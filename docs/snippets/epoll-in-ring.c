/* An old epoll loop's descriptors, in a ring: the ring waits for the epoll descriptor itself. */
#include "snippet.h"

#include <poll.h>
#include <sys/epoll.h>

int main(void)
{
	struct epoll_event event = {.events = EPOLLIN};
	struct io_uring ring;
	struct io_uring_sqe *sqe;
	int epoll_fd = must(epoll_create1(EPOLL_CLOEXEC), "epoll_create1"), server, peer;
	char bytes[16];

	need(io_uring_queue_init(16, &ring,
				 IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN) == 0,
	     "Linux 6.1");
	connect_pair(&server, &peer);
	must(epoll_ctl(epoll_fd, EPOLL_CTL_ADD, server, &event), "epoll_ctl");

	for (int i = 0; i < 2; i++) {
		sqe = io_uring_get_sqe(&ring);
		io_uring_prep_poll_add(sqe, epoll_fd, POLLIN);
		io_uring_sqe_set_data64(sqe, 1);
		must(io_uring_submit(&ring), "io_uring_submit");

		peer_sends(peer, "hello");
		must(next_completion(&ring).res, "IORING_OP_POLL_ADD");
		printf("epoll has %d event, ", epoll_wait(epoll_fd, &event, 1, 0));
		printf("the socket %zd bytes\n", recv(server, bytes, sizeof(bytes), 0));
	}
	return EXIT_SUCCESS;
}
