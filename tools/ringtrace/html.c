/*
 * ringtrace --html: a run as a page that plays it. The page is player/player.html with its style
 * sheet, its program and the run, which is a list of events in the form that player/player.js
 * describes. They are written as they come, so that a run of any length needs no memory here.
 *
 * What the player calls an event is smaller than what the log has: a call is its beginning, what
 * the kernel takes in it, the completions it brings, and its end.
 */
#include "tools/ringtrace/html.h"

#include <errno.h>
#include <error.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/ringtrace/decode.h"
#include "tools/ringtrace/lines.h"
#include "tools/ringtrace/names.h"

#define EVENTS_MOST 10000 /* in a page: about a megabyte, and more than anyone steps through */

/* The player's files become part of this program.
 * NOLINTBEGIN(bugprone-macro-parentheses): a name that is declared takes none. */
#define EMBED(name, path)                                                                          \
	extern const char name[];                                                                  \
	__asm__(".pushsection .rodata\n" #name ": .incbin \"tools/ringtrace/player/" path          \
		"\"\n.byte 0\n.popsection\n")
/* NOLINTEND(bugprone-macro-parentheses) */
EMBED(player_html, "player.html");
EMBED(player_css, "player.css");
EMBED(player_js, "player.js");

static FILE *page;
static uint64_t last_time;
static unsigned long written, left_out;
static struct {
	unsigned long sqes, cqes, calls, warnings;
} total;

/* As far as a ring's entries have been shown to be taken, and to be given back. */
struct progress {
	struct ring *ring;
	unsigned sq_head, sq_tail, cq_head, cq_tail;
};
static struct progress *rings;
static unsigned ring_count;

/* Buffers that were put into a buffer ring, to find the requests that use their memory. */
struct buffer {
	uint64_t address;
	unsigned length, group, number;
};
static struct buffer *buffers;
static size_t buffer_count;

/* The call whose completions are being written. */
static struct {
	bool open;
	unsigned ring, cq_tail;
	uint64_t time;
	struct text line, name;
} call;

static void *more_memory(void *memory, size_t size)
{
	memory = realloc(memory, size);
	if (!memory)
		error(EXIT_FAILURE, ENOMEM, "--html");
	return memory;
}

static struct progress *progress_of(struct ring *ring)
{
	if (ring->number > ring_count) {
		rings = more_memory(rings, ring->number * sizeof(*rings));
		memset(rings + ring_count, 0, (ring->number - ring_count) * sizeof(*rings));
		ring_count = ring->number;
	}
	rings[ring->number - 1].ring = ring;
	return &rings[ring->number - 1];
}

/* ---- Items of the list ---- */

/* A string in a script element: "</script>" and "<!--" must not be in it as they are. */
static void write_string(const char *string)
{
	fputc('"', page);
	for (; *string; string++) {
		unsigned char byte = (unsigned char)*string;

		if (byte < ' ' || byte == '"' || byte == '\\' || byte == '<')
			fprintf(page, "\\u%04x", byte);
		else
			fputc(byte, page);
	}
	fputc('"', page);
}

/* Begins an item; false if the page does not show it. Times never go back in the list. */
static bool item(uint64_t time, const struct ring *ring, const char *kind, const char *line)
{
	if (written == EVENTS_MOST) {
		left_out++;
		return false;
	}
	last_time = time > last_time ? time : last_time;
	fprintf(page, "%s[%llu,%u,\"%s\",", written++ ? ",\n" : "", (unsigned long long)last_time,
		ring ? ring->number : 0, kind);
	write_string(line);
	return true;
}

static void item_end(void)
{
	fputc(']', page);
}

static void note(const struct event *event, const char *line)
{
	if (item(event->time, event->ring, "note", line))
		item_end();
}

static void item_count(uint64_t time, const struct ring *ring, const char *kind, unsigned count,
		       const char *what)
{
	struct text line = {.length = 0};

	text_add(&line, what, count, count == 1 ? "" : "s");
	if (!count || !item(time, ring, kind, line.data))
		return;
	fprintf(page, ",%u", count);
	item_end();
}

