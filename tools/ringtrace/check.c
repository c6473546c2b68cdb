/*
 * ringtrace --check: mistakes, in the program's use of its rings, that the log proves. What only
 * may be one is not said.
 */
#include "tools/ringtrace/lines.h"
#include "tools/ringtrace/names.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define BUFFERS	     65536 /* numbers of buffers are 16 bits */
#define FAR	     64	   /* how many of the requests in flight are compared with a new one */
#define MOST_LISTED  100
#define MOST_SQES    32768 /* of a ring */
#define SPINS	     10	   /* receives in a row that find no buffer */
#define VAIN_LOOKS   1000  /* in a row, that cannot find anything */
#define LARGEST	     4095  /* error */
#define SOCK_TYPES   0xf   /* without SOCK_CLOEXEC and the like */
#define NO_TASK_FLAG (IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG)
#define NEVER_SPINS  (IORING_SETUP_SQPOLL | IORING_SETUP_IOPOLL | IORING_SETUP_DEFER_TASKRUN)

/*
 * What a send that was short has left. Whoever waits for something else with that in hand, and
 * never sends it, has forgotten it; who closes at once may have given up, and who was told that the
 * peer is lost, too.
 */
struct rest {
	bool is_there, is_given_up;
	uint32_t taken, wanted; /* bytes */
	unsigned opcode, chain, cqe;
	uint64_t serial, address; /* of the short send */
	unsigned receives;	  /* until then */
	unsigned waits;		  /* since its CQE was marked as seen */
};

/* A descriptor or a slot. */
struct file {
	struct entry entry;
	struct file *after; /* of all of the ring's */
	int kind, number;
	bool is_stream, is_socket, is_slot_in_use;
	bool has_ended; /* a multishot request on it: it should be armed again */
	bool by_overflow;
	unsigned opcode, waits_since;
	unsigned spins; /* receives in a row that found no buffer */
	uint64_t gifts_then;
	const char *closed_during; /* the operation that was in flight when it was closed */
	struct rest rest;
};

struct buffer {
	uint64_t address;
	uint32_t length;
	int8_t given; /* how many times the kernel has it */
};

struct group {
	struct entry entry;
	bool unclear;	  /* which buffers the completions have taken */
	bool is_followed; /* its buffer ring is, or it has none */
	bool was_empty;	  /* a request has found no buffer */
	uint64_t gifts;
	unsigned latest;     /* that was given */
	const char *without; /* the operation whose CQE, the latest, has brought no buffer */
	int without_result;
	struct buffer buffers[BUFFERS];
};

struct checked {
	void **files; /* a table */
	struct file *all_files;
	void *groups;
	pid_t thread;
	bool several_threads, was_told, has_spun;
	bool is_unsettled; /* a file has a rest, or was closed too early */
	bool has_failed;   /* the latest call that submits */
	uint32_t last_head;
	struct sqe { /* a place in the SQ, and the user_data that it had the last time */
		bool is_used;
		uint64_t user_data;
	} * sqes;
	bool is_rewritten, was_left_over[OPERATIONS];
	uint64_t left_over[OPERATIONS];
	uint64_t overflowed; /* time */
	unsigned waits, looked_again, receives;
	bool errors[LARGEST + 1]; /* that were results so far */
};

static unsigned listed, fresh; /* mistakes whose list has been printed, and those since then */
/* The latter, each once, with how often it has happened. */
static struct listed {
	char cause[sizeof(((struct warning *)NULL)->text)]; /* without numbers */
	struct text line;
	unsigned times;
} list[MOST_LISTED];

unsigned check_count(void)
{
	return listed + fresh;
}

/* A mistake that differs in numbers only, such as those of descriptors, is the same. */
static void remove_numbers(char *text)
{
	char *end = text;

	for (; *text; text++)
		if (!isdigit((unsigned char)*text))
			*end++ = *text;
	*end = '\0';
}

__attribute__((format(printf, 3, 4))) static void warn(const struct event *at, const char *fix,
						       const char *format, ...)
{
	struct listed *known = list, *end = list + (fresh < MOST_LISTED ? fresh : MOST_LISTED);
	struct listed new = {.times = 1};
	struct warning warning = {.fix = fix};
	struct event event = *at;
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(warning.text, sizeof(warning.text), format, arguments);
	va_end(arguments);
	memcpy(new.cause, warning.text, sizeof(new.cause));
	remove_numbers(new.cause);
	while (known < end && strcmp(known->cause, new.cause) != 0)
		known++;
	if (known < end) {
		known->times++;
		return;
	}
	event.kind = EVENT_WARNING;
	event.warning = &warning;
	events_emit(&event);
	new.line = line_start(&event);
	event_text(&new.line, &event);
	if (fresh++ < MOST_LISTED)
		*known = new;
}

static struct checked *checked(struct ring *ring)
{
	if (!ring->checked)
		ring->checked = allocate(sizeof(struct checked));
	return ring->checked;
}

