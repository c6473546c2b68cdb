/*
 * You get another connection's bytes: a slot's number was used without IOSQE_FIXED_FILE, so it was
 * taken for an ordinary descriptor's.
 */
#include "mistakes/mistake.h"

static struct io_uring ring;

static int receive(int number, bool is_slot, char *bytes, unsigned size)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

	io_uring_prep_recv(sqe, number, bytes, size, 0);
	if (is_slot)
		sqe->flags |= IOSQE_FIXED_FILE; /* after prep */
	io_uring_sqe_set_data64(sqe, 1);
	submit(&ring);
	return reap(&ring).res;
}

int main(int argc, char **argv)
{
	int server[2], peer[2], table[16];
	char bytes[16] = "";

	begin(argc, argv);
	open_ring(&ring, 4, 0);
	connect_pair(&server[0], &peer[0]);
	connect_pair(&server[1], &peer[1]);

	/* Connection 1 goes into the slot that has the number of connection 0's descriptor. */
	memset(table, -1, sizeof(table));
	table[server[0]] = server[1];
	must(io_uring_register_files(&ring, table, 16), "io_uring_register_files");
	peer_sends(peer[0], "for zero");
	peer_sends(peer[1], "for one");

	must(receive(server[0], fixed, bytes, sizeof(bytes) - 1), "receive");
	printf("received from slot %d, where connection 1 is: %s\n", server[0], bytes);
	if (fixed)
		return shown(strcmp(bytes, "for one") == 0, "connection 1's own bytes");
	return shown(strcmp(bytes, "for zero") == 0, "the bytes of connection 0");
}
