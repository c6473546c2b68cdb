/*
 * Day 1: a ring is two queues in shared memory.
 *
 * Opens a ring, prepares a few requests, hands all of them over with one system call and finds
 * their completions, in another order, by their user_data. Says of every step whether it was a
 * system call or only touched memory.
 *
 * Needs: Linux 5.6; --sqpoll as an ordinary user: Linux 5.11.
 * Run:   make day01 && ./day01/setup
 *        ./day01/setup --entries 100
 *        ./day01/setup --sqpoll 50
 */
#include <errno.h>
#include <error.h>
#include <getopt.h>
#include <liburing.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/options.h"
#include "common/ring.h"

#define DEFAULT_ENTRIES 8
#define MAX_ENTRIES	32768 /* the kernel's own bound, IORING_MAX_ENTRIES */
#define MAX_IDLE_MS	60000

/*
 * The requests, in the order of their submission. A timeout of 0 ms stands for a NOP. The place in
 * this table is the request's user_data: the only thing that a completion brings back.
 */
static const struct {
	const char *name;
	int timeout_ms;
} requests[] = {
	{"a timeout of 60 ms", 60},
	{"a timeout of 20 ms", 20},
	{"a NOP", 0},
	{"a timeout of 40 ms", 40},
};
#define REQUESTS (sizeof(requests) / sizeof(requests[0]))

/* One line a step, and in front of it what the step cost. */
__attribute__((format(printf, 2, 3))) static void say(const char *cost, const char *format, ...)
{
	va_list arguments;

	printf("%-11s | ", cost);
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	putchar('\n');
}

static void open_ring(struct io_uring *ring, unsigned entries, unsigned sqpoll_idle_ms)
{
	struct io_uring_params params = {0};
	int result;

	if (sqpoll_idle_ms) {
		params.flags = IORING_SETUP_SQPOLL;
		params.sq_thread_idle = sqpoll_idle_ms;
	}
	result = io_uring_queue_init_params(entries, ring, &params);
	if (result < 0)
		error(EXIT_FAILURE, 0, "io_uring_queue_init_params: %s (%s)", strerror(-result),
		      ring_setup_advice(-result));

	say("system call", "io_uring_queue_init_params: a ring for %u entries, descriptor %d",
	    entries, ring->ring_fd);
	say("", "  submission queue: %u x %zu bytes, the SQEs, at %p", params.sq_entries,
	    sizeof(struct io_uring_sqe), (void *)ring->sq.sqes);
	say("", "  completion queue: %u x %zu bytes, the CQEs, at %p", params.cq_entries,
	    sizeof(struct io_uring_cqe), (void *)ring->cq.cqes);
	say("", "  both are the kernel's memory too: writing there needs no system call");
}

/* Prepares as many of the requests as the submission queue holds, and returns how many. */
static unsigned prepare_requests(struct io_uring *ring)
{
	/* The kernel reads a timespec when its SQE is submitted: until then it has to stay. */
	static struct __kernel_timespec timespecs[REQUESTS];
	struct io_uring_sqe *sqe;
	unsigned i;

	for (i = 0; i < REQUESTS; i++) {
		sqe = io_uring_get_sqe(ring);
		if (!sqe) {
			say("memory", "io_uring_get_sqe: NULL, the submission queue is full");
			break;
		}
		if (requests[i].timeout_ms) {
			timespecs[i].tv_nsec = requests[i].timeout_ms * 1000000LL;
			io_uring_prep_timeout(sqe, &timespecs[i], 0, 0);
		} else {
			io_uring_prep_nop(sqe);
		}
		io_uring_sqe_set_data64(sqe, i);
		say("memory", "prepared user_data %u: %s", i, requests[i].name);
	}
	return i;
}

static void submit(struct io_uring *ring)
{
	int result = io_uring_submit(ring);

	if (result < 0)
		error(EXIT_FAILURE, -result, "io_uring_submit");
	say("system call", "io_uring_submit: SQEs handed over at once: %d", result);
}

static void show_completion(const char *cost, const char *call, const struct io_uring_cqe *cqe)
{
	const char *result = cqe->res < 0 ? strerrorname_np(-cqe->res) : "0";

	say(cost, "%s: user_data %llu, result %s%s: %s has completed", call,
	    (unsigned long long)cqe->user_data, cqe->res < 0 ? "-" : "", result,
	    requests[cqe->user_data].name);
}

static void reap_waiting(struct io_uring *ring)
{
	/* io_uring_wait_cqe() looks into the queue first, and enters the kernel only to sleep. */
	const char *cost = io_uring_cq_ready(ring) ? "memory" : "system call";
	struct io_uring_cqe *cqe;
	int result;

	do
		result = io_uring_wait_cqe(ring, &cqe);
	while (result == -EINTR);
	if (result < 0)
		error(EXIT_FAILURE, -result, "io_uring_wait_cqe");
	show_completion(cost, "io_uring_wait_cqe", cqe);
	io_uring_cqe_seen(ring, cqe);
}

