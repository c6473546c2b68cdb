/*
 * ringtrace: events as lines.
 */
#include "tools/ringtrace/lines.h"
#include "tools/ringtrace/names.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define WORD_FOR_CALLS "calls" /* in --only: the lines of calls too */

int lines_fd = STDERR_FILENO;
uint64_t shown_from, shown_to = UINT64_MAX, shown_least;

static bool only_some;
static bool shown[OPERATIONS], calls_shown = true;

/* As much as a pipe takes in one piece. */
static char buffer[4096];
static size_t buffered;
static bool lines_failed;

/* Whether the name has the word between underscores: async_cancel, poll_add and poll_remove. */
static bool has_word(const char *name, const char *word)
{
	const char *at = strstr(name, word);
	size_t length = strlen(word);

	return length && at && (at == name || at[-1] == '_') && (!at[length] || at[length] == '_');
}

/* An operation's own name stands for it alone; a word of it for all that have it. */
static bool show_operations(const char *word)
{
	bool is_name = false, found = false;

	for (unsigned i = 0; operation(i); i++)
		is_name |= strcmp(operation_name(i), word) == 0;
	for (unsigned i = 0; operation(i); i++)
		if (is_name ? strcmp(operation_name(i), word) == 0
			    : has_word(operation_name(i), word))
			shown[i] = found = true;
	return found;
}

bool print_only(const char *list, char word[ONE_WORD_LENGTH])
{
	size_t length;

	only_some = true;
	calls_shown = false;
	for (;; list += length + 1) {
		length = strcspn(list, ",");
		snprintf(word, ONE_WORD_LENGTH, "%.*s", (int)length, list);
		if (strcmp(word, WORD_FOR_CALLS) == 0)
			calls_shown = true;
		else if (!show_operations(word))
			return false;
		if (!list[length])
			return true;
	}
}

bool write_all(int fd, const void *data, size_t length)
{
	struct pollfd writable = {.fd = fd, .events = POLLOUT};
	const char *from = data;
	ssize_t result;

	while (length > 0) {
		result = write(fd, from, length);
		if (result >= 0) {
			from += result;
			length -= (size_t)result;
		} else if (errno == EAGAIN) {
			poll(&writable, 1, -1);
		} else if (errno != EINTR) {
			return false;
		}
	}
	return true;
}

bool lines_flush(void)
{
	lines_failed = lines_failed || !write_all(lines_fd, buffer, buffered);
	buffered = 0;
	return !lines_failed;
}

void line_add(const struct text *line)
{
	if (buffered + line->length + 1 > sizeof(buffer))
		lines_flush();
	memcpy(buffer + buffered, line->data, line->length);
	buffered += line->length;
	buffer[buffered++] = '\n';
}

void line_print(const char *format, ...)
{
	struct text line = {.length = 0};
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(line.data, sizeof(line.data), format, arguments);
	va_end(arguments);
	line.length = strlen(line.data);
	line_add(&line);
}

struct text line_start(const struct event *event)
{
	unsigned long long microseconds = event->time / 1000;
	struct text line = {.length = 0};

	text_add(&line, "%3llu.%06llu  ", microseconds / 1000000, microseconds % 1000000);
	if (!event->is_first_thread && event->thread)
		text_add(&line, "[%d]  ", event->thread);
	if (event->ring)
		text_add(&line, "ring %u  ", event->ring->number);
	else
		text_add(&line, "ringtrace: ");
	return line;
}

static void print_ring(struct text *line, const struct event *event)
{
	static const char *const hows[] = {
		[RING_OPENED] = "opened",
		[RING_FOUND] = "found open",
		[RING_RESIZED] = "resized",
	};
	const struct ring_record *ring = event->opened;

	if (event->how >= RING_FAILED || !event->ring) {
		text_add(line, "a ring of %u entries = ", ring->sq_entries);
		add_error(line, -ring->result);
		return;
	}
	text_add(line, "%s: fd %d, %u SQEs, %u CQEs", hows[event->how], ring->fd, ring->sq_entries,
		 ring->cq_entries);
	add_setup_flags(line, ring->flags);
}

static void print_cqe(struct text *line, const struct event *event)
{
	text_add(line, "CQE  %-8s",
		 event->opcode >= 0 ? operation_name((unsigned)event->opcode) : "?");
	add_cqe(line, event);
	text_add(line, "  ");
	add_user_data(line, event->cqe->user_data);
	if (event->sender) {
		text_add(line, "  (msg_ring of ring %u)", event->sender->number);
	} else if (!event->candidates) {
		text_add(line, "  (no SQE of this ring has this user_data)");
	} else if (event->sure) {
		text_add(line, "  after ");
		add_duration(line, event->time - event->request->submitted);
	} else if (event->candidates > 1) {
		text_add(line, "  (of one of %u SQEs with this user_data)", event->candidates);
	} else {
		text_add(line, "  (of one of the SQEs with this user_data)");
	}
}

static void add_sqes_taken(struct text *line, const struct event *event)
{
	const struct call_record *call = event->call;

	if (!event->submits)
		return;
	if (!(event->ring->opened.flags & IORING_SETUP_SQPOLL))
		text_add(line, "SQEs taken %u of %u, ",
			 ahead(call->after.sq_head, call->before.sq_head), event->handed_over);
	else if (event->handed_over)
		text_add(line, "SQEs for the SQPOLL thread %u, it %s, ", event->handed_over,
			 event->wakes ? "slept and is woken" : "is awake");
}

