/*
 * For the tests of ringtrace: a program that ends before its child, which goes on when somebody has
 * opened FIFO for writing and closed it. Each leaves an SQE that it has not submitted.
 *
 * Run: build/tests/foreign/outlived FIFO
 */
#include <errno.h>
#include <error.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdlib.h>
#include <unistd.h>

static void forget_to_submit(int fd)
{
	struct io_uring ring;
	char byte;

	if (io_uring_queue_init(2, &ring, 0) < 0)
		error(EXIT_FAILURE, 0, "io_uring_queue_init");
	io_uring_prep_read(io_uring_get_sqe(&ring), fd, &byte, 1, 0);
	io_uring_queue_exit(&ring);
}

int main(int argc, char **argv)
{
	char byte;
	int fd;

	if (argc != 2)
		error(2, 0, "which FIFO?");
	if (fork() == 0) {
		fd = open(argv[1], O_RDONLY | O_CLOEXEC);
		if (fd < 0 || read(fd, &byte, 1) != 0)
			error(EXIT_FAILURE, errno, "%s", argv[1]);
		forget_to_submit(fd);
		return EXIT_SUCCESS;
	}
	forget_to_submit(0);
	return EXIT_SUCCESS;
}
