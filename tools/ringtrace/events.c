/*
 * ringtrace: from records to events. Knows the rings and the requests in flight, and finds out
 * which of them a CQE answers: one of those with its user_data. Where several have the same, and
 * the CQE could be that of more than one, it stays unsure which one has ended, and for the rest of
 * them, too, until all have ended.
 */
#include "tools/ringtrace/events.h"
#include "tools/ringtrace/names.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define MOST_CONSUMERS 8
#define MOST_SILENT    65536
#define MOST_RINGS     100000 /* a damaged log shall not take all memory */
#define BUFFERS	       65536  /* numbers of buffers are 16 bits, and a buffer ring has fewer */

/* Requests with the same user_data that no CQE could tell apart: of one kind. */
struct family {
	struct entry entry;
	unsigned count;
	struct request *oldest, *newest;
	bool unsure; /* which of its requests have ended is not known */
};

/* What is above the opcode in a family's key. */
enum kind {
	KIND_REPEATS = 1 << 8,	/* multishot or zero copy: a CQE with MORE can be its */
	KIND_SELECTS = 1 << 9,	/* a CQE with a buffer can be its */
	KIND_SILENT = 1 << 10,	/* a CQE without an error cannot be its */
	KIND_NOTIFIES = 1 << 11 /* only a CQE with NOTIF can be its */
};

/* Those with the same user_data. */
struct group {
	struct entry entry;
	void *families;
	unsigned count; /* of its requests */
	bool unsure;	/* of which family the ended ones were */
	int opcode;	/* the same for all that were there since then, or -1 */
};

static void (*consumers[MOST_CONSUMERS])(const struct event *event);
static struct ring *rings;
static void **ring_table;
static uint64_t first_time, last_time, serial;
static pid_t first_thread;

struct ring *events_rings(void)
{
	return rings;
}

void events_add_consumer(void (*consumer)(const struct event *event))
{
	unsigned i = 0;

	while (consumers[i])
		i++;
	consumers[i] = consumer;
}

void events_emit(const struct event *event)
{
	for (unsigned i = 0; consumers[i]; i++)
		consumers[i](event);
}

/* What an SQE points to */

const void *event_pointed(const struct event *event, uint64_t address, size_t least, size_t *length)
{
	const char *at = event->pointed;
	const char *end = at + event->pointed_length;
	const struct memory *memory;

	while (end - at >= (ptrdiff_t)sizeof(*memory)) {
		memory = (const struct memory *)at;
		at += sizeof(*memory);
		if (memory->length > (size_t)(end - at))
			return NULL;
		if (memory->address == address && memory->length >= least) {
			*length = memory->length;
			return at;
		}
		at += (memory->length + 7UL) & ~7UL;
	}
	return NULL;
}

/* Says in the event which memory the request reads or writes; in `buffer` if it is one. */
static void find_vectors(struct event *event, struct iovec *buffer)
{
	const struct io_uring_sqe *sqe = event->sqe;
	unsigned fields = fields_of(sqe->opcode);
	uint64_t address = sqe->addr;
	const struct msghdr *message = NULL;
	size_t length = 0;

	if (points_to_vectors(sqe)) {
		event->vector_count = sqe->len;
		if (fields & MESSAGE)
			message = event_pointed(event, sqe->addr, sizeof(*message), &length);
		if (message) {
			event->vector_count = message->msg_iovlen;
			address = (uintptr_t)message->msg_iov;
		}
		event->vectors = event_pointed(event, address, sizeof(struct iovec), &length);
		event->vectors_known = event->vectors ? length / sizeof(struct iovec) : 0;
	} else if (fields & LENGTH && fields & ADDRESS && !(sqe->flags & IOSQE_BUFFER_SELECT)) {
		*buffer = (struct iovec){(void *)(uintptr_t)sqe->addr, sqe->len};
		event->vectors = buffer;
		event->vector_count = event->vectors_known = 1;
	}
}

/* Targets and lanes */

struct target target_of(const struct io_uring_sqe *sqe)
{
	bool closes = sqe->opcode == IORING_OP_CLOSE;

	if (closes && sqe->file_index)
		return (struct target){.kind = TARGET_SLOT, .number = (int)sqe->file_index - 1};
	if (!closes && !(fields_of(sqe->opcode) & FD))
		return (struct target){.kind = TARGET_NONE};
	return (struct target){
		.kind = sqe->flags & IOSQE_FIXED_FILE ? TARGET_SLOT : TARGET_FD,
		.number = sqe->fd,
	};
}

