/*
 * Day 5: an echo server that is right whatever its peers do.
 *
 * Multishot receives take buffers that the kernel picks from one shared ring of them. What is left
 * to decide: who owns a buffer, in which order it is sent, and what happens when there is none.
 *
 * Needs: Linux 6.1.
 * Run:   make day05 && ./day05/echo
 *        nc 127.0.0.1 7005              (in another terminal; type something)
 *
 * A connection's bytes go round in this order:
 *
 *   buffer ring --the kernel receives--> connection's queue --one send at a time--> buffer ring
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
#include "common/descriptors.h"
#include "common/listener.h"
#include "common/memory.h"
#include "common/options.h"
#include "common/output.h"
#include "common/ring.h"
#include "common/signals.h"
#include "common/user_data.h"

#define DEFAULT_PORT	   7005
#define DEFAULT_SLOTS	   10000
#define MAX_SLOTS	   1048576 /* the kernel's bound on a table of direct descriptors */
#define RING_ENTRIES	   512
#define COMPLETION_ENTRIES 4096
#define OWN_BYTES	   32768 /* a connection's own buffer, for when the ring has none left */
#define GRACE_MS	   1500	 /* at the end, for peers that do not read */

#define DEFAULT_BUFFERS	     128
#define MAX_BUFFERS	     32768 /* the kernel's bound on a buffer ring */
#define DEFAULT_BUFFER_BYTES 65536
#define MAX_BUFFER_BYTES     1048576
#define BUFFER_GROUP	     0
#define BUFFERS_A_SEND	     16
#define PAUSE_BUFFERS	     4 /* a connection that has so many to send is not received from */

/* What a completion is of. With the connection's slot it makes the user_data. */
enum operation { IGNORED, ACCEPT, RECV, SEND, SHUTDOWN, CLOSE, SIGNAL, GRACE };

/*
 * Buffers 0 to options.buffers - 1 are shared: the kernel takes one from the ring when bytes
 * arrive, a connection holds it until they are sent, and then it goes back into the ring. Those
 * after them are the connections' own: buffer options.buffers + slot is never in the ring.
 */
struct buffer {
	unsigned length; /* of what it holds; 0: nobody holds it */
	unsigned next;	 /* in the queue of the connection that holds it */
};

struct connection {
	bool open;
	bool receiving; /* a receive is in flight */
	bool starved;	/* it found no buffer in the ring: the next one takes the reserve */
	bool cancelled; /* the receive is asked to end */
	bool sending;	/* a send is in flight, or, at last, the shutdown */
	bool at_end;	/* nothing more is received */
	bool told;	/* the shutdown is prepared: what the peer still sends is discarded */

	unsigned first, last; /* the buffers to send, in the order they were received */
	unsigned queued;      /* how many those are */
	unsigned sent;	      /* bytes of the first that are sent already */
};

static struct {
	const char *address;
	unsigned port;
	unsigned slots;
	unsigned buffers;
	unsigned buffer_bytes;
} options = {
	.address = "127.0.0.1",
	.slots = DEFAULT_SLOTS,
	.buffers = DEFAULT_BUFFERS,
	.buffer_bytes = DEFAULT_BUFFER_BYTES,
};

static struct io_uring ring;
static struct acceptor acceptor;
static int signal_fd;
static struct signalfd_siginfo signal_info; /* the kernel's until the read completes */

static struct connection *connections; /* by slot */
static char (*own)[OWN_BYTES];	       /* by slot */

static struct buffer *buffers; /* by number */
static char *shared;	       /* the memory of the shared ones */
static struct io_uring_buf_ring *buffer_ring;
static unsigned buffers_in_ring;

static bool stopping;
static bool grace_over;

