/*
 * Day 5: an echo server that is right under every peer.
 *
 * Multishot receives take buffers that the kernel picks from one shared ring of them, so that
 * thousands of idle connections cost no receive buffer. What the ring does not decide is decided
 * here: who owns a buffer, in which order it is sent, and what happens when there are none left.
 *
 * Needs: Linux 6.0; uses DEFER_TASKRUN where the kernel has it (6.1).
 * Run:   make day05 && ./day05/echo
 *        nc 127.0.0.1 7005              (in another terminal; type something)
 *
 * A connection's bytes go round in this order:
 *
 *   buffer ring --the kernel receives--> connection's queue --one send at a time--> buffer ring
 *
 * A turn of the loop reaps all completions, which only notes what has happened to each connection,
 * and then advances every connection something happened to: that is where all its requests are
 * prepared.
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
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/listener.h"
#include "common/options.h"
#include "common/ring.h"
#include "common/signals.h"
#include "common/user_data.h"

#define DEFAULT_PORT	     7005
#define DEFAULT_CONNECTIONS  10000
#define MAX_CONNECTIONS	     1048576 /* the kernel's bound on a table of direct descriptors */
#define DEFAULT_BUFFERS	     128
#define MAX_BUFFERS	     32768 /* the kernel's bound on a buffer ring */
#define DEFAULT_BUFFER_BYTES 65536
#define MAX_BUFFER_BYTES     1048576
#define RESERVE_BYTES	     4096 /* a connection's own buffer, for when the ring has none left */
#define RING_ENTRIES	     512
#define COMPLETION_ENTRIES   4096
#define BUFFER_GROUP	     0
#define BUFFERS_A_SEND	     16
#define PAUSE_BUFFERS	     4	  /* a connection that has so many to send is not received from */
#define RETRY_MS	     100  /* pause after an accept that failed for want of resources */
#define GRACE_MS	     1500 /* at the end, for peers that do not read */

enum operation {
	NONE,
	ACCEPT,
	RECV,	      /* multishot, into buffers from the ring */
	RECV_RESERVE, /* into the connection's own buffer */
	SEND,
	DISCARD, /* a receive at the end of the program, of what nobody will send back */
	SHUTDOWN,
	CLOSE,
	SIGNAL,
	RETRY,
	GRACE,
	IGNORED, /* something else completes for it: a cancel, or the shutdown before DISCARD */
};

/*
 * Buffers 0 to options.buffers - 1 are shared: the kernel takes one from the ring when bytes
 * arrive, a connection holds it until they are sent, and then it goes back into the ring. Those
 * after them are the reserves: buffer options.buffers + slot is that connection's own and never in
 * the ring.
 */
struct buffer {
	unsigned next; /* in the queue of the connection that holds it */
	unsigned length;
	bool held;
};
#define NO_BUFFER ((unsigned)-1)

struct connection {
	unsigned first, last; /* the buffers to send, in the order they were received */
	unsigned queued;      /* how many those are */
	unsigned first_sent;  /* bytes of the first that are sent already */
	__u8 receive;	      /* the receive in flight: RECV, RECV_RESERVE, DISCARD or NONE */
	bool cancelled;	      /* it is asked to end */
	bool starved;	      /* it found no buffer in the ring: the next one uses the reserve */
	bool sending;	      /* a send is in flight; a second one could overtake it */
	bool at_end;	      /* nothing more is received */
	bool lost;	      /* nor can anything be sent */
	bool lingering;	      /* we are stopping, and the peer, which has been told, still sends */
	bool open;
	bool touched;
	struct msghdr message; /* the send's: the kernel's until it completes */
	struct iovec parts[BUFFERS_A_SEND];
};

static struct {
	const char *address;
	unsigned port;
	unsigned connections;
	unsigned buffers;
	unsigned buffer_bytes;
	bool stats;
} options = {
	.address = "127.0.0.1",
	.connections = DEFAULT_CONNECTIONS,
	.buffers = DEFAULT_BUFFERS,
	.buffer_bytes = DEFAULT_BUFFER_BYTES,
};

