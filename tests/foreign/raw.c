/*
 * For the tests of ringtrace: opens a ring with the system call itself, without liburing.
 *
 * Run: cc -o raw tests/foreign/raw.c && ./raw
 */
#include <linux/io_uring.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(void)
{
	struct io_uring_params params = {0};
	long fd = syscall(SYS_io_uring_setup, 4, &params);

	printf("%s\n", fd < 0 ? "no ring" : "a ring");
	return fd < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
