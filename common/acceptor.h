/*
 * Accepting for the servers after day 3, in a way that turns nobody away. Day 3's multishot accept
 * takes every client that comes, even one for which there is no slot, and closes that one at once.
 * So the acceptor keeps to three rules:
 *
 *   room for all that one pass of the loop can bring: one multishot accept is in flight;
 *   less room than that, and the multishot accept still in flight: it is cancelled;
 *   less room, and it has ended: each request accepts one client, and no more of them are in flight
 *   than slots are free. Whoever connects when the table is full waits in the backlog.
 *
 * What can one pass bring? Each connection is a completion. A multishot accept ends when it finds
 * the completion queue full, so it posts as many as the queue has entries and one more, its last.
 * The pass that reaps them prepares the cancel, and the next submit executes it before the kernel
 * accepts again (with IORING_SETUP_DEFER_TASKRUN, which the ring must have). Tried with a queue of
 * 1,024, 3,000 waiting clients and a limit of 1: with 1,024 slots to spare none was turned away,
 * with 1,023 two were, with none 379. The listen backlog is no such bound, because clients connect
 * while the kernel works it off.
 *
 * The single accepts alone would be exact, too, but cost 12% more CPU time where clients only
 * connect and leave.
 *
 * The table: the acceptor lets the kernel choose slots and counts those it has filled. It can't see
 * any others. A program that puts files into the same table must keep the two apart, with
 * io_uring_register_file_alloc_range(3) (Linux 6.0): the kernel then chooses only within the range
 * given, and `slots` is the length of that range. Without it each foreign file costs a client.
 */
#ifndef COMMON_ACCEPTOR_H
#define COMMON_ACCEPTOR_H

#include <liburing.h>
#include <stdbool.h>

struct acceptor {
	struct io_uring *ring;
	int listen_fd;
	unsigned slots;	       /* how many it may fill */
	__u64 user_data;       /* of its accepts; its pause and its cancel have the next two */
	unsigned slots_in_use; /* from the accept's completion to the close's */
	unsigned in_flight;    /* accepts */
	bool multishot;	       /* the one in flight is */
	bool cancelled;	       /* and has been asked to end */
	bool pausing;	       /* a timeout is in flight, after which it accepts again */
	bool stopped;
};

/*
 * Prepares to accept the first clients from `listen_fd` into the ring's table, at most `slots` at a
 * time; those after them as it hears of completions. Its requests have `user_data` and the two
 * numbers after it. Cannot fail: what goes wrong later arrives as a completion.
 */
void acceptor_start(struct acceptor *acceptor, struct io_uring *ring, int listen_fd, unsigned slots,
		    __u64 user_data);

/*
 * To be called with each completion that has one of the acceptor's user_data. Returns the slot of a
 * new connection, or -1 if the completion brought none. A failed accept (man 2 accept: EMFILE,
 * ENFILE, ENOMEM, ...) is printed to standard error, and the next one comes 100 ms later.
 */
int acceptor_on_completion(struct acceptor *acceptor, const struct io_uring_cqe *cqe);

/* To be called when the close of a connection has completed: its slot is free. */
void acceptor_on_close(struct acceptor *acceptor);

/*
 * Stops listening: the port is free at once, and the clients in the backlog are reset. A connection
 * that has been accepted by then may still come as a completion.
 */
void acceptor_stop(struct acceptor *acceptor);

/* Whether a slot is in use, or an accept in flight. */
bool acceptor_is_busy(const struct acceptor *acceptor);

#endif
