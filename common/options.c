#include "common/options.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define EXIT_USAGE 2

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

unsigned option_port(int argc, char **argv, unsigned fallback)
{
	if (optind == argc)
		return fallback;
	if (optind + 1 < argc)
		usage_error("'%s' is one argument too many", argv[optind + 1]);
	return option_number("PORT", argv[optind], 0, 65535);
}
