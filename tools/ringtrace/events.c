/*
 * ringtrace: from records to events. Knows the rings and the requests in flight, and finds out
 * which of them a CQE answers: one of those with its user_data. Where several have the same, and
 * the CQE could be that of more than one, it stays unsure which one has ended, and for the rest of
 * them, too, until all have ended.
 */
#include "tools/ringtrace/events.h"
#include "tools/ringtrace/names.h"

#include <errno.h>
#include <error.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define GROUPS	       4096 /* chains of a ring's hash table */
#define TARGETS	       256
#define MOST_CONSUMERS 8
#define MOST_SILENT    65536
#define MOST_RINGS     100000 /* a damaged log shall not take all memory */
#define BUFFERS	       65536  /* numbers of buffers are 16 bits, and a buffer ring has fewer */

/* Requests with the same user_data that no CQE could tell apart. */
struct family {
	struct family *next;
	uint32_t kind; /* opcode and KIND_ bits */
	unsigned count;
	struct request *oldest, *newest;
	bool unsure; /* which of its requests have ended is not known */
};

enum kind {
	KIND_REPEATS = 1 << 8,	/* multishot or zero copy: a CQE with MORE can be its */
	KIND_SELECTS = 1 << 9,	/* a CQE with a buffer can be its */
	KIND_SILENT = 1 << 10,	/* a CQE without an error cannot be its */
	KIND_NOTIFIES = 1 << 11 /* only a CQE with NOTIF can be its */
};

struct group {
	struct group *next;
	uint64_t user_data;
	struct family *families;
	bool unsure; /* of which family the ended ones were */
	int opcode;  /* the same for all that were there since then, or -1 */
};

static void (*consumers[MOST_CONSUMERS])(const struct event *event);
static struct ring *rings;
static unsigned ring_count;
static uint64_t first_time, last_time, serial;
static pid_t first_thread;

struct ring *events_rings(void)
{
	return rings;
}

