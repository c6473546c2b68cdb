/*
 * A connect waits for ever, although it was given a limit. A timeout limits the request that it is
 * linked to, and a link ends with the submit. In a program the two submits are one too few: a queue
 * that is full after the connect is submitted to make room, and the timeout comes with the next.
 */
#include "mistakes/mistake.h"

enum { CONNECT = 1, LIMIT };

static const char *result_of(int result)
{
	return result < 0 ? strerror(-result) : "done";
}

int main(int argc, char **argv)
{
	static struct __kernel_timespec limit = {.tv_nsec = 100000000};
	struct sockaddr_in address;
	struct io_uring ring;
	struct io_uring_sqe *sqe;
	struct completion completion;
	int results[3] = {0}; /* by user_data */
	int fd;

	begin(argc, argv);
	open_ring(&ring, 4, 0);
	address = address_of(open_full_listener());
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	must(fd, "socket");

	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_connect(sqe, fd, (struct sockaddr *)&address, sizeof(address));
	sqe->flags |= IOSQE_IO_LINK;
	io_uring_sqe_set_data64(sqe, CONNECT);
	if (!fixed)
		submit(&ring);
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_link_timeout(sqe, &limit, 0);
	io_uring_sqe_set_data64(sqe, LIMIT);
	submit(&ring);

	while (reaped(&ring, &completion))
		results[completion.user_data] = completion.res;
	printf("the limit of 100 ms: %s\n", result_of(results[LIMIT]));
	printf("the connect: %s\n",
	       results[CONNECT] ? result_of(results[CONNECT]) : "it still waits after 500 ms");
	if (fixed)
		return shown(results[CONNECT] == -ECANCELED, "the limit has ended the connect");
	return shown(results[CONNECT] == 0 && results[LIMIT] == -EINVAL,
		     "a timeout that comes with the next submit is linked to nothing");
}
