/* What does a ring wait for? The kernel tells you in /proc/PID/fdinfo/RING. */
#include "snippet.h"

static void print_lines(int ring_fd)
{
	char path[64], line[256];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", ring_fd);
	file = fopen(path, "re");
	if (!file)
		error(EXIT_FAILURE, errno, "%s", path);
	while (fgets(line, sizeof(line), file))
		if (strncmp(line, "CQEs", 4) == 0 || strncmp(line, "PollList", 8) == 0 ||
		    strstr(line, "op="))
			fputs(line, stdout);
	fclose(file);
}

int main(void)
{
	struct io_uring ring;
	struct io_uring_sqe *sqe;
	char bytes[16];
	int server, peer;

	open_ring(&ring);
	connect_pair(&server, &peer);
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_recv(sqe, server, bytes, sizeof(bytes), 0);
	io_uring_sqe_set_data64(sqe, 1);
	must(io_uring_submit(&ring), "io_uring_submit");

	print_lines(ring.ring_fd);
	printf("IORING_OP_RECV is %d; now the client sends\n", IORING_OP_RECV);
	peer_sends(peer, "hello");
	print_lines(ring.ring_fd);
	return EXIT_SUCCESS;
}
