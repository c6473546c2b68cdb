/*
 * The listener is closed, but clients are still accepted and the port stays in use: an accept is
 * armed, and it holds on to the socket.
 *
 * Cancel the accept, wait for its last completion, then close.
 */
#include "mistakes/mistake.h"

static bool port_is_free(struct sockaddr_in address)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	bool bound = bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0;

	close(fd);
	return bound;
}

int main(int argc, char **argv)
{
	struct io_uring ring;
	struct io_uring_sqe *sqe;
	struct completion completion;
	struct sockaddr_in address;
	int listener;
	bool accepted, is_free;

	begin(argc, argv);
	open_ring(&ring, 4, 0);
	listener = open_listener();
	address = address_of(listener);
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_multishot_accept(sqe, listener, NULL, NULL, 0);
	io_uring_sqe_set_data64(sqe, 1);
	submit(&ring);

	if (fixed) {
		sqe = io_uring_get_sqe(&ring);
		io_uring_prep_cancel64(sqe, 1, 0);
		io_uring_sqe_set_data64(sqe, 2);
		submit(&ring);
		(void)reap(&ring); /* the accept and the cancel, in whichever order */
		(void)reap(&ring);
	}
	close(listener);
	is_free = port_is_free(address);
	accepted = try_connect(socket(AF_INET, SOCK_STREAM, 0), address) &&
		   reaped(&ring, &completion) && completion.res >= 0;
	printf("the listener is closed; the port is %s, a client is %s\n",
	       is_free ? "free" : "in use", accepted ? "accepted" : "refused");

	if (fixed)
		return shown(is_free && !accepted, "closed when nothing holds it");
	return shown(!is_free && accepted, "closed, and it goes on accepting");
}