struct target target_opened(const struct io_uring_sqe *sqe, int result)
{
	if (result < 0 || !gives_descriptor(sqe->opcode))
		return (struct target){.kind = TARGET_NONE};
	return (struct target){
		.kind = sqe->file_index ? TARGET_SLOT : TARGET_FD,
		.number = sqe->file_index && sqe->file_index != ANY_SLOT ? (int)sqe->file_index - 1
									 : result,
	};
}

static void lane_take(struct request *request)
{
	const struct target wanted = target_of(&request->sqe);
	uint64_t key = target_key(wanted.kind, wanted.number);
	struct target *target =
		list_get(list_of(&request->ring->targets, key), key, sizeof(*target));

	target->kind = wanted.kind;
	target->number = wanted.number;
	request->target = target;
	request->lane = ~target->busy ? (unsigned)__builtin_ctzll(~target->busy) : 63;
	request->lane_is_new = !(target->used >> request->lane & 1);
	target->used |= 1ULL << request->lane;
	/* When one that is silent on success leaves is not known. */
	if (!request->silent)
		target->busy |= 1ULL << request->lane;
}

/* The requests in flight */

/* Multishot, zero copy, or unknown: it can have several CQEs. */
static bool repeats(const struct io_uring_sqe *sqe)
{
	switch (sqe->opcode) {
	case IORING_OP_SEND: return sqe->ioprio & TRANSFER_BUNDLE;
	case IORING_OP_URING_CMD:
	case IORING_OP_SEND_ZC:
	case IORING_OP_SENDMSG_ZC: return true;
	default: return sqe_is_multishot(sqe) || !operation(sqe->opcode);
	}
}

static uint32_t kind_of(const struct request *request)
{
	const struct io_uring_sqe *sqe = &request->sqe;

	return sqe->opcode | (repeats(sqe) ? KIND_REPEATS : 0) |
	       (sqe->flags & IOSQE_BUFFER_SELECT ? KIND_SELECTS : 0) |
	       (request->silent ? KIND_SILENT : 0) | (request->notified ? KIND_NOTIFIES : 0);
}

static bool could_answer(uint64_t kind, const struct io_uring_cqe *cqe)
{
	return (cqe->res < 0 || !(kind & KIND_SILENT)) &&
	       !(cqe->flags & IORING_CQE_F_NOTIF) == !(kind & KIND_NOTIFIES) &&
	       (kind & KIND_REPEATS || !(cqe->flags & IORING_CQE_F_MORE)) &&
	       (kind & KIND_SELECTS || !(cqe->flags & IORING_CQE_F_BUFFER));
}

static void flight_begins(struct request *request)
{
	struct ring *ring = request->ring;

	request->older = ring->newest;
	request->newer = NULL;
	*(ring->newest ? &ring->newest->newer : &ring->oldest) = request;
	ring->newest = request;
	ring->in_flight++;
}

static void flight_ends(struct request *request)
{
	struct ring *ring = request->ring;

	*(request->older ? &request->older->newer : &ring->oldest) = request->newer;
	*(request->newer ? &request->newer->older : &ring->newest) = request->older;
	ring->in_flight--;
	request->target->busy &= ~(1ULL << request->lane);
}

static void request_free(struct request *request)
{
	if (request->silent)
		request->ring->silent--;
	else
		flight_ends(request);
	free(request);
}

static struct family *family_of(struct group *group, const struct request *request)
{
	return list_get(&group->families, kind_of(request), sizeof(struct family));
}

/* Takes a family's oldest request, which does not go on to another. */
static struct request *family_take(struct group *group, struct family *family)
{
	struct request *request = family->oldest;

	family->oldest = request->next;
	if (!family->oldest)
		family->newest = NULL;
	if (!--family->count)
		family->unsure = false;
	group->count--;
	return request;
}

static void family_add(struct group *group, struct request *request)
{
	struct family *family = family_of(group, request);

	if (group->unsure && group->opcode != request->sqe.opcode)
		group->opcode = -1;
	/* One that has no CQE on success ends unheard of: the latest stands for all like it. */
	if (request->silent && family->oldest) {
		request_free(family_take(group, family));
		family->unsure = true;
	}
	request->next = NULL;
	*(family->newest ? &family->newest->next : &family->oldest) = request;
	family->newest = request;
	family->count++;
	group->count++;
}

