/*
 * Every client in the log has the last one's address, because a multishot accept writes each
 * address into the same memory.
 *
 * Ask the connection with getpeername(2), or accept one client a request.
 */
#include "mistakes/mistake.h"

#define CLIENTS 3

static int port_of(int fd)
{
	struct sockaddr_in address = {0};
	socklen_t length = sizeof(address);

	must(getpeername(fd, (struct sockaddr *)&address, &length), "getpeername");
	return ntohs(address.sin_port);
}

int main(int argc, char **argv)
{
	struct sockaddr_in address;
	socklen_t length = sizeof(address);
	struct io_uring ring;
	struct io_uring_sqe *sqe;
	int listener, peer[CLIENTS], server, logged, right = 0;

	begin(argc, argv);
	open_ring(&ring, 8, 0);
	listener = open_listener();
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_multishot_accept(sqe, listener, fixed ? NULL : (struct sockaddr *)&address,
				       fixed ? NULL : &length, 0);
	io_uring_sqe_set_data64(sqe, 1);
	submit(&ring);

	for (int i = 0; i < CLIENTS; i++)
		peer[i] = connect_peer(listener);
	for (int i = 0; i < CLIENTS; i++) {
		server = reap(&ring).res;
		logged = fixed ? port_of(server) : ntohs(address.sin_port);
		printf("client from port %d, logged: port %d\n",
		       ntohs(address_of(peer[i]).sin_port), logged);
		right += logged == ntohs(address_of(peer[i]).sin_port);
	}
	if (fixed)
		return shown(right == CLIENTS, "each has its own");
	return shown(right == 1, "only the last address is correct");
}