static struct io_uring ring;
static struct io_uring_buf_ring *buffer_ring;
static unsigned buffers_in_ring;
static struct buffer *buffers; /* by number */
static char *shared_memory, *reserve_memory;

static struct connection *connections; /* by slot */
static unsigned *touched;	       /* the slots something happened to in this turn */
static unsigned touched_count;

static int listen_fd;
static int signal_fd;
static unsigned slots_in_use; /* from the accept's completion to the close's */
static bool accepting;	      /* the accept is with the kernel */
static bool crowded;	      /* the table was full, and is still half full */
static bool retry_pending;    /* so is a timeout, after which it is armed again */
static bool stopping;
static bool grace_over;

static struct {
	unsigned long connections, bytes, completions, waits, receives, sends, pauses, shortages,
		overflows;
} count;

static struct io_uring_sqe *get_sqe(void)
{
	return ring_get_sqe(&ring);
}

static void touch(unsigned slot)
{
	if (connections[slot].touched)
		return;
	connections[slot].touched = true;
	touched[touched_count++] = slot;
}

/* ---- Buffers: in the ring, where the kernel takes them, or held by one connection ---- */

static char *buffer_memory(unsigned number)
{
	if (number < options.buffers)
		return shared_memory + (size_t)number * options.buffer_bytes;
	return reserve_memory + (size_t)(number - options.buffers) * RESERVE_BYTES;
}

static void put_into_ring(unsigned number)
{
	io_uring_buf_ring_add(buffer_ring, buffer_memory(number), options.buffer_bytes,
			      (unsigned short)number, io_uring_buf_ring_mask(options.buffers), 0);
	io_uring_buf_ring_advance(buffer_ring, 1);
	buffers_in_ring++;
}

/* The kernel has filled the buffer; it is ours until release(). */
static void hold(unsigned number, unsigned length)
{
	assert(!buffers[number].held);
	buffers[number] = (struct buffer){.next = NO_BUFFER, .length = length, .held = true};
	if (number < options.buffers)
		buffers_in_ring--;
}

static void release(unsigned number)
{
	assert(buffers[number].held);
	buffers[number].held = false;
	if (number < options.buffers)
		put_into_ring(number);
}

static void append(struct connection *connection, unsigned number)
{
	if (connection->queued++ == 0)
		connection->first = number;
	else
		buffers[connection->last].next = number;
	connection->last = number;
}

static void release_first(struct connection *connection)
{
	unsigned number = connection->first;

	connection->first = buffers[number].next;
	connection->first_sent = 0;
	connection->queued--;
	release(number);
}

static void release_sent(struct connection *connection, unsigned sent)
{
	unsigned left;

	while (sent > 0) {
		left = buffers[connection->first].length - connection->first_sent;
		if (sent < left) {
			connection->first_sent += sent;
			return;
		}
		sent -= left;
		release_first(connection);
	}
}

/* ---- Accepting: as on day 4 ---- */

static void prepare_cancel(enum operation operation, unsigned slot)
{
	struct io_uring_sqe *sqe = get_sqe();

	io_uring_prep_cancel64(sqe, user_data_pack(operation, slot), 0);
	io_uring_sqe_set_data64(sqe, user_data_pack(IGNORED, slot));
}

static void prepare_timeout(struct __kernel_timespec *duration, enum operation operation)
{
	struct io_uring_sqe *sqe = get_sqe();

	io_uring_prep_timeout(sqe, duration, 0, 0);
	io_uring_sqe_set_data64(sqe, user_data_pack(operation, 0));
}

static void prepare_accept(void)
{
	struct io_uring_sqe *sqe;

	if (accepting || retry_pending || stopping || slots_in_use >= options.connections)
		return;
	if (slots_in_use < options.connections / 2)
		crowded = false;
	sqe = get_sqe();
	if (crowded) {
		io_uring_prep_accept(sqe, listen_fd, NULL, NULL, 0);
		sqe->file_index = IORING_FILE_INDEX_ALLOC;
	} else {
		io_uring_prep_multishot_accept_direct(sqe, listen_fd, NULL, NULL, 0);
	}
	io_uring_sqe_set_data64(sqe, user_data_pack(ACCEPT, 0));
	accepting = true;
}

