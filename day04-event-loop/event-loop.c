/*
 * Day 4: an event loop.
 *
 * One loop serves every kind of completion: submit what was prepared, wait for at least one
 * completion, walk all that have arrived, dispatch on user_data, prepare what follows. The server
 * answers every chunk that it receives with "ack BYTES" and a newline, until the peer closes.
 *
 * Needs: Linux 5.19.
 * Run:   make day04 && ./day04/event-loop
 *        nc 127.0.0.1 7004              (in another terminal; type something)
 *        kill -USR1 $(pidof event-loop) (prints what has happened so far)
 */
#include <assert.h>
#include <errno.h>
#include <error.h>
#include <getopt.h>
#include <liburing.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>

#include "common/listener.h"
#include "common/options.h"
#include "common/ring.h"
#include "common/signals.h"

#define DEFAULT_PORT  7004
#define DEFAULT_SLOTS 1024
#define MAX_SLOTS     32768
#define RING_ENTRIES  256
#define BUFFER_BYTES  4096
#define RETRY_MS      100 /* pause after an accept that failed for want of resources */
#define GRACE_MS      500 /* at the end, for replies to peers that do not read */

/* What a completion is of. With the connection's slot it makes the user_data. */
enum operation { ACCEPT, RECV, SEND, SHUTDOWN, CLOSE, SIGNAL, CANCEL, RETRY, GRACE };

/*
 * A connection has one request in flight, so one buffer serves it: a chunk is received into it, and
 * the reply takes the chunk's place. While RECEIVING and SENDING the buffer is the kernel's.
 */
struct connection {
	enum { FREE, RECEIVING, SENDING, ENDING } state;
	unsigned reply_bytes;
	unsigned sent_bytes;
	char buffer[BUFFER_BYTES];
};

static struct {
	const char *address;
	unsigned port;
	unsigned slots;
} options = {.address = "127.0.0.1", .slots = DEFAULT_SLOTS};

static struct io_uring ring;
static int listen_fd;
static int signal_fd;
static struct connection *connections; /* by slot */

static unsigned slots_in_use; /* from the accept's completion to the close's */
static bool accepting;	      /* the accept is with the kernel */
static bool crowded;	      /* the table was full, and is still half full */
static bool retry_pending;    /* so is a timeout, after which it is armed again */
static bool stopping;

static struct {
	unsigned long connections, completions, waits, full_submissions, overflows;
} count;

/* ---- user_data: the operation in the upper half, the slot in the lower ---- */

static __u64 pack(enum operation operation, unsigned slot)
{
	return (__u64)operation << 32 | slot;
}

static enum operation operation_of(__u64 user_data)
{
	return (enum operation)(user_data >> 32);
}

static unsigned slot_of(__u64 user_data)
{
	return (unsigned)user_data;
}

/*
 * Never NULL: what fills the submission queue is handed over, and then there is room. Completions
 * that arrive meanwhile stay in the completion queue, for the walk that is under way.
 */
static struct io_uring_sqe *get_sqe(void)
{
	struct io_uring_sqe *sqe;
	int result;

	while (!(sqe = io_uring_get_sqe(&ring))) {
		count.full_submissions++;
		result = io_uring_submit(&ring);
		if (result < 0 && !ring_try_again(result))
			error(EXIT_FAILURE, -result, "io_uring_submit");
	}
	return sqe;
}

static void prepare_cancel(enum operation operation, unsigned slot)
{
	struct io_uring_sqe *sqe = get_sqe();

	/* Only a request to cancel: what it names still has a completion of its own. */
	io_uring_prep_cancel64(sqe, pack(operation, slot), 0);
	io_uring_sqe_set_data64(sqe, pack(CANCEL, slot));
}

static void prepare_timeout(struct __kernel_timespec *duration, enum operation operation)
{
	struct io_uring_sqe *sqe = get_sqe();

	io_uring_prep_timeout(sqe, duration, 0, 0);
	io_uring_sqe_set_data64(sqe, pack(operation, 0));
}

/*
 * ---- The life of a connection: accept, then recv and send in turns, then close ----
 * Each has a prepare_ and an on_: the request and what its completion brings.
 */

static void prepare_recv(unsigned slot);
static void prepare_send(unsigned slot);
static void prepare_end(unsigned slot);

/*
 * Accepting pauses while every slot is in use; further peers wait in the listen backlog. After that
 * it goes on one by one: a multishot accept would take another peer without a slot for it.
 */
static void prepare_accept(void)
{
	struct io_uring_sqe *sqe;

	if (accepting || retry_pending || stopping || slots_in_use >= options.slots)
		return;
	if (slots_in_use < options.slots / 2)
		crowded = false;
	sqe = get_sqe();
	if (crowded) {
		io_uring_prep_accept(sqe, listen_fd, NULL, NULL, 0);
		sqe->file_index = IORING_FILE_INDEX_ALLOC;
	} else {
		io_uring_prep_multishot_accept_direct(sqe, listen_fd, NULL, NULL, 0);
	}
	io_uring_sqe_set_data64(sqe, pack(ACCEPT, 0));
	accepting = true;
}

