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
#include "tools/ringtrace/launch.h"
#include "tools/ringtrace/lines.h"
#include "tools/ringtrace/names.h"

#include <errno.h>
#include <error.h>
#include <limits.h>
#include <locale.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#define EVENTS_MOST  10000 /* in a page: about a megabyte, and more than anyone steps through */
#define MOST_OUTSIDE 1000  /* mistakes that are listed, at times that the page does not show */
#define GROUPS	     65536 /* their numbers are 16 bits */

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
	struct ring *ring; /* NULL: it has ended */
	struct queue {
		unsigned head, tail;
	} sq, cq;
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
	struct target holder;
};
struct group {
	struct buffer *buffers;
	unsigned count;
};
static struct group *groups;
static unsigned group_count;

/* Descriptors and slots that the rings have opened, and not closed. */
struct opened {
	const struct ring *ring;
	struct target target;
};
static struct opened *opened;
static unsigned opened_count;

/* Mistakes at times that the page does not show. */
static struct outside {
	uint64_t time;
	unsigned ring;
	char *line;
} outside[MOST_OUTSIDE];
static unsigned outside_count;

/* What is printed of the present event. */
static struct text line;

/* The call whose completions are being written. */
static struct {
	bool open;
	unsigned cq_tail;
	uint64_t time;
	const struct ring *ring;
	struct text line, name;
} call;

/* The array with so many elements at least, of which new ones are zero. */
static void *grown(void *array, unsigned *count, unsigned least, size_t size)
{
	if (least <= *count)
		return array;
	array = realloc(array, least * size);
	if (!array)
		error(EXIT_FAILURE, errno, "--html");
	memset((char *)array + *count * size, 0, (least - *count) * size);
	*count = least;
	return array;
}

static struct progress *progress_of(struct ring *ring)
{
	rings = grown(rings, &ring_count, ring->number, sizeof(*rings));
	rings[ring->number - 1].ring = ring;
	return &rings[ring->number - 1];
}

/* ---- Items of the list ---- */

#define LAST_CHARACTER 0x10ffff /* of Unicode: glibc knows larger ones, too */

/* How many bytes the character at `text` has; 0 if what's there isn't UTF-8, as names of files
 * needn't be. */
static size_t character_length(const char *text)
{
	wchar_t character;
	size_t length = mbrtowc(&character, text, strlen(text), &(mbstate_t){0});

	return length > MB_LEN_MAX || character > LAST_CHARACTER ? 0 : length;
}

/* Writes the text; `special` bytes and control characters in a form of their own, and `replacement`
 * for what can't be shown. */
static void write_escaped(const char *text, const char *special, const char *form,
			  const char *replacement)
{
	size_t length;

	for (; *text; text += length ? length : 1) {
		length = character_length(text);
		if ((unsigned char)*text < ' ' || strchr(special, *text))
			fprintf(page, form, *text);
		else if (length)
			fwrite(text, 1, length, page);
		else
			fputs(replacement, page);
	}
}

/* A string in a script element: "</script>" and "<!--" must not be in it as they are. */
static void write_string(const char *string)
{
	fputc('"', page);
	write_escaped(string, "\"\\<", "\\u%04x", "\\ufffd");
	fputc('"', page);
}

static bool is_full(void)
{
	return written == EVENTS_MOST;
}

/* "slot 3", "fd 4", or nothing. */
static struct text target_name(const struct target *target)
{
	struct text name = {.length = 0};

	if (target && target->kind != TARGET_NONE)
		add_target(&name, target);
	return name;
}

/*
 * An item: what stands behind its words, up to its end, is formatted like printf(3) does. False if
 * the page does not show it. Times never go back in the list.
 */
__attribute__((format(printf, 5, 6))) static bool item(uint64_t time, const struct ring *ring,
						       const char *kind, const char *words,
						       const char *more, ...)
{
	va_list arguments;

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
	write_string(words);
	va_start(arguments, more);
	vfprintf(page, more, arguments);
	va_end(arguments);
	return true;
}

