/*
 * ringtrace --check: mistakes, in the program's use of its rings, that the log proves. What only
 * may be one is not said.
 */
#include "tools/ringtrace/decode.h"
#include "tools/ringtrace/lines.h"
#include "tools/ringtrace/names.h"

#include <errno.h>
#include <error.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define BUFFERS	     65536 /* numbers of buffers are 16 bits */
#define FAR	     64	   /* how many of the requests in flight are compared with a new one */
#define MOST_LISTED  100
#define SPINS	     10	  /* receives in a row that find no buffer */
#define VAIN_LOOKS   1000 /* in a row, that cannot find anything */
#define LARGEST	     4095 /* error */
#define NO_TASK_FLAG (IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG)

/* A descriptor or a slot. */
struct file {
	struct file *next;
	int kind, number;
	bool is_stream, is_slot_in_use;
	bool has_ended; /* a multishot request on it: it should be armed again */
	bool by_overflow;
	unsigned opcode, waits_since;
	unsigned spins; /* receives in a row that found no buffer */
	uint64_t gifts_then;
};

struct group {
	struct group *next;
	unsigned number;
	bool unclear;	       /* how many buffers a completion takes */
	int8_t given[BUFFERS]; /* how many times the kernel has it */
	uint64_t gifts;
};

struct checked {
	struct file *files[256];
	struct group *groups;
	pid_t thread;
	bool several_threads, was_told;
	uint32_t last_head;
	uint64_t overflowed; /* time */
	unsigned waits, looked_again, unsubmitted_waits, left;
	int32_t errors[LARGEST + 1]; /* results so far */
};

static unsigned count;
static struct text list[MOST_LISTED];

unsigned check_count(void)
{
	return count;
}

__attribute__((format(printf, 3, 4))) static void warn(const struct event *at, const char *cure,
						       const char *format, ...)
{
	struct warning warning = {.cure = cure};
	struct event event = *at;
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(warning.text, sizeof(warning.text), format, arguments);
	va_end(arguments);
	event.kind = EVENT_WARNING;
	event.warning = &warning;
	events_emit(&event);
	if (count < MOST_LISTED) {
		list[count] = line_start(&event);
		event_text(&list[count], &event);
	}
	count++;
}

static void *allocate(size_t size)
{
	void *memory = calloc(1, size);

	if (!memory)
		error(EXIT_FAILURE, errno, "--check");
	return memory;
}

static struct checked *checked(struct ring *ring)
{
	if (!ring->checked)
		ring->checked = allocate(sizeof(struct checked));
	return ring->checked;
}

static struct file *file_of(struct ring *ring, int kind, int number)
{
	struct file **link = &checked(ring)->files[(unsigned)number % 256];

	while (*link && ((*link)->kind != kind || (*link)->number != number))
		link = &(*link)->next;
	if (!*link) {
		*link = allocate(sizeof(struct file));
		(*link)->kind = kind;
		(*link)->number = number;
	}
	return *link;
}

static struct file *file_of_request(const struct request *request)
{
	return file_of(request->ring, request->target->kind, request->target->number);
}

/* Another file has the number now, or none. */
static void file_forget(struct file *file)
{
	*file = (struct file){.next = file->next, .kind = file->kind, .number = file->number};
}

static struct group *group_of(struct ring *ring, unsigned number)
{
	struct group **link = &checked(ring)->groups;

	while (*link && (*link)->number != number)
		link = &(*link)->next;
	if (!*link) {
		*link = allocate(sizeof(struct group));
		(*link)->number = number;
	}
	return *link;
}

static bool is_multishot(const struct io_uring_sqe *sqe)
{
	if (sqe->opcode == IORING_OP_ACCEPT)
		return sqe->ioprio & IORING_ACCEPT_MULTISHOT;
	if (sqe->opcode == IORING_OP_POLL_ADD)
		return sqe->len & IORING_POLL_ADD_MULTI;
	return is_receive(sqe->opcode) && sqe->ioprio & IORING_RECV_MULTISHOT;
}

/* SQEs */

