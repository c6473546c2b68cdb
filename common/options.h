/*
 * What getopt_long(3) leaves to the program: numbers, ports and the message for wrong usage.
 */
#ifndef COMMON_OPTIONS_H
#define COMMON_OPTIONS_H

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

/*
 * The port among the arguments that getopt_long(3) left over, or `fallback` where there is none: a
 * number from 0 to 65535, 0 for any free port. A second argument is wrong usage.
 */
unsigned option_port(int argc, char **argv, unsigned fallback);

#endif
