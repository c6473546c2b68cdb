/*
 * Standard output that is checked, and that never holds a server up.
 */
#ifndef COMMON_OUTPUT_H
#define COMMON_OUTPUT_H

/*
 * For what a server has to say while it serves: one line, printf(3) style, without the newline. It
 * never waits. A line that standard output cannot take right now, since nobody reads the pipe or
 * the terminal is stopped, is dropped, and the next one that can be written says how many were.
 * Where writing fails (a full disk, a closed pipe), that is said once on standard error, and from
 * then on nothing is written. Lines are cut at 255 bytes.
 */
void output_line(const char *format, ...) __attribute__((format(printf, 1, 2)));

/*
 * For all other programs: what printf(3) and its like have written is checked when the program
 * exits. If not all of it could be written, the reason goes to standard error, and the exit status
 * is 1. options_parse() calls this.
 */
void output_check_at_exit(void);

#endif
