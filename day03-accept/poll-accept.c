/*
 * Day 3, for contrast: the readiness way.
 *
 * The ring only reports that the listening socket is readable, and accept4(2) does the work. Every
 * connection costs a poll request and an accept4(2), where a multishot accept costs one completion.
 *
 * Needs: Linux 5.6.
 * Run:   make day03 && ./day03/poll-accept
 *        nc -d 127.0.0.1 7003            (in another terminal)
 */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/listener.h"
#include "common/options.h"
#include "common/output.h"
#include "common/ring.h"
#include "common/signals.h"

#define DEFAULT_PORT 7003
#define RING_ENTRIES 1
#define PAUSE_US     100000 /* after an accept4(2) that failed for want of resources */

static struct {
	const char *address;
	unsigned port;
	unsigned count; /* exit after this many connections; 0: never */
} options = {
	.address = "127.0.0.1",
};

static struct io_uring ring;
static int listen_fd;

static unsigned long connections, completions, system_calls;

/* One completion per request: after each, the socket has to be polled again. */
static void prepare_poll(void)
{
	struct io_uring_sqe *sqe = ring_get_sqe(&ring);

	io_uring_prep_poll_add(sqe, listen_fd, POLLIN);
	io_uring_sqe_set_data64(sqe, 0);
}

static void on_connection(int fd)
{
	connections++;
	output_line("connection %lu: descriptor %d", connections, fd);
	close(fd);
	system_calls++;
}

/* By now another process may have accepted the connection, so the socket mustn't block. */
static void on_readable(void)
{
	int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);

	system_calls++;
	if (fd >= 0) {
		on_connection(fd);
	} else if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR) {
		output_error(0, errno, "accept4");
		usleep(PAUSE_US); /* the connection still waits, so a poll completes at once */
	}
}

static struct io_uring_cqe *submit_and_wait(void)
{
	struct io_uring_cqe *cqe;

	system_calls += io_uring_sq_ready(&ring) > 0;
	while (ring_again(&ring, io_uring_submit(&ring), "io_uring_submit"))
		;
	system_calls += io_uring_cq_ready(&ring) == 0;
	while (ring_again(&ring, io_uring_wait_cqe(&ring, &cqe), "io_uring_wait_cqe"))
		;
	completions++;
	return cqe;
}

static void serve(void)
{
	struct io_uring_cqe *cqe;

	while (options.count == 0 || connections < options.count) {
		prepare_poll();
		cqe = submit_and_wait();
		if (cqe->res < 0)
			output_error(EXIT_FAILURE, -cqe->res, "poll");
		on_readable();
		io_uring_cqe_seen(&ring, cqe);
	}
}

static void parse_options(int argc, char **argv)
{
	const struct option_entry entries[] = {
		{"bind", "ADDR", "listen on this address", .text = &options.address},
		{"count", "N", "exit after N connections", .number = &options.count, .least = 1,
		 .most = UINT_MAX},
		{0},
	};

	options_parse(argc, argv,
		      "[OPTIONS] [PORT]\n"
		      "Accepts connections on PORT (7003; 0: any free one) and closes them, the\n"
		      "readiness way.",
		      entries);
	options.port = option_port(argc, argv, DEFAULT_PORT);
}

int main(int argc, char **argv)
{
	struct io_uring_params params = {0};

	output_open();
	signals_end_at_once();
	parse_options(argc, argv);
	ring_open(&ring, RING_ENTRIES, &params);
	listen_fd = listener_open(options.address, options.port, SOMAXCONN);
	if (fcntl(listen_fd, F_SETFL, O_NONBLOCK) < 0)
		output_error(EXIT_FAILURE, errno, "fcntl");
	listener_announce(listen_fd);

	serve();

	output_line("connections: %lu, completions: %lu, system calls: %lu", connections,
		    completions, system_calls);
	shutdown(listen_fd, SHUT_RDWR); /* frees the port now; closing the ring takes a moment */
	io_uring_queue_exit(&ring);
	return EXIT_SUCCESS;
}
