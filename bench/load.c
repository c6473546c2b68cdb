/*
 * Loads an echo server and measures it: one thread with epoll, so that it doesn't depend on what it
 * compares. It works against any server that sends back what it receives.
 *
 * Each connection sends its own stream of bytes, and every byte that comes back is compared. The
 * content is a table of random bytes, read in a circle from a place that the connection's number
 * determines. So sending needs no copy, comparing is one memcmp(3), and you notice a byte that's
 * lost, repeated, out of sequence or another connection's. A message is a stretch of the stream.
 *
 * If the server corrupts, closes early or makes no progress, the run ends with a message and exit
 * status 1, because its figures would mean nothing.
 *
 * Run it: make bench-programs && ./bench/epoll-echo 7100, and in another terminal:
 * ./bench/load --connections 50 --size 512 7100
 */
#include "bench/histogram.h"
#include "common/options.h"
#include "common/signals.h"

#include <errno.h>
#include <error.h>
#include <inttypes.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define DEFAULT_PORT	  7005
#define DEFAULT_MS	  2000
#define MOST_CONNECTIONS  1000000
#define MOST_IN_FLIGHT	  65536
#define MOST_BYTES	  (1U << 30)
#define MOST_REPLY_BYTES  4096
#define TABLE_BYTES	  262139 /* a prime: no server's buffer size divides it */
#define CHUNK_BYTES	  65536
#define EVENTS_A_TURN	  512
#define CHECK_NS	  (100 * MILLISECOND)
#define MILLISECOND	  UINT64_C(1000000)
#define SECOND		  UINT64_C(1000000000)
#define HOG_BYTES	  65536 /* of socket buffer */
#define HOG_SEGMENT_BYTES 1460	/* as through Ethernet */
#define STUCK_MS	  300	/* without a byte sent: no hog is to come further */
#define DISTURBED	  0.05	/* of the time */
#define SATURATED	  0.95	/* of a CPU */

struct connection {
	unsigned serial; /* decides the content */
	int fd;
	unsigned watched;   /* the events epoll watches for */
	bool finished;	    /* has sent and received everything, waits for end-of-file */
	uint64_t granted;   /* messages it may send */
	uint64_t completed; /* messages that came back */
	uint64_t sent;	    /* bytes */
	uint64_t received;
	uint64_t progress_ns; /* when it last received something or had nothing to wait for */
	uint64_t *started_ns; /* of each message in flight, a circle of `in_flight` */
};

enum phase { WARMING_UP, MEASURING, FINISHING };

/* Counted while measuring. */
struct counts {
	uint64_t ns;
	uint64_t messages;
	uint64_t bytes;
	uint64_t own_cpu_ns;
	uint64_t own_wait_ns; /* ready to run while something else had the CPU */
	uint64_t server_cpu_ns;
	uint64_t server_wait_ns;
	uint64_t stolen_ns; /* taken from this virtual machine, on any of its CPUs */
};

/* The options. */
static const char *host = "127.0.0.1";
static unsigned connection_count = 1;
static unsigned message_bytes;
static unsigned in_flight = 1;
static unsigned duration_ms;
static unsigned message_count;
static unsigned warm_up_ms;
static unsigned stall_s = 5;
static unsigned server_pid;
static const char *reply; /* what answers a message, or NULL: the message itself */
static unsigned reply_bytes;
static bool streaming;
static bool reconnecting;
static unsigned idle_count;
static unsigned hog_count;
static bool print_values;

static struct addrinfo *address;
/* Each ends with its beginning repeated, so that a chunk from anywhere inside is in one piece. */
static char table[TABLE_BYTES + CHUNK_BYTES];
static char replies[MOST_REPLY_BYTES + CHUNK_BYTES];
static struct connection *connections;
static unsigned next_serial;
static unsigned unfinished;
static int epoll_fd;

static enum phase phase;
static uint64_t phase_end_ns;
static uint64_t granted_total;
static struct counts now_counts; /* messages and bytes since the start */
static struct counts first_counts, last_counts;
static struct histogram latencies;

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	if (clock_gettime(clock, &now) < 0)
		error(EXIT_FAILURE, errno, "clock_gettime");
	return (uint64_t)now.tv_sec * SECOND + (uint64_t)now.tv_nsec;
}