static struct file *file_of(struct ring *ring, int kind, int number)
{
	uint64_t key = target_key(kind, number);
	struct file *file = list_get(list_of(&checked(ring)->files, key), key, sizeof(*file));

	if (!file->kind && kind) {
		file->after = checked(ring)->all_files;
		checked(ring)->all_files = file;
	}
	file->kind = kind;
	file->number = number;
	return file;
}

static struct file *file_of_request(const struct request *request)
{
	return file_of(request->ring, request->target->kind, request->target->number);
}

static const char *kind_name(const struct file *file)
{
	return file->kind == TARGET_SLOT ? "slot" : "fd";
}

/* Another file has the number now, or none. */
static void file_forget(struct file *file)
{
	const struct file old = *file;

	*file = (struct file){old.entry, old.after, old.kind, old.number};
}

static void for_each_file(const struct event *event,
			  void (*function)(const struct event *event, struct file *file))
{
	for (struct file *file = checked(event->ring)->all_files; file; file = file->after)
		function(event, file);
}

static struct group *group_of(struct ring *ring, unsigned number)
{
	return list_get(&checked(ring)->groups, number, sizeof(struct group));
}

/* What requests do with memory */

/* A write, when it is on a socket, is like a send. */
static bool writes(unsigned opcode)
{
	return fields_of(opcode) & EMPTIES && !is_send(opcode);
}

static bool uses_memory(const struct request *request, uint64_t start, uint64_t length)
{
	for (size_t i = 0; i < request->vectors_known; i++) {
		uint64_t other_start = (uintptr_t)request->vectors[i].iov_base;

		if (start < other_start + request->vectors[i].iov_len &&
		    other_start < start + length)
			return true;
	}
	return false;
}

static bool overlap(const struct request *one, const struct request *other)
{
	for (size_t i = 0; i < one->vectors_known; i++)
		if (uses_memory(other, (uintptr_t)one->vectors[i].iov_base,
				one->vectors[i].iov_len))
			return true;
	return false;
}

/* Of the ring's newest requests those that are in flight for certain. */
static unsigned find_in_flight(const struct ring *ring, const struct request *requests[FAR])
{
	const struct request *request = ring->newest;
	unsigned count = 0;

	for (unsigned i = 0; i < FAR && request; i++, request = request->older)
		if (request->taken && events_in_flight(request))
			requests[count++] = request;
	return count;
}

/* SQEs */

static void check_result_used(const struct event *event, int value, const char *use)
{
	if (value < 0 && value >= -LARGEST && checked(event->ring)->errors[-value])
		warn(event, "look at a result before using it",
		     "the result of a failed request, %d, is used as a %s", value, use);
}

static void check_fields(const struct event *event, const struct io_uring_sqe *sqe)
{
	unsigned opcode = sqe->opcode, fields = fields_of(opcode);
	uint32_t flags = opcode == IORING_OP_SOCKET ? (uint32_t)sqe->off : (uint32_t)sqe->rw_flags;
	uint32_t cloexec = opcode == IORING_OP_OPENAT ? O_CLOEXEC : SOCK_CLOEXEC;

	if (opcode == IORING_OP_CLOSE && sqe->file_index && sqe->flags & IOSQE_FIXED_FILE)
		warn(event, "leave the flag out: io_uring_prep_close_direct() says all",
		     "a close of slot %u with IOSQE_FIXED_FILE, which fails", sqe->file_index - 1);
	if (gives_descriptor(opcode) && opcode != IORING_OP_OPENAT2 && sqe->file_index &&
	    flags & cloexec)
		warn(event, "leave the flag out: a slot is no descriptor that execve(2) could keep",
		     "CLOEXEC of a file that goes into a slot, which fails");
	if (opcode == IORING_OP_LINK_TIMEOUT && event->request->chain == event->request->index)
		warn(event, "IOSQE_IO_LINK in the SQE before it, and one call that submits both",
		     "a link_timeout that no SQE is linked to, which fails");
	if (sqe_is_multishot(sqe) && !(sqe->flags & IOSQE_BUFFER_SELECT) &&
	    (opcode == IORING_OP_RECV || opcode == IORING_OP_RECVMSG ||
	     opcode == OP_READ_MULTISHOT))
		warn(event, "a buffer ring, IOSQE_BUFFER_SELECT and buf_group",
		     "a multishot %s without IOSQE_BUFFER_SELECT, which fails",
		     operation_name(opcode));
	if (opcode == IORING_OP_ACCEPT && sqe_is_multishot(sqe) && sqe->addr)
		warn(event, "ask the socket, with getpeername(2)",
		     "a multishot accept shall store addresses: each overwrites the one before it");
	if (fields & FD && !(sqe->flags & IOSQE_FIXED_FILE) && sqe->fd != -1)
		check_result_used(event, sqe->fd, "descriptor");
	if (fields & LENGTH)
		check_result_used(event, (int32_t)sqe->len, "length");
}

/* What a program that mistakes its completion for another's gets wrong; NULL: it matters less. */
static const char *role(const struct request *request)
{
	if (is_send(request->sqe.opcode))
		return "send";
	if (is_receive(request->sqe.opcode))
		return "receive";
	return request->sqe.opcode == IORING_OP_ACCEPT ? "accept" : NULL;
}