static void check_fields(const struct event *event, const struct io_uring_sqe *sqe)
{
	const struct operation *known = operation(sqe->opcode);
	uint32_t flags =
		sqe->opcode == IORING_OP_SOCKET ? (uint32_t)sqe->off : (uint32_t)sqe->rw_flags;
	uint32_t cloexec = sqe->opcode == IORING_OP_OPENAT ? O_CLOEXEC : SOCK_CLOEXEC;

	if (sqe->opcode == IORING_OP_CLOSE && sqe->file_index && sqe->flags & IOSQE_FIXED_FILE)
		warn(event, "leave the flag out: io_uring_prep_close_direct() says all",
		     "a close of slot %u with IOSQE_FIXED_FILE, which fails", sqe->file_index - 1);
	if (gives_descriptor(sqe->opcode) && sqe->opcode != IORING_OP_OPENAT2 && sqe->file_index &&
	    flags & cloexec)
		warn(event, "leave the flag out: a slot is no descriptor that execve(2) could keep",
		     "CLOEXEC of a file that goes into a slot, which fails");
	if (sqe->opcode == IORING_OP_ACCEPT && is_multishot(sqe) && sqe->addr)
		warn(event, "ask the socket, with getpeername(2)",
		     "a multishot accept shall store addresses: each overwrites the one before it");
	if (known && known->fields & FD && !(sqe->flags & IOSQE_FIXED_FILE) && sqe->fd < -1 &&
	    sqe->fd >= -LARGEST && checked(event->ring)->errors[-sqe->fd])
		warn(event, "look at a result before using it",
		     "the result of a failed request, %d, is used as a descriptor", sqe->fd);
	if (known && known->fields & LENGTH && (int32_t)sqe->len < 0 &&
	    (int32_t)sqe->len >= -LARGEST && checked(event->ring)->errors[-(int32_t)sqe->len])
		warn(event, "look at a result before using it",
		     "the result of a failed request, %d, is used as a length", (int32_t)sqe->len);
}

static bool fills(const struct io_uring_sqe *sqe)
{
	return sqe->opcode == IORING_OP_RECV || sqe->opcode == IORING_OP_RECVMSG ||
	       sqe->opcode == IORING_OP_READ || sqe->opcode == IORING_OP_READV;
}

static bool empties(const struct io_uring_sqe *sqe)
{
	return is_send(sqe->opcode) || sqe->opcode == IORING_OP_WRITE ||
	       sqe->opcode == IORING_OP_WRITEV;
}

static bool overlap(const struct request *one, const struct request *other)
{
	size_t i, j;

	for (i = 0; i < one->vectors_known; i++)
		for (j = 0; j < other->vectors_known; j++) {
			const char *start = one->vectors[i].iov_base;
			const char *other_start = other->vectors[j].iov_base;

			if (start < other_start + other->vectors[j].iov_len &&
			    other_start < start + one->vectors[i].iov_len)
				return true;
		}
	return false;
}

/* Two requests of which the program could not tell whose a completion is, and would have to. */
static bool are_confused(const struct request *one, const struct request *other)
{
	return one->sqe.user_data == other->sqe.user_data && one->chain != other->chain &&
	       one->sqe.opcode != other->sqe.opcode &&
	       (is_receive(one->sqe.opcode) || is_send(one->sqe.opcode)) &&
	       (is_receive(other->sqe.opcode) || is_send(other->sqe.opcode) ||
		other->sqe.opcode == IORING_OP_ACCEPT);
}

static void compare(const struct event *event, const struct request *one,
		    const struct request *other)
{
	if (is_send(one->sqe.opcode) && is_send(other->sqe.opcode) &&
	    one->target == other->target && one->target->kind != TARGET_NONE &&
	    one->chain != other->chain && !other->notified &&
	    (file_of_request(one)->is_stream ||
	     (one->sqe.msg_flags & other->sqe.msg_flags & MSG_WAITALL)))
		warn(event, "one send at a time, or links",
		     "two sends in flight on %s %d, not linked: their bytes can mix",
		     one->target->kind == TARGET_SLOT ? "slot" : "fd", one->target->number);
	if (are_confused(one, other))
		warn(event, "give each request a user_data of its own",
		     "a %s and a %s in flight with the same user_data, 0x%llx",
		     is_receive(one->sqe.opcode) ? "receive" : "send",
		     is_send(other->sqe.opcode)	     ? "send"
		     : is_receive(other->sqe.opcode) ? "receive"
						     : "accept",
		     (unsigned long long)one->sqe.user_data);
	if (one->chain == other->chain) {
		if (other->sqe.opcode == IORING_OP_RECV && one->sqe.opcode == IORING_OP_SEND &&
		    !(other->sqe.msg_flags & MSG_WAITALL) && other->vectors_known &&
		    other->sqe.addr == one->sqe.addr && other->sqe.len == one->sqe.len)
			warn(event, "send what the receive's result says, after it",
			     "a receive is linked to a send of the full length, %u bytes: a shorter "
			     "receive sends rubbish",
			     one->sqe.len);
	} else if (((fills(&one->sqe) && empties(&other->sqe)) ||
		    (empties(&one->sqe) && fills(&other->sqe))) &&
		   overlap(one, other)) {
		warn(event, "a buffer is the request's until its completion",
		     "memory that is being sent is received into at the same time");
	}
}