static void **groups_of(struct ring *ring, uint64_t user_data)
{
	return list_of(&ring->groups, user_data);
}

static void request_add(struct request *request)
{
	uint64_t user_data = request->sqe.user_data;

	if (request->silent)
		request->ring->silent++;
	else
		flight_begins(request);
	family_add(list_get(groups_of(request->ring, user_data), user_data, sizeof(struct group)),
		   request);
}

bool events_in_flight(const struct request *request)
{
	uint64_t user_data = request->sqe.user_data;
	struct group *group = list_find(*groups_of(request->ring, user_data), user_data);
	struct family *family = group ? list_find(group->families, kind_of(request)) : NULL;

	return family && !group->unsure && !family->unsure;
}

static void families_free(struct group *group)
{
	for (struct family *family = group->families; family; family = family->entry.next)
		if (family->entry.key & KIND_SILENT)
			free(family->oldest);
	list_free(&group->families);
}

static void groups_free(struct ring *ring)
{
	for (unsigned i = 0; ring->groups && i < LISTS; i++)
		for (struct group *group = ring->groups[i]; group; group = group->entry.next)
			families_free(group);
	table_free(&ring->groups);
}

/* CQEs */

#define MESSAGES 1024

/* The latest messages of msg_ring: their CQEs are in other rings than their SQEs. */
static struct message {
	const struct ring *from;
	uint64_t user_data;
	pid_t process;
	int fd;
} messages[MESSAGES];
static unsigned message_count;

static void message_note(const struct request *request)
{
	const struct io_uring_sqe *sqe = &request->sqe;

	if (sqe->opcode == IORING_OP_MSG_RING && !(sqe->flags & IOSQE_FIXED_FILE))
		messages[message_count++ % MESSAGES] =
			(struct message){request->ring, sqe->off, request->ring->process, sqe->fd};
}

/* Of several that are alike the first has arrived. */
static const struct ring *message_sender(const struct ring *ring, uint64_t user_data)
{
	for (unsigned i = 0; i < MESSAGES; i++) {
		struct message *message = &messages[(message_count + i) % MESSAGES];
		const struct ring *from = message->from;

		if (from && message->user_data == user_data && message->process == ring->process &&
		    message->fd == ring->opened.fd) {
			message->from = NULL;
			return from;
		}
	}
	return NULL;
}

struct found {
	struct group *group;
	struct family *family; /* of the oldest candidate */
	unsigned count;
	bool sure, one_class;
	int opcode;
};

/* How many of a family the kernel has taken: they were added in the order in which it does. */
static unsigned taken_of(const struct family *family)
{
	unsigned count = 0;

	if (family->newest && family->newest->taken)
		return family->count;
	for (const struct request *request = family->oldest; request && request->taken;
	     request = request->next)
		count++;
	return count;
}

static void found_add(struct found *found, struct family *family)
{
	int opcode = (int)(family->entry.key & 0xff);
	unsigned count = taken_of(family);

	if (!count)
		return;
	found->one_class = !found->count;
	found->opcode = found->one_class || found->opcode == opcode ? opcode : -1;
	if (found->one_class || family->oldest->serial < found->family->oldest->serial)
		found->family = family;
	found->count += count;
}

/* The candidates; those that should not have such a CQE only where there are no others. */
static struct found find(struct ring *ring, const struct io_uring_cqe *cqe)
{
	struct group *group = list_find(*groups_of(ring, cqe->user_data), cqe->user_data);
	struct found found = {.group = group, .opcode = -1};
	struct family *family;

	if (!group)
		return found;
	for (family = group->families; family && !group->unsure; family = family->entry.next)
		if (could_answer(family->entry.key, cqe))
			found_add(&found, family);
	if (!found.count)
		for (family = group->families; family; family = family->entry.next)
			found_add(&found, family);
	if (group->unsure)
		found.opcode = group->opcode;
	found.sure = found.count == 1 && !group->unsure && !found.family->unsure;
	return found;
}

/* What is not known any more about the requests that are left. */
static void become_unsure(struct found *found)
{
	if (found->count == 1 && found->family->unsure)
		return;
	found->family->unsure = true;
	if (found->one_class || found->group->unsure)
		return;
	found->group->unsure = true;
	found->group->opcode = found->opcode;
}

