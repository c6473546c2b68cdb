/*
 * A server that looks for ".." in the names it's asked for, and opens what has none. A symbolic
 * link needs no ".." to lead out of the directory, nor does one that is made between the look and
 * the open.
 *
 * Only the kernel knows where a name leads: openat2(2) with RESOLVE_BENEATH opens nothing outside.
 */
#include "mistakes/mistake.h"

#include <fcntl.h>
#include <linux/openat2.h>

static struct io_uring ring;

static int open_looking(int directory, const char *name)
{
	if (name[0] == '/' || strstr(name, ".."))
		return -EACCES;
	io_uring_prep_openat(io_uring_get_sqe(&ring), directory, name, O_RDONLY | O_CLOEXEC, 0);
	submit(&ring);
	return reap(&ring).res;
}

static int open_beneath(int directory, const char *name)
{
	struct open_how how = {.flags = O_RDONLY | O_CLOEXEC, .resolve = RESOLVE_BENEATH};

	io_uring_prep_openat2(io_uring_get_sqe(&ring), directory, name, &how);
	submit(&ring);
	return reap(&ring).res;
}

int main(int argc, char **argv)
{
	char folder[] = "/tmp/dot-dot-XXXXXX", link[64];
	int directory, result;

	begin(argc, argv);
	open_ring(&ring, 4, 0);
	if (!mkdtemp(folder))
		error(EXIT_FAILURE, errno, "mkdtemp");
	snprintf(link, sizeof(link), "%s/holiday.jpg", folder);
	must(symlink("/etc/passwd", link), "symlink");
	directory = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	must(directory, "open");

	result = fixed ? open_beneath(directory, "holiday.jpg")
		       : open_looking(directory, "holiday.jpg");
	unlink(link);
	rmdir(folder);
	if (fixed)
		return shown(result == -EXDEV, "nothing outside is opened: %s", strerror(EXDEV));
	return shown(result >= 0, "holiday.jpg has no .. in it, and is /etc/passwd");
}
