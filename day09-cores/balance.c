/*
 * Day 9, who gets the clients? Four ways to spread them over threads that have a ring each.
 *
 * Each way runs in a process of its own, which connects the clients itself, one after the other,
 * and then prints how many each thread got.
 *
 * Needs: Linux 6.1; to hand clients over, a later one that lets the receiving ring choose the slot.
 * Run:   make day09 && ./day09/balance
 */
#include <arpa/inet.h>
#include <errno.h>
#include <error.h>
#include <liburing.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/listener.h"
#include "common/options.h"
#include "common/output.h"
#include "common/ring.h"

#define MAX_THREADS   64
#define MAX_CLIENTS   1000
#define RING_ENTRIES  64
#define BACKLOG	      1024
#define PATIENCE_MS   5000 /* for the last client to be accepted */
#define LOOK_EVERY_MS 1

enum way { LISTENER_EACH, SHARED_MULTISHOT, SHARED_SINGLE, HAND_OVER, WAYS };

static const char *names[WAYS] = {
	[LISTENER_EACH] = "a listener for each ring",
	[SHARED_MULTISHOT] = "one listener, multishot",
	[SHARED_SINGLE] = "one listener, single accepts",
	[HAND_OVER] = "one thread hands them over",
};

/* The user_data of a request. What is handed over arrives as one more completion. */
enum { ACCEPT = 1, ARRIVED, HANDED_OVER, CLOSE };

static struct {
	unsigned threads, clients;
} options = {.threads = 8, .clients = 100};

static enum way way;
static int listen_fds[MAX_THREADS];
static int ring_fds[MAX_THREADS];
static atomic_uint clients_of[MAX_THREADS];
static pthread_barrier_t ready;

static _Thread_local struct io_uring ring;
static _Thread_local unsigned self;

static bool accepts(void)
{
	return way != HAND_OVER || self == 0;
}

static void prepare_accept(void)
{
	struct io_uring_sqe *sqe = ring_get_sqe(&ring);

	if (way == SHARED_SINGLE) {
		io_uring_prep_accept(sqe, listen_fds[self], NULL, NULL, 0);
		sqe->file_index = IORING_FILE_INDEX_ALLOC;
	} else {
		io_uring_prep_multishot_accept_direct(sqe, listen_fds[self], NULL, NULL, 0);
	}
	io_uring_sqe_set_data64(sqe, ACCEPT);
}

/*
 * What io_uring_prep_msg_ring_fd_alloc() does in later liburings: the socket in our slot gets a
 * slot in that ring's table, too, and a completion there names it.
 */
static void prepare_hand_over(unsigned slot, unsigned thread)
{
	struct io_uring_sqe *sqe = ring_get_sqe(&ring);

	io_uring_prep_rw(IORING_OP_MSG_RING, sqe, ring_fds[thread],
			 (void *)(uintptr_t)IORING_MSG_SEND_FD, 0, ARRIVED);
	sqe->addr3 = slot;
	sqe->file_index = IORING_FILE_INDEX_ALLOC;
	io_uring_sqe_set_data64(sqe, (__u64)slot << 32 | HANDED_OVER);
}

/* The socket stays open: the other ring's slot has it now. */
static void prepare_close(unsigned slot)
{
	struct io_uring_sqe *sqe = ring_get_sqe(&ring);

	io_uring_prep_close_direct(sqe, slot);
	io_uring_sqe_set_data64(sqe, CLOSE);
}

static void on_accept(const struct io_uring_cqe *cqe)
{
	static unsigned turn;

	if (cqe->res < 0)
		error(EXIT_FAILURE, -cqe->res, "accept");
	if (!(cqe->flags & IORING_CQE_F_MORE))
		prepare_accept();
	if (way == HAND_OVER && turn++ % options.threads != self)
		prepare_hand_over((unsigned)cqe->res, (turn - 1) % options.threads);
	else
		clients_of[self]++;
}

static void on_completion(const struct io_uring_cqe *cqe)
{
	switch ((__u32)cqe->user_data) {
	case ACCEPT: on_accept(cqe); break;
	case ARRIVED: clients_of[self]++; break;
	case HANDED_OVER:
		if (cqe->res < 0)
			error(EXIT_FAILURE, -cqe->res, "handing over (Linux 6.3 can)");
		prepare_close((unsigned)(cqe->user_data >> 32));
		break;
	}
}

