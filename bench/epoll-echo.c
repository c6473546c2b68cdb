/*
 * Our echo server with epoll(7) instead of io_uring, for comparison: the same promises, kept the
 * usual way. Every byte comes back once and in sequence. If a client doesn't read, the server
 * doesn't read from it. A half-closed client gets all its bytes before EOF. While the table is
 * full, further clients wait in the listen backlog.
 *
 * It's level-triggered: the kernel reports which sockets are readable, and the server receives once
 * from each and sends what arrived straight away. Only a send that comes out short costs memory,
 * for the bytes that are left. Until they're sent, the connection is watched for room to send
 * instead of for input. So it's in one of two states, and EOF is only ever read when nothing is
 * owed.
 *
 * Run it: make bench-programs && ./bench/epoll-echo 7100, and in another terminal: nc 127.0.0.1
 * 7100
 */
#include "common/listener.h"
#include "common/options.h"
#include "common/output.h"
#include "common/signals.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define DEFAULT_PORT	    7100
#define DEFAULT_CONNECTIONS 10000
#define MOST_CONNECTIONS    1000000
#define OTHER_DESCRIPTORS                                                                          \
	16 /* the standard ones, epoll, signalfd, the listener, and room to spare */
#define DEFAULT_BUFFER_BYTES 65536 /* as many as one of day 5's buffers holds */
#define MAX_BUFFER_BYTES     1048576
#define EVENTS_A_TURN	     512
#define ACCEPTS_A_TURN	     128 /* then it's up to those already connected */
#define ACCEPT_RETRY_MS	     100
#define GRACE_MS	     2000
#define NO_TIMEOUT	     (-1)

/* What a send didn't take. It exists only while a connection owes its client something. */
struct rest {
	size_t length;
	size_t sent;
	char bytes[];
};

struct connection {
	bool open;
	struct rest *rest;
};

static struct connection *connections; /* by descriptor */
static int descriptors;		       /* how many `connections` has */
static unsigned open_count;
static unsigned open_limit = DEFAULT_CONNECTIONS;

static char buffer[MAX_BUFFER_BYTES]; /* of which `buffer_bytes` are used */
static unsigned buffer_bytes = DEFAULT_BUFFER_BYTES;

static int epoll_fd;
static int listener_fd;
static int signal_fd;
static bool accepting;	     /* the listener is watched */
static long accept_again_ms; /* when to try again after an accept failed for a shortage, or 0 */
static bool ending;	     /* a signal came */
static bool ended;	     /* and another */

static long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void watch(int operation, int fd, unsigned events)
{
	struct epoll_event event = {.events = events, .data.fd = fd};

	if (epoll_ctl(epoll_fd, operation, fd, &event) < 0)
		output_error(EXIT_FAILURE, errno, "epoll_ctl");
}

static void set_accepting(bool on)
{
	if (accepting != on && listener_fd >= 0)
		watch(EPOLL_CTL_MOD, listener_fd, on ? EPOLLIN : 0);
	accepting = on;
}

static void open_connection(int fd)
{
	watch(EPOLL_CTL_ADD, fd, EPOLLIN);
	connections[fd] = (struct connection){.open = true};
	open_count++;
}

/* Closing also ends the watching. What was sent, the kernel still delivers. */
static void close_connection(int fd)
{
	free(connections[fd].rest);
	connections[fd] = (struct connection){.open = false};
	close(fd);
	open_count--;
	set_accepting(!ending);
}

/* A transient error: accept4(2) failed for want of something that others may give back. */
static bool is_shortage(int error_number)
{
	return error_number == EMFILE || error_number == ENFILE || error_number == ENOBUFS ||
	       error_number == ENOMEM;
}

/*
 * Any failure but a shortage concerns only the connection that was to be accepted: it's gone, and
 * the next one may succeed.
 */