static uint64_t now_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

/* xorshift64: the content only has to look random. */
static void fill_tables(void)
{
	uint64_t state = 0x9e3779b97f4a7c15;

	for (size_t i = 0; i < TABLE_BYTES; i++) {
		state ^= state << 13;
		state ^= state >> 7;
		state ^= state << 17;
		table[i] = (char)(state >> 32);
	}
	memcpy(table + TABLE_BYTES, table, CHUNK_BYTES);
	for (size_t i = 0; reply && i < sizeof(replies); i++)
		replies[i] = reply[i % reply_bytes];
}

/* The stream of `connection` from `offset` on; CHUNK_BYTES of it can be used. */
static const char *content(const struct connection *connection, uint64_t offset)
{
	return table + (connection->serial * UINT64_C(40503) + offset) % TABLE_BYTES;
}

/* What has to come back on it from there on. */
static const char *expected_content(const struct connection *connection, uint64_t offset)
{
	return reply ? replies + offset % reply_bytes : content(connection, offset);
}

/* How many bytes have to come back for what was sent so far. */
static uint64_t owed(const struct connection *connection)
{
	return reply ? connection->sent / message_bytes * reply_bytes : connection->sent;
}

/* The CPU time of all threads of the server, kernel workers of its rings included. */
static uint64_t server_cpu_ns(void)
{
	clockid_t clock;

	if (!server_pid)
		return 0;
	if (clock_getcpuclockid((pid_t)server_pid, &clock) != 0)
		error(EXIT_FAILURE, 0, "the server, process %u, is gone", server_pid);
	return clock_ns(clock);
}

/* The second number of schedstat, or 0 if the kernel doesn't count it. */
static uint64_t wait_ns(const char *process)
{
	char path[64];
	uint64_t cpu_ns, waited_ns = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%s/schedstat", process);
	file = fopen(path, "re");
	if (!file)
		return 0;
	if (fscanf(file, "%" SCNu64 " %" SCNu64, &cpu_ns, &waited_ns) != 2)
		waited_ns = 0;
	fclose(file);
	return waited_ns;
}

/* The eighth number of the first line of /proc/stat, or 0. */
static uint64_t stolen_ns(void)
{
	uint64_t ticks = 0;
	FILE *file = fopen("/proc/stat", "re");

	if (!file)
		return 0;
	if (fscanf(file, "cpu %*u %*u %*u %*u %*u %*u %*u %" SCNu64, &ticks) != 1)
		ticks = 0;
	fclose(file);
	return ticks * (SECOND / (uint64_t)sysconf(_SC_CLK_TCK));
}

static struct counts count_now(uint64_t now)
{
	struct counts counts = now_counts;
	char server[sizeof("4294967295")];

	counts.ns = now;
	counts.own_cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	counts.own_wait_ns = wait_ns("self");
	counts.server_cpu_ns = server_cpu_ns();
	snprintf(server, sizeof(server), "%u", server_pid);
	counts.server_wait_ns = server_pid ? wait_ns(server) : 0;
	counts.stolen_ns = stolen_ns();
	return counts;
}

static void server_failed(const struct connection *connection, const char *what)
{
	error(EXIT_FAILURE, 0,
	      "connection %u: %s (%" PRIu64 " bytes sent, %" PRIu64 " came back in order)",
	      connection->serial, what, connection->sent, connection->received);
}

static void call_failed(const struct connection *connection)
{
	bool closed = errno == ECONNRESET || errno == EPIPE;

	server_failed(connection, closed ? "the server closed it early" : strerror(errno));
}

static void watch(struct connection *connection, unsigned events)
{
	struct epoll_event event = {.events = events, .data.ptr = connection};

	if (connection->watched == events)
		return;
	if (epoll_ctl(epoll_fd, connection->watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, connection->fd,
		      &event) < 0)
		error(EXIT_FAILURE, errno, "epoll_ctl");
	connection->watched = events;
}

