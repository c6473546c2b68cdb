#include "common/signals.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/output.h"
#include "common/ring.h"

#define SECOND_SIGNAL_MS 100 /* timeout(1) sends the same one twice within a millisecond */

static int signal_fd;
static long long end_asked_ns;	     /* when the first SIGINT or SIGTERM was read, or 0 */
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

	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		output_error(EXIT_FAILURE, errno, "sigprocmask");
	signal_fd = signalfd(-1, &set, SFD_CLOEXEC);
	if (signal_fd < 0)
		output_error(EXIT_FAILURE, errno, "signalfd");
	return signal_fd;
}

/* A signalfd has no position, so the offset is 0. */
void signals_prepare_read(struct io_uring *ring, __u64 user_data)
{
	struct io_uring_sqe *sqe = ring_get_sqe(ring);

	io_uring_prep_read(sqe, signal_fd, &info, sizeof(info), 0);
	io_uring_sqe_set_data64(sqe, user_data);
}

/* As if nobody had changed the signal's default action. */
static void die_of(int number)
{
	sigset_t only;

	signal(number, SIG_DFL);
	sigemptyset(&only);
	sigaddset(&only, number);
	raise(number); /* blocked, and so pending until the next line */
	sigprocmask(SIG_UNBLOCK, &only, NULL);
	_exit(128 + number); /* reached as process 1 of a container, whose default action is none */
}

/* Returns `number`, or 0 if it only repeats the first one. Ends the program if it's the second. */
static int first_to_end(int number)
{
	if (end_asked_ns == 0) {
		end_asked_ns = clock_ns();
		return number;
	}
	if (clock_ns() - end_asked_ns > SECOND_SIGNAL_MS * NS_PER_MS)
		die_of(number);
	return 0;
}

int signals_on_read(int result)
{
	int number;

	if (result < 0 && !ring_try_again(result))
		output_error(EXIT_FAILURE, -result, "reading a signal");
	number = result < 0 ? 0 : (int)info.ssi_signo;
	return number == SIGINT || number == SIGTERM ? first_to_end(number) : number;
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
