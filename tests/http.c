/*
 * What common/http.[ch] has to make of requests: known ones, each also in two pieces, cut at every
 * byte; and random changes of them, which are held against a second opinion, a regular expression.
 * Every request lies in memory of exactly its size, so that the sanitizers see a read beyond it.
 *
 * Usage: http cases | http fuzz SEED COUNT
 */
#include "common/http_exchange.h"

#include <error.h>
#include <regex.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_BYTES    4096
#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static unsigned failures;

__attribute__((format(printf, 2, 3))) static void check(bool holds, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	if (!holds) {
		fputs("not true: ", stdout);
		vfprintf(stdout, format, arguments);
		putchar('\n');
		failures++;
	}
	va_end(arguments);
}

static void *copy_of(const void *bytes, size_t length)
{
	void *copy = malloc(length + (length == 0));

	if (!copy)
		error(EXIT_FAILURE, 0, "no memory");
	return memcpy(copy, bytes, length);
}

/* ---- Known requests ---- */

static const struct {
	const char *text;
	unsigned status; /* 200: accepted; 0: not complete */
	const char *name;
} requests[] = {
	{"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 200, "index.html"},
	{"HEAD /a HTTP/1.0\r\n\r\n", 200, "a"},
	{"GET /a HTTP/1.9\r\nHost:\r\n\r\n", 200, "a"},
	{"\r\n\r\nGET /a/ HTTP/1.1\r\nHost: a\r\n\r\n", 200, "a/index.html"},
	{"GET /a%20b%2Fc?d=%zz HTTP/1.1\r\nhOsT:\ta:80\t \r\n\r\n", 200, "a b/c"},
	{"GET ///a//b HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", 200, "a//b"},
	{"GET /%2e%2e/%2E%2e/etc HTTP/1.1\r\nHost: a\r\n\r\n", 200, "../../etc"},
	{"GET /%252e HTTP/1.1\r\nHost: a\r\n\r\n", 200, "%2e"},
	{"GET http://b/c HTTP/1.1\r\nHost: a\r\n\r\n", 200, "c"},
	{"GET HTTP://b HTTP/1.1\r\nHost: a\r\n\r\n", 200, "index.html"},
	{"GET http://b?c HTTP/1.1\r\nHost: a\r\n\r\n", 200, "index.html"},
	{"GET /a HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nX: \xff\xfe\r\n\r\n", 200, "a"},
	{"GET /%00 HTTP/1.1\r\nHost: a\r\n\r\n", 200, NULL},
	{"GET /a%4 HTTP/1.1\r\nHost: a\r\n\r\n", 200, NULL},
	{"GET /a%4g HTTP/1.1\r\nHost: a\r\n\r\n", 200, NULL},
	{"GET /a% HTTP/1.1\r\nHost: a\r\n\r\n", 200, NULL},
	{"GET /% 1 HTTP/1.1\r\nHost: a\r\n\r\n", 400, NULL},
	{"GET / HTTP/1.1\r\n\r\n", 400, NULL},			     /* no Host */
	{"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400, NULL}, /* two */
	{"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400, NULL},
	{"GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", 400, NULL},
	{"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400, NULL},
	{"GET / HTTP/1.1\nHost: a\n\n", 400, NULL}, /* LF alone */
	{"GET / HTTP/1.1\r\nHost: a\n\r\n", 400, NULL},
	{"GET / HTTP/1.1\r\nHost: a\r\n\n", 400, NULL},
	{"GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n", 400, NULL},	/* CR alone */
	{"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400, NULL},	/* a space before the colon */
	{"GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n", 400, NULL}, /* obs-fold */
	{"GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400, NULL},
	{"GET / HTTP/1.1\r\nHost: a\r\nb\r\n\r\n", 400, NULL}, /* no colon */
	{"GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n", 400, NULL},
	{"GET / HTTP/1.1\r\nHost: a\r\nb: \x01\r\n\r\n", 400, NULL},
	{"GET / HTTP/1.1\r\nHost: a\r\nb: \x7f\r\n\r\n", 400, NULL},
	{"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n", 413, NULL},
	{"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n", 400, NULL},
	{"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0, 0\r\n\r\n", 400, NULL},
	{"GET / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n", 400, NULL},
	{"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n", 400, NULL},
	{"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n", 400, NULL},
	{"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", 400, NULL},
	{"GET / HTTP/1.1\r\nHost: a\r\ntransfer-encoding: identity\r\n\r\n", 400, NULL},
	{"POST / HTTP/1.1\r\nHost: a\r\n\r\n", 405, NULL},
	{"OPTIONS / HTTP/1.1\r\nHost: a\r\n\r\n", 405, NULL},
	{"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 405, NULL},
	{"get / HTTP/1.1\r\nHost: a\r\n\r\n", 501, NULL},
	{"BREW / HTTP/1.1\r\nHost: a\r\n\r\n", 501, NULL},
	{"G(T / HTTP/1.1\r\nHost: a\r\n\r\n", 400, NULL},
	{"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505, NULL},
	{"GET / HTTP/0.9\r\nHost: a\r\n\r\n", 505, NULL},
	{"GET / HTTP/1.10\r\nHost: a\r\n\r\n", 400, NULL},
	{"GET / http/1.1\r\nHost: a\r\n\r\n", 400, NULL},
	{"GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400, NULL},
	{"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400, NULL},
	{"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", 400, NULL},
	{"GET /a\tb HTTP/1.1\r\nHost: a\r\n\r\n", 400, NULL},
	{"GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", 400, NULL},
	{"GET /\"a HTTP/1.1\r\nHost: a\r\n\r\n", 400, NULL},
	{"GET /\xe4 HTTP/1.1\r\nHost: a\r\n\r\n", 400, NULL},
	{"GET a HTTP/1.1\r\nHost: a\r\n\r\n", 400, NULL},
	{"GET https://a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400, NULL},
	{"GET /\r\n\r\n", 400, NULL},
	{" / HTTP/1.1\r\nHost: a\r\n\r\n", 400, NULL},
	{"GET / HTTP/1.1\r\nHost: a\r\n", 0, NULL},
	{"GET / HTTP/1.1\r\nHost: a\r", 0, NULL},
	{"\r\n", 0, NULL},
	{"\r\n\r\n", 0, NULL},
};

/* Less than all of a request is not complete, and stays as it is, or it's refused already. */
static void check_pieces(const char *text, unsigned status)
{
	struct http_request request;

	for (size_t length = 0; length < strlen(text); length++) {
		char *piece = copy_of(text, length);
		unsigned got = http_parse(piece, length, MOST_BYTES, &request);

		check(got == 0 || (got == 400 && status == 400), "'%.*s' gives %u", (int)length,
		      text, got);
		check(got != 0 || memcmp(piece, text, length) == 0, "'%.*s' was changed",
		      (int)length, text);
		free(piece);
	}
}

/* What follows a request belongs to the next one. */
static void check_behind(const char *text)
{
	size_t length = strlen(text);
	char *bytes = malloc(2 * length + 1);
	struct http_request request;

	sprintf(bytes, "%s%s", text, text);
	check(http_parse(bytes, 2 * length, MOST_BYTES, &request) == 200 &&
		      request.length == length,
	      "two of '%s'", text);
	check(memcmp(bytes + length, text, length) == 0, "the second '%s' was changed", text);
	free(bytes);
}

/* A request that fills its memory, and one that would need more: 431, or 414 for the first line. */
static void check_room(const char *text, unsigned status)
{
	size_t length = strlen(text);

	for (size_t room = 1; room <= length; room++) {
		char *bytes = copy_of(text, room);
		unsigned expected = memchr(text, '\n', room) ? 431 : 414;
		struct http_request request;
		unsigned got = http_parse(bytes, room, room, &request);

		check(got == (room < length && got != 400 ? expected : status),
		      "'%s' with room for %zu gives %u", text, room, got);
		free(bytes);
	}
}

static void check_request(const char *text, unsigned status, const char *expected)
{
	size_t length = strlen(text);
	char *bytes = copy_of(text, length);
	struct http_request request;
	unsigned got = http_parse(bytes, length, MOST_BYTES, &request);
	char name[MOST_BYTES];
	bool named;

	check(got == status, "'%s' gives %u, not %u", text, got, status);
	check(got == 0 || request.length == length, "'%s' has %zu bytes", text, request.length);
	check(got == 200 || !request.keep_alive, "there can be no request behind '%s'", text);
	check_pieces(text, status);
	if (got == 200) {
		named = http_name(request.target, name);
		check(named == (expected != NULL), "the name of '%s'", text);
		check(!named || !expected || strcmp(name, expected) == 0, "'%s' is '%s'", text,
		      name);
		check_behind(text);
		check_room(text, status);
	}
	free(bytes);
}

static void check_keep_alive(const char *version, const char *fields, bool expected)
{
	struct http_request request;
	char text[MOST_BYTES];

	snprintf(text, sizeof(text), "GET / HTTP/1.%s\r\nHost: a\r\n%s\r\n", version, fields);
	check(http_parse(text, strlen(text), MOST_BYTES, &request) == 200, "'%s' is accepted",
	      fields);
	check(request.keep_alive == expected, "HTTP/1.%s, '%s'", version, fields);
}

static void check_range(const char *range, long long size, unsigned status, long long first,
			long long end)
{
	char *text = range ? strdup(range) : NULL;
	long long got_first, got_end;
	unsigned got = http_range(text, size, &got_first, &got_end);

	check(got == status, "'%s' of %lld gives %u", range, size, got);
	check(got == 416 || (got_first == first && got_end == end), "'%s' of %lld: %lld to %lld",
	      range, size, got_first, got_end);
	free(text);
}

static void check_ranges(void)
{
	check_range(NULL, 10, 200, 0, 10);
	check_range("bytes=0-0", 10, 206, 0, 1);
	check_range("Bytes=2-5", 10, 206, 2, 6);
	check_range("bytes=2-", 10, 206, 2, 10);
	check_range("bytes=9-9", 10, 206, 9, 10);
	check_range("bytes=9-99", 10, 206, 9, 10);
	check_range("bytes=10-", 10, 416, 0, 0);
	check_range("bytes=0-", 0, 416, 0, 0);
	check_range("bytes=-3", 10, 206, 7, 10);
	check_range("bytes=-30", 10, 206, 0, 10);
	check_range("bytes=-0", 10, 416, 0, 0);
	check_range("bytes=-1", 0, 416, 0, 0);
	check_range("bytes=5-4", 10, 200, 0, 10);
	check_range("bytes=-", 10, 200, 0, 10);
	check_range("bytes=5", 10, 200, 0, 10);
	check_range("bytes=", 10, 200, 0, 10);
	check_range("bytes", 10, 200, 0, 10);
	check_range("", 10, 200, 0, 10);
	check_range("lines=0-1", 10, 200, 0, 10);
	check_range("bytes=0-1,3-4", 10, 200, 0, 10);
	check_range("bytes=+1-2", 10, 200, 0, 10);
	check_range("bytes=0x1-2", 10, 200, 0, 10);
	check_range("bytes= 1-2", 10, 200, 0, 10);
	check_range("bytes=1-2-3", 10, 200, 0, 10);
	check_range("bytes=--1", 10, 200, 0, 10);
	check_range("bytes=99999999999999999999-", 10, 200, 0, 10);
}

static void check_tag(const char *list, bool expected)
{
	char *text = list ? strdup(list) : NULL;

	check(http_tag_listed(text, "\"a\"") == expected, "the tag in '%s'", list);
	free(text);
}

static void check_replies(void)
{
	char date[HTTP_DATE_BYTES];

	check_tag(NULL, false);
	check_tag("\"a\"", true);
	check_tag("\"b\", W/\"a\" ,\"c\"", true);
	check_tag("*", true);
	check_tag("\"b\"", false);
	check_tag("\"A\"", false);
	check_tag("W/", false);
	check_tag("", false);
	check(strcmp(http_type("a/b.HTML"), "text/html") == 0, "the type of b.HTML");
	check(strcmp(http_type("a.c/b"), "application/octet-stream") == 0, "the type of a.c/b");
	check(strcmp(http_type("x.tar.wasm"), "application/wasm") == 0, "the type of x.tar.wasm");
	check(strcmp(http_reason(200), "OK") == 0, "the reason of 200");
	check(strcmp(http_reason(505), "HTTP Version Not Supported") == 0, "the reason of 505");
	check(strcmp(http_reason(500), "Internal Server Error") == 0, "the reason of 500");
	check(strcmp(http_date(784111777, date), "Sun, 06 Nov 1994 08:49:37 GMT") == 0,
	      "the RFC's date is %s", date);
}

static void check_cases(void)
{
	for (size_t i = 0; i < LENGTH(requests); i++)
		check_request(requests[i].text, requests[i].status, requests[i].name);
	check_request("GET / HTTP/1.1\r\nHost: a\r\nb: \0\r\n\r\n", 0, NULL); /* cut at the zero */
	check_keep_alive("1", "", true);
	check_keep_alive("1", "Connection: x, Close\r\n", false);
	check_keep_alive("1", "Connection: close\r\nConnection: keep-alive\r\n", false);
	check_keep_alive("1", "Connection: closed\r\n", true);
	check_keep_alive("0", "", false);
	check_keep_alive("0", "Connection: Keep-Alive\r\n", true);
	check_keep_alive("0", "Connection: keep-alive, close\r\n", false);
	check_ranges();
	check_replies();
}

/* ---- Random requests ---- */

static const char *const pieces[] = {
	"GET ",
	"HEAD ",
	"POST ",
	"/",
	"..",
	"%2e",
	"%00",
	"%",
	"?",
	"#",
	" ",
	"\t",
	"\r\n",
	"\r",
	"\n",
	"\r\n\r\n",
	" HTTP/1.1\r\n",
	" HTTP/1.0\r\n",
	"Host: a\r\n",
	"Host:",
	":",
	",",
	"=",
	"-",
	"Content-Length: 0\r\n",
	"Content-Length: 5\r\n",
	"Transfer-Encoding: chunked\r\n",
	"Connection: close\r\n",
	"Connection: keep-alive\r\n",
	"Range: bytes=0-9\r\n",
	"If-None-Match: \"a\", *\r\n",
	"If-Range: \"b\"\r\n",
	"http://",
	"0",
	"9",
	"\x80",
	"\x01",
	"\x7f",
};

static const char *const seeds[] = {
	"GET /a/b%20c?d=e HTTP/1.1\r\nHost: localhost:7008\r\nUser-Agent: x/1 (y; z)\r\n\r\n",
	"HEAD / HTTP/1.0\r\nConnection: keep-alive\r\nRange: bytes=5-\r\n\r\n",
	"\r\nGET http://b/c HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nIf-None-Match: \"a\"\r\n\r\n",
	"GET /index.html HTTP/1.1\r\nHost: [::1]\r\nX:\r\nRange: bytes=-5\r\nIf-Range: \"b\"\r\n\r\n",
};

static unsigned long long state; /* of the random numbers: xorshift64 */

static unsigned below(unsigned limit)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return limit > 0 ? (unsigned)(state >> 32) % limit : 0;
}

/* Takes out a few bytes, and puts others in: one at random, a piece from above, or nothing. */
static size_t mutate(char *bytes, size_t length)
{
	size_t at = below((unsigned)length + 1);
	size_t out = below(3) ? 0 : below(8);
	const char *piece = pieces[below(LENGTH(pieces))];
	char random[2] = {(char)below(256), '\0'};
	size_t in;

	if (below(4) == 0)
		piece = random;
	in = below(4) == 0 ? 0 : (piece == random ? 1 : strlen(piece));
	out = out > length - at ? length - at : out;
	if (length - out + in > MOST_BYTES)
		return length;
	memmove(bytes + at + in, bytes + at + out, length - at - out);
	memcpy(bytes + at, piece, in);
	return length - out + in;
}

/* The second opinion: what may be accepted, and the fields that may come once. */
static regex_t whole, single_host, single_length, no_host, old;

static void compile(regex_t *regex, const char *text)
{
	if (regcomp(regex, text, REG_EXTENDED | REG_NOSUB | REG_ICASE * (regex != &whole)) != 0)
		error(EXIT_FAILURE, 0, "the regular expression %s", text);
}

static void compile_all(void)
{
	compile(&whole, "^(\r\n)*(GET|HEAD) (/|[Hh][Tt][Tt][Pp]://)[]!$-[^-~]* HTTP/1\\.[0-9]\r\n"
			"([]!#-'*+.^_`|~0-9A-Za-z-]+:[^\001-\010\012-\037\177]*\r\n)*\r\n$");
	compile(&single_host, "\r\nHost:.*\r\nHost:");
	compile(&single_length, "\r\n(Content-Length:.*\r\nContent-Length|Transfer-Encoding):");
	compile(&no_host, "\r\nHost:[]\t !$%&'()*+,.:;=[_~0-9a-z-]*\r\n");
	compile(&old, " HTTP/1\\.0\r\n");
}

static bool matches(const regex_t *regex, const char *text)
{
	return regexec(regex, text, 0, NULL, 0) == 0;
}

static void check_accepted(const char *text, const struct http_request *request)
{
	char *name = malloc(strlen(request->target) + HTTP_NAME_MORE);
	long long first, end, size = below(20);
	unsigned status;

	check(matches(&whole, text) && !matches(&single_host, text) &&
		      !matches(&single_length, text),
	      "the other one refuses '%s'", text);
	check(matches(&old, text) || matches(&no_host, text), "no host in '%s'", text);
	if (http_name(request->target, name))
		check(name[0] != '/' && name[0] != '\0', "'%s' is called '%s'", text, name);
	free(name);

	status = http_range(request->range, size, &first, &end);
	check(status == 416 || (first >= 0 && end <= size && first <= end), "the range of '%s'",
	      text);
	check(status != 206 || first < end, "the empty range of '%s'", text);
	http_tag_listed(request->if_none_match, "\"a\"");
}

static unsigned long accepted;

static void check_random(const char *bytes, size_t length)
{
	char *copy = copy_of(bytes, length);
	struct http_request request;
	unsigned status = http_parse(copy, length, MOST_BYTES, &request);
	char text[MOST_BYTES + 1];
	size_t less;

	accepted += status == 200;
	if (status == 200) {
		check(request.length <= length, "%zu of %zu bytes", request.length, length);
		memcpy(text, bytes, request.length);
		text[request.length] = '\0';
		check_accepted(text, &request);
		check(memcmp(copy + request.length, bytes + request.length,
			     length - request.length) == 0,
		      "something was changed behind '%s'", text);
		less = below((unsigned)request.length);
		memcpy(copy, bytes, less);
		check(http_parse(copy, less, MOST_BYTES, &request) == 0, "%zu bytes of '%s'", less,
		      text);
	}
	free(copy);
}

static void check_mutations(unsigned long long seed, unsigned long count)
{
	char bytes[MOST_BYTES];

	compile_all();
	state = 0x9e3779b97f4a7c15ULL * (seed + 1);
	for (unsigned long i = 0; i < count; i++) {
		size_t length =
			(size_t)snprintf(bytes, sizeof(bytes), "%s", seeds[below(LENGTH(seeds))]);

		for (unsigned rounds = 1 + below(6); rounds > 0; rounds--)
			length = mutate(bytes, length);
		check_random(bytes, length);
	}
	printf("%lu requests, %lu accepted\n", count, accepted);
	check(accepted > count / 50 && accepted < count / 2, "both kinds come often");
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "cases") == 0)
		check_cases();
	else if (argc == 4 && strcmp(argv[1], "fuzz") == 0)
		check_mutations(strtoull(argv[2], NULL, 10), strtoul(argv[3], NULL, 10));
	else
		error(2, 0, "cases, or fuzz SEED COUNT");
	return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
