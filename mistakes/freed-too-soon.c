/*
 * Memory changes that belongs to someone else by now: the buffer of a receive was given away when
 * its cancellation was asked for.
 *
 * A cancel only asks. Until the receive has its own completion the kernel may write into the
 * buffer, so free it then and not before.
 */
#include "mistakes/mistake.h"

static struct io_uring ring;
static char memory[64]; /* what is freed last is given out next, as with malloc */

static void prepare_recv(int server)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

	io_uring_prep_recv(sqe, server, memory, sizeof(memory), 0);
	io_uring_sqe_set_data64(sqe, 1);
}

static void prepare_cancel(void)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

	io_uring_prep_cancel64(sqe, 1, 0);
	io_uring_sqe_set_data64(sqe, 2);
}

static void give_memory_to_another(void)
{
	snprintf(memory, sizeof(memory), "%s", "another's own words");
}

int main(int argc, char **argv)
{
	int server, peer;

	begin(argc, argv);
	open_ring(&ring, 4, 0);
	connect_pair(&server, &peer);
	prepare_recv(server);
	submit(&ring);

	prepare_cancel();
	if (!fixed)
		give_memory_to_another();
	peer_sends(peer, "LATE"); /* before the cancel has reached the kernel */
	submit(&ring);
	for (int i = 0; i < 2; i++) {
		struct completion completion = reap(&ring);

		printf("the %s: result %d\n", completion.user_data == 1 ? "receive" : "cancel",
		       completion.res);
	}
	if (fixed)
		give_memory_to_another();
	printf("the memory: \"%s\"\n", memory);

	if (fixed)
		return shown(strcmp(memory, "another's own words") == 0,
			     "freed when the receive had completed");
	return shown(strcmp(memory, "LATEher's own words") == 0,
		     "the receive has written into another's memory");
}