static void on_connection(unsigned slot)
{
	struct connection *connection = &connections[slot];

	assert(!connection->open);
	*connection = (struct connection){.open = true};
	count.connections++;
	slots_in_use++;
	touch(slot);
	crowded = crowded || slots_in_use >= options.connections;
	if (accepting && slots_in_use >= options.connections)
		prepare_cancel(ACCEPT, 0);
}

static void on_accept_error(int error_number)
{
	static struct __kernel_timespec pause = {.tv_nsec = RETRY_MS * 1000000LL};

	if (error_number == ECANCELED)
		return;
	/* A peer that came before the pause took effect: the kernel has closed its connection. */
	if (error_number == ENFILE && slots_in_use >= options.connections)
		return;
	if (error_number == EINVAL)
		error(EXIT_FAILURE, 0,
		      "accept: %s (this kernel lacks multishot accept, which Linux 5.19 "
		      "has; day 5 needs it)",
		      strerror(EINVAL));
	error(0, error_number, "accept");
	retry_pending = true;
	prepare_timeout(&pause, RETRY);
}

static void on_accept(const struct io_uring_cqe *cqe)
{
	accepting = cqe->flags & IORING_CQE_F_MORE;
	if (cqe->res >= 0)
		on_connection((unsigned)cqe->res);
	else
		on_accept_error(-cqe->res);

	/* The socket listens until both the descriptor and the request on it are gone. */
	if (stopping && !accepting)
		close(listen_fd);
	prepare_accept();
}

/* ---- Receiving ---- */

/* One request, and a completion with a buffer for all that arrives, until something ends it. */
static void prepare_recv(unsigned slot)
{
	struct io_uring_sqe *sqe = get_sqe();

	io_uring_prep_recv_multishot(sqe, (int)slot, NULL, 0, 0);
	sqe->flags |= IOSQE_FIXED_FILE | IOSQE_BUFFER_SELECT;
	sqe->buf_group = BUFFER_GROUP;
	io_uring_sqe_set_data64(sqe, user_data_pack(RECV, slot));
	connections[slot].receive = RECV;
}

static void prepare_recv_reserve(unsigned slot)
{
	struct io_uring_sqe *sqe = get_sqe();

	io_uring_prep_recv(sqe, (int)slot, buffer_memory(options.buffers + slot), RESERVE_BYTES, 0);
	sqe->flags |= IOSQE_FIXED_FILE;
	io_uring_sqe_set_data64(sqe, user_data_pack(RECV_RESERVE, slot));
	connections[slot].receive = RECV_RESERVE;
	connections[slot].starved = false;
}

static void on_recv(unsigned slot, const struct io_uring_cqe *cqe)
{
	struct connection *connection = &connections[slot];
	bool from_ring = cqe->flags & IORING_CQE_F_BUFFER;
	unsigned number =
		from_ring ? cqe->flags >> IORING_CQE_BUFFER_SHIFT : options.buffers + slot;

	assert(connection->open && connection->receive != NONE);
	if (!(cqe->flags & IORING_CQE_F_MORE)) {
		connection->receive = NONE;
		connection->cancelled = false;
	}
	count.receives++;

	if (cqe->res > 0) {
		count.bytes += (unsigned)cqe->res;
		hold(number, (unsigned)cqe->res);
		append(connection, number);
	} else if (from_ring) {
		hold(number, 0); /* taken from the ring, but not needed */
		release(number);
	}

	switch (-cqe->res) {
	case 0: /* the peer will send no more */
		connection->at_end = true;
		break;
	case ENOBUFS:
		connection->starved = true;
		count.shortages++;
		break;
	case ECANCELED: /* paused */
	case EAGAIN:
	case EINTR:
		break;
	case EINVAL:
		error(EXIT_FAILURE, 0,
		      "receive: %s (this kernel lacks multishot receive, which Linux 6.0 has; day 5 "
		      "needs it)",
		      strerror(EINVAL));
		break;
	default:
		if (cqe->res < 0)
			connection->at_end = connection->lost = true;
	}
	touch(slot);
}

