/*
 * io_uring's operations, flags and calls by name. By number and not by the header's names, so that
 * a program built with a newer liburing than this file is understood as well.
 */
#ifndef TOOLS_RINGTRACE_NAMES_H
#define TOOLS_RINGTRACE_NAMES_H

#include <liburing.h>
#include <stdbool.h>
#include <stdint.h>

#include "tools/ringtrace/log.h"

#define OPERATIONS	 256	    /* sqe->opcode is a byte */
#define ANY_SLOT	 UINT32_MAX /* IORING_FILE_INDEX_ALLOC */
#define CURRENT_POSITION UINT64_MAX

/* What liburing 2.3 has no name for, and is a special case somewhere. */
enum later {
	OP_READ_MULTISHOT = 49,
	OP_LISTEN = 57,
	OP_RECV_ZC = 58,
	OP_WRITEV_FIXED = 61,
	OP_NOP128 = 63,
	OP_URING_CMD128 = 64,

	SETUP_NO_MMAP = 1 << 14,
	SETUP_CQE_MIXED = 1 << 18,
	SETUP_SQE_MIXED = 1 << 19,
	SETUP_SQ_REWIND = 1 << 20,

	CQE_BUFFER_MORE = 1 << 4,
	CQE_SKIP = 1 << 5,
	CQE_BIG = 1 << 15,

	TIMEOUT_MULTISHOT = 1 << 6,
	TIMEOUT_IMMEDIATE_ARG = 1 << 7,
	SEND_REPORTS_USAGE = 1 << 3,
	TRANSFER_BUNDLE = 1 << 4,
	SEND_VECTORIZED = 1 << 5,
	BUFFER_RING_MMAP = 1 << 0,
	BUFFER_RING_INC = 1 << 1,
	CANCEL_ALL = 1 << 0,
	CANCEL_FD = 1 << 1,
	CANCEL_ANY = 1 << 2,
	CANCEL_OP = 1 << 5,

	COMMAND_GETSOCKOPT = 2, /* of a socket, with uring_cmd */
	COMMAND_SETSOCKOPT = 3,
};

/*
 * Flags are named by a text: the bits' names, from the lowest on, with blanks between, and - for
 * one that has none. Other lists are, too. word_at() is false where there is no name.
 */
#define WORD_MOST 40
bool word_at(const char *words, unsigned place, char word[WORD_MOST]);

/* What an operation's fields mean, where they follow a pattern. */
enum fields {
	FD = 1 << 0,	       /* fd, a descriptor or a slot */
	LENGTH = 1 << 1,       /* len bytes */
	VECTORS = 1 << 2,      /* len vectors at addr */
	ADDRESS = 1 << 3,      /* addr, a buffer */
	OFFSET = 1 << 4,       /* off, in a file */
	BUFFER = 1 << 5,       /* buf_index, a registered buffer */
	INTO = 1 << 6,	       /* file_index, the slot that shall hold the result */
	PATH = 1 << 7,	       /* fd is a directory and addr a path in it */
	MESSAGE = 1 << 8,      /* addr is a struct msghdr */
	NAME = 1 << 9,	       /* addr is a text */
	SOCKET = 1 << 10,      /* fd is a socket whose address is at addr */
	SECOND_PATH = 1 << 11, /* off is another path's address */
	FILLS = 1 << 12,       /* stores into its memory, or, the next one, takes from there */
	EMPTIES = 1 << 13,
	LOSES_NOTHING = 1 << 14, /* where it is never submitted */
};

struct operation {
	const char *name;
	unsigned fields;
	const char *ioprio_flags, *own_flags;
};

/* Of one that is unknown: NULL. */
const struct operation *operation(unsigned opcode);
/* Its enum fields, or 0. */
unsigned fields_of(unsigned opcode);
/* "op 99" for one that is unknown. */
const char *operation_name(unsigned opcode);
bool is_send(unsigned opcode);
bool is_receive(unsigned opcode);
/* One SQE, many CQEs: what the program has asked for. */
bool sqe_is_multishot(const struct io_uring_sqe *sqe);
/* Picks several buffers at once. */
bool is_bundle(const struct io_uring_sqe *sqe);
/* The SQE, or the message that it points to, has a list of struct iovec instead of one buffer. */
bool points_to_vectors(const struct io_uring_sqe *sqe);
/* Where its struct __kernel_timespec is; 0: it has none. */
uint64_t time_address(const struct io_uring_sqe *sqe);
/* Makes a descriptor. */
bool gives_descriptor(unsigned opcode);

/* A call's name without its io_uring_; and what its arguments mean, for printf(3). */
const char *call_name(enum call_id id);
const char *call_format(enum call_id id);

extern const char sqe_flags[], cqe_flags[], setup_flags[], poll_events[], poll_command_flags[],
	enter_flags[], buffer_ring_flags[], shutdown_ways[], socket_commands[],
	register_names[]; /* by io_uring_register's opcode */

#endif
