/*
 * ringtrace --json: the requests as spans in Chrome's trace event format, which Perfetto and
 * chrome://tracing draw. A ring is a process there and a descriptor or slot in it a thread, with
 * more "lanes" where several requests are outstanding on it at once: the spans of a lane follow one
 * another, as the format asks of a thread's.
 *
 * The file is complete JSON after every event, and so also when the program is killed: an event is
 * written over the array's closing bracket, together with a new one.
 */
#include "tools/ringtrace.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define BUCKETS	  1024
#define FIRST_TID 1000 /* viewers take a thread with its process's number for its main thread */
#define ARRAY_END "\n]\n"

struct lane {
	char label[32]; /* "slot 3"; in a second lane of it as well */
	unsigned ring;
	unsigned index; /* 0 for the first lane of that label */
	uint32_t next;	/* in its bucket */
	bool busy;
};

static struct lane *lanes; /* [0] is NO_LANE */
static uint32_t lane_count, lane_capacity;
static uint32_t buckets[BUCKETS];
static unsigned rings_named;
static off_t end; /* where ARRAY_END stands */

static bool json_is_wanted(void)
{
	return settings.json_fd >= 0;
}

static void json_give_up(const char *why, int error)
{
	struct text line = line_start(0);

	text_add(&line, "no more events for --json: %s: ", why);
	add_error(&line, error);
	line_write(&line);
	settings.json_fd = -1;
}

/* The file belongs to the process that has the first event for it: not to a parent and a child. */
static bool json_begin(void)
{
	struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	struct stat status;

	if (fcntl(settings.json_fd, F_SETLK, &whole) == 0 &&
	    fstat(settings.json_fd, &status) == 0 && status.st_size == 0)
		return true;
	json_give_up("the file is another process's", errno);
	return false;
}

static void event_write(struct text *event)
{
	struct text whole = {.length = 0};
	long result;

	if (!json_is_wanted() || (!end && !json_begin()))
		return;
	text_add(&whole, "%s%.*s%s", end ? ",\n" : "[\n", (int)event->length, event->data,
		 ARRAY_END);
	result = syscall(SYS_pwrite64, settings.json_fd, whole.data, whole.length, end);
	if (result != (long)whole.length)
		json_give_up("writing", result < 0 ? errno : ENOSPC);
	end += (off_t)(whole.length - (sizeof(ARRAY_END) - 1));
}

static struct text event_start(const char *phase, uint64_t time, unsigned ring, uint32_t lane)
{
	struct text event = {.length = 0};

	text_add(&event, "{\"ph\":\"%s\",\"ts\":%llu.%03llu,\"pid\":%u,\"tid\":%u", phase,
		 (unsigned long long)time / 1000, (unsigned long long)time % 1000, ring,
		 FIRST_TID + lane);
	return event;
}

static void name_ring(unsigned ring)
{
	struct text event = event_start("M", 0, ring, NO_LANE);

	text_add(&event, ",\"name\":\"process_name\",\"args\":{\"name\":\"ring %u\"}}", ring);
	event_write(&event);
}

static void name_lane(uint32_t number)
{
	const struct lane *lane = &lanes[number];
	struct text event = event_start("M", 0, lane->ring, number);

	text_add(&event, ",\"name\":\"thread_name\",\"args\":{\"name\":\"%s", lane->label);
	if (lane->index)
		text_add(&event, " (%u)", lane->index + 1);
	text_add(&event, "\"}}");
	event_write(&event);
}

static bool lanes_grow(void)
{
	uint32_t capacity = lane_capacity ? 2 * lane_capacity : 256;
	struct lane *larger = memory_get(capacity * sizeof(*larger));

	if (!larger)
		return false;
	if (lanes)
		memcpy(larger, lanes, lane_count * sizeof(*lanes));
	memory_release(lanes, lane_capacity * sizeof(*lanes));
	lanes = larger;
	lane_capacity = capacity;
	return true;
}

