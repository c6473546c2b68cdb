/*
 * For the tests of ringtrace --check: what looks like a mistake, and is none, one thing at a time.
 *
 * Run: build/tests/foreign/harmless WHAT, which is one of the words in main()
 */
#include <errno.h>
#include <error.h>
#include <liburing.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ENTRIES 8
#define MUCH	(4 << 20) /* more than a socket takes */

static struct io_uring ring;
static char much[MUCH];
static int ends[2], more_ends[2];

static void open_pair(int pair[2])
{
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0)
		error(EXIT_FAILURE, errno, "socketpair");
}

static int completion(void)
{
	struct io_uring_cqe *cqe;
	int result = io_uring_wait_cqe(&ring, &cqe);

	if (result < 0)
		error(EXIT_FAILURE, -result, "io_uring_wait_cqe");
	result = cqe->res;
	io_uring_cqe_seen(&ring, cqe);
	return result;
}

static void start_send(int fd, const char *from, size_t size, int flags)
{
	io_uring_prep_send(io_uring_get_sqe(&ring), fd, from, size, flags | MSG_NOSIGNAL);
	io_uring_submit(&ring);
}

static void drain(int fd)
{
	static char bytes[MUCH];

	while (recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
		;
}

/* Two sockets whose sends have the same user_data: the one that ends is not the one that began. */
static void send_with_the_same_user_data(void)
{
	start_send(ends[0], much, sizeof(much), MSG_WAITALL);
	start_send(more_ends[0], much, 300000, MSG_WAITALL);
	do
		drain(more_ends[1]);
	while (!io_uring_cq_ready(&ring));
	completion();
	start_send(more_ends[0], much, 1, MSG_WAITALL);
	completion();
}

static int send_much(void)
{
	start_send(ends[0], much, sizeof(much), 0);
	return completion();
}

static void pause_a_millisecond(void)
{
	struct __kernel_timespec soon = {.tv_nsec = 1000000};

	io_uring_prep_timeout(io_uring_get_sqe(&ring), &soon, 0, 0);
	io_uring_submit(&ring);
	completion();
}

/* The rest of a short send goes on from where it was moved to, later, and after the peer's end. */
static void move_the_rest(void)
{
	int sent = send_much();
	char byte;

	pause_a_millisecond();
	shutdown(ends[1], SHUT_WR);
	io_uring_prep_recv(io_uring_get_sqe(&ring), ends[0], &byte, 1, 0);
	io_uring_submit(&ring);
	completion();
	pause_a_millisecond();
	memmove(much, much + sent, sizeof(much) - (size_t)sent);
	drain(ends[1]);
	start_send(ends[0], much, 10, 0);
	completion();
	pause_a_millisecond();
}

/* Whose peer is too slow is not waited for. */
static void drop_the_peer(void)
{
	send_much();
	io_uring_prep_close(io_uring_get_sqe(&ring), ends[0]);
	io_uring_submit(&ring);
	completion();
	pause_a_millisecond();
}

/* The same in order: shutdown(2) ends the receive, which is heard of later, and then it is closed.
 */
static void shut_the_peer_down(void)
{
	static char byte;
	struct io_uring_sqe *sqe;

	io_uring_queue_exit(&ring);
	if (io_uring_queue_init(ENTRIES, &ring,
				IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN) < 0)
		error(EXIT_FAILURE, 0, "io_uring_queue_init");
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_recv(sqe, ends[0], &byte, 1, 0);
	io_uring_sqe_set_data64(sqe, 1);
	send_much();
	shutdown(ends[0], SHUT_RDWR);
	io_uring_submit_and_wait(&ring, 1);
	completion();
	close(ends[0]);
	pause_a_millisecond();
}

static void lose_the_peer(void)
{
	char byte;

	send_much();
	close(ends[1]);
	io_uring_prep_recv(io_uring_get_sqe(&ring), ends[0], &byte, 1, 0);
	io_uring_submit(&ring);
	completion();
	pause_a_millisecond();
	close(ends[0]);
}

static void wait_for_room(void)
{
	send_much();
	io_uring_prep_poll_add(io_uring_get_sqe(&ring), ends[0], POLLOUT);
	io_uring_submit(&ring);
	pause_a_millisecond();
	pause_a_millisecond();
}

static void cancel(unsigned long long user_data)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

	io_uring_prep_cancel64(sqe, user_data, 0);
	io_uring_sqe_set_data64(sqe, 1);
	io_uring_submit(&ring);
	completion();
}

/* What a cancel has cut short was not forgotten. */
static void cancel_the_send(void)
{
	start_send(ends[0], much, sizeof(much), MSG_WAITALL);
	cancel(0);
	completion();
	pause_a_millisecond();
}

/* Who is about to end sends no more. */
static void come_to_the_end(void)
{
	send_much();
	cancel(2);
	pause_a_millisecond();
}

