/*
 * A reply promises 5 bytes and has 1,000: the size was asked for by name, then the file was opened
 * by name, and in between somebody had put another file there.
 *
 * Open first, then ask what is open: fstat(2), which doesn't wait, or a statx with AT_EMPTY_PATH.
 */
#include "mistakes/mistake.h"

#include <fcntl.h>
#include <linux/stat.h> /* struct statx, which not every C library has in <sys/stat.h> */
#include <sys/stat.h>

static struct io_uring ring;

static void make_file(const char *path, int bytes)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	must(fd, "open");
	must(ftruncate(fd, bytes), "ftruncate");
	close(fd);
}

/* As an editor does it, or a deployment: the new file takes the name of the old one. */
static void replace(const char *new, const char *old)
{
	must(rename(new, old), "rename");
}

static long long size_by_name(const char *path)
{
	struct statx now = {0};

	io_uring_prep_statx(io_uring_get_sqe(&ring), AT_FDCWD, path, 0, STATX_SIZE, &now);
	submit(&ring);
	must(reap(&ring).res, "statx");
	return (long long)now.stx_size;
}

static int open_by_name(const char *path)
{
	int fd;

	io_uring_prep_openat(io_uring_get_sqe(&ring), AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
	submit(&ring);
	fd = reap(&ring).res;
	must(fd, "open");
	return fd;
}

static long long size_of_open(int fd)
{
	struct stat file;

	must(fstat(fd, &file), "fstat");
	return (long long)file.st_size;
}

int main(int argc, char **argv)
{
	char folder[] = "/tmp/statx-XXXXXX", page[64], new[64];
	long long promised = -1;
	int fd;

	begin(argc, argv);
	open_ring(&ring, 4, 0);
	if (!mkdtemp(folder))
		error(EXIT_FAILURE, errno, "mkdtemp");
	snprintf(page, sizeof(page), "%s/page", folder);
	snprintf(new, sizeof(new), "%s/new", folder);
	make_file(page, 5);
	make_file(new, 1000);

	if (!fixed)
		promised = size_by_name(page);
	replace(new, page);
	fd = open_by_name(page);
	if (fixed)
		promised = size_of_open(fd);

	unlink(page);
	rmdir(folder);
	printf("promised: %lld bytes; in the open file: %lld\n", promised, size_of_open(fd));
	if (fixed)
		return shown(promised == size_of_open(fd), "the size of what is open");
	return shown(promised != size_of_open(fd), "the size of one file, the bytes of another");
}
