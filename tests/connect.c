/*
 * For the tests of day 3: many clients of a server that closes every connection it accepts.
 *
 * Connects to 127.0.0.1 and waits for the end of each connection; the last line says how many the
 * server has closed, in order or with a reset. A server that lets one wait for half a minute has
 * failed.
 *
 * Run: build/tests/connect [--count N] [--at-once | --reset] PORT
 */
#include <arpa/inet.h>
#include <errno.h>
#include <error.h>
#include <getopt.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "common/options.h"

#define PATIENCE_S 30

static struct sockaddr_in server;

static int connect_one(void)
{
	const struct timeval patience = {.tv_sec = PATIENCE_S};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		error(EXIT_FAILURE, errno, "socket");
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) < 0)
		error(EXIT_FAILURE, errno, "setsockopt");
	if (connect(fd, (struct sockaddr *)&server, sizeof(server)) < 0)
		error(EXIT_FAILURE, errno, "connect");
	return fd;
}

/* The server sends nothing: what is read is the end. */
static void wait_for_end(int fd)
{
	char byte;
	ssize_t count = read(fd, &byte, 1);

	if (count > 0)
		error(EXIT_FAILURE, 0, "the server has sent something");
	if (count < 0 && errno == EAGAIN)
		error(EXIT_FAILURE, 0, "the server has not closed a connection for %d s",
		      PATIENCE_S);
	close(fd);
}

/* close(2) then sends a reset, without waiting for the server. */
static void reset(int fd)
{
	const struct linger now = {.l_onoff = 1, .l_linger = 0};

	if (setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now)) < 0)
		error(EXIT_FAILURE, errno, "setsockopt");
	close(fd);
}

static void connect_at_once(unsigned count)
{
	int *fds = calloc(count, sizeof(fds[0]));
	unsigned i;

	if (!fds)
		error(EXIT_FAILURE, errno, "calloc");
	for (i = 0; i < count; i++)
		fds[i] = connect_one();
	for (i = 0; i < count; i++)
		wait_for_end(fds[i]);
	free(fds);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"count", required_argument, NULL, 'c'},
		{"at-once", no_argument, NULL, 'a'},
		{"reset", no_argument, NULL, 'r'},
		{0},
	};
	bool at_once = false, with_reset = false;
	unsigned count = 1;
	unsigned i;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'c': count = option_number("--count", optarg, 1, 1000000); break;
		case 'a': at_once = true; break;
		case 'r': with_reset = true; break;
		default: usage_hint();
		}
	}
	server.sin_family = AF_INET;
	server.sin_port = htons((in_port_t)option_port(argc, argv, 7003));
	server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);

	if (at_once)
		connect_at_once(count);
	for (i = 0; !at_once && i < count; i++)
		with_reset ? reset(connect_one()) : wait_for_end(connect_one());

	printf(with_reset ? "connections reset: %u\n" : "connections closed by the server: %u\n",
	       count);
	return EXIT_SUCCESS;
}
