#include "common/listener.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/output.h"

#define NS_PER_MS	1000000LL
#define PORT_WAIT_MS	1000 /* while the address is in use */
#define PORT_PATIENT_MS 100  /* a wait that is not worth a word */
#define PORT_RETRY_MS	10

/*
 * A client that has been silent for the first time is asked whether it's still there, and again
 * after each interval, until it has left that many questions unanswered. It's the client's host
 * that answers: a program that is only slow, or stopped, keeps its connection.
 */
#define KEEPALIVE_IDLE_S     60
#define KEEPALIVE_INTERVAL_S 10
#define KEEPALIVE_PROBES     6

int listener_set_options(int fd)
{
	const struct {
		int level, name, value;
	} options[] = {
		{IPPROTO_TCP, TCP_NODELAY, 1},
		{SOL_SOCKET, SO_OOBINLINE, 1},
		{SOL_SOCKET, SO_KEEPALIVE, 1},
		{IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S},
		{IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S},
		{IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES},
	};

	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		if (setsockopt(fd, options[i].level, options[i].name, &options[i].value,
			       sizeof(options[i].value)) < 0)
			return -1;
	return 0;
}

static bool set_port_shared(int fd)
{
	const int on = 1;

	return setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) == 0;
}

/*
 * Returns the listening socket, or -1 with errno set and *step naming the call that failed. With
 * `shared` it joins those that listen there already, if they allow it.
 */
static int listen_on(const struct addrinfo *info, int backlog, bool shared, const char **step)
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
	    (shared && !set_port_shared(fd)) || listener_set_options(fd) < 0)
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

static long long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / NS_PER_MS;
}

/*
 * A program that is killed leaves its ring to the kernel, which ends it a moment later, and until
 * then the requests on the listening socket keep it alive: a server that is started right after
 * another one was killed has to be patient.
 */
static int listen_patiently(const struct addrinfo *info, int backlog, const char **step)
{
	const struct timespec pause = {.tv_nsec = PORT_RETRY_MS * NS_PER_MS};
	long long begin_ms = now_ms();
	long long waited_ms = 0;
	int fd;

	while ((fd = listen_on(info, backlog, false, step)) < 0 && errno == EADDRINUSE &&
	       waited_ms < PORT_WAIT_MS) {
		nanosleep(&pause, NULL);
		waited_ms = now_ms() - begin_ms;
	}

	if (fd >= 0 && waited_ms > PORT_PATIENT_MS)
		output_error(0, 0, "the port was in use for another %lld ms", waited_ms);
	return fd;
}

static const char *listen_advice(int error)
{
	switch (error) {
	case EADDRINUSE:
		return " (another program listens there, or one that was killed has not quite ended: "
		       "give another port, or 0 for a free one)";
	case EADDRNOTAVAIL: return " (this machine has no such address: see ip address)";
	case EACCES:
		return " (ports below 1024 need root or CAP_NET_BIND_SERVICE: give a higher one)";
	case EAFNOSUPPORT: return " (this kernel does not speak that address family)";
	case EMFILE: return " (raise the limit on descriptors with ulimit -n)";
	default: return "";
	}
}

/* To be freed with freeaddrinfo(3). */
static struct addrinfo *find_address(const char *address, unsigned port)
{
	const struct addrinfo hints = {
		.ai_family = AF_UNSPEC,
		.ai_socktype = SOCK_STREAM,
		.ai_flags = AI_PASSIVE | AI_NUMERICSERV,
	};
	struct addrinfo *info;
	char service[sizeof("65535")];
	int result;

	snprintf(service, sizeof(service), "%hu", (unsigned short)port);
	result = getaddrinfo(address, service, &hints, &info);
	/* No test reaches EAI_SYSTEM: a system call of the resolver would have to fail. */
	if (result != 0)
		output_error(EXIT_FAILURE, 0, "finding the address '%s': %s", address,
			     result == EAI_SYSTEM ? strerror(errno) : gai_strerror(result));
	return info;
}

static void require(bool done, const char *address, unsigned port, const char *step)
{
	if (!done)
		output_error(EXIT_FAILURE, 0, "listening on '%s' port %u: %s: %s%s", address, port,
			     step, strerror(errno), listen_advice(errno));
}

int listener_open(const char *address, unsigned port, int backlog)
{
	struct addrinfo *info = find_address(address, port);
	const char *step;
	int fd = listen_patiently(info, backlog, &step);

	require(fd >= 0, address, port, step);
	freeaddrinfo(info);
	return fd;
}

/* In `info`, where port 0 stood for any free one. */
static void take_over_port(int fd, struct addrinfo *info)
{
	socklen_t length = info->ai_addrlen;

	if (getsockname(fd, info->ai_addr, &length) < 0)
		output_error(EXIT_FAILURE, errno, "getsockname");
}

/*
 * The first one listens before it has SO_REUSEPORT, so it's refused where anybody listens, as it
 * would be without the option. With the option from the beginning, two servers of the same user
 * would share the port, and each would get some of the clients.
 */
void listener_open_group(const char *address, unsigned port, int backlog, int *fds, unsigned count)
{
	struct addrinfo *info = find_address(address, port);
	const char *step;

	fds[0] = listen_patiently(info, backlog, &step);
	require(fds[0] >= 0, address, port, step);
	take_over_port(fds[0], info);
	require(count == 1 || set_port_shared(fds[0]), address, port, "setsockopt");
	for (unsigned i = 1; i < count; i++) {
		fds[i] = listen_on(info, backlog, true, &step);
		require(fds[i] >= 0, address, port, step);
	}
	freeaddrinfo(info);
}

void listener_announce(int fd)
{
	struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
	socklen_t length = sizeof(address);
	char host[NI_MAXHOST], service[NI_MAXSERV];
	int result;

	if (getsockname(fd, (struct sockaddr *)&address, &length) < 0)
		output_error(EXIT_FAILURE, errno, "getsockname");
	result = getnameinfo((struct sockaddr *)&address, length, host, sizeof(host), service,
			     sizeof(service), NI_NUMERICHOST | NI_NUMERICSERV);
	if (result != 0)
		output_error(EXIT_FAILURE, 0, "getnameinfo: %s", gai_strerror(result));

	output_line(address.ss_family == AF_INET6 ? "listening on [%s]:%s" : "listening on %s:%s",
		    host, service);
}
