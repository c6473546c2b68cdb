/*
 * Several rings accept from one listening socket, and one of them gets every client: the kernel
 * wakes the first multishot accept that waits, which then goes on waiting, as the first.
 *
 * Each ring has a listening socket of its own, and SO_REUSEPORT has the kernel deal the clients
 * out.
 */
#include "mistakes/mistake.h"

#define RINGS	4
#define CLIENTS 40

static int open_listener_with(bool shared, struct sockaddr_in address)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	const int on = shared;

	must(fd, "socket");
	must(setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)), "setsockopt");
	must(bind(fd, (struct sockaddr *)&address, sizeof(address)), "bind");
	must(listen(fd, CLIENTS), "listen");
	return fd;
}

static void prepare_accept(struct io_uring *ring, int listener)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	io_uring_prep_multishot_accept(sqe, listener, NULL, NULL, 0);
	io_uring_sqe_set_data64(sqe, 1);
	submit(ring);
}

/* How many clients this ring has been given. */
static unsigned count_accepted(struct io_uring *ring)
{
	struct io_uring_cqe *cqe;
	unsigned head, count = 0;

	io_uring_get_events(ring);
	io_uring_for_each_cqe (ring, head, cqe)
		count += cqe->res >= 0;
	return count;
}

int main(int argc, char **argv)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	struct io_uring rings[RINGS];
	unsigned all = 0, most = 0;
	int listener;

	begin(argc, argv);
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	listener = open_listener_with(fixed, address);
	address = address_of(listener);
	for (unsigned i = 0; i < RINGS; i++) {
		open_ring(&rings[i], CLIENTS, 0);
		prepare_accept(&rings[i],
			       fixed && i > 0 ? open_listener_with(true, address) : listener);
	}
	for (unsigned i = 0; i < CLIENTS; i++)
		connect_peer(listener);
	printf("%d clients:", CLIENTS);
	for (unsigned i = 0; i < RINGS; i++) {
		unsigned accepted = count_accepted(&rings[i]);

		printf(" %u", accepted);
		all += accepted;
		most = accepted > most ? accepted : most;
	}
	printf("\n");
	if (fixed)
		return shown(all == CLIENTS && most < CLIENTS, "every ring gets clients");
	return shown(most == CLIENTS, "one ring gets them all");
}
