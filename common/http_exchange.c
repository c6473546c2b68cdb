#include "common/http_exchange.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define LOGGED_BYTES   300 /* of a target */
#define LOCATION_BYTES 512 /* the longest field of that name */

static const unsigned statuses[] = {200, 206, 301, 304, 400, 404, 405,
				    413, 414, 416, 431, 501, 503, 505};
static const char *reasons[] = {"OK",
				"Partial Content",
				"Moved Permanently",
				"Not Modified",
				"Bad Request",
				"Not Found",
				"Method Not Allowed",
				"Content Too Large",
				"URI Too Long",
				"Range Not Satisfiable",
				"Request Header Fields Too Large",
				"Not Implemented",
				"Service Unavailable",
				"HTTP Version Not Supported"};

const char *http_reason(unsigned status)
{
	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++)
		if (statuses[i] == status)
			return reasons[i];
	return "Internal Server Error";
}

const char *http_type(const char *name)
{
	static const char *known[] = {
		".html", "text/html",	  ".css", "text/css",	     ".js",   "text/javascript",
		".txt",	 "text/plain",	  ".md",  "text/plain",	     ".json", "application/json",
		".svg",	 "image/svg+xml", ".png", "image/png",	     ".jpg",  "image/jpeg",
		".ico",	 "image/x-icon",  ".pdf", "application/pdf", ".wasm", "application/wasm"};
	const char *suffix = strrchr(name, '.');

	for (size_t i = 0; suffix && i < sizeof(known) / sizeof(known[0]); i += 2)
		if (strcasecmp(suffix, known[i]) == 0)
			return known[i + 1];
	return "application/octet-stream";
}

const char *http_date(time_t time, char text[HTTP_DATE_BYTES])
{
	strftime(text, HTTP_DATE_BYTES, "%a, %d %b %Y %H:%M:%S GMT",
		 gmtime_r(&time, &(struct tm){0}));
	return text;
}

unsigned http_status_of(int error_number)
{
	switch (error_number) {
	case EAGAIN:
	case ENOMEM:
	case EMFILE:
	case ENFILE: return 503;
	case EIO: return 500;
	default: /* no such file, no permission, a link that leads out of the directory ... */
		return 404;
	}
}

/* The Date field changes once a second: a thread formats it that often. */
static _Thread_local time_t dated;
static _Thread_local char date[HTTP_DATE_BYTES];

static const char *date_now(void)
{
	time_t now = time(NULL);

	if (now != dated)
		http_date(now, date);
	dated = now;
	return date;
}

static bool is_head(const struct http_request *request)
{
	return request->method && strcmp(request->method, "HEAD") == 0;
}

/* What printf(3) does, in a tenth of its time: every reply has eight texts and three numbers. */
static char *put(char *at, const char *text)
{
	return stpcpy(at, text);
}

static char *put_number(char *at, unsigned long long value, unsigned base)
{
	char digits[24];
	char *first = digits + sizeof(digits) - 1;

	*first = '\0';
	do
		*--first = "0123456789abcdef"[value % base];
	while ((value /= base) > 0);
	return put(at, first);
}

/* The fields that every reply has. The others come next, then an empty line. */
static char *put_header(char *at, unsigned status, const char *type, long long body, bool last)
{
	at = put_number(put(at, "HTTP/1.1 "), status, 10);
	at = put(put(at, " "), http_reason(status));
	at = put(put(at, "\r\nDate: "), date_now());
	at = put(put(at, "\r\nConnection: "), last ? "close" : "keep-alive");
	at = put(put(at, "\r\nContent-Type: "), type);
	at = put(at, strncmp(type, "text/", 5) == 0 ? "; charset=utf-8" : "");
	at = put_number(put(at, "\r\nContent-Length: "), (unsigned long long)body, 10);
	return put(at, "\r\n");
}

/* A field of the reply to a Range: "bytes 0-9/100", or "bytes *\/100" if there are none. */
static char *put_content_range(char *at, const struct http_exchange *exchange, long long size)
{
	at = put(at, "Content-Range: bytes ");
	if (exchange->status == 206) {
		at = put(put_number(at, (unsigned long long)exchange->first, 10), "-");
		at = put_number(at, (unsigned long long)exchange->end - 1, 10);
	} else {
		at = put(at, "*");
	}
	return put(put_number(put(at, "/"), (unsigned long long)size, 10), "\r\n");
}

/* The file's version: when it was last written, and its size. */
static void make_tag(char *tag, const struct stat *file)
{
	tag = put_number(put(tag, "\""), (unsigned long long)file->st_mtim.tv_sec, 16);
	tag = put_number(put(tag, "."), (unsigned long long)file->st_mtim.tv_nsec, 16);
	put(put_number(put(tag, "-"), (unsigned long long)file->st_size, 16), "\"");
}

