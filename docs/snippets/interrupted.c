/* A thread waits in epoll_wait(2) while a request of its ring completes: what does it return? */
#include "snippet.h"

#include <sys/epoll.h>

static const char *wait_elsewhere(unsigned flags)
{
	static struct __kernel_timespec soon = {.tv_nsec = 50 * 1000000LL};
	struct epoll_event event;
	struct io_uring ring;
	struct io_uring_sqe *sqe;
	int epoll_fd = must(epoll_create1(EPOLL_CLOEXEC), "epoll_create1"), result;

	need(io_uring_queue_init(8, &ring, flags) == 0, "Linux 6.1");
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_timeout(sqe, &soon, 0, 0);
	io_uring_sqe_set_data64(sqe, 1);
	must(io_uring_submit(&ring), "io_uring_submit");

	result = epoll_wait(epoll_fd, &event, 1, 300) < 0 ? -errno : 0;
	close(epoll_fd);
	return name_of(result); /* the ring stays: to close it would interrupt the next wait, too */
}

int main(void)
{
	printf("epoll_wait: %s; ", wait_elsewhere(0));
	printf("COOP_TASKRUN: %s; ", wait_elsewhere(IORING_SETUP_COOP_TASKRUN));
	printf("DEFER_TASKRUN: %s\n",
	       wait_elsewhere(IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN));
	return EXIT_SUCCESS;
}