/* Buffers of buffer rings */

/*
 * A group's buffers in the order in which they were given, which is the one in which the kernel
 * takes them. A place is counted from the beginning, as the ring's tail is.
 */
struct pool {
	struct entry entry;
	bool in_pieces; /* what is left of a buffer is not followed */
	uint32_t tail;
	uint32_t known_from; /* what is at the places before it may have been taken, or not */
	struct io_uring_buf order[BUFFERS];
	struct {
		uint32_t place; /* the latest */
		bool is_given;
	} buffers[BUFFERS];
};

static struct pool *pool_of(struct ring *ring, unsigned group)
{
	return list_get(&ring->pools, group, sizeof(struct pool));
}

/* Until the next call: see pools_find(). */
static void pools_lose(struct ring *ring)
{
	for (struct pool *pool = ring->pools; pool; pool = pool->entry.next)
		pool->known_from = UINT32_MAX;
}

/*
 * A CQE is recorded before the buffers that were given since the call before it, though it may have
 * taken some of those. What is given after the next call has not been taken by then.
 */
static void pools_find(struct ring *ring)
{
	for (struct pool *pool = ring->pools; pool; pool = pool->entry.next)
		if (pool->known_from == UINT32_MAX)
			pool->known_from = pool->tail;
}

static void read_buffers(struct event *event, const struct record *record)
{
	const struct entries *entries = (const struct entries *)(record + 1);
	const struct io_uring_buf *given = (const struct io_uring_buf *)(entries + 1);
	struct pool *pool = pool_of(event->ring, record->number);

	for (unsigned i = 0; i < entries->count; i++) {
		pool->buffers[given[i].bid].place = pool->tail;
		pool->buffers[given[i].bid].is_given = true;
		pool->order[pool->tail++ % BUFFERS] = given[i];
	}
	event->group = record->number;
	event->count = entries->count;
	event->buffers = given;
	events_emit(event);
}

/* After a call that has succeeded. */
static void note_buffer_ring(const struct event *event)
{
	struct pool *pool;

	switch (event->call_id) {
	case CALL_register_buf_ring:
	case CALL_setup_buf_ring:
		pool = pool_of(event->ring, event->call->arguments[0]);
		pool->in_pieces = event->call->arguments[2] & BUFFER_RING_INC;
		pool->known_from = pool->tail;
		break;
	case CALL_register: pools_lose(event->ring); break;
	default:
		if (event->submits || event->waits)
			pools_find(event->ring);
	}
}

/*
 * Says in the event which buffers were picked: one, or, by a bundle, as many as its bytes fill. A
 * bundle that is sent may have taken more, if it was cut short.
 */
static void find_picked(struct event *event)
{
	static struct io_uring_buf picked[BUFFERS];
	const struct io_uring_sqe *sqe = &event->request->sqe;
	struct pool *pool = list_find(event->ring->pools, sqe->buf_group);
	unsigned first = event->cqe->flags >> IORING_CQE_BUFFER_SHIFT;
	uint32_t place = pool ? pool->buffers[first].place : 0;
	bool is_one = !is_bundle(sqe);
	int64_t left = is_one ? 1 : event->cqe->res;

	event->buffers = picked;
	if (pool && pool->buffers[first].is_given && !pool->in_pieces &&
	    place >= pool->known_from && pool->tail - place <= BUFFERS) {
		for (; left > 0 && place != pool->tail; place++, event->count++) {
			picked[event->count] = pool->order[place % BUFFERS];
			pool->buffers[picked[event->count].bid].is_given = false;
			left -= is_one ? 1 : picked[event->count].len;
		}
	}
	if (event->count && left <= 0)
		return;
	if (pool)
		pool->known_from = UINT32_MAX;
	picked[0] = (struct io_uring_buf){.bid = (uint16_t)first};
	event->count = is_one;
}

/* A zero copy send has had its result; its second CQE, the NOTIF, is to come. */
static bool awaits_notification(const struct request *request, const struct io_uring_cqe *cqe)
{
	return cqe->flags & IORING_CQE_F_MORE && !request->notified &&
	       (request->sqe.opcode == IORING_OP_SEND_ZC ||
		request->sqe.opcode == IORING_OP_SENDMSG_ZC);
}

