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
#include <limits.h>
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
#include "common/http_reply.h"
#include "common/listener.h"
#include "common/memory.h"
#include "common/options.h"
#include "common/output.h"
#include "common/ring.h"
#include "common/signals.h"
#include "common/user_data.h"

#define DEFAULT_PORT	   7008
#define RING_ENTRIES	   512
#define COMPLETION_ENTRIES 4096
#define BUFFERS		   128	 /* for requests, in the ring, a power of two */
#define REQUEST_BYTES	   8192	 /* the size of each, which is the longest request */
#define PIECE_BYTES	   69632 /* of a reply: what is read, then sent; 64 KiB and a header */
#define BUFFER_GROUP	   0
#define NONE		   UINT_MAX
#define SPARE_DESCRIPTORS  64 /* the ring, the directory, standard output and the like */

#define SLOW_LIMITS 4	 /* that a client may take for a piece before it's cut off */
#define SHUTDOWN_MS 1500 /* the limit when the program ends, for clients that don't close */

/* What a completion is of; 0 stands for a request whose result decides nothing. */
enum operation { ACCEPT = 1, RECV, OPEN, READ, SEND, CANCEL, SHUTDOWN, CLOSE, SIGNAL, DEADLINE };

struct connection {
	bool open;
	bool receiving; /* a receive is in flight */
	bool starved;	/* it found the buffer ring empty: the next one takes the own buffer */
	bool cancelled; /* the receive has been asked to end */
	bool working;	/* an open, a read or a send is in flight, or the shutdown */
	bool eof;	/* nothing more will be received: EOF, or an error */
	bool ending;	/* the reply to what has been received is the last one */
	bool last;	/* no request is taken any more */
	bool shut_down; /* the shutdown is prepared: what the client still sends is discarded */

	unsigned char slow; /* how many limits have passed while it took one piece */
	unsigned received;  /* bytes in the buffer, of requests that haven't been replied to */
	unsigned buffer;    /* its number, while there are some, or NONE */
	unsigned reply;	    /* the number of its reply, while one is made and sent, or NONE */
};