static void on_accept_error(int error_number)
{
	static struct __kernel_timespec pause = {.tv_nsec = RETRY_MS * 1000000LL};

	if (error_number == ECANCELED)
		return;
	/* A peer that came before the pause took effect: the kernel has closed its connection. */
	if (error_number == ENFILE && slots_in_use >= options.slots)
		return;
	if (error_number == EINVAL)
		error(EXIT_FAILURE, 0,
		      "accept: %s (this kernel lacks multishot accept, which Linux 5.19 "
		      "has; day 4 needs it)",
		      strerror(EINVAL));
	error(0, error_number, "accept");
	retry_pending = true;
	prepare_timeout(&pause, RETRY);
}

static void on_accept(const struct io_uring_cqe *cqe)
{
	unsigned slot = (unsigned)cqe->res;

	accepting = cqe->flags & IORING_CQE_F_MORE;
	if (cqe->res < 0) {
		on_accept_error(-cqe->res);
	} else {
		assert(connections[slot].state == FREE);
		count.connections++;
		slots_in_use++;
		if (stopping)
			prepare_end(slot);
		else
			prepare_recv(slot);
		crowded = crowded || slots_in_use >= options.slots;
		if (accepting && slots_in_use >= options.slots)
			prepare_cancel(ACCEPT, 0);
	}
	prepare_accept();
}

static void prepare_recv(unsigned slot)
{
	struct connection *connection = &connections[slot];
	struct io_uring_sqe *sqe = get_sqe();

	io_uring_prep_recv(sqe, (int)slot, connection->buffer, BUFFER_BYTES, 0);
	sqe->flags |= IOSQE_FIXED_FILE;
	io_uring_sqe_set_data64(sqe, pack(RECV, slot));
	connection->state = RECEIVING;
}

static void on_recv(unsigned slot, int result)
{
	struct connection *connection = &connections[slot];

	assert(connection->state == RECEIVING);
	if (result > 0) {
		connection->reply_bytes =
			(unsigned)snprintf(connection->buffer, BUFFER_BYTES, "ack %d\n", result);
		connection->sent_bytes = 0;
		prepare_send(slot);
	} else if (result == -EINTR) {
		prepare_recv(slot);
	} else {
		prepare_end(slot); /* the peer has closed or is lost, or we are stopping */
	}
}

/* While a reply cannot be sent its peer is not read: that is all the backpressure there is. */
static void prepare_send(unsigned slot)
{
	struct connection *connection = &connections[slot];
	struct io_uring_sqe *sqe = get_sqe();

	io_uring_prep_send(sqe, (int)slot, connection->buffer + connection->sent_bytes,
			   connection->reply_bytes - connection->sent_bytes, MSG_NOSIGNAL);
	sqe->flags |= IOSQE_FIXED_FILE;
	io_uring_sqe_set_data64(sqe, pack(SEND, slot));
	connection->state = SENDING;
}

static void on_send(unsigned slot, int result)
{
	struct connection *connection = &connections[slot];

	assert(connection->state == SENDING);
	if (result < 0 && result != -EINTR) {
		prepare_end(slot);
		return;
	}
	if (result > 0)
		connection->sent_bytes += (unsigned)result;

	if (connection->sent_bytes < connection->reply_bytes)
		prepare_send(slot);
	else if (stopping)
		prepare_end(slot);
	else
		prepare_recv(slot);
}

/*
 * Prepared only when nothing else of the connection is in flight. A close needs the slot but none
 * of the connection's memory, which is free from here on: the kernel may give the slot to the next
 * connection, and we may hear of that, before we reap this close.
 */
static void prepare_close(unsigned slot)
{
	struct io_uring_sqe *sqe = get_sqe();

	io_uring_prep_close_direct(sqe, slot);
	io_uring_sqe_set_data64(sqe, pack(CLOSE, slot));
	connections[slot].state = FREE;
}

/* Where a close alone may not reach the peer, it is told first: see ring_releases_late(). */
static void prepare_end(unsigned slot)
{
	struct io_uring_sqe *sqe;

	if (!ring_releases_late(&ring)) {
		prepare_close(slot);
		return;
	}
	sqe = get_sqe();
	io_uring_prep_shutdown(sqe, (int)slot, SHUT_RDWR);
	sqe->flags |= IOSQE_FIXED_FILE;
	io_uring_sqe_set_data64(sqe, pack(SHUTDOWN, slot));
	connections[slot].state = ENDING;
}

static void on_shutdown(unsigned slot)
{
	assert(connections[slot].state == ENDING);
	prepare_close(slot); /* whatever the result: a peer that is lost needs no telling */
}

static void on_close(unsigned slot, int result)
{
	if (result < 0)
		error(EXIT_FAILURE, -result, "close of slot %u", slot);
	slots_in_use--;
	prepare_accept();
}

/* ---- Signals: Ctrl-C is one more completion ---- */

/* The kernel's until the read completes. */
static struct signalfd_siginfo signal_info;

