/*
 * Day 7: a proxy, a server that is a client too.
 *
 * For each client the proxy connects to one other server, the upstream. What it receives from
 * either of the two it sends to the other. The way out is new, a connect with a time limit, and so
 * are two connections that are one: an EOF crosses as an EOF, an error as a reset, and if one of
 * them won't take any more, the other one has to wait.
 *
 * Needs: Linux 6.1.
 * Run:   make day05 day07; ./day05/echo & ./day07/proxy 7007 127.0.0.1:7005
 *        nc 127.0.0.1 7007              (in another terminal; type something)
 *
 * The bytes of a pair cross over like this, both ways at once:
 *
 *   from one end --the kernel receives--> the other end's queue --one send at a time--> to it
 */
#include <assert.h>
#include <errno.h>
#include <liburing.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/acceptor.h"
#include "common/buffers.h"
#include "common/clock.h"
#include "common/connector.h"
#include "common/deadlines.h"
#include "common/descriptors.h"
#include "common/listener.h"
#include "common/loop.h"
#include "common/memory.h"
#include "common/options.h"
#include "common/output.h"
#include "common/requests.h"
#include "common/ring.h"
#include "common/signals.h"
#include "common/user_data.h"

#define DEFAULT_PORT	   7007
#define RING_ENTRIES	   512 /* at least 2, for requests that are linked */
#define COMPLETION_ENTRIES 4096
#define OWN_BYTES	   32768 /* a connection's own buffer, for when the buffer ring is empty */
#define BUFFER_GROUP	   0
#define PAUSE_BUFFERS	   4 /* with as many to send, the other end isn't received from */

#define SLOW_LIMITS 16	 /* that pass before an end which takes nothing is cut off */
#define SHUTDOWN_MS 1500 /* the time that the program takes to end, at most */
#define QUIET_MS    200	 /* and a pair that is silent for so long then counts as over */

/* What a completion is of; 0 stands for a request whose result decides nothing. */
enum operation { ACCEPT = 1, CONNECT, RECV, SEND, CANCEL, SHUTDOWN, CLOSE, SIGNAL, DEADLINE };

/* One end of a pair: the client's in slot N, the upstream's in slot N + options.slots. */
struct connection {
	bool open;
	bool receiving; /* a receive is in flight */
	bool starved;	/* it found the buffer ring empty: the next one takes the own buffer */
	bool cancelled; /* the receive, or the connect, has been asked to end */
	bool sending;	/* a send is in flight, or the shutdown */
	bool eof;	/* nothing more will be received: EOF, or an error */
	bool ending;	/* the program ends, and the pair has nothing left to send */
	bool shut_down; /* it gets its EOF, or has it: what the other end receives is discarded */
	bool failed;	/* an error has ended it: the other end gets a reset instead of its EOF */
	unsigned slow;	/* of a client: how many limits its pair has passed with a send in flight */

	struct buffer_queue queue;	/* to send: the other end has received it */
	const struct addrinfo *address; /* of the upstream, while connecting */
	int fd;				/* the socket that connects, not yet in its slot */
};

static struct {
	const char *address;
	unsigned port, slots, buffers, buffer_bytes, connect_ms, limit_ms;
} options = {"127.0.0.1",    .slots = 10000, /* for clients, and as many for upstreams */
	     .buffers = 128, .buffer_bytes = 65536, .connect_ms = 5000, .limit_ms = 60000};

static struct io_uring ring;
static struct acceptor acceptor;
static struct connector upstream;
static struct __kernel_timespec connect_limit; /* the same for all, so all may point to it */
static struct buffers buffers;
static struct deadlines deadlines;     /* of the pairs, by their client's slot */
static struct connection *connections; /* by slot */

static long long now_ns;  /* when this pass of the loop began */
static long long stop_ns; /* when the program has to end; 0: not asked to */

static struct {
	struct loop_counts loop;
	unsigned long connections, bytes, pauses, shortages, silent, not_connected;
} count;

/* ---- The pairs ---- */

