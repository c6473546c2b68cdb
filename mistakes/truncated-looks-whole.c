/*
 * Half an answer looks whole. The upstream is cut off in the middle, its connection is reset, and
 * what stands in between closes its other connection, as one does after an error. But to the client
 * a close is an EOF, which says: that was all.
 */
#include "mistakes/mistake.h"

enum { RECEIVE = 1, SEND, RESET, CLOSE };

static const char half[] = "HTTP/1.0 200 OK\r\n\r\nYour balance is 1000";

/* close(2) sends a reset then. */
static void set_linger(int fd)
{
	const struct linger none = {.l_onoff = 1, .l_linger = 0};

	must(setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none)), "setsockopt");
}

static int done(struct io_uring *ring, __u64 user_data)
{
	struct completion completion;

	submit(ring);
	completion = reap(ring);
	return completion.user_data == user_data ? completion.res : -EIO;
}

static int receive(struct io_uring *ring, int fd, char *bytes, size_t size)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	io_uring_prep_recv(sqe, fd, bytes, size, 0);
	io_uring_sqe_set_data64(sqe, RECEIVE);
	return done(ring, RECEIVE);
}

static void pass_on(struct io_uring *ring, int fd, const char *bytes, int length)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	io_uring_prep_send(sqe, fd, bytes, (size_t)length, MSG_NOSIGNAL);
	io_uring_sqe_set_data64(sqe, SEND);
	must(done(ring, SEND), "send");
}

static void disconnect(struct io_uring *ring, int fd)
{
	static const struct sockaddr nowhere = {.sa_family = AF_UNSPEC};
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	io_uring_prep_connect(sqe, fd, &nowhere, sizeof(nowhere));
	io_uring_sqe_set_data64(sqe, RESET);
	must(done(ring, RESET), "connect to AF_UNSPEC");
}

static void end(struct io_uring *ring, int fd)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	io_uring_prep_close(sqe, fd);
	io_uring_sqe_set_data64(sqe, CLOSE);
	must(done(ring, CLOSE), "close");
}

int main(int argc, char **argv)
{
	struct io_uring ring;
	char bytes[128];
	int upstream, upstream_end, client, client_end, result, heard;

	begin(argc, argv);
	open_ring(&ring, 4, 0);
	connect_pair(&upstream_end, &upstream);
	connect_pair(&client_end, &client);

	peer_sends(upstream, half);
	set_linger(upstream);
	close(upstream);
	while ((result = receive(&ring, upstream_end, bytes, sizeof(bytes))) > 0)
		pass_on(&ring, client_end, bytes, result);
	printf("between: the upstream has failed: %s\n", strerror(-result));
	if (fixed)
		disconnect(&ring, client_end);
	end(&ring, client_end);

	heard = peer_hears(client, bytes, sizeof(bytes) - 1);
	must(heard, "recv");
	bytes[heard] = '\0';
	printf("client: \"%s\"\n", strrchr(bytes, '\n') + 1);
	heard = peer_hears(client, bytes, sizeof(bytes));
	printf("client: %s\n", heard == 0 ? "EOF, so that's all" : strerror(errno));
	if (fixed)
		return shown(heard < 0 && errno == ECONNRESET,
			     "the client knows that it has half an answer");
	return shown(heard == 0, "half an answer that looks whole");
}
