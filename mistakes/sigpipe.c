/*
 * The server is gone without a word, with status 141: a write or writev on a socket whose client
 * has left raises SIGPIPE. A send through the ring doesn't.
 */
#include <sys/wait.h>

#include "mistakes/mistake.h"

/* Sends twice to a peer that has left: the first is answered with a reset. Returns the last result.
 */
static int answer_a_peer_that_left(void)
{
	struct io_uring ring;
	struct io_uring_sqe *sqe;
	int server, peer, result = 0;

	open_ring(&ring, 4, 0);
	connect_pair(&server, &peer);
	close(peer);
	for (int i = 0; i < 2; i++) {
		sqe = io_uring_get_sqe(&ring);
		if (fixed)
			io_uring_prep_send(sqe, server, "hello", 5, 0);
		else
			io_uring_prep_write(sqe, server, "hello", 5, 0);
		io_uring_sqe_set_data64(sqe, 1);
		submit(&ring);
		result = reap(&ring).res;
	}
	return result;
}

int main(int argc, char **argv)
{
	int status;

	begin(argc, argv);
	if (fork() == 0) {
		alarm(WATCHDOG_SECONDS);
		_exit(-answer_a_peer_that_left());
	}
	wait(&status);
	printf("a server answers a client that has left: %s\n",
	       WIFSIGNALED(status) ? strsignal(WTERMSIG(status)) : strerror(WEXITSTATUS(status)));
	if (fixed)
		return shown(WIFEXITED(status) && WEXITSTATUS(status) == EPIPE,
			     "a send fails with EPIPE, and the server goes on");
	return shown(WIFSIGNALED(status) && WTERMSIG(status) == SIGPIPE, "the server was killed");
}