/* ---- Sending ---- */

/* As much of the queue as one send takes; what arrives meanwhile waits for its completion. */
static void prepare_send(unsigned slot)
{
	struct connection *connection = &connections[slot];
	struct io_uring_sqe *sqe = get_sqe();
	unsigned number = connection->first;
	unsigned skip = connection->first_sent;
	unsigned parts;

	for (parts = 0; parts < BUFFERS_A_SEND && parts < connection->queued; parts++) {
		connection->parts[parts].iov_base = buffer_memory(number) + skip;
		connection->parts[parts].iov_len = buffers[number].length - skip;
		number = buffers[number].next;
		skip = 0;
	}
	if (parts == 1) {
		io_uring_prep_send(sqe, (int)slot, connection->parts[0].iov_base,
				   connection->parts[0].iov_len, MSG_NOSIGNAL);
	} else {
		connection->message.msg_iov = connection->parts;
		connection->message.msg_iovlen = parts;
		io_uring_prep_sendmsg(sqe, (int)slot, &connection->message, MSG_NOSIGNAL);
	}
	sqe->flags |= IOSQE_FIXED_FILE;
	io_uring_sqe_set_data64(sqe, user_data_pack(SEND, slot));
	connection->sending = true;
}

static void on_send(unsigned slot, int result)
{
	struct connection *connection = &connections[slot];

	assert(connection->open && connection->sending);
	connection->sending = false;
	count.sends++;
	/* A short send is no error: what it left is the first part of the next. */
	if (result > 0)
		release_sent(connection, (unsigned)result);
	else if (result != -EINTR && result != -EAGAIN)
		connection->at_end = connection->lost = true;
	touch(slot);
}

/* ---- Closing ---- */

static void prepare_shutdown(unsigned slot, int how, enum operation operation)
{
	struct io_uring_sqe *sqe = get_sqe();

	io_uring_prep_shutdown(sqe, (int)slot, how);
	sqe->flags |= IOSQE_FIXED_FILE;
	io_uring_sqe_set_data64(sqe, user_data_pack(operation, slot));
}

static void prepare_close(unsigned slot)
{
	struct io_uring_sqe *sqe = get_sqe();

	io_uring_prep_close_direct(sqe, slot);
	io_uring_sqe_set_data64(sqe, user_data_pack(CLOSE, slot));
}

/* As on day 4: where a close alone may not reach the peer, it is told first. */
static void prepare_end(unsigned slot)
{
	connections[slot].open = false; /* nothing is prepared for it a second time */
	if (ring_releases_late(&ring))
		prepare_shutdown(slot, SHUT_RDWR, SHUTDOWN);
	else
		prepare_close(slot);
}

static void on_close(unsigned slot, int result)
{
	if (result < 0)
		error(EXIT_FAILURE, -result, "close of slot %u", slot);
	slots_in_use--;
	assert(slots_in_use > 0 || buffers_in_ring == options.buffers);
	prepare_accept();
}

/*
 * Closing a socket that has unread bytes resets the connection, and the peer can lose what was sent
 * last. So a peer that is still sending when the program ends is told first that no more is to
 * come, and what it sends is discarded until it closes, too. A peer that is quiet is closed at
 * once.
 */
static void prepare_discard(unsigned slot)
{
	static char nowhere[65536];
	struct connection *connection = &connections[slot];
	struct io_uring_sqe *sqe = get_sqe();

	io_uring_prep_recv(sqe, (int)slot, nowhere, sizeof(nowhere),
			   connection->lingering ? 0 : MSG_DONTWAIT);
	sqe->flags |= IOSQE_FIXED_FILE;
	io_uring_sqe_set_data64(sqe, user_data_pack(DISCARD, slot));
	connection->receive = DISCARD;
}