/* On one stream, and nothing says which comes first. */
static bool can_mix(const struct request *one, const struct request *other)
{
	return is_send(one->sqe.opcode) && is_send(other->sqe.opcode) && !other->notified &&
	       one->target == other->target && one->target->kind != TARGET_NONE &&
	       one->chain != other->chain && file_of_request(one)->is_stream;
}

static bool is_linked_echo(const struct request *receive, const struct request *send)
{
	return receive->chain == send->chain && receive->sqe.opcode == IORING_OP_RECV &&
	       send->sqe.opcode == IORING_OP_SEND && !(receive->sqe.msg_flags & MSG_WAITALL) &&
	       receive->vectors_known && receive->sqe.addr == send->sqe.addr &&
	       receive->sqe.len == send->sqe.len;
}

static void compare(const struct event *event, const struct request *one,
		    const struct request *other)
{
	unsigned fields = fields_of(one->sqe.opcode), other_fields = fields_of(other->sqe.opcode);

	if (role(one) && role(other) && one->sqe.opcode != IORING_OP_ACCEPT &&
	    one->sqe.opcode != other->sqe.opcode && one->chain != other->chain &&
	    one->sqe.user_data == other->sqe.user_data)
		warn(event, "give each request a user_data of its own",
		     "a %s and a %s in flight with the same user_data, 0x%llx", role(one),
		     role(other), (unsigned long long)one->sqe.user_data);
	if (is_linked_echo(other, one))
		warn(event, "send what the receive's result says, after it",
		     "a receive is linked to a send of the full length, %u bytes: a shorter "
		     "receive sends rubbish",
		     one->sqe.len);
	if (one->chain != other->chain && overlap(one, other) &&
	    ((fields & FILLS && other_fields & EMPTIES) ||
	     (fields & EMPTIES && other_fields & FILLS)))
		warn(event, "a buffer is the request's until its completion",
		     "memory that is being sent is received into at the same time");
}

/* Sends that were short */

/* How many bytes the request is to send; 0 where that is not known. */
static uint64_t bytes_wanted(const struct request *request)
{
	uint64_t wanted = 0;

	for (size_t i = 0;
	     i < request->vectors_known && request->vectors_known == request->vector_count; i++)
		wanted += request->vectors[i].iov_len;
	return wanted;
}

static uint64_t address_of(const struct request *request)
{
	return request->vectors_known ? (uintptr_t)request->vectors[0].iov_base : 0;
}

static void warn_of_rest(const struct event *event, const struct file *file, const char *fix,
			 const char *what)
{
	warn(event, fix, "a %s on %s %d took %u of %u bytes, and %s",
	     operation_name(file->rest.opcode), kind_name(file), file->number, file->rest.taken,
	     file->rest.wanted, what);
}

static void note_short_send(const struct event *event, const struct request *request,
			    struct file *file)
{
	uint64_t wanted = bytes_wanted(request);
	int result = event->cqe->res;

	if (file->rest.is_there && file->rest.chain == request->chain &&
	    file->rest.serial < request->serial && result > 0) {
		warn_of_rest(event, file,
			     "MSG_WAITALL in each that is linked to another, or one send at a time",
			     "the one linked to it has sent on behind the gap");
		file->rest.is_there = false;
	}
	/* Somebody may wait for room elsewhere; and MSG_WAITALL is short only where it was
	 * cancelled or the peer is lost. */
	if (result <= 0 || (uint64_t)result >= wanted ||
	    request->sqe.msg_flags & (MSG_DONTWAIT | MSG_WAITALL))
		return;
	checked(event->ring)->is_unsettled = true;
	file->rest = (struct rest){
		.is_there = true,
		.taken = (uint32_t)result,
		.wanted = (uint32_t)wanted,
		.opcode = request->sqe.opcode,
		.chain = request->chain,
		.cqe = event->index,
		.serial = request->serial,
		.address = address_of(request),
		.receives = checked(event->ring)->receives,
	};
}

/* The file is at its end, and the rest was not sent. */
static void check_rest(const struct event *event, struct file *file)
{
	if (file->rest.is_there && file->rest.waits && !checked(event->ring)->several_threads)
		warn_of_rest(event, file, "compare the result with the length, and send the rest",
			     "the rest was never sent");
	file->rest.is_there = false;
}

static void give_up(const struct event *event, struct file *file)
{
	(void)event;
	file->closed_during = NULL;
	file->rest.is_given_up = true;
}

/* Perhaps on another ring of the process. */
static void rest_goes_on(const struct ring *ring, const struct file *file)
{
	for (struct ring *other = events_rings(); other; other = other->next)
		if (other == ring ||
		    (other->is_open && other->process == ring->process && file->kind == TARGET_FD))
			file_of(other, file->kind, file->number)->rest.is_there = false;
}

