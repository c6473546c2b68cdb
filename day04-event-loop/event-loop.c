/*
 * Day 4: an event loop.
 *
 * One loop serves every kind of completion. Each pass submits what was prepared, waits for at least
 * one completion, walks all that have arrived, and prepares what follows from them. The server
 * answers each chunk that it receives, say 5 bytes, with a line "ack 5", until the client closes.
 *
 * Needs: Linux 6.1.
 * Run:   make day04 && ./day04/event-loop
 *        nc 127.0.0.1 7004              (in another terminal; type something)
 *        kill -USR1 $(pidof event-loop) (prints what has happened so far)
 *
 * There are three kinds of functions. A prepare_ function prepares a request. When the request
 * completes, an on_ function records what happened to the connection, then calls advance(). Only
 * advance() decides what the connection needs next, and it decides from what was recorded.
 */
#include <assert.h>
#include <liburing.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "common/acceptor.h"
#include "common/listener.h"
#include "common/memory.h"
#include "common/options.h"
#include "common/output.h"
#include "common/ring.h"
#include "common/signals.h"

#define DEFAULT_PORT	   7004
#define RING_ENTRIES	   512
#define COMPLETION_ENTRIES 4096
#define OWN_BYTES	   4096 /* a connection's own buffer */

/* What a completion is of; 0 stands for a request whose result decides nothing. */
enum operation { ACCEPT = 1, RECV, SEND, CLOSE, SIGNAL };

/*
 * A connection has one request in flight, so one buffer is enough: the reply takes the place of the
 * chunk that it answers. While the request is in flight, the buffer belongs to the kernel.
 */
struct connection {
	bool open;
	bool eof;	 /* nothing more will be received: EOF, or an error */
	unsigned length; /* of the reply */
	unsigned sent;	 /* bytes of it that have been sent */
};

static struct {
	const char *address;
	unsigned port, slots;
} options = {.address = "127.0.0.1", .slots = 1024};

static struct io_uring ring;
static struct acceptor acceptor;
static bool stopping;

static struct connection *connections; /* by slot */
static char (*own)[OWN_BYTES];	       /* by slot */

static struct {
	unsigned long connections, completions, waits, overflows;
} count;

/* ---- user_data: the operation in the upper half, the slot in the lower ---- */

static __u64 user_data_pack(enum operation operation, unsigned slot)
{
	return (__u64)operation << 32 | slot;
}

static enum operation user_data_operation(__u64 user_data)
{
	return (enum operation)(user_data >> 32);
}

static unsigned user_data_slot(__u64 user_data)
{
	return (unsigned)user_data;
}

/* ---- The requests ---- */

static void prepare_recv(unsigned slot)
{
	struct io_uring_sqe *sqe = ring_get_sqe(&ring);

	io_uring_prep_recv(sqe, (int)slot, own[slot], OWN_BYTES, 0);
	sqe->flags |= IOSQE_FIXED_FILE;
	io_uring_sqe_set_data64(sqe, user_data_pack(RECV, slot));
}

static void prepare_send(unsigned slot)
{
	struct connection *connection = &connections[slot];
	struct io_uring_sqe *sqe = ring_get_sqe(&ring);

	io_uring_prep_send(sqe, (int)slot, own[slot] + connection->sent,
			   connection->length - connection->sent, MSG_NOSIGNAL);
	sqe->flags |= IOSQE_FIXED_FILE;
	io_uring_sqe_set_data64(sqe, user_data_pack(SEND, slot));
}

/*
 * The close needs the slot but none of the connection's memory, so that is free from here on. It
 * must be, because the kernel may give the slot to a client whose accept we reap before this close.
 */
static void prepare_close(unsigned slot)
{
	struct io_uring_sqe *sqe = ring_get_sqe_for_close(&ring, slot);

	io_uring_prep_close_direct(sqe, slot);
	io_uring_sqe_set_data64(sqe, user_data_pack(CLOSE, slot));
	connections[slot].open = false;
}

/* ---- What a connection needs next ---- */

/* Until its reply is sent, a client isn't read from: that is all the backpressure there is. */
static void advance(unsigned slot)
{
	struct connection *connection = &connections[slot];

	if (connection->sent < connection->length)
		prepare_send(slot);
	else if (!connection->eof)
		prepare_recv(slot);
	else
		prepare_close(slot);
}

/* ---- What the completions bring ---- */

static void on_accept(const struct io_uring_cqe *cqe)
{
	int slot = acceptor_on_completion(&acceptor, cqe);

	if (slot < 0)
		return;
	assert(!connections[slot].open);
	connections[slot] = (struct connection){.open = true};
	count.connections++;
	advance((unsigned)slot);
}

