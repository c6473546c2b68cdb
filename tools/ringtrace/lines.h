/*
 * ringtrace's consumers of events, and where their lines go.
 */
#ifndef TOOLS_RINGTRACE_LINES_H
#define TOOLS_RINGTRACE_LINES_H

#include "tools/ringtrace/decode.h"

/* Where lines go; standard error at first. */
extern int lines_fd;

/*
 * Adds a line, of which one is never torn: what other processes write there stands between lines.
 * Lines reach the file with lines_flush(); false, with errno set, where they could not, and then
 * they are gone.
 */
void line_add(const struct text *line);
bool lines_flush(void);
void line_print(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* All of it, however often that has to be tried; false, with errno set, where that fails. */
bool write_all(int fd, const void *data, size_t length);

/* The beginning of a line: its time, thread and ring. */
struct text line_start(const struct event *event);

/* What the line of an event says after that; nothing for kinds that have no line. */
void event_text(struct text *line, const struct event *event);

/* --from and --to: of what happens outside of these times only mistakes are shown. */
extern uint64_t shown_from, shown_to;

/* --slow: only requests and calls that have taken so long; --times: how long each operation takes.
 */
extern uint64_t shown_least;
extern bool shows_times;

void print_event(const struct event *event);
void summarize_event(const struct event *event);
void json_event(const struct event *event);
void check_event(const struct event *event);
void html_event(const struct event *event);
unsigned check_count(void);
void json_open(const char *path);
/* The page shows the beginning of the run, as far as it has room for it, and says so. */
void html_open(const char *path, const char *command);

/* --only: marks the operations in the comma-separated list; false, with the wrong word, for others.
 */
#define ONE_WORD_LENGTH 32
bool print_only(const char *list, char word[ONE_WORD_LENGTH]);

#endif
