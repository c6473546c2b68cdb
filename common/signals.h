/*
 * Signals as something to read, so that a ring can wait for them as for everything else.
 */
#ifndef COMMON_SIGNALS_H
#define COMMON_SIGNALS_H

#include <liburing.h>

/*
 * Blocks the signals given, a list ended by 0, and returns a descriptor from which each arrives as
 * a struct signalfd_siginfo (man 2 signalfd). Call it before any thread is started: threads inherit
 * what is blocked. Doesn't return on failure: prints the reason and exits with status 1.
 */
int signals_open(int first, ...);

/*
 * What day 4 has taught, for the days after it. Prepares to read the next signal from the
 * descriptor of signals_open(). One such read may be in flight in a process.
 */
void signals_prepare_read(struct io_uring *ring, __u64 user_data);

/*
 * For the result of that read: the signal's number, or 0 if it brought none, because of a transient
 * error. After a fatal one it prints the reason and exits with status 1. Prepare the next read in
 * any case.
 */
int signals_on_read(int result);

/* Ends the program as `number` does whose default action nobody has changed. Doesn't return. */
void signals_die_of(int number) __attribute__((noreturn));

#endif
