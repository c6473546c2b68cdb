/*
 * Runs a command that the kernel denies some system calls, as a container's seccomp profile does:
 * they fail with the error given, whatever their arguments.
 *
 * Run it: make test-programs && ./build/tests/deny EPERM io_uring_setup -- ./day01/setup
 */
#include <errno.h>
#include <error.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/options.h"

static const struct {
	const char *name;
	unsigned number;
} system_calls[] = {
	{"io_uring_setup", __NR_io_uring_setup},
	{"io_uring_enter", __NR_io_uring_enter},
	{"io_uring_register", __NR_io_uring_register},
};
#define SYSTEM_CALLS (sizeof(system_calls) / sizeof(system_calls[0]))

static unsigned error_named(const char *name)
{
	if (strcmp(name, "EPERM") == 0)
		return EPERM;
	if (strcmp(name, "ENOSYS") == 0)
		return ENOSYS;
	usage_error("'%s' is neither EPERM nor ENOSYS", name);
}

static unsigned system_call_named(const char *name)
{
	for (size_t i = 0; i < SYSTEM_CALLS; i++)
		if (strcmp(system_calls[i].name, name) == 0)
			return system_calls[i].number;
	usage_error("'%s' is no system call of io_uring", name);
}

/* Filters add up: a system call is allowed when all of them allow it. */
static void deny(unsigned system_call, unsigned error_number)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, system_call, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error_number),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {.len = sizeof(code) / sizeof(code[0]), .filter = code};

	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
		error(EXIT_FAILURE, errno, "prctl PR_SET_SECCOMP");
}

int main(int argc, char **argv)
{
	unsigned error_number;
	int i;

	if (argc < 2)
		usage_error("usage: ERROR SYSTEM_CALL... -- COMMAND [ARGUMENT]...");
	error_number = error_named(argv[1]);
	/* An ordinary user may filter only what cannot gain privileges. */
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		error(EXIT_FAILURE, errno, "prctl PR_SET_NO_NEW_PRIVS");
	for (i = 2; i < argc && strcmp(argv[i], "--") != 0; i++)
		deny(system_call_named(argv[i]), error_number);
	if (i + 1 >= argc)
		usage_error("no command after --");
	execvp(argv[i + 1], argv + i + 1);
	error(EXIT_FAILURE, errno, "%s", argv[i + 1]);
}
