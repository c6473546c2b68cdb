/*
 * The listening socket: plain sockets, the same for every server, with or without io_uring.
 */
#ifndef COMMON_LISTENER_H
#define COMMON_LISTENER_H

/*
 * Opens a listening TCP socket on `address`, an IPv4 or IPv6 address or a host name, and `port`, 0
 * for any free one; `backlog` connections may wait to be accepted (the sysctl net.core.somaxconn is
 * an upper bound). Returns the descriptor, blocking and close-on-exec. Does not return on failure:
 * prints the reason and exits with status 1.
 *
 * The socket has SO_REUSEADDR, so that a server can be restarted while connections of its
 * predecessor linger. An address in use is tried again for a second, since a server that was killed
 * keeps its port until the kernel has ended its ring; more than 100 ms of that are said.
 *
 * What it sets besides, accepted sockets inherit on Linux:
 *   TCP_NODELAY        what is sent leaves at once;
 *   SO_OOBINLINE       urgent data (MSG_OOB) stays in the stream, at its place;
 *   SO_KEEPALIVE       a client whose host, or whose network, has vanished is given up.
 *
 * Keepalive takes two minutes; then the request on the socket fails with ETIMEDOUT, or with what
 * the network said last, such as EHOSTUNREACH. It asks only while nothing is on its way: if the
 * host vanishes with bytes under way, TCP sends them again for some 15 minutes (the sysctl
 * net.ipv4.tcp_retries2) before the request fails. A host that answers is never given up, however
 * long its program takes nothing. TCP_USER_TIMEOUT would cut that client off, and it may only be
 * slow: how long to wait is up to the program, and day 6 decides it.
 */
int listener_open(const char *address, unsigned port, int backlog);

/*
 * Opens `count` of them, all on the same address and port, and puts them into `fds`. The kernel
 * gives each client to one of them, by a hash of both addresses and ports (SO_REUSEPORT, man 7
 * socket), and the client stays there. A second server is refused as by listener_open(), unless it
 * asks to share the port and runs as the same user: the kernel lets that one in.
 */
void listener_open_group(const char *address, unsigned port, int backlog, int *fds, unsigned count);

/*
 * Sets what accepted sockets inherit from a listening one, as above, from TCP_NODELAY on: for a
 * socket that isn't accepted. Returns 0, or -1 with errno set.
 */
int listener_set_options(int fd);

/*
 * Prints "listening on ADDR:PORT", "[ADDR]:PORT" for IPv6, for the socket `fd` to standard
 * output, so that whoever started the server can wait for the line.
 */
void listener_announce(int fd);

#endif
