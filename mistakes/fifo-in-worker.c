/*
 * A name that a client has chosen is opened, and it's a FIFO: the open waits for someone who
 * writes. Through the ring that's a worker thread, which is gone for the server, and after a few
 * hundred of them no open gets one any more.
 *
 * The ring's first attempt doesn't wait, so as long as the name is in the kernel's cache nothing
 * goes wrong. IOSQE_ASYNC stands here for a name that isn't.
 *
 * Give O_NONBLOCK, then look what it is before you read.
 */
#include "mistakes/mistake.h"

#include <fcntl.h>
#include <sys/stat.h>

static struct io_uring ring;

int main(int argc, char **argv)
{
	char folder[] = "/tmp/fifo-XXXXXX", path[64];
	int flags = O_RDONLY | O_CLOEXEC;
	struct completion completion;
	struct io_uring_sqe *sqe;
	bool came;

	begin(argc, argv);
	open_ring(&ring, 4, 0);
	if (!mkdtemp(folder))
		error(EXIT_FAILURE, errno, "mkdtemp");
	snprintf(path, sizeof(path), "%s/page.html", folder);
	must(mkfifo(path, 0600), "mkfifo");

	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_openat(sqe, AT_FDCWD, path, flags | (fixed ? O_NONBLOCK : 0), 0);
	sqe->flags |= IOSQE_ASYNC;
	submit(&ring);
	came = reaped(&ring, &completion);
	unlink(path);
	rmdir(folder);
	if (fixed)
		return shown(came && completion.res >= 0,
			     "open at once; fstat(2) says that it's a FIFO");
	return shown(!came, "the open waits for someone who writes");
}
