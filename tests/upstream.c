/*
 * What a proxy has to pass on: one end of a conversation, or many, as the server or as the client.
 * Each end sends so many bytes, ends in the way it is told to, and prints what it has heard: how
 * many bytes, whether they were the right ones, and how they ended. Two of these, one on either
 * side of a proxy, show what has crossed it; one with a server right beside it, what should have.
 *
 *   3: sent 1000, received 500, then EOF      (or "then reset", "then ETIMEDOUT", "then nothing")
 *
 * The first eight bytes of a stream are drawn by lot, and the others follow from them and from
 * their position. Bytes that are lost, repeated, reordered or another stream's are "WRONG at N".
 *
 * One thread, poll(2) and plain sockets. Exit status 0 unless something was wrong.
 *
 * Run: make test-programs && ./build/tests/upstream --help
 */
#include <arpa/inet.h>
#include <errno.h>
#include <error.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/options.h"

#define PIECE_BYTES 65536 /* most that is sent or received by one call */
#define SMALL_BYTES 16384 /* of a socket's buffer */
#define MOST_ENDS   20000
#define TICK_MS	    2	/* between two looks at the time */
#define FULL_MS	    100 /* a connect that takes longer finds the backlog full */

/* How it ends when all is sent: as a server or client would, or not until the other one does. */
enum ending { FIN, RESET, HOLD };

struct end {
	int fd;
	unsigned number;
	bool connecting;
	bool ended;	/* has done what it does when all is sent */
	bool eof;	/* has come */
	int failed;	/* with this error */
	uint64_t seed;	/* of what it sends */
	uint64_t heard; /* the seed of what it receives: the first eight bytes */
	uint64_t sent, received;
	uint64_t wrong_at;	     /* 1 + position; 0: nothing was */
	long long write_ms, read_ms; /* not to write, or read, before */
};

static struct {
	const char *address;
	const char *ending_name;
	enum ending ending;
	unsigned connections, bytes, chunk, chunk_ms, after, pace, asks, answers, deadline_s;
	bool client, deaf, small, on_signal, full, quiet;
} options = {
	.address = "127.0.0.1",
	.ending_name = "fin",
	.chunk = PIECE_BYTES,
	.deadline_s = 30,
};

static struct end ends[MOST_ENDS];
static struct pollfd polled[1 + MOST_ENDS]; /* the listening socket, and the ends' */
static unsigned in_use, begun, connected, over;
static bool bad;
static long long now_ms;
static volatile sig_atomic_t released;

/* ---- The bytes ---- */

static unsigned char byte_at(uint64_t seed, uint64_t position)
{
	uint64_t word = seed ^ (position / 8 * UINT64_C(0x9e3779b97f4a7c15));

	return (unsigned char)(word >> (position % 8 * 8));
}

static void fill(const struct end *end, unsigned char *bytes, size_t length)
{
	for (size_t i = 0; i < length; i++)
		bytes[i] = byte_at(end->seed, end->sent + i);
}

static void compare(struct end *end, const unsigned char *bytes, size_t length)
{
	for (size_t i = 0; i < length; i++, end->received++) {
		if (end->received < 8)
			end->heard |= (uint64_t)bytes[i] << (8 * end->received);
		else if (bytes[i] != byte_at(end->heard, end->received) && end->wrong_at == 0)
			end->wrong_at = 1 + end->received;
	}
}

/* ---- One end ---- */

static const char *how_it_ended(const struct end *end)
{
	static char text[64];
	const char *name = end->failed ? strerrorname_np(end->failed) : NULL;

	if (end->failed == ECANCELED)
		name = "reset by itself";
	else if (end->failed == ECONNRESET || end->failed == EPIPE)
		name = "reset";
	snprintf(text, sizeof(text), "%s%s%s", end->eof ? "EOF" : "",
		 end->eof && name ? ", then " : "",
		 name	    ? name
		 : end->eof ? ""
			    : "nothing");
	return text;
}