static unsigned smaller(unsigned one, unsigned other)
{
	return one < other ? one : other;
}

static void taken(struct progress *progress, uint64_t time, unsigned sq_head)
{
	unsigned count =
		smaller(sq_head - progress->sq_head, progress->sq_tail - progress->sq_head);

	progress->sq_head += count;
	item_count(time, progress->ring, "take", count, "%u SQE%s taken");
}

static void reaped(struct progress *progress, uint64_t time, unsigned cq_head)
{
	unsigned count =
		smaller(cq_head - progress->cq_head, progress->cq_tail - progress->cq_head);

	progress->cq_head += count;
	item_count(time, progress->ring, "reap", count, "%u CQE%s reaped");
}

static void call_ends(void)
{
	struct progress *progress;

	if (!call.open)
		return;
	call.open = false;
	progress = &rings[call.ring - 1];
	if (item(call.time, progress->ring, "return", call.line.data)) {
		fputc(',', page);
		write_string(call.name.data);
		item_end();
	}
}

/* ---- Events ---- */

static void on_ring(const struct event *event, const char *line)
{
	if (event->how == RING_FAILED || !event->ring) {
		note(event, line);
		return;
	}
	progress_of(event->ring);
	if (item(event->time, event->ring, "ring", line)) {
		fprintf(page, ",%u,%u", event->opened->sq_entries, event->opened->cq_entries);
		item_end();
	}
}

static bool is_multishot(const struct io_uring_sqe *sqe)
{
	switch (sqe->opcode) {
	case IORING_OP_ACCEPT:
		return sqe->ioprio & IORING_ACCEPT_MULTISHOT;
	case IORING_OP_RECV:
	case IORING_OP_RECVMSG:
		return sqe->ioprio & IORING_RECV_MULTISHOT;
	case IORING_OP_POLL_ADD:
		return sqe->len & IORING_POLL_ADD_MULTI;
	case IORING_OP_TIMEOUT:
		return sqe->timeout_flags & (1U << 6); /* IORING_TIMEOUT_MULTISHOT */
	default:
		return strcmp(operation_name(sqe->opcode), "read_multishot") == 0;
	}
}

static void sqe_item(const struct event *event, const char *line)
{
	const struct request *request = event->request;
	struct text target = {.length = 0};

	if (!item(event->time, event->ring, "sqe", line))
		return;
	if (request->target && request->target->kind != TARGET_NONE)
		add_target(&target, request->target);
	fprintf(page, ",%llu,", (unsigned long long)request->serial);
	write_string(operation_name(request->sqe.opcode));
	fputc(',', page);
	write_string(target.length ? target.data + strspn(target.data, " ") : "");
	fprintf(page, ",\"%s\"", is_multishot(&request->sqe) ? "m" : "");
	item_end();
}

/* The request uses the memory at `address`: which buffer of a buffer ring is that, if any? */
static void lend(const struct event *event, uint64_t address)
{
	struct text line = {.length = 0};
	size_t i;

	for (i = 0; i < buffer_count; i++)
		if (address - buffers[i].address < buffers[i].length)
			break;
	if (i == buffer_count)
		return;
	text_add(&line, "buffer %u of group %u is used by it", buffers[i].number, buffers[i].group);
	if (!item(event->time, event->ring, "lend", line.data))
		return;
	fprintf(page, ",%llu,%u,%u", (unsigned long long)event->request->serial, buffers[i].group,
		buffers[i].number);
	item_end();
}

/* What an SQE points to, as far as it was recorded: the bytes that were at `address`. */
static const void *pointed(const struct event *event, uint64_t address, size_t *length)
{
	const char *at = event->pointed;
	const char *end = at + event->pointed_length;
	const struct memory *memory;

	for (; end - at >= (ptrdiff_t)sizeof(*memory); at += (memory->length + 7) & ~7U) {
		memory = (const struct memory *)at;
		at += sizeof(*memory);
		if (memory->address == address && memory->length <= end - at) {
			*length = memory->length;
			return at;
		}
	}
	return NULL;
}

