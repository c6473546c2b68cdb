/* What's copied at submit, and what belongs to the kernel until the completion? */
#include "snippet.h"

#include <sys/uio.h>

#define LENGTH 5

static int server, peer;
static struct io_uring ring;

/* No send completes before the peer has read. Returns how many bytes it has to read for that. */
static size_t fill_socket(void)
{
	static char bytes[65536];
	size_t filled = 0;
	ssize_t sent;

	while ((sent = send(server, bytes, sizeof(bytes), MSG_DONTWAIT | MSG_NOSIGNAL)) > 0)
		filled += (size_t)sent;
	return filled;
}

/* Fills the socket, so that the send has to wait. Returns how many bytes are in front of it. */
static size_t submit_send(const struct msghdr *message)
{
	size_t filled = fill_socket();
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

	io_uring_prep_sendmsg(sqe, server, message, MSG_NOSIGNAL);
	io_uring_sqe_set_data64(sqe, 1);
	must(io_uring_submit(&ring), "io_uring_submit");
	return filled;
}

/* What the peer gets, behind `filled` bytes. */
static void read_sent(size_t filled, char *sent)
{
	static char bytes[65536];
	ssize_t received;

	for (; filled > 0; filled -= (size_t)received) {
		size_t wanted = filled < sizeof(bytes) ? filled : sizeof(bytes);

		received = must((int)recv(peer, bytes, wanted, 0), "recv");
	}
	must((int)recv(peer, sent, LENGTH, MSG_WAITALL), "recv");
	must(next_completion(&ring).res, "sendmsg");
}

int main(void)
{
	char right[] = "right", wrong[] = "WRONG", sent[LENGTH + 1] = "";
	struct iovec part = {right, LENGTH};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
	size_t filled;

	open_ring(&ring);
	connect_pair(&server, &peer);

	filled = submit_send(&message);
	part.iov_base = wrong;
	memset(&message, 0xff, sizeof(message));
	read_sent(filled, sent);
	printf("msghdr and iovec overwritten: sent %s; ", sent);

	part.iov_base = right;
	message = (struct msghdr){.msg_iov = &part, .msg_iovlen = 1};
	filled = submit_send(&message);
	memcpy(right, wrong, sizeof(right));
	read_sent(filled, sent);
	printf("bytes overwritten: sent %s\n", sent);
	return EXIT_SUCCESS;
}
