/*
 * A send waits for ever on a socket whose connect was cancelled. The cancel ends the request, not
 * what the socket is doing: it goes on trying to connect, and the send waits for that. To connect
 * to AF_UNSPEC disconnects it.
 */
#include <netinet/tcp.h>

#include "mistakes/mistake.h"

enum { CONNECT = 1, CANCEL, DISCONNECT, SEND };

static void prepare_connect(struct io_uring *ring, int fd, const void *address, socklen_t length,
			    __u64 user_data)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	io_uring_prep_connect(sqe, fd, address, length);
	io_uring_sqe_set_data64(sqe, user_data);
	submit(ring);
}

static void cancel_connect(struct io_uring *ring)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	io_uring_prep_cancel64(sqe, CONNECT, 0);
	io_uring_sqe_set_data64(sqe, CANCEL);
	submit(ring);
	reap(ring);
	reap(ring); /* the cancel's completion and the connect's, in either order */
}

static bool still_tries(int fd)
{
	struct tcp_info info;
	socklen_t length = sizeof(info);

	must(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length), "getsockopt");
	return info.tcpi_state == TCP_SYN_SENT;
}

int main(int argc, char **argv)
{
	static const struct sockaddr nowhere = {.sa_family = AF_UNSPEC};
	struct sockaddr_in address;
	struct io_uring ring;
	struct io_uring_sqe *sqe;
	struct completion completion;
	bool ended, tries;
	int fd;

	begin(argc, argv);
	open_ring(&ring, 4, 0);
	address = address_of(open_full_listener());
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	must(fd, "socket");
	prepare_connect(&ring, fd, &address, sizeof(address), CONNECT);
	cancel_connect(&ring);
	if (fixed) {
		prepare_connect(&ring, fd, &nowhere, sizeof(nowhere), DISCONNECT);
		must(reap(&ring).res, "disconnect");
	}

	tries = still_tries(fd);
	printf("the connect is cancelled, and the socket %s\n",
	       tries ? "goes on sending SYNs" : "is at rest");
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_send(sqe, fd, "hello", 5, MSG_NOSIGNAL);
	io_uring_sqe_set_data64(sqe, SEND);
	submit(&ring);
	ended = reaped(&ring, &completion);
	printf("a send: %s\n", ended ? strerror(-completion.res) : "it still waits after 500 ms");
	if (fixed)
		return shown(ended && !tries && completion.res < 0,
			     "after a disconnect nothing is sent and nothing waits");
	return shown(!ended && tries, "a cancel ends the request, not the connect");
}
