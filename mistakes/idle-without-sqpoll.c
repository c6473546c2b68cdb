/*
 * As many system calls as before: sq_thread_idle was set, but IORING_SETUP_SQPOLL wasn't.
 *
 * The field sets after how many milliseconds the kernel's thread goes to sleep. If there isn't such
 * a thread, the kernel ignores it without a word.
 */
#include "mistakes/mistake.h"

int main(int argc, char **argv)
{
	struct io_uring_params params = {.sq_thread_idle = 1000};
	struct io_uring ring;
	int before, after;

	begin(argc, argv);
	if (fixed)
		params.flags = IORING_SETUP_SQPOLL;
	before = count_threads();
	must(io_uring_queue_init_params(4, &ring, &params), "io_uring_queue_init_params");
	after = count_threads();
	printf("opening the ring: Success; threads before: %d, after: %d\n", before, after);

	if (fixed)
		return shown(after == before + 1, "a thread that polls the submission queue");
	return shown(after == before, "no thread, and so nothing that could be idle");
}