static unsigned other_end(unsigned slot)
{
	return slot < options.slots ? slot + options.slots : slot - options.slots;
}

static unsigned client_of(unsigned slot)
{
	return slot < options.slots ? slot : slot - options.slots;
}

/* Nothing more comes from it, and nothing more goes to it. */
static void fail(unsigned slot)
{
	connections[slot].failed = connections[slot].eof = true;
}

/* The client has been accepted and is owed an answer: if there can't be any, that is a reset. */
static void give_up(unsigned slot, int result)
{
	if (connector_lacks_something(result))
		output_error(0, -result, "connecting to the upstream");
	count.not_connected++;
	fail(slot);
}

static void record_activity(unsigned slot)
{
	unsigned client = client_of(slot);

	connections[client].slow = 0;
	deadlines_renew(&deadlines, client, now_ns);
}

/* ---- The requests ---- */

/*
 * Two requests, of which the second is the first one's time limit. All of a name's addresses share
 * the limit equally. The socket gets its options before it gets its slot, because before Linux 6.7
 * there is no way to give any to a socket that is in a slot.
 */
static void prepare_connect(unsigned slot, const struct addrinfo *address)
{
	struct connection *connection = &connections[slot];
	struct io_uring_sqe *sqe;

	while ((connection->fd = connector_socket(address)) < 0 && address->ai_next)
		address = address->ai_next;
	connection->address = address;
	if (connection->fd < 0) {
		give_up(slot, connection->fd);
		return;
	}
	ring_make_room(&ring, 2);
	sqe = ring_get_sqe(&ring);
	io_uring_prep_connect(sqe, connection->fd, address->ai_addr, address->ai_addrlen);
	sqe->flags |= IOSQE_IO_LINK;
	io_uring_sqe_set_data64(sqe, user_data_pack(CONNECT, slot));
	sqe = ring_get_sqe(&ring);
	io_uring_prep_link_timeout(sqe, &connect_limit, 0);
	io_uring_sqe_set_data64(sqe, 0);
	connection->receiving = connection->sending = true; /* as good as: it can do neither */
}

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

	io_uring_prep_recv(sqe, (int)slot, buffers_memory(&buffers, options.buffers + slot),
			   OWN_BYTES, 0);
	sqe->flags |= IOSQE_FIXED_FILE;
	io_uring_sqe_set_data64(sqe, user_data_pack(RECV, slot));
	connections[slot].receiving = true;
	connections[slot].starved = false;
}

/* One at a time: a second send in flight could overtake the first, or follow on a short one. */
static void prepare_send(unsigned slot)
{
	struct io_uring_sqe *sqe = ring_get_sqe(&ring);
	unsigned length;
	const char *data = buffer_queue_data(&connections[slot].queue, &buffers, &length);

	io_uring_prep_send(sqe, (int)slot, data, length, MSG_NOSIGNAL);
	sqe->flags |= IOSQE_FIXED_FILE;
	io_uring_sqe_set_data64(sqe, user_data_pack(SEND, slot));
	connections[slot].sending = true;
}

static void prepare_cancel(unsigned slot, enum operation operation)
{
	requests_prepare_cancel(&ring, user_data_pack(operation, slot),
				user_data_pack(CANCEL, slot));
}

/* This end gets its EOF: nothing more will be sent. */
static void prepare_shutdown(unsigned slot)
{
	requests_prepare_shutdown(&ring, slot, user_data_pack(SHUTDOWN, slot));
	connections[slot].sending = true;
	connections[slot].shut_down = true;
}

/*
 * To connect to nowhere is to disconnect, which resets a connection at once. A close alone would
 * be an EOF, because SO_LINGER, which makes it a reset, is an option, too.
 */
static void prepare_reset(unsigned slot)
{
	static const struct sockaddr nowhere = {.sa_family = AF_UNSPEC};
	struct io_uring_sqe *sqe = ring_get_sqe(&ring);

	io_uring_prep_connect(sqe, (int)slot, &nowhere, sizeof(nowhere));
	sqe->flags |= IOSQE_FIXED_FILE | IOSQE_IO_HARDLINK; /* the close follows, whatever comes */
	io_uring_sqe_set_data64(sqe, 0);
}

