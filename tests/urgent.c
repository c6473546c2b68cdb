/*
 * A peer that sends urgent data: "abc", "d" as urgent (MSG_OOB), "efg", and then half-closes.
 * Prints what the server answers.
 *
 * Run: make test-programs && ./build/tests/urgent PORT
 */
#include <arpa/inet.h>
#include <errno.h>
#include <error.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/options.h"

static void send_all(int fd, const char *text, size_t length, int flags)
{
	if (send(fd, text, length, flags) != (ssize_t)length)
		error(EXIT_FAILURE, errno, "send");
}

int main(int argc, char **argv)
{
	struct sockaddr_in server = {.sin_family = AF_INET,
				     .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	char answer[64];
	ssize_t length;
	int fd;

	if (argc != 2)
		usage_error("usage: PORT");
	server.sin_port = htons((in_port_t)option_number("PORT", argv[1], 1, 65535));
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&server, sizeof(server)) < 0)
		error(EXIT_FAILURE, errno, "connect");

	send_all(fd, "abc", 3, 0);
	send_all(fd, "d", 1, MSG_OOB);
	send_all(fd, "efg", 3, 0);
	if (shutdown(fd, SHUT_WR) < 0)
		error(EXIT_FAILURE, errno, "shutdown");

	while ((length = read(fd, answer, sizeof(answer))) > 0)
		fwrite(answer, 1, (size_t)length, stdout);
	if (length < 0)
		error(EXIT_FAILURE, errno, "read");
	return EXIT_SUCCESS;
}
