/*
 * For the tests of ringtrace: requests whose SQE points to vectors, directly or in a message, also
 * where the pointers lead nowhere. Prints where its first two buffers are.
 *
 * Run: build/tests/foreign/messages
 */
#include <arpa/inet.h>
#include <errno.h>
#include <error.h>
#include <liburing.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#define MANY	20	      /* vectors: more than a log has */
#define NOWHERE ((void *)0x8) /* an address where nothing is */

static struct io_uring ring;

/* One request at a time. */
static void complete(const char *what)
{
	struct io_uring_cqe *cqe;

	io_uring_submit_and_wait(&ring, 1);
	if (io_uring_peek_cqe(&ring, &cqe) < 0)
		error(EXIT_FAILURE, 0, "no completion");
	printf("%s: %d\n", what, cqe->res);
	io_uring_cqe_seen(&ring, cqe);
}

static int open_datagram(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	if (fd < 0)
		error(EXIT_FAILURE, errno, "socket");
	return fd;
}

int main(void)
{
	static char memory[MANY][1000];
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons(9),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	struct iovec vectors[MANY];
	struct msghdr message = {.msg_iov = vectors, .msg_iovlen = 2};
	struct msghdr nowhere = {.msg_iov = NOWHERE, .msg_iovlen = 2};
	int ends[2], i;

	if (io_uring_queue_init(8, &ring, 0) < 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, ends) < 0)
		error(EXIT_FAILURE, 0, "a ring and two sockets");
	for (i = 0; i < MANY; i++)
		vectors[i] = (struct iovec){.iov_base = memory[i], .iov_len = 3 + (size_t)i};
	printf("buffer at %p+3\nbuffer at %p+4\n", memory[0], memory[1]);

	io_uring_prep_sendmsg(io_uring_get_sqe(&ring), ends[0], &message, 0);
	complete("sendmsg of 2");
	io_uring_prep_recvmsg(io_uring_get_sqe(&ring), ends[1], &message, 0);
	complete("recvmsg of 2");
	message.msg_iovlen = MANY;
	io_uring_prep_sendmsg(io_uring_get_sqe(&ring), ends[0], &message, 0);
	complete("sendmsg of many");
	io_uring_prep_readv(io_uring_get_sqe(&ring), ends[1], vectors, 3, 0);
	complete("readv of 3");
	message = (struct msghdr){.msg_name = &address,
				  .msg_namelen = sizeof(address),
				  .msg_iov = vectors,
				  .msg_iovlen = 1};
	io_uring_prep_sendmsg(io_uring_get_sqe(&ring), open_datagram(), &message, 0);
	complete("sendmsg with an address");

	io_uring_prep_sendmsg(io_uring_get_sqe(&ring), ends[0], NOWHERE, 0);
	complete("sendmsg without a message");
	io_uring_prep_sendmsg(io_uring_get_sqe(&ring), ends[0], &nowhere, 0);
	complete("sendmsg without vectors");
	io_uring_prep_writev(io_uring_get_sqe(&ring), ends[0], NOWHERE, 2, 0);
	complete("writev without vectors");
	io_uring_queue_exit(&ring);
	return EXIT_SUCCESS;
}
