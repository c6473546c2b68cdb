/* Many receives are ready: how many does a wait for one bring, with DEFER_TASKRUN? */
#include "snippet.h"

#define PEERS 64

int main(void)
{
	static char bytes[PEERS];
	struct io_uring ring;
	int servers[PEERS], peers[PEERS];

	need(io_uring_queue_init(PEERS, &ring,
				 IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN) == 0,
	     "Linux 6.1");
	for (int i = 0; i < PEERS; i++) {
		struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

		connect_pair(&servers[i], &peers[i]);
		io_uring_prep_recv(sqe, servers[i], &bytes[i], 1, 0);
		io_uring_sqe_set_data64(sqe, 1);
	}
	must(io_uring_submit(&ring), "io_uring_submit");
	for (int i = 0; i < PEERS; i++)
		peer_sends(peers[i], "x");
	usleep(100 * 1000); /* until all have arrived */

	must(io_uring_submit_and_wait(&ring, 1), "io_uring_submit_and_wait");
	printf("%d are ready, a wait for one brings %u\n", PEERS, io_uring_cq_ready(&ring));
	return EXIT_SUCCESS;
}
