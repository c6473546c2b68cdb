/*
 * Day 8: a web server, because what the clients want is in files.
 *
 * A file joins the loop with three more requests: open, read, close. Each needs what the one before
 * it has brought, a name, a descriptor, bytes, so the chain is in the connection's state, and
 * advance() decides what comes next, as for everything else. A disk may be slow; the loop never is.
 *
 * Needs: Linux 6.1.
 * Run:   make day08 && ./day08/web 7008 .
 *        curl -i http://127.0.0.1:7008/LICENSE      (in another terminal)
 *
 * A connection does one thing at a time:
 *
 *   receive --a whole request--> open --> read --> send --and again, until all is sent--> receive
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <linux/openat2.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/acceptor.h"
#include "common/buffers.h"
#include "common/clock.h"
#include "common/deadlines.h"
#include "common/descriptors.h"
#include "common/http_exchange.h"
#include "common/listener.h"
#include "common/loop.h"
#include "common/memory.h"
#include "common/options.h"
#include "common/output.h"
#include "common/requests.h"
#include "common/ring.h"
#include "common/signals.h"
#include "common/user_data.h"

#define DEFAULT_PORT	   7008
#define RING_ENTRIES	   512
#define COMPLETION_ENTRIES 4096
#define BUFFERS		   128 /* for requests, in the ring, a power of two */
#define BUFFER_GROUP	   0
#define SPARE_DESCRIPTORS  64 /* the ring, the directory, standard output and the like */

#define MOST_TRIES  1000 /* to open a file, or to read from it, that fail for the moment */
#define SLOW_LIMITS 4	 /* that a client may take for a piece before it's cut off */
#define SHUTDOWN_MS 1500 /* the limit when the program ends, for clients that don't close */

/* What a completion is of; 0 stands for one whose result decides nothing. */
enum operation { NONE, ACCEPT, RECV, OPEN, READ, SEND, CANCEL, SHUTDOWN, CLOSE, SIGNAL, DEADLINE };

struct connection {
	bool open;
	bool replying;	/* to the request in its exchange */
	bool eof;	/* nothing more will be received: EOF, or an error */
	bool ending;	/* the reply to what has been received is the last one */
	bool last;	/* no request is taken any more */
	bool shut_down; /* the shutdown is prepared: what the client still sends is discarded */

	unsigned char doing; /* what is in flight: a RECV, OPEN, READ, SEND, SHUTDOWN or NONE */
	unsigned char slow;  /* how many limits have passed while it took one piece */
	int file;	     /* that is open for the reply, or -1 */
	struct http_exchange *exchange; /* from the first byte of a request on, or NULL */
};

static struct {
	const char *address, *directory;
	unsigned port, slots, limit_ms;
	bool log;
} options = {"127.0.0.1", ".", .slots = 10000, .limit_ms = 60000};

static struct io_uring ring;
static struct acceptor acceptor;
static struct buffers buffers; /* for requests */
static struct deadlines deadlines;
static long long now_ns; /* when this pass of the loop began */
static bool stopping;
static int directory_fd;

static struct connection *connections;	/* by slot */
static struct http_exchange *exchanges; /* exchanges_used have been taken */
static struct http_exchange **released; /* a stack of those that are free */
static unsigned exchanges_used, released_count;

static struct {
	struct loop_counts loop;
	unsigned long connections, requests, bytes, shortages, timeouts;
} count;

/* ---- The exchanges ---- */

/* The one that was released last, because the processor's cache may still have its memory. */
static struct http_exchange *take_exchange(struct connection *connection)
{
	connection->exchange =
		released_count > 0 ? released[--released_count] : &exchanges[exchanges_used++];
	connection->exchange->received = 0;
	return connection->exchange;
}

static void release_exchange(struct connection *connection)
{
	if (connection->exchange)
		released[released_count++] = connection->exchange;
	connection->exchange = NULL;
}

