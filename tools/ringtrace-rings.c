/*
 * ringtrace: what is known of every ring, and the requests in it.
 *
 * A ring's memory is looked at before and after each call into liburing. SQEs between the last one
 * seen and sq.sqe_tail are new; so are CQEs between the last one seen and the kernel's tail, no
 * matter how far the program has consumed them by then: an entry stays where it is until the kernel
 * has gone once around. What was overwritten in the meantime is counted as missed.
 */
#include "tools/ringtrace.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define CHAINS	       4096
#define FIRST_CAPACITY 1024
#define MOST_SILENT    65536

static struct ring_state *rings;

/* The requests without a last CQE: a hash table with chains in order of submission. */

static uint32_t *chain_of(struct request_table *table, uint64_t user_data)
{
	return &table->chains[(user_data * 0x9e3779b97f4a7c15ULL) >> 52];
}

static bool table_grow(struct request_table *table)
{
	uint32_t capacity = table->capacity ? 2 * table->capacity : FIRST_CAPACITY;
	struct request *requests;
	uint32_t i;

	if (!table->capacity)
		requests = memory_get(capacity * sizeof(*requests));
	else
		requests = mremap(table->requests, table->capacity * sizeof(*requests),
				  capacity * sizeof(*requests), MREMAP_MAYMOVE);
	if (!requests || requests == MAP_FAILED)
		return false;

	table->requests = requests;
	for (i = capacity - 1; i >= table->capacity && i > 0; i--) {
		requests[i].next = table->free;
		table->free = i;
	}
	table->capacity = capacity;
	return true;
}

/* Returns the request's place, or NULL where there is no memory: its CQE will find no SQE then. */
static struct request *table_add(struct request_table *table, const struct request *request)
{
	uint32_t *link = chain_of(table, request->user_data);
	uint32_t place;

	if (!table->free && !table_grow(table))
		return NULL;
	place = table->free;
	table->free = table->requests[place].next;
	while (*link)
		link = &table->requests[*link].next;
	*link = place;
	table->requests[place] = *request;
	table->requests[place].next = 0;
	table->outstanding += !request->silent;
	table->silent += request->silent;
	return &table->requests[place];
}

static void table_remove(struct request_table *table, struct request *request)
{
	uint32_t *link = chain_of(table, request->user_data);
	uint32_t place = (uint32_t)(request - table->requests);

	while (*link != place)
		link = &table->requests[*link].next;
	*link = request->next;
	table->outstanding -= !request->silent;
	table->silent -= request->silent;
	request->next = table->free;
	table->free = place;
}

/*
 * A request that has no CQE on success is gone at a time that nobody is told. It stays in the table
 * for the case of a failure, until one like it follows or there are too many of them.
 */
static bool table_has_room_for_silent(struct request_table *table, const struct request *request)
{
	uint32_t place;

	for (place = *chain_of(table, request->user_data); place;
	     place = table->requests[place].next) {
		const struct request *other = &table->requests[place];

		if (other->silent && other->user_data == request->user_data &&
		    other->opcode == request->opcode)
			return false;
	}
	return table->silent < MOST_SILENT;
}

static bool could_answer(const struct request *request, const struct io_uring_cqe *cqe)
{
	if (request->user_data != cqe->user_data)
		return false;
	if (request->silent && cqe->res >= 0)
		return false;
	if (!(cqe->flags & IORING_CQE_F_NOTIF) == request->notified)
		return false;
	if (cqe->flags & IORING_CQE_F_MORE && !request->may_repeat)
		return false;
	return !(cqe->flags & IORING_CQE_F_BUFFER) || request->selects_buffer;
}

struct candidates {
	struct request *oldest;
	unsigned count;
	bool same_operation;
};

static struct candidates table_find(struct request_table *table, const struct io_uring_cqe *cqe)
{
	struct candidates found = {.same_operation = true};
	uint32_t place = *chain_of(table, cqe->user_data);
	struct request *request;

	for (; place; place = request->next) {
		request = &table->requests[place];
		if (!could_answer(request, cqe))
			continue;
		found.count++;
		if (!found.oldest)
			found.oldest = request;
		else if (request->opcode != found.oldest->opcode)
			found.same_operation = false;
	}
	return found;
}

