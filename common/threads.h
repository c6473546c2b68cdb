/*
 * A number of threads that do the same, and wait for each other.
 */
#ifndef COMMON_THREADS_H
#define COMMON_THREADS_H

/*
 * Runs run(0) in the calling thread and run(1) to run(count - 1) in threads of their own, and
 * returns when all of them have returned. If a thread can't be started, see pthread_create(3), it
 * prints the reason and ends the program with status 1.
 */
void threads_run(unsigned count, void (*run)(unsigned number));

/* Returns when all of them have called it. They may do that several times. */
void threads_meet(void);

#endif
