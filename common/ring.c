#include "common/ring.h"

#include <assert.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/output.h"

#define FIRST_PAUSE_MS	 1
#define LONGEST_PAUSE_MS 128
#define MEMORY_WAIT_MS	 500 /* for locked memory that the kernel still counts */
#define MEMORY_RETRY_MS	 10

/*
 * The memory of a ring is counted until the kernel has taken the ring apart, a moment after its
 * process has ended: a server that is started again has to be patient, as it has to be with its
 * port.
 */
bool ring_wait_for_memory(int result)
{
	static _Thread_local unsigned waited_ms;
	const struct timespec pause = {.tv_nsec = MEMORY_RETRY_MS * 1000000L};

	if (result != -ENOMEM || waited_ms >= MEMORY_WAIT_MS) {
		waited_ms = 0;
		return false;
	}
	nanosleep(&pause, NULL);
	waited_ms += MEMORY_RETRY_MS;
	return true;
}

/*
 * A thread that waits for completions counts as one that waits for a disk: top shows an idle server
 * as 100 % wa. Linux 6.15 can be told not to, by liburing 2.10, which has this function: where the
 * liburing that the program runs with is older, its address is NULL.
 */
__attribute__((weak)) extern int io_uring_set_iowait(struct io_uring *ring, bool enable_iowait);

static void count_waits_as_idle(struct io_uring *ring)
{
	if (io_uring_set_iowait)
		io_uring_set_iowait(ring, false);
}

static _Thread_local unsigned next_pause_ms = FIRST_PAUSE_MS; /* each thread has its own ring */

void ring_open(struct io_uring *ring, unsigned entries, struct io_uring_params *params)
{
	const struct io_uring_params wanted = *params;
	int result;

	do {
		*params = wanted;
		result = io_uring_queue_init_params(entries, ring, params);
	} while (ring_wait_for_memory(result));

	if (result == -EINVAL && params->flags & IORING_SETUP_DEFER_TASKRUN)
		output_error(
			EXIT_FAILURE, 0,
			"opening a ring: %s (this kernel lacks IORING_SETUP_DEFER_TASKRUN, which "
			"Linux 6.1 has; day 4 and later need it)",
			strerror(EINVAL));
	if (result < 0)
		output_error(EXIT_FAILURE, 0, "opening a ring: %s (%s)", strerror(-result),
			     ring_setup_advice(-result));
	count_waits_as_idle(ring);
}

void ring_open_with_slots(struct io_uring *ring, unsigned entries, struct io_uring_params *params,
			  unsigned slots)
{
	ring_open(ring, entries, params);
	ring_check_register(io_uring_register_ring_fd(ring), "io_uring_register_ring_fd",
			    "registered ring descriptors, which Linux 5.18 has; day 2 and later "
			    "need them");
	ring_check_register(io_uring_register_files_sparse(ring, slots),
			    "io_uring_register_files_sparse",
			    "sparse tables, which Linux 5.19 has; day 2 and later need them");
}

static const char *permission_advice(void)
{
	switch (ring_disabled_setting()) {
	case 2:
		return "kernel.io_uring_disabled is 2: sysctl kernel.io_uring_disabled=0 allows io_uring";
	case 1:
		return "kernel.io_uring_disabled is 1: only CAP_SYS_ADMIN and the group in "
		       "kernel.io_uring_group may use io_uring; sysctl kernel.io_uring_disabled=0 "
		       "allows everybody";
	default:
		return "the container's seccomp profile forbids io_uring: with Docker or Podman, run "
		       "the container with --security-opt seccomp=unconfined";
	}
}

const char *ring_setup_advice(int error)
{
	switch (error) {
	case ENOSYS:
		return "this kernel, or the container it shows itself through, has no io_uring: "
		       "run a container of Podman's with --security-opt seccomp=unconfined; a sandbox "
		       "such as gVisor has none; elsewhere a newer kernel is needed, 6.1 for all days";
	case EPERM:
	case EACCES: return permission_advice();
	case ENOMEM:
		return "the limit on locked memory, or memory itself, is too small for this ring: raise "
		       "the limit with ulimit -l, or ask for fewer entries";
	case EMFILE:
		return "this process may not open another descriptor: raise the limit with ulimit -n";
	case ENFILE: return "the system may not open another file: raise the sysctl fs.file-max";
	case EINVAL:
		return "this kernel does not know a set-up flag or takes no ring of this size: "
		       "./day01/probe shows what it can do";
	default: return "see man 2 io_uring_setup";
	}
}

int ring_disabled_setting(void)
{
	int setting = -1;
	FILE *file = fopen("/proc/sys/kernel/io_uring_disabled", "re");

	if (file) {
		if (fscanf(file, "%d", &setting) != 1)
			setting = -1;
		fclose(file);
	}
	return setting;
}