/* Unless something was received meanwhile, the same memory holds the same bytes. */
static void check_repeated(const struct event *event, const struct request *request,
			   const struct rest *rest)
{
	if (rest->is_there && request->vectors_known && bytes_wanted(request) == rest->wanted &&
	    address_of(request) == rest->address &&
	    rest->receives == checked(event->ring)->receives && !rest->is_given_up)
		warn(event, "add the result to the address, and take it off the length",
		     "a %s took %u of %u bytes, and the next one begins at the same address: those are "
		     "sent twice",
		     operation_name(rest->opcode), rest->taken, rest->wanted);
}

/* What a new request means for the rest of a send on the same file. */
static void look_for_rest(const struct event *event, const struct request *request,
			  struct file *file)
{
	unsigned opcode = request->sqe.opcode;

	if (opcode == IORING_OP_ASYNC_CANCEL) {
		for_each_file(event, give_up);
	} else if (opcode == IORING_OP_CLOSE ||
		   (opcode == IORING_OP_SHUTDOWN && request->sqe.len != SHUT_RD)) {
		check_rest(event, file);
	} else if (fields_of(opcode) & EMPTIES || opcode == IORING_OP_SPLICE ||
		   (opcode == IORING_OP_POLL_ADD && request->sqe.poll32_events & POLLOUT)) {
		check_repeated(event, request, &file->rest);
		/* Of one that begins elsewhere nobody knows: the rest may have been moved there. */
		rest_goes_on(event->ring, file);
	}
}

/* Buffers that the kernel picks */

/* Of which group a buffer was, or how many, is not known. */
static void buffers_unclear(struct ring *ring)
{
	for (struct group *group = checked(ring)->groups; group; group = group->entry.next)
		group->unclear = true;
}

static void warn_given_twice(const struct event *event, const struct group *group, unsigned number)
{
	if (group->without && number == 0)
		warn(event, "give back what a CQE with IORING_CQE_F_BUFFER has brought",
		     "buffer 0 of group %u is put into its ring, where it already is, after a CQE "
		     "that brings no buffer, of a %s = %d",
		     event->group, group->without, group->without_result);
	else
		warn(event, "give a buffer back once, and only if the CQE has IORING_CQE_F_BUFFER",
		     "buffer %u of group %u is put into its ring, where it already is", number,
		     event->group);
}

static bool reads_from(const struct request *request, const struct buffer *buffer)
{
	return fields_of(request->sqe.opcode) & EMPTIES &&
	       uses_memory(request, buffer->address, buffer->length);
}

/* The kernel may fill the buffers from here on; nobody may still be sending from them. */
static void check_given(const struct event *event)
{
	struct group *group = group_of(event->ring, event->group);
	const struct request *others[FAR];
	unsigned other_count = find_in_flight(event->ring, others);

	group->gifts += event->count;
	for (unsigned i = 0; i < event->count; i++) {
		const struct io_uring_buf *given = &event->buffers[i];
		struct buffer *buffer = &group->buffers[given->bid];
		unsigned sender = 0;

		buffer->address = given->addr;
		buffer->length = given->len;
		group->latest = given->bid;
		while (sender < other_count && !reads_from(others[sender], buffer))
			sender++;
		if (sender < other_count)
			warn(event, "give a buffer back when what it holds has been sent",
			     "buffer %u of group %u is put into its ring while a %s from it is in flight",
			     given->bid, event->group, operation_name(others[sender]->sqe.opcode));
		if (group->unclear || ++buffer->given <= 1)
			continue;
		buffer->given = 1;
		warn_given_twice(event, group, given->bid);
	}
	group->without = NULL;
}

/*
 * The same the other way round. Which buffer it would be, is guessed from the place of another one,
 * and then looked up.
 */
static void check_sent_memory(const struct event *event, const struct request *request)
{
	for (struct group *group = checked(event->ring)->groups; group; group = group->entry.next) {
		const struct buffer *latest = &group->buffers[group->latest], *buffer;
		int64_t offset = (int64_t)(address_of(request) - latest->address), number;

		if (group->unclear || !latest->length)
			continue;
		number = group->latest + offset / latest->length - (offset % latest->length < 0);
		buffer = &group->buffers[number & (BUFFERS - 1)];
		if (number >= 0 && number < BUFFERS && buffer->given > 0 &&
		    reads_from(request, buffer))
			warn(event, "give a buffer back when what it holds has been sent",
			     "a %s from buffer %d of group %d, which is in its ring: the kernel may fill it",
			     operation_name(request->sqe.opcode), (int)number,
			     (int)group->entry.key);
	}
}

/*
 * A program that never writes user_data, or that has written it once and for all, means it so. One
 * that writes it for some of its requests has forgotten the others.
 */
