/* One request for many datagrams: each buffer begins with its sender's address. */
#include "snippet.h"

#define BUFFER_BYTES 2048

int main(void)
{
	struct sockaddr_in address, from;
	struct msghdr layout = {.msg_namelen = sizeof(from)}; /* room for a name, none for more */
	struct io_uring_recvmsg_out *datagram;
	struct io_uring ring;
	struct io_uring_sqe *sqe;
	int server = bound_socket(SOCK_DGRAM, &address), peer = bound_socket(SOCK_DGRAM, &from);
	char *buffers;

	open_ring(&ring);
	need_operation(&ring, IORING_OP_SEND_ZC, "Linux 6.0"); /* as old as this receive */
	buffers = open_buffer_ring(&ring, 8, BUFFER_BYTES, 0);
	must(connect(peer, (struct sockaddr *)&address, sizeof(address)), "connect");

	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_recvmsg_multishot(sqe, server, &layout, 0);
	sqe->flags |= IOSQE_BUFFER_SELECT; /* of group 0 */
	io_uring_sqe_set_data64(sqe, 1);
	for (int i = 0; i < 2; i++) {
		struct completion completion;
		size_t buffer;

		peer_sends(peer, i == 0 ? "one" : "three");
		completion = next_completion(&ring);
		buffer = completion.flags >> IORING_CQE_BUFFER_SHIFT;
		datagram = io_uring_recvmsg_validate(buffers + buffer * BUFFER_BYTES,
						     completion.res, &layout);
		memcpy(&from, io_uring_recvmsg_name(datagram), sizeof(from));
		printf("%u bytes from %s, another follows: %s\n", datagram->payloadlen,
		       inet_ntoa(from.sin_addr),
		       completion.flags & IORING_CQE_F_MORE ? "yes" : "no");
	}
	return EXIT_SUCCESS;
}
