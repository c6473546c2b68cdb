/*
 * Day 6: day 5's echo server, which waits for no client for ever, and shuts down cleanly.
 *
 * A timeout is a request. One is enough, for the first of a list of all connections by their last
 * activity. A silent client is sent its EOF. When the program ends, every client is, the same way.
 *
 * Needs: Linux 6.1.
 * Run:   make day06 && ./day06/deadlines --idle 5000
 *        nc 127.0.0.1 7006              (in another terminal; type something, then wait)
 *
 * A connection's bytes go round like this:
 *
 *   buffer ring --the kernel receives--> connection's queue --one send at a time--> buffer ring
 */
#include <assert.h>
#include <errno.h>
#include <liburing.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "common/acceptor.h"
#include "common/clock.h"
#include "common/descriptors.h"
#include "common/listener.h"
#include "common/memory.h"
#include "common/options.h"
#include "common/output.h"
#include "common/ring.h"
#include "common/signals.h"
#include "common/slot_list.h"
#include "common/user_data.h"

#define DEFAULT_PORT	   7006
#define RING_ENTRIES	   512
#define COMPLETION_ENTRIES 4096
#define OWN_BYTES	   32768 /* a connection's own buffer, for when the buffer ring is empty */
#define BUFFER_GROUP	   0
#define PAUSE_BUFFERS	   4 /* with as many to send, a connection isn't received from */

#define SLOW_LIMITS 16	 /* that pass before a client which takes nothing is cut off */
#define SHUTDOWN_MS 1500 /* the limit when the program ends, for clients that don't close */

/* What a completion is of; 0 stands for a request whose result decides nothing. */
enum operation { ACCEPT = 1, RECV, SEND, CANCEL, SHUTDOWN, CLOSE, SIGNAL, DEADLINE };

/*
 * Buffers 0 to options.buffers - 1 are shared. The kernel takes one from the ring when bytes
 * arrive, a connection holds it until they are sent, then it goes back into the ring. The numbers
 * after them are the connections' own buffers: options.buffers + slot is never in the ring.
 */
struct buffer {
	unsigned length; /* of what it holds; 0: no connection holds it */
	unsigned next;	 /* in the queue of the connection that holds it */
};

struct connection {
	bool open;
	bool receiving; /* a receive is in flight */
	bool starved;	/* it found the buffer ring empty: the next one takes the own buffer */
	bool cancelled; /* the receive has been asked to end */
	bool sending;	/* a send is in flight, or the shutdown */
	bool eof;	/* nothing more will be received: EOF, or an error */
	bool ending;	/* what has been received is still sent, then comes the shutdown */
	bool shut_down; /* the shutdown is prepared: what the client still sends is discarded */

	unsigned first, last; /* the buffers to send, in the order they were received */
	unsigned queued;      /* how many those are */
	unsigned sent;	      /* bytes of the first that have been sent */
	unsigned slow;	      /* how many limits have passed with a send in flight */
	long long active_ns;  /* when it last received or sent something */
};

static struct {
	const char *address;
	unsigned port, slots, buffers, buffer_bytes, limit_ms;
} options = {"127.0.0.1", .slots = 10000, .buffers = 128, .buffer_bytes = 65536, .limit_ms = 60000};

static struct io_uring ring;
static struct acceptor acceptor;
static bool stopping;

static struct slot_list by_activity;
static long long now_ns;		  /* when this pass of the loop began */
static struct __kernel_timespec deadline; /* the kernel reads it when it takes the SQE */

static struct connection *connections; /* by slot */
static char (*own)[OWN_BYTES];	       /* by slot */

static struct buffer *buffers; /* by number */
static char *shared;	       /* the memory of the shared ones */
static struct io_uring_buf_ring *buffer_ring;
static unsigned buffers_in_ring;

static struct {
	unsigned long connections, completions, waits, overflows, bytes, pauses, shortages, silent;
} count;

/* ---- The buffers: in the ring, where the kernel takes them, or held by one connection ---- */

