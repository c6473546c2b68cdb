/*
 * What has happened in a log, one event after the other: the one interface between reading a log
 * and everything that is made of it. print.c, summary.c, check.c and json.c are consumers, each a
 * function that is given every event and picks the kinds that it is about:
 *
 *	static void on_event(const struct event *event)
 *	{
 *		if (event->kind == EVENT_CQE && event->request)
 *			printf("%s\n", operation_name(event->request->sqe.opcode));
 *	}
 *
 *	events_add_consumer(on_event);		in main.c, before the log is read
 *
 * Events come in the order of the log, EVENT_END last. An event and what it points to are valid
 * during the call; rings until EVENT_END; a request from its EVENT_SQE to its last EVENT_CQE or its
 * ring's EVENT_RING_END, whichever comes (one without a CQE on success: only during its EVENT_SQE).
 * A request's `serial` is its own for ever. decode.h makes text of SQEs, CQEs and calls.
 */
#ifndef TOOLS_RINGTRACE_EVENTS_H
#define TOOLS_RINGTRACE_EVENTS_H

#include <liburing.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "tools/ringtrace/lists.h"
#include "tools/ringtrace/log.h"

enum event_kind {
	EVENT_RING,	/* `how` it became known: opened, found, resized, failed */
	EVENT_SQE,	/* handed over: `request`; or never, where `request` is NULL */
	EVENT_CALL,	/* a call into liburing: from `call->began` to `time` */
	EVENT_INSIDE,	/* the program ends, and the thread is still in this `call`; `prepared` are
			   the first of the SQEs that it has not submitted */
	EVENT_CQE,	/* `request` is what it answers, where `sure`, or else one of several;
			   `count` `buffers` were picked, or, with 0, none, or unknown ones */
	EVENT_MISSED,	/* `count` SQEs or, with `of_cqes`, CQEs were not seen */
	EVENT_OVERFLOW, /* the CQ is full; with a `count`, CQEs are lost */
	EVENT_BUFFERS,	/* `count` `buffers` of `group` are the kernel's now */
	EVENT_CLOSE,	/* close(2) of the descriptor `count`; `fails`: it is not open; `opcode`, or
			   -1: of an SQE with it that is prepared and not submitted */
	EVENT_SHUTDOWN, /* shutdown(2), of writing, of the descriptor `count` */
	EVENT_STREAM,	/* the descriptor `count`, or the slot with `is_slot`, is a stream socket */
	EVENT_LEFT,	/* the ring ends, and `request` has had no (last) CQE */
	EVENT_RING_END, /* with `counters`; `by_exit` if the program left it open; `is_gone`: it was
			   closed unseen */
	EVENT_PROCESS,	/* a process is there */
	EVENT_EXIT,	/* a process has left by exit(3), or, `killed`, otherwise */
	EVENT_WARNING,	/* check.c has found a mistake: `warning` */
	EVENT_END,	/* of the log */
};

/* Whose track a request is on: a descriptor, a slot, or neither. */
struct target {
	struct entry entry;
	enum { TARGET_NONE, TARGET_FD, TARGET_SLOT } kind;
	int number;
	uint64_t busy, used; /* a bit for each lane that a request is in, or was */
};

struct ring {
	struct entry entry;
	unsigned number; /* counted from 1 */
	pid_t process;
	struct ring_record opened; /* flags, entries, descriptor */
	unsigned in_flight;	   /* requests that have no (last) CQE yet, and will have one */
	struct request *oldest, *newest;

	bool is_open, overflowing; /* overflowing: the CQ is full */
	struct ring *next;
	struct checked *checked; /* check.c's own */

	/* events.c's own */
	void **groups, **targets; /* tables */
	void *pools;
	const char **functions; /* that have prepared its SQEs */
	unsigned overflow, previous_chain, silent;
	bool previous_links, skip_cqe;
};

/*
 * A request between its SQE and its last CQE. `vectors` is the memory that it reads or writes: one
 * of a send, a read and their like, several where the SQE points to some, none where the request
 * picks a buffer. The log has the first `vectors_known` of them; where it could not be read how
 * many a message has, `vector_count` is another number, and `vectors_known` 0.
 */
