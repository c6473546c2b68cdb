/*
 * A receive waits for ever although SO_RCVTIMEO is set: that's for recv(2), which sleeps. A request
 * doesn't sleep, so its time limit is another request, linked to it.
 */
#include <sys/time.h>

#include "mistakes/mistake.h"

int main(int argc, char **argv)
{
	static struct __kernel_timespec limit = {.tv_nsec = 100000000};
	const struct timeval receive_timeout = {.tv_usec = 100000};
	struct io_uring ring;
	struct io_uring_sqe *sqe;
	struct completion completion;
	char bytes[16];
	int server, peer;
	bool ended;

	begin(argc, argv);
	open_ring(&ring, 4, 0);
	connect_pair(&server, &peer);
	must(setsockopt(server, SOL_SOCKET, SO_RCVTIMEO, &receive_timeout, sizeof(receive_timeout)),
	     "setsockopt");

	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_recv(sqe, server, bytes, sizeof(bytes), 0);
	io_uring_sqe_set_data64(sqe, 1);
	if (fixed) {
		sqe->flags |= IOSQE_IO_LINK;
		sqe = io_uring_get_sqe(&ring);
		io_uring_prep_link_timeout(sqe, &limit, 0);
		io_uring_sqe_set_data64(sqe, 2);
	}
	submit(&ring);

	ended = reaped(&ring, &completion);
	if (ended && completion.user_data == 2) /* the two come in either order */
		completion = reap(&ring);
	printf("a limit of 100 ms, and nothing comes: %s\n",
	       ended ? strerror(-completion.res) : "it still waits after 500 ms");
	if (fixed)
		return shown(ended && completion.res == -ECANCELED,
			     "the linked timeout has ended it");
	return shown(!ended, "SO_RCVTIMEO does nothing here");
}