static void report(const struct end *end)
{
	bad |= end->wrong_at > 0;
	if (options.quiet && end->wrong_at == 0 && end->eof && end->failed == 0)
		return;
	printf("%u: ", end->number);
	if (end->connecting)
		printf("not connected: %s\n", strerrorname_np(end->failed));
	else if (end->wrong_at > 0)
		printf("WRONG at %" PRIu64 "\n", end->wrong_at - 1);
	else
		printf("sent %" PRIu64 ", received %" PRIu64 ", then %s\n", end->sent,
		       end->received, how_it_ended(end));
	fflush(stdout);
}

/* The last one takes its place. */
static void finish(struct end *end)
{
	report(end);
	close(end->fd);
	over++;
	*end = ends[--in_use];
}

static void reset(const struct end *end)
{
	const struct linger now = {.l_onoff = 1, .l_linger = 0};

	if (setsockopt(end->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now)) < 0)
		error(EXIT_FAILURE, errno, "setsockopt");
}

static bool may_begin(const struct end *end)
{
	return (!options.on_signal || released) && end->received >= options.after;
}

static bool has_more(const struct end *end)
{
	return end->sent < options.bytes && end->failed == 0;
}

/* In an exchange of messages: up to where it may send, given what has come. */
static uint64_t limit_of(const struct end *end)
{
	if (options.asks > 0)
		return end->received - end->received % options.asks + options.asks;
	if (options.answers > 0)
		return end->received - end->received % options.answers;
	return options.bytes;
}

static void end_it(struct end *end)
{
	end->ended = true;
	if (options.ending == RESET) {
		reset(end);
		end->failed = ECANCELED; /* by itself */
	} else if (options.ending == FIN && shutdown(end->fd, SHUT_WR) < 0 && errno != ENOTCONN) {
		end->failed = errno; /* ENOTCONN: it has been reset, as it will find out */
	}
}

/* The error of a socket is reported once, by whichever call comes first. */
static void note_error(struct end *end)
{
	if (errno != EAGAIN && errno != EINTR && end->failed == 0)
		end->failed = errno;
}

static void write_some(struct end *end)
{
	unsigned char bytes[PIECE_BYTES];
	uint64_t limit = limit_of(end);
	uint64_t left = (limit < options.bytes ? limit : options.bytes) - end->sent;
	size_t length = left < options.chunk ? (size_t)left : options.chunk;
	ssize_t sent;

	fill(end, bytes, length);
	sent = send(end->fd, bytes, length, MSG_NOSIGNAL);
	if (sent < 0)
		note_error(end);
	else
		end->sent += (uint64_t)sent;
	end->write_ms = now_ms + options.chunk_ms;
}

static void read_some(struct end *end)
{
	unsigned char bytes[PIECE_BYTES];
	size_t most = options.pace > 0 && options.pace < PIECE_BYTES ? options.pace : PIECE_BYTES;
	ssize_t received = recv(end->fd, bytes, most, 0);

	if (received < 0)
		note_error(end);
	else if (received == 0)
		end->eof = true;
	else
		compare(end, bytes, (size_t)received);
	end->read_ms = now_ms + (options.pace > 0);
}

