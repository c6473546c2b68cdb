/*
 * You opened a file into a free slot, but it becomes an ordinary descriptor that's never closed:
 * liburing 2.3's io_uring_prep_openat_direct() adds one to IORING_FILE_INDEX_ALLOC, which makes it
 * 0, "no slot". From liburing 2.4 on the wrong way is correct, too.
 */
#include <fcntl.h>

#include "mistakes/mistake.h"

int main(int argc, char **argv)
{
	struct io_uring ring;
	struct io_uring_sqe *sqe;
	int result;
	bool is_descriptor;

	begin(argc, argv);
	open_ring(&ring, 4, 0);
	must(io_uring_register_files_sparse(&ring, 4), "io_uring_register_files_sparse");

	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_openat_direct(sqe, AT_FDCWD, "/dev/null", O_RDONLY, 0,
				    IORING_FILE_INDEX_ALLOC);
	if (fixed)
		sqe->file_index = IORING_FILE_INDEX_ALLOC; /* the value as it is */
	io_uring_sqe_set_data64(sqe, 1);
	submit(&ring);
	result = reap(&ring).res;
	is_descriptor = result > STDERR_FILENO && fcntl(result, F_GETFD) >= 0;
	printf("openat into any free slot: %d, %s\n", result,
	       is_descriptor ? "a descriptor of this process" : "a slot");

	if (fixed)
		return shown(result == 0 && !is_descriptor, "slot 0");
	return shown(is_descriptor, "no slot, but a descriptor that the program will never close");
}
