/*
 * For the tests of ringtrace: many requests that share their user_data, NUMBER of them in flight at
 * a time; or none in flight, but as many again and again.
 *
 * Run: build/tests/foreign/many NUMBER
 */
#include <error.h>
#include <liburing.h>
#include <stdlib.h>

#define TOTAL 65536U

int main(int argc, char **argv)
{
	unsigned in_flight = argc > 1 ? (unsigned)atoi(argv[1]) : 1;
	struct io_uring_sqe *sqe;
	struct io_uring ring;
	unsigned done, i;
	int result = io_uring_queue_init(in_flight, &ring, 0);

	if (result < 0)
		error(EXIT_FAILURE, -result, "io_uring_queue_init");
	for (done = 0; done < TOTAL; done += in_flight) {
		for (i = 0; i < in_flight; i++) {
			sqe = io_uring_get_sqe(&ring);
			io_uring_prep_nop(sqe);
			sqe->user_data = 7;
		}
		io_uring_submit_and_wait(&ring, in_flight);
		io_uring_cq_advance(&ring, in_flight);
	}
	io_uring_queue_exit(&ring);
	return EXIT_SUCCESS;
}
