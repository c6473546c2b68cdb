/*
 * Calls the helpers of common/ that a test cannot reach through a day's program.
 *
 *   house map COUNT SIZE            maps that much, and prints how much has been mapped
 *   house allow N EACH OTHERS       how many connections the limit on open files allows
 *   house lines THREADS COUNT       each thread prints so many lines to both outputs
 *
 * Run: make test-programs && build/tests/house lines 4 100
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/descriptors.h"
#include "common/memory.h"
#include "common/output.h"

#define MOST_THREADS 16

static unsigned long count;

static unsigned long number(const char *text)
{
	return text ? strtoul(text, NULL, 0) : 0;
}

static void *print_lines(void *name)
{
	for (unsigned long i = 0; i < count; i++) {
		output_line("%s: line %lu of its own", (char *)name, i);
		output_error(0, 0, "%s: line %lu of its own", (char *)name, i);
	}
	for (unsigned long i = 0; i < 3; i++)
		memory_map(1, 1);
	if (memory_mapped() != 3)
		abort(); /* another thread's memory was counted, too */
	return NULL;
}

static void print_in_threads(unsigned long threads)
{
	static char names[] = "a\0b\0c\0d\0e\0f\0g\0h\0i\0j\0k\0l\0m\0n\0o\0p";
	pthread_t ids[MOST_THREADS];

	if (threads > MOST_THREADS)
		threads = MOST_THREADS;
	for (unsigned long i = 0; i < threads; i++)
		if (pthread_create(&ids[i], NULL, print_lines, names + 2 * i) != 0)
			abort();
	for (unsigned long i = 0; i < threads; i++)
		pthread_join(ids[i], NULL);
	output_line("mapped: %zu", memory_mapped());
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	unsigned long first = argc > 2 ? number(argv[2]) : 0;
	unsigned long second = argc > 3 ? number(argv[3]) : 0;
	unsigned long third = argc > 4 ? number(argv[4]) : 0;

	output_open();
	if (strcmp(what, "map") == 0) {
		memory_map(first, second);
		output_line("mapped: %zu", memory_mapped());
	} else if (strcmp(what, "allow") == 0) {
		output_line("allowed: %u", descriptors_allow_for((unsigned)first, (unsigned)second,
								 (unsigned)third));
	} else if (strcmp(what, "lines") == 0) {
		count = second;
		print_in_threads(first);
	} else {
		output_error(2, 0, "'%s' is none of map, allow and lines", what);
	}
	return EXIT_SUCCESS;
}
