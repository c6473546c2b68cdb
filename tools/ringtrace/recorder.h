/*
 * ringtrace's recorder, inside the traced program: copies what passes through the rings into the
 * log. Which CQE answers which SQE is for the reader to find out.
 *
 * It must not change anything that the program sees: its memory is not the program's heap, and it
 * calls no cancellation point. errno is for the hooks to keep.
 */
#ifndef TOOLS_RINGTRACE_RECORDER_H
#define TOOLS_RINGTRACE_RECORDER_H

#include <liburing.h>
#include <stdbool.h>
#include <stdint.h>

#include "tools/ringtrace/log.h"

struct ring_state;

struct call {
	enum call_id id;
	enum call_kind kind;
	struct io_uring *ring;
	uintptr_t stack; /* the program's stack pointer, where the SQEs are looked at */
	struct ring_state *state;
	struct call_record record;
};

/* Around all of this; false where the hook shall only pass on. */
bool recorder_enter(void);
void recorder_leave(void);

/* Around a call, and even if it is not traced. */
void call_begin(struct call *call, bool traced);
void call_end(struct call *call, int result);

void ring_opened(unsigned entries, struct io_uring *ring, const struct io_uring_params *params,
		 int result);
void ring_closing(struct io_uring *ring);

/* Where the call's buffer ring is, and which files it has put into its slots. */
void buffer_ring_registered(const struct call *call, uintptr_t address);
void files_registered(const struct call *call, const int *files);

/* The ring that the system calls' wrappers know by its descriptor, or its index in the table of
 * registered ones; NULL for others. */
struct io_uring *ring_of_descriptor(int fd, bool registered);

void descriptor_closing(int fd);
void descriptor_shutting_down(int fd);

/* The process is leaving: waits until the reader has printed everything. */
void recorder_finish(void);

#endif
