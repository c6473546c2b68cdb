#include "common/output.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINE_BYTES 1024 /* far below PIPE_BUF: such a write is done whole or not at all */

struct stream {
	int fd;
	bool is_socket;
	bool never_waits;     /* it's a file, or we have opened it anew with O_NONBLOCK */
	atomic_bool failed;   /* nothing is written any more */
	atomic_ulong missing; /* lines that were dropped and not counted aloud yet */
};

static struct stream output = {.fd = STDOUT_FILENO};
static struct stream errors = {.fd = STDERR_FILENO};

/* ---- Opening ---- */

/*
 * Opened to read, so that writing to them goes on failing: as before, but without the danger that
 * the next socket is number 1 and its client gets our lines.
 */
static void take_closed_descriptors(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDONLY);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

/*
 * O_NONBLOCK belongs to the open file, which we share with the shell and whoever else writes there,
 * so it must not change under them. The same pipe or terminal, opened once more, is ours alone.
 */
static bool open_anew(int fd)
{
	char path[sizeof("/proc/self/fd/2")];
	bool opened;
	int ours;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ours = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (ours < 0)
		return false;
	opened = dup2(ours, fd) == fd;
	close(ours);
	return opened;
}

static void open_stream(struct stream *stream)
{
	struct stat status = {0};

	fstat(stream->fd, &status);
	stream->is_socket = S_ISSOCK(status.st_mode);
	stream->never_waits = S_ISREG(status.st_mode);
	if (S_ISFIFO(status.st_mode) || isatty(stream->fd))
		stream->never_waits = open_anew(stream->fd);
}

void output_open(void)
{
	signal(SIGPIPE, SIG_IGN); /* nobody will ever read it: EPIPE */
	signal(SIGXFSZ, SIG_IGN); /* the file is as large as the limit allows: EFBIG */
	signal(SIGTTOU, SIG_IGN); /* a background job writes to its terminal, with stty tostop */
	take_closed_descriptors();
	open_stream(&output);
	open_stream(&errors);
}

/* ---- Writing ---- */

static bool can_be_written(int fd)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLOUT};

	return poll(&poll_fd, 1, 0) != 0;
}

/* Like write(2), but fails with EAGAIN where that would wait. */
static ssize_t write_at_once(const struct stream *stream, const char *line, size_t length)
{
	if (stream->is_socket)
		return send(stream->fd, line, length, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (!stream->never_waits && !can_be_written(stream->fd)) {
		errno = EAGAIN;
		return -1;
	}
	return write(stream->fd, line, length);
}

/* Standard error has nobody to complain to, and tries each line anew. */
static void on_failure(struct stream *stream, int error_number)
{
	if (stream == &output && !atomic_exchange(&output.failed, true))
		output_error(0, error_number, "standard output");
}

/* Whether all of it was written. */
static bool put(struct stream *stream, const char *line, size_t length)
{
	ssize_t written = write_at_once(stream, line, length);

	if (written < 0 && errno != EAGAIN)
		on_failure(stream, errno);
	return written == (ssize_t)length;
}

static bool put_missing(struct stream *stream, unsigned long missing)
{
	char line[LINE_BYTES];
	int length = snprintf(line, sizeof(line),
			      "(nobody read this output: %lu lines are missing here)\n", missing);

	return put(stream, line, (size_t)length);
}

static void put_line(struct stream *stream, const char *line, size_t length)
{
	unsigned long missing = atomic_exchange(&stream->missing, 0);

	if (missing > 0 && put_missing(stream, missing))
		missing = 0;
	if (missing > 0 || !put(stream, line, length))
		missing++;
	atomic_fetch_add(&stream->missing, missing);
}

/* ---- Lines ---- */

/* Returns how long the line is with that; there is always room for the newline. */
__attribute__((format(printf, 3, 0))) static size_t
append_list(char *line, size_t length, const char *format, va_list arguments)
{
	int more = vsnprintf(line + length, LINE_BYTES - length, format, arguments);

	length += more > 0 ? (size_t)more : 0;
	return length < LINE_BYTES ? length : LINE_BYTES - 1;
}

__attribute__((format(printf, 3, 4))) static size_t append(char *line, size_t length,
							   const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	length = append_list(line, length, format, arguments);
	va_end(arguments);
	return length;
}

void output_line(const char *format, ...)
{
	char line[LINE_BYTES];
	va_list arguments;
	size_t length;

	if (atomic_load(&output.failed))
		return;
	va_start(arguments, format);
	length = append_list(line, 0, format, arguments);
	va_end(arguments);
	line[length++] = '\n';
	put_line(&output, line, length);
}

/* %m and not strerror(3), which two threads must not call at once. */
void output_error(int status, int error_number, const char *format, ...)
{
	char line[LINE_BYTES];
	va_list arguments;
	size_t length;

	length = append(line, 0, "%s: ", program_invocation_name);
	va_start(arguments, format);
	length = append_list(line, length, format, arguments);
	va_end(arguments);
	errno = error_number;
	if (error_number != 0)
		length = append(line, length, ": %m");
	line[length++] = '\n';
	put_line(&errors, line, length);
	if (status != 0)
		exit(status);
}

/* ---- Checking at the end ---- */

static void close_output(void)
{
	bool incomplete = ferror(stdout); /* a flush has failed, and what it was to write is gone */

	if (fclose(stdout) != 0)
		output_error(0, errno, "standard output");
	else if (incomplete)
		output_error(0, 0, "standard output: not all of it could be written");
	else
		return;
	_exit(EXIT_FAILURE);
}

void output_check_at_exit(void)
{
	atexit(close_output);
}