/* SQEs */

static void trace_sqe(struct ring_state *state, const struct io_uring_sqe *sqe)
{
	struct request request, *place;
	struct text line;

	sqe_read(sqe, &request);
	request.submitted = now();
	summary.sqes[sqe->opcode]++;
	summary.silent[sqe->opcode] += request.silent;
	if (!settings.only_some || settings.shown[sqe->opcode]) {
		line = line_start(state->number);
		add_sqe(&line, sqe);
		line_write(&line);
		json_request_begins(state, sqe, &request);
	}
	if (request.silent && !table_has_room_for_silent(&state->table, &request))
		return;
	place = table_add(&state->table, &request);
	if (!place)
		json_request_ends(&request, NULL);
}

static void look_at_sqes(struct ring_state *state, const struct io_uring *ring)
{
	const struct io_uring_sq *sq = &ring->sq;
	unsigned shift = !!(ring->flags & IORING_SETUP_SQE128);
	const struct io_uring_sqe *sqe;
	struct text line;

	if (sq->sqe_tail - state->sqe_seen > sq->ring_entries) {
		line = line_start(state->number);
		text_add(&line, "%u SQEs were submitted unseen",
			 sq->sqe_tail - state->sqe_seen - sq->ring_entries);
		line_write(&line);
		summary.missed_sqes += sq->sqe_tail - state->sqe_seen - sq->ring_entries;
		state->sqe_seen = sq->sqe_tail - sq->ring_entries;
	}
	while (state->sqe_seen != sq->sqe_tail) {
		sqe = &sq->sqes[(state->sqe_seen & sq->ring_mask) << shift];
		trace_sqe(state, sqe);
		state->sqe_seen++;
		if (!shift && sqe_takes_two_entries(sqe) && state->sqe_seen != sq->sqe_tail)
			state->sqe_seen++;
	}
}

/* CQEs */

static void add_operation(struct text *line, const struct candidates *found)
{
	text_add(line, "CQE  ");
	if (found->oldest && found->same_operation)
		text_add(line, "%-8s", operation_name(found->oldest->opcode));
	else
		text_add(line, "%-8s", "?");
}

static void add_origin(struct text *line, const struct candidates *found, uint64_t seen)
{
	if (!found->count) {
		text_add(line, "  (no SQE of this ring has this user_data)");
	} else if (found->count > 1) {
		text_add(line, "  (of one of %u SQEs with this user_data)", found->count);
	} else {
		text_add(line, "  after ");
		add_duration(line, seen - found->oldest->submitted);
	}
}

static bool is_shown(const struct candidates *found)
{
	return !settings.only_some || (found->oldest && settings.shown[found->oldest->opcode]);
}

static void count_cqe(const struct candidates *found, const struct io_uring_cqe *cqe)
{
	summary.all_cqes++;
	if (!found->oldest || !found->same_operation) {
		summary.unknown_cqes++;
		return;
	}
	summary.cqes[found->oldest->opcode]++;
	if (cqe->res < 0 && !(cqe->flags & IORING_CQE_F_NOTIF))
		summary_count_error(found->oldest->opcode, -cqe->res);
}

static void trace_cqe(struct ring_state *state, const struct io_uring_cqe *cqe)
{
	struct candidates found = table_find(&state->table, cqe);
	struct text line;

	count_cqe(&found, cqe);
	if (is_shown(&found)) {
		line = line_start(state->number);
		add_operation(&line, &found);
		add_result(&line, found.same_operation ? found.oldest : NULL, cqe->res);
		add_cqe_flags(&line, cqe->flags);
		text_add(&line, "  ");
		add_user_data(&line, cqe->user_data);
		add_origin(&line, &found, now());
		line_write(&line);
	}
	if (!found.oldest)
		return;
	/* Of several possible ones the oldest is taken for it. */
	json_request_answered(found.oldest, cqe);
	if (cqe->flags & IORING_CQE_F_MORE) {
		/* A zero copy send has had its result; its second CQE, the NOTIF, is to come. */
		if (found.oldest->opcode == IORING_OP_SEND_ZC ||
		    found.oldest->opcode == IORING_OP_SENDMSG_ZC)
			found.oldest->notified = true;
		return;
	}
	json_request_ends(found.oldest, cqe);
	table_remove(&state->table, found.oldest);
}