static void *run(void *number)
{
	struct io_uring_params params = {.flags = IORING_SETUP_SINGLE_ISSUER |
						  IORING_SETUP_DEFER_TASKRUN};

	self = (unsigned)(uintptr_t)number;
	ring_open_with_slots(&ring, RING_ENTRIES, &params, MAX_CLIENTS);
	ring_fds[self] = ring.ring_fd;
	if (accepts())
		prepare_accept();
	io_uring_submit(&ring);
	pthread_barrier_wait(&ready);
	for (;;) {
		struct io_uring_cqe *cqe;

		ring_again(&ring, io_uring_submit_and_wait(&ring, 1), "io_uring_submit_and_wait");
		while (io_uring_peek_cqe(&ring, &cqe) == 0) {
			on_completion(cqe);
			io_uring_cqe_seen(&ring, cqe);
		}
	}
	return NULL;
}

static unsigned accepted(void)
{
	unsigned sum = 0;

	for (unsigned i = 0; i < options.threads; i++)
		sum += clients_of[i];
	return sum;
}

/* They stay until the process ends. */
static void connect_clients(void)
{
	struct sockaddr_in address;
	socklen_t length = sizeof(address);

	if (getsockname(listen_fds[0], (struct sockaddr *)&address, &length) < 0)
		error(EXIT_FAILURE, errno, "getsockname");
	for (unsigned i = 0; i < options.clients; i++) {
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

		if (fd < 0 || connect(fd, (struct sockaddr *)&address, length) < 0)
			error(EXIT_FAILURE, errno, "connecting client %u", i);
	}
}

static void wait_for_clients(void)
{
	const struct timespec look_every = {.tv_nsec = LOOK_EVERY_MS * 1000000L};

	for (unsigned ms = 0; ms < PATIENCE_MS && accepted() < options.clients; ms += LOOK_EVERY_MS)
		nanosleep(&look_every, NULL);
	if (accepted() < options.clients)
		error(EXIT_FAILURE, 0, "%u of %u clients were accepted", accepted(),
		      options.clients);
}

static void listen_for(void)
{
	if (way == LISTENER_EACH) {
		listener_open_group("127.0.0.1", 0, BACKLOG, listen_fds, options.threads);
		return;
	}
	listen_fds[0] = listener_open("127.0.0.1", 0, BACKLOG);
	for (unsigned i = 1; i < options.threads; i++)
		listen_fds[i] = listen_fds[0];
}

static void show(void)
{
	pthread_t thread;
	int result;

	listen_for();
	pthread_barrier_init(&ready, NULL, options.threads + 1);
	for (uintptr_t i = 0; i < options.threads; i++)
		if ((result = pthread_create(&thread, NULL, run, (void *)i)) != 0)
			error(EXIT_FAILURE, result, "pthread_create");
	pthread_barrier_wait(&ready);
	connect_clients();
	wait_for_clients();
	printf("%-30s", names[way]);
	for (unsigned i = 0; i < options.threads; i++)
		printf(" %4u", clients_of[i]);
	printf("\n");
}

/* A process for each way, so that no thread has to be ended. */
static void show_apart(void)
{
	int status;
	pid_t child = fork();

	if (child < 0)
		error(EXIT_FAILURE, errno, "fork");
	if (child == 0) {
		show();
		exit(EXIT_SUCCESS);
	}
	if (waitpid(child, &status, 0) < 0 || status != 0)
		exit(EXIT_FAILURE);
}

int main(int argc, char **argv)
{
	const struct option_entry entries[] = {
		{"threads", "N", "each with a ring", .number = &options.threads, .least = 1,
		 .most = MAX_THREADS},
		{"clients", "N", "who connect", .number = &options.clients, .least = 1,
		 .most = MAX_CLIENTS},
		{0},
	};

	output_open();
	options_parse(argc, argv,
		      "[OPTIONS]\n"
		      "Shows how many clients each thread gets, by the way they're spread.",
		      entries);
	option_no_more(argc, argv);
	for (way = 0; way < WAYS; way++)
		show_apart();
	return EXIT_SUCCESS;
}
