/*
 * For the tests of ringtrace: what no day does. A chain of linked requests that breaks, a timeout
 * for a link, buffers provided by an SQE, a request that is silent on success, requests that share
 * their user_data, and waits with a timeout.
 *
 * Run: build/tests/foreign/links
 */
#include <error.h>
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static struct io_uring ring;
static int ends[2];

static void show(int count)
{
	struct io_uring_cqe *cqe;
	int result;

	while (count--) {
		result = io_uring_wait_cqe(&ring, &cqe);
		if (result < 0)
			error(EXIT_FAILURE, -result, "io_uring_wait_cqe");
		printf("%llu: %d\n", (unsigned long long)cqe->user_data, cqe->res);
		io_uring_cqe_seen(&ring, cqe);
	}
}

/* A NOP, or what its caller makes of it: preparing leaves user_data as it is. */
static struct io_uring_sqe *next_sqe(unsigned long long user_data)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

	io_uring_prep_nop(sqe);
	io_uring_sqe_set_data64(sqe, user_data);
	return sqe;
}

/* After the preparing function, which resets the flags. */
static struct io_uring_sqe *linked(struct io_uring_sqe *sqe)
{
	io_uring_sqe_set_flags(sqe, IOSQE_IO_LINK);
	return sqe;
}

static void break_a_chain(void)
{
	struct io_uring_sqe *sqe = next_sqe(1);
	char byte;

	io_uring_prep_read(sqe, -1, &byte, 1, 0);
	linked(sqe);
	linked(next_sqe(2));
	next_sqe(3);
	io_uring_submit(&ring);
	show(3);
}

static void time_out(void)
{
	struct __kernel_timespec soon = {.tv_nsec = 1000000};
	struct io_uring_sqe *sqe = next_sqe(10);
	char byte;

	io_uring_prep_read(sqe, ends[0], &byte, 1, 0);
	linked(sqe);
	io_uring_prep_link_timeout(next_sqe(11), &soon, 0);
	io_uring_submit_and_wait(&ring, 2);
	show(2);
}

static void provide_buffers(void)
{
	static char buffers[4][64];
	struct io_uring_sqe *sqe;

	io_uring_prep_provide_buffers(next_sqe(20), buffers, 64, 4, 7, 0);
	io_uring_submit_and_wait(&ring, 1);
	show(1);
	if (write(ends[1], "hello", 5) != 5)
		error(EXIT_FAILURE, 0, "write");
	sqe = next_sqe(21);
	io_uring_prep_read(sqe, ends[0], NULL, 64, 0);
	sqe->flags |= IOSQE_BUFFER_SELECT;
	sqe->buf_group = 7;
	io_uring_submit_and_wait(&ring, 1);
	show(1);
}

static void keep_silent(void)
{
	io_uring_sqe_set_flags(next_sqe(30), IOSQE_CQE_SKIP_SUCCESS);
	next_sqe(31);
	io_uring_submit(&ring);
	show(1);
}

static void share_user_data(void)
{
	struct __kernel_timespec soon = {.tv_nsec = 2000000}, sooner = {.tv_nsec = 1000000};

	io_uring_prep_timeout(next_sqe(40), &soon, 0, 0);
	io_uring_prep_timeout(next_sqe(40), &sooner, 0, 0);
	io_uring_submit_and_wait(&ring, 2);
	show(2);
}

static void wait_in_vain(void)
{
	struct __kernel_timespec soon = {.tv_nsec = 1000000};
	struct io_uring_cqe *cqe;

	printf("wait_cqes: %d\n", io_uring_wait_cqes(&ring, &cqe, 1, &soon, NULL));
	printf("wait_cqe_timeout: %d\n", io_uring_wait_cqe_timeout(&ring, &cqe, &soon));
	next_sqe(50);
	printf("submit_and_wait_timeout: %d\n",
	       io_uring_submit_and_wait_timeout(&ring, &cqe, 2, &soon, NULL) < 0);
	show(1);
}

int main(void)
{
	static char unread;
	int result = io_uring_queue_init(8, &ring, 0);

	if (result < 0)
		error(EXIT_FAILURE, -result, "io_uring_queue_init");
	if (pipe(ends) < 0)
		error(EXIT_FAILURE, 0, "pipe");
	break_a_chain();
	time_out();
	provide_buffers();
	keep_silent();
	share_user_data();
	wait_in_vain();

	/* One that will not complete before the end. */
	io_uring_prep_read(next_sqe(60), ends[0], &unread, 1, 0);
	io_uring_submit(&ring);
	io_uring_queue_exit(&ring);
	return EXIT_SUCCESS;
}