static char *buffer_memory(unsigned number)
{
	if (number < options.buffers)
		return shared + (size_t)number * options.buffer_bytes;
	return own[number - options.buffers];
}

static void put_into_ring(unsigned number)
{
	io_uring_buf_ring_add(buffer_ring, buffer_memory(number), options.buffer_bytes,
			      (unsigned short)number, io_uring_buf_ring_mask(options.buffers), 0);
	io_uring_buf_ring_advance(buffer_ring, 1);
	buffers_in_ring++;
}

static void append(struct connection *connection, unsigned number, unsigned length)
{
	assert(buffers[number].length == 0);
	buffers[number].length = length;
	if (connection->queued++ == 0)
		connection->first = number;
	else
		buffers[connection->last].next = number;
	connection->last = number;
}

static void release_first(struct connection *connection)
{
	unsigned number = connection->first;

	assert(buffers[number].length > 0);
	buffers[number].length = 0;
	connection->first = buffers[number].next;
	connection->sent = 0;
	connection->queued--;
	if (number < options.buffers)
		put_into_ring(number);
}

/* ---- The list: the connections, from the longest silent to the last active ---- */

static void make_newest(unsigned slot)
{
	slot_list_remove(&by_activity, slot);
	slot_list_append(&by_activity, slot);
	connections[slot].active_ns = now_ns;
}

/* What a connection does while it's ending doesn't count, or it might never end. */
static void record_activity(unsigned slot)
{
	connections[slot].slow = 0;
	if (!connections[slot].ending)
		make_newest(slot);
}

/* ---- The requests ---- */

/* One request, and a completion with a buffer for all that arrives, until something ends it. */
static void prepare_recv(unsigned slot)
{
	struct io_uring_sqe *sqe = ring_get_sqe(&ring);

	io_uring_prep_recv_multishot(sqe, (int)slot, NULL, 0, 0);
	sqe->flags |= IOSQE_FIXED_FILE | IOSQE_BUFFER_SELECT;
	sqe->buf_group = BUFFER_GROUP;
	io_uring_sqe_set_data64(sqe, user_data_pack(RECV, slot));
	connections[slot].receiving = true;
}

/* Day 4's receive, into the own buffer. */
static void prepare_recv_own(unsigned slot)
{
	struct io_uring_sqe *sqe = ring_get_sqe(&ring);

	io_uring_prep_recv(sqe, (int)slot, own[slot], OWN_BYTES, 0);
	sqe->flags |= IOSQE_FIXED_FILE;
	io_uring_sqe_set_data64(sqe, user_data_pack(RECV, slot));
	connections[slot].receiving = true;
	connections[slot].starved = false;
}

/* One at a time: a second send in flight could overtake the first, or follow on a short one. */
static void prepare_send(unsigned slot)
{
	struct connection *connection = &connections[slot];
	struct io_uring_sqe *sqe = ring_get_sqe(&ring);
	unsigned first = connection->first;

	io_uring_prep_send(sqe, (int)slot, buffer_memory(first) + connection->sent,
			   buffers[first].length - connection->sent, MSG_NOSIGNAL);
	sqe->flags |= IOSQE_FIXED_FILE;
	io_uring_sqe_set_data64(sqe, user_data_pack(SEND, slot));
	connection->sending = true;
}

/* This only asks. The request still has a completion of its own, perhaps with more bytes first. */
static void prepare_cancel(unsigned slot, enum operation operation)
{
	struct io_uring_sqe *sqe = ring_get_sqe(&ring);

	io_uring_prep_cancel64(sqe, user_data_pack(operation, slot), 0);
	io_uring_sqe_set_data64(sqe, user_data_pack(CANCEL, slot));
}

