#include "common/options.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/output.h"

#define EXIT_USAGE  2
#define MAX_OPTIONS 20

void usage_hint(void)
{
	fprintf(stderr, "Try '%s --help'.\n", program_invocation_name);
	exit(EXIT_USAGE);
}

void usage_error(const char *format, ...)
{
	va_list arguments;

	fprintf(stderr, "%s: ", program_invocation_name);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	usage_hint();
}

unsigned option_number(const char *name, const char *text, unsigned least, unsigned most)
{
	char *end;
	unsigned long number;

	errno = 0;
	number = strtoul(text, &end, 10);
	/* strtoul() skips blanks and takes a sign: the first character has to be a digit. */
	if (!isdigit((unsigned char)text[0]) || *end || errno || number < least || number > most)
		usage_error("%s: '%s' is not a number from %u to %u", name, text, least, most);
	return (unsigned)number;
}

void option_no_more(int argc, char **argv)
{
	if (optind < argc)
		usage_error("'%s' is one argument too many", argv[optind]);
}

unsigned option_port(int argc, char **argv, unsigned fallback)
{
	unsigned port = fallback;

	if (optind < argc)
		port = option_number("PORT", argv[optind++], 0, 65535);
	option_no_more(argc, argv);
	return port;
}

static void print_help(const char *usage, const struct option_entry *entry)
{
	char left[64];

	printf("Usage: %s %s\n\n", program_invocation_name, usage);
	for (; entry->name; entry++) {
		snprintf(left, sizeof(left), "--%s %s", entry->name,
			 entry->argument ? entry->argument : "");
		printf("  %-20s  %s", left, entry->help);
		if (entry->number)
			printf(", %u to %u", entry->least, entry->most);
		if (entry->number && *entry->number >= entry->least)
			printf(" (default %u)", *entry->number);
		if (entry->text && *entry->text)
			printf(" (default %s)", *entry->text);
		putchar('\n');
	}
	printf("  %-20s  this text\n", "--help");
	exit(EXIT_SUCCESS);
}

static void take(const struct option_entry *entry, const char *argument)
{
	char name[64];

	snprintf(name, sizeof(name), "--%s", entry->name);
	if (entry->text)
		*entry->text = argument;
	else if (entry->number)
		*entry->number = option_number(name, argument, entry->least, entry->most);
	else
		*entry->flag = true;
}

void options_parse(int argc, char **argv, const char *usage, const struct option_entry *entries)
{
	struct option long_options[MAX_OPTIONS] = {{0}};
	unsigned count = 0;
	int index = 0;
	int option;

	output_check_at_exit();
	for (; entries[count].name; count++) {
		long_options[count].name = entries[count].name;
		long_options[count].has_arg = entries[count].flag ? no_argument : required_argument;
	}
	long_options[count].name = "help";
	while ((option = getopt_long(argc, argv, "", long_options, &index)) == 0) {
		if ((unsigned)index == count)
			print_help(usage, entries);
		take(&entries[index], optarg);
	}
	if (option != -1)
		usage_hint();
}
