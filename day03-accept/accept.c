/*
 * Day 3: one request, many connections.
 *
 * A single multishot accept stays armed and puts every new connection straight into a free slot of
 * the ring's table. The program prints a line a connection and closes it, slot and all; with --hold
 * it keeps them until the table is full, to show what the kernel does then.
 *
 * Needs: Linux 5.19.
 * Run:   make day03 && ./day03/accept
 *        ./day03/accept --hold --slots 4
 *        nc 127.0.0.1 7003        (in another terminal)
 */
#include <assert.h>
#include <errno.h>
#include <error.h>
#include <getopt.h>
#include <liburing.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/listener.h"
#include "common/options.h"
#include "common/ring.h"
#include "common/signals.h"

#define DEFAULT_PORT  7003
#define DEFAULT_SLOTS 1024
#define MAX_SLOTS     16384
#define RETRY_MS      100 /* pause after an accept that failed for want of resources */

/*
 * The user_data of each kind of request. A close has its slot, below 2^32; the others, of each of
 * which there is only one at a time, have numbers that no slot has.
 */
#define USER_DATA_ACCEPT ((__u64)1 << 32)
#define USER_DATA_CANCEL ((__u64)2 << 32)
#define USER_DATA_RETRY	 ((__u64)3 << 32)
#define USER_DATA_SIGNAL ((__u64)4 << 32)
#define SINGLE_REQUESTS	 4

static struct {
	const char *address;
	unsigned port;
	unsigned slots;
	unsigned long count; /* end after so many connections; 0: never */
	bool hold;
} options = {.address = "127.0.0.1", .slots = DEFAULT_SLOTS};

static struct io_uring ring;
static int listen_fd;

static bool held[MAX_SLOTS];  /* by slot: the connection is open and stays so */
static unsigned slots_in_use; /* from the accept's completion to the close's */
static bool accepting;	      /* the multishot request is with the kernel */
static bool stopping;

static unsigned long connections, completions, system_calls;

/* The queue has room for a close of every slot and all the rest: it is never full. */
static struct io_uring_sqe *get_sqe(void)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

	assert(sqe);
	return sqe;
}

static void prepare_accept(void)
{
	struct io_uring_sqe *sqe = get_sqe();

	io_uring_prep_multishot_accept_direct(sqe, listen_fd, NULL, NULL, 0);
	io_uring_sqe_set_data64(sqe, USER_DATA_ACCEPT);
	accepting = true;
}

static void arm_again(void)
{
	if (accepting || stopping)
		return;
	printf("accept: armed again\n");
	prepare_accept();
}

static void prepare_cancel(void)
{
	struct io_uring_sqe *sqe = get_sqe();

	io_uring_prep_cancel64(sqe, USER_DATA_ACCEPT, 0);
	io_uring_sqe_set_data64(sqe, USER_DATA_CANCEL);
}

/*
 * Not close(2): a slot number is not a descriptor. The slot can be given to the next connection
 * before this close's own completion has been reaped, so everything here forgets the connection
 * now.
 */
static void prepare_close(unsigned slot)
{
	struct io_uring_sqe *sqe = get_sqe();

	io_uring_prep_close_direct(sqe, slot);
	io_uring_sqe_set_data64(sqe, slot);
	held[slot] = false;
}

static void prepare_retry(void)
{
	static struct __kernel_timespec pause = {.tv_nsec = RETRY_MS * 1000000LL};
	struct io_uring_sqe *sqe = get_sqe();

	io_uring_prep_timeout(sqe, &pause, 0, 0);
	io_uring_sqe_set_data64(sqe, USER_DATA_RETRY);
}

static void prepare_signal(int signal_fd)
{
	struct io_uring_sqe *sqe = get_sqe();

	io_uring_prep_poll_add(sqe, signal_fd, POLLIN);
	io_uring_sqe_set_data64(sqe, USER_DATA_SIGNAL);
}

static void close_held(void)
{
	for (unsigned slot = 0; slot < options.slots; slot++)
		if (held[slot])
			prepare_close(slot);
}

static void stop(void)
{
	if (stopping)
		return;
	stopping = true;
	if (accepting)
		prepare_cancel();
	close_held();
}

static void on_connection(unsigned slot)
{
	slots_in_use++;
	if (stopping) {
		prepare_close(slot);
		return;
	}

	connections++;
	printf("connection %lu: slot %u\n", connections, slot);
	if (options.hold)
		held[slot] = true;
	else
		prepare_close(slot);
	if (connections == options.count)
		stop();
}

