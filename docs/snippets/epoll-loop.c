/* A ring in a loop that waits in epoll_wait(2): its descriptor is readable when it has CQEs. */
#include "snippet.h"

#include <sys/epoll.h>

int main(void)
{
	struct epoll_event event = {.events = EPOLLIN};
	struct io_uring ring;
	struct io_uring_sqe *sqe;
	int epoll_fd = must(epoll_create1(EPOLL_CLOEXEC), "epoll_create1"), server, peer;
	char bytes[16];

	open_ring(&ring);
	connect_pair(&server, &peer);
	must(epoll_ctl(epoll_fd, EPOLL_CTL_ADD, ring.ring_fd, &event), "epoll_ctl");

	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_recv(sqe, server, bytes, sizeof(bytes), 0);
	io_uring_sqe_set_data64(sqe, 1);
	must(io_uring_submit(&ring), "io_uring_submit"); /* before every epoll_wait() */
	printf("nothing sent: %d events\n", must(epoll_wait(epoll_fd, &event, 1, 0), "epoll_wait"));

	peer_sends(peer, "hello");
	while (epoll_wait(epoll_fd, &event, 1, 2000) < 0) /* a completion is an EINTR here */
		must(errno == EINTR ? 0 : -errno, "epoll_wait");
	printf("sent: the ring's descriptor is ready, received %d bytes\n",
	       next_completion(&ring).res);
	return EXIT_SUCCESS;
}
