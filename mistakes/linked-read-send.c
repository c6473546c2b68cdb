/*
 * A client waits for its file for ever: a read was linked to a send. The file had become shorter
 * since its size was asked for, so the read was short, and a short read of a file breaks the link.
 *
 * A link says "after", never "with what came". Prepare the send when the read has completed.
 */
#include "mistakes/mistake.h"

#include <fcntl.h>

#define SIZE_BEFORE 64

static struct io_uring ring;
static char buffer[SIZE_BEFORE];

static int open_shorter_file(void)
{
	int fd = open("/tmp", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);

	must(fd, "open");
	must((int)write(fd, "hello", 5), "write");
	return fd;
}

static int send_linked(int file, int server)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

	io_uring_prep_read(sqe, file, buffer, SIZE_BEFORE, 0);
	sqe->flags |= IOSQE_IO_LINK;
	io_uring_sqe_set_data64(sqe, 1);
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_send(sqe, server, buffer, SIZE_BEFORE, MSG_NOSIGNAL);
	io_uring_sqe_set_data64(sqe, 2);
	submit(&ring);
	printf("the read: %d bytes of %d\n", reap(&ring).res, SIZE_BEFORE);
	return reap(&ring).res;
}

static int send_in_two_steps(int file, int server)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
	int got;

	io_uring_prep_read(sqe, file, buffer, SIZE_BEFORE, 0);
	io_uring_sqe_set_data64(sqe, 1);
	submit(&ring);
	got = reap(&ring).res;
	must(got, "read");

	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_send(sqe, server, buffer, (size_t)got, MSG_NOSIGNAL);
	io_uring_sqe_set_data64(sqe, 2);
	submit(&ring);
	return reap(&ring).res;
}

int main(int argc, char **argv)
{
	int server, client, result;
	char heard[SIZE_BEFORE];

	begin(argc, argv);
	open_ring(&ring, 4, 0);
	connect_pair(&server, &client);
	if (fixed) {
		result = send_in_two_steps(open_shorter_file(), server);
		return shown(result == 5 && peer_hears(client, heard, sizeof(heard)) == 5,
			     "what was read is sent");
	}
	result = send_linked(open_shorter_file(), server);
	printf("the send: %s\n", strerror(-result));
	return shown(result == -ECANCELED && peer_hears(client, heard, sizeof(heard)) < 0,
		     "the client gets nothing at all");
}
