/*
 * For the tests of ringtrace: prints what a program can see of its surroundings, which must be the
 * same with and without: descriptors, environment, errno; and forks a child with a ring of its own
 * that leaves through _exit(2).
 *
 * Run: build/tests/foreign/surroundings
 */
#include <errno.h>
#include <error.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int one_nop(void)
{
	struct io_uring ring;
	int result = io_uring_queue_init(2, &ring, 0);

	if (result < 0)
		error(EXIT_FAILURE, -result, "io_uring_queue_init");
	errno = EDOM;
	io_uring_prep_nop(io_uring_get_sqe(&ring));
	result = io_uring_submit_and_wait(&ring, 1);
	printf("submitted %d, descriptor %d, errno %d\n", result, ring.ring_fd, errno);
	io_uring_queue_exit(&ring);
	return result;
}

int main(void)
{
	int child_status;
	pid_t child;
	char **variable;

	for (variable = environ; *variable; variable++)
		if (strncmp(*variable, "LD_PRELOAD", 10) == 0 || strstr(*variable, "RINGTRACE"))
			printf("%s\n", *variable);
	printf("the next descriptor: %d\n", open("/dev/null", O_RDONLY));
	one_nop();
	fflush(stdout);

	child = fork();
	if (child == 0) {
		int result = one_nop();

		fflush(stdout);
		_exit(result == 1 ? EXIT_SUCCESS : EXIT_FAILURE);
	}
	waitpid(child, &child_status, 0);
	printf("the child's status: %d\n", child_status);
	return EXIT_SUCCESS;
}