static void lend_vectors(const struct event *event, uint64_t address)
{
	size_t length, i;
	const struct iovec *vectors = pointed(event, address, &length);

	for (i = 0; vectors && i < length / sizeof(*vectors); i++)
		lend(event, (uint64_t)(uintptr_t)vectors[i].iov_base);
}

static void lend_buffers(const struct event *event)
{
	const struct io_uring_sqe *sqe = event->sqe;
	const struct msghdr *message;
	size_t length;

	if (written == EVENTS_MOST)
		return;
	switch (sqe->opcode) {
	case IORING_OP_SEND:
	case IORING_OP_SEND_ZC:
	case IORING_OP_WRITE:
		lend(event, sqe->addr);
		break;
	case IORING_OP_WRITEV:
		lend_vectors(event, sqe->addr);
		break;
	case IORING_OP_SENDMSG:
	case IORING_OP_SENDMSG_ZC:
		message = pointed(event, sqe->addr, &length);
		if (message && length == sizeof(*message))
			lend_vectors(event, (uint64_t)(uintptr_t)message->msg_iov);
		break;
	default:
		break;
	}
}

static void on_sqe(const struct event *event, const char *line)
{
	if (!event->request) {
		note(event, line);
		return;
	}
	total.sqes++;
	progress_of(event->ring)->sq_tail++;
	sqe_item(event, line);
	lend_buffers(event);
}

static void on_call(const struct event *event, const char *line)
{
	const struct call_record *record = event->call;
	struct progress *progress;

	if (!event->ring || !(event->submits || event->waits)) {
		note(event, line);
		return;
	}
	progress = progress_of(event->ring);
	reaped(progress, event->began, record->before.cq_head);
	taken(progress, event->began, record->before.sq_head);
	total.calls += event->enters;
	if (!event->enters && !event->handed_over && !record->arguments[0])
		return; /* has only looked */

	call.open = true;
	call.ring = event->ring->number;
	call.cq_tail = record->after.cq_tail;
	call.time = event->time;
	call.line.length = call.name.length = 0;
	text_add(&call.line, "%s", line);
	add_call(&call.name, event);
	if (item(event->began, event->ring, "call", call.name.data)) {
		fputc(',', page);
		write_string(call.name.data);
		fprintf(page, ",%d", event->enters);
		item_end();
	}
	taken(progress, event->time, record->after.sq_head);
}

static void on_cqe(const struct event *event, const char *line)
{
	const struct io_uring_cqe *cqe = event->cqe;
	bool picked = cqe->flags & IORING_CQE_F_BUFFER && event->request;

	total.cqes++;
	progress_of(event->ring)->cq_tail++;
	if (!item(event->time, event->ring, "cqe", line))
		return;
	fprintf(page, ",%llu,%d,%d,%d,%d",
		event->request ? (unsigned long long)event->request->serial : 0, cqe->res,
		!event->is_last, picked ? event->request->sqe.buf_group : -1,
		picked ? (int)(cqe->flags >> IORING_CQE_BUFFER_SHIFT) : -1);
	item_end();
}

static struct buffer *buffer_of(unsigned group, unsigned number)
{
	size_t i;

	for (i = 0; i < buffer_count; i++)
		if (buffers[i].group == group && buffers[i].number == number)
			return &buffers[i];
	if ((buffer_count & (buffer_count - 1)) == 0)
		buffers = more_memory(buffers, (2 * buffer_count + 1) * sizeof(*buffers));
	return &buffers[buffer_count++];
}

