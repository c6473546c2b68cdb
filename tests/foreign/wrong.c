/*
 * For the tests of ringtrace --check: what nobody should do, one thing at a time.
 *
 * Run: build/tests/foreign/wrong WHAT, which is one of the words in main()
 */
#include <error.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BUFFER (2 << 20) /* bytes: more than a socket takes */

static struct io_uring ring;
static char memory[64], much[2 * BUFFER];
static int ends[2];
static struct io_uring_buf_ring *buffers;

static int complete(void)
{
	struct io_uring_cqe *cqe;
	int result;

	io_uring_submit_and_wait(&ring, 1);
	if (io_uring_peek_cqe(&ring, &cqe) < 0)
		error(EXIT_FAILURE, 0, "no completion");
	result = cqe->res;
	io_uring_cqe_seen(&ring, cqe);
	return result;
}

static void open_buffer_ring(void)
{
	struct io_uring_buf_reg reg = {.ring_entries = 4};

	buffers = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	reg.ring_addr = (unsigned long)buffers;
	if (io_uring_register_buf_ring(&ring, &reg, 0) < 0)
		error(EXIT_FAILURE, 0, "io_uring_register_buf_ring");
}

static void give(unsigned short number)
{
	io_uring_buf_ring_add(buffers, much + (size_t)number * BUFFER, BUFFER, number, 3, 0);
	io_uring_buf_ring_advance(buffers, 1);
}

static void open_pair(void)
{
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) < 0)
		error(EXIT_FAILURE, 0, "socketpair");
}

static void give_a_buffer_twice(void)
{
	open_buffer_ring();
	give(0);
	give(1);
	give(1);
	io_uring_prep_nop(io_uring_get_sqe(&ring));
	complete();
}

/* The receive finds the peer's end; a CQE without a buffer says 0 where others have its number. */
static void give_back_what_was_not_brought(void)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

	open_buffer_ring();
	open_pair();
	give(0);
	give(1);
	close(ends[1]);
	io_uring_prep_recv(sqe, ends[0], NULL, 0, 0);
	sqe->flags |= IOSQE_BUFFER_SELECT;
	complete();
	give(0);
	io_uring_prep_nop(io_uring_get_sqe(&ring));
	complete();
}

/* The socket takes no more: the send still reads when the kernel gets the buffer. */
static void give_what_is_being_sent(void)
{
	open_buffer_ring();
	open_pair();
	io_uring_prep_send(io_uring_get_sqe(&ring), ends[0], much + BUFFER, BUFFER, MSG_WAITALL);
	io_uring_submit(&ring);
	give(1);
	io_uring_prep_nop(io_uring_get_sqe(&ring));
	complete();
}

static void send_what_is_given(void)
{
	open_buffer_ring();
	open_pair();
	give(0);
	give(1);
	io_uring_prep_send(io_uring_get_sqe(&ring), ends[0], much + 10, 5, 0);
	complete();
}

/* The rest of what was to be sent is forgotten, while the program waits for something else. */
static void forget_the_rest(unsigned operation)
{
	struct __kernel_timespec soon = {.tv_nsec = 1000000};
	struct iovec vectors[] = {{memory, sizeof(memory)}, {much, sizeof(much)}};
	struct msghdr message = {.msg_iov = vectors, .msg_iovlen = 2};

	open_pair();
	io_uring_prep_send(io_uring_get_sqe(&ring), ends[0], memory, 1, 0);
	complete();
	if (operation == IORING_OP_WRITE)
		io_uring_prep_write(io_uring_get_sqe(&ring), ends[0], much, sizeof(much), 0);
	else if (operation == IORING_OP_SENDMSG)
		io_uring_prep_sendmsg(io_uring_get_sqe(&ring), ends[0], &message, 0);
	else
		io_uring_prep_send(io_uring_get_sqe(&ring), ends[0], much, sizeof(much), 0);
	complete();
	io_uring_prep_timeout(io_uring_get_sqe(&ring), &soon, 0, 0);
	complete();
}

static void forget_the_rest_of_a_send(void)
{
	forget_the_rest(IORING_OP_SEND);
	close(ends[0]);
}

static void forget_the_rest_of_a_message(void)
{
	forget_the_rest(IORING_OP_SENDMSG);
	shutdown(ends[0], SHUT_WR);
}

static void forget_the_rest_of_a_write(void)
{
	forget_the_rest(IORING_OP_WRITE);
}

/* The first is short, which breaks no link, and the second goes on behind what is missing. */
static void link_two_sends(void)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

	open_pair();
	io_uring_prep_send(sqe, ends[0], much, sizeof(much), 0);
	sqe->flags |= IOSQE_IO_LINK;
	io_uring_sqe_set_data64(sqe, 1);
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_send(sqe, ends[0], memory, sizeof(memory), 0);
	io_uring_sqe_set_data64(sqe, 2);
	complete();
	while (recv(ends[1], much, sizeof(much), MSG_DONTWAIT) > 0)
		;
	complete();
}

