/*
 * SQEs, CQEs, flags and calls as text.
 */
#ifndef TOOLS_RINGTRACE_DECODE_H
#define TOOLS_RINGTRACE_DECODE_H

#include "tools/ringtrace/events.h"

/* A line, or an event's text, while it is put together. What does not fit is cut off. */
struct text {
	size_t length;
	char data[1000];
};

void text_add(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

extern bool decimal_user_data;

/* "SQE  recv     slot 3 len 64 ...  user_data 0x3" of an EVENT_SQE. */
void add_sqe(struct text *text, const struct event *event);
/* " = 4  buffer 2  MORE" of an EVENT_CQE. */
void add_cqe(struct text *text, const struct event *event);
/* "submit_and_wait(1)" of an EVENT_CALL. */
void add_call(struct text *text, const struct event *event);
/* "slot 3", "fd 4" or "no descriptor" */
void add_target(struct text *text, const struct target *target);
void add_user_data(struct text *text, uint64_t user_data);
void add_error(struct text *text, int error);
void add_setup_flags(struct text *text, uint32_t flags);
/* How many of the buffers, from the first on, have numbers that follow one another. */
unsigned buffers_in_a_row(const struct io_uring_buf *buffers, unsigned count);
void add_duration(struct text *text, uint64_t nanoseconds);

#endif
