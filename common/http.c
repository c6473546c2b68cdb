#include "common/http.h"

#include <ctype.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

/* Beside letters and digits: what names (RFC 9110's token), hosts and targets may have in them. */
static const char in_names[] = "!#$%&'*+-.^_`|~";
static const char in_hosts[] = "!$%&'()*+,-.:;=[]_~";
static const char in_targets[] = "!$%&'()*+,-./:;<=>?@[]^_`{|}~";

static bool consists_of(const char *text, const char *others)
{
	while (*text && (isalnum((unsigned char)*text) || strchr(others, *text)))
		text++;
	return *text == '\0';
}

static char *trim(char *text)
{
	char *end = text + strlen(text);

	while (end > text && isblank((unsigned char)end[-1]))
		*--end = '\0';
	return text + strspn(text, " \t");
}

/* What the digits spell, 15 at most, which can't overflow, or -1 if there's anything else. */
static long long number(const char *text)
{
	size_t digits = strspn(text, "0123456789");

	return digits > 0 && digits <= 15 && !text[digits] ? atoll(text) : -1;
}

static unsigned method_status(const char *method)
{
	static const char *const known[] = {"GET",     "HEAD",	  "POST",  "PUT",  "DELETE",
					    "OPTIONS", "CONNECT", "TRACE", "PATCH"};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strcmp(method, known[i]) == 0)
			return i < 2 ? 0 : 405;
	return 501;
}

/* METHOD SP TARGET SP HTTP/1.x. The target may be http://host/path, which is what a proxy gets. */
static unsigned parse_first_line(char *line, struct http_request *request)
{
	const char *method = strsep(&line, " "), *target = strsep(&line, " "), *version = line;

	if (!version || !*method || !consists_of(method, in_names) || !*target ||
	    !consists_of(target, in_targets) || fnmatch("HTTP/[0-9].[0-9]", version, 0) != 0)
		return 400;
	*request = (struct http_request){method, target, version, .keep_alive = version[7] != '0'};
	if (strncasecmp(target, "http://", 7) == 0)
		target += 7 + strcspn(target + 7, "/");
	request->target = *target ? target : "/";
	if (version[5] != '1')
		return 505;
	return *request->target == '/' || method_status(method) ? method_status(method) : 400;
}

/* "close" counts even if there's a "keep-alive", too. */
static void parse_connection(char *value, struct http_request *request)
{
	while (value) {
		const char *option = trim(strsep(&value, ","));

		request->close |= strcasecmp(option, "close") == 0;
		request->keep_alive |= strcasecmp(option, "keep-alive") == 0;
	}
}

/* A second one of these is refused, because another program might believe the other one. */
static unsigned parse_single(char *value, bool valid, char **field)
{
	if (*field || !valid)
		return 400;
	*field = value;
	return 0;
}

static unsigned parse_field(char *line, struct http_request *request)
{
	const char *name = strsep(&line, ":");
	char *value = line ? trim(line) : NULL;

	/* No colon, a space before it, or one in front, which would go on with the line before. */
	if (!value || !*name || !consists_of(name, in_names) ||
	    strcasecmp(name, "Transfer-Encoding") == 0)
		return 400;
	if (strcasecmp(name, "Host") == 0)
		return parse_single(value, consists_of(value, in_hosts), &request->host);
	if (strcasecmp(name, "Content-Length") == 0)
		return parse_single(value, number(value) >= 0, &request->content_length);
	if (strcasecmp(name, "Connection") == 0)
		parse_connection(value, request);
	if (strcasecmp(name, "If-None-Match") == 0)
		request->if_none_match = value;
	if (strcasecmp(name, "If-Range") == 0)
		request->if_range = value;
	if (strcasecmp(name, "Range") == 0)
		request->range = value;
	return 0;
}

static unsigned parse_lines(char *rest, struct http_request *request)
{
	unsigned status = 0;

	while (status == 0 && *rest) {
		char *line = strsep(&rest, "\n");

		line[strlen(line) - 1] = '\0'; /* the CR */
		status = request->method ? parse_field(line, request)
					 : parse_first_line(line, request);
	}
	if (status == 0 && !request->host && strcmp(request->version, "HTTP/1.0") != 0)
		return 400;
	if (status == 0 && request->content_length && number(request->content_length) > 0)
		return 413;
	request->keep_alive &= !request->close;
	return status ? status : 200;
}

/*
 * The length of the request, empty lines in front of it included, or 0 if it isn't complete. Half a
 * CR LF, or another control character, can't become a good one: *status is 400.
 */
static size_t length_of(const char *bytes, size_t length, unsigned *status)
{
	for (size_t i = 0, start = 0; i < length; i++) {
		bool after_cr = i > 0 && bytes[i - 1] == '\r';

		if (after_cr != (bytes[i] == '\n') || !bytes[i] ||
		    (iscntrl((unsigned char)bytes[i]) && !strchr("\t\r\n", bytes[i]))) {
			*status = 400;
			return 0;
		}
		if (i == start + 1 && after_cr)
			start += 2;
		else if (i >= start + 3 && memcmp(bytes + i - 3, "\r\n\r\n", 4) == 0)
			return i + 1;
	}
	return 0;
}

unsigned http_parse(char *bytes, size_t length, size_t most, struct http_request *request)
{
	unsigned status = 0;
	size_t whole = length_of(bytes, length, &status);

	*request = (struct http_request){0};
	if (whole == 0 && status == 0 && length == most)
		status = memchr(bytes, '\n', length) ? 431 : 414;
	if (whole > 0) {
		bytes[whole - 2] = '\0';
		status = parse_lines(bytes + strspn(bytes, "\r\n"), request);
	}
	request->keep_alive &= status == 200;
	request->length = status == 200 ? whole : length;
	return status;
}

bool http_name(const char *target, char *name)
{
	const char *start = name;

	for (; *target && *target != '?'; target++) {
		char c = *target;

		if (c == '%') {
			const char digits[] = {target[1], target[1] ? target[2] : '\0', '\0'};

			c = (char)strtoul(digits, NULL, 16);
			if (c == '\0' || !isxdigit(digits[0]) || !isxdigit(digits[1]))
				return false;
			target += 2;
		}
		if (c != '/' || name > start)
			*name++ = c;
	}
	(void)stpcpy(name, name == start || name[-1] == '/' ? "index.html" : "");
	return true;
}

unsigned http_range(char *range, long long size, long long *first, long long *end)
{
	const char *unit = range ? strsep(&range, "=") : "";
	const char *from = range ? strsep(&range, "-") : "";
	long long a = number(from), b = range ? number(range) : -1;

	*first = 0;
	*end = size;
	if (strcasecmp(unit, "bytes") != 0 || !range ||
	    (*from ? a < 0 || (*range && b < a) : b < 0))
		return 200;
	if (!*from) /* "-b": the last b bytes */
		a = b < size ? size - b : 0;
	if (a >= size)
		return 416;
	*first = a;
	if (*from && *range && b < size)
		*end = b + 1;
	return 206;
}

bool http_tag_listed(char *list, const char *tag)
{
	while (list) {
		const char *it = trim(strsep(&list, ","));

		if (strcmp(it, "*") == 0 || strcmp(strncmp(it, "W/", 2) ? it : it + 2, tag) == 0)
			return true;
	}
	return false;
}