/*
 * It has finished something: a reply, a piece of one, a request. The first byte of a request
 * counts, too, but those behind it don't, or a byte now and then could hold the slot for ever.
 */
static void record_progress(unsigned slot)
{
	connections[slot].slow = 0;
	deadlines_renew(&deadlines, slot, now_ns);
}

/* ---- The operations ---- */

/* The kernel takes a buffer when a request begins; the rest goes behind what has been received. */
static void prepare_recv(unsigned slot)
{
	struct http_exchange *exchange = connections[slot].exchange;
	struct io_uring_sqe *sqe = ring_get_sqe(&ring);

	if (!exchange) {
		io_uring_prep_recv(sqe, (int)slot, NULL, 0, 0);
		sqe->flags |= IOSQE_BUFFER_SELECT;
		sqe->buf_group = BUFFER_GROUP;
	} else {
		io_uring_prep_recv(sqe, (int)slot, exchange->text + exchange->received,
				   HTTP_REQUEST_BYTES - exchange->received, 0);
	}
	sqe->flags |= IOSQE_FIXED_FILE;
	io_uring_sqe_set_data64(sqe, user_data_pack(RECV, slot));
	connections[slot].doing = RECV;
}

/*
 * Whatever the name has in it, the kernel opens nothing outside of the directory: ".." and links
 * are followed as long as they stay inside. Without O_NONBLOCK the open of a FIFO waits for a
 * writer.
 */
static struct open_how how = {
	.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
	.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
};

/* The name is in the piece, whose memory is free until the file is open. */
static void prepare_open(unsigned slot)
{
	struct io_uring_sqe *sqe = ring_get_sqe(&ring);

	io_uring_prep_openat2(sqe, directory_fd, connections[slot].exchange->piece, &how);
	io_uring_sqe_set_data64(sqe, user_data_pack(OPEN, slot));
	connections[slot].doing = OPEN;
}

/* Behind what is in the piece already, which is the header in the first one. */
static void prepare_read(unsigned slot)
{
	struct http_exchange *exchange = connections[slot].exchange;
	struct io_uring_sqe *sqe = ring_get_sqe(&ring);
	unsigned room = HTTP_PIECE_BYTES - exchange->length;
	long long left = exchange->end - exchange->first;

	io_uring_prep_read(sqe, connections[slot].file, exchange->piece + exchange->length,
			   left < room ? (unsigned)left : room, (__u64)exchange->first);
	io_uring_sqe_set_data64(sqe, user_data_pack(READ, slot));
	connections[slot].doing = READ;
}

static void prepare_send(unsigned slot)
{
	struct http_exchange *exchange = connections[slot].exchange;
	struct io_uring_sqe *sqe = ring_get_sqe(&ring);

	io_uring_prep_send(sqe, (int)slot, exchange->piece + exchange->sent,
			   exchange->length - exchange->sent, MSG_NOSIGNAL);
	sqe->flags |= IOSQE_FIXED_FILE;
	io_uring_sqe_set_data64(sqe, user_data_pack(SEND, slot));
	connections[slot].doing = SEND;
}

/* Nothing waits for it, and its failure would change nothing: no completion if it succeeds. */
static void prepare_close_file(unsigned slot)
{
	struct io_uring_sqe *sqe = ring_get_sqe(&ring);

	io_uring_prep_close(sqe, connections[slot].file);
	sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
	io_uring_sqe_set_data64(sqe, NONE);
	connections[slot].file = -1;
}

static void prepare_cancel(unsigned slot, enum operation what)
{
	requests_prepare_cancel(&ring, user_data_pack(what, slot), user_data_pack(CANCEL, slot));
}

static void prepare_shutdown(unsigned slot)
{
	requests_prepare_shutdown(&ring, slot, user_data_pack(SHUTDOWN, slot));
	connections[slot].doing = SHUTDOWN;
	connections[slot].shut_down = true;
	release_exchange(&connections[slot]);
}

