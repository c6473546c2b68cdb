/*
 * ringtrace --html: a run as a page that plays it.
 */
#ifndef TOOLS_RINGTRACE_HTML_H
#define TOOLS_RINGTRACE_HTML_H

#include "tools/ringtrace/events.h"

/* It shows the beginning of the run, as far as a page has room for it, and says so. */
void html_open(const char *path, const char *command);
void html_event(const struct event *event);

#endif
