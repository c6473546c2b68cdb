/*
 * Day 3, for contrast: the readiness way.
 *
 * The ring only says that the listening socket is readable; accept4(2) then does the work. Every
 * connection costs a poll request and an accept4(2), where a multishot accept costs one completion.
 *
 * Needs: Linux 5.6.
 * Run:   make day03 && ./day03/poll-accept
 *        ./day03/poll-accept --peek
 *        nc 127.0.0.1 7003        (in another terminal)
 */
#include <assert.h>
#include <errno.h>
#include <error.h>
#include <fcntl.h>
#include <getopt.h>
#include <liburing.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/listener.h"
#include "common/options.h"
#include "common/ring.h"
#include "common/signals.h"

#define DEFAULT_PORT 7003
#define ENTRIES	     8	 /* three requests at most are in flight */
#define RETRY_MS     100 /* pause after an accept4(2) that failed for want of resources */

static_assert(ENTRIES >= 2, "at first two requests are prepared before they are submitted");

enum { USER_DATA_LISTENER, USER_DATA_SIGNAL, USER_DATA_RETRY };

static struct io_uring ring;
static int listen_fd;
static bool peek;
static unsigned long connections, completions, system_calls, looks;

static void prepare_poll(int fd, __u64 user_data)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

	io_uring_prep_poll_add(sqe, fd, POLLIN);
	io_uring_sqe_set_data64(sqe, user_data);
}

static void prepare_retry(void)
{
	static struct __kernel_timespec pause = {.tv_nsec = RETRY_MS * 1000000LL};
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

	io_uring_prep_timeout(sqe, &pause, 0, 0);
	io_uring_sqe_set_data64(sqe, USER_DATA_RETRY);
}

static void submit(void)
{
	int result;

	do {
		result = io_uring_submit(&ring);
		system_calls++;
	} while (ring_try_again(result));
	if (result < 0)
		error(EXIT_FAILURE, -result, "io_uring_submit");
}

/* Sleeps in the kernel until there is a completion. */
static struct io_uring_cqe *wait_for_completion(void)
{
	struct io_uring_cqe *cqe;
	int result;

	do {
		system_calls += io_uring_cq_ready(&ring) == 0;
		result = io_uring_wait_cqe(&ring, &cqe);
	} while (ring_try_again(result));
	if (result < 0)
		error(EXIT_FAILURE, -result, "io_uring_wait_cqe");
	return cqe;
}

/* Looks until there is a completion: no system call, but a processor that does nothing else. */
static struct io_uring_cqe *look_for_completion(void)
{
	struct io_uring_cqe *cqe;
	int result;

	do {
		looks++;
		result = io_uring_peek_cqe(&ring, &cqe);
	} while (ring_try_again(result));
	if (result < 0)
		error(EXIT_FAILURE, -result, "io_uring_peek_cqe");
	return cqe;
}

/* The listener was readable; by now the client may be gone again. */
static void on_readable(void)
{
	int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);

	system_calls++;
	if (fd >= 0) {
		connections++;
		printf("connection %lu: descriptor %d\n", connections, fd);
		close(fd);
		system_calls++;
	} else if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR) {
		error(0, errno, "accept4");
		/* The connection still waits: to poll at once would find it readable at once. */
		prepare_retry();
		return;
	}
	prepare_poll(listen_fd, USER_DATA_LISTENER);
}

static void serve(int signal_fd)
{
	struct io_uring_cqe *cqe;
	__u64 user_data;
	int result;

	prepare_poll(listen_fd, USER_DATA_LISTENER);
	prepare_poll(signal_fd, USER_DATA_SIGNAL);
	for (;;) {
		submit();
		cqe = peek ? look_for_completion() : wait_for_completion();
		user_data = cqe->user_data;
		result = cqe->res;
		io_uring_cqe_seen(&ring, cqe);
		completions++;

		if (user_data == USER_DATA_SIGNAL)
			return;
		if (user_data == USER_DATA_RETRY)
			prepare_poll(listen_fd, USER_DATA_LISTENER);
		else if (result >= 0)
			on_readable();
		else
			error(EXIT_FAILURE, -result, "poll");
	}
}

static void print_help(void)
{
	printf("Usage: %s [OPTIONS] [PORT]\n"
	       "Accepts connections on PORT (default %d, 0: any free one) and closes them, the\n"
	       "readiness way.\n\n"
	       "  --bind ADDR   listen on this address (default 127.0.0.1)\n"
	       "  --peek        look for completions in a loop instead of waiting for them\n"
	       "  --help        this text\n",
	       program_invocation_name, DEFAULT_PORT);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"bind", required_argument, NULL, 'b'},
		{"peek", no_argument, NULL, 'p'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	struct io_uring_params params = {0};
	const char *address = "127.0.0.1";
	unsigned port;
	int signal_fd;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'b':
			address = optarg;
			break;
		case 'p':
			peek = true;
			break;
		case 'h':
			print_help();
			return EXIT_SUCCESS;
		default:
			usage_hint();
		}
	}
	port = option_port(argc, argv, DEFAULT_PORT);

	setvbuf(stdout, NULL, _IOLBF, 0); /* a line an event, also into a pipe */
	ring_open(&ring, ENTRIES, &params);
	signal_fd = signals_open(SIGINT, SIGTERM, 0);
	listen_fd = listener_open(address, port, SOMAXCONN);
	if (fcntl(listen_fd, F_SETFL, O_NONBLOCK) < 0)
		error(EXIT_FAILURE, errno, "fcntl");
	listener_announce(listen_fd);

	serve(signal_fd);

	printf("connections: %lu, completions: %lu, system calls: %lu", connections, completions,
	       system_calls);
	printf(peek ? ", looks without a system call: %lu\n" : "\n", looks);
	io_uring_queue_exit(&ring);
	return EXIT_SUCCESS;
}
