/* A filter that forbids socket(2) doesn't see a ring's request for a socket. */
#include "snippet.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

static void forbid_socket(void)
{
	struct sock_filter instructions[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog filter = {
		.len = sizeof(instructions) / sizeof(instructions[0]),
		.filter = instructions,
	};

	must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "PR_SET_NO_NEW_PRIVS");
	must(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter), "PR_SET_SECCOMP");
}

int main(void)
{
	struct io_uring ring;
	struct io_uring_sqe *sqe;

	open_ring(&ring);
	need_operation(&ring, IORING_OP_SOCKET, "Linux 5.19");
	forbid_socket();

	printf("socket(2): %s\n", socket(AF_INET, SOCK_STREAM, 0) < 0 ? name_of(-errno) : "done");
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_socket(sqe, AF_INET, SOCK_STREAM, 0, 0);
	io_uring_sqe_set_data64(sqe, 1);
	printf("IORING_OP_SOCKET: %s\n", name_of(next_completion(&ring).res));
	return EXIT_SUCCESS;
}
