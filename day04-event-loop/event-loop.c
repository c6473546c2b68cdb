/*
 * Day 4: an event loop.
 *
 * One loop serves every kind of completion: submit what was prepared, wait for at least one
 * completion, walk all that have arrived, prepare what follows. The server answers every chunk that
 * it receives with "ack BYTES" and a newline, until the peer closes.
 *
 * Needs: Linux 6.1.
 * Run:   make day04 && ./day04/event-loop
 *        nc 127.0.0.1 7004              (in another terminal; type something)
 *        kill -USR1 $(pidof event-loop) (prints what has happened so far)
 *
 * Three kinds of functions matter. A prepare_ function prepares a request. The request's completion
 * brings an on_ function, which notes what has happened to the connection, and calls advance().
 * That alone decides what the connection needs next, from what has been noted.
 */
#include <assert.h>
#include <errno.h>
#include <error.h>
#include <liburing.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sys/socket.h>

#include "common/acceptor.h"
#include "common/listener.h"
#include "common/memory.h"
#include "common/options.h"
#include "common/output.h"
#include "common/ring.h"
#include "common/signals.h"

#define DEFAULT_PORT	   7004
#define DEFAULT_SLOTS	   1024
#define MAX_SLOTS	   32768
#define RING_ENTRIES	   512
#define COMPLETION_ENTRIES 4096
#define OWN_BYTES	   4096 /* a connection's own buffer */
#define GRACE_MS	   500	/* at the end, for peers that do not read */

/* What a completion is of. With the connection's slot it makes the user_data. */
enum operation { IGNORED, ACCEPT, RECV, SEND, SHUTDOWN, CLOSE, SIGNAL, GRACE };

/*
 * A connection has one request in flight, so one buffer serves it: a chunk is received into it, and
 * the reply takes the chunk's place. While receiving and sending the buffer is the kernel's.
 */
struct connection {
	bool open;
	bool receiving; /* a receive is in flight */
	bool cancelled; /* the receive is asked to end */
	bool sending;	/* a send is in flight, or, at last, the shutdown */
	bool at_end;	/* nothing more is received */
	bool told;	/* the shutdown is prepared: what the peer still sends is discarded */

	unsigned length; /* of the reply */
	unsigned sent;	 /* bytes of it that are sent already */
};

static struct {
	const char *address;
	unsigned port;
	unsigned slots;
} options = {
	.address = "127.0.0.1",
	.slots = DEFAULT_SLOTS,
};

static struct io_uring ring;
static struct acceptor acceptor;
static int signal_fd;
static struct signalfd_siginfo signal_info; /* the kernel's until the read completes */

static struct connection *connections; /* by slot */
static char (*own)[OWN_BYTES];	       /* by slot */

static bool stopping;
static bool grace_over;

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
	connections[slot].receiving = true;
}

static void prepare_send(unsigned slot)
{
	struct connection *connection = &connections[slot];
	struct io_uring_sqe *sqe = ring_get_sqe(&ring);

	io_uring_prep_send(sqe, (int)slot, own[slot] + connection->sent,
			   connection->length - connection->sent, MSG_NOSIGNAL);
	sqe->flags |= IOSQE_FIXED_FILE;
	io_uring_sqe_set_data64(sqe, user_data_pack(SEND, slot));
	connection->sending = true;
}

/*
 * Prepared only when nothing else of the connection is in flight. A close needs the slot but none
 * of the connection's memory, which is free from here on: the kernel may give the slot to the next
 * connection, and we may hear of that, before we reap this close.
 */
static void prepare_close(unsigned slot)
{
	struct io_uring_sqe *sqe = ring_get_sqe(&ring);

	io_uring_prep_close_direct(sqe, slot);
	io_uring_sqe_set_data64(sqe, user_data_pack(CLOSE, slot));
	connections[slot].open = false;
}

