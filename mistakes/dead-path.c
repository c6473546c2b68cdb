/*
 * An open finds another file, or none: its path was in a local array of the function that prepared
 * it. The kernel copies the path when it takes the SQE, which is at the submit, and by then the
 * array was someone else's memory.
 *
 * The path has to live until the submit, not longer.
 */
#include "mistakes/mistake.h"

#include <fcntl.h>

static struct io_uring ring;

static void prepare_open(char *path)
{
	io_uring_prep_openat(io_uring_get_sqe(&ring), AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
}

static __attribute__((noinline)) void open_by_name(const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/%s", name);
	prepare_open(hidden(path));
}

static __attribute__((noinline)) void open_by_name_fixed(const char *name)
{
	static char path[64];

	snprintf(path, sizeof(path), "/proc/self/%s", name);
	prepare_open(path);
}

/* Whatever the program does next uses the stack, too. */
static __attribute__((noinline)) void do_something_else(void)
{
	char memory[512];

	memset(hidden(memory), 'x', sizeof(memory));
	hidden(memory);
}

int main(int argc, char **argv)
{
	int result;

	begin(argc, argv);
	open_ring(&ring, 4, 0);
	if (fixed)
		open_by_name_fixed("status");
	else
		open_by_name("status");
	do_something_else();
	submit(&ring);
	result = reap(&ring).res;

	if (fixed)
		return shown(result >= 0, "the file is open");
	printf("opening /proc/self/status: %s\n", result < 0 ? strerror(-result) : "done");
	return shown(result == -ENOENT,
		     "there is such a file, but the path was gone at the submit");
}
