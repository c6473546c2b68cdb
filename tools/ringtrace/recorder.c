/*
 * ringtrace's recorder: what it copies, and how that gets into the log.
 *
 * A ring's memory is looked at before and after each call into liburing. SQEs between the last one
 * seen and sq.sqe_tail are about to be handed over; CQEs between the last one seen and the kernel's
 * tail are new, no matter how far the program has consumed them by then: an entry stays where it is
 * until the kernel has gone once around.
 */
#include "tools/ringtrace/recorder.h"
#include "tools/ringtrace/channel.h"
#include "tools/ringtrace/names.h"

#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <linux/futex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/param.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define BUFFER_RINGS   16
#define SPINNING_NS    1000000000 /* of nothing but looks */
#define SPINNING_LOOKS 250000	  /* at least, in that time */
#define LOOKS_A_TIME   4096	  /* that many are made between two looks at the clock */
#define STACK_SIZE     (8UL << 20)
#define POINTED_MOST   1024 /* bytes of memory that one SQE points to, see copy_pointed() */

/* initial-exec: an access must not allocate, which would be the program's heap. */
#define THREAD_LOCAL static __thread __attribute__((tls_model("initial-exec")))

struct buffer_ring {
	const struct io_uring_buf_ring *memory; /* NULL: none */
	unsigned entries, group;
	uint16_t seen;
};

struct ring_state {
	struct ring_state *next;
	/* Rings are known by their memory: a program may move its struct io_uring. */
	_Atomic(const unsigned *) key;	/* sq.khead; NULL: free */
	struct io_uring view;		/* where the ring's memory is: that does not move */
	const struct io_uring *program; /* its own, where it was when it was last used */
	uint32_t number;
	unsigned sqe_seen;
	unsigned sqe_named; /* up to this SQE, it is known which function prepares them */
	_Atomic unsigned cqe_seen;
	unsigned looks;
	uint64_t *user_data; /* of the SQEs that bear a mark: what stood there; NULL: no marks */
	unsigned marked;     /* up to this SQE */
	pid_t marker;	     /* the only thread that submits, or NOBODY where there are two */
	struct buffer_ring buffer_rings[BUFFER_RINGS];
};

/* None is ever given back: another thread may be looking for its ring there. */
static _Atomic(struct ring_state *) states;

static const unsigned being_filled; /* the key of a state that is */

static struct channel *channel;
static pid_t process;
static bool process_is_recorded; /* its RECORD_PROCESS is written */
static atomic_bool finished;

THREAD_LOCAL pid_t thread;
THREAD_LOCAL struct seat *seat;
THREAD_LOCAL uintptr_t stack; /* the program's stack pointer at the last call; 0: not known */
/* Set inside of a hook: what liburing calls from there, or a signal handler, only passes on. */
THREAD_LOCAL bool inside;
THREAD_LOCAL struct record *being_written;

/* The looks into a CQ that the thread has made one after the other, and found nothing. */
THREAD_LOCAL unsigned vain_looks;
THREAD_LOCAL uint64_t spinning_since; /* its processor time */

/* The channel */

static bool is_recording(void)
{
	return channel && !channel->stopped && !finished;
}

static void wake_reader(void)
{
	if (channel->reader_sleeps && atomic_exchange(&channel->reader_sleeps, 0))
		futex(&channel->reader_sleeps, FUTEX_WAKE, 1, NULL);
}

/* Until the reader has made progress; finds out, too, when it has died. */
static void wait_for_reader(uint64_t consumed)
{
	static const struct timespec a_second = {.tv_sec = 1};
	uint32_t progress;

	atomic_fetch_add(&channel->space_awaited, 1);
	progress = channel->progress;
	wake_reader();
	if (channel->consumed == consumed && !channel->stopped &&
	    futex(&channel->progress, FUTEX_WAIT, progress, &a_second) < 0 && errno == ETIMEDOUT &&
	    pthread_mutex_trylock(&channel->reader_lives) != EBUSY)
		channel->stopped = true;
	atomic_fetch_sub(&channel->space_awaited, 1);
}

static bool sit_down(struct seat *free, uint32_t owner)
{
	if (!atomic_compare_exchange_strong(&free->thread, &owner, (uint32_t)thread))
		return false;
	free->is_inside = free->reserves = 0;
	free->process = (uint32_t)process;
	seat = free;
	return true;
}

/* Where all are taken, that of a thread which is gone; the last one is for all who find none. */
static void find_seat(void)
{
	thread = (pid_t)syscall(SYS_gettid);
	for (int of_gone = 0; of_gone <= 1; of_gone++)
		for (seat = channel->seats; seat < &channel->seats[SEATS - 1]; seat++) {
			uint32_t owner = seat->thread;

			if ((!owner ||
			     (of_gone && syscall(SYS_tgkill, seat->process, owner, 0) < 0)) &&
			    sit_down(seat, owner))
				return;
		}
}

static void write_size(uint64_t position, uint32_t size)
{
	atomic_store_explicit((_Atomic uint32_t *)&channel_at(channel, position)->size, size,
			      memory_order_release);
}

/*
 * Takes `size` bytes that do not run over the channel's end, and leaves the seat marked until it is
 * written whose they are; false when the reader has stopped.
 */
static bool reserve(uint32_t size, uint64_t *position)
{
	uint64_t from = channel->reserved, consumed, to_end, start;
	bool is_taken;

	do {
		to_end = CHANNEL_CAPACITY - from % CHANNEL_CAPACITY;
		start = to_end < size ? from + to_end : from;
		while (start + size - (consumed = channel->consumed) > CHANNEL_CAPACITY) {
			wait_for_reader(consumed);
			if (channel->stopped)
				return false;
		}
		seat->reserves = true;
		is_taken = atomic_compare_exchange_strong(&channel->reserved, &from, start + size);
		if (is_taken) {
			write_size(start, size | RECORD_UNFINISHED);
			if (start != from) {
				channel_at(channel, from)->kind = RECORD_NOTHING;
				write_size(from, (uint32_t)to_end);
			}
		}
		seat->reserves = is_taken;
	} while (!is_taken);
	*position = start;
	return true;
}