/*
 * Connections that come and go are closed by a reset, because a clean close would make each port
 * unusable for a minute, and there are only some 28,000.
 */
static void close_by_reset(int fd)
{
	const struct linger linger = {.l_onoff = 1, .l_linger = 0};

	if (setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)) < 0)
		error(EXIT_FAILURE, errno, "setsockopt");
}

/* Small buffers and segments, or a thousand hogs would use up the memory that TCP may have. */
static void make_small(int fd)
{
	const int buffer = HOG_BYTES;
	const int segment = HOG_SEGMENT_BYTES;

	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof(buffer)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof(buffer)) < 0 ||
	    setsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &segment, sizeof(segment)) < 0)
		error(EXIT_FAILURE, errno, "setsockopt");
}

static const char *connect_advice(int error_number)
{
	switch (error_number) {
	case ECONNREFUSED: return " (no server listens there)";
	case EADDRNOTAVAIL:
		return " (all local ports are in use: fewer connections, or wait a minute)";
	case EMFILE: return " (raise the limit on descriptors with ulimit -n)";
	case EINPROGRESS: return " (the server does not accept it in time)";
	default: return "";
	}
}

static void open_connection(struct connection *connection, int flags)
{
	const struct timeval patience = {.tv_sec = stall_s};
	uint64_t *started_ns = connection->started_ns;
	int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);

	if (fd < 0)
		error(EXIT_FAILURE, errno, "socket%s", connect_advice(errno));
	/* This also limits a blocking connect(2). */
	if (!flags && setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) < 0)
		error(EXIT_FAILURE, errno, "setsockopt");
	if (hog_count)
		make_small(fd);
	if (connect(fd, address->ai_addr, address->ai_addrlen) < 0 &&
	    !(flags && errno == EINPROGRESS))
		error(EXIT_FAILURE, errno, "connection %u: connect%s", next_serial,
		      connect_advice(errno));
	if (reconnecting)
		close_by_reset(fd);
	*connection = (struct connection){
		.serial = next_serial++,
		.fd = fd,
		.started_ns = started_ns,
	};
}

static bool may_grant(void)
{
	return phase != FINISHING && (!message_count || granted_total < message_count);
}

/* Lets `connection` send as many further messages as may be in flight. */
static void grant(struct connection *connection, uint64_t now)
{
	while (may_grant() &&
	       (streaming ? connection->sent == connection->granted * message_bytes
			  : connection->granted - connection->completed < in_flight)) {
		if (!streaming)
			connection->started_ns[connection->granted % in_flight] = now;
		connection->granted++;
		granted_total++;
	}
}

