/*
 * ringtrace: its settings, and its lines. Each line is one write(2), so that the lines of several
 * threads, and of the traced program itself, never mix.
 */
#include "tools/ringtrace.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

struct settings settings = {.output_fd = STDERR_FILENO, .json_fd = -1, .show_calls = true};

static uint64_t time_origin;
/* A line of a child of fork(2) has the process's number, one of a second thread the thread's. */
static bool in_forked_child;
/* initial-exec: an access must not allocate the thread's block, which would be the heap's. */
static __thread pid_t thread_id __attribute__((tls_model("initial-exec")));

static int environment_fd(const char *name, int fallback)
{
	const char *value = getenv(name);
	int fd = value ? atoi(value) : fallback;

	/* What the program starts must not inherit it. fcntl(2) is no cancellation point here. */
	if (value)
		fcntl(fd, F_SETFD, FD_CLOEXEC);
	unsetenv(name);
	return fd;
}

void settings_read_environment(void)
{
	const char *only = getenv(ENV_ONLY);
	const char *preload = getenv(ENV_LD_PRELOAD);
	char ignored[ONE_WORD_LENGTH];

	settings.output_fd = environment_fd(ENV_OUTPUT_FD, STDERR_FILENO);
	settings.json_fd = environment_fd(ENV_JSON_FD, -1);
	settings.decimal_user_data = getenv(ENV_DECIMAL) != NULL;
	if (only)
		settings_parse_only(only, ignored);

	/* The program, and what it starts, finds the environment that it would have had. */
	if (preload)
		setenv("LD_PRELOAD", preload, 1);
	else
		unsetenv("LD_PRELOAD");
	unsetenv(ENV_LD_PRELOAD);
	unsetenv(ENV_ONLY);
	unsetenv(ENV_DECIMAL);
}

bool settings_parse_only(const char *list, char word[ONE_WORD_LENGTH])
{
	size_t length;
	int opcode;

	settings.only_some = true;
	settings.show_calls = false;
	for (;; list += length + 1) {
		length = strcspn(list, ",");
		snprintf(word, ONE_WORD_LENGTH, "%.*s", (int)length, list);
		opcode = operation_number(word);
		if (opcode >= 0)
			settings.shown[opcode] = true;
		else if (strcmp(word, WORD_FOR_CALLS) == 0)
			settings.show_calls = true;
		else
			return false;
		if (!list[length])
			return true;
	}
}

uint64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

void text_add(struct text *text, const char *format, ...)
{
	size_t space = sizeof(text->data) - text->length;
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(text->data + text->length, space, format, arguments);
	va_end(arguments);
	if (length > 0)
		text->length += (size_t)length < space ? (size_t)length : space - 1;
}

void line_time_origin(uint64_t nanoseconds)
{
	time_origin = nanoseconds;
}

struct text line_start(unsigned ring_number)
{
	uint64_t microseconds = (now() - time_origin) / 1000;
	struct text line = {.length = 0};

	if (!thread_id)
		thread_id = (pid_t)syscall(SYS_gettid);
	text_add(&line, "%3llu.%06llu  ", (unsigned long long)microseconds / 1000000,
		 (unsigned long long)microseconds % 1000000);
	if (in_forked_child || thread_id != getpid())
		text_add(&line, "[%d]  ", thread_id);
	if (ring_number)
		text_add(&line, "ring %u  ", ring_number);
	else
		text_add(&line, "ringtrace: ");
	return line;
}

/* Through syscall(2): write(2) and poll(2) would be places where a thread can be cancelled. */
void line_write(struct text *line)
{
	struct pollfd writable = {.fd = settings.output_fd, .events = POLLOUT};
	size_t done = 0;
	long result;

	if (line->length == sizeof(line->data) - 1)
		line->length--;
	line->data[line->length++] = '\n';
	while (done < line->length) {
		result = syscall(SYS_write, settings.output_fd, line->data + done,
				 line->length - done);
		if (result >= 0)
			done += (size_t)result;
		else if (errno == EAGAIN)
			syscall(SYS_ppoll, &writable, 1, NULL, NULL, 0);
		else if (errno != EINTR)
			return;
	}
}

void line_after_fork(void)
{
	in_forked_child = true;
	thread_id = 0;
}

void *memory_get(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

void memory_release(void *memory, size_t size)
{
	if (memory)
		munmap(memory, size);
}

size_t memory_peek(uint64_t address, void *copy, size_t size)
{
	struct iovec to = {.iov_base = copy, .iov_len = size};
	struct iovec from = {.iov_base = (void *)(uintptr_t)address, .iov_len = size};
	ssize_t result = process_vm_readv(getpid(), &to, 1, &from, 1, 0);

	return result > 0 ? (size_t)result : 0;
}
