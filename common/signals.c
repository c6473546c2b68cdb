#include "common/signals.h"

#include <errno.h>
#include <error.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>

static sigset_t set;

int signals_open(int first, ...)
{
	va_list more;
	int fd;

	sigemptyset(&set);
	va_start(more, first);
	for (int number = first; number; number = va_arg(more, int)) {
		sigaddset(&set, number);
		signal(number, SIG_DFL); /* whoever started this program may have ignored it */
	}
	va_end(more);

	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		error(EXIT_FAILURE, errno, "sigprocmask");
	fd = signalfd(-1, &set, SFD_CLOEXEC);
	if (fd < 0)
		error(EXIT_FAILURE, errno, "signalfd");
	return fd;
}

void signals_release(void)
{
	if (sigprocmask(SIG_UNBLOCK, &set, NULL) < 0)
		error(EXIT_FAILURE, errno, "sigprocmask");
}

static void end_at_once(int number)
{
	_exit(128 + number); /* as a shell says of a program that a signal has ended */
}

void signals_end_at_once(void)
{
	signal(SIGINT, end_at_once);
	signal(SIGTERM, end_at_once);
}
