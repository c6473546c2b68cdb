/*
 * A program's options as a table: it is what --help prints, and what getopt_long(3) parses.
 */
#ifndef COMMON_OPTIONS_H
#define COMMON_OPTIONS_H

#include <stdbool.h>

/*
 * An option: with a text, with a number from `least` to `most`, or a flag without an argument. What
 * it points to has the default value before, and what was given after.
 */
struct option_entry {
	const char *name;     /* without the dashes */
	const char *argument; /* as --help calls it: "N" */
	const char *help;
	const char **text;
	unsigned *number, least, most;
	bool *flag;
};

/*
 * Sets what the options in `entries`, a list that ends with {0}, say, and leaves optind at the
 * first argument that is no option. --help prints "Usage: PROGRAM ", `usage` (the arguments, and on
 * the next lines what the program does) and the list, and exits with status 0; wrong usage is said,
 * and exits with status 2. Also has standard output checked at the end, see common/output.h.
 */
void options_parse(int argc, char **argv, const char *usage, const struct option_entry *entries);

/*
 * The port among the arguments that options_parse() left over, or `fallback` where there is none: a
 * number from 0 to 65535, 0 for any free port. A second argument is wrong usage.
 */
unsigned option_port(int argc, char **argv, unsigned fallback);

/* For programs that take options only: any argument that is left over is wrong usage. */
void option_no_more(int argc, char **argv);

/*
 * The number that `text` spells in decimal digits, from `least` to `most`. Anything else (an empty
 * string, a sign, trailing letters, a number outside the range) is wrong usage: `name` says in the
 * message which argument it was, and the program exits with status 2.
 */
unsigned option_number(const char *name, const char *text, unsigned least, unsigned most);

/*
 * Prints the message, printf(3) style, and "Try 'PROGRAM --help'" to standard error, and exits with
 * status 2.
 */
void usage_error(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

/*
 * For the '?' of getopt_long(3), which has printed its own message by then: only points to --help
 * and exits with status 2.
 */
void usage_hint(void) __attribute__((noreturn));

#endif