/* To the request at the beginning of the connection's buffer, where the request's texts are. */
struct reply {
	struct http_request request;
	struct http_reply head; /* head.first to head.end of the file are still to be read */
	int file;		/* -1 once there is nothing more to read */
	unsigned length, sent;	/* of the piece */
	long long sent_in_all;
	char piece[PIECE_BYTES];
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

static struct connection *connections;	   /* by slot */
static struct reply *replies;		   /* by number */
static unsigned *free_replies, free_count; /* a stack of numbers */

static struct counts {
	unsigned long connections, completions, waits, overflows, requests, bytes, shortages,
		timeouts;
} count;

/* ---- The replies ---- */

/* The one that was released last, because the processor's cache may still have its memory. */
static struct reply *take_reply(struct connection *connection)
{
	connection->reply = free_replies[--free_count];
	return &replies[connection->reply];
}

static void release_reply(struct connection *connection)
{
	free_replies[free_count++] = connection->reply;
	connection->reply = NONE;
}

static struct reply *reply_of(unsigned slot)
{
	return &replies[connections[slot].reply];
}

static char *text_of(unsigned slot)
{
	return buffers_memory(&buffers, connections[slot].buffer);
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

/* ---- The requests ---- */

/*
 * A connection without a request holds no memory: the kernel takes a buffer when bytes arrive. The
 * rest of a request goes behind its beginning.
 */
static void prepare_recv(unsigned slot)
{
	struct connection *connection = &connections[slot];
	struct io_uring_sqe *sqe = ring_get_sqe(&ring);

	if (connection->buffer == NONE && (connection->starved || buffers.in_ring == 0))
		connection->buffer = buffers.shared + slot;
	if (connection->buffer == NONE) {
		io_uring_prep_recv(sqe, (int)slot, NULL, 0, 0);
		sqe->flags |= IOSQE_BUFFER_SELECT;
		sqe->buf_group = BUFFER_GROUP;
	} else {
		io_uring_prep_recv(sqe, (int)slot, text_of(slot) + connection->received,
				   REQUEST_BYTES - connection->received, 0);
	}
	sqe->flags |= IOSQE_FIXED_FILE;
	io_uring_sqe_set_data64(sqe, user_data_pack(RECV, slot));
	connection->receiving = true;
	connection->starved = false;
}

/*
 * Whatever the name has in it, the kernel opens nothing outside of the directory: ".." and symbolic
 * links are followed as long as they stay inside. O_NONBLOCK is for a FIFO, whose open would wait
 * for somebody who writes.
 */
static const struct open_how how = {
	.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
	.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
};

/* The name is in the piece, whose memory is free until the file is open. */
static void prepare_open(unsigned slot)
{
	struct io_uring_sqe *sqe = ring_get_sqe(&ring);

	io_uring_prep_openat2(sqe, directory_fd, reply_of(slot)->piece, (struct open_how *)&how);
	io_uring_sqe_set_data64(sqe, user_data_pack(OPEN, slot));
	connections[slot].working = true;
}

/* Behind what is in the piece already, which is the header in the first one. */
static void prepare_read(unsigned slot)
{
	struct reply *reply = reply_of(slot);
	struct io_uring_sqe *sqe = ring_get_sqe(&ring);
	unsigned room = PIECE_BYTES - reply->length;
	long long left = reply->head.end - reply->head.first;

	io_uring_prep_read(sqe, reply->file, reply->piece + reply->length,
			   left < room ? (unsigned)left : room, (__u64)reply->head.first);
	io_uring_sqe_set_data64(sqe, user_data_pack(READ, slot));
	connections[slot].working = true;
}

/* Nothing waits for it, and its failure would change nothing: no completion if it succeeds. */
static void prepare_close_file(struct reply *reply)
{
	struct io_uring_sqe *sqe = ring_get_sqe(&ring);

	io_uring_prep_close(sqe, reply->file);
	sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
	io_uring_sqe_set_data64(sqe, 0);
	reply->file = -1;
}

static void prepare_send(unsigned slot)
{
	struct reply *reply = reply_of(slot);
	struct io_uring_sqe *sqe = ring_get_sqe(&ring);

	io_uring_prep_send(sqe, (int)slot, reply->piece + reply->sent, reply->length - reply->sent,
			   MSG_NOSIGNAL);
	sqe->flags |= IOSQE_FIXED_FILE;
	io_uring_sqe_set_data64(sqe, user_data_pack(SEND, slot));
	connections[slot].working = true;
}

/* This only asks. The request still has a completion of its own, perhaps with bytes. */
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
	connections[slot].working = true;
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
	deadlines_remove(&deadlines, slot);
}

/* ---- The steps of a reply ---- */

/* The text of a reply is in its piece, as `head` describes it. */
static void begin_reply(struct reply *reply, struct http_reply head)
{
	reply->head = head;
	reply->length = head.length;
	if (reply->file >= 0 && head.first == head.end)
		prepare_close_file(reply);
}

static void reply_status(unsigned slot, unsigned status)
{
	struct reply *reply = reply_of(slot);

	begin_reply(reply, http_reply_status(reply->piece, &reply->request, status,
					     connections[slot].last));
}

/* Begins the reply to the request at the beginning of the buffer, if all of it is there. */
static void take_request(unsigned slot)
{
	struct connection *connection = &connections[slot];
	struct http_request request;
	unsigned status = http_parse(text_of(slot), connection->received, REQUEST_BYTES, &request);
	struct reply *reply;

	if (status == 0)
		return;
	record_progress(slot);
	reply = take_reply(connection);
	reply->request = request;
	reply->file = -1;
	reply->sent = 0;
	reply->sent_in_all = 0;
	connection->last = connection->ending || !request.keep_alive;
	if (status == 200 && http_name(request.target, reply->piece))
		prepare_open(slot);
	else
		reply_status(slot, status == 200 ? 400 : status);
}

static void finish_reply(unsigned slot)
{
	struct connection *connection = &connections[slot];
	struct reply *reply = reply_of(slot);
	char *rest = text_of(slot) + reply->request.length;
	char line[HTTP_LOG_BYTES];

	if (options.log)
		output_line("%s",
			    http_log_line(&reply->request, &reply->head, reply->sent_in_all, line));
	count.requests++;
	connection->received -= (unsigned)reply->request.length;
	memmove(text_of(slot), rest, connection->received);
	release_reply(connection);
}

/* ---- What a connection needs next ---- */

/*
 * While a reply is made and sent, the client isn't received from: that's all the backpressure there
 * is. A piece is filled, which takes one read, or several if they are short, and then sent.
 *
 * A connection that has nothing in flight has no request to reply to, and takes none. Then comes
 * the shutdown, and the client is read from until its EOF, because closing a socket with unread
 * bytes resets the connection, which could destroy the end of the reply.
 */
static void advance(unsigned slot)
{
	struct connection *connection = &connections[slot];
	const struct reply *reply;
	bool wanted;

	if (connection->received > 0 && connection->reply == NONE && !connection->last)
		take_request(slot);
	if (connection->reply == NONE &&
	    (connection->eof || connection->last || connection->shut_down))
		connection->received = 0; /* of requests that won't be taken */
	wanted = !connection->eof && connection->reply == NONE &&
		 (!(connection->ending || connection->last) || connection->shut_down);

	if (connection->reply != NONE && !connection->working) {
		reply = reply_of(slot);
		if (reply->file >= 0 && reply->sent == 0 && reply->length < PIECE_BYTES)
			prepare_read(slot);
		else
			prepare_send(slot);
	}
	if (connection->buffer != NONE && connection->received == 0 && !connection->receiving) {
		if (connection->buffer < buffers.shared)
			buffers_put_into_ring(&buffers, connection->buffer);
		connection->buffer = NONE;
	}
	if (wanted && !connection->receiving)
		prepare_recv(slot);
	if (!wanted && connection->receiving && !connection->cancelled) {
		prepare_cancel(slot, RECV);
		connection->cancelled = true;
	}

	if (connection->receiving || connection->working)
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
	connections[slot] = (struct connection){
		.open = true, .ending = stopping, .buffer = NONE, .reply = NONE};
	deadlines_add(&deadlines, (unsigned)slot, now_ns);
	count.connections++;
	advance((unsigned)slot);
}

static void on_recv(unsigned slot, const struct io_uring_cqe *cqe)
{
	struct connection *connection = &connections[slot];

	connection->receiving = connection->cancelled = false;
	if (cqe->flags & IORING_CQE_F_BUFFER)
		connection->buffer = buffers_received_into(&buffers, slot, cqe);
	if (cqe->res > 0 && !connection->shut_down) {
		if (connection->received == 0)
			record_progress(slot);
		connection->received += (unsigned)cqe->res;
	} else if (cqe->res == -ENOBUFS) {
		connection->starved = true;
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
	struct reply *reply = reply_of(slot);
	char *text = reply->piece; /* the name is in there, until the reply is */
	struct stat file;

	connection->working = false;
	reply->file = result < 0 ? -1 : result;
	if (ring_try_again(result))
		prepare_open(slot);
	else if (result < 0)
		reply_status(slot, http_status_of(-result));
	else if (fstat(result, &file) < 0)
		reply_status(slot, 500);
	else if (S_ISREG(file.st_mode))
		begin_reply(reply,
			    http_reply_file(text, &reply->request, text, &file, connection->last));
	else if (S_ISDIR(file.st_mode))
		begin_reply(reply, http_reply_directory(text, &reply->request, connection->last));
	else
		reply_status(slot, 404);
	advance(slot);
}

/*
 * What the header has promised is sent, and not a byte more if the file has grown. If it has become
 * shorter, all that's left is to end the connection early, which is how the client notices.
 */
static void on_read(unsigned slot, int result)
{
	struct reply *reply = reply_of(slot);

	connections[slot].working = false;
	if (result > 0) {
		reply->head.first += result;
		reply->length += (unsigned)result;
		count.bytes += (unsigned)result;
	} else if (!ring_try_again(result)) {
		connections[slot].last = true;
		reply->head.end = reply->head.first;
	}
	if (reply->head.first == reply->head.end)
		prepare_close_file(reply);
	if (reply->file < 0 && reply->length == 0)
		finish_reply(slot);
	advance(slot);
}

static void on_send(unsigned slot, int result)
{
	struct connection *connection = &connections[slot];
	struct reply *reply = reply_of(slot);

	connection->working = false;
	if (result > 0) {
		reply->sent += (unsigned)result; /* perhaps less than it was to send */
		reply->sent_in_all += result;
	} else if (!ring_try_again(result) && (result != -ECANCELED || connection->eof)) {
		reply->sent = reply->length;
		connection->eof = connection->last = true;
		if (reply->file >= 0)
			prepare_close_file(reply);
	}
	if (reply->sent == reply->length) {
		record_progress(slot);
		reply->sent = reply->length = 0;
		if (reply->file < 0)
			finish_reply(slot);
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
	connections[slot].working = false;
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

static void print_counts(const struct counts *c)
{
	output_line("connections: %lu, completions: %lu, waits: %lu, completions a wait: %.1f, "
		    "completion queue overflowed: %lu",
		    c->connections, c->completions, c->waits,
		    (double)c->completions / (double)c->waits, c->overflows);
	output_line("requests: %lu, bytes of files: %lu, buffer ring empty: %lu, timed out: %lu",
		    c->requests, c->bytes, c->shortages, c->timeouts);
}

/* What has been asked for is replied to, then the client gets its EOF, then it has to close. */
static void end(unsigned slot)
{
	connections[slot].ending = true;
	deadlines_renew(&deadlines, slot, now_ns);
	advance(slot);
}

/*
 * A client that doesn't ask is ended. One that takes a piece slowly has several limits for it. A
 * send waits until much of the socket's buffer is free, so it may not know what the client takes:
 * one that is cancelled, then prepared again, does.
 */
static void on_silence(unsigned slot)
{
	struct connection *connection = &connections[slot];

	if (connection->reply != NONE)
		prepare_cancel(slot, SEND);
	if (connection->reply != NONE && ++connection->slow < SLOW_LIMITS) {
		deadlines_renew(&deadlines, slot, now_ns);
		return;
	}
	count.timeouts += !connection->ending;
	connection->eof |= connection->reply != NONE || connection->shut_down;
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
		print_counts(&count);
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

/* All the memory there will ever be: nothing is allocated while it serves. */
static void map_memory(void)
{
	connections = memory_map(options.slots, sizeof(connections[0]));
	replies = memory_map(options.slots, sizeof(replies[0]));
	free_replies = memory_map(options.slots, sizeof(free_replies[0]));
	while (free_count < options.slots) {
		free_replies[free_count] = options.slots - 1 - free_count;
		free_count++;
	}
	buffers_map(&buffers, BUFFERS, REQUEST_BYTES, options.slots, REQUEST_BYTES);
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

	options_parse(
		argc, argv,
		"[OPTIONS] [PORT [DIRECTORY]]\n"
		"Serves the files in DIRECTORY (the current one) by HTTP on PORT (7008; 0: any\n"
		"free one). SIGUSR1 prints what has happened so far.",
		entries);
	if (argc - optind == 2)
		options.directory = argv[--argc];
	options.port = option_port(argc, argv, DEFAULT_PORT);
	/* A connection has at most one file open, and a slot counts as a descriptor, too. */
	options.slots = descriptors_allow_for(options.slots, 2, SPARE_DESCRIPTORS);
}

static void open_for_clients(int listen_fd)
{
	signals_prepare_read(&ring, user_data_pack(SIGNAL, 0));
	output_line("memory: at most %zu KiB: %u shared buffers of %u bytes; %u connections, each "
		    "with its own buffer and a reply of %u",
		    memory_mapped() / 1024, BUFFERS, REQUEST_BYTES, options.slots, PIECE_BYTES);
	listener_announce(listen_fd);
}

static void run(int listen_fd)
{
	map_memory();
	open_ring();
	buffers_register(&buffers, &ring, BUFFER_GROUP);
	now_ns = clock_ns();
	deadlines_prepare(&deadlines, &ring, now_ns);
	acceptor_start(&acceptor, &ring, listen_fd, options.slots, user_data_pack(ACCEPT, 0));
	open_for_clients(listen_fd);

	serve();

	print_counts(&count);
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
