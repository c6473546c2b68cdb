/*
 * A timeout of a minute fires as soon as something else completes, because its count was 1.
 *
 * The count isn't how often it fires. "1" means: fire after the time, or after 1 other request has
 * completed. A plain timeout has count 0.
 */
#include "mistakes/mistake.h"

int main(int argc, char **argv)
{
	static struct __kernel_timespec minute = {.tv_sec = 60};
	struct io_uring ring;
	struct io_uring_sqe *sqe;
	struct completion completion;
	bool fired;

	begin(argc, argv);
	open_ring(&ring, 4, 0);
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_timeout(sqe, &minute, fixed ? 0 : 1, 0);
	io_uring_sqe_set_data64(sqe, 1);
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_nop(sqe);
	io_uring_sqe_set_data64(sqe, 2);
	submit(&ring);

	while ((fired = reaped(&ring, &completion)) && completion.user_data == 2)
		printf("another request has completed\n");
	printf("the timeout of a minute %s\n",
	       fired ? "has fired at once, with result 0" : "goes on");
	if (fixed)
		return shown(!fired, "count 0: only the time counts");
	return shown(fired && completion.res == 0, "it has fired at the next completion");
}
