/* Memory that's pinned once instead of for each request. */
#include "snippet.h"

#include <fcntl.h>
#include <sys/uio.h>

int main(void)
{
	char *bytes = pages(4096);
	struct iovec memory = {bytes, 4096};
	struct io_uring ring;
	struct io_uring_sqe *sqe;
	int fd = must(open("/proc/self/exe", O_RDONLY | O_CLOEXEC), "open");

	open_ring(&ring);
	must(io_uring_register_buffers(&ring, &memory, 1), "io_uring_register_buffers");

	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_read_fixed(sqe, fd, bytes + 512, 1024, 0, 0); /* any part of buffer 0 */
	io_uring_sqe_set_data64(sqe, 1);
	printf("read into a registered buffer: %d bytes\n", next_completion(&ring).res);
	return EXIT_SUCCESS;
}
