/* Most of what ../errors.md lists, provoked: the error, and what caused it. */
#include "snippet.h"

#include <fcntl.h>

static struct io_uring ring;
static int server, peer;
static char bytes[16];

static void show(int result, const char *what)
{
	printf("%-12s %s\n", name_of(result), what);
}

/* Gives the request, which has been prepared, to the kernel and shows how it completes. */
static void show_request(struct io_uring_sqe *sqe, const char *request)
{
	io_uring_sqe_set_data64(sqe, 1);
	show(next_completion(&ring).res, request);
}

static void fail_to_open(void)
{
	struct io_uring none;

	show(io_uring_queue_init(8, &none, 1U << 30), "io_uring_queue_init, an unknown flag");
	must(io_uring_queue_init(8, &none, IORING_SETUP_R_DISABLED), "io_uring_queue_init");
	io_uring_prep_nop(io_uring_get_sqe(&none));
	show(io_uring_submit(&none), "io_uring_submit, a ring that is not enabled yet");
	io_uring_queue_exit(&none);
}

static void fail_with_slots(void)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

	io_uring_prep_close_direct(sqe, 0);
	show_request(sqe, "close of a slot, there is no table");
	must(io_uring_register_files_sparse(&ring, 1), "io_uring_register_files_sparse");
	show(io_uring_register_files_sparse(&ring, 1), "a table, there is one already");

	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_close_direct(sqe, 0);
	show_request(sqe, "close of an empty slot");
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_recv(sqe, 0, bytes, sizeof(bytes), 0);
	sqe->flags |= IOSQE_FIXED_FILE;
	show_request(sqe, "receive from an empty slot");
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_openat_direct(sqe, AT_FDCWD, "/dev/null", O_RDONLY | O_CLOEXEC, 0, 0);
	show_request(sqe, "open into a slot with O_CLOEXEC");

	for (int i = 0; i < 2; i++) {
		sqe = io_uring_get_sqe(&ring);
		io_uring_prep_socket_direct_alloc(sqe, AF_INET, SOCK_STREAM, 0, 0);
		show_request(sqe, i == 0 ? "socket into any free slot"
					 : "socket into any free slot, there is none");
	}
}

static void fail_to_receive(void)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

	io_uring_prep_recv(sqe, server, NULL, sizeof(bytes), 0);
	sqe->flags |= IOSQE_BUFFER_SELECT;
	show_request(sqe, "receive, the buffer group has no buffer");
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_recv_multishot(sqe, server, NULL, 0, 0);
	show_request(sqe, "multishot receive without IOSQE_BUFFER_SELECT");
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_recv(sqe, server, bytes, sizeof(bytes), MSG_DONTWAIT);
	show_request(sqe, "receive with MSG_DONTWAIT, nothing is there");
	peer_sends(peer, "hello");
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_recv(sqe, server, NULL, sizeof(bytes), 0);
	show_request(sqe, "receive into a bad address");
}

static void fail_to_send(void)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

	close(peer); /* from here on its kernel answers what comes with a reset */
	io_uring_prep_send(sqe, server, "x", 1, MSG_NOSIGNAL);
	show_request(sqe, "send, the client has closed");
	usleep(1000);
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_send(sqe, server, "x", 1, MSG_NOSIGNAL);
	show_request(sqe, "send, the client's reset has come");
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_shutdown(sqe, server, SHUT_WR);
	show_request(sqe, "shutdown, the client's reset has come");
}

static void fail_to_find(void)
{
	static struct __kernel_timespec soon = {.tv_nsec = 1000000};
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
	struct io_uring_cqe *cqe;

	io_uring_prep_cancel64(sqe, 4711, 0);
	show_request(sqe, "cancel, there is no such request");
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_nop(sqe);
	sqe->opcode = 250;
	show_request(sqe, "an operation that this kernel does not know");
	show(io_uring_peek_cqe(&ring, &cqe), "io_uring_peek_cqe, nothing has completed");
	show(io_uring_wait_cqe_timeout(&ring, &cqe, &soon), "io_uring_wait_cqe_timeout, too late");
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_timeout(sqe, &soon, 0, 0);
	show_request(sqe, "a timeout, its time has passed");
}

int main(void)
{
	open_ring(&ring);
	need_operation(&ring, IORING_OP_SOCKET, "Linux 5.19");
	connect_pair(&server, &peer);
	fail_to_open();
	fail_with_slots();
	fail_to_receive();
	fail_to_send();
	fail_to_find();
	io_uring_queue_exit(&ring);
	return EXIT_SUCCESS;
}