/* Sends what it may, as far as the socket takes it. */
static void send_granted(struct connection *connection)
{
	uint64_t left = connection->granted * message_bytes - connection->sent;

	while (left > 0) {
		size_t length = left < CHUNK_BYTES ? (size_t)left : CHUNK_BYTES;
		ssize_t sent = send(connection->fd, content(connection, connection->sent), length,
				    MSG_NOSIGNAL | MSG_DONTWAIT);

		if (sent < 0 && errno != EAGAIN)
			call_failed(connection);
		if (sent < 0)
			break;
		connection->sent += (uint64_t)sent;
		left -= (uint64_t)sent;
		/* One send a turn, so that what comes back meanwhile is not left lying. */
		if (streaming)
			break;
	}
	watch(connection, (streaming && may_grant()) || left > 0 ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

static void check_bytes(struct connection *connection, const char *bytes, size_t length)
{
	const char *expected = expected_content(connection, connection->received);
	size_t i = 0;

	if (connection->received + length > owed(connection))
		server_failed(connection, "the server sent back more than it should");
	if (memcmp(bytes, expected, length) == 0)
		return;
	while (bytes[i] == expected[i])
		i++;
	connection->received += i;
	server_failed(connection, "the server sent back other bytes than it should");
}

static void complete_messages(struct connection *connection, uint64_t now)
{
	while (connection->completed < connection->received / reply_bytes) {
		if (phase == MEASURING && !streaming)
			histogram_add(
				&latencies,
				now - connection->started_ns[connection->completed % in_flight]);
		connection->completed++;
		now_counts.messages++;
	}
}

/* Receives once. False if there was nothing. */
static bool receive(struct connection *connection)
{
	static char buffer[CHUNK_BYTES];
	ssize_t length = recv(connection->fd, buffer, sizeof(buffer), MSG_DONTWAIT);

	if (length < 0 && errno == EAGAIN)
		return false;
	if (length < 0)
		call_failed(connection);
	if (length == 0)
		server_failed(connection, "the server closed it early");
	check_bytes(connection, buffer, (size_t)length);
	connection->received += (uint64_t)length;
	now_counts.bytes += (uint64_t)length;
	return true;
}

/* All came back: shuts down, and the server has to answer with EOF and nothing else. */
static void finish(struct connection *connection)
{
	if (shutdown(connection->fd, SHUT_WR) < 0)
		call_failed(connection);
	connection->finished = true;
	watch(connection, EPOLLIN);
}

static void on_end(struct connection *connection)
{
	char byte;
	ssize_t length = recv(connection->fd, &byte, 1, MSG_DONTWAIT);

	if (length > 0)
		server_failed(connection, "the server sent back more than it should");
	if (length < 0 && errno == EAGAIN)
		return;
	if (length < 0)
		call_failed(connection);
	close(connection->fd);
	connection->fd = -1;
	unfinished--;
}

static bool has_everything(const struct connection *connection)
{
	return connection->received == owed(connection) &&
	       connection->sent == connection->granted * message_bytes;
}

static void on_input(struct connection *connection)
{
	if (!receive(connection))
		return;
	connection->progress_ns = now_ns();
	complete_messages(connection, connection->progress_ns);
}

static void on_output(struct connection *connection)
{
	grant(connection, now_ns());
	send_granted(connection);
	if (!may_grant() && has_everything(connection))
		finish(connection);
}

/*
 * First receives all that has come back, then sends all that may follow: real clients don't know
 * of each other, so they don't wait for each other either.
 */
static void on_events(const struct epoll_event *events, int count)
{
	struct connection *connection;

	for (int i = 0; i < count; i++) {
		connection = events[i].data.ptr;
		if (connection->finished)
			on_end(connection);
		else if (events[i].events & ~(unsigned)EPOLLOUT)
			on_input(connection);
	}
	for (int i = 0; i < count; i++) {
		connection = events[i].data.ptr;
		if (!connection->finished)
			on_output(connection);
	}
}

/* --connect: the next connection. Its message is sent at once if the kernel takes it. */
static void start_over(struct connection *connection)
{
	uint64_t now = now_ns();

	if (!may_grant()) {
		unfinished--;
		return;
	}
	open_connection(connection, SOCK_NONBLOCK);
	connection->progress_ns = now;
	connection->started_ns[0] = now;
	connection->granted = 1;
	granted_total++;
	/* Without a message the server has to close. */
	if (message_bytes > 0)
		send_granted(connection);
	else
		watch(connection, EPOLLIN);
}

static void complete_connection(struct connection *connection)
{
	if (phase == MEASURING)
		histogram_add(&latencies, now_ns() - connection->started_ns[0]);
	now_counts.messages++;
	close(connection->fd);
	connection->fd = -1;
}

static void on_connect_event(struct connection *connection, unsigned events)
{
	char byte;

	if (message_bytes == 0) {
		ssize_t length = recv(connection->fd, &byte, 1, MSG_DONTWAIT);

		if (length > 0)
			server_failed(connection, "the server sent back more than it should");
		if (length < 0 && errno == EAGAIN)
			return;
		if (length < 0 && errno != ECONNRESET)
			call_failed(connection);
		complete_connection(connection);
		return;
	}
	if (events & EPOLLOUT)
		send_granted(connection);
	if ((events & ~(unsigned)EPOLLOUT) && receive(connection)) {
		connection->progress_ns = now_ns();
		if (connection->received == reply_bytes)
			complete_connection(connection);
	}
}

static void on_connect_events(const struct epoll_event *events, int count)
{
	for (int i = 0; i < count; i++)
		on_connect_event(events[i].data.ptr, events[i].events);
	for (int i = 0; i < count; i++) {
		struct connection *connection = events[i].data.ptr;

		if (connection->fd < 0)
			start_over(connection);
	}
}

static void check_stalls(uint64_t now)
{
	for (unsigned i = 0; i < connection_count; i++) {
		const struct connection *connection = &connections[i];

		if (connection->fd >= 0 && connection->progress_ns + stall_s * SECOND < now)
			server_failed(connection,
				      "the server stalls: nothing came back for a while");
	}
}

static void start_finishing(uint64_t now)
{
	last_counts = count_now(now);
	phase = FINISHING;
	for (unsigned i = 0; i < connection_count && !reconnecting; i++) {
		if (!connections[i].finished && has_everything(&connections[i]))
			finish(&connections[i]);
	}
}

/* However short the time is: without a single message there's nothing to measure. */
static bool has_measured(uint64_t now)
{
	if (message_count)
		return now_counts.messages >= message_count;
	return now >= phase_end_ns && now_counts.messages > first_counts.messages;
}

static void advance_phase(uint64_t now)
{
	if (phase == WARMING_UP && now >= phase_end_ns) {
		phase = MEASURING;
		first_counts = count_now(now);
		phase_end_ns = now + duration_ms * MILLISECOND;
	} else if (phase == MEASURING && has_measured(now)) {
		start_finishing(now);
	}
}

static int timeout_ms(uint64_t now)
{
	uint64_t left = CHECK_NS;

	if (phase != FINISHING && phase_end_ns > now && phase_end_ns < now + left)
		left = phase_end_ns - now;
	return (int)((left + MILLISECOND - 1) / MILLISECOND);
}

static void run(void)
{
	struct epoll_event events[EVENTS_A_TURN];
	uint64_t now = now_ns();
	uint64_t next_check_ns = now + CHECK_NS;

	while (unfinished > 0) {
		int count;

		advance_phase(now);
		count = epoll_wait(epoll_fd, events, EVENTS_A_TURN, timeout_ms(now));
		if (count < 0 && errno != EINTR)
			error(EXIT_FAILURE, errno, "epoll_wait");
		if (reconnecting)
			on_connect_events(events, count);
		else
			on_events(events, count);
		now = now_ns();
		if (now >= next_check_ns) {
			check_stalls(now);
			next_check_ns = now + CHECK_NS;
		}
	}
	if (phase != FINISHING)
		last_counts = count_now(now);
}

static void start(void)
{
	uint64_t now;

	for (unsigned i = 0; i < connection_count && !reconnecting; i++)
		open_connection(&connections[i], 0);
	unfinished = connection_count;
	now = now_ns();
	phase_end_ns = now + warm_up_ms * MILLISECOND;
	advance_phase(now);
	for (unsigned i = 0; i < connection_count; i++) {
		struct connection *connection = &connections[i];

		if (reconnecting) {
			connection->fd = -1;
			start_over(connection);
			continue;
		}
		connection->progress_ns = now;
		grant(connection, now_ns());
		send_granted(connection);
		if (connection->granted == 0)
			finish(connection);
	}
}

/* The number of kB after `name` in a file that lists such numbers, in bytes. */
static double kilobytes_in(const char *path, const char *name)
{
	FILE *file = fopen(path, "re");
	unsigned long number = 0;
	bool found = false;
	char line[256];

	if (!file)
		error(EXIT_FAILURE, errno, "%s", path);
	while (!found && fgets(line, sizeof(line), file)) {
		found = strncmp(line, name, strlen(name)) == 0;
		if (found)
			number = strtoul(line + strlen(name), NULL, 10);
	}
	fclose(file);
	return (double)number * 1024;
}

static double server_memory(void)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%u/smaps_rollup", server_pid);
	return server_pid ? kilobytes_in(path, "Rss:") : 0;
}

/*
 * Waits until something happens to a connection, for at most that many milliseconds (-1: forever).
 * False if standard input or a signal has ended the wait for good.
 */
static bool wait_for_event(int signal_fd, int patience_ms, bool *happened)
{
	struct pollfd ends[] = {
		{.fd = STDIN_FILENO, .events = POLLIN},
		{.fd = signal_fd, .events = POLLIN},
		{.fd = epoll_fd, .events = POLLIN},
	};
	char ignored[64];

	if (poll(ends, sizeof(ends) / sizeof(ends[0]), patience_ms) < 0)
		error(EXIT_FAILURE, errno, "poll");
	*happened = ends[2].revents;
	return !ends[1].revents &&
	       (!ends[0].revents || read(STDIN_FILENO, ignored, sizeof(ignored)) > 0);
}

static void open_all(unsigned events)
{
	for (unsigned i = 0; i < connection_count; i++) {
		open_connection(&connections[i], 0);
		watch(&connections[i], events);
	}
}

/*
 * --idle: holds the connections. The server accepts them in sequence, so one message over the last
 * shows that it has accepted all.
 */
static void hold_idle(void)
{
	struct connection *last = &connections[connection_count - 1];
	int signal_fd = signals_open(SIGINT, SIGTERM, 0);
	struct pollfd answer = {.fd = epoll_fd, .events = POLLIN};
	double bytes_before = server_memory();
	bool happened;

	open_all(EPOLLIN);
	last->granted = 1;
	send_granted(last);
	if (poll(&answer, 1, (int)stall_s * 1000) == 0)
		server_failed(last, "the server stalls: nothing came back for a while");
	if (!receive(last))
		server_failed(&connections[0], "the server closed one of the connections early");
	printf(print_values ? "connections=%u\n" : "holding %u connections\n", connection_count);
	if (server_pid)
		printf(print_values ? "server_bytes=%.1f\n"
				    : "server: %.0f bytes of memory for each of them\n",
		       (server_memory() - bytes_before) / connection_count);
	fflush(stdout);

	while (wait_for_event(signal_fd, -1, &happened)) {
		if (happened)
			error(EXIT_FAILURE, 0, "the server closed one of the connections early");
	}
}

/* Each of those that can sends one chunk. */
static void feed_hogs(void)
{
	struct epoll_event events[EVENTS_A_TURN];
	int count = epoll_wait(epoll_fd, events, EVENTS_A_TURN, 0);

	for (int i = 0; i < count; i++) {
		struct connection *hog = events[i].data.ptr;
		ssize_t sent = send(hog->fd, content(hog, hog->sent), CHUNK_BYTES,
				    MSG_NOSIGNAL | MSG_DONTWAIT);

		if (sent < 0 && errno != EAGAIN)
			call_failed(hog);
		if (sent > 0)
			hog->sent += (uint64_t)sent;
	}
}

/* --hogs: each sends all that the server takes, never reads. Prints a line once all are stuck. */
static void hold_hogs(void)
{
	int signal_fd = signals_open(SIGINT, SIGTERM, 0);
	bool stuck = false;
	bool happened;

	open_all(EPOLLOUT);
	while (wait_for_event(signal_fd, stuck ? -1 : STUCK_MS, &happened)) {
		if (happened) {
			feed_hogs();
		} else if (!stuck) {
			printf("holding %u hogs\n", connection_count);
			fflush(stdout);
			stuck = true;
		}
	}
}

/* What was measured, in the units that are printed. */
struct results {
	double seconds;
	double messages;
	double per_second;
	double bytes_per_second;
	double cpu; /* of the load, as a share of one CPU */
	double waited;
	double server_cpu;
	double server_waited;
	double server_ns; /* for each message */
	double stolen;
	bool saturated;
	bool disturbed;
};

static struct results results(void)
{
	double ns = (double)(last_counts.ns - first_counts.ns);
	double messages = (double)(last_counts.messages - first_counts.messages);
	double server_ns = (double)(last_counts.server_cpu_ns - first_counts.server_cpu_ns);
	struct results results = {
		.seconds = ns / SECOND,
		.messages = messages,
		.per_second = messages * SECOND / ns,
		.bytes_per_second = (double)(last_counts.bytes - first_counts.bytes) * SECOND / ns,
		.cpu = (double)(last_counts.own_cpu_ns - first_counts.own_cpu_ns) / ns,
		.waited = (double)(last_counts.own_wait_ns - first_counts.own_wait_ns) / ns,
		.server_cpu = server_ns / ns,
		.server_waited =
			(double)(last_counts.server_wait_ns - first_counts.server_wait_ns) / ns,
		.server_ns = messages > 0 ? server_ns / messages : 0,
		.stolen = (double)(last_counts.stolen_ns - first_counts.stolen_ns) / ns,
	};

	results.saturated = results.cpu + results.waited >= SATURATED;
	results.disturbed = results.waited + results.server_waited + results.stolen >= DISTURBED;
	return results;
}

static double microseconds(double percent)
{
	return (double)histogram_percentile(&latencies, percent) / 1000;
}

static void print_for_programs(const struct results *results)
{
	printf("seconds=%.4f\nmessages=%.0f\nbytes=%" PRIu64 "\ntotal=%" PRIu64 "\n"
	       "messages_per_s=%.0f\nbytes_per_s=%.0f\n"
	       "p50_us=%.2f\np90_us=%.2f\np99_us=%.2f\np99.9_us=%.2f\nmax_us=%.2f\n"
	       "load_cpu=%.3f\nload_waited=%.3f\nload_saturated=%d\nstolen=%.3f\ndisturbed=%d\n",
	       results->seconds, results->messages, last_counts.bytes - first_counts.bytes,
	       now_counts.messages, results->per_second, results->bytes_per_second,
	       microseconds(50), microseconds(90), microseconds(99), microseconds(99.9),
	       microseconds(100), results->cpu, results->waited, results->saturated,
	       results->stolen, results->disturbed);
	if (server_pid)
		printf("server_cpu=%.3f\nserver_waited=%.3f\nserver_ns_per_message=%.0f\n",
		       results->server_cpu, results->server_waited, results->server_ns);
}

static void print_for_people(const struct results *results)
{
	const char *unit = reconnecting ? "connections" : "messages";

	printf("%.0f %s in %.2f s: %.0f %s/s, %.1f MB/s, every byte compared\n", results->messages,
	       unit, results->seconds, results->per_second, unit, results->bytes_per_second / 1e6);
	if (latencies.total)
		printf("latency, us: p50 %.1f, p90 %.1f, p99 %.1f, p99.9 %.1f, max %.1f\n",
		       microseconds(50), microseconds(90), microseconds(99), microseconds(99.9),
		       microseconds(100));
	if (server_pid)
		printf("server: %.0f%% of a CPU, %.2f us of it for each of the %s\n",
		       results->server_cpu * 100, results->server_ns / 1000, unit);
	printf("load: %.0f%% of a CPU%s\n", results->cpu * 100,
	       results->saturated ? ": saturated, the server may be able to do more" : "");
	if (results->disturbed)
		printf("disturbed: of the time, the load waited %.0f%% for its CPU, the server %.0f%%; "
		       "%.0f%% were stolen from this virtual machine\n",
		       results->waited * 100, results->server_waited * 100, results->stolen * 100);
}

static void print_results(void)
{
	struct results measured = results();

	if (print_values)
		print_for_programs(&measured);
	else
		print_for_people(&measured);
}

static void raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		error(EXIT_FAILURE, errno, "getrlimit");
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		error(EXIT_FAILURE, errno, "setrlimit");
}

