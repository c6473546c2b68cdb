/* setsockopt(2) on a connection that has only a slot. */
#include "snippet.h"

#include <netinet/tcp.h>

#define SETSOCKOPT 3 /* SOCKET_URING_OP_SETSOCKOPT */

/* What liburing 2.6 has as io_uring_prep_cmd_sock(), in the fields' older names. */
static void prepare_option(struct io_uring_sqe *sqe, int slot, unsigned level, unsigned option,
			   const int *value)
{
	io_uring_prep_rw(IORING_OP_URING_CMD, sqe, slot, NULL, 0, 0);
	sqe->flags |= IOSQE_FIXED_FILE;
	sqe->cmd_op = SETSOCKOPT;
	memcpy(&sqe->addr, (unsigned[]){level, option}, 2 * sizeof(unsigned));
	sqe->addr3 = (__u64)(uintptr_t)value; /* optval */
	sqe->file_index = sizeof(*value);     /* optlen */
}

int main(void)
{
	const int on = 1;
	struct io_uring ring;
	struct io_uring_sqe *sqe;
	struct completion completion;
	socklen_t length = sizeof(int);
	int server, peer, set = 0;

	open_ring(&ring);
	connect_pair(&server, &peer);
	must(io_uring_register_files(&ring, &server, 1), "io_uring_register_files");

	sqe = io_uring_get_sqe(&ring);
	prepare_option(sqe, 0, IPPROTO_TCP, TCP_NODELAY, &on);
	io_uring_sqe_set_data64(sqe, 1);
	completion = next_completion(&ring);
	need(completion.res != -EOPNOTSUPP && completion.res != -EINVAL, "Linux 6.7");
	must(completion.res, "SOCKET_URING_OP_SETSOCKOPT");

	/* The descriptor is still there, to look with. */
	must(getsockopt(server, IPPROTO_TCP, TCP_NODELAY, &set, &length), "getsockopt");
	printf("TCP_NODELAY, set on slot 0: %d\n", set);
	return EXIT_SUCCESS;
}
