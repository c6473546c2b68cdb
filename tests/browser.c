/*
 * HTTP clients that day 8's server has to be correct under, and that curl can't be: they cut
 * requests anywhere, send them a byte at a time or a hundred at once, read slowly or never, stay in
 * crowds, and run away. What they send is on standard input, as it is.
 *
 * Usage: browser KIND PORT [NUMBER [NUMBER]]
 *
 *   raw PORT               sends it, prints what comes until the end
 *   splits PORT            sends it in two pieces, cut at every byte: all replies are the same
 *   bytes PORT MS          sends a byte each MS milliseconds, again and again, until the end
 *   pipeline PORT N        sends it N times, whether replies come or not: there are N, all the same
 *   sip PORT BYTES MS      reads BYTES each MS milliseconds; with 0 bytes nothing
 *   crowd PORT N           N connections that send it and read one reply; nothing is sent without
 *                          input. Prints "ready", and holds them until SIGTERM
 *   aborts PORT N          N connections that send it, read a little, and reset
 *
 * Exit status: 0 if everything holds. The last line on standard error of those that read to the end
 * tells it: "end: EOF after 123 bytes, 45 ms", or "reset", or "nothing for 10 s".
 */
#include <arpa/inet.h>
#include <errno.h>
#include <error.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MOST_INPUT    (1 << 20)
#define MOST_REPLY    (1 << 20)
#define PATIENCE_MS   10000
#define PIECE_WAIT_MS 30 /* for a server to receive the first piece */
#define AT_A_TIME     200
#define SMALL_RECEIVE 4096
#define LITTLE_BYTES  1000

static struct sockaddr_in server = {.sin_family = AF_INET};
static char input[MOST_INPUT];
static size_t input_bytes;

static void check(bool holds, const char *what)
{
	if (!holds)
		error(EXIT_FAILURE, errno, "%s", what);
}

static void sleep_ms(long ms)
{
	nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

static long long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

static int connect_with(int receive_bytes)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	check(fd >= 0, "socket");
	if (receive_bytes > 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof(receive_bytes));
	check(connect(fd, (struct sockaddr *)&server, sizeof(server)) == 0, "connect");
	return fd;
}

static void send_all(int fd, const char *bytes, size_t length)
{
	while (length > 0) {
		ssize_t sent = send(fd, bytes, length, MSG_NOSIGNAL);

		if (sent < 0)
			return; /* what the server has to say about it is read all the same */
		bytes += sent;
		length -= (size_t)sent;
	}
}

static bool is_readable(int fd, int ms)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

	return poll(&poll_fd, 1, ms) > 0;
}

/* Reads to the end. Returns how many bytes there were, or -1 if it's none: a reset, or silence. */
static ssize_t read_to_end(int fd, char *bytes, size_t most)
{
	size_t length = 0;
	ssize_t got = 1;

	while (got > 0 && length < most && is_readable(fd, PATIENCE_MS)) {
		got = recv(fd, bytes + length, most - length, 0);
		length += got > 0 ? (size_t)got : 0;
	}
	return got == 0 ? (ssize_t)length : -1;
}

/* The Date field may differ from reply to reply. */
static void hide_dates(char *bytes, size_t length)
{
	char *at = bytes;

	while ((at = memmem(at, length - (size_t)(at - bytes), "\r\nDate: ", 8)))
		for (at += 8; at < bytes + length && *at != '\r'; at++)
			*at = 'x';
}

/* The length of the reply at the beginning, as its header has it, or 0 if it isn't complete. */
static size_t reply_length(const char *bytes, size_t length)
{
	const char *end = memmem(bytes, length, "\r\n\r\n", 4);
	const char *field = memmem(bytes, length, "\r\nContent-Length: ", 18);
	size_t all;

	if (!end || !field || field > end)
		return 0;
	all = (size_t)(end - bytes) + 4 + strtoul(field + 18, NULL, 10);
	return all <= length ? all : 0;
}

