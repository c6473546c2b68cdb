/*
 * A client gets its own bytes back in place of a file: a receive was in flight into the buffer that
 * the file was read into. Whatever the client sends next lands in the reply.
 *
 * A buffer that a request is using belongs to the kernel until its completion. Either no receive
 * is in flight while you reply, or the reply has a buffer of its own.
 */
#include "mistakes/mistake.h"

#include <fcntl.h>

enum { RECV = 1, READ, SEND };

static struct io_uring ring;
static char buffer[64], reply[64];

static void prepare_recv(int server)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

	io_uring_prep_recv(sqe, server, buffer, sizeof(buffer), 0);
	io_uring_sqe_set_data64(sqe, RECV);
}

static void read_file(char *into)
{
	int fd = open("/tmp", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

	must(fd, "open");
	must((int)write(fd, "the file", 8), "write");
	io_uring_prep_read(sqe, fd, into, 8, 0);
	io_uring_sqe_set_data64(sqe, READ);
	submit(&ring);
	must(reap(&ring).res, "read");
}

static void send_reply(int server, const char *from)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

	io_uring_prep_send(sqe, server, from, 8, MSG_NOSIGNAL);
	io_uring_sqe_set_data64(sqe, SEND);
	submit(&ring);
	must(reap(&ring).res, "send");
}

int main(int argc, char **argv)
{
	char *piece, heard[9] = "";
	int server, client;

	begin(argc, argv);
	piece = fixed ? reply : buffer;
	open_ring(&ring, 4, 0);
	connect_pair(&server, &client);
	prepare_recv(server);
	submit(&ring);
	read_file(piece);
	peer_sends(client, "GET ");
	must(reap(&ring).res, "recv");
	send_reply(server, piece);

	peer_hears(client, heard, sizeof(heard) - 1);
	printf("the file is \"the file\", and the client gets \"%s\"\n", heard);
	if (fixed)
		return shown(strcmp(heard, "the file") == 0, "the file");
	return shown(strcmp(heard, "GET file") == 0, "the client's next bytes in its reply");
}
