/*
 * What a server of files answers by HTTP/1.1 (RFC 9110): the text in front of a file's bytes, which
 * of them are sent, and what stands in a log. Like common/http.h it does no I/O.
 */
#ifndef COMMON_HTTP_REPLY_H
#define COMMON_HTTP_REPLY_H

#include <sys/stat.h>
#include <time.h>

#include "common/http.h"

const char *http_reason(unsigned status);  /* 404: "Not Found" */
unsigned http_status_of(int error_number); /* of an open: 404, or 503 if there are too many files */
const char *http_type(const char *name);   /* by its suffix: "text/html" */

#define HTTP_DATE_BYTES sizeof("Thu, 01 Jan 1970 00:00:00 GMT")
const char *http_date(time_t time, char text[HTTP_DATE_BYTES]);

/* Room for the text of a reply, beside the target of the request, which some repeat. */
#define HTTP_REPLY_BYTES 1024

struct http_reply {
	unsigned status;
	unsigned header;      /* bytes of the text up to the empty line */
	unsigned length;      /* of all of it, with a body that isn't from a file */
	long long first, end; /* the bytes of the file that follow; none if they're the same */
};

/*
 * Each writes the text of a reply to `text`. `last` means that the connection ends after it.
 *
 * A file: all of it, or what the request asks for. The length that it promises is file->st_size;
 * `name` decides the type.
 */
struct http_reply http_reply_file(char *text, struct http_request *request, const char *name,
				  const struct stat *file, bool last);

/* Without a file: the body is the status. */
struct http_reply http_reply_status(char *text, const struct http_request *request, unsigned status,
				    bool last);

/* To a target that's a directory, and should end in a slash: 301, or 404 if it does. */
struct http_reply http_reply_directory(char *text, const struct http_request *request, bool last);

/*
 * A line in the common log format, without the newline. `sent` is how many bytes were,
 * those of the header included. The client's address is "-": the server doesn't know it, its
 * connections are in slots.
 */
#define HTTP_LOG_BYTES 512
const char *http_log_line(const struct http_request *request, const struct http_reply *reply,
			  long long sent, char line[HTTP_LOG_BYTES]);

#endif
