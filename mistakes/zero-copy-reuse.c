/*
 * The next message's bytes are sent instead of these: the buffer of a zero-copy send was used again
 * after the first completion.
 *
 * That one only reports how much was sent, with IORING_CQE_F_MORE. The kernel still sends from the
 * buffer until the second one, with IORING_CQE_F_NOTIF.
 */
#include <linux/sockios.h>
#include <sys/ioctl.h>

#include "mistakes/mistake.h"

#define BYTES 65536

static struct io_uring ring;
static char buffer[BYTES];

/* The peer does not read for a while: what is sent from now on waits in the server's kernel. */
static void fill_the_window(int server)
{
	static char dots[BYTES];
	int unsent = 0;

	memset(dots, '.', sizeof(dots));
	while (unsent == 0) {
		if (send(server, dots, sizeof(dots), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
			error(EXIT_FAILURE, errno, "send");
		must(ioctl(server, SIOCOUTQNSD, &unsent), "SIOCOUTQNSD");
	}
}

/* The peer reads until `wanted` letters have come; counts the 'A's of the first message. */
static int count_as(int peer, int wanted)
{
	static char bytes[BYTES];
	int heard, as = 0, letters = 0;

	while (letters < wanted && (heard = peer_hears(peer, bytes, sizeof(bytes))) > 0)
		for (int i = 0; i < heard; i++) {
			as += bytes[i] == 'A';
			letters += bytes[i] != '.';
		}
	return as;
}

static void prepare_send(int server, char letter)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

	memset(buffer, letter, sizeof(buffer));
	io_uring_prep_send_zc(sqe, server, buffer, BYTES, MSG_NOSIGNAL, 0);
	io_uring_sqe_set_data64(sqe, (__u64)letter);
	submit(&ring);
}

int main(int argc, char **argv)
{
	struct completion first;
	int server, peer, as = 0;

	begin(argc, argv);
	open_ring(&ring, 4, 0);
	connect_pair(&server, &peer);
	fill_the_window(server);

	prepare_send(server, 'A');
	first = reap(&ring);
	printf("first completion: %d bytes sent%s\n", first.res,
	       first.flags & IORING_CQE_F_MORE ? ", IORING_CQE_F_MORE: another follows" : "");
	if (fixed) {
		as = count_as(peer, BYTES);
		while (!(reap(&ring).flags & IORING_CQE_F_NOTIF))
			;
	}
	prepare_send(server, 'B'); /* in the same buffer */
	(void)reap(&ring);
	as += count_as(peer, fixed ? BYTES : 2 * BYTES);
	printf("sent: %d times A, then %d times B; the client has read %d times A\n", BYTES, BYTES,
	       as);

	if (fixed)
		return shown(as == BYTES, "the buffer was used again after IORING_CQE_F_NOTIF");
	return shown(as < BYTES, "the second message was sent in place of the first");
}