/* The client gets its EOF: nothing more will be sent. */
static void prepare_shutdown(unsigned slot)
{
	struct io_uring_sqe *sqe = ring_get_sqe(&ring);

	io_uring_prep_shutdown(sqe, (int)slot, SHUT_WR);
	sqe->flags |= IOSQE_FIXED_FILE;
	io_uring_sqe_set_data64(sqe, user_data_pack(SHUTDOWN, slot));
	connections[slot].sending = true;
	connections[slot].shut_down = true;
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
	slot_list_remove(&by_activity, slot);
}

/* For the oldest connection. When it completes, the next one is for whichever is the oldest then.
 */
static void prepare_deadline(void)
{
	unsigned oldest = slot_list_first(&by_activity);
	long long at_ns = oldest == by_activity.none ? now_ns : connections[oldest].active_ns;
	struct io_uring_sqe *sqe = ring_get_sqe(&ring);

	at_ns += options.limit_ms * NS_PER_MS;
	deadline = (struct __kernel_timespec){at_ns / NS_PER_S, at_ns % NS_PER_S};
	io_uring_prep_timeout(sqe, &deadline, 0, IORING_TIMEOUT_ABS);
	io_uring_sqe_set_data64(sqe, user_data_pack(DEADLINE, 0));
}

/* ---- What a connection needs next ---- */

/*
 * The guarantee: a connection that holds no buffer has a receive in flight, from the ring or, if
 * the ring is empty, into its own buffer. So no client can make another one wait by holding
 * buffers. A connection that does hold some has a send in flight, whose completion leads back here.
 * One that has nothing in flight has sent all that it had to send. If it hasn't reached EOF, it's
 * ending: it is shut down, then read until its EOF, since a close with unread bytes is a reset.
 */
static void advance(unsigned slot)
{
	struct connection *connection = &connections[slot];
	bool wanted = !connection->eof && connection->queued < PAUSE_BUFFERS &&
		      (!connection->ending || connection->shut_down);

	if (connection->queued > 0 && !connection->sending)
		prepare_send(slot);
	if (wanted && !connection->receiving && !connection->starved && buffers_in_ring > 0)
		prepare_recv(slot);
	if (wanted && !connection->receiving && connection->queued == 0)
		prepare_recv_own(slot);
	if (!wanted && connection->receiving && !connection->cancelled) {
		prepare_cancel(slot, RECV);
		connection->cancelled = true;
		count.pauses += !connection->eof && !connection->ending;
	}

	if (connection->receiving || connection->sending)
		return;
	if (connection->eof)
		prepare_close(slot);
	else
		prepare_shutdown(slot);
}

/* ---- What the completions bring ---- */

static void on_accept(const struct io_uring_cqe *cqe)
{
	int slot = acceptor_on_completion(&acceptor, cqe);

	if (slot < 0)
		return;
	assert(!connections[slot].open);
	connections[slot] =
		(struct connection){.open = true, .ending = stopping, .active_ns = now_ns};
	slot_list_append(&by_activity, (unsigned)slot);
	count.connections++;
	advance((unsigned)slot);
}

static void on_recv(unsigned slot, const struct io_uring_cqe *cqe)
{
	struct connection *connection = &connections[slot];
	bool from_ring = cqe->flags & IORING_CQE_F_BUFFER;
	unsigned number =
		from_ring ? cqe->flags >> IORING_CQE_BUFFER_SHIFT : options.buffers + slot;

	if (!(cqe->flags & IORING_CQE_F_MORE))
		connection->receiving = connection->cancelled = false;
	buffers_in_ring -= from_ring;
	if (cqe->res > 0 && !connection->shut_down) {
		record_activity(slot);
		count.bytes += (unsigned)cqe->res;
		append(connection, number, (unsigned)cqe->res);
	} else if (from_ring) {
		put_into_ring(number);
	}

	if (cqe->res == -ENOBUFS) {
		connection->starved = true;
		count.shortages++;
	} else if (cqe->res <= 0 && cqe->res != -ECANCELED && !ring_try_again(cqe->res)) {
		connection->eof = true;
	}
	advance(slot);
}

