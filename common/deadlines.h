/*
 * Day 6's deadlines: slots in the order in which they were last active, all with the same limit,
 * and one timeout, for the first of them. A server with several limits has one of these for each.
 */
#ifndef COMMON_DEADLINES_H
#define COMMON_DEADLINES_H

#include <liburing.h>

#include "common/slot_list.h"

struct deadlines {
	struct slot_list by_activity;
	long long *active_ns;		/* by slot: when it was last active, by clock_ns() */
	long long limit_ns;		/* how long a slot may be silent; may change at any time */
	struct __kernel_timespec until; /* the kernel reads it when it takes the timeout's SQE */
	__u64 user_data;		/* of the timeout */
};

/*
 * Makes `deadlines` empty, for slots from 0 to `slots` - 1 and a limit of `limit_ms` milliseconds.
 * Takes 16 bytes a slot from memory_map(), so it doesn't return on failure. No timeout is in flight
 * until deadlines_prepare() is called.
 */
void deadlines_open(struct deadlines *deadlines, unsigned slots, unsigned limit_ms,
		    __u64 user_data);

/* `slot`, which is not in the list, was active at `now_ns`, which is never less than before. */
void deadlines_add(struct deadlines *deadlines, unsigned slot, long long now_ns);

/* `slot`, which is in the list, was active at `now_ns`. */
void deadlines_renew(struct deadlines *deadlines, unsigned slot, long long now_ns);

/* Takes out `slot`, which is in the list. */
void deadlines_remove(struct deadlines *deadlines, unsigned slot);

/*
 * The slot that has been silent for longest, if that's at least the limit at `now_ns`, or -1. Call
 * it until it returns -1, and each time renew the slot or remove it.
 */
int deadlines_next_silent(const struct deadlines *deadlines, long long now_ns);

/*
 * Prepares the timeout for the slot that is the oldest now, or for a limit from now if there is
 * none. Call it once at the start, then whenever the timeout has completed, whatever its result. To
 * have it complete at once, say because the limit is shorter now, cancel it by its user_data.
 */
void deadlines_prepare(struct deadlines *deadlines, struct io_uring *ring, long long now_ns);

#endif