/* After its last CQE, or the one before its NOTIF. */
static void request_moves(struct found *found, struct request *request, bool is_last)
{
	struct group *group = found->group;
	struct ring *ring = request->ring;

	if (!found->sure)
		become_unsure(found);
	family_take(group, found->family);
	if (!is_last) {
		request->notified = true;
		family_add(group, request);
		family_of(group, request)->unsure |= !found->sure;
		return;
	}
	request_free(request);
	if (!group->count) {
		families_free(group);
		list_remove(groups_of(ring, group->entry.key), group);
	}
}

static void cqe_event(struct event event, const struct io_uring_cqe *cqe, unsigned index)
{
	struct found found = find(event.ring, cqe);
	struct request *request = found.family ? found.family->oldest : NULL;

	event.cqe = cqe;
	event.index = index;
	event.request = request;
	event.candidates = found.count;
	event.sure = found.sure;
	event.opcode = found.opcode;
	event.is_last = !(cqe->flags & IORING_CQE_F_MORE);
	event.sender = found.count ? NULL : message_sender(event.ring, cqe->user_data);
	if (cqe->flags & IORING_CQE_F_BUFFER && event.sure)
		find_picked(&event);
	else if (cqe->flags & IORING_CQE_F_BUFFER)
		pools_lose(event.ring);
	if (request)
		request->answers++;
	events_emit(&event);
	if (request && (event.is_last || awaits_notification(request, cqe)))
		request_moves(&found, request, event.is_last);
}

static void read_cqes(struct event *event, const struct record *record)
{
	const struct entries *entries = (const struct entries *)(record + 1);
	const char *entry = (const char *)(entries + 1);
	struct ring *ring = event->ring;
	bool is_mixed = ring->opened.flags & SETUP_CQE_MIXED;
	struct io_uring_cqe cqe;

	event->cq_head = record->number - record->flags;
	for (unsigned i = 0; i < entries->count; i++, entry += entries->entry_size) {
		memcpy(&cqe, entry, sizeof(cqe));
		if (ring->skip_cqe) {
			ring->skip_cqe = false;
			continue;
		}
		if (is_mixed && cqe.flags & CQE_SKIP)
			continue;
		/* The next entry is the second half of this one. */
		ring->skip_cqe = is_mixed && cqe.flags & CQE_BIG;
		cqe_event(*event, &cqe, record->number + i);
	}
}

/* SQEs */

#define FUNCTIONS 65536U /* more than a ring has SQEs */

/* The same text in memory that stays. */
static const char *name_kept(const char *name)
{
	static struct name {
		struct name *next;
		char text[];
	} * names;
	struct name *known = names;
	size_t size = strlen(name) + 1;

	while (known && strcmp(known->text, name) != 0)
		known = known->next;
	if (!known) {
		known = allocate(sizeof(*known) + size);
		known->next = names;
		names = known;
		memcpy(known->text, name, size);
	}
	return known->text;
}

static void read_function(struct event *event, const struct record *record)
{
	const char *name = name_kept((const char *)(record + 1));
	struct ring *ring = event->ring;

	if (!ring->functions)
		ring->functions = allocate(FUNCTIONS * sizeof(char *));
	for (unsigned i = 0; i < record->flags; i++)
		ring->functions[(record->number + i) % FUNCTIONS] = name;
}

/* Each name is of one use of a place. */
static const char *function_of(struct ring *ring, unsigned index)
{
	const char *function = ring->functions ? ring->functions[index % FUNCTIONS] : NULL;

	if (function)
		ring->functions[index % FUNCTIONS] = NULL;
	return function;
}

static void sqe_event(struct event *event, unsigned index, uint16_t flags)
{
	const struct io_uring_sqe *sqe = event->sqe;
	size_t vectors_size = event->vectors_known * sizeof(struct iovec);
	struct request *request = allocate(sizeof(*request) + vectors_size);
	struct ring *ring = event->ring;

	serial++;
	*request = (struct request){
		.sqe = *sqe,
		.ring = ring,
		.serial = serial,
		.submitted = event->time,
		.index = index,
		.chain = ring->previous_links ? ring->previous_chain : index,
		.thread = event->thread,
		.function = function_of(ring, index),
		.taken = true,
		.silent = sqe->flags & IOSQE_CQE_SKIP_SUCCESS,
		.flags = flags,
		.vector_count = event->vector_count,
		.vectors_known = event->vectors_known,
	};
	if (vectors_size)
		memcpy(request->vectors, event->vectors, vectors_size);
	ring->previous_links = sqe->flags & (IOSQE_IO_LINK | IOSQE_IO_HARDLINK);
	ring->previous_chain = request->chain;
	lane_take(request);
	message_note(request);
	event->request = request;
	events_emit(event);
	if (request->silent && ring->silent == MOST_SILENT)
		free(request);
	else
		request_add(request);
}

