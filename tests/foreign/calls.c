/*
 * For the tests of ringtrace: calls, operations and fields that no day uses.
 *
 * Run: build/tests/foreign/calls
 */
#include <arpa/inet.h>
#include <error.h>
#include <fcntl.h>
#include <liburing.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static struct io_uring ring, other;

/* What the system calls do without liburing's functions around them. */
static void enter(unsigned count)
{
	unsigned flags = IORING_ENTER_GETEVENTS;

	ring.sq.sqe_head = ring.sq.sqe_tail;
	*ring.sq.ktail = ring.sq.sqe_tail;
	printf("%d\n", io_uring_enter((unsigned)ring.ring_fd, count, count, flags, NULL));
	io_uring_cq_advance(&ring, io_uring_cq_ready(&ring));
}

int main(void)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons(9),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	struct iovec vectors[2] = {{.iov_base = &address, .iov_len = 3},
				   {.iov_base = &address, .iov_len = 4}};
	struct io_uring_sqe *sqe;
	int fd;

	if (io_uring_queue_init(8, &ring, 0) < 0 || io_uring_queue_init(8, &other, 0) < 0)
		error(EXIT_FAILURE, 0, "io_uring_queue_init");
	printf("%d\n",
	       io_uring_register((unsigned)ring.ring_fd, IORING_REGISTER_PERSONALITY, NULL, 0) > 0);
	fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	io_uring_prep_writev(io_uring_get_sqe(&ring), fd, vectors, 2, 0);
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_linkat(sqe, AT_FDCWD, "/no/such/file", AT_FDCWD, "/no/such/link", 0);
	sqe->personality = 1;
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_connect(sqe, fd, (struct sockaddr *)&address, sizeof(address));
	io_uring_prep_msg_ring(io_uring_get_sqe(&ring), other.ring_fd, 12, 0xabc, 0);
	enter(4);
	io_uring_get_events(&other);
	io_uring_queue_exit(&other);
	io_uring_queue_exit(&ring);
	return EXIT_SUCCESS;
}
