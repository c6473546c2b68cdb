/*
 * ringtrace's hooks: this library is loaded before liburing and stands in for its functions. Each
 * one has the recorder look at the ring, calls the function itself, and has it look again.
 *
 * liburing's inline functions (io_uring_get_sqe, io_uring_prep_*, io_uring_cqe_seen, ...) are part
 * of the program and have no hook: what they do is in the ring's memory at the next hooked call.
 */
#include "tools/ringtrace/recorder.h"

#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define REGISTERED_RING (1U << 4)  /* of io_uring_enter's flags */
#define REGISTERED_FD	(1U << 31) /* of io_uring_register's opcode */

/*
 * A hook takes as many words as any of the functions has parameters, and hands them on as they are:
 * all are integers and pointers, which stand in the same places whatever their types. So it need
 * not know the types, which differ between liburings, or whether a function has fewer.
 */
typedef uintptr_t word;
#define WORDS word first, word second, word third, word fourth, word fifth, word sixth

struct next {
	const char *name;
	word (*function)(WORDS); /* NULL: not looked for yet */
};

/* A call that is passed on. The program has its errno back during it, and what it leaves after. */
struct passage {
	struct next *next;
	word words[6];
	int error;
	bool traced;
};

static void *this_library(void)
{
	Dl_info info;

	return dladdr((const void *)this_library, &info)
		       ? dlopen(info.dli_fname, RTLD_LAZY | RTLD_NOLOAD)
		       : NULL;
}

/*
 * The program's own functions: after this library in the search order, or in one that was loaded
 * with dlopen(3), a liburing of any name.
 */
static void *next_function(const char *name)
{
	void *function = dlsym(RTLD_NEXT, name), *program = dlopen(NULL, RTLD_LAZY), *library;
	struct link_map *map = NULL;

	if (!function && program)
		dlinfo(program, RTLD_DI_LINKMAP, &map);
	for (; map && !function; map = map->l_next) {
		library = *map->l_name ? dlopen(map->l_name, RTLD_LAZY | RTLD_NOLOAD) : NULL;
		if (library && library != this_library())
			function = dlsym(library, name);
	}
	if (!function)
		fprintf(stderr, "ringtrace: there is no %s to pass a call on to: it fails\n", name);
	return function;
}

/* struct io_uring_buf_reg, where liburing 2.3 takes the flags for padding, and passes none on. */
struct buf_reg {
	uint64_t address;
	uint32_t entries;
	uint16_t group, flags;
};

struct workers {
	uint32_t bounded, unbounded;
};

static word call_next(struct passage *passage, int without)
{
	struct next *next = passage->next;
	const word *words = passage->words;
	word result = (word)without;

	if (!next->function)
		next->function = (word(*)(WORDS))next_function(next->name);
	errno = passage->error;
	if (next->function)
		result = next->function(words[0], words[1], words[2], words[3], words[4], words[5]);
	passage->error = errno;
	return result;
}

/* What some calls have put where the recorder wants to find it. */
static void has_registered(const struct call *call, const word *words, word result)
{
	switch (call->id) {
	case CALL_register_files:
	case CALL_register_files_tags: files_registered(call, (const int *)words[1]); break;
	case CALL_register_files_update:
	case CALL_register_files_update_tag: files_registered(call, (const int *)words[2]); break;
	case CALL_register_buf_ring:
		buffer_ring_registered(call, ((const struct buf_reg *)words[1])->address);
		break;
	case CALL_setup_buf_ring: buffer_ring_registered(call, result); break;
	default: break;
	}
}

static word pass_on(struct passage *passage, struct call *call)
{
	/* These two return no error. */
	bool gives = call->id == CALL_setup_buf_ring || call->id == CALL_peek_batch_cqe;
	word result;
	int error;

	call_begin(call, passage->traced);
	result = call_next(passage, gives ? 0 : -ENOSYS);
	error = gives ? 0 : (int)result;
	if (call->id == CALL_setup_buf_ring && !result)
		error = *(const int *)passage->words[4];
	if (passage->traced && error >= 0)
		has_registered(call, passage->words, result);
	if (passage->traced)
		call_end(call, error);
	return result;
}

static word pass_on_opening(struct passage *passage, unsigned entries, word ring, word params)
{
	word result = call_next(passage, -ENOSYS);

	if (passage->traced)
		ring_opened(entries, (struct io_uring *)ring,
			    (const struct io_uring_params *)params, (int)result);
	return result;
}

static word pass_on_exit(struct passage *passage)
{
	if (passage->traced)
		ring_closing((struct io_uring *)passage->words[0]);
	return call_next(passage, 0);
}

static word pass_on_descriptor(struct passage *passage, void (*before)(int fd))
{
	if (passage->traced) {
		before((int)passage->words[0]);
		/* A thread that is cancelled in close(2) does not come back to do it. */
		recorder_leave();
		passage->traced = false;
	}
	return call_next(passage, -1);
}