/* The second sitting. Only asks: the receive still has a completion of its own. */
static void prepare_cancel_recv(unsigned slot)
{
	struct io_uring_sqe *sqe = ring_get_sqe(&ring);

	io_uring_prep_cancel64(sqe, user_data_pack(RECV, slot), 0);
	io_uring_sqe_set_data64(sqe, user_data_pack(IGNORED, slot));
	connections[slot].cancelled = true;
}

/* The peer gets its end-of-file: no more is to come. */
static void prepare_shutdown(unsigned slot)
{
	struct io_uring_sqe *sqe = ring_get_sqe(&ring);

	io_uring_prep_shutdown(sqe, (int)slot, SHUT_WR);
	sqe->flags |= IOSQE_FIXED_FILE;
	io_uring_sqe_set_data64(sqe, user_data_pack(SHUTDOWN, slot));
	connections[slot].sending = true;
	connections[slot].told = true;
}

static void prepare_signal(void)
{
	struct io_uring_sqe *sqe = ring_get_sqe(&ring);

	io_uring_prep_read(sqe, signal_fd, &signal_info, sizeof(signal_info), 0);
	io_uring_sqe_set_data64(sqe, user_data_pack(SIGNAL, 0));
}

static void prepare_grace(void)
{
	static struct __kernel_timespec grace = {
		.tv_sec = GRACE_MS / 1000,
		.tv_nsec = GRACE_MS % 1000 * 1000000LL,
	};
	struct io_uring_sqe *sqe = ring_get_sqe(&ring);

	io_uring_prep_timeout(sqe, &grace, 0, 0);
	io_uring_sqe_set_data64(sqe, user_data_pack(GRACE, 0));
}

/* ---- What a connection needs next ---- */

/*
 * While a reply cannot be sent its peer is not read: that is all the backpressure there is. At the
 * end of the program the peer is told that no more is to come, and is read until it has closed,
 * too: closing a socket that has unread bytes could destroy what was sent last.
 */
