/*
 * ringtrace --html: a run as a page that plays it. The page is player/player.html with its style
 * sheet, its program and the run, which is a list of events in the form that player/player.js
 * describes. They are written as they come, so that a run of any length needs no memory here.
 *
 * What the player calls an event is smaller than what the log has: a call is its beginning, what
 * the kernel takes in it, the completions it brings, and its end.
 *
 * With --from the page's first item says what was the case then: of what came before, as much is
 * kept here as that needs.
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
#define MOST_OUTSIDE                                                                               \
	1000	      /* mistakes that are listed although the page does not show their time       \
		       */
#define BUFFERS 65536 /* numbers of groups, and of buffers in one, are 16 bits */

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
static bool has_begun; /* the time of --from has come */
static unsigned long written, left_out_before, left_out_after;
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

/*
 * What the program prepares becomes known at the call that hands it over, and only that call says
 * which completions had been marked as seen before. So what is prepared is held until then.
 */
static struct {
	FILE *stream, *page;
	char *text;
	size_t length;
	const struct ring *ring;
	uint64_t since;
} held;

/* The buffers of the buffer rings: where they are, and for whom one was picked last. */
struct buffer {
	uint64_t address;
	unsigned length;
	bool is_given;
	int holder_kind, holder_number;
};
static struct group {
	struct buffer *buffers;
	unsigned count; /* up to the highest number */
} groups[BUFFERS];
static unsigned group_count; /* up to the highest number */

/* Descriptors and slots that the rings have opened, and not closed. */
struct opened {
	const struct ring *ring;
	struct target target;
};
static struct opened *opened;
static size_t opened_count;

/* Mistakes at times that the page does not show. */
static struct outside {
	uint64_t time;
	unsigned ring;
	char *line;
} outside[MOST_OUTSIDE];
static unsigned outside_count;

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

static bool is_full(void)
{
	return written == EVENTS_MOST;
}

/* "slot 3", "fd 4", or nothing. */
static void write_target(int kind, int number)
{
	if (kind == TARGET_NONE)
		fputs("\"\"", page);
	else
		fprintf(page, "\"%s %d\"", kind == TARGET_SLOT ? "slot" : "fd", number);
}

static void write_target_of(const struct request *request)
{
	write_target(request->target ? (int)request->target->kind : TARGET_NONE,
		     request->target ? request->target->number : 0);
}