static void on_discard(unsigned slot, int result)
{
	struct connection *connection = &connections[slot];

	assert(connection->open && connection->receive == DISCARD);
	connection->receive = NONE;
	if (result > 0 && !connection->lingering) {
		connection->lingering = true;
		prepare_shutdown(slot, SHUT_WR, IGNORED);
	} else if (result <= 0 && result != -EINTR) {
		connection->at_end = true;
	}
	touch(slot);
}

/* ---- What a connection needs next ---- */

static void advance_receive(unsigned slot)
{
	struct connection *connection = &connections[slot];
	bool wanted = !connection->at_end && !stopping && connection->queued < PAUSE_BUFFERS;

	if (connection->receive == RECV || connection->receive == RECV_RESERVE) {
		if (!wanted && !connection->cancelled) {
			prepare_cancel(connection->receive, slot);
			connection->cancelled = true;
			count.pauses++;
		}
	} else if (wanted) {
		if (buffers_in_ring > 0 && !connection->starved)
			prepare_recv(slot);
		else if (connection->queued == 0)
			prepare_recv_reserve(slot);
	}
}

/*
 * The guarantee: a connection that holds no buffer has a receive in flight, from the ring or, where
 * the ring is empty, into its own reserve. So no peer can make another wait by holding buffers. One
 * that does hold some has a send in flight, whose completion leads here again.
 */
static void advance(unsigned slot)
{
	struct connection *connection = &connections[slot];

	assert(connection->open);
	connection->touched = false;
	if (connection->lost && !connection->sending)
		while (connection->queued > 0)
			release_first(connection);
	if (connection->queued > 0 && !connection->sending)
		prepare_send(slot);
	advance_receive(slot);

	if (connection->receive != NONE || connection->sending)
		return;
	if (connection->at_end) {
		prepare_end(slot);
	} else {
		assert(stopping); /* otherwise a receive would have been forgotten */
		prepare_discard(slot);
	}
}

/* ---- Signals: as on day 4 ---- */

static struct signalfd_siginfo signal_info;

static void prepare_signal(void)
{
	struct io_uring_sqe *sqe = get_sqe();

	io_uring_prep_read(sqe, signal_fd, &signal_info, sizeof(signal_info), 0);
	io_uring_sqe_set_data64(sqe, user_data_pack(SIGNAL, 0));
}

/* From here on nobody is accepted or received from, and what has been received is sent. */
static void stop(void)
{
	static struct __kernel_timespec grace = {
		.tv_sec = GRACE_MS / 1000,
		.tv_nsec = GRACE_MS % 1000 * 1000000LL,
	};

	stopping = true;
	if (accepting)
		prepare_cancel(ACCEPT, 0);
	else
		close(listen_fd);
	for (unsigned slot = 0; slot < options.connections; slot++)
		if (connections[slot].open)
			touch(slot);
	prepare_timeout(&grace, GRACE);
}

static void on_signal(int result)
{
	if (result < 0 && result != -EINTR)
		error(EXIT_FAILURE, -result, "reading a signal");
	if (result < 0) {
		prepare_signal();
		return;
	}
	stop();
	signals_release(); /* a second one ends the program at once, as if it knew no signals */
}

/* ---- The loop ---- */

static void on_completion(const struct io_uring_cqe *cqe)
{
	unsigned slot = user_data_slot(cqe->user_data);

	/* Every user_data is of one of these, so that no test gets past the switch. */
	switch ((enum operation)user_data_operation(cqe->user_data)) {
	case ACCEPT:
		on_accept(cqe);
		break;
	case RECV:
	case RECV_RESERVE:
		on_recv(slot, cqe);
		break;
	case SEND:
		on_send(slot, cqe->res);
		break;
	case DISCARD:
		on_discard(slot, cqe->res);
		break;
	case SHUTDOWN:
		prepare_close(slot);
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
		grace_over = true;
		break;
	case NONE:
	case IGNORED:
		break;
	}
}

static void submit_and_wait(void)
{
	int result = io_uring_submit_and_wait(&ring, 1);

	if (result < 0 && !ring_try_again(result))
		error(EXIT_FAILURE, -result, "io_uring_submit_and_wait");
	count.waits++;
	if (io_uring_cq_has_overflow(&ring))
		count.overflows++;
	if (*ring.cq.koverflow > 0)
		error(EXIT_FAILURE, ENOMEM, "completions were lost");
}