/*
 * An end that has had its EOF isn't reset, because that could destroy what it hasn't read yet. With
 * the client's close the pair's memory is free: the kernel may give the slot to the next client
 * before we reap that close. So the upstream's is closed first, while the client's is still taken.
 */
static void prepare_close(unsigned slot)
{
	struct io_uring_sqe *sqe;

	ring_make_room(&ring, 2);
	if (!connections[slot].shut_down &&
	    (connections[slot].failed || connections[other_end(slot)].failed))
		prepare_reset(slot);
	sqe = ring_get_sqe(&ring);
	io_uring_prep_close_direct(sqe, slot);
	io_uring_sqe_set_data64(sqe, user_data_pack(CLOSE, slot));
	connections[slot].open = false;
}

/* ---- What a pair needs next ---- */

/*
 * Day 6's advance() for one end, except that its queue holds what the other end has received. So
 * the guarantee is one of the other's queue: while that's empty, a receive is in flight here, from
 * the ring or, if the ring is empty, into the own buffer. Nobody else's buffers can hold up a pair.
 * What was received before an error is sent; what was to be sent to the end that has failed isn't.
 */
static void advance_end(unsigned slot)
{
	struct connection *connection = &connections[slot];
	const struct connection *other = &connections[other_end(slot)];
	bool wanted = !connection->eof && !other->failed && other->queue.count < PAUSE_BUFFERS &&
		      (!connection->ending || other->shut_down);

	if (connection->failed && !connection->sending)
		buffer_queue_drop(&connection->queue, &buffers);
	if (connection->queue.count > 0 && !connection->sending)
		prepare_send(slot);
	if (wanted && !connection->receiving && !connection->starved && buffers.in_ring > 0)
		prepare_recv(slot);
	if (wanted && !connection->receiving && other->queue.count == 0)
		prepare_recv_own(slot);
	if (!wanted && connection->receiving && !connection->cancelled) {
		prepare_cancel(slot, connection->open ? RECV : CONNECT);
		connection->cancelled = true;
		count.pauses += other->queue.count >= PAUSE_BUFFERS;
	}

	if (connection->sending || connection->shut_down || connection->failed)
		return;
	if (!other->receiving && !other->failed && (other->eof || connection->ending))
		prepare_shutdown(slot);
}

/* What one end reports may be the other end's cue, so both are asked. Neither busy: it's over. */
static void advance(unsigned slot)
{
	unsigned client = client_of(slot), server = other_end(client);

	advance_end(client);
	advance_end(server);
	if (connections[client].receiving || connections[client].sending ||
	    connections[server].receiving || connections[server].sending)
		return;
	deadlines_remove(&deadlines, client);
	connections[client].open = false;
	prepare_close(connections[server].open ? server : client);
}

/* ---- What the completions bring ---- */

static void on_accept(const struct io_uring_cqe *cqe)
{
	int slot = acceptor_on_completion(&acceptor, cqe);
	unsigned server;

	if (slot < 0)
		return;
	server = other_end((unsigned)slot);
	assert(!connections[slot].open && !connections[server].open);
	connections[slot] = (struct connection){.open = true};
	connections[server] = (struct connection){0};
	deadlines_add(&deadlines, (unsigned)slot, now_ns);
	count.connections++;
	prepare_connect(server, upstream.addresses);
	advance((unsigned)slot);
}

static void on_connect(unsigned slot, int result)
{
	struct connection *connection = &connections[slot];
	bool wanted = !connection->failed && !connections[other_end(slot)].failed;

	connection->receiving = connection->sending = connection->cancelled = false;
	if (result == 0)
		result = io_uring_register_files_update(&ring, slot, &connection->fd, 1);
	connection->open = result > 0;
	close(connection->fd); /* the slot keeps the socket open, if it has it */

	if (result < 0 && wanted && connection->address->ai_next)
		prepare_connect(slot, connection->address->ai_next);
	else if (result < 0)
		give_up(slot, result);
	advance(slot);
}

