/*
 * What the programs of this folder share: a ring, a peer on loopback, waiting that ends, and the
 * last line. Each runs wrong by default, and with --fixed the way it should be.
 */
#ifndef MISTAKES_MISTAKE_H
#define MISTAKES_MISTAKE_H

#include <arpa/inet.h>
#include <errno.h>
#include <error.h>
#include <liburing.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define WATCHDOG_SECONDS 3   /* no program runs longer */
#define PATIENCE_MS	 500 /* what has not happened by then does not happen */

static bool fixed;
static const char *outcome = "seen"; /* the word that begins the last line */

static inline void give_up(int signal_number)
{
	const char text[] = "gave up: it took too long\n";

	(void)signal_number;
	if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0)
		_exit(EXIT_FAILURE + 1);
	_exit(EXIT_FAILURE);
}

/* Every main() calls this first, and every child process that it starts. */
static inline void begin(int argc, char **argv)
{
	/* --cured is what the option was called in the first edition. */
	fixed = argc == 2 && (strcmp(argv[1], "--fixed") == 0 || strcmp(argv[1], "--cured") == 0);
	if (fixed)
		outcome = argv[1] + 2;
	if (argc > 1 && !fixed) {
		fprintf(stderr, "Usage: %s [--fixed]\n", argv[0]);
		exit(2);
	}
	signal(SIGALRM, give_up);
	alarm(WATCHDOG_SECONDS);
	setvbuf(stdout, NULL, _IOLBF, 0);
}

/* The last line, and the exit status: 0 if what it claims was seen. */
__attribute__((format(printf, 2, 3))) static inline int shown(bool seen, const char *format, ...)
{
	va_list arguments;

	printf("%s%s: ", seen ? "" : "NOT ", outcome);
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	putchar('\n');
	return seen ? EXIT_SUCCESS : EXIT_FAILURE;
}

static inline void must(int result, const char *what)
{
	if (result < 0)
		error(EXIT_FAILURE, result == -1 ? errno : -result, "%s", what);
}

/*
 * Keeps the compiler from seeing what a pointer points to, so that neither a warning nor an
 * optimisation takes a mistake with memory away.
 */
static inline void *hidden(void *pointer)
{
	__asm__ volatile("" : "+r"(pointer) : : "memory");
	return pointer;
}

/* This process's threads, the kernel's own among them. */
static inline int count_threads(void)
{
	FILE *file = fopen("/proc/self/status", "re");
	char line[256];
	int count = 0;

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "Threads: %d", &count) == 1)
			break;
	if (file)
		fclose(file);
	return count;
}

static inline long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- The ring ---- */

static inline void open_ring(struct io_uring *ring, unsigned entries, unsigned flags)
{
	must(io_uring_queue_init(entries, ring, flags), "io_uring_queue_init");
}

static inline void submit(struct io_uring *ring)
{
	must(io_uring_submit(ring), "io_uring_submit");
}

/* A completion, copied before its CQE was marked as seen. */
struct completion {
	__u64 user_data;
	int res;
	unsigned flags;
};

static inline struct completion take(struct io_uring *ring, struct io_uring_cqe *cqe)
{
	struct completion copy = {cqe->user_data, cqe->res, cqe->flags};

	io_uring_cqe_seen(ring, cqe);
	return copy;
}

/* The next completion; false if none comes soon. */
static inline bool reaped(struct io_uring *ring, struct completion *completion)
{
	struct __kernel_timespec patience = {.tv_nsec = PATIENCE_MS * 1000000LL};
	struct io_uring_cqe *cqe;

	if (io_uring_wait_cqe_timeout(ring, &cqe, &patience) < 0)
		return false;
	*completion = take(ring, cqe);
	return true;
}

/* The same, where there has to be one. */
static inline struct completion reap(struct io_uring *ring)
{
	struct io_uring_cqe *cqe;

	must(io_uring_wait_cqe(ring, &cqe), "io_uring_wait_cqe");
	return take(ring, cqe);
}

/*
 * A ring of buffers, group 0, still empty. Written out, since liburing 2.3 has no
 * io_uring_setup_buf_ring().
 */
static inline struct io_uring_buf_ring *open_buffer_ring(struct io_uring *ring, unsigned entries)
{
	static _Alignas(4096) char page[4096];
	struct io_uring_buf_reg request = {
		.ring_addr = (uintptr_t)page,
		.ring_entries = entries,
	};

	must(io_uring_register_buf_ring(ring, &request, 0), "io_uring_register_buf_ring");
	io_uring_buf_ring_init((struct io_uring_buf_ring *)page);
	return (struct io_uring_buf_ring *)page;
}

/* ---- Sockets on loopback; the peers are ordinary, blocking ones ---- */

static inline int open_listener(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	must(fd, "socket");
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	must(bind(fd, (struct sockaddr *)&address, sizeof(address)), "bind");
	must(listen(fd, 16), "listen");
	return fd;
}

static inline struct sockaddr_in address_of(int fd)
{
	struct sockaddr_in address = {0};
	socklen_t length = sizeof(address);

	must(getsockname(fd, (struct sockaddr *)&address, &length), "getsockname");
	return address;
}

/* False if no one listens there. */
static inline bool try_connect(int fd, struct sockaddr_in address)
{
	return connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
}

/* Connects to itself until that gets no answer any more: the backlog is full, so nobody else will.
 */
static inline int open_full_listener(void)
{
	int listener = open_listener();
	struct sockaddr_in address = address_of(listener);
	struct pollfd wait = {.events = POLLOUT};

	must(listen(listener, 0), "listen");
	do {
		wait.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		must(wait.fd, "socket");
		try_connect(wait.fd, address);
	} while (poll(&wait, 1, 100) > 0);
	return listener;
}

static inline int connect_peer(int listener)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	must(fd, "socket");
	if (!try_connect(fd, address_of(listener)))
		error(EXIT_FAILURE, errno, "connect");
	return fd;
}

/* A connection: the server's end, and the peer's. */
static inline void connect_pair(int *server, int *peer)
{
	int listener = open_listener();

	*peer = connect_peer(listener);
	*server = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	must(*server, "accept");
	close(listener);
}

/* The peer sends a text. */
static inline void peer_sends(int peer, const char *text)
{
	if (send(peer, text, strlen(text), MSG_NOSIGNAL) != (ssize_t)strlen(text))
		error(EXIT_FAILURE, errno, "send");
}

/* What the peer hears: a number of bytes, 0 for end-of-file; -1 for nothing at all. */
static inline int peer_hears(int peer, char *bytes, size_t size)
{
	struct pollfd wait = {.fd = peer, .events = POLLIN};

	if (poll(&wait, 1, PATIENCE_MS) == 0)
		return -1;
	return (int)recv(peer, bytes, size, 0);
}

#endif
