/*
 * Signals as something to read, so that a ring can wait for them like for everything else.
 */
#ifndef COMMON_SIGNALS_H
#define COMMON_SIGNALS_H

/*
 * Blocks the signals given, a list ended by 0, and returns a descriptor from which each arrives as
 * a struct signalfd_siginfo (man 2 signalfd). Also ignores SIGPIPE: a program whose output nobody
 * reads any more goes on serving. Does not return on failure: prints the reason and
 * exits with status 1.
 */
int signals_open(int first, ...);

/*
 * Gives the signals of signals_open() their default action, which is to end the program, and which
 * one that is pending has at once. The descriptor stays open.
 */
void signals_release(void);

#endif
