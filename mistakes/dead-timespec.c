/*
 * A timeout fires at once, or never, or is refused: its timespec was on the stack of a function
 * that had returned before the SQE was submitted.
 *
 * An SQE holds a pointer, and the kernel reads what's behind it when it takes the SQE, not before.
 */
#include "mistakes/mistake.h"

#define ASKED_MS 500

__attribute__((noinline)) static void prepare_timeout(struct io_uring *ring)
{
	static struct __kernel_timespec lasting;
	struct __kernel_timespec local[8]; /* the first, which is deep enough in the stack */
	struct __kernel_timespec *pause = fixed ? &lasting : hidden(local);
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	*pause = (struct __kernel_timespec){.tv_nsec = ASKED_MS * 1000000LL};
	io_uring_prep_timeout(sqe, pause, 0, 0);
	io_uring_sqe_set_data64(sqe, 1);
}

/* A function with variables of its own, which are now where prepare_timeout() had its. */
__attribute__((noinline)) static void submit_later(struct io_uring *ring)
{
	char zeros[4096] = {0};

	hidden(zeros);
	submit(ring);
}

int main(int argc, char **argv)
{
	struct io_uring ring;
	struct completion completion;
	long begin_ms, took;

	begin(argc, argv);
	open_ring(&ring, 4, 0);
	begin_ms = now_ms();
	prepare_timeout(&ring);
	submit_later(&ring);
	completion = reap(&ring);
	took = now_ms() - begin_ms;
	printf("a timeout of %d ms, after %ld ms: %s\n", ASKED_MS, took, strerror(-completion.res));

	if (fixed)
		return shown(completion.res == -ETIME && took >= ASKED_MS, "it lasted as asked");
	return shown(completion.res != -ETIME || took < ASKED_MS,
		     "not the time that was asked for");
}
