/*
 * It prints "io_uring_wait_cqe: Success", then crashes: liburing returns -errno and doesn't set
 * errno, and a signal has ended the wait with -EINTR, without a completion.
 */
#include <sys/wait.h>

#include "mistakes/mistake.h"

static void on_signal(int signal_number)
{
	(void)signal_number; /* it only interrupts */
}

/* A process that does so again and again, in case that the first one comes before the wait. */
static pid_t start_sending_signals(void)
{
	const struct sigaction action = {.sa_handler = on_signal};
	const pid_t parent = getpid();
	pid_t sender;

	sigaction(SIGUSR1, &action, NULL);
	sender = fork();
	if (sender != 0)
		return sender;
	do {
		usleep(50000);
	} while (getppid() == parent && kill(parent, SIGUSR1) == 0);
	_exit(0);
}

static void stop_sending_signals(pid_t sender)
{
	kill(sender, SIGKILL);
	while (waitpid(sender, NULL, 0) < 0 && errno == EINTR)
		;
}

int main(int argc, char **argv)
{
	struct io_uring ring;
	struct io_uring_sqe *sqe;
	struct io_uring_cqe *cqe = NULL;
	char bytes[16];
	int server, peer, result;
	pid_t sender;
	bool errno_is_set;

	begin(argc, argv);
	open_ring(&ring, 4, 0);
	connect_pair(&server, &peer);
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_recv(sqe, server, bytes, sizeof(bytes), 0);
	io_uring_sqe_set_data64(sqe, 1);
	submit(&ring);

	sender = start_sending_signals();
	errno = 0;
	result = io_uring_wait_cqe(&ring, &cqe);
	errno_is_set = errno != 0;
	/* strerror(errno) is what perror() prints. */
	printf("io_uring_wait_cqe: %s\n", strerror(fixed ? -result : errno));
	stop_sending_signals(sender);
	if (!fixed)
		return shown(result == -EINTR && !errno_is_set && cqe == NULL,
			     "an error called Success, and cqe is NULL: its first use crashes");

	peer_sends(peer, "hello");
	while (result == -EINTR) /* nothing is lost: wait again */
		result = io_uring_wait_cqe(&ring, &cqe);
	return shown(result == 0 && cqe->res == 5, "the same receive, after the signal: 5 bytes");
}