static void note(const struct event *event)
{
	item(event->time, event->ring, "note", line.data, "]");
}

/* One item for all entries between the head that was known and the one that is seen now. */
static void head_moves(const struct ring *ring, struct queue *queue, unsigned head, uint64_t time,
		       const char *kind, const char *format)
{
	unsigned there = queue->tail - queue->head, count = head - queue->head;
	struct text words = {.length = 0};

	count = count < there ? count : there;
	queue->head += count;
	text_add(&words, format, count, count == 1 ? "" : "s");
	if (count)
		item(time, ring, kind, words.data, ",%u]", count);
}

static void taken(struct progress *progress, uint64_t time, unsigned head)
{
	head_moves(progress->ring, &progress->sq, head, time, "take", "%u SQE%s taken");
}

static void reaped(struct progress *progress, uint64_t time, unsigned head)
{
	head_moves(progress->ring, &progress->cq, head, time, "reap", "%u CQE%s reaped");
}

/* ---- What is prepared ---- */

static void hold(const struct event *event)
{
	if (held.stream || !has_begun || is_full())
		return;
	held.stream = open_memstream(&held.text, &held.length);
	must(held.stream ? 0 : -1, "--html");
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
	must(fclose(held.stream), "--html");
	fwrite(held.text, 1, held.length, page);
	free(held.text);
	held.stream = NULL;
}

/* ---- Descriptors and slots ---- */

/* Of any ring of the process, where the ring is NULL. */
static struct opened *opened_find(const struct ring *ring, pid_t process, int kind, int number)
{
	for (unsigned i = 0; i < opened_count; i++)
		if ((ring ? opened[i].ring == ring : opened[i].ring->process == process) &&
		    (int)opened[i].target.kind == kind && opened[i].target.number == number)
			return &opened[i];
	return NULL;
}

static void opened_remove(struct opened *place)
{
	if (place)
		*place = opened[--opened_count];
}

/* Which descriptor or slot the completion says is open now; or NULL. */
static const struct target *opens(const struct event *event)
{
	struct target target = target_opened(&event->request->sqe, event->cqe->res);
	struct opened *place;

	if (target.kind == TARGET_NONE)
		return NULL;
	place = opened_find(event->ring, 0, target.kind, target.number);
	if (!place) {
		opened = grown(opened, &opened_count, opened_count + 1, sizeof(*opened));
		place = &opened[opened_count - 1];
	}
	*place = (struct opened){.ring = event->ring, .target = target};
	return &place->target;
}

/* close(2), of a descriptor that a ring of the process has made. */
static void on_close(const struct event *event)
{
	struct opened *place = opened_find(NULL, event->process, TARGET_FD, (int)event->count);
	struct text words = {.length = 0};

	if (!place || event->fails)
		return;
	text_add(&words, "close(%u)", event->count);
	item(event->time, place->ring, "shut", words.data, ",\"fd %d\"]", (int)event->count);
	opened_remove(place);
}

/* ---- Events ---- */