static void select_part(struct http_exchange *exchange, const char *tag, long long size)
{
	struct http_request *request = &exchange->request;

	exchange->status = 200;
	exchange->first = 0;
	exchange->end = size;
	if (http_tag_listed(request->if_none_match, tag))
		exchange->status = 304;
	else if (!is_head(request) && (!request->if_range || strcmp(request->if_range, tag) == 0))
		exchange->status =
			http_range(request->range, size, &exchange->first, &exchange->end);
}

static void reply_bytes(struct http_exchange *exchange, const struct stat *file, bool last)
{
	char tag[64];
	char *at;

	make_tag(tag, file);
	select_part(exchange, tag, file->st_size);
	at = put_header(exchange->piece, exchange->status, http_type(exchange->piece),
			exchange->status == 416 ? 0 : exchange->end - exchange->first, last);
	at = put(put(put(at, "ETag: "), tag), "\r\nAccept-Ranges: bytes\r\n");
	if (exchange->status == 206 || exchange->status == 416)
		at = put_content_range(at, exchange, file->st_size);
	exchange->header = exchange->length = (unsigned)(put(at, "\r\n") - exchange->piece);
	if (exchange->status == 304 || exchange->status == 416 || is_head(&exchange->request))
		exchange->end = exchange->first;
}

/* `fields` are whole lines. */
static void reply_text(struct http_exchange *exchange, unsigned status, const char *fields,
		       bool last)
{
	char body[64];
	int length = snprintf(body, sizeof(body), "%u %s\n", status, http_reason(status));
	char *at = put_header(exchange->piece, status, "text/plain", length, last);

	at = put(put(at, fields), "\r\n");
	exchange->status = status;
	exchange->header = exchange->length = (unsigned)(at - exchange->piece);
	exchange->first = exchange->end = 0;
	if (is_head(&exchange->request))
		return;
	put(at, body);
	exchange->length += (unsigned)length;
}

/*
 * The links in "/a/index.html" are relative to "/a/", so that's where a browser has to be. Slashes
 * in front are cut, because "//host/" would be another server.
 */
static void reply_directory(struct http_exchange *exchange, bool last)
{
	const char *target = exchange->request.target;
	size_t path = strcspn(target, "?");
	char field[LOCATION_BYTES];

	for (; target[1] == '/'; path--)
		target++;
	if (target[path - 1] == '/' || strlen(target) + 32 > sizeof(field)) {
		reply_text(exchange, 404, "", last);
		return;
	}
	snprintf(field, sizeof(field), "Location: %.*s/%s\r\n", (int)path, target, target + path);
	reply_text(exchange, 301, field, last);
}

bool http_exchange_begin(struct http_exchange *exchange)
{
	struct http_request *request = &exchange->request;

	exchange->status =
		http_parse(exchange->text, exchange->received, sizeof(exchange->text), request);
	if (exchange->status == 200 && !http_name(request->target, exchange->piece))
		exchange->status = 400;
	exchange->length = exchange->sent = exchange->tries = 0;
	exchange->sent_in_all = 0;
	return exchange->status != 0;
}

void http_exchange_reply(struct http_exchange *exchange, unsigned status, bool last)
{
	reply_text(exchange, status, status == 405 ? "Allow: GET, HEAD\r\n" : "", last);
}

void http_exchange_reply_file(struct http_exchange *exchange, const struct stat *file, bool last)
{
	if (S_ISREG(file->st_mode))
		reply_bytes(exchange, file, last);
	else if (S_ISDIR(file->st_mode))
		reply_directory(exchange, last);
	else
		http_exchange_reply(exchange, 404, last);
}

bool http_exchange_wants_bytes(const struct http_exchange *exchange)
{
	return exchange->first < exchange->end && exchange->sent == 0 &&
	       exchange->length < sizeof(exchange->piece);
}

bool http_exchange_is_sent(const struct http_exchange *exchange)
{
	return exchange->first == exchange->end && exchange->sent == exchange->length;
}

void http_exchange_end(struct http_exchange *exchange)
{
	exchange->received -= (unsigned)exchange->request.length;
	memmove(exchange->text, exchange->text + exchange->request.length, exchange->received);
}

const char *http_exchange_log_line(const struct http_exchange *exchange, char line[HTTP_LOG_BYTES])
{
	const struct http_request *request = &exchange->request;
	long long sent = exchange->sent_in_all - exchange->header;
	time_t now = time(NULL);
	char when[32];
	int length;

	strftime(when, sizeof(when), "%d/%b/%Y:%H:%M:%S +0000", gmtime_r(&now, &(struct tm){0}));
	length = snprintf(line, HTTP_LOG_BYTES, "- - - [%s] \"", when);
	if (request->target)
		length +=
			snprintf(line + length, HTTP_LOG_BYTES - (size_t)length, "%.16s %.*s %s",
				 request->method, LOGGED_BYTES, request->target, request->version);
	snprintf(line + length, HTTP_LOG_BYTES - (size_t)length, "%s\" %u %lld",
		 request->target ? "" : "-", exchange->status, sent > 0 ? sent : 0);
	return line;
}