static void check_user_data(const struct event *event, const struct request *request)
{
	struct checked *ring = checked(event->ring);
	unsigned entries = event->ring->opened.sq_entries;
	uint64_t user_data = request->sqe.user_data;
	struct sqe *sqe;

	if (!ring->sqes)
		ring->sqes = allocate(MOST_SQES * sizeof(struct sqe));
	sqe = &ring->sqes[request->index % (entries ? entries : 1) % MOST_SQES];
	if (request->flags & SQES_LEFT_OVER && !request->silent &&
	    !ring->left_over[request->sqe.opcode])
		ring->left_over[request->sqe.opcode] = user_data;
	ring->is_rewritten |= sqe->is_used && sqe->user_data != user_data;
	*sqe = (struct sqe){.is_used = true, .user_data = user_data};
	for (unsigned i = 0; i < OPERATIONS && ring->is_rewritten; i++) {
		if (ring->left_over[i] && !ring->was_left_over[i])
			warn(event, "set it on every SQE: its completion names another request",
			     "nobody has set the user_data of a %s: 0x%llx is left over from an "
			     "earlier use of the SQE",
			     operation_name(i), (unsigned long long)ring->left_over[i]);
		ring->was_left_over[i] = ring->left_over[i];
	}
}

/* The kernel looks for a request that the program has in mind, and may find another. */
static void check_cancel(const struct event *event, const struct io_uring_sqe *sqe,
			 const struct request *const *others, unsigned count)
{
	unsigned matches = 0;

	if (sqe->opcode != IORING_OP_ASYNC_CANCEL ||
	    sqe->cancel_flags & (CANCEL_ALL | CANCEL_FD | CANCEL_ANY | CANCEL_OP))
		return;
	for (unsigned i = 0; i < count; i++)
		matches += others[i]->sqe.user_data == sqe->addr &&
			   others[i]->sqe.opcode != IORING_OP_ASYNC_CANCEL;
	if (matches > 1)
		warn(event, "IORING_ASYNC_CANCEL_ALL, or a user_data of its own for each request",
		     "a cancel of user_data 0x%llx, which %u requests in flight have: it finds one of them",
		     (unsigned long long)sqe->addr, matches);
}

static void check_dead(const struct event *event, const struct request *request)
{
	unsigned opcode = request->sqe.opcode;
	bool points = opcode == IORING_OP_TIMEOUT || opcode == IORING_OP_LINK_TIMEOUT ||
		      fields_of(opcode) & (ADDRESS | MESSAGE | PATH | NAME | SOCKET);

	if (request->flags & SQES_DEAD && points)
		warn(event, "memory that stays until the completion: static, or the connection's",
		     "a %s with the address of a local variable whose function has returned",
		     operation_name(opcode));
}

static void check_sqe(const struct event *event)
{
	const struct request *request = event->request, *others[FAR];
	unsigned count, sends = 0;
	struct file *file;

	if (!request) {
		if (!(fields_of(event->sqe->opcode) & LOSES_NOTHING))
			warn(event, "call io_uring_submit()",
			     "an SQE, %s, was prepared, and never submitted",
			     operation_name(event->sqe->opcode));
		return;
	}
	if (request->sqe.opcode == IORING_OP_PROVIDE_BUFFERS)
		group_of(event->ring, request->sqe.buf_group)->gifts++;
	check_fields(event, &request->sqe);
	check_user_data(event, request);
	file = file_of_request(request);
	if (request->sqe.opcode == file->opcode || request->sqe.opcode == IORING_OP_CLOSE)
		file->has_ended = false;
	look_for_rest(event, request, file);
	check_sent_memory(event, request);
	check_dead(event, request);
	count = find_in_flight(event->ring, others);
	check_cancel(event, &request->sqe, others, count);
	for (unsigned i = 0; i < count && !request->silent; i++) {
		sends += can_mix(request, others[i]);
		compare(event, request, others[i]);
	}
	if (sends)
		warn(event, "one send at a time, or links",
		     "two sends in flight on %s %d, not linked: their bytes can mix",
		     kind_name(file), file->number);
}

/* CQEs */

static void note_new_file(const struct event *event, const struct io_uring_sqe *sqe)
{
	struct target target = target_opened(sqe, event->cqe->res);
	struct file *file;

	if (target.kind == TARGET_NONE)
		return;
	file = file_of(event->ring, target.kind, target.number);
	file_forget(file);
	file->is_slot_in_use = target.kind == TARGET_SLOT;
	file->is_stream = file->is_socket =
		sqe->opcode == IORING_OP_ACCEPT ||
		(sqe->opcode == IORING_OP_SOCKET && (sqe->off & SOCK_TYPES) == SOCK_STREAM);
}

static void check_buffers(const struct event *event, const struct request *request,
			  struct file *file)
{
	bool brings = event->cqe->flags & IORING_CQE_F_BUFFER;
	bool finds_none = event->cqe->res == -ENOBUFS;
	struct group *group;

