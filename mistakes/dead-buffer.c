/*
 * An array changes under your feet: a receive was armed into the buffer of a function that has
 * returned, and the stack has new owners. AddressSanitizer is silent, because it's the kernel that
 * writes.
 */
#include "mistakes/mistake.h"

static struct io_uring ring;

__attribute__((noinline)) static void arm_receive(int server)
{
	static char lasting[256];
	char local[256];
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

	io_uring_prep_recv(sqe, server, fixed ? lasting : hidden(local), sizeof(local), 0);
	io_uring_sqe_set_data64(sqe, 1);
	submit(&ring);
}

/* Its array is where arm_receive() had its buffer. Returns how many bytes have changed. */
__attribute__((noinline)) static int count_changes(int peer)
{
	char zeros[512];
	char *watched = hidden(zeros);
	int changed = 0;

	memset(watched, 0, sizeof(zeros));
	peer_sends(peer, "hello");
	(void)reap(&ring);
	for (size_t i = 0; i < sizeof(zeros); i++)
		changed += watched[i] != 0;
	return changed;
}

int main(int argc, char **argv)
{
	int server, peer, changed;

	begin(argc, argv);
	open_ring(&ring, 4, 0);
	connect_pair(&server, &peer);
	arm_receive(server);
	changed = count_changes(peer);
	printf("the client sent 5 bytes; %d bytes of an array of zeros have changed\n", changed);

	if (fixed)
		return shown(changed == 0, "the bytes are in a buffer that lasts");
	return shown(changed == 5, "the kernel has written into someone else's array");
}