/* NULL when nobody reads any more. */
static struct record *record_begin(enum record_kind kind, uint32_t ring, uint32_t number,
				   size_t length)
{
	uint32_t size = (uint32_t)((sizeof(struct record) + length + 7) & ~7UL);
	struct record *record;
	uint64_t position;

	if (!seat)
		find_seat();
	if (!reserve(size, &position))
		return NULL;
	record = channel_at(channel, position);
	being_written = record;
	record->process = (uint32_t)process;
	record->thread = (uint32_t)thread;
	seat->reserves = false;
	record->kind = (uint16_t)kind;
	record->ring = ring;
	record->number = number;
	record->time = clock_ns(CLOCK_MONOTONIC);
	return record;
}

static void record_end(struct record *record)
{
	atomic_store_explicit((_Atomic uint32_t *)&record->size, record->size & ~RECORD_UNFINISHED,
			      memory_order_release);
	being_written = NULL;
}

static void record_write(enum record_kind kind, uint32_t ring, uint32_t number, uint16_t flags,
			 const void *data, size_t length)
{
	struct record *record = record_begin(kind, ring, number, length);

	if (!record)
		return;
	record->flags = flags;
	if (length)
		memcpy(record + 1, data, length);
	record_end(record);
}

/* Begins a record of a ring's entries, with room for so many more bytes behind them. */
static struct record *entries_begin(enum record_kind kind, const struct ring_state *state,
				    uint32_t number, unsigned count, unsigned size, size_t more)
{
	struct entries entries = {.count = count, .entry_size = size};
	struct record *record = record_begin(kind, state->number, number,
					     sizeof(entries) + (size_t)count * size + more);

	if (record)
		memcpy(record + 1, &entries, sizeof(entries));
	return record;
}

/* Copies the ring's entries from `index` on into the record; returns where they end there. */
static char *entries_copy(struct record *record, const void *ring, unsigned index, unsigned mask)
{
	const struct entries entries = *(struct entries *)(record + 1);
	char *to = (char *)(record + 1) + sizeof(entries);
	unsigned last = index + entries.count;

	for (; index != last; index++, to += entries.entry_size)
		memcpy(to, (const char *)ring + (size_t)(index & mask) * entries.entry_size,
		       entries.entry_size);
	return to;
}

/* SQEs */

/* Reads the program's memory like a system call would: an invalid address is not fatal. */
static size_t memory_peek(uint64_t address, void *copy, size_t size)
{
	struct iovec to = {.iov_base = copy, .iov_len = size};
	struct iovec from = {.iov_base = (void *)(uintptr_t)address, .iov_len = size};
	ssize_t result = process_vm_readv(getpid(), &to, 1, &from, 1, 0);

	return result > 0 ? (size_t)result : 0;
}

#define ADDRESS_MOST 110 /* bytes: struct sockaddr_un is the largest */
#define PATH_SHOWN   64

static size_t vectors_size(size_t count)
{
	return sizeof(struct iovec) * MIN(count, VECTORS_MOST);
}

/* Puts a struct memory and the bytes at the address at `copy`; returns where they end. */
static char *copy_memory(char *copy, uint64_t address, size_t size)
{
	struct memory *memory = (struct memory *)copy;

	memory->address = address;
	memory->length = (uint32_t)memory_peek(address, memory + 1, size);
	memory->reserved = 0;
	return copy + sizeof(*memory) + ((memory->length + 7) & ~7U);
}

/* A struct msghdr, and what it points to: the vectors, and where a message is to go. */
static char *copy_message(char *copy, const struct io_uring_sqe *sqe)
{
	const struct memory *memory = (const struct memory *)copy;
	const struct msghdr *message = (const struct msghdr *)(memory + 1);

	copy = copy_memory(copy, sqe->addr, sizeof(*message));
	if (memory->length < sizeof(*message))
		return copy;
	if (message->msg_iovlen)
		copy = copy_memory(copy, (uintptr_t)message->msg_iov,
				   vectors_size(message->msg_iovlen));
	if (message->msg_name && is_send(sqe->opcode))
		copy = copy_memory(copy, (uintptr_t)message->msg_name,
				   MIN(message->msg_namelen, ADDRESS_MOST));
	return copy;
}

/*
 * Puts all that the SQE points to, as far as the reader shows it, into `copy`, and returns how many
 * bytes that is. The most it can be is a message: five times struct memory or less, and less than
 * 500 bytes behind them.
 */
static size_t copy_pointed(const struct io_uring_sqe *sqe, char *copy)
{
	const struct operation *known = operation(sqe->opcode);
	unsigned fields = known ? known->fields : 0;
	uint64_t time = time_address(sqe);
	char *end = copy;

	if (fields & MESSAGE)
		end = copy_message(end, sqe);
	else if (points_to_vectors(sqe))
		end = copy_memory(end, sqe->addr, vectors_size(sqe->len));
	if (fields & (PATH | NAME))
		end = copy_memory(end, sqe->addr, PATH_SHOWN);
	if (fields & SECOND_PATH)
		end = copy_memory(end, sqe->off, PATH_SHOWN);
	if (fields & SOCKET)
		end = copy_memory(end, sqe->addr, MIN(sqe->off, ADDRESS_MOST));
	if (time && !(sqe->timeout_flags & TIMEOUT_IMMEDIATE_ARG))
		end = copy_memory(end, time, sizeof(struct __kernel_timespec));
	return (size_t)(end - copy);
}

static unsigned sqe_size(const struct io_uring *ring)
{
	return (unsigned)sizeof(struct io_uring_sqe) << !!(ring->flags & IORING_SETUP_SQE128);
}

