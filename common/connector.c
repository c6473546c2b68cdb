#include "common/connector.h"

#include <errno.h>
#include <error.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/listener.h"
#include "common/options.h"

#define MOST_PORT 65535

/*
 * The colon in front of the port, or NULL. An IPv6 address has colons of its own, so it needs its
 * brackets: without them nobody could tell whether ::1:80 ends in a port.
 */
static const char *find_port(const char *target)
{
	const char *colon = strrchr(target, ':');

	if (!colon || colon == target)
		return NULL;
	if (target[0] == '[')
		return colon[-1] == ']' && colon > target + 2 ? colon : NULL;
	return strchr(target, ':') == colon ? colon : NULL;
}

static void resolve(struct connector *connector, const char *host, const char *port)
{
	const struct addrinfo hints = {
		.ai_family = AF_UNSPEC,
		.ai_socktype = SOCK_STREAM,
		.ai_flags = AI_NUMERICSERV,
	};
	struct addrinfo *addresses;
	int result = getaddrinfo(host, port, &hints, &addresses);

	if (result != 0)
		error(EXIT_FAILURE, 0, "finding the address '%s': %s", host,
		      result == EAI_SYSTEM ? strerror(errno) : gai_strerror(result));
	connector->addresses = addresses;
	for (; addresses; addresses = addresses->ai_next)
		connector->count++;
}

void connector_find(struct connector *connector, const char *target)
{
	const char *colon = find_port(target);
	bool brackets = target[0] == '[';
	char host[NI_MAXHOST];
	int length;

	if (!colon || colon - target >= NI_MAXHOST)
		usage_error("'%s' is not HOST:PORT, or [IPv6]:PORT", target);
	option_number("PORT", colon + 1, 1, MOST_PORT);
	length = (int)(colon - target) - 2 * brackets;
	snprintf(host, sizeof(host), "%.*s", length, target + brackets);

	*connector = (struct connector){0};
	resolve(connector, host, colon + 1);
}

int connector_socket(const struct addrinfo *address)
{
	int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int saved_errno;

	if (fd < 0)
		return -errno;
	if (listener_set_options(fd) < 0) {
		saved_errno = errno;
		close(fd);
		return -saved_errno;
	}
	return fd;
}

bool connector_lacks_something(int result)
{
	return result == -EMFILE || result == -ENFILE || result == -ENOBUFS || result == -ENOMEM ||
	       result == -EADDRNOTAVAIL;
}
