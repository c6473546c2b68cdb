/*
 * A client waits for the rest of its answer: the send was short, and the program never sent the
 * rest.
 *
 * A send completes with as many bytes as the socket has taken. Send the rest, or set MSG_WAITALL,
 * so that the kernel does (Linux 5.19).
 */
#include <pthread.h>

#include "mistakes/mistake.h"

#define BYTES (8 << 20)

/* Reads until nothing more comes; returns how many bytes it were. */
static void *read_all(void *argument)
{
	static long total;
	static char bytes[1 << 20];
	int heard;

	total = 0;
	while (total < BYTES && (heard = peer_hears(*(int *)argument, bytes, sizeof(bytes))) > 0)
		total += heard;
	return &total;
}

/* Sends what is left; returns how many bytes the socket has taken. */
static int send_from(struct io_uring *ring, int server, int sent)
{
	static char answer[BYTES];
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	io_uring_prep_send(sqe, server, answer + sent, (size_t)(BYTES - sent), MSG_NOSIGNAL);
	io_uring_sqe_set_data64(sqe, 1);
	submit(ring);
	return reap(ring).res;
}

int main(int argc, char **argv)
{
	static char request[64];
	struct io_uring ring;
	struct io_uring_sqe *sqe;
	struct completion completion;
	int server, peer, sent;
	pthread_t reader;
	void *read;

	begin(argc, argv);
	open_ring(&ring, 4, 0);
	connect_pair(&server, &peer);
	sent = send_from(&ring, server, 0);
	/* Not before: a peer that reads as fast as we write could make room for all of it. */
	must(-pthread_create(&reader, NULL, read_all, &peer), "pthread_create");
	while (fixed && sent < BYTES)
		sent += send_from(&ring, server, sent);
	/* The next request: it does not come. */
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_recv(sqe, server, request, sizeof(request), 0);
	io_uring_sqe_set_data64(sqe, 2);
	submit(&ring);
	if (reaped(&ring, &completion))
		error(EXIT_FAILURE, 0, "a completion of an unknown request");
	pthread_join(reader, &read);
	printf("an answer of %d bytes: %d sent, %ld read\n", BYTES, sent, *(long *)read);

	if (fixed)
		return shown(sent == BYTES && *(long *)read == BYTES,
			     "sent until nothing was left");
	return shown(sent < BYTES && *(long *)read == sent, "the client waits for %d bytes more",
		     BYTES - sent);
}
