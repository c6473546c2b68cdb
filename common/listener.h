/*
 * The listening socket: plain sockets, the same for every server, with or without io_uring.
 */
#ifndef COMMON_LISTENER_H
#define COMMON_LISTENER_H

/*
 * Opens a listening TCP socket on `address`, an IPv4 or IPv6 address or a host name, and `port`, 0
 * for any free one; `backlog` connections may wait to be accepted (the sysctl net.core.somaxconn is
 * an upper bound). The socket has SO_REUSEADDR, so that a server can be restarted while connections
 * of its predecessor linger, and TCP_NODELAY, which every accepted socket inherits on Linux.
 * Returns the descriptor, blocking and close-on-exec. Does not return on failure: prints the reason
 * and exits with status 1.
 */
int listener_open(const char *address, unsigned port, int backlog);

/*
 * Prints "listening on ADDR:PORT", "[ADDR]:PORT" for IPv6, for the socket `fd` to standard output
 * and flushes it, so that whoever started the server can wait for the line.
 */
void listener_announce(int fd);

#endif