static void on_send(unsigned slot, int result)
{
	struct connection *connection = &connections[slot];

	connection->sending = false;
	if (result > 0) {
		record_activity(slot);
		connection->sent += (unsigned)result; /* perhaps less than it was to send */
		if (connection->sent == buffers[connection->first].length)
			release_first(connection);
	} else if (!ring_try_again(result) &&
		   (result != -ECANCELED || connection->slow == SLOW_LIMITS)) {
		while (connection->queued > 0)
			release_first(connection);
		connection->eof = true;
	}
	advance(slot);
}

/* Usually it has found the receive, or the receive had just ended. Otherwise we ask again. */
static void on_cancel(unsigned slot, int result)
{
	if (!ring_try_again(result) || !connections[slot].cancelled)
		return;
	connections[slot].cancelled = false;
	advance(slot);
}

/* If there can be no shutdown, the close has to do: the client is gone, or the kernel is short. */
static void on_shutdown(unsigned slot, int result)
{
	connections[slot].sending = false;
	connections[slot].eof |= result < 0;
	advance(slot);
}

static void on_close(unsigned slot, int result)
{
	if (result < 0)
		output_error(EXIT_FAILURE, -result, "close of slot %u", slot);
	acceptor_on_close(&acceptor);
	assert(acceptor.slots_in_use > 0 || buffers_in_ring == options.buffers);
}

static void print_counts(void)
{
	output_line("connections: %lu, completions: %lu, waits: %lu, completions a wait: %.1f, "
		    "completion queue overflowed: %lu",
		    count.connections, count.completions, count.waits,
		    (double)count.completions / (double)count.waits, count.overflows);
	output_line("bytes: %lu, buffer ring empty: %lu, pauses: %lu", count.bytes, count.shortages,
		    count.pauses);
	output_line("silent for too long: %lu", count.silent);
}

/* What has been received is sent, then the client gets its EOF, then it has a limit to close. */
static void end(unsigned slot)
{
	connections[slot].ending = true;
	make_newest(slot);
	advance(slot);
}

/*
 * A silent client is ended. One that has a send in flight may be taking bytes, so slowly that the
 * send, which waits until much of the socket's buffer is free, hasn't heard of it. A send that is
 * cancelled and prepared again takes what room there is. One that has been ended is cut off.
 */
static void on_silence(unsigned slot)
{
	struct connection *connection = &connections[slot];

	if (connection->sending)
		prepare_cancel(slot, SEND);
	if (connection->sending && !connection->ending && ++connection->slow < SLOW_LIMITS) {
		make_newest(slot);
		return;
	}
	count.silent += !connection->ending;
	if (connection->sending || connection->ending) {
		connection->slow = SLOW_LIMITS;
		connection->eof = true;
	}
	end(slot);
}

static void on_deadline(void)
{
	unsigned oldest;

	while ((oldest = slot_list_first(&by_activity)) != by_activity.none &&
	       connections[oldest].active_ns + options.limit_ms * NS_PER_MS <= now_ns)
		on_silence(oldest);
	prepare_deadline();
}

/* Every connection is ended, with less time to close. */
static void stop(void)
{
	stopping = true;
	acceptor_stop(&acceptor);
	options.limit_ms = SHUTDOWN_MS;
	for (unsigned slot = 0; slot < options.slots; slot++)
		if (connections[slot].open)
			end(slot);
	prepare_cancel(0, DEADLINE); /* it completes now, and the next one is sooner */
}

static void on_signal(int result)
{
	int number = signals_on_read(result);

	if (number == SIGUSR1)
		print_counts();
	else if (number != 0)
		stop();
	signals_prepare_read(&ring, user_data_pack(SIGNAL, 0));
}

/* ---- The loop ---- */

