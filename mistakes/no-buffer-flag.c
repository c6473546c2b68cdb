/*
 * One client's bytes come out under another's name: a buffer was given back that no completion had
 * brought.
 *
 * The buffer's id is in the upper half of cqe->flags, but only with IORING_CQE_F_BUFFER. At EOF and
 * with an error there isn't one. The bits are 0 then, which looks like buffer 0.
 */
#include "mistakes/mistake.h"

#define BUFFERS 2
#define BYTES	16

static struct io_uring ring;
static struct io_uring_buf_ring *buffers;
static char memory[BUFFERS][BYTES];

static void give_back(unsigned id)
{
	io_uring_buf_ring_add(buffers, memory[id], BYTES, (unsigned short)id,
			      io_uring_buf_ring_mask(BUFFERS), 0);
	io_uring_buf_ring_advance(buffers, 1);
}

/* One receive; the completion says which buffer holds the bytes. */
static struct completion receive(int server)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

	io_uring_prep_recv(sqe, server, NULL, BYTES, 0);
	sqe->flags |= IOSQE_BUFFER_SELECT;
	sqe->buf_group = 0;
	io_uring_sqe_set_data64(sqe, 1);
	submit(&ring);
	return reap(&ring);
}

/* Peer C sends, and what has come is done with at once. */
static void hear_from_c(int server, int peer)
{
	peer_sends(peer, "from C");
	give_back(receive(server).flags >> IORING_CQE_BUFFER_SHIFT);
}

int main(int argc, char **argv)
{
	struct completion end;
	unsigned buffer_of_a;
	char *from_a, bytes_of_a[BYTES];
	int server[3], peer[3];

	begin(argc, argv);
	open_ring(&ring, 4, 0);
	buffers = open_buffer_ring(&ring, BUFFERS);
	for (unsigned i = 0; i < 3; i++)
		connect_pair(&server[i], &peer[i]);
	give_back(0);
	give_back(1);

	peer_sends(peer[0], "from A");
	buffer_of_a = receive(server[0]).flags >> IORING_CQE_BUFFER_SHIFT;
	from_a = memory[buffer_of_a];
	printf("client A has sent: %s (kept, to be sent on later)\n", from_a);

	close(peer[1]);
	end = receive(server[1]);
	printf("client B has ended: result %d, %s\n", end.res,
	       end.flags & IORING_CQE_F_BUFFER ? "with a buffer" : "no buffer");
	if (!fixed || end.flags & IORING_CQE_F_BUFFER)
		give_back(end.flags >> IORING_CQE_BUFFER_SHIFT);

	hear_from_c(server[2], peer[2]);
	hear_from_c(server[2], peer[2]);
	printf("client C has sent twice; A's bytes are now: %s\n", from_a);

	/* A's bytes are sent on: this is where its buffer should go back. */
	memcpy(bytes_of_a, from_a, BYTES);
	give_back(buffer_of_a);
	hear_from_c(server[2], peer[2]);
	if (fixed)
		return shown(strcmp(bytes_of_a, "from A") == 0, "A's buffer was A's all the time");
	return shown(strcmp(bytes_of_a, "from C") == 0, "A's bytes have become C's");
}
