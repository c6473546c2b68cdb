/*
 * Time that passes faster: preloaded, this library divides by 60 what a program sets for its
 * sockets in seconds, so that a test sees within two seconds what takes two minutes.
 *
 * Run: make test-programs && LD_PRELOAD=build/tests/hurry.so ./day05/echo
 */
#include <dlfcn.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#define TIMES_FASTER 60

static int is_time(int name)
{
	return name == TCP_KEEPIDLE || name == TCP_KEEPINTVL || name == TCP_USER_TIMEOUT;
}

int setsockopt(int fd, int level, int optname, const void *optval, socklen_t optlen)
{
	__typeof__(&setsockopt) next = (__typeof__(&setsockopt))dlsym(RTLD_NEXT, "setsockopt");
	int time;

	if (level != IPPROTO_TCP || !is_time(optname))
		return next(fd, level, optname, optval, optlen);
	/* 0 would be no time at all. */
	time = *(const int *)optval / TIMES_FASTER;
	time = time ? time : 1;
	return next(fd, level, optname, &time, sizeof(time));
}
