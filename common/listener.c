#include "common/listener.h"

#include <errno.h>
#include <error.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Returns the listening socket, or -1 with errno set and *step naming the call that failed. */
static int listen_on(const struct addrinfo *info, int backlog, const char **step)
{
	const int on = 1;
	int saved_errno;
	int fd;

	*step = "socket";
	fd = socket(info->ai_family, info->ai_socktype | SOCK_CLOEXEC, info->ai_protocol);
	if (fd < 0)
		return -1;

	*step = "setsockopt";
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0)
		goto failed;
	*step = "bind";
	if (bind(fd, info->ai_addr, info->ai_addrlen) < 0)
		goto failed;
	*step = "listen";
	if (listen(fd, backlog) < 0)
		goto failed;
	return fd;

failed:
	saved_errno = errno;
	close(fd);
	errno = saved_errno;
	return -1;
}

static const char *listen_advice(int error)
{
	switch (error) {
	case EADDRINUSE:
		return " (another program listens there: give another port, or 0 for a free one)";
	case EADDRNOTAVAIL:
		return " (this machine has no such address: see ip address)";
	case EACCES:
		return " (ports below 1024 need root or CAP_NET_BIND_SERVICE: give a higher one)";
	case EAFNOSUPPORT:
		return " (this kernel does not speak that address family)";
	case EMFILE:
		return " (raise the limit on descriptors with ulimit -n)";
	default:
		return "";
	}
}

int listener_open(const char *address, unsigned port, int backlog)
{
	const struct addrinfo hints = {
		.ai_family = AF_UNSPEC,
		.ai_socktype = SOCK_STREAM,
		.ai_flags = AI_PASSIVE | AI_NUMERICSERV,
	};
	struct addrinfo *info;
	const char *step;
	char service[sizeof("65535")];
	int result;
	int fd;

	snprintf(service, sizeof(service), "%hu", (unsigned short)port);
	result = getaddrinfo(address, service, &hints, &info);
	/* No test reaches EAI_SYSTEM: a system call of the resolver would have to fail. */
	if (result != 0)
		error(EXIT_FAILURE, 0, "finding the address '%s': %s", address,
		      result == EAI_SYSTEM ? strerror(errno) : gai_strerror(result));

	fd = listen_on(info, backlog, &step);
	if (fd < 0)
		error(EXIT_FAILURE, 0, "listening on '%s' port %u: %s: %s%s", address, port, step,
		      strerror(errno), listen_advice(errno));
	freeaddrinfo(info);
	return fd;
}

void listener_announce(int fd)
{
	struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
	socklen_t length = sizeof(address);
	char host[NI_MAXHOST], service[NI_MAXSERV];
	int result;

	if (getsockname(fd, (struct sockaddr *)&address, &length) < 0)
		error(EXIT_FAILURE, errno, "getsockname");
	result = getnameinfo((struct sockaddr *)&address, length, host, sizeof(host), service,
			     sizeof(service), NI_NUMERICHOST | NI_NUMERICSERV);
	if (result != 0)
		error(EXIT_FAILURE, 0, "getnameinfo: %s", gai_strerror(result));

	printf(address.ss_family == AF_INET6 ? "listening on [%s]:%s\n" : "listening on %s:%s\n",
	       host, service);
	fflush(stdout);
}
