/*
 * For ringtrace's tests: programs that hang, whose threads or children are gone in the middle of
 * something, or that share a ring in a way that its counters do not show.
 *
 * Run: build/tests/foreign/hangs WHAT
 */
#include <errno.h>
#include <error.h>
#include <liburing.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHILDREN 200

static struct io_uring ring;

static void open_ring(struct io_uring *opened)
{
	int result = io_uring_queue_init(16, opened, 0);

	if (result < 0)
		error(EXIT_FAILURE, -result, "io_uring_queue_init");
}

static struct io_uring_sqe *prepare_nop(struct io_uring *of)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(of);

	io_uring_prep_nop(sqe);
	sqe->user_data = 1;
	return sqe;
}

static void complete(struct io_uring *of, unsigned count)
{
	struct io_uring_cqe *cqe;

	while (count-- > 0 && io_uring_wait_cqe(of, &cqe) == 0)
		io_uring_cqe_seen(of, cqe);
}

/* Prepares a receive, does not submit it, and waits. */
static void not_submitted(void)
{
	static char buffer[16];
	int ends[2];

	if (pipe(ends) < 0)
		error(EXIT_FAILURE, errno, "pipe");
	open_ring(&ring);
	io_uring_prep_recv(io_uring_get_sqe(&ring), ends[0], buffer, sizeof(buffer), 0);
	printf("listening on nothing:%d\n", ends[0]);
	fflush(stdout);
	complete(&ring, 1);
}

static void *submit_and_wait(void *unused)
{
	for (int i = 0; i < 10; i++)
		prepare_nop(&ring);
	io_uring_submit_and_wait(&ring, 11);
	return unused;
}

/* A thread is in a call for ever when another one leaves by exit(3). */
static void exit_while_waiting(void)
{
	pthread_t thread;

	open_ring(&ring);
	pthread_create(&thread, NULL, submit_and_wait, NULL);
	while (io_uring_cq_ready(&ring) < 10)
		usleep(1000);
	usleep(10000);
}

/* The child submits to its parent's ring, whose kernel counters are ahead of the parent's own then.
 */
static void shared_ring(void)
{
	struct io_uring_cqe *cqe;
	pid_t child;

	open_ring(&ring);
	child = fork();
	if (child == 0) {
		for (int i = 0; i < 3; i++)
			prepare_nop(&ring);
		io_uring_submit(&ring);
		_exit(EXIT_SUCCESS);
	}
	waitpid(child, NULL, 0);
	complete(&ring, 3);
	io_uring_wait_cqe_timeout(&ring, &cqe, &(struct __kernel_timespec){.tv_nsec = 1000000});
}

static void work_for_ever(void)
{
	struct io_uring own;

	open_ring(&own);
	for (;;) {
		for (int i = 0; i < 8; i++)
			prepare_nop(&own);
		io_uring_submit(&own);
		complete(&own, 8);
	}
}

/* Children are killed while they write to the log, and stay zombies until the end. */
static void killed_children(void)
{
	pid_t children[CHILDREN];

	open_ring(&ring);
	for (int i = 0; i < CHILDREN; i++) {
		children[i] = fork();
		if (children[i] == 0)
			work_for_ever();
		for (int j = 0; j < 20; j++) {
			prepare_nop(&ring);
			io_uring_submit(&ring);
			complete(&ring, 1);
		}
		usleep(2000);
		kill(children[i], SIGKILL);
	}
	for (int i = 0; i < CHILDREN; i++)
		waitpid(children[i], NULL, 0);
	puts("all children are gone");
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*function)(void);
	} all[] = {
		{"not-submitted", not_submitted},
		{"exit-while-waiting", exit_while_waiting},
		{"shared-ring", shared_ring},
		{"killed-children", killed_children},
	};

	for (size_t i = 0; argc == 2 && i < sizeof(all) / sizeof(all[0]); i++)
		if (strcmp(argv[1], all[i].name) == 0) {
			all[i].function();
			exit(EXIT_SUCCESS);
		}
	error(2, 0, "hangs WHAT");
}
