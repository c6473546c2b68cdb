/*
 * Day 1: what a trip into the kernel costs, and how a ring shares it.
 *
 * Sends the same number of requests through a ring twice: first each with a system call of its own,
 * then 32 with each call. The requests are NOPs, which do nothing, so nearly all that's measured is
 * the way into the kernel and back.
 *
 * Needs: Linux 5.6.
 * Run:   make day01 && ./day01/batch
 */
#include <error.h>
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/options.h"
#include "common/ring.h"

#define BATCH		 32
#define DEFAULT_REQUESTS 1000000
#define MOST_REQUESTS	 100000000

static struct io_uring ring;

static void open_ring(void)
{
	int result = io_uring_queue_init(BATCH, &ring, 0);

	if (result < 0)
		error(EXIT_FAILURE, 0, "io_uring_queue_init: %s (%s)", strerror(-result),
		      ring_setup_advice(-result));
}

/* A call of liburing returns how much it has done, or -errno. */
static void expect(unsigned expected, int result, const char *call)
{
	if (result < 0)
		error(EXIT_FAILURE, -result, "%s", call);
	if ((unsigned)result != expected)
		error(EXIT_FAILURE, 0, "%s: %d instead of %u", call, result, expected);
}

static void run_batch(unsigned batch)
{
	struct io_uring_cqe *cqe;

	/* Write the requests into the ring: only memory. */
	for (unsigned i = 0; i < batch; i++)
		io_uring_prep_nop(io_uring_get_sqe(&ring));

	/* Hand all of them over: one system call. */
	expect(batch, io_uring_submit(&ring), "io_uring_submit");

	/* Read the answers from the ring: memory again, because NOPs are done by now. */
	for (unsigned i = 0; i < batch; i++) {
		expect(0, io_uring_wait_cqe(&ring, &cqe), "io_uring_wait_cqe");
		io_uring_cqe_seen(&ring, cqe);
	}
}

static double now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static void measure(unsigned requests, unsigned batch)
{
	const double begin = now_ns();
	unsigned left = requests;

	for (; left > batch; left -= batch)
		run_batch(batch);
	run_batch(left);
	printf("%2u in each system call: %4.0f ns a request\n", batch,
	       (now_ns() - begin) / requests);
}

int main(int argc, char **argv)
{
	unsigned requests = DEFAULT_REQUESTS;
	const struct option_entry options[] = {
		{"requests", "N", "send N requests each way", .number = &requests, .least = BATCH,
		 .most = MOST_REQUESTS},
		{0},
	};

	options_parse(argc, argv, "[--requests N]\nMeasures what a trip into the kernel costs.",
		      options);
	option_no_more(argc, argv);

	open_ring();
	measure(requests, 1);
	measure(requests, BATCH);
	io_uring_queue_exit(&ring);
	return EXIT_SUCCESS;
}
