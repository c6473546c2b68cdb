/*
 * Bytes arrive in the wrong order, because two sends were in flight on one socket.
 *
 * Each waits until the socket takes more, writes what fits, then waits again, so they alternate.
 * Keep one send in flight, and let what comes next wait for its completion.
 */
#include <pthread.h>

#include "mistakes/mistake.h"

#define BYTES (8 << 20) /* more than the socket holds */

static struct io_uring ring;
static char text[2][BYTES];

/* Reads both texts; returns how many runs of the same letter there are. */
static void *count_runs(void *argument)
{
	const int peer = *(int *)argument;
	static long runs;
	char bytes[65536], last = 0;
	ssize_t count;

	runs = 0;
	for (long rest = 2L * BYTES; rest > 0; rest -= count) {
		count = recv(peer, bytes, sizeof(bytes), 0);
		if (count <= 0)
			break;
		for (ssize_t i = 0; i < count; i++) {
			runs += bytes[i] != last;
			last = bytes[i];
		}
	}
	return &runs;
}

static void prepare_send(int server, int number)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

	/* MSG_WAITALL: go on until all is sent, not only what fits now. */
	io_uring_prep_send(sqe, server, text[number], BYTES, MSG_NOSIGNAL | MSG_WAITALL);
	io_uring_sqe_set_data64(sqe, (__u64)number);
}

int main(int argc, char **argv)
{
	int server, peer;
	pthread_t reader;
	void *runs;

	begin(argc, argv);
	open_ring(&ring, 4, 0);
	connect_pair(&server, &peer);
	memset(text[0], 'A', BYTES);
	memset(text[1], 'B', BYTES);
	prepare_send(server, 0);
	if (!fixed)
		prepare_send(server, 1);
	submit(&ring);
	must(-pthread_create(&reader, NULL, count_runs, &peer), "pthread_create");
	must(reap(&ring).res, "send");
	if (fixed) {
		prepare_send(server, 1);
		submit(&ring);
	}
	must(reap(&ring).res, "send");
	pthread_join(reader, &runs);
	printf("sent: all A, then all B; the client has read %ld runs of letters\n", *(long *)runs);

	if (fixed)
		return shown(*(long *)runs == 2, "A, then B");
	return shown(*(long *)runs > 2, "pieces of A and B alternate");
}
