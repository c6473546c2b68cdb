/*
 * A request and the reply to it (RFC 9110), as bytes: what has been received, the text in front of
 * a file's bytes, which of these are sent, and what stands in a log. Like common/http.h it does no
 * I/O: the program receives into `text`, opens the file, reads it into `piece`, and sends that.
 */
#ifndef COMMON_HTTP_EXCHANGE_H
#define COMMON_HTTP_EXCHANGE_H

#include <sys/stat.h>
#include <time.h>

#include "common/http.h"

#define HTTP_REQUEST_BYTES 8192 /* the longest request */

/* Of a reply: what is read, then sent; 64 KiB and a header. */
#ifndef HTTP_PIECE_BYTES
#define HTTP_PIECE_BYTES 69632
#endif

struct http_exchange {
	struct http_request request; /* whose texts are in `text` */
	unsigned status, header;     /* of the reply; the bytes of its header */
	long long first, end;	     /* which bytes of the file are still to be read */
	unsigned received;	     /* bytes of `text` */
	unsigned length, sent;	     /* bytes of `piece`: that it has, that have been sent */
	unsigned tries;		     /* to open the file or to read, that failed: for the program */
	long long sent_in_all;
	char text[HTTP_REQUEST_BYTES]; /* what follows the request is the next one */
	char piece[HTTP_PIECE_BYTES];
};

/*
 * Whether all of a request has been received. If so, exchange->status is 200, and the name of the
 * file is in `piece`; or it's the status to refuse the request with.
 */
bool http_exchange_begin(struct http_exchange *exchange);

/*
 * Each puts the text of the reply into `piece`. `last` means that the connection ends after it. The
 * first is for a reply without a file: the body is the status.
 *
 * The second is for the open file whose name is in `piece`. A regular one: all of it, or what the
 * request asks for; the length that it promises is file->st_size, the name decides the type. A
 * directory whose target should end in a slash, but doesn't: 301. Anything else: 404.
 */
void http_exchange_reply(struct http_exchange *exchange, unsigned status, bool last);
void http_exchange_reply_file(struct http_exchange *exchange, const struct stat *file, bool last);

/* Whether `piece` takes more of the file before it is sent; whether all of the reply is sent. */
bool http_exchange_wants_bytes(const struct http_exchange *exchange);
bool http_exchange_is_sent(const struct http_exchange *exchange);

/* The request is done: what follows it in `text` moves to the front. */
void http_exchange_end(struct http_exchange *exchange);

/*
 * A line in the common log format, without the newline, for a reply of which `sent_in_all` bytes
 * were sent. The client's address is "-": the server doesn't know it, its connections are in slots.
 */
#define HTTP_LOG_BYTES 512
const char *http_exchange_log_line(const struct http_exchange *exchange, char line[HTTP_LOG_BYTES]);

const char *http_reason(unsigned status);  /* 404: "Not Found" */
unsigned http_status_of(int error_number); /* of an open: 404, or 503 for what may pass */
const char *http_type(const char *name);   /* by its suffix: "text/html" */

#define HTTP_DATE_BYTES sizeof("Thu, 01 Jan 1970 00:00:00 GMT")
const char *http_date(time_t time, char text[HTTP_DATE_BYTES]);

#endif