	if (!(request->sqe.flags & IOSQE_BUFFER_SELECT))
		return;
	group = group_of(event->ring, request->sqe.buf_group);
	/* A bundle that was sent may have taken more than it has sent. */
	if (event->cqe->flags & CQE_BUFFER_MORE || (brings && !event->count) ||
	    (is_bundle(&request->sqe) && is_send(request->sqe.opcode)))
		group->unclear = true;
	for (unsigned i = 0; i < event->count; i++)
		group->buffers[event->buffers[i].bid].given--;
	group->without = brings ? NULL : operation_name(request->sqe.opcode);
	group->without_result = event->cqe->res;
	group->was_empty |= finds_none;
	/* With no buffer given since it found none. */
	file->spins = finds_none ? (file->gifts_then == group->gifts ? file->spins : 0) + 1 : 0;
	file->gifts_then = group->gifts;
	if (file->spins == SPINS)
		warn(event, "arm it again when a buffer has been given back",
		     "a receive is armed again and again, though its group has no buffer");
}

static bool is_of_a_lost_peer(int result)
{
	return result < 0 && result != -ENOBUFS && result != -ECANCELED && result != -EAGAIN &&
	       result != -EINTR;
}

/* Receives, sends and writes */
static void check_transfer(const struct event *event, const struct request *request,
			   struct file *file)
{
	unsigned opcode = request->sqe.opcode;
	int result = event->cqe->res;

	checked(event->ring)->receives += result > 0 && !is_send(opcode);
	file->rest.is_given_up |= is_receive(opcode) && (result == 0 || is_of_a_lost_peer(result));
	file->is_socket |= (is_receive(opcode) || is_send(opcode)) && result > 0;
	if (is_send(opcode) || (writes(opcode) && file->is_socket))
		note_short_send(event, request, file);
}

static void check_end_of_multishot(const struct event *event, const struct request *request,
				   struct file *file)
{
	int result = event->cqe->res;
	bool ended = request->sqe.opcode == IORING_OP_ACCEPT ? result >= 0 || result == -ENFILE
							     : result > 0;

	if (!sqe_is_multishot(&request->sqe) || !event->is_last || !ended ||
	    file->kind == TARGET_NONE)
		return;
	file->has_ended = true;
	file->opcode = request->sqe.opcode;
	file->waits_since = 0;
	file->by_overflow = checked(event->ring)->overflowed > request->submitted;
}

static void check_cqe(const struct event *event)
{
	const struct request *request = event->request;
	struct checked *ring = checked(event->ring);
	int result = event->cqe->res;
	struct file *file;

	if (!event->sure && event->cqe->flags & IORING_CQE_F_BUFFER)
		buffers_unclear(event->ring);
	if (!event->sure || event->cqe->flags & IORING_CQE_F_NOTIF)
		return;
	file = file_of_request(request);
	if (result == -ECANCELED)
		file->closed_during = NULL;
	if (result < 0 && result >= -LARGEST)
		ring->errors[-result] = true;
	if ((result == -EBADF || result == -ENOTSOCK) && file->kind == TARGET_FD &&
	    file_of(event->ring, TARGET_SLOT, file->number)->is_slot_in_use)
		warn(event, "set IOSQE_FIXED_FILE in its flags",
		     "%d is the number of a slot, and was used as a descriptor", file->number);
	note_new_file(event, &request->sqe);
	check_buffers(event, request, file);
	check_transfer(event, request, file);
	check_end_of_multishot(event, request, file);
	if (request->sqe.opcode == IORING_OP_CLOSE && result >= 0)
		file_forget(file);
}

/* Calls */

/*
 * With something in flight, it may mean to prepare more before it submits; and another thread may
 * have been about to submit, and have done so by now.
 */
static void check_prepared(const struct event *event, const struct checked *ring)
{
	const struct ring_counters *before = &event->call->before;
	uint32_t prepared = ahead(before->sqe_tail, before->sq_tail);

	if (prepared && event->enters && !event->ring->in_flight && !ring->several_threads &&
	    event->call->after.sq_tail == before->sq_tail)
		warn(event, "call io_uring_submit() before",
		     "it waits with %u SQE%s prepared and not submitted", prepared,
		     prepared == 1 ? "" : "s");
}

static void check_marked(const struct event *event, const struct ring_counters *counters)
{
	struct checked *ring = checked(event->ring);
	uint32_t too_many = ahead(counters->cq_head, counters->cq_tail);

	if (too_many && !ring->was_told)
		warn(event, "mark each CQE once: io_uring_cqe_seen() or io_uring_cq_advance()",
		     "more CQEs are marked as seen than there were: %u", too_many);
	ring->was_told |= too_many;
}

/* CQEs that were there when the last wait returned, and that the program has not marked. */
static void check_seen(const struct event *event, struct checked *ring)
{
	const struct ring_counters *before = &event->call->before;
	bool wants = event->call->arguments[0];
	bool looks_again = wants && !event->enters && ring->waits &&
			   before->cq_head == ring->last_head && before->cq_tail != before->cq_head;

	check_marked(event, before);
	ring->looked_again = looks_again ? ring->looked_again + 1 : 0;
	if (ring->looked_again == 2 && !ring->several_threads)
		warn(event, "io_uring_cqe_seen()",
		     "the same CQE is waited for again and again: it was never marked as seen");
	if (wants) {
		ring->waits++;
		ring->last_head = event->call->after.cq_head;
	}
}

