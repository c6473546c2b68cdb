/*
 * Clients that fall silent: each connects, sends one byte, reads it back, and then does nothing
 * but wait for the end of the connection, which has to be an EOF and must not come before the
 * limit. Measured from before its byte was sent, so an early EOF can't be blamed on the client.
 *
 *   silent --connections N --limit MS [--stay] PORT
 *
 * Prints "ready" when all are silent; at the end, how long after the limit the first and the last
 * EOF came. --stay: after the EOF a client doesn't close, but sends a byte every 10 ms until it is
 * cut off, which must not be before a second limit; prints how long after that it was.
 */
#include <errno.h>
#include <error.h>
#include <getopt.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/descriptors.h"
#include "common/options.h"

#define DEADLINE_S   60
#define STAY_WAIT_MS 10

static unsigned connections = 1, limit_ms = 1000, port;
static bool stay;
static struct pollfd *clients;
static long long *sent_ns;

static void must(bool done, const char *what)
{
	if (!done)
		error(EXIT_FAILURE, errno, "%s", what);
}

static int connect_to_server(void)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons((unsigned short)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	must(fd >= 0, "socket");
	must(connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0, "connect");
	return fd;
}

static void speak_once(unsigned i)
{
	char byte = 'x';

	clients[i] = (struct pollfd){.fd = connect_to_server(), .events = POLLIN};
	sent_ns[i] = clock_ns();
	must(send(clients[i].fd, &byte, 1, MSG_NOSIGNAL) == 1, "send");
	must(recv(clients[i].fd, &byte, 1, 0) == 1, "recv");
}

/* After its EOF: whatever it sends, it must not keep the connection, and may not lose it early. */
static void be_stubborn(unsigned i)
{
	struct pollfd gone = {.fd = clients[i].fd};
	long long late_ns;

	while (send(gone.fd, "x", 1, MSG_NOSIGNAL) == 1)
		if (poll(&gone, 1, STAY_WAIT_MS) > 0)
			break;
	late_ns = clock_ns() - sent_ns[i] - 2LL * limit_ms * NS_PER_MS;
	if (late_ns < 0)
		error(EXIT_FAILURE, 0, "cut off %lld us too early", -late_ns / 1000);
	printf("cut off %lld us after the second limit\n", late_ns / 1000);
}

static long long end_of(unsigned i)
{
	long long late_ns = clock_ns() - sent_ns[i] - limit_ms * NS_PER_MS;
	ssize_t length;
	char byte;

	length = recv(clients[i].fd, &byte, 1, 0);
	must(length >= 0, "reset instead of EOF");
	if (length > 0)
		error(EXIT_FAILURE, 0, "bytes instead of EOF");
	if (late_ns < 0)
		error(EXIT_FAILURE, 0, "EOF %lld us too early", -late_ns / 1000);
	if (stay)
		be_stubborn(i);
	close(clients[i].fd);
	clients[i].fd = -1;
	return late_ns;
}

static void wait_for_ends(void)
{
	long long first_ns = -1, last_ns = -1;

	for (unsigned left = connections; left > 0;) {
		must(poll(clients, connections, DEADLINE_S * 1000) > 0, "no EOF");
		for (unsigned i = 0; i < connections; i++) {
			if (clients[i].revents == 0)
				continue;
			last_ns = end_of(i);
			if (first_ns < 0)
				first_ns = last_ns;
			left--;
		}
	}
	printf("after the limit: first %lld us, last %lld us\n", first_ns / 1000, last_ns / 1000);
}

int main(int argc, char **argv)
{
	const struct option_entry entries[] = {
		{"connections", "N", "silent clients", .number = &connections, .least = 1,
		 .most = 100000},
		{"limit", "MS", "before which no EOF may come", .number = &limit_ms, .least = 1,
		 .most = 1000000},
		{"stay", NULL, "send on after the EOF", .flag = &stay},
		{0},
	};

	options_parse(argc, argv, "[OPTIONS] PORT\nClients that fall silent.", entries);
	port = option_port(argc, argv, 7006);
	descriptors_allow(connections + 16);
	clients = calloc(connections, sizeof(clients[0]));
	sent_ns = calloc(connections, sizeof(sent_ns[0]));
	must(clients && sent_ns, "calloc");
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (unsigned i = 0; i < connections; i++)
		speak_once(i);
	puts("ready");
	wait_for_ends();
	return EXIT_SUCCESS;
}
