/* When does the client of a closed direct descriptor hear of it? */
#include "snippet.h"

#include <poll.h>

#define SOON_MS 300

/* Closes slot 1 and waits for its peer's end-of-file; if `behind`, a receive on slot 0 is older. */
static const char *close_and_hear(bool behind)
{
	int servers[2], peers[2];
	struct io_uring ring;
	struct io_uring_sqe *sqe;
	char bytes[16];
	struct pollfd hears;
	const char *when;

	open_ring(&ring);
	for (int i = 0; i < 2; i++)
		connect_pair(&servers[i], &peers[i]);
	must(io_uring_register_files(&ring, servers, 2), "io_uring_register_files");
	close(servers[0]);
	close(servers[1]);

	if (behind) {
		sqe = io_uring_get_sqe(&ring);
		io_uring_prep_recv(sqe, 0, bytes, sizeof(bytes), 0);
		sqe->flags |= IOSQE_FIXED_FILE;
		io_uring_sqe_set_data64(sqe, 1);
	}
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_close_direct(sqe, 1);
	io_uring_sqe_set_data64(sqe, 2);
	must(next_completion(&ring).res, "close");

	hears = (struct pollfd){.fd = peers[1], .events = POLLIN};
	if (poll(&hears, 1, SOON_MS) == 1)
		when = "at once";
	else if (poll(&hears, 1, 1500) == 1)
		when = "a second late";
	else
		when = "not before it has completed";
	io_uring_queue_exit(&ring);
	return when;
}

int main(void)
{
	struct io_uring ring;

	open_ring(&ring);
	need_operation(&ring, IORING_OP_SOCKET, "Linux 5.19");
	printf("alone: %s; ", close_and_hear(false));
	printf("behind an older receive: %s\n", close_and_hear(true));
	return EXIT_SUCCESS;
}
