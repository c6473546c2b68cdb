/*
 * ringtrace: the counts of each process, and their table when it ends.
 */
#include "bench/histogram.h"
#include "tools/ringtrace/lines.h"
#include "tools/ringtrace/names.h"

#include <stdlib.h>
#include <string.h>

#define ERRORS 134 /* errno values as far as Linux gives any to a result; 0: beyond */

/* What is counted of each operation. */
enum what { SQES, CQES, SILENT, UNSUBMITTED, UNTAKEN, UNFINISHED, WHATS };

struct counts {
	struct entry entry; /* by the process */
	unsigned long long of[WHATS][OPERATIONS], errors[OPERATIONS][ERRORS], calls[CALL_COUNT];
	unsigned long long all_cqes, unknown_cqes, rings, overflows, lost, missed_cqes, missed_sqes,
		gone, registers, submits_without_system_call, others_without_system_call;
	struct histogram *times[OPERATIONS]; /* from an SQE to its first CQE */
};

static void *all;
bool shows_times;

static void count_sqe(struct counts *counts, const struct event *event)
{
	unsigned opcode = event->sqe->opcode;

	counts->of[event->request ? SQES : UNSUBMITTED][opcode]++;
	counts->of[SILENT][opcode] += event->request && event->request->silent;
}

static void count_cqe(struct counts *counts, const struct event *event)
{
	struct histogram **times = &counts->times[event->opcode & (OPERATIONS - 1)];
	bool failed = event->cqe->res < 0 && !(event->cqe->flags & IORING_CQE_F_NOTIF);
	int error = failed && event->cqe->res > -ERRORS ? -event->cqe->res : 0;

	counts->all_cqes++;
	if (event->opcode < 0) {
		counts->unknown_cqes++;
		return;
	}
	counts->of[CQES][event->opcode]++;
	if (shows_times && event->sure && event->request->answers == 1) {
		if (!*times)
			*times = allocate(sizeof(**times));
		histogram_add(*times, event->time - event->request->submitted);
	}
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

/* "calls: 2 (submit 1, wait_cqe 1)" */
static unsigned long long add_sum(struct text *line, const char *what,
				  const unsigned long long *numbers, unsigned count,
				  const char *(*name)(unsigned))
{
	unsigned long long sum = 0;

	for (unsigned i = 0; i < count; i++)
		sum += numbers[i];
	text_add(line, "  %s: %llu", what, sum);
	add_by_name(line, " (", numbers, count, name);
	text_add(line, "%s", sum ? ")" : "");
	return sum;
}

static const char *error_name(unsigned error)
{
	return error ? strerrorname_np((int)error) : "other";
}

static void print_operation(const struct counts *counts, unsigned opcode)
{
	struct text line = {.length = 0};

	if (!counts->of[SQES][opcode] && !counts->of[CQES][opcode])
		return;
	text_add(&line, "  %-16s %9llu %9llu", operation_name(opcode), counts->of[SQES][opcode],
		 counts->of[CQES][opcode]);
	add_by_name(&line, "  ", counts->errors[opcode], ERRORS, error_name);
	line_add(&line);
}

static void print_times(const struct counts *counts)
{
	line_print("  from SQE to first CQE  count    median       99%%   longest, in ms");
	for (unsigned i = 0; i < OPERATIONS; i++) {
		const struct histogram *times = counts->times[i];

		if (times)
			line_print("  %-16s %11llu %9.3f %9.3f %9.3f", operation_name(i),
				   (unsigned long long)times->total,
				   (double)histogram_percentile(times, 50) / 1e6,
				   (double)histogram_percentile(times, 99) / 1e6,
				   (double)times->most / 1e6);
	}
}

static void print_system_calls(const struct counts *counts)
{
	struct text line = {.length = 0};
	unsigned long long sum = add_sum(&line, "calls that entered the kernel", counts->calls,
					 CALL_COUNT, call_name);

	if (sum)
		text_add(&line, "; %llu.%02llu completions a call", counts->all_cqes / sum,
			 counts->all_cqes * 100 / sum % 100);
	line_add(&line);
}

static void print_left(const struct counts *counts)
{
	static const char *const names[WHATS] = {
		[SILENT] = "with CQE_SKIP_SUCCESS, a CQE only on failure",
		[UNSUBMITTED] = "SQEs prepared, and never submitted",
		[UNTAKEN] = "SQEs never taken by the kernel",
		[UNFINISHED] = "requests still without completion",
	};

	for (unsigned i = SILENT; i < WHATS; i++) {
		struct text line = {.length = 0};

		if (add_sum(&line, names[i], counts->of[i], OPERATIONS, operation_name) ||
		    i == UNFINISHED)
			line_add(&line);
	}
}

static void print_summary(const struct event *event, const struct counts *counts)
{
	struct text line = line_start(event);

	if (!counts->rings) {
		line_print("%sthe program has opened no ring through liburing", line.data);
		return;
	}
	line_print("%ssummary, rings: %llu%s", line.data, counts->rings,
		   event->killed ? "; the program was killed, or replaced by another" : "");
	line_print("  operation             SQEs      CQEs  errors");
	for (unsigned i = 0; i < OPERATIONS; i++)
		print_operation(counts, i);
	if (shows_times)
		print_times(counts);
	if (counts->unknown_cqes)
		line_print("  CQEs of no certain operation: %llu", counts->unknown_cqes);
	print_system_calls(counts);
	line_print("  calls that did not: %llu to submit, %llu to look or wait",
		   counts->submits_without_system_call, counts->others_without_system_call);
	line_print("  calls to register: %llu", counts->registers);
	line_print("  CQ overflows: %llu; CQEs lost: %llu; CQEs missed by ringtrace: %llu",
		   counts->overflows, counts->lost, counts->missed_cqes);
	if (counts->missed_sqes)
		line_print("  SQEs missed by ringtrace: %llu", counts->missed_sqes);
	if (counts->gone)
		line_print("  rings that were closed unseen: %llu; calls went past ringtrace, as "
			   "those of functions that dlsym(3) finds do",
			   counts->gone);
	print_left(counts);
}

void summarize_event(const struct event *event)
{
	struct counts *counts;

	if (event->kind == EVENT_END)
		return;
	counts = list_get(&all, (uint64_t)event->process, sizeof(*counts));
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
		counts->of[event->request->taken ? UNFINISHED : UNTAKEN]
			  [event->request->sqe.opcode]++;
		break;
	case EVENT_RING_END:
		counts->gone += event->is_gone;
		if (event->counters)
			counts->others_without_system_call += event->counters->looks;
		break;
	case EVENT_EXIT:
		print_summary(event, counts);
		for (unsigned i = 0; i < OPERATIONS; i++)
			free(counts->times[i]);
		list_remove(&all, counts);
		break;
	default: break;
	}
}