static bool loses_nothing(unsigned opcode)
{
	return opcode == IORING_OP_NOP || opcode == IORING_OP_TIMEOUT ||
	       opcode == IORING_OP_LINK_TIMEOUT || opcode == IORING_OP_TIMEOUT_REMOVE ||
	       opcode == IORING_OP_ASYNC_CANCEL || opcode == IORING_OP_POLL_ADD ||
	       opcode == IORING_OP_POLL_REMOVE;
}

static void check_sqe(const struct event *event)
{
	const struct request *request = event->request, *other;
	struct file *file;
	unsigned i;

	if (!request) {
		if (!loses_nothing(event->sqe->opcode))
			warn(event, "call io_uring_submit()",
			     "an SQE, %s, was prepared, and never submitted",
			     operation_name(event->sqe->opcode));
		return;
	}
	check_fields(event, &request->sqe);
	file = file_of_request(request);
	if (file->has_ended && file->opcode == request->sqe.opcode)
		file->has_ended = false;
	if (request->sqe.opcode == IORING_OP_CLOSE)
		file->has_ended = false;
	if (request->silent)
		return;
	other = request->older;
	if (request != event->ring->newest)
		other = event->ring->newest;
	for (i = 0; i < FAR && other; i++, other = other->older)
		if (other->taken)
			compare(event, request, other);
}

/* CQEs */

static void check_descriptor(const struct event *event, const struct request *request)
{
	int result = event->cqe->res;

	if ((result == -EBADF || result == -ENOTSOCK) && request->target->kind == TARGET_FD &&
	    file_of(event->ring, TARGET_SLOT, request->target->number)->is_slot_in_use)
		warn(event, "set IOSQE_FIXED_FILE in its flags",
		     "%d is the number of a slot, and was used as a descriptor",
		     request->target->number);
}

static void note_new_file(const struct event *event, const struct request *request)
{
	const struct io_uring_sqe *sqe = &request->sqe;
	bool any = sqe->file_index == ANY_SLOT;
	struct file *file;

	if (event->cqe->res < 0 || !gives_descriptor(sqe->opcode))
		return;
	file = file_of(event->ring, sqe->file_index ? TARGET_SLOT : TARGET_FD,
		       sqe->file_index && !any ? (int)sqe->file_index - 1 : event->cqe->res);
	file_forget(file);
	file->is_stream = sqe->opcode == IORING_OP_ACCEPT;
	file->is_slot_in_use = sqe->file_index;
}

static void check_buffers(const struct event *event, const struct request *request)
{
	struct group *group;
	struct file *file;

	if (!(request->sqe.flags & IOSQE_BUFFER_SELECT))
		return;
	group = group_of(event->ring, request->sqe.buf_group);
	if (request->sqe.ioprio & TRANSFER_BUNDLE || event->cqe->flags & CQE_BUFFER_MORE)
		group->unclear = true;
	if (event->cqe->flags & IORING_CQE_F_BUFFER)
		group->given[event->cqe->flags >> IORING_CQE_BUFFER_SHIFT]--;
	file = file_of_request(request);
	/* With no buffer given since it found none. */
	if (event->cqe->res != -ENOBUFS || file->gifts_then != group->gifts)
		file->spins = 0;
	file->gifts_then = group->gifts;
	if (event->cqe->res == -ENOBUFS && ++file->spins == SPINS)
		warn(event, "arm it again when a buffer has been given back",
		     "a receive is armed again and again, though its group has no buffer");
}

static void check_end_of_multishot(const struct event *event, const struct request *request)
{
	struct file *file;
	int result = event->cqe->res;
	bool ended = request->sqe.opcode == IORING_OP_ACCEPT ? result >= 0 || result == -ENFILE
							     : result > 0;

	if (!is_multishot(&request->sqe) || !event->is_last || !ended ||
	    request->target->kind == TARGET_NONE)
		return;
	file = file_of_request(request);
	file->has_ended = true;
	file->opcode = request->sqe.opcode;
	file->waits_since = 0;
	file->by_overflow = checked(event->ring)->overflowed > request->submitted;
}