/* It would burn a processor until something comes. Here it has an end. */
static void look_all_the_time(void)
{
	static struct __kernel_timespec late = {.tv_sec = 60};
	struct timespec used;
	struct io_uring_cqe *cqe;

	io_uring_prep_timeout(io_uring_get_sqe(&ring), &late, 0, 0);
	io_uring_submit(&ring);
	do {
		io_uring_peek_batch_cqe(&ring, &cqe, 1); /* inline in no liburing */
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
	} while (used.tv_sec < 1 || used.tv_nsec < 300000000);
}

static void number_some_requests(void)
{
	struct io_uring_sqe *sqe;
	int i;

	for (i = 0; i < 13; i++) {
		sqe = io_uring_get_sqe(&ring);
		io_uring_prep_nop(sqe);
		if (i < 12)
			io_uring_sqe_set_data64(sqe, (unsigned long long)i + 1);
		complete();
	}
}

static void mark_too_often(void)
{
	io_uring_prep_nop(io_uring_get_sqe(&ring));
	complete();
	io_uring_cq_advance(&ring, 1);
}

static void use_a_slot_as_descriptor(void)
{
	io_uring_register_files_sparse(&ring, 101);
	io_uring_prep_openat_direct(io_uring_get_sqe(&ring), AT_FDCWD, "/dev/null", 0, 0, 100);
	complete();
	io_uring_prep_read(io_uring_get_sqe(&ring), 100, memory, 4, 0);
	complete();
	close(100);
}

static void use_a_result_as_descriptor(void)
{
	int result;

	io_uring_prep_read(io_uring_get_sqe(&ring), 99, memory, 4, 0);
	result = complete();
	io_uring_prep_read(io_uring_get_sqe(&ring), result, memory, 4, 0);
	complete();
}

/* The socket takes no more: so the send waits, and what it is to send changes. */
static void receive_into_what_is_sent(bool in_message)
{
	static struct iovec vectors[] = {{memory, sizeof(memory)}, {much, sizeof(much)}};
	static struct msghdr message = {.msg_iov = vectors, .msg_iovlen = 2};
	struct io_uring_sqe *sqe;

	open_pair();
	sqe = io_uring_get_sqe(&ring);
	if (in_message)
		io_uring_prep_sendmsg(sqe, ends[0], &message, MSG_WAITALL);
	else
		io_uring_prep_send(sqe, ends[0], much, sizeof(much), MSG_WAITALL);
	sqe->user_data = 7;
	io_uring_submit(&ring);
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_recv(sqe, ends[0], much + 100, sizeof(much) - 100, 0);
	sqe->user_data = 7;
	io_uring_submit(&ring);
}

static void receive_into_a_send(void)
{
	receive_into_what_is_sent(false);
}

static void receive_into_a_message(void)
{
	receive_into_what_is_sent(true);
}

static void time_nobody(void)
{
	static struct __kernel_timespec second = {.tv_sec = 1};

	io_uring_prep_link_timeout(io_uring_get_sqe(&ring), &second, 0);
	complete();
}

/* The chain is cut off: another call hands over its second half. */
static void time_what_is_submitted(void)
{
	static struct __kernel_timespec second = {.tv_sec = 1};
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

	io_uring_prep_nop(sqe);
	sqe->flags |= IOSQE_IO_LINK;
	complete();
	io_uring_prep_link_timeout(io_uring_get_sqe(&ring), &second, 0);
	complete();
}

static void receive_into_nothing(void)
{
	open_pair();
	io_uring_prep_recv_multishot(io_uring_get_sqe(&ring), ends[0], memory, sizeof(memory), 0);
	complete();
}

static void receive_from_an_empty_group(void)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

	open_pair();
	open_buffer_ring();
	if (write(ends[1], memory, 1) != 1)
		error(EXIT_FAILURE, 0, "write");
	io_uring_prep_recv(sqe, ends[0], NULL, 0, 0);
	sqe->flags |= IOSQE_BUFFER_SELECT;
	complete();
}

static void send_from_the_same_address(void)
{
	open_pair();
	for (int i = 0; i < 2; i++) {
		io_uring_prep_send(io_uring_get_sqe(&ring), ends[0], much, sizeof(much),
				   i ? MSG_DONTWAIT : 0);
		complete();
	}
}

static void cancel_one_of_two(void)
{
	static struct __kernel_timespec minute = {.tv_sec = 60};

	for (int i = 0; i < 2; i++) {
		struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

		io_uring_prep_timeout(sqe, &minute, 0, 0);
		sqe->user_data = 7;
	}
	io_uring_submit(&ring);
	io_uring_prep_cancel64(io_uring_get_sqe(&ring), 7, 0);
	complete();
}