static void read_sqes(struct event *at, const struct record *record)
{
	const struct entries *entries = (const struct entries *)(record + 1);
	const char *first = (const char *)(entries + 1);
	const char *pointed = first + (size_t)entries->count * entries->entry_size;
	struct io_uring_sqe sqe;
	struct iovec buffer;

	for (unsigned i = 0; i < entries->count; i++) {
		struct event event = *at;
		bool is_last = i + 1 == entries->count;

		memcpy(&sqe, first + (size_t)i * entries->entry_size, sizeof(sqe));
		event.sqe = &sqe;
		event.pointed = pointed;
		event.pointed_length =
			is_last ? record->size - (size_t)(pointed - (const char *)record) : 0;
		find_vectors(&event, &buffer);
		if (record->flags & SQES_NEVER)
			events_emit(&event);
		else
			sqe_event(&event, record->number + i, is_last ? record->flags : 0);
		/* The same here. */
		if (at->ring->opened.flags & SETUP_SQE_MIXED &&
		    (sqe.opcode == OP_NOP128 || sqe.opcode == OP_URING_CMD128))
			i++;
	}
}

/* What the kernel has left in the SQ; it takes that with a later call, if there is one. */
static void mark_taken(struct ring *ring, uint32_t sq_head)
{
	struct request *request;

	if (ring->opened.flags & IORING_SETUP_SQPOLL)
		return;
	for (request = ring->newest; request; request = request->older) {
		if ((int)(request->index - sq_head) < 0 && request->taken)
			break;
		request->taken = (int)(request->index - sq_head) < 0;
	}
}

/* Calls */

/*
 * Whether liburing has made a system call. It is not seen doing so, but decides by what stands in
 * the ring's memory. The one thing that can have changed between the recorder's look and liburing's
 * own is that an SQPOLL thread has fallen asleep.
 */
static void infer_system_call(struct event *event)
{
	const struct ring_counters *before = &event->call->before;
	uint32_t flags = event->ring ? event->ring->opened.flags : 0;
	bool sqpoll = flags & IORING_SETUP_SQPOLL;
	bool flush = flags & IORING_SETUP_IOPOLL ||
		     before->sq_flags & (IORING_SQ_CQ_OVERFLOW | IORING_SQ_TASKRUN);
	uint32_t there = ahead(before->cq_tail, before->cq_head);
	uint32_t wanted = event->call->arguments[0];

	/* What an SQPOLL thread has not fetched yet, it knows of already. */
	if (event->submits)
		event->handed_over =
			ahead(before->sqe_tail, sqpoll ? before->sq_tail : before->sq_head);
	event->wakes = event->handed_over && sqpoll && before->sq_flags & IORING_SQ_NEED_WAKEUP;
	event->enters = event->wakes || (event->handed_over && !sqpoll);
	switch (event->call_id) {
	case CALL_submit:
	case CALL_submit_and_wait: event->enters |= wanted || flush; break;
	case CALL_get_events:
	case CALL_submit_and_get_events:
	case CALL_sqring_wait:
	case CALL_enter:
	case CALL_enter2: event->enters = true; break;
	case CALL_peek_batch_cqe: event->enters |= !there && flush; break;
	default:
		if (event->submits || event->waits)
			event->enters |= wanted > there || (!wanted && !there && flush);
	}
}

static void look_for_overflow(const struct event *at, const struct ring_counters *counters)
{
	struct event event = *at;
	struct ring *ring = at->ring;
	bool overflowing = counters->sq_flags & IORING_SQ_CQ_OVERFLOW;

	event.kind = EVENT_OVERFLOW;
	if (overflowing && !ring->overflowing)
		events_emit(&event);
	ring->overflowing = overflowing;
	event.count = ahead(counters->cq_overflow, ring->overflow);
	ring->overflow = counters->cq_overflow;
	if (event.count)
		events_emit(&event);
}