/* The first lane of the label that no request is in, a new one where all are taken. */
static uint32_t lane_take(unsigned ring, const char *label)
{
	uint32_t hash = ring;
	unsigned index = 0;
	uint32_t *bucket, place;
	size_t i;

	for (i = 0; label[i]; i++)
		hash = hash * 31 + (unsigned char)label[i];
	bucket = &buckets[hash % BUCKETS];
	for (place = *bucket; place; place = lanes[place].next) {
		if (lanes[place].ring != ring || strcmp(lanes[place].label, label) != 0)
			continue;
		if (!lanes[place].busy) {
			lanes[place].busy = true;
			return place;
		}
		index++;
	}
	if (!lane_count)
		lane_count = 1;
	if (lane_count >= lane_capacity && !lanes_grow())
		return NO_LANE;
	place = lane_count++;
	lanes[place] = (struct lane){.ring = ring, .index = index, .next = *bucket, .busy = true};
	snprintf(lanes[place].label, sizeof(lanes[place].label), "%s", label);
	*bucket = place;
	name_lane(place);
	return place;
}

/* Text in a JSON string: flags, names and numbers here, but a path may have any byte. */
static void add_json_text(struct text *event, const struct text *text)
{
	size_t i;

	for (i = 0; i < text->length; i++) {
		if (text->data[i] == '"' || text->data[i] == '\\')
			text_add(event, "\\");
		text_add(event, "%c", text->data[i]);
	}
}

void json_request_begins(const struct ring_state *state, const struct io_uring_sqe *sqe,
			 struct request *request)
{
	struct text event, label = {.length = 0}, sqe_text = {.length = 0};

	if (!json_is_wanted())
		return;
	for (; rings_named < state->number; rings_named++)
		name_ring(rings_named + 1);
	sqe_target(&label, sqe);
	add_sqe(&sqe_text, sqe);
	request->lane = lane_take(state->number, label.data + 1); /* after its blank */
	if (!request->lane)
		return;

	event = event_start(request->silent ? "i" : "B", request->submitted, state->number,
			    request->lane);
	text_add(&event, ",\"name\":\"%s\",\"args\":{\"sqe\":\"", operation_name(sqe->opcode));
	add_json_text(&event, &sqe_text);
	text_add(&event, "\"}}");
	event_write(&event);
	/* Without a CQE nobody knows where its span would end. */
	if (request->silent) {
		lanes[request->lane].busy = false;
		request->lane = NO_LANE;
	}
}

static void add_cqe(struct text *event, const struct request *request,
		    const struct io_uring_cqe *cqe)
{
	struct text text = {.length = 0};

	add_result(&text, request, cqe->res);
	add_cqe_flags(&text, cqe->flags);
	text_add(event, ",\"args\":{\"cqe\":\"");
	add_json_text(event, &text);
	text_add(event, "\"}}");
}

/* A completion that is not the last one of its request: an instant in the span. */
void json_request_answered(const struct request *request, const struct io_uring_cqe *cqe)
{
	struct text event;

	if (!json_is_wanted() || !request->lane || !(cqe->flags & IORING_CQE_F_MORE))
		return;
	event = event_start("i", now(), lanes[request->lane].ring, request->lane);
	text_add(&event, ",\"s\":\"t\",\"name\":\"%s CQE\"", operation_name(request->opcode));
	add_cqe(&event, request, cqe);
	event_write(&event);
}

void json_request_ends(struct request *request, const struct io_uring_cqe *cqe)
{
	struct text event;

	if (!json_is_wanted() || !request->lane)
		return;
	event = event_start("E", now(), lanes[request->lane].ring, request->lane);
	text_add(&event, ",\"name\":\"%s\"", operation_name(request->opcode));
	if (cqe)
		add_cqe(&event, request, cqe);
	else
		text_add(&event, ",\"args\":{\"cqe\":\"none until the end\"}}");
	event_write(&event);
	lanes[request->lane].busy = false;
	request->lane = NO_LANE;
}

void json_call(const struct call *call, uint64_t ended)
{
	struct text event;
	uint32_t lane;

	if (!json_is_wanted() || !settings.show_calls || !call->enters)
		return;
	for (; rings_named < call->state->number; rings_named++)
		name_ring(rings_named + 1);
	lane = lane_take(call->state->number, "system calls");
	if (!lane)
		return;
	event = event_start("X", call->began, call->state->number, lane);
	text_add(&event, ",\"dur\":%llu.%03llu,\"name\":\"%s(%s)\"}",
		 (unsigned long long)(ended - call->began) / 1000,
		 (unsigned long long)(ended - call->began) % 1000, call->name, call->arguments);
	event_write(&event);
	lanes[lane].busy = false;
}

void json_after_fork(void)
{
	/* The parent's spans are the parent's to end. */
	if (end)
		settings.json_fd = -1;
}