/* Looks for the one or the other, with something to do in between; and then for something there. */
static void look_while_working(void)
{
	struct __kernel_timespec late = {.tv_sec = 60};
	struct io_uring_cqe *cqe;
	struct timespec used;
	volatile unsigned work;

	io_uring_prep_timeout(io_uring_get_sqe(&ring), &late, 0, 0);
	io_uring_submit(&ring);
	do {
		io_uring_peek_cqe(&ring, &cqe);
		for (work = 0; work < 20000; work++)
			;
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
	} while (used.tv_sec < 1 || used.tv_nsec < 200000000);
	io_uring_prep_nop(io_uring_get_sqe(&ring));
	io_uring_submit(&ring);
	do {
		io_uring_peek_batch_cqe(&ring, &cqe, 1);
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
	} while (used.tv_sec < 2 || used.tv_nsec < 400000000);
}

/* Datagrams are sent whole, whatever the flags: two that wait for room do not mix. */
static void send_two_datagrams(void)
{
	int pair[2], i;

	if (socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) < 0)
		error(EXIT_FAILURE, errno, "socketpair");
	while (send(pair[0], much, 1000, MSG_DONTWAIT) > 0)
		;
	for (i = 0; i < 2; i++)
		start_send(pair[0], much, 1000, MSG_WAITALL);
	drain(pair[1]);
	completion();
	completion();
}

/* A buffer ring that is closed, and opened again for the same group. */
static void register_buffers_again(void)
{
	struct io_uring_buf_ring *buffers =
		mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct io_uring_buf_reg reg = {.ring_addr = (uintptr_t)buffers, .ring_entries = 4};
	int i;

	for (i = 0; i < 2; i++) {
		if (io_uring_register_buf_ring(&ring, &reg, 0) < 0)
			error(EXIT_FAILURE, 0, "io_uring_register_buf_ring");
		io_uring_buf_ring_init(buffers);
		io_uring_buf_ring_add(buffers, much, 16, 1, 3, 0);
		io_uring_buf_ring_advance(buffers, 1);
		io_uring_prep_nop(io_uring_get_sqe(&ring));
		io_uring_submit(&ring);
		completion();
		io_uring_unregister_buf_ring(&ring, 0);
	}
}

/* Each SQE keeps for ever the user_data that it was given once. */
static void number_once(struct io_uring *of, unsigned long long number)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(of);
	struct io_uring_cqe *cqe;

	io_uring_prep_nop(sqe);
	if (number < ENTRIES)
		io_uring_sqe_set_data64(sqe, 100 + number);
	io_uring_submit(of);
	if (io_uring_wait_cqe(of, &cqe) < 0 || cqe->user_data != 100 + number % ENTRIES)
		error(EXIT_FAILURE, 0, "not the user_data that the SQE had");
	io_uring_cqe_seen(of, cqe);
}

static void number_by_place(void)
{
	unsigned long long number;

	for (number = 0; number < 2000ULL * ENTRIES; number++)
		number_once(&ring, number);
}

static void number_by_place_with_a_thread(void)
{
	struct io_uring polled;
	unsigned long long number;

	if (io_uring_queue_init(ENTRIES, &polled, IORING_SETUP_SQPOLL) < 0)
		error(EXIT_FAILURE, 0, "io_uring_queue_init");
	for (number = 0; number < 2000ULL * ENTRIES; number++)
		number_once(&polled, number);
	io_uring_queue_exit(&polled);
}

static void number_by_place_in_a_child(void)
{
	unsigned long long number;
	int status;

	for (number = 0; number < ENTRIES; number++)
		number_once(&ring, number);
	if (fork() == 0) {
		for (; number < 200ULL * ENTRIES; number++)
			number_once(&ring, number);
		exit(EXIT_SUCCESS);
	}
	if (wait(&status) < 0 || status != 0)
		error(EXIT_FAILURE, 0, "what the child saw");
}

static void *number_in_a_second_thread(void *argument)
{
	unsigned long long number;

	for (number = ENTRIES; number < 200ULL * ENTRIES; number++)
		number_once(argument, number);
	return NULL;
}

static void number_by_place_in_two_threads(void)
{
	unsigned long long number;
	pthread_t second;

	for (number = 0; number < ENTRIES; number++)
		number_once(&ring, number);
	if (pthread_create(&second, NULL, number_in_a_second_thread, &ring) != 0)
		error(EXIT_FAILURE, 0, "pthread_create");
	pthread_join(second, NULL);
	for (number = ENTRIES; number < 200ULL * ENTRIES; number++)
		number_once(&ring, number);
}

static void prepare_poll(unsigned long long number)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

	io_uring_prep_poll_add(sqe, ends[0], POLLIN);
	io_uring_sqe_set_data64(sqe, number);
}

