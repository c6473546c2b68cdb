/*
 * The server accepts no one any more and doesn't tell you why: the table was full for a moment,
 * which ended the multishot accept with ENFILE, and the program didn't re-arm it.
 *
 * Every completion without IORING_CQE_F_MORE is the last one, whatever its result. Here the time to
 * re-arm is when a slot has become free.
 */
#include "mistakes/mistake.h"

static struct io_uring ring;
static int listener;

static void arm_accept(void)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

	io_uring_prep_multishot_accept_direct(sqe, listener, NULL, NULL, 0);
	io_uring_sqe_set_data64(sqe, 1);
	submit(&ring);
}

static void close_slot(unsigned slot)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

	io_uring_prep_close_direct(sqe, slot);
	io_uring_sqe_set_data64(sqe, 2);
	submit(&ring);
	must(reap(&ring).res, "close");
}

int main(int argc, char **argv)
{
	struct completion completion;
	bool accepted;
	int served = 0;

	begin(argc, argv);
	open_ring(&ring, 4, 0);
	must(io_uring_register_files_sparse(&ring, 1), "io_uring_register_files_sparse");
	listener = open_listener();
	arm_accept();

	connect_peer(listener);
	must(reap(&ring).res, "accept");
	connect_peer(listener);
	completion = reap(&ring);
	printf("client 1: accepted, client 2: %s%s\n", strerror(-completion.res),
	       completion.flags & IORING_CQE_F_MORE ? "" : " (no MORE: the accept has ended)");

	close_slot(0);
	if (fixed && !(completion.flags & IORING_CQE_F_MORE))
		arm_accept();
	for (int client = 3; client <= 4; client++) {
		connect_peer(listener);
		accepted = reaped(&ring, &completion) && completion.res == 0;
		printf("the slot is free, client %d: %s\n", client,
		       accepted ? "accepted" : "waits");
		served += accepted;
		if (accepted)
			close_slot(0);
	}
	if (fixed)
		return shown(served == 2, "armed again when a slot was free");
	return shown(served == 0, "a slot is free, but no accept is armed");
}
