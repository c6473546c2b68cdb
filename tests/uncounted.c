/*
 * What liburing has from 2.10 on: preloaded, this library has io_uring_set_iowait(3), where the one
 * that is installed may not, and notes the call. UNCOUNTED=FILE is created when a program asks that
 * its waits not be counted as waiting for I/O.
 *
 * Run: make test-programs && UNCOUNTED=done LD_PRELOAD=build/tests/uncounted.so ./day05/echo
 */
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

struct io_uring;
int io_uring_set_iowait(struct io_uring *ring, bool enable_iowait);

int io_uring_set_iowait(struct io_uring *ring, bool enable_iowait)
{
	const char *sign = getenv("UNCOUNTED");

	if (ring && !enable_iowait && sign)
		close(creat(sign, 0666));
	return 0;
}