/* Buffers that are given one after the other are one item. */
static void on_buffers(const struct event *event)
{
	struct text line;
	unsigned first, i;

	if (written == EVENTS_MOST) {
		left_out++;
		return;
	}
	for (i = 0; i < event->count; i++)
		*buffer_of(event->group, event->buffers[i].bid) =
			(struct buffer){.address = event->buffers[i].addr,
					.length = event->buffers[i].len,
					.group = event->group,
					.number = event->buffers[i].bid};
	for (first = 0; first < event->count; first = i) {
		unsigned number = event->buffers[first].bid;

		for (i = first + 1; i < event->count; i++)
			if (event->buffers[i].bid != number + i - first)
				break;
		line.length = 0;
		if (i - first == 1)
			text_add(&line, "buffer %u is put into group %u", number, event->group);
		else
			text_add(&line, "buffers %u to %u are put into group %u", number,
				 number + i - first - 1, event->group);
		if (item(event->time, event->ring, "give", line.data)) {
			fprintf(page, ",%u,%u,%u", event->group, number, i - first);
			item_end();
		}
	}
}

static void on_warning(const struct event *event, const char *line)
{
	total.warnings++;
	if (!item(event->time, event->ring, "warn", line))
		return;
	fprintf(page, ",%llu", event->request ? (unsigned long long)event->request->serial : 0);
	item_end();
}

static void on_ring_end(const struct event *event)
{
	struct progress *progress = progress_of(event->ring);

	if (event->counters)
		reaped(progress, event->time, event->counters->cq_head);
	if (item(event->time, event->ring, "end",
		 event->by_exit ? "the program ends, and its ring with it" : "closed"))
		item_end();
	progress->ring = NULL;
}

/* ---- The page ---- */

/* The template up to the next {{name}}; returns what follows it. */
static const char *write_up_to(const char *template, const char *name)
{
	const char *place = strstr(template, name);

	fwrite(template, 1, (size_t)(place - template), page);
	return place + strlen(name);
}

static const char *rest;

void html_open(const char *path, const char *command)
{
	page = fopen(path, "we");
	if (!page)
		error(EXIT_FAILURE, errno, "%s", path);
	rest = write_up_to(player_html, "{{css}}");
	fputs(player_css, page);
	rest = write_up_to(rest, "{{run}}");
	fputs("{\"program\":", page);
	write_string(command);
	fputs(",\"events\":[\n", page);
}

static void html_close(void)
{
	fprintf(page,
		"],\n\"totals\":{\"sqes\":%lu,\"calls\":%lu,\"cqes\":%lu,\"warnings\":%lu},"
		"\"left_out\":%lu}",
		total.sqes, total.calls, total.cqes, total.warnings, left_out);
	rest = write_up_to(rest, "{{js}}");
	fputs(player_js, page);
	fputs(rest, page);
	if (fclose(page) != 0)
		error(EXIT_FAILURE, errno, "--html");
}

void html_event(const struct event *event)
{
	struct text line = {.length = 0};
	bool in_call = call.open && event->kind == EVENT_CQE && event->ring->number == call.ring &&
		       (int)(event->index - call.cq_tail) < 0;

	if (!in_call)
		call_ends();
	event_text(&line, event);
	switch (event->kind) {
	case EVENT_RING:
		on_ring(event, line.data);
		break;
	case EVENT_SQE:
		on_sqe(event, line.data);
		break;
	case EVENT_CALL:
		on_call(event, line.data);
		break;
	case EVENT_CQE:
		on_cqe(event, line.data);
		break;
	case EVENT_BUFFERS:
		on_buffers(event);
		break;
	case EVENT_WARNING:
		on_warning(event, line.data);
		break;
	case EVENT_MISSED:
	case EVENT_OVERFLOW:
		note(event, line.data);
		break;
	case EVENT_RING_END:
		on_ring_end(event);
		break;
	case EVENT_END:
		html_close();
		break;
	case EVENT_CLOSE:
	case EVENT_SHUTDOWN:
	case EVENT_LEFT:
	case EVENT_PROCESS:
	case EVENT_EXIT:
		break;
	}
}