static struct {
	unsigned long connections, completions, waits, overflows, bytes, pauses, shortages;
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

static void release_sent(struct connection *connection, unsigned sent)
{
	sent += connection->sent;
	while (connection->queued > 0 && sent >= buffers[connection->first].length) {
		sent -= buffers[connection->first].length;
		release_first(connection);
	}
	connection->sent = sent;
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

/* Day 4's receive, into the reserve. */
static void prepare_recv_own(unsigned slot)
{
	struct io_uring_sqe *sqe = ring_get_sqe(&ring);

	io_uring_prep_recv(sqe, (int)slot, own[slot], OWN_BYTES, 0);
	sqe->flags |= IOSQE_FIXED_FILE;
	io_uring_sqe_set_data64(sqe, user_data_pack(RECV, slot));
	connections[slot].receiving = true;
	connections[slot].starved = false;
}

/*
 * As much of the queue as one send takes, for the SQE that will point to it. When the kernel takes
 * an SQE it copies this list, and the list is free for the next; only the data stays the kernel's.
 */
static const struct msghdr *gather(const struct connection *connection,
				   const struct io_uring_sqe *sqe)
{
	static struct {
		struct msghdr message;
		struct iovec parts[BUFFERS_A_SEND];
	} lists[RING_ENTRIES], *list;
	unsigned number = connection->first;
	unsigned skip = connection->sent;
	unsigned i;

	list = &lists[sqe - ring.sq.sqes];
	for (i = 0; i < BUFFERS_A_SEND && i < connection->queued; i++) {
		list->parts[i].iov_base = buffer_memory(number) + skip;
		list->parts[i].iov_len = buffers[number].length - skip;
		number = buffers[number].next;
		skip = 0;
	}
	list->message = (struct msghdr){.msg_iov = list->parts, .msg_iovlen = i};
	return &list->message;
}

static void prepare_send(unsigned slot)
{
	struct connection *connection = &connections[slot];
	struct io_uring_sqe *sqe = ring_get_sqe(&ring);
	unsigned first = connection->first;

	if (connection->queued == 1)
		io_uring_prep_send(sqe, (int)slot, buffer_memory(first) + connection->sent,
				   buffers[first].length - connection->sent, MSG_NOSIGNAL);
	else
		io_uring_prep_sendmsg(sqe, (int)slot, gather(connection, sqe), MSG_NOSIGNAL);
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

/* Only asks: the receive still has a completion of its own. */
static void prepare_cancel_recv(unsigned slot)
{
	struct io_uring_sqe *sqe = ring_get_sqe(&ring);

	io_uring_prep_cancel64(sqe, user_data_pack(RECV, slot), 0);
	io_uring_sqe_set_data64(sqe, user_data_pack(IGNORED, slot));
	connections[slot].cancelled = true;
	count.pauses += !stopping;
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
 * The guarantee: a connection that holds no buffer has a receive in flight, from the ring or, where
 * the ring is empty, into its own. So no peer can make another wait by holding buffers. One that
 * does hold some has a send in flight, whose completion leads here again. The end is as on day 4.
 */
static void advance(unsigned slot)
{
	struct connection *connection = &connections[slot];
	bool wanted = !connection->at_end && connection->queued < PAUSE_BUFFERS &&
		      (!stopping || connection->told);

	if (connection->queued > 0 && !connection->sending)
		prepare_send(slot);
	if (wanted && !connection->receiving && !connection->starved && buffers_in_ring > 0)
		prepare_recv(slot);
	if (wanted && !connection->receiving && connection->queued == 0)
		prepare_recv_own(slot);
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
	bool from_ring = cqe->flags & IORING_CQE_F_BUFFER;
	unsigned number =
		from_ring ? cqe->flags >> IORING_CQE_BUFFER_SHIFT : options.buffers + slot;

	if (!(cqe->flags & IORING_CQE_F_MORE))
		connection->receiving = connection->cancelled = false;
	buffers_in_ring -= from_ring;
	if (cqe->res > 0 && !connection->told) {
		count.bytes += (unsigned)cqe->res;
		append(connection, number, (unsigned)cqe->res);
	} else if (from_ring) {
		put_into_ring(number);
	}

	if (cqe->res == -ENOBUFS) {
		connection->starved = true;
		count.shortages++;
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
		release_sent(connection, (unsigned)result); /* which may be less than there is */
	} else if (!ring_try_again(result)) {
		while (connection->queued > 0)
			release_first(connection);
		connection->at_end = true;
	}
	advance(slot);
}

static void on_close(unsigned slot, int result)
{
	if (result < 0)
		error(EXIT_FAILURE, -result, "close of slot %u", slot);
	acceptor_on_close(&acceptor);
	assert(acceptor.slots_in_use > 0 || buffers_in_ring == options.buffers);
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
	output_line("bytes: %lu, buffer ring empty: %lu, pauses: %lu", count.bytes, count.shortages,
		    count.pauses);
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

static void open_buffer_ring(void)
{
	struct io_uring_buf_reg registration = {
		.ring_addr = (unsigned long)buffer_ring,
		.ring_entries = options.buffers,
		.bgid = BUFFER_GROUP,
	};

	ring_check_register(io_uring_register_buf_ring(&ring, &registration, 0),
			    "io_uring_register_buf_ring", "buffer rings, which Linux 5.19 has");
	io_uring_buf_ring_init(buffer_ring);
	for (unsigned number = 0; number < options.buffers; number++)
		put_into_ring(number);
}

/* All the memory the program will ever have: nothing is allocated while it serves. */
static void map_memory(void)
{
	connections = memory_map(options.slots, sizeof(connections[0]));
	own = memory_map(options.slots, sizeof(own[0]));
	buffers = memory_map(options.buffers + options.slots, sizeof(buffers[0]));
	shared = memory_map(options.buffers, options.buffer_bytes);
	buffer_ring = memory_map(options.buffers, sizeof(struct io_uring_buf));
	output_line("memory: at most %zu KiB: %u buffers of %u bytes, %u connections",
		    memory_mapped() / 1024, options.buffers, options.buffer_bytes, options.slots);
}

static void parse_options(int argc, char **argv)
{
	const struct option_entry entries[] = {
		{"bind", "ADDR", "listen on this address", .text = &options.address},
		{"connections", "N", "that can be open at once", .number = &options.slots,
		 .least = 1, .most = MAX_SLOTS},
		{"buffers", "N", "in the ring, a power of two", .number = &options.buffers,
		 .least = 1, .most = MAX_BUFFERS},
		{"buffer-size", "BYTES", "of each", .number = &options.buffer_bytes, .least = 1,
		 .most = MAX_BUFFER_BYTES},
		{0},
	};

	options_parse(
		argc, argv,
		"[OPTIONS] [PORT]\n"
		"Sends back what it receives on PORT (7005; 0: any free one). SIGUSR1 prints\n"
		"what has happened so far.",
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
