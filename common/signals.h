/*
 * Signals as something to read, so that a ring can wait for them as for everything else.
 */
#ifndef COMMON_SIGNALS_H
#define COMMON_SIGNALS_H

#include <liburing.h>

/*
 * Blocks the signals given, a list ended by 0, and returns a descriptor from which each can be
 * read instead, as a struct signalfd_siginfo (man 2 signalfd). Call it before any thread is
 * started: threads inherit what is blocked. Doesn't return on failure: prints the reason and exits
 * with status 1.
 */
int signals_open(int first, ...);

/*
 * Prepares to read the next signal that signals_open() has asked for, so that a signal is one
 * more completion. One such read may be in flight in a process.
 */
void signals_prepare_read(struct io_uring *ring, __u64 user_data);

/*
 * For the result of that read: the signal's number, or 0 if there's nothing to do. That's so after
 * a transient error, and for a SIGINT or SIGTERM within 100 ms of the first one, which repeats it.
 * One that comes later ends the program at once, as if it had never been blocked. After a fatal
 * error it prints the reason and exits with status 1. Prepare the next read, unless the program's
 * last pass is under way.
 */
int signals_on_read(int result);

/*
 * For a program that has nothing to do at its end: SIGINT and SIGTERM end it at once, with 128 and
 * their number as its status, even where it's process 1 of a container. For that one the kernel
 * drops every signal that has no handler, and `docker stop` would wait ten seconds, then kill it.
 */
void signals_end_at_once(void);

#endif