static void on_recv(unsigned slot, int result)
{
	struct connection *connection = &connections[slot];

	if (result > 0) {
		connection->length = (unsigned)snprintf(own[slot], OWN_BYTES, "ack %d\n", result);
		connection->sent = 0;
	} else if (!ring_try_again(result)) {
		connection->eof = true;
	}
	advance(slot);
}

static void on_send(unsigned slot, int result)
{
	struct connection *connection = &connections[slot];

	if (result > 0) {
		connection->sent += (unsigned)result; /* perhaps less than it was to send */
	} else if (!ring_try_again(result)) {
		connection->sent = connection->length;
		connection->eof = true;
	}
	advance(slot);
}

static void on_close(unsigned slot, int result)
{
	if (result < 0)
		output_error(EXIT_FAILURE, -result, "close of slot %u", slot);
	acceptor_on_close(&acceptor);
}

static void print_counts(void)
{
	output_line("connections: %lu, completions: %lu, waits: %lu, completions a wait: %.1f, "
		    "completion queue overflowed: %lu",
		    count.connections, count.completions, count.waits,
		    (double)count.completions / (double)count.waits, count.overflows);
}

static void on_signal(int result)
{
	int number = signals_on_read(result);

	if (number == SIGUSR1)
		print_counts();
	else if (number != 0)
		stopping = true;
	if (!stopping)
		signals_prepare_read(&ring, user_data_pack(SIGNAL, 0));
}

/* ---- The loop ---- */

static void on_completion(const struct io_uring_cqe *cqe)
{
	unsigned slot = user_data_slot(cqe->user_data);

	switch (user_data_operation(cqe->user_data)) {
	case ACCEPT: on_accept(cqe); break;
	case RECV: on_recv(slot, cqe->res); break;
	case SEND: on_send(slot, cqe->res); break;
	case CLOSE: on_close(slot, cqe->res); break;
	case SIGNAL: on_signal(cqe->res); break;
	}
}

static void serve(void)
{
	while (!stopping) {
		struct io_uring_cqe *cqe;
		unsigned head, reaped = 0;

		ring_again(&ring, io_uring_submit_and_wait(&ring, 1), "io_uring_submit_and_wait");
		count.waits++;
		count.overflows += io_uring_cq_has_overflow(&ring);

		io_uring_for_each_cqe (&ring, head, cqe) {
			count.completions++;
			on_completion(cqe);
			reaped++;
		}
		io_uring_cq_advance(&ring, reaped);
	}
}

/*
 * With DEFER_TASKRUN the kernel works on requests only while this thread waits, and never
 * interrupts it. SINGLE_ISSUER is the promise it needs for that: no other thread will submit.
 */
static void open_ring(void)
{
	struct io_uring_params params = {
		.flags = IORING_SETUP_CQSIZE | IORING_SETUP_SINGLE_ISSUER |
			 IORING_SETUP_DEFER_TASKRUN,
		.cq_entries = COMPLETION_ENTRIES,
	};

	ring_open_with_slots(&ring, RING_ENTRIES, &params, options.slots);
}

static void parse_options(int argc, char **argv)
{
	const struct option_entry entries[] = {
		{"bind", "ADDR", "listen on this address", .text = &options.address},
		{"slots", "N", "connections open at once", .number = &options.slots, .least = 1,
		 .most = 32768},
		{0},
	};

	options_parse(
		argc, argv,
		"[OPTIONS] [PORT]\n"
		"Answers each chunk that it receives on PORT (7004; 0: any free one) with \"ack BYTES\".\n"
		"SIGUSR1 prints what has happened so far.",
		entries);
	options.port = option_port(argc, argv, DEFAULT_PORT);
}

int main(int argc, char **argv)
{
	int listen_fd;

	output_open();
	parse_options(argc, argv);
	connections = memory_map(options.slots, sizeof(connections[0]));
	own = memory_map(options.slots, sizeof(own[0]));
	open_ring();
	signals_open(SIGINT, SIGTERM, SIGUSR1, 0);
	signals_prepare_read(&ring, user_data_pack(SIGNAL, 0));
	listen_fd = listener_open(options.address, options.port, SOMAXCONN);
	acceptor_start(&acceptor, &ring, listen_fd, options.slots, user_data_pack(ACCEPT, 0));
	listener_announce(listen_fd);

	serve();

	acceptor_stop(&acceptor);
	print_counts();
	io_uring_queue_exit(&ring);
	return EXIT_SUCCESS;
}