static void check_cqe(const struct event *event)
{
	const struct request *request = event->request;
	int result = event->cqe->res;

	if (!event->sure)
		return;
	if (result < 0 && result >= -LARGEST && !(event->cqe->flags & IORING_CQE_F_NOTIF))
		checked(event->ring)->errors[-result]++;
	check_descriptor(event, request);
	note_new_file(event, request);
	check_buffers(event, request);
	check_end_of_multishot(event, request);
	if (request->sqe.opcode == IORING_OP_CLOSE && result >= 0)
		file_forget(file_of_request(request));
}

static void check_given(const struct event *event)
{
	struct group *group = group_of(event->ring, event->group);
	unsigned i;

	group->gifts += event->count;
	for (i = 0; i < event->count && !group->unclear; i++)
		if (++group->given[event->buffers[i].bid] > 1) {
			group->given[event->buffers[i].bid] = 1;
			warn(event,
			     "give a buffer back once, and only if the CQE has "
			     "IORING_CQE_F_BUFFER",
			     "buffer %u of group %u is put into its ring, where it already is",
			     event->buffers[i].bid, event->group);
		}
}

/* Calls */

static void check_prepared(const struct event *event, struct checked *ring)
{
	uint32_t prepared = event->call->before.sqe_tail - event->call->before.sq_tail;

	if (!prepared || event->submits || !event->enters || ring->several_threads) {
		ring->unsubmitted_waits = 0;
		return;
	}
	ring->unsubmitted_waits++;
	if (event->ring->in_flight == 0 || ring->unsubmitted_waits == 2)
		warn(event, "call io_uring_submit() before",
		     "it waits with %u SQE%s prepared and not submitted", prepared,
		     prepared == 1 ? "" : "s");
}

