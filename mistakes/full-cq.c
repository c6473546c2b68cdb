/*
 * A multishot request has ended on its own, because the completion queue was full.
 *
 * The kernel keeps the completion that doesn't fit and delivers it later, but it ends the request.
 * If you check IORING_CQE_F_MORE you'll know that you have to re-arm. A queue that holds a burst
 * avoids it (IORING_SETUP_CQSIZE).
 */
#include "mistakes/mistake.h"

#define CLIENTS 8

static struct io_uring ring;

static void arm_accept(int listener)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

	io_uring_prep_multishot_accept(sqe, listener, NULL, NULL, 0);
	io_uring_sqe_set_data64(sqe, 1);
	submit(&ring);
}

/* Accepts whoever is there; returns how many those are. */
static int accept_clients(int listener)
{
	struct completion completion;
	int accepted = 0;

	while (reaped(&ring, &completion)) {
		accepted += completion.res >= 0;
		if (completion.flags & IORING_CQE_F_MORE)
			continue;
		printf("accepted: %d, and that was the last: no MORE\n", accepted);
		if (fixed)
			arm_accept(listener);
	}
	return accepted;
}

int main(int argc, char **argv)
{
	int listener, accepted;

	begin(argc, argv);
	open_ring(&ring, 1, 0); /* one SQE, and so two CQEs */
	listener = open_listener();
	arm_accept(listener);

	for (int i = 0; i < CLIENTS; i++) /* a burst, while the program does something else */
		connect_peer(listener);
	accepted = accept_clients(listener);
	printf("clients: %d, accepted: %d\n", CLIENTS, accepted);
	connect_peer(listener);
	accepted += accept_clients(listener);
	printf("another one, in peace; accepted: %d\n", accepted);

	if (fixed)
		return shown(accepted == CLIENTS + 1, "armed again each time, it accepts them all");
	return shown(accepted < CLIENTS, "the accept has ended, the others wait for ever");
}
