/*
 * For ringtrace's tests: finds liburing's functions with dlopen(3) and dlsym(3), as the bindings of
 * other languages do.
 *
 * Run: build/tests/foreign/loaded LIBRARY
 */
#include <dlfcn.h>
#include <error.h>
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>

static void *library;

static void *find(const char *name)
{
	void *function = dlsym(library, name);

	if (!function)
		error(EXIT_FAILURE, 0, "%s", dlerror());
	return function;
}

int main(int argc, char **argv)
{
	__typeof__(&io_uring_queue_init) queue_init;
	__typeof__(&io_uring_submit_and_wait) submit_and_wait;
	__typeof__(&io_uring_queue_exit) queue_exit;
	struct io_uring ring;
	int result;

	library = dlopen(argc == 2 ? argv[1] : "", RTLD_NOW | RTLD_LOCAL);
	if (!library)
		error(EXIT_FAILURE, 0, "%s", dlerror());
	queue_init = (__typeof__(queue_init))find("io_uring_queue_init");
	submit_and_wait = (__typeof__(submit_and_wait))find("io_uring_submit_and_wait");
	queue_exit = (__typeof__(queue_exit))find("io_uring_queue_exit");
	result = queue_init(8, &ring, 0);
	if (result < 0)
		error(EXIT_FAILURE, -result, "io_uring_queue_init");
	io_uring_prep_nop(io_uring_get_sqe(&ring));
	printf("submitted: %d\n", submit_and_wait(&ring, 1));
	queue_exit(&ring);
	return EXIT_SUCCESS;
}