/* What had come before the error counts. */
static void read_the_rest(struct end *end)
{
	unsigned char bytes[PIECE_BYTES];
	ssize_t received;

	while (!options.deaf && (received = recv(end->fd, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0)
		compare(end, bytes, (size_t)received);
}

static bool may_write(const struct end *end)
{
	return has_more(end) && may_begin(end) && now_ms >= end->write_ms &&
	       end->sent < limit_of(end);
}

static bool may_read(const struct end *end)
{
	return !end->eof && (!options.deaf || released) && now_ms >= end->read_ms;
}

/* Of a connect that has come to its end, or of an end that reads nothing. */
static void ask_for_error(struct end *end)
{
	socklen_t length = sizeof(end->failed);

	getsockopt(end->fd, SOL_SOCKET, SO_ERROR, &end->failed, &length);
}

static short wanted(const struct end *end)
{
	return (short)((may_read(end) ? POLLIN : 0) |
		       (end->connecting || may_write(end) ? POLLOUT : 0));
}

static void converse(struct end *end, short events)
{
	if (events & POLLOUT && may_write(end))
		write_some(end);
	if (end->failed)
		read_the_rest(end);
	else if (events & (POLLIN | POLLERR | POLLHUP) && may_read(end))
		read_some(end);
	else if (events & POLLERR && options.deaf)
		ask_for_error(end);
	if (end->failed == 0 && !end->ended && !has_more(end) && may_begin(end) &&
	    (options.ending != HOLD || end->eof))
		end_it(end);
}

/* Whether it goes on. */
static bool go_on(struct end *end, short events)
{
	if (end->connecting && events) {
		ask_for_error(end);
		/* The reset may come before anybody has looked at the connection. */
		end->connecting = end->failed != 0 && end->failed != ECONNRESET;
		connected += !end->connecting;
	} else if (!end->connecting) {
		converse(end, events);
	}
	return end->failed == 0 && !(end->eof && end->ended);
}

/* ---- Sockets ---- */

static void make_small(int fd)
{
	const int bytes = SMALL_BYTES;

	if (options.small && (setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes)) < 0 ||
			      setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes)) < 0))
		error(EXIT_FAILURE, errno, "setsockopt");
}

static void begin(int fd, bool connecting)
{
	struct end *end = &ends[in_use++];

	*end = (struct end){.fd = fd, .connecting = connecting, .number = begun++};
	if (getrandom(&end->seed, sizeof(end->seed), 0) != (ssize_t)sizeof(end->seed))
		error(EXIT_FAILURE, errno, "getrandom");
}

static int open_socket(const struct addrinfo *address)
{
	int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		error(EXIT_FAILURE, errno, "socket");
	make_small(fd);
	return fd;
}

static int begin_connect(const struct addrinfo *address)
{
	int fd = open_socket(address);

	if (connect(fd, address->ai_addr, address->ai_addrlen) < 0 && errno != EINPROGRESS)
		error(EXIT_FAILURE, errno, "connect");
	return fd;
}

/* Connects to itself until that takes too long: nobody else will be answered then. */
static void fill_backlog(const struct addrinfo *address)
{
	struct pollfd wait;

	do
		wait = (struct pollfd){.fd = begin_connect(address), .events = POLLOUT};
	while (poll(&wait, 1, FULL_MS) > 0);
}

static void listen_on(struct addrinfo *address)
{
	socklen_t length = address->ai_addrlen;
	const int on = 1;
	int fd = open_socket(address);

	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    bind(fd, address->ai_addr, length) < 0 || listen(fd, options.full ? 0 : SOMAXCONN) < 0)
		error(EXIT_FAILURE, errno, "listening");
	if (getsockname(fd, address->ai_addr, &length) < 0)
		error(EXIT_FAILURE, errno, "getsockname");
	polled[0] = (struct pollfd){.fd = fd, .events = POLLIN};
	if (options.full) {
		fill_backlog(address);
		polled[0].events = 0;
	}
	/* The port has the same place in IPv4 and IPv6 addresses. */
	printf("listening on %s:%u\n", options.address,
	       ntohs(((const struct sockaddr_in *)address->ai_addr)->sin_port));
	fflush(stdout);
}