static void prepare(unsigned port)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
	char service[sizeof("65535")];
	uint64_t *starts;
	int result;

	snprintf(service, sizeof(service), "%hu", (unsigned short)port);
	result = getaddrinfo(host, service, &hints, &address);
	if (result != 0)
		error(EXIT_FAILURE, 0, "finding the address '%s': %s", host,
		      result == EAI_SYSTEM ? strerror(errno) : gai_strerror(result));

	raise_descriptor_limit();
	fill_tables();
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (epoll_fd < 0)
		error(EXIT_FAILURE, errno, "epoll_create1");
	connections = calloc(connection_count, sizeof(*connections));
	starts = calloc((size_t)connection_count * in_flight, sizeof(*starts));
	if (!connections || !starts)
		error(EXIT_FAILURE, ENOMEM, "%u connections", connection_count);
	for (unsigned i = 0; i < connection_count; i++)
		connections[i].started_ns = starts + (size_t)i * in_flight;
}

static void settle_options(const char *size)
{
	if (streaming + reconnecting + (idle_count > 0) + (hog_count > 0) > 1)
		usage_error("--stream, --connect, --idle and --hogs exclude each other");
	if (duration_ms && message_count)
		usage_error("--duration and --count exclude each other");
	if (message_count && warm_up_ms)
		usage_error("--count and --warm-up exclude each other");
	if (in_flight > 1 && (streaming || reconnecting))
		usage_error("--in-flight is for messages that wait for their echo");
	if (reply && (streaming || idle_count || hog_count))
		usage_error("--reply is for messages that wait for their answer");

	message_bytes = streaming ? CHUNK_BYTES : 64;
	if (size)
		message_bytes = option_number("--size", size, !reconnecting, MOST_BYTES);
	if (idle_count || hog_count) {
		connection_count = idle_count + hog_count;
		message_bytes = 1;
	}
	if (!duration_ms)
		duration_ms = DEFAULT_MS;
	reply_bytes = reply ? (unsigned)strlen(reply) : message_bytes;
	if (reply && (reply_bytes == 0 || reply_bytes > MOST_REPLY_BYTES))
		usage_error("--reply: 1 to %d bytes", MOST_REPLY_BYTES);
}

