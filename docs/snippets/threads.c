/* Each thread has its own ring, loop and listener, and the kernel shares the clients out. */
#include "snippet.h"

#include <pthread.h>

#define THREADS 2
#define PEERS	64

/* On the port of `address`; 0 becomes a free one, which the next call takes, too. */
static int open_listener(struct sockaddr_in *address)
{
	int fd = must(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"), on = 1;
	socklen_t length = sizeof(*address);

	must(setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)), "SO_REUSEPORT");
	must(bind(fd, (struct sockaddr *)address, length), "bind");
	must(getsockname(fd, (struct sockaddr *)address, &length), "getsockname");
	must(listen(fd, PEERS), "listen");
	return fd;
}

static void *serve(void *listen_fd)
{
	struct io_uring ring;
	long accepted = 0;
	int peer;

	open_ring(&ring);
	io_uring_prep_multishot_accept(io_uring_get_sqe(&ring), *(int *)listen_fd, NULL, NULL, 0);
	while ((peer = next_completion(&ring).res) >= 0) {
		accepted++;
		close(peer);
	}
	io_uring_queue_exit(&ring);
	return (void *)accepted;
}

int main(void)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	pthread_t threads[THREADS];
	int listen_fds[THREADS];
	void *accepted;
	bool all = true;
	long sum = 0;

	for (int i = 0; i < THREADS; i++)
		listen_fds[i] = open_listener(&address);
	for (int i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, serve, &listen_fds[i]);

	for (int i = 0; i < PEERS; i++) {
		int peer = must(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
		char byte;

		must(connect(peer, (struct sockaddr *)&address, sizeof(address)), "connect");
		must((int)read(peer, &byte, 1), "read"); /* end-of-file: accepted and closed */
		close(peer);
	}
	for (int i = 0; i < THREADS; i++)
		shutdown(listen_fds[i], SHUT_RDWR); /* the accept fails, the thread ends */
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], &accepted);
		all = all && (long)accepted > 0;
		sum += (long)accepted;
	}
	printf("%ld clients, shared by %d threads: %s\n", sum, THREADS,
	       all ? "each has some" : "no");
	return all && sum == PEERS ? EXIT_SUCCESS : EXIT_FAILURE;
}