static void accept_connections(void)
{
	for (int i = 0; i < ACCEPTS_A_TURN && open_count < open_limit; i++) {
		int fd = accept4(listener_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0) {
			open_connection(fd);
		} else if (errno == EAGAIN) {
			return;
		} else if (is_shortage(errno)) {
			accept_again_ms = now_ms() + ACCEPT_RETRY_MS;
			set_accepting(false);
			return;
		}
	}
	if (open_count == open_limit)
		set_accepting(false);
}

/* Keeps what the send left over, and watches for room to send instead of for input. */
static void keep_rest(int fd, const char *bytes, size_t length)
{
	struct rest *rest = malloc(sizeof(*rest) + length);

	if (!rest) {
		output_error(0, ENOMEM, "closing a connection that does not read");
		close_connection(fd);
		return;
	}
	rest->length = length;
	rest->sent = 0;
	memcpy(rest->bytes, bytes, length);
	connections[fd].rest = rest;
	watch(EPOLL_CTL_MOD, fd, EPOLLOUT);
}

/* Number of bytes sent, 0 if there's no room, -1 if the connection is lost. */
static ssize_t send_some(int fd, const char *bytes, size_t length)
{
	ssize_t sent = send(fd, bytes, length, MSG_NOSIGNAL);

	if (sent < 0 && (errno == EAGAIN || errno == EINTR || errno == ENOBUFS))
		return 0;
	return sent;
}

static void on_readable(int fd)
{
	ssize_t received = recv(fd, buffer, buffer_bytes, 0);
	ssize_t sent;

	if (received < 0 && (errno == EAGAIN || errno == EINTR) && !ending)
		return;
	/* EOF, an error, or nothing more to echo while the server shuts down. */
	if (received <= 0) {
		close_connection(fd);
		return;
	}

	sent = send_some(fd, buffer, (size_t)received);
	if (sent < 0)
		close_connection(fd);
	else if (sent < received)
		keep_rest(fd, buffer + sent, (size_t)(received - sent));
}

static void on_writable(int fd)
{
	struct connection *connection = &connections[fd];
	struct rest *rest = connection->rest;
	ssize_t sent = send_some(fd, rest->bytes + rest->sent, rest->length - rest->sent);

	if (sent < 0) {
		close_connection(fd);
		return;
	}
	rest->sent += (size_t)sent;
	if (rest->sent < rest->length)
		return;
	free(rest);
	connection->rest = NULL;
	watch(EPOLL_CTL_MOD, fd, EPOLLIN);
}

/* The first signal shuts the server down cleanly, the second ends it at once. */
static void on_signal(void)
{
	struct signalfd_siginfo info;

	if (read(signal_fd, &info, sizeof(info)) != sizeof(info))
		output_error(EXIT_FAILURE, errno, "reading a signal");
	ended = ending;
	ending = true;
}

static void turn(int timeout_ms)
{
	struct epoll_event events[EVENTS_A_TURN];
	int count = epoll_wait(epoll_fd, events, EVENTS_A_TURN, timeout_ms);

	if (count < 0 && errno != EINTR)
		output_error(EXIT_FAILURE, errno, "epoll_wait");

	for (int i = 0; i < count; i++) {
		int fd = events[i].data.fd;

		if (fd == listener_fd)
			accept_connections();
		else if (fd == signal_fd)
			on_signal();
		else if (connections[fd].rest)
			on_writable(fd);
		else
			on_readable(fd);
	}
}

/* How long to wait: until the listener is tried again after a shortage, or forever. */
static int accept_timeout_ms(void)
{
	long left = accept_again_ms - now_ms();

	if (left > 0)
		return (int)left;
	accept_again_ms = 0;
	set_accepting(open_count < open_limit);
	return NO_TIMEOUT;
}

static void serve(void)
{
	while (!ending)
		turn(accept_again_ms ? accept_timeout_ms() : NO_TIMEOUT);
}

/*
 * Receives once from each connection that owes its client nothing, and closes it if there's nothing
 * to receive. Returns whether all that are left wait for their clients to read.
 */
