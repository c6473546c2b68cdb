/*
 * ringtrace --json: the requests as spans in Chrome's trace event format, which Perfetto and
 * chrome://tracing draw. A ring is a process there. A descriptor or slot in it is a thread, with
 * more of them, its lanes, where several requests are outstanding on it at once: the spans of a
 * thread have to follow one another.
 */
#include "tools/ringtrace/launch.h"
#include "tools/ringtrace/lines.h"
#include "tools/ringtrace/names.h"

#include <errno.h>
#include <error.h>
#include <stdio.h>
#include <stdlib.h>

#define LANES_FROM 10000000 /* beyond the numbers of threads, which have tracks for their calls */

static FILE *file;
static unsigned rings_named;
static pid_t thread_named;
static const char *before = "[\n";

void json_open(const char *path)
{
	file = fopen(path, "we");
	must(file ? 0 : -1, path);
}

static long long lane_of(const struct request *request)
{
	const struct target *target = request->target;

	return LANES_FROM + (target->number * 3LL + (long long)target->kind) * 64 + request->lane;
}

static void start(const char *phase, uint64_t time, unsigned ring, long long thread)
{
	fprintf(file, "%s{\"ph\":\"%s\",\"ts\":%.3f,\"pid\":%u,\"tid\":%lld", before, phase,
		(double)time / 1000, ring, thread);
	before = ",\n";
}

static void name_ring(const struct event *event)
{
	if (event->ring->number <= rings_named)
		return;
	rings_named = event->ring->number;
	start("M", 0, rings_named, 0);
	fprintf(file, ",\"name\":\"process_name\",\"args\":{\"name\":\"ring %u\"}}", rings_named);
}

static void name_lane(const struct request *request)
{
	struct text label = {.length = 0};

	if (!request->lane_is_new)
		return;
	add_target(&label, request->target);
	if (request->lane)
		text_add(&label, " (%u)", request->lane + 1);
	start("M", 0, request->ring->number, lane_of(request));
	fprintf(file, ",\"name\":\"thread_name\",\"args\":{\"name\":\"%s\"}}", label.data);
}

/*
 * One that is silent on success is an instant: nobody knows when it ends. In the text are flags,
 * names and numbers, but a path may have any printable byte.
 */
static void part_of_span(const struct event *event, const char *phase, const char *suffix,
			 const char *argument, const struct text *text)
{
	const struct request *request = event->request;

	start(phase, event->time, event->ring->number, lane_of(request));
	fprintf(file, ",\"name\":\"%s%s\",\"args\":{\"%s\":\"", operation_name(request->sqe.opcode),
		suffix, argument);
	for (size_t i = 0; i < text->length; i++) {
		if (text->data[i] == '"' || text->data[i] == '\\')
			fputc('\\', file);
		fputc(text->data[i], file);
	}
	fputc('"', file);
	if (*argument == 's' && event->request->function)
		fprintf(file, ",\"function\":\"%s\"", event->request->function);
	fputs("}}", file);
}

static void call(const struct event *event)
{
	struct text text = {.length = 0};

	name_ring(event);
	if (thread_named != event->thread) {
		thread_named = event->thread;
		start("M", 0, event->ring->number, event->thread);
		fprintf(file,
			",\"name\":\"thread_name\",\"args\":{\"name\":\"system calls of thread %d\"}}",
			event->thread);
	}
	add_call(&text, event);
	start("X", event->began, event->ring->number, event->thread);
	fprintf(file, ",\"dur\":%.3f,\"name\":\"%s\"}", (double)(event->time - event->began) / 1000,
		text.data);
}

void json_event(const struct event *event)
{
	const struct request *request = event->request;
	struct text text = {.length = 0};

	if (event->kind == EVENT_SQE && request) {
		name_ring(event);
		name_lane(request);
		add_sqe(&text, event);
		part_of_span(event, request->silent ? "i" : "B", "", "sqe", &text);
	} else if (event->kind == EVENT_CQE && request && !request->silent) {
		add_cqe(&text, event);
		if (event->is_last)
			part_of_span(event, "E", "", "cqe", &text);
		else
			part_of_span(event, "i", " CQE", "cqe", &text);
	} else if (event->kind == EVENT_LEFT) {
		text_add(&text, "none until the end");
		part_of_span(event, "E", "", "cqe", &text);
	} else if (event->kind == EVENT_CALL && event->ring && event->enters) {
		call(event);
	} else if (event->kind == EVENT_END) {
		fputs(*before == '[' ? "[]\n" : "\n]\n", file);
		if (fclose(file) != 0)
			error(0, errno, "--json: the file is not whole");
	}
}