static const struct io_uring_sqe *sqe_at(const struct io_uring *ring, unsigned index)
{
	size_t place = (index & ring->sq.ring_mask) * (size_t)sqe_size(ring);

	return (const struct io_uring_sqe *)((const char *)ring->sq.sqes + place);
}

/*
 * Marks: with --check=user-data the user_data of an SQE that the kernel has taken becomes a number
 * that no program would use. Where that still stands when the SQE is handed over again, nobody has
 * written it. What had stood there is put back before the kernel sees it.
 */

#define MARK	   0xa5c3e1f00f1e3c5aULL
#define NOBODY	   (-1)
#define UNMARKABLE (SETUP_SQE_MIXED | SETUP_SQ_REWIND)

static _Atomic uint64_t *user_data_at(const struct io_uring *ring, unsigned index)
{
	return (_Atomic uint64_t *)&sqe_at(ring, index)->user_data;
}

static bool unmark(const struct ring_state *state, const struct io_uring *ring, unsigned index)
{
	uint64_t mark = MARK;

	return state->user_data &&
	       atomic_compare_exchange_strong(user_data_at(ring, index), &mark,
					      state->user_data[index & ring->sq.ring_mask]);
}

static size_t marks_size(const struct io_uring *ring)
{
	return ring->sq.ring_entries * sizeof(uint64_t);
}

/* Where a wait may submit by itself, there are none: liburing has one for kernels before 5.11. */
static void marks_begin(struct ring_state *state, const struct io_uring *ring)
{
	state->user_data = NULL;
	state->marker = 0;
	state->marked = ring->sq.sqe_tail;
	if (!channel->marks || ring->flags & UNMARKABLE || !(ring->features & IORING_FEAT_EXT_ARG))
		return;
	state->user_data = mmap(NULL, marks_size(ring), PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (state->user_data == MAP_FAILED)
		state->user_data = NULL;
}

static void unmark_all(const struct ring_state *state, const struct io_uring *ring)
{
	for (unsigned i = 0; state->user_data && i < ring->sq.ring_entries; i++)
		unmark(state, ring, i);
}

static void marks_end(struct ring_state *state)
{
	if (state->user_data)
		munmap(state->user_data, marks_size(&state->view));
	state->user_data = NULL;
}

/* After a submit: the SQEs that the kernel has taken, and that are not in use again. */
static void mark_taken(struct ring_state *state, const struct io_uring *ring)
{
	unsigned head = IO_URING_READ_ONCE(*state->view.sq.khead);
	unsigned reused = ring->sq.sqe_tail - ring->sq.ring_entries;

	if (!state->user_data || state->marker == NOBODY)
		return;
	if (!state->marker)
		state->marker = thread;
	/* The program writes its tail itself, or another thread may be writing SQEs. */
	if (ring == &state->view || state->marker != thread) {
		state->marker = NOBODY;
		return;
	}
	if ((int)(state->marked - reused) < 0)
		state->marked = reused;
	for (; (int)(state->marked - head) < 0; state->marked++) {
		_Atomic uint64_t *user_data = user_data_at(ring, state->marked);
		uint64_t *kept = &state->user_data[state->marked & ring->sq.ring_mask];

		if (*user_data == MARK)
			continue;
		*kept = *user_data;
		atomic_store(user_data, MARK);
	}
}

/* One record: `count` SQEs from the place `index` on, and what the last of them points to. */
static void record_sqes(struct ring_state *state, const struct io_uring *ring, unsigned index,
			unsigned count, uint16_t flags, const char *pointed, size_t length)
{
	struct record *record =
		entries_begin(RECORD_SQES, state, state->sqe_seen, count, sqe_size(ring), length);

	state->sqe_seen += count;
	if (!record)
		return;
	record->flags = flags;
	memcpy(entries_copy(record, ring->sq.sqes, index, ring->sq.ring_mask), pointed, length);
	record_end(record);
}

static bool rewinds(const struct io_uring *ring)
{
	return ring->flags & SETUP_SQ_REWIND; /* SQEs start at 0 each time */
}

/* For which ring a descriptor's type was asked for, once; 0: for none since it was opened. */
#define STREAMS_MOST 65536
static _Atomic uint8_t asked_by[STREAMS_MOST];

static bool is_stream(int fd)
{
	socklen_t length = sizeof(int);
	int type = 0;

	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) == 0 && type == SOCK_STREAM;
}

void files_registered(const struct call *call, const int *files)
{
	const uint32_t count = call->record.arguments[0], first = call->record.arguments[1];

	for (unsigned i = 0; channel->checks && call->state && files && i < count; i++)
		if (files[i] >= 0 && is_stream(files[i]))
			record_write(RECORD_STREAM, call->state->number, first + i, 1, NULL, 0);
}

static void look_for_a_stream(const struct ring_state *state, const struct io_uring_sqe *sqe)
{
	uint8_t asks = (uint8_t)(state->number % UINT8_MAX + 1);

	if (!channel->checks || sqe->flags & IOSQE_FIXED_FILE || sqe->fd < 0 ||
	    sqe->fd >= STREAMS_MOST)
		return;
	if (sqe->opcode == IORING_OP_CLOSE && !sqe->file_index)
		asked_by[sqe->fd] = 0;
	if (!is_send(sqe->opcode) || asked_by[sqe->fd] == asks)
		return;
	asked_by[sqe->fd] = asks;
	if (is_stream(sqe->fd))
		record_write(RECORD_STREAM, state->number, (uint32_t)sqe->fd, 0, NULL, 0);
}

/* Where the first thread's stack has begun; glibc's. */
extern void *__libc_stack_end __attribute__((weak)); /* NOLINT(bugprone-reserved-identifier) */

/*
 * Where a function that has returned had its variables. Known of the first thread, whose stack
 * grows down from a place that is known; of the 8 MiB below, all is its.
 */
static bool points_below_stack(const struct io_uring_sqe *sqe)
{
	uintptr_t top = &__libc_stack_end ? (uintptr_t)__libc_stack_end : 0;

	return thread == process && stack < top && top - stack < STACK_SIZE && sqe->addr < stack &&
	       top - sqe->addr < STACK_SIZE;
}

