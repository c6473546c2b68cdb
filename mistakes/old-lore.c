/*
 * What people still say about io_uring, but doesn't happen. The program tries each line, and its
 * status is 0 if none of it happens. (Linux 5.19; some of it was true on kernels before.)
 */
#include <fcntl.h>

#include "mistakes/mistake.h"

#define RECEIVES 100

static struct io_uring ring;
static int failures;

static void tried(bool right, const char *what)
{
	printf("%s: %s\n", right ? "doesn't happen" : "HAPPENS", what);
	failures += !right;
}

static void prepare_recv(int fd)
{
	static char bytes[16];
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

	io_uring_prep_recv(sqe, fd, bytes, sizeof(bytes), 0);
	io_uring_sqe_set_data64(sqe, 1);
}

static void nonblocking_sockets_fail(void)
{
	struct completion completion;
	int server, peer;
	bool early;

	open_ring(&ring, 4, 0);
	connect_pair(&server, &peer);
	must(fcntl(server, F_SETFL, O_NONBLOCK), "fcntl");
	prepare_recv(server);
	submit(&ring);
	early = reaped(&ring, &completion);
	peer_sends(peer, "hello");
	tried(!early && reap(&ring).res == 5,
	      "a receive on an O_NONBLOCK socket fails with EAGAIN (it waits, like any other)");
	io_uring_queue_exit(&ring);
}

static void receives_take_threads(void)
{
	int server, peer;

	open_ring(&ring, RECEIVES, 0);
	for (int i = 0; i < RECEIVES; i++) {
		connect_pair(&server, &peer);
		prepare_recv(server);
	}
	submit(&ring);
	tried(count_threads() == 1, "each receive that waits takes a thread (100 wait, on none)");
	io_uring_queue_exit(&ring);
}

static void sqpoll_needs_registered_files(void)
{
	int server, peer;

	open_ring(&ring, 4, IORING_SETUP_SQPOLL);
	connect_pair(&server, &peer);
	peer_sends(peer, "hello");
	prepare_recv(server);
	submit(&ring);
	tried(reap(&ring).res == 5,
	      "SQPOLL takes registered files only (an ordinary descriptor does, since Linux 5.11)");
	io_uring_queue_exit(&ring);
}

int main(int argc, char **argv)
{
	begin(argc, argv);
	receives_take_threads();
	nonblocking_sockets_fail();
	sqpoll_needs_registered_files();
	return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
