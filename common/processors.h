/*
 * How many processors there are for a program.
 */
#ifndef COMMON_PROCESSORS_H
#define COMMON_PROCESSORS_H

/*
 * Those that the program may run on, which can be fewer than the machine has: taskset(1) and a
 * container's cpuset choose them. (A container's share of the time, as in docker run --cpus, is
 * something else, and isn't seen.) At least 1, at most 1024.
 */
unsigned processors_allowed(void);

#endif
