/*
 * With IORING_SETUP_SQPOLL a write sends nonsense now and then, or fails with EFAULT: its iovec was
 * gone before the kernel's thread looked at the SQE.
 *
 * Without SQPOLL an iovec may go once io_uring_submit() has returned. With it, io_uring_submit()
 * only tells the thread, so the iovec has to last until the request has completed.
 */
#include "mistakes/mistake.h"

#define ROUNDS 50

static struct io_uring ring;
static int server;

__attribute__((noinline)) static void write_hello(void)
{
	static char hello[5] = "hello";
	static struct iovec lasting;
	struct iovec local[8]; /* the first, which is deep enough in the stack */
	struct iovec *part = fixed ? &lasting : hidden(local);
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

	*part = (struct iovec){.iov_base = hello, .iov_len = sizeof(hello)};
	io_uring_prep_writev(sqe, server, part, 1, 0);
	io_uring_sqe_set_data64(sqe, 1);
	submit(&ring);
}

/* What any program does next: other functions use the same stack. */
__attribute__((noinline)) static void do_something_else(void)
{
	char zeros[4096] = {0};

	hidden(zeros);
}

int main(int argc, char **argv)
{
	int peer, right = 0;

	begin(argc, argv);
	open_ring(&ring, 4, IORING_SETUP_SQPOLL);
	connect_pair(&server, &peer);
	for (int round = 0; round < ROUNDS; round++) {
		write_hello();
		do_something_else();
		right += reap(&ring).res == 5;
	}
	printf("%d of %d writes sent their 5 bytes\n", right, ROUNDS);

	if (fixed)
		return shown(right == ROUNDS, "every write was correct");
	return shown(right < ROUNDS, "the thread read the iovec too late");
}