struct request {
	struct io_uring_sqe sqe; /* its first 64 bytes */
	struct ring *ring;
	uint64_t serial;    /* counted from 1 over all rings */
	uint64_t submitted; /* time */
	unsigned index;	    /* the SQE's number in its ring */
	unsigned answers;   /* CQEs so far */
	unsigned chain;	    /* the index of the first SQE that it is linked with */
	pid_t thread;
	const char *function; /* that has prepared it; NULL: not known */
	struct target *target;
	unsigned lane;	  /* the first that no other request on the target was in, 0 to 63 */
	bool lane_is_new; /* it is the first request in that lane of the target */
	bool taken;	  /* the kernel has taken its SQE, as far as is known */
	bool silent;	  /* IOSQE_CQE_SKIP_SUCCESS: only a failure has a CQE */
	bool notified;	  /* zero copy: has completed, its NOTIF is to come */
	unsigned flags;	  /* what is known of its SQE: enum sqes_flags */

	struct request *older, *newer; /* of the ring */
	struct request *next;	       /* of those that may have the same CQE; events.c's own */

	size_t vector_count, vectors_known;
	struct iovec vectors[];
};

struct warning {
	char text[240]; /* the cause */
	const char *fix;
};

struct event {
	enum event_kind kind;
	uint64_t time; /* nanoseconds since the log's first record */
	pid_t process, thread;
	bool is_first_thread;
	struct ring *ring; /* NULL: of none */
	const struct request *request;

	/* EVENT_SQE, also where there is no `request`; event_pointed() has what it points to */
	const struct io_uring_sqe *sqe;
	const char *pointed; /* struct memory and bytes, repeatedly */
	size_t pointed_length;
	const struct iovec *vectors; /* as in struct request */
	size_t vector_count, vectors_known;

	/* EVENT_CQE */
	const struct io_uring_cqe *cqe;
	unsigned index;	     /* its number in its ring */
	unsigned cq_head;    /* the first that the program had not marked as seen then */
	unsigned candidates; /* how many requests it may answer; 0: no SQE has its user_data */
	bool sure;	     /* `request` is the one */
	bool is_last;	     /* no MORE: the request has ended */
	int opcode;	     /* the same for all candidates, or -1 */
	const struct ring *sender; /* without candidates: whose msg_ring it is, if it is one */

	/* EVENT_CALL */
	enum call_id call_id;
	const struct call_record *call;
	const struct prepared *prepared; /* EVENT_INSIDE */
	uint64_t began;
	bool waits, submits; /* by its kind */
	bool enters;	     /* makes a system call, as far as the ring's memory shows it */
	bool wakes;	     /* because the SQPOLL thread sleeps */
	unsigned handed_over;

	enum how how;
	const struct ring_record *opened; /* EVENT_RING, also of a ring that has failed */
	unsigned count;
	bool of_cqes, by_exit, is_gone, killed, fails, is_slot;
	const struct io_uring_buf *buffers;
	unsigned group;
	const struct ring_counters *counters;
	const struct warning *warning;
};

void events_add_consumer(void (*consumer)(const struct event *event));

/* One record of the log, in order; false, with a reason in `wrong`, where it makes no sense. */
bool events_read(const struct record *record, const char **wrong);

/* No more records will come: ends what is open, and gives EVENT_END. */
void events_end(void);

/*
 * The recorder's copy of what an EVENT_SQE points to at an address, and how many bytes of it there
 * are; NULL where there are less than `least`, since it could not read them, or had no reason to.
 */
const void *event_pointed(const struct event *event, uint64_t address, size_t least,
			  size_t *length);

/*
 * Whether a request of a ring's list is in flight for certain: where a CQE could have been that of
 * several, the list may have kept one that has ended.
 */
bool events_in_flight(const struct request *request);

/* The descriptor or slot that an SQE is about, and the one that it has made with this result. */
struct target target_of(const struct io_uring_sqe *sqe);
struct target target_opened(const struct io_uring_sqe *sqe, int result);

/* For tables of what belongs to a descriptor or a slot. */
static inline uint64_t target_key(int kind, int number)
{
	return (uint64_t)(uint32_t)number << 2 | (unsigned)kind;
}

/* All rings so far, linked by `next`. */
struct ring *events_rings(void);

/* Gives an event to all consumers: for check.c's warnings. */
void events_emit(const struct event *event);

#endif
