/* Several sends to one connection: what keeps their bytes together when the client reads late. */
#include <sys/wait.h>

#include "snippet.h"

#define SENDS	   3
#define SEND_BYTES (4 << 20) /* more than fits into the sockets' buffers */
#define LATE_US	   100000

static char bytes[SENDS][SEND_BYTES]; /* aaa... bbb... ccc... */

static void send_all(struct io_uring *ring, int fd, int link, int flags)
{
	for (int i = 0; i < SENDS; i++) {
		struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

		io_uring_prep_send(sqe, fd, bytes[i], SEND_BYTES, flags | MSG_NOSIGNAL);
		if (i < SENDS - 1)
			sqe->flags |= (unsigned char)link; /* the last one has nothing behind it */
		io_uring_sqe_set_data64(sqe, (__u64)i);
	}
	for (int i = 0; i < SENDS; i++)
		next_completion(ring);
}

/* A client process that reads late. Its exit status is the index in found[] of what has come. */
static pid_t start_client(int server, int peer)
{
	static char piece[65536];
	size_t all = 0;
	char last = 0;
	ssize_t count;
	pid_t pid = must(fork(), "fork");

	if (pid)
		return pid;
	close(server);
	usleep(LATE_US);
	while ((count = recv(peer, piece, sizeof(piece), 0)) > 0) {
		all += (size_t)count;
		for (ssize_t i = 0; i < count; last = piece[i++])
			if (piece[i] < last)
				_exit(1);
	}
	_exit(all == sizeof(bytes) ? 0 : 2);
}

static void show(struct io_uring *ring, const char *what, int link, int flags)
{
	static const char *const found[] = {"all bytes, in order", "out of order",
					    "bytes are missing"};
	int server, peer, status;
	pid_t client;

	connect_pair(&server, &peer);
	client = start_client(server, peer);
	close(peer);
	send_all(ring, server, link, flags);
	close(server);
	must(waitpid(client, &status, 0), "waitpid");
	printf("%s: %s\n", what, found[WEXITSTATUS(status)]);
}

int main(void)
{
	struct io_uring ring;

	open_ring(&ring);
	for (int i = 0; i < SENDS; i++)
		memset(bytes[i], 'a' + i, SEND_BYTES);
	show(&ring, "linked, with MSG_WAITALL", IOSQE_IO_LINK, MSG_WAITALL);
	show(&ring, "linked, without it", IOSQE_IO_LINK, 0);
	show(&ring, "not linked, with MSG_WAITALL", 0, MSG_WAITALL);
	return EXIT_SUCCESS;
}