static void *allocate(size_t size)
{
	void *memory = calloc(1, size);

	if (!memory)
		error(EXIT_FAILURE, errno, "memory for the trace");
	return memory;
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
	unsigned i;

	for (i = 0; consumers[i]; i++)
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

/* Says in the event which memory the request reads or writes, and keeps it in `buffer` if it is
 * one. */
static void find_vectors(struct event *event, struct iovec *buffer)
{
	const struct io_uring_sqe *sqe = event->sqe;
	const struct operation *known = operation(sqe->opcode);
	unsigned fields = known ? known->fields : 0;
	uint64_t address = sqe->addr;
	const struct msghdr *message;
	size_t length = 0;

	event->vectors = NULL;
	event->vector_count = event->vectors_known = 0;
	if (points_to_vectors(sqe)) {
		event->vector_count = sqe->len;
		message = fields & MESSAGE
				  ? event_pointed(event, sqe->addr, sizeof(*message), &length)
				  : NULL;
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
	const struct operation *known = operation(sqe->opcode);
	bool closes = sqe->opcode == IORING_OP_CLOSE;
	struct target target = {.kind = TARGET_NONE};

	if (closes && sqe->file_index)
		target = (struct target){.kind = TARGET_SLOT, .number = (int)sqe->file_index - 1};
	else if (closes || (known && known->fields & FD))
		target = (struct target){
			.kind = sqe->flags & IOSQE_FIXED_FILE ? TARGET_SLOT : TARGET_FD,
			.number = sqe->fd,
		};
	return target;
}

static void lane_take(struct request *request)
{
	const struct target wanted = target_of(&request->sqe);
	struct target **link;

	if (!request->ring->targets)
		request->ring->targets = allocate(TARGETS * sizeof(struct target));
	link = &request->ring->targets[(unsigned)wanted.number % TARGETS].next;
	while (*link && ((*link)->kind != wanted.kind || (*link)->number != wanted.number))
		link = &(*link)->next;
	if (!*link) {
		*link = allocate(sizeof(struct target));
		**link = wanted;
	}
	request->target = *link;
	request->lane = ~(*link)->busy ? (unsigned)__builtin_ctzll(~(*link)->busy) : 63;
	request->lane_is_new = !((*link)->used >> request->lane & 1);
	(*link)->busy |= 1ULL << request->lane;
	(*link)->used |= (*link)->busy;
}

/* The requests in flight */

static struct group **group_of(struct ring *ring, uint64_t user_data)
{
	struct group **link;

	if (!ring->groups)
		ring->groups = allocate(GROUPS * sizeof(struct group *));
	link = &ring->groups[(user_data * 0x9e3779b97f4a7c15ULL) >> 52];
	while (*link && (*link)->user_data != user_data)
		link = &(*link)->next;
	return link;
}

/* Multishot, zero copy, or unknown: it can have several CQEs. */
static bool repeats(const struct io_uring_sqe *sqe)
{
	switch (sqe->opcode) {
	case IORING_OP_ACCEPT: return sqe->ioprio & IORING_ACCEPT_MULTISHOT;
	case IORING_OP_RECV:
	case IORING_OP_RECVMSG: return sqe->ioprio & IORING_RECV_MULTISHOT;
	case IORING_OP_SEND: return sqe->ioprio & TRANSFER_BUNDLE;
	case IORING_OP_POLL_ADD: return sqe->len & IORING_POLL_ADD_MULTI;
	case IORING_OP_TIMEOUT: return sqe->timeout_flags & TIMEOUT_MULTISHOT;
	case IORING_OP_URING_CMD:
	case IORING_OP_SEND_ZC:
	case IORING_OP_SENDMSG_ZC:
	case OP_READ_MULTISHOT:
	case OP_RECV_ZC: return true;
	default: return !operation(sqe->opcode);
	}
}

static uint32_t kind_of(const struct request *request)
{
	const struct io_uring_sqe *sqe = &request->sqe;

	return sqe->opcode | (repeats(sqe) ? KIND_REPEATS : 0) |
	       (sqe->flags & IOSQE_BUFFER_SELECT ? KIND_SELECTS : 0) |
	       (request->silent ? KIND_SILENT : 0) | (request->notified ? KIND_NOTIFIES : 0);
}

static bool could_answer(uint32_t kind, const struct io_uring_cqe *cqe)
{
	return (cqe->res < 0 || !(kind & KIND_SILENT)) &&
	       !(cqe->flags & IORING_CQE_F_NOTIF) == !(kind & KIND_NOTIFIES) &&
	       (kind & KIND_REPEATS || !(cqe->flags & IORING_CQE_F_MORE)) &&
	       (kind & KIND_SELECTS || !(cqe->flags & IORING_CQE_F_BUFFER));
}

static void list_add(struct request *request)
{
	struct ring *ring = request->ring;

	request->older = ring->newest;
	request->newer = NULL;
	*(ring->newest ? &ring->newest->newer : &ring->oldest) = request;
	ring->newest = request;
	ring->in_flight++;
}

static void list_remove(struct request *request)
{
	struct ring *ring = request->ring;

	*(request->older ? &request->older->newer : &ring->oldest) = request->newer;
	*(request->newer ? &request->newer->older : &ring->newest) = request->older;
	ring->in_flight--;
}

static void lane_leave(struct request *request)
{
	request->target->busy &= ~(1ULL << request->lane);
}

static void request_free(struct request *request)
{
	if (request->silent) {
		request->ring->silent--;
	} else {
		lane_leave(request);
		list_remove(request);
	}
	free(request);
}

static struct family *family_of(struct group *group, uint32_t kind)
{
	struct family **link = &group->families;

	while (*link && (*link)->kind != kind)
		link = &(*link)->next;
	if (!*link) {
		*link = allocate(sizeof(struct family));
		(*link)->kind = kind;
	}
	return *link;
}

static void family_add(struct group *group, struct request *request)
{
	struct family *family = family_of(group, kind_of(request));

	if (group->unsure && group->opcode != request->sqe.opcode)
		group->opcode = -1;
	/* One that has no CQE on success ends unheard of: the latest stands for all like it. */
	if (request->silent && family->oldest) {
		request_free(family->oldest);
		family->oldest = family->newest = NULL;
		family->count--;
		family->unsure = true;
	}
	request->next = NULL;
	*(family->newest ? &family->newest->next : &family->oldest) = request;
	family->newest = request;
	family->count++;
}

static void request_add(struct request *request)
{
	struct group **link = group_of(request->ring, request->sqe.user_data);

	if (!*link) {
		*link = allocate(sizeof(struct group));
		(*link)->user_data = request->sqe.user_data;
	}
	if (request->silent)
		request->ring->silent++;
	else
		list_add(request);
	family_add(*link, request);
}

bool events_in_flight(const struct request *request)
{
	const struct group *group = *group_of(request->ring, request->sqe.user_data);
	const struct family *family;

	if (!group || group->unsure)
		return false;
	for (family = group->families; family; family = family->next)
		if (family->kind == kind_of(request))
			return !family->unsure;
	return false;
}

/* Takes a family's oldest request, which does not go on to another. */
static struct request *family_take(struct family *family)
{
	struct request *request = family->oldest;

	family->oldest = request->next;
	if (!family->oldest)
		family->newest = NULL;
	if (!--family->count)
		family->unsure = false;
	return request;
}

static void group_forget_empty(struct ring *ring, uint64_t user_data)
{
	struct group **link = group_of(ring, user_data);
	struct group *group = *link;
	struct family **place = &group->families, *family;

	while ((family = *place)) {
		if (family->count) {
			place = &family->next;
			continue;
		}
		*place = family->next;
		free(family);
	}
	if (!group->families) {
		*link = group->next;
		free(group);
	}
}

/* CQEs */

/* The latest messages of msg_ring: CQEs in other rings than their SQEs'. */
static struct message {
	const struct ring *from;
	uint64_t user_data;
	pid_t process;
	int fd;
} messages[1024];
static unsigned message_count;

static void message_note(const struct request *request)
{
	if (request->sqe.opcode == IORING_OP_MSG_RING && !(request->sqe.flags & IOSQE_FIXED_FILE))
		messages[message_count++ % 1024] = (struct message){
			.from = request->ring,
			.user_data = request->sqe.off,
			.process = request->ring->process,
			.fd = request->sqe.fd,
		};
}

static const struct ring *message_sender(const struct ring *ring, uint64_t user_data)
{
	unsigned i;

	for (i = 0; i < 1024; i++)
		if (messages[i].from && messages[i].user_data == user_data &&
		    messages[i].process == ring->process && messages[i].fd == ring->opened.fd)
			return messages[i].from;
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
	int opcode = (int)(family->kind & 0xff);
	unsigned count = taken_of(family);

	if (!count)
		return;
	if (!found->count) {
		found->opcode = opcode;
		found->one_class = true;
		found->family = family;
	} else {
		found->one_class = false;
		if (found->opcode != opcode)
			found->opcode = -1;
		if (family->oldest->serial < found->family->oldest->serial)
			found->family = family;
	}
	found->count += count;
}

/* The candidates; those that should not have such a CQE only where there are no others. */
static struct found find(struct ring *ring, const struct io_uring_cqe *cqe)
{
	struct found found = {.group = *group_of(ring, cqe->user_data), .opcode = -1};
	struct family *family;

	if (!found.group)
		return found;
	for (family = found.group->families; family && !found.group->unsure; family = family->next)
		if (could_answer(family->kind, cqe))
			found_add(&found, family);
	if (!found.count)
		for (family = found.group->families; family; family = family->next)
			found_add(&found, family);
	if (found.group->unsure)
		found.opcode = found.group->opcode;
	found.sure = found.count == 1 && !found.group->unsure && !found.family->unsure;
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
	struct pool *next;
	unsigned group;
	bool in_pieces; /* what is left of a buffer is not followed */
	uint32_t tail;
	uint32_t known_from; /* what is at the places before it may have been taken, or not */
	struct io_uring_buf order[BUFFERS];
	struct {
		uint32_t place; /* the latest */
		bool is_given;
	} buffers[BUFFERS];
};

/* NULL where no buffer ring of the group is known. */
static struct pool *pool_known(const struct ring *ring, unsigned group)
{
	struct pool *pool = ring->pools;

	while (pool && pool->group != group)
		pool = pool->next;
	return pool;
}

static struct pool *pool_of(struct ring *ring, unsigned group)
{
	struct pool *pool = pool_known(ring, group);

	if (!pool) {
		pool = allocate(sizeof(*pool));
		pool->group = group;
		pool->next = ring->pools;
		ring->pools = pool;
	}
	return pool;
}

static void pools_free(struct ring *ring)
{
	struct pool *pool;

	while ((pool = ring->pools)) {
		ring->pools = pool->next;
		free(pool);
	}
}

/* Until the next call: see pools_find(). */
static void pools_lose(struct ring *ring)
{
	struct pool *pool;

	for (pool = ring->pools; pool; pool = pool->next)
		pool->known_from = UINT32_MAX;
}

/*
 * A CQE is recorded before the buffers that were given since the call before it, though it may have
 * taken some of those. What is given after the next call has not been taken by then.
 */
static void pools_find(struct ring *ring)
{
	struct pool *pool;

	for (pool = ring->pools; pool; pool = pool->next)
		if (pool->known_from == UINT32_MAX)
			pool->known_from = pool->tail;
}

static void read_buffers(struct event *event, const struct record *record)
{
	const struct entries *entries = (const struct entries *)(record + 1);
	const struct io_uring_buf *given = (const struct io_uring_buf *)(entries + 1);
	struct pool *pool = pool_of(event->ring, record->number);
	unsigned i;

	for (i = 0; i < entries->count; i++) {
		pool->buffers[given[i].bid].place = pool->tail;
		pool->buffers[given[i].bid].is_given = true;
		pool->order[pool->tail++ % BUFFERS] = given[i];
	}
	event->kind = EVENT_BUFFERS;
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
	struct pool *pool = pool_known(event->ring, sqe->buf_group);
	unsigned first = event->cqe->flags >> IORING_CQE_BUFFER_SHIFT;
	uint32_t place = pool ? pool->buffers[first].place : 0;
	bool is_one = !is_bundle(sqe);
	int64_t left = is_one ? 1 : event->cqe->res;

	event->buffers = picked;
	event->count = 0;
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

static void cqe_event(struct event *event, struct ring *ring, const struct io_uring_cqe *cqe)
{
	struct found found = find(ring, cqe);
	struct request *request = found.family ? found.family->oldest : NULL;
	bool moves = false;

	event->kind = EVENT_CQE;
	event->cqe = cqe;
	event->request = request;
	event->candidates = found.count;
	event->sure = found.sure;
	event->opcode = found.opcode;
	event->is_last = !(cqe->flags & IORING_CQE_F_MORE);
	event->sender = found.count ? NULL : message_sender(ring, cqe->user_data);
	event->count = 0;
	if (cqe->flags & IORING_CQE_F_BUFFER && event->sure)
		find_picked(event);
	else if (cqe->flags & IORING_CQE_F_BUFFER)
		pools_lose(ring);
	if (request)
		request->answers++;
	events_emit(event);
	if (!request)
		return;
	/* A zero copy send has had its result; its second CQE, the NOTIF, is to come. */
	moves = !event->is_last && !request->notified &&
		(request->sqe.opcode == IORING_OP_SEND_ZC ||
		 request->sqe.opcode == IORING_OP_SENDMSG_ZC);
	if (!event->is_last && !moves)
		return;
	if (!found.sure)
		become_unsure(&found);
	family_take(found.family);
	if (moves) {
		request->notified = true;
		family_add(found.group, request);
		family_of(found.group, kind_of(request))->unsure |= !found.sure;
		return;
	}
	request_free(request);
	group_forget_empty(ring, cqe->user_data);
}

static void read_cqes(struct event *event, const struct record *record)
{
	const struct entries *entries = (const struct entries *)(record + 1);
	const char *entry = (const char *)(entries + 1);
	struct ring *ring = event->ring;
	struct io_uring_cqe cqe;
	unsigned i;

	event->cq_head = record->number - record->flags;
	for (i = 0; i < entries->count; i++, entry += entries->entry_size) {
		memcpy(&cqe, entry, sizeof(cqe));
		/* The second half of the one before it. */
		if (ring->skip_entry) {
			ring->skip_entry = false;
			continue;
		}
		if (ring->opened.flags & SETUP_CQE_MIXED) {
			if (cqe.flags & CQE_SKIP)
				continue;
			ring->skip_entry = cqe.flags & CQE_BIG;
		}
		event->index = record->number + i;
		cqe_event(event, ring, &cqe);
	}
	event->cqe = NULL;
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
	size_t size;

	while (known && strcmp(known->text, name) != 0)
		known = known->next;
	if (known)
		return known->text;
	size = strlen(name) + 1;
	known = allocate(sizeof(*known) + size);
	known->next = names;
	names = known;
	memcpy(known->text, name, size);
	return known->text;
}

static void read_function(struct ring *ring, const struct record *record)
{
	const char *name = name_kept((const char *)(record + 1));

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

static bool sqe_links(const struct io_uring_sqe *sqe)
{
	return sqe->flags & (IOSQE_IO_LINK | IOSQE_IO_HARDLINK);
}

static void sqe_event(struct event *event, struct ring *ring, unsigned index, uint16_t flags)
{
	const struct io_uring_sqe *sqe = event->sqe;
	size_t vectors_size = event->vectors_known * sizeof(struct iovec);
	struct request *request = allocate(sizeof(*request) + vectors_size);

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
		.left_over = flags & SQES_LEFT_OVER,
		.is_dead = flags & SQES_DEAD,
		.vector_count = event->vector_count,
		.vectors_known = event->vectors_known,
	};
	if (vectors_size)
		memcpy(request->vectors, event->vectors, vectors_size);
	ring->previous_links = sqe_links(sqe);
	ring->previous_chain = request->chain;
	lane_take(request);
	message_note(request);
	event->request = request;
	events_emit(event);
	if (request->silent)
		lane_leave(request);
	if (request->silent && ring->silent == MOST_SILENT)
		free(request);
	else
		request_add(request);
}

static void read_sqes(struct event *event, const struct record *record)
{
	const struct entries *entries = (const struct entries *)(record + 1);
	const char *entry = (const char *)(entries + 1);
	const char *pointed = entry + (size_t)entries->count * entries->entry_size;
	const char *end = (const char *)record + record->size;
	struct ring *ring = event->ring;
	struct io_uring_sqe sqe;
	struct iovec buffer;
	unsigned i;

	for (i = 0; i < entries->count; i++, entry += entries->entry_size) {
		memcpy(&sqe, entry, sizeof(sqe));
		event->kind = EVENT_SQE;
		event->sqe = &sqe; /* cppcheck-suppress autoVariables */
		event->pointed = pointed;
		/* It is the last SQE's. */
		event->pointed_length = i + 1 == entries->count ? (size_t)(end - pointed) : 0;
		find_vectors(event, &buffer);
		if (ring->skip_entry) {
			ring->skip_entry = false;
			continue;
		}
		if (record->flags & SQES_NEVER)
			events_emit(event);
		else
			sqe_event(event, ring, record->number + i,
				  i + 1 == entries->count ? record->flags : 0);
		ring->skip_entry = ring->opened.flags & SETUP_SQE_MIXED &&
				   (sqe.opcode == OP_NOP128 || sqe.opcode == OP_URING_CMD128);
	}
	ring->skip_entry = false;
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
	case CALL_submit_and_wait:
		event->enters |= (event->call_id == CALL_submit_and_wait && wanted) || flush;
		break;
	case CALL_get_events:
	case CALL_submit_and_get_events:
	case CALL_sqring_wait:
	case CALL_enter:
	case CALL_enter2: event->enters = true; break;
	case CALL_peek_batch_cqe:
		wanted = 0;
		/* fall through */
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

static void find_call(struct event *event, enum event_kind kind, const struct record *record)
{
	event->kind = kind;
	event->call_id = record->number;
	event->call = (const struct call_record *)(record + 1);
	event->began = event->call->began - first_time;
	event->submits = record->flags == CALL_SUBMITS;
	event->waits = record->flags == CALL_WAITS || record->flags == CALL_LOOKS;
	infer_system_call(event);
}

static void read_inside(struct event *event, const struct record *record)
{
	find_call(event, EVENT_INSIDE, record);
	event->prepared = ((const struct inside_record *)event->call)->prepared;
	if (event->ring && event->ring->is_open)
		events_emit(event);
}

static void read_call(struct event *event, const struct record *record)
{
	find_call(event, EVENT_CALL, record);
	if (event->ring) {
		look_for_overflow(event, &event->call->before);
		if (event->submits)
			mark_taken(event->ring, event->call->after.sq_head);
		/* A chain ends with the call that hands it over. */
		if (event->submits && !(event->ring->opened.flags & IORING_SETUP_SQPOLL))
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

static struct ring *ring_known(unsigned number)
{
	struct ring *ring = rings;

	while (ring && ring->number != number)
		ring = ring->next;
	return ring;
}

static struct ring *ring_add(const struct record *record)
{
	struct ring *ring;

	if (ring_count++ == MOST_RINGS)
		return NULL;
	ring = allocate(sizeof(*ring));
	ring->number = record->ring;
	ring->process = (pid_t)record->process;
	ring->next = rings;
	rings = ring;
	return ring;
}

static void read_ring(struct event *event, const struct record *record)
{
	event->kind = EVENT_RING;
	event->how = record->number;
	event->opened = (const struct ring_record *)(record + 1);
	if (event->ring) {
		event->ring->opened = *event->opened;
		event->ring->is_open = true;
	}
	events_emit(event);
}

static void leave_requests(struct event *event, struct ring *ring)
{
	struct request *request, *newer;

	event->kind = EVENT_LEFT;
	for (request = ring->oldest; request; request = newer) {
		newer = request->newer;
		event->request = request;
		events_emit(event);
		free(request);
	}
	ring->oldest = ring->newest = NULL;
	ring->in_flight = 0;
	event->request = NULL;
}

static void groups_free(struct ring *ring)
{
	struct group *group;
	struct family *family;
	unsigned i;

	for (i = 0; ring->groups && i < GROUPS; i++) {
		while ((group = ring->groups[i])) {
			while ((family = group->families)) {
				if (family->kind & KIND_SILENT && family->oldest)
					free(family->oldest);
				group->families = family->next;
				free(family);
			}
			ring->groups[i] = group->next;
			free(group);
		}
	}
	free(ring->groups);
	ring->groups = NULL;
}

static void targets_free(struct ring *ring)
{
	struct target *target;
	unsigned i;

	for (i = 0; ring->targets && i < TARGETS; i++) {
		while ((target = ring->targets[i].next)) {
			ring->targets[i].next = target->next;
			free(target);
		}
	}
	free(ring->targets);
	ring->targets = NULL;
}

static void ring_forget(struct ring *ring)
{
	groups_free(ring);
	targets_free(ring);
	pools_free(ring);
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
	leave_requests(event, ring);
	ring_forget(ring);
	event->kind = EVENT_RING_END;
	event->counters = counters;
	events_emit(event);
}

/* A process that has left by a signal or execve(2) has not said so. */
static void process_ends(struct event *event, pid_t process)
{
	struct ring *ring;

	event->process = process;
	for (ring = rings; ring; ring = ring->next)
		if (ring->process == process) {
			event->by_exit = true;
			ring_ends(event, ring, NULL);
		}
	event->ring = NULL;
	event->kind = EVENT_EXIT;
	events_emit(event);
}

/* Processes */

struct process {
	pid_t id;
	struct process *next;
};
static struct process *processes;

static bool process_forget(pid_t id)
{
	struct process **link = &processes, *process;

	while (*link && (*link)->id != id)
		link = &(*link)->next;
	process = *link;
	if (!process)
		return false;
	*link = process->next;
	free(process);
	return true;
}

static void process_remember(pid_t id)
{
	struct process *process = allocate(sizeof(*process));

	process->id = id;
	process->next = processes;
	processes = process;
}

/* Whether what follows the record is what its kind says. */
static bool is_whole(const struct record *record)
{
	size_t length = record->size - sizeof(*record);
	const struct entries *entries = (const struct entries *)(record + 1);
	size_t least = 0;

	switch (record->kind) {
	case RECORD_RING: return length >= sizeof(struct ring_record);
	case RECORD_RING_END: return length >= sizeof(struct ring_end);
	case RECORD_CALL:
		return length >= sizeof(struct call_record) && record->number < CALL_COUNT;
	case RECORD_INSIDE:
		return length >= sizeof(struct inside_record) && record->number < CALL_COUNT;
	case RECORD_FUNCTION: return length && !((const char *)(record + 1))[length - 1];
	case RECORD_SQES: least = sizeof(struct io_uring_sqe); break;
	case RECORD_CQES: least = sizeof(struct io_uring_cqe); break;
	case RECORD_BUFFERS: least = sizeof(struct io_uring_buf); break;
	default: return true;
	}
	return length >= sizeof(*entries) && entries->entry_size >= least &&
	       entries->entry_size <= 2 * least && entries->entry_size % 8 == 0 &&
	       entries->count <= (length - sizeof(*entries)) / entries->entry_size;
}

/* Of a record whose number says all, or most. */
static void number_event(struct event *event, enum event_kind kind, const struct record *record)
{
	event->kind = kind;
	event->count = record->number;
	events_emit(event);
}

static void read_record(struct event *event, const struct record *record)
{
	switch (record->kind) {
	case RECORD_PROCESS:
		event->killed = process_forget(event->process);
		if (event->killed)
			process_ends(event, event->process);
		event->killed = false;
		process_remember(event->process);
		event->kind = EVENT_PROCESS;
		events_emit(event);
		break;
	case RECORD_EXIT:
		if (process_forget(event->process))
			process_ends(event, event->process);
		break;
	case RECORD_RING: read_ring(event, record); break;
	case RECORD_RING_END:
		event->by_exit = record->number != RING_CLOSED;
		event->is_gone = record->number == RING_GONE;
		ring_ends(event, event->ring,
			  event->is_gone ? NULL
					 : &((const struct ring_end *)(record + 1))->counters);
		break;
	case RECORD_SQES: read_sqes(event, record); break;
	case RECORD_FUNCTION: read_function(event->ring, record); break;
	case RECORD_CQES: read_cqes(event, record); break;
	case RECORD_MISSED:
		event->of_cqes = record->flags;
		if (event->of_cqes)
			pools_lose(event->ring);
		number_event(event, EVENT_MISSED, record);
		break;
	case RECORD_CALL: read_call(event, record); break;
	case RECORD_INSIDE: read_inside(event, record); break;
	case RECORD_BUFFERS: read_buffers(event, record); break;
	case RECORD_CLOSE:
		event->fails = record->flags & CLOSE_FAILS;
		event->opcode = record->flags & CLOSE_PREPARED ? record->flags >> CLOSE_OPCODE : -1;
		number_event(event, EVENT_CLOSE, record);
		break;
	case RECORD_STREAM:
		event->is_slot = record->flags;
		number_event(event, EVENT_STREAM, record);
		break;
	case RECORD_SHUTDOWN: number_event(event, EVENT_SHUTDOWN, record); break;
	}
}

/* A ring that is closed still has an event or two, if two threads have used it. */
static bool is_about_a_ring(const struct record *record)
{
	return record->kind == RECORD_RING_END || record->kind == RECORD_SQES ||
	       record->kind == RECORD_STREAM || record->kind == RECORD_CQES ||
	       record->kind == RECORD_MISSED || record->kind == RECORD_BUFFERS ||
	       record->kind == RECORD_FUNCTION;
}

bool events_read(const struct record *record, const char **wrong)
{
	struct event event = {
		.process = (pid_t)record->process,
		.thread = (pid_t)record->thread,
	};

	if (record->kind == RECORD_NOTHING)
		return true;
	if (record->size < sizeof(*record) || record->ring > MOST_RINGS || !is_whole(record)) {
		*wrong = "a record is not whole";
		return false;
	}
	if (!first_thread) {
		first_thread = event.thread;
		first_time = record->time;
	}
	event.time = last_time = record->time - first_time;
	event.is_first_thread = event.thread == first_thread;
	event.ring = record->ring ? ring_known(record->ring) : NULL;
	if (record->kind == RECORD_RING && record->ring && !event.ring)
		event.ring = ring_add(record);
	if (is_about_a_ring(record) && (!event.ring || !event.ring->is_open)) {
		*wrong = "a record is about a ring that was not opened";
		return !!event.ring;
	}
	read_record(&event, record);
	return true;
}

void events_end(void)
{
	struct event event = {.time = last_time, .killed = true, .is_first_thread = true};
	struct ring *ring;

	while (processes) {
		pid_t id = processes->id;

		process_forget(id);
		process_ends(&event, id);
	}
	/* Those of processes that a damaged log does not mention. */
	for (ring = rings; ring; ring = ring->next)
		ring_ends(&event, ring, NULL);
	event = (struct event){.kind = EVENT_END, .time = last_time};
	events_emit(&event);
	while ((ring = rings)) {
		rings = ring->next;
		ring_forget(ring);
		free(ring);
	}
}
