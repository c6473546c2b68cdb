/* A client connects and leaves before the accept: what does the accept bring? */
#include "snippet.h"

int main(void)
{
	const struct linger reset = {.l_onoff = 1};
	struct sockaddr_in address;
	int listen_fd = bound_socket(SOCK_STREAM, &address), client, server;
	char byte;

	must(listen(listen_fd, 1), "listen");
	client = must(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
	must(connect(client, (struct sockaddr *)&address, sizeof(address)), "connect");
	must(setsockopt(client, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)), "SO_LINGER");
	close(client); /* resets the connection */

	server = must(accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC), "accept4");
	printf("reset before the accept: accepted, then recv fails with %s\n",
	       name_of(recv(server, &byte, 1, 0) < 0 ? -errno : 0));
	return EXIT_SUCCESS;
}
