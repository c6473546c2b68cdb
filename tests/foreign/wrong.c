/*
 * For the tests of ringtrace --check: what nobody should do, one thing at a time.
 *
 * Run: build/tests/foreign/wrong buffer-twice|seen-too-often|slot-as-descriptor|
 *                                result-as-descriptor|overlap|overlap-in-message
 */
#include <error.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

static struct io_uring ring;
static char memory[64];
static int ends[2];

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

static void give_a_buffer_twice(void)
{
	struct io_uring_buf_ring *buffers =
		mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct io_uring_buf_reg reg = {
		.ring_addr = (unsigned long)buffers,
		.ring_entries = 4,
	};
	unsigned short number;

	if (io_uring_register_buf_ring(&ring, &reg, 0) < 0)
		error(EXIT_FAILURE, 0, "io_uring_register_buf_ring");
	for (number = 0; number < 3; number++)
		io_uring_buf_ring_add(buffers, memory, 16, number < 2 ? number : 1, 3, number);
	io_uring_buf_ring_advance(buffers, 3);
	io_uring_prep_nop(io_uring_get_sqe(&ring));
	complete();
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
	static char little[16], much[1 << 20];
	struct iovec vectors[] = {{little, sizeof(little)}, {much, sizeof(much)}};
	struct msghdr message = {.msg_iov = vectors, .msg_iovlen = 2};
	struct io_uring_sqe *sqe;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) < 0)
		error(EXIT_FAILURE, 0, "socketpair");
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

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	if (io_uring_queue_init(8, &ring, 0) < 0)
		error(EXIT_FAILURE, 0, "io_uring_queue_init");
	if (strcmp(what, "buffer-twice") == 0)
		give_a_buffer_twice();
	else if (strcmp(what, "seen-too-often") == 0)
		mark_too_often();
	else if (strcmp(what, "slot-as-descriptor") == 0)
		use_a_slot_as_descriptor();
	else if (strcmp(what, "result-as-descriptor") == 0)
		use_a_result_as_descriptor();
	else if (strcmp(what, "overlap") == 0)
		receive_into_what_is_sent(false);
	else if (strcmp(what, "overlap-in-message") == 0)
		receive_into_what_is_sent(true);
	io_uring_queue_exit(&ring);
	return EXIT_SUCCESS;
}