static void look_at_sqes(struct ring_state *state, const struct io_uring *ring, bool never)
{
	unsigned index = rewinds(ring) ? 0 : state->sqe_seen;
	unsigned tail = ring->sq.sqe_tail;
	unsigned most = RECORD_MOST / 2 / sqe_size(ring);
	unsigned count;
	_Alignas(8) char pointed[POINTED_MOST];
	uint16_t flags;
	size_t length;

	/* Another process, or a thread that is in a call just now, is further than `ring` says. */
	if (!ahead(tail, index))
		return;
	if (tail - index > ring->sq.ring_entries) {
		count = tail - index - ring->sq.ring_entries;
		record_write(RECORD_MISSED, state->number, count, 0, NULL, 0);
		index += count;
		state->sqe_seen += count;
	}
	while (index != tail) {
		length = 0;
		flags = 0;
		for (count = 0; count < most && index + count != tail && !length && !flags;
		     count++) {
			look_for_a_stream(state, sqe_at(ring, index + count));
			flags = unmark(state, ring, index + count) ? SQES_LEFT_OVER : 0;
			flags |= points_below_stack(sqe_at(ring, index + count)) ? SQES_DEAD : 0;
			length = copy_pointed(sqe_at(ring, index + count), pointed);
		}
		record_sqes(state, ring, index, count, flags | (never ? SQES_NEVER : 0), pointed,
			    length);
		index += count;
	}
}

/* CQEs */

/* The space is taken first and the CQEs after that: so they stand in the log in their order. */
static bool record_cqes(struct ring_state *state, unsigned from, unsigned count)
{
	const struct io_uring *view = &state->view;
	unsigned size = (unsigned)sizeof(struct io_uring_cqe)
			<< !!(view->flags & IORING_SETUP_CQE32);
	struct record *record = entries_begin(RECORD_CQES, state, from, count, size, 0);
	unsigned overwritten;
	int unseen = (int)(from - IO_URING_READ_ONCE(*view->cq.khead));
	char *cqes;

	if (!record)
		return false;
	if (!atomic_compare_exchange_strong(&state->cqe_seen, &from, from + count)) {
		record->kind = RECORD_NOTHING;
		record_end(record);
		return true;
	}
	cqes = entries_copy(record, view->cq.cqes, from, view->cq.ring_mask) - (size_t)count * size;
	/* What CQEs of other threads' calls have overwritten meanwhile is left out. */
	atomic_thread_fence(memory_order_acquire);
	overwritten = IO_URING_READ_ONCE(*view->cq.ktail) - from;
	overwritten = overwritten > view->cq.ring_entries ? overwritten - view->cq.ring_entries : 0;
	overwritten = MIN(overwritten, count);
	memmove(cqes, cqes + (size_t)overwritten * size, (size_t)(count - overwritten) * size);
	((struct entries *)(record + 1))->count -= overwritten;
	record->number += overwritten;
	unseen += (int)overwritten;
	if (unseen > 0)
		record->flags = (uint16_t)MIN(unseen, UINT16_MAX);
	record_end(record);
	if (overwritten)
		record_write(RECORD_MISSED, state->number, overwritten, 1, NULL, 0);
	return true;
}

static void look_at_cqes(struct ring_state *state)
{
	const struct io_uring *view = &state->view;
	unsigned most = RECORD_MOST / 2 / sizeof(struct io_uring_cqe) / 2;
	unsigned from, count;

	for (;;) {
		from = state->cqe_seen;
		count = io_uring_smp_load_acquire(view->cq.ktail) - from;
		if (count > view->cq.ring_entries) {
			count -= view->cq.ring_entries;
			if (atomic_compare_exchange_strong(&state->cqe_seen, &from, from + count))
				record_write(RECORD_MISSED, state->number, count, 1, NULL, 0);
			continue;
		}
		if (!count || !record_cqes(state, from, MIN(count, most)))
			return;
	}
}

/* Buffer rings */

static void look_at_buffer_ring(struct ring_state *state, struct buffer_ring *ring)
{
	uint16_t tail = IO_URING_READ_ONCE(ring->memory->tail);
	unsigned size = sizeof(struct io_uring_buf), count;
	struct record *record;

	for (; ring->seen != tail; ring->seen += (uint16_t)count) {
		count = MIN((uint16_t)(tail - ring->seen), RECORD_MOST / 2 / size);
		record = entries_begin(RECORD_BUFFERS, state, ring->group, count, size, 0);
		if (!record)
			return;
		entries_copy(record, ring->memory->bufs, ring->seen, ring->entries - 1);
		record_end(record);
	}
}

static void look_at_buffers(struct ring_state *state)
{
	for (unsigned i = 0; i < BUFFER_RINGS; i++)
		if (state->buffer_rings[i].memory)
			look_at_buffer_ring(state, &state->buffer_rings[i]);
}

void buffer_ring_registered(const struct call *call, uintptr_t address)
{
	struct buffer_ring ring = {.memory = (const struct io_uring_buf_ring *)address,
				   .entries = call->record.arguments[1],
				   .group = call->record.arguments[0]};

	for (unsigned i = 0; call->state && address && i < BUFFER_RINGS; i++)
		if (!call->state->buffer_rings[i].memory) {
			call->state->buffer_rings[i] = ring;
			return;
		}
}

static void buffer_ring_gone(struct ring_state *state, unsigned group)
{
	for (unsigned i = 0; i < BUFFER_RINGS; i++)
		if (state->buffer_rings[i].group == group)
			state->buffer_rings[i].memory = NULL;
}

/* Rings */

static bool is_open(const struct ring_state *state)
{
	return state->key && state->key != &being_filled;
}

static struct ring_state *ring_known(const struct io_uring *ring)
{
	struct ring_state *state = ring->sq.khead ? states : NULL;