static bool all_wait_to_send(void)
{
	unsigned waiting = 0;

	for (int fd = 0; fd < descriptors; fd++) {
		if (connections[fd].open && !connections[fd].rest)
			on_readable(fd);
		waiting += connections[fd].rest != NULL;
	}
	return waiting == open_count;
}

/*
 * Echoes what has arrived, and closes each connection once it has nothing more to receive, because
 * closing a socket with unread input resets it, which destroys what was already sent.
 */
static void end_in_order(void)
{
	long deadline = now_ms() + GRACE_MS;
	long left = GRACE_MS;
	bool waiting;

	close(listener_fd);
	listener_fd = -1;
	while (open_count > 0 && left > 0 && !ended) {
		waiting = all_wait_to_send();
		if (open_count > 0)
			turn(waiting ? (int)left : 0);
		left = deadline - now_ms();
	}
}

/*
 * Sets the limit on descriptors to what `open_limit` connections need, so that it also bounds the
 * table. If the hard limit is lower, it lowers `open_limit`.
 */
static void set_descriptor_limit(void)
{
	rlim_t wanted = (rlim_t)open_limit + OTHER_DESCRIPTORS;
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		output_error(EXIT_FAILURE, errno, "getrlimit");
	if (limit.rlim_max <= OTHER_DESCRIPTORS)
		output_error(EXIT_FAILURE, 0,
			     "the hard limit on descriptors is %lu (raise it with ulimit -Hn)",
			     (unsigned long)limit.rlim_max);
	limit.rlim_cur = wanted < limit.rlim_max ? wanted : limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		output_error(EXIT_FAILURE, errno, "setrlimit");

	if (limit.rlim_cur < wanted) {
		open_limit = (unsigned)limit.rlim_cur - OTHER_DESCRIPTORS;
		output_error(
			0, 0,
			"the hard limit on descriptors allows %u connections (raise it with ulimit -Hn)",
			open_limit);
	}
	descriptors = (int)limit.rlim_cur;
}

static void open_all(const char *address, unsigned port)
{
	/* Blocked before the port is announced: whoever reads the line may send a signal. */
	signal_fd = signals_open(SIGINT, SIGTERM, 0);
	listener_fd = listener_open(address, port, SOMAXCONN);
	if (fcntl(listener_fd, F_SETFL, O_NONBLOCK) < 0)
		output_error(EXIT_FAILURE, errno, "fcntl");
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (epoll_fd < 0)
		output_error(EXIT_FAILURE, errno, "epoll_create1");
	watch(EPOLL_CTL_ADD, signal_fd, EPOLLIN);
	watch(EPOLL_CTL_ADD, listener_fd, EPOLLIN);
	accepting = true;

	set_descriptor_limit();
	connections = calloc((size_t)descriptors, sizeof(*connections));
	if (!connections)
		output_error(EXIT_FAILURE, ENOMEM, "a table of %d connections", descriptors);
	listener_announce(listener_fd);
}

int main(int argc, char **argv)
{
	const char *address = "127.0.0.1";
	const struct option_entry options[] = {
		{"bind", "ADDR", "address to listen on", .text = &address},
		{"connections", "N", "most connections at a time", .number = &open_limit,
		 .least = 1, .most = MOST_CONNECTIONS},
		{"buffer-size", "BYTES", "that are received at a time", .number = &buffer_bytes,
		 .least = 1, .most = MAX_BUFFER_BYTES},
		{0},
	};

	output_open();
	options_parse(
		argc, argv,
		"[OPTIONS] [PORT]\n"
		"Echoes over TCP with epoll, to compare days 5 and 6 with. PORT 0 takes a free one;\n"
		"the default is 7100.",
		options);
	open_all(address, option_port(argc, argv, DEFAULT_PORT));
	serve();
	end_in_order();
	return EXIT_SUCCESS;
}
