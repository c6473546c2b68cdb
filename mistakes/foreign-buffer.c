/*
 * What one thread received, another one is to send. So the buffer itself is passed on, and when it
 * has been sent it's put back: into the buffer ring of the thread that has it now. From then on
 * that thread's clients write into memory that the first thread thinks it owns.
 *
 * The bytes are copied into a buffer of the other thread, and each buffer goes back to its ring.
 */
#include "mistakes/mistake.h"

#define BUFFER_BYTES 64

static struct io_uring_buf_ring *buffer_ring_of(struct io_uring *ring, void *page)
{
	struct io_uring_buf_reg request = {.ring_addr = (uintptr_t)page, .ring_entries = 2};

	must(io_uring_register_buf_ring(ring, &request, 0), "io_uring_register_buf_ring");
	io_uring_buf_ring_init(page);
	return page;
}

static void put(struct io_uring_buf_ring *buffers, char *buffer)
{
	io_uring_buf_ring_add(buffers, buffer, BUFFER_BYTES, 0, io_uring_buf_ring_mask(2), 0);
	io_uring_buf_ring_advance(buffers, 1);
}

/* Into the next buffer of its ring. */
static void receive(struct io_uring *ring, int fd)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	io_uring_prep_recv(sqe, fd, NULL, BUFFER_BYTES, 0);
	sqe->flags |= IOSQE_BUFFER_SELECT;
	io_uring_sqe_set_data64(sqe, 1);
	submit(ring);
	must(reap(ring).res, "recv");
}

int main(int argc, char **argv)
{
	static _Alignas(4096) char pages[2][4096];
	static char buffer_of_a[BUFFER_BYTES], buffer_of_b[BUFFER_BYTES];
	struct io_uring a, b;
	struct io_uring_buf_ring *buffers_of_a, *buffers_of_b;
	int fd_a, peer_a, fd_b, peer_b;

	begin(argc, argv);
	open_ring(&a, 4, 0);
	open_ring(&b, 4, 0);
	buffers_of_a = buffer_ring_of(&a, pages[0]);
	buffers_of_b = buffer_ring_of(&b, pages[1]);
	connect_pair(&fd_a, &peer_a);
	connect_pair(&fd_b, &peer_b);

	put(buffers_of_a, buffer_of_a);
	peer_sends(peer_a, "for a");
	receive(&a, fd_a);
	if (fixed) {
		memcpy(buffer_of_b, buffer_of_a, BUFFER_BYTES); /* b sends that, */
		put(buffers_of_a, buffer_of_a);			/* and a's buffer goes home */
		put(buffers_of_b, buffer_of_b);			/* as b's does, once it's sent */
	} else {
		put(buffers_of_b, buffer_of_a); /* b has sent it */
		put(buffers_of_a, buffer_of_a); /* and so has a */
	}
	peer_sends(peer_a, "for a");
	receive(&a, fd_a);
	peer_sends(peer_b, "for b");
	receive(&b, fd_b);
	printf("a's client sent 'for a', and a has '%s'\n", (char *)hidden(buffer_of_a));
	if (fixed)
		return shown(strcmp(buffer_of_a, "for a") == 0, "each thread has its own bytes");
	return shown(strcmp(buffer_of_a, "for b") == 0, "a has the bytes of b's client");
}