/* The request has ended without a connection. */
static void on_accept_error(int error_number)
{
	if (stopping && error_number == ECANCELED)
		return;
	if (error_number == EINVAL)
		error(EXIT_FAILURE, 0,
		      "accept: %s (this kernel lacks multishot accept, which Linux 5.19 has; "
		      "day 3 needs it)",
		      strerror(EINVAL));

	printf("accept: %s (%s); slots in use: %u of %u\n", strerror(error_number),
	       strerrorname_np(error_number), slots_in_use, options.slots);
	if (slots_in_use >= options.slots)
		close_held(); /* a slot that gets free brings the next accept */
	else
		prepare_retry();
}

/*
 * The life of the one request: each connection is a completion with IORING_CQE_F_MORE. A completion
 * without it is the last, whatever its result: from then on nobody accepts until it is armed again.
 */
static void on_accept(const struct io_uring_cqe *cqe)
{
	accepting = cqe->flags & IORING_CQE_F_MORE;
	if (cqe->res >= 0)
		on_connection((unsigned)cqe->res);
	else
		on_accept_error(-cqe->res);

	if (!accepting) {
		printf("accept: the multishot request has ended: no IORING_CQE_F_MORE\n");
		if (cqe->res >= 0)
			arm_again();
	}
}

static void on_close(const struct io_uring_cqe *cqe)
{
	if (cqe->res < 0)
		error(EXIT_FAILURE, -cqe->res, "close of slot %llu",
		      (unsigned long long)cqe->user_data);
	slots_in_use--;
	arm_again();
}

static void on_completion(const struct io_uring_cqe *cqe)
{
	switch (cqe->user_data) {
	case USER_DATA_ACCEPT:
		on_accept(cqe);
		break;
	case USER_DATA_CANCEL:
		break; /* the accept itself ends with a completion of its own */
	case USER_DATA_RETRY:
		arm_again();
		break;
	case USER_DATA_SIGNAL:
		stop();
		break;
	default:
		on_close(cqe);
	}
}

static void serve(void)
{
	struct io_uring_cqe *cqe;
	int result;

	while (!stopping || accepting || slots_in_use > 0) {
		result = io_uring_submit_and_wait(&ring, 1);
		system_calls++;
		if (result < 0 && !ring_try_again(result))
			error(EXIT_FAILURE, -result, "io_uring_submit_and_wait");

		/* All that has arrived by now: looking for more is a read of memory. */
		while (io_uring_peek_cqe(&ring, &cqe) == 0) {
			completions++;
			on_completion(cqe);
			io_uring_cqe_seen(&ring, cqe);
		}
	}
}

static void open_ring(void)
{
	struct io_uring_params params = {0};
	int result;

	ring_open(&ring, options.slots + SINGLE_REQUESTS, &params);
	result = io_uring_register_files_sparse(&ring, options.slots);
	ring_check_register(result, "io_uring_register_files_sparse",
			    "sparse tables, which Linux 5.19 has; day 3 needs them");
}

static void print_help(void)
{
	printf("Usage: %s [OPTIONS] [PORT]\n"
	       "Accepts connections on PORT (default %d, 0: any free one) and closes them.\n\n"
	       "  --bind ADDR   listen on this address (default 127.0.0.1)\n"
	       "  --slots N     connections that can be open at once, 1 to %d (default %d)\n"
	       "  --hold        keep connections open until every slot is in use\n"
	       "  --count N     end after N connections\n"
	       "  --help        this text\n",
	       program_invocation_name, DEFAULT_PORT, MAX_SLOTS, DEFAULT_SLOTS);
}

static void parse_options(int argc, char **argv)
{
	static const struct option long_options[] = {
		{"bind", required_argument, NULL, 'b'}, {"slots", required_argument, NULL, 's'},
		{"hold", no_argument, NULL, 'H'},	{"count", required_argument, NULL, 'c'},
		{"help", no_argument, NULL, 'h'},	{0},
	};
	int option;

	while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		switch (option) {
		case 'b':
			options.address = optarg;
			break;
		case 's':
			options.slots = option_number("--slots", optarg, 1, MAX_SLOTS);
			break;
		case 'H':
			options.hold = true;
			break;
		case 'c':
			options.count = option_number("--count", optarg, 1, UINT_MAX);
			break;
		case 'h':
			print_help();
			exit(EXIT_SUCCESS);
		default:
			usage_hint();
		}
	}
	options.port = option_port(argc, argv, DEFAULT_PORT);
}

int main(int argc, char **argv)
{
	parse_options(argc, argv);
	setvbuf(stdout, NULL, _IOLBF, 0); /* a line an event, also into a pipe */
	open_ring();
	listen_fd = listener_open(options.address, options.port, SOMAXCONN);
	prepare_signal(signals_open(SIGINT, SIGTERM, 0));
	prepare_accept();
	listener_announce(listen_fd);

	serve();

	printf("connections: %lu, completions: %lu, system calls: %lu, slots in use: %u\n",
	       connections, completions, system_calls, slots_in_use);
	io_uring_queue_exit(&ring);
	return EXIT_SUCCESS;
}
