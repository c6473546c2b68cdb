/*
 * ringtrace's hooks: this library is loaded before liburing and stands in for its functions. Each
 * one has the recorder look at the ring, calls the function itself, and has it look again.
 *
 * liburing's inline functions (io_uring_get_sqe, io_uring_prep_*, io_uring_cqe_seen, ...) are part
 * of the program and have no hook: what they do is in the ring's memory at the next hooked call.
 */
#define io_uring_enter2 declared_by_liburing /* liburings differ in the type of its `arg` */
#include "tools/ringtrace/recorder.h"
#undef io_uring_enter2

#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define REGISTERED_RING (1U << 4)  /* of io_uring_enter's flags */
#define REGISTERED_FD	(1U << 31) /* of io_uring_register's opcode */

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

/* The macros' arguments are names, types and lists, which take no parentheses. Newer headers than
 * liburing 2.3's declare these functions, too, and name some parameters otherwise.
 * NOLINTBEGIN(bugprone-macro-parentheses,bugprone-reserved-identifier,readability-*) */
#define NEXT(function)                                                                             \
	({                                                                                         \
		static __typeof__(&function) found;                                                \
		if (!found)                                                                        \
			found = (__typeof__(&function))next_function(#function);                   \
		found;                                                                             \
	})

#define RING struct io_uring *ring /* the first parameter of nearly all */

/*
 * A hook: its name, the call that it is, its kind and ring, its parameters, its arguments, and the
 * numbers to record. It is declared, too: older headers lack some.
 */
#define NAMED_HOOK(function, id, kind, of_ring, parameters, passed, ...)                           \
	int function parameters;                                                                   \
	int function parameters                                                                    \
	{                                                                                          \
		struct call call = {id, kind, of_ring, .stack = (uintptr_t)__builtin_dwarf_cfa(),  \
				    .record.arguments = {__VA_ARGS__}};                            \
		__typeof__(&function) next = NEXT(function);                                       \
		bool traced = call_begin(&call);                                                   \
		int result = next ? next passed : -ENOSYS;                                         \
                                                                                                   \
		if (traced)                                                                        \
			call_end(&call, result);                                                   \
		return result;                                                                     \
	}
#define HOOK(name, kind, parameters, passed, ...)                                                  \
	NAMED_HOOK(io_uring_##name, CALL_##name, kind, ring, parameters, passed, __VA_ARGS__)
#define REGISTER(name, parameters, passed, ...)                                                    \
	HOOK(name, CALL_REGISTERS, parameters, passed, __VA_ARGS__)
/* A hook that takes `files`, `nr` of them, for the slots from `first` on. */
#define FILES_HOOK(name, parameters, passed, first)                                                \
	int io_uring_##name parameters                                                             \
	{                                                                                          \
		struct call call = {CALL_##name, CALL_REGISTERS, ring,                             \
				    .record.arguments = {nr, first}};                              \
		__typeof__(&io_uring_##name) next = NEXT(io_uring_##name);                         \
		bool traced = call_begin(&call);                                                   \
		int result = next ? next passed : -ENOSYS;                                         \
                                                                                                   \
		if (traced && result >= 0)                                                         \
			files_registered(&call, files, nr, first);                                 \
		if (traced)                                                                        \
			call_end(&call, result);                                                   \
		return result;                                                                     \
	}
#define REGISTER_WITHOUT_RING(name, parameters, passed, ...)                                       \
	NAMED_HOOK(io_uring_##name, CALL_##name, CALL_REGISTERS, NULL, parameters, passed,         \
		   __VA_ARGS__)

/* Opening and closing */

#define OPENING_HOOK(function, entries, parameters, passed, given)                                 \
	int function parameters;                                                                   \
	int function parameters                                                                    \
	{                                                                                          \
		bool traced = opening_begin();                                                     \
		unsigned asked = entries;                                                          \
		__typeof__(&function) next = NEXT(function);                                       \
		int result = next ? next passed : -ENOSYS;                                         \
                                                                                                   \
		if (traced)                                                                        \
			opening_end(asked, ring, given, result);                                   \
		return result;                                                                     \
	}

OPENING_HOOK(io_uring_queue_init, entries,
	     (unsigned entries, struct io_uring *ring, unsigned flags), (entries, ring, flags),
	     NULL)
OPENING_HOOK(io_uring_queue_init_params, entries,
	     (unsigned entries, struct io_uring *ring, struct io_uring_params *p),
	     (entries, ring, p), p)
OPENING_HOOK(io_uring_queue_mmap, p ? p->sq_entries : 0,
	     (int fd, struct io_uring_params *p, struct io_uring *ring), (fd, p, ring), p)

void io_uring_queue_exit(struct io_uring *ring)
{
	__typeof__(&io_uring_queue_exit) next = NEXT(io_uring_queue_exit);
	bool traced = closing_begin(ring);

	if (next)
		next(ring);
	if (traced)
		closing_end();
}

/* Submitting and waiting */

HOOK(submit, CALL_SUBMITS, (RING), (ring), 0)
HOOK(submit_and_wait, CALL_SUBMITS, (RING, unsigned wait_nr), (ring, wait_nr), wait_nr)
HOOK(submit_and_wait_timeout, CALL_SUBMITS,
     (RING, struct io_uring_cqe **cqe_ptr, unsigned wait_nr, struct __kernel_timespec *ts,
      sigset_t *sigmask),
     (ring, cqe_ptr, wait_nr, ts, sigmask), wait_nr)
HOOK(submit_and_get_events, CALL_SUBMITS, (RING), (ring), 0)
HOOK(get_events, CALL_WAITS, (RING), (ring), 0)
HOOK(wait_cqes, CALL_WAITS,
     (RING, struct io_uring_cqe **cqe_ptr, unsigned wait_nr, struct __kernel_timespec *ts,
      sigset_t *sigmask),
     (ring, cqe_ptr, wait_nr, ts, sigmask), wait_nr)
HOOK(wait_cqe_timeout, CALL_WAITS,
     (RING, struct io_uring_cqe **cqe_ptr, struct __kernel_timespec *ts), (ring, cqe_ptr, ts), 1)
NAMED_HOOK(__io_uring_sqring_wait, CALL_sqring_wait, CALL_WAITS, ring, (RING), (ring), 0)

/* What the inline io_uring_wait_cqe() and io_uring_peek_cqe() come to when the CQ is empty. */
NAMED_HOOK(__io_uring_get_cqe, wait_nr ? CALL_wait_cqe : CALL_peek_cqe,
	   submit    ? CALL_SUBMITS
	   : wait_nr ? CALL_WAITS
		     : CALL_LOOKS,
	   ring,
	   (RING, struct io_uring_cqe **cqe_ptr, unsigned submit, unsigned wait_nr,
	    sigset_t *sigmask),
	   (ring, cqe_ptr, submit, wait_nr, sigmask), wait_nr)

unsigned io_uring_peek_batch_cqe(struct io_uring *ring, struct io_uring_cqe **cqes, unsigned count)
{
	struct call call = {CALL_peek_batch_cqe, CALL_LOOKS, ring, .record.arguments = {count}};
	__typeof__(&io_uring_peek_batch_cqe) next = NEXT(io_uring_peek_batch_cqe);
	bool traced = call_begin(&call);
	unsigned result = next ? next(ring, cqes, count) : 0;

	if (traced)
		call_end(&call, 0);
	return result;
}

/* The system calls under their own names: which ring, the descriptor says. */
NAMED_HOOK(io_uring_enter, CALL_enter, CALL_SUBMITS,
	   ring_of_descriptor((int)fd, flags &REGISTERED_RING),
	   (unsigned fd, unsigned to_submit, unsigned min_complete, unsigned flags, sigset_t *sig),
	   (fd, to_submit, min_complete, flags, sig), min_complete, fd, to_submit, flags)

NAMED_HOOK(io_uring_enter2, CALL_enter2, CALL_SUBMITS,
	   ring_of_descriptor((int)fd, flags &REGISTERED_RING),
	   (unsigned fd, unsigned to_submit, unsigned min_complete, unsigned flags, void *arg,
	    size_t size),
	   (fd, to_submit, min_complete, flags, arg, size), min_complete, fd, to_submit, flags)
NAMED_HOOK(io_uring_register, CALL_register, CALL_REGISTERS,
	   ring_of_descriptor((int)fd, opcode &REGISTERED_FD),
	   (unsigned fd, unsigned opcode, const void *arg, unsigned nr_args),
	   (fd, opcode, arg, nr_args), fd, opcode & ~REGISTERED_FD, nr_args)

/* Registering */

REGISTER(register_buffers, (RING, const struct iovec *iovecs, unsigned nr), (ring, iovecs, nr), nr)
REGISTER(register_buffers_tags, (RING, const struct iovec *iovecs, const __u64 *tags, unsigned nr),
	 (ring, iovecs, tags, nr), nr)
REGISTER(register_buffers_sparse, (RING, unsigned nr), (ring, nr), nr)
REGISTER(register_buffers_update_tag,
	 (RING, unsigned off, const struct iovec *iovecs, const __u64 *tags, unsigned nr),
	 (ring, off, iovecs, tags, nr), nr, off)
REGISTER(unregister_buffers, (RING), (ring), 0)
FILES_HOOK(register_files, (RING, const int *files, unsigned nr), (ring, files, nr), 0)
FILES_HOOK(register_files_tags, (RING, const int *files, const __u64 *tags, unsigned nr),
	   (ring, files, tags, nr), 0)
REGISTER(register_files_sparse, (RING, unsigned nr), (ring, nr), nr)
FILES_HOOK(register_files_update, (RING, unsigned off, const int *files, unsigned nr),
	   (ring, off, files, nr), off)
FILES_HOOK(register_files_update_tag,
	   (RING, unsigned off, const int *files, const __u64 *tags, unsigned nr),
	   (ring, off, files, tags, nr), off)
REGISTER(unregister_files, (RING), (ring), 0)
REGISTER(register_file_alloc_range, (RING, unsigned off, unsigned len), (ring, off, len), len, off)
REGISTER(register_ring_fd, (RING), (ring), 0)
REGISTER(unregister_ring_fd, (RING), (ring), 0)
REGISTER(register_eventfd, (RING, int fd), (ring, fd), (unsigned)fd)
REGISTER(register_eventfd_async, (RING, int fd), (ring, fd), (unsigned)fd)
REGISTER(unregister_eventfd, (RING), (ring), 0)
REGISTER(register_probe, (RING, struct io_uring_probe *p, unsigned nr), (ring, p, nr), 0)
REGISTER(register_personality, (RING), (ring), 0)
REGISTER(unregister_personality, (RING, int id), (ring, id), (unsigned)id)
REGISTER(register_restrictions, (RING, struct io_uring_restriction *res, unsigned nr),
	 (ring, res, nr), nr)
REGISTER(enable_rings, (RING), (ring), 0)
REGISTER(register_iowq_aff, (RING, size_t cpusz, const cpu_set_t *mask), (ring, cpusz, mask), 0)
REGISTER(unregister_iowq_aff, (RING), (ring), 0)
REGISTER(register_iowq_max_workers, (RING, unsigned *values), (ring, values),
	 values ? values[0] : 0, values ? values[1] : 0)
REGISTER(register_sync_cancel, (RING, struct io_uring_sync_cancel_reg *reg), (ring, reg), 0)

/* Of an argument that has a number for them; 2.3 takes that for padding, and passes none on. */
static unsigned buffer_ring_flags(const struct io_uring_buf_reg *reg, unsigned flags)
{
	uint16_t own;

	memcpy(&own, (const char *)&reg->bgid + sizeof(reg->bgid), sizeof(own));
	return flags | own;
}

int io_uring_register_buf_ring(struct io_uring *ring, struct io_uring_buf_reg *reg, unsigned flags)
{
	struct call call = {CALL_register_buf_ring, CALL_REGISTERS, ring};
	__typeof__(&io_uring_register_buf_ring) next = NEXT(io_uring_register_buf_ring);
	bool traced = call_begin(&call);
	int result = next ? next(ring, reg, flags) : -ENOSYS;

	if (traced) {
		call.record.arguments[0] = reg->bgid;
		call.record.arguments[1] = reg->ring_entries;
		call.record.arguments[2] = buffer_ring_flags(reg, flags);
		if (result >= 0)
			buffer_ring_registered(&call, (const void *)(uintptr_t)reg->ring_addr,
					       reg->ring_entries, reg->bgid);
		call_end(&call, result);
	}
	return result;
}

REGISTER(unregister_buf_ring, (RING, int bgid), (ring, bgid), (unsigned)bgid)

/* What later liburings than 2.3 have added, declared as in their headers. */

struct io_uring_napi;
struct io_uring_reg_wait;
struct io_uring_mem_region_reg;
struct io_uring_clock_register;
struct io_uring_zcrx_ifq_reg;
struct zcrx_ctrl;
struct io_uring_bpf;
struct io_uring_query_hdr;
OPENING_HOOK(io_uring_queue_init_mem, entries,
	     (unsigned entries, struct io_uring *ring, struct io_uring_params *p, void *buf,
	      size_t buf_size),
	     (entries, ring, p, buf, buf_size), p)
HOOK(submit_and_wait_min_timeout, CALL_SUBMITS,
     (RING, struct io_uring_cqe **cqe_ptr, unsigned wait_nr, struct __kernel_timespec *ts,
      unsigned min_wait, sigset_t *sigmask),
     (ring, cqe_ptr, wait_nr, ts, min_wait, sigmask), wait_nr, min_wait)
HOOK(submit_and_wait_reg, CALL_SUBMITS,
     (RING, struct io_uring_cqe **cqe_ptr, unsigned wait_nr, int reg_index),
     (ring, cqe_ptr, wait_nr, reg_index), wait_nr, (unsigned)reg_index)
HOOK(wait_cqes_min_timeout, CALL_WAITS,
     (RING, struct io_uring_cqe **cqe_ptr, unsigned wait_nr, struct __kernel_timespec *ts,
      unsigned min_wait, sigset_t *sigmask),
     (ring, cqe_ptr, wait_nr, ts, min_wait, sigmask), wait_nr, min_wait)
REGISTER(close_ring_fd, (RING), (ring), 0)
REGISTER(register_napi, (RING, struct io_uring_napi *napi), (ring, napi), 0)
REGISTER(unregister_napi, (RING, struct io_uring_napi *napi), (ring, napi), 0)
REGISTER(clone_buffers, (RING, struct io_uring *from), (ring, from), (unsigned)from->ring_fd)
REGISTER(clone_buffers_offset,
	 (RING, struct io_uring *from, unsigned to_index, unsigned from_index, unsigned nr,
	  unsigned flags),
	 (ring, from, to_index, from_index, nr, flags), (unsigned)from->ring_fd, nr, from_index,
	 to_index)
NAMED_HOOK(__io_uring_clone_buffers, CALL_clone_buffers, CALL_REGISTERS, ring,
	   (RING, struct io_uring *from, unsigned flags), (ring, from, flags),
	   (unsigned)from->ring_fd)
NAMED_HOOK(__io_uring_clone_buffers_offset, CALL_clone_buffers_offset, CALL_REGISTERS, ring,
	   (RING, struct io_uring *from, unsigned to_index, unsigned from_index, unsigned nr,
	    unsigned flags),
	   (ring, from, to_index, from_index, nr, flags), (unsigned)from->ring_fd, nr, from_index,
	   to_index)
REGISTER(buf_ring_head, (RING, int buf_group, uint16_t *head), (ring, buf_group, head),
	 (unsigned)buf_group)
REGISTER(register_clock, (RING, struct io_uring_clock_register *arg), (ring, arg), 0)
REGISTER(register_ifq, (RING, struct io_uring_zcrx_ifq_reg *reg), (ring, reg), 0)
REGISTER(register_zcrx_ctrl, (RING, struct zcrx_ctrl *ctrl), (ring, ctrl), 0)
REGISTER(register_bpf_filter, (RING, struct io_uring_bpf *bpf), (ring, bpf), 0)
REGISTER_WITHOUT_RING(register_bpf_filter_task, (struct io_uring_bpf * bpf), (bpf), 0)
REGISTER_WITHOUT_RING(register_query, (struct io_uring_query_hdr * query), (query), 0)
REGISTER_WITHOUT_RING(register_sync_msg, (struct io_uring_sqe * sqe), (sqe), (unsigned)sqe->fd,
		      sqe->len)
REGISTER(register_region, (RING, struct io_uring_mem_region_reg *reg), (ring, reg), 0)
REGISTER(register_wait_reg, (RING, struct io_uring_reg_wait *reg, int nr), (ring, reg, nr),
	 (unsigned)nr)

REGISTER(resize_rings, (RING, struct io_uring_params *p), (ring, p), p ? p->sq_entries : 0,
	 p ? p->cq_entries : 0)
REGISTER(free_buf_ring, (RING, struct io_uring_buf_ring *br, unsigned nentries, int bgid),
	 (ring, br, nentries, bgid), (unsigned)bgid)

struct io_uring_buf_ring *io_uring_setup_buf_ring(struct io_uring *ring, unsigned nentries,
						  int bgid, unsigned flags, int *err);

struct io_uring_buf_ring *io_uring_setup_buf_ring(struct io_uring *ring, unsigned nentries,
						  int bgid, unsigned flags, int *err)
{
	struct call call = {CALL_setup_buf_ring, CALL_REGISTERS, ring,
			    .record.arguments = {(unsigned)bgid, nentries, flags}};
	__typeof__(&io_uring_setup_buf_ring) next = NEXT(io_uring_setup_buf_ring);
	bool traced = call_begin(&call);
	struct io_uring_buf_ring *result = next ? next(ring, nentries, bgid, flags, err) : NULL;

	if (traced) {
		buffer_ring_registered(&call, result, nentries, (unsigned)bgid);
		call_end(&call, result ? 0 : *err);
	}
	return result;
}

/* NOLINTEND(bugprone-macro-parentheses,bugprone-reserved-identifier,readability-*) */

/* libc's functions */

int close(int fd)
{
	__typeof__(&close) next = NEXT(close);

	descriptor_closing(fd);
	return next(fd);
}

int shutdown(int fd, int how)
{
	__typeof__(&shutdown) next = NEXT(shutdown);

	if (how != SHUT_RD)
		descriptor_shutting_down(fd);
	return next(fd, how);
}

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