static void find_call(struct event *event, const struct record *record)
{
	event->call_id = record->number;
	event->call = (const struct call_record *)(record + 1);
	event->began = event->call->began - first_time;
	event->submits = record->flags == CALL_SUBMITS;
	event->waits = record->flags == CALL_WAITS || record->flags == CALL_LOOKS;
	infer_system_call(event);
}

static void read_inside(struct event *event, const struct record *record)
{
	find_call(event, record);
	event->prepared = ((const struct inside_record *)event->call)->prepared;
	if (event->ring && event->ring->is_open)
		events_emit(event);
}

static void read_call(struct event *event, const struct record *record)
{
	find_call(event, record);
	if (event->ring)
		look_for_overflow(event, &event->call->before);
	if (event->ring && event->submits) {
		mark_taken(event->ring, event->call->after.sq_head);
		/* A chain ends with the call that hands it over. */
		if (!(event->ring->opened.flags & IORING_SETUP_SQPOLL))
			event->ring->previous_links = false;
	}
	events_emit(event);
	if (!event->ring)
		return;
	look_for_overflow(event, &event->call->after);
	if (event->call->result >= 0 || event->submits || event->waits)
		note_buffer_ring(event);
}

/* Rings */

static struct ring *ring_new(const struct record *record)
{
	struct ring *ring =
		list_get(list_of(&ring_table, record->ring), record->ring, sizeof(*ring));

	ring->number = record->ring;
	ring->process = (pid_t)record->process;
	ring->next = rings;
	rings = ring;
	return ring;
}

static void read_ring(struct event *event, const struct record *record)
{
	event->how = record->number;
	event->opened = (const struct ring_record *)(record + 1);
	if (record->ring && !event->ring)
		event->ring = ring_new(record);
	if (event->ring) {
		event->ring->opened = *event->opened;
		event->ring->is_open = true;
	}
	events_emit(event);
}

static void ring_forget(struct ring *ring)
{
	struct request *request;

	while ((request = ring->oldest)) {
		ring->oldest = request->newer;
		free(request);
	}
	ring->newest = NULL;
	ring->in_flight = 0;
	groups_free(ring);
	table_free(&ring->targets);
	list_free(&ring->pools);
	free(ring->functions);
	ring->functions = NULL;
}

/* `counters` is NULL where the end of the ring was not seen. */
static void ring_ends(struct event *event, struct ring *ring, const struct ring_counters *counters)
{
	if (!ring->is_open)
		return;
	ring->is_open = false;
	event->ring = ring;
	if (counters)
		mark_taken(ring, counters->sq_head);
	event->kind = EVENT_LEFT;
	for (event->request = ring->oldest; event->request; event->request = event->request->newer)
		events_emit(event);
	event->kind = EVENT_RING_END;
	event->counters = counters;
	events_emit(event);
	ring_forget(ring);
}

static void read_ring_end(struct event *event, const struct record *record)
{
	const struct ring_end *end = (const struct ring_end *)(record + 1);

	event->by_exit = record->number != RING_CLOSED;
	event->is_gone = record->number == RING_GONE;
	ring_ends(event, event->ring, event->is_gone ? NULL : &end->counters);
}

/* Processes */

static void *processes; /* struct entry, by the process's id */

/* A process that has left by a signal or execve(2) has not said so. */
static void process_ends(struct event *event, void *process)
{
	if (!process)
		return;
	event->process = (pid_t)((struct entry *)process)->key;
	list_remove(&processes, process);
	event->by_exit = true;
	for (struct ring *ring = rings; ring; ring = ring->next)
		if (ring->process == event->process)
			ring_ends(event, ring, NULL);
	event->ring = NULL;
	event->kind = EVENT_EXIT;
	events_emit(event);
}

static void read_process(struct event *event, const struct record *record)
{
	struct event ending = *event;

	ending.killed = record->kind == RECORD_PROCESS;
	process_ends(&ending, list_find(processes, record->process));
	if (record->kind != RECORD_PROCESS)
		return;
	list_get(&processes, record->process, sizeof(struct entry));
	events_emit(event);
}

/* Of a record whose number and flags say all. */
static void read_number(struct event *event, const struct record *record)
{
	event->count = record->number;
	event->of_cqes = event->is_slot = record->flags;
	event->fails = record->flags & CLOSE_FAILS;
	event->opcode = record->flags & CLOSE_PREPARED ? record->flags >> CLOSE_OPCODE : -1;
	if (event->kind == EVENT_MISSED && event->of_cqes)
		pools_lose(event->ring);
	events_emit(event);
}

