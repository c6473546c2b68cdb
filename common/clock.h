/*
 * The clock that deadlines are measured with.
 */
#ifndef COMMON_CLOCK_H
#define COMMON_CLOCK_H

#define NS_PER_MS 1000000LL
#define NS_PER_S  1000000000LL

/*
 * Nanoseconds of CLOCK_MONOTONIC, by which io_uring's timeouts go, too (man 2 clock_gettime). It
 * stops while the machine is suspended.
 */
long long clock_ns(void);

#endif