static void serve(void)
{
	struct io_uring_cqe *cqe;
	unsigned head, reaped, i;

	while (!stopping || ((accepting || slots_in_use > 0) && !grace_over)) {
		submit_and_wait();

		reaped = 0;
		io_uring_for_each_cqe (&ring, head, cqe) {
			on_completion(cqe);
			reaped++;
		}
		io_uring_cq_advance(&ring, reaped);
		count.completions += reaped;

		for (i = 0; i < touched_count; i++)
			advance(touched[i]);
		touched_count = 0;
	}
}

/* ---- Setting up ---- */

/*
 * The kernel takes no table of direct descriptors larger than the limit on open files, although the
 * slots are none: the soft limit is raised, and the hard one is an answer.
 */
static void fit_to_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		error(EXIT_FAILURE, errno, "getrlimit");
	if (limit.rlim_max < options.connections) {
		printf("connections: %u instead of %u (the hard limit on open files: ulimit -Hn)\n",
		       (unsigned)limit.rlim_max, options.connections);
		options.connections = (unsigned)limit.rlim_max;
	}
	if (limit.rlim_cur < options.connections) {
		limit.rlim_cur = options.connections;
		if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
			error(EXIT_FAILURE, errno, "setrlimit");
	}
}

/* Memory that costs nothing until it is touched. */
static void *map_memory(size_t count_of, size_t size)
{
	void *memory = mmap(NULL, count_of * size, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (memory == MAP_FAILED)
		error(EXIT_FAILURE, errno, "mmap of %zu bytes", count_of * size);
	return memory;
}

/* All the memory the program will ever have: nothing is allocated while it serves. */
static void allocate_memory(void)
{
	size_t rings = RING_ENTRIES * sizeof(struct io_uring_sqe) +
		       COMPLETION_ENTRIES * sizeof(struct io_uring_cqe);
	size_t a_buffer = options.buffer_bytes + sizeof(buffers[0]) + sizeof(struct io_uring_buf);
	size_t a_connection =
		sizeof(connections[0]) + sizeof(touched[0]) + RESERVE_BYTES + sizeof(buffers[0]);

	buffer_ring = map_memory(options.buffers, sizeof(struct io_uring_buf));
	shared_memory = map_memory(options.buffers, options.buffer_bytes);
	reserve_memory = map_memory(options.connections, RESERVE_BYTES);
	buffers = map_memory((size_t)options.buffers + options.connections, sizeof(buffers[0]));
	connections = map_memory(options.connections, sizeof(connections[0]));
	touched = map_memory(options.connections, sizeof(touched[0]));

	printf("memory: at most %zu KiB: %u buffers of %zu bytes, %u connections of %zu bytes\n",
	       (rings + options.buffers * a_buffer + options.connections * a_connection) / 1024,
	       options.buffers, a_buffer, options.connections, a_connection);
}

/*
 * With DEFER_TASKRUN, for which the kernel wants to be told that a single thread submits, it works
 * on requests when this thread waits, and never interrupts it for that. Older kernels do without.
 */
static void open_ring(void)
{
	struct io_uring_params params = {
		.flags = IORING_SETUP_CQSIZE | IORING_SETUP_SINGLE_ISSUER |
			 IORING_SETUP_DEFER_TASKRUN,
		.cq_entries = COMPLETION_ENTRIES,
	};

	if (io_uring_queue_init_params(RING_ENTRIES, &ring, &params) < 0) {
		params.flags = IORING_SETUP_CQSIZE;
		ring_open(&ring, RING_ENTRIES, &params);
	}
	if (options.stats)
		printf("ring: %u and %u entries, DEFER_TASKRUN (Linux 6.1): %s\n",
		       params.sq_entries, params.cq_entries,
		       ring.flags & IORING_SETUP_DEFER_TASKRUN ? "on" : "off");

	ring_check_register(io_uring_register_ring_fd(&ring), "io_uring_register_ring_fd",
			    "registered ring descriptors, which Linux 5.18 has; day 5 needs them");
	ring_check_register(io_uring_register_files_sparse(&ring, options.connections),
			    "io_uring_register_files_sparse",
			    "sparse tables, which Linux 5.19 has; day 5 needs them");
}

static void open_buffer_ring(void)
{
	struct io_uring_buf_reg registration = {
		.ring_addr = (unsigned long)buffer_ring,
		.ring_entries = options.buffers,
		.bgid = BUFFER_GROUP,
	};

	ring_check_register(io_uring_register_buf_ring(&ring, &registration, 0),
			    "io_uring_register_buf_ring",
			    "buffer rings, which Linux 5.19 has; day 5 needs them");
	io_uring_buf_ring_init(buffer_ring);
	for (unsigned number = 0; number < options.buffers; number++)
		put_into_ring(number);
}

static void print_counts(void)
{
	printf("connections: %lu, bytes: %lu, completions: %lu, waits: %lu, completions a wait: %.1f\n"
	       "receives: %lu, sends: %lu, pauses: %lu, ring of buffers empty: %lu, "
	       "completion queue overflowed: %lu\n",
	       count.connections, count.bytes, count.completions, count.waits,
	       (double)count.completions / (double)count.waits, count.receives, count.sends,
	       count.pauses, count.shortages, count.overflows);
}

static void print_help(void)
{
	printf("Usage: %s [OPTIONS] [PORT]\n"
	       "Sends back what it receives on PORT (default %d, 0: any free one).\n\n"
	       "  --bind ADDR           listen on this address (default 127.0.0.1)\n"
	       "  --connections N       how many can be open at once, 1 to %d (default %d)\n"
	       "  --buffers N           in the ring, a power of two, 1 to %d (default %d)\n"
	       "  --buffer-size BYTES   of each, 1 to %d (default %d)\n"
	       "  --stats               print what was done, at the end\n"
	       "  --help                this text\n",
	       program_invocation_name, DEFAULT_PORT, MAX_CONNECTIONS, DEFAULT_CONNECTIONS,
	       MAX_BUFFERS, DEFAULT_BUFFERS, MAX_BUFFER_BYTES, DEFAULT_BUFFER_BYTES);
}

static void parse_options(int argc, char **argv)
{
	static const struct option long_options[] = {
		{"bind", required_argument, NULL, 'b'},
		{"connections", required_argument, NULL, 'c'},
		{"buffers", required_argument, NULL, 'n'},
		{"buffer-size", required_argument, NULL, 's'},
		{"stats", no_argument, NULL, 'S'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	int option;

	while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		switch (option) {
		case 'b':
			options.address = optarg;
			break;
		case 'c':
			options.connections =
				option_number("--connections", optarg, 1, MAX_CONNECTIONS);
			break;
		case 'n':
			options.buffers = option_number("--buffers", optarg, 1, MAX_BUFFERS);
			break;
		case 's':
			options.buffer_bytes =
				option_number("--buffer-size", optarg, 1, MAX_BUFFER_BYTES);
			break;
		case 'S':
			options.stats = true;
			break;
		case 'h':
			print_help();
			exit(EXIT_SUCCESS);
		default:
			usage_hint();
		}
	}
	if (options.buffers & (options.buffers - 1))
		usage_error("--buffers: %u is not a power of two", options.buffers);
	options.port = option_port(argc, argv, DEFAULT_PORT);
}

int main(int argc, char **argv)
{
	parse_options(argc, argv);
	fit_to_descriptor_limit();
	allocate_memory();
	open_ring();
	open_buffer_ring();
	signal_fd = signals_open(SIGINT, SIGTERM, 0);
	listen_fd = listener_open(options.address, options.port, SOMAXCONN);
	prepare_signal();
	prepare_accept();
	listener_announce(listen_fd);

	serve();

	if (options.stats)
		print_counts();
	io_uring_queue_exit(&ring);
	return EXIT_SUCCESS;
}