static void prepare_signal(void)
{
	struct io_uring_sqe *sqe = get_sqe();

	io_uring_prep_read(sqe, signal_fd, &signal_info, sizeof(signal_info), 0);
	io_uring_sqe_set_data64(sqe, pack(SIGNAL, 0));
}

static void print_counts(void)
{
	printf("connections: %lu, completions: %lu, waits: %lu, completions a wait: %.1f, "
	       "submission queue full: %lu, completion queue overflowed: %lu\n",
	       count.connections, count.completions, count.waits,
	       (double)count.completions / (double)count.waits, count.full_submissions,
	       count.overflows);
}

/* Nobody is accepted or read any more; replies on their way have GRACE_MS to leave. */
static void stop(void)
{
	static struct __kernel_timespec grace = {.tv_nsec = GRACE_MS * 1000000LL};

	if (stopping)
		return;
	stopping = true;
	if (accepting)
		prepare_cancel(ACCEPT, 0);
	for (unsigned slot = 0; slot < options.slots; slot++)
		if (connections[slot].state == RECEIVING)
			prepare_cancel(RECV, slot);
	prepare_timeout(&grace, GRACE);
}

static void on_grace_over(void)
{
	for (unsigned slot = 0; slot < options.slots; slot++)
		if (connections[slot].state == SENDING)
			prepare_cancel(SEND, slot);
}

static void on_signal(int result)
{
	if (result < 0 && result != -EINTR)
		error(EXIT_FAILURE, -result, "reading a signal");
	if (result > 0) {
		if (signal_info.ssi_signo == SIGUSR1)
			print_counts();
		else
			stop();
	}
	prepare_signal();
}

/* ---- The loop ---- */

static void on_completion(const struct io_uring_cqe *cqe)
{
	unsigned slot = slot_of(cqe->user_data);

	/* Every user_data is of one of these, so that no test gets past the switch. */
	switch (operation_of(cqe->user_data)) {
	case ACCEPT:
		on_accept(cqe);
		break;
	case RECV:
		on_recv(slot, cqe->res);
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
	case RETRY:
		retry_pending = false;
		prepare_accept();
		break;
	case GRACE:
		on_grace_over();
		break;
	case CANCEL:
		break; /* what was to be cancelled has its own completion */
	}
}

static void submit_and_wait(void)
{
	int result = io_uring_submit_and_wait(&ring, 1);

	if (result < 0 && !ring_try_again(result))
		error(EXIT_FAILURE, -result, "io_uring_submit_and_wait");
	count.waits++;

	/*
	 * What does not fit into the completion queue waits in the kernel (IORING_FEAT_NODROP) and
	 * is delivered by the next waits. Only a kernel without memory loses a completion, and
	 * counts it.
	 */
	if (io_uring_cq_has_overflow(&ring))
		count.overflows++;
	if (*ring.cq.koverflow > 0)
		error(EXIT_FAILURE, ENOMEM, "completions were lost");
}

static void serve(void)
{
	struct io_uring_cqe *cqe;
	unsigned head, reaped;

	while (!stopping || accepting || slots_in_use > 0) {
		submit_and_wait();

		reaped = 0;
		io_uring_for_each_cqe (&ring, head, cqe) {
			on_completion(cqe);
			reaped++;
		}
		io_uring_cq_advance(&ring, reaped);
		count.completions += reaped;
	}
}

static void open_ring(void)
{
	struct io_uring_params params = {0};
	int result;

	ring_open(&ring, RING_ENTRIES, &params);
	result = io_uring_register_files_sparse(&ring, options.slots);
	ring_check_register(result, "io_uring_register_files_sparse",
			    "sparse tables, which Linux 5.19 has; day 4 needs them");
	connections = calloc(options.slots, sizeof(connections[0]));
	if (!connections)
		error(EXIT_FAILURE, errno, "calloc");
}

static void print_help(void)
{
	printf("Usage: %s [OPTIONS] [PORT]\n"
	       "Answers every chunk it receives on PORT (default %d, 0: any free one) with\n"
	       "\"ack BYTES\". SIGUSR1 prints what has happened so far.\n\n"
	       "  --bind ADDR   listen on this address (default 127.0.0.1)\n"
	       "  --slots N     connections that can be open at once, 1 to %d (default %d)\n"
	       "  --help        this text\n",
	       program_invocation_name, DEFAULT_PORT, MAX_SLOTS, DEFAULT_SLOTS);
}

static void parse_options(int argc, char **argv)
{
	static const struct option long_options[] = {
		{"bind", required_argument, NULL, 'b'},
		{"slots", required_argument, NULL, 's'},
		{"help", no_argument, NULL, 'h'},
		{0},
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
	signal_fd = signals_open(SIGINT, SIGTERM, SIGUSR1, 0);
	listen_fd = listener_open(options.address, options.port, SOMAXCONN);
	prepare_signal();
	prepare_accept();
	listener_announce(listen_fd);

	serve();

	print_counts();
	io_uring_queue_exit(&ring);
	free(connections);
	return EXIT_SUCCESS;
}
