/* The process may open no more files: what happens to an accept? */
#include "snippet.h"

#include <sys/resource.h>

static struct io_uring ring;

static int connect_to(struct sockaddr_in *address)
{
	int fd = must(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");

	must(connect(fd, (struct sockaddr *)address, sizeof(*address)), "connect");
	return fd;
}

int main(void)
{
	struct sockaddr_in address;
	struct rlimit limit, lowered;
	struct io_uring_sqe *sqe;
	int listen_fd = bound_socket(SOCK_STREAM, &address), last, into_slot, without;

	open_ring(&ring);
	must(listen(listen_fd, 2), "listen");
	need(io_uring_register_files_sparse(&ring, 1) == 0, "Linux 5.19");
	connect_to(&address);
	last = connect_to(&address);
	must(getrlimit(RLIMIT_NOFILE, &limit), "getrlimit");
	lowered = limit;
	lowered.rlim_cur = (rlim_t)last + 1;
	must(setrlimit(RLIMIT_NOFILE, &lowered), "setrlimit");

	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_accept_direct(sqe, listen_fd, NULL, NULL, 0, 0);
	io_uring_sqe_set_data64(sqe, 1);
	into_slot = next_completion(&ring).res;
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_accept(sqe, listen_fd, NULL, NULL, 0);
	io_uring_sqe_set_data64(sqe, 2);
	without = next_completion(&ring).res;

	must(setrlimit(RLIMIT_NOFILE, &limit), "setrlimit");
	printf("accept into a slot: %s; without one: %s\n", name_of(into_slot), name_of(without));
	return EXIT_SUCCESS;
}
