/*
 * ringtrace: the counts of each process, and their table when it ends.
 */
#include "bench/histogram.h"
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
	unsigned long long sqes[OPERATIONS], cqes[OPERATIONS], silent[OPERATIONS],
		unfinished[OPERATIONS], untaken[OPERATIONS], unsubmitted[OPERATIONS];
	unsigned long long errors[OPERATIONS][ERRORS];
	unsigned long long calls[CALL_COUNT];
	unsigned long long all_cqes, unknown_cqes, rings, overflows, lost, missed_cqes, missed_sqes,
		gone;
	struct histogram *times[OPERATIONS]; /* from an SQE to its first CQE */
	unsigned long long registers, submits_without_system_call, others_without_system_call;
};

static struct counts *all;
bool shows_times;

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

static void count_time(struct histogram **times, uint64_t time)
{
	if (!*times)
		*times = calloc(1, sizeof(**times));
	if (*times)
		histogram_add(*times, time);
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
	if (shows_times && event->sure && event->request->answers == 1)
		count_time(&counts->times[event->opcode], event->time - event->request->submitted);
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

static unsigned long long sum(const unsigned long long *numbers, unsigned count)
{
	unsigned long long total = 0;

	while (count > 0)
		total += numbers[--count];
	return total;
}

/* "submit 1, wait_cqe 1", of those that are not 0. */
static void add_by_name(struct text *line, const char *before, const unsigned long long *numbers,
			unsigned count, const char *(*name)(unsigned))
{
	for (unsigned i = 0; i < count; i++) {
		if (!numbers[i])
			continue;
		text_add(line, "%s%s %llu", before, name(i), numbers[i]);
		before = ", ";
	}
}

static const char *error_name(unsigned error)
{
	return error ? strerrorname_np((int)error) : "other";
}

static void print_operation(const struct counts *counts, unsigned opcode)
{
	struct text line = {.length = 0};

	if (!counts->sqes[opcode] && !counts->cqes[opcode])
		return;
	text_add(&line, "  %-16s %9llu %9llu", operation_name(opcode), counts->sqes[opcode],
		 counts->cqes[opcode]);
	add_by_name(&line, "  ", counts->errors[opcode], ERRORS, error_name);
	line_add(&line);
}

__attribute__((format(printf, 1, 2))) static void print_line(const char *format, ...)
{
	struct text line = {.length = 0};
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(line.data, sizeof(line.data), format, arguments);
	va_end(arguments);
	line.length = strlen(line.data);
	line_add(&line);
}

static void print_times(const struct counts *counts)
{
	print_line("  from SQE to first CQE  count    median       99%%   longest, in ms");
	for (unsigned i = 0; i < OPERATIONS; i++) {
		const struct histogram *times = counts->times[i];

		if (times)
			print_line("  %-16s %11llu %9.3f %9.3f %9.3f", operation_name(i),
				   (unsigned long long)times->total,
				   (double)histogram_percentile(times, 50) / 1e6,
				   (double)histogram_percentile(times, 99) / 1e6,
				   (double)times->most / 1e6);
	}
}

static void print_by_operation(const char *what, const unsigned long long numbers[OPERATIONS],
			       bool always)
{
	struct text line = {.length = 0};
	unsigned long long total = sum(numbers, OPERATIONS);

	text_add(&line, "  %s: %llu", what, total);
	add_by_name(&line, " (", numbers, OPERATIONS, operation_name);
	text_add(&line, "%s", total ? ")" : "");
	if (total || always)
		line_add(&line);
}

static void print_system_calls(const struct counts *counts)
{
	struct text line = {.length = 0};
	unsigned long long total = sum(counts->calls, CALL_COUNT);

	text_add(&line, "  calls that entered the kernel: %llu", total);
	add_by_name(&line, " (", counts->calls, CALL_COUNT, call_name);
	if (total)
		text_add(&line, "); %llu.%02llu completions a call", counts->all_cqes / total,
			 counts->all_cqes * 100 / total % 100);
	line_add(&line);
}

static void print_summary(const struct event *event, const struct counts *counts)
{
	struct text line = line_start(event);

	if (!counts->rings) {
		text_add(&line, "the program has opened no ring through liburing");
		line_add(&line);
		return;
	}
	text_add(&line, "summary, rings: %llu%s", counts->rings,
		 event->killed ? "; the program was killed, or replaced by another" : "");
	line_add(&line);
	print_line("  operation             SQEs      CQEs  errors");
	for (unsigned i = 0; i < OPERATIONS; i++)
		print_operation(counts, i);
	if (shows_times)
		print_times(counts);
	if (counts->unknown_cqes)
		print_line("  CQEs of no certain operation: %llu", counts->unknown_cqes);
	print_system_calls(counts);
	print_line("  calls that did not: %llu to submit, %llu to look or wait",
		   counts->submits_without_system_call, counts->others_without_system_call);
	print_line("  calls to register: %llu", counts->registers);
	print_line("  CQ overflows: %llu; CQEs lost: %llu; CQEs missed by ringtrace: %llu",
		   counts->overflows, counts->lost, counts->missed_cqes);
	if (counts->missed_sqes)
		print_line("  SQEs missed by ringtrace: %llu", counts->missed_sqes);
	if (counts->gone)
		print_line(
			"  rings that were closed unseen: %llu; calls went past ringtrace, as those of "
			"functions that dlsym(3) finds do",
			counts->gone);
	print_by_operation("with CQE_SKIP_SUCCESS, a CQE only on failure", counts->silent, false);
	print_by_operation("SQEs prepared, and never submitted", counts->unsubmitted, false);
	print_by_operation("SQEs never taken by the kernel", counts->untaken, false);
	print_by_operation("requests still without completion", counts->unfinished, true);
}

void summarize_event(const struct event *event)
{
	struct counts **place = &all, *counts;

	if (event->kind == EVENT_END)
		return;
	while (*place && (*place)->process != event->process)
		place = &(*place)->next;
	if (!*place) {
		*place = calloc(1, sizeof(**place));
		if (!*place)
			return;
		(*place)->process = event->process;
	}
	counts = *place;
	switch (event->kind) {
	case EVENT_RING:
		counts->rings += event->how == RING_OPENED || event->how == RING_FOUND;
		break;
	case EVENT_SQE: count_sqe(counts, event); break;
	case EVENT_CQE: count_cqe(counts, event); break;
	case EVENT_CALL: count_call(counts, event); break;
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
		counts->gone += event->is_gone;
		if (event->counters)
			counts->others_without_system_call += event->counters->looks;
		break;
	case EVENT_EXIT:
		print_summary(event, counts);
		*place = counts->next;
		for (unsigned i = 0; i < OPERATIONS; i++)
			free(counts->times[i]);
		free(counts);
		break;
	default: break;
	}
}