static void on_completion(const struct io_uring_cqe *cqe)
{
	unsigned slot = user_data_slot(cqe->user_data);

	switch (user_data_operation(cqe->user_data)) {
	case ACCEPT: on_accept(cqe); break;
	case RECV: on_recv(slot, cqe); break;
	case SEND: on_send(slot, cqe->res); break;
	case CANCEL: on_cancel(slot, cqe->res); break;
	case SHUTDOWN: on_shutdown(slot, cqe->res); break;
	case CLOSE: on_close(slot, cqe->res); break;
	case SIGNAL: on_signal(cqe->res); break;
	case DEADLINE: on_deadline(); break;
	}
}

static void serve(void)
{
	while (!stopping || acceptor_is_busy(&acceptor)) {
		struct io_uring_cqe *cqe;
		unsigned head, reaped = 0;

		ring_again(&ring, io_uring_submit_and_wait(&ring, 1), "io_uring_submit_and_wait");
		now_ns = clock_ns();
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

static void open_buffer_ring(void)
{
	struct io_uring_buf_reg registration = {
		.ring_addr = (unsigned long)buffer_ring,
		.ring_entries = options.buffers,
		.bgid = BUFFER_GROUP,
	};
	int result;

	do
		result = io_uring_register_buf_ring(&ring, &registration, 0);
	while (ring_wait_for_memory(result));
	ring_check_register(result, "io_uring_register_buf_ring",
			    "buffer rings, which Linux 5.19 has");
	io_uring_buf_ring_init(buffer_ring);
	for (unsigned number = 0; number < options.buffers; number++)
		put_into_ring(number);
}

/* All the memory that the program will ever have: nothing is allocated while it serves. */
static void map_memory(void)
{
	connections = memory_map(options.slots, sizeof(connections[0]));
	own = memory_map(options.slots, sizeof(own[0]));
	buffers = memory_map(options.buffers + options.slots, sizeof(buffers[0]));
	slot_list_open(&by_activity, options.slots);
	shared = memory_map(options.buffers, options.buffer_bytes);
	buffer_ring = memory_map(options.buffers, sizeof(struct io_uring_buf));
	output_line("memory: at most %zu KiB: %u shared buffers of %u bytes; %u connections, each "
		    "with its own buffer of %u",
		    memory_mapped() / 1024, options.buffers, options.buffer_bytes, options.slots,
		    OWN_BYTES);
}

static void parse_options(int argc, char **argv)
{
	const struct option_entry entries[] = {
		{"bind", "ADDR", "listen on this address", .text = &options.address},
		{"connections", "N", "that can be open at once", .number = &options.slots,
		 .least = 1, .most = 1048576},
		{"buffers", "N", "in the ring, a power of two", .number = &options.buffers,
		 .least = 1, .most = 32768},
		{"idle", "MS", "that a client may be silent", .number = &options.limit_ms,
		 .least = 1, .most = 86400000},
		{"buffer-size", "BYTES", "of each", .number = &options.buffer_bytes, .least = 1,
		 .most = 1048576},
		{0},
	};

	options_parse(argc, argv,
		      "[OPTIONS] [PORT]\n"
		      "Sends back what it receives on PORT (7006; 0: any free one).\n"
		      "SIGUSR1 prints what has happened so far.",
		      entries);
	options.port = option_port(argc, argv, DEFAULT_PORT);
	if (options.buffers & (options.buffers - 1))
		usage_error("--buffers: %u is not a power of two", options.buffers);
	options.slots = descriptors_allow(options.slots);
}

int main(int argc, char **argv)
{
	int listen_fd;

	output_open();
	parse_options(argc, argv);
	map_memory();
	open_ring();
	open_buffer_ring();
	signals_open(SIGINT, SIGTERM, SIGUSR1, 0);
	signals_prepare_read(&ring, user_data_pack(SIGNAL, 0));
	now_ns = clock_ns();
	prepare_deadline();
	listen_fd = listener_open(options.address, options.port, SOMAXCONN);
	acceptor_start(&acceptor, &ring, listen_fd, options.slots, user_data_pack(ACCEPT, 0));
	listener_announce(listen_fd);

	serve();

	print_counts();
	io_uring_queue_exit(&ring);
	return EXIT_SUCCESS;
}