/* Copies the CQE with the number `index`; false where the kernel may have overwritten it. */
static bool cqe_copy(const struct io_uring *view, unsigned index, struct io_uring_cqe *copy)
{
	unsigned shift = !!(view->flags & IORING_SETUP_CQE32);
	const struct io_uring_cqe *cqe = &view->cq.cqes[(index & view->cq.ring_mask) << shift];

	memcpy(copy, cqe, sizeof(*copy));
	/* Another thread's CQEs may arrive at this moment: still the same afterwards is valid. */
	atomic_thread_fence(memory_order_acquire);
	return io_uring_smp_load_acquire(view->cq.ktail) - index <= view->cq.ring_entries &&
	       memcmp(copy, cqe, sizeof(*copy)) == 0;
}

static void missed_cqes(struct ring_state *state, unsigned count)
{
	struct text line = line_start(state->number);

	text_add(&line, "%u CQEs were consumed and overwritten unseen", count);
	line_write(&line);
	summary.missed_cqes += count;
}

static void look_for_overflow(struct ring_state *state)
{
	unsigned flags = IO_URING_READ_ONCE(*state->view.sq.kflags);
	unsigned dropped = IO_URING_READ_ONCE(*state->view.cq.koverflow);
	bool overflowing = flags & IORING_SQ_CQ_OVERFLOW;
	struct text line;

	if (overflowing && !state->overflowing) {
		summary.overflows++;
		line = line_start(state->number);
		text_add(&line, "CQ overflow: the CQ is full, the kernel keeps what has completed");
		line_write(&line);
	}
	state->overflowing = overflowing;
	if (dropped != state->dropped) {
		summary.dropped += dropped - state->dropped;
		line = line_start(state->number);
		text_add(&line, "CQ overflow: %u CQEs are lost", dropped - state->dropped);
		line_write(&line);
		state->dropped = dropped;
	}
}

static void look_at_cqes(struct ring_state *state)
{
	const struct io_uring *view = &state->view;
	unsigned tail = io_uring_smp_load_acquire(view->cq.ktail);
	struct io_uring_cqe cqe;

	if (tail - state->cqe_seen > view->cq.ring_entries) {
		missed_cqes(state, tail - state->cqe_seen - view->cq.ring_entries);
		state->cqe_seen = tail - view->cq.ring_entries;
	}
	while (state->cqe_seen != tail) {
		if (!cqe_copy(view, state->cqe_seen++, &cqe)) {
			missed_cqes(state, 1);
			continue;
		}
		if (view->flags & SETUP_CQE_MIXED && cqe.flags & CQE_IS_SKIPPED)
			continue;
		if (view->flags & SETUP_CQE_MIXED && cqe.flags & CQE_IS_BIG)
			state->cqe_seen++;
		trace_cqe(state, &cqe);
	}
	look_for_overflow(state);
}

/* Calls */

static unsigned cqes_there(const struct io_uring *ring)
{
	return io_uring_smp_load_acquire(ring->cq.ktail) - IO_URING_READ_ONCE(*ring->cq.khead);
}

/*
 * Whether liburing will make a system call. It is not seen doing so, but decides by what stands in
 * the ring's memory, which is readable here too. The one thing that can change between this look
 * and liburing's own is that an SQPOLL thread falls asleep.
 */
static void predict_system_call(struct call *call)
{
	const struct io_uring *ring = call->ring;
	unsigned flags = IO_URING_READ_ONCE(*ring->sq.kflags);
	bool flush = ring->flags & IORING_SETUP_IOPOLL ||
		     flags & (IORING_SQ_CQ_OVERFLOW | IORING_SQ_TASKRUN);
	unsigned there = cqes_there(ring);
	bool hands_over = call->sqes && call->kind != CALL_WAITS && call->kind != CALL_GETS_EVENTS;

	call->wakes =
		hands_over && ring->flags & IORING_SETUP_SQPOLL && flags & IORING_SQ_NEED_WAKEUP;
	call->enters = call->wakes || (hands_over && !(ring->flags & IORING_SETUP_SQPOLL));
	switch (call->kind) {
	case CALL_SUBMITS:
		call->enters |= call->wait_nr || flush;
		break;
	case CALL_SUBMIT_WAIT:
	case CALL_WAITS:
		call->enters |= call->wait_nr > there || (!call->wait_nr && !there && flush);
		break;
	case CALL_GETS_EVENTS:
	case CALL_SUBMITS_GETS_EVENTS:
		call->enters = true;
		break;
	case CALL_REGISTERS:
		break;
	}
}