__attribute__((noinline)) static void prepare_with_a_local(void)
{
	struct __kernel_timespec pause = {.tv_nsec = 1000};

	io_uring_prep_timeout(io_uring_get_sqe(&ring), &pause, 0, 0);
	__asm__ volatile("" ::"r"(&pause) : "memory");
}

static void point_to_a_local(void)
{
	prepare_with_a_local();
	/* Nobody knows how long it lasts: whichever comes first. */
	io_uring_prep_nop(io_uring_get_sqe(&ring));
	complete();
}

static void start_a_send(int descriptor, bool is_slot)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

	io_uring_prep_send(sqe, descriptor, much, sizeof(much), MSG_NOSIGNAL | MSG_WAITALL);
	sqe->flags |= is_slot ? IOSQE_FIXED_FILE : 0;
	io_uring_submit(&ring);
}

static void send_twice_to_a_slot(void)
{
	open_pair();
	if (io_uring_register_files(&ring, ends, 2) < 0)
		error(EXIT_FAILURE, 0, "io_uring_register_files");
	start_a_send(1, true);
	start_a_send(1, true);
}

/* Which of them gets which buffer, and sends it first, is the kernel's choice. */
static void send_twice_from_a_group(void)
{
	open_pair();
	open_buffer_ring();
	give(0);
	give(1);
	if (io_uring_register_files(&ring, ends, 2) < 0)
		error(EXIT_FAILURE, 0, "io_uring_register_files");
	for (int i = 0; i < 2; i++) {
		struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

		io_uring_prep_send(sqe, 1, NULL, 0, MSG_WAITALL);
		sqe->flags |= IOSQE_FIXED_FILE | IOSQE_BUFFER_SELECT;
		io_uring_sqe_set_data64(sqe, (unsigned)i);
		io_uring_submit(&ring);
	}
}

static void send_four_at_once(void)
{
	open_pair();
	for (int i = 0; i < 4; i++)
		start_a_send(ends[0], false);
}

/* The rest have their own, and each is used once. */
static void number_all_but_one(void)
{
	for (unsigned i = 1; i <= 16; i++) {
		struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

		io_uring_prep_nop(sqe);
		if (i != 9)
			io_uring_sqe_set_data64(sqe, i);
		complete();
	}
}

static void forget_in_each_ring(void)
{
	struct io_uring other;

	for (int i = 0; i < 5; i++) {
		if (io_uring_queue_init(8, &other, 0) < 0)
			error(EXIT_FAILURE, 0, "io_uring_queue_init");
		io_uring_prep_read(io_uring_get_sqe(&other), 0, memory, 1, 0);
		io_uring_queue_exit(&other);
	}
}

int main(int argc, char **argv)
{
	static const struct {
		const char *word;
		void (*function)(void);
	} whats[] = {
		{"buffer-twice", give_a_buffer_twice},
		{"no-buffer", give_back_what_was_not_brought},
		{"given-while-sent", give_what_is_being_sent},
		{"sent-while-given", send_what_is_given},
		{"send-forgotten", forget_the_rest_of_a_send},
		{"message-forgotten", forget_the_rest_of_a_message},
		{"write-forgotten", forget_the_rest_of_a_write},
		{"linked-sends", link_two_sends},
		{"user-data-unset", number_some_requests},
		{"busy-looks", look_all_the_time},
		{"seen-too-often", mark_too_often},
		{"slot-as-descriptor", use_a_slot_as_descriptor},
		{"result-as-descriptor", use_a_result_as_descriptor},
		{"overlap", receive_into_a_send},
		{"overlap-in-message", receive_into_a_message},
		{"link-timeout-alone", time_nobody},
		{"link-timeout-cut-off", time_what_is_submitted},
		{"multishot-without-group", receive_into_nothing},
		{"group-empty", receive_from_an_empty_group},
		{"sent-again", send_from_the_same_address},
		{"cancel-of-two", cancel_one_of_two},
		{"local-variable", point_to_a_local},
		{"sends-to-slot", send_twice_to_a_slot},
		{"sends-from-group", send_twice_from_a_group},
		{"four-sends", send_four_at_once},
		{"one-unset", number_all_but_one},
		{"in-each-ring", forget_in_each_ring},
	};
	size_t i;

	if (io_uring_queue_init(8, &ring, 0) < 0)
		error(EXIT_FAILURE, 0, "io_uring_queue_init");
	for (i = 0; i < sizeof(whats) / sizeof(whats[0]); i++)
		if (argc == 2 && strcmp(argv[1], whats[i].word) == 0)
			whats[i].function();
	io_uring_queue_exit(&ring);
	return EXIT_SUCCESS;
}