static void on_ring(const struct event *event)
{
	if (event->how == RING_FAILED || !event->ring) {
		note(event);
		return;
	}
	progress_of(event->ring);
	item(event->time, event->ring, "ring", line.data, ",%u,%u]", event->opened->sq_entries,
	     event->opened->cq_entries);
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

/* The memory that a request sends or writes, as far as it is that of buffers. */
static void lend_buffers(const struct event *event)
{
	struct text words, target = target_name(event->request->target);
	unsigned group, number;

	if (is_full() || !has_begun || !(fields_of(event->sqe->opcode) & EMPTIES))
		return;
	for (size_t i = 0; i < event->vectors_known; i++) {
		if (!buffer_at((uint64_t)(uintptr_t)event->vectors[i].iov_base, &group, &number))
			continue;
		words.length = 0;
		text_add(&words, "buffer %u of group %u is used by %s%s%s", number, group,
			 operation_name(event->sqe->opcode), target.length ? " " : "", target.data);
		if (!item(event->time, event->ring, "lend", words.data, ",%llu,%u,%u]",
			  (unsigned long long)event->request->serial, group, number))
			return;
	}
}

static void on_sqe(const struct event *event)
{
	const struct request *request = event->request;
	const char *function = request ? request->function : NULL;

	if (!request) {
		note(event);
		return;
	}
	total.sqes++;
	progress_of(event->ring)->sq.tail++;
	item(event->time, event->ring, "sqe", line.data,
	     function ? ",%llu,\"%s\",\"%s\",\"%s\",\"%s\"]" : ",%llu,\"%s\",\"%s\",\"%s\"]",
	     (unsigned long long)request->serial, operation_name(request->sqe.opcode),
	     target_name(request->target).data, sqe_is_multishot(&request->sqe) ? "m" : "",
	     function);
	lend_buffers(event);
}

/* Those that register something are system calls of another kind: the sum is without them. */
enum { CROSSES_UNCOUNTED = 2 };

static void call_begins(const struct event *event, int crosses)
{
	call.open = true;
	call.ring = event->ring;
	call.cq_tail = event->call->after.cq_tail;
	call.time = event->time;
	call.line = line;
	call.name.length = 0;
	add_call(&call.name, event);
	item(event->began, event->ring, "call", call.name.data, ",\"%s\",%d]", call.name.data,
	     crosses);
}

static void on_call(const struct event *event)
{
	const struct call_record *record = event->call;
	struct progress *progress;

	if (!event->ring) {
		note(event);
		return;
	}
	progress = progress_of(event->ring);
	if (!(event->submits || event->waits)) {
		call_begins(event, CROSSES_UNCOUNTED);
		return;
	}
	reaped(progress, event->began, record->before.cq_head);
	taken(progress, event->began, record->before.sq_head);
	total.calls += event->enters;
	if (!event->enters && !event->handed_over && !record->arguments[0])
		return; /* has only looked */

	call_begins(event, event->enters);
	taken(progress, event->time, record->after.sq_head);
}

static struct buffer *buffer_of(unsigned number, unsigned group_number)
{
	struct group *group;

	group_number %= GROUPS;
	groups = grown(groups, &group_count, group_number + 1, sizeof(*groups));
	group = &groups[group_number];
	group->buffers = grown(group->buffers, &group->count, number + 1, sizeof(struct buffer));
	return &group->buffers[number];
}

/* Completions that were there when a call returned came in that call, however late one looked. */
static void on_cqe(const struct event *event)
{
	const struct io_uring_cqe *cqe = event->cqe;
	const struct request *request = event->request;
	struct progress *progress = progress_of(event->ring);
	uint64_t time = call.open && call.time < event->time ? call.time : event->time;
	const struct target *target = request ? opens(event) : NULL;
	int group = -1, buffer = -1;

	total.cqes++;
	reaped(progress, time, event->cq_head);
	progress->cq.tail++;
	if (request && request->sqe.opcode == IORING_OP_CLOSE && cqe->res == 0)
		opened_remove(opened_find(event->ring, 0, request->target->kind,
					  request->target->number));
	if (request && cqe->flags & IORING_CQE_F_BUFFER) {
		group = request->sqe.buf_group;
		buffer = (int)(cqe->flags >> IORING_CQE_BUFFER_SHIFT);
		buffer_of((unsigned)buffer, (unsigned)group)->holder = *request->target;
	}
	item(time, event->ring, "cqe", line.data, ",%llu,%d,%d,%d,%d,\"%s\"]",
	     request ? (unsigned long long)request->serial : 0, cqe->res, !event->is_last, group,
	     buffer, target_name(target).data);
}

/* Buffers that are given one after the other are one item. */
static void on_buffers(const struct event *event)
{
	const struct io_uring_buf *buffer = event->buffers, *end = buffer + event->count;

	for (; buffer < end; buffer++)
		*buffer_of(buffer->bid, event->group) = (struct buffer){
			.address = buffer->addr, .length = buffer->len, .is_given = true};
	for (buffer = event->buffers; buffer < end;) {
		unsigned count = buffers_in_a_row(buffer, (unsigned)(end - buffer));
		struct text words = {.length = 0};

		if (count == 1)
			text_add(&words, "buffer %u is", buffer->bid);
		else
			text_add(&words, "buffers %u to %u are", buffer->bid,
				 buffer[count - 1].bid);
		text_add(&words, " put into group %u", event->group);
		item(event->time, event->ring, "give", words.data, ",%u,%u,%u]", event->group,
		     buffer->bid, count);
		buffer += count;
	}
}

static void on_warning(const struct event *event)
{
	total.warnings++;
	if (!item(event->time, event->ring, "warn", line.data, ",%llu]",
		  event->request ? (unsigned long long)event->request->serial : 0) &&
	    outside_count < MOST_OUTSIDE)
		outside[outside_count++] = (struct outside){
			.time = event->time,
			.ring = event->ring ? event->ring->number : 0,
			.line = strdup(line.data),
		};
}

static void on_ring_end(const struct event *event)
{
	struct progress *progress = progress_of(event->ring);
	unsigned i = 0;

	while (i < opened_count)
		if (opened[i].ring == event->ring)
			opened_remove(&opened[i]);
		else
			i++;
	if (event->counters)
		reaped(progress, event->time, event->counters->cq_head);
	item(event->time, event->ring, "end",
	     event->by_exit ? "the program ends, and its ring with it" : "closed", "]");
	progress->ring = NULL;
}

/* ---- The state at --from ---- */

static const char *separator;

static void list_begin(const char *name)
{
	fprintf(page, "\"%s\":[", name);
	separator = "";
}

/* Something always follows. */
static void list_end(void)
{
	fputs("],", page);
}

__attribute__((format(printf, 1, 2))) static void list_part(const char *format, ...)
{
	va_list arguments;

	fputs(separator, page);
	separator = ",";
	va_start(arguments, format);
	vfprintf(page, format, arguments);
	va_end(arguments);
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
	struct text words = {.length = 0};
	unsigned group, number;

	event_text(&words, &event);
	list_part("[%u,%llu,\"%s\",\"%s\",\"%s\",", request->ring->number,
		  (unsigned long long)request->serial, operation_name(request->sqe.opcode),
		  target_name(request->target).data, sqe_is_multishot(&request->sqe) ? "m" : "");
	write_string(words.data);
	fprintf(page, ",%u,[", request->answers);
	separator = "";
	for (size_t i = 0; fields_of(request->sqe.opcode) & EMPTIES && i < request->vectors_known;
	     i++)
		if (buffer_at((uint64_t)(uintptr_t)request->vectors[i].iov_base, &group, &number))
			list_part("[%u,%u]", group, number);
	fputs("]]", page);
	separator = ",";
}

static void write_state(void)
{
	list_begin("rings");
	for (unsigned i = 0; i < ring_count; i++) {
		const struct progress *progress = &rings[i];

		if (progress->ring)
			list_part("[%u,%u,%u,%u,%u,%u,%u]", progress->ring->number,
				  progress->ring->opened.sq_entries,
				  progress->ring->opened.cq_entries, progress->sq.head,
				  progress->sq.tail, progress->cq.head, progress->cq.tail);
	}
	list_end();
	list_begin("requests");
	for (unsigned i = 0; i < ring_count; i++)
		for (const struct request *request = rings[i].ring ? rings[i].ring->oldest : NULL;
		     request; request = request->newer)
			write_request(request);
	list_end();
	list_begin("buffers");
	for (unsigned group = 0; group < group_count; group++)
		for (unsigned number = 0; number < groups[group].count; number++) {
			const struct buffer *buffer = &groups[group].buffers[number];

			if (buffer->is_given)
				list_part("[%u,%u,\"%s\"]", group, number,
					  target_name(&buffer->holder).data);
		}
	list_end();
	list_begin("open");
	for (unsigned i = 0; i < opened_count; i++)
		list_part("[%u,\"%s\"]", opened[i].ring->number,
			  target_name(&opened[i].target).data);
	list_end();
}

static void write_counts(const char *name)
{
	fprintf(page, "\"%s\":{\"sqes\":%lu,\"calls\":%lu,\"cqes\":%lu,\"warnings\":%lu}", name,
		total.sqes, total.calls, total.cqes, total.warnings);
}

static void begin(const struct event *event)
{
	has_begun = true;
	call.open = false;
	if (!item(event->time < shown_from ? event->time : shown_from, event->ring, "begin",
		  "the page begins here", ",{"))
		return;
	write_state();
	write_counts("counts");
	fputs("}]", page);
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
	setlocale(LC_CTYPE, "C.UTF-8");
	page = fopen(path, "we");
	must(page ? 0 : -1, path);
	rest = write_up_to(player_html, "{{title}}");
	write_escaped(command, "<&", "&#%d;", "&#xfffd;");
	rest = write_up_to(rest, "{{css}}");
	fputs(player_css, page);
	rest = write_up_to(rest, "{{run}}");
	fputs("{\"program\":", page);
	write_string(command);
	fputs(",\"events\":[\n", page);
	has_begun = shown_from == 0;
}

static void html_close(const struct event *event)
{
	if (!has_begun || !written)
		begin(event);
	fputs("],\n", page);
	list_begin("outside");
	for (unsigned i = 0; i < outside_count; i++) {
		list_part("[%llu,%u,", (unsigned long long)outside[i].time, outside[i].ring);
		write_string(outside[i].line ? outside[i].line : "");
		fputc(']', page);
		free(outside[i].line);
	}
	list_end();
	fputc('\n', page);
	write_counts("totals");
	fprintf(page, ",\"left_out\":[%lu,%lu],\"ended\":%llu}", left_out_before, left_out_after,
		(unsigned long long)event->time);
	rest = write_up_to(rest, "{{js}}");
	fputs(player_js, page);
	fputs(rest, page);
	must(fclose(page), "--html");
}

static void (*const handlers[])(const struct event *event) = {
	[EVENT_RING] = on_ring,	      [EVENT_SQE] = on_sqe,	[EVENT_CALL] = on_call,
	[EVENT_CQE] = on_cqe,	      [EVENT_MISSED] = note,	[EVENT_OVERFLOW] = note,
	[EVENT_BUFFERS] = on_buffers, [EVENT_CLOSE] = on_close, [EVENT_RING_END] = on_ring_end,
	[EVENT_WARNING] = on_warning, [EVENT_END] = html_close,
};

void html_event(const struct event *event)
{
	bool is_prepared = event->kind == EVENT_SQE || event->kind == EVENT_BUFFERS;
	bool in_call = call.open && event->kind == EVENT_CQE && event->ring == call.ring &&
		       (int)(event->index - call.cq_tail) < 0;

	if (call.open && !in_call) {
		call.open = false;
		item(call.time, call.ring, "return", call.line.data, ",\"%s\"]", call.name.data);
	}
	if (held.stream && !(is_prepared && event->ring == held.ring) &&
	    event->kind != EVENT_WARNING)
		let_go(event);
	if (!has_begun && event->time >= shown_from && event->kind != EVENT_END)
		begin(event);
	if (is_prepared)
		hold(event);
	line.length = 0;
	line.data[0] = '\0';
	if ((has_begun && !is_full() && event->time <= shown_to) || event->kind == EVENT_WARNING)
		event_text(&line, event);
	if (handlers[event->kind])
		handlers[event->kind](event);
}
