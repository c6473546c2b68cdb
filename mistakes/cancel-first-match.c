/*
 * One request is cancelled while others with the same user_data go on, because a cancel takes the
 * first request it finds. IORING_ASYNC_CANCEL_ALL takes all of them (Linux 5.19), and its result is
 * how many there were.
 */
#include "mistakes/mistake.h"

#define CONNECTION 7

int main(int argc, char **argv)
{
	struct io_uring ring;
	struct io_uring_sqe *sqe;
	struct completion completion;
	char bytes[16];
	int server, peer, ended = 0;

	begin(argc, argv);
	open_ring(&ring, 4, 0);
	connect_pair(&server, &peer);
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_recv(sqe, server, bytes, sizeof(bytes), 0);
	io_uring_sqe_set_data64(sqe, CONNECTION);
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_poll_add(sqe, server, POLLRDHUP);
	io_uring_sqe_set_data64(sqe, CONNECTION);
	submit(&ring);

	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_cancel64(sqe, CONNECTION, fixed ? IORING_ASYNC_CANCEL_ALL : 0);
	io_uring_sqe_set_data64(sqe, 1);
	submit(&ring);
	while (reaped(&ring, &completion)) {
		if (completion.user_data == CONNECTION)
			ended += completion.res == -ECANCELED;
		else
			printf("result of the cancel: %d\n", completion.res);
	}
	printf("requests with user_data %d: 2, cancelled: %d\n", CONNECTION, ended);
	if (fixed)
		return shown(ended == 2, "both have ended");
	return shown(ended == 1, "the other one is still in flight");
}
