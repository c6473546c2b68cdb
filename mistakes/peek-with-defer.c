/*
 * Hundreds of thousands of looks at the completion queue find nothing, although the bytes have long
 * been there: with IORING_SETUP_DEFER_TASKRUN the kernel completes requests only when the program
 * enters it.
 *
 * io_uring_peek_cqe() only reads memory. io_uring_get_events() enters the kernel, and so does every
 * call that waits.
 */
#include "mistakes/mistake.h"

#define LOOK_MS 300

int main(int argc, char **argv)
{
	const long end_ms = now_ms() + LOOK_MS;
	struct io_uring ring;
	struct io_uring_sqe *sqe;
	struct io_uring_cqe *cqe = NULL;
	char bytes[16];
	int server, peer;
	unsigned long looks = 0;
	bool there = false, there_when_asked;

	begin(argc, argv);
	open_ring(&ring, 4, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN);
	connect_pair(&server, &peer);
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_recv(sqe, server, bytes, sizeof(bytes), 0);
	io_uring_sqe_set_data64(sqe, 1);
	submit(&ring);
	peer_sends(peer, "hello");

	while (!there && now_ms() < end_ms) {
		if (fixed)
			must(io_uring_get_events(&ring), "io_uring_get_events");
		there = io_uring_peek_cqe(&ring, &cqe) == 0;
		looks++;
	}
	printf("the client has sent; looks at the queue: %lu, completions: %d\n", looks, there);

	if (fixed)
		return shown(there && cqe->res == 5, "there when the kernel is asked");

	must(io_uring_get_events(&ring), "io_uring_get_events");
	there_when_asked = io_uring_peek_cqe(&ring, &cqe) == 0;
	printf("and after io_uring_get_events(): %d\n", there_when_asked);
	return shown(!there && there_when_asked, "nothing, however often you look");
}