static void advance(unsigned slot)
{
	struct connection *connection = &connections[slot];
	bool has_reply = connection->sent < connection->length;
	bool wanted = !connection->at_end && !has_reply && (!stopping || connection->told);

	if (has_reply && !connection->sending)
		prepare_send(slot);
	if (wanted && !connection->receiving)
		prepare_recv(slot);
	if (!wanted && connection->receiving && !connection->cancelled)
		prepare_cancel_recv(slot);

	if (connection->receiving || connection->sending)
		return;
	if (connection->at_end && (connection->told || !ring_releases_late(&ring)))
		prepare_close(slot);
	else /* the program ends, or the kernel is an older one: the peer is told first */
		prepare_shutdown(slot);
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

static void on_recv(unsigned slot, const struct io_uring_cqe *cqe)
{
	struct connection *connection = &connections[slot];

	connection->receiving = connection->cancelled = false;
	if (cqe->res > 0 && !connection->told) {
		connection->length = (unsigned)snprintf(own[slot], OWN_BYTES, "ack %d\n", cqe->res);
		connection->sent = 0;
	} else if (cqe->res <= 0 && cqe->res != -ECANCELED && !ring_try_again(cqe->res)) {
		connection->at_end = true; /* the peer will send no more, or is lost */
	}
	advance(slot);
}

static void on_send(unsigned slot, int result)
{
	struct connection *connection = &connections[slot];

	connection->sending = false;
	if (result > 0) {
		connection->sent += (unsigned)result; /* which may be less than there is */
	} else if (!ring_try_again(result)) {
		connection->sent = connection->length;
		connection->at_end = true;
	}
	advance(slot);
}

static void on_close(unsigned slot, int result)
{
	if (result < 0)
		error(EXIT_FAILURE, -result, "close of slot %u", slot);
	acceptor_on_close(&acceptor);
}

/* Day 4's second sitting: from here to on_completion(). */
static void on_shutdown(unsigned slot)
{
	connections[slot].sending = false; /* whatever the result: who is lost needs no telling */
	advance(slot);
}

static void print_counts(void)
{
	output_line("connections: %lu, completions: %lu, waits: %lu, completions a wait: %.1f, "
		    "completion queue overflowed: %lu",
		    count.connections, count.completions, count.waits,
		    (double)count.completions / (double)count.waits, count.overflows);
}

/* Nobody is accepted any more; what has been received is answered, and peers may close first. */
static void stop(void)
{
	stopping = true;
	acceptor_stop(&acceptor);
	for (unsigned slot = 0; slot < options.slots; slot++)
		if (connections[slot].open)
			advance(slot);
	prepare_grace();
	signals_release(); /* a second one ends the program at once, as if it knew no signals */
}

static void on_signal(int result)
{
	if (result < 0 && result != -EINTR)
		error(EXIT_FAILURE, -result, "reading a signal");
	if (result > 0 && signal_info.ssi_signo == SIGUSR1)
		print_counts();
	else if (result > 0)
		stop();
	if (!stopping)
		prepare_signal();
}

/* ---- The loop ---- */

static void on_completion(const struct io_uring_cqe *cqe)
{
	unsigned slot = user_data_slot(cqe->user_data);

	switch (user_data_operation(cqe->user_data)) {
	case IGNORED: /* 0, as the acceptor names its cancel: something else completes for it */
		break;
	case ACCEPT:
		on_accept(cqe);
		break;
	case RECV:
		on_recv(slot, cqe);
		break;
	case SEND:
		on_send(slot, cqe->res);
		break;
	case SHUTDOWN:
		on_shutdown(slot);
		break;
	case CLOSE:
		on_close(slot, cqe->res);
		break;
	case SIGNAL:
		on_signal(cqe->res);
		break;
	case GRACE:
		grace_over = true;
		break;
	}
}

static void serve(void)
{
	struct io_uring_cqe *cqe;
	unsigned head, reaped;

	while (!stopping || (acceptor_is_busy(&acceptor) && !grace_over)) {
		ring_again(&ring, io_uring_submit_and_wait(&ring, 1), "io_uring_submit_and_wait");
		count.waits++;
		count.overflows += io_uring_cq_has_overflow(&ring);

		reaped = 0;
		io_uring_for_each_cqe (&ring, head, cqe) {
			count.completions++;
			on_completion(cqe);
			reaped++;
		}
		io_uring_cq_advance(&ring, reaped);
	}
}

/*
 * With DEFER_TASKRUN, for which the kernel wants to be told that a single thread submits, it works
 * on requests when this thread waits, and never interrupts it for that.
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

static void map_memory(void)
{
	connections = memory_map(options.slots, sizeof(connections[0]));
	own = memory_map(options.slots, sizeof(own[0]));
}

static void parse_options(int argc, char **argv)
{
	const struct option_entry entries[] = {
		{"bind", "ADDR", "listen on this address", .text = &options.address},
		{"slots", "N", "connections that can be open at once", .number = &options.slots,
		 .least = 1, .most = MAX_SLOTS},
		{0},
	};

	options_parse(
		argc, argv,
		"[OPTIONS] [PORT]\n"
		"Answers every chunk it receives on PORT (7004; 0: any free one) with \"ack\"\n"
		"and the number of its bytes. SIGUSR1 prints what has happened so far.",
		entries);
	options.port = option_port(argc, argv, DEFAULT_PORT);
}

int main(int argc, char **argv)
{
	int listen_fd;

	output_open();
	parse_options(argc, argv);
	map_memory();
	open_ring();
	signal_fd = signals_open(SIGINT, SIGTERM, SIGUSR1, 0);
	prepare_signal();
	listen_fd = listener_open(options.address, options.port, SOMAXCONN);
	acceptor_start(&acceptor, &ring, listen_fd, options.slots, user_data_pack(ACCEPT, 0));
	listener_announce(listen_fd);

	serve();

	print_counts();
	io_uring_queue_exit(&ring);
	return EXIT_SUCCESS;
}