static int tell_end(const char *how, long long bytes, long long begin_ms)
{
	fprintf(stderr, "end: %s after %lld bytes, %lld ms\n", how, bytes, now_ms() - begin_ms);
	return EXIT_SUCCESS;
}

static int raw(void)
{
	int fd = connect_with(0);
	long long begin_ms = now_ms(), bytes = 0;
	char reply[65536];
	ssize_t got = 1;

	send_all(fd, input, input_bytes);
	while (got > 0) {
		if (!is_readable(fd, PATIENCE_MS))
			return tell_end("silence", bytes, begin_ms);
		got = recv(fd, reply, sizeof(reply), 0);
		if (got > 0) {
			fwrite(reply, 1, (size_t)got, stdout);
			bytes += got;
		}
	}
	return tell_end(got == 0 ? "EOF" : "reset", bytes, begin_ms);
}

/* The replies to the input cut at `first` and at the bytes after it, AT_A_TIME of them. */
static void check_splits(size_t first, const char *expected, ssize_t expected_bytes)
{
	static char reply[MOST_REPLY];
	int fds[AT_A_TIME];
	size_t count = 0;

	for (; count < AT_A_TIME && first + count < input_bytes; count++) {
		fds[count] = connect_with(0);
		send_all(fds[count], input, first + count);
	}
	sleep_ms(PIECE_WAIT_MS);
	for (size_t i = 0; i < count; i++)
		send_all(fds[i], input + first + i, input_bytes - first - i);
	for (size_t i = 0; i < count; i++) {
		ssize_t bytes = read_to_end(fds[i], reply, sizeof(reply));

		hide_dates(reply, bytes > 0 ? (size_t)bytes : 0);
		if (bytes != expected_bytes || memcmp(reply, expected, (size_t)bytes) != 0)
			error(EXIT_FAILURE, 0, "cut at byte %zu: %zd bytes instead of %zd: %.200s",
			      first + i, bytes, expected_bytes, reply);
		close(fds[i]);
	}
}

static int splits(void)
{
	static char expected[MOST_REPLY];
	int fd = connect_with(0);
	ssize_t bytes;

	send_all(fd, input, input_bytes);
	bytes = read_to_end(fd, expected, sizeof(expected));
	check(bytes > 0, "a reply to all of it at once");
	hide_dates(expected, (size_t)bytes);
	for (size_t first = 1; first < input_bytes; first += AT_A_TIME)
		check_splits(first, expected, bytes);
	printf("%zu cuts\n", input_bytes - 1);
	return EXIT_SUCCESS;
}

static int bytes_of(long ms)
{
	int fd = connect_with(0);
	long long begin_ms = now_ms();
	char reply[65536];

	for (size_t i = 0;; i++) {
		ssize_t got;

		send_all(fd, input + i % input_bytes, 1);
		if (!is_readable(fd, (int)ms))
			continue;
		got = recv(fd, reply, sizeof(reply), 0);
		if (got <= 0)
			return tell_end(got == 0 ? "EOF" : "reset", (long long)i, begin_ms);
		fwrite(reply, 1, (size_t)got, stdout);
	}
}

static int pipeline(long count)
{
	static char reply[MOST_REPLY], first[MOST_REPLY];
	size_t length = 0, first_length = 0, sent = 0, all = input_bytes * (size_t)count;
	int fd = connect_with(0);
	long replies = 0;

	while (replies < count) {
		struct pollfd poll_fd = {fd, (short)(POLLIN | (sent < all ? POLLOUT : 0)), 0};
		size_t one;
		ssize_t got;

		check(poll(&poll_fd, 1, PATIENCE_MS) > 0, "the pipeline goes on");
		if (poll_fd.revents & POLLOUT) {
			size_t at = sent % input_bytes;

			got = send(fd, input + at, input_bytes - at, MSG_NOSIGNAL | MSG_DONTWAIT);
			sent += got > 0 ? (size_t)got : 0;
		}
		if (!(poll_fd.revents & POLLIN))
			continue;
		got = recv(fd, reply + length, sizeof(reply) - length, 0);
		check(got > 0, "there are more replies");
		length += (size_t)got;
		while ((one = reply_length(reply, length)) > 0) {
			hide_dates(reply, one);
			if (replies++ == 0) {
				first_length = one;
				memcpy(first, reply, one);
			}
			check(one == first_length && memcmp(first, reply, one) == 0,
			      "the replies are the same");
			length -= one;
			memmove(reply, reply + one, length);
		}
	}
	printf("%ld replies of %zu bytes\n", replies, first_length);
	return EXIT_SUCCESS;
}

