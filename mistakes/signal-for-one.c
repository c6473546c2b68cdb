/*
 * Two rings, for two threads, read the same signalfd, so that SIGTERM ends both. But a signal is
 * taken from the process by whoever reads it first, and the other one waits for ever.
 *
 * One ring reads the signals, and tells the other by a message.
 */
#include <sys/signalfd.h>

#include "mistakes/mistake.h"

enum { SIGNAL = 1, STOP, SENT };

static int open_signals(void)
{
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	must(sigprocmask(SIG_BLOCK, &set, NULL), "sigprocmask");
	fd = signalfd(-1, &set, SFD_CLOEXEC);
	must(fd, "signalfd");
	return fd;
}

static void read_signal(struct io_uring *ring, int fd, struct signalfd_siginfo *info)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	io_uring_prep_read(sqe, fd, info, sizeof(*info), 0);
	io_uring_sqe_set_data64(sqe, SIGNAL);
	submit(ring);
}

static void tell(struct io_uring *from, struct io_uring *to)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(from);

	io_uring_prep_msg_ring(sqe, to->ring_fd, 0, STOP, 0);
	io_uring_sqe_set_data64(sqe, SENT);
	submit(from);
}

int main(int argc, char **argv)
{
	struct signalfd_siginfo info[2];
	struct io_uring rings[2];
	bool heard[2] = {false};
	struct completion completion;
	int fd;

	begin(argc, argv);
	fd = open_signals();
	for (int i = 0; i < 2; i++) {
		open_ring(&rings[i], 4, 0);
		if (!fixed || i == 0)
			read_signal(&rings[i], fd, &info[i]);
	}
	kill(getpid(), SIGTERM);
	heard[0] = reaped(&rings[0], &completion);
	if (fixed && heard[0])
		tell(&rings[0], &rings[1]);
	heard[1] = reaped(&rings[1], &completion);
	printf("SIGTERM: %s\n", heard[0] && heard[1] ? "both rings hear it"
						     : "one ring hears it, the other one waits");
	if (fixed)
		return shown(heard[0] && heard[1], "both end");
	return shown(heard[0] != heard[1], "one thread never ends");
}
