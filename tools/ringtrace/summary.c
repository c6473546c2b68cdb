/*
 * ringtrace: the counts of each process, and their table when it ends.
 */
#include "tools/ringtrace/decode.h"
#include "tools/ringtrace/lines.h"
#include "tools/ringtrace/names.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ERRORS 134 /* errno values as far as Linux gives any to a result; 0: beyond */

struct counts {
	pid_t process;
	struct counts *next;
	uint64_t sqes[OPERATIONS], cqes[OPERATIONS], silent[OPERATIONS], unfinished[OPERATIONS],
		untaken[OPERATIONS], unsubmitted[OPERATIONS];
	uint32_t errors[OPERATIONS][ERRORS];
	uint64_t calls[CALL_COUNT];
	uint64_t all_cqes, unknown_cqes, rings, overflows, lost, missed_cqes, missed_sqes;
	uint64_t registers, submits_without_system_call, others_without_system_call;
};

static struct counts *all;

static struct counts *counts_of(pid_t process)
{
	struct counts **link = &all;

	while (*link && (*link)->process != process)
		link = &(*link)->next;
	if (!*link) {
		*link = calloc(1, sizeof(**link));
		if (*link)
			(*link)->process = process;
	}
	return *link;
}

static void count_sqe(struct counts *counts, const struct event *event)
{
	unsigned opcode = event->sqe->opcode;

	if (event->request) {
		counts->sqes[opcode]++;
		counts->silent[opcode] += event->request->silent;
	} else {
		counts->unsubmitted[opcode]++;
	}
}

static void count_cqe(struct counts *counts, const struct event *event)
{
	bool failed = event->cqe->res < 0 && !(event->cqe->flags & IORING_CQE_F_NOTIF);
	int error = failed && event->cqe->res > -ERRORS ? -event->cqe->res : 0;

	counts->all_cqes++;
	if (event->opcode < 0) {
		counts->unknown_cqes++;
		return;
	}
	counts->cqes[event->opcode]++;
	if (failed)
		counts->errors[event->opcode][error]++;
}

static void count_call(struct counts *counts, const struct event *event)
{
	counts->others_without_system_call += event->call->before.looks;
	if (!event->submits && !event->waits)
		counts->registers++;
	else if (event->enters)
		counts->calls[event->call_id]++;
	else if (event->handed_over)
		counts->submits_without_system_call++;
	else
		counts->others_without_system_call++;
}

static void print_operation(const struct counts *counts, unsigned opcode)
{
	struct text line = {.length = 0};
	const char *before = "  ";
	int error;

	if (!counts->sqes[opcode] && !counts->cqes[opcode])
		return;
	text_add(&line, "  %-16s %9llu %9llu", operation_name(opcode),
		 (unsigned long long)counts->sqes[opcode],
		 (unsigned long long)counts->cqes[opcode]);
	for (error = 0; error < ERRORS; error++) {
		if (!counts->errors[opcode][error])
			continue;
		text_add(&line, "%s%s %u", before, error ? strerrorname_np(error) : "other",
			 counts->errors[opcode][error]);
		before = ", ";
	}
	line_add(&line);
}

static void print_by_operation(const char *what, const uint64_t number[OPERATIONS], bool always)
{
	struct text line = {.length = 0};
	const char *before = " (";
	uint64_t total = 0;
	unsigned i;

	for (i = 0; i < OPERATIONS; i++)
		total += number[i];
	text_add(&line, "  %s: %llu", what, (unsigned long long)total);
	for (i = 0; i < OPERATIONS; i++) {
		if (!number[i])
			continue;
		text_add(&line, "%s%s %llu", before, operation_name(i),
			 (unsigned long long)number[i]);
		before = ", ";
	}
	text_add(&line, "%s", total ? ")" : "");
	if (total || always)
		line_add(&line);
}

