/*
 * "Operation canceled" on the last block of a file: a read that's shorter than asked for breaks an
 * IOSQE_IO_LINK chain, and the rest of the chain is cancelled.
 *
 * IOSQE_IO_HARDLINK goes on whatever the result; or ask for exactly as many bytes as there are.
 */
#include <sys/mman.h>

#include "mistakes/mistake.h"

int main(int argc, char **argv)
{
	struct io_uring ring;
	struct io_uring_sqe *sqe;
	char bytes[64];
	int file, read, next;

	begin(argc, argv);
	open_ring(&ring, 4, 0);
	file = memfd_create("ten-bytes", MFD_CLOEXEC);
	if (write(file, "ten bytes.", 10) != 10)
		error(EXIT_FAILURE, errno, "write");

	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_read(sqe, file, bytes, sizeof(bytes), 0);
	sqe->flags |= fixed ? IOSQE_IO_HARDLINK : IOSQE_IO_LINK;
	io_uring_sqe_set_data64(sqe, 1);
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_nop(sqe); /* whatever comes next */
	io_uring_sqe_set_data64(sqe, 2);
	submit(&ring);
	read = reap(&ring).res;
	next = reap(&ring).res;
	printf("a read of %d bytes: %d; the next request: %s\n", (int)sizeof(bytes), read,
	       strerror(-next));

	if (fixed)
		return shown(read == 10 && next == 0, "the chain goes on after a short read");
	return shown(read == 10 && next == -ECANCELED, "the short read has cancelled the rest");
}
