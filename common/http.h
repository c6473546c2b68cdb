/*
 * What a server of files needs of HTTP/1.1 (RFC 9110, RFC 9112), without any I/O. It's strict: what
 * two programs read in two ways is how one client's bytes become another one's request. Our own,
 * since Debian 12 has no maintained parser (its http-parser is abandoned; llhttp is in Debian 13).
 */
#ifndef COMMON_HTTP_H
#define COMMON_HTTP_H

#include <stdbool.h>
#include <stddef.h>

/* What a request says: texts that lie in what was parsed, or NULL if it doesn't say that. */
struct http_request {
	const char *method, *target, *version;
	char *host, *content_length, *if_none_match, *if_range, *range;
	bool keep_alive, close; /* the client may send another request; it said that it won't */
	size_t length;
};

/*
 * Parses the request at the beginning of `bytes`, which have room for `most`, and terminates its
 * texts there. Returns 200, 0 if it isn't complete yet (and then changes nothing), or the status of
 * a refusal. Nobody knows where the next request begins after that: it is as long as all that has
 * been received, and the connection has to end.
 */
unsigned http_parse(char *bytes, size_t length, size_t most, struct http_request *request);

/*
 * The name of the file, relative to the root: %xx decoded once, without leading slashes, and with
 * "index.html" after a trailing one. `name` has room for the target and HTTP_NAME_MORE bytes. False
 * for a %00, or a % without two digits. Only openat2(2) can tell where a ".." in it leads.
 */
#define HTTP_NAME_MORE 16
bool http_name(const char *target, char *name);

/*
 * Which bytes of a file of `size` a Range asks for: from `*first` to before `*end`. Returns 206,
 * 416 if the file has none of them, or 200 for all of it: without a Range, or with several.
 */
unsigned http_range(char *range, long long size, long long *first, long long *end);

/* Whether `tag` is in the list of an If-None-Match, or the list is "*". */
bool http_tag_listed(char *list, const char *tag);

#endif
