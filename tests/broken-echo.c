/*
 * Echo servers that are wrong, each in a way of its own, to show that bench/load notices.
 *
 * Every connection is right for its first OFFSET bytes. Then:
 *   corrupt   one byte has another value
 *   reorder   two neighbouring blocks come back in the wrong order
 *   repeat    a block comes back twice
 *   lose      a block does not come back
 *   close     the connection is closed
 *   stall     nothing comes back any more
 *   crash     the whole server dies
 *   extra     everything comes back, and something more at the end
 *   cross     from the start, each of two connections gets what the other one sends
 *
 * Run it: make test-programs && ./build/tests/broken-echo corrupt
 */
#include "common/listener.h"
#include "common/options.h"

#include <errno.h>
#include <error.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define BLOCK_BYTES 16
#define OFFSET	    1024 /* a whole number of blocks */
#define BACKLOG	    64

static const char *const faults[] = {
	"corrupt", "reorder", "repeat", "lose", "close", "stall", "crash", "extra", "cross",
};

static const char *fault;

static int has(const char *name)
{
	return strcmp(fault, name) == 0;
}

/* Peers give up as soon as they notice: what cannot be sent ends the connection. */
static void send_block(int fd, const char *block, size_t length)
{
	while (length > 0) {
		ssize_t sent = send(fd, block, length, MSG_NOSIGNAL);

		if (sent < 0)
			exit(EXIT_SUCCESS);
		block += sent;
		length -= (size_t)sent;
	}
}

/* Fills the block unless the peer's bytes end before; returns how many there are. */
static size_t receive_block(int fd, char *block)
{
	ssize_t received = recv(fd, block, BLOCK_BYTES, MSG_WAITALL);

	return received < 0 ? 0 : (size_t)received;
}

static void misbehave(int fd, char *block, size_t length)
{
	char next[BLOCK_BYTES];
	size_t next_length;

	if (has("corrupt")) {
		block[length / 2] ^= 1;
		send_block(fd, block, length);
	} else if (has("reorder")) {
		next_length = receive_block(fd, next);
		send_block(fd, next, next_length);
		send_block(fd, block, length);
	} else if (has("repeat")) {
		send_block(fd, block, length);
		send_block(fd, block, length);
	} else if (has("close")) {
		exit(EXIT_SUCCESS);
	} else if (has("stall")) {
		while (receive_block(fd, block) > 0)
			;
		pause();
	} else if (has("crash")) {
		kill(getppid(), SIGKILL);
		exit(EXIT_SUCCESS);
	} else if (!has("lose")) {
		send_block(fd, block, length);
	}
}

static void serve(int fd)
{
	char block[BLOCK_BYTES];
	size_t echoed = 0;
	size_t length;

	while ((length = receive_block(fd, block)) > 0) {
		if (echoed == OFFSET)
			misbehave(fd, block, length);
		else
			send_block(fd, block, length);
		echoed += length;
	}
	if (has("extra"))
		send_block(fd, "?", 1);
}

static void relay(int from, int to)
{
	char block[BLOCK_BYTES];
	ssize_t length = recv(from, block, sizeof(block), 0);

	if (length <= 0)
		exit(EXIT_SUCCESS);
	send_block(to, block, (size_t)length);
}

static void cross(int one, int other)
{
	struct pollfd both[] = {{.fd = one, .events = POLLIN}, {.fd = other, .events = POLLIN}};

	while (poll(both, 2, -1) > 0) {
		if (both[0].revents)
			relay(one, other);
		if (both[1].revents)
			relay(other, one);
	}
}

static int accept_connection(int listener)
{
	int fd = accept(listener, NULL, NULL);

	if (fd < 0)
		error(EXIT_FAILURE, errno, "accept");
	return fd;
}

/* A process for each connection, or two where they are crossed, that does not outlive this one. */
static void accept_and_serve(int listener)
{
	int one = accept_connection(listener);
	int other = has("cross") ? accept_connection(listener) : -1;
	pid_t child = fork();

	if (child < 0)
		error(EXIT_FAILURE, errno, "fork");
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (other >= 0)
			cross(one, other);
		else
			serve(one);
		exit(EXIT_SUCCESS);
	}
	close(one);
	if (other >= 0)
		close(other);
}

int main(int argc, char **argv)
{
	int listener;

	for (size_t i = 0; argc > 1 && i < sizeof(faults) / sizeof(faults[0]); i++) {
		if (strcmp(argv[1], faults[i]) == 0)
			fault = faults[i];
	}
	if (!fault)
		usage_error("the first argument has to name a fault");
	/* What is left over is the port, as for every server. */
	listener = listener_open("127.0.0.1", option_port(argc - 1, argv + 1, 0), BACKLOG);
	signal(SIGCHLD, SIG_IGN);
	listener_announce(listener);
	for (;;)
		accept_and_serve(listener);
}