	while (state && state->key != ring->sq.khead)
		state = state->next;
	return state;
}

/* A free place, or NULL without memory: the ring goes unrecorded then. */
static struct ring_state *ring_place(void)
{
	struct ring_state *state;
	const unsigned *nobody;

	for (state = states; state; state = state->next) {
		nobody = NULL;
		if (atomic_compare_exchange_strong(&state->key, &nobody, &being_filled))
			return state;
	}
	state = mmap(NULL, sizeof(*state), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		     0);
	if (state == MAP_FAILED)
		return NULL;
	state->key = &being_filled;
	state->next = states;
	while (!atomic_compare_exchange_weak(&states, &state->next, state))
		;
	return state;
}

/* `first` is the number of the SQE at the ring's first place, where it rewinds. */
static struct ring_counters ring_counters(const struct ring_state *state,
					  const struct io_uring *ring, unsigned first)
{
	const struct io_uring *view = &state->view;
	struct ring_counters counters = {
		.sq_head = IO_URING_READ_ONCE(*view->sq.khead),
		.sq_tail = IO_URING_READ_ONCE(*view->sq.ktail),
		.sqe_tail = ring->sq.sqe_tail,
		.sq_flags = IO_URING_READ_ONCE(*view->sq.kflags),
		.cq_head = IO_URING_READ_ONCE(*view->cq.khead),
		.cq_tail = IO_URING_READ_ONCE(*view->cq.ktail),
		.cq_overflow = IO_URING_READ_ONCE(*view->cq.koverflow),
	};

	/* The kernel counts from 0 again and again: the log does not. */
	if (rewinds(ring)) {
		counters.sq_head = counters.sq_tail = first;
		counters.sqe_tail += first;
	}
	return counters;
}

static void record_ring(uint32_t number, enum how how, const struct io_uring *ring, uint32_t idle)
{
	struct ring_record record = {
		.flags = ring->flags,
		.features = ring->features,
		.fd = ring->ring_fd,
		.sq_entries = ring->sq.ring_entries,
		.cq_entries = ring->cq.ring_entries,
		.idle = idle,
	};

	record_write(RECORD_RING, number, how, 0, &record, sizeof(record));
}

static struct ring_state *ring_add(const struct io_uring *ring, enum how how, uint32_t idle)
{
	struct ring_state *state = ring_known(ring);

	/* A ring that went without io_uring_queue_exit(), and whose memory is in use again. */
	if (state)
		state->key = NULL;
	state = ring_place();
	if (!state)
		return NULL;
	state->view = *ring;
	state->program = ring;
	state->number = atomic_fetch_add(&channel->rings, 1) + 1;
	state->sqe_seen = state->sqe_named = ring->sq.sqe_head;
	state->cqe_seen = IO_URING_READ_ONCE(*ring->cq.khead);
	state->looks = 0;
	memset(state->buffer_rings, 0, sizeof(state->buffer_rings));
	marks_begin(state, ring);
	if (!process_is_recorded) {
		process_is_recorded = true;
		record_write(RECORD_PROCESS, 0, (uint32_t)getppid(), 0, NULL, 0);
	}
	record_ring(state->number, how, ring, idle);
	state->key = ring->sq.khead;
	return state;
}

/* The lines of /proc/self/maps, read without the program's heap or a cancellation point. */
static bool maps_line(int fd, char *line, size_t size)
{
	size_t length = 0;

	while (length < size - 1 && syscall(SYS_read, fd, &line[length], 1) == 1 &&
	       line[length] != '\n')
		length++;
	line[length] = '\0';
	return length > 0;
}

/*
 * Whether the memory is a ring's: what a struct io_uring says may be left over from a ring that is
 * closed, or rubbish.
 */
static bool is_ring_memory(const void *address)
{
	int fd = (int)syscall(SYS_openat, AT_FDCWD, "/proc/self/maps", O_RDONLY | O_CLOEXEC);
	char line[128 + 64];
	char *end;
	bool found = false;

	while (fd >= 0 && maps_line(fd, line, sizeof(line))) {
		uintptr_t from = strtoul(line, &end, 16);

		if (*end == '-' && (uintptr_t)address >= from &&
		    (uintptr_t)address < strtoul(end + 1, NULL, 16)) {
			found = strstr(line, "[io_uring]") != NULL;
			break;
		}
	}
	if (fd >= 0)
		syscall(SYS_close, fd);
	return found;
}

/* One that was opened unseen, or by the parent before fork(2), is found where it is used. */
static struct ring_state *ring_find(const struct io_uring *ring)
{
	struct ring_state *state = ring_known(ring);

	if (state || !ring->sq.khead || !is_ring_memory(ring->sq.khead) ||
	    !is_ring_memory(ring->cq.khead))
		return state;
	return ring_add(ring, RING_FOUND, 0);
}

struct io_uring *ring_of_descriptor(int fd, bool registered)
{
	for (struct ring_state *state = states; state; state = state->next)
		if (is_open(state) &&
		    fd == (registered ? state->view.enter_ring_fd : state->view.ring_fd))
			return &state->view;
	return NULL;
}

/*
 * The program's struct io_uring at its end, when that may have been overwritten: how many SQEs it
 * has prepared is believed where all else in it is as it was.
 */
static struct io_uring last_view(const struct ring_state *state)
{
	const struct io_uring *view = &state->view;
	struct io_uring last, expected = *view;

	if (memory_peek((uintptr_t)state->program, &last, sizeof(last)) != sizeof(last))
		return *view;
	expected.sq.sqe_head = last.sq.sqe_head;
	expected.sq.sqe_tail = last.sq.sqe_tail;
	expected.enter_ring_fd = last.enter_ring_fd;
	expected.int_flags = last.int_flags;
	if (memcmp(&last, &expected, sizeof(last)) != 0 ||
	    last.sq.sqe_tail - last.sq.sqe_head > last.sq.ring_entries ||
	    last.sq.sqe_head != view->sq.sqe_head)
		return *view;
	return last;
}

