/*
 * ringtrace's library: loaded before liburing, it stands in for liburing's exported functions. Each
 * hook looks at the ring, calls the function itself, and looks at the ring again.
 *
 * liburing's inline functions (io_uring_get_sqe, io_uring_prep_*, io_uring_cqe_seen, ...) are part
 * of the program and have no hook: what they do is in the ring's memory at the next hooked call.
 */
#include "tools/ringtrace.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pid_t traced_process;
static bool finished, forked;

/*
 * Set from before a hook's first look to after its last: a hooked function that liburing calls from
 * inside another, or that a signal handler calls in between, only passes on. initial-exec: an
 * access must not allocate.
 */
static __thread bool inside __attribute__((tls_model("initial-exec")));

/* The program's own functions: after this library in the search order, or loaded with dlopen(3). */
static void *next_function(const char *name)
{
	void *function = dlsym(RTLD_NEXT, name);
	void *liburing;

	if (!function) {
		liburing = dlopen("liburing.so.2", RTLD_LAZY | RTLD_NOLOAD);
		if (liburing)
			function = dlsym(liburing, name);
	}
	if (!function) {
		fprintf(stderr, "ringtrace: this liburing has no %s\n", name);
		abort();
	}
	return function;
}

/* The macros' arguments are names, types and lists, which take no parentheses.
 * NOLINTBEGIN(bugprone-macro-parentheses) */