static void print_system_calls(const struct counts *counts)
{
	struct text line = {.length = 0};
	const char *before = " (";
	uint64_t total = 0;
	unsigned i;

	for (i = 0; i < CALL_COUNT; i++)
		total += counts->calls[i];
	text_add(&line, "  calls that entered the kernel: %llu", (unsigned long long)total);
	for (i = 0; i < CALL_COUNT; i++) {
		if (!counts->calls[i])
			continue;
		text_add(&line, "%s%s %llu", before, call_name(i),
			 (unsigned long long)counts->calls[i]);
		before = ", ";
	}
	if (total)
		text_add(&line, "); %llu.%02llu completions a call",
			 (unsigned long long)(counts->all_cqes / total),
			 (unsigned long long)(counts->all_cqes * 100 / total % 100));
	line_add(&line);
}

__attribute__((format(printf, 1, 2))) static void print_line(const char *format, ...)
{
	struct text line = {.length = 0};
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(line.data, sizeof(line.data), format, arguments);
	va_end(arguments);
	line.length = (size_t)length < sizeof(line.data) ? (size_t)length : sizeof(line.data) - 1;
	line_add(&line);
}

static void print_summary(const struct event *event, const struct counts *counts)
{
	struct text line = line_start(event);
	unsigned i;

	if (!counts->rings) {
		text_add(&line, "the program has opened no ring through liburing");
		line_add(&line);
		return;
	}
	text_add(&line, "summary, rings: %llu%s", (unsigned long long)counts->rings,
		 event->killed ? "; the program was killed, or replaced by another" : "");
	line_add(&line);
	print_line("  operation             SQEs      CQEs  errors");
	for (i = 0; i < OPERATIONS; i++)
		print_operation(counts, i);
	if (counts->unknown_cqes)
		print_line("  CQEs of no certain operation: %llu",
			   (unsigned long long)counts->unknown_cqes);
	print_system_calls(counts);
	print_line("  calls that did not: %llu to submit, %llu to look or wait; to register: %llu",
		   (unsigned long long)counts->submits_without_system_call,
		   (unsigned long long)counts->others_without_system_call,
		   (unsigned long long)counts->registers);
	print_line("  CQ overflows: %llu; CQEs lost: %llu; CQEs missed by ringtrace: %llu",
		   (unsigned long long)counts->overflows, (unsigned long long)counts->lost,
		   (unsigned long long)counts->missed_cqes);
	if (counts->missed_sqes)
		print_line("  SQEs missed by ringtrace: %llu",
			   (unsigned long long)counts->missed_sqes);
	print_by_operation("with CQE_SKIP_SUCCESS, a CQE only on failure", counts->silent, false);
	print_by_operation("SQEs prepared, and never submitted", counts->unsubmitted, false);
	print_by_operation("SQEs never taken by the kernel", counts->untaken, false);
	print_by_operation("requests still without completion", counts->unfinished, true);
}

static void process_ends(const struct event *event)
{
	struct counts **link = &all, *counts;

	while ((*link)->process != event->process)
		link = &(*link)->next;
	counts = *link;
	print_summary(event, counts);
	*link = counts->next;
	free(counts);
}

void summarize_event(const struct event *event)
{
	struct counts *counts = event->kind == EVENT_END ? NULL : counts_of(event->process);

	if (!counts)
		return;
	switch (event->kind) {
	case EVENT_RING:
		counts->rings += event->how == RING_OPENED || event->how == RING_FOUND;
		break;
	case EVENT_SQE:
		count_sqe(counts, event);
		break;
	case EVENT_CQE:
		count_cqe(counts, event);
		break;
	case EVENT_CALL:
		count_call(counts, event);
		break;
	case EVENT_MISSED:
		*(event->of_cqes ? &counts->missed_cqes : &counts->missed_sqes) += event->count;
		break;
	case EVENT_OVERFLOW:
		counts->overflows += !event->count;
		counts->lost += event->count;
		break;
	case EVENT_LEFT:
		(event->request->taken ? counts->unfinished
				       : counts->untaken)[event->request->sqe.opcode]++;
		break;
	case EVENT_RING_END:
		if (event->counters)
			counts->others_without_system_call += event->counters->looks;
		break;
	case EVENT_EXIT:
		process_ends(event);
		break;
	default:
		break;
	}
}
