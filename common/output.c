#include "common/output.h"

#include <errno.h>
#include <error.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define LINE_BYTES 256 /* far below PIPE_BUF: such a write is done whole or not at all */

static bool can_be_written(void)
{
	struct pollfd output = {.fd = STDOUT_FILENO, .events = POLLOUT};

	return poll(&output, 1, 0) != 0;
}

static void write_line(const char *format, va_list arguments)
{
	static bool failed;
	char line[LINE_BYTES];
	int length;

	if (failed)
		return;
	length = vsnprintf(line, sizeof(line), format, arguments);
	if (length >= LINE_BYTES)
		length = LINE_BYTES - 1;
	line[length] = '\n';
	if (write(STDOUT_FILENO, line, (size_t)length + 1) < 0) {
		failed = true;
		error(0, errno, "standard output");
	}
}

__attribute__((format(printf, 1, 2))) static void write_line_of(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	write_line(format, arguments);
	va_end(arguments);
}

void output_line(const char *format, ...)
{
	static unsigned long dropped;
	va_list arguments;

	if (!can_be_written()) {
		dropped++;
		return;
	}
	if (dropped > 0)
		write_line_of("(nobody read this output: %lu lines are missing here)", dropped);
	dropped = 0;
	va_start(arguments, format);
	write_line(format, arguments);
	va_end(arguments);
}

static void close_output(void)
{
	bool incomplete = ferror(stdout); /* a flush has failed, and what it was to write is gone */

	if (fclose(stdout) != 0)
		error(0, errno, "standard output");
	else if (incomplete)
		error(0, 0, "standard output: not all of it could be written");
	else
		return;
	_exit(EXIT_FAILURE);
}

void output_check_at_exit(void)
{
	atexit(close_output);
}