static void prepare_close(unsigned slot)
{
	requests_prepare_close(&ring, slot, user_data_pack(CLOSE, slot));
	connections[slot].open = false;
	release_exchange(&connections[slot]);
	deadlines_remove(&deadlines, slot);
}

/* ---- What a connection needs next ---- */

/* Begins the reply to what has been received, if that is a whole request. */
static void take_request(unsigned slot)
{
	struct connection *connection = &connections[slot];
	struct http_exchange *exchange = connections[slot].exchange;

	if (!exchange || !http_exchange_begin(exchange))
		return;
	record_progress(slot);
	connection->replying = true;
	connection->last = connection->ending || !exchange->request.keep_alive;
	if (exchange->status == 200)
		prepare_open(slot);
	else
		http_exchange_reply(exchange, exchange->status, connection->last);
}

static void finish_reply(unsigned slot)
{
	struct connection *connection = &connections[slot];
	struct http_exchange *exchange = connections[slot].exchange;
	char line[HTTP_LOG_BYTES];

	if (options.log)
		output_line("%s", http_exchange_log_line(exchange, line));
	count.requests++;
	connection->replying = false;
	if (connection->file >= 0)
		prepare_close_file(slot);
	http_exchange_end(exchange);
	if (exchange->received == 0)
		release_exchange(&connections[slot]);
}

/*
 * One operation is in flight at any time, as on day 4. While a reply is made and sent, the client
 * isn't received from: that's all the backpressure there is. When no reply is left to be made, a
 * connection that ends gets day 6's end: the shutdown, then it is read from until its EOF.
 */
static void advance(unsigned slot)
{
	struct connection *connection = &connections[slot];

	if (connection->doing == RECV &&
	    (connection->eof || (connection->ending && !connection->shut_down)))
		prepare_cancel(slot, RECV);
	if (connection->doing != NONE)
		return;

	if (connection->replying && http_exchange_is_sent(connection->exchange))
		finish_reply(slot);
	if (!connection->replying && !connection->last)
		take_request(slot);
	if (connection->doing != NONE)
		return;

	if (connection->replying && http_exchange_wants_bytes(connection->exchange))
		prepare_read(slot);
	else if (connection->replying)
		prepare_send(slot);
	else if (connection->eof)
		prepare_close(slot);
	else if ((connection->ending || connection->last) && !connection->shut_down)
		prepare_shutdown(slot);
	else
		prepare_recv(slot);
}

/* ---- What the completions bring ---- */

static void on_accept(const struct io_uring_cqe *cqe)
{
	int slot = acceptor_on_completion(&acceptor, cqe);

	if (slot < 0)
		return;
	assert(!connections[slot].open);
	connections[slot] = (struct connection){.open = true, .ending = stopping, .file = -1};
	deadlines_add(&deadlines, (unsigned)slot, now_ns);
	count.connections++;
	advance((unsigned)slot);
}

/* A buffer of the ring goes back at once; what is in it goes to the exchange, which it begins. */
static void take_bytes(struct connection *connection, unsigned buffer, unsigned length)
{
	if (length > 0)
		memcpy(take_exchange(connection)->text, buffers_memory(&buffers, buffer), length);
	buffers_put_into_ring(&buffers, buffer);
}

static void on_recv(unsigned slot, const struct io_uring_cqe *cqe)
{
	struct connection *connection = &connections[slot];
	unsigned length = cqe->res > 0 && !connection->shut_down ? (unsigned)cqe->res : 0;

	connection->doing = NONE;
	if (cqe->flags & IORING_CQE_F_BUFFER)
		take_bytes(connection, buffers_received_into(&buffers, slot, cqe), length);
	if (length > 0) {
		if (connection->exchange->received == 0)
			record_progress(slot);
		connection->exchange->received += length;
	} else if (cqe->res == -ENOBUFS) {
		take_exchange(connection); /* the next receive is into that */
		count.shortages++;
	} else if (cqe->res <= 0 && cqe->res != -ECANCELED && !ring_try_again(cqe->res)) {
		connection->eof = true;
	}
	advance(slot);
}

