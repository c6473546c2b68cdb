/*
 * For the tests of ringtrace: programs that are not safe themselves. Each must end as it ends
 * without ringtrace.
 *
 * Run: build/tests/foreign/broken failed|closed-twice|exit-in-fork|killed|prepared|untaken
 */
#include <error.h>
#include <liburing.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

static struct io_uring ring;

static void open_ring(unsigned flags)
{
	int result = io_uring_queue_init(8, &ring, flags);

	if (result < 0)
		error(EXIT_FAILURE, -result, "io_uring_queue_init");
}

static void submit_nop(void)
{
	io_uring_prep_nop(io_uring_get_sqe(&ring));
	io_uring_submit(&ring);
}

/* SQPOLL's processor without SQPOLL: no kernel opens that; and then the ring is used anyway. */
static void use_failed(void)
{
	printf("%d\n", io_uring_queue_init(8, &ring, IORING_SETUP_SQ_AFF));
	ring.ring_fd = -1;
	ring.enter_ring_fd = -1;
	io_uring_queue_exit(&ring);
}

/* The second time other memory is where the ring was: rubbish, which nobody may take for CQEs. */
static void close_twice(void)
{
	void *memory;
	struct io_uring copy;

	open_ring(0);
	submit_nop();
	copy = ring;
	io_uring_queue_exit(&ring);
	memory = mmap(copy.cq.ring_ptr, copy.cq.ring_sz, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	memset(memory, 0x55, copy.cq.ring_sz);
	*copy.sq.kring_entries = copy.sq.ring_entries; /* so much liburing 2.9 will unmap */
	printf("%d\n", io_uring_register_files_sparse(&copy, 4));
	copy.ring_fd = -1;
	io_uring_queue_exit(&copy);
}

static void leave(int number)
{
	/* Not safe: that is what this is about. NOLINTNEXTLINE(bugprone-signal-handler) */
	exit(number == SIGALRM ? 7 : EXIT_FAILURE);
}

static void nothing(void)
{
}

/* Signals often enough that one of them arrives in the middle of fork(2). */
static void exit_in_fork(void)
{
	const struct itimerval soon = {.it_value.tv_usec = 20000};
	pid_t child;

	open_ring(0);
	pthread_atfork(nothing, nothing, nothing);
	signal(SIGALRM, leave);
	signal(SIGCHLD, SIG_IGN);
	setitimer(ITIMER_REAL, &soon, NULL);
	for (;;) {
		submit_nop();
		child = fork();
		if (child == 0)
			_exit(EXIT_SUCCESS);
	}
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (strcmp(what, "failed") == 0) {
		use_failed();
	} else if (strcmp(what, "closed-twice") == 0) {
		close_twice();
	} else if (strcmp(what, "exit-in-fork") == 0) {
		exit_in_fork();
	} else if (strcmp(what, "killed") == 0) {
		open_ring(0);
		submit_nop();
		raise(SIGKILL);
	} else if (strcmp(what, "prepared") == 0) {
		open_ring(0);
		submit_nop();
		io_uring_prep_nop(io_uring_get_sqe(&ring));
	} else if (strcmp(what, "untaken") == 0) {
		/* The kernel stops at an SQE that makes no sense, and leaves the next one. */
		open_ring(0);
		io_uring_prep_nop(io_uring_get_sqe(&ring));
		io_uring_prep_rw(200, io_uring_get_sqe(&ring), -1, NULL, 0, 0);
		io_uring_prep_nop(io_uring_get_sqe(&ring));
		printf("%d\n", io_uring_submit(&ring));
		io_uring_queue_exit(&ring);
	}
	return EXIT_SUCCESS;
}
