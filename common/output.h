/*
 * Standard output and standard error of a server: nothing that happens to them stops it.
 */
#ifndef COMMON_OUTPUT_H
#define COMMON_OUTPUT_H

/*
 * The first thing a server's main() calls. From then on no write to standard output or standard
 * error waits for a reader, and none ends or stops the program: where a signal would (SIGPIPE,
 * SIGXFSZ, SIGTTOU), the write fails. Where one of the three standard descriptors was closed, it is
 * taken, so that no socket gets its number and then the program's output.
 */
void output_open(void);

/*
 * For what a server has to say while it serves: one line, printf(3) style, without the newline.
 * Never waits. A line that standard output can't take right now, since nobody reads the pipe or the
 * terminal is stopped, is dropped, and the next one that can be written says how many were. Where
 * writing fails (a full disk, a closed pipe), that is said once on standard error, and from then on
 * nothing is written. Lines are cut at 1023 bytes. Any thread may call it: lines stay whole.
 */
void output_line(const char *format, ...) __attribute__((format(printf, 1, 2)));

/*
 * What error(3) does, but never waiting: one line on standard error, "PROGRAM: ", the message, and
 * what `error_number` means if it isn't 0. Ends the program if `status` isn't 0. Where standard
 * error can't take it, the line is dropped and counted as above.
 */
void output_error(int status, int error_number, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * For all other programs: what printf(3) and its like have written is checked when the program
 * exits. If not all of it could be written, the reason goes to standard error, and the exit status
 * is 1. options_parse() calls this.
 */
void output_check_at_exit(void);

#endif
