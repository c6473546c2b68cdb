/*
 * A line, or an event's text, while it is put together. What does not fit is cut off.
 */
#ifndef TOOLS_RINGTRACE_TEXT_H
#define TOOLS_RINGTRACE_TEXT_H

#include <stddef.h>

struct text {
	size_t length;
	char data[1000];
};

void text_add(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
