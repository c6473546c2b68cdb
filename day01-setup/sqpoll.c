/*
 * Day 1, for contrast: submitting without a system call.
 *
 * With IORING_SETUP_SQPOLL, a kernel thread polls the submission queue, so all a program has to do
 * is to move the tail. If there's nothing to do for a while, the thread falls asleep. So this shows
 * both a request that the awake thread finds and one for which it has to be woken.
 *
 * Needs: Linux 5.13 (5.11 with CAP_SYS_NICE).
 * Run:   make day01 && ./day01/sqpoll
 *        ./day01/sqpoll --idle 1000
 */
#include <errno.h>
#include <error.h>
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/options.h"
#include "common/ring.h"

#define ENTRIES		8
#define DEFAULT_IDLE_MS 50
#define MAX_IDLE_MS	60000

static struct io_uring ring;

static void open_ring(unsigned idle_ms)
{
	struct io_uring_params params = {
		.flags = IORING_SETUP_SQPOLL,
		.sq_thread_idle = idle_ms,
	};
	int result = io_uring_queue_init_params(ENTRIES, &ring, &params);

	if (result < 0)
		error(EXIT_FAILURE, 0, "io_uring_queue_init_params: %s (%s)", strerror(-result),
		      ring_setup_advice(-result));
	printf("system call | io_uring_queue_init_params: a ring and its kernel thread\n");
}

/* The thread sets a flag in the shared memory before it falls asleep. */
static bool thread_sleeps(void)
{
	return io_uring_smp_load_acquire(ring.sq.kflags) & IORING_SQ_NEED_WAKEUP;
}

static long wait_until_thread_sleeps_ms(void)
{
	const struct timespec millisecond = {.tv_nsec = 1000000};
	struct timespec start, now;

	clock_gettime(CLOCK_MONOTONIC, &start);
	while (!thread_sleeps())
		nanosleep(&millisecond, NULL);
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (now.tv_sec - start.tv_sec) * 1000 + (now.tv_nsec - start.tv_nsec) / 1000000;
}

static void submit_nop(unsigned user_data)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring); /* one at a time: never NULL */
	bool sleeps = thread_sleeps();
	int result;

	io_uring_prep_nop(sqe);
	io_uring_sqe_set_data64(sqe, user_data);
	/* Checks the same flag, and enters the kernel only if the thread has to be woken. */
	result = io_uring_submit(&ring);
	if (result < 0)
		error(EXIT_FAILURE, -result, "io_uring_submit");
	printf("%-11s | io_uring_submit: a NOP, user_data %u; the kernel thread %s\n",
	       sleeps ? "system call" : "memory", user_data,
	       sleeps ? "slept and had to be woken" : "is awake and finds it by itself");
}

static void reap_by_peeking(void)
{
	struct io_uring_cqe *cqe;
	int result;

	while ((result = io_uring_peek_cqe(&ring, &cqe)) == -EAGAIN)
		;
	if (result < 0)
		error(EXIT_FAILURE, -result, "io_uring_peek_cqe");
	printf("memory      | io_uring_peek_cqe: user_data %llu has completed\n",
	       (unsigned long long)cqe->user_data);
	io_uring_cqe_seen(&ring, cqe);
}

int main(int argc, char **argv)
{
	unsigned idle_ms = DEFAULT_IDLE_MS;
	const struct option_entry options[] = {
		{"idle", "MS", "the thread sleeps after MS milliseconds without work",
		 .number = &idle_ms, .least = 1, .most = MAX_IDLE_MS},
		{0},
	};

	options_parse(argc, argv,
		      "[--idle MS]\nSubmits to a kernel thread, mostly without a system call.",
		      options);
	option_no_more(argc, argv);

	open_ring(idle_ms);
	wait_until_thread_sleeps_ms(); /* it has just started and finds nothing to do */
	submit_nop(1);
	reap_by_peeking();
	submit_nop(2);
	reap_by_peeking();

	printf("memory      | IORING_SQ_NEED_WAKEUP: after %ld ms without work (asked: %u) the thread "
	       "sleeps\n",
	       wait_until_thread_sleeps_ms(), idle_ms);
	submit_nop(3);
	reap_by_peeking();

	io_uring_queue_exit(&ring);
	printf("system call | io_uring_queue_exit: the ring is gone, and its thread\n");
	return EXIT_SUCCESS;
}