static void accept_all(void)
{
	int fd;

	while (in_use < MOST_ENDS &&
	       (fd = accept4(polled[0].fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
		begin(fd, false);
}

/* ---- All of them ---- */

static void look_at_all(void)
{
	for (unsigned i = in_use; i-- > 0;)
		if (!go_on(&ends[i], polled[1 + i].revents))
			finish(&ends[i]);
}

static void wait_for_any(void)
{
	for (unsigned i = 0; i < in_use; i++)
		polled[1 + i] = (struct pollfd){.fd = ends[i].fd, .events = wanted(&ends[i])};
	if (poll(polled, 1 + in_use, TICK_MS) < 0 && errno != EINTR)
		error(EXIT_FAILURE, errno, "poll");
	now_ms = clock_ns() / NS_PER_MS;
}

static void run(void)
{
	long long deadline_ms = (clock_ns() / NS_PER_MS) + options.deadline_s * 1000LL;
	bool announced = false;

	while (options.connections == 0 || over < options.connections) {
		wait_for_any();
		look_at_all();
		if (polled[0].revents & POLLIN)
			accept_all();
		if (options.client && connected == options.connections && !announced) {
			announced = true;
			printf("ready\n");
			fflush(stdout);
		}
		if (options.client && now_ms > deadline_ms) {
			while (in_use > 0)
				finish(&ends[0]);
			exit(EXIT_FAILURE);
		}
	}
}

static void release(int signal_number)
{
	(void)signal_number;
	released = 1;
}

static void allow_descriptors(void)
{
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

static void parse_options(int argc, char **argv)
{
	static const char *const names[] = {"fin", "reset", "hold"};
	const struct option_entry entries[] = {
		{"client", NULL, "connect to PORT instead of listening there",
		 .flag = &options.client},
		{"address", "ADDR", "of the server", .text = &options.address},
		{"connections", "N", "at once; a server ends after so many (0: never)",
		 .number = &options.connections, .most = MOST_ENDS},
		{"send", "BYTES", "by each end", .number = &options.bytes, .most = UINT32_MAX},
		{"chunk", "BYTES", "by one call", .number = &options.chunk, .least = 1,
		 .most = PIECE_BYTES},
		{"chunk-ms", "MS", "between two of them", .number = &options.chunk_ms,
		 .most = 60000},
		{"after", "BYTES", "nothing before so many have come", .number = &options.after,
		 .most = UINT32_MAX},
		{"asks", "BYTES", "after so many wait for as many", .number = &options.asks,
		 .most = PIECE_BYTES},
		{"answers", "BYTES", "send so many when as many have come",
		 .number = &options.answers, .most = PIECE_BYTES},
		{"then", "fin|reset|hold", "how it ends; hold: when the other end does",
		 .text = &options.ending_name},
		{"pace", "BYTES", "received in a millisecond, at most", .number = &options.pace,
		 .most = PIECE_BYTES},
		{"deaf", NULL, "receive nothing before SIGUSR1", .flag = &options.deaf},
		{"on-signal", NULL, "nothing is sent or ended before SIGUSR1",
		 .flag = &options.on_signal},
		{"small", NULL, "small buffers in the kernel", .flag = &options.small},
		{"full", NULL, "a server whose backlog is full: it answers nobody",
		 .flag = &options.full},
		{"quiet", NULL, "nothing about those that end with EOF", .flag = &options.quiet},
		{"deadline", "S", "of a client", .number = &options.deadline_s, .least = 1,
		 .most = 1000},
		{0},
	};

	options_parse(argc, argv,
		      "[OPTIONS] PORT\n"
		      "One end of conversations, to stand on either side of a proxy.",
		      entries);
	while (options.ending <= HOLD && strcmp(names[options.ending], options.ending_name) != 0)
		options.ending++;
	if (options.ending > HOLD)
		usage_error("--then: '%s' is none of fin, reset and hold", options.ending_name);
	options.connections += options.client && options.connections == 0;
}

static struct addrinfo *find_address(unsigned port)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST};
	struct addrinfo *address;
	char service[sizeof("65535")];

	snprintf(service, sizeof(service), "%hu", (unsigned short)port);
	if (getaddrinfo(options.address, service, &hints, &address) != 0)
		error(EXIT_FAILURE, 0, "'%s' is no address", options.address);
	return address;
}

int main(int argc, char **argv)
{
	struct addrinfo *address;

	parse_options(argc, argv);
	allow_descriptors();
	signal(SIGUSR1, release);
	address = find_address(option_port(argc, argv, 0));
	polled[0].fd = -1;
	for (unsigned i = 0; options.client && i < options.connections; i++)
		begin(begin_connect(address), true);
	if (!options.client)
		listen_on(address);
	freeaddrinfo(address);
	run();
	return bad ? EXIT_FAILURE : EXIT_SUCCESS;
}