/*
 * fstat(2) and not a request: the file is open, so a local file system has what it returns in
 * memory, and the call doesn't wait. A statx of the ring always goes to a worker thread.
 */
static void on_open(unsigned slot, int result)
{
	struct connection *connection = &connections[slot];
	struct http_exchange *exchange = connections[slot].exchange;
	struct stat file;

	connection->doing = NONE;
	connection->file = result < 0 ? -1 : result;
	if (ring_try_again(result) && ++exchange->tries < MOST_TRIES)
		prepare_open(slot);
	else if (result < 0 || fstat(result, &file) < 0)
		http_exchange_reply(exchange, http_status_of(result < 0 ? -result : errno),
				    connection->last);
	else
		http_exchange_reply_file(exchange, &file, connection->last);
	advance(slot);
}

/*
 * What the header has promised is sent, and not a byte more if the file has grown. If it has become
 * shorter, all that's left is to end the connection early, which is how the client notices.
 */
static void on_read(unsigned slot, int result)
{
	struct http_exchange *exchange = connections[slot].exchange;

	connections[slot].doing = NONE;
	if (result > 0) {
		exchange->first += result;
		exchange->length += (unsigned)result;
		count.bytes += (unsigned)result;
	} else if (!ring_try_again(result) || ++exchange->tries == MOST_TRIES) {
		connections[slot].last = true;
		exchange->end = exchange->first;
	}
	advance(slot);
}

static void on_send(unsigned slot, int result)
{
	struct connection *connection = &connections[slot];
	struct http_exchange *exchange = connections[slot].exchange;

	connection->doing = NONE;
	if (result > 0) {
		exchange->sent += (unsigned)result; /* perhaps less than it was to send */
		exchange->sent_in_all += result;
	} else if (!ring_try_again(result) && (result != -ECANCELED || connection->eof)) {
		connection->eof = connection->last = true;
		exchange->sent = exchange->length;
		exchange->end = exchange->first;
	}
	if (exchange->sent == exchange->length) {
		record_progress(slot);
		exchange->sent = exchange->length = 0;
	}
	advance(slot);
}

/* Usually it has found the request, or that had just ended. Otherwise we ask again. */
static void on_cancel(unsigned slot, int result)
{
	if (ring_try_again(result) && connections[slot].open)
		advance(slot);
}

/* If there can be no shutdown, the close has to do: the client is gone, or the kernel is short. */
static void on_shutdown(unsigned slot, int result)
{
	connections[slot].doing = NONE;
	connections[slot].eof |= result < 0;
	advance(slot);
}

static void on_close(unsigned slot, int result)
{
	if (result < 0)
		output_error(EXIT_FAILURE, -result, "close of slot %u", slot);
	acceptor_on_close(&acceptor);
	assert(acceptor.slots_in_use > 0 || buffers.in_ring == buffers.shared);
}

static void print_counts(void)
{
	loop_print_counts(&count.loop, count.connections);
	output_line("requests: %lu, bytes of files: %lu, buffer ring empty: %lu, timed out: %lu",
		    count.requests, count.bytes, count.shortages, count.timeouts);
}

/* What has been asked for is replied to, then the client gets its EOF, then it has to close. */
static void end(unsigned slot)
{
	connections[slot].ending = true;
	deadlines_renew(&deadlines, slot, now_ns);
	advance(slot);
}

/*
 * A client that doesn't ask is ended. One that takes a piece slowly has several limits for it, and
 * each time its send is cancelled, then prepared again, as on day 6. A slow disk isn't its fault.
 */
static void on_silence(unsigned slot)
{
	struct connection *connection = &connections[slot];

	if (connection->doing == SEND)
		prepare_cancel(slot, SEND);
	if (connection->replying &&
	    (connection->doing != SEND || ++connection->slow < SLOW_LIMITS)) {
		deadlines_renew(&deadlines, slot, now_ns);
		return;
	}
	count.timeouts += !connection->ending;
	connection->eof |= connection->replying || connection->shut_down;
	connection->last |= connection->eof;
	end(slot);
}