static int sip(long bytes, long ms)
{
	int fd = connect_with(SMALL_RECEIVE);
	long long begin_ms = now_ms(), all = 0;
	char reply[65536];

	send_all(fd, input, input_bytes);
	for (;;) {
		struct pollfd poll_fd = {.fd = fd, .events = POLLRDHUP};
		ssize_t got = 1;

		if (bytes > 0)
			got = recv(fd, reply, (size_t)bytes, MSG_DONTWAIT);
		else if (poll(&poll_fd, 1, (int)ms) > 0)
			return tell_end(poll_fd.revents & POLLERR ? "reset" : "EOF", all, begin_ms);
		if (got == 0 || (got < 0 && errno != EAGAIN))
			return tell_end(got == 0 ? "EOF" : "reset", all, begin_ms);
		all += bytes > 0 && got > 0 ? got : 0;
		if (bytes > 0)
			sleep_ms(ms);
	}
}

static void on_term(int number)
{
	(void)number;
	_exit(EXIT_SUCCESS);
}

static void read_one_reply(int fd)
{
	static char reply[MOST_REPLY];
	size_t length = 0;

	while (reply_length(reply, length) == 0) {
		ssize_t got = recv(fd, reply + length, sizeof(reply) - length, 0);

		check(got > 0, "a reply in a crowd");
		length += (size_t)got;
	}
}

static int crowd(long count)
{
	signal(SIGTERM, on_term);
	for (long i = 0; i < count; i++) {
		int fd = connect_with(0); /* stays open to the end */

		send_all(fd, input, input_bytes);
		if (input_bytes > 0)
			read_one_reply(fd);
	}
	puts("ready");
	fflush(stdout);
	while (pause())
		continue;
	return EXIT_SUCCESS;
}

static int aborts(long count)
{
	const struct linger reset = {.l_onoff = 1};
	char reply[LITTLE_BYTES];

	for (long i = 0; i < count; i++) {
		int fd = connect_with(SMALL_RECEIVE);

		send_all(fd, input, input_bytes);
		if (i % 3 > 0) /* some don't even wait for the reply */
			check(recv(fd, reply, sizeof(reply), 0) > 0, "the beginning of a reply");
		if (i % 3 > 1)
			setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
		close(fd);
	}
	return EXIT_SUCCESS;
}

static void raise_limit(void)
{
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

int main(int argc, char **argv)
{
	const char *kind = argc > 1 ? argv[1] : "";
	long first = argc > 3 ? atol(argv[3]) : 0, second = argc > 4 ? atol(argv[4]) : 0;

	server.sin_port = htons((unsigned short)(argc > 2 ? atoi(argv[2]) : 0));
	server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	input_bytes = fread(input, 1, sizeof(input), stdin);
	raise_limit();
	if (strcmp(kind, "raw") == 0)
		return raw();
	if (strcmp(kind, "splits") == 0)
		return splits();
	if (strcmp(kind, "bytes") == 0 && input_bytes > 0)
		return bytes_of(first);
	if (strcmp(kind, "pipeline") == 0 && input_bytes > 0)
		return pipeline(first);
	if (strcmp(kind, "sip") == 0)
		return sip(first, second);
	if (strcmp(kind, "crowd") == 0)
		return crowd(first);
	if (strcmp(kind, "aborts") == 0)
		return aborts(first);
	error(2, 0, "the head of tests/browser.c says what there is");
	return 2;
}