static void check_looks(const struct event *event, unsigned looks)
{
	if (looks >= VAIN_LOOKS &&
	    (event->ring->opened.flags & NO_TASK_FLAG) == IORING_SETUP_DEFER_TASKRUN)
		warn(event, "io_uring_get_events(), or wait",
		     "%u looks into the CQ found nothing: with IORING_SETUP_DEFER_TASKRUN "
		     "completions come in calls that enter the kernel only",
		     looks);
}

static void check_spinning(const struct event *event, struct checked *ring)
{
	uint32_t spun = event->call->spun;

	if (!spun || ring->has_spun || event->ring->opened.flags & NEVER_SPINS)
		return;
	ring->has_spun = true;
	warn(event, "io_uring_wait_cqe(), or another function that sleeps until something comes",
	     "for %u.%u s of processor time a thread has done nothing but look into the CQ, in vain",
	     spun / 1000, spun / 100 % 10);
}

static void warn_unarmed(const struct event *event, struct file *file)
{
	file->has_ended = false;
	warn(event, "a CQE without IORING_CQE_F_MORE is the last: arm it again",
	     "the multishot %s on %s %d has ended%s, and was not armed again",
	     operation_name(file->opcode), kind_name(file), file->number,
	     file->by_overflow ? " because the CQ was full" : "");
}

/*
 * The program goes on to wait: with nothing in flight at all, that is for nothing. Who closes the
 * ring after a descriptor, or cancels the request, means it.
 */
static void check_waited_with(const struct event *event, struct file *file)
{
	uint32_t seen = event->call->before.cq_head;
	struct rest *rest = &file->rest;

	file->waits_since += file->has_ended && event->enters && event->waits;
	if (file->has_ended && event->enters && event->waits && !event->ring->in_flight)
		warn_unarmed(event, file);
	rest->waits += rest->is_there && event->enters && !rest->is_given_up &&
		       (int)(seen - rest->cqe) > 0;
	if (file->closed_during)
		warn(event, "cancel the request, or shutdown(2), and wait for its completion",
		     "close(%d) while a request on it, %s, is in flight: that keeps the file open",
		     file->number, file->closed_during);
	file->closed_during = NULL;
	checked(event->ring)->is_unsettled |= rest->is_there;
}

static void check_groups(const struct event *event)
{
	for (struct group *group = checked(event->ring)->groups; group; group = group->entry.next) {
		if (group->was_empty && group->is_followed && !group->gifts)
			warn(event, "io_uring_buf_ring_add() and io_uring_buf_ring_advance()",
			     "group %d was never given a buffer, and a receive found none in it",
			     (int)group->entry.key);
		group->was_empty = false;
	}
}

/* Another buffer ring has the group's number now, or none; or somebody gives up. */
static void check_registration(const struct event *event)
{
	bool is_mapped = event->call->arguments[2] & BUFFER_RING_MMAP;
	struct group *group;

	switch (event->call_id) {
	case CALL_register_buf_ring:
	case CALL_setup_buf_ring:
	case CALL_unregister_buf_ring:
	case CALL_free_buf_ring:
		check_groups(event);
		group = group_of(event->ring, event->call->arguments[0]);
		memset(group->buffers, 0, sizeof(group->buffers));
		group->unclear = false;
		group->gifts = 0;
		group->is_followed = event->call_id == CALL_setup_buf_ring ||
				     (event->call_id == CALL_register_buf_ring && !is_mapped);
		break;
	case CALL_register: buffers_unclear(event->ring); break;
	case CALL_register_sync_cancel: for_each_file(event, give_up); break;
	default: break;
	}
}

static void check_call(const struct event *event)
{
	bool wants = event->call->arguments[0];
	struct checked *ring;

	if (!event->ring)
		return;
	ring = checked(event->ring);
	ring->several_threads |= ring->thread && ring->thread != event->thread;
	ring->thread = event->thread;
	if (event->call->result == -EEXIST && event->submits &&
	    event->ring->opened.flags & IORING_SETUP_SINGLE_ISSUER)
		warn(event, "a ring for each thread, or IORING_OP_MSG_RING",
		     "a second thread submits to a ring of IORING_SETUP_SINGLE_ISSUER");
	if (event->submits)
		ring->has_failed = event->call->result < 0;
	check_spinning(event, ring);
	if (event->ring->in_flight)
		check_looks(event, event->call->before.looks);
	if (event->waits || event->submits)
		check_seen(event, ring);
	if (event->waits)
		check_prepared(event, ring);
	if (wants && (ring->is_unsettled || (event->enters && event->waits))) {
		ring->is_unsettled = false;
		for_each_file(event, check_waited_with);
	}
	if (event->call->result >= 0)
		check_registration(event);
}

/* What is left */

static void check_left(const struct event *event)
{
	if (!event->request->taken && !checked(event->ring)->has_failed)
		warn(event, "IORING_SETUP_SUBMIT_ALL, or submit again",
		     "an SQE, %s, was never taken by the kernel, which stops at an SQE that it refuses",
		     operation_name(event->request->sqe.opcode));
}

