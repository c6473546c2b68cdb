/*
 * For the tests of ringtrace: a ring with entries of twice the size, and a zero copy send, whose
 * one SQE has two CQEs, the result and the notification that the buffer is the program's again.
 *
 * Needs: Linux 6.0.
 * Run: build/tests/foreign/large [report]
 */
#include <arpa/inet.h>
#include <errno.h>
#include <error.h>
#include <liburing.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#define REPORT_USAGE (1 << 3) /* IORING_SEND_ZC_REPORT_USAGE of liburing 2.4 */

/* A datagram socket that is connected to itself. */
static int open_socket(void)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	socklen_t length = sizeof(address);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&address, length) < 0 ||
	    getsockname(fd, (struct sockaddr *)&address, &length) < 0 ||
	    connect(fd, (struct sockaddr *)&address, length) < 0)
		error(EXIT_FAILURE, errno, "a socket");
	return fd;
}

static void show(struct io_uring *ring, int count)
{
	struct io_uring_cqe *cqe;
	int result;

	while (count--) {
		result = io_uring_wait_cqe(ring, &cqe);
		if (result < 0)
			error(EXIT_FAILURE, -result, "io_uring_wait_cqe");
		printf("%llu: %d%s\n", (unsigned long long)cqe->user_data, cqe->res,
		       cqe->flags & IORING_CQE_F_NOTIF ? ", notified" : "");
		io_uring_cqe_seen(ring, cqe);
	}
}

int main(int argc, char *argv[])
{
	static const char message[] = "sent without a copy";
	struct io_uring_sqe *sqe;
	struct io_uring ring;
	unsigned i;
	int result = io_uring_queue_init(4, &ring, IORING_SETUP_SQE128 | IORING_SETUP_CQE32);

	if (result < 0)
		error(EXIT_FAILURE, -result, "io_uring_queue_init");
	for (i = 1; i <= 3; i++) {
		sqe = io_uring_get_sqe(&ring);
		io_uring_prep_nop(sqe);
		io_uring_sqe_set_data64(sqe, i);
	}
	io_uring_submit(&ring);
	show(&ring, 3);

	/* The second time the kernel is to say whether it has copied: Linux 6.2. */
	for (i = 4; i <= (argc > 1 && *argv[1] ? 5U : 4U); i++) {
		sqe = io_uring_get_sqe(&ring);
		io_uring_prep_send_zc(sqe, open_socket(), message, sizeof(message), 0, 0);
		sqe->ioprio = i == 5 ? REPORT_USAGE : 0;
		io_uring_sqe_set_data64(sqe, i);
		io_uring_submit(&ring);
		show(&ring, 2);
	}
	io_uring_queue_exit(&ring);
	return EXIT_SUCCESS;
}