static void on_recv(unsigned slot, const struct io_uring_cqe *cqe)
{
	struct connection *connection = &connections[slot];
	struct connection *other = &connections[other_end(slot)];
	unsigned number = buffers_received_into(&buffers, slot, cqe);

	if (!(cqe->flags & IORING_CQE_F_MORE))
		connection->receiving = connection->cancelled = false;
	if (cqe->res > 0 && !other->shut_down && !other->failed) {
		record_activity(slot);
		count.bytes += (unsigned)cqe->res;
		buffer_queue_append(&other->queue, &buffers, number, (unsigned)cqe->res);
	} else if (cqe->flags & IORING_CQE_F_BUFFER) {
		buffers_put_into_ring(&buffers, number);
	}

	if (cqe->res == -ENOBUFS) {
		connection->starved = true;
		count.shortages++;
	} else if (cqe->res == 0) {
		connection->eof = true;
	} else if (cqe->res < 0 && cqe->res != -ECANCELED && !ring_try_again(cqe->res)) {
		fail(slot);
	}
	advance(slot);
}

static void on_send(unsigned slot, int result)
{
	struct connection *connection = &connections[slot];

	connection->sending = false;
	if (result > 0) {
		record_activity(slot);
		buffer_queue_sent(&connection->queue, &buffers, (unsigned)result);
	} else if (result != -ECANCELED && !ring_try_again(result)) {
		fail(slot);
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

/* An EOF that can't be sent must not be missed: then both get a reset. */
static void on_shutdown(unsigned slot, int result)
{
	connections[slot].sending = false;
	connections[slot].shut_down = result == 0;
	if (result < 0)
		fail(slot);
	advance(slot);
}

static void on_close(unsigned slot, int result)
{
	if (result < 0)
		output_error(EXIT_FAILURE, -result, "close of slot %u", slot);
	if (slot != client_of(slot)) {
		prepare_close(client_of(slot));
		return;
	}
	acceptor_on_close(&acceptor);
	assert(acceptor.slots_in_use > 0 || buffers.in_ring == options.buffers);
}

static void print_counts(void)
{
	loop_print_counts(&count.loop, count.connections);
	output_line("bytes: %lu, buffer ring empty: %lu, pauses: %lu", count.bytes, count.shortages,
		    count.pauses);
	output_line("silent for too long: %lu, not connected: %lu", count.silent,
		    count.not_connected);
}

/*
 * Nothing has come or gone in either direction for the limit. A send in flight gets another try, as
 * on day 6. Otherwise both ends fail: this is no EOF, because perhaps the upstream has died in the
 * middle of its answer. While the program ends, a silent pair does get its EOFs, until it's late.
 */
static void on_silence(unsigned client, bool late)
{
	struct connection *one = &connections[client], *other = &connections[other_end(client)];
	bool stuck = one->sending || other->sending;

	deadlines_renew(&deadlines, client, now_ns);
	prepare_cancel(client, SEND); /* if there is one */
	prepare_cancel(other_end(client), SEND);
	if (stuck && !late && (stop_ns || ++one->slow < SLOW_LIMITS))
		return;
	if (stop_ns && !late) {
		one->ending = other->ending = true;
	} else {
		count.silent += !stop_ns;
		fail(client);
		fail(other_end(client));
	}
	advance(client);
}

static void on_deadline(void)
{
	bool late = stop_ns && stop_ns <= now_ns;
	int silent;

	while ((silent = deadlines_next_silent(&deadlines, now_ns)) >= 0)
		on_silence((unsigned)silent, late);
	for (unsigned client = 0; late && client < options.slots; client++)
		if (connections[client].open)
			on_silence(client, late);
	deadlines_prepare(&deadlines, &ring, now_ns);
}

/* Pairs go on until they're over, or silent for a moment. At the limit, busy ones are reset. */
static void stop(void)
{
	stop_ns = now_ns + SHUTDOWN_MS * NS_PER_MS;
	acceptor_stop(&acceptor);
	deadlines.limit_ns = QUIET_MS * NS_PER_MS;
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
	case CONNECT: on_connect(slot, cqe->res); break;
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
	while (!stop_ns || acceptor_is_busy(&acceptor))
		loop_pass(&ring, on_completion, &now_ns, &count.loop);
}

static void open_ring(void)
{
	loop_open_ring(&ring, RING_ENTRIES, COMPLETION_ENTRIES, 2 * options.slots);
	/* For an accept the kernel may choose a slot in the lower half only: the upper is ours. */
	ring_check_register(io_uring_register_file_alloc_range(&ring, 0, options.slots),
			    "io_uring_register_file_alloc_range",
			    "ranges of slots, which Linux 6.0 has");
}

/* All the memory that the program will ever have: nothing is allocated while it serves. */
static void map_memory(void)
{
	unsigned both = 2 * options.slots;

	connections = memory_map(both, sizeof(connections[0]));
	buffers_map(&buffers, options.buffers, options.buffer_bytes, both, OWN_BYTES);
	deadlines_open(&deadlines, options.slots, options.limit_ms, user_data_pack(DEADLINE, 0));
	output_line("memory: at most %zu KiB: %u shared buffers of %u bytes; %u connections, each "
		    "with its own buffer of %u",
		    memory_mapped() / 1024, options.buffers, options.buffer_bytes, both, OWN_BYTES);
}

static void parse_options(int argc, char **argv)
{
	const struct option_entry entries[] = {
		{"bind", "ADDR", "listen on this address", .text = &options.address},
		{"connections", "N", "of clients, that can be open at once",
		 .number = &options.slots, .least = 1, .most = 524288},
		{"buffers", "N", "in the ring, a power of two", .number = &options.buffers,
		 .least = 1, .most = 32768},
		{"buffer-size", "BYTES", "of each", .number = &options.buffer_bytes, .least = 1,
		 .most = 1048576},
		{"connect-time", "MS", "that a connect may take", .number = &options.connect_ms,
		 .least = 1, .most = 600000},
		{"idle", "MS", "that a pair may be silent, in both directions",
		 .number = &options.limit_ms, .least = 1, .most = 86400000},
		{0},
	};

	options_parse(argc, argv,
		      "[OPTIONS] [PORT] HOST:PORT\n"
		      "Connects each client of PORT (7007; 0: any free one) with HOST:PORT.\n"
		      "SIGUSR1 prints what has happened so far.",
		      entries);
	if (optind == argc)
		usage_error("HOST:PORT, the server to connect to, is missing");
	options.port = option_port(--argc, argv, DEFAULT_PORT);
	if (options.buffers & (options.buffers - 1))
		usage_error("--buffers: %u is not a power of two", options.buffers);
	connector_find(&upstream, argv[argc]);
	connect_limit.tv_sec = options.connect_ms / upstream.count / 1000;
	connect_limit.tv_nsec = options.connect_ms / upstream.count % 1000 * NS_PER_MS;
	options.slots = descriptors_allow_for(options.slots, 2, 0);
}

int main(int argc, char **argv)
{
	int listen_fd;

	output_open();
	parse_options(argc, argv);
	map_memory();
	open_ring();
	buffers_register(&buffers, &ring, BUFFER_GROUP);
	signals_open(SIGINT, SIGTERM, SIGUSR1, 0);
	signals_prepare_read(&ring, user_data_pack(SIGNAL, 0));
	now_ns = clock_ns();
	deadlines_prepare(&deadlines, &ring, now_ns);
	listen_fd = listener_open(options.address, options.port, SOMAXCONN);
	acceptor_start(&acceptor, &ring, listen_fd, options.slots, user_data_pack(ACCEPT, 0));
	listener_announce(listen_fd);

	serve();

	print_counts();
	io_uring_queue_exit(&ring);
	return EXIT_SUCCESS;
}