static void ring_ends(struct ring_state *state, const struct io_uring *ring, enum ring_ending how)
{
	struct ring_end end;
	unsigned taken = ahead(IO_URING_READ_ONCE(*state->view.sq.khead), state->sqe_seen);

	look_at_cqes(state);
	if (taken && !rewinds(ring)) {
		record_write(RECORD_MISSED, state->number, taken, 0, NULL, 0);
		state->sqe_seen += taken;
	}
	/* What was prepared since the last call, and stays so. */
	look_at_sqes(state, ring, true);
	end.counters = ring_counters(state, ring, state->sqe_seen);
	end.counters.looks = state->looks;
	record_write(RECORD_RING_END, state->number, how, 0, &end, sizeof(end));
	marks_end(state);
	state->key = NULL;
}

/* Calls */

bool recorder_enter(void)
{
	if (inside || !is_recording())
		return false;
	inside = true;
	return true;
}

void recorder_leave(void)
{
	inside = false;
}

void ring_opened(unsigned entries, struct io_uring *ring, const struct io_uring_params *params,
		 int result)
{
	struct ring_record failed = {.sq_entries = entries, .result = result};

	if (result >= 0)
		ring_add(ring, RING_OPENED, params ? params->sq_thread_idle : 0);
	else
		record_write(RECORD_RING, 0, RING_FAILED, 0, &failed, sizeof(failed));
	wake_reader();
}

void ring_closing(struct io_uring *ring)
{
	struct ring_state *state = ring_known(ring);

	if (state)
		ring_ends(state, ring, RING_CLOSED);
	wake_reader();
}

/* The ring's memory is another one now, with the same numbers of entries seen. */
static void ring_resized(struct call *call)
{
	marks_end(call->state);
	call->state->view = *call->ring;
	call->state->key = call->ring->sq.khead;
	record_ring(call->state->number, RING_RESIZED, call->ring, 0);
}

/* Puts down which call the thread is in, from which it may not return. */
static void note_inside(const struct call *call)
{
	struct inside_record *put;
	unsigned count = 0, index = call->record.before.sq_tail;

	if (!seat)
		find_seat();
	put = &seat->inside;
	seat->record = (struct record){
		.kind = RECORD_INSIDE,
		.size = sizeof(*put) + sizeof(seat->record),
		.flags = (uint16_t)call->kind,
		.process = (uint32_t)process,
		.thread = (uint32_t)thread,
		.ring = call->state->number,
		.number = call->id,
	};
	put->call = call->record;
	put->call.after = call->record.before;
	for (; call->kind == CALL_WAITS && count < PREPARED_MOST &&
	       ahead(call->record.before.sqe_tail, index);
	     count++, index++) {
		const struct io_uring_sqe *sqe = sqe_at(call->ring, index);

		put->prepared[count] = (struct prepared){sqe->opcode, sqe->flags, sqe->fd};
	}
	seat->is_inside = true;
}

/* At the process's end: the calls that its threads have not come back from. */
static void record_insides(void)
{
	for (struct seat *other = channel->seats; other < &channel->seats[SEATS]; other++) {
		struct record *record;

		if (!other->is_inside || other->process != (uint32_t)process)
			continue;
		other->is_inside = false;
		record = record_begin(RECORD_INSIDE, other->record.ring, other->record.number,
				      sizeof(other->inside));
		if (!record)
			return;
		record->flags = other->record.flags;
		record->thread = other->record.thread;
		memcpy(record + 1, &other->inside, sizeof(other->inside));
		record_end(record);
	}
}

void call_begin(struct call *call, bool traced)
{
	unsigned first;

	if (!traced) {
		if (call->kind == CALL_SUBMITS && call->ring && ring_known(call->ring))
			unmark_all(ring_known(call->ring), call->ring);
		return;
	}
	stack = call->stack;
	call->state = call->ring ? ring_find(call->ring) : NULL;
	if (call->state) {
		/* A program that makes the system calls itself writes the kernel's tail itself. */
		if (call->ring == &call->state->view)
			call->ring->sq.sqe_tail = IO_URING_READ_ONCE(*call->ring->sq.ktail);
		/* CQEs first: a buffer that is given back comes from one of them. */
		look_at_cqes(call->state);
		if (call->kind != CALL_REGISTERS)
			look_at_buffers(call->state);
		first = call->state->sqe_seen;
		if (call->kind == CALL_SUBMITS)
			look_at_sqes(call->state, call->ring, false);
		if (call->id == CALL_unregister_buf_ring || call->id == CALL_free_buf_ring)
			buffer_ring_gone(call->state, call->record.arguments[0]);
		call->record.before = ring_counters(call->state, call->ring, first);
	}
	call->record.began = clock_ns(CLOCK_MONOTONIC);
	if (call->state && (call->kind == CALL_SUBMITS || call->kind == CALL_WAITS))
		note_inside(call);
}

#define CQ_ENTER 4 /* later liburings' int_flags: a look goes into the kernel */

/* A look into the ring that cost nothing: programs do that in loops. */
static bool is_vain_look(const struct call *call)
{
	const struct ring_counters *before = &call->record.before;

	return call->kind == CALL_LOOKS && !(before->sq_flags & ~IORING_SQ_NEED_WAKEUP) &&
	       !(call->ring->flags & IORING_SETUP_IOPOLL) && !(call->ring->int_flags & CQ_ENTER);
}

/*
 * For how long, in milliseconds, the thread has done nothing but look in vain; 0 where it has not,
 * or not for SPINNING yet. It asks for the time, which is a system call, after every few thousand.
 */