/* NOLINTBEGIN(bugprone-macro-parentheses,bugprone-reserved-identifier) */
#define STANDS_IN(function, pass_on)                                                               \
	word hook_##function(WORDS) __asm__(#function);                                            \
	word hook_##function(WORDS)                                                                \
	{                                                                                          \
		static struct next next = {#function};                                             \
		struct passage passage = {&next,                                                   \
					  {first, second, third, fourth, fifth, sixth},            \
					  errno,                                                   \
					  recorder_enter()};                                       \
		word result = pass_on;                                                             \
                                                                                                   \
		if (passage.traced)                                                                \
			recorder_leave();                                                          \
		errno = passage.error;                                                             \
		return result;                                                                     \
	}

/* A hook: its function, the call that it is, its kind and ring, and the numbers to record. */
#define HOOK(function, id, kind, ring, ...)                                                        \
	STANDS_IN(function, pass_on(&passage, &(struct call){id, kind, ring,                       \
							     (uintptr_t)__builtin_dwarf_cfa(),     \
							     .record.arguments = {__VA_ARGS__}}))
#define RING	   ((struct io_uring *)passage.words[0])
#define ARG(place) ((uint32_t)passage.words[place])
#define AT(place, type, member)                                                                    \
	(passage.words[place] ? ((const struct type *)passage.words[place])->member : 0)

/* Most are in the list of calls. */
#define LISTED_HOOK(name, kind, arguments, ...)                                                    \
	HOOK(io_uring_##name, CALL_##name, CALL_##kind, RING, __VA_ARGS__)
#define OTHER_HOOK(...)
CALLS(LISTED_HOOK, OTHER_HOOK)

/* What the inline io_uring_wait_cqe() and io_uring_peek_cqe() come to when the CQ is empty. */
HOOK(__io_uring_get_cqe, ARG(3) ? CALL_wait_cqe : CALL_peek_cqe,
     ARG(2)   ? CALL_SUBMITS
     : ARG(3) ? CALL_WAITS
	      : CALL_LOOKS,
     RING, ARG(3))
HOOK(__io_uring_sqring_wait, CALL_sqring_wait, CALL_WAITS, RING, 0)

/* The system calls under their own names: which ring, the descriptor says. */
HOOK(io_uring_enter, CALL_enter, CALL_SUBMITS,
     ring_of_descriptor((int)ARG(0), ARG(3) & REGISTERED_RING), ARG(2), ARG(0), ARG(1), ARG(3))
HOOK(io_uring_enter2, CALL_enter2, CALL_SUBMITS,
     ring_of_descriptor((int)ARG(0), ARG(3) & REGISTERED_RING), ARG(2), ARG(0), ARG(1), ARG(3))
HOOK(io_uring_register, CALL_register, CALL_REGISTERS,
     ring_of_descriptor((int)ARG(0), ARG(1) & REGISTERED_FD), ARG(0), ARG(1) & ~REGISTERED_FD,
     ARG(3))

/* The same calls by names that later liburings have for them, too. */
HOOK(__io_uring_clone_buffers, CALL_clone_buffers, CALL_REGISTERS, RING, AT(1, io_uring, ring_fd))
HOOK(__io_uring_clone_buffers_offset, CALL_clone_buffers_offset, CALL_REGISTERS, RING,
     AT(1, io_uring, ring_fd), ARG(4), ARG(3), ARG(2))

/* These have no ring. */
HOOK(io_uring_register_bpf_filter_task, CALL_register_bpf_filter_task, CALL_REGISTERS, NULL, 0)
HOOK(io_uring_register_query, CALL_register_query, CALL_REGISTERS, NULL, 0)
HOOK(io_uring_register_sync_msg, CALL_register_sync_msg, CALL_REGISTERS, NULL,
     AT(0, io_uring_sqe, fd), AT(0, io_uring_sqe, len))

/* Opening and closing */

#define OPENING_HOOK(function, entries, ring, params)                                              \
	STANDS_IN(function, pass_on_opening(&passage, entries, passage.words[ring], params))

OPENING_HOOK(io_uring_queue_init, ARG(0), 1, 0)
OPENING_HOOK(io_uring_queue_init_params, ARG(0), 1, passage.words[2])
OPENING_HOOK(io_uring_queue_init_mem, ARG(0), 1, passage.words[2])
OPENING_HOOK(io_uring_queue_mmap, AT(1, io_uring_params, sq_entries), 2, passage.words[1])
STANDS_IN(io_uring_queue_exit, pass_on_exit(&passage))

/* libc's functions */

STANDS_IN(close, pass_on_descriptor(&passage, descriptor_closing))
STANDS_IN(shutdown, ARG(1) == SHUT_RD ? call_next(&passage, -1)
				      : pass_on_descriptor(&passage, descriptor_shutting_down))

/* NOLINTEND(bugprone-macro-parentheses,bugprone-reserved-identifier) */

/* The ways out that run no destructor. Nothing runs when a signal ends the process. */
void _exit(int status)
{
	void (*next)(int) = (void (*)(int))next_function("_exit");

	recorder_finish();
	next(status);
	__builtin_unreachable();
}

void _Exit(int status)
{
	_exit(status);
}
