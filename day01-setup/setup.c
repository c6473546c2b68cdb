/*
 * Day 1: a ring is two queues in shared memory.
 *
 * Opens a ring, prepares four requests, submits all of them with one system call, and reaps their
 * completions, which come in another order and are told apart by their user_data. Prints for each
 * step whether it was a system call or only touched memory, and where the heads and tails are.
 *
 * Needs: Linux 5.6.
 * Run:   make day01 && ./day01/setup
 *        ./day01/setup --entries 2
 */
#include <errno.h>
#include <error.h>
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/options.h"
#include "common/ring.h"

#define DEFAULT_ENTRIES 8
#define MAX_ENTRIES	32768	 /* the kernel's own bound, IORING_MAX_ENTRIES */
#define MS		1000000L /* in nanoseconds */

static struct io_uring ring;

/*
 * The requests, in the order in which they're submitted. One without a time is a NOP, which does
 * nothing and completes at once. A request's index in this table is its user_data.
 */
static struct request {
	const char *name;
	struct __kernel_timespec time; /* has to live until the submit, which reads it */
} requests[] = {
	{"a timeout of 60 ms", {.tv_nsec = 60 * MS}},
	{"a timeout of 20 ms", {.tv_nsec = 20 * MS}},
	{"a NOP"},
	{"a timeout of 40 ms", {.tv_nsec = 40 * MS}},
};
#define REQUESTS (sizeof(requests) / sizeof(requests[0]))

static void open_ring(unsigned entries)
{
	struct io_uring_params params = {0}; /* asks for nothing special */
	int result = io_uring_queue_init_params(entries, &ring, &params);

	if (result < 0)
		error(EXIT_FAILURE, 0, "io_uring_queue_init_params: %s (%s)", strerror(-result),
		      ring_setup_advice(-result));
	printf("system call | io_uring_queue_init_params: a ring for %u entries, descriptor %d\n",
	       entries, ring.ring_fd);
	printf("            |   submission queue: %u x %zu bytes, the SQEs, at %p\n",
	       params.sq_entries, sizeof(struct io_uring_sqe), (void *)ring.sq.sqes);
	printf("            |   completion queue: %u x %zu bytes, the CQEs, at %p\n",
	       params.cq_entries, sizeof(struct io_uring_cqe), (void *)ring.cq.cqes);
}

/*
 * The kernel moves the submission queue's head and the completion queue's tail, maybe right now, so
 * these two are read with acquire. The other two are moved by this program alone.
 */
static void show_queues(void)
{
	unsigned sq_head = io_uring_smp_load_acquire(ring.sq.khead);
	unsigned sq_tail = ring.sq.sqe_tail;
	unsigned cq_head = *ring.cq.khead;
	unsigned cq_tail = io_uring_smp_load_acquire(ring.cq.ktail);

	printf("            |   submission queue: head %u, tail %u; completion queue: head %u, tail %u\n",
	       sq_head, sq_tail, cq_head, cq_tail);
}

/* Returns whether there was room in the submission queue. */
static bool prepare(unsigned i)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

	if (!sqe) {
		printf("memory      | io_uring_get_sqe: NULL, the submission queue is full\n");
		return false;
	}
	if (requests[i].time.tv_nsec)
		io_uring_prep_timeout(sqe, &requests[i].time, 0, 0); /* no count, no flags */
	else
		io_uring_prep_nop(sqe);
	io_uring_sqe_set_data64(sqe, i); /* on every SQE: it may hold an older one */
	printf("memory      | prepared user_data %u: %s\n", i, requests[i].name);
	return true;
}

/* Returns how many requests the kernel has taken: that many completions will come. */
static unsigned submit(void)
{
	int result = io_uring_submit(&ring);

	if (result < 0)
		error(EXIT_FAILURE, -result, "io_uring_submit");
	printf("system call | io_uring_submit: SQEs handed over at once: %d\n", result);
	return (unsigned)result;
}

/* Only its user_data tells which request a completion belongs to. */
static void show_completion(const char *cost, const char *call, const struct io_uring_cqe *cqe)
{
	printf("%-11s | %s: user_data %llu, result %s%s: %s has completed\n", cost, call,
	       (unsigned long long)cqe->user_data, cqe->res < 0 ? "-" : "",
	       cqe->res < 0 ? strerrorname_np(-cqe->res) : "0", requests[cqe->user_data].name);
}

/* Sleeps until there is a completion. */
static void reap_by_waiting(void)
{
	/* io_uring_wait_cqe() looks into the queue first, and enters the kernel only to sleep. */
	const char *cost = io_uring_cq_ready(&ring) ? "memory" : "system call";
	struct io_uring_cqe *cqe;
	int result;

	do
		result = io_uring_wait_cqe(&ring, &cqe);
	while (result == -EINTR); /* a signal, or a debugger */
	if (result < 0)
		error(EXIT_FAILURE, -result, "io_uring_wait_cqe");
	show_completion(cost, "io_uring_wait_cqe", cqe);
	io_uring_cqe_seen(&ring, cqe); /* from here on, the kernel may overwrite it */
}

/* Looks until there is a completion. */
static void reap_by_peeking(void)
{
	struct io_uring_cqe *cqe;
	unsigned long looks = 0;
	int result;

	while ((result = io_uring_peek_cqe(&ring, &cqe)) == -EAGAIN)
		looks++;
	if (result < 0)
		error(EXIT_FAILURE, -result, "io_uring_peek_cqe");
	printf("memory      | io_uring_peek_cqe: nothing there yet, %lu times\n", looks);
	show_completion("memory", "io_uring_peek_cqe", cqe);
	io_uring_cqe_seen(&ring, cqe);
}

int main(int argc, char **argv)
{
	unsigned entries = DEFAULT_ENTRIES;
	const struct option_entry options[] = {
		{"entries", "N", "ask for a ring of N entries", .number = &entries, .least = 1,
		 .most = MAX_ENTRIES},
		{0},
	};
	unsigned taken;

	options_parse(argc, argv, "[--entries N]\nShows the life of a few requests in a ring.",
		      options);
	option_no_more(argc, argv);

	open_ring(entries);
	for (unsigned i = 0; i < REQUESTS && prepare(i); i++)
		;
	show_queues();

	taken = submit();
	show_queues();

	for (unsigned reaped = 0; reaped < taken; reaped++)
		reaped < 2 ? reap_by_waiting() : reap_by_peeking(); /* to show both */
	show_queues();

	io_uring_queue_exit(&ring);
	printf("system call | io_uring_queue_exit: the ring is gone\n");
	return EXIT_SUCCESS;
}