/* Rings are known by their memory: a program may move its struct io_uring. */
static struct ring_state *ring_known(const struct io_uring *ring)
{
	struct ring_state *state;

	for (state = rings; state; state = state->next)
		if (state->view.sq.khead == ring->sq.khead)
			return state;
	return NULL;
}

struct ring_state *ring_find(struct io_uring *ring)
{
	struct ring_state *state = ring_known(ring);

	return state ? state : ring_opened(ring, "found open");
}

void call_before(struct call *call)
{
	summary.used = true;
	call->state = ring_find(call->ring);
	if (!call->state)
		return;
	if (call->kind != CALL_REGISTERS)
		look_at_sqes(call->state, call->ring);
	look_at_cqes(call->state);
	call->sq_head = IO_URING_READ_ONCE(*call->ring->sq.khead);
	/* What an SQPOLL thread has not fetched yet, it knows of already. */
	call->sqes =
		call->ring->sq.sqe_tail -
		(call->ring->flags & IORING_SETUP_SQPOLL ? *call->ring->sq.ktail : call->sq_head);
	predict_system_call(call);
	call->began = now();
}

static void add_sqes_taken(struct text *line, const struct call *call)
{
	unsigned taken = IO_URING_READ_ONCE(*call->ring->sq.khead) - call->sq_head;

	if (call->kind == CALL_WAITS || call->kind == CALL_GETS_EVENTS)
		return;
	if (!(call->ring->flags & IORING_SETUP_SQPOLL))
		text_add(line, "SQEs taken %u of %u, ", taken, call->sqes);
	else if (call->sqes)
		text_add(line, "SQEs for the SQPOLL thread %u, it %s, ", call->sqes,
			 call->wakes ? "slept and is woken" : "is awake");
}

static void count_call(const struct call *call)
{
	if (call->enters)
		summary_count_system_call(call->name);
	else if (call->sqes && call->kind != CALL_WAITS)
		summary.submits_without_system_call++;
	else
		summary.other_without_system_call++;
}

static void trace_call(const struct call *call, int result, uint64_t ended)
{
	unsigned there = cqes_there(call->ring);
	struct text line;

	/* A look into the ring that cost nothing: programs do that in loops. */
	if (!call->enters && !call->wait_nr && !(call->sqes && call->kind != CALL_WAITS))
		return;
	json_call(call, ended);
	if (!settings.show_calls)
		return;
	line = line_start(call->state->number);
	text_add(&line, "%s(%s)", call->name, call->arguments);
	if (result < 0) {
		text_add(&line, " = ");
		add_error(&line, -result);
		text_add(&line, ",");
	}
	text_add(&line, "  ");
	add_sqes_taken(&line, call);
	text_add(&line, "CQEs there %u, ", there);
	if (call->enters)
		add_duration(&line, ended - call->began);
	else
		text_add(&line, "no system call");
	line_write(&line);
}

static void trace_register(const struct call *call, int result)
{
	struct text line;

	summary.registers++;
	if (!settings.show_calls)
		return;
	line = line_start(call->state->number);
	text_add(&line, "%s(%s) = ", call->name, call->arguments);
	if (result < 0)
		add_error(&line, -result);
	else
		text_add(&line, "%d", result);
	line_write(&line);
}

void call_after(struct call *call, int result)
{
	uint64_t ended = now();

	/* Another thread may have closed the ring. */
	if (!call->state || ring_known(call->ring) != call->state)
		return;
	if (call->kind == CALL_REGISTERS) {
		trace_register(call, result);
	} else {
		count_call(call);
		trace_call(call, result, ended);
		look_at_sqes(call->state, call->ring);
	}
	look_at_cqes(call->state);
}

/* Rings */