/* CQEs that were there when the last wait returned, and that the program has not marked. */
static void check_seen(const struct event *event, struct checked *ring)
{
	const struct ring_counters *before = &event->call->before, *after = &event->call->after;
	uint32_t wanted = event->call->arguments[0];

	if ((int32_t)(before->cq_tail - before->cq_head) < 0 && !ring->was_told) {
		ring->was_told = true;
		warn(event, "mark each CQE once: io_uring_cqe_seen() or io_uring_cq_advance()",
		     "more CQEs are marked as seen than there were: %d",
		     (int32_t)(before->cq_head - before->cq_tail));
	}
	if (wanted && !event->enters && ring->waits && before->cq_head == ring->last_head &&
	    before->cq_tail != before->cq_head) {
		if (++ring->looked_again == 2 && !ring->several_threads)
			warn(event, "io_uring_cqe_seen()",
			     "the same CQE is waited for again and again: it was never marked as "
			     "seen");
	} else {
		ring->looked_again = 0;
	}
	if (wanted) {
		ring->waits++;
		ring->last_head = after->cq_head;
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

static void warn_unarmed(const struct event *event, struct file *file)
{
	file->has_ended = false;
	warn(event, "a CQE without IORING_CQE_F_MORE is the last: arm it again",
	     "the multishot %s on %s %d has ended%s, and was not armed again",
	     operation_name(file->opcode), file->kind == TARGET_SLOT ? "slot" : "fd", file->number,
	     file->by_overflow ? " because the CQ was full" : "");
}

/* With nothing in flight at all, a wait is for nothing. */
static void check_armed(const struct event *event, const struct checked *ring)
{
	struct file *file;
	unsigned i;

	for (i = 0; i < 256; i++)
		for (file = ring->files[i]; file; file = file->next) {
			file->waits_since += file->has_ended;
			if (file->has_ended && !event->ring->in_flight)
				warn_unarmed(event, file);
		}
}

static void check_call(const struct event *event)
{
	struct checked *ring;

	if (!event->ring)
		return;
	ring = checked(event->ring);
	if (ring->thread && ring->thread != event->thread)
		ring->several_threads = true;
	ring->thread = event->thread;
	if (event->call->result == -EEXIST && event->submits &&
	    event->ring->opened.flags & IORING_SETUP_SINGLE_ISSUER)
		warn(event, "a ring for each thread, or IORING_OP_MSG_RING",
		     "a second thread submits to a ring of IORING_SETUP_SINGLE_ISSUER");
	if (event->ring->in_flight)
		check_looks(event, event->call->before.looks);
	if (event->waits || event->submits)
		check_seen(event, ring);
	if (event->waits)
		check_prepared(event, ring);
	if (event->enters && event->waits && event->call->arguments[0])
		check_armed(event, ring);
}

/* What is left */

static void check_left(const struct event *event)
{
	checked(event->ring)->left += event->request->taken;
	if (!event->request->taken)
		warn(event, "IORING_SETUP_SUBMIT_ALL, or submit again",
		     "an SQE, %s, was never taken by the kernel, which stops at an SQE that it refuses",
		     operation_name(event->request->sqe.opcode));
}

static void check_files(const struct event *event, struct checked *ring)
{
	struct file *file;
	unsigned i;

	for (i = 0; i < 256; i++)
		for (file = ring->files[i]; file; file = file->next)
			if (file->has_ended && file->waits_since >= 2)
				warn_unarmed(event, file);
}

static void forget(struct ring *ring)
{
	struct checked *checked = ring->checked;
	struct file *file;
	struct group *group;
	unsigned i;

	for (i = 0; checked && i < 256; i++)
		while ((file = checked->files[i])) {
			checked->files[i] = file->next;
			free(file);
		}
	while (checked && (group = checked->groups)) {
		checked->groups = group->next;
		free(group);
	}
	free(checked);
	ring->checked = NULL;
}

static void check_ring_end(const struct event *event)
{
	struct checked *ring = checked(event->ring);
	const struct ring_counters *end = event->counters;

	check_files(event, ring);
	if (end && ring->left)
		check_looks(event, end->looks);
	if (end && !end->cq_head && end->cq_tail > 1 && !ring->looked_again)
		warn(event, "io_uring_cqe_seen()", "no CQE was ever marked as seen, of %u",
		     end->cq_tail - end->cq_head);
	if (end && (int32_t)(end->cq_tail - end->cq_head) < 0 && !ring->was_told)
		warn(event, "mark each CQE once: io_uring_cqe_seen() or io_uring_cq_advance()",
		     "more CQEs are marked as seen than there were: %d",
		     (int32_t)(end->cq_head - end->cq_tail));
	forget(event->ring);
}

static void check_ring(const struct event *event)
{
	if (event->how == RING_OPENED && event->opened->idle &&
	    !(event->opened->flags & IORING_SETUP_SQPOLL))
		warn(event, "set the flag, or leave the time out",
		     "sq_thread_idle is set without IORING_SETUP_SQPOLL, and does nothing");
}

/* close(2), in a process that may have several rings */
static void check_close(const struct event *event)
{
	struct ring *ring;
	const struct request *request;
	int fd = (int)event->count;

	for (ring = events_rings(); ring; ring = ring->next) {
		struct event at = *event;

		if (!ring->is_open || ring->process != event->process)
			continue;
		at.ring = ring;
		if (event->fails && file_of(ring, TARGET_SLOT, fd)->is_slot_in_use)
			warn(&at, "io_uring_prep_close_direct()",
			     "close(%d) is of a slot's number, which is no descriptor", fd);
		for (request = ring->newest; request && !event->fails; request = request->older) {
			if (request->target->kind != TARGET_FD || request->target->number != fd ||
			    !request->taken || request->sqe.opcode == IORING_OP_CLOSE)
				continue;
			warn(&at, "cancel the request, or shutdown(2), and wait for its completion",
			     "close(%d) while a request on it, %s, is in flight: that keeps the file open",
			     fd, operation_name(request->sqe.opcode));
			break;
		}
		file_forget(file_of(ring, TARGET_FD, fd));
	}
}

static void print_list(void)
{
	struct text line = {.length = 0};
	struct ring *ring;
	unsigned i;

	for (ring = events_rings(); ring; ring = ring->next)
		forget(ring);
	text_add(&line, "ringtrace: mistakes that --check has found: %u", count);
	line_add(&line);
	for (i = 0; i < count && i < MOST_LISTED; i++)
		line_add(&list[i]);
}

void check_event(const struct event *event)
{
	switch (event->kind) {
	case EVENT_RING:
		check_ring(event);
		break;
	case EVENT_SQE:
		check_sqe(event);
		break;
	case EVENT_CQE:
		check_cqe(event);
		break;
	case EVENT_CALL:
		check_call(event);
		break;
	case EVENT_BUFFERS:
		check_given(event);
		break;
	case EVENT_CLOSE:
		check_close(event);
		break;
	case EVENT_LEFT:
		check_left(event);
		break;
	case EVENT_RING_END:
		check_ring_end(event);
		break;
	case EVENT_OVERFLOW:
		checked(event->ring)->overflowed = event->time;
		if (event->count)
			warn(event, "make the CQ larger", "%u CQEs are lost: the CQ was full",
			     event->count);
		break;
	case EVENT_END:
		print_list();
		break;
	default:
		break;
	}
}
