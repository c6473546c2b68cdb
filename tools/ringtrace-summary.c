/*
 * ringtrace: the counts, and their table at the end.
 */
#include "tools/ringtrace.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define ERRORS	   134 /* errno values as far as Linux gives any to a result */
#define CALL_NAMES 32

struct summary summary;

static uint32_t errors[OPERATIONS][ERRORS]; /* [..][0]: numbers beyond */
static struct {
	const char *name;
	uint64_t count;
} system_calls[CALL_NAMES];

void summary_count_error(unsigned opcode, int error)
{
	errors[opcode][error > 0 && error < ERRORS ? error : 0]++;
}

/* `name` is a literal in the hook, one for each call: its address tells calls apart. */
void summary_count_system_call(const char *name)
{
	unsigned i;

	for (i = 0; i < CALL_NAMES - 1; i++)
		if (!system_calls[i].name || strcmp(system_calls[i].name, name) == 0)
			break;
	system_calls[i].name = name;
	system_calls[i].count++;
}

__attribute__((format(printf, 1, 2))) static void summary_line(const char *format, ...)
{
	struct text line = {.length = 0};
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(line.data, sizeof(line.data), format, arguments);
	va_end(arguments);
	line.length = (size_t)length < sizeof(line.data) ? (size_t)length : sizeof(line.data) - 1;
	line_write(&line);
}

static void print_operation(unsigned opcode)
{
	struct text line = {.length = 0};
	const char *before = "  ";
	int error;

	if (!summary.sqes[opcode] && !summary.cqes[opcode])
		return;
	text_add(&line, "  %-16s %9llu %9llu", operation_name(opcode),
		 (unsigned long long)summary.sqes[opcode],
		 (unsigned long long)summary.cqes[opcode]);
	for (error = 0; error < ERRORS; error++) {
		if (!errors[opcode][error])
			continue;
		text_add(&line, "%s%s %u", before, error ? strerrorname_np(error) : "other",
			 errors[opcode][error]);
		before = ", ";
	}
	line_write(&line);
}

static uint64_t print_by_operation(const char *what, const uint64_t counts[OPERATIONS])
{
	struct text line = {.length = 0};
	const char *before = " (";
	uint64_t total = 0;
	unsigned i;

	for (i = 0; i < OPERATIONS; i++)
		total += counts[i];
	text_add(&line, "  %s: %llu", what, (unsigned long long)total);
	for (i = 0; i < OPERATIONS; i++) {
		if (!counts[i])
			continue;
		text_add(&line, "%s%s %llu", before, operation_name(i),
			 (unsigned long long)counts[i]);
		before = ", ";
	}
	text_add(&line, "%s", total ? ")" : "");
	if (total)
		line_write(&line);
	return total;
}

static void print_system_calls(void)
{
	struct text line = {.length = 0};
	const char *before = " (";
	uint64_t total = 0;
	unsigned i;

	for (i = 0; i < CALL_NAMES; i++)
		total += system_calls[i].count;
	text_add(&line, "  calls that entered the kernel: %llu", (unsigned long long)total);
	for (i = 0; i < CALL_NAMES && system_calls[i].name; i++) {
		text_add(&line, "%s%s %llu", before, system_calls[i].name,
			 (unsigned long long)system_calls[i].count);
		before = ", ";
	}
	text_add(&line, "%s", total ? ")" : "");
	if (total)
		text_add(&line, "; %llu.%02llu completions a call",
			 (unsigned long long)(summary.all_cqes / total),
			 (unsigned long long)(summary.all_cqes * 100 / total % 100));
	line_write(&line);
}

void summary_print(void)
{
	struct text line = line_start(0);
	unsigned i;

	if (!summary.rings) {
		text_add(&line, "the program has opened no ring through liburing");
		line_write(&line);
		return;
	}
	text_add(&line, "summary, rings: %llu", (unsigned long long)summary.rings);
	line_write(&line);
	summary_line("  operation             SQEs      CQEs  errors");
	for (i = 0; i < OPERATIONS; i++)
		print_operation(i);
	if (summary.unknown_cqes)
		summary_line("  CQEs of no certain operation: %llu",
			     (unsigned long long)summary.unknown_cqes);
	print_system_calls();
	summary_line(
		"  calls that did not: %llu to submit, %llu to look or wait; to register: %llu",
		(unsigned long long)summary.submits_without_system_call,
		(unsigned long long)summary.other_without_system_call,
		(unsigned long long)summary.registers);
	summary_line("  CQ overflows: %llu; CQEs lost: %llu; CQEs missed by ringtrace: %llu",
		     (unsigned long long)summary.overflows, (unsigned long long)summary.dropped,
		     (unsigned long long)summary.missed_cqes);
	if (summary.missed_sqes)
		summary_line("  SQEs missed by ringtrace: %llu",
			     (unsigned long long)summary.missed_sqes);
	print_by_operation("with CQE_SKIP_SUCCESS, a CQE only on failure", summary.silent);
	if (!print_by_operation("requests still without completion", summary.unfinished))
		summary_line("  requests still without completion: 0");
}

/* A child of fork(2) sums up what itself does; the ring numbers go on. */
void summary_after_fork(void)
{
	summary = (struct summary){.rings = summary.rings};
	memset(errors, 0, sizeof(errors));
	memset(system_calls, 0, sizeof(system_calls));
}