static void ring_forget(struct ring_state *state)
{
	struct ring_state **link = &rings;

	while (*link != state)
		link = &(*link)->next;
	*link = state->next;
	memory_release(state->table.requests, state->table.capacity * sizeof(struct request));
	memory_release(state->table.chains, CHAINS * sizeof(uint32_t));
	memory_release(state, sizeof(*state));
}

static struct ring_state *ring_allocate(void)
{
	struct ring_state *state = memory_get(sizeof(*state));

	if (state)
		state->table.chains = memory_get(CHAINS * sizeof(uint32_t));
	if (!state || !state->table.chains) {
		memory_release(state, sizeof(*state));
		return NULL;
	}
	state->next = rings;
	rings = state;
	return state;
}

/* NULL without memory: the ring goes untraced then. */
struct ring_state *ring_opened(struct io_uring *ring, const char *how)
{
	struct ring_state *state = ring_known(ring);
	struct text line;

	/* A ring that went without io_uring_queue_exit(), and whose memory is in use again. */
	if (state)
		ring_forget(state);

	state = ring_allocate();
	if (!state)
		return NULL;
	state->view = *ring;
	state->number = (unsigned)++summary.rings;
	state->sqe_seen = ring->sq.sqe_head;
	state->cqe_seen = IO_URING_READ_ONCE(*ring->cq.khead);
	state->dropped = IO_URING_READ_ONCE(*ring->cq.koverflow);

	summary.used = true;
	line = line_start(state->number);
	text_add(&line, "%s: fd %d, %u SQEs, %u CQEs", how, ring->ring_fd, ring->sq.ring_entries,
		 ring->cq.ring_entries);
	add_setup_flags(&line, ring->flags);
	line_write(&line);
	return state;
}

void ring_opening_failed(const char *call, unsigned entries, int result)
{
	struct text line = line_start(0);

	text_add(&line, "%s(%u) = ", call, entries);
	add_error(&line, -result);
	line_write(&line);
}

void ring_resized(struct ring_state *state, struct io_uring *ring)
{
	state->view = *ring;
}

/* Ends the spans of what is still outstanding, and says which operations that are. */
static void requests_unfinished(struct ring_state *state)
{
	const char *before = ": ";
	struct text line;
	uint32_t chain, place;

	if (!state->table.outstanding)
		return;
	line = line_start(state->number);
	text_add(&line, "requests still without completion: %u", state->table.outstanding);
	for (chain = 0; chain < CHAINS; chain++) {
		for (place = state->table.chains[chain]; place;
		     place = state->table.requests[place].next) {
			struct request *request = &state->table.requests[place];

			if (request->silent)
				continue;
			summary.unfinished[request->opcode]++;
			json_request_ends(request, NULL);
			text_add(&line, "%s%s ", before, operation_name(request->opcode));
			add_user_data(&line, request->user_data);
			before = ", ";
		}
	}
	line_write(&line);
}

void ring_closed(struct ring_state *state)
{
	struct text line;

	look_at_cqes(state);
	requests_unfinished(state);
	line = line_start(state->number);
	text_add(&line, "closed");
	line_write(&line);
	ring_forget(state);
}

/* A program may have unmapped a ring by itself: reading there would end it. */
static bool is_mapped(void *memory, size_t size)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	uintptr_t first = (uintptr_t)memory & ~(uintptr_t)(page - 1);
	size_t pages = ((uintptr_t)memory + size - first + page - 1) / page;
	unsigned char residency[64];

	for (; pages > 0; first += sizeof(residency) * page) {
		size_t some = pages < sizeof(residency) ? pages : sizeof(residency);

		if (mincore((void *)first, some * page, residency) < 0)
			return false;
		pages -= some;
	}
	return true;
}

void rings_at_exit(void)
{
	struct ring_state *state;

	for (state = rings; state; state = state->next) {
		if (is_mapped(state->view.cq.ring_ptr, state->view.cq.ring_sz) &&
		    is_mapped(state->view.sq.ring_ptr, state->view.sq.ring_sz))
			look_at_cqes(state);
		requests_unfinished(state);
	}
}

/* A child that goes on using its parent's ring finds it open. */
void rings_after_fork(void)
{
	while (rings)
		ring_forget(rings);
}