enum about {
	A_RING = 1, /* that is open */
	A_CALL = 2, /* which its number says */
	ENTRIES = 4,
};

static const struct reader {
	void (*read)(struct event *event, const struct record *record);
	enum event_kind kind;
	unsigned about;
	size_t least; /* size of what follows the record, or of each entry */
} readers[] = {
	[RECORD_PROCESS] = {read_process, EVENT_PROCESS},
	[RECORD_EXIT] = {read_process, EVENT_EXIT},
	[RECORD_RING] = {read_ring, EVENT_RING, 0, sizeof(struct ring_record)},
	[RECORD_RING_END] = {read_ring_end, EVENT_RING_END, A_RING, sizeof(struct ring_end)},
	[RECORD_SQES] = {read_sqes, EVENT_SQE, A_RING | ENTRIES, sizeof(struct io_uring_sqe)},
	[RECORD_CQES] = {read_cqes, EVENT_CQE, A_RING | ENTRIES, sizeof(struct io_uring_cqe)},
	[RECORD_MISSED] = {read_number, EVENT_MISSED, A_RING},
	[RECORD_CALL] = {read_call, EVENT_CALL, A_CALL, sizeof(struct call_record)},
	[RECORD_BUFFERS] = {read_buffers, EVENT_BUFFERS, A_RING | ENTRIES,
			    sizeof(struct io_uring_buf)},
	[RECORD_CLOSE] = {read_number, EVENT_CLOSE},
	[RECORD_SHUTDOWN] = {read_number, EVENT_SHUTDOWN},
	[RECORD_STREAM] = {read_number, EVENT_STREAM, A_RING},
	[RECORD_FUNCTION] = {read_function, EVENT_SQE, A_RING, 1},
	[RECORD_INSIDE] = {read_inside, EVENT_INSIDE, A_CALL, sizeof(struct inside_record)},
};

/* Whether what follows the record is what its kind says. */
static bool is_whole(const struct record *record, const struct reader *reader)
{
	size_t length = record->size - sizeof(*record);
	const struct entries *entries = (const struct entries *)(record + 1);

	if (record->size < sizeof(*record) ||
	    (reader->about & A_CALL && record->number >= CALL_COUNT))
		return false;
	if (!(reader->about & ENTRIES))
		return length >= reader->least && (record->kind != RECORD_FUNCTION ||
						   !((const char *)record)[record->size - 1]);
	return length >= sizeof(*entries) && entries->entry_size >= reader->least &&
	       entries->entry_size <= 2 * reader->least && entries->entry_size % 8 == 0 &&
	       entries->count <= (length - sizeof(*entries)) / entries->entry_size;
}

bool events_read(const struct record *record, const char **wrong)
{
	bool is_known = record->kind < sizeof(readers) / sizeof(readers[0]);
	const struct reader *reader = &readers[is_known ? record->kind : 0];
	struct event event = {
		.kind = reader->kind,
		.process = (pid_t)record->process,
		.thread = (pid_t)record->thread,
	};

	if (!reader->read)
		return true;
	if (record->ring > MOST_RINGS || !is_whole(record, reader)) {
		*wrong = "a record is not whole";
		return false;
	}
	if (!first_thread) {
		first_thread = event.thread;
		first_time = record->time;
	}
	event.time = last_time = record->time - first_time;
	event.is_first_thread = event.thread == first_thread;
	event.ring = list_find(*list_of(&ring_table, record->ring), record->ring);
	/* A ring that is closed still has an event or two, if two threads have used it. */
	if (reader->about & A_RING && (!event.ring || !event.ring->is_open)) {
		*wrong = "a record is about a ring that was not opened";
		return event.ring;
	}
	reader->read(&event, record);
	return true;
}

void events_end(void)
{
	struct event event = {.time = last_time, .killed = true, .is_first_thread = true};
	struct ring *ring;

	while (processes)
		process_ends(&event, processes);
	/* Those of processes that a damaged log does not mention. */
	for (ring = rings; ring; ring = ring->next)
		ring_ends(&event, ring, NULL);
	event = (struct event){.kind = EVENT_END, .time = last_time};
	events_emit(&event);
	for (ring = rings; ring; ring = ring->next)
		ring_forget(ring);
	table_free(&ring_table);
}
