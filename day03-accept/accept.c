/*
 * Day 3: one request, many connections.
 *
 * A multishot accept is submitted once and completes again and again. Each completion is a new
 * connection, which the kernel has put into a free slot of the ring's table. The program prints a
 * line for each, then closes it. With --hold it keeps them until the table is full, to show what
 * happens then.
 *
 * Needs: Linux 5.19.
 * Run:   make day03 && ./day03/accept
 *        nc -d 127.0.0.1 7003            (in another terminal)
 *        ./day03/accept --hold --slots 2
 */
#include <liburing.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/listener.h"
#include "common/options.h"
#include "common/output.h"
#include "common/ring.h"
#include "common/signals.h"

#define DEFAULT_PORT  7003
#define DEFAULT_SLOTS 1024
#define MAX_SLOTS     16384
#define RING_ENTRIES  64
#define PAUSE_US      100000 /* after an accept that failed for want of resources */

/* The accept's user_data. A close has its slot's number, which is always less. */
#define ACCEPT MAX_SLOTS

static struct {
	const char *address;
	unsigned port;
	unsigned slots;
	unsigned count; /* exit after this many have been closed; 0: never */
	bool hold;
} options = {.address = "127.0.0.1", .slots = DEFAULT_SLOTS};

static struct io_uring ring;
static int listen_fd;

static bool accepting;		/* the multishot accept is in flight */
static bool is_open[MAX_SLOTS]; /* by slot: until its close is prepared */
static unsigned slots_in_use;	/* from the accept's completion to the close's */
static unsigned long connections, closed, completions, system_calls;

/* ---- The requests ---- */

static void prepare_accept(void)
{
	struct io_uring_sqe *sqe = ring_get_sqe(&ring);

	io_uring_prep_multishot_accept_direct(sqe, listen_fd, NULL, NULL, 0);
	io_uring_sqe_set_data64(sqe, ACCEPT);
	accepting = true;
	output_line("accept: armed");
}

/*
 * close(2) doesn't know about slots. The program forgets the connection now, not when the close
 * completes, because by then the kernel may have put the next one into the slot.
 */
static void prepare_close(unsigned slot)
{
	struct io_uring_sqe *sqe = ring_get_sqe(&ring);

	io_uring_prep_close_direct(sqe, slot);
	io_uring_sqe_set_data64(sqe, slot);
	is_open[slot] = false;
}

static void prepare_closes(void)
{
	for (unsigned slot = 0; slot < options.slots; slot++)
		if (is_open[slot])
			prepare_close(slot);
}

/* ---- What the completions bring ---- */

static void on_connection(unsigned slot)
{
	slots_in_use++;
	is_open[slot] = true;
	connections++;
	output_line("connection %lu: slot %u", connections, slot);
	if (!options.hold)
		prepare_close(slot);
}

static void on_accept_error(int error_number)
{
	output_line("accept: %s (%s), %u of %u slots are in use", strerrorname_np(error_number),
		    strerror(error_number), slots_in_use, options.slots);
	if (slots_in_use == options.slots)
		prepare_closes();
	else
		usleep(PAUSE_US); /* the connection still waits: accepting now fails again */
}

/*
 * As long as a completion has IORING_CQE_F_MORE, others will follow. One without it is the last,
 * whatever its result: nothing more is accepted until the request is armed again.
 */
static void on_accept(const struct io_uring_cqe *cqe)
{
	accepting = cqe->flags & IORING_CQE_F_MORE;
	if (cqe->res >= 0)
		on_connection((unsigned)cqe->res);
	else
		on_accept_error(-cqe->res);
	if (!accepting)
		output_line("accept: no IORING_CQE_F_MORE, the request has ended");
}

static void on_close(unsigned slot, int result)
{
	if (result < 0)
		output_error(EXIT_FAILURE, -result, "close of slot %u", slot);
	slots_in_use--;
	closed++;
}

/* ---- The loop ---- */

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

	while (options.count == 0 || closed < options.count) {
		if (!accepting && slots_in_use < options.slots)
			prepare_accept();
		cqe = submit_and_wait();
		if (cqe->user_data == ACCEPT)
			on_accept(cqe);
		else
			on_close((unsigned)cqe->user_data, cqe->res);
		io_uring_cqe_seen(&ring, cqe);
	}
}

static void parse_options(int argc, char **argv)
{
	const struct option_entry entries[] = {
		{"bind", "ADDR", "listen on this address", .text = &options.address},
		{"slots", "N", "connections that can be open at once", .number = &options.slots,
		 .least = 1, .most = MAX_SLOTS},
		{"hold", "", "keep connections until the table is full", .flag = &options.hold},
		{"count", "N", "exit after N of them are closed", .number = &options.count,
		 .least = 1, .most = UINT_MAX},
		{0},
	};

	options_parse(argc, argv,
		      "[OPTIONS] [PORT]\n"
		      "Accepts connections on PORT (7003; 0: any free one) and closes them.",
		      entries);
	options.port = option_port(argc, argv, DEFAULT_PORT);
}

int main(int argc, char **argv)
{
	struct io_uring_params params = {0};

	output_open();
	signals_end_at_once();
	parse_options(argc, argv);
	ring_open_with_slots(&ring, RING_ENTRIES, &params, options.slots);
	listen_fd = listener_open(options.address, options.port, SOMAXCONN);
	listener_announce(listen_fd);

	serve();

	output_line("connections: %lu, completions: %lu, system calls: %lu", connections,
		    completions, system_calls);
	shutdown(listen_fd, SHUT_RDWR); /* ends the accept as well, which holds on to the socket */
	io_uring_queue_exit(&ring);
	return EXIT_SUCCESS;
}