static void on_deadline(void)
{
	int slot;

	while ((slot = deadlines_next_silent(&deadlines, now_ns)) >= 0)
		on_silence((unsigned)slot);
	deadlines_prepare(&deadlines, &ring, now_ns);
}

/* Every connection is ended, with less time to close. */
static void stop(void)
{
	stopping = true;
	acceptor_stop(&acceptor);
	deadlines.limit_ns = SHUTDOWN_MS * NS_PER_MS;
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
	case OPEN: on_open(slot, cqe->res); break;
	case READ: on_read(slot, cqe->res); break;
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
	while (!stopping || acceptor_is_busy(&acceptor))
		loop_pass(&ring, on_completion, &now_ns, &count.loop);
}

/* All the memory there will ever be: nothing is allocated while it serves. */
static void map_memory(void)
{
	connections = memory_map(options.slots, sizeof(connections[0]));
	exchanges = memory_map(options.slots, sizeof(exchanges[0]));
	released = memory_map(options.slots, sizeof(void *));
	buffers_map(&buffers, BUFFERS, HTTP_REQUEST_BYTES, 0, 0);
	deadlines_open(&deadlines, options.slots, options.limit_ms, user_data_pack(DEADLINE, 0));
}

static void parse_options(int argc, char **argv)
{
	const struct option_entry entries[] = {
		{"bind", "ADDR", "listen on this address", .text = &options.address},
		{"connections", "N", "that can be open at once", .number = &options.slots,
		 .least = 1, .most = 1048576},
		{"idle", "MS", "that a client may take to ask", .number = &options.limit_ms,
		 .least = 1, .most = 86400000},
		{"log", .help = "print a line for each reply", .flag = &options.log},
		{0},
	};

	options_parse(argc, argv,
		      "[OPTIONS] [PORT [DIRECTORY]]\n"
		      "Serves the files in DIRECTORY (the current one) by HTTP on PORT (7008;\n"
		      "0: any free one). SIGUSR1 prints what has happened so far.",
		      entries);
	if (argc - optind == 2)
		options.directory = argv[--argc];
	options.port = option_port(argc, argv, DEFAULT_PORT);
	/* A connection has at most one file open. Its slot is no descriptor. */
	options.slots = descriptors_allow_for(options.slots, 1, SPARE_DESCRIPTORS);
}

static void run(int listen_fd)
{
	map_memory();
	loop_open_ring(&ring, RING_ENTRIES, COMPLETION_ENTRIES, options.slots);
	buffers_register(&buffers, &ring, BUFFER_GROUP);
	now_ns = clock_ns();
	deadlines_prepare(&deadlines, &ring, now_ns);
	acceptor_start(&acceptor, &ring, listen_fd, options.slots, user_data_pack(ACCEPT, 0));
	signals_prepare_read(&ring, user_data_pack(SIGNAL, 0));
	output_line("memory: at most %zu KiB: %u shared buffers of %u bytes; %u connections, each "
		    "with a request and a reply of %zu",
		    memory_mapped() / 1024, BUFFERS, HTTP_REQUEST_BYTES, options.slots,
		    sizeof(exchanges[0]));
	listener_announce(listen_fd);

	serve();

	print_counts();
	io_uring_queue_exit(&ring);
}

int main(int argc, char **argv)
{
	int listen_fd;

	output_open();
	parse_options(argc, argv);
	directory_fd = open(options.directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (directory_fd < 0)
		output_error(EXIT_FAILURE, errno, "the directory '%s'", options.directory);
	signals_open(SIGINT, SIGTERM, SIGUSR1, 0);
	listen_fd = listener_open(options.address, options.port, SOMAXCONN);
	run(listen_fd);
	return EXIT_SUCCESS;
}