static uint32_t has_spun(const struct call *call)
{
	const struct io_uring *view = &call->state->view;
	uint64_t time;

	if (call->kind != CALL_LOOKS ||
	    IO_URING_READ_ONCE(*view->cq.ktail) != call->record.before.cq_head) {
		vain_looks = 0;
		return 0;
	}
	if (++vain_looks % LOOKS_A_TIME != 0)
		return 0;
	if (vain_looks == LOOKS_A_TIME)
		spinning_since = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	time = clock_ns(CLOCK_THREAD_CPUTIME_ID) - spinning_since;
	if (time < SPINNING_NS)
		return 0;
	/* With other work between the looks, it is no spinning. */
	if (vain_looks < SPINNING_LOOKS)
		time = 0;
	vain_looks = 0;
	return (uint32_t)(time / 1000000);
}

static void record_call(struct call *call, int result)
{
	struct ring_state *state = call->state;

	call->record.result = result;
	if (state) {
		call->record.spun = has_spun(call);
		if (is_vain_look(call)) {
			state->looks++;
			if (!call->record.spun)
				return;
		}
		call->record.before.looks = state->looks;
		state->looks = 0;
		state->program = call->ring;
		state->view.sq.sqe_head = call->ring->sq.sqe_head;
		state->view.sq.sqe_tail = call->ring->sq.sqe_tail;
		call->record.after = ring_counters(state, call->ring, state->sqe_seen);
		if (call->kind == CALL_SUBMITS && rewinds(call->ring))
			call->record.after.sq_head =
				call->record.before.sq_head + (result > 0 ? (unsigned)result : 0);
	}
	record_write(RECORD_CALL, state ? state->number : 0, call->id, (uint16_t)call->kind,
		     &call->record, sizeof(call->record));
}

void call_end(struct call *call, int result)
{
	if (seat)
		seat->is_inside = false;
	if (call->id == CALL_resize_rings && call->state && result >= 0)
		ring_resized(call);
	/* Another thread may have closed the ring. */
	if (is_recording() && (!call->state || ring_known(call->ring) == call->state)) {
		record_call(call, result);
		if (call->state)
			look_at_cqes(call->state);
		if (call->state && call->kind == CALL_SUBMITS)
			mark_taken(call->state, call->ring);
		wake_reader();
	}
}

/* A descriptor's calls that pass by the rings */

/* A child of vfork(2) closes descriptors of its own, in its parent's memory. */
static bool is_recorded_process(void)
{
	return process_is_recorded && getpid() == process;
}

void descriptor_shutting_down(int fd)
{
	if (is_recorded_process())
		record_write(RECORD_SHUTDOWN, 0, (uint32_t)fd, 0, NULL, 0);
}

/* What the record of a close(2) says of an SQE with the descriptor that is still to be submitted.
 */
static uint16_t prepared_with(const struct ring_state *state, int fd)
{
	struct io_uring ring = last_view(state);
	unsigned index = state->sqe_seen;

	for (; (int)(index - ring.sq.sqe_tail) < 0 && !rewinds(&ring); index++) {
		const struct io_uring_sqe *sqe = sqe_at(&ring, index);

		if (sqe->fd == fd && !(sqe->flags & IOSQE_FIXED_FILE))
			return (uint16_t)(CLOSE_PREPARED | sqe->opcode << CLOSE_OPCODE);
	}
	return 0;
}

/* What has completed by now is not in flight any more. */
void descriptor_closing(int fd)
{
	uint16_t flags = 0;

	if (!is_recorded_process())
		return;
	for (struct ring_state *state = states; state; state = state->next) {
		if (!is_open(state))
			continue;
		look_at_cqes(state);
		if (channel->checks && !flags)
			flags = prepared_with(state, fd);
	}
	if (fd >= 0 && fd < STREAMS_MOST)
		asked_by[fd] = 0;
	flags |= fcntl(fd, F_GETFD) < 0 ? CLOSE_FAILS : 0;
	record_write(RECORD_CLOSE, 0, (uint32_t)fd, flags, NULL, 0);
}

/*
 * Which function prepares an SQE: known in programs that are compiled with -finstrument-functions,
 * because each of their functions, an inlined one too, then calls the two below.
 */

#define DEEPEST 64

THREAD_LOCAL const void *functions[DEEPEST]; /* that the thread is in */
THREAD_LOCAL unsigned depth;

/* The program's file, in memory; NULL where that can't be had. */
static const char *program_file(void)
{
	static const char *file;
	struct stat status;
	void *mapped = MAP_FAILED;
	int fd;

	if (file)
		return file;
	fd = (int)syscall(SYS_openat, AT_FDCWD, "/proc/self/exe", O_RDONLY | O_CLOEXEC);
	if (fd >= 0 && fstat(fd, &status) == 0)
		mapped = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (fd >= 0)
		syscall(SYS_close, fd);
	return file = mapped == MAP_FAILED ? NULL : mapped;
}

/* In the program's own table of symbols, which knows its static functions too, unlike dladdr(3). */
static const char *function_name(const void *function)
{
	const char *file = program_file();
	const ElfW(Ehdr) *header = (const ElfW(Ehdr) *)file;
	const ElfW(Shdr) * sections, *section;
	const ElfW(Sym) * symbol, *end;
	uintptr_t address;

	if (!file)
		return NULL;
	sections = (const ElfW(Shdr) *)(file + header->e_shoff);
	address = (uintptr_t)function - (getauxval(AT_ENTRY) - header->e_entry);
	for (section = sections; section < &sections[header->e_shnum]; section++) {
		symbol = (const ElfW(Sym) *)(file + section->sh_offset);
		end = symbol + section->sh_size / sizeof(*symbol);
		for (; section->sh_type == SHT_SYMTAB && symbol < end; symbol++)
			if (symbol->st_value == address && (symbol->st_info & 0xf) == STT_FUNC)
				return file + sections[section->sh_link].sh_offset +
				       symbol->st_name;
	}
	return NULL;
}

/* The innermost function that the thread is in, except for those that only find a free SQE. */
static const char *preparing_function(void)
{
	for (unsigned i = MIN(depth, DEEPEST); i > 0; i--) {
		const char *name = function_name(functions[i - 1]);

		if (name && !strstr(name, "get_sqe"))
			return name;
	}
	return NULL;
}

