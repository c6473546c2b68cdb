/*
 * Opening a ring, and saying why one cannot be opened. Day 1 writes this out; from day 2 on the
 * programs call it.
 */
#ifndef COMMON_RING_H
#define COMMON_RING_H

#include <liburing.h>

/*
 * Opens a ring of at least `entries` SQEs. `params` asks for set-up flags and receives what the
 * kernel granted, as in io_uring_queue_init_params(3); it must be zeroed where it asks for nothing.
 * ENOMEM is waited out for half a second, as below. Does not return on failure: prints the reason
 * and what to do about it, and exits with status 1.
 */
void ring_open(struct io_uring *ring, unsigned entries, struct io_uring_params *params);

/*
 * For `result`, of a call that asks for memory that counts as locked. Returns whether to make the
 * call again, which after ENOMEM is so for half a second, with a pause each time: the ring of a
 * predecessor that has just ended is still counted.
 */
bool ring_wait_for_memory(int result);

/*
 * What days 1 and 2 have taught in one call: ring_open(), and then the ring's descriptor and a
 * sparse table of `slots` direct descriptors are registered with it, as in
 * io_uring_register_ring_fd(3) and io_uring_register_files_sparse(3). Needs Linux 5.19. Does not
 * return on failure, as ring_open().
 */
void ring_open_with_slots(struct io_uring *ring, unsigned entries, struct io_uring_params *params,
			  unsigned slots);

/*
 * What to do about `error`, a positive errno value that io_uring_setup(2) failed with: ENOSYS,
 * EPERM, ENOMEM, EMFILE, ENFILE or EINVAL. Any other gets a pointer to the manual. Never NULL.
 */
const char *ring_setup_advice(int error);

/*
 * The value of the sysctl kernel.io_uring_disabled: 0, 1 or 2 (Linux 6.6 and later), or -1 where
 * the kernel has no such setting.
 */
int ring_disabled_setting(void);

/*
 * Whether `result`, of a call that submits or waits or of a request, is a transient error, one that
 * passes: EINTR (a signal), EAGAIN and ENOMEM (the kernel is short of memory), EBUSY (the
 * completion queue overflowed). Nothing is lost then: what wasn't submitted is still in the
 * submission queue, what has completed can be reaped, and the same call can be made again. See man
 * 2 io_uring_enter.
 */
bool ring_try_again(int result);

/*
 * For `result`, of a call that submits or waits; `what` is the call's name. Returns whether to make
 * the call again, which is so after a transient error. If there's nothing to reap it pauses first:
 * 1 ms, then twice as long each time until a call succeeds, at most 128 ms. SIGINT and SIGTERM
 * terminate the program in a pause that long, even if they're blocked. After a fatal error, and
 * when the kernel had no memory for a completion and lost it (EBADR), it prints the reason and ends
 * the program with status 1.
 */
bool ring_again(struct io_uring *ring, int result, const char *what);

/*
 * Whether this kernel may release a direct descriptor late. Up to Linux 6.12 a closed one lives on
 * until all requests on direct descriptors that are older than the close have completed, other
 * connections' too: its slot is free at once, but the client waits for its EOF. A shutdown
 * (io_uring_prep_shutdown(3)) before the close doesn't wait. Decided by a feature that came soon
 * after, IORING_FEAT_RW_ATTR of Linux 6.14.
 */
bool ring_releases_late(const struct io_uring *ring);

/*
 * What day 1 left open: an SQE, even when the submission queue is full and io_uring_get_sqe(3)
 * returns NULL. It then hands the queue to the kernel, which makes room. Never NULL. A transient
 * error of io_uring_submit(3) is retried after a pause, as by ring_again(); after a fatal one it
 * prints the reason and ends the program with status 1.
 */
struct io_uring_sqe *ring_get_sqe(struct io_uring *ring);

/*
 * Makes room for `entries` SQEs, at most as many as the ring has, as ring_get_sqe() does for one.
 * For requests that are linked, because those have to go to the kernel in one submit: the next
 * `entries` calls of ring_get_sqe() won't submit anything in between.
 */
void ring_make_room(struct io_uring *ring, unsigned entries);

/*
 * An SQE for the close of `slot`: like ring_get_sqe(), except that on a kernel that releases late a
 * shutdown is prepared before it, hard-linked to it, so that the client gets its EOF at once. The
 * shutdown's completion has user_data 0.
 */
struct io_uring_sqe *ring_get_sqe_for_close(struct io_uring *ring, unsigned slot);

/*
 * Ends the program with status 1 where `result`, the -errno or success of an io_uring_register
 * call, is an error. `what` names the call; `needs` names the feature and the kernel that has it,
 * for EINVAL.
 */
void ring_check_register(int result, const char *what, const char *needs);

#endif
