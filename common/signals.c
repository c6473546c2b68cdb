#include "common/signals.h"

#include <errno.h>
#include <error.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "common/ring.h"

static int signal_fd;
static struct signalfd_siginfo info; /* the kernel's while the read is in flight */

int signals_open(int first, ...)
{
	va_list more;
	sigset_t set;

	sigemptyset(&set);
	va_start(more, first);
	for (int number = first; number; number = va_arg(more, int)) {
		sigaddset(&set, number);
		signal(number, SIG_DFL); /* whoever started this program may have ignored it */
	}
	va_end(more);

	signal(SIGPIPE, SIG_IGN);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		error(EXIT_FAILURE, errno, "sigprocmask");
	signal_fd = signalfd(-1, &set, SFD_CLOEXEC);
	if (signal_fd < 0)
		error(EXIT_FAILURE, errno, "signalfd");
	return signal_fd;
}

/* A signalfd has no position, so the offset is 0. */
void signals_prepare_read(struct io_uring *ring, __u64 user_data)
{
	struct io_uring_sqe *sqe = ring_get_sqe(ring);

	io_uring_prep_read(sqe, signal_fd, &info, sizeof(info), 0);
	io_uring_sqe_set_data64(sqe, user_data);
}

int signals_on_read(int result)
{
	if (result < 0 && !ring_try_again(result))
		error(EXIT_FAILURE, -result, "reading a signal");
	return result < 0 ? 0 : (int)info.ssi_signo;
}

void signals_die_of(int number)
{
	sigset_t set;

	signal(number, SIG_DFL);
	sigemptyset(&set);
	sigaddset(&set, number);
	raise(number); /* still blocked, and so pending until the next call */
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	_exit(128 + number); /* in a container's process 1 the default action is none */
}