/* Has one of the rings, which may have moved, or gone, new SQEs? */
static void name_sqes(void)
{
	struct io_uring ring;
	const char *name;
	unsigned count;

	for (struct ring_state *state = states; state; state = state->next) {
		if (!is_open(state) ||
		    memory_peek((uintptr_t)state->program, &ring, sizeof(ring)) != sizeof(ring) ||
		    ring.sq.khead != state->key || rewinds(&ring))
			continue;
		count = ring.sq.sqe_tail - state->sqe_named;
		state->sqe_named += count;
		if (!count || count > ring.sq.ring_entries || !(name = preparing_function()))
			continue;
		record_write(RECORD_FUNCTION, state->number, ring.sq.sqe_tail - count,
			     (uint16_t)count, name, strlen(name) + 1);
	}
}

/* What is prepared by now is the work of the function that the thread was in. */
static void function_changes(const void *function, bool enters)
{
	int saved_errno = errno;

	if (inside || !channel)
		return;
	inside = true;
	if (is_recording())
		name_sqes();
	if (enters && depth < DEEPEST)
		functions[depth] = function;
	depth += enters;
	/* longjmp(3) has passed by the ends of some. */
	while (!enters && depth > 0 && --depth < DEEPEST && functions[depth] != function)
		;
	inside = false;
	errno = saved_errno;
}

/* NOLINTBEGIN(bugprone-reserved-identifier) */
void __cyg_profile_func_enter(void *function, void *caller);
void __cyg_profile_func_exit(void *function, void *caller);

__attribute__((no_instrument_function)) void __cyg_profile_func_enter(void *function, void *caller)
{
	(void)caller;
	function_changes(function, true);
}

__attribute__((no_instrument_function)) void __cyg_profile_func_exit(void *function, void *caller)
{
	(void)caller;
	function_changes(function, false);
}
/* NOLINTEND(bugprone-reserved-identifier) */

/* The beginning and the end of the process, and its doubling */

static void after_fork_in_child(void)
{
	process = getpid();
	seat = NULL;
	process_is_recorded = false;
	/* In a signal handler that interrupted a hook: that would go on in the parent's records. */
	if (inside && channel) {
		if (mmap(channel, sizeof(*channel), PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == channel)
			channel->stopped = true;
	}
	/* A child that goes on using its parent's ring, whose memory they share, finds it. */
	for (struct ring_state *state = states; state; state = state->next) {
		if (is_open(state) && state->user_data && is_ring_memory(state->view.sq.sqes))
			unmark_all(state, &state->view);
		marks_end(state);
		state->key = NULL;
	}
}

/* The program, and what it starts, finds the environment that it would have had. */
static void restore_environment(void)
{
	const char *preload = getenv(ENV_LD_PRELOAD);

	if (preload)
		setenv("LD_PRELOAD", preload, 1);
	else
		unsetenv("LD_PRELOAD");
	unsetenv(ENV_LD_PRELOAD);
	unsetenv(ENV_CHANNEL);
}

__attribute__((constructor)) static void start(void)
{
	const char *segment = getenv(ENV_CHANNEL);
	int saved_errno = errno;

	process = getpid();
	if (segment) {
		channel = shmat(atoi(segment), NULL, 0);
		if (channel == (void *)-1)
			channel = NULL;
		if (!channel || !channel->follows)
			restore_environment();
		pthread_atfork(NULL, NULL, after_fork_in_child);
	}
	/* A child that runs another program is one of ours if that opens a ring. */
	if (channel && process == channel->program) {
		process_is_recorded = true;
		record_write(RECORD_PROCESS, 0, 0, 0, NULL, 0);
	}
	errno = saved_errno;
}

/*
 * Whether the ring's memory is still there: the program may have unmapped it, and to read there
 * would end it. What the program has provided itself is no mapping of io_uring.
 */
static bool is_there(const struct io_uring *view)
{
	unsigned head;

	if (view->flags & SETUP_NO_MMAP)
		return memory_peek((uintptr_t)view->sq.khead, &head, sizeof(head)) ==
			       sizeof(head) &&
		       memory_peek((uintptr_t)view->sq.sqes, &head, sizeof(head)) == sizeof(head);
	return is_ring_memory(view->sq.khead) && is_ring_memory(view->cq.khead);
}

static void ring_at_exit(struct ring_state *state)
{
	static const struct ring_end gone;
	struct io_uring last = last_view(state);

	if (is_there(&state->view))
		ring_ends(state, &last, RING_LEFT);
	else
		record_write(RECORD_RING_END, state->number, RING_GONE, 0, &gone, sizeof(gone));
}

/* A child of vfork(2) has its parent's memory, and is not what ends here. */
__attribute__((destructor)) void recorder_finish(void)
{
	int saved_errno = errno;
	uint64_t position, consumed;

	if (!is_recording() || !is_recorded_process())
		return;
	/* In a signal handler that interrupted a hook, whose record will stay unfinished. */
	if (being_written) {
		being_written->kind = RECORD_NOTHING;
		record_end(being_written);
	}
	inside = true;
	for (struct ring_state *state = states; state; state = state->next)
		if (is_open(state) && is_there(&state->view))
			look_at_cqes(state);
	record_insides();
	for (struct ring_state *state = states; state; state = state->next)
		if (is_open(state))
			ring_at_exit(state);
	record_write(RECORD_EXIT, 0, 0, 0, NULL, 0);
	position = channel->reserved;
	atomic_fetch_add(&channel->exiting, 1);
	while ((consumed = channel->consumed) < position && !channel->stopped)
		wait_for_reader(consumed);
	atomic_fetch_sub(&channel->exiting, 1);
	finished = true;
	/* What the program has printed may still be in its buffers. */
	if (channel->status && process == channel->program) {
		fflush(NULL);
		syscall(SYS_exit_group, channel->status);
	}
	errno = saved_errno;
}
