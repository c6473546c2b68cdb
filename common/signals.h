/*
 * Signals as something to read, so that a ring can wait for them like for everything else.
 */
#ifndef COMMON_SIGNALS_H
#define COMMON_SIGNALS_H

/*
 * Blocks the signals given, a list ended by 0, and returns a descriptor from which each arrives as
 * a struct signalfd_siginfo (man 2 signalfd). Does not return on failure: prints the reason and
 * exits with status 1.
 */
int signals_open(int first, ...);

/*
 * Gives the signals of signals_open() their default action, which is to end the program, and which
 * one that is pending has at once. The descriptor stays open.
 */
void signals_release(void);

/*
 * For a program that has nothing to do at its end: SIGINT and SIGTERM end it at once, with 128 and
 * their number as its status, even where it's process 1 of a container. For that one the kernel
 * drops every signal that has no handler, and `docker stop` would wait ten seconds, then kill it.
 */
void signals_end_at_once(void);

#endif
