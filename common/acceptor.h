/*
 * Accepting for the servers after day 3, in a way that turns nobody away. Day 3's multishot accept
 * takes every peer that comes, also one for which there is no slot, and closes that one at once.
 * So one multishot accept serves all only while more slots are free than it can fill before it is
 * cancelled: in one turn of the loop that is what the completion queue holds, because a full one
 * ends the request. When fewer are free each request accepts one peer; no more of them are in
 * flight than there are free slots, and whoever comes when the table is full waits in the backlog
 * until a slot is free.
 */
#ifndef COMMON_ACCEPTOR_H
#define COMMON_ACCEPTOR_H

#include <liburing.h>
#include <stdbool.h>

struct acceptor {
	struct io_uring *ring; /* with a completion queue of fewer than twice SOMAXCONN entries */
	int listen_fd;	       /* its backlog is at most SOMAXCONN */
	unsigned slots;	       /* in the ring's table */
	__u64 user_data;       /* of its requests */
	unsigned slots_in_use; /* from the accept's completion to the close's */
	unsigned in_flight;    /* accepts */
	bool multishot;	       /* the one in flight is */
	bool cancelled;	       /* it is asked to end */
	bool pausing;	       /* a timeout is in flight, after which it goes on */
	bool stopped;
};

/*
 * Prepares to accept the first peers from `listen_fd` into the ring's table of `slots`; those after
 * them as it hears of completions. Its requests have `user_data`, or 0 where nobody needs to hear
 * of their end.
 */
void acceptor_start(struct acceptor *acceptor, struct io_uring *ring, int listen_fd, unsigned slots,
		    __u64 user_data);

/*
 * To be called with each completion that has the acceptor's user_data. Returns the slot of a new
 * connection, or -1. An error that is of no connection is printed to standard error, and followed
 * by a pause of 100 ms.
 */
int acceptor_on_completion(struct acceptor *acceptor, const struct io_uring_cqe *cqe);

/* To be called when the close of a connection has completed: its slot is free. */
void acceptor_on_close(struct acceptor *acceptor);

/*
 * Ends it: the port is free at once, and who waits in the backlog is reset. A connection that has
 * been accepted by now may still come as a completion.
 */
void acceptor_stop(struct acceptor *acceptor);

/* Whether a slot is in use, or an accept in flight. */
bool acceptor_is_busy(const struct acceptor *acceptor);

#endif
