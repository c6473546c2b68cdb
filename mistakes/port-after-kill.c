/*
 * "Address already in use" when you restart a server right after kill -9: the kernel takes its ring
 * apart a moment after its process has ended, and until then the accept holds the port.
 *
 * Keep trying for a second; or better, shut down cleanly, as the servers from day 4 on do.
 */
#include <sys/wait.h>

#include "mistakes/mistake.h"

#define ROUNDS 10

/* A server that is killed while an accept is armed; it leaves its address behind. */
static struct sockaddr_in kill_a_server(void)
{
	int listener = open_listener(), ready[2];
	struct sockaddr_in address = address_of(listener);
	struct io_uring ring;
	struct io_uring_sqe *sqe;
	pid_t server;
	char byte;

	must(pipe(ready), "pipe");
	server = fork();
	if (server == 0) {
		alarm(WATCHDOG_SECONDS);
		open_ring(&ring, 4, 0);
		sqe = io_uring_get_sqe(&ring);
		io_uring_prep_multishot_accept(sqe, listener, NULL, NULL, 0);
		io_uring_sqe_set_data64(sqe, 1);
		submit(&ring);
		if (write(ready[1], "", 1) == 1)
			pause();
		_exit(1);
	}
	close(listener);
	if (read(ready[0], &byte, 1) != 1)
		error(EXIT_FAILURE, errno, "read");
	kill(server, SIGKILL);
	waitpid(server, NULL, 0); /* it has ended */
	close(ready[0]);
	close(ready[1]);
	return address;
}

static bool can_bind(struct sockaddr_in address)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	bool bound = bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0;

	close(fd);
	return bound;
}

int main(int argc, char **argv)
{
	struct sockaddr_in address;
	int in_use = 0, tries;

	begin(argc, argv);
	for (int round = 0; round < ROUNDS; round++) {
		address = kill_a_server();
		for (tries = fixed ? 100 : 1; tries > 0 && !can_bind(address); tries--)
			usleep(10000);
		in_use += tries == 0;
	}
	printf("a server killed and started again, %d times: %d times the port was in use\n",
	       ROUNDS, in_use);

	if (fixed)
		return shown(in_use == 0, "tried for a second, it was free each time");
	return shown(in_use > 0, "the port outlives the process for a moment");
}