/* Arms again in batches, and waits between, while others are in flight. */
static void arm_in_batches(void)
{
	struct __kernel_timespec soon = {.tv_nsec = 1000000};
	struct io_uring_cqe *cqe;

	prepare_poll(1);
	io_uring_submit(&ring);
	for (unsigned long long i = 2; i < 6; i++) {
		prepare_poll(i);
		io_uring_wait_cqe_timeout(&ring, &cqe, &soon);
	}
	io_uring_submit(&ring);
}

static void close_and_leave(void)
{
	prepare_poll(1);
	io_uring_submit(&ring);
	close(ends[0]);
}

/* Looks at two completions, and never needs their places again. */
static void see_and_leave(void)
{
	struct io_uring_cqe *cqe;

	io_uring_prep_nop(io_uring_get_sqe(&ring));
	io_uring_prep_nop(io_uring_get_sqe(&ring));
	io_uring_submit(&ring);
	io_uring_wait_cqe_nr(&ring, &cqe, 2);
}

/* A submit that fails as a whole has not stopped at an SQE. */
static void fail_to_submit(void)
{
	struct io_uring disabled;

	if (io_uring_queue_init(ENTRIES, &disabled, IORING_SETUP_R_DISABLED) < 0)
		error(EXIT_FAILURE, 0, "io_uring_queue_init");
	io_uring_prep_nop(io_uring_get_sqe(&disabled));
	io_uring_submit(&disabled);
	io_uring_queue_exit(&disabled);
}

/* What is sent from the same address is something else by then. */
static void refill_and_send(void)
{
	start_send(ends[0], much, MUCH, 0);
	completion();
	if (write(more_ends[1], much, 100) != 100)
		error(EXIT_FAILURE, errno, "write");
	io_uring_prep_recv(io_uring_get_sqe(&ring), more_ends[0], much, 100, 0);
	io_uring_submit(&ring);
	completion();
	drain(ends[1]);
	start_send(ends[0], much, MUCH, MSG_DONTWAIT);
	completion();
}

/* Reads what it has written into the SQE the last time, and counts on from there. */
static void count_in_the_sqe(void)
{
	for (unsigned long long i = 0; i < 4ULL * ENTRIES; i++) {
		struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

		if (sqe->user_data != i / ENTRIES)
			error(EXIT_FAILURE, 0, "somebody has changed an SQE");
		io_uring_prep_nop(sqe);
		sqe->user_data++;
		io_uring_submit(&ring);
		completion();
	}
}

/* What tells the two messages apart is the order in which they come. */
static void hear_the_same_from_two_rings(void)
{
	struct io_uring others[2];

	for (int i = 0; i < 2; i++) {
		if (io_uring_queue_init(ENTRIES, &others[i], 0) < 0)
			error(EXIT_FAILURE, 0, "io_uring_queue_init");
		io_uring_prep_msg_ring(io_uring_get_sqe(&others[i]), ring.ring_fd, 12, 0xabc, 0);
		io_uring_submit_and_wait(&others[i], 1);
	}
	for (int i = 0; i < 2; i++) {
		completion();
		io_uring_queue_exit(&others[i]);
	}
}

int main(int argc, char **argv)
{
	static const struct {
		const char *word;
		void (*function)(void);
	} whats[] = {
		{"same-user-data", send_with_the_same_user_data},
		{"two-datagrams", send_two_datagrams},
		{"rest-moved", move_the_rest},
		{"peer-dropped", drop_the_peer},
		{"peer-shut-down", shut_the_peer_down},
		{"peer-lost", lose_the_peer},
		{"room-awaited", wait_for_room},
		{"send-cancelled", cancel_the_send},
		{"end-near", come_to_the_end},
		{"looks-and-work", look_while_working},
		{"user-data-by-place", number_by_place},
		{"user-data-polled", number_by_place_with_a_thread},
		{"user-data-in-child", number_by_place_in_a_child},
		{"user-data-in-threads", number_by_place_in_two_threads},
		{"buffers-again", register_buffers_again},
		{"batches", arm_in_batches},
		{"closed-at-end", close_and_leave},
		{"seen-at-end", see_and_leave},
		{"submit-fails", fail_to_submit},
		{"refilled", refill_and_send},
		{"user-data-read", count_in_the_sqe},
		{"messages-alike", hear_the_same_from_two_rings},
	};
	size_t i;

	if (io_uring_queue_init(ENTRIES, &ring, 0) < 0)
		error(EXIT_FAILURE, 0, "io_uring_queue_init");
	open_pair(ends);
	open_pair(more_ends);
	for (i = 0; i < sizeof(whats) / sizeof(whats[0]); i++)
		if (argc == 2 && strcmp(argv[1], whats[i].word) == 0) {
			whats[i].function();
			io_uring_queue_exit(&ring);
			return EXIT_SUCCESS;
		}
	error(EXIT_FAILURE, 0, "one of the words in main()");
	return EXIT_FAILURE;
}