bool ring_try_again(int result)
{
	return result == -EINTR || result == -EAGAIN || result == -ENOMEM || result == -EBUSY;
}

/*
 * The longest pauses let SIGINT and SIGTERM through: nothing has worked for a while, so the program
 * can't read its signals either.
 */
static void pause_ms(unsigned duration)
{
	const struct timespec pause = {.tv_nsec = duration * 1000000L};
	sigset_t blocked;

	sigprocmask(SIG_BLOCK, NULL, &blocked);
	if (duration == LONGEST_PAUSE_MS) {
		sigdelset(&blocked, SIGINT);
		sigdelset(&blocked, SIGTERM);
	}
	ppoll(NULL, 0, &pause, &blocked);
}

/* Each pause after a failure is twice as long as the one before it, until a call succeeds. */
static void pause_longer(void)
{
	pause_ms(next_pause_ms);
	if (next_pause_ms < LONGEST_PAUSE_MS)
		next_pause_ms *= 2;
}

/* Whether `result` is a failure that passes. A fatal one ends the program. */
static bool has_failed(struct io_uring *ring, int result, const char *what)
{
	if (result == -EBADR || *ring->cq.koverflow > 0)
		output_error(EXIT_FAILURE, 0,
			     "%s: completions were lost (the kernel had no memory for them)", what);
	if (result >= 0) {
		next_pause_ms = FIRST_PAUSE_MS;
		return false;
	}
	if (!ring_try_again(result))
		output_error(EXIT_FAILURE, -result, "%s", what);
	io_uring_get_events(ring);
	return true;
}

bool ring_again(struct io_uring *ring, int result, const char *what)
{
	if (!has_failed(ring, result, what))
		return false;
	if (result != -EINTR && io_uring_cq_ready(ring) == 0)
		pause_longer();
	return true;
}

bool ring_releases_late(const struct io_uring *ring)
{
	const unsigned feat_rw_attr = 1U << 16; /* liburing 2.3 has no name for it */

	return !(ring->features & feat_rw_attr);
}

/*
 * Whoever asks for room is often in the middle of walking the completion queue. So what is there to
 * reap can't be reaped now, and is no reason to try again without a pause.
 */
void ring_make_room(struct io_uring *ring, unsigned entries)
{
	assert(entries <= ring->sq.ring_entries);
	while (io_uring_sq_space_left(ring) < entries) {
		int result = io_uring_submit(ring);

		if (has_failed(ring, result, "io_uring_submit") && result != -EINTR)
			pause_longer();
	}
}

struct io_uring_sqe *ring_get_sqe(struct io_uring *ring)
{
	ring_make_room(ring, 1);
	return io_uring_get_sqe(ring);
}

/*
 * The shutdown and the close have to reach the kernel in one submit, or they aren't linked. The
 * link is a hard one, because the close has to follow whatever comes of the shutdown: the client
 * may be gone already. A ring of one entry can't hold the pair, so there the close goes alone.
 */
struct io_uring_sqe *ring_get_sqe_for_close(struct io_uring *ring, unsigned slot)
{
	if (ring_releases_late(ring) && ring->sq.ring_entries > 1) {
		struct io_uring_sqe *sqe;

		ring_make_room(ring, 2);
		sqe = io_uring_get_sqe(ring);
		io_uring_prep_shutdown(sqe, (int)slot, SHUT_WR);
		sqe->flags |= IOSQE_FIXED_FILE | IOSQE_IO_HARDLINK;
		io_uring_sqe_set_data64(sqe, 0);
	}
	return ring_get_sqe(ring);
}

void ring_check_register(int result, const char *what, const char *needs)
{
	switch (-result) {
	case EINVAL:
		output_error(EXIT_FAILURE, 0, "%s: %s (this kernel lacks %s)", what,
			     strerror(-result), needs);
		break;
	case EMFILE:
		output_error(EXIT_FAILURE, 0,
			     "%s: %s (raise the limit on descriptors with ulimit -n, or ask for "
			     "fewer)",
			     what, strerror(-result));
		break;
	case ENOMEM:
		output_error(EXIT_FAILURE, 0,
			     "%s: %s (raise the limit on locked memory with ulimit -l, or ask "
			     "for less)",
			     what, strerror(-result));
		break;
	case ENOSYS:
	case EPERM:
	case EACCES:
		output_error(EXIT_FAILURE, 0, "%s: %s (%s)", what, strerror(-result),
			     ring_setup_advice(-result));
		break;
	default:
		if (result < 0)
			output_error(EXIT_FAILURE, -result, "%s", what);
	}
}
