/*
 * What the programs of this folder share: errors, a ring, two ends of a connection, and the next
 * completion. What is left in a program is what ../left-out.md is about.
 */
#ifndef DOCS_SNIPPETS_SNIPPET_H
#define DOCS_SNIPPETS_SNIPPET_H

#include <arpa/inet.h>
#include <errno.h>
#include <error.h>
#include <liburing.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define SKIPPED 77 /* exit status: this machine lacks what the program shows */

static inline int must(int result, const char *what)
{
	if (result < 0)
		error(EXIT_FAILURE, result == -1 ? errno : -result, "%s", what);
	return result;
}

/* The name of an error, as in "ECANCELED", for the result of a completion. */
static inline const char *name_of(int result)
{
	return result < 0 ? strerrorname_np(-result) : "done";
}

/* Stops the program if this kernel, or the liburing it was built with, lacks something. */
static inline void need(bool has, const char *what)
{
	if (has)
		return;
	printf("needs %s\n", what);
	exit(SKIPPED);
}

static inline void need_operation(struct io_uring *ring, int operation, const char *kernel)
{
	struct io_uring_probe *probe = io_uring_get_probe_ring(ring);

	need(probe && io_uring_opcode_supported(probe, operation), kernel);
	io_uring_free_probe(probe);
}

static inline void open_ring(struct io_uring *ring)
{
	must(io_uring_queue_init(16, ring, 0), "io_uring_queue_init");
}

/* A CQE's copy, which stays when the CQE has gone back to the kernel. */
struct completion {
	__u64 user_data;
	int res;
	unsigned flags;
};

/* Submits what was prepared, and waits for the next completion. */
static inline struct completion next_completion(struct io_uring *ring)
{
	struct io_uring_cqe *cqe;
	struct completion copy;

	must(io_uring_submit_and_wait(ring, 1), "io_uring_submit_and_wait");
	must(io_uring_peek_cqe(ring, &cqe), "io_uring_peek_cqe");
	copy = (struct completion){cqe->user_data, cqe->res, cqe->flags};
	io_uring_cqe_seen(ring, cqe);
	return copy;
}

/* On a free port of the loopback interface; reads the port into `address`. */
static inline int bound_socket(int type, struct sockaddr_in *address)
{
	socklen_t length = sizeof(*address);
	int fd = must(socket(AF_INET, type | SOCK_CLOEXEC, 0), "socket");

	*address = (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	must(bind(fd, (struct sockaddr *)address, length), "bind");
	must(getsockname(fd, (struct sockaddr *)address, &length), "getsockname");
	return fd;
}

/* Two ends of a TCP connection. */
static inline void connect_pair(int *server, int *peer)
{
	struct sockaddr_in address;
	int listen_fd = bound_socket(SOCK_STREAM, &address);

	must(listen(listen_fd, 1), "listen");
	*peer = must(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
	must(connect(*peer, (struct sockaddr *)&address, sizeof(address)), "connect");
	*server = must(accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC), "accept4");
	close(listen_fd);
}

static inline void peer_sends(int peer, const char *text)
{
	must((int)send(peer, text, strlen(text), MSG_NOSIGNAL), "send");
}

static inline void *pages(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		error(EXIT_FAILURE, errno, "mmap");
	return memory;
}

/*
 * A ring of `count` buffers of `size` bytes each, group 0, filled; `flags` as in
 * io_uring_register_buf_ring(3). Older headers have no name for the flags in the structure, and so
 * it is written out here. Returns the bytes.
 */
static inline char *open_buffer_ring(struct io_uring *ring, unsigned count, unsigned size,
				     unsigned short flags)
{
	struct {
		__u64 address;
		__u32 entries;
		__u16 group, flags;
		__u64 reserved[3];
	} registration = {.entries = count, .flags = flags};
	size_t ring_size = count * sizeof(struct io_uring_buf);
	struct io_uring_buf_ring *buffers = pages(ring_size);
	char *bytes = pages((size_t)count * size);

	registration.address = (__u64)(uintptr_t)buffers;
	must(io_uring_register((unsigned)ring->ring_fd, IORING_REGISTER_PBUF_RING, &registration,
			       1),
	     "IORING_REGISTER_PBUF_RING");
	io_uring_buf_ring_init(buffers);
	for (unsigned i = 0; i < count; i++)
		io_uring_buf_ring_add(buffers, bytes + (size_t)i * size, size, (unsigned short)i,
				      io_uring_buf_ring_mask(count), (int)i);
	io_uring_buf_ring_advance(buffers, (int)count);
	return bytes;
}

#endif
