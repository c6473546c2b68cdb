/* A send without a copy has two completions: sent, and no longer needed. */
#include "snippet.h"

#define REPORT_USAGE (1U << 3)	/* IORING_SEND_ZC_REPORT_USAGE, a name of newer headers */
#define COPIED	     (1U << 31) /* IORING_NOTIF_USAGE_ZC_COPIED */

int main(void)
{
	static char bytes[65536];
	struct io_uring ring;
	struct io_uring_sqe *sqe;
	struct completion completion;
	int server, peer;

	open_ring(&ring);
	need_operation(&ring, IORING_OP_SEND_ZC, "Linux 6.0");
	connect_pair(&server, &peer);

	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_send_zc(sqe, server, bytes, sizeof(bytes), MSG_NOSIGNAL, REPORT_USAGE);
	io_uring_sqe_set_data64(sqe, 1);

	completion = next_completion(&ring);
	need(completion.res != -EINVAL, "Linux 6.2");
	printf("sent %d bytes; another completion comes: %s\n", completion.res,
	       completion.flags & IORING_CQE_F_MORE ? "yes" : "no");
	must((int)recv(peer, bytes, sizeof(bytes), MSG_WAITALL | MSG_TRUNC), "recv");
	completion = next_completion(&ring);
	printf("the bytes are ours again: %s; the kernel copied them all the same: %s\n",
	       completion.flags & IORING_CQE_F_NOTIF ? "yes" : "no",
	       (unsigned)completion.res & COPIED ? "yes" : "no");
	return EXIT_SUCCESS;
}
