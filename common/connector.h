/*
 * The way out: whom to call, and sockets to do it with. Plain sockets, with or without io_uring.
 */
#ifndef COMMON_CONNECTOR_H
#define COMMON_CONNECTOR_H

#include <netdb.h>
#include <stdbool.h>

struct connector {
	const struct addrinfo *addresses; /* a list, linked by ai_next, in the order to try them */
	unsigned count;
};

/*
 * Finds the addresses that `target` names, "HOST:PORT" or "[IPv6]:PORT". This asks the resolver,
 * which may wait for the network, so call it before the loop, never in it. The list is never freed.
 * Doesn't return on failure: prints the reason and exits with status 1, or with 2 if `target` has
 * another form.
 */
void connector_find(struct connector *connector, const char *target);

/*
 * A new socket to connect to `address`, with the options that accepted sockets inherit from
 * listener_open(), and close-on-exec. Returns its descriptor, or -errno.
 */
int connector_socket(const struct addrinfo *address);

/*
 * Whether `result`, the -errno of a connect or of connector_socket(), says that this machine ran
 * short of something: descriptors, ports or memory. That's for whoever runs the program to hear of.
 */
bool connector_lacks_something(int result);

#endif
