/*
 * Day 9: day 8's web server on every core, because one thread can't use more than one.
 *
 * Each thread has what day 8 had, a ring and a listening socket with all that belongs to them, and
 * shares nothing that changes. What it has to tell another is a completion in the other's ring.
 *
 * Needs: Linux 6.1.
 * Run:   make day09 && ./day09/cores 7009 .
 *        curl -i http://127.0.0.1:7009/LICENSE      (in another terminal)
 *
 *   Ctrl-C --> thread 0 --STOP--> every thread --DRAINED--> thread 0 --LEAVE--> every thread
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <limits.h>
#include <linux/openat2.h>
#include <pthread.h>
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
#include "common/processors.h"
#include "common/ring.h"
#include "common/signals.h"
#include "common/user_data.h"

#define DEFAULT_PORT	   7009
#define MAX_THREADS	   1024
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

/* What another thread says, and SENT: what became of a message to another thread. */
enum message { PRINT = DEADLINE + 1, STOP, DRAINED, LEAVE, SENT };

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
	unsigned port, slots, limit_ms, threads;
	bool log;
} options = {"127.0.0.1", ".", .slots = 10000, .limit_ms = 60000};

static _Thread_local struct io_uring ring;
static _Thread_local struct acceptor acceptor;
static _Thread_local struct buffers buffers; /* for requests */
static _Thread_local struct deadlines deadlines;
static _Thread_local long long now_ns; /* when this pass of the loop began */
static _Thread_local bool stopping;
static int directory_fd;

static _Thread_local struct connection *connections;	 /* by slot */
static _Thread_local struct reply *replies;		 /* by number */
static _Thread_local unsigned *free_replies, free_count; /* a stack of numbers */

static _Thread_local struct counts {
	unsigned long connections, completions, waits, overflows, requests, bytes, shortages,
		timeouts;
} count;

static _Thread_local unsigned self;	       /* in threads[]; 0 reads the signals */
static _Thread_local unsigned messages;	       /* that it has sent and that are in flight */
static _Thread_local unsigned threads_drained; /* that have told it */
static _Thread_local bool drained, leaving;

/* What they share. Only the counts change once the threads have started. */
static struct {
	pthread_t id;
	int ring_fd;	     /* for the others' messages */
	struct counts count; /* a copy, for who prints it */
} threads[MAX_THREADS];
static int listen_fds[MAX_THREADS];
static pthread_barrier_t opened; /* every ring is, so there can be messages */
static pthread_mutex_t copying = PTHREAD_MUTEX_INITIALIZER; /* those counts */

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

/* One completion for that thread, with `message` as its operation, and one for us: SENT. */
static void prepare_message(unsigned thread, enum message message)
{
	struct io_uring_sqe *sqe = ring_get_sqe(&ring);

	io_uring_prep_msg_ring(sqe, threads[thread].ring_fd, 0, user_data_pack(message, 0), 0);
	io_uring_sqe_set_data64(sqe, user_data_pack(SENT, thread << 8 | message));
	messages++;
}

static void prepare_message_to_all(enum message message)
{
	for (unsigned i = 0; i < options.threads && threads_drained <= options.threads; i++)
		prepare_message(i, message);
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

static void print_all_counts(void)
{
	struct counts sum = {0};

	for (unsigned i = 0; i < options.threads; i++) {
		output_line("thread %u:", i);
		print_counts(&threads[i].count);
		sum.connections += threads[i].count.connections;
		sum.requests += threads[i].count.requests;
		sum.bytes += threads[i].count.bytes;
		sum.timeouts += threads[i].count.timeouts;
	}
	output_line(
		"all threads: connections: %lu, requests: %lu, bytes of files: %lu, timed out: %lu",
		sum.connections, sum.requests, sum.bytes, sum.timeouts);
}

/* The last thread to come here prints what all have left. */
static void report_counts(void)
{
	static unsigned copies;

	pthread_mutex_lock(&copying);
	threads[self].count = count;
	copies = copies + 1 < options.threads ? copies + 1 : 0;
	if (copies == 0)
		print_all_counts();
	pthread_mutex_unlock(&copying);
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
		prepare_message_to_all(PRINT);
	else if (number != 0)
		prepare_message_to_all(STOP);
	signals_prepare_read(&ring, user_data_pack(SIGNAL, 0));
}

/* EOVERFLOW: that ring's queue is full, and there's no memory to keep the message for it. */
static void on_sent(unsigned what, int result)
{
	messages--;
	if (result == -EOVERFLOW || ring_try_again(result))
		prepare_message(what >> 8, what & 0xff);
	else if (result < 0)
		output_error(EXIT_FAILURE, -result, "a message to thread %u", what >> 8);
}

/*
 * A message to a ring that is gone would fail, or go to whatever has its descriptor now. So a
 * thread that is drained stays until all are, and thread 0 has said its last word.
 */
static void report_drained(void)
{
	if (stopping && !drained && !acceptor_is_busy(&acceptor)) {
		drained = true;
		prepare_message(0, DRAINED);
	}
	if (threads_drained == options.threads && messages == 0) {
		prepare_message_to_all(LEAVE);
		threads_drained++; /* the last word: no message follows it */
	}
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
	case PRINT: report_counts(); break;
	case STOP: stop(); break;
	case DRAINED: threads_drained++; break;
	case LEAVE: leaving = true; break;
	case SENT: on_sent(slot, cqe->res); break;
	}
}