static void print_call(struct text *line, const struct event *event)
{
	const struct call_record *call = event->call;
	bool of_queues = (event->submits || event->waits) && event->ring;

	add_call(line, event);
	if (call->result < 0) {
		text_add(line, " = ");
		add_error(line, -call->result);
	} else if (!of_queues) {
		text_add(line, " = %d", call->result);
	}
	if (!of_queues)
		return;
	text_add(line, "%s  ", call->result < 0 ? "," : "");
	add_sqes_taken(line, event);
	text_add(line, "CQEs there %u, ", ahead(call->after.cq_tail, call->after.cq_head));
	if (event->enters)
		add_duration(line, event->time - event->began);
	else
		text_add(line, "no system call");
}

/* One of the first requests of a list, and what comes behind the last of those. */
static void add_request(struct text *line, bool first, const struct io_uring_sqe *sqe)
{
	const struct target target = target_of(sqe);

	text_add(line, "%s%s", first ? " (" : ", ", operation_name(sqe->opcode));
	if (target.kind == TARGET_NONE)
		return;
	text_add(line, " ");
	add_target(line, &target);
}

static void add_end(struct text *line, unsigned count)
{
	text_add(line, "%s", count > PREPARED_MOST ? ", ...)" : count ? ")" : "");
}

static void add_prepared(struct text *line, const struct event *event)
{
	uint32_t count = ahead(event->call->before.sqe_tail, event->call->before.sq_tail);

	text_add(line, "; prepared and not submitted: %u", count);
	for (unsigned i = 0; i < count && i < PREPARED_MOST; i++) {
		const struct prepared *prepared = &event->prepared[i];
		const struct io_uring_sqe sqe = {prepared->opcode, prepared->flags,
						 .fd = prepared->fd};

		add_request(line, !i, &sqe);
	}
	add_end(line, count);
}

/* Where a thread was when the program ended: mostly, what a program that hangs waits for. */
static void print_inside(struct text *line, const struct event *event)
{
	const struct request *request = event->ring->oldest;

	text_add(line, "in ");
	add_call(line, event);
	text_add(line, " for %.3f s", (double)(event->time - event->began) / 1e9);
	if (!event->submits)
		add_prepared(line, event);
	text_add(line, "; in flight: %u", event->ring->in_flight);
	for (unsigned i = 0; request && i < PREPARED_MOST; i++, request = request->newer)
		add_request(line, !i, &request->sqe);
	add_end(line, event->ring->in_flight);
}

/* A call that only looks, and finds what it looks for without the kernel. */
static bool is_silent_call(const struct event *event)
{
	return event->waits && !event->enters && !event->call->arguments[0];
}

/* The requests that a ring leaves behind: one line for those that were taken, one for others. */
static void print_left(const struct event *event, bool taken, const char *what)
{
	struct text list = {.length = 0};
	unsigned count = 0;

	for (const struct request *request = event->ring->oldest; request; request = request->newer)
		if (request->taken == taken) {
			text_add(&list, "%s %s ", count++ ? "," : ":",
				 operation_name(request->sqe.opcode));
			add_user_data(&list, request->sqe.user_data);
		}
	if (count)
		line_print("%s%s: %u%s", line_start(event).data, what, count, list.data);
}

void event_text(struct text *line, const struct event *event)
{
	switch (event->kind) {
	case EVENT_RING: print_ring(line, event); break;
	case EVENT_SQE:
		add_sqe(line, event);
		if (!event->request)
			text_add(line, "  (prepared, and never submitted)");
		break;
	case EVENT_CQE: print_cqe(line, event); break;
	case EVENT_CALL: print_call(line, event); break;
	case EVENT_INSIDE: print_inside(line, event); break;
	case EVENT_MISSED:
		text_add(line,
			 event->of_cqes ? "%u CQEs were consumed and overwritten unseen"
					: "%u SQEs were submitted unseen",
			 event->count);
		break;
	case EVENT_OVERFLOW:
		if (event->count)
			text_add(line, "CQ overflow: %u CQEs are lost", event->count);
		else
			text_add(line, "CQ overflow: the CQ is full, the kernel keeps what has "
				       "completed");
		break;
	case EVENT_RING_END: text_add(line, "closed"); break;
	case EVENT_WARNING:
		text_add(line, "MISTAKE  %s (%s)", event->warning->text, event->warning->fix);
		break;
	default: break;
	}
}

static bool is_left_out(const struct event *event)
{
	if (event->kind == EVENT_WARNING)
		return false;
	if (event->time < shown_from || event->time > shown_to)
		return true;
	switch (event->kind) {
	case EVENT_SQE: return shown_least || (only_some && !shown[event->sqe->opcode]);
	case EVENT_CQE:
		if (shown_least &&
		    !(event->sure && event->time - event->request->submitted >= shown_least))
			return true;
		return only_some && !(event->request && shown[event->request->sqe.opcode]);
	case EVENT_CALL:
		return event->time - event->began < shown_least || !calls_shown ||
		       is_silent_call(event);
	default: return event->kind == EVENT_RING_END && event->by_exit;
	}
}

void print_event(const struct event *event)
{
	struct text line;
	size_t start;

	if (event->kind == EVENT_RING_END) {
		print_left(event, false, "SQEs never taken by the kernel");
		print_left(event, true, "requests still without completion");
	}
	if (is_left_out(event))
		return;
	line = line_start(event);
	start = line.length;
	event_text(&line, event);
	if (line.length > start)
		line_add(&line);
}