static void check_left_with(const struct event *event, struct file *file)
{
	if (file->has_ended && file->waits_since >= 2)
		warn_unarmed(event, file);
	check_rest(event, file);
}

static void forget(struct ring *ring)
{
	if (!ring->checked)
		return;
	table_free(&ring->checked->files);
	list_free(&ring->checked->groups);
	free(ring->checked->sqes);
	free(ring->checked);
	ring->checked = NULL;
}

static void check_ring_end(const struct event *event)
{
	const struct ring_counters *end = event->counters;

	check_groups(event);
	for_each_file(event, check_left_with);
	if (end && event->ring->in_flight)
		check_looks(event, end->looks);
	if (end)
		check_marked(event, end);
	forget(event->ring);
}

static void check_ring(const struct event *event)
{
	if (event->how == RING_OPENED && event->opened->idle &&
	    !(event->opened->flags & IORING_SETUP_SQPOLL))
		warn(event, "set the flag, or leave the time out",
		     "sq_thread_idle is set without IORING_SETUP_SQPOLL, and does nothing");
}

/* The descriptor of a process may be one for each of its rings. */
static void in_each_ring(const struct event *event,
			 void (*function)(const struct event *event, struct file *file))
{
	struct event at = *event;

	for (at.ring = events_rings(); at.ring; at.ring = at.ring->next)
		if (at.ring->is_open && at.ring->process == event->process)
			function(&at, file_of(at.ring, TARGET_FD, (int)event->count));
}

static void check_shutdown(const struct event *event)
{
	in_each_ring(event, check_rest);
}

static bool keeps_open(const struct request *request, int fd)
{
	return request->target->kind == TARGET_FD && request->target->number == fd &&
	       request->taken && request->sqe.opcode != IORING_OP_CLOSE &&
	       events_in_flight(request);
}

static void check_closed(const struct event *event, struct file *file)
{
	const struct request *request = event->ring->newest;

	if (event->fails && file_of(event->ring, TARGET_SLOT, file->number)->is_slot_in_use)
		warn(event, "io_uring_prep_close_direct()",
		     "close(%d) is of a slot's number, which is no descriptor", file->number);
	if (!event->fails)
		check_rest(event, file);
	file_forget(file);
	while (request && !keeps_open(request, file->number))
		request = request->older;
	if (!request || event->fails)
		return;
	file->closed_during = operation_name(request->sqe.opcode);
	checked(event->ring)->is_unsettled = true;
}

static void check_close(const struct event *event)
{
	if (event->opcode >= 0 && fields_of((unsigned)event->opcode) & FD)
		warn(event, "close it when the last request on it has completed",
		     "close(%u) while an SQE with it, %s, is prepared and not submitted: it finds another "
		     "file there, or none",
		     event->count, operation_name((unsigned)event->opcode));
	in_each_ring(event, check_closed);
}

static void check_stream(const struct event *event)
{
	struct file *file =
		file_of(event->ring, event->is_slot ? TARGET_SLOT : TARGET_FD, (int)event->count);

	file->is_stream = file->is_socket = true;
}

static void check_missed(const struct event *event)
{
	if (event->of_cqes)
		buffers_unclear(event->ring);
}

static void check_overflow(const struct event *event)
{
	checked(event->ring)->overflowed = event->time;
	if (event->count)
		warn(event, "make the CQ larger", "%u CQEs are lost: the CQ was full",
		     event->count);
}

/* At a process's end: what was found since that of another. At the log's: what is left, if any. */
static void print_list(const struct event *event)
{
	struct text line = {.length = 0};

	if (event->kind == EVENT_END && !fresh)
		return;
	text_add(&line, "ringtrace: mistakes that --check has found: %u", fresh);
	line_add(&line);
	for (unsigned i = 0; i < fresh && i < MOST_LISTED; i++) {
		if (list[i].times > 1)
			text_add(&list[i].line, ", %u times", list[i].times);
		line_add(&list[i].line);
	}
	listed += fresh;
	fresh = 0;
}

static void check_end(const struct event *event)
{
	print_list(event);
	for (struct ring *ring = events_rings(); ring; ring = ring->next)
		forget(ring);
}

static void (*const checks[])(const struct event *event) = {
	[EVENT_RING] = check_ring,	   [EVENT_SQE] = check_sqe,
	[EVENT_CALL] = check_call,	   [EVENT_CQE] = check_cqe,
	[EVENT_MISSED] = check_missed,	   [EVENT_OVERFLOW] = check_overflow,
	[EVENT_BUFFERS] = check_given,	   [EVENT_CLOSE] = check_close,
	[EVENT_SHUTDOWN] = check_shutdown, [EVENT_STREAM] = check_stream,
	[EVENT_LEFT] = check_left,	   [EVENT_RING_END] = check_ring_end,
	[EVENT_EXIT] = print_list,	   [EVENT_END] = check_end,
	[EVENT_INSIDE] = check_call,
};

void check_event(const struct event *event)
{
	if (checks[event->kind])
		checks[event->kind](event);
}