static void serve(void)
{
	while (!leaving || messages > 0) {
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
		report_drained();
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
		{"threads", "N", "each with all of that", .number = &options.threads, .least = 1,
		 .most = MAX_THREADS},
		{"log", .help = "print a line for each reply", .flag = &options.log},
		{0},
	};

	options.threads = processors_allowed();
	options_parse(
		argc, argv,
		"[OPTIONS] [PORT [DIRECTORY]]\n"
		"Serves the files in DIRECTORY (the current one) by HTTP on PORT (7009; 0: any\n"
		"free one). SIGUSR1 prints what has happened so far.",
		entries);
	if (argc - optind == 2)
		options.directory = argv[--argc];
	options.port = option_port(argc, argv, DEFAULT_PORT);
	/* A connection has at most one file open, and a slot counts as a descriptor, too. */
	options.slots = descriptors_allow_for(options.slots, options.threads + 1,
					      SPARE_DESCRIPTORS + 2 * options.threads);
}

static void open_for_clients(int listen_fd)
{
	signals_prepare_read(&ring, user_data_pack(SIGNAL, 0));
	output_line("memory: at most %zu KiB: %u shared buffers of %u bytes; %u connections, each "
		    "with its own buffer and a reply of %u; in each thread",
		    memory_mapped() / 1024, BUFFERS, REQUEST_BYTES, options.slots, PIECE_BYTES);
	listener_announce(listen_fd);
}

/* A thread opens its ring itself: SINGLE_ISSUER allows no other one to submit to it. */
static void *run(void *number)
{
	int listen_fd = listen_fds[(uintptr_t)number];

	self = (unsigned)(uintptr_t)number;
	map_memory();
	open_ring();
	buffers_register(&buffers, &ring, BUFFER_GROUP);
	threads[self].ring_fd = ring.ring_fd;
	pthread_barrier_wait(&opened);
	now_ns = clock_ns();
	deadlines_prepare(&deadlines, &ring, now_ns);
	acceptor_start(&acceptor, &ring, listen_fd, options.slots, user_data_pack(ACCEPT, 0));
	if (self == 0)
		open_for_clients(listen_fd);

	serve();

	report_counts();
	io_uring_queue_exit(&ring);
	return NULL;
}

int main(int argc, char **argv)
{
	output_open();
	parse_options(argc, argv);
	directory_fd = open(options.directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (directory_fd < 0)
		output_error(EXIT_FAILURE, errno, "the directory '%s'", options.directory);
	signals_open(SIGINT, SIGTERM, SIGUSR1, 0);
	listener_open_group(options.address, options.port, SOMAXCONN, listen_fds, options.threads);
	pthread_barrier_init(&opened, NULL, options.threads);
	for (uintptr_t i = 1; i < options.threads; i++)
		if ((errno = pthread_create(&threads[i].id, NULL, run, (void *)i)) != 0)
			output_error(EXIT_FAILURE, errno, "pthread_create");
	run(0);
	for (unsigned i = 1; i < options.threads; i++)
		pthread_join(threads[i].id, NULL);
	return EXIT_SUCCESS;
}