/* Begins an item; false if the page does not show it. Times never go back in the list. */
static bool item(uint64_t time, const struct ring *ring, const char *kind, const char *line)
{
	if (!has_begun) {
		left_out_before++;
		return false;
	}
	if (is_full() || time > shown_to) {
		left_out_after++;
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

/* ---- What is prepared ---- */

static void hold(const struct event *event)
{
	if (held.stream || !has_begun || is_full())
		return;
	held.stream = open_memstream(&held.text, &held.length);
	if (!held.stream)
		error(EXIT_FAILURE, errno, "--html");
	held.page = page;
	held.ring = event->ring;
	held.since = event->time;
	page = held.stream;
}

/* With the call's event: what was marked as seen comes before what was prepared then. */
static void let_go(const struct event *event)
{
	uint64_t latest = last_time;

	if (!held.stream)
		return;
	page = held.page;
	if (event->kind == EVENT_CALL && event->ring == held.ring) {
		last_time = held.since;
		reaped(progress_of(event->ring), held.since, event->call->before.cq_head);
		last_time = latest;
	}
	if (fclose(held.stream) != 0)
		error(EXIT_FAILURE, errno, "--html");
	fwrite(held.text, 1, held.length, page);
	free(held.text);
	held.stream = NULL;
}

/* ---- Descriptors and slots ---- */

static size_t opened_find(const struct ring *ring, int kind, int number)
{
	size_t i;

	for (i = 0; i < opened_count; i++)
		if (opened[i].ring == ring && (int)opened[i].target.kind == kind &&
		    opened[i].target.number == number)
			break;
	return i;
}

static void opened_remove(size_t place)
{
	if (place < opened_count)
		opened[place] = opened[--opened_count];
}

/* Which descriptor or slot the completion says is open now; or NULL. */
static const struct target *opens(const struct event *event)
{
	const struct io_uring_sqe *sqe = &event->request->sqe;
	struct target target = {.kind = TARGET_FD, .number = event->cqe->res};
	size_t place;

	if (event->cqe->res < 0 || !gives_descriptor(sqe->opcode))
		return NULL;
	if (sqe->file_index) {
		target.kind = TARGET_SLOT;
		if (sqe->file_index != ANY_SLOT)
			target.number = (int)sqe->file_index - 1;
	}
	place = opened_find(event->ring, target.kind, target.number);
	if (place == opened_count) {
		if ((opened_count & (opened_count - 1)) == 0)
			opened = more_memory(opened, (2 * opened_count + 1) * sizeof(*opened));
		opened_count++;
	}
	opened[place] = (struct opened){.ring = event->ring, .target = target};
	return &opened[place].target;
}

static void closes(const struct event *event)
{
	const struct request *request = event->request;

	if (request->sqe.opcode == IORING_OP_CLOSE && event->cqe->res == 0 && request->target)
		opened_remove(
			opened_find(event->ring, request->target->kind, request->target->number));
}

/* close(2), of a descriptor that a ring of the process has made. */
static void on_close(const struct event *event)
{
	struct text line = {.length = 0};
	size_t i;

	for (i = 0; i < opened_count; i++)
		if (opened[i].target.kind == TARGET_FD &&
		    opened[i].target.number == (int)event->count &&
		    opened[i].ring->process == event->process)
			break;
	if (i == opened_count || event->fails)
		return;
	text_add(&line, "close(%u)", event->count);
	if (item(event->time, opened[i].ring, "shut", line.data)) {
		fputc(',', page);
		write_target(TARGET_FD, (int)event->count);
		item_end();
	}
	opened_remove(i);
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

	if (!item(event->time, event->ring, "sqe", line))
		return;
	fprintf(page, ",%llu,", (unsigned long long)request->serial);
	write_string(operation_name(request->sqe.opcode));
	fputc(',', page);
	write_target_of(request);
	fprintf(page, ",\"%s\"", is_multishot(&request->sqe) ? "m" : "");
	item_end();
}

/* Which buffer of a buffer ring the memory at `address` is; false if it is none. */
static bool buffer_at(uint64_t address, unsigned *group, unsigned *number)
{
	const struct buffer *buffer;

	for (*group = 0; *group < group_count; ++*group)
		for (*number = 0; *number < groups[*group].count; ++*number) {
			buffer = &groups[*group].buffers[*number];
			if (buffer->is_given && address - buffer->address < buffer->length)
				return true;
		}
	return false;
}

static bool takes_memory(const struct io_uring_sqe *sqe)
{
	return is_send(sqe->opcode) || sqe->opcode == IORING_OP_WRITE ||
	       sqe->opcode == IORING_OP_WRITEV;
}

/* The memory that a request sends or writes, as far as it is that of buffers. */
static void lend_buffers(const struct event *event)
{
	struct text line = {.length = 0};
	unsigned group, number;
	size_t i;

	if (is_full() || !has_begun || !takes_memory(event->sqe))
		return;
	for (i = 0; i < event->vectors_known; i++) {
		if (!buffer_at((uint64_t)(uintptr_t)event->vectors[i].iov_base, &group, &number))
			continue;
		line.length = 0;
		text_add(&line, "buffer %u of group %u is used by %s", number, group,
			 operation_name(event->sqe->opcode));
		if (event->request->target && event->request->target->kind != TARGET_NONE) {
			text_add(&line, " ");
			add_target(&line, event->request->target);
		}
		if (!item(event->time, event->ring, "lend", line.data))
			return;
		fprintf(page, ",%llu,%u,%u", (unsigned long long)event->request->serial, group,
			number);
		item_end();
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

/* Those that register something are system calls of another kind: the sum is without them. */
enum { CROSSES_UNCOUNTED = 2 };

static void call_begins(const struct event *event, const char *line, int crosses)
{
	call.open = true;
	call.ring = event->ring->number;
	call.cq_tail = event->call->after.cq_tail;
	call.time = event->time;
	call.line.length = call.name.length = 0;
	text_add(&call.line, "%s", line);
	add_call(&call.name, event);
	if (item(event->began, event->ring, "call", call.name.data)) {
		fputc(',', page);
		write_string(call.name.data);
		fprintf(page, ",%d", crosses);
		item_end();
	}
}

static void on_call(const struct event *event, const char *line)
{
	const struct call_record *record = event->call;
	struct progress *progress;

	if (!event->ring) {
		note(event, line);
		return;
	}
	progress = progress_of(event->ring);
	if (!(event->submits || event->waits)) {
		call_begins(event, line, CROSSES_UNCOUNTED);
		return;
	}
	reaped(progress, event->began, record->before.cq_head);
	taken(progress, event->began, record->before.sq_head);
	total.calls += event->enters;
	if (!event->enters && !event->handed_over && !record->arguments[0])
		return; /* has only looked */

	call_begins(event, line, event->enters);
	taken(progress, event->time, record->after.sq_head);
}

static struct buffer *buffer_of(unsigned number, unsigned group_number)
{
	struct group *group = &groups[group_number % BUFFERS];

	number %= BUFFERS;
	if (group_number % BUFFERS >= group_count)
		group_count = group_number % BUFFERS + 1;
	if (number >= group->count) {
		group->buffers = more_memory(group->buffers, (number + 1) * sizeof(struct buffer));
		memset(group->buffers + group->count, 0,
		       (number + 1 - group->count) * sizeof(struct buffer));
		group->count = number + 1;
	}
	return &group->buffers[number];
}

/* Completions that were there when a call returned came in that call, however late one looked. */
static void on_cqe(const struct event *event, const char *line)
{
	const struct io_uring_cqe *cqe = event->cqe;
	bool picked = cqe->flags & IORING_CQE_F_BUFFER && event->request;
	uint64_t time = call.open && call.time < event->time ? call.time : event->time;
	const struct target *target = event->request ? opens(event) : NULL;
	struct buffer *buffer;

	total.cqes++;
	reaped(progress_of(event->ring), time, event->cq_head);
	progress_of(event->ring)->cq_tail++;
	if (event->request)
		closes(event);
	if (picked && event->request->target) {
		buffer = buffer_of(cqe->flags >> IORING_CQE_BUFFER_SHIFT,
				   event->request->sqe.buf_group);
		buffer->holder_kind = (int)event->request->target->kind;
		buffer->holder_number = event->request->target->number;
	}
	if (!item(time, event->ring, "cqe", line))
		return;
	fprintf(page, ",%llu,%d,%d,%d,%d,",
		event->request ? (unsigned long long)event->request->serial : 0, cqe->res,
		!event->is_last, picked ? event->request->sqe.buf_group : -1,
		picked ? (int)(cqe->flags >> IORING_CQE_BUFFER_SHIFT) : -1);
	write_target(target ? (int)target->kind : TARGET_NONE, target ? target->number : 0);
	item_end();
}

/* Buffers that are given one after the other are one item. */
static void on_buffers(const struct event *event)
{
	struct text line;
	unsigned first, i;

	for (i = 0; i < event->count; i++)
		*buffer_of(event->buffers[i].bid, event->group) =
			(struct buffer){.address = event->buffers[i].addr,
					.length = event->buffers[i].len,
					.is_given = true};
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
	if (!item(event->time, event->ring, "warn", line)) {
		if (outside_count == MOST_OUTSIDE)
			return;
		outside[outside_count++] = (struct outside){
			.time = event->time,
			.ring = event->ring ? event->ring->number : 0,
			.line = strdup(line),
		};
		return;
	}
	fprintf(page, ",%llu", event->request ? (unsigned long long)event->request->serial : 0);
	item_end();
}

static void on_ring_end(const struct event *event)
{
	struct progress *progress = progress_of(event->ring);
	size_t i = 0;

	while (i < opened_count)
		if (opened[i].ring == event->ring)
			opened_remove(i);
		else
			i++;
	if (event->counters)
		reaped(progress, event->time, event->counters->cq_head);
	if (item(event->time, event->ring, "end",
		 event->by_exit ? "the program ends, and its ring with it" : "closed"))
		item_end();
	progress->ring = NULL;
}

/* ---- The state at --from ---- */

static const char *separator;

/* Between two parts of a list. */
static void next_part(void)
{
	fputs(separator, page);
	separator = ",";
}

static void write_request(const struct request *request)
{
	struct event event = {
		.kind = EVENT_SQE,
		.request = request,
		.ring = request->ring,
		.sqe = &request->sqe,
		.vectors = request->vectors,
		.vector_count = request->vector_count,
		.vectors_known = request->vectors_known,
	};
	struct text line = {.length = 0};
	unsigned group, number;
	size_t i;

	event_text(&line, &event);
	next_part();
	fprintf(page, "[%u,%llu,", request->ring->number, (unsigned long long)request->serial);
	write_string(operation_name(request->sqe.opcode));
	fputc(',', page);
	write_target_of(request);
	fprintf(page, ",\"%s\",", is_multishot(&request->sqe) ? "m" : "");
	write_string(line.data);
	fprintf(page, ",%u,[", request->answers);
	separator = "";
	for (i = 0; takes_memory(&request->sqe) && i < request->vectors_known; i++)
		if (buffer_at((uint64_t)(uintptr_t)request->vectors[i].iov_base, &group, &number)) {
			next_part();
			fprintf(page, "[%u,%u]", group, number);
		}
	fputs("]]", page);
	separator = ",";
}

static void write_rings(void)
{
	unsigned i;

	fputs("\"rings\":[", page);
	for (i = 0; i < ring_count; i++) {
		const struct progress *progress = &rings[i];

		if (!progress->ring)
			continue;
		next_part();
		fprintf(page, "[%u,%u,%u,%u,%u,%u,%u]", i + 1, progress->ring->opened.sq_entries,
			progress->ring->opened.cq_entries, progress->sq_head, progress->sq_tail,
			progress->cq_head, progress->cq_tail);
	}
	fputc(']', page);
}

static void write_buffers(void)
{
	unsigned group, number;

	fputs(",\"buffers\":[", page);
	for (group = 0; group < group_count; group++)
		for (number = 0; number < groups[group].count; number++) {
			const struct buffer *buffer = &groups[group].buffers[number];

			if (!buffer->is_given)
				continue;
			next_part();
			fprintf(page, "[%u,%u,", group, number);
			write_target(buffer->holder_kind, buffer->holder_number);
			fputc(']', page);
		}
	fputc(']', page);
}

static void write_opened(void)
{
	size_t i;

	fputs(",\"open\":[", page);
	for (i = 0; i < opened_count; i++) {
		next_part();
		fprintf(page, "[%u,", opened[i].ring->number);
		write_target((int)opened[i].target.kind, opened[i].target.number);
		fputc(']', page);
	}
	fputc(']', page);
}

static void begin(const struct event *event)
{
	const struct request *request;
	unsigned i;

	has_begun = true;
	call.open = false;
	if (!item(event->time < shown_from ? event->time : shown_from, event->ring, "begin",
		  "the page begins here"))
		return;
	fputs(",{", page);
	separator = "";
	write_rings();
	fputs(",\"requests\":[", page);
	separator = "";
	for (i = 0; i < ring_count; i++)
		for (request = rings[i].ring ? rings[i].ring->oldest : NULL; request;
		     request = request->newer)
			write_request(request);
	fputc(']', page);
	separator = "";
	write_buffers();
	separator = "";
	write_opened();
	fprintf(page, ",\"counts\":{\"sqes\":%lu,\"calls\":%lu,\"cqes\":%lu,\"warnings\":%lu}}",
		total.sqes, total.calls, total.cqes, total.warnings);
	item_end();
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

static void write_html(const char *text)
{
	for (; *text; text++)
		if (*text == '<')
			fputs("&lt;", page);
		else if (*text == '&')
			fputs("&amp;", page);
		else
			fputc(*text, page);
}

void html_open(const char *path, const char *command)
{
	page = fopen(path, "we");
	if (!page)
		error(EXIT_FAILURE, errno, "%s", path);
	rest = write_up_to(player_html, "{{title}}");
	write_html(command);
	rest = write_up_to(rest, "{{css}}");
	fputs(player_css, page);
	rest = write_up_to(rest, "{{run}}");
	fputs("{\"program\":", page);
	write_string(command);
	fputs(",\"events\":[\n", page);
	has_begun = shown_from == 0;
}

static void write_outside(void)
{
	unsigned i;

	fputs("\"outside\":[", page);
	separator = "";
	for (i = 0; i < outside_count; i++) {
		next_part();
		fprintf(page, "[%llu,%u,", (unsigned long long)outside[i].time, outside[i].ring);
		write_string(outside[i].line ? outside[i].line : "");
		fputc(']', page);
		free(outside[i].line);
	}
	fputs("],\n", page);
}

static void html_close(const struct event *event)
{
	if (!has_begun || !written)
		begin(event);
	fputs("],\n", page);
	write_outside();
	fprintf(page,
		"\"totals\":{\"sqes\":%lu,\"calls\":%lu,\"cqes\":%lu,\"warnings\":%lu},"
		"\"left_out\":[%lu,%lu],\"ended\":%llu}",
		total.sqes, total.calls, total.cqes, total.warnings, left_out_before,
		left_out_after, (unsigned long long)event->time);
	rest = write_up_to(rest, "{{js}}");
	fputs(player_js, page);
	fputs(rest, page);
	if (fclose(page) != 0)
		error(EXIT_FAILURE, errno, "--html");
}

void html_event(const struct event *event)
{
	struct text line = {.length = 0};
	bool is_prepared = event->kind == EVENT_SQE || event->kind == EVENT_BUFFERS;
	bool in_call = call.open && event->kind == EVENT_CQE && event->ring->number == call.ring &&
		       (int)(event->index - call.cq_tail) < 0;

	if (!in_call)
		call_ends();
	if (held.stream && !(is_prepared && event->ring == held.ring) &&
	    event->kind != EVENT_WARNING)
		let_go(event);
	if (!has_begun && event->time >= shown_from && event->kind != EVENT_END)
		begin(event);
	if (is_prepared)
		hold(event);
	if ((has_begun && !is_full() && event->time <= shown_to) || event->kind == EVENT_WARNING)
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
		html_close(event);
		break;
	case EVENT_CLOSE:
		on_close(event);
		break;
	case EVENT_SHUTDOWN:
	case EVENT_STREAM:
	case EVENT_LEFT:
	case EVENT_PROCESS:
	case EVENT_EXIT:
		break;
	}
}