static void reap_peeking(struct io_uring *ring)
{
	struct io_uring_cqe *cqe;
	unsigned long looks = 0;
	int result;

	while ((result = io_uring_peek_cqe(ring, &cqe)) == -EAGAIN)
		looks++;
	if (result < 0)
		error(EXIT_FAILURE, -result, "io_uring_peek_cqe");
	say("memory", "io_uring_peek_cqe: nothing there yet, %lu times", looks);
	show_completion("memory", "io_uring_peek_cqe", cqe);
	io_uring_cqe_seen(ring, cqe);
}

static void show_life_of_requests(struct io_uring *ring)
{
	unsigned count = prepare_requests(ring);
	struct io_uring_cqe *cqe;
	unsigned reaped;

	say("memory", "SQEs in the submission queue: %u; the kernel has not looked at them yet",
	    io_uring_sq_ready(ring));
	if (io_uring_peek_cqe(ring, &cqe) == -EAGAIN)
		say("memory", "io_uring_peek_cqe: nothing has completed");

	submit(ring);
	for (reaped = 0; reaped < count; reaped++)
		reaped < 2 ? reap_waiting(ring) : reap_peeking(ring);
}

/* The thread that polls the submission queue, with IORING_SETUP_SQPOLL, flags its sleep there. */
static bool kernel_thread_sleeps(const struct io_uring *ring)
{
	return io_uring_smp_load_acquire(ring->sq.kflags) & IORING_SQ_NEED_WAKEUP;
}

static void submit_nop_to_thread(struct io_uring *ring, unsigned user_data)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
	struct io_uring_cqe *cqe;
	bool asleep;
	int result;

	io_uring_prep_nop(sqe);
	io_uring_sqe_set_data64(sqe, user_data);
	asleep = kernel_thread_sleeps(ring);
	result = io_uring_submit(ring);
	if (result < 0)
		error(EXIT_FAILURE, -result, "io_uring_submit");
	say(asleep ? "system call" : "memory",
	    "io_uring_submit: a NOP, user_data %u; the kernel thread %s", user_data,
	    asleep ? "slept and had to be woken" : "is awake and finds it by itself");

	while ((result = io_uring_peek_cqe(ring, &cqe)) == -EAGAIN)
		;
	if (result < 0)
		error(EXIT_FAILURE, -result, "io_uring_peek_cqe");
	say("memory", "io_uring_peek_cqe: user_data %llu has completed",
	    (unsigned long long)cqe->user_data);
	io_uring_cqe_seen(ring, cqe);
}

static long wait_until_thread_sleeps_ms(const struct io_uring *ring)
{
	const struct timespec millisecond = {.tv_nsec = 1000000};
	struct timespec start, now;

	clock_gettime(CLOCK_MONOTONIC, &start);
	while (!kernel_thread_sleeps(ring))
		nanosleep(&millisecond, NULL);
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (now.tv_sec - start.tv_sec) * 1000 + (now.tv_nsec - start.tv_nsec) / 1000000;
}

static void show_kernel_thread(struct io_uring *ring, unsigned idle_ms)
{
	/* A thread that has just been started finds nothing to do. */
	wait_until_thread_sleeps_ms(ring);
	submit_nop_to_thread(ring, 1);
	submit_nop_to_thread(ring, 2);

	say("memory",
	    "IORING_SQ_NEED_WAKEUP: after %ld ms without work (asked: %u) the thread sleeps",
	    wait_until_thread_sleeps_ms(ring), idle_ms);
	submit_nop_to_thread(ring, 3);
}

static void print_help(void)
{
	printf("Usage: %s [--entries N] [--sqpoll MS]\n"
	       "Shows the life of a few requests in a ring.\n\n"
	       "  --entries N   ask for a ring of N entries, 1 to %d (default %d)\n"
	       "  --sqpoll MS   let a kernel thread poll the submission queue; it falls asleep\n"
	       "                after MS milliseconds without work, 1 to %d\n"
	       "  --help        this text\n",
	       program_invocation_name, MAX_ENTRIES, DEFAULT_ENTRIES, MAX_IDLE_MS);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"entries", required_argument, NULL, 'e'},
		{"sqpoll", required_argument, NULL, 's'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	unsigned entries = DEFAULT_ENTRIES;
	unsigned sqpoll_idle_ms = 0;
	struct io_uring ring;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'e':
			entries = option_number("--entries", optarg, 1, MAX_ENTRIES);
			break;
		case 's':
			sqpoll_idle_ms = option_number("--sqpoll", optarg, 1, MAX_IDLE_MS);
			break;
		case 'h':
			print_help();
			return EXIT_SUCCESS;
		default:
			usage_hint();
		}
	}
	if (optind < argc)
		usage_error("'%s' is one argument too many", argv[optind]);

	open_ring(&ring, entries, sqpoll_idle_ms);
	if (sqpoll_idle_ms)
		show_kernel_thread(&ring, sqpoll_idle_ms);
	else
		show_life_of_requests(&ring);
	io_uring_queue_exit(&ring);
	say("system call", "io_uring_queue_exit: the ring is gone");
	return EXIT_SUCCESS;
}