static unsigned parse_options(int argc, char **argv)
{
	const char *size = NULL;
	const struct option_entry options[] = {
		{"host", "ADDR", "where the server is", .text = &host},
		{"connections", "N", "at a time", .number = &connection_count, .least = 1,
		 .most = MOST_CONNECTIONS},
		{"size", "BYTES", "of a message (default 64, with --stream 65536)", .text = &size},
		{"in-flight", "N", "messages a connection has under way", .number = &in_flight,
		 .least = 1, .most = MOST_IN_FLIGHT},
		{"duration", "MS", "milliseconds to measure (default 2000)", .number = &duration_ms,
		 .least = 10, .most = 86400000},
		{"count", "N", "measure N messages instead", .number = &message_count, .least = 1,
		 .most = UINT32_MAX},
		{"warm-up", "MS", "milliseconds of load before measuring", .number = &warm_up_ms,
		 .most = 600000},
		{"stream", .help = "write and read as fast as possible", .flag = &streaming},
		{"connect",
		 .help = "connect, one message, close, again and again; with --size 0\n"
			 "                        connect and wait for the server to close",
		 .flag = &reconnecting},
		{"idle", "N", "only hold N connections", .number = &idle_count, .least = 1,
		 .most = MOST_CONNECTIONS},
		{"hogs", "N", "only hold N that send what they can and never read",
		 .number = &hog_count, .least = 1, .most = MOST_CONNECTIONS},
		{"reply", "TEXT", "what the server answers, if not the message", .text = &reply},
		{"stall", "S", "seconds without an answer that are a failure", .number = &stall_s,
		 .least = 1, .most = 3600},
		{"server", "PID", "report its CPU time, and with --idle its memory",
		 .number = &server_pid, .least = 1, .most = INT32_MAX},
		{"values", .help = "print name=value lines, for programs", .flag = &print_values},
		{0},
	};

	options_parse(
		argc, argv,
		"[OPTIONS] [PORT]\n"
		"Loads an echo server with messages, each of which waits for its echo, compares\n"
		"every byte that comes back, and prints what it measured. The default port is\n"
		"7005. Pin it and the server to different CPUs with taskset(1). If it only holds\n"
		"connections, end of input or a signal stops it. The exit status is 1 if the\n"
		"server corrupts, closes early or stalls.",
		options);
	settle_options(size);
	return option_port(argc, argv, DEFAULT_PORT);
}

int main(int argc, char **argv)
{
	prepare(parse_options(argc, argv));
	if (idle_count) {
		hold_idle();
	} else if (hog_count) {
		hold_hogs();
	} else {
		start();
		run();
		print_results();
	}
	return EXIT_SUCCESS;
}