#define NEXT(function)                                                                             \
	({                                                                                         \
		static __typeof__(&function) found;                                                \
		if (!found)                                                                        \
			found = (__typeof__(&function))next_function(#function);                   \
		found;                                                                             \
	})

/* The locked part of a hook. */
static __thread bool holds_mutex __attribute__((tls_model("initial-exec")));

static void lock(void)
{
	pthread_mutex_lock(&mutex);
	holds_mutex = true;
}

static void unlock(void)
{
	holds_mutex = false;
	pthread_mutex_unlock(&mutex);
}

/* False where the hook shall only pass on. */
__attribute__((format(printf, 2, 3))) static bool begin(struct call *call, const char *format, ...)
{
	int saved_errno = errno;
	va_list arguments;

	if (inside || finished)
		return false;
	inside = true;
	va_start(arguments, format);
	vsnprintf(call->arguments, sizeof(call->arguments), format, arguments);
	va_end(arguments);
	lock();
	call_before(call);
	unlock();
	errno = saved_errno;
	return true;
}

static void end(struct call *call, int result)
{
	int saved_errno = errno;

	lock();
	if (!finished)
		call_after(call, result);
	unlock();
	inside = false;
	errno = saved_errno;
}

/* Opening, resizing and closing */

static bool begin_opening(void)
{
	bool traced = !inside && !finished;

	inside |= traced;
	return traced;
}

static void end_opening(const char *call, unsigned entries, struct io_uring *ring, int result)
{
	int saved_errno = errno;

	lock();
	if (result >= 0)
		ring_opened(ring, "opened");
	else
		ring_opening_failed(call, entries, result);
	unlock();
	inside = false;
	errno = saved_errno;
}

int io_uring_queue_init(unsigned entries, struct io_uring *ring, unsigned flags)
{
	bool traced = begin_opening();
	int result = NEXT(io_uring_queue_init)(entries, ring, flags);

	if (traced)
		end_opening("queue_init", entries, ring, result);
	return result;
}

int io_uring_queue_init_params(unsigned entries, struct io_uring *ring, struct io_uring_params *p)
{
	bool traced = begin_opening();
	int result = NEXT(io_uring_queue_init_params)(entries, ring, p);

	if (traced)
		end_opening("queue_init_params", entries, ring, result);
	return result;
}

int io_uring_queue_mmap(int fd, struct io_uring_params *p, struct io_uring *ring)
{
	bool traced = begin_opening();
	int result = NEXT(io_uring_queue_mmap)(fd, p, ring);

	if (traced)
		end_opening("queue_mmap", p ? p->sq_entries : 0, ring, result);
	return result;
}

void io_uring_queue_exit(struct io_uring *ring)
{
	bool traced = begin_opening();
	int saved_errno = errno;

	if (traced) {
		lock();
		ring_closed(ring_find(ring));
		unlock();
		errno = saved_errno;
	}
	NEXT(io_uring_queue_exit)(ring);
	inside &= !traced;
}

/*
 * Everything else is hooked alike: TRACED(the function, the name in the trace, what it is, how many
 * CQEs it waits for, its parameters, its arguments, and the ones to show, printf(3) style).
 */
#define TRACED(function, shown_name, shown_kind, waits_for, parameters, arguments, ...)            \
	int function parameters                                                                    \
	{                                                                                          \
		struct call call = {                                                               \
			.name = shown_name,                                                        \
			.kind = shown_kind,                                                        \
			.wait_nr = waits_for,                                                      \
			.ring = ring,                                                              \
		};                                                                                 \
		__typeof__(&function) next = NEXT(function);                                       \
		bool traced = begin(&call, __VA_ARGS__);                                           \
		int result = next arguments;                                                       \
                                                                                                   \
		if (traced)                                                                        \
			end(&call, result);                                                        \
		return result;                                                                     \
	}
#define NOTHING "%s", ""

/* Submitting and waiting */

TRACED(io_uring_submit, "submit", CALL_SUBMITS, 0, (struct io_uring * ring), (ring), NOTHING)
TRACED(io_uring_submit_and_wait, "submit_and_wait", CALL_SUBMITS, wait_nr,
       (struct io_uring * ring, unsigned wait_nr), (ring, wait_nr), "%u", wait_nr)
TRACED(io_uring_submit_and_wait_timeout, "submit_and_wait_timeout", CALL_SUBMIT_WAIT, wait_nr,
       (struct io_uring * ring, struct io_uring_cqe **cqe_ptr, unsigned wait_nr,
	struct __kernel_timespec *ts, sigset_t *sigmask),
       (ring, cqe_ptr, wait_nr, ts, sigmask), "%u", wait_nr)
TRACED(io_uring_submit_and_get_events, "submit_and_get_events", CALL_SUBMITS_GETS_EVENTS, 0,
       (struct io_uring * ring), (ring), NOTHING)
TRACED(io_uring_get_events, "get_events", CALL_GETS_EVENTS, 0, (struct io_uring * ring), (ring),
       NOTHING)
TRACED(io_uring_wait_cqes, "wait_cqes", CALL_WAITS, wait_nr,
       (struct io_uring * ring, struct io_uring_cqe **cqe_ptr, unsigned wait_nr,
	struct __kernel_timespec *ts, sigset_t *sigmask),
       (ring, cqe_ptr, wait_nr, ts, sigmask), "%u", wait_nr)
TRACED(io_uring_wait_cqe_timeout, "wait_cqe_timeout", CALL_WAITS, 1,
       (struct io_uring * ring, struct io_uring_cqe **cqe_ptr, struct __kernel_timespec *ts),
       (ring, cqe_ptr, ts), NOTHING)
/* What the inline io_uring_wait_cqe() and io_uring_peek_cqe() come to when the CQ is empty. */
TRACED(__io_uring_get_cqe, wait_nr ? "wait_cqe" : "peek_cqe", CALL_WAITS, wait_nr,
       (struct io_uring * ring, struct io_uring_cqe **cqe_ptr, unsigned submit, unsigned wait_nr,
	sigset_t *sigmask),
       (ring, cqe_ptr, submit, wait_nr, sigmask), "%.0u", wait_nr == 1 ? 0 : wait_nr)
TRACED(__io_uring_sqring_wait, "sqring_wait", CALL_GETS_EVENTS, 0, (struct io_uring * ring), (ring),
       NOTHING)

unsigned io_uring_peek_batch_cqe(struct io_uring *ring, struct io_uring_cqe **cqes, unsigned count)
{
	struct call call = {.name = "peek_batch_cqe", .kind = CALL_WAITS, .ring = ring};
	__typeof__(&io_uring_peek_batch_cqe) next = NEXT(io_uring_peek_batch_cqe);
	bool traced = begin(&call, "%u", count);
	unsigned result = next(ring, cqes, count);

	if (traced)
		end(&call, 0);
	return result;
}

/* Registering */

#define REGISTER(function, shown_name, parameters, arguments, ...)                                 \
	TRACED(function, shown_name, CALL_REGISTERS, 0, parameters, arguments, __VA_ARGS__)

REGISTER(io_uring_register_buffers, "register_buffers",
	 (struct io_uring * ring, const struct iovec *iovecs, unsigned nr), (ring, iovecs, nr),
	 "%u buffers", nr)
REGISTER(io_uring_register_buffers_tags, "register_buffers_tags",
	 (struct io_uring * ring, const struct iovec *iovecs, const __u64 *tags, unsigned nr),
	 (ring, iovecs, tags, nr), "%u buffers", nr)
REGISTER(io_uring_register_buffers_sparse, "register_buffers_sparse",
	 (struct io_uring * ring, unsigned nr), (ring, nr), "%u buffers", nr)
REGISTER(io_uring_register_buffers_update_tag, "register_buffers_update_tag",
	 (struct io_uring * ring, unsigned off, const struct iovec *iovecs, const __u64 *tags,
	  unsigned nr),
	 (ring, off, iovecs, tags, nr), "%u buffers from %u", nr, off)
REGISTER(io_uring_unregister_buffers, "unregister_buffers", (struct io_uring * ring), (ring),
	 NOTHING)
REGISTER(io_uring_register_files, "register_files",
	 (struct io_uring * ring, const int *files, unsigned nr), (ring, files, nr), "%u slots", nr)
REGISTER(io_uring_register_files_tags, "register_files_tags",
	 (struct io_uring * ring, const int *files, const __u64 *tags, unsigned nr),
	 (ring, files, tags, nr), "%u slots", nr)
REGISTER(io_uring_register_files_sparse, "register_files_sparse",
	 (struct io_uring * ring, unsigned nr), (ring, nr), "%u slots", nr)
REGISTER(io_uring_register_files_update, "register_files_update",
	 (struct io_uring * ring, unsigned off, const int *files, unsigned nr),
	 (ring, off, files, nr), "%u slots from slot %u", nr, off)
REGISTER(io_uring_register_files_update_tag, "register_files_update_tag",
	 (struct io_uring * ring, unsigned off, const int *files, const __u64 *tags, unsigned nr),
	 (ring, off, files, tags, nr), "%u slots from slot %u", nr, off)
REGISTER(io_uring_unregister_files, "unregister_files", (struct io_uring * ring), (ring), NOTHING)
REGISTER(io_uring_register_file_alloc_range, "register_file_alloc_range",
	 (struct io_uring * ring, unsigned off, unsigned len), (ring, off, len),
	 "%u slots from slot %u", len, off)
REGISTER(io_uring_register_buf_ring, "register_buf_ring",
	 (struct io_uring * ring, struct io_uring_buf_reg *reg, unsigned flags), (ring, reg, flags),
	 "group %u, %u buffers", reg ? reg->bgid : 0, reg ? reg->ring_entries : 0)
REGISTER(io_uring_unregister_buf_ring, "unregister_buf_ring", (struct io_uring * ring, int bgid),
	 (ring, bgid), "group %d", bgid)
REGISTER(io_uring_register_ring_fd, "register_ring_fd", (struct io_uring * ring), (ring), NOTHING)
REGISTER(io_uring_unregister_ring_fd, "unregister_ring_fd", (struct io_uring * ring), (ring),
	 NOTHING)
REGISTER(io_uring_register_eventfd, "register_eventfd", (struct io_uring * ring, int fd),
	 (ring, fd), "fd %d", fd)
REGISTER(io_uring_register_eventfd_async, "register_eventfd_async",
	 (struct io_uring * ring, int fd), (ring, fd), "fd %d", fd)
REGISTER(io_uring_unregister_eventfd, "unregister_eventfd", (struct io_uring * ring), (ring),
	 NOTHING)
REGISTER(io_uring_register_probe, "register_probe",
	 (struct io_uring * ring, struct io_uring_probe *p, unsigned nr), (ring, p, nr), NOTHING)
REGISTER(io_uring_register_personality, "register_personality", (struct io_uring * ring), (ring),
	 NOTHING)
REGISTER(io_uring_unregister_personality, "unregister_personality",
	 (struct io_uring * ring, int id), (ring, id), "%d", id)
REGISTER(io_uring_register_restrictions, "register_restrictions",
	 (struct io_uring * ring, struct io_uring_restriction *res, unsigned nr), (ring, res, nr),
	 "%u", nr)
REGISTER(io_uring_enable_rings, "enable_rings", (struct io_uring * ring), (ring), NOTHING)
REGISTER(io_uring_register_iowq_aff, "register_iowq_aff",
	 (struct io_uring * ring, size_t cpusz, const cpu_set_t *mask), (ring, cpusz, mask),
	 NOTHING)
REGISTER(io_uring_unregister_iowq_aff, "unregister_iowq_aff", (struct io_uring * ring), (ring),
	 NOTHING)
REGISTER(io_uring_register_iowq_max_workers, "register_iowq_max_workers",
	 (struct io_uring * ring, unsigned *values), (ring, values), "%u bounded, %u unbounded",
	 values ? values[0] : 0, values ? values[1] : 0)
REGISTER(io_uring_register_sync_cancel, "register_sync_cancel",
	 (struct io_uring * ring, struct io_uring_sync_cancel_reg *reg), (ring, reg), NOTHING)

/* What later liburings than 2.3 have added, declared as in their headers. */

struct io_uring_napi;
int io_uring_queue_init_mem(unsigned entries, struct io_uring *ring, struct io_uring_params *p,
			    void *buf, size_t buf_size);
int io_uring_resize_rings(struct io_uring *ring, struct io_uring_params *p);
int io_uring_submit_and_wait_min_timeout(struct io_uring *ring, struct io_uring_cqe **cqe_ptr,
					 unsigned wait_nr, struct __kernel_timespec *ts,
					 unsigned min_wait, sigset_t *sigmask);
int io_uring_submit_and_wait_reg(struct io_uring *ring, struct io_uring_cqe **cqe_ptr,
				 unsigned wait_nr, int reg_index);
int io_uring_wait_cqes_min_timeout(struct io_uring *ring, struct io_uring_cqe **cqe_ptr,
				   unsigned wait_nr, struct __kernel_timespec *ts,
				   unsigned min_wait, sigset_t *sigmask);
struct io_uring_buf_ring *io_uring_setup_buf_ring(struct io_uring *ring, unsigned nentries,
						  int bgid, unsigned flags, int *err);
int io_uring_free_buf_ring(struct io_uring *ring, struct io_uring_buf_ring *br, unsigned nentries,
			   int bgid);
int io_uring_close_ring_fd(struct io_uring *ring);
int io_uring_register_napi(struct io_uring *ring, struct io_uring_napi *napi);
int io_uring_unregister_napi(struct io_uring *ring, struct io_uring_napi *napi);

int io_uring_queue_init_mem(unsigned entries, struct io_uring *ring, struct io_uring_params *p,
			    void *buf, size_t buf_size)
{
	bool traced = begin_opening();
	int result = NEXT(io_uring_queue_init_mem)(entries, ring, p, buf, buf_size);

	if (traced)
		end_opening("queue_init_mem", entries, ring, result);
	return result;
}

/* The ring's memory is another one afterwards, with the same numbers of entries seen. */
int io_uring_resize_rings(struct io_uring *ring, struct io_uring_params *p)
{
	struct call call = {.name = "resize_rings", .kind = CALL_REGISTERS, .ring = ring};
	__typeof__(&io_uring_resize_rings) next = NEXT(io_uring_resize_rings);
	bool traced =
		begin(&call, "%u SQEs, %u CQEs", p ? p->sq_entries : 0, p ? p->cq_entries : 0);
	int result = next(ring, p);

	if (traced) {
		lock();
		if (call.state && result >= 0)
			ring_resized(call.state, ring);
		unlock();
		end(&call, result);
	}
	return result;
}

TRACED(io_uring_submit_and_wait_min_timeout, "submit_and_wait_min_timeout", CALL_SUBMIT_WAIT,
       wait_nr,
       (struct io_uring * ring, struct io_uring_cqe **cqe_ptr, unsigned wait_nr,
	struct __kernel_timespec *ts, unsigned min_wait, sigset_t *sigmask),
       (ring, cqe_ptr, wait_nr, ts, min_wait, sigmask), "%u", wait_nr)
TRACED(io_uring_submit_and_wait_reg, "submit_and_wait_reg", CALL_SUBMIT_WAIT, wait_nr,
       (struct io_uring * ring, struct io_uring_cqe **cqe_ptr, unsigned wait_nr, int reg_index),
       (ring, cqe_ptr, wait_nr, reg_index), "%u", wait_nr)
TRACED(io_uring_wait_cqes_min_timeout, "wait_cqes_min_timeout", CALL_WAITS, wait_nr,
       (struct io_uring * ring, struct io_uring_cqe **cqe_ptr, unsigned wait_nr,
	struct __kernel_timespec *ts, unsigned min_wait, sigset_t *sigmask),
       (ring, cqe_ptr, wait_nr, ts, min_wait, sigmask), "%u", wait_nr)

struct io_uring_buf_ring *io_uring_setup_buf_ring(struct io_uring *ring, unsigned nentries,
						  int bgid, unsigned flags, int *err)
{
	struct call call = {.name = "setup_buf_ring", .kind = CALL_REGISTERS, .ring = ring};
	__typeof__(&io_uring_setup_buf_ring) next = NEXT(io_uring_setup_buf_ring);
	bool traced = begin(&call, "group %d, %u buffers", bgid, nentries);
	struct io_uring_buf_ring *result = next(ring, nentries, bgid, flags, err);

	if (traced)
		end(&call, result ? 0 : *err);
	return result;
}

REGISTER(io_uring_free_buf_ring, "free_buf_ring",
	 (struct io_uring * ring, struct io_uring_buf_ring *br, unsigned nentries, int bgid),
	 (ring, br, nentries, bgid), "group %d", bgid)
REGISTER(io_uring_close_ring_fd, "close_ring_fd", (struct io_uring * ring), (ring), NOTHING)
REGISTER(io_uring_register_napi, "register_napi",
	 (struct io_uring * ring, struct io_uring_napi *napi), (ring, napi), NOTHING)
REGISTER(io_uring_unregister_napi, "unregister_napi",
	 (struct io_uring * ring, struct io_uring_napi *napi), (ring, napi), NOTHING)

/* NOLINTEND(bugprone-macro-parentheses) */

/* The beginning and the end of the process, and its doubling */

static void before_fork(void)
{
	/* In a signal handler that interrupted a hook the mutex is this thread's already. */
	if (!holds_mutex)
		pthread_mutex_lock(&mutex);
}

static void after_fork_in_parent(void)
{
	if (!holds_mutex)
		pthread_mutex_unlock(&mutex);
}

static void after_fork_in_child(void)
{
	after_fork_in_parent();
	traced_process = getpid();
	line_after_fork();
	json_after_fork();
	rings_after_fork();
	summary_after_fork();
	forked = true;
}

__attribute__((constructor)) static void start(void)
{
	int saved_errno = errno;

	traced_process = getpid();
	line_time_origin(now());
	settings_read_environment();
	pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
	errno = saved_errno;
}

/* A child of vfork(2) has its parent's memory and so its summary, which is not its to print. */
__attribute__((destructor)) static void finish(void)
{
	int saved_errno = errno;

	if (holds_mutex || traced_process != getpid())
		return;
	lock();
	if (!finished && (summary.used || !forked)) {
		rings_at_exit();
		summary_print();
	}
	finished = true;
	unlock();
	errno = saved_errno;
}

/* The ways out that run no destructor. Nothing runs when a signal ends the process. */
void _exit(int status)
{
	void (*next)(int) = (void (*)(int))next_function("_exit");

	finish();
	next(status);
	__builtin_unreachable();
}

void _Exit(int status)
{
	_exit(status);
}
